//! Standbys: made from a primary, promoted, and made to follow another one.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::sync::lock;

use super::client::Client;
use super::description::Description;
use super::error::PostgresError;
use super::pipe::Pipe;
use super::programs::{ADMIN, Programs};
use super::server::{Server, Stop};
use super::supervised::Supervised;
use super::tree;
use super::value::Value;

/// A position in the log of changes, which grows with each of them. The difference of two is a number of bytes.
pub type Lsn = tokio_postgres::types::PgLsn;

/// How long a promotion may take: it first applies what has been received.
const PROMOTED_WITHIN: Duration = Duration::from_mins(1);
/// How long a server that was rewound is given to find its place in the primary's log, apart from the pipe's lag.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(10);

/// How far a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Of a primary.
    Primary {
        /// The end of what it has written to its disk, which is what a standby can have. All that is committed is before it.
        written: Lsn,
        /// How many standbys it is sending its changes to.
        standbys: i64,
    },
    /// Of a standby.
    Standby {
        /// The end of what has arrived: a promotion loses nothing up to here.
        received: Lsn,
        /// The end of what can be read.
        replayed: Lsn,
        /// When the newest transaction that can be read was committed on the primary; `None` if none was since the start.
        last_commit: Option<Timestamp>,
        /// Whether it is connected to its primary. That changes come is what the primary's `standbys` says.
        connected: bool,
    },
}

impl Position {
    /// The end of what can be read.
    #[must_use]
    pub fn readable(&self) -> Lsn {
        match *self {
            Self::Primary { written, .. } => written,
            Self::Standby { replayed, .. } => replayed,
        }
    }
}

/// How far a standby is behind its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// How many bytes of changes cannot be read yet.
    pub bytes: u64,
    /// The age of the newest transaction that can be read, if there is a newer one on the primary: zero if there is none,
    /// and `None` if the standby has not applied a transaction since its start. After a pause, it is longer than the lag.
    pub age: Option<Duration>,
}

/// How an old primary was made to follow the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// What only the old primary had was undone, and it continues from there.
    Rewound,
    /// Everything was copied anew, because it could not be rewound.
    Copied {
        /// Why it could not.
        why: String,
    },
}

impl Server {
    /// Makes a standby of `primary` in `folder`, which is created, and starts it. Changes come through `pipe`; the copy
    /// that it begins with does not, and is not late.
    ///
    /// # Errors
    ///
    /// When there is a server in the folder, when the primary is not running, when the pipe is cut, or when the standby
    /// does not start.
    pub async fn standby(
        programs: &Programs,
        folder: &Path,
        primary: &Self,
        pipe: &Pipe,
        port: Option<u16>,
    ) -> Result<Self, PostgresError> {
        check_pipe("make a standby", pipe)?;
        let description = Description {
            source: Some(pipe.port()),
            wanted_port: port,
            port: 0,
            fenced: false,
            rewinding: false,
            ..lock(&primary.description).clone()
        };
        let server = Self::prepare(programs, folder, description).await?;
        server.copy_from(primary, &server.data()).await?;
        server.become_standby()?;
        server.start().await?;
        server.complete()?;
        Ok(server)
    }

    /// Copies the data of a running server to `target`, which is part of this server's folder.
    pub(super) async fn copy_from(&self, source: &Self, target: &Path) -> Result<(), PostgresError> {
        tree::remove(target).await?;
        let port = source.running_port("copy the data")?;
        let password = lock(&source.description).admin_password.clone();
        let mut arguments: Vec<OsString> =
            ["--wal-method=fetch", "--checkpoint=fast", "--no-sync", "--no-password", "--host=127.0.0.1"]
                .map(OsString::from)
                .into();
        arguments.extend([format!("--port={port}").into(), format!("--username={ADMIN}").into()]);
        arguments.extend(["--pgdata".into(), target.into()]);
        self.programs.run("pg_basebackup", arguments, &password, &self.folder).await
    }

    fn running_port(&self, action: &'static str) -> Result<u16, PostgresError> {
        self.port().ok_or_else(|| PostgresError::NotRunning { action, folder: self.folder.clone() })
    }

