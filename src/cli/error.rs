//! Why a command failed, and the exit code for it.

use std::fmt;
use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;

use super::hint;
use crate::blueprint::BlueprintError;
use drctl_config::{Config, ConfigError};
use drctl_engine::state::StateError;
use drctl_engine::{Class, Failure, GraphError};
#[cfg(feature = "sandbox")]
use drctl_sandbox::{Place, SandboxError};

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Differences were found, with `--detailed-exitcode`.
    Differences = 2,
    /// Bad usage or configuration.
    Usage = 3,
    /// The state is locked or unreadable.
    State = 4,
    /// Credentials or permissions.
    Denied = 5,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl Exit {
    /// The exit code for a failure at AWS.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match failure.class {
            Class::Denied => Self::Denied,
            Class::Interrupted => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The sandbox failed.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A call to AWS failed.
    #[error(transparent)]
    Aws(#[from] Failure),
    /// The blueprint has a defect.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The command was used wrongly, or asks for something that is refused.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
    /// A file or the operating system failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl CliError {
    /// Why the graph of a configuration could not be built, which was read as [`Config::load`] does. Code that cannot be used is
    /// reported where the file names it.
    #[must_use]
    pub fn unbuilt(error: BlueprintError, file: Option<&Path>) -> Self {
        match error {
            BlueprintError::Graph(defect) => Self::Graph(defect),
            BlueprintError::Package(unusable) => Self::Config(Config::unusable(
                file,
                "lambda",
                "package",
                &unusable.to_string(),
                "Nothing was changed. Name a zip file or a folder with the function's code, from the working folder; or write \
                 `package = \"built-in\"`.",
            )),
        }
    }

    /// The exit code for this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Usage { .. } => Exit::Usage,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(SandboxError::BadOption { .. } | SandboxError::BadFaults { .. }) => Exit::Usage,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(SandboxError::File { place: Place::StateDir, .. }) => Exit::State,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(_) => Exit::Failed,
            Self::State(_) => Exit::State,
            Self::Aws(failure) => Exit::of(failure),
            Self::Graph(_) | Self::Io { .. } => Exit::Failed,
        }
    }

    /// Whether the only problem is that the reader of the output has gone away.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The message, and the causes that are not part of it.
    #[must_use]
    pub fn in_full(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
        causes
            .map(ToString::to_string)
            .fold(self.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
    }

    /// The error as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "event": "error",
            "message": self.in_full(),
            "help": self.help().map(|help| help.to_string()),
            "exit_code": self.exit() as u8,
        });
        if let Self::Config(error) = self {
            let problems = error.problems().iter().map(|problem| {
                serde_json::json!({
                    "file": error.source_name(),
                    "location": problem.location(),
                    "message": problem.message(),
                    "help": problem.advice(),
                })
            });
            json["problems"] = problems.collect();
        }
        if let Self::Aws(failure) = self {
            json["failure"] = serde_json::json!(failure);
        }
        json
    }
}

/// What to do about an error of the operating system, if its message alone does not say it.
fn access(source: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as Kind;
    Some(match source.kind() {
        Kind::NotFound | Kind::NotADirectory => "Check the path: the folder must exist.",
        Kind::IsADirectory => "Name the file itself, not its folder.",
        Kind::PermissionDenied => "Check the permissions there, or name another place.",
        Kind::ReadOnlyFilesystem => "Name another place: nothing can be written there.",
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            "Free some space, then run the same command again."
        }
        _ => return None,
    })
}

impl Diagnostic for CliError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = match self {
            Self::Config(error) => error.help()?.to_string(),
            Self::State(error) => error.help()?.to_string(),
            #[cfg(feature = "sandbox")]
            Self::Sandbox(error) => error.help()?.to_string(),
            Self::Aws(failure) => failure.help.clone()?,
            Self::Graph(_) => {
                "Nothing was changed. This is a defect of drctl: please report it, with your drctl.toml.".to_owned()
            }
            Self::Usage { help, .. } => help.clone(),
            Self::Io { source, .. } => access(source)?.to_owned(),
        };
        Some(Box::new(hint::complete(&help)))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        match self {
            Self::Config(error) => error.source_code(),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        match self {
            Self::Config(error) => error.labels(),
            _ => None,
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self {
            Self::Config(error) => error.related(),
            _ => None,
        }
    }
}
