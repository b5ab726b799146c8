//! The coordinator: one task owns the schedule and the state; the tasks of the steps send events and wait for
//! acknowledgement.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::critical_path::Clock;
use super::events::{Event, Events};
use super::handle::{Desk, Message};
use super::report::{Outcome, Report};
use super::schedule::{Half, Park, Schedule, StepId};
use super::worker::{Job, Worker};
use crate::cancel::{Shutdown, Stage};
use crate::driver::{Driver, Drivers, Region};
use crate::failure::{Class, Failure};
use crate::graph::Graph;
use crate::plan::{Action, Item, Plan};
use crate::reference::{self, Need};
use crate::state::{Address, StateError, Status, Store, Transition, check_transition, journal::Journal};
use crate::timing::Timing;

/// How a run is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many steps may be at work in one Region at the same time; who waits does not count.
    pub cap: usize,
    /// How patiently it waits.
    pub timing: Timing,
    /// Whether resources of others may be taken over: `--adopt`.
    pub adopt: bool,
}

/// Carries out a plan.
pub struct Run<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// What shall be.
    pub graph: &'a Graph,
    /// Finds the types of what is only in the state.
    pub drivers: &'a dyn Drivers,
    /// How.
    pub options: Options,
    /// Who is told.
    pub events: &'a dyn Events,
}

impl Run<'_> {
    /// Walks the plan. Keeps going after failures; ends early when told to.
    pub async fn apply(&self, store: &mut Store, shutdown: Shutdown) -> Report {
        let began = Instant::now();
        let mut coordinator = Coordinator::new(self, store, shutdown);
        let defect = coordinator.lay_out().err();
        if defect.is_none() {
            coordinator.walk().await;
        }
        let mut report = coordinator.report(began);
        if let Some(address) = defect {
            let failure = Failure::new(Class::Internal, "its removal and its dependents wait for each other");
            report.outcomes.push((address, Action::Unknown, Outcome::Failed(failure)));
        }
        store.remember(report.outcomes.iter().filter_map(|(address, _, outcome)| match outcome {
            Outcome::Done => Some((address.clone(), None)),
            // A disk that refuses is no reason to write to it.
            Outcome::Failed(failure) if failure.class != Class::Internal => {
                Some((address.clone(), Some(failure.on_record())))
            }
            Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Interrupted => None,
        }));
        if let Err(error) = store.fold() {
            report.state.get_or_insert(error);
        }
        report
    }
}

struct Pending {
    step: StepId,
    transition: Transition,
    ack: oneshot::Sender<Result<(), Failure>>,
}

type Written = (Journal, Vec<Pending>, Result<(), StateError>);

struct Finished {
    step: StepId,
    result: Result<Option<String>, Failure>,
}

struct Coordinator<'a> {
    run: &'a Run<'a>,
    store: &'a mut Store,
    shutdown: Shutdown,
    schedule: Schedule,
    items: HashMap<&'a Address, &'a Item>,
    ensures: HashMap<&'a Address, StepId>,
    removes: HashMap<&'a Address, StepId>,
    started: HashMap<StepId, Instant>,
    /// Steps that were refused once because of what they refer to.
    restarted: HashSet<StepId>,
    /// Those that wait for an output of what exists, in an order of their own: a run is as reproducible as its cloud.
    held: BTreeSet<StepId>,
    /// Steps that were started with everything they refer to ready.
    settled: HashSet<StepId>,
    tasks: JoinSet<Finished>,
    task_steps: HashMap<tokio::task::Id, StepId>,
    send: mpsc::UnboundedSender<Message>,
    receive: mpsc::UnboundedReceiver<Message>,
    pending: Vec<Pending>,
    disk: Option<JoinHandle<Written>>,
    outcomes: HashMap<StepId, Outcome>,
    durations: BTreeMap<Address, Duration>,
    /// What this run has recorded something of.
    recorded: HashSet<Address>,
    /// What it was to delete and has kept.
    kept: HashSet<Address>,
    /// What this run has changed in place.
    updated: HashSet<Address>,
    clock: Clock,
    state_error: Option<StateError>,
    interrupted: bool,
}

