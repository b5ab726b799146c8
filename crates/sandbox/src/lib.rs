//! A local AWS to practise on: no account, no credentials, nothing installed but Python.
//!
//! It consists of two processes. *MiniStack*, a Python emulator that is installed once into the user's cache folder,
//! holds the resources. In front of it runs drctl's own *proxy*, and the SDK's endpoint is the proxy. The emulator
//! answers `available` at once, never lags, and never loses an answer; the proxy's rules add what AWS does differently.
//!
//! The rules, from the client's side; their order is decided in `rules::all`.
//!
//! | rule | what it adds |
//! |---|---|
//! | `rules::gaps::Owners` | the account and the Region of an API that is called by its host name |
//! | `rules::regions` | Regions that are out, isolated, or slow, on request |
//! | `rules::faults` | what can go wrong with any call, on request: lost answers, throttling, stale reads, a Region that is gone |
//! | `rules::surprises` (run by `rules::faults`) | AWS's own refusals and events, by their entries in docs/aws-behaviour.md |
//! | `rules::tokens` | a repeated client token gets the same answer |
//! | `rules::changes` | Route 53's health checkers and name servers learn of each change |
//! | `rules::gaps::of_answers` | what is missing from MiniStack's answers (filters, the tags of flow logs, peering options, …) |
//! | `rules::aurora` | PostgreSQL servers for Aurora's clusters |
//! | `rules::global_database` | switchovers and failovers of Aurora in AWS's stages, with their refusals, events, and snapshots |
//! | `rules::data_api` | SQL over HTTPS on those servers |
//! | `rules::pace` | AWS's durations and intermediate states, in the [`Pace::Aws`] pace |
//! | `rules::gaps::of_resources` | what MiniStack does not check of its resources (dependents, duplicate routes, …) |
//! | `rules::replication` | replication between Regions that takes time, and is cut with them |
//!
//! Beside the rules is the *world*: the conditions of Regions, PostgreSQL servers, and Route 53's data plane, whose checkers
//! look at the APIs through the proxy, and whose name servers answer by what they find.
//!
//! Both processes listen on loopback only, and both outlive the drctl that started them, so that killing drctl leaves
//! "AWS" as it was. MiniStack ends with the proxy, whatever ends the proxy, `kill -9` included.
//!
//! [`serve`] is the foreground process. [`Control`] starts, finds, resets, and stops it from another process.

mod control;
mod error;
mod install;
mod loopback;
mod ministack;
mod options;
mod process;
mod proxy;
mod python;
mod record;
mod rules;
mod serve;
mod sync;
mod wire;
mod world;

pub use control::{Control, Served, list};
pub use error::{FoundPython, Place, SandboxError};
pub use options::{Pace, Progress, ServeOptions, StartOptions};
pub use proxy::call_log::CallRecord;
pub use record::{Record, Status};
pub use rules::surprises::{Refusal, surprise_refusals};
pub use serve::serve;
pub use wire::recorded::RecordedRequest;
pub use world::aurora::listing::{AuroraCluster, AuroraStatus};
pub use world::postgres;
pub use world::regions::{Manner, RegionOrder, RegionOrders, RegionState};
pub use world::replication::{Lag, LagOrder, LagOrders, Pending, ReplicationState};
