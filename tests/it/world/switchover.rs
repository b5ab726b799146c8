//! A switchover under load: every write that was acknowledged is there once, in both members.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_rdsdata::error::ProvideErrorMetadata as _;
use aws_sdk_rdsdata::types::{Field, SqlParameter};
use serde_json::Value;

use super::data_api::statement;
use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// Fifty writes a second for eight seconds.
const WRITES: u32 = 400;
const EVERY: Duration = Duration::from_millis(20);
/// When the writer is moved, counted from the first write.
const MOVED_AFTER: Duration = Duration::from_secs(3);
/// How long a client goes on trying.
const PATIENCE: Duration = Duration::from_mins(1);

/// Writes a row to whichever Region takes it, as a client does that does not know where the writer is. Returns when it was
/// acknowledged.
async fn write(stack: &Stack, outputs: &Value, id: String) -> Instant {
    let began = Instant::now();
    loop {
        for region in [PRIMARY, SECONDARY] {
            let id = SqlParameter::builder().name("id").value(Field::StringValue(id.clone())).build();
            let insert = statement(stack, outputs, region, "insert into load (id) values (:id)").await;
            match insert.parameters(id).send().await {
                Ok(_) => return Instant::now(),
                // The answer to an earlier try was lost.
                Err(error) if error.message().is_some_and(|text| text.contains("23505")) => return Instant::now(),
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error:?}"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn rows(stack: &Stack, outputs: &Value, region: &str) -> BTreeSet<String> {
    let answer = statement(stack, outputs, region, "select id from load").await.send().await.expect("read");
    let ids = answer.records().iter().flatten().filter_map(|field| field.as_string_value().ok().cloned());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_under_load_loses_nothing_and_doubles_nothing() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let outputs = stack.run(&["outputs"]).exits(0).json();
    let create = "create table load (id text primary key)";
    statement(&stack, &outputs, PRIMARY, create).await.send().await.expect("created");

    let (stack, outputs) = (Arc::new(stack), Arc::new(outputs));
    let began = Instant::now();
    let moving = {
        let stack = Arc::clone(&stack);
        tokio::spawn(async move {
            tokio::time::sleep(MOVED_AFTER).await;
            let here = aws_sdk_rds::Client::new(&stack.sdk(PRIMARY).await);
            let target = format!("arn:aws:rds:{SECONDARY}:{}:cluster:payment-dr-dev-secondary", stack.account);
            let moved = here.switchover_global_cluster().global_cluster_identifier("payment-dr-dev");
            moved.target_db_cluster_identifier(target).send().await.expect("switched over");
        })
    };
    let mut writes = Vec::new();
    for number in 0..WRITES {
        tokio::time::sleep_until((began + EVERY * number).into()).await;
        let (stack, outputs) = (Arc::clone(&stack), Arc::clone(&outputs));
        writes.push(tokio::spawn(async move { write(&stack, &outputs, format!("payment-{number}")).await }));
    }
    let mut acknowledged = Vec::new();
    for write in writes {
        acknowledged.push(write.await.expect("acknowledged"));
    }
    moving.await.expect("moved");
    acknowledged.sort();
    let outage = acknowledged.windows(2).map(|pair| pair[1] - pair[0]).max().expect("some");
    println!("{WRITES} writes acknowledged; the longest time without one was {} ms", outage.as_millis());

    let made: BTreeSet<String> = (0..WRITES).map(|number| format!("payment-{number}")).collect();
    assert_eq!(rows(&stack, &outputs, SECONDARY).await, made, "at the new writer");
    // The old writer follows, and is asked where its replica can be read.
    let at_home = stack.psql(PRIMARY);
    let began = Instant::now();
    while super::aurora::sql_with(&at_home, "select count(*) from load").as_deref() != Ok("400") {
        assert!(began.elapsed() < PATIENCE, "the old writer does not follow");
        tokio::time::sleep(EVERY).await;
    }
}
