//! The settings that a table gets after its creation, each with a call of its own: recovery, expiry, deletion protection.

use aws_sdk_dynamodb::types::{
    ContinuousBackupsDescription, PointInTimeRecoveryDescription, PointInTimeRecoverySpecification,
    PointInTimeRecoveryStatus, TimeToLiveDescription, TimeToLiveSpecification, TimeToLiveStatus,
};

use super::malformed;
use crate::resources::{Class, Context, Failure};

/// The recovery period of a table for which none was set, which is also the longest.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PointInTimeRecoverySpecification.html>
const DEFAULT_DAYS: i32 = 35;

/// How many days back the table can be restored to, 0 if it cannot be restored; `None` while the table is not visible, and if
/// DynamoDB does not say.
pub(super) async fn recovery_days(cx: &Context, table: &str) -> Result<Option<i32>, Failure> {
    let dynamodb = &cx.clients().dynamodb;
    let call = || dynamodb.describe_continuous_backups().table_name(table).send();
    match cx.read("dynamodb", "DescribeContinuousBackups", call).await {
        Ok(answer) => {
            let backups = answer.continuous_backups_description();
            Ok(backups.and_then(ContinuousBackupsDescription::point_in_time_recovery_description).and_then(days))
        }
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn days(recovery: &PointInTimeRecoveryDescription) -> Option<i32> {
    let is_on = *recovery.point_in_time_recovery_status()? == PointInTimeRecoveryStatus::Enabled;
    Some(if is_on { recovery.recovery_period_in_days().unwrap_or(DEFAULT_DAYS) } else { 0 })
}

pub(super) async fn set_recovery_days(cx: &Context, table: &str, days: i32) -> Result<(), Failure> {
    let on = days > 0;
    let specification = PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(on)
        .set_recovery_period_in_days(on.then_some(days))
        .build()
        .map_err(malformed)?;
    let call = cx.clients().dynamodb.update_continuous_backups().table_name(table);
    let call = call.point_in_time_recovery_specification(specification).send();
    cx.mutate("dynamodb", "UpdateContinuousBackups", call).await.map(drop)
}

/// The attribute that says when an item expires, empty if there is none; `None` while the table is not visible, and if DynamoDB
/// does not say. It is the same in every replica.
pub(super) async fn ttl_attribute(cx: &Context, table: &str) -> Result<Option<String>, Failure> {
    let dynamodb = &cx.clients().dynamodb;
    let call = || dynamodb.describe_time_to_live().table_name(table).send();
    match cx.read("dynamodb", "DescribeTimeToLive", call).await {
        Ok(answer) => Ok(answer.time_to_live_description().and_then(attribute)),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `ENABLING` lasts up to an hour, and counts as done. See docs/aws-behaviour.md#ttl-takes-one-change-an-hour.
fn attribute(ttl: &TimeToLiveDescription) -> Option<String> {
    match ttl.time_to_live_status()? {
        TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling => ttl.attribute_name().map(str::to_owned),
        _ => Some(String::new()),
    }
}

/// Takes the next step towards another attribute, and says what has to happen before the following step: expiry by the old
/// attribute has to be off first.
pub(super) async fn set_ttl(
    cx: &Context,
    table: &str,
    old: &str,
    wanted: &str,
) -> Result<Option<&'static str>, Failure> {
    let (on, attribute) = if old.is_empty() { (true, wanted) } else { (false, old) };
    let specification =
        TimeToLiveSpecification::builder().enabled(on).attribute_name(attribute).build().map_err(malformed)?;
    let call = cx.clients().dynamodb.update_time_to_live().table_name(table);
    match cx.mutate("dynamodb", "UpdateTimeToLive", call.time_to_live_specification(specification).send()).await {
        Ok(_) => {}
        // It is already set: by a call whose answer was lost, or by one that takes effect slowly.
        Err(failure) if matches!(failure.class, Class::Exists | Class::NotFound) => {}
        Err(failure) if failure.class == Class::NotYet => {
            return Err(Failure { class: Class::Refused, ..failure }
                .help("DynamoDB accepts one change of a table's expiry per hour. Run `drctl up` again after that."));
        }
        Err(failure) => return Err(failure),
    }
    Ok((!on && !wanted.is_empty()).then_some("the expiry by its old attribute to be off"))
}

pub(super) async fn set_deletion_protection(cx: &Context, table: &str, on: bool) -> Result<(), Failure> {
    let call = cx.clients().dynamodb.update_table().table_name(table).deletion_protection_enabled(on).send();
    cx.mutate("dynamodb", "UpdateTable", call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_without_a_period_has_the_longest_one() {
        let on = || {
            PointInTimeRecoveryDescription::builder().point_in_time_recovery_status(PointInTimeRecoveryStatus::Enabled)
        };
        assert_eq!(days(&on().build()), Some(35));
        assert_eq!(days(&on().recovery_period_in_days(7).build()), Some(7));
        let off = PointInTimeRecoveryDescription::builder()
            .point_in_time_recovery_status(PointInTimeRecoveryStatus::Disabled)
            .recovery_period_in_days(7)
            .build();
        assert_eq!(days(&off), Some(0));
        assert_eq!(days(&PointInTimeRecoveryDescription::builder().build()), None);
    }

    #[test]
    fn expiry_that_is_being_enabled_counts_as_enabled() {
        let ttl = |status| {
            let ttl = TimeToLiveDescription::builder().time_to_live_status(status).attribute_name("expires_at");
            attribute(&ttl.build())
        };
        assert_eq!(ttl(TimeToLiveStatus::Enabling).as_deref(), Some("expires_at"));
        assert_eq!(ttl(TimeToLiveStatus::Enabled).as_deref(), Some("expires_at"));
        assert_eq!(ttl(TimeToLiveStatus::Disabling).as_deref(), Some(""));
        assert_eq!(attribute(&TimeToLiveDescription::builder().build()), None);
    }
}
