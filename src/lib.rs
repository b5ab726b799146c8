//! drctl builds and operates a two-region disaster-recovery architecture on AWS.
//!
//! Dependencies point one way, top to bottom: `cli`, `config`, `simulate`, `preflight`, `blueprint`, `dr`, `resources`, `aws`, `engine`,
//! `state`, `sandbox`.

pub mod aws;
pub mod blueprint;
pub mod cli;
pub mod config;
pub mod dr;
pub mod engine;
pub mod preflight;
pub mod resources;
pub mod sandbox;
pub mod simulate;
pub mod state;
