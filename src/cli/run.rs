//! Carrying out a plan: progress while it runs, and what became of it. Shared by `up` and `down`.

use super::error::{CliError, Exit};
use super::output::Output;
use super::session::Connected;
use super::ui::{self, JsonEvents, PlanContext, Progress, summary};
use crate::engine::cancel::{Shutdown, Stage, Trigger, shutdown};
use crate::engine::{Class, Drivers, Failure, Graph, Plan, Report, Run};
use crate::preflight::Findings;
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
        // For ever: the trigger has to stay alive as long as anybody listens.
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

/// Does something that may be given up at any time, until the first signal.
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

/// What a command that runs tells, to people or to machines.
pub struct Teller<'a> {
    output: &'a Output,
    machines: Option<JsonEvents>,
}

/// What a run is carried out with.
pub struct Tools<'a> {
    /// What shall be.
    pub graph: &'a Graph,
    /// The types of resources.
    pub drivers: &'a dyn Drivers,
    /// AWS, reached.
    pub connected: &'a Connected,
    /// Whether resources of others may be taken over.
    pub adopt: bool,
}

impl<'a> Teller<'a> {
    /// Begins to tell: machines read which version speaks first.
    pub fn new(output: &'a Output) -> Self {
        let machines = output.json.then(|| JsonEvents::new(Box::new(std::io::stdout())));
        Self { output, machines }
    }

    /// Shows a plan.
    pub fn plan(&self, plan: &Plan, context: &PlanContext) -> Result<(), CliError> {
        match &self.machines {
            Some(events) => {
                let mut json = ui::plan::to_json(plan, context);
                json["event"] = "plan".into();
                events.line(json);
                Ok(())
            }
            None => self.output.print(&ui::plan::render(plan, context, &self.output.style)),
        }
    }

    /// Shows what was found out before the first call, where there is something to be said of it.
    pub fn preflight(&self, findings: &Findings, context: &PlanContext) -> Result<(), CliError> {
        if let Some(events) = &self.machines {
            let mut json = serde_json::json!(findings);
            json["event"] = "preflight".into();
            events.line(json);
            return Ok(());
        }
        let brief = ui::preflight::brief(findings, context, &self.output.style);
        if brief.is_empty() { Ok(()) } else { self.output.print(&brief) }
    }

    /// Tells people, and not machines.
    pub fn say(&self, text: &str) -> Result<(), CliError> {
        if self.machines.is_some() { Ok(()) } else { self.output.print(text) }
    }

    /// Carries out a plan, tells what became of it, and says how to exit.
    pub async fn apply(
        &self,
        plan: &Plan,
        tools: &Tools<'_>,
        store: &mut Store,
        shutdown: Shutdown,
    ) -> Result<Exit, CliError> {
        let options = tools.connected.options(tools.adopt);
        let run = |events| Run { plan, graph: tools.graph, drivers: tools.drivers, options, events };
        let report = if let Some(events) = &self.machines {
            let report = run(events).apply(store, shutdown).await;
            events.line(summary::to_json(&report));
            report
        } else {
            let progress = Progress::new(plan, &self.output.style, tools.connected.time_scale());
            let report = run(&progress).apply(store, shutdown).await;
            progress.finish();
            let told = self.output.print(&summary::render(&report, &self.output.style));
            if report.is_success() {
                // A reader that is gone must not hide how the run ended.
                told?;
            }
            report
        };
        Ok(exit(&report))
    }

    /// Ends: everything that was told is written, before an error is. A reader that went away changes nothing about how the
    /// command ended.
    pub fn end(self, ended: Result<Exit, CliError>) -> Result<Exit, CliError> {
        let told = self.machines.map_or(Ok(()), |events| events.finish());
        match ended {
            Ok(Exit::Done) => told
                .map(|()| Exit::Done)
                .map_err(|source| CliError::Io { action: "write to stdout".to_owned(), source }),
            ended => ended,
        }
    }
}

fn exit(report: &Report) -> Exit {
    if report.state.is_some() {
        return Exit::State;
    }
    if report.interrupted {
        return Exit::Interrupted;
    }
    if report.is_success() {
        return Exit::Done;
    }
    let mut classes = report.failures().map(|(_, _, failure)| failure.class).peekable();
    if classes.peek().is_some() && classes.all(|class| class == Class::Denied) { Exit::Denied } else { Exit::Failed }
}
