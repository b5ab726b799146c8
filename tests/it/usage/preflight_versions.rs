//! Problems with the engine version or the instance class of an existing stack are reported before the first call.

use serde_json::Value;

use drctl_testkit::harness::{Ran, Stack};

fn of_database(checked: &Ran, list: &str) -> Vec<Value> {
    let json = checked.json();
    let about = ["engine_version", "instance_class"];
    let found = json[list].as_array().expect("a list").iter();
    found.filter(|one| about.contains(&one["about"].as_str().unwrap_or_default())).cloned().collect()
}

/// Tries a configuration of the database, and checks that `up` makes no call that changes anything. Returns the problems.
#[track_caller]
fn refused(stack: &Stack, database: &str) -> Vec<Value> {
    stack.configure(&format!("[database]\n{database}\n"));
    let checked = stack.run(&["check", "--preflight", "--json"]).exits(1);
    let before = stack.calls().len();
    stack.run(&["up", "--yes"]).exits(1).says("Nothing was changed.");
    let calls = stack.calls().split_off(before);
    let looks = ["Describe", "List", "Get", "Head", "GET ", "HEAD "];
    let others = calls.iter().filter_map(|call| call["operation"].as_str());
    let made: Vec<&str> = others.filter(|name| !looks.iter().any(|look| name.starts_with(look))).collect();
    assert!(made.is_empty(), "{database}: {made:?}");
    of_database(&checked, "problems")
}

fn message(problem: &Value) -> &str {
    problem["message"].as_str().expect("text")
}

fn help(problem: &Value) -> &str {
    problem["help"].as_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_stack_gets_no_version_or_class_that_aws_would_refuse() {
    let stack = Stack::new();
    stack.configure("[database]\nengine_version = \"16.8\"\n");
    stack.run(&["up", "--yes"]).exits(0);

    // Not offered: a major version that does not exist, and a minor version that does not exist.
    let problems = refused(&stack, "engine_version = \"99.1\"");
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(message(&problems[0]).contains("Aurora PostgreSQL 99.1: us-east-1 does not offer it"), "{problems:#?}");
    // What is advised is within the major version that runs.
    assert!(help(&problems[0]).contains("engine_version = \"16.8\""), "{problems:#?}");
    let problems = refused(&stack, "engine_version = \"16.99\"");
    assert!(problems.iter().all(|problem| message(problem).contains("does not offer it")), "{problems:#?}");

    let problems = refused(&stack, "engine_version = \"16.8\"\ninstance_class = \"db.r99.large\"");
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(message(&problems[0]).contains("db.r99.large is not offered"), "{problems:#?}");

    // A major upgrade, with the steps that it needs, and a downgrade.
    let [problem]: [Value; 1] = refused(&stack, "engine_version = \"17.7\"").try_into().expect("one problem");
    assert!(message(&problem).contains("17.7 is a major upgrade"), "{problem:#}");
    assert!(help(&problem).contains("--allow-major-version-upgrade"), "{problem:#}");
    let plan = stack.run(&["plan"]).exits(1).says("17.7 is a major upgrade").says("`drctl up` would fail: 1 problem");
    // The clusters leave the parameter groups in the same plan.
    let text = plan.stdout + &plan.stderr;
    assert!(!text.contains("AWS would refuse to delete") && !text.contains("drctl orphans"), "{text}");
    let [problem]: [Value; 1] = refused(&stack, "engine_version = \"15.10\"").try_into().expect("one problem");
    assert!(help(&problem).contains("engine_version = \"16.8\""), "{problem:#}");

    // A version and a class that AWS offers for an upgrade are not a problem.
    stack.configure("[database]\nengine_version = \"16.9\"\ninstance_class = \"db.r7g.large\"\n");
    stack.run(&["check", "--preflight"]).exits(0).says("can be changed");

    stack.configure("[database]\nengine_version = \"16.8\"\n");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minor_version_later_than_the_configured_one_is_noted() {
    let stack = Stack::new();
    stack.configure("[database]\nengine_version = \"16.8\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    for (region, name) in [("us-east-2", "payment-dr-dev-secondary"), ("us-east-1", "payment-dr-dev-primary")] {
        let rds = aws_sdk_rds::Client::new(&stack.sdk(region).await);
        let call = rds.modify_db_cluster().db_cluster_identifier(name).engine_version("16.10").apply_immediately(true);
        call.send().await.expect("upgraded");
    }
    let checked = stack.run(&["check", "--preflight", "--json"]).exits(0);
    assert_eq!(of_database(&checked, "problems"), Vec::<Value>::new(), "{}", checked.stdout);
    let [note]: [Value; 1] = of_database(&checked, "notes").try_into().expect("one note");
    assert!(help(&note).contains("AWS runs 16.10; write `engine_version = \"16.10\"`"), "{note:#}");
    stack.run(&["plan"]).exits(0).says("AWS runs 16.10; write");
    stack.configure("[database]\nengine_version = \"16.10\"\n");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
