//! Values that many tests need, with nothing special about them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Cloud;
use crate::driver::{DriverRegistry as _, Live, Owner, Phase};
use crate::graph::{Graph, Node};
use crate::reference::Properties;
use crate::state::{Address, Entry, Status};

/// A resource of this stack as it is read, tagged with a node's address and an attempt.
pub fn live(id: &str, node: &str, attempt: Option<&str>, phase: Phase) -> Live {
    let owner = Owner::Ours { node: node.parse().ok(), attempt: attempt.map(str::to_owned) };
    Live {
        id: id.to_owned(),
        arn: None,
        phase,
        owner,
        properties: Properties::new(),
        outputs: BTreeMap::new(),
        goes_after: Vec::new(),
    }
}

/// What the state holds of a resource.
pub fn entry(region: &str, id: &str, status: Status) -> Entry {
    Entry {
        status,
        region: region.to_owned(),
        natural_id: None,
        id: Some(id.to_owned()),
        arn: None,
        outputs: BTreeMap::new(),
        attempt: None,
        digest: String::new(),
        depends_on: Vec::new(),
        unsupported: BTreeMap::new(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

/// A node whose type is one of the cloud's.
pub fn node(cloud: &Cloud, address: &str, region: &str, desired: Properties) -> Node {
    let address: Address = address.parse().expect("an address");
    let driver = cloud.driver(address.kind()).expect("a type of this cloud");
    Node { address, region: region.into(), driver, desired }
}

/// A graph of these nodes.
pub fn graph(nodes: impl IntoIterator<Item = Node>) -> Graph {
    let mut graph = Graph::new();
    for node in nodes {
        graph.add(node).expect("every reference leads to an earlier node");
    }
    graph
}
