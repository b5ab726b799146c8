//! The state: what drctl has created, durable before anything depends on it.
//!
//! Two files per stack: the snapshot (`<stack>-<environment>.json`) and the journal of the run in progress
//! (`<stack>-<environment>.journal`). `docs/state-format.md` documents the format.

mod address;
mod entry;
mod error;
pub mod journal;
mod lock;
mod snapshot;
mod store;

pub use address::{Address, InvalidAddress, Role};
pub use entry::{Entry, Failed, InvalidTransition, Status, check_transition};
pub use error::StateError;
pub use journal::Transition;
pub use lock::Holder;
pub use snapshot::{FORMAT, Identity, Regions, Snapshot, backup_path};
pub use store::{Location, Store, check_identity};
