//! What AWS would refuse halfway is found out before the first call that changes anything, and what something else needs is kept.

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_dynamodb::types::{SseSpecification, SseType};
use aws_sdk_ec2::types::Filter;
use aws_sdk_rds::operation::create_db_cluster::builders::CreateDBClusterFluentBuilder;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};

use drctl_testkit::harness::{Ran, Stack};

use super::orphans::{STATE, changes};

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";
const CLUSTER: &str = "payment-dr-dev-primary";

fn built(configuration: &str) -> Stack {
    let stack = Stack::new();
    if !configuration.is_empty() {
        stack.configure(configuration);
    }
    stack.run(&["up", "--yes"]).exits(0);
    stack
}

/// Runs a command that has to be refused before it changes anything.
#[track_caller]
fn refused(stack: &Stack, args: &[&str]) -> Ran {
    let before = stack.calls().len();
    let ran = stack.run(args).exits(1).says("Nothing was changed");
    let changing: Vec<String> =
        changes(stack, before).into_iter().filter(|name| !name.starts_with("Simulate")).collect();
    assert!(changing.is_empty(), "{changing:?}");
    ran
}

async fn key_of(stack: &Stack, region: &str) -> String {
    let kms = aws_sdk_kms::Client::new(&stack.sdk(region).await);
    let found = kms.describe_key().key_id("alias/payment-dr-dev").send().await.expect("the key");
    found.key_metadata.and_then(|key| key.arn).expect("its ARN")
}

async fn is_enabled(stack: &Stack, region: &str, key: &str) -> bool {
    let kms = aws_sdk_kms::Client::new(&stack.sdk(region).await);
    kms.describe_key().key_id(key).send().await.expect("the key").key_metadata.expect("its metadata").enabled
}

/// A cluster that somebody else has restored, to be completed with what it uses.
fn restored(rds: &aws_sdk_rds::Client) -> CreateDBClusterFluentBuilder {
    rds.create_db_cluster()
        .db_cluster_identifier("restored-payments")
        .engine("aurora-postgresql")
        .master_username("someone")
        .master_user_password("not-a-secret-1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_as_long_as_a_living_database_or_table_needs_it() {
    let stack = built("");
    let (here, there) = (key_of(&stack, PRIMARY).await, key_of(&stack, SECONDARY).await);
    let rds = aws_sdk_rds::Client::new(&stack.sdk(PRIMARY).await);
    restored(&rds).storage_encrypted(true).kms_key_id(&here).send().await.expect("a cluster");
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk(SECONDARY).await);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().expect("complete");
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let encryption = SseSpecification::builder().enabled(true).sse_type(SseType::Kms).kms_master_key_id(&there).build();
    let table = dynamodb
        .create_table()
        .table_name("reports")
        .key_schema(key)
        .attribute_definitions(id.build().expect("complete"))
        .billing_mode(BillingMode::PayPerRequest)
        .sse_specification(encryption);
    table.send().await.expect("a table");

    let ran = stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0).says("2 kept");
    let ran = ran.says("the cluster restored-payments can be read only with it");
    let plan = ran.says("the table reports can be read only with it").says("2 to keep").stdout;
    assert!(plan.contains("· primary/kms_key/main"), "{plan}");
    assert!(is_enabled(&stack, PRIMARY, &here).await && is_enabled(&stack, SECONDARY, &there).await);

    // Nothing but kept keys is left: nothing is lost, and nothing is asked.
    let again = stack.run(&["down", "--environment", "dev"]).exits(0).says("Nothing to delete").stdout;
    assert!(!again.contains("DATA LOSS") && again.contains("restored-payments"), "{again}");
    // A command that can be pasted repeats the options.
    let words = again.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("then run `drctl down --environment dev` again"), "{again}");
    rds.delete_db_cluster()
        .db_cluster_identifier("restored-payments")
        .skip_final_snapshot(true)
        .send()
        .await
        .expect("ok");
    dynamodb.delete_table().table_name("reports").send().await.expect("deleted");
    stack.run(&["down", "--yes"]).exits(0).says("2 destroyed");
}

