//! Law 3: only what is ours is touched.
//! Law 4: differences are computed against what exists, not against what was remembered.

use drctl_engine::testing::{EAST, NODE, Op, STACK, Want, World, undisturbed};
use drctl_engine::{Action, Class, Outcome, TAGS};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_else_holds_is_refused_and_left_alone() {
    for (tags, owner) in [(vec![(STACK, "theirs")], "stack theirs"), (Vec::new(), "none of drctl's tags")] {
        let world = World::new();
        let role = [Want::new("role", "r")];
        world.cloud.plant("role", EAST, "r", &tags);
        let before = world.cloud.contents();
        let ran = world.up(&role).await;
        let Outcome::Failed(failure) = ran.outcome(&role[0]) else { panic!("it fails: {:#?}", ran.report) };
        assert_eq!(failure.class, Class::Foreign);
        assert!(failure.message.contains(owner), "it says who owns it: {failure}");
        assert!(failure.help.is_some_and(|help| help.contains("--adopt")), "it says what to do");
        assert_eq!(world.cloud.contents(), before);
        assert!(world.cloud.calls().iter().all(|call| !call.op.mutates()));
    }
}

#[tokio::test(start_paused = true)]
async fn adoption_takes_over_what_somebody_else_holds_only_when_it_is_requested() {
    let role = [Want::new("role", "r")];
    let expected = undisturbed(&role, |_| {}).await;
    let mut world = World::new();
    world.cloud.plant("role", EAST, "r", &[(STACK, "theirs")]);
    world.options.adopt = true;
    let ran = world.up(&role).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert!(world.cloud.order_of(Op::Create).is_empty(), "it is taken over, and not created");
    world.options.adopt = false;
    world.assert_converges(&role, &expected, "it is ours from then on").await;
}

#[tokio::test(start_paused = true)]
async fn a_recorded_resource_stays_ours_when_its_tags_are_removed() {
    let wants = [Want::new("net", "n"), Want::new("role", "r")];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    let expected = world.cloud.contents();
    let id = world.cloud.resource("n").id;
    for want in &wants {
        world.cloud.edit(want.name(), |resource| resource.tags.clear());
    }
    world.cloud.forget_calls();
    world.assert_converges(&wants, &expected, "the tags are put back").await;
    assert!(world.cloud.order_of(Op::Create).is_empty());
    assert_eq!(world.cloud.resource("n").id, id);
}

#[tokio::test(start_paused = true)]
async fn a_recorded_resource_that_is_tagged_as_somebody_elses_is_not_deleted() {
    let wants = [Want::new("net", "n")];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    world.cloud.edit("n", |resource| drop(resource.tags.insert(STACK.to_owned(), "theirs".to_owned())));
    let before = world.cloud.contents();
    let ran = world.down().await;
    let Outcome::Failed(failure) = ran.outcome(&wants[0]) else { panic!("it fails: {:#?}", ran.report) };
    assert_eq!(failure.class, Class::Foreign);
    assert_eq!(world.cloud.contents(), before);
    assert!(world.recorded(&wants[0]).is_some(), "it stays on record");
}

#[tokio::test(start_paused = true)]
async fn a_change_by_hand_is_shown_and_reverted() {
    let wants = [Want::new("net", "n"), Want::new("role", "r")];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    let expected = world.cloud.contents();
    world.cloud.edit("n", |resource| drop(resource.properties.insert("size".to_owned(), json!(9))));
    let plan = world.plan(&world.graph(&wants), &world.store()).await;
    let counts = plan.counts();
    assert_eq!((counts.add, counts.change, counts.destroy, counts.unchanged), (0, 1, 0, 1));
    let item = plan.items.iter().find(|item| item.action == Action::Update).expect("an update");
    assert_eq!(item.address, wants[0].address());
    let changes: Vec<_> =
        item.changes.iter().map(|change| (change.property.as_str(), &change.old, &change.new)).collect();
    assert_eq!(changes, [("size", &json!(9), &json!(1))]);
    world.assert_converges(&wants, &expected, "it is put back").await;
}

#[tokio::test(start_paused = true)]
async fn properties_and_tags_that_others_have_added_stay() {
    let wants = [Want::new("net", "n")];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    world.cloud.edit("n", |resource| {
        resource.tags.insert("cost-centre".to_owned(), "42".to_owned());
        resource.properties.insert("colour".to_owned(), json!("red"));
    });
    let with_theirs = world.cloud.contents();
    world.assert_converges(&wants, &with_theirs, "what others have added is not ours to change").await;
    assert!(world.cloud.order_of(Op::Sync).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_was_deleted_by_hand_is_recreated_with_all_that_lay_in_it() {
    let net = Want::new("net", "n");
    let part = Want::new("part", "p").inside(&net);
    let free = Want::new("part", "f").uses(&net);
    let wants = [net, part, free];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    let expected = world.cloud.contents();
    world.cloud.remove("n");
    let plan = world.plan(&world.graph(&wants), &world.store()).await;
    let actions: Vec<_> = plan.items.iter().map(|item| item.action).collect();
    assert_eq!(actions, [Action::Create, Action::Replace, Action::Update]);
    world.assert_converges(&wants, &expected, "it is recreated").await;
}

#[tokio::test(start_paused = true)]
async fn a_state_that_was_lost_is_found_again_by_its_tags() {
    let wants = [Want::new("net", "n"), Want::new("gate", "g"), Want::new("role", "r"), Want::new("rule", "x")];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    let expected = world.cloud.contents();
    std::fs::remove_file(world.location().snapshot()).expect("lost");
    world.cloud.forget_calls();
    world.assert_converges(&wants, &expected, "with an empty state").await;
    assert!(world.cloud.calls().iter().all(|call| !call.op.mutates()), "everything exists already");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_added_later_is_recorded() {
    let (first, second) = (Want::new("net", "a"), Want::new("net", "b"));
    let world = World::new();
    assert!(world.up(&[first.clone(), second.clone()]).await.report.is_success());
    let second = second.after(&first);
    assert!(world.up(&[first.clone(), second.clone()]).await.report.is_success());
    let state = world.state().expect("a state");
    assert_eq!(state.resources[&second.address()].depends_on, [first.address()]);
    world.cloud.forget_calls();
    world.assert_goes_down("down").await;
    assert_eq!(world.cloud.order_of(Op::Delete), ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn tags_are_compared_one_by_one() {
    let wants = [Want::new("net", "n")];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    world.cloud.edit("n", |resource| drop(resource.tags.remove(NODE)));
    let plan = world.plan(&world.graph(&wants), &world.store()).await;
    let changes: Vec<_> = plan.items[0].changes.iter().map(|change| change.property.clone()).collect();
    assert_eq!(changes, [format!("{TAGS}.{NODE}")]);
}
