//! A session at a server.

use std::time::Duration;

use crate::world::postgres::{Client, Login, Value};

use super::refusal::Refusal;

/// How long a statement may run. See docs/aws-behaviour.md#data-api-limits. Statements are real, and so are its seconds.
const STATEMENT_LIMIT: Duration = Duration::from_secs(45);

/// A connection whose statements are ended when they take too long.
pub(super) struct Session {
    pub(super) client: Client,
    /// The process id at the server, by which AWS names a connection.
    pub(super) id: i64,
}

impl Session {
    pub(super) async fn open(port: u16, login: &Login) -> Result<Self, Refusal> {
        let options = format!("-c statement_timeout={}", STATEMENT_LIMIT.as_millis());
        let client = Client::connect_with(port, login, &options).await?;
        let rows = client.query("select pg_backend_pid()", &[]).await?.rows;
        let id = match rows.first().map(Vec::as_slice) {
            Some([Value::Long(id)]) => *id,
            _ => 0,
        };
        Ok(Self { client, id })
    }
}
