//! Credentials that expire during a run. A call that is refused for that reason was not carried out: the run waits until the
//! operator has renewed them, and then continues.
//!
//! One call checks every few seconds; all others queue behind it. So the operator is notified once, however many calls were in
//! flight.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout};

use super::clients::Aws;
use super::credentials::Candidate;
use drctl_engine::cancel::{Shutdown, Stage};
use drctl_engine::{Class, Failure, Region};

/// The delay between checks for new credentials after an expiry: the first, and the longest if those are refused as well.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(10);

/// How long STS may take to accept them.
const ANSWER: Duration = Duration::from_secs(10);

/// Credentials that are refused again within this time after they were accepted have the same problem: it is not reported twice.
const SETTLED: Duration = Duration::from_mins(1);

/// How a run waits for credentials and silent Regions, and where it reports that.
#[derive(Debug)]
pub struct Patience {
    /// The longest wait. If it is zero, the run does not wait.
    pub limit: Duration,
    /// What ends the wait.
    pub shutdown: Shutdown,
    /// The receiver of the notices.
    pub tell: UnboundedSender<Notice>,
}

const INTERRUPTED: &str = "were not renewed before the run was interrupted";

/// A notice for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The run waits.
    Paused {
        /// What AWS said, in a sentence without a full stop.
        why: String,
        /// How the credentials are renewed.
        how: String,
        /// How long it waits at most.
        limit: Duration,
    },
    /// The run continues.
    Resumed {
        /// How long it has waited.
        after: Duration,
    },
    /// A Region answers nothing.
    Silent {
        /// The Region, or a service that is one for all Regions.
        place: String,
        /// Since what time of day.
        since: String,
        /// Until what time of day its calls are repeated; `None` if that is over, and the run asks it no more.
        until: Option<String>,
    },
    /// It answers again.
    Answers {
        /// The Region, or a service that is one for all Regions.
        place: String,
        /// How long it had not answered.
        after: Duration,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused { why, how, limit } => write!(
                f,
                "The credentials have expired ({why}). Renew them in another terminal ({how}): the run waits up to \
                 {} and continues once they are valid. Ctrl-C ends the wait.",
                long(*limit)
            ),
            Self::Resumed { after } => {
                write!(f, "The credentials were renewed after {}: the run continues.", long(*after))
            }
            Self::Silent { place, since, until: Some(until) } => write!(
                f,
                "{place} has not answered since {since}. drctl calls it until {until} at the latest. After that, the \
                 steps that need it fail, and the run ends when the other steps are done. Ctrl-C ends it earlier."
            ),
            Self::Silent { place, since, until: None } => write!(
                f,
                "{place} has not answered since {since}: this run no longer calls it. The steps that need it fail, \
                 and the others continue."
            ),
            Self::Answers { place, after } => write!(f, "{place} answers again, after {}.", long(*after)),
        }
    }
}

fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 120 { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

/// The state of the wait for new credentials.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    patience: Mutex<Option<Arc<Patience>>>,
    /// How often credentials were renewed: a call that was sent before the last time is repeated at once.
    generation: AtomicU64,
    /// Whether a call waits for credentials: others do not send what would be refused.
    paused: AtomicBool,
    /// Since when the run waits, until a call has passed.
    untold: Mutex<Option<Instant>>,
    episode: tokio::sync::Mutex<Episode>,
}

#[derive(Debug, Default)]
struct Episode {
    began: Option<Instant>,
    renewed: Option<Instant>,
    turns: u32,
    given_up: Option<String>,
}

/// While it is held, the run waits for expired credentials to be renewed, and reports Regions that do not answer before giving
/// them up.
#[must_use]
pub struct Patient<'a>(&'a Renewal);

