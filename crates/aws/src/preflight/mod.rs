//! What is found out before the first call that makes anything: would AWS take what the plan is going to make? All problems at
//! once, and nothing is changed. Only what is to be made or changed is checked.
//!
//! A *problem* stops `up`: AWS would refuse it. A *note* does not: AWS would accept it, but an operator should know. What
//! could not be checked, because an endpoint does not know the question or the caller may not ask it, is *unchecked*: it is
//! told, and stops nothing.

mod actions;
mod allowances;
mod asks;
mod database;
mod names;
mod permissions;
mod planned;
mod quotas;
mod records;
mod regions;
mod taken;
mod versions;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join_all};
use serde::Serialize;

pub use actions::{ALWAYS, BOUNDING, LOOKING, Needs, ONCE, SWEEPING, needs, needs_of, permission};
pub use regions::{UnknownRegions, unknown_regions};

use crate::Aws;
use drctl_config::Config;
use drctl_engine::{Class, Failure, Plan, Region};
use planned::Planned;

/// How long one check may take in one Region.
const LIMIT: Duration = Duration::from_mins(1);

/// What is checked, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Preflight<'a> {
    /// AWS, or what stands in for it.
    pub aws: &'a Arc<Aws>,
    /// What is configured.
    pub config: &'a Config,
    /// The account, 12 digits.
    pub account: &'a str,
    /// The primary and the secondary Region.
    pub regions: [&'a str; 2],
    /// The zones of the stack in each of them.
    pub zones: [&'a [String; 3]; 2],
    /// What is going to be done.
    pub plan: &'a Plan,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// What would stop `up` midway, and so stops it before it begins.
    pub problems: Vec<Problem>,
    /// What does not stop `up`, but an operator should know.
    pub notes: Vec<Problem>,
    /// What could not be checked.
    pub unchecked: Vec<Unchecked>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A Region that does not answer.
    Region,
    /// The version of the database's engine.
    EngineVersion,
    /// The class of the database's instances.
    InstanceClass,
    /// A quota of the account.
    Quota,
    /// A name that somebody else has.
    Name,
    /// The public domain.
    Domain,
    /// An Availability Zone.
    Zone,
    /// What the caller may do.
    Permission,
}

/// Something that stands in the way of `up`, or a note that does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it is about.
    pub about: About,
    /// The Region; absent for what is global.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Which one: an address, a quota, a zone, a service.
    pub subject: String,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to do.
    pub help: String,
    /// How much there is of a quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// Whether the plan says it already, at the resource that it hit.
    #[serde(skip)]
    pub in_plan: bool,
}

/// A quota, and what it is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// How many there may be.
    pub quota: u64,
    /// How many there are.
    pub used: u64,
    /// How many the plan makes.
    pub planned: u64,
}

/// Something that could not be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unchecked {
    /// What it is about.
    pub about: About,
    /// The Region; absent for what is global.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Which one, in a few words: `VPCs`, `permissions`.
    pub subject: String,
    /// Why not, in a sentence without a full stop.
    pub why: String,
}

impl Figures {
    /// Whether there is room for what is planned.
    #[must_use]
    pub fn suffice(&self) -> bool {
        self.needed() <= self.quota
    }

    /// How large the quota has to be.
    #[must_use]
    pub fn needed(&self) -> u64 {
        self.used.saturating_add(self.planned)
    }
}

impl Problem {
    fn new(about: About, region: Option<&str>, subject: impl Into<String>, message: String, help: String) -> Self {
        let (region, subject) = (region.map(str::to_owned), subject.into());
        Self { about, region, subject, message, help, figures: None, in_plan: false }
    }

    fn silent(region: &str, why: &str, help: Option<&str>) -> Self {
        let help = help.unwrap_or("Check the network and AWS's health dashboard for that Region.").to_owned();
        Self::new(About::Region, Some(region), region, format!("the Region does not answer: {why}"), help)
    }
}

