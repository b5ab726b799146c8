//! The decision: what is planned for each resource, given what is desired, observed, and recorded. No call is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::diff;
use super::{Action, Consent, Item, Plan, Refusal};
use crate::driver::{Change, DriverRegistry, Live, Phase, Region, TypeInfo, TypicalDurations};
use crate::failure::{Class, Failure};
use crate::graph::Graph;
use crate::observe::{Observations, Observed};
use crate::reference::{self, Need, Properties};
use crate::state::{Address, Entry, Status};

/// The resources with at least one output that is unknown at planning time.
#[derive(Default)]
struct Unsettled {
    /// Those that are created or replaced.
    created: BTreeSet<Address>,
    /// Those that exist and are not available yet.
    pending: BTreeSet<Address>,
}

impl Unsettled {
    /// Whether a change counts, as far as its new value is known. If the value is unknown because its source could not be read,
    /// it is not a difference. If its source is not available yet, it may be one, but never a reason to replace anything.
    fn is_difference(&self, change: &Change) -> bool {
        reference::references_in(&change.new).iter().all(|found| {
            let may_differ = change.forces_replacement.is_none() && self.pending.contains(&found.of);
            self.created.contains(&found.of) || may_differ
        })
    }
}

/// The inputs of a decision.
pub struct Decision<'a> {
    /// The desired resources.
    pub graph: &'a Graph,
    /// The entries of the state.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Finds the types of resources that are only in the state.
    pub drivers: &'a dyn DriverRegistry,
    /// The observations.
    pub observed: &'a Observations,
    /// Whether properties that are recorded as unsupported are left alone. Only on a custom endpoint.
    pub respect_unsupported: bool,
    /// Which data may be lost.
    pub consent: &'a Consent,
}

