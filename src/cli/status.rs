//! `drctl status`.

use std::time::Duration;

use super::args::{Global, Status};
use super::error::{CliError, Exit};
use super::output::Output;
use super::session::{Demand, Session};
use super::{run, ui};

/// Compares what is recorded and configured with what is in AWS.
pub async fn status(global: &Global, args: &Status, output: &Output) -> Result<Exit, CliError> {
    let shutdown = run::listen()?;
    let session = run::unless_interrupted(&shutdown, Session::open(global, output, Demand::Some)).await?;
    let recorded = session.location.read()?.map(|snapshot| snapshot.resources).unwrap_or_default();
    let timeout = Duration::from_secs(args.timeout);
    let plan = session.plan(&recorded, false, timeout, &shutdown).await?;
    let context = session.plan_context(false);
    if output.json {
        output.print_json(&ui::status::to_json(&plan, &context))?;
    } else {
        output.print(&ui::status::render(&plan, &context, &output.style))?;
    }
    // A Region that does not answer is what an operator asks about: the answer is on the screen, and it is not "all is well".
    Ok(if plan.unknown().next().is_some() { Exit::Failed } else { Exit::Done })
}
