//! What a client sees of Aurora over time.

use std::time::Duration;

use super::*;
use crate::rules::rule::tests::{ok, text};
use crate::wire::call::Protocol;
use crate::wire::call::tests::ec2;

struct Bench {
    rds: Rds,
    start: Instant,
}

impl Bench {
    /// The first member of a global cluster, created at second 0, and its writer, created at second 50.
    fn new() -> Self {
        let bench = Self { rds: Rds::default(), start: Instant::now() };
        bench.create(0.0, "us-east-1", "DBCluster", "a", "&GlobalClusterIdentifier=g");
        bench.create(50.0, "us-east-1", "DBInstance", "a1", "&DBClusterIdentifier=a");
        bench
    }

    fn ask(&self, seconds: f64, region: &str, body: &str, emulated: Option<&str>) -> String {
        let at = Moment { now: self.start + Duration::from_secs_f64(seconds), scale: 1.0 };
        let mut call = ec2("111122223333", region, body);
        "rds".clone_into(&mut call.service);
        call.protocol = Protocol::Query;
        if let Some(refusal) = self.rds.before(&mut call, at) {
            return text(&refusal);
        }
        let mut answer = emulated.map_or_else(|| Answer::client_error(&call, "NotFound", ""), ok);
        self.rds.after(&call, &mut answer, at);
        text(&answer)
    }

    /// A call about one resource, which is in the emulator's answer.
    fn one(&self, seconds: f64, region: &str, operation: &str, kind: &str, id: &str, more: &str) -> String {
        let status = if kind == "DBInstance" { "DBInstanceStatus" } else { "Status" };
        let item = format!("<{kind}><{kind}Identifier>{id}</{kind}Identifier><{status}>available</{status}></{kind}>");
        let emulated = format!("<r><{operation}{kind}Result>{item}</{operation}{kind}Result></r>");
        self.ask(seconds, region, &format!("Action={operation}{kind}&{kind}Identifier={id}{more}"), Some(&emulated))
    }

    fn create(&self, seconds: f64, region: &str, kind: &str, id: &str, more: &str) -> String {
        self.one(seconds, region, "Create", kind, id, more)
    }

    fn delete(&self, seconds: f64, region: &str, kind: &str, id: &str) -> String {
        self.one(seconds, region, "Delete", kind, id, "")
    }

    /// The listing of a resource that the emulator still knows.
    fn shown(&self, seconds: f64, region: &str, kind: &str, id: &str) -> String {
        let status = if kind == "DBInstance" { "DBInstanceStatus" } else { "Status" };
        let item = format!("<{kind}><{kind}Identifier>{id}</{kind}Identifier><{status}>available</{status}></{kind}>");
        let emulated = format!("<r><Describe{kind}sResult><{kind}s>{item}</{kind}s></Describe{kind}sResult></r>");
        self.ask(seconds, region, &format!("Action=Describe{kind}s&{kind}Identifier={id}"), Some(&emulated))
    }

    /// Adds a second member, created at second 500, with its instance.
    fn with_secondary(self) -> Self {
        self.create(500.0, "us-east-2", "DBCluster", "b", "&GlobalClusterIdentifier=g");
        self.create(1000.0, "us-east-2", "DBInstance", "b1", "&DBClusterIdentifier=b");
        self
    }
}

#[test]
fn members_and_instances_are_creating_for_their_time() {
    let bench = Bench::new().with_secondary();
    for (region, kind, id, ready) in [
        ("us-east-1", "DBCluster", "a", 45.0),
        ("us-east-1", "DBInstance", "a1", 450.0),
        ("us-east-2", "DBCluster", "b", 900.0),
        ("us-east-2", "DBInstance", "b1", 1600.0),
    ] {
        assert!(bench.shown(ready - 1.0, region, kind, id).contains(">creating<"), "{id}");
        assert!(bench.shown(ready + 1.0, region, kind, id).contains(">available<"), "{id}");
    }
}

#[test]
fn a_second_member_needs_an_available_writer() {
    let bench = Bench::new();
    let create = |seconds| bench.create(seconds, "us-east-2", "DBCluster", "b", "&GlobalClusterIdentifier=g");
    assert!(create(449.0).contains("not valid for physical replication"));
    assert!(create(451.0).contains(">creating<"));
}

#[test]
fn a_member_that_leaves_is_promoted_before_it_is_deleted() {
    let bench = Bench::new().with_secondary();
    assert!(bench.delete(2000.0, "us-east-2", "DBInstance", "b1").contains(">deleting<"));
    let leave = "Action=RemoveFromGlobalCluster&GlobalClusterIdentifier=g\
                 &DbClusterIdentifier=arn%3Aaws%3Ards%3Aus-east-2%3A111122223333%3Acluster%3Ab";
    bench.ask(2430.0, "us-east-2", leave, Some("<r/>"));
    assert!(bench.shown(2431.0, "us-east-2", "DBCluster", "b").contains(">promoting<"));
    assert!(bench.delete(2431.0, "us-east-2", "DBCluster", "b").contains("InvalidDBClusterStateFault"));
    assert!(bench.delete(2551.0, "us-east-2", "DBCluster", "b").contains(">deleting<"));
    assert!(bench.delete(2615.0, "us-east-1", "DBInstance", "a1").contains(">deleting<"));
}

#[test]
fn what_the_emulator_has_forgotten_is_still_deleting() {
    let bench = Bench::new();
    bench.delete(500.0, "us-east-1", "DBInstance", "a1");
    let by_name = "Action=DescribeDBInstances&DBInstanceIdentifier=a1";
    assert!(bench.ask(919.0, "us-east-1", by_name, None).contains("<DBInstanceStatus>deleting<"));
    let all = bench.ask(919.0, "us-east-1", "Action=DescribeDBInstances", Some("<r/>"));
    assert!(all.contains("<DBInstance><DBInstanceIdentifier>a1<"), "{all}");
    assert!(bench.create(919.0, "us-east-1", "DBInstance", "a1", "").contains("DBInstanceAlreadyExists"));
    assert!(bench.delete(919.0, "us-east-1", "DBInstance", "a1").contains("already being deleted"));
    assert!(bench.ask(921.0, "us-east-1", by_name, None).contains("NotFound"));
}

#[test]
fn every_region_sees_a_global_cluster_being_created() {
    let bench = Bench::new();
    bench.create(0.0, "us-east-1", "GlobalCluster", "g", "");
    let item = "<GlobalClusterMember><GlobalClusterIdentifier>g</GlobalClusterIdentifier></GlobalClusterMember>";
    let emulated = format!(
        "<r><DescribeGlobalClustersResult><GlobalClusters>{item}</GlobalClusters></DescribeGlobalClustersResult></r>"
    );
    let shown = |seconds| bench.ask(seconds, "us-east-2", "Action=DescribeGlobalClusters", Some(&emulated));
    assert!(shown(7.0).contains(">creating<"));
    assert!(!shown(9.0).contains(">creating<"));
}
