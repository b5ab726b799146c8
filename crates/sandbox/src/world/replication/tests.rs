use serde_json::json;

use super::super::regions::RegionOrder;
use super::*;

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";

/// Remembers what it delivered, and when.
#[derive(Default)]
struct Deliveries {
    delivered: Mutex<Vec<(u64, Duration)>>,
    refuses: Mutex<usize>,
}

impl Carrier for Deliveries {
    fn deliver<'a>(&'a self, carried: &'a [Carried]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let mut refuses = lock(&self.refuses);
            if let Some(left) = refuses.checked_sub(1) {
                *refuses = left;
                return Err("not now".to_owned());
            }
            lock(&self.delivered).extend(carried.iter().map(|it| (it.owed.number, it.age)));
            Ok(())
        })
    }
}

struct Bench {
    regions: Regions,
    replication: Replication,
    deliveries: Arc<Deliveries>,
    carrier: Arc<dyn Carrier>,
}

impl Bench {
    fn new(scale: Option<f64>) -> Self {
        let regions = Regions::default();
        let replication = Replication::new(regions.clone(), scale);
        let deliveries = Arc::new(Deliveries::default());
        Self { regions, replication, carrier: Arc::clone(&deliveries) as _, deliveries }
    }

    /// With a lag of this many seconds.
    fn late(service: &str, seconds: f64) -> Self {
        let bench = Self::new(None);
        bench.order(None, &json!({ service: {"lag": seconds} })).expect("taken");
        bench
    }

    fn order(&self, account: Option<&str>, orders: &serde_json::Value) -> Result<(), String> {
        let orders = serde_json::from_value(orders.clone()).map_err(|error| error.to_string())?;
        self.replication.order(account, &orders)
    }

    fn region(&self, region: &str, order: &serde_json::Value) {
        let order: RegionOrder = serde_json::from_value(order.clone()).expect("an order");
        self.regions.order(None, &[(region.to_owned(), order)].into()).expect("taken");
    }

    async fn owe(&self, number: u64, account: &str, service: &str, from: &str, to: &str) {
        let ends = (account.to_owned(), service, from.to_owned(), to.to_owned());
        let subject = [("TableName".to_owned(), "t".to_owned())].into();
        let owed = Owed::new(number, ends, subject, 10).expect("it replicates");
        self.replication.owe(vec![owed], &self.carrier).await;
    }

    /// A write to a table in us-east-1, which us-east-2 has yet to see.
    async fn write(&self, number: u64) {
        self.owe(number, ACCOUNT, "dynamodb", "us-east-1", "us-east-2").await;
    }

