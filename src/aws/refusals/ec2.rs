//! Amazon EC2's.

use super::Row;
use crate::engine::Class;

pub(super) const ROWS: &[Row] = &[
    // An address whose NAT gateway is still going. aws-behaviour row 9; terraform-provider-aws retries it as well
    // (internal/service/ec2/ec2_eip.go).
    ("ec2", "ReleaseAddress", "AuthFailure", "", Class::Transient),
    // A role that was made a moment ago. EC2's CreateFlowLogs names no code of its own for it.
    ("ec2", "CreateFlowLogs", "InvalidParameter", "IAM role", Class::Transient),
    ("ec2", "CreateFlowLogs", "InvalidParameter", "Access Denied for LogDestination", Class::Transient),
    // Made a moment ago, and not visible everywhere yet: the references are AWS's own ids, so they cannot be wrong.
    // https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
    ("ec2", "AttachInternetGateway", "InvalidInternetGatewayID.NotFound", "", Class::NotYet),
    ("ec2", "AttachInternetGateway", "InvalidVpcID.NotFound", "", Class::NotYet),
    // Even after a successful Describe: https://github.com/hashicorp/packer/issues/3627
    ("ec2", "AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound", "", Class::NotYet),
    ("ec2", "AuthorizeSecurityGroupEgress", "InvalidGroup.NotFound", "", Class::NotYet),
    ("ec2", "UpdateSecurityGroupRuleDescriptionsIngress", "InvalidGroup.NotFound", "", Class::NotYet),
    ("ec2", "UpdateSecurityGroupRuleDescriptionsEgress", "InvalidGroup.NotFound", "", Class::NotYet),
    ("ec2", "CreateVpcPeeringConnection", "InvalidVpcID.NotFound", "", Class::Transient),
    ("ec2", "CreateFlowLogs", "InvalidVpcId.NotFound", "", Class::Transient),
    ("ec2", "CreateFlowLogs", "InvalidVpcID.NotFound", "", Class::Transient),
    ("ec2", "ModifySubnetAttribute", "InvalidSubnetID.NotFound", "", Class::NotYet),
    ("ec2", "ModifyVpcAttribute", "InvalidVpcID.NotFound", "", Class::NotYet),
    ("ec2", "CreateSubnet", "InvalidVpcID.NotFound", "", Class::Transient),
    ("ec2", "CreateRouteTable", "InvalidVpcID.NotFound", "", Class::Transient),
    ("ec2", "CreateSecurityGroup", "InvalidVpcID.NotFound", "", Class::Transient),
    ("ec2", "CreateNatGateway", "InvalidSubnetID.NotFound", "", Class::Transient),
    ("ec2", "CreateNatGateway", "InvalidAllocationID.NotFound", "", Class::Transient),
    ("ec2", "CreateVpcEndpoint", "InvalidVpcId.NotFound", "", Class::Transient),
    ("ec2", "CreateVpcEndpoint", "InvalidRouteTableId.NotFound", "", Class::Transient),
    // A route or a NAT gateway whose target is being made. terraform-provider-aws, internal/service/ec2/vpc_route.go.
    ("ec2", "CreateRoute", "InvalidNatGatewayID.NotFound", "", Class::NotYet),
    ("ec2", "CreateRoute", "InvalidGatewayID.NotFound", "", Class::NotYet),
    ("ec2", "CreateRoute", "InvalidVpcPeeringConnectionID.NotFound", "", Class::NotYet),
    ("ec2", "CreateRoute", "InvalidParameterValue", "", Class::NotYet),
    ("ec2", "CreateRoute", "InvalidRouteTableID.NotFound", "", Class::Transient),
    ("ec2", "CreateRoute", "InvalidParameterException", "", Class::Transient),
    ("ec2", "DeleteRoute", "InvalidParameterException", "", Class::Transient),
    ("ec2", "ReplaceRoute", "InvalidNatGatewayID.NotFound", "", Class::NotYet),
    ("ec2", "ReplaceRoute", "InvalidGatewayID.NotFound", "", Class::NotYet),
    ("ec2", "ReplaceRoute", "InvalidVpcPeeringConnectionID.NotFound", "", Class::NotYet),
    ("ec2", "AssociateRouteTable", "InvalidRouteTableID.NotFound", "", Class::Transient),
    ("ec2", "AssociateRouteTable", "InvalidSubnetID.NotFound", "", Class::Transient),
    // The accepter's Region has not heard of the request yet. aws-behaviour row 7.
    ("ec2", "AcceptVpcPeeringConnection", "InvalidVpcPeeringConnectionID.NotFound", "", Class::NotYet),
    ("ec2", "ModifyVpcPeeringConnectionOptions", "OperationNotPermitted", "", Class::NotYet),
];
