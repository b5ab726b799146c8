//! `drctl status`.

use std::time::Duration;

use clap::Args;

use super::args::{Global, seconds, with_exit_codes};
use super::error::{CliError, Exit};
use super::output::Output;
use super::recover::running;
use super::session::{Availability, Session};
use super::ui::status::{Health, StatusDetails, health};
use super::{interrupt, ui};

const HELP: &str = with_exit_codes!(
    "Examples:
  drctl status --timeout 5       if a Region may have failed
  drctl status --json            for monitoring"
);

/// `drctl status`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct StatusArgs {
    /// List every resource, not only deviations
    #[arg(long)]
    pub all: bool,
    /// Exit with code 2 if anything deviates
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How long one Region may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = seconds)]
    pub timeout: u64,
}

/// Compares what is recorded and configured with what exists in AWS.
pub async fn status(global: &Global, args: &StatusArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let timeout = Duration::from_secs(args.timeout);
    let session = Session::open(global, output, Availability::BestEffort, timeout, &shutdown).await?;
    let location = &session.target.location;
    // Before the state: if a run ends in between, the state that it leaves is complete.
    let running = running(location);
    let (recorded, failed) = location.read()?.map(|snapshot| (snapshot.resources, snapshot.failed)).unwrap_or_default();
    let plan = session.plan(&session.plan_inputs(&recorded), &shutdown).await?;
    let context = session.context(false);
    let details = StatusDetails { all: args.all, running, failed };
    if output.json {
        output.print_json(&ui::status::to_json(&plan, &details, &context))?;
    } else {
        output.print(&ui::status::render(&plan, &details, &context, &output.style))?;
    }
    // If a Region does not answer, the report says so, but the exit code must not say that all is well.
    if plan.items.iter().any(|item| health(item) == Health::Unknown) {
        return Ok(Exit::Failed);
    }
    Ok(if args.detailed_exitcode && ui::status::deviates(&plan) { Exit::Differences } else { Exit::Done })
}
