//! A PostgreSQL server: made, started, stopped.

use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Mutex as SyncMutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::Mutex;

use crate::process;
use crate::sync::lock;

use super::client::{Client, ClientError, Login, identifier, literal};
use super::description::{self, Description};
use super::error::PostgresError;
use super::programs::{ADMIN, Programs};
use super::supervised::{self, Ending, Supervised};
use super::tree;
use super::value::Value;

/// How long a server may take to start: it may have to repeat the changes of a long run.
const READY_WITHIN: Duration = Duration::from_mins(2);
const READY_INTERVAL: Duration = Duration::from_millis(5);
/// How long an orderly stop may take. The server waits until its standby has everything, however late the pipe is.
const STOPS_WITHIN: Duration = Duration::from_mins(1);
/// How long an end by force may take: the supervisor itself needs ten seconds if the server does not react.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// How long a new setting may take until every session has it.
const RELOADS_WITHIN: Duration = Duration::from_secs(10);
/// A port that was free a moment ago may be taken by now, and the last processes of a server that was killed may still be
/// at work.
const ATTEMPTS: usize = 20;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(100);
const LOG_LINES: usize = 15;
/// PostgreSQL's own limit: it cuts longer names off.
const NAME_LIMIT: usize = 63;

/// What a new server is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The role that owns the database, which can create databases and roles and is not a superuser.
    pub owner: Login,
    /// The port on loopback; `None` takes a free one, and keeps it over restarts while it stays free.
    pub port: Option<u16>,
    /// Whether what is committed survives the end of the machine. It survives the end of the server either way.
    pub durable: bool,
}

/// How a server is stopped. The names are PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended, and the server waits until the standbys that it is sending its changes to have received
    /// everything. Of a standby that is still connecting, it knows nothing: see `standbys` in
    /// [`Position`](super::Position).
    Fast,
    /// As if it had crashed: what the standby has not received, it does not receive. What was committed is still there
    /// after the next start.
    Immediate,
}

/// A PostgreSQL server on this machine, in a folder of its own.
///
/// It can be used from several tasks: starting, stopping, and changes of its role wait for each other. When this value is
/// dropped, the server is ended as by [`Stop::Immediate`].
#[derive(Debug)]
pub struct Server {
    pub(super) programs: Programs,
    pub(super) folder: PathBuf,
    pub(super) description: SyncMutex<Description>,
    /// Locked for as long as the server's state is being changed.
    pub(super) running: Mutex<Option<Supervised>>,
    /// 0 while it is not running.
    port: AtomicU16,
}

/// Why an attempt to start did not succeed.
enum Unstarted {
    /// The next attempt may.
    ForNow(PostgresError),
    ForGood(PostgresError),
}

impl Server {
    /// Makes a new server in `folder`, which is created, and starts it.
    ///
    /// # Errors
    ///
    /// When there is a server in the folder, when a name cannot be used, or when the server does not start.
    pub async fn create(programs: &Programs, folder: &Path, settings: &Settings) -> Result<Self, PostgresError> {
        for (what, value) in
            [("the owner's name", &settings.owner.user), ("a database's name", &settings.owner.database)]
        {
            check_name(what, value)?;
        }
        let template = programs.template().await?;
        let description = Description {
            id: String::new(),
            admin_password: template.admin_password.clone(),
            owner: settings.owner.user.clone(),
            database: settings.owner.database.clone(),
            source: None,
            wanted_port: settings.port,
            port: 0,
            durable: settings.durable,
            fenced: false,
            rewinding: false,
        };
        let server = Self::prepare(programs, folder, description).await?;
        tree::copy(&template.data, &server.data(), programs.identity().owner()).await?;
        server.start().await?;
        server.create_owner(&settings.owner).await?;
        server.complete()?;
        Ok(server)
    }

    /// The server that an earlier run of the sandbox left in `folder`. It is not started.
    ///
    /// # Errors
    ///
    /// When there is no complete server.
    pub fn open(programs: &Programs, folder: &Path) -> Result<Self, PostgresError> {
        let description = Description::read(folder)?;
        let folder = std::fs::canonicalize(folder).map_err(PostgresError::file("resolve", folder))?;
        let server = Self::new(programs, &folder, description);
        let replaced = server.replaced();
        if !server.data().exists() && replaced.exists() {
            // It was being copied anew, and the copy was not in place yet.
            std::fs::rename(&replaced, server.data()).map_err(PostgresError::file("move back", &replaced))?;
        }
        if server.data().exists() { Ok(server) } else { Err(PostgresError::Incomplete { folder }) }
    }

