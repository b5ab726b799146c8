//! How a run came out: what was done, what failed and why, what was left because of it, and how to go on.

use miette::Diagnostic as _;
use serde_json::{Value, json};

use super::failures::{self, hanging, help_lines};
use super::text::{chain, clean, columns, duration, plural};
use super::{Style, joined, verb};
use crate::engine::{Action, Outcome, Report};
use crate::state::Address;

/// How many resources came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Made; a replacement counts here and under `destroyed`.
    pub added: usize,
    /// Changed in place.
    pub changed: usize,
    /// Deleted.
    pub destroyed: usize,
    /// Taken into the state.
    pub recorded: usize,
    /// Failed.
    pub failed: usize,
    /// Not tried, because of a failure.
    pub skipped: usize,
    /// Not tried or given up, because of a signal.
    pub interrupted: usize,
}

/// Counts what a run did.
#[must_use]
pub fn tally(report: &Report) -> Tally {
    let mut tally = Tally::default();
    for (_, action, outcome) in &report.outcomes {
        match (outcome, action) {
            (Outcome::Failed(_), _) => tally.failed += 1,
            (Outcome::Skipped(_), _) => tally.skipped += 1,
            (Outcome::Interrupted, _) => tally.interrupted += 1,
            (Outcome::Done, Action::Create) => tally.added += 1,
            (Outcome::Done, Action::Update) => tally.changed += 1,
            (Outcome::Done, Action::Delete) => tally.destroyed += 1,
            (Outcome::Done, Action::Replace) => {
                tally.added += 1;
                tally.destroyed += 1;
            }
            (Outcome::Done, Action::Record) => tally.recorded += 1,
            (Outcome::Done, Action::None | Action::Unknown) => {}
        }
    }
    tally
}

/// The report for people.
#[must_use]
pub fn render(report: &Report, style: &Style) -> String {
    let tally = tally(report);
    let Tally { added, changed, destroyed, recorded, .. } = tally;
    let recorded = if recorded > 0 { format!(" {recorded} recorded.") } else { String::new() };
    let only_deletions = report.outcomes.iter().all(|(_, action, _)| *action == Action::Delete);
    let (word, done) = if only_deletions {
        ("Destroy", format!("Resources: {destroyed} destroyed."))
    } else {
        ("Apply", format!("Resources: {added} added, {changed} changed, {destroyed} destroyed.{recorded}"))
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
    let left = [
        (tally.failed, "failed"),
        (tally.skipped, "skipped because of that"),
        (tally.interrupted, if report.interrupted { "not done because of the signal" } else { "not started" }),
    ];
    let left: Vec<String> =
        left.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !left.is_empty() {
        lines.extend(hanging("  ", &format!("{}.", left.join(", ")), style.width, 0));
    }
    lines.extend(times(report, style));
    lines.extend(onwards(report, style));
    joined(&lines)
}

/// The report for machines; as a line of events it is the one called `summary`.
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
    if let Some(took) = report.durations.get(address) {
        value["seconds"] = json!(took.as_secs_f64());
    }
    value
}

