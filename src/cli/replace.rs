//! `--replace`: which data may be lost.

use clap::Args;

use super::error::CliError;
use drctl_aws::resources::Disposal;
use drctl_engine::state::Address;
use drctl_engine::{Action, Consent, Item, Plan};

/// The resources that may be replaced although they hold data.
#[derive(Debug, Clone, Args)]
pub struct Replacements {
    /// Agree that this resource is deleted and recreated although it holds data; may be given several times
    #[arg(long = "replace", value_name = "ADDRESS")]
    pub addresses: Vec<Address>,
    /// Keep no final snapshot of a database that is replaced: the only way if AWS cannot make one
    #[arg(long, requires = "addresses")]
    pub no_final_snapshot: bool,
}

impl Replacements {
    /// What is kept of a resource that is replaced.
    pub fn disposal(&self) -> Disposal {
        Disposal { final_snapshots: !self.no_final_snapshot, ..Disposal::default() }
    }

    /// The consent that the option gives.
    pub fn consent(&self) -> Consent {
        if self.addresses.is_empty() {
            Consent::Nothing
        } else {
            Consent::Named(self.addresses.iter().cloned().collect())
        }
    }

    /// Refuses addresses that are not in the plan: a mistyped address must not be ignored.
    pub fn check(&self, plan: &Plan) -> Result<(), CliError> {
        let known: Vec<&Address> = plan.items.iter().map(|item| &item.address).collect();
        match self.addresses.iter().find(|address| !known.contains(address)) {
            Some(unknown) => Err(CliError::Usage {
                message: format!("--replace {unknown}: there is no such resource in this stack"),
                help: "Nothing was changed. `drctl state list` lists the addresses.".to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// What to say about the named resources that hold data and stay as they are, if there are any: the option agrees that data is
    /// lost, and does not demand it. So the same command can be repeated until it is done.
    pub fn unneeded(&self, plan: &Plan) -> Option<String> {
        let stays = |item: &&Item| {
            matches!(item.action, Action::None | Action::Record | Action::Update)
                && self.addresses.contains(&item.address)
        };
        let stay: Vec<String> = plan.items.iter().filter(stays).map(|item| item.address.to_string()).collect();
        let it = if stay.len() == 1 { "its replacement" } else { "their replacement" };
        (!stay.is_empty()).then(|| format!("Not replaced, because nothing requires {it}: {}", stay.join(", ")))
    }
}
