//! Resources that were created and never tagged, by a run whose state is lost: Route 53 accepts tags only after the creation.

use drctl_testkit::harness::Stack;

/// Every attempt to tag a resource of Route 53 is refused for good.
const NO_TAGS: &str = r#"
[[fault]]
service = "route53"
operation = "ChangeTagsForResource"
does = "refuse"
status = 400
code = "InvalidInput"
message = "no tags today"
"#;

async fn zones_and_checks(stack: &Stack) -> (usize, usize) {
    let route53 = aws_sdk_route53::Client::new(&stack.sdk("us-east-1").await);
    let zones = route53.list_hosted_zones().send().await.expect("zones");
    let checks = route53.list_health_checks().send().await.expect("health checks");
    (zones.hosted_zones().len(), checks.health_checks().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_was_never_tagged_is_found_again_without_the_state() {
    let stack = Stack::new();
    stack.faults(NO_TAGS);
    stack.run(&["up", "--yes"]).exits(1).says("no tags today");
    stack.no_faults();
    let (zones, checks) = zones_and_checks(&stack).await;
    assert!(zones == 1 && checks > 0, "{zones} zones and {checks} checks were created, and none was tagged");
    std::fs::remove_dir_all(stack.path("state")).expect("the state is lost");

    let found = stack.run(&["orphans", "--json"]).exits(0).json();
    let orphans = found["orphans"].as_array().expect("orphans");
    let is = |kind: &str| orphans.iter().filter(|orphan| orphan["type"] == kind).count();
    assert_eq!((is("hosted_zone"), is("health_check")), (zones, checks), "{found:#}");

    // They are recognised as the nodes that they were created for, so `up` adopts them instead of creating them again.
    let of_route53 =
        orphans.iter().filter(|orphan| ["hosted_zone", "health_check"].iter().any(|it| orphan["type"] == *it));
    assert!(of_route53.into_iter().all(|orphan| orphan["configured"] == true), "{found:#}");

    stack.run(&["up", "--yes"]).exits(0);
    assert_eq!(zones_and_checks(&stack).await, (1, 4));
    stack.run(&["orphans", "--detailed-exitcode"]).exits(0).says("No orphans.");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    assert_eq!(zones_and_checks(&stack).await, (0, 0));
}
