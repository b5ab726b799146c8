//! AWS as far as time is concerned: what is called takes as long as the model says, in calls that the real limits let pass.
//!
//! Nothing is ever refused or lost. Every resource is known by its address, which is its id, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::model::{Model, Models};
use drctl_aws::resources::durations::{self, Part};
use drctl_aws::{Kind, Limits};
use drctl_engine::state::{Address, Role};
use drctl_engine::{
    Attempt, Change, Class, Driver, Drivers, Expected, Failure, Graph, GraphError, Live, Node, Owner, Phase,
    Properties, Region, Removal, Synced, Traits,
};

/// The property that says which resource it is.
const NODE: &str = "node";

/// The property that differs until the last step of its making.
const SETTINGS: &str = "settings";

/// What a look takes: the network's part of it.
const LOOK: Duration = Duration::from_millis(100);

/// When AWS was at work on something: from, until.
pub(super) type Work = Vec<(Instant, Instant)>;

/// How far one resource has come.
#[derive(Debug)]
struct Thing {
    attempt: String,
    /// How many steps of its making were called.
    made: usize,
    /// How many of them are over.
    over: usize,
    /// How many steps of its deletion were called.
    unmade: usize,
    /// When the last call was answered.
    since: Instant,
}

#[derive(Debug, Default)]
struct State {
    things: BTreeMap<Address, Thing>,
    /// When each function has left its VPC.
    left: BTreeMap<Address, Instant>,
    work: BTreeMap<Address, Work>,
}

/// Everything that is there.
#[derive(Debug)]
pub(super) struct World {
    models: Models,
    limits: Limits,
    state: Mutex<State>,
}

impl World {
    /// An empty one, with AWS's limits in force.
    pub(super) fn new(models: Models) -> Self {
        Self { models, limits: Limits::aws(), state: Mutex::default() }
    }

    /// What can be.
    pub(super) fn models(&self) -> &Models {
        &self.models
    }

    /// When AWS was at work on what, since this was asked last.
    pub(super) fn take_work(&self) -> BTreeMap<Address, Work> {
        std::mem::take(&mut self.state().work)
    }

