//! The errors of the sandbox, written for the person who has to fix their cause.

use std::fmt;
use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::world::route53::StartError;

/// A Python that was found and cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPython {
    /// The name under which it was found on the `PATH`.
    pub program: String,
    /// Its version, or what it did instead of reporting one.
    pub answer: String,
}

impl fmt::Display for FoundPython {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.program, self.answer)
    }
}

/// What a file of the sandbox belongs to, which decides how the user can choose another place for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The sandbox of one state folder: `--state-dir`.
    StateDir,
    /// What is installed once per user: `XDG_CACHE_HOME`.
    Cache,
    /// What the emulator unpacks while it runs: `TMPDIR`.
    Temporary,
}

impl Place {
    /// What to do about an error of the operating system.
    fn advice(self, source: &io::Error) -> String {
        use io::ErrorKind as Kind;
        let check = "Check that the folder exists, that you own it, and that the disk has room";
        match self {
            Self::StateDir if matches!(source.kind(), Kind::NotFound | Kind::NotADirectory | Kind::AlreadyExists) => {
                "Choose a folder that exists and is writable with --state-dir.".to_owned()
            }
            // Another folder is no solution: it has no record of the stacks that were built in this sandbox.
            Self::StateDir => format!("{check}; then run the same command again."),
            Self::Cache => format!("{check}; set XDG_CACHE_HOME to use another folder."),
            Self::Temporary => format!("{check}; set TMPDIR to use another folder."),
        }
    }
}

