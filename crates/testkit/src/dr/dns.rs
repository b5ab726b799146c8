//! How Route 53 decides which Region a name leads to, computed here.
//!
//! The rules are those of [`drctl_failover_dns`]. Here, they are applied to what Route 53 currently has ([`mod@load`]), and a
//! prober observes as one of Route 53's checkers would ([`probe`]).
//!
//! One difference is by design: Route 53 has checkers in many places, and takes an endpoint as healthy when more than 18% of
//! them do; here one checker looks, from one place.
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html>.
//! See docs/aws-behaviour.md#health-check-quorum.

pub mod load;
pub mod probe;

use std::collections::BTreeMap;
use std::time::Duration;

use drctl_failover_dns::check::{Checks, Observation};
use drctl_failover_dns::record::{Record, Records};
use futures::future::join_all;
use probe::Endpoint;

pub use load::load;

/// The limit of one observation: four seconds to connect, and two for the answer. It also limits an [`Endpoint`] without a
/// timeout.
const LONGEST: Duration = Duration::from_secs(6);

/// A name, the records that may answer it, and the checks that decide which of them does.
#[derive(Debug, Clone)]
pub struct Evaluator {
    name: String,
    records: Records,
    checks: Checks,
}

impl Evaluator {
    /// An evaluator for one name.
    #[must_use]
    pub fn new(name: &str, records: Vec<Record>, checks: Checks) -> Self {
        Self { name: name.to_owned(), records: Records::new(records), checks }
    }

    /// The record that currently answers the name; `None` if the name has no record.
    #[must_use]
    pub fn answer(&self) -> Option<&Record> {
        self.records.answer(&self.name, &self.checks)
    }

    /// The checks, with their status.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Observes every watched endpoint once, all at the same time. Returns the observations by the ids of the checks.
    ///
    /// Called at the interval of the checks, it behaves like one of Route 53's checkers.
    pub async fn observe(&mut self, endpoint: &impl Endpoint) -> BTreeMap<String, Observation> {
        let observations = self
            .checks
            .watched()
            .into_iter()
            .map(|(id, host, path)| async move { (id.to_owned(), observation(endpoint, host, path).await) });
        let seen: BTreeMap<String, Observation> = join_all(observations).await.into_iter().collect();
        for (id, observation) in &seen {
            self.checks.observe(id, observation);
        }
        seen
    }
}

