//! `kill -9` at any moment, then the same command again: the result is the same stack as after an undisturbed run.

use std::time::{Duration, Instant};

use drctl_testkit::harness::Stack;
use drctl_testkit::life::assert_complete;
use drctl_testkit::survey::survey;

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];

/// A random generator with a seed: xorshift, because the standard library has none.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// How many moments are tried: a few in `cargo test`, fifty with `DRCTL_KILLS=50`.
fn kills() -> u64 {
    std::env::var("DRCTL_KILLS").map_or(6, |text| text.parse().expect("DRCTL_KILLS is a number"))
}

fn seed() -> u64 {
    std::env::var("DRCTL_SEED").map_or(0x5eed_d2c7, |text| text.parse().expect("DRCTL_SEED is a number"))
}

pub fn kill_after(stack: &Stack, args: &[&str], delay: Duration) {
    let mut child = stack
        .command(args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    std::thread::sleep(delay);
    // SIGKILL. A run that has already ended was faster than this moment.
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_killed_at_random_moments_converges() {
    let undisturbed = Stack::new();
    let began = Instant::now();
    undisturbed.run(&["up", "--yes"]).exits(0);
    let whole = began.elapsed();
    let expected = survey(&undisturbed, REGIONS).await;
    assert_complete(&expected, REGIONS);

    let (kills, seed) = (kills(), seed());
    let mut dice = Dice(seed);
    for point in 0..kills {
        let delay = Duration::from_micros(dice.below(u64::try_from(whole.as_micros()).expect("it fits")));
        let stack = Stack::new();
        kill_after(&stack, &["up", "--yes"], delay);
        stack.run(&["up", "--yes"]).exits(0);
        let found = survey(&stack, REGIONS).await;
        assert_eq!(found, expected, "point {point} of seed {seed}: killed after {delay:?} of {whole:?}");
        stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    }
    println!("{kills} points, {kills} converged (seed {seed}, an undisturbed run took {whole:?})");
}

#[tokio::test(flavor = "multi_thread")]
async fn down_killed_at_random_moments_leaves_nothing() {
    let mut dice = Dice(seed() ^ 0xd0d0);
    let kills = kills() / 2;
    let mut whole = Duration::from_secs(1);
    for point in 0..kills {
        let stack = Stack::new();
        stack.run(&["up", "--yes"]).exits(0);
        if point == 0 {
            let began = Instant::now();
            stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
            whole = began.elapsed();
            stack.run(&["up", "--yes"]).exits(0);
        }
        let delay = Duration::from_micros(dice.below(u64::try_from(whole.as_micros()).expect("it fits")));
        kill_after(&stack, &["down", "--yes", "--no-final-snapshot"], delay);
        stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
        let left = survey(&stack, REGIONS).await;
        assert!(left.is_empty(), "point {point}, killed after {delay:?} of {whole:?}: {left:#?}");
    }
    println!("{kills} points, {kills} converged");
}
