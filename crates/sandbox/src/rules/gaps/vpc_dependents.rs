//! What MiniStack does not look for before it deletes a VPC, beside `dependents`: network ACLs, and the gateways that are not internet
//! gateways. See docs/aws-behaviour.md#deletion-needs-an-order.

use futures::FutureExt;

use crate::rules::ec2::{list, refusals};
use crate::rules::rule::{Check, Next};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Refuses to delete a VPC that still has one of those.
pub(super) const VPC_DEPENDENTS: Check = Check(|call, next| check(call, next).boxed());

async fn check(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    if !call.is("ec2", "DeleteVpc") {
        return Ok(());
    }
    let vpc = call.form().get("VpcId").unwrap_or_default();
    let acls = list(call, next, "DescribeNetworkAcls", "networkAclSet").await?;
    let egress_only = list(call, next, "DescribeEgressOnlyInternetGateways", "egressOnlyInternetGatewaySet").await?;
    let private = list(call, next, "DescribeVpnGateways", "vpnGatewaySet").await?;
    // The default one is deleted with its VPC.
    let has_acl = acls
        .iter()
        .any(|acl| acl.text_of("vpcId") == Some(vpc) && !matches!(acl.text_of("default"), Some("true" | "True")));
    let is_attached = |gateway: &Element, set: &str| {
        let to = |attachment: &&Element| attachment.text_of("vpcId") == Some(vpc);
        gateway
            .at(&[set, "item"])
            .iter()
            .any(|attachment| to(attachment) && attachment.text_of("state") != Some("detached"))
    };
    let has_gateway = egress_only.iter().any(|gateway| is_attached(gateway, "attachmentSet"))
        || private.iter().any(|gateway| is_attached(gateway, "attachments"));
    if has_acl || has_gateway { Err(refusals::has_dependencies(call, "vpc", vpc)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::Rule as _;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::ec2;

    #[tokio::test]
    async fn a_vpc_with_an_acl_or_a_gateway_is_not_deleted() {
        let origin = Scripted::new(|call| {
            ok(match call.operation.as_str() {
                "DescribeNetworkAcls" => {
                    "<r><networkAclSet><item><vpcId>vpc-1</vpcId><default>false</default></item>\
                     <item><vpcId>vpc-4</vpcId><default>true</default></item></networkAclSet></r>"
                }
                "DescribeEgressOnlyInternetGateways" => {
                    "<r><egressOnlyInternetGatewaySet><item><attachmentSet><item><vpcId>vpc-2</vpcId><state>attached</state>\
                     </item></attachmentSet></item></egressOnlyInternetGatewaySet></r>"
                }
                "DescribeVpnGateways" => {
                    "<r><vpnGatewaySet><item><attachments><item><vpcId>vpc-3</vpcId><state>attached</state></item>\
                     <item><vpcId>vpc-4</vpcId><state>detached</state></item></attachments></item></vpnGatewaySet></r>"
                }
                _ => "<r><return>true</return></r>",
            })
        });
        for (vpc, refused) in [("vpc-1", true), ("vpc-2", true), ("vpc-3", true), ("vpc-4", false)] {
            let mut call = ec2("111122223333", "us-east-1", &format!("Action=DeleteVpc&VpcId={vpc}"));
            let answer = text(&VPC_DEPENDENTS.apply(&mut call, Next::new(&[], &origin)).await);
            assert_eq!(answer.contains("<Code>DependencyViolation</Code>"), refused, "{vpc}: {answer}");
        }
    }
}
