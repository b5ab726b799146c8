//! Law 9: after the first signal, nothing more is started, mutations in flight finish and are recorded, and waits are dropped. The
//! second signal stops the run at once. After both, the next run continues where this one was.

use std::time::Duration;

use drctl_engine::state::Status;
use drctl_engine::testing::{Fault, Op, Want, World, undisturbed};
use drctl_engine::{Class, Event, Failure, Outcome};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_first_signal_lets_mutations_finish_and_records_them_and_starts_nothing() {
    let net = Want::new("net", "net");
    let next = Want::new("part", "next").inside(&net);
    let wants = [net.clone(), next.clone()];
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    world.cloud.set_pace("net", |pace| pace.latency = 10 * SECOND);
    let ran = world.up_interrupted(&wants, &[5 * SECOND]).await;
    assert!(ran.report.interrupted && !ran.report.is_success());
    assert!(
        ran.took >= 10 * SECOND && ran.took < 11 * SECOND,
        "the call in flight, and nothing after it: {:?}",
        ran.took
    );
    assert_eq!(world.recorded(&net), Some((Status::Created, Some(world.cloud.resource("net").id))));
    assert_eq!((ran.outcome(&net), ran.outcome(&next)), (Outcome::Interrupted, Outcome::Interrupted));
    assert_eq!(ran.report.under_way, [net.address()].into(), "AWS goes on with what was begun; the rest was not begun");
    assert!(world.cloud.calls_of("next", Op::Create).is_empty());
    assert!(world.recorded(&next).is_none());
    let reported: Vec<_> = ran.events.iter().filter(|(_, event)| matches!(event, Event::Interrupted { .. })).collect();
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0].1, Event::Interrupted { at_once: false, in_flight: 1 });
    world.assert_converges(&wants, &expected, "the next run").await;
    assert_eq!(world.cloud.calls_of("net", Op::Create).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_drops_the_waits() {
    let base = Want::new("base", "base");
    let next = Want::new("part", "next").uses(&base);
    let wants = [base.clone(), next.clone()];
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    let ran = world.up_interrupted(&wants, &[20 * SECOND]).await;
    assert!(ran.report.interrupted);
    assert!(ran.took < 21 * SECOND, "{:?}", ran.took);
    assert!(matches!(world.recorded(&base), Some((Status::Created, Some(_)))));
    world.cloud.forget_calls();
    world.assert_converges(&wants, &expected, "the next run takes up the wait").await;
    assert_eq!(world.cloud.order_of(Op::Create), ["next"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_drops_the_wait_for_a_deletion_too() {
    let world = World::new();
    let gate = [Want::new("gate", "gate")];
    assert!(world.up(&gate).await.report.is_success());
    world.cloud.forget_calls();
    let ran = world.up_interrupted(&[], &[20 * SECOND]).await;
    assert!(ran.report.interrupted);
    assert!(ran.took < 21 * SECOND, "{:?}", ran.took);
    assert!(matches!(world.recorded(&gate[0]), Some((Status::Deleting { .. }, Some(_)))));
    world.assert_goes_down("the next run takes up the wait").await;
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_does_not_wait_for_a_refusal_to_pass() {
    let world = World::new();
    let busy = Failure::new(Class::Throttled, "busy");
    world.cloud.inject("n", Op::Create, Fault::Refuse(busy), usize::MAX);
    let ran = world.up_interrupted(&[Want::new("net", "n")], &[20 * SECOND]).await;
    assert!(ran.report.interrupted);
    assert!(ran.took < 21 * SECOND, "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_stops_at_once_and_the_intent_stays_open() {
    let net = Want::new("net", "net");
    let next = Want::new("part", "next").inside(&net);
    let wants = [net.clone(), next];
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    world.cloud.set_pace("net", |pace| pace.latency = 100 * SECOND);
    let ran = world.up_interrupted(&wants, &[5 * SECOND, 6 * SECOND]).await;
    assert!(ran.report.interrupted);
    assert!(ran.took < 7 * SECOND, "{:?}", ran.took);
    assert!(ran.events.iter().any(|(_, event)| matches!(event, Event::Interrupted { at_once: true, .. })));
    assert_eq!(ran.report.under_way, [net.address()].into());
    assert!(matches!(world.recorded(&net), Some((Status::Creating { .. }, None))));
    world.assert_converges(&wants, &expected, "the next run").await;
    assert_eq!(world.cloud.calls_of("net", Op::Create).len(), 1, "what was created is found, and not created again");
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_got_no_further_than_its_deletion_is_reported_as_deleted() {
    let (net, other) = (Want::new("net", "net"), Want::new("net", "other"));
    let world = World::new();
    assert!(world.up(&[net.clone(), other.clone()]).await.report.is_success());
    let wants = [net.clone().shape("square"), other.clone().shape("square")];
    let expected = undisturbed(&wants, |_| {}).await;
    world.cloud.set_pace("net", |pace| pace.latency = 10 * SECOND);
    let refused = Failure::new(Class::Refused, "no");
    world.cloud.inject("other", Op::Create, Fault::Refuse(refused), usize::MAX);
    let ran = world.up(&wants).await;
    assert_eq!(ran.outcome(&net), Outcome::Done);
    assert!(matches!(ran.outcome(&other), Outcome::Failed(_)));
    assert_eq!(ran.report.only_deleted, [other.address()].into());
    assert!(ran.report.under_way.is_empty());
    world.cloud.heal();
    world.assert_converges(&wants, &expected, "the next run").await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_the_first_step_starts_nothing() {
    let world = World::new();
    // The listings are still under way.
    let ran = world.up_interrupted(&[Want::new("net", "n")], &[Duration::from_millis(1)]).await;
    assert!(ran.report.interrupted);
    assert!(world.cloud.calls().iter().all(|call| !call.op.mutates()));
}

#[tokio::test(start_paused = true)]
async fn a_signal_at_any_mutation_leaves_what_the_next_run_completes() {
    let net = Want::new("net", "net");
    let part = Want::new("part", "part").inside(&net);
    let gate = Want::new("gate", "gate").inside(&part);
    let role = Want::new("role", "role").west();
    let rule = Want::new("rule", "rule").uses_early(&gate).uses(&role);
    let wants = [net, part, gate, role, rule];
    let expected = undisturbed(&wants, |_| {}).await;
    for signals in [1, 2] {
        for mutation in 0.. {
            let world = World::new();
            let ran = world.up_interrupted_at(&wants, mutation, signals).await;
            if !ran.report.interrupted {
                assert!(mutation >= wants.len(), "every creation was interrupted once: {mutation}");
                break;
            }
            let context = format!("{signals} signals at mutation {mutation}");
            world.assert_converges(&wants, &expected, &context).await;
            for want in &wants {
                // A creation may be refused once while its target is on its way. AWS accepts each creation once.
                let created = world.cloud.calls_of(want.name(), Op::Create).len();
                let refused = world.cloud.refusals().iter().filter(|(name, _, _)| name == want.name()).count();
                assert_eq!(created - refused, 1, "{context}: {}", want.name());
            }
        }
    }
}
