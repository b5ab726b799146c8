//! `drctl orphans`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::args::{Global, Orphans};
use super::error::{CliError, Exit};
use super::output::Output;
use super::run::{self, Teller, Tools};
use super::session::{Demand, Session, TIMEOUT, registry};
use super::ui::{self, loss};
use drctl_aws::resources::{Disposal, go_last, holds_data, kinds};
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::{Address, Entry, Snapshot, Transition};
use drctl_engine::{Cleared, Clearing, Found, Graph, Observations, Observer, Plan, Region, Standing, Sweep, adoption};

/// How long one type in one Region may take. Longer than a listing: whose a key is, is asked of every key of the account.
const THOROUGH: Duration = Duration::from_mins(5);

/// Lists what bears this stack's tags and the state does not know; takes it into the state, or deletes it.
pub async fn orphans(global: &Global, args: &Orphans, output: &Output) -> Result<Exit, CliError> {
    let shutdown = run::listen()?;
    if args.delete {
        return clear_away(global, args, output, shutdown).await;
    }
    if args.adopt {
        return adopt(global, output, &shutdown).await;
    }
    let session = run::unless_interrupted(&shutdown, Session::open(global, output, Demand::Some, TIMEOUT)).await?;
    let recorded = session.location.read()?.map(|snapshot| snapshot.resources).unwrap_or_default();
    let found = look(&session, &recorded, &shutdown).await?;
    let context = session.plan_context(false);
    if output.json {
        output.print_json(&ui::orphans::to_json(&found, &context))?;
    } else {
        output.print(&ui::orphans::render(&found, &context, &output.style))?;
        if !found.orphans.is_empty() && !args.detailed_exitcode {
            // On a terminal they are offered; elsewhere the options are.
            let question = "\nType `adopt` or `delete`, or nothing to leave them as they are: ";
            match output.ask(question, &shutdown).await?.as_deref() {
                Some("adopt") => return adopt(global, output, &shutdown).await,
                Some("delete") => return clear_away(global, args, output, shutdown).await,
                _ => {}
            }
        }
    }
    Ok(match (found.unreached.is_empty(), found.orphans.is_empty()) {
        (false, _) => Exit::Failed,
        (true, false) if args.detailed_exitcode => Exit::Differences,
        (true, _) => Exit::Done,
    })
}

/// Plans the deletion, asks, and carries it out.
async fn clear_away(global: &Global, args: &Orphans, output: &Output, shutdown: Shutdown) -> Result<Exit, CliError> {
    let teller = Teller::new(output);
    let mut left = None;
    let ended = delete(global, args, output, &teller, &mut left, shutdown).await;
    // What was told goes out before an error is.
    let ended = teller.end(ended);
    if let Some(left) = left.filter(|_| output.json) {
        output.print_json(&left)?;
    }
    ended
}

/// In both Regions, and wherever else the configuration has something.
async fn look(session: &Session, entries: &BTreeMap<Address, Entry>, shutdown: &Shutdown) -> Result<Found, CliError> {
    let own = [&session.identity.regions.primary, &session.identity.regions.secondary];
    let mut regions: Vec<Region> = own.into_iter().map(|region| Region::from(region.as_str())).collect();
    for node in session.graph.nodes() {
        if !regions.contains(&node.region) {
            regions.push(node.region.clone());
        }
    }
    // A look is a look: nothing that was listed for an earlier one counts.
    session.registry.forget();
    let kinds = kinds();
    let sweep = Sweep {
        kinds: &kinds,
        regions: &regions,
        drivers: &session.registry,
        graph: &session.graph,
        entries,
        timeout: THOROUGH,
    };
    run::unless_interrupted(shutdown, async { Ok(session.connected.waiting(sweep.look()).await) }).await
}

