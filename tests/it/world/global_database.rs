//! Switchover and forced failover of an Aurora global database, by the SDK alone.

use std::time::Duration;

use aws_sdk_rds::Client;
use aws_sdk_rds::error::ProvideErrorMetadata;
use aws_sdk_rds::types::{FailoverStatus, GlobalCluster, SourceType};
use serde_json::json;

use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";
const ENGINE: &str = "aurora-postgresql";

/// A global database `g` with the writer `a` in the primary Region and `b` in the secondary one.
struct Running {
    stack: Stack,
    here: Client,
    there: Client,
}

impl Running {
    async fn new() -> Self {
        let stack = Stack::new();
        let here = Client::new(&stack.sdk(PRIMARY).await);
        let there = Client::new(&stack.sdk(SECONDARY).await);
        let global = here.create_global_cluster().global_cluster_identifier("g").engine(ENGINE);
        global.engine_version("17.7").send().await.expect("a global cluster");
        for (client, name) in [(&here, "a"), (&there, "b")] {
            let mut cluster = client.create_db_cluster().db_cluster_identifier(name).engine(ENGINE);
            if name == "a" {
                cluster = cluster.master_username("o").master_user_password("not-a-real-1").database_name("payments");
            }
            cluster.global_cluster_identifier("g").send().await.expect("a member");
            let instance = client.create_db_instance().db_instance_identifier(format!("{name}1"));
            let instance = instance.db_cluster_identifier(name).engine(ENGINE).db_instance_class("db.r6g.large");
            instance.send().await.expect("its instance");
        }
        Self { stack, here, there }
    }

    fn arn(&self, region: &str, name: &str) -> String {
        format!("arn:aws:rds:{region}:{}:cluster:{name}", self.stack.account)
    }
}

async fn global(client: &Client) -> GlobalCluster {
    let answer = client.describe_global_clusters().global_cluster_identifier("g").send().await.expect("described");
    answer.global_clusters()[0].clone()
}

/// The member that writes, and the states of synchronisation.
async fn roles(client: &Client) -> (String, Vec<String>) {
    let global = global(client).await;
    let members = global.global_cluster_members();
    let writer = members.iter().find(|member| member.is_writer() == Some(true)).and_then(|one| one.db_cluster_arn());
    let states = members.iter().filter_map(|member| member.synchronization_status());
    (writer.unwrap_or_default().to_owned(), states.map(|state| state.as_str().to_owned()).collect())
}

async fn events(client: &Client, source: SourceType) -> Vec<String> {
    let answer = client.describe_events().source_type(source).send().await.expect("events");
    answer.events().iter().filter_map(|event| event.message().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_database_is_switched_over_and_failed_over_without_its_home() {
    let running = Running::new().await;
    let Running { stack, here, there } = &running;
    let (a, b) = (running.arn(PRIMARY, "a"), running.arn(SECONDARY, "b"));
    let switch = |client: &Client, to: &str| {
        client.switchover_global_cluster().global_cluster_identifier("g").target_db_cluster_identifier(to).send()
    };

    // There and back. The call's answer shows the beginning, and the operation is over by then.
    for (client, from, to) in [(here, &a, &b), (there, &b, &a)] {
        let refused = switch(client, from).await.expect_err("it writes already");
        assert_eq!(refused.code(), Some("InvalidGlobalClusterStateFault"));
        let answer = switch(client, to).await.expect("switched over");
        let state = answer.global_cluster().and_then(GlobalCluster::failover_state).expect("a state");
        assert_eq!(state.status(), Some(&FailoverStatus::Pending));
        assert_eq!((state.from_db_cluster_arn(), state.to_db_cluster_arn()), (Some(from.as_str()), Some(to.as_str())));
        assert_eq!(roles(client).await, (to.clone(), vec!["connected".to_owned(); 2]));
        assert!(global(client).await.failover_state().is_none());
    }
    let told = events(there, SourceType::DbCluster).await;
    assert!(told.contains(&"Global switchover to DB cluster b in Region us-east-2 finished.".to_owned()), "{told:?}");

    // The home Region is lost: only the forced failover is left, and it is called in the other one.
    stack.regions(&json!({PRIMARY: {"is": "out", "manner": "reset"}}));
    let forced = there.failover_global_cluster().global_cluster_identifier("g").target_db_cluster_identifier(&b);
    forced.allow_data_loss(true).send().await.expect("failed over");
    let (writer, mut states) = roles(there).await;
    states.sort();
    assert_eq!((writer, states), (b.clone(), vec!["connected".to_owned(), "pending-resync".to_owned()]));
    let fence = "Attempt to block writes for DB cluster a in Region us-east-1 timed out.".to_owned();
    assert_eq!(events(there, SourceType::DbInstance).await, [fence]);

    // It is back: what was lost is in a snapshot, and the old writer follows the new one.
    stack.regions(&json!({PRIMARY: {"is": "up"}}));
    for _ in 0..100 {
        if roles(here).await.1 == ["connected"; 2] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(roles(here).await, (b.clone(), vec!["connected".to_owned(); 2]));
    let listed = here.describe_db_cluster_snapshots().snapshot_type("automated").send().await.expect("snapshots");
    let lost = listed.db_cluster_snapshots()[0].db_cluster_snapshot_identifier().expect("an id");
    assert!(lost.starts_with("rds:unplanned-global-failover-a-"), "{lost}");
    let copy = here.copy_db_cluster_snapshot().source_db_cluster_snapshot_identifier(lost);
    copy.target_db_cluster_snapshot_identifier("kept").send().await.expect("copied");
    let restore = here.restore_db_cluster_from_snapshot().snapshot_identifier("kept").engine(ENGINE);
    let restored = restore.db_cluster_identifier("lost-writes").send().await.expect("restored");
    let restored = restored.db_cluster().expect("a cluster");
    assert_eq!((restored.master_username(), restored.engine_version()), (Some("o"), Some("17.7")));
    switch(there, &a).await.expect("failed back");
    assert_eq!(roles(here).await.0, a);
}
