//! The network of both Regions, and the peering between them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::base::{RegionBase, flow_log_group, key_for_logs};
use super::data;
use super::{GLOBAL, RegionSite};
use drctl_aws::facts::{Facts, LETTERS};
use drctl_aws::resources::ec2::{
    DefaultSecurityGroup, Eip, FlowLog, InternetGateway, NatGateway, Route, RouteTable, RouteTableAssociation, Rule,
    SecurityGroup, Subnet, Target, Vpc, VpcEndpoint, VpcPeering,
};
use drctl_aws::resources::iam::Role as IamRole;
use drctl_aws::resources::policy::{self, Statement};
use drctl_aws::resources::{Handle, Stack};
use drctl_config::{Config, Nat};
use drctl_engine::GraphError;
use drctl_engine::state::Role;

/// PostgreSQL's port.
pub(super) const POSTGRES: u16 = 5432;

/// The network of one Region.
pub(super) struct RegionNetwork {
    /// The three private subnets.
    pub private: Vec<Handle<Subnet>>,
    /// The security group of the function.
    pub lambda: Handle<SecurityGroup>,
    /// The security group of the database.
    pub database: Handle<SecurityGroup>,
    /// The NAT gateways, one or one per zone.
    pub nat_gateways: Vec<Handle<NatGateway>>,
    vpc: Handle<Vpc>,
    tables: Vec<(&'static str, Handle<RouteTable>)>,
}

/// The private subnets, and the NAT gateways and route tables.
struct Routing {
    private: Vec<Handle<Subnet>>,
    nat_gateways: Vec<Handle<NatGateway>>,
    tables: Vec<(&'static str, Handle<RouteTable>)>,
}

/// Adds the network of both Regions.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    sites: &[RegionSite<'_>; 2],
    bases: &[RegionBase; 2],
    lambda_role: &Handle<IamRole>,
) -> Result<[RegionNetwork; 2], GraphError> {
    let name = config.name();
    let flow_role = stack.add(Role::Global, "flow-logs", GLOBAL, &flow_log_role(config, facts, sites, bases))?;
    let mut of = |site: &RegionSite<'_>, base: &RegionBase| {
        let vpc = Vpc { cidr: site.cidr, dns_support: true, dns_hostnames: true };
        let vpc = stack.add(site.role, "main", site.region, &vpc)?;
        let flow_log = FlowLog {
            vpc: vpc.id(),
            traffic: "ALL".to_owned(),
            log_group: flow_log_group(&name),
            role_arn: flow_role_arn(config, facts),
            aggregation_seconds: 60,
            after: vec![base.flow_log.id().any(), flow_role.id().any()],
        };
        stack.add(site.role, "vpc", site.region, &flow_log)?;
        let Routing { private, nat_gateways, tables } = routing(stack, site, &vpc)?;
        let (lambda, database) = security_groups(stack, site, &name, &vpc, lambda_role)?;
        endpoints(stack, config, facts, site, &vpc, &tables)?;
        Ok(RegionNetwork { private, lambda, database, nat_gateways, vpc, tables })
    };
    let networks = [of(&sites[0], &bases[0])?, of(&sites[1], &bases[1])?];
    peering(stack, sites, &networks)?;
    Ok(networks)
}

