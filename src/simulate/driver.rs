//! A stand-in for AWS that only takes time: each call takes as long as the model says, and the real rate limits apply.
//!
//! Nothing is ever refused or lost. The id of each resource is its address.

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
    Attempt, Change, Class, Deletion, Driver, DriverRegistry, Failure, Graph, GraphError, Live, Node, Owner, Phase,
    Properties, Region, Synced, TypeInfo, TypicalDurations,
};

/// The property that holds the address of the resource.
const NODE: &str = "node";

/// The property that differs until the last step of the creation has been called.
const SETTINGS: &str = "settings";

/// How long a read takes on the network.
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// When AWS was working on a resource: from, until.
pub(super) type Work = Vec<(Instant, Instant)>;

/// The progress of one resource.
#[derive(Debug)]
struct SimulatedResource {
    attempt: String,
    /// How many steps of the creation were called.
    create_called: usize,
    /// How many of them are over.
    create_done: usize,
    /// How many steps of the deletion were called.
    delete_called: usize,
    /// When the last call was answered.
    since: Instant,
}

#[derive(Debug, Default)]
struct State {
    resources: BTreeMap<Address, SimulatedResource>,
    /// When each function left its VPC.
    left_vpc: BTreeMap<Address, Instant>,
    work: BTreeMap<Address, Work>,
}

/// Everything that exists in the simulation.
#[derive(Debug)]
pub(super) struct SimulatedAws {
    models: Models,
    limits: Limits,
    state: Mutex<State>,
}

impl SimulatedAws {
    /// An empty account, with AWS's rate limits.
    pub(super) fn new(models: Models) -> Self {
        Self { models, limits: Limits::aws(), state: Mutex::default() }
    }

    /// The models of the resources that can be created.
    pub(super) fn models(&self) -> &Models {
        &self.models
    }

    /// When AWS was working on each resource since the last call of this function.
    pub(super) fn take_work(&self) -> BTreeMap<Address, Work> {
        std::mem::take(&mut self.state().work)
    }

