//! One resource's way: observe, create if absent, sync, wait; or delete and wait. Runs in a task of its own and reaches the
//! state only through its [`CoordinatorHandle`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::events::Event;
use super::handle::CoordinatorHandle;
use crate::cancel::{Shutdown, Stage};
use crate::driver::{Attempt, Change, Driver, Live, Owner, Phase, Region, Removal, Synced, Traits};
use crate::failure::{Class, Failure};
use crate::ownership::ownership;
use crate::plan::diff;
use crate::reference::Properties;
use crate::state::{Address, Entry, Status};
use crate::timing::Timing;

/// How often a lost answer is taken as a reason to try again before an operator has to look.
const LOST_ANSWERS: usize = 6;

/// Everything a step needs to know.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the step")]
pub(super) struct Job {
    pub address: Address,
    pub region: Region,
    pub driver: Arc<dyn Driver>,
    /// Resolved; empty for a removal.
    pub desired: Properties,
    pub depends_on: Vec<Address>,
    pub entry: Option<Entry>,
    /// As the plan saw it.
    pub live: Option<Box<Live>>,
    /// Whether what it refers to was changed since: a global cluster changes its members' version itself.
    pub is_live_outdated: bool,
    pub unsupported: BTreeMap<String, String>,
    pub timing: Timing,
    pub adopt: bool,
    /// Whether everything it refers to is ready.
    pub dependencies_are_ready: bool,
    /// Whether others may use its id before it is ready.
    pub is_id_used_early: bool,
}

/// What was set goes on reading as before.
fn reads_otherwise(changes: &[Change]) -> Failure {
    let told: Vec<String> =
        changes.iter().map(|change| format!("{} still reads {}", change.property, change.old)).collect();
    Failure::new(Class::TimedOut, format!("what was set reads otherwise: {}", told.join(", ")))
        .help("Something else may be changing it at the same time. Run `drctl plan` to see what differs.")
}

/// A step in progress.
pub(super) struct Worker {
    job: Job,
    coordinator: CoordinatorHandle,
    shutdown: Shutdown,
    entry: Option<Entry>,
    /// Whether this step has made it.
    made: bool,
}

impl Worker {
    pub(super) fn new(job: Job, coordinator: CoordinatorHandle, shutdown: Shutdown) -> Self {
        Self { entry: job.entry.clone(), job, coordinator, shutdown, made: false }
    }

    fn traits(&self) -> &Traits {
        self.job.driver.traits()
    }

