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
//!
//! Without them drctl could neither show nor repair a drift in those properties before this emulator.

mod addresses;
mod endpoint_policies;
mod flow_logs;
mod log_keys;
mod peering_options;
mod selection;

use crate::sandbox::proxy::rule::Rule;

/// One rule for each. The selection comes first: it selects by what the others have filled in.
pub(super) fn all() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(selection::Selection),
        Box::new(flow_logs::FlowLogs::default()),
        Box::new(addresses::Addresses::default()),
        Box::new(endpoint_policies::EndpointPolicies::default()),
        Box::new(peering_options::PeeringOptions::default()),
        Box::new(log_keys::LogKeys::default()),
    ]
}
