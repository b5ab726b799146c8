//! `dynamodb_table`: a table, with its replica in another Region.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, SseSpecification, SseType,
    StreamSpecification, StreamViewType, TableStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::observe::{out_of_use, settled, unsettled};
use super::replica::{self, Replica};
use super::stake::stake;
use super::{describe, malformed, settings, tags, tags_of};
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::kms::Key;
use crate::resources::permissions::{Grant, key, later, on};
use crate::resources::{
    AlsoDeleted, Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Ref, Resource, Synced, Tagging,
    TypeInfo, Weight, changed, protection, read_named,
};

/// A table whose items have one key attribute, a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, the same in every Region. Immutable: forces replacement.
    pub name: String,
    /// The attribute that is an item's key, a string. Immutable: forces replacement.
    pub hash_key: String,
    /// How use is paid for: `PAY_PER_REQUEST`. In-place.
    pub billing_mode: String,
    /// What its stream holds of a change: `NEW_AND_OLD_IMAGES`, as replication needs; empty for no stream. In-place.
    pub stream_view: String,
    /// The key that encrypts the items. It cannot be changed while there is a replica
    /// (docs/aws-behaviour.md#replica-key-is-fixed). In-place.
    pub kms_key: Ref<Arn<Key>>,
    /// The attribute that says when an item expires, in seconds since 1970; empty for none. DynamoDB accepts one change an
    /// hour. In-place.
    pub ttl_attribute: String,
    /// How many days back it can be restored to, 1 to 35; 0 switches that off. In-place.
    pub recovery_days: i32,
    /// Whether it is protected against deletion; `None` leaves that as it is. In-place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// Its replica in another Region. In-place.
    pub replica: Replica,
    /// Whether the replica is protected against deletion, which each Region has of its own; `None` leaves that as it is. In-place.
    /// See docs/aws-behaviour.md#replica-settings-are-regional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_deletion_protection: Option<bool>,
}

