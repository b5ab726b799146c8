//! The lock: one run at a time per stack. It is advisory, and the kernel frees it when its holder dies.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StateError;

/// Who holds a lock, as written into the lock file for the operator. No decision depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The id of the process.
    pub pid: u32,
    /// The name of the machine.
    pub host: String,
    /// The command, e.g. `up`.
    pub command: String,
    /// Since when it has held the lock.
    pub since: Option<Timestamp>,
}

impl Holder {
    fn this_process(command: &str) -> Self {
        let host =
            std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
        Self {
            pid: std::process::id(),
            host: host.map_or_else(|_| "this machine".to_owned(), |h| h.trim().to_owned()),
            command: command.to_owned(),
            since: Some(Timestamp::now()),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("another drctl");
        }
        write!(f, "`drctl {}` (process {} on {}", self.command, self.pid, self.host)?;
        if let Some(since) = self.since {
            write!(f, ", since {since:.0}")?;
        }
        f.write_str(")")
    }
}

/// A held lock. It is freed when it is dropped, or when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it.
    ///
    /// # Errors
    /// [`StateError::Locked`], or what the operating system says.
    pub fn acquire(path: &Path, command: &str) -> Result<Self, StateError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| StateError::io("open the lock", path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Its holder may be writing the note at this moment: if it cannot be read, the holder is "another drctl".
                let holder = match file.read_to_string(&mut text) {
                    Ok(_) => serde_json::from_str(&text).ok(),
                    Err(_) => None,
                };
                let unknown = || Holder { pid: 0, host: String::new(), command: String::new(), since: None };
                return Err(StateError::Locked {
                    path: path.to_owned(),
                    holder: Box::new(holder.unwrap_or_else(unknown)),
                });
            }
            Err(TryLockError::Error(e)) => return Err(StateError::io("lock", path, e)),
        }
        let note = serde_json::to_string(&Holder::this_process(command))
            .map_err(|e| StateError::io("write the lock", path, e.into()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(|e| StateError::io("write the lock", path, e))?;
        Ok(Self { _file: file })
    }
}
