//! Carrying out a plan, and reporting on it. Shared by `up`, `down`, and `orphans`.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::error::{CliError, Exit};
use super::output::Output;
use super::target::Target;
use super::ui::{self, JsonEvents, PlanContext, Progress, summary};
use drctl_aws::preflight::Findings;
use drctl_aws::{Notice, Patience};
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::Store;
use drctl_engine::{Class, Event, EventSink, Graph, Plan, Report, Run};

/// How long a run waits for new credentials when they have expired, unless `DRCTL_CREDENTIALS_WAIT` says otherwise, in seconds:
/// long enough for an operator who is woken at night to log in.
const CREDENTIALS_WAIT: Duration = Duration::from_mins(30);

fn credentials_wait() -> Result<Duration, CliError> {
    let Ok(given) = std::env::var("DRCTL_CREDENTIALS_WAIT") else { return Ok(CREDENTIALS_WAIT) };
    given.parse().map(Duration::from_secs).map_err(|_| CliError::Usage {
        message: format!("DRCTL_CREDENTIALS_WAIT is `{given}`, which is not a number of seconds"),
        help: "Nothing was changed. Write e.g. 1800, or 0 to end the run when credentials expire.".to_owned(),
    })
}

/// Does work, and turns the notices that arrive in the meantime into events.
async fn with_notices<T>(
    work: impl Future<Output = T>,
    mut notices: UnboundedReceiver<Notice>,
    events: &dyn EventSink,
) -> T {
    let forward = async {
        while let Some(notice) = notices.recv().await {
            events.emit(Event::Notice { message: notice.to_string() });
        }
        std::future::pending().await
    };
    tokio::select! {
        done = work => done,
        never = forward => never,
    }
}

/// Reports on a plan and its run: as text, or as JSON events.
pub struct Reporter<'a> {
    output: &'a Output,
    events: Option<JsonEvents>,
}

/// What a run needs besides its plan.
pub struct ApplyInputs<'a> {
    /// The stack and where it is.
    pub target: &'a Target,
    /// The desired resources.
    pub graph: &'a Graph,
    /// Whether resources without this stack's tags may be taken over.
    pub adopt: bool,
}

impl<'a> ApplyInputs<'a> {
    /// For what the target desires.
    pub fn new(target: &'a Target, adopt: bool) -> Self {
        Self { target, graph: &target.graph, adopt }
    }
}

impl<'a> Reporter<'a> {
    /// Starts to report. The first JSON event names the version.
    pub fn new(output: &'a Output) -> Self {
        let events = output.json.then(|| JsonEvents::new(Box::new(std::io::stdout())));
        Self { output, events }
    }

    /// Shows a plan.
    pub fn plan(&self, plan: &Plan, context: &PlanContext) -> Result<(), CliError> {
        match &self.events {
            Some(events) => {
                let mut json = ui::plan::to_json(plan, context);
                json["event"] = "plan".into();
                events.line(json);
                Ok(())
            }
            None => self.output.print(&ui::plan::render(plan, context, &self.output.style)),
        }
    }

    /// Shows the findings of the preflight, if there are any.
    pub fn preflight(&self, findings: &Findings, plan: &Plan, context: &PlanContext) -> Result<(), CliError> {
        if let Some(events) = &self.events {
            let mut json = serde_json::json!(findings);
            json["event"] = "preflight".into();
            events.line(json);
            return Ok(());
        }
        let brief = ui::preflight::brief(findings, plan, context, &self.output.style);
        if brief.is_empty() { Ok(()) } else { self.output.print(&brief) }
    }

    /// Prints text, unless the output is JSON.
    pub fn say(&self, text: &str) -> Result<(), CliError> {
        if self.events.is_some() { Ok(()) } else { self.output.print(text) }
    }

    /// Says why there is nothing to carry out, also in JSON: a program that reads it has to see that the command has ended.
    pub fn nothing(&self, why: &str) -> Result<(), CliError> {
        match &self.events {
            Some(events) => {
                events.line(serde_json::json!({ "event": "nothing_to_do", "message": why }));
                Ok(())
            }
            None => self.output.print(why),
        }
    }

    /// Carries out a plan, and reports on it.
    pub async fn apply(
        &self,
        plan: &Plan,
        inputs: &ApplyInputs<'_>,
        store: &mut Store,
        shutdown: Shutdown,
    ) -> Result<Report, CliError> {
        let ApplyInputs { target, graph, adopt } = *inputs;
        let options = target.endpoint.options(adopt);
        let run = |events| Run { plan, graph, drivers: &target.registry, options, events };
        let (tell, notices) = unbounded_channel();
        let patience = Patience { limit: credentials_wait()?, shutdown: shutdown.clone(), tell };
        let _patient = target.endpoint.aws.wait_for_credentials(patience);
        let report = if let Some(events) = &self.events {
            let report = with_notices(run(events).apply(store, shutdown), notices, events).await;
            events.line(summary::to_json(&report));
            report
        } else {
            let progress = Progress::new(plan, &self.output.style, target.endpoint.time_scale());
            let report = with_notices(run(&progress).apply(store, shutdown), notices, &progress).await;
            progress.finish();
            let printed = self.output.print(&summary::render(&report, &self.output.style));
            if report.is_success() {
                // The exit code of a failed run must not depend on whether the summary is read.
                printed?;
            }
            report
        };
        Ok(report)
    }

    /// Writes everything that was reported, so that it precedes an error. If the reader has gone away, that matters only if the
    /// command succeeded.
    pub fn end(self, result: Result<Exit, CliError>) -> Result<Exit, CliError> {
        let written = self.events.map_or(Ok(()), |events| events.finish());
        match result {
            Ok(Exit::Done) => written
                .map(|()| Exit::Done)
                .map_err(|source| CliError::Io { action: "write to stdout".to_owned(), source }),
            result => result,
        }
    }
}

/// The exit code that tells how a run came out.
pub fn exit(report: &Report) -> Exit {
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
