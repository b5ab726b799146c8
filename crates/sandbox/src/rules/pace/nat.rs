//! The pace of NAT gateways: they take minutes to be created and a minute to be deleted, and are listed long after.
//!
//! Until a gateway is deleted, it holds its address, its subnet, and its VPC's internet gateway, and AWS refuses to
//! take those away. This is the reason why deletions have an order. See
//! docs/aws-behaviour.md#address-held-by-nat-gateway and docs/aws-behaviour.md#internet-gateway-held-by-addresses.

use std::collections::HashMap;
use std::time::Instant;

use super::Moment;
use crate::rules::ec2::{filters, listing, refusals};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// "NAT gateway": 105 typical to create.
const PENDING: f64 = 105.0;
/// "NAT gateway": 65 typical to delete.
const DELETING: f64 = 65.0;
/// A deleted gateway is listed for about an hour. See docs/aws-behaviour.md#deleted-things-stay-listed.
const LISTED: f64 = 3600.0;

/// The state of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Available,
    Deleting,
    Deleted,
    /// Not listed any more.
    Gone,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Deleting => "deleting",
            Self::Deleted | Self::Gone => "deleted",
        }
    }

    fn holds_resources(self) -> bool {
        matches!(self, Self::Pending | Self::Available | Self::Deleting)
    }
}

#[derive(Debug)]
/// When a deletion is finished, and when the gateway is not listed any more.
struct Deletion {
    deleted: Instant,
    gone: Instant,
}

#[derive(Debug)]
struct Gateway {
    ready: Instant,
    deletion: Option<Deletion>,
    allocations: Vec<String>,
    /// As last listed, since an emulator may forget a deleted gateway at once.
    item: Element,
}

impl Gateway {
    fn state(&self, now: Instant) -> State {
        match &self.deletion {
            Some(deletion) if now >= deletion.gone => State::Gone,
            Some(deletion) if now >= deletion.deleted => State::Deleted,
            Some(_) => State::Deleting,
            None if now >= self.ready => State::Available,
            None => State::Pending,
        }
    }

    fn is_in(&self, element: &str, id: &str) -> bool {
        self.item.text_of(element) == Some(id)
    }
}

/// The NAT gateways of an account in a Region.
#[derive(Debug, Default)]
pub(super) struct NatGateways {
    gateways: HashMap<String, Gateway>,
}

impl NatGateways {
    /// The refusal of a call that a gateway stands in the way of.
    pub(super) fn refuse(&self, call: &Call, at: Moment) -> Option<Answer> {
        let form = call.form();
        match call.operation.as_str() {
            "ReleaseAddress" => {
                let allocation = form.get("AllocationId")?;
                let (_, state) = self.blocking(at, |gateway| gateway.allocations.iter().any(|id| id == allocation))?;
                // AWS's refusal depends on how far the deletion has come: one of its oldest traps.
                Some(if state == State::Deleting {
                    let message = "You do not have permission to access the specified resource.";
                    Answer::client_error(call, "AuthFailure", message)
                } else {
                    refusals::address_in_use(call, allocation)
                })
            }
            "DetachInternetGateway" => {
                let vpc = form.get("VpcId")?;
                self.blocking(at, |gateway| gateway.is_in("vpcId", vpc))?;
                Some(refusals::mapped_addresses(call, vpc))
            }
            "DeleteSubnet" => {
                let subnet = form.get("SubnetId")?;
                self.blocking(at, |gateway| gateway.is_in("subnetId", subnet))?;
                Some(refusals::has_dependencies(call, "subnet", subnet))
            }
            _ => None,
        }
    }

    fn blocking(&self, at: Moment, is_it: impl Fn(&Gateway) -> bool) -> Option<(&Gateway, State)> {
        self.gateways
            .values()
            .map(|gateway| (gateway, gateway.state(at.now)))
            .find(|(gateway, state)| state.holds_resources() && is_it(gateway))
    }

    pub(super) fn after(&mut self, call: &Call, answer: &mut Answer, at: Moment) {
        match call.operation.as_str() {
            "CreateNatGateway" => self.created(call, answer, at),
            "DeleteNatGateway" => self.deleted(call, at),
            "DescribeNatGateways" => self.described(call, answer, at),
            _ => {}
        }
    }

