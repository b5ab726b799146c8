//! Deletions: MiniStack deletes most resources while others still need them, where AWS insists on an order.
//! See docs/aws-behaviour.md#deletion-needs-an-order and docs/aws-behaviour.md#security-group-referenced.

use futures::FutureExt;

use crate::rules::ec2::{list, refusals};
use crate::rules::rule::{Check, Next};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Refuses to delete what something still needs.
pub(super) const DEPENDENTS: Check = Check(|call, next| check(call, next).boxed());

async fn check(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    if call.service != "ec2" {
        return Ok(());
    }
    match call.operation.as_str() {
        "DeleteVpc" => {
            let vpc = parameter(call, "VpcId");
            refuse_if(vpc_is_needed(call, next, vpc).await?, || refusals::has_dependencies(call, "vpc", vpc))
        }
        "DeleteSubnet" => {
            let subnet = parameter(call, "SubnetId");
            let is_needed = subnet_is_needed(call, next, subnet).await?;
            refuse_if(is_needed, || refusals::has_dependencies(call, "subnet", subnet))?;
            end_associations(call, next).await
        }
        "DeleteInternetGateway" => {
            let gateway = parameter(call, "InternetGatewayId");
            let gateways = list(call, next, "DescribeInternetGateways", "internetGatewaySet").await?;
            let is_attached = holds(&gateways, "internetGatewayId", gateway, "attachmentSet");
            refuse_if(is_attached, || refusals::has_dependencies(call, "internetGateway", gateway))
        }
        "DeleteRouteTable" => {
            let table = parameter(call, "RouteTableId");
            let tables = list(call, next, "DescribeRouteTables", "routeTableSet").await?;
            let is_associated = holds(&tables, "routeTableId", table, "associationSet");
            refuse_if(is_associated, || refusals::has_dependencies(call, "routeTable", table))
        }
        "DeleteSecurityGroup" => {
            let group = parameter(call, "GroupId");
            refuse_if(group_is_needed(call, next, group).await?, || refusals::has_dependent_object(call, group))
        }
        _ => Ok(()),
    }
}

fn refuse_if(is_needed: bool, refusal: impl FnOnce() -> Answer) -> Result<(), Answer> {
    if is_needed { Err(refusal()) } else { Ok(()) }
}

fn parameter<'a>(call: &'a Call, name: &str) -> &'a str {
    call.form().get(name).unwrap_or_default()
}

/// Whether the set of this name in the item of this id has any items.
fn holds(items: &[Element], id_element: &str, id: &str, set: &str) -> bool {
    items.iter().any(|item| item.text_of(id_element) == Some(id) && !item.at(&[set, "item"]).is_empty())
}

fn any_is(item: &Element, path: &[&str], wanted: &str) -> bool {
    item.at(path).iter().any(|found| found.text() == wanted)
}

/// Whether a VPC has something that MiniStack does not check itself. It does check subnets, groups, and attached
/// gateways.
async fn vpc_is_needed(call: &Call, next: Next<'_>, vpc: &str) -> Result<bool, Answer> {
    let tables = list(call, next, "DescribeRouteTables", "routeTableSet").await?;
    let endpoints = list(call, next, "DescribeVpcEndpoints", "vpcEndpointSet").await?;
    let peerings = list(call, next, "DescribeVpcPeeringConnections", "vpcPeeringConnectionSet").await?;
    let is_in = |item: &Element| item.text_of("vpcId") == Some(vpc);
    // The main route table is deleted with its VPC.
    let is_main = |table: &Element| any_is(table, &["associationSet", "item", "main"], "true");
    let has_table = tables.iter().any(|table| is_in(table) && !is_main(table));
    let has_peering = peerings.iter().any(|peering| {
        let of_vpc =
            ["requesterVpcInfo", "accepterVpcInfo"].into_iter().any(|side| any_is(peering, &[side, "vpcId"], vpc));
        of_vpc && any_is(peering, &["status", "code"], "active")
    });
    Ok(has_table || has_peering || endpoints.iter().any(is_in))
}

