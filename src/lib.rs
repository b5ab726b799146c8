//! drctl builds and operates a two-region disaster-recovery architecture on AWS.
//!
//! Dependencies point one way, top to bottom: `cli`, `config`, `blueprint`, `resources`, `aws`, `engine`, `state`, `sandbox`.

pub mod aws;
pub mod blueprint;
pub mod cli;
pub mod config;
pub mod engine;
pub mod resources;
pub mod sandbox;
pub mod state;
