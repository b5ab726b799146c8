//! Reading a name's records and their checks from Route 53.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use aws_sdk_route53::Client;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_route53::operation::get_health_check::GetHealthCheckError;
use aws_sdk_route53::types::{
    HealthCheck, HealthCheckType, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover as Role, RrType,
};

use drctl_failover_dns::check::{Check, Checks, Kind};
use drctl_failover_dns::record::{Failover, Record, Target, bare, is_same};

use super::Evaluator;

/// Why a name cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Route 53 did not answer, or refused the call.
    #[error("route53:{operation}: {reason}")]
    Call {
        /// The call.
        operation: &'static str,
        /// The reason.
        reason: String,
    },
    /// There is nothing to evaluate.
    #[error("zone {zone} holds no record of {name}")]
    NoRecord {
        /// The zone's id.
        zone: String,
        /// The name.
        name: String,
    },
}

impl LoadError {
    fn call<E: ProvideErrorMetadata + Error + 'static>(operation: &'static str, error: &SdkError<E>) -> Self {
        let reason = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            // The text of the error says only of which kind it is; its sources say what happened.
            (None, _) => {
                let (mut text, mut cause) = (error.to_string(), error.source());
                while let Some(inner) = cause {
                    text.push_str(": ");
                    text.push_str(&inner.to_string());
                    cause = inner.source();
                }
                text
            }
        };
        Self::Call { operation, reason }
    }
}

/// Reads the records of a name in a zone, the records in the zone that they are aliases of, and every check that they refer to.
/// What the checks have observed is known only to AWS's checkers, so the checks begin as new ones.
///
/// # Errors
/// If Route 53 does not answer, or has no record of that name.
pub async fn load(route53: &Client, zone: &str, name: &str) -> Result<Evaluator, LoadError> {
    let mut records: Vec<Record> = Vec::new();
    let (mut names, mut seen) = (vec![name.to_owned()], BTreeSet::new());
    while let Some(name) = names.pop() {
        if !seen.insert(bare(&name)) {
            continue;
        }
        for record in records_of(route53, zone, &name).await? {
            if let Target::Alias { name, in_zone: true, .. } = &record.target {
                names.push(name.clone());
            }
            records.push(record);
        }
    }
    if !records.iter().any(|record| is_same(&record.name, name)) {
        return Err(LoadError::NoRecord { zone: zone.to_owned(), name: name.to_owned() });
    }
    let checks = checks_of(route53, &records).await?;
    Ok(Evaluator::new(name, records, Checks::new(checks)))
}

/// The records of one name: a zone lists its names in order.
async fn records_of(route53: &Client, zone: &str, name: &str) -> Result<Vec<Record>, LoadError> {
    let mut records = Vec::new();
    let (mut start, mut kind, mut identifier) = (name.to_owned(), None::<RrType>, None::<String>);
    loop {
        let page = route53
            .list_resource_record_sets()
            .hosted_zone_id(zone)
            .start_record_name(&start)
            .set_start_record_type(kind.take())
            .set_start_record_identifier(identifier.take())
            .send()
            .await
            .map_err(|error| LoadError::call("ListResourceRecordSets", &error))?;
        for record in page.resource_record_sets() {
            if !is_same(record.name(), name) {
                return Ok(records);
            }
            records.push(record_of(zone, record));
        }
        match page.next_record_name() {
            Some(next) if page.is_truncated() => {
                next.clone_into(&mut start);
                kind = page.next_record_type().cloned();
                identifier = page.next_record_identifier().map(str::to_owned);
            }
            _ => return Ok(records),
        }
    }
}

/// The checks of the records, and their children. A check that no longer exists is left out.
async fn checks_of(route53: &Client, records: &[Record]) -> Result<Vec<Check>, LoadError> {
    let mut wanted: Vec<String> = records.iter().filter_map(|record| record.health_check.clone()).collect();
    let mut checks = BTreeMap::new();
    while let Some(id) = wanted.pop() {
        if checks.contains_key(&id) {
            continue;
        }
        let check = match route53.get_health_check().health_check_id(&id).send().await {
            Ok(answer) => answer.health_check().and_then(check_of),
            Err(error) if error.as_service_error().is_some_and(GetHealthCheckError::is_no_such_health_check) => None,
            Err(error) => return Err(LoadError::call("GetHealthCheck", &error)),
        };
        if let Some(Check { kind: Kind::Calculated { children, .. }, .. }) = &check {
            wanted.extend(children.iter().cloned());
        }
        checks.insert(id, check);
    }
    Ok(checks.into_values().flatten().collect())
}

