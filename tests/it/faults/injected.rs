//! What can go wrong with any call of the real SDK: the stack is built and deleted all the same, or the run says what happened
//! and the next one continues.

use std::time::{Duration, Instant};

use serde_json::Value;

use drctl_testkit::harness::{Ran, Stack, drctl};
use drctl_testkit::life::assert_complete;
use drctl_testkit::survey::survey;

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];

/// How many calls the first fault has hit.
fn hits(tally: &Value) -> u64 {
    tally["faults"][0][1].as_u64().expect("a number")
}

/// A whole life under these faults. No run may fail.
async fn life_under(faults: &str, at_least: u64) {
    let stack = Stack::new();
    stack.faults(faults);
    stack.run(&["up", "--yes"]).exits(0).says("Apply complete!");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let up = hits(&stack.no_faults());
    assert_complete(&survey(&stack, REGIONS).await, REGIONS);
    stack.faults(faults);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    let down = hits(&stack.no_faults());
    assert!(up >= at_least && down >= at_least, "hit {up} and {down} times");
    let left = survey(&stack, REGIONS).await;
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_in_which_calls_fail_are_reset_and_lose_their_answers() {
    life_under(
        "seed = 11\n[[fault]]\nchance = 0.02\ndoes = \"fail\"\n[[fault]]\nchance = 0.02\ndoes = \"unavailable\"\n\
         [[fault]]\nchance = 0.02\ndoes = \"reset\"\n[[fault]]\nchance = 0.02\ndoes = \"lose-answer\"\n\
         [[fault]]\nchance = 0.01\ndoes = \"lose-answer\"\nstatus = 500\ncode = \"InternalFailure\"\n",
        5,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_with_bursts_of_throttling_in_each_services_own_words() {
    life_under("seed = 5\n[[fault]]\nchance = 0.2\ndoes = \"throttle\"\n", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_in_which_reads_lag_and_lag_longer_from_another_region() {
    life_under("[[fault]]\nkind = \"read\"\ndoes = \"stale\"\nseconds = 0.4\nelsewhere = 0.8\n", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_with_one_slow_region() {
    life_under("[[fault]]\nregion = \"us-east-2\"\ndoes = \"slow\"\nseconds = 0.03\n", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_expired_credentials_ends_and_continues_with_new_ones() {
    let stack = Stack::new();
    // From the 100th call that changes something on, no call is let through.
    stack.faults("[[fault]]\nkind = \"mutation\"\nfirst = 99\ndoes = \"slow\"\nseconds = 0.0\n[[fault]]\nkind = \"mutation\"\nevery = 1\ndoes = \"expire-credentials\"\n");
    let mut command = stack.command(&["up", "--yes"]);
    command.env("DRCTL_CREDENTIALS_WAIT", "0");
    let ran = Ran::new(&["up"], command.output().expect("it runs"));
    let ran = ran.exits(5).says("expired").says("run the same command again");
    for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        assert_eq!(text.matches("aws sso login").count(), 1, "one cause, one explanation on {name}:\n{text}");
    }
    stack.no_faults();
    stack.run(&["up", "--yes"]).exits(0);
    assert_complete(&survey(&stack, REGIONS).await, REGIONS);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn a_region_that_is_gone_is_named_and_the_status_of_the_other_is_reported() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.faults("[[fault]]\nregion = \"us-east-2\"\ndoes = \"reset\"\n");
    let began = Instant::now();
    let status = stack.run(&["status", "--json"]);
    assert_eq!(status.code, Some(1), "{}\n{}", status.stdout, status.stderr);
    let json = status.json();
    let place = json["regions"].to_string() + &status.stdout;
    assert!(place.contains("us-east-2"), "{json:#}");
    // While a Region does not answer, nothing is planned and nothing is changed.
    stack.run(&["down", "--yes"]).exits(1).says("us-east-2");
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn a_call_that_is_never_answered_times_out_and_is_resolved() {
    let stack = Stack::new();
    // One call is resolved by its name and one by its token, after the SDK's timeout of twenty seconds.
    stack.faults("[[fault]]\noperation = \"CreateRole\"\nfirst = 1\ndoes = \"hang\"\n[[fault]]\noperation = \"CreateVpc\"\nfirst = 1\ndoes = \"hang\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    let tally = stack.no_faults();
    assert_eq!((hits(&tally), tally["faults"][1][1].as_u64()), (1, Some(1)), "{tally}");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn a_sandbox_starts_with_a_fault_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, "[[fault]]\nservice = \"sts\"\nfirst = 1\ndoes = \"throttle\"\n").expect("written");
    let sandbox = drctl_testkit::harness::start(&["--faults", file.to_str().expect("UTF-8")]);
    let stack = Stack::at(&sandbox.endpoint);
    stack.run(&["plan"]).exits(0);
    // The faults of the file are for every account. STS is asked again or in the other Region, whichever is quicker, and
    // once more by the checks.
    let calls = stack.calls();
    let asked: Vec<&Value> = calls.iter().filter(|call| call["service"] == "sts").collect();
    assert!((3..=4).contains(&asked.len()), "{asked:?}");
    // Both Regions are asked at once, in an order that nobody can predict, but exactly one call is hit.
    let refused = asked.iter().filter(|call| call["status"] == 400).count();
    assert_eq!(refused, 1, "exactly one is refused: {asked:?}");
}

#[test]
fn an_invalid_fault_file_is_refused_before_anything_is_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, "[[fault]]\ndoes = \"explode\"\n").expect("written");
    let output = std::process::Command::new(drctl())
        .args(["sandbox", "start", "--faults", "faults.toml"])
        .current_dir(folder.path())
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("faults.toml") && said.contains("explode") && said.contains("throttle"), "{said}");
}
