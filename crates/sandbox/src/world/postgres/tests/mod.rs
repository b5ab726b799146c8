//! The servers as a whole. None of these tests is skipped: one that cannot start PostgreSQL fails, and says why.

mod life;
mod orphans;
mod replication;
mod statements;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Client, Login, Programs, Server, Settings, Value};
use crate::install;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A folder for the servers of one test, and the programs.
struct Place {
    programs: Programs,
    dir: TempDir,
}

impl Place {
    async fn new() -> TestResult<Self> {
        let dir = tempfile::Builder::new().prefix("drctl-postgres-").tempdir()?;
        let programs = Programs::find(&folder_of_programs().await?, &dir.path().join("home")).await?;
        Ok(Self { programs, dir })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn server(&self, name: &str) -> TestResult<Server> {
        create(&self.programs, &self.folder(name)).await
    }
}

async fn create(programs: &Programs, folder: &Path) -> TestResult<Server> {
    let settings = Settings { owner: login(), port: None, durable: false };
    Ok(Server::create(programs, folder, &settings).await?)
}

async fn folder_of_programs() -> TestResult<PathBuf> {
    let python = install::ensure(&|_| {}).await?;
    install::postgres_of(&python).ok_or_else(|| "PostgreSQL is not installed".into())
}

fn login() -> Login {
    Login { user: "payments".into(), password: "it's a secret".into(), database: "ledger".into() }
}

async fn client(server: &Server) -> TestResult<Client> {
    Ok(server.client(&login()).await?)
}

/// Adds payments with these ids, each in a transaction of its own.
async fn pay(server: &Server, ids: std::ops::Range<i64>) -> TestResult {
    let client = client(server).await?;
    client.batch("create table if not exists payments (id bigint primary key)").await?;
    for id in ids {
        client.query("insert into payments values ($1)", &[Value::Long(id).into()]).await?;
    }
    Ok(())
}

/// The ids of the payments that a server has.
async fn payments(server: &Server) -> TestResult<Vec<i64>> {
    let rows = client(server).await?.query("select id from payments order by id", &[]).await?.rows;
    let id = |row: &Vec<Value>| match row.as_slice() {
        [Value::Long(id)] => Ok(*id),
        other => Err(format!("{other:?} is not an id").into()),
    };
    rows.iter().map(id).collect()
}

/// The SQLSTATE of a refusal.
fn state<T>(result: Result<T, super::ClientError>) -> Option<String> {
    result.err().and_then(|error| error.state().map(str::to_owned))
}
