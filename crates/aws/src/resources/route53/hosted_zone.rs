//! `hosted_zone`: holds the records of a domain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_route53::operation::get_hosted_zone::GetHostedZoneOutput;
use aws_sdk_route53::types::{
    AcceleratedRecoveryStatus as Status, HostedZone as Described, HostedZoneConfig, HostedZoneFeatures, TagResourceType,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{bare, found_by, plain_name, record_set, reference, tags_of, tags_of_one};
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, OWN_ZONE, later, on};
use crate::resources::{
    AlsoDeleted, Attempt, Change, Class, Context, Creation, Deletion, Failure, Live, Owner, Phase, Reading, Resource,
    Synced, Tagging, TypeInfo, Weight, changed, live,
};

/// A public hosted zone. Outputs: `name`, its domain, and `name_servers`, the hosts that the parent domain has to delegate to,
/// separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedZone {
    /// The domain, in lower case and without a dot at the end. Immutable: forces replacement.
    pub name: String,
    /// What it is for. In-place.
    pub comment: String,
    /// Whether its records can be changed within an hour of an outage of us-east-1.
    /// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/accelerated-recovery.html>,
    /// docs/aws-behaviour.md#accelerated-recovery. In-place.
    pub accelerated_recovery: bool,
}

impl Resource for HostedZone {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[(
            "name",
            "the domain of a hosted zone cannot be changed; the new zone has other name servers, which the parent domain has to \
             delegate to",
        )],
        // The same token does not create a second zone.
        idempotent_create: true,
        // While accelerated recovery is being switched, all other changes are refused.
        patience: Duration::from_mins(15),
        ..TypeInfo::usual("hosted_zone")
    };
    const SERVICE: &'static str = "route53";
    const LATENCIES: &'static [Latencies] = &[
        // "R53 zone", accelerated recovery included.
        Latencies::of(
            2,
            Latency::of_steps(
                [30.0, 45.0, 60.0],
                &[step("CreateHostedZone", 1, 2.0, 0.0), step("UpdateHostedZoneFeatures", 1, 1.0, 42.0)],
            ),
            Latency::of_steps(
                [30.0, 40.0, 60.0],
                &[step("UpdateHostedZoneFeatures", 1, 1.0, 38.0), step("DeleteHostedZone", 1, 1.0, 0.0)],
            ),
        ),
    ];
    const UPDATE_SECONDS: f64 = 42.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(ANY, "route53", "CreateHostedZone ListHostedZones"),
        on(
            OWN_ZONE,
            "route53",
            "ChangeTagsForResource GetHostedZone ListResourceRecordSets ListTagsForResource ListTagsForResources \
                 UpdateHostedZoneFeatures",
        ),
        later(OWN_ZONE, "route53", "DeleteHostedZone UpdateHostedZoneComment"),
    ];
    const SAMPLE_ID: &'static str = "Z0123456789ABCDEFGHIJ";
    const TAGGING: Tagging = Tagging::Route53;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let zones = ours(cx).await?;
        let mut found = Vec::new();
        for (id, tags) in zones.iter() {
            found.extend(get(cx, id, Some(tags.clone())).await?);
        }
        Ok(found)
    }

    /// Includes zones that were adopted, and so were created with a token of someone else.
    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let mut found = Vec::new();
        for (id, tags) in tagged(cx, &all(cx).await?).await? {
            found.extend(get(cx, &id, Some(tags)).await?);
        }
        Ok(found)
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        get(cx, id, None).await
    }

    async fn search(cx: &Context, attempt: &Attempt) -> Result<Option<Live>, Failure> {
        match created_by(cx, &attempt.token).await? {
            Some(id) => Ok(Self::read(cx, &id).await?.map(|live| found_by(live, attempt))),
            None => Ok(None),
        }
    }

    /// Creates the zone without tags, which the call does not accept. Until they are set, right afterwards, the zone is known by
    /// its [`reference`].
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .route53
            .create_hosted_zone()
            .name(&self.name)
            .caller_reference(reference::compose(&cx.scope, &creation))
            .hosted_zone_config(HostedZoneConfig::builder().comment(&self.comment).build())
            .send();
        match cx.mutate("route53", "CreateHostedZone", call).await {
            Ok(answer) => Ok(answer.hosted_zone().map(|zone| bare(zone.id()).to_owned()).unwrap_or_default()),
            // No one else has the token: a call whose answer was lost has created the zone.
            Err(failure) if failure.class == Class::Exists => {
                let created = created_by(cx, creation.token).await?;
                created.ok_or(Failure { class: Class::Ambiguous, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let mut synced = Synced::default();
        if let Phase::Pending(state) = &live.phase {
            synced.in_progress = Some(state.clone());
            return Ok(synced);
        }
        let route53 = &cx.clients().route53;
        if changed(changes, "comment") {
            let call = route53.update_hosted_zone_comment().id(&live.id).comment(&self.comment).send();
            cx.mutate("route53", "UpdateHostedZoneComment", call).await?;
        }
        // Last, because the zone accepts no other change until the switch is done.
        if changed(changes, "accelerated_recovery") {
            let answer = accelerate(cx, &live.id, self.accelerated_recovery).await;
            synced.unless_unsupported("accelerated_recovery", answer)?;
        }
        Ok(synced)
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        let hindrances = record_set::left_in(cx, &live.id, also).await?.sentences(&live.id);
        Ok(Weight { hindrances, ..Weight::default() })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        if let Phase::Pending(state) = &live.phase {
            return Ok(Deletion::NotYet(state.clone()));
        }
        // A zone with accelerated recovery cannot be deleted: terraform-provider-aws#45302.
        if live.properties.get("accelerated_recovery") == Some(&Value::Bool(true)) {
            accelerate(cx, &live.id, false).await?;
            return Ok(Deletion::NotYet("accelerated recovery to be switched off".to_owned()));
        }
        let call = cx.clients().route53.delete_hosted_zone().id(&live.id).send();
        match cx.mutate("route53", "DeleteHostedZone", call).await {
            Err(failure) if failure.code.as_deref() == Some("HostedZoneNotEmpty") => {
                Err(left_in(cx, &live.id, failure).await?)
            }
            answer => answer.map(|_| Deletion::Requested),
        }
    }
}

/// The ids of the stack's zones, with their tags.
pub(super) async fn ours(cx: &Context) -> Result<Arc<Vec<(String, TagMap)>>, Failure> {
    cx.shared("route53_zones", move || async move {
        let mut zones = all(cx).await?;
        zones.retain(|zone| reference::may_be_ours(&cx.scope, zone.caller_reference()));
        tagged(cx, &zones).await
    })
    .await
}

/// The ids of the given zones that are the stack's, with their tags.
async fn tagged(cx: &Context, zones: &[Described]) -> Result<Vec<(String, TagMap)>, Failure> {
    let references: BTreeMap<&str, &str> =
        zones.iter().map(|zone| (bare(zone.id()), zone.caller_reference())).collect();
    let ids: Vec<String> = references.keys().map(|id| (*id).to_owned()).collect();
    let tags = tags_of(cx, &TagResourceType::Hostedzone, &ids).await?;
    let is_ours = |(id, tags): &(String, TagMap)| {
        let reference = references.get(id.as_str()).copied().unwrap_or_default();
        reference::is_ours(&cx.scope, reference, tags)
    };
    Ok(tags.into_iter().filter(is_ours).collect())
}

/// Whether a zone is the stack's: by its tags, or by its [`reference`] if it was never tagged.
pub(super) async fn is_ours(cx: &Context, id: &str) -> Result<bool, Failure> {
    let tags = tags_of_one(cx, &TagResourceType::Hostedzone, id).await?;
    match tags.map(|tags| cx.scope.owner(&tags)) {
        Some(Owner::Ours { .. }) => Ok(true),
        Some(Owner::Untagged) => {
            let found = get(cx, id, Some(TagMap::new())).await?;
            Ok(found.is_some_and(|live| matches!(live.owner, Owner::Ours { .. })))
        }
        _ => Ok(false),
    }
}

/// Every zone of the account, which has at most 500 by default.
async fn all(cx: &Context) -> Result<Vec<Described>, Failure> {
    let route53 = &cx.clients().route53;
    cx.pages("route53", "ListHostedZones", || route53.list_hosted_zones().into_paginator().items().send()).await
}

async fn created_by(cx: &Context, token: &str) -> Result<Option<String>, Failure> {
    let zones = all(cx).await?;
    Ok(zones
        .iter()
        .find(|zone| reference::token(zone.caller_reference()) == token)
        .map(|zone| bare(zone.id()).to_owned()))
}

/// `None` if the zone does not exist.
async fn get(cx: &Context, id: &str, tags: Option<TagMap>) -> Result<Option<Live>, Failure> {
    let route53 = &cx.clients().route53;
    let answer = match cx.read("route53", "GetHostedZone", || route53.get_hosted_zone().id(id).send()).await {
        Err(failure) if failure.class == Class::NotFound => return Ok(None),
        answer => answer?,
    };
    let tags = match tags {
        Some(tags) => Some(tags),
        None => tags_of_one(cx, &TagResourceType::Hostedzone, id).await?,
    };
    match (answer.hosted_zone(), tags) {
        (Some(zone), Some(tags)) => Ok(Some(from_described(cx, zone, &answer, tags))),
        _ => Ok(None),
    }
}

/// Ready as soon as it is listed: its creation stays `PENDING` for some seconds, but the zone already accepts records.
fn from_described(cx: &Context, zone: &Described, answer: &GetHostedZoneOutput, tags: TagMap) -> Live {
    let id = bare(zone.id());
    let (accelerated_recovery, phase) = acceleration(zone);
    let mut reading = Reading::default();
    let properties = HostedZone {
        // The SDK fills in an empty text for a required one that is missing.
        name: reading.value("name", Some(zone.name()).filter(|name| !name.is_empty()).map(plain_name)),
        // Left out if it is empty.
        comment: zone.config().and_then(HostedZoneConfig::comment).unwrap_or_default().to_owned(),
        accelerated_recovery,
    };
    let found = live(&cx.scope, id, phase, &reading.of(properties), Some(tags))
        .with_arn(format!("arn:aws:route53:::hostedzone/{id}"));
    let servers = answer.delegation_set().map(|set| set.name_servers().iter().map(|name| plain_name(name)));
    let servers = servers.map(|names| names.collect::<Vec<_>>().join(",")).unwrap_or_default();
    reference::with_owner(&cx.scope, HostedZone::INFO.kind, zone.caller_reference(), found)
        .with_output("name", plain_name(zone.name()))
        .with_output("name_servers", servers)
}

/// Whether a zone has accelerated recovery, or will have it. For a zone that never had it, Route 53 leaves the status out. While it
/// is being switched, Route 53 refuses every other change, including those of records: "marked disabled for mutation"
/// (<https://github.com/go-to-k/cdkd/issues/1467>). So the zone is not ready until then. See
/// docs/aws-behaviour.md#zone-locked-during-accelerated-recovery.
fn acceleration(zone: &Described) -> (bool, Phase) {
    let status = zone.features().and_then(HostedZoneFeatures::accelerated_recovery_status);
    let switching = |status: &Status| Phase::Pending(format!("switching accelerated recovery ({})", status.as_str()));
    match status {
        Some(Status::Enabled | Status::DisableFailed) => (true, Phase::Ready),
        Some(status @ (Status::Enabling | Status::EnablingHostedZoneLocked)) => (true, switching(status)),
        Some(status @ (Status::Disabling | Status::DisablingHostedZoneLocked)) => (false, switching(status)),
        _ => (false, Phase::Ready),
    }
}

async fn accelerate(cx: &Context, id: &str, on: bool) -> Result<(), Failure> {
    let route53 = &cx.clients().route53;
    let call = route53.update_hosted_zone_features().hosted_zone_id(id).enable_accelerated_recovery(on).send();
    cx.mutate("route53", "UpdateHostedZoneFeatures", call).await.map(drop)
}

/// The refusal to delete a zone, with the records that keep it. drctl's own records are deleted before it, and a listing shows at
/// once that they are gone: only if it shows no other records, the refusal may pass. See
/// docs/aws-behaviour.md#zone-and-checks-in-use.
async fn left_in(cx: &Context, id: &str, refusal: Failure) -> Result<Failure, Failure> {
    let left = record_set::left_in(cx, id, &AlsoDeleted::default()).await?;
    let sentences = left.sentences(id);
    if sentences.is_empty() {
        return Ok(refusal);
    }
    let help = if left.others.is_empty() {
        "Run the same command again after that."
    } else {
        "Delete what is not this stack's or move it to another zone, then run the same command again."
    };
    Ok(Failure { class: Class::Refused, message: sentences.join("; "), ..refusal }.help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(status: Option<Status>) -> Described {
        let features = status.map(|status| HostedZoneFeatures::builder().accelerated_recovery_status(status).build());
        let zone = Described::builder().id("/hostedzone/Z1").name("example.com.").caller_reference("r");
        zone.set_features(features).build().expect("complete")
    }

    #[test]
    fn a_zone_without_a_status_does_not_have_accelerated_recovery() {
        assert_eq!(acceleration(&zone(None)), (false, Phase::Ready));
        assert_eq!(acceleration(&zone(Some(Status::Disabled))), (false, Phase::Ready));
        assert_eq!(acceleration(&zone(Some(Status::EnableFailed))), (false, Phase::Ready));
        assert_eq!(acceleration(&zone(Some(Status::Enabled))), (true, Phase::Ready));
    }

    #[test]
    fn a_zone_is_not_ready_while_accelerated_recovery_is_switched() {
        for (status, on) in [
            (Status::Enabling, true),
            (Status::EnablingHostedZoneLocked, true),
            (Status::Disabling, false),
            (Status::DisablingHostedZoneLocked, false),
        ] {
            let word = format!("switching accelerated recovery ({})", status.as_str());
            assert_eq!(acceleration(&zone(Some(status))), (on, Phase::Pending(word)));
        }
    }
}
