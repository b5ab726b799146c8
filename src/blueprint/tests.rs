//! What waits for what, and who is told: the rows of the pitfalls table that are about the shape of the stack.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::aws::{Aws, Connection, Scope};
use crate::engine::{Need, Region};
use crate::state::Address;

async fn drawn(toml: &str) -> Graph {
    let config = Config::parse("drctl.toml", toml, None).expect("a sound configuration");
    let account = "111122223333".to_owned();
    let zones = |region: &str| ["a", "b", "c"].map(|letter| format!("{region}{letter}"));
    let facts = Facts {
        account: account.clone(),
        primary_zones: zones(config.regions.primary.as_str()),
        secondary_zones: zones(config.regions.secondary.as_str()),
    };
    // Nothing is called.
    let nowhere =
        Connection { region: "us-east-1".into(), endpoint: Some("http://127.0.0.1:9".into()), account: Some(account) };
    let aws = std::sync::Arc::new(Aws::connect(&nowhere).await);
    let scope = Scope {
        stack: config.stack.name.clone(),
        environment: config.stack.environment.clone(),
        account: facts.account.clone(),
    };
    let registry = Registry::new(&aws, scope, &Region::from("us-east-1"));
    graph(&config, &facts, &registry).expect("a sound blueprint")
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// What one needs of another directly.
fn need(graph: &Graph, of: &str, on: &str) -> Option<Need> {
    graph.needs(&address(of)).into_iter().find(|(target, _)| *target == address(on)).map(|(_, need)| need)
}

/// Whether one is deleted before another, however far apart they are.
fn goes_before(graph: &Graph, first: &str, last: &str) -> bool {
    let (mut open, mut seen) = (vec![address(first)], BTreeSet::new());
    while let Some(at) = open.pop() {
        if at == address(last) {
            return true;
        }
        if seen.insert(at.clone()) {
            open.extend(graph.needs(&at).into_iter().map(|(target, _)| target));
        }
    }
    false
}

fn property(graph: &Graph, of: &str, name: &str) -> Value {
    graph.get(&address(of)).unwrap_or_else(|| panic!("no {of}")).desired[name].clone()
}

#[tokio::test]
async fn the_database_is_made_in_auroras_order_and_goes_in_its_reverse() {
    let graph = drawn("").await;
    // Row 18: the second member wants the first one's writer available, and nothing less.
    assert_eq!(need(&graph, "secondary/db_cluster/main", "primary/db_instance/main"), Some(Need::Ready));
    assert_eq!(need(&graph, "primary/db_instance/main", "primary/db_cluster/main"), Some(Need::Exists));
    assert_eq!(need(&graph, "secondary/db_instance/main", "secondary/db_cluster/main"), Some(Need::Exists));
    // Row 19: instances before their cluster, the second member before the first, the global cluster last.
    for (first, last) in [
        ("secondary/db_instance/main", "secondary/db_cluster/main"),
        ("secondary/db_cluster/main", "primary/db_instance/main"),
        ("primary/db_instance/main", "primary/db_cluster/main"),
        ("primary/db_cluster/main", "global/global_cluster/main"),
    ] {
        assert!(goes_before(&graph, first, last), "{first} before {last}");
    }
    // Row 20: names of clusters are unique across Regions.
    assert_ne!(
        property(&graph, "primary/db_cluster/main", "name"),
        property(&graph, "secondary/db_cluster/main", "name")
    );
    // Row 34: subnets in three zones, and the group goes after the cluster.
    assert_eq!(property(&graph, "primary/db_subnet_group/main", "subnets").as_array().map(Vec::len), Some(3));
    assert!(goes_before(&graph, "primary/db_cluster/main", "primary/db_subnet_group/main"));
}

#[tokio::test]
async fn the_function_does_not_wait_for_the_database() {
    let graph = drawn("").await;
    for database in ["primary/db_cluster/main", "global/global_cluster/main"] {
        assert!(!goes_before(&graph, "primary/api_stage/default", database));
        assert!(
            !goes_before(&graph, "primary/lambda_function/processor", database),
            "{database} is named, not waited for"
        );
    }
}

#[tokio::test]
async fn what_lambda_leaves_behind_is_outlived_by_what_it_needs() {
    let graph = drawn("").await;
    for role in ["primary", "secondary"] {
        let function = format!("{role}/lambda_function/processor");
        // Row 1: the function goes first; subnets and its group after it; and its role only when the group could go, which
        // means that no interface is left. On the way up nobody waits for that.
        for last in ["security_group/lambda", "subnet/private-a", "subnet/private-b", "subnet/private-c"] {
            assert!(goes_before(&graph, &function, &format!("{role}/{last}")), "{last}");
        }
        let group = format!("{role}/security_group/lambda");
        assert_eq!(need(&graph, &group, "global/iam_role/processor"), Some(Need::Outlives));
        // Row 27: log groups go after whoever writes to them, or they would come back.
        for (writer, log) in [
            ("lambda_function/processor", "lambda"),
            ("api_stage/default", "api"),
            ("db_cluster/main", "database"),
            ("flow_log/vpc", "flow"),
        ] {
            assert!(goes_before(&graph, &format!("{role}/{writer}"), &format!("{role}/log_group/{log}")), "{log}");
        }
    }
}

#[tokio::test]
async fn roles_are_made_early() {
    let graph = drawn("").await;
    // Row 5: by the time that somebody has to assume them, they have been seen everywhere. Nothing but keys holds them up.
    for role in ["processor", "replication", "flow-logs"] {
        let needs = graph.needs(&address(&format!("global/iam_role/{role}")));
        assert!(needs.iter().all(|(target, _)| target.kind() == "kms_key"), "{role}: {needs:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_into_the_table_before_its_replica_is_there() {
    let graph = drawn("").await;
    // Rows 13 and 16: the replica is part of the table, which is ready only with it, and waits for nothing but the keys.
    let needs = graph.needs(&address("global/dynamodb_table/sessions"));
    assert!(needs.iter().all(|(target, _)| target.kind() == "kms_key"), "{needs:?}");
    // Row 15: each Region's table has that Region's key.
    let replica = property(&graph, "global/dynamodb_table/sessions", "replica");
    assert_eq!(replica["kms_key"]["$ref"], "secondary/kms_key/main");
    assert_eq!(property(&graph, "global/dynamodb_table/sessions", "kms_key")["$ref"], "primary/kms_key/main");
    // Row 17: protection in each Region, as configured.
    let protected = drawn("[protection]\ndeletion = true\n").await;
    let replica = property(&protected, "global/dynamodb_table/sessions", "replica");
    assert_eq!(replica["deletion_protection"], true);
}

#[tokio::test]
async fn replication_begins_when_both_buckets_are_versioned_and_ends_before_either_goes() {
    let graph = drawn("").await;
    for replication in ["primary/s3_replication/data", "secondary/s3_replication/data"] {
        for bucket in ["primary/s3_bucket/data", "secondary/s3_bucket/data"] {
            // Row 22: ready means that versioning reads back. Row 23: and both replications go before either bucket is emptied.
            assert_eq!(need(&graph, replication, bucket), Some(Need::Ready), "{replication} {bucket}");
        }
        assert_eq!(need(&graph, replication, "global/iam_role/replication"), Some(Need::Ready));
    }
}

#[tokio::test]
async fn the_ways_out_stand_on_an_attached_gateway() {
    let graph = drawn("").await;
    // Row 8: a NAT gateway made before the internet gateway is attached fails after its creation. Row 9: it goes before its
    // address, and before that gateway.
    for letter in ["a", "b", "c"] {
        let nat = format!("primary/nat_gateway/{letter}");
        assert_eq!(need(&graph, &nat, "primary/internet_gateway/main"), Some(Need::Ready));
        assert!(goes_before(&graph, &nat, &format!("primary/eip/nat-{letter}")));
    }
    // Row 3: the group that refers to the other one goes first.
    assert!(goes_before(&graph, "primary/security_group/database", "primary/security_group/lambda"));
}

#[tokio::test]
async fn alarms_reach_somebody() {
    let graph = drawn("[regions]\nprimary = \"eu-west-1\"\nsecondary = \"eu-central-1\"\n").await;
    // Row 28: the key lets alarms and topics use it, the topic lets alarms publish, and both are in the alarm's own Region.
    let policy = property(&graph, "primary/kms_key/main", "policy").to_string();
    assert!(policy.contains("cloudwatch.amazonaws.com") && policy.contains("sns.amazonaws.com"), "{policy}");
    assert!(property(&graph, "primary/sns_topic/alerts", "policy").to_string().contains("cloudwatch.amazonaws.com"));
    for node in graph.nodes().filter(|node| node.address.kind() == "alarm") {
        let topics: Vec<_> =
            graph.needs(&node.address).into_iter().filter(|(target, _)| target.kind() == "sns_topic").collect();
        assert_eq!(topics.len(), 1, "{}", node.address);
        let topic = graph.get(&topics[0].0).expect("a topic");
        assert_eq!(topic.region, node.region, "{}", node.address);
        assert_eq!(node.desired["actions"].as_array().map(Vec::len), Some(1));
    }
    let health = graph.get(&address("global/alarm/health-check-primary")).expect("the alarm");
    assert_eq!(&*health.region, "us-east-1");
}

#[tokio::test]
async fn a_name_serves_https_once_its_certificate_is_issued() {
    let graph = drawn("[dns]\ndomain = \"pay.example-bank.com\"\ncertificate = true\n").await;
    for role in ["primary", "secondary"] {
        // Row 30: a domain wants an issued certificate; the certificate waits for its record, which needs only that it exists.
        assert_eq!(
            need(&graph, &format!("{role}/api_domain/api"), &format!("{role}/certificate/api")),
            Some(Need::Ready)
        );
        // Row 29: a mapping goes before its domain.
        assert!(goes_before(&graph, &format!("{role}/api_mapping/api"), &format!("{role}/api_domain/api")));
    }
    assert_eq!(need(&graph, "global/record/certificate", "primary/certificate/api"), Some(Need::Exists));
    // Row 32: records go before the checks and the zone that they refer to.
    assert!(goes_before(&graph, "global/record/api-primary", "global/health_check/primary"));
    assert!(goes_before(&graph, "global/health_check/primary", "global/health_check/failover-switch"));
    assert!(goes_before(&graph, "global/record/api-secondary", "global/hosted_zone/main"));
}