impl Drop for Patient<'_> {
    fn drop(&mut self) {
        self.0.patience.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Renewal {
    pub(super) fn patience(&self) -> Option<Arc<Patience>> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a run waits for credentials rather than fails.
    pub(super) fn is_patient(&self) -> bool {
        self.patience().is_some_and(|patience| !patience.limit.is_zero())
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// While one call waits for credentials, no other call is sent.
    pub(super) async fn hold(&self) {
        if self.paused.load(Ordering::SeqCst) && self.patience().is_some() {
            drop(self.episode.lock().await);
        }
    }

    /// A call has passed.
    pub(super) fn passed(&self) {
        let since = self.untold.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(since), Some(patience)) = (since, self.patience()) {
            // A run that has ended receives no notices.
            drop(patience.tell.send(Notice::Resumed { after: since.elapsed() }));
        }
    }
}

impl Aws {
    /// From now on, credentials that have expired are waited for instead of failing the calls that find out.
    pub fn wait_for_credentials(&self, patience: Patience) -> Patient<'_> {
        *self.renewal.patience.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(patience));
        Patient(&self.renewal)
    }

    /// Waits until there are other credentials than those of `generation`, with which a call was refused.
    ///
    /// The refusal, if the run does not wait; or why there are no credentials, if the wait was in vain.
    pub(super) async fn renewed(&self, region: &Region, generation: u64, refusal: Failure) -> Result<(), Failure> {
        let Some(patience) = self.renewal.patience().filter(|patience| !patience.limit.is_zero()) else {
            return Err(refusal);
        };
        if !self.wallet.is_renewable() {
            return Err(refusal.help(
                "They are in the environment (AWS_SESSION_TOKEN), which does not change while drctl runs. Set new \
                 ones and run the same command again: it continues where this one ends.",
            ));
        }
        let mut episode = self.renewal.episode.lock().await;
        if self.renewal.generation() > generation {
            return Ok(());
        }
        if let Some(why) = &episode.given_up {
            return Err(in_vain(why, &self.wallet.origin().renewal()));
        }
        if episode.renewed.is_none_or(|renewed| renewed.elapsed() > SETTLED) {
            *episode = Episode { began: Some(Instant::now()), ..Episode::default() };
            let why = refusal
                .code
                .as_ref()
                .map_or_else(|| refusal.message.clone(), |code| format!("{code}: {}", refusal.message));
            let how = self.wallet.origin().renewal();
            drop(patience.tell.send(Notice::Paused { why, how, limit: patience.limit }));
        }
        let began = episode.began.unwrap_or_else(Instant::now);
        let paused = Paused { renewal: &self.renewal, shutdown: &patience.shutdown, since: Instant::now() };
        self.renewal.paused.store(true, Ordering::SeqCst);
        let ended = Box::pin(self.wait(region, &patience, began, &mut episode.turns)).await;
        drop(paused);
        match ended {
            Ok(()) => {
                episode.renewed = Some(Instant::now());
                self.renewal.generation.fetch_add(1, Ordering::SeqCst);
                self.renewal.untold.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(began);
                Ok(())
            }
            Err(why) => {
                episode.given_up = Some(why.clone());
                Err(in_vain(&why, &self.wallet.origin().renewal()))
            }
        }
    }

    async fn wait(&self, region: &Region, patience: &Patience, began: Instant, turns: &mut u32) -> Result<(), String> {
        let mut shutdown = patience.shutdown.clone();
        loop {
            let left = patience.limit.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(format!("were not renewed within {}", long(patience.limit)));
            }
            let delay = (FIRST * 2_u32.saturating_pow((*turns).min(4))).min(LONGEST).min(left);
            *turns += 1;
            tokio::select! {
                biased;
                () = shutdown.reached(Stage::Drain) => return Err(INTERRUPTED.to_owned()),
                () = sleep(delay) => {}
            }
            let asked = timeout(ANSWER, self.candidate(region));
            let answer = tokio::select! {
                biased;
                () = shutdown.reached(Stage::Drain) => return Err(INTERRUPTED.to_owned()),
                answer = asked => answer,
            };
            let Ok(Some((candidate, account))) = answer else { continue };
            // The operator has logged in to another account, in which the resources of this run do not exist. Nothing is signed
            // with these credentials.
            if let (Some(before), Some(now)) = (self.account.get(), account)
                && *before != now
            {
                return Err(format!("are now those of the account {now}, and the run began in {before}"));
            }
            self.wallet.take(candidate).await;
            return Ok(());
        }
    }

    /// The credentials that there are by now, if AWS takes them, and the account that they belong to.
    async fn candidate(&self, region: &Region) -> Option<(Candidate, Option<String>)> {
        let candidate = self.wallet.candidate().await.ok()?;
        let provider = SharedCredentialsProvider::new(candidate.credentials.clone());
        let config = self.config_of("sts", region).into_builder().credentials_provider(provider).build();
        let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.ok()?;
        Some((candidate, identity.account))
    }
}

