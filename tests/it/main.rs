//! Integration tests, by subject, in one binary: they share one sandbox, each test in an account of its own.

#![expect(clippy::print_stdout, reason = "what was measured is for whoever runs it with --nocapture")]

mod aws_behaviour;
mod aws_rules;
mod bad_input;
mod commands;
mod connection;
mod data_plane;
#[cfg(target_os = "linux")]
mod disk;
mod faults;
mod foreign;
mod judge;
mod kill;
#[cfg(target_os = "linux")]
mod matrix;
mod orphans;
mod others;
mod pace;
mod preflight;
mod preflight_names;
mod preflight_versions;
mod random_stack;
mod reach;
mod readme;
mod recover;
#[cfg(target_os = "linux")]
mod refusals;
mod sandbox;
mod secrecy;
#[cfg(target_os = "linux")]
mod shim;
mod silence;
mod state_format;
mod surprises;
mod tags;
mod untagged;
mod workspace;
