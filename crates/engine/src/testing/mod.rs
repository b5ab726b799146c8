//! For tests: a cloud in memory that behaves as AWS does where that hurts, and stacks in it.
//!
//! [`Cloud`] is the service, with faults, outages, and a way to kill its caller at any call. [`World`] is a stack in such a cloud with
//! its state on disk, and runs `up` and `down` on it. What remains are values that many tests need.
//!
//! Everything here panics where a test would.

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "helpers of tests"
)]

mod cloud;
mod values;
mod want;
mod world;

pub use cloud::{
    ATTEMPT, Call, Cloud, Contents, Crash, Fault, NODE, OURS, Op, Outage, PROOF_AFTER, Pace, Resource, STACK, is_tagged,
};
pub use values::{entry, graph, live, node};
pub use want::{EAST, WEST, Want};
pub use world::{RunResult, Stop, World, undisturbed};
