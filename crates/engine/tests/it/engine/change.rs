//! Changes in place: which outputs they are resolved from, and for how long a property that was set may read as before.

use std::time::Duration;

use drctl_engine::testing::{Op, Want, World};
use drctl_engine::{Class, Outcome};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_new_output_of_a_resource_that_is_only_recorded_is_used_in_the_same_run() {
    // A secret that others have rotated, and a database that uses its version.
    let secret = Want::new("role", "secret");
    let database = Want::new("role", "database").endpoint(&secret);
    let world = World::new();
    assert!(world.up(&[secret.clone(), database.clone()]).await.report.is_success());
    world.cloud.edit("secret", |resource| {
        resource.properties.insert("turn".to_owned(), json!("-2"));
    });
    let ran = world.up(&[secret.clone(), database.clone()]).await;
    assert!(ran.report.is_success(), "{:?}", ran.report);
    assert_eq!(world.cloud.resource("database").properties["endpoint"], json!("endpoint-of-role/secret-2"));
    assert_eq!(world.cloud.order_of(Op::Sync), ["database"]);
    let again = world.plan(&world.graph(&[secret, database]), &world.store()).await;
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_property_that_differs_during_the_creation_is_set_once_the_resource_is_available() {
    // A member of a global database takes ten minutes to be created, and differs for as long.
    let base = Want::new("base", "base");
    let world = World::new();
    let (cloud, began) = (world.cloud.clone(), tokio::time::Instant::now());
    world.cloud.on_call(move |call| {
        if call.op == Op::Read && began.elapsed() < Duration::from_mins(10) {
            cloud.edit("base", |resource| {
                resource.properties.insert("size".to_owned(), json!(9));
            });
        }
    });
    let ran = world.up(std::slice::from_ref(&base)).await;
    assert_eq!(ran.outcome(&base), Outcome::Done, "{:?}", ran.report);
    assert_eq!(world.cloud.resource("base").properties["size"], json!(1));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_never_takes_effect_fails_minutes_after_it_was_made() {
    let base = Want::new("base", "base");
    let world = World::new();
    let cloud = world.cloud.clone();
    world.cloud.on_call(move |call| {
        if call.op == Op::Read {
            cloud.edit("base", |resource| {
                resource.properties.insert("size".to_owned(), json!(9));
            });
        }
    });
    let ran = world.up(std::slice::from_ref(&base)).await;
    let Outcome::Failed(failure) = ran.outcome(&base) else { panic!("{:?}", ran.report) };
    assert_eq!(failure.class, Class::TimedOut);
    assert!(failure.message.contains("size still reads 9"), "{failure}");
    // Ten minutes to be created, and twice as long as a change may take to be visible.
    let patience = world.options.timing.visible * 2 + Duration::from_mins(10);
    assert!(ran.took > patience && ran.took < patience + Duration::from_mins(1), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_kept_resource_is_reported_and_stays_on_record_and_a_scheduled_one_does_not() {
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
