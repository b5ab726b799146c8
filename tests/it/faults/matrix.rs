//! The matrices: the real binary is killed with SIGKILL before and after every call that changes something and after every
//! durable write of its state; and the answer of every such call is lost. Then the same command runs again, and what exists is
//! what an undisturbed run leaves: nothing twice, nothing left behind, nothing unknown.
//!
//! `cargo test` tries points that are spread over the whole range. To try all of them with three seeds, best with a release build
//! in `DRCTL_BINARY`:
//!
//!     DRCTL_MATRIX=full DRCTL_SEEDS=1,2,3 cargo test -p drctl --test it matrix -- --nocapture
//!
//! The results are in docs/reliability.md.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::refusals::{self, Refusal};
use super::shim::Shim;
use drctl_testkit::harness::{self, Shared, Stack};
use drctl_testkit::life::assert_complete;
use drctl_testkit::survey::{Survey, survey};

pub const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];
pub const UP: [&str; 2] = ["up", "--yes"];
pub const DOWN: [&str; 3] = ["down", "--yes", "--no-final-snapshot"];

/// How and where a run is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Killed before the n-th call that changes something is carried out.
    Before(usize),
    /// Killed after the n-th such call has been carried out, and before its answer arrives.
    After(usize),
    /// Killed after the n-th durable operation on the state.
    Recorded(usize),
    /// The n-th such call is carried out, and its answer is lost.
    Lost(usize),
    /// One such call is refused: see `refusals.rs`.
    Refused(&'static Refusal),
}

/// How much an undisturbed run of a command does.
#[derive(Debug, Clone, Copy)]
struct Extent {
    mutations: usize,
    operations: usize,
}

impl Extent {
    fn kills(self) -> Vec<Point> {
        let calls = (1..=self.mutations).flat_map(|number| [Point::Before(number), Point::After(number)]);
        calls.chain((1..=self.operations).map(Point::Recorded)).collect()
    }

    fn losses(self) -> Vec<Point> {
        (1..=self.mutations).map(Point::Lost).collect()
    }
}

/// How a matrix is run: with all points or a few, with which seed, and with how many workers.
pub struct Matrix {
    full: bool,
    seed: u64,
    workers: usize,
}

