//! The whole life of a stack against LocalStack: `localstack/test` starts it and runs this.
//!
//! The target is left out of `cargo test` (`test = false` in Cargo.toml), since LocalStack needs a Python that a machine may
//! lack; without an endpoint it fails and says so.

#[path = "../it/drift.rs"]
mod drift;
#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "some of it is only for tests against the sandbox")]
mod harness;
#[path = "../it/life.rs"]
mod life;
#[path = "../it/survey.rs"]
mod survey;

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_against_localstack() {
    let given = std::env::var("DRCTL_TEST_ENDPOINT");
    assert!(given.is_ok(), "no LocalStack: run `localstack/test`, which starts one and sets DRCTL_TEST_ENDPOINT");
    life::whole_life().await;
}
