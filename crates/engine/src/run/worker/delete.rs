//! A delete step: deletes the resource and waits until it no longer exists.

use jiff::Timestamp;

use super::Worker;
use crate::driver::{Attempt, Deletion, Live, Phase};
use crate::failure::{Class, Failure};
use crate::ownership::ownership;
use crate::state::{Entry, Status};

impl Worker {
    /// Deletes the resource and waits until it no longer exists.
    pub(in crate::run) async fn delete(mut self) -> Result<(), Failure> {
        let is_unplanned = self.job.live.is_none();
        let live = match self.job.live.take() {
            Some(live) => Some(*live),
            None => self.find_recorded().await?,
        };
        if let Some(live) = live {
            // Checked even with `--adopt`: permission to take over a resource is not permission to delete it.
            ownership(&self.job.address, &live, self.recorded_id())?;
            if is_unplanned && self.traits().holds_data && self.was_in_use() {
                let message = format!("{} did not exist when the plan was made, and exists now", live.id);
                return Err(Failure::new(Class::Refused, message)
                    .help("It holds data, and the plan did not include its deletion. Run `drctl plan` again."));
            }
            self.delete_live(&live).await?;
        } else if self.entry.is_some() {
            self.record(None).await?;
        }
        Ok(())
    }

    /// Whether the resource has ever been ready: what an open intent has created holds no data yet.
    fn was_in_use(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| !matches!(entry.status, Status::Creating { .. } | Status::Created))
    }

    async fn find_recorded(&mut self) -> Result<Option<Live>, Failure> {
        let Some(entry) = self.entry.clone() else { return Ok(None) };
        match &entry.status {
            Status::Creating { attempt, .. } => {
                // Nothing is sent again after this, so even where AWS would honour the token, only time can tell.
                self.resolve(&Attempt { token: attempt.clone() }, self.longest_grace()).await
            }
            _ => self.read_recorded().await,
        }
    }

    pub(super) async fn delete_live(&mut self, live: &Live) -> Result<(), Failure> {
        if !self.traits().removable {
            return self.record(None).await;
        }
        self.record_deletion_intent(live).await?;
        let mut live = live.clone();
        let had_failed = matches!(live.phase, Phase::Failed(_));
        let mut is_requested = matches!(live.phase, Phase::Deleting(_));
        let mut delays = self.job.timing.polls();
        let began = self.shutdown.stopwatch();
        loop {
            // What has to happen before AWS can be asked again.
            let mut first = None;
            if !is_requested {
                match self.mutate(true, || self.job.driver.delete(&self.job.region, &live)).await {
                    Ok(Deletion::Requested) => is_requested = true,
                    Ok(Deletion::NotYet(what)) => first = Some(what),
                    Ok(Deletion::LeftBehind(how)) => {
                        self.note(format!("{} cannot be deleted: {how}", live.id));
                        return self.record(None).await;
                    }
                    Ok(Deletion::Scheduled) => {
                        self.note(format!("{} is scheduled for deletion, and can be restored until then", live.id));
                        return self.record(None).await;
                    }
                    Ok(Deletion::Kept(why)) => {
                        self.note(format!("{} is kept: {why}", live.id));
                        return self.record(Some(self.entry_of(&live, Status::Ready))).await;
                    }
                    Err(failure) if failure.class == Class::NotFound => is_requested = true,
                    Err(failure) => return Err(failure),
                }
            }
            match self.interruptible(self.job.driver.read(&self.job.region, &live.id)).await? {
                Some(now) => live = now,
                None if first.is_none() => return self.record(None).await,
                // Its deletion has not been requested yet: a read that lags does not prove that it no longer exists.
                None => {}
            }
            let state = match (first, &live.phase) {
                (Some(what), _) => what,
                (None, Phase::Deleting(state)) => state.clone(),
                // A resource that has failed may stay listed for hours, and cannot be deleted: AWS removes it.
                (None, Phase::Failed(_)) if had_failed => return self.record(None).await,
                (None, Phase::Failed(_) | Phase::Pending(_) | Phase::Stalled(_) | Phase::Ready) => {
                    "still listed after its deletion".to_owned()
                }
            };
            let elapsed = began.elapsed();
            if elapsed > self.time_limit(self.takes().delete) {
                let message = format!("{} was {state} for {} s", live.id, elapsed.as_secs());
                return Err(Failure::new(Class::TimedOut, message).help(if self.job.desired.is_empty() {
                    "It is recorded. Run the same command again: it continues to wait."
                } else {
                    "It is recorded. `drctl up` continues to wait for it."
                }));
            }
            self.wait(&state, delays.next().unwrap_or_default()).await?;
        }
    }

    async fn record_deletion_intent(&mut self, live: &Live) -> Result<(), Failure> {
        if matches!(self.entry.as_ref().map(|entry| &entry.status), Some(Status::Deleting { .. })) {
            return Ok(());
        }
        let intent = self.entry_of(live, Status::Deleting { since: Timestamp::now() });
        if self.entry.is_none() {
            self.record(Some(Entry { status: Status::Created, ..intent.clone() })).await?;
        }
        self.record(Some(intent)).await
    }
}
