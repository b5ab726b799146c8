//! drctl builds and operates a two-region disaster-recovery architecture on AWS.

pub mod aws;
pub mod blueprint;
pub mod config;
pub mod engine;
pub mod resources;
pub mod sandbox;
pub mod state;
