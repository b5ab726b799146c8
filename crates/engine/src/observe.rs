//! Observation: reads the existing resources, with one listing per type and Region for all resources of the type.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{BoxFuture, Shared, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use crate::driver::{Driver, DriverRegistry, Live, Owner, Phase, Region};
use crate::failure::{Class, Failure};
use crate::graph::Graph;
use crate::ownership::ownership;
use crate::reference::{self, Properties};
use crate::state::{Address, Entry, Status};

/// The observation of one resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// It exists.
    Live(Box<Live>),
    /// It does not exist.
    Absent,
    /// It could not be read, or must not be touched.
    Unknown(Failure),
}

/// The observations of every resource in the graph and in the state, by address.
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

/// The listing of a type in a Region, which every resource of the type there waits for.
type Listed<'a> = Shared<BoxFuture<'a, Result<Arc<Listing>, Failure>>>;

/// The observation of a resource, for resources whose names depend on it.
type Seen = Shared<oneshot::Receiver<Arc<Observed>>>;

/// A resource to look for.
struct Target<'a> {
    address: &'a Address,
    region: Region,
    driver: Option<Arc<dyn Driver>>,
    desired: Option<&'a Properties>,
}

/// The observer of one run.
pub struct Observer<'a> {
    /// The desired resources.
    pub graph: &'a Graph,
    /// The entries of the state.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Finds the types of resources that are only in the state.
    pub drivers: &'a dyn DriverRegistry,
    /// How long one Region may take to answer.
    pub timeout: Duration,
    /// Whether resources that are not this stack's may be taken over: `--adopt`.
    pub adopt: bool,
}

