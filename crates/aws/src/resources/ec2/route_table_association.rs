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
    Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging, TypeInfo,
    changed, live,
};

/// The output with AWS's id of the association, which changes with the table.
const ASSOCIATION: &str = "association";

/// A subnet's association with a route table. Its id is that of the subnet, which has one association at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableAssociation {
    /// The subnet. Immutable: forces replacement.
    pub subnet: Ref<Id<Subnet>>,
    /// The table that it uses. In-place.
    pub route_table: Ref<Id<RouteTable>>,
}

impl Resource for RouteTableAssociation {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("subnet", "an association is identified by its subnet")],
        holds: &["route_table"],
        // A second association of the same subnet is refused.
        idempotent_create: true,
        ..TypeInfo::usual("route_table_association")
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

    /// Finds the association even if the subnet uses a table that is not this stack's: that is a difference, not an absence.
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
        // An association that is being removed may still be listed beside the new one.
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
            // Each replacement creates a new association. It is read again, because an earlier call whose answer was lost may have
            // succeeded.
            let Some(now) = Self::read(cx, &live.id).await? else {
                return Ok(Synced::in_progress("its association to be visible"));
            };
            let desired = self.route_table.value();
            if now.properties.get("route_table").and_then(Value::as_str) != Some(desired) {
                let call = cx
                    .clients()
                    .ec2
                    .replace_route_table_association()
                    .association_id(aws_id(&now))
                    .route_table_id(desired)
                    .send();
                cx.mutate("ec2", "ReplaceRouteTableAssociation", call).await?;
            }
        }
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.disassociate_route_table().association_id(aws_id(live)).send();
        cx.mutate("ec2", "DisassociateRouteTable", call).await.map(|_| Deletion::Requested)
    }
}

fn aws_id(live: &Live) -> String {
    live.output(ASSOCIATION).unwrap_or_default()
}

/// `None` for the association of a gateway, for the one that makes a table the main table of a VPC, and for one that is removed.
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
    let mut reading = Reading::default();
    let properties = RouteTableAssociation {
        subnet: Ref::known(subnet),
        route_table: Ref::known(reading.text("route_table", association.route_table_id())),
    };
    let id = association.route_table_association_id().unwrap_or_default();
    Some(live(&cx.scope, subnet, phase, &reading.of(properties), None).with_output(ASSOCIATION, id))
}
