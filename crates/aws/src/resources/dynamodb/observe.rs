//! A live table, in the shape that is compared.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, BillingModeSummary, KeyType, ScalarAttributeType, SseDescription,
    StreamSpecification, StreamViewType, TableDescription, TableStatus,
};
use futures::future::try_join4;
use serde_json::Value;

use super::replica::{self, Replica, Seen};
use super::table::Table;
use super::{arn, settings, tags_of};
use crate::TagMap;
use crate::resources::{Context, Failure, Live, Phase, Readable, Reading, Ref, live};
use drctl_engine::TAGS;

/// What cannot be read of a table that is being created or deleted: it takes calls that AWS refuses then, or may not show yet.
const UNSETTLED: [&str; 6] = ["billing_mode", "stream_view", "kms_key", "ttl_attribute", "recovery_days", "replica"];

/// The properties that the description alone holds.
fn from_described(table: &TableDescription, reading: &mut Reading) -> Table {
    let billing_mode = table.billing_mode_summary().and_then(BillingModeSummary::billing_mode);
    let stream = table.stream_specification().filter(|stream| stream.stream_enabled());
    Table {
        name: table.table_name().unwrap_or_default().to_owned(),
        // A description without a key says nothing about it, and does not replace the table.
        hash_key: reading.text("hash_key", Some(key_of(table).as_str()).filter(|key| !key.is_empty())),
        // AWS leaves the summary out of a table that was never switched to on-demand capacity.
        // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BillingModeSummary.html
        billing_mode: billing_mode.unwrap_or(&BillingMode::Provisioned).as_str().to_owned(),
        // If these are left out, the table has no stream, and is encrypted with a key of DynamoDB's own.
        stream_view: stream
            .and_then(StreamSpecification::stream_view_type)
            .map_or("", StreamViewType::as_str)
            .to_owned(),
        kms_key: Ref::known(table.sse_description().and_then(SseDescription::kms_master_key_arn).unwrap_or_default()),
        ttl_attribute: String::new(),
        recovery_days: 0,
        deletion_protection: table.deletion_protection_enabled(),
        replica: Replica::none(),
        replica_deletion_protection: None,
    }
}

/// The key attribute; of a key of another kind than drctl's, the whole key, so that it differs from every name.
fn key_of(table: &TableDescription) -> String {
    let keys: Vec<String> = table
        .key_schema()
        .iter()
        .map(|key| {
            let name = key.attribute_name();
            let definition = table.attribute_definitions().iter().find(|known| known.attribute_name() == name);
            match (key.key_type(), definition.map(AttributeDefinition::attribute_type)) {
                (KeyType::Hash, None | Some(ScalarAttributeType::S)) => name.to_owned(),
                (kind, of) => format!("{name} ({kind}, {})", of.unwrap_or(&ScalarAttributeType::S)),
            }
        })
        .collect();
    keys.join(" + ")
}

/// A table that is being created or deleted. Apart from its name and its key, nothing is compared.
pub(super) fn unsettled(cx: &Context, table: &TableDescription, phase: Phase, tags: TagMap) -> Live {
    let mut reading = Reading::default();
    let properties = Table { deletion_protection: None, ..from_described(table, &mut reading) };
    for property in UNSETTLED {
        reading.is_unreadable(property);
    }
    base(cx, table, phase, &reading.of(properties), tags)
}

/// A table that exists, in its own Region and in its replica's.
pub(super) async fn settled(cx: &Context, table: &TableDescription) -> Result<Live, Failure> {
    let name = table.table_name().unwrap_or_default();
    let (days, ttl, tags, seen) = try_join4(
        settings::recovery_days(cx, name),
        settings::ttl_attribute(cx, name),
        tags_of(cx, name),
        replica::observe(cx, table),
    )
    .await?;
    let phase = match (table.table_status().and_then(out_of_use), &seen) {
        (Some(phase), _) => phase,
        (None, Seen::Unsettled(phase)) => phase.clone(),
        // In a state, too, that AWS has added since: it was read like any other.
        (None, Seen::None | Seen::There { .. }) => Phase::Ready,
    };
    let mut reading = Reading::default();
    let mut properties = from_described(table, &mut reading);
    properties.recovery_days = reading.value("recovery_days", days);
    properties.ttl_attribute = reading.value("ttl_attribute", ttl);
    let mut there = None;
    match seen {
        Seen::There { replica, protection, tags } => {
            there = Some((arn(&cx.at(&replica.region), name), tags));
            properties.replica = replica;
            properties.replica_deletion_protection = protection;
        }
        Seen::Unsettled(_) => reading.is_unreadable("replica"),
        Seen::None => {}
    }
    let mut found = base(cx, table, phase, &reading.of(properties), tags);
    if let Some((replica_arn, replica_tags)) = there {
        if let Some(tags) = found.properties.get_mut(TAGS) {
            as_in_both(tags, &replica_tags);
        }
        found = found.with_output("replica_arn", replica_arn);
    }
    Ok(found)
}

/// What it means that a table is in this state, in which it cannot be read or changed, apart from its creation and deletion. A
/// table that has lost its key has not failed: it works again once the key does. An archived one does not: its data are in a
/// backup. See docs/aws-behaviour.md#replica-loses-its-key and docs/aws-behaviour.md#table-statuses.
pub(super) fn out_of_use(status: &TableStatus) -> Option<Phase> {
    Some(match status {
        TableStatus::InaccessibleEncryptionCredentials => Phase::Stalled(format!(
            "{status}: it is cut off from its key; enable the key, or after 20 hours its replica is no longer a replica"
        )),
        TableStatus::ReplicationNotAuthorized => {
            Phase::Stalled(format!("{status}: its replication is no longer permitted"))
        }
        TableStatus::Archiving | TableStatus::Archived => Phase::Failed(format!(
            "{status}: its key could not be used for a week; its data are in the backup that DynamoDB made of it, to be restored"
        )),
        _ => return None,
    })
}