/// Adds the subnets, the gateways, and the route tables.
fn routing(stack: &mut Stack<'_>, site: &RegionSite<'_>, vpc: &Handle<Vpc>) -> Result<Routing, GraphError> {
    let everywhere = Ipv4Net::default();
    let gateway = stack.add(site.role, "main", site.region, &InternetGateway { vpc: vpc.id() })?;
    let public_table = stack.add(site.role, "public", site.region, &RouteTable { vpc: vpc.id() })?;
    let route = Route {
        route_table: public_table.id(),
        destination: everywhere,
        target: Target::InternetGateway(gateway.id()),
    };
    stack.add(site.role, "public-internet", site.region, &route)?;
    let mut tables = vec![("public", public_table.clone())];
    let mut private_subnets = Vec::with_capacity(LETTERS.len());
    let mut nat_gateways: Vec<Handle<NatGateway>> = Vec::new();
    for (index, letter) in LETTERS.into_iter().enumerate() {
        let third = u8::try_from(index).unwrap_or(u8::MAX);
        let subnet = |third: u8, map_public_ip: bool| Subnet {
            vpc: vpc.id(),
            cidr: slash_24(site.cidr, third),
            zone: site.zones[index].clone(),
            map_public_ip,
        };
        let public = stack.add(site.role, &format!("public-{letter}"), site.region, &subnet(third, true))?;
        let private = stack.add(site.role, &format!("private-{letter}"), site.region, &subnet(10 + third, false))?;
        let association = RouteTableAssociation { subnet: public.id(), route_table: public_table.id() };
        stack.add(site.role, &format!("public-{letter}"), site.region, &association)?;

        let nat = if let (Some(nat), Nat::Single) = (nat_gateways.first(), site.nat) {
            nat.clone()
        } else {
            let address = stack.add(site.role, &format!("nat-{letter}"), site.region, &Eip {})?;
            let nat = NatGateway {
                subnet: public.id(),
                allocation: address.id(),
                // A NAT gateway that is created before the internet gateway is attached fails with Gateway.NotAttached.
                // See docs/aws-behaviour.md#nat-gateway-fails-late.
                after: vec![gateway.id().any()],
            };
            let nat = stack.add(site.role, letter, site.region, &nat)?;
            nat_gateways.push(nat.clone());
            nat
        };
        let table = stack.add(site.role, &format!("private-{letter}"), site.region, &RouteTable { vpc: vpc.id() })?;
        let association = RouteTableAssociation { subnet: private.id(), route_table: table.id() };
        stack.add(site.role, &format!("private-{letter}"), site.region, &association)?;
        let route = Route {
            route_table: table.id(),
            destination: everywhere,
            // AWS accepts a route to a NAT gateway that is still pending.
            // See docs/aws-behaviour.md#route-to-what-is-not-ready.
            target: Target::NatGateway(nat.id().exists()),
        };
        stack.add(site.role, &format!("private-{letter}-nat"), site.region, &route)?;
        tables.push((["private-a", "private-b", "private-c"][index], table));
        private_subnets.push(private);
    }
    Ok(Routing { private: private_subnets, nat_gateways, tables })
}

fn security_groups(
    stack: &mut Stack<'_>,
    site: &RegionSite<'_>,
    name: &str,
    vpc: &Handle<Vpc>,
    lambda_role: &Handle<IamRole>,
) -> Result<(Handle<SecurityGroup>, Handle<SecurityGroup>), GraphError> {
    let nothing = DefaultSecurityGroup { vpc: vpc.id(), ingress: Vec::new(), egress: Vec::new() };
    stack.add(site.role, "main", site.region, &nothing)?;
    let lambda = SecurityGroup {
        vpc: vpc.id(),
        name: format!("{name}-lambda"),
        description: "The payment function".to_owned(),
        ingress: Vec::new(),
        egress: vec![
            Rule::tcp(443, Ipv4Net::default(), "AWS APIs and payment networks"),
            Rule::tcp(POSTGRES, site.cidr, "The database in this Region"),
            Rule::tcp(POSTGRES, site.peer_cidr, "The database in the other Region"),
        ],
        // On the way down: Lambda takes its network interfaces out of the group under the function's role, for up to an hour
        // after the function is deleted. While the group cannot be deleted, the role has to stay. See
        // docs/aws-behaviour.md#execution-role-outlives-interfaces.
        after: vec![lambda_role.id().outlives().any()],
    };
    let lambda = stack.add(site.role, "lambda", site.region, &lambda)?;
    let mut ingress = vec![Rule::tcp(POSTGRES, lambda.id(), "The payment function")];
    ingress.extend((10..13).map(|third| {
        // A rule cannot refer to a group of the other Region across the peering, so it allows the private subnets.
        // See docs/aws-behaviour.md#peering-between-regions-is-limited.
        Rule::tcp(POSTGRES, slash_24(site.peer_cidr, third), "Private subnets of the other Region")
    }));
    let database = SecurityGroup {
        vpc: vpc.id(),
        name: format!("{name}-database"),
        description: "The Aurora cluster".to_owned(),
        ingress,
        egress: Vec::new(),
        after: Vec::new(),
    };
    let database = stack.add(site.role, "database", site.region, &database)?;
    Ok((lambda, database))
}

