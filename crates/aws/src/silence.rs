//! Regions that stop answering during a run. A lost call is repeated by `call.rs` and by the engine, so a run could appear to hang for
//! a quarter of an hour. The silence is therefore reported, and a Region that stays silent is given up as a whole. Before a run, each
//! command has its own limit (`looking.rs`).
//! See docs/aws-behaviour.md#silent-region.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;

use super::renewal::Notice;
use drctl_engine::{Class, Failure, Silent};

/// How long a Region may leave every call unanswered before nothing more is sent there. A connection that is set up again, such
/// as a VPN's, takes a minute or two; a failed Region stays silent for longer.
const LIMIT: Duration = Duration::from_mins(3);

/// How long a silence lasts before it is reported, and how often it is reported.
const WORTH_TELLING: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(30);

/// If no call was made for this long, a silence is a new one: longer than any pause between two tries.
const GAP: Duration = Duration::from_secs(30);

/// Which Regions and services answer.
#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<BTreeMap<Silent, Place>>);

#[derive(Debug, Default)]
struct Place {
    heard: Option<Instant>,
    episode: Option<Episode>,
}

/// A time in which nothing was answered.
#[derive(Debug)]
struct Episode {
    since: Instant,
    /// The same on the clock.
    at: Zoned,
    /// When the last call was lost.
    last: Instant,
    told: Option<Instant>,
    is_given_up: bool,
}

impl Silence {
    /// An answer was received. Returns the notice to report, if the silence was reported.
    pub(super) fn heard(&self, who: &Silent) -> Option<Notice> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.entry(who.clone()).or_default();
        known.heard = Some(Instant::now());
        let ended = known.episode.take().filter(|episode| episode.told.is_some())?;
        Some(Notice::Answers { place: who.to_string(), after: ended.since.elapsed() })
    }

    /// The answer to a call that began at `began` was not received, and is no longer awaited. Returns the notice to report, if
    /// any.
    pub(super) fn lost(&self, who: &Silent, began: Instant) -> Option<Notice> {
        let now = Instant::now();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.entry(who.clone()).or_default();
        known.episode.take_if(|episode| began.saturating_duration_since(episode.last) > GAP);
        let since = known.heard.map_or(began, |heard| heard.max(began));
        let episode = known.episode.get_or_insert_with(|| {
            let at = Zoned::now();
            let at = at.checked_sub(now.saturating_duration_since(since)).unwrap_or(at);
            Episode { since, at, last: now, told: None, is_given_up: false }
        });
        episode.last = now;
        let lasts = now.saturating_duration_since(episode.since);
        if episode.is_given_up || lasts < WORTH_TELLING {
            return None;
        }
        episode.is_given_up = lasts >= LIMIT;
        if !episode.is_given_up && episode.told.is_some_and(|told| now.saturating_duration_since(told) < AGAIN) {
            return None;
        }
        episode.told = Some(now);
        let until = episode.at.checked_add(LIMIT).unwrap_or_else(|_| episode.at.clone());
        Some(Notice::Silent {
            place: who.to_string(),
            since: time_of_day(&episode.at),
            until: (!episode.is_given_up).then(|| time_of_day(&until)),
        })
    }

    /// Whether its silence was reported. If so, it is called until the silence ends or is [given up](Self::given_up).
    pub(super) fn is_told(&self, who: &Silent) -> bool {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let episode = places.get(who).and_then(|place| place.episode.as_ref());
        episode.is_some_and(|episode| episode.told.is_some())
    }

    /// How much longer it is called, if its silence was reported.
    pub(super) fn left(&self, who: &Silent) -> Option<Duration> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let episode = places.get(who)?.episode.as_ref().filter(|episode| episode.told.is_some())?;
        Some(LIMIT.saturating_sub(episode.since.elapsed()))
    }

    /// Why nothing more is sent there, if so. It is the same for every call, so that it is reported once.
    pub(super) fn given_up(&self, who: &Silent) -> Option<Failure> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let episode = places.get(who)?.episode.as_ref().filter(|episode| episode.is_given_up)?;
        let message =
            format!("{who} has not answered since {}, and this run no longer calls it", time_of_day(&episode.at));
        Some(Failure::new(Class::TimedOut, message).help(format!(
            "Check the network and AWS's health dashboard for {who}. Operations in flight are recorded: run the same \
             command again once it answers."
        )))
    }
}

fn time_of_day(at: &Zoned) -> String {
    at.strftime("%H:%M:%S %Z").to_string()
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const ANSWER: Duration = Duration::from_secs(20);

    fn standby() -> Silent {
        Silent::Region("us-east-2".to_owned())
    }

    /// One call without an answer.
    async fn ask(silence: &Silence) -> Option<Notice> {
        let began = Instant::now();
        sleep(ANSWER).await;
        silence.lost(&standby(), began)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_told_every_half_minute_and_ends_after_three() {
        let silence = Silence::default();
        let began = Instant::now();
        let mut told = Vec::new();
        while silence.given_up(&standby()).is_none() {
            told.extend(ask(&silence).await.map(|notice| (began.elapsed().as_secs(), notice)));
        }
        let times: Vec<u64> = told.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [20, 60, 100, 140, 180]);
        let texts: Vec<String> = told.iter().map(|(_, notice)| notice.to_string()).collect();
        assert!(texts[0].starts_with("us-east-2 has not answered since ") && texts[0].contains(" until "), "{texts:?}");
        assert!(texts[4].contains("no longer calls it") && !texts[4].contains(" until "), "{texts:?}");
        assert!(silence.given_up(&Silent::Region("us-east-1".to_owned())).is_none(), "the other Region answers");
        // A call that was sent before is answered after all.
        assert_eq!(silence.left(&standby()), Some(Duration::ZERO));
        assert!(silence.heard(&standby()).is_some_and(|notice| notice.to_string().contains("answers again")));
        assert!(silence.given_up(&standby()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_or_a_time_without_calls_begins_it_anew() {
        let silence = Silence::default();
        assert!(silence.heard(&standby()).is_none(), "nothing was told");
        let slow = Instant::now();
        sleep(ANSWER).await;
        // Meanwhile, another call was answered: one lost answer is not a silence.
        assert!(silence.heard(&standby()).is_none());
        assert!(silence.lost(&standby(), slow).is_none());
        for _ in 0..4 {
            ask(&silence).await;
            sleep(GAP + Duration::from_secs(20)).await;
        }
        assert!(silence.given_up(&standby()).is_none(), "four calls in five minutes");
    }
}
