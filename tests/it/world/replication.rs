//! Replication that takes time: tables, buckets, and secrets, between Regions that may not be connected.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CreateReplicationGroupMemberAction, KeySchemaElement, KeyType,
    ReplicationGroupUpdate, ScalarAttributeType,
};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, DeleteMarkerReplication,
    DeleteMarkerReplicationStatus, Destination, ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter,
    ReplicationRuleStatus, VersioningConfiguration,
};
use aws_sdk_secretsmanager::types::ReplicaRegionType;
use serde_json::json;

use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";
const TABLE: &str = "sessions";

/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A global table.
struct Table {
    home: aws_sdk_dynamodb::Client,
    standby: aws_sdk_dynamodb::Client,
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

impl Table {
    async fn new(stack: &Stack) -> Self {
        let home = aws_sdk_dynamodb::Client::new(&stack.sdk(PRIMARY).await);
        let standby = aws_sdk_dynamodb::Client::new(&stack.sdk(SECONDARY).await);
        let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().expect("a key");
        let attribute =
            AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build();
        let create = home.create_table().table_name(TABLE).key_schema(key).billing_mode(BillingMode::PayPerRequest);
        create.attribute_definitions(attribute.expect("an attribute")).send().await.expect("created");
        let table = Self { home, standby };
        Self::put(&table.home, "before", "0").await;
        let replica = CreateReplicationGroupMemberAction::builder().region_name(SECONDARY).build().expect("a replica");
        let update = ReplicationGroupUpdate::builder().create(replica).build();
        table.home.update_table().table_name(TABLE).replica_updates(update).send().await.expect("updated");
        table
    }

    async fn put(region: &aws_sdk_dynamodb::Client, key: &str, value: &str) {
        let put = region.put_item().table_name(TABLE).item("pk", text(key)).item("value", text(value));
        put.send().await.expect("put");
    }

    async fn delete(region: &aws_sdk_dynamodb::Client, key: &str) {
        region.delete_item().table_name(TABLE).key("pk", text(key)).send().await.expect("deleted");
    }

