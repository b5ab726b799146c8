//! Operations on a global database of `a` in us-east-1, which writes, and `b` in us-east-2.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use serde_json::json;
use tokio::time::Instant;

use super::databases::GlobalDatabases;
use super::lost::{SnapshotData, SnapshotName};
use super::operation::{Course, Ending, Fence, Lasting, Member, Order, Phase};
use super::servers::{Done, LostWrites, MemberPosition, Rejoined, Servers};
use crate::sync::lock;
use crate::world::regions::{Place, Regions};

const ACCOUNT: &str = "111122223333";
const HOME: &str = "us-east-1";
const AWAY: &str = "us-east-2";
const DAY: u64 = 24 * 60 * 60;

fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:rds:{region}:{ACCOUNT}:cluster:{name}")
}

fn member(region: &str, name: &str) -> Member {
    Member::of(&arn(region, name), vec![format!("{name}1")]).expect("an ARN")
}

/// Servers that record what they were told, and when.
#[derive(Debug)]
struct Recorded {
    began: Instant,
    regions: Regions,
    told: Mutex<Vec<String>>,
    /// What fails the next time.
    fails: Mutex<Option<&'static str>>,
    /// How many bytes the readers are behind at the next looks.
    lags: Mutex<VecDeque<u64>>,
    /// The snapshot that waits for its Region.
    wanted: Mutex<Option<String>>,
}

impl Recorded {
    fn tell<T: Send + 'static>(&self, what: &'static str, cluster: &str, value: T) -> Done<'static, T> {
        let name = cluster.rsplit(':').next().unwrap_or_default();
        lock(&self.told).push(format!("{}: {what} {name}", self.began.elapsed().as_secs()));
        let mut fails = lock(&self.fails);
        let result = if *fails == Some(what) { Err(format!("cannot {what}")) } else { Ok(value) };
        if result.is_err() {
            *fails = None;
        }
        async { result }.boxed()
    }
}

impl Servers for Recorded {
    fn switch_over<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str, to: &'a str) -> Done<'a, ()> {
        self.tell("switch over", to, ())
    }

    fn fail_over<'a>(
        &'a self,
        account: &'a str,
        _: &'a str,
        from: &'a str,
        to: &'a str,
        lost: Option<&'a str>,
    ) -> Done<'a, LostWrites> {
        let place = |arn: &'a str| Place { region: arn.split(':').nth(3).unwrap_or_default(), service: "rds" };
        if self.regions.connects(account, place(from), place(to)) {
            return self.tell("fail over", to, LostWrites::Kept);
        }
        *lock(&self.wanted) = lost.map(str::to_owned);
        self.tell("fail over", to, LostWrites::Later)
    }

    fn rejoin<'a>(&'a self, _: &'a str, _: &'a str, cluster: &'a str) -> Done<'a, Rejoined> {
        let snapshot = lock(&self.wanted).take();
        self.tell("rejoin", cluster, Rejoined { snapshot, copied: None })
    }

    fn fence<'a>(&'a self, _: &'a str, cluster: &'a str) -> Done<'a, ()> {
        self.tell("fence", cluster, ())
    }

    fn unfence<'a>(&'a self, _: &'a str, cluster: &'a str) -> Done<'a, ()> {
        self.tell("unfence", cluster, ())
    }

    fn positions<'a>(&'a self, _: &'a str, _: &'a str) -> Done<'a, Vec<MemberPosition>> {
        let lag = lock(&self.lags).pop_front().unwrap_or_default();
        let position = MemberPosition {
            arn: "b".to_owned(),
            is_writer: false,
            lsn: Some(0),
            lag_bytes: Some(lag),
            age: Some(Duration::from_millis(lag)),
            connected: true,
        };
        async { Ok(vec![position]) }.boxed()
    }
}

impl SnapshotData for Recorded {
    fn copy<'a>(&'a self, _: &'a str, from: SnapshotName<'a>, _: SnapshotName<'a>) -> Done<'a, ()> {
        self.tell("copy", from.id, ())
    }

