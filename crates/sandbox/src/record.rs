//! The files in a sandbox's folder, through which other processes find it.
//!
//! | file | contents |
//! |---|---|
//! | `sandbox.json` | the [`Record`], written when the sandbox is ready |
//! | `serve.lock` | the id of the serving process, which holds this lock for as long as it lives |
//! | `control.lock` | held while a process starts or stops the sandbox |
//! | `progress.log` | what the start is doing, for the processes that wait for it |
//! | `failure.json` | why the last sandbox ended, if it was not asked to |
//! | `postgres` | the servers of Aurora's clusters, by account and Region, for as long as the sandbox runs |
//! | `sandbox.log`, `ministack.log` | the logs of the two processes |
//!
//! A process id in a file proves nothing, since ids are reused. What proves that the sandbox is alive is the lock: the
//! kernel releases it when the process ends, for whatever reason.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use miette::Diagnostic;
use serde::{Deserialize, Serialize};

use super::error::{SandboxError, with_causes};
use super::options::{Pace, StartOptions};

/// A running sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The proxy's process.
    pub pid: u32,
    /// The proxy's port on loopback.
    pub port: u16,
    /// The name server's port on loopback, for UDP and TCP; none if a drctl that had no name server serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_port: Option<u16>,
    /// The emulator's process; none if the emulator was given with `--upstream`.
    pub ministack_pid: Option<u32>,
    /// The emulator's port on loopback; none if the emulator was given with `--upstream`.
    pub ministack_port: Option<u16>,
    /// The URL given with `--upstream`, if any.
    pub upstream: Option<String>,
    /// How long things take.
    pub pace: Pace,
    /// How many times faster than AWS the [`Pace::Aws`] pace is.
    pub time_scale: f64,
    /// The fault file that it was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<PathBuf>,
    /// When it became ready.
    pub started_at: Timestamp,
    /// The version of drctl that serves.
    pub version: String,
}

impl Record {
    /// The URL to use as the SDK's endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the name server answers, over UDP and TCP.
    #[must_use]
    pub fn dns(&self) -> Option<SocketAddr> {
        self.dns_port.map(|port| (Ipv4Addr::LOCALHOST, port).into())
    }

    /// Whether this sandbox is running with `options`.
    #[must_use]
    pub fn satisfies(&self, options: &StartOptions) -> bool {
        let same_scale = options.pace == Pace::Instant || (self.time_scale - options.time_scale).abs() < 1e-9;
        self.pace == options.pace
            && same_scale
            && (options.port == 0 || options.port == self.port)
            && (options.dns_port == 0 || Some(options.dns_port) == self.dns_port)
            && options.faults == self.faults
            && options.upstream.as_deref().map(|url| url.trim_end_matches('/')) == self.upstream.as_deref()
    }

    /// The options that it was started with.
    #[must_use]
    pub fn options(&self) -> StartOptions {
        StartOptions {
            pace: self.pace,
            time_scale: self.time_scale,
            port: self.port,
            dns_port: self.dns_port.unwrap_or_default(),
            upstream: self.upstream.clone(),
            faults: self.faults.clone(),
        }
    }
}

/// Whether there is a sandbox, and whether it works.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// There is no sandbox.
    Stopped,
    /// It is running and answers.
    Running(Record),
    /// It ended without being told to, or it does not answer any more: the reason.
    Crashed(Record, String),
}

/// Why a sandbox ended, for a process that waits for it or looks later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) help: String,
}

impl From<&SandboxError> for Failure {
    fn from(error: &SandboxError) -> Self {
        Self { message: with_causes(error), help: error.help().map(|help| help.to_string()).unwrap_or_default() }
    }
}

/// The folder of a sandbox.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Creates the folder and returns it with an absolute path, since other processes will use that path.
    pub(super) fn create(&self) -> Result<Self, SandboxError> {
        std::fs::create_dir_all(&self.dir).map_err(SandboxError::file("create", &self.dir))?;
        let dir = std::fs::canonicalize(&self.dir).map_err(SandboxError::file("resolve", &self.dir))?;
        Ok(Self { dir })
    }

    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("sandbox.log")
    }

    pub(super) fn ministack_log(&self) -> PathBuf {
        self.dir.join("ministack.log")
    }

    /// The servers of Aurora's clusters, and what they are copied from.
    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(super) fn progress(&self) -> PathBuf {
        self.dir.join("progress.log")
    }

    pub(super) fn serve_lock(&self) -> PathBuf {
        self.dir.join("serve.lock")
    }

    pub(super) fn control_lock(&self) -> PathBuf {
        self.dir.join("control.lock")
    }

    fn record(&self) -> PathBuf {
        self.dir.join("sandbox.json")
    }

    fn failure(&self) -> PathBuf {
        self.dir.join("failure.json")
    }

    pub(super) fn read_record(&self) -> Result<Option<Record>, SandboxError> {
        Self::read(&self.record())
    }

    pub(super) fn write_record(&self, record: &Record) -> Result<(), SandboxError> {
        self.write(&self.record(), record)
    }

    pub(super) fn remove_record(&self) -> Result<(), SandboxError> {
        remove(&self.record())
    }

    pub(super) fn read_failure(&self) -> Result<Option<Failure>, SandboxError> {
        Self::read(&self.failure())
    }

    pub(super) fn write_failure(&self, failure: &Failure) -> Result<(), SandboxError> {
        self.write(&self.failure(), failure)
    }

    pub(super) fn remove_failure(&self) -> Result<(), SandboxError> {
        remove(&self.failure())
    }

    fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, SandboxError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SandboxError::file("read", path)(error)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| SandboxError::RecordUnreadable { path: path.to_owned(), source })
    }

    fn write<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), SandboxError> {
        let mut bytes = serde_json::to_vec_pretty(value)
            .map_err(|source| SandboxError::RecordUnreadable { path: path.to_owned(), source })?;
        bytes.push(b'\n');
        // Replaced as a whole: a process that reads it at this moment sees the old contents or the new ones.
        let failed = || SandboxError::file("write", path);
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).map_err(failed())?;
        file.write_all(&bytes).map_err(failed())?;
        file.as_file().sync_all().map_err(failed())?;
        file.persist(path).map_err(|error| failed()(error.error))?;
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), SandboxError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SandboxError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The holder of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    None,
    /// A process that has taken the lock just now and has not written its id yet.
    Unknown,
    Process(u32),
}

