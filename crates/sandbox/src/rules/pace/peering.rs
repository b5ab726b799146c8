//! The pace of VPC peering: created in one Region, visible later in the other, and accepted there.
//! See docs/aws-behaviour.md#peering-seen-late, docs/aws-behaviour.md#peering-accepted-in-its-region, and
//! docs/aws-behaviour.md#peering-options-need-active.

use std::collections::HashMap;
use std::time::Instant;

use super::Moment;
use crate::rules::ec2::{filters, listing, refusals};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Until the request is `pending-acceptance`.
const INITIATING: f64 = 2.0;
/// Until the accepter's Region knows the connection.
const INVISIBLE: f64 = 5.0;
/// "accept (x-Region)": 5 typical.
const PROVISIONING: f64 = 5.0;
/// "VPC peering": 3 typical to delete.
const DELETING: f64 = 3.0;
/// A deleted connection stays listed for about an hour. See docs/aws-behaviour.md#deleted-things-stay-listed.
const LISTED: f64 = 3600.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Initiating,
    Waiting,
    Provisioning,
    Active,
    Deleting,
    Deleted,
    /// Not listed any more.
    Gone,
}

impl Status {
    fn code(self) -> &'static str {
        match self {
            Self::Initiating => "initiating-request",
            Self::Waiting => "pending-acceptance",
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Deleting => "deleting",
            Self::Deleted | Self::Gone => "deleted",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Initiating => "Initiating Request",
            Self::Waiting => "Pending Acceptance",
            Self::Provisioning => "Provisioning",
            Self::Active => "Active",
            Self::Deleting => "Deleting",
            Self::Deleted | Self::Gone => "Deleted",
        }
    }
}

#[derive(Debug)]
struct Peering {
    requester: String,
    accepter: String,
    waiting: Instant,
    visible: Instant,
    active: Option<Instant>,
    /// Until when it is `deleting`, and until when it is listed.
    deletion: Option<(Instant, Instant)>,
    /// As last listed in each Region.
    items: HashMap<String, Element>,
}

impl Peering {
    fn status(&self, now: Instant) -> Status {
        match (self.deletion, self.active) {
            (Some((_, gone)), _) if now >= gone => Status::Gone,
            (Some((deleted, _)), _) if now >= deleted => Status::Deleted,
            (Some(_), _) => Status::Deleting,
            (None, Some(active)) if now >= active => Status::Active,
            (None, Some(_)) => Status::Provisioning,
            (None, None) if now >= self.waiting => Status::Waiting,
            (None, None) => Status::Initiating,
        }
    }

    fn is_visible(&self, region: &str, now: Instant) -> bool {
        (region == self.requester || now >= self.visible) && self.status(now) != Status::Gone
    }

    fn show(&self, item: &mut Element, now: Instant) {
        let status = self.status(now);
        let element = item.child_or_new("status");
        element.set_text_of("code", status.code());
        element.set_text_of("message", status.message());
    }
}

/// The peering connections of all accounts, by account and id: both Regions have to see the same connection.
#[derive(Debug, Default)]
pub(super) struct Peerings {
    peerings: HashMap<(String, String), Peering>,
}

impl Peerings {
    /// The refusal of a call for a connection that this Region does not know yet, or that is not in the state for the
    /// call.
    pub(super) fn refuse(&self, call: &Call, at: Moment) -> Option<Answer> {
        let id = call.form().get("VpcPeeringConnectionId")?;
        let peering = self.peerings.get(&key(call, id))?;
        let changes = ["Accept", "Reject", "Delete", "Modify"].iter().any(|verb| call.operation.starts_with(verb));
        if changes && !peering.is_visible(&call.region, at.now) {
            return Some(refusals::peering_not_found(call, id));
        }
        match call.operation.as_str() {
            "AcceptVpcPeeringConnection" if call.region != peering.accepter => {
                let message = format!(
                    "Incorrect region ({}) specified for this request. VPC peering connection {id} must be accepted in \
                     region {}",
                    call.region, peering.accepter
                );
                Some(Answer::client_error(call, "OperationNotPermitted", &message))
            }
            "AcceptVpcPeeringConnection" if peering.status(at.now) == Status::Initiating => {
                let message = format!(
                    "Invalid state transition for {id}, attempted to transition from initiating-request to provisioning"
                );
                Some(Answer::client_error(call, "InvalidStateTransition", &message))
            }
            "ModifyVpcPeeringConnectionOptions" if peering.status(at.now) != Status::Active => {
                Some(refusals::peering_not_active(call, id))
            }
            _ => None,
        }
    }

