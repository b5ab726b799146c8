//! A bad disk, a concurrent run, a bad clock: the problem is reported, nothing is lost, nothing is created twice, and
//! running the same command again ends as if nothing had happened.
//!
//! `cargo test` tries a few moments of each kind; with `DRCTL_ALL_POINTS=1`, every write, sync, change and operation of a run.

use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::shim::{Shim, Totals};
use drctl_testkit::harness::Stack;
use drctl_testkit::life::assert_complete;
use drctl_testkit::survey::survey;

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];
const UP: [&str; 2] = ["up", "--yes"];
const DOWN: [&str; 3] = ["down", "--yes", "--no-final-snapshot"];

/// How the name of a new snapshot ends before it replaces the old one.
const NEW_SNAPSHOT: &str = ".json.new";

const DAY: i64 = 24 * 60 * 60;

/// Every run here takes only a few seconds: one that takes a minute waits for something that never comes.
const HANGS: Duration = Duration::from_mins(1);

/// What an undisturbed `up` and an undisturbed `down` do. How many lines share a write depends on how busy the machine is.
fn totals() -> &'static [Totals; 2] {
    static COUNTED: OnceLock<[Totals; 2]> = OnceLock::new();
    COUNTED.get_or_init(|| {
        let stack = Stack::new();
        let totals = [&UP[..], &DOWN[..]].map(|args| Shim::new().count(&stack, args));
        println!("an undisturbed `up` and `down`: {totals:#?}");
        totals
    })
}

/// The same fault at several of about `total` moments of a run: a few that are evenly spread and include the first one, or all.
/// One more is at the end, where the new snapshot is written: it is reached however many moments there are before it.
fn moments(total: usize, few: usize, fault: impl Fn(Shim, usize) -> Shim) -> Vec<Shim> {
    let all = std::env::var_os("DRCTL_ALL_POINTS").is_some();
    // A busy machine groups more lines into one write: a moment in the second half may not exist in another run.
    let points: Vec<usize> =
        if all { (1..=total).collect() } else { (0..few).map(|point| 1 + point * (total / 2) / few).collect() };
    let end = fault(Shim::new().since(NEW_SNAPSHOT), 1);
    points.into_iter().map(|n| fault(Shim::new(), n)).chain([end]).collect()
}

/// The disk is full only once or from then on, at the beginning of a write or in its middle.
fn full(shim: Shim, n: usize) -> Shim {
    match n % 4 {
        0 => shim.full_at(n),
        1 => shim.full_from(n),
        2 => shim.full_at(n).torn(),
        _ => shim.full_from(n).torn(),
    }
}

/// Prints the result: if its moment was not reached, a run was undisturbed.
fn print_result(reached: &[bool]) {
    let count = reached.iter().filter(|reached| **reached).count();
    println!("{0} points, {0} converged ({count} came before the end of their run)", reached.len());
    assert!(reached.len() < 2 || count >= 2, "the first moment and the last one are always reached");
}

/// Runs under a fault. Either the run ends before that moment, or it exits with 4 and says what is wrong; it never panics.
/// Returns whether the moment was reached.
#[track_caller]
fn disturbed(stack: &Stack, args: &[&str], fault: &Shim, said: &str) -> bool {
    let ran = fault.run(stack, args);
    assert!(!ran.stderr.contains("panicked") && !ran.stdout.contains("a defect of drctl"), "{fault:?}: {}", ran.stderr);
    let reached = ran.code != Some(0);
    if reached {
        ran.exits(4).says(said);
    }
    reached
}

/// Runs until it is killed, or to its successful end if that comes first. Returns whether it was killed.
#[track_caller]
fn killed(stack: &Stack, args: &[&str], fault: &Shim) -> bool {
    let ran = fault.run(stack, args);
    assert!(matches!(ran.code, None | Some(0)), "{fault:?}: {:?}\n{}", ran.code, ran.stderr);
    ran.code.is_none()
}

/// Runs the same command again: everything exists once, as configured, and the state folder is as after any other run.
async fn assert_up_converges(stack: &Stack, fault: &Shim) {
    let began = Instant::now();
    stack.run(&UP).exits(0);
    assert!(began.elapsed() < HANGS, "{fault:?}: {:?}", began.elapsed());
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_complete(&survey(stack, REGIONS).await, REGIONS);
    assert_tidy(stack, fault);
}

async fn assert_down_leaves_nothing(stack: &Stack, fault: &Shim) {
    stack.run(&DOWN).exits(0);
    let left = survey(stack, REGIONS).await;
    assert!(left.is_empty(), "{fault:?}: {left:#?}");
    assert_tidy(stack, fault);
}

#[track_caller]
fn assert_tidy(stack: &Stack, fault: &Shim) {
    let files = std::fs::read_dir(stack.path("state")).expect("the state folder");
    let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names.retain(|name| name != "payment-dr-dev.json.bak");
    assert_eq!(names, ["payment-dr-dev.json", "payment-dr-dev.lock"], "{fault:?}");
}

