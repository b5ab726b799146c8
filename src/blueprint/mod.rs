//! The blueprint: from the configuration to the graph of what shall be. Makes no call.

mod facts;
mod network;

pub use facts::Facts;

use crate::config::{Config, Nat};
use crate::engine::{Graph, GraphError};
use crate::resources::{Registry, Stack};
use crate::state::Role;

/// One of the two Regions, seen from the blueprint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    role: Role,
    region: &'a str,
    zones: &'a [String; 3],
    cidr: ipnet::Ipv4Net,
    peer_cidr: ipnet::Ipv4Net,
    nat: Nat,
}

/// The graph of the whole architecture.
///
/// # Errors
/// Never for a sound blueprint: an address given twice or a reference to nowhere is a defect.
pub fn graph(config: &Config, facts: &Facts, registry: &Registry) -> Result<Graph, GraphError> {
    let mut stack = Stack::new(registry);
    let primary = Site {
        role: Role::Primary,
        region: config.regions.primary.as_str(),
        zones: &facts.primary_zones,
        cidr: config.network.primary_cidr,
        peer_cidr: config.network.secondary_cidr,
        nat: config.network.nat,
    };
    let secondary = Site {
        role: Role::Secondary,
        region: config.regions.secondary.as_str(),
        zones: &facts.secondary_zones,
        cidr: config.network.secondary_cidr,
        peer_cidr: config.network.primary_cidr,
        ..primary
    };
    network::build(&mut stack, config, facts, &[primary, secondary])?;
    Ok(stack.finish())
}