    /// The resources that exist, except those that are deleted together with another one.
    pub(super) fn remaining(&self) -> Vec<Address> {
        let has_deletion = |address: &&Address| self.models.get(*address).is_some_and(|model| !model.delete.is_empty());
        self.state().resources.keys().filter(has_deletion).cloned().collect()
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

    /// Reads one resource.
    async fn read(&self, address: &Address) -> Result<Option<Live>, Failure> {
        let model = self.model(address)?;
        for _ in 0..model.looks {
            self.limits.permit(&model.region, model.service, "Describe", Kind::Read).await;
        }
        sleep(ROUND_TRIP).await;
        Ok(self.observe(address, model))
    }

    fn observe(&self, address: &Address, model: &Model) -> Option<Live> {
        let now = Instant::now();
        let mut state = self.state();
        let resource = state.resources.get(address)?;
        let phase = if let Some(last) = resource.delete_called.checked_sub(1) {
            let rests = model.delete.get(last).is_some_and(|part| resource.since + part.rest > now);
            match (rests, resource.delete_called == model.delete.len()) {
                (true, true) => Phase::Deleting("deleting".to_owned()),
                (true, false) => Phase::Pending("letting go".to_owned()),
                (false, false) => Phase::Ready,
                (false, true) => {
                    state.resources.remove(address);
                    return None;
                }
            }
        } else if resource.create_done == resource.create_called {
            Phase::Ready
        } else if let Some((began, until)) =
            self.current_rest(&state, model, resource).filter(|(_, until)| *until <= now)
        {
            if let Some(resource) = state.resources.get_mut(address) {
                resource.create_done = resource.create_called;
            }
            state.worked(address, began, until);
            Phase::Ready
        } else {
            Phase::Pending("creating".to_owned())
        };
        let resource = state.resources.get(address)?;
        Some(live(address, model, resource, phase))
    }

    /// When AWS works on the resource after the last call of its creation: from, until. `None` while that depends on a resource
    /// that is not ready.
    fn current_rest(&self, state: &State, model: &Model, resource: &SimulatedResource) -> Option<(Instant, Instant)> {
        let part = model.create.get(resource.create_called.checked_sub(1)?)?;
        let began = match &model.follows {
            Some(other) if resource.create_done == 0 => resource.since.max(self.ready_at(state, other)?),
            _ => resource.since,
        };
        Some((began, began + part.rest))
    }

    fn ready_at(&self, state: &State, address: &Address) -> Option<Instant> {
        let (model, resource) = (self.models.get(address)?, state.resources.get(address)?);
        (resource.create_called == model.create.len())
            .then(|| self.current_rest(state, model, resource))?
            .map(|(_, until)| until)
    }

    async fn create(&self, address: &Address, attempt: &Attempt) -> Result<String, Failure> {
        let model = self.model(address)?;
        let first = model.create.first().ok_or_else(|| {
            Failure::new(Class::Internal, format!("the durations of {address} have no step that creates it"))
        })?;
        self.call(address, model, first).await;
        let resource = SimulatedResource {
            attempt: attempt.token.clone(),
            create_called: 1,
            create_done: 0,
            delete_called: 0,
            since: Instant::now(),
        };
        self.state().resources.insert(address.clone(), resource);
        Ok(address.to_string())
    }

    /// The next steps of the creation, up to one that has to be waited for.
    async fn continue_creation(&self, address: &Address) -> Result<Synced, Failure> {
        let model = self.model(address)?;
        loop {
            let next = match self.state().resources.get(address) {
                Some(resource) if resource.create_done == resource.create_called => {
                    model.create.get(resource.create_called)
                }
                _ => return Ok(Synced::in_progress("it to be available, as changes require")),
            };
            let Some(part) = next else { return Ok(Synced::default()) };
            self.call(address, model, part).await;
            if let Some(resource) = self.state().resources.get_mut(address) {
                resource.create_called += 1;
                resource.since = Instant::now();
                if part.rest.is_zero() {
                    resource.create_done = resource.create_called;
                }
            }
        }
    }

    /// The next step of the deletion. It is refused while there are network interfaces in the resource.
    async fn delete(&self, address: &Address) -> Result<Deletion, Failure> {
        let model = self.model(address)?;
        let done = self.state().resources.get(address).map(|resource| resource.delete_called);
        let Some((done, part)) = done.and_then(|done| Some((done, model.delete.get(done)?))) else {
            return Ok(Deletion::Requested);
        };
        if let Some(Live { phase: Phase::Pending(state), .. }) = self.observe(address, model) {
            return Ok(Deletion::NotYet(state));
        }
        if self.is_held(model) {
            self.limits.permit(&model.region, model.service, part.operation, Kind::Mutate).await;
            sleep(part.answer).await;
            self.limits.permit(&model.region, model.service, "DescribeNetworkInterfaces", Kind::Read).await;
            sleep(ROUND_TRIP).await;
            return Ok(Deletion::NotYet("Lambda to release its network interfaces in it".to_owned()));
        }
        self.call(address, model, part).await;
        let now = Instant::now();
        let mut state = self.state();
        if done == 0 {
            state.left_vpc.insert(address.clone(), now);
        }
        if let Some(resource) = state.resources.get_mut(address) {
            resource.delete_called += 1;
            resource.since = now;
        }
        state.worked(address, now, now + part.rest);
        if done + 1 == model.delete.len() {
            Ok(Deletion::Requested)
        } else {
            Ok(Deletion::NotYet("letting go".to_owned()))
        }
    }

    fn is_held(&self, model: &Model) -> bool {
        let state = self.state();
        let now = Instant::now();
        model.held_by.iter().any(|(function, held)| match state.left_vpc.get(function) {
            Some(left) => *left + *held > now,
            None => state.resources.contains_key(function),
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

fn live(address: &Address, model: &Model, resource: &SimulatedResource, phase: Phase) -> Live {
    let settings = if resource.create_called == model.create.len() { "set" } else { "unset" };
    let mut properties = Properties::new();
    properties.insert(NODE.to_owned(), Value::from(address.to_string()));
    properties.insert(SETTINGS.to_owned(), Value::from(settings));
    let output = |name: &String| (name.clone(), format!("{address}/{name}"));
    // The primary cluster is the writer: Aurora deletes it only after the other member.
    let writes = address.role() == Role::Primary && matches!(address.kind(), "db_cluster" | "db_instance");
    let other = Address::new(Role::Secondary, "db_cluster", address.name());
    let goes_after = if writes { vec![arn_of(&other)] } else { Vec::new() };
    Live {
        id: address.to_string(),
        arn: Some(arn_of(address)),
        phase,
        owner: Owner::Ours { node: Some(address.clone()), attempt: Some(resource.attempt.clone()) },
        properties,
        outputs: model.outputs.iter().map(output).collect(),
        goes_after,
    }
}

/// The driver of one resource type.
pub(super) struct SimulatedDriver {
    traits: TypeInfo,
    aws: Arc<SimulatedAws>,
}

impl SimulatedDriver {
    pub(super) fn new(traits: TypeInfo, aws: Arc<SimulatedAws>) -> Self {
        Self { traits, aws }
    }
}

fn address_of(id: &str) -> Result<Address, Failure> {
    id.parse().map_err(|error| Failure::new(Class::Internal, format!("an id that is not an address: {error}")))
}

impl Driver for SimulatedDriver {
    fn traits(&self) -> &TypeInfo {
        &self.traits
    }

    fn expected(&self, address: &Address) -> TypicalDurations {
        durations::expected(address).unwrap_or_default()
    }

    /// None: resources are found by their tags in a listing.
    fn natural_id(&self, _: &Properties) -> Option<String> {
        None
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        async move {
            sleep(ROUND_TRIP).await;
            let here = self
                .aws
                .models
                .iter()
                .filter(|(address, model)| address.kind() == self.traits.kind && model.region == *region);
            Ok(here.filter_map(|(address, model)| self.aws.observe(address, model)).collect())
        }
        .boxed()
    }

    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        async move {
            let all = self.list(region).await?;
            let is_of_attempt = |live: &Live| live.owner.attempt() == Some(&*attempt.token);
            Ok(all.into_iter().find(is_of_attempt))
        }
        .boxed()
    }

    fn read<'a>(&'a self, _: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        async move { self.aws.read(&address_of(id)?).await }.boxed()
    }

    fn create<'a>(
        &'a self,
        _: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        async move {
            let address = address_of(desired.get(NODE).and_then(Value::as_str).unwrap_or_default())?;
            self.aws.create(&address, attempt).await
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
        async move { self.aws.continue_creation(&address_of(&live.id)?).await }.boxed()
    }

    fn delete<'a>(&'a self, _: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Deletion, Failure>> {
        async move { self.aws.delete(&address_of(&live.id)?).await }.boxed()
    }
}

/// The simulated drivers, by the name of their type.
#[derive(Default)]
pub(super) struct SimulatedDrivers(BTreeMap<&'static str, Arc<dyn Driver>>);

impl SimulatedDrivers {
    /// The same graph, with every driver replaced by one that works on `aws`.
    ///
    /// # Errors
    /// Never, since the graph is valid already.
    pub(super) fn replace_drivers(&mut self, graph: &Graph, aws: &Arc<SimulatedAws>) -> Result<Graph, GraphError> {
        let mut simulated = Graph::new();
        for node in graph.nodes() {
            let traits = *node.driver.traits();
            let driver = self.0.entry(traits.kind).or_insert_with(|| {
                let driver: Arc<dyn Driver> = Arc::new(SimulatedDriver::new(traits, aws.clone()));
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

impl DriverRegistry for SimulatedDrivers {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        self.0.get(kind).cloned()
    }
}
