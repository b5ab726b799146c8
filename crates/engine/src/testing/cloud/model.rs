//! The cloud's inside: what exists, and how it answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::types::{PROOF_AFTER, Pace, ResourceType, type_of};
use super::{ATTEMPT, Call, Crash, Fault, NODE, OURS, Op, Outage, Resource, STACK};
use crate::driver::{Attempt, Change, Deletion, Live, Owner, Phase, Synced};
use crate::failure::{Class, Failure};
use crate::plan::TAGS;
use crate::reference::{Properties, is_unresolved};
use crate::state::Address;

/// How long the answer to a read takes.
const READ_LATENCY: Duration = Duration::from_millis(50);

type Hook = Arc<dyn Fn(&Call) + Send + Sync>;

#[derive(Default)]
pub(super) struct Model {
    pub resources: Vec<Resource>,
    pub paces: BTreeMap<&'static str, Pace>,
    /// How many resources were ever created: ids are never used twice.
    pub created: usize,
    pub faults: Vec<(String, Op, Fault, usize)>,
    pub outages: BTreeMap<String, Outage>,
    pub slow_mutations: BTreeMap<String, Duration>,
    pub slow_reads: BTreeMap<String, Duration>,
    pub calls: Vec<Call>,
    pub refusals: Vec<(String, Op, Failure)>,
    pub hook: Option<Hook>,
    pub crash: Option<Crash>,
    pub counted: usize,
    pub counted_mutations: usize,
    pub is_caller_dead: bool,
    /// Notified when the caller dies.
    pub died: Arc<Notify>,
    /// Whether what is created now is spoiled.
    pub is_spoiling: bool,
}