async fn observation(endpoint: &impl Endpoint, host: &str, path: &str) -> Observation {
    match tokio::time::timeout(LONGEST, endpoint.get(host, path)).await {
        Ok(Ok(status)) => Observation::Answered(status),
        Ok(Err(error)) => Observation::Failed(error.to_string()),
        Err(_) => Observation::Failed(format!("no answer within {} s", LONGEST.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use drctl_failover_dns::check::{Check, Kind};
    use drctl_failover_dns::record::{Failover, Target};

    use super::probe::ProbeError;
    use super::*;

    const PRIMARY: &str = "p.execute-api.us-east-1.amazonaws.com";
    const STANDBY: &str = "s.execute-api.us-east-2.amazonaws.com";

    /// Endpoints that answer 200, except for those that are set to fail.
    #[derive(Default)]
    struct Places {
        failing: Mutex<BTreeSet<(String, String)>>,
    }

    impl Places {
        fn fail(&self, host: &str, path: &str, fails: bool) {
            let place = (host.to_owned(), path.to_owned());
            let mut failing = self.failing.lock().expect("no test panics with it");
            if fails {
                failing.insert(place);
            } else {
                failing.remove(&place);
            }
        }
    }

    impl Endpoint for Places {
        async fn get(&self, host: &str, path: &str) -> Result<u16, ProbeError> {
            let place = (host.to_owned(), path.to_owned());
            Ok(if self.failing.lock().expect("no test panics with it").contains(&place) { 503 } else { 200 })
        }
    }

    fn endpoint(id: &str, host: &str, path: &str, inverted: bool) -> Check {
        let kind = Kind::Endpoint { host: host.to_owned(), path: path.to_owned(), failure_threshold: 3 };
        Check { id: id.to_owned(), kind, inverted, disabled: false }
    }

    fn record(role: Failover, host: &str, check: Option<&str>) -> Record {
        Record {
            name: "api.example.com".to_owned(),
            record_type: "CNAME".to_owned(),
            set_identifier: host.to_owned(),
            failover: Some(role),
            health_check: check.map(str::to_owned),
            ttl: Some(60),
            target: Target::Values(vec![host.to_owned()]),
        }
    }

    /// As drctl builds it: the standby's record has no check.
    fn evaluator() -> Evaluator {
        let children = vec!["endpoint".to_owned(), "switch".to_owned()];
        let checks = [
            endpoint("endpoint", PRIMARY, "/health", false),
            endpoint("switch", STANDBY, "/dr/failover", true),
            endpoint("standby", STANDBY, "/health", false),
            Check {
                id: "primary".to_owned(),
                kind: Kind::Calculated { children, threshold: 2 },
                inverted: false,
                disabled: false,
            },
        ];
        let records =
            vec![record(Failover::Primary, PRIMARY, Some("primary")), record(Failover::Secondary, STANDBY, None)];
        Evaluator::new("api.example.com", records, Checks::new(checks))
    }

    async fn answer_after(evaluator: &mut Evaluator, places: &Places, observations: usize) -> String {
        for _ in 0..observations {
            evaluator.observe(places).await;
        }
        evaluator.answer().map(|record| record.leads_to().join(",")).unwrap_or_default()
    }

    #[tokio::test]
    async fn the_name_moves_after_three_failures_and_back_after_three_successes() {
        let (mut evaluator, places) = (evaluator(), Places::default());
        places.fail(STANDBY, "/dr/failover", true);
        assert_eq!(answer_after(&mut evaluator, &places, 3).await, PRIMARY);
        places.fail(PRIMARY, "/health", true);
        assert_eq!(answer_after(&mut evaluator, &places, 2).await, PRIMARY);
        assert_eq!(answer_after(&mut evaluator, &places, 1).await, STANDBY);
        places.fail(PRIMARY, "/health", false);
        assert_eq!(answer_after(&mut evaluator, &places, 2).await, STANDBY);
        assert_eq!(answer_after(&mut evaluator, &places, 1).await, PRIMARY);
    }

    #[tokio::test]
    async fn the_name_moves_when_the_standby_says_so_though_the_primary_is_healthy() {
        let (mut evaluator, places) = (evaluator(), Places::default());
        places.fail(STANDBY, "/dr/failover", true);
        assert_eq!(answer_after(&mut evaluator, &places, 3).await, PRIMARY);
        places.fail(STANDBY, "/dr/failover", false);
        assert_eq!(answer_after(&mut evaluator, &places, 3).await, STANDBY);
    }

    #[tokio::test]
    async fn a_dead_standby_moves_nothing() {
        let (mut evaluator, places) = (evaluator(), Places::default());
        places.fail(STANDBY, "/dr/failover", true);
        places.fail(STANDBY, "/health", true);
        assert_eq!(answer_after(&mut evaluator, &places, 5).await, PRIMARY);
        assert!(!evaluator.checks().healthy("standby"));
    }

    /// "Records without a health check are always healthy", and the standby's record has none.
    #[tokio::test]
    async fn with_everything_dead_the_name_leads_to_the_standby() {
        let (mut evaluator, places) = (evaluator(), Places::default());
        for (host, path) in [(PRIMARY, "/health"), (STANDBY, "/health"), (STANDBY, "/dr/failover")] {
            places.fail(host, path, true);
        }
        assert_eq!(answer_after(&mut evaluator, &places, 3).await, STANDBY);
    }

    /// "Considers a new health check to be healthy until there's enough data … If you chose the option to invert the health
    /// check status, … to be unhealthy": so the standby answers at first.
    #[tokio::test]
    async fn until_the_switch_has_been_checked_often_enough_the_standby_answers() {
        let (mut evaluator, places) = (evaluator(), Places::default());
        places.fail(STANDBY, "/dr/failover", true);
        assert_eq!(answer_after(&mut evaluator, &places, 0).await, STANDBY);
        assert_eq!(answer_after(&mut evaluator, &places, 3).await, PRIMARY);
    }

    struct Silent;

    impl Endpoint for Silent {
        async fn get(&self, _: &str, _: &str) -> Result<u16, ProbeError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_never_answers_has_failed() {
        let mut evaluator = evaluator();
        let seen = evaluator.observe(&Silent).await;
        assert_eq!(seen.len(), 3);
        assert!(seen.values().all(|observation| matches!(observation, Observation::Failed(_))));
    }
}
