//! Crashes at every point: the run is cut off, the state is opened again from disk, and one clean run has to lead to what an
//! undisturbed run leads to. No duplicate, no orphan, no phantom.

use std::time::Duration;

use drctl_engine::testing::{Contents, Crash, Fault, Op, Stop, Want, World, undisturbed};
use drctl_engine::{Class, Failure};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::graphs::{NodeSpec, specs, wanted};

/// The network of one Region in miniature, with every family of types: 13 nodes.
fn side(side: &str, place: fn(Want) -> Want) -> Vec<Want> {
    let new = |kind, name: &str| place(Want::new(kind, &format!("{name}-{side}")));
    let net = new("net", "net");
    let left = new("part", "left").inside(&net);
    let right = new("part", "right").inside(&net);
    let role = new("role", "role");
    let note = new("note", "note").inside(&net);
    let gate_left = new("gate", "gate-left").inside(&left);
    let gate_right = new("gate", "gate-right").inside(&right);
    let rule_left = new("rule", "rule-left").inside(&left).uses_early(&gate_left);
    let rule_right = new("rule", "rule-right").inside(&right).uses_early(&gate_right);
    let base = new("base", "base").inside(&left).uses(&role);
    let early = new("part", "early").uses_early(&base);
    let reader = new("role", "reader").endpoint(&base);
    let last = new("part", "last").uses(&early).after(&rule_left).sealed();
    vec![net, left, right, role, note, gate_left, gate_right, rule_left, rule_right, base, early, reader, last]
}

/// Both Regions, a link between them, and rules over it.
pub fn stack() -> Vec<Want> {
    let (mut wants, west) = (side("e", |want| want), side("w", Want::west));
    let link = Want::new("link", "link").inside(&wants[0]).uses(&west[0]);
    let over = Want::new("rule", "over-e").inside(&wants[1]).uses_early(&link);
    let back = Want::new("rule", "over-w").west().inside(&west[1]).uses_early(&link);
    wants.extend(west);
    wants.extend([link, over, back]);
    wants
}

/// The same stack a release later: one resource is changed in place, one is replaced with all that lies in it, one is new, and one has
/// left.
fn next_release() -> Vec<Want> {
    let mut wants = stack();
    for want in &mut wants {
        match want.name() {
            "left-e" => *want = want.clone().shape("square"),
            "role-w" => *want = want.clone().size(2),
            _ => {}
        }
    }
    wants.retain(|want| want.name() != "rule-right-w");
    let new = Want::new("part", "new-w").west().inside(&wants[13]);
    wants.push(new);
    wants
}

/// Turns minutes into seconds, so that fewer of the calls are only another read of something on its way.
pub fn brisk(world: &World) {
    world.cloud.set_pace("gate", |pace| {
        pace.ready_after = Duration::from_secs(8);
        pace.gone_after = Duration::from_secs(4);
    });
    world.cloud.set_pace("base", |pace| pace.ready_after = Duration::from_secs(15));
    world.cloud.set_pace("link", |pace| pace.ready_after = Duration::from_secs(5));
}

pub fn fresh() -> World {
    let world = World::new();
    brisk(&world);
    world
}

pub async fn built(wants: &[Want]) -> World {
    let world = fresh();
    assert!(world.up(wants).await.report.is_success());
    world
}

/// The points at which a run can be killed, from the first to the last.
#[derive(Debug, Clone, Copy)]
enum Points {
    /// Before each call.
    Calls,
    /// Between each mutation and its answer.
    Mutations,
    /// After each durable record.
    Records,
}

impl Points {
    fn at(self, number: usize) -> Stop {
        match self {
            Self::Calls => Stop::At(Crash::BeforeCall(number)),
            Self::Mutations => Stop::At(Crash::AfterMutation(number)),
            Self::Records => Stop::Records(number),
        }
    }
}

/// Kills a run from `start` to `wants` at every point, each time in another copy of the world, and checks that copy.
async fn at_every_point(
    start: &World,
    wants: &[Want],
    points: Points,
    at_least: usize,
    check: impl AsyncFn(&World, &str),
) {
    for number in 0.. {
        let world = start.fork();
        let stop = points.at(number);
        let context = format!("killed at {stop:?}");
        if !world.crash(wants, stop).await {
            assert!(number >= at_least, "only {number} points: the run was not killed where it should have been");
            break;
        }
        check(&world, context.as_str()).await;
    }
}

async fn then_up(start: &World, doing: &[Want], points: Points, at_least: usize, wants: &[Want], expected: &Contents) {
    let check = async |world: &World, context: &str| world.assert_converges(wants, expected, context).await;
    at_every_point(start, doing, points, at_least, check).await;
}

async fn then_down(start: &World, doing: &[Want], points: Points, at_least: usize) {
    let check = async |world: &World, context: &str| world.assert_goes_down(context).await;
    at_every_point(start, doing, points, at_least, check).await;
}

