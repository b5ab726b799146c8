//! `drctl up`.

use std::time::{Duration, Instant};

use clap::Args;

use super::args::{Global, seconds, with_exit_codes};
use super::error::{CliError, Exit};
use super::output::Output;
use super::replace::Replacements;
use super::run::{ApplyInputs, Reporter};
use super::session::{Availability, Session};
use super::target::PlanInputs;
use super::{check, interrupt, outputs, safeguards};
use drctl_engine::cancel::Shutdown;

/// How old a plan may be when it is confirmed. If it is older, it is made again first.
const FRESH: Duration = Duration::from_mins(1);

const HELP: &str = with_exit_codes!(
    "\
Examples:
  drctl up                       shows the plan and asks
  drctl up --sandbox             the same in the local AWS: no account, no costs
  drctl up --yes --json          in a pipeline: one JSON object per line
To continue an `up` that was interrupted, run it again."
);

/// `drctl up`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct UpArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Show every property of what will be created
    #[arg(long)]
    pub full: bool,
    /// Take over resources that have this stack's names but not its tags
    #[arg(long)]
    pub adopt: bool,
    /// How long one Region may take to answer before anything is changed, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    pub timeout: u64,
    /// What may be lost.
    #[command(flatten)]
    pub replacements: Replacements,
}

/// Builds the stack, or makes it match the configuration.
pub async fn up(global: &Global, args: &UpArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let reporter = Reporter::new(output);
    let result = build(global, args, output, &reporter, shutdown).await;
    // The report is written before an error is.
    reporter.end(result)
}

async fn build(
    global: &Global,
    args: &UpArgs,
    output: &Output,
    reporter: &Reporter<'_>,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let timeout = Duration::from_secs(args.timeout);
    let mut session = Session::open(global, output, Availability::Required, timeout, &shutdown).await?;
    session.target.dispose(args.replacements.disposal());
    let target = &session.target;
    let mut store = target.location.open(target.identity.clone(), "up")?;
    store.protect(session.config.protection.deletion);
    let consent = args.replacements.consent();
    let plan = loop {
        let planned = Instant::now();
        let inputs = PlanInputs { entries: store.resources(), adopt: args.adopt, timeout, consent: &consent };
        let plan = session.plan(&inputs, &shutdown).await?;
        args.replacements.check(&plan)?;
        if let Some(note) = args.replacements.unneeded(&plan) {
            output.progress(&note);
        }
        reporter.plan(&plan, &session.context(args.full))?;
        if plan.is_empty() {
            safeguards::check(&plan, session.config.protection.deletion)?;
            store.fold()?;
            if plan.unknown().next().is_some() {
                return Ok(check::unknown(&plan));
            }
            reporter.say(&outputs::of_up(store.snapshot(), &session.config, &output.style))?;
            return Ok(Exit::Done);
        }
        let findings = session.preflight(&plan, &shutdown).await?;
        reporter.preflight(&findings, &plan, &session.context(args.full))?;
        safeguards::check(&plan, session.config.protection.deletion)?;
        if let Some(hindrance) = check::hindrance(&findings, &plan) {
            reporter.say(&hindrance)?;
            return Ok(check::exit(&findings, &plan));
        }
        if args.yes {
            break plan;
        }
        let regions = &target.identity.regions;
        let question = format!(
            "\nApply these changes to {} ({}, {} and {})?\nType `yes` to continue: ",
            target.name(),
            target.place(),
            regions.primary,
            regions.secondary
        );
        let without_terminal = "Nothing was changed. Review `drctl plan`, then run `drctl up --yes`.";
        if !output.confirm(&question, "yes", without_terminal, &shutdown).await? {
            reporter.say("Nothing was changed.")?;
            return Ok(Exit::Failed);
        }
        if planned.elapsed() <= FRESH {
            break plan;
        }
        let again = session.plan(&inputs, &shutdown).await?;
        if again == plan {
            break again;
        }
        reporter.say("\nAWS has changed since the plan above was made. This is the new plan:\n")?;
    };
    // The protection is written first: a run that is killed must not lose it.
    store.fold()?;
    let exit = reporter.apply(&plan, &ApplyInputs::new(target, args.adopt), &mut store, shutdown).await?;
    if exit == Exit::Done {
        reporter.say(&outputs::of_up(store.snapshot(), &session.config, &output.style))?;
    }
    Ok(exit)
}
