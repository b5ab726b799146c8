//! How a run came out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::critical_path::PathSegment;
use super::schedule::{Outcome, Schedule, StepId};
use crate::failure::Failure;
use crate::plan::{Action, Plan};
use crate::state::{Address, StateError};

/// How a run came out. A run does not return a `Result`: the state is written before its report exists, in every case.
#[derive(Debug)]
#[must_use = "a run's report says what failed"]
pub struct Report {
    /// Every resource for which something was to be done, in the order of the plan.
    pub outcomes: Vec<(Address, Action, Outcome)>,
    /// Whether a signal ended the run early.
    pub interrupted: bool,
    /// Replacements of which only the first half was done: the resource was deleted, and was not created again.
    pub only_deleted: BTreeSet<Address>,
    /// Resources that were interrupted while their calls, or what these had started, were in progress: AWS may continue with
    /// them.
    pub under_way: BTreeSet<Address>,
    /// Why the state could not be written, if it could not.
    pub state: Option<StateError>,
    /// How long the run took.
    pub took: Duration,
    /// How long each resource took, for those that were done.
    pub durations: BTreeMap<Address, Duration>,
    /// The chain of resources that determined how long the run took.
    pub critical_path: Vec<PathSegment>,
    /// Resources that were to be deleted and are kept, because something that stays needs them.
    pub kept: Vec<Address>,
}

impl Report {
    /// What the schedule knows of the plan's resources; everything else is left empty.
    pub(super) fn of_schedule(plan: &Plan, schedule: &Schedule) -> Self {
        let mut report = Self {
            outcomes: Vec::new(),
            interrupted: false,
            only_deleted: BTreeSet::new(),
            under_way: BTreeSet::new(),
            state: None,
            took: Duration::ZERO,
            durations: BTreeMap::new(),
            critical_path: Vec::new(),
            kept: Vec::new(),
        };
        let outcome = |step: StepId| schedule.step(step).outcome.as_ref().unwrap_or(&Outcome::Interrupted);
        for item in &plan.items {
            let steps = schedule.steps_of(&item.address);
            let both: Vec<StepId> = [steps.delete, steps.apply].into_iter().flatten().collect();
            if both.is_empty() {
                continue;
            }
            let worst = both.iter().map(|step| outcome(*step)).find(|outcome| **outcome != Outcome::Done);
            report.outcomes.push((item.address.clone(), item.action, worst.cloned().unwrap_or(Outcome::Done)));
            if let (Some(delete), Some(apply)) = (steps.delete, steps.apply)
                && *outcome(delete) == Outcome::Done
                && *outcome(apply) != Outcome::Done
            {
                report.only_deleted.insert(item.address.clone());
            }
            if both.iter().any(|step| schedule.step(*step).started.is_some() && *outcome(*step) == Outcome::Interrupted)
            {
                report.under_way.insert(item.address.clone());
            }
            if let Some(took) =
                both.iter().filter_map(|step| schedule.step(*step).took).reduce(|one, other| one + other)
            {
                report.durations.insert(item.address.clone(), took);
            }
        }
        report
    }

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
