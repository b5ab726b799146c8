//! A run: a plan is carried out. The coordinator owns the schedule and the state; a worker does the work of one step.
//!
//! ```text
//!            Layout: plan → steps
//!                  │
//!   Coordinator (Schedule, Recorder, Store) ──▶ Report
//!        │ Job           ▲ record, release the slot, event
//!        ▼               │
//!      Worker (CoordinatorHandle) ──▶ Driver
//! ```

mod coordinator;
mod critical_path;
mod events;
mod handle;
mod layout;
mod recorder;
mod report;
mod schedule;
mod worker;

pub use coordinator::{Run, RunOptions};
pub use critical_path::PathSegment;
pub use events::{Event, EventSink};
pub use report::Report;
pub use schedule::Outcome;
