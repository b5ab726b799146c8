//! The rules with an emulator that has a global database `g` of `a` in us-east-1, which writes, and `b` in us-east-2.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::rules::faults::FaultFile;
use crate::rules::rule::tests::{Scripted, ok, text};
use crate::sync::lock;
use crate::wire::call::Protocol;
use crate::wire::call::tests::ec2;
use crate::world::World;

const ACCOUNT: &str = "111122223333";
const HOME: &str = "us-east-1";
const AWAY: &str = "us-east-2";
const A: &str = "arn:aws:rds:us-east-1:111122223333:cluster:a";
const B: &str = "arn:aws:rds:us-east-2:111122223333:cluster:b";
/// A cluster that is in no global database.
const ALONE: &str = "arn:aws:rds:us-east-2:111122223333:cluster:alone";

/// What a test changes in the emulator.
#[derive(Debug, Clone)]
struct Emulated {
    writer: String,
    version_of_b: &'static str,
    status_of_b: &'static str,
    instances_of_b: &'static [(&'static str, &'static str)],
}

struct Bench {
    world: World,
    faults: Arc<Faults>,
    rules: Vec<Box<dyn Rule>>,
    emulated: Arc<std::sync::Mutex<Emulated>>,
    origin: Scripted,
}

impl Bench {
    fn new(scale: Option<f64>) -> Self {
        let world = World::new(None, scale);
        let faults = Arc::new(Faults::default());
        let emulated = Arc::new(std::sync::Mutex::new(Emulated {
            writer: A.to_owned(),
            version_of_b: "17.7",
            status_of_b: "available",
            instances_of_b: &[("b1", "available")],
        }));
        let state = Arc::clone(&emulated);
        let origin = Scripted::new(move |call| emulate(&mut lock(&state), call));
        Self { rules: rules(&world.databases, &faults), world, faults, emulated, origin }
    }

    fn with(change: impl FnOnce(&mut Emulated)) -> Self {
        let bench = Self::new(None);
        change(&mut lock(&bench.emulated));
        bench
    }

    async fn ask(&self, region: &str, body: &str) -> String {
        let mut call = ec2(ACCOUNT, region, body);
        "rds".clone_into(&mut call.service);
        call.protocol = Protocol::Query;
        text(&Next::new(&self.rules, &self.origin).run(&mut call).await)
    }

    async fn refused(&self, region: &str, body: &str, code: &str, message: &str) {
        let answer = self.ask(region, body).await;
        assert!(answer.contains(&format!("<Code>{code}</Code>")) && answer.contains(message), "{body}: {answer}");
    }

    fn order(&self, region: &str, is: &str) {
        let orders = serde_json::from_value(json!({region: {"is": is}})).expect("orders");
        self.world.regions.order(None, &orders).expect("taken");
    }

    /// The texts of the events that a call lists.
    async fn events(&self, region: &str, more: &str) -> Vec<String> {
        let answer = self.ask(region, &format!("Action=DescribeEvents{more}")).await;
        let root = Element::parse(answer.as_bytes()).expect("XML");
        let messages = root.at(&["DescribeEventsResult", "Events", "Event", "Message"]);
        messages.into_iter().map(|message| message.text().to_owned()).collect()
    }

    /// The identifier of the only system snapshot in a Region.
    async fn lost_snapshot(&self, region: &str) -> String {
        let listed = self.ask(region, "Action=DescribeDBClusterSnapshots&SnapshotType=automated").await;
        let root = Element::parse(listed.as_bytes()).expect("XML");
        let path = ["DescribeDBClusterSnapshotsResult", "DBClusterSnapshots", "DBClusterSnapshot"];
        let found = root.at(&path);
        assert_eq!(found.len(), 1, "{listed}");
        found[0].text_of("DBClusterSnapshotIdentifier").expect("an id").to_owned()
    }
}

