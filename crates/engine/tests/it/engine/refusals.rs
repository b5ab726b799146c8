//! Law 5: a failure stops what depends on it and nothing else, and what failed by itself is told apart from what was skipped.

use std::time::Duration;

use drctl_engine::state::Status;
use drctl_engine::testing::{EAST, Fault, Op, WEST, Want, World, undisturbed};
use drctl_engine::{Class, Event, Failure, Outcome, Silent};

#[tokio::test(start_paused = true)]
async fn a_failed_node_stops_its_dependents_and_nothing_else() {
    let failing = Want::new("net", "failing");
    let child = Want::new("part", "child").inside(&failing);
    let grandchild = Want::new("part", "grandchild").uses(&child);
    let free = Want::new("net", "free");
    let follower = Want::new("part", "follower").inside(&free);
    let wants = [failing.clone(), child.clone(), grandchild.clone(), free.clone(), follower.clone()];
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    world.cloud.refuse_once("failing", Op::Create, Failure::new(Class::Refused, "the quota is full"));
    let ran = world.up(&wants).await;
    assert_eq!(ran.failed(), ["failing"], "one root failure, however many are skipped because of it");
    assert!(matches!(ran.outcome(&failing), Outcome::Failed(failure) if failure.message == "the quota is full"));
    assert_eq!(ran.outcome(&child), Outcome::Skipped(failing.address()));
    assert_eq!(ran.outcome(&grandchild), Outcome::Skipped(failing.address()));
    assert_eq!((ran.outcome(&free), ran.outcome(&follower)), (Outcome::Done, Outcome::Done));
    assert!(!ran.report.is_success() && !ran.report.interrupted);
    let skipped = ran.events.iter().filter(|(_, event)| matches!(event, Event::Skipped { .. })).count();
    assert_eq!(skipped, 2, "each is reported once: {:#?}", ran.events);
    world.assert_sound("nothing was rolled back or lost");
    world.assert_converges(&wants, &expected, "the next run does the rest").await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_only_as_long_as_its_resource_is_wanted() {
    let (failing, free) = (Want::new("net", "failing"), Want::new("net", "free"));
    let wants = [failing.clone(), free.clone()];
    let remembered =
        |world: &World| world.state().map(|state| state.failed).unwrap_or_default().into_keys().collect::<Vec<_>>();
    for (gone, what) in [(vec![free], "taken out of the configuration"), (Vec::new(), "deleted with all others")] {
        let world = World::new();
        world.cloud.refuse_once("failing", Op::Create, Failure::new(Class::Refused, "the quota is full"));
        assert_eq!(world.up(&wants).await.failed(), ["failing"]);
        assert_eq!(remembered(&world), [failing.address()]);
        assert!(world.up(&gone).await.report.is_success(), "{what}");
        assert_eq!(remembered(&world), [], "{what}");
    }
    let world = World::new();
    world.cloud.refuse_once("failing", Op::Create, Failure::new(Class::Refused, "the quota is full"));
    world.up(&wants).await;
    assert!(world.up(&wants).await.report.is_success());
    assert_eq!(remembered(&world), [], "created");
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_any_node_leaves_what_the_next_run_completes() {
    let net = Want::new("net", "net");
    let part = Want::new("part", "part").inside(&net);
    let gate = Want::new("gate", "gate").inside(&part);
    let role = Want::new("role", "role").west();
    let rule = Want::new("rule", "rule").uses_early(&gate).uses(&role);
    let wants = [net, part, gate, role, rule];
    let expected = undisturbed(&wants, |_| {}).await;
    for want in &wants {
        let world = World::new();
        world.cloud.refuse_once(want.name(), Op::Create, Failure::new(Class::Denied, "not allowed"));
        let ran = world.up(&wants).await;
        assert_eq!(ran.failed(), [want.name()]);
        world.assert_sound(want.name());
        world.assert_converges(&wants, &expected, want.name()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_passes_by_itself_is_waited_out_and_reported() {
    for class in [Class::Throttled, Class::Transient] {
        let world = World::new();
        let wants = [Want::new("net", "n")];
        for op in [Op::Create, Op::Sync, Op::Delete] {
            world.cloud.inject("n", op, Fault::Refuse(Failure::new(class, "busy")), 3);
        }
        let ran = world.up(&wants).await;
        assert!(ran.report.is_success(), "{class:?}: {:#?}", ran.report);
        let retries = ran.events.iter().filter(|(_, event)| matches!(event, Event::Retrying { .. })).count();
        assert_eq!(retries, 3, "{class:?}: {:#?}", ran.events);
        assert_eq!(world.cloud.calls_of("n", Op::Create).len(), 4);
        assert!(world.up(&[Want::new("net", "n").size(2)]).await.report.is_success());
        assert_eq!(world.cloud.calls_of("n", Op::Sync).len(), 4);
        world.assert_goes_down(&format!("{class:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_may_be_carried_out_twice_are_repeated_after_lost_answers() {
    let world = World::new();
    let wants = [Want::new("net", "n")];
    assert!(world.up(&wants).await.report.is_success());
    for fault in [Fault::LoseAnswer, Fault::LoseCall] {
        world.cloud.inject("n", Op::Sync, fault.clone(), 1);
        world.cloud.inject("n", Op::Delete, fault, 1);
    }
    let resized = [Want::new("net", "n").size(2)];
    let expected = undisturbed(&resized, |_| {}).await;
    world.assert_converges(&resized, &expected, "set in spite of two lost answers").await;
    world.assert_goes_down("deleted in spite of two lost answers").await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_change_leaves_an_open_intent_that_the_next_run_takes_up() {
    let world = World::new();
    assert!(world.up(&[Want::new("net", "n")]).await.report.is_success());
    let resized = [Want::new("net", "n").size(2)];
    let expected = undisturbed(&resized, |_| {}).await;
    world.cloud.refuse_once("n", Op::Sync, Failure::new(Class::Refused, "not now"));
    assert_eq!(world.up(&resized).await.failed(), ["n"]);
    assert!(matches!(world.recorded(&resized[0]), Some((Status::Updating { .. }, Some(_)))));
    world.assert_converges(&resized, &expected, "the next run").await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_waits_for_that_of_another_resource_ends_when_that_one_fails() {
    let leader = Want::new("net", "leader");
    let follower = Want::new("net", "follower").west().follows(&leader);
    let resized = [leader.clone().size(2), follower.clone().size(2)];
    // The follower waits for the leader already when that one fails, or asks only afterwards.
    for (region, seconds) in [(EAST, 20), (WEST, 1)] {
        let world = World::new();
        assert!(world.up(&[leader.clone(), follower.clone()]).await.report.is_success());
        world.cloud.slow_mutations(region, Duration::from_secs(seconds));
        world.cloud.refuse_once("leader", Op::Sync, Failure::new(Class::Refused, "its password is none"));
        let ran = world.up(&resized).await;
        assert_eq!(ran.failed(), ["leader"]);
        assert_eq!(ran.outcome(&follower), Outcome::Skipped(leader.address()), "as what depends on it");
        assert!(ran.took < Duration::from_secs(40), "{:?}", ran.took);
        let skipped = |event: &Event| matches!(event, Event::Skipped { address, because } if *address == follower.address() && *because == leader.address());
        assert_eq!(ran.events.iter().filter(|(_, event)| skipped(event)).count(), 1, "{:#?}", ran.events);
        world.cloud.heal();
        assert!(world.up(&resized).await.report.is_success(), "when the cause is gone");
        world.assert_sound("both have their size");
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_complete_is_not_waited_for_once_these_have_failed() {
    let deed = Want::new("deed", "deed");
    // The same in the other Region, which the same record completes.
    let twin = deed.clone().west();
    let record = Want::new("part", "record").proof(&deed);
    let user = Want::new("part", "user").west().uses(&twin);
    let wants = [deed.clone(), twin.clone(), record.clone(), user.clone()];
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    world.cloud.refuse_once("record", Op::Create, Failure::new(Class::Denied, "not allowed"));
    let ran = world.up(&wants).await;
    assert_eq!(ran.failed(), ["record"]);
    for want in [&deed, &twin, &user] {
        assert_eq!(ran.outcome(want), Outcome::Skipped(record.address()), "{}", want.name());
    }
    assert!(ran.took < Duration::from_mins(3), "{:?}", ran.took);
    world.assert_converges(&wants, &expected, "the next run does the rest").await;
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answers_take_minutes_to_be_lost_is_not_repeated_for_a_quarter_of_an_hour() {
    let world = World::new();
    assert!(world.up(&[Want::new("net", "n")]).await.report.is_success());
    // As a change does whose reads are repeated, and lost, one after the other.
    world.cloud.slow_mutations(EAST, Duration::from_secs(130));
    world.cloud.inject("n", Op::Sync, Fault::LoseCall, 6);
    let ran = world.up(&[Want::new("net", "n").size(2)]).await;
    assert_eq!(ran.failed(), ["n"]);
    assert!(ran.took < Duration::from_mins(5), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_repeated_for_as_long_as_a_region_is_announced_to_be_asked() {
    let net = Want::new("net", "n");
    let silent =
        Failure { silent: Some(Silent::Region(EAST.to_owned())), ..Failure::new(Class::Ambiguous, "no answer") };
    for op in [Op::Sync, Op::Delete] {
        let world = World::new();
        assert!(world.up(std::slice::from_ref(&net)).await.report.is_success());
        world.cloud.inject("n", op, Fault::Refuse(silent.clone()), 9);
        let ran = if op == Op::Sync { world.up(&[net.clone().size(2)]).await } else { world.down().await };
        assert!(ran.report.is_success(), "{op:?}: {:?}", ran.failed());
        // It is given up with another class.
        let gone = Failure::new(Class::TimedOut, "it has not answered, and is asked no more");
        let world = World::new();
        assert!(world.up(std::slice::from_ref(&net)).await.report.is_success());
        world.cloud.refuse_once("n", op, gone);
        let ran = if op == Op::Sync { world.up(&[net.clone().size(2)]).await } else { world.down().await };
        assert_eq!(ran.failed(), ["n"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_deletion_stops_the_deletion_of_what_it_lies_in_and_nothing_else() {
    let net = Want::new("net", "net");
    let part = Want::new("part", "part").inside(&net);
    let free = Want::new("net", "free");
    let world = World::new();
    assert!(world.up(&[net.clone(), part.clone(), free.clone()]).await.report.is_success());
    world.cloud.refuse_once("part", Op::Delete, Failure::new(Class::Refused, "it is protected"));
    let ran = world.down().await;
    assert_eq!(ran.failed(), ["part"]);
    assert_eq!(ran.outcome(&net), Outcome::Skipped(part.address()));
    assert_eq!(ran.outcome(&free), Outcome::Done);
    assert!(world.cloud.calls_of("net", Op::Delete).is_empty());
    world.assert_goes_down("the next run does the rest").await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_could_not_be_looked_at_fails_at_once_whatever_the_refusal() {
    let net = Want::new("net", "net");
    let part = Want::new("part", "part").inside(&net);
    let free = Want::new("net", "free").west();
    let wants = [net.clone(), part.clone(), free.clone()];
    let expected = undisturbed(&wants, |_| {}).await;
    // A refusal that passes by itself, or once something else exists, is not one to wait for: nothing looks again in this run.
    for class in [Class::NotYet, Class::Throttled, Class::Transient, Class::Ambiguous, Class::Exists, Class::Refused] {
        let world = World::new();
        assert!(world.up(std::slice::from_ref(&net)).await.report.is_success());
        world.cloud.refuse_once("net", Op::List, Failure::new(class, "not now"));
        let ran = world.up(&wants).await;
        assert_eq!(ran.failed(), ["net"], "{class:?}");
        assert_eq!(ran.outcome(&part), Outcome::Skipped(net.address()), "{class:?}");
        assert_eq!(ran.outcome(&free), Outcome::Done, "{class:?}");
        world.assert_converges(&wants, &expected, &format!("{class:?}")).await;
    }
}
