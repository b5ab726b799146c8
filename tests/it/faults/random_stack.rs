//! Random scripts for the whole stack, with the real binary: `up` and `down`, undisturbed, killed, or with faults between
//! drctl and AWS; changes of the configuration; changes behind drctl's back. After every undisturbed `up`, everything is as
//! in a fresh stack of the same configuration, and after every undisturbed `down`, nothing is left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::kill::kill_after;
use drctl_testkit::drift;
use drctl_testkit::harness::Stack;
use drctl_testkit::survey::{Survey, survey};

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];

/// The one of [`CONFIGURATIONS`] that has only one NAT gateway per Region.
const SINGLE_NAT: usize = 3;

/// Configurations between which a stack can be changed in place, or by creating and deleting.
const CONFIGURATIONS: [&str; 6] = [
    "",
    "[alerts]\nlog_retention_days = 14\nlambda_errors = 7\naurora_lag_seconds = 90\n",
    "[lambda]\nmemory_mb = 1024\ntimeout_seconds = 20\n",
    "[network]\nnat = \"single\"\n",
    "[api]\nthrottle_rate = 250\nthrottle_burst = 500\n\n[storage]\nnoncurrent_days = 60\n",
    "[database]\nbackup_retention_days = 14\n\n[sessions]\nrecovery_days = 14\n",
];

/// Faults between drctl and AWS.
const FAULTS: [&str; 6] = [
    "[[fault]]\nkind = \"mutation\"\nchance = 0.05\ndoes = \"lose-answer\"\n",
    "[[fault]]\nchance = 0.05\ndoes = \"fail\"\n",
    "[[fault]]\nservice = \"ec2\"\nchance = 0.2\ndoes = \"throttle\"\n",
    "[[fault]]\nchance = 0.05\ndoes = \"reset\"\n",
    "[[fault]]\noperation = \"Create*\"\nchance = 0.1\ndoes = \"unavailable\"\n",
    "[[fault]]\nkind = \"mutation\"\nat = 40\ndoes = \"expire-credentials\"\n",
];

#[derive(Debug, Clone, Copy)]
enum Command {
    Up,
    Down,
}

impl Command {
    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Up => &["up", "--yes"],
            Self::Down => &["down", "--yes", "--no-final-snapshot"],
        }
    }
}

