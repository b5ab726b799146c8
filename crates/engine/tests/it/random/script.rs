//! Scripts: what happens to a stack, step by step, as plain data that can be shrunk, and that prints as the Rust code it takes to
//! write it.

use std::fmt;

use drctl_engine::Class;
use drctl_engine::testing::{Crash, Op, Stop};
use proptest::prelude::*;

use crate::graphs::{NodeSpec, RefKind, reference, spec};

/// What happens. Nodes and resources are picked by a number, modulo how many there are.
#[derive(Debug, Clone)]
pub enum Step {
    /// `up`.
    Up(Ending),
    /// `down`.
    Down(Ending),
    /// The configuration changes.
    Change(Change),
    /// Somebody changes a resource by hand.
    ByHand(ByHand),
    /// An operation on a node will fail this many times.
    Fault { node: usize, op: Op, harm: Harm, times: usize },
    /// From now on, listings and reads by id show a new resource only after this many seconds.
    Lag { listings: u64, reads: u64 },
}

/// How a run ends.
#[derive(Debug, Clone)]
pub enum Ending {
    /// By itself.
    Undisturbed,
    /// Killed.
    Killed(Stop),
    /// By signals, at the mutation of this number.
    Signalled { mutation: usize, signals: usize },
}

/// A change of the configuration.
#[derive(Debug, Clone)]
pub enum Change {
    /// A property that is changed in place.
    Resize(usize),
    /// A property that forces a replacement.
    Reshape(usize),
    /// One more node.
    Add(NodeSpec),
    /// A node leaves, or comes back if it has left.
    Toggle(usize),
    /// A reference is added, changed, or dropped.
    Relink { node: usize, slot: usize, reference: Option<(usize, RefKind)> },
}

/// What people can do in AWS.
#[derive(Debug, Clone)]
pub enum ByHand {
    /// A resource is deleted, whatever lies in it.
    Vanish(usize),
    /// A property is changed.
    Alter(usize),
    /// Its references are dropped.
    Detach(usize),
    /// A tag is removed; all of them, if none is named.
    Untag(usize, Option<&'static str>),
    /// It is tagged as another stack's.
    GiveAway(usize),
    /// A second one is created, with the same tags.
    Duplicate(usize),
}

/// How a call fails.
#[derive(Debug, Clone)]
pub enum Harm {
    /// It is refused, and nothing is carried out.
    Refuse(Class),
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is lost on its way: nothing is carried out.
    LoseCall,
    /// What it creates fails before it becomes available.
    Spoil,
}

/// Every class of refusal that comes from AWS.
const CLASSES: [Class; 11] = [
    Class::Refused,
    Class::Throttled,
    Class::Transient,
    Class::NotYet,
    Class::Ambiguous,
    Class::Exists,
    Class::NotFound,
    Class::Denied,
    Class::Unreachable,
    Class::Unsupported,
    Class::TimedOut,
];

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        3 => Just(Ending::Undisturbed),
        1 => (0..60_usize).prop_map(|number| Ending::Killed(Stop::At(Crash::BeforeCall(number)))),
        2 => (0..20_usize).prop_map(|number| Ending::Killed(Stop::At(Crash::AfterMutation(number)))),
        1 => (0..50_usize).prop_map(|number| Ending::Killed(Stop::Records(number))),
        1 => (0..20_usize, 1..=2_usize).prop_map(|(mutation, signals)| Ending::Signalled { mutation, signals }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let node = || 0..16_usize;
    prop_oneof![
        1 => node().prop_map(Change::Resize),
        1 => node().prop_map(Change::Reshape),
        1 => spec().prop_map(Change::Add),
        2 => node().prop_map(Change::Toggle),
        2 => (node(), 0..3_usize, reference())
            .prop_map(|(node, slot, reference)| Change::Relink { node, slot, reference }),
    ]
}

fn by_hand() -> impl Strategy<Value = ByHand> {
    let resource = || 0..16_usize;
    let tag = prop::sample::select(vec![None, Some(drctl_engine::testing::STACK), Some(drctl_engine::testing::NODE)]);
    prop_oneof![
        2 => resource().prop_map(ByHand::Vanish),
        1 => resource().prop_map(ByHand::Alter),
        1 => resource().prop_map(ByHand::Detach),
        1 => (resource(), tag).prop_map(|(resource, tag)| ByHand::Untag(resource, tag)),
        1 => resource().prop_map(ByHand::GiveAway),
        1 => resource().prop_map(ByHand::Duplicate),
    ]
}

fn fault() -> impl Strategy<Value = Step> {
    let harm = prop_oneof![
        3 => prop::sample::select(CLASSES.to_vec()).prop_map(Harm::Refuse),
        2 => Just(Harm::LoseAnswer),
        1 => Just(Harm::LoseCall),
        1 => Just(Harm::Spoil),
    ];
    let ops = vec![Op::Create, Op::Create, Op::Sync, Op::Delete, Op::Read, Op::List, Op::Search];
    (0..16_usize, prop::sample::select(ops), harm, 1..=3_usize).prop_map(|(node, op, harm, times)| Step::Fault {
        node,
        op,
        harm,
        times,
    })
}

fn step() -> impl Strategy<Value = Step> {
    // Less than the grace period, after which a resource that has not appeared is taken not to exist.
    let lag = (0..20_u64, 0..20_u64).prop_map(|(listings, reads)| Step::Lag { listings, reads });
    prop_oneof![
        6 => ending().prop_map(Step::Up),
        2 => ending().prop_map(Step::Down),
        4 => change().prop_map(Step::Change),
        3 => by_hand().prop_map(Step::ByHand),
        3 => fault(),
        1 => lag,
    ]
}

/// What happens, in order.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=12)
}

/// The code of a test that plays a script, to be pasted below the others in [`crate::random`].
pub fn test_code(specs: &[NodeSpec], steps: &[Step]) -> String {
    let (specs, steps) = (lines(specs), lines(steps));
    format!(
        "#[test]\nfn found_by_random_runs() {{\n    use crate::random::prelude::*;\n    \
         let specs = [\n{specs}\n    ];\n    let steps = [\n{steps}\n    ];\n    run(&specs, &steps);\n}}\n"
    )
}

fn lines<T: fmt::Debug>(all: &[T]) -> String {
    all.iter().map(|one| format!("        {one:?},")).collect::<Vec<_>>().join("\n")
}
