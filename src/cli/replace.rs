//! `--replace`: which data may be lost. Without it, no plan that loses data is carried out.

use clap::Args;

use super::error::CliError;
use super::run;
use super::session::Session;
use super::ui::loss;
use drctl_aws::resources::holds_data;
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::Address;
use drctl_engine::{Action, Consent, Item, Plan};

/// The resources that may be replaced although they hold data.
#[derive(Debug, Clone, Args)]
pub struct Replacements {
    /// Delete and recreate this resource although it holds data; may be given several times
    #[arg(long = "replace", value_name = "ADDRESS")]
    pub addresses: Vec<Address>,
}

impl Replacements {
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
}

/// Refuses a plan that deletes or replaces something that holds data and was not named. With protection on, naming it is not
/// enough.
pub async fn refuse_loss(plan: &Plan, session: &Session, shutdown: &Shutdown) -> Result<(), CliError> {
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
        let weights = run::weigh(concerned, &session.target.registry, shutdown).await?;
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
