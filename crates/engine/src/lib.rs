//! The engine: brings a graph of resources to what is desired, concurrently and idempotently. It knows no AWS and prints nothing.
//!
//! ```text
//!   Graph ───────▶ Observer ─────▶ Decision ──▶ Plan ──▶ Run ──────────────────▶ Report
//!  (edges from     (listings       (pure)               (coordinator: schedule
//!   references)     and reads)                           and state; workers)
//!        │              │                                    │
//!        └──────────────┴──────────── Driver ────────────────┘
//!             (a type of resource: list, search, read, create, sync, weigh, delete)
//! ```
//!
//! These are its laws. Each file in `tests/it/engine` says which of them it tests.
//!
//! 1. The intent is durable before the call is sent, and the outcome before anything that depends on it starts.
//! 2. Never two, never an orphan: open intents are resolved before anything is created.
//! 3. Only what is this stack's is changed or deleted.
//! 4. Differences are computed against what exists, not against what was remembered.
//! 5. A failure stops what depends on it and nothing else. Nothing is rolled back.
//! 6. Regions are independent, except along an edge.
//! 7. No secret is in the state, a plan, or an event.
//! 8. The state outlives the configuration: `down` needs only the state.
//! 9. The first signal starts nothing more, lets mutations finish, and drops the waits. The second stops at once.

// What every phase uses.
pub mod cancel;
mod driver;
mod failure;
mod ownership;
mod reference;
mod seconds;
pub mod state;
mod timing;

// The phases. Each knows those before it.
mod graph;
mod observe;
mod plan;
mod run;

// Two questions beside them: which resources does the state not know, and what became of its open intents?
mod intents;
mod orphans;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use driver::{
    AlsoDeleted, Attempt, Change, Deletion, Driver, DriverRegistry, Live, Owner, Phase, Region, Synced, TypeInfo,
    TypicalDurations, Weight,
};
pub use failure::{Class, Failure, Silent};
pub use graph::{Graph, GraphError, Node};
pub use intents::{Inspection, Intent, IntentOutcome};
pub use observe::{Observations, Observed, Observer};
pub use orphans::{Cleanup, CleanupPlan, Found, Orphan, OrphanKind, OrphanScan, Unreached, adoption};
pub use ownership::ownership;
pub use plan::{Action, Consent, Counts, Decision, Item, Plan, Refusal, TAGS, changes, digest};
pub use reference::{AFTER, Need, Properties, Ref, is_unresolved, references, resolve};
pub use run::{Event, EventSink, Outcome, PathSegment, Report, Run, RunOptions};
pub use timing::{Timing, backoff};
