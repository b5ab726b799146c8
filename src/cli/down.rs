//! `drctl down`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::args::{Global, STATE_DIR, seconds, with_exit_codes};
use super::error::{CliError, Exit};
use super::interrupt;
use super::local::sandbox_folder;
use super::output::Output;
use super::run::{self, Teller, Tools};
use super::session::{Connected, Look, plan, plan_context, registry, state_folder};
use super::ui::loss::{self, Weights};
use drctl_aws::resources::{Disposal, Registry};
use drctl_config::{Config, DEFAULT_FILE};
use drctl_engine::Graph;
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::{Address, Entry, Identity, Location, Snapshot, check_identity};
use drctl_engine::{Action, Class, Consent, Failure, Plan, Region};

const HELP: &str = with_exit_codes!(
    "\
Examples:
  drctl down                            shows what will be deleted and asks for the name
  drctl down --environment staging      another environment than the configuration's
  drctl down --stack payment-dr-dev     without a configuration, when there are several states"
);

/// `drctl down`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct DownArgs {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Keep no final snapshot of the database
    #[arg(long)]
    pub no_final_snapshot: bool,
    /// Delete the buckets even if they are not empty
    #[arg(long)]
    pub empty_buckets: bool,
    /// Which stack, as `{stack}-{environment}`: needed only without a configuration and with several states
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,
    /// Timeout of one Region's answers before anything is changed, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    pub timeout: u64,
}

/// Deletes everything that drctl made. Needs the state, and no configuration.
pub async fn down(global: &Global, args: &DownArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let teller = Teller::new(output);
    let ended = delete(global, args, output, &teller, shutdown).await;
    // What was told goes out before an error is.
    teller.end(ended)
}

async fn delete(
    global: &Global,
    args: &DownArgs,
    output: &Output,
    teller: &Teller<'_>,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let Some((location, snapshot, config)) = which(global, args)? else {
        teller.say(&format!("Nothing to delete: there is no state in {}.", state_folder(global).display()))?;
        return Ok(Exit::Done);
    };
    refuse_protected(&snapshot, config.as_ref())?;
    let regions = &snapshot.identity.regions;
    let both = [regions.primary.as_str(), regions.secondary.as_str()];
    let connected = interrupt::unless_interrupted(&shutdown, Connected::new(global, both, output)).await?;
    let timeout = Duration::from_secs(args.timeout);
    let account = async { Ok(connected.account(regions, timeout).await?) };
    let account = interrupt::unless_interrupted(&shutdown, account).await?;
    let identity = Identity { account, ..snapshot.identity.clone() };
    if !snapshot.resources.is_empty() {
        check_identity(&location.snapshot(), &snapshot.identity, &identity)?;
    }
    let mut store = location.open(identity.clone(), "down")?;
    // Once more under the lock: an `up` may have ended in between.
    refuse_protected(store.snapshot(), config.as_ref())?;
    if store.resources().is_empty() {
        store.fold()?;
        teller.say("Nothing to delete: the state holds no resources.")?;
        return Ok(Exit::Done);
    }
    // What is to be lost is agreed to beneath: until then nothing is called that changes anything.
    let disposal = Disposal { final_snapshots: !args.no_final_snapshot, empty_buckets: true };
    let registry = registry(&connected.aws, &identity, disposal);
    let graph = Graph::new();
    let resources = store.resources();
    let look = Look { entries: resources, adopt: false, timeout, consent: &Consent::Everything };
    let plan = plan(&connected, &registry, &graph, &look, &shutdown).await?;
    teller.plan(&plan, &plan_context(&identity, &connected, false))?;
    let goes = plan.items.iter().filter(|item| matches!(item.action, Action::Delete | Action::Refused));
    let weights = run::weigh(goes, &registry, &shutdown).await?;
    refuse_hindered(&plan, &weights, strangers(&plan, resources, &registry, &shutdown).await?)?;
    let question = Question { args, identity: &identity, connected: &connected, plan: &plan, weights: &weights };
    if !question.is_agreed(output, &shutdown).await? {
        teller.say("Nothing was changed.")?;
        return Ok(Exit::Failed);
    }
    let tools = Tools { graph: &graph, drivers: &registry, connected: &connected, adopt: false };
    teller.apply(&plan, &tools, &mut store, shutdown).await
}

