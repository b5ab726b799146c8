//! The plan: what is to be done, decided from what is desired, what was observed and what is recorded. No call is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::diff;
use super::driver::{Change, Drivers, Live, Phase, Region};
use super::failure::Failure;
use super::graph::Graph;
use super::observe::{Observations, Observed};
use super::reference::{self, Properties};
use crate::state::{Address, Entry, Status};

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
    /// Nothing: it could not be looked at.
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
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How long the action typically takes.
    #[serde(rename = "expected_seconds", serialize_with = "super::events::seconds")]
    pub expected: Duration,
    /// The resource as it was observed.
    #[serde(skip)]
    pub live: Option<Box<Live>>,
    /// What it refers to.
    #[serde(skip)]
    pub depends_on: Vec<Address>,
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
            }
        }
        counts
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(|item| matches!(item.action, Action::None | Action::Unknown))
    }

    /// The chain of what is made that takes longest, each waiting for the one before, with its typical duration: no run of this
    /// plan is quicker, and one without delays is hardly slower. Empty when nothing is made.
    #[must_use]
    pub fn longest_chain(&self) -> Vec<(&Address, Duration)> {
        let made = |item: &&Item| matches!(item.action, Action::Create | Action::Replace);
        // Items stand after everything they depend on.
        let mut until: BTreeMap<&Address, (Duration, Duration, Option<&Address>)> = BTreeMap::new();
        for item in self.items.iter().filter(made) {
            let before = item.depends_on.iter().filter_map(|on| Some((until.get(on)?.0, on))).max();
            let (from, on) = before.map_or((Duration::ZERO, None), |(from, on)| (from, Some(on)));
            until.insert(&item.address, (from + item.expected, item.expected, on));
        }
        let last = until.iter().max_by_key(|(_, (end, ..))| *end).map(|(address, _)| *address);
        let mut chain: Vec<_> = std::iter::successors(last, |address| until[*address].2)
            .map(|address| (address, until[address].1))
            .collect();
        chain.reverse();
        chain
    }

    /// What could not be looked at.
    pub fn unknown(&self) -> impl Iterator<Item = (&Item, &Failure)> {
        self.items.iter().filter_map(|item| item.failure.as_ref().map(|failure| (item, failure)))
    }
}

/// Whose outputs are not known while the plan is made.
#[derive(Default)]
struct Coming {
    /// What is made, or made anew.
    made: BTreeSet<Address>,
    /// What is there and not available yet.
    on_their_way: BTreeSet<Address>,
}

impl Coming {
    /// Whether a change counts, as far as its new value is known. A value unknown because its source could not be looked at
    /// is no difference; one whose source is on its way may be one, and is never a reason to replace anything.
    fn is_difference(&self, change: &Change) -> bool {
        reference::references_in(&change.new).iter().all(|found| {
            let may_differ = change.forces_replacement.is_none() && self.on_their_way.contains(&found.of);
            self.made.contains(&found.of) || may_differ
        })
    }
}

/// What a plan is decided from.
pub struct Decision<'a> {
    /// What shall be.
    pub graph: &'a Graph,
    /// What the state holds.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Finds the types of what is only in the state.
    pub drivers: &'a dyn Drivers,
    /// What was seen.
    pub observed: &'a Observations,
    /// Whether properties recorded as unsupported are left alone: only on a custom endpoint.
    pub respect_unsupported: bool,
}

