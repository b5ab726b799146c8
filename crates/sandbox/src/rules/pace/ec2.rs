//! The pace of EC2: the network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::lambda::Interfaces;
use super::latencies::seconds_of;
use super::nat::NatGateways;
use super::peering::Peerings;
use super::{Moment, ServicePace};
use crate::rules::Scope;
use crate::rules::ec2::{filters, listing};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Seconds until the answer. Where docs/aws-behaviour.md#duration-table has one figure for a resource that takes
/// several calls or becomes ready later ("VPC (+DNS attrs)": 12), the calls and the waiting add up to it.
const SECONDS: [(&str, f64); 27] = [
    ("CreateVpc", 2.0),
    ("ModifyVpcAttribute", 3.0),
    ("DeleteVpc", 1.0),
    ("CreateSubnet", 1.0),
    ("ModifySubnetAttribute", 9.0),
    ("DeleteSubnet", 1.0),
    ("CreateInternetGateway", 0.5),
    ("AttachInternetGateway", 0.5),
    ("DetachInternetGateway", 0.5),
    ("DeleteInternetGateway", 0.5),
    ("AllocateAddress", 1.0),
    ("ReleaseAddress", 1.0),
    ("CreateNatGateway", 1.0),
    ("DeleteNatGateway", 1.0),
    ("CreateRouteTable", 1.0),
    ("CreateRoute", 1.0),
    ("AssociateRouteTable", 1.0),
    ("DeleteRouteTable", 1.0),
    ("CreateSecurityGroup", 2.0),
    ("AuthorizeSecurityGroupIngress", 1.0),
    ("AuthorizeSecurityGroupEgress", 1.0),
    ("DeleteSecurityGroup", 1.0),
    ("CreateVpcPeeringConnection", 2.0),
    ("AcceptVpcPeeringConnection", 2.0),
    ("DeleteVpcPeeringConnection", 1.0),
    ("CreateVpcEndpoint", 1.0),
    ("CreateFlowLogs", 1.0),
];

/// A type of resource that is `pending` for a while after its creation.
struct PendingType {
    create: &'static str,
    /// The element of the resource in the answer to its creation.
    created: &'static str,
    describe: &'static str,
    /// The name of the filter on the state.
    filter: &'static str,
    seconds: f64,
}

static PENDING: [PendingType; 3] = [
    PendingType { create: "CreateVpc", created: "vpc", describe: "DescribeVpcs", filter: "state", seconds: 4.0 },
    PendingType {
        create: "CreateSubnet",
        created: "subnet",
        describe: "DescribeSubnets",
        filter: "state",
        seconds: 2.0,
    },
    PendingType {
        create: "CreateVpcEndpoint",
        created: "vpcEndpoint",
        describe: "DescribeVpcEndpoints",
        filter: "vpc-endpoint-state",
        seconds: 5.0,
    },
];

/// The pace of EC2.
pub(super) struct Ec2 {
    state: Mutex<State>,
    /// The network interfaces that functions leave behind.
    interfaces: Arc<Interfaces>,
}

impl Ec2 {
    pub(super) fn new(interfaces: Arc<Interfaces>) -> Self {
        Self { state: Mutex::default(), interfaces }
    }
}

#[derive(Default)]
struct State {
    /// Until when each new resource is `pending`.
    pending: HashMap<Scope, HashMap<String, Instant>>,
    nat: HashMap<Scope, NatGateways>,
    peerings: Peerings,
}

impl ServicePace for Ec2 {
    fn service(&self) -> &'static str {
        "ec2"
    }

    fn seconds(&self, operation: &str) -> Option<f64> {
        seconds_of(&SECONDS, operation)
    }

    fn before(&self, call: &mut Call, at: Moment) -> Option<Answer> {
        let state = lock(&self.state);
        let held_back: Vec<&str> = match call.operation.as_str() {
            "DescribeNatGateways" => vec!["state"],
            "DescribeVpcPeeringConnections" => vec!["status-code"],
            operation => PENDING.iter().filter(|kind| kind.describe == operation).map(|kind| kind.filter).collect(),
        };
        filters::hold_back(call, &held_back);
        let nat = state.nat.get(&Scope::of(call));
        state.peerings.refuse(call, at).or_else(|| nat?.refuse(call, at)).or_else(|| self.interfaces.refuse(call, at))
    }

    fn after(&self, call: &Call, answer: &mut Answer, at: Moment) {
        if !answer.is_success() {
            return;
        }
        self.interfaces.described(call, answer, at);
        let mut state = lock(&self.state);
        state.peerings.after(call, answer, at);
        let scope = Scope::of(call);
        state.nat.entry(scope.clone()).or_default().after(call, answer, at);
        let pending = state.pending.entry(scope).or_default();
        for kind in &PENDING {
            if kind.create == call.operation {
                kind.created(pending, answer, at);
            } else if kind.describe == call.operation {
                kind.described(pending, call, answer, at);
            }
        }
    }

    fn reset(&self) {
        *lock(&self.state) = State::default();
    }
}

