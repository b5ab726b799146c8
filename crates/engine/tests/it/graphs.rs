//! Random graphs, as plain data that can be shrunk, and that prints as the Rust code it takes to write it.

use drctl_engine::testing::Want;
use proptest::prelude::*;

/// The types that random graphs consist of.
const KINDS: [&str; 7] = ["net", "part", "gate", "role", "rule", "link", "base"];

/// How a node refers to an earlier one.
#[derive(Debug, Clone, Copy)]
pub enum RefKind {
    Inside,
    Holds,
    Uses,
    UsesEarly,
    Endpoint,
    After,
}

/// A node of a graph.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    pub kind: &'static str,
    pub west: bool,
    /// Whether it has to be opened before it can be deleted.
    pub sealed: bool,
    /// What it refers to: the number of an earlier node, modulo how many there are, and how.
    pub refs: [Option<(usize, RefKind)>; 3],
}

impl NodeSpec {
    /// The resource, given the `earlier` ones. References to those that have left are dropped.
    pub fn want(&self, earlier: &[Option<Want>]) -> Want {
        let mut want = Want::new(self.kind, &format!("n{}", earlier.len()));
        if self.west {
            want = want.west();
        }
        if self.sealed {
            want = want.sealed();
        }
        for (number, kind) in self.refs.iter().flatten() {
            let Some(to) = earlier.get(number % earlier.len().max(1)).and_then(Option::as_ref) else { continue };
            want = match kind {
                RefKind::Inside => want.inside(to),
                RefKind::Holds => want.holds(to),
                RefKind::Uses => want.uses(to),
                RefKind::UsesEarly => want.uses_early(to),
                RefKind::Endpoint => want.endpoint(to),
                RefKind::After => want.after(to),
            };
        }
        want
    }
}

/// The resources of a graph, each of which refers only to earlier ones.
pub fn wanted(specs: &[NodeSpec]) -> Vec<Want> {
    let mut wants: Vec<Option<Want>> = Vec::with_capacity(specs.len());
    for spec in specs {
        wants.push(Some(spec.want(&wants)));
    }
    wants.into_iter().flatten().collect()
}

/// A reference, or none.
pub fn reference() -> impl Strategy<Value = Option<(usize, RefKind)>> {
    let kind = prop_oneof![
        Just(RefKind::Inside),
        Just(RefKind::Holds),
        Just(RefKind::Uses),
        Just(RefKind::UsesEarly),
        Just(RefKind::Endpoint),
        Just(RefKind::After)
    ];
    prop::option::of((0..16_usize, kind))
}

/// A node.
pub fn spec() -> impl Strategy<Value = NodeSpec> {
    let sealed = prop::bool::weighted(0.2);
    let parts = (prop::sample::select(KINDS.to_vec()), any::<bool>(), sealed, prop::array::uniform3(reference()));
    parts.prop_map(|(kind, west, sealed, refs)| NodeSpec { kind, west, sealed, refs })
}

/// Up to `most` nodes.
pub fn specs(most: usize) -> impl Strategy<Value = Vec<NodeSpec>> {
    prop::collection::vec(spec(), 1..=most)
}