async fn adopt(global: &Global, output: &Output, shutdown: &Shutdown) -> Result<Exit, CliError> {
    let session = run::unless_interrupted(shutdown, Session::open(global, output, Demand::All, TIMEOUT)).await?;
    let mut store = session.location.open(session.identity.clone(), "orphans")?;
    let found = look(&session, store.resources(), shutdown).await?;
    let (mut taken, mut transitions, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for orphan in found.orphans {
        match adoption(&orphan, &session.graph) {
            Ok((address, entry)) => {
                taken.push(address.clone());
                transitions.push(Transition { at: Timestamp::now(), address, entry: Some(entry) });
            }
            Err(reason) => refused.push((orphan, reason)),
        }
    }
    if !transitions.is_empty() {
        // A state that was lost has lost its protection, too.
        let protected = store.snapshot().protected || session.config.protection.deletion;
        store.protect(protected);
        store.append(transitions)?;
        store.fold()?;
    }
    if output.json {
        output.print_json(&ui::orphans::adopted_json(&taken, &refused, &found.unreached))?;
    } else {
        let mut text = ui::orphans::adopted(&taken, &refused, &output.style);
        for line in ui::orphans::unreached(&found.unreached, &output.style) {
            text.push_str(&line);
            text.push('\n');
        }
        output.print(&text)?;
    }
    Ok(if refused.is_empty() && found.unreached.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn delete(
    global: &Global,
    args: &Orphans,
    output: &Output,
    teller: &Teller<'_>,
    for_machines: &mut Option<Value>,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let mut session = run::unless_interrupted(&shutdown, Session::open(global, output, Demand::All, TIMEOUT)).await?;
    let disposal = Disposal { final_snapshots: !args.no_final_snapshot, empty_buckets: args.empty_buckets };
    session.registry = registry(&session.connected.aws, &session.identity, disposal);
    let mut store = session.location.open(session.identity.clone(), "orphans")?;
    let found = look(&session, store.resources(), &shutdown).await?;
    let Cleared { plan, refused } = clear(&session, store.resources(), &found, &shutdown).await?;
    refuse_protected(&plan, store.snapshot(), session.config.protection.deletion)?;
    let mut left = ui::orphans::refusals(&refused, &output.style);
    left.extend(ui::orphans::unreached(&found.unreached, &output.style));
    let is_all = left.is_empty();
    if !is_all {
        *for_machines = Some(ui::orphans::left_json(&refused, &found.unreached));
    }
    if plan.items.is_empty() {
        left.insert(0, ui::orphans::summary(&found));
        teller.say(&left.join("\n"))?;
        return Ok(if is_all { Exit::Done } else { Exit::Failed });
    }
    teller.plan(&plan, &session.plan_context(false))?;
    if !is_all {
        teller.say(&left.join("\n"))?;
    }
    let weights = run::weigh(&plan.items, &session.registry, &shutdown).await?;
    if !args.empty_buckets && loss::has_objects(&weights) {
        return Err(CliError::Usage {
            message: format!("what is in these would be lost:\n{}", loss::stakes(&weights).join("\n")),
            help:
                "Nothing was changed. If the objects may really be lost, run `drctl orphans --delete --empty-buckets`."
                    .to_owned(),
        });
    }
    if !args.yes {
        let name = &format!("{}-{}", session.identity.stack, session.identity.environment);
        let count = ui::plural(plan.items.len(), "resource");
        let holding = plan.items.iter().filter(|item| holds_data(item.address.kind())).count();
        let data = if holding > 0 { format!(", {holding} of which hold data") } else { String::new() };
        let question = format!("\nDelete {count}{data}? Type {name} to confirm: ");
        match output.ask(&question, &shutdown).await? {
            None => {
                return Err(CliError::Usage {
                    message: "cannot ask for confirmation: stdin is not a terminal".to_owned(),
                    help: "Nothing was changed. Run `drctl orphans --delete --yes` to delete without a question."
                        .to_owned(),
                });
            }
            Some(answer) if answer != *name => {
                teller.say("Nothing was changed.")?;
                return Ok(Exit::Failed);
            }
            Some(_) => {}
        }
    }
    // Without the graph: what is deleted here is not to be made.
    let graph = Graph::new();
    let tools = Tools { graph: &graph, drivers: &session.registry, connected: &session.connected, adopt: false };
    let exit = teller.apply(&plan, &tools, &mut store, shutdown).await?;
    Ok(if exit == Exit::Done && !is_all { Exit::Failed } else { exit })
}

/// Plans the deletion. Only for what is configured and lost the rest of the graph is looked at: what lies in it and carries no
/// tags goes with it.
async fn clear(
    session: &Session,
    entries: &BTreeMap<Address, Entry>,
    found: &Found,
    shutdown: &Shutdown,
) -> Result<Cleared, CliError> {
    let takes_along = |standing: &Standing| matches!(standing, Standing::Lost | Standing::Twin { .. });
    let observed = if found.orphans.iter().any(|orphan| orphan.configured && takes_along(&orphan.standing)) {
        let (graph, drivers) = (&session.graph, &session.registry);
        let observer = Observer { graph, entries, drivers, timeout: TIMEOUT, adopt: false };
        run::unless_interrupted(shutdown, async { Ok(session.connected.waiting(observer.observe()).await) }).await?
    } else {
        Observations::new()
    };
    let clearing = Clearing {
        orphans: &found.orphans,
        graph: &session.graph,
        entries,
        observed: &observed,
        drivers: &session.registry,
        last: &go_last(),
    };
    Ok(clearing.plan())
}

/// With protection on, nothing that holds data is deleted: neither for what the configuration says, nor for what the last `up`
/// recorded.
fn refuse_protected(plan: &Plan, snapshot: &Snapshot, configured: bool) -> Result<(), CliError> {
    let lost: BTreeSet<String> = plan
        .items
        .iter()
        .filter(|item| holds_data(item.address.kind()))
        .map(|item| format!("{} ({})", item.address, item.id.as_deref().unwrap_or("-")))
        .collect();
    if lost.is_empty() || !(configured || snapshot.protected) {
        return Ok(());
    }
    let place = if configured { "in drctl.toml" } else { "as of the last `up`" };
    let lost = lost.into_iter().collect::<Vec<_>>().join(", ");
    Err(CliError::Usage {
        message: format!("`protection.deletion` is true {place}, and these orphans hold data: {lost}"),
        help: "Nothing was changed. Take them into the state with `drctl orphans --adopt`. If they may really go, set \
               `deletion = false` under [protection] in drctl.toml, run `drctl up`, then this again."
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use drctl_engine::state::{Identity, Regions};
    use drctl_engine::{Action, Item};

    fn deletion(at: &str) -> Plan {
        let item = Item {
            address: at.parse().expect("an address"),
            region: "us-east-1".to_owned(),
            action: Action::Delete,
            reason: None,
            recorded: false,
            id: Some("x-1".to_owned()),
            changes: Vec::new(),
            unsupported: BTreeMap::new(),
            failure: None,
            refusal: None,
            expected: Duration::ZERO,
            live: None,
            depends_on: Vec::new(),
            waits_for: Vec::new(),
        };
        Plan { items: vec![item] }
    }

    #[test]
    fn protection_covers_what_holds_data_and_nothing_else() {
        let identity = Identity {
            stack: "pay".into(),
            environment: "test".into(),
            account: "123456789012".into(),
            regions: Regions { primary: "us-east-1".into(), secondary: "us-east-2".into() },
        };
        let mut snapshot = Snapshot::new(identity);
        let (bucket, vpc) = (deletion("primary/s3_bucket/data"), deletion("primary/vpc/main"));
        assert!(refuse_protected(&bucket, &snapshot, false).is_ok());
        assert!(refuse_protected(&vpc, &snapshot, true).is_ok());
        let refusal = refuse_protected(&bucket, &snapshot, true).expect_err("configured");
        assert!(refusal.to_string().contains("primary/s3_bucket/data"), "{refusal}");
        snapshot.protected = true;
        assert!(refuse_protected(&bucket, &snapshot, false).is_err());
    }
}
