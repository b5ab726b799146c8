//! A cloud in memory that behaves as AWS does where that hurts: ids that only the answer tells, client tokens for some types and
//! unique names for others, resources that are on their way for minutes, listings that lag, dependents that forbid a deletion, and
//! answers that get lost. Time is tokio's, so a paused clock makes minutes free.

mod driver;
mod model;
mod types;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;
use crate::reference::Properties;
use model::Model;
use types::{TYPES, type_of};

pub use types::{PROOF_AFTER, Pace, is_tagged};

/// The tag that says which stack a resource belongs to.
pub const STACK: &str = "stack";
/// The value of [`STACK`] for the stack under test.
pub const OURS: &str = "ours";
/// The tag that holds the address.
pub const NODE: &str = "node";
/// The tag that holds the token of the attempt.
pub const ATTEMPT: &str = "attempt";

/// The methods of a driver that are calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are named after the methods of `Driver`")]
pub enum Op {
    List,
    Search,
    Read,
    Create,
    Sync,
    Delete,
}

impl Op {
    /// Whether it changes something.
    pub fn mutates(self) -> bool {
        matches!(self, Self::Create | Self::Sync | Self::Delete)
    }
}

/// A call as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it arrived.
    pub at: Instant,
    /// The method of the driver.
    pub op: Op,
    /// The type of the resource.
    pub kind: &'static str,
    /// The Region that was called.
    pub region: String,
    /// The name of the resource; for a listing or a search, that of the type.
    pub name: String,
    /// The token of the attempt, for a creation or a search.
    pub token: Option<String>,
    /// The ids that the desired properties refer to.
    pub refers: Vec<String>,
}

/// How a call fails.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is refused, and nothing is carried out.
    Refuse(Failure),
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is lost on its way: nothing is carried out, and the caller cannot know.
    LoseCall,
    /// No answer ever comes.
    Hang,
    /// What it creates fails at the time at which it should have become available.
    Spoil,
}

/// The moment at which the process that calls dies.
#[derive(Debug, Clone)]
pub enum Crash {
    /// Before the call of this number arrives.
    BeforeCall(usize),
    /// After the mutation of this number was carried out, and before its answer arrives.
    AfterMutation(usize),
    /// After this operation on the resource of this name was carried out, and before its answer arrives.
    After(&'static str, Op),
}

/// How a Region does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Calls hang.
    Silent,
    /// Connections are refused.
    Refused,
}

/// A resource that exists.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The Region that it is in.
    pub region: String,
    /// Its type.
    pub kind: &'static str,
    /// Its properties, without tags.
    pub properties: Properties,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The token of the attempt that created it, whatever its tags say.
    pub token: String,
    created: Instant,
    is_spoiled: bool,
    gone: Option<Instant>,
}

impl Resource {
    /// Whether its deletion was requested, so that it will be gone by itself.
    pub fn is_leaving(&self) -> bool {
        self.gone.is_some()
    }

    /// Begins its deletion, which takes this long.
    pub fn leave(&mut self, after: Duration) {
        self.gone = Some(Instant::now() + after);
    }
}

/// What exists, by Region, type, and name. Ids are replaced by names, so that two clouds can be compared.
pub type Contents = BTreeMap<String, Value>;

/// The cloud. Clones are the same one.
#[derive(Clone)]
pub struct Cloud(Arc<Mutex<Model>>);

impl Default for Cloud {
    fn default() -> Self {
        Self::new()
    }
}

/// What a test makes of the service.
impl Cloud {
    /// An empty cloud.
    pub fn new() -> Self {
        let paces = TYPES.iter().map(|known| (known.traits.kind, Pace::of(known))).collect();
        Self(Arc::new(Mutex::new(Model { paces, ..Model::default() })))
    }

    /// Another cloud with the same resources in it, and without the faults.
    pub fn fork(&self) -> Self {
        let model = self.lock();
        let fork = Model {
            resources: model.resources.clone(),
            paces: model.paces.clone(),
            created: model.created,
            ..Model::default()
        };
        Self(Arc::new(Mutex::new(fork)))
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how fast a type is.
    pub fn set_pace(&self, kind: &str, change: impl FnOnce(&mut Pace)) {
        change(self.lock().paces.get_mut(kind).expect("a type of this cloud"));
    }

    /// Changes how fast all types are.
    pub fn set_paces(&self, change: impl Fn(&mut Pace)) {
        self.lock().paces.values_mut().for_each(change);
    }

    /// Refuses an operation on a resource, once.
    pub fn refuse_once(&self, name: &str, op: Op, failure: Failure) {
        self.inject(name, op, Fault::Refuse(failure), 1);
    }

    /// Carries out an operation on a resource and loses the answer, once.
    pub fn lose_answer(&self, name: &str, op: Op) {
        self.inject(name, op, Fault::LoseAnswer, 1);
    }

    /// Makes an operation on a resource fail a number of times. Listings and searches go by the name of the type.
    pub fn inject(&self, name: &str, op: Op, fault: Fault, times: usize) {
        self.lock().faults.push((name.to_owned(), op, fault, times));
    }

    /// Takes a Region out.
    pub fn outage(&self, region: &str, outage: Outage) {
        self.lock().outages.insert(region.to_owned(), outage);
    }

    /// Lets all mutations in a Region take this long.
    pub fn slow_mutations(&self, region: &str, latency: Duration) {
        self.lock().slow_mutations.insert(region.to_owned(), latency);
    }

    /// Lets reads by id in a Region take this long. Listings are as quick as ever.
    pub fn slow_reads(&self, region: &str, latency: Duration) {
        self.lock().slow_reads.insert(region.to_owned(), latency);
    }

    /// Runs something at each call, when it has arrived and before it is carried out.
    pub fn on_call(&self, hook: impl Fn(&Call) + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// Ends all faults, outages, and slowness.
    pub fn heal(&self) {
        let mut model = self.lock();
        model.faults.clear();
        model.outages.clear();
        model.slow_mutations.clear();
        model.slow_reads.clear();
        model.hook = None;
    }

    /// Lets the caller die at a moment: from then on no call is carried out or answered. What is returned is notified then.
    pub fn crash_at(&self, crash: Crash) -> Arc<Notify> {
        let mut model = self.lock();
        model.crash = Some(crash);
        model.counted = 0;
        model.counted_mutations = 0;
        model.died = Arc::default();
        model.died.clone()
    }

    /// Takes calls again, as if from another process.
    pub fn revive(&self) {
        let mut model = self.lock();
        model.crash = None;
        model.is_caller_dead = false;
    }
}

/// What a test sees of the calls.
impl Cloud {
    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The calls of one operation on one resource.
    pub fn calls_of(&self, name: &str, op: Op) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.name == name && call.op == op).cloned().collect()
    }

