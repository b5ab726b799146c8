//! Coverage-guided fuzzing of what drctl reads: `drctl.toml`, the snapshot and the journal.
//!
//! The modules are the main package's files, included by path: they need nothing of the rest of drctl, whose SDK crates
//! would take most of an hour to build with instrumentation.

// `properties` is also a module of the main package's tests, and there as here drctl is called drctl.
extern crate self as drctl;

#[path = "../../src/config/mod.rs"]
pub mod config;
#[allow(clippy::missing_panics_doc, reason = "to panic is how a property says that it does not hold")]
pub mod properties;
#[expect(dead_code, reason = "one constructor is for the engine, which is not part of this crate")]
#[path = "../../src/state/mod.rs"]
pub mod state;
