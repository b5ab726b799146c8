//! Orphans: what bears a stack's tags, and the state does not know. The looking, what is to be adopted, and what is to be
//! deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::driver::{Drivers, Live, Owner, Phase, Region};
use super::failure::Failure;
use super::graph::Graph;
use super::observe::{Observations, Observed, limited};
use super::plan::{Action, Item, Plan};
use crate::state::{Address, Entry, Role, Status};

/// Stands between a node's name and a number in the address under which a copy of the node is deleted.
const COPY: &str = "-orphan-";

/// How an orphan stands to the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Standing {
    /// The state holds nothing under its address.
    Lost,
    /// The state holds another under its address.
    Copy {
        /// That one's id; `None` while it is being made.
        of: Option<String>,
    },
    /// The state holds nothing under its address, and others carry the same.
    Twin {
        /// Their ids.
        others: Vec<String>,
    },
    /// Its tags name no address, or that of another type.
    Nameless,
}

/// Something that bears the stack's tags, and that the state does not hold under its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The address in its tags.
    pub address: Option<Address>,
    /// Its type, as in addresses.
    pub kind: &'static str,
    /// Where it is; of what spans Regions, where it was made.
    pub region: String,
    /// How it stands to the state.
    pub standing: Standing,
    /// Whether something is configured under its address.
    pub configured: bool,
    /// As it was seen.
    pub live: Live,
}

/// A type that could not be looked for in a Region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unreached {
    /// Where.
    pub region: String,
    /// Which type.
    pub kind: &'static str,
    /// Why.
    pub failure: Failure,
}

/// What a look for orphans came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The orphans, by address.
    pub orphans: Vec<Orphan>,
    /// Where there may be more.
    pub unreached: Vec<Unreached>,
}

/// Looks for orphans.
pub struct Sweep<'a> {
    /// The types to look for.
    pub kinds: &'a [&'static str],
    /// Where.
    pub regions: &'a [Region],
    /// Finds the types.
    pub drivers: &'a dyn Drivers,
    /// What is configured.
    pub graph: &'a Graph,
    /// What the state holds.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// How long one type in one Region may take.
    pub timeout: Duration,
}

struct Sighting {
    kind: &'static str,
    region: String,
    live: Live,
}

impl Sighting {
    /// The address in its tags, unless that is of another type.
    fn node(&self) -> Option<&Address> {
        match &self.live.owner {
            Owner::Ours { node: Some(node), .. } if node.kind() == self.kind => Some(node),
            _ => None,
        }
    }
}

impl Sweep<'_> {
    /// Looks at all types in all Regions at once; each answers, or fails to, for itself.
    pub async fn look(&self) -> Found {
        let mut calls = Vec::new();
        for region in self.regions {
            for kind in self.kinds {
                let Some(driver) = self.drivers.driver(kind) else { continue };
                calls.push(async move {
                    let swept = limited(self.timeout, self.timeout, region, driver.sweep(region)).await;
                    (region, *kind, swept)
                });
            }
        }
        let (mut sightings, mut unreached) = (Vec::new(), Vec::new());
        for (region, kind, swept) in futures::future::join_all(calls).await {
            let region = region.to_string();
            match swept {
                Ok(all) => {
                    sightings.extend(all.into_iter().map(|live| Sighting { kind, region: region.clone(), live }));
                }
                Err(failure) => unreached.push(Unreached { region, kind, failure }),
            }
        }
        Found { orphans: judge(sightings, self.graph, self.entries), unreached }
    }
}

