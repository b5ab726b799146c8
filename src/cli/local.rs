//! `--sandbox`: the local AWS, if this drctl was built with one, and the folder that its states are kept in.

use std::path::PathBuf;

use super::args::Global;
use super::error::CliError;
use super::output::Output;

/// The endpoint in place of AWS.
#[derive(Debug, Clone)]
pub struct LocalAws {
    /// The URL at which it listens.
    pub endpoint: String,
    /// The account that it is used with.
    pub account: String,
    /// How many times faster than AWS it is; infinite if it answers as fast as it can.
    pub time_scale: f64,
}

/// The folder of the sandbox's files. The states of stacks built in it are kept there too, apart from those of stacks in AWS.
pub fn sandbox_folder(global: &Global) -> PathBuf {
    global.state_dir.join("sandbox")
}

/// The folder of this run's states.
pub fn state_folder(global: &Global) -> PathBuf {
    if global.sandbox { sandbox_folder(global) } else { global.state_dir.clone() }
}

/// The local AWS if `--sandbox` was given. It is started if it is not running.
///
/// # Errors
/// When it does not start.
#[cfg(feature = "sandbox")]
pub async fn local_aws(global: &Global, output: &Output) -> Result<Option<LocalAws>, CliError> {
    use drctl_sandbox::{Control, Pace, StartOptions};

    /// The account unless the environment names another.
    const ACCOUNT: &str = "000000000000";

    if !global.sandbox {
        return Ok(None);
    }
    let options = StartOptions { pace: Pace::Instant, ..StartOptions::default() };
    let record = Control::new(sandbox_folder(global)).ensure(options, &|line| output.progress(line)).await?;
    Ok(Some(LocalAws {
        endpoint: record.endpoint(),
        account: std::env::var("DRCTL_SANDBOX_ACCOUNT").unwrap_or_else(|_| ACCOUNT.to_owned()),
        time_scale: if record.pace == Pace::Aws { record.time_scale } else { f64::INFINITY },
    }))
}

/// None: this drctl was built without the sandbox and has no `--sandbox`.
#[cfg(not(feature = "sandbox"))]
#[expect(clippy::unused_async, reason = "the same signature as with the sandbox")]
pub async fn local_aws(_: &Global, _: &Output) -> Result<Option<LocalAws>, CliError> {
    Ok(None)
}
