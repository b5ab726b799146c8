//! The local AWS of `--sandbox`, where this drctl was built with one.

use std::path::PathBuf;

use super::args::Global;
use super::error::CliError;
use super::output::Output;

/// What stands in for AWS.
#[derive(Debug, Clone)]
pub struct LocalAws {
    /// Where it listens.
    pub endpoint: String,
    /// The account that it is used with.
    pub account: String,
    /// How many times faster than AWS it is; infinitely, when it answers as fast as it can.
    pub time_scale: f64,
}

/// Where the sandbox keeps its files; and the states of stacks built in it, which are not stacks of AWS's.
pub fn sandbox_folder(global: &Global) -> PathBuf {
    global.state_dir.join("sandbox")
}

/// The one that `--sandbox` asks for, started when it is not running.
///
/// # Errors
/// When it does not start.
#[cfg(feature = "sandbox")]
pub async fn local_aws(global: &Global, output: &Output) -> Result<Option<LocalAws>, CliError> {
    use drctl_sandbox::{Control, Pace, StartOptions};

    /// Unless the environment names another.
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

/// None: this drctl was built without it, and has no `--sandbox`.
#[cfg(not(feature = "sandbox"))]
#[expect(clippy::unused_async, reason = "as with it")]
pub async fn local_aws(_: &Global, _: &Output) -> Result<Option<LocalAws>, CliError> {
    Ok(None)
}
