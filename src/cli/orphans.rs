//! `drctl orphans`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::args::{Global, seconds, with_exit_codes};
use super::error::{CliError, Exit};
use super::interrupt;
use super::output::Output;
use super::run::{ApplyInputs, Reporter, exit};
use super::safeguards;
use super::session::{Availability, Session};
use super::target::Target;
use super::ui::{self, loss};
use drctl_aws::resources::{Disposal, go_last, holds_data, kinds};
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::{Address, Entry, Snapshot, Transition};
use drctl_engine::{
    Cleanup, CleanupPlan, Found, Graph, Observations, Observed, Observer, OrphanKind, OrphanScan, Plan, Region,
    adoption,
};

const HELP: &str = with_exit_codes!(
    "Examples:
  drctl orphans --adopt        after a state was lost: records what is found; then run `drctl up`
  drctl orphans --delete       shows what will be deleted and asks
  drctl orphans --timeout 5    if a Region may have failed"
);

/// `drctl orphans`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct OrphansArgs {
    /// Adopt each orphan whose address is unambiguous
    #[arg(long, conflicts_with = "delete")]
    pub adopt: bool,
    /// Delete the orphans
    #[arg(long)]
    pub delete: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Keep no final snapshot of a database
    #[arg(long, requires = "delete", conflicts_with = "adopt")]
    pub no_final_snapshot: bool,
    /// Delete buckets even if they are not empty
    #[arg(long, requires = "delete", conflicts_with = "adopt")]
    pub empty_buckets: bool,
    /// Exit with code 2 if there are orphans
    #[arg(long, conflicts_with_all = ["adopt", "delete"])]
    pub detailed_exitcode: bool,
    /// How long one Region may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    pub timeout: u64,
}

/// How long the scan for one type in one Region may take while the Region answers. This is longer than for a listing, because KMS
/// is asked about every key of the account.
const THOROUGH: Duration = Duration::from_mins(5);

