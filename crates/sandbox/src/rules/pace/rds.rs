//! Aurora's pace: minutes to come, minutes to go, and an order that AWS insists on.

mod known;
#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::time::Instant;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use self::known::{CLUSTER, GLOBAL, INSTANCE, Key, Kind, Known, Memory, instances, members};
use super::latencies::row;
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

/// Seconds until the answer. `EnableHttpEndpoint` takes 30 in all; none may take as long as a client waits for it.
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

/// RDS.
#[derive(Default)]
pub(super) struct Rds {
    known: Mutex<Memory>,
}

impl ServicePace for Rds {
    fn service(&self) -> &'static str {
        "rds"
    }

    fn seconds(&self, operation: &str) -> Option<f64> {
        row(&SECONDS, operation)
    }

    fn before(&self, call: &mut Call, at: Moment) -> Option<Answer> {
        let mut known = lock(&self.known);
        known.retain(|_, one| one.gone.is_none_or(|gone| gone > at.now));
        let (code, message) = refusal(&known, call, at.now)?;
        Some(Answer::client_error(call, code, &message))
    }

    fn after(&self, call: &Call, answer: &mut Answer, at: Moment) {
        let mut known = lock(&self.known);
        match (call.operation.as_str(), subject(call)) {
            (_, Some(("Describe", kind))) => described(&known, call, kind, answer, at.now),
            _ if !answer.is_success() => {}
            (_, Some(("Create", kind))) => created(&mut known, call, kind, answer, at),
            (_, Some(("Delete", kind))) => deleted(&mut known, call, kind, answer, at),
            ("RemoveFromGlobalCluster", _) => removed(&mut known, call, at),
            ("SwitchoverGlobalCluster" | "FailoverGlobalCluster", _) => switched(&mut known, call),
            _ => {}
        }
    }

    fn reset(&self) {
        lock(&self.known).clear();
    }
}

fn subject(call: &Call) -> Option<(&'static str, &'static Kind)> {
    let kinds = [&CLUSTER, &INSTANCE, &GLOBAL];
    if let Some(kind) = kinds.into_iter().find(|kind| kind.describe == call.operation) {
        return Some(("Describe", kind));
    }
    ["Create", "Modify", "Delete"].into_iter().find_map(|verb| {
        let name = call.operation.strip_prefix(verb)?;
        Some((verb, kinds.into_iter().find(|kind| kind.name == name)?))
    })
}

/// What AWS refuses at this moment: code and message.
fn refusal(known: &Memory, call: &Call, now: Instant) -> Option<(&'static str, String)> {
    let form = call.form();
    let (verb, kind) = subject(call)?;
    let id = form.get(kind.id)?;
    let key = Key::of(call, kind, id);
    let one = known.get(&key);
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
        let global = form.get("GlobalClusterIdentifier").unwrap_or_default();
        let others: Vec<&Key> =
            members(known, &call.account, global).map(|(other, _)| other).filter(|other| **other != key).collect();
        let serves = |cluster: &Key| instances(known, cluster).any(|(_, instance)| instance.state(now).is_none());
        let source = others.first().filter(|_| !others.iter().any(|other| serves(other)))?;
        return Some((
            kind.busy,
            format!("Source cluster {} is in a state which is not valid for physical replication", source.id),
        ));
    }
    None
}

/// The one resource in the answer to a call about it.
fn only<'a>(root: &'a mut Element, call: &Call, kind: &Kind) -> Option<&'a mut Element> {
    root.child_mut(&format!("{}Result", call.operation))?.child_mut(kind.name)
}

