//! `health_check`: whether an endpoint, or enough of several health checks, is healthy.

use aws_sdk_route53::types::{
    HealthCheck as Described, HealthCheckConfig, HealthCheckObservation, HealthCheckType, StatusReport, TagResourceType,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{HostName, found_by, plain_name, reference, tags_of, tags_of_one};
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, CHECK, Grant, later, on};
use crate::resources::{
    Attempt, Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Readable, Reading, Ref, Resource,
    Synced, Tagging, TypeInfo, live,
};

/// The type of a health check that counts other health checks.
const CALCULATED: &str = "CALCULATED";

/// The type that the SDK fills in for one that is missing from an answer.
const MISSING: &str = "no value was set";

/// The properties that only checks of an endpoint have.
const OF_ENDPOINTS: &[&str] = &["host", "path", "port", "request_interval", "failure_threshold", "sni"];

/// The properties that only calculated checks have.
const OF_CALCULATED: &[&str] = &["children", "health_threshold"];

/// A health check. Properties that its type does not have are neither set nor compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `HTTPS` for an endpoint that has to answer with a status of 2xx or 3xx, or `CALCULATED` for enough healthy children.
    /// Immutable: forces replacement.
    pub kind: String,
    /// The endpoint's host, in lower case and without a dot at the end; empty for a calculated check. In-place.
    pub host: Ref<HostName>,
    /// The path that is requested, with the slash. In-place.
    pub path: String,
    /// The endpoint's port. In-place.
    pub port: i32,
    /// Seconds between two requests of one checker: 10 or 30. Immutable: forces replacement.
    pub request_interval: i32,
    /// How many consecutive results have to differ from the status to change it: 1 to 10. In-place.
    pub failure_threshold: i32,
    /// Whether the host's name is sent in the TLS handshake. API Gateway does not answer without it. In-place.
    pub sni: bool,
    /// Whether its status is inverted. In-place.
    pub inverted: bool,
    /// Whether it is disabled: it makes no requests, and is healthy. In-place.
    pub disabled: bool,
    /// The checks that a calculated check counts. In-place.
    pub children: Vec<Ref<Id<HealthCheck>>>,
    /// How many of them have to be healthy. In-place.
    pub health_threshold: i32,
}

