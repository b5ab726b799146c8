//! Group commit: records that arrive while the disk is busy are made durable together, with one fsync.

use tokio::task::{JoinError, JoinHandle};

use super::handle::Acknowledgement;
use super::schedule::StepId;
use crate::failure::{Class, Failure};
use crate::state::journal::Journal;
use crate::state::{Address, StateError, Status, Store, Transition, check_transition};

/// A transition that a step asks to have recorded durably.
pub(super) struct Record {
    pub step: StepId,
    pub transition: Transition,
    pub acknowledgement: Acknowledgement,
}

/// A durable transition whose step has not been notified.
pub(super) struct Durable {
    pub step: StepId,
    pub address: Address,
    /// `None` when the state no longer holds the resource.
    pub status: Option<Status>,
    acknowledgement: Acknowledgement,
}

impl Durable {
    /// Lets the step continue.
    pub(super) fn acknowledge(self) {
        // The task may have been aborted, and then nothing receives this. The record remains.
        drop(self.acknowledgement.send(Ok(())));
    }
}

type Written = (Journal, Vec<Record>, Result<(), StateError>);

/// Writes records to the journal, one batch at a time.
#[derive(Default)]
pub(super) struct Recorder {
    pending: Vec<Record>,
    writing: Option<JoinHandle<Written>>,
    error: Option<StateError>,
}

impl Recorder {
    pub(super) fn push(&mut self, record: Record) {
        self.pending.push(record);
    }

    /// Whether nothing is being written or waits for it.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.writing.is_none()
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether writing the state has failed. If so, no new step starts; steps in flight finish, and their intents remain
    /// recorded.
    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Why the state could not be written, if it could not.
    pub(super) fn into_error(self) -> Option<StateError> {
        self.error
    }

    /// Begins to write everything that is pending, unless the disk is still busy.
    pub(super) fn write(&mut self, store: &mut Store) {
        if self.writing.is_some() || self.pending.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.pending);
        if self.error.is_some() {
            // A new journal would take the place of the broken one, and what that holds would be lost.
            refuse_all(batch, &"it could not be written to earlier in this run");
            return;
        }
        let mut sound = Vec::with_capacity(batch.len());
        for record in batch {
            let Transition { address, entry, .. } = &record.transition;
            match check_transition(address, store.resources().get(address), entry.as_ref()) {
                Ok(()) => sound.push(record),
                Err(error) => refuse(record, &StateError::from(error)),
            }
        }
        match store.take_journal() {
            Ok(mut journal) => {
                let blocks = journal.is_on_disk();
                let append = move || {
                    let transitions: Vec<&Transition> = sound.iter().map(|record| &record.transition).collect();
                    let result = journal.append(&transitions);
                    (journal, sound, result)
                };
                self.writing = Some(if blocks {
                    tokio::task::spawn_blocking(append)
                } else {
                    // Not on a thread: the runtime's virtual clock does not know when a thread is done.
                    tokio::spawn(async move { append() })
                });
            }
            Err(error) => {
                refuse_all(sound, &error);
                self.fail(error);
            }
        }
    }

    /// Waits until a batch is written, and returns what is durable; waits for ever while none is being written. May be dropped at any
    /// point and called again.
    pub(super) async fn written(&mut self, store: &mut Store) -> Vec<Durable> {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let written = writing.await;
        self.writing = None;
        self.completed(written, store)
    }

    fn completed(&mut self, written: Result<Written, JoinError>, store: &mut Store) -> Vec<Durable> {
        let (journal, batch, result) = match written {
            Ok(written) => written,
            Err(error) => {
                self.fail(StateError::defect(&error));
                return Vec::new();
            }
        };
        if let Err(error) = result {
            refuse_all(batch, &error);
            store.returned(journal, Vec::new());
            self.fail(error);
            return Vec::new();
        }
        let mut durable = Vec::with_capacity(batch.len());
        let mut transitions = Vec::with_capacity(batch.len());
        for Record { step, transition, acknowledgement } in batch {
            let status = transition.entry.as_ref().map(|entry| entry.status.clone());
            durable.push(Durable { step, address: transition.address.clone(), status, acknowledgement });
            transitions.push(transition);
        }
        store.returned(journal, transitions);
        durable
    }

    /// The first error is the one that counts.
    fn fail(&mut self, error: StateError) {
        self.error.get_or_insert(error);
    }
}

fn refuse(record: Record, error: &dyn std::fmt::Display) {
    let failure = Failure::new(Class::Internal, format!("the state could not be written: {error}"));
    drop(record.acknowledgement.send(Err(failure)));
}

fn refuse_all(batch: Vec<Record>, error: &dyn std::fmt::Display) {
    for record in batch {
        refuse(record, error);
    }
}
