//! The contents of a table, as a user is asked about them.

use aws_sdk_dynamodb::types::TableDescription;
use serde_json::Value;

use super::describe;
use crate::resources::stake::{count, size};
use crate::resources::{AlsoDeleted, Context, Failure, Live};

/// The contents of a table, and what is left of them after its deletion; `None` if the table does not exist.
///
/// # Errors
/// What the call's answer means.
pub(super) async fn stake(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Option<String>, Failure> {
    let is_key_given_up = !cx.disposal.final_snapshots && key_goes(live, also);
    Ok(describe(cx, &live.id).await?.map(|table| format!("{}; {}", counted(&table), kept(live, is_key_given_up))))
}

/// Whether the table's key is deleted with it.
fn key_goes(live: &Live, also: &AlsoDeleted) -> bool {
    live.properties.get("kms_key").and_then(Value::as_str).is_some_and(|key| also.contains(key))
}

/// Both figures are up to six hours old.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html>
fn counted(table: &TableDescription) -> String {
    // DynamoDB leaves out what it has not counted yet.
    let whole = |figure: Option<i64>| u64::try_from(figure.unwrap_or_default()).unwrap_or_default();
    format!(
        "{}, {} (as DynamoDB counted within the last six hours)",
        count(whole(table.item_count()), "item"),
        size(whole(table.table_size_bytes()))
    )
}

/// "When you delete a table that has point-in-time recovery enabled, DynamoDB automatically creates a backup snapshot called a
/// system backup and retains it for 35 days". It is encrypted as the table was.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html>.
/// See docs/aws-behaviour.md#deleted-table-leaves-a-backup and docs/aws-behaviour.md#kms-pending-deletion.
fn kept(live: &Live, is_key_given_up: bool) -> String {
    let days = live.properties.get("recovery_days").and_then(Value::as_i64).unwrap_or_default();
    if days > 0 {
        let name = &live.id;
        let until = if is_key_given_up {
            "but its key is deleted in 7 days unless something else needs it: then it cannot be restored any more"
        } else {
            "and it can be restored for as long as its key is there"
        };
        format!("DynamoDB keeps the backup {name}$DeletedTableBackup for 35 days, {until}")
    } else {
        "no backup is kept, as its point-in-time recovery is off".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::resources::{Owner, Phase};

    #[test]
    fn a_table_is_described_by_its_items_and_its_size() {
        let table = TableDescription::builder().item_count(1_204).table_size_bytes(3_120_000).build();
        assert_eq!(counted(&table), "1,204 items, 3.1 MB (as DynamoDB counted within the last six hours)");
        let silent = TableDescription::builder().build();
        assert!(counted(&silent).starts_with("0 items, 0 bytes"));
    }

    #[test]
    fn a_backup_is_kept_only_with_point_in_time_recovery() {
        let live = |days: i32| Live {
            id: "pay-sessions".to_owned(),
            arn: None,
            phase: Phase::Ready,
            owner: Owner::Implied,
            properties: json!({ "recovery_days": days, "kms_key": "arn:1" }).as_object().cloned().unwrap_or_default(),
            outputs: BTreeMap::new(),
            goes_after: Vec::new(),
        };
        assert!(key_goes(&live(35), &["arn:1"].into_iter().collect()) && !key_goes(&live(35), &AlsoDeleted::default()));
        assert!(
            kept(&live(35), false).ends_with("for 35 days, and it can be restored for as long as its key is there")
        );
        assert!(
            kept(&live(35), true).contains("$DeletedTableBackup for 35 days, but its key is deleted in 7 days unless")
        );
        assert!(kept(&live(0), false).starts_with("no backup is kept"));
    }
}