/// Why the sandbox could not be installed, started, reached, reset, or stopped.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum SandboxError {
    /// There is no usable Python on the `PATH`.
    #[error("the sandbox needs Python 3.10 or newer, and there is none on the PATH{}", list(.found))]
    #[diagnostic(
        code(drctl::sandbox::python_missing),
        help(
            "Install Python 3.10 or newer and run the command again:\n  \
             Debian, Ubuntu: apt install python3 python3-venv\n  \
             Fedora, RHEL: dnf install python3.12\n  \
             macOS: brew install python@3.13\n  \
             anywhere: pyenv install 3.13 && pyenv global 3.13"
        )
    )]
    PythonMissing {
        /// What was found instead.
        found: Vec<FoundPython>,
    },

    /// Neither `XDG_CACHE_HOME` nor `HOME` names a folder.
    #[error(
        "there is no cache folder to install MiniStack into: neither XDG_CACHE_HOME nor HOME is set to an absolute path"
    )]
    #[diagnostic(
        code(drctl::sandbox::no_cache_folder),
        help("Set HOME, or XDG_CACHE_HOME to a folder that may hold about 150 MB.")
    )]
    NoCacheFolder,

    /// Creating the virtual environment failed, or pip in it.
    #[error("MiniStack could not be installed: {step} failed\n{output}")]
    #[diagnostic(
        code(drctl::sandbox::install_failed),
        help(
            "No partial installation was left behind. Without network access, point pip at a mirror (PIP_INDEX_URL or pip.conf); \
             if the venv module is missing, install it (Debian, Ubuntu: apt install python3-venv); then run the command again."
        )
    )]
    InstallFailed {
        /// The step that failed.
        step: String,
        /// The last lines of its output.
        output: String,
    },

    /// The requested port is taken.
    #[error("port {port} on loopback is taken")]
    #[diagnostic(
        code(drctl::sandbox::port_in_use),
        help("Choose another with --port, or leave it out: the sandbox then takes a free one.")
    )]
    PortInUse {
        /// The requested port.
        port: u16,
        /// The error of the operating system.
        source: io::Error,
    },

    /// There is no port for the name server.
    #[error("the sandbox cannot listen for DNS on loopback, port {port}, over UDP and TCP")]
    #[diagnostic(
        code(drctl::sandbox::dns_port),
        help("Choose another with --dns-port, 1024 or higher, or leave it out: the sandbox then takes a free one.")
    )]
    DnsPort {
        /// The requested port; 0 for a free one.
        port: u16,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The health checkers cannot speak TLS.
    #[error("the sandbox's health checkers cannot set up TLS: {reason}")]
    #[diagnostic(code(drctl::sandbox::health_checkers), help("This is a bug in drctl: please report it."))]
    HealthCheckers {
        /// What TLS says.
        reason: String,
    },

    /// The proxy cannot listen, and the port is not taken.
    #[error("the sandbox cannot listen on loopback")]
    #[diagnostic(
        code(drctl::sandbox::listen),
        help("Check that the loopback interface is up, and that --port, if given, is 1024 or higher.")
    )]
    Listen {
        /// The error of the operating system.
        source: io::Error,
    },

    /// An option has a value that the sandbox cannot use.
    #[error("{option} = {value} cannot be used: {reason}")]
    #[diagnostic(code(drctl::sandbox::bad_option), help("{help}"))]
    BadOption {
        /// The option as written on the command line.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
        /// What to write instead.
        help: &'static str,
    },

    /// A fault file cannot be used.
    #[error("{} {reason}", .path.display())]
    #[diagnostic(
        code(drctl::sandbox::bad_faults),
        help("Nothing was started. docs/reliability.md describes the format and AWS's surprises.")
    )]
    BadFaults {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where: the rest of a sentence that begins with the path.
        reason: String,
    },

    /// The emulator given with `--upstream` does not answer.
    #[error("nothing answers at {url}, given with --upstream: {why}")]
    #[diagnostic(
        code(drctl::sandbox::upstream_silent),
        help("Start that emulator first, or leave --upstream out: the sandbox then starts its own.")
    )]
    UpstreamSilent {
        /// Where it should listen.
        url: String,
        /// What happened instead.
        why: String,
    },

    /// A file or folder of the sandbox cannot be read or written.
    #[error("cannot {action} {}", .path.display())]
    #[diagnostic(
        code(drctl::sandbox::file),
        help("{}", place.advice(source))
    )]
    File {
        /// What could not be done, as in "cannot write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the file belongs to.
        place: Place,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The record of the running sandbox cannot be understood.
    #[error("{} is not a record that this drctl understands", .path.display())]
    #[diagnostic(
        code(drctl::sandbox::record_unreadable),
        help(
            "It was edited, or written by another version of drctl. Stop that sandbox with the drctl that started it, \
             or by hand; then remove the file, and start again."
        )
    )]
    RecordUnreadable {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// A program could not be started at all.
    #[error("cannot start {program}")]
    #[diagnostic(
        code(drctl::sandbox::spawn),
        help("Check that the file is there and executable, and that the machine is not out of memory or processes.")
    )]
    Spawn {
        /// The program.
        program: String,
        /// The error of the operating system.
        source: io::Error,
    },

    /// MiniStack ended while it was still needed.
    #[error("MiniStack, the sandbox's emulator, ended unexpectedly ({status}). The last lines of its log:\n{tail}")]
    #[diagnostic(
        code(drctl::sandbox::crashed),
        help(
            "Its contents are lost. See {} for the whole log, then start again with `drctl sandbox start`.",
            .log.display()
        )
    )]
    Crashed {
        /// How it ended.
        status: String,
        /// The last lines of its log.
        tail: String,
        /// The whole log.
        log: PathBuf,
    },

    /// MiniStack is running and does not become ready.
    #[error("MiniStack was started and did not answer within {seconds} s. The last lines of its log:\n{tail}")]
    #[diagnostic(
        code(drctl::sandbox::not_ready),
        help("The machine may be overloaded: try again. See {} for the whole log.", .log.display())
    )]
    NotReady {
        /// How long drctl waited for it.
        seconds: u64,
        /// The last lines of its log.
        tail: String,
        /// The whole log.
        log: PathBuf,
    },

    /// Another process serves from the same folder.
    #[error("a sandbox is already running from {}{}", .dir.display(), with_pid(*.pid))]
    #[diagnostic(
        code(drctl::sandbox::already_serving),
        help("Use it as it is, or stop it first with `drctl sandbox stop`.")
    )]
    AlreadyServing {
        /// The folder that both need.
        dir: PathBuf,
        /// The process that has it.
        pid: Option<u32>,
    },

    /// The background process ended before it was ready.
    #[error("the sandbox did not start: {message}")]
    #[diagnostic(code(drctl::sandbox::did_not_start), help("{help}"))]
    DidNotStart {
        /// Its error message.
        message: String,
        /// What to do about it.
        help: String,
    },

    /// A sandbox is running with other options than the requested ones.
    #[error("a sandbox is already running with {running}, not with {wanted}")]
    #[diagnostic(
        code(drctl::sandbox::running_differently),
        help(
            "Stop it first with `drctl sandbox stop` (its contents are lost), or leave the options out to use it as it is."
        )
    )]
    RunningDifferently {
        /// Its options.
        running: String,
        /// The requested options.
        wanted: String,
    },

    /// The sandbox that is needed is not running.
    #[error("the sandbox is not running{reason}")]
    #[diagnostic(code(drctl::sandbox::not_running), help("Start it with `drctl sandbox start`."))]
    NotRunning {
        /// Why, if that is known: empty, or beginning with a colon.
        reason: String,
    },

    /// The sandbox refused to reset.
    #[error("the sandbox was not reset: {message}")]
    #[diagnostic(code(drctl::sandbox::reset_failed), help("Run `drctl sandbox stop`, then `drctl sandbox start`."))]
    ResetFailed {
        /// Its error message.
        message: String,
    },

    /// The sandbox refused to change or to show the conditions of Regions.
    #[error("the conditions of the sandbox's Regions were neither changed nor shown: {message}")]
    #[diagnostic(
        code(drctl::sandbox::regions_refused),
        help("See what can be ordered, and how, with `drctl sandbox region --help`.")
    )]
    RegionsRefused {
        /// Its error message.
        message: String,
    },

    /// The sandbox refused to change or to show how long replication takes.
    #[error("how long replication takes in the sandbox was neither changed nor shown: {message}")]
    #[diagnostic(
        code(drctl::sandbox::replication_refused),
        help("See what can be ordered, and how, with `drctl sandbox lag --help`.")
    )]
    ReplicationRefused {
        /// Its error message.
        message: String,
    },

    /// The running sandbox has no database that is meant, or does not say which it has.
    #[error("the sandbox's database cannot be reached: {message}")]
    #[diagnostic(
        code(drctl::sandbox::no_database),
        help(
            "See the databases and how they are with `drctl sandbox status`. `drctl up --sandbox` builds one in each Region."
        )
    )]
    NoDatabase {
        /// Its error message.
        message: String,
    },

    /// Another drctl has held the lock for longer than any operation here takes.
    #[error("another drctl has been {doing} for {seconds} s (it holds {})", .path.display())]
    #[diagnostic(
        code(drctl::sandbox::busy),
        help("Wait for it, or end it: the lock is released when that process ends.")
    )]
    Busy {
        /// What the lock is for.
        doing: &'static str,
        /// How long drctl waited for it.
        seconds: u64,
        /// The lock file.
        path: PathBuf,
    },

    /// A process was told to end and is still running.
    #[error("the sandbox's process {pid} does not end")]
    #[diagnostic(
        code(drctl::sandbox::will_not_end),
        help("It may hang in the kernel or belong to another user: look at it with ps, and end it by hand.")
    )]
    WillNotEnd {
        /// The process.
        pid: u32,
    },
}

