//! `drctl plan`.

use std::time::Duration;

use clap::Args;

use super::args::{Global, seconds, with_exit_codes};
use super::error::{CliError, Exit};
use super::output::Output;
use super::replace::Replacements;
use super::session::{Availability, Session};
use super::target::PlanInputs;
use super::{check, interrupt, safeguards, ui};

const HELP: &str = with_exit_codes!(
    "\
Examples:
  drctl plan --sandbox             what would be built in the local AWS
  drctl plan --full > plan.txt     every property, for a review
  drctl plan --detailed-exitcode   exit code 0 without changes, 2 with changes"
);

/// `drctl plan`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct PlanArgs {
    /// Exit with code 2 if there are differences
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Show every property of what will be created
    #[arg(long)]
    pub full: bool,
    /// Take over resources that have this stack's names but not its tags
    #[arg(long)]
    pub adopt: bool,
    /// How long one Region may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    pub timeout: u64,
    /// What may be lost.
    #[command(flatten)]
    pub replacements: Replacements,
}

/// Shows what `up` would do.
pub async fn plan(global: &Global, args: &PlanArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let timeout = Duration::from_secs(args.timeout);
    let mut session = Session::open(global, output, Availability::Either, timeout, &shutdown).await?;
    session.target.dispose(args.replacements.disposal());
    let (recorded, consent) = (session.recorded()?, args.replacements.consent());
    let inputs = PlanInputs { adopt: args.adopt, consent: &consent, ..session.plan_inputs(&recorded) };
    let plan = session.plan(&inputs, &shutdown).await?;
    args.replacements.check(&plan)?;
    if let Some(note) = args.replacements.unneeded(&plan) {
        output.progress(&note);
    }
    let findings = session.preflight(&plan, &shutdown).await?;
    let context = session.context(args.full);
    if output.json {
        let mut json = ui::plan::to_json(&plan, &context);
        json["preflight"] = serde_json::json!(findings);
        output.print_json(&json)?;
    } else {
        let checked = ui::preflight::brief(&findings, &plan, &context, &output.style);
        output.print(&format!("{}{checked}", ui::plan::render(&plan, &context, &output.style)))?;
    }
    safeguards::check(&plan, session.config.protection.deletion)?;
    let exit = check::exit(&findings, &plan);
    if exit != Exit::Done {
        return Ok(exit);
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done })
}
