//! How Route 53 decides which Region a name leads to, worked out by drctl itself.
//!
//! No emulator evaluates health checks or answers DNS, and AWS tells only the outcome. So the documented rules stand here:
//! what a check makes of its observations ([`check`]), what records answer ([`record`]), and a prober that observes as one of
//! Route 53's checkers would ([`probe`]). What they are applied to is read from Route 53 as it stands ([`mod@load`]).
//!
//! One difference is by design: Route 53 has checkers in many places, and takes an endpoint as healthy when more than 18% of
//! them do; here one checker looks, from one place.
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html>.
//! See docs/aws-behaviour.md#health-check-quorum.

pub mod check;
pub mod load;
pub mod probe;
pub mod record;

use std::collections::BTreeMap;
use std::time::Duration;

use check::{Checks, Observation};
use futures::future::join_all;
use probe::Endpoint;
use record::{Record, Records};

pub use load::load;

/// No look takes longer: four seconds to connect, and two to be answered. Also limits an [`Endpoint`] that knows no end.
const LONGEST: Duration = Duration::from_secs(6);

/// One name, the records that answer it, and the checks that decide which of them does.
#[derive(Debug, Clone)]
pub struct Evaluator {
    name: String,
    records: Records,
    checks: Checks,
}

impl Evaluator {
    /// For one name.
    #[must_use]
    pub fn new(name: &str, records: Vec<Record>, checks: Checks) -> Self {
        Self { name: name.to_owned(), records: Records::new(records), checks }
    }

    /// The record that the name is answered with now; `None` without any.
    #[must_use]
    pub fn answer(&self) -> Option<&Record> {
        self.records.answer(&self.name, &self.checks)
    }

    /// The checks, and how they stand.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Looks once at every endpoint that is watched, all at the same time, and returns what was seen by the checks' ids.
    ///
    /// Called at the checks' interval, it is one of Route 53's checkers.
    pub async fn observe(&mut self, endpoint: &impl Endpoint) -> BTreeMap<String, Observation> {
        let looks = self
            .checks
            .watched()
            .into_iter()
            .map(|(id, host, path)| async move { (id.to_owned(), look(endpoint, host, path).await) });
        let seen: BTreeMap<String, Observation> = join_all(looks).await.into_iter().collect();
        for (id, observation) in &seen {
            self.checks.observe(id, observation);
        }
        seen
    }
}

async fn look(endpoint: &impl Endpoint, host: &str, path: &str) -> Observation {
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

    use super::check::{Check, Kind};
    use super::probe::ProbeError;
    use super::record::{Failover, Target};
    use super::*;

    const PRIMARY: &str = "p.execute-api.us-east-1.amazonaws.com";
    const STANDBY: &str = "s.execute-api.us-east-2.amazonaws.com";

    /// Endpoints, of which those that are named do not answer 200.
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

    async fn answer_after(evaluator: &mut Evaluator, places: &Places, looks: usize) -> String {
        for _ in 0..looks {
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
    async fn the_name_moves_when_the_standby_says_so_though_the_primary_is_well() {
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

    /// "Records without a health check are always healthy", and the standby's has none.
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
    async fn before_the_switch_was_looked_at_often_enough_the_standby_answers() {
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