/// Whether a subnet has something with a network interface.
async fn subnet_is_needed(call: &Call, next: Next<'_>, subnet: &str) -> Result<bool, Answer> {
    let gateways = list(call, next, "DescribeNatGateways", "natGatewaySet").await?;
    let endpoints = list(call, next, "DescribeVpcEndpoints", "vpcEndpointSet").await?;
    let has_gateway = gateways.iter().any(|gateway| {
        let exists = !matches!(gateway.text_of("state"), Some("deleted" | "failed"));
        exists && gateway.text_of("subnetId") == Some(subnet)
    });
    Ok(has_gateway || endpoints.iter().any(|endpoint| any_is(endpoint, &["subnetIdSet", "item"], subnet)))
}

/// Whether a rule of another group refers to a group. Its own rules are deleted with it.
async fn group_is_needed(call: &Call, next: Next<'_>, group: &str) -> Result<bool, Answer> {
    let groups = list(call, next, "DescribeSecurityGroups", "securityGroupInfo").await?;
    let refers = |other: &Element| {
        ["ipPermissions", "ipPermissionsEgress"]
            .into_iter()
            .any(|rules| any_is(other, &[rules, "item", "groups", "item", "groupId"], group))
    };
    Ok(groups.iter().any(|other| other.text_of("groupId") != Some(group) && refers(other)))
}

