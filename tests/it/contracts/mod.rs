//! What drctl promises about itself: its documentation, its knowledge of AWS, its formats, its calls, its secrets, its crates.

mod aws_behaviour;
mod judge;
mod no_secrets_leak;
mod readme;
mod state_format;
mod types;
mod workspace;
