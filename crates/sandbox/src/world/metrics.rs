//! What AWS's services measure of the world, on its way to CloudWatch.
//!
//! A value is noted when it arises, or read from a gauge whenever values are collected.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) account: String,
    /// The Region whose CloudWatch has it.
    pub(crate) region: String,
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    pub(crate) dimensions: Vec<(&'static str, String)>,
    /// As CloudWatch names it, e.g. `Milliseconds`.
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

type Gauge = Arc<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// The values that have not been collected yet. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    noted: Mutex<Vec<Sample>>,
    gauges: Mutex<Vec<Gauge>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("noted", &*lock(&self.shared.noted)).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Notes a value.
    pub(crate) fn note(&self, sample: Sample) {
        lock(&self.shared.noted).push(sample);
    }

    /// Has values read from `gauge` whenever they are collected, about once a second. It returns none where there is
    /// nothing to measure, as AWS's services do.
    pub(crate) fn gauge(&self, gauge: impl Fn() -> Vec<Sample> + Send + Sync + 'static) {
        lock(&self.shared.gauges).push(Arc::new(gauge));
    }

    /// The values since this was last called, and those of the gauges.
    pub(crate) fn collect(&self) -> Vec<Sample> {
        // Not while the lock is held: a gauge may note something.
        let gauges = lock(&self.shared.gauges).clone();
        let measured: Vec<Sample> = gauges.iter().flat_map(|gauge| gauge()).collect();
        let mut all = std::mem::take(&mut *lock(&self.shared.noted));
        all.extend(measured);
        all
    }

    /// Forgets the values that have not been collected yet.
    pub(crate) fn reset(&self) {
        lock(&self.shared.noted).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_collected_once_and_gauges_are_read_each_time() {
        let metrics = Metrics::default();
        let sample = |name, value| Sample {
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            namespace: "AWS/S3",
            name,
            dimensions: Vec::new(),
            unit: "Count",
            value,
        };
        metrics.note(sample("noted", 1.0));
        let noting = metrics.clone();
        metrics.gauge(move || {
            noting.note(sample("noted by a gauge", 3.0));
            vec![sample("gauge", 2.0)]
        });
        let names = |samples: Vec<Sample>| samples.iter().map(|sample| sample.name).collect::<Vec<_>>();
        assert_eq!(names(metrics.collect()), ["noted", "noted by a gauge", "gauge"]);
        assert_eq!(names(metrics.collect()), ["noted by a gauge", "gauge"]);
        metrics.note(sample("noted", 1.0));
        metrics.reset();
        assert_eq!(names(metrics.collect()), ["noted by a gauge", "gauge"]);
    }
}
