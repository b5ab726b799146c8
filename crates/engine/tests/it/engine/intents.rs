//! Law 1: an intent is durable before its call is sent, and an outcome before anything that depends on it starts.
//! Law 2: open intents are resolved before anything is created, so that there are never two resources and never an orphan.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drctl_engine::state::Status;
use drctl_engine::testing::{Crash, EAST, Fault, NODE, OURS, Op, STACK, Stop, Want, World, undisturbed};
use drctl_engine::{Class, Failure, Outcome};

const GRACE: Duration = Duration::from_secs(30);

/// Lines that come together from several threads.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the state from disk whenever a mutation arrives, to see whether it was announced. Returns the mutations that were, and those
/// that were not.
fn watch(world: &World) -> (Lines, Lines) {
    let (announced, unannounced) = (Lines::default(), Lines::default());
    let (yes, no, at) = (announced.clone(), unannounced.clone(), world.location());
    world.cloud.on_call(move |call| {
        if !call.op.mutates() {
            return;
        }
        let entries = at.read().expect("a sound state").map(|state| state.resources).unwrap_or_default();
        let entry = entries.iter().find(|(address, _)| address.name() == call.name).map(|(_, entry)| entry);
        let sound = match (call.op, entry.map(|entry| &entry.status)) {
            (Op::Create, Some(Status::Creating { attempt, .. })) => call.token.as_ref() == Some(attempt),
            (Op::Sync, Some(Status::Updating { .. } | Status::Created))
            | (Op::Delete, Some(Status::Deleting { .. })) => true,
            _ => false,
        };
        let line = format!("{:?} {}", call.op, call.name);
        if sound { yes.add(line) } else { no.add(format!("{line}, recorded: {entry:?}")) }
    });
    (announced, unannounced)
}

#[tokio::test(start_paused = true)]
async fn an_intent_with_its_token_is_on_disk_before_the_call_is_sent() {
    let world = World::new();
    let (announced, unannounced) = watch(&world);
    let net = Want::new("net", "a");
    let gate = Want::new("gate", "b").inside(&net);
    let rule = Want::new("rule", "c").uses_early(&gate);
    assert!(world.up(&[net.clone(), gate.clone(), rule.clone()]).await.report.is_success());
    let (net, rule) = (net.size(2), rule.shape("square"));
    assert!(world.up(&[net, gate, rule]).await.report.is_success());
    assert!(world.down().await.report.is_success());
    assert_eq!(unannounced.all(), Vec::<String>::new());
    for expected in ["Create a", "Create b", "Create c", "Sync a", "Delete c", "Delete b", "Delete a"] {
        assert!(announced.all().iter().any(|line| line == expected), "{expected}: {:?}", announced.all());
    }
}

