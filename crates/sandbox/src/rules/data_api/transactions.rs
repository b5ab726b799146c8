//! Transactions, which live from call to call. See docs/aws-behaviour.md#data-api-transactions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;
use uuid::Uuid;

use crate::sync::lock;
use crate::world::postgres::Login;

use super::pool::Cluster;
use super::refusal::Refusal;
use super::session::Session;

/// How long a transaction lives. Its seconds are real ones, since clients take theirs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    /// Without a call.
    pub(super) unused: Duration,
    /// At most.
    pub(super) at_most: Duration,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self { unused: Duration::from_mins(3), at_most: Duration::from_hours(24) }
    }
}

/// The transactions that are open. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Transactions {
    open: Arc<Mutex<HashMap<String, Arc<Transaction>>>>,
    lifetime: Lifetime,
}

struct Transaction {
    cluster: Cluster,
    port: u16,
    user: String,
    database: String,
    began: Instant,
    used: Mutex<Instant>,
    /// Dropped with the last of its users: the server then rolls back what is not committed.
    session: Arc<AsyncMutex<Session>>,
}

/// A call's hold of its transaction.
pub(super) struct Held {
    transaction: Arc<Transaction>,
    pub(super) session: OwnedMutexGuard<Session>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.transaction.touch();
    }
}

impl Transaction {
    fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    fn ends_at(&self, lifetime: Lifetime) -> Instant {
        (*lock(&self.used) + lifetime.unused).min(self.began + lifetime.at_most)
    }
}

impl Transactions {
    #[cfg(test)]
    pub(super) fn with(lifetime: Lifetime) -> Self {
        Self { lifetime, ..Self::default() }
    }

    /// Begins one, and returns its id.
    pub(super) async fn begin(&self, cluster: &Cluster, port: u16, login: &Login) -> Result<String, Refusal> {
        let session = Session::open(port, login).await?;
        session.client.batch("begin").await?;
        let transaction = Arc::new(Transaction {
            cluster: cluster.clone(),
            port,
            user: login.user.clone(),
            database: login.database.clone(),
            began: Instant::now(),
            used: Mutex::new(Instant::now()),
            session: Arc::new(AsyncMutex::new(session)),
        });
        let id = new_id();
        lock(&self.open).insert(id.clone(), Arc::clone(&transaction));
        tokio::spawn(self.clone().expire(id.clone(), Arc::downgrade(&transaction)));
        Ok(id)
    }

    /// Ends a transaction that nobody ends.
    async fn expire(self, id: String, transaction: Weak<Transaction>) {
        while let Some(ends_at) = transaction.upgrade().map(|transaction| transaction.ends_at(self.lifetime)) {
            if ends_at > Instant::now() {
                tokio::time::sleep_until(ends_at).await;
                continue;
            }
            let is_in_use = transaction.upgrade().is_some_and(|transaction| transaction.session.try_lock().is_err());
            if !is_in_use {
                lock(&self.open).remove(&id);
                return;
            }
            // Its statement is ended by its own limit.
            tokio::time::sleep(self.lifetime.unused.min(Duration::from_secs(1))).await;
        }
    }

    /// The transaction of this id, for a call that names it with the same cluster and login.
    pub(super) fn hold(
        &self,
        id: &str,
        cluster: &Cluster,
        port: u16,
        user: &str,
        database: Option<&str>,
    ) -> Result<Held, Refusal> {
        let not_found = || Refusal::transaction_not_found(id);
        let transaction = lock(&self.open).get(id).map(Arc::clone).ok_or_else(not_found)?;
        if transaction.cluster != *cluster || transaction.user != user {
            return Err(not_found());
        }
        if database.is_some_and(|database| database != transaction.database) {
            return Err(Refusal::bad_request("Database name is not the same as transaction"));
        }
        let session = Arc::clone(&transaction.session)
            .try_lock_owned()
            .map_err(|_| Refusal::database("Transaction is still running a query"))?;
        if transaction.port != port || session.client.is_closed() {
            lock(&self.open).remove(id);
            return Err(not_found());
        }
        transaction.touch();
        Ok(Held { transaction, session })
    }

    /// Makes what a transaction has changed last.
    pub(super) async fn commit(&self, id: &str, held: Held) -> Result<(), Refusal> {
        lock(&self.open).remove(id);
        // PostgreSQL answers the commit of a failed transaction by rolling it back, and calls that a success.
        held.session.client.batch("select").await?;
        Ok(held.session.client.batch("commit").await?)
    }

    /// Undoes a transaction.
    pub(super) async fn roll_back(&self, id: &str, held: Held) -> Result<(), Refusal> {
        lock(&self.open).remove(id);
        Ok(held.session.client.batch("rollback").await?)
    }

    /// Forgets the transactions of a cluster at other ports than this one, since another server answers for it now.
    pub(super) fn keep_only(&self, cluster: &Cluster, port: Option<u16>) {
        lock(&self.open).retain(|_, open| open.cluster != *cluster || Some(open.port) == port);
    }

    /// Rolls back everything that is not in use.
    pub(super) fn clear(&self) {
        lock(&self.open).clear();
    }
}

/// An id that says nothing, and is as long as AWS's.
fn new_id() -> String {
    let random: Vec<u8> = (0..8).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
    BASE64_STANDARD.encode(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_fits_the_service_model_and_is_not_used_twice() {
        assert!(new_id().len() <= 192 && new_id() != new_id());
    }
}
