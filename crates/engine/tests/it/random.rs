//! Long runs of anything that can happen, in any order: `up`, `down`, changes of the configuration, changes behind drctl's back,
//! faults and kills. After every run: no orphan, no duplicate, no phantom, and nothing of others touched. After every one that
//! nothing disturbs: everything as configured, and nothing left to do.
//!
//! What fails is made as small as it gets and printed as a test to be pasted below.

mod player;
mod script;

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use proptest::test_runner::{Config, TestError, TestRunner};

use crate::graphs::{Shape, shapes};
use script::{Step, ready_test, steps};

/// How long a script may play, on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(30);

/// Everything that scripts are written with.
#[allow(unused_imports, reason = "for the tests that are printed, whatever is in them")]
pub mod prelude {
    pub use drctl_engine::Class::{
        Ambiguous, Denied, Exists, NotFound, NotYet, Refused, Throttled, TimedOut, Transient, Unreachable, Unsupported,
    };

    pub use super::run;
    pub use super::script::Behind::{Alter, Detach, Double, GiveAway, Untag, Vanish};
    pub use super::script::Change::{Add, Reshape, Resize, Retie, Toggle};
    pub use super::script::Harm::{LoseAnswer, LoseCall, Refuse, Spoil};
    pub use super::script::Step::{Behind, Change, Down, Fault, Lag, Up};
    pub use super::script::Way::{Killed, Signalled, Undisturbed};
    pub use crate::graphs::Shape;
    pub use crate::graphs::Tie::{After, Endpoint, Holds, Inside, Uses, UsesEarly};
    pub use drctl_engine::testing::Crash::{AfterMutation, BeforeCall};
    pub use drctl_engine::testing::Op::{Create, Delete, List, Read, Search, Sync};
    pub use drctl_engine::testing::Stop::{At, Records};
}

/// Plays a script.
pub fn run(shapes: &[Shape], steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(player::play(shapes, steps));
}

/// Plays a script, which takes hundredths of a second: one that goes round in circles fails, too, and shrinks.
fn run_to_its_end(shapes: Vec<Shape>, steps: Vec<Step>) {
    let (playing, ended) = mpsc::channel::<()>();
    let player = thread::spawn(move || {
        let _until_it_ends = playing;
        run(&shapes, &steps);
    });
    assert_ne!(ended.recv_timeout(LONGEST), Err(RecvTimeoutError::Timeout), "it did not end within {LONGEST:?}");
    if let Err(panicked) = player.join() {
        resume_unwind(panicked);
    }
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_is_there_twice() {
    // Half of the usual number, so that PROPTEST_CASES still means something; each case is a dozen runs.
    let config = Config {
        cases: Config::default().cases / 2,
        failure_persistence: None,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let played = TestRunner::new(config).run(&(shapes(10), steps()), |(shapes, steps)| {
        run_to_its_end(shapes, steps);
        Ok(())
    });
    match played {
        Ok(()) => {}
        Err(TestError::Fail(why, (shapes, steps))) => panic!("{why}\n\n{}", ready_test(&shapes, &steps)),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn what_is_opened_first_is_not_taken_for_deleted_while_reads_lag() {
    use crate::random::prelude::*;
    let shapes = [Shape { kind: "net", west: false, sealed: true, ties: [None, None, None] }];
    let steps = [Lag { listings: 3, reads: 19 }, Up(Killed(At(AfterMutation(0)))), Up(Undisturbed), Down(Undisturbed)];
    run(&shapes, &steps);
}

#[test]
fn a_double_is_not_taken_for_what_an_interrupted_run_made() {
    use crate::random::prelude::*;
    let shapes = [Shape { kind: "net", west: false, sealed: false, ties: [None, None, None] }];
    for killed in [At(AfterMutation(1)), Records(4)] {
        let steps = [
            Lag { listings: 19, reads: 19 },
            Up(Undisturbed),
            Behind(Double(0)),
            Change(Reshape(0)),
            Up(Killed(killed)),
            Up(Undisturbed),
        ];
        run(&shapes, &steps);
    }
}

#[test]
fn a_script_that_failed_is_printed_as_a_test() {
    use crate::random::prelude::*;
    let shapes = [
        Shape { kind: "net", west: false, sealed: false, ties: [None, None, None] },
        Shape { kind: "part", west: true, sealed: true, ties: [Some((0, Inside)), Some((7, UsesEarly)), None] },
    ];
    let steps = [
        Lag { listings: 1, reads: 2 },
        Up(Undisturbed),
        Change(Retie { node: 1, slot: 1, tie: Some((0, Uses)) }),
        Fault { node: 1, op: Sync, harm: Refuse(Transient), times: 1 },
        Up(Signalled { mutation: 0, signals: 1 }),
        Behind(Untag(0, Some("stack"))),
        Down(Killed(Records(2))),
    ];
    // It says what stands here, and plays.
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = ready_test(&shapes, &steps);
    let body = printed.split_once("use crate").and_then(|(_, rest)| rest.rsplit_once("run(")).expect("a body").0;
    assert!(squeezed(include_str!("random.rs")).contains(&squeezed(body)), "{printed}");
    run(&shapes, &steps);
}
