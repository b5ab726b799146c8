//! `drctl up`.

use std::time::{Duration, Instant};

use clap::Args;

use super::args::{Global, seconds, with_exit_codes};
use super::error::{CliError, Exit};
use super::output::Output;
use super::replace::Replacements;
use super::run::{ApplyInputs, Reporter, exit};
use super::session::{Availability, Session};
use super::target::PlanInputs;
use super::{check, interrupt, outputs, safeguards};
use drctl_engine::cancel::Shutdown;
use drctl_engine::{Action, Change, Item, Outcome, Plan, Report};

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
    let is_protected = session.config.protection.deletion;
    // Until it is lifted everywhere, a later run has to know that it is drctl's own.
    let was_protected = store.snapshot().protected;
    store.protect(is_protected || was_protected);
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
            safeguards::check(&plan, is_protected)?;
            let is_known = plan.unknown().next().is_none();
            store.protect(is_protected || (was_protected && !is_known));
            store.fold()?;
            if !is_known {
                return Ok(check::unknown(&plan));
            }
            reporter.say(&outputs::of_up(store.snapshot(), &session.config, &output.style))?;
            return Ok(Exit::Done);
        }
        let findings = session.preflight(&plan, &shutdown).await?;
        reporter.preflight(&findings, &plan, &session.context(args.full))?;
        safeguards::check(&plan, is_protected)?;
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
    let report = reporter.apply(&plan, &ApplyInputs::new(target, args.adopt), &mut store, shutdown).await?;
    if was_protected && !is_protected && report.state.is_none() && is_lifted(&plan, &report) {
        store.protect(false);
        store.fold()?;
    }
    let exit = exit(&report);
    if exit == Exit::Done {
        reporter.say(&outputs::of_up(store.snapshot(), &session.config, &output.style))?;
    }
    Ok(exit)
}

/// Whether a run has switched deletion protection off wherever its plan was to.
fn is_lifted(plan: &Plan, report: &Report) -> bool {
    let lifts = |item: &&Item| {
        let of_protection = |change: &Change| change.property.ends_with("deletion_protection");
        item.action != Action::Create && item.changes.iter().any(of_protection)
    };
    let is_done = |item: &Item| {
        report.outcomes.iter().any(|(address, _, outcome)| *address == item.address && *outcome == Outcome::Done)
    };
    plan.unknown().next().is_none() && plan.items.iter().filter(lifts).all(is_done)
}
