//! Which Regions and services do not answer while AWS is only read, before a run. An answer is awaited for the time that the user
//! set. A Region or service that exceeds it is not called again, so that a failed Region does not use up the other one's time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::clients::{Aws, GLOBAL_HOME, global_name};
use super::settings::SERVICES;
use drctl_engine::{Class, Failure, Region, Silent};

/// How long answers are awaited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// A single one.
    pub(super) answer: Duration,
    /// All of them.
    until: Instant,
}

impl Limit {
    /// The time left for an answer if nothing has been received since `since`.
    pub(super) fn left(self, since: Instant) -> Duration {
        self.until.min(since + self.answer).saturating_duration_since(Instant::now())
    }
}

/// The Regions and services that have not answered in time.
#[derive(Debug, Default)]
pub(super) struct Unheard(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    limit: Option<Limit>,
    /// The services that have answered since the limit was set, with their Regions.
    heard: BTreeSet<(Region, &'static str)>,
    /// The services that have not answered in time; `None` for all of a Region.
    silent: BTreeMap<(Region, Option<&'static str>), Failure>,
}

/// While this value lives, AWS is only read.
#[derive(Debug)]
#[must_use = "without it, no time limit applies"]
pub struct Looking<'a> {
    unheard: &'a Unheard,
    before: Option<Limit>,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.unheard.state().limit = self.before;
    }
}

impl State {
    /// Whether anything of a Region has answered.
    fn is_heard(&self, region: &Region) -> bool {
        self.heard.iter().any(|(other, service)| other == region && global_name(service).is_none())
    }
}

impl Unheard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long answers are awaited, if that is limited.
    pub(super) fn limit(&self) -> Option<Limit> {
        self.state().limit
    }

    /// Who did not answer, when a call to a service in a Region was not answered: the service if other calls there were, otherwise
    /// the Region.
    pub(super) fn who(&self, service: &str, region: &Region) -> Silent {
        match silent(service, region) {
            Silent::Region(_) if self.state().is_heard(region) => {
                Silent::ServiceIn { service: name(service).to_owned(), region: region.to_string() }
            }
            who => who,
        }
    }

    /// Nothing has come within `limit`.
    pub(super) fn failure(&self, limit: Duration, service: &str, region: &Region) -> Failure {
        let who = self.who(service, region);
        if who == silent(service, region) {
            return failure(limit, service, region);
        }
        let message = format!("{who} did not answer within {} s", limit.as_secs());
        let help = format!(
            "Other services in {region} did. Check AWS's health dashboard for it, and the way to its endpoint: a VPC endpoint, a \
             proxy, or a firewall may be for it alone."
        );
        Failure { silent: Some(who), ..Failure::new(Class::TimedOut, message).help(help) }
    }

    /// Why it is not called again, if it did not answer and AWS is still only read.
    pub(super) fn of(&self, service: &'static str, region: &Region) -> Option<Failure> {
        let state = self.state();
        state.limit?;
        let whole = || state.silent.get(&(region.clone(), None)).filter(|_| global_name(service).is_none());
        state.silent.get(&(region.clone(), Some(service))).or_else(whole).cloned()
    }

    /// An answer was received, whether a success or an error.
    pub(super) fn heard(&self, service: &'static str, region: &Region) {
        let mut state = self.state();
        // In a run, `Silence` records this.
        if state.limit.is_some() {
            state.heard.insert((region.clone(), service));
            if global_name(service).is_none() {
                // It was one service of it that was silent.
                state.silent.remove(&(region.clone(), None));
            }
        }
    }

    /// No answer was received, and none is awaited any longer.
    pub(super) fn keep(&self, service: &'static str, region: &Region, failure: &Failure) {
        let mut state = self.state();
        // A service that has answered something may answer something else.
        if state.limit.is_none() || state.heard.contains(&(region.clone(), service)) {
            return;
        }
        // A refused connection says nothing about the other services of the Region: each has an endpoint of its own.
        if failure.class == Class::TimedOut && global_name(service).is_none() && !state.is_heard(region) {
            state.silent.insert((region.clone(), None), failure.clone());
        }
        state.silent.insert((region.clone(), Some(service)), failure.clone());
    }
}

impl Aws {
    /// Until the returned value is dropped, AWS is only read: a single answer is awaited for `answer`, and all of them together
    /// for `whole`. A Region or service that has not answered in time is not called again, also during later reads.
    pub fn looking(&self, answer: Duration, whole: Duration) -> Looking<'_> {
        let mut state = self.unheard.state();
        state.heard.clear();
        let limit = Limit { answer, until: Instant::now() + whole };
        Looking { unheard: &self.unheard, before: state.limit.replace(limit) }
    }

    /// Whether a Region or service has not answered in time, and is not called again.
    #[must_use]
    pub fn has_silence(&self) -> bool {
        !self.unheard.state().silent.is_empty()
    }
}

