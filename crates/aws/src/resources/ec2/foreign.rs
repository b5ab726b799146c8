//! Resources of others in the stack's network. They keep the part of the network that they are in from being deleted, and nothing
//! that drctl does removes them: so they are named instead of waited for. See docs/aws-behaviour.md#deletion-needs-an-order.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    Address, AttachmentStatus, EgressOnlyInternetGateway, InternetGateway, InternetGatewayAttachment, IpPermission,
    NatGateway, NatGatewayState, NetworkAcl, NetworkInterface, NetworkInterfaceType, RouteTable, RouteTableAssociation,
    SecurityGroup, State, Subnet, Tag, VpcEndpoint, VpcEndpointType, VpcPeeringConnection,
    VpcPeeringConnectionStateReasonCode as PeeringCode, VpnGateway,
};
use futures::try_join;
use serde_json::Value;

use super::network_interface::is_of_lambda;
use super::{filter, ours, tag_map};
use crate::Scope;
use crate::resources::{AlsoDeleted, Class, Context, Failure, Live};

/// A resource in the stack's network that is not drctl's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Obstacle {
    /// A clause that says where it is, and what it is: `subnet-… holds the interface of endpoint vpce-…`.
    description: String,
    /// The subnets that it keeps from being deleted.
    subnets: Vec<String>,
    /// The security groups that it keeps from being deleted.
    groups: Vec<String>,
    /// The route table that it keeps from being deleted.
    table: Option<String>,
    /// Whether it has a public address, which keeps the internet gateway from being detached.
    is_public: bool,
}

/// The part of the network whose deletion is planned, or was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held<'a> {
    Vpc,
    Subnet(&'a str),
    Group(&'a str),
    Table(&'a str),
    Gateway,
}

impl Held<'_> {
    fn is_held_by(self, obstacle: &Obstacle) -> bool {
        let has = |ids: &[String], id: &str| ids.iter().any(|other| other == id);
        match self {
            Self::Vpc => true,
            Self::Subnet(id) => has(&obstacle.subnets, id),
            Self::Group(id) => has(&obstacle.groups, id),
            Self::Table(id) => obstacle.table.as_deref() == Some(id),
            Self::Gateway => obstacle.is_public,
        }
    }
}

/// Tells which resources are the stack's: those that are tagged as such, and those that are also deleted, even if someone has
/// removed their tags.
struct Own<'a> {
    scope: &'a Scope,
    also: &'a AlsoDeleted,
}

impl Own<'_> {
    fn has(&self, id: Option<&str>, tags: Option<&[Tag]>) -> bool {
        self.scope.is_ours(&tag_map(tags)) || id.is_some_and(|id| self.also.contains(id))
    }
}

/// The resources in one VPC.
#[derive(Default)]
struct Contents {
    vpc: String,
    endpoints: Vec<VpcEndpoint>,
    gateways: Vec<NatGateway>,
    groups: Vec<SecurityGroup>,
    interfaces: Vec<NetworkInterface>,
    subnets: Vec<Subnet>,
    tables: Vec<RouteTable>,
    peerings: Vec<VpcPeeringConnection>,
    acls: Vec<NetworkAcl>,
    attached: Attached,
}

/// The gateways that may be attached to a VPC.
#[derive(Default)]
struct Attached {
    internet: Vec<InternetGateway>,
    egress_only: Vec<EgressOnlyInternetGateway>,
    private: Vec<VpnGateway>,
}

/// The resources that are not drctl's and would keep AWS from deleting a part of the stack's network: a sentence for each, without
/// a full stop. Empty if the VPC is also deleted, whose own hindrances name everything in it.
///
/// Leaves out what AWS itself keeps there for the stack's function, database and NAT gateways.
///
/// # Errors
/// The failure of a call.
pub(super) async fn in_the_way_of(
    cx: &Context,
    live: &Live,
    held: Held<'_>,
    also: &AlsoDeleted,
) -> Result<Vec<String>, Failure> {
    let vpc = vpc_of(live, held);
    if vpc.is_empty() || (held != Held::Vpc && also.contains(vpc)) {
        return Ok(Vec::new());
    }
    let obstacles = Contents::read(cx, vpc).await?.obstacles(&Own { scope: &cx.scope, also });
    let held = obstacles.into_iter().filter(|obstacle| held.is_held_by(obstacle));
    Ok(held.map(|obstacle| format!("{}, which is not drctl's", obstacle.description)).collect())
}

