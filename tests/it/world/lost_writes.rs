//! A forced failover loses what had not arrived, nothing else, and keeps it in a snapshot: counted, payment by payment.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::aurora::sql_with;
use super::data_api::pay;
use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";
const STANDBY: &str = "payment-dr-dev-secondary";
const RESTORED: &str = "lost-writes";

/// Longer than it takes to make the payments and to lose the Region, on a busy machine.
const LAG: Duration = Duration::from_secs(20);
/// How long what is awaited may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The ids of the payments that a database has.
fn payments(access: &Value) -> BTreeSet<String> {
    let listed = sql_with(access, "select id from payments").expect("read");
    listed.lines().map(str::to_owned).collect()
}

async fn several(stack: &Stack, outputs: &Value, count: usize) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for _ in 0..count {
        made.insert(pay(stack, outputs).await);
    }
    made
}

/// Waits until `is` holds.
async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_payments_that_did_not_arrive_are_lost_and_in_the_snapshot() {
    let stack = Stack::new();
    stack.configure("[api]\nauth = \"none\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    let outputs = stack.run(&["outputs"]).exits(0).json();
    let standby = stack.psql(SECONDARY);

    let arrived = several(&stack, &outputs, 3).await;
    until("the first payments are in both servers", || payments(&standby) == arrived).await;
    assert_eq!(payments(&stack.psql(PRIMARY)), arrived);
    stack.lags(&json!({"aurora": {"lag": LAG.as_secs()}}));
    let late = several(&stack, &outputs, 4).await;
    assert_eq!(payments(&stack.psql(PRIMARY)), &arrived | &late);

    stack.regions(&json!({PRIMARY: {"is": "out", "manner": "reset"}}));
    let there = aws_sdk_rds::Client::new(&stack.sdk(SECONDARY).await);
    let target = format!("arn:aws:rds:{SECONDARY}:{}:cluster:{STANDBY}", stack.account);
    let forced = there.failover_global_cluster().global_cluster_identifier("payment-dr-dev");
    forced.target_db_cluster_identifier(target).allow_data_loss(true).send().await.expect("failed over");
    assert_eq!(payments(&stack.psql(SECONDARY)), arrived, "what had not arrived is lost, and nothing else");
    sql_with(&stack.psql(SECONDARY), "create table written_since (id int)").expect("it takes writes");

    stack.regions(&json!({PRIMARY: {"is": "up"}}));
    stack.lags(&json!({"aurora": {"lag": 0}}));
    let here = aws_sdk_rds::Client::new(&stack.sdk(PRIMARY).await);
    let mut lost = None;
    for _ in 0..300 {
        let listed = here.describe_db_cluster_snapshots().snapshot_type("automated").send().await.expect("snapshots");
        let mut ids = listed.db_cluster_snapshots().iter().filter_map(|one| one.db_cluster_snapshot_identifier());
        lost = ids.find(|id| id.starts_with("rds:unplanned-global-failover-")).map(str::to_owned);
        if lost.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lost = lost.expect("a snapshot of the lost writes");
    let copy = here.copy_db_cluster_snapshot().source_db_cluster_snapshot_identifier(lost);
    copy.target_db_cluster_snapshot_identifier("kept").send().await.expect("copied");
    let restore = here.restore_db_cluster_from_snapshot().snapshot_identifier("kept").engine("aurora-postgresql");
    restore.db_cluster_identifier(RESTORED).send().await.expect("restored");
    let instance = here.create_db_instance().db_instance_identifier("lost-writes-1").engine("aurora-postgresql");
    let instance = instance.db_cluster_identifier(RESTORED).db_instance_class("db.r6g.large");
    instance.send().await.expect("its instance");
    // It has the login of the cluster that it was taken of, and a port of its own.
    let mut access = stack.psql(SECONDARY);
    until("the restored cluster has a server", || {
        let status = stack.aurora();
        let clusters = status["clusters"].as_array().expect("clusters");
        let port = clusters.iter().find(|one| one["cluster"] == RESTORED).map(|one| one["port"].clone());
        access["port"] = port.unwrap_or_default();
        sql_with(&access, "select 1").is_ok()
    })
    .await;
    assert_eq!(payments(&access), &arrived | &late, "the snapshot has exactly what the old writer had");
}
