//! The blueprint: from the configuration to the graph of the desired resources. Makes no calls.

mod base;
mod compute;
mod data;
mod edge;
mod network;
mod observability;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use drctl_aws::facts::Facts;
use drctl_aws::resources::lambda::PackageError;
use drctl_aws::resources::{Registry, Stack};
use drctl_config::{Config, Nat};
use drctl_engine::state::Role;
use drctl_engine::{Graph, GraphError};

/// Why the graph could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BlueprintError {
    /// The function's code cannot be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The blueprint has a defect.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The Region of the control planes of IAM and Route 53 and of the metrics of health checks, whatever the stack's Regions are.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/global-services.html>
/// See docs/aws-behaviour.md#global-control-planes.
const GLOBAL: &str = "us-east-1";

/// Where something is built: the Region and its role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement<'a> {
    role: Role,
    region: &'a str,
    account: &'a str,
}

/// One of the two Regions of the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RegionSite<'a> {
    placement: Placement<'a>,
    role: Role,
    region: &'a str,
    zones: &'a [String; 3],
    cidr: ipnet::Ipv4Net,
    peer_cidr: ipnet::Ipv4Net,
    nat: Nat,
    deletion_protection: Option<bool>,
}

/// The graph of the whole architecture.
///
/// # Errors
/// [`BlueprintError::Package`] when the function's code cannot be read. [`BlueprintError::Graph`] only if the blueprint has a
/// defect: an address that is used twice, or a reference to nothing.
pub fn graph(config: &Config, facts: &Facts, registry: &Registry) -> Result<Graph, BlueprintError> {
    let mut stack = Stack::new(registry).tagged(config.tags.clone());
    let sites = sites(config, facts);
    let [here, there] = &sites;
    let bases = [
        base::build(&mut stack, config, &here.placement, &data::cluster_name(config, here))?,
        base::build(&mut stack, config, &there.placement, &data::cluster_name(config, there))?,
    ];
    let lambda_role = compute::role(&mut stack, config, facts, &sites, &bases)?;
    let networks = network::build(&mut stack, config, facts, &sites, &bases, &lambda_role)?;
    let data = data::build(&mut stack, config, facts, &sites, &bases, &networks)?;
    let inputs = compute::ComputeInputs { sites: &sites, bases: &bases, networks: &networks };
    let fronts = compute::build(&mut stack, config, facts, &inputs, &data, &lambda_role)?;
    let primary_check = edge::build(&mut stack, config, facts, &sites, &fronts)?;
    let observed = |at: usize| observability::Observed {
        topic: bases[at].topic.clone(),
        api: fronts[at].api.clone(),
        nat_gateways: networks[at].nat_gateways.clone(),
    };
    observability::build(&mut stack, config, facts, &sites, &[observed(0), observed(1)], &primary_check.id())?;
    Ok(stack.finish())
}

fn sites<'a>(config: &'a Config, facts: &'a Facts) -> [RegionSite<'a>; 2] {
    let [here, there] = [config.regions.primary.as_str(), config.regions.secondary.as_str()];
    let placement = |role, region| Placement { role, region, account: &facts.account };
    let primary = RegionSite {
        placement: placement(Role::Primary, here),
        role: Role::Primary,
        region: here,
        zones: &facts.primary_zones,
        cidr: config.network.primary_cidr,
        peer_cidr: config.network.secondary_cidr,
        nat: config.network.nat,
        // Switched off only where drctl has switched it on: what a person has switched on stays.
        deletion_protection: if config.protection.deletion { Some(true) } else { facts.protected.then_some(false) },
    };
    let secondary = RegionSite {
        placement: placement(Role::Secondary, there),
        role: Role::Secondary,
        region: there,
        zones: &facts.secondary_zones,
        cidr: config.network.secondary_cidr,
        peer_cidr: config.network.primary_cidr,
        ..primary
    };
    [primary, secondary]
}

/// A count as AWS's APIs take it, which is signed.
fn whole(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A map from pairs.
fn named<V, const N: usize>(pairs: [(&str, V); N]) -> BTreeMap<String, V> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
