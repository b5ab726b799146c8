//! What MiniStack 1.5.33 leaves out, as measured.
//!
//! | left out | filled in by |
//! |---|---|
//! | filters that it does not apply (all of them on addresses and VPC endpoints); refusals of ids that do not exist | `selection` |
//! | flow logs: tags on creation, role, log group, interval, format | `flow_logs` |
//! | NAT gateways' addresses, addresses' associations, and that an associated address cannot be released | `addresses` |
//! | VPC endpoints' policies | `endpoint_policies` |
//! | `ModifyVpcPeeringConnectionOptions`, and the options of a peering | `peering_options` |
//! | what follows from a key that is disabled or waits for its end | `keys`, by name |
//! | `AssociateKmsKey` and `DisassociateKmsKey` of a log group | `log_keys` |
//! | routes by way of a peering in `ReplaceRoute`, and that a destination or a subnet has one route or association | `routes` |
//! | that what is still needed cannot be deleted | `dependents` |
//! | instances' interfaces, and that what an interface is in cannot be deleted | `interfaces` |
//! | tags of APIs and stages that were set after their creation | `apigateway_tags` |
//! | certificates' kinds of keys and request tokens | `acm` |
//! | calls of an API by its host name, and who is let through | `execute_api` |
//! | that a route needs its authorizer | `authorizers` |
//! | clusters' log exports and endpoints, instances' Performance Insights and promotion tier | `rds` |
//! | what AWS refuses of Aurora's global databases, their parameters, versions and snapshots | `aurora`, by name |
//! | which classes Aurora runs on, and that they are for global databases | `preflight_classes` |
//! | which of Aurora's versions can be upgraded to which | `preflight_upgrades` |
//! | replicas' keys, recovery periods, and that a source goes after its replica | `dynamodb_tables` |
//! | secrets' replicas, and the refusals of secrets scheduled for deletion | `secret_replicas` |
//! | health checks' children and flags, and the tags of several at once | `route53` |
//! | what the checkers of a health check see | `health_check_status` |
//! | CBOR, without a package that is not installed with it | `cloudwatch` |
//! | alarms on more than one metric | `cloudwatch_math` |
//!
//! Without them drctl could neither show nor repair a drift in those properties before this emulator, and could delete
//! in any order.

mod acm;
mod addresses;
mod apigateway_tags;
mod aurora;
mod authorizers;
mod cloudwatch;
mod cloudwatch_cbor;
mod cloudwatch_math;
mod dependents;
mod dynamodb_tables;
mod endpoint_policies;
mod execute_api;
mod flow_logs;
mod health_check_status;
mod interfaces;
mod keys;
mod log_keys;
mod peering_options;
mod preflight_classes;
mod preflight_upgrades;
mod rds;
mod route53;
mod routes;
mod secret_replicas;
mod selection;
mod serialised_changes;

use crate::rules::rule::Rule;

/// The rules that add to answers. The selection comes first, since it selects by what the others have filled in.
/// `scale`: how many times faster than AWS time passes; `None` if nothing takes time.
pub(super) fn of_answers(scale: Option<f64>) -> Vec<Box<dyn Rule>> {
    let mut rules: Vec<Box<dyn Rule>> = vec![
        Box::new(selection::Selection),
        Box::new(flow_logs::FlowLogs::default()),
        Box::new(addresses::Addresses::default()),
        Box::new(endpoint_policies::EndpointPolicies::default()),
        Box::new(peering_options::PeeringOptions::default()),
        Box::new(log_keys::LogKeys::default()),
        Box::new(execute_api::ExecuteApi::default()),
        Box::new(rds::Rds::default()),
        Box::new(preflight_classes::PreflightClasses),
        Box::new(preflight_upgrades::PreflightUpgrades),
        Box::new(dynamodb_tables::DynamoDbTables::default()),
        Box::new(secret_replicas::SecretReplicas::default()),
        Box::new(health_check_status::HealthCheckStatus::default()),
        Box::new(route53::Route53),
        // After this rule, CloudWatch's calls are in JSON.
        Box::new(cloudwatch::CborToJson),
        Box::new(cloudwatch_math::AlarmMetrics::default()),
    ];
    rules.extend(aurora::rules());
    // After those, since a final snapshot needs its key, too.
    rules.extend(keys::rules(scale));
    rules
}

/// The rules that guard what the emulator keeps. The serialised changes come first: what the other rules have read must
/// still hold when they act on it.
pub(super) fn of_resources() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(serialised_changes::SerialisedChanges::default()),
        Box::new(routes::Routes),
        Box::new(dependents::DEPENDENTS),
        Box::new(authorizers::AUTHORIZERS),
        Box::new(interfaces::Interfaces),
        Box::new(apigateway_tags::ApiGatewayTags),
        Box::new(acm::Acm::default()),
    ]
}
