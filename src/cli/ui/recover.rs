//! Open intents: what was about to happen, what became of it, and what to do, as text and as JSON.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::failures::{self, hanging};
use super::plan::PlanContext;
use super::text::{clean, elapsed, list, plural};
use super::{Style, joined};
use crate::cli::hint;
use drctl_engine::state::{Holder, Status};
use drctl_engine::{Intent, IntentOutcome, Phase};

/// The indentation of what belongs to an intent.
const INDENT: usize = 6;

/// The journal of a run that has not folded it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Journaled {
    /// How many transitions it holds.
    pub transitions: usize,
    /// When the first one was written; `None` if the run ended before that.
    pub since: Option<Timestamp>,
}

/// Everything that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The open intents, by address.
    pub intents: Vec<Intent>,
    /// The journal of an unfinished run, if there is one.
    pub journal: Option<Journaled>,
    /// The run in progress, if there is one.
    pub running: Option<Holder>,
    /// When AWS was read.
    pub now: Timestamp,
}

/// The open intents as text.
#[must_use]
pub fn render(recovery: &Recovery, context: &PlanContext, style: &Style) -> String {
    let mut lines = context.header(style);
    lines.push(String::new());
    if let Some(holder) = &recovery.running {
        let text = format!("{} is running now: the following may be outdated.", clean(&holder.to_string()));
        lines.extend(hanging("", &text, style.width, 0).iter().map(|line| style.yellow(line)));
    }
    if let Some(journal) = &recovery.journal {
        let run = if recovery.running.is_some() { "The run in progress has a" } else { "An unfinished run has left a" };
        let since = journal.since.map(|since| format!(", the first at {since:.0}")).unwrap_or_default();
        let text = format!("{run} journal: {}{since}.", plural(journal.transitions, "transition"));
        lines.extend(hanging("", &text, style.width, 0));
    }
    for (advice, intents) in by_advice(&recovery.intents) {
        lines.push(String::new());
        lines.extend(intents.into_iter().flat_map(|intent| row(intent, recovery.now, style)));
        let advice = hint::complete(advice);
        lines.extend(hanging("→ ", &advice, style.width, 2).iter().map(|line| style.cyan(line)));
    }
    if lines.last().is_some_and(|line| !line.is_empty()) {
        lines.push(String::new());
    }
    let count = recovery.intents.len();
    let summary = if count == 0 { "No open intents.".to_owned() } else { format!("{}.", plural(count, "open intent")) };
    lines.push(style.bold(&summary));
    joined(&lines)
}

/// The open intents as JSON.
#[must_use]
pub fn to_json(recovery: &Recovery, context: &PlanContext) -> Value {
    let unknown =
        recovery.intents.iter().filter(|intent| matches!(intent.became, IntentOutcome::Unknown { .. })).count();
    let mut value = context.to_json(&json!({ "open": recovery.intents.len(), "unknown": unknown }));
    value["journal"] = json!(recovery.journal);
    value["running"] = json!(recovery.running);
    let intents = recovery.intents.iter().map(|intent| {
        json!({
            "address": intent.address,
            "region": intent.entry.region,
            "intent": intent.entry.status.as_str(),
            "since": intent.since(),
            "attempt": intent.entry.attempt,
            "became": intent.became,
            "told": became(intent),
            "advice": advice(intent),
        })
    });
    value["intents"] = intents.collect();
    value
}

fn row(intent: &Intent, now: Timestamp, style: &Style) -> Vec<String> {
    let since = intent.since();
    let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let mut head =
        format!("{} — {} ({} ago, {since:.0})", intent.address, announced(&intent.entry.status), elapsed(age));
    if let Some(attempt) = &intent.entry.attempt {
        head = format!("{head}, attempt {}", clean(attempt));
    }
    let mut lines = hanging("? ", &head, style.width, 2);
    let is_unknown = matches!(intent.became, IntentOutcome::Unknown { .. });
    let became: Vec<String> = hanging("", &became(intent), style.width, INDENT);
    lines.extend(became.iter().map(|line| if is_unknown { style.yellow(line) } else { style.bold(line) }));
    if let IntentOutcome::Unknown { failure } | IntentOutcome::NameTaken { by: failure } = &intent.became {
        lines.extend(failures::lines(failure, style, INDENT));
    }
    lines
}