impl Holder {
    pub(super) fn pid(self) -> Option<u32> {
        match self {
            Self::Process(pid) => Some(pid),
            Self::None | Self::Unknown => None,
        }
    }
}

/// An exclusive lock on a file, released when it is dropped or when the process dies.
#[derive(Debug)]
pub(super) struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock if it is free, and writes this process's id into the file.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, SandboxError> {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(SandboxError::file("lock", path)(error)),
        }
        let failed = || SandboxError::file("write", path);
        file.set_len(0).map_err(failed())?;
        file.rewind().map_err(failed())?;
        writeln!(file, "{}", std::process::id()).map_err(failed())?;
        Ok(Some(Self { file }))
    }

    /// Whether the file has been removed, so that no other process can find the lock any more.
    pub(super) fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }

    /// The process that holds the lock.
    pub(super) fn holder(path: &Path) -> Result<Holder, SandboxError> {
        if !path.exists() {
            return Ok(Holder::None);
        }
        let mut file = open(path)?;
        // Shared, so that two processes that look at the same time do not take each other for the holder.
        match file.try_lock_shared() {
            Ok(()) => Ok(Holder::None),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(SandboxError::file("read", path))?;
                Ok(text.trim().parse().map_or(Holder::Unknown, Holder::Process))
            }
            Err(TryLockError::Error(error)) => Err(SandboxError::file("lock", path)(error)),
        }
    }
}

fn open(path: &Path) -> Result<File, SandboxError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(SandboxError::file("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn record() -> Record {
        Record {
            pid: 4711,
            port: 40001,
            dns_port: Some(40053),
            ministack_pid: Some(4712),
            ministack_port: Some(40002),
            upstream: None,
            faults: None,
            pace: Pace::Aws,
            time_scale: 60.0,
            started_at: Timestamp::UNIX_EPOCH,
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_record_round_trips() -> TestResult {
        let dir = tempfile::tempdir()?;
        let folder = Folder::new(dir.path().join("sandbox")).create()?;
        assert_eq!(folder.read_record()?, None);
        folder.write_record(&record())?;
        assert_eq!(folder.read_record()?, Some(record()));
        folder.remove_record()?;
        folder.remove_record()?;
        assert_eq!(folder.read_record()?, None);
        Ok(())
    }

    #[test]
    fn a_broken_record_is_an_error_that_names_the_file() -> TestResult {
        let dir = tempfile::tempdir()?;
        let folder = Folder::new(dir.path().to_owned()).create()?;
        std::fs::write(dir.path().join("sandbox.json"), "{\"pid\":")?;
        let error = folder.read_record().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("sandbox.json"), "{error}");
        Ok(())
    }

    #[test]
    fn a_lock_names_its_holder_and_is_released() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("serve.lock");
        assert_eq!(FileLock::holder(&path)?, Holder::None);
        let lock = FileLock::take(&path)?;
        assert!(lock.is_some());
        assert!(FileLock::take(&path)?.is_none());
        assert_eq!(FileLock::holder(&path)?, Holder::Process(std::process::id()));
        drop(lock);
        assert_eq!(FileLock::holder(&path)?, Holder::None);
        Ok(())
    }

    #[test]
    fn a_lock_whose_folder_is_removed_is_gone_and_one_that_is_moved_is_not() -> TestResult {
        let dir = tempfile::tempdir()?;
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        std::fs::create_dir(&old)?;
        let lock = FileLock::take(&old.join("serve.lock"))?.ok_or("the lock is taken")?;
        assert!(!lock.is_gone());
        std::fs::rename(&old, &new)?;
        assert!(!lock.is_gone());
        std::fs::remove_dir_all(&new)?;
        assert!(lock.is_gone());
        Ok(())
    }

    #[test]
    fn the_same_options_are_recognised() {
        let wanted =
            StartOptions { pace: Pace::Aws, time_scale: 60.0, port: 0, dns_port: 0, upstream: None, faults: None };
        assert!(record().satisfies(&wanted));
        assert!(record().satisfies(&StartOptions { port: 40001, ..wanted.clone() }));
        assert!(!record().satisfies(&StartOptions { port: 40003, ..wanted.clone() }));
        assert!(record().satisfies(&StartOptions { dns_port: 40053, ..wanted.clone() }));
        assert!(!record().satisfies(&StartOptions { dns_port: 40054, ..wanted.clone() }));
        assert!(record().satisfies(&record().options()), "it runs with its own options");
        assert!(!record().satisfies(&StartOptions { time_scale: 1.0, ..wanted.clone() }));
        assert!(!record().satisfies(&StartOptions { pace: Pace::Instant, ..wanted.clone() }));
        assert!(!record().satisfies(&StartOptions { upstream: Some("http://127.0.0.1:1".into()), ..wanted }));
    }
}
