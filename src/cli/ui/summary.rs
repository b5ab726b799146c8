//! The end of a run: what was done, what failed and why, what was skipped because of it, and how to continue.

use miette::Diagnostic as _;
use serde_json::{Value, json};

use super::failures::{self, hanging, help_lines};
use super::text::{chain, clean, columns, duration, list, plural};
use super::{Style, joined, verb};
use crate::cli::hint;
use drctl_engine::state::Address;
use drctl_engine::{Action, Outcome, Report};

/// How many resources had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Created. A replacement counts here and as `destroyed`, or only as `destroyed` if nothing but the deletion was done.
    pub added: usize,
    /// Changed in place.
    pub changed: usize,
    /// Deleted.
    pub destroyed: usize,
    /// Recorded in the state only.
    pub recorded: usize,
    /// Failed.
    pub failed: usize,
    /// Not deleted, because something that stays needs it.
    #[serde(skip_serializing_if = "is_zero")]
    pub kept: usize,
    /// Not tried, because of a failure.
    pub skipped: usize,
    /// Not tried or abandoned, because of a signal.
    pub interrupted: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Counts the outcomes of a run.
#[must_use]
pub fn tally(report: &Report) -> Tally {
    let mut tally = Tally::default();
    for (address, action, outcome) in &report.outcomes {
        match (outcome, action) {
            (Outcome::Failed(_), _) => tally.failed += 1,
            (Outcome::Skipped(_), _) => tally.skipped += 1,
            (Outcome::Interrupted, _) => tally.interrupted += 1,
            (Outcome::Done, Action::Create) => tally.added += 1,
            (Outcome::Done, Action::Update) => tally.changed += 1,
            (Outcome::Done, Action::Delete) if report.kept.contains(address) => tally.kept += 1,
            (Outcome::Done, Action::Delete) => tally.destroyed += 1,
            (Outcome::Done, Action::Replace) => {
                tally.added += 1;
                tally.destroyed += 1;
            }
            (Outcome::Done, Action::Record) => tally.recorded += 1,
            (Outcome::Done, Action::None | Action::Unknown | Action::Refused) => {}
        }
    }
    tally.destroyed += report.only_deleted.len();
    tally
}

/// The report as text.
#[must_use]
pub fn render(report: &Report, style: &Style) -> String {
    let tally = tally(report);
    let Tally { added, changed, destroyed, recorded, kept, .. } = tally;
    let kept = if kept > 0 { format!(" {kept} kept.") } else { String::new() };
    let recorded = if recorded > 0 { format!(" {recorded} recorded.") } else { String::new() };
    let only_deletions = report.outcomes.iter().all(|(_, action, _)| *action == Action::Delete);
    let (word, done) = if only_deletions {
        ("Destroy", format!("Resources: {destroyed} destroyed.{kept}"))
    } else {
        ("Apply", format!("Resources: {added} added, {changed} changed, {destroyed} destroyed.{recorded}{kept}"))
    };
    let mut lines = failed(report, style);
    lines.extend(state(report, style));
    lines.push(style.bold(&if report.is_success() {
        style.green(&format!("{word} complete! {done}"))
    } else if report.interrupted {
        style.yellow(&format!("{word} interrupted. {done}"))
    } else {
        style.red(&format!("{word} incomplete. {done}"))
    }));
    let under_way = report.under_way.len();
    let left = [
        (tally.failed, "failed"),
        (tally.skipped, "skipped because of that"),
        (under_way, "not finished"),
        (tally.interrupted.saturating_sub(under_way), "not started"),
    ];
    let left: Vec<String> =
        left.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !left.is_empty() {
        lines.extend(hanging("  ", &format!("{}.", left.join(", ")), style.width, 0));
    }
    lines.extend(named("Not finished; AWS may continue with: ", &report.under_way, style));
    lines.extend(named("Deleted and not yet recreated: ", &report.only_deleted, style));
    lines.extend(scheduled(report, style));
    lines.extend(times(report, style));
    lines.extend(next_step(report, style));
    joined(&lines)
}