/// The backup of the sessions table, which is deleted, is what somebody has made to keep its items.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_as_long_as_a_backup_or_a_secret_needs_it() {
    let stack = built("");
    let (here, there) = (key_of(&stack, PRIMARY).await, key_of(&stack, SECONDARY).await);
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk(PRIMARY).await);
    let table = dynamodb.list_tables().send().await.expect("listed").table_names()[0].clone();
    let backup = dynamodb.create_backup().table_name(&table).backup_name("before-down").send().await.expect("a backup");
    let backup = backup.backup_details.expect("its details").backup_arn;

    // Secrets Manager shows the key as it was given.
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.sdk(SECONDARY).await);
    let secret = secrets.create_secret().name("reports").secret_string("-").kms_key_id("alias/payment-dr-dev");
    secret.send().await.expect("a secret");

    let ran = stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0).says("2 kept");
    let ran = ran.says("the backup before-down can be read only with it");
    let plan = ran.says("the secret reports can be read only with it").stdout;
    let words = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("but its key is deleted in 7 days unless something else needs it"), "{plan}");
    assert!(is_enabled(&stack, PRIMARY, &here).await && is_enabled(&stack, SECONDARY, &there).await);
    dynamodb.delete_backup().backup_arn(backup).send().await.expect("deleted");
    secrets.delete_secret().secret_id("reports").send().await.expect("deleted");
    stack.run(&["down", "--yes"]).exits(0).says("2 destroyed");
}

