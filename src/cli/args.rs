//! What can be written after `drctl`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::sandbox::Pace;
use crate::state::Address;

/// Builds and operates a two-region disaster-recovery architecture on AWS
///
/// Exit codes: 0 done, 1 failed, 2 differences (with --detailed-exitcode), 3 bad usage or configuration,
/// 4 state locked or unreadable, 5 credentials or permissions, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "drctl", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration [default: drctl.toml in the working folder, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "DRCTL_CONFIG")]
    pub config: Option<PathBuf>,
    /// The environment, instead of the configuration's
    #[arg(long, global = true, value_name = "NAME", env = "ENVIRONMENT_SUFFIX")]
    pub environment: Option<String>,
    /// Where state files lie
    #[arg(long, global = true, value_name = "FOLDER", default_value = "state", env = "DRCTL_STATE_DIR")]
    pub state_dir: PathBuf,
    /// Use a local AWS, which is started when it is not running: no account, no credentials
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Print JSON for machines
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more to stderr: -v decisions, -vv calls, -vvv everything (`RUST_LOG` is honoured, too)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// The form of the log
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// No colours (`NO_COLOR` is honoured, too)
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What drctl can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented drctl.toml
    Init(Init),
    /// Show what `up` would do, and change nothing
    Plan(Plan),
    /// Check what `up` needs before its first call, and change nothing
    Check(Check),
    /// Build the stack, or bring it to what is configured
    Up(Up),
    /// Compare what is recorded and configured with what is in AWS
    Status(Status),
    /// Delete everything that drctl made
    Down(Down),
    /// Show what an interrupted run left open, and what became of it
    Recover(Recover),
    /// List what drctl made and the state does not know; adopt or delete it
    Orphans(Orphans),
    /// Say how long `up` and `down` take on AWS, without AWS
    Simulate(Simulate),
    /// Print what other tools need to know of the stack
    Outputs(Outputs),
    /// Look into the state file
    State(State),
    /// Run a local AWS
    Sandbox(Sandbox),
    /// Print completions for a shell
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// `drctl init`
#[derive(Debug, Args)]
pub struct Init {
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// `drctl plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// Exit with 2 when there are differences
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Show every property of what will be made
    #[arg(long)]
    pub full: bool,
    /// Take over resources that carry the names but not the tags of this stack
    #[arg(long)]
    pub adopt: bool,
}

/// `drctl check`
#[derive(Debug, Args)]
pub struct Check {
    /// Versions, quotas, names, zones and permissions, for what `up` would make
    #[arg(long)]
    pub preflight: bool,
}

/// `drctl up`
#[derive(Debug, Args)]
pub struct Up {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Show every property of what will be made
    #[arg(long)]
    pub full: bool,
    /// Take over resources that carry the names but not the tags of this stack
    #[arg(long)]
    pub adopt: bool,
}

/// `drctl recover`
#[derive(Debug, Args)]
pub struct Recover {
    /// How many seconds one look may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
}

/// `drctl orphans`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Orphans {
    /// Take into the state what has an address to itself
    #[arg(long, conflicts_with = "delete")]
    pub adopt: bool,
    /// Delete them
    #[arg(long)]
    pub delete: bool,
    /// Do not ask before deleting
    #[arg(short, long)]
    pub yes: bool,
    /// Exit with 2 when there are orphans
    #[arg(long, conflicts_with_all = ["adopt", "delete"])]
    pub detailed_exitcode: bool,
}

/// `drctl simulate`
#[derive(Debug, Args)]
pub struct Simulate {
    /// Take the longest durations on record instead of typical ones
    #[arg(long, conflicts_with = "seed")]
    pub worst: bool,
    /// Draw each duration between its shortest and its longest, from this seed
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Write the timeline as a web page, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `drctl status`
#[derive(Debug, Args)]
pub struct Status {
    /// How many seconds one Region may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
}

/// `drctl down`
#[derive(Debug, Args)]
pub struct Down {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Which stack, as `{stack}-{environment}`: needed only without a configuration and with several states
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,
}

/// `drctl outputs`
#[derive(Debug, Args)]
pub struct Outputs {
    /// The form
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub format: OutputFormat,
}

/// The form of `drctl outputs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One flat JSON object.
    Json,
    /// `NAME='value'` lines for a shell.
    Env,
}

/// `drctl state`
#[derive(Debug, Args)]
pub struct State {
    /// What to do with it.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What can be done with the state file.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List what it holds
    List,
    /// Show one resource
    Show {
        /// Its address, e.g. primary/subnet/private-a
        address: Address,
    },
    /// Forget resources without touching AWS
    Rm {
        /// Their addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// `drctl sandbox`
#[derive(Debug, Args)]
pub struct Sandbox {
    /// What to do with it.
    #[command(subcommand)]
    pub command: SandboxCommand,
}

/// What can be done with the sandbox.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Start it in the background
    Start(SandboxOptions),
    /// Stop it; what is in it is gone
    Stop,
    /// Empty it
    Reset,
    /// Say whether it runs, and where
    Status,
    /// Print its log
    Logs,
    /// Run it in the foreground
    Serve {
        /// How.
        #[command(flatten)]
        options: SandboxOptions,
        /// Where it keeps its files [default: the folder `sandbox` in --state-dir]
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// End when stdin is closed, so that nothing outlives the harness that started it
        #[arg(long)]
        exit_with_stdin: bool,
    },
}

/// How a sandbox behaves.
#[derive(Debug, Clone, Args)]
pub struct SandboxOptions {
    /// `instant`, or `aws`: AWS's durations and intermediate states
    #[arg(long, value_enum, default_value_t = Pace::Instant)]
    pub pace: Pace,
    /// How many times faster than AWS the pace `aws` is
    #[arg(long, default_value_t = 60.0, value_parser = time_scale)]
    pub time_scale: f64,
    /// The port of the endpoint on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Stand before this emulator instead of MiniStack, e.g. <http://127.0.0.1:4566>
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// What goes wrong: faults and AWS's surprises, as docs/reliability.md describes them
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

fn time_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && (0.1..=1_000_000.0).contains(&scale) => Ok(scale),
        _ => Err("write a number from 0.1 to 1000000, e.g. 60".to_owned()),
    }
}
