//! What the real AWS refuses, keeps and answers where an emulator accepts everything: the rules of
//! `crates/sandbox/src/rules` are tested with the real emulator, and drctl is tested with the rules.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_kms::types::KeyState;
use aws_sdk_rds::error::ProvideErrorMetadata;
use aws_sdk_rds::types::{ApplyMethod, Parameter};

use drctl_testkit::harness::{Ran, Stack};

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";
const ENGINE: &str = "aurora-postgresql";

/// Longer than any run takes, unless it waits for something that never comes.
const ENOUGH: Duration = Duration::from_mins(4);

/// A version in which the parameters have other defaults.
const OLDER: &str = "[database]\nengine_version = \"16.8\"\n";

async fn rds(stack: &Stack, region: &str) -> aws_sdk_rds::Client {
    aws_sdk_rds::Client::new(&stack.sdk(region).await)
}

/// Code and message of a refusal.
#[track_caller]
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata>(answer: Result<T, E>) -> (String, String) {
    let error = answer.err().unwrap_or_else(|| panic!("the call was not refused"));
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}

#[track_caller]
fn is_refused<T: std::fmt::Debug, E: ProvideErrorMetadata>(answer: Result<T, E>, code: &str, words: &str) {
    let (found, message) = refused(answer);
    assert!(found == code && message.contains(words), "{found}: {message}");
}

fn arn(stack: &Stack, region: &str, name: &str) -> String {
    format!("arn:aws:rds:{region}:{}:cluster:{name}", stack.account)
}

