//! What one Region owes another: writes that are carried out where they were made, and have yet to arrive elsewhere.
//!
//! The emulator keeps what is owed, and this module decides when it is delivered: after the service's lag, in the order
//! of the writes, and not while the two Regions are not connected. There is a queue for each account, service, and
//! direction, so none waits for another. What is delivered into is not known here: a [`Carrier`] does that.
//! See docs/aws-behaviour.md#global-table-replicates-by-item and docs/aws-behaviour.md#object-replication-has-a-status.

mod lag;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::regions::{Place, Regions};
use crate::sync::lock;
use lag::Lags;
pub use lag::{Lag, LagOrder, LagOrders};

/// How many are delivered at once: more would keep the emulator from answering calls in between.
const AT_ONCE: usize = 100;

/// How long to wait before a delivery is tried again that the emulator did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// From where to where something is owed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Direction {
    pub(crate) account: String,
    /// The signing name.
    pub(crate) service: &'static str,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What is replicated, as the service's metrics name it: a table, the two buckets of a rule, or a secret.
pub(crate) type Subject = BTreeMap<String, String>;

/// A write that another Region has yet to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owed {
    /// The emulator's number for it. Later writes have greater numbers.
    pub(crate) number: u64,
    pub(crate) direction: Direction,
    pub(crate) subject: Subject,
    pub(crate) bytes: u64,
}

impl Owed {
    /// `None` if the service does not replicate.
    pub(crate) fn new(
        number: u64,
        (account, service, from, to): (String, &str, String, String),
        subject: Subject,
        bytes: u64,
    ) -> Option<Self> {
        let service = lag::service(service)?;
        Some(Self { number, direction: Direction { account, service, from, to }, subject, bytes })
    }
}

/// Something on its way, and how long it has been.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    pub(crate) owed: Owed,
    pub(crate) age: Duration,
}

/// Delivers what is owed.
pub(crate) trait Carrier: Send + Sync {
    /// Delivers what is given, in this order. An error means that none of it is known to have been delivered, and that
    /// it is tried again.
    fn deliver<'a>(&'a self, carried: &'a [Carried]) -> BoxFuture<'a, Result<(), String>>;
}

/// What is on its way in one direction, of one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The account.
    pub account: String,
    /// The service's signing name.
    pub service: String,
    /// The Region of the write.
    pub from: String,
    /// The Region that has yet to see it.
    pub to: String,
    /// The table, the buckets, or the secret.
    pub subject: BTreeMap<String, String>,
    /// How many writes.
    pub count: usize,
    /// Their size.
    pub bytes: u64,
    /// The age of the oldest of them, in seconds.
    pub oldest: f64,
}

/// The lags, and what is on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicationState {
    /// The lag of each service, by its signing name.
    pub lags: BTreeMap<String, Lag>,
    /// What is on its way, by account, service, and direction.
    pub pending: Vec<Pending>,
}

/// Replication between Regions. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Replication {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    regions: Regions,
    began: Instant,
    state: Mutex<State>,
    /// The number of changes of lags so far.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    lags: Lags,
    queues: BTreeMap<Direction, Queue>,
    /// The number that the last queue has at most.
    queues_made: u64,
}

#[derive(Debug)]
struct Queue {
    /// Tells a queue from an earlier one of the same direction.
    number: u64,
    entries: VecDeque<Entry>,
    /// Whether a task sees to it.
    attended: bool,
    /// Held by whoever delivers.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Clone)]
struct Entry {
    owed: Owed,
    written: Instant,
    /// The lag if none was ordered.
    usual: Duration,
}

/// When the next entry of a queue can be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// There is none.
    Nothing,
    At(Instant),
    /// When the Regions are connected again.
    Cut,
}

impl Queue {
    fn new(number: u64) -> Self {
        Self { number, entries: VecDeque::new(), attended: false, turn: Arc::default() }
    }
}

impl Replication {
    /// `scale`: how many times faster than AWS time passes; `None` if nothing takes time.
    pub(crate) fn new(regions: Regions, scale: Option<f64>) -> Self {
        let state = Mutex::new(State { lags: Lags::new(scale), ..State::default() });
        Self { shared: Arc::new(Shared { regions, began: Instant::now(), state, changes: watch::Sender::default() }) }
    }

    /// Takes note of what is owed from now on, and delivers what is due. What takes no time has arrived when this
    /// returns.
    pub(crate) async fn owe(&self, owed: Vec<Owed>, carrier: &Arc<dyn Carrier>) {
        for direction in self.note(owed) {
            self.deliver_due(&direction, carrier.as_ref()).await;
            if let Some(number) = self.to_attend(&direction) {
                tokio::spawn(self.clone().attend(direction, number, Arc::clone(carrier)));
            }
        }
    }

    /// Adds to the queues, and returns those that were added to.
    fn note(&self, owed: Vec<Owed>) -> Vec<Direction> {
        let (written, mut directions) = (Instant::now(), Vec::new());
        let mut state = lock(&self.shared.state);
        for owed in owed {
            let direction = owed.direction.clone();
            let usual = state.lags.usual(direction.service, written - self.shared.began);
            state.queues_made += 1;
            let number = state.queues_made;
            let queue = state.queues.entry(direction.clone()).or_insert_with(|| Queue::new(number));
            // Two answers of the emulator may have overtaken each other.
            let place = queue.entries.partition_point(|entry| entry.owed.number < owed.number);
            queue.entries.insert(place, Entry { owed, written, usual });
            if !directions.contains(&direction) {
                directions.push(direction);
            }
        }
        directions
    }

