//! The base of a Region, which everything else needs: the key, the log groups that it encrypts, and the topic for alarms.

use serde_json::{Value, json};

use super::{Placement, whole};
use drctl_aws::resources::kms::{Alias, Key};
use drctl_aws::resources::logs::LogGroup;
use drctl_aws::resources::policy::{self, Statement};
use drctl_aws::resources::sns::Topic;
use drctl_aws::resources::{Handle, Stack};
use drctl_config::Config;
use drctl_engine::GraphError;

/// The base of one Region.
pub(super) struct RegionBase {
    /// The key that encrypts everything at rest.
    pub key: Handle<Key>,
    /// The topic that alarms are sent to.
    pub topic: Handle<Topic>,
    /// The function's log.
    pub lambda_log: Handle<LogGroup>,
    /// The API's access log.
    pub api_log: Handle<LogGroup>,
    /// The database's log.
    pub database_log: Handle<LogGroup>,
    /// The VPC's flow log.
    pub flow_log: Handle<LogGroup>,
}

/// Adds the base of one Region.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    placement: &Placement<'_>,
    cluster: &str,
) -> Result<RegionBase, GraphError> {
    let key = key(stack, config, placement)?;
    let topic = topic(stack, config, placement, &key)?;
    let name = config.name();
    let mut group = |short: &str, full: String| {
        let retention_days = whole(config.alerts.log_retention_days);
        let group = LogGroup { name: full, retention_days, kms_key: key.arn() };
        stack.add(placement.role, short, placement.region, &group)
    };
    let lambda_log = group("lambda", lambda_log_group(&name))?;
    // With this prefix, the resource policy that API Gateway writes does not grow with every group.
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
    // See docs/aws-behaviour.md#log-delivery-policy-is-limited.
    let api_log = group("api", format!("/aws/vendedlogs/apis/{name}"))?;
    // Otherwise Aurora would create this group itself, unencrypted and without a retention period, and leave it behind.
    // See docs/aws-behaviour.md#log-groups-come-back.
    let database_log = group("database", format!("/aws/rds/cluster/{cluster}/postgresql"))?;
    let flow_log = group("flow", flow_log_group(&name))?;
    Ok(RegionBase { key, topic, lambda_log, api_log, database_log, flow_log })
}

/// Adds the key and its alias.
pub(super) fn key(
    stack: &mut Stack<'_>,
    config: &Config,
    placement: &Placement<'_>,
) -> Result<Handle<Key>, GraphError> {
    let name = config.name();
    let key = Key {
        description: format!("{name}: everything at rest in {}", placement.region),
        rotation: true,
        enabled: true,
        pending_deletion: false,
        policy: key_policy(placement.account, placement.region),
    };
    let key = stack.add(placement.role, "main", placement.region, &key)?;
    let alias = Alias { name: format!("alias/{name}"), key: key.id() };
    stack.add(placement.role, "main", placement.region, &alias)?;
    Ok(key)
}

/// Adds the topic.
pub(super) fn topic(
    stack: &mut Stack<'_>,
    config: &Config,
    placement: &Placement<'_>,
    key: &Handle<Key>,
) -> Result<Handle<Topic>, GraphError> {
    let name = config.name();
    let topic_name = format!("{name}-alerts");
    let arn = format!("arn:aws:sns:{}:{}:{topic_name}", placement.region, placement.account);
    let topic = Topic {
        name: topic_name,
        display_name: name,
        kms_key: key.arn(),
        policy: topic_policy(placement.account, &arn),
    };
    stack.add(placement.role, "alerts", placement.region, &topic)
}

pub(super) fn lambda_log_group(name: &str) -> String {
    format!("/aws/lambda/{name}-processor")
}

pub(super) fn flow_log_group(name: &str) -> String {
    format!("/aws/vpc/{name}-flow")
}

/// Allows only alarms of this account. The account's own identities need no permission from the topic.
fn topic_policy(account: &str, arn: &str) -> Value {
    policy::document([Statement::allow(["SNS:Publish"])
        .sid("Alarms")
        .by("Service", ["cloudwatch.amazonaws.com"])
        .on([arn])
        .when("StringEquals", "aws:SourceAccount", [account])])
}

/// What a role needs in order to write to the log groups of a Region, which the key encrypts: CloudWatch Logs uses the key on
/// behalf of the caller, besides on its own behalf.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html>. AWS's own policy for `PutLogEvents`
/// grants the same:
/// <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/CloudWatchLogsAPIKeyAccess.html>
/// See docs/aws-behaviour.md#logs-calls-kms-as-the-caller.
pub(super) fn key_for_logs(key: &Handle<Key>, region: &str) -> Statement {
    Statement::allow(["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"])
        .on_output(&key.arn())
        .when("StringEquals", "kms:ViaService", [format!("logs.{region}.amazonaws.com")])
}

/// Allows exactly the account's root, CloudWatch Logs for the groups of this account, and the alarms of this account.
///
/// Alarms need the key in order to publish to the encrypted topic: CloudWatch calls KMS on its own behalf. SNS needs no permission
/// of its own, because it uses the key on behalf of the publisher. It would need a key only to deliver to an encrypted queue.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services>,
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html>
/// See docs/aws-behaviour.md#alarms-need-the-topics-key.
fn key_policy(account: &str, region: &str) -> Value {
    policy::canonical(json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Account",
                "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "Logs",
                "Effect": "Allow",
                "Principal": {"Service": format!("logs.{region}.amazonaws.com")},
                "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
                "Resource": "*",
                // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
                // See docs/aws-behaviour.md#key-not-visible-to-logs.
                "Condition": {
                    "ArnLike": {"kms:EncryptionContext:aws:logs:arn": format!("arn:aws:logs:{region}:{account}:log-group:*")},
                },
            },
            {
                "Sid": "Alarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
                // See docs/aws-behaviour.md#key-policy-confused-deputy.
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            },
        ],
    }))
}