impl Decision<'_> {
    /// Makes the plan. A resource that holds data is deleted or replaced only with consent, and never when AWS would refuse half of it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let mut plan = self.decide();
        self.refuse_the_impossible(&mut plan);
        let failed = |item: &Item| {
            let is_failed = matches!(item.live.as_ref().map(|live| &live.phase), Some(Phase::Failed(_)));
            (is_failed && item.failure.is_some()).then(|| item.address.clone())
        };
        for address in plan.items.iter().filter_map(failed).collect::<Vec<_>>() {
            let (names, impossible) = self.what_it_would_take(&plan, Some(&address));
            let help = ways_out_of_failure(&names, impossible.as_deref());
            let item = plan.items.iter_mut().find(|item| item.address == address);
            if let Some(failure) = item.and_then(|item| item.failure.as_mut()) {
                failure.help = Some(help);
            }
        }
        if plan.refused().next().is_some() {
            let (names, impossible) = self.what_it_would_take(&plan, None);
            for refusal in plan.items.iter_mut().filter_map(|item| item.refusal.as_mut()) {
                refusal.names.clone_from(&names);
                refusal.impossible.clone_from(&impossible);
            }
        }
        plan
    }

    /// All resources that must be named to carry out the refused items and the replacement of another one; and, if that is
    /// impossible even then, why.
    fn what_it_would_take(&self, plan: &Plan, also: Option<&Address>) -> (Vec<Address>, Option<String>) {
        let named = match self.consent {
            Consent::Named(named) => named.clone(),
            Consent::Nothing | Consent::Everything => BTreeSet::new(),
        };
        let mut names: BTreeSet<Address> =
            plan.refused().map(|(item, _)| &item.address).chain(also).cloned().chain(named).collect();
        loop {
            let before = names.len();
            let consent = Consent::Named(names.clone());
            let mut whole = Decision { consent: &consent, ..*self }.decide();
            let first = deleted_first(&whole);
            let is_first = |item: &Item| arn(item).is_some_and(|arn| first.contains_key(arn));
            names.extend(
                whole
                    .items
                    .iter()
                    .filter(|item| item.action == Action::Refused || is_first(item))
                    .map(|item| item.address.clone()),
            );
            if names.len() == before {
                self.refuse_the_impossible(&mut whole);
                let impossible = whole.refused().find_map(|(_, refusal)| refusal.impossible.clone());
                let lost = whole.items.iter().filter(|item| item.is_deleted() || item.action == Action::Refused);
                let lost = lost.map(|item| item.address.clone()).filter(|address| self.holds_data(address));
                return (lost.collect(), impossible);
            }
        }
    }

    fn holds_data(&self, address: &Address) -> bool {
        let node = self.graph.get(address).map(|node| node.driver.clone());
        node.or_else(|| self.drivers.driver(address.kind())).is_some_and(|driver| driver.traits().holds_data)
    }

    /// A resource that AWS deletes only after another one is left alone while that one stays. Otherwise only half of the deletion
    /// would be carried out.
    fn refuse_the_impossible(&self, plan: &mut Plan) {
        let arns: BTreeMap<String, usize> = plan
            .items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| {
                let seen = item.live.as_ref().and_then(|live| live.arn.clone());
                let recorded = || self.entries.get(&item.address).and_then(|entry| entry.arn.clone());
                Some((seen.or_else(recorded)?, at))
            })
            .collect();
        for at in 0..plan.items.len() {
            let item = &plan.items[at];
            let Some(live) = item.live.as_ref().filter(|_| item.is_deleted()) else { continue };
            let stays =
                live.goes_after.iter().find(|arn| arns.get(*arn).is_none_or(|other| !plan.items[*other].is_deleted()));
            let Some(arn) = stays.cloned() else { continue };
            let unseen = arns.get(&arn).and_then(|other| {
                let failure = plan.items[*other].failure.clone()?;
                Some((plan.items[*other].address.clone(), failure))
            });
            let item = &mut plan.items[at];
            let id = item.id.clone().unwrap_or_default();
            if let Some((other, failure)) = unseen {
                item.action = Action::Unknown;
                let message = format!("{id} can be deleted only after {other}, which could not be read: {failure}");
                item.failure =
                    Some(Failure { message, operation: None, code: None, request_id: None, silent: None, ..failure });
                continue;
            }
            let replaced = item.action == Action::Replace;
            let why = item.reason.take().unwrap_or_else(|| "it is to be deleted".to_owned());
            item.action = Action::Refused;
            item.refusal = Some(Refusal {
                replaced,
                why,
                names: Vec::new(),
                impossible: Some(format!("AWS refuses to remove {id}, the writer, while {arn} is attached to it")),
            });
        }
    }

    /// Makes the plan, without regard to what AWS would refuse. What was named, and has to be deleted before something else that is
    /// deleted, is replaced along with it.
    fn decide(&self) -> Plan {
        let mut along: BTreeMap<Address, Address> = BTreeMap::new();
        loop {
            let plan = self.decide_along(&along);
            let before = along.len();
            let first = deleted_first(&plan);
            along.extend(plan.items.iter().filter(|item| !item.is_deleted()).filter_map(|item| {
                let before = *first.get(arn(item)?)?;
                self.consent.covers(&item.address).then(|| (item.address.clone(), before.clone()))
            }));
            if along.len() == before {
                return plan;
            }
        }
    }

    fn decide_along(&self, along: &BTreeMap<Address, Address>) -> Plan {
        let mut items: Vec<Item> = Vec::with_capacity(self.graph.len());
        // The resources whose outputs are known now and stay the same: those that are neither created nor replaced.
        let mut stays: BTreeMap<&Address, &Live> = BTreeMap::new();
        let mut unsettled = Unsettled::default();
        for node in self.graph.nodes() {
            let lookup = |of: &Address, output: &str| match stays.get(of) {
                Some(live) => live.output(output),
                None if unsettled.created.contains(of) => None,
                // A resource that could not be read is assumed to be as recorded.
                None => self.entries.get(of).and_then(|entry| entry.output(output)),
            };
            let desired = reference::resolve(&node.desired, &lookup);
            let mut item = self.item(&node.address, &node.region, node.driver.traits(), &desired, &unsettled, along);
            item.expected = expected(&item, &node.driver.expected(&node.address));
            if let (Some(refusal), Some(live)) = (&mut item.refusal, &item.live)
                && let Some(way) = node.driver.spare(&node.region, live, &item.changes)
            {
                refusal.why = format!("{}. {way}", refusal.why);
            }
            match item.action {
                // A refused resource stays as it is.
                Action::None | Action::Record | Action::Update | Action::Refused => {
                    if let Some(Observed::Live(live)) = self.observed.get(&node.address) {
                        stays.insert(&node.address, live);
                        if live.phase.awaited().is_some() {
                            unsettled.pending.insert(node.address.clone());
                        }
                    }
                }
                Action::Create | Action::Replace => {
                    unsettled.created.insert(node.address.clone());
                }
                Action::Delete | Action::Unknown => {}
            }
            items.push(item);
        }
        items.extend(self.deletions());
        Plan { items }
    }

    fn item(
        &self,
        address: &Address,
        region: &Region,
        traits: &TypeInfo,
        desired: &Properties,
        unsettled: &Unsettled,
        along: &BTreeMap<Address, Address>,
    ) -> Item {
        let entry = self.entries.get(address);
        let needs = self.graph.needs(address);
        let mut item = Item {
            address: address.clone(),
            region: region.to_string(),
            action: Action::Unknown,
            reason: None,
            recorded: entry.is_some(),
            id: None,
            changes: Vec::new(),
            unsupported: BTreeMap::new(),
            failure: None,
            refusal: None,
            expected: Duration::ZERO,
            live: None,
            weight: None,
            depends_on: needs
                .iter()
                .filter(|(_, need)| *need != Need::First)
                .map(|(address, _)| address.clone())
                .collect(),
            waits_for: needs.into_iter().map(|(address, _)| address).collect(),
        };
        let live = match self.observed.get(address) {
            Some(Observed::Live(live)) => live,
            Some(Observed::Unknown(failure)) => {
                item.failure = Some(failure.clone());
                return item;
            }
            Some(Observed::Absent) | None => {
                item.action = Action::Create;
                item.changes = all_of(desired);
                if entry.is_some_and(|entry| entry.id.is_some()) {
                    item.reason = Some("it is recorded, and no longer in AWS".to_owned());
                }
                return item;
            }
        };
        item.id = Some(live.id.clone());
        item.live = Some(live.clone());
        if self.respect_unsupported
            && let Some(entry) = entry
        {
            item.unsupported.clone_from(&entry.unsupported);
        }
        item.changes = diff::changes(traits, desired, &live.properties);
        item.changes
            .retain(|change| !item.unsupported.contains_key(&change.property) && unsettled.is_difference(change));
        let may_lose = !traits.holds_data || self.consent.covers(address);
        match unrecoverable(live, may_lose) {
            Some(Ok(reason)) => {
                item.action = Action::Replace;
                item.reason = Some(reason);
                return item;
            }
            // A resource that has failed must not keep the rest of the stack from being repaired.
            Some(Err(failure)) => {
                item.failure = Some(failure);
                return item;
            }
            None => {}
        }
        let is_named = matches!(self.consent, Consent::Named(named) if named.contains(address));
        if is_named && !traits.holds_data {
            item.action = Action::Replace;
            item.reason = Some("its replacement was requested by name".to_owned());
        } else if let Some(before) = along.get(address) {
            item.action = Action::Replace;
            item.reason = Some(format!("AWS deletes {before} only after it"));
        } else if let Some(change) = item.changes.iter().find(|change| change.forces_replacement.is_some()) {
            let why = change.forces_replacement.map(|why| format!("{}: {why}", change.property));
            if may_lose {
                item.action = Action::Replace;
                item.reason = why;
            } else {
                item.action = Action::Refused;
                let why = why.unwrap_or_default();
                item.refusal = Some(Refusal { replaced: true, why, names: Vec::new(), impossible: None });
            }
        } else if !item.changes.is_empty() {
            item.action = Action::Update;
        } else if let Some(state) = live.phase.awaited() {
            item.action = Action::Record;
            item.reason = Some(format!("it is still {state}"));
        } else {
            item.reason = outdated_record(entry, live, &item.depends_on);
            item.action = if item.reason.is_some() { Action::Record } else { Action::None };
        }
        item
    }

    /// The deletions of resources that are in the state but no longer in the graph, dependents before their dependencies.
    fn deletions(&self) -> Vec<Item> {
        let leaving: BTreeMap<&Address, &Entry> =
            self.entries.iter().filter(|(address, _)| self.graph.get(address).is_none()).collect();
        let mut order: Vec<&Address> = Vec::with_capacity(leaving.len());
        let mut placed: BTreeSet<&Address> = BTreeSet::new();
        for start in leaving.keys() {
            place(start, &leaving, &mut placed, &mut order);
        }
        order.reverse();
        order
            .into_iter()
            .map(|address| {
                let entry = leaving[address];
                let observed = self.observed.get(address);
                let failure = match observed {
                    Some(Observed::Unknown(failure)) => Some(failure.clone()),
                    _ => None,
                };
                let live = match observed {
                    Some(Observed::Live(live)) => Some(live.clone()),
                    _ => None,
                };
                let refused = live.is_some() && self.holds_data(address) && !self.consent.covers(address);
                let refusal = refused.then(|| Refusal {
                    replaced: false,
                    why: "it is no longer in the configuration".to_owned(),
                    names: Vec::new(),
                    impossible: None,
                });
                Item {
                    address: address.clone(),
                    region: entry.region.clone(),
                    action: match (&failure, refused) {
                        (Some(_), _) => Action::Unknown,
                        (None, true) => Action::Refused,
                        (None, false) => Action::Delete,
                    },
                    reason: (live.is_none() && failure.is_none())
                        .then(|| "it is no longer in AWS: only its record is deleted".to_owned()),
                    recorded: true,
                    id: live.as_ref().map(|live| live.id.clone()).or_else(|| entry.id.clone()),
                    changes: Vec::new(),
                    unsupported: BTreeMap::new(),
                    failure,
                    refusal,
                    expected: self
                        .drivers
                        .driver(address.kind())
                        .map_or(Duration::ZERO, |driver| driver.expected(address).delete),
                    live,
                    weight: None,
                    depends_on: entry.depends_on.clone(),
                    waits_for: entry.depends_on.clone(),
                }
            })
            .collect()
    }
}

