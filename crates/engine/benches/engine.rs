//! How the engine copes with large graphs. The operations of the nodes do nothing; the state is a real one, with journal and fsync.
//!
//! ```text
//! cargo bench --bench engine [-- 1000 10000 100000]
//! ```
//!
//! Each size runs in a process of its own, so that its peak memory is its own. The output is a Markdown table.
//!
//! The driver is not the one of `drctl_engine::testing`: that logs every call and searches its resources one by one, and would be what
//! is measured.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use drctl_engine::cancel::shutdown;
use drctl_engine::state::{Address, Identity, Location, Regions, Role, Store};
use drctl_engine::{
    Attempt, Change, Consent, Decision, Deletion, Driver, DriverRegistry, Event, Failure, Graph, Live, Node, Observer,
    Owner, Phase, Plan, Properties, Ref, Region, Run, RunOptions, Synced, Timing, TypeInfo, TypicalDurations,
};
use futures::future::{BoxFuture, FutureExt as _, ready};
use serde_json::json;

type Error = Box<dyn std::error::Error>;

/// As in a real run.
const CAP: usize = 256;
/// How many nodes a layer has: the graph is this wide, and as deep as its size makes it.
const WIDTH: usize = 500;
/// The sizes that are measured by default.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];
const INFO: TypeInfo = TypeInfo { patience: Duration::from_mins(1), ..TypeInfo::usual("nothing") };

/// A type of resource whose operations only remember what was created.
#[derive(Default)]
struct NoopDriver {
    created: AtomicUsize,
    resources: Mutex<HashMap<Region, HashMap<String, Live>>>,
}

impl NoopDriver {
    fn remember(&self, region: &Region, desired: &Properties, attempt: &Attempt) -> String {
        let id = format!("nothing-{:08x}", self.created.fetch_add(1, Ordering::Relaxed));
        let node = desired.get("node").and_then(|node| node.as_str()).and_then(|node| node.parse().ok());
        let live = Live {
            id: id.clone(),
            arn: Some(format!("arn:aws:nothing:{region}:123456789012:nothing/{id}")),
            phase: Phase::Ready,
            owner: Owner::Ours { node, attempt: Some(attempt.token.clone()) },
            properties: desired.clone(),
            outputs: BTreeMap::new(),
            goes_after: Vec::new(),
        };
        let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        resources.entry(region.clone()).or_default().insert(id.clone(), live);
        id
    }
}

/// The driver, and the registry that finds it.
#[derive(Default)]
struct NoopDrivers(Arc<NoopDriver>);

impl Driver for NoopDriver {
    fn traits(&self) -> &TypeInfo {
        &INFO
    }

    fn expected(&self, _: &Address) -> TypicalDurations {
        let second = Duration::from_secs(1);
        TypicalDurations { create: second, update: second, delete: second }
    }

    fn natural_id(&self, _: &Properties) -> Option<String> {
        None
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        let resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        ready(Ok(resources.get(region).into_iter().flat_map(HashMap::values).cloned().collect())).boxed()
    }

    fn search<'a>(&'a self, _: &'a Region, _: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        ready(Ok(None)).boxed()
    }

    fn read<'a>(&'a self, region: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        let resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        ready(Ok(resources.get(region).and_then(|resources| resources.get(id)).cloned())).boxed()
    }

    fn create<'a>(
        &'a self,
        region: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        ready(Ok(self.remember(region, desired, attempt))).boxed()
    }

    fn sync<'a>(
        &'a self,
        _: &'a Region,
        _: &'a Live,
        _: &'a Properties,
        _: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>> {
        ready(Ok(Synced::default())).boxed()
    }

    fn delete<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Deletion, Failure>> {
        let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resources) = resources.get_mut(region) {
            resources.remove(&live.id);
        }
        ready(Ok(Deletion::Requested)).boxed()
    }
}

impl DriverRegistry for NoopDrivers {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        (kind == INFO.kind).then(|| self.0.clone() as Arc<dyn Driver>)
    }
}

/// A graph in two Regions. Each node refers to one, two, or three nodes of the layer before its own, sometimes across the Regions.
fn graph(nodes: usize, drivers: &NoopDrivers) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut addresses: Vec<Address> = Vec::with_capacity(nodes);
    for number in 0..nodes {
        // Two nodes in turn, so that most references stay within their Region and some do not.
        let side = number / 2 % 2;
        let role = if side == 0 { Role::Primary } else { Role::Secondary };
        let address = Address::new(role, INFO.kind, &format!("n{number}"));
        let mut desired = Properties::new();
        desired.insert("node".to_owned(), json!(address.to_string()));
        desired.insert("cidr".to_owned(), json!("10.0.0.0/24"));
        desired.insert("tags".to_owned(), json!({"Name": format!("bench-{number}"), "drctl:stack": "bench"}));
        if let Some(layer) = number.checked_sub(WIDTH) {
            let uses: Vec<Ref<()>> = (0..=number % 3)
                // Spread over the layer by a stride that has no factor in common with its width.
                .map(|nth| &addresses[layer / WIDTH * WIDTH + (number + nth * 37) % WIDTH])
                .map(|target| Ref::output(target.clone(), "id"))
                .collect();
            desired.insert("uses".to_owned(), serde_json::to_value(uses)?);
        }
        addresses.push(address.clone());
        let driver = drivers.0.clone();
        graph.add(Node { address, region: REGIONS[side].into(), driver, desired })?;
    }
    Ok(graph)
}

