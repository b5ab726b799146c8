//! Problems with a state, and what the operator can do about them.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::{FORMAT, InvalidTransition, lock::Holder};

/// Why a state cannot be used, or could not be written.
#[derive(Debug, Error, Diagnostic)]
pub enum StateError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
        /// What to do.
        #[help]
        help: String,
    },
    /// The snapshot is not a state that drctl wrote.
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
        /// The line, counted from 1.
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
    /// It belongs to another stack, environment, account, or pair of Regions.
    #[error("{} belongs to another {what}: it says {recorded}, and this run is for {expected}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Which of these differs.
        what: &'static str,
        /// What the file says.
        recorded: String,
        /// What this run is for.
        expected: String,
        /// What to do.
        #[help]
        help: String,
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
    /// drctl tried a transition that is not allowed.
    #[error("a defect of drctl: {0}")]
    #[diagnostic(help("Nothing was changed in AWS by this step. Please report it with the command and its output."))]
    Transition(#[from] InvalidTransition),
    /// The thread that writes the journal panicked.
    #[error("a defect of drctl while writing the journal: {0}")]
    #[diagnostic(help(
        "Operations in flight are recorded as open intents. Run the same command again, and report this."
    ))]
    Defect(String),
    /// An earlier write failed, and nothing more is written in this run.
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
    /// For a panic in the thread that writes the journal.
    pub(crate) fn defect(error: &dyn std::fmt::Display) -> Self {
        Self::Defect(error.to_string())
    }

    /// For a state of another stack, environment, account, or pair of Regions.
    pub(super) fn foreign(path: &Path, what: &'static str, recorded: &str, expected: &str) -> Self {
        Self::Foreign {
            path: path.to_owned(),
            what,
            recorded: quoted(recorded),
            expected: expected.to_owned(),
            help: format!("Nothing was changed. {}", foreign(what)),
        }
    }

    /// For what the operating system said, with what to do about it.
    pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let help = match source.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
                "The disk is full. Make room and run the same command again: operations in flight are recorded as \
                 open intents, which are resolved before anything else is created."
                    .to_owned()
            }
            // The advice is not to take another folder: a run without the record would not know what was created.
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => format!(
                "drctl needs to read and write its state folder, which holds the record of what was created. Grant access to {} \
                 and run the same command again.",
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).display()
            ),
            Kind::NotFound | Kind::NotADirectory | Kind::AlreadyExists => {
                "Choose a folder that exists and is writable with --state-dir.".to_owned()
            }
            _ if action == READ => "Nothing was changed. Fix that and run the same command again.".to_owned(),
            _ => {
                "Operations in flight are recorded as open intents. Fix that and run the same command again.".to_owned()
            }
        };
        Self::Io { action, path: path.to_owned(), source, help }
    }
}

/// The action on a state that is only read.
const READ: &str = "read";

/// What to do about a state that belongs to another stack.
fn foreign(what: &str) -> &'static str {
    if what.ends_with("Region") {
        "A stack cannot move: delete it with `drctl down` while drctl.toml has the Regions that it was built in, \
         then build it in the others; or build it there next to this one, as another environment."
    } else {
        "Check the credentials, --environment and drctl.toml; or keep the states apart with --state-dir."
    }
}

/// Text from a file, to be quoted in an error. Its control characters must not reach the terminal.
pub(super) fn quoted(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Reads a whole state file. `None` when there is none. It has to be a regular file: a device or a pipe may never end.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let refused = |e| StateError::io(READ, path, e);
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

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    fn help(error: &StateError) -> String {
        error.help().map(|help| help.to_string()).unwrap_or_default()
    }

    #[test]
    fn drctl_does_not_work_without_a_state_that_it_may_not_read() {
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            let error = StateError::io(READ, Path::new("records/payment-dr-dev.json"), Error::from(kind));
            let help = help(&error);
            assert!(help.contains("Grant access to records") && !help.contains("--state-dir"), "{help}");
        }
        let error = StateError::io("open the lock", Path::new("file/x.lock"), Error::from(ErrorKind::NotADirectory));
        assert!(help(&error).contains("--state-dir"), "{}", help(&error));
        assert!(
            help(&StateError::io(READ, Path::new("x.json"), Error::other("odd"))).starts_with("Nothing was changed.")
        );
    }

    #[test]
    fn a_backup_is_named_only_where_there_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("payment-dr-dev.json");
        let damaged = || crate::state::Snapshot::parse(&path, b"{").expect_err("damaged");
        let alone = help(&damaged());
        assert!(
            !alone.contains(".bak") && alone.contains("`drctl orphans --adopt`") && alone.contains("`drctl up`"),
            "{alone}"
        );
        std::fs::write(folder.path().join("payment-dr-dev.json.bak"), "{}").expect("written");
        let kept = help(&damaged());
        assert!(kept.contains("payment-dr-dev.json.bak") && kept.contains("`drctl orphans --adopt`"), "{kept}");
    }

    #[test]
    fn another_stack_says_how_to_go_on() {
        let foreign = |what| StateError::foreign(Path::new("state/payment-dr-dev.json"), what, "a", "b");
        assert!(help(&foreign("primary Region")).contains("`drctl down`"));
        assert!(help(&foreign("account")).contains("Check the credentials"));
        for what in ["account", "secondary Region"] {
            assert!(help(&foreign(what)).starts_with("Nothing was changed. "), "{}", help(&foreign(what)));
        }
    }
}
