//! Signals: how SIGINT and SIGTERM reach a command.

use super::error::CliError;
use drctl_engine::cancel::{Shutdown, Stage, Trigger, shutdown};
use drctl_engine::{Class, Failure};

/// Listens for SIGINT and SIGTERM from now on. Each signal takes the shutdown one stage further.
pub fn listen() -> Result<Shutdown, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let io = |source| CliError::Io { action: "listen for signals".to_owned(), source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io)?;
    let (trigger, listener) = shutdown();
    tokio::spawn(async move {
        let trigger: Trigger = trigger;
        // Never ends: the trigger has to live while anything listens to it.
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            trigger.escalate();
        }
    });
    Ok(listener)
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
