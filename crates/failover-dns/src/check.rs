//! Health checks: their status, given their observations.
//!
//! The rules are from
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html> and
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html>.

use std::collections::BTreeMap;

use crate::quorum::Quorum;

/// The result of observing an endpoint once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// It answered in time, with this HTTP status.
    Answered(u16),
    /// It did not, for this reason.
    Failed(String),
}

impl Observation {
    /// Whether the observation is a success: a status of 2xx or 3xx is.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered(200..=399))
    }
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its id.
    pub id: String,
    /// What its status depends on.
    pub kind: Kind,
    /// Whether its status is inverted.
    pub inverted: bool,
    /// Whether it does not observe anything.
    pub disabled: bool,
}

/// What the status of a health check depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An endpoint, over HTTP or HTTPS.
    Endpoint {
        /// The endpoint's host.
        host: String,
        /// The path that is requested.
        path: String,
        /// How many observations in a row have to contradict the status to change it.
        failure_threshold: usize,
    },
    /// Other checks.
    Calculated {
        /// Their ids.
        children: Vec<String>,
        /// How many of them have to be healthy.
        threshold: usize,
    },
    /// A CloudWatch alarm.
    Alarm {
        /// The status while the alarm has no data.
        insufficient_data: InsufficientData,
    },
    /// Something that drctl does not use, by AWS's name for it. Such a check counts as healthy.
    Other(String),
}

/// `InsufficientDataHealthStatus`: the status of a check whose alarm has no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsufficientData {
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
    /// The status from the last time at which there was data; healthy if there never was.
    LastKnownStatus,
}

/// What CloudWatch makes of the data of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmState {
    /// `OK`
    Ok,
    /// `ALARM`
    Alarm,
    /// `INSUFFICIENT_DATA`
    InsufficientData,
}

/// The checker that observes when there is only one.
const ONLY: usize = 0;

/// Health checks, and what was observed of what they depend on.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    by_id: BTreeMap<String, Check>,
    endpoints: BTreeMap<String, Quorum>,
    alarms: BTreeMap<String, bool>,
}

impl Checks {
    /// New checks, which have not observed anything yet.
    #[must_use]
    pub fn new(checks: impl IntoIterator<Item = Check>) -> Self {
        let checks: BTreeMap<String, Check> = checks.into_iter().map(|check| (check.id.clone(), check)).collect();
        let (mut endpoints, mut alarms) = (BTreeMap::new(), BTreeMap::new());
        for (id, check) in &checks {
            match &check.kind {
                Kind::Endpoint { failure_threshold, .. } => {
                    endpoints.insert(id.clone(), Quorum::new(*failure_threshold));
                }
                Kind::Alarm { .. } => {
                    alarms.insert(id.clone(), true);
                }
                Kind::Calculated { .. } | Kind::Other(_) => {}
            }
        }
        Self { by_id: checks, endpoints, alarms }
    }

    /// Replaces the checks by those that Route 53 has now.
    ///
    /// A check that is still there keeps its status. If it observes something else now, or has been disabled, its checkers
    /// start counting again.
    pub fn replace(&mut self, checks: impl IntoIterator<Item = Check>) {
        let old = std::mem::replace(self, Self::new(checks));
        for (id, quorum) in old.endpoints {
            if !self.endpoints.contains_key(&id) {
                continue;
            }
            self.endpoints.insert(id.clone(), quorum);
            let goes_on =
                |check: &Check| !check.disabled && old.by_id.get(&id).is_some_and(|old| old.kind == check.kind);
            if !self.by_id.get(&id).is_some_and(goes_on) {
                self.restart(&id);
            }
        }
        for (id, healthy) in old.alarms {
            if let Some(status) = self.alarms.get_mut(&id) {
                *status = healthy;
            }
        }
    }

    /// Lets the checkers of a check start counting again, because they look at something else now. The status stays.
    pub fn restart(&mut self, id: &str) {
        let kind = self.by_id.get(id).map(|check| &check.kind);
        if let Some(Kind::Endpoint { failure_threshold, .. }) = kind
            && let Some(quorum) = self.endpoints.get_mut(id)
        {
            *quorum = quorum.restarted(*failure_threshold);
        }
    }

    /// All of them, by their ids, and whether each is healthy.
    pub fn statuses(&self) -> impl Iterator<Item = (&Check, bool)> {
        self.by_id.values().map(|check| (check, self.healthy(&check.id)))
    }

