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

pub use coordinator::{Options, Run};
pub use critical_path::Leg;
pub use events::{Event, Events};
pub use report::Report;
pub use schedule::Outcome;