/// Intents grouped by their advice.
fn by_advice(intents: &[Intent]) -> Vec<(&'static str, Vec<&Intent>)> {
    let mut groups: Vec<(&'static str, Vec<&Intent>)> = Vec::new();
    for intent in intents {
        let advice = advice(intent);
        match groups.iter_mut().find(|(known, _)| *known == advice) {
            Some((_, members)) => members.push(intent),
            None => groups.push((advice, vec![intent])),
        }
    }
    groups
}

/// What was about to happen.
fn announced(status: &Status) -> &'static str {
    match status {
        Status::Creating { .. } => "creation may have been sent",
        Status::Created => "created, not yet confirmed ready",
        Status::Ready => "ready",
        Status::Updating { .. } => "change may have been sent",
        Status::Deleting { .. } => "deletion may have been sent",
    }
}

/// What became of an intent.
fn became(intent: &Intent) -> String {
    match &intent.became {
        IntentOutcome::Created { id, phase } => format!("it was created: {} ({})", clean(id), state(phase)),
        IntentOutcome::NotVisible { until } => {
            format!("it is not visible yet: if it has not appeared by {until:.0}, it was not created")
        }
        IntentOutcome::NotCreated => "it was not created".to_owned(),
        IntentOutcome::NameTaken { .. } => {
            "it was not created: its name is in use by a resource that is not drctl's".to_owned()
        }
        IntentOutcome::Exists { id, phase, differs } => {
            let exists = format!("it exists: {} ({})", clean(id), state(phase));
            match (&intent.entry.status, differs.as_deref()) {
                (Status::Deleting { .. }, _) => format!("it still exists: {} ({})", clean(id), state(phase)),
                (_, None) => exists,
                (_, Some([])) => format!("{exists}, as configured"),
                (_, Some(names)) => {
                    let verb = if names.len() == 1 { "y still differs" } else { "ies still differ" };
                    format!("{exists}, and {} propert{verb}: {}", names.len(), clean(&list(names, 60)))
                }
            }
        }
        IntentOutcome::Gone => match intent.entry.status {
            Status::Deleting { .. } => "it has been deleted".to_owned(),
            _ => "it no longer exists".to_owned(),
        },
        IntentOutcome::Unknown { .. } => "it could not be read".to_owned(),
    }
}

fn state(phase: &Phase) -> String {
    match phase {
        Phase::Ready => "available".to_owned(),
        Phase::Pending(word) | Phase::Stalled(word) | Phase::Failed(word) | Phase::Deleting(word) => clean(word),
    }
}