    fn delivered(&self) -> Vec<u64> {
        lock(&self.deliveries.delivered).iter().map(|(number, _)| *number).collect()
    }
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_lag_a_write_has_arrived_at_once() {
    let bench = Bench::new(None);
    bench.write(1).await;
    assert_eq!(bench.delivered(), [1]);
    assert!(bench.replication.shown(None).pending.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_write_arrives_after_the_lag_and_is_pending_until_then() {
    let bench = Bench::late("dynamodb", 2.0);
    bench.write(1).await;
    pass(1000).await;
    bench.write(2).await;
    pass(900).await;
    let shown = bench.replication.shown(Some(ACCOUNT));
    assert_eq!(shown.lags["dynamodb"], Lag { lag: 2.0, up_to: None, ordered: true });
    let pending = &shown.pending[0];
    assert_eq!(
        (pending.count, pending.bytes, pending.from.as_str(), pending.to.as_str()),
        (2, 20, "us-east-1", "us-east-2")
    );
    assert!((pending.oldest - 1.9).abs() < 0.01, "{pending:?}");
    assert!(bench.replication.shown(Some(OTHER)).pending.is_empty());
    pass(200).await;
    assert_eq!(bench.delivered(), [1]);
    pass(1000).await;
    assert_eq!(bench.delivered(), [1, 2]);
    let ages: Vec<u64> = lock(&bench.deliveries.delivered).iter().map(|(_, age)| age.as_secs()).collect();
    assert_eq!(ages, [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_follows_an_order() {
    let bench = Bench::late("dynamodb", 3600.0);
    bench.write(1).await;
    pass(5000).await;
    bench.order(Some(ACCOUNT), &json!({"dynamodb": {"lag": 6}})).expect("taken");
    bench.owe(2, OTHER, "dynamodb", "us-east-1", "us-east-2").await;
    pass(900).await;
    assert!(bench.delivered().is_empty());
    pass(200).await;
    assert_eq!(bench.delivered(), [1]);
    bench.order(None, &json!({"dynamodb": {"lag": null}})).expect("taken");
    pass(10).await;
    assert_eq!(bench.delivered(), [1, 2], "the usual lag of the instant pace is none");
}

#[tokio::test(start_paused = true)]
async fn nothing_crosses_a_border_and_all_that_is_owed_is_drained_in_order_when_it_opens() {
    for state in ["isolated", "out"] {
        for region in ["us-east-1", "us-east-2"] {
            let bench = Bench::new(None);
            bench.region(region, &json!({"is": state}));
            for number in 1..=250 {
                bench.write(number).await;
            }
            bench.owe(251, ACCOUNT, "dynamodb", "us-east-2", "us-east-1").await;
            bench.owe(252, ACCOUNT, "dynamodb", "us-west-1", "us-west-2").await;
            pass(60_000).await;
            assert_eq!(bench.delivered(), [252], "{region} is {state}");
            bench.region(region, &json!({"is": "up"}));
            pass(10).await;
            let delivered = bench.delivered();
            assert_eq!(delivered.len(), 252);
            let there: Vec<u64> = delivered.into_iter().filter(|number| *number <= 250).collect();
            assert_eq!(there, (1..=250).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_for_one_service_cuts_only_that() {
    let bench = Bench::new(None);
    bench.region("us-east-2", &json!({"is": "isolated", "for": ["s3"]}));
    for (number, service) in (1..).zip(["s3", "dynamodb", "secretsmanager"]) {
        bench.owe(number, ACCOUNT, service, "us-east-1", "us-east-2").await;
    }
    assert_eq!(bench.delivered(), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_delivered_is_tried_again() {
    let bench = Bench::new(None);
    *lock(&bench.deliveries.refuses) = 3;
    bench.write(1).await;
    assert!(bench.delivered().is_empty());
    assert_eq!(bench.replication.pending().len(), 1);
    pass(5000).await;
    assert_eq!(bench.delivered(), [1]);
}

#[tokio::test(start_paused = true)]
async fn answers_that_overtake_each_other_do_not_change_the_order() {
    let bench = Bench::late("dynamodb", 1.0);
    bench.write(2).await;
    bench.write(1).await;
    pass(1100).await;
    assert_eq!(bench.delivered(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn fifty_accounts_do_not_wait_for_each_other() {
    let bench = Bench::new(None);
    let accounts: Vec<String> = (0..50).map(|number| format!("{:012}", 111_122_220_000_u64 + number)).collect();
    for (number, account) in (1..).zip(&accounts) {
        bench.order(Some(account), &json!({"s3": {"lag": number}})).expect("taken");
        bench.owe(number, account, "s3", "us-east-1", "us-east-2").await;
    }
    pass(10_500).await;
    assert_eq!(bench.delivered(), (1..=10).collect::<Vec<u64>>());
    assert_eq!(bench.replication.pending().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn the_usual_lag_is_that_of_aws_divided_by_the_scale() {
    let bench = Bench::new(Some(10.0));
    let lags = bench.replication.shown(None).lags;
    assert_eq!(lags["s3"], Lag { lag: 0.1, up_to: Some(1.5), ordered: false });
    for number in 1..=100 {
        bench.write(number).await;
        bench.owe(1000 + number, ACCOUNT, "s3", "us-east-1", "us-east-2").await;
        pass(71).await;
    }
    pass(5000).await;
    let deliveries = lock(&bench.deliveries.delivered).clone();
    assert_eq!(deliveries.len(), 200);
    let ages = |of: fn(u64) -> bool| -> Vec<f64> {
        deliveries.iter().filter(|(number, _)| of(*number)).map(|(_, age)| age.as_secs_f64()).collect()
    };
    for (ages, least, most) in [(ages(|number| number < 1000), 0.05, 0.15), (ages(|number| number > 1000), 0.1, 1.5)] {
        let lowest = ages.iter().copied().fold(f64::MAX, f64::min);
        let highest = ages.iter().copied().fold(0.0, f64::max);
        // A timer is up to a millisecond late.
        assert!(lowest >= least && highest <= most + 0.002, "{lowest} to {highest}");
        assert!(
            lowest < least + (most - least) * 0.1 && highest > most - (most - least) * 0.1,
            "{lowest} to {highest}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_in_an_emptied_world() {
    let bench = Bench::late("dynamodb", 1.0);
    bench.write(1).await;
    bench.replication.reset(None);
    let shown = bench.replication.shown(None);
    assert!(shown.pending.is_empty() && !shown.lags["dynamodb"].ordered);
    bench.order(None, &json!({"dynamodb": {"lag": 5}})).expect("taken");
    bench.write(2).await;
    pass(6000).await;
    assert_eq!(bench.delivered(), [2]);
}

#[tokio::test(start_paused = true)]
async fn an_account_is_emptied_by_itself() {
    let bench = Bench::new(None);
    for (number, account) in [(1, ACCOUNT), (2, OTHER)] {
        bench.order(Some(account), &json!({"dynamodb": {"lag": 1}})).expect("taken");
        bench.owe(number, account, "dynamodb", "us-east-1", "us-east-2").await;
    }
    bench.replication.reset(Some(ACCOUNT));
    assert!(!bench.replication.shown(Some(ACCOUNT)).lags["dynamodb"].ordered);
    assert!(bench.replication.shown(Some(OTHER)).lags["dynamodb"].ordered);
    pass(2000).await;
    assert_eq!(bench.delivered(), [2]);
}

#[test]
fn an_order_that_makes_no_sense_is_refused_and_none_is_carried_out() {
    let bench = Bench::new(None);
    for (wrong, why) in [
        (json!({"dynamo": {"lag": 1}}), "`dynamo` does not replicate"),
        (json!({"s3": {"lag": -1}}), "s3: `lag` must be a number of seconds"),
        (json!({"s3": {"lg": 1}}), "unknown field `lg`"),
        (json!({"dynamodb": {"lag": 1}, "s3": {"lag": 1e300}}), "s3: `lag` must be"),
    ] {
        let error = bench.order(None, &wrong).expect_err("refused");
        assert!(error.contains(why), "{wrong}: {error}");
    }
    assert!(bench.replication.shown(None).lags.values().all(|lag| !lag.ordered));
}
