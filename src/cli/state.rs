//! `drctl state`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::args::Global;
use super::error::{CliError, Exit};
use super::interrupt;
use super::local::state_folder;
use super::output::Output;
use super::ui::text::clean;
use drctl_config::Config;
use drctl_engine::state::{Address, Location, Snapshot, Status};

/// `drctl state`
#[derive(Debug, Args)]
pub struct StateArgs {
    /// What to do with the state.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What can be done with the state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the resources
    List,
    /// Show one resource
    Show {
        /// Its address, e.g. primary/subnet/private-a
        address: Address,
    },
    /// Forget resources without touching AWS
    Rm {
        /// Their addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Lists or shows what the state records, or forgets some of it.
pub async fn state(global: &Global, args: &StateArgs, output: &Output) -> Result<Exit, CliError> {
    let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
    let location = Location::new(&state_folder(global), &config.name());
    let snapshot = location.read()?.ok_or_else(|| CliError::Usage {
        message: format!("there is no state at {}", location.snapshot().display()),
        help: "The first `drctl up` creates it. Check --environment, --sandbox and --state-dir.".to_owned(),
    })?;
    match &args.command {
        StateCommand::List => list(&snapshot, output)?,
        StateCommand::Show { address } => {
            let entry = snapshot.resources.get(address).ok_or_else(|| unknown(address, &location))?;
            let text = serde_json::to_string_pretty(entry)
                .map_err(|e| CliError::Io { action: "write the entry".into(), source: e.into() })?;
            output.print(&text)?;
        }
        StateCommand::Rm { addresses, yes } => {
            let mut store = location.open(snapshot.identity, "state rm")?;
            for address in addresses {
                let entry = store.resources().get(address).ok_or_else(|| unknown(address, &location))?;
                if matches!(entry.status, Status::Creating { .. }) {
                    return Err(CliError::Usage {
                        message: format!(
                            "{address} is an open intent: the call that creates it may have been carried out"
                        ),
                        help: "Nothing was changed. Run `drctl up` or `drctl down` to find out. If its record were \
                               removed now, the resource could be left behind in AWS."
                            .to_owned(),
                    });
                }
            }
            if !yes {
                let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let question =
                    format!("Forget {}? Nothing will be changed in AWS. Type `yes` to continue: ", listed.join(", "));
                let without_terminal = format!("Nothing was changed. Run `drctl state rm {} --yes`.", listed.join(" "));
                if !output.confirm(&question, "yes", &without_terminal, &interrupt::listen()?).await? {
                    output.progress("Nothing was changed.");
                    return Ok(Exit::Failed);
                }
            }
            for address in addresses {
                store.forget(address)?;
            }
            store.fold()?;
            if output.json {
                output.print_json(&serde_json::json!({"event": "forgotten", "addresses": addresses}))?;
            } else {
                output.print(&format!("Forgotten: {}. AWS was not touched.", addresses.len()))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn list(snapshot: &Snapshot, output: &Output) -> Result<(), CliError> {
    if output.json {
        return output.print_json(&serde_json::json!(snapshot));
    }
    let width = snapshot.resources.keys().map(|address| address.to_string().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (address, entry) in &snapshot.resources {
        let id = clean(entry.id.as_deref().unwrap_or("-"));
        let address = address.to_string();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{address:width$}  {:8}  {id}", entry.status.as_str());
    }
    if text.is_empty() {
        text.push_str("The state holds no resources.\n");
    }
    output.print(&text)
}

fn unknown(address: &Address, location: &Location) -> CliError {
    CliError::Usage {
        message: format!("{address} is not in {}", location.snapshot().display()),
        help: "Nothing was changed. `drctl state list` shows what is.".to_owned(),
    }
}
