//! Most of these tests run on a clock that does not wait, with endpoints that are functions of the time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use drctl_failover_dns::check::{AlarmState, Check, InsufficientData, Kind};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout};

use super::super::probe::Outcome;
use super::super::zones::tests::{Written, http};
use super::super::zones::{Alarm, Configuration, Endpoint, HealthCheck};
use super::*;

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";

type TestResult = Result<(), ReadError>;

/// How an endpoint behaves.
type Script = Box<dyn Fn(&Endpoint, Duration) -> Behaviour + Send + Sync>;

#[derive(Clone, Copy)]
enum Behaviour {
    Answers,
    Fails,
    /// Does not answer, until the checker gives up.
    Hangs,
}

/// Endpoints that behave as a script says, given the time since the start.
struct Scripted {
    start: Instant,
    script: Script,
    looks: Arc<AtomicUsize>,
}

impl Prober for Scripted {
    fn look(&self, _: &str, endpoint: &Endpoint) -> BoxFuture<'static, Outcome> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let behaviour = (self.script)(endpoint, self.start.elapsed());
        async move {
            match behaviour {
                Behaviour::Answers => Outcome { success: true, status: "Success: HTTP Status Code 200, OK".to_owned() },
                Behaviour::Fails => {
                    Outcome { success: false, status: "Failure: HTTP Status Code 503, Service Unavailable".to_owned() }
                }
                Behaviour::Hangs => {
                    sleep(Duration::from_secs(2)).await;
                    Outcome { success: false, status: "Failure: no answer".to_owned() }
                }
            }
        }
        .boxed()
    }
}

/// Checkers, and what a test changes around them.
struct World {
    checkers: Checkers,
    zones: Arc<Written>,
    looks: Arc<AtomicUsize>,
    /// The Regions whose checkers are silent.
    out: Arc<Mutex<BTreeSet<String>>>,
    start: Instant,
}

impl World {
    fn new(rhythm: Rhythm, script: impl Fn(&Endpoint, Duration) -> Behaviour + Send + Sync + 'static) -> Self {
        let (zones, looks, start) = (Arc::new(Written::default()), Arc::new(AtomicUsize::new(0)), Instant::now());
        let prober = Scripted { start, script: Box::new(script), looks: Arc::clone(&looks) };
        let out = Arc::new(Mutex::new(BTreeSet::new()));
        let silent = Arc::clone(&out);
        let reporting: Reporting = Arc::new(move |_, region| !lock(&silent).contains(region));
        let source: Arc<dyn Zones> = zones.clone();
        Self { checkers: Checkers::new(source, Arc::new(prober), reporting, rhythm), zones, looks, out, start }
    }

    /// One in which nothing fails before this time, and everything from then on until the other time.
    fn down_between(rhythm: Rhythm, from: u64, to: u64) -> Self {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        Self::new(rhythm, move |_, now| if now >= from && now < to { Behaviour::Fails } else { Behaviour::Answers })
    }

    fn put(&self, account: &str, checks: Vec<HealthCheck>) {
        self.zones.put(account, Configuration { checks, zones: Vec::new() });
        self.checkers.changed(account);
    }

    async fn verdict(&self, id: &str) -> Result<Verdict, ReadError> {
        let verdicts = self.checkers.verdicts(ACCOUNT).await?;
        Ok(verdicts.into_iter().find(|verdict| verdict.id == id).expect("a check"))
    }

    async fn healthy(&self, id: &str) -> Result<bool, ReadError> {
        Ok(self.verdict(id).await?.healthy)
    }

    async fn at(&self, seconds: u64) {
        tokio::time::sleep_until(self.start + Duration::from_secs(seconds)).await;
    }

    /// Waits until a check has this status. Returns the time since the start.
    async fn until(&self, id: &str, healthy: bool) -> Result<Duration, ReadError> {
        let mut changes = self.checkers.changes();
        let waited = timeout(Duration::from_mins(10), async {
            while self.healthy(id).await? != healthy {
                changes.changed().await.expect("the checkers are there");
            }
            Ok(self.start.elapsed())
        });
        waited.await.expect("the status changes within ten minutes")
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }
}