/// Root failures, each with what it kept from being done. What failed for the same reason is told together.
fn failed(report: &Report, style: &Style) -> Vec<String> {
    let roots = failures::shared(report.failures().map(|(address, action, failure)| ((address, action), failure)));
    let mut lines = Vec::new();
    for root in roots {
        let names: Vec<&Address> = root.hit.iter().map(|(address, _)| *address).collect();
        let head = match root.hit.as_slice() {
            [(address, action)] => format!("✗ {address} — {} failed", verb(*action)),
            _ => format!("✗ {}", failures::resources(&names, style, 10)) + " failed",
        };
        lines.push(style.bold(&style.red(&head)));
        lines.extend(failures::lines(root.failure, style, 4));
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

/// What kept the state from being written: after it, nothing was started any more.
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

/// How long it took, and which resources made it so long, each having waited for the one before.
fn times(report: &Report, style: &Style) -> Vec<String> {
    let named = chain(report.critical_path.iter().map(|leg| (&leg.address, leg.took)), report.took);
    let path = if named.is_empty() { named } else { format!("; critical path: {named}") };
    let told = format!("Took {}{path}.", duration(report.took));
    hanging("  ", &told, style.width, 0).iter().map(|line| style.dim(line)).collect()
}

/// How to go on, where there is something left.
fn onwards(report: &Report, style: &Style) -> Vec<String> {
    if report.is_success() {
        return Vec::new();
    }
    let left = plural(report.outcomes.iter().filter(|(_, _, outcome)| *outcome != Outcome::Done).count(), "resource");
    let told = if report.state.is_some() {
        "Calls that were out when the state could not be written are on record as open intents. Put the state right and run \
         the same command again: it resolves them first."
            .to_owned()
    } else if report.interrupted {
        format!(
            "Everything that was made is on record, and so is every call whose end was not seen. The same command resolves \
             those first and goes on with what is left ({left})."
        )
    } else {
        format!(
            "Nothing is undone: what was made is on record and stays. Once the cause is removed, the same command goes on \
             with what is left ({left})."
        )
    };
    let mut lines = vec![String::new()];
    lines.extend(hanging("", &told, style.width, 0));
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::cli::ui::testing::{address, assert_fits, refused};
    use crate::engine::Leg;
    use crate::state::StateError;

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
            state: None,
            took: Duration::from_secs(125),
            durations,
            critical_path: Vec::new(),
        }
    }

    fn told(report: &Report) -> String {
        for width in [80, 140] {
            assert_fits(&render(report, &Style::plain(width)), width);
        }
        render(report, &Style::plain(80))
    }

    #[test]
    fn success_is_said_as_terraform_says_it() {
        let mut report = report(vec![
            ("primary/vpc/main", Action::Create, Outcome::Done),
            ("primary/subnet/a", Action::Update, Outcome::Done),
            ("primary/subnet/b", Action::Replace, Outcome::Done),
            ("primary/subnet/c", Action::Record, Outcome::Done),
        ]);
        report.critical_path = [("primary/vpc/main", 1), ("primary/subnet/a", 120)]
            .map(|(at, seconds)| Leg { address: address(at), took: Duration::from_secs(seconds) })
            .into();
        let text = told(&report);
        assert!(
            text.starts_with("Apply complete! Resources: 2 added, 1 changed, 1 destroyed. 1 recorded.\n"),
            "{text}"
        );
        assert!(text.contains("Took 2m 05s; critical path: primary/subnet/a 2m 00s."), "{text}");
        assert!(!text.contains("same command"), "{text}");
        assert_eq!(to_json(&report)["result"], json!("success"));
    }

    #[test]
    fn roots_come_first_with_what_they_kept_from_being_done() {
        let root = address("primary/vpc/main");
        let text = told(&report(vec![
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
        assert!(text.contains("the same command"), "{text}");
    }

    #[test]
    fn one_cause_is_told_once() {
        let text = told(&report(vec![
            ("secondary/vpc/main", Action::Create, Outcome::Failed(refused())),
            ("secondary/kms_key/main", Action::Create, Outcome::Failed(refused())),
        ]));
        assert!(text.starts_with("✗ 2 resources (secondary/vpc/main, secondary/kms_key/main) failed\n"), "{text}");
        assert_eq!(text.matches("VpcLimitExceeded").count(), 1);
    }

    #[test]
    fn an_interrupted_run_says_what_is_on_record() {
        let mut report = report(vec![
            ("primary/vpc/main", Action::Create, Outcome::Done),
            ("primary/subnet/a", Action::Create, Outcome::Interrupted),
        ]);
        report.interrupted = true;
        // Wherever the lines break: it is the words that count.
        let text = told(&report).replace('\n', " ");
        assert!(text.starts_with("Apply interrupted. Resources: 1 added"), "{text}");
        assert!(text.contains("Everything that was made is on record"), "{text}");
        assert!(text.contains("(1 resource)") && text.contains("The same command"), "{text}");
        let value = to_json(&report);
        assert_eq!(
            (&value["result"], &value["resources"][1]["outcome"]),
            (&json!("interrupted"), &json!("interrupted"))
        );
    }

    #[test]
    fn a_state_that_cannot_be_written_comes_with_its_help() {
        let mut report = report(vec![("primary/vpc/main", Action::Create, Outcome::Done)]);
        report.state = Some(StateError::Broken { path: PathBuf::from("state/payment-dr-dev.journal") });
        let text = told(&report);
        assert!(
            text.contains("    state/payment-dr-dev.journal could not be written to earlier in this run"),
            "{text}"
        );
        assert!(text.contains("    help: Make room or restore access"), "{text}");
        assert!(to_json(&report)["state_error"]["help"].is_string());
    }
}
