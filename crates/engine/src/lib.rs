//! The engine: walks a graph of resources concurrently, each reconciled idempotently. Knows no AWS and prints nothing.
//!
//! ```text
//!   Graph ──▶ Observer ──▶ Decision ──▶ Plan ──▶ Run (coordinator: Schedule + Store)
//!  (edges from   (lists,     (pure)               │  ▲
//!   references)   reads)                     start│  │record, wait, done
//!                                                 ▼  │
//!                                               Worker ──▶ Driver (create, sync, delete, read)
//! ```

// What every phase speaks of.
pub mod cancel;
mod driver;
mod failure;
mod ownership;
mod reference;
mod seconds;
pub mod state;
mod timing;

// The phases, each of which knows those before it.
mod graph;
mod observe;
mod plan;
mod run;

// What is asked beside them: orphans, and what became of open intents.
mod intents;
mod orphans;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use driver::{
    Attempt, Change, Driver, Drivers, Expected, Live, Owner, Phase, Region, Removal, Synced, Traits, Weight,
};
pub use failure::{Class, Failure};
pub use graph::{Graph, GraphError, Node};
pub use intents::{Became, Inspection, Intent};
pub use observe::{Observations, Observed, Observer};
pub use orphans::{Cleared, Clearing, Found, Orphan, Standing, Sweep, Unreached, adoption};
pub use ownership::ownership;
pub use plan::{Action, Consent, Counts, Decision, Item, Plan, Refusal, TAGS, changes, digest};
pub use reference::{AFTER, Need, Properties, Ref, is_unresolved, references, resolve};
pub use run::{Event, Events, Leg, Options, Outcome, Report, Run};
pub use timing::{Timing, backoff};