#[tokio::test(start_paused = true)]
async fn dependents_start_only_after_the_outcome_is_durable() {
    let world = World::new();
    let (durable, premature) = (Lines::default(), Lines::default());
    let (yes, no, at) = (durable.clone(), premature.clone(), world.location());
    world.cloud.on_call(move |call| {
        let entries = at.read().expect("a sound state").map(|state| state.resources).unwrap_or_default();
        for id in call.refers.iter().filter(|_| call.op == Op::Create) {
            let entry = entries.values().find(|entry| entry.id.as_ref() == Some(id));
            let needs_existence_only = call.name == "early";
            let is_durable = match entry.map(|entry| &entry.status) {
                Some(Status::Ready) => true,
                Some(Status::Created) => needs_existence_only,
                _ => false,
            };
            let line = format!("{} refers to {id}", call.name);
            if is_durable { yes.add(line) } else { no.add(format!("{line}, recorded: {entry:?}")) }
        }
    });
    let net = Want::new("net", "net");
    let base = Want::new("base", "base").inside(&net);
    let early = Want::new("part", "early").uses_early(&base);
    let late = Want::new("part", "late").uses(&base).inside(&net);
    assert!(world.up(&[net, base, early, late]).await.report.is_success());
    assert_eq!(durable.all().len(), 4, "{:?}", durable.all());
    assert_eq!(premature.all(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_by_the_attempts_tag() {
    let world = World::new();
    let net = [Want::new("net", "n")];
    world.cloud.lose_answer("n", Op::Create);
    let ran = world.up(&net).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert_eq!(world.cloud.calls_of("n", Op::Create).len(), 1);
    assert_eq!(world.recorded(&net[0]), Some((Status::Ready, Some(world.cloud.resource("n").id))));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_listings_do_not_show_yet_after_a_lost_answer_is_waited_for() {
    let world = World::new();
    let net = [Want::new("net", "n")];
    world.cloud.set_pace("net", |pace| pace.shown_after = Duration::from_secs(20));
    world.cloud.lose_answer("n", Op::Create);
    let ran = world.up(&net).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert_eq!(world.cloud.calls_of("n", Op::Create).len(), 1);
    world.assert_sound("after a listing that lagged");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_lost_is_repeated_with_the_same_token_where_the_type_takes_one() {
    let world = World::new();
    let gate = [Want::new("gate", "g")];
    world.cloud.set_pace("gate", |pace| pace.shown_after = Duration::from_hours(1));
    world.cloud.lose_answer("g", Op::Create);
    let ran = world.up(&gate).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let calls = world.cloud.calls_of("g", Op::Create);
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].token, calls[1].token);
    assert!(calls[1].at - calls[0].at < GRACE, "a token needs no grace period");
    world.assert_sound("after the same token twice");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_by_the_unique_name() {
    for kind in ["role", "rule"] {
        let world = World::new();
        let named = [Want::new(kind, "named")];
        world.cloud.set_pace(kind, |pace| pace.shown_after = Duration::from_hours(1));
        world.cloud.lose_answer("named", Op::Create);
        let ran = world.up(&named).await;
        assert!(ran.report.is_success(), "{:#?}", ran.report);
        assert_eq!(world.cloud.calls_of("named", Op::Create).len(), 1);
        world.assert_sound(kind);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_again_before_the_grace_period_is_over() {
    let world = World::new();
    world.cloud.inject("n", Op::Create, Fault::LoseCall, 1);
    let ran = world.up(&[Want::new("net", "n")]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let calls = world.cloud.calls_of("n", Op::Create);
    assert_eq!(calls.len(), 2);
    assert!(calls[1].at - calls[0].at >= GRACE, "{:?}", calls[1].at - calls[0].at);
    assert_eq!(calls[0].token, calls[1].token, "the intent is still the same");
}

#[tokio::test(start_paused = true)]
async fn the_next_run_resolves_an_open_intent_before_it_creates_anything() {
    let wants = [Want::new("net", "n"), Want::new("role", "r"), Want::new("rule", "x"), Want::new("gate", "g")];
    let expected = undisturbed(&wants, |_| {}).await;
    for want in &wants {
        let world = World::new();
        world.cloud.inject(want.name(), Op::Create, Fault::LoseCall, usize::MAX);
        let ran = world.up(&wants).await;
        assert!(matches!(ran.outcome(want), Outcome::Failed(failure) if failure.class == Class::Ambiguous));
        let Some((Status::Creating { attempt, .. }, None)) = world.recorded(want) else {
            panic!("the intent is open: {:?}", world.recorded(want));
        };
        world.cloud.heal();
        world.cloud.forget_calls();
        world.assert_converges(&wants, &expected, want.name()).await;
        let calls = world.cloud.calls();
        let first = calls.iter().position(|call| call.op == Op::Create).expect("it was created");
        assert_eq!(calls[first].token.as_ref(), Some(&attempt), "with the token on record");
        // By its name, or by the tag of the attempt, whichever the type has.
        assert!(
            calls[..first].iter().any(|call| call.op == Op::Search || call.op == Op::Read),
            "it was searched for before it was created: {calls:#?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_modelled_refusal_closes_the_intent_and_an_ambiguous_failure_leaves_it_open() {
    let wants = [Want::new("net", "n")];
    let expected = undisturbed(&wants, |_| {}).await;
    let (open, closed) = (true, false);
    let cases = [
        (Class::Refused, closed),
        (Class::Denied, closed),
        (Class::NotFound, closed),
        (Class::Unsupported, closed),
        (Class::Exists, closed),
        (Class::NotYet, closed),
        (Class::Throttled, closed),
        (Class::Transient, closed),
        (Class::Ambiguous, open),
        (Class::Unreachable, open),
        (Class::TimedOut, open),
        (Class::Internal, open),
    ];
    for (class, is_open) in cases {
        let world = World::new();
        world.cloud.inject("n", Op::Create, Fault::Refuse(Failure::new(class, "no")), usize::MAX);
        let ran = world.up(&wants).await;
        let outcome = ran.outcome(&wants[0]);
        assert!(matches!(&outcome, Outcome::Failed(failure) if failure.class == class), "{class:?}: {outcome:?}");
        let recorded = world.recorded(&wants[0]);
        let is_creating = matches!(recorded, Some((Status::Creating { .. }, None)));
        assert_eq!((is_creating, recorded.is_none()), (is_open, !is_open), "{class:?}: {recorded:?}");
        world.cloud.heal();
        world.assert_converges(&wants, &expected, &format!("{class:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_else_has_taken_meanwhile_closes_the_intent() {
    let world = World::new();
    let role = [Want::new("role", "r")];
    let cloud = world.cloud.clone();
    world.cloud.on_call(move |call| {
        if call.op == Op::Create {
            cloud.plant("role", EAST, "r", &[(STACK, "theirs")]);
        }
    });
    let ran = world.up(&role).await;
    let outcome = ran.outcome(&role[0]);
    assert!(matches!(&outcome, Outcome::Failed(failure) if failure.class == Class::Foreign), "{outcome:?}");
    assert_eq!(world.recorded(&role[0]), None, "AWS has refused: nothing was created");
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_a_lost_answer_left_before_a_refusal_is_not_forgotten() {
    // The call was carried out, the answer was lost, the listings lag for longer than the grace period, and then the quota is used up:
    // by the very resource that is searched for.
    let world = World::new();
    let net = [Want::new("net", "n")];
    world.cloud.set_pace("net", |pace| pace.shown_after = GRACE * 3);
    world.cloud.lose_answer("n", Op::Create);
    world.cloud.refuse_once("n", Op::Create, Failure::new(Class::Refused, "the quota is full"));
    let ran = world.up(&net).await;
    assert_eq!(ran.failed(), ["n"]);
    tokio::time::sleep(GRACE * 3).await;
    world.assert_goes_down("down, with what the lost answer has left").await;
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_accepted_and_then_failed_is_repeated_once() {
    let world = World::new();
    let gate = [Want::new("gate", "g")];
    world.cloud.inject("g", Op::Create, Fault::Spoil, 1);
    let ran = world.up(&gate).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let calls = world.cloud.calls_of("g", Op::Create);
    assert_eq!((calls.len(), world.cloud.calls_of("g", Op::Delete).len()), (2, 1));
    assert_ne!(calls[0].token, calls[1].token, "it is another attempt");
    world.assert_sound("after the remains were deleted");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_fails_twice_is_reported_and_replaced_by_the_next_run() {
    let world = World::new();
    let gate = [Want::new("gate", "g")];
    let expected = undisturbed(&gate, |_| {}).await;
    world.cloud.inject("g", Op::Create, Fault::Spoil, 2);
    let ran = world.up(&gate).await;
    let outcome = ran.outcome(&gate[0]);
    assert!(matches!(&outcome, Outcome::Failed(failure) if failure.message.contains("no room")), "{outcome:?}");
    assert_eq!(world.cloud.calls_of("g", Op::Create).len(), 2, "once more, and not again and again");
    assert_eq!(world.recorded(&gate[0]), Some((Status::Created, Some(world.cloud.resource("g").id))));
    world.assert_converges(&gate, &expected, "the next run").await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_reads_do_not_show_yet_is_not_created_twice() {
    let wants = [Want::new("net", "n")];
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    world.cloud.set_paces(|pace| {
        pace.shown_after = Duration::from_secs(10);
        pace.readable_after = Duration::from_secs(10);
    });
    // The intent and the id are on record, and the next run begins while AWS does not show yet what it has created.
    assert!(world.crash(&wants, Stop::Records(2)).await);
    assert!(matches!(world.recorded(&wants[0]), Some((Status::Created, Some(_)))));
    world.assert_converges(&wants, &expected, "while reads lag").await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_reads_do_not_show_yet_is_not_forgotten_by_down() {
    let world = World::new();
    world.cloud.set_paces(|pace| {
        pace.shown_after = Duration::from_secs(10);
        pace.readable_after = Duration::from_secs(10);
    });
    assert!(world.crash(&[Want::new("net", "n")], Stop::Records(2)).await);
    world.assert_goes_down("while reads lag").await;
}

#[tokio::test(start_paused = true)]
async fn down_waits_for_an_attempt_to_appear_whatever_the_type_promises_about_tokens() {
    for kind in ["net", "gate"] {
        let world = World::new();
        world.cloud.set_pace(kind, |pace| pace.shown_after = Duration::from_secs(20));
        assert!(world.crash(&[Want::new(kind, "n")], Stop::At(Crash::After("n", Op::Create))).await);
        world.assert_goes_down(kind).await;
    }
}

#[tokio::test(start_paused = true)]
async fn down_finds_what_a_lost_answer_has_left_under_a_unique_name() {
    for kind in ["role", "rule"] {
        let world = World::new();
        assert!(world.crash(&[Want::new(kind, "n")], Stop::At(Crash::After("n", Op::Create))).await);
        world.assert_goes_down(kind).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_an_interrupted_deletion_has_deleted_is_created_again() {
    let wants = [Want::new("net", "n")];
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    assert!(world.crash(&[], Stop::At(Crash::After("n", Op::Delete))).await);
    assert!(matches!(world.recorded(&wants[0]), Some((Status::Deleting { .. }, Some(_)))));
    world.assert_converges(&wants, &expected, "up after a killed down").await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_survived_an_interrupted_deletion_is_brought_to_what_is_desired() {
    let wants = [Want::new("net", "n")];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    world.cloud.refuse_once("n", Op::Delete, Failure::new(Class::Refused, "it is protected"));
    assert_eq!(world.down().await.failed(), ["n"]);
    let wants = [Want::new("net", "n").size(2)];
    let expected = undisturbed(&wants, |_| {}).await;
    world.assert_converges(&wants, &expected, "up after a refused down, with a change").await;
}

#[tokio::test(start_paused = true)]
async fn two_resources_that_carry_its_tags_are_named_and_neither_is_touched() {
    let world = World::new();
    let net = [Want::new("net", "n")];
    let tags = [(STACK, OURS), (NODE, "primary/net/n")];
    let ids = [world.cloud.plant("net", EAST, "n", &tags), world.cloud.plant("net", EAST, "copy", &tags)];
    let ran = world.up(&net).await;
    let Outcome::Failed(failure) = ran.outcome(&net[0]) else { panic!("it fails: {:#?}", ran.report) };
    assert_eq!(failure.class, Class::Foreign);
    assert!(ids.iter().all(|id| failure.message.contains(id.as_str())), "{failure}");
    assert!(world.cloud.calls().iter().all(|call| !call.op.mutates()));
}
