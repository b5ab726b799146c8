//! The clusters of one account, and the queue of what is being done with their servers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::sync::lock;
use crate::world::postgres::{Pipe, Server};

/// The database that every server has, for clusters that were created without one of their own.
pub(super) const DEFAULT_DATABASE: &str = "postgres";

/// What a cluster is in its global database. One that is in none is a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Secondary,
    /// It was the writer when a failover made another cluster the writer. Until it rejoins, it does not know.
    Replaced {
        /// The snapshot that is to be taken of it before.
        lost: Option<String>,
    },
}

/// Whether a cluster's server can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It has no instance.
    Idle,
    /// Its server is being made or started: whoever needs it waits.
    Starting,
    Serving,
    /// In AWS's word for it.
    Unavailable(&'static str),
    /// Why its server does not run.
    Failed(String),
}

/// A cluster, and its server.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) arn: String,
    pub(super) region: String,
    /// The identifier.
    pub(super) name: String,
    /// The master user.
    pub(super) owner: String,
    /// The master user's password; `None` if only a snapshot knows it.
    pub(super) password: Option<String>,
    /// The same, if the server does not have it yet.
    pub(super) due_password: Option<String>,
    /// The database that it was created with.
    pub(super) database: Option<String>,
    pub(super) http_endpoint: bool,
    pub(super) instances: BTreeSet<String>,
    /// The id of its global cluster.
    pub(super) global: Option<String>,
    pub(super) role: Role,
    pub(super) fenced: bool,
    pub(super) state: State,
    pub(super) server: Option<Arc<Server>>,
    /// Where clients connect: it leads to the server while the Region works.
    pub(super) door: Option<Arc<Pipe>>,
    /// Of a secondary: what leads to the writer.
    pub(super) stream: Option<Arc<Pipe>>,
    /// When a secondary was last seen to have everything.
    pub(super) caught_up: Instant,
    /// Whether it has been deleted, and its server is about to be.
    pub(super) deleted: bool,
}

impl Cluster {
    /// Whether it follows the writer of `global`, which is in another Region.
    pub(super) fn is_secondary_of(&self, global: Option<&str>) -> bool {
        self.role == Role::Secondary && global.is_some() && self.global.as_deref() == global
    }
}

/// A snapshot: a copy of a server's data.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// Where the copy is; `None` if the cluster had no server yet, and so no data.
    pub(super) folder: Option<PathBuf>,
    pub(super) owner: String,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    /// Why it has no data although it should.
    pub(super) failed: Option<String>,
}

impl Snapshot {
    /// One of a cluster, as it is before there is a copy.
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self {
            folder: None,
            owner: cluster.owner.clone(),
            password: cluster.password.clone(),
            database: cluster.database.clone(),
            failed: None,
        }
    }
}

/// What exists in an account.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// By a number of their own: a deleted cluster's name can be taken before its server is gone.
    pub(super) clusters: BTreeMap<u64, Cluster>,
    next: u64,
    /// By Region and id.
    pub(super) snapshots: BTreeMap<(String, String), Snapshot>,
}

impl Catalogue {
    pub(super) fn add(&mut self, cluster: Cluster) -> u64 {
        self.next += 1;
        self.clusters.insert(self.next, cluster);
        self.next
    }

    /// The clusters that have not been deleted.
    pub(super) fn live(&self) -> impl Iterator<Item = (u64, &Cluster)> {
        self.clusters.iter().filter(|(_, cluster)| !cluster.deleted).map(|(number, cluster)| (*number, cluster))
    }

    pub(super) fn find(&self, arn: &str) -> Option<(u64, &Cluster)> {
        self.live().find(|(_, cluster)| cluster.arn == arn)
    }

    /// The cluster of a Region by its name or its ARN.
    pub(super) fn named(&self, region: &str, name: &str) -> Option<(u64, &Cluster)> {
        self.live().find(|(_, cluster)| cluster.arn == name || (cluster.region == region && cluster.name == name))
    }

    /// The cluster of an instance.
    pub(super) fn of_instance(&self, region: &str, instance: &str) -> Option<(u64, &Cluster)> {
        self.live().find(|(_, cluster)| cluster.region == region && cluster.instances.contains(instance))
    }

    /// The members of a global cluster.
    pub(super) fn members<'a>(&'a self, global: &str) -> impl Iterator<Item = (u64, &'a Cluster)> {
        self.live().filter(move |(_, cluster)| cluster.global.as_deref() == Some(global))
    }

    /// The writer of a global cluster.
    pub(super) fn writer(&self, global: &str) -> Option<(u64, &Cluster)> {
        self.members(global).find(|(_, cluster)| cluster.role == Role::Writer)
    }

    /// The cluster whose data a member of a global cluster gets: the writer, also one that has just been deleted, whose server
    /// is there until its turn comes.
    pub(super) fn source(&self, global: &str) -> Option<(u64, &Cluster)> {
        let mut writers = self.clusters.iter().filter(|(_, one)| {
            one.role == Role::Writer && one.server.is_some() && one.global.as_deref() == Some(global)
        });
        self.writer(global).or_else(|| writers.next().map(|(number, one)| (*number, one)))
    }
}

/// An account.
///
/// What takes time is done in the order in which it was asked for, one thing after the other.
pub(super) struct Account {
    pub(super) id: String,
    catalogue: Mutex<Catalogue>,
    /// The number of changes of the catalogue so far.
    changes: watch::Sender<u64>,
    queue: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    worker: JoinHandle<()>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Account {
    pub(super) fn new(id: &str) -> Self {
        let (queue, mut work) = mpsc::unbounded_channel::<BoxFuture<'static, ()>>();
        let worker = tokio::spawn(async move {
            while let Some(work) = work.recv().await {
                work.await;
            }
        });
        Self { id: id.to_owned(), catalogue: Mutex::default(), changes: watch::Sender::new(0), queue, worker }
    }

    /// Looks at what there is.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Catalogue) -> T) -> T {
        look(&lock(&self.catalogue))
    }

    /// Changes what there is, and tells whoever waits for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Catalogue) -> T) -> T {
        let changed = change(&mut lock(&self.catalogue));
        self.changes.send_modify(|changes| *changes += 1);
        changed
    }

    /// Changes a cluster, if it is still there.
    pub(super) fn change_one<T>(&self, number: u64, change: impl FnOnce(&mut Cluster) -> T) -> Option<T> {
        self.change(|catalogue| catalogue.clusters.get_mut(&number).map(change))
    }

    /// Changes what nobody waits for.
    pub(super) fn change_quietly(&self, number: u64, change: impl FnOnce(&mut Cluster)) {
        if let Some(cluster) = lock(&self.catalogue).clusters.get_mut(&number) {
            change(cluster);
        }
    }

    /// Tells when something has changed.
    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Has something done after everything that was asked for before. It is done whether its end is waited for or not.
    pub(super) fn enqueue<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        let work = async move {
            // Nobody may be waiting for it.
            let _nobody_waits = done.send(work.await);
        };
        // The account is being removed if this fails: whoever waits is told by the channel.
        let _removed = self.queue.send(work.boxed());
        result
    }

    /// Stops doing things, in the middle of one if necessary. Nothing that is asked for later is done.
    pub(super) fn end_work(&self) {
        self.worker.abort();
    }
}
