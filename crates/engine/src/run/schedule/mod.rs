//! The schedule: which step is next, and everything that is known of each step. The longest remaining path goes first, under a
//! cap per Region. It reads the clock; other than that it is synchronous and has no side effects.

mod step;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use petgraph::Direction;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef as _;
use tokio::task;
use tokio::time::Instant;

use crate::driver::Region;
use crate::failure::Failure;
use crate::reference::Need;
use crate::state::Address;
use step::{BlockedOn, Progress};

pub use step::{Outcome, Step, StepKind};

/// Identifies a step of a run.
pub type StepId = NodeIndex;

/// The result for a step that cannot continue yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deferral {
    /// It is blocked until its dependencies have come further.
    Deferred,
    /// It is queued again: while it was at work, the last of its dependencies became ready.
    Requeued,
    /// All of its dependencies were ready when it started, so there is nothing to wait for.
    NothingToWaitFor,
    /// This dependency has failed or was skipped, so the step can never continue.
    DependencyFailed(StepId),
}

/// The steps of one resource.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steps {
    /// The step that deletes it.
    pub delete: Option<StepId>,
    /// The step that applies what is desired.
    pub apply: Option<StepId>,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    need: Need,
    met: bool,
}

/// The steps of a run and how far each has come.
#[derive(Debug)]
pub struct Schedule {
    steps: DiGraph<Step, Edge>,
    by_address: HashMap<Address, Steps>,
    regions: BTreeMap<Region, usize>,
    queues: Vec<BinaryHeap<(Duration, Reverse<StepId>)>>,
    running: Vec<usize>,
    cap: usize,
    in_flight: usize,
    is_stopped: bool,
}

/// Building a schedule.
impl Schedule {
    /// An empty schedule in which at most `cap` steps per Region are at work at the same time.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self {
            steps: DiGraph::new(),
            by_address: HashMap::new(),
            regions: BTreeMap::new(),
            queues: Vec::new(),
            running: Vec::new(),
            cap: cap.max(1),
            in_flight: 0,
            is_stopped: false,
        }
    }

    /// Adds a step.
    pub fn add(&mut self, address: Address, kind: StepKind, region: &Region, expected: Duration) -> StepId {
        let next = self.regions.len();
        let region = *self.regions.entry(region.clone()).or_insert(next);
        if region == self.queues.len() {
            self.queues.push(BinaryHeap::new());
            self.running.push(0);
        }
        let id = self.steps.add_node(Step::new(address.clone(), kind, region, expected));
        let steps = self.by_address.entry(address).or_default();
        match kind {
            StepKind::Delete => steps.delete = Some(id),
            StepKind::Apply => steps.apply = Some(id),
        }
        id
    }

    /// Makes `step` wait until `on` has come as far as `need`.
    pub fn add_dependency(&mut self, step: StepId, on: StepId, need: Need) {
        self.steps.add_edge(on, step, Edge { need, met: false });
        self.steps[step].unmet += 1;
    }

    /// Whether `step` waits for `on`, directly or through other steps.
    #[must_use]
    pub fn depends_on(&self, step: StepId, on: StepId) -> bool {
        petgraph::algo::has_path_connecting(&self.steps, on, step, None)
    }

    /// Computes the order and queues every step that can start.
    ///
    /// # Errors
    /// The address of a step that waits for itself through others: a defect of the code that added the dependencies.
    pub fn begin(&mut self) -> Result<(), Address> {
        let order =
            petgraph::algo::toposort(&self.steps, None).map_err(|cycle| self.steps[cycle.node_id()].address.clone())?;
        for id in order.into_iter().rev() {
            let after = self.steps.neighbors(id).map(|next| self.steps[next].remaining).max().unwrap_or_default();
            let step = &mut self.steps[id];
            step.remaining = step.expected + after;
        }
        for id in self.steps.node_indices() {
            if self.steps[id].unmet == 0 {
                self.queue(id);
            }
        }
        Ok(())
    }
}

/// Advancing it: each call reports what has happened to a step.
impl Schedule {
    /// The next step to start, if there is one and the cap allows it.
    pub fn next(&mut self) -> Option<StepId> {
        if self.is_stopped {
            return None;
        }
        for region in 0..self.queues.len() {
            while self.running[region] < self.cap {
                let Some((_, Reverse(id))) = self.queues[region].pop() else { break };
                if self.steps[id].progress == Progress::Queued {
                    self.start(id);
                    return Some(id);
                }
            }
        }
        None
    }

    fn start(&mut self, id: StepId) {
        let all_ready = self.dependencies_are_ready(id);
        let step = &mut self.steps[id];
        step.progress = Progress::Running;
        step.is_outdated = false;
        step.had_all_ready |= all_ready;
        step.started.get_or_insert_with(Instant::now);
        self.running[step.region] += 1;
        self.in_flight += 1;
    }

    /// Remembers which task works on a step.
    pub fn set_task(&mut self, id: StepId, task: task::Id) {
        self.steps[id].task = Some(task);
    }

