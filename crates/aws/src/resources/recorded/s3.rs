//! Amazon S3.

use serde_json::{Value, json};

use super::{Answers, NOTHING, compared, differing, found, read};
use crate::resources::s3::{Bucket, Replication};
use crate::resources::{Live, Owner, Ref, policy};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5";

/// LocalStack's snapshot of `test_s3_bucket_encryption_sse_kms`, in which the key is returned as it was given, with what AWS has
/// set since April 2026: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html>.
const ENCRYPTED: &str = "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>\
    <ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>\
    <KMSMasterKeyID>arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5</KMSMasterKeyID>\
    </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>\
    <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>\
    </ServerSideEncryptionConfiguration>";

/// LocalStack's snapshots of `test_crud_public_access_block` and `test_crud_bucket_ownership_controls`: what AWS sets on every
/// bucket.
const BLOCKED: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
    <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>\
    <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
const OWNED: &str =
    "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";

/// From cloud-custodian's recording of s3.GetBucketLifecycleConfiguration (`test_s3_dataaccesspointaccount_cross_account`).
const CLEARED: &str = "<LifecycleConfiguration><Rule><ID>clear-away</ID>\
    <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>\
    <Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
    <NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration>\
    <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
    </LifecycleConfiguration>";

/// From cloud-custodian's recording of s3.GetBucketPolicy (`test_cloudtrail_enable`): a list of one as a string.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly","Effect":"Deny","Principal":"*",
    "Action":"s3:*","Resource":["arn:aws:s3:::pay-data/*","arn:aws:s3:::pay-data"],
    "Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;

const TAGGED: &str = "<Tagging><TagSet><Tag><Key>drctl:stack</Key><Value>pay</Value></Tag>\
    <Tag><Key>drctl:environment</Key><Value>prod</Value></Tag><Tag><Key>theirs</Key><Value></Value></Tag></TagSet></Tagging>";

