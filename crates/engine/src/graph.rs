//! The graph of desired resources: nodes are added with references to earlier ones, which make the edges.

use std::collections::HashMap;
use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

use crate::driver::{Driver, Region};
use crate::reference::{self, Need, Properties};
use crate::state::Address;

/// A desired resource.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its address.
    pub address: Address,
    /// The Region its calls go to.
    pub region: Region,
    /// Its type.
    pub driver: Arc<dyn Driver>,
    /// Its desired properties, with references.
    pub desired: Properties,
}

/// Why a node cannot be added to a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Its address is taken.
    #[error("{0} is in the graph twice")]
    Twice(Address),
    /// It refers to something that was not added before it.
    #[error("{from} refers to {to}, which is not in the graph before it")]
    Unknown {
        /// The node.
        from: Address,
        /// The target of the reference.
        to: Address,
    },
}

/// Resources, and what they need of each other. An edge leads from a resource to one that needs it.
///
/// A node can refer only to nodes that were added before it, so a cycle cannot be written.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: DiGraph<Arc<Node>, Need>,
    index: HashMap<Address, NodeIndex>,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node, with the edges that follow from its references.
    ///
    /// # Errors
    /// When its address is taken, or a reference leads nowhere.
    pub fn add(&mut self, node: Node) -> Result<(), GraphError> {
        if self.index.contains_key(&node.address) {
            return Err(GraphError::Twice(node.address));
        }
        let mut needs: HashMap<NodeIndex, Need> = HashMap::new();
        for found in reference::references(&node.desired) {
            let Some(target) = self.index.get(&found.of) else {
                return Err(GraphError::Unknown { from: node.address, to: found.of });
            };
            let need = needs.entry(*target).or_insert(found.need);
            *need = (*need).max(found.need);
        }
        let address = node.address.clone();
        let at = self.nodes.add_node(Arc::new(node));
        for (target, need) in needs {
            self.nodes.add_edge(target, at, need);
        }
        self.index.insert(address, at);
        Ok(())
    }

    /// A node by its address.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Arc<Node>> {
        self.index.get(address).map(|at| &self.nodes[*at])
    }

    /// All nodes, each after everything it refers to.
    #[must_use]
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Arc<Node>> {
        self.nodes.node_weights().collect::<Vec<_>>().into_iter()
    }

    /// The targets of a node's references, sorted, and what it needs of each.
    #[must_use]
    pub fn needs(&self, address: &Address) -> Vec<(Address, Need)> {
        let Some(at) = self.index.get(address) else { return Vec::new() };
        let mut needs: Vec<_> = self
            .nodes
            .edges_directed(*at, Direction::Incoming)
            .map(|edge| (self.nodes[edge.source()].address.clone(), *edge.weight()))
            .collect();
        needs.sort();
        needs
    }

    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether the graph is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}
