//! `route`: one destination in a route table.

use aws_sdk_ec2::types::{Route as Described, RouteTable as Table};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{InternetGateway, NatGateway, RouteTable, VpcPeering, route_table};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, Grant, TABLE, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging, TypeInfo,
    changed, live,
};

/// A route. Its id is `rtb-…_10.1.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The table that it belongs to. Immutable: forces replacement.
    pub route_table: Ref<Id<RouteTable>>,
    /// The destination addresses. Immutable: forces replacement.
    pub destination: Ipv4Net,
    /// Where traffic to them goes. In-place.
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
    /// A target that drctl never sets, by its id: the route was changed by someone else.
    Other(String),
}

impl Target {
    /// `None` if AWS did not return where the route leads.
    fn of(route: &Described) -> Option<Self> {
        match (route.gateway_id(), route.nat_gateway_id(), route.vpc_peering_connection_id()) {
            (_, Some(id), _) => Some(Self::NatGateway(Ref::known(id))),
            (_, _, Some(id)) => Some(Self::VpcPeering(Ref::known(id))),
            (Some(id), ..) if id.starts_with("igw-") => Some(Self::InternetGateway(Ref::known(id))),
            (gateway, ..) => {
                let others = [
                    gateway,
                    route.transit_gateway_id(),
                    route.local_gateway_id(),
                    route.carrier_gateway_id(),
                    route.egress_only_internet_gateway_id(),
                    route.core_network_arn(),
                    route.network_interface_id(),
                    route.instance_id(),
                ];
                others.into_iter().flatten().next().map(|id| Self::Other(id.to_owned()))
            }
        }
    }

    /// The parameters of a call, of which one is set: gateway, NAT gateway, peering connection.
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
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("route_table", "a route cannot be moved to another table"),
            ("destination", "a route is identified by its destination"),
        ],
        // A second route to the same destination is refused.
        idempotent_create: true,
        ..TypeInfo::usual("route")
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

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let (table, destination) = live.id.split_once('_').unwrap_or_default();
        let call = cx.clients().ec2.delete_route().route_table_id(table).destination_cidr_block(destination).send();
        cx.mutate("ec2", "DeleteRoute", call).await.map(|_| Deletion::Requested)
    }
}

fn id_of(table: &str, destination: Ipv4Net) -> String {
    format!("{table}_{destination}")
}

/// `None` for routes that drctl does not create: the VPC's own (`local`), and those without an IPv4 destination, such as those of
/// gateway endpoints.
///
/// A blackhole is ready: a route is one while its peering connection is not accepted yet, or after its NAT gateway was deleted by
/// hand. The gateway that is created instead has another id, which shows as a change. See
/// docs/aws-behaviour.md#route-to-what-is-not-ready and docs/aws-behaviour.md#deleted-nat-gateway-leaves-routes.
fn from_described(cx: &Context, table: &str, route: &Described) -> Option<Live> {
    if route.gateway_id() == Some("local") {
        return None;
    }
    let destination = route.destination_cidr_block()?.parse().ok()?;
    let mut reading = Reading::default();
    let target = Target::of(route).unwrap_or_else(|| {
        reading.is_unreadable("target");
        Target::Other(String::new())
    });
    let properties = Route { route_table: Ref::known(table), destination, target };
    Some(live(&cx.scope, &id_of(table, destination), Phase::Ready, &reading.of(properties), None))
}
