//! drctl builds and operates a two-region disaster-recovery architecture on AWS.

pub mod engine;
pub mod state;