/// The report as JSON: among the events, it is the line `summary`.
#[must_use]
pub fn to_json(report: &Report) -> Value {
    let result = match (report.is_success(), report.interrupted) {
        (true, _) => "success",
        (false, true) => "interrupted",
        (false, false) => "failed",
    };
    let resources: Vec<Value> =
        report.outcomes.iter().map(|(address, action, outcome)| resource(report, address, *action, outcome)).collect();
    let state = report
        .state
        .as_ref()
        .map(|error| json!({ "message": error.to_string(), "help": error.help().map(|help| help.to_string()) }));
    json!({
        "event": "summary",
        "version": 1,
        "format": 1,
        "result": result,
        "seconds": report.took.as_secs_f64(),
        "summary": tally(report),
        "state_error": state,
        "critical_path": report.critical_path,
        "resources": resources,
    })
}

fn resource(report: &Report, address: &Address, action: Action, outcome: &Outcome) -> Value {
    let mut value = json!({ "address": address, "action": action });
    value["outcome"] = match outcome {
        Outcome::Done => "done",
        Outcome::Failed(_) => "failed",
        Outcome::Skipped(_) => "skipped",
        Outcome::Interrupted => "interrupted",
    }
    .into();
    match outcome {
        Outcome::Failed(failure) => value["failure"] = json!(failure),
        Outcome::Skipped(because) => value["because"] = json!(because),
        Outcome::Done | Outcome::Interrupted => {}
    }
    if report.only_deleted.contains(address) {
        value["only_deleted"] = true.into();
    }
    if report.under_way.contains(address) {
        value["under_way"] = true.into();
    }
    if let Some(took) = report.durations.get(address) {
        value["seconds"] = json!(took.as_secs_f64());
    }
    value
}

/// The failures, each with the resources that were skipped because of it. Failures with the same cause are shown together.
fn failed(report: &Report, style: &Style) -> Vec<String> {
    let groups = failures::by_cause(report.failures().map(|(address, action, failure)| ((address, action), failure)));
    let mut lines = Vec::new();
    for group in groups {
        let names: Vec<&Address> = group.affected.iter().map(|(address, _)| *address).collect();
        let head = match group.affected.as_slice() {
            [(address, action)] => format!("✗ {address} — {} failed", verb(*action)),
            _ => format!("✗ {}", failures::resources(&names, style, 10)) + " failed",
        };
        lines.push(style.bold(&style.red(&head)));
        lines.extend(group.lines(style, 4));
        let skipped: Vec<&Address> = report
            .outcomes
            .iter()
            .filter_map(|(address, _, outcome)| match outcome {
                Outcome::Skipped(because) if names.contains(&because) => Some(address),
                _ => None,
            })
            .collect();
        if !skipped.is_empty() {
            let label = format!("    Skipped because of {}: ", if names.len() == 1 { "it" } else { "them" });
            lines.push(format!("{label}{}", failures::resources(&skipped, style, columns(&label))));
        }
        lines.push(String::new());
    }
    lines
}

/// Why the state could not be written. After that, no step was started.
fn state(report: &Report, style: &Style) -> Vec<String> {
    let Some(error) = &report.state else { return Vec::new() };
    let mut lines = vec![style.bold(&style.red("✗ the state could not be written, and nothing more was started"))];
    lines.extend(hanging("", &clean(&error.to_string()), style.width, 4));
    if let Some(help) = error.help() {
        lines.extend(help_lines(&help.to_string(), style, 4));
    }
    lines.push(String::new());
    lines
}

/// The names of the resources that a count is about, on up to [`MOST_LINES`] lines; no lines if there are none.
fn named<'a>(label: &str, addresses: impl IntoIterator<Item = &'a Address>, style: &Style) -> Vec<String> {
    let names: Vec<String> = addresses.into_iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let room = style.width.saturating_sub(columns(label) + 2) * MOST_LINES;
    hanging("  ", &format!("{label}{}.", list(&names, room)), style.width, 0)
}

/// More lines of names than this are not read.
const MOST_LINES: usize = 4;

/// Types that AWS deletes only after some days. Until then they can be restored, which the next `up` does. KMS:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html>, Secrets Manager:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html>.
const DELETED_LATER: [&str; 2] = ["kms_key", "secret"];

/// The resources that are only scheduled for deletion.
fn scheduled(report: &Report, style: &Style) -> Vec<String> {
    let is_scheduled = |address: &Address| DELETED_LATER.contains(&address.kind());
    let deleted = report.outcomes.iter().filter(|(address, action, outcome)| {
        *outcome == Outcome::Done
            && *action == Action::Delete
            && is_scheduled(address)
            && !report.kept.contains(address)
    });
    let deleted: Vec<&Address> = deleted.map(|(address, _, _)| address).collect();
    if deleted.is_empty() {
        return Vec::new();
    }
    let restored = if deleted.len() == 1 { "it" } else { "them" };
    let mut lines = named("Scheduled for deletion in 7 days: ", deleted, style);
    let until = hint::complete(&format!("Until then `drctl up` restores {restored}."));
    lines.extend(hanging("  ", &until, style.width, 0));
    lines
}

