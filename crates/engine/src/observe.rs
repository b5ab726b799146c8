//! Observation: what exists, with one listing per type and Region for all resources of the type.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::{Driver, Drivers, Live, Owner, Phase, Region};
use crate::failure::{Class, Failure};
use crate::graph::Graph;
use crate::ownership::ownership;
use crate::reference::{self, Properties};
use crate::state::{Address, Entry, Status};

/// What was seen of one resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// It exists.
    Live(Box<Live>),
    /// It does not exist.
    Absent,
    /// It could not be looked at, or must not be touched.
    Unknown(Failure),
}

/// What was seen of every resource in the graph and in the state, by address.
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

type Listings = HashMap<&'static str, Result<Listing, Failure>>;

/// A resource to look for.
struct Target<'a> {
    address: &'a Address,
    driver: Option<Arc<dyn Driver>>,
    desired: Option<&'a Properties>,
}

/// What is known of one Region: its listings, how much of its time is left, and whether it has stopped answering. Then it is not
/// asked again for every single resource.
struct Regional {
    region: Region,
    listings: Listings,
    deadline: Instant,
    silent: Option<Failure>,
}

/// The observer of one run.
pub struct Observer<'a> {
    /// The desired resources.
    pub graph: &'a Graph,
    /// What the state holds.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Finds the types of resources that are only in the state.
    pub drivers: &'a dyn Drivers,
    /// How long one Region may take to answer.
    pub timeout: Duration,
    /// Whether resources that are not this stack's may be taken over: `--adopt`.
    pub adopt: bool,
}

