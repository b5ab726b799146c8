//! What the state holds of one resource, and which transitions of its status are allowed.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Address;

/// How far a resource has come. A mutating call is sent only when the status that announces it is durable.
///
/// ```text
///            ┌──────────── refused ────────────┐
///            ▼                                 │
/// (absent) ──▶ creating ──▶ created ──▶ ready ─┼─▶ updating ──▶ ready
///                 │            │          │    │      │
///                 └────────────┴────▶ deleting ◀──────┘
///                                         │
///                                         ▼
///                                      (absent)
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Status {
    /// An intent: a create call was about to be sent. Whether AWS carried it out is not known.
    Creating {
        /// The token of the attempt: the value of the tag `drctl:attempt`, and the client token where the API takes one.
        attempt: String,
        /// When the intent was written.
        #[schemars(with = "String")]
        since: Timestamp,
    },
    /// It exists, but not all of its properties are set, or it is not available yet.
    Created,
    /// It exists, is available, and was last seen as configured.
    Ready,
    /// An intent: calls that change its properties were about to be sent.
    Updating {
        /// When the intent was written.
        #[schemars(with = "String")]
        since: Timestamp,
    },
    /// An intent: a delete call was about to be sent, or was sent, and its end was not seen.
    Deleting {
        /// When the intent was written.
        #[schemars(with = "String")]
        since: Timestamp,
    },
}

impl Status {
    /// The word that is shown to people.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Creating { .. } => "creating",
            Self::Created => "created",
            Self::Ready => "ready",
            Self::Updating { .. } => "updating",
            Self::Deleting { .. } => "deleting",
        }
    }

    /// Whether a call may have been carried out whose result is not recorded.
    #[must_use]
    pub fn is_open_intent(&self) -> bool {
        matches!(self, Self::Creating { .. } | Self::Updating { .. } | Self::Deleting { .. })
    }
}

/// One resource in the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How far it has come.
    pub status: Status,
    /// The AWS Region its calls go to.
    pub region: String,
    /// The unique name it was given, where that is its id: known before it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub natural_id: Option<String>,
    /// The id by which AWS knows it. Absent only while its creation is an open intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its ARN, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// What other resources and `drctl outputs` read of it. Never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// The token of the attempt that created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// SHA-256 of the desired properties that were last applied, in hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// What it referred to when it was created: it is deleted before these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Address>,
    /// Properties that a custom endpoint did not know, with its answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unsupported: BTreeMap<String, String>,
    /// When it was first recorded.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When this entry last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

impl Entry {
    /// A recorded output by its name. `id` and `arn` are outputs, too.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<String> {
        match name {
            "id" => self.id.clone(),
            "arn" => self.arn.clone(),
            _ => self.outputs.get(name).cloned(),
        }
    }
}

/// Why the last run failed on a resource. Stored separately, because a resource whose creation was refused has no entry: without
/// this record, the reason would be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// When that run ended.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened, in a sentence without a full stop. Never a secret.
    pub message: String,
    /// The call that failed, e.g. `ec2:CreateVpc in us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The error code of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The id under which the service's support finds the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "last tried {:.0}: ", self.at)?;
        for part in [&self.operation, &self.code].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

/// A transition that is not allowed: a defect of drctl, or a state that was edited by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} cannot go from {from} to {to}")]
pub struct InvalidTransition {
    /// The resource.
    pub address: Address,
    /// Its status so far, or `absent`.
    pub from: &'static str,
    /// The requested status, or `absent`.
    pub to: &'static str,
}

/// Checks one transition of one resource. `None` stands for a resource that the state does not hold.
///
/// # Errors
/// The transition, when [`Status`] does not allow it.
pub fn check_transition(address: &Address, from: Option<&Entry>, to: Option<&Entry>) -> Result<(), InvalidTransition> {
    let status = |entry: Option<&Entry>| entry.map(|entry| entry.status.clone());
    // Little is refused. A resource may go to `creating` from anywhere: it was found missing, and its record gives way to a new
    // attempt. It may go from nothing to `created` or `ready`: a resource of this stack that the state had lost is recorded as it is
    // found.
    let is_refused = matches!(
        (status(from), status(to)),
        (
            None | Some(Status::Creating { .. } | Status::Created | Status::Deleting { .. }),
            Some(Status::Updating { .. })
        ) | (None, Some(Status::Deleting { .. }))
    );
    let is_identified = to.is_none_or(|e| {
        e.id.is_some() || matches!(e.status, Status::Creating { .. }) || from.is_some_and(|f| f.id.is_none())
    });
    if !is_refused && is_identified {
        return Ok(());
    }
    let word = |entry: Option<&Entry>| entry.map_or("absent", |e| e.status.as_str());
    Err(InvalidTransition { address: address.clone(), from: word(from), to: word(to) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Role;

    fn entry(status: Status) -> Entry {
        Entry {
            id: (!matches!(status, Status::Creating { .. })).then(|| "vpc-1".to_owned()),
            status,
            region: "us-east-1".to_owned(),
            natural_id: None,
            arn: None,
            outputs: BTreeMap::new(),
            attempt: None,
            digest: String::new(),
            depends_on: Vec::new(),
            unsupported: BTreeMap::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_whole_life_cycle_is_allowed_and_short_cuts_are_not() {
        let at = Address::new(Role::Primary, "vpc", "main");
        let since = Timestamp::UNIX_EPOCH;
        let creating = entry(Status::Creating { attempt: "a".into(), since });
        let created = entry(Status::Created);
        let ready = entry(Status::Ready);
        let updating = entry(Status::Updating { since });
        let deleting = entry(Status::Deleting { since });
        let steps = [
            (None, Some(&creating)),
            (Some(&creating), Some(&created)),
            (Some(&created), Some(&ready)),
            (Some(&ready), Some(&updating)),
            (Some(&updating), Some(&ready)),
            (Some(&ready), Some(&deleting)),
            (Some(&deleting), None),
            (Some(&deleting), Some(&creating)),
            (Some(&creating), None),
        ];
        for (from, to) in steps {
            assert_eq!(check_transition(&at, from, to), Ok(()));
        }
        for (from, to) in [
            (None, Some(&updating)),
            (None, Some(&deleting)),
            (Some(&deleting), Some(&updating)),
            (Some(&creating), Some(&updating)),
        ] {
            assert!(check_transition(&at, from, to).is_err());
        }
        let nameless = Entry { id: None, ..ready };
        assert!(check_transition(&at, None, Some(&nameless)).is_err());
    }
}
