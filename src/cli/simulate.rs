//! `drctl simulate`.

use std::path::PathBuf;

use clap::Args;

use super::args::Global;
use super::endpoint::CAP;
use super::error::{CliError, Exit};
use super::output::Output;
use super::ui::{timeline, timeline_html};
use crate::simulate::{Draw, Simulation};
use drctl_config::Config;
use drctl_engine::{Class, Failure, RunOptions, Timing};

/// `drctl simulate`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Use the longest durations on record instead of typical ones
    #[arg(long, conflicts_with = "seed")]
    pub worst: bool,
    /// Draw random durations from this seed, each between its shortest and its longest
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Also write the timeline as a web page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Says how long `up` and `down` take on AWS, and why. Makes no calls, and writes nothing but the page that was asked for.
pub async fn simulate(global: &Global, args: &SimulateArgs, output: &Output) -> Result<Exit, CliError> {
    let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
    let draw = match args.seed {
        Some(seed) => Draw::Seed(seed),
        None if args.worst => Draw::Worst,
        None => Draw::Typical,
    };
    let options = RunOptions { cap: CAP, timing: Timing::default(), adopt: false };
    let simulation = Simulation::new(&config, draw, options)
        .await
        .map_err(|error| CliError::unbuilt(error, global.config.as_deref()))?;
    // It has a runtime of its own, which must not be waited for on a thread of this one.
    let simulated = tokio::task::spawn_blocking(move || simulation.run())
        .await
        .map_err(|e| Failure::new(Class::Internal, format!("a defect of drctl: {e}")))??;
    let title = config.name();
    if let Some(path) = &args.html {
        std::fs::write(path, timeline_html::page(&simulated, &title))
            .map_err(|source| CliError::Io { action: format!("write {}", path.display()), source })?;
        output.progress(&format!("{} written.", path.display()));
    }
    if output.json {
        output.print_json(&timeline::to_json(&simulated, &title))?;
    } else {
        output.print(&timeline::render(&simulated, &title, &output.style))?;
    }
    Ok(Exit::Done)
}
