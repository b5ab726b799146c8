//! A run: a plan is carried out by a coordinator, which owns the schedule and the state, and by workers.

mod coordinator;
mod critical_path;
mod events;
mod handle;
mod report;
mod schedule;
mod worker;

pub use coordinator::{Options, Run};
pub use critical_path::Leg;
pub use events::{Event, Events};
pub use report::{Outcome, Report};
