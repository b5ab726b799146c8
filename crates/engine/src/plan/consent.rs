//! What may be lost: nothing that holds data is deleted or replaced unless it was named.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::state::Address;

/// What holds data and may be deleted or replaced all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Consent {
    /// Nothing.
    #[default]
    Nothing,
    /// What somebody has named, and nothing else.
    Named(BTreeSet<Address>),
    /// Everything that is planned: whoever asked has agreed to lose the whole.
    Everything,
}

impl Consent {
    /// Whether this one may be lost.
    #[must_use]
    pub fn covers(&self, address: &Address) -> bool {
        match self {
            Self::Nothing => false,
            Self::Named(named) => named.contains(address),
            Self::Everything => true,
        }
    }
}

/// Why something is not deleted or replaced, and what it would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Whether it would be replaced; else it would be deleted.
    pub replaced: bool,
    /// What asks for it: the property that differs and why it cannot be changed in place, or that it left the configuration.
    pub why: String,
    /// Everything that holds data and has to be named for it to be done, itself among it. Empty when it cannot be done at all.
    pub names: Vec<Address>,
    /// Why it cannot be done even then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
}
