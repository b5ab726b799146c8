//! The process of the emulator, MiniStack.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command};

use super::error::{Place, SandboxError};
use super::loopback;
use super::process;
use super::record::Folder;

/// The Python code that starts the emulator.
///
/// Its standard input is a pipe to which nothing is ever written, and whose other end only the proxy holds. The kernel
/// closes that end with the proxy, `kill -9` or not: this is how the emulator, and the functions that it runs as
/// processes of their own, learn that they are not needed any more. `-I` keeps out a stray `json.py` in the current
/// folder.
///
/// On AWS, a function's credentials have a session token, which every SDK sends along. Here it is the function's ARN: by
/// it, the proxy knows whose a call is, and from which Region it comes.
///
/// MiniStack judges an alarm by all metrics of its name, whatever their dimensions are. Here, the alarm on one health check is
/// not raised by another one.
const LAUNCHER: &str = r#"
import os, runpy, signal, sys, threading, time

def follow_parent():
    while os.read(0, 4096):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGTERM)
        time.sleep(3)
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)

threading.Thread(target=follow_parent, daemon=True).start()

from ministack.core import lambda_runtime
credentials = lambda_runtime.execution_credentials

def of_function(config):
    return {**credentials(config), "AWS_SESSION_TOKEN": config.get("FunctionArn", "")}

lambda_runtime.execution_credentials = of_function

from ministack.services import cloudwatch
evaluate = cloudwatch._evaluate_alarm

def by_its_dimensions(alarm):
    everything = cloudwatch._metrics
    wanted = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    cloudwatch._metrics = {key: points for key, points in everything.items() if key[2] == wanted}
    try:
        evaluate(alarm)
    finally:
        cloudwatch._metrics = everything

cloudwatch._evaluate_alarm = by_its_dimensions
"#;

/// The Python code by which replication takes time; `world::replication` says how long.
const REPLICATION: &str = include_str!("ministack/replication.py");

/// The Python code that runs the emulator, after the two above.
const RUN: &str = r#"
sys.argv = ["ministack"]
runpy.run_module("ministack", run_name="__main__", alter_sys=True)
"#;

/// The argument by which a MiniStack of drctl's is recognised; the folder is the next argument.
const MARKER: &str = "drctl-sandbox-ministack";

/// It takes two seconds on an idle machine; the rest is for a busy one.
const READY_WITHIN: Duration = Duration::from_secs(90);
const READY_INTERVAL: Duration = Duration::from_millis(50);
const HEALTH_LIMIT: Duration = Duration::from_secs(2);
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// A port that was free a moment ago may be taken by now, but hardly three times in a row.
const PORT_ATTEMPTS: usize = 3;
const LOG_LINES: usize = 15;

/// A running MiniStack.
#[derive(Debug)]
pub(super) struct MiniStack {
    child: Child,
    pid: u32,
    port: u16,
    log: PathBuf,
    // Dropped last, by the order of declaration: the emulator may write there until it has ended.
    _parent: Option<ChildStdin>,
    _scratch: TempDir,
}

impl MiniStack {
    /// Starts MiniStack with `python` and waits until it answers. Its functions call AWS at `proxy`, a port on loopback.
    pub(super) async fn start(python: &Path, folder: &Folder, proxy: u16) -> Result<Self, SandboxError> {
        let mut attempt = 1;
        loop {
            let mut ministack = Self::spawn(python, folder, proxy)?;
            match ministack.ready().await {
                Ok(()) => return Ok(ministack),
                Err(SandboxError::Crashed { tail, .. })
                    if tail.contains("already in use") && attempt < PORT_ATTEMPTS =>
                {
                    tracing::debug!(port = ministack.port, "another process took MiniStack's port first");
                    attempt += 1;
                }
                Err(error) => {
                    ministack.stop().await;
                    return Err(error);
                }
            }
        }
    }