impl Decision<'_> {
    /// Decides.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let mut items: Vec<Item> = Vec::with_capacity(self.graph.len());
        // Outputs that are known now and stay: those of nodes that are neither made nor replaced.
        let mut stays: BTreeMap<&Address, &Live> = BTreeMap::new();
        let mut coming = Coming::default();
        for node in self.graph.nodes() {
            let lookup = |of: &Address, output: &str| match stays.get(of) {
                Some(live) => live.output(output),
                None if coming.made.contains(of) => None,
                // What could not be looked at is taken to be as recorded.
                None => self.entries.get(of).and_then(|entry| entry.output(output)),
            };
            let desired = reference::resolve(&node.desired, &lookup);
            let item = self.item(&node.address, &node.region, node.driver.traits(), &desired, &coming);
            match item.action {
                Action::None | Action::Record | Action::Update => {
                    if let Some(Observed::Live(live)) = self.observed.get(&node.address) {
                        stays.insert(&node.address, live);
                        if matches!(live.phase, Phase::Pending(_)) {
                            coming.on_their_way.insert(node.address.clone());
                        }
                    }
                }
                Action::Create | Action::Replace => {
                    coming.made.insert(node.address.clone());
                }
                Action::Delete | Action::Unknown => {}
            }
            items.push(item);
        }
        items.extend(self.removals());
        Plan { items }
    }

    fn item(
        &self,
        address: &Address,
        region: &Region,
        traits: &super::driver::Traits,
        desired: &Properties,
        coming: &Coming,
    ) -> Item {
        let entry = self.entries.get(address);
        let mut item = Item {
            address: address.clone(),
            region: region.to_string(),
            action: Action::Unknown,
            reason: None,
            recorded: entry.is_some(),
            id: None,
            changes: Vec::new(),
            unsupported: BTreeMap::new(),
            failure: None,
            expected: traits.create,
            live: None,
            depends_on: self.graph.needs(address).into_iter().map(|(address, _)| address).collect(),
        };
        let live = match self.observed.get(address) {
            Some(Observed::Live(live)) => live,
            Some(Observed::Unknown(failure)) => {
                item.failure = Some(failure.clone());
                return item;
            }
            Some(Observed::Absent) | None => {
                item.action = Action::Create;
                item.changes = all_of(desired);
                if entry.is_some_and(|entry| entry.id.is_some()) {
                    item.reason = Some("it is recorded, and no longer in AWS".to_owned());
                }
                return item;
            }
        };
        item.id = Some(live.id.clone());
        item.live = Some(live.clone());
        if self.respect_unsupported
            && let Some(entry) = entry
        {
            item.unsupported.clone_from(&entry.unsupported);
        }
        item.changes = diff::changes(traits, desired, &live.properties);
        item.changes.retain(|change| !item.unsupported.contains_key(&change.property) && coming.is_difference(change));
        match &live.phase {
            Phase::Failed(why) => {
                item.action = Action::Replace;
                item.reason = Some(format!("it is in state {why}"));
                return item;
            }
            Phase::Deleting(state) => {
                item.action = Action::Replace;
                item.reason = Some(format!("it is {state}"));
                return item;
            }
            Phase::Pending(_) | Phase::Ready => {}
        }
        if let Some(change) = item.changes.iter().find(|change| change.forces_replacement.is_some()) {
            item.action = Action::Replace;
            item.reason = change.forces_replacement.map(|why| format!("{}: {why}", change.property));
        } else if !item.changes.is_empty() {
            item.action = Action::Update;
        } else if let Phase::Pending(state) = &live.phase {
            item.action = Action::Record;
            item.reason = Some(format!("it is still {state}"));
        } else {
            item.reason = match entry {
                None => Some("it is in AWS, and the state does not know it".to_owned()),
                Some(entry) => match &entry.status {
                    Status::Ready if entry.id.as_deref() != Some(&live.id) => {
                        Some("it has another id than recorded".to_owned())
                    }
                    Status::Ready if entry.outputs != live.outputs || entry.arn != live.arn => {
                        Some("its outputs have changed".to_owned())
                    }
                    Status::Ready if entry.depends_on != item.depends_on => {
                        Some("what has to be there before it has changed".to_owned())
                    }
                    Status::Ready => None,
                    status => Some(format!("it is on record as `{}`", status.as_str())),
                },
            };
            item.action = if item.reason.is_some() { Action::Record } else { Action::None };
        }
        item
    }

    /// What is in the state and no longer in the graph, dependents before what they depend on.
    fn removals(&self) -> Vec<Item> {
        let leaving: BTreeMap<&Address, &Entry> =
            self.entries.iter().filter(|(address, _)| self.graph.get(address).is_none()).collect();
        let mut order: Vec<&Address> = Vec::with_capacity(leaving.len());
        let mut placed: BTreeSet<&Address> = BTreeSet::new();
        for start in leaving.keys() {
            place(start, &leaving, &mut placed, &mut order);
        }
        order.reverse();
        order
            .into_iter()
            .map(|address| {
                let entry = leaving[address];
                let observed = self.observed.get(address);
                let failure = match observed {
                    Some(Observed::Unknown(failure)) => Some(failure.clone()),
                    _ => None,
                };
                let live = match observed {
                    Some(Observed::Live(live)) => Some(live.clone()),
                    _ => None,
                };
                Item {
                    address: address.clone(),
                    region: entry.region.clone(),
                    action: if failure.is_some() { Action::Unknown } else { Action::Delete },
                    reason: (live.is_none() && failure.is_none())
                        .then(|| "it is no longer in AWS: only its record goes".to_owned()),
                    recorded: true,
                    id: live.as_ref().map(|live| live.id.clone()).or_else(|| entry.id.clone()),
                    changes: Vec::new(),
                    unsupported: BTreeMap::new(),
                    failure,
                    expected: self
                        .drivers
                        .driver(address.kind())
                        .map_or(Duration::ZERO, |driver| driver.traits().delete),
                    live,
                    depends_on: entry.depends_on.clone(),
                }
            })
            .collect()
    }
}

/// Depth first, what is depended on before its dependents.
fn place<'a>(
    address: &'a Address,
    leaving: &BTreeMap<&'a Address, &'a Entry>,
    placed: &mut BTreeSet<&'a Address>,
    order: &mut Vec<&'a Address>,
) {
    let mut stack = vec![(address, false)];
    while let Some((address, expanded)) = stack.pop() {
        if expanded {
            order.push(address);
            continue;
        }
        if !placed.insert(address) {
            continue;
        }
        stack.push((address, true));
        if let Some(entry) = leaving.get(address) {
            for dependency in &entry.depends_on {
                if let Some((dependency, _)) = leaving.get_key_value(dependency)
                    && !placed.contains(*dependency)
                {
                    stack.push((dependency, false));
                }
            }
        }
    }
}

fn all_of(desired: &Properties) -> Vec<Change> {
    desired
        .iter()
        .map(|(property, new)| Change {
            property: property.clone(),
            old: Value::Null,
            new: new.clone(),
            forces_replacement: None,
        })
        .collect()
}
