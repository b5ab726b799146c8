//! Which step is next: longest remaining path first, under a cap per Region. Synchronous and without side effects.

use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

use crate::driver::Region;
use crate::reference::Need;
use crate::state::Address;

/// A step of a run.
pub type StepId = NodeIndex;

/// Which half of a resource's work a step is. A replacement takes both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Half {
    /// It is deleted.
    Remove,
    /// It is made, or brought to what is desired.
    Ensure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Blocked,
    Queued,
    Running,
    /// In flight, without holding a place under the cap.
    Resting,
    Done,
    Failed,
    Skipped,
}

#[derive(Debug)]
struct Step {
    address: Address,
    half: Half,
    region: usize,
    expected: Duration,
    /// The typical duration of the longest chain that begins with this step.
    remaining: Duration,
    unmet: usize,
    reached: Option<Need>,
    progress: Progress,
    /// Whether something that it was started with has been taken back since.
    stale: bool,
}

/// What becomes of a step that was refused since something it refers to is not available yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Park {
    /// It waits until everything it refers to is ready.
    Waits,
    /// Everything is ready already: nothing is left to wait for.
    Ready,
    /// This step will never be ready.
    Lost(StepId),
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
    regions: BTreeMap<Region, usize>,
    queues: Vec<BinaryHeap<(Duration, std::cmp::Reverse<StepId>)>>,
    running: Vec<usize>,
    cap: usize,
    in_flight: usize,
    stopped: bool,
}

