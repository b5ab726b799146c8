//! `record`: the answer of a name in a zone.

use std::time::Duration;

use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    AliasTarget, ChangeAction, ResourceRecord, ResourceRecordSet as Described, ResourceRecordSetFailover as Role,
    RrType,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record_set::{Key, change, excludes, find, is_refused_batch, sets};
use super::{HealthCheck, HostName, HostedZone, hosted_zone, plain_name};
use crate::Scope;
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, Grant, ZONE, on};
use crate::resources::{
    Attempt, Change, Class, Context, Creation, Deletion, Failure, Id, Live, Owner, Phase, Reading, Ref, Resource,
    Synced, Tagging, TypeInfo, live,
};
use drctl_engine::state;

/// The end of the values of the records by which ACM validates that the account owns a domain.
const VALIDATIONS: &str = ".acm-validations.aws";

/// A record set. Its id is `zone/name/type/set identifier`.
///
/// Names are compared in the form that [`plain_name`] returns, also the names of hosts in values and aliases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The zone that it is in. Immutable: forces replacement.
    pub zone: Ref<Id<HostedZone>>,
    /// The name that it answers. Immutable: forces replacement.
    pub name: Ref<HostName>,
    /// `CNAME`, `A` and so on. Immutable: forces replacement.
    pub record_type: String,
    /// What distinguishes it from other records of its name and type; empty if it is the only one. Begins with
    /// `{stack}-{environment}-`, which marks it as the stack's. Immutable: forces replacement.
    pub set_identifier: String,
    /// `PRIMARY`, `SECONDARY`, or empty without failover. In-place.
    pub failover: String,
    /// For how many seconds resolvers keep the answer; 0 for an alias, which uses the time of its target. In-place.
    pub ttl: i32,
    /// The values of the answer, each a text or a reference; empty for an alias. In-place.
    pub values: Vec<Value>,
    /// The AWS resource that answers in its place, if any. In-place.
    pub alias: Option<Alias>,
    /// The health check that has to be healthy for it to be an answer; without one, it always is. In-place.
    pub health_check: Option<Ref<Id<HealthCheck>>>,
}

/// The AWS resource that a record points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The name of the resource's host.
    pub dns_name: Ref<HostName>,
    /// The zone in which AWS keeps that name.
    pub zone_id: Ref<HostName>,
    /// Whether the record stops being an answer while its target is unhealthy.
    pub evaluate_target_health: bool,
}