    fn delete<'a>(&'a self, _: &'a str, _: SnapshotName<'a>) -> Done<'a, ()> {
        self.tell("delete", "the snapshot", ())
    }

    fn restore<'a>(&'a self, _: &'a str, _: SnapshotName<'a>, cluster: &'a str) -> Done<'a, ()> {
        self.tell("restore", cluster, ())
    }
}

struct Bench {
    began: Instant,
    regions: Regions,
    servers: Arc<Recorded>,
    databases: GlobalDatabases,
}

impl Bench {
    fn new(scale: Option<f64>) -> Self {
        let (began, regions) = (Instant::now(), Regions::default());
        let servers = Arc::new(Recorded {
            began,
            regions: regions.clone(),
            told: Mutex::default(),
            fails: Mutex::default(),
            lags: Mutex::default(),
            wanted: Mutex::default(),
        });
        let databases = GlobalDatabases::new(regions.clone(), servers.clone(), servers.clone(), scale);
        Self { began, regions, servers, databases }
    }

    fn order(&self, region: &str, is: &str) {
        let orders = serde_json::from_value(json!({region: {"is": is}})).expect("orders");
        self.regions.order(None, &orders).expect("taken");
    }

    fn start(&self, loses_data: bool, course: Course) -> bool {
        let order = Order {
            account: ACCOUNT.to_owned(),
            global: "g".to_owned(),
            from: member(HOME, "a"),
            to: member(AWAY, "b"),
            others: Vec::new(),
            loses_data,
            retention: Duration::from_secs(DAY),
            course,
        };
        self.databases.start(order, std::future::pending().boxed())
    }

    /// Waits until this second of the test.
    async fn at(&self, seconds: u64) {
        tokio::time::sleep_until(self.began + Duration::from_secs(seconds)).await;
        // Whatever is due at the same moment comes first.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn phase(&self) -> Option<Phase> {
        self.databases.progress(ACCOUNT, "g").map(|progress| progress.phase)
    }

    /// The numbers of the events in a Region.
    fn events(&self, region: &str) -> Vec<String> {
        let events = self.databases.events(ACCOUNT, region);
        events.iter().map(|event| event.id.replace("RDS-EVENT-0", "")).collect()
    }

    fn told(&self) -> Vec<String> {
        lock(&self.servers.told).clone()
    }

    fn moved(&self) -> bool {
        self.databases.moved(ACCOUNT) == [("g".to_owned(), arn(AWAY, "b"))]
    }
}

const BOTH: [&str; 4] = ["181", "182", "184", "185"];

#[tokio::test(start_paused = true)]
async fn a_switchover_goes_through_aws_stages() {
    let bench = Bench::new(Some(1.0));
    assert!(bench.start(false, Course::default()));
    bench.at(4).await;
    assert_eq!((bench.phase(), bench.databases.cluster_status(ACCOUNT, HOME, "a")), (Some(Phase::Pending), None));
    bench.at(6).await;
    assert_eq!(bench.phase(), Some(Phase::SwitchingOver));
    assert_eq!(bench.databases.cluster_status(ACCOUNT, AWAY, "b"), Some("modifying"));
    assert_eq!(bench.databases.instance_status(ACCOUNT, AWAY, "b1"), None);
    bench.at(31).await;
    assert_eq!(bench.databases.instance_status(ACCOUNT, HOME, "a1"), Some("rebooting"));
    assert_eq!(bench.databases.instance_status(ACCOUNT, HOME, "other"), None);
    bench.at(51).await;
    assert_eq!(bench.told(), ["30: fence a", "50: switch over b"]);
    assert_eq!(bench.databases.instance_status(ACCOUNT, HOME, "a1"), None);
    assert!(bench.phase().is_some() && !bench.moved(), "who writes is shown late");
    bench.at(65).await;
    assert!(bench.phase().is_none() && bench.moved());
    assert_eq!(bench.events(HOME), BOTH);
    assert_eq!(bench.events(AWAY), [&BOTH[..], &["397"]].concat());
    let first = &bench.databases.events(ACCOUNT, HOME)[0];
    assert_eq!(first.message, "Global switchover to DB cluster b in Region us-east-2 started.");
    assert_eq!((first.source_type, first.source.as_str(), &first.source_arn), ("db-cluster", "a", &arn(HOME, "a")));
    bench.databases.told(ACCOUNT, "g");
    assert!(!bench.moved() && !bench.databases.is_behind(ACCOUNT, &arn(HOME, "a")));
}

