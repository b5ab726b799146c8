//! The RDS Data API: SQL over HTTPS, on the PostgreSQL server that is the writer of a cluster.
//!
//! MiniStack has no SQL engine without a container engine: it recognises some statements by their words and refuses the
//! others. All calls of the service are answered here instead.
//!
//! | part | what it does |
//! |---|---|
//! | `request`, `named` | reads what is asked for; numbers the parameters of a statement |
//! | `secret` | reads the login from the caller's secret |
//! | `pool`, `session`, `transactions` | connections for single statements, and those of transactions |
//! | `fields`, `metadata` | results as the API answers them |
//! | `refusal` | AWS's errors |
//!
//! Where it surprises: docs/aws-behaviour.md, the entries whose names begin with `data-api`.

mod fields;
mod metadata;
mod named;
mod pool;
mod refusal;
mod request;
mod secret;
mod session;
#[cfg(test)]
mod tests;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::world::aurora::{Aurora, Reach, Unavailable};
use crate::world::postgres::{Client, Login, Parameter, Rows};
use crate::world::regions::Regions;

use pool::{Cluster, Lease, Pool};
use refusal::Refusal;
use request::{Shape, Target, Work, required};
use secret::Credentials;
use transactions::{Held, Transactions};

/// The service's signing name.
const SERVICE: &str = "rds-data";
/// The largest result, in bytes. See docs/aws-behaviour.md#data-api-limits.
const RESULT_LIMIT: usize = 1024 * 1024;
/// How long a caller waits for a statement that goes on after that.
const WAITS_FOR: Duration = Duration::from_secs(45);

/// Where the databases are.
pub(super) trait Databases: Send + Sync {
    /// Where SQL for a cluster of an account goes.
    ///
    /// # Errors
    ///
    /// When the cluster takes none, and why.
    fn reach<'a>(&'a self, account: &'a str, cluster: &'a str) -> BoxFuture<'a, Result<Reach, Unavailable>>;
}

impl Databases for Aurora {
    fn reach<'a>(&'a self, account: &'a str, cluster: &'a str) -> BoxFuture<'a, Result<Reach, Unavailable>> {
        Aurora::reach(self, account, cluster).boxed()
    }
}

/// Answers the calls of the Data API.
pub(super) struct DataApi {
    databases: Arc<dyn Databases>,
    regions: Regions,
    pool: Pool,
    transactions: Transactions,
    waits_for: Duration,
}

/// A caller at the server that it wants to work with.
struct Access {
    cluster: Cluster,
    port: u16,
    login: Login,
    /// The database, if the call names one.
    named: Option<String>,
}

impl Rule for DataApi {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != SERVICE {
                return next.run(call).await;
            }
            match self.answer(call, next).await {
                Ok(body) => Answer::rest_json(&body),
                Err(refusal) => refusal.into_answer(call),
            }
        }
        .boxed()
    }

    fn reset(&self) {
        self.pool.clear();
        self.transactions.clear();
    }
}

impl DataApi {
    pub(super) fn new(databases: Arc<dyn Databases>, regions: &Regions) -> Self {
        Self {
            databases,
            regions: regions.clone(),
            pool: Pool::default(),
            transactions: Transactions::default(),
            waits_for: WAITS_FOR,
        }
    }

    async fn answer(&self, call: &Call, next: Next<'_>) -> Result<Json, Refusal> {
        let body = call.json();
        match call.operation.as_str() {
            "ExecuteStatement" => {
                let (target, work) = (Target::read(&body)?, Work::of_statement(&body)?);
                self.execute(self.access(call, next, target).await?, work).await
            }
            "BatchExecuteStatement" => {
                let (target, work) = (Target::read(&body)?, Work::of_batch(&body)?);
                self.execute_batch(self.access(call, next, target).await?, work).await
            }
            "BeginTransaction" => {
                let Access { cluster, port, login, .. } = self.access(call, next, Target::read(&body)?).await?;
                Ok(json!({"transactionId": self.transactions.begin(&cluster, port, &login).await?}))
            }
            "CommitTransaction" => {
                let (id, held) = self.ended(call, next, &body).await?;
                self.transactions.commit(&id, held).await?;
                Ok(json!({"transactionStatus": "Transaction Committed"}))
            }
            "RollbackTransaction" => {
                let (id, held) = self.ended(call, next, &body).await?;
                self.transactions.roll_back(&id, held).await?;
                Ok(json!({"transactionStatus": "Rollback Complete"}))
            }
            "ExecuteSql" => Err(Refusal::bad_request("The ExecuteSql operation isn't supported")),
            other => Err(Refusal::bad_request(format!("The Data API has no operation {other}"))),
        }
    }

