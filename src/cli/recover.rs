//! `drctl recover`.

use std::fs::{File, TryLockError};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::args::{Global, seconds};
use super::error::{CliError, Exit};
use super::output::Output;
use super::session::{Availability, Session};
use super::target::Target;
use super::ui::recover::{Journaled, Recovery};
use super::{interrupt, ui};
use drctl_engine::state::{Holder, Location, Snapshot, StateError, journal};
use drctl_engine::{Inspection, IntentOutcome};

/// `drctl recover`
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// How long a single read may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = seconds)]
    pub timeout: u64,
}

/// Shows the open intents and what became of each. Changes nothing.
pub async fn recover(global: &Global, args: &RecoverArgs, output: &Output) -> Result<Exit, CliError> {
    let shutdown = interrupt::listen()?;
    let timeout = Duration::from_secs(args.timeout);
    let session = Session::open(global, output, Availability::BestEffort, timeout, &shutdown).await?;
    let Target { endpoint, registry, location, graph, .. } = &session.target;
    // Before the state: a run that ends in between folds its journal into it.
    let (running, journal) = (running(location), journaled(location)?);
    let entries = session.recorded()?;
    registry.forget();
    let timeout = session.time_left();
    let grace = endpoint.options(false).timing.grace;
    let inspection = Inspection { graph, entries: &entries, drivers: registry, timeout, grace };
    let intents = endpoint.ask(timeout, inspection.look(), &shutdown).await?;
    let is_complete = !intents.iter().any(|intent| matches!(intent.became, IntentOutcome::Unknown { .. }));
    let recovery = Recovery { intents, journal, running, now: Timestamp::now() };
    let context = session.context(false);
    if output.json {
        output.print_json(&ui::recover::to_json(&recovery, &context))?;
    } else {
        output.print(&ui::recover::render(&recovery, &context, &output.style))?;
    }
    Ok(if is_complete { Exit::Done } else { Exit::Failed })
}

/// The journal of a run that has not folded it. A journal whose transitions are already in the snapshot does not count.
fn journaled(location: &Location) -> Result<Option<Journaled>, StateError> {
    let Some(found) = journal::read(&location.journal())? else { return Ok(None) };
    let serial = Snapshot::read(&location.snapshot())?.map_or(0, |snapshot| snapshot.serial);
    let since = found.transitions.first().map(|transition| transition.at);
    let is_open = found.header.serial >= serial;
    Ok(is_open.then_some(Journaled { transitions: found.transitions.len(), since }))
}

/// The run that holds the lock at this moment, if any. To find out, the lock is shared for an instant, but never taken.
pub fn running(location: &Location) -> Option<Holder> {
    let path = location.lock();
    let file = File::open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let unknown = Holder { pid: 0, host: String::new(), command: String::new(), since: None };
            let text = std::fs::read_to_string(&path).ok();
            Some(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(unknown))
        }
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drctl_engine::state::{Identity, Regions};

    #[test]
    fn a_run_is_found_by_its_lock_and_its_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::new(folder.path(), "pay-test");
        assert!(running(&location).is_none(), "there is no lock yet");
        let identity = Identity {
            stack: "pay".into(),
            environment: "test".into(),
            account: "123456789012".into(),
            regions: Regions { primary: "us-east-1".into(), secondary: "us-east-2".into() },
        };
        let mut store = location.open(identity, "up").expect("opened");
        let holder = running(&location).expect("it is held");
        assert_eq!((holder.command.as_str(), holder.pid), ("up", std::process::id()));
        assert_eq!(journaled(&location).expect("read"), None);
        let journal = store.take_journal().expect("a journal");
        let begun = journaled(&location).expect("read");
        assert_eq!(begun, Some(Journaled { transitions: 0, since: None }));
        store.returned(journal, Vec::new());
        drop(store);
        assert!(running(&location).is_none(), "it is free again");
    }
}
