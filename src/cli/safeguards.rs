//! Refuses plans before the first call that changes anything: plans that would lose data without consent, and deletions that AWS
//! would refuse halfway.

use super::error::CliError;
use super::ui::plan::loses_data;
use super::ui::text::clean;
use super::ui::{loss, plural, unread};
use drctl_engine::{Class, Failure, Plan};

/// Refuses a plan of `up` that loses data, or that AWS would not let come to its end. `protected`: whether deletion protection is
/// configured.
///
/// # Errors
/// What is refused, why, and what to do.
pub fn check(plan: &Plan, protected: bool) -> Result<(), CliError> {
    refuse_loss(plan, protected)?;
    refuse_hindered(plan)
}

/// Refuses a plan that deletes or replaces something that holds data and was not named. With protection on, naming it is not
/// enough.
fn refuse_loss(plan: &Plan, protected: bool) -> Result<(), CliError> {
    if plan.refused().next().is_some() {
        return Err(CliError::Usage {
            message: format!("this plan is refused as a whole, because data would be lost:\n{}", loss::refused(plan)),
            help: loss::ways_out(plan, protected),
        });
    }
    let lost: Vec<String> = loses_data(plan).map(ToString::to_string).collect();
    if protected && !lost.is_empty() {
        return Err(CliError::Usage {
            message: format!("`protection.deletion` is true, and this plan would destroy data: {}", lost.join(", ")),
            help: format!(
                "Nothing was changed. If the data may really be lost, {} Then run the same command again.",
                loss::LIFT
            ),
        });
    }
    Ok(())
}

/// Refuses a plan if something would keep AWS from deleting what it deletes: before half of that is deleted, not after.
///
/// What would block the deletion, and what to do.
pub fn refuse_hindered(plan: &Plan) -> Result<(), CliError> {
    let mut hindrances: Vec<String> = plan.hindrances().iter().map(|sentence| clean(sentence)).collect();
    if hindrances.is_empty() {
        hindrances.extend(plan.refused().find_map(|(_, refusal)| refusal.impossible.clone()));
    }
    if hindrances.is_empty() {
        return Ok(());
    }
    let listed = hindrances.join("\n");
    Err(Failure::new(Class::Foreign, format!("AWS would refuse to delete parts of this stack:\n{listed}"))
        .help("Nothing was changed. Fix the problems above (delete the resources that drctl did not create), then run the same command again.")
        .into())
}

/// Refuses to delete a stack of which something could not be read: it would be lost unseen, or left behind.
///
/// # Errors
/// What could not be read, and why.
pub fn refuse_unread(plan: &Plan) -> Result<(), CliError> {
    let failures = || plan.unknown().map(|(_, failure)| failure);
    let denied = failures().find(|failure| failure.class == Class::Denied);
    let Some(worst) = denied.or_else(|| failures().next()) else { return Ok(()) };
    let message = format!(
        "{} could not be read, so drctl cannot tell what would be deleted:\n{}",
        plural(failures().count(), "resource"),
        unread(plan).join("\n")
    );
    Err(Failure::new(worst.class, message)
        .help("Nothing was changed. Run the same command again when everything can be read; `drctl status` shows what cannot.")
        .into())
}
