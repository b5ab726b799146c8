//! The events of a run. The command line draws them; `--json` prints them line by line.

use std::time::Duration;

use serde::Serialize;

use crate::failure::Failure;
use crate::plan::Action;
use crate::seconds;
use crate::state::Address;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Work on a resource has begun.
    Started {
        /// The resource.
        address: Address,
        /// The Region that its calls go to.
        region: String,
        /// The action.
        action: Action,
        /// How long that typically takes.
        #[serde(rename = "expected_seconds", serialize_with = "seconds::rounded")]
        expected: Duration,
    },
    /// The calls for a resource are done for now, and it waits.
    Waiting {
        /// The resource.
        address: Address,
        /// The awaited state or event.
        on: String,
    },
    /// A call was refused or lost, and is repeated.
    Retrying {
        /// The resource.
        address: Address,
        /// Why the call failed.
        failure: Failure,
        /// After how long it is repeated.
        #[serde(rename = "delay_seconds", serialize_with = "seconds::rounded")]
        delay: Duration,
    },
    /// Something worth knowing that is not a failure.
    Note {
        /// The resource.
        address: Address,
        /// The note.
        message: String,
    },
    /// Work on a resource has ended well.
    Done {
        /// The resource.
        address: Address,
        /// The action.
        action: Action,
        /// The id by which AWS knows it.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Whether it was not created but restored: it existed, scheduled for deletion.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        restored: bool,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds::rounded")]
        took: Duration,
    },
    /// Work on a resource has failed.
    Failed {
        /// The resource.
        address: Address,
        /// The action that was tried.
        action: Action,
        /// Why it failed.
        failure: Failure,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds::rounded")]
        took: Duration,
    },
    /// A resource is not tried, because another one failed.
    Skipped {
        /// The resource.
        address: Address,
        /// The resource that failed.
        because: Address,
    },
    /// Something about the whole run, e.g. that it waits for credentials.
    Notice {
        /// The notice.
        message: String,
    },
    /// A signal came.
    Interrupted {
        /// Whether it was the second signal, after which nothing more is waited for.
        at_once: bool,
        /// How many steps are in flight.
        in_flight: usize,
    },
}

/// Where events go.
pub trait EventSink: Send + Sync {
    /// Takes one event. Must not block.
    fn emit(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> EventSink for F {
    fn emit(&self, event: Event) {
        self(event);
    }
}