/// The VPC that a part of the network is in.
fn vpc_of<'a>(live: &'a Live, held: Held<'_>) -> &'a str {
    match held {
        Held::Vpc => live.id.as_str(),
        _ => live.properties.get("vpc").and_then(Value::as_str).unwrap_or_default(),
    }
}

/// What the refusal of a deletion means: it is final if a resource in the way is not drctl's. Anything else is released by AWS, and
/// is waited for.
///
/// # Errors
/// The failure of a call that looks for such resources.
pub(super) async fn named(cx: &Context, refusal: Failure, live: &Live, held: Held<'_>) -> Result<Failure, Failure> {
    if refusal.code.as_deref() != Some("DependencyViolation") {
        return Ok(refusal);
    }
    let own = Own { scope: &cx.scope, also: &AlsoDeleted::default() };
    let obstacles = Contents::read(cx, vpc_of(live, held)).await?.obstacles(&own);
    let holding = obstacles.into_iter().filter(|obstacle| held.is_held_by(obstacle));
    Ok(because_of(refusal, &holding.map(|obstacle| obstacle.description).collect::<Vec<_>>()))
}

/// The refusal, made final and with the resources that are in the way; unchanged if there are none.
fn because_of(refusal: Failure, obstacles: &[String]) -> Failure {
    let (note, help) = match obstacles.len() {
        0 => return refusal,
        1 => ("which is not drctl's", "Delete it, then run the same command again."),
        _ => ("none of which is drctl's", "Delete them, then run the same command again."),
    };
    let message = format!("{}, {note}", obstacles.join("; "));
    Failure { class: Class::Refused, message, help: Some(help.to_owned()), ..refusal }
}

/// What the refusal to release an address means: it is final if anything but a NAT gateway uses the address. A NAT gateway releases
/// it by itself.
///
/// # Errors
/// The failure of a call that looks for its user.
pub(super) async fn user_of_address(cx: &Context, refusal: Failure, id: &str) -> Result<Failure, Failure> {
    if refusal.class != Class::Transient {
        return Ok(refusal);
    }
    let ec2 = &cx.clients().ec2;
    let answer = cx.read("ec2", "DescribeAddresses", || ec2.describe_addresses().allocation_ids(id).send()).await?;
    let interface = answer.addresses().first().and_then(Address::network_interface_id).unwrap_or_default();
    if interface.is_empty() {
        return Ok(refusal);
    }
    let call = || ec2.describe_network_interfaces().filters(filter("network-interface-id", interface)).send();
    let found = cx.read("ec2", "DescribeNetworkInterfaces", call).await?;
    let users = found.network_interfaces().iter().filter(|interface| !is_of_nat_gateway(interface));
    let users: Vec<String> = users.map(|user| format!("{id} is the address of {}", name_of(user))).collect();
    Ok(because_of(refusal, &users))
}