    /// The endpoints that are observed, one per check: id, host and path. A disabled check does not observe anything.
    #[must_use]
    pub fn watched(&self) -> Vec<(&str, &str, &str)> {
        let watched = self.by_id.values().filter(|check| !check.disabled).filter_map(|check| match &check.kind {
            Kind::Endpoint { host, path, .. } => Some((check.id.as_str(), host.as_str(), path.as_str())),
            _ => None,
        });
        watched.collect()
    }

    /// Adds an observation to a check that has only one checker.
    pub fn observe(&mut self, id: &str, observation: &Observation) {
        self.observe_from(ONLY, id, observation.is_success());
    }

    /// Adds to a check what one of its checkers observed.
    pub fn observe_from(&mut self, checker: usize, id: &str, success: bool) {
        if let Some(quorum) = self.endpoints.get_mut(id) {
            quorum.observe(checker, success);
        }
    }

    /// A checker of a check does not report any more.
    pub fn silence(&mut self, checker: usize, id: &str) {
        if let Some(quorum) = self.endpoints.get_mut(id) {
            quorum.silence(checker);
        }
    }

    /// Adds to a check what CloudWatch makes of the data of its alarm. See docs/aws-behaviour.md#health-check-of-an-alarm.
    ///
    /// "If the data stream indicates that the state of the alarm is OK, the health check is considered healthy. If the data
    /// stream indicates that the state is Alarm, the health check is considered unhealthy."
    pub fn observe_alarm(&mut self, id: &str, state: AlarmState) {
        let Some(Kind::Alarm { insufficient_data }) = self.by_id.get(id).map(|check| &check.kind) else { return };
        let healthy = match (state, insufficient_data) {
            (AlarmState::InsufficientData, InsufficientData::LastKnownStatus) => return,
            (AlarmState::Ok, _) | (AlarmState::InsufficientData, InsufficientData::Healthy) => true,
            (AlarmState::Alarm, _) | (AlarmState::InsufficientData, InsufficientData::Unhealthy) => false,
        };
        self.alarms.insert(id.to_owned(), healthy);
    }

    /// The checkers of a check's endpoint; `None` if it has none.
    #[must_use]
    pub fn quorum(&self, id: &str) -> Option<&Quorum> {
        self.endpoints.get(id)
    }

    /// Whether a check is healthy.
    ///
    /// A check that no longer exists counts as healthy. What Route 53 does with the records that still refer to it "can't be
    /// predicted" (`DeleteHealthCheck`).
    #[must_use]
    pub fn healthy(&self, id: &str) -> bool {
        self.status(id, &mut Vec::new())
    }

