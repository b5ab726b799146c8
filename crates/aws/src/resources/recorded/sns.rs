//! Amazon SNS.

use serde_json::json;

use super::{Answers, NOTHING, compared, found, query, query_error, read};
use crate::resources::sns::{Subscription, Topic};
use crate::resources::{Live, Owner, Ref, policy};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5";

async fn read_topic(attributes: &[(&str, &str)], tags: &str) -> Live {
    let entry = |(key, value): &(&str, &str)| format!("<entry><key>{key}</key><value>{value}</value></entry>");
    let entries = attributes.iter().map(entry).collect::<Vec<_>>().concat();
    let answers = Answers::default()
        .to("GetTopicAttributes", query("GetTopicAttributes", &format!("<Attributes>{entries}</Attributes>")))
        .to("ListTagsForResource", query("ListTagsForResource", &format!("<Tags>{tags}</Tags>")));
    read::<Topic>(answers, "pay-prod-alerts").await
}

/// From cloud-custodian's recordings of sns.GetTopicAttributes (`test_cwe_rule_invalid_targets`,
/// `test_cloudtrail_success_log_metric_filter`): several settings beside those that are compared, and the policy that AWS
/// gives a topic by default, in its version of 2008.
#[tokio::test]
async fn a_topic_as_recorded_reads_as_it_was_made() {
    let document = r#"{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID",
        "Effect":"Allow","Principal":{"AWS":"*"},"Action":["SNS:Publish","SNS:GetTopicAttributes"],
        "Resource":"arn:aws:sns:us-east-1:123456789012:pay-prod-alerts",
        "Condition":{"StringEquals":{"AWS:SourceOwner":"123456789012"}}}]}"#;
    let desired = Topic {
        name: "pay-prod-alerts".to_owned(),
        display_name: "pay-prod".to_owned(),
        kms_key: Ref::known(KEY),
        policy: policy::canonical(json!({ "Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": {
            "Sid": "__default_statement_ID", "Effect": "Allow", "Principal": "*",
            "Action": ["SNS:GetTopicAttributes", "SNS:Publish"],
            "Resource": ["arn:aws:sns:us-east-1:123456789012:pay-prod-alerts"],
            "Condition": { "StringEquals": { "AWS:SourceOwner": ["123456789012"] } },
        }})),
    };
    let attributes = [
        ("Policy", document),
        ("LambdaSuccessFeedbackSampleRate", "0"),
        ("Owner", "123456789012"),
        ("SubscriptionsPending", "0"),
        ("TopicArn", "arn:aws:sns:us-east-1:123456789012:pay-prod-alerts"),
        ("TracingConfig", "OfTomorrow"),
        ("KmsMasterKeyId", KEY),
        ("DisplayName", "pay-prod"),
        ("OfTomorrow", ""),
    ];
    let tags = "<member><Key>drctl:stack</Key><Value>pay</Value></member>\
        <member><Key>drctl:environment</Key><Value>prod</Value></member>";
    let live = read_topic(&attributes, tags).await;
    assert_eq!(compared(&desired, &live), NOTHING);
    assert!(matches!(live.owner, Owner::Ours { .. }));
}

/// From the same recordings: without a key, and with a display name that is empty or left out.
#[tokio::test]
async fn what_a_topic_was_created_without_reads_as_empty() {
    let desired = Topic {
        name: "pay-prod-alerts".to_owned(),
        display_name: String::new(),
        kms_key: Ref::known(""),
        policy: serde_json::Value::Null,
    };
    for attributes in [&[("Owner", "123456789012"), ("DisplayName", "")][..], &[("Owner", "123456789012")][..]] {
        let live = read_topic(attributes, "").await;
        assert_eq!((compared(&desired, &live), &live.owner), (vec![], &Owner::Untagged));
        let with_policy = Topic { policy: json!({ "Version": "2012-10-17" }), ..desired.clone() };
        assert_eq!(compared(&with_policy, &live), NOTHING, "every topic has a policy, which was left out");
    }
}

/// From cloud-custodian's recording of sns.ListSubscriptionsByTopic (`test_sns_notify_action_with_msg_attr`), where not only
/// e-mail addresses are subscribed, and from AWS's guide for those that are pending or deleted.
#[tokio::test]
async fn a_subscription_is_found_among_others_in_any_state() {
    let subscription = |arn: &str, protocol: &str, endpoint: &str| {
        format!(
            "<member><SubscriptionArn>{arn}</SubscriptionArn><Owner>123456789012</Owner><Protocol>{protocol}</Protocol>\
             <Endpoint>{endpoint}</Endpoint><TopicArn>arn:aws:sns:us-east-1:123456789012:pay-prod-alerts</TopicArn></member>"
        )
    };
    let listed = |subscription: String| {
        let others = "<member><Protocol>of-tomorrow</Protocol></member>".to_owned();
        let all = format!("<Subscriptions>{others}{subscription}</Subscriptions>");
        let answers = Answers::default().to("ListSubscriptionsByTopic", query("ListSubscriptionsByTopic", &all));
        found::<Subscription>(answers, "pay-prod-alerts/ops@example.com")
    };
    let desired = Subscription {
        topic: Ref::known("arn:aws:sns:us-east-1:123456789012:pay-prod-alerts"),
        endpoint: "ops@example.com".to_owned(),
    };
    let confirmed = "arn:aws:sns:us-east-1:123456789012:pay-prod-alerts:78a0cf8e-b309-44f4-844c-9ebfcb3a9b19";
    for arn in [confirmed, "PendingConfirmation"] {
        let live = listed(subscription(arn, "email", "Ops@example.com")).await.expect("there");
        assert_eq!(compared(&desired, &live), NOTHING, "{arn}");
    }
    assert!(listed(subscription("Deleted", "email", "ops@example.com")).await.is_none());
    assert!(listed(subscription(confirmed, "sqs", "ops@example.com")).await.is_none());
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>
#[tokio::test]
async fn a_subscription_without_its_topic_does_not_exist() {
    let refusal = query_error("NotFound", "Topic does not exist");
    let answers = Answers::default().refused("ListSubscriptionsByTopic", 404, refusal);
    assert!(found::<Subscription>(answers, "pay-prod-alerts/ops@example.com").await.is_none());
}
