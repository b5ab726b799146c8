//! A stack in a [`Cloud`], its state on disk, and runs of it that come to their end or are cut off.

use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::cloud::{Call, Cloud, Contents, Crash, Resource};
use super::values::graph;
use super::want::{EAST, WEST, Want};
use crate::cancel::{Shutdown, shutdown};
use crate::graph::Graph;
use crate::observe::Observer;
use crate::plan::{Consent, Decision, Plan};
use crate::run::{Event, Outcome, Report, Run, RunOptions};
use crate::state::{Entry, Identity, Location, Regions, Snapshot, StateError, Status, Store};
use crate::timing::Timing;

/// No run takes that long: one that does will never end.
const A_DAY: Duration = Duration::from_hours(24);

/// Where a run is killed.
#[derive(Debug, Clone)]
pub enum Stop {
    /// At a call.
    At(Crash),
    /// When this many records of the run are durable, and the step of the last one has not been told.
    Records(usize),
}

/// A run that came to its end.
#[derive(Debug)]
pub struct RunResult {
    /// What was planned.
    pub plan: Plan,
    /// How it came out.
    pub report: Report,
    /// When it began, with the observation.
    pub began: Instant,
    /// How long it took, from the observation to the report.
    pub took: Duration,
    /// The events, each with its time.
    pub events: Vec<(Instant, Event)>,
}

impl RunResult {
    /// How one resource came out.
    pub fn outcome(&self, of: &Want) -> Outcome {
        let found = self.report.outcomes.iter().find(|(address, _, _)| *address == of.address());
        found.unwrap_or_else(|| panic!("{} is in the report: {:#?}", of.address(), self.report.outcomes)).2.clone()
    }

    /// How long after the beginning one resource was done.
    pub fn done_after(&self, what: &Want) -> Duration {
        let done = |event: &Event| matches!(event, Event::Done { address, .. } if *address == what.address());
        let found = self.events.iter().rfind(|(_, event)| done(event));
        found.unwrap_or_else(|| panic!("{} was done: {:#?}", what.address(), self.report)).0 - self.began
    }

    /// The names of the resources that failed by themselves, and not because of another one.
    pub fn failed(&self) -> Vec<String> {
        self.report.failures().map(|(address, _, _)| address.name().to_owned()).collect()
    }
}

/// A stack, its cloud and its state.
pub struct World {
    /// The cloud.
    pub cloud: Cloud,
    /// How its runs are carried out.
    pub options: RunOptions,
    folder: TempDir,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// The world at rest.
impl World {
    /// A world with nothing in it.
    pub fn new() -> Self {
        Self::around(Cloud::new())
    }

    fn around(cloud: Cloud) -> Self {
        // The crash tests call fsync thousands of times: in memory it costs nothing, and what it promises is not under test.
        let memory = Path::new("/dev/shm");
        let builder = &mut tempfile::Builder::new();
        let builder = builder.prefix("drctl-engine-");
        let folder = if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() };
        let options = RunOptions { cap: 8, timing: Timing::default(), adopt: false };
        Self { cloud, options, folder: folder.expect("a folder") }
    }

    /// Another world in the same condition.
    pub fn fork(&self) -> Self {
        let fork = Self { options: self.options, ..Self::around(self.cloud.fork()) };
        let (from, to) = (self.location(), fork.location());
        assert!(!from.journal().exists(), "only a world at rest can be forked");
        if from.snapshot().exists() {
            fs::copy(from.snapshot(), to.snapshot()).expect("copied");
        }
        fork
    }

    /// Where its state is.
    pub fn location(&self) -> Location {
        Location::new(self.folder.path(), "pay-test")
    }

    /// Its state, open for writing.
    pub fn store(&self) -> Store {
        let identity = Identity {
            stack: "pay".to_owned(),
            environment: "test".to_owned(),
            account: "123456789012".to_owned(),
            regions: Regions { primary: EAST.to_owned(), secondary: WEST.to_owned() },
        };
        let mut tries = 0;
        loop {
            match self.location().open(identity.clone(), "test") {
                // A child process that another test is starting inherits the lock's file until its program is executed.
                Err(StateError::Locked { .. }) if tries < 200 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return opened.expect("a sound state"),
            }
        }
    }

    /// Its state, read.
    pub fn state(&self) -> Option<Snapshot> {
        self.location().read().expect("a sound state")
    }

