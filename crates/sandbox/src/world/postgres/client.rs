//! Statements to a PostgreSQL server, and what it answers.

use std::fmt;
use std::time::Duration;

use futures::TryStreamExt as _;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{NoTls, Row, Statement};

use super::parameter::{Parameter, Sent};
use super::value::Value;

/// How long a server may take to let a client in. It is on the same machine.
const CONNECTS_WITHIN: Duration = Duration::from_secs(15);

/// A role of a server, and the database that it works with.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The role's name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The name of the database.
    pub database: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Login")
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// What a server says when it refuses a statement or a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// `ERROR` or `FATAL`.
    pub severity: String,
    /// The SQLSTATE, five characters, for example `23505`: PostgreSQL's appendix A lists them.
    pub state: String,
    /// The message, a single line.
    pub message: String,
    /// More about it, if there is.
    pub detail: Option<String>,
    /// What to do, if the server has a suggestion.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
    /// The constraint that was violated, if that is what happened.
    pub constraint: Option<String>,
}

impl fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} (SQLSTATE {})", self.severity, self.message, self.state)?;
        for (name, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if let Some(text) = text {
                write!(formatter, "; {name}: {text}")?;
            }
        }
        Ok(())
    }
}

impl SqlError {
    /// What the server would say of a statement with another number of parameters; it is not asked.
    fn of_bind(given: usize, needed: usize) -> Self {
        Self {
            severity: "ERROR".to_owned(),
            state: "08P01".to_owned(),
            message: format!("bind message supplies {given} parameters, but prepared statement \"\" requires {needed}"),
            detail: None,
            hint: None,
            position: None,
            constraint: None,
        }
    }
}

impl From<&DbError> for SqlError {
    fn from(error: &DbError) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            severity: error.severity().to_owned(),
            state: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: owned(error.detail()),
            hint: owned(error.hint()),
            position: match error.position() {
                Some(ErrorPosition::Original(position)) => Some(*position),
                _ => None,
            },
            constraint: owned(error.constraint()),
        }
    }
}

/// Why a statement has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server refused.
    #[error("{0}")]
    Sql(SqlError),
    /// Nothing listens on the port.
    #[error("no PostgreSQL server listens on port {port}")]
    Unreachable {
        /// The port.
        port: u16,
        /// The error of the connection.
        source: tokio_postgres::Error,
    },
    /// Something listens on the port, and does not let the client in.
    #[error("the PostgreSQL server on port {port} did not answer within {seconds} s")]
    Silent {
        /// The port.
        port: u16,
        /// How long it was given.
        seconds: u64,
    },
    /// The server ended the connection, or ended itself. A statement that was under way may have been carried out.
    #[error("the connection to the PostgreSQL server was closed")]
    Closed,
    /// The result has a value of a type that has no [`Value`].
    #[error("column {column:?} has the type {type_name}, which has no representation here")]
    UnsupportedType {
        /// The column's name.
        column: String,
        /// PostgreSQL's name of the type.
        type_name: String,
    },
    /// The result is larger than the caller wants it. The statement has been carried out.
    #[error("the result has more than {limit} bytes")]
    TooLarge {
        /// What the caller wants at most, in bytes.
        limit: usize,
    },
    /// The server answered something else than the protocol allows, or the statement cannot be sent.
    #[error("the exchange with the PostgreSQL server failed")]
    Protocol {
        /// What failed.
        source: tokio_postgres::Error,
    },
}

impl ClientError {
    /// The SQLSTATE, if the server refused.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        match self {
            Self::Sql(error) => Some(&error.state),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for ClientError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(refused) = error.as_db_error() {
            return Self::Sql(refused.into());
        }
        if error.is_closed() || broken(&error).is_some() { Self::Closed } else { Self::Protocol { source: error } }
    }
}

/// The error of the operating system that ended a connection, if that is what happened.
fn broken(error: &tokio_postgres::Error) -> Option<&std::io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