    /// Makes it as desired. Returns its id.
    pub(super) async fn apply(mut self) -> Result<String, Failure> {
        let mut live = match self.job.live.take() {
            Some(live) if self.job.is_live_outdated => {
                let now = self.droppable(self.job.driver.read(&self.job.region, &live.id)).await?;
                now.unwrap_or(*live)
            }
            Some(live) => *live,
            None => match self.not_visible_yet().await? {
                Some(live) => live,
                None => self.create().await?,
            },
        };
        // Since when what was set on what is available should show: while it is on its way, it may read as before.
        let mut set: Option<Instant> = None;
        let mut failed_once = false;
        let began = self.shutdown.stopwatch();
        let mut delays = self.job.timing.polls();
        loop {
            self.check_owner(&live)?;
            let traits = *self.traits();
            let mut changes = diff::changes(&traits, &self.job.desired, &live.properties);
            changes.retain(|change| !self.job.unsupported.contains_key(&change.property));
            let mut waits_for = None;
            match &live.phase {
                Phase::Failed(why) if !failed_once && self.may_make_anew(&live) => {
                    // A create call that was accepted and then failed: the remains are cleared away and it is tried once more.
                    failed_once = true;
                    self.note(format!("it came to state {why}; it is deleted and made once more"));
                    self.remove_live(&live).await?;
                    live = self.create().await?;
                    continue;
                }
                Phase::Failed(why) => {
                    let help = if traits.holds_data {
                        "Put its cause right, then run `drctl up` again. It holds data: drctl does not replace it by itself."
                    } else {
                        "Put its cause right, then run `drctl up` again: it will be replaced."
                    };
                    return Err(Failure::new(Class::Refused, format!("{} is in state {why}", live.id)).help(help));
                }
                Phase::Deleting(state) => {
                    return Err(Failure::new(Class::Transient, format!("{} is {state}", live.id))
                        .help("Something else is deleting it. Run `drctl up` again when it is gone."));
                }
                Phase::Pending(state) => {
                    waits_for = Some(state.clone());
                    set = None;
                }
                Phase::Ready => {}
            }
            if let Some(change) = changes.iter().find(|change| change.forces_replacement.is_some()) {
                return Err(Failure::new(
                    Class::Refused,
                    format!("{} differs since the plan was made, and cannot be changed in place", change.property),
                )
                .help("Run `drctl plan` to see what replacing it means, then `drctl up`."));
            }
            self.show(&live).await?;
            if changes.is_empty() && waits_for.is_none() {
                let id = live.id.clone();
                self.ready(live).await?;
                return Ok(id);
            }
            let mut shown_late = false;
            if !changes.is_empty() {
                if set.is_some_and(|since| since.elapsed() > self.job.timing.visible * 2) {
                    return Err(reads_otherwise(&changes));
                }
                shown_late = set.is_some();
                let is_ready = waits_for.is_none();
                let synced = self.sync(&live, &changes).await?;
                if synced.later.is_some() {
                    // A step that takes its time was set going: what is set after it has a time of its own to show.
                    set = None;
                } else if is_ready {
                    set.get_or_insert_with(Instant::now);
                }
                waits_for = synced.later.or(synced.shows).or(waits_for);
            }
            if let Some(state) = waits_for {
                let limit = traits.create * 6 + traits.patience + Duration::from_mins(5);
                if began.elapsed() > limit {
                    return Err(Failure::new(
                        Class::TimedOut,
                        format!("{} was still {state} after {} s", live.id, began.elapsed().as_secs()),
                    )
                    .help(
                        "It is on record. Look at it in the console; `drctl up` takes up the wait where it was left.",
                    ));
                }
                self.wait(&state, delays.next().unwrap_or_default()).await?;
            } else if shown_late {
                self.wait("the change to be visible", delays.next().unwrap_or_default()).await?;
            }
            live = self.read_back(&live.id).await?;
        }
    }

    /// Makes the outputs of what is still being made known to those who are content with that.
    async fn show(&mut self, live: &Live) -> Result<(), Failure> {
        let is_news = self.entry.as_ref().is_some_and(|entry| {
            entry.status == Status::Created && (entry.outputs != live.outputs || entry.arn != live.arn)
        });
        if self.job.is_id_used_early && is_news && matches!(live.phase, Phase::Pending(_)) {
            let entry = self.entry_of(live, Status::Created);
            self.record(Some(entry)).await?;
        }
        Ok(())
    }

    /// Brings the changed properties to what is desired, under an intent.
    async fn sync(&mut self, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        self.intend_update(live).await?;
        let call = || self.job.driver.sync(&self.job.region, live, &self.job.desired, changes);
        match self.repeat(true, call).await {
            Ok(mut synced) => {
                for (property, answer) in std::mem::take(&mut synced.unsupported) {
                    self.note(format!("{property} is unsupported here: {answer}"));
                    self.job.unsupported.insert(property, answer);
                }
                Ok(synced)
            }
            Err(failure) if failure.class == Class::NotYet => Ok(Synced::later(failure.message)),
            Err(failure) => Err(failure),
        }
    }

