//! What a killed run left open is reported, and not touched.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use drctl_testkit::harness::Stack;

const JOURNAL: &str = "state/payment-dr-dev.journal";

/// The files in a folder, without its subfolders.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file());
    files.map(|path| (path.display().to_string(), std::fs::read(&path).expect("read"))).collect()
}

/// Kills `up` as soon as its journal has this many lines.
fn kill_in_the_middle(stack: &Stack, lines: usize) {
    let mut child =
        stack.command(&["up", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let until = Instant::now() + Duration::from_mins(2);
    loop {
        let written = std::fs::read_to_string(stack.path(JOURNAL)).unwrap_or_default();
        if written.lines().count() >= lines {
            break;
        }
        assert!(child.try_wait().expect("its status").is_none(), "it ended before it could be killed");
        assert!(Instant::now() < until, "its journal did not grow");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("reaped");
    // Calls on their way to the sandbox arrive, and the grace period passes.
    std::thread::sleep(Duration::from_secs(3));
}

#[test]
fn what_a_killed_run_left_open_is_reported_and_not_touched() {
    let stack = Stack::new();
    kill_in_the_middle(&stack, 60);
    let (before, calls) = (files(&stack.path("state")), stack.calls().len());

    let report = stack.run(&["recover", "--json"]).exits(0).json();
    assert!(report["journal"]["transitions"].as_u64().expect("a number") >= 50, "{report:#}");
    assert_eq!(report["running"], Value::Null);
    let intents = report["intents"].as_array().expect("intents");
    assert!(!intents.is_empty(), "steps were in progress: {report:#}");
    for intent in intents {
        let became = intent["became"]["is"].as_str().expect("a word");
        match intent["intent"].as_str().expect("a word") {
            // The grace period is over, so the resource was created or it was not.
            "creating" => assert!(matches!(became, "made" | "not_made"), "{intent:#}"),
            "created" | "updating" => assert_eq!(became, "there", "{intent:#}"),
            other => panic!("an `up` leaves no `{other}`: {intent:#}"),
        }
        assert!(intent["advice"].as_str().expect("text").contains("drctl up"), "{intent:#}");
        assert!(intent["attempt"].is_string(), "{intent:#}");
    }
    let first = intents[0]["address"].as_str().expect("an address");
    stack.run(&["recover"]).exits(0).says("An unfinished run has left a journal").says(first).says("drctl up");

    assert_eq!(files(&stack.path("state")), before, "the state must not change");
    let looks = |name: &str| ["Describe", "Get", "List", "Head"].iter().any(|verb| name.starts_with(verb));
    let operation = |call: &Value| call["operation"].as_str().unwrap_or_default().to_owned();
    let changing: Vec<String> = stack.calls().iter().skip(calls).map(operation).filter(|name| !looks(name)).collect();
    assert!(changing.is_empty(), "it must only read: {changing:?}");

    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["recover"]).exits(0).says("No open intents.");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn without_a_state_nothing_is_open() {
    let stack = Stack::new();
    let report = stack.run(&["recover", "--json"]).exits(0).json();
    assert_eq!((&report["intents"], &report["journal"]), (&serde_json::json!([]), &Value::Null));
    stack.run(&["recover"]).exits(0).says("No open intents.");
}
