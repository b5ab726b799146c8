//! Signals: how SIGINT, SIGTERM, and SIGHUP reach a command.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;
use drctl_engine::cancel::{Shutdown, Stage, Trigger, shutdown};
use drctl_engine::{Class, Failure};

/// Listens for SIGINT, SIGTERM, and SIGHUP from now on. Each signal takes the shutdown one stage further.
///
/// SIGHUP comes when the terminal is closed. It ends a run as the others do, unless it was to be ignored when drctl was started, as
/// `nohup` does.
pub fn listen() -> Result<Shutdown, CliError> {
    let io = |source| CliError::Io { action: "listen for signals".to_owned(), source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io)?;
    let mut hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup()).map_err(io)?) };
    let (trigger, listener) = shutdown();
    tokio::spawn(async move {
        let trigger: Trigger = trigger;
        let mut is_stopping = false;
        // Never ends: the trigger has to live while anything listens to it.
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                // A terminal that is closed is often told twice, by the kernel and by the shell. That is no second request.
                () = received(hangup.as_mut()) => if is_stopping { continue },
            }
            is_stopping = true;
            trigger.escalate();
        }
    });
    Ok(listener)
}

/// Waits for a signal, for ever if it is not listened to.
async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP was to be ignored when drctl was started: `SigIgn` in proc(5). Without /proc that is not known, and SIGHUP is left
/// as it is.
fn is_hangup_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| ignores_hangup(&status)).unwrap_or(true)
}

/// Reads the first bit of the mask, which is that of signal 1.
fn ignores_hangup(status: &str) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    Some(u64::from_str_radix(mask.trim(), 16).ok()? & 1 == 1)
}

/// Does work that changes nothing in AWS, and abandons it at the first signal.
pub async fn unless_interrupted<T>(
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let mut shutdown = shutdown.clone();
    tokio::select! {
        biased;
        () = shutdown.reached(Stage::Drain) => {
            Err(Failure::new(Class::Interrupted, "interrupted before anything was changed").into())
        }
        done = work => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_read_from_the_mask() {
        let status = |mask: &str| format!("Name:\tdrctl\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert_eq!(ignores_hangup(&status("0000000000001001")), Some(true));
        assert_eq!(ignores_hangup(&status("0000000000001000")), Some(false));
        assert_eq!(ignores_hangup(&status("?")), None);
        assert_eq!(ignores_hangup("Name:\tdrctl\n"), None);
    }
}
