//! A local AWS to practise on: no account, no credentials, nothing installed but Python.
//!
//! Two processes make it. *MiniStack*, a Python emulator installed once into the user's cache folder, keeps the
//! resources. Before it stands a *proxy* of drctl's own, to which the SDK's endpoint points. The emulator answers
//! `available` at once, never lags and never loses an answer; whatever AWS does differently is added by the proxy's
//! rules:
//!
//! | rule | what it adds |
//! |---|---|
//! | `rules::faults` | what goes wrong with any call, as asked for: lost answers, throttling, stale reads, a Region gone |
//! | `rules::surprises` | AWS's own refusals and turns, by the row of the table of pitfalls |
//! | `rules::tokens` | the same client token gives the same answer |
//! | `rules::gaps` | what MiniStack leaves out of its answers (filters, flow log tags, peering options, …) |
//! | `rules::pace` | AWS's durations and the states in between, in the [`Pace::Aws`] pace |
//!
//! Both processes listen on loopback only and live apart from the drctl that started them, so that killing drctl leaves
//! "AWS" as it was. MiniStack follows the proxy into its end whatever ends it, `kill -9` included.
//!
//! [`serve`] is the foreground process; [`Control`] starts, finds, resets and stops it from another one.

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

pub use control::{Control, Served, list};
pub use error::{FoundPython, Place, SandboxError};
pub use options::{Pace, Progress, ServeOptions, StartOptions};
pub use proxy::call_log::CallRecord;
pub use record::{Record, Status};
pub use rules::surprises::{Refusal, surprise_refusals};
pub use serve::serve;
pub use wire::recorded::RecordedRequest;