impl Schedule {
    /// An empty schedule with at most `cap` steps at work per Region.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self {
            steps: DiGraph::new(),
            regions: BTreeMap::new(),
            queues: Vec::new(),
            running: Vec::new(),
            cap: cap.max(1),
            in_flight: 0,
            stopped: false,
        }
    }

    /// Adds a step.
    pub fn add(&mut self, address: Address, half: Half, region: &Region, expected: Duration) -> StepId {
        let next = self.regions.len();
        let region = *self.regions.entry(region.clone()).or_insert(next);
        if region == self.queues.len() {
            self.queues.push(BinaryHeap::new());
            self.running.push(0);
        }
        self.steps.add_node(Step {
            address,
            half,
            region,
            expected,
            remaining: Duration::ZERO,
            unmet: 0,
            reached: None,
            progress: Progress::Blocked,
            stale: false,
        })
    }

    /// Makes `step` wait for `on`.
    pub fn wait_for(&mut self, step: StepId, on: StepId, need: Need) {
        self.steps.add_edge(on, step, Edge { need, met: false });
        self.steps[step].unmet += 1;
    }

    /// Whether `step` waits for `on`, be it by way of others.
    #[must_use]
    pub fn waits_for(&self, step: StepId, on: StepId) -> bool {
        petgraph::algo::has_path_connecting(&self.steps, on, step, None)
    }

    /// Computes the order and queues what can start.
    ///
    /// # Errors
    /// The addresses of two steps that wait for each other: a defect of whoever added them.
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

    fn queue(&mut self, id: StepId) {
        let step = &mut self.steps[id];
        step.progress = Progress::Queued;
        self.queues[step.region].push((step.remaining, std::cmp::Reverse(id)));
    }

    /// The next step to start, if one may.
    pub fn next(&mut self) -> Option<StepId> {
        if self.stopped {
            return None;
        }
        for (region, queue) in self.queues.iter_mut().enumerate() {
            while self.running[region] < self.cap {
                let Some((_, std::cmp::Reverse(id))) = queue.pop() else { break };
                let step = &mut self.steps[id];
                if step.progress == Progress::Queued {
                    step.progress = Progress::Running;
                    step.stale = false;
                    self.running[region] += 1;
                    self.in_flight += 1;
                    return Some(id);
                }
            }
        }
        None
    }

    /// The step waits for AWS and needs no place under the cap.
    pub fn rest(&mut self, id: StepId) {
        let step = &mut self.steps[id];
        if step.progress == Progress::Running {
            step.progress = Progress::Resting;
            self.running[step.region] -= 1;
        }
    }

    /// The step's resource has durably come to `level`.
    pub fn reached(&mut self, id: StepId, level: Need) {
        if self.steps[id].reached >= Some(level) {
            return;
        }
        self.steps[id].reached = Some(level);
        let edges: Vec<_> = self.steps.edges_directed(id, Direction::Outgoing).map(|e| (e.id(), e.target())).collect();
        for (edge, target) in edges {
            let weight = &mut self.steps[edge];
            if weight.met || weight.need > level {
                continue;
            }
            weight.met = true;
            let target_step = &mut self.steps[target];
            target_step.unmet -= 1;
            if target_step.unmet == 0 && target_step.progress == Progress::Blocked {
                self.queue(target);
            }
        }
    }

    /// What the step had come to is no more, and is being made anew: who was content with it has to begin anew, too, once it
    /// is there.
    pub fn recall(&mut self, id: StepId) {
        if self.steps[id].reached.take().is_none() {
            return;
        }
        let edges: Vec<_> = self.steps.edges_directed(id, Direction::Outgoing).map(|e| (e.id(), e.target())).collect();
        for (edge, target) in edges {
            let weight = &mut self.steps[edge];
            if !weight.met {
                continue;
            }
            weight.met = false;
            let step = &mut self.steps[target];
            step.unmet += 1;
            match step.progress {
                Progress::Queued => step.progress = Progress::Blocked,
                Progress::Running | Progress::Resting => step.stale = true,
                // What depends on it stands all the same: it is brought to what is desired once more.
                Progress::Done => {
                    step.stale = true;
                    step.progress = Progress::Blocked;
                }
                Progress::Blocked | Progress::Failed | Progress::Skipped => {}
            }
        }
    }

    /// Whether something that the step was started with has been taken back since.
    #[must_use]
    pub fn is_stale(&self, id: StepId) -> bool {
        self.steps[id].stale
    }

    /// The step, which has just ended, begins anew when what was taken back is there again.
    pub fn anew(&mut self, id: StepId) {
        self.leave(id);
        self.steps[id].stale = false;
        self.steps[id].progress = Progress::Blocked;
        if self.steps[id].unmet == 0 {
            self.queue(id);
        }
    }

    /// The step was refused since something it refers to is not available yet: whatever it was content to see existing
    /// must from now on be ready.
    pub fn park(&mut self, id: StepId) -> Park {
        let edges: Vec<_> = self.steps.edges_directed(id, Direction::Incoming).map(|e| (e.id(), e.source())).collect();
        let lost = edges
            .iter()
            .map(|(_, source)| *source)
            .find(|source| matches!(self.steps[*source].progress, Progress::Failed | Progress::Skipped));
        if let Some(source) = lost {
            return Park::Lost(source);
        }
        let mut waits = 0;
        for (edge, source) in edges {
            let ready = self.steps[source].reached == Some(Need::Ready);
            let weight = &mut self.steps[edge];
            weight.need = Need::Ready;
            if !ready {
                weight.met = false;
                waits += 1;
            }
        }
        if waits == 0 {
            return Park::Ready;
        }
        self.leave(id);
        let step = &mut self.steps[id];
        step.unmet = waits;
        step.progress = Progress::Blocked;
        Park::Waits
    }

    /// What the step refers to exists, and does not show yet what is referred to: it is taken out, until [`Schedule::again`].
    pub fn hold(&mut self, id: StepId) -> Park {
        let sources: Vec<_> = self.steps.neighbors_directed(id, Direction::Incoming).collect();
        let is_lost = |source: &StepId| matches!(self.steps[*source].progress, Progress::Failed | Progress::Skipped);
        if let Some(source) = sources.iter().copied().find(is_lost) {
            return Park::Lost(source);
        }
        if self.is_settled(id) {
            return Park::Ready;
        }
        self.leave(id);
        self.steps[id].progress = Progress::Blocked;
        Park::Waits
    }

    /// What a step waits for, and how far each must have come.
    pub fn sources(&self, id: StepId) -> impl Iterator<Item = (StepId, Need)> + '_ {
        self.steps.edges_directed(id, Direction::Incoming).map(|edge| (edge.source(), edge.weight().need))
    }

    /// Whether a step waits for another, as long as it waits for anything.
    #[must_use]
    pub fn depends(&self, id: StepId, on: StepId) -> bool {
        self.steps.contains_edge(on, id)
    }

    /// Starts the step once more: what it refers to became ready while its refusal was under way.
    pub fn again(&mut self, id: StepId) {
        self.leave(id);
        self.queue(id);
    }

    /// The step has ended well.
    pub fn done(&mut self, id: StepId) {
        self.leave(id);
        self.steps[id].progress = Progress::Done;
    }

    /// The step has failed. Returns what will not be tried because of it.
    pub fn failed(&mut self, id: StepId) -> Vec<StepId> {
        self.leave(id);
        self.steps[id].progress = Progress::Failed;
        let mut skipped = Vec::new();
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            let next: Vec<_> = self.steps.neighbors(at).collect();
            for id in next {
                let step = &mut self.steps[id];
                // It ended well before what it refers to was taken back.
                if step.stale && step.progress == Progress::Blocked {
                    step.progress = Progress::Done;
                    continue;
                }
                // One that was content with existence may be at work already: it goes on.
                if matches!(step.progress, Progress::Blocked | Progress::Queued) {
                    step.progress = Progress::Skipped;
                    skipped.push(id);
                    stack.push(id);
                }
            }
        }
        skipped.sort_unstable();
        skipped
    }

    fn leave(&mut self, id: StepId) {
        let step = &self.steps[id];
        match step.progress {
            Progress::Running => {
                self.running[step.region] -= 1;
                self.in_flight -= 1;
            }
            Progress::Resting => self.in_flight -= 1,
            _ => {}
        }
    }

    /// Starts nothing more.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// How many steps are in flight, at work or waiting for AWS.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Which resource a step is about, and which half of its work.
    #[must_use]
    pub fn step(&self, id: StepId) -> (&Address, Half) {
        (&self.steps[id].address, self.steps[id].half)
    }

    /// Whether anybody is content with the step's resource existing, and may have used its id before it is ready.
    #[must_use]
    pub fn is_lent(&self, id: StepId) -> bool {
        self.steps.edges_directed(id, Direction::Outgoing).any(|edge| edge.weight().need == Need::Exists)
    }

    /// Whether everything that the step refers to is ready: a refusal "not ready yet" can only be about visibility then.
    #[must_use]
    pub fn is_settled(&self, id: StepId) -> bool {
        self.steps
            .neighbors_directed(id, Direction::Incoming)
            .all(|source| self.steps[source].reached == Some(Need::Ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Role;

    fn schedule(cap: usize, steps: &[(&str, &str, u64)], edges: &[(usize, usize, Need)]) -> (Schedule, Vec<StepId>) {
        let mut schedule = Schedule::new(cap);
        let ids: Vec<_> = steps
            .iter()
            .map(|(name, region, seconds)| {
                schedule.add(
                    Address::new(Role::Primary, "t", name),
                    Half::Ensure,
                    &Region::from(*region),
                    Duration::from_secs(*seconds),
                )
            })
            .collect();
        for (from, to, need) in edges {
            schedule.wait_for(ids[*to], ids[*from], *need);
        }
        schedule.begin().expect("no cycle");
        (schedule, ids)
    }

    #[test]
    fn the_longest_remaining_path_starts_first_and_caps_are_per_region() {
        let (mut s, ids) = schedule(
            1,
            &[("short", "a", 5), ("head", "a", 1), ("tail", "a", 100), ("other", "b", 1)],
            &[(1, 2, Need::Ready)],
        );
        assert_eq!(s.next(), Some(ids[1]));
        assert_eq!(s.next(), Some(ids[3]), "another Region has a cap of its own");
        assert_eq!(s.next(), None);
        s.rest(ids[1]);
        assert_eq!(s.next(), Some(ids[0]), "who waits holds no place");
    }

    #[test]
    fn existence_is_enough_where_it_was_asked_for_and_only_there() {
        let (mut s, ids) =
            schedule(9, &[("a", "r", 1), ("b", "r", 1), ("c", "r", 1)], &[(0, 1, Need::Exists), (0, 2, Need::Ready)]);
        assert_eq!(s.next(), Some(ids[0]));
        s.reached(ids[0], Need::Exists);
        assert_eq!(s.next(), Some(ids[1]));
        assert_eq!(s.next(), None);
        s.reached(ids[0], Need::Ready);
        assert_eq!(s.next(), Some(ids[2]));
    }

    #[test]
    fn who_is_parked_starts_again_when_its_target_is_ready() {
        let (mut s, ids) = schedule(9, &[("a", "r", 1), ("b", "r", 1)], &[(0, 1, Need::Exists)]);
        assert_eq!(s.next(), Some(ids[0]));
        s.reached(ids[0], Need::Exists);
        assert_eq!(s.next(), Some(ids[1]));
        assert_eq!(s.park(ids[1]), Park::Waits);
        assert_eq!((s.next(), s.in_flight()), (None, 1));
        s.reached(ids[0], Need::Ready);
        assert_eq!(s.next(), Some(ids[1]));
        assert!(s.is_settled(ids[1]));
        assert_eq!(s.park(ids[1]), Park::Ready, "nothing is left to wait for");
        s.again(ids[1]);
        assert_eq!(s.next(), Some(ids[1]));
    }

    #[test]
    fn who_is_held_starts_again_when_told_and_not_before() {
        let (mut s, ids) = schedule(9, &[("a", "r", 1), ("b", "r", 1)], &[(0, 1, Need::Exists)]);
        assert_eq!(s.next(), Some(ids[0]));
        s.reached(ids[0], Need::Exists);
        assert_eq!(s.next(), Some(ids[1]));
        assert_eq!(s.hold(ids[1]), Park::Waits);
        assert_eq!((s.next(), s.in_flight()), (None, 1));
        assert!(s.depends(ids[1], ids[0]) && !s.depends(ids[0], ids[1]));
        s.again(ids[1]);
        assert_eq!(s.next(), Some(ids[1]));
        assert_eq!(s.hold(ids[1]), Park::Waits);
        assert_eq!(s.failed(ids[0]), vec![ids[1]], "it is given up with what it waits for");
    }

    #[test]
    fn who_waits_for_what_has_failed_is_told() {
        let (mut s, ids) = schedule(9, &[("a", "r", 1), ("b", "r", 1)], &[(0, 1, Need::Exists)]);
        assert_eq!(s.next(), Some(ids[0]));
        s.reached(ids[0], Need::Exists);
        assert_eq!(s.next(), Some(ids[1]));
        assert_eq!(s.failed(ids[0]), Vec::new(), "it is at work already");
        assert_eq!(s.park(ids[1]), Park::Lost(ids[0]));
    }

    #[test]
    fn who_has_used_what_is_made_anew_begins_anew() {
        let edges = [(0, 1, Need::Exists), (0, 2, Need::Exists), (0, 3, Need::Exists), (1, 4, Need::Ready)];
        let steps = [("a", "r", 1), ("done", "r", 1), ("at-work", "r", 1), ("queued", "r", 1), ("after", "r", 1)];
        let (mut s, ids) = schedule(2, &steps, &edges);
        assert_eq!(s.next(), Some(ids[0]));
        s.rest(ids[0]);
        s.reached(ids[0], Need::Exists);
        assert_eq!((s.next(), s.next()), (Some(ids[1]), Some(ids[2])));
        s.reached(ids[1], Need::Ready);
        s.done(ids[1]);
        s.recall(ids[0]);
        assert!(s.is_stale(ids[2]), "it is at work with what is no more");
        assert_eq!(s.next(), Some(ids[4]), "what depends on who is done goes on; who was queued waits");
        s.done(ids[4]);
        s.anew(ids[2]);
        assert_eq!(s.next(), None);
        s.reached(ids[0], Need::Exists);
        let mut again = [s.next(), s.next()];
        again.sort_unstable();
        assert_eq!(again, [Some(ids[1]), Some(ids[2])]);
        assert!(!s.is_stale(ids[1]));
        s.done(ids[1]);
        assert_eq!(s.next(), Some(ids[3]));
        s.recall(ids[0]);
        assert_eq!(s.failed(ids[0]), Vec::new(), "who was done or is at work is not given up");
    }

    #[test]
    fn a_failure_stops_its_dependents_and_nothing_else() {
        let (mut s, ids) = schedule(
            9,
            &[("a", "r", 1), ("b", "r", 1), ("c", "r", 1), ("d", "r", 1)],
            &[(0, 1, Need::Ready), (1, 2, Need::Ready)],
        );
        assert_eq!(s.next(), Some(ids[0]));
        assert_eq!(s.failed(ids[0]), vec![ids[1], ids[2]]);
        assert_eq!(s.next(), Some(ids[3]));
        s.done(ids[3]);
        assert_eq!((s.next(), s.in_flight()), (None, 0));
    }
}