    fn spawn(python: &Path, folder: &Folder, proxy: u16) -> Result<Self, SandboxError> {
        let port = free_port()?;
        let log = folder.ministack_log();
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&log)
            .map_err(SandboxError::file("write", &log))?;
        let errors = file.try_clone().map_err(SandboxError::file("write", &log))?;
        // It unpacks functions into the temporary folder and leaves them there when it is killed.
        let scratch = tempfile::Builder::new()
            .prefix("drctl-sandbox-")
            .tempdir()
            .map_err(SandboxError::file("create a folder in", std::env::temp_dir()))
            .map_err(|error| error.of(Place::Temporary))?;
        let mut command = Command::new(python);
        command
            .args(["-I", "-u", "-c", &[LAUNCHER, REPLICATION, RUN].concat(), MARKER])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true);
        // An emulator has no business with the user's credentials, profiles, and endpoints.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["AWS_", "MINISTACK_", "GATEWAY_", "PYTHON"].iter().any(|start| name.starts_with(start)) {
                command.env_remove(&*name);
            }
        }
        command
            .env("BIND_HOST", Ipv4Addr::LOCALHOST.to_string())
            .env("GATEWAY_PORT", port.to_string())
            // MiniStack itself makes no calls: it hands this on to its functions.
            .env("AWS_ENDPOINT_URL", format!("http://{}:{proxy}", Ipv4Addr::LOCALHOST))
            .env("TMPDIR", scratch.path());
        let spawned = command.spawn();
        let mut child =
            spawned.map_err(|source| SandboxError::Spawn { program: python.display().to_string(), source })?;
        let parent = child.stdin.take();
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid, port, log, _parent: parent, _scratch: scratch })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    async fn ready(&mut self) -> Result<(), SandboxError> {
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            // Before the health is checked: if another process took the port, its answer must not count.
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.crashed(status.to_string()));
            }
            match loopback::exchange_async(self.port, "GET", "/_ministack/health", String::new(), HEALTH_LIMIT).await {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => tracing::debug!(status = answer.status, "MiniStack is not ready"),
                Err(error) => tracing::trace!(%error, "MiniStack does not answer yet"),
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        Err(SandboxError::NotReady {
            seconds: READY_WITHIN.as_secs(),
            tail: process::last_lines(&self.log, LOG_LINES),
            log: self.log.clone(),
        })
    }

    /// Waits until MiniStack ends by itself, which it should never do.
    pub(super) async fn ended(&mut self) -> SandboxError {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => format!("cannot wait for it to end: {error}"),
        };
        self.crashed(status)
    }

    fn crashed(&self, status: String) -> SandboxError {
        SandboxError::Crashed { status, tail: process::last_lines(&self.log, LOG_LINES), log: self.log.clone() }
    }

    /// Ends MiniStack and every process it started.
    pub(super) async fn stop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            send(self.pid, Signal::TERM);
            if tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await.is_err() {
                tracing::warn!(pid = self.pid, "MiniStack did not end after SIGTERM: killing it");
            }
        }
        // Functions are processes of their own in its group, and may end later than it does.
        send(self.pid, Signal::KILL);
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, pid = self.pid, "cannot wait for MiniStack to end");
        }
    }
}

fn send(group: u32, signal: Signal) {
    if let Err(error) = process::signal_group(group, signal) {
        tracing::warn!(%error, group, "cannot signal MiniStack");
    }
}

fn free_port() -> Result<u16, SandboxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|source| SandboxError::Listen { source })?;
    let address = listener.local_addr().map_err(|source| SandboxError::Listen { source })?;
    Ok(address.port())
}

/// Whether `pid` is a MiniStack that a sandbox of this folder started.
fn is_ours(pid: u32, folder: &Folder) -> bool {
    let arguments = format!("{MARKER} {}", folder.path().display());
    process::command_line(pid).is_some_and(|line| line.trim_end().ends_with(&arguments))
}

/// Ends a MiniStack whose proxy has ended. It should have noticed by itself, unless it hangs.
///
/// Returns whether there was one. No other process has this folder after this word on its command line, so a process
/// whose id was reused is not signalled.
pub(super) async fn end_orphan(pid: u32, folder: &Folder) -> Result<bool, SandboxError> {
    if !process::exists(pid) || !is_ours(pid, folder) {
        return Ok(false);
    }
    tracing::info!(pid, "ending a MiniStack that was left behind");
    send(pid, Signal::TERM);
    let started = Instant::now();
    let mut killed = false;
    while process::exists(pid) && is_ours(pid, folder) {
        if !killed && started.elapsed() > ENDS_WITHIN {
            send(pid, Signal::KILL);
            killed = true;
        }
        if started.elapsed() > ENDS_WITHIN * 2 {
            return Err(SandboxError::WillNotEnd { pid });
        }
        tokio::time::sleep(READY_INTERVAL).await;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_is_not_recognised_as_ours() {
        let folder = Folder::new(std::env::temp_dir());
        assert!(!is_ours(std::process::id(), &folder));
    }

    #[tokio::test]
    async fn a_reused_process_id_is_not_signalled() {
        let folder = Folder::new(std::env::temp_dir());
        let ended = end_orphan(std::process::id(), &folder).await;
        assert!(matches!(ended, Ok(false)));
    }
}