impl Observer<'_> {
    /// Observes everything concurrently. Each Region has its own time limit. A resource waits only for the listing of its type
    /// and for the resources that determine its name, so a call that hangs delays nothing else.
    pub async fn observe(&self) -> Observations {
        let deadline = Instant::now() + self.timeout;
        let targets = self.targets();
        let mut listings: HashMap<(Region, &'static str), Listed> = HashMap::new();
        let mut seen: HashMap<&Address, Seen> = HashMap::with_capacity(targets.len());
        let mut looks = Vec::with_capacity(targets.len());
        for target in &targets {
            let listing = target.driver.as_ref().map(|driver| {
                let listing = listings.entry((target.region.clone(), driver.traits().kind));
                listing.or_insert_with(|| self.listed(driver.clone(), target.region.clone())).clone()
            });
            // What it refers to comes before it in the graph.
            let of = target.desired.map(reference::references).unwrap_or_default().into_iter();
            let of = of.filter_map(|found| seen.get(&found.of).map(|seen| (found.of.clone(), seen.clone()))).collect();
            let (tell, told) = oneshot::channel();
            looks.push(async move {
                let observed = Arc::new(self.look(target, listing, of, deadline).await);
                // It is possible that nothing waits for it.
                drop(tell.send(observed.clone()));
                (target.address.clone(), observed)
            });
            seen.insert(target.address, told.shared());
        }
        let observed = join_all(looks).await;
        drop(seen);
        observed.into_iter().map(|(address, observed)| (address, Arc::unwrap_or_clone(observed))).collect()
    }

    /// The desired resources, in the order of the graph, and then those that are only in the state.
    fn targets(&self) -> Vec<Target<'_>> {
        let desired = self.graph.nodes().map(|node| Target {
            address: &node.address,
            region: node.region.clone(),
            driver: Some(node.driver.clone()),
            desired: Some(&node.desired),
        });
        let others = self.entries.iter().filter(|(address, _)| self.graph.get(address).is_none());
        let others = others.map(|(address, entry)| Target {
            address,
            region: Region::from(entry.region.as_str()),
            driver: self.drivers.driver(address.kind()),
            desired: None,
        });
        desired.chain(others).collect()
    }

    fn listed<'a>(&self, driver: Arc<dyn Driver>, region: Region) -> Listed<'a> {
        let timeout = self.timeout;
        async move {
            let listed = limited(timeout, timeout, &region, driver.list(&region)).await;
            listed.map(|all| Arc::new(Listing::new(all)))
        }
        .boxed()
        .shared()
    }

    async fn look(
        &self,
        target: &Target<'_>,
        listing: Option<Listed<'_>>,
        of: Vec<(Address, Seen)>,
        deadline: Instant,
    ) -> Observed {
        let (Some(driver), Some(listing)) = (&target.driver, listing) else {
            let kind = target.address.kind();
            return Observed::Unknown(
                Failure::new(Class::Internal, format!("this drctl does not know the type `{kind}`")).help(format!(
                    "Use the drctl that created it, or forget it with `drctl state rm {}` after deleting it by hand.",
                    target.address
                )),
            );
        };
        let listing = match listing.await {
            Ok(listing) => listing,
            Err(failure) => return Observed::Unknown(failure),
        };
        let entry = self.entries.get(target.address);
        let recorded = entry.and_then(|entry| entry.id.as_deref());
        let read = async |id: &str| {
            if let Some(index) = listing.by_id.get(id) {
                return Ok(Some(listing.all[*index].clone()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            limited(left, self.timeout, &target.region, driver.read(&target.region, id)).await
        };
        let found = async {
            if let Some(id) = recorded
                && let Some(live) = read(id).await?
            {
                return Ok(Some(live));
            }
            match self.natural_id(target, driver, of).await {
                Some(id) => read(&id).await,
                None => Ok(None),
            }
        };
        match found.await {
            Ok(Some(live)) => self.owned(target.address, live, recorded),
            Ok(None) => tagged(target.address, entry, &listing),
            Err(failure) => Observed::Unknown(failure),
        }
    }

    /// The name that serves as the id. Waits for the resources that it refers to only until the name is known, because the name
    /// may not depend on one that hangs.
    async fn natural_id(
        &self,
        target: &Target<'_>,
        driver: &Arc<dyn Driver>,
        of: Vec<(Address, Seen)>,
    ) -> Option<String> {
        let known = || self.entries.get(target.address)?.natural_id.clone();
        let Some(desired) = target.desired else { return known() };
        let mut coming: FuturesUnordered<_> =
            of.into_iter().map(|(address, seen)| seen.map(|seen| (address, seen))).collect();
        let mut seen: HashMap<Address, Arc<Observed>> = HashMap::new();
        loop {
            let lookup = |of: &Address, output: &str| match seen.get(of).map(Arc::as_ref) {
                Some(Observed::Live(live)) => live.output(output),
                _ => None,
            };
            if let Some(natural) = driver.natural_id(&reference::resolve(desired, &lookup)) {
                return Some(natural);
            }
            let Some((address, observed)) = coming.next().await else { return known() };
            seen.extend(observed.ok().map(|observed| (address, observed)));
        }
    }

    /// Refuses a resource that is not this stack's: a name or a recorded id alone does not prove ownership.
    fn owned(&self, address: &Address, live: Live, recorded: Option<&str>) -> Observed {
        match ownership(address, &live, recorded) {
            // Only a desired resource can be taken over.
            Err(failure) if !self.adopt || self.graph.get(address).is_none() => Observed::Unknown(failure),
            _ => Observed::Live(Box::new(live)),
        }
    }
}

/// The listed resources that are tagged with an address.
fn tagged(address: &Address, entry: Option<&Entry>, listing: &Listing) -> Observed {
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
        candidates.retain(|live| live.owner.attempt().is_none_or(|by| by == attempt));
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

/// How much longer than its own time limit a call is given to say who did not answer: a driver knows more than the Region.
const HEADROOM: Duration = Duration::from_millis(200);

/// Makes a call that has to answer within what is left of `timeout`.
pub(crate) async fn limited<T>(
    left: Duration,
    timeout: Duration,
    region: &Region,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(left + HEADROOM, call).await.unwrap_or_else(|_| Err(Failure::silence(region, timeout)))
}
