//! Amazon DynamoDB.

use super::{Answers, NOTHING, compared, found, read};
use crate::resources::dynamodb::{Replica, Table};
use crate::resources::{Live, Phase, Ref};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5";
const OTHER_KEY: &str = "arn:aws:kms:us-east-2:123456789012:key/04fa09fb-afe3-46c8-ad3c-410b8047f7b9";

/// From cloud-custodian's recordings of dynamodb.DescribeTable (`test_dynamodb_kms_key_filter`, 2019, and
/// `test_dynamodb_export_description_filter`, 2026), with a stream as AWS's API reference of `TableDescription` has it.
const TABLE: &str = r#"
"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "TableName": "pay-prod-sessions",
"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "TableStatus": "ACTIVE", "CreationDateTime": 1770988835.834,
"ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
"TableSizeBytes": 0, "ItemCount": 0, "TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/pay-prod-sessions",
"TableId": "b9edda4f-dec1-46b2-8dab-b232db7cd965",
"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": 1770988835.834},
"TableClassSummary": {"TableClass": "STANDARD"}, "DeletionProtectionEnabled": true,
"WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS",
  "KMSMasterKeyArn": "arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5"},
"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
"LatestStreamLabel": "2026-02-13T13:20:35.834",
"LatestStreamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/pay-prod-sessions/stream/2026-02-13T13:20:35.834",
"GlobalTableVersion": "2019.11.21""#;

/// From cloud-custodian's recordings of dynamodb.DescribeContinuousBackups (`test_dynamodb_continuous_backup_action`, 2020),
/// which are older than the recovery period: AWS's model has it beside the status.
const RECOVERABLE: &str = r#"{"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED",
"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35,
"EarliestRestorableDateTime": 1588427859.0, "LatestRestorableDateTime": 1588427859.0}}}"#;
const NOT_RECOVERABLE: &str = r#"{"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED",
"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"}}}"#;

/// From AWS's example of `describe-time-to-live` in the AWS CLI's reference.
const EXPIRING: &str = r#"{"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}}"#;

/// From cloud-custodian's recording of dynamodb.ListTagsOfResource (`test_dynamodb_mark`).
const TAGS: &str =
    r#"{"Tags": [{"Key": "drctl:environment", "Value": "prod"}, {"Key": "drctl:stack", "Value": "pay"}]}"#;

fn table() -> Table {
    Table {
        name: "pay-prod-sessions".to_owned(),
        hash_key: "id".to_owned(),
        billing_mode: "PAY_PER_REQUEST".to_owned(),
        stream_view: "NEW_AND_OLD_IMAGES".to_owned(),
        kms_key: Ref::known(KEY),
        ttl_attribute: "expires_at".to_owned(),
        recovery_days: 35,
        deletion_protection: Some(true),
        replica: Replica { region: String::new(), kms_key: Ref::known(""), recovery_days: 0 },
        replica_deletion_protection: None,
    }
}