fn is_refused(error: &tokio_postgres::Error) -> bool {
    broken(error).is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name that the statement gives it.
    pub name: String,
    /// PostgreSQL's name of its type: `int8`, `varchar`, `_text` for an array of texts.
    pub type_name: String,
    /// PostgreSQL's number of its type.
    pub type_oid: u32,
    /// What the type is declared with, as PostgreSQL encodes it: of `varchar(20)`, 24; −1 if it is declared with nothing.
    pub type_modifier: i32,
    /// The table that it comes from, if it is a column of a table, and its number in it.
    pub origin: Option<(u32, i16)>,
}

/// Where a column of a result comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column's name in the table.
    pub column: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether its values are generated (`serial`, `generated … as identity`).
    pub auto_increment: bool,
}

/// The result of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The columns, which are there even if there are no rows; none if the statement returns nothing.
    pub columns: Vec<Column>,
    /// The values, in the order of the columns.
    pub rows: Vec<Vec<Value>>,
    /// How many rows the statement read or changed, as PostgreSQL counts them.
    pub affected: u64,
}

/// A connection to a server. It is closed when this value is dropped; a transaction that is open is rolled back.
#[derive(Debug)]
pub struct Client {
    inner: tokio_postgres::Client,
    connection: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// Connects to the server at `port` on loopback.
    ///
    /// # Errors
    ///
    /// When nothing listens there, when the server refuses (a wrong password is `28P01`, an unknown database `3D000`, a
    /// server that is starting `57P03`), or when it does not answer.
    pub async fn connect(port: u16, login: &Login) -> Result<Self, ClientError> {
        Self::connect_with(port, login, "").await
    }

    /// [`Client::connect`] with options such as `-c statement_timeout=45s`, which are settings of the session.
    ///
    /// # Errors
    ///
    /// As those of [`Client::connect`].
    pub async fn connect_with(port: u16, login: &Login, options: &str) -> Result<Self, ClientError> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user(&login.user).password(&login.password).dbname(&login.database);
        config.application_name("drctl");
        if !options.is_empty() {
            config.options(options);
        }
        let connecting = tokio::time::timeout(CONNECTS_WITHIN, config.connect(NoTls));
        let (inner, connection) = match connecting.await {
            Err(_) => return Err(ClientError::Silent { port, seconds: CONNECTS_WITHIN.as_secs() }),
            Ok(Err(error)) if is_refused(&error) => return Err(ClientError::Unreachable { port, source: error }),
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(connected)) => connected,
        };
        let connection = tokio::spawn(async move {
            // The statement that is under way gets the same error.
            if let Err(error) = connection.await {
                tracing::debug!(%error, port, "the connection to a PostgreSQL server ended");
            }
        });
        Ok(Self { inner, connection })
    }

    /// Runs one statement; `$1` and so on are its parameters.
    ///
    /// # Errors
    ///
    /// When the server refuses it, when the connection ends, or when the result has a type that [`Value`] cannot hold.
    /// In the last case, the statement has been carried out.
    pub async fn query(&self, sql: &str, parameters: &[Parameter]) -> Result<Rows, ClientError> {
        self.query_within(sql, parameters, usize::MAX).await
    }

    /// [`Client::query`] with a limit to the result's size, in bytes. It is counted as if the values were sent as text:
    /// two bytes for each row, and four and the text for each value.
    ///
    /// # Errors
    ///
    /// As those of [`Client::query`], and when the result is larger.
    pub async fn query_within(&self, sql: &str, parameters: &[Parameter], limit: usize) -> Result<Rows, ClientError> {
        let types: Vec<_> = parameters.iter().map(Parameter::declared_type).collect();
        let statement = self.inner.prepare_typed(sql, &types).await?;
        let (given, needed) = (parameters.len(), statement.params().len());
        if given != needed {
            return Err(ClientError::Sql(SqlError::of_bind(given, needed)));
        }
        let columns = columns(&statement);
        let stream = self.inner.query_raw(&statement, parameters.iter().map(Sent)).await?;
        futures::pin_mut!(stream);
        let (mut rows, mut size) = (Vec::new(), 0_usize);
        let mut unsupported = None;
        // It is read to its end in any case: otherwise, the statement would not be.
        while let Some(row) = stream.try_next().await? {
            if size > limit || unsupported.is_some() {
                continue;
            }
            match values(&row, &columns) {
                Ok(values) => {
                    size += 2 + values.iter().map(|value| 4 + value.text_length()).sum::<usize>();
                    rows.push(values);
                }
                Err(error) => unsupported = Some(error),
            }
        }
        if let Some(unsupported) = unsupported {
            return Err(unsupported);
        }
        if size > limit {
            return Err(ClientError::TooLarge { limit });
        }
        let affected = stream.rows_affected().unwrap_or_default();
        Ok(Rows { columns, rows, affected })
    }

    /// Runs statements without parameters, separated by semicolons, and ignores what they return.
    ///
    /// # Errors
    ///
    /// When the server refuses one of them, or when the connection ends.
    pub async fn batch(&self, sql: &str) -> Result<(), ClientError> {
        Ok(self.inner.batch_execute(sql).await?)
    }

    /// Where the columns of a result come from, in their order; `None` for a column that is computed.
    ///
    /// # Errors
    ///
    /// As those of [`Client::query`].
    pub async fn origins(&self, columns: &[Column]) -> Result<Vec<Option<Origin>>, ClientError> {
        const SQL: &str = "select n.nspname, c.relname, a.attname, not a.attnotnull, \
             a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) like 'nextval(%', false) \
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
             left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
             where a.attrelid = $1::int8::oid and a.attnum = $2";
        let mut origins = Vec::with_capacity(columns.len());
        for column in columns {
            let Some((table, number)) = column.origin else {
                origins.push(None);
                continue;
            };
            let key = [Value::Long(table.into()).into(), Value::Long(number.into()).into()];
            let found = self.query(SQL, &key).await?;
            origins.push(found.rows.into_iter().next().and_then(origin));
        }
        Ok(origins)
    }

    /// What ends the statement that is under way on this connection, from another task.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(self.inner.cancel_token())
    }

    /// Whether the server has ended the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

