//! Interruption in two stages. Commands hold the [`Trigger`]; everything else can only listen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How far a run has been asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Continue.
    Run,
    /// Start nothing more, let mutations in flight finish and be recorded, and drop the waits.
    Drain,
    /// Stop at once: the intents make that safe.
    Abort,
}

/// Tells a run to stop. Stages only go forward.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Stage>);

/// The signals that a run listens to.
#[derive(Debug, Clone)]
pub struct Shutdown {
    stage: watch::Receiver<Stage>,
    /// For how many milliseconds the run has been paused, e.g. while it waited for credentials.
    paused: Arc<AtomicU64>,
}

/// Measures the time in which the run was not paused. Nothing that the run waits for can happen during a pause.
#[derive(Debug)]
pub struct Stopwatch {
    began: Instant,
    before: u64,
    paused: Arc<AtomicU64>,
}

impl Stopwatch {
    /// How much time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let paused = self.paused.load(Ordering::SeqCst).saturating_sub(self.before);
        self.began.elapsed().saturating_sub(Duration::from_millis(paused))
    }
}

/// A trigger, and what listens to it.
#[must_use]
pub fn shutdown() -> (Trigger, Shutdown) {
    let (send, receive) = watch::channel(Stage::Run);
    (Trigger(send), Shutdown { stage: receive, paused: Arc::default() })
}

impl Trigger {
    /// Goes to the next stage, for every signal received.
    pub fn escalate(&self) {
        self.0.send_modify(|stage| {
            *stage = if *stage == Stage::Run { Stage::Drain } else { Stage::Abort };
        });
    }
}

impl Shutdown {
    /// The current stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// The whole run was paused for this long.
    pub fn was_paused(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.paused.fetch_add(millis, Ordering::SeqCst);
    }

    /// Begins to count time.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        let before = self.paused.load(Ordering::SeqCst);
        Stopwatch { began: Instant::now(), before, paused: self.paused.clone() }
    }

    /// Waits until `stage` is reached; for ever if the trigger is dropped before.
    pub async fn reached(&mut self, stage: Stage) {
        if self.stage.wait_for(|now| *now >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_time_passes_while_the_run_is_paused() {
        let (_trigger, listener) = shutdown();
        listener.was_paused(Duration::from_secs(7));
        let watch = listener.clone().stopwatch();
        tokio::time::sleep(Duration::from_mins(20)).await;
        assert_eq!(watch.elapsed(), Duration::from_mins(20));
        listener.was_paused(Duration::from_mins(19));
        assert_eq!(watch.elapsed(), Duration::from_mins(1));
    }
}
