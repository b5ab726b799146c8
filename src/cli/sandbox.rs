//! `drctl sandbox`.

mod databases;
mod lag;
mod region;

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::args::Global;
use super::error::{CliError, Exit};
use super::hint;
use super::local::sandbox_folder;
use super::output::Output;
use lag::LagArgs;
use region::RegionArgs;

use drctl_sandbox::{
    AuroraStatus, Control, Pace, Record, RegionOrders, ServeOptions, Served, StartOptions, Status, serve,
};

const HELP: &str = "Examples:
  drctl up --sandbox                              starts it if it is not running
  drctl sandbox start --pace aws --time-scale 20  with AWS's durations, 20 times faster
  drctl sandbox region us-east-1 out              us-east-1 stops answering
  drctl sandbox psql us-east-2                    SQL at the database in us-east-2
  drctl sandbox stop                              stops it; until then it runs in the background";

/// `drctl sandbox`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct SandboxArgs {
    /// What to do with the sandbox.
    #[command(subcommand)]
    pub command: SandboxCommand,
}

/// What can be done with the sandbox.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Start it in the background
    Start(SandboxOptions),
    /// Stop the sandbox and discard its contents
    Stop,
    /// Reset the sandbox
    Reset,
    /// Say whether it is running, and where
    Status,
    /// List the sandboxes on this machine
    List,
    /// Take a Region out, isolate it, slow it down, or bring it back
    Region(RegionArgs),
    /// Set how long replication between Regions takes
    Lag(LagArgs),
    /// Open psql at the database that is the writer, or at that of a Region
    Psql {
        /// The Region, e.g. us-east-2 [default: the writer's]
        #[arg(value_name = "REGION")]
        region: Option<String>,
        /// The account, if several have a database
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Options for psql, e.g. `-- --command 'select 1'`
        #[arg(last = true, value_name = "OPTION")]
        options: Vec<String>,
    },
    /// Show the sandbox log
    Logs,
    /// Run it in the foreground
    Serve {
        /// How the sandbox behaves.
        #[command(flatten)]
        options: SandboxOptions,
        /// Folder for its files [default: the folder `sandbox` in --state-dir]
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// Stop when stdin is closed, so that nothing outlives the test that started it
        #[arg(long)]
        exit_with_stdin: bool,
    },
}

/// How a sandbox behaves.
#[derive(Debug, Clone, Args)]
pub struct SandboxOptions {
    /// `instant`, or `aws`: AWS's durations and intermediate states [default: instant]
    #[arg(long, value_parser = pace())]
    pub pace: Option<Pace>,
    /// How many times faster than AWS the pace `aws` is [default: 60]
    #[arg(long, value_parser = time_scale)]
    pub time_scale: Option<f64>,
    /// Port of the endpoint on 127.0.0.1; 0 chooses a free one [default: 0]
    #[arg(long)]
    pub port: Option<u16>,
    /// Port of the name server on 127.0.0.1, for UDP and TCP; 0 chooses a free one [default: 0]
    #[arg(long)]
    pub dns_port: Option<u16>,
    /// Proxy this emulator instead of MiniStack, e.g. <http://127.0.0.1:4566>
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Inject the faults and surprises in this file, as docs/reliability.md describes them
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

/// Reads `--pace`. The crate of the sandbox has no command line, so the help for each value is here.
fn pace() -> impl TypedValueParser<Value = Pace> {
    let values = Pace::ALL.map(|pace| {
        PossibleValue::new(pace.name()).help(match pace {
            Pace::Instant => "As fast as the emulator answers",
            Pace::Aws => "AWS's typical durations divided by the time scale, and AWS's states in between",
        })
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Pace>())
}

fn time_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && (0.1..=1_000_000.0).contains(&scale) => Ok(scale),
        _ => Err("write a number from 0.1 to 1000000, e.g. 60".to_owned()),
    }
}

/// Starts, stops, and inspects the local AWS.
pub async fn sandbox(global: &Global, args: &SandboxArgs, output: &Output) -> Result<Exit, CliError> {
    let folder = sandbox_folder(global);
    let control = Control::new(folder.clone());
    let progress = |line: &str| output.progress(line);
    match &args.command {
        SandboxCommand::Start(options) => {
            let running = match control.status()? {
                Status::Running(record) => record.options(),
                Status::Stopped | Status::Crashed(..) => StartOptions::default(),
            };
            let record = control.start(start_options(options, running)?, &progress).await?;
            describe(&Status::Running(record), &RegionOrders::new(), &AuroraStatus::default(), output)?;
        }
        SandboxCommand::Stop => {
            let was_running = control.stop().await?;
            say(output, "stopped", if was_running { "The sandbox is stopped." } else { "No sandbox was running." })?;
        }
        SandboxCommand::Reset => {
            control.reset().await?;
            say(output, "reset", "The sandbox is empty.")?;
        }
        SandboxCommand::Status => {
            let status = control.status()?;
            let (regions, aurora) = match &status {
                Status::Running(_) => (control.regions().await?, control.aurora().await?),
                Status::Stopped | Status::Crashed(..) => (RegionOrders::new(), AuroraStatus::default()),
            };
            describe(&status, &regions, &aurora, output)?;
            if !matches!(status, Status::Running(_)) {
                return Ok(Exit::Failed);
            }
        }
        SandboxCommand::List => list(output)?,
        SandboxCommand::Region(args) => return region::region(&control, args, output).await,
        SandboxCommand::Lag(args) => return lag::set(&control, args, output).await,
        SandboxCommand::Psql { region, account, options } => {
            let mut psql = control.psql(account.as_deref(), region.as_deref()).await?;
            // It takes this process's place: the terminal is its own, and so is the exit code.
            let source = psql.args(options).exec();
            let action = format!("start {}", psql.get_program().to_string_lossy());
            return Err(CliError::Io { action, source });
        }
        SandboxCommand::Logs => {
            let path = control.log_path();
            let text = std::fs::read(&path)
                .map_err(|source| CliError::Io { action: format!("read {}", path.display()), source })?;
            output.print(&String::from_utf8_lossy(&text))?;
        }
        SandboxCommand::Serve { options, dir, exit_with_stdin } => {
            let StartOptions { pace, time_scale, port, dns_port, upstream, faults } =
                start_options(options, StartOptions::default())?;
            let options = ServeOptions {
                dir: dir.clone().unwrap_or(folder),
                port,
                dns_port,
                pace,
                time_scale,
                upstream,
                faults,
                exit_with_stdin: *exit_with_stdin,
            };
            serve(options, &progress).await?;
        }
    }
    Ok(Exit::Done)
}

