//! The command line: one file per command. The only code that prints.

mod args;
mod check;
mod down;
mod endpoint;
mod environment;
mod error;
mod hint;
mod init;
mod interrupt;
mod local;
mod orphans;
mod output;
mod outputs;
mod plan;
mod recover;
mod replace;
mod run;
mod safeguards;
#[cfg(feature = "sandbox")]
mod sandbox;
mod session;
mod simulate;
mod state;
mod status;
mod target;
pub mod ui;
mod up;
mod waiting;

use clap::FromArgMatches as _;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::prelude::*;

pub use args::{Cli, Command, Global, LogFormat};
pub use error::{CliError, Exit};
pub use output::Output;

/// Parses the command line, runs the command, and returns the exit code.
#[must_use]
pub fn main() -> Exit {
    environment::drop_empty_settings();
    let parsed = args::command().try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut args::command()))?;
        Ok((cli, matches))
    });
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return unparsed(&error),
    };
    hint::given(&cli.global, &matches);
    log(&cli.global);
    let output = Output::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            output.error(&CliError::Io { action: "start the runtime".to_owned(), source });
            return Exit::Failed;
        }
    };
    let result = std::thread::scope(|scope| {
        let work = || runtime.block_on(dispatch(&cli, &output));
        match std::thread::Builder::new().stack_size(MAIN_STACK).spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(source) => Err(CliError::Io { action: "start a thread".to_owned(), source }),
        }
    });
    // A call that was abandoned must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit,
        // As with `drctl state list | head`: the reader has seen enough. A run that changes something has failed, though.
        Err(error) if error.is_broken_pipe() => match cli.command {
            Command::Up(_) | Command::Down(_) => Exit::Failed,
            Command::Orphans(args) if args.delete => Exit::Failed,
            _ => Exit::Done,
        },
        Err(error) => {
            output.error(&error);
            error.exit()
        }
    }
}

/// Prints why a command line was not understood, or the help or version that was asked for.
fn unparsed(error: &clap::Error) -> Exit {
    let is_json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if error.use_stderr() && is_json {
        Output::for_machines().error(&usage(error));
    } else {
        // If the reader has gone away, the usage is still wrong.
        drop(error.print());
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// What clap says, whose first paragraph is what is wrong.
fn usage(error: &clap::Error) -> CliError {
    let text = error.to_string();
    let (message, help) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message = message.trim_start_matches("error: ").trim().to_owned();
    CliError::Usage { message, help: format!("Nothing was changed. {}", help.trim()) }
}

async fn dispatch(cli: &Cli, output: &Output) -> Result<Exit, CliError> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => init::init(global, args, output),
        Command::Plan(args) => plan::plan(global, args, output).await,
        Command::Check(args) => check::check(global, args, output).await,
        Command::Up(args) => up::up(global, args, output).await,
        Command::Status(args) => status::status(global, args, output).await,
        Command::Down(args) => down::down(global, args, output).await,
        Command::Recover(args) => recover::recover(global, args, output).await,
        Command::Orphans(args) => orphans::orphans(global, args, output).await,
        Command::Simulate(args) => simulate::simulate(global, args, output).await,
        Command::Outputs(args) => outputs::outputs(global, args, output),
        Command::State(args) => state::state(global, args, output).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => sandbox::sandbox(global, args, output).await,
        Command::Version => {
            output.print(&args::command().render_version())?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut args::command(), "drctl", &mut text);
            output.print(&String::from_utf8_lossy(&text))?;
            Ok(Exit::Done)
        }
    }
}

/// The stack of each worker. The futures of calls to AWS are nested, and an unoptimised build polls each on its own frame.
const STACK: usize = 8 * 1024 * 1024;

/// The stack of the thread that a command runs on, whose own futures are added to those.
const MAIN_STACK: usize = 4 * STACK;

/// Libraries that log whole requests and answers at the level `trace`: one request and one answer contain a password.
const LOGS_BODIES: [&str; 3] = ["aws_smithy_", "aws_runtime", "hyper"];

/// Whether an event may be logged, whatever level was asked for.
fn may_log(event: &tracing::Metadata<'_>) -> bool {
    *event.level() <= tracing::Level::DEBUG || !LOGS_BODIES.iter().any(|library| event.target().starts_with(library))
}

/// The log filter for a number of `-v`.
fn level(verbose: u8) -> &'static str {
    match verbose {
        // What the SDK warns about is also returned as an error, which drctl explains.
        0 => "error,drctl=warn",
        1 => "error,drctl=info",
        2 => "error,drctl=debug",
        _ => "debug",
    }
}

fn log(global: &Global) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(global.verbose)));
    let layer = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let layer = match global.log_format {
        LogFormat::Json => layer.json().boxed(),
        LogFormat::Text => layer.with_ansi(ui::Style::detect_stderr(global.no_color).color).boxed(),
    };
    let layer = layer.with_filter(filter).with_filter(filter_fn(may_log));
    // It fails only if there is a subscriber already, which then stays.
    drop(tracing_subscriber::registry().with(layer).try_init());
}

#[cfg(test)]
mod tests {
    use super::ui::testing::Written;
    use super::*;

    #[test]
    fn what_clap_refuses_is_an_error_as_any_other() {
        let refused = |words: &[&str]| {
            let error = args::command().try_get_matches_from(words).expect_err("refused");
            usage(&error).to_json()
        };
        let json = refused(&["drctl", "plan", "--json", "--timeout", "0"]);
        let message = "invalid value '0' for '--timeout <SECONDS>': write a whole number from 1 to 600, e.g. 10";
        assert_eq!((&json["event"], &json["message"]), (&"error".into(), &message.into()));
        assert_eq!(json["exit_code"], 3);
        let json = refused(&["drctl", "state", "rm", "--json"]);
        let message = json["message"].as_str().expect("a message");
        assert!(message.contains("required arguments") && message.contains("ADDRESS"), "{message}");
        let help = json["help"].as_str().expect("help");
        assert!(help.starts_with("Nothing was changed. Usage: drctl state rm"), "{help}");
    }

    /// The SDK logs long warnings about each place in which it does not find credentials.
    #[test]
    fn drctls_own_events_are_logged_without_the_sdks_warnings() {
        for (verbose, sdk, own) in [(0, false, false), (1, false, true), (2, false, true), (3, true, true)] {
            let written = Written::default();
            let into = written.clone();
            let layer = tracing_subscriber::fmt::layer().with_writer(move || into.clone());
            let registry = tracing_subscriber::registry().with(layer.with_filter(EnvFilter::new(level(verbose))));
            tracing::subscriber::with_default(registry, || {
                tracing::warn!(target: "aws_config::imds::region", "failed to load region from IMDS");
                tracing::info!(target: "drctl::engine", "planned");
            });
            let text = written.text();
            assert_eq!((text.contains("IMDS"), text.contains("planned")), (sdk, own), "-v × {verbose}: {text}");
        }
    }
}
