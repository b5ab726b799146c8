//! What is known of the checks of one account: what they are, what was observed, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use drctl_failover_dns::check::{AlarmState, Check, Checks, Kind};
use drctl_failover_dns::quorum::Quorum;
use jiff::Timestamp;
use tokio::sync::watch;

use super::probe::Outcome;
use super::verdict::{CHECKERS, Report, Verdict};
use super::zones::{Configuration, Endpoint, HealthCheck, Protocol, Source, Zone};
use crate::sync::lock;

/// The checks and zones of one account.
pub(super) struct Account {
    pub(super) id: String,
    known: Mutex<Known>,
    /// Counts the changes of a status, of all accounts together.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    checks: Checks,
    sources: BTreeMap<String, Source>,
    zones: Arc<Vec<Zone>>,
    /// The last look of each checker, by check.
    reports: BTreeMap<String, BTreeMap<usize, Report>>,
    /// The last of these looks that was a failure.
    failures: BTreeMap<String, BTreeMap<usize, Report>>,
    alarms: BTreeMap<String, AlarmState>,
    /// The status of each check, and since when it has it.
    statuses: BTreeMap<String, (bool, Timestamp)>,
}

impl Account {
    pub(super) fn new(id: &str, changes: watch::Sender<u64>) -> Self {
        Self { id: id.to_owned(), known: Mutex::default(), changes }
    }

    /// Takes over what Route 53 has now.
    pub(super) fn configure(&self, configuration: Configuration) {
        let Configuration { checks, zones } = configuration;
        self.update(|known| {
            // What was seen counts only for a check that goes on looking at the same.
            let same = |check: &&HealthCheck| known.sources.get(&check.check.id) == Some(&check.source);
            let goes_on: BTreeSet<String> = checks
                .iter()
                .filter(same)
                .filter(|check| !check.check.disabled)
                .map(|check| check.check.id.clone())
                .collect();
            known.reports.retain(|id, _| goes_on.contains(id));
            known.failures.retain(|id, _| goes_on.contains(id));
            known.alarms.retain(|id, _| goes_on.contains(id));
            known.checks.replace(checks.iter().map(|check| check.check.clone()));
            for check in checks.iter().filter(|check| !goes_on.contains(&check.check.id)) {
                known.checks.restart(&check.check.id);
            }
            known.sources = checks.into_iter().map(|check| (check.check.id, check.source)).collect();
            known.zones = Arc::new(zones);
        });
    }

    /// Adds what a checker saw, as the result of this many looks.
    pub(super) fn report(&self, id: &str, checker: usize, looks: usize, outcome: &Outcome) {
        self.update(|known| {
            // The check may have been deleted while the checker looked.
            if !known.sources.contains_key(id) {
                return;
            }
            for _ in 0..looks {
                known.checks.observe_from(checker, id, outcome.success);
            }
            let report = Report {
                region: CHECKERS[checker].region,
                address: CHECKERS[checker].address,
                at: Timestamp::now(),
                success: outcome.success,
                status: outcome.status.clone(),
            };
            if !report.success {
                known.failures.entry(id.to_owned()).or_default().insert(checker, report.clone());
            }
            known.reports.entry(id.to_owned()).or_default().insert(checker, report);
        });
    }

    /// A checker does not report any more.
    pub(super) fn silence(&self, id: &str, checker: usize) {
        self.update(|known| {
            known.checks.silence(checker, id);
            if let Some(reports) = known.reports.get_mut(id) {
                reports.remove(&checker);
            }
        });
    }

    /// Adds the state of an alarm.
    pub(super) fn alarm(&self, id: &str, state: AlarmState) {
        self.update(|known| {
            known.checks.observe_alarm(id, state);
            known.alarms.insert(id.to_owned(), state);
        });
    }