fn emulate(state: &mut Emulated, call: &Call) -> Answer {
    let is_home = call.region == HOME;
    let member = |arn: &str| {
        let is_writer = arn == state.writer;
        format!(
            "<GlobalClusterMember><DBClusterArn>{arn}</DBClusterArn><IsWriter>{is_writer}</IsWriter>\
             <SynchronizationStatus>connected</SynchronizationStatus></GlobalClusterMember>"
        )
    };
    let cluster = |arn: &str, version: &str, status: &str, instances: &[(&str, &str)]| {
        let members = instances.iter().map(|(name, _)| {
            format!("<DBClusterMember><DBInstanceIdentifier>{name}</DBInstanceIdentifier></DBClusterMember>")
        });
        format!(
            "<DBCluster><DBClusterIdentifier>{}</DBClusterIdentifier><DBClusterArn>{arn}</DBClusterArn>\
             <Engine>aurora-postgresql</Engine><EngineVersion>{version}</EngineVersion><Status>{status}</Status>\
             <MasterUsername>owner</MasterUsername><Port>5432</Port><StorageEncrypted>true</StorageEncrypted>\
             <KmsKeyId>key</KmsKeyId><DBClusterMembers>{}</DBClusterMembers></DBCluster>",
            arn.rsplit(':').next().unwrap_or_default(),
            members.collect::<String>()
        )
    };
    let content = match call.operation.as_str() {
        "DescribeGlobalClusters" => format!(
            "<GlobalClusters><GlobalClusterMember><GlobalClusterIdentifier>g</GlobalClusterIdentifier><Status>available</Status>\
             <GlobalClusterMembers>{}{}</GlobalClusterMembers></GlobalClusterMember></GlobalClusters>",
            member(A),
            member(B)
        ),
        "DescribeDBClusters" if is_home => {
            format!("<DBClusters>{}</DBClusters>", cluster(A, "17.7", "available", &[("a1", "available")]))
        }
        "DescribeDBClusters" => {
            let b = cluster(B, state.version_of_b, state.status_of_b, state.instances_of_b);
            format!("<DBClusters>{b}{}</DBClusters>", cluster(ALONE, "17.7", "available", &[]))
        }
        "DescribeDBInstances" => {
            let here = if is_home { &[("a1", "available")] } else { state.instances_of_b };
            let instances = here.iter().map(|(name, status)| {
                format!(
                    "<DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier><DBInstanceStatus>{status}\
                     </DBInstanceStatus></DBInstance>"
                )
            });
            format!("<DBInstances>{}</DBInstances>", instances.collect::<String>())
        }
        "FailoverGlobalCluster" => {
            call.form().get("TargetDbClusterIdentifier").unwrap_or_default().clone_into(&mut state.writer);
            String::new()
        }
        "DescribeDBClusterSnapshots" => {
            if call.form().get("SnapshotType") == Some("automated") {
                return ok("<r><DescribeDBClusterSnapshotsResult/></r>");
            }
            let id = call.form().get("DBClusterSnapshotIdentifier").unwrap_or("manual");
            if id != "manual" {
                let status = http::StatusCode::NOT_FOUND;
                return Answer::refusal(call, status, "DBClusterSnapshotNotFoundFault", "of the emulator");
            }
            "<DBClusterSnapshots><DBClusterSnapshot><DBClusterSnapshotIdentifier>manual</DBClusterSnapshotIdentifier>\
             <SnapshotType>manual</SnapshotType></DBClusterSnapshot></DBClusterSnapshots>"
                .to_owned()
        }
        "DescribeEvents" if call.form().get("Duration") == Some("x") => {
            return Answer::client_error(call, "InvalidParameterValue", "Invalid");
        }
        "DescribeEvents" => {
            // Two pages of one event each, from long ago.
            let (page, marker) = match call.forwarded_form().get("Marker") {
                None => ("1", "<Marker>more</Marker>"),
                Some(_) => ("2", ""),
            };
            format!(
                "<Events><Event><Message>reboot {page}</Message><Date>2020-01-0{page}T00:00:00.000Z</Date></Event></Events>{marker}"
            )
        }
        "CreateDBCluster" => format!(
            "<DBCluster><DBClusterIdentifier>r</DBClusterIdentifier><DBClusterArn>arn:aws:rds:{}:{ACCOUNT}:cluster:r\
             </DBClusterArn></DBCluster>",
            call.region
        ),
        _ => "<Carried>out</Carried>".to_owned(),
    };
    ok(&format!("<r><{0}Result>{content}</{0}Result></r>", call.operation))
}

fn switch(target: &str) -> String {
    format!("Action=SwitchoverGlobalCluster&GlobalClusterIdentifier=g&TargetDbClusterIdentifier={target}")
}