fn check(id: &str) -> HealthCheck {
    http(id, "localhost", 80)
}

fn with(check: HealthCheck, change: impl FnOnce(&mut Check, &mut Endpoint)) -> HealthCheck {
    let HealthCheck { mut check, source } = check;
    let Source::Endpoint(mut endpoint) = source else { panic!("an endpoint") };
    change(&mut check, &mut endpoint);
    HealthCheck { check, source: Source::Endpoint(endpoint) }
}

/// Whether a time is within 10 s × 3 of an event: no earlier than the third look of a checker that looks right after it, and no
/// later than that of one that looked right before.
fn is_detection(time: Duration, event: u64) -> bool {
    let event = Duration::from_secs(event);
    (Duration::from_secs(20)..=Duration::from_secs(31)).contains(&time.saturating_sub(event))
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_changes_its_status_after_threshold_times_interval() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(1.0), 100, 300);
    world.put(ACCOUNT, vec![check("c")]);
    world.at(99).await;
    assert!(world.healthy("c").await?);
    let verdict = world.verdict("c").await?;
    assert_eq!((verdict.share, verdict.reports.len()), (Some((16, 16)), 16));
    assert!(verdict.reason.starts_with("16 of 16 checkers"), "{}", verdict.reason);
    assert_eq!(verdict.of, "http://localhost/health");
    let down = world.until("c", false).await?;
    assert!(is_detection(down, 100), "{down:?}");
    let back = world.until("c", true).await?;
    assert!(is_detection(back, 300), "{back:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_divided_by_the_time_scale() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(10.0), 10, 30);
    world.put(ACCOUNT, vec![check("c")]);
    let down = world.until("c", false).await?.as_millis();
    assert!((12_000..=13_300).contains(&down), "{down} ms");
    let back = world.until("c", true).await?.as_millis();
    assert!((32_000..=33_300).contains(&back), "{back} ms");
    Ok(())
}