impl From<StartError> for SandboxError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Listen { port, source } => Self::DnsPort { port, source },
            StartError::Tls(error) => Self::HealthCheckers { reason: error.to_string() },
        }
    }
}

impl SandboxError {
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, place: Place::StateDir, source }
    }

    /// The same error for a file that belongs to something else.
    pub(super) fn of(self, place: Place) -> Self {
        match self {
            Self::File { action, path, source, .. } => Self::File { action, path, place, source },
            other => other,
        }
    }
}

/// An error's message followed by its causes, for a log or for another process.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn list(found: &[FoundPython]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    format!(" (found {})", all.join("; "))
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_python_is_reported_with_what_was_found() {
        let error = SandboxError::PythonMissing {
            found: vec![FoundPython { program: "python3".into(), answer: "3.9.2".into() }],
        };
        assert_eq!(
            error.to_string(),
            "the sandbox needs Python 3.10 or newer, and there is none on the PATH (found python3: 3.9.2)"
        );
        assert!(error.help().is_some_and(|help| help.to_string().contains("apt install")));
    }

    /// One error of each variant that has a help text of its own.
    fn one_of_each() -> Vec<SandboxError> {
        let io = || io::Error::other("disk full");
        let path = || PathBuf::from("state/sandbox/x");
        let text = || "said".to_owned();
        let record = || serde_json::from_str::<u8>("x").err();
        let mut errors = vec![
            SandboxError::NoCacheFolder,
            SandboxError::InstallFailed { step: text(), output: text() },
            SandboxError::PortInUse { port: 1, source: io() },
            SandboxError::DnsPort { port: 1, source: io() },
            SandboxError::HealthCheckers { reason: "x".to_owned() },
            SandboxError::Listen { source: io() },
            SandboxError::BadFaults { path: path(), reason: text() },
            SandboxError::UpstreamSilent { url: text(), why: text() },
            SandboxError::Spawn { program: text(), source: io() },
            SandboxError::Crashed { status: text(), tail: text(), log: path() },
            SandboxError::NotReady { seconds: 1, tail: text(), log: path() },
            SandboxError::AlreadyServing { dir: path(), pid: None },
            SandboxError::RunningDifferently { running: text(), wanted: text() },
            SandboxError::NotRunning { reason: String::new() },
            SandboxError::ResetFailed { message: text() },
            SandboxError::RegionsRefused { message: text() },
            SandboxError::ReplicationRefused { message: text() },
            SandboxError::NoDatabase { message: text() },
            SandboxError::Busy { doing: "installing", seconds: 1, path: path() },
            SandboxError::WillNotEnd { pid: 1 },
        ];
        errors.extend(record().map(|source| SandboxError::RecordUnreadable { path: path(), source }));
        for place in [Place::StateDir, Place::Cache, Place::Temporary] {
            errors.push(SandboxError::file("write", path())(io()).of(place));
        }
        errors.push(SandboxError::file("write", path())(io::ErrorKind::NotADirectory.into()));
        errors.extend(super::super::options::check_time_scale(0.0).err());
        errors.extend(super::super::options::check_upstream("x").err());
        errors
    }

    #[test]
    fn every_help_is_a_sentence() {
        let errors = one_of_each();
        assert_eq!(errors.len(), 27);
        for error in errors {
            let help = error.help().map(|help| help.to_string()).unwrap_or_default();
            assert!(help.starts_with(char::is_uppercase) && help.ends_with('.'), "{error}: {help}");
        }
    }

    #[test]
    fn each_place_says_how_to_choose_another() {
        let help = |place| {
            let error = SandboxError::file("write", "x")(io::ErrorKind::PermissionDenied.into()).of(place);
            error.help().map(|help| help.to_string()).unwrap_or_default()
        };
        assert!(help(Place::Cache).contains("XDG_CACHE_HOME") && help(Place::Temporary).contains("TMPDIR"));
        assert!(!help(Place::StateDir).contains("--state-dir"), "the record cannot be left behind");
    }

    #[test]
    fn a_message_is_followed_by_its_causes() {
        let error = SandboxError::file("write", "somewhere/sandbox.json")(io::Error::other("disk full"));
        assert_eq!(with_causes(&error), "cannot write somewhere/sandbox.json: disk full");
    }
}