/// What of all that was seen the state does not know.
fn judge(sightings: Vec<Sighting>, graph: &Graph, entries: &BTreeMap<Address, Entry>) -> Vec<Orphan> {
    let mut unknown: Vec<Sighting> = Vec::new();
    for sighting in sightings {
        if matches!(sighting.live.phase, Phase::Deleting(_)) || is_known(&sighting, entries) {
            continue;
        }
        // What spans Regions, or belongs to none, is seen in several.
        let same = |other: &&mut Sighting| {
            other.kind == sighting.kind && other.live.id == sighting.live.id && other.node() == sighting.node()
        };
        match unknown.iter_mut().find(same) {
            Some(seen) => {
                let home = sighting.node().and_then(|node| graph.get(node)).map(|node| &*node.region);
                if home == Some(sighting.region.as_str()) {
                    *seen = sighting;
                }
            }
            None => unknown.push(sighting),
        }
    }
    let mut by_node: BTreeMap<Address, Vec<String>> = BTreeMap::new();
    for sighting in &unknown {
        if let Some(node) = sighting.node() {
            by_node.entry(node.clone()).or_default().push(sighting.live.id.clone());
        }
    }
    let mut orphans: Vec<Orphan> = unknown
        .into_iter()
        .map(|sighting| {
            let address = sighting.node().cloned();
            let standing = match &address {
                None => Standing::Nameless,
                Some(address) => standing(&sighting.live.id, entries.get(address), &by_node[address]),
            };
            let configured = address.as_ref().is_some_and(|address| graph.get(address).is_some());
            let Sighting { kind, region, live } = sighting;
            Orphan { address, kind, region, standing, configured, live }
        })
        .collect();
    orphans.sort_by(|a, b| (&a.address, a.kind, &a.live.id).cmp(&(&b.address, b.kind, &b.live.id)));
    orphans
}

fn standing(id: &str, entry: Option<&Entry>, ids: &[String]) -> Standing {
    if let Some(entry) = entry {
        return Standing::Copy { of: entry.id.clone() };
    }
    let others: Vec<String> = ids.iter().filter(|other| *other != id).cloned().collect();
    if others.is_empty() { Standing::Lost } else { Standing::Twin { others } }
}

/// The state holds it under its id, in its Region or, of what spans Regions, under its own address; or an open intent is the
/// one that made it.
fn is_known(sighting: &Sighting, entries: &BTreeMap<Address, Entry>) -> bool {
    let Owner::Ours { attempt, .. } = &sighting.live.owner else { return false };
    entries.iter().filter(|(address, _)| address.kind() == sighting.kind).any(|(address, entry)| {
        let here = entry.region == sighting.region || sighting.node() == Some(address);
        let recorded = entry.id.as_ref().or(entry.natural_id.as_ref()) == Some(&sighting.live.id);
        let being_made =
            matches!(&entry.status, Status::Creating { attempt: open, .. } if attempt.as_ref() == Some(open));
        (here && recorded) || being_made
    })
}

/// The record under which an orphan is taken into the state: as made and not yet seen as configured, so that the next run looks
/// at it as it does at what an interrupted one has made.
///
/// # Errors
/// Why it is not to be taken in, in a sentence without a full stop.
pub fn adoption(orphan: &Orphan, graph: &Graph) -> Result<(Address, Entry), String> {
    let address = match (&orphan.standing, &orphan.address) {
        (Standing::Lost, Some(address)) => address,
        (Standing::Copy { of: Some(id) }, _) => return Err(format!("it is a second copy: the state holds {id}")),
        (Standing::Copy { of: None }, _) => {
            return Err("it is a second copy: the state says that another is being made".to_owned());
        }
        (Standing::Twin { others }, _) => return Err(format!("{} carries the same address", others.join(", "))),
        (Standing::Nameless, _) | (_, None) => return Err("its tags do not say what it was made as".to_owned()),
    };
    let Some(node) = graph.get(address) else {
        return Err("nothing is configured under its address: taken in, the next `drctl up` would delete it".to_owned());
    };
    let now = Timestamp::now();
    let attempt = match &orphan.live.owner {
        Owner::Ours { attempt, .. } => attempt.clone(),
        _ => None,
    };
    let entry = Entry {
        status: Status::Created,
        region: node.region.to_string(),
        natural_id: node.driver.natural_id(&node.desired),
        id: Some(orphan.live.id.clone()),
        arn: orphan.live.arn.clone(),
        outputs: orphan.live.outputs.clone(),
        attempt,
        digest: String::new(),
        depends_on: graph.needs(address).into_iter().map(|(on, _)| on).collect(),
        unsupported: BTreeMap::new(),
        created_at: now,
        updated_at: now,
    };
    Ok((address.clone(), entry))
}

