//! Route 53's health checkers for all accounts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use drctl_failover_dns::check::Checks;
use futures::future::join_all;
use serde::Serialize;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;

use super::account::Account;
use super::answer::{self, Leading};
use super::probe::Prober;
use super::verdict::{CHECKERS, Verdict};
use super::watch::{self, Means};
use super::zones::{ReadError, Source, Zone, Zones};
use crate::sync::lock;

/// When the checkers look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rhythm {
    /// All the time, at the interval of each check divided by this: the pace `aws`.
    Scaled(f64),
    /// Whenever somebody asks for the result, as often as it takes to be sure of it: the pace `instant`, in which nothing takes
    /// time. Every look is that of all checkers. Checks that nobody asks about cost nothing.
    WhenAsked,
}

/// Whether the checkers in a Region report, given the account and the Region. Those of a Region that is out do not.
pub(crate) type Reporting = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// The checkers. A clone is the same checkers; they end with the last one.
#[derive(Clone)]
pub(crate) struct Checkers {
    inner: Arc<Inner>,
}

struct Inner {
    means: Arc<Means>,
    rhythm: Rhythm,
    /// In the order in which they were first heard of.
    accounts: Mutex<Vec<Arc<Attended>>>,
    changes: channel::Sender<u64>,
}

/// What Route 53 decides in an account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Picture {
    /// Where each name with a failover pair leads.
    pub(crate) names: Vec<Leading>,
    /// The status of each check.
    pub(crate) checks: Vec<Verdict>,
}

/// An account, and the tasks of its checks. The tasks know only the account, so that they end when this is dropped.
struct Attended {
    account: Arc<Account>,
    /// How often its configuration has changed.
    wanted: AtomicU64,
    /// Which of these changes was read last.
    read: tokio::sync::Mutex<u64>,
    /// By check, and what each looks at.
    tasks: Mutex<BTreeMap<String, (Source, Task)>>,
    metrics: OnceLock<Task>,
}

