//! Integration tests, grouped by purpose, in one binary: they share one sandbox, and each test has an account of its own.

#![expect(clippy::print_stdout, reason = "measurements are printed for whoever runs a test with --nocapture")]

mod contracts;
mod faults;
mod life;
mod ownership;
mod usage;
mod world;