    fn created(&mut self, call: &Call, answer: &mut Answer, at: Moment) {
        let form = call.form();
        let mut allocations: Vec<String> = form.list("SecondaryAllocationId").into_iter().map(str::to_owned).collect();
        allocations.extend(form.get("AllocationId").map(str::to_owned));
        answer.edit_xml(|root| {
            let Some(created) = root.child_mut("natGateway") else { return false };
            created.set_text_of("state", State::Pending.word());
            let Some(id) = created.text_of("natGatewayId").map(str::to_owned) else { return false };
            let item = created.renamed("item");
            self.gateways.insert(id, Gateway { ready: at.later(PENDING), deletion: None, allocations, item });
            true
        });
    }

    fn deleted(&mut self, call: &Call, at: Moment) {
        let gateway = call.form().get("NatGatewayId").and_then(|id| self.gateways.get_mut(id));
        // A second deletion changes nothing.
        if let Some(gateway) = gateway.filter(|gateway| gateway.deletion.is_none()) {
            gateway.deletion = Some(Deletion { deleted: at.later(DELETING), gone: at.later(DELETING + LISTED) });
        }
    }

    fn described(&mut self, call: &Call, answer: &mut Answer, at: Moment) {
        let Some(listing) = listing("DescribeNatGateways") else { return };
        let filters = filters::of(call.form());
        let on_state: Vec<_> = filters.iter().filter(|filter| filter.name == "state").cloned().collect();
        if self.gateways.is_empty() && on_state.is_empty() {
            return;
        }
        let asked = listing.requested_ids(call.form());
        answer.edit_xml(|root| {
            let items = listing.items_mut(root);
            items.retain(|item| {
                let known = self.gateways.get(listing.id_of(item));
                known.is_none_or(|gateway| gateway.state(at.now) != State::Gone)
            });
            for item in items.iter_mut() {
                if let Some(gateway) = self.gateways.get_mut(listing.id_of(item)) {
                    item.set_text_of("state", gateway.state(at.now).word());
                    gateway.item = item.clone();
                }
            }
            items.retain(|item| filters::pass(&on_state, item));
            for (id, gateway) in &self.gateways {
                let state = gateway.state(at.now);
                let listed = items.iter().any(|item| listing.id_of(item) == id);
                let remembered = matches!(state, State::Deleting | State::Deleted);
                if listed || !remembered || !(asked.is_empty() || asked.contains(&id.as_str())) {
                    continue;
                }
                let mut item = gateway.item.clone();
                item.set_text_of("state", state.word());
                if filters::pass(&filters, &item) {
                    items.push(item);
                }
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::rule::tests::{ok, text};
    use crate::wire::call::tests::ec2;

    const GATEWAY: &str = "<natGatewayId>nat-1</natGatewayId><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId>\
                           <state>available</state><tagSet><item><key>drctl:stack</key><value>s</value></item></tagSet>";
    const EMPTY: &str = "<DescribeNatGatewaysResponse><natGatewaySet/></DescribeNatGatewaysResponse>";

    struct Bench {
        gateways: NatGateways,
        start: Instant,
    }

    impl Bench {
        /// One gateway, created at second 0, on a scale of 1.
        fn new() -> Self {
            let mut bench = Self { gateways: NatGateways::default(), start: Instant::now() };
            let created =
                format!("<CreateNatGatewayResponse><natGateway>{GATEWAY}</natGateway></CreateNatGatewayResponse>");
            let body = "Action=CreateNatGateway&SubnetId=subnet-1&AllocationId=eipalloc-1";
            assert!(bench.ask(0.0, body, &created).contains("<state>pending</state>"));
            bench
        }

        fn at(&self, seconds: f64) -> Moment {
            Moment { now: self.start + Duration::from_secs_f64(seconds), scale: 1.0 }
        }

        fn ask(&mut self, seconds: f64, body: &str, emulated: &str) -> String {
            let call = ec2("111122223333", "us-east-1", body);
            let mut answer = ok(emulated);
            let at = self.at(seconds);
            self.gateways.after(&call, &mut answer, at);
            text(&answer)
        }

        /// What a listing shows while the emulator still knows the gateway.
        fn listed(&mut self, seconds: f64) -> String {
            let full = format!("<r><natGatewaySet><item>{GATEWAY}</item></natGatewaySet></r>");
            self.ask(seconds, "Action=DescribeNatGateways", &full)
        }

        fn refused(&self, seconds: f64, body: &str) -> String {
            let call = ec2("111122223333", "us-east-1", body);
            self.gateways.refuse(&call, self.at(seconds)).map(|answer| text(&answer)).unwrap_or_default()
        }

        fn delete(&mut self, seconds: f64) {
            self.ask(seconds, "Action=DeleteNatGateway&NatGatewayId=nat-1", "<r/>");
        }
    }

    #[test]
    fn a_gateway_passes_through_its_states() {
        let mut bench = Bench::new();
        assert!(bench.listed(104.0).contains("<state>pending</state>"));
        assert!(bench.listed(106.0).contains("<state>available</state>"));
        bench.delete(200.0);
        assert!(bench.listed(264.0).contains("<state>deleting</state>"));
        bench.delete(260.0);
        assert!(bench.listed(266.0).contains("<state>deleted</state>"));
        assert!(bench.listed(3800.0).contains("<state>deleted</state>"));
        assert!(!bench.listed(3900.0).contains("nat-1"));
    }

    #[test]
    fn a_gateway_that_the_emulator_forgets_is_still_listed() {
        let mut bench = Bench::new();
        bench.delete(200.0);
        let all = bench.ask(210.0, "Action=DescribeNatGateways", EMPTY);
        assert!(all.contains("<item><natGatewayId>nat-1</natGatewayId>") && all.contains("deleting"), "{all}");
        let one = bench.ask(270.0, "Action=DescribeNatGateways&NatGatewayId.1=nat-1", EMPTY);
        assert!(one.contains("<state>deleted</state>"), "{one}");
        let other = bench.ask(270.0, "Action=DescribeNatGateways&NatGatewayId.1=nat-2", EMPTY);
        assert!(!other.contains("nat-1"), "{other}");
    }

    #[test]
    fn filters_apply_to_a_gateway_that_the_emulator_has_forgotten() {
        let mut bench = Bench::new();
        bench.delete(200.0);
        for (filter, value, shown) in [
            ("state", "deleting", true),
            ("state", "available", false),
            ("vpc-id", "vpc-1", true),
            ("vpc-id", "vpc-2", false),
            ("subnet-id", "subnet-1", true),
            ("nat-gateway-id", "nat-2", false),
            ("tag:drctl:stack", "s", true),
            ("tag:drctl:stack", "other", false),
        ] {
            let body = format!("Action=DescribeNatGateways&Filter.1.Name={filter}&Filter.1.Value.1={value}");
            assert_eq!(bench.ask(210.0, &body, EMPTY).contains("nat-1"), shown, "{filter}={value}");
        }
    }

    #[test]
    fn what_a_gateway_holds_cannot_be_taken_from_it() {
        let mut bench = Bench::new();
        let release = "Action=ReleaseAddress&AllocationId=eipalloc-1";
        let detach = "Action=DetachInternetGateway&InternetGatewayId=igw-1&VpcId=vpc-1";
        let subnet = "Action=DeleteSubnet&SubnetId=subnet-1";
        assert!(bench.refused(150.0, release).contains("InvalidIPAddress.InUse"));
        bench.delete(200.0);
        assert!(bench.refused(210.0, release).contains("AuthFailure"));
        assert!(bench.refused(210.0, detach).contains("mapped public address"));
        assert!(bench.refused(210.0, subnet).contains("DependencyViolation"));
        assert_eq!(bench.refused(210.0, "Action=ReleaseAddress&AllocationId=eipalloc-2"), "");
        assert_eq!(bench.refused(210.0, "Action=DetachInternetGateway&VpcId=vpc-2"), "");
        for body in [release, detach, subnet] {
            assert_eq!(bench.refused(266.0, body), "");
        }
    }
}
