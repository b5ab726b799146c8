//! The command line: the commands, and the options of all of them. The options of one command are in its own file.

use std::path::PathBuf;

use clap::{Arg, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use super::check::CheckArgs;
use super::down::DownArgs;
use super::init::InitArgs;
use super::orphans::OrphansArgs;
use super::outputs::OutputsArgs;
use super::plan::PlanArgs;
use super::recover::RecoverArgs;
#[cfg(feature = "sandbox")]
use super::sandbox::SandboxArgs;
use super::simulate::SimulateArgs;
use super::state::StateArgs;
use super::status::StatusArgs;
use super::up::UpArgs;

/// The exit codes in the help of drctl itself.
const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  failed
    2  differences were found (with --detailed-exitcode)
    3  bad usage or configuration
    4  state locked or unreadable
    5  credentials or permissions
  130  interrupted";

/// The help of a command that reads AWS: its examples, then the exit codes.
macro_rules! with_exit_codes {
    ($examples:literal) => {
        concat!(
            $examples,
            "\n\nExit codes: 0 done, 1 failed, 2 differences (with --detailed-exitcode), 3 bad usage or configuration, 4 state \
             locked or unreadable, 5 credentials or permissions, 130 interrupted."
        )
    };
}
pub(super) use with_exit_codes;

/// Builds and operates a two-Region disaster-recovery architecture on AWS
#[derive(Debug, Parser)]
#[command(name = "drctl", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
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
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Configuration file [default: drctl.toml in the working folder, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "DRCTL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Use this environment instead of the configured one
    #[arg(long, global = true, value_name = "NAME", env = "ENVIRONMENT_SUFFIX")]
    pub environment: Option<String>,
    /// Directory for state files
    #[arg(long, global = true, value_name = "FOLDER", default_value = STATE_DIR, env = STATE_DIR_VARIABLE)]
    pub state_dir: PathBuf,
    /// Use a local AWS, which is started if it is not running: no account, no credentials
    #[cfg_attr(feature = "sandbox", arg(long, global = true))]
    #[cfg_attr(not(feature = "sandbox"), arg(skip))]
    pub sandbox: bool,
    /// Print JSON for machines
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more to stderr: -v decisions, -vv calls, -vvv everything (`RUST_LOG` is honoured, too)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log format
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// No colours (`NO_COLOR` is honoured, too)
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// Where state files are kept unless `--state-dir` says otherwise.
pub const STATE_DIR: &str = "state";

/// The variable that has the same meaning as `--state-dir`.
pub const STATE_DIR_VARIABLE: &str = "DRCTL_STATE_DIR";

/// The global options that have a meaning for a command, for the commands for which not all of them do. The other options are
/// accepted, but appear neither in the command's help nor in hints.
const MEANINGFUL: &[(&str, &[&str])] = &[
    ("init", &["config", "json", "verbose", "log_format", "no_color"]),
    ("simulate", &["config", "environment", "json", "verbose", "log_format", "no_color"]),
    ("outputs", &["config", "environment", "state_dir", "sandbox", "verbose", "log_format", "no_color"]),
    #[cfg(feature = "sandbox")]
    ("sandbox", &["state_dir", "json", "verbose", "log_format", "no_color"]),
    ("completions", &[]),
];

/// The command line. Options that have no meaning for a command are left out of its help.
#[must_use]
pub fn command() -> clap::Command {
    let root = Cli::command();
    let globals: Vec<Arg> = root.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    MEANINGFUL.iter().fold(root, |root, (name, meaningful)| {
        let is_hidden = |arg: &&Arg| !meaningful.contains(&arg.get_id().as_str());
        let hidden: Vec<Arg> = globals.iter().filter(is_hidden).map(|arg| arg.clone().hide(true)).collect();
        root.mut_subcommand(name, |command| command.args(hidden))
    })
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for an operator.
    Text,
    /// One JSON object per line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented drctl.toml
    Init(InitArgs),
    /// Show what `up` would do, and change nothing
    Plan(PlanArgs),
    /// Check what would make `up` fail, and change nothing
    Check(CheckArgs),
    /// Build the stack, or make it match the configuration
    #[command(visible_alias = "apply")]
    Up(UpArgs),
    /// Say whether the standby is ready, and list what deviates
    Status(StatusArgs),
    /// Delete everything that drctl created
    #[command(visible_alias = "destroy")]
    Down(DownArgs),
    /// Show what an interrupted run left open, and what became of it
    Recover(RecoverArgs),
    /// List tagged resources that are not in the state; adopt or delete them
    Orphans(OrphansArgs),
    /// Say how long `up` and `down` take on AWS, without calling AWS
    Simulate(SimulateArgs),
    /// Print ids, ARNs, and endpoints for other tools
    Outputs(OutputsArgs),
    /// List, show, or forget what the state records
    State(StateArgs),
    /// Run a local AWS
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxArgs),
    /// Print the version
    #[command(hide = true)]
    Version,
    /// Print shell completions
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Parses the value of a `--timeout`.
pub fn seconds(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(seconds) if (1..=600).contains(&seconds) => Ok(seconds),
        _ => Err("write a whole number from 1 to 600, e.g. 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(words: &[&str]) -> Global {
        let words = ["drctl"].iter().chain(words);
        let matches = command().try_get_matches_from(words).expect("parsed");
        <Cli as clap::FromArgMatches>::from_arg_matches(&matches).expect("read").global
    }

    #[test]
    fn clap_accepts_the_command_line() {
        command().debug_assert();
    }

    #[test]
    fn options_without_a_meaning_are_accepted_and_left_out_of_the_help() {
        let help = |name: &str| {
            let mut root = command();
            root.build();
            root.find_subcommand_mut(name).expect("a command").render_long_help().to_string()
        };
        assert!(!help("completions").contains("--sandbox"), "{}", help("completions"));
        assert!(!help("init").contains("--state-dir"), "{}", help("init"));
        let plan = help("plan");
        assert!(plan.contains("--sandbox") && plan.contains("Global options:"), "{plan}");
        assert!(plan.find("--detailed-exitcode") < plan.find("Global options:"), "{plan}");
        assert!(global(&["completions", "bash", "--sandbox"]).sandbox);
    }
}
