//! The deletion of orphans: which are deleted, in which order, and which have to stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Orphan, OrphanKind};
use crate::driver::{DriverRegistry, Live, Owner};
use crate::graph::Graph;
use crate::observe::{Observations, Observed};
use crate::ownership::copy_address;
use crate::plan::{Action, Item, Plan};
use crate::state::{Address, Entry, Role};

/// The inputs for planning the deletion of orphans.
pub struct Cleanup<'a> {
    /// The orphans.
    pub orphans: &'a [Orphan],
    /// The configured resources: their order of deletion, and which of them contains which.
    pub graph: &'a Graph,
    /// The entries of the state.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// The observations of the graph: a resource without tags is deleted with the one that contains it.
    pub observed: &'a Observations,
    /// Finds the types of resources.
    pub drivers: &'a dyn DriverRegistry,
    /// Whether something could not be read: then resources that hold data stay, because what else uses them is not known.
    pub is_partial: bool,
    /// Types that are deleted after everything else, because AWS does not refuse to delete them while they are in use.
    pub last: &'a [&'static str],
}

/// Which orphans are deleted, and which are not.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanupPlan {
    /// The deletions, dependents first.
    pub plan: Plan,
    /// The orphans that stay, each with the reason.
    pub refused: Vec<(Orphan, String)>,
}

impl Cleanup<'_> {
    /// Makes the plan. Configured orphans are ordered by the graph. For all others, AWS refuses to delete resources that are in
    /// use, and the engine retries.
    #[must_use]
    pub fn plan(&self) -> CleanupPlan {
        let mut refused = Vec::new();
        let mut taken: BTreeSet<Address> = self.entries.keys().cloned().collect();
        taken.extend(self.graph.nodes().map(|node| node.address.clone()));
        let mut ordered: BTreeMap<Address, &Orphan> = BTreeMap::new();
        let mut unordered: Vec<(Address, &Orphan)> = Vec::new();
        let kept = self.kept();
        for orphan in self.orphans {
            let holder = orphan.address.as_ref().and_then(|address| kept.get(address));
            let under = || holder.map(|holder| format!("{holder}, which stays, refers to it: adopt it"));
            if let Some(why) = self.obstacle(orphan).or_else(under) {
                refused.push((orphan.clone(), why));
                continue;
            }
            match &orphan.address {
                Some(address) if !self.entries.contains_key(address) && !ordered.contains_key(address) => {
                    if orphan.configured {
                        ordered.insert(address.clone(), orphan);
                    } else if taken.insert(address.clone()) {
                        unordered.push((address.clone(), orphan));
                    } else {
                        unordered.push((free_address(address, &mut taken), orphan));
                    }
                }
                Some(address) => unordered.push((free_address(address, &mut taken), orphan)),
                None => {
                    let unnamed = Address::new(Role::Global, orphan.kind, "unnamed");
                    unordered.push((free_address(&unnamed, &mut taken), orphan));
                }
            }
        }
        let all = ordered.keys().chain(unordered.iter().map(|(address, _)| address));
        let last: Vec<Address> = all.filter(|address| self.is_last(address)).cloned().collect();
        unordered.sort_by_key(|(address, _)| self.is_last(address));
        let mut items: Vec<Item> = unordered
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
        CleanupPlan { plan: Plan { items }, refused }
    }

    /// The deletion of an orphan that the graph knows, or of a resource that carries no tags and lies in one.
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
                    && !(self.is_partial && node.driver.traits().holds_data)
                    && node.driver.traits().removable
                    && !self.entries.contains_key(address) =>
            {
                let why = format!("it carries no tags, and is deleted with {within}");
                Some(self.item(address.clone(), &node.region, live, why, needs))
            }
            _ => None,
        }
    }

    fn is_last(&self, address: &Address) -> bool {
        self.last.contains(&address.kind())
    }

    /// The orphans that have to stay because an orphan that stays refers to them, each with the address of that one.
    fn kept(&self) -> BTreeMap<Address, Address> {
        let lost = |orphan: &&Orphan| orphan.address.as_ref().is_some_and(|at| !self.entries.contains_key(at));
        let addresses: BTreeSet<&Address> =
            self.orphans.iter().filter(lost).filter_map(|orphan| orphan.address.as_ref()).collect();
        let staying = self.orphans.iter().filter(lost).filter(|orphan| self.obstacle(orphan).is_some());
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

    /// Why an orphan has to stay, if it has to.
    fn obstacle(&self, orphan: &Orphan) -> Option<String> {
        if self.is_partial && self.drivers.driver(orphan.kind).is_some_and(|driver| driver.traits().holds_data) {
            return Some(
                "it holds data, and not everything could be read, so whether another copy is left is not known: run the same \
                 command again when everything can be read"
                    .to_owned(),
            );
        }
        let Some(address) = &orphan.address else {
            let Owner::Ours { node: Some(node), .. } = &orphan.live.owner else { return None };
            return Some(format!(
                "its tag drctl:node says {node}, which is of another type: the tag was changed by hand"
            ));
        };
        if let OrphanKind::Successor { of } = &orphan.standing {
            return Some(format!("it has taken the place of {of}, which the state holds: `drctl up` records it"));
        }
        if self.entries.contains_key(address) {
            return None;
        }
        // Its address is free, so an entry that refers to the address refers to this one.
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
            weight: None,
            waits_for: depends_on.clone(),
            depends_on,
            address,
        }
    }
}

fn reason(orphan: &Orphan) -> String {
    match (&orphan.standing, &orphan.address) {
        (OrphanKind::Copy { of: Some(id) }, Some(address)) => format!("a second copy of {address}, which is {id}"),
        (OrphanKind::Copy { .. }, Some(address)) => format!("a second copy of {address}, which is being created"),
        (OrphanKind::Twin { others }, Some(address)) => {
            format!("one of {} resources that are tagged as {address}", others.len() + 1)
        }
        _ => "it is not in the state".to_owned(),
    }
}

/// A free address for an orphan that is deleted and has no address, or one that is taken.
fn free_address(node: &Address, taken: &mut BTreeSet<Address>) -> Address {
    let mut number = 1_usize;
    loop {
        let address = copy_address(node, number);
        if taken.insert(address.clone()) {
            return address;
        }
        number += 1;
    }
}