/// Runs a command, and kills it if it takes too long.
pub fn run_within(stack: &Stack, args: &[&str], limit: Duration) -> Ran {
    let (out, err) = (stack.path("stdout"), stack.path("stderr"));
    let mut child = stack
        .command(args)
        .stdout(Stdio::from(std::fs::File::create(&out).expect("a file")))
        .stderr(Stdio::from(std::fs::File::create(&err).expect("a file")))
        .spawn()
        .expect("drctl runs");
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if Instant::now() > until {
            child.kill().expect("ended");
            break child.wait().expect("its status");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let read = |path| std::fs::read(path).expect("its output");
    Ran::new(args, Output { status, stdout: read(out), stderr: read(err) })
}

/// The id that distinguishes a cluster from another one of the same name.
async fn resource_id(stack: &Stack, region: &str, name: &str) -> String {
    let answer = rds(stack, region).await.describe_db_clusters().db_cluster_identifier(name).send().await;
    let found = answer.expect("the cluster").db_clusters()[0].db_cluster_resource_id().map(str::to_owned);
    found.expect("a resource id")
}

/// The writer's ARN, and how many members there are.
async fn writer(stack: &Stack) -> (String, usize) {
    let answer = rds(stack, PRIMARY).await.describe_global_clusters().send().await.expect("global clusters");
    let members = answer.global_clusters()[0].global_cluster_members();
    let writer =
        members.iter().find(|member| member.is_writer() == Some(true)).and_then(|member| member.db_cluster_arn());
    (writer.unwrap_or_default().to_owned(), members.len())
}

/// A global database `g` with a writer `a` and a secondary `b`, created with the SDK alone, as AWS requires.
async fn global_database(stack: &Stack) -> [aws_sdk_rds::Client; 2] {
    let clients = [rds(stack, PRIMARY).await, rds(stack, SECONDARY).await];
    let call = clients[0].create_global_cluster().global_cluster_identifier("g").engine(ENGINE);
    call.engine_version("17.7").send().await.expect("a global cluster");
    let [here, there] = &clients;
    let group = here.create_db_cluster_parameter_group().db_cluster_parameter_group_name("p");
    group.db_parameter_group_family("aurora-postgresql17").description("p").send().await.expect("a group");
    let first = here.create_db_cluster().db_cluster_identifier("a").engine(ENGINE).global_cluster_identifier("g");
    is_refused(first.clone().send().await, "InvalidParameterValue", "The parameter MasterUsername must be provided");
    let first = first.master_username("o").master_user_password("not-a-real-1").db_cluster_parameter_group_name("p");
    first.send().await.expect("the first member");
    let instance = here.create_db_instance().db_instance_identifier("a1").db_cluster_identifier("a");
    instance.engine(ENGINE).db_instance_class("db.r6g.large").send().await.expect("its instance");
    let second = there.create_db_cluster().db_cluster_identifier("b").engine(ENGINE).global_cluster_identifier("g");
    for (call, words) in [
        (second.clone().master_username("o"), "Cannot specify user name for cross region replication cluster"),
        (second.clone().master_user_password("not-a-real-1"), "Cannot specify password for cross region"),
        (second.clone().database_name("d"), "Cannot specify database name for cross region"),
    ] {
        is_refused(call.send().await, "InvalidParameterCombination", words);
    }
    second.send().await.expect("the second member");
    let instance = there.create_db_instance().db_instance_identifier("b1").db_cluster_identifier("b");
    instance.engine(ENGINE).db_instance_class("db.r6g.large").send().await.expect("its instance");
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_global_database_leave_in_order_and_the_writer_last() {
    let stack = Stack::new();
    let [here, there] = global_database(&stack).await;
    let shown = here.describe_db_clusters().db_cluster_identifier("a").send().await.expect("the cluster");
    assert_eq!(shown.db_clusters()[0].database_name(), None, "a database exists only if the first member names it");

    let (a, b) = (arn(&stack, PRIMARY, "a"), arn(&stack, SECONDARY, "b"));
    let delete =
        |client: &aws_sdk_rds::Client, name: &str| client.delete_db_instance().db_instance_identifier(name).send();
    let leave = |member: &str| {
        let call = here.remove_from_global_cluster().global_cluster_identifier("g");
        call.db_cluster_identifier(member).send()
    };
    is_refused(delete(&here, "a1").await, "InvalidDBClusterStateFault", "Delete the replica cluster before");
    is_refused(leave(&a).await, "InvalidGlobalClusterStateFault", "");
    let call = here.delete_db_cluster().db_cluster_identifier("a").skip_final_snapshot(true);
    is_refused(call.send().await, "InvalidGlobalClusterStateFault", "primary member of global cluster");

    // After a switchover, the order is the other way round.
    let switch = here.switchover_global_cluster().global_cluster_identifier("g");
    is_refused(switch.clone().target_db_cluster_identifier("b").send().await, "DBClusterNotFoundFault", "b not found");
    switch.target_db_cluster_identifier(&b).send().await.expect("switched over");
    is_refused(delete(&there, "b1").await, "InvalidDBClusterStateFault", "last instance of the master cluster");
    is_refused(leave(&b).await, "InvalidGlobalClusterStateFault", "");
    delete(&here, "a1").await.expect("the reader's last instance");
    leave(&a).await.expect("the reader leaves");
    is_refused(leave(&a).await, "InvalidParameterValue", "is not found in global cluster");
    delete(&there, "b1").await.expect("now the writer's, too");
    leave(&b).await.expect("the writer leaves last");

    // The deletion of a cluster has to say whether a snapshot is kept.
    let delete = here.delete_db_cluster().db_cluster_identifier("a");
    is_refused(delete.clone().send().await, "InvalidParameterCombination", "required unless SkipFinalSnapshot");
    let both = delete.clone().skip_final_snapshot(true).final_db_snapshot_identifier("last");
    is_refused(both.send().await, "InvalidParameterCombination", "cannot be specified");
    delete.final_db_snapshot_identifier("last").send().await.expect("deleted with a snapshot");
    let shown = here.describe_db_cluster_snapshots().db_cluster_snapshot_identifier("last").send().await;
    let shown = shown.expect("the snapshot");
    let snapshot = &shown.db_cluster_snapshots()[0];
    assert_eq!((snapshot.db_cluster_identifier(), snapshot.status()), (Some("a"), Some("available")));
    let call = there.delete_db_cluster().db_cluster_identifier("b").skip_final_snapshot(true);
    call.send().await.expect("deleted without one");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_never_downgraded_and_groups_in_use_are_kept() {
    let stack = Stack::new();
    let [here, there] = global_database(&stack).await;
    let upgrade = |client: &aws_sdk_rds::Client, name: &str, version: &str| {
        client.modify_db_cluster().db_cluster_identifier(name).engine_version(version).apply_immediately(true).send()
    };
    is_refused(upgrade(&here, "a", "17.9").await, "InvalidParameterValue", "upgrade global replicas first");
    upgrade(&there, "b", "17.9").await.expect("the secondary first");
    upgrade(&here, "a", "17.9").await.expect("then the writer");
    is_refused(
        upgrade(&there, "b", "17.7").await,
        "InvalidParameterCombination",
        "Cannot find upgrade target from 17.9 with requested version 17.7.",
    );
    is_refused(
        upgrade(&there, "b", "17.99").await,
        "InvalidParameterCombination",
        "Cannot find upgrade target from 17.9",
    );
    let call = here.create_global_cluster().global_cluster_identifier("older").engine(ENGINE);
    call.engine_version("16.8").send().await.expect("a global cluster");
    let major = here.modify_global_cluster().global_cluster_identifier("older").engine_version("17.7");
    is_refused(
        major.clone().send().await,
        "InvalidParameterCombination",
        "The AllowMajorVersionUpgrade flag must be present",
    );
    major.allow_major_version_upgrade(true).send().await.expect("upgraded with the flag");
    let global = here.modify_global_cluster().global_cluster_identifier("g");
    is_refused(global.engine_version("16.8").send().await, "InvalidParameterCombination", "upgrade target from 17.7");
    let group = here.delete_db_cluster_parameter_group().db_cluster_parameter_group_name("p");
    is_refused(group.send().await, "InvalidDBParameterGroupState", "are still members of this parameter group p");
}

/// The parameters with the source `user`.
async fn users(client: &aws_sdk_rds::Client, group: &str) -> Vec<String> {
    let call = client.describe_db_cluster_parameters().db_cluster_parameter_group_name(group).source("user");
    let answer = call.send().await.expect("parameters");
    answer.parameters().iter().filter_map(|parameter| parameter.parameter_name().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_with_its_default_value_is_not_the_users() {
    let stack = Stack::new();
    let client = rds(&stack, PRIMARY).await;
    for (family, value, expected) in [
        ("aurora-postgresql17", "1", &[][..]),
        ("aurora-postgresql17", "0", &["rds.force_ssl"]),
        ("aurora-postgresql16", "1", &["rds.force_ssl"]),
        ("aurora-postgresql16", "0", &[]),
    ] {
        let group = format!("g{}-{value}", &family[family.len() - 2..]);
        let call = client.create_db_cluster_parameter_group().db_cluster_parameter_group_name(&group);
        call.db_parameter_group_family(family).description("d").send().await.expect("a group");
        let parameter = Parameter::builder().parameter_name("rds.force_ssl").parameter_value(value);
        let call = client.modify_db_cluster_parameter_group().db_cluster_parameter_group_name(&group);
        let call = call.parameters(parameter.apply_method(ApplyMethod::Immediate).build());
        call.send().await.expect("set");
        assert_eq!(users(&client, &group).await, expected, "{family} {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_scheduled_for_deletion_can_only_be_restored() {
    let stack = Stack::new();
    let kms = aws_sdk_kms::Client::new(&stack.sdk(PRIMARY).await);
    let made = kms.create_key().send().await.expect("a key").key_metadata.expect("its metadata");
    let id = made.key_id();
    kms.schedule_key_deletion().key_id(id).pending_window_in_days(7).send().await.expect("scheduled");
    is_refused(kms.enable_key().key_id(id).send().await, "KMSInvalidStateException", "is pending deletion.");
    let call = rds(&stack, PRIMARY).await.create_db_cluster().db_cluster_identifier("c").engine(ENGINE);
    let call = call.master_username("o").master_user_password("not-a-real-1").storage_encrypted(true);
    is_refused(call.kms_key_id(made.arn().expect("an ARN")).send().await, "KMSKeyNotAccessibleFault", "is not enabled");
    kms.cancel_key_deletion().key_id(id).send().await.expect("restored");
    is_refused(kms.enable_key_rotation().key_id(id).send().await, "DisabledException", "is disabled.");
    let shown = kms.describe_key().key_id(id).send().await.expect("the key").key_metadata.expect("its metadata");
    assert_eq!(shown.key_state(), Some(&KeyState::Disabled));
    kms.enable_key().key_id(id).send().await.expect("enabled");
}

/// On the default engine version, TLS is required by default.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_built_where_tls_is_the_default_and_is_named_by_its_first_member() {
    let stack = Stack::new();
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0).says("Apply complete!");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let call = rds(&stack, PRIMARY).await.describe_db_clusters().db_cluster_identifier("payment-dr-dev-primary");
    let shown = call.send().await.expect("the cluster");
    assert_eq!(shown.db_clusters()[0].database_name(), Some("payments"));
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// On the major version before, a parameter has another default.
#[test]
fn a_stack_of_an_older_version_is_built_and_deleted() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// A change that takes long to become visible has not failed. With an emulator, the limit is a minute.
#[test]
fn what_takes_long_to_become_visible_is_waited_for() {
    let stack = Stack::new();
    stack.configure(OLDER);
    stack.faults(
        "[[fault]]\ndoes = \"state\"\nresource = \"payment-dr-dev-secondary\"\nstate = \"creating\"\nlasts = 110.0\n\
         [[fault]]\ndoes = \"state\"\nservice = \"dynamodb\"\nresource = \"us-east-2\"\nstate = \"CREATING\"\nlasts = 110.0\n",
    );
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    stack.no_faults();
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// The member that writes is deleted last.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_deleted_after_a_switchover_too() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    let call = rds(&stack, PRIMARY).await.switchover_global_cluster().global_cluster_identifier("payment-dr-dev");
    let target = arn(&stack, SECONDARY, "payment-dr-dev-secondary");
    call.target_db_cluster_identifier(target).send().await.expect("switched over");
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// After the kind of disaster that drctl is made for, the cluster of the lost Region is recreated as a copy of the new writer.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_region_is_rebuilt_after_a_failover() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    let [here, there] = [rds(&stack, PRIMARY).await, rds(&stack, SECONDARY).await];
    let secondary = arn(&stack, SECONDARY, "payment-dr-dev-secondary");
    let call = there.failover_global_cluster().global_cluster_identifier("payment-dr-dev");
    let call = call.target_db_cluster_identifier(&secondary).allow_data_loss(true);
    call.send().await.expect("failed over");
    let call = here.delete_db_instance().db_instance_identifier("payment-dr-dev-primary-1");
    call.send().await.expect("lost");
    let call = here.remove_from_global_cluster().global_cluster_identifier("payment-dr-dev");
    let lost = arn(&stack, PRIMARY, "payment-dr-dev-primary");
    call.db_cluster_identifier(lost).send().await.expect("lost");
    let call = here.delete_db_cluster().db_cluster_identifier("payment-dr-dev-primary").skip_final_snapshot(true);
    call.send().await.expect("lost");
    let kept = resource_id(&stack, SECONDARY, "payment-dr-dev-secondary").await;
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    assert_eq!(writer(&stack).await, (secondary, 2));
    assert_eq!(resource_id(&stack, SECONDARY, "payment-dr-dev-secondary").await, kept);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// A standby that was promoted by removing it from the global database has the latest data.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_was_detached_keeps_its_data() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    let kept = resource_id(&stack, SECONDARY, "payment-dr-dev-secondary").await;
    let call = rds(&stack, SECONDARY).await.remove_from_global_cluster().global_cluster_identifier("payment-dr-dev");
    let member = arn(&stack, SECONDARY, "payment-dr-dev-secondary");
    call.db_cluster_identifier(member).send().await.expect("removed");
    let before = stack.calls().len();
    run_within(&stack, &["up", "--yes"], ENOUGH);
    assert_eq!(resource_id(&stack, SECONDARY, "payment-dr-dev-secondary").await, kept);
    let gone = |call: &serde_json::Value| call["operation"].as_str().is_some_and(|name| name.starts_with("DeleteDB"));
    let deletions: Vec<_> = stack.calls().into_iter().skip(before).filter(gone).collect();
    assert!(deletions.is_empty(), "{deletions:#?}");
}

/// The standby was promoted by removing it from the global database, and the rest of the database is gone. The survivor is not lost: it
/// becomes the writer of a new global database, in the way that drctl says.
#[tokio::test(flavor = "multi_thread")]
async fn the_survivor_of_a_global_database_becomes_the_writer_of_a_new_one() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    let [here, there] = [rds(&stack, PRIMARY).await, rds(&stack, SECONDARY).await];
    here.delete_db_instance().db_instance_identifier("payment-dr-dev-primary-1").send().await.expect_err("it writes");
    for (region, role) in [(SECONDARY, "secondary"), (PRIMARY, "primary")] {
        let call = there.remove_from_global_cluster().global_cluster_identifier("payment-dr-dev");
        let member = arn(&stack, region, &format!("payment-dr-dev-{role}"));
        call.db_cluster_identifier(member).send().await.expect("removed");
    }
    here.delete_db_instance().db_instance_identifier("payment-dr-dev-primary-1").send().await.expect("lost");
    let call = here.delete_db_cluster().db_cluster_identifier("payment-dr-dev-primary").skip_final_snapshot(true);
    call.send().await.expect("lost");
    // AWS keeps the global cluster without its members.
    let refused = stack.run(&["up", "--yes"]).exits(3).says("To keep it, with its data");
    assert!(refused.stderr.contains("`aws rds delete-global-cluster --region us-east-2 "), "{}", refused.stderr);
    here.delete_global_cluster().global_cluster_identifier("payment-dr-dev").send().await.expect("as drctl says");
    let kept = resource_id(&stack, SECONDARY, "payment-dr-dev-secondary").await;

    let refused = stack.run(&["up", "--yes"]).exits(3).says("To keep it, with its data");
    let command = refused.stderr.split('`').find(|part| part.starts_with("aws rds create-global-cluster "));
    let words: Vec<&str> = command.expect("the command, in one piece").split(' ').collect();
    let value = |option: &str| words[words.iter().position(|word| *word == option).expect("the option") + 1];
    let tags = words
        .iter()
        .filter_map(|word| word.strip_prefix("Key=")?.split_once(",Value="))
        .map(|(key, value)| aws_sdk_rds::types::Tag::builder().key(key).value(value).build());
    let call = rds(&stack, value("--region")).await.create_global_cluster().set_tags(Some(tags.collect()));
    let call = call.global_cluster_identifier(value("--global-cluster-identifier"));
    let call = call.source_db_cluster_identifier(value("--source-db-cluster-identifier"));
    is_refused(
        call.clone().engine(ENGINE).send().await,
        "InvalidParameterCombination",
        "will be inherited from source",
    );
    call.send().await.expect("as drctl says");
    // Even if it is not on record any more whose it is.
    stack.run(&["state", "rm", "global/global_cluster/main", "--yes"]).exits(0);

    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    assert_eq!(writer(&stack).await, (arn(&stack, SECONDARY, "payment-dr-dev-secondary"), 2));
    assert_eq!(resource_id(&stack, SECONDARY, "payment-dr-dev-secondary").await, kept);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// The writer does not take a password that it cannot read. The other member, which would wait for that, does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_writer_cannot_read_ends_the_run_at_once() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.sdk(PRIMARY).await);
    let found = secrets.list_secrets().send().await.expect("secrets");
    let id = found.secret_list().first().and_then(|secret| secret.arn()).expect("the secret");
    let good = secrets.get_secret_value().secret_id(id).send().await.expect("its value").secret_string;
    secrets.put_secret_value().secret_id(id).secret_string("not JSON").send().await.expect("set");
    let began = Instant::now();
    run_within(&stack, &["up", "--yes"], ENOUGH)
        .exits(1)
        .says("is not JSON with a `password`")
        .says("secondary/db_cluster/main skipped because of primary/db_cluster/main")
        .says("Skipped because of it: 1 resource (secondary/db_cluster/main)");
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    secrets.put_secret_value().secret_id(id).set_secret_string(good).send().await.expect("set");
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// What holds data and cannot be used is the first thing that an operator has to know, in whichever Region it is; and what replacing it
/// would take is told in full.
#[test]
fn data_that_cannot_be_used_makes_the_stack_not_ready_and_can_be_replaced_as_drctl_says() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    for (resource, state, words) in [
        ("payment-dr-dev-primary", "failed", "this Region has no working database (primary/db_cluster/main: failed: "),
        ("payment-dr-dev-secondary", "inaccessible-encryption-credentials", "(secondary/db_cluster/main: inaccessible"),
        ("payment-dr-dev-primary-1", "storage-full", "does not answer (primary/db_instance/main: storage-full: "),
        ("payment-dr-dev-secondary-1", "incompatible-network", "(secondary/db_instance/main: incompatible-network: "),
        (
            "payment-dr-dev-sessions",
            "INACCESSIBLE_ENCRYPTION_CREDENTIALS",
            "(global/dynamodb_table/sessions: INACCESSIBLE_",
        ),
        ("payment-dr-dev-sessions", "ARCHIVED", "(global/dynamodb_table/sessions: ARCHIVED: "),
        (
            "us-east-2",
            "INACCESSIBLE_ENCRYPTION_CREDENTIALS",
            "(global/dynamodb_table/sessions: without its replica in us-east-2",
        ),
    ] {
        stack.faults(&format!("[[fault]]\ndoes = \"state\"\nresource = \"{resource}\"\nstate = \"{state}\"\n"));
        let status = stack.run(&["status", "--json", "--detailed-exitcode"]).exits(2).json();
        assert_eq!(status["verdict"], "not_ready", "{resource} is {state}: {status:#}");
        let reason = status["verdict_reason"].as_str().expect("a reason");
        assert!(reason.contains(words), "{resource} is {state}: {reason}");
        stack.run(&["status"]).exits(0).says("DR: NOT READY");
    }
    stack.faults("[[fault]]\ndoes = \"state\"\nresource = \"payment-dr-dev-primary\"\nstate = \"failed\"\n");
    let plan = stack.run(&["plan"]).exits(1).says("1 resource that drctl cannot repair automatically");
    let command = plan.stdout.split('`').find(|part| part.starts_with("drctl up --replace ")).expect("the command");
    assert_eq!(command.matches("--replace").count(), 4, "{command}");
    let words: Vec<&str> = std::iter::once("plan").chain(command.split(' ').skip(2)).collect();
    // AWS takes no final snapshot of a cluster that has failed.
    stack.run(&words).exits(1).says("DATA LOSS: 4 resources").says("--no-final-snapshot");
    let without: Vec<&str> = words.iter().copied().chain(["--no-final-snapshot"]).collect();
    stack.run(&without).exits(0).says("DATA LOSS: 4 resources");
    stack.no_faults();
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// A key that is scheduled for deletion is restored together with everything that is encrypted with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_scheduled_for_deletion_is_restored_and_nothing_else_happens() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    let clusters = [(PRIMARY, "payment-dr-dev-primary"), (SECONDARY, "payment-dr-dev-secondary")];
    let mut before = Vec::new();
    for (region, name) in clusters {
        let kms = aws_sdk_kms::Client::new(&stack.sdk(region).await);
        let key = kms.describe_key().key_id("alias/payment-dr-dev").send().await.expect("the key");
        let id = key.key_metadata.expect("its metadata").key_id;
        kms.schedule_key_deletion().key_id(&id).pending_window_in_days(7).send().await.expect("scheduled");
        before.push((id, resource_id(&stack, region, name).await));
    }
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    for ((region, name), (id, cluster)) in clusters.into_iter().zip(before) {
        let kms = aws_sdk_kms::Client::new(&stack.sdk(region).await);
        let key = kms.describe_key().key_id(&id).send().await.expect("the key").key_metadata.expect("its metadata");
        assert_eq!(key.key_state(), Some(&KeyState::Enabled), "{region}");
        assert_eq!(resource_id(&stack, region, name).await, cluster, "{name}");
    }
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}

/// An instance that waits for its key, for capacity or for its network is not recreated, because the cause would remain.
#[test]
fn an_instance_that_cannot_serve_for_another_reason_is_not_replaced() {
    let stack = Stack::new();
    stack.configure(OLDER);
    run_within(&stack, &["up", "--yes"], ENOUGH).exits(0);
    for state in
        ["inaccessible-encryption-credentials", "incompatible-network", "insufficient-capacity", "storage-full"]
    {
        for resource in ["payment-dr-dev-secondary-1", "payment-dr-dev-primary-1", "payment-dr-dev-secondary"] {
            stack.faults(&format!("[[fault]]\ndoes = \"state\"\nresource = \"{resource}\"\nstate = \"{state}\"\n"));
            let plan = stack.run(&["plan"]);
            assert!(!plan.stdout.contains("-/+"), "{resource} in {state}: {}", plan.stdout);
        }
    }
    stack.no_faults();
    run_within(&stack, &["down", "--yes", "--no-final-snapshot"], ENOUGH).exits(0);
}
