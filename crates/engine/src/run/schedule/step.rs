//! One step of a run: the one home of everything that is known of it.

use std::time::Duration;

use tokio::task;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::reference::Need;
use crate::state::Address;

/// The action of a step. A replacement takes one step of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// It deletes the resource.
    Delete,
    /// It creates the resource, or changes it to its desired properties.
    Apply,
}

/// How the work on one resource ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was done as planned.
    Done,
    /// It failed.
    Failed(Failure),
    /// It was not tried, because the resource at this address failed.
    Skipped(Address),
    /// It was not tried, or was given up half-way, because the run was interrupted.
    Interrupted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Blocked(BlockedOn),
    Queued,
    /// In flight, in a slot under the cap.
    Running,
    /// In flight, without a slot: it waits for AWS.
    Waiting,
    Done,
    Failed,
    Skipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockedOn {
    /// Some dependencies have not come as far as the step needs.
    Dependencies,
    /// A dependency exists, but does not have an output yet that the step refers to. The next record of a dependency may have it.
    Output,
}

/// When the resource of a step first came how far. Unlike [`Step::reached`], this is never taken back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Milestones {
    exists: Option<Instant>,
    ready: Option<Instant>,
}

impl Milestones {
    /// The resource has come to `level` now. A resource that is ready also exists.
    pub(super) fn mark(&mut self, level: Need) {
        let now = Instant::now();
        if level >= Need::Exists {
            self.exists.get_or_insert(now);
        }
        if level >= Need::Ready {
            self.ready.get_or_insert(now);
        }
    }
}

/// One step of a run.
#[derive(Debug)]
pub struct Step {
    /// The resource that it is about.
    pub address: Address,
    /// Its action.
    pub kind: StepKind,
    pub(super) region: usize,
    pub(super) expected: Duration,
    /// The typical duration of the longest chain that begins with this step.
    pub(super) remaining: Duration,
    pub(super) progress: Progress,
    /// How many dependencies have not come as far as the step needs.
    pub(super) unmet: usize,
    /// How far its resource has durably come.
    pub(super) reached: Option<Need>,
    pub(super) milestones: Milestones,
    /// Whether something that it was started with has been invalidated since.
    pub is_outdated: bool,
    /// Whether it was put back after it had started. It is then not announced a second time.
    pub was_put_back: bool,
    /// Whether all of its dependencies were ready at a start of it.
    pub(super) had_all_ready: bool,
    /// When it was first started.
    pub started: Option<Instant>,
    /// How long it took, if it was done; the sum, if it was done more than once.
    pub took: Option<Duration>,
    /// The task that works on it at the moment.
    pub(super) task: Option<task::Id>,
    /// How it has ended, if it has.
    pub outcome: Option<Outcome>,
}

impl Step {
    pub(super) fn new(address: Address, kind: StepKind, region: usize, expected: Duration) -> Self {
        Self {
            address,
            kind,
            region,
            expected,
            remaining: Duration::ZERO,
            progress: Progress::Blocked(BlockedOn::Dependencies),
            unmet: 0,
            reached: None,
            milestones: Milestones::default(),
            is_outdated: false,
            was_put_back: false,
            had_all_ready: false,
            started: None,
            took: None,
            task: None,
            outcome: None,
        }
    }

    /// For how long it has been under way.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed())
    }

    /// When its resource first came to `level`, if it has.
    #[must_use]
    pub fn milestone(&self, level: Need) -> Option<Instant> {
        match level {
            Need::Exists => self.milestones.exists,
            Need::Ready => self.milestones.ready,
            Need::First | Need::Outlives => None,
        }
    }
}
