//! Creation: never two, never an orphan. The intent is durable before the call is sent, and an intent of unknown result is resolved
//! before anything is sent again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{LOST_ANSWERS, Worker};
use crate::driver::{Attempt, Live};
use crate::failure::{Class, Failure};
use crate::plan::diff;
use crate::state::{Entry, Status};

impl Worker {
    /// Creates the resource, or finds what an earlier call of an open intent has created.
    pub(super) async fn create(&mut self) -> Result<Live, Failure> {
        let mut attempt = Attempt { token: uuid::Uuid::new_v4().simple().to_string() };
        let mut may_exist = false;
        if let Some(Status::Creating { attempt: open, .. }) = self.entry.as_ref().map(|entry| entry.status.clone()) {
            attempt.token = open;
            may_exist = true;
            if let Some(live) = self.resolve(&attempt, self.grace()).await? {
                return self.record_found(live, &attempt).await;
            }
        } else {
            self.record_creation_intent(&attempt).await?;
        }
        let mut lost = 0;
        loop {
            let answer =
                self.mutate(false, || self.job.driver.create(&self.job.region, &self.job.desired, &attempt)).await;
            let failure = match answer {
                Ok(id) => {
                    self.has_created = true;
                    self.record_created(&id, &attempt).await?;
                    let live = self.read_back(&id).await?;
                    // One that was scheduled for deletion has the tag of the attempt that once created it.
                    self.has_restored = live.owner.attempt().is_some_and(|token| token != attempt.token);
                    return Ok(live);
                }
                Err(failure) => failure,
            };
            match failure.class {
                Class::Ambiguous | Class::Unreachable | Class::TimedOut if lost < LOST_ANSWERS => {
                    lost += 1;
                    let delay = self.job.timing.retry(lost);
                    self.retrying(failure, delay);
                    self.pause(delay).await?;
                    may_exist = true;
                    if let Some(live) = self.resolve(&attempt, self.grace()).await? {
                        return self.record_found(live, &attempt).await;
                    }
                }
                Class::Ambiguous | Class::Unreachable | Class::TimedOut | Class::Interrupted | Class::Internal => {
                    return Err(failure);
                }
                Class::Exists => return self.take_name(failure, &attempt, may_exist).await,
                _ => {
                    self.close_intent(may_exist).await?;
                    return Err(failure);
                }
            }
        }
    }

    /// AWS says that the name is taken: by this very resource, which an earlier call has created, or by one that is not this
    /// stack's.
    async fn take_name(&mut self, failure: Failure, attempt: &Attempt, may_exist: bool) -> Result<Live, Failure> {
        let refusal = match self.holder_of_name().await? {
            Some(live) => match self.check_owner(&live) {
                Ok(()) => return self.record_found(live, attempt).await,
                Err(foreign) => foreign,
            },
            None => failure,
        };
        self.close_intent(may_exist).await?;
        Err(refusal)
    }

    /// Determines the result of an attempt. Only after the grace period does "not found" mean "not created". It is counted from
    /// now: the wall clock may have been set since the intent was written, and too short a period could lead to a duplicate.
    pub(super) async fn resolve(&self, attempt: &Attempt, grace: Duration) -> Result<Option<Live>, Failure> {
        let until = Instant::now() + grace;
        let mut delays = self.job.timing.polls();
        loop {
            let found = match self.holder_of_name().await? {
                Some(live) => Some(live),
                None => self.interruptible(self.job.driver.search(&self.job.region, attempt)).await?,
            };
            if found.is_some() {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            self.wait("a resource of an earlier attempt to become visible", delays.next().unwrap_or_default()).await?;
        }
    }

    /// How long a resource that an attempt has created may stay invisible before the attempt is repeated. The same token does not
    /// create a second one, so there is nothing to wait for where AWS honours it.
    fn grace(&self) -> Duration {
        if self.traits().idempotent_create { Duration::ZERO } else { self.longest_grace() }
    }

    /// The same, where nothing is sent again afterwards, whether AWS would honour the token or not.
    pub(super) fn longest_grace(&self) -> Duration {
        self.job.timing.grace * self.traits().grace
    }

    async fn record_creation_intent(&mut self, attempt: &Attempt) -> Result<(), Failure> {
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

    /// AWS has refused a create call, so it has created nothing, and its intent is closed. The intent stays open if an earlier call of
    /// the same attempt may have been carried out: the next run then has to look again.
    async fn close_intent(&mut self, may_exist: bool) -> Result<(), Failure> {
        if may_exist { Ok(()) } else { self.record(None).await }
    }

    /// Records a resource that an earlier call of the attempt has created.
    async fn record_found(&mut self, live: Live, attempt: &Attempt) -> Result<Live, Failure> {
        self.check_owner(&live)?;
        self.record_created(&live.id, attempt).await?;
        Ok(live)
    }

    async fn record_created(&mut self, id: &str, attempt: &Attempt) -> Result<(), Failure> {
        let now = Timestamp::now();
        let Some(mut entry) = self.entry.clone() else {
            return Err(Failure::new(Class::Internal, format!("{id} was created without an intent")));
        };
        entry.status = Status::Created;
        entry.id = Some(id.to_owned());
        entry.attempt = Some(attempt.token.clone());
        entry.updated_at = now;
        self.record(Some(entry)).await
    }
}
