//! `drctl check`.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;

use super::args::{Global, seconds, with_exit_codes};
use super::error::{CliError, Exit};
use super::output::Output;
use super::session::{Availability, Session};
use super::{interrupt, ui};
use drctl_aws::preflight::Findings;
use drctl_engine::Plan;

const HELP: &str = with_exit_codes!(
    "\
Examples:
  drctl check          with the credentials and Regions that `up` would use
  drctl check --json   the same for a pipeline: exit code 1 for a problem, 5 for missing permissions"
);

/// `drctl check`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct CheckArgs {
    /// Check versions, quotas, names, zones, and permissions: the same as without this option
    #[arg(long)]
    pub preflight: bool,
    /// How long one Region may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    pub timeout: u64,
}

/// Checks what would make `up` fail, and changes nothing. The preflight is the only check, so no option is needed.
pub async fn check(global: &Global, args: &CheckArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let timeout = Duration::from_secs(args.timeout);
    let session = Session::open(global, output, Availability::Either, timeout, &shutdown).await?;
    let plan = session.plan(&session.plan_inputs(&session.recorded()?), &shutdown).await?;
    let findings = session.preflight(&plan, &shutdown).await?;
    let context = session.context(false);
    if output.json {
        output.print_json(&ui::preflight::to_json(&findings, &plan, &context))?;
    } else {
        output.print(&ui::preflight::render(&findings, &plan, &context, &output.style))?;
    }
    Ok(exit(&findings, &plan))
}

/// The exit code of a command that only reads. Missing permissions come first, since another person has to grant them.
pub fn exit(findings: &Findings, plan: &Plan) -> Exit {
    match unknown(plan) {
        _ if findings.is_denied() => Exit::Denied,
        Exit::Done if findings.is_blocking() || findings.is_unanswered() => Exit::Failed,
        exit => exit,
    }
}

/// Why `up` would not start: a problem was found, or a Region or service did not answer.
pub fn hindrance(findings: &Findings, plan: &Plan) -> Option<String> {
    let silent: BTreeSet<String> =
        plan.unknown().filter_map(|(_, failure)| failure.silent.as_ref()).map(ToString::to_string).collect();
    if silent.is_empty() {
        let stops = findings.is_blocking() || findings.is_unanswered();
        return stops.then(|| "Nothing was changed.".to_owned());
    }
    let silent = silent.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!("Nothing was changed, because {silent} did not answer."))
}

/// The exit code if not everything could be read.
pub fn unknown(plan: &Plan) -> Exit {
    let exits: Vec<Exit> = plan.unknown().map(|(_, failure)| Exit::of(failure)).collect();
    let worst = exits.iter().find(|exit| **exit == Exit::Denied).or(exits.first());
    worst.map_or(Exit::Done, |exit| if *exit == Exit::Denied { Exit::Denied } else { Exit::Failed })
}