    fn update(&self, change: impl FnOnce(&mut Known)) {
        let mut known = lock(&self.known);
        change(&mut known);
        let now = Timestamp::now();
        let (mut statuses, mut changed) = (BTreeMap::new(), false);
        for (check, healthy) in known.checks.statuses() {
            let old = known.statuses.get(&check.id).copied().filter(|(status, _)| *status == healthy);
            changed |= old.is_none();
            statuses.insert(check.id.clone(), old.unwrap_or((healthy, now)));
        }
        changed |= statuses.len() != known.statuses.len();
        known.statuses = statuses;
        drop(known);
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// The enabled checks that have something to look at, each with the number of looks that change its status.
    pub(super) fn watched(&self) -> Vec<(String, Source, usize)> {
        let known = lock(&self.known);
        let enabled = known.checks.statuses().map(|(check, _)| check).filter(|check| !check.disabled);
        let watched = enabled.filter_map(|check| {
            let looks = match check.kind {
                Kind::Endpoint { failure_threshold, .. } => failure_threshold.max(1),
                Kind::Alarm { .. } => 1,
                Kind::Calculated { .. } | Kind::Other(_) => return None,
            };
            Some((check.id.clone(), known.sources.get(&check.id)?.clone(), looks))
        });
        watched.collect()
    }

    /// Whether the checkers together take the endpoint of a check as healthy so far, whatever the status of the check is.
    pub(super) fn takes_as_alive(&self, id: &str) -> bool {
        lock(&self.known).checks.quorum(id).is_some_and(Quorum::healthy)
    }

    pub(super) fn zones(&self) -> Arc<Vec<Zone>> {
        Arc::clone(&lock(&self.known).zones)
    }

    /// The checks as they are now.
    pub(super) fn checks(&self) -> Checks {
        lock(&self.known).checks.clone()
    }

    /// All checks, by their ids.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let known = lock(&self.known);
        known.checks.statuses().filter_map(|(check, _)| known.verdict(check)).collect()
    }
}

impl Known {
    fn verdict(&self, check: &Check) -> Option<Verdict> {
        let (healthy, since) = self.statuses.get(&check.id).copied()?;
        let mut reason = self.reason(check);
        if check.inverted {
            reason.push_str("; the status is inverted");
        }
        let quorum = self.checks.quorum(&check.id).filter(|_| !check.disabled);
        let looks = |of: &BTreeMap<String, BTreeMap<usize, Report>>| -> Vec<Report> {
            let looks = of.get(&check.id).filter(|_| !check.disabled);
            looks.into_iter().flat_map(BTreeMap::values).cloned().collect()
        };
        Some(Verdict {
            id: check.id.clone(),
            of: self.subject(check),
            healthy,
            since,
            inverted: check.inverted,
            disabled: check.disabled,
            reason,
            share: quorum.map(Quorum::share),
            reports: looks(&self.reports),
            failures: looks(&self.failures),
        })
    }

    fn subject(&self, check: &Check) -> String {
        match (self.sources.get(&check.id), &check.kind) {
            (Some(Source::Endpoint(endpoint)), _) => url(endpoint),
            (Some(Source::Alarm(alarm)), _) => format!("the alarm {} in {}", alarm.name, alarm.region),
            (_, Kind::Calculated { children, .. }) => format!("the health checks {}", children.join(", ")),
            (_, Kind::Other(kind)) => kind.clone(),
            (_, Kind::Endpoint { .. } | Kind::Alarm { .. }) => String::new(),
        }
    }

    fn reason(&self, check: &Check) -> String {
        if check.disabled {
            return "it is disabled, and counts as healthy".to_owned();
        }
        match &check.kind {
            Kind::Endpoint { .. } => match self.checks.quorum(&check.id).map(Quorum::share) {
                Some((healthy, all)) if all > 0 => {
                    format!("{healthy} of {all} checkers take the endpoint as healthy, and more than 18 % have to")
                }
                _ => "no checker reports, so the status stays as it was".to_owned(),
            },
            Kind::Calculated { children, threshold } => {
                let healthy = children.iter().filter(|child| self.checks.healthy(child)).count();
                format!("{healthy} of {} health checks are healthy, and {threshold} have to be", children.len())
            }
            Kind::Alarm { .. } => match self.alarms.get(&check.id) {
                Some(AlarmState::Ok) => "the alarm is OK".to_owned(),
                Some(AlarmState::Alarm) => "the alarm is in ALARM".to_owned(),
                Some(AlarmState::InsufficientData) => "the alarm has INSUFFICIENT_DATA".to_owned(),
                None => "the alarm has not been read".to_owned(),
            },
            Kind::Other(kind) => format!("the sandbox has no checks of type {kind}, and takes them as healthy"),
        }
    }
}

fn url(endpoint: &Endpoint) -> String {
    let (host, path) = (endpoint.host_header(), &endpoint.path);
    match endpoint.protocol {
        Protocol::Tcp => format!("tcp://{host}"),
        Protocol::Http => format!("http://{host}{path}"),
        Protocol::Https => format!("https://{host}{path}"),
    }
}
