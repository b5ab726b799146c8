//! How a worker reaches the coordinator: by messages, of which a record is answered once it is durable.

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::events::Event;
use super::schedule::StepId;
use crate::failure::{Class, Failure};
use crate::state::{Address, Entry, Transition};

pub(super) enum Message {
    Record { step: StepId, transition: Box<Transition>, ack: oneshot::Sender<Result<(), Failure>> },
    Rest { step: StepId },
    Event(Event),
}

/// A step's way to the coordinator.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) step: StepId,
    pub(super) messages: mpsc::UnboundedSender<Message>,
}

impl Desk {
    /// Makes a transition durable; returns when it is.
    pub(super) async fn record(&self, address: Address, entry: Option<Entry>) -> Result<(), Failure> {
        let (ack, answer) = oneshot::channel();
        let transition = Box::new(Transition { at: Timestamp::now(), address, entry });
        let gone = || Failure::new(Class::Internal, "the run has ended");
        self.messages.send(Message::Record { step: self.step, transition, ack }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(super) fn rest(&self) {
        // When the coordinator is gone, this task is about to be, too.
        drop(self.messages.send(Message::Rest { step: self.step }));
    }

    pub(super) fn event(&self, event: Event) {
        drop(self.messages.send(Message::Event(event)));
    }

    pub(super) fn waiting(&self, address: Address, on: &str) {
        self.rest();
        self.event(Event::Waiting { address, on: on.to_owned() });
    }
}
