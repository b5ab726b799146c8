//! What MiniStack 1.5.33 leaves out of EC2 and CloudWatch Logs, as measured.
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
//!
//! Without them drctl could neither show nor repair a drift in those properties before this emulator, and could delete
//! in any order.

mod addresses;
mod dependents;
mod endpoint_policies;
mod flow_logs;
mod log_keys;
mod peering_options;
mod routes;
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
    ]
}

/// Those that guard what the emulator keeps. The turns come first: what the others have looked at has to hold until
/// they are done.
pub(super) fn of_resources() -> Vec<Box<dyn Rule>> {
    vec![Box::new(turns::Turns::default()), Box::new(routes::Routes), Box::new(dependents::Dependents)]
}