impl Contents {
    async fn read(cx: &Context, vpc: &str) -> Result<Self, Failure> {
        let ec2 = &cx.clients().ec2;
        let within = || filter("vpc-id", vpc);
        let endpoints = cx.pages("ec2", "DescribeVpcEndpoints", || {
            ec2.describe_vpc_endpoints().filters(within()).into_paginator().items().send()
        });
        let gateways = cx.pages("ec2", "DescribeNatGateways", || {
            ec2.describe_nat_gateways().filter(within()).into_paginator().items().send()
        });
        let groups = cx.pages("ec2", "DescribeSecurityGroups", || {
            ec2.describe_security_groups().filters(within()).into_paginator().items().send()
        });
        let interfaces = cx.pages("ec2", "DescribeNetworkInterfaces", || {
            let call = ec2.describe_network_interfaces().filters(within());
            call.into_paginator().items().send()
        });
        let subnets = cx.pages("ec2", "DescribeSubnets", || {
            ec2.describe_subnets().filters(within()).into_paginator().items().send()
        });
        let tables = cx.pages("ec2", "DescribeRouteTables", || {
            ec2.describe_route_tables().filters(within()).into_paginator().items().send()
        });
        let peerings = |side: &'static str| {
            cx.pages("ec2", "DescribeVpcPeeringConnections", move || {
                let call = ec2.describe_vpc_peering_connections().filters(filter(side, vpc));
                call.into_paginator().items().send()
            })
        };
        let asked = peerings("requester-vpc-info.vpc-id");
        let accepted = peerings("accepter-vpc-info.vpc-id");
        let acls = cx.pages("ec2", "DescribeNetworkAcls", || {
            ec2.describe_network_acls().filters(within()).into_paginator().items().send()
        });
        let attached = Attached::read(cx, vpc);
        let (endpoints, gateways, groups, interfaces, subnets, tables, asked, accepted, acls, attached) =
            try_join!(endpoints, gateways, groups, interfaces, subnets, tables, asked, accepted, acls, attached)?;
        let peerings = asked.into_iter().chain(accepted).collect();
        let vpc = vpc.to_owned();
        Ok(Self { vpc, endpoints, gateways, groups, interfaces, subnets, tables, peerings, acls, attached })
    }

    /// The resources that are not drctl's.
    fn obstacles(&self, own: &Own<'_>) -> Vec<Obstacle> {
        let mut obstacles = self.endpoint_obstacles(own);
        obstacles.extend(self.gateway_obstacles(own));
        obstacles.extend(self.interface_obstacles(own));
        obstacles.extend(self.group_obstacles(own));
        obstacles.extend(self.subnet_obstacles(own));
        let vpc = &self.vpc;
        let tables = self.tables.iter().filter(|table| {
            let is_main = table.associations().iter().any(|association| association.main() == Some(true));
            !is_main && !own.has(table.route_table_id(), table.tags.as_deref())
        });
        obstacles.extend(tables.map(|table| Obstacle {
            description: format!("{vpc} holds the route table {}", table.route_table_id().unwrap_or_default()),
            ..Obstacle::default()
        }));
        // The stack's own connection is tagged only in the Region of the VPC that requested it.
        let peerings = self.peerings.iter().filter(|peering| {
            let code = peering.status().and_then(|status| status.code());
            let exists = matches!(code, Some(PeeringCode::Active | PeeringCode::PendingAcceptance));
            exists && !own.has(peering.vpc_peering_connection_id(), peering.tags.as_deref())
        });
        obstacles.extend(peerings.map(|peering| Obstacle {
            description: format!("{vpc} is in the peering {}", peering.vpc_peering_connection_id().unwrap_or_default()),
            ..Obstacle::default()
        }));
        // Some emulators ignore the filters for this VPC.
        let acls = self.acls.iter().filter(|acl| {
            let is_in = acl.vpc_id() == Some(vpc);
            is_in && acl.is_default() != Some(true) && !own.has(acl.network_acl_id(), acl.tags.as_deref())
        });
        let acls = acls.map(|acl| format!("{vpc} holds the network ACL {}", acl.network_acl_id().unwrap_or_default()));
        let gateways = self.attached.to(vpc, own).into_iter();
        let gateways = gateways.map(|gateway| format!("{vpc} is attached to {gateway}"));
        obstacles.extend(acls.chain(gateways).map(|description| Obstacle { description, ..Obstacle::default() }));
        obstacles
    }

    fn foreign_endpoints(&self, own: &Own<'_>) -> impl Iterator<Item = &VpcEndpoint> {
        self.endpoints.iter().filter(|endpoint| {
            // AWS answers in lower case, the SDK's enum has capitals. See docs/aws-behaviour.md#ec2-states-in-lower-case.
            let state = endpoint.state().map(|state| State::as_str(state).to_ascii_lowercase());
            !matches!(state.as_deref(), Some("deleted" | "failed" | "rejected" | "expired"))
                && !own.has(endpoint.vpc_endpoint_id(), endpoint.tags.as_deref())
        })
    }

    fn endpoint_obstacles(&self, own: &Own<'_>) -> Vec<Obstacle> {
        let of = |endpoint: &VpcEndpoint| {
            let id = endpoint.vpc_endpoint_id().unwrap_or_default();
            let service = endpoint.service_name().unwrap_or_default();
            let subnets = endpoint.subnet_ids().to_vec();
            let description = match (endpoint.vpc_endpoint_type(), subnets.as_slice()) {
                (Some(VpcEndpointType::Gateway), _) | (_, []) => {
                    format!("{} holds the endpoint {id} ({service})", self.vpc)
                }
                (_, [one]) => format!("{one} holds the interface of endpoint {id} ({service})"),
                (_, several) => format!("{} hold the interfaces of endpoint {id} ({service})", several.join(", ")),
            };
            let groups = endpoint.groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect();
            Obstacle { description, subnets, groups, ..Obstacle::default() }
        };
        self.foreign_endpoints(own).map(of).collect()
    }

    fn gateway_obstacles(&self, own: &Own<'_>) -> Vec<Obstacle> {
        let foreign = self.gateways.iter().filter(|gateway| {
            !matches!(gateway.state(), Some(NatGatewayState::Deleted | NatGatewayState::Failed))
                && !own.has(gateway.nat_gateway_id(), gateway.tags.as_deref())
        });
        let of = |gateway: &NatGateway| {
            let subnet = gateway.subnet_id().unwrap_or_default().to_owned();
            let description =
                format!("{subnet} holds the NAT gateway {}", gateway.nat_gateway_id().unwrap_or_default());
            let is_public = gateway.nat_gateway_addresses().iter().any(|address| address.public_ip().is_some());
            Obstacle { description, subnets: vec![subnet], is_public, ..Obstacle::default() }
        };
        foreign.map(of).collect()
    }

    /// Interfaces that do not belong to a resource that is named already.
    fn interface_obstacles(&self, own: &Own<'_>) -> Vec<Obstacle> {
        let own_groups: BTreeSet<&str> = self.own_groups(own).filter_map(SecurityGroup::group_id).collect();
        let of_endpoints: BTreeSet<&str> =
            self.endpoints.iter().flat_map(VpcEndpoint::network_interface_ids).map(String::as_str).collect();
        let of_gateways: BTreeSet<&str> = self
            .gateways
            .iter()
            .flat_map(NatGateway::nat_gateway_addresses)
            .filter_map(|address| address.network_interface_id())
            .collect();
        let within: BTreeSet<&str> = self.subnets.iter().filter_map(Subnet::subnet_id).collect();
        let foreign = self.interfaces.iter().filter(|interface| {
            let id = interface.network_interface_id().unwrap_or_default();
            // Some emulators ignore the filter for this VPC.
            if !within.contains(interface.subnet_id().unwrap_or_default()) {
                return false;
            }
            let belongs = of_endpoints.contains(id) || of_gateways.contains(id) || is_of_nat_gateway(interface);
            let is_ours = own.has(interface.network_interface_id(), interface.tag_set.as_deref());
            !belongs && !is_ours && !is_kept_for(interface, own.scope, &own_groups)
        });
        let of = |interface: &NetworkInterface| {
            let subnet = interface.subnet_id().unwrap_or_default().to_owned();
            let groups = interface.groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect();
            let is_public = interface.association().is_some_and(|association| association.public_ip().is_some());
            let description = format!("{subnet} holds {}", name_of(interface));
            Obstacle { description, subnets: vec![subnet], groups, is_public, ..Obstacle::default() }
        };
        foreign.map(of).collect()
    }

    fn own_groups(&self, own: &Own<'_>) -> impl Iterator<Item = &SecurityGroup> {
        self.groups.iter().filter(|group| own.has(group.group_id(), group.tags.as_deref()))
    }

    /// Security groups. Each also keeps the stack's groups that its rules refer to from being deleted.
    fn group_obstacles(&self, own: &Own<'_>) -> Vec<Obstacle> {
        let foreign = self
            .groups
            .iter()
            .filter(|group| group.group_name() != Some("default") && !own.has(group.group_id(), group.tags.as_deref()));
        let of = |group: &SecurityGroup| {
            let (id, name) = (group.group_id().unwrap_or_default(), group.group_name().unwrap_or_default());
            let rules = group.ip_permissions().iter().chain(group.ip_permissions_egress());
            let referred = rules.flat_map(IpPermission::user_id_group_pairs).filter_map(|pair| pair.group_id());
            let description = format!("{} holds the security group {id} ({name})", self.vpc);
            Obstacle { description, groups: referred.map(str::to_owned).collect(), ..Obstacle::default() }
        };
        foreign.map(of).collect()
    }

    fn subnet_obstacles(&self, own: &Own<'_>) -> Vec<Obstacle> {
        let foreign = self.subnets.iter().filter(|subnet| !own.has(subnet.subnet_id(), subnet.tags.as_deref()));
        let of = |subnet: &Subnet| {
            let id = subnet.subnet_id().unwrap_or_default();
            let uses = |association: &RouteTableAssociation| association.subnet_id() == Some(id);
            let table = self.tables.iter().find(|table| table.associations().iter().any(uses));
            let table = table.and_then(RouteTable::route_table_id).map(str::to_owned);
            Obstacle { description: format!("{} holds the subnet {id}", self.vpc), table, ..Obstacle::default() }
        };
        foreign.map(of).collect()
    }
}