/// Ends the associations of a subnet, as AWS does when it deletes the subnet. MiniStack leaves them, and the route
/// table could never be deleted.
async fn end_associations(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    let subnet = parameter(call, "SubnetId");
    let mut associations = Vec::new();
    for table in list(call, next, "DescribeRouteTables", "routeTableSet").await? {
        for association in table.at(&["associationSet", "item"]) {
            if association.text_of("subnetId") == Some(subnet) {
                associations.push(association.text_of("routeTableAssociationId").unwrap_or_default().to_owned());
            }
        }
    }
    for id in &associations {
        let mut end = call.ask_query("DisassociateRouteTable", &[("AssociationId", id)]);
        let answer = next.run(&mut end).await;
        if !answer.is_success() {
            return Err(answer);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::Rule as _;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::ec2;

    /// Resources named `-1` are needed, and those named `-2` are not.
    fn emulator() -> Scripted {
        Scripted::new(|call| {
            ok(match call.operation.as_str() {
                "DescribeRouteTables" => {
                    "<r><routeTableSet>\
                     <item><routeTableId>rtb-1</routeTableId><vpcId>vpc-1</vpcId><associationSet><item>\
                     <routeTableAssociationId>rtbassoc-1</routeTableAssociationId><main>false</main>\
                     <subnetId>subnet-2</subnetId></item></associationSet></item>\
                     <item><routeTableId>rtb-2</routeTableId><vpcId>vpc-1</vpcId><associationSet/></item>\
                     <item><routeTableId>rtb-0</routeTableId><vpcId>vpc-2</vpcId><associationSet><item>\
                     <main>true</main></item></associationSet></item></routeTableSet></r>"
                }
                "DescribeVpcEndpoints" => {
                    "<r><vpcEndpointSet><item><vpcId>vpc-3</vpcId><subnetIdSet><item>subnet-3</item></subnetIdSet>\
                     </item></vpcEndpointSet></r>"
                }
                "DescribeVpcPeeringConnections" => {
                    "<r><vpcPeeringConnectionSet>\
                     <item><requesterVpcInfo><vpcId>vpc-9</vpcId></requesterVpcInfo>\
                     <accepterVpcInfo><vpcId>vpc-4</vpcId></accepterVpcInfo><status><code>active</code></status></item>\
                     <item><requesterVpcInfo><vpcId>vpc-2</vpcId></requesterVpcInfo>\
                     <accepterVpcInfo><vpcId>vpc-9</vpcId></accepterVpcInfo><status><code>deleted</code></status></item>\
                     </vpcPeeringConnectionSet></r>"
                }
                "DescribeNatGateways" => {
                    "<r><natGatewaySet><item><subnetId>subnet-1</subnetId><state>available</state></item>\
                     <item><subnetId>subnet-2</subnetId><state>deleted</state></item></natGatewaySet></r>"
                }
                "DescribeInternetGateways" => {
                    "<r><internetGatewaySet><item><internetGatewayId>igw-1</internetGatewayId><attachmentSet><item/>\
                     </attachmentSet></item><item><internetGatewayId>igw-2</internetGatewayId><attachmentSet/></item>\
                     </internetGatewaySet></r>"
                }
                "DescribeSecurityGroups" => {
                    "<r><securityGroupInfo><item><groupId>sg-1</groupId></item><item><groupId>sg-2</groupId>\
                     <ipPermissionsEgress><item><groups><item><groupId>sg-1</groupId></item></groups></item>\
                     </ipPermissionsEgress><ipPermissions><item><groups><item><groupId>sg-2</groupId></item></groups>\
                     </item></ipPermissions></item></securityGroupInfo></r>"
                }
                _ => "<r><return>true</return></r>",
            })
        })
    }

    async fn ask(origin: &Scripted, body: &str) -> String {
        text(&DEPENDENTS.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], origin)).await)
    }

    #[tokio::test]
    async fn a_needed_resource_is_not_deleted() {
        let origin = emulator();
        for (body, message) in [
            ("Action=DeleteVpc&VpcId=vpc-1", "The vpc &apos;vpc-1&apos; has dependencies"),
            ("Action=DeleteVpc&VpcId=vpc-3", "The vpc &apos;vpc-3&apos; has dependencies"),
            ("Action=DeleteVpc&VpcId=vpc-4", "The vpc &apos;vpc-4&apos; has dependencies"),
            ("Action=DeleteSubnet&SubnetId=subnet-1", "The subnet &apos;subnet-1&apos; has dependencies"),
            ("Action=DeleteSubnet&SubnetId=subnet-3", "The subnet &apos;subnet-3&apos; has dependencies"),
            ("Action=DeleteInternetGateway&InternetGatewayId=igw-1", "The internetGateway &apos;igw-1&apos; has"),
            ("Action=DeleteRouteTable&RouteTableId=rtb-1", "The routeTable &apos;rtb-1&apos; has dependencies"),
            ("Action=DeleteSecurityGroup&GroupId=sg-1", "resource sg-1 has a dependent object"),
        ] {
            let refused = ask(&origin, body).await;
            assert!(refused.contains("<Code>DependencyViolation</Code>"), "{body}: {refused}");
            assert!(refused.contains(message), "{body}: {refused}");
        }
        assert!(origin.asked().iter().all(|asked| asked.starts_with("Action=Describe")), "{:?}", origin.asked());
    }

    #[tokio::test]
    async fn a_resource_that_nothing_needs_is_deleted() {
        for body in [
            "Action=DeleteVpc&VpcId=vpc-2",
            "Action=DeleteSubnet&SubnetId=subnet-2",
            "Action=DeleteInternetGateway&InternetGatewayId=igw-2",
            "Action=DeleteRouteTable&RouteTableId=rtb-2",
            "Action=DeleteSecurityGroup&GroupId=sg-2",
        ] {
            let origin = emulator();
            let answer = ask(&origin, body).await;
            assert!(answer.contains("<return>true"), "{body}: {answer}");
            assert_eq!(origin.asked().last().map(String::as_str), Some(body));
        }
    }

    #[tokio::test]
    async fn a_subnet_is_deleted_with_its_association() {
        let origin = emulator();
        ask(&origin, "Action=DeleteSubnet&Version=2016-11-15&SubnetId=subnet-2").await;
        let end = "Action=DisassociateRouteTable&Version=2016-11-15&AssociationId=rtbassoc-1".to_owned();
        assert!(origin.asked().contains(&end), "{:?}", origin.asked());
    }

    #[tokio::test]
    async fn nothing_is_deleted_if_its_dependents_cannot_be_read() {
        let origin = Scripted::new(|call| match call.operation.as_str() {
            "DescribeRouteTables" => ok("not XML <"),
            _ => Answer::client_error(call, "RequestLimitExceeded", "later"),
        });
        let unread = ask(&origin, "Action=DeleteRouteTable&RouteTableId=rtb-1").await;
        assert!(unread.contains("<Code>InternalError</Code>"), "{unread}");
        let refused = ask(&origin, "Action=DeleteSecurityGroup&GroupId=sg-1").await;
        assert!(refused.contains("<Code>RequestLimitExceeded</Code>"), "{refused}");
        assert!(origin.asked().iter().all(|asked| asked.starts_with("Action=Describe")), "{:?}", origin.asked());
    }
}
