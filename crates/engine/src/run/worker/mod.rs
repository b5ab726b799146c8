//! The worker: does the work of one step, in a task of its own, and reaches the state only through its [`CoordinatorHandle`].
//!
//! A resource is created and changed on one path, whose decisions are in [`assess`]: observe, create if absent, set what differs,
//! wait, read back. Deletion has its own.

mod apply;
mod assess;
mod create;
mod delete;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::events::Event;
use super::handle::{Awaited, CoordinatorHandle};
use crate::cancel::{Shutdown, Stage};
use crate::driver::{Driver, Live, Region, TypeInfo, TypicalDurations};
use crate::failure::{Class, Failure};
use crate::ownership::ownership;
use crate::plan::diff;
use crate::reference::Properties;
use crate::state::{Address, Entry, Status};
use crate::timing::Timing;

/// How often a lost answer is a reason to try again, before an operator has to look.
const LOST_ANSWERS: usize = 6;

/// For how long at most: a call whose reads are lost one after the other takes minutes each time.
const LOST_FOR: Duration = Duration::from_mins(3);

/// Everything that a worker needs to know about its step.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the step")]
pub(super) struct Job {
    pub address: Address,
    pub region: Region,
    pub driver: Arc<dyn Driver>,
    /// Resolved; empty for a deletion.
    pub desired: Properties,
    pub depends_on: Vec<Address>,
    pub entry: Option<Entry>,
    /// The resource as the plan saw it.
    pub live: Option<Box<Live>>,
    /// Whether something that the resource refers to was changed since the plan: a global cluster changes the version of its members
    /// itself.
    pub is_live_outdated: bool,
    pub unsupported: BTreeMap<String, String>,
    pub timing: Timing,
    pub adopt: bool,
    /// Whether everything that the resource refers to is ready.
    pub dependencies_are_ready: bool,
    /// Whether other steps may use the resource's id before it is ready.
    pub is_id_used_early: bool,
}

/// A step in progress.
pub(super) struct Worker {
    job: Job,
    coordinator: CoordinatorHandle,
    shutdown: Shutdown,
    /// What the state holds of the resource.
    entry: Option<Entry>,
    /// Whether this step has created it.
    has_created: bool,
    /// Whether what this step has "created" existed before, scheduled for deletion.
    has_restored: bool,
}

/// What an apply step has achieved.
pub(super) struct Applied {
    /// The id by which AWS knows the resource.
    pub id: String,
    /// Whether the resource existed before, scheduled for deletion, and was restored instead of created.
    pub restored: bool,
}

impl Worker {
    pub(super) fn new(job: Job, coordinator: CoordinatorHandle, shutdown: Shutdown) -> Self {
        Self { entry: job.entry.clone(), job, coordinator, shutdown, has_created: false, has_restored: false }
    }

    fn traits(&self) -> &TypeInfo {
        self.job.driver.traits()
    }

    /// How long each half of the work typically takes.
    fn takes(&self) -> TypicalDurations {
        self.job.driver.expected(&self.job.address)
    }

    /// How long AWS may take for something that typically takes this long.
    fn time_limit(&self, typical: Duration) -> Duration {
        typical * 6 + self.traits().patience + Duration::from_mins(5)
    }

    fn recorded_id(&self) -> Option<&str> {
        self.entry.as_ref().and_then(|entry| entry.id.as_deref())
    }

    fn check_owner(&self, live: &Live) -> Result<(), Failure> {
        if self.job.adopt {
            return Ok(());
        }
        ownership(&self.job.address, live, self.recorded_id())
    }

    /// The state's entry for the resource as it was read.
    fn entry_of(&self, live: &Live, status: Status) -> Entry {
        let now = Timestamp::now();
        let before = self.entry.as_ref();
        let attempt =
            live.owner.attempt().map(str::to_owned).or_else(|| before.and_then(|entry| entry.attempt.clone()));
        let is_deletion = self.job.desired.is_empty();
        Entry {
            status,
            region: self.job.region.to_string(),
            natural_id: before.and_then(|entry| entry.natural_id.clone()),
            id: Some(live.id.clone()),
            arn: live.arn.clone(),
            outputs: live.outputs.clone(),
            attempt,
            digest: if is_deletion {
                before.map(|e| e.digest.clone()).unwrap_or_default()
            } else {
                diff::digest(&self.job.desired)
            },
            depends_on: self.job.depends_on.clone(),
            unsupported: self.job.unsupported.clone(),
            created_at: before.map_or(now, |entry| entry.created_at),
            updated_at: now,
        }
    }

    /// Makes what the state holds of the resource durable; `None` when it no longer holds it.
    async fn record(&mut self, entry: Option<Entry>) -> Result<(), Failure> {
        self.coordinator.record(self.job.address.clone(), entry.clone()).await?;
        self.entry = entry;
        Ok(())
    }