    /// The status and the id that the state holds of one resource.
    pub fn recorded(&self, what: &Want) -> Option<(Status, Option<String>)> {
        let entry = self.state()?.resources.remove(&what.address())?;
        Some((entry.status, entry.id))
    }

    /// The graph of desired resources, in this world's cloud.
    pub fn graph(&self, wants: &[Want]) -> Graph {
        graph(wants.iter().map(|want| want.node(&self.cloud)))
    }
}

/// Runs.
impl World {
    /// What there is to do.
    pub async fn plan(&self, graph: &Graph, store: &Store) -> Plan {
        let (entries, drivers) = (store.resources(), &self.cloud);
        let timeout = Duration::from_secs(10);
        let observed = Observer { graph, entries, drivers, timeout, adopt: self.options.adopt }.observe().await;
        Decision {
            graph,
            entries,
            drivers,
            observed: &observed,
            respect_unsupported: false,
            consent: &Consent::Everything,
        }
        .plan()
    }

    /// Plans and carries out, with an open state.
    pub async fn carry_out(&self, graph: &Graph, store: &mut Store, shutdown: Shutdown) -> RunResult {
        let events = Mutex::new(Vec::new());
        let collect = |event: Event| {
            events.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), event));
        };
        let began = Instant::now();
        let work = async {
            let plan = self.plan(graph, store).await;
            let run = Run { plan: &plan, graph, drivers: &self.cloud, options: self.options, events: &collect };
            let report = run.apply(store, shutdown).await;
            (plan, report)
        };
        let (plan, report) = timeout(A_DAY, work).await.expect("a run comes to its end");
        let took = began.elapsed();
        let events = events.into_inner().unwrap_or_else(PoisonError::into_inner);
        RunResult { plan, report, began, took, events }
    }

    /// `up`, without signals.
    pub async fn up(&self, wants: &[Want]) -> RunResult {
        let (_trigger, shutdown) = shutdown();
        self.carry_out(&self.graph(wants), &mut self.store(), shutdown).await
    }

    /// `up`, with signals after some time.
    pub async fn up_interrupted(&self, wants: &[Want], signals: &[Duration]) -> RunResult {
        let (trigger, shutdown) = shutdown();
        let signals = signals.to_vec();
        let began = Instant::now();
        let sender = tokio::spawn(async move {
            for signal in signals {
                tokio::time::sleep_until(began + signal).await;
                trigger.escalate();
            }
        });
        let ran = self.carry_out(&self.graph(wants), &mut self.store(), shutdown).await;
        sender.abort();
        ran
    }

    /// `up`, with signals at the mutation of this number.
    pub async fn up_interrupted_at(&self, wants: &[Want], mutation: usize, signals: usize) -> RunResult {
        let (trigger, shutdown) = shutdown();
        let seen = AtomicUsize::new(0);
        self.cloud.on_call(move |call: &Call| {
            if call.op.mutates() && seen.fetch_add(1, Ordering::Relaxed) == mutation {
                for _ in 0..signals {
                    trigger.escalate();
                }
            }
        });
        let ran = self.carry_out(&self.graph(wants), &mut self.store(), shutdown).await;
        self.cloud.heal();
        ran
    }

    /// `down`, which knows only the state.
    pub async fn down(&self) -> RunResult {
        self.up(&[]).await
    }

    /// A run that is killed. Returns whether it was: it may have come to its end before.
    ///
    /// Nothing of it goes on: its tasks are dropped, the cloud answers none of its calls, and all that is left of it is what its
    /// journal held at that moment.
    pub async fn crash(&self, wants: &[Want], stop: Stop) -> bool {
        let graph = self.graph(wants);
        let journal = self.location().journal();
        let died: Arc<Notify> = match &stop {
            Stop::At(crash) => self.cloud.crash_at(crash.clone()),
            Stop::Records(_) => Arc::default(),
        };
        let enough = || matches!(stop, Stop::Records(count) if whole_lines(&journal) > count);
        let killed = {
            let mut store = self.store();
            let (_trigger, shutdown) = shutdown();
            let mut dead = pin!(died.notified());
            let mut work = pin!(self.carry_out(&graph, &mut store, shutdown));
            // Looked at before and after every turn of the coordinator: the worker that waits for its record to be durable is
            // another task, and has no turn in between.
            poll_fn(|context| {
                if dead.as_mut().poll(context).is_ready() || enough() {
                    return Poll::Ready(true);
                }
                let ended = work.as_mut().poll(context).is_ready();
                if !ended && (dead.as_mut().poll(context).is_ready() || enough()) {
                    return Poll::Ready(true);
                }
                if ended { Poll::Ready(false) } else { Poll::Pending }
            })
            .await
        };
        closed(&journal);
        if killed && let Stop::Records(count) = stop {
            cut(&journal, count);
        }
        self.cloud.revive();
        killed
    }
}