/// A wait. While it lasts, the stopwatches of all other waits stand still.
struct Paused<'a> {
    renewal: &'a Renewal,
    shutdown: &'a Shutdown,
    since: Instant,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.renewal.paused.store(false, Ordering::SeqCst);
        self.shutdown.was_paused(self.since.elapsed());
    }
}

/// The same for every call, so that it is reported once.
fn in_vain(why: &str, how: &str) -> Failure {
    Failure::new(Class::Denied, format!("the credentials have expired, and {why}"))
        .help(format!("Renew them ({how}) and run the same command again: it continues where this one ended."))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use drctl_engine::cancel::{Trigger, shutdown};

    fn patience(limit: Duration) -> (Patience, Trigger, UnboundedReceiver<Notice>) {
        let (trigger, shutdown) = shutdown();
        let (tell, told) = unbounded_channel();
        (Patience { limit, shutdown, tell }, trigger, told)
    }

    fn refusal() -> Failure {
        Failure { code: Some("ExpiredToken".to_owned()), ..Failure::new(Class::Denied, "it is expired") }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_unless_a_run_does() {
        let aws = Aws::unreached().await;
        assert_eq!(aws.renewed(&"us-east-1".into(), 0, refusal()).await, Err(refusal()));
        let (none, _trigger, _told) = patience(Duration::ZERO);
        let patient = aws.wait_for_credentials(none);
        assert_eq!(aws.renewed(&"us-east-1".into(), 0, refusal()).await, Err(refusal()));
        drop(patient);
    }

    #[tokio::test(start_paused = true)]
    async fn many_calls_wait_together_are_told_once_and_end_in_the_same_words() {
        let aws = Aws::unreached().await;
        let (patience, _trigger, mut told) = patience(Duration::from_mins(30));
        let watch = patience.shutdown.stopwatch();
        let _patient = aws.wait_for_credentials(patience);
        let began = Instant::now();
        let region = Region::from("us-east-1");
        // Nothing listens at the endpoint: no credentials are ever taken.
        let ends = futures::future::join_all((0..20).map(|_| aws.renewed(&region, 0, refusal()))).await;
        assert!(began.elapsed() >= Duration::from_mins(30), "{:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_mins(31), "{:?}", began.elapsed());
        let failure = ends[0].clone().expect_err("in vain");
        assert!(failure.message.contains("expired, and were not renewed within 30 min"), "{failure}");
        assert!(ends.iter().all(|end| *end == ends[0]), "one text for all: {ends:?}");
        assert!(matches!(told.try_recv(), Ok(Notice::Paused { .. })));
        assert!(told.try_recv().is_err(), "once");
        assert!(watch.elapsed() < Duration::from_mins(1), "the time of the wait is nobody's: {:?}", watch.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_ends_the_wait_at_once() {
        let aws = Aws::unreached().await;
        let (patience, trigger, _told) = patience(Duration::from_mins(30));
        let _patient = aws.wait_for_credentials(patience);
        let region = Region::from("us-east-1");
        let signal = async {
            sleep(Duration::from_secs(61)).await;
            trigger.escalate();
        };
        let began = Instant::now();
        let (end, ()) = tokio::join!(aws.renewed(&region, 0, refusal()), signal);
        assert!(end.expect_err("interrupted").message.contains("interrupted"));
        assert!(began.elapsed() < Duration::from_secs(62), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_before_the_renewal_is_repeated_at_once() {
        let aws = Aws::unreached().await;
        let (patience, _trigger, mut told) = patience(Duration::from_mins(30));
        let _patient = aws.wait_for_credentials(patience);
        aws.renewal.generation.store(1, Ordering::SeqCst);
        let began = Instant::now();
        assert_eq!(aws.renewed(&"us-east-1".into(), 0, refusal()).await, Ok(()));
        assert!(began.elapsed() < Duration::from_secs(1) && told.try_recv().is_err());
    }
}
