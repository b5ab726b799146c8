//! The engine on a cloud in memory, under tokio's virtual clock, in one binary.

mod crash;
mod engine;
mod graphs;
mod random;
