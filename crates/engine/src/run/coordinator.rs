//! The coordinator: one task owns the schedule and the state. Each step has a worker in a task of its own, which sends messages and
//! waits until its records are acknowledged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::critical_path::critical_path;
use super::events::{Event, EventSink};
use super::handle::{Awaited, CoordinatorHandle, Message};
use super::layout::{Layout, action_of, expected};
use super::recorder::{Durable, Record, Recorder};
use super::report::Report;
use super::schedule::{Deferral, Outcome, Schedule, StepId, StepKind};
use super::worker::{Applied, Job, Worker};
use crate::cancel::{Shutdown, Stage};
use crate::driver::{Driver, DriverRegistry, Region};
use crate::failure::{Class, Failure};
use crate::graph::{Graph, Node};
use crate::plan::{Action, Item, Plan, TAGS};
use crate::reference::{self, Need, Properties};
use crate::state::{Address, Status, Store};
use crate::timing::Timing;

/// How a run is carried out.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// How many steps may be at work in one Region at the same time. A step that waits for AWS does not count.
    pub cap: usize,
    /// How patiently the run waits.
    pub timing: Timing,
    /// Whether resources that are not this stack's may be taken over: `--adopt`.
    pub adopt: bool,
}

/// Carries out a plan.
pub struct Run<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The desired resources.
    pub graph: &'a Graph,
    /// Finds the types of resources that are only in the state.
    pub drivers: &'a dyn DriverRegistry,
    /// How it is carried out.
    pub options: RunOptions,
    /// Where the events go.
    pub events: &'a dyn EventSink,
}

impl Run<'_> {
    /// Carries out the plan. Continues after failures; ends early on a signal.
    pub async fn apply(&self, store: &mut Store, shutdown: Shutdown) -> Report {
        let began = Instant::now();
        let mut coordinator = Coordinator::new(self, store, shutdown);
        let cycle = coordinator.schedule.begin().err();
        if cycle.is_none() {
            coordinator.walk().await;
        }
        let mut report = coordinator.report(began);
        if let Some(address) = cycle {
            let failure = Failure::new(Class::Internal, "its deletion and its dependents wait for each other");
            report.outcomes.push((address, Action::Unknown, Outcome::Failed(failure)));
        }
        let outcomes = report.outcomes.iter().filter_map(|(address, _, outcome)| match outcome {
            Outcome::Done => Some((address.clone(), None)),
            // A failure to write is not a reason to write again.
            Outcome::Failed(failure) if failure.class != Class::Internal => {
                Some((address.clone(), Some(failure.on_record())))
            }
            Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Interrupted => None,
        });
        store.remember(outcomes, |address| self.graph.get(address).is_some());
        if let Err(error) = store.fold() {
            report.state.get_or_insert(error);
        }
        report
    }
}

struct Finished {
    step: StepId,
    /// The id of the resource, if it exists.
    result: Result<Option<Applied>, Failure>,
}

struct Coordinator<'a> {
    run: &'a Run<'a>,
    store: &'a mut Store,
    shutdown: Shutdown,
    items: HashMap<&'a Address, &'a Item>,
    schedule: Schedule,
    recorder: Recorder,
    tasks: JoinSet<Finished>,
    sender: mpsc::UnboundedSender<Message>,
    receiver: mpsc::UnboundedReceiver<Message>,
    /// The resources of which this run has recorded something.
    recorded: HashSet<Address>,
    /// The resources that this run has changed in place.
    updated: HashSet<Address>,
    /// The resources that this run was to delete and has kept.
    kept: HashSet<Address>,
    /// The steps that were notified that the step they wait for has failed.
    in_vain: HashMap<StepId, StepId>,
    is_interrupted: bool,
}

impl<'a> Coordinator<'a> {
    fn new(run: &'a Run<'a>, store: &'a mut Store, shutdown: Shutdown) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let layout = Layout { plan: run.plan, graph: run.graph, drivers: run.drivers, entries: store.resources() };
        Self {
            items: run.plan.items.iter().map(|item| (&item.address, item)).collect(),
            schedule: layout.schedule(run.options.cap),
            run,
            store,
            shutdown,
            recorder: Recorder::default(),
            tasks: JoinSet::new(),
            sender,
            receiver,
            recorded: HashSet::new(),
            updated: HashSet::new(),
            kept: HashSet::new(),
            in_vain: HashMap::new(),
            is_interrupted: false,
        }
    }

