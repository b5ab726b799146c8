//! A cloud in memory that behaves as AWS does where that hurts: ids that only the answer tells, client tokens for some
//! types, unique names for others, things that are on their way for minutes, listings that lag, dependants that forbid
//! a deletion, answers that get lost. Time is tokio's, so that a paused clock makes minutes free.

mod driver;
pub mod graphs;
pub mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drctl_engine::state::Address;
use drctl_engine::{
    Attempt, Change, Class, Failure, Live, Owner, Phase, Properties, Removal, Synced, TAGS, Traits, is_unresolved,
};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// The tag that says whose a thing is.
pub const STACK: &str = "stack";
/// The value of [`STACK`] for the stack under test.
pub const OURS: &str = "ours";
/// The tag that holds the address.
pub const NODE: &str = "node";
/// The tag that holds the attempt's token.
pub const ATTEMPT: &str = "attempt";

const IMMUTABLE: &[(&str, &str)] = &[("shape", "a shape is for life"), ("inside", "it cannot move")];

/// What is fixed for a type of thing.
#[derive(Debug)]
pub struct Kind {
    traits: Traits,
    /// It has a unique name, and that is its id.
    named: bool,
    /// It carries tags; what does not belongs to whatever it lies in.
    tagged: bool,
    /// It cannot be made before everything it refers to is available.
    strict: bool,
}

const fn traits(kind: &'static str, create: u64, idempotent_create: bool) -> Traits {
    Traits {
        kind,
        immutable: IMMUTABLE,
        holds: &["holds"],
        create: Duration::from_secs(create),
        delete: Duration::from_secs(1),
        idempotent_create,
        patience: Duration::from_mins(1),
        removable: true,
        holds_data: false,
        versions: &[],
        grace: 1,
    }
}

/// The types: each stands for a family of AWS's.
static KINDS: &[Kind] = &[
    // A VPC: no token, no name.
    Kind { traits: traits("net", 1, false), named: false, tagged: true, strict: false },
    // A subnet: the same, and it lies in something.
    Kind { traits: traits("part", 1, false), named: false, tagged: true, strict: false },
    // A NAT gateway: takes a client token, takes its time.
    Kind { traits: traits("gate", 105, true), named: false, tagged: true, strict: false },
    // A role: a unique name, and tags.
    Kind { traits: traits("role", 1, false), named: true, tagged: true, strict: false },
    // A route: known by what it is, without tags; refused while its target is being made.
    Kind { traits: traits("rule", 1, false), named: true, tagged: false, strict: true },
    // A peering: no token, and a while on its way.
    Kind { traits: traits("link", 10, false), named: false, tagged: true, strict: false },
    // A database cluster: ten minutes, and dependants are welcome from the start.
    Kind { traits: traits("base", 600, false), named: false, tagged: true, strict: false },
    // A setting of something else: it goes with what it lies in.
    Kind { traits: Traits { removable: false, ..traits("note", 1, false) }, named: true, tagged: false, strict: false },
];

/// From a base's creation until it shows its proof.
pub const PROOF_AFTER: Duration = Duration::from_mins(1);

/// How fast a type of thing is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From its creation until it is available.
    pub ready_after: Duration,
    /// From its deletion until it is gone.
    pub gone_after: Duration,
    /// From its creation until listings and searches show it.
    pub shown_after: Duration,
    /// From its creation until a read by its id shows it.
    pub readable_after: Duration,
    /// How long the answer to a mutation takes. It is carried out when it arrives.
    pub latency: Duration,
}

impl Pace {
    fn of(traits: &Traits) -> Self {
        let slow = traits.create > Duration::from_secs(1);
        Self {
            ready_after: if slow { traits.create } else { Duration::ZERO },
            gone_after: if traits.kind == "gate" { Duration::from_mins(1) } else { Duration::ZERO },
            shown_after: Duration::ZERO,
            readable_after: Duration::ZERO,
            latency: Duration::from_millis(200),
        }
    }
}

/// The answer to a read takes this long.
const READ_LATENCY: Duration = Duration::from_millis(50);

/// The methods of a driver that are calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    pub at: Instant,
    pub op: Op,
    pub kind: &'static str,
    pub region: String,
    /// The thing's name; for a listing, the type's.
    pub name: String,
    /// The attempt's token, for a creation or a search.
    pub token: Option<String>,
    /// The ids that the desired properties refer to.
    pub refers: Vec<String>,
}

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is refused, and nothing is carried out.
    Refuse(Failure),
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is lost on its way: nothing is carried out, and the caller cannot know.
    LoseCall,
    /// What it makes comes to nothing, after the time in which it should have become available.
    Spoil,
}

