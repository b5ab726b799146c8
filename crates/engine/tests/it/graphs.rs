//! Random graphs, as shapes: plain data that shrinks, and that prints as the Rust it takes to write it.

use drctl_engine::testing::Want;
use proptest::prelude::*;

/// The types that random graphs are made of.
const KINDS: [&str; 7] = ["net", "part", "gate", "role", "rule", "link", "base"];

/// How one node refers to an earlier one.
#[derive(Debug, Clone, Copy)]
pub enum Tie {
    Inside,
    Holds,
    Uses,
    UsesEarly,
    Endpoint,
    After,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Shape {
    pub kind: &'static str,
    pub west: bool,
    /// Whether it has to be opened before it can be deleted.
    pub sealed: bool,
    /// What it refers to: which of the earlier nodes, counted modulo their number.
    pub ties: [Option<(usize, Tie)>; 3],
}

impl Shape {
    /// What shall be, after the `earlier` ones. What of those has left is not referred to.
    pub fn want(&self, earlier: &[Option<Want>]) -> Want {
        let mut want = Want::new(self.kind, &format!("n{}", earlier.len()));
        if self.west {
            want = want.west();
        }
        if self.sealed {
            want = want.sealed();
        }
        for (pick, tie) in self.ties.iter().flatten() {
            let Some(to) = earlier.get(pick % earlier.len().max(1)).and_then(Option::as_ref) else { continue };
            want = match tie {
                Tie::Inside => want.inside(to),
                Tie::Holds => want.holds(to),
                Tie::Uses => want.uses(to),
                Tie::UsesEarly => want.uses_early(to),
                Tie::Endpoint => want.endpoint(to),
                Tie::After => want.after(to),
            };
        }
        want
    }
}

/// Turns shapes into nodes that refer to earlier ones only.
pub fn wanted(shapes: &[Shape]) -> Vec<Want> {
    let mut wants: Vec<Option<Want>> = Vec::with_capacity(shapes.len());
    for shape in shapes {
        wants.push(Some(shape.want(&wants)));
    }
    wants.into_iter().flatten().collect()
}

/// A reference, or none.
pub fn tie() -> impl Strategy<Value = Option<(usize, Tie)>> {
    let tie = prop_oneof![
        Just(Tie::Inside),
        Just(Tie::Holds),
        Just(Tie::Uses),
        Just(Tie::UsesEarly),
        Just(Tie::Endpoint),
        Just(Tie::After)
    ];
    prop::option::of((0..16_usize, tie))
}

/// One node.
pub fn shape() -> impl Strategy<Value = Shape> {
    let sealed = prop::bool::weighted(0.2);
    let parts = (prop::sample::select(KINDS.to_vec()), any::<bool>(), sealed, prop::array::uniform3(tie()));
    parts.prop_map(|(kind, west, sealed, ties)| Shape { kind, west, sealed, ties })
}

/// Up to `most` nodes.
pub fn shapes(most: usize) -> impl Strategy<Value = Vec<Shape>> {
    prop::collection::vec(shape(), 1..=most)
}
