//! The sandbox's own process: MiniStack and the proxy in front of it, until the process is told to end.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::error::{SandboxError, with_causes};
use super::install;
use super::ministack::{self, MiniStack};
use super::options::{self, Pace, Progress, ServeOptions};
use super::proxy::{Proxy, ProxyOptions};
use super::record::{Failure, FileLock, Folder, Record};
use super::sync::lock;
use super::world::aurora::Place;

/// A process that only looks at the lock holds it for an instant: it is not another sandbox.
const LOCK_WITHIN: Duration = Duration::from_secs(1);
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// How often the sandbox checks whether its folder still exists.
const FOLDER_INTERVAL: Duration = Duration::from_secs(1);

/// Serves a sandbox in this process until SIGTERM, SIGINT, or SIGHUP (or the end of standard input, if requested).
///
/// Installs MiniStack if necessary, starts it, and writes the record once everything answers. However this function
/// returns, MiniStack has ended by then.
///
/// # Errors
///
/// When another sandbox serves from the same folder, when the port is taken, when MiniStack cannot be installed or
/// started, or when it ends by itself.
pub async fn serve(options: ServeOptions, progress: Progress<'_>) -> Result<(), SandboxError> {
    options::check_time_scale(options.time_scale)?;
    let upstream = options.upstream.as_deref().map(options::check_upstream).transpose()?;
    let options = ServeOptions { upstream, ..options };
    // Read before anything is started, so that an error in the file is reported at once.
    options.faults.as_deref().map(options::read_faults).transpose()?;
    let folder = Folder::new(options.dir.clone()).create()?;
    let lock = take_lock(&folder).await?;
    folder.remove_failure()?;
    let result = run(&options, &folder, &lock, progress).await;
    if let Err(error) = &result
        && let Err(unwritten) = folder.write_failure(&Failure::from(error))
    {
        tracing::error!(error = with_causes(&unwritten), "cannot write the reason for the end");
    }
    result
}

async fn take_lock(folder: &Folder) -> Result<FileLock, SandboxError> {
    let path = folder.serve_lock();
    let started = Instant::now();
    loop {
        if let Some(lock) = FileLock::take(&path)? {
            return Ok(lock);
        }
        if started.elapsed() > LOCK_WITHIN {
            let pid = FileLock::holder(&path)?.pid();
            return Err(SandboxError::AlreadyServing { dir: folder.path().to_owned(), pid });
        }
        tokio::time::sleep(LOCK_INTERVAL).await;
    }
}

async fn run(
    options: &ServeOptions,
    folder: &Folder,
    lock: &FileLock,
    progress: Progress<'_>,
) -> Result<(), SandboxError> {
    let log = ProgressLog::create(&folder.progress())?;
    let say = |line: &str| {
        log.write(line);
        progress(line);
    };
    let mut ending = EndRequests::listen(options.exit_with_stdin)?;
    if let Some(upstream) = &options.upstream {
        options::reach_upstream(upstream).await?;
    }
    if let Some(old) = folder.read_record()? {
        if let Some(pid) = old.ministack_pid {
            ministack::end_orphan(pid, folder).await?;
        }
        folder.remove_record()?;
    }
    let listener = listen(options.port).await?;
    let port = port_of(&listener)?;
    let (mut ministack, mut aurora) = (None, None);
    if options.upstream.is_none() {
        let (started, programs) = tokio::select! {
            started = start_ministack(folder, port, &say) => started?,
            reason = ending.requested() => {
                say(&format!("ending before MiniStack was ready: {reason}"));
                return Ok(());
            }
        };
        ministack = Some(started);
        aurora = Some(Place { programs, home: folder.postgres() });
    }
    let ending = ending.requested_or_folder_gone(lock);
    let result = serve_until(ending, options, folder, listener, (ministack.as_mut(), aurora), &say).await;
    if let Some(ministack) = &mut ministack {
        ministack.stop().await;
    }
    match &result {
        // The record of a crashed sandbox stays: from it, `status` knows that there was one.
        Err(SandboxError::Crashed { .. }) => {}
        _ => folder.remove_record()?,
    }
    result
}

/// Starts MiniStack. Also returns where PostgreSQL's programs are.
async fn start_ministack(
    folder: &Folder,
    proxy: u16,
    progress: Progress<'_>,
) -> Result<(MiniStack, Option<PathBuf>), SandboxError> {
    let python = install::ensure(progress).await?;
    progress("starting MiniStack");
    Ok((MiniStack::start(&python, folder, proxy).await?, install::postgres_of(&python)))
}

