//! A disk that refuses: nothing more is started, what is in flight is on record as an intent, and the failure is reported.

use std::fs;
use std::os::unix::fs::symlink;

use drctl_engine::cancel::shutdown;
use drctl_engine::state::{StateError, Status};
use drctl_engine::testing::{Op, Want, World, undisturbed};

use crate::crash::{brisk, built, fresh, stack};

fn chain() -> [Want; 4] {
    let a = Want::new("net", "a");
    let b = Want::new("part", "b").inside(&a);
    let c = Want::new("part", "c").inside(&b);
    let d = Want::new("part", "d").inside(&c);
    [a, b, c, d]
}

#[tokio::test(start_paused = true)]
async fn with_a_full_disk_no_call_is_sent() {
    let wants = chain();
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    let journal = world.location().journal();
    let mut store = world.store();
    symlink("/dev/full", &journal).expect("a full disk");
    let (_trigger, shutdown) = shutdown();
    let ran = world.carry_out(&world.graph(&wants), &mut store, shutdown).await;
    drop(store);
    let Some(StateError::Io { help, .. }) = &ran.report.state else { panic!("it is reported: {:#?}", ran.report) };
    assert!(help.contains("disk is full"), "{help}");
    assert!(!ran.report.is_success());
    assert!(
        world.cloud.calls().iter().all(|call| !call.op.mutates()),
        "no intent, no call: {:#?}",
        world.cloud.calls()
    );
    fs::remove_file(&journal).expect("room again");
    world.assert_converges(&wants, &expected, "with room again").await;
}

// A sealed file stops growing at a moment that the test chooses. No other kind of file refuses to be written to in the middle.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_disk_that_refuses_in_the_middle_ends_the_run_and_the_next_one_converges() {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let wants = chain();
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    let mut store = world.store();
    let disk = memfd_create("journal", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).expect("a file");
    symlink(format!("/proc/self/fd/{}", disk.as_raw_fd()), world.location().journal()).expect("a journal");
    world.cloud.on_call(move |call| {
        if call.op == Op::Create && call.name == "c" {
            fcntl_add_seals(&disk, SealFlags::GROW).expect("sealed");
        }
    });
    let (_trigger, shutdown) = shutdown();
    let ran = world.carry_out(&world.graph(&wants), &mut store, shutdown).await;
    drop(store);
    assert!(matches!(ran.report.state, Some(StateError::Io { .. })), "{:#?}", ran.report);
    assert!(world.cloud.calls_of("d", Op::Create).is_empty(), "nothing more is started");
    let recorded = wants.each_ref().map(|want| world.recorded(want).map(|(status, _)| status));
    assert!(
        matches!(recorded, [Some(Status::Ready), Some(Status::Ready), Some(Status::Creating { .. }), None]),
        "the intent is on record: {recorded:#?}"
    );
    world.cloud.heal();
    world.assert_converges(&wants, &expected, "with a disk that takes it").await;
    assert_eq!(world.cloud.calls_of("c", Op::Create).len(), 1, "what was created is found, and not created again");
}

/// A run whose disk is full from this call on. Returns whether the run got to that call.
#[cfg(target_os = "linux")]
async fn run_with_a_disk_full_at(world: &World, wants: &[Want], number: usize) -> bool {
    use std::os::fd::AsRawFd as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let mut store = world.store();
    let disk = Arc::new(memfd_create("journal", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).expect("a file"));
    symlink(format!("/proc/self/fd/{}", disk.as_raw_fd()), world.location().journal()).expect("a journal");
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, sealed) = (Arc::clone(&calls), Arc::clone(&disk));
    world.cloud.on_call(move |_| {
        if counted.fetch_add(1, Ordering::Relaxed) == number {
            fcntl_add_seals(&*sealed, SealFlags::GROW).expect("sealed");
        }
    });
    let (_trigger, shutdown) = shutdown();
    let ran = world.carry_out(&world.graph(wants), &mut store, shutdown).await;
    drop(store);
    world.cloud.heal();
    // The next run finds what was written before the disk was full.
    let journal = world.location().journal();
    if let Ok(taken) = fs::read(&journal) {
        fs::remove_file(&journal).expect("the full disk is removed");
        fs::write(&journal, taken).expect("a disk with room");
    }
    let got_there = calls.load(Ordering::Relaxed) > number;
    // Whatever was still to be written was refused, and a run never reports success without it.
    assert!(!got_there || ran.report.state.is_some() || ran.report.is_success(), "{:#?}", ran.report);
    got_there
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_from_any_call_on_loses_and_duplicates_nothing() {
    let wants = stack();
    let expected = undisturbed(&wants, brisk).await;
    let (empty, complete) = (fresh(), built(&wants).await);
    for (start, doing, at_least) in [(&empty, &wants[..], 80), (&complete, &[][..], 60)] {
        let mut points = 0;
        loop {
            let world = start.fork();
            if !run_with_a_disk_full_at(&world, doing, points).await {
                break;
            }
            let context = format!("full from call {points} on");
            if doing.is_empty() {
                world.assert_goes_down(&context).await;
            } else {
                world.assert_converges(doing, &expected, &context).await;
            }
            points += 1;
        }
        assert!(points >= at_least, "only {points} points");
    }
}