#[tokio::test(start_paused = true)]
async fn time_is_scaled_and_the_worst_takes_longer() {
    for (durations, scale, seconds) in [(Lasting::Typical, 10.0, 6.5), (Lasting::Worst, 10.0, 15.5)] {
        let bench = Bench::new(Some(scale));
        bench.start(false, Course { durations, ..Course::default() });
        bench.databases.at_rest(ACCOUNT).await;
        let took = bench.began.elapsed().as_secs_f64();
        assert!((took - seconds).abs() < 0.1, "{took}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failover_works_without_the_old_region_which_is_rebuilt_when_it_is_back() {
    let bench = Bench::new(Some(1.0));
    bench.order(HOME, "out");
    bench.start(true, Course::default());
    bench.at(6).await;
    assert_eq!(bench.phase(), Some(Phase::FailingOver));
    bench.at(89).await;
    assert!(!bench.moved());
    bench.at(90).await;
    assert!(bench.moved() && bench.phase().is_none());
    assert_eq!(bench.told(), ["75: fail over b"], "what is not reached is not fenced");
    assert_eq!((bench.events(HOME), bench.events(AWAY)), (vec![], vec!["391".into(), "238".into(), "397".into()]));
    let fence = &bench.databases.events(ACCOUNT, AWAY)[0];
    assert_eq!((fence.source_type, fence.source.as_str()), ("db-instance", "b1"));
    assert_eq!(fence.message, "Attempt to block writes for DB cluster a in Region us-east-1 timed out.");

    bench.at(5000).await;
    let is_behind = || bench.databases.is_behind(ACCOUNT, &arn(HOME, "a"));
    assert!(is_behind() && bench.databases.lost(ACCOUNT, HOME).is_empty());
    assert_eq!(bench.databases.cluster_status(ACCOUNT, HOME, "a"), None);
    bench.order(HOME, "up");
    bench.at(5001).await;
    let lost = bench.databases.lost(ACCOUNT, HOME);
    assert!(lost.len() == 1 && lost[0].id.starts_with("rds:unplanned-global-failover-a-20"), "{lost:?}");
    assert_eq!(bench.databases.cluster_status(ACCOUNT, HOME, "a"), Some("modifying"));
    assert!(is_behind() && bench.told().contains(&"5000: rejoin a".to_owned()));
    bench.at(6801).await;
    assert!(!is_behind());
    assert_eq!(bench.events(HOME), ["240", "512", "513", "241"]);
    bench.at(5000 + DAY - 1).await;
    assert_eq!(bench.databases.lost(ACCOUNT, HOME).len(), 1);
    bench.at(5001 + DAY).await;
    assert!(bench.databases.lost(ACCOUNT, HOME).is_empty(), "it is deleted with the old primary's retention");
    assert!(bench.told().last().is_some_and(|last| last.ends_with("delete the snapshot")));
}

#[tokio::test(start_paused = true)]
async fn the_old_primary_is_fenced_if_it_is_reached() {
    for (fence, event, told) in [
        (Fence::Holds, "390", &["5: fence a", "75: fail over b", "90: rejoin a"][..]),
        (Fence::TimesOut, "391", &["75: fail over b", "90: rejoin a"]),
    ] {
        let bench = Bench::new(Some(1.0));
        bench.start(true, Course { fence, ..Course::default() });
        bench.at(91).await;
        assert_eq!(bench.told(), told);
        assert_eq!(bench.events(HOME), [event, "240", "512"]);
        assert_eq!(bench.databases.events(ACCOUNT, HOME)[0].source, "a1");
        assert_eq!(bench.databases.lost(ACCOUNT, HOME).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_switchover_waits_for_a_region_and_is_given_up() {
    let bench = Bench::new(Some(1.0));
    bench.order(AWAY, "isolated");
    bench.start(false, Course::default());
    bench.at(600).await;
    assert_eq!(bench.phase(), Some(Phase::Pending));
    bench.at(606).await;
    assert_eq!(bench.phase(), Some(Phase::Cancelling));
    bench.at(611).await;
    assert!(bench.phase().is_none() && !bench.moved());
    assert_eq!(bench.events(HOME), ["181", "186"]);
    assert!(bench.start(false, Course::default()));
    bench.at(700).await;
    bench.order(AWAY, "up");
    bench.at(761).await;
    assert!(bench.moved() && bench.told().len() == 2);
}

#[tokio::test(start_paused = true)]
async fn how_operations_end_can_be_chosen() {
    for (loses_data, ending, phase, home, away) in [
        (false, Ending::Stuck, Some(Phase::Pending), &["181"][..], &["181"][..]),
        (false, Ending::Cancelled, None, &["181", "186"], &["181", "186"]),
        (false, Ending::Fails, None, &["181", "187"], &["181", "187"]),
        (true, Ending::Stuck, Some(Phase::Pending), &[], &[]),
        (true, Ending::Fails, None, &["390"], &["239"]),
    ] {
        let bench = Bench::new(Some(1.0));
        bench.start(loses_data, Course { switchover: ending, failover: ending, ..Course::default() });
        bench.at(1000).await;
        assert_eq!((bench.phase(), bench.moved()), (phase, false), "{loses_data} {ending:?}");
        assert_eq!((bench.events(HOME), bench.events(AWAY)), (own(home), own(away)), "{loses_data} {ending:?}");
        let told = bench.told();
        assert!(!told.iter().any(|what| what.contains("over")), "{told:?}");
        assert_eq!(told.len(), if home == ["390"] { 2 } else { 0 }, "a fence is lifted: {told:?}");
    }
}

fn own(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_stuck_goes_on_when_the_faults_are_lifted() {
    let bench = Bench::new(Some(1.0));
    let (lift, lifted) = tokio::sync::oneshot::channel::<()>();
    let order = Order {
        account: ACCOUNT.to_owned(),
        global: "g".to_owned(),
        from: member(HOME, "a"),
        to: member(AWAY, "b"),
        others: Vec::new(),
        loses_data: false,
        retention: Duration::ZERO,
        course: Course { switchover: Ending::Stuck, ..Course::default() },
    };
    assert!(bench.databases.start(order, lifted.map(drop).boxed()));
    bench.databases.at_rest(ACCOUNT).await;
    assert_eq!(bench.phase(), Some(Phase::Pending), "nobody waits for what is stuck");
    bench.at(100).await;
    lift.send(()).expect("awaited");
    bench.at(161).await;
    assert!(bench.moved());
}

#[tokio::test(start_paused = true)]
async fn in_the_instant_pace_the_same_happens_at_once() {
    let bench = Bench::new(None);
    bench.start(false, Course::default());
    bench.databases.at_rest(ACCOUNT).await;
    assert!(bench.moved());
    assert_eq!(bench.events(HOME), BOTH);
    let bench = Bench::new(None);
    bench.start(true, Course::default());
    bench.databases.at_rest(ACCOUNT).await;
    assert!(bench.moved() && !bench.databases.is_behind(ACCOUNT, &arn(HOME, "a")));
    assert_eq!(bench.told(), ["0: fence a", "0: fail over b", "0: rejoin a"]);
    assert_eq!(bench.events(HOME), ["390", "240", "512", "513", "241"]);
    assert_eq!(bench.events(AWAY), ["238", "397"]);
    assert_eq!(bench.began.elapsed(), Duration::ZERO);
    // A second one in the same second is told apart.
    bench.databases.told(ACCOUNT, "g");
    bench.start(true, Course::default());
    bench.databases.at_rest(ACCOUNT).await;
    let lost = bench.databases.lost(ACCOUNT, HOME);
    assert!(lost.len() == 2 && lost[0].id != lost[1].id, "{lost:?}");
    // With the Region out, its rebuild waits, and nobody waits for that.
    let bench = Bench::new(None);
    bench.order(HOME, "out");
    bench.start(true, Course::default());
    bench.databases.at_rest(ACCOUNT).await;
    assert!(bench.moved() && bench.databases.is_behind(ACCOUNT, &arn(HOME, "a")));
    bench.order(HOME, "up");
    bench.at(1).await;
    assert_eq!(bench.events(HOME), ["240", "512", "513", "241"]);
}

#[tokio::test(start_paused = true)]
async fn members_that_catch_up_are_waited_for() {
    let bench = Bench::new(Some(1.0));
    lock(&bench.servers.lags).extend([5000, 3000, 3000]);
    bench.start(false, Course::default());
    bench.at(75).await;
    assert!(bench.moved());
    assert_eq!(bench.events(HOME), ["181", "183", "183", "182", "184", "185"]);
    let waiting = &bench.databases.events(ACCOUNT, HOME)[1];
    assert!(waiting.message.ends_with("Current lags behind primary DB cluster: b is 5000 ms behind."), "{waiting:?}");
    assert_eq!(bench.told(), ["40: fence a", "60: switch over b"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_servers_cannot_do_leaves_the_roles_as_they_are() {
    for (loses_data, fails, event) in [(false, "switch over", "187"), (true, "fail over", "239")] {
        let bench = Bench::new(None);
        *lock(&bench.servers.fails) = Some(fails);
        bench.start(loses_data, Course::default());
        bench.databases.at_rest(ACCOUNT).await;
        assert!(bench.phase().is_none() && !bench.moved());
        assert_eq!(bench.events(AWAY).last().map(String::as_str), Some(event));
        assert_eq!(bench.told().last().map(String::as_str), Some("0: unfence a"));
        assert!(!bench.databases.is_behind(ACCOUNT, &arn(HOME, "a")));
    }
    // The fence that cannot be put up is one that timed out, and a cluster that cannot follow yet is asked again.
    for (fails, told) in [("fence", ["fence a", "fail over b", "rejoin a"].len()), ("rejoin", 4)] {
        let bench = Bench::new(None);
        *lock(&bench.servers.fails) = Some(fails);
        bench.start(true, Course::default());
        bench.databases.at_rest(ACCOUNT).await;
        bench.at(10).await;
        assert!(bench.moved() && !bench.databases.is_behind(ACCOUNT, &arn(HOME, "a")), "{fails}");
        assert_eq!(bench.told().len(), told, "{fails}");
        assert_eq!(bench.events(HOME)[0], if fails == "fence" { "391" } else { "390" });
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_one_operation_at_a_time_and_none_after_a_reset() {
    let bench = Bench::new(Some(1.0));
    assert!(bench.start(false, Course::default()) && !bench.start(true, Course::default()));
    assert_eq!(bench.databases.operation_on(ACCOUNT, |one| one.name == "b").as_deref(), Some("g"));
    assert_eq!(bench.databases.operation_on("444455556666", |_| true), None);
    bench.databases.reset();
    bench.at(1000).await;
    assert!(bench.phase().is_none() && !bench.moved() && bench.told().is_empty() && bench.events(HOME).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_has_left_is_not_rebuilt() {
    let bench = Bench::new(Some(1.0));
    bench.order(HOME, "out");
    bench.start(true, Course::default());
    bench.at(100).await;
    bench.databases.left(ACCOUNT, &arn(HOME, "a"));
    bench.order(HOME, "up");
    bench.at(3000).await;
    assert!(bench.events(HOME).is_empty() && bench.told() == ["75: fail over b"]);
}
