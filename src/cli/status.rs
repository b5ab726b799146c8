//! `drctl status`.

use std::time::Duration;

use super::args::{Global, Status};
use super::error::{CliError, Exit};
use super::output::Output;
use super::recover::running;
use super::session::{Demand, Session};
use super::ui::status::Circumstances;
use super::{interrupt, ui};

/// Compares what is recorded and configured with what is in AWS.
pub async fn status(global: &Global, args: &Status, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let timeout = Duration::from_secs(args.timeout);
    let session =
        interrupt::unless_interrupted(&shutdown, Session::open(global, output, Demand::Some, timeout)).await?;
    // Before the state: a run that ends in between leaves one that is whole.
    let running = running(&session.location);
    let (recorded, failed) =
        session.location.read()?.map(|snapshot| (snapshot.resources, snapshot.failed)).unwrap_or_default();
    let plan = session.plan(&recorded, false, session.left(), &shutdown).await?;
    let context = session.plan_context(false);
    let circumstances = Circumstances { all: args.all, running, failed };
    if output.json {
        output.print_json(&ui::status::to_json(&plan, &circumstances, &context))?;
    } else {
        output.print(&ui::status::render(&plan, &circumstances, &context, &output.style))?;
    }
    // A Region that does not answer is what an operator asks about: the answer is on the screen, and it is not "all is well".
    if plan.unknown().next().is_some() {
        return Ok(Exit::Failed);
    }
    Ok(if args.detailed_exitcode && ui::status::deviates(&plan) { Exit::Differences } else { Exit::Done })
}