/// How long the run took, and its critical path.
fn times(report: &Report, style: &Style) -> Vec<String> {
    let named = chain(report.critical_path.iter().map(|leg| (&leg.address, leg.took)), report.took);
    let path = if named.is_empty() { named } else { format!("; critical path: {named}") };
    let text = format!("Took {}{path}.", duration(report.took));
    hanging("  ", &text, style.width, 0).iter().map(|line| style.dim(line)).collect()
}

/// How to continue, if something is left to do.
fn next_step(report: &Report, style: &Style) -> Vec<String> {
    if report.is_success() {
        return Vec::new();
    }
    let left = plural(report.outcomes.iter().filter(|(_, _, outcome)| *outcome != Outcome::Done).count(), "resource");
    let text = if report.state.is_some() {
        "Calls in flight when the state could not be written are recorded as open intents. Repair the state, then run the same \
         command again: it resolves them first."
            .to_owned()
    } else if report.interrupted {
        format!(
            "All completed work is recorded. Run the same command again to resolve calls with unknown results and finish the \
             remaining {left}."
        )
    } else {
        format!(
            "Nothing was rolled back. Fix the cause, then run the same command again to finish the remaining {left}."
        )
    };
    let mut lines = vec![String::new()];
    lines.extend(hanging("", &text, style.width, 0));
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::cli::ui::testing::{address, assert_fits, refused};
    use drctl_engine::PathSegment;
    use drctl_engine::state::StateError;

    fn report(outcomes: Vec<(&str, Action, Outcome)>) -> Report {
        let outcomes: Vec<_> =
            outcomes.into_iter().map(|(at, action, outcome)| (address(at), action, outcome)).collect();
        let done = outcomes.iter().filter(|(_, _, outcome)| *outcome == Outcome::Done);
        let durations: BTreeMap<_, _> = done
            .zip(1..)
            .map(|((address, _, _), seconds)| (address.clone(), Duration::from_secs(seconds * 36)))
            .collect();
        Report {
            outcomes,
            interrupted: false,
            only_deleted: BTreeSet::new(),
            under_way: BTreeSet::new(),
            state: None,
            took: Duration::from_secs(125),
            durations,
            critical_path: Vec::new(),
            kept: Vec::new(),
        }
    }

    fn rendered(report: &Report) -> String {
        for width in [80, 140] {
            assert_fits(&render(report, &Style::plain(width)), width);
        }
        render(report, &Style::plain(80))
    }

    #[test]
    fn success_is_reported_in_terraforms_words() {
        let mut report = report(vec![
            ("primary/vpc/main", Action::Create, Outcome::Done),
            ("primary/subnet/a", Action::Update, Outcome::Done),
            ("primary/subnet/b", Action::Replace, Outcome::Done),
            ("primary/subnet/c", Action::Record, Outcome::Done),
        ]);
        report.critical_path = [("primary/vpc/main", 1), ("primary/subnet/a", 120)]
            .map(|(at, seconds)| PathSegment { address: address(at), took: Duration::from_secs(seconds) })
            .into();
        let text = rendered(&report);
        assert!(
            text.starts_with("Apply complete! Resources: 2 added, 1 changed, 1 destroyed. 1 recorded.\n"),
            "{text}"
        );
        assert!(text.contains("Took 2m 05s; critical path: primary/subnet/a 2m 00s."), "{text}");
        assert!(!text.contains("same command"), "{text}");
        assert_eq!(to_json(&report)["result"], json!("success"));
    }

    #[test]
    fn failures_come_first_with_what_was_skipped_because_of_them() {
        let root = address("primary/vpc/main");
        let text = rendered(&report(vec![
            ("global/iam_role/processor", Action::Create, Outcome::Done),
            ("primary/vpc/main", Action::Create, Outcome::Failed(refused())),
            ("primary/subnet/a", Action::Create, Outcome::Skipped(root.clone())),
            ("primary/subnet/b", Action::Create, Outcome::Skipped(root)),
        ]));
        assert!(
            text.starts_with("✗ primary/vpc/main — create failed\n    ec2:CreateVpc in us-east-1: VpcLimitExceeded: "),
            "{text}"
        );
        assert!(text.contains("\n    help: Ask for a higher quota"), "{text}");
        assert!(
            text.contains("\n    Skipped because of it: 2 resources (primary/subnet/a, primary/subnet/b)\n"),
            "{text}"
        );
        assert!(text.contains("\nApply incomplete. Resources: 1 added, 0 changed, 0 destroyed.\n  1 failed, 2 skipped because of that.\n"), "{text}");
        assert!(text.contains("run the same command again"), "{text}");
    }

    #[test]
    fn the_deletions_of_unfinished_replacements_are_counted_and_named() {
        let mut report = report(vec![
            ("primary/subnet/a", Action::Replace, Outcome::Interrupted),
            ("primary/subnet/b", Action::Replace, Outcome::Failed(refused())),
            ("primary/subnet/c", Action::Replace, Outcome::Interrupted),
            ("primary/subnet/d", Action::Delete, Outcome::Done),
        ]);
        report.interrupted = true;
        report.only_deleted = [address("primary/subnet/a"), address("primary/subnet/b")].into();
        let text = rendered(&report);
        assert!(text.contains("0 added, 0 changed, 3 destroyed."), "{text}");
        assert!(text.contains("Deleted and not yet recreated: primary/subnet/a, primary/subnet/b."), "{text}");
        let value = to_json(&report);
        assert_eq!((&value["summary"]["destroyed"], &value["resources"][0]["only_deleted"]), (&json!(3), &json!(true)));
        assert_eq!(value["resources"][2]["only_deleted"], Value::Null);
    }

    #[test]
    fn what_can_be_restored_is_reported_as_scheduled() {
        let text = rendered(&report(vec![
            ("primary/kms_key/main", Action::Delete, Outcome::Done),
            ("global/secret/database", Action::Delete, Outcome::Done),
            ("primary/vpc/main", Action::Delete, Outcome::Done),
        ]));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("Scheduled for deletion in 7 days: primary/kms_key/main, global/secret/database."),
            "{text}"
        );
        assert!(text.contains("`drctl up` restores them"), "{text}");
        assert!(!rendered(&report(vec![("primary/vpc/main", Action::Delete, Outcome::Done)])).contains("Scheduled"));
    }

    #[test]
    fn one_cause_is_shown_once() {
        let text = rendered(&report(vec![
            ("secondary/vpc/main", Action::Create, Outcome::Failed(refused())),
            ("secondary/kms_key/main", Action::Create, Outcome::Failed(refused())),
        ]));
        assert!(text.starts_with("✗ 2 resources (secondary/vpc/main, secondary/kms_key/main) failed\n"), "{text}");
        assert_eq!(text.matches("VpcLimitExceeded").count(), 1);
    }

    #[test]
    fn an_interrupted_run_says_what_is_recorded() {
        let mut report = report(vec![
            ("primary/vpc/main", Action::Create, Outcome::Done),
            ("primary/subnet/a", Action::Create, Outcome::Interrupted),
            ("primary/subnet/b", Action::Create, Outcome::Interrupted),
        ]);
        report.interrupted = true;
        report.under_way = [address("primary/subnet/a")].into();
        // The lines may break anywhere.
        let text = rendered(&report).replace('\n', " ");
        assert!(text.starts_with("Apply interrupted. Resources: 1 added"), "{text}");
        assert!(text.contains("1 not finished, 1 not started."), "{text}");
        assert!(text.contains("Not finished; AWS may continue with: primary/subnet/a."), "{text}");
        assert!(text.contains("All completed work is recorded. Run the same command again"), "{text}");
        assert!(text.contains("the remaining 2 resources."), "{text}");
        let value = to_json(&report);
        assert_eq!(
            (&value["result"], &value["resources"][1]["outcome"]),
            (&json!("interrupted"), &json!("interrupted"))
        );
    }

    #[test]
    fn a_state_that_cannot_be_written_is_reported_with_its_help() {
        let mut report = report(vec![("primary/vpc/main", Action::Create, Outcome::Done)]);
        report.state = Some(StateError::Broken { path: PathBuf::from("state/payment-dr-dev.journal") });
        let text = rendered(&report);
        assert!(
            text.contains("    state/payment-dr-dev.journal could not be written to earlier in this run"),
            "{text}"
        );
        assert!(text.contains("    help: Make room or restore access"), "{text}");
        assert!(to_json(&report)["state_error"]["help"].is_string());
    }
}
