//! What is found out before the first call that makes anything: would AWS take what the plan is going to make? All problems at
//! once, and nothing is changed. Only what is to be made or changed is checked.
//!
//! A *problem* stops `up`: AWS would refuse it. A *note* does not: AWS would accept it, but an operator should know. What could
//! not be checked is *unchecked*. If the endpoint does not support the call, or the caller lacks the permission for it, that
//! stops nothing. If nothing has answered, `up` would fail, too.

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

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join_all};
use serde::Serialize;

pub use actions::{ALWAYS, BOUNDING, LOOKING, Needs, ONCE, SWEEPING, needs, needs_of, permission};
pub use regions::{UnknownRegions, unknown_regions};

use crate::Aws;
use drctl_config::Config;
use drctl_engine::{Class, Failure, Plan, Silent};
use planned::Planned;

/// What is checked, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Preflight<'a> {
    /// AWS, or an endpoint in its place.
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
    /// The version of the database's engine.
    EngineVersion,
    /// The class of the database's instances.
    InstanceClass,
    /// A quota of the account.
    Quota,
    /// A name that is already in use.
    Name,
    /// The public domain.
    Domain,
    /// An Availability Zone.
    Zone,
    /// What the caller may do.
    Permission,
}

/// A finding: a problem that stops `up`, or a note that does not.
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
    /// The Region, or the one that did not answer; absent for what is global.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Which one, in a few words: `VPCs`, `permissions`.
    pub subject: String,
    /// Why not, in a sentence without a full stop. The same reason is the same text.
    pub why: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether no answer has come: then it is not known whether `up` would get through.
    pub unanswered: bool,
    /// What did not answer, if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<Silent>,
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
}

impl Findings {
    /// Whether there is a problem.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Whether permissions are among what is missing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.problems.iter().any(|problem| problem.about == About::Permission)
    }

    /// Whether a problem cannot be ruled out, because a Region or service has not answered.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.unchecked.iter().any(|unchecked| unchecked.unanswered)
    }

    fn unchecked(&mut self, about: About, region: Option<&str>, subject: impl Into<String>, why: String) {
        let (region, subject) = (region.map(str::to_owned), subject.into());
        self.unchecked.push(Unchecked { about, region, subject, why, help: None, unanswered: false, silent: None });
    }

    /// A check failed. A Region or service that does not answer is named once, with everything that could therefore not be
    /// checked, whichever Region it is for.
    fn unanswered(&mut self, about: About, region: &str, subject: &str, failure: &Failure) {
        let (region, why) = match &failure.silent {
            Some(Silent::Region(region) | Silent::ServiceIn { region, .. }) => {
                (Some(region.as_str()), failure.message.clone())
            }
            Some(Silent::Service(_)) => (None, failure.message.clone()),
            None => (Some(region), reason(failure)),
        };
        let unanswered = matches!(failure.class, Class::Unreachable | Class::TimedOut | Class::Ambiguous);
        let help = failure.help.clone().filter(|_| unanswered);
        let (region, subject, silent) = (region.map(str::to_owned), subject.to_owned(), failure.silent.clone());
        self.unchecked.push(Unchecked { about, region, subject, why, help, unanswered, silent });
    }

    /// What could not be checked for the same reason is said once, and the order does not depend on which answer came first.
    fn settled(all: Vec<Self>) -> Self {
        let mut settled = Self::default();
        for findings in all {
            settled.problems.extend(findings.problems);
            settled.notes.extend(findings.notes);
            for unchecked in findings.unchecked {
                if !settled.unchecked.contains(&unchecked) {
                    settled.unchecked.push(unchecked);
                }
            }
        }
        settled
    }
}

impl Preflight<'_> {
    /// Checks everything, in both Regions at the same time, for as long as [`Aws::looking`] allows.
    pub async fn run(&self) -> Findings {
        let planned = Planned::of(self.plan);
        let mut checks: Vec<LocalBoxFuture<'_, Findings>> = Vec::new();
        for (region, zones) in self.regions.into_iter().zip(self.zones) {
            checks.push(zones::check(self, &planned, region).boxed_local());
            checks.push(quotas::network(self, &planned, region, zones).boxed_local());
            checks.push(allowances::database(self, &planned, region).boxed_local());
            checks.push(allowances::concurrency(self, &planned, region).boxed_local());
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_quota_suffices_up_to_its_last_one() {
        let figures = |quota, used, planned| Figures { quota, used, planned };
        assert!(figures(5, 2, 3).suffice());
        assert!(!figures(5, 3, 3).suffice());
        assert!(!figures(5, u64::MAX, 3).suffice());
    }

    #[test]
    fn whoever_is_silent_is_named_once_and_is_not_a_problem() {
        let limit = Duration::from_secs(4);
        let mut one = Findings::default();
        let west = Failure::silence(&"us-east-2".into(), limit);
        let asked = |operation: &str| Failure { operation: Some(operation.to_owned()), ..west.clone() };
        one.unanswered(About::Quota, "us-east-2", "VPCs", &asked("ec2:DescribeVpcs in us-east-2"));
        // Made in the other Region, and asked about in this one.
        one.unanswered(About::Name, "us-east-1", "table t", &asked("dynamodb:DescribeTable in us-east-2"));
        let mut two = Findings::default();
        let iam =
            Failure { silent: Some(Silent::Service("IAM".to_owned())), ..Failure::new(Class::TimedOut, "silent") };
        two.unanswered(About::Permission, "us-east-1", "permissions", &iam);
        two.unanswered(About::Permission, "us-east-2", "permissions", &iam);
        let settled = Findings::settled(vec![one, two]);
        let told: Vec<_> =
            settled.unchecked.iter().map(|found| (found.region.as_deref(), found.why.as_str())).collect();
        let said = "us-east-2 did not answer within 4 s";
        assert_eq!(told, [(Some("us-east-2"), said), (Some("us-east-2"), said), (None, "silent")]);
        assert!(settled.is_unanswered() && !settled.is_blocking(), "{settled:?}");
    }

    #[test]
    fn a_question_that_is_refused_stops_nothing() {
        let mut findings = Findings::default();
        findings.unanswered(About::Zone, "us-east-1", "zones", &Failure::new(Class::Denied, "not authorized"));
        assert_eq!(findings.unchecked.len(), 1, "{findings:?}");
        assert!(!findings.is_unanswered() && !findings.is_blocking());
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