/// The ARN of a resource that exists.
fn arn(item: &Item) -> Option<&str> {
    item.live.as_ref()?.arn.as_deref()
}

/// The ARNs of the resources that AWS has to delete before one that the plan deletes, each with that one.
fn deleted_first(plan: &Plan) -> BTreeMap<&str, &Address> {
    let deleted = plan.items.iter().filter(|item| item.is_deleted());
    let lives = deleted.filter_map(|item| Some((item.live.as_ref()?, &item.address)));
    lives.flat_map(|(live, address)| live.goes_after.iter().map(move |arn| (arn.as_str(), address))).collect()
}

/// The result for a resource that cannot recover without help: why it is replaced or, if data would be lost, what the operator
/// must fix.
fn unrecoverable(live: &Live, may_lose: bool) -> Option<Result<String, Failure>> {
    match &live.phase {
        Phase::Pending(_) | Phase::Stalled(_) | Phase::Ready => None,
        Phase::Failed(why) if may_lose => Some(Ok(format!("it is in state {why}"))),
        Phase::Deleting(state) if may_lose => Some(Ok(format!("it is {state}"))),
        // What to do about it follows from the whole plan.
        Phase::Failed(why) => Some(Err(Failure::new(Class::Refused, format!("{} is in state {why}", live.id)))),
        Phase::Deleting(state) => {
            let message = format!("{} is {state}, and drctl did not request that", live.id);
            Some(Err(Failure::new(Class::Refused, message).help(
                "Find out who is deleting it. Once it is deleted, `drctl up` creates a new one, without its \
                       data.",
            )))
        }
    }
}

