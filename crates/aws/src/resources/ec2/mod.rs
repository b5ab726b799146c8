//! Amazon EC2: the network.

mod default_security_group;
mod eip;
mod flow_log;
mod foreign;
mod internet_gateway;
mod nat_gateway;
mod network_interface;
mod route;
mod route_table;
mod route_table_association;
mod security_group;
mod subnet;
mod vpc;
mod vpc_endpoint;
mod vpc_peering;

pub use default_security_group::DefaultSecurityGroup;
pub use eip::Eip;
pub use flow_log::FlowLog;
pub use internet_gateway::InternetGateway;
pub use nat_gateway::NatGateway;
pub use route::{Route, Target};
pub use route_table::RouteTable;
pub use route_table_association::RouteTableAssociation;
pub use security_group::{Rule, SecurityGroup};
pub use subnet::Subnet;
pub use vpc::Vpc;
pub use vpc_endpoint::VpcEndpoint;
pub use vpc_peering::VpcPeering;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use super::Context;
use crate::{ENVIRONMENT, STACK, TagMap};

/// Filters for the resources that are tagged as this stack's.
fn ours(cx: &Context) -> Vec<Filter> {
    vec![filter(&format!("tag:{STACK}"), &cx.scope.stack), filter(&format!("tag:{ENVIRONMENT}"), &cx.scope.environment)]
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// The tags that a create call sets.
fn specification(of: ResourceType, tags: &TagMap) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    TagSpecification::builder().resource_type(of).set_tags(Some(tags)).build()
}

/// Tags as EC2 returns them. It leaves the list out where there are none, and a value where that is empty.
fn tag_map(tags: Option<&[Tag]>) -> TagMap {
    tags.unwrap_or_default()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect()
}

/// The ARN of a resource of EC2.
fn arn(cx: &Context, kind: &str, id: &str) -> String {
    format!("arn:aws:ec2:{}:{}:{kind}/{id}", cx.region, cx.scope.account)
}