    /// The step waits for AWS, and gives up its slot under the cap.
    pub fn release_slot(&mut self, id: StepId) {
        let step = &mut self.steps[id];
        if step.progress == Progress::Running {
            step.progress = Progress::Waiting;
            self.running[step.region] -= 1;
        }
    }

    /// The resource of a step has durably come to `level`: dependents that need no more can start.
    pub fn mark_reached(&mut self, id: StepId, level: Need) {
        self.steps[id].milestones.mark(level);
        if self.steps[id].reached >= Some(level) {
            return;
        }
        self.steps[id].reached = Some(level);
        for (edge, dependent) in self.edges_to_dependents(id) {
            let edge = &mut self.steps[edge];
            if edge.met || edge.need > level {
                continue;
            }
            edge.met = true;
            let step = &mut self.steps[dependent];
            step.unmet -= 1;
            if step.unmet == 0 && matches!(step.progress, Progress::Blocked(_)) {
                self.queue(dependent);
            }
        }
    }

    /// What a step had created no longer exists, and is created again. Every dependent that has made use of it starts again once it
    /// is back.
    pub fn invalidate(&mut self, id: StepId) {
        if self.steps[id].reached.take().is_none() {
            return;
        }
        for (edge, dependent) in self.edges_to_dependents(id) {
            let edge = &mut self.steps[edge];
            if !edge.met {
                continue;
            }
            edge.met = false;
            let step = &mut self.steps[dependent];
            step.unmet += 1;
            match step.progress {
                Progress::Queued => step.progress = Progress::Blocked(BlockedOn::Dependencies),
                Progress::Running | Progress::Waiting => step.is_outdated = true,
                // Its own dependents keep what they have: only its properties are applied again.
                Progress::Done => {
                    step.is_outdated = true;
                    step.progress = Progress::Blocked(BlockedOn::Dependencies);
                }
                Progress::Blocked(_) | Progress::Failed | Progress::Skipped => {}
            }
        }
    }

    /// The step has just ended, and is outdated: it starts again as soon as what was invalidated is back.
    pub fn restart_once_restored(&mut self, id: StepId) {
        self.leave_flight(id);
        let step = &mut self.steps[id];
        step.was_put_back = true;
        step.is_outdated = false;
        step.progress = Progress::Blocked(BlockedOn::Dependencies);
        if step.unmet == 0 {
            self.queue(id);
        }
    }

    /// AWS has refused the step because something it refers to is not available yet. From now on it needs all of its dependencies
    /// to be ready, also those whose existence was enough before.
    pub fn defer_until_ready(&mut self, id: StepId) -> Deferral {
        if let Some(failed) = self.failed_dependency(id) {
            return Deferral::DependencyFailed(failed);
        }
        let edges: Vec<_> =
            self.steps.edges_directed(id, Direction::Incoming).map(|edge| (edge.id(), edge.source())).collect();
        let mut unmet = 0;
        for (edge, dependency) in edges {
            let is_ready = self.steps[dependency].reached == Some(Need::Ready);
            let edge = &mut self.steps[edge];
            edge.need = Need::Ready;
            if !is_ready {
                edge.met = false;
                unmet += 1;
            }
        }
        if unmet == 0 && self.steps[id].had_all_ready {
            return Deferral::NothingToWaitFor;
        }
        self.steps[id].was_put_back = true;
        if unmet == 0 {
            self.requeue(id);
            return Deferral::Requeued;
        }
        self.leave_flight(id);
        let step = &mut self.steps[id];
        step.unmet = unmet;
        step.progress = Progress::Blocked(BlockedOn::Dependencies);
        Deferral::Deferred
    }

    /// A dependency exists, and does not have an output yet that the step refers to: it is blocked until
    /// [`Schedule::resume_dependents`].
    pub fn defer_until_output(&mut self, id: StepId) -> Deferral {
        if let Some(failed) = self.failed_dependency(id) {
            return Deferral::DependencyFailed(failed);
        }
        if self.dependencies_are_ready(id) {
            return Deferral::NothingToWaitFor;
        }
        self.leave_flight(id);
        self.steps[id].progress = Progress::Blocked(BlockedOn::Output);
        Deferral::Deferred
    }

    /// Something was recorded of a step's resource: every dependent that waits for an output may start.
    pub fn resume_dependents(&mut self, id: StepId) {
        let dependents: Vec<StepId> = self.steps.neighbors(id).collect();
        for dependent in dependents {
            if self.steps[dependent].progress == Progress::Blocked(BlockedOn::Output) {
                self.requeue(dependent);
            }
        }
    }

    /// The step has ended well. Returns whether that is news: it may have been done before, and once more because a dependency was
    /// created again.
    pub fn finish(&mut self, id: StepId, took: Duration) -> bool {
        *self.steps[id].took.get_or_insert_default() += took;
        self.end(id, Progress::Done, Outcome::Done) != Some(Outcome::Done)
    }

    /// The step was given up because the run was interrupted.
    pub fn interrupt(&mut self, id: StepId) {
        self.end(id, Progress::Done, Outcome::Interrupted);
    }