/// The operator's options for a failed resource that holds data. `names` are all resources that must be named to replace it;
/// `impossible` is why that cannot be done.
fn ways_out_of_failure(names: &[Address], impossible: Option<&str>) -> String {
    let repair = "It holds data, so drctl does not replace it just because it failed. Fix the cause, or restore it.";
    if let Some(why) = impossible {
        return format!("{repair} It cannot be deleted and created again even if its data may be lost: {why}.");
    }
    let options: Vec<String> = names.iter().map(|address| format!("--replace {address}")).collect();
    let all = if names.len() > 1 { ", with what has to be deleted along with it" } else { "" };
    format!("{repair} If it may really be deleted and created again{all}: `drctl up {}`.", options.join(" "))
}

/// How the state's record of a resource that is as desired differs from it, if it does.
fn outdated_record(entry: Option<&Entry>, live: &Live, depends_on: &[Address]) -> Option<String> {
    let Some(entry) = entry else { return Some("it is in AWS but not in the state".to_owned()) };
    match &entry.status {
        Status::Ready if entry.id.as_deref() != Some(&live.id) => Some("its id is not the recorded one".to_owned()),
        Status::Ready if entry.outputs != live.outputs || entry.arn != live.arn => {
            Some("its outputs have changed".to_owned())
        }
        Status::Ready if entry.depends_on != depends_on => Some("its dependencies have changed".to_owned()),
        Status::Ready => None,
        Status::Created => Some("created or adopted, and not yet confirmed ready".to_owned()),
        status => Some(format!("it is recorded as `{}`", status.as_str())),
    }
}