impl Resource for Record {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("zone", "a record cannot be moved to another zone"),
            ("name", "a record is identified by its name"),
            ("record_type", "a record is identified by its type"),
            ("set_identifier", "a record is identified by its set identifier"),
        ],
        // A second creation is refused.
        idempotent_create: true,
        // While its zone's accelerated recovery is being switched, every change is refused.
        patience: Duration::from_mins(15),
        ..TypeInfo::usual("record")
    };
    const SERVICE: &'static str = "route53";
    const LATENCIES: &'static [Latencies] = &[
        // "record INSYNC": drctl does not wait for that, only for the answer of the call.
        Latencies::of(
            1,
            Latency::of_call("ChangeResourceRecordSets", [1.0, 1.0, 3.0]),
            Latency::of_call("ChangeResourceRecordSets", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(ZONE, "route53", "ChangeResourceRecordSets GetHostedZone ListResourceRecordSets"),
        on(ANY, "route53", "ListHostedZones"),
    ];
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        let key = self.key();
        (!key.zone.is_empty() && !key.name.is_empty()).then(|| key.id())
    }

    /// Lists the records of the stack's own zones. Records in a zone of someone else are read by their names.
    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let zones = hosted_zone::ours(cx).await?;
        let mut found = Vec::new();
        for (zone, _) in zones.iter() {
            let records = match sets(cx, zone, None).await {
                // Deleted since it was listed.
                Err(failure) if failure.class == Class::NotFound => continue,
                records => records?,
            };
            found.extend(records.iter().map(|record| from_described(cx, zone, record, Owner::Implied)));
        }
        Ok(found)
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let Some(key) = Key::parse(id) else { return Ok(None) };
        let Some(record) = find(cx, &key).await? else { return Ok(None) };
        let owner = owner(cx, &key.zone, &record).await?;
        Ok(Some(from_described(cx, &key.zone, &record, owner)))
    }

    /// Finds nothing: a record that an attempt has created was already found by its name.
    async fn search(_: &Context, _: &Attempt) -> Result<Option<Live>, Failure> {
        Ok(None)
    }

    /// Refused if the record already exists. It is never overwritten for that: [`owner`] decides who owns it.
    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let key = self.key();
        match change(cx, &key.zone, ChangeAction::Create, self.described()?).await {
            Ok(()) => Ok(key.id()),
            Err(failure) if is_refused_batch(&failure) => Err(self.why_refused(cx, &key, failure).await?),
            Err(failure) => Err(failure),
        }
    }

    async fn sync(&self, cx: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        change(cx, self.zone.value(), ChangeAction::Upsert, self.described()?).await?;
        Ok(Synced::default())
    }

    /// The call that deletes a record has to name all of it, so it is read first (docs/aws-behaviour.md#record-deleted-by-value).
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let Some(key) = Key::parse(&live.id) else { return Ok(Deletion::Requested) };
        let Some(record) = find(cx, &key).await? else { return Ok(Deletion::Requested) };
        // It serves every certificate of the name in the account (docs/aws-behaviour.md#validation-record-is-shared): without it,
        // the certificates of others would silently not be renewed.
        if is_validation(&record) && !hosted_zone::is_ours(cx, &key.zone).await? {
            return Ok(Deletion::LeftBehind(
                "it renews every certificate of this name in the account, and the zone is not this stack's; it can stay there \
                 without harm"
                    .to_owned(),
            ));
        }
        match change(cx, &key.zone, ChangeAction::Delete, record).await {
            // Changed since it was read.
            Err(failure) if is_refused_batch(&failure) => Err(Failure { class: Class::Transient, ..failure }),
            answer => answer.map(|()| Deletion::Requested),
        }
    }
}

impl Record {
    fn key(&self) -> Key {
        Key {
            zone: self.zone.value().to_owned(),
            name: plain_name(self.name.value()),
            record_type: self.record_type.clone(),
            set_identifier: self.set_identifier.clone(),
        }
    }

    /// The record in the form of the SDK.
    fn described(&self) -> Result<Described, Failure> {
        self.build().map_err(|e| Failure::new(Class::Internal, format!("a record that Route 53 does not accept: {e}")))
    }

