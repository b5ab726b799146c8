//! drctl builds and operates a two-Region disaster-recovery architecture on AWS.

pub mod blueprint;
pub mod cli;
pub mod simulate;