/// It alternates every 15 s: no checker sees three failures, nor three successes, in a row.
#[tokio::test(start_paused = true)]
async fn flapping_faster_than_the_threshold_changes_nothing() -> TestResult {
    let world = World::new(Rhythm::Scaled(1.0), |_, now| {
        if (now.as_secs() / 15) % 2 == 0 { Behaviour::Answers } else { Behaviour::Fails }
    });
    world.put(
        ACCOUNT,
        vec![
            check("c"),
            with(check("once"), |check, _| {
                check.kind =
                    Kind::Endpoint { host: "localhost".to_owned(), path: "/health".to_owned(), failure_threshold: 1 };
            }),
        ],
    );
    world.at(1).await;
    let since = world.verdict("c").await?.since;
    let flapped = world.until("once", false).await?;
    assert!(flapped < Duration::from_secs(30), "{flapped:?}");
    world.at(600).await;
    let verdict = world.verdict("c").await?;
    assert!(verdict.healthy && verdict.since == since, "{verdict:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn more_than_18_percent_of_the_checkers_keep_an_endpoint_healthy() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(1.0), 0, 60);
    world.put(ACCOUNT, vec![check("c")]);
    world.until("c", false).await?;
    world.at(60).await;
    // Those of one Region return to the endpoint; the others do not report what they would see.
    let all: BTreeSet<&str> = CHECKERS.iter().map(|checker| checker.region).collect();
    *lock(&world.out) = all.into_iter().filter(|region| *region != "sa-east-1").map(str::to_owned).collect();
    world.at(75).await;
    let verdict = world.verdict("c").await?;
    assert_eq!(verdict.share.map(|(_, all)| all), Some(2), "{verdict:?}");
    assert!(verdict.reports.iter().all(|report| report.region == "sa-east-1" && report.success), "{verdict:?}");
    assert!(world.until("c", true).await? < Duration::from_secs(91));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_checkers_of_a_region_that_is_out_do_not_report() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(1.0), 100, 200);
    world.put(ACCOUNT, vec![check("c")]);
    world.at(20).await;
    lock(&world.out).insert("us-east-1".to_owned());
    world.at(40).await;
    let verdict = world.verdict("c").await?;
    assert_eq!(verdict.share, Some((14, 14)));
    assert!(verdict.reports.iter().all(|report| report.region != "us-east-1"));
    world.until("c", false).await?;
    lock(&world.out).clear();
    world.at(145).await;
    let verdict = world.verdict("c").await?;
    assert_eq!((verdict.healthy, verdict.share.map(|(_, all)| all)), (false, Some(16)));
    // With all of them out, the status stays, whatever the endpoint does.
    *lock(&world.out) = CHECKERS.iter().map(|checker| checker.region.to_owned()).collect();
    world.at(400).await;
    let verdict = world.verdict("c").await?;
    assert_eq!((verdict.healthy, verdict.share, verdict.reports.len()), (false, Some((0, 0)), 0));
    assert!(verdict.reason.starts_with("no checker reports"), "{}", verdict.reason);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_the_regions_of_the_check_look() -> TestResult {
    let world = World::new(Rhythm::Scaled(1.0), |_, _| Behaviour::Answers);
    let regions = ["eu-west-1", "us-west-1", "us-west-2"].map(str::to_owned).to_vec();
    world.put(ACCOUNT, vec![with(check("c"), |_, endpoint| endpoint.regions = regions)]);
    world.at(30).await;
    assert_eq!(world.verdict("c").await?.share, Some((6, 6)));
    let regions = ["eu-west-1", "us-west-1", "sa-east-1"].map(str::to_owned).to_vec();
    world.put(ACCOUNT, vec![with(check("c"), |_, endpoint| endpoint.regions = regions)]);
    world.at(60).await;
    assert_eq!(world.verdict("c").await?.share, Some((6, 6)), "those of us-west-2 do not count any more");
    Ok(())
}

/// At sixty times the speed, 2 s are twelve intervals: AWS's checkers would have failed twelve times.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_fails_all_looks_of_that_time() -> TestResult {
    let world =
        World::new(
            Rhythm::Scaled(60.0),
            |_, now| {
                if now.as_secs() < 10 { Behaviour::Answers } else { Behaviour::Hangs }
            },
        );
    world.put(ACCOUNT, vec![check("c")]);
    let down = world.until("c", false).await?;
    assert!((Duration::from_secs(12)..Duration::from_millis(12_300)).contains(&down), "{down:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn looks_that_come_due_together_share_one_request() -> TestResult {
    let world = World::new(Rhythm::Scaled(60.0), |_, _| Behaviour::Answers);
    world.put(ACCOUNT, vec![check("c")]);
    world.at(10).await;
    let looks = world.looks();
    // Sixty intervals, with two requests in each at most.
    assert!((40..=122).contains(&looks), "{looks}");
    let world = World::new(Rhythm::Scaled(1.0), |_, _| Behaviour::Answers);
    world.put(ACCOUNT, vec![check("c")]);
    world.at(100).await;
    // Ten intervals of sixteen checkers, some of which come due within a quarter of a second.
    assert!((50..=160).contains(&world.looks()), "{}", world.looks());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_new_inverted_check_is_unhealthy_until_its_endpoint_has_failed() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(1.0), 0, 200);
    world.put(ACCOUNT, vec![with(check("c"), |check, _| check.inverted = true)]);
    assert!(!world.healthy("c").await?);
    let verdict = world.verdict("c").await?;
    assert!(verdict.inverted && verdict.reason.ends_with("the status is inverted"), "{}", verdict.reason);
    let up = world.until("c", true).await?;
    assert!(is_detection(up, 0), "{up:?}");
    let down = world.until("c", false).await?;
    assert!(is_detection(down, 200), "{down:?}");
    Ok(())
}

