//! Starting, finding, resetting, and stopping the sandbox from another process.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::Deserialize;

use super::error::SandboxError;
use super::loopback;
use super::ministack;
use super::options::{self, Progress, StartOptions};
use super::process;
use super::record::{FileLock, Folder, Holder, Record, Status};
use super::world::aurora::listing::{AuroraStatus, PsqlAccess};
use super::world::regions::{RegionOrder, RegionOrders};
use super::world::replication::{LagOrders, ReplicationState};

const HEALTH_LIMIT: Duration = Duration::from_secs(2);
const RESET_LIMIT: Duration = Duration::from_secs(30);
/// Each server is asked how far it is.
const DATABASES_LIMIT: Duration = Duration::from_secs(30);
/// A server that is starting is waited for.
const PSQL_LIMIT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// A start that installs MiniStack takes minutes, and whoever waits for it waits that long.
const CONTROL_WITHIN: Duration = Duration::from_mins(20);
/// MiniStack is given five seconds to end, and its process group is killed after that.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const KILLED_WITHIN: Duration = Duration::from_secs(5);
const LOG_LINES: usize = 15;

/// Controls the sandbox of a folder from another process.
#[derive(Debug, Clone)]
pub struct Control {
    folder: Folder,
    program: Option<PathBuf>,
}

/// A sandbox that is running on this machine, as seen in its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its process.
    pub pid: u32,
    /// Its folder, which may have been removed.
    pub dir: PathBuf,
}

/// Every sandbox on this machine whose process this user can see, sorted by folder.
#[must_use]
pub fn list() -> Vec<Served> {
    let mut all: Vec<Served> = process::all()
        .into_iter()
        .filter_map(|(pid, words)| Some(Served { pid, dir: served_folder(&words)? }))
        .collect();
    all.sort_by(|one, other| (&one.dir, one.pid).cmp(&(&other.dir, other.pid)));
    all
}

/// The folder in a command line that serves a sandbox: `… sandbox serve … --dir FOLDER …`.
fn served_folder(words: &[String]) -> Option<PathBuf> {
    let rest = words.get(1..)?.strip_prefix(&["sandbox".to_owned(), "serve".to_owned()])?;
    let dir = rest.iter().position(|word| word == "--dir")?;
    rest.get(dir + 1).map(PathBuf::from)
}

/// The proxy's answer to `GET /_drctl/health`.
#[derive(Debug, Deserialize)]
struct Health {
    pid: u32,
}