/// The name for people of a service.
fn name(service: &str) -> &str {
    match SERVICES.iter().find(|(known, _)| *known == service) {
        Some(("apigateway", _)) => "API Gateway",
        Some((_, name)) => name,
        None => service,
    }
}

/// The Region or global service that did not answer a call, when nothing is known of other calls.
pub(super) fn silent(service: &str, region: &Region) -> Silent {
    global_name(service).map_or_else(|| Silent::Region(region.to_string()), |name| Silent::Service(name.to_owned()))
}

/// Nothing has come within `limit`, and nothing is known of other calls.
pub(super) fn failure(limit: Duration, service: &str, region: &Region) -> Failure {
    let Some(name) = global_name(service) else { return Failure::silence(region, limit) };
    let message = format!("{name} did not answer within {} s", limit.as_secs());
    let help = format!(
        "{name} is one service for all Regions, with its control plane in {GLOBAL_HOME}. Check the network and AWS's health \
         dashboard for it."
    );
    Failure { silent: Some(silent(service, region)), ..Failure::new(Class::TimedOut, message).help(help) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_region_that_nothing_has_come_from_is_not_asked_for_anything_else() {
        let aws = Aws::unreached().await;
        let (east, west) = (Region::from("us-east-1"), Region::from("us-west-2"));
        let silence = &aws.unheard;
        let looking = aws.looking(SECOND, SECOND);
        silence.heard("ec2", &east);
        silence.keep("rds", &east, &failure(SECOND, "rds", &east));
        silence.keep("rds", &west, &failure(SECOND, "rds", &west));
        let known = |service, region| silence.of(service, region).map(|failure| failure.message);
        assert_eq!(known("ec2", &east), None, "it has answered");
        assert_eq!(known("rds", &east).as_deref(), Some("us-east-1 did not answer within 1 s"));
        assert_eq!(known("ec2", &west).as_deref(), Some("us-west-2 did not answer within 1 s"));
        // A change is sent even if the Region did not answer while AWS was read.
        drop(looking);
        assert_eq!((known("ec2", &west), aws.has_silence()), (None, true));
        let _looking = aws.looking(SECOND, SECOND);
        assert!(known("ec2", &west).is_some(), "it was silent before");
    }

    #[tokio::test]
    async fn a_service_that_alone_is_silent_is_named_and_its_region_is_not() {
        let aws = Aws::unreached().await;
        let (east, west) = (Region::from("us-east-1"), Region::from("us-west-2"));
        let silence = &aws.unheard;
        let _looking = aws.looking(SECOND, SECOND);
        silence.heard("ec2", &east);
        // What is one for all Regions says nothing about the Region that it is in.
        silence.heard("iam", &east);
        let of = |service, region| silence.failure(SECOND, service, region);
        let (alone, whole) = (of("apigateway", &east), of("s3", &west));
        assert_eq!(alone.message, "API Gateway in us-east-1 did not answer within 1 s");
        let who = Silent::ServiceIn { service: "API Gateway".to_owned(), region: "us-east-1".to_owned() };
        assert_eq!(alone.silent, Some(who));
        assert_eq!(whole, failure(SECOND, "s3", &west));
        assert_eq!(of("route53", &east).message, "Route 53 did not answer within 1 s");
        // The first to be asked seemed to be the whole Region, until another one answered.
        silence.keep("sts", &west, &of("sts", &west));
        assert!(silence.of("s3", &west).is_some());
        silence.heard("ec2", &west);
        assert_eq!((silence.of("s3", &west), silence.of("sts", &west).is_some()), (None, true));
        assert_eq!(of("s3", &west).message, "S3 in us-west-2 did not answer within 1 s");
    }

    #[tokio::test]
    async fn a_service_that_is_one_for_all_regions_stands_for_itself() {
        let aws = Aws::unreached().await;
        let east = Region::from("us-east-1");
        let _looking = aws.looking(SECOND, SECOND);
        let iam = failure(SECOND, "iam", &east);
        assert_eq!(
            (iam.message.as_str(), &iam.silent),
            ("IAM did not answer within 1 s", &Some(Silent::Service("IAM".into())))
        );
        aws.unheard.keep("iam", &east, &iam);
        for service in ["ec2", "route53"] {
            assert_eq!(aws.unheard.of(service, &east), None, "{service}");
        }
        assert_eq!(aws.unheard.of("iam", &east), Some(iam));
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_answer_has_its_time_again_after_each_that_came() {
        let aws = Aws::unreached().await;
        let looking = aws.looking(3 * SECOND, 10 * SECOND);
        let limit = aws.unheard.limit().expect("limited");
        let began = Instant::now();
        tokio::time::advance(2 * SECOND).await;
        assert_eq!((limit.left(began), limit.left(Instant::now())), (SECOND, 3 * SECOND));
        tokio::time::advance(7 * SECOND).await;
        assert_eq!(limit.left(Instant::now()), SECOND, "of all of them together");
        drop(looking);
        assert!(aws.unheard.limit().is_none());
    }
}