/// What was never set, as cloud-custodian's recordings of the same calls have it.
const UNSET: [(&str, &str); 6] = [
    ("GET /pay-data encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("GET /pay-data publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
    ("GET /pay-data ownershipControls", "OwnershipControlsNotFoundError"),
    ("GET /pay-data policy", "NoSuchBucketPolicy"),
    ("GET /pay-data lifecycle", "NoSuchLifecycleConfiguration"),
    ("GET /pay-data tagging", "NoSuchTagSet"),
];

fn error(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>said so</Message><BucketName>pay-data</BucketName></Error>")
}

fn bucket() -> Bucket {
    Bucket {
        name: "pay-data".to_owned(),
        versioned: true,
        kms_key: Ref::known(KEY),
        bucket_key: true,
        public_access_blocked: true,
        ownership: "BucketOwnerEnforced".to_owned(),
        policy: policy::canonical(json!({ "Version": "2012-10-17", "Statement": {
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": { "AWS": "*" }, "Action": ["s3:*"],
            "Resource": ["arn:aws:s3:::pay-data", "arn:aws:s3:::pay-data/*"],
            "Condition": { "Bool": { "aws:SecureTransport": false } },
        }})),
        noncurrent_days: 30,
        incomplete_upload_days: 7,
    }
}

/// The bucket as recorded, except for one of the answers.
async fn with(words: &'static str, status: u16, body: String) -> Live {
    let answers = [
        ("GET /pay-data versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        ("GET /pay-data encryption", ENCRYPTED),
        ("GET /pay-data publicAccessBlock", BLOCKED),
        ("GET /pay-data ownershipControls", OWNED),
        ("GET /pay-data policy", POLICY),
        ("GET /pay-data lifecycle", CLEARED),
        ("GET /pay-data tagging", TAGGED),
    ];
    let others = answers.into_iter().filter(|(other, _)| *other != words);
    let answers = others.fold(Answers::default(), |all, (words, body)| all.to(words, body));
    read::<Bucket>(answers.refused(words, status, body), "pay-data").await
}

#[tokio::test]
async fn a_bucket_as_recorded_reads_as_it_was_made() {
    let live = with("GET /pay-data policy", 200, POLICY.to_owned()).await;
    assert_eq!(compared(&bucket(), &live), NOTHING);
    assert!(matches!(live.owner, Owner::Ours { .. }));
    assert_eq!(live.properties["tags"]["theirs"], "");
}

#[tokio::test]
async fn what_was_never_set_on_a_bucket_never_replaces_it() {
    let off = Answers::default().to("GET /pay-data versioning", "<VersioningConfiguration/>");
    let answers = UNSET.into_iter().fold(off, |all, (words, code)| all.refused(words, 404, error(code)));
    let live = read::<Bucket>(answers, "pay-data").await;
    let differs = compared(&bucket(), &live);
    assert!(differs.iter().all(|(_, replaced)| !replaced), "{differs:?}");
    let plain = Bucket {
        versioned: false,
        kms_key: Ref::known(""),
        bucket_key: false,
        public_access_blocked: false,
        ownership: String::new(),
        policy: Value::Null,
        noncurrent_days: 0,
        incomplete_upload_days: 0,
        ..bucket()
    };
    assert_eq!((compared(&plain, &live), live.owner), (vec![], Owner::Untagged));
}

/// From LocalStack's snapshot of `test_bucket_versioning_crud`.
#[tokio::test]
async fn versioning_that_is_suspended_or_unknown_is_off() {
    for status in ["Suspended", "OfTomorrow"] {
        let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        let live = with("GET /pay-data versioning", 200, body).await;
        assert_eq!(differing(&bucket(), &live), ["versioned"], "{status}");
    }
}

/// LocalStack's snapshots of `test_s3_bucket_encryption_sse_kms_aws_managed_key` and `test_s3_default_bucket_encryption`, and
/// cloud-custodian's of a rule without an algorithm (`test_s3_filter_bucket_encryption_disabled_malformed_statement`).
#[tokio::test]
async fn an_encryption_without_the_key_differs_in_place_and_is_not_an_error() {
    let with_rule = |rule: &str| {
        let body =
            format!("<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>");
        with("GET /pay-data encryption", 200, body)
    };
    let key = "<BucketKeyEnabled>true</BucketKeyEnabled>";
    let by = |algorithm: &str| {
        format!(
            "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm></ApplyServerSideEncryptionByDefault>{key}"
        )
    };
    for rule in [by("aws:kms"), by("AES256"), by("of-tomorrow"), key.to_owned()] {
        assert_eq!(compared(&bucket(), &with_rule(&rule).await), [("kms_key".to_owned(), false)], "{rule}");
    }
    assert_eq!(
        differing(&bucket(), &with_rule(&by("AES256").replace("true", "false")).await),
        ["kms_key", "bucket_key"]
    );
}

/// From cloud-custodian's recording of s3.GetPublicAccessBlock (`test_s3_check_public_block`).
#[tokio::test]
async fn public_access_that_one_setting_leaves_open_is_not_blocked() {
    let open = BLOCKED.replace("<IgnorePublicAcls>true<", "<IgnorePublicAcls>false<");
    let live = with("GET /pay-data publicAccessBlock", 200, open).await;
    assert_eq!(differing(&bucket(), &live), ["public_access_blocked"]);
    let more = BLOCKED.replace("</Pub", "<OfTomorrow>true</OfTomorrow></Pub");
    assert_eq!(compared(&bucket(), &with("GET /pay-data publicAccessBlock", 200, more).await), NOTHING);
}

#[tokio::test]
async fn an_unknown_ownership_differs_and_is_not_an_error() {
    for ownership in ["BucketOwnerPreferred", "OfTomorrow"] {
        let other = OWNED.replace("BucketOwnerEnforced", ownership);
        let live = with("GET /pay-data ownershipControls", 200, other).await;
        assert_eq!(
            (differing(&bucket(), &live), &live.properties["ownership"]),
            (vec!["ownership".to_owned()], &json!(ownership))
        );
    }
}

/// The first and the last from cloud-custodian's recordings (`test_s3_remove_lifecycle_rule_id`,
/// `bedrock_evaluation_job_output_bucket`).
#[tokio::test]
async fn a_lifecycle_of_others_is_named_and_one_that_is_off_does_not_count() {
    let dated = "<Rule><Expiration><Date>2022-03-04T00:00:00Z</Date></Expiration><ID>id2</ID>\
        <Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Status>Enabled</Status></Rule>";
    let narrow = "<Rule><Expiration><Days>30</Days></Expiration><ID>id2</ID><Filter><Prefix>evaluations/</Prefix></Filter>\
        <Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>10</NoncurrentDays></NoncurrentVersionExpiration></Rule>";
    let unknown = "<Rule><ID>id2</ID><Filter><OfTomorrow>1</OfTomorrow></Filter><Status>Enabled</Status></Rule>";
    for rule in [dated, narrow, unknown] {
        let body = format!("<LifecycleConfiguration>{rule}</LifecycleConfiguration>");
        let live = with("GET /pay-data lifecycle", 200, body).await;
        assert_eq!(live.properties["noncurrent_days"], "the rule id2");
    }
    let off = CLEARED.replace(
        "<LifecycleConfiguration>",
        "<LifecycleConfiguration><Rule><ID>off</ID><Filter><Prefix>x</Prefix></Filter><Status>OfTomorrow</Status></Rule>",
    );
    assert_eq!(compared(&bucket(), &with("GET /pay-data lifecycle", 200, off).await), NOTHING);
}

/// AWS's API reference of `ReplicationRule`; cloud-custodian's recordings of s3.GetBucketReplication have the same shape with
/// fewer fields.
const REPLICATED: &str = "<ReplicationConfiguration><Role>arn:aws:iam::123456789012:role/pay-prod-replication</Role>\
    <Rule><ID>everything</ID><Priority>1</Priority><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
    <SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>\
    <ReplicaModifications><Status>Enabled</Status></ReplicaModifications></SourceSelectionCriteria>\
    <Destination><Bucket>arn:aws:s3:::pay-copy</Bucket><EncryptionConfiguration>\
    <ReplicaKmsKeyID>arn:aws:kms:us-east-2:123456789012:key/k</ReplicaKmsKeyID></EncryptionConfiguration>\
    <ReplicationTime><Status>Enabled</Status><Time><Minutes>15</Minutes></Time></ReplicationTime>\
    <Metrics><Status>Enabled</Status><EventThreshold><Minutes>15</Minutes></EventThreshold></Metrics></Destination>\
    <DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication></Rule></ReplicationConfiguration>";

fn replication() -> Replication {
    Replication {
        bucket: Ref::known("pay-data"),
        role: Ref::known("arn:aws:iam::123456789012:role/pay-prod-replication"),
        destination: Ref::known("arn:aws:s3:::pay-copy"),
        destination_kms_key: Ref::known("arn:aws:kms:us-east-2:123456789012:key/k"),
        time_control_minutes: 15,
        delete_markers: true,
        replica_modifications: true,
        after: Vec::new(),
    }
}

async fn read_replication(body: &str) -> Live {
    read::<Replication>(Answers::default().to("GET /pay-data replication", body), "pay-data").await
}

#[tokio::test]
async fn a_replication_as_written_by_aws_reads_as_it_was_made() {
    assert_eq!(compared(&replication(), &read_replication(REPLICATED).await), NOTHING);
    let future = REPLICATED
        .replace("</Destination>", "<OfTomorrow><Status>Enabled</Status></OfTomorrow></Destination>")
        .replace("<Priority>1</Priority>", "")
        .replace("</SourceSelectionCriteria>", "<OfTomorrow/></SourceSelectionCriteria>");
    assert_eq!(compared(&replication(), &read_replication(&future).await), NOTHING);
}

/// From cloud-custodian's recordings of s3.GetBucketReplication: a rule of the first version, with a prefix and no filter
/// (`test_s3_delete_replicated_bucket`); an empty filter (`test_s3_replication_policy_disable`); one by prefix and tags
/// (`test_s3_bucket_no_replication_rule`).
#[tokio::test]
async fn a_replication_of_others_is_named_and_never_replaced() {
    for filter in [
        "<Prefix></Prefix>",
        "<Filter/>",
        "<Filter><And><Prefix>abc</Prefix><Tag><Key>Owner</Key><Value>me</Value></Tag></And></Filter>",
        "<Filter><OfTomorrow>1</OfTomorrow></Filter>",
    ] {
        let other = REPLICATED.replace("<Filter><Prefix></Prefix></Filter>", filter);
        let live = read_replication(&other).await;
        assert_eq!(live.properties["destination"], "the rule everything", "{filter}");
        assert!(compared(&replication(), &live).iter().all(|(_, replaced)| !replaced), "{filter}");
    }
}

/// The code of the error is in AWS's API reference of `GetBucketReplication`.
#[tokio::test]
async fn a_bucket_that_is_not_replicated_has_no_replication() {
    let unset = error("ReplicationConfigurationNotFoundError");
    let answers = Answers::default().refused("GET /pay-data replication", 404, unset);
    assert!(found::<Replication>(answers, "pay-data").await.is_none());
}
