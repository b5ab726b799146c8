//! Connections for single statements, kept for the next ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sync::lock;
use crate::world::postgres::{Client, Login};

use super::refusal::Refusal;
use super::session::Session;

/// How many statements run at the same time for a cluster, transactions aside. The others wait.
const AT_ONCE: usize = 24;
/// How long an unused connection is kept. A login that was changed at the server counts at the latest then.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// Whose connections they are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Cluster {
    pub(super) account: String,
    pub(super) arn: String,
}

/// The connections of all clusters. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Pool {
    kept: Arc<Mutex<Vec<Kept>>>,
    permits: Arc<Mutex<HashMap<Cluster, Arc<Semaphore>>>>,
}

/// A connection that waits for its next statement.
struct Kept {
    cluster: Cluster,
    port: u16,
    login: Login,
    session: Session,
    since: Instant,
}

/// A connection in use. It is closed unless it is given back.
pub(super) struct Lease {
    pool: Pool,
    cluster: Cluster,
    port: u16,
    login: Login,
    pub(super) session: Session,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A connection to a cluster's server.
    pub(super) async fn lease(&self, cluster: &Cluster, port: u16, login: &Login) -> Result<Lease, Refusal> {
        let permits =
            Arc::clone(lock(&self.permits).entry(cluster.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))));
        // A semaphore that nobody closes gives its permits.
        let permit = permits.acquire_owned().await.map_err(|_| Refusal::internal())?;
        let session = match self.take(cluster, port, login) {
            Some(session) => session,
            None => Session::open(port, login).await?,
        };
        let (cluster, login) = (cluster.clone(), login.clone());
        Ok(Lease { pool: self.clone(), cluster, port, login, session, _permit: permit })
    }

    fn take(&self, cluster: &Cluster, port: u16, login: &Login) -> Option<Session> {
        let mut kept = lock(&self.kept);
        let fits =
            |kept: &Kept| kept.cluster == *cluster && kept.port == port && kept.login == *login && kept.is_fresh();
        // The one that was used last is the least likely to have been closed since.
        let index = kept.iter().rposition(fits)?;
        Some(kept.remove(index).session)
    }

    /// Closes what a cluster has kept at other ports than this one, since another server answers for it now.
    pub(super) fn keep_only(&self, cluster: &Cluster, port: Option<u16>) {
        lock(&self.kept).retain(|kept| kept.cluster != *cluster || Some(kept.port) == port);
    }

    /// Closes everything that is not in use.
    pub(super) fn clear(&self) {
        lock(&self.kept).clear();
        lock(&self.permits).clear();
    }

    /// How many connections are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.kept).len()
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < KEPT_FOR && !self.session.client.is_closed()
    }
}

impl Lease {
    /// Keeps the connection for another statement, as if it were new: nothing of a session outlives its statement.
    pub(super) async fn give_back(self) {
        let Self { pool, cluster, port, login, session, _permit } = self;
        if let Err(error) = cleaned(&session.client).await {
            tracing::debug!(%error, "a connection cannot be used again");
            return;
        }
        lock(&pool.kept).push(Kept { cluster, port, login, session, since: Instant::now() });
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            lock(&pool.kept).retain(Kept::is_fresh);
        });
    }
}

/// Ends a transaction that a statement may have begun, and undoes what it has set.
async fn cleaned(client: &Client) -> Result<(), crate::world::postgres::ClientError> {
    client.batch("rollback").await?;
    client.batch("discard all").await
}