    fn build(&self) -> Result<Described, BuildError> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let record = Described::builder()
            .name(self.name.value())
            .r#type(RrType::from(self.record_type.as_str()))
            .set_set_identifier(some(&self.set_identifier))
            .set_failover(some(&self.failover).map(|role| Role::from(role.as_str())))
            .set_health_check_id(self.health_check.as_ref().map(|check| check.value().to_owned()));
        if let Some(alias) = &self.alias {
            let target = AliasTarget::builder()
                .dns_name(alias.dns_name.value())
                .hosted_zone_id(alias.zone_id.value())
                .evaluate_target_health(alias.evaluate_target_health)
                .build()?;
            return record.alias_target(target).build();
        }
        let values = self.values.iter().map(|value| {
            let value = value.as_str().unwrap_or_default();
            ResourceRecord::builder().value(value).build()
        });
        record.ttl(i64::from(self.ttl)).set_resource_records(Some(values.collect::<Result<_, _>>()?)).build()
    }

    /// Route 53 leaves out what a record does not have: an identifier, a role, a health check, and for an alias the time.
    fn of(zone: &str, record: &Described) -> Self {
        let record_type = record.r#type().as_str();
        let of_host = matches!(record_type, "CNAME" | "NS" | "PTR");
        let values = record.resource_records().iter().map(ResourceRecord::value);
        Self {
            zone: Ref::known(zone),
            name: Ref::known(plain_name(record.name())),
            record_type: record_type.to_owned(),
            set_identifier: record.set_identifier().unwrap_or_default().to_owned(),
            failover: record.failover().map(Role::as_str).unwrap_or_default().to_owned(),
            ttl: record.ttl().and_then(|seconds| i32::try_from(seconds).ok()).unwrap_or_default(),
            values: values
                .map(|value| Value::String(if of_host { plain_name(value) } else { value.to_owned() }))
                .collect(),
            alias: record.alias_target().map(|target| Alias {
                dns_name: Ref::known(plain_name(target.dns_name())),
                zone_id: Ref::known(target.hosted_zone_id()),
                evaluate_target_health: target.evaluate_target_health(),
            }),
            health_check: record.health_check_id().map(Ref::known),
        }
    }

    /// Finds out why a creation was refused: Route 53 gives the reason only in a message, and not always in a form that the SDK
    /// reads.
    async fn why_refused(&self, cx: &Context, key: &Key, refusal: Failure) -> Result<Failure, Failure> {
        let same_name = sets(cx, &key.zone, Some(&key.name)).await?;
        if same_name.iter().any(|record| key.is_of(record)) {
            return Ok(Failure { class: Class::Exists, ..refusal });
        }
        let mut is_ours = false;
        for other in same_name.iter().filter(|other| self.excludes(other)) {
            if owner(cx, &key.zone, other).await? == Owner::Untagged {
                let message = format!(
                    "{} has a record of type {} that is not drctl's, and a name can have only one",
                    key.name,
                    other.r#type().as_str()
                );
                return Ok(Failure { class: Class::Foreign, message, ..refusal }
                    .help("Delete that record, or choose another name for the API, then run the same command again."));
            }
            is_ours = true;
        }
        // The other record is the stack's own and is being deleted: a record of another type takes its place.
        Ok(if is_ours { Failure { class: Class::Transient, ..refusal } } else { refusal })
    }

    /// Whether another record of the same name keeps this one from being created.
    fn excludes(&self, other: &Described) -> bool {
        excludes(&self.record_type, &self.set_identifier, &self.failover, other)
    }
}

/// Ready as soon as it is listed. The name servers answer with it within a minute, but [`Resource::read`] could see that only by
/// the id of the change, which is not recorded. Nothing in the stack queries DNS.
fn from_described(cx: &Context, zone: &str, record: &Described, owner: Owner) -> Live {
    let mut reading = Reading::default();
    if record.alias_target().is_none() && record.ttl().is_none() {
        reading.is_unreadable("ttl");
    }
    let properties = Record::of(zone, record);
    Live { owner, ..live(&cx.scope, &properties.key().id(), Phase::Ready, &reading.of(properties), None) }
}

/// Who owns a record. Records have no tags, and a zone may be shared: in a zone that is not the stack's, a record is the stack's by
/// its set identifier, and a record without one only if the state has recorded it. ACM's validation records are an exception: AWS
/// gives their names and values, which are the same for everyone who creates them.
async fn owner(cx: &Context, zone: &str, record: &Described) -> Result<Owner, Failure> {
    Ok(if is_named_ours(&cx.scope, record) {
        Owner::Ours { node: None, attempt: None }
    } else if is_validation(record) || hosted_zone::is_ours(cx, zone).await? {
        Owner::Implied
    } else {
        Owner::Untagged
    })
}

pub(super) fn is_named_ours(scope: &Scope, record: &Described) -> bool {
    // The name of another environment may begin with this one's.
    let ours = [state::Role::Primary, state::Role::Secondary].map(|role| format!("{}-{role}", scope.name()));
    record.set_identifier().is_some_and(|identifier| ours.iter().any(|name| name == identifier))
}