fn created(known: &mut Memory, call: &Call, kind: &'static Kind, answer: &mut Answer, at: Moment) {
    let form = call.form();
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let key = Key::of(call, kind, &text(kind.id));
    let (mut global, mut within, mut secondary, mut began) = (String::new(), String::new(), false, at.now);
    let seconds = if kind.name == CLUSTER.name {
        global = text("GlobalClusterIdentifier");
        secondary = members(known, &call.account, &global).next().is_some();
        if secondary { SECONDARY_CREATING } else { CLUSTER_CREATING }
    } else if kind.name == INSTANCE.name {
        within = text("DBClusterIdentifier");
        let cluster = known.get(&Key { kind: CLUSTER.name, id: within.clone(), ..key.clone() });
        began = cluster.map_or(at.now, |cluster| cluster.until.max(at.now));
        if cluster.is_some_and(|cluster| cluster.secondary) { SECONDARY_INSTANCE_CREATING } else { INSTANCE_CREATING }
    } else {
        GLOBAL_CREATING
    };
    let until = began + at.lasting(seconds);
    answer.edit_xml(|root| {
        let Some(item) = only(root, call, kind) else { return false };
        item.set_text_of(kind.status, "creating");
        let item = item.renamed(kind.item);
        known.insert(key, Known { state: "creating", until, gone: None, item, within, global, secondary });
        true
    });
}

fn deleted(known: &mut Memory, call: &Call, kind: &'static Kind, answer: &mut Answer, at: Moment) {
    let key = Key::of(call, kind, call.form().get(kind.id).unwrap_or_default());
    let gone = Some(at.later(kind.deleting));
    answer.edit_xml(|root| {
        let Some(item) = only(root, call, kind) else { return false };
        item.set_text_of(kind.status, "deleting");
        let item = item.renamed(kind.item);
        let (within, secondary) = known.remove(&key).map(|old| (old.within, old.secondary)).unwrap_or_default();
        let one = Known { state: "", until: at.now, gone, item, within, global: String::new(), secondary };
        known.insert(key, one);
        true
    });
}

fn removed(known: &mut Memory, call: &Call, at: Moment) {
    let key = call.form().get("DbClusterIdentifier").and_then(|arn| Key::of_cluster(call, arn));
    if let Some(one) = key.and_then(|key| known.get_mut(&key)) {
        one.global.clear();
        // The primary one only leaves.
        if std::mem::take(&mut one.secondary) {
            (one.state, one.until) = ("promoting", at.later(PROMOTING));
        }
    }
}

fn switched(known: &mut Memory, call: &Call) {
    let target = call.form().get("TargetDbClusterIdentifier").and_then(|arn| Key::of_cluster(call, arn));
    let Some(target) = target.filter(|target| known.contains_key(target)) else { return };
    let global = call.form().get("GlobalClusterIdentifier").unwrap_or_default();
    for (key, one) in known.iter_mut().filter(|(key, one)| key.account == call.account && one.global == global) {
        one.secondary = *key != target;
    }
}

fn described(known: &Memory, call: &Call, kind: &'static Kind, answer: &mut Answer, now: Instant) {
    let asked = call.form().get(kind.id).filter(|id| !id.is_empty());
    if !answer.is_success() {
        // The emulator has forgotten it already.
        let going = asked.and_then(|id| known.get(&Key::of(call, kind, id))).filter(|one| one.gone.is_some());
        if let Some(one) = going {
            *answer = listing(kind, one.item.clone());
        }
        return;
    }
    answer.edit_xml(|root| {
        let items = root.child_or_new(&format!("{}Result", kind.describe)).child_or_new(kind.set).children_mut();
        for item in items.iter_mut() {
            let key = Key::of(call, kind, item.text_of(kind.id).unwrap_or_default());
            if let Some(state) = known.get(&key).and_then(|one| one.state(now)) {
                item.set_text_of(kind.status, state);
            }
        }
        if asked.is_none() {
            let here = |key: &Key| *key == Key::of(call, kind, &key.id);
            items.extend(
                known.iter().filter(|(key, one)| here(key) && one.gone.is_some()).map(|(_, one)| one.item.clone()),
            );
        }
        true
    });
}

fn listing(kind: &Kind, item: Element) -> Answer {
    let set = Element::with_children(kind.set, vec![item]);
    let result = Element::with_children(&format!("{}Result", kind.describe), vec![set]);
    let mut root = Element::with_children(&format!("{}Response", kind.describe), vec![result]);
    root.set_attributes(r#" xmlns="http://rds.amazonaws.com/doc/2014-10-31/""#);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Answer::new(StatusCode::OK, headers, root.to_document().into())
}
