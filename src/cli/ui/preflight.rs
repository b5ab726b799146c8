//! The findings of the preflight: all of them for `check`, the blocking ones for `plan` and `up`.

use serde_json::{Value, json};

use super::failures::{hanging, help_lines};
use super::plan::{PlanContext, unknown};
use super::text::{clean, list, plural};
use super::{Style, heading, joined};
use crate::cli::hint;
use drctl_aws::preflight::{Findings, Problem, Unchecked};
use drctl_engine::state::Role;
use drctl_engine::{Class, Plan};

/// The indentation of what belongs to a finding.
const INDENT: usize = 6;

/// All findings as text, for `drctl check`.
#[must_use]
pub fn render(findings: &Findings, plan: &Plan, context: &PlanContext, style: &Style) -> String {
    let mut lines = context.header(style);
    let problems: Vec<&Problem> = findings.problems.iter().collect();
    for (title, problems) in by_region(&problems, context, |problem| problem.region.as_deref()) {
        lines.extend([String::new(), style.bold(&title)]);
        lines.extend(problems.into_iter().flat_map(|problem| problem_lines(problem, style)));
    }
    lines.extend(notes(findings, context, style));
    let (said, others): (Vec<&Unchecked>, Vec<&Unchecked>) =
        findings.unchecked.iter().partition(|note| is_silent_in(plan, note));
    lines.extend(unchecked("Not checked", &others, context, style));
    let unread = unread(plan);
    lines.extend(unknown(&unread, style));
    lines.extend(not_checked_either(&said, style));
    lines.extend([String::new(), style.bold(&verdict(findings, plan, &unread))]);
    joined(&lines)
}

/// What `plan` and `up` add to a plan; empty if there are no findings. Problems that the plan shows already are only counted, and
/// what it says to be silent is only named.
#[must_use]
pub fn brief(findings: &Findings, plan: &Plan, context: &PlanContext, style: &Style) -> String {
    let mut lines = Vec::new();
    if findings.is_blocking() {
        lines.push(String::new());
        lines.push(style.bold(&style.red(&would_fail(findings))));
        let (in_plan, new): (Vec<&Problem>, Vec<&Problem>) =
            findings.problems.iter().partition(|problem| problem.in_plan);
        if !in_plan.is_empty() {
            let names: Vec<&str> = in_plan.iter().map(|problem| problem.subject.as_str()).collect();
            let text =
                format!("name already in use by a resource that is not drctl's (see above): {}", names.join(", "));
            lines.extend(hanging("  ✗ ", &text, style.width, 0));
        }
        for (title, problems) in by_region(&new, context, |problem| problem.region.as_deref()) {
            lines.push(style.bold(&title));
            lines.extend(problems.into_iter().flat_map(|problem| problem_lines(problem, style)));
        }
    }
    lines.extend(notes(findings, context, style));
    let (unanswered, others): (Vec<&Unchecked>, Vec<&Unchecked>) =
        findings.unchecked.iter().partition(|note| note.unanswered);
    let title = "Not checked, because there was no answer. `drctl up` changes nothing until these are checked";
    let (said, unanswered): (Vec<&Unchecked>, Vec<&Unchecked>) =
        unanswered.into_iter().partition(|note| is_silent_in(plan, note));
    lines.extend(not_checked_either(&said, style));
    lines.extend(unchecked(title, &unanswered, context, style));
    if !others.is_empty() {
        let mut subjects: Vec<&str> = Vec::new();
        for note in others {
            if !subjects.contains(&note.subject.as_str()) {
                subjects.push(&note.subject);
            }
        }
        let (before, after) = ("Not checked here: ", " (why: `drctl check`)");
        let room = style.width.saturating_sub(before.len() + after.len());
        let text = format!("{before}{}{}", clean(&list(&subjects, room)), hint::complete(after));
        lines.push(String::new());
        lines.extend(hanging("", &text, style.width, 0).iter().map(|line| style.dim(line)));
    }
    joined(&lines)
}

/// All findings as JSON.
#[must_use]
pub fn to_json(findings: &Findings, plan: &Plan, context: &PlanContext) -> Value {
    let unread = unread(plan);
    let summary = json!({
        "problems": findings.problems.len(),
        "notes": findings.notes.len(),
        "unchecked": findings.unchecked.len(),
        "unknown": unread.items.len(),
    });
    let mut value = context.to_json(&summary);
    value["problems"] = json!(findings.problems);
    value["notes"] = json!(findings.notes);
    value["unchecked"] = json!(findings.unchecked);
    value["unknown"] =
        unread.unknown().map(|(item, failure)| json!({"address": item.address, "failure": failure})).collect();
    value
}