    /// The number of a queue that needs a task to see to it.
    fn to_attend(&self, direction: &Direction) -> Option<u64> {
        let mut state = lock(&self.shared.state);
        let queue = state.queues.get_mut(direction).filter(|queue| !queue.entries.is_empty() && !queue.attended)?;
        queue.attended = true;
        Some(queue.number)
    }

    /// Delivers what is owed in one direction until nothing is left.
    async fn attend(self, direction: Direction, number: u64, carrier: Arc<dyn Carrier>) {
        let mut regions = self.shared.regions.changed();
        let mut lags = self.shared.changes.subscribe();
        loop {
            // Before it is looked at, so that no change is missed.
            regions.mark_unchanged();
            lags.mark_unchanged();
            let due = match self.due(&direction, number) {
                Due::Nothing => return,
                Due::At(due) => Some(due),
                Due::Cut => None,
            };
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {
                    if !self.deliver_due(&direction, carrier.as_ref()).await {
                        tokio::time::sleep(AGAIN).await;
                    }
                }
                // The senders are this object's own.
                _ = regions.changed() => {}
                _ = lags.changed() => {}
            }
        }
    }

    /// When something is due in a direction. A queue in which there is nothing is not attended any more.
    fn due(&self, direction: &Direction, number: u64) -> Due {
        let connects = self.connects(direction);
        let mut state = lock(&self.shared.state);
        let State { queues, lags, .. } = &mut *state;
        let Some(queue) = queues.get_mut(direction).filter(|queue| queue.number == number) else { return Due::Nothing };
        match queue.entries.front() {
            None => {
                queue.attended = false;
                Due::Nothing
            }
            Some(_) if !connects => Due::Cut,
            Some(entry) => Due::At(entry.due(lags)),
        }
    }

    fn connects(&self, direction: &Direction) -> bool {
        let Direction { account, service, from, to } = direction;
        let (from, to) = (Place { region: from, service }, Place { region: to, service });
        self.shared.regions.connects(account, from, to)
    }

    /// Delivers everything that is due in a direction. Returns false if the carrier could not.
    async fn deliver_due(&self, direction: &Direction, carrier: &dyn Carrier) -> bool {
        let turn = lock(&self.shared.state).queues.get(direction).map(|queue| Arc::clone(&queue.turn));
        let Some(turn) = turn else { return true };
        let _held = turn.lock().await;
        loop {
            let carried = self.carried(direction);
            if carried.is_empty() {
                return true;
            }
            if let Err(why) = carrier.deliver(&carried).await {
                tracing::warn!(?direction, count = carried.len(), why, "nothing could be delivered: trying again");
                return false;
            }
            // Only now: what is being delivered is still pending. It may have been forgotten in the meantime.
            if let Some(queue) = lock(&self.shared.state).queues.get_mut(direction) {
                let is_delivered = |number| carried.binary_search_by_key(&number, |it| it.owed.number).is_ok();
                queue.entries.retain(|entry| !is_delivered(entry.owed.number));
            }
        }
    }

    /// What is due in a direction: as much as is delivered at once.
    fn carried(&self, direction: &Direction) -> Vec<Carried> {
        if !self.connects(direction) {
            return Vec::new();
        }
        let now = Instant::now();
        let state = lock(&self.shared.state);
        let entries = state.queues.get(direction).into_iter().flat_map(|queue| &queue.entries);
        let due = entries.take_while(|entry| entry.due(&state.lags) <= now).take(AT_ONCE);
        due.map(|entry| Carried { owed: entry.owed.clone(), age: now - entry.written }).collect()
    }

    /// Orders how long replication shall take, for one account or for all of them. What is on its way follows the
    /// order, too.
    ///
    /// # Errors
    ///
    /// When an order makes no sense: then none is carried out.
    pub(crate) fn order(&self, account: Option<&str>, orders: &LagOrders) -> Result<(), String> {
        lock(&self.shared.state).lags.order(account, orders)?;
        self.shared.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// The lags, and what is on its way, for one account or for all of them.
    pub(crate) fn shown(&self, account: Option<&str>) -> ReplicationState {
        let lags = lock(&self.shared.state).lags.shown(account);
        let mut pending = self.pending();
        pending.retain(|pending| account.is_none_or(|account| pending.account == account));
        ReplicationState { lags, pending }
    }

    /// What is on its way.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        let now = Instant::now();
        let state = lock(&self.shared.state);
        let mut found: BTreeMap<(&Direction, &Subject), Pending> = BTreeMap::new();
        for (direction, queue) in &state.queues {
            for Entry { owed, written, .. } in &queue.entries {
                let pending = found.entry((direction, &owed.subject)).or_insert_with(|| Pending {
                    account: direction.account.clone(),
                    service: direction.service.to_owned(),
                    from: direction.from.clone(),
                    to: direction.to.clone(),
                    subject: owed.subject.clone(),
                    count: 0,
                    bytes: 0,
                    // The first one is the oldest.
                    oldest: (now - *written).as_secs_f64(),
                });
                pending.count += 1;
                pending.bytes += owed.bytes;
            }
        }
        found.into_values().collect()
    }

    /// Forgets what is owed, and what was ordered, for one account or for all of them.
    pub(crate) fn reset(&self, account: Option<&str>) {
        let mut state = lock(&self.shared.state);
        state.queues.retain(|direction, _| account.is_some_and(|account| direction.account != account));
        state.lags.reset(account);
        drop(state);
        self.shared.changes.send_modify(|changes| *changes += 1);
    }
}

impl Entry {
    fn due(&self, lags: &Lags) -> Instant {
        let direction = &self.owed.direction;
        self.written + lags.ordered(&direction.account, direction.service).unwrap_or(self.usual)
    }
}
