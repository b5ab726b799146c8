//! `drctl down`.

use std::path::Path;

use super::args::{Down, Global};
use super::error::{CliError, Exit};
use super::output::Output;
use super::run::{self, Teller, Tools};
use super::session::{Connected, TIMEOUT, plan, plan_context, registry, state_folder};
use crate::config::{Config, DEFAULT_FILE};
use crate::engine::cancel::Shutdown;
use crate::engine::{Graph, Region};
use crate::state::{Identity, Location, Snapshot, check_identity};

/// Deletes everything that drctl made. Needs the state, and no configuration.
pub async fn down(global: &Global, args: &Down, output: &Output) -> Result<Exit, CliError> {
    let shutdown = run::listen()?;
    let teller = Teller::new(output);
    let ended = delete(global, args, output, &teller, shutdown).await;
    // What was told goes out before an error is.
    teller.end(ended)
}

async fn delete(
    global: &Global,
    args: &Down,
    output: &Output,
    teller: &Teller<'_>,
    shutdown: Shutdown,
) -> Result<Exit, CliError> {
    let Some((location, snapshot, config)) = which(global, args)? else {
        teller.say("Nothing to delete: the state holds no resources.")?;
        return Ok(Exit::Done);
    };
    refuse_protected(&snapshot, config.as_ref())?;
    let primary = &snapshot.identity.regions.primary;
    let connected = run::unless_interrupted(&shutdown, Connected::new(global, primary, output)).await?;
    let regions = &snapshot.identity.regions;
    let asked = [Region::from(regions.primary.as_str()), Region::from(regions.secondary.as_str())];
    let account = async { Ok(connected.aws.account(&asked).await?) };
    let account = run::unless_interrupted(&shutdown, account).await?;
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
    let registry = registry(&connected.aws, &identity);
    let graph = Graph::new();
    let plan = plan(&connected, &registry, &graph, store.resources(), false, TIMEOUT, &shutdown).await?;
    teller.plan(&plan, &plan_context(&identity, &connected, false))?;
    if !args.yes {
        let name = &identity.environment;
        let question = format!("\nAll of this will be deleted. Type the environment's name, {name}, to go on: ");
        match output.ask(&question, &shutdown).await? {
            None => {
                return Err(CliError::Usage {
                    message: "nobody can be asked: stdin is not a terminal".to_owned(),
                    help: "Nothing was changed. Run `drctl down --yes` to delete without a question.".to_owned(),
                });
            }
            Some(answer) if answer != *name => {
                teller.say("Nothing was changed.")?;
                return Ok(Exit::Failed);
            }
            Some(_) => {}
        }
    }
    let tools = Tools { graph: &graph, drivers: &registry, connected: &connected, adopt: false };
    teller.apply(&plan, &tools, &mut store, shutdown).await
}

/// Finds the state: by `--stack`, else by the configuration, else the only one there is.
fn which(global: &Global, args: &Down) -> Result<Option<(Location, Snapshot, Option<Config>)>, CliError> {
    let folder = state_folder(global);
    if let Some(name) = &args.stack {
        let location = Location::new(&folder, name);
        return match location.read()? {
            Some(snapshot) => Ok(Some((location, snapshot, None))),
            None => Err(CliError::Usage {
                message: format!("there is no state of `{name}` in {}", folder.display()),
                help: format!("Nothing was changed. {}", known(&folder)),
            }),
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
        // A stack that runs elsewhere must not be taken for one that is gone.
        _ => Err(CliError::Usage {
            message: format!("there is no state of `{}` in {}", config.name(), folder.display()),
            help: format!(
                "Nothing was changed. {} Check --environment, --sandbox and --state-dir, too.",
                known(&folder)
            ),
        }),
    }
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
