//! Consent: a resource that holds data is deleted or replaced only if the user has agreed to it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::state::Address;

/// Which of the resources that hold data may be deleted or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Consent {
    /// None.
    #[default]
    Nothing,
    /// Those that the user has named, and no others.
    Named(BTreeSet<Address>),
    /// All that the plan deletes or replaces: the user has agreed to lose the whole stack.
    Everything,
}

impl Consent {
    /// Whether the data of this resource may be lost.
    #[must_use]
    pub fn covers(&self, address: &Address) -> bool {
        match self {
            Self::Nothing => false,
            Self::Named(named) => named.contains(address),
            Self::Everything => true,
        }
    }
}

/// Why a resource is not deleted or replaced, and how it could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Whether it would be replaced. Otherwise it would be deleted.
    pub replaced: bool,
    /// Why: the property that differs and cannot be changed in place, or that the resource is no longer configured; and how to
    /// keep it, if AWS offers a way.
    pub why: String,
    /// All resources with data that must be named, including this one. Empty if it is impossible.
    pub names: Vec<Address>,
    /// Why it is impossible even with consent, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
}