impl Control {
    /// The sandbox whose record, locks, and logs are in `dir` (`state/sandbox`).
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { folder: Folder::new(dir), program: None }
    }

    /// Starts `program` instead of the current executable, which in a test is the test itself.
    #[must_use]
    pub fn with_program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// The log of the sandbox's own process.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.log()
    }

    /// The log of MiniStack.
    #[must_use]
    pub fn ministack_log_path(&self) -> PathBuf {
        self.folder.ministack_log()
    }

    /// Whether the sandbox is running. Takes up to two seconds, but only if the sandbox hangs.
    ///
    /// # Errors
    ///
    /// When the sandbox's folder cannot be read.
    pub fn status(&self) -> Result<Status, SandboxError> {
        let Some(record) = self.folder.read_record()? else {
            return Ok(Status::Stopped);
        };
        let holder = FileLock::holder(&self.folder.serve_lock())?;
        if holder == Holder::None {
            let why = match self.folder.read_failure()? {
                Some(failure) => failure.message,
                None => "it ended without cleaning up: it was killed, or the machine was restarted".to_owned(),
            };
            return Ok(Status::Crashed(record, why));
        }
        if holder.pid().is_some_and(|pid| pid != record.pid) {
            // Another sandbox is starting, and the record is from the one before.
            return Ok(Status::Stopped);
        }
        Ok(match health(&record) {
            Ok(()) => Status::Running(record),
            Err(why) => Status::Crashed(record, why),
        })
    }

    /// Starts the sandbox in the background and waits until it is ready.
    ///
    /// If one is already running with the same options, that one is returned. Two starts at the same time result in one
    /// sandbox.
    ///
    /// # Errors
    ///
    /// When one is running with other options, or when it does not start: then with the reason and the last lines of
    /// its log.
    pub async fn start(&self, options: StartOptions, progress: Progress<'_>) -> Result<Record, SandboxError> {
        self.start_unless(options, progress, |record, wanted| {
            if record.satisfies(wanted) {
                return Ok(());
            }
            let running = record.options();
            Err(SandboxError::RunningDifferently { running: running.to_string(), wanted: wanted.to_string() })
        })
        .await
    }

    /// Returns the running sandbox, whatever its options are, or starts one with `options`.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn ensure(&self, options: StartOptions, progress: Progress<'_>) -> Result<Record, SandboxError> {
        self.start_unless(options, progress, |_, _| Ok(())).await
    }

    async fn start_unless(
        &self,
        options: StartOptions,
        progress: Progress<'_>,
        accept: impl Fn(&Record, &StartOptions) -> Result<(), SandboxError>,
    ) -> Result<Record, SandboxError> {
        options::check_time_scale(options.time_scale)?;
        let upstream = options.upstream.as_deref().map(options::check_upstream).transpose()?;
        let options = StartOptions { upstream, ..options };
        options.faults.as_deref().map(options::read_faults).transpose()?;
        // The usual case, and it needs no lock: the sandbox keeps running between commands.
        if let Status::Running(record) = self.status()? {
            accept(&record, &options)?;
            return Ok(record);
        }
        let folder = self.folder.create()?;
        let _lock = lock(&folder, progress).await?;
        match self.status()? {
            Status::Running(record) => {
                accept(&record, &options)?;
                return Ok(record);
            }
            Status::Crashed(record, why) => {
                progress(&format!("the sandbox had crashed ({}): starting a new one", first_line(&why)));
                self.end_process(&folder, &record).await?;
                remove_leftovers(&folder, &record).await?;
            }
            Status::Stopped => {}
        }
        progress("starting the sandbox");
        let child = self.spawn(&folder, &options)?;
        let record = self.wait_until_ready(&folder, child, progress).await?;
        progress("it stays in the background until `drctl sandbox stop`, or until its folder is removed");
        Ok(record)
    }

    fn spawn(&self, folder: &Folder, options: &StartOptions) -> Result<Child, SandboxError> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()
                .map_err(|source| SandboxError::Spawn { program: "drctl itself".to_owned(), source })?,
        };
        // Otherwise the failure or the progress of the last start would be taken for those of this one.
        folder.remove_failure()?;
        let progress = folder.progress();
        File::create(&progress).map_err(SandboxError::file("write", &progress))?;
        let log = folder.log();
        if log.exists() {
            let previous = log.with_extension("log.1");
            std::fs::rename(&log, &previous).map_err(SandboxError::file("rename", &log))?;
        }
        let output = File::create(&log).map_err(SandboxError::file("write", &log))?;
        let errors = output.try_clone().map_err(SandboxError::file("write", &log))?;
        let mut command = Command::new(&program);
        command
            .args(["sandbox", "serve", "--dir"])
            .arg(folder.path())
            .args(["--port", &options.port.to_string()])
            .args(["--dns-port", &options.dns_port.to_string()])
            .args(["--pace", &options.pace.to_string()])
            .args(["--time-scale", &options.time_scale.to_string()]);
        if let Some(upstream) = &options.upstream {
            command.args(["--upstream", upstream]);
        }
        if let Some(faults) = &options.faults {
            command.arg("--faults").arg(faults);
        }
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A process group of its own: Ctrl-C in the terminal is meant for the command that runs there, not for
            // "AWS".
            .process_group(0)
            .spawn()
            .map_err(|source| SandboxError::Spawn { program: program.display().to_string(), source })
    }

    async fn wait_until_ready(
        &self,
        folder: &Folder,
        mut child: Child,
        progress: Progress<'_>,
    ) -> Result<Record, SandboxError> {
        let mut tail = Tail::default();
        loop {
            tail.pass_on(&folder.progress(), progress);
            if let Some(status) = child
                .try_wait()
                .map_err(|source| SandboxError::Spawn { program: "the sandbox's process".to_owned(), source })?
            {
                return Err(did_not_start(folder, &status.to_string()));
            }
            if let Status::Running(record) = self.status()?
                && record.pid == child.id()
            {
                tail.pass_on(&folder.progress(), progress);
                // This process has to collect its child when the child ends, should it live that long.
                std::thread::spawn(move || match child.wait() {
                    Ok(status) => tracing::debug!(%status, "the sandbox's process ended"),
                    Err(error) => tracing::debug!(%error, "the end of the sandbox's process cannot be waited for"),
                });
                return Ok(record);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Stops the sandbox and its MiniStack. Returns whether there was anything to stop.
    ///
    /// # Errors
    ///
    /// When one of its processes does not end.
    pub async fn stop(&self) -> Result<bool, SandboxError> {
        if !self.folder.path().exists() {
            return self.stop_without_folder().await;
        }
        let folder = self.folder.create()?;
        let _lock = lock(&folder, &|_| {}).await?;
        let Some(record) = folder.read_record()? else {
            return Ok(false);
        };
        let running = self.end_process(&folder, &record).await?;
        let orphan = remove_leftovers(&folder, &record).await?;
        Ok(running || orphan)
    }

    /// Stops a sandbox whose folder was removed, which it finds by its command line. The sandbox would also end by
    /// itself, a moment later.
    async fn stop_without_folder(&self) -> Result<bool, SandboxError> {
        let dir = std::path::absolute(self.folder.path()).map_err(SandboxError::file("find", self.folder.path()))?;
        let mut found = false;
        for served in list().into_iter().filter(|served| served.dir == dir) {
            found = true;
            process::signal(served.pid, Signal::TERM)
                .map_err(|source| SandboxError::Spawn { program: format!("a signal to {}", served.pid), source })?;
            let started = Instant::now();
            while process::exists(served.pid) && list().contains(&served) {
                if started.elapsed() > ENDS_WITHIN {
                    return Err(SandboxError::WillNotEnd { pid: served.pid });
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        Ok(found)
    }

    /// Tells the serving process to end, and kills it if it does not.
    ///
    /// This is only ever the process that holds the lock and has its id in the lock file: as long as it holds the lock,
    /// no other process can have that id.
    async fn end_process(&self, folder: &Folder, record: &Record) -> Result<bool, SandboxError> {
        let path = folder.serve_lock();
        let serving = || Ok::<_, SandboxError>(FileLock::holder(&path)? == Holder::Process(record.pid));
        if !serving()? {
            return Ok(false);
        }
        for (signal, limit) in [(Signal::TERM, ENDS_WITHIN), (Signal::KILL, KILLED_WITHIN)] {
            process::signal(record.pid, signal)
                .map_err(|source| SandboxError::Spawn { program: format!("a signal to {}", record.pid), source })?;
            let started = Instant::now();
            while started.elapsed() < limit {
                if !serving()? {
                    return Ok(true);
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            tracing::warn!(pid = record.pid, "the sandbox's process does not end when told to");
        }
        Err(SandboxError::WillNotEnd { pid: record.pid })
    }

    /// Empties "AWS": every account, every Region, and everything that the proxy remembers.
    ///
    /// # Errors
    ///
    /// When the sandbox is not running, or uses an emulator that drctl cannot reset.
    pub async fn reset(&self) -> Result<(), SandboxError> {
        let asked = self.ask("POST", "/_drctl/reset", String::new(), RESET_LIMIT).await?;
        asked.map(|_| ()).map_err(|message| SandboxError::ResetFailed { message })
    }

    /// The orders for Regions that are in force, and those that will be.
    ///
    /// # Errors
    ///
    /// When the sandbox is not running, or is older than this drctl.
    pub async fn regions(&self) -> Result<RegionOrders, SandboxError> {
        self.ask_about_regions("GET", String::new()).await
    }

    /// Orders something of a Region, for every account. Returns the orders in force and to come.
    ///
    /// # Errors
    ///
    /// When the sandbox is not running, is older than this drctl, or refuses the order.
    pub async fn order_region(&self, region: &str, order: &RegionOrder) -> Result<RegionOrders, SandboxError> {
        self.ask_about_regions("PUT", serde_json::json!({ region: order }).to_string()).await
    }

    async fn ask_about_regions(&self, method: &'static str, body: String) -> Result<RegionOrders, SandboxError> {
        let asked = self.ask(method, "/_drctl/regions", body, HEALTH_LIMIT).await?;
        let read = asked.and_then(|answer| serde_json::from_slice(&answer).map_err(|error| error.to_string()));
        read.map_err(|message| SandboxError::RegionsRefused { message })
    }

    /// How long replication takes, and what is on its way.
    ///
    /// # Errors
    ///
    /// When the sandbox is not running, or is older than this drctl.
    pub async fn replication(&self) -> Result<ReplicationState, SandboxError> {
        self.ask_about_replication("GET", String::new()).await
    }

    /// Sets how long the replication of services takes, for every account. Returns the lags, and what is on its way.
    ///
    /// # Errors
    ///
    /// When the sandbox is not running, is older than this drctl, or refuses the order.
    pub async fn order_lags(&self, orders: &LagOrders) -> Result<ReplicationState, SandboxError> {
        self.ask_about_replication("PUT", serde_json::json!(orders).to_string()).await
    }

    async fn ask_about_replication(
        &self,
        method: &'static str,
        body: String,
    ) -> Result<ReplicationState, SandboxError> {
        let asked = self.ask(method, "/_drctl/replication", body, HEALTH_LIMIT).await?;
        let read = asked.and_then(|answer| serde_json::from_slice(&answer).map_err(|error| error.to_string()));
        read.map_err(|message| SandboxError::ReplicationRefused { message })
    }

    /// Aurora's clusters, and the servers behind them.
    ///
    /// # Errors
    ///
    /// When the sandbox is not running, or is older than this drctl.
    pub async fn aurora(&self) -> Result<AuroraStatus, SandboxError> {
        let asked = self.ask("GET", "/_drctl/aurora", String::new(), DATABASES_LIMIT).await?;
        let read = asked.and_then(|answer| serde_json::from_slice(&answer).map_err(|error| error.to_string()));
        read.map_err(|message| SandboxError::NoDatabase { message })
    }

    /// The command that opens `psql` at the cluster of a Region, or at the writer; in one account, or in whichever has
    /// one.
    ///
    /// The password is in the command's environment and not among its arguments, which every user of the machine can see.
    ///
    /// # Errors
    ///
    /// When the sandbox is not running, when there is no such cluster or more than one, or when it takes no SQL.
    pub async fn psql(&self, account: Option<&str>, region: Option<&str>) -> Result<Command, SandboxError> {
        let body = serde_json::json!({"account": account, "region": region}).to_string();
        let asked = self.ask("POST", "/_drctl/psql", body, PSQL_LIMIT).await?;
        let read =
            asked.and_then(|answer| serde_json::from_slice::<PsqlAccess>(&answer).map_err(|error| error.to_string()));
        read.and_then(|access| access.command()).map_err(|message| SandboxError::NoDatabase { message })
    }

    /// Sends a request to the running sandbox. Returns the answer's body, or why there is none.
    async fn ask(
        &self,
        method: &'static str,
        path: &'static str,
        body: String,
        limit: Duration,
    ) -> Result<Result<Vec<u8>, String>, SandboxError> {
        let record = match self.status()? {
            Status::Running(record) => record,
            Status::Stopped => return Err(SandboxError::NotRunning { reason: String::new() }),
            Status::Crashed(_, why) => return Err(SandboxError::NotRunning { reason: format!(": {why}") }),
        };
        Ok(match loopback::exchange_async(record.port, method, path, body, limit).await {
            Ok(answer) if answer.status == 200 => Ok(answer.body),
            Ok(answer) => Err(message_of(&answer.body)),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Removes what an ended sandbox left behind. Returns whether its MiniStack was still running.
async fn remove_leftovers(folder: &Folder, record: &Record) -> Result<bool, SandboxError> {
    let orphan = match record.ministack_pid {
        Some(pid) => ministack::end_orphan(pid, folder).await?,
        None => false,
    };
    folder.remove_record()?;
    folder.remove_failure()?;
    Ok(orphan)
}

async fn lock(folder: &Folder, progress: Progress<'_>) -> Result<FileLock, SandboxError> {
    let path = folder.control_lock();
    let started = Instant::now();
    let mut tail = None;
    loop {
        if let Some(lock) = FileLock::take(&path)? {
            return Ok(lock);
        }
        if started.elapsed() > CONTROL_WITHIN {
            let seconds = started.elapsed().as_secs();
            return Err(SandboxError::Busy { doing: "starting or stopping the sandbox", seconds, path });
        }
        let tail = tail.get_or_insert_with(|| {
            progress("another drctl is starting or stopping the sandbox: waiting for it");
            Tail::default()
        });
        tail.pass_on(&folder.progress(), progress);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn health(record: &Record) -> Result<(), String> {
    let answer = loopback::exchange(record.port, "GET", "/_drctl/health", "", HEALTH_LIMIT)
        .map_err(|error| format!("process {} does not answer on port {}: {error}", record.pid, record.port))?;
    match serde_json::from_slice::<Health>(&answer.body) {
        Ok(health) if health.pid == record.pid => Ok(()),
        Ok(health) => Err(format!("on port {}, process {} answers instead of {}", record.port, health.pid, record.pid)),
        Err(_) => Err(format!("the process that answers on port {} is not a sandbox", record.port)),
    }
}

fn did_not_start(folder: &Folder, status: &str) -> SandboxError {
    let log = folder.log();
    let see_log = format!("its log is {}", log.display());
    match folder.read_failure() {
        Ok(Some(failure)) if failure.help.is_empty() => {
            SandboxError::DidNotStart { message: failure.message, help: see_log }
        }
        Ok(Some(failure)) => SandboxError::DidNotStart { message: failure.message, help: failure.help },
        Ok(None) | Err(_) => SandboxError::DidNotStart {
            message: format!(
                "its process ended ({status}). The last lines of its log:\n{}",
                process::last_lines(&log, LOG_LINES)
            ),
            help: see_log,
        },
    }
}

fn message_of(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Passes on each line of a growing file once.
#[derive(Debug, Default)]
struct Tail {
    read: usize,
}

impl Tail {
    fn pass_on(&mut self, path: &Path, progress: Progress<'_>) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                tracing::trace!(%error, "no progress to read yet");
                return;
            }
        };
        if text.len() < self.read {
            // The file was truncated: another process has started writing it.
            self.read = 0;
        }
        let Some(new) = text.get(self.read..) else { return };
        // A line without its end is still being written.
        let Some(end) = new.rfind('\n') else { return };
        new[..end].lines().for_each(progress);
        self.read += end + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::super::options::Pace;
    use super::super::sync;
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn record(pid: u32, port: u16) -> Record {
        Record {
            pid,
            port,
            dns_port: None,
            ministack_pid: Some(std::process::id()),
            ministack_port: Some(1),
            upstream: None,
            faults: None,
            pace: Pace::Instant,
            time_scale: 60.0,
            started_at: Timestamp::UNIX_EPOCH,
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_sandbox_is_recognised_by_its_command_line() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let dir = Some(PathBuf::from("/a/sandbox"));
        assert_eq!(served_folder(&words("/bin/drctl sandbox serve --dir /a/sandbox --port 0")), dir);
        assert_eq!(served_folder(&words("drctl sandbox serve --exit-with-stdin --dir /a/sandbox")), dir);
        for other in
            ["drctl sandbox status --dir /a", "vim sandbox", "drctl", "grep sandbox serve --dir", "sandbox serve"]
        {
            assert_eq!(served_folder(&words(other)), None, "{other}");
        }
    }

    #[test]
    fn without_a_folder_the_sandbox_is_stopped() -> TestResult {
        let dir = tempfile::tempdir()?;
        assert_eq!(Control::new(dir.path().join("sandbox")).status()?, Status::Stopped);
        Ok(())
    }

    #[tokio::test]
    async fn a_record_without_a_process_is_a_crash_and_a_reused_id_is_not_signalled() -> TestResult {
        let dir = tempfile::tempdir()?;
        let control = Control::new(dir.path().to_owned());
        let folder = control.folder.create()?;
        // This process's id stands for one that was reused: if stop() signalled it, the test would end here.
        folder.write_record(&record(std::process::id(), 1))?;
        assert!(matches!(control.status()?, Status::Crashed(_, why) if why.contains("without cleaning up")));
        assert!(!control.stop().await?);
        assert_eq!(control.status()?, Status::Stopped);
        Ok(())
    }

    #[test]
    fn a_process_that_holds_the_lock_and_does_not_answer_has_crashed() -> TestResult {
        let dir = tempfile::tempdir()?;
        let control = Control::new(dir.path().to_owned());
        let folder = control.folder.create()?;
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        folder.write_record(&record(std::process::id(), free))?;
        let _lock = FileLock::take(&folder.serve_lock())?;
        assert!(matches!(control.status()?, Status::Crashed(_, why) if why.contains("does not answer")));
        Ok(())
    }

    #[test]
    fn progress_is_passed_on_line_by_line() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("progress.log");
        let received = Mutex::new(Vec::new());
        let receive = |line: &str| sync::lock(&received).push(line.to_owned());
        let mut tail = Tail::default();
        tail.pass_on(&path, &receive);
        std::fs::write(&path, "one\ntw")?;
        tail.pass_on(&path, &receive);
        std::fs::write(&path, "one\ntwo\nthree\n")?;
        tail.pass_on(&path, &receive);
        tail.pass_on(&path, &receive);
        std::fs::write(&path, "again\n")?;
        tail.pass_on(&path, &receive);
        assert_eq!(*sync::lock(&received), ["one", "two", "three", "again"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_failed_start_is_an_error() -> TestResult {
        let dir = tempfile::tempdir()?;
        let control = Control::new(dir.path().join("sandbox")).with_program(PathBuf::from("false"));
        let error = control.start(StartOptions::default(), &|_| {}).await.err();
        assert!(matches!(error, Some(SandboxError::DidNotStart { .. })), "{error:?}");
        Ok(())
    }
}