impl Resource for Table {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("name", "a table cannot be renamed"),
            ("hash_key", "the key attribute of a table cannot be changed"),
        ],
        // It takes no token, and the tags of a new table appear late: an attempt needs time to be recognised.
        idempotent_create: false,
        // See docs/aws-behaviour.md#one-table-change-at-a-time.
        patience: Duration::from_mins(30),
        holds_data: true,
        ..TypeInfo::usual("dynamodb_table")
    };
    const SERVICE: &'static str = "dynamodb";
    const LATENCIES: &'static [Latencies] = &[
        // "DDB table (on-demand)", "DDB replica, empty table", and twice "DDB PITR / TTL / tags". The deletion includes the 10 to
        // 35 s during which the replica's Region still knows the replica.
        Latencies::of(
            5,
            Latency::of_steps(
                [22.0, 48.0, 170.0],
                &[
                    step("CreateTable", 1, 0.5, 9.5),
                    step("UpdateTable", 1, 0.5, 27.5),
                    step("UpdateContinuousBackups", 2, 3.0, 0.0),
                    step("UpdateTimeToLive", 1, 1.0, 3.0),
                ],
            ),
            Latency::of_steps(
                [110.0, 245.0, 885.0],
                &[step("UpdateTable", 1, 0.5, 229.5), step("DeleteTable", 1, 0.5, 14.5)],
            ),
        ),
    ];
    const UPDATE_SECONDS: f64 = 28.0;
    // Replication copies items as the caller of the first call:
    // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-security.html. The keys, on the
    // caller's behalf: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:dynamodb:{region}:{account}:table/{own}"],
            "dynamodb",
            "BatchWriteItem CreateTable CreateTableReplica DeleteItem DescribeContinuousBackups DescribeTable \
                 DescribeTimeToLive GetItem ListTagsOfResource PutItem Query Scan TagResource UpdateContinuousBackups \
                 UpdateItem UpdateTable UpdateTimeToLive",
        ),
        later(&["arn:aws:dynamodb:{region}:{account}:table/{own}"], "dynamodb", "DeleteTable DeleteTableReplica"),
        key(
            &[("kms:ViaService", "dynamodb.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
            "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey ReEncryptFrom ReEncryptTo",
        ),
    ];
    const TAGGING: Tagging = Tagging::DynamoDb;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Empty: `ListTables` returns the names of the whole account. Each table is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let dynamodb = &cx.clients().dynamodb;
        let names =
            cx.pages("dynamodb", "ListTables", || dynamodb.list_tables().into_paginator().items().send()).await?;
        read_named::<Self>(cx, names).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let Some(table) = describe(cx, id).await? else { return Ok(None) };
        match table.table_status() {
            // AWS refuses every other call about it, even for its tags.
            Some(TableStatus::Deleting) => {
                let phase = Phase::Deleting(TableStatus::Deleting.as_str().to_owned());
                Ok(Some(unsettled(cx, &table, phase, TagMap::new())))
            }
            Some(TableStatus::Creating) => {
                let tags = tags_of(cx, id).await?;
                // It cannot be distinguished yet from a table that is not this stack's.
                // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TagResource.html
                if tags.is_empty() {
                    return Ok(None);
                }
                let phase = Phase::Pending(TableStatus::Creating.as_str().to_owned());
                Ok(Some(unsettled(cx, &table, phase, tags)))
            }
            _ => settled(cx, &table).await.map(Some),
        }
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let key = KeySchemaElement::builder().attribute_name(&self.hash_key).key_type(KeyType::Hash);
        let attribute =
            AttributeDefinition::builder().attribute_name(&self.hash_key).attribute_type(ScalarAttributeType::S);
        let call = cx
            .clients()
            .dynamodb
            .create_table()
            .table_name(&self.name)
            .key_schema(key.build().map_err(malformed)?)
            .attribute_definitions(attribute.build().map_err(malformed)?)
            .billing_mode(BillingMode::from(self.billing_mode.as_str()))
            .stream_specification(self.stream(!self.stream_view.is_empty())?)
            .sse_specification(self.encryption())
            .set_deletion_protection_enabled(self.deletion_protection)
            .set_tags(Some(tags(&creation.tags)?))
            .send();
        cx.mutate("dynamodb", "CreateTable", call).await?;
        Ok(self.name.clone())
    }

    /// The replica comes first: it takes half a minute while the table is empty, and ten minutes after the first item
    /// (docs/aws-behaviour.md#replica-before-first-item).
    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let id = &live.id;
        let Some(table) = describe(cx, id).await? else { return Ok(Synced::in_progress("it to be visible")) };
        let is_busy = |status: &TableStatus| {
            let at_work = matches!(status, TableStatus::Creating | TableStatus::Updating | TableStatus::Deleting);
            at_work || out_of_use(status).is_some()
        };
        if table.table_status().is_some_and(is_busy) {
            return Ok(Synced::in_progress(replica::at_work(&table)));
        }
        let held = Replica::of(live);
        let replica_differs = changed(changes, "replica");
        if replica_differs && let Some(step) = self.replica.place(cx, &table).await? {
            return Ok(Synced::in_progress(step));
        }
        // A replica that was added since the table was read has yet to be read.
        let replica_differs = replica_differs && held.region == self.replica.region;
        let protect_replica =
            self.replica_deletion_protection.filter(|_| changed(changes, "replica_deletion_protection"));
        if changed(changes, "recovery_days") {
            settings::set_recovery_days(cx, id, self.recovery_days).await?;
        }
        if replica_differs {
            self.replica.sync_recovery(cx, id, &held).await?;
        }
        if changed(changes, "ttl_attribute") {
            let old = live.properties.get("ttl_attribute").and_then(Value::as_str).unwrap_or_default();
            if let Some(step) = settings::set_ttl(cx, id, old, &self.ttl_attribute).await? {
                return Ok(Synced::in_progress(step));
            }
        }
        // From here on each change keeps the table busy: one at a time.
        // See docs/aws-behaviour.md#one-table-change-at-a-time.
        if let Some(property) = OWN.into_iter().find(|property| changed(changes, property)) {
            let step = self.update(cx, live, &held, property).await?;
            let is_last = !replica_differs
                && protect_replica.is_none()
                && OWN.into_iter().filter(|other| changed(changes, other)).count() == 1;
            return Ok(if is_last && step.is_none() {
                Synced::default()
            } else {
                Synced::in_progress(step.unwrap_or("its last change to be finished"))
            });
        }
        if let Some(on) = protect_replica {
            settings::set_deletion_protection(&cx.at(&self.replica.region), id, on).await?;
        }
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        let hindrances = replica::hindrances(cx, live).await?;
        Ok(Weight { stake: stake(cx, live, also).await?, hindrances, kept: None })
    }

    /// First the replica, then the table. Deletion protection is not lifted. Only the last call shows whether the replica's
    /// Region has forgotten it: until then it is refused (docs/aws-behaviour.md#table-was-a-source).
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let id = &live.id;
        let Some(table) = describe(cx, id).await? else { return Ok(Deletion::Requested) };
        match table.table_status() {
            Some(TableStatus::Deleting) => return Ok(Deletion::Requested),
            Some(TableStatus::Creating | TableStatus::Updating) => {
                return Ok(Deletion::NotYet(replica::at_work(&table)));
            }
            _ => {}
        }
        let replicas = replica::to_remove(cx, &table).await?;
        // Before the replica is deleted: otherwise the deletion would stop halfway.
        protection::refuse(live)?;
        replica::refuse_protected(cx, id, &replicas).await?;
        if let Some(replica) = replicas.first() {
            return replica::remove(cx, id, replica).await.map(Deletion::NotYet);
        }
        let call = cx.clients().dynamodb.delete_table().table_name(id).send();
        match cx.mutate("dynamodb", "DeleteTable", call).await {
            Ok(_) => Ok(Deletion::Requested),
            Err(failure) if failure.class == Class::NotYet => {
                Ok(Deletion::NotYet("its replica's Region to forget it".to_owned()))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The properties of the table itself that `UpdateTable` changes.
const OWN: [&str; 4] = ["kms_key", "billing_mode", "stream_view", "deletion_protection"];

impl Table {
    /// Takes the next step towards one of [`OWN`], and says what has to happen before the following step.
    async fn update(
        &self,
        cx: &Context,
        live: &Live,
        held: &Replica,
        property: &str,
    ) -> Result<Option<&'static str>, Failure> {
        let call = cx.clients().dynamodb.update_table().table_name(&live.id);
        let mut step = None;
        let call = match property {
            "kms_key" if !held.region.is_empty() => return Err(replica::key_is_fixed(&live.id, &held.region)),
            "kms_key" => call.sse_specification(self.encryption()),
            "billing_mode" => call.billing_mode(BillingMode::from(self.billing_mode.as_str())),
            "stream_view" => {
                // What a stream holds is decided when it is switched on.
                let is_on = live.properties.get("stream_view").and_then(Value::as_str).is_some_and(|it| !it.is_empty());
                step = (is_on && !self.stream_view.is_empty())
                    .then_some("its stream to be off before it is switched on again");
                call.stream_specification(self.stream(!is_on)?)
            }
            _ => call.set_deletion_protection_enabled(self.deletion_protection),
        };
        cx.mutate("dynamodb", "UpdateTable", call.send()).await?;
        Ok(step)
    }

    fn stream(&self, on: bool) -> Result<StreamSpecification, Failure> {
        let view = on.then(|| StreamViewType::from(self.stream_view.as_str()));
        StreamSpecification::builder().stream_enabled(on).set_stream_view_type(view).build().map_err(malformed)
    }

    fn encryption(&self) -> SseSpecification {
        SseSpecification::builder().enabled(true).sse_type(SseType::Kms).kms_master_key_id(self.kms_key.value()).build()
    }
}