fn described(inner: &str) -> String {
    format!(r#"{{"Table": {{{inner}}}}}"#)
}

fn answers(inner: &str) -> Answers {
    Answers::default()
        .to("DescribeTable", described(inner))
        .to("DescribeContinuousBackups", RECOVERABLE)
        .to("DescribeTimeToLive", EXPIRING)
        .to("ListTagsOfResource", TAGS)
}

async fn read_table(inner: &str) -> Live {
    read::<Table>(answers(inner), "pay-prod-sessions").await
}

#[tokio::test]
async fn a_table_as_recorded_reads_as_it_was_made() {
    let live = read_table(TABLE).await;
    assert_eq!((compared(&table(), &live), &live.phase), (vec![], &Phase::Ready));
    assert!(live.outputs["stream_arn"].ends_with("/stream/2026-02-13T13:20:35.834"));
}

#[tokio::test]
async fn fields_that_aws_adds_to_a_table_are_ignored() {
    let future = TABLE
        .replace(r#""STANDARD""#, r#""OF_TOMORROW""#)
        .replace(r#""SSEType": "KMS""#, r#""SSEType": "OF_TOMORROW""#)
        .replace(r#""TableStatus": "ACTIVE""#, r#""TableStatus": "OF_TOMORROW""#)
        + r#", "OfTomorrow": {"Deep": [1, null, "x"]}"#;
    let live = read_table(&future).await;
    assert_eq!((compared(&table(), &live), &live.phase), (vec![], &Phase::Ready));
}

/// What AWS leaves out has a meaning, and can be changed in place: without a summary of billing, the throughput is provisioned
/// (`BillingModeSummary` in AWS's API reference; cloud-custodian's older recordings); without a description of encryption, the
/// key is DynamoDB's own; without a specification of a stream, there is none.
#[tokio::test]
async fn what_an_answer_about_a_table_lacks_never_replaces_it() {
    let live = read_table(r#""TableName": "pay-prod-sessions", "TableStatus": "ACTIVE""#).await;
    let differs = compared(&table(), &live);
    let names: Vec<&str> = differs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["billing_mode", "stream_view", "kms_key"]);
    assert!(differs.iter().all(|(_, replaced)| !replaced), "{differs:?}");
}

/// A view has no meaning if `StreamEnabled` is false:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_StreamSpecification.html>
#[tokio::test]
async fn a_stream_that_is_off_is_none() {
    let off = TABLE.replace(
        r#"{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}"#,
        r#"{"StreamEnabled": false, "StreamViewType": "NEW_AND_OLD_IMAGES"}"#,
    );
    let desired = Table { stream_view: String::new(), ..table() };
    assert_eq!(compared(&desired, &read_table(&off).await), NOTHING);
}

#[tokio::test]
async fn recovery_and_expiry_are_read_from_their_answers() {
    let read = |recovery: &'static str, expiry: &'static str| {
        let answers = Answers::default()
            .to("DescribeTable", described(TABLE))
            .to("DescribeContinuousBackups", recovery)
            .to("DescribeTimeToLive", expiry)
            .to("ListTagsOfResource", TAGS);
        read::<Table>(answers, "pay-prod-sessions")
    };
    let older = r#"{"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}}"#;
    assert_eq!(
        compared(&table(), &read(older, EXPIRING).await),
        NOTHING,
        "the period was 35 days before it could be chosen"
    );
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TimeToLiveDescription.html
    let off = r#"{"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}"#;
    let desired = Table { recovery_days: 0, ttl_attribute: String::new(), ..table() };
    assert_eq!(compared(&desired, &read(NOT_RECOVERABLE, off).await), NOTHING);
    assert_eq!(compared(&table(), &read("{}", "{}").await), NOTHING, "an answer that says nothing");
}

fn replicated() -> String {
    TABLE.to_owned()
        + r#", "Replicas": [
            {"RegionName": "us-east-2", "ReplicaStatus": "ACTIVE", "OfTomorrow": 1},
            {"RegionName": "us-east-1", "ReplicaStatus": "ACTIVE"}]"#
}

fn there() -> Table {
    let replica = Replica { region: "us-east-2".to_owned(), kms_key: Ref::known(OTHER_KEY), recovery_days: 0 };
    Table { replica, replica_deletion_protection: Some(false), ..table() }
}

/// Somebody may have switched it on by hand, which is neither a difference nor lifted.
#[tokio::test]
async fn protection_that_is_not_asked_for_is_not_a_difference() {
    let answers = answers(&replicated())
        .to("us-east-2 DescribeTable", described(&TABLE.replace(KEY, OTHER_KEY)))
        .to("us-east-2 DescribeContinuousBackups", NOT_RECOVERABLE);
    let live = read::<Table>(answers, "pay-prod-sessions").await;
    assert_eq!(compared(&there(), &live), [("replica_deletion_protection".to_owned(), false)]);
    let silent = Table { deletion_protection: None, replica_deletion_protection: None, ..there() };
    assert_eq!(compared(&silent, &live), NOTHING);
}

/// No recorded answer shows a replica, so this is `ReplicaDescription` in AWS's API reference. The table's Region returns a
/// replica's name and state; its settings are read in its own Region. The table's own Region may be among the replicas.
#[tokio::test]
async fn a_replica_is_read_in_its_own_region() {
    let other = TABLE
        .replace(KEY, OTHER_KEY)
        .replace(r#""DeletionProtectionEnabled": true"#, r#""DeletionProtectionEnabled": false"#);
    let answers = answers(&replicated())
        .to("us-east-2 DescribeTable", described(&other))
        .to("us-east-2 DescribeContinuousBackups", NOT_RECOVERABLE);
    let live = read::<Table>(answers, "pay-prod-sessions").await;
    assert_eq!((compared(&there(), &live), &live.phase), (vec![], &Phase::Ready));
    assert_eq!(live.outputs["replica_arn"], "arn:aws:dynamodb:us-east-2:123456789012:table/pay-prod-sessions");
}

#[tokio::test]
async fn a_replica_whose_region_does_not_say_whether_it_is_protected_is_not_compared_in_that() {
    let other = TABLE.replace(KEY, OTHER_KEY).replace(r#""DeletionProtectionEnabled": true,"#, "");
    let answers = answers(&replicated())
        .to("us-east-2 DescribeTable", described(&other))
        .to("us-east-2 DescribeContinuousBackups", NOT_RECOVERABLE);
    let live = read::<Table>(answers, "pay-prod-sessions").await;
    assert_eq!((compared(&there(), &live), &live.phase), (vec![], &Phase::Ready));
    assert!(live.outputs.contains_key("replica_arn"), "{:?}", live.outputs);
}

#[tokio::test]
async fn a_replica_that_is_being_created_is_not_compared() {
    let coming = replicated().replacen(r#""ReplicaStatus": "ACTIVE""#, r#""ReplicaStatus": "CREATING""#, 1);
    let live = read_table(&coming).await;
    assert_eq!(compared(&there(), &live), NOTHING);
    assert!(matches!(live.phase, Phase::Pending(_)), "{:?}", live.phase);
}

/// From cloud-custodian's recording of dynamodb.DescribeContinuousBackups (`test_dynamodb_continuous_backup_filter`), and AWS's
/// words for a table that is not there: LocalStack's snapshot of `test_table_crud`.
#[tokio::test]
async fn a_table_that_does_not_exist_is_none_and_not_an_error() {
    let gone = r#"{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
        "message": "Requested resource not found: Table: pay-prod-sessions not found"}"#;
    let answers = Answers::default().refused("DescribeTable", 400, gone);
    assert!(found::<Table>(answers, "pay-prod-sessions").await.is_none());
    let unseen = r#"{"__type": "com.amazonaws.dynamodb.v20120810#TableNotFoundException",
        "message": "Table not found: pay-prod-sessions"}"#;
    let answers = Answers::default()
        .to("DescribeTable", described(TABLE))
        .refused("DescribeContinuousBackups", 400, unseen)
        .to("DescribeTimeToLive", EXPIRING)
        .to("ListTagsOfResource", TAGS);
    let live = read::<Table>(answers, "pay-prod-sessions").await;
    assert_eq!(compared(&table(), &live), NOTHING);
}
