//! Carrying out a plan: progress while it runs, and what became of it. Shared by `up` and `down`.

use std::sync::Arc;

use super::error::{CliError, Exit};
use super::output::Output;
use super::session::Connected;
use super::ui::progress::{JsonEvents, Progress};
use super::ui::summary;
use crate::engine::cancel::{Shutdown, Stage, Trigger, shutdown};
use crate::engine::{Class, Drivers, Events, Graph, Plan, Report, Run};
use crate::state::Store;

/// Listens for SIGINT and SIGTERM from now on.
pub fn listen() -> Result<Shutdown, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let io = |source| CliError::Io { action: "listen for signals".to_owned(), source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io)?;
    let (trigger, listener) = shutdown();
    tokio::spawn(async move {
        let trigger: Trigger = trigger;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if trigger.escalate() == Stage::Abort {
                // The run ends by itself; only the trigger has to stay alive until then.
                std::future::pending::<()>().await;
            }
        }
    });
    Ok(listener)
}

/// Carries out a plan.
pub async fn apply(
    plan: &Plan,
    graph: &Graph,
    drivers: &dyn Drivers,
    connected: &Connected,
    adopt: bool,
    store: &mut Store,
    output: &Output,
    shutdown: Shutdown,
) -> Result<Report, CliError> {
    let options = connected.options(adopt);
    if output.json {
        let events = JsonEvents::new(Box::new(std::io::stdout()));
        let run = Run { plan, graph, drivers, options, events: &events };
        return Ok(run.apply(store, shutdown).await);
    }
    let progress = Arc::new(Progress::new(plan, &output.style, connected.time_scale()));
    let events: &dyn Events = progress.as_ref();
    let report = Run { plan, graph, drivers, options, events }.apply(store, shutdown).await;
    progress.finish();
    Ok(report)
}

/// Prints what became of a run and says how to exit.
pub fn conclude(report: &Report, output: &Output) -> Result<Exit, CliError> {
    if output.json {
        output.print_json(&summary::to_json(report))?;
    } else {
        output.print(&summary::render(report, &output.style))?;
    }
    if report.state.is_some() {
        return Ok(Exit::State);
    }
    if report.interrupted {
        return Ok(Exit::Interrupted);
    }
    if report.is_success() {
        return Ok(Exit::Done);
    }
    let denied = report.failures().all(|(_, _, failure)| failure.class == Class::Denied);
    Ok(if denied && report.failures().next().is_some() { Exit::Denied } else { Exit::Failed })
}
