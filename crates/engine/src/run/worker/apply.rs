//! An apply step: observe, create if absent, set what differs, wait, read back, until the resource is available and as desired.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::assess::{Circumstances, Next, assess};
use super::{Applied, Awaited, Worker};
use crate::cancel::Stopwatch;
use crate::driver::{Change, Live, Synced};
use crate::failure::{Class, Failure};
use crate::plan::diff;
use crate::state::{Address, Status};

impl Worker {
    /// Brings the resource to what is desired.
    pub(in crate::run) async fn apply(mut self) -> Result<Applied, Failure> {
        let mut live = self.observe_or_create().await?;
        // Since when a change should be visible. While the resource is on its way, it may read as before.
        let mut changed_at: Option<Instant> = None;
        let mut was_recreated = false;
        let began = self.shutdown.stopwatch();
        let mut delays = self.job.timing.polls();
        loop {
            self.check_owner(&live)?;
            let pending = live.phase.awaited().map(str::to_owned);
            if pending.is_some() {
                changed_at = None;
            }
            let known = Circumstances {
                may_recreate: !was_recreated && self.may_recreate(&live),
                holds_data: self.traits().holds_data,
                changed_for: changed_at.map(|at| at.elapsed()),
                visible: self.job.timing.visible,
            };
            match assess(&live, self.changes(&live), &known) {
                Next::Finish => {
                    let ready = self.entry_of(&live, Status::Ready);
                    self.record(Some(ready)).await?;
                    return Ok(Applied { id: live.id, restored: self.has_restored });
                }
                Next::Fail(failure) => return Err(failure),
                Next::Recreate(why) => {
                    was_recreated = true;
                    self.note(format!("its state is {why}; it is deleted and recreated"));
                    self.delete_live(&live).await?;
                    live = self.create().await?;
                    continue;
                }
                Next::Wait(state) => {
                    self.publish_outputs(&live).await?;
                    self.unless_in_vain(Awaited::Users(self.traits().completed_by)).await?;
                    self.wait_within_limit(&live, &state, &began, &mut delays).await?;
                }
                Next::Sync(changes) => {
                    self.publish_outputs(&live).await?;
                    let is_repeated = changed_at.is_some();
                    let synced = self.sync(&live, &changes).await?;
                    if synced.in_progress.is_some() {
                        // This started something that takes its time. What is set after it has its own time to become visible.
                        changed_at = None;
                    } else if pending.is_none() {
                        changed_at.get_or_insert_with(Instant::now);
                    }
                    if let Some(arn) = synced.awaits {
                        self.unless_in_vain(Awaited::Arn(arn)).await?;
                    }
                    if let Some(state) = synced.in_progress.or(synced.visible_after).or(pending) {
                        self.wait_within_limit(&live, &state, &began, &mut delays).await?;
                    } else if is_repeated {
                        self.wait("the change to be visible", delays.next().unwrap_or_default()).await?;
                    }
                }
            }
            live = self.read_back(&live.id).await?;
        }
    }

    async fn observe_or_create(&mut self) -> Result<Live, Failure> {
        match self.job.live.take() {
            Some(live) if self.job.is_live_outdated => {
                let now = self.interruptible(self.job.driver.read(&self.job.region, &live.id)).await?;
                Ok(now.unwrap_or(*live))
            }
            Some(live) => Ok(*live),
            None => match self.read_recorded().await? {
                Some(live) => Ok(live),
                None => self.create().await,
            },
        }
    }

    /// The differences, except for properties that the endpoint does not know.
    fn changes(&self, live: &Live) -> Vec<Change> {
        let mut changes = diff::changes(self.traits(), &self.job.desired, &live.properties);
        changes.retain(|change| !self.job.unsupported.contains_key(&change.property));
        changes
    }

    /// Whether a resource that has failed may be deleted and recreated: only one that was just created. If its type holds data,
    /// this very step must have created it, because a resource that an earlier run has created may have been used since.
    fn may_recreate(&self, live: &Live) -> bool {
        let was_just_created = self
            .entry
            .as_ref()
            .is_some_and(|entry| matches!(entry.status, Status::Created) && entry.id.as_deref() == Some(&live.id));
        was_just_created && (self.has_created || !self.traits().holds_data)
    }

    async fn wait_within_limit(
        &self,
        live: &Live,
        state: &str,
        began: &Stopwatch,
        delays: &mut (impl Iterator<Item = Duration> + Send),
    ) -> Result<(), Failure> {
        let elapsed = began.elapsed();
        if elapsed > self.time_limit(self.takes().create) {
            let message = format!("{} was still {state} after {} s", live.id, elapsed.as_secs());
            return Err(Failure::new(Class::TimedOut, message)
                .help("It is recorded. Check it in the console; `drctl up` continues to wait for it."));
        }
        self.wait(state, delays.next().unwrap_or_default()).await
    }

    /// Records the outputs that a resource has while it is still being created, if other steps need no more than that.
    async fn publish_outputs(&mut self, live: &Live) -> Result<(), Failure> {
        let is_news = self.entry.as_ref().is_some_and(|entry| {
            entry.status == Status::Created && (entry.outputs != live.outputs || entry.arn != live.arn)
        });
        if self.job.is_id_used_early && is_news && live.phase.awaited().is_some() {
            let entry = self.entry_of(live, Status::Created);
            self.record(Some(entry)).await?;
        }
        Ok(())
    }

    /// Sets the properties that differ, under an intent.
    async fn sync(&mut self, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        self.record_update_intent(live).await?;
        let call = || self.job.driver.sync(&self.job.region, live, &self.job.desired, changes);
        match self.mutate(true, call).await {
            Ok(mut synced) => {
                for (property, answer) in std::mem::take(&mut synced.unsupported) {
                    self.note(format!("{property} is unsupported here: {answer}"));
                    self.job.unsupported.insert(property, answer);
                }
                Ok(synced)
            }
            Err(failure) if failure.class == Class::NotYet => Ok(Synced::in_progress(failure.message)),
            Err(failure) => Err(failure),
        }
    }

    async fn record_update_intent(&mut self, live: &Live) -> Result<(), Failure> {
        let status = match self.entry.as_ref().map(|entry| &entry.status) {
            Some(Status::Created | Status::Updating { .. }) => return Ok(()),
            // An unfinished deletion is taken back: the resource exists, and is not as desired.
            Some(Status::Creating { .. } | Status::Deleting { .. }) | None => Status::Created,
            Some(Status::Ready) => Status::Updating { since: Timestamp::now() },
        };
        let mut entry = self.entry_of(live, status);
        // Until the update is done, it may still refer to what it referred to before, which must not be deleted first.
        let before = self.entry.iter().flat_map(|entry| &entry.depends_on);
        let kept: Vec<Address> = before.filter(|address| !entry.depends_on.contains(address)).cloned().collect();
        entry.depends_on.extend(kept);
        self.record(Some(entry)).await
    }
}
