//! The plan: the actions, decided from desired, observed, and recorded resources. No call is made.

mod consent;
mod decision;
pub(crate) mod diff;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use futures::future::join_all;

use crate::driver::{AlsoDeleted, Change, DriverRegistry, Live, Region, Weight};
use crate::failure::Failure;
use crate::observe::limited;
use crate::seconds;
use crate::state::Address;

pub use consent::{Consent, Refusal};
pub use decision::Decision;
pub use diff::{TAGS, changes, digest};

/// The action on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing, because it is as desired.
    None,
    /// It is recorded: it is as desired, but the state does not say so, because an interrupted run created it, or because it is
    /// not available yet.
    Record,
    /// It is created.
    Create,
    /// Its properties are changed in place.
    Update,
    /// It is deleted and created again.
    Replace,
    /// It is deleted.
    Delete,
    /// Not carried out, because data would be lost without the user's consent.
    Refused,
    /// Not carried out, because the resource could not be read, or because the operator must fix it first.
    Unknown,
}

/// The planned action on one resource, with its details.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// The resource.
    pub address: Address,
    /// The Region that its calls go to.
    pub region: String,
    /// The action.
    pub action: Action,
    /// Why that is done, where the action alone does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the state holds it.
    pub recorded: bool,
    /// The id by which AWS knows it, if it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The properties that are set: for a creation all of them, otherwise those that differ.
    pub changes: Vec<Change>,
    /// Properties that the endpoint does not know, with its answers. They are neither set nor compared.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unsupported: BTreeMap<String, String>,
    /// Why it could not be read, or what the operator must fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why it is not deleted or replaced, and how it could be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// How long the action typically takes.
    #[serde(rename = "expected_seconds", serialize_with = "seconds::rounded")]
    pub expected: Duration,
    /// The resource as it was observed.
    #[serde(skip)]
    pub live: Option<Box<Live>>,
    /// The consequences of its deletion, if it is deleted or would have to be ([`Plan::weigh`]).
    #[serde(skip)]
    pub weight: Option<Result<Weight, Failure>>,
    /// The resources that it refers to, and that therefore have to outlive it.
    #[serde(skip)]
    pub depends_on: Vec<Address>,
    /// The resources that have to be ready before it is created: those that it refers to, and those that only come first.
    #[serde(skip)]
    pub waits_for: Vec<Address>,
}

/// Everything that is planned, in an order in which it could be done item by item. Deletions come last, in reverse order.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// One item for each resource in the graph or in the state.
    pub items: Vec<Item>,
}

/// The number of resources in a plan, by kind of action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// To be created. A replacement counts here and under `destroy`, as in Terraform.
    pub add: usize,
    /// To be changed in place.
    pub change: usize,
    /// To be deleted.
    pub destroy: usize,
    /// To be kept although they are no longer configured, because a remaining resource needs them.
    #[serde(skip_serializing_if = "is_zero")]
    pub keep: usize,
    /// To be recorded in the state.
    pub record: usize,
    /// As desired already.
    pub unchanged: usize,
    /// Not read, or to be fixed by the operator.
    pub unknown: usize,
    /// Neither deleted nor replaced, because data would be lost.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Item {
    /// Whether it is deleted, or deleted and created again.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        matches!(self.action, Action::Delete | Action::Replace)
    }

    /// Whether its deletion is planned but will not happen, because a remaining resource needs it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.action == Action::Delete && matches!(&self.weight, Some(Ok(Weight { kept: Some(_), .. })))
    }
}

impl Plan {
    /// Determines, for all deleted, replaced, and refused items concurrently, what each deletion means. Each item has at most
    /// `timeout`. Changes nothing in AWS.
    pub async fn weigh(&mut self, drivers: &dyn DriverRegistry, timeout: Duration) {
        let concerned = |item: &Item| item.is_deleted() || item.action == Action::Refused;
        let going = self.items.iter().filter(|item| concerned(item)).filter_map(|item| item.live.as_ref());
        let changed = self.items.iter().filter(|item| item.action == Action::Update);
        let left = changed.filter_map(|item| Some((item.live.as_ref()?, &item.changes))).flat_map(|(live, changes)| {
            let by = live.arn.as_ref().unwrap_or(&live.id);
            changes.iter().filter_map(move |change| Some((by.clone(), change.old.as_str()?.to_owned())))
        });
        let also: AlsoDeleted = going.flat_map(|live| live.arn.iter().chain([&live.id])).collect();
        let also = also.leaving(left);
        let weights = self.items.iter().enumerate().filter_map(|(at, item)| {
            let (live, driver) =
                (item.live.as_ref().filter(|_| concerned(item))?, drivers.driver(item.address.kind())?);
            let (region, also) = (Region::from(item.region.as_str()), &also);
            Some(async move { (at, limited(timeout, timeout, &region, driver.weigh(&region, live, also)).await) })
        });
        for (at, weight) in join_all(weights).await {
            let item = &mut self.items[at];
            if let Ok(Weight { kept: Some(why), .. }) = &weight {
                item.reason = Some(format!("it is kept: {why}"));
            }
            item.weight = Some(weight);
        }
    }

    /// The reasons why AWS would refuse to delete or replace resources of the plan, one sentence each.
    #[must_use]
    pub fn hindrances(&self) -> BTreeSet<String> {
        let going = self.items.iter().filter(|item| item.is_deleted());
        let of = |item: &Item| match &item.weight {
            Some(Ok(weight)) => {
                let kept = weight.kept.iter().filter(|_| item.action == Action::Replace);
                let kept = kept.map(|why| format!("{} cannot be replaced: {why}", item.address));
                weight.hindrances.iter().cloned().chain(kept).collect()
            }
            Some(Err(_)) | None => Vec::new(),
        };
        going.flat_map(of).collect()
    }

    /// The number of resources, by kind of action.
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
                Action::Delete if item.is_kept() => counts.keep += 1,
                Action::Delete => counts.destroy += 1,
                Action::Unknown => counts.unknown += 1,
                Action::Refused => counts.refused += 1,
            }
        }
        counts
    }

    /// Whether the plan contains any action.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(|item| matches!(item.action, Action::None | Action::Unknown | Action::Refused))
    }

    /// The items that are not carried out because data would be lost.
    pub fn refused(&self) -> impl Iterator<Item = (&Item, &Refusal)> {
        self.items.iter().filter_map(|item| item.refusal.as_ref().map(|refusal| (item, refusal)))
    }

    /// The items that could not be read.
    pub fn unknown(&self) -> impl Iterator<Item = (&Item, &Failure)> {
        self.items.iter().filter_map(|item| item.failure.as_ref().map(|failure| (item, failure)))
    }
}