/// A step of a script.
#[derive(Debug, Clone)]
enum Step {
    /// The command runs undisturbed, and its result is checked.
    Run(Command),
    /// The configuration is changed to another one of [`CONFIGURATIONS`].
    Configure(usize),
    /// Every property that can be changed by hand is changed.
    Drift,
    /// A log group and a dashboard are deleted by hand.
    Delete,
    /// The command is killed after so many thousandths of its usual duration.
    Kill { command: Command, after: u32 },
    /// The command runs with one of [`FAULTS`] in force.
    Faulty { command: Command, faults: usize, seed: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let command = || prop_oneof![3 => Just(Command::Up), 1 => Just(Command::Down)];
    let faulty = (command(), 0..FAULTS.len(), any::<u32>());
    prop_oneof![
        2 => command().prop_map(Step::Run),
        3 => (1..CONFIGURATIONS.len()).prop_map(Step::Configure),
        1 => Just(Step::Drift),
        1 => Just(Step::Delete),
        3 => (command(), 0..1000_u32).prop_map(|(command, after)| Step::Kill { command, after }),
        3 => faulty.prop_map(|(command, faults, seed)| Step::Faulty { command, faults, seed }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 4..=6)
}

/// What a fresh stack of each configuration looks like.
#[derive(Default)]
struct Fresh {
    surveys: BTreeMap<usize, Survey>,
    /// How long the last `up` of a fresh stack took.
    took: Duration,
}

impl Fresh {
    async fn of(&mut self, configuration: usize) -> Survey {
        if let Some(known) = self.surveys.get(&configuration) {
            return known.clone();
        }
        let stack = Stack::new();
        stack.configure(CONFIGURATIONS[configuration]);
        let began = Instant::now();
        stack.run(Command::Up.args()).exits(0);
        self.took = began.elapsed();
        let found = survey(&stack, REGIONS).await;
        self.surveys.insert(configuration, found.clone());
        found
    }
}

struct Player<'a> {
    stack: Stack,
    fresh: &'a mut Fresh,
    configuration: usize,
    /// Whether the whole stack exists as configured: only then can something be changed by hand.
    is_complete: bool,
}

/// Plays a script: after a first `up`, and followed by another `up` and a `down`.
async fn play(fresh: &mut Fresh, steps: &[Step]) {
    let mut player = Player { stack: Stack::new(), fresh, configuration: 0, is_complete: false };
    player.stack.configure(CONFIGURATIONS[0]);
    player.run(Command::Up).await;
    for (number, step) in steps.iter().enumerate() {
        println!("step {} of {}: {step:?}", number + 1, steps.len());
        player.step(step).await;
    }
    println!("at the end");
    player.run(Command::Up).await;
    player.run(Command::Down).await;
}

impl Player<'_> {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Run(command) => self.run(*command).await,
            Step::Configure(configuration) => {
                self.configuration = *configuration;
                self.stack.configure(CONFIGURATIONS[*configuration]);
                // The stack still has the previous configuration.
                self.is_complete = false;
            }
            // The drift changes NAT gateways that do not exist with one per Region.
            Step::Drift if self.is_complete && self.configuration != SINGLE_NAT => {
                let drifts = drift::all(&self.stack, REGIONS[0]).await;
                assert!(!drifts.is_empty(), "something must have been changed");
                self.stack.run(&["plan", "--detailed-exitcode"]).exits(2);
                self.is_complete = false;
            }
            Step::Delete if self.is_complete => self.delete().await,
            Step::Drift | Step::Delete => println!("skipped: there is no complete stack to change"),
            Step::Kill { command, after } => {
                kill_after(&self.stack, command.args(), self.fresh.took * *after / 1000);
                self.is_complete = false;
            }
            Step::Faulty { command, faults, seed } => {
                self.stack.faults(&format!("seed = {seed}\n{}", FAULTS[*faults]));
                let ran = self.stack.run(command.args());
                println!("{:?}", self.stack.no_faults());
                // Success, failure, or refused credentials: never a defect, a broken state or a question.
                assert!(matches!(ran.code, Some(0 | 1 | 5)), "{:?}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
                self.is_complete = false;
            }
        }
    }

    async fn run(&mut self, command: Command) {
        self.stack.run(command.args()).exits(0);
        let found = survey(&self.stack, REGIONS).await;
        match command {
            Command::Up => {
                let expected = self.fresh.of(self.configuration).await;
                assert_eq!(found, expected, "the stack must be like a fresh one");
                self.stack.run(&["plan", "--detailed-exitcode"]).exits(0);
            }
            Command::Down => assert!(found.is_empty(), "left behind: {found:#?}"),
        }
        self.is_complete = matches!(command, Command::Up);
    }

    async fn delete(&mut self) {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&self.stack.sdk_of("logs", REGIONS[0]).await);
        let call = logs.delete_log_group().log_group_name("/aws/vpc/payment-dr-dev-flow");
        call.send().await.expect("deleted");
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&self.stack.sdk_of("cloudwatch", REGIONS[0]).await);
        cloudwatch.delete_dashboards().dashboard_names("payment-dr-dev-primary").send().await.expect("deleted");
        self.stack.run(&["plan", "--detailed-exitcode"]).exits(2);
        self.is_complete = false;
    }
}

/// How many scripts are played: a few in `cargo test`, more with `DRCTL_CASES`.
fn cases() -> u64 {
    std::env::var("DRCTL_CASES").map_or(2, |text| text.parse().expect("DRCTL_CASES is a number"))
}

fn seed() -> u64 {
    std::env::var("DRCTL_SEED").map_or(0x5eed_d2c7, |text| text.parse().expect("DRCTL_SEED is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_whole_stack_converges_and_is_deleted_without_a_trace() {
    let mut fresh = Fresh::default();
    for case in 0..cases() {
        // Each case is the first one of its seed, so that it can be played alone.
        let seed = seed().wrapping_add(case);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let tree = steps().new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).expect("a script");
        let steps = tree.current();
        println!("DRCTL_SEED={seed} DRCTL_CASES=1 plays this again: {steps:#?}");
        play(&mut fresh, &steps).await;
    }
}
