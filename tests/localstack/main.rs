//! The whole life of a stack against LocalStack: `localstack/test` starts it and runs this.
//!
//! The target is left out of `cargo test` (`test = false` in Cargo.toml), since LocalStack needs a Python that a machine may
//! lack; without an endpoint it fails and says so.

#![expect(clippy::print_stdout, reason = "what was measured is for whoever reads the log")]

#[path = "../it/drift/mod.rs"]
mod drift;
#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "some of it is only for tests against the sandbox")]
mod harness;
#[path = "../it/life.rs"]
mod life;
#[path = "../it/survey/mod.rs"]
mod survey;

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_against_localstack() {
    let given = std::env::var("DRCTL_TEST_ENDPOINT");
    assert!(given.is_ok(), "no LocalStack: run `localstack/test`, which starts one and sets DRCTL_TEST_ENDPOINT");
    life::whole_life().await;
}

/// LocalStack counts no calls: drctl's own proxy stands before it and does.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_changes_makes_at_most_60_calls() {
    let before_localstack = harness::start(Some(harness::endpoint()));
    let stack = harness::Stack::at(&before_localstack.endpoint);
    stack.run(&["up", "--yes"]).exits(0);
    let before = stack.calls().len();
    stack.run(&["up", "--yes"]).exits(0).says("No changes.");
    let calls = stack.calls().len() - before;
    println!("a run without changes made {calls} calls");
    assert!(calls <= 60, "{calls} calls");
    stack.run(&["down", "--yes"]).exits(0);
}