fn values(row: &Row, columns: &[Column]) -> Result<Vec<Value>, ClientError> {
    let value = |(index, column): (usize, &Column)| {
        row.try_get::<_, Value>(index).map_err(|error| {
            tracing::debug!(%error, column = column.name, "a value cannot be represented");
            ClientError::UnsupportedType { column: column.name.clone(), type_name: column.type_name.clone() }
        })
    };
    columns.iter().enumerate().map(value).collect()
}

fn columns(statement: &Statement) -> Vec<Column> {
    let column = |column: &tokio_postgres::Column| Column {
        name: column.name().to_owned(),
        type_name: column.type_().name().to_owned(),
        type_oid: column.type_().oid(),
        type_modifier: column.type_modifier(),
        origin: column.table_oid().zip(column.column_id()),
    };
    statement.columns().iter().map(column).collect()
}

fn origin(row: Vec<Value>) -> Option<Origin> {
    match <[Value; 5]>::try_from(row) {
        Ok(
            [
                Value::String(schema),
                Value::String(table),
                Value::String(column),
                Value::Bool(nullable),
                Value::Bool(auto_increment),
            ],
        ) => Some(Origin { schema, table, column, nullable, auto_increment }),
        _ => None,
    }
}

/// Ends a statement of a [`Client`].
#[derive(Clone)]
pub struct Canceller(tokio_postgres::CancelToken);

impl fmt::Debug for Canceller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Canceller").finish_non_exhaustive()
    }
}

impl Canceller {
    /// Asks the server to end the statement, which then fails with `57014`. Without a statement, nothing happens.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn cancel(&self) -> Result<(), ClientError> {
        Ok(self.0.cancel_query(NoTls).await?)
    }
}

/// `name` as an identifier in a statement.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a literal in a statement.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_does_not_show_its_password() {
        let login = Login { user: "payments".into(), password: "hush".into(), database: "ledger".into() };
        let shown = format!("{login:?}");
        assert!(shown.contains("payments") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(identifier("o\"ne"), "\"o\"\"ne\"");
        assert_eq!(literal("o'ne"), "'o''ne'");
    }
}