/// What the plan could not read. Names that are in use by resources that are not drctl's are problems already.
fn unread(plan: &Plan) -> Plan {
    let items = plan.items.iter();
    let items =
        items.filter(|item| item.failure.as_ref().is_some_and(|failure| failure.class != Class::Foreign)).cloned();
    Plan { items: items.collect() }
}

fn problem_lines(problem: &Problem, style: &Style) -> Vec<String> {
    finding_lines(&style.red("✗"), problem, style)
}

/// A problem or a note, after its mark.
fn finding_lines(mark: &str, problem: &Problem, style: &Style) -> Vec<String> {
    let mut lines = vec![format!("  {mark} {}", clean(&problem.subject))];
    lines.extend(hanging("", &clean(&problem.message), style.width, INDENT));
    lines.extend(help_lines(&problem.help, style, INDENT));
    lines
}

/// Findings that do not stop `up`, but that an operator should know.
fn notes(findings: &Findings, context: &PlanContext, style: &Style) -> Vec<String> {
    let notes: Vec<&Problem> = findings.notes.iter().collect();
    if notes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), style.bold("Notes: these do not stop `drctl up`")];
    for (title, notes) in by_region(&notes, context, |note| note.region.as_deref()) {
        lines.push(title);
        lines.extend(notes.into_iter().flat_map(|note| finding_lines(&style.yellow("!"), note, style)));
    }
    lines
}

/// Whether the plan already names the Region or service that did not answer a check.
fn is_silent_in(plan: &Plan, note: &Unchecked) -> bool {
    note.silent.is_some() && plan.unknown().any(|(_, failure)| failure.silent == note.silent)
}

/// What was not checked because of what is said to be silent above.
fn not_checked_either(notes: &[&Unchecked], style: &Style) -> Vec<String> {
    let mut silent: Vec<(String, Vec<&str>)> = Vec::new();
    for note in notes {
        let who = note.silent.as_ref().map(ToString::to_string).unwrap_or_default();
        match silent.iter_mut().find(|(known, _)| *known == who) {
            Some((_, subjects)) => subjects.push(&note.subject),
            None => silent.push((who, vec![&note.subject])),
        }
    }
    let mut lines = Vec::new();
    for (who, subjects) in silent {
        let label = format!("Not checked, because {} did not answer: ", clean(&who));
        lines.push(String::new());
        lines.extend(hanging("", &format!("{label}{}", clean(&subjects.join(", "))), style.width, 0));
    }
    lines
}

/// What could not be checked, and why. The same reason is shown once per Region, with everything that it applies to.
fn unchecked(title: &str, notes: &[&Unchecked], context: &PlanContext, style: &Style) -> Vec<String> {
    let groups = by_region(notes, context, |note| note.region.as_deref());
    if groups.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), style.bold(title)];
    for (title, notes) in groups {
        lines.push(title);
        let mut reasons: Vec<(&str, Option<&str>, Vec<&str>)> = Vec::new();
        for note in notes {
            match reasons.iter_mut().find(|(why, ..)| *why == note.why) {
                Some((.., subjects)) => subjects.push(&note.subject),
                None => reasons.push((&note.why, note.help.as_deref(), vec![&note.subject])),
            }
        }
        for (why, help, subjects) in reasons {
            let label = format!("  {} ", style.yellow("?"));
            lines.extend(hanging(&label, &clean(&subjects.join(", ")), style.width, 0));
            lines.extend(hanging("", &clean(why), style.width, INDENT).iter().map(|line| style.dim(line)));
            lines.extend(help.into_iter().flat_map(|help| help_lines(help, style, INDENT)));
        }
    }
    lines
}

/// That `up` would fail, and the number of problems.
fn would_fail(findings: &Findings) -> String {
    format!("`drctl up` would fail: {}", plural(findings.problems.len(), "problem"))
}

fn verdict(findings: &Findings, plan: &Plan, unread: &Plan) -> String {
    if findings.is_blocking() {
        return format!("{}. Nothing was changed.", would_fail(findings));
    }
    if !unread.items.is_empty() {
        return "No problems found in what could be read.".to_owned();
    }
    if findings.is_unanswered() {
        return "No problems found in what was checked.".to_owned();
    }
    let counts = plan.counts();
    let rest = if findings.unchecked.is_empty() { "" } else { " in what was checked" };
    if counts.add == 0 && counts.change > 0 {
        return format!("No problems found{rest}: {} can be changed.", plural(counts.change, "resource"));
    }
    if counts.add == 0 {
        return "Nothing would be created or changed, so there is nothing to check.".to_owned();
    }
    format!("No problems found{rest}: {} can be created.", plural(counts.add, "resource"))
}

