//! What an apply step does next: decided from what was read, without a call.

use std::time::Duration;

use crate::driver::{Change, Live, Phase};
use crate::failure::{Class, Failure};

/// What an apply step does next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing: the resource is available and as desired.
    Finish,
    /// It gives up.
    Fail(Failure),
    /// It deletes the resource, whose creation was accepted and then failed in this state, and recreates it.
    Recreate(String),
    /// It sets these properties.
    Sync(Vec<Change>),
    /// It waits until the resource, which is in this state, is available.
    Wait(String),
}

/// Facts besides the resource itself.
#[derive(Debug, Clone)]
pub(super) struct Circumstances {
    /// Whether the resource may be deleted and recreated if it has failed.
    pub may_recreate: bool,
    /// Whether deleting the resource loses data.
    pub holds_data: bool,
    /// How long ago a change was made that should be visible by now; `None` when there is none, or while the resource is on its way.
    pub changed_for: Option<Duration>,
    /// How long a change may take to be visible.
    pub visible: Duration,
}

/// Decides what comes next for a resource that is there, and that differs by these changes.
pub(super) fn assess(live: &Live, changes: Vec<Change>, known: &Circumstances) -> Next {
    let pending = match &live.phase {
        Phase::Failed(why) if known.may_recreate => return Next::Recreate(why.clone()),
        Phase::Failed(why) => return Next::Fail(has_failed(live, why, known.holds_data)),
        Phase::Deleting(state) => {
            let failure = Failure::new(Class::Transient, format!("{} is {state}", live.id));
            return Next::Fail(failure.help("Something else is deleting it. Run `drctl up` again once it is deleted."));
        }
        Phase::Pending(state) | Phase::Stalled(state) => Some(state),
        Phase::Ready => None,
    };
    if let Some(change) = changes.iter().find(|change| change.forces_replacement.is_some()) {
        let message = format!("{} differs since the plan was made, and cannot be changed in place", change.property);
        return Next::Fail(
            Failure::new(Class::Refused, message)
                .help("Run `drctl plan` to see what replacing it means, then `drctl up`."),
        );
    }
    match (changes.is_empty(), pending) {
        (true, None) => Next::Finish,
        (true, Some(state)) => Next::Wait(state.clone()),
        (false, _) if known.changed_for.is_some_and(|so_long| so_long > known.visible * 2) => {
            Next::Fail(still_reads(&changes))
        }
        (false, _) => Next::Sync(changes),
    }
}

fn has_failed(live: &Live, why: &str, holds_data: bool) -> Failure {
    let help = if holds_data {
        "Fix the cause, then run `drctl up` again. It holds data: drctl does not replace it on its own."
    } else {
        "Fix the cause, then run `drctl up` again: it will be replaced."
    };
    Failure::new(Class::Refused, format!("{} is in state {why}", live.id)).help(help)
}

/// Properties were set, and still have the values that they had before.
fn still_reads(changes: &[Change]) -> Failure {
    let old: Vec<String> =
        changes.iter().map(|change| format!("{} still reads {}", change.property, change.old)).collect();
    Failure::new(Class::TimedOut, format!("a change did not take effect: {}", old.join(", ")))
        .help("Something else may be changing it at the same time. Run `drctl plan` to see what differs.")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::driver::Owner;
    use crate::reference::Properties;

    const VISIBLE: Duration = Duration::from_mins(2);
    const USUAL: Circumstances =
        Circumstances { may_recreate: false, holds_data: false, changed_for: None, visible: VISIBLE };

    fn live(phase: Phase) -> Live {
        Live {
            id: "gate-1".to_owned(),
            arn: None,
            phase,
            owner: Owner::Implied,
            properties: Properties::new(),
            outputs: BTreeMap::new(),
            goes_after: Vec::new(),
        }
    }

    fn change(property: &str, forces_replacement: Option<&'static str>) -> Change {
        Change { property: property.to_owned(), old: json!(1), new: json!(2), forces_replacement }
    }

    fn pending() -> Phase {
        Phase::Pending("pending".to_owned())
    }

    fn failed() -> Phase {
        Phase::Failed("failed: no room".to_owned())
    }

    #[test]
    fn a_resource_that_can_go_on_is_finished_changed_or_waited_for() {
        let size = || vec![change("size", None)];
        let wait = || Next::Wait("pending".to_owned());
        let just_set = Circumstances { changed_for: Some(VISIBLE * 2), ..USUAL };
        for (case, phase, changes, known, expected) in [
            ("as desired", Phase::Ready, vec![], &USUAL, Next::Finish),
            ("as desired, after a change", Phase::Ready, vec![], &just_set, Next::Finish),
            ("on its way", pending(), vec![], &USUAL, wait()),
            ("without its key", Phase::Stalled("pending".to_owned()), vec![], &USUAL, wait()),
            ("different", Phase::Ready, size(), &USUAL, Next::Sync(size())),
            ("different while on its way", pending(), size(), &USUAL, Next::Sync(size())),
            ("set, and not visible yet", Phase::Ready, size(), &just_set, Next::Sync(size())),
        ] {
            assert_eq!(assess(&live(phase), changes, known), expected, "{case}");
        }
    }

    #[test]
    fn a_resource_that_has_failed_is_recreated_where_that_is_allowed_whatever_else_differs() {
        let may = Circumstances { may_recreate: true, holds_data: true, ..USUAL };
        let recreate = Next::Recreate("failed: no room".to_owned());
        assert_eq!(assess(&live(failed()), vec![change("shape", Some("a shape is for life"))], &may), recreate);
        assert_eq!(assess(&live(Phase::Ready), vec![], &may), Next::Finish, "only if it has failed");
    }

    #[test]
    fn a_resource_that_cannot_become_as_desired_fails_and_says_why() {
        let holds_data = Circumstances { holds_data: true, ..USUAL };
        let set_long_ago = Circumstances { changed_for: Some(VISIBLE * 2 + Duration::from_secs(1)), ..USUAL };
        let deleting = Phase::Deleting("deleting".to_owned());
        let (size, shape) = (|| change("size", None), || change("shape", Some("a shape is for life")));
        for (phase, changes, known, class, message, help) in [
            (failed(), vec![], &USUAL, Class::Refused, "gate-1 is in state failed: no room", "it will be replaced"),
            (failed(), vec![], &holds_data, Class::Refused, "in state failed", "does not replace it on its own"),
            (deleting, vec![], &USUAL, Class::Transient, "gate-1 is deleting", "Something else is deleting it"),
            (Phase::Ready, vec![size(), shape()], &USUAL, Class::Refused, "shape differs since the plan", "drctl plan"),
            (pending(), vec![shape()], &USUAL, Class::Refused, "shape differs since the plan", "drctl plan"),
            (Phase::Ready, vec![size()], &set_long_ago, Class::TimedOut, "size still reads 1", "Something else"),
        ] {
            let next = assess(&live(phase), changes, known);
            let Next::Fail(failure) = next else { panic!("{message}: {next:?}") };
            assert_eq!(failure.class, class, "{message}");
            assert!(failure.message.contains(message), "{message}: {failure}");
            assert!(failure.help.as_ref().is_some_and(|text| text.contains(help)), "{message}: {:?}", failure.help);
        }
    }
}
