//! What the checkers of a health check say, in a form for `GetHealthCheckStatus`, for CloudWatch, and for people.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::zones::Measured;

/// A checker of Route 53: the Region in which it is, and the address from which it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checker {
    pub(crate) region: &'static str,
    pub(crate) address: Ipv4Addr,
}

const fn checker(region: &'static str, [a, b, c, d]: [u8; 4]) -> Checker {
    Checker { region, address: Ipv4Addr::new(a, b, c, d) }
}

/// Two checkers in each of the eight Regions that have some, each with the first address of a range that AWS publishes for
/// `ROUTE53_HEALTHCHECKS`. AWS itself has more, and reports sixteen: <https://ip-ranges.amazonaws.com/ip-ranges.json>.
pub(crate) const CHECKERS: [Checker; 16] = [
    checker("us-east-1", [54, 243, 31, 193]),
    checker("us-east-1", [107, 23, 255, 1]),
    checker("us-west-1", [54, 183, 255, 129]),
    checker("us-west-1", [54, 241, 32, 65]),
    checker("us-west-2", [54, 244, 52, 193]),
    checker("us-west-2", [54, 245, 168, 1]),
    checker("eu-west-1", [54, 228, 16, 1]),
    checker("eu-west-1", [176, 34, 159, 193]),
    checker("ap-southeast-1", [54, 251, 31, 129]),
    checker("ap-southeast-1", [54, 255, 254, 193]),
    checker("ap-southeast-2", [54, 252, 79, 129]),
    checker("ap-southeast-2", [54, 252, 254, 193]),
    checker("ap-northeast-1", [54, 248, 220, 1]),
    checker("ap-northeast-1", [54, 250, 253, 193]),
    checker("sa-east-1", [54, 232, 40, 65]),
    checker("sa-east-1", [177, 71, 207, 129]),
];

/// The last look of one checker: a `HealthCheckObservation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// The Region in which the checker is.
    pub(crate) region: &'static str,
    /// The address from which it asks.
    pub(crate) address: Ipv4Addr,
    /// When it looked.
    pub(crate) at: Timestamp,
    /// Whether the look was a success.
    pub(crate) success: bool,
    /// `Success: …` or `Failure: …`, as `GetHealthCheckStatus` reports it.
    pub(crate) status: String,
}

/// The status of a health check, and why it is so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// The check's id.
    pub(crate) id: String,
    /// What it is about, e.g. `https://api.example.com/health`.
    pub(crate) of: String,
    /// Whether Route 53 takes it as healthy, with `Inverted` and `Disabled` taken into account: the metric
    /// `HealthCheckStatus` is 1 or 0 accordingly.
    pub(crate) healthy: bool,
    /// Since when that is so.
    pub(crate) since: Timestamp,
    /// `Inverted`: whether the opposite of what was observed counts.
    pub(crate) inverted: bool,
    /// `Disabled`: whether nothing is observed.
    pub(crate) disabled: bool,
    /// Why, in words.
    pub(crate) reason: String,
    /// How many of the checkers take the endpoint as healthy, and how many report; `None` for a check without an endpoint. The
    /// metric `HealthCheckPercentageHealthy` is their quotient.
    pub(crate) share: Option<(usize, usize)>,
    /// The last look of each checker that reports.
    pub(crate) reports: Vec<Report>,
    /// The last look of each checker that was a failure, whether the checker still reports or not.
    #[serde(skip)]
    pub(crate) failures: Vec<Report>,
}

impl Verdict {
    /// What CloudWatch is told: "1 indicates healthy, and 0 indicates unhealthy", and of an endpoint "the percentage of Route 53
    /// health checkers that consider" it healthy.
    pub(super) fn measured(&self) -> Vec<Measured> {
        let of = |metric, unit, value| Measured { check: self.id.clone(), metric, unit, value };
        let percentage = self.share.and_then(|(healthy, all)| (healthy * 100).checked_div(all));
        let percentage = percentage.and_then(|percentage| u32::try_from(percentage).ok());
        let status = of("HealthCheckStatus", "None", if self.healthy { 1.0 } else { 0.0 });
        let percentage = percentage.map(|value| of("HealthCheckPercentageHealthy", "Percent", f64::from(value)));
        [Some(status), percentage].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn there_are_sixteen_checkers_in_eight_regions() {
        let mut regions = BTreeMap::new();
        for checker in CHECKERS {
            *regions.entry(checker.region).or_insert(0) += 1;
        }
        assert_eq!((regions.len(), regions.values().all(|count| *count == 2)), (8, true), "{regions:?}");
        assert_eq!(CHECKERS.iter().map(|checker| checker.address).collect::<BTreeSet<_>>().len(), 16);
    }
}
