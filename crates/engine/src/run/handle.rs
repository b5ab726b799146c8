//! The way from a worker to the coordinator: messages, of which a record is answered once it is durable.

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::events::Event;
use super::schedule::StepId;
use crate::failure::{Class, Failure};
use crate::state::{Address, Entry, Transition};

/// A worker waits for this before it continues.
pub(super) type Acknowledgement = oneshot::Sender<Result<(), Failure>>;

pub(super) enum Message {
    /// Make this durable, then acknowledge it.
    Record {
        step: StepId,
        transition: Box<Transition>,
        acknowledgement: Acknowledgement,
    },
    /// Acknowledge this if what the step is about to wait for may still come; refuse it if that has failed.
    Awaits {
        step: StepId,
        awaited: Awaited,
        acknowledgement: Acknowledgement,
    },
    /// The step waits, and needs no slot under the cap.
    ReleaseSlot {
        step: StepId,
    },
    Event(Box<Event>),
}

/// The events that a step can wait for, apart from AWS.
pub(super) enum Awaited {
    /// A change of the resource with this ARN.
    Arn(String),
    /// The resources that refer to one of these outputs of the step's own resource, or of one with the same desired properties.
    Users(&'static [&'static str]),
}

/// A worker's connection to the coordinator.
#[derive(Clone)]
pub(super) struct CoordinatorHandle {
    step: StepId,
    messages: mpsc::UnboundedSender<Message>,
}

impl CoordinatorHandle {
    pub(super) fn new(step: StepId, messages: mpsc::UnboundedSender<Message>) -> Self {
        Self { step, messages }
    }

    /// Makes a transition durable, and returns when it is.
    pub(super) async fn record(&self, address: Address, entry: Option<Entry>) -> Result<(), Failure> {
        let (acknowledgement, answer) = oneshot::channel();
        let transition = Box::new(Transition { at: Timestamp::now(), address, entry });
        let gone = || Failure::new(Class::Internal, "the run has ended");
        self.messages.send(Message::Record { step: self.step, transition, acknowledgement }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Returns whether what the step is about to wait for may still come. If it does not, the failure is only for the worker: the
    /// coordinator skips the step.
    pub(super) async fn may_wait_for(&self, awaited: Awaited) -> Result<(), Failure> {
        let (acknowledgement, answer) = oneshot::channel();
        let gone = || Failure::new(Class::Internal, "the run has ended");
        self.messages.send(Message::Awaits { step: self.step, awaited, acknowledgement }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(super) fn release_slot(&self) {
        // When the coordinator has gone, this task is about to be dropped, too.
        drop(self.messages.send(Message::ReleaseSlot { step: self.step }));
    }

    pub(super) fn event(&self, event: Event) {
        drop(self.messages.send(Message::Event(Box::new(event))));
    }

    /// The step waits for AWS.
    pub(super) fn waiting(&self, address: Address, on: &str) {
        self.release_slot();
        self.event(Event::Waiting { address, on: on.to_owned() });
    }
}