/// The results of the points.
#[derive(Debug, Default)]
struct Tally {
    points: usize,
    converged: usize,
    /// Points that were not reached: a run that writes more records together has fewer writes than another.
    absent: usize,
    /// The calls among them. Every run makes the same calls.
    absent_calls: usize,
    failures: Vec<String>,
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

pub fn seeds() -> Vec<u64> {
    let text = std::env::var("DRCTL_SEEDS").unwrap_or_else(|_| "1".to_owned());
    text.split(',')
        .map(|seed| seed.trim().parse().expect("DRCTL_SEEDS is a list of numbers with commas between them"))
        .collect()
}

/// Faults that change only the order in which answers arrive: another seed gives another order.
fn jitter(seed: u64) -> String {
    format!(
        "\n[[fault]]\nchance = 0.2\nseconds = 0.01\ndoes = \"slow\"\n[[fault]]\nchance = 0.1\nseconds = 0.04\ndoes = \"slow\"\n# {seed}"
    )
}

pub fn faults(seed: u64, fault: &str) -> String {
    format!("seed = {seed}\n{fault}{}", jitter(seed))
}

fn strike(does: &str, at: usize) -> String {
    format!("[[fault]]\nkind = \"mutation\"\nat = {at}\ndoes = \"{does}\"\n")
}

/// Starts a process, and a thread that waits for its end and then lifts the stack's faults, so that nothing waits for a
/// call that will not come.
fn start(stack: &Arc<Stack>, mut command: Command) -> (u32, std::thread::JoinHandle<ExitStatus>) {
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let (pid, stack) = (child.id(), Arc::clone(stack));
    let waiter = std::thread::spawn(move || {
        let status = child.wait().expect("its end");
        stack.no_faults();
        status
    });
    (pid, waiter)
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}

/// Disturbs the command at the point. Returns whether the point was reached.
fn disturb(stack: &Arc<Stack>, args: &[&str], point: Point, seed: u64) -> bool {
    match point {
        Point::Before(at) | Point::After(at) => {
            let does = if matches!(point, Point::Before(_)) { "hold-before" } else { "hold-after" };
            stack.faults(&faults(seed, &strike(does, at)));
            let (pid, waiter) = start(stack, stack.command(args));
            let came = stack.held()["held"].as_u64() > Some(0);
            if came {
                kill(pid);
            }
            waiter.join().expect("its end");
            came
        }
        Point::Recorded(at) => {
            stack.faults(&faults(seed, ""));
            let status = Shim::new().killed_after(at).run(stack, args).code;
            stack.no_faults();
            status.is_none()
        }
        Point::Lost(at) => {
            stack.faults(&faults(seed, &strike("lose-answer", at)));
            // A lost answer is not a reason to fail: the run resolves it by itself.
            stack.run(args).exits(0);
            stack.no_faults()["faults"][0][1].as_u64() > Some(0)
        }
        Point::Refused(refusal) => refusals::refuse(stack, args, refusal, seed),
    }
}

fn count(stack: &Arc<Stack>, args: &[&str]) -> Extent {
    let before = stack.calls().len();
    let totals = Shim::new().count(stack, args);
    let mutations = stack.calls()[before..].iter().filter(|call| is_mutation(call)).count();
    Extent { mutations, operations: totals.operations }
}

/// Whether a call changes something, by the same rule as in the sandbox.
pub fn is_mutation(call: &serde_json::Value) -> bool {
    let operation = call["operation"].as_str().expect("an operation");
    let reads = ["Describe", "List", "Get", "Head", "GET ", "HEAD "].iter().any(|start| operation.starts_with(start));
    call["service"] != "unsigned" && !reads
}

impl Matrix {
    pub fn new(seed: u64) -> Self {
        let full = std::env::var("DRCTL_MATRIX").is_ok_and(|which| which == "full");
        Self { full, seed, workers: number("DRCTL_WORKERS", if full { 2 } else { 1 }) }
    }

    /// All points, or a few that are spread over them and include both ends; other ones for each seed.
    pub fn choose(&self, points: Vec<Point>, few: usize) -> Vec<Point> {
        if self.full || points.len() <= few {
            return points;
        }
        let last = points.len() - 1;
        (0..few)
            .map(|index| points[(index * last / (few - 1) + usize::try_from(self.seed).unwrap_or(0)).min(last)])
            .collect()
    }

    /// Takes each pair of points through a life: `up` disturbed at its point, `up` again, `down` disturbed at its point,
    /// `down` again.
    pub fn play(&self, name: &str, ups: &[Point], downs: &[Point], expected: &Survey) {
        let began = Instant::now();
        let length = ups.len().max(downs.len());
        let points = ups.len() + downs.len();
        let of = |points: &[Point], index: usize| points.get(index).copied();
        let lives: VecDeque<_> = (0..length).map(|index| (of(ups, index), of(downs, index))).collect();
        let (lives, tally) = (Mutex::new(lives), Mutex::new(Tally { points, ..Tally::default() }));
        std::thread::scope(|scope| {
            for _ in 0..self.workers {
                scope.spawn(|| self.work(name, &lives, &tally, expected));
            }
        });
        let tally = tally.into_inner().expect("the tally");
        let came = tally.points - tally.absent;
        println!(
            "{name}: {came} points, {} converged (seed {}; {} points were not reached, {} of them calls; {} s)",
            tally.converged,
            self.seed,
            tally.absent,
            tally.absent_calls,
            began.elapsed().as_secs()
        );
        assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
        assert_eq!(tally.converged, came);
        // Answers in another order may cause a repetition more or less.
        assert!(tally.absent_calls * 50 <= tally.points, "{} calls were not reached", tally.absent_calls);
    }

