//! The pace of Aurora: creations and deletions take minutes, in an order on which AWS insists. A global cluster is
//! visible late in the other Region: docs/aws-behaviour.md#membership-seen-late.

#[cfg(test)]
mod tests;
mod tracked;

use std::sync::Mutex;
use std::time::Instant;

use self::tracked::{CLUSTER, GLOBAL, INSTANCE, Key, ResourceType, Tracked, TrackedResources, instances, members};
use super::latencies::seconds_of;
use super::{Moment, ServicePace};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// "Aurora cluster": 45 typical to create.
const CLUSTER_CREATING: f64 = 45.0;
/// "Aurora secondary cluster": 400 typical to create.
const SECONDARY_CREATING: f64 = 400.0;
/// "Aurora writer instance": 400 typical to create.
const INSTANCE_CREATING: f64 = 400.0;
/// "Aurora secondary instance": 600 typical to create.
const SECONDARY_INSTANCE_CREATING: f64 = 600.0;
/// "Aurora global cluster (empty)": 8 typical to create.
const GLOBAL_CREATING: f64 = 8.0;
/// "`RemoveFromGlobal` `promoting`": 120 typical.
const PROMOTING: f64 = 120.0;

/// Seconds until the answer. `EnableHttpEndpoint` takes 30 in all, but no answer may take longer than a client waits
/// for it.
const SECONDS: [(&str, f64); 10] = [
    ("CreateGlobalCluster", 2.0),
    ("CreateDBCluster", 3.0),
    ("CreateDBInstance", 2.0),
    ("CreateDBSubnetGroup", 2.0),
    ("CreateDBClusterParameterGroup", 2.0),
    ("ModifyDBCluster", 2.0),
    ("EnableHttpEndpoint", 5.0),
    ("RemoveFromGlobalCluster", 3.0),
    ("DeleteDBCluster", 2.0),
    ("DeleteDBInstance", 2.0),
];

/// The pace of RDS.
#[derive(Default)]
pub(super) struct Rds {
    resources: Mutex<TrackedResources>,
}

impl ServicePace for Rds {
    fn service(&self) -> &'static str {
        "rds"
    }

    fn seconds(&self, operation: &str) -> Option<f64> {
        seconds_of(&SECONDS, operation)
    }

    fn before(&self, call: &mut Call, at: Moment) -> Option<Answer> {
        let mut tracked = lock(&self.resources);
        tracked.retain(|_, one| one.deleted_at.is_none_or(|deleted_at| deleted_at > at.now));
        let (code, message) = refusal(&tracked, call, at.now)?;
        Some(Answer::client_error(call, code, &message))
    }

    fn after(&self, call: &Call, answer: &mut Answer, at: Moment) {
        let mut tracked = lock(&self.resources);
        match (call.operation.as_str(), subject(call)) {
            (_, Some(("Describe", kind))) => described(&tracked, call, kind, answer, at.now),
            _ if !answer.is_success() => {}
            (_, Some(("Create", kind))) => created(&mut tracked, call, kind, answer, at),
            (_, Some(("Delete", kind))) => deleted(&mut tracked, call, kind, answer, at),
            ("RemoveFromGlobalCluster", _) => removed(&mut tracked, call, at),
            ("SwitchoverGlobalCluster" | "FailoverGlobalCluster", _) => switched(&mut tracked, call),
            _ => {}
        }
    }

    fn reset(&self) {
        lock(&self.resources).clear();
    }
}

/// What a call does, and to which type of resource.
fn subject(call: &Call) -> Option<(&'static str, &'static ResourceType)> {
    let kinds = [&CLUSTER, &INSTANCE, &GLOBAL];
    if let Some(kind) = kinds.into_iter().find(|kind| kind.describe == call.operation) {
        return Some(("Describe", kind));
    }
    ["Create", "Modify", "Delete"].into_iter().find_map(|verb| {
        let name = call.operation.strip_prefix(verb)?;
        Some((verb, kinds.into_iter().find(|kind| kind.name == name)?))
    })
}

/// Code and message of the refusal, if AWS would refuse the call at this moment.
/// See docs/aws-behaviour.md#deletion-ordered-already.
fn refusal(tracked: &TrackedResources, call: &Call, now: Instant) -> Option<(&'static str, String)> {
    let form = call.form();
    let (verb, kind) = subject(call)?;
    let id = form.get(kind.id)?;
    let key = Key::of(call, kind, id);
    let one = tracked.get(&key);
    match (verb, one.and_then(|one| one.state(now))) {
        ("Create", Some("deleting")) => return Some((kind.taken, format!("{} {id} already exists", kind.name))),
        ("Delete", Some("deleting")) => return Some((kind.busy, format!("{id} is already being deleted"))),
        // An instance may be deleted while it is being created.
        ("Delete", Some(_)) if kind.name == INSTANCE.name => {}
        ("Delete" | "Modify", Some(state)) => {
            let message = format!("The {} {id} isn't currently in the available state: it is {state}", kind.name);
            return Some((kind.busy, message));
        }
        _ => {}
    }
    if verb == "Create" && kind.name == CLUSTER.name {
        let global_id = form.get("GlobalClusterIdentifier").unwrap_or_default();
        let others: Vec<&Key> =
            members(tracked, &call.account, global_id).map(|(other, _)| other).filter(|other| **other != key).collect();
        let is_ready = |cluster: &Key| instances(tracked, cluster).any(|(_, instance)| instance.state(now).is_none());
        let source = others.first().filter(|_| !others.iter().any(|other| is_ready(other)))?;
        return Some((
            kind.busy,
            format!("Source cluster {} is in a state which is not valid for physical replication", source.id),
        ));
    }
    None
}