/// The moment at which the process that calls dies.
#[derive(Debug, Clone)]
pub enum Crash {
    /// Before the call of this number arrives.
    BeforeCall(usize),
    /// After the mutation of this number was carried out, and before its answer comes.
    AfterMutation(usize),
    /// After this operation on the thing of this name was carried out, and before its answer comes.
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

/// Something that exists.
#[derive(Debug, Clone)]
pub struct Thing {
    pub id: String,
    pub name: String,
    pub region: String,
    pub kind: &'static str,
    pub properties: Properties,
    pub tags: BTreeMap<String, String>,
    /// The attempt that made it, whatever its tags say.
    pub token: String,
    made: Instant,
    spoiled: bool,
    gone: Option<Instant>,
}

impl Thing {
    /// Whether its deletion has been ordered: it goes by itself.
    pub fn is_leaving(&self) -> bool {
        self.gone.is_some()
    }
}

type Hook = Arc<dyn Fn(&Call) + Send + Sync>;

/// What exists, by Region, type and name; ids replaced by names, so that two clouds can be compared.
pub type Picture = BTreeMap<String, Value>;

#[derive(Default)]
struct Inner {
    things: Vec<Thing>,
    paces: BTreeMap<&'static str, Pace>,
    made: usize,
    faults: Vec<(String, Op, Fault, usize)>,
    outages: BTreeMap<String, Outage>,
    slow_mutations: BTreeMap<String, Duration>,
    slow_reads: BTreeMap<String, Duration>,
    calls: Vec<Call>,
    refusals: Vec<(String, Op, Failure)>,
    hook: Option<Hook>,
    crash: Option<Crash>,
    counted: usize,
    counted_mutations: usize,
    dead: bool,
    alarm: Arc<Notify>,
    spoiling: bool,
}

/// The cloud. Clones are the same one.
#[derive(Clone, Default)]
pub struct Cloud(Arc<Mutex<Inner>>);

impl Cloud {
    /// An empty one.
    pub fn new() -> Self {
        let cloud = Self::default();
        cloud.lock().paces = KINDS.iter().map(|kind| (kind.traits.kind, Pace::of(&kind.traits))).collect();
        cloud
    }