/// Findings under the headings of their Regions: the primary, the secondary, others, then global findings.
fn by_region<'a, T>(
    findings: &[&'a T],
    context: &PlanContext,
    region: impl Fn(&T) -> Option<&str>,
) -> Vec<(String, Vec<&'a T>)> {
    let mut groups: Vec<(usize, String, Vec<&'a T>)> = Vec::new();
    for &finding in findings {
        let (rank, title) = match region(finding) {
            Some(region) if region == context.primary_region => (0, heading(Role::Primary, region)),
            Some(region) if region == context.secondary_region => (1, heading(Role::Secondary, region)),
            Some(region) => (2, clean(region)),
            None => (3, heading(Role::Global, "")),
        };
        match groups.iter_mut().find(|(_, known, _)| *known == title) {
            Some((_, _, members)) => members.push(finding),
            None => groups.push((rank, title, vec![finding])),
        }
    }
    groups.sort_by_key(|(rank, _, _)| *rank);
    groups.into_iter().map(|(_, title, members)| (title, members)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::ui::testing::{assert_fits, context, creation, item, plan, refused};
    use drctl_aws::preflight::{About, Figures};
    use drctl_engine::{Action, Failure, Item, Silent};

    fn problem(about: About, region: Option<&str>, subject: &str) -> Problem {
        Problem {
            about,
            region: region.map(str::to_owned),
            subject: subject.to_owned(),
            message: format!("{subject}: 3 more are needed, and 3 of 5 are in use"),
            help: "Ask for 6 or more in Service Quotas (service ec2, quota L-0263D0A3), or delete some.".to_owned(),
            figures: Some(Figures { quota: 5, used: 3, planned: 3 }),
            in_plan: about == About::Name,
        }
    }

    fn note(region: &str, subject: &str) -> Unchecked {
        let why =
            "servicequotas:GetServiceQuota: AccessDeniedException: the caller is not authorized to ask".to_owned();
        Unchecked {
            about: About::Quota,
            region: Some(region.to_owned()),
            subject: subject.to_owned(),
            why,
            help: None,
            unanswered: false,
            silent: None,
        }
    }

    fn example() -> Findings {
        Findings {
            problems: vec![
                problem(About::Quota, Some("us-east-2"), "Elastic IP addresses"),
                problem(About::Domain, None, "global/hosted_zone/main"),
                problem(About::Name, Some("us-east-1"), "primary/s3_bucket/data"),
            ],
            notes: Vec::new(),
            unchecked: vec![
                note("us-east-1", "VPCs"),
                note("us-east-1", "internet gateways"),
                note("us-east-2", "VPCs"),
            ],
        }
    }

    #[test]
    fn check_shows_problems_first_and_the_same_reason_once() {
        let plan = plan(vec![creation("primary/vpc/main", json!({}))]);
        for width in [80, 140] {
            let text = render(&example(), &plan, &context(false), &Style::plain(width));
            assert_fits(&text, width);
            for line in [
                "primary · us-east-1",
                "secondary · us-east-2",
                "global",
                "  ✗ Elastic IP addresses",
                "      Elastic IP addresses: 3 more are needed, and 3 of 5 are in use",
                "  ? VPCs, internet gateways",
                "`drctl up` would fail: 3 problems. Nothing was changed.",
            ] {
                assert!(text.lines().any(|found| found == line), "{line:?} at {width} in\n{text}");
            }
            assert!(text.find("✗ primary/s3_bucket/data") < text.find("✗ Elastic"), "{text}");
            assert!(text.find("✗ global") < text.find("Not checked"), "{text}");
        }
    }

    #[test]
    fn a_plan_gets_the_problems_that_it_does_not_show_and_one_line_on_the_rest() {
        let plan = plan(Vec::new());
        let text = brief(&example(), &plan, &context(false), &Style::plain(80));
        assert_fits(&text, 80);
        assert!(text.contains("`drctl up` would fail: 3 problems"), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("already in use by a resource that is not drctl's (see above): primary/s3_bucket/data"),
            "{text}"
        );
        assert_eq!(text.matches("✗ ").count(), 3, "{text}");
        let last = text.lines().last();
        assert_eq!(last, Some("Not checked here: VPCs, internet gateways (why: `drctl check`)"), "{text}");
        assert_eq!(brief(&Findings::default(), &plan, &context(false), &Style::plain(80)), "");
    }

    #[test]
    fn whoever_is_silent_is_named_once_with_all_that_was_not_checked() {
        let silent = |subject: &str| Unchecked {
            why: "us-east-2 did not answer within 4 s".to_owned(),
            help: Some("Check the network.".to_owned()),
            unanswered: true,
            silent: Some(Silent::Region("us-east-2".to_owned())),
            ..note("us-east-2", subject)
        };
        let unchecked = vec![silent("database quotas"), note("us-east-1", "VPCs"), silent("table sessions")];
        let findings = Findings { unchecked, ..Findings::default() };
        let plan = plan(vec![creation("primary/vpc/main", json!({}))]);
        for text in [
            render(&findings, &plan, &context(false), &Style::plain(80)),
            brief(&findings, &plan, &context(false), &Style::plain(80)),
        ] {
            let block = "secondary · us-east-2\n  ? database quotas, table sessions\n      us-east-2 did not answer within 4 s\n      \
                         help: Check the network.\n";
            assert!(text.contains(block), "{text}");
            assert_eq!(text.matches("did not answer").count(), 1, "{text}");
            assert!(!text.contains("would fail") && !text.contains("not drctl's"), "{text}");
        }
        let text = render(&findings, &plan, &context(false), &Style::plain(80));
        assert!(text.ends_with("\nNo problems found in what was checked.\n"), "{text}");
        let text = brief(&findings, &plan, &context(false), &Style::plain(80));
        assert!(text.ends_with("Not checked here: VPCs (why: `drctl check`)\n"), "{text}");
        let value = to_json(&findings, &plan, &context(false));
        assert_eq!((&value["problems"], &value["unchecked"][0]["silent"]), (&json!([]), &json!("us-east-2")));
    }

    #[test]
    fn whoever_the_plan_says_to_be_silent_is_not_explained_twice() {
        let failure = Failure::silence(&"us-east-2".into(), Duration::from_secs(4));
        let quota = Unchecked {
            why: failure.message.clone(),
            help: failure.help.clone(),
            unanswered: true,
            silent: failure.silent.clone(),
            ..note("us-east-2", "database quotas")
        };
        let findings = Findings { unchecked: vec![quota], ..Findings::default() };
        let unread = Item { failure: Some(failure), ..item("secondary/vpc/main", Action::Unknown) };
        let plan = plan(vec![unread]);
        let said = "Not checked, because us-east-2 did not answer: database quotas";
        assert_eq!(brief(&findings, &plan, &context(false), &Style::plain(80)), format!("\n{said}\n"));
        let text = render(&findings, &plan, &context(false), &Style::plain(80));
        assert!(text.contains(said), "{text}");
        assert_eq!(text.matches("did not answer within 4 s").count(), 1, "{text}");
    }

    #[test]
    fn a_note_is_shown_and_stops_nothing() {
        let noted =
            Findings { notes: vec![problem(About::Quota, Some("us-east-1"), "executions")], ..Findings::default() };
        let plan = plan(vec![creation("primary/vpc/main", json!({}))]);
        for text in [
            render(&noted, &plan, &context(false), &Style::plain(80)),
            brief(&noted, &plan, &context(false), &Style::plain(80)),
        ] {
            assert!(text.contains("do not stop `drctl up`\nprimary · us-east-1\n  ! executions\n"), "{text}");
            assert!(!text.contains("in the way of"), "{text}");
        }
        let value = to_json(&noted, &plan, &context(false));
        assert_eq!((&value["summary"]["notes"], &value["notes"][0]["subject"]), (&json!(1), &json!("executions")));
        let changed = plan_of_changes();
        let text = render(&Findings::default(), &changed, &context(false), &Style::plain(80));
        assert!(text.ends_with("\nNo problems found: 1 resource can be changed.\n"), "{text}");
    }

    fn plan_of_changes() -> Plan {
        plan(vec![item("primary/vpc/main", Action::Update)])
    }

    #[test]
    fn the_verdict_claims_only_what_could_be_read() {
        let unread = Item { failure: Some(refused()), ..item("secondary/vpc/main", Action::Unknown) };
        let text = render(&Findings::default(), &plan(vec![unread]), &context(false), &Style::plain(80));
        assert!(text.contains("1 resource could not be"), "{text}");
        assert!(text.ends_with("\nNo problems found in what could be read.\n"), "{text}");
        let nothing = plan(vec![item("primary/vpc/main", Action::None)]);
        let text = render(&Findings::default(), &nothing, &context(false), &Style::plain(80));
        assert!(text.ends_with("\nNothing would be created or changed, so there is nothing to check.\n"), "{text}");
    }

    #[test]
    fn json_has_every_finding_with_its_figures() {
        let value = to_json(&example(), &plan(Vec::new()), &context(false));
        assert_eq!((&value["summary"]["problems"], &value["summary"]["unchecked"]), (&json!(3), &json!(3)));
        assert_eq!(value["problems"][0]["figures"], json!({"quota": 5, "used": 3, "planned": 3}));
        assert_eq!((&value["problems"][0]["about"], &value["problems"][1]["region"]), (&json!("quota"), &Value::Null));
        assert_eq!(value["unchecked"][0]["subject"], json!("VPCs"));
    }
}