    /// Lets the caller in: finds the cluster's server, and reads the secret.
    async fn access(&self, call: &Call, next: Next<'_>, target: Target) -> Result<Access, Refusal> {
        let arn = target.cluster;
        let parts: Vec<&str> = arn.split(':').collect();
        match parts[..] {
            ["arn", _, "rds", region, account, "cluster", _] if region == call.region => {
                if account != call.account {
                    let message = format!(
                        "User: arn:aws:iam::{}:root is not authorized to perform: rds-data:{} on resource: {arn}",
                        call.account, call.operation
                    );
                    return Err(Refusal::access_denied(message));
                }
            }
            _ => return Err(Refusal::not_enabled(&arn)),
        }
        let cluster = Cluster { account: call.account.clone(), arn };
        let reached = self.databases.reach(&cluster.account, &cluster.arn).await;
        let reached = reached.and_then(|reach| if reach.is_writer { Ok(reach) } else { Err(Unavailable::Reader) });
        let port = reached.as_ref().map(|reach| reach.port).ok();
        self.pool.keep_only(&cluster, port);
        self.transactions.keep_only(&cluster, port);
        let Reach { port, .. } = reached.map_err(|why| Refusal::of_cluster(&why, &cluster.arn))?;
        let Credentials { user, password } = secret::read(call, next, &self.regions, &target.secret).await?;
        let named = target.database;
        // As PostgreSQL's own clients have it. See docs/aws-behaviour.md#data-api-default-database.
        let database = named.clone().unwrap_or_else(|| user.clone());
        Ok(Access { cluster, port, login: Login { user, password, database }, named })
    }

    fn held(&self, access: &Access, id: &str) -> Result<Held, Refusal> {
        let Access { cluster, port, login, named } = access;
        self.transactions.hold(id, cluster, *port, &login.user, named.as_deref())
    }

    /// The transaction that a call is to end.
    async fn ended(&self, call: &Call, next: Next<'_>, body: &Json) -> Result<(String, Held), Refusal> {
        let (target, id) = (Target::read(body)?, required(body, "transactionId")?);
        let held = self.held(&self.access(call, next, target).await?, &id)?;
        Ok((id, held))
    }

    async fn execute(&self, access: Access, work: Work) -> Result<Json, Refusal> {
        if let Some(id) = &work.transaction {
            let held = self.held(&access, id)?;
            return run(&held.session.client, &work).await;
        }
        let lease = self.pool.lease(&access.cluster, access.port, &access.login).await?;
        if !work.continues {
            let result = run(&lease.session.client, &work).await;
            lease.give_back().await;
            return result;
        }
        let session = lease.session.id;
        lease.session.client.batch("set statement_timeout = 0").await?;
        let running = tokio::spawn(run_to_its_end(lease, work));
        match tokio::time::timeout(self.waits_for, running).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                tracing::error!(%error, "a statement's task failed");
                Err(Refusal::internal())
            }
            Err(_) => Err(Refusal::timed_out(session)),
        }
    }

    async fn execute_batch(&self, access: Access, work: Work) -> Result<Json, Refusal> {
        if let Some(id) = &work.transaction {
            let held = self.held(&access, id)?;
            return run_batch(&held.session.client, &work).await;
        }
        let lease = self.pool.lease(&access.cluster, access.port, &access.login).await?;
        let client = &lease.session.client;
        client.batch("begin").await?;
        let mut result = run_batch(client, &work).await;
        if result.is_ok()
            && let Err(error) = client.batch("commit").await
        {
            result = Err(error.into());
        }
        lease.give_back().await;
        result
    }
}

/// Runs a statement that nobody waits for any more.
async fn run_to_its_end(lease: Lease, work: Work) -> Result<Json, Refusal> {
    let result = run(&lease.session.client, &work).await;
    lease.give_back().await;
    result
}

async fn query(client: &Client, sql: &str, parameters: &[Parameter]) -> Result<Rows, Refusal> {
    Ok(client.query_within(sql, parameters, RESULT_LIMIT).await?)
}

async fn run(client: &Client, work: &Work) -> Result<Json, Refusal> {
    let parameters = work.sets.first().map(Vec::as_slice).unwrap_or_default();
    let rows = query(client, &work.sql, parameters).await?;
    let Shape { metadata: has_metadata, formatted, numbers } = work.shape;
    if rows.columns.is_empty() {
        return Ok(json!({"generatedFields": [], "numberOfRecordsUpdated": rows.affected}));
    }
    // Of a statement that reads, PostgreSQL counts what it has read.
    let updated = if changes(&work.sql) { rows.affected } else { 0 };
    let mut body = json!({"numberOfRecordsUpdated": updated});
    if formatted {
        body["formattedRecords"] = json!(fields::formatted(&rows, numbers)?);
    } else {
        body["records"] = fields::records(&rows, numbers)?;
    }
    if has_metadata {
        let origins = client.origins(&rows.columns).await?;
        body["columnMetadata"] = metadata::metadata(&rows.columns, &origins);
    }
    Ok(body)
}

async fn run_batch(client: &Client, work: &Work) -> Result<Json, Refusal> {
    let mut results = Vec::with_capacity(work.sets.len());
    for parameters in &work.sets {
        query(client, &work.sql, parameters).await?;
        results.push(json!({"generatedFields": []}));
    }
    Ok(json!({"updateResults": results}))
}

/// Whether a statement that returns rows changes them, by its first word.
fn changes(sql: &str) -> bool {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    ["insert", "update", "delete", "merge"].contains(&word.to_ascii_lowercase().as_str())
}
