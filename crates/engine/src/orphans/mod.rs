//! Orphans: resources that are tagged as a stack's, and that its state does not know. How they are found, which are adopted, and
//! which are deleted.

mod cleanup;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::driver::{DriverRegistry, Live, Owner, Phase, Region};
use crate::failure::Failure;
use crate::graph::Graph;
use crate::observe::limited;
use crate::state::{Address, Entry, Status};

pub use cleanup::{Cleanup, CleanupPlan};

/// How an orphan relates to the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum OrphanKind {
    /// The state holds nothing under its address.
    Lost,
    /// The state holds another resource under its address.
    Copy {
        /// The id of that one; `None` while it is being created.
        of: Option<String>,
    },
    /// The state holds another resource under its address, which no longer exists: this one has taken its place.
    Successor {
        /// The id of that one.
        of: String,
    },
    /// The state holds nothing under its address, and other resources are tagged with the same address.
    Twin {
        /// Their ids.
        others: Vec<String>,
    },
    /// Its tags name no address, or one of another type.
    Nameless,
}

/// A resource that is tagged as the stack's, and that the state does not hold under its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The address in its tags.
    pub address: Option<Address>,
    /// Its type, as in addresses.
    pub kind: &'static str,
    /// The Region that it is in. If it spans Regions, the one in which it was created.
    pub region: String,
    /// How it relates to the state.
    pub standing: OrphanKind,
    /// Whether something is configured under its address.
    pub configured: bool,
    /// The resource as it was seen.
    pub live: Live,
}

/// A type that could not be searched for in a Region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unreached {
    /// The Region.
    pub region: String,
    /// The type.
    pub kind: &'static str,
    /// Why it could not.
    pub failure: Failure,
}

/// The result of a search for orphans.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The orphans, by address.
    pub orphans: Vec<Orphan>,
    /// Where there may be more of them.
    pub unreached: Vec<Unreached>,
}

/// Searches for orphans.
pub struct OrphanScan<'a> {
    /// The types to search for.
    pub kinds: &'a [&'static str],
    /// The Regions to search.
    pub regions: &'a [Region],
    /// Finds the types of resources.
    pub drivers: &'a dyn DriverRegistry,
    /// The configured resources.
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

impl OrphanScan<'_> {
    /// Searches for all types in all Regions at the same time. Each answers, or fails to answer, independently.
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
        let mut orphans = Vec::new();
        for mut orphan in unknown_to_state(sightings, self.graph, self.entries) {
            match self.verified(&orphan).await {
                Ok(standing) => {
                    orphan.standing = standing;
                    orphans.push(orphan);
                }
                Err(failure) => unreached.push(Unreached { region: orphan.region, kind: orphan.kind, failure }),
            }
        }
        Found { orphans, unreached }
    }

    /// How an orphan relates to the state, given what AWS says of the resource that the state holds: a resource is a second copy only
    /// while there is a first one.
    async fn verified(&self, orphan: &Orphan) -> Result<OrphanKind, Failure> {
        let standing = orphan.standing.clone();
        let (OrphanKind::Copy { of: Some(id) }, Some(address)) = (&standing, &orphan.address) else {
            return Ok(standing);
        };
        let (Some(entry), Some(driver)) = (self.entries.get(address), self.drivers.driver(orphan.kind)) else {
            return Ok(standing);
        };
        let region = Region::from(entry.region.as_str());
        let first = limited(self.timeout, self.timeout, &region, driver.read(&region, id)).await?;
        let is_gone = first.is_none_or(|live| matches!(live.phase, Phase::Deleting(_)));
        Ok(if is_gone { OrphanKind::Successor { of: id.clone() } } else { standing })
    }
}

/// Which of the resources that were seen the state does not know.
fn unknown_to_state(sightings: Vec<Sighting>, graph: &Graph, entries: &BTreeMap<Address, Entry>) -> Vec<Orphan> {
    let mut unknown: Vec<Sighting> = Vec::new();
    for sighting in sightings {
        if matches!(sighting.live.phase, Phase::Deleting(_)) || is_known(&sighting, entries) {
            continue;
        }
        // A resource that spans Regions, or belongs to none, is seen in several.
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
                None => OrphanKind::Nameless,
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

fn standing(id: &str, entry: Option<&Entry>, ids: &[String]) -> OrphanKind {
    if let Some(entry) = entry {
        return OrphanKind::Copy { of: entry.id.clone() };
    }
    let others: Vec<String> = ids.iter().filter(|other| *other != id).cloned().collect();
    if others.is_empty() { OrphanKind::Lost } else { OrphanKind::Twin { others } }
}

/// Whether the state holds a resource under its id: in its Region or, if it spans Regions, under its address. Or whether an open
/// intent has created it.
fn is_known(sighting: &Sighting, entries: &BTreeMap<Address, Entry>) -> bool {
    let Owner::Ours { attempt, .. } = &sighting.live.owner else { return false };
    entries.iter().filter(|(address, _)| address.kind() == sighting.kind).any(|(address, entry)| {
        let is_here = entry.region == sighting.region || sighting.node() == Some(address);
        let is_recorded = entry.id.as_ref().or(entry.natural_id.as_ref()) == Some(&sighting.live.id);
        let is_being_created =
            matches!(&entry.status, Status::Creating { attempt: open, .. } if attempt.as_ref() == Some(open));
        (is_here && is_recorded) || is_being_created
    })
}

/// The entry with which an orphan is adopted into the state: created, and not seen as configured yet. The next run treats it like a
/// resource that an interrupted run has created.
///
/// # Errors
/// Why it cannot be adopted, in a sentence without a full stop.
pub fn adoption(orphan: &Orphan, graph: &Graph) -> Result<(Address, Entry), String> {
    let address = match (&orphan.standing, &orphan.address) {
        (OrphanKind::Lost, Some(address)) => address,
        (OrphanKind::Copy { of: Some(id) }, _) => return Err(format!("it is a second copy: the state holds {id}")),
        (OrphanKind::Successor { of }, _) => {
            return Err(format!("the state holds {of}, which no longer exists: `drctl up` records this one instead"));
        }
        (OrphanKind::Copy { of: None }, _) => {
            return Err("it is a second copy: the state says that another is being created".to_owned());
        }
        (OrphanKind::Twin { others }, _) => return Err(format!("{} carries the same address", others.join(", "))),
        (OrphanKind::Nameless, _) | (_, None) => {
            return Err("its tags do not say which resource of the stack it is".to_owned());
        }
    };
    let Some(node) = graph.get(address) else {
        return Err(
            "nothing is configured under its address: once adopted, the next `drctl up` would delete it".to_owned()
        );
    };
    let now = Timestamp::now();
    let attempt = orphan.live.owner.attempt().map(str::to_owned);
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