async fn serve_until(
    ending: impl Future<Output = &'static str>,
    options: &ServeOptions,
    folder: &Folder,
    listener: TcpListener,
    (mut ministack, aurora): (Option<&mut MiniStack>, Option<Place>),
    progress: Progress<'_>,
) -> Result<(), SandboxError> {
    let port = port_of(&listener)?;
    let own_port = ministack.as_ref().map(|ministack| ministack.port());
    let upstream =
        options.upstream.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", own_port.unwrap_or_default()));
    let started = Proxy::start(ProxyOptions {
        port,
        dns_port: options.dns_port,
        upstream,
        own_ministack: ministack.is_some(),
        pace: options.pace,
        time_scale: options.time_scale,
        emulator_log: ministack.is_some().then(|| folder.ministack_log()),
        faults: options.faults.as_deref().map(options::read_faults).transpose()?,
        aurora,
    });
    let proxy = Arc::new(started.await?);
    let dns_port = Some(proxy.dns_port());
    let serving = tokio::spawn(Arc::clone(&proxy).serve(listener));
    let record = Record {
        pid: std::process::id(),
        port,
        dns_port,
        ministack_pid: ministack.as_ref().map(|ministack| ministack.pid()),
        ministack_port: own_port,
        upstream: options.upstream.clone(),
        faults: options.faults.clone(),
        pace: options.pace,
        time_scale: options.time_scale,
        started_at: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    folder.write_record(&record)?;
    progress(&ready_line(&record));
    let died = async {
        match ministack.as_mut() {
            Some(ministack) => ministack.ended().await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        reason = ending => {
            progress(&format!("ending: {reason}"));
            Ok(())
        }
        error = died => {
            tracing::error!(error = %error, "MiniStack ended");
            Err(error)
        }
    };
    serving.abort();
    proxy.end().await;
    result
}

fn ready_line(record: &Record) -> String {
    let pace = match record.pace {
        Pace::Instant => "pace instant".to_owned(),
        Pace::Aws => format!("pace aws, {} times as fast", record.time_scale),
    };
    let dns = record.dns().map(|dns| format!(", and answers DNS at {dns}")).unwrap_or_default();
    format!("the sandbox is ready at {} ({pace}){dns}", record.endpoint())
}

async fn listen(port: u16) -> Result<TcpListener, SandboxError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            SandboxError::PortInUse { port, source }
        } else {
            SandboxError::Listen { source }
        }
    })
}

fn port_of(listener: &TcpListener) -> Result<u16, SandboxError> {
    Ok(listener.local_addr().map_err(|source| SandboxError::Listen { source })?.port())
}

/// The file in which the process that waits for the start can read what the start is doing.
struct ProgressLog {
    file: Mutex<File>,
}

impl ProgressLog {
    fn create(path: &Path) -> Result<Self, SandboxError> {
        let file = File::create(path).map_err(SandboxError::file("write", path))?;
        Ok(Self { file: Mutex::new(file) })
    }

    fn write(&self, line: &str) {
        if let Err(error) = writeln!(lock(&self.file), "{line}") {
            tracing::warn!(%error, "cannot write the progress of the start");
        }
    }
}

/// Everything that can tell the sandbox to end.
struct EndRequests {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl EndRequests {
    fn listen(stdin: bool) -> Result<Self, SandboxError> {
        let on = |kind| {
            signal(kind).map_err(|source| SandboxError::Spawn { program: "the signal handlers".to_owned(), source })
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
            stdin: stdin.then(watch_stdin),
        })
    }

    /// Waits until the sandbox is told to end, or until nothing can tell it any more because its folder was removed.
    /// Returns the reason.
    async fn requested_or_folder_gone(&mut self, lock: &FileLock) -> &'static str {
        let gone = async {
            while !lock.is_gone() {
                tokio::time::sleep(FOLDER_INTERVAL).await;
            }
        };
        tokio::select! {
            reason = self.requested() => reason,
            () = gone => "its folder was removed",
        }
    }

    /// Waits until the sandbox is told to end, and returns the reason.
    async fn requested(&mut self) -> &'static str {
        let Self { terminate, interrupt, hangup, stdin } = self;
        let stdin = async {
            match stdin {
                // The sender is dropped only when standard input has ended, whether it sends or not.
                Some(ended) => {
                    let _ended_either_way = ended.await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hangup.recv() => "SIGHUP",
            () = stdin => "standard input ended",
        }
    }
}

/// Uses a thread of its own, because tokio's standard input would keep the runtime from shutting down until it ends.
fn watch_stdin() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        if let Err(error) = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()) {
            tracing::debug!(%error, "cannot read standard input: treating it as ended");
        }
        // It is fine if the receiver is gone: the sandbox is ending already.
        let _receiver_may_be_gone = sender.send(());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[tokio::test]
    async fn a_taken_port_is_named() -> TestResult {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = taken.local_addr()?.port();
        let error = listen(port).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error, format!("port {port} on loopback is taken"));
        Ok(())
    }

    #[tokio::test]
    async fn a_second_sandbox_in_a_folder_is_refused() -> TestResult {
        let dir = tempfile::tempdir()?;
        let folder = Folder::new(dir.path().to_owned()).create()?;
        let _first = take_lock(&folder).await?;
        let error = take_lock(&folder).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        Ok(())
    }
}
