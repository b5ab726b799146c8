//! A Region that does not answer: it is named, nothing else is, and no command waits for it longer than it was told to.

use std::time::{Duration, Instant};

use serde_json::Value;

use drctl_testkit::harness::{Ran, Stack};

/// What the services that are one for all Regions, with their control planes in us-east-1, are called.
const GLOBAL: [&str; 2] = ["IAM", "Route 53"];

/// What a command may take besides `--timeout`.
const REST: Duration = Duration::from_secs(2);

fn take_out(stack: &Stack, region: &str, does: &str) {
    stack.faults(&format!("[[fault]]\nregion = \"{region}\"\ndoes = \"{does}\"\n"));
}

/// Runs a command with `--timeout 3`, which it keeps to.
#[track_caller]
fn timed(stack: &Stack, words: &[&str]) -> Ran {
    let words = [words, &["--timeout", "3"]].concat();
    let began = Instant::now();
    let ran = stack.run(&words);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3) + REST, "{words:?}: {took:?}\n{}\n{}", ran.stdout, ran.stderr);
    ran
}

fn words(ran: &Ran) -> String {
    format!("{}\n{}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Who is said not to have answered, wherever a failure is in the JSON.
fn blamed(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Object(object) => {
            found.extend(object.get("silent").and_then(Value::as_str).map(str::to_owned));
            found.extend(object.values().flat_map(blamed));
        }
        Value::Array(values) => found.extend(values.iter().flat_map(blamed)),
        _ => {}
    }
    found.sort();
    found.dedup();
    found
}

/// Whom a command blames while a Region is out. IAM and Route 53 are named as such, and are in us-east-1.
fn expected(out: &str) -> Vec<String> {
    let global = if out == "us-east-1" { &GLOBAL[..] } else { &[] };
    global.iter().chain([&out]).map(|name| (*name).to_owned()).collect()
}

#[test]
fn only_the_region_that_is_out_is_blamed() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    // Something to do in both Regions.
    stack.configure("[tags]\nteam = \"payments\"\n");
    let before = stack.calls().len();
    for (out, does) in [("us-east-2", "reset"), ("us-east-2", "hang"), ("us-east-1", "hang")] {
        take_out(&stack, out, does);
        for command in ["plan", "check", "status"] {
            let json = timed(&stack, &[command, "--json"]).exits(1).json();
            assert_eq!(blamed(&json), expected(out), "{command}, {out}, {does}");
            // A plan has them in a place of their own.
            let problems =
                [&json["problems"], &json["preflight"]["problems"]].map(|all| all.as_array().map_or(0, Vec::len));
            assert_eq!(problems, [0, 0], "{command}, {out}, {does}: {json:#}");
        }
        let up = timed(&stack, &["up", "--yes"]).exits(1).says("Nothing was changed, because ");
        assert!(!words(&up).contains("not drctl's"), "nobody has the names: {}", up.stdout);
    }
    timed(&stack, &["plan"])
        .says("us-east-1 did not answer within 3 s")
        .says("IAM did not answer within 3 s")
        .says("IAM is one service for all Regions, with its control plane in us-east-1.");
    take_out(&stack, "us-east-2", "hang");
    // Besides its own resources, the table of the other Region that has its replica there.
    let read = "73 resources could not be read";
    let plan = timed(&stack, &["plan"]).says(read).says("~ global/iam_role/replication");
    assert_eq!(plan.stdout.matches("us-east-2 did not answer within 3 s").count(), 1, "{}", plan.stdout);
    plan.says("Not checked, because us-east-2 did not answer: concurrent executions");
    timed(&stack, &["status"]).says(&format!("DR: UNKNOWN – {read}: us-east-2 did not answer"));
    // Nothing was changed: not even in the other Region.
    let calls = stack.calls().split_off(before);
    let verbs = ["Create", "Delete", "Put", "Tag", "Modify", "Update", "Add", "Set", "POST ", "PUT ", "DELETE "];
    let changing = |call: &&Value| {
        let operation = call["operation"].as_str().unwrap_or_default();
        verbs.iter().any(|verb| operation.starts_with(verb))
    };
    assert_eq!(calls.iter().find(changing), None);
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn iam_and_route_53_are_named_when_no_other_region_needs_us_east_1() {
    let stack = Stack::new();
    stack.configure("[regions]\nprimary = \"eu-west-1\"\nsecondary = \"eu-central-1\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    take_out(&stack, "us-east-1", "hang");
    for command in [&["status", "--json"][..], &["orphans", "--json"]] {
        let json = timed(&stack, command).exits(1).json();
        assert_eq!(blamed(&json), expected("us-east-1"), "{command:?}: {json:#}");
    }
    // Only IAM: the Regions themselves answer.
    stack.faults("[[fault]]\nservice = \"iam\"\ndoes = \"hang\"\n");
    for command in [&["plan", "--json"][..], &["orphans", "--json"]] {
        let json = timed(&stack, command).exits(1).json();
        assert_eq!(blamed(&json), ["IAM"], "{command:?}: {json:#}");
    }
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn everybody_who_was_silent_is_named_and_a_service_that_alone_was_as_such() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    take_out(&stack, "us-east-1", "hang");
    let down = timed(&stack, &["down", "--yes"]).exits(1).says("- us-east-1 did not answer within 3 s (");
    down.says("- IAM did not answer within 3 s (")
        .says("- Route 53 did not answer within 3 s (")
        .says("Nothing was changed");
    for (service, name) in [("s3", "S3"), ("dynamodb", "DynamoDB")] {
        stack.faults(&format!("[[fault]]\nregion = \"us-east-2\"\nservice = \"{service}\"\ndoes = \"hang\"\n"));
        let who = format!("{name} in us-east-2");
        let json = timed(&stack, &["plan", "--json"]).exits(1).json();
        assert_eq!(blamed(&json), [who.as_str()], "{json:#}");
        timed(&stack, &["status"]).exits(1).says(&format!("could not be read: {who} did not answer"));
        timed(&stack, &["down", "--yes"]).exits(1).says(&format!("- {who} did not answer within 3 s ("));
    }
    stack.faults("[[fault]]\nservice = \"sts\"\ndoes = \"hang\"\n");
    timed(&stack, &["plan"]).exits(1).says("STS did not answer within 3 s in us-east-1 and us-east-2");
}

#[test]
fn what_nobody_answered_is_unchecked_and_stops_up() {
    let stack = Stack::new();
    // Only the checks ask these.
    let questions = ["DescribeDBEngineVersions", "DescribeAccountAttributes"];
    for does in ["hang", "reset"] {
        let fault = |name| format!("[[fault]]\nregion = \"us-east-2\"\noperation = \"{name}\"\ndoes = \"{does}\"\n");
        stack.faults(&questions.map(fault).concat());
        let json = timed(&stack, &["check", "--json"]).exits(1).json();
        assert_eq!((&json["problems"], &json["summary"]["unknown"]), (&serde_json::json!([]), &0.into()), "{json:#}");
        let unchecked = json["unchecked"].as_array().expect("a list");
        let unanswered: Vec<(&str, &str)> = unchecked
            .iter()
            .filter(|note| note["unanswered"] == true)
            .map(|note| (note["region"].as_str().unwrap_or("-"), note["subject"].as_str().expect("text")))
            .collect();
        assert_eq!(
            unanswered,
            [("us-east-2", "database quotas"), ("us-east-2", "database engine versions")],
            "{does}: {unchecked:#?}"
        );
        let check = timed(&stack, &["check"]).exits(1).says("? database quotas, database engine versions");
        assert!(!words(&check).contains("would fail"), "{}", check.stdout);
        if does == "hang" {
            assert_eq!(check.stdout.matches("us-east-2 did not answer within 3 s").count(), 1, "{}", check.stdout);
        }
        timed(&stack, &["plan"]).exits(1).says("? database quotas, database engine versions");
        let up = timed(&stack, &["up", "--yes"]).exits(1).says("Nothing was changed.");
        assert!(!words(&up).contains("not drctl's"), "{}", up.stdout);
    }
    let made = |call: &Value| call["operation"].as_str().is_some_and(|operation| operation.starts_with("Create"));
    assert!(!stack.calls().iter().any(made));
}

#[test]
fn orphans_keeps_to_its_time_and_names_the_region_that_was_not_looked_at() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    for (out, lost) in [("us-east-2", "primary/alarm/api-errors"), ("us-east-1", "secondary/alarm/api-errors")] {
        let silent = format!("{out} did not answer within 3 s");
        stack.run(&["state", "rm", lost, "--yes"]).exits(0);
        take_out(&stack, out, "hang");
        let json = timed(&stack, &["orphans", "--json"]).exits(1).json();
        assert_eq!(blamed(&json), expected(out), "{json:#}");
        assert_eq!(
            (&json["summary"]["orphans"], &json["orphans"][0]["address"]),
            (&1.into(), &lost.into()),
            "{json:#}"
        );
        let adopted = timed(&stack, &["orphans", "--adopt"]).exits(1).says("Adopted: 1.").says("There may be more");
        assert_eq!(adopted.stdout.matches(&silent).count(), 1, "{}", adopted.stdout);
        stack.run(&["state", "rm", lost, "--yes"]).exits(0);
        timed(&stack, &["orphans", "--delete", "--yes"]).exits(1).says(&silent).says("1 destroyed");
        stack.no_faults();
        stack.run(&["up", "--yes"]).exits(0);
    }
    // Nobody knows what is left of the database in the other Region.
    let standby = ["secondary/db_cluster/main", "secondary/db_instance/main"];
    for address in standby {
        stack.run(&["state", "rm", address, "--yes"]).exits(0);
    }
    take_out(&stack, "us-east-1", "hang");
    let kept = timed(&stack, &["orphans", "--delete", "--yes", "--no-final-snapshot"]).exits(1);
    let kept = kept.says("2 orphans left alone").says("it holds data, and not everything could be read");
    assert!(!kept.stdout.contains("destroyed"), "{}", kept.stdout);
    stack.no_faults();
    stack.run(&["orphans", "--adopt"]).exits(0).says("Adopted: 2.");
    take_out(&stack, "us-east-2", "reset");
    let json = timed(&stack, &["orphans", "--json"]).exits(1).json();
    assert_eq!(blamed(&json), ["us-east-2"], "{json:#}");
    // With the state, the zones of both Regions are lost: the one that answers has its whole time nevertheless.
    std::fs::rename(stack.path("state/payment-dr-dev.json"), stack.path("kept.json")).expect("moved");
    take_out(&stack, "us-east-2", "hang");
    let json = timed(&stack, &["orphans", "--json"]).exits(1).json();
    assert_eq!(blamed(&json), ["us-east-2"], "{json:#}");
    let found = json["orphans"].as_array().expect("a list");
    assert!(found.len() > 30 && found.iter().all(|orphan| orphan["region"] == "us-east-1"), "{json:#}");
    // Without zones, what is there can be planned, deleted and adopted all the same.
    for command in ["plan", "check"] {
        let json = timed(&stack, &[command, "--json"]).exits(1).json();
        assert_eq!(blamed(&json), ["us-east-2"], "{command}: {json:#}");
    }
    let delete = timed(&stack, &["orphans", "--delete", "--empty-buckets"]).exits(3);
    delete.says("- primary/nat_gateway/a").says("`drctl orphans --delete --yes --empty-buckets");
    let adopted = timed(&stack, &["orphans", "--adopt"]).exits(1).says("us-east-2 did not answer within 3 s");
    assert!(adopted.stdout.contains("= primary/nat_gateway/a"), "{}", adopted.stdout);
    stack.no_faults();
    std::fs::rename(stack.path("kept.json"), stack.path("state/payment-dr-dev.json")).expect("moved back");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn hints_of_orphans_repeat_its_options() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["state", "rm", "primary/alarm/api-errors", "--yes"]).exits(0);
    stack
        .run(&["orphans", "--timeout", "7"])
        .exits(0)
        .says("`drctl orphans --adopt --timeout 7`")
        .says("`drctl orphans --delete --timeout 7`");
    stack
        .run(&["orphans", "--delete", "--no-final-snapshot", "--empty-buckets", "--timeout", "7"])
        .exits(3)
        .says("`drctl orphans --delete --yes --no-final-snapshot --empty-buckets --timeout 7`");
    stack.run(&["orphans", "--timeout", "0"]).exits(3).says("from 1 to 600");
    stack.run(&["orphans", "--adopt"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
