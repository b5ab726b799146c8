//! `drctl down`.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::args::{Global, STATE_DIR, seconds, with_exit_codes};
use super::endpoint::Endpoint;
use super::error::{CliError, Exit};
use super::hint::{self, ChosenStack};
use super::interrupt::{self, unless_interrupted};
use super::local::{sandbox_folder, state_folder};
use super::output::Output;
use super::run::{ApplyInputs, Reporter, exit};
use super::safeguards;
use super::target::{PlanInputs, Target, registry};
use super::ui::loss;
use drctl_aws::resources::Disposal;
use drctl_config::{Config, DEFAULT_FILE};
use drctl_engine::Graph;
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::{Identity, Location, Snapshot, check_identity};
use drctl_engine::{Consent, Plan};

const HELP: &str = with_exit_codes!(
    "\
Examples:
  drctl down                            shows what will be deleted and asks for the stack's name
  drctl down --environment staging      an environment other than the configured one
  drctl down --stack payment-dr-dev     without a configuration"
);

/// `drctl down`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct DownArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Keep no final snapshot of the database
    #[arg(long)]
    pub no_final_snapshot: bool,
    /// Delete the buckets even if they are not empty
    #[arg(long)]
    pub empty_buckets: bool,
    /// Which stack, as `{stack}-{environment}`: needed only without a configuration
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,
    /// How long one Region may take to answer before anything is changed, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    pub timeout: u64,
}

/// Deletes everything that drctl created. Needs the state, but no configuration.
pub async fn down(global: &Global, args: &DownArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let reporter = Reporter::new(output);
    let result = delete(global, args, output, &reporter, shutdown).await;
    // The report is written before an error is.
    reporter.end(result)
}

async fn delete(
    global: &Global,
    args: &DownArgs,
    output: &Output,
    reporter: &Reporter<'_>,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let Some(Found { location, snapshot, config }) = find(global, args)? else {
        reporter.nothing(&format!("Nothing to delete: there is no state in {}.", state_folder(global).display()))?;
        return Ok(Exit::Done);
    };
    refuse_protected(&snapshot, config.as_ref())?;
    let timeout = Duration::from_secs(args.timeout);
    let prepared = prepare(global, args, output, location, &snapshot);
    let target = unless_interrupted(&shutdown, prepared).await?;
    let mut store = target.location.open(target.identity.clone(), "down")?;
    // Once more under the lock: an `up` may have ended in between.
    refuse_protected(store.snapshot(), config.as_ref())?;
    if store.resources().is_empty() {
        store.fold()?;
        reporter.nothing("Nothing to delete: the state holds no resources.")?;
        return Ok(Exit::Done);
    }
    // The user agrees to the losses below. Until then, no call is made that changes anything.
    let entries = store.resources();
    let inputs = PlanInputs { entries, adopt: false, timeout, consent: &Consent::Everything };
    let plan = target.plan(&inputs, &shutdown).await?;
    reporter.plan(&plan, &target.context(false))?;
    safeguards::refuse_unread(&plan)?;
    safeguards::refuse_hindered(&plan)?;
    if plan.counts().destroy == 0 && plan.counts().keep > 0 {
        reporter.nothing("Nothing to delete. The remaining resources are kept.")?;
        return Ok(Exit::Done);
    }
    let question = Question { args, target: &target, plan: &plan };
    if !question.is_agreed(output, &shutdown).await? {
        reporter.say("Nothing was changed.")?;
        return Ok(Exit::Failed);
    }
    let report = reporter.apply(&plan, &ApplyInputs::new(&target, false), &mut store, shutdown).await?;
    Ok(exit(&report))
}

