//! The whole life of a stack against a real server: `up`, nothing to do, drift, repair, `down`, nothing left. It runs against
//! the sandbox in `cargo test`, and against LocalStack in `localstack/test`.

use crate::drift;
use crate::harness::Stack;
use crate::survey::{GLOBAL, Survey, survey};

/// Checks that the survey shows a complete stack: everything exists once, and each type in the right number.
#[track_caller]
pub fn assert_complete(found: &Survey, regions: [&str; 2]) {
    for (what, copies) in found {
        // The peering is seen from both sides, but under two keys, because a key contains its Region.
        assert_eq!(copies.len(), 1, "{what} exists {} times", copies.len());
    }
    let count = |kind: &str| found.keys().filter(|key| key.split(' ').nth(1) == Some(kind)).count();
    let kinds = [
        ("vpc", 2),
        ("subnet", 12),
        ("internet_gateway", 2),
        ("eip", 6),
        ("nat_gateway", 6),
        ("route_table", 8),
        ("security_group", 4),
        ("vpc_endpoint", 4),
        ("flow_log", 2),
        ("vpc_peering", 2),
        ("kms_key", 2),
        ("kms_alias", 2),
        ("log_group", 8),
        ("iam_role", 3),
        ("sns_topic", 2),
        ("secret", 2),
        ("dynamodb_table", 2),
        ("s3_bucket", 2),
        ("db_subnet_group", 2),
        ("db_cluster_parameter_group", 2),
        ("global_cluster", 1),
        ("db_cluster", 2),
        ("db_instance", 2),
        ("lambda_function", 2),
        ("api", 2),
        ("alarm", 21),
        ("dashboard", 2),
        ("hosted_zone", 1),
        ("health_check", 4),
        ("record", 2),
    ];
    // The alarm on the health check is where its metric is, and notifies from there with a topic and a key of its own.
    let apart = usize::from(!regions.contains(&GLOBAL));
    for (kind, expected) in kinds {
        let extra = if matches!(kind, "kms_key" | "kms_alias" | "sns_topic") { apart } else { 0 };
        assert_eq!(count(kind), expected + extra, "{kind}: {found:#?}");
    }
}

/// Lives a whole life in the Regions that the stack is configured for.
pub async fn whole_life_of(stack: Stack, regions: [&str; 2]) {
    stack.run(&["up", "--yes"]).exits(0).says("Apply complete!");
    let built = survey(&stack, regions).await;
    assert_complete(&built, regions);

    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    stack.run(&["up", "--yes"]).exits(0).says("No changes.");

    let drifts = drift::all(&stack, regions[0]).await;
    let plan = stack.run(&["plan", "--detailed-exitcode", "--json"]).exits(2).json();
    for (address, property) in &drifts {
        let items = plan["changes"].as_array().expect("changes");
        let item =
            items.iter().find(|item| item["address"] == *address).unwrap_or_else(|| panic!("{address}: {plan:#}"));
        assert_eq!(item["action"], "update", "{item:#}");
        let names: Vec<_> = item["changes"].as_array().expect("changes").iter().map(|c| &c["property"]).collect();
        assert!(names.iter().any(|name| *name == property), "{address} {property}: {names:?}");
    }
    stack.run(&["up", "--yes"]).exits(0).says("Apply complete!");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(survey(&stack, regions).await, built, "the drift must be repaired");

    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    let left = survey(&stack, regions).await;
    assert!(left.is_empty(), "left behind: {left:#?}");
    let state = std::fs::read_to_string(stack.path("state/payment-dr-dev.json")).expect("the state");
    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    assert_eq!(state["resources"], serde_json::json!({}));
}
