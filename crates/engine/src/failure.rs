//! Why a step did not succeed, as far as the engine needs to know.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::driver::Region;
use crate::state::Failed;

/// The meaning of a failure for the step and its intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The call was refused, and will be refused again. Closes the intent.
    Refused,
    /// The call was refused because of the rate of calls. The same call may succeed later.
    Throttled,
    /// The call was refused for a reason that passes by itself: a busy resource, or a change that is not visible everywhere yet.
    Transient,
    /// The call was refused because something that it refers to exists, but is not available yet.
    NotYet,
    /// It is not known whether the call was carried out. Leaves the intent open.
    Ambiguous,
    /// The call was refused because something with that name exists.
    Exists,
    /// The target of the call does not exist.
    NotFound,
    /// The credentials are not valid, or lack a permission.
    Denied,
    /// Nothing answers.
    Unreachable,
    /// A custom endpoint does not know the operation.
    Unsupported,
    /// The resource does not belong to this stack.
    Foreign,
    /// The awaited event did not happen in time.
    TimedOut,
    /// The step was given up because the run was interrupted.
    Interrupted,
    /// drctl has a defect, or the state could not be written to disk.
    Internal,
}

/// The Region or service that did not answer. In JSON, its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silent {
    /// A Region, by its name.
    Region(String),
    /// A global service, by its display name.
    Service(String),
    /// A service in a Region of which other services have answered.
    ServiceIn {
        /// The service, by its name for people.
        service: String,
        /// The Region, by its name.
        region: String,
    },
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(name) | Self::Service(name) => f.write_str(name),
            Self::ServiceIn { service, region } => write!(f, "{service} in {region}"),
        }
    }
}

impl Serialize for Silent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a step did not succeed. Carries no secrets: messages come from AWS's refusals and from drctl.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What it means for the step.
    pub class: Class,
    /// What happened, in a sentence without a full stop.
    pub message: String,
    /// The call that failed, e.g. `ec2:CreateVpc in us-east-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The error code of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The id under which the service's support finds the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The Region or service that did not answer, if that is the reason: not always the Region of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<Silent>,
}

impl Failure {
    /// A failure that no call caused.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), operation: None, code: None, request_id: None, help: None, silent: None }
    }

    /// A Region has not answered within `limit`.
    #[must_use]
    pub fn silence(region: &Region, limit: Duration) -> Self {
        let message = format!("{region} did not answer within {} s", limit.as_secs());
        let help = "Check the network and AWS's health dashboard for that Region.";
        Self { silent: Some(Silent::Region(region.to_string())), ..Self::new(Class::TimedOut, message).help(help) }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The failure in the form that the state records for later.
    pub(crate) fn on_record(&self) -> Failed {
        let Self { class: _, message, operation, code, request_id, help, silent: _ } = self.clone();
        Failed { at: Timestamp::now(), message, operation, code, request_id, help }
    }

    /// The step was given up because of a signal.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Class::Interrupted, "interrupted")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = &self.operation {
            write!(f, "{operation}: ")?;
        }
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