/// Answering, or not.
impl Model {
    /// The answer to a call, if there is one, and how long it takes.
    pub(super) fn answer<T>(
        &mut self,
        call: &Call,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> (Option<Result<T, Failure>>, Duration) {
        self.prune();
        let latency = self.latency(call);
        if self.is_caller_dead {
            return (None, latency);
        }
        match self.outages.get(&call.region) {
            Some(Outage::Silent) => return (None, latency),
            Some(Outage::Refused) => {
                return (Some(Err(Failure::new(Class::Unreachable, "nothing answers"))), latency);
            }
            None => {}
        }
        if self.caller_dies(call, false) {
            return (None, latency);
        }
        let lost = || Failure::new(Class::Ambiguous, "the answer was lost");
        let answer = match self.fault(call) {
            None => work(self),
            Some(Fault::Refuse(failure)) => Err(failure),
            Some(Fault::LoseCall) => Err(lost()),
            Some(Fault::Hang) => return (None, latency),
            Some(Fault::LoseAnswer) => work(self).and_then(|_| Err(lost())),
            Some(Fault::Spoil) => {
                self.is_spoiling = true;
                let answer = work(self);
                self.is_spoiling = false;
                answer
            }
        };
        if let Err(failure) = &answer {
            self.refusals.push((call.name.clone(), call.op, failure.clone()));
        }
        if self.caller_dies(call, true) { (None, latency) } else { (Some(answer), latency) }
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
    fn caller_dies(&mut self, call: &Call, is_carried_out: bool) -> bool {
        let now = match &self.crash {
            None => false,
            Some(Crash::BeforeCall(number)) => !is_carried_out && self.counted == *number,
            Some(Crash::AfterMutation(number)) => {
                is_carried_out && call.op.mutates() && self.counted_mutations == *number
            }
            Some(Crash::After(name, op)) => is_carried_out && call.name == *name && call.op == *op,
        };
        if is_carried_out {
            self.counted += 1;
            self.counted_mutations += usize::from(call.op.mutates());
        }
        if now {
            self.is_caller_dead = true;
            self.died.notify_one();
        }
        now
    }

    fn fault(&mut self, call: &Call) -> Option<Fault> {
        let at =
            self.faults.iter().position(|(name, op, _, times)| *name == call.name && *op == call.op && *times > 0)?;
        self.faults[at].3 -= 1;
        Some(self.faults[at].2.clone())
    }
}

/// Reading.
impl Model {
    /// Forgets what is gone by now.
    pub(super) fn prune(&mut self) {
        let now = Instant::now();
        self.resources.retain(|resource| resource.gone.is_none_or(|gone| gone > now));
    }

    fn phase(&self, resource: &Resource) -> Phase {
        if resource.gone.is_some() {
            Phase::Deleting("deleting".to_owned())
        } else if resource.created.elapsed() < self.paces[resource.kind].ready_after || self.is_incomplete(resource) {
            Phase::Pending("pending".to_owned())
        } else if resource.is_spoiled {
            Phase::Failed("failed: no room".to_owned())
        } else {
            Phase::Ready
        }
    }

    /// Whether nothing uses the proof that a resource needs to become available.
    fn is_incomplete(&self, resource: &Resource) -> bool {
        let proof = proof_of(resource);
        let uses = |other: &Resource| other.properties.get("endpoint").and_then(Value::as_str) == Some(&proof);
        resource.kind == "deed" && !self.resources.iter().any(uses)
    }

    fn live(&self, resource: &Resource) -> Live {
        let phase = self.phase(resource);
        let mut properties = resource.properties.clone();
        let owner = if type_of(resource.kind).is_tagged {
            properties.insert(TAGS.to_owned(), json!(resource.tags));
            owner(&resource.tags)
        } else {
            Owner::Implied
        };
        let mut outputs = BTreeMap::new();
        // As with the endpoint of a database: it does not exist before the database is available.
        if phase == Phase::Ready {
            // Somebody else may have given it another one.
            let turn = resource.properties.get("turn").and_then(Value::as_str).unwrap_or_default();
            outputs.insert("endpoint".to_owned(), format!("endpoint-of-{}{turn}", resource.id));
        }
        // As with the validation record of a certificate: it appears a while after the request, and long before the certificate.
        let shows_proof = phase == Phase::Ready || resource.created.elapsed() >= PROOF_AFTER;
        if matches!(resource.kind, "base" | "deed") && shows_proof {
            outputs.insert("proof".to_owned(), proof_of(resource));
        }
        let arn = Some(arn(resource));
        Live { id: resource.id.clone(), arn, phase, owner, properties, outputs, goes_after: Vec::new() }
    }

    pub(super) fn list(&self, of: &ResourceType, region: &str) -> Vec<Live> {
        let shown_after = self.paces[of.traits.kind].shown_after;
        self.resources
            .iter()
            .filter(|resource| resource.kind == of.traits.kind && resource.region == region)
            .filter(|resource| resource.created.elapsed() >= shown_after)
            .filter(|resource| !of.is_tagged || resource.tags.get(STACK).is_some_and(|stack| stack == OURS))
            .map(|resource| self.live(resource))
            .collect()
    }

    pub(super) fn search(&self, of: &ResourceType, region: &str, attempt: &Attempt) -> Option<Live> {
        let ours = |live: &Live| live.owner.attempt() == Some(&*attempt.token);
        self.list(of, region).into_iter().find(ours)
    }

    pub(super) fn read(&self, of: &ResourceType, region: &str, id: &str) -> Option<Live> {
        let readable_after = self.paces[of.traits.kind].readable_after;
        let shown = |resource: &&Resource| resource.created.elapsed() >= readable_after;
        self.find(of, region, id).filter(shown).map(|resource| self.live(resource))
    }

    pub(super) fn find(&self, of: &ResourceType, region: &str, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| is_this(resource, of, region, id))
    }

    fn find_mut(&mut self, of: &ResourceType, region: &str, id: &str) -> Result<&mut Resource, Failure> {
        let found = self.resources.iter_mut().find(|resource| is_this(resource, of, region, id));
        found.ok_or_else(|| refusal(Class::NotFound, "NotFound", format!("there is no {id}")))
    }
}

/// Changing.
impl Model {
    pub(super) fn add(
        &mut self,
        of: &'static ResourceType,
        region: &str,
        properties: Properties,
        tags: BTreeMap<String, String>,
        token: String,
    ) -> String {
        self.created += 1;
        let name = name_of(&properties);
        let kind = of.traits.kind;
        let id = if of.is_named { format!("{kind}/{name}") } else { format!("{kind}-{:05}", self.created) };
        self.resources.push(Resource {
            id: id.clone(),
            name,
            region: region.to_owned(),
            kind,
            properties,
            tags,
            token,
            created: Instant::now(),
            is_spoiled: self.is_spoiling,
            gone: None,
        });
        id
    }