    fn work(
        &self,
        name: &str,
        lives: &Mutex<VecDeque<(Option<Point>, Option<Point>)>>,
        tally: &Mutex<Tally>,
        expected: &Survey,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // Each worker has a sandbox of its own, and now and then a new one, so that none grows too large.
        let mut sandbox: Option<(Shared, usize)> = None;
        loop {
            let Some((up, down)) = lives.lock().expect("the lives").pop_front() else { return };
            if self.full && sandbox.as_ref().is_none_or(|(_, lived)| *lived >= 40) {
                drop(sandbox.take());
                sandbox = Some((harness::start(&[]), 0));
            }
            let stack = Arc::new(match &mut sandbox {
                Some((sandbox, lived)) => {
                    *lived += 1;
                    Stack::at(&sandbox.endpoint)
                }
                None => Stack::new(),
            });
            let mut steps = vec![(&UP[..], up, expected.clone()), (&DOWN[..], down, Survey::new())];
            if down.is_none() {
                steps.truncate(1);
            }
            for (args, point, expected) in steps {
                let step = || self.step(&runtime, &stack, args, point, &expected);
                let came = catch_unwind(AssertUnwindSafe(step));
                let Some(point) = point else {
                    if let Err(panic) = came {
                        tally.lock().expect("the tally").failures.push(format!("{name}: {args:?}: {}", text(&*panic)));
                        break;
                    }
                    continue;
                };
                let mut tally = tally.lock().expect("the tally");
                match came {
                    Ok(true) => tally.converged += 1,
                    Ok(false) => {
                        tally.absent += 1;
                        tally.absent_calls += usize::from(!matches!(point, Point::Recorded(_)));
                    }
                    Err(panic) => {
                        let failure = format!("{name}, seed {}: {} {point:?}: {}", self.seed, args[0], text(&*panic));
                        println!("{failure}");
                        tally.failures.push(failure);
                        break;
                    }
                }
                let done = tally.converged + tally.absent + tally.failures.len();
                if done.is_multiple_of(50) {
                    println!("{name}: {done} of {} points (seed {})", tally.points, self.seed);
                }
            }
        }
    }

    /// Disturbs one command at its point and runs it again; what exists then is as expected. Returns whether the point was
    /// reached.
    fn step(
        &self,
        runtime: &tokio::runtime::Runtime,
        stack: &Arc<Stack>,
        args: &[&str],
        point: Option<Point>,
        expected: &Survey,
    ) -> bool {
        let came = point.is_none_or(|point| disturb(stack, args, point, self.seed));
        if matches!(point, Some(Point::Refused(_))) {
            runtime.block_on(refusals::assert_reports_are_true(stack));
        }
        if !matches!(point, Some(Point::Lost(_))) || !came {
            stack.run(args).exits(0);
        }
        let found = runtime.block_on(survey(stack, REGIONS));
        assert!(found == *expected, "{}", difference(expected, &found));
        if !expected.is_empty() {
            stack.run(&["plan", "--detailed-exitcode"]).exits(0);
        }
        came
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn difference(expected: &Survey, found: &Survey) -> String {
    let mut text = "what exists is not what an undisturbed run leaves:".to_owned();
    for key in expected.keys().chain(found.keys()) {
        if expected.get(key) != found.get(key) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {key}: {:?} instead of {:?}", found.get(key), expected.get(key));
        }
    }
    text
}

/// What an undisturbed `up` builds, and how much an `up` and a `down` do.
async fn undisturbed() -> (Survey, Extent, Extent) {
    let stack = Arc::new(Stack::new());
    let up = count(&stack, &UP);
    let expected = survey(&stack, REGIONS).await;
    assert_complete(&expected, REGIONS);
    let down = count(&stack, &DOWN);
    (expected, up, down)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_call_or_record_converges() {
    let (expected, up, down) = undisturbed().await;
    println!("up: {up:?}; down: {down:?}");
    for seed in seeds() {
        let matrix = Matrix::new(seed);
        let (ups, downs) = (matrix.choose(up.kills(), 7), matrix.choose(down.kills(), 7));
        tokio::task::block_in_place(|| matrix.play("killed", &ups, &downs, &expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lost_answer_is_resolved_by_the_run_itself() {
    let (expected, up, down) = undisturbed().await;
    for seed in seeds() {
        let matrix = Matrix::new(seed);
        let (ups, downs) = (matrix.choose(up.losses(), 5), matrix.choose(down.losses(), 5));
        tokio::task::block_in_place(|| matrix.play("answers lost", &ups, &downs, &expected));
    }
}
