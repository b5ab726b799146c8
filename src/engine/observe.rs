//! Observation: what is there, with one listing per type and Region for all resources of the type.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::driver::{Driver, Drivers, Live, Owner, Phase, Region};
use super::failure::{Class, Failure};
use super::graph::Graph;
use super::reference;
use crate::state::{Address, Entry, Status};

/// What was seen of one resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// It is there.
    Live(Box<Live>),
    /// It is not there.
    Absent,
    /// It could not be looked at, or must not be touched.
    Unknown(Failure),
}

/// What was seen, by address: of everything in the graph and everything in the state.
pub type Observations = BTreeMap<Address, Observed>;

struct Listing {
    by_id: HashMap<String, usize>,
    by_node: HashMap<Address, Vec<usize>>,
    all: Vec<Live>,
}

impl Listing {
    fn new(all: Vec<Live>) -> Self {
        let mut by_id = HashMap::new();
        let mut by_node: HashMap<Address, Vec<usize>> = HashMap::new();
        for (index, live) in all.iter().enumerate() {
            by_id.insert(live.id.clone(), index);
            if let Owner::Ours { node: Some(node), .. } = &live.owner {
                by_node.entry(node.clone()).or_default().push(index);
            }
        }
        Self { by_id, by_node, all }
    }
}

/// The observer of one run.
pub struct Observer<'a> {
    /// What shall be.
    pub graph: &'a Graph,
    /// What the state holds.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Finds the types of what is only in the state.
    pub drivers: &'a dyn Drivers,
    /// How long one Region may take to answer.
    pub timeout: Duration,
    /// Whether resources of others may be taken over: `--adopt`.
    pub adopt: bool,
}