    pub(super) fn create(
        &mut self,
        of: &'static ResourceType,
        region: &str,
        desired: &Properties,
        attempt: &Attempt,
    ) -> Result<String, Failure> {
        assert_resolved(desired);
        let kind = of.traits.kind;
        let by_token = |resource: &&Resource| resource.kind == kind && resource.token == attempt.token;
        if of.traits.idempotent_create
            && let Some(resource) = self.resources.iter().find(by_token)
        {
            return Ok(resource.id.clone());
        }
        self.check_references(of, desired)?;
        let name = name_of(desired);
        let has_name =
            |resource: &Resource| resource.kind == kind && resource.region == region && resource.name == name;
        if of.is_named && self.resources.iter().any(has_name) {
            return Err(refusal(Class::Exists, "AlreadyExists", format!("{name} exists")));
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
        if of.is_tagged {
            tags.insert(ATTEMPT.to_owned(), attempt.token.clone());
        }
        Ok(self.add(of, region, properties, tags, attempt.token.clone()))
    }

    fn check_references(&self, of: &ResourceType, desired: &Properties) -> Result<(), Failure> {
        for id in refers(desired) {
            let target = self.resources.iter().find(|resource| resource.id == id && resource.gone.is_none());
            let Some(target) = target else {
                return Err(refusal(Class::NotFound, "TargetNotFound", format!("there is no {id}")));
            };
            if of.is_strict && self.phase(target) != Phase::Ready {
                return Err(refusal(Class::NotYet, "TargetNotReady", format!("{id} is not available yet")));
            }
        }
        Ok(())
    }

    pub(super) fn sync(
        &mut self,
        of: &ResourceType,
        region: &str,
        id: &str,
        desired: &Properties,
        changes: &[Change],
    ) -> Result<Synced, Failure> {
        assert_resolved(desired);
        self.check_references(of, desired)?;
        if let Some(leader) = desired.get("follows").and_then(Value::as_str) {
            let leader = self.resources.iter().find(|resource| resource.name == leader);
            if let Some(leader) = leader.filter(|leader| leader.properties.get("size") != desired.get("size")) {
                return Ok(Synced::after(arn(leader), format!("{} to have the size", leader.id)));
            }
        }
        let resource = self.find_mut(of, region, id)?;
        for change in changes {
            assert!(
                change.forces_replacement.is_none(),
                "the engine changes in place only what can be changed in place: {change:?}"
            );
            if let Some(key) = change.property.strip_prefix("tags.") {
                resource.tags.insert(key.to_owned(), change.new.as_str().unwrap_or_default().to_owned());
            } else {
                resource.properties.insert(change.property.clone(), desired[&change.property].clone());
            }
        }
        Ok(Synced::default())
    }

    pub(super) fn delete(&mut self, of: &ResourceType, region: &str, id: &str) -> Result<Deletion, Failure> {
        assert!(of.traits.removable, "the engine deletes only what can be deleted: {id}");
        let properties = &mut self.find_mut(of, region, id)?.properties;
        if properties.contains_key("fleeting") {
            return Ok(Deletion::LeftBehind("it disappears by itself".to_owned()));
        }
        if properties.contains_key("kept") {
            return Ok(Deletion::Kept("something needs it".to_owned()));
        }
        if properties.contains_key("scheduled") {
            return Ok(Deletion::Scheduled);
        }
        if properties.get("sealed") == Some(&json!(true)) {
            properties.insert("sealed".to_owned(), json!(false));
            return Ok(Deletion::NotYet("it to be open".to_owned()));
        }
        let is_removable = |resource: &Resource| type_of(resource.kind).traits.removable;
        if let Some(holder) = self.resources.iter().find(|resource| is_removable(resource) && keeps(resource, id)) {
            return Err(refusal(Class::Transient, "DependencyViolation", format!("{} needs {id}", holder.id)));
        }
        let gone = Instant::now() + self.paces[of.traits.kind].gone_after;
        self.find_mut(of, region, id)?.gone.get_or_insert(gone);
        // What cannot be deleted on its own is deleted with what it lies in.
        self.resources.retain(|resource| is_removable(resource) || !keeps(resource, id));
        self.prune();
        Ok(Deletion::Requested)
    }
}

fn arn(resource: &Resource) -> String {
    format!("arn:{}:{}", resource.region, resource.id)
}

/// What proves a resource to the cloud: of a `deed`, that of every one of its name.
fn proof_of(resource: &Resource) -> String {
    format!("proof-of-{}", if resource.kind == "deed" { &resource.name } else { &resource.id })
}

fn assert_resolved(desired: &Properties) {
    assert!(!desired.values().any(is_unresolved), "the engine hands over only what is resolved: {desired:?}");
}

fn is_this(resource: &Resource, of: &ResourceType, region: &str, id: &str) -> bool {
    resource.kind == of.traits.kind && resource.region == region && resource.id == id
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

pub(super) fn name_of(properties: &Properties) -> String {
    properties.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn ids(properties: &Properties, property: &str) -> Vec<String> {
    let list = properties.get(property).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The ids that properties refer to.
pub(super) fn refers(properties: &Properties) -> Vec<String> {
    ["inside", "holds", "uses"].into_iter().flat_map(|property| ids(properties, property)).collect()
}

/// Whether a resource keeps another one from being deleted.
fn keeps(resource: &Resource, id: &str) -> bool {
    ["inside", "holds"].into_iter().any(|property| ids(&resource.properties, property).iter().any(|kept| kept == id))
}
