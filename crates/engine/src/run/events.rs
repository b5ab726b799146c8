//! What a run tells while it runs. The command line draws it, `--json` prints it line by line.

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
    /// A resource's turn has come.
    Started {
        /// Which one.
        address: Address,
        /// Where.
        region: String,
        /// What will be done.
        action: Action,
        /// How long that typically takes.
        #[serde(rename = "expected_seconds", serialize_with = "seconds::rounded")]
        expected: Duration,
    },
    /// Its calls are done for now, and it waits.
    Waiting {
        /// Which one.
        address: Address,
        /// For what.
        on: String,
    },
    /// A call was refused or lost, and is tried again.
    Retrying {
        /// Which one.
        address: Address,
        /// Why.
        failure: Failure,
        /// After which delay.
        #[serde(rename = "delay_seconds", serialize_with = "seconds::rounded")]
        delay: Duration,
    },
    /// Something worth knowing that is no failure.
    Note {
        /// Which one.
        address: Address,
        /// What.
        message: String,
    },
    /// It came to its end.
    Done {
        /// Which one.
        address: Address,
        /// What was done.
        action: Action,
        /// The id by which AWS knows it.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds::rounded")]
        took: Duration,
    },
    /// It failed.
    Failed {
        /// Which one.
        address: Address,
        /// What was tried.
        action: Action,
        /// Why.
        failure: Failure,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds::rounded")]
        took: Duration,
    },
    /// It was not tried, because of another one.
    Skipped {
        /// Which one.
        address: Address,
        /// Whose failure is the cause.
        because: Address,
    },
    /// Something about the whole run, e.g. that it waits for credentials.
    Notice {
        /// What.
        message: String,
    },
    /// A signal came.
    Interrupted {
        /// Whether it was the second: nothing more is waited for.
        at_once: bool,
        /// How many steps are in flight.
        in_flight: usize,
    },
}

/// Where events go.
pub trait Events: Send + Sync {
    /// Takes one event. Must not block.
    fn emit(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Events for F {
    fn emit(&self, event: Event) {
        self(event);
    }
}
