//! Refusals of Amazon EC2.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // An address whose NAT gateway is still being deleted. See docs/aws-behaviour.md#address-held-by-nat-gateway.
    ("ec2", "ReleaseAddress", "AuthFailure", "", Class::Transient),
    // A role that was created a moment ago. EC2's CreateFlowLogs names no code of its own for it.
    // See docs/aws-behaviour.md#flow-log-role-not-assumable-yet.
    ("ec2", "CreateFlowLogs", "InvalidParameter", "IAM role", Class::Transient),
    ("ec2", "CreateFlowLogs", "InvalidParameter", "Access Denied for LogDestination", Class::Transient),
    // A route whose target is being created. See docs/aws-behaviour.md#route-to-what-is-not-ready.
    ("ec2", "CreateRoute", "InvalidParameterValue", "", Class::NotYet),
    ("ec2", "CreateRoute", "InvalidParameterException", "", Class::Transient),
    ("ec2", "DeleteRoute", "InvalidParameterException", "", Class::Transient),
    // See docs/aws-behaviour.md#peering-options-need-active.
    ("ec2", "ModifyVpcPeeringConnectionOptions", "OperationNotPermitted", "", Class::NotYet),
];

/// The beginnings of calls that create or change something, and refer to existing resources.
const REFERRING: [&str; 8] = ["Accept", "Associate", "Attach", "Authorize", "Create", "Modify", "Replace", "Update"];

/// What a code means that says that an id does not exist.
///
/// The ids in drctl's calls are AWS's own, so they cannot be wrong: if a call creates or changes something, the resource that it
/// names was created a moment ago and is not visible everywhere yet, even after a successful `Describe`
/// (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>,
/// <https://github.com/hashicorp/packer/issues/3627>). To any other call, it has been deleted.
/// See docs/aws-behaviour.md#new-id-not-visible-yet.
///
/// It is recognised by its form, because EC2 has several codes for the same thing: `InvalidSubnetID.NotFound` and
/// `InvalidSubnetId.NotFound`, `InvalidGroup.NotFound` and `InvalidSecurityGroupID.NotFound`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>; terraform-provider-aws,
/// internal/service/ec2/errors.go, has both of each). See docs/aws-behaviour.md#two-spellings-of-not-found.
pub(super) fn by_form(operation: &str, code: &str) -> Option<Class> {
    let names_nothing = code.to_ascii_lowercase().ends_with(".notfound");
    let refers = REFERRING.iter().any(|verb| operation.starts_with(verb));
    names_nothing.then_some(if refers { Class::NotYet } else { Class::NotFound })
}

#[cfg(test)]
mod tests {
    use crate::classify::class_of;
    use drctl_engine::Class;

    #[test]
    fn a_new_id_is_waited_for_however_its_code_is_spelt() {
        for (operation, code) in [
            ("CreateVpcEndpoint", "InvalidVpcID.NotFound"),
            ("CreateVpcEndpoint", "InvalidVpcId.NotFound"),
            ("CreateVpcEndpoint", "InvalidRouteTableID.NotFound"),
            ("ModifyVpcEndpoint", "InvalidRouteTableId.NotFound"),
            ("CreateNatGateway", "InvalidSubnetId.NotFound"),
            ("CreateNatGateway", "InvalidSubnetID.NotFound"),
            ("ModifySubnetAttribute", "InvalidSubnetId.NotFound"),
            ("AssociateRouteTable", "InvalidSubnetId.NotFound"),
            ("ReplaceRouteTableAssociation", "InvalidRouteTableID.NotFound"),
            ("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound"),
            ("AuthorizeSecurityGroupEgress", "InvalidSecurityGroupID.NotFound"),
            ("AttachInternetGateway", "InvalidInternetGatewayId.NotFound"),
            ("CreateRoute", "InvalidGatewayID.NotFound"),
            ("CreateTags", "InvalidVpcPeeringConnectionID.NotFound"),
            ("AcceptVpcPeeringConnection", "InvalidVpcPeeringConnectionId.NotFound"),
        ] {
            assert_eq!(class_of("ec2", operation, code, "does not exist", 400), Class::NotYet, "{operation}: {code}");
        }
    }

    #[test]
    fn what_is_looked_at_or_deleted_and_not_there_is_gone() {
        for (operation, code) in [
            ("DescribeSubnets", "InvalidSubnetId.NotFound"),
            ("DeleteSecurityGroup", "InvalidSecurityGroupID.NotFound"),
            ("DisassociateRouteTable", "InvalidAssociationID.NotFound"),
            ("RevokeSecurityGroupIngress", "InvalidSecurityGroupRuleId.NotFound"),
            ("ReleaseAddress", "InvalidAllocationID.NotFound"),
        ] {
            assert_eq!(class_of("ec2", operation, code, "does not exist", 400), Class::NotFound, "{operation}: {code}");
        }
        assert_eq!(class_of("ec2", "CreateSubnet", "InvalidSubnet.Conflict", "", 400), Class::Refused);
    }
}