/// What lies in the stack's VPCs and is not drctl's, in a sentence each.
async fn strangers(
    plan: &Plan,
    entries: &BTreeMap<Address, Entry>,
    registry: &Registry,
    shutdown: &Shutdown,
) -> Result<Vec<String>, CliError> {
    let recorded: BTreeSet<&str> = entries.values().filter_map(|entry| entry.id.as_deref()).collect();
    let vpcs = plan.items.iter().filter(|item| item.address.kind() == "vpc" && item.action == Action::Delete);
    let looks = vpcs.filter_map(|item| item.live.as_ref().map(|live| (Region::from(item.region.as_str()), &live.id)));
    let looks = looks.map(|(region, vpc)| {
        let recorded = &recorded;
        async move { registry.foreign_in_vpc(&region, vpc, recorded).await }
    });
    let found = async { Ok(futures::future::try_join_all(looks).await?) };
    let found = interrupt::unless_interrupted(shutdown, found).await?.concat();
    Ok(found.into_iter().map(|said| format!("{said}, which is not drctl's")).collect())
}

/// What others have put into the stack keeps AWS from deleting it: that is said before half of it is gone.
fn refuse_hindered(plan: &Plan, weights: &Weights, strangers: Vec<String>) -> Result<(), CliError> {
    let mut hindrances = loss::hindrances(weights);
    hindrances.extend(strangers);
    if hindrances.is_empty() {
        hindrances.extend(plan.refused().find_map(|(_, refusal)| refusal.impossible.clone()));
    }
    if hindrances.is_empty() {
        return Ok(());
    }
    let told = hindrances.join("\n");
    Err(Failure::new(Class::Foreign, format!("AWS would refuse to delete parts of this stack:\n{told}"))
        .help("Nothing was changed. Delete what is named, then run the same command again.")
        .into())
}

/// What is about to be deleted, and whose word is needed for it.
struct Question<'a> {
    args: &'a DownArgs,
    identity: &'a Identity,
    connected: &'a Connected,
    plan: &'a Plan,
    weights: &'a Weights,
}

impl Question<'_> {
    /// Asks for what goes for good: the stack by its name, and what is in its buckets by a word of its own.
    async fn is_agreed(&self, output: &Output, shutdown: &Shutdown) -> Result<bool, CliError> {
        let full = !self.args.empty_buckets && loss::has_objects(self.weights);
        if self.args.yes {
            return if full { Err(self.refuse_full_buckets()) } else { Ok(true) };
        }
        let name = format!("{}-{}", self.identity.stack, self.identity.environment);
        let without_terminal =
            format!("Nothing was changed. Run `drctl down --yes{}` to delete without a question.", self.snapshots());
        let question = self.what_goes(&name, output.style.width);
        if !output.confirm(&question, &name, &without_terminal, shutdown).await? {
            return Ok(false);
        }
        let objects = "The buckets are not empty. Type `empty` to delete every object in them: ";
        if full { output.confirm(objects, "empty", &without_terminal, shutdown).await } else { Ok(true) }
    }

    fn refuse_full_buckets(&self) -> CliError {
        CliError::Usage {
            message: format!("the buckets are not empty:\n{}", loss::stakes(self.weights).join("\n")),
            help: format!(
                "Nothing was changed. If the objects may really be lost, run `drctl down --yes{} --empty-buckets`.",
                self.snapshots()
            ),
        }
    }

    fn what_goes(&self, name: &str, width: usize) -> String {
        let regions = &self.identity.regions;
        let mut lines = vec![
            String::new(),
            format!(
                "Delete all {} resources of {name} ({}, {} and {})?",
                self.plan.counts().destroy,
                run::place(self.identity, self.connected),
                regions.primary,
                regions.secondary
            ),
        ];
        let stakes = loss::stakes(self.weights);
        if !stakes.is_empty() {
            lines.push("What goes for good:".to_owned());
            lines.extend(stakes.into_iter().map(|stake| format!("  {stake}")));
        }
        let kept = if self.args.no_final_snapshot {
            "No final snapshot of the database is kept. The keys and the secret can be restored for 7 days."
        } else {
            "A final snapshot of each database cluster is kept, and with it the key that it is encrypted with. The secret can be \
             restored for 7 days."
        };
        lines.push(kept.to_owned());
        format!("{}\nType {name} to confirm: ", loss::wrapped(&lines, width))
    }

    fn snapshots(&self) -> &'static str {
        if self.args.no_final_snapshot { " --no-final-snapshot" } else { "" }
    }
}

