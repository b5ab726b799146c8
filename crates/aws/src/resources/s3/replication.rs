//! `s3_replication`: copies the objects of a bucket to one in another Region.

use std::time::Duration;

use aws_sdk_s3::types::{
    DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination, EncryptionConfiguration, Metrics,
    MetricsStatus, ReplicaModifications, ReplicaModificationsStatus, ReplicationConfiguration, ReplicationRule,
    ReplicationRuleFilter, ReplicationRuleStatus, ReplicationTime, ReplicationTimeStatus, ReplicationTimeValue,
    SourceSelectionCriteria, SseKmsEncryptedObjects, SseKmsEncryptedObjectsStatus,
};
use aws_smithy_types::error::operation::BuildError;
use serde::{Deserialize, Serialize};

use super::{Bucket, explained, incomplete, listed, unless_unset};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::iam::Role;
use crate::resources::kms::Key;
use crate::resources::permissions::{Grant, on, pass};
use crate::resources::{
    Arn, Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Readable, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};

/// The rule's id, which is also a dimension of its metrics.
pub const RULE_ID: &str = "everything";

/// Copies everything that is written to a bucket to another one. If a live configuration does anything else, the names of its
/// rules are read as its destination: a plan that overwrites a rule that was added by hand names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// The bucket to copy from, which is versioned. Immutable: forces replacement.
    pub bucket: Ref<Id<Bucket>>,
    /// The role that S3 assumes to copy. In-place.
    pub role: Ref<Arn<Role>>,
    /// The bucket to copy to, which is versioned. In-place.
    pub destination: Ref<Arn<Bucket>>,
    /// The key in the destination's Region that encrypts the copies. In-place.
    pub destination_kms_key: Ref<Arn<Key>>,
    /// Within how many minutes nearly everything is copied (S3 Replication Time Control), with metrics and with events for what
    /// takes longer: 15, the only value that S3 accepts, or 0 for no such commitment. In-place.
    pub time_control_minutes: i32,
    /// Whether delete markers are copied; deletions of versions never are. In-place.
    pub delete_markers: bool,
    /// Whether changes to a copy's metadata are copied back. In-place.
    pub replica_modifications: bool,
    /// Other resources that have to be ready first. Only an order; never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for Replication {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("bucket", "a replication cannot be moved to another bucket")],
        idempotent_create: true,
        // Versioning can take up to 15 minutes to be visible everywhere, but seldom takes long.
        // See docs/aws-behaviour.md#versioning-seen-late.
        patience: Duration::from_mins(10),
        ..TypeInfo::usual("s3_replication")
    };
    const SERVICE: &'static str = "s3";
    const LATENCIES: &'static [Latencies] = &[
        // "S3 replication config".
        Latencies::of(
            1,
            Latency::of_call("PutBucketReplication", [1.0, 5.0, 120.0]),
            Latency::of_call("DeleteBucketReplication", [1.0, 1.0, 3.0]),
        ),
    ];
    const UPDATE_SECONDS: f64 = 5.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:s3:::{s3_bucket}"], "s3", "GetReplicationConfiguration PutReplicationConfiguration"),
        pass(&[("iam:PassedToService", "s3.amazonaws.com")]),
    ];
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(self.bucket.value().to_owned())
    }

    /// Empty: it is read by its bucket's name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let s3 = &cx.clients().s3;
        let account = &cx.scope.account;
        let call = cx.read("s3", "GetBucketReplication", || {
            s3.get_bucket_replication().bucket(id).expected_bucket_owner(account).send()
        });
        let answer = match unless_unset("ReplicationConfigurationNotFoundError", call).await {
            Ok(answer) => answer,
            Err(failure) => return Err(explained(cx, id, failure).await),
        };
        Ok(answer.and_then(|answer| answer.replication_configuration).map(|configuration| {
            live(&cx.scope, id, Phase::Ready, &Readable::complete(Self::of(id, &configuration)), None)
        }))
    }

    /// Replaces any other configuration of the bucket.
    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        self.put(cx, self.bucket.value()).await?;
        Ok(self.bucket.value().to_owned())
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        self.put(cx, &live.id).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx
            .clients()
            .s3
            .delete_bucket_replication()
            .bucket(&live.id)
            .expected_bucket_owner(&cx.scope.account)
            .send();
        cx.mutate("s3", "DeleteBucketReplication", call).await.map(|_| Deletion::Requested)
    }
}

