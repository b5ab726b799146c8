//! Integration tests, by subject, in one binary: they share one sandbox, each test in an account of its own.

#![expect(clippy::print_stdout, reason = "what was measured is for whoever runs it with --nocapture")]

mod bad_input;
mod cloud;
mod commands;
mod crash;
mod data_plane;
mod drift;
mod engine;
mod harness;
mod kill;
mod layers;
mod life;
mod pace;
mod preflight;
mod reach;
mod readme;
mod rows;
mod sandbox;
mod secrecy;
mod silence;
mod state_format;
mod surprises;
mod survey;
