//! drctl builds and operates a two-Region disaster-recovery architecture on AWS.

// The future of a command holds those of the calls it makes, one within the other: deeper than the compiler's default.
#![recursion_limit = "256"]

pub mod blueprint;
pub mod cli;
pub mod simulate;