/// The options that were given, and defaults for the rest.
fn start_options(options: &SandboxOptions, defaults: StartOptions) -> Result<StartOptions, CliError> {
    Ok(StartOptions {
        pace: options.pace.unwrap_or(defaults.pace),
        time_scale: options.time_scale.unwrap_or(defaults.time_scale),
        port: options.port.unwrap_or(defaults.port),
        dns_port: options.dns_port.unwrap_or(defaults.dns_port),
        upstream: options.upstream.clone().or(defaults.upstream),
        faults: absolute(options.faults.as_deref())?.or(defaults.faults),
    })
}

/// Lists the sandboxes on this machine, each with the command that stops it.
fn list(output: &Output) -> Result<(), CliError> {
    let (mut rows, mut text) = (Vec::new(), String::new());
    for Served { pid, dir } in drctl_sandbox::list() {
        let record = match Control::new(dir.clone()).status() {
            Ok(Status::Running(record)) => Some(record),
            // It is starting, or its folder was deleted: only its command line is known.
            Ok(Status::Stopped | Status::Crashed(..)) | Err(_) => None,
        };
        let endpoint = record.as_ref().map(Record::endpoint);
        let state_dir = dir.parent().filter(|_| dir.ends_with("sandbox"));
        let end = match state_dir {
            Some(state_dir) => {
                let state_dir = hint::quoted(&state_dir.display().to_string());
                format!("`drctl sandbox stop --state-dir {state_dir}` stops it.")
            }
            None => format!("`kill {pid}` stops it."),
        };
        let state = match &endpoint {
            Some(endpoint) => endpoint.clone(),
            None if dir.exists() => "not ready".to_owned(),
            None => "its folder was deleted; it will stop automatically".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}  process {pid}, {state}. {end}", dir.display());
        rows.push(serde_json::json!({"pid": pid, "folder": dir, "endpoint": endpoint, "sandbox": record}));
    }
    if output.json {
        return output.print_json(&serde_json::json!({"sandboxes": rows}));
    }
    output.print(if text.is_empty() { "No sandbox is running on this machine." } else { &text })
}

/// The absolute path: the sandbox's process may run in another folder.
fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>, CliError> {
    path.map(std::path::absolute)
        .transpose()
        .map_err(|source| CliError::Io { action: "find the working folder".to_owned(), source })
}

fn say(output: &Output, event: &str, text: &str) -> Result<(), CliError> {
    if output.json { output.print_json(&serde_json::json!({"event": event})) } else { output.print(text) }
}

fn describe(status: &Status, regions: &RegionOrders, aurora: &AuroraStatus, output: &Output) -> Result<(), CliError> {
    let (word, record, why): (_, Option<&Record>, Option<String>) = match status {
        Status::Running(record) => ("running", Some(record), None),
        Status::Crashed(record, why) => ("crashed", Some(record), Some(why.clone())),
        Status::Stopped => ("stopped", None, None),
    };
    if output.json {
        return output.print_json(
            &serde_json::json!({"status": word, "sandbox": record, "regions": regions, "aurora": aurora, "why": why}),
        );
    }
    let Some(record) = record else {
        return output.print(&hint::complete(
            "No sandbox is running. Any command with --sandbox starts it; so does `drctl sandbox start`.",
        ));
    };
    if let Some(why) = why {
        let next = "Start it again with `drctl sandbox start`; `drctl sandbox logs` shows its log.";
        return output.print(&format!(
            "The sandbox (process {}) has crashed: {why}\n{}",
            record.pid,
            hint::complete(next)
        ));
    }
    let end = hint::complete("It runs in the background until `drctl sandbox stop`.");
    let mut text = format!(
        "The sandbox is running at {} (process {}, pace {}). {end}",
        record.endpoint(),
        record.pid,
        record.pace
    );
    if let Some(dns) = record.dns() {
        text = format!("{text}\nDNS answers at {dns}: dig @{} -p {} NAME", dns.ip(), dns.port());
    }
    if !regions.is_empty() {
        text = format!("{text}\n{}", region::text(regions));
    }
    if !aurora.clusters.is_empty() {
        text = format!("{text}\n{}", databases::text(aurora));
    }
    output.print(&text)
}