impl Replication {
    async fn put(&self, cx: &Context, bucket: &str) -> Result<(), Failure> {
        let call = cx
            .clients()
            .s3
            .put_bucket_replication()
            .bucket(bucket)
            .expected_bucket_owner(&cx.scope.account)
            .replication_configuration(self.configuration().map_err(|e| incomplete(&e))?)
            .send();
        cx.mutate("s3", "PutBucketReplication", call).await.map(drop)
    }

    /// One rule for the whole bucket, with a filter that matches everything: a rule without a filter is of the first version,
    /// which has neither time control nor replica modifications.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html>.
    /// See docs/aws-behaviour.md#replication-rule-needs-a-filter.
    fn configuration(&self) -> Result<ReplicationConfiguration, BuildError> {
        let delete_markers = if self.delete_markers {
            DeleteMarkerReplicationStatus::Enabled
        } else {
            DeleteMarkerReplicationStatus::Disabled
        };
        let rule = ReplicationRule::builder()
            .id(RULE_ID)
            .priority(1)
            .status(ReplicationRuleStatus::Enabled)
            .filter(ReplicationRuleFilter::builder().prefix("").build())
            .source_selection_criteria(self.source_selection()?)
            .delete_marker_replication(DeleteMarkerReplication::builder().status(delete_markers).build())
            .destination(self.destination()?)
            .build()?;
        ReplicationConfiguration::builder().role(self.role.value()).rules(rule).build()
    }

    /// Objects that are encrypted with a KMS key, as all of them are here, are copied only if the rule says so.
    fn source_selection(&self) -> Result<SourceSelectionCriteria, BuildError> {
        let encrypted = SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled).build()?;
        let modifications = if self.replica_modifications {
            ReplicaModificationsStatus::Enabled
        } else {
            ReplicaModificationsStatus::Disabled
        };
        let modifications = ReplicaModifications::builder().status(modifications).build()?;
        Ok(SourceSelectionCriteria::builder()
            .sse_kms_encrypted_objects(encrypted)
            .replica_modifications(modifications)
            .build())
    }

    fn destination(&self) -> Result<Destination, BuildError> {
        let key = EncryptionConfiguration::builder().replica_kms_key_id(self.destination_kms_key.value()).build();
        let mut destination = Destination::builder().bucket(self.destination.value()).encryption_configuration(key);
        if self.time_control_minutes > 0 {
            let minutes = ReplicationTimeValue::builder().minutes(self.time_control_minutes).build();
            let time = ReplicationTime::builder().status(ReplicationTimeStatus::Enabled).time(minutes.clone());
            let metrics = Metrics::builder().status(MetricsStatus::Enabled).event_threshold(minutes);
            destination = destination.replication_time(time.build()?).metrics(metrics.build()?);
        }
        destination.build()
    }

    /// S3 returns the configuration as it was written: what is missing in it is off.
    fn of(bucket: &str, configuration: &ReplicationConfiguration) -> Self {
        let rule = match configuration.rules() {
            [rule] if *rule.status() == ReplicationRuleStatus::Enabled && is_for_all(rule) => Some(rule),
            _ => None,
        };
        let destination = rule.and_then(ReplicationRule::destination);
        let selection = rule.and_then(ReplicationRule::source_selection_criteria);
        let copies_encrypted = selection
            .and_then(SourceSelectionCriteria::sse_kms_encrypted_objects)
            .is_some_and(|encrypted| *encrypted.status() == SseKmsEncryptedObjectsStatus::Enabled);
        let key = destination
            .filter(|_| copies_encrypted)
            .and_then(Destination::encryption_configuration)
            .and_then(EncryptionConfiguration::replica_kms_key_id);
        Self {
            bucket: Ref::known(bucket),
            role: Ref::known(configuration.role()),
            destination: Ref::known(match destination {
                Some(destination) => destination.bucket().to_owned(),
                None => listed(configuration.rules().iter().map(ReplicationRule::id)),
            }),
            destination_kms_key: Ref::known(key.unwrap_or_default()),
            time_control_minutes: destination.and_then(time_control).unwrap_or_default(),
            delete_markers: rule
                .and_then(ReplicationRule::delete_marker_replication)
                .and_then(DeleteMarkerReplication::status)
                .is_some_and(|status| *status == DeleteMarkerReplicationStatus::Enabled),
            replica_modifications: selection
                .and_then(SourceSelectionCriteria::replica_modifications)
                .is_some_and(|modifications| *modifications.status() == ReplicaModificationsStatus::Enabled),
            after: Vec::new(),
        }
    }
}