impl Attached {
    async fn read(cx: &Context, vpc: &str) -> Result<Self, Failure> {
        let ec2 = &cx.clients().ec2;
        let to_this = || filter("attachment.vpc-id", vpc);
        let internet = cx.pages("ec2", "DescribeInternetGateways", || {
            ec2.describe_internet_gateways().filters(to_this()).into_paginator().items().send()
        });
        // It cannot be filtered by VPC.
        let egress_only = cx.pages("ec2", "DescribeEgressOnlyInternetGateways", || {
            ec2.describe_egress_only_internet_gateways().into_paginator().items().send()
        });
        let private = cx.read("ec2", "DescribeVpnGateways", || ec2.describe_vpn_gateways().filters(to_this()).send());
        let (internet, egress_only, private) = try_join!(internet, egress_only, private)?;
        Ok(Self { internet, egress_only, private: private.vpn_gateways.unwrap_or_default() })
    }

    /// The gateways that are attached to a VPC and are not drctl's.
    fn to(&self, vpc: &str, own: &Own<'_>) -> Vec<String> {
        let holds = |attachments: &[InternetGatewayAttachment]| {
            let is_there = |it: &InternetGatewayAttachment| it.state() != Some(&AttachmentStatus::Detached);
            attachments.iter().any(|it| it.vpc_id() == Some(vpc) && is_there(it))
        };
        let internet = self.internet.iter().filter(|it| holds(it.attachments()));
        let internet = internet.filter(|it| !own.has(it.internet_gateway_id(), it.tags.as_deref()));
        let egress = self.egress_only.iter().filter(|it| holds(it.attachments()));
        let egress = egress.filter(|it| !own.has(it.egress_only_internet_gateway_id(), it.tags.as_deref()));
        let private = self.private.iter().filter(|it| {
            let is_there = |state: Option<&AttachmentStatus>| state != Some(&AttachmentStatus::Detached);
            let is_attached = it.vpc_attachments().iter().any(|to| to.vpc_id() == Some(vpc) && is_there(to.state()));
            is_attached && !own.has(it.vpn_gateway_id(), it.tags.as_deref())
        });
        let named = |kind: &str, id: Option<&str>| format!("the {kind} {}", id.unwrap_or_default());
        let internet = internet.map(|it| named("internet gateway", it.internet_gateway_id()));
        let egress = egress.map(|it| named("egress-only internet gateway", it.egress_only_internet_gateway_id()));
        let private = private.map(|it| named("virtual private gateway", it.vpn_gateway_id()));
        internet.chain(egress).chain(private).collect()
    }
}

