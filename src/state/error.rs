//! What can be wrong with a state file, said so that its owner can go on.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::{FORMAT, InvalidTransition, lock::Holder};

/// A state that cannot be used, or could not be written.
#[derive(Debug, Error, Diagnostic)]
pub enum StateError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
        /// What to do.
        #[help]
        help: String,
    },
    /// The snapshot is no state of drctl's.
    #[error("{} is not a readable state: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
        /// What to do.
        #[help]
        help: String,
    },
    /// The journal is damaged before its end.
    #[error("{} is damaged in line {line}: {detail}", path.display())]
    JournalDamaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        detail: String,
        /// What to do.
        #[help]
        help: String,
    },
    /// A later drctl wrote it.
    #[error("{} has format {found}, and this drctl reads up to {FORMAT}", path.display())]
    #[diagnostic(help("Nothing was changed. Use the drctl that wrote it ({written_by}) or a later one."))]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The version of drctl that wrote it.
        written_by: String,
    },
    /// It belongs to something else.
    #[error("{} belongs to another {what}: it says {recorded}, and this run is for {expected}", path.display())]
    #[diagnostic(help(
        "Nothing was changed. Check the credentials, --environment and drctl.toml; or keep the states apart with --state-dir."
    ))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Stack, environment, account or Regions.
        what: &'static str,
        /// What the file says.
        recorded: String,
        /// What this run says.
        expected: String,
    },
    /// Another run holds the lock.
    #[error("{} is locked by {holder}", path.display())]
    #[diagnostic(help(
        "Nothing was changed. Wait until that run has ended, or interrupt it (one SIGINT lets it finish what is in flight). \
         The lock is freed by the kernel when that process ends: there is nothing to remove by hand."
    ))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it.
        holder: Box<Holder>,
    },
    /// drctl tried a step that no resource takes.
    #[error("a defect of drctl: {0}")]
    #[diagnostic(help("Nothing was changed in AWS by this step. Please report it with the command and its output."))]
    Transition(#[from] InvalidTransition),
    /// The thread that writes the journal died.
    #[error("a defect of drctl while writing the journal: {0}")]
    #[diagnostic(help(
        "What was under way is on record as an open intent. Run the same command again, and report this."
    ))]
    Defect(String),
    /// An earlier write failed; nothing more is written in this run.
    #[error("{} could not be written to earlier in this run", path.display())]
    #[diagnostic(help(
        "Make room or restore access, then run the same command again: open intents are resolved first."
    ))]
    Broken {
        /// The journal.
        path: PathBuf,
    },
}

impl StateError {
    /// A panic in the thread that writes.
    pub(crate) fn defect(error: &dyn std::fmt::Display) -> Self {
        Self::Defect(error.to_string())
    }

    /// Wraps what the operating system said with what to do about it.
    pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let help = match source.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
                "The disk is full. Make room and run the same command again: what was under way is on record as an open \
                 intent and is looked for in AWS before anything else is made."
                    .to_owned()
            }
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => format!(
                "drctl needs to read and write its state folder. Grant access to {}, or choose another with --state-dir.",
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).display()
            ),
            Kind::NotFound | Kind::NotADirectory => "Choose a folder that exists and is writable with --state-dir.".to_owned(),
            _ => "What was under way is on record as an open intent. Put that right and run the same command again.".to_owned(),
        };
        Self::Io { action, path: path.to_owned(), source, help }
    }
}

/// What a file says, to be quoted in an error: no control character of it must reach the terminal.
pub(super) fn quoted(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Reads a state file whole; `None` when there is none. Only a regular file: a device or a pipe may never end.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let refused = |e| StateError::io("read", path, e);
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            // A run that has just ended has folded it.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(refused(e)),
        },
        Ok(_) => Err(refused(std::io::Error::other("it is not a regular file"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refused(e)),
    }
}
