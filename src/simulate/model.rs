//! What AWS will do with each resource of a graph: its steps as they last this time, and what it waits for besides its edges.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drctl_aws::resources::durations::{self, Draw, Part};
use drctl_engine::state::Address;
use drctl_engine::{Class, Failure, Graph, Node, Region, references};

/// One resource's.
#[derive(Debug)]
pub(super) struct Model {
    /// Where its calls go.
    pub(super) region: Region,
    /// The service, as its limits know it.
    pub(super) service: &'static str,
    /// How many calls one look at it takes.
    pub(super) looks: u32,
    /// The steps of its making; the first makes it known.
    pub(super) create: Vec<Part>,
    /// The steps of its deletion; none for what goes with something else.
    pub(super) delete: Vec<Part>,
    /// What others refer to, besides id and ARN.
    pub(super) outputs: BTreeSet<String>,
    /// What AWS waits for before it begins to bring this one about, though it has taken the call.
    pub(super) follows: Option<Address>,
    /// The functions whose interfaces lie in it, and for how long they do after a function has left its VPC.
    pub(super) held_by: Vec<(Address, Duration)>,
}

/// Every resource's, by address.
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
            Failure::new(Class::Internal, format!("how long a `{}` takes is not known", address.kind()))
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

/// Aurora takes an instance for a cluster that is still being made, and makes it afterwards. A certificate is issued once its
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
