//! The commands as people and machines use them: their options, their answers, and what they need from the machine.

mod bad_input;
mod commands;
mod connection;
mod preflight;
mod preflight_names;
mod preflight_versions;
mod recover;
mod sandbox;
mod silent_region;
