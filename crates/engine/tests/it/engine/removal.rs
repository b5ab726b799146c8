//! Law 8: the state outlives the configuration. What has left the graph is deleted, dependents first, and that takes only the state.

use drctl_engine::state::{Address, Entry, Role, Status, Transition};
use drctl_engine::testing::{EAST, Op, Want, World, entry, undisturbed};
use drctl_engine::{Action, Outcome};
use jiff::Timestamp;

fn family() -> [Want; 4] {
    let net = Want::new("net", "net");
    let part = Want::new("part", "part").inside(&net);
    let gate = Want::new("gate", "gate").inside(&part);
    let rule = Want::new("rule", "rule").inside(&part).uses_early(&gate);
    [net, part, gate, rule]
}

#[tokio::test(start_paused = true)]
async fn down_deletes_in_reverse_order_with_nothing_but_the_state() {
    let world = World::new();
    assert!(world.up(&family()).await.report.is_success());
    world.cloud.forget_calls();
    world.assert_goes_down("down").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["rule", "gate", "part", "net"]);
    assert!(world.cloud.refusals().is_empty(), "nothing was tried too early: {:?}", world.cloud.refusals());
}

#[tokio::test(start_paused = true)]
async fn resources_that_left_the_graph_are_planned_last_and_deleted_in_reverse_order() {
    let [net, part, gate, rule] = family();
    let stays = Want::new("net", "stays");
    let world = World::new();
    let before = [stays.clone(), net.clone(), part.clone(), gate.clone(), rule.clone()];
    assert!(world.up(&before).await.report.is_success());
    let after = [stays];
    let expected = undisturbed(&after, |_| {}).await;
    let plan = world.plan(&world.graph(&after), &world.store()).await;
    let planned: Vec<_> = plan.items.iter().map(|item| (item.address.name(), item.action)).collect();
    assert_eq!(
        planned,
        [
            ("stays", Action::None),
            ("rule", Action::Delete),
            ("gate", Action::Delete),
            ("part", Action::Delete),
            ("net", Action::Delete)
        ]
    );
    world.cloud.forget_calls();
    world.assert_converges(&after, &expected, "what has left is gone").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["rule", "gate", "part", "net"]);
    assert!(world.cloud.refusals().is_empty(), "{:?}", world.cloud.refusals());
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_stays_releases_what_leaves_before_that_is_deleted() {
    let (old, new) = (Want::new("net", "old"), Want::new("net", "new"));
    let user = Want::new("part", "user");
    let world = World::new();
    assert!(world.up(&[old.clone(), user.clone().uses(&old)]).await.report.is_success());
    world.cloud.forget_calls();
    let ran = world.up(&[new.clone(), user.uses(&new)]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    let calls = world.cloud.calls();
    let at = |name: &str, op: Op| calls.iter().position(|call| call.name == name && call.op == op).expect(name);
    assert!(at("new", Op::Create) < at("user", Op::Sync) && at("user", Op::Sync) < at("old", Op::Delete), "{calls:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_no_longer_exists_only_leaves_the_state() {
    let world = World::new();
    assert!(world.up(&family()).await.report.is_success());
    for name in ["rule", "gate", "part", "net"] {
        world.cloud.remove(name);
    }
    world.cloud.forget_calls();
    world.assert_goes_down("down").await;
    assert!(world.cloud.order_of(Op::Delete).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_cannot_be_deleted_on_its_own_is_deleted_with_what_it_lies_in() {
    let net = Want::new("net", "net");
    let note = Want::new("note", "note").inside(&net);
    let world = World::new();
    assert!(world.up(&[net, note]).await.report.is_success());
    world.assert_goes_down("down").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["net"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_what_has_to_happen_first() {
    let vault = Want::new("net", "vault").sealed();
    let world = World::new();
    assert!(world.up(std::slice::from_ref(&vault)).await.report.is_success());
    world.assert_goes_down("down").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["vault", "vault"]);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_nobody_can_delete_leaves_the_state_and_delays_nothing() {
    let memory = Want::new("role", "memory").fleeting();
    let world = World::new();
    assert!(world.up(std::slice::from_ref(&memory)).await.report.is_success());
    let ran = world.down().await;
    assert!(ran.report.is_success(), "{:?}", ran.report);
    assert_eq!(world.cloud.order_of(Op::Delete), ["memory"]);
    assert!(world.state().expect("a state").resources.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_type_that_this_drctl_does_not_know_is_reported_and_left_on_record() {
    let net = Want::new("net", "net");
    let relic = Address::new(Role::Primary, "relic", "old");
    let world = World::new();
    assert!(world.up(std::slice::from_ref(&net)).await.report.is_success());
    let entry = Entry { depends_on: vec![net.address()], ..entry(EAST, "relic-1", Status::Ready) };
    let mut store = world.store();
    let transition = Transition { at: Timestamp::now(), address: relic.clone(), entry: Some(entry) };
    store.append(vec![transition]).expect("recorded");
    store.fold().expect("folded");
    drop(store);
    let ran = world.down().await;
    assert_eq!(ran.failed(), ["old"]);
    assert_eq!(ran.outcome(&net), Outcome::Skipped(relic.clone()), "it may lie in it");
    assert!(world.state().expect("a state").resources.contains_key(&relic));
}