impl Findings {
    /// Whether something stands in the way.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Whether permissions are among what is missing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.problems.iter().any(|problem| problem.about == About::Permission)
    }

    fn unchecked(&mut self, about: About, region: Option<&str>, subject: impl Into<String>, why: String) {
        self.unchecked.push(Unchecked { about, region: region.map(str::to_owned), subject: subject.into(), why });
    }

    /// A question of a service that `up` needs came back without an answer. One that does not answer would fail `up` as
    /// well; one that refuses the question need not refuse the rest.
    fn unanswered(&mut self, about: About, region: &str, subject: &str, failure: &Failure) {
        match failure.class {
            Class::Unreachable | Class::TimedOut | Class::Ambiguous => {
                self.problems.push(Problem::silent(region, &reason(failure), failure.help.as_deref()));
            }
            _ => self.unchecked(about, Some(region), subject, reason(failure)),
        }
    }

    /// A Region that does not answer is told once, and the order does not depend on which answer came first.
    fn settled(all: Vec<Self>) -> Self {
        let mut settled = Self::default();
        for findings in all {
            for problem in findings.problems {
                let told = problem.about == About::Region
                    && settled
                        .problems
                        .iter()
                        .any(|other| (other.about, &other.region) == (problem.about, &problem.region));
                if !told {
                    settled.problems.push(problem);
                }
            }
            settled.notes.extend(findings.notes);
            settled.unchecked.extend(findings.unchecked);
        }
        settled
    }
}

impl Preflight<'_> {
    /// Checks everything, in both Regions at the same time.
    pub async fn run(&self) -> Findings {
        let planned = Planned::of(self.plan);
        let mut checks: Vec<LocalBoxFuture<'_, Findings>> = Vec::new();
        for (region, zones) in self.regions.into_iter().zip(self.zones) {
            checks.push(limited(region, zones::check(self, &planned, region)).boxed_local());
            checks.push(limited(region, quotas::network(self, &planned, region, zones)).boxed_local());
            checks.push(limited(region, allowances::database(self, &planned, region)).boxed_local());
            checks.push(limited(region, allowances::concurrency(self, &planned, region)).boxed_local());
        }
        checks.push(database::check(self, &planned).boxed_local());
        checks.push(allowances::roles(self, &planned).boxed_local());
        checks.push(names::check(self, &planned).boxed_local());
        checks.push(records::check(self, &planned).boxed_local());
        checks.push(taken::check(self, &planned).boxed_local());
        checks.push(permissions::check(self, &planned).boxed_local());
        Findings::settled(join_all(checks).await)
    }
}

/// A check that takes no longer than it may.
async fn limited(region: &str, check: impl Future<Output = Findings>) -> Findings {
    tokio::time::timeout(LIMIT, check).await.unwrap_or_else(|_| {
        let why = format!("no answer within {} s", LIMIT.as_secs());
        Findings { problems: vec![Problem::silent(region, &why, None)], ..Findings::default() }
    })
}

/// The same for a question that other answers are needed for.
async fn answered<T>(region: &Region, question: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(LIMIT, question).await.unwrap_or_else(|_| {
        let why = format!("no answer from {region} within {} s", LIMIT.as_secs());
        Err(Failure::new(Class::TimedOut, why))
    })
}

/// Why a question was not answered. Without the request's id: the same reason is the same text, however often it is asked.
fn reason(failure: &Failure) -> String {
    Failure { request_id: None, ..failure.clone() }.to_string()
}

/// `a`, `a and b`, `a, b and c`.
fn listed<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [rest @ .., last] => {
            let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", rest.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_suffices_up_to_its_last_one() {
        let figures = |quota, used, planned| Figures { quota, used, planned };
        assert!(figures(5, 2, 3).suffice());
        assert!(!figures(5, 3, 3).suffice());
        assert!(!figures(5, u64::MAX, 3).suffice());
    }

    #[test]
    fn a_silent_region_is_told_once_and_a_refused_question_stops_nothing() {
        let mut one = Findings::default();
        one.unanswered(About::Quota, "us-east-2", "VPCs", &Failure::new(Class::Unreachable, "connection refused"));
        let mut two = Findings::default();
        two.unanswered(About::Zone, "us-east-2", "zones", &Failure::new(Class::TimedOut, "no answer"));
        two.unanswered(About::Zone, "us-east-1", "zones", &Failure::new(Class::Denied, "not authorized"));
        let settled = Findings::settled(vec![one, two]);
        assert_eq!(settled.problems.len(), 1, "{settled:?}");
        assert_eq!(settled.problems[0].message, "the Region does not answer: connection refused");
        assert_eq!(settled.unchecked.len(), 1, "{settled:?}");
        assert!(settled.is_blocking() && !settled.is_denied());
    }

    #[test]
    fn the_same_reason_is_the_same_text() {
        let failure = Failure { request_id: Some("1".to_owned()), ..Failure::new(Class::Unsupported, "unknown") };
        assert_eq!(reason(&failure), "unknown");
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