    async fn get(region: &aws_sdk_dynamodb::Client, key: &str) -> Option<String> {
        let get = region.get_item().table_name(TABLE).key("pk", text(key)).consistent_read(true);
        let item = get.send().await.expect("read").item?;
        item["value"].as_s().ok().cloned()
    }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_at_home_and_arrives_in_the_standby_after_the_lag() {
    let stack = Stack::new();
    let table = Table::new(&stack).await;
    assert_eq!(Table::get(&table.standby, "before").await.as_deref(), Some("0"), "a new replica has the items");
    Table::put(&table.home, "at once", "1").await;
    assert_eq!(Table::get(&table.standby, "at once").await.as_deref(), Some("1"), "the instant pace has no lag");

    stack.lags(&json!({"dynamodb": {"lag": 2}}));
    let began = Instant::now();
    Table::put(&table.home, "late", "1").await;
    assert_eq!(Table::get(&table.home, "late").await.as_deref(), Some("1"));
    assert_eq!(Table::get(&table.standby, "late").await, None);
    let conditional = table.standby.put_item().table_name(TABLE).item("pk", text("late")).item("value", text("2"));
    let accepted = conditional.condition_expression("attribute_not_exists(pk)").send().await;
    assert!(accepted.is_ok(), "a condition is judged by what has arrived: {accepted:?}");
    until("the later write is in both", async || Table::get(&table.home, "late").await.as_deref() == Some("2")).await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(Table::get(&table.standby, "late").await.as_deref(), Some("2"), "the earlier one was not applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn isolated_regions_diverge_and_converge_by_the_last_writer() {
    let stack = Stack::new();
    let table = Table::new(&stack).await;
    for key in ["changed", "deleted"] {
        Table::put(&table.home, key, "0").await;
    }
    stack.regions(&json!({PRIMARY: {"is": "isolated"}}));
    Table::put(&table.home, "changed", "home").await;
    Table::put(&table.standby, "changed", "standby").await;
    Table::put(&table.standby, "deleted", "standby").await;
    Table::delete(&table.home, "deleted").await;
    Table::put(&table.home, "new", "home").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(Table::get(&table.home, "changed").await.as_deref(), Some("home"));
    assert_eq!(Table::get(&table.standby, "changed").await.as_deref(), Some("standby"));
    assert_eq!(Table::get(&table.standby, "new").await, None);

    stack.regions(&json!({PRIMARY: {"is": "up"}}));
    until("all has arrived", async || Table::get(&table.standby, "new").await.is_some()).await;
    until("the other direction, too", async || Table::get(&table.home, "changed").await.as_deref() == Some("standby"))
        .await;
    for region in [&table.home, &table.standby] {
        assert_eq!(Table::get(region, "changed").await.as_deref(), Some("standby"));
        assert_eq!(Table::get(region, "deleted").await, None, "the deletion came last");
        assert_eq!(Table::get(region, "new").await.as_deref(), Some("home"));
    }
}

async fn bucket(client: &aws_sdk_s3::Client, name: &str, region: &str) {
    let create = client.create_bucket().bucket(name);
    let create = if region == PRIMARY {
        create
    } else {
        let there = BucketLocationConstraint::from(region);
        create.create_bucket_configuration(CreateBucketConfiguration::builder().location_constraint(there).build())
    };
    create.send().await.expect("created");
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await.expect("versioned");
}

async fn replicate(client: &aws_sdk_s3::Client, account: &str, from: &str, to: &str) {
    let markers = DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Enabled).build();
    let destination = Destination::builder().bucket(format!("arn:aws:s3:::{to}")).build().expect("a destination");
    let rule = ReplicationRule::builder()
        .id("all")
        .priority(1)
        .status(ReplicationRuleStatus::Enabled)
        .filter(ReplicationRuleFilter::builder().prefix("receipts/").build())
        .delete_marker_replication(markers)
        .destination(destination)
        .build()
        .expect("a rule");
    let role = format!("arn:aws:iam::{account}:role/any");
    let rules = ReplicationConfiguration::builder().role(role).rules(rule).build().expect("a configuration");
    client.put_bucket_replication().bucket(from).replication_configuration(rules).send().await.expect("replicated");
}

async fn status(client: &aws_sdk_s3::Client, bucket: &str, key: &str) -> Option<String> {
    let head = client.head_object().bucket(bucket).key(key).send().await.ok()?;
    Some(head.replication_status().map_or_else(String::new, |status| status.as_str().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_pending_until_its_replica_exists_and_a_replica_is_not_replicated() {
    let stack = Stack::new();
    let (home, standby) = (stack.s3(PRIMARY).await, stack.s3(SECONDARY).await);
    let names = [PRIMARY, SECONDARY].map(|region| format!("receipts-{}-{region}", stack.account));
    let [here, there] = &names;
    bucket(&home, here, PRIMARY).await;
    bucket(&standby, there, SECONDARY).await;
    replicate(&home, &stack.account, here, there).await;
    replicate(&standby, &stack.account, there, here).await;
    stack.lags(&json!({"s3": {"lag": 2}}));
    for key in ["receipts/1", "other/1"] {
        let put = home.put_object().bucket(here).key(key).body(b"paid".to_vec().into()).metadata("payment", "1");
        put.send().await.expect("put");
    }
    assert_eq!(status(&home, here, "receipts/1").await.as_deref(), Some("PENDING"));
    assert_eq!(status(&standby, there, "receipts/1").await, None);
    until("the object is replicated", async || status(&home, here, "receipts/1").await.as_deref() == Some("COMPLETED"))
        .await;
    let replica = standby.get_object().bucket(there).key("receipts/1").send().await.expect("a replica");
    assert_eq!(replica.replication_status().map(aws_sdk_s3::types::ReplicationStatus::as_str), Some("REPLICA"));
    assert_eq!(replica.metadata().and_then(|metadata| metadata.get("payment")).map(String::as_str), Some("1"));
    assert_eq!(status(&home, here, "other/1").await.as_deref(), Some(""), "no rule is for it");
    assert_eq!(status(&standby, there, "other/1").await, None);
    let state = stack.lags(&json!({"s3": {"lag": 0}}));
    assert_eq!(state["pending"], json!([]), "a replica is not replicated");

    home.delete_object().bucket(here).key("receipts/1").send().await.expect("deleted");
    assert_eq!(status(&standby, there, "receipts/1").await, None, "the marker is replicated");
    let versions = standby.list_object_versions().bucket(there).send().await.expect("listed");
    assert_eq!((versions.versions().len(), versions.delete_markers().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_the_standby_when_its_replica_is_in_sync() {
    let stack = Stack::new();
    let home = aws_sdk_secretsmanager::Client::new(&stack.sdk(PRIMARY).await);
    let standby = aws_sdk_secretsmanager::Client::new(&stack.sdk(SECONDARY).await);
    stack.lags(&json!({"secretsmanager": {"lag": 2}}));
    standby.create_secret().name("taken").secret_string("other").send().await.expect("created");
    let replica = ReplicaRegionType::builder().region(SECONDARY).build();
    for name in ["secret", "taken"] {
        let create = home.create_secret().name(name).secret_string("1").add_replica_regions(replica.clone());
        create.send().await.expect("created");
    }
    let status = async |name: &str| {
        let secret = home.describe_secret().secret_id(name).send().await.expect("described");
        secret.replication_status()[0].status().map(|status| status.as_str().to_owned()).unwrap_or_default()
    };
    let value = async |name: &str| {
        let value = standby.get_secret_value().secret_id(name).send().await.ok()?;
        value.secret_string
    };
    assert_eq!((status("secret").await.as_str(), value("secret").await), ("InProgress", None));
    until("the replica is in sync", async || status("secret").await == "InSync").await;
    assert_eq!(value("secret").await.as_deref(), Some("1"));
    home.put_secret_value().secret_id("secret").secret_string("2").send().await.expect("changed");
    assert_eq!(value("secret").await.as_deref(), Some("1"));
    until("the new value is there", async || value("secret").await.as_deref() == Some("2")).await;
    assert_eq!((status("taken").await.as_str(), value("taken").await.as_deref()), ("Failed", Some("other")));
}

#[test]
fn a_lag_is_set_on_the_command_line() {
    let stack = Stack::new();
    stack.run(&["sandbox", "start"]).exits(0);
    stack.run(&["sandbox", "lag"]).exits(0).says("dynamodb: 0.000 s").says("Nothing is on its way.");
    stack.run(&["sandbox", "lag", "s3", "1500ms"]).exits(0).says("s3: 1.500 s, as ordered");
    let shown = stack.run(&["sandbox", "lag", "s3", "usual", "--json"]).exits(0).json();
    assert_eq!(shown["replication"]["lags"]["s3"], json!({"lag": 0.0, "ordered": false}));
    stack.run(&["sandbox", "lag", "sqs", "1s"]).exits(1).says("`sqs` does not replicate here");
    stack.run(&["sandbox", "stop"]).exits(0);
}