/// What to do about an intent, in one sentence.
fn advice(intent: &Intent) -> &'static str {
    match (&intent.became, &intent.entry.status) {
        (IntentOutcome::Created { .. }, _) => "`drctl up` records and completes it; `drctl down` deletes it.",
        (IntentOutcome::NotVisible { .. }, _) => {
            "`drctl up` and `drctl down` look for it again for the same period before they continue. Neither creates a duplicate."
        }
        (IntentOutcome::NotCreated, _) => "`drctl up` creates it; `drctl down` forgets it.",
        (IntentOutcome::NameTaken { .. }, _) => {
            "Choose another stack name or environment, or take it over with `drctl up --adopt`. `drctl down` does not touch it."
        }
        (IntentOutcome::Exists { .. }, Status::Deleting { .. }) => {
            "`drctl down` completes the deletion; `drctl up` keeps it if it is still configured."
        }
        (IntentOutcome::Exists { .. }, _) => "`drctl up` completes it; `drctl down` deletes it.",
        (IntentOutcome::Gone, Status::Deleting { .. }) => {
            "`drctl down` removes its record; `drctl up` recreates it if it is configured."
        }
        (IntentOutcome::Gone, _) => "`drctl up` recreates it; `drctl down` removes its record.",
        (IntentOutcome::Unknown { .. }, _) => {
            "Its intent stays open. Fix the problem above, then run `drctl recover` again."
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cli::ui::testing::{address, assert_fits, context, refused};
    use drctl_engine::state::Entry;

    const SINCE: Timestamp = Timestamp::UNIX_EPOCH;

    fn intent(at: &str, status: Status, became: IntentOutcome) -> Intent {
        let entry = Entry {
            status,
            region: "us-east-1".to_owned(),
            natural_id: None,
            id: None,
            arn: None,
            outputs: BTreeMap::new(),
            attempt: Some("a1b2".to_owned()),
            digest: String::new(),
            depends_on: Vec::new(),
            unsupported: BTreeMap::new(),
            created_at: SINCE,
            updated_at: SINCE,
        };
        Intent { address: address(at), entry, became }
    }

    fn example() -> Recovery {
        let creating = || Status::Creating { attempt: "a1b2".to_owned(), since: SINCE };
        let there = |differs| IntentOutcome::Exists { id: "x-1".to_owned(), phase: Phase::Ready, differs };
        let made = IntentOutcome::Created { id: "vpc-1".to_owned(), phase: Phase::Pending("pending".to_owned()) };
        let names = Some(vec!["size".to_owned(), "zone".to_owned()]);
        Recovery {
            intents: vec![
                intent("primary/vpc/main", creating(), made),
                intent("primary/vpc/none", creating(), IntentOutcome::NotCreated),
                intent("primary/vpc/held", creating(), IntentOutcome::NameTaken { by: refused() }),
                intent("primary/eip/a", Status::Updating { since: SINCE }, there(names)),
                intent("primary/eip/b", Status::Updating { since: SINCE }, there(Some(Vec::new()))),
                intent("primary/eip/c", Status::Deleting { since: SINCE }, there(None)),
                intent("primary/eip/d", Status::Deleting { since: SINCE }, IntentOutcome::Gone),
                intent("secondary/eip/e", creating(), IntentOutcome::Unknown { failure: refused() }),
            ],
            journal: Some(Journaled { transitions: 37, since: Some(SINCE) }),
            running: None,
            now: SINCE + Duration::from_secs(125),
        }
    }

    #[test]
    fn every_intent_shows_what_became_of_it_and_what_to_do() {
        for width in [80, 140] {
            let text = render(&example(), &context(false), &Style::plain(width));
            assert_fits(&text, width);
            assert_eq!(text.matches("`drctl up` completes it").count(), 1, "the same advice is shown once:\n{text}");
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for said in [
                "An unfinished run has left a journal: 37 transitions, the first at 1970-01-01T00:00:00Z.",
                "primary/vpc/main — creation may have been sent (2m 05s ago, 1970-01-01T00:00:00Z), attempt a1b2",
                "it was created: vpc-1 (pending)",
                "→ `drctl up` records and completes it; `drctl down` deletes it.",
                "it was not created → `drctl up` creates it",
                "its name is in use by a resource that is not drctl's",
                "it exists: x-1 (available), and 2 properties still differ: size, zone",
                "it exists: x-1 (available), as configured",
                "it still exists: x-1 (available)",
                "it has been deleted",
                "it could not be read",
                "8 open intents.",
            ] {
                assert!(words.contains(said), "{said:?} at {width} in\n{text}");
            }
        }
    }

    #[test]
    fn nothing_open_is_one_line() {
        let none = Recovery { intents: Vec::new(), journal: None, ..example() };
        let text = render(&none, &context(false), &Style::plain(80));
        assert!(text.ends_with("\n\nNo open intents.\n"), "{text}");
        assert_eq!(to_json(&none, &context(false))["journal"], Value::Null);
    }

    #[test]
    fn json_has_the_same() {
        let value = to_json(&example(), &context(false));
        assert_eq!((&value["summary"]["open"], &value["summary"]["unknown"]), (&json!(8), &json!(1)));
        assert_eq!(value["journal"]["transitions"], json!(37));
        let first = &value["intents"][0];
        assert_eq!((&first["intent"], &first["attempt"]), (&json!("creating"), &json!("a1b2")));
        assert_eq!(
            first["became"],
            json!({"is": "made", "id": "vpc-1", "phase": {"is": "pending", "state": "pending"}})
        );
    }
}