impl OrphansArgs {
    fn answer(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Lists resources that are tagged as this stack's and are not in the state. Records or deletes them on request.
pub async fn orphans(global: &Global, args: &OrphansArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    if args.delete {
        return clear_away(global, args, output, shutdown).await;
    }
    if args.adopt {
        return adopt(global, args, output, &shutdown).await;
    }
    let session = Session::open(global, output, Availability::BestEffort, args.answer(), &shutdown).await?;
    let found = scan(&session, &session.recorded()?, &shutdown).await?;
    let context = session.context(false);
    if output.json {
        output.print_json(&ui::orphans::to_json(&found, &context))?;
    } else {
        output.print(&ui::orphans::render(&found, &context, &output.style))?;
        if !found.orphans.is_empty() && !args.detailed_exitcode {
            // Without a terminal, only the options do this.
            let question = "\nType `adopt`, `delete`, or nothing to leave them as they are: ";
            match output.ask(question, &shutdown).await?.as_deref() {
                Some("adopt") => return adopt(global, args, output, &shutdown).await,
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

/// Plans the deletion, asks for confirmation, and carries it out.
async fn clear_away(
    global: &Global,
    args: &OrphansArgs,
    output: &Output,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let reporter = Reporter::new(output);
    let mut left = None;
    let result = delete(global, args, output, &reporter, &mut left, shutdown).await;
    // The report is written before an error is.
    let result = reporter.end(result);
    if let Some(left) = left.filter(|_| output.json) {
        output.print_json(&left)?;
    }
    result
}

/// Looks for orphans in both Regions, and in every other Region in which the configuration has something.
async fn scan(session: &Session, entries: &BTreeMap<Address, Entry>, shutdown: &Shutdown) -> Result<Found, CliError> {
    let target = &session.target;
    let own = [&target.identity.regions.primary, &target.identity.regions.secondary];
    let mut regions: Vec<Region> = own.into_iter().map(|region| Region::from(region.as_str())).collect();
    for node in target.graph.nodes() {
        if !regions.contains(&node.region) {
            regions.push(node.region.clone());
        }
    }
    // Nothing that was listed earlier may be used for this scan.
    target.registry.forget();
    let (kinds, answer) = (kinds(), session.time_left());
    let whole = answer.max(THOROUGH);
    let sweep = OrphanScan {
        kinds: &kinds,
        regions: &regions,
        drivers: &target.registry,
        graph: &target.graph,
        entries,
        timeout: whole,
    };
    target.endpoint.ask_for(answer, whole, sweep.look(), shutdown).await
}

async fn adopt(global: &Global, args: &OrphansArgs, output: &Output, shutdown: &Shutdown) -> Result<Exit, CliError> {
    let session = Session::open(global, output, Availability::Either, args.answer(), shutdown).await?;
    let target = &session.target;
    let mut store = target.location.open(target.identity.clone(), "orphans")?;
    let found = scan(&session, store.resources(), shutdown).await?;
    let (mut taken, mut transitions, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for orphan in found.orphans {
        match adoption(&orphan, &target.graph) {
            Ok((address, entry)) => {
                taken.push(address.clone());
                transitions.push(Transition { at: Timestamp::now(), address, entry: Some(entry) });
            }
            Err(reason) => refused.push((orphan, reason)),
        }
    }
    if !transitions.is_empty() {
        // A lost state has lost its protection, too.
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
    args: &OrphansArgs,
    output: &Output,
    reporter: &Reporter<'_>,
    left_json: &mut Option<Value>,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let mut session = Session::open(global, output, Availability::Either, args.answer(), &shutdown).await?;
    let disposal = Disposal { final_snapshots: !args.no_final_snapshot, empty_buckets: args.empty_buckets };
    session.target.dispose(disposal);
    let target = &session.target;
    let mut store = target.location.open(target.identity.clone(), "orphans")?;
    let found = scan(&session, store.resources(), &shutdown).await?;
    let CleanupPlan { mut plan, refused } = clear(target, store.resources(), &found, args.answer(), &shutdown).await?;
    target.weigh(&mut plan, args.answer(), &shutdown).await?;
    refuse_protected(&plan, store.snapshot(), session.config.protection.deletion)?;
    let mut left = ui::orphans::refusals(&refused, &output.style);
    left.extend(ui::orphans::unreached(&found.unreached, &output.style));
    let is_all = left.is_empty();
    if !is_all {
        *left_json = Some(ui::orphans::left_json(&refused, &found.unreached));
    }
    if plan.items.is_empty() {
        reporter.nothing(&ui::orphans::summary(&found))?;
        if !is_all {
            reporter.say(&left.join("\n"))?;
        }
        return Ok(if is_all { Exit::Done } else { Exit::Failed });
    }
    reporter.plan(&plan, &target.context(false))?;
    if !is_all {
        reporter.say(&left.join("\n"))?;
    }
    safeguards::refuse_hindered(&plan)?;
    if !args.empty_buckets && loss::has_objects(&plan) {
        return Err(CliError::Usage {
            message: format!("the contents of these resources would be lost:\n{}", loss::stakes(&plan).join("\n")),
            help:
                "Nothing was changed. If the objects may really be lost, run `drctl orphans --delete --empty-buckets`."
                    .to_owned(),
        });
    }
    if !args.yes {
        let name = target.name();
        let count = ui::plural(plan.items.len(), "resource");
        let holding = plan.items.iter().filter(|item| holds_data(item.address.kind())).count();
        let data = match holding {
            0 => String::new(),
            1 => ", 1 of which holds data".to_owned(),
            _ => format!(", {holding} of which hold data"),
        };
        let question = format!("\nDelete {count}{data}? Type {name} to confirm: ");
        let without_terminal =
            "Nothing was changed. Run `drctl orphans --delete --yes` to delete without confirmation.";
        if !output.confirm(&question, &name, without_terminal, &shutdown).await? {
            reporter.say("Nothing was changed.")?;
            return Ok(Exit::Failed);
        }
    }
    // Without the graph: nothing is created here.
    let nothing = Graph::new();
    let inputs = ApplyInputs { graph: &nothing, ..ApplyInputs::new(target, false) };
    let exit = exit(&reporter.apply(&plan, &inputs, &mut store, shutdown).await?);
    Ok(if exit == Exit::Done && !is_all { Exit::Failed } else { exit })
}

/// Plans the deletion. The rest of the graph is read only if an orphan is configured and missing from the state: untagged
/// resources that are part of it are deleted with it.
async fn clear(
    target: &Target,
    entries: &BTreeMap<Address, Entry>,
    found: &Found,
    timeout: Duration,
    shutdown: &Shutdown,
) -> Result<CleanupPlan, CliError> {
    let has_parts = |standing: &OrphanKind| matches!(standing, OrphanKind::Lost | OrphanKind::Twin { .. });
    let observed = if found.orphans.iter().any(|orphan| orphan.configured && has_parts(&orphan.standing)) {
        let (graph, drivers) = (&target.graph, &target.registry);
        let observer = Observer { graph, entries, drivers, timeout, adopt: false };
        target.endpoint.ask(timeout, observer.observe(), shutdown).await?
    } else {
        Observations::new()
    };
    let is_unread = observed.values().any(|seen| matches!(seen, Observed::Unknown(_)));
    let clearing = Cleanup {
        orphans: &found.orphans,
        graph: &target.graph,
        entries,
        observed: &observed,
        drivers: &target.registry,
        is_partial: is_unread || !found.unreached.is_empty(),
        last: &go_last(),
    };
    Ok(clearing.plan())
}

/// Refuses to delete what holds data if protection is on, in the configuration or as the last `up` recorded it.
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
        help: "Nothing was changed. Record them with `drctl orphans --adopt`. If they really have to be deleted, set \
               `deletion = false` under [protection] in drctl.toml, run `drctl up`, then run this command again."
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
            weight: None,
            depends_on: Vec::new(),
            waits_for: Vec::new(),
        };
        Plan { items: vec![item] }
    }

    #[test]
    fn protection_covers_only_resources_that_hold_data() {
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
