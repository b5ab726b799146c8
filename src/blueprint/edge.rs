//! How clients find the Region that serves: zone, health checks, the failover pair; and what makes the name serve HTTPS.

use serde_json::json;

use super::compute::Front;
use super::{GLOBAL, Site};
use drctl_aws::resources::acm::Certificate;
use drctl_aws::resources::apigatewayv2::{Api, ApiMapping, DomainName};
use drctl_aws::resources::route53::{Alias, HealthCheck, HostName, HostedZone, Record};
use drctl_aws::resources::{Handle, Id, Ref, Stack};
use drctl_config::Config;
use drctl_engine::GraphError;
use drctl_engine::state::Role;

/// Seconds that resolvers keep the answer, and with it the last part of every failover.
const TTL: i32 = 60;

/// Adds everything. Returns the check that decides whether the primary is the answer.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    sites: &[Site<'_>; 2],
    fronts: &[Front; 2],
) -> Result<Handle<HealthCheck>, GraphError> {
    let zone = zone(stack, config)?;
    let primary = health_checks(stack, fronts)?;
    let targets = if config.dns.certificate { Some(domains(stack, config, sites, fronts, &zone)?) } else { None };
    let name = config.dns.public_name();
    for (at, (site, failover)) in sites.iter().zip(["PRIMARY", "SECONDARY"]).enumerate() {
        let record = Record {
            zone: zone.clone(),
            name: Ref::known(name.as_str()),
            // The stack's name in it says whose the record is: records have no tags.
            set_identifier: format!("{}-{}", config.name(), site.role),
            failover: failover.to_owned(),
            // The standby answers whenever the primary does not, healthy or not: with a check of its own, Route 53 would go
            // back to a primary that was failed away from as soon as the standby stumbles.
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

fn zone(stack: &mut Stack<'_>, config: &Config) -> Result<Ref<Id<HostedZone>>, GraphError> {
    if let Some(id) = &config.dns.zone_id {
        return Ok(Ref::known(id.as_str()));
    }
    let zone = HostedZone {
        name: config.dns.domain.clone(),
        comment: format!("{}: the public name", config.name()),
        accelerated_recovery: true,
    };
    Ok(stack.add(Role::Global, "main", GLOBAL, &zone)?.id())
}

/// The switch needs no control plane: whoever fails over writes an item into the standby's own table, the standby's function
/// says so, the inverted check turns unhealthy, and DNS moves. If the standby dies, nothing moves.
/// <https://aws.amazon.com/blogs/networking-and-content-delivery/creating-disaster-recovery-mechanisms-using-amazon-route-53/>
fn health_checks(stack: &mut Stack<'_>, [here, there]: &[Front; 2]) -> Result<Handle<HealthCheck>, GraphError> {
    let endpoint = |front: &Front, path: &str| HealthCheck {
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

/// Certificates and domains of the public name in both Regions, so that each serves the name as its own.
fn domains(
    stack: &mut Stack<'_>,
    config: &Config,
    sites: &[Site<'_>; 2],
    fronts: &[Front; 2],
    zone: &Ref<Id<HostedZone>>,
) -> Result<[Handle<DomainName>; 2], GraphError> {
    let mut certificate = |site: &Site<'_>| {
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
            // A mapping is to a stage that is there.
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
            // The checks decide, not what API Gateway says of itself.
            evaluate_target_health: false,
        }),
        ..nothing()
    }
}

/// Good for a look at where the name leads. An API does not answer under it: its own host name refuses every other.
fn cname(api: &Handle<Api>) -> Record {
    Record {
        record_type: "CNAME".to_owned(),
        ttl: TTL,
        values: vec![json!(api.output::<HostName>("host"))],
        ..nothing()
    }
}

fn nothing() -> Record {
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