/// The duration of the planned work on a resource. Recording it takes no time, unless it is not available yet.
fn expected(item: &Item, takes: &TypicalDurations) -> Duration {
    let is_pending = item.live.as_ref().is_some_and(|live| live.phase.awaited().is_some());
    match item.action {
        Action::Create => takes.create,
        Action::Replace => takes.delete + takes.create,
        Action::Update => takes.update,
        Action::Delete => takes.delete,
        Action::Record if is_pending => takes.create,
        Action::Record | Action::None | Action::Unknown | Action::Refused => Duration::ZERO,
    }
}

/// Appends a resource to an order in which everything comes before its dependents. Depth first.
fn place<'a>(
    address: &'a Address,
    leaving: &BTreeMap<&'a Address, &'a Entry>,
    placed: &mut BTreeSet<&'a Address>,
    order: &mut Vec<&'a Address>,
) {
    let mut stack = vec![(address, false)];
    while let Some((address, expanded)) = stack.pop() {
        if expanded {
            order.push(address);
            continue;
        }
        if !placed.insert(address) {
            continue;
        }
        stack.push((address, true));
        if let Some(entry) = leaving.get(address) {
            for dependency in &entry.depends_on {
                if let Some((dependency, _)) = leaving.get_key_value(dependency)
                    && !placed.contains(*dependency)
                {
                    stack.push((dependency, false));
                }
            }
        }
    }
}

/// The changes of a creation: every property.
fn all_of(desired: &Properties) -> Vec<Change> {
    desired
        .iter()
        .map(|(property, new)| Change {
            property: property.clone(),
            old: Value::Null,
            new: new.clone(),
            forces_replacement: None,
        })
        .collect()
}
