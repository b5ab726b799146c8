//! A thread that writes what it is handed, so that a slow or stopped reader holds nothing up.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A thread that writes values in the order in which they are sent.
pub(super) struct Background<T> {
    name: &'static str,
    /// Taken away to end the thread.
    values: Mutex<Option<Sender<T>>>,
    writing: Mutex<Option<io::Result<JoinHandle<io::Result<()>>>>>,
}

impl<T: Send + 'static> Background<T> {
    /// Starts the thread. `write` gets the values, and ends when there are no more.
    pub(super) fn start(
        name: &'static str,
        write: impl FnOnce(Receiver<T>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let (send, receive) = mpsc::channel();
        let writing = thread::Builder::new().name(name.to_owned()).spawn(move || write(receive));
        Self { name, values: Mutex::new(Some(send)), writing: Mutex::new(Some(writing)) }
    }
}

impl<T> Background<T> {
    /// Hands a value over. Never waits.
    pub(super) fn send(&self, value: T) {
        if let Some(values) = &*self.values.lock().unwrap_or_else(PoisonError::into_inner) {
            // If the thread has ended, `finish` says why.
            drop(values.send(value));
        }
    }

    /// Waits until everything is written. What is sent afterwards is not written.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writing) = writing else { return Ok(()) };
        let died = || io::Error::other(format!("a defect of drctl: the thread `{}` has panicked", self.name));
        writing?.join().unwrap_or_else(|_| Err(died()))
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        // Nothing is left to be said here if `finish` has been called.
        if let Err(error) = self.finish() {
            tracing::warn!(%error, thread = self.name, "output could not be written");
        }
    }
}