impl Observer<'_> {
    /// Looks at everything. Regions answer, or fail to, each for itself.
    pub async fn observe(&self) -> Observations {
        let listings = self.list().await;
        let mut seen = Observations::new();
        // A Region that stopped answering in the middle is not asked again for every single resource.
        let mut silent: HashMap<Region, Failure> = HashMap::new();
        for node in self.graph.nodes() {
            let lookup = |of: &Address, output: &str| match seen.get(of) {
                Some(Observed::Live(live)) => live.output(output),
                _ => None,
            };
            let desired = reference::resolve(&node.desired, &lookup);
            let natural = node.driver.natural_id(&desired);
            let found = self.find(&node.address, &node.driver, &node.region, natural, &listings, &mut silent).await;
            seen.insert(node.address.clone(), found);
        }
        for (address, entry) in self.entries {
            if seen.contains_key(address) {
                continue;
            }
            let found = match self.drivers.driver(address.kind()) {
                Some(driver) => {
                    let region: Region = entry.region.as_str().into();
                    self.find(address, &driver, &region, None, &listings, &mut silent).await
                }
                None => Observed::Unknown(
                    Failure::new(Class::Internal, format!("this drctl does not know the type `{}`", address.kind()))
                        .help(
                            "Use the drctl that made it, or forget it with `drctl state rm` after deleting it by hand.",
                        ),
                ),
            };
            seen.insert(address.clone(), found);
        }
        seen
    }

    async fn list(&self) -> HashMap<(&'static str, Region), Result<Listing, Failure>> {
        let mut wanted: BTreeMap<(&'static str, Region), Arc<dyn Driver>> = BTreeMap::new();
        for node in self.graph.nodes() {
            wanted.insert((node.driver.traits().kind, node.region.clone()), node.driver.clone());
        }
        for (address, entry) in self.entries {
            if let Some(driver) = self.drivers.driver(address.kind()) {
                wanted.insert((driver.traits().kind, entry.region.as_str().into()), driver);
            }
        }
        let mut calls: FuturesUnordered<_> = wanted
            .into_iter()
            .map(|(key, driver)| async move {
                let listed = limited(self.timeout, &key.1, driver.list(&key.1)).await;
                (key, listed.map(Listing::new))
            })
            .collect();
        let mut listings = HashMap::new();
        while let Some((key, listed)) = calls.next().await {
            listings.insert(key, listed);
        }
        listings
    }

    async fn find(
        &self,
        address: &Address,
        driver: &Arc<dyn Driver>,
        region: &Region,
        natural: Option<String>,
        listings: &HashMap<(&'static str, Region), Result<Listing, Failure>>,
        silent: &mut HashMap<Region, Failure>,
    ) -> Observed {
        let listing = match listings.get(&(driver.traits().kind, region.clone())) {
            Some(Ok(listing)) => listing,
            Some(Err(failure)) => return Observed::Unknown(failure.clone()),
            None => return Observed::Unknown(Failure::new(Class::Internal, "it was not listed")),
        };
        let entry = self.entries.get(address);
        let recorded = entry.and_then(|entry| entry.id.clone());
        for id in recorded.iter().chain(&natural) {
            let live = if let Some(index) = listing.by_id.get(id) {
                Some(listing.all[*index].clone())
            } else if let Some(failure) = silent.get(region) {
                return Observed::Unknown(failure.clone());
            } else {
                match limited(self.timeout, region, driver.read(region, id)).await {
                    Ok(live) => live,
                    Err(failure) => {
                        if matches!(failure.class, Class::Unreachable | Class::TimedOut) {
                            silent.insert(region.clone(), failure.clone());
                        }
                        return Observed::Unknown(failure);
                    }
                }
            };
            if let Some(live) = live {
                return self.owned(address, live, recorded.as_deref());
            }
        }
        let candidates = listing.by_node.get(address).map_or(&[][..], Vec::as_slice);
        let mut candidates: Vec<&Live> = candidates
            .iter()
            .map(|index| &listing.all[*index])
            .filter(|live| !matches!(live.phase, Phase::Deleting(_)))
            .collect();
        if candidates.len() > 1
            && let Some(Status::Creating { attempt, .. }) = entry.map(|entry| &entry.status)
        {
            candidates.retain(|live| matches!(&live.owner, Owner::Ours { attempt: Some(by), .. } if by == attempt));
        }
        match candidates.as_slice() {
            [] => Observed::Absent,
            [one] => Observed::Live(Box::new((*one).clone())),
            many => {
                let ids: Vec<&str> = many.iter().map(|live| live.id.as_str()).collect();
                Observed::Unknown(
                    Failure::new(Class::Foreign, format!("{} resources carry its tags: {}", many.len(), ids.join(", "))).help(
                        "drctl makes only one, so a copy was tagged by hand or by another tool. Remove the tag drctl:node from \
                         those that are not drctl's.",
                    ),
                )
            }
        }
    }

    /// Refuses what is somebody else's: a name or a recorded id alone is no title.
    fn owned(&self, address: &Address, live: Live, recorded: Option<&str>) -> Observed {
        match ownership(address, &live, recorded) {
            Err(failure) if !self.adopt => Observed::Unknown(failure),
            _ => Observed::Live(Box::new(live)),
        }
    }
}

/// Checks that a live resource is this node's: by its tags, or by its recorded id when the tags were taken off.
///
/// # Errors
/// [`Class::Foreign`], naming the owner.
pub fn ownership(address: &Address, live: &Live, recorded: Option<&str>) -> Result<(), Failure> {
    let foreign = |owner: String| {
        Failure::new(Class::Foreign, format!("{} is not drctl's to touch: {owner}", live.id)).help(
            "Choose another stack name or environment; or take it over with `drctl up --adopt` if it is meant to become part of \
             this stack.",
        )
    };
    match &live.owner {
        Owner::Implied => Ok(()),
        Owner::Ours { node: Some(node), .. } if node != address => {
            Err(foreign(format!("its tag drctl:node says {node}")))
        }
        Owner::Ours { .. } => Ok(()),
        Owner::Untagged if recorded == Some(live.id.as_str()) => Ok(()),
        Owner::Untagged => Err(foreign("it carries no tags of drctl's".to_owned())),
        Owner::Foreign(stack) => Err(foreign(format!("its tags say it belongs to {stack}"))),
    }
}

async fn limited<T>(
    timeout: Duration,
    region: &Region,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(timeout, call).await.unwrap_or_else(|_| {
        Err(Failure::new(Class::TimedOut, format!("{region} did not answer within {} s", timeout.as_secs()))
            .help("Check the network and AWS's health dashboard for that Region."))
    })
}