    fn become_standby(&self) -> Result<(), PostgresError> {
        let signal = self.data().join("standby.signal");
        std::fs::write(&signal, "").map_err(PostgresError::file("write", &signal))
    }

    /// Has a standby get its changes through another pipe. A standby that is not running does so from its next start on:
    /// after a restart of the sandbox, this is how it finds its primary.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn follow_through(&self, pipe: &Pipe) -> Result<(), PostgresError> {
        let _changing = self.running.lock().await;
        self.remember(|description| description.source = Some(pipe.port()))?;
        self.reconfigure().await
    }

    /// Makes the standby a primary, with what it has received. Sessions stay open, and can write.
    ///
    /// # Errors
    ///
    /// When it is not a running standby, or does not become a primary in time.
    pub async fn promote(&self) -> Result<(), PostgresError> {
        let _changing = self.running.lock().await;
        if !self.is_standby() {
            return Err(self.wrong_role("promote", "a primary", "a standby"));
        }
        let seconds = i64::try_from(PROMOTED_WITHIN.as_secs()).unwrap_or(i64::MAX);
        let admin = self.admin("promote").await?;
        let promoted = admin
            .query("select pg_promote(true, $1::int8::int4)", &[Value::Long(seconds).into()])
            .await
            .map_err(PostgresError::statement("promote", &self.folder))?;
        if promoted.rows != [[Value::Bool(true)]] {
            return Err(self.late("become a primary", PROMOTED_WITHIN));
        }
        self.remember(|description| {
            description.source = None;
            description.fenced = false;
        })?;
        self.reconfigure().await
    }

    /// Makes this server, which was a primary, a standby of `primary`, which was its standby. What only this server has
    /// is undone; take a [`Server::snapshot`] before, if it is wanted. The server is stopped first, if it is running.
    ///
    /// # Errors
    ///
    /// When the new primary is not running, when the pipe is cut, or when neither rewinding nor copying succeeds.
    pub async fn follow(&self, primary: &Self, pipe: &Pipe) -> Result<Followed, PostgresError> {
        check_pipe("follow the new primary", pipe)?;
        primary.running_port("follow the new primary")?;
        let mut running = self.running.lock().await;
        self.stop_locked(&mut running, Stop::Fast).await?;
        let why = match self.rewind(primary, pipe, &mut running).await {
            Ok(()) => return Ok(Followed::Rewound),
            Err(error) => crate::error::with_causes(&error),
        };
        tracing::info!(folder = %self.folder.display(), why, "a PostgreSQL server cannot be rewound: copying it anew");
        self.stop_locked(&mut running, Stop::Immediate).await?;
        self.copy_anew(primary, pipe).await?;
        self.start_locked(&mut running).await?;
        Ok(Followed::Copied { why })
    }

    async fn rewind(&self, primary: &Self, pipe: &Pipe, running: &mut Option<Supervised>) -> Result<(), PostgresError> {
        if lock(&self.description).rewinding {
            return Err(PostgresError::Incomplete { folder: self.folder.clone() });
        }
        let port = primary.running_port("rewind")?;
        let password = lock(&primary.description).admin_password.clone();
        let source = format!("host=127.0.0.1 port={port} user={ADMIN} dbname=postgres");
        let arguments: Vec<OsString> = vec![
            "--no-sync".into(),
            format!("--source-server={source}").into(),
            "--target-pgdata".into(),
            self.data().into(),
        ];
        self.remember(|description| description.rewinding = true)?;
        self.programs.run("pg_rewind", arguments, &password, &self.folder).await?;
        // The data is usable from the end of the primary's log on. What is there and has not reached its disk is sent only
        // when it has, which takes an idle server seconds.
        let admin = primary.admin("write everything to the disk").await?;
        let written = admin.batch("checkpoint").await;
        written.map_err(PostgresError::statement("write everything to the disk of", &primary.folder))?;
        self.become_standby()?;
        self.remember(|description| Self::follows(description, &password, pipe))?;
        self.start_locked(running).await?;
        // It may have found out that the primary does not have the changes any more that it would have to begin with.
        let end = primary.position().await?.readable();
        self.wait_for(end, FOLLOWS_WITHIN + pipe.lag() * 2).await
    }

    /// What is remembered of a server that follows.
    fn follows(description: &mut Description, password: &str, pipe: &Pipe) {
        password.clone_into(&mut description.admin_password);
        description.source = Some(pipe.port());
        description.fenced = false;
        description.rewinding = false;
    }

    async fn copy_anew(&self, primary: &Self, pipe: &Pipe) -> Result<(), PostgresError> {
        let (copy, replaced) = (self.folder.join("data.unfinished"), self.replaced());
        self.copy_from(primary, &copy).await?;
        tree::remove(&replaced).await?;
        std::fs::rename(self.data(), &replaced).map_err(PostgresError::file("move away", self.data()))?;
        std::fs::rename(&copy, self.data()).map_err(PostgresError::file("move the copy to", self.data()))?;
        self.become_standby()?;
        let password = lock(&primary.description).admin_password.clone();
        self.remember(|description| Self::follows(description, &password, pipe))?;
        tree::remove(&replaced).await
    }

    /// How far the server is.
    ///
    /// # Errors
    ///
    /// When it is not running, or cannot be asked.
    pub async fn position(&self) -> Result<Position, PostgresError> {
        self.position_of(&self.admin("ask for its position").await?).await
    }

    async fn position_of(&self, admin: &Client) -> Result<Position, PostgresError> {
        const SQL: &str = "select pg_is_in_recovery(), \
             case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end, \
             greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), \
             (extract(epoch from pg_last_xact_replay_timestamp()) * 1e6)::int8, \
             exists (select from pg_stat_wal_receiver), \
             (select count(*) from pg_stat_replication where state = 'streaming')";
        let answer = admin.query(SQL, &[]).await.map_err(PostgresError::statement("ask", &self.folder))?;
        let position = |value: &Value| match value {
            Value::String(text) => text.parse().unwrap_or_else(|_| Lsn::from(0)),
            _ => Lsn::from(0),
        };
        match answer.rows.first().map(Vec::as_slice) {
            Some([Value::Bool(false), written, .., Value::Long(standbys)]) => {
                Ok(Position::Primary { written: position(written), standbys: *standbys })
            }
            Some([Value::Bool(true), replayed, received, commit, Value::Bool(connected), _]) => Ok(Position::Standby {
                received: position(received),
                replayed: position(replayed),
                last_commit: match commit {
                    Value::Long(micros) => Timestamp::from_microsecond(*micros).ok(),
                    _ => None,
                },
                connected: *connected,
            }),
            _ => Err(self.late("say how far it is", Duration::ZERO)),
        }
    }

    /// Waits until everything up to `end` can be read on this server.
    ///
    /// # Errors
    ///
    /// When that takes longer than `limit`, or when the server cannot be asked.
    pub async fn wait_for(&self, end: Lsn, limit: Duration) -> Result<(), PostgresError> {
        let started = Instant::now();
        // A connection is a process: one is enough for all questions.
        let admin = self.admin("ask for its position").await?;
        loop {
            if self.position_of(&admin).await?.readable() >= end {
                return Ok(());
            }
            if started.elapsed() >= limit {
                return Err(self.late(&format!("apply the changes up to {end}"), limit));
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// How far this standby is behind `primary`.
    ///
    /// # Errors
    ///
    /// When one of the two is not running, or cannot be asked.
    pub async fn lag(&self, primary: &Self) -> Result<Lag, PostgresError> {
        let end = primary.position().await?.readable();
        let here = self.position().await?;
        let bytes = u64::from(end).saturating_sub(u64::from(here.readable()));
        let age = match here {
            _ if bytes == 0 => Some(Duration::ZERO),
            Position::Standby { last_commit: Some(commit), .. } => {
                Some(Timestamp::now().duration_since(commit).try_into().unwrap_or(Duration::ZERO))
            }
            _ => None,
        };
        Ok(Lag { bytes, age })
    }
}

fn check_pipe(action: &'static str, pipe: &Pipe) -> Result<(), PostgresError> {
    if pipe.is_cut() { Err(PostgresError::Cut { action }) } else { Ok(()) }
}
