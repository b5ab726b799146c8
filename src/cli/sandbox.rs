//! `drctl sandbox`.

use std::path::{Path, PathBuf};

use super::args::{Global, Sandbox, SandboxCommand, SandboxOptions};
use super::error::{CliError, Exit};
use super::output::Output;
use super::session::sandbox_folder;
use crate::sandbox::{Control, Record, ServeOptions, StartOptions, Status, serve};

/// Runs a local AWS.
pub async fn sandbox(global: &Global, args: &Sandbox, output: &Output) -> Result<Exit, CliError> {
    let folder = sandbox_folder(global);
    let control = Control::new(folder.clone());
    let progress = |line: &str| output.progress(line);
    match &args.command {
        SandboxCommand::Start(options) => {
            let record = control.start(start_options(options)?, &progress).await?;
            describe(&Status::Running(record), output)?;
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
            describe(&status, output)?;
            if !matches!(status, Status::Running(_)) {
                return Ok(Exit::Failed);
            }
        }
        SandboxCommand::Logs => {
            let path = control.log_path();
            let text = std::fs::read(&path)
                .map_err(|source| CliError::Io { action: format!("read {}", path.display()), source })?;
            output.print(&String::from_utf8_lossy(&text))?;
        }
        SandboxCommand::Serve { options, dir, exit_with_stdin } => {
            let options = ServeOptions {
                dir: dir.clone().unwrap_or(folder),
                port: options.port,
                pace: options.pace,
                time_scale: options.time_scale,
                upstream: options.upstream.clone(),
                faults: absolute(options.faults.as_deref())?,
                exit_with_stdin: *exit_with_stdin,
            };
            serve(options, &progress).await?;
        }
    }
    Ok(Exit::Done)
}

fn start_options(options: &SandboxOptions) -> Result<StartOptions, CliError> {
    Ok(StartOptions {
        pace: options.pace,
        time_scale: options.time_scale,
        port: options.port,
        upstream: options.upstream.clone(),
        faults: absolute(options.faults.as_deref())?,
    })
}

/// The sandbox's process may work in another folder.
fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>, CliError> {
    path.map(std::path::absolute)
        .transpose()
        .map_err(|source| CliError::Io { action: "find the working folder".to_owned(), source })
}

fn say(output: &Output, event: &str, text: &str) -> Result<(), CliError> {
    if output.json { output.print_json(&serde_json::json!({"event": event})) } else { output.print(text) }
}

fn describe(status: &Status, output: &Output) -> Result<(), CliError> {
    let (word, record, why): (_, Option<&Record>, Option<String>) = match status {
        Status::Running(record) => ("running", Some(record), None),
        Status::Crashed(record, why) => ("crashed", Some(record), Some(why.clone())),
        Status::Stopped => ("stopped", None, None),
    };
    if output.json {
        return output.print_json(&serde_json::json!({"status": word, "sandbox": record, "why": why}));
    }
    let Some(record) = record else {
        return output
            .print("No sandbox is running. Any command with --sandbox starts it; so does `drctl sandbox start`.");
    };
    if let Some(why) = why {
        return output.print(&format!(
            "The sandbox (process {}) has crashed: {why}\nStart it again with `drctl sandbox start`; `drctl sandbox logs` shows its last words.",
            record.pid
        ));
    }
    let pace =
        serde_json::to_value(record.pace).ok().and_then(|pace| pace.as_str().map(str::to_owned)).unwrap_or_default();
    output.print(&format!("The sandbox runs at {} (process {}, pace {pace}).", record.endpoint(), record.pid))
}
