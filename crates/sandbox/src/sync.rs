//! Locking without the poison.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, whoever panicked while holding it.
///
/// The sandbox's memory is bookkeeping about an emulator: a half-made entry costs one odd answer, while a poisoned lock
/// would turn one panicking call into a proxy that answers nothing any more.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