/// Checks.
impl World {
    /// Runs `up` once and checks that everything is then as in `expected`, in the cloud and in the state, and that another plan finds
    /// nothing to do.
    pub async fn assert_converges(&self, wants: &[Want], expected: &Contents, context: &str) {
        let ran = self.up(wants).await;
        assert!(ran.report.is_success(), "{context}: the clean run succeeds: {:#?}", ran.report);
        assert_eq!(self.cloud.contents(), *expected, "{context}: the cloud is as after an undisturbed run");
        self.assert_sound(context);
        let plan = self.plan(&self.graph(wants), &self.store()).await;
        assert!(plan.is_empty() && plan.unknown().next().is_none(), "{context}: nothing is left to do: {plan:#?}");
    }

    /// Runs `down` once and checks that nothing is left, in the cloud and in the state.
    pub async fn assert_goes_down(&self, context: &str) {
        let ran = self.down().await;
        assert!(ran.report.is_success(), "{context}: the clean run succeeds: {:#?}", ran.report);
        assert_eq!(self.cloud.contents(), Contents::new(), "{context}: nothing is left in the cloud");
        let left = self.state().map(|state| state.resources).unwrap_or_default();
        assert!(left.is_empty(), "{context}: nothing is left in the state: {left:#?}");
    }

    /// Checks that cloud and state agree: no orphan, no phantom, and no open intent. [`Cloud::contents`] panics at duplicates.
    pub fn assert_sound(&self, context: &str) {
        let entries = self.state().map(|state| state.resources).unwrap_or_default();
        let resources = self.cloud.resources();
        for resource in &resources {
            let is_recorded =
                |entry: &Entry| entry.id.as_ref() == Some(&resource.id) && entry.region == resource.region;
            assert!(entries.values().any(is_recorded), "{context}: {} is an orphan: {entries:#?}", resource.id);
        }
        for (address, entry) in &entries {
            let is_this =
                |resource: &Resource| entry.id.as_ref() == Some(&resource.id) && entry.region == resource.region;
            assert!(resources.iter().any(is_this), "{context}: {address} is a phantom: {entry:#?}");
            assert_eq!(entry.status, Status::Ready, "{context}: {address} is ready");
        }
    }
}

/// What the cloud contains after an undisturbed `up`.
pub async fn undisturbed(wants: &[Want], prepare: impl Fn(&World)) -> Contents {
    let world = World::new();
    prepare(&world);
    let ran = world.up(wants).await;
    assert!(ran.report.is_success(), "undisturbed, it succeeds: {:#?}", ran.report);
    world.assert_sound("undisturbed");
    world.cloud.contents()
}

/// The whole lines of a journal, of which the first is its header.
fn whole_lines(journal: &Path) -> usize {
    // There is no journal before the first record and after the last.
    fs::read(journal).map_or(0, |bytes| bytes.split(|byte| *byte == b'\n').count() - 1)
}

/// Cuts off a journal in the middle of the line after the header and `records` records, as a crash does.
fn cut(journal: &Path, records: usize) {
    let bytes = fs::read(journal).expect("a journal");
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let whole = ends.nth(records).expect("as many records");
    let torn = whole + (bytes.len() - whole).min(40);
    let file = fs::OpenOptions::new().write(true).open(journal).expect("a journal");
    file.set_len(u64::try_from(torn).expect("a small file")).expect("cut off");
}

/// Waits until nothing writes to a journal any more: the thread that does outlives the run that was dropped.
fn closed(journal: &Path) {
    for _ in 0..5_000 {
        let Ok(open) = fs::read_dir("/proc/self/fd") else {
            // Not Linux: a write of a few kilobytes is over by then.
            std::thread::sleep(Duration::from_millis(50));
            return;
        };
        // A descriptor that is closed while the folder is being read is not the one waited for.
        if !open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == journal)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} is still open", journal.display());
}