    pub(super) fn after(&mut self, call: &Call, answer: &mut Answer, at: Moment) {
        match call.operation.as_str() {
            "CreateVpcPeeringConnection" => self.created(call, answer, at),
            "AcceptVpcPeeringConnection" => self.accepted(call, answer, at),
            "DeleteVpcPeeringConnection" => self.deleted(call, at),
            "DescribeVpcPeeringConnections" => self.described(call, answer, at),
            _ => {}
        }
    }

    fn created(&mut self, call: &Call, answer: &mut Answer, at: Moment) {
        answer.edit_xml(|root| {
            let Some(created) = root.child_mut("vpcPeeringConnection") else { return false };
            let Some(id) = created.text_of("vpcPeeringConnectionId").map(str::to_owned) else { return false };
            let accepter = call.form().get("PeerRegion").filter(|region| !region.is_empty()).unwrap_or(&call.region);
            let same = accepter == call.region;
            let mut peering = Peering {
                requester: call.region.clone(),
                accepter: accepter.to_owned(),
                waiting: at.later(INITIATING),
                visible: if same { at.now } else { at.later(INVISIBLE) },
                active: None,
                deletion: None,
                items: HashMap::new(),
            };
            peering.show(created, at.now);
            peering.items.insert(call.region.clone(), created.renamed("item"));
            self.peerings.insert(key(call, &id), peering);
            true
        });
    }

    fn accepted(&mut self, call: &Call, answer: &mut Answer, at: Moment) {
        let Some(peering) = self.of_call(call) else { return };
        // Accepting it again changes nothing.
        peering.active.get_or_insert_with(|| at.later(PROVISIONING));
        answer.edit_xml(|root| {
            let Some(item) = root.child_mut("vpcPeeringConnection") else { return false };
            peering.show(item, at.now);
            true
        });
    }

    fn deleted(&mut self, call: &Call, at: Moment) {
        if let Some(peering) = self.of_call(call) {
            peering.deletion.get_or_insert_with(|| (at.later(DELETING), at.later(DELETING + LISTED)));
        }
    }

    fn of_call(&mut self, call: &Call) -> Option<&mut Peering> {
        let id = call.form().get("VpcPeeringConnectionId")?;
        self.peerings.get_mut(&key(call, id))
    }

    fn described(&mut self, call: &Call, answer: &mut Answer, at: Moment) {
        let Some(listing) = listing("DescribeVpcPeeringConnections") else { return };
        let filters = filters::of(call.form());
        let on_status: Vec<_> = filters.iter().filter(|filter| filter.name == "status-code").cloned().collect();
        if self.peerings.is_empty() && on_status.is_empty() {
            return;
        }
        let asked = listing.requested_ids(call.form());
        let mut hidden = None;
        answer.edit_xml(|root| {
            let items = listing.items_mut(root);
            items.retain(|item| {
                let id = listing.id_of(item);
                let shown =
                    self.peerings.get(&key(call, id)).is_none_or(|peering| peering.is_visible(&call.region, at.now));
                if !shown && asked.contains(&id) {
                    hidden = Some(id.to_owned());
                }
                shown
            });
            for item in items.iter_mut() {
                if let Some(peering) = self.peerings.get_mut(&key(call, listing.id_of(item))) {
                    peering.show(item, at.now);
                    peering.items.insert(call.region.clone(), item.clone());
                }
            }
            items.retain(|item| filters::pass(&on_status, item));
            for ((account, id), peering) in &self.peerings {
                let listed = items.iter().any(|item| listing.id_of(item) == id);
                let remembered = matches!(peering.status(at.now), Status::Deleting | Status::Deleted);
                if *account != call.account || listed || !remembered {
                    continue;
                }
                let Some(mut item) = peering.items.get(&call.region).cloned() else { continue };
                peering.show(&mut item, at.now);
                if (asked.is_empty() || asked.contains(&id.as_str())) && filters::pass(&filters, &item) {
                    items.push(item);
                }
            }
            true
        });
        if let Some(id) = hidden {
            *answer = refusals::peering_not_found(call, &id);
        }
    }
}

