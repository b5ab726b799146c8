//! Locking without poisoning.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, even if a thread panicked while holding it.
///
/// What the sandbox remembers is bookkeeping about an emulator: an incomplete entry costs one odd answer, while a
/// poisoned lock would turn one panicking call into a proxy that answers nothing any more.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
