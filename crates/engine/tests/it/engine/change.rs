//! Changes in place: from what they are resolved, and for how long what was set may read as before.

use std::time::Duration;

use drctl_engine::testing::{Op, Want, World};
use drctl_engine::{Class, Outcome};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn what_is_only_recorded_hands_its_new_output_on_in_the_same_run() {
    // A secret that was rotated by others, and the database that takes its version.
    let secret = Want::new("role", "secret");
    let database = Want::new("role", "database").endpoint(&secret);
    let world = World::new();
    assert!(world.up(&[secret.clone(), database.clone()]).await.report.is_success());
    world.cloud.edit("secret", |thing| {
        thing.properties.insert("turn".to_owned(), json!("-2"));
    });
    let ran = world.up(&[secret.clone(), database.clone()]).await;
    assert!(ran.report.is_success(), "{:?}", ran.report);
    assert_eq!(world.cloud.resource("database").properties["endpoint"], json!("endpoint-of-role/secret-2"));
    assert_eq!(world.cloud.order_of(Op::Sync), ["database"]);
    let again = world.plan(&world.graph(&[secret, database]), &world.store()).await;
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn what_differs_while_it_is_being_made_is_set_once_it_is_available() {
    // A member of a global database takes ten minutes, and differs for as long.
    let base = Want::new("base", "base");
    let world = World::new();
    let (cloud, began) = (world.cloud.clone(), tokio::time::Instant::now());
    world.cloud.on_call(move |call| {
        if call.op == Op::Read && began.elapsed() < Duration::from_mins(10) {
            cloud.edit("base", |thing| {
                thing.properties.insert("size".to_owned(), json!(9));
            });
        }
    });
    let ran = world.up(std::slice::from_ref(&base)).await;
    assert_eq!(ran.outcome(&base), Outcome::Done, "{:?}", ran.report);
    assert_eq!(world.cloud.resource("base").properties["size"], json!(1));
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_reading_otherwise_is_given_up_minutes_after_it_was_set() {
    let base = Want::new("base", "base");
    let world = World::new();
    let cloud = world.cloud.clone();
    world.cloud.on_call(move |call| {
        if call.op == Op::Read {
            cloud.edit("base", |thing| {
                thing.properties.insert("size".to_owned(), json!(9));
            });
        }
    });
    let ran = world.up(std::slice::from_ref(&base)).await;
    let Outcome::Failed(failure) = ran.outcome(&base) else { panic!("{:?}", ran.report) };
    assert_eq!(failure.class, Class::TimedOut);
    assert!(failure.message.contains("size still reads 9"), "{failure}");
    // Ten minutes to be made, and twice what a change may take to be visible.
    let patience = world.options.timing.visible * 2 + Duration::from_mins(10);
    assert!(ran.took > patience && ran.took < patience + Duration::from_mins(1), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_or_scheduled_is_said_and_what_is_kept_stays_on_record() {
    let kept = Want::new("role", "kept").kept();
    let scheduled = Want::new("role", "scheduled").scheduled();
    let world = World::new();
    assert!(world.up(&[kept.clone(), scheduled]).await.report.is_success());
    let ran = world.down().await;
    assert!(ran.report.is_success(), "{:?}", ran.report);
    assert_eq!(ran.report.kept, [kept.address()]);
    let left: Vec<_> = world.state().expect("a state").resources.into_keys().collect();
    assert_eq!(left, [kept.address()]);
}