impl<'a> Coordinator<'a> {
    fn new(run: &'a Run<'a>, store: &'a mut Store, shutdown: Shutdown) -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        Self {
            run,
            store,
            shutdown,
            schedule: Schedule::new(run.options.cap),
            items: run.plan.items.iter().map(|item| (&item.address, item)).collect(),
            ensures: HashMap::new(),
            removes: HashMap::new(),
            started: HashMap::new(),
            restarted: HashSet::new(),
            held: BTreeSet::new(),
            settled: HashSet::new(),
            tasks: JoinSet::new(),
            task_steps: HashMap::new(),
            send,
            receive,
            pending: Vec::new(),
            disk: None,
            outcomes: HashMap::new(),
            durations: BTreeMap::new(),
            recorded: HashSet::new(),
            updated: HashSet::new(),
            kept: HashSet::new(),
            clock: Clock::default(),
            state_error: None,
            interrupted: false,
        }
    }

    /// Turns the plan into steps. What is not planned to change needs no step, and nobody waits for it.
    fn lay_out(&mut self) -> Result<(), Address> {
        for item in &self.run.plan.items {
            let region = Region::from(item.region.as_str());
            let driver = self
                .run
                .graph
                .get(&item.address)
                .map(|node| node.driver.clone())
                .or_else(|| self.run.drivers.driver(item.address.kind()));
            let takes = |half| driver.as_ref().map_or(item.expected, |driver| expected(half, item, &**driver));
            if matches!(item.action, Action::Delete | Action::Replace) {
                let step = self.schedule.add(item.address.clone(), Half::Remove, &region, takes(Half::Remove));
                self.removes.insert(&item.address, step);
            }
            if matches!(
                item.action,
                Action::Create | Action::Update | Action::Replace | Action::Record | Action::Unknown
            ) {
                let step = self.schedule.add(item.address.clone(), Half::Ensure, &region, takes(Half::Ensure));
                self.ensures.insert(&item.address, step);
            }
        }
        let removed: HashMap<&str, StepId> = self
            .run
            .plan
            .items
            .iter()
            .filter_map(|item| Some((item.live.as_ref()?.arn.as_deref()?, *self.removes.get(&item.address)?)))
            .collect();
        let mut lets_go = Vec::new();
        for item in &self.run.plan.items {
            let ensure = self.ensures.get(&item.address).copied();
            let remove = self.removes.get(&item.address).copied();
            if let (Some(ensure), Some(remove)) = (ensure, remove) {
                self.schedule.wait_for(ensure, remove, Need::Ready);
            }
            if let Some(ensure) = ensure {
                let turned_to = self.turned_to(item);
                for (on, need) in self.run.graph.needs(&item.address) {
                    let need = match need {
                        Need::Outlives => continue,
                        Need::First => Need::Ready,
                        _ if turned_to.contains(&on) => Need::Ready,
                        need => need,
                    };
                    if let Some(on) = self.ensures.get(&on) {
                        self.schedule.wait_for(ensure, *on, need);
                    }
                }
            }
            // Which of the two AWS lets go first follows from their roles at the moment.
            if let Some(remove) = remove {
                for arn in item.live.iter().flat_map(|live| &live.goes_after) {
                    let other = removed.get(arn.as_str()).filter(|other| **other != remove);
                    if let Some(other) = other {
                        self.schedule.wait_for(remove, *other, Need::Ready);
                    }
                }
            }
            // Who was made with a reference to something that goes has to go, or let go of it, first.
            let recorded = self.store.resources().get(&item.address);
            for on in recorded.map_or(&item.depends_on, |entry| &entry.depends_on) {
                let Some(target) = self.removes.get(on).copied() else { continue };
                if let Some(remove) = remove {
                    self.schedule.wait_for(target, remove, Need::Ready);
                } else if let Some(ensure) = ensure
                    && !self.ensures.contains_key(on)
                {
                    lets_go.push((target, ensure));
                }
            }
        }
        for (target, ensure) in lets_go {
            // Where that would tie a knot, AWS's refusal of the deletion is what tells which of the two comes first.
            if !self.schedule.waits_for(ensure, target) {
                self.schedule.wait_for(target, ensure, Need::Ready);
            }
        }
        self.schedule.begin()
    }

    /// What a resource that works is turned to by an update: it goes on working with what it has until that is ready, whatever
    /// would be enough for a new one. A route that leads to a gateway would lead nowhere while the next one is being made.
    fn turned_to(&self, item: &Item) -> BTreeSet<Address> {
        let Some(node) = self.run.graph.get(&item.address).filter(|_| item.action == Action::Update) else {
            return BTreeSet::new();
        };
        let changed = item.changes.iter().filter_map(|change| node.desired.get(&change.property));
        changed.flat_map(reference::references_in).map(|found| found.of).collect()
    }

    async fn walk(&mut self) {
        loop {
            while let Some(step) = self.schedule.next() {
                self.start(step);
            }
            self.write();
            if self.schedule.in_flight() == 0 && self.pending.is_empty() && self.disk.is_none() {
                return;
            }
            let next = if self.interrupted { Stage::Abort } else { Stage::Drain };
            tokio::select! {
                biased;
                () = self.shutdown.reached(next) => {
                    let at_once = next == Stage::Abort;
                    self.interrupted = true;
                    self.schedule.stop();
                    self.run.events.emit(Event::Interrupted { at_once, in_flight: self.schedule.in_flight() });
                    if at_once {
                        self.tasks.abort_all();
                        if let Some(disk) = self.disk.take() {
                            self.written(disk.await);
                        }
                        return;
                    }
                }
                written = wait(&mut self.disk) => {
                    self.disk = None;
                    self.written(written);
                }
                Some(message) = self.receive.recv() => {
                    self.take(message);
                    while let Ok(message) = self.receive.try_recv() {
                        self.take(message);
                    }
                }
                Some(joined) = self.tasks.join_next_with_id() => match joined {
                    Ok((id, finished)) => {
                        self.task_steps.remove(&id);
                        self.finished(finished.step, finished.result);
                    }
                    Err(error) => {
                        if let Some(step) = self.task_steps.remove(&error.id()) {
                            let failure = Failure::new(Class::Internal, format!("a defect of drctl: {error}"))
                                .help("Its intent is on record. Please report this with the output.");
                            self.finished(step, Err(failure));
                        }
                    }
                }
            }
        }
    }

    fn start(&mut self, step: StepId) {
        let (address, half) = self.schedule.step(step);
        let Some((&address, item)) = self.items.get_key_value(address) else { return };
        self.started.entry(step).or_insert_with(Instant::now);
        // Whatever kept it from being looked at, no step of this run makes it pass.
        if let Some(failure) = &item.failure {
            self.failed(step, failure.clone());
            return;
        }
        let node = self.run.graph.get(address);
        let Some(driver) = node.map(|node| node.driver.clone()).or_else(|| self.run.drivers.driver(address.kind()))
        else {
            self.finished(step, Err(Failure::new(Class::Internal, format!("no driver for `{}`", address.kind()))));
            return;
        };
        let entries = self.store.resources();
        let desired = match (node, half) {
            (Some(node), Half::Ensure) => reference::resolve(&node.desired, &|of, output| self.output(of, output)),
            _ => reference::Properties::new(),
        };
        if desired.values().any(reference::is_unresolved) {
            // Its target exists, and shows this output later.
            match self.schedule.hold(step) {
                Park::Waits => {
                    self.held.insert(step);
                }
                Park::Lost(source) => self.lost(step, source),
                Park::Ready => {
                    let failure = Failure::new(Class::Internal, "an output it refers to was not made by its target");
                    self.finished(step, Err(failure));
                }
            }
            return;
        }
        let entry = entries.get(address).cloned();
        let removing = half == Half::Remove;
        // The remains of what was just removed are no longer there to be seen.
        let replaced = half == Half::Ensure && item.action == Action::Replace;
        // Parked before: what it saw then may be old.
        let live = if replaced { None } else { item.live.clone() };
        let depends_on = match (&entry, removing) {
            (Some(entry), true) => entry.depends_on.clone(),
            _ => item.depends_on.clone(),
        };
        if half == Half::Ensure && live.is_some() && entry.as_ref().is_some_and(|entry| entry.id.is_some()) {
            // An earlier run has recorded it: whoever only needs it to exist need not wait until it is ready.
            self.clock.note(step, Need::Exists);
            self.schedule.reached(step, Need::Exists);
        }
        let stale = half == Half::Ensure
            && self
                .run
                .graph
                .needs(address)
                .iter()
                .any(|(on, need)| *need != Need::Outlives && self.updated.contains(on));
        let settled = self.schedule.is_settled(step);
        if settled {
            self.settled.insert(step);
        }
        let region = Region::from(item.region.as_str());
        let job = Job {
            address: address.clone(),
            region,
            driver,
            desired,
            depends_on,
            entry,
            live,
            stale,
            unsupported: item.unsupported.clone(),
            timing: self.run.options.timing,
            adopt: self.run.options.adopt,
            settled,
            lent: self.schedule.is_lent(step),
        };
        if !self.restarted.contains(&step) {
            let action = action_of(half, item);
            self.run.events.emit(Event::Started {
                address: address.clone(),
                region: item.region.clone(),
                action,
                expected: expected(half, item, &*job.driver),
            });
        }
        let desk = Desk { step, messages: self.send.clone() };
        let worker = Worker::new(job, desk, self.shutdown.clone());
        let handle = self.tasks.spawn(async move {
            let result = if removing { worker.remove().await.map(|()| None) } else { worker.ensure().await.map(Some) };
            Finished { step, result }
        });
        self.task_steps.insert(handle.id(), step);
    }

    /// An output as it is known now: as this run has recorded it, else as the plan saw it, which is younger than the state.
    fn output(&self, of: &Address, output: &str) -> Option<String> {
        let seen = || {
            let item = self.items.get(of).filter(|item| matches!(item.action, Action::Record | Action::Update))?;
            item.live.as_ref()?.output(output)
        };
        let recorded = || self.store.resources().get(of).and_then(|entry| entry.output(output));
        if self.recorded.contains(of) { recorded() } else { seen().or_else(recorded) }
    }

    fn reached(&mut self, step: StepId, level: Need) {
        self.clock.note(step, level);
        self.schedule.reached(step, level);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record { step, transition, ack } => {
                self.pending.push(Pending { step, transition: *transition, ack });
            }
            Message::Rest { step } => self.schedule.rest(step),
            Message::Event(event) => self.run.events.emit(event),
        }
    }

    /// Group commit: everything that came in while the disk was busy goes out with one fsync.
    fn write(&mut self) {
        if self.disk.is_some() || self.pending.is_empty() {
            return;
        }
        if self.state_error.is_some() {
            // A journal begun anew would lose what the broken one holds.
            for pending in std::mem::take(&mut self.pending) {
                refuse(pending, &"it could not be written to earlier in this run");
            }
            return;
        }
        let batch = std::mem::take(&mut self.pending);
        let mut sound = Vec::with_capacity(batch.len());
        for pending in batch {
            let Transition { address, entry, .. } = &pending.transition;
            match check_transition(address, self.store.resources().get(address), entry.as_ref()) {
                Ok(()) => sound.push(pending),
                Err(error) => refuse(pending, &StateError::from(error)),
            }
        }
        match self.store.take_journal() {
            Ok(mut journal) => {
                let waits = journal.is_on_disk();
                let append = move || {
                    let transitions: Vec<&Transition> = sound.iter().map(|pending| &pending.transition).collect();
                    let result = journal.append(&transitions);
                    (journal, sound, result)
                };
                self.disk = Some(if waits {
                    tokio::task::spawn_blocking(append)
                } else {
                    // No thread: when one is done is not up to the runtime's clock.
                    tokio::spawn(async move { append() })
                });
            }
            Err(error) => {
                for pending in sound {
                    refuse(pending, &error);
                }
                self.lost_state(error);
            }
        }
    }

    fn written(&mut self, written: Result<Written, tokio::task::JoinError>) {
        let (journal, batch, result) = match written {
            Ok(written) => written,
            Err(error) => {
                self.lost_state(StateError::defect(&error));
                return;
            }
        };
        if let Err(error) = result {
            for pending in batch {
                refuse(pending, &error);
            }
            self.store.returned(journal, Vec::new());
            self.lost_state(error);
            return;
        }
        let mut durable = Vec::with_capacity(batch.len());
        let mut news = Vec::with_capacity(batch.len());
        for Pending { step, transition, ack } in batch {
            if self.schedule.step(step).1 == Half::Ensure && transition.entry.is_none() {
                // It came to nothing, and is made once more: what was built on it refers to what is gone.
                self.schedule.recall(step);
            }
            let level = match (self.schedule.step(step).1, transition.entry.as_ref().map(|entry| &entry.status)) {
                (Half::Ensure, Some(Status::Created)) => Some(Need::Exists),
                (Half::Ensure, Some(Status::Ready)) | (Half::Remove, None) => Some(Need::Ready),
                (Half::Remove, Some(Status::Ready)) => {
                    self.kept.insert(transition.address.clone());
                    None
                }
                _ => None,
            };
            news.push((step, level, ack));
            self.recorded.insert(transition.address.clone());
            durable.push(transition);
        }
        self.store.returned(journal, durable);
        for (step, level, ack) in news {
            if let Some(level) = level {
                self.reached(step, level);
            }
            let fed: Vec<StepId> =
                self.held.iter().copied().filter(|held| self.schedule.depends(*held, step)).collect();
            for held in fed {
                self.held.remove(&held);
                self.schedule.again(held);
            }
            // Nobody listens when the task was aborted: the record stands all the same.
            drop(ack.send(Ok(())));
        }
    }

    /// Without a state to write to, nothing more may be started; what is in flight ends, and its intents are on record.
    fn lost_state(&mut self, error: StateError) {
        self.schedule.stop();
        self.state_error.get_or_insert(error);
    }

    /// What is told of a step that ends: whose it is, what it did, and for how long.
    fn told(&self, step: StepId) -> Option<(Address, Action, Duration)> {
        let (address, half) = self.schedule.step(step);
        let item = self.items.get(address)?;
        let took = self.started.get(&step).map_or(Duration::ZERO, Instant::elapsed);
        Some((address.clone(), action_of(half, item), took))
    }

    fn finished(&mut self, step: StepId, result: Result<Option<String>, Failure>) {
        let Some((address, action, took)) = self.told(step) else { return };
        let failure = match result {
            Ok(id) => {
                // A removal without a record behind it has nothing to make durable.
                self.reached(step, Need::Ready);
                if self.schedule.is_stale(step) {
                    self.anew(step);
                    return;
                }
                self.schedule.done(step);
                if action == Action::Update {
                    self.updated.insert(address.clone());
                }
                *self.durations.entry(address.clone()).or_default() += took;
                // One that was done, and was done once more because of what it refers to, is no news.
                if self.outcomes.insert(step, Outcome::Done) != Some(Outcome::Done) {
                    self.run.events.emit(Event::Done { address, action, id, took });
                }
                return;
            }
            Err(failure) => failure,
        };
        if failure.class == Class::Interrupted {
            self.schedule.done(step);
            self.outcomes.insert(step, Outcome::Interrupted);
            return;
        }
        if self.schedule.is_stale(step) {
            self.anew(step);
            return;
        }
        if failure.class == Class::NotYet {
            match self.schedule.park(step) {
                Park::Waits => {
                    self.restarted.insert(step);
                    let on = format!("what it refers to: {}", failure.message);
                    self.run.events.emit(Event::Waiting { address, on });
                    return;
                }
                Park::Ready if !self.settled.contains(&step) => {
                    self.restarted.insert(step);
                    self.schedule.again(step);
                    return;
                }
                Park::Lost(source) => {
                    self.lost(step, source);
                    return;
                }
                Park::Ready => {}
            }
        }
        self.failed(step, failure);
    }

    fn failed(&mut self, step: StepId, failure: Failure) {
        let Some((address, action, took)) = self.told(step) else { return };
        let skipped = self.schedule.failed(step);
        self.run.events.emit(Event::Failed { address: address.clone(), action, failure: failure.clone(), took });
        self.outcomes.insert(step, Outcome::Failed(failure));
        self.skip(skipped, &address);
    }

    /// What it was started with has been taken back: whatever it came to is not what is desired.
    fn anew(&mut self, step: StepId) {
        self.restarted.insert(step);
        self.schedule.anew(step);
    }

    /// What a step waits for will never be: it is not tried, for the same reason as that.
    fn lost(&mut self, step: StepId, source: StepId) {
        let because = match self.outcomes.get(&source) {
            Some(Outcome::Skipped(root)) => root.clone(),
            _ => self.schedule.step(source).0.clone(),
        };
        let mut skipped = self.schedule.failed(step);
        skipped.insert(0, step);
        self.skip(skipped, &because);
    }

    fn skip(&mut self, steps: Vec<StepId>, because: &Address) {
        for step in steps {
            self.held.remove(&step);
            let (skipped, _) = self.schedule.step(step);
            // The other half of the same resource's work needs no line of its own.
            if skipped != because {
                self.run.events.emit(Event::Skipped { address: skipped.clone(), because: because.clone() });
            }
            self.outcomes.insert(step, Outcome::Skipped(because.clone()));
        }
    }

    fn report(self, began: Instant) -> Report {
        let mut outcomes = Vec::new();
        let (mut only_deleted, mut under_way) = (BTreeSet::new(), BTreeSet::new());
        for item in &self.run.plan.items {
            let steps = [self.removes.get(&item.address), self.ensures.get(&item.address)];
            let worst = steps
                .into_iter()
                .flatten()
                .map(|step| self.outcomes.get(step).cloned().unwrap_or(Outcome::Interrupted))
                .find(|outcome| *outcome != Outcome::Done);
            if self.removes.contains_key(&item.address) || self.ensures.contains_key(&item.address) {
                outcomes.push((item.address.clone(), item.action, worst.unwrap_or(Outcome::Done)));
            }
            let outcome = |step: Option<&StepId>| step.and_then(|step| self.outcomes.get(step));
            if let (Some(Outcome::Done), Some(ensure)) = (outcome(steps[0]), steps[1])
                && outcome(Some(ensure)) != Some(&Outcome::Done)
            {
                only_deleted.insert(item.address.clone());
            }
            let was_cut_short = |step: &&StepId| {
                self.started.contains_key(step) && matches!(self.outcomes.get(step), None | Some(Outcome::Interrupted))
            };
            if steps.iter().flatten().any(was_cut_short) {
                under_way.insert(item.address.clone());
            }
        }
        Report {
            outcomes,
            interrupted: self.interrupted,
            only_deleted,
            under_way,
            state: self.state_error,
            took: began.elapsed(),
            critical_path: self.clock.critical_path(&self.schedule, began),
            kept: self
                .run
                .plan
                .items
                .iter()
                .map(|item| &item.address)
                .filter(|a| self.kept.contains(*a))
                .cloned()
                .collect(),
            durations: self.durations,
        }
    }
}

/// What one half of an item's work is called.
fn action_of(half: Half, item: &Item) -> Action {
    match (half, item.action) {
        (Half::Remove, _) => Action::Delete,
        (Half::Ensure, Action::Replace) => Action::Create,
        (Half::Ensure, action) => action,
    }
}

/// How long one half of an item's work typically takes: of a replacement, the deletion or the creation alone.
fn expected(half: Half, item: &Item, driver: &dyn Driver) -> Duration {
    let delete = driver.expected(&item.address).delete;
    match (half, item.action) {
        (Half::Remove, _) => delete,
        (Half::Ensure, Action::Replace) => item.expected.saturating_sub(delete),
        (Half::Ensure, _) => item.expected,
    }
}

fn refuse(pending: Pending, error: &dyn std::fmt::Display) {
    let failure = Failure::new(Class::Internal, format!("the state could not be written: {error}"));
    drop(pending.ack.send(Err(failure)));
}

async fn wait(disk: &mut Option<JoinHandle<Written>>) -> Result<Written, tokio::task::JoinError> {
    match disk {
        Some(disk) => disk.await,
        None => std::future::pending().await,
    }
}
