//! Scripts: what happens to a stack, step by step. Plain data that shrinks, and that prints as the Rust it takes to write it.

use std::fmt;

use drctl_engine::Class;
use drctl_engine::testing::{Crash, Op, Stop};
use proptest::prelude::*;

use crate::graphs::{Shape, Tie, shape, tie};

/// What happens. Nodes and things are picked by a number, counted modulo how many there are.
#[derive(Debug, Clone)]
pub enum Step {
    /// `up`.
    Up(Way),
    /// `down`.
    Down(Way),
    /// The configuration changes.
    Change(Change),
    /// Something happens to a thing behind drctl's back.
    Behind(Behind),
    /// An operation on a node will go wrong, as often as this.
    Fault { node: usize, op: Op, harm: Harm, times: usize },
    /// From now on listings, and reads by id, show a new thing only after this many seconds.
    Lag { listings: u64, reads: u64 },
}

/// How a run ends.
#[derive(Debug, Clone)]
pub enum Way {
    /// By itself.
    Undisturbed,
    /// Killed.
    Killed(Stop),
    /// With signals, at the mutation of this number.
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
    Add(Shape),
    /// A node leaves, or one that had left comes back.
    Toggle(usize),
    /// A reference is added, changed or dropped.
    Retie { node: usize, slot: usize, tie: Option<(usize, Tie)> },
}

/// What AWS's users can do.
#[derive(Debug, Clone)]
pub enum Behind {
    /// A thing is deleted, whatever lies in it.
    Vanish(usize),
    /// A property is changed.
    Alter(usize),
    /// What it refers to is let go of.
    Detach(usize),
    /// A tag is taken off; all of them, where none is named.
    Untag(usize, Option<&'static str>),
    /// It is tagged as another stack's.
    GiveAway(usize),
    /// A second one is made, tags and all.
    Double(usize),
}

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub enum Harm {
    /// It is refused, and nothing is carried out.
    Refuse(Class),
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is lost on its way.
    LoseCall,
    /// What it makes comes to nothing.
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

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        3 => Just(Way::Undisturbed),
        1 => (0..60_usize).prop_map(|number| Way::Killed(Stop::At(Crash::BeforeCall(number)))),
        2 => (0..20_usize).prop_map(|number| Way::Killed(Stop::At(Crash::AfterMutation(number)))),
        1 => (0..50_usize).prop_map(|number| Way::Killed(Stop::Records(number))),
        1 => (0..20_usize, 1..=2_usize).prop_map(|(mutation, signals)| Way::Signalled { mutation, signals }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let node = || 0..16_usize;
    prop_oneof![
        1 => node().prop_map(Change::Resize),
        1 => node().prop_map(Change::Reshape),
        1 => shape().prop_map(Change::Add),
        2 => node().prop_map(Change::Toggle),
        2 => (node(), 0..3_usize, tie()).prop_map(|(node, slot, tie)| Change::Retie { node, slot, tie }),
    ]
}

fn behind() -> impl Strategy<Value = Behind> {
    let thing = || 0..16_usize;
    let tag = prop::sample::select(vec![None, Some(drctl_engine::testing::STACK), Some(drctl_engine::testing::NODE)]);
    prop_oneof![
        2 => thing().prop_map(Behind::Vanish),
        1 => thing().prop_map(Behind::Alter),
        1 => thing().prop_map(Behind::Detach),
        1 => (thing(), tag).prop_map(|(thing, tag)| Behind::Untag(thing, tag)),
        1 => thing().prop_map(Behind::GiveAway),
        1 => thing().prop_map(Behind::Double),
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
    // Less than the period of grace, after which what does not show itself is taken not to be.
    let lag = (0..20_u64, 0..20_u64).prop_map(|(listings, reads)| Step::Lag { listings, reads });
    prop_oneof![
        6 => way().prop_map(Step::Up),
        2 => way().prop_map(Step::Down),
        4 => change().prop_map(Step::Change),
        3 => behind().prop_map(Step::Behind),
        3 => fault(),
        1 => lag,
    ]
}

/// What happens, in its order.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=12)
}

/// A test that plays a script, to be pasted below [`crate::random`]'s others.
pub fn ready_test(shapes: &[Shape], steps: &[Step]) -> String {
    let (shapes, steps) = (lines(shapes), lines(steps));
    format!(
        "#[test]\nfn found_by_random_runs() {{\n    use crate::random::prelude::*;\n    \
         let shapes = [\n{shapes}\n    ];\n    let steps = [\n{steps}\n    ];\n    run(&shapes, &steps);\n}}\n"
    )
}

fn lines<T: fmt::Debug>(all: &[T]) -> String {
    all.iter().map(|one| format!("        {one:?},")).collect::<Vec<_>>().join("\n")
}