impl Resource for HealthCheck {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("kind", "the type of a health check cannot be changed"),
            ("request_interval", "the interval of a health check cannot be changed after its creation"),
        ],
        // The same token does not create a second check.
        idempotent_create: true,
        ..TypeInfo::usual("health_check")
    };
    const SERVICE: &'static str = "route53";
    const LATENCIES: &'static [Latencies] = &[
        // "R53 health check create".
        Latencies::of(
            2,
            Latency::of_call("CreateHealthCheck", [1.0, 1.0, 3.0]),
            Latency::of_call("DeleteHealthCheck", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(ANY, "route53", "CreateHealthCheck ListHealthChecks"),
        on(CHECK, "route53", "ChangeTagsForResource GetHealthCheck ListTagsForResource ListTagsForResources"),
        later(CHECK, "route53", "DeleteHealthCheck GetHealthCheckStatus UpdateHealthCheck"),
    ];
    const SAMPLE_ID: &'static str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const TAGGING: Tagging = Tagging::Route53;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let mut checks = all(cx).await?;
        checks.retain(|check| reference::may_be_ours(&cx.scope, check.caller_reference()));
        ours(cx, &checks).await
    }

    /// Includes checks that were adopted, and so were created with a token of someone else.
    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        ours(cx, &all(cx).await?).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let route53 = &cx.clients().route53;
        let answer =
            cx.read("route53", "GetHealthCheck", || route53.get_health_check().health_check_id(id).send()).await?;
        let tags = tags_of_one(cx, &TagResourceType::Healthcheck, id).await?;
        let found = answer.health_check().zip(tags).and_then(|(check, tags)| from_described(cx, check, tags));
        match found {
            Some(mut found) if has_checkers(&found) && !is_observed(cx, id).await? => {
                found.phase = Phase::Pending("waiting for the first results of its checkers".to_owned());
                Ok(Some(found))
            }
            found => Ok(found),
        }
    }

    async fn search(cx: &Context, attempt: &Attempt) -> Result<Option<Live>, Failure> {
        match created_by(cx, &attempt.token).await? {
            Some(id) => Ok(Self::read(cx, &id).await?.map(|live| found_by(live, attempt))),
            None => Ok(None),
        }
    }

    /// Creates the check without tags, which the call does not accept. Until they are set, right afterwards, the check is known by
    /// its [`reference`].
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .route53
            .create_health_check()
            .caller_reference(reference::compose(&cx.scope, &creation))
            .health_check_config(self.config()?)
            .send();
        match cx.mutate("route53", "CreateHealthCheck", call).await {
            Ok(answer) => Ok(answer.health_check().map(|check| check.id().to_owned()).unwrap_or_default()),
            // No one else has the token: a call whose answer was lost has created the check, with other settings.
            // See docs/aws-behaviour.md#caller-reference-instead-of-tags.
            Err(failure) if failure.class == Class::Exists => {
                let created = created_by(cx, creation.token).await?;
                created.ok_or(Failure { class: Class::Ambiguous, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let call = cx
            .clients()
            .route53
            .update_health_check()
            .health_check_id(&live.id)
            .inverted(self.inverted)
            .disabled(self.disabled);
        let call = if self.is_calculated() {
            call.health_threshold(self.health_threshold).set_child_health_checks(Some(self.child_ids()))
        } else {
            call.fully_qualified_domain_name(self.host.value())
                .resource_path(&self.path)
                .port(self.port)
                .failure_threshold(self.failure_threshold)
                .enable_sni(self.sni)
        };
        cx.mutate("route53", "UpdateHealthCheck", call.send()).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().route53.delete_health_check().health_check_id(&live.id).send();
        cx.mutate("route53", "DeleteHealthCheck", call).await.map(|_| Deletion::Requested)
    }
}

impl HealthCheck {
    fn is_calculated(&self) -> bool {
        self.kind == CALCULATED
    }

    fn child_ids(&self) -> Vec<String> {
        self.children.iter().map(|child| child.value().to_owned()).collect()
    }

    fn config(&self) -> Result<HealthCheckConfig, Failure> {
        let config = HealthCheckConfig::builder()
            .r#type(HealthCheckType::from(self.kind.as_str()))
            .inverted(self.inverted)
            .disabled(self.disabled);
        let config = if self.is_calculated() {
            config.health_threshold(self.health_threshold).set_child_health_checks(Some(self.child_ids()))
        } else {
            config
                .fully_qualified_domain_name(self.host.value())
                .resource_path(&self.path)
                .port(self.port)
                .request_interval(self.request_interval)
                .failure_threshold(self.failure_threshold)
                .enable_sni(self.sni)
                // The default. If it is not named, Moto (and so LocalStack) answers with it in a spelling that the SDK does not
                // read.
                .measure_latency(false)
        };
        config
            .build()
            .map_err(|e| Failure::new(Class::Internal, format!("a health check that Route 53 does not accept: {e}")))
    }

    /// A setting that was not named is left out, and has its default:
    /// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html>. A default never decides on a
    /// replacement, so an interval that is left out is not compared. Nor is what a check of this type does not have.
    fn of(config: &HealthCheckConfig) -> Readable<Self> {
        let calculated = *config.r#type() == HealthCheckType::Calculated;
        let mut reading = Reading::default();
        let properties = Self {
            kind: reading.text("kind", Some(config.r#type().as_str()).filter(|kind| *kind != MISSING)),
            // An endpoint may have an address instead of a host, and no path.
            host: Ref::known(plain_name(config.fully_qualified_domain_name().unwrap_or_default())),
            path: config.resource_path().unwrap_or_default().to_owned(),
            port: config.port().unwrap_or(if calculated { 0 } else { 443 }),
            request_interval: reading.value("request_interval", config.request_interval()),
            failure_threshold: config.failure_threshold().unwrap_or(if calculated { 0 } else { 3 }),
            sni: reading.value("sni", config.enable_sni()),
            inverted: config.inverted().unwrap_or(false),
            disabled: config.disabled().unwrap_or(false),
            children: config.child_health_checks().iter().map(|id| Ref::known(id.as_str())).collect(),
            health_threshold: reading.value("health_threshold", config.health_threshold()),
        };
        for property in if calculated { OF_ENDPOINTS } else { OF_CALCULATED } {
            reading.is_unreadable(property);
        }
        reading.of(properties)
    }
}

/// Every health check of the account, which has at most 200 by default.
async fn all(cx: &Context) -> Result<Vec<Described>, Failure> {
    let route53 = &cx.clients().route53;
    cx.pages("route53", "ListHealthChecks", || {
        route53.list_health_checks().into_paginator().page_size(1000).items().send()
    })
    .await
}

/// The given checks that are the stack's.
async fn ours(cx: &Context, checks: &[Described]) -> Result<Vec<Live>, Failure> {
    let ids: Vec<String> = checks.iter().map(|check| check.id().to_owned()).collect();
    let mut tags = tags_of(cx, &TagResourceType::Healthcheck, &ids).await?;
    let tagged = checks.iter().filter_map(|check| Some((check, tags.remove(check.id())?)));
    let ours = tagged.filter(|(check, tags)| reference::is_ours(&cx.scope, check.caller_reference(), tags));
    Ok(ours.filter_map(|(check, tags)| from_described(cx, check, tags)).collect())
}

async fn created_by(cx: &Context, token: &str) -> Result<Option<String>, Failure> {
    let checks = all(cx).await?;
    Ok(checks
        .iter()
        .find(|check| reference::token(check.caller_reference()) == token)
        .map(|check| check.id().to_owned()))
}

/// Whether checkers make requests for a health check: not for a calculated or a disabled one.
fn has_checkers(live: &Live) -> bool {
    let is = |property: &str, value: Value| live.properties.get(property) == Some(&value);
    !is("kind", CALCULATED.into()) && !is("disabled", true.into())
}

/// Whether the checkers of an endpoint have a result. "Route 53 considers a new health check to be healthy until there's enough
/// data", and an inverted one unhealthy: if another check counted it before that, it would move DNS for no reason.
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html>. See
/// docs/aws-behaviour.md#new-health-check-has-no-data.
async fn is_observed(cx: &Context, id: &str) -> Result<bool, Failure> {
    let route53 = &cx.clients().route53;
    let call = || route53.get_health_check_status().health_check_id(id).send();
    match cx.read("route53", "GetHealthCheckStatus", call).await {
        Ok(answer) => Ok(answer.health_check_observations().iter().any(has_result)),
        // An emulator does not have checkers.
        Err(failure) if failure.class == Class::Unsupported => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// Whether a checker has a result: "Success: HTTP Status Code 200, OK", or "Failure: …".
fn has_result(observation: &HealthCheckObservation) -> bool {
    let status = observation.status_report().and_then(StatusReport::status).unwrap_or_default();
    status.starts_with("Success") || status.starts_with("Failure")
}

/// Ready as soon as it is listed. Only [`Resource::read`], which is used to wait for a new check, asks for results: that takes a
/// call for each check, and Route 53 allows few of them.
fn from_described(cx: &Context, check: &Described, tags: TagMap) -> Option<Live> {
    let properties = HealthCheck::of(check.health_check_config()?);
    let id = check.id();
    let found = live(&cx.scope, id, Phase::Ready, &properties, Some(tags))
        .with_arn(format!("arn:aws:route53:::healthcheck/{id}"));
    Some(reference::with_owner(&cx.scope, HealthCheck::INFO.kind, check.caller_reference(), found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    fn endpoint() -> HealthCheck {
        HealthCheck {
            kind: "HTTPS".to_owned(),
            host: Ref::known("abc.execute-api.us-east-1.amazonaws.com"),
            path: "/health".to_owned(),
            port: 443,
            request_interval: 10,
            failure_threshold: 3,
            sni: true,
            inverted: true,
            disabled: false,
            children: Vec::new(),
            health_threshold: 0,
        }
    }

    fn calculated() -> HealthCheck {
        HealthCheck {
            kind: CALCULATED.to_owned(),
            host: Ref::known(""),
            path: String::new(),
            port: 0,
            request_interval: 0,
            failure_threshold: 0,
            sni: false,
            inverted: false,
            disabled: false,
            children: vec![Ref::known("a"), Ref::known("b")],
            health_threshold: 2,
        }
    }

    #[test]
    fn a_requested_check_reads_back_the_same() {
        for check in [endpoint(), calculated()] {
            assert_eq!(HealthCheck::of(&check.config().expect("complete")).properties, check);
        }
    }

    #[test]
    fn a_request_leaves_out_what_its_type_does_not_have() {
        let config = calculated().config().expect("complete");
        assert_eq!((config.port(), config.request_interval(), config.enable_sni()), (None, None, None));
        assert_eq!((config.resource_path(), config.fully_qualified_domain_name()), (None, None));
        let config = endpoint().config().expect("complete");
        assert_eq!((config.health_threshold(), config.child_health_checks().len()), (None, 0));
    }

    #[test]
    fn what_is_left_out_has_its_default_and_cannot_force_a_replacement() {
        let bare = |kind| HealthCheck::of(&HealthCheckConfig::builder().r#type(kind).build().expect("complete"));
        let read = bare(HealthCheckType::Https);
        assert_eq!((read.properties.port, read.properties.failure_threshold), (443, 3));
        let unreadable: Vec<&str> = read.unreadable.into_iter().collect();
        assert_eq!(unreadable, ["children", "health_threshold", "request_interval", "sni"]);
        let calculated = bare(HealthCheckType::Calculated).unreadable;
        assert!(calculated.contains("health_threshold") && !calculated.contains("children"), "{calculated:?}");
    }

    #[test]
    fn a_new_check_is_waited_for_until_a_checker_has_a_result() {
        let observation = |status: Option<&str>| {
            let report = StatusReport::builder().set_status(status.map(str::to_owned)).build();
            HealthCheckObservation::builder().status_report(report).build()
        };
        assert!(has_result(&observation(Some("Success: HTTP Status Code 200, OK"))));
        assert!(has_result(&observation(Some("Failure: The endpoint did not respond."))));
        assert!(!has_result(&observation(Some("Unknown"))) && !has_result(&observation(None)));
    }

    #[test]
    fn only_checks_with_checkers_are_waited_for() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "123456789012".into() };
        let waits = |check: &HealthCheck| {
            has_checkers(&live(&scope, "c", Phase::Ready, &Readable::complete(check.clone()), None))
        };
        assert!(waits(&endpoint()));
        assert!(!waits(&calculated()) && !waits(&HealthCheck { disabled: true, ..endpoint() }));
    }

    #[test]
    fn every_property_of_a_type_is_one_of_the_struct() {
        let properties = serde_json::to_value(endpoint()).expect("an object");
        for property in OF_ENDPOINTS.iter().chain(OF_CALCULATED) {
            assert!(properties.get(property).is_some(), "{property}");
        }
    }
}