    async fn walk(&mut self) {
        loop {
            while let Some(step) = self.schedule.next() {
                self.start(step);
            }
            self.recorder.write(self.store);
            self.stop_if_state_is_lost();
            if self.schedule.in_flight() == 0 && self.recorder.is_idle() {
                return;
            }
            let next = if self.is_interrupted { Stage::Abort } else { Stage::Drain };
            tokio::select! {
                biased;
                () = self.shutdown.reached(next) => {
                    self.interrupt(next == Stage::Abort);
                    if next == Stage::Abort {
                        self.tasks.abort_all();
                        if self.recorder.is_writing() {
                            let durable = self.recorder.written(self.store).await;
                            self.committed(durable);
                        }
                        return;
                    }
                }
                durable = self.recorder.written(self.store) => self.committed(durable),
                Some(message) = self.receiver.recv() => {
                    self.handle(message);
                    while let Ok(message) = self.receiver.try_recv() {
                        self.handle(message);
                    }
                }
                Some(joined) = self.tasks.join_next() => match joined {
                    Ok(finished) => self.finished(finished.step, finished.result),
                    Err(error) => {
                        if let Some(step) = self.schedule.step_of_task(error.id()) {
                            let failure = Failure::new(Class::Internal, format!("a defect of drctl: {error}"))
                                .help("Its intent is recorded. Please report this with the output.");
                            self.finished(step, Err(failure));
                        }
                    }
                }
            }
        }
    }

    fn interrupt(&mut self, at_once: bool) {
        self.is_interrupted = true;
        self.schedule.stop();
        self.run.events.emit(Event::Interrupted { at_once, in_flight: self.schedule.in_flight() });
    }

    fn stop_if_state_is_lost(&mut self) {
        if self.recorder.has_failed() {
            self.schedule.stop();
        }
    }

    fn start(&mut self, step: StepId) {
        let Some(item) = self.items.get(&self.schedule.step(step).address).copied() else { return };
        // No step of this run can fix what kept the resource from being read.
        if let Some(failure) = &item.failure {
            self.fail(step, failure.clone());
            return;
        }
        let kind = self.schedule.step(step).kind;
        let node = self.run.graph.get(&item.address);
        let Some(driver) =
            node.map(|node| node.driver.clone()).or_else(|| self.run.drivers.driver(item.address.kind()))
        else {
            let failure = Failure::new(Class::Internal, format!("no driver for `{}`", item.address.kind()));
            self.finished(step, Err(failure));
            return;
        };
        let desired = match (node, kind) {
            (Some(node), StepKind::Apply) => reference::resolve(&node.desired, &|of, output| self.output(of, output)),
            _ => Properties::new(),
        };
        if desired.values().any(reference::is_unresolved) {
            self.wait_for_output(step);
            return;
        }
        let job = self.job(step, item, driver, desired);
        if kind == StepKind::Apply && job.live.is_some() && job.entry.as_ref().is_some_and(|entry| entry.id.is_some()) {
            // An earlier run has recorded it: a dependent that needs it only to exist need not wait until it is ready.
            self.schedule.mark_reached(step, Need::Exists);
        }
        if !self.schedule.step(step).was_put_back {
            self.run.events.emit(Event::Started {
                address: item.address.clone(),
                region: item.region.clone(),
                action: action_of(kind, item),
                expected: expected(kind, item, &*job.driver),
            });
        }
        let handle = CoordinatorHandle::new(step, self.sender.clone());
        let worker = Worker::new(job, handle, self.shutdown.clone());
        let task = self.tasks.spawn(async move {
            let result = match kind {
                StepKind::Delete => worker.delete().await.map(|()| None),
                StepKind::Apply => worker.apply().await.map(Some),
            };
            Finished { step, result }
        });
        self.schedule.set_task(step, task.id());
    }

    fn job(&self, step: StepId, item: &Item, driver: Arc<dyn Driver>, desired: Properties) -> Job {
        let kind = self.schedule.step(step).kind;
        let entry = self.store.resources().get(&item.address).cloned();
        let depends_on = match (&entry, kind) {
            (Some(entry), StepKind::Delete) => entry.depends_on.clone(),
            _ => item.depends_on.clone(),
        };
        // Of a replacement, what the plan saw has just been deleted.
        let is_gone = kind == StepKind::Apply && item.action == Action::Replace;
        let has_updated_target = || {
            let needs = self.run.graph.needs(&item.address);
            needs.iter().any(|(on, need)| *need != Need::Outlives && self.updated.contains(on))
        };
        Job {
            address: item.address.clone(),
            region: Region::from(item.region.as_str()),
            driver,
            desired,
            depends_on,
            entry,
            live: if is_gone { None } else { item.live.clone() },
            is_live_outdated: kind == StepKind::Apply && has_updated_target(),
            unsupported: item.unsupported.clone(),
            timing: self.run.options.timing,
            adopt: self.run.options.adopt,
            dependencies_are_ready: self.schedule.dependencies_are_ready(step),
            is_id_used_early: self.schedule.is_id_used_early(step),
        }
    }

