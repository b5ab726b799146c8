//! `drctl plan` and `drctl up`.

use std::time::{Duration, Instant};

use super::args::{Global, Plan as PlanArgs, Up};
use super::error::{CliError, Exit};
use super::output::Output;
use super::run::{Teller, Tools};
use super::session::{Demand, Session, TIMEOUT};
use super::{check, outputs, run, ui};
use crate::config::Config;
use crate::engine::cancel::Shutdown;
use crate::engine::{Action, Item, Plan};
use crate::resources::HOLD_DATA;

/// How old a plan may be when it is agreed to: after that AWS is looked at again first.
const FRESH: Duration = Duration::from_mins(1);

/// Shows what `up` would do.
pub async fn plan(global: &Global, args: &PlanArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = run::listen()?;
    let session = run::unless_interrupted(&shutdown, Session::open(global, output, Demand::All)).await?;
    let recorded = session.location.read()?.map(|snapshot| snapshot.resources).unwrap_or_default();
    let plan = session.plan(&recorded, args.adopt, TIMEOUT, &shutdown).await?;
    let findings = session.preflight(&plan, &shutdown).await?;
    let context = session.plan_context(args.full);
    if output.json {
        let mut json = ui::plan::to_json(&plan, &context);
        json["preflight"] = serde_json::json!(findings);
        output.print_json(&json)?;
    } else {
        let checked = ui::preflight::brief(&findings, &context, &output.style);
        output.print(&format!("{}{checked}", ui::plan::render(&plan, &context, &output.style)))?;
    }
    if findings.is_blocking() || plan.unknown().next().is_some() {
        return Ok(check::exit(&findings, &plan));
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done })
}

/// Builds the stack, or brings it to what is configured.
pub async fn up(global: &Global, args: &Up, output: &Output) -> Result<Exit, CliError> {
    let shutdown = run::listen()?;
    let teller = Teller::new(output);
    let ended = build(global, args, output, &teller, shutdown).await;
    // What was told goes out before an error is.
    teller.end(ended)
}

async fn build(
    global: &Global,
    args: &Up,
    output: &Output,
    teller: &Teller<'_>,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let session = run::unless_interrupted(&shutdown, Session::open(global, output, Demand::All)).await?;
    let mut store = session.location.open(session.identity.clone(), "up")?;
    store.protect(session.config.protection.deletion);
    let plan = loop {
        let looked = Instant::now();
        let plan = session.plan(store.resources(), args.adopt, TIMEOUT, &shutdown).await?;
        teller.plan(&plan, &session.plan_context(args.full))?;
        if plan.is_empty() {
            store.fold()?;
            if plan.unknown().next().is_some() {
                return Ok(check::unknown(&plan));
            }
            teller.say(&outputs::for_people(store.snapshot(), &session.config, &output.style))?;
            return Ok(Exit::Done);
        }
        refuse_loss(&plan, &session.config)?;
        let findings = session.preflight(&plan, &shutdown).await?;
        teller.preflight(&findings, &session.plan_context(args.full))?;
        if findings.is_blocking() {
            teller.say("Nothing was changed.")?;
            return Ok(check::exit(&findings, &plan));
        }
        if args.yes {
            break plan;
        }
        let question = "\nDo you want drctl to do this? Only `yes` is taken as agreement: ";
        match output.ask(question, &shutdown).await? {
            None => {
                return Err(CliError::Usage {
                    message: "nobody can be asked: stdin is not a terminal".to_owned(),
                    help: "Nothing was changed. Look at `drctl plan`, then run `drctl up --yes`.".to_owned(),
                });
            }
            Some(answer) if answer != "yes" => {
                teller.say("Nothing was changed.")?;
                return Ok(Exit::Failed);
            }
            Some(_) if looked.elapsed() > FRESH => {
                let again = session.plan(store.resources(), args.adopt, TIMEOUT, &shutdown).await?;
                if again == plan {
                    break again;
                }
                teller.say("\nAWS has changed since the plan above was made. This is the plan now:\n")?;
            }
            Some(_) => break plan,
        }
    };
    // Protection first: a run that is killed must not lose it.
    store.fold()?;
    let tools =
        Tools { graph: &session.graph, drivers: &session.registry, connected: &session.connected, adopt: args.adopt };
    let exit = teller.apply(&plan, &tools, &mut store, shutdown).await?;
    if exit == Exit::Done {
        teller.say(&outputs::for_people(store.snapshot(), &session.config, &output.style))?;
    }
    Ok(exit)
}

/// With protection on, nothing that holds data is deleted or made anew: not for what left the configuration, and not because
/// something differs that cannot be changed in place, as after a cluster was detached from its global cluster.
fn refuse_loss(plan: &Plan, config: &Config) -> Result<(), CliError> {
    let is_lost = |item: &&Item| {
        matches!(item.action, Action::Delete | Action::Replace) && HOLD_DATA.contains(&item.address.kind())
    };
    let lost: Vec<String> = plan.items.iter().filter(is_lost).map(|item| item.address.to_string()).collect();
    if lost.is_empty() || !config.protection.deletion {
        return Ok(());
    }
    Err(CliError::Usage {
        message: format!("`protection.deletion` is true, and this plan would destroy data: {}", lost.join(", ")),
        help: "Nothing was changed. The plan says why. If the data may really go, set `deletion = false` under [protection] in \
               drctl.toml for this run; if not, put back what differs by hand."
            .to_owned(),
    })
}
