//! What MiniStack 1.5.33 leaves out, as measured.
//!
//! | left out | filled in by |
//! |---|---|
//! | filters that it does not apply (all of them on addresses and VPC endpoints); refusals of ids that do not exist | `selection` |
//! | flow logs: tags on creation, role, log group, interval, format | `flow_logs` |
//! | NAT gateways' addresses, addresses' associations, and that an associated address cannot be released | `addresses` |
//! | VPC endpoints' policies | `endpoint_policies` |
//! | `ModifyVpcPeeringConnectionOptions`, and the options of a peering | `peering_options` |
//! | `AssociateKmsKey` and `DisassociateKmsKey` of a log group | `log_keys` |
//! | routes by way of a peering in `ReplaceRoute`, and that a destination or a subnet has one route or association | `routes` |
//! | that what is still needed cannot be deleted | `dependents` |
//! | tags of APIs and stages that were set after their creation | `apigateway_tags` |
//! | certificates' kinds of keys and request tokens | `acm` |
//! | unsigned calls of an API by its host name | `execute_api` |
//! | clusters' log exports and endpoints, instances' Performance Insights and promotion tier | `rds` |
//! | which classes Aurora runs on, and that they are for global databases | `preflight_classes` |
//! | replicas' keys, recovery periods, and that a source goes after its replica | `dynamodb_tables` |
//! | secrets' replicas, and the refusals of secrets scheduled for deletion | `secret_replicas` |
//! | health checks' children and flags, and the tags of several at once | `route53` |
//! | CBOR, without a package that is not installed with it | `cloudwatch` |
//! | alarms on more than one metric | `cloudwatch_math` |
//!
//! Without them drctl could neither show nor repair a drift in those properties before this emulator, and could delete
//! in any order.

mod acm;
mod addresses;
mod apigateway_tags;
mod cloudwatch;
mod cloudwatch_cbor;
mod cloudwatch_math;
mod dependents;
mod dynamodb_tables;
mod endpoint_policies;
mod execute_api;
mod flow_logs;
mod log_keys;
mod peering_options;
mod preflight_classes;
mod rds;
mod route53;
mod routes;
mod secret_replicas;
mod selection;
mod turns;

use crate::sandbox::proxy::rule::Rule;

/// Those that add to answers. The selection comes first: it selects by what the others have filled in.
pub(super) fn of_answers() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(selection::Selection),
        Box::new(flow_logs::FlowLogs::default()),
        Box::new(addresses::Addresses::default()),
        Box::new(endpoint_policies::EndpointPolicies::default()),
        Box::new(peering_options::PeeringOptions::default()),
        Box::new(log_keys::LogKeys::default()),
        Box::new(execute_api::ExecuteApi::default()),
        Box::new(rds::Rds::default()),
        Box::new(preflight_classes::PreflightClasses),
        Box::new(dynamodb_tables::DynamoDbTables::default()),
        Box::new(secret_replicas::SecretReplicas::default()),
        Box::new(route53::Route53),
        // Behind this one, CloudWatch speaks JSON.
        Box::new(cloudwatch::InJson),
        Box::new(cloudwatch_math::AlarmMetrics::default()),
    ]
}

/// Those that guard what the emulator keeps. The turns come first: what the others have looked at has to hold until
/// they are done.
pub(super) fn of_resources() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(turns::Turns::default()),
        Box::new(routes::Routes),
        Box::new(dependents::Dependents),
        Box::new(apigateway_tags::ApiGatewayTags),
        Box::new(acm::Acm::default()),
    ]
}
