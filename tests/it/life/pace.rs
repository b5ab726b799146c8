//! At AWS's own pace, a hundred times as fast: only the longest chain determines the duration, and nothing else waits for it.

use drctl_aws::resources::durations;
use drctl_engine::state::Address;
use serde_json::Value;

use drctl_testkit::harness::{self, Stack};

const SCALE: f64 = 100.0;

/// The typical durations of the longest chain: cluster, writer, secondary cluster, its instance.
/// See docs/aws-behaviour.md#duration-of-up-and-down.
const CHAIN: [(&str, f64); 4] = [
    ("primary/db_cluster/main", 45.0),
    ("primary/db_instance/main", 400.0),
    ("secondary/db_cluster/main", 400.0),
    ("secondary/db_instance/main", 600.0),
];

/// Seconds on AWS from which on a duration is compared: what is shorter is lost in polling.
const LONG: f64 = 40.0;

/// What the sandbox does not make take its time, with the reason.
const UNLIKE: [(&str, &str); 1] = [("hosted_zone", "MiniStack knows no accelerated recovery, which takes most of it")];

fn events(stack: &Stack, args: &[&str]) -> Vec<Value> {
    let ran = stack.run(args).exits(0);
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn at(event: &Value) -> jiff::Timestamp {
    event["at"].as_str().expect("a time").parse().expect("a time")
}

fn summary(events: &[Value]) -> &Value {
    events.iter().find(|event| event["event"] == "summary").expect("a summary")
}

#[test]
fn the_database_determines_the_duration_of_up_and_the_primary_serves_long_before() {
    let sandbox = harness::start(&["--pace", "aws", "--time-scale", "100"]);
    let stack = Stack::at(&sandbox.endpoint);
    let events = events(&stack, &["up", "--yes", "--json"]);
    let summary = summary(&events);
    let took = summary["seconds"].as_f64().expect("seconds");
    let path: Vec<(&str, f64)> = summary["critical_path"]
        .as_array()
        .expect("a path")
        .iter()
        .map(|leg| (leg["address"].as_str().expect("an address"), leg["took"].as_f64().expect("seconds")))
        .collect();
    let last: Vec<&str> = path[path.len().saturating_sub(4)..].iter().map(|(address, _)| *address).collect();
    assert_eq!(last, CHAIN.map(|(address, _)| address), "{path:?}");
    // No step of the chain takes longer than on AWS, except for the polling, which no scale shortens, and for the settings that
    // follow once a cluster exists.
    for (address, typical) in CHAIN {
        let (_, leg) = path.iter().find(|(found, _)| *found == address).expect("a leg");
        assert!(*leg < typical / SCALE * 1.25 + 1.0, "{address} took {leg} s: {path:?}");
    }
    let bound: f64 = CHAIN.iter().map(|(_, typical)| typical / SCALE).sum();
    println!("up at AWS's pace / {SCALE}: {took:.1} s; the chain alone {bound:.1} s: {path:?}");
    assert!(took < bound * 1.3, "{took} s of {bound}");

    // What a type says of AWS, and how long the sandbox takes in its place, are two tables: they must not drift apart.
    let mut compared = 0;
    for event in events.iter().filter(|event| event["event"] == "done") {
        let address: Address = event["address"].as_str().expect("an address").parse().expect("an address");
        let typical = durations::expected(&address).expect("latencies").create.as_secs_f64();
        if typical < LONG || UNLIKE.iter().any(|(kind, _)| *kind == address.kind()) {
            continue;
        }
        compared += 1;
        let took = event["seconds"].as_f64().expect("seconds");
        let pace = typical / SCALE;
        assert!(took > pace * 0.8, "{address} took {took} s; at AWS's pace it is {pace} s");
        // A step of Aurora's begins while what it waits for is being created: how long it takes by itself, the chain says.
        let waits = matches!(address.kind(), "db_cluster" | "db_instance");
        assert!(waits || took < pace * 1.25 + 3.0, "{address} took {took} s; at AWS's pace it is {pace} s");
    }
    assert!(compared >= 10, "{compared} resources compared");

    let began = at(events.iter().find(|event| event["event"] == "started").expect("a start"));
    let done = |address: &str| {
        let event = events.iter().find(|event| event["event"] == "done" && event["address"] == address);
        at(event.unwrap_or_else(|| panic!("{address} is not done"))).duration_since(began).as_secs_f64()
    };
    for part in ["api_stage/default", "lambda_permission/api", "api_route/pay", "lambda_function/processor"] {
        let at = done(&format!("primary/{part}"));
        assert!(at < took / 3.0, "{part} was ready after {at} of {took} s");
    }
    let text = stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0).stdout;
    assert!(text.contains("critical path"), "{text}");
}
