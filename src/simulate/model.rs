//! The model of each resource of a graph: how long its steps take in this simulation, and what it waits for besides its edges.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drctl_aws::resources::durations::{self, Draw, Part};
use drctl_engine::state::Address;
use drctl_engine::{Class, Failure, Graph, Node, Region, references};

/// The model of one resource.
#[derive(Debug)]
pub(super) struct Model {
    /// The Region of its calls.
    pub(super) region: Region,
    /// The service, as its rate limits name it.
    pub(super) service: &'static str,
    /// How many calls it takes to read it.
    pub(super) looks: u32,
    /// The steps of its creation. After the first one, its id is known.
    pub(super) create: Vec<Part>,
    /// The steps of its deletion; none if it is deleted together with another resource.
    pub(super) delete: Vec<Part>,
    /// The outputs that others refer to, besides id and ARN.
    pub(super) outputs: BTreeSet<String>,
    /// The resource that AWS waits for before it starts to work on this one, although it has accepted the call.
    pub(super) follows: Option<Address>,
    /// The functions that have network interfaces in it, and how long these remain after the function has left its VPC.
    pub(super) held_by: Vec<(Address, Duration)>,
}

/// The models of all resources, by address.
pub(super) type Models = BTreeMap<Address, Model>;

/// The models of a graph.
///
/// # Errors
/// When a type has no durations.
pub(super) fn of(graph: &Graph, draw: Draw) -> Result<Models, Failure> {
    let mut models = Models::new();
    for node in graph.nodes() {
        let address = &node.address;
        let (entry, latencies) = durations::of(address).ok_or_else(|| {
            Failure::new(Class::Internal, format!("there are no durations for the type `{}`", address.kind()))
        })?;
        let model = Model {
            region: node.region.clone(),
            service: entry.service,
            looks: latencies.looks,
            create: latencies.create(address, draw),
            delete: latencies.delete(address, draw),
            outputs: BTreeSet::new(),
            follows: follows(graph, node),
            held_by: Vec::new(),
        };
        models.insert(address.clone(), model);
    }
    for node in graph.nodes() {
        let holds = node.address.kind() == "lambda_function";
        for found in references(&node.desired) {
            let Some(target) = models.get_mut(&found.of) else { continue };
            if !matches!(found.output.as_str(), "id" | "arn") {
                target.outputs.insert(found.output);
            }
            // See docs/aws-behaviour.md#lambda-interfaces-linger.
            if holds && matches!(found.of.kind(), "subnet" | "security_group") {
                target.held_by.push((node.address.clone(), durations::interfaces(&node.address, draw)));
            }
        }
    }
    Ok(models)
}

/// Aurora accepts an instance for a cluster that is being created, and creates it afterwards. A certificate is issued once its
/// validation is in DNS, which needs the certificate's request first.
/// See docs/aws-behaviour.md#certificate-validation-takes-time.
fn follows(graph: &Graph, node: &Node) -> Option<Address> {
    match node.address.kind() {
        "db_instance" => {
            references(&node.desired).into_iter().map(|found| found.of).find(|of| of.kind() == "db_cluster")
        }
        "certificate" => {
            let validates = |other: &Node| {
                other.address.kind() == "record"
                    && references(&other.desired).iter().any(|found| found.of.kind() == "certificate")
            };
            graph.nodes().find(|other| validates(other)).map(|other| other.address.clone())
        }
        _ => None,
    }
}