fn record_of(zone: &str, record: &ResourceRecordSet) -> Record {
    let values = record.resource_records().iter().map(ResourceRecord::value);
    Record {
        name: record.name().to_owned(),
        record_type: record.r#type().as_str().to_owned(),
        set_identifier: record.set_identifier().unwrap_or_default().to_owned(),
        failover: match record.failover() {
            Some(Role::Primary) => Some(Failover::Primary),
            Some(Role::Secondary) => Some(Failover::Secondary),
            _ => None,
        },
        health_check: record.health_check_id().map(str::to_owned),
        ttl: record.ttl().and_then(|ttl| u32::try_from(ttl).ok()),
        target: match record.alias_target() {
            Some(target) => Target::Alias {
                name: target.dns_name().to_owned(),
                in_zone: target.hosted_zone_id() == zone,
                evaluate_target_health: target.evaluate_target_health(),
            },
            None => Target::Values(values.map(str::to_owned).collect()),
        },
    }
}

/// `None` for a check without a configuration.
fn check_of(check: &HealthCheck) -> Option<Check> {
    let config = check.health_check_config()?;
    let count = |number: Option<i32>| number.and_then(|number| usize::try_from(number).ok());
    let kind = match config.r#type() {
        HealthCheckType::Http | HealthCheckType::Https => Kind::Endpoint {
            host: config.fully_qualified_domain_name().or(config.ip_address()).unwrap_or_default().to_owned(),
            // Both defaults are documented: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
            path: config.resource_path().unwrap_or("/").to_owned(),
            failure_threshold: count(config.failure_threshold()).unwrap_or(3),
        },
        HealthCheckType::Calculated => Kind::Calculated {
            children: config.child_health_checks().to_vec(),
            threshold: count(config.health_threshold()).unwrap_or_default(),
        },
        other => Kind::Other(other.as_str().to_owned()),
    };
    Some(Check {
        id: check.id().to_owned(),
        kind,
        inverted: config.inverted().unwrap_or_default(),
        disabled: config.disabled().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::builders::{HealthCheckConfigBuilder, ResourceRecordSetBuilder};
    use aws_sdk_route53::types::{AliasTarget, HealthCheckConfig};

    use super::*;

    fn check(config: HealthCheckConfigBuilder) -> Check {
        let check = HealthCheck::builder().id("c").caller_reference("r").health_check_version(1);
        let check = check.health_check_config(config.build().expect("complete")).build().expect("complete");
        check_of(&check).expect("it has a configuration")
    }

    fn record(record: ResourceRecordSetBuilder) -> Record {
        record_of("Z1", &record.name("api.example.com.").build().expect("complete"))
    }

    #[test]
    fn checks_are_read_as_they_are() {
        let endpoint = HealthCheckConfig::builder()
            .r#type(HealthCheckType::Https)
            .fully_qualified_domain_name("host")
            .resource_path("/health")
            .failure_threshold(2)
            .inverted(true);
        let expected = Kind::Endpoint { host: "host".to_owned(), path: "/health".to_owned(), failure_threshold: 2 };
        let read = check(endpoint);
        assert_eq!((read.kind, read.inverted, read.disabled), (expected, true, false));
        let calculated = HealthCheckConfig::builder()
            .r#type(HealthCheckType::Calculated)
            .child_health_checks("a")
            .child_health_checks("b")
            .health_threshold(2)
            .disabled(true);
        let expected = Kind::Calculated { children: vec!["a".to_owned(), "b".to_owned()], threshold: 2 };
        let read = check(calculated);
        assert_eq!((read.kind, read.inverted, read.disabled), (expected, false, true));
        let tcp = check(HealthCheckConfig::builder().r#type(HealthCheckType::Tcp));
        assert_eq!(tcp.kind, Kind::Other("TCP".to_owned()));
    }

    #[test]
    fn what_a_check_does_not_set_has_its_default() {
        let read = check(HealthCheckConfig::builder().r#type(HealthCheckType::Http).ip_address("192.0.2.1"));
        let expected = Kind::Endpoint { host: "192.0.2.1".to_owned(), path: "/".to_owned(), failure_threshold: 3 };
        assert_eq!(read.kind, expected);
    }

    #[test]
    fn records_are_read_with_their_role_and_their_answer() {
        let value = ResourceRecord::builder().value("host").build().expect("complete");
        let pair = ResourceRecordSet::builder()
            .r#type(RrType::Cname)
            .set_identifier("s")
            .failover(Role::Secondary)
            .health_check_id("c")
            .resource_records(value);
        let read = record(pair);
        assert_eq!((read.failover, read.health_check.as_deref()), (Some(Failover::Secondary), Some("c")));
        assert_eq!(read.leads_to(), ["host"]);
        let alias = |zone: &str| {
            let target = AliasTarget::builder().dns_name("other.").hosted_zone_id(zone).evaluate_target_health(true);
            let target = target.build().expect("complete");
            record(ResourceRecordSet::builder().r#type(RrType::A).alias_target(target)).target
        };
        let expected = |in_zone| Target::Alias { name: "other.".to_owned(), in_zone, evaluate_target_health: true };
        assert_eq!(alias("Z1"), expected(true));
        assert_eq!(alias("Z2"), expected(false));
    }
}