/// The cluster of the stack that the state has lost is still under the key, and in the subnet group.
#[test]
fn a_cluster_that_is_no_longer_on_record_is_in_the_way_and_named() {
    let stack = built("");
    stack.run(&["state", "rm", "secondary/db_cluster/main", "--yes"]).exits(0);
    let ran = refused(&stack, &["down", "--yes"]);
    ran.says("the cluster payment-dr-dev-secondary in us-east-2 uses the subnet group").says("`drctl orphans`");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_protection_is_never_lifted_by_a_deletion() {
    let stack = built("");
    let rds = aws_sdk_rds::Client::new(&stack.sdk(PRIMARY).await);
    let protect = |on| rds.modify_db_cluster().db_cluster_identifier(CLUSTER).deletion_protection(on).send();
    protect(true).await.expect("protected");
    // It is not drctl's, so it is no difference either.
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let ran =
        refused(&stack, &["down", "--yes"]).says("payment-dr-dev-primary in us-east-1 is protected against deletion");
    ran.says("aws rds modify-db-cluster --db-cluster-identifier payment-dr-dev-primary --no-deletion-protection");
    protect(false).await.expect("unprotected");

    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk(SECONDARY).await);
    let table = dynamodb.list_tables().send().await.expect("listed").table_names()[0].clone();
    let protect = |on| dynamodb.update_table().table_name(&table).deletion_protection_enabled(on).send();
    protect(true).await.expect("protected");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    refused(&stack, &["down", "--yes"]).says(&format!("{table} in us-east-2 is protected against deletion"));
    protect(false).await.expect("unprotected");

    let globals =
        |on| rds.modify_global_cluster().global_cluster_identifier("payment-dr-dev").deletion_protection(on).send();
    globals(true).await.expect("protected");
    refused(&stack, &["down", "--yes"]).says("--global-cluster-identifier payment-dr-dev --no-deletion-protection");
    // The same when the state is lost: then everything is an orphan.
    std::fs::remove_file(stack.path(STATE)).expect("the state is lost");
    refused(&stack, &["orphans", "--delete", "--yes", "--empty-buckets"]).says("payment-dr-dev in");
    stack.run(&["orphans", "--adopt"]).exits(0);
    // The state does not know whose it is any more, so `up` does not lift it.
    stack.run(&["up", "--yes"]).exits(0);
    refused(&stack, &["down", "--yes"]).says("--global-cluster-identifier payment-dr-dev --no-deletion-protection");
    globals(false).await.expect("unprotected");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_foreign_resources_would_stop_halfway_is_not_begun() {
    let stack = built("");
    let route53 = aws_sdk_route53::Client::new(&stack.sdk(PRIMARY).await);
    let zones = route53.list_hosted_zones().send().await.expect("listed");
    let zone = zones.hosted_zones().iter().find(|zone| zone.name().starts_with("payment-dr-dev")).expect("the zone");
    let record = ResourceRecordSet::builder().name(format!("mail.{}", zone.name())).r#type(RrType::Txt).ttl(60);
    let value = ResourceRecord::builder().value("\"x\"").build().expect("complete");
    let record = record.resource_records(value).build().expect("complete");
    let change = |action| {
        let change = Change::builder().action(action).resource_record_set(record.clone()).build().expect("complete");
        let batch = ChangeBatch::builder().changes(change).build().expect("complete");
        route53.change_resource_record_sets().hosted_zone_id(zone.id()).change_batch(batch).send()
    };
    change(ChangeAction::Create).await.expect("created");
    stack.configure("[dns]\ndomain = \"other.example.com\"\n");
    let ran = refused(&stack, &["up", "--yes"]).says("mail.payment-dr-dev").says("TXT");
    ran.says("other name servers, which the parent domain has to delegate to");
    stack.run(&["plan"]).exits(1).says("mail.payment-dr-dev");
    stack.configure("");
    refused(&stack, &["down", "--yes"]).says("mail.payment-dr-dev");
    change(ChangeAction::Delete).await.expect("deleted");

    let ec2 = aws_sdk_ec2::Client::new(&stack.sdk(SECONDARY).await);
    let filter = Filter::builder().name("tag:drctl:node").values("secondary/subnet/public-a").build();
    let subnets = ec2.describe_subnets().filters(filter).send().await.expect("subnets");
    let subnet = subnets.subnets()[0].subnet_id().expect("an id");
    let run = ec2.run_instances().image_id("ami-1").min_count(1).max_count(1).subnet_id(subnet);
    let instance = run.send().await.expect("an instance").instances()[0].instance_id().expect("an id").to_owned();
    stack.configure("[network]\nsecondary_cidr = \"10.2.0.0/16\"\n");
    let replace = ["up", "--yes", "--replace", "secondary/db_cluster/main", "--replace", "secondary/db_instance/main"];
    refused(&stack, &replace).says(&format!("of instance {instance}"));
    // Reverting the edit leaves nothing to do.
    stack.configure("");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_snapshot_that_cannot_be_made_is_foreseen() {
    let stack = built("");
    let key = key_of(&stack, PRIMARY).await;
    let kms = aws_sdk_kms::Client::new(&stack.sdk(PRIMARY).await);
    kms.disable_key().key_id(&key).send().await.expect("disabled");
    let ran = refused(&stack, &["down", "--yes"]).says(&format!("needs the key {key}, which is disabled"));
    ran.says("aws kms enable-key").says("--no-final-snapshot");
    kms.enable_key().key_id(&key).send().await.expect("enabled");
    kms.schedule_key_deletion().key_id(&key).pending_window_in_days(7).send().await.expect("scheduled");
    let ran = refused(&stack, &["down", "--yes"]).says("which is scheduled for deletion");
    ran.says("aws kms cancel-key-deletion").says("aws kms enable-key");
    kms.cancel_key_deletion().key_id(&key).send().await.expect("taken back");
    kms.enable_key().key_id(&key).send().await.expect("enabled");

    stack.faults(&format!("[[fault]]\ndoes = \"state\"\nresource = \"{CLUSTER}\"\nstate = \"failed\"\n"));
    refused(&stack, &["down", "--yes"]).says(&format!("{CLUSTER} is failed")).says("--no-final-snapshot");
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_groups_and_roles_are_named_before_the_first_deletion() {
    let stack = built("");
    let rds = aws_sdk_rds::Client::new(&stack.sdk(PRIMARY).await);
    let clusters = rds.describe_db_clusters().db_cluster_identifier(CLUSTER).send().await.expect("described");
    let own = &clusters.db_clusters()[0];
    let restored = restored(&rds)
        .set_db_subnet_group_name(own.db_subnet_group.clone())
        .set_db_cluster_parameter_group_name(own.db_cluster_parameter_group.clone());
    restored.send().await.expect("a cluster");
    let iam = aws_sdk_iam::Client::new(&stack.sdk(PRIMARY).await);
    let roles = iam.list_roles().send().await.expect("listed");
    let role = roles.roles().iter().find(|role| role.role_name().starts_with("payment-dr-dev")).expect("a role");
    iam.create_instance_profile().instance_profile_name("someones").send().await.expect("a profile");
    let add = iam.add_role_to_instance_profile().instance_profile_name("someones").role_name(role.role_name());
    add.send().await.expect("added");
    let ran = refused(&stack, &["down", "--yes"]).says("is in the instance profile someones, which is not drctl's");
    let ran = ran.says("the cluster restored-payments in us-east-1 uses the subnet group");
    ran.says("the cluster restored-payments in us-east-1 uses the parameter group").says("and is not drctl's");
    rds.delete_db_cluster()
        .db_cluster_identifier("restored-payments")
        .skip_final_snapshot(true)
        .send()
        .await
        .expect("ok");
    let remove = iam.remove_role_from_instance_profile().instance_profile_name("someones").role_name(role.role_name());
    remove.send().await.expect("removed");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
