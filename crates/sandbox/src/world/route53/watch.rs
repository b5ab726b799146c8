//! The checkers at work: a task for each health check, which takes the looks of all its checkers.
//! See docs/aws-behaviour.md#health-checker-limits and docs/aws-behaviour.md#health-check-quorum.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep, sleep_until};

use super::account::Account;
use super::checkers::Reporting;
use super::probe::{Outcome, Prober};
use super::verdict::{CHECKERS, Verdict};
use super::zones::{Alarm, Endpoint, Measured, Zones};

/// The shortest time between two looks of a checker. No emulator could answer faster ones.
const FASTEST: Duration = Duration::from_millis(100);

/// How long the result of a look is also that of other checkers, whose looks come due in that time. Sixteen checkers at sixty
/// times the speed would ask a hundred times a second, and each question starts a function.
const SHARED: Duration = Duration::from_millis(250);

/// The time between two readings of an alarm, at AWS's speed.
const ALARM: Duration = Duration::from_secs(10);

/// The time between two values of a metric, at AWS's speed.
const METRIC: Duration = Duration::from_mins(1);

/// What the tasks need.
pub(super) struct Means {
    pub(super) zones: Arc<dyn Zones>,
    pub(super) prober: Arc<dyn Prober>,
    pub(super) reporting: Reporting,
}

/// The checkers that look at an endpoint.
pub(super) fn chosen(endpoint: &Endpoint) -> Vec<usize> {
    let is_chosen = |region: &str| endpoint.regions.is_empty() || endpoint.regions.iter().any(|one| one == region);
    (0..CHECKERS.len()).filter(|checker| is_chosen(CHECKERS[*checker].region)).collect()
}

fn scaled(interval: Duration, scale: f64) -> Duration {
    interval.div_f64(scale).max(FASTEST)
}

/// A look on its way, and the checkers whose look it is, once for each look.
struct Running {
    since: Instant,
    look: BoxFuture<'static, Outcome>,
    checkers: Vec<usize>,
}

async fn finished(running: &mut Option<Running>) -> Outcome {
    match running {
        Some(running) => (&mut running.look).await,
        None => std::future::pending().await,
    }
}

/// Looks at an endpoint for ever: each checker at the check's interval, and none of them coordinated with another.
///
/// A look comes due at its time even if the one before has not ended: an endpoint that hangs for some seconds has failed as
/// many looks as AWS's checkers would have taken in that time.
pub(super) async fn endpoint(means: Arc<Means>, account: Arc<Account>, id: String, endpoint: Endpoint, scale: f64) {
    let interval = scaled(endpoint.interval, scale);
    let sharing = (interval / 2).min(SHARED);
    let random = RandomState::new();
    let now = Instant::now();
    let phase = |checker: usize| interval * u32::try_from(random.hash_one(checker) % 1000).unwrap_or_default() / 1000;
    let mut due: Vec<(Instant, usize)> =
        chosen(&endpoint).into_iter().map(|checker| (now + phase(checker), checker)).collect();
    let mut running: Option<Running> = None;
    let mut last: Option<(Instant, Outcome)> = None;
    while let Some(next) = due.iter_mut().min() {
        let (at, checker) = *next;
        tokio::select! {
            biased;
            outcome = finished(&mut running) => {
                let Some(Running { since, checkers, .. }) = running.take() else { continue };
                for checker in checkers {
                    account.report(&id, checker, 1, &outcome);
                }
                last = Some((since, outcome));
            }
            () = sleep_until(at) => {
                let now = Instant::now();
                // After a pause of the whole machine, looks that were missed are not caught up on.
                next.0 = (at + interval).max(now);
                if !(means.reporting)(&account.id, CHECKERS[checker].region) {
                    account.silence(&id, checker);
                } else if let Some(running) = &mut running {
                    running.checkers.push(checker);
                } else if let Some((since, outcome)) = &last && *since + sharing > now {
                    account.report(&id, checker, 1, outcome);
                } else {
                    let look = means.prober.look(&account.id, &endpoint);
                    running = Some(Running { since: now, look, checkers: vec![checker] });
                }
            }
        }
    }
}

/// Reads an alarm for ever.
pub(super) async fn alarm(means: Arc<Means>, account: Arc<Account>, id: String, alarm: Alarm, scale: f64) {
    loop {
        match means.zones.alarm(&account.id, &alarm).await {
            Ok(state) => account.alarm(&id, state),
            Err(error) => tracing::warn!(%error, check = id, "a health check cannot read its alarm"),
        }
        sleep(scaled(ALARM, scale)).await;
    }
}

/// Publishes the metrics of an account's checks for ever.
pub(super) async fn metrics(means: Arc<Means>, account: Arc<Account>, scale: f64) {
    loop {
        sleep(scaled(METRIC, scale)).await;
        publish(&means, &account).await;
    }
}

/// Publishes what holds now. Nothing depends on it but the metrics themselves, which then lack a value.
pub(super) async fn publish(means: &Means, account: &Account) {
    let values: Vec<Measured> = account.verdicts().iter().flat_map(Verdict::measured).collect();
    if !values.is_empty()
        && let Err(error) = means.zones.publish(&account.id, values).await
    {
        tracing::warn!(%error, "the metrics of the health checks lack a value");
    }
}
