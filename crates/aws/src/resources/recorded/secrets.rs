//! AWS Secrets Manager.

use super::{Answers, NOTHING, compared, context, found, read};
use crate::resources::secretsmanager::Secret;
use crate::resources::{Class, Live, Phase, Ref, Resource as _};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/a69548f6-9637-4325-b511-ac59056e7302";

/// From AWS's example of `describe-secret` in the AWS CLI's reference, and cloud-custodian's recordings of
/// secretsmanager.DescribeSecret (`test_secrets_manager_delete`, `test_secrets_manager_version_age`, 2025).
const SECRET: &str = r#"{"ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:pay-prod-db-KGqqf5", "Name": "pay-prod-db",
"Description": "the database's owner", "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/a69548f6-9637-4325-b511-ac59056e7302",
"LastChangedDate": 1525747253.72, "LastAccessedDate": 1524572133.25,
"Tags": [{"Key": "drctl:stack", "Value": "pay"}, {"Key": "drctl:environment", "Value": "prod"}, {"Key": "empty"}],
"VersionIdsToStages": {"a1b2c3d4-0": ["AWSPREVIOUS"], "a1b2c3d4-1": ["OF_TOMORROW", "AWSCURRENT"], "a1b2c3d4-2": []},
"CreatedDate": 1521534252.66, "PrimaryRegion": "us-east-1",
"ReplicationStatus": [{"Region": "us-east-2", "KmsKeyId": "arn:aws:kms:us-east-2:123456789012:key/k", "Status": "InSync",
"StatusMessage": "Replication succeeded", "LastAccessedDate": 1524572133.25}]}"#;

fn secret() -> Secret {
    Secret {
        name: "pay-prod-db".to_owned(),
        description: "the database's owner".to_owned(),
        kms_key: Ref::known(KEY),
        username: "payments".to_owned(),
        replica_region: "us-east-2".to_owned(),
        replica_kms_key: Ref::known("arn:aws:kms:us-east-2:123456789012:key/k"),
        pending_deletion: false,
    }
}

async fn read_secret(body: &str) -> Live {
    read::<Secret>(Answers::default().to("DescribeSecret", body), "pay-prod-db").await
}

#[tokio::test]
async fn a_secret_as_recorded_reads_as_it_was_made() {
    let live = read_secret(SECRET).await;
    assert_eq!((compared(&secret(), &live), &live.phase), (vec![], &Phase::Ready));
    assert_eq!(live.outputs["version"], "a1b2c3d4-1");
    assert_eq!(live.outputs["replica_arn"], "arn:aws:secretsmanager:us-east-2:123456789012:secret:pay-prod-db-KGqqf5");
}

/// Some answers have the key's id or its alias in place of its ARN: AWS's example has `alias/aws/secretsmanager`.
#[tokio::test]
async fn keys_that_are_returned_by_id_are_the_same_keys() {
    let by_id = SECRET.replace("arn:aws:kms:us-east-1:123456789012:key/a69548f6", "a69548f6");
    let by_id = by_id.replace("arn:aws:kms:us-east-2:123456789012:key/k", "k");
    assert_eq!(compared(&secret(), &read_secret(&by_id).await), NOTHING);
    let managed = SECRET.replace("arn:aws:kms:us-east-2:123456789012:key/k", "alias/aws/secretsmanager");
    assert_eq!(compared(&secret(), &read_secret(&managed).await), [("replica_kms_key".to_owned(), false)]);
}

/// What is left out does not exist: without a key, it is Secrets Manager's own (cloud-custodian's
/// `test_secrets_manager_kms_filter`); without a replication status, there is no replica; without a description, it is empty
/// (LocalStack's snapshot of `test_update_secret_description`).
#[tokio::test]
async fn what_an_answer_about_a_secret_lacks_never_replaces_it() {
    let live = read_secret(r#"{"Name": "pay-prod-db"}"#).await;
    let differs = compared(&secret(), &live);
    assert!(differs.iter().all(|(_, replaced)| !replaced), "{differs:?}");
    let plain = Secret {
        description: String::new(),
        kms_key: Ref::known(""),
        replica_region: String::new(),
        replica_kms_key: Ref::known(""),
        ..secret()
    };
    assert_eq!((compared(&plain, &live), live.phase), (vec![], Phase::Ready));
}

/// From cloud-custodian's recording of secretsmanager.DescribeSecret (`test_secrets_manager_delete`).
#[tokio::test]
async fn a_secret_that_is_scheduled_for_deletion_exists() {
    let deleted = SECRET.replacen('{', r#"{"DeletedDate": 1759072853.24, "#, 1);
    assert_eq!(compared(&secret(), &read_secret(&deleted).await), [("pending_deletion".to_owned(), false)]);
}

/// The state of a replica from AWS's example of `replicate-secret-to-regions` in the AWS CLI's reference.
#[tokio::test]
async fn a_replica_in_any_state_is_not_an_error() {
    let in_state = |state: &str| SECRET.replace("InSync", state);
    let coming = read_secret(&in_state("InProgress")).await;
    assert_eq!(
        (compared(&secret(), &coming), coming.phase),
        (vec![], Phase::Pending("waiting for its replica in us-east-2".to_owned()))
    );
    let future = read_secret(&in_state("OfTomorrow")).await;
    assert_eq!((compared(&secret(), &future), future.phase), (vec![], Phase::Ready));
    let failed = read_secret(&in_state("Failed")).await;
    assert!(matches!(failed.phase, Phase::Pending(_)));
}

#[tokio::test]
async fn a_replica_is_not_mistaken_for_the_secret() {
    let replica = SECRET.replace(r#""PrimaryRegion": "us-east-1""#, r#""PrimaryRegion": "eu-west-1""#);
    let cx = context(Answers::default().to("DescribeSecret", replica)).await;
    assert_eq!(Secret::read(&cx, "pay-prod-db").await.expect_err("a replica").class, Class::Foreign);
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
#[tokio::test]
async fn a_secret_that_does_not_exist_is_none() {
    let refusal =
        r#"{"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."}"#;
    let answers = Answers::default().refused("DescribeSecret", 400, refusal);
    assert!(found::<Secret>(answers, "pay-prod-db").await.is_none());
}
