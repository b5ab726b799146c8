//! EC2's refusals that more than one rule answers with, each with AWS's message.

use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// `ReleaseAddress` of an address that something uses.
pub(in crate::rules) fn address_in_use(call: &Call, allocation: &str) -> Answer {
    let message = format!("The address with allocation id [{allocation}] is in use.");
    Answer::client_error(call, "InvalidIPAddress.InUse", &message)
}

/// `DetachInternetGateway` while a NAT gateway in the VPC has a public address.
pub(in crate::rules) fn mapped_addresses(call: &Call, vpc: &str) -> Answer {
    let message = format!(
        "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the \
         gateway."
    );
    Answer::client_error(call, "DependencyViolation", &message)
}

/// `DeleteVpc`, `DeleteSubnet`, and their like, while something depends on the resource; `what` is EC2's word for it.
pub(in crate::rules) fn has_dependencies(call: &Call, what: &str, id: &str) -> Answer {
    let message = format!("The {what} '{id}' has dependencies and cannot be deleted.");
    Answer::client_error(call, "DependencyViolation", &message)
}

/// `DeleteSecurityGroup` while something uses the group.
pub(in crate::rules) fn has_dependent_object(call: &Call, group: &str) -> Answer {
    Answer::client_error(call, "DependencyViolation", &format!("resource {group} has a dependent object"))
}

/// Any call that names a peering connection that does not exist, or that this Region does not know yet.
pub(in crate::rules) fn peering_not_found(call: &Call, id: &str) -> Answer {
    let message = format!("The vpcPeeringConnection ID '{id}' does not exist");
    Answer::client_error(call, "InvalidVpcPeeringConnectionID.NotFound", &message)
}

/// `ModifyVpcPeeringConnectionOptions` before the connection is active.
pub(in crate::rules) fn peering_not_active(call: &Call, id: &str) -> Answer {
    let message = format!("Peering {id} is not active. Peering options can be added only to active peerings.");
    Answer::client_error(call, "OperationNotPermitted", &message)
}