async fn plan(graph: &Graph, store: &Store, drivers: &NoopDrivers) -> Plan {
    let entries = store.resources();
    let observer = Observer { graph, entries, drivers, timeout: Duration::from_mins(10), adopt: false };
    let observed = observer.observe().await;
    Decision { graph, entries, drivers, observed: &observed, respect_unsupported: false, consent: &Consent::Everything }
        .plan()
}

/// What was measured for one size.
struct Figures {
    first: Duration,
    second: Duration,
    journal: u64,
}

async fn measure(nodes: usize, folder: &Path) -> Result<Figures, Error> {
    let drivers = NoopDrivers::default();
    let graph = graph(nodes, &drivers)?;
    let at = Location::new(folder, "bench");
    let identity = Identity {
        stack: "bench".to_owned(),
        environment: "bench".to_owned(),
        account: "123456789012".to_owned(),
        regions: Regions { primary: REGIONS[0].to_owned(), secondary: REGIONS[1].to_owned() },
    };

    // The journal is deleted when it is folded. A second name keeps it, so that its size can be read.
    let (journal, kept) = (at.journal(), folder.join("journal-kept"));
    let linked = Once::new();
    let keep = |event: Event| {
        if matches!(event, Event::Done { .. }) {
            // If this fails, reading its size fails, too.
            linked.call_once(|| drop(std::fs::hard_link(&journal, &kept)));
        }
    };

    let began = Instant::now();
    let mut store = at.open(identity.clone(), "bench")?;
    let first_plan = plan(&graph, &store, &drivers).await;
    let options = RunOptions { cap: CAP, timing: Timing::default(), adopt: false };
    let run = Run { plan: &first_plan, graph: &graph, drivers: &drivers, options, events: &keep };
    let (_trigger, listener) = shutdown();
    let report = run.apply(&mut store, listener).await;
    drop(store);
    let first = began.elapsed();
    if !report.is_success() || first_plan.counts().add != nodes {
        return Err(format!("the first run did not create {nodes} nodes: {:?}", report.state).into());
    }
    let journal_size = std::fs::metadata(&kept)?.len();

    let began = Instant::now();
    let store = at.open(identity, "bench")?;
    let second_plan = plan(&graph, &store, &drivers).await;
    let second = began.elapsed();
    if !second_plan.is_empty() || second_plan.counts().unchanged != nodes {
        return Err(format!("the second run has something to do: {:?}", second_plan.counts()).into());
    }
    Ok(Figures { first, second, journal: journal_size })
}

/// The peak of this process's memory, in bytes. Linux only.
fn peak() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

/// In megabytes, to a tenth: the figure is no more precise than that.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// One row of the table, from the process that measured it.
fn row(nodes: usize) -> Result<String, Error> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Figures { first, second, journal } = runtime.block_on(measure(nodes, folder.path()))?;
    let per_node = first / u32::try_from(nodes)?;
    Ok(format!(
        "| {nodes} | {:.2} | {} | {:.2} | {} | {} |",
        first.as_secs_f64(),
        per_node.as_micros(),
        second.as_secs_f64(),
        megabytes(peak()?),
        megabytes(journal)
    ))
}

fn table(sizes: &[usize]) -> Result<(), Error> {
    let mut out = std::io::stdout();
    writeln!(out, "| nodes | first run, s | per node, µs | second run, s | peak memory, MB | journal, MB |")?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|")?;
    for size in sizes {
        let child = Command::new(std::env::current_exe()?).args(["--child", &size.to_string()]).output()?;
        if !child.status.success() {
            return Err(format!("{size} nodes: {}", String::from_utf8_lossy(&child.stderr)).into());
        }
        write!(out, "{}", String::from_utf8_lossy(&child.stdout))?;
        out.flush()?;
    }
    Ok(())
}

fn run() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, nodes] = arguments.as_slice()
        && flag == "--child"
    {
        writeln!(std::io::stdout(), "{}", row(nodes.parse()?)?)?;
        return Ok(());
    }
    // Cargo adds `--bench`.
    let sizes = arguments.iter().filter(|argument| *argument != "--bench").map(|size| size.parse());
    let sizes =
        sizes.collect::<Result<Vec<usize>, _>>().map_err(|_| "usage: cargo bench --bench engine [-- NODES...]")?;
    table(if sizes.is_empty() { &SIZES[..] } else { &sizes[..] })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}
