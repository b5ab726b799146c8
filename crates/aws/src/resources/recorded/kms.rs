//! AWS Key Management Service.

use serde_json::json;

use super::{Answers, NOTHING, compared, found, query, read, with};
use crate::resources::kms::{Alias, Key};
use crate::resources::{Deletion, Live, Owner, Phase, Ref, Resource as _, policy};
use drctl_engine::Timing;

const ID: &str = "04fa09fb-afe3-46c8-ad3c-410b8047f7b9";

/// From cloud-custodian's recordings of kms.DescribeKey (`test_kms_last_rotation_exception_handling`, 2023) and LocalStack's
/// snapshot of `test_create_key`.
const KEY: &str = r#""AWSAccountId": "123456789012", "KeyId": "04fa09fb-afe3-46c8-ad3c-410b8047f7b9",
"Arn": "arn:aws:kms:us-east-1:123456789012:key/04fa09fb-afe3-46c8-ad3c-410b8047f7b9", "CreationDate": 1693325214.267,
"Enabled": true, "Description": "pay-prod", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled", "Origin": "AWS_KMS",
"KeyManager": "CUSTOMER", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
"EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false, "CurrentKeyMaterialId": "5a34bc0a""#;

/// From cloud-custodian's recording of kms.GetKeyPolicy (`test_cross_account_kms`), including the spaces.
const POLICY: &str = r#"{"Policy": "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key\",\n  \"Statement\" : [ {\n    \"Sid\" : \"Account\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n      \"AWS\" : \"arn:aws:iam::123456789012:root\"\n    },\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  } ]\n}", "PolicyName": "default"}"#;

/// From AWS's example of `get-key-rotation-status` in the AWS CLI's reference; cloud-custodian's recording (`test_key_rotation`)
/// has only the first field.
const ROTATED: &str = r#"{"KeyId": "04fa09fb-afe3-46c8-ad3c-410b8047f7b9", "KeyRotationEnabled": true,
"NextRotationDate": 1707934473.587, "RotationPeriodInDays": 365}"#;

const TAGS: &str = r#"{"Tags": [{"TagKey": "drctl:environment", "TagValue": "prod"}, {"TagKey": "drctl:stack", "TagValue": "pay"}],
"Truncated": false}"#;

fn key() -> Key {
    Key {
        description: "pay-prod".to_owned(),
        rotation: true,
        policy: policy::canonical(json!({ "Version": "2012-10-17", "Id": "key", "Statement": [{
            "Sid": "Account", "Effect": "Allow", "Principal": { "AWS": ["123456789012"] }, "Action": ["kms:*"],
            "Resource": ["*"],
        }]})),
        enabled: true,
        pending_deletion: false,
    }
}

