//! Integration tests, by subject, in one binary: they share one sandbox, each test in an account of its own.

#![expect(clippy::print_stdout, reason = "what was measured is for whoever runs it with --nocapture")]

mod bad_input;
mod cloud;
mod commands;
mod crash;
mod drift;
mod engine;
mod harness;
mod kill;
mod layers;
mod life;
mod preflight;
mod readme;
mod sandbox;
mod secrecy;
mod silence;
mod state_format;
mod survey;

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_against_the_sandbox() {
    life::whole_life_of(harness::Stack::new()).await;
}
