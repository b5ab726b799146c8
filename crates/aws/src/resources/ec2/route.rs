//! `route`: one destination in a route table.

use aws_sdk_ec2::types::{Route as Described, RouteTable as Table};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{InternetGateway, NatGateway, RouteTable, VpcPeering, route_table};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, Grant, TABLE, later, on};
use crate::resources::{
    Change, Context, Creation, Failure, Id, Live, Phase, Readable, Ref, Removal, Resource, Synced, Tagging, Traits,
    changed, live,
};

/// A route. Its id is `rtb-…_10.1.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The table it stands in. Immutable: forces replacement.
    pub route_table: Ref<Id<RouteTable>>,
    /// The addresses it is for. Immutable: forces replacement.
    pub destination: Ipv4Net,
    /// Where their traffic goes. In-place.
    pub target: Target,
}

/// Where traffic goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// To the internet and back.
    InternetGateway(Ref<Id<InternetGateway>>),
    /// To the internet, from private addresses.
    NatGateway(Ref<Id<NatGateway>>),
    /// To another VPC.
    VpcPeering(Ref<Id<VpcPeering>>),
    /// What drctl never makes, as found: somebody has turned the route elsewhere.
    Other(String),
}

impl Target {
    fn of(route: &Described) -> Self {
        match (route.gateway_id(), route.nat_gateway_id(), route.vpc_peering_connection_id()) {
            (_, Some(id), _) => Self::NatGateway(Ref::known(id)),
            (_, _, Some(id)) => Self::VpcPeering(Ref::known(id)),
            (Some(id), ..) if id.starts_with("igw-") => Self::InternetGateway(Ref::known(id)),
            (gateway, ..) => {
                let others = [gateway, route.transit_gateway_id(), route.network_interface_id(), route.instance_id()];
                Self::Other(others.into_iter().flatten().next().unwrap_or("unknown").to_owned())
            }
        }
    }

    /// The parameters of the calls, of which one is set: gateway, NAT gateway, peering.
    fn parameters(&self) -> (Option<String>, Option<String>, Option<String>) {
        match self {
            Self::InternetGateway(id) => (Some(id.value().to_owned()), None, None),
            Self::NatGateway(id) => (None, Some(id.value().to_owned()), None),
            Self::VpcPeering(id) => (None, None, Some(id.value().to_owned())),
            Self::Other(_) => (None, None, None),
        }
    }
}

impl Resource for Route {
    const TRAITS: Traits = Traits {
        immutable: &[
            ("route_table", "a route cannot be moved to another table"),
            ("destination", "a route is known by its destination"),
        ],
        // A second one to the same destination is refused.
        idempotent_create: true,
        ..Traits::usual("route")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "route table / route / assoc".
        Latencies::of(
            1,
            Latency::of_call("CreateRoute", [1.0, 1.0, 5.0]),
            Latency::of_call("DeleteRoute", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(TABLE, "ec2", "CreateRoute"),
        later(TABLE, "ec2", "DeleteRoute ReplaceRoute"),
        on(ANY, "ec2", "DescribeRouteTables"),
    ];
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(id_of(self.route_table.value(), self.destination))
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let tables = route_table::of_stack(cx).await?;
        let routes = tables
            .iter()
            .flat_map(|table| table.routes().iter().map(|route| (table.route_table_id().unwrap_or_default(), route)));
        Ok(routes.filter_map(|(table, route)| from_described(cx, table, route)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let (table, _) = id.split_once('_').unwrap_or_default();
        let ec2 = &cx.clients().ec2;
        let answer =
            cx.read("ec2", "DescribeRouteTables", || ec2.describe_route_tables().route_table_ids(table).send()).await?;
        let routes = answer.route_tables().iter().flat_map(Table::routes);
        Ok(routes.filter_map(|route| from_described(cx, table, route)).find(|live| live.id == id))
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let (gateway, nat_gateway, peering) = self.target.parameters();
        let call = cx
            .clients()
            .ec2
            .create_route()
            .route_table_id(self.route_table.value())
            .destination_cidr_block(self.destination.to_string())
            .set_gateway_id(gateway)
            .set_nat_gateway_id(nat_gateway)
            .set_vpc_peering_connection_id(peering)
            .send();
        cx.mutate("ec2", "CreateRoute", call).await?;
        Ok(id_of(self.route_table.value(), self.destination))
    }

    async fn sync(&self, cx: &Context, _: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "target") {
            let (gateway, nat_gateway, peering) = self.target.parameters();
            let call = cx
                .clients()
                .ec2
                .replace_route()
                .route_table_id(self.route_table.value())
                .destination_cidr_block(self.destination.to_string())
                .set_gateway_id(gateway)
                .set_nat_gateway_id(nat_gateway)
                .set_vpc_peering_connection_id(peering)
                .send();
            cx.mutate("ec2", "ReplaceRoute", call).await?;
        }
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Removal, Failure> {
        let (table, destination) = live.id.split_once('_').unwrap_or_default();
        let call = cx.clients().ec2.delete_route().route_table_id(table).destination_cidr_block(destination).send();
        cx.mutate("ec2", "DeleteRoute", call).await.map(|_| Removal::Ordered)
    }
}

fn id_of(table: &str, destination: Ipv4Net) -> String {
    format!("{table}_{destination}")
}

/// `None` for what is no route of ours: the VPC's own (`local`), and those without an IPv4 destination, as gateway
/// endpoints make them.
///
/// A blackhole is ready: a peering that is not accepted yet makes one, and so does a NAT gateway that was deleted by hand,
/// whose successor has another id and so shows as a change. See docs/aws-behaviour.md#route-to-what-is-not-ready and
/// docs/aws-behaviour.md#deleted-nat-gateway-leaves-routes.
fn from_described(cx: &Context, table: &str, route: &Described) -> Option<Live> {
    if route.gateway_id() == Some("local") {
        return None;
    }
    let destination = route.destination_cidr_block()?.parse().ok()?;
    let properties = Route { route_table: Ref::known(table), destination, target: Target::of(route) };
    Some(live(&cx.scope, &id_of(table, destination), Phase::Ready, &Readable::complete(properties), None))
}
