//! All of AWS's surprises: the stack is built and deleted as if there were none.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use serde_json::Value;

use drctl_testkit::harness::Stack;
use drctl_testkit::survey::{Survey, survey};

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];

/// With a certificate, because some surprises concern certificates.
const WITH_CERTIFICATE: &str = "[dns]\ndomain = \"pay.surprised.dev\"\ncertificate = true\n";

/// The lives, each with the names of its surprises. By default, there is one life with all of them; `DRCTL_SURPRISES` names
/// others, with `;` between lives and `,` between the surprises of one.
fn lives() -> Vec<Vec<String>> {
    let text = std::env::var("DRCTL_SURPRISES").unwrap_or_else(|_| "all".to_owned());
    let names = |life: &str| life.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    text.split(';').map(names).collect()
}

fn configured() -> Stack {
    let stack = Stack::new();
    stack.configure(WITH_CERTIFICATE);
    stack
}

/// A life from nothing to nothing with these surprises, each of which must occur.
async fn live_with(surprises: &[String], expected: &Survey) {
    let stack = configured();
    stack.faults(&format!("surprises = {surprises:?}"));
    stack.run(&["up", "--yes"]).exits(0).says("Apply complete!");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(survey(&stack, REGIONS).await, *expected);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    let left = survey(&stack, REGIONS).await;
    assert!(left.is_empty(), "{left:#?}");
    let tally = stack.no_faults();
    for surprise in tally["surprises"].as_array().expect("surprises") {
        assert!(surprise[2].as_u64() > Some(0), "{surprise} never occurred");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_with_every_aws_surprise_passes() {
    let undisturbed = configured();
    undisturbed.run(&["up", "--yes"]).exits(0);
    let expected = survey(&undisturbed, REGIONS).await;
    undisturbed.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    let mut failed = Vec::new();
    for surprises in lives() {
        let lived = AssertUnwindSafe(live_with(&surprises, &expected)).catch_unwind().await;
        println!("life with {}: {}", surprises.join(","), if lived.is_ok() { "passes" } else { "fails" });
        if lived.is_err() {
            failed.push(surprises.join(","));
        }
    }
    assert!(failed.is_empty(), "lives that failed, with the reasons above: {failed:?}");
}

/// How often the surprise of this name has occurred.
#[track_caller]
fn occurrences(tally: &Value, name: &str) -> u64 {
    let surprises = tally["surprises"].as_array().expect("surprises");
    let found = surprises.iter().find(|surprise| surprise[1] == name).unwrap_or_else(|| panic!("{name}: {tally}"));
    found[2].as_u64().expect("a number")
}

#[test]
fn a_failed_nat_gateway_is_recreated_and_its_routes_follow_it() {
    let stack = Stack::new();
    stack.faults("surprises = [\"nat-failed\"]");
    stack.run(&["up", "--yes"]).exits(0).says("deleted and recreated");
    assert_eq!(occurrences(&stack.no_faults(), "nat-failed"), 2, "one in each Region");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