/// The resource in the answer to a call about one.
fn resource_in<'a>(root: &'a mut Element, call: &Call, kind: &ResourceType) -> Option<&'a mut Element> {
    root.child_mut(&format!("{}Result", call.operation))?.child_mut(kind.name)
}

fn created(tracked: &mut TrackedResources, call: &Call, kind: &'static ResourceType, answer: &mut Answer, at: Moment) {
    let form = call.form();
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let key = Key::of(call, kind, &text(kind.id));
    let (mut global_id, mut cluster_id, mut is_secondary, mut began) = (String::new(), String::new(), false, at.now);
    let seconds = if kind.name == CLUSTER.name {
        global_id = text("GlobalClusterIdentifier");
        is_secondary = members(tracked, &call.account, &global_id).next().is_some();
        if is_secondary { SECONDARY_CREATING } else { CLUSTER_CREATING }
    } else if kind.name == INSTANCE.name {
        cluster_id = text("DBClusterIdentifier");
        let cluster = tracked.get(&Key { kind: CLUSTER.name, id: cluster_id.clone(), ..key.clone() });
        began = cluster.map_or(at.now, |cluster| cluster.until.max(at.now));
        if cluster.is_some_and(|cluster| cluster.is_secondary) {
            SECONDARY_INSTANCE_CREATING
        } else {
            INSTANCE_CREATING
        }
    } else {
        GLOBAL_CREATING
    };
    let until = began + at.scaled(seconds);
    answer.edit_xml(|root| {
        let Some(item) = resource_in(root, call, kind) else { return false };
        item.set_text_of(kind.status, "creating");
        let item = item.renamed(kind.item);
        tracked.insert(
            key,
            Tracked { state: "creating", until, deleted_at: None, item, cluster_id, global_id, is_secondary },
        );
        true
    });
}

fn deleted(tracked: &mut TrackedResources, call: &Call, kind: &'static ResourceType, answer: &mut Answer, at: Moment) {
    let key = Key::of(call, kind, call.form().get(kind.id).unwrap_or_default());
    let deleted_at = Some(at.later(kind.deleting));
    answer.edit_xml(|root| {
        let Some(item) = resource_in(root, call, kind) else { return false };
        item.set_text_of(kind.status, "deleting");
        let item = item.renamed(kind.item);
        let (cluster_id, is_secondary) =
            tracked.remove(&key).map(|old| (old.cluster_id, old.is_secondary)).unwrap_or_default();
        let one =
            Tracked { state: "", until: at.now, deleted_at, item, cluster_id, global_id: String::new(), is_secondary };
        tracked.insert(key, one);
        true
    });
}

fn removed(tracked: &mut TrackedResources, call: &Call, at: Moment) {
    let key = call.form().get("DbClusterIdentifier").and_then(|arn| Key::of_cluster(call, arn));
    if let Some(one) = key.and_then(|key| tracked.get_mut(&key)) {
        one.global_id.clear();
        // The primary cluster is not promoted.
        if std::mem::take(&mut one.is_secondary) {
            (one.state, one.until) = ("promoting", at.later(PROMOTING));
        }
    }
}

fn switched(tracked: &mut TrackedResources, call: &Call) {
    let target = call.form().get("TargetDbClusterIdentifier").and_then(|arn| Key::of_cluster(call, arn));
    let Some(target) = target.filter(|target| tracked.contains_key(target)) else { return };
    let global_id = call.form().get("GlobalClusterIdentifier").unwrap_or_default();
    for (key, one) in tracked.iter_mut().filter(|(key, one)| key.account == call.account && one.global_id == global_id)
    {
        one.is_secondary = *key != target;
    }
}

fn described(tracked: &TrackedResources, call: &Call, kind: &'static ResourceType, answer: &mut Answer, now: Instant) {
    let asked = call.form().get(kind.id).filter(|id| !id.is_empty());
    if !answer.is_success() {
        // The emulator has already forgotten the resource.
        let deleting =
            asked.and_then(|id| tracked.get(&Key::of(call, kind, id))).filter(|one| one.deleted_at.is_some());
        if let Some(one) = deleting {
            *answer = Answer::rds(kind.describe, vec![Element::with_children(kind.set, vec![one.item.clone()])]);
        }
        return;
    }
    answer.edit_xml(|root| {
        let items = root.child_or_new(&format!("{}Result", kind.describe)).child_or_new(kind.set).children_mut();
        for item in items.iter_mut() {
            let key = Key::of(call, kind, item.text_of(kind.id).unwrap_or_default());
            if let Some(state) = tracked.get(&key).and_then(|one| one.state(now)) {
                item.set_text_of(kind.status, state);
            }
        }
        if asked.is_none() {
            let is_shown = |key: &Key| *key == Key::of(call, kind, &key.id);
            items.extend(
                tracked
                    .iter()
                    .filter(|(key, one)| is_shown(key) && one.deleted_at.is_some())
                    .map(|(_, one)| one.item.clone()),
            );
        }
        true
    });
}