fn mutating(stack: &Stack) -> usize {
    let reads = ["Describe", "List", "Get"];
    let operation = |call: &serde_json::Value| call["operation"].as_str().unwrap_or_default().to_owned();
    stack.calls().iter().map(operation).filter(|name| !reads.iter().any(|read| name.starts_with(read))).count()
}

/// Runs `up` under each fault, then `up` without it.
async fn up_under(faults: &[Shim], disturb: impl Fn(&Stack, &Shim) -> bool) {
    let mut reached = Vec::with_capacity(faults.len());
    for fault in faults {
        let stack = Stack::new();
        reached.push(disturb(&stack, fault));
        assert_up_converges(&stack, fault).await;
    }
    print_result(&reached);
}

/// Builds a whole stack, runs `down` under each fault, then `down` without it.
async fn down_under(faults: &[Shim], disturb: impl Fn(&Stack, &Shim) -> bool) {
    let mut reached = Vec::with_capacity(faults.len());
    for fault in faults {
        let stack = Stack::new();
        stack.run(&UP).exits(0);
        reached.push(disturb(&stack, fault));
        assert_down_leaves_nothing(&stack, fault).await;
    }
    print_result(&reached);
}

#[tokio::test(flavor = "multi_thread")]
async fn up_reports_a_disk_that_is_full_at_any_write_and_converges_later() {
    let faults = moments(totals()[0].writes, 5, full);
    up_under(&faults, |stack, fault| disturbed(stack, &UP, fault, "The disk is full")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn down_reports_a_disk_that_is_full_at_any_write_and_leaves_nothing_later() {
    let faults = moments(totals()[1].writes, 5, full);
    down_under(&faults, |stack, fault| disturbed(stack, &DOWN, fault, "The disk is full")).await;
}

#[test]
fn no_call_is_sent_when_the_first_intent_cannot_be_written() {
    // The writes are the note in the lock, the first line of the journal, and the first intents.
    for n in 1..=3 {
        let (stack, fault) = (Stack::new(), Shim::new().full_from(n));
        fault.run(&stack, &UP).exits(4).says("The disk is full");
        assert_eq!(mutating(&stack), 0, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_reports_a_failed_sync_and_converges_later() {
    let faults = moments(totals()[0].syncs, 3, Shim::broken_at);
    up_under(&faults, |stack, fault| disturbed(stack, &UP, fault, "Input/output error")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn down_reports_a_failed_sync_and_leaves_nothing_later() {
    let faults = moments(totals()[1].syncs, 2, Shim::broken_at);
    down_under(&faults, |stack, fault| disturbed(stack, &DOWN, fault, "Input/output error")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn up_killed_after_any_operation_on_the_disk_converges() {
    let faults = moments(totals()[0].operations, 5, Shim::killed_after);
    up_under(&faults, |stack, fault| killed(stack, &UP, fault)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn down_killed_after_any_operation_on_the_disk_leaves_nothing() {
    let faults = moments(totals()[1].operations, 3, Shim::killed_after);
    down_under(&faults, |stack, fault| killed(stack, &DOWN, fault)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn up_reports_a_folder_that_becomes_read_only_and_converges_later() {
    let faults = moments(totals()[0].changes, 3, Shim::readonly_from);
    up_under(&faults, |stack, fault| disturbed(stack, &UP, fault, "Read-only file system")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn down_reports_a_folder_that_becomes_read_only_and_leaves_nothing_later() {
    let faults = moments(totals()[1].changes, 2, Shim::readonly_from);
    down_under(&faults, |stack, fault| disturbed(stack, &DOWN, fault, "Read-only file system")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_read_only_folder_nothing_is_changed_and_everything_can_be_read() {
    let (stack, fault) = (Stack::new(), Shim::new().readonly_from(1));
    fault.run(&stack, &UP).exits(4).says("Read-only file system").says("Grant access to");
    assert_eq!(mutating(&stack), 0);
    assert!(!stack.path("state").exists());
    stack.run(&UP).exits(0);
    let before = mutating(&stack);
    fault.run(&stack, &UP).exits(4).says("Read-only file system").says("Grant access to state");
    fault.run(&stack, &DOWN).exits(4).says("Read-only file system");
    fault.run(&stack, &["state", "rm", "primary/vpc/main", "--yes"]).exits(4).says("Read-only file system");
    fault.run(&stack, &["plan", "--detailed-exitcode"]).exits(0);
    fault.run(&stack, &["status"]).exits(0);
    fault.run(&stack, &["state", "list"]).exits(0).says("primary/vpc/main");
    fault.run(&stack, &["outputs"]).exits(0);
    assert_eq!(mutating(&stack), before);
    assert_up_converges(&stack, &fault).await;
}

/// The end of a run, where the new snapshot replaces the old one, has moments of its own. All of them are tried, counted from
/// there.
#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_is_replaced_whole_or_not_at_all() {
    let stack = Stack::new();
    stack.run(&UP).exits(0);
    let mut days = [14, 30].into_iter().cycle();
    // A small change, so that there is something to do.
    let mut change = || {
        let days = days.next().expect("the cycle is endless");
        stack.configure(&format!("[alerts]\nlog_retention_days = {days}\n"));
    };
    // Then there is a predecessor to remove and one to link.
    change();
    stack.run(&UP).exits(0);
    change();
    let end = || Shim::new().since(NEW_SNAPSHOT);
    let Totals { operations, writes, syncs, changes, .. } = end().count(&stack, &UP);
    assert!(
        operations >= 7 && writes >= 1 && syncs >= 2 && changes >= 6,
        "files are created, synchronised, renamed and removed"
    );
    for n in 1..=operations {
        change();
        let fault = end().killed_after(n);
        assert_eq!(fault.run(&stack, &UP).code, None, "{fault:?}");
        stack.run(&["plan", "--detailed-exitcode"]).exits(0);
        stack.run(&UP).exits(0);
        assert_tidy(&stack, &fault);
    }
    let faults = (1..=writes)
        .flat_map(|n| [(end().full_from(n), "The disk is full"), (end().full_at(n).torn(), "The disk is full")])
        .chain((1..=syncs).map(|n| (end().broken_at(n), "Input/output error")))
        .chain((1..=changes).map(|n| (end().readonly_from(n), "Read-only file system")));
    let mut points = operations;
    for (fault, said) in faults {
        change();
        fault.run(&stack, &UP).exits(4).says(said);
        stack.run(&["plan", "--detailed-exitcode"]).exits(0);
        stack.run(&UP).exits(0);
        assert_tidy(&stack, &fault);
        points += 1;
    }
    assert_up_converges(&stack, &Shim::new()).await;
    println!("{points} points, {points} converged");
}

/// A process that a failed assertion must not leave behind.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // Both fail only if it has already ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Held {
    /// Starts `up`, which stops at a chosen moment and holds the lock.
    fn stopped(stack: &Stack, fault: &Shim) -> Self {
        let mut command = fault.command(stack, &UP);
        let mut held = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"));
        let stat = format!("/proc/{}/stat", held.0.id());
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(&stat).expect("its status");
            // The process state comes after the name, which is in brackets.
            if text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')) {
                return held;
            }
            assert!(held.0.try_wait().expect("its status").is_none(), "it ended before that moment");
            assert!(began.elapsed() < HANGS, "it did not reach that moment: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn goes_on(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::CONT).expect("continued");
        self.0.wait().expect("ended").code()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_run_holds_the_lock_others_are_refused_and_reading_is_allowed() {
    let stack = Stack::new();
    let fault = Shim::new().stopped_after(totals()[0].operations / 4);
    let first = Held::stopped(&stack, &fault);
    let journal = || std::fs::read(stack.path("state/payment-dr-dev.journal")).expect("the journal");
    let before = journal();
    let holder = format!("is locked by `drctl up` (process {} on", first.0.id());
    for args in [&UP[..], &DOWN, &["state", "rm", "primary/vpc/main", "--yes"]] {
        stack.run(args).exits(4).says(&holder).says(", since 2").says("Nothing was changed.");
    }
    stack.run(&["plan"]).exits(0);
    stack.run(&["status"]).exits(0);
    stack.run(&["state", "list"]).exits(0).says("primary/vpc/main");
    assert_eq!(journal(), before, "no other run writes");
    assert_eq!(first.goes_on(), Some(0));
    assert_up_converges(&stack, &fault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_concurrent_runs_build_one_stack() {
    let stack = Stack::new();
    let spawn = |_| {
        let mut command = stack.command(&UP);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started")
    };
    let runs: Vec<Child> = (0..8).map(spawn).collect();
    let mut done = 0;
    for run in runs {
        let output = run.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => done += 1,
            Some(4) => assert!(said.contains("is locked by"), "{said}"),
            other => panic!("{other:?}: {said}"),
        }
    }
    assert!(done >= 1, "at least one of them gets the lock");
    println!("8 concurrent runs: {done} exited with 0, {} were refused", 8 - done);
    assert_up_converges(&stack, &Shim::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_a_day_changes_nothing() {
    let Totals { clocks, operations, .. } = totals()[0];
    for seconds in [-DAY, DAY] {
        let jump = || Shim::new().clock(clocks / 3, seconds);
        let (stack, fault) = (Stack::new(), jump());
        let began = Instant::now();
        fault.run(&stack, &UP).exits(0);
        assert!(began.elapsed() < HANGS, "{fault:?}: {:?}", began.elapsed());
        assert_up_converges(&stack, &fault).await;

        // Killed after the jump: for the next run, its records are a day in the future or in the past.
        let (stack, fault) = (Stack::new(), jump().killed_after(operations / 4));
        killed(&stack, &UP, &fault);
        assert_up_converges(&stack, &fault).await;

        // The other way round: the records are right, and the run that reads them has the wrong time.
        let (stack, fault) = (Stack::new(), Shim::new().clock(0, seconds));
        killed(&stack, &UP, &Shim::new().killed_after(operations / 4));
        let began = Instant::now();
        fault.run(&stack, &UP).exits(0);
        assert!(began.elapsed() < HANGS, "{fault:?}: {:?}", began.elapsed());
        assert_up_converges(&stack, &fault).await;
        fault.run(&stack, &DOWN).exits(0);
        assert_down_leaves_nothing(&stack, &fault).await;
    }
}