fn fail_over(target: &str) -> String {
    format!(
        "Action=FailoverGlobalCluster&GlobalClusterIdentifier=g&TargetDbClusterIdentifier={target}&AllowDataLoss=true"
    )
}

const GLOBALS: &str = "Action=DescribeGlobalClusters";

/// The members of `g` that write, and its status, as a Region shows them.
async fn shown(bench: &Bench, region: &str) -> (Vec<String>, String) {
    let answer = bench.ask(region, GLOBALS).await;
    let root = Element::parse(answer.as_bytes()).expect("XML");
    let global = root.at(&["DescribeGlobalClustersResult", "GlobalClusters", "GlobalClusterMember"])[0].clone();
    let members = global.at(&["GlobalClusterMembers", "GlobalClusterMember"]).into_iter();
    let writers = members.filter(|member| member.text_of("IsWriter") == Some("true"));
    let writers = writers.map(|member| member.text_of("DBClusterArn").unwrap_or_default().to_owned()).collect();
    (writers, global.text_of("Status").unwrap_or_default().to_owned())
}

#[tokio::test]
async fn in_the_instant_pace_the_writer_has_moved_when_the_call_is_answered() {
    for (body, region, loses_data, status) in [
        (switch(B), HOME, false, "switching-over"),
        (fail_over(B), AWAY, true, "failing-over"),
        // Without the consent to lose data, it is a switchover.
        (fail_over(B).replace("AllowDataLoss=true", "AllowDataLoss=false"), HOME, false, "switching-over"),
        (
            fail_over(B).replace("AllowDataLoss", "Switchover").replace("Identifier=g&", "Identifier=G&"),
            HOME,
            false,
            "switching-over",
        ),
    ] {
        let bench = Bench::new(None);
        let answer = bench.ask(region, &body).await;
        // The answer shows the beginning.
        for part in [
            format!("<GlobalCluster><GlobalClusterIdentifier>g</GlobalClusterIdentifier><Status>{status}</Status>"),
            format!(
                "<Status>pending</Status><FromDbClusterArn>{A}</FromDbClusterArn><ToDbClusterArn>{B}</ToDbClusterArn>"
            ),
            format!("<IsDataLossAllowed>{loses_data}</IsDataLossAllowed>"),
        ] {
            assert!(answer.contains(&part), "{body}: {part}: {answer}");
        }
        for region in [HOME, AWAY] {
            assert_eq!(shown(&bench, region).await, (vec![B.to_owned()], "available".to_owned()));
        }
        let told = bench.origin.asked().into_iter().filter(|body| body.contains("FailoverGlobalCluster")).count();
        assert_eq!(told, 1, "the emulator is told once");
        assert!(!bench.ask(HOME, GLOBALS).await.contains("FailoverState"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_in_progress_is_shown_and_keeps_changes_away() {
    let bench = Bench::new(Some(1.0));
    bench.ask(HOME, &switch(B)).await;
    tokio::time::sleep(std::time::Duration::from_secs(40)).await;
    assert_eq!(shown(&bench, AWAY).await, (vec![A.to_owned()], "switching-over".to_owned()));
    assert!(bench.ask(AWAY, GLOBALS).await.contains("<FailoverState><Status>switching-over</Status>"));
    assert!(bench.ask(HOME, "Action=DescribeDBClusters").await.contains("<Status>modifying</Status>"));
    let away = bench.ask(AWAY, "Action=DescribeDBClusters").await;
    assert!(away.contains("<Status>modifying</Status>") && away.contains("<Status>available</Status>"), "{away}");
    assert!(bench.ask(AWAY, "Action=DescribeDBInstances").await.contains("<DBInstanceStatus>rebooting<"));
    for (region, body, code) in [
        (HOME, switch(B), "InvalidGlobalClusterStateFault"),
        (AWAY, fail_over(B), "InvalidGlobalClusterStateFault"),
        (HOME, "Action=ModifyGlobalCluster&GlobalClusterIdentifier=g".to_owned(), "InvalidGlobalClusterStateFault"),
        (
            HOME,
            format!("Action=RemoveFromGlobalCluster&GlobalClusterIdentifier=g&DbClusterIdentifier={B}"),
            "InvalidGlobalClusterStateFault",
        ),
        (AWAY, "Action=ModifyDBCluster&DBClusterIdentifier=b".to_owned(), "InvalidDBClusterStateFault"),
        (AWAY, "Action=DeleteDBInstance&DBInstanceIdentifier=b1".to_owned(), "InvalidDBInstanceState"),
    ] {
        bench.refused(region, &body, code, "being switched").await;
    }
    for body in ["Action=ModifyDBCluster&DBClusterIdentifier=alone", "Action=DeleteDBInstance&DBInstanceIdentifier=c1"]
    {
        assert!(bench.ask(AWAY, body).await.contains("<Carried>out"), "{body}");
    }
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(shown(&bench, AWAY).await, (vec![B.to_owned()], "available".to_owned()));
    assert!(bench.ask(AWAY, "Action=ModifyDBCluster&DBClusterIdentifier=b").await.contains("<Carried>out"));
}

#[tokio::test]
async fn what_cannot_be_switched_is_refused_and_nothing_is_changed() {
    let both = format!("{}&Switchover=false", fail_over(B));
    let unknown = switch(B).replace("Identifier=g&", "Identifier=h&");
    let nowhere = "arn:aws:rds:us-east-2:111122223333:cluster:none";
    let state = "InvalidGlobalClusterStateFault";
    for (region, body, code, message) in [
        (AWAY, both.as_str(), "InvalidParameterCombination", "cannot both be specified"),
        (HOME, &unknown, "GlobalClusterNotFoundFault", "Global cluster h not found"),
        (HOME, "Action=SwitchoverGlobalCluster&GlobalClusterIdentifier=g", "MissingParameter", "TargetDbCluster"),
        (HOME, &switch("b"), "DBClusterNotFoundFault", "DBCluster b not found."),
        (AWAY, &fail_over("b"), "DBClusterNotFoundFault", "DBCluster b not found."),
        (HOME, &switch(nowhere), "DBClusterNotFoundFault", "none not found"),
        (HOME, &switch(ALONE), state, "is not a secondary DB cluster"),
        (HOME, &switch(A), state, "is already the primary DB cluster"),
        (HOME, &fail_over(A), state, "is already the primary DB cluster"),
        (AWAY, &switch(B), "InternalFailure", "An internal error has occurred."),
        (HOME, &fail_over(B), "InternalFailure", "An internal error has occurred."),
    ] {
        let bench = Bench::new(None);
        bench.refused(region, body, code, message).await;
        assert_eq!(shown(&bench, HOME).await, (vec![A.to_owned()], "available".to_owned()), "{body}");
    }
    let changes: BTreeMap<&str, fn(&mut Emulated)> = BTreeMap::from([
        ("must have the same major and minor", (|emulated| emulated.version_of_b = "17.9") as fn(&mut Emulated)),
        ("has no DB instance", |emulated| emulated.instances_of_b = &[]),
        ("it is modifying", |emulated| emulated.status_of_b = "modifying"),
        ("its DB instance is creating", |emulated| emulated.instances_of_b = &[("b1", "creating")]),
    ]);
    for (message, change) in changes {
        let bench = Bench::with(change);
        let code = if message.starts_with("must") { state } else { "InvalidDBClusterStateFault" };
        bench.refused(HOME, &switch(B), code, message).await;
        bench.refused(AWAY, &fail_over(B), code, message).await;
    }
    let patched = Bench::with(|emulated| emulated.version_of_b = "17.7.3");
    assert!(patched.ask(HOME, &switch(B)).await.contains("<Status>pending</Status>"), "patch levels may differ");
}

#[tokio::test]
async fn a_cluster_that_a_failover_left_behind_is_no_target_until_it_is_synchronised() {
    let bench = Bench::new(None);
    bench.order(HOME, "out");
    bench.ask(AWAY, &fail_over(B)).await;
    let behind = bench.ask(AWAY, GLOBALS).await;
    assert_eq!(behind.matches("<SynchronizationStatus>pending-resync<").count(), 1, "{behind}");
    bench.refused(AWAY, &switch(A), "InvalidDBClusterStateFault", "still being resynchronized").await;
    bench.order(HOME, "up");
    bench.world.databases.at_rest(ACCOUNT).await;
    while bench.world.databases.is_behind(ACCOUNT, A) {
        tokio::task::yield_now().await;
    }
    assert!(!bench.ask(AWAY, GLOBALS).await.contains("pending-resync"));
    assert!(bench.ask(AWAY, &switch(A)).await.contains("<Status>pending</Status>"));
    assert_eq!(shown(&bench, HOME).await.0, [A]);
}

#[tokio::test(start_paused = true)]
async fn the_course_is_chosen_in_the_fault_file() {
    let bench = Bench::new(None);
    let put = |text: &str| bench.faults.put(Some(ACCOUNT), &FaultFile::parse(text).expect("a fault file"));
    put("[aurora]\nswitchover = \"fails\"");
    bench.ask(HOME, &switch(B)).await;
    assert_eq!(shown(&bench, HOME).await.0, [A]);
    put("[aurora]\nswitchover = \"stuck\"");
    bench.ask(HOME, &switch(B)).await;
    assert_eq!(shown(&bench, HOME).await, (vec![A.to_owned()], "switching-over".to_owned()));
    bench.faults.lift(Some(ACCOUNT));
    bench.world.databases.at_rest(ACCOUNT).await;
    while bench.world.databases.progress(ACCOUNT, "g").is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(&bench, HOME).await.0, [B]);
}

#[tokio::test]
async fn events_are_listed_as_they_are_asked_for() {
    let bench = Bench::new(None);
    bench.ask(AWAY, &fail_over(B)).await;
    let completed = "Global failover to DB cluster b in Region us-east-2 completed.";
    let endpoint = "Aurora finished changing the DNS name that the global writer endpoint resolves to.";
    assert_eq!(bench.events(AWAY, "").await, ["reboot 1", "reboot 2", completed, endpoint]);
    let fence = "Attempt to block writes for DB cluster a in Region us-east-1 succeeded.";
    let of_instances = bench.events(HOME, "&SourceType=db-instance&SourceIdentifier=a1").await;
    assert_eq!(of_instances, ["reboot 1", "reboot 2", fence]);
    let of_clusters = bench.events(HOME, "&SourceType=db-cluster&SourceIdentifier=a").await;
    assert_eq!(of_clusters.len(), 2 + 4, "{of_clusters:?}");
    for (more, found) in [
        ("&SourceType=db-cluster&SourceIdentifier=other", 0),
        ("&EventCategories.EventCategory.1=failover", 0),
        ("&EventCategories.EventCategory.1=failover&EventCategories.EventCategory.2=global-failover", 2),
        ("&EventCategories.member.1=notification", 3),
        ("&EndTime=2020-01-03T00%3A00%3A00Z", 0),
        ("&StartTime=2020-01-03T00%3A00%3A00", 5),
        ("&StartTime=2100-01-03T00%3A00%3A00Z", 0),
        ("&Duration=0", 0),
        ("&Duration=1", 5),
    ] {
        assert_eq!(bench.events(HOME, more).await.len(), 2 + found, "{more}");
    }
    bench.refused(HOME, "Action=DescribeEvents&Duration=x", "InvalidParameterValue", "Invalid").await;
    bench.refused(HOME, "Action=DescribeEvents&Marker=x", "InvalidParameterValue", "The marker x").await;
    let first = bench.ask(HOME, "Action=DescribeEvents&MaxRecords=3").await;
    assert!(first.contains("<Marker>3</Marker>") && first.matches("<Event>").count() == 3, "{first}");
    let rest = bench.ask(HOME, "Action=DescribeEvents&MaxRecords=3&Marker=6").await;
    assert!(!rest.contains("<Marker>") && rest.contains("Finished resynchronizing"), "{rest}");
}

#[tokio::test]
async fn lost_writes_are_in_a_system_snapshot_that_can_be_copied_and_restored() {
    let bench = Bench::new(None);
    bench.ask(AWAY, &fail_over(B)).await;
    let id = bench.lost_snapshot(HOME).await;
    assert!(id.starts_with("rds:unplanned-global-failover-a-"), "{id}");
    let describe = |id: &str| format!("Action=DescribeDBClusterSnapshots&DBClusterSnapshotIdentifier={id}");
    let by_id = bench.ask(HOME, &format!("{}&SnapshotType=automated", describe(&id))).await;
    assert!(by_id.contains("<DBClusterIdentifier>a<") && by_id.contains("<MasterUsername>owner<"), "{by_id}");
    bench.refused(HOME, &describe(&id), "DBClusterSnapshotNotFoundFault", "").await;
    let all = bench.ask(HOME, "Action=DescribeDBClusterSnapshots&DBClusterIdentifier=a").await;
    assert!(all.contains(&id) && all.contains(">manual<"), "{all}");
    assert!(!bench.ask(AWAY, "Action=DescribeDBClusterSnapshots").await.contains(&id));
    let delete = |id: &str| format!("Action=DeleteDBClusterSnapshot&DBClusterSnapshotIdentifier={id}");
    bench.refused(HOME, &delete(&id), "InvalidDBClusterSnapshotStateFault", "Only manual snapshots").await;

    let copy = |source: &str, target: &str| {
        format!(
            "Action=CopyDBClusterSnapshot&SourceDBClusterSnapshotIdentifier={source}&TargetDBClusterSnapshotIdentifier={target}"
        )
    };
    let copied = bench.ask(HOME, &format!("{}&Tags.Tag.1.Key=k&Tags.Tag.1.Value=v", copy(&id, "kept"))).await;
    assert!(copied.contains("<SnapshotType>manual<") && copied.contains("<Key>k</Key>"), "{copied}");
    assert!(bench.ask(HOME, &describe("kept")).await.contains("cluster-snapshot:kept<"));
    bench.refused(HOME, &copy(&id, "kept"), "DBClusterSnapshotAlreadyExistsFault", "kept").await;
    let again = "Action=CreateDBClusterSnapshot&DBClusterIdentifier=a&DBClusterSnapshotIdentifier=kept";
    bench.refused(HOME, again, "DBClusterSnapshotAlreadyExistsFault", "kept").await;
    bench.refused(HOME, &copy("none", "c"), "DBClusterSnapshotNotFoundFault", "none").await;
    let arn = format!("arn:aws:rds:{HOME}:{ACCOUNT}:cluster-snapshot:{id}");
    bench.refused(AWAY, &copy(&arn, "c"), "InvalidParameterCombination", "KmsKeyId").await;
    let crossed = bench.ask(AWAY, &format!("{}&KmsKeyId=there", copy(&arn, "c"))).await;
    assert!(crossed.contains("<KmsKeyId>there<") && crossed.contains("us-east-2:111122223333:cluster-snapshot:c<"));
    bench.order(HOME, "out");
    bench.refused(AWAY, &format!("{}&KmsKeyId=there", copy(&arn, "d")), "ServiceUnavailable", "us-east-1").await;
    bench.order(HOME, "up");

    let restore =
        "Action=RestoreDBClusterFromSnapshot&DBClusterIdentifier=r&Engine=aurora-postgresql&SnapshotIdentifier=kept";
    let restored = bench.ask(HOME, &format!("{restore}&DBSubnetGroupName=nets")).await;
    assert!(restored.contains("<RestoreDBClusterFromSnapshotResult><DBCluster>"), "{restored}");
    let created = bench.origin.asked().pop().expect("asked");
    for part in ["Action=CreateDBCluster&", "DBSubnetGroupName=nets", "MasterUsername=owner", "EngineVersion=17.7"] {
        assert!(created.contains(part), "{part}: {created}");
    }
    assert!(!created.contains("SnapshotIdentifier"), "{created}");

    assert!(bench.ask(HOME, &delete("kept")).await.contains("<Status>deleted<"));
    bench.refused(HOME, &describe("kept"), "DBClusterSnapshotNotFoundFault", "of the emulator").await;
    assert!(bench.ask(HOME, &delete("manual")).await.contains("<Carried>out"));
    // It dies with the automated backups of its cluster.
    bench.ask(HOME, "Action=DeleteDBCluster&DBClusterIdentifier=a&DeleteAutomatedBackups=false").await;
    assert_eq!(bench.lost_snapshot(HOME).await, id);
    bench.ask(HOME, "Action=DeleteDBCluster&DBClusterIdentifier=a").await;
    assert!(!bench.ask(HOME, "Action=DescribeDBClusterSnapshots").await.contains(&id));
}

#[tokio::test]
async fn nothing_is_left_in_an_emptied_account() {
    let bench = Bench::new(None);
    bench.order(HOME, "out");
    bench.ask(AWAY, &fail_over(B)).await;
    for rule in &bench.rules {
        rule.reset();
    }
    let answer = bench.ask(AWAY, GLOBALS).await;
    assert!(!answer.contains("pending-resync"), "{answer}");
    assert_eq!(bench.events(AWAY, "").await, ["reboot 1", "reboot 2"]);
}