/// A task that ends when this is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Checkers {
    pub(crate) fn new(zones: Arc<dyn Zones>, prober: Arc<dyn Prober>, reporting: Reporting, rhythm: Rhythm) -> Self {
        let means = Arc::new(Means { zones, prober, reporting });
        let inner = Inner { means, rhythm, accounts: Mutex::default(), changes: channel::Sender::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// To be called after each call that may have changed something in an account's Route 53: from then on, every answer
    /// is about the new configuration. The account's checks are looked at from its first change on.
    ///
    /// Needs a Tokio runtime.
    pub(crate) fn changed(&self, account: &str) {
        let attended = self.attended(account);
        attended.wanted.fetch_add(1, Ordering::SeqCst);
        if let Rhythm::Scaled(_) = self.inner.rhythm {
            let checkers = self.clone();
            tokio::spawn(async move {
                // The next question reads it again, and reports the error to whoever asks.
                if let Err(error) = checkers.inner.refresh(&attended).await {
                    tracing::warn!(%error, "the health checkers do not know of a change yet");
                }
            });
        }
    }

    /// Forgets all accounts, because "AWS" has been emptied.
    pub(crate) fn reset(&self) {
        lock(&self.inner.accounts).clear();
        self.inner.changes.send_modify(|count| *count += 1);
    }

    /// Counts the changes of any check's status in any account.
    #[cfg(test)]
    pub(crate) fn changes(&self) -> channel::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// The accounts that were heard of, in that order.
    pub(crate) fn accounts(&self) -> Vec<String> {
        lock(&self.inner.accounts).iter().map(|attended| attended.account.id.clone()).collect()
    }

    /// The status of every health check of an account, by id, and the reasons.
    ///
    /// # Errors
    /// If the account's configuration has changed and cannot be read.
    pub(crate) async fn verdicts(&self, account: &str) -> Result<Vec<Verdict>, ReadError> {
        Ok(self.asked(account).await?.account.verdicts())
    }

    /// The status of one health check; `None` if there is no such check. No other check is looked at for this.
    ///
    /// # Errors
    /// If the account's configuration has changed and cannot be read.
    pub(crate) async fn verdict(&self, account: &str, id: &str) -> Result<Option<Verdict>, ReadError> {
        let attended = self.attended(account);
        self.inner.refresh(&attended).await?;
        if self.inner.rhythm == Rhythm::WhenAsked {
            self.inner.look_now(&attended.account, |check| check == id).await?;
        }
        Ok(attended.account.verdicts().into_iter().find(|verdict| verdict.id == id))
    }

    /// The checks of an account with what was observed: the second argument of `Records::answer_of`.
    ///
    /// # Errors
    /// If the account's configuration has changed and cannot be read.
    pub(crate) async fn checks(&self, account: &str) -> Result<Checks, ReadError> {
        Ok(self.asked(account).await?.account.checks())
    }

    /// Where the names of an account lead now, and why: for `GET /_drctl/dns`.
    ///
    /// # Errors
    /// If the account's configuration has changed and cannot be read.
    pub(crate) async fn picture(&self, account: &str) -> Result<Picture, ReadError> {
        let account = Arc::clone(&self.asked(account).await?.account);
        Ok(Picture { names: answer::leading(&account.zones(), &account.checks()), checks: account.verdicts() })
    }

    /// The public zones of an account.
    ///
    /// # Errors
    /// If the account's configuration has changed and cannot be read.
    pub(crate) async fn zones(&self, account: &str) -> Result<Arc<Vec<Zone>>, ReadError> {
        let attended = self.attended(account);
        self.inner.refresh(&attended).await?;
        Ok(attended.account.zones())
    }

    async fn asked(&self, account: &str) -> Result<Arc<Attended>, ReadError> {
        let attended = self.attended(account);
        self.inner.refresh(&attended).await?;
        if self.inner.rhythm == Rhythm::WhenAsked {
            self.inner.look_now(&attended.account, |_| true).await?;
            watch::publish(&self.inner.means, &attended.account).await;
        }
        Ok(attended)
    }

    /// An account that is heard of for the first time has not been read.
    fn attended(&self, account: &str) -> Arc<Attended> {
        let mut accounts = lock(&self.inner.accounts);
        if let Some(found) = accounts.iter().find(|attended| attended.account.id == account) {
            return Arc::clone(found);
        }
        let new = Arc::new(Attended {
            account: Arc::new(Account::new(account, self.inner.changes.clone())),
            wanted: AtomicU64::new(1),
            read: tokio::sync::Mutex::default(),
            tasks: Mutex::default(),
            metrics: OnceLock::new(),
        });
        accounts.push(Arc::clone(&new));
        new
    }
}

impl Inner {
    /// Reads an account's configuration if it has changed since it was read.
    async fn refresh(&self, attended: &Attended) -> Result<(), ReadError> {
        let mut read = attended.read.lock().await;
        let wanted = attended.wanted.load(Ordering::SeqCst);
        if *read == wanted {
            return Ok(());
        }
        let configuration = self.means.zones.read(&attended.account.id).await?;
        attended.account.configure(configuration);
        if let Rhythm::Scaled(scale) = self.rhythm {
            self.watch(attended, scale);
        }
        *read = wanted;
        Ok(())
    }

    /// Starts the tasks of new checks, and ends those of deleted, disabled, and changed ones.
    fn watch(&self, attended: &Attended, scale: f64) {
        let mut tasks = lock(&attended.tasks);
        let mut old = std::mem::take(&mut *tasks);
        for (id, source, _) in attended.account.watched() {
            let task = match old.remove(&id) {
                Some((same, task)) if same == source => task,
                _ => {
                    let (means, account) = (Arc::clone(&self.means), Arc::clone(&attended.account));
                    Task(match &source {
                        Source::Endpoint(endpoint) => {
                            tokio::spawn(watch::endpoint(means, account, id.clone(), endpoint.clone(), scale))
                        }
                        Source::Alarm(alarm) => {
                            tokio::spawn(watch::alarm(means, account, id.clone(), alarm.clone(), scale))
                        }
                        Source::Nothing => continue,
                    })
                }
            };
            tasks.insert(id, (source, task));
        }
        drop(tasks);
        attended.metrics.get_or_init(|| {
            Task(tokio::spawn(watch::metrics(Arc::clone(&self.means), Arc::clone(&attended.account), scale)))
        });
    }

    /// Looks at everything that these checks of an account depend on, and lets the results count.
    async fn look_now(&self, account: &Account, of: impl Fn(&str) -> bool) -> Result<(), ReadError> {
        let watched = account.watched().into_iter().filter(|(id, ..)| of(id));
        let looks = watched.map(|(id, source, threshold)| async move {
            match source {
                Source::Endpoint(endpoint) => {
                    let look = || self.means.prober.look(&account.id, &endpoint);
                    let mut outcome = look().await;
                    // It takes as many failures in a row: a function that starts slowly has failed one look.
                    for _ in 1..threshold {
                        if outcome.success || !account.takes_as_alive(&id) {
                            break;
                        }
                        outcome = look().await;
                    }
                    for checker in watch::chosen(&endpoint) {
                        if (self.means.reporting)(&account.id, CHECKERS[checker].region) {
                            account.report(&id, checker, threshold, &outcome);
                        } else {
                            account.silence(&id, checker);
                        }
                    }
                }
                Source::Alarm(alarm) => account.alarm(&id, self.means.zones.alarm(&account.id, &alarm).await?),
                Source::Nothing => {}
            }
            Ok(())
        });
        join_all(looks).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
