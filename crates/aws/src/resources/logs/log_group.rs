//! `log_group`: a group of log streams, with its retention and its key.

use aws_sdk_cloudwatchlogs::types::LogGroup as Described;
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::TagMap;
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::kms::Key;
use crate::resources::permissions::{Grant, LOG_GROUPS, key, later, on};
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Readable, Ref, Resource, Synced, Tagging,
    TypeInfo, bears_name, changed, is_about_permission, live, readable,
};

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Its name, which contains the stack's, so that one search finds all of the stack's groups. Immutable: forces replacement.
    pub name: String,
    /// How many days entries are kept, one of the numbers that `CloudWatch` Logs offers; 0 keeps them for good. In-place.
    pub retention_days: i32,
    /// The key that entries are encrypted with. Its policy must allow `CloudWatch` Logs to use it. In-place.
    pub kms_key: Ref<Arn<Key>>,
}

impl Resource for LogGroup {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a log group cannot be renamed")],
        idempotent_create: true,
        ..TypeInfo::usual("log_group")
    };
    const GOES_LAST: bool = true;
    const SERVICE: &'static str = "logs";
    const LATENCIES: &'static [Latencies] = &[
        // "SNS topic/sub; log group; alarm; dashboard".
        Latencies::of(
            2,
            Latency::of_steps(
                [1.0, 1.0, 3.0],
                &[step("CreateLogGroup", 1, 0.5, 0.0), step("PutRetentionPolicy", 1, 0.5, 0.0)],
            ),
            Latency::of_steps([1.0, 1.0, 3.0], &[step("DeleteLogGroup", 1, 1.0, 0.0)]),
        ),
    ];
    // The key is used on the caller's behalf: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    // Permissions for tags take the ARN without the `:*`, all others the ARN with it:
    // https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
    // See docs/aws-behaviour.md#logs-calls-kms-as-the-caller.
    // See docs/aws-behaviour.md#log-group-arns.
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:logs:{region}:{account}:log-group:{own}:*"],
            "logs",
            "AssociateKmsKey CreateLogGroup PutRetentionPolicy",
        ),
        on(&["arn:aws:logs:{region}:{account}:log-group:{own}"], "logs", "ListTagsForResource TagResource"),
        later(&["arn:aws:logs:{region}:{account}:log-group:{own}:*"], "logs", "DeleteLogGroup DeleteRetentionPolicy"),
        on(LOG_GROUPS, "logs", "DescribeLogGroups"),
        key(
            &[("kms:ViaService", "logs.{region}.amazonaws.com")],
            "Decrypt DescribeKey Encrypt GenerateDataKey ReEncryptFrom ReEncryptTo",
        ),
    ];
    const TAGGING: Tagging = Tagging::Logs;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Leaves out groups that may not be read. Such a group belongs to someone else and has the stack's name in its own, or the
    /// refusal is reported when it is read by its name. See docs/aws-behaviour.md#log-group-tags-of-others-are-denied.
    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let mut answers = one_by_one(cx).await?;
        answers.retain(|answer| !matches!(answer, Err(failure) if is_about_permission(failure)));
        readable(answers)
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        readable(one_by_one(cx).await?)
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let logs = &cx.clients().logs;
        // The answer is sorted by name, so the group whose whole name is the prefix is on the first page.
        let answer = cx
            .read("logs", "DescribeLogGroups", || logs.describe_log_groups().log_group_name_prefix(id).send())
            .await?;
        let Some(group) = answer.log_groups().iter().find(|group| group.log_group_name() == Some(id)) else {
            return Ok(None);
        };
        let arn = &arn_of(cx, id, group);
        let tags = match cx
            .read("logs", "ListTagsForResource", || logs.list_tags_for_resource().resource_arn(arn).send())
            .await
        {
            Ok(answer) => answer.tags.unwrap_or_default().into_iter().collect::<TagMap>(),
            // Deleted since the previous call.
            Err(failure) if failure.class == Class::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        };
        // CloudWatch Logs leaves out the retention where entries are kept for good, and the key where there is none.
        let properties = LogGroup {
            name: id.to_owned(),
            retention_days: group.retention_in_days().unwrap_or_default(),
            kms_key: Ref::known(group.kms_key_id().unwrap_or_default()),
        };
        Ok(Some(live(&cx.scope, id, Phase::Ready, &Readable::complete(properties), Some(tags)).with_arn(arn.clone())))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .logs
            .create_log_group()
            .log_group_name(&self.name)
            .kms_key_id(self.kms_key.value())
            .set_tags(Some(creation.tags.into_iter().collect()))
            .send();
        cx.mutate("logs", "CreateLogGroup", call).await?;
        Ok(self.name.clone())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let logs = &cx.clients().logs;
        let mut synced = Synced::default();
        if changed(changes, "retention_days") {
            if self.retention_days == 0 {
                let call = logs.delete_retention_policy().log_group_name(&live.id).send();
                cx.mutate("logs", "DeleteRetentionPolicy", call).await?;
            } else {
                let call =
                    logs.put_retention_policy().log_group_name(&live.id).retention_in_days(self.retention_days).send();
                cx.mutate("logs", "PutRetentionPolicy", call).await?;
            }
        }
        if changed(changes, "kms_key") {
            let call = logs.associate_kms_key().log_group_name(&live.id).kms_key_id(self.kms_key.value()).send();
            synced.unless_unsupported("kms_key", cx.mutate("logs", "AssociateKmsKey", call).await)?;
        }
        Ok(synced)
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().logs.delete_log_group().log_group_name(&live.id).send();
        cx.mutate("logs", "DeleteLogGroup", call).await.map(|_| Deletion::Requested)
    }
}

/// The ARN under which tags are found: without the `:*` (for all streams) that `arn()` ends in. Both follow from the name.
fn arn_of(cx: &Context, name: &str, group: &Described) -> String {
    let returned = group.log_group_arn().or_else(|| group.arn()?.strip_suffix(":*"));
    returned.map_or_else(|| format!("arn:aws:logs:{}:{}:log-group:{name}", cx.region, cx.scope.account), str::to_owned)
}

/// The groups that have the stack's name in theirs, each read by a call of its own: a search by part of the name returns neither
/// retention nor key.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>.
/// See docs/aws-behaviour.md#log-group-arns.
async fn one_by_one(cx: &Context) -> Result<Vec<Result<Option<Live>, Failure>>, Failure> {
    let logs = &cx.clients().logs;
    let part = cx.scope.name();
    let groups = cx
        .pages("logs", "DescribeLogGroups", || {
            logs.describe_log_groups().log_group_name_pattern(&part).into_paginator().items().send()
        })
        .await?;
    let names = groups.iter().filter_map(Described::log_group_name).filter(|name| is_named(&part, name));
    Ok(join_all(names.map(|name| LogGroup::read(cx, name))).await)
}

/// Whether a group of this name may be the stack's: one of the parts between slashes begins with the stack's name.
fn is_named(stack: &str, name: &str) -> bool {
    name.split('/').any(|part| bears_name(stack, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_the_stacks_by_a_part_of_its_path() {
        for (name, is) in [
            ("/aws/lambda/pay-dev-processor", true),
            ("/aws/rds/cluster/pay-dev-primary/postgresql", true),
            ("/aws/vendedlogs/apis/pay-dev", true),
            ("/aws/lambda/pay-dev2-processor", false),
            ("/aws/lambda/other-pay-dev-processor", false),
        ] {
            assert_eq!(is_named("pay-dev", name), is, "{name}");
        }
    }
}
