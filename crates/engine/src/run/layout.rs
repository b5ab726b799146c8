//! The layout of a run: which steps a plan takes, and which of them wait for which others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::schedule::{Schedule, StepId, StepKind};
use crate::driver::{Driver, DriverRegistry, Region};
use crate::graph::Graph;
use crate::plan::{Action, Item, Plan};
use crate::reference::{self, Need};
use crate::state::{Address, Entry};

/// The inputs of a layout.
pub(super) struct Layout<'a> {
    pub plan: &'a Plan,
    pub graph: &'a Graph,
    pub drivers: &'a dyn DriverRegistry,
    pub entries: &'a BTreeMap<Address, Entry>,
}

impl Layout<'_> {
    /// Turns the plan into steps. What is not planned to change needs no step, and nothing waits for it.
    pub(super) fn schedule(&self, cap: usize) -> Schedule {
        let mut schedule = Schedule::new(cap);
        for item in &self.plan.items {
            let region = Region::from(item.region.as_str());
            let driver = self
                .graph
                .get(&item.address)
                .map(|node| node.driver.clone())
                .or_else(|| self.drivers.driver(item.address.kind()));
            for kind in steps_for(item.action) {
                let takes = driver.as_ref().map_or(item.expected, |driver| expected(*kind, item, &**driver));
                schedule.add(item.address.clone(), *kind, &region, takes);
            }
        }
        self.order(&mut schedule);
        schedule
    }

    fn order(&self, schedule: &mut Schedule) {
        let deleted: HashMap<&str, StepId> = self
            .plan
            .items
            .iter()
            .filter_map(|item| Some((item.live.as_ref()?.arn.as_deref()?, schedule.steps_of(&item.address).delete?)))
            .collect();
        let mut releases = Vec::new();
        for item in &self.plan.items {
            let steps = schedule.steps_of(&item.address);
            if let (Some(apply), Some(delete)) = (steps.apply, steps.delete) {
                schedule.add_dependency(apply, delete, Need::Ready);
            }
            if let Some(apply) = steps.apply {
                self.order_creation(schedule, item, apply);
            }
            // Which of the two AWS deletes first follows from their roles at the moment.
            if let Some(delete) = steps.delete {
                for arn in item.live.iter().flat_map(|live| &live.goes_after) {
                    if let Some(other) = deleted.get(arn.as_str()).filter(|other| **other != delete) {
                        schedule.add_dependency(delete, *other, Need::Ready);
                    }
                }
            }
            // A resource that was created with a reference to something that is deleted has to be deleted, or to give up that
            // reference, first.
            let depends_on = self.entries.get(&item.address).map_or(&item.depends_on, |entry| &entry.depends_on);
            for on in depends_on {
                let target = schedule.steps_of(on);
                let Some(deletion) = target.delete else { continue };
                if let Some(delete) = steps.delete {
                    schedule.add_dependency(deletion, delete, Need::Ready);
                } else if let Some(apply) = steps.apply
                    && target.apply.is_none()
                {
                    releases.push((deletion, apply));
                }
            }
        }
        for (deletion, apply) in releases {
            // Where that would make a cycle, the deletion is tried, and AWS's refusal tells which of the two comes first.
            if !schedule.depends_on(apply, deletion) {
                schedule.add_dependency(deletion, apply, Need::Ready);
            }
        }
    }

    /// Makes the creation or the update of a resource wait for everything that it refers to.
    fn order_creation(&self, schedule: &mut Schedule, item: &Item, apply: StepId) {
        let new_targets = self.new_targets(item);
        for (on, need) in self.graph.needs(&item.address) {
            let need = match need {
                Need::Outlives => continue,
                Need::First => Need::Ready,
                _ if new_targets.contains(&on) => Need::Ready,
                need => need,
            };
            if let Some(on) = schedule.steps_of(&on).apply {
                schedule.add_dependency(apply, on, need);
            }
        }
    }

    /// What an update points a working resource at. The resource continues to work with its old targets until the new ones are
    /// ready, even if less would be enough for a resource that is being created: otherwise, a route would lead nowhere while its
    /// next gateway is being created.
    fn new_targets(&self, item: &Item) -> BTreeSet<Address> {
        let Some(node) = self.graph.get(&item.address).filter(|_| item.action == Action::Update) else {
            return BTreeSet::new();
        };
        let changed = item.changes.iter().filter_map(|change| node.desired.get(&change.property));
        changed.flat_map(reference::references_in).map(|found| found.of).collect()
    }
}

/// The steps that an action takes, in their order.
fn steps_for(action: Action) -> &'static [StepKind] {
    match action {
        Action::Delete => &[StepKind::Delete],
        Action::Replace => &[StepKind::Delete, StepKind::Apply],
        // A resource that could not be read has a step, too: it fails, and its dependents are skipped.
        Action::Create | Action::Update | Action::Record | Action::Unknown => &[StepKind::Apply],
        Action::None | Action::Refused => &[],
    }
}

/// The name of a step: a replacement is a deletion and a creation.
pub(super) fn action_of(kind: StepKind, item: &Item) -> Action {
    match (kind, item.action) {
        (StepKind::Delete, _) => Action::Delete,
        (StepKind::Apply, Action::Replace) => Action::Create,
        (StepKind::Apply, action) => action,
    }
}

/// How long a step typically takes: for a replacement, the deletion or the creation alone.
pub(super) fn expected(kind: StepKind, item: &Item, driver: &dyn Driver) -> Duration {
    let delete = driver.expected(&item.address).delete;
    match (kind, item.action) {
        (StepKind::Delete, _) => delete,
        (StepKind::Apply, Action::Replace) => item.expected.saturating_sub(delete),
        (StepKind::Apply, _) => item.expected,
    }
}
