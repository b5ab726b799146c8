//! The engine: walks a graph of resources concurrently, each reconciled idempotently. Knows no AWS and prints nothing.
//!
//! ```text
//!   Graph ──▶ Observer ──▶ Decision ──▶ Plan ──▶ Run (coordinator: Schedule + Store)
//!  (edges from   (lists,     (pure)               │  ▲
//!   references)   reads)                     start│  │record, wait, done
//!                                                 ▼  │
//!                                               Worker ──▶ Driver (create, sync, delete, read)
//! ```

pub mod cancel;
mod consent;
mod critical_path;
mod diff;
mod driver;
mod events;
mod failure;
mod graph;
mod intents;
mod observe;
mod orphans;
mod plan;
mod reconcile;
mod reference;
mod run;
mod schedule;
pub mod state;
#[cfg(test)]
mod testing;
mod timing;

pub use consent::{Consent, Refusal};
pub use critical_path::Leg;
pub use diff::{TAGS, changes, digest};
pub use driver::{
    Attempt, Change, Driver, Drivers, Expected, Live, Owner, Phase, Region, Removal, Synced, Traits, Weight,
};
pub use events::{Event, Events};
pub use failure::{Class, Failure};
pub use graph::{Graph, GraphError, Node};
pub use intents::{Became, Inspection, Intent};
pub use observe::{Observations, Observed, Observer, ownership};
pub use orphans::{Cleared, Clearing, Found, Orphan, Standing, Sweep, Unreached, adoption};
pub use plan::{Action, Counts, Decision, Item, Plan};
pub use reference::{AFTER, Need, Properties, Ref, is_unresolved, references, resolve};
pub use run::{Options, Outcome, Report, Run};
pub use timing::{Timing, backoff};
