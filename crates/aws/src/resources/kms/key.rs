//! `kms_key`: a symmetric key of one Region.

use aws_sdk_kms::primitives::DateTime;
use aws_sdk_kms::types::{KeyMetadata, KeyState};
use futures::future::try_join;
use futures::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Tagged, describe, find, named, tags, tags_of, users};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, OWN_KEY, later, on};
use crate::resources::{
    AlsoDeleted, Attempt, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced,
    Tagging, TypeInfo, Weight, changed, live, policy, read_each,
};
use crate::{ATTEMPT, NODE, TagMap};

/// A symmetric key of one Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What it is for. In-place.
    pub description: String,
    /// Whether its key material is rotated every year. In-place.
    pub rotation: bool,
    /// Its policy in canonical form (see [`policy`]). It must let the account administer the key. In-place.
    pub policy: Value,
    /// Whether it can be used. In-place.
    pub enabled: bool,
    /// Whether it is scheduled for deletion, which can still be cancelled. In-place.
    pub pending_deletion: bool,
}

impl Resource for Key {
    const INFO: TypeInfo = TypeInfo {
        holds_data: true,
        // KMS is eventually consistent, mostly within seconds, at times within minutes, and has no client token:
        // https://docs.aws.amazon.com/kms/latest/developerguide/programming-eventual-consistency.html
        // See docs/aws-behaviour.md#kms-is-eventually-consistent.
        grace: 6,
        ..TypeInfo::usual("kms_key")
    };
    const GOES_LAST: bool = true;
    const SERVICE: &'static str = "kms";
    const LATENCIES: &'static [Latencies] = &[
        // "KMS key (+policy read-back)"; "schedule 1".
        Latencies::of(
            4,
            Latency::of_steps(
                [1.0, 10.0, 60.0],
                &[step("CreateKey", 1, 8.0, 1.0), step("EnableKeyRotation", 1, 1.0, 0.0)],
            ),
            Latency::of_steps([1.0, 1.0, 3.0], &[step("ScheduleKeyDeletion", 1, 1.0, 0.0)]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(ANY, "kms", "CreateKey ListKeys"),
        on(
            OWN_KEY,
            "kms",
            "DescribeKey EnableKeyRotation GetKeyPolicy GetKeyRotationStatus ListResourceTags PutKeyPolicy \
                 TagResource",
        ),
        later(
            OWN_KEY,
            "kms",
            "CancelKeyDeletion DisableKey DisableKeyRotation EnableKey ScheduleKeyDeletion UpdateKeyDescription",
        ),
        // Before a key is deleted, drctl looks for what can be read only with it.
        later(ANY, "rds", "DescribeDBClusters DescribeDBClusterSnapshots DescribeDBInstances DescribeDBSnapshots"),
        later(ANY, "dynamodb", "DescribeBackup DescribeTable ListBackups ListTables"),
        later(ANY, "secretsmanager", "ListSecrets"),
    ];
    const SAMPLE_ID: &'static str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const TAGGING: Tagging = Tagging::Kms;

    /// KMS lists keys without their tags, which take a call for each key. So only the key of the stack's alias is listed: others
    /// are read by their recorded id, and [`Resource::create`] reads the tags of every key before it creates another.
    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let found = named(cx).await?;
        match &*found {
            Some(found) if cx.scope.is_ours(&found.tags) => Ok(vec![from_found(cx, found).await?]),
            _ => Ok(Vec::new()),
        }
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let mut ours = read_each::<Self>(cx, all_ours(cx).await?.into_iter().map(|(id, _)| id).collect()).await?;
        ours.retain(|key| !is_pending_deletion(key));
        Ok(ours)
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        match find(cx, id).await? {
            Some(found) => from_found(cx, &found).await.map(Some),
            None => Ok(None),
        }
    }

    async fn search(cx: &Context, attempt: &Attempt) -> Result<Option<Live>, Failure> {
        let made = all_ours(cx).await?.into_iter().find(|(_, tags)| tags.get(ATTEMPT) == Some(&attempt.token));
        match made {
            Some((id, _)) => Self::read(cx, &id).await,
            None => Ok(None),
        }
    }

    /// Cancels the deletion of this node's key, if there still is one: a deleted key remains for at least seven days, and so does
    /// the data that it encrypts. It makes only one call, because a refusal of a second one would leave the key without a record:
    /// [`Resource::sync`] does the rest. <https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html>.
    /// See docs/aws-behaviour.md#kms-pending-deletion.
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let kms = &cx.clients().kms;
        if let Some(key) = left_over(cx, &creation.tags).await? {
            let id = key.key_id();
            if is_deleted(&key) {
                cx.mutate("kms", "CancelKeyDeletion", kms.cancel_key_deletion().key_id(id).send()).await?;
            }
            return Ok(id.to_owned());
        }
        let call = kms
            .create_key()
            .description(&self.description)
            .policy(self.policy.to_string())
            .set_tags(Some(tags(&creation.tags)?))
            .send();
        let answer = cx.mutate("kms", "CreateKey", call).await?;
        Ok(answer.key_metadata.map(|key| key.key_id).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let kms = &cx.clients().kms;
        let id = &live.id;
        if changed(changes, "pending_deletion") {
            cx.mutate("kms", "CancelKeyDeletion", kms.cancel_key_deletion().key_id(id).send()).await?;
            // KMS leaves it disabled.
            cx.mutate("kms", "EnableKey", kms.enable_key().key_id(id).send()).await?;
        }
        // The rotation of a disabled key cannot be changed: enable first, disable last.
        if changed(changes, "enabled") && self.enabled {
            cx.mutate("kms", "EnableKey", kms.enable_key().key_id(id).send()).await?;
        }
        if changed(changes, "description") {
            let call = kms.update_key_description().key_id(id).description(&self.description).send();
            cx.mutate("kms", "UpdateKeyDescription", call).await?;
        }
        if changed(changes, "policy") {
            let call = kms.put_key_policy().key_id(id).policy_name("default").policy(self.policy.to_string()).send();
            cx.mutate("kms", "PutKeyPolicy", call).await?;
        }
        if changed(changes, "rotation") {
            if self.rotation {
                cx.mutate("kms", "EnableKeyRotation", kms.enable_key_rotation().key_id(id).send()).await?;
            } else {
                cx.mutate("kms", "DisableKeyRotation", kms.disable_key_rotation().key_id(id).send()).await?;
            }
        }
        if changed(changes, "enabled") && !self.enabled {
            cx.mutate("kms", "DisableKey", kms.disable_key().key_id(id).send()).await?;
        }
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        Ok(Weight { kept: users::expected(cx, live, also).await?, ..Weight::default() })
    }