async fn read_key(metadata: &str, document: &str, rotation: &str, tags: &str) -> Live {
    let answers = Answers::default()
        .to("DescribeKey", format!(r#"{{"KeyMetadata": {{{metadata}}}}}"#))
        .to("GetKeyPolicy", document)
        .to("GetKeyRotationStatus", rotation)
        .to("ListResourceTags", tags);
    read::<Key>(answers, ID).await
}

#[tokio::test]
async fn a_key_as_recorded_reads_as_it_was_made() {
    let live = read_key(KEY, POLICY, ROTATED, TAGS).await;
    assert_eq!((compared(&key(), &live), &live.phase), (vec![], &Phase::Ready));
    assert!(matches!(live.owner, Owner::Ours { .. }));
    assert_eq!(
        live.arn.as_deref(),
        Some("arn:aws:kms:us-east-1:123456789012:key/04fa09fb-afe3-46c8-ad3c-410b8047f7b9")
    );
}

#[tokio::test]
async fn what_an_answer_about_a_key_lacks_is_not_a_difference() {
    let live = read_key(&format!(r#""KeyId": "{ID}""#), "{}", "{}", "{}").await;
    // The SDK reads a rotation that was left out as one that is off.
    assert_eq!(compared(&key(), &live), [("rotation".to_owned(), false)]);
    assert_eq!((live.phase, live.owner), (Phase::Ready, Owner::Untagged));
}

#[tokio::test]
async fn fields_that_aws_adds_to_a_key_are_ignored() {
    let future = KEY.replace("SYMMETRIC_DEFAULT", "OF_TOMORROW").replace(r#""AWS_KMS""#, r#""OF_TOMORROW""#)
        + r#", "OfTomorrow": [{"a": null}]"#;
    assert_eq!(compared(&key(), &read_key(&future, POLICY, ROTATED, TAGS).await), NOTHING);
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>
#[tokio::test]
async fn the_state_of_a_key_is_read_from_its_description() {
    let in_state = |state: &str| KEY.replace(r#""KeyState": "Enabled""#, &format!(r#""KeyState": "{state}""#));
    for (state, differs, phase) in [
        ("Disabled", vec![("enabled".to_owned(), false)], Phase::Ready),
        ("PendingDeletion", vec![("pending_deletion".to_owned(), false)], Phase::Ready),
        ("Creating", vec![], Phase::Pending("Creating".to_owned())),
        ("OfTomorrow", vec![], Phase::Pending("OfTomorrow".to_owned())),
    ] {
        let live = read_key(&in_state(state), POLICY, ROTATED, TAGS).await;
        assert_eq!((compared(&key(), &live), live.phase), (differs, phase), "{state}");
    }
}

/// LocalStack's snapshot of `test_get_key_does_not_exist`.
#[tokio::test]
async fn a_key_that_does_not_exist_is_none_and_so_is_its_alias() {
    let refusal = r#"{"__type": "NotFoundException", "message": "Key 'arn' does not exist"}"#;
    let answers = Answers::default().refused("DescribeKey", 400, refusal);
    assert!(found::<Key>(answers.clone(), ID).await.is_none());
    assert!(found::<Alias>(answers, "alias/pay-prod").await.is_none());
}

#[tokio::test]
async fn an_alias_points_to_the_key_that_is_described_by_it() {
    let answers =
        Answers::default().to("DescribeKey", format!(r#"{{"KeyMetadata": {{{KEY}}}}}"#)).to("ListResourceTags", TAGS);
    let live = read::<Alias>(answers, "alias/pay-prod").await;
    let desired = Alias { name: "alias/pay-prod".to_owned(), key: Ref::known(ID) };
    assert_eq!((compared(&desired, &live), live.owner), (vec![], Owner::Implied));
}

/// A second key costs money until somebody finds it, and a new key may become visible only after minutes:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/programming-eventual-consistency.html>
#[test]
fn a_key_whose_creation_was_not_answered_is_looked_for_for_minutes() {
    let grace = Timing::default().grace * Key::INFO.grace;
    assert!(!Key::INFO.idempotent_create && grace.as_secs() >= 120, "{grace:?}");
}

/// The shape of AWS's API reference of `DescribeBackup`, of a table that was deleted while it could be restored to a point in time.
#[test]
fn a_deleted_tables_last_backup_keeps_its_key_like_a_final_snapshot() {
    let arn = format!("arn:aws:kms:us-east-1:123456789012:key/{ID}");
    let backup = "arn:aws:dynamodb:us-east-1:123456789012:table/pay-prod-sessions/backup/01";
    let details =
        r#""BackupName": "pay-prod-sessions$DeletedTableBackup", "BackupStatus": "AVAILABLE", "BackupType": "SYSTEM""#;
    let answers = Answers::default()
        .to("DescribeKey", format!(r#"{{"KeyMetadata": {{{KEY}}}}}"#))
        .to("GetKeyPolicy", POLICY)
        .to("GetKeyRotationStatus", ROTATED)
        .to("ListResourceTags", TAGS)
        .to("DescribeDBClusters", query("DescribeDBClusters", "<DBClusters/>"))
        .to("DescribeDBInstances", query("DescribeDBInstances", "<DBInstances/>"))
        .to("DescribeDBClusterSnapshots", query("DescribeDBClusterSnapshots", "<DBClusterSnapshots/>"))
        .to("DescribeDBSnapshots", query("DescribeDBSnapshots", "<DBSnapshots/>"))
        .to("ListTables", r#"{"TableNames": []}"#)
        .to("ListSecrets", r#"{"SecretList": []}"#)
        .to(
            "ListBackups",
            format!(r#"{{"BackupSummaries": [{{"TableName": "pay-prod-sessions", "BackupArn": "{backup}", {details}}}]}}"#),
        )
        .to(
            "DescribeBackup",
            format!(
                r#"{{"BackupDescription": {{"BackupDetails": {{"BackupArn": "{backup}", "BackupCreationDateTime": 1770988835.8,
                {details}}}, "SourceTableFeatureDetails": {{"SSEDescription": {{"Status": "ENABLED", "SSEType": "KMS",
                "KMSMasterKeyArn": "{arn}"}}}}}}}}"#
            ),
        )
        .to("ScheduleKeyDeletion", format!(r#"{{"KeyId": "{arn}", "KeyState": "PendingDeletion", "PendingWindowInDays": 7}}"#));
    let (kept, given_up) = with(answers, async |mut cx| {
        let live = Key::read(&cx, ID).await.expect("it reads").expect("it is there");
        let kept = Key::delete(&cx, &live).await.expect("an answer");
        cx.disposal.final_snapshots = false;
        (kept, Key::delete(&cx, &live).await.expect("an answer"))
    });
    let Deletion::Kept(why) = kept else { panic!("{kept:?}") };
    assert!(why.starts_with("the backup pay-prod-sessions$DeletedTableBackup can be read only with it"), "{why}");
    assert_eq!(given_up, Deletion::Scheduled);
}