/// Whether AWS keeps an interface for the stack's function or database: such an interface is in one of the stack's groups, and
/// Lambda writes the function's name into the description.
fn is_kept_for(interface: &NetworkInterface, scope: &Scope, own_groups: &BTreeSet<&str>) -> bool {
    let is_of_function = is_of_lambda(interface)
        && interface.description().is_some_and(|text| text.contains(&format!("-{}-", scope.name())));
    is_of_function || ((is_of_lambda(interface) || is_of_rds(interface)) && is_in(interface, own_groups))
}

/// Whether an interface is in one of these groups.
fn is_in(interface: &NetworkInterface, groups: &BTreeSet<&str>) -> bool {
    interface.groups().iter().filter_map(|group| group.group_id()).any(|id| groups.contains(id))
}

/// Whether an interface belongs to a database instance, with which it is deleted:
/// <https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html>.
fn is_of_rds(interface: &NetworkInterface) -> bool {
    interface.requester_id() == Some("amazon-rds") || interface.description() == Some("RDSNetworkInterface")
}

/// Whether an interface belongs to a NAT gateway, with which it is deleted. Filters and the model spell the type differently.
fn is_of_nat_gateway(interface: &NetworkInterface) -> bool {
    let is_type = interface.interface_type().is_some_and(|kind| {
        matches!(kind, NetworkInterfaceType::NatGateway) || NetworkInterfaceType::as_str(kind) == "nat_gateway"
    });
    is_type || interface.description().is_some_and(|text| text.starts_with("Interface for NAT Gateway"))
}

/// Whether all interfaces in a part of the stack's network are kept by Lambda for the stack's function. If so, there is no need to
/// look for resources of others.
pub(super) async fn are_kept(cx: &Context, interfaces: &[NetworkInterface]) -> Result<bool, Failure> {
    if interfaces.is_empty() || !interfaces.iter().all(is_of_lambda) {
        return Ok(false);
    }
    let ec2 = &cx.clients().ec2;
    let groups: Vec<SecurityGroup> = cx
        .pages("ec2", "DescribeSecurityGroups", || {
            let call = ec2.describe_security_groups().set_filters(Some(ours(cx)));
            call.into_paginator().items().send()
        })
        .await?;
    let own: BTreeSet<&str> = groups.iter().filter_map(SecurityGroup::group_id).collect();
    Ok(interfaces.iter().all(|interface| is_kept_for(interface, &cx.scope, &own)))
}