/// Connects to AWS on behalf of the stack that a state is about.
async fn prepare(
    global: &Global,
    args: &DownArgs,
    output: &Output,
    location: Location,
    snapshot: &Snapshot,
) -> Result<Target, CliError> {
    let regions = &snapshot.identity.regions;
    let endpoint = Endpoint::connect(global, [&regions.primary, &regions.secondary], output).await?;
    let account = endpoint.account(regions, Duration::from_secs(args.timeout)).await?;
    let identity = Identity { account, ..snapshot.identity.clone() };
    if !snapshot.resources.is_empty() {
        check_identity(&location.snapshot(), &snapshot.identity, &identity)?;
    }
    let disposal = Disposal { final_snapshots: !args.no_final_snapshot, empty_buckets: true };
    let registry = registry(&endpoint.aws, &identity, disposal);
    Ok(Target { endpoint, registry, identity, location, graph: Graph::new() })
}

/// What is about to be deleted, which the user has to confirm.
struct Question<'a> {
    args: &'a DownArgs,
    target: &'a Target,
    plan: &'a Plan,
}

impl Question<'_> {
    /// Asks for the stack's name and, if its buckets are not empty, for a separate word.
    async fn is_agreed(&self, output: &Output, shutdown: &Shutdown) -> Result<bool, CliError> {
        let full = !self.args.empty_buckets && loss::has_objects(self.plan);
        if self.args.yes {
            return if full { Err(self.refuse_full_buckets()) } else { Ok(true) };
        }
        let without_terminal = "Nothing was changed. Run `drctl down --yes` to delete without confirmation.";
        let (question, name) = (self.text(output.style.width), self.target.name());
        if !output.confirm(&question, &name, without_terminal, shutdown).await? {
            return Ok(false);
        }
        let objects = "The buckets are not empty. Type `empty` to delete every object in them: ";
        if full { output.confirm(objects, "empty", without_terminal, shutdown).await } else { Ok(true) }
    }

    fn refuse_full_buckets(&self) -> CliError {
        CliError::Usage {
            message: format!("the buckets are not empty:\n{}", loss::stakes(self.plan).join("\n")),
            help: "Nothing was changed. If the objects may really be lost, run `drctl down --yes --empty-buckets`."
                .to_owned(),
        }
    }

    fn text(&self, width: usize) -> String {
        let (name, regions) = (self.target.name(), &self.target.identity.regions);
        let mut lines = vec![
            String::new(),
            format!(
                "Delete all {} resources of {name} ({}, {} and {})?",
                self.plan.counts().destroy,
                self.target.place(),
                regions.primary,
                regions.secondary
            ),
        ];
        let stakes = loss::stakes(self.plan);
        if !stakes.is_empty() {
            lines.push("What will be lost for good:".to_owned());
            lines.extend(stakes.into_iter().map(|stake| format!("  {stake}")));
        }
        let kept = if self.args.no_final_snapshot {
            "No final snapshot of the database is kept. The keys and the secret can be restored for 7 days."
        } else {
            "A final snapshot of each database cluster is kept, and so is the key that encrypts it. The secret can be restored \
             for 7 days."
        };
        lines.push(kept.to_owned());
        format!("{}\nType {name} to confirm: ", loss::wrapped(&lines, width))
    }
}

/// A state, and the configuration if there is a file of it.
struct Found {
    location: Location,
    snapshot: Snapshot,
    config: Option<Config>,
}

/// Finds the state: by `--stack`, otherwise by the configuration, otherwise the only one there is.
fn find(global: &Global, args: &DownArgs) -> Result<Option<Found>, CliError> {
    let folder = state_folder(global);
    if let Some(name) = &args.stack {
        let location = Location::new(&folder, name);
        return match location.read()? {
            Some(snapshot) => Ok(Some(chosen(global, name, location, snapshot)?)),
            None => absent(global, &folder, name),
        };
    }
    let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
    let location = Location::new(&folder, &config.name());
    if let Some(snapshot) = location.read()? {
        return Ok(Some(Found { location, snapshot, config: has_file(global).then_some(config) }));
    }
    let names = Location::names(&folder);
    match names.as_slice() {
        [only] if global.environment.is_none() && !has_file(global) => {
            let location = Location::new(&folder, only);
            let Some(snapshot) = location.read()? else { return Ok(None) };
            if args.yes && !snapshot.resources.is_empty() {
                return Err(unnamed(&config, &folder, only));
            }
            Ok(Some(chosen(global, only, location, snapshot)?))
        }
        _ => absent(global, &folder, &config.name()),
    }
}