    /// `above` are the checks that count this one. They are left out, because a check that counted itself would have no status.
    fn status<'a>(&'a self, id: &'a str, above: &mut Vec<&'a str>) -> bool {
        let Some(check) = self.by_id.get(id) else { return true };
        let healthy = match &check.kind {
            // "After you disable a health check, Route 53 considers the status of the health check to always be healthy."
            _ if check.disabled => true,
            Kind::Endpoint { .. } => self.endpoints.get(id).is_none_or(Quorum::healthy),
            Kind::Alarm { .. } => self.alarms.get(id).is_none_or(|healthy| *healthy),
            Kind::Calculated { children, threshold } => {
                above.push(id);
                let mut healthy = 0;
                for child in children {
                    if !above.contains(&child.as_str()) && self.status(child, above) {
                        healthy += 1;
                    }
                }
                above.pop();
                healthy >= *threshold
            }
            Kind::Other(_) => true,
        };
        // Inversion comes last. The documentation of Disabled says: "If you want to stop routing traffic to a resource,
        // change the value of Inverted."
        healthy != check.inverted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, kind: Kind) -> Check {
        Check { id: id.to_owned(), kind, inverted: false, disabled: false }
    }

    fn endpoint(id: &str, failure_threshold: usize) -> Check {
        check(id, Kind::Endpoint { host: "h".to_owned(), path: "/".to_owned(), failure_threshold })
    }

    fn calculated(children: &[&str], threshold: usize) -> Check {
        let children = children.iter().map(|id| (*id).to_owned()).collect();
        check("parent", Kind::Calculated { children, threshold })
    }

    fn see(checks: &mut Checks, id: &str, statuses: &[u16]) {
        for status in statuses {
            checks.observe(id, &Observation::Answered(*status));
        }
    }

    /// "The endpoint must respond with an HTTP status code of 2xx or 3xx within two seconds after connecting."
    #[test]
    fn statuses_of_2xx_and_3xx_are_successes_and_nothing_else_is() {
        for status in [200, 204, 299, 301, 399] {
            assert!(Observation::Answered(status).is_success(), "{status}");
        }
        for status in [100, 199, 400, 404, 429, 500, 503] {
            assert!(!Observation::Answered(status).is_success(), "{status}");
        }
        assert!(!Observation::Failed("no answer".to_owned()).is_success());
    }

    /// "Route 53 considers a new health check to be healthy until there's enough data to determine the actual status."
    #[test]
    fn a_new_check_is_healthy_and_an_inverted_one_is_not() {
        let inverted = Check { inverted: true, ..endpoint("inverted", 3) };
        let mut checks = Checks::new([endpoint("plain", 3), inverted]);
        assert!(checks.healthy("plain") && !checks.healthy("inverted"));
        see(&mut checks, "plain", &[500, 500]);
        see(&mut checks, "inverted", &[404, 404]);
        assert!(checks.healthy("plain") && !checks.healthy("inverted"));
    }

    /// `FailureThreshold`: "the number of consecutive health checks that an endpoint must pass or fail for Route 53 to
    /// change the current status of the endpoint from unhealthy to healthy or vice versa".
    #[test]
    fn only_consecutive_results_change_the_status_in_either_direction() {
        let mut checks = Checks::new([endpoint("a", 3)]);
        see(&mut checks, "a", &[500, 500, 200, 500, 500]);
        assert!(checks.healthy("a"));
        see(&mut checks, "a", &[500]);
        assert!(!checks.healthy("a"));
        see(&mut checks, "a", &[200, 200, 500, 200, 200]);
        assert!(!checks.healthy("a"));
        see(&mut checks, "a", &[200]);
        assert!(checks.healthy("a"));
    }

    #[test]
    fn a_threshold_of_one_follows_every_result() {
        let mut checks = Checks::new([endpoint("a", 1)]);
        see(&mut checks, "a", &[500]);
        assert!(!checks.healthy("a"));
        see(&mut checks, "a", &[200]);
        assert!(checks.healthy("a"));
        let mut checks = Checks::new([endpoint("a", 0)]);
        see(&mut checks, "a", &[500]);
        assert!(!checks.healthy("a"), "a threshold of zero counts as one");
    }

    /// "After you disable a health check, Route 53 considers the status of the health check to always be healthy … If you want
    /// to stop routing traffic to a resource, change the value of Inverted."
    #[test]
    fn a_disabled_check_does_not_look_and_is_healthy_unless_inverted() {
        let disabled = Check { disabled: true, ..endpoint("a", 1) };
        let inverted = Check { id: "b".to_owned(), inverted: true, ..disabled.clone() };
        let mut checks = Checks::new([disabled, inverted]);
        assert!(checks.watched().is_empty());
        see(&mut checks, "a", &[500]);
        assert!(checks.healthy("a") && !checks.healthy("b"));
    }

    /// Inverted: "Route 53 considers health checks healthy when the status is unhealthy and vice versa."
    #[test]
    fn an_inverted_check_is_healthy_while_its_endpoint_fails() {
        let mut checks = Checks::new([Check { inverted: true, ..endpoint("a", 2) }]);
        see(&mut checks, "a", &[404, 404]);
        assert!(checks.healthy("a"));
        see(&mut checks, "a", &[200, 200]);
        assert!(!checks.healthy("a"));
    }

    /// `HealthThreshold`: "the number of child health checks … that Amazon Route 53 must consider healthy".
    #[test]
    fn a_calculated_check_is_healthy_with_as_many_healthy_children_as_its_threshold() {
        for (threshold, expected) in [(1, true), (2, true), (3, false)] {
            let parent = calculated(&["a", "b", "c"], threshold);
            let mut checks = Checks::new([endpoint("a", 1), endpoint("b", 1), endpoint("c", 1), parent]);
            see(&mut checks, "c", &[500]);
            assert_eq!(checks.healthy("parent"), expected, "{threshold}");
        }
    }

    /// `HealthThreshold`: "If you specify a number greater than the number of child health checks, Route 53 always
    /// considers this health check to be unhealthy. If you specify 0, Route 53 always considers this health check to be
    /// healthy."
    #[test]
    fn thresholds_out_of_range_fix_the_status() {
        let mut checks = Checks::new([endpoint("a", 1), calculated(&["a"], 2)]);
        assert!(!checks.healthy("parent"));
        checks = Checks::new([endpoint("a", 1), calculated(&["a"], 0)]);
        see(&mut checks, "a", &[500]);
        assert!(checks.healthy("parent"));
    }

    #[test]
    fn a_calculated_check_counts_the_status_of_its_children_inverted_or_not() {
        let switch = Check { inverted: true, ..endpoint("switch", 1) };
        let mut checks = Checks::new([endpoint("a", 1), switch, calculated(&["a", "switch"], 2)]);
        see(&mut checks, "switch", &[404]);
        assert!(checks.healthy("parent"));
        see(&mut checks, "switch", &[200]);
        assert!(!checks.healthy("parent"));
        let mut turned = Checks::new([endpoint("a", 1), Check { inverted: true, ..calculated(&["a"], 1) }]);
        assert!(!turned.healthy("parent"));
        see(&mut turned, "a", &[500]);
        assert!(turned.healthy("parent"));
    }

    #[test]
    fn a_check_that_counts_itself_is_not_counted() {
        let checks = Checks::new([endpoint("a", 1), calculated(&["a", "parent"], 2)]);
        assert!(!checks.healthy("parent"));
    }

    #[test]
    fn checks_that_are_gone_or_of_another_type_count_as_healthy() {
        let checks = Checks::new([check("tcp", Kind::Other("TCP".to_owned())), calculated(&["tcp", "gone"], 2)]);
        assert!(checks.healthy("tcp") && checks.healthy("gone") && checks.healthy("parent"));
        let statuses: Vec<_> = checks.statuses().map(|(check, healthy)| (check.id.as_str(), healthy)).collect();
        assert_eq!(statuses, [("parent", true), ("tcp", true)]);
    }

    /// `InsufficientDataHealthStatus` has three values, and an alarm three states.
    #[test]
    fn a_check_of_an_alarm_follows_the_alarm() {
        use InsufficientData::{Healthy, LastKnownStatus, Unhealthy};
        for (insufficient_data, without_data_after_ok, without_data_after_alarm) in
            [(Healthy, true, true), (Unhealthy, false, false), (LastKnownStatus, true, false)]
        {
            let mut checks = Checks::new([check("a", Kind::Alarm { insufficient_data })]);
            assert!(checks.healthy("a"), "a new check is healthy");
            checks.observe_alarm("a", AlarmState::Ok);
            assert!(checks.healthy("a"));
            checks.observe_alarm("a", AlarmState::InsufficientData);
            assert_eq!(checks.healthy("a"), without_data_after_ok, "{insufficient_data:?}");
            checks.observe_alarm("a", AlarmState::Alarm);
            assert!(!checks.healthy("a"));
            checks.observe_alarm("a", AlarmState::InsufficientData);
            assert_eq!(checks.healthy("a"), without_data_after_alarm, "{insufficient_data:?}");
        }
    }

    #[test]
    fn several_checkers_decide_together_and_one_decides_alone() {
        let mut checks = Checks::new([endpoint("a", 1)]);
        (0..16).for_each(|checker| checks.observe_from(checker, "a", checker < 3));
        assert!(checks.healthy("a"), "three of sixteen");
        checks.silence(0, "a");
        assert!(!checks.healthy("a"), "two of fifteen");
        assert_eq!(checks.quorum("a").map(Quorum::share), Some((2, 15)));
        checks.restart("a");
        assert_eq!((checks.healthy("a"), checks.quorum("a").map(Quorum::share)), (false, Some((0, 0))));
        assert_eq!(checks.quorum("gone"), None);
    }

    #[test]
    fn checks_that_are_read_again_keep_their_status() {
        let alarm = || check("alarm", Kind::Alarm { insufficient_data: InsufficientData::Healthy });
        let mut checks = Checks::new([endpoint("same", 2), endpoint("changed", 2), endpoint("off", 2), alarm()]);
        for id in ["same", "changed", "off"] {
            see(&mut checks, id, &[500, 500, 200]);
        }
        checks.observe_alarm("alarm", AlarmState::Alarm);
        let off = Check { disabled: true, ..endpoint("off", 2) };
        checks.replace([endpoint("same", 2), endpoint("changed", 3), off, alarm(), endpoint("new", 2)]);
        let healthy = |checks: &Checks| {
            checks.statuses().filter(|(_, healthy)| *healthy).map(|(check, _)| check.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(healthy(&checks), ["new", "off"], "a disabled check is healthy");
        see(&mut checks, "same", &[200]);
        see(&mut checks, "changed", &[200, 200]);
        assert_eq!(healthy(&checks), ["new", "off", "same"], "only the unchanged check has counted the success before");
        checks.replace([endpoint("off", 2)]);
        assert_eq!(healthy(&checks), Vec::<String>::new(), "enabled again, it is as it was");
    }
}