    /// Deletes it and waits until it is gone.
    pub(super) async fn delete(mut self) -> Result<(), Failure> {
        let unplanned = self.job.live.is_none();
        let live = match self.job.live.take() {
            Some(live) => Some(*live),
            None => self.find_recorded().await?,
        };
        if let Some(live) = live {
            // Leave to take over is no leave to delete.
            ownership(&self.job.address, &live, self.entry.as_ref().and_then(|entry| entry.id.as_deref()))?;
            if unplanned && self.traits().holds_data && self.was_in_use() {
                let message = format!("{} was not there when the plan was made, and is there now", live.id);
                return Err(Failure::new(Class::Refused, message)
                    .help("It holds data. Look at `drctl plan` again: nothing was agreed to about it."));
            }
            self.remove_live(&live).await?;
        } else if self.entry.is_some() {
            self.record(None).await?;
        }
        Ok(())
    }

    /// Whether it has ever been ready: what an open intent has made holds nothing yet.
    fn was_in_use(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| !matches!(entry.status, Status::Creating { .. } | Status::Created))
    }

    async fn find_recorded(&mut self) -> Result<Option<Live>, Failure> {
        let Some(entry) = self.entry.clone() else { return Ok(None) };
        match &entry.status {
            Status::Creating { attempt, .. } => {
                // Nothing is sent again after this: even where the token would be honoured, time has to tell.
                self.resolve(&Attempt { token: attempt.clone() }, self.job.timing.grace * self.traits().grace).await
            }
            _ => self.not_visible_yet().await,
        }
    }

    async fn remove_live(&mut self, live: &Live) -> Result<(), Failure> {
        let traits = *self.traits();
        if !traits.removable {
            return self.record(None).await;
        }
        let entry = self.entry_of(live, Status::Deleting { since: Timestamp::now() });
        if !matches!(self.entry.as_ref().map(|e| &e.status), Some(Status::Deleting { .. })) {
            if self.entry.is_none() {
                self.record(Some(Entry { status: Status::Created, ..entry.clone() })).await?;
            }
            self.record(Some(entry)).await?;
        }
        let mut live = live.clone();
        let had_failed = matches!(live.phase, Phase::Failed(_));
        let mut deleted = matches!(live.phase, Phase::Deleting(_));
        let mut delays = self.job.timing.polls();
        let began = self.shutdown.stopwatch();
        loop {
            let mut first = None;
            if !deleted {
                match self.repeat(true, || self.job.driver.delete(&self.job.region, &live)).await {
                    Ok(Removal::Ordered) => deleted = true,
                    Ok(Removal::Later(what)) => first = Some(what),
                    Ok(Removal::Left(how)) => {
                        self.note(format!("{} cannot be deleted: {how}", live.id));
                        return self.record(None).await;
                    }
                    Ok(Removal::Scheduled) => return self.record(None).await,
                    Ok(Removal::Kept(why)) => {
                        self.note(format!("{} is kept: {why}", live.id));
                        return self.record(Some(self.entry_of(&live, Status::Ready))).await;
                    }
                    Err(failure) if failure.class == Class::NotFound => deleted = true,
                    Err(failure) => return Err(failure),
                }
            }
            match self.droppable(self.job.driver.read(&self.job.region, &live.id)).await? {
                Some(now) => live = now,
                None if first.is_none() => return self.record(None).await,
                // Nothing was deleted yet: a read that lags is no proof that it is gone.
                None => {}
            }
            let state = match (first, &live.phase) {
                (Some(what), _) => what,
                (None, Phase::Deleting(state)) => state.clone(),
                // What has failed may stay listed for hours, and nobody can delete it: AWS forgets it by itself.
                (None, Phase::Failed(_)) if had_failed => return self.record(None).await,
                (None, Phase::Failed(_) | Phase::Pending(_) | Phase::Ready) => {
                    "still listed after its deletion".to_owned()
                }
            };
            if began.elapsed() > traits.delete * 6 + traits.patience + Duration::from_mins(5) {
                return Err(Failure::new(
                    Class::TimedOut,
                    format!("{} was {state} for {} s", live.id, began.elapsed().as_secs()),
                )
                .help(if self.job.desired.is_empty() {
                    "It is on record. Run the same command again: it takes up the wait where it was left."
                } else {
                    "It is on record. `drctl up` takes up the wait where it was left."
                }));
            }
            self.wait(&state, delays.next().unwrap_or_default()).await?;
        }
    }

    /// Creates it, under an intent that is durable before the call leaves.
    async fn create(&mut self) -> Result<Live, Failure> {
        let mut attempt = Attempt { token: uuid::Uuid::new_v4().simple().to_string() };
        let mut doubtful = false;
        if let Some(Status::Creating { attempt: open, .. }) = self.entry.as_ref().map(|entry| entry.status.clone()) {
            attempt.token = open;
            doubtful = true;
            if let Some(live) = self.resolve(&attempt, self.grace()).await? {
                return self.created(live, &attempt).await;
            }
        } else {
            self.intend_create(&attempt).await?;
        }
        let mut lost = 0;
        loop {
            let answer =
                self.repeat(false, || self.job.driver.create(&self.job.region, &self.job.desired, &attempt)).await;
            let failure = match answer {
                Ok(id) => {
                    self.made = true;
                    self.record_created(&id, &attempt).await?;
                    let live = self.read_back(&id).await?;
                    return Ok(live);
                }
                Err(failure) => failure,
            };
            match failure.class {
                Class::Ambiguous | Class::Unreachable | Class::TimedOut if lost < LOST_ANSWERS => {
                    lost += 1;
                    let delay = self.job.timing.retry(lost);
                    self.coordinator.event(Event::Retrying {
                        address: self.job.address.clone(),
                        failure: failure.clone(),
                        delay,
                    });
                    self.pause(delay).await?;
                    doubtful = true;
                    if let Some(live) = self.resolve(&attempt, self.grace()).await? {
                        return self.created(live, &attempt).await;
                    }
                }
                Class::Ambiguous | Class::Unreachable | Class::TimedOut | Class::Interrupted | Class::Denied
                    if lost > 0 =>
                {
                    return Err(failure);
                }
                Class::Exists => {
                    let holder = self.holder_of_name().await?;
                    let refusal = match &holder {
                        Some(live) => self.check_owner(live).err(),
                        None => Some(failure),
                    };
                    match (holder, refusal) {
                        (Some(live), None) => return self.created(live, &attempt).await,
                        (_, refusal) => {
                            self.close(doubtful).await?;
                            return Err(refusal.unwrap_or_else(Failure::interrupted));
                        }
                    }
                }
                Class::Ambiguous | Class::Unreachable | Class::TimedOut | Class::Interrupted | Class::Internal => {
                    return Err(failure);
                }
                _ => {
                    self.close(doubtful).await?;
                    return Err(failure);
                }
            }
        }
    }

    /// AWS has modelled the refusal of a create call: nothing was made by it, and its intent is closed. Unless an earlier call
    /// of the same attempt may have been carried out: then the next run has to look once more.
    async fn close(&mut self, doubtful: bool) -> Result<(), Failure> {
        if doubtful { Ok(()) } else { self.record(None).await }
    }

    /// How long an attempt may stay hidden before it is repeated. The same token again makes no second one: there is nothing
    /// to wait for.
    fn grace(&self) -> Duration {
        if self.traits().idempotent_create { Duration::ZERO } else { self.job.timing.grace * self.traits().grace }
    }

    /// What is on record as made a moment ago, and not seen yet: reads may lag behind. `None` when it really is gone, or was
    /// never made.
    async fn not_visible_yet(&mut self) -> Result<Option<Live>, Failure> {
        let Some(entry) = &self.entry else { return Ok(None) };
        let Some(id) = entry.id.clone() else { return Ok(None) };
        let until = match entry.status {
            // From now, as in `resolve`.
            Status::Created => Instant::now() + self.job.timing.visible,
            // It has been seen since.
            _ => Instant::now(),
        };
        let mut delays = self.job.timing.polls();
        loop {
            let found = self.droppable(self.job.driver.read(&self.job.region, &id)).await?;
            if found.is_some() {
                return Ok(found);
            }
            if Instant::now() >= until {
                // Its record gives way to the next attempt's.
                self.entry = self.entry.take().filter(|_| self.job.desired.is_empty());
                return Ok(None);
            }
            self.wait("it to be visible", delays.next().unwrap_or_default()).await?;
        }
    }

    async fn holder_of_name(&self) -> Result<Option<Live>, Failure> {
        let recorded = self.entry.as_ref().and_then(|entry| entry.natural_id.clone());
        match self.job.driver.natural_id(&self.job.desired).or(recorded) {
            Some(id) => self.droppable(self.job.driver.read(&self.job.region, &id)).await,
            None => Ok(None),
        }
    }

    async fn intend_create(&mut self, attempt: &Attempt) -> Result<(), Failure> {
        let now = Timestamp::now();
        let entry = Entry {
            status: Status::Creating { attempt: attempt.token.clone(), since: now },
            region: self.job.region.to_string(),
            natural_id: self.job.driver.natural_id(&self.job.desired),
            id: None,
            arn: None,
            outputs: BTreeMap::new(),
            attempt: Some(attempt.token.clone()),
            digest: diff::digest(&self.job.desired),
            depends_on: self.job.depends_on.clone(),
            unsupported: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        };
        self.record(Some(entry)).await
    }

    async fn record_created(&mut self, id: &str, attempt: &Attempt) -> Result<(), Failure> {
        let now = Timestamp::now();
        let Some(mut entry) = self.entry.clone() else {
            return Err(Failure::new(Class::Internal, format!("{id} was made without an intent")));
        };
        entry.status = Status::Created;
        entry.id = Some(id.to_owned());
        entry.attempt = Some(attempt.token.clone());
        entry.updated_at = now;
        self.record(Some(entry)).await
    }

    async fn created(&mut self, live: Live, attempt: &Attempt) -> Result<Live, Failure> {
        self.check_owner(&live)?;
        self.record_created(&live.id, attempt).await?;
        Ok(live)
    }

    /// Finds out what became of an attempt. Only after the grace period does "not found" mean "not made". It is counted from
    /// now: the wall clock may have been set since the intent was written, and a period cut short could make a second one.
    async fn resolve(&self, attempt: &Attempt, grace: Duration) -> Result<Option<Live>, Failure> {
        let until = Instant::now() + grace;
        let mut delays = self.job.timing.polls();
        loop {
            let found = match self.holder_of_name().await? {
                Some(live) => Some(live),
                None => self.droppable(self.job.driver.search(&self.job.region, attempt)).await?,
            };
            if found.is_some() {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            self.wait("an earlier attempt to show itself", delays.next().unwrap_or_default()).await?;
        }
    }

    async fn intend_update(&mut self, live: &Live) -> Result<(), Failure> {
        let status = match self.entry.as_ref().map(|entry| &entry.status) {
            Some(Status::Created | Status::Updating { .. }) => return Ok(()),
            // A deletion that did not come to pass is taken back: it is there, and not as desired.
            Some(Status::Creating { .. } | Status::Deleting { .. }) | None => Status::Created,
            Some(Status::Ready) => Status::Updating { since: Timestamp::now() },
        };
        let mut entry = self.entry_of(live, status);
        // Until the update has come to pass it may still refer to what it referred to before, which must not go first.
        let before = self.entry.iter().flat_map(|entry| &entry.depends_on);
        let kept: Vec<Address> = before.filter(|address| !entry.depends_on.contains(address)).cloned().collect();
        entry.depends_on.extend(kept);
        self.record(Some(entry)).await
    }

    async fn ready(&mut self, live: Live) -> Result<(), Failure> {
        let entry = self.entry_of(&live, Status::Ready);
        self.record(Some(entry)).await
    }

    fn entry_of(&self, live: &Live, status: Status) -> Entry {
        let now = Timestamp::now();
        let before = self.entry.as_ref();
        let attempt = match &live.owner {
            Owner::Ours { attempt: Some(attempt), .. } => Some(attempt.clone()),
            _ => before.and_then(|entry| entry.attempt.clone()),
        };
        let removal = self.job.desired.is_empty();
        Entry {
            status,
            region: self.job.region.to_string(),
            natural_id: before.and_then(|entry| entry.natural_id.clone()),
            id: Some(live.id.clone()),
            arn: live.arn.clone(),
            outputs: live.outputs.clone(),
            attempt,
            digest: if removal {
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

    fn just_made(&self, live: &Live) -> bool {
        self.entry
            .as_ref()
            .is_some_and(|entry| matches!(entry.status, Status::Created) && entry.id.as_deref() == Some(&live.id))
    }

    /// Whether what has failed was made a moment ago. What holds data must have been made by this very step: what an earlier run
    /// has made may have been used since.
    fn may_make_anew(&self, live: &Live) -> bool {
        self.just_made(live) && (self.made || !self.traits().holds_data)
    }

    fn check_owner(&self, live: &Live) -> Result<(), Failure> {
        if self.job.adopt {
            return Ok(());
        }
        ownership(&self.job.address, live, self.entry.as_ref().and_then(|entry| entry.id.as_deref()))
    }

    /// Reads what is known to exist; a new resource may not be visible everywhere at once.
    async fn read_back(&self, id: &str) -> Result<Live, Failure> {
        let began = self.shutdown.stopwatch();
        let mut delays = self.job.timing.polls();
        loop {
            if let Some(live) = self.droppable(self.job.driver.read(&self.job.region, id)).await? {
                return Ok(live);
            }
            if began.elapsed() > self.job.timing.visible {
                return Err(Failure::new(
                    Class::TimedOut,
                    format!("{id} was made, and AWS does not show it after {} s", began.elapsed().as_secs()),
                )
                .help(
                    "It is on record. Run the same command again; if it was deleted by hand, it will be made anew.",
                ));
            }
            self.wait("it to be visible", delays.next().unwrap_or_default()).await?;
        }
    }

    async fn record(&mut self, entry: Option<Entry>) -> Result<(), Failure> {
        self.coordinator.record(self.job.address.clone(), entry.clone()).await?;
        self.entry = entry;
        Ok(())
    }

    fn note(&self, message: String) {
        self.coordinator.event(Event::Note { address: self.job.address.clone(), message });
    }

    /// Waits for AWS: holds no place under the cap, and is dropped by the first signal.
    async fn wait(&self, on: &str, delay: Duration) -> Result<(), Failure> {
        self.coordinator.waiting(self.job.address.clone(), on);
        self.pause(delay).await
    }

    async fn pause(&self, delay: Duration) -> Result<(), Failure> {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.reached(Stage::Drain) => Err(Failure::interrupted()),
            () = sleep(delay) => Ok(()),
        }
    }

    /// A read: the first signal drops it.
    async fn droppable<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.reached(Stage::Drain) => Err(Failure::interrupted()),
            answer = call => answer,
        }
    }

    /// Repeats a mutation while its refusal says that the same call may pass later; a call in flight is never dropped.
    /// After a lost answer only what may be carried out twice is repeated here: setting a property, deleting.
    async fn repeat<T, F>(&self, after_lost_answers: bool, call: impl Fn() -> F) -> Result<T, Failure>
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
                // EC2 throttles Lambda for longer than anybody else (aws-behaviour row 4).
                Class::Throttled => began.elapsed() < patience.max(Duration::from_mins(15)),
                Class::Transient => began.elapsed() < patience,
                Class::NotYet => self.job.dependencies_are_ready && began.elapsed() < patience,
                Class::Ambiguous | Class::Unreachable => after_lost_answers && attempts < LOST_ANSWERS,
                _ => false,
            };
            if !again {
                return Err(failure);
            }
            let delay = self.job.timing.retry(attempts);
            self.coordinator.event(Event::Retrying { address: self.job.address.clone(), failure, delay });
            self.coordinator.release_slot();
            self.pause(delay).await?;
        }
    }
}
