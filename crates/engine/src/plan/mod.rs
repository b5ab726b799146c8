//! The plan: what is to be done, decided from what is desired, what was observed and what is recorded. No call is made.

mod consent;
mod decision;
pub(crate) mod diff;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::driver::{Change, Live};
use crate::failure::Failure;
use crate::seconds;
use crate::state::Address;

pub use consent::{Consent, Refusal};
pub use decision::Decision;
pub use diff::{TAGS, changes, digest};

/// What is done with one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: it is as desired.
    None,
    /// It is as desired, but the state does not say so yet: an interrupted run made it, or it is still on its way.
    Record,
    /// It is made.
    Create,
    /// Its properties are changed in place.
    Update,
    /// It is deleted and made anew.
    Replace,
    /// It is deleted.
    Delete,
    /// Nothing: it would have to be deleted or replaced, and holds data that nobody has agreed to lose.
    Refused,
    /// Nothing: it could not be looked at, or is in a state that a person has to put right.
    Unknown,
}

/// What is planned for one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Which resource.
    pub address: Address,
    /// Where.
    pub region: String,
    /// What is done with it.
    pub action: Action,
    /// Why, where the action alone does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the state holds it.
    pub recorded: bool,
    /// The id by which AWS knows it, when it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Property by property: for a creation all of them, else those that differ.
    pub changes: Vec<Change>,
    /// Properties that the endpoint does not know, with what it answered: neither set nor compared.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unsupported: BTreeMap<String, String>,
    /// Why it could not be looked at, or what a person has to put right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why it is not deleted or replaced, and what that would take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// How long the action typically takes.
    #[serde(rename = "expected_seconds", serialize_with = "seconds::rounded")]
    pub expected: Duration,
    /// The resource as it was observed.
    #[serde(skip)]
    pub live: Option<Box<Live>>,
    /// What it refers to, and what outlives it therefore.
    #[serde(skip)]
    pub depends_on: Vec<Address>,
    /// What has to be there before it is made: what it refers to, and what only goes first.
    #[serde(skip)]
    pub waits_for: Vec<Address>,
}

/// Everything that is planned, in an order in which it could be done one by one: deletions last, in reverse.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// One item per resource of the graph and of the state.
    pub items: Vec<Item>,
}

/// How many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// To be made; a replacement counts here and under `destroy`, as Terraform counts.
    pub add: usize,
    /// To be changed in place.
    pub change: usize,
    /// To be deleted.
    pub destroy: usize,
    /// To be taken into the state.
    pub record: usize,
    /// As desired.
    pub unchanged: usize,
    /// Not looked at.
    pub unknown: usize,
    /// Not done, because data would be lost.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Plan {
    /// How many of each.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for item in &self.items {
            match item.action {
                Action::None => counts.unchanged += 1,
                Action::Record => counts.record += 1,
                Action::Create => counts.add += 1,
                Action::Update => counts.change += 1,
                Action::Replace => {
                    counts.add += 1;
                    counts.destroy += 1;
                }
                Action::Delete => counts.destroy += 1,
                Action::Unknown => counts.unknown += 1,
                Action::Refused => counts.refused += 1,
            }
        }
        counts
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(|item| matches!(item.action, Action::None | Action::Unknown | Action::Refused))
    }

    /// What is not done because data would be lost.
    pub fn refused(&self) -> impl Iterator<Item = (&Item, &Refusal)> {
        self.items.iter().filter_map(|item| item.refusal.as_ref().map(|refusal| (item, refusal)))
    }

    /// What could not be looked at.
    pub fn unknown(&self) -> impl Iterator<Item = (&Item, &Failure)> {
        self.items.iter().filter_map(|item| item.failure.as_ref().map(|failure| (item, failure)))
    }
}
