//! What several rules need to know about EC2: its lists, filters, and refusals.

pub(super) mod filters;
pub(super) mod refusals;

use crate::rules::ask;
use crate::rules::rule::Next;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::form::Form;
use crate::wire::xml::Element;

/// A `Describe…` operation.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) operation: &'static str,
    /// The element that holds the items.
    set: &'static str,
    /// The element in an item that holds its id.
    id: &'static str,
    /// The parameter that selects ids.
    id_parameter: &'static str,
    /// The code with which AWS refuses an id that does not exist.
    not_found: &'static str,
}

static LISTINGS: [Listing; 11] = [
    Listing::new("DescribeVpcs", "vpcSet", "vpcId", "VpcId", "InvalidVpcID.NotFound"),
    Listing::new("DescribeSubnets", "subnetSet", "subnetId", "SubnetId", "InvalidSubnetID.NotFound"),
    Listing::new(
        "DescribeInternetGateways",
        "internetGatewaySet",
        "internetGatewayId",
        "InternetGatewayId",
        "InvalidInternetGatewayID.NotFound",
    ),
    Listing::new("DescribeAddresses", "addressesSet", "allocationId", "AllocationId", "InvalidAllocationID.NotFound"),
    Listing::new("DescribeNatGateways", "natGatewaySet", "natGatewayId", "NatGatewayId", "NatGatewayNotFound"),
    Listing::new(
        "DescribeRouteTables",
        "routeTableSet",
        "routeTableId",
        "RouteTableId",
        "InvalidRouteTableID.NotFound",
    ),
    Listing::new("DescribeSecurityGroups", "securityGroupInfo", "groupId", "GroupId", "InvalidGroup.NotFound"),
    Listing::new(
        "DescribeSecurityGroupRules",
        "securityGroupRuleSet",
        "securityGroupRuleId",
        "SecurityGroupRuleId",
        "InvalidSecurityGroupRuleId.NotFound",
    ),
    Listing::new(
        "DescribeVpcEndpoints",
        "vpcEndpointSet",
        "vpcEndpointId",
        "VpcEndpointId",
        "InvalidVpcEndpointId.NotFound",
    ),
    Listing::new("DescribeFlowLogs", "flowLogSet", "flowLogId", "FlowLogId", "InvalidFlowLogId.NotFound"),
    Listing::new(
        "DescribeVpcPeeringConnections",
        "vpcPeeringConnectionSet",
        "vpcPeeringConnectionId",
        "VpcPeeringConnectionId",
        "InvalidVpcPeeringConnectionID.NotFound",
    ),
];

/// The list that this operation returns, if it is one that the rules know.
pub(super) fn listing(operation: &str) -> Option<&'static Listing> {
    LISTINGS.iter().find(|listing| listing.operation == operation)
}

/// Everything that `operation` lists in the set of this name, in the caller's account and Region.
///
/// `Err` is the answer to give the caller if the question cannot be answered.
pub(super) async fn list(call: &Call, next: Next<'_>, operation: &str, set: &str) -> Result<Vec<Element>, Answer> {
    let root = ask(call, next, operation, &[]).await?;
    Ok(root.at(&[set, "item"]).into_iter().cloned().collect())
}

impl Listing {
    const fn new(
        operation: &'static str,
        set: &'static str,
        id: &'static str,
        id_parameter: &'static str,
        not_found: &'static str,
    ) -> Self {
        Self { operation, set, id, id_parameter, not_found }
    }

    pub(super) fn items_mut<'a>(&self, root: &'a mut Element) -> &'a mut Vec<Element> {
        root.child_or_new(self.set).children_mut()
    }

    pub(super) fn id_of<'a>(&self, item: &'a Element) -> &'a str {
        item.text_of(self.id).unwrap_or_default()
    }

    /// The ids that a call selects; empty if it selects all.
    pub(super) fn requested_ids<'a>(&self, form: &'a Form) -> Vec<&'a str> {
        form.list(self.id_parameter)
    }

    /// Replaces the answer with a refusal if the call selects an id that is not in the answer.
    pub(super) fn refuse_missing(&self, call: &Call, answer: &mut Answer) {
        let requested = self.requested_ids(call.form());
        if requested.is_empty() {
            return;
        }
        let mut missing = None;
        answer.edit_xml(|root| {
            let items = self.items_mut(root);
            missing = requested.iter().find(|id| !items.iter().any(|item| self.id_of(item) == **id)).copied();
            false
        });
        if let Some(id) = missing {
            let message = format!("The {} '{id}' does not exist", words(self.id));
            *answer = Answer::client_error(call, self.not_found, &message);
        }
    }
}

/// `vpcPeeringConnectionId` as AWS's messages write it: `vpc peering connection ID`.
fn words(camel: &str) -> String {
    let mut text = String::new();
    for character in camel.chars() {
        if character.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(character.to_ascii_lowercase());
    }
    text.strip_suffix(" id").map_or_else(|| text.clone(), |thing| format!("{thing} ID"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{ok, text};
    use crate::wire::call::tests::ec2;

    #[test]
    fn missing_ids_are_refused_as_on_aws() {
        let list = "<r><natGatewaySet><item><natGatewayId>nat-1</natGatewayId></item></natGatewaySet></r>";
        let ask = |body: &str| {
            let call = ec2("111122223333", "us-east-1", body);
            let mut answer = ok(list);
            if let Some(listing) = listing(&call.operation) {
                listing.refuse_missing(&call, &mut answer);
            }
            answer
        };
        assert!(ask("Action=DescribeNatGateways").is_success());
        assert!(ask("Action=DescribeNatGateways&NatGatewayId.1=nat-1").is_success());
        let refused = ask("Action=DescribeNatGateways&NatGatewayId.1=nat-1&NatGatewayId.2=nat-2");
        assert!(text(&refused).contains("<Code>NatGatewayNotFound</Code>"));
        assert!(text(&refused).contains("The nat gateway ID &apos;nat-2&apos; does not exist"), "{}", text(&refused));
    }
}
