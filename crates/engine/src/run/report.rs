//! What came of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::critical_path::Leg;
use crate::failure::Failure;
use crate::plan::Action;
use crate::state::{Address, StateError};

/// How one resource came out.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// As planned.
    Done,
    /// It failed.
    Failed(Failure),
    /// Not tried, because of the failure of another one.
    Skipped(Address),
    /// Not tried, or given up in the middle, because the run was interrupted.
    Interrupted,
}

/// How a run came out. There is no `?` on it: whatever happened, the state is written before it exists.
#[derive(Debug)]
#[must_use = "a run's report says what failed"]
pub struct Report {
    /// Every resource that had something to be done, in the plan's order.
    pub outcomes: Vec<(Address, Action, Outcome)>,
    /// Whether a signal ended it early.
    pub interrupted: bool,
    /// Replacements of which only the first half was done: deleted, and not made again.
    pub only_deleted: BTreeSet<Address>,
    /// Interrupted while their calls, or what these set going, were under way: AWS may go on with them.
    pub under_way: BTreeSet<Address>,
    /// What kept the state from being written, if anything.
    pub state: Option<StateError>,
    /// How long it took.
    pub took: Duration,
    /// How long each step took, for those that were done.
    pub durations: BTreeMap<Address, Duration>,
    /// Which resources made the duration.
    pub critical_path: Vec<Leg>,
    /// What was to be deleted and is kept, since something that stays needs it.
    pub kept: Vec<Address>,
}

impl Report {
    /// The failures that no other failure caused.
    pub fn failures(&self) -> impl Iterator<Item = (&Address, Action, &Failure)> {
        self.outcomes.iter().filter_map(|(address, action, outcome)| match outcome {
            Outcome::Failed(failure) => Some((address, *action, failure)),
            _ => None,
        })
    }

    /// Whether everything that was planned was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.interrupted
            && self.state.is_none()
            && self.outcomes.iter().all(|(_, _, outcome)| *outcome == Outcome::Done)
    }
}