/// Adds the gateway endpoints. From the private subnets, in which there is only the function, they lead to this stack's bucket and
/// table and to no others. The function's role says what it may do there. Requests to another Region do not use the endpoints.
/// <https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html>
/// See docs/aws-behaviour.md#gateway-endpoint-default-policy.
fn endpoints(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    site: &RegionSite<'_>,
    vpc: &Handle<Vpc>,
    tables: &[(&'static str, Handle<RouteTable>)],
) -> Result<(), GraphError> {
    let bucket = data::bucket_arn(config, facts, site.region);
    let own = [
        ("s3", "s3:*", vec![format!("{bucket}/*"), bucket]),
        ("dynamodb", "dynamodb:*", vec![data::table_arn(config, site)]),
    ];
    for (service, actions, on) in own {
        let endpoint = VpcEndpoint {
            vpc: vpc.id(),
            service: format!("com.amazonaws.{}.{service}", site.region),
            route_tables: tables.iter().filter(|(name, _)| *name != "public").map(|(_, table)| table.id()).collect(),
            policy: policy::document([Statement::allow([actions]).sid("Own").by("AWS", ["*"]).on(on)]),
        };
        stack.add(site.role, service, site.region, &endpoint)?;
    }
    Ok(())
}

/// Adds the peering, and the routes of all tables to the other Region.
fn peering(
    stack: &mut Stack<'_>,
    sites: &[RegionSite<'_>; 2],
    networks: &[RegionNetwork; 2],
) -> Result<(), GraphError> {
    let ([primary, secondary], [here, there]) = (sites, networks);
    let peering = VpcPeering {
        vpc: here.vpc.id(),
        peer_vpc: there.vpc.id(),
        peer_region: secondary.region.to_owned(),
        accepted: true,
        requester_dns_resolution: true,
        accepter_dns_resolution: true,
    };
    let peering = stack.add(Role::Global, "main", primary.region, &peering)?;
    for (site, network) in [(primary, here), (secondary, there)] {
        for (name, table) in &network.tables {
            let route = Route {
                route_table: table.id(),
                destination: site.peer_cidr,
                // AWS accepts a route to a peering that has not been accepted yet. Until then, it is a blackhole:
                // https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-routing.html
                // See docs/aws-behaviour.md#route-to-what-is-not-ready.
                target: Target::VpcPeering(peering.id().exists()),
            };
            stack.add(site.role, &format!("{name}-peer"), site.region, &route)?;
        }
    }
    Ok(())
}

/// The /24 whose third octet is this far from the VPC's own.
fn slash_24(vpc: Ipv4Net, third: u8) -> Ipv4Net {
    let network = u32::from(vpc.network()) + (u32::from(third) << 8);
    // The configuration does not allow ranges that are too small for this.
    Ipv4Net::new(Ipv4Addr::from(network), 24).unwrap_or(vpc)
}

fn flow_role_name(name: &str) -> String {
    format!("{name}-flow-logs")
}

fn flow_role_arn(config: &Config, facts: &Facts) -> String {
    format!("arn:aws:iam::{}:role{}{}", facts.account, config.iam.path, flow_role_name(&config.name()))
}

/// The role that writes flow logs, to their own log groups only.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html>
fn flow_log_role(config: &Config, facts: &Facts, sites: &[RegionSite<'_>; 2], bases: &[RegionBase; 2]) -> IamRole {
    let name = config.name();
    let account = &facts.account;
    let groups: Vec<String> = sites
        .iter()
        .map(|site| format!("arn:aws:logs:{}:{account}:log-group:{}:*", site.region, flow_log_group(&name)))
        .collect();
    let mut statements = vec![
        Statement::allow(["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]).on(groups),
        // This is called before the streams of a log group are listed, and cannot be restricted to one group. The role may not
        // create groups on purpose: a group that was deleted would be recreated without key and retention.
        // https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
        // See docs/aws-behaviour.md#flow-log-role-describes-groups.
        Statement::allow(["logs:DescribeLogGroups"]).on(["*"]),
    ];
    statements.extend(sites.iter().zip(bases).map(|(site, base)| key_for_logs(&base.key, site.region)));
    IamRole {
        name: flow_role_name(&name),
        path: config.iam.path.clone(),
        permissions_boundary: config.iam.permissions_boundary.clone(),
        description: format!("{name}: VPC flow logs into CloudWatch Logs"),
        assume_role_policy: policy::document([Statement::allow(["sts:AssumeRole"])
            .by("Service", ["vpc-flow-logs.amazonaws.com"])
            .when("StringEquals", "aws:SourceAccount", [account.clone()])]),
        policies: BTreeMap::from([("write-flow-logs".to_owned(), policy::document(statements))]),
    }
}