    /// Reads a resource that is on record. If it was created a moment ago, reads may not show it yet. `None` when it really does not
    /// exist, or was never created.
    async fn read_recorded(&mut self) -> Result<Option<Live>, Failure> {
        let Some(entry) = &self.entry else { return Ok(None) };
        let Some(id) = entry.id.clone() else { return Ok(None) };
        let until = match entry.status {
            // From now on, as in `resolve`.
            Status::Created => Instant::now() + self.job.timing.visible,
            // It has been seen since.
            _ => Instant::now(),
        };
        let mut delays = self.job.timing.polls();
        loop {
            let found = self.interruptible(self.job.driver.read(&self.job.region, &id)).await?;
            if found.is_some() {
                return Ok(found);
            }
            if Instant::now() >= until {
                // Its record gives way to that of the next attempt.
                self.entry = self.entry.take().filter(|_| self.job.desired.is_empty());
                return Ok(None);
            }
            self.wait("it to be visible", delays.next().unwrap_or_default()).await?;
        }
    }

    /// Reads a resource that is known to exist. A new resource may not be visible everywhere at once.
    async fn read_back(&self, id: &str) -> Result<Live, Failure> {
        let began = self.shutdown.stopwatch();
        let mut delays = self.job.timing.polls();
        loop {
            if let Some(live) = self.interruptible(self.job.driver.read(&self.job.region, id)).await? {
                return Ok(live);
            }
            if began.elapsed() > self.job.timing.visible {
                let waited = began.elapsed().as_secs();
                let message = format!("{id} was created, but is not visible in AWS after {waited} s");
                return Err(Failure::new(Class::TimedOut, message).help(
                    "It is recorded. Run the same command again; if it was deleted by hand, it will be created again.",
                ));
            }
            self.wait("it to be visible", delays.next().unwrap_or_default()).await?;
        }
    }

    /// Reads the resource that has the unique name, including one that is not this stack's.
    async fn holder_of_name(&self) -> Result<Option<Live>, Failure> {
        let recorded = self.entry.as_ref().and_then(|entry| entry.natural_id.clone());
        match self.job.driver.natural_id(&self.job.desired).or(recorded) {
            Some(id) => self.interruptible(self.job.driver.read(&self.job.region, &id)).await,
            None => Ok(None),
        }
    }

    fn note(&self, message: String) {
        self.coordinator.event(Event::Note { address: self.job.address.clone(), message });
    }

    fn retrying(&self, failure: Failure, delay: Duration) {
        self.coordinator.event(Event::Retrying { address: self.job.address.clone(), failure, delay });
    }

    /// Fails if waiting is pointless, because what is awaited has failed in this run. The step is then skipped, as what depends on it is.
    async fn unless_in_vain(&self, awaited: Awaited) -> Result<(), Failure> {
        if matches!(awaited, Awaited::Users([])) { Ok(()) } else { self.coordinator.may_wait_for(awaited).await }
    }

    /// Waits for AWS. It holds no slot under the cap meanwhile, and the first signal ends it.
    async fn wait(&self, on: &str, delay: Duration) -> Result<(), Failure> {
        self.coordinator.waiting(self.job.address.clone(), on);
        self.pause(delay).await
    }

    async fn pause(&self, delay: Duration) -> Result<(), Failure> {
        self.interruptible(async {
            sleep(delay).await;
            Ok(())
        })
        .await
    }

    /// Something that changes nothing, such as a read: the first signal drops it.
    async fn interruptible<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.reached(Stage::Drain) => Err(Failure::interrupted()),
            answer = call => answer,
        }
    }

    /// Sends a call that changes something, and repeats it while its refusal says that the same call may succeed later. A call in
    /// flight is never dropped. After a lost answer, a call is repeated here only if it may be carried out twice, such as setting a
    /// property or deleting.
    async fn mutate<T, F>(&self, may_run_twice: bool, call: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let began = self.shutdown.stopwatch();
        let patience = self.traits().patience;
        let mut attempts = 0;
        loop {
            if self.shutdown.stage() >= Stage::Drain {
                return Err(Failure::interrupted());
            }
            let failure = match call().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            attempts += 1;
            let again = match failure.class {
                // EC2 throttles Lambda for longer than anybody else. See docs/aws-behaviour.md#lambda-throttled-by-ec2.
                Class::Throttled => began.elapsed() < patience.max(Duration::from_mins(15)),
                Class::Transient => began.elapsed() < patience,
                Class::NotYet => self.job.dependencies_are_ready && began.elapsed() < patience,
                Class::Ambiguous | Class::Unreachable => {
                    let is_early = attempts < LOST_ANSWERS && began.elapsed() < LOST_FOR;
                    // Whoever does not answer is named until it is given up as a whole, which was announced.
                    may_run_twice && (is_early || failure.silent.is_some())
                }
                _ => false,
            };
            if !again {
                return Err(failure);
            }
            let delay = self.job.timing.retry(attempts);
            self.retrying(failure, delay);
            self.coordinator.release_slot();
            self.pause(delay).await?;
        }
    }
}