    /// The names of the resources that one operation was called for, in the order of the calls.
    pub fn order_of(&self, op: Op) -> Vec<String> {
        self.lock().calls.iter().filter(|call| call.op == op).map(|call| call.name.clone()).collect()
    }

    /// What was refused so far, and for which call.
    pub fn refusals(&self) -> Vec<(String, Op, Failure)> {
        self.lock().refusals.clone()
    }

    /// Forgets the calls and the refusals so far.
    pub fn forget_calls(&self) {
        let mut model = self.lock();
        model.calls.clear();
        model.refusals.clear();
    }
}

/// What exists, and what people do to it by hand.
impl Cloud {
    /// Everything that exists.
    pub fn resources(&self) -> Vec<Resource> {
        let mut model = self.lock();
        model.prune();
        model.resources.clone()
    }

    /// The one resource of this name.
    pub fn resource(&self, name: &str) -> Resource {
        let mut found: Vec<_> = self.resources().into_iter().filter(|resource| resource.name == name).collect();
        assert_eq!(found.len(), 1, "there is one {name}: {found:#?}");
        found.remove(0)
    }

    /// What exists, in a form in which two clouds can be compared.
    pub fn contents(&self) -> Contents {
        let resources = self.resources();
        let names: BTreeMap<String, String> =
            resources.iter().map(|resource| (resource.id.clone(), resource.name.clone())).collect();
        let mut contents = Contents::new();
        for resource in resources {
            let mut tags = resource.tags;
            // Every attempt has a token of its own.
            tags.remove(ATTEMPT);
            let key = format!("{}/{}/{}", resource.region, resource.kind, resource.name);
            let properties = without_ids(&Value::Object(resource.properties), &names);
            let value = json!({"properties": properties, "tags": tags});
            assert!(contents.insert(key.clone(), value).is_none(), "there are two of {key}");
        }
        contents
    }

    /// Changes the resource of this name by hand.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Resource)) {
        let mut model = self.lock();
        change(model.resources.iter_mut().find(|resource| resource.name == name).expect("it exists"));
    }

    /// Changes the resource of this id by hand.
    pub fn edit_id(&self, id: &str, change: impl FnOnce(&mut Resource)) {
        let mut model = self.lock();
        change(model.resources.iter_mut().find(|resource| resource.id == id).expect("it exists"));
    }

    /// Deletes the resource of this name by hand, whatever lies in it.
    pub fn remove(&self, name: &str) {
        self.lock().resources.retain(|resource| resource.name != name);
    }

    /// Deletes the resource of this id by hand, whatever lies in it.
    pub fn remove_id(&self, id: &str) {
        self.lock().resources.retain(|resource| resource.id != id);
    }

    /// Creates a resource by hand and returns its id.
    pub fn plant(&self, kind: &str, region: &str, name: &str, tags: &[(&str, &str)]) -> String {
        let desired = json!({"name": name, "size": 7, "shape": "round"});
        let Value::Object(properties) = desired else { unreachable!("it is an object") };
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.lock().add(type_of(kind), region, properties, tags, String::new())
    }

    /// Creates a second resource by hand, with everything that the one of this id has, its tags included, and returns its id. `None`
    /// where the name is the id: there cannot be two.
    pub fn duplicate(&self, id: &str) -> Option<String> {
        let mut model = self.lock();
        let of = model.resources.iter().find(|resource| resource.id == id)?.clone();
        let kind = type_of(of.kind);
        (!kind.is_named).then(|| model.add(kind, &of.region, of.properties, of.tags, String::new()))
    }
}

/// Taking calls.
impl Cloud {
    async fn call<T: Send>(
        &self,
        call: Call,
        work: impl FnOnce(&mut Model) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let hook = {
            let mut model = self.lock();
            // The dead do not call: their tasks are only waiting to be dropped.
            if !model.is_caller_dead {
                model.calls.push(call.clone());
            }
            model.hook.clone()
        };
        if let Some(hook) = hook {
            hook(&call);
        }
        let (answer, latency) = self.lock().answer(&call, work);
        sleep(latency).await;
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn without_ids(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => {
            let (prefix, id) = match text.strip_prefix("endpoint-of-") {
                Some(id) => ("endpoint-of-", id),
                None => ("", text.as_str()),
            };
            names.get(id).map_or_else(|| value.clone(), |name| json!(format!("{prefix}@{name}")))
        }
        Value::Array(items) => items.iter().map(|item| without_ids(item, names)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), without_ids(value, names))).collect())
        }
        other => other.clone(),
    }
}