fn key(call: &Call, id: &str) -> (String, String) {
    (call.account.clone(), id.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::rule::tests::{ok, text};
    use crate::wire::call::tests::ec2;

    const HERE: &str = "us-east-1";
    const THERE: &str = "us-east-2";
    const CONNECTION: &str = "<vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId>\
                              <status><code>pending-acceptance</code></status><tagSet/>";
    const DESCRIBE: &str = "Action=DescribeVpcPeeringConnections";
    const BY_ID: &str = "Action=DescribeVpcPeeringConnections&VpcPeeringConnectionId.1=pcx-1";
    const ACCEPT: &str = "Action=AcceptVpcPeeringConnection&VpcPeeringConnectionId=pcx-1";
    const DELETE: &str = "Action=DeleteVpcPeeringConnection&VpcPeeringConnectionId=pcx-1";

    struct Bench {
        peerings: Peerings,
        start: Instant,
    }

    impl Bench {
        /// A connection requested at second 0, on a scale of 1.
        fn new() -> Self {
            let mut bench = Self { peerings: Peerings::default(), start: Instant::now() };
            let body = "Action=CreateVpcPeeringConnection&VpcId=vpc-1&PeerVpcId=vpc-2&PeerRegion=us-east-2";
            assert!(bench.ask(0.0, HERE, body).contains("<code>initiating-request</code>"));
            bench
        }

        fn ask(&mut self, seconds: f64, region: &str, body: &str) -> String {
            let at = Moment { now: self.start + Duration::from_secs_f64(seconds), scale: 1.0 };
            let call = ec2("111122223333", region, body);
            if let Some(refusal) = self.peerings.refuse(&call, at) {
                return text(&refusal);
            }
            let emulated = if call.reads() {
                format!("<r><vpcPeeringConnectionSet><item>{CONNECTION}</item></vpcPeeringConnectionSet></r>")
            } else {
                format!("<r><vpcPeeringConnection>{CONNECTION}</vpcPeeringConnection></r>")
            };
            let mut answer = ok(&emulated);
            self.peerings.after(&call, &mut answer, at);
            text(&answer)
        }
    }

    #[test]
    fn the_accepter_sees_a_connection_late() {
        let mut bench = Bench::new();
        assert!(bench.ask(1.0, HERE, DESCRIBE).contains("initiating-request"));
        assert!(bench.ask(3.0, HERE, DESCRIBE).contains("pending-acceptance"));
        assert!(!bench.ask(4.0, THERE, DESCRIBE).contains("pcx-1"));
        assert!(bench.ask(4.0, THERE, BY_ID).contains("InvalidVpcPeeringConnectionID.NotFound"));
        assert!(bench.ask(4.0, THERE, ACCEPT).contains("InvalidVpcPeeringConnectionID.NotFound"));
        assert!(bench.ask(6.0, THERE, BY_ID).contains("pending-acceptance"));
    }

    #[test]
    fn a_connection_is_accepted_in_the_accepters_region() {
        let mut bench = Bench::new();
        let refused = bench.ask(6.0, HERE, ACCEPT);
        assert!(refused.contains("OperationNotPermitted") && refused.contains("region us-east-2"), "{refused}");
        assert!(bench.ask(6.0, THERE, ACCEPT).contains("<code>provisioning</code>"));
        assert!(bench.ask(7.0, HERE, DESCRIBE).contains("<code>provisioning</code>"));
        bench.ask(10.0, THERE, ACCEPT);
        assert!(bench.ask(11.5, HERE, DESCRIBE).contains("<code>active</code>"));
        assert!(bench.ask(11.5, THERE, DESCRIBE).contains("<code>active</code>"));
    }

    #[test]
    fn only_an_active_connection_takes_options() {
        let mut bench = Bench::new();
        let modify = "Action=ModifyVpcPeeringConnectionOptions&VpcPeeringConnectionId=pcx-1";
        assert!(bench.ask(6.0, HERE, modify).contains("OperationNotPermitted"));
        bench.ask(6.0, THERE, ACCEPT);
        assert!(!bench.ask(12.0, HERE, modify).contains("OperationNotPermitted"));
    }

    #[test]
    fn a_deleted_connection_is_still_listed() {
        let mut bench = Bench::new();
        bench.ask(6.0, THERE, ACCEPT);
        bench.ask(20.0, THERE, DESCRIBE);
        bench.ask(20.0, HERE, DELETE);
        assert!(bench.ask(22.0, HERE, DESCRIBE).contains("<code>deleting</code>"));
        assert!(bench.ask(24.0, THERE, DESCRIBE).contains("<code>deleted</code>"));
        let filtered = "Action=DescribeVpcPeeringConnections&Filter.1.Name=status-code&Filter.1.Value.1=active";
        assert!(!bench.ask(24.0, HERE, filtered).contains("pcx-1"));
        assert!(!bench.ask(4000.0, HERE, DESCRIBE).contains("pcx-1"));
    }

    #[test]
    fn accounts_are_kept_apart() {
        let bench = Bench::new();
        let call = ec2("444455556666", THERE, ACCEPT);
        let at = Moment { now: bench.start, scale: 1.0 };
        assert!(bench.peerings.refuse(&call, at).is_none());
    }
}
