//! The result of a simulation, as data.

use std::time::Duration;

use serde::{Serialize, Serializer};

use drctl_aws::resources::durations::Draw;
use drctl_engine::PathSegment;
use drctl_engine::state::Address;

/// The result of a simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulated {
    /// Which durations were used.
    pub durations: Draw,
    /// The primary Region and the secondary one.
    pub regions: [String; 2],
    /// Building everything.
    pub up: SimulatedRun,
    /// Deleting everything.
    pub down: SimulatedRun,
    /// The time from the beginning of `up` until the primary's API serves.
    #[serde(rename = "serving_seconds", serialize_with = "seconds")]
    pub serving: Duration,
    /// The time from the beginning of `up` until the primary's database takes writes.
    #[serde(rename = "writer_seconds", serialize_with = "seconds")]
    pub writer: Duration,
}

/// One simulated run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulatedRun {
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
    /// The lower bound: the longest chain of durations.
    #[serde(rename = "bound_seconds", serialize_with = "seconds")]
    pub bound: Duration,
    /// The duration divided by the lower bound.
    pub ratio: f64,
    /// The resources that determined the duration.
    pub critical_path: Vec<PathSegment>,
    /// The resources that determine the lower bound.
    pub bound_path: Vec<PathSegment>,
    /// The times of every resource, in the order in which they began.
    pub bars: Vec<Bar>,
}

/// The times of one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    /// Which resource.
    pub address: Address,
    /// The Region of its calls.
    pub region: String,
    /// When it was started.
    #[serde(rename = "began_seconds", serialize_with = "seconds")]
    pub began: Duration,
    /// When it was done.
    #[serde(rename = "ended_seconds", serialize_with = "seconds")]
    pub ended: Duration,
    /// Whether it is on the critical path.
    pub critical: bool,
    /// When AWS was working on it: from, until, sorted and without overlaps. The rest is waiting for a rate limit, for another
    /// resource, or for the next poll.
    #[serde(rename = "work_seconds", serialize_with = "spans")]
    pub work: Vec<(Duration, Duration)>,
}

impl Bar {
    /// The time from its beginning to its end.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.began)
    }

    /// For how much of a span of time AWS was working on it.
    #[must_use]
    pub fn worked(&self, from: Duration, until: Duration) -> Duration {
        self.work.iter().map(|(began, ended)| (*ended).min(until).saturating_sub((*began).max(from))).sum()
    }
}

/// The spans of time, sorted. Spans that touch or overlap are merged.
pub(super) fn merged(mut spans: Vec<(Duration, Duration)>) -> Vec<(Duration, Duration)> {
    spans.sort_unstable();
    let mut merged: Vec<(Duration, Duration)> = Vec::with_capacity(spans.len());
    for (from, until) in spans {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = until.max(*end),
            _ => merged.push((from, until)),
        }
    }
    merged
}

fn round(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round(*duration))
}

fn spans<S: Serializer>(spans: &[(Duration, Duration)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(spans.iter().map(|(from, until)| [round(*from), round(*until)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use drctl_engine::state::Role;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn spans_that_touch_are_merged_and_measured_within_a_span() {
        let work = merged(vec![(at(10), at(20)), (at(1), at(3)), (at(3), at(4)), (at(12), at(15))]);
        assert_eq!(work, [(at(1), at(4)), (at(10), at(20))]);
        let address = Address::new(Role::Primary, "vpc", "main");
        let bar = Bar { address, region: "r".to_owned(), began: at(0), ended: at(25), critical: false, work };
        assert_eq!(bar.worked(at(2), at(12)), at(4));
        assert_eq!(bar.worked(at(4), at(10)), at(0));
        assert_eq!(bar.took(), at(25));
    }
}
