//! Interruption in two stages. Commands hold the [`Trigger`]; everything else can only listen.

use tokio::sync::watch;

/// How far a run has been told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Go on.
    Run,
    /// Start nothing, let mutations in flight finish and be recorded, drop the waits.
    Drain,
    /// Stop at once: the intents make that safe.
    Abort,
}

/// Escalates. Stages only go forward.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Stage>);

/// Listens.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Stage>);

/// A trigger and what listens to it.
#[must_use]
pub fn shutdown() -> (Trigger, Shutdown) {
    let (send, receive) = watch::channel(Stage::Run);
    (Trigger(send), Shutdown(receive))
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
    /// The stage now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// Waits until `stage` is reached; for ever when the trigger is gone before.
    pub async fn reached(&mut self, stage: Stage) {
        if self.0.wait_for(|now| *now >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
