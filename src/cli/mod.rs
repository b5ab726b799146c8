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
    let parsed = args::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut args::command())));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // If the reader has gone away, the usage is still wrong.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    hint::given(&cli.global);
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
