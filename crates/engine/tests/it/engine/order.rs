//! When a step starts: edges that need existence or readiness, caps, the longest path first, replacements.

use std::time::Duration;

use drctl_engine::state::Address;
use drctl_engine::testing::{Call, EAST, Fault, Op, PROOF_AFTER, RunResult, Stop, WEST, Want, World, undisturbed};
use drctl_engine::{Action, Event, Outcome};

const SECOND: Duration = Duration::from_secs(1);

fn waited_for(ran: &RunResult, of: &Address, text: &str) -> bool {
    let waits = |event: &Event| matches!(event, Event::Waiting { address, on } if address == of && on.contains(text));
    ran.events.iter().any(|(_, event)| waits(event))
}

#[tokio::test(start_paused = true)]
async fn a_dependent_that_needs_existence_starts_while_its_target_is_on_its_way() {
    let base = Want::new("base", "base");
    let early = Want::new("part", "early").uses_early(&base);
    let late = Want::new("part", "late").uses(&base);
    let world = World::new();
    let ran = world.up(&[base.clone(), early.clone(), late.clone()]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert!(ran.done_after(&early) < 5 * SECOND, "{:?}", ran.done_after(&early));
    assert!(ran.done_after(&base) >= 600 * SECOND);
    let started = world.cloud.calls_of("late", Op::Create)[0].at - ran.began;
    assert!(started >= ran.done_after(&base), "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn a_working_resource_is_pointed_at_a_new_target_only_once_that_works() {
    let old = Want::new("base", "old");
    let new = Want::new("base", "new");
    let part = Want::new("part", "part");
    let other = Want::new("part", "other").uses_early(&old);
    let world = World::new();
    let before = [old.clone(), new.clone(), part.clone().uses_early(&old), other.clone()];
    assert!(world.up(&[before[0].clone(), before[2].clone(), before[3].clone()]).await.report.is_success());
    let fresh = Want::new("part", "fresh").uses_early(&new);
    let wants = [old, new.clone(), part.uses_early(&new), other.clone().size(2), fresh.clone()];
    // Even if an earlier run began to create the new one, so that its id is known while the plan is made.
    for begun in [false, true] {
        let world = world.fork();
        if begun {
            assert!(world.crash(&before, Stop::Records(2)).await);
        }
        world.cloud.forget_calls();
        let ran = world.up(&wants).await;
        assert!(ran.report.is_success(), "{:#?}", ran.report);
        let pointed = world.cloud.calls_of("part", Op::Sync)[0].at - ran.began;
        assert!(pointed >= ran.done_after(&new), "begun {begun}: pointed at it after {pointed:?}, as if it were new");
        assert!(ran.done_after(&new) > 500 * SECOND, "begun {begun}: {:?}", ran.done_after(&new));
        assert!(ran.done_after(&fresh) < 5 * SECOND, "for a new one, existence is still enough");
        assert!(ran.done_after(&other) < 5 * SECOND, "the change of another property waits for nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_an_earlier_run_began_to_create_exists_already() {
    let base = Want::new("base", "base");
    let early = Want::new("part", "early").uses_early(&base);
    let world = World::new();
    assert!(world.crash(std::slice::from_ref(&base), Stop::Records(2)).await);
    let ran = world.up(&[base.clone(), early.clone()]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert!(ran.done_after(&base) > 500 * SECOND);
    assert!(ran.done_after(&early) < 5 * SECOND, "{:?}", ran.done_after(&early));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_not_yet_turns_that_one_edge_into_ready() {
    let base = Want::new("base", "base");
    let rule = Want::new("rule", "rule").uses_early(&base);
    let after = Want::new("part", "after").uses(&rule);
    let world = World::new();
    let ran = world.up(&[base.clone(), rule.clone(), after.clone()]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let tries: Vec<_> = world.cloud.calls_of("rule", Op::Create).iter().map(|call| call.at - ran.began).collect();
    assert_eq!(tries.len(), 2, "at once, and when the target is ready: {tries:?}");
    assert!(tries[0] < 5 * SECOND && tries[1] >= ran.done_after(&base), "{tries:?}");
    assert!(waited_for(&ran, &rule.address(), "not available yet"), "it is reported: {:#?}", ran.events);
    assert!(ran.done_after(&after) > ran.done_after(&rule));
}

#[tokio::test(start_paused = true)]
async fn an_output_that_appears_before_its_target_is_ready_is_used_then() {
    let base = Want::new("base", "base");
    let part = Want::new("part", "part").proof(&base);
    let world = World::new();
    let ran = world.up(&[base.clone(), part.clone()]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let done = ran.done_after(&part);
    assert!(done >= PROOF_AFTER && done < PROOF_AFTER + 60 * SECOND, "{done:?}");
    assert!(ran.done_after(&base) >= 600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_report_names_what_determined_the_duration() {
    let base = Want::new("base", "base");
    let gate = Want::new("gate", "gate");
    let part = Want::new("part", "part").uses(&base).uses_early(&gate);
    let world = World::new();
    let ran = world.up(&[base.clone(), gate.clone(), part.clone()]).await;
    let path: Vec<_> = ran.report.critical_path.iter().map(|leg| leg.address.clone()).collect();
    assert_eq!(path, [base.address(), part.address()]);
    let sum: Duration = ran.report.critical_path.iter().map(|leg| leg.took).sum();
    assert!(ran.report.took.saturating_sub(sum) < SECOND, "{sum:?} of {:?}", ran.report.took);
}

#[tokio::test(start_paused = true)]
async fn a_deferred_step_holds_no_slot_under_the_cap() {
    let base = Want::new("base", "base");
    let rule = Want::new("rule", "rule").uses_early(&base);
    let free: Vec<_> = (0..5).map(|n| Want::new("net", &format!("free-{n}"))).collect();
    let mut world = World::new();
    world.options.cap = 1;
    let wants: Vec<_> = [base, rule].into_iter().chain(free.clone()).collect();
    let ran = world.up(&wants).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert!(free.iter().all(|net| ran.done_after(net) < 60 * SECOND), "{:#?}", ran.report.durations);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_comes_only_when_its_target_is_ready_is_waited_for_without_a_call() {
    let base = Want::new("base", "base");
    let part = Want::new("part", "part").endpoint(&base);
    let world = World::new();
    let ran = world.up(&[base.clone(), part.clone()]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let calls = world.cloud.calls_of("part", Op::Create);
    assert_eq!(calls.len(), 1);
    assert!(calls[0].at - ran.began >= ran.done_after(&base));
    let endpoint = format!("endpoint-of-{}", world.cloud.resource("base").id);
    assert_eq!(world.cloud.resource("part").properties["endpoint"], endpoint.as_str());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_becomes_ready_while_the_refusal_is_under_way_does_not_fail_its_dependent() {
    let base = Want::new("base", "base");
    let rule = Want::new("rule", "rule").uses_early(&base);
    let wants = [base, rule];
    let world = World::new();
    world.cloud.set_pace("base", |pace| pace.ready_after = 10 * SECOND);
    // It is refused on arrival, and the refusal takes a minute to come back.
    world.cloud.set_pace("rule", |pace| pace.latency = 60 * SECOND);
    let ran = world.up(&wants).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert_eq!(world.cloud.calls_of("rule", Op::Create).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_waits_for_a_target_that_fails_is_skipped_because_of_it() {
    // It is refused before the target fails, and after it.
    for latency in [SECOND, 120 * SECOND] {
        let base = Want::new("base", "base");
        let rule = Want::new("rule", "rule").uses_early(&base);
        let after = Want::new("part", "after").uses(&rule);
        let world = World::new();
        world.cloud.set_pace("base", |pace| pace.ready_after = 10 * SECOND);
        world.cloud.set_pace("rule", |pace| pace.latency = latency);
        world.cloud.inject("base", Op::Create, Fault::Spoil, 2);
        let ran = world.up(&[base.clone(), rule.clone(), after.clone()]).await;
        assert_eq!(ran.failed(), ["base"], "{latency:?}");
        assert_eq!(ran.outcome(&rule), Outcome::Skipped(base.address()), "{latency:?}");
        assert_eq!(ran.outcome(&after), Outcome::Skipped(base.address()), "{latency:?}");
    }
}

/// The largest number of calls of one operation that were under way at the same time.
fn most_at_once(calls: &[Call], op: Op, region: &str, latency: Duration) -> usize {
    let at: Vec<_> = calls.iter().filter(|call| call.op == op && call.region == region).map(|call| call.at).collect();
    at.iter().map(|now| at.iter().filter(|then| **then <= *now && *now < **then + latency).count()).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_cap_are_at_work_in_one_region() {
    let mut wants: Vec<_> = (0..12).map(|n| Want::new("net", &format!("e{n}"))).collect();
    wants.extend((0..12).map(|n| Want::new("net", &format!("w{n}")).west()));
    let mut world = World::new();
    world.options.cap = 3;
    world.cloud.set_pace("net", |pace| pace.latency = SECOND);
    let ran = world.up(&wants).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let calls = world.cloud.calls();
    assert_eq!(most_at_once(&calls, Op::Create, EAST, SECOND), 3);
    assert_eq!(most_at_once(&calls, Op::Create, WEST, SECOND), 3);
    assert!(ran.took < 6 * SECOND, "each Region has a cap of its own: {:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_waits_for_aws_holds_no_slot_under_the_cap() {
    let wants: Vec<_> = (0..10).map(|n| Want::new("gate", &format!("g{n}"))).collect();
    let mut world = World::new();
    world.options.cap = 1;
    let ran = world.up(&wants).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert!(ran.took < 120 * SECOND, "ten at a time, not one after the other: {:?}", ran.took);
    assert_eq!(most_at_once(&world.cloud.calls(), Op::Create, EAST, SECOND / 5), 1);
}

#[tokio::test(start_paused = true)]
async fn the_longest_remaining_path_starts_first() {
    let short = Want::new("net", "a-short");
    let head = Want::new("net", "b-head");
    let tail = Want::new("gate", "c-tail").uses(&head);
    let mut world = World::new();
    world.options.cap = 1;
    let ran = world.up(&[short, head, tail]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert_eq!(world.cloud.order_of(Op::Create), ["b-head", "c-tail", "a-short"]);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_deletes_the_dependents_first_and_then_recreates_all_of_them() {
    let net = Want::new("net", "net");
    let part = Want::new("part", "part").inside(&net);
    let gate = Want::new("gate", "gate").inside(&part);
    let other = Want::new("part", "other").uses(&net);
    let world = World::new();
    let before = [net.clone(), part.clone(), gate.clone(), other.clone()];
    assert!(world.up(&before).await.report.is_success());
    let after = [net.shape("square"), part, gate, other];
    let expected = undisturbed(&after, |_| {}).await;
    let plan = world.plan(&world.graph(&after), &world.store()).await;
    let actions: Vec<_> = plan.items.iter().map(|item| item.action).collect();
    assert_eq!(actions, [Action::Replace, Action::Replace, Action::Replace, Action::Update]);
    assert_eq!(plan.items[0].reason.as_deref(), Some("shape: a shape is for life"));
    let counts = plan.counts();
    assert_eq!((counts.add, counts.change, counts.destroy), (3, 1, 3));
    world.cloud.forget_calls();
    world.assert_converges(&after, &expected, "replaced").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["gate", "part", "net"]);
    assert_eq!(world.cloud.order_of(Op::Create), ["net", "part", "gate"]);
    assert_eq!(world.cloud.order_of(Op::Sync), ["other"]);
    assert!(world.cloud.refusals().is_empty(), "nothing was tried too early: {:?}", world.cloud.refusals());
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_holds_a_replaced_one_is_replaced_with_it() {
    let net = Want::new("net", "net");
    let holder = Want::new("part", "holder").holds(&net);
    let user = Want::new("part", "user").uses(&holder);
    let world = World::new();
    assert!(world.up(&[net.clone(), holder.clone(), user.clone()]).await.report.is_success());
    let after = [net.shape("square"), holder, user];
    let expected = undisturbed(&after, |_| {}).await;
    world.cloud.forget_calls();
    world.assert_converges(&after, &expected, "replaced").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["holder", "net"]);
    assert!(world.cloud.refusals().is_empty(), "nothing was tried too early: {:?}", world.cloud.refusals());
}

#[tokio::test(start_paused = true)]
async fn a_run_without_changes_makes_one_listing_per_type_and_region_and_nothing_else() {
    let wants: Vec<_> = ["net", "gate", "role", "rule"]
        .into_iter()
        .flat_map(|kind| {
            (0..5).flat_map(move |n| {
                [Want::new(kind, &format!("{kind}-e{n}")), Want::new(kind, &format!("{kind}-w{n}")).west()]
            })
        })
        .collect();
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    world.cloud.forget_calls();
    let ran = world.up(&wants).await;
    assert!(ran.report.is_success() && ran.plan.is_empty() && ran.report.outcomes.is_empty(), "{:#?}", ran.report);
    let calls = world.cloud.calls();
    assert!(calls.iter().all(|call| call.op == Op::List), "{calls:#?}");
    assert_eq!(calls.len(), 4 * 2);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_only_has_to_outlive_is_not_waited_for_and_is_deleted_last() {
    let slow = Want::new("base", "slow");
    let quick = Want::new("part", "quick").outlived_by(&slow);
    let world = World::new();
    let ran = world.up(&[slow.clone(), quick.clone()]).await;
    assert!(ran.report.is_success(), "{:?}", ran.report);
    assert!(ran.done_after(&quick) < SECOND * 5, "{:?}", ran.done_after(&quick));
    world.cloud.forget_calls();
    world.assert_goes_down("down").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["quick", "slow"]);
}
