//! How clients find the Region that serves: zone, health checks, the failover pair, and certificates for the public name.

use serde_json::json;

use super::compute::HttpFront;
use super::{GLOBAL, RegionSite};
use drctl_aws::facts::Facts;
use drctl_aws::resources::acm::Certificate;
use drctl_aws::resources::apigatewayv2::{Api, ApiMapping, DomainName};
use drctl_aws::resources::route53::{Alias, HealthCheck, HostName, HostedZone, Record};
use drctl_aws::resources::{Handle, Id, Ref, Stack};
use drctl_config::Config;
use drctl_engine::GraphError;
use drctl_engine::state::Role;

/// How many seconds resolvers cache the answer: the last part of every failover.
const TTL: i32 = 60;

/// Adds everything. Returns the check that decides whether the public name points to the primary.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    sites: &[RegionSite<'_>; 2],
    fronts: &[HttpFront; 2],
) -> Result<Handle<HealthCheck>, GraphError> {
    let zone = zone(stack, config, facts)?;
    let primary = health_checks(stack, fronts)?;
    let targets = if config.dns.certificate { Some(domains(stack, config, sites, fronts, &zone)?) } else { None };
    let name = config.dns.public_name();
    for (at, (site, failover)) in sites.iter().zip(["PRIMARY", "SECONDARY"]).enumerate() {
        let record = Record {
            zone: zone.clone(),
            name: Ref::known(name.as_str()),
            // It contains the stack's name, which says whose record it is: records have no tags.
            set_identifier: format!("{}-{}", config.name(), site.role),
            failover: failover.to_owned(),
            // The standby is the answer whenever the primary is not, healthy or not. With a check of its own, Route 53 would
            // return to a primary that was failed away from as soon as the standby has a problem.
            // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-problems.html
            health_check: (site.role == Role::Primary).then(|| primary.id()),
            ..match &targets {
                Some(targets) => alias(&targets[at]),
                None => cname(&fronts[at].api),
            }
        };
        stack.add(Role::Global, &format!("api-{}", site.role), GLOBAL, &record)?;
    }
    Ok(primary)
}

/// The zone that is named in the configuration, unless drctl has made that one; otherwise one of its own.
fn zone(stack: &mut Stack<'_>, config: &Config, facts: &Facts) -> Result<Ref<Id<HostedZone>>, GraphError> {
    let own = facts.own_zone.as_ref().filter(|zone| config.dns.zone_id.as_ref() == Some(&zone.id));
    if let Some(id) = config.dns.zone_id.as_ref().filter(|_| own.is_none()) {
        return Ok(Ref::known(id.as_str()));
    }
    let zone = HostedZone {
        name: own.and_then(|zone| zone.name.clone()).unwrap_or_else(|| config.dns.domain.clone()),
        comment: format!("{}: the public name", config.name()),
        accelerated_recovery: true,
    };
    Ok(stack.add(Role::Global, "main", GLOBAL, &zone)?.id())
}

/// The switch needs no control plane. To fail over, an operator writes an item into the table in the standby's Region. The
/// standby's function reports it, the inverted check becomes unhealthy, and DNS moves. If the standby is down, DNS does not move.
/// <https://aws.amazon.com/blogs/networking-and-content-delivery/creating-disaster-recovery-mechanisms-using-amazon-route-53/>
fn health_checks(stack: &mut Stack<'_>, [here, there]: &[HttpFront; 2]) -> Result<Handle<HealthCheck>, GraphError> {
    let endpoint = |front: &HttpFront, path: &str| HealthCheck {
        kind: "HTTPS".to_owned(),
        host: front.api.output("host"),
        path: path.to_owned(),
        port: 443,
        request_interval: 10,
        failure_threshold: 3,
        sni: true,
        inverted: false,
        disabled: false,
        children: Vec::new(),
        health_threshold: 0,
    };
    let mut add = |name: &str, check: &HealthCheck| stack.add(Role::Global, name, GLOBAL, check);
    let primary = add("primary-endpoint", &endpoint(here, "/health"))?;
    let switch = add("failover-switch", &HealthCheck { inverted: true, ..endpoint(there, "/dr/failover") })?;
    add("secondary-endpoint", &endpoint(there, "/health"))?;
    let both = HealthCheck {
        kind: "CALCULATED".to_owned(),
        host: Ref::known(""),
        path: String::new(),
        port: 0,
        request_interval: 0,
        failure_threshold: 0,
        sni: false,
        inverted: false,
        disabled: false,
        children: vec![primary.id(), switch.id()],
        health_threshold: 2,
    };
    add("primary", &both)
}

/// Adds certificates and domains for the public name in both Regions, so that each Region can serve it.
fn domains(
    stack: &mut Stack<'_>,
    config: &Config,
    sites: &[RegionSite<'_>; 2],
    fronts: &[HttpFront; 2],
    zone: &Ref<Id<HostedZone>>,
) -> Result<[Handle<DomainName>; 2], GraphError> {
    let mut certificate = |site: &RegionSite<'_>| {
        let certificate = Certificate { domain: config.dns.public_name(), key_algorithm: "RSA_2048".to_owned() };
        stack.add(site.role, "api", site.region, &certificate)
    };
    let certificates = [certificate(&sites[0])?, certificate(&sites[1])?];
    // The same for every certificate of one name in one account, in all Regions.
    // See docs/aws-behaviour.md#validation-record-is-shared.
    let [certified, _] = &certificates;
    let validation = Record {
        zone: zone.clone(),
        name: certified.output::<HostName>("validation_name").exists(),
        record_type: "CNAME".to_owned(),
        set_identifier: String::new(),
        failover: String::new(),
        ttl: 300,
        values: vec![json!(certified.output::<str>("validation_value").exists())],
        alias: None,
        health_check: None,
    };
    stack.add(Role::Global, "certificate", GLOBAL, &validation)?;
    let mut domain = |at: usize| {
        let site = &sites[at];
        let domain = DomainName {
            name: config.dns.public_name(),
            certificate: certificates[at].arn(),
            security_policy: "TLS_1_2".to_owned(),
        };
        let domain = stack.add(site.role, "api", site.region, &domain)?;
        let mapping = ApiMapping {
            domain: domain.id(),
            api: fronts[at].api.id(),
            stage: "$default".to_owned(),
            // The stage has to exist before it can be mapped.
            after: vec![fronts[at].stage.id().any()],
        };
        stack.add(site.role, "api", site.region, &mapping)?;
        Ok::<_, GraphError>(domain)
    };
    Ok([domain(0)?, domain(1)?])
}

fn alias(domain: &Handle<DomainName>) -> Record {
    Record {
        record_type: "A".to_owned(),
        ttl: 0,
        alias: Some(Alias {
            dns_name: domain.output("target_domain"),
            zone_id: domain.output("target_zone"),
            // Only the health checks decide, not API Gateway's own health.
            evaluate_target_health: false,
        }),
        ..blank()
    }
}

/// Only shows where the name points. The API does not answer at this name, because it accepts only its own host name.
fn cname(api: &Handle<Api>) -> Record {
    Record { record_type: "CNAME".to_owned(), ttl: TTL, values: vec![json!(api.output::<HostName>("host"))], ..blank() }
}

fn blank() -> Record {
    Record {
        zone: Ref::known(""),
        name: Ref::known(""),
        record_type: String::new(),
        set_identifier: String::new(),
        failover: String::new(),
        ttl: 0,
        values: Vec::new(),
        alias: None,
        health_check: None,
    }
}