/// The name of an interface in messages: what it belongs to, where that is known.
fn name_of(interface: &NetworkInterface) -> String {
    let id = interface.network_interface_id().unwrap_or_default();
    let instance = interface.attachment().and_then(|attachment| attachment.instance_id());
    match (instance.filter(|id| !id.is_empty()), interface.description().filter(|text| !text.is_empty())) {
        (Some(instance), _) => format!("the interface {id} of instance {instance}"),
        (None, Some(description)) => format!("the interface {id} ({description})"),
        (None, None) => format!("the interface {id}"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        GroupIdentifier, NatGatewayAddress, NetworkInterfaceAssociation, NetworkInterfaceAttachment,
        SecurityGroupIdentifier, Tag, UserIdGroupPair, VpcAttachment,
    };

    use super::*;
    use crate::{ENVIRONMENT, STACK};

    fn scope() -> Scope {
        Scope { stack: "pay".into(), environment: "prod".into(), account: "111122223333".into() }
    }

    fn own() -> Vec<Tag> {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        vec![tag(STACK, "pay"), tag(ENVIRONMENT, "prod")]
    }

    fn interface(id: &str, subnet: &str, group: &str, description: &str) -> NetworkInterface {
        NetworkInterface::builder()
            .network_interface_id(id)
            .subnet_id(subnet)
            .description(description)
            .groups(GroupIdentifier::builder().group_id(group).build())
            .build()
    }

    /// A VPC as drctl creates it, with what AWS keeps in it for the stack.
    fn contents() -> Contents {
        let group = |id: &str, name: &str| SecurityGroup::builder().group_id(id).group_name(name);
        let main = RouteTableAssociation::builder().main(true).build();
        let used = RouteTableAssociation::builder().subnet_id("subnet-a").main(false).build();
        let address = NatGatewayAddress::builder().network_interface_id("eni-nat").public_ip("192.0.2.1").build();
        Contents {
            vpc: "vpc-1".to_owned(),
            endpoints: vec![VpcEndpoint::builder().vpc_endpoint_id("vpce-s3").set_tags(Some(own())).build()],
            gateways: vec![
                NatGateway::builder()
                    .nat_gateway_id("nat-1")
                    .nat_gateway_addresses(address)
                    .set_tags(Some(own()))
                    .build(),
            ],
            groups: vec![
                group("sg-default", "default").build(),
                group("sg-lambda", "pay-prod-lambda").set_tags(Some(own())).build(),
                group("sg-database", "pay-prod-database").set_tags(Some(own())).build(),
            ],
            interfaces: vec![
                interface("eni-nat", "subnet-a", "", "Interface for NAT Gateway nat-1"),
                interface("eni-lambda", "subnet-a", "sg-lambda", "AWS Lambda VPC ENI-pay-prod-processor-0b8a4d5e"),
                interface("eni-rds", "subnet-a", "sg-database", "RDSNetworkInterface"),
                interface("eni-elsewhere", "subnet-z", "sg-z", "of another VPC"),
            ],
            subnets: vec![Subnet::builder().subnet_id("subnet-a").set_tags(Some(own())).build()],
            tables: vec![
                RouteTable::builder().route_table_id("rtb-main").associations(main).build(),
                RouteTable::builder().route_table_id("rtb-1").associations(used).set_tags(Some(own())).build(),
            ],
            peerings: Vec::new(),
            acls: vec![NetworkAcl::builder().network_acl_id("acl-default").vpc_id("vpc-1").is_default(true).build()],
            attached: Attached {
                internet: vec![
                    InternetGateway::builder()
                        .internet_gateway_id("igw-1")
                        .attachments(attachment("vpc-1", AttachmentStatus::Attached))
                        .set_tags(Some(own()))
                        .build(),
                ],
                ..Attached::default()
            },
        }
    }

    fn attachment(vpc: &str, state: AttachmentStatus) -> InternetGatewayAttachment {
        InternetGatewayAttachment::builder().vpc_id(vpc).state(state).build()
    }

    fn descriptions(contents: &Contents) -> Vec<String> {
        contents
            .obstacles(&Own { scope: &scope(), also: &AlsoDeleted::default() })
            .into_iter()
            .map(|obstacle| obstacle.description)
            .collect()
    }

    fn holding(contents: &Contents, held: Held<'_>) -> Vec<String> {
        let obstacles = contents.obstacles(&Own { scope: &scope(), also: &AlsoDeleted::default() }).into_iter();
        obstacles.filter(|obstacle| held.is_held_by(obstacle)).map(|obstacle| obstacle.description).collect()
    }

    #[test]
    fn what_aws_keeps_for_the_stack_is_not_an_obstacle() {
        assert_eq!(descriptions(&contents()), Vec::<String>::new());
    }

    #[test]
    fn what_is_also_deleted_is_not_an_obstacle() {
        let mut vpc = contents();
        vpc.subnets[0].tags = None;
        vpc.groups[1].tags = None;
        vpc.gateways[0].tags = None;
        let (scope, also) = (scope(), ["subnet-a", "sg-lambda", "nat-1"].into_iter().collect());
        assert_eq!(vpc.obstacles(&Own { scope: &scope, also: &also }), Vec::new());
        assert_eq!(
            descriptions(&vpc).len(),
            3,
            "their tags are missing, and they are not deleted: {:?}",
            descriptions(&vpc)
        );
    }

    #[test]
    fn an_interface_endpoint_and_its_group_are_named_once() {
        let mut vpc = contents();
        let guard = "com.amazonaws.us-east-1.guardduty-data";
        vpc.endpoints.push(
            VpcEndpoint::builder()
                .vpc_endpoint_id("vpce-guard")
                .vpc_endpoint_type(VpcEndpointType::Interface)
                .service_name(guard)
                .subnet_ids("subnet-a")
                .network_interface_ids("eni-guard")
                .groups(SecurityGroupIdentifier::builder().group_id("sg-guard").build())
                .build(),
        );
        vpc.interfaces.push(interface("eni-guard", "subnet-a", "sg-guard", "VPC Endpoint Interface vpce-guard"));
        let group = SecurityGroup::builder().group_id("sg-guard").group_name("GuardDutyManagedSecurityGroup-vpc-1");
        vpc.groups.push(group.build());
        let endpoint = format!("subnet-a holds the interface of endpoint vpce-guard ({guard})");
        let group = "vpc-1 holds the security group sg-guard (GuardDutyManagedSecurityGroup-vpc-1)";
        assert_eq!(descriptions(&vpc), [endpoint.as_str(), group]);
        assert_eq!(holding(&vpc, Held::Subnet("subnet-a")), [endpoint.as_str()]);
        assert_eq!(holding(&vpc, Held::Subnet("subnet-b")), Vec::<String>::new());
        assert_eq!(holding(&vpc, Held::Group("sg-lambda")), Vec::<String>::new());
        assert_eq!(holding(&vpc, Held::Gateway), Vec::<String>::new());
        // While it is being deleted, it still holds its interfaces.
        vpc.endpoints[1].state = Some(State::from("deleting"));
        assert_eq!(holding(&vpc, Held::Subnet("subnet-a")), [endpoint.as_str()]);
        vpc.endpoints[1].state = Some(State::from("deleted"));
        vpc.interfaces.pop();
        assert_eq!(descriptions(&vpc), [group]);
    }

    #[test]
    fn interfaces_of_others_are_named_by_what_they_belong_to() {
        let mut vpc = contents();
        let instance = NetworkInterface::builder()
            .network_interface_id("eni-i")
            .subnet_id("subnet-a")
            .groups(GroupIdentifier::builder().group_id("sg-lambda").build())
            .attachment(NetworkInterfaceAttachment::builder().instance_id("i-1").build())
            .association(NetworkInterfaceAssociation::builder().public_ip("192.0.2.9").build())
            .build();
        vpc.interfaces.push(instance);
        vpc.interfaces.push(interface("eni-elb", "subnet-a", "sg-x", "ELB app/web/1"));
        // A function and a database of someone else, in groups of their own.
        vpc.interfaces.push(interface("eni-f", "subnet-a", "sg-x", "AWS Lambda VPC ENI-reports-1"));
        vpc.interfaces.push(interface("eni-d", "subnet-a", "sg-x", "RDSNetworkInterface"));
        let instance = "subnet-a holds the interface eni-i of instance i-1";
        assert_eq!(
            holding(&vpc, Held::Subnet("subnet-a")),
            [
                instance,
                "subnet-a holds the interface eni-elb (ELB app/web/1)",
                "subnet-a holds the interface eni-f (AWS Lambda VPC ENI-reports-1)",
                "subnet-a holds the interface eni-d (RDSNetworkInterface)",
            ]
        );
        assert_eq!(holding(&vpc, Held::Group("sg-lambda")), [instance]);
        assert_eq!(holding(&vpc, Held::Gateway), [instance], "its address is public");
    }

    #[test]
    fn other_obstacles_are_named_with_what_they_keep() {
        let mut vpc = contents();
        let rule =
            IpPermission::builder().user_id_group_pairs(UserIdGroupPair::builder().group_id("sg-database").build());
        let group = SecurityGroup::builder().group_id("sg-b").group_name("bastion").ip_permissions_egress(rule.build());
        vpc.groups.push(group.build());
        vpc.subnets.push(Subnet::builder().subnet_id("subnet-b").build());
        let used = RouteTableAssociation::builder().subnet_id("subnet-b").build();
        vpc.tables[1].associations.get_or_insert_default().push(used);
        vpc.tables.push(RouteTable::builder().route_table_id("rtb-2").build());
        let address = NatGatewayAddress::builder().network_interface_id("eni-n2").public_ip("192.0.2.2").build();
        let gateway =
            NatGateway::builder().nat_gateway_id("nat-2").subnet_id("subnet-a").nat_gateway_addresses(address);
        vpc.gateways.push(gateway.build());
        vpc.interfaces.push(interface("eni-n2", "subnet-a", "", "Interface for NAT Gateway nat-2"));
        let (gateway, group) =
            ("subnet-a holds the NAT gateway nat-2", "vpc-1 holds the security group sg-b (bastion)");
        let (subnet, table) = ("vpc-1 holds the subnet subnet-b", "vpc-1 holds the route table rtb-2");
        assert_eq!(holding(&vpc, Held::Vpc), [gateway, group, subnet, table]);
        assert_eq!(holding(&vpc, Held::Group("sg-database")), [group]);
        assert_eq!(holding(&vpc, Held::Table("rtb-1")), [subnet]);
        assert_eq!(holding(&vpc, Held::Subnet("subnet-a")), [gateway]);
        assert_eq!(holding(&vpc, Held::Gateway), [gateway]);
    }

    #[test]
    fn network_acls_and_gateways_of_others_keep_the_vpc() {
        let mut vpc = contents();
        let acl = |id: &str, of: &str| NetworkAcl::builder().network_acl_id(id).vpc_id(of).build();
        vpc.acls.extend([acl("acl-2", "vpc-1"), acl("acl-3", "vpc-9")]);
        let egress = |id: &str, of: &str| {
            let attached = attachment(of, AttachmentStatus::Attached);
            EgressOnlyInternetGateway::builder().egress_only_internet_gateway_id(id).attachments(attached).build()
        };
        vpc.attached.egress_only = vec![egress("eigw-1", "vpc-1"), egress("eigw-9", "vpc-9")];
        let private = |id: &str, state: AttachmentStatus| {
            let attached = VpcAttachment::builder().vpc_id("vpc-1").state(state).build();
            VpnGateway::builder().vpn_gateway_id(id).vpc_attachments(attached).build()
        };
        vpc.attached.private =
            vec![private("vgw-1", AttachmentStatus::Attached), private("vgw-2", AttachmentStatus::Detached)];
        let held = [
            "vpc-1 holds the network ACL acl-2",
            "vpc-1 is attached to the egress-only internet gateway eigw-1",
            "vpc-1 is attached to the virtual private gateway vgw-1",
        ];
        assert_eq!(holding(&vpc, Held::Vpc), held);
        assert_eq!(holding(&vpc, Held::Subnet("subnet-a")), Vec::<String>::new());
        vpc.attached.internet[0].tags = None;
        assert_eq!(holding(&vpc, Held::Vpc)[1], "vpc-1 is attached to the internet gateway igw-1");
    }

    #[test]
    fn a_refusal_is_final_only_if_an_obstacle_is_named() {
        let refusal = Failure {
            code: Some("DependencyViolation".to_owned()),
            ..Failure::new(Class::Transient, "The subnet 'subnet-a' has dependencies and cannot be deleted")
        };
        assert_eq!(because_of(refusal.clone(), &[]), refusal);
        let one = because_of(refusal.clone(), &["subnet-a holds the interface of endpoint vpce-1".to_owned()]);
        assert_eq!(one.class, Class::Refused);
        assert_eq!(one.message, "subnet-a holds the interface of endpoint vpce-1, which is not drctl's");
        assert_eq!(one.help.as_deref(), Some("Delete it, then run the same command again."));
        assert_eq!(one.code, refusal.code);
        let two = because_of(refusal, &["a holds b".to_owned(), "a holds c".to_owned()]);
        assert_eq!(two.message, "a holds b; a holds c, none of which is drctl's");
        assert_eq!(two.help.as_deref(), Some("Delete them, then run the same command again."));
    }
}