#[tokio::test(start_paused = true)]
async fn up_killed_before_any_call_is_completed_by_up() {
    let expected = undisturbed(&stack(), brisk).await;
    then_up(&fresh(), &stack(), Points::Calls, 80, &stack(), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn up_killed_before_any_answer_is_completed_by_up() {
    let expected = undisturbed(&stack(), brisk).await;
    then_up(&fresh(), &stack(), Points::Mutations, 29, &stack(), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn up_killed_after_any_record_is_completed_by_up() {
    let expected = undisturbed(&stack(), brisk).await;
    then_up(&fresh(), &stack(), Points::Records, 80, &stack(), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn up_killed_before_any_answer_is_undone_by_down() {
    then_down(&fresh(), &stack(), Points::Mutations, 29).await;
}

#[tokio::test(start_paused = true)]
async fn up_killed_after_any_record_is_undone_by_down() {
    then_down(&fresh(), &stack(), Points::Records, 80).await;
}

#[tokio::test(start_paused = true)]
async fn down_killed_before_any_call_is_completed_by_down() {
    then_down(&built(&stack()).await, &[], Points::Calls, 60).await;
}

#[tokio::test(start_paused = true)]
async fn down_killed_before_any_answer_is_completed_by_down() {
    // The two notes are deleted with what they lie in.
    then_down(&built(&stack()).await, &[], Points::Mutations, 27).await;
}

#[tokio::test(start_paused = true)]
async fn down_killed_after_any_record_is_completed_by_down() {
    then_down(&built(&stack()).await, &[], Points::Records, 50).await;
}

#[tokio::test(start_paused = true)]
async fn down_killed_before_any_answer_is_undone_by_up() {
    let expected = undisturbed(&stack(), brisk).await;
    then_up(&built(&stack()).await, &[], Points::Mutations, 27, &stack(), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn down_killed_after_any_record_is_undone_by_up() {
    let expected = undisturbed(&stack(), brisk).await;
    then_up(&built(&stack()).await, &[], Points::Records, 50, &stack(), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_killed_before_any_answer_is_completed_by_up() {
    let expected = undisturbed(&next_release(), brisk).await;
    let start = built(&stack()).await;
    then_up(&start, &next_release(), Points::Mutations, 10, &next_release(), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_killed_after_any_record_is_completed_by_up() {
    let expected = undisturbed(&next_release(), brisk).await;
    let start = built(&stack()).await;
    then_up(&start, &next_release(), Points::Records, 20, &next_release(), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_at_any_mutation_is_as_safe_as_a_crash() {
    let wants = stack();
    let expected = undisturbed(&wants, brisk).await;
    for mutation in 0.. {
        let world = fresh();
        let ran = world.up_interrupted_at(&wants, mutation, 2).await;
        if !ran.report.interrupted {
            assert!(mutation >= wants.len(), "{mutation}");
            break;
        }
        world.assert_converges(&wants, &expected, &format!("stopped at mutation {mutation}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_again_and_again_still_converges() {
    let wants = stack();
    let expected = undisturbed(&wants, brisk).await;
    // No run gets further than a few mutations.
    for stride in [1, 2, 3, 5] {
        let world = fresh();
        let mut kills = 0;
        while world.crash(&wants, Stop::At(Crash::AfterMutation(stride))).await {
            kills += 1;
            assert!(kills <= wants.len(), "each run gets further than the one before");
        }
        assert!(kills > 2, "{kills}");
        world.assert_converges(&wants, &expected, &format!("after {kills} kills")).await;
    }
}

/// The one thing that goes wrong.
#[derive(Debug, Clone)]
enum Trouble {
    Fault { node: Index, op: Op, fault: Fault },
    Kill(Stop),
    Signals { mutation: usize, signals: usize },
}

fn troubles() -> impl Strategy<Value = Trouble> {
    let classes = [Class::Refused, Class::Throttled, Class::Transient, Class::Unreachable, Class::Denied];
    let refuse =
        prop::sample::select(classes.to_vec()).prop_map(|class| Fault::Refuse(Failure::new(class, "injected")));
    let fault = prop_oneof![refuse, Just(Fault::LoseAnswer), Just(Fault::LoseCall), Just(Fault::Spoil)];
    let op = prop::sample::select(vec![Op::Create, Op::Read, Op::Delete]);
    prop_oneof![
        (any::<Index>(), op, fault).prop_map(|(node, op, fault)| Trouble::Fault { node, op, fault }),
        (0..60_usize).prop_map(|number| Trouble::Kill(Stop::At(Crash::BeforeCall(number)))),
        (0..20_usize).prop_map(|number| Trouble::Kill(Stop::At(Crash::AfterMutation(number)))),
        (0..50_usize).prop_map(|number| Trouble::Kill(Stop::Records(number))),
        (0..20_usize, 1..=2_usize).prop_map(|(mutation, signals)| Trouble::Signals { mutation, signals }),
    ]
}

/// A run with trouble. However it ends, the trouble is over afterwards.
async fn troubled(world: &World, wants: &[Want], all: &[Want], trouble: &Trouble) {
    match trouble {
        Trouble::Fault { node, op, fault } => {
            world.cloud.inject(all[node.index(all.len())].name(), *op, fault.clone(), 1);
            // It may fail or not: what counts is what the next run makes of it.
            drop(world.up(wants).await);
            world.cloud.heal();
        }
        Trouble::Kill(stop) => {
            world.crash(wants, stop.clone()).await;
        }
        Trouble::Signals { mutation, signals } => drop(world.up_interrupted_at(wants, *mutation, *signals).await),
    }
}

async fn survives(specs: &[NodeSpec], lag: Duration, up: &Trouble, down: &Trouble) {
    let prepare = |world: &World| {
        brisk(world);
        world.cloud.set_paces(|pace| pace.shown_after = lag);
    };
    let wants = wanted(specs);
    let expected = undisturbed(&wants, &prepare).await;
    let world = World::new();
    prepare(&world);
    troubled(&world, &wants, &wants, up).await;
    world.assert_converges(&wants, &expected, &format!("up after {up:?}")).await;
    troubled(&world, &[], &wants, down).await;
    world.assert_goes_down(&format!("down after {down:?}")).await;
}

proptest! {
    // Half of the usual number, so that PROPTEST_CASES still has an effect. Each case is half a dozen runs.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_stack_survives_any_single_trouble(
        specs in specs(15),
        lag in 0..20_u64,
        up in troubles(),
        down in troubles(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(survives(&specs, Duration::from_secs(lag), &up, &down));
    }
}