pub(super) fn is_validation(record: &Described) -> bool {
    record.name().starts_with('_')
        && *record.r#type() == RrType::Cname
        && record.resource_records().iter().any(|value| plain_name(value.value()).ends_with(VALIDATIONS))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn primary() -> Record {
        Record {
            zone: Ref::known("Z1"),
            name: Ref::known("api.example.com"),
            record_type: "CNAME".to_owned(),
            set_identifier: "pay-prod-primary".to_owned(),
            failover: "PRIMARY".to_owned(),
            ttl: 60,
            values: vec![json!("a.execute-api.us-east-1.amazonaws.com")],
            alias: None,
            health_check: Some(Ref::known("check")),
        }
    }

    fn alias() -> Record {
        Record {
            record_type: "A".to_owned(),
            ttl: 0,
            values: Vec::new(),
            alias: Some(Alias {
                dns_name: Ref::known("d-1.execute-api.us-east-1.amazonaws.com"),
                zone_id: Ref::known("Z2"),
                evaluate_target_health: true,
            }),
            ..primary()
        }
    }

    fn simple(name: &str, record_type: &str, value: &str) -> Described {
        let record = Record {
            name: Ref::known(name),
            record_type: record_type.to_owned(),
            set_identifier: String::new(),
            failover: String::new(),
            values: vec![json!(value)],
            health_check: None,
            ..primary()
        };
        record.build().expect("complete")
    }

    #[test]
    fn a_requested_record_reads_back_the_same() {
        for record in [primary(), alias()] {
            assert_eq!(Record::of("Z1", &record.build().expect("complete")), record);
        }
    }

    #[test]
    fn names_read_back_plain_and_texts_as_they_are() {
        let read = Record::of("Z1", &simple("\\052.Example.com.", "CNAME", "Host.Example.com."));
        assert_eq!((read.name.value(), &read.values[0]), ("*.example.com", &json!("host.example.com")));
        let read = Record::of("Z1", &simple("example.com.", "TXT", "\"As It Is.\""));
        assert_eq!(read.values[0], json!("\"As It Is.\""));
        assert_eq!((read.set_identifier.as_str(), read.failover.as_str(), read.health_check), ("", "", None));
    }

    #[test]
    fn the_id_of_a_record_is_known_once_its_zone_is() {
        assert_eq!(primary().natural_id().as_deref(), Some("Z1/api.example.com/CNAME/pay-prod-primary"));
        assert_eq!(Record { zone: Ref::known(""), ..primary() }.natural_id(), None);
        assert_eq!(Record { name: Ref::known(""), ..primary() }.natural_id(), None);
        assert!(primary().key().is_of(&primary().build().expect("complete")));
    }

    #[test]
    fn records_are_the_stacks_by_their_identifier_and_acms_by_their_value() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "123456789012".into() };
        assert!(is_named_ours(&scope, &primary().build().expect("complete")));
        assert!(!is_named_ours(&scope, &simple("api.example.com", "CNAME", "x")));
        let others = Record { set_identifier: "pay-production-primary".to_owned(), ..primary() };
        assert!(!is_named_ours(&scope, &others.build().expect("complete")));
        assert!(is_validation(&simple("_1.api.example.com.", "CNAME", "_2.3.acm-validations.aws.")));
        assert!(!is_validation(&simple("_1.api.example.com.", "CNAME", "evil-acm-validations.aws.example.com.")));
        assert!(!is_validation(&simple("api.example.com.", "CNAME", "_2.3.acm-validations.aws.")));
    }

    #[test]
    fn a_pair_of_failover_records_excludes_everything_else_of_its_name_and_type() {
        let secondary =
            Record { set_identifier: "pay-prod-secondary".to_owned(), failover: "SECONDARY".to_owned(), ..primary() };
        let is_excluded = |other: &Record| primary().excludes(&other.build().expect("complete"));
        assert!(!is_excluded(&secondary));
        assert!(is_excluded(&Record { set_identifier: "theirs".to_owned(), ..primary() }));
        assert!(primary().excludes(&simple("api.example.com", "CNAME", "x")));
        assert!(primary().excludes(&simple("api.example.com", "A", "192.0.2.1")));
        assert!(alias().excludes(&primary().build().expect("complete")));
        assert!(!alias().excludes(&simple("api.example.com", "TXT", "\"x\"")));
        assert!(!alias().excludes(&simple("api.example.com", "NS", "x")));
    }
}