    /// What is there, besides what goes with something else.
    pub(super) fn left(&self) -> Vec<Address> {
        let is_left = |address: &&Address| self.models.get(*address).is_some_and(|model| !model.delete.is_empty());
        self.state().things.keys().filter(is_left).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn model(&self, address: &Address) -> Result<&Model, Failure> {
        self.models.get(address).ok_or_else(|| Failure::new(Class::Internal, format!("{address} is not simulated")))
    }

    /// The calls of one step.
    async fn call(&self, address: &Address, model: &Model, part: &Part) {
        for _ in 0..part.calls {
            self.limits.permit(&model.region, model.service, part.operation, Kind::Mutate).await;
            let began = Instant::now();
            sleep(part.answer).await;
            self.state().work.entry(address.clone()).or_default().push((began, Instant::now()));
        }
    }

    /// A look at one resource.
    async fn look(&self, address: &Address) -> Result<Option<Live>, Failure> {
        let model = self.model(address)?;
        for _ in 0..model.looks {
            self.limits.permit(&model.region, model.service, "Describe", Kind::Read).await;
        }
        sleep(LOOK).await;
        Ok(self.seen(address, model))
    }

    fn seen(&self, address: &Address, model: &Model) -> Option<Live> {
        let now = Instant::now();
        let mut state = self.state();
        let thing = state.things.get(address)?;
        let phase = if let Some(last) = thing.unmade.checked_sub(1) {
            let rests = model.delete.get(last).is_some_and(|part| thing.since + part.rest > now);
            match (rests, thing.unmade == model.delete.len()) {
                (true, true) => Phase::Deleting("deleting".to_owned()),
                (true, false) => Phase::Pending("letting go".to_owned()),
                (false, false) => Phase::Ready,
                (false, true) => {
                    state.things.remove(address);
                    return None;
                }
            }
        } else if thing.over == thing.made {
            Phase::Ready
        } else if let Some((began, until)) = self.resting(&state, model, thing).filter(|(_, until)| *until <= now) {
            if let Some(thing) = state.things.get_mut(address) {
                thing.over = thing.made;
            }
            state.worked(address, began, until);
            Phase::Ready
        } else {
            Phase::Pending("creating".to_owned())
        };
        let thing = state.things.get(address)?;
        Some(live(address, model, thing, phase))
    }

    /// From when until when AWS does what it does after the last call of its making; `None` as long as that depends on
    /// something that is not ready.
    fn resting(&self, state: &State, model: &Model, thing: &Thing) -> Option<(Instant, Instant)> {
        let part = model.create.get(thing.made.checked_sub(1)?)?;
        let began = match &model.follows {
            Some(other) if thing.over == 0 => thing.since.max(self.ready_at(state, other)?),
            _ => thing.since,
        };
        Some((began, began + part.rest))
    }

    fn ready_at(&self, state: &State, address: &Address) -> Option<Instant> {
        let (model, thing) = (self.models.get(address)?, state.things.get(address)?);
        (thing.made == model.create.len()).then(|| self.resting(state, model, thing))?.map(|(_, until)| until)
    }

    async fn create(&self, address: &Address, attempt: &Attempt) -> Result<String, Failure> {
        let model = self.model(address)?;
        let first = model.create.first().ok_or_else(|| {
            Failure::new(Class::Internal, format!("{address} is made by nobody, as far as its durations go"))
        })?;
        self.call(address, model, first).await;
        let thing = Thing { attempt: attempt.token.clone(), made: 1, over: 0, unmade: 0, since: Instant::now() };
        self.state().things.insert(address.clone(), thing);
        Ok(address.to_string())
    }

    /// The next steps of its making, up to one that has to be waited for.
    async fn settle(&self, address: &Address) -> Result<Synced, Failure> {
        let model = self.model(address)?;
        loop {
            let next = match self.state().things.get(address) {
                Some(thing) if thing.over == thing.made => model.create.get(thing.made),
                _ => return Ok(Synced::later("it to be available, as changes need")),
            };
            let Some(part) = next else { return Ok(Synced::default()) };
            self.call(address, model, part).await;
            if let Some(thing) = self.state().things.get_mut(address) {
                thing.made += 1;
                thing.since = Instant::now();
                if part.rest.is_zero() {
                    thing.over = thing.made;
                }
            }
        }
    }

    /// The next step of its deletion; refused as long as interfaces lie in it.
    async fn delete(&self, address: &Address) -> Result<Removal, Failure> {
        let model = self.model(address)?;
        let done = self.state().things.get(address).map(|thing| thing.unmade);
        let Some((done, part)) = done.and_then(|done| Some((done, model.delete.get(done)?))) else {
            return Ok(Removal::Ordered);
        };
        if let Some(Live { phase: Phase::Pending(state), .. }) = self.seen(address, model) {
            return Ok(Removal::Later(state));
        }
        if self.is_held(model) {
            self.limits.permit(&model.region, model.service, part.operation, Kind::Mutate).await;
            sleep(part.answer).await;
            self.limits.permit(&model.region, model.service, "DescribeNetworkInterfaces", Kind::Read).await;
            sleep(LOOK).await;
            return Ok(Removal::Later("Lambda to let go of its network interfaces in it".to_owned()));
        }
        self.call(address, model, part).await;
        let now = Instant::now();
        let mut state = self.state();
        if done == 0 {
            state.left.insert(address.clone(), now);
        }
        if let Some(thing) = state.things.get_mut(address) {
            thing.unmade += 1;
            thing.since = now;
        }
        state.worked(address, now, now + part.rest);
        if done + 1 == model.delete.len() { Ok(Removal::Ordered) } else { Ok(Removal::Later("letting go".to_owned())) }
    }

    fn is_held(&self, model: &Model) -> bool {
        let state = self.state();
        let now = Instant::now();
        model.held_by.iter().any(|(function, held)| match state.left.get(function) {
            Some(left) => *left + *held > now,
            None => state.things.contains_key(function),
        })
    }
}

impl State {
    fn worked(&mut self, address: &Address, from: Instant, until: Instant) {
        if until > from {
            self.work.entry(address.clone()).or_default().push((from, until));
        }
    }
}

fn arn_of(address: &Address) -> String {
    format!("arn:simulated:{address}")
}

fn live(address: &Address, model: &Model, thing: &Thing, phase: Phase) -> Live {
    let settings = if thing.made == model.create.len() { "set" } else { "unset" };
    let mut properties = Properties::new();
    properties.insert(NODE.to_owned(), Value::from(address.to_string()));
    properties.insert(SETTINGS.to_owned(), Value::from(settings));
    let output = |name: &String| (name.clone(), format!("{address}/{name}"));
    // The primary's member writes: Aurora lets it go only after the other one.
    let writes = address.role() == Role::Primary && matches!(address.kind(), "db_cluster" | "db_instance");
    let other = Address::new(Role::Secondary, "db_cluster", address.name());
    let goes_after = if writes { vec![arn_of(&other)] } else { Vec::new() };
    Live {
        id: address.to_string(),
        arn: Some(arn_of(address)),
        phase,
        owner: Owner::Ours { node: Some(address.clone()), attempt: Some(thing.attempt.clone()) },
        properties,
        outputs: model.outputs.iter().map(output).collect(),
        goes_after,
    }
}

/// One type of resource.
pub(super) struct SimulatedDriver {
    traits: Traits,
    world: Arc<World>,
}

impl SimulatedDriver {
    pub(super) fn new(traits: Traits, world: Arc<World>) -> Self {
        Self { traits, world }
    }
}

fn address_of(id: &str) -> Result<Address, Failure> {
    id.parse().map_err(|error| Failure::new(Class::Internal, format!("an id that is no address: {error}")))
}

impl Driver for SimulatedDriver {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    fn expected(&self, address: &Address) -> Expected {
        durations::expected(address).unwrap_or_else(|| Expected::of_type(&self.traits))
    }

