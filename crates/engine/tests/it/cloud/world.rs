//! A stack in the cloud of [`super`], its state on disk, and runs that come to their end or are cut off.

use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use drctl_engine::cancel::{Shutdown, shutdown};
use drctl_engine::state::{Address, Identity, Location, Regions, Role, Snapshot, StateError, Status, Store};
use drctl_engine::{
    Consent, Decision, Drivers as _, Event, Graph, Node, Observer, Options, Outcome, Plan, Properties, Ref, Report,
    Run, TAGS, Timing,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::{Call, Cloud, Crash, NODE, OURS, Picture, STACK, is_tagged};

/// The Region of [`Role::Primary`].
pub const EAST: &str = "east";
/// The Region of [`Role::Secondary`].
pub const WEST: &str = "west";

/// No run takes that long: whatever does will never end.
const A_DAY: Duration = Duration::from_hours(24);

/// Something that shall be.
#[derive(Debug, Clone)]
pub struct Want {
    role: Role,
    kind: &'static str,
    name: String,
    properties: Properties,
}

impl Want {
    /// With every property that a reference can go into, empty where there is none: what is not desired is not compared, and a
    /// reference could not be dropped.
    pub fn whole(mut self) -> Self {
        for property in ["inside", "holds", "uses"] {
            self.properties.entry(property).or_insert_with(|| json!([]));
        }
        self.properties.entry("endpoint").or_insert_with(|| json!(""));
        self
    }

    /// In the east.
    pub fn new(kind: &'static str, name: &str) -> Self {
        let mut properties = Properties::new();
        properties.insert("name".to_owned(), json!(name));
        properties.insert("size".to_owned(), json!(1));
        properties.insert("shape".to_owned(), json!("round"));
        Self { role: Role::Primary, kind, name: name.to_owned(), properties }
    }

    /// In the west.
    pub fn west(mut self) -> Self {
        self.role = Role::Secondary;
        self
    }

    /// Of another size: changed in place.
    pub fn size(mut self, size: u64) -> Self {
        self.properties.insert("size".to_owned(), json!(size));
        self
    }

    /// Of another shape: forces a replacement.
    pub fn shape(mut self, shape: &str) -> Self {
        self.properties.insert("shape".to_owned(), json!(shape));
        self
    }

    /// To be opened before it can be deleted, as a member leaves its group and a bucket is emptied first.
    pub fn sealed(mut self) -> Self {
        self.properties.insert("sealed".to_owned(), json!(true));
        self
    }

    /// Gone by itself one day, and deleted by nobody.
    pub fn fleeting(mut self) -> Self {
        self.properties.insert("fleeting".to_owned(), json!(true));
        self
    }

    /// Needed by something that stays: its deletion keeps it.
    pub fn kept(mut self) -> Self {
        self.properties.insert("kept".to_owned(), json!(true));
        self
    }

    /// Deleted days after it was ordered.
    pub fn scheduled(mut self) -> Self {
        self.properties.insert("scheduled".to_owned(), json!(true));
        self
    }

    /// Lying in something for life, once that is ready.
    pub fn inside(self, other: &Self) -> Self {
        let id = Ref::output(other.address(), "id");
        self.refer("inside", &id)
    }

    /// Referring to something that cannot be deleted as long as it does; may be changed.
    pub fn holds(self, other: &Self) -> Self {
        let id = Ref::output(other.address(), "id");
        self.refer("holds", &id)
    }

    /// Referring to something, once that is ready; may be changed.
    pub fn uses(self, other: &Self) -> Self {
        let id = Ref::output(other.address(), "id");
        self.refer("uses", &id)
    }

    /// Referring to something as soon as that exists; may be changed.
    pub fn uses_early(self, other: &Self) -> Self {
        let id = Ref::output(other.address(), "id").exists();
        self.refer("uses", &id)
    }

    /// Made after something, without referring to it.
    pub fn after(self, other: &Self) -> Self {
        let id = Ref::output(other.address(), "id");
        self.refer("after", &id)
    }

    /// Gone before something is, and not waiting for it.
    pub fn outlived_by(self, other: &Self) -> Self {
        let id = Ref::output(other.address(), "id").outlives();
        self.refer("after", &id)
    }

    /// Holding an output that something shows while it is still being made.
    pub fn proof(mut self, of: &Self) -> Self {
        let proof: Ref<()> = Ref::output(of.address(), "proof").exists();
        self.properties.insert("endpoint".to_owned(), serde_json::to_value(proof).expect("a marker"));
        self
    }

    /// Holding an output of something that is content with existing, though the output comes only when that is ready.
    pub fn endpoint(mut self, of: &Self) -> Self {
        let endpoint: Ref<()> = Ref::output(of.address(), "endpoint").exists();
        self.properties.insert("endpoint".to_owned(), serde_json::to_value(endpoint).expect("a marker"));
        self
    }

    fn refer(mut self, property: &str, to: &Ref<()>) -> Self {
        let marker = serde_json::to_value(to).expect("a marker");
        match self.properties.get_mut(property) {
            Some(Value::Array(list)) => list.push(marker),
            _ => drop(self.properties.insert(property.to_owned(), json!([marker]))),
        }
        self
    }

    /// Its address.
    pub fn address(&self) -> Address {
        Address::new(self.role, self.kind, &self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The Region of a role.
pub fn region(role: Role) -> &'static str {
    if role == Role::Secondary { WEST } else { EAST }
}

/// Where a run is cut off.
#[derive(Debug, Clone)]
pub enum Stop {
    /// At a call.
    At(Crash),
    /// When this many records of the run are durable, and nobody has been told of the last one.
    Records(usize),
}

/// A run that came to its end.
#[derive(Debug)]
pub struct Ran {
    pub plan: Plan,
    pub report: Report,
    pub began: Instant,
    pub took: Duration,
    pub events: Vec<(Instant, Event)>,
}

impl Ran {
    /// How one came out.
    pub fn outcome(&self, of: &Want) -> Outcome {
        let found = self.report.outcomes.iter().find(|(address, _, _)| *address == of.address());
        found.unwrap_or_else(|| panic!("{} is in the report: {:#?}", of.address(), self.report.outcomes)).2.clone()
    }

    /// How long after the beginning one was done.
    pub fn done_after(&self, what: &Want) -> Duration {
        let done = |event: &Event| matches!(event, Event::Done { address, .. } if *address == what.address());
        let found = self.events.iter().rfind(|(_, event)| done(event));
        found.unwrap_or_else(|| panic!("{} was done: {:#?}", what.address(), self.report)).0 - self.began
    }

    /// The names of what failed by itself.
    pub fn failed(&self) -> Vec<String> {
        self.report.failures().map(|(address, _, _)| address.name().to_owned()).collect()
    }
}

/// A stack, its cloud and its state.
pub struct World {
    pub cloud: Cloud,
    pub options: Options,
    folder: TempDir,
}

impl World {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::around(Cloud::new())
    }

    fn around(cloud: Cloud) -> Self {
        // The crash tests make thousands of fsyncs: in memory they cost nothing, and what they promise is not under test.
        let memory = Path::new("/dev/shm");
        let builder = &mut tempfile::Builder::new();
        let builder = builder.prefix("drctl-engine-");
        let folder = if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() };
        let options = Options { cap: 8, timing: Timing::default(), adopt: false };
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

    /// Where its state lies.
    pub fn location(&self) -> Location {
        Location::new(self.folder.path(), "pay-test")
    }

    /// Its state, opened for writing.
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
                // A child that another test is just starting inherits the lock's file until it becomes its program.
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

    /// The status and id that the state holds of one.
    pub fn recorded(&self, what: &Want) -> Option<(Status, Option<String>)> {
        let entry = self.state()?.resources.remove(&what.address())?;
        Some((entry.status, entry.id))
    }

    /// The graph of what shall be, in this world's cloud.
    pub fn graph(&self, wants: &[Want]) -> Graph {
        let mut graph = Graph::new();
        for want in wants {
            let address = want.address();
            let mut desired = want.properties.clone();
            if is_tagged(want.kind) {
                desired.insert(TAGS.to_owned(), json!({STACK: OURS, NODE: address.to_string()}));
            }
            let driver = self.cloud.driver(want.kind).expect("a type of this cloud");
            graph.add(Node { address, region: region(want.role).into(), driver, desired }).expect("a graph");
        }
        graph
    }

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
    pub async fn carry_out(&self, graph: &Graph, store: &mut Store, shutdown: Shutdown) -> Ran {
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
        Ran { plan, report, began, took, events }
    }

    /// `up`, undisturbed by signals.
    pub async fn up(&self, wants: &[Want]) -> Ran {
        let (_trigger, shutdown) = shutdown();
        self.carry_out(&self.graph(wants), &mut self.store(), shutdown).await
    }

    /// `up`, with signals after some time.
    pub async fn up_interrupted(&self, wants: &[Want], signals: &[Duration]) -> Ran {
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
    pub async fn up_interrupted_at(&self, wants: &[Want], mutation: usize, signals: usize) -> Ran {
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

    /// `down`: the state is all it has.
    pub async fn down(&self) -> Ran {
        self.up(&[]).await
    }

    /// A run that is killed. Returns whether it was: it may have come to its end before.
    ///
    /// Nothing of it goes on: its tasks are dropped, the cloud answers none of its calls, and what its journal held
    /// then is all that is left of it.
    pub async fn crash(&self, wants: &[Want], stop: Stop) -> bool {
        let graph = self.graph(wants);
        let journal = self.location().journal();
        if let Stop::At(crash) = &stop {
            self.cloud.arm(crash.clone());
        }
        let enough = || matches!(stop, Stop::Records(count) if whole_lines(&journal) > count);
        let killed = {
            let mut store = self.store();
            let (_trigger, shutdown) = shutdown();
            let alarm = self.cloud.alarm();
            let mut dead = pin!(alarm.notified());
            let mut work = pin!(self.carry_out(&graph, &mut store, shutdown));
            // Looked at before and after every turn of the coordinator: whoever waits for a record to be durable is
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

    /// Runs `up` once and checks that everything is then as in `expected`, in the cloud and in the state, and that a
    /// further plan finds nothing to do.
    pub async fn assert_converges(&self, wants: &[Want], expected: &Picture, context: &str) {
        let ran = self.up(wants).await;
        assert!(ran.report.is_success(), "{context}: the clean run succeeds: {:#?}", ran.report);
        assert_eq!(self.cloud.picture(), *expected, "{context}: the cloud is as after an undisturbed run");
        self.assert_sound(context);
        let plan = self.plan(&self.graph(wants), &self.store()).await;
        assert!(plan.is_empty() && plan.unknown().next().is_none(), "{context}: nothing is left to do: {plan:#?}");
    }

    /// Runs `down` once and checks that nothing is left, in the cloud and in the state.
    pub async fn assert_goes_down(&self, context: &str) {
        let ran = self.down().await;
        assert!(ran.report.is_success(), "{context}: the clean run succeeds: {:#?}", ran.report);
        assert_eq!(self.cloud.picture(), Picture::new(), "{context}: nothing is left in the cloud");
        let left = self.state().map(|state| state.resources).unwrap_or_default();
        assert!(left.is_empty(), "{context}: nothing is left in the state: {left:#?}");
    }

    /// Checks that cloud and state tell the same: no orphan, no phantom, no open intent. Duplicates are what
    /// [`Cloud::picture`] does not survive.
    pub fn assert_sound(&self, context: &str) {
        let entries = self.state().map(|state| state.resources).unwrap_or_default();
        let things = self.cloud.things();
        for thing in &things {
            let recorded =
                entries.values().any(|entry| entry.id.as_ref() == Some(&thing.id) && entry.region == thing.region);
            assert!(recorded, "{context}: {} is an orphan: {entries:#?}", thing.id);
        }
        for (address, entry) in &entries {
            let there = things.iter().any(|thing| entry.id.as_ref() == Some(&thing.id) && entry.region == thing.region);
            assert!(there, "{context}: {address} is a phantom: {entry:#?}");
            assert_eq!(entry.status, Status::Ready, "{context}: {address} has come to its end");
        }
    }
}

/// What an undisturbed `up` makes of it.
pub async fn undisturbed(wants: &[Want], prepare: impl Fn(&World)) -> Picture {
    let world = World::new();
    prepare(&world);
    let ran = world.up(wants).await;
    assert!(ran.report.is_success(), "undisturbed, it succeeds: {:#?}", ran.report);
    world.assert_sound("undisturbed");
    world.cloud.picture()
}

/// The lines of a journal; the first is its header.
fn whole_lines(journal: &Path) -> usize {
    // There is none before the first record and after the last.
    fs::read(journal).map_or(0, |bytes| bytes.split(|byte| *byte == b'\n').count() - 1)
}

/// Cuts a journal off in the middle of the line after the header and `records` records, as a crash does.
fn cut(journal: &Path, records: usize) {
    let bytes = fs::read(journal).expect("a journal");
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let whole = ends.nth(records).expect("as many records");
    let torn = whole + (bytes.len() - whole).min(40);
    let file = fs::OpenOptions::new().write(true).open(journal).expect("a journal");
    file.set_len(u64::try_from(torn).expect("a small file")).expect("cut off");
}

/// Waits until nobody writes to a journal any more: the thread that does outlives the run that was dropped.
fn closed(journal: &Path) {
    for _ in 0..5_000 {
        let Ok(open) = fs::read_dir("/proc/self/fd") else {
            // Not Linux: a write of a few kilobytes is over by then.
            std::thread::sleep(Duration::from_millis(50));
            return;
        };
        // A descriptor may be closed while the folder is being read: then it is not the one waited for.
        if !open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == journal)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} is still open", journal.display());
}

/// Counts what a run tells, from several threads.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<Vec<String>>>);

impl Tally {
    /// Takes one.
    pub fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What came together.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