    /// Seven days is the shortest period that KMS accepts. A key that something is still encrypted with is kept: without the key
    /// it would be lost. See docs/aws-behaviour.md#key-in-use.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        if let Some(why) = users::at_present(cx, live).await? {
            return Ok(Deletion::Kept(why));
        }
        let call = cx.clients().kms.schedule_key_deletion().key_id(&live.id).pending_window_in_days(7).send();
        match cx.mutate("kms", "ScheduleKeyDeletion", call).await {
            Err(failure) if failure.code.as_deref() == Some("KMSInvalidStateException") => {
                // KMS also refuses when the key is already scheduled for deletion, e.g. by a call whose answer was lost.
                if describe(cx, &live.id).await?.is_none_or(|key| is_deleted(&key)) {
                    Ok(Deletion::Scheduled)
                } else {
                    Err(failure)
                }
            }
            answer => answer.map(|_| Deletion::Scheduled),
        }
    }
}

fn is_deleted(key: &KeyMetadata) -> bool {
    matches!(key.key_state(), Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion))
}

fn is_pending_deletion(live: &Live) -> bool {
    live.properties.get("pending_deletion") == Some(&Value::Bool(true))
}

async fn from_found(cx: &Context, found: &Tagged) -> Result<Live, Failure> {
    let Tagged { key, tags } = found;
    let id = key.key_id();
    let kms = &cx.clients().kms;
    let (document, rotation) = try_join(
        cx.read("kms", "GetKeyPolicy", || kms.get_key_policy().key_id(id).policy_name("default").send()),
        cx.read("kms", "GetKeyRotationStatus", || kms.get_key_rotation_status().key_id(id).send()),
    )
    .await?;
    let mut reading = Reading::default();
    let properties = Key {
        description: reading.text("description", key.description()),
        rotation: rotation.key_rotation_enabled(),
        policy: reading.value("policy", document.policy().map(policy::parse).transpose()?),
        // `enabled()` is also false in the states that lead to Enabled, in which EnableKey is refused.
        enabled: reading.value("enabled", key.key_state().map(|state| *state != KeyState::Disabled)),
        pending_deletion: reading.value("pending_deletion", key.key_state().map(|_| is_deleted(key))),
    };
    let phase = match key.key_state() {
        None | Some(KeyState::Enabled | KeyState::Disabled | KeyState::PendingDeletion) => Phase::Ready,
        Some(state) => Phase::Pending(state.as_str().to_owned()),
    };
    let live = live(&cx.scope, id, phase, &reading.of(properties), Some(tags.clone()));
    Ok(live.with_arn(key.arn().unwrap_or_default()))
}

/// Every key with this stack's tags, in any state. It takes a call for each key of the account in the Region.
async fn all_ours(cx: &Context) -> Result<Vec<(String, TagMap)>, Failure> {
    let kms = &cx.clients().kms;
    let keys = cx.pages("kms", "ListKeys", || kms.list_keys().limit(1000).into_paginator().items().send()).await?;
    let calls: Vec<_> = keys.into_iter().filter_map(|key| key.key_id).map(|id| labelled(cx, id)).collect();
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(8).collect().await;
    let mut ours = Vec::new();
    for (id, answer) in answers {
        match answer {
            Ok(tags) if cx.scope.is_ours(&tags) => ours.push((id, tags)),
            Ok(_) => {}
            Err(failure) if failure.class == Class::NotFound => {}
            // A key whose tags cannot be read is not ours: our keys let the account read them. AWS's own key for ACM hides them
            // from everyone: https://github.com/prowler-cloud/prowler/issues/2467
            Err(failure) if failure.code.as_deref() == Some("AccessDeniedException") => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(ours)
}

async fn labelled(cx: &Context, id: String) -> (String, Result<TagMap, Failure>) {
    let tags = tags_of(cx, &id).await;
    (id, tags)
}

/// A key that this node had before. Of several, one that was not deleted, else the one that was deleted last: it encrypts the
/// newest data.
async fn left_over(cx: &Context, wanted: &TagMap) -> Result<Option<KeyMetadata>, Failure> {
    let mut keys = Vec::new();
    for (id, tags) in all_ours(cx).await? {
        if tags.get(NODE) == wanted.get(NODE) {
            keys.extend(describe(cx, &id).await?);
        }
    }
    Ok(keys.into_iter().max_by_key(|key| (!is_deleted(key), key.deletion_date().map(DateTime::secs))))
}