/// Finds the state: by `--stack`, else by the configuration, else the only one there is.
fn which(global: &Global, args: &DownArgs) -> Result<Option<(Location, Snapshot, Option<Config>)>, CliError> {
    let folder = state_folder(global);
    if let Some(name) = &args.stack {
        let location = Location::new(&folder, name);
        return match location.read()? {
            Some(snapshot) => Ok(Some((location, snapshot, None))),
            None => absent(global, &folder, name),
        };
    }
    let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
    let location = Location::new(&folder, &config.name());
    if let Some(snapshot) = location.read()? {
        let from_file = global.config.is_some() || Path::new(DEFAULT_FILE).exists();
        return Ok(Some((location, snapshot, from_file.then_some(config))));
    }
    let names = Location::names(&folder);
    match names.as_slice() {
        [only] if global.environment.is_none() && global.config.is_none() && !Path::new(DEFAULT_FILE).exists() => {
            let location = Location::new(&folder, only);
            Ok(location.read()?.map(|snapshot| (location, snapshot, None)))
        }
        _ => absent(global, &folder, &config.name()),
    }
}

/// What to make of a state that is not there. Where nothing was ever built there is nothing to delete, however often that is
/// asked for. But a stack that runs elsewhere must not be taken for one that is gone: not where there are other states, nor where
/// there is one of this name on the other side of `--sandbox`, nor in a folder that was named and does not exist.
fn absent<T>(global: &Global, folder: &Path, name: &str) -> Result<Option<T>, CliError> {
    let (other, way) = if global.sandbox {
        (global.state_dir.clone(), "leave --sandbox out to delete that")
    } else {
        (sandbox_folder(global), "add --sandbox to delete that")
    };
    let is_there = Location::names(&other).iter().any(|known| known == name);
    let is_right_folder = global.state_dir.as_os_str() == STATE_DIR || global.state_dir.exists();
    if Location::names(folder).is_empty() && !is_there && is_right_folder {
        return Ok(None);
    }
    let there = if is_there { format!(" There is one in {}: {way}.", other.display()) } else { String::new() };
    Err(CliError::Usage {
        message: format!("there is no state of `{name}` in {}", folder.display()),
        help: format!(
            "Nothing was changed. {}{there} Check --environment, --sandbox and --state-dir, too.",
            known(folder)
        ),
    })
}

fn known(folder: &Path) -> String {
    let names = Location::names(folder);
    if names.is_empty() {
        format!("There are no states in {}.", folder.display())
    } else {
        format!("There are states of {}: choose one with --stack.", names.join(", "))
    }
}

/// Either protects: the configuration, or what the last `up` recorded. So a `drctl.toml` that happens to lie in the folder
/// unprotects nothing.
fn refuse_protected(snapshot: &Snapshot, config: Option<&Config>) -> Result<(), CliError> {
    let configured = config.is_some_and(|config| config.protection.deletion);
    if !(configured || snapshot.protected) || snapshot.resources.is_empty() {
        return Ok(());
    }
    let place = if configured { "in drctl.toml" } else { "as of its last `up`" };
    Err(CliError::Usage {
        message: format!(
            "{}-{} is protected: `protection.deletion` is true {place}",
            snapshot.identity.stack, snapshot.identity.environment
        ),
        help: "Nothing was changed. If it is really meant to go, set `deletion = false` under [protection] in its drctl.toml, \
               run `drctl up`, then `drctl down`."
            .to_owned(),
    })
}