impl Observer<'_> {
    /// Looks at everything. Each Region answers, or fails to answer, independently and within its own time.
    pub async fn observe(&self) -> Observations {
        let mut targets: BTreeMap<Region, Vec<Target>> = BTreeMap::new();
        for node in self.graph.nodes() {
            targets.entry(node.region.clone()).or_default().push(Target {
                address: &node.address,
                driver: Some(node.driver.clone()),
                desired: Some(&node.desired),
            });
        }
        for (address, entry) in self.entries.iter().filter(|(address, _)| self.graph.get(address).is_none()) {
            let driver = self.drivers.driver(address.kind());
            let region = Region::from(entry.region.as_str());
            targets.entry(region).or_default().push(Target { address, driver, desired: None });
        }
        let regions = targets.into_iter().map(|(region, targets)| async move {
            let deadline = Instant::now() + self.timeout;
            let listings = self.list(&region, &targets).await;
            let mut regional = Regional { region, listings, silent: None, deadline };
            let mut seen = Observations::new();
            for target in targets {
                let observed = self.look(&target, &mut regional, &seen).await;
                seen.insert(target.address.clone(), observed);
            }
            (regional, seen)
        });
        let mut all = Observations::new();
        let mut regionals = HashMap::new();
        for (regional, seen) in futures::future::join_all(regions).await {
            all.extend(seen);
            regionals.insert(regional.region.clone(), regional);
        }
        // Names that follow from resources in another Region are known only now.
        for node in self.graph.nodes() {
            let leads_across =
                |found: &reference::FoundRef| self.graph.get(&found.of).is_some_and(|of| of.region != node.region);
            let is_absent = all.get(&node.address) == Some(&Observed::Absent);
            if is_absent
                && let Some(regional) = regionals.get_mut(&node.region)
                && reference::references(&node.desired).iter().any(leads_across)
            {
                let driver = Some(node.driver.clone());
                let target = Target { address: &node.address, driver, desired: Some(&node.desired) };
                let observed = self.look(&target, regional, &all).await;
                all.insert(node.address.clone(), observed);
            }
        }
        all
    }

    async fn look(&self, target: &Target<'_>, regional: &mut Regional, seen: &Observations) -> Observed {
        let Some(driver) = &target.driver else {
            let kind = target.address.kind();
            return Observed::Unknown(
                Failure::new(Class::Internal, format!("this drctl does not know the type `{kind}`")).help(
                    "Use the drctl that created it, or forget it with `drctl state rm` after deleting it by hand.",
                ),
            );
        };
        let entry = self.entries.get(target.address);
        let natural = match target.desired {
            Some(desired) => {
                let lookup = |of: &Address, output: &str| match seen.get(of) {
                    Some(Observed::Live(live)) => live.output(output),
                    _ => None,
                };
                driver.natural_id(&reference::resolve(desired, &lookup))
            }
            None => None,
        };
        let natural = natural.or_else(|| entry.and_then(|entry| entry.natural_id.clone()));
        self.find(target.address, driver, natural, regional).await
    }

    /// Lists every type that is looked for in one Region, all at the same time.
    async fn list(&self, region: &Region, targets: &[Target<'_>]) -> Listings {
        let drivers: BTreeMap<&'static str, &Arc<dyn Driver>> = targets
            .iter()
            .filter_map(|target| target.driver.as_ref())
            .map(|driver| (driver.traits().kind, driver))
            .collect();
        let calls = drivers.into_iter().map(|(kind, driver)| async move {
            let listed = limited(self.timeout, self.timeout, region, driver.list(region)).await;
            (kind, listed.map(Listing::new))
        });
        futures::future::join_all(calls).await.into_iter().collect()
    }

    async fn find(
        &self,
        address: &Address,
        driver: &Arc<dyn Driver>,
        natural: Option<String>,
        regional: &mut Regional,
    ) -> Observed {
        let region = &regional.region;
        let listing = match regional.listings.get(driver.traits().kind) {
            Some(Ok(listing)) => listing,
            Some(Err(failure)) => return Observed::Unknown(failure.clone()),
            None => return Observed::Unknown(Failure::new(Class::Internal, "it was not listed")),
        };
        let entry = self.entries.get(address);
        let recorded = entry.and_then(|entry| entry.id.clone());
        for id in recorded.iter().chain(&natural) {
            let live = if let Some(index) = listing.by_id.get(id) {
                Some(listing.all[*index].clone())
            } else if let Some(failure) = &regional.silent {
                return Observed::Unknown(failure.clone());
            } else {
                let left = regional.deadline.saturating_duration_since(Instant::now());
                match limited(left, self.timeout, region, driver.read(region, id)).await {
                    Ok(live) => live,
                    Err(failure) => {
                        if matches!(failure.class, Class::Unreachable | Class::TimedOut) {
                            regional.silent = Some(failure.clone());
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
        // A resource that another attempt has created is a copy, and not what this attempt may have created.
        if let Some(entry) = entry
            && matches!(entry.status, Status::Creating { .. } | Status::Created)
            && let Some(attempt) = &entry.attempt
        {
            candidates.retain(|live| !matches!(&live.owner, Owner::Ours { attempt: Some(by), .. } if by != attempt));
        }
        match candidates.as_slice() {
            [] => Observed::Absent,
            [one] => Observed::Live(Box::new((*one).clone())),
            many => {
                let ids: Vec<&str> = many.iter().map(|live| live.id.as_str()).collect();
                Observed::Unknown(
                    Failure::new(Class::Foreign, format!("{} resources carry its tags: {}", many.len(), ids.join(", "))).help(
                        "drctl creates only one, so a copy was tagged by hand or by another tool. Remove the tag drctl:node from \
                         those that are not drctl's.",
                    ),
                )
            }
        }
    }

    /// Refuses a resource that belongs to somebody else: a name or a recorded id alone does not prove ownership.
    fn owned(&self, address: &Address, live: Live, recorded: Option<&str>) -> Observed {
        match ownership(address, &live, recorded) {
            // Only a desired resource can be taken over.
            Err(failure) if !self.adopt || self.graph.get(address).is_none() => Observed::Unknown(failure),
            _ => Observed::Live(Box::new(live)),
        }
    }
}

/// Makes a call that has to answer within what is left of `timeout`.
pub(crate) async fn limited<T>(
    left: Duration,
    timeout: Duration,
    region: &Region,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(left, call).await.unwrap_or_else(|_| {
        Err(Failure::new(Class::TimedOut, format!("{region} did not answer within {} s", timeout.as_secs()))
            .help("Check the network and AWS's health dashboard for that Region."))
    })
}
