//! `drctl init`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use clap::Args;

use super::args::Global;
use super::error::{CliError, Exit};
use super::hint;
use super::output::Output;
use drctl_config::{DEFAULT_FILE, TEMPLATE};

/// `drctl init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
}

/// Writes a commented configuration file.
pub fn init(global: &Global, args: &InitArgs, output: &Output) -> Result<Exit, CliError> {
    let path = global.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !args.force {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    match written {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(CliError::Usage {
            message: format!("{} already exists", path.display()),
            help: "Nothing was changed. Name another file with --config, or replace it with --force.".to_owned(),
        }),
        Err(source) => Err(CliError::Io { action: format!("write {}", path.display()), source }),
        Ok(()) if output.json => {
            output.print_json(&serde_json::json!({"event": "written", "file": path}))?;
            Ok(Exit::Done)
        }
        Ok(()) => {
            output.print(&hint::complete(&format!(
                "{} written. Every value in it has a default: change what you need, then run `drctl plan`.",
                path.display()
            )))?;
            Ok(Exit::Done)
        }
    }
}
