//! `drctl plan` and `drctl up`.

use std::time::{Duration, Instant};

use super::args::{Global, Plan as PlanArgs, Replacements, Up};
use super::error::{CliError, Exit};
use super::output::Output;
use super::run::{Teller, Tools};
use super::session::{Demand, Look, Session};
use super::ui::loss;
use super::{check, interrupt, outputs, run, ui};
use drctl_aws::resources::holds_data;
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::Address;
use drctl_engine::{Action, Consent, Item, Plan};

/// How old a plan may be when it is agreed to: after that AWS is looked at again first.
const FRESH: Duration = Duration::from_mins(1);

/// Shows what `up` would do.
pub async fn plan(global: &Global, args: &PlanArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let timeout = Duration::from_secs(args.timeout);
    let session = interrupt::unless_interrupted(&shutdown, Session::open(global, output, Demand::All, timeout)).await?;
    let recorded = session.location.read()?.map(|snapshot| snapshot.resources).unwrap_or_default();
    let consent = consent(&args.replacements);
    let plan = session
        .plan_with(
            &Look { entries: &recorded, adopt: args.adopt, timeout: session.left(), consent: &consent },
            &shutdown,
        )
        .await?;
    check_names(&plan, &args.replacements)?;
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
    refuse_loss(&plan, &session, &shutdown).await?;
    if findings.is_blocking() || plan.unknown().next().is_some() {
        return Ok(check::exit(&findings, &plan));
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done })
}

/// Builds the stack, or brings it to what is configured.
pub async fn up(global: &Global, args: &Up, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
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
    let timeout = Duration::from_secs(args.timeout);
    let session = interrupt::unless_interrupted(&shutdown, Session::open(global, output, Demand::All, timeout)).await?;
    let mut store = session.location.open(session.identity.clone(), "up")?;
    store.protect(session.config.protection.deletion);
    let consent = consent(&args.replacements);
    let plan = loop {
        let looked = Instant::now();
        let look = Look { entries: store.resources(), adopt: args.adopt, timeout, consent: &consent };
        let plan = session.plan_with(&look, &shutdown).await?;
        check_names(&plan, &args.replacements)?;
        teller.plan(&plan, &session.plan_context(args.full))?;
        if plan.is_empty() {
            refuse_loss(&plan, &session, &shutdown).await?;
            store.fold()?;
            if plan.unknown().next().is_some() {
                return Ok(check::unknown(&plan));
            }
            teller.say(&outputs::for_people(store.snapshot(), &session.config, &output.style))?;
            return Ok(Exit::Done);
        }
        let findings = session.preflight(&plan, &shutdown).await?;
        teller.preflight(&findings, &session.plan_context(args.full))?;
        refuse_loss(&plan, &session, &shutdown).await?;
        if findings.is_blocking() {
            teller.say("Nothing was changed.")?;
            return Ok(check::exit(&findings, &plan));
        }
        if args.yes {
            break plan;
        }
        let context = session.plan_context(false);
        let question = format!(
            "\nApply these changes to {} ({}, {} and {})?\nType `yes` to continue: ",
            context.title,
            run::place(&session.identity, &session.connected),
            context.primary_region,
            context.secondary_region
        );
        match output.ask(&question, &shutdown).await? {
            None => {
                return Err(CliError::Usage {
                    message: "cannot ask for confirmation: stdin is not a terminal".to_owned(),
                    help: "Nothing was changed. Look at `drctl plan`, then run `drctl up --yes`.".to_owned(),
                });
            }
            Some(answer) if answer != "yes" => {
                teller.say("Nothing was changed.")?;
                return Ok(Exit::Failed);
            }
            Some(_) if looked.elapsed() > FRESH => {
                let again = session.plan_with(&look, &shutdown).await?;
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

fn consent(replacements: &Replacements) -> Consent {
    if replacements.addresses.is_empty() {
        Consent::Nothing
    } else {
        Consent::Named(replacements.addresses.iter().cloned().collect())
    }
}

/// A name that is mistyped must not pass for one that was heeded.
fn check_names(plan: &Plan, replacements: &Replacements) -> Result<(), CliError> {
    let known: Vec<&Address> = plan.items.iter().map(|item| &item.address).collect();
    match replacements.addresses.iter().find(|address| !known.contains(address)) {
        Some(unknown) => Err(CliError::Usage {
            message: format!("--replace {unknown}: there is no such resource in this stack"),
            help: "Nothing was changed. `drctl state list` lists the addresses.".to_owned(),
        }),
        None => Ok(()),
    }
}

/// Nothing that holds data is deleted or replaced unless it was named, and with protection on not even then.
async fn refuse_loss(plan: &Plan, session: &Session, shutdown: &Shutdown) -> Result<(), CliError> {
    let protected = session.config.protection.deletion;
    let refused = plan.refused().next().is_some();
    let lost = |item: &&Item| {
        matches!(item.action, Action::Delete | Action::Replace)
            && item.live.is_some()
            && holds_data(item.address.kind())
    };
    let lost: Vec<String> = plan.items.iter().filter(lost).map(|item| item.address.to_string()).collect();
    if refused {
        let concerned = plan.items.iter().filter(|item| item.refusal.is_some());
        let weights = run::weigh(concerned, &session.registry, shutdown).await?;
        return Err(CliError::Usage {
            message: format!(
                "this plan is refused as a whole, because data would be lost:\n{}",
                loss::refused(plan, &weights)
            ),
            help: loss::ways_out(plan, protected),
        });
    }
    if protected && !lost.is_empty() {
        return Err(CliError::Usage {
            message: format!("`protection.deletion` is true, and this plan would destroy data: {}", lost.join(", ")),
            help: "Nothing was changed. If the data may really be lost, set `deletion = false` under [protection] in drctl.toml, \
                   and run the same command again."
                .to_owned(),
        });
    }
    Ok(())
}