impl PendingType {
    fn created(&self, pending: &mut HashMap<String, Instant>, answer: &mut Answer, at: Moment) {
        let Some(listing) = listing(self.describe) else { return };
        answer.edit_xml(|root| {
            let Some(item) = root.child_mut(self.created) else { return false };
            pending.insert(listing.id_of(item).to_owned(), at.later(self.seconds));
            item.set_text_of("state", "pending")
        });
    }

    fn described(&self, pending: &mut HashMap<String, Instant>, call: &Call, answer: &mut Answer, at: Moment) {
        pending.retain(|_, until| *until > at.now);
        let asked: Vec<_> = filters::of(call.form()).into_iter().filter(|filter| filter.name == self.filter).collect();
        if pending.is_empty() && asked.is_empty() {
            return;
        }
        let Some(listing) = listing(self.describe) else { return };
        answer.edit_xml(|root| {
            let items = listing.items_mut(root);
            for item in items.iter_mut() {
                if pending.contains_key(listing.id_of(item)) {
                    item.set_text_of("state", "pending");
                }
            }
            items.retain(|item| filters::pass(&asked, item));
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::rule::tests::{ok, text};
    use crate::wire::call::tests::ec2 as call;

    const VPC: &str = "<CreateVpcResponse><vpc><vpcId>vpc-1</vpcId><state>available</state></vpc></CreateVpcResponse>";
    const VPCS: &str = "<DescribeVpcsResponse><vpcSet><item><vpcId>vpc-1</vpcId><state>available</state></item>\
                        <item><vpcId>vpc-2</vpcId><state>available</state></item></vpcSet></DescribeVpcsResponse>";

    /// Asks `seconds` after the start, with a scale of 2.
    fn ask(ec2: &Ec2, start: Instant, seconds: f64, region: &str, body: &str, emulated: &str) -> Answer {
        let at = Moment { now: start + Duration::from_secs_f64(seconds), scale: 2.0 };
        let mut call = call("111122223333", region, body);
        if let Some(refusal) = ec2.before(&mut call, at) {
            return refusal;
        }
        let mut answer = ok(emulated);
        ec2.after(&call, &mut answer, at);
        answer
    }

    #[test]
    fn a_new_vpc_is_pending_at_first() {
        let (ec2, start) = (Ec2::new(Arc::default()), Instant::now());
        let created = ask(&ec2, start, 0.0, "us-east-1", "Action=CreateVpc", VPC);
        assert!(text(&created).contains("<state>pending</state>"));
        let early = text(&ask(&ec2, start, 1.9, "us-east-1", "Action=DescribeVpcs", VPCS));
        assert!(early.contains("<vpcId>vpc-1</vpcId><state>pending</state>"), "{early}");
        assert!(early.contains("<vpcId>vpc-2</vpcId><state>available</state>"), "{early}");
        let elsewhere = text(&ask(&ec2, start, 1.9, "us-east-2", "Action=DescribeVpcs", VPCS));
        assert!(!elsewhere.contains("pending"), "{elsewhere}");
        let late = text(&ask(&ec2, start, 2.1, "us-east-1", "Action=DescribeVpcs", VPCS));
        assert!(!late.contains("pending"), "{late}");
    }

    #[test]
    fn filters_apply_to_the_state_that_is_shown() {
        let (ec2, start) = (Ec2::new(Arc::default()), Instant::now());
        ask(&ec2, start, 0.0, "us-east-1", "Action=CreateVpc", VPC);
        let available = "Action=DescribeVpcs&Filter.1.Name=state&Filter.1.Value.1=available";
        let early = text(&ask(&ec2, start, 1.0, "us-east-1", available, VPCS));
        assert!(!early.contains("vpc-1") && early.contains("vpc-2"), "{early}");
        let pending = "Action=DescribeVpcs&Filter.1.Name=state&Filter.1.Value.1=pending";
        let early = text(&ask(&ec2, start, 1.0, "us-east-1", pending, VPCS));
        assert!(early.contains("vpc-1") && !early.contains("vpc-2"), "{early}");
    }

    #[test]
    fn a_reset_forgets_pending_resources() {
        let (ec2, start) = (Ec2::new(Arc::default()), Instant::now());
        ask(&ec2, start, 0.0, "us-east-1", "Action=CreateVpc", VPC);
        ec2.reset();
        assert!(!text(&ask(&ec2, start, 0.0, "us-east-1", "Action=DescribeVpcs", VPCS)).contains("pending"));
    }

    #[test]
    fn every_operation_has_one_row() {
        let mut names: Vec<&str> = SECONDS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SECONDS.len());
    }
}
