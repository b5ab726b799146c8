//! Amazon `CloudWatch` Logs.

use super::{Answers, NOTHING, compared, found, read};
use crate::resources::logs::LogGroup;
use crate::resources::{Live, Owner, Ref};

const NAME: &str = "/aws/lambda/pay-prod-processor";

/// From LocalStack's snapshots of `test_create_log_group_with_kms_key`, and `test_describe_log_groups_with_prefix`, where another
/// group is returned beside it.
const GROUP: &str = r#"{"arn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/pay-prod-processor:*",
"creationTime": 1543060513793, "deletionProtectionEnabled": false, "retentionInDays": 30,
"kmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/k",
"logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/pay-prod-processor", "logGroupClass": "STANDARD",
"logGroupName": "/aws/lambda/pay-prod-processor", "metricFilterCount": 0, "storedBytes": 0}"#;

fn group() -> LogGroup {
    LogGroup {
        name: NAME.to_owned(),
        retention_days: 30,
        kms_key: Ref::known("arn:aws:kms:us-east-1:123456789012:key/k"),
    }
}

fn answers(group: &str, tags: &str) -> Answers {
    let other = GROUP.replace("processor", "processor-2");
    Answers::default()
        .to("DescribeLogGroups", format!(r#"{{"logGroups": [{other}, {group}]}}"#))
        .to("ListTagsForResource", tags)
}

async fn read_group(group: &str, tags: &str) -> Live {
    read::<LogGroup>(answers(group, tags), NAME).await
}

#[tokio::test]
async fn a_log_group_as_recorded_reads_as_it_was_made() {
    let live = read_group(GROUP, r#"{"tags": {"drctl:stack": "pay", "drctl:environment": "prod"}}"#).await;
    assert_eq!(compared(&group(), &live), NOTHING);
    assert!(matches!(live.owner, Owner::Ours { .. }));
    assert_eq!(
        live.arn.as_deref(),
        Some("arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/pay-prod-processor")
    );
}

/// From cloud-custodian's recordings of logs.DescribeLogGroups (`test_query_pagination_retry`, 2016): without a retention, events
/// never expire; without a key, it is `CloudWatch` Logs' own; and the ARN is returned only with the wildcard for its streams.
#[tokio::test]
async fn what_an_answer_about_a_log_group_lacks_has_a_meaning() {
    let old = r#"{"arn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/pay-prod-processor:*",
        "creationTime": 1476975252441, "metricFilterCount": 0, "logGroupName": "/aws/lambda/pay-prod-processor", "storedBytes": 1}"#;
    let plain = LogGroup { retention_days: 0, kms_key: Ref::known(""), ..group() };
    for least in [old, r#"{"logGroupName": "/aws/lambda/pay-prod-processor"}"#] {
        let live = read_group(least, "{}").await;
        assert_eq!(compared(&plain, &live), NOTHING);
        assert!(live.arn.is_some_and(|arn| arn.ends_with(":log-group:/aws/lambda/pay-prod-processor")));
        assert_eq!(live.owner, Owner::Untagged);
    }
}

#[tokio::test]
async fn fields_that_aws_adds_to_a_log_group_are_ignored() {
    let future = GROUP.replace("STANDARD", "OF_TOMORROW").replacen('{', r#"{"ofTomorrow": {"a": [1]}, "#, 1);
    assert_eq!(compared(&group(), &read_group(&future, "{}").await), NOTHING);
}

/// LocalStack's snapshot of `test_list_log_groups_with_pattern`: nothing found is an empty list.
#[tokio::test]
async fn a_log_group_whose_name_only_begins_others_does_not_exist() {
    let empty = Answers::default().to("DescribeLogGroups", r#"{"logGroups": []}"#);
    assert!(found::<LogGroup>(empty, NAME).await.is_none());
    let others = answers(&GROUP.replace("processor", "processor-3"), "{}");
    assert!(found::<LogGroup>(others, NAME).await.is_none());
}