/// Whether a rule is for every object, i.e. has the filter that drctl writes, an empty prefix. A filter that the SDK does not
/// know, such as `Not`, reads as one without any prefix.
fn is_for_all(rule: &ReplicationRule) -> bool {
    rule.filter().is_some_and(|filter| filter.prefix() == Some("") && filter.tag().is_none() && filter.and().is_none())
}

/// The minutes of the commitment, if S3 also reports what takes longer.
fn time_control(destination: &Destination) -> Option<i32> {
    let time = destination.replication_time().filter(|time| *time.status() == ReplicationTimeStatus::Enabled)?;
    let metrics = destination.metrics().filter(|metrics| *metrics.status() == MetricsStatus::Enabled)?;
    let minutes = time.time()?.minutes()?;
    (metrics.event_threshold()?.minutes() == Some(minutes)).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replication() -> Replication {
        Replication {
            bucket: Ref::known("source"),
            role: Ref::known("arn:aws:iam::123456789012:role/r"),
            destination: Ref::known("arn:aws:s3:::destination"),
            destination_kms_key: Ref::known("arn:aws:kms:us-east-2:123456789012:key/k"),
            time_control_minutes: 15,
            delete_markers: true,
            replica_modifications: true,
            after: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let plain = Replication {
            time_control_minutes: 0,
            delete_markers: false,
            replica_modifications: false,
            ..replication()
        };
        for wanted in [replication(), plain] {
            let written = wanted.configuration().expect("complete");
            assert_eq!(Replication::of("source", &written), wanted);
        }
    }

    #[test]
    fn anything_but_one_rule_for_all_has_no_destination() {
        let ours = replication().configuration().expect("complete");
        let mut off = ours.clone();
        off.rules[0].status = ReplicationRuleStatus::Disabled;
        let mut narrow = ours.clone();
        narrow.rules[0].filter = Some(ReplicationRuleFilter::builder().prefix("receipts/").build());
        let mut of_the_first_version = ours.clone();
        of_the_first_version.rules[0].filter = None;
        let mut unknown = ours.clone();
        unknown.rules[0].filter = Some(ReplicationRuleFilter::builder().build());
        let mut two = ours.clone();
        two.rules.push(ours.rules[0].clone());
        two.rules[1].id = Some("theirs".to_owned());
        for other in [off, narrow, of_the_first_version, unknown] {
            assert_eq!(Replication::of("source", &other).destination.value(), "the rule everything");
        }
        assert_eq!(Replication::of("source", &two).destination.value(), "the rules everything, theirs");
    }

    #[test]
    fn a_time_control_without_metrics_counts_as_none() {
        let mut unwatched = replication().configuration().expect("complete");
        let destination = unwatched.rules[0].destination.as_mut().expect("it has one");
        destination.metrics = None;
        assert_eq!(Replication::of("source", &unwatched).time_control_minutes, 0);
    }

    #[test]
    fn a_rule_that_leaves_out_encrypted_objects_has_no_key() {
        let mut plain_only = replication().configuration().expect("complete");
        plain_only.rules[0].source_selection_criteria = None;
        assert_eq!(Replication::of("source", &plain_only).destination_kms_key.value(), "");
    }
}
