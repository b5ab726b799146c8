//! Aurora: clusters that are PostgreSQL servers, one for each cluster, and global databases that replicate between Regions.
//!
//! | part | what it does |
//! |---|---|
//! | this file | what the rules tell it, and where SQL goes |
//! | `account` | the clusters of an account, and the queue of what is being done with their servers |
//! | `life` | makes, starts, stops, and removes servers; snapshots |
//! | `links` | the pipes between Regions, and the doors for clients, as the conditions of the Regions have them |
//! | `servers` | what the control plane of a global database has its servers do |
//! | `switch` | how that is done |
//! | `listing` | what there is, for people |
//! | `databases`, `operation` | the control plane of global databases: switchovers and failovers in progress |
//! | `events`, `lost` | what it tells, and the snapshots of the writes that failovers lost |
//!
//! A cluster has one server, however many instances it has. Its server is made in the background when it gets its first
//! instance; whoever wants to send it SQL waits.

mod account;
pub(crate) mod databases;
#[cfg(test)]
mod databases_tests;
pub(crate) mod events;
mod life;
mod links;
pub(crate) mod listing;
pub(crate) mod lost;
pub(crate) mod operation;
pub(crate) mod servers;
mod switch;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use self::account::{Account, Cluster, Role, Snapshot, State};
use self::lost::{SnapshotData, SnapshotName};
use self::servers::Done;
use crate::sync::lock;
use crate::world::postgres::Programs;
use crate::world::regions::Regions;

/// Why something is not done any more.
const REMOVED: &str = "the clusters of the account are being removed";

/// How long whoever wants to reach a server waits for it.
const REACHED_WITHIN: Duration = Duration::from_secs(45);

/// Where SQL for a cluster goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The port on loopback. It stays the cluster's for as long as the cluster exists.
    pub(crate) port: u16,
    /// The database that the cluster was created with; `None` if it was created without one.
    pub(crate) database: Option<String>,
    /// The role that owns it: the master user.
    pub(crate) owner: String,
    /// Whether the cluster takes writes: false while its control plane has fenced it.
    pub(crate) is_writer: bool,
    /// The cluster's Region.
    pub(crate) region: String,
    /// The cluster's identifier.
    pub(crate) cluster: String,
}

/// Why a cluster takes no SQL over its Data API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// There is no Aurora PostgreSQL cluster with this ARN.
    #[error("there is no such cluster")]
    NoSuchCluster,
    /// Its Data API is off.
    #[error("its HTTP endpoint is not enabled")]
    HttpEndpointDisabled,
    /// It has no instance.
    #[error("it has no DB instance")]
    NoInstance,
    /// It is a secondary cluster of a global database.
    #[error("it is a secondary cluster")]
    Reader,
    /// It is in a state in which it does not work, in AWS's word for it.
    #[error("it is {0}")]
    NotAvailable(String),
    /// Its server does not run: why, and what to do.
    #[error("its PostgreSQL server does not run: {0}")]
    Failed(String),
}

/// Where the servers of a sandbox are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The folder of PostgreSQL's programs; `None` if they are not installed.
    pub(crate) programs: Option<PathBuf>,
    /// The folder of the servers, which is created.
    pub(crate) home: PathBuf,
}

/// A cluster that was created. A secondary cluster has its master user and its database from the writer, and one that is
/// restored from the snapshot, whatever is said here.
#[derive(Debug, Clone)]
pub(crate) struct NewCluster {
    pub(crate) arn: String,
    /// The master user.
    pub(crate) owner: String,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) http_endpoint: bool,
    /// The id of the global cluster that it is a member of.
    pub(crate) global: Option<String>,
}

/// A snapshot by its Region and its id.
pub(crate) type SnapshotKey<'a> = (&'a str, &'a str);

/// The clusters of all accounts. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Aurora {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Option<Place>,
    /// How many times faster than AWS time passes; `None` if nothing takes AWS's time.
    scale: Option<f64>,
    regions: Regions,
    programs: OnceCell<Programs>,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
    /// The lags that were ordered, by account, or for all of them.
    lags: Mutex<HashMap<Option<String>, Duration>>,
    /// Whether the conditions of the Regions are being followed.
    follows: AtomicBool,
    /// Whether what servers need has been prepared, or is being.
    is_prepared: AtomicBool,
}

