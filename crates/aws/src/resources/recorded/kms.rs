//! AWS Key Management Service.

use serde_json::json;

use super::{Answers, NOTHING, compared, found, read};
use crate::resources::kms::{Alias, Key};
use crate::resources::{Live, Owner, Phase, Ref, Resource as _, policy};
use drctl_engine::Timing;

const ID: &str = "04fa09fb-afe3-46c8-ad3c-410b8047f7b9";

/// From cloud-custodian's recordings of kms.DescribeKey (`test_kms_last_rotation_exception_handling`, 2023) and LocalStack's
/// snapshot of `test_create_key`.
const KEY: &str = r#""AWSAccountId": "123456789012", "KeyId": "04fa09fb-afe3-46c8-ad3c-410b8047f7b9",
"Arn": "arn:aws:kms:us-east-1:123456789012:key/04fa09fb-afe3-46c8-ad3c-410b8047f7b9", "CreationDate": 1693325214.267,
"Enabled": true, "Description": "pay-prod", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled", "Origin": "AWS_KMS",
"KeyManager": "CUSTOMER", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
"EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false, "CurrentKeyMaterialId": "5a34bc0a""#;

/// From cloud-custodian's recording of kms.GetKeyPolicy (`test_cross_account_kms`), spaces and all.
const POLICY: &str = r#"{"Policy": "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key\",\n  \"Statement\" : [ {\n    \"Sid\" : \"Account\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n      \"AWS\" : \"arn:aws:iam::123456789012:root\"\n    },\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  } ]\n}", "PolicyName": "default"}"#;

/// From AWS's example of `get-key-rotation-status` in the AWS CLI's reference; cloud-custodian's recording (`test_key_rotation`)
/// has the first only.
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
async fn what_an_answer_about_a_key_lacks_never_makes_it_anew() {
    let live = read_key(&format!(r#""KeyId": "{ID}""#), "{}", "{}", "{}").await;
    // The SDK takes a rotation that was left out for one that is off.
    assert_eq!(compared(&key(), &live), [("rotation".to_owned(), false)]);
    assert_eq!((live.phase, live.owner), (Phase::Ready, Owner::Untagged));
}

#[tokio::test]
async fn what_is_added_to_an_answer_about_a_key_is_passed_over() {
    let future = KEY.replace("SYMMETRIC_DEFAULT", "OF_TOMORROW").replace(r#""AWS_KMS""#, r#""OF_TOMORROW""#)
        + r#", "OfTomorrow": [{"a": null}]"#;
    assert_eq!(compared(&key(), &read_key(&future, POLICY, ROTATED, TAGS).await), NOTHING);
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>
#[tokio::test]
async fn the_state_of_a_key_says_what_can_be_done() {
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
async fn a_key_that_is_not_there_is_none_and_nor_is_an_alias_of_it() {
    let refusal = r#"{"__type": "NotFoundException", "message": "Key 'arn' does not exist"}"#;
    let answers = Answers::default().refused("DescribeKey", 400, refusal);
    assert!(found::<Key>(answers.clone(), ID).await.is_none());
    assert!(found::<Alias>(answers, "alias/pay-prod").await.is_none());
}

#[tokio::test]
async fn an_alias_leads_to_the_key_that_is_described_under_it() {
    let answers =
        Answers::default().to("DescribeKey", format!(r#"{{"KeyMetadata": {{{KEY}}}}}"#)).to("ListResourceTags", TAGS);
    let live = read::<Alias>(answers, "alias/pay-prod").await;
    let desired = Alias { name: "alias/pay-prod".to_owned(), key: Ref::known(ID) };
    assert_eq!((compared(&desired, &live), live.owner), (vec![], Owner::Implied));
}

/// A second key costs money for as long as nobody finds it, and a new one may show only after minutes:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/programming-eventual-consistency.html>
#[test]
fn a_key_whose_creation_was_not_answered_is_looked_for_during_minutes() {
    let grace = Timing::default().grace * Key::TRAITS.grace;
    assert!(!Key::TRAITS.idempotent_create && grace.as_secs() >= 120, "{grace:?}");
}