/// What the deletion of orphans is planned from.
pub struct Clearing<'a> {
    /// The orphans.
    pub orphans: &'a [Orphan],
    /// What is configured: it knows what goes before what, and what lies in what.
    pub graph: &'a Graph,
    /// What the state holds.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// What was seen of the graph: what carries no tags goes with what it lies in.
    pub observed: &'a Observations,
    /// Finds the types.
    pub drivers: &'a dyn Drivers,
    /// Types that go after everything else, since nothing keeps AWS from deleting them while they are in use.
    pub last: &'a [&'static str],
}

/// What is to be deleted, and what is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleared {
    /// The deletions, dependants first.
    pub plan: Plan,
    /// Orphans that stay, with the reason.
    pub refused: Vec<(Orphan, String)>,
}

impl Clearing<'_> {
    /// Plans it. Of what is configured, the graph knows the order; of everything else AWS does: it refuses what is still in use,
    /// and the engine asks again.
    #[must_use]
    pub fn plan(&self) -> Cleared {
        let mut refused = Vec::new();
        let mut taken: BTreeSet<Address> = self.entries.keys().cloned().collect();
        taken.extend(self.graph.nodes().map(|node| node.address.clone()));
        let mut ordered: BTreeMap<Address, &Orphan> = BTreeMap::new();
        let mut loose: Vec<(Address, &Orphan)> = Vec::new();
        let kept = self.kept();
        for orphan in self.orphans {
            let holder = orphan.address.as_ref().and_then(|address| kept.get(address));
            let under = || holder.map(|holder| format!("{holder}, which stays, refers to it: adopt it"));
            if let Some(why) = self.in_the_way(orphan).or_else(under) {
                refused.push((orphan.clone(), why));
                continue;
            }
            match &orphan.address {
                Some(address) if !self.entries.contains_key(address) && !ordered.contains_key(address) => {
                    if orphan.configured {
                        ordered.insert(address.clone(), orphan);
                    } else if taken.insert(address.clone()) {
                        loose.push((address.clone(), orphan));
                    } else {
                        loose.push((aside(address, &mut taken), orphan));
                    }
                }
                Some(address) => loose.push((aside(address, &mut taken), orphan)),
                None => {
                    let unnamed = Address::new(Role::Global, orphan.kind, "unnamed");
                    loose.push((aside(&unnamed, &mut taken), orphan));
                }
            }
        }
        let all = ordered.keys().chain(loose.iter().map(|(address, _)| address));
        let last: Vec<Address> = all.filter(|address| self.is_last(address)).cloned().collect();
        loose.sort_by_key(|(address, _)| self.is_last(address));
        let mut items: Vec<Item> = loose
            .into_iter()
            .map(|(address, orphan)| {
                let after = if self.is_last(&address) { Vec::new() } else { last.clone() };
                self.item(address, &orphan.region, &orphan.live, reason(orphan), after)
            })
            .collect();
        let mut known: Vec<Item> =
            self.graph.nodes().filter_map(|node| self.configured(&node.address, &ordered)).collect();
        known.reverse();
        items.extend(known);
        Cleared { plan: Plan { items }, refused }
    }

    /// The deletion of an orphan that the graph knows, or of what carries no tags and lies in one.
    fn configured(&self, address: &Address, ordered: &BTreeMap<Address, &Orphan>) -> Option<Item> {
        let needs: Vec<Address> = self.graph.needs(address).into_iter().map(|(on, _)| on).collect();
        if let Some(orphan) = ordered.get(address) {
            return Some(self.item(address.clone(), &orphan.region, &orphan.live, reason(orphan), needs));
        }
        let node = self.graph.get(address)?;
        let within = needs.iter().find(|on| ordered.contains_key(*on))?;
        match self.observed.get(address) {
            Some(Observed::Live(live))
                if live.owner == Owner::Implied
                    && node.driver.traits().removable
                    && !self.entries.contains_key(address) =>
            {
                let why = format!("it carries no tags, and goes with {within}");
                Some(self.item(address.clone(), &node.region, live, why, needs))
            }
            _ => None,
        }
    }

    fn is_last(&self, address: &Address) -> bool {
        self.last.contains(&address.kind())
    }

    /// What orphans that have to stay stand on, and so has to stay as well; with who refers to it.
    fn kept(&self) -> BTreeMap<Address, Address> {
        let lost = |orphan: &&Orphan| orphan.address.as_ref().is_some_and(|at| !self.entries.contains_key(at));
        let addresses: BTreeSet<&Address> =
            self.orphans.iter().filter(lost).filter_map(|orphan| orphan.address.as_ref()).collect();
        let staying = self.orphans.iter().filter(lost).filter(|orphan| self.in_the_way(orphan).is_some());
        let mut stays: BTreeSet<Address> = staying.filter_map(|orphan| orphan.address.clone()).collect();
        let mut kept = BTreeMap::new();
        let nodes: Vec<_> = self.graph.nodes().collect();
        for node in nodes.into_iter().rev().map(|node| &node.address) {
            if !stays.contains(node) {
                continue;
            }
            for (on, _) in self.graph.needs(node) {
                if addresses.contains(&on) && stays.insert(on.clone()) {
                    kept.insert(on, node.clone());
                }
            }
        }
        kept
    }

    /// Why an orphan has to stay, if it has.
    fn in_the_way(&self, orphan: &Orphan) -> Option<String> {
        let Some(address) = &orphan.address else {
            let Owner::Ours { node: Some(node), .. } = &orphan.live.owner else { return None };
            return Some(format!("its tag drctl:node says {node}, which is of another type: it was changed by hand"));
        };
        if self.entries.contains_key(address) {
            return None;
        }
        // Its address is free, so what refers to that refers to this one.
        let holders: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.depends_on.contains(address))
            .map(|(holder, _)| holder.to_string())
            .collect();
        match holders.as_slice() {
            [] => None,
            [one] => Some(format!("{one}, which the state holds, refers to it: adopt it")),
            [one, rest @ ..] => {
                Some(format!("{one} and {} more that the state holds refer to it: adopt it", rest.len()))
            }
        }
    }

    fn item(&self, address: Address, region: &str, live: &Live, reason: String, depends_on: Vec<Address>) -> Item {
        let driver = self.drivers.driver(address.kind());
        Item {
            region: region.to_owned(),
            action: Action::Delete,
            reason: Some(reason),
            recorded: false,
            id: Some(live.id.clone()),
            changes: Vec::new(),
            unsupported: BTreeMap::new(),
            failure: None,
            refusal: None,
            expected: driver.map_or(Duration::ZERO, |driver| driver.expected(&address).delete),
            live: Some(Box::new(live.clone())),
            waits_for: depends_on.clone(),
            depends_on,
            address,
        }
    }
}

fn reason(orphan: &Orphan) -> String {
    match (&orphan.standing, &orphan.address) {
        (Standing::Copy { of: Some(id) }, Some(address)) => format!("a second copy of {address}, which is {id}"),
        (Standing::Copy { .. }, Some(address)) => format!("a second copy of {address}, which is being made"),
        (Standing::Twin { others }, Some(address)) => format!("one of {} that are {address}", others.len() + 1),
        _ => "the state does not know it".to_owned(),
    }
}

/// An address of its own for what is deleted and has none, or one that is taken.
fn aside(node: &Address, taken: &mut BTreeSet<Address>) -> Address {
    let mut number = 1_usize;
    loop {
        let address = Address::new(node.role(), node.kind(), &format!("{}{COPY}{number}", node.name()));
        if taken.insert(address.clone()) {
            return address;
        }
        number += 1;
    }
}

/// Whether an address is one under which a copy of a node is deleted. The copy's tags name the node.
pub(super) fn is_copy_of(address: &Address, node: &Address) -> bool {
    let number = address.name().strip_prefix(node.name()).and_then(|rest| rest.strip_prefix(COPY));
    (address.role(), address.kind()) == (node.role(), node.kind())
        && number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