/// What whoever wants to reach a cluster finds.
enum Found {
    Reach(Reach, Arc<crate::world::postgres::Server>, u64),
    Wait,
    Not(Unavailable),
}

impl Aurora {
    /// An Aurora without clusters. `place`: where its servers are; without, none can be made.
    pub(crate) fn new(place: Option<Place>, regions: &Regions, scale: Option<f64>) -> Self {
        if let Some(place) = &place {
            place.clean();
        }
        Self {
            shared: Arc::new(Shared {
                place,
                scale,
                regions: regions.clone(),
                programs: OnceCell::new(),
                accounts: Mutex::default(),
                lags: Mutex::default(),
                follows: AtomicBool::new(false),
                is_prepared: AtomicBool::new(false),
            }),
        }
    }

    /// The account, which is there from now on.
    fn account(&self, id: &str) -> Arc<Account> {
        links::follow(&self.shared);
        Arc::clone(lock(&self.shared.accounts).entry(id.to_owned()).or_insert_with(|| Arc::new(Account::new(id))))
    }

    /// The account, if it has had anything to do with Aurora.
    fn known(&self, id: &str) -> Option<Arc<Account>> {
        lock(&self.shared.accounts).get(id).cloned()
    }

    /// Has PostgreSQL's programs looked for, and made what all servers are copied from, in the background and only once:
    /// whoever waits for the first server then waits half a second less.
    pub(crate) fn prepare(&self) {
        if self.shared.place.is_some() && !self.shared.is_prepared.swap(true, Ordering::Relaxed) {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { life::prepare(&shared).await });
        }
    }

    /// A cluster was created. It has no server yet.
    pub(crate) fn cluster_created(&self, account: &str, new: NewCluster) {
        let account = self.account(account);
        let (region, name) = parts(&new.arn);
        account.change(|catalogue| {
            let writer = new.global.as_deref().and_then(|global| catalogue.writer(global)).map(|(_, writer)| writer);
            let role = if writer.is_some() { Role::Secondary } else { Role::Writer };
            let (owner, password, database) = match writer {
                Some(writer) => (writer.owner.clone(), writer.password.clone(), writer.database.clone()),
                None => (new.owner, new.password, new.database),
            };
            catalogue.add(Cluster {
                arn: new.arn,
                region,
                name,
                owner,
                password,
                due_password: None,
                database,
                http_endpoint: new.http_endpoint,
                instances: BTreeSet::new(),
                global: new.global,
                role,
                fenced: false,
                state: State::Idle,
                server: None,
                door: None,
                stream: None,
                caught_up: Instant::now(),
                deleted: false,
            });
        });
    }

    /// A cluster got an instance. With the first one, its server is made or started.
    pub(crate) fn instance_created(&self, account: &str, region: &str, cluster: &str, instance: &str) {
        let account = self.account(account);
        let first = account.change(|catalogue| {
            let (number, _) = catalogue.named(region, cluster)?;
            let cluster = catalogue.clusters.get_mut(&number)?;
            cluster.instances.insert(instance.to_owned());
            if cluster.state == State::Serving {
                return None;
            }
            cluster.state = State::Starting;
            Some(number)
        });
        if let Some(number) = first {
            self.serve(&account, number);
        }
    }

    /// Has a cluster's server made or started.
    fn serve(&self, account: &Arc<Account>, number: u64) {
        life::enqueue_serve(&self.shared, account, number);
    }

    /// An instance was deleted. Without instances, a cluster keeps its data and is not reached any more.
    pub(crate) fn instance_deleted(&self, account: &str, region: &str, instance: &str) {
        let Some(account) = self.known(account) else { return };
        let last = account.change(|catalogue| {
            let (number, _) = catalogue.of_instance(region, instance)?;
            let cluster = catalogue.clusters.get_mut(&number)?;
            cluster.instances.remove(instance);
            cluster.instances.is_empty().then_some(number)
        });
        if let Some(number) = last {
            let of = Arc::clone(&account);
            drop(account.enqueue(async move { life::rest(&of, number).await }));
        }
    }

    /// A cluster was deleted, with its data.
    pub(crate) fn cluster_deleted(&self, account: &str, region: &str, cluster: &str) {
        let Some(account) = self.known(account) else { return };
        let deleted = account.change(|catalogue| {
            let (number, _) = catalogue.named(region, cluster)?;
            catalogue.clusters.get_mut(&number)?.deleted = true;
            Some(number)
        });
        if let Some(number) = deleted {
            let of = Arc::clone(&account);
            drop(account.enqueue(async move { life::remove(&of, number).await }));
        }
    }

    /// The master user of a cluster got another password.
    pub(crate) fn password_changed(&self, account: &str, region: &str, cluster: &str, password: &str) {
        let Some(account) = self.known(account) else { return };
        let changed = account.change(|catalogue| {
            let (number, _) = catalogue.named(region, cluster)?;
            let cluster = catalogue.clusters.get_mut(&number)?;
            cluster.due_password = Some(password.to_owned());
            // The secondaries have the writer's password.
            let global = cluster.global.clone();
            for (other, cluster) in &mut catalogue.clusters {
                if *other == number || (global.is_some() && cluster.global == global) {
                    cluster.password = Some(password.to_owned());
                }
            }
            Some(number)
        });
        if let Some(number) = changed {
            let of = Arc::clone(&account);
            drop(account.enqueue(async move { life::set_password(&of, number).await }));
        }
    }

    /// The Data API of a cluster was switched on or off.
    pub(crate) fn http_endpoint_set(&self, account: &str, region: &str, cluster: &str, on: bool) {
        let Some(account) = self.known(account) else { return };
        account.change(|catalogue| {
            if let Some((number, _)) = catalogue.named(region, cluster)
                && let Some(cluster) = catalogue.clusters.get_mut(&number)
            {
                cluster.http_endpoint = on;
            }
        });
    }

    /// A global cluster was made of a cluster, which is its writer.
    pub(crate) fn joined(&self, account: &str, region: &str, cluster: &str, global: &str) {
        let Some(account) = self.known(account) else { return };
        account.change(|catalogue| {
            if let Some((number, _)) = catalogue.named(region, cluster)
                && let Some(cluster) = catalogue.clusters.get_mut(&number)
            {
                cluster.global = Some(global.to_owned());
            }
        });
    }

    /// A cluster has left its global cluster: it has its data for itself from now on, and takes writes.
    pub(crate) fn left(&self, account: &str, region: &str, cluster: &str) {
        let Some(account) = self.known(account) else { return };
        let left = account.read(|catalogue| catalogue.named(region, cluster).map(|(number, _)| number));
        if let Some(number) = left {
            account.change_one(number, |cluster| {
                if cluster.role == Role::Secondary && !cluster.instances.is_empty() {
                    cluster.state = State::Unavailable("promoting");
                }
            });
            let (shared, of) = (Arc::clone(&self.shared), Arc::clone(&account));
            drop(account.enqueue(async move { life::detach(&shared, &of, number).await }));
        }
    }

    /// A cluster that is in no global cluster was stopped, or started again.
    pub(crate) fn power(&self, account: &str, region: &str, cluster: &str, on: bool) {
        let Some(account) = self.known(account) else { return };
        let number = account.change(|catalogue| {
            let (number, _) = catalogue.named(region, cluster)?;
            let cluster = catalogue.clusters.get_mut(&number)?;
            let has_instance = !cluster.instances.is_empty();
            cluster.state = match (on, has_instance) {
                (false, _) => State::Unavailable("stopped"),
                (true, true) => State::Starting,
                (true, false) => State::Idle,
            };
            has_instance.then_some(number)
        });
        if let Some(number) = number {
            if on {
                self.serve(&account, number);
            } else {
                let of = Arc::clone(&account);
                drop(account.enqueue(async move { life::stop(&of, number).await }));
            }
        }
    }

    /// A snapshot was made of a cluster.
    pub(crate) fn snapshot_created(&self, account: &str, region: &str, cluster: &str, snapshot: &str) {
        let Some(account) = self.known(account) else { return };
        let number = account.change(|catalogue| {
            let (number, cluster) = catalogue.named(region, cluster)?;
            let entry = Snapshot::of(cluster);
            catalogue.snapshots.insert((region.to_owned(), snapshot.to_owned()), entry);
            Some(number)
        });
        if let Some(number) = number {
            let (shared, of, id) = (Arc::clone(&self.shared), Arc::clone(&account), snapshot.to_owned());
            drop(account.enqueue(async move { life::snapshot(&shared, &of, number, &id).await }));
        }
    }

    /// Keeps the data of a snapshot under another name, too, perhaps in another Region. A snapshot that is not known has
    /// no data, and nothing is done.
    pub(crate) fn copy_snapshot<'a>(
        &self,
        account: &'a str,
        from: SnapshotKey<'a>,
        to: SnapshotKey<'a>,
    ) -> Done<'a, ()> {
        let owned = |(region, id): SnapshotKey<'_>| (region.to_owned(), id.to_owned());
        let (from, to) = (owned(from), owned(to));
        self.in_turn_if_known(account, |shared, account| async move {
            life::copy_snapshot(&shared, &account, &from, to).await
        })
    }

    /// Removes a snapshot's data, if there is any.
    pub(crate) fn delete_snapshot<'a>(&self, account: &'a str, snapshot: SnapshotKey<'a>) -> Done<'a, ()> {
        let key = (snapshot.0.to_owned(), snapshot.1.to_owned());
        self.in_turn_if_known(account, |_, account| async move { life::remove_snapshot(&account, &key).await })
    }

    /// Gives a new cluster, which has no instance yet, the data of a snapshot in its Region.
    pub(crate) fn restore<'a>(&self, account: &'a str, snapshot: SnapshotKey<'a>, cluster: &'a str) -> Done<'a, ()> {
        let (key, arn) = ((snapshot.0.to_owned(), snapshot.1.to_owned()), cluster.to_owned());
        self.in_turn_if_known(
            account,
            |shared, account| async move { life::restore(&shared, &account, &key, &arn).await },
        )
    }

    /// A snapshot was deleted.
    pub(crate) fn snapshot_deleted(&self, account: &str, region: &str, snapshot: &str) {
        let Some(account) = self.known(account) else { return };
        let (of, key) = (Arc::clone(&account), (region.to_owned(), snapshot.to_owned()));
        drop(account.enqueue(async move {
            if let Err(why) = life::remove_snapshot(&of, &key).await {
                tracing::error!(why, "cannot remove the data of a snapshot");
            }
        }));
    }

    /// Does something in the account's queue, and waits for it; nothing if the account has no clusters.
    fn in_turn_if_known<'a, W>(&self, account: &str, work: impl FnOnce(Arc<Shared>, Arc<Account>) -> W) -> Done<'a, ()>
    where
        W: Future<Output = Result<(), String>> + Send + 'static,
    {
        let done =
            self.known(account).map(|account| account.enqueue(work(Arc::clone(&self.shared), Arc::clone(&account))));
        async move {
            match done {
                None => Ok(()),
                Some(done) => done.await.unwrap_or_else(|_| Err(REMOVED.to_owned())),
            }
        }
        .boxed()
    }

    /// The ARN of the writer of a global cluster.
    pub(crate) fn writer_of(&self, account: &str, global: &str) -> Option<String> {
        self.known(account)?.read(|catalogue| catalogue.writer(global).map(|(_, writer)| writer.arn.clone()))
    }

    /// Whether a cluster's server does not run although it should. Waits for one that is starting, at most for this long.
    pub(crate) async fn has_failed(&self, account: &str, region: &str, cluster: &str, limit: Duration) -> bool {
        let Some(account) = self.known(account) else { return false };
        let mut changed = account.changed();
        let deadline = Instant::now() + limit;
        loop {
            let state =
                account.read(|catalogue| catalogue.named(region, cluster).map(|(_, cluster)| cluster.state.clone()));
            match state {
                Some(State::Starting) => {}
                state => return matches!(state, Some(State::Failed(_))),
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                return false;
            }
        }
    }

    /// Where SQL for a cluster goes that comes over its Data API. Waits for a server that is starting, and starts one that
    /// has ended by itself.
    ///
    /// # Errors
    ///
    /// When the cluster takes none.
    pub(crate) async fn reach(&self, account: &str, cluster_arn: &str) -> Result<Reach, Unavailable> {
        let account = self.known(account).ok_or(Unavailable::NoSuchCluster)?;
        let mut changed = account.changed();
        let deadline = Instant::now() + REACHED_WITHIN;
        loop {
            match find(&account, cluster_arn) {
                Found::Not(why) => return Err(why),
                Found::Reach(reach, server, _) if server.is_running().await => return Ok(reach),
                Found::Reach(_, _, number) => {
                    tracing::warn!(cluster_arn, "the PostgreSQL server of a cluster has ended: starting it again");
                    account.change_one(number, |cluster| cluster.state = State::Starting);
                    self.serve(&account, number);
                }
                Found::Wait => {
                    if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                        return Err(Unavailable::NotAvailable("creating".to_owned()));
                    }
                }
            }
        }
    }

    /// Orders how late changes are in the other Regions of global databases, for one account or for all of them; `None`: as
    /// late as usual. What is on its way follows the order, too.
    pub(crate) fn set_lag(&self, account: Option<&str>, lag: Option<Duration>) {
        let key = account.map(str::to_owned);
        match lag {
            Some(lag) => lock(&self.shared.lags).insert(key, lag),
            None => lock(&self.shared.lags).remove(&key),
        };
        let accounts: Vec<Arc<Account>> = lock(&self.shared.accounts).values().cloned().collect();
        for account in accounts {
            links::apply(&self.shared, &account);
        }
    }

    /// Removes every cluster of an account, or of all accounts, with the data and the snapshots.
    ///
    /// # Errors
    ///
    /// When a server does not end, or its data cannot be removed.
    pub(crate) async fn reset(&self, account: Option<&str>) -> Result<(), String> {
        let removed: Vec<Arc<Account>> = {
            let mut accounts = lock(&self.shared.accounts);
            let mut lags = lock(&self.shared.lags);
            if let Some(account) = account {
                lags.remove(&Some(account.to_owned()));
                accounts.remove(account).into_iter().collect()
            } else {
                lags.clear();
                accounts.drain().map(|(_, account)| account).collect()
            }
        };
        life::remove_accounts(&self.shared, removed).await
    }
}