    /// A target of the step exists, and shows the output that the step refers to only later.
    fn wait_for_output(&mut self, step: StepId) {
        match self.schedule.defer_until_output(step) {
            Deferral::Deferred | Deferral::Requeued => {}
            Deferral::DependencyFailed(dependency) => self.give_up(step, dependency),
            Deferral::NothingToWaitFor => {
                let failure = Failure::new(Class::Internal, "it refers to an output that its target does not have");
                self.finished(step, Err(failure));
            }
        }
    }

    /// An output as it is known now: as this run has recorded it, or else as the plan saw it, which is more recent than the state.
    fn output(&self, of: &Address, output: &str) -> Option<String> {
        let seen = || {
            let item = self.items.get(of).filter(|item| matches!(item.action, Action::Record | Action::Update))?;
            item.live.as_ref()?.output(output)
        };
        let recorded = || self.store.resources().get(of).and_then(|entry| entry.output(output));
        if self.recorded.contains(of) { recorded() } else { seen().or_else(recorded) }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Record { step, transition, acknowledgement } => {
                self.recorder.push(Record { step, transition: *transition, acknowledgement });
            }
            Message::Awaits { step, awaited, acknowledgement } => {
                let in_vain = self.failed_among(step, &awaited);
                let answer = match in_vain {
                    Some(dependency) => {
                        self.in_vain.insert(step, dependency);
                        Err(Failure::new(Class::NotYet, "a step that it waits for has failed"))
                    }
                    None => Ok(()),
                };
                // If the worker has ended, nothing waits for this.
                drop(acknowledgement.send(answer));
            }
            Message::ReleaseSlot { step } => self.schedule.release_slot(step),
            Message::Event(event) => self.run.events.emit(*event),
        }
    }

    /// A step that has failed or was skipped, of those that a step is about to wait for.
    fn failed_among(&self, step: StepId, awaited: &Awaited) -> Option<StepId> {
        let has_arn = |item: &&Item, arn: &str| {
            let seen = item.live.as_ref().and_then(|live| live.arn.as_deref());
            let recorded = || self.store.resources().get(&item.address).and_then(|entry| entry.arn.as_deref());
            seen.or_else(recorded) == Some(arn)
        };
        match awaited {
            Awaited::Arn(arn) => {
                let item = self.run.plan.items.iter().find(|item| has_arn(item, arn))?;
                self.schedule.steps_of(&item.address).apply.filter(|other| self.schedule.has_failed(*other))
            }
            Awaited::Users(outputs) => {
                let own = self.run.graph.get(&self.schedule.step(step).address)?;
                let is_alike = |of: &Address| {
                    let other = self.run.graph.get(of).filter(|_| of.kind() == own.address.kind());
                    other.is_some_and(|other| untagged(&other.desired).eq(untagged(&own.desired)))
                };
                let uses = |node: &&Arc<Node>| {
                    let mut found = node.desired.values().flat_map(reference::references_in);
                    found.any(|found| outputs.contains(&found.output.as_str()) && is_alike(&found.of))
                };
                let users = self.run.graph.nodes().filter(uses);
                let mut steps = users.filter_map(|user| self.schedule.steps_of(&user.address).apply);
                steps.find(|user| self.schedule.has_failed(*user))
            }
        }
    }

    fn committed(&mut self, durable: Vec<Durable>) {
        self.stop_if_state_is_lost();
        for record in &durable {
            let kind = self.schedule.step(record.step).kind;
            if kind == StepKind::Apply && record.status.is_none() {
                // Its creation came to nothing and is repeated: what was built on it refers to something that no longer exists.
                self.schedule.invalidate(record.step);
            }
            if kind == StepKind::Delete && record.status == Some(Status::Ready) {
                self.kept.insert(record.address.clone());
            }
            self.recorded.insert(record.address.clone());
        }
        for record in durable {
            match (self.schedule.step(record.step).kind, &record.status) {
                (StepKind::Apply, Some(Status::Created)) => self.schedule.mark_reached(record.step, Need::Exists),
                (StepKind::Apply, Some(Status::Ready)) | (StepKind::Delete, None) => {
                    self.schedule.mark_reached(record.step, Need::Ready);
                }
                _ => {}
            }
            self.schedule.resume_dependents(record.step);
            record.acknowledge();
        }
    }

    fn finished(&mut self, step: StepId, result: Result<Option<Applied>, Failure>) {
        let failure = match result {
            Ok(applied) => {
                self.succeeded(step, applied);
                return;
            }
            Err(failure) => failure,
        };
        if failure.class == Class::Interrupted {
            self.schedule.interrupt(step);
        } else if let Some(dependency) = self.in_vain.remove(&step) {
            self.give_up(step, dependency);
        } else if self.schedule.step(step).is_outdated {
            // Whatever the reason for its failure, it was started with something that no longer exists.
            self.schedule.restart_once_restored(step);
        } else if failure.class == Class::NotYet {
            self.refused_as_too_early(step, failure);
        } else {
            self.fail(step, failure);
        }
    }

    fn succeeded(&mut self, step: StepId, applied: Option<Applied>) {
        // The deletion of a resource without a record has nothing to make durable.
        self.schedule.mark_reached(step, Need::Ready);
        if self.schedule.step(step).is_outdated {
            self.schedule.restart_once_restored(step);
            return;
        }
        let Some((address, action)) = self.describe(step) else { return };
        if action == Action::Update {
            self.updated.insert(address.clone());
        }
        let took = self.schedule.step(step).elapsed();
        if self.schedule.finish(step, took) {
            let (id, restored) = applied.map_or((None, false), |applied| (Some(applied.id), applied.restored));
            self.run.events.emit(Event::Done { address, action, id, restored, took });
        }
    }

    /// AWS says that something the step refers to is not available yet.
    fn refused_as_too_early(&mut self, step: StepId, failure: Failure) {
        match self.schedule.defer_until_ready(step) {
            Deferral::Deferred => {
                let address = self.schedule.step(step).address.clone();
                let on = format!("what it refers to: {}", failure.message);
                self.run.events.emit(Event::Waiting { address, on });
            }
            Deferral::Requeued => {}
            Deferral::DependencyFailed(dependency) => self.give_up(step, dependency),
            Deferral::NothingToWaitFor => self.fail(step, failure),
        }
    }

    fn fail(&mut self, step: StepId, failure: Failure) {
        let Some((address, action)) = self.describe(step) else { return };
        let took = self.schedule.step(step).elapsed();
        let skipped = self.schedule.fail(step, failure.clone());
        self.run.events.emit(Event::Failed { address: address.clone(), action, failure, took });
        self.skipped(&skipped, &address);
    }

    /// The dependency of this step will never become ready, so the step is skipped for the same reason.
    fn give_up(&mut self, step: StepId, dependency: StepId) {
        let (because, skipped) = self.schedule.give_up(step, dependency);
        self.skipped(&skipped, &because);
    }

    fn skipped(&self, steps: &[StepId], because: &Address) {
        for step in steps {
            let address = &self.schedule.step(*step).address;
            // The other step of the resource that failed needs no event of its own.
            if address != because {
                self.run.events.emit(Event::Skipped { address: address.clone(), because: because.clone() });
            }
        }
    }

    /// The resource of a step, and its action.
    fn describe(&self, step: StepId) -> Option<(Address, Action)> {
        let step = self.schedule.step(step);
        let item = self.items.get(&step.address)?;
        Some((step.address.clone(), action_of(step.kind, item)))
    }

    fn report(self, began: Instant) -> Report {
        let took = began.elapsed();
        let mut report = Report::of_schedule(self.run.plan, &self.schedule);
        report.interrupted = self.is_interrupted;
        report.state = self.recorder.into_error();
        report.took = took;
        report.critical_path = critical_path(&self.schedule, began);
        report.kept =
            self.run.plan.items.iter().map(|item| &item.address).filter(|a| self.kept.contains(*a)).cloned().collect();
        report
    }
}

/// What is desired of a resource, apart from its tags, which no two resources have in common.
fn untagged(desired: &Properties) -> impl Iterator<Item = (&String, &Value)> {
    desired.iter().filter(|(property, _)| *property != TAGS)
}