    /// The step has failed. Returns the steps that are skipped because of it.
    pub fn fail(&mut self, id: StepId, failure: Failure) -> Vec<StepId> {
        let because = self.steps[id].address.clone();
        self.end(id, Progress::Failed, Outcome::Failed(failure));
        self.skip_dependents(id, &because)
    }

    /// The step cannot continue, because this dependency has failed or was skipped. Returns the address of the failure behind it,
    /// and the steps that are skipped, this one among them.
    pub fn give_up(&mut self, id: StepId, dependency: StepId) -> (Address, Vec<StepId>) {
        let because = match &self.steps[dependency] {
            Step { outcome: Some(Outcome::Skipped(root)), .. } => root.clone(),
            step => step.address.clone(),
        };
        self.end(id, Progress::Skipped, Outcome::Skipped(because.clone()));
        let mut skipped = self.skip_dependents(id, &because);
        skipped.insert(0, id);
        (because, skipped)
    }

    /// Starts nothing more.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    fn queue(&mut self, id: StepId) {
        let step = &mut self.steps[id];
        step.progress = Progress::Queued;
        self.queues[step.region].push((step.remaining, Reverse(id)));
    }

    fn requeue(&mut self, id: StepId) {
        self.leave_flight(id);
        self.queue(id);
    }

    fn leave_flight(&mut self, id: StepId) {
        let step = &mut self.steps[id];
        step.task = None;
        match step.progress {
            Progress::Running => {
                self.running[step.region] -= 1;
                self.in_flight -= 1;
            }
            Progress::Waiting => self.in_flight -= 1,
            _ => {}
        }
    }

    /// Returns the outcome that it had before.
    fn end(&mut self, id: StepId, progress: Progress, outcome: Outcome) -> Option<Outcome> {
        self.leave_flight(id);
        let step = &mut self.steps[id];
        step.progress = progress;
        step.outcome.replace(outcome)
    }

    /// Skips every step that waits for this one, directly or through others, and has not started.
    fn skip_dependents(&mut self, id: StepId, because: &Address) -> Vec<StepId> {
        let mut skipped = Vec::new();
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            let dependents: Vec<StepId> = self.steps.neighbors(at).collect();
            for id in dependents {
                let step = &mut self.steps[id];
                match step.progress {
                    // It had ended well before its dependency was invalidated.
                    Progress::Blocked(_) if step.is_outdated => step.progress = Progress::Done,
                    Progress::Blocked(_) | Progress::Queued => {
                        step.progress = Progress::Skipped;
                        step.outcome = Some(Outcome::Skipped(because.clone()));
                        skipped.push(id);
                        stack.push(id);
                    }
                    // A step for which existence was enough may have started already: it continues.
                    _ => {}
                }
            }
        }
        skipped.sort_unstable();
        skipped
    }

    fn edges_to_dependents(&self, id: StepId) -> Vec<(EdgeIndex, StepId)> {
        self.steps.edges_directed(id, Direction::Outgoing).map(|edge| (edge.id(), edge.target())).collect()
    }

    fn failed_dependency(&self, id: StepId) -> Option<StepId> {
        self.steps.neighbors_directed(id, Direction::Incoming).find(|dependency| self.has_failed(*dependency))
    }
}

/// Reading it.
impl Schedule {
    /// How many steps are in flight, at work or waiting for AWS.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// All steps.
    pub fn ids(&self) -> impl Iterator<Item = StepId> + use<> {
        self.steps.node_indices()
    }

    /// The steps of a resource.
    #[must_use]
    pub fn steps_of(&self, address: &Address) -> Steps {
        self.by_address.get(address).copied().unwrap_or_default()
    }

    /// The step that a task works on at the moment.
    #[must_use]
    pub fn step_of_task(&self, task: task::Id) -> Option<StepId> {
        self.ids().find(|id| self.steps[*id].task == Some(task))
    }

    /// What is known of a step.
    #[must_use]
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id]
    }

    /// Whether a step has failed or was skipped.
    #[must_use]
    pub fn has_failed(&self, id: StepId) -> bool {
        matches!(self.steps[id].progress, Progress::Failed | Progress::Skipped)
    }

    /// The steps that a step waits for, and how far each must have come.
    pub fn dependencies(&self, id: StepId) -> impl Iterator<Item = (StepId, Need)> + '_ {
        self.steps.edges_directed(id, Direction::Incoming).map(|edge| (edge.source(), edge.weight().need))
    }

    /// Whether everything that a step refers to is ready. If AWS then says "not ready yet", that can only be about visibility.
    #[must_use]
    pub fn dependencies_are_ready(&self, id: StepId) -> bool {
        self.dependencies(id).all(|(dependency, _)| self.steps[dependency].reached == Some(Need::Ready))
    }

    /// Whether some dependent needs the step's resource only to exist, and may use its id before it is ready.
    #[must_use]
    pub fn is_id_used_early(&self, id: StepId) -> bool {
        self.steps.edges_directed(id, Direction::Outgoing).any(|edge| edge.weight().need == Need::Exists)
    }
}