    /// Whether there is a complete server in `folder`.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        Description::is_in(folder)
    }

    /// An empty folder for a server, which [`Server::complete`] makes one that can be opened.
    pub(super) async fn prepare(
        programs: &Programs,
        folder: &Path,
        description: Description,
    ) -> Result<Self, PostgresError> {
        if Description::is_in(folder) {
            return Err(PostgresError::Occupied { folder: folder.to_owned() });
        }
        tree::create(folder)?;
        let folder = std::fs::canonicalize(folder).map_err(PostgresError::file("resolve", folder))?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let server = Self::new(programs, &folder, Description { id, ..description });
        // A creation that was killed leaves a server behind that is ending, and its data.
        server.end_orphan().await?;
        tree::remove(&server.data()).await?;
        Ok(server)
    }

    pub(super) fn complete(&self) -> Result<(), PostgresError> {
        lock(&self.description).write(&self.folder)
    }

    fn new(programs: &Programs, folder: &Path, description: Description) -> Self {
        Self {
            programs: programs.clone(),
            folder: folder.to_owned(),
            description: SyncMutex::new(description),
            running: Mutex::new(None),
            port: AtomicU16::new(0),
        }
    }

    async fn create_owner(&self, owner: &Login) -> Result<(), PostgresError> {
        let failed = || PostgresError::statement("create the owner's role in", &self.folder);
        let admin = self.admin("create the owner's role").await?;
        let (role, database) = (identifier(&owner.user), identifier(&owner.database));
        let creating = if owner.database == "postgres" {
            format!("alter database {database} owner to {role}")
        } else {
            // Files are copied instead of writing them to the log first, where a standby would have to read them.
            format!("create database {database} owner {role} strategy file_copy")
        };
        let role_options = format!("login createdb createrole password {}", literal(&owner.password));
        for statement in [
            format!("create role {role} {role_options}"),
            format!("grant pg_monitor, pg_signal_backend to {role} with admin option"),
            creating,
        ] {
            admin.batch(&statement).await.map_err(failed())?;
        }
        Ok(())
    }

    /// The port on loopback; `None` before the server is started and after it was stopped.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.port.load(Ordering::Relaxed) {
            0 => None,
            port => Some(port),
        }
    }

    /// The folder of the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Where the data is while a copy takes its place.
    pub(super) fn replaced(&self) -> PathBuf {
        self.folder.join("data.replaced")
    }

    /// The role that owns the database, with a password that the caller knows.
    #[must_use]
    pub fn owner(&self, password: &str) -> Login {
        let description = lock(&self.description);
        Login { user: description.owner.clone(), password: password.to_owned(), database: description.database.clone() }
    }

    /// Whether it is a standby: it follows a primary, and is read-only.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        // PostgreSQL removes the file when it has promoted the server.
        self.data().join("standby.signal").exists()
    }

    /// Whether its process runs.
    pub async fn is_running(&self) -> bool {
        match self.running.lock().await.as_mut().map(Supervised::ended) {
            Some(Ok(status)) => status.is_none(),
            Some(Err(error)) => {
                tracing::warn!(%error, folder = %self.folder.display(), "cannot look at a PostgreSQL server's process");
                false
            }
            None => false,
        }
    }

    /// Starts the server, if it is not running, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it does not start, when the port that was asked for is taken, or when the data is unusable.
    pub async fn start(&self) -> Result<(), PostgresError> {
        let mut running = self.running.lock().await;
        self.start_locked(&mut running).await
    }

    pub(super) async fn start_locked(&self, running: &mut Option<Supervised>) -> Result<(), PostgresError> {
        if let Some(process) = running {
            if matches!(process.ended(), Ok(None)) {
                return Ok(());
            }
            self.forget(running);
        }
        if lock(&self.description).rewinding {
            return Err(PostgresError::Incomplete { folder: self.folder.clone() });
        }
        self.end_orphan().await?;
        let mut attempt = 1;
        loop {
            match self.attempt(attempt).await {
                Ok((process, port)) => {
                    *running = Some(process);
                    self.port.store(port, Ordering::Relaxed);
                    return self.remember(|description| description.port = port);
                }
                Err(Unstarted::ForNow(error)) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, attempt, "a PostgreSQL server is started again");
                    attempt += 1;
                    self.end_survivors();
                    tokio::time::sleep(ATTEMPT_INTERVAL).await;
                }
                Err(Unstarted::ForNow(error) | Unstarted::ForGood(error)) => return Err(error),
            }
        }
    }

    async fn attempt(&self, attempt: usize) -> Result<(Supervised, u16), Unstarted> {
        let (wanted, last) = {
            let description = lock(&self.description);
            (description.wanted_port, description.port)
        };
        let port = match wanted {
            Some(port) => port,
            None if attempt == 1 && last != 0 && is_free(last) => last,
            None => free_port().map_err(Unstarted::ForGood)?,
        };
        self.configure(port).map_err(Unstarted::ForGood)?;
        let stale = std::fs::read_to_string(self.data().join(PID_FILE)).unwrap_or_default();
        let mut process = self.spawn().map_err(Unstarted::ForGood)?;
        self.ready(&mut process, &stale).await.map_err(|error| match error {
            PostgresError::DidNotStart { tail, .. } if wanted.is_some() && tail.contains("Address already in use") => {
                Unstarted::ForGood(PostgresError::PortTaken { port, folder: self.folder.clone() })
            }
            PostgresError::DidNotStart { ref tail, .. }
                if ["Address already in use", "pre-existing shared memory block"]
                    .iter()
                    .any(|words| tail.contains(words)) =>
            {
                Unstarted::ForNow(error)
            }
            error => Unstarted::ForGood(error),
        })?;
        Ok((process, port))
    }

    fn spawn(&self) -> Result<Supervised, PostgresError> {
        let log = self.log();
        if log.exists() {
            let before = log.with_extension("log.1");
            std::fs::rename(&log, &before).map_err(PostgresError::file("replace", &before))?;
        }
        let file = File::create(&log).map_err(PostgresError::file("write", &log))?;
        let errors = file.try_clone().map_err(PostgresError::file("write", &log))?;
        let mut words = self.programs.words("postgres");
        words.extend([OsString::from("-D"), self.data().into_os_string()]);
        let mut command = supervised::command(&words, Ending::Quit);
        command.current_dir(&self.folder).stdout(file).stderr(errors);
        Supervised::start(command).map_err(|source| PostgresError::Spawn { program: "postgres".to_owned(), source })
    }

    /// Waits until the server says that it accepts clients, which is the last line of its lock file.
    async fn ready(&self, process: &mut Supervised, stale: &str) -> Result<(), PostgresError> {
        let lock_file = self.data().join(PID_FILE);
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            match process.ended() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(self.did_not_start(status.to_string())),
                Err(error) => return Err(self.did_not_start(error.to_string())),
            }
            let said = std::fs::read_to_string(&lock_file).unwrap_or_default();
            if said != stale && said.lines().nth(STATUS_LINE).is_some_and(|status| status.trim() == "ready") {
                return Ok(());
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        Err(PostgresError::NotReady {
            folder: self.folder.clone(),
            seconds: READY_WITHIN.as_secs(),
            tail: process::last_lines(&self.log(), LOG_LINES),
            log: self.log(),
        })
    }

    fn did_not_start(&self, status: String) -> PostgresError {
        let tail = process::last_lines(&self.log(), LOG_LINES);
        PostgresError::shortage(&self.folder, &tail).unwrap_or_else(|| PostgresError::DidNotStart {
            folder: self.folder.clone(),
            status,
            tail,
            log: self.log(),
        })
    }

    /// Stops the server, if it is running. Returns how it was stopped in the end: a fast stop that takes too long, because
    /// a standby does not take what it has to, becomes an immediate one.
    ///
    /// # Errors
    ///
    /// When its process does not end.
    pub async fn stop(&self, how: Stop) -> Result<Stop, PostgresError> {
        let mut running = self.running.lock().await;
        self.stop_locked(&mut running, how).await
    }

    pub(super) async fn stop_locked(&self, running: &mut Option<Supervised>, how: Stop) -> Result<Stop, PostgresError> {
        let Some(process) = running else { return Ok(how) };
        if how == Stop::Fast {
            let signalled = process.signal("INT").await;
            signalled.map_err(|source| PostgresError::Spawn { program: "kill".to_owned(), source })?;
            if tokio::time::timeout(STOPS_WITHIN, process.wait()).await.is_ok() {
                self.forget(running);
                return Ok(Stop::Fast);
            }
            tracing::warn!(folder = %self.folder.display(), "a PostgreSQL server is taking too long to stop: ending it");
        }
        process.release();
        match tokio::time::timeout(ENDS_WITHIN, process.wait()).await {
            Ok(_) => {
                self.forget(running);
                Ok(Stop::Immediate)
            }
            Err(_) => Err(self.late("end", ENDS_WITHIN)),
        }
    }

    fn forget(&self, running: &mut Option<Supervised>) {
        *running = None;
        self.port.store(0, Ordering::Relaxed);
    }

    pub(super) fn late(&self, what: &str, limit: Duration) -> PostgresError {
        PostgresError::Late { folder: self.folder.clone(), what: what.to_owned(), seconds: limit.as_secs_f64() }
    }

    /// Changes the description, on disk too if the server is complete.
    pub(super) fn remember(&self, change: impl FnOnce(&mut Description)) -> Result<(), PostgresError> {
        let mut description = lock(&self.description);
        change(&mut description);
        if Description::is_in(&self.folder) { description.write(&self.folder) } else { Ok(()) }
    }

    fn configure(&self, port: u16) -> Result<(), PostgresError> {
        let name = self.name();
        let text = lock(&self.description).configuration(&name, port);
        description::replace(&self.data().join("postgresql.conf"), text.as_bytes())
    }

    /// What the titles of the server's processes begin with.
    fn name(&self) -> String {
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let id = lock(&self.description).id.clone();
        // PostgreSQL turns any other character into a question mark.
        let folder = folder.chars().filter(char::is_ascii_graphic).take(NAME_LIMIT.saturating_sub(id.len() + 1));
        folder.chain(['-']).chain(id.chars()).collect()
    }

    /// Writes the configuration that follows from the description, and has a running server read it.
    pub(super) async fn reconfigure(&self) -> Result<(), PostgresError> {
        let Some(port) = self.port() else { return Ok(()) };
        self.configure(port)?;
        let admin = self.admin("change the settings").await?;
        admin
            .batch("select pg_reload_conf()")
            .await
            .map_err(PostgresError::statement("change the settings of", &self.folder))
    }

    /// Ends the server that a sandbox left behind which was killed. It should be ending by itself.
    ///
    /// A lock file with the id of a process that has ended is PostgreSQL's own affair: it also looks for processes that
    /// outlived theirs. One with an id that another process has by now would keep the server from starting.
    async fn end_orphan(&self) -> Result<(), PostgresError> {
        let lock_file = self.data().join(PID_FILE);
        let Ok(text) = std::fs::read_to_string(&lock_file) else { return Ok(()) };
        let Some(pid) = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else { return Ok(()) };
        if !process::exists(pid) {
            return Ok(());
        }
        let data = self.data().display().to_string();
        let is_ours = || process::command_line(pid).is_some_and(|line| line.contains(&data));
        let started = Instant::now();
        while process::exists(pid) && is_ours() {
            let signal = if started.elapsed() < ENDS_WITHIN / 2 { Signal::QUIT } else { Signal::KILL };
            process::signal(pid, signal)
                .map_err(|source| PostgresError::Spawn { program: format!("kill {pid}"), source })?;
            if started.elapsed() > ENDS_WITHIN {
                return Err(self.late("end", ENDS_WITHIN));
            }
            tokio::time::sleep(ATTEMPT_INTERVAL).await;
        }
        match std::fs::remove_file(&lock_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(PostgresError::file("remove", &lock_file)(error))
            }
            _ => Ok(()),
        }
    }

    /// Ends processes that work on a query of a server that was killed, and have not noticed: they keep the next server
    /// from starting.
    fn end_survivors(&self) {
        let title = format!("postgres: {}: ", self.name());
        for (pid, words) in process::all() {
            if words.join(" ").starts_with(&title)
                && let Err(error) = process::signal(pid, Signal::QUIT)
            {
                tracing::warn!(%error, pid, "cannot end a process of a PostgreSQL server that was killed");
            }
        }
    }

    /// Connects to the server.
    ///
    /// # Errors
    ///
    /// When it is not running, or does not let the client in.
    pub async fn client(&self, login: &Login) -> Result<Client, ClientError> {
        match self.port() {
            Some(port) => Client::connect(port, login).await,
            None => Err(ClientError::Closed),
        }
    }

    /// A client that may do everything, also while the server is fenced.
    pub(super) async fn admin(&self, action: &'static str) -> Result<Client, PostgresError> {
        let port = self.port().ok_or_else(|| PostgresError::NotRunning { action, folder: self.folder.clone() })?;
        Client::connect_with(port, &self.admin_login(), "-c default_transaction_read_only=off")
            .await
            .map_err(PostgresError::statement(action, &self.folder))
    }

    fn admin_login(&self) -> Login {
        Login {
            user: ADMIN.to_owned(),
            password: lock(&self.description).admin_password.clone(),
            database: "postgres".to_owned(),
        }
    }

    /// Changes the password of the role that owns the database. Sessions that are open stay open.
    ///
    /// # Errors
    ///
    /// When the server is not running, or is a standby: it has its primary's passwords.
    pub async fn set_owner_password(&self, password: &str) -> Result<(), PostgresError> {
        if self.is_standby() {
            return Err(self.wrong_role("change a password", "a standby", "its primary"));
        }
        let role = identifier(&lock(&self.description).owner);
        let admin = self.admin("change the owner's password").await?;
        admin
            .batch(&format!("alter role {role} password {}", literal(password)))
            .await
            .map_err(PostgresError::statement("change the owner's password on", &self.folder))
    }

    pub(super) fn wrong_role(&self, action: &'static str, is: &'static str, needed: &'static str) -> PostgresError {
        PostgresError::WrongRole { action, folder: self.folder.clone(), is, needed }
    }

    /// Makes new transactions read-only, and ends all sessions, so that none has one that is not. It lasts over restarts.
    ///
    /// It is a fence against clients that do not expect it, and not against those that ask for a transaction that writes:
    /// PostgreSQL has none but stopping the server. A server that is not running is fenced from its next start on.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn fence(&self) -> Result<(), PostgresError> {
        self.set_fenced(true).await?;
        if self.port().is_some() { self.end_sessions().await } else { Ok(()) }
    }

    /// Lets clients write again.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn unfence(&self) -> Result<(), PostgresError> {
        self.set_fenced(false).await
    }

    async fn set_fenced(&self, fenced: bool) -> Result<(), PostgresError> {
        let _changing = self.running.lock().await;
        self.remember(|description| description.fenced = fenced)?;
        self.reconfigure().await?;
        let Some(port) = self.port() else { return Ok(()) };
        let failed = || PostgresError::statement("fence", &self.folder);
        let started = Instant::now();
        while started.elapsed() < RELOADS_WITHIN {
            // A new session has what the server itself has read: it started out as a copy of it.
            let client = Client::connect(port, &self.admin_login()).await.map_err(failed())?;
            let shown = client.query("select current_setting('default_transaction_read_only')::bool", &[]).await;
            if shown.map_err(failed())?.rows == [[Value::Bool(fenced)]] {
                return Ok(());
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        Err(self.late("read its new settings", RELOADS_WITHIN))
    }

    /// Ends the sessions of all clients, and waits until they have ended. What they had not committed is undone.
    ///
    /// # Errors
    ///
    /// When the server is not running, or cannot be asked.
    pub async fn end_sessions(&self) -> Result<(), PostgresError> {
        const SQL: &str = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
             where backend_type = 'client backend' and pid <> pg_backend_pid()";
        let admin = self.admin("end the sessions").await?;
        admin.batch(SQL).await.map_err(PostgresError::statement("end the sessions of", &self.folder))
    }
}

/// PostgreSQL's lock file in the data folder.
const PID_FILE: &str = "postmaster.pid";
/// The line of the lock file that says how far the start has come, counted from 0 (`pidfile.h`).
const STATUS_LINE: usize = 7;

fn check_name(what: &'static str, value: &str) -> Result<(), PostgresError> {
    let why = match value {
        "" => "it is empty",
        ADMIN | "template0" | "template1" => "it is the sandbox's own",
        _ if value.len() > NAME_LIMIT => "it is longer than PostgreSQL's 63 bytes",
        _ if value.contains('\0') => "it contains a null character",
        _ => return Ok(()),
    };
    Err(PostgresError::BadValue { what, value: value.to_owned(), why })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port() -> Result<u16, PostgresError> {
    let failed = || PostgresError::file("listen at", "127.0.0.1:0");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed())?;
    Ok(listener.local_addr().map_err(failed())?.port())
}
