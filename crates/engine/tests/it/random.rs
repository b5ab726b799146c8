//! Anything that can happen, in any order, for long: `up`, `down`, changes of the configuration, changes by hand, faults, and kills.
//! After every run there is no orphan, no duplicate, and no phantom, and nothing of others was touched. After every undisturbed run,
//! everything is as configured, and nothing is left to do.
//!
//! A script that fails is shrunk, and printed as a test to be pasted below.

mod player;
mod script;

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use proptest::test_runner::{Config, TestError, TestRunner};

use crate::graphs::{NodeSpec, specs};
use script::{Step, steps, test_code};

/// How long a script may play on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// Everything that it takes to write a script.
#[allow(unused_imports, reason = "a test that is printed may need any of them")]
pub mod prelude {
    pub use drctl_engine::Class::{
        Ambiguous, Denied, Exists, NotFound, NotYet, Refused, Throttled, TimedOut, Transient, Unreachable, Unsupported,
    };

    pub use super::run;
    pub use super::script::ByHand::{Alter, Detach, Duplicate, GiveAway, Untag, Vanish};
    pub use super::script::Change::{Add, Relink, Reshape, Resize, Toggle};
    pub use super::script::Ending::{Killed, Signalled, Undisturbed};
    pub use super::script::Harm::{LoseAnswer, LoseCall, Refuse, Spoil};
    pub use super::script::Step::{ByHand, Change, Down, Fault, Lag, Up};
    pub use crate::graphs::NodeSpec;
    pub use crate::graphs::RefKind::{After, Endpoint, Holds, Inside, Uses, UsesEarly};
    pub use drctl_engine::testing::Crash::{AfterMutation, BeforeCall};
    pub use drctl_engine::testing::Op::{Create, Delete, List, Read, Search, Sync};
    pub use drctl_engine::testing::Stop::{At, Records};
}

/// Plays a script.
pub fn run(specs: &[NodeSpec], steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(player::play(specs, steps));
}

/// Plays a script, which takes hundredths of a second. A script that never ends fails, too, and is shrunk.
fn run_to_its_end(specs: Vec<NodeSpec>, steps: Vec<Step>) {
    let (playing, ended) = mpsc::channel::<()>();
    let player = thread::spawn(move || {
        let _until_it_ends = playing;
        run(&specs, &steps);
    });
    assert_ne!(ended.recv_timeout(LONGEST), Err(RecvTimeoutError::Timeout), "it did not end within {LONGEST:?}");
    if let Err(panicked) = player.join() {
        resume_unwind(panicked);
    }
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_exists_twice() {
    // Half of the usual number, so that PROPTEST_CASES still has an effect. Each case is a dozen runs.
    let config = Config {
        cases: Config::default().cases / 2,
        failure_persistence: None,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let played = TestRunner::new(config).run(&(specs(10), steps()), |(specs, steps)| {
        run_to_its_end(specs, steps);
        Ok(())
    });
    match played {
        Ok(()) => {}
        Err(TestError::Fail(why, (specs, steps))) => panic!("{why}\n\n{}", test_code(&specs, &steps)),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn a_resource_that_is_opened_first_is_not_taken_for_deleted_while_reads_lag() {
    use crate::random::prelude::*;
    let specs = [NodeSpec { kind: "net", west: false, sealed: true, refs: [None, None, None] }];
    let steps = [Lag { listings: 3, reads: 19 }, Up(Killed(At(AfterMutation(0)))), Up(Undisturbed), Down(Undisturbed)];
    run(&specs, &steps);
}

#[test]
fn a_duplicate_is_not_mistaken_for_what_an_interrupted_run_created() {
    use crate::random::prelude::*;
    let specs = [NodeSpec { kind: "net", west: false, sealed: false, refs: [None, None, None] }];
    for killed in [At(AfterMutation(1)), Records(4)] {
        let steps = [
            Lag { listings: 19, reads: 19 },
            Up(Undisturbed),
            ByHand(Duplicate(0)),
            Change(Reshape(0)),
            Up(Killed(killed)),
            Up(Undisturbed),
        ];
        run(&specs, &steps);
    }
}

#[test]
fn a_script_that_failed_is_printed_as_a_test() {
    use crate::random::prelude::*;
    let specs = [
        NodeSpec { kind: "net", west: false, sealed: false, refs: [None, None, None] },
        NodeSpec { kind: "part", west: true, sealed: true, refs: [Some((0, Inside)), Some((7, UsesEarly)), None] },
    ];
    let steps = [
        Lag { listings: 1, reads: 2 },
        Up(Undisturbed),
        Change(Relink { node: 1, slot: 1, reference: Some((0, Uses)) }),
        Fault { node: 1, op: Sync, harm: Refuse(Transient), times: 1 },
        Up(Signalled { mutation: 0, signals: 1 }),
        ByHand(Untag(0, Some("stack"))),
        Down(Killed(Records(2))),
    ];
    // The printed code is the code above, and the script plays.
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = test_code(&specs, &steps);
    let body = printed.split_once("use crate").and_then(|(_, rest)| rest.rsplit_once("run(")).expect("a body").0;
    assert!(squeezed(include_str!("random.rs")).contains(&squeezed(body)), "{printed}");
    run(&specs, &steps);
}