/// Whether there is a configuration file.
fn has_file(global: &Global) -> bool {
    global.config.is_some() || Path::new(DEFAULT_FILE).exists()
}

/// The stack of a state that was not found by the configuration. No other option may name another stack, and if there is a
/// configuration of it, its protection holds.
fn chosen(global: &Global, name: &str, location: Location, snapshot: Snapshot) -> Result<Found, CliError> {
    let Identity { stack, environment, .. } = &snapshot.identity;
    let config = Config::load(global.config.as_deref(), Some(environment))?;
    let is_configured = config.stack.name == *stack;
    let other = match (&global.environment, &global.config) {
        (Some(other), _) if other != environment => Some(format!("the environment {other} (--environment)")),
        (_, Some(path)) if !is_configured => {
            Some(format!("the configuration {} (--config), which is of {}", path.display(), config.stack.name))
        }
        _ => None,
    };
    if let Some(other) = other {
        return Err(CliError::Usage {
            message: format!("--stack {name} was given along with {other}: they name different stacks"),
            help: "Nothing was changed. Leave one of them out: --environment and --config can also be set by the variables \
                   ENVIRONMENT_SUFFIX and DRCTL_CONFIG."
                .to_owned(),
        });
    }
    let (name, environment) = (name.to_owned(), environment.clone());
    hint::about(ChosenStack { name, environment, is_configured });
    Ok(Found { location, snapshot, config: (is_configured && has_file(global)).then_some(config) })
}

/// Refuses to delete the only stack there is without a question, when nothing names it: every other command would mean the one
/// that is configured by default.
fn unnamed(config: &Config, folder: &Path, only: &str) -> CliError {
    CliError::Usage {
        message: format!(
            "nothing names the stack to delete: there is no {DEFAULT_FILE}, and {} has no state of {}, which is meant without one",
            folder.display(),
            config.name()
        ),
        help: format!("Nothing was changed. To delete {only}, run `drctl down --yes --stack {}`.", hint::quoted(only)),
    }
}

/// Decides what a missing state means. If nothing was ever built, there is nothing to delete, no matter how often `down` is run.
/// But a stack that exists elsewhere must not be mistaken for one that was deleted. So it is an error if the folder has other
/// states, if there is a state of this name with (or without) `--sandbox`, or if the folder was named and does not exist.
fn absent<T>(global: &Global, folder: &Path, name: &str) -> Result<Option<T>, CliError> {
    let (other, advice) = if global.sandbox {
        (global.state_dir.clone(), "leave out --sandbox to delete that stack")
    } else {
        (sandbox_folder(global), "add --sandbox to delete that stack")
    };
    let is_there = Location::names(&other).iter().any(|known| known == name);
    let is_right_folder = global.state_dir.as_os_str() == STATE_DIR || global.state_dir.exists();
    if Location::names(folder).is_empty() && !is_there && is_right_folder {
        return Ok(None);
    }
    let there = if is_there { format!(" There is one in {}: {advice}.", other.display()) } else { String::new() };
    Err(CliError::Usage {
        message: format!("there is no state for `{name}` in {}", folder.display()),
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
        format!("There are states for {}: choose one with --stack.", names.join(", "))
    }
}

/// Refuses if the stack is protected by the configuration or by what the last `up` recorded. So a `drctl.toml` that happens to
/// be in the folder cannot remove the protection.
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
        help: "Nothing was changed. If it really has to be deleted, set `deletion = false` under [protection] in its \
               drctl.toml, run `drctl up`, then `drctl down`."
            .to_owned(),
    })
}
