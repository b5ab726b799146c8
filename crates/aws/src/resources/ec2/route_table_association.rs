//! `route_table_association`: which route table a subnet uses.

use aws_sdk_ec2::types::{
    RouteTable as Table, RouteTableAssociation as Described, RouteTableAssociationState,
    RouteTableAssociationStateCode as State,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RouteTable, Subnet, filter, route_table};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, Grant, TABLE, later, on};
use crate::resources::{
    Change, Context, Creation, Failure, Id, Live, Phase, Readable, Ref, Removal, Resource, Synced, Tagging, Traits,
    changed, live,
};

/// The output with AWS's own id, which changes with the table.
const ASSOCIATION: &str = "association";

/// A subnet's association with a route table. Its id is the subnet's: a subnet has one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableAssociation {
    /// The subnet. Immutable: forces replacement.
    pub subnet: Ref<Id<Subnet>>,
    /// The table it uses. In-place.
    pub route_table: Ref<Id<RouteTable>>,
}

impl Resource for RouteTableAssociation {
    const TRAITS: Traits = Traits {
        immutable: &[("subnet", "an association is known by its subnet")],
        holds: &["route_table"],
        // A second one for the same subnet is refused.
        idempotent_create: true,
        ..Traits::usual("route_table_association")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "route table / route / assoc".
        Latencies::of(
            1,
            Latency::of_call("AssociateRouteTable", [1.0, 1.0, 5.0]),
            Latency::of_call("DisassociateRouteTable", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(TABLE, "ec2", "AssociateRouteTable"),
        later(TABLE, "ec2", "DisassociateRouteTable ReplaceRouteTableAssociation"),
        on(ANY, "ec2", "DescribeRouteTables"),
    ];
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(self.subnet.value().to_owned())
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let tables = route_table::of_stack(cx).await?;
        Ok(tables
            .iter()
            .flat_map(Table::associations)
            .filter_map(|association| from_described(cx, association))
            .collect())
    }

    /// Also when the subnet uses a table that is not this stack's: that is a difference, not an absence.
    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx
            .read("ec2", "DescribeRouteTables", || {
                ec2.describe_route_tables().filters(filter("association.subnet-id", id)).send()
            })
            .await?;
        let associations = answer.route_tables().iter().flat_map(Table::associations);
        let of_subnet =
            associations.filter_map(|association| from_described(cx, association)).filter(|live| live.id == id);
        // One that is going may still be listed beside its successor.
        Ok(of_subnet.min_by_key(|live| matches!(live.phase, Phase::Deleting(_))))
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let (subnet, table) = (self.subnet.value(), self.route_table.value());
        let call = cx.clients().ec2.associate_route_table().subnet_id(subnet).route_table_id(table).send();
        cx.mutate("ec2", "AssociateRouteTable", call).await?;
        Ok(subnet.to_owned())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "route_table") {
            // Each replacement makes a new association. Looked up anew, because an earlier call whose answer was lost may have
            // been carried out.
            let Some(now) = Self::read(cx, &live.id).await? else {
                return Ok(Synced::later("its association to be visible"));
            };
            let wanted = self.route_table.value();
            if now.properties.get("route_table").and_then(Value::as_str) != Some(wanted) {
                let call = cx
                    .clients()
                    .ec2
                    .replace_route_table_association()
                    .association_id(aws_id(&now))
                    .route_table_id(wanted)
                    .send();
                cx.mutate("ec2", "ReplaceRouteTableAssociation", call).await?;
            }
        }
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Removal, Failure> {
        let call = cx.clients().ec2.disassociate_route_table().association_id(aws_id(live)).send();
        cx.mutate("ec2", "DisassociateRouteTable", call).await.map(|_| Removal::Ordered)
    }
}

fn aws_id(live: &Live) -> String {
    live.output(ASSOCIATION).unwrap_or_default()
}

/// `None` for a gateway's, for the one that makes a table a VPC's main one, and for what is gone.
fn from_described(cx: &Context, association: &Described) -> Option<Live> {
    let subnet = association.subnet_id()?;
    let state = association.association_state();
    let phase = match state.and_then(RouteTableAssociationState::state) {
        Some(State::Disassociated) => return None,
        Some(State::Disassociating) => Phase::Deleting("disassociating".to_owned()),
        Some(State::Failed) => {
            let why = [Some("failed"), state.and_then(RouteTableAssociationState::status_message)];
            Phase::Failed(why.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        None | Some(State::Associated) => Phase::Ready,
        Some(state) => Phase::Pending(state.as_str().to_owned()),
    };
    let properties = RouteTableAssociation {
        subnet: Ref::known(subnet),
        route_table: Ref::known(association.route_table_id().unwrap_or_default()),
    };
    let id = association.route_table_association_id().unwrap_or_default();
    let found = live(&cx.scope, subnet, phase, &Readable::complete(properties), None);
    Some(found.without([("route_table", association.route_table_id.is_none())]).with_output(ASSOCIATION, id))
}