/// What whoever wants to send SQL to a cluster finds at the moment.
fn find(account: &Account, arn: &str) -> Found {
    account.read(|catalogue| {
        let Some((number, cluster)) = catalogue.find(arn) else { return Found::Not(Unavailable::NoSuchCluster) };
        let refusal = match &cluster.state {
            _ if !cluster.http_endpoint => Unavailable::HttpEndpointDisabled,
            _ if cluster.instances.is_empty() => Unavailable::NoInstance,
            State::Unavailable(word) => Unavailable::NotAvailable((*word).to_owned()),
            State::Failed(why) => Unavailable::Failed(why.clone()),
            _ if cluster.role == Role::Secondary => Unavailable::Reader,
            State::Serving => match (&cluster.door, &cluster.server) {
                (Some(door), Some(server)) => {
                    let reach = Reach {
                        port: door.port(),
                        database: cluster.database.clone(),
                        owner: cluster.owner.clone(),
                        is_writer: !cluster.fenced,
                        region: cluster.region.clone(),
                        cluster: cluster.name.clone(),
                    };
                    return Found::Reach(reach, Arc::clone(server), number);
                }
                _ => return Found::Wait,
            },
            State::Starting | State::Idle => return Found::Wait,
        };
        Found::Not(refusal)
    })
}

/// Region and name in an ARN of a cluster.
fn parts(arn: &str) -> (String, String) {
    let mut parts = arn.splitn(7, ':').skip(3).map(str::to_owned);
    (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default())
}

impl SnapshotData for Aurora {
    fn copy<'a>(&'a self, account: &'a str, from: SnapshotName<'a>, to: SnapshotName<'a>) -> Done<'a, ()> {
        self.copy_snapshot(account, (from.region, from.id), (to.region, to.id))
    }

    fn delete<'a>(&'a self, account: &'a str, snapshot: SnapshotName<'a>) -> Done<'a, ()> {
        self.delete_snapshot(account, (snapshot.region, snapshot.id))
    }

    fn restore<'a>(&'a self, account: &'a str, snapshot: SnapshotName<'a>, cluster: &'a str) -> Done<'a, ()> {
        self.restore(account, (snapshot.region, snapshot.id), cluster)
    }
}