/// As drctl builds it: the primary is healthy while its endpoint answers and the switch in the standby does not.
#[tokio::test(start_paused = true)]
async fn a_calculated_check_follows_its_children() -> TestResult {
    let world = World::new(Rhythm::Scaled(1.0), |endpoint, now| match endpoint.path.as_str() {
        "/dr/failover" if now.as_secs() < 200 => Behaviour::Fails,
        _ => Behaviour::Answers,
    });
    let switch = with(check("switch"), |check, endpoint| {
        "/dr/failover".clone_into(&mut endpoint.path);
        check.inverted = true;
    });
    let children = vec!["endpoint".to_owned(), "switch".to_owned()];
    let kind = Kind::Calculated { children, threshold: 2 };
    let primary = Check { id: "primary".to_owned(), kind, inverted: false, disabled: false };
    let primary = HealthCheck { check: primary, source: Source::Nothing };
    world.put(ACCOUNT, vec![check("endpoint"), switch, primary]);
    assert!(!world.healthy("primary").await?);
    assert!(is_detection(world.until("primary", true).await?, 0));
    let verdict = world.verdict("primary").await?;
    assert_eq!((verdict.of.as_str(), verdict.share), ("the health checks endpoint, switch", None));
    assert_eq!(verdict.reason, "2 of 2 health checks are healthy, and 2 have to be");
    assert!(is_detection(world.until("primary", false).await?, 200));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_check_of_an_alarm_follows_it() -> TestResult {
    let world = World::new(Rhythm::Scaled(1.0), |_, _| Behaviour::Answers);
    let alarm = Alarm { region: "us-east-2".to_owned(), name: "lag".to_owned() };
    let kind = Kind::Alarm { insufficient_data: InsufficientData::LastKnownStatus };
    let alarm = HealthCheck {
        check: Check { id: "c".to_owned(), kind, inverted: false, disabled: false },
        source: Source::Alarm(alarm),
    };
    world.put(ACCOUNT, vec![alarm]);
    world.at(15).await;
    let verdict = world.verdict("c").await?;
    assert_eq!((verdict.healthy, verdict.reason.as_str()), (true, "the alarm has INSUFFICIENT_DATA"));
    assert_eq!(verdict.of, "the alarm lag in us-east-2");
    world.zones.set_alarm("lag", AlarmState::Alarm);
    assert!(world.until("c", false).await? <= Duration::from_secs(20));
    world.zones.set_alarm("lag", AlarmState::InsufficientData);
    world.at(60).await;
    assert!(!world.healthy("c").await?);
    world.zones.set_alarm("lag", AlarmState::Ok);
    assert!(world.until("c", true).await? <= Duration::from_secs(70));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_disabled_or_deleted_is_not_looked_at_any_more() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(1.0), 0, 1000);
    world.put(ACCOUNT, vec![check("c")]);
    world.until("c", false).await?;
    world.put(ACCOUNT, vec![with(check("c"), |check, _| check.disabled = true)]);
    let verdict = world.verdict("c").await?;
    assert!(verdict.healthy && verdict.disabled && verdict.reports.is_empty(), "{verdict:?}");
    let looks = world.looks();
    world.at(200).await;
    assert_eq!(world.looks(), looks);
    world.put(ACCOUNT, vec![check("c")]);
    assert!(!world.healthy("c").await?, "enabled again, it is as it was");
    world.at(230).await;
    assert!(world.looks() > looks);
    world.put(ACCOUNT, Vec::new());
    assert_eq!(world.checkers.verdicts(ACCOUNT).await?, []);
    let looks = world.looks();
    world.at(400).await;
    assert_eq!(world.looks(), looks);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_changed_looks_at_the_new_endpoint() -> TestResult {
    let world =
        World::new(
            Rhythm::Scaled(1.0),
            |endpoint, _| {
                if endpoint.path == "/health" { Behaviour::Answers } else { Behaviour::Fails }
            },
        );
    world.put(ACCOUNT, vec![check("c"), check("same")]);
    world.at(60).await;
    let (looks, since) = (world.looks(), world.verdict("same").await?.since);
    world.put(ACCOUNT, vec![with(check("c"), |_, endpoint| "/other".clone_into(&mut endpoint.path)), check("same")]);
    assert_eq!(world.verdict("c").await?.of, "http://localhost/other");
    let down = world.until("c", false).await?;
    assert!(is_detection(down, 60), "{down:?}");
    assert!(world.looks() > looks && world.verdict("same").await?.since == since);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn accounts_do_not_disturb_each_other() -> TestResult {
    let world =
        World::new(
            Rhythm::Scaled(1.0),
            |endpoint, _| {
                if endpoint.host == "dead" { Behaviour::Fails } else { Behaviour::Answers }
            },
        );
    world.put(ACCOUNT, vec![http("c", "dead", 80)]);
    world.put(OTHER, vec![http("c", "alive", 80)]);
    world.until("c", false).await?;
    let verdicts = world.checkers.verdicts(OTHER).await?;
    assert!(verdicts[0].healthy && verdicts[0].of.contains("alive"), "{verdicts:?}");
    assert_eq!(world.checkers.accounts(), [ACCOUNT, OTHER]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_at_after_a_reset_or_when_the_checkers_are_dropped() -> TestResult {
    let world = World::new(Rhythm::Scaled(1.0), |_, _| Behaviour::Answers);
    world.put(ACCOUNT, vec![check("c")]);
    world.at(30).await;
    world.zones.put(ACCOUNT, Configuration::default());
    world.checkers.reset();
    let looks = world.looks();
    assert!(looks > 0);
    world.at(60).await;
    assert_eq!((world.looks(), world.checkers.accounts().len()), (looks, 0));
    world.put(ACCOUNT, vec![check("c")]);
    world.at(90).await;
    let (counter, looks) = (Arc::clone(&world.looks), world.looks());
    assert!(looks > 16);
    drop(world);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(counter.load(Ordering::Relaxed), looks);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_about_the_configuration_after_the_change() -> TestResult {
    let world = World::new(Rhythm::Scaled(1.0), |_, _| Behaviour::Answers);
    assert_eq!(world.checkers.verdicts(ACCOUNT).await?, []);
    world.put(ACCOUNT, vec![check("c")]);
    assert_eq!(world.checkers.verdicts(ACCOUNT).await?.len(), 1);
    let reads = world.zones.reads();
    world.checkers.verdicts(ACCOUNT).await?;
    assert_eq!(world.zones.reads(), reads, "what has not changed is not read again");
    world.zones.break_down(true);
    world.checkers.changed(ACCOUNT);
    let error = world.checkers.verdicts(ACCOUNT).await.expect_err("it cannot be read").to_string();
    assert!(error.contains("ListHealthChecks") && error.contains(ACCOUNT), "{error}");
    world.zones.break_down(false);
    assert_eq!(
        world.checkers.verdicts(ACCOUNT).await?.len(),
        1,
        "it is read again, although nothing has changed since"
    );
    Ok(())
}

/// The values that were published of a check, by metric.
fn published(world: &World, id: &str) -> Vec<(&'static str, f64)> {
    let published = world.zones.published().into_iter().filter(|measured| measured.check == id);
    published.map(|measured| (measured.metric, measured.value)).collect()
}

#[tokio::test(start_paused = true)]
async fn metrics_have_a_value_for_each_minute() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(1.0), 65, 1000);
    let calculated = with(check("all"), |check, _| {
        check.kind = Kind::Calculated { children: vec!["c".to_owned()], threshold: 1 };
    });
    world.put(ACCOUNT, vec![check("c"), HealthCheck { source: Source::Nothing, ..calculated }]);
    world.at(59).await;
    assert_eq!(world.zones.published(), []);
    world.at(61).await;
    assert_eq!(published(&world, "c"), [("HealthCheckStatus", 1.0), ("HealthCheckPercentageHealthy", 100.0)]);
    world.at(121).await;
    assert_eq!(published(&world, "all"), [("HealthCheckStatus", 0.0)], "no checker looks at a calculated check");
    world.at(301).await;
    let minutes = [("HealthCheckStatus", 0.0), ("HealthCheckPercentageHealthy", 0.0)].repeat(3);
    assert_eq!(published(&world, "c"), minutes);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn when_asked_the_metrics_get_a_value_and_a_single_check_costs_no_other() -> TestResult {
    let world = World::new(Rhythm::WhenAsked, |_, _| Behaviour::Answers);
    world.put(ACCOUNT, vec![check("c"), check("other")]);
    let verdict = world.checkers.verdict(ACCOUNT, "c").await?.expect("a check");
    assert_eq!((verdict.reports.len(), world.looks()), (16, 1));
    assert_eq!(world.checkers.verdict(ACCOUNT, "gone").await?, None);
    assert_eq!((world.zones.published(), world.looks()), (Vec::new(), 1));
    world.checkers.checks(ACCOUNT).await?;
    assert_eq!(published(&world, "other"), [("HealthCheckStatus", 1.0), ("HealthCheckPercentageHealthy", 100.0)]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn when_asked_it_takes_as_many_failures_as_the_threshold_says() -> TestResult {
    let starts_slowly =
        World::new(
            Rhythm::WhenAsked,
            |_, now| {
                if now < Duration::from_secs(3) { Behaviour::Hangs } else { Behaviour::Answers }
            },
        );
    starts_slowly.put(ACCOUNT, vec![check("c")]);
    assert!(starts_slowly.healthy("c").await?);
    assert_eq!(starts_slowly.looks(), 3);
    let world = World::down_between(Rhythm::WhenAsked, 0, 100);
    world.put(ACCOUNT, vec![check("c")]);
    assert!(!world.healthy("c").await?);
    assert_eq!(world.looks(), 3);
    assert!(!world.healthy("c").await?);
    assert_eq!(world.looks(), 4, "one more is enough to know that nothing has changed");
    world.at(100).await;
    assert!(world.healthy("c").await?);
    assert_eq!(world.looks(), 5, "an endpoint that answers is not dead");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_of_each_checker_is_kept() -> TestResult {
    let world = World::down_between(Rhythm::Scaled(1.0), 15, 25);
    world.put(ACCOUNT, vec![check("c")]);
    world.at(14).await;
    assert_eq!(world.verdict("c").await?.failures, []);
    world.at(60).await;
    let verdict = world.verdict("c").await?;
    assert!(verdict.reports.iter().all(|report| report.success));
    assert_eq!(verdict.failures.len(), 16);
    assert!(verdict.failures.iter().all(|report| !report.success && report.status.starts_with("Failure: HTTP")));
    Ok(())
}

/// In the pace `instant`, nothing is looked at unless somebody asks, and then the status is what the endpoints make it.
#[tokio::test(start_paused = true)]
async fn when_asked_the_endpoints_of_the_moment_count() -> TestResult {
    let dead = Arc::new(AtomicBool::new(false));
    let is_dead = Arc::clone(&dead);
    let world = World::new(Rhythm::WhenAsked, move |_, _| {
        if is_dead.load(Ordering::Relaxed) { Behaviour::Fails } else { Behaviour::Answers }
    });
    world.put(ACCOUNT, vec![check("c"), with(check("inverted"), |check, _| check.inverted = true)]);
    world.at(100).await;
    assert_eq!(world.looks(), 0);
    assert!(world.healthy("c").await? && !world.healthy("inverted").await?);
    dead.store(true, Ordering::Relaxed);
    assert!(!world.healthy("c").await? && world.healthy("inverted").await?);
    lock(&world.out).insert("us-east-1".to_owned());
    dead.store(false, Ordering::Relaxed);
    let verdict = world.verdict("c").await?;
    assert_eq!((verdict.healthy, verdict.share), (true, Some((14, 14))));
    assert_eq!(world.checkers.picture(ACCOUNT).await?.checks.len(), 2);
    Ok(())
}