    /// Another one with the same things in it, and none of the faults.
    pub fn fork(&self) -> Self {
        let inner = self.lock();
        let fork =
            Inner { things: inner.things.clone(), paces: inner.paces.clone(), made: inner.made, ..Inner::default() };
        Self(Arc::new(Mutex::new(fork)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how fast a type is.
    pub fn pace(&self, kind: &str, change: impl FnOnce(&mut Pace)) {
        change(self.lock().paces.get_mut(kind).expect("a type of this cloud"));
    }

    /// Changes how fast all types are.
    pub fn paces(&self, change: impl Fn(&mut Pace)) {
        self.lock().paces.values_mut().for_each(change);
    }

    /// Refuses an operation on a thing, once.
    pub fn fail(&self, name: &str, op: Op, failure: Failure) {
        self.inject(name, op, Fault::Refuse(failure), 1);
    }

    /// Carries out an operation on a thing and loses the answer, once.
    pub fn lose_answer(&self, name: &str, op: Op) {
        self.inject(name, op, Fault::LoseAnswer, 1);
    }

    /// Lets an operation on a thing go wrong a number of times. Listings go by the type's name.
    pub fn inject(&self, name: &str, op: Op, fault: Fault, times: usize) {
        self.lock().faults.push((name.to_owned(), op, fault, times));
    }

    /// Puts everything right that was made to go wrong.
    pub fn heal(&self) {
        let mut inner = self.lock();
        inner.faults.clear();
        inner.outages.clear();
        inner.slow_mutations.clear();
        inner.slow_reads.clear();
        inner.hook = None;
    }

    /// Takes a Region out.
    pub fn outage(&self, region: &str, outage: Outage) {
        self.lock().outages.insert(region.to_owned(), outage);
    }

    /// Lets all mutations in a Region take this long.
    pub fn slow_mutations(&self, region: &str, latency: Duration) {
        self.lock().slow_mutations.insert(region.to_owned(), latency);
    }

    /// Lets reads by id in a Region take this long; listings are as quick as ever.
    pub fn slow_reads(&self, region: &str, latency: Duration) {
        self.lock().slow_reads.insert(region.to_owned(), latency);
    }

    /// Runs something at each call, as it arrives and before it is carried out.
    pub fn on_call(&self, hook: impl Fn(&Call) + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// Lets the caller die at a moment: from then on no call is carried out or answered.
    pub fn arm(&self, crash: Crash) {
        let mut inner = self.lock();
        inner.crash = Some(crash);
        inner.counted = 0;
        inner.counted_mutations = 0;
        inner.alarm = Arc::default();
    }

    /// What is notified at the moment of death.
    pub fn alarm(&self) -> Arc<Notify> {
        self.lock().alarm.clone()
    }

    /// Takes calls again, from another process as it were.
    pub fn revive(&self) {
        let mut inner = self.lock();
        inner.crash = None;
        inner.dead = false;
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The calls of one operation on one thing.
    pub fn calls_of(&self, name: &str, op: Op) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.name == name && call.op == op).cloned().collect()
    }

    /// The names of what one operation was called for, in the order of the calls.
    pub fn order_of(&self, op: Op) -> Vec<String> {
        self.lock().calls.iter().filter(|call| call.op == op).map(|call| call.name.clone()).collect()
    }

    /// What was refused so far, by whom.
    pub fn refusals(&self) -> Vec<(String, Op, Failure)> {
        self.lock().refusals.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        let mut inner = self.lock();
        inner.calls.clear();
        inner.refusals.clear();
    }

    /// Everything that exists.
    pub fn things(&self) -> Vec<Thing> {
        let mut inner = self.lock();
        inner.prune();
        inner.things.clone()
    }

    /// The one thing of this name.
    pub fn thing(&self, name: &str) -> Thing {
        let mut found: Vec<_> = self.things().into_iter().filter(|thing| thing.name == name).collect();
        assert_eq!(found.len(), 1, "there is one {name}: {found:#?}");
        found.remove(0)
    }

    /// Changes a thing by hand.
    pub fn meddle(&self, name: &str, change: impl FnOnce(&mut Thing)) {
        let mut inner = self.lock();
        change(inner.things.iter_mut().find(|thing| thing.name == name).expect("it exists"));
    }

    /// Deletes a thing by hand, whatever lies in it.
    pub fn remove_by_hand(&self, name: &str) {
        self.lock().things.retain(|thing| thing.name != name);
    }

    /// Changes the thing of this id by hand.
    pub fn meddle_with(&self, id: &str, change: impl FnOnce(&mut Thing)) {
        let mut inner = self.lock();
        change(inner.things.iter_mut().find(|thing| thing.id == id).expect("it exists"));
    }

    /// Deletes the thing of this id by hand, whatever lies in it.
    pub fn take(&self, id: &str) {
        self.lock().things.retain(|thing| thing.id != id);
    }

    /// Makes a second thing by hand, with everything the one of this id has, its tags included, and returns its id. `None`
    /// where the first one's name is its id: there cannot be two.
    pub fn double(&self, id: &str) -> Option<String> {
        let mut inner = self.lock();
        let of = inner.things.iter().find(|thing| thing.id == id)?.clone();
        let kind = self::kind(of.kind);
        (!kind.named).then(|| inner.make(kind, &of.region, of.properties, of.tags, String::new()))
    }

    /// Makes a thing by hand and returns its id.
    pub fn plant(&self, kind: &str, region: &str, name: &str, tags: &[(&str, &str)]) -> String {
        let desired = json!({"name": name, "size": 7, "shape": "round"});
        let Value::Object(properties) = desired else { unreachable!("it is an object") };
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.lock().make(self::kind(kind), region, properties, tags, String::new())
    }

    /// What exists, so that two clouds can be compared.
    pub fn picture(&self) -> Picture {
        let things = self.things();
        let names: BTreeMap<String, String> =
            things.iter().map(|thing| (thing.id.clone(), thing.name.clone())).collect();
        let mut picture = Picture::new();
        for thing in things {
            let mut tags = thing.tags;
            // Every attempt has a token of its own.
            tags.remove(ATTEMPT);
            let key = format!("{}/{}/{}", thing.region, thing.kind, thing.name);
            let value = json!({"properties": anonymous(&Value::Object(thing.properties), &names), "tags": tags});
            assert!(picture.insert(key.clone(), value).is_none(), "there are two of {key}");
        }
        picture
    }

    async fn call<T: Send>(
        &self,
        call: Call,
        work: impl FnOnce(&mut Inner) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let hook = {
            let mut inner = self.lock();
            // The dead do not call: their tasks are only waiting to be dropped.
            if !inner.dead {
                inner.calls.push(call.clone());
            }
            inner.hook.clone()
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

impl Inner {
    fn answer<T>(
        &mut self,
        call: &Call,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> (Option<Result<T, Failure>>, Duration) {
        self.prune();
        let latency = self.latency(call);
        if self.dead {
            return (None, latency);
        }
        match self.outages.get(&call.region) {
            Some(Outage::Silent) => return (None, latency),
            Some(Outage::Refused) => {
                return (Some(Err(Failure::new(Class::Unreachable, "nothing answers"))), latency);
            }
            None => {}
        }
        if self.dies(call, false) {
            return (None, latency);
        }
        let lost = || Failure::new(Class::Ambiguous, "the answer was lost");
        let answer = match self.fault(call) {
            None => work(self),
            Some(Fault::Refuse(failure)) => Err(failure),
            Some(Fault::LoseCall) => Err(lost()),
            Some(Fault::LoseAnswer) => work(self).and_then(|_| Err(lost())),
            Some(Fault::Spoil) => {
                self.spoiling = true;
                let answer = work(self);
                self.spoiling = false;
                answer
            }
        };
        if let Err(failure) = &answer {
            self.refusals.push((call.name.clone(), call.op, failure.clone()));
        }
        if self.dies(call, true) { (None, latency) } else { (Some(answer), latency) }
    }

    fn latency(&self, call: &Call) -> Duration {
        if call.op.mutates() {
            self.slow_mutations.get(&call.region).copied().unwrap_or(self.paces[call.kind].latency)
        } else if call.op == Op::Read {
            self.slow_reads.get(&call.region).copied().unwrap_or(READ_LATENCY)
        } else {
            READ_LATENCY
        }
    }

    /// Counts the call once it is carried out, and tells whether the caller dies before or after that.
    fn dies(&mut self, call: &Call, carried_out: bool) -> bool {
        let now = match &self.crash {
            None => false,
            Some(Crash::BeforeCall(number)) => !carried_out && self.counted == *number,
            Some(Crash::AfterMutation(number)) => carried_out && call.op.mutates() && self.counted_mutations == *number,
            Some(Crash::After(name, op)) => carried_out && call.name == *name && call.op == *op,
        };
        if carried_out {
            self.counted += 1;
            self.counted_mutations += usize::from(call.op.mutates());
        }
        if now {
            self.dead = true;
            self.alarm.notify_one();
        }
        now
    }

    fn fault(&mut self, call: &Call) -> Option<Fault> {
        let at =
            self.faults.iter().position(|(name, op, _, times)| *name == call.name && *op == call.op && *times > 0)?;
        self.faults[at].3 -= 1;
        Some(self.faults[at].2.clone())
    }

    fn prune(&mut self) {
        let now = Instant::now();
        self.things.retain(|thing| thing.gone.is_none_or(|gone| gone > now));
    }

    fn phase(&self, thing: &Thing) -> Phase {
        if thing.gone.is_some() {
            Phase::Deleting("deleting".to_owned())
        } else if thing.made.elapsed() < self.paces[thing.kind].ready_after {
            Phase::Pending("pending".to_owned())
        } else if thing.spoiled {
            Phase::Failed("failed: no room".to_owned())
        } else {
            Phase::Ready
        }
    }

    fn live(&self, thing: &Thing) -> Live {
        let phase = self.phase(thing);
        let mut properties = thing.properties.clone();
        let owner = if kind(thing.kind).tagged {
            properties.insert(TAGS.to_owned(), json!(thing.tags));
            owner(&thing.tags)
        } else {
            Owner::Implied
        };
        let mut outputs = BTreeMap::new();
        // As with a database's endpoint: there is none before it is available.
        if phase == Phase::Ready {
            // Somebody else may give it another one.
            let turn = thing.properties.get("turn").and_then(Value::as_str).unwrap_or_default();
            outputs.insert("endpoint".to_owned(), format!("endpoint-of-{}{turn}", thing.id));
        }
        // As with a certificate's record of proof: it comes a while after the request, and long before the certificate.
        if thing.kind == "base" && (phase == Phase::Ready || thing.made.elapsed() >= PROOF_AFTER) {
            outputs.insert("proof".to_owned(), format!("proof-of-{}", thing.id));
        }
        Live { id: thing.id.clone(), arn: None, phase, owner, properties, outputs, goes_after: Vec::new() }
    }

    fn list(&self, kind: &Kind, region: &str) -> Vec<Live> {
        let shown_after = self.paces[kind.traits.kind].shown_after;
        self.things
            .iter()
            .filter(|thing| thing.kind == kind.traits.kind && thing.region == region)
            .filter(|thing| thing.made.elapsed() >= shown_after)
            .filter(|thing| !kind.tagged || thing.tags.get(STACK).is_some_and(|stack| stack == OURS))
            .map(|thing| self.live(thing))
            .collect()
    }

    fn search(&self, kind: &Kind, region: &str, attempt: &Attempt) -> Option<Live> {
        let ours = |live: &Live| matches!(&live.owner, Owner::Ours { attempt: Some(by), .. } if *by == attempt.token);
        self.list(kind, region).into_iter().find(ours)
    }

    fn read(&self, kind: &Kind, region: &str, id: &str) -> Option<Live> {
        let readable_after = self.paces[kind.traits.kind].readable_after;
        self.find(kind, region, id).filter(|thing| thing.made.elapsed() >= readable_after).map(|thing| self.live(thing))
    }

    fn find(&self, kind: &Kind, region: &str, id: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.kind == kind.traits.kind && thing.region == region && thing.id == id)
    }

    fn make(
        &mut self,
        kind: &'static Kind,
        region: &str,
        properties: Properties,
        tags: BTreeMap<String, String>,
        token: String,
    ) -> String {
        self.made += 1;
        let name = name_of(&properties);
        let id = if kind.named {
            format!("{}/{name}", kind.traits.kind)
        } else {
            format!("{}-{:05}", kind.traits.kind, self.made)
        };
        self.things.push(Thing {
            id: id.clone(),
            name,
            region: region.to_owned(),
            kind: kind.traits.kind,
            properties,
            tags,
            token,
            made: Instant::now(),
            spoiled: self.spoiling,
            gone: None,
        });
        id
    }

    fn create(
        &mut self,
        kind: &'static Kind,
        region: &str,
        desired: &Properties,
        attempt: &Attempt,
    ) -> Result<String, Failure> {
        assert!(!desired.values().any(is_unresolved), "the engine hands over nothing unresolved: {desired:?}");
        if kind.traits.idempotent_create
            && let Some(thing) =
                self.things.iter().find(|thing| thing.kind == kind.traits.kind && thing.token == attempt.token)
        {
            return Ok(thing.id.clone());
        }
        self.check_references(kind, desired)?;
        let name = name_of(desired);
        if kind.named && self.things.iter().any(|t| t.kind == kind.traits.kind && t.region == region && t.name == name)
        {
            return Err(refusal(Class::Exists, "AlreadyExists", format!("{name} is there")));
        }
        let mut properties = desired.clone();
        let tags = properties.remove(TAGS);
        let mut tags: BTreeMap<String, String> = tags
            .as_ref()
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        if kind.tagged {
            tags.insert(ATTEMPT.to_owned(), attempt.token.clone());
        }
        Ok(self.make(kind, region, properties, tags, attempt.token.clone()))
    }

    fn check_references(&self, kind: &Kind, desired: &Properties) -> Result<(), Failure> {
        for id in refers(desired) {
            let target = self.things.iter().find(|thing| thing.id == id && thing.gone.is_none());
            let Some(target) = target else {
                return Err(refusal(Class::NotFound, "TargetNotFound", format!("there is no {id}")));
            };
            if kind.strict && self.phase(target) != Phase::Ready {
                return Err(refusal(Class::NotYet, "TargetNotReady", format!("{id} is not available yet")));
            }
        }
        Ok(())
    }

    fn sync(
        &mut self,
        kind: &Kind,
        region: &str,
        id: &str,
        desired: &Properties,
        changes: &[Change],
    ) -> Result<Synced, Failure> {
        assert!(!desired.values().any(is_unresolved), "the engine hands over nothing unresolved: {desired:?}");
        self.check_references(kind, desired)?;
        let thing = self.things.iter_mut().find(|t| t.kind == kind.traits.kind && t.region == region && t.id == id);
        let Some(thing) = thing else {
            return Err(refusal(Class::NotFound, "NotFound", format!("there is no {id}")));
        };
        for change in changes {
            assert!(
                change.forces_replacement.is_none(),
                "the engine changes nothing in place that cannot be: {change:?}"
            );
            if let Some(key) = change.property.strip_prefix("tags.") {
                thing.tags.insert(key.to_owned(), change.new.as_str().unwrap_or_default().to_owned());
            } else {
                thing.properties.insert(change.property.clone(), desired[&change.property].clone());
            }
        }
        Ok(Synced::default())
    }

    fn delete(&mut self, kind: &Kind, region: &str, id: &str) -> Result<Removal, Failure> {
        assert!(kind.traits.removable, "the engine deletes nothing that cannot be: {id}");
        let thing = self.things.iter_mut().find(|t| t.kind == kind.traits.kind && t.region == region && t.id == id);
        let Some(thing) = thing else {
            return Err(refusal(Class::NotFound, "NotFound", format!("there is no {id}")));
        };
        if thing.properties.contains_key("fleeting") {
            return Ok(Removal::Left("it goes by itself".to_owned()));
        }
        if thing.properties.contains_key("kept") {
            return Ok(Removal::Kept("something needs it".to_owned()));
        }
        if thing.properties.contains_key("scheduled") {
            return Ok(Removal::Scheduled);
        }
        if thing.properties.get("sealed") == Some(&json!(true)) {
            thing.properties.insert("sealed".to_owned(), json!(false));
            return Ok(Removal::Later("it to be open".to_owned()));
        }
        let holder = self.things.iter().find(|thing| self::kind(thing.kind).traits.removable && keeps(thing, id));
        if let Some(holder) = holder {
            return Err(refusal(Class::Transient, "DependencyViolation", format!("{} needs {id}", holder.id)));
        }
        let gone = Instant::now() + self.paces[kind.traits.kind].gone_after;
        for thing in &mut self.things {
            if thing.id == id && thing.kind == kind.traits.kind && thing.region == region {
                thing.gone.get_or_insert(gone);
            }
        }
        // What cannot be deleted on its own goes with what it lies in.
        self.things.retain(|thing| self::kind(thing.kind).traits.removable || !keeps(thing, id));
        self.prune();
        Ok(Removal::Ordered)
    }
}

fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.traits.kind == name).expect("a type of this cloud")
}

/// Whether things of a type carry tags.
pub fn is_tagged(name: &str) -> bool {
    kind(name).tagged
}

fn refusal(class: Class, code: &str, message: String) -> Failure {
    Failure { code: Some(code.to_owned()), ..Failure::new(class, message) }
}

fn owner(tags: &BTreeMap<String, String>) -> Owner {
    match tags.get(STACK) {
        None => Owner::Untagged,
        Some(stack) if stack == OURS => {
            let node = tags.get(NODE).and_then(|node| node.parse::<Address>().ok());
            Owner::Ours { node, attempt: tags.get(ATTEMPT).cloned() }
        }
        Some(stack) => Owner::Foreign(format!("stack {stack}")),
    }
}

fn name_of(properties: &Properties) -> String {
    properties.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn ids(properties: &Properties, property: &str) -> Vec<String> {
    let list = properties.get(property).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The ids that properties refer to.
fn refers(properties: &Properties) -> Vec<String> {
    ["inside", "holds", "uses"].into_iter().flat_map(|property| ids(properties, property)).collect()
}

/// Whether a thing keeps another from being deleted.
fn keeps(thing: &Thing, id: &str) -> bool {
    ["inside", "holds"].into_iter().any(|property| ids(&thing.properties, property).iter().any(|kept| kept == id))
}

fn anonymous(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => {
            let (prefix, id) = match text.strip_prefix("endpoint-of-") {
                Some(id) => ("endpoint-of-", id),
                None => ("", text.as_str()),
            };
            names.get(id).map_or_else(|| value.clone(), |name| json!(format!("{prefix}@{name}")))
        }
        Value::Array(items) => items.iter().map(|item| anonymous(item, names)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), anonymous(value, names))).collect())
        }
        other => other.clone(),
    }
}
