//! What exists in an account, according to the SDK alone, because drctl's own view is what is tested.

mod services;

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Tag};

use crate::harness::Stack;

/// What was found, by `<region> <type> <node or name>`. The values are details of each copy, without ids.
pub type Survey = BTreeMap<String, Vec<String>>;

/// Everything in both Regions that could belong to a stack of drctl: it is tagged with a stack, or its type has no tags.
pub async fn survey(stack: &Stack, regions: [&str; 2]) -> Survey {
    let mut found = Survey::new();
    for region in with_global(regions) {
        let config = stack.sdk_of("ec2", region).await;
        network(&aws_sdk_ec2::Client::new(&config), region, &mut found).await;
        edges(&aws_sdk_ec2::Client::new(&config), region, &mut found).await;
    }
    services::services(stack, regions, &mut found).await;
    found
}

/// The Region where global services are called, and where the metric of the health checks is.
pub const GLOBAL: &str = "us-east-1";

/// The Regions and [`GLOBAL`], where something may have been left, too.
fn with_global(regions: [&str; 2]) -> Vec<&str> {
    let apart = (!regions.contains(&GLOBAL)).then_some(GLOBAL);
    regions.into_iter().chain(apart).collect()
}

fn add(found: &mut Survey, region: &str, kind: &str, name: &str, detail: String) {
    found.entry(format!("{region} {kind} {name}")).or_default().push(detail);
}

fn node(tags: &[Tag]) -> Option<String> {
    let value = |key: &str| tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value).map(str::to_owned);
    value("drctl:stack").map(|_| value("drctl:node").unwrap_or_else(|| "a node that is not named".to_owned()))
}

async fn network(ec2: &aws_sdk_ec2::Client, region: &str, found: &mut Survey) {
    for vpc in ec2.describe_vpcs().send().await.expect("vpcs").vpcs() {
        if let Some(node) = node(vpc.tags()) {
            add(found, region, "vpc", &node, vpc.cidr_block().unwrap_or_default().to_owned());
        }
    }
    for subnet in ec2.describe_subnets().send().await.expect("subnets").subnets() {
        if let Some(node) = node(subnet.tags()) {
            let public = subnet.map_public_ip_on_launch().unwrap_or(false);
            add(found, region, "subnet", &node, format!("{} public {public}", subnet.cidr_block().unwrap_or_default()));
        }
    }
    for gateway in ec2.describe_internet_gateways().send().await.expect("gateways").internet_gateways() {
        if let Some(node) = node(gateway.tags()) {
            add(found, region, "internet_gateway", &node, format!("attached {}", gateway.attachments().len()));
        }
    }
    for address in ec2.describe_addresses().send().await.expect("addresses").addresses() {
        // An unused address costs money, so it counts whatever its tags are.
        add(found, region, "eip", &node(address.tags()).unwrap_or_default(), String::new());
    }
    for gateway in ec2.describe_nat_gateways().send().await.expect("NAT gateways").nat_gateways() {
        if let Some(node) = node(gateway.tags()).filter(|_| is_live(gateway.state().map(AsRef::as_ref))) {
            add(found, region, "nat_gateway", &node, String::new());
        }
    }
    for group in ec2.describe_security_groups().send().await.expect("groups").security_groups() {
        if let Some(node) = node(group.tags()) {
            let rules: usize = group
                .ip_permissions()
                .iter()
                .chain(group.ip_permissions_egress())
                .map(|p| p.ip_ranges().len() + p.user_id_group_pairs().len())
                .sum();
            add(found, region, "security_group", &node, format!("{rules} rules"));
        }
    }
}

async fn edges(ec2: &aws_sdk_ec2::Client, region: &str, found: &mut Survey) {
    for table in ec2.describe_route_tables().send().await.expect("route tables").route_tables() {
        if let Some(node) = node(table.tags()) {
            let mut routes: Vec<String> = table
                .routes()
                .iter()
                .filter_map(|route| {
                    let target = match (route.nat_gateway_id(), route.vpc_peering_connection_id(), route.gateway_id()) {
                        (Some(_), _, _) => "nat",
                        (_, Some(_), _) => "peering",
                        (_, _, Some(id)) if id.starts_with("igw-") => "internet",
                        _ => return None,
                    };
                    Some(format!("{} {target}", route.destination_cidr_block().unwrap_or_default()))
                })
                .collect();
            routes.sort();
            let associated = table.associations().iter().filter(|a| a.subnet_id().is_some()).count();
            add(found, region, "route_table", &node, format!("{} for {associated} subnets", routes.join(", ")));
        }
    }
    for endpoint in ec2.describe_vpc_endpoints().send().await.expect("endpoints").vpc_endpoints() {
        if let Some(node) = node(endpoint.tags()).filter(|_| is_live(endpoint.state().map(AsRef::as_ref))) {
            add(found, region, "vpc_endpoint", &node, format!("{} tables", endpoint.route_table_ids().len()));
        }
    }
    for log in ec2.describe_flow_logs().send().await.expect("flow logs").flow_logs() {
        add(found, region, "flow_log", &node(log.tags()).unwrap_or_default(), String::new());
    }
    let live = Filter::builder().name("status-code").values("active").values("pending-acceptance").build();
    let peerings = ec2.describe_vpc_peering_connections().filters(live).send().await.expect("peerings");
    for peering in peerings.vpc_peering_connections() {
        let status = peering.status().and_then(|s| s.code()).map(AsRef::as_ref).unwrap_or_default().to_owned();
        if is_live(Some(&status)) {
            add(found, region, "vpc_peering", &node(peering.tags()).unwrap_or_default(), status);
        }
    }
}

fn is_live(state: Option<&str>) -> bool {
    !matches!(state.unwrap_or_default().to_lowercase().as_str(), "deleted" | "deleting")
}