fn base(cx: &Context, table: &TableDescription, phase: Phase, read: &Readable<Table>, tags: TagMap) -> Live {
    let name = table.table_name().unwrap_or_default();
    let found = live(&cx.scope, name, phase, read, Some(tags)).with_arn(arn(cx, name));
    match table.latest_stream_arn() {
        Some(stream) => found.with_output("stream_arn", stream),
        None => found,
    }
}

/// Replaces the value of each tag by the replica's where the two differ: a tag differs from the desired one until both have it.
fn as_in_both(tags: &mut Value, there: &TagMap) {
    let Value::Object(tags) = tags else { return };
    tags.retain(|key, value| match there.get(key) {
        Some(other) => {
            *value = Value::String(other.clone());
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::KeySchemaElement;
    use serde_json::json;

    use super::*;
    use crate::{Aws, Scope};

    fn described(keys: &[(&str, KeyType, ScalarAttributeType)]) -> TableDescription {
        let mut table = TableDescription::builder();
        for (name, kind, of) in keys {
            let key = KeySchemaElement::builder().attribute_name(*name).key_type(kind.clone());
            let attribute = AttributeDefinition::builder().attribute_name(*name).attribute_type(of.clone());
            table = table
                .key_schema(key.build().expect("complete"))
                .attribute_definitions(attribute.build().expect("complete"));
        }
        table.build()
    }

    #[test]
    fn a_key_of_another_kind_differs_from_every_name() {
        assert_eq!(key_of(&described(&[("id", KeyType::Hash, ScalarAttributeType::S)])), "id");
        assert_eq!(key_of(&described(&[("id", KeyType::Hash, ScalarAttributeType::N)])), "id (HASH, N)");
        let two = [("id", KeyType::Hash, ScalarAttributeType::S), ("at", KeyType::Range, ScalarAttributeType::S)];
        assert_eq!(key_of(&described(&two)), "id + at (RANGE, S)");
    }

    #[tokio::test]
    async fn a_description_without_a_key_does_not_replace_the_table() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "1".repeat(12) };
        let cx = Context::new(
            Aws::unreached().await.into(),
            "us-east-1".into(),
            scope.into(),
            crate::resources::Disposal::default(),
        );
        let table = TableDescription::builder().table_name("t").build();
        let mut reading = Reading::default();
        let properties = from_described(&table, &mut reading);
        let found = base(&cx, &table, Phase::Ready, &reading.of(properties), TagMap::new());
        assert!(!found.properties.contains_key("hash_key"), "{:?}", found.properties);
        let coming = unsettled(&cx, &table, Phase::Pending("CREATING".into()), TagMap::new());
        assert_eq!(coming.properties.keys().collect::<Vec<_>>(), ["name", "tags"]);
    }

    #[test]
    fn only_known_states_put_a_table_out_of_use() {
        for status in ["ARCHIVED", "ARCHIVING"] {
            let Some(Phase::Failed(why)) = out_of_use(&TableStatus::from(status)) else { panic!("{status}") };
            assert!(why.starts_with(&format!("{status}: ")), "{why}");
        }
        for status in ["INACCESSIBLE_ENCRYPTION_CREDENTIALS", "REPLICATION_NOT_AUTHORIZED"] {
            let Some(Phase::Stalled(why)) = out_of_use(&TableStatus::from(status)) else { panic!("{status}") };
            assert!(why.starts_with(&format!("{status}: ")), "{why}");
        }
        for status in ["ACTIVE", "UPDATING", "ADDED_BY_AWS_LATER"] {
            assert_eq!(out_of_use(&TableStatus::from(status)), None, "{status}");
        }
    }

    #[test]
    fn a_description_without_details_is_of_a_plain_table() {
        let plain = |table: &TableDescription| from_described(table, &mut Reading::default());
        let table = plain(&TableDescription::builder().table_name("t").build());
        assert_eq!((table.billing_mode.as_str(), table.stream_view.as_str()), ("PROVISIONED", ""));
        assert_eq!((table.kms_key.value(), table.deletion_protection), ("", None));
        let off = StreamSpecification::builder()
            .stream_enabled(false)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build()
            .expect("complete");
        assert_eq!(plain(&TableDescription::builder().stream_specification(off).build()).stream_view, "");
    }

    #[test]
    fn a_tag_that_the_replica_lacks_is_missing() {
        let mut tags = json!({"Name": "n", "drctl:stack": "s", "theirs": "t"});
        as_in_both(&mut tags, &TagMap::from([("Name".into(), "other".into()), ("drctl:stack".into(), "s".into())]));
        assert_eq!(tags, json!({"Name": "other", "drctl:stack": "s"}));
    }

    #[test]
    fn a_replica_is_compared_as_a_whole() {
        let replica = Replica {
            region: "us-east-2".into(),
            kms_key: Ref::known("arn:aws:kms:us-east-2:123456789012:key/1"),
            recovery_days: 35,
        };
        let key = replica.kms_key.value().to_owned();
        let plain = from_described(&TableDescription::builder().build(), &mut Reading::default());
        let table = Table { replica, ..plain };
        let value = serde_json::to_value(&table).expect("a plain struct");
        assert_eq!(value["replica"]["kms_key"], key);
        assert_eq!(serde_json::from_value::<Table>(value).expect("its own form"), table);
    }
}
