//! What DynamoDB and S3 measure of their replication.
//!
//! | metric | in the Region | dimensions | source |
//! |---|---|---|---|
//! | `AWS/DynamoDB` `ReplicationLatency`, ms | of the write | `TableName`, `ReceivingRegion` | <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html> |
//! | `AWS/S3` `ReplicationLatency`, s; `OperationsPendingReplication`, `BytesPendingReplication` | of the destination | `SourceBucket`, `DestinationBucket`, `RuleId` | <https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html> |
//! | `AWS/S3` `OperationsFailedReplication` | of the source | the same | the same |
//!
//! Without writes, DynamoDB has no data. S3 measures only the rules that have metrics enabled: of the others, the
//! emulator names no rule.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::carrier::Outcome;
use crate::sync::lock;
use crate::world::World;
use crate::world::metrics::{Metrics, Sample};
use crate::world::replication::{Carried, Direction, Pending, Replication, Subject};

/// Account, Region of the destination, and dimensions of a rule.
type RuleKey = (String, String, Vec<(&'static str, String)>);

/// What a rule of S3's shows.
#[derive(Debug, Default, Clone, Copy)]
struct Behind {
    seconds: f64,
    operations: usize,
    bytes: u64,
}

/// Measures replication.
pub(super) struct Measure {
    replication: Replication,
    metrics: Metrics,
    /// The rules by which something has arrived, or was on its way, since they were last shown; and how long the
    /// slowest arrival took.
    rules: Mutex<BTreeMap<RuleKey, Duration>>,
}

impl Measure {
    pub(super) fn new(world: &World) -> Arc<Self> {
        let (replication, metrics) = (world.replication.clone(), world.metrics.clone());
        let measure = Arc::new(Self { replication, metrics, rules: Mutex::default() });
        let gauge = Arc::downgrade(&measure);
        world.metrics.gauge(move || gauge.upgrade().map(|measure| measure.behind()).unwrap_or_default());
        measure
    }

    /// Notes what became of a write.
    pub(super) fn arrived(&self, carried: &Carried, outcome: Outcome) {
        let Carried { owed, age } = carried;
        let Direction { account, service, from, to } = &owed.direction;
        match (*service, outcome) {
            ("dynamodb", Outcome::Delivered | Outcome::Superseded) => {
                let table = owed.subject.get("TableName").cloned().unwrap_or_default();
                self.metrics.note(Sample {
                    account: account.clone(),
                    region: from.clone(),
                    namespace: "AWS/DynamoDB",
                    name: "ReplicationLatency",
                    dimensions: vec![("TableName", table), ("ReceivingRegion", to.clone())],
                    unit: "Milliseconds",
                    value: (age.as_secs_f64() * 1000.0).round(),
                });
            }
            ("s3", _) => {
                let Some(dimensions) = dimensions(&owed.subject) else { return };
                if outcome == Outcome::Failed {
                    let name = "OperationsFailedReplication";
                    let place = (account.clone(), from.clone(), dimensions.clone());
                    self.metrics.note(of_s3(&place, name, "Count", 1.0));
                }
                let mut rules = lock(&self.rules);
                let slowest = rules.entry((account.clone(), to.clone(), dimensions)).or_default();
                *slowest = (*slowest).max(*age);
            }
            _ => {}
        }
    }

    /// How far the destinations of S3's rules are behind. A rule is shown once more when all has arrived.
    fn behind(&self) -> Vec<Sample> {
        let mut shown: BTreeMap<RuleKey, Behind> = BTreeMap::new();
        for (rule, slowest) in std::mem::take(&mut *lock(&self.rules)) {
            shown.insert(rule, Behind { seconds: slowest.as_secs_f64(), ..Behind::default() });
        }
        for Pending { account, service, to, subject, count, bytes, oldest, .. } in self.replication.pending() {
            let Some(dimensions) = dimensions(&subject).filter(|_| service == "s3") else { continue };
            let rule = (account, to, dimensions);
            lock(&self.rules).entry(rule.clone()).or_default();
            let behind = shown.entry(rule).or_default();
            behind.seconds = behind.seconds.max(oldest);
            behind.operations += count;
            behind.bytes += bytes;
        }
        let samples = shown.iter().flat_map(|(rule, behind)| {
            [
                of_s3(rule, "ReplicationLatency", "Seconds", behind.seconds),
                of_s3(rule, "OperationsPendingReplication", "Count", float(behind.operations as u64)),
                of_s3(rule, "BytesPendingReplication", "Bytes", float(behind.bytes)),
            ]
        });
        samples.collect()
    }
}

/// The dimensions of a rule that is measured.
fn dimensions(subject: &Subject) -> Option<Vec<(&'static str, String)>> {
    ["SourceBucket", "DestinationBucket", "RuleId"]
        .iter()
        .map(|name| Some((*name, subject.get(*name)?.clone())))
        .collect()
}

fn of_s3((account, region, dimensions): &RuleKey, name: &'static str, unit: &'static str, value: f64) -> Sample {
    let (account, region, dimensions) = (account.clone(), region.clone(), dimensions.clone());
    Sample { account, region, namespace: "AWS/S3", name, dimensions, unit, value }
}

/// A metric's value. Those that are too large for an exact one would not fit into the sandbox.
fn float(count: u64) -> f64 {
    u32::try_from(count).map_or_else(|_| f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::replication::Owed;

    fn carried(service: &str, subject: &[(&str, &str)]) -> Carried {
        let ends = ("111122223333".to_owned(), service, "us-east-1".to_owned(), "us-east-2".to_owned());
        let subject = subject.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Carried { owed: Owed::new(1, ends, subject, 100).expect("it replicates"), age: Duration::from_millis(2500) }
    }

    const RULE: [(&str, &str); 3] = [("SourceBucket", "a"), ("DestinationBucket", "b"), ("RuleId", "all")];

    fn shown(world: &World) -> Vec<(String, &'static str, f64)> {
        world.metrics.collect().into_iter().map(|it| (it.region, it.name, it.value)).collect()
    }

    #[test]
    fn the_latency_of_a_table_is_measured_where_it_was_written() {
        let world = World::default();
        let measure = Measure::new(&world);
        let carried = carried("dynamodb", &[("TableName", "t")]);
        for outcome in [Outcome::Delivered, Outcome::Gone] {
            measure.arrived(&carried, outcome);
        }
        let samples = world.metrics.collect();
        assert_eq!(samples.len(), 1, "{samples:?}");
        assert_eq!((samples[0].region.as_str(), samples[0].value), ("us-east-1", 2500.0));
        let dimensions = [("TableName", "t".to_owned()), ("ReceivingRegion", "us-east-2".to_owned())];
        assert_eq!(samples[0].dimensions, dimensions);
        assert!(world.metrics.collect().is_empty(), "without writes, there is no data");
    }

    #[test]
    fn a_rule_of_s3_is_measured_at_the_destination_and_its_failures_at_the_source() {
        let world = World::default();
        let measure = Measure::new(&world);
        measure.arrived(&carried("s3", &RULE), Outcome::Failed);
        let samples = shown(&world);
        let there = |name, value| ("us-east-2".to_owned(), name, value);
        assert!(samples.contains(&("us-east-1".to_owned(), "OperationsFailedReplication", 1.0)), "{samples:?}");
        assert!(samples.contains(&there("ReplicationLatency", 2.5)), "{samples:?}");
        assert!(samples.contains(&there("OperationsPendingReplication", 0.0)), "{samples:?}");
        assert!(shown(&world).is_empty());
    }

    #[tokio::test]
    async fn a_rule_is_behind_as_long_as_something_is_on_its_way_and_once_more_when_it_has_arrived() {
        struct Nobody;
        impl crate::world::replication::Carrier for Nobody {
            fn deliver<'a>(&'a self, _: &'a [Carried]) -> futures::future::BoxFuture<'a, Result<(), String>> {
                Box::pin(async { Ok(()) })
            }
        }
        let world = World::default();
        let measure = Measure::new(&world);
        let order = |lag: &str| serde_json::from_str(&format!(r#"{{"s3":{{"lag":{lag}}}}}"#)).expect("an order");
        world.replication.order(None, &order("60")).expect("taken");
        let carrier: Arc<dyn crate::world::replication::Carrier> = Arc::new(Nobody);
        world.replication.owe(vec![carried("s3", &RULE).owed], &carrier).await;
        let samples = shown(&world);
        let there = |name, value| ("us-east-2".to_owned(), name, value);
        assert!(samples.contains(&there("OperationsPendingReplication", 1.0)), "{samples:?}");
        assert!(samples.contains(&there("BytesPendingReplication", 100.0)), "{samples:?}");
        world.replication.reset(None);
        let samples = shown(&world);
        assert!(samples.contains(&there("OperationsPendingReplication", 0.0)), "{samples:?}");
        assert!(shown(&world).is_empty());
        drop(measure);
    }

    #[test]
    fn a_rule_without_metrics_is_not_measured() {
        let world = World::default();
        Measure::new(&world).arrived(&carried("s3", &RULE[..2]), Outcome::Failed);
        assert!(shown(&world).is_empty());
    }
}