    /// None: what is there is found by its tags, in a listing.
    fn natural_id(&self, _: &Properties) -> Option<String> {
        None
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        async move {
            sleep(LOOK).await;
            let here = self
                .world
                .models
                .iter()
                .filter(|(address, model)| address.kind() == self.traits.kind && model.region == *region);
            Ok(here.filter_map(|(address, model)| self.world.seen(address, model)).collect())
        }
        .boxed()
    }

    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        async move {
            let all = self.list(region).await?;
            let made =
                |live: &Live| matches!(&live.owner, Owner::Ours { attempt: Some(by), .. } if *by == attempt.token);
            Ok(all.into_iter().find(made))
        }
        .boxed()
    }

    fn read<'a>(&'a self, _: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        async move { self.world.look(&address_of(id)?).await }.boxed()
    }

    fn create<'a>(
        &'a self,
        _: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        async move {
            let address = address_of(desired.get(NODE).and_then(Value::as_str).unwrap_or_default())?;
            self.world.create(&address, attempt).await
        }
        .boxed()
    }

    fn sync<'a>(
        &'a self,
        _: &'a Region,
        live: &'a Live,
        _: &'a Properties,
        _: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>> {
        async move { self.world.settle(&address_of(&live.id)?).await }.boxed()
    }

    fn delete<'a>(&'a self, _: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Removal, Failure>> {
        async move { self.world.delete(&address_of(&live.id)?).await }.boxed()
    }
}

/// The simulated types, by name.
#[derive(Default)]
pub(super) struct Types(BTreeMap<&'static str, Arc<dyn Driver>>);

impl Types {
    /// The same graph, with every driver replaced by one that works on `world`.
    ///
    /// # Errors
    /// Never for a graph that is one already.
    pub(super) fn put_into(&mut self, graph: &Graph, world: &Arc<World>) -> Result<Graph, GraphError> {
        let mut simulated = Graph::new();
        for node in graph.nodes() {
            let traits = *node.driver.traits();
            let driver = self.0.entry(traits.kind).or_insert_with(|| {
                let driver: Arc<dyn Driver> = Arc::new(SimulatedDriver::new(traits, world.clone()));
                driver
            });
            let mut desired = node.desired.clone();
            desired.insert(NODE.to_owned(), Value::from(node.address.to_string()));
            desired.insert(SETTINGS.to_owned(), Value::from("set"));
            simulated.add(Node {
                address: node.address.clone(),
                region: node.region.clone(),
                driver: driver.clone(),
                desired,
            })?;
        }
        Ok(simulated)
    }
}

impl Drivers for Types {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        self.0.get(kind).cloned()
    }
}
