//! The state of the stack: the verdict, the deviations by severity, and counts; on request, a table of every resource; and the
//! same as JSON.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Serialize;
use serde_json::{Value, json};

use super::failures::{self, hanging};
use super::plan::{PlanContext, unknown};
use super::severity::{Severity, severity};
use super::text::{clean, columns, pad};
use super::values::difference;
use super::verdict::Verdict;
use super::{Style, by_role, heading, joined};
use drctl_engine::state::{Address, Failed, Holder};
use drctl_engine::{Action, Class, Failure, Item, Phase, Plan};

/// Addresses are aligned up to this many columns.
const ALIGNED: usize = 48;
/// The indentation of what belongs to a row.
const INDENT: usize = 6;
/// Columns of the longest word for a [`Health`].
const WORD: usize = 11;
/// Failures that were recorded within this time are of the same run.
const MOMENT: SignedDuration = SignedDuration::from_secs(1);
/// Up to this many resources that do not exist for the same reason have a line each. More of them share a line.
const APART: usize = 8;

/// What is shown besides the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusDetails {
    /// Whether every resource is listed, not only deviations.
    pub all: bool,
    /// The run in progress, if there is one.
    pub running: Option<Holder>,
    /// What failed in earlier runs: the reason why something does not exist or differs.
    pub failed: BTreeMap<Address, Failed>,
}

impl StatusDetails {
    /// Why an earlier run could not bring a resource that deviates to what is configured.
    fn failed(&self, item: &Item) -> Option<&Failed> {
        self.failed.get(&item.address).filter(|_| health(item) != Health::Present)
    }
}

/// The health of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It exists and is as configured.
    Present,
    /// It exists and will become available.
    Pending,
    /// It exists, but is not as configured.
    Drifted,
    /// It exists, but does not work until the operator fixes it.
    Failed,
    /// It is being deleted.
    Deleting,
    /// It is recorded, but no longer exists.
    Missing,
    /// It is configured, but has not been created yet.
    NotMade,
    /// It exists and is recorded, but is no longer configured.
    Leftover,
    /// It could not be read.
    Unknown,
}

impl Health {
    /// All of them, the good ones first.
    pub const ALL: [Self; 9] = [
        Self::Present,
        Self::Pending,
        Self::Drifted,
        Self::Failed,
        Self::Deleting,
        Self::Missing,
        Self::NotMade,
        Self::Leftover,
        Self::Unknown,
    ];

    /// The word in text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Pending => "pending…",
            Self::Drifted => "drifted",
            Self::Failed => "failed",
            Self::Deleting => "deleting…",
            Self::Missing => "missing",
            Self::NotMade => "not created",
            Self::Leftover => "left over",
            Self::Unknown => "unknown",
        }
    }

    /// The key of the count in JSON.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Pending => "pending",
            Self::Drifted => "drifted",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
            Self::Missing => "missing",
            Self::NotMade => "not_made",
            Self::Leftover => "leftover",
            Self::Unknown => "unknown",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Present => "✓",
            Self::Pending | Self::Deleting => "…",
            Self::Drifted => "~",
            Self::Failed | Self::Missing => "✗",
            Self::NotMade => "+",
            Self::Leftover => "-",
            Self::Unknown => "?",
        }
    }

    fn paint(self, text: &str, style: &Style) -> String {
        match self {
            Self::Present => style.green(text),
            Self::Pending | Self::Deleting | Self::NotMade => style.cyan(text),
            Self::Drifted | Self::Leftover | Self::Unknown => style.yellow(text),
            Self::Failed | Self::Missing => style.red(text),
        }
    }
}

/// The health of a resource, derived from what would be done about it.
#[must_use]
pub fn health(item: &Item) -> Health {
    let phase = item.live.as_ref().map(|live| &live.phase);
    match (item.action, phase) {
        // Whatever else is the matter with it, it was read.
        (_, Some(Phase::Failed(_) | Phase::Stalled(_))) => Health::Failed,
        (_, Some(Phase::Deleting(_))) => Health::Deleting,
        _ if item.failure.is_some() => Health::Unknown,
        (Action::Unknown, _) => Health::Unknown,
        // A record without an id is an intent that had no effect. Then there is no reason, and nothing is missing.
        (Action::Create, _) if item.recorded && item.reason.is_some() => Health::Missing,
        (Action::Create, _) => Health::NotMade,
        (Action::Delete, None) => Health::Missing,
        (Action::Delete, _) => Health::Leftover,
        (Action::Update | Action::Replace | Action::Refused, _) => Health::Drifted,
        (Action::None | Action::Record, Some(Phase::Pending(_))) => Health::Pending,
        (Action::None | Action::Record, _) => Health::Present,
    }
}

/// The state in which a resource does not work, in AWS's words, if that is so.
#[must_use]
pub fn state(item: &Item) -> Option<&str> {
    match &item.live.as_ref()?.phase {
        Phase::Failed(state) | Phase::Stalled(state) => Some(state),
        Phase::Ready | Phase::Pending(_) | Phase::Deleting(_) => None,
    }
}

/// Whether anything deviates or could not be read.
#[must_use]
pub fn deviates(plan: &Plan) -> bool {
    plan.items.iter().any(|item| health(item) != Health::Present)
}

/// The status as text. `plan` is the plan that would be carried out now.
#[must_use]
pub fn render(plan: &Plan, details: &StatusDetails, context: &PlanContext, style: &Style) -> String {
    let mut lines = context.header(style);
    if let Some(holder) = &details.running {
        let text = format!("{} is running now: the following may be outdated.", clean(&holder.to_string()));
        lines.push(String::new());
        lines.extend(hanging("", &text, style.width, 0).iter().map(|line| style.yellow(line)));
    }
    let verdict = Verdict::of(plan, !details.failed.is_empty());
    lines.push(String::new());
    lines.extend(hanging("", &verdict.line(), style.width, 0).iter().map(|line| {
        style.bold(&match verdict.key {
            "in_order" => style.green(line),
            "not_ready" | "gone" => style.red(line),
            _ => style.yellow(line),
        })
    }));
    // If nothing of the stack exists, the verdict says it all, except for why that is so.
    if matches!(verdict.key, "not_built" | "gone") {
        lines.extend(tried(plan, details, style));
    } else {
        lines.extend(deviations(plan, details, style));
    }
    lines.extend(unknown(plan, style));
    if !plan.items.is_empty() {
        lines.push(String::new());
    }
    for ((role, region), members) in by_role(&plan.items, |item| (item.address.role(), item.region.clone())) {
        let title = heading(role, &region);
        let label = format!("{title}: ");
        let counted = hanging(&label, &counted(&members), style.width, 0);
        lines.extend(counted.into_iter().map(|line| match line.strip_prefix(title.as_str()) {
            Some(counts) => format!("{}{counts}", style.bold(&title)),
            None => line,
        }));
        if details.all {
            let aligned =
                members.iter().map(|item| columns(&item.address.to_string())).max().unwrap_or_default().min(ALIGNED);
            for item in members {
                lines.extend(row(item, aligned, style));
            }
            lines.push(String::new());
        }
    }
    if lines.last().is_some_and(|line| !line.is_empty()) {
        lines.push(String::new());
    }
    let all: Vec<&Item> = plan.items.iter().collect();
    lines.extend(hanging("Resources: ", &counted(&all), style.width, 0).iter().map(|line| style.bold(line)));
    if !details.all && !plan.items.is_empty() {
        lines.push(style.dim("Use --all to list every resource."));
    }
    joined(&lines)
}

/// The deviations, the worst first, with what they mean.
fn deviations(plan: &Plan, details: &StatusDetails, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    if plan.items.iter().any(|item| health(item) == Health::Drifted) {
        lines.extend([String::new(), style.dim("Differing properties: in AWS → as configured")]);
    }
    for wanted in Severity::ALL {
        let found: Vec<(&Item, &'static str)> = plan
            .items
            .iter()
            .filter_map(|item| severity(item).filter(|(severity, _)| *severity == wanted).map(|(_, why)| (item, why)))
            .collect();
        if found.is_empty() {
            continue;
        }
        lines.push(String::new());
        lines.push(match wanted {
            Severity::Critical => style.bold(&style.red(wanted.as_str())),
            Severity::Major => style.bold(&style.yellow(wanted.as_str())),
            Severity::Minor => style.bold(wanted.as_str()),
        });
        for (_, members) in by_role(found, |(item, _)| (item.address.role(), item.region.clone())) {
            lines.extend(of_a_role(&members, details, style));
        }
    }
    lines
}

/// The deviations of one severity and role. Many resources that do not exist for the same reason, as after a run that was
/// stopped, share a line.
fn of_a_role(found: &[(&Item, &'static str)], details: &StatusDetails, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut grouped = Vec::new();
    // The same refusal, such as a missing permission: the calls differ only in their request ids.
    let cause = |item: &Item| details.failed(item).map(|failed| (&failed.operation, &failed.code));
    for (item, why) in found {
        let health = health(item);
        let key = (health, *why, cause(item));
        if grouped.contains(&key) {
            continue;
        }
        let alike: Vec<&Address> = found
            .iter()
            .filter(|(other, meaning)| (self::health(other), *meaning, cause(other)) == key)
            .map(|(other, _)| &other.address)
            .collect();
        let is_listed = matches!(health, Health::Missing | Health::NotMade | Health::Leftover);
        if is_listed && alike.len() > APART {
            grouped.push(key);
            let head = format!("  {} {}, ", health.paint(health.symbol(), style), health.as_str());
            lines.push(format!("{head}{}", failures::resources(&alike, style, columns(&head))));
            lines.extend(hanging("", why, style.width, INDENT));
            lines.extend(last_tried(details.failed(item), style));
            continue;
        }
        lines.extend(deviation(item, why, style));
        lines.extend(last_tried(details.failed(item), style));
    }
    lines
}

/// What failed when earlier runs last tried to create a stack of which nothing exists. The same answer is shown once.
fn tried(plan: &Plan, details: &StatusDetails, style: &Style) -> Vec<String> {
    let recorded: Vec<(&Address, &Failed, Failure)> = plan
        .items
        .iter()
        .filter_map(|item| details.failed(item).map(|failed| (&item.address, failed, as_failure(failed))))
        .collect();
    let Some(last) = recorded.iter().map(|(_, failed, _)| failed.at).max() else { return Vec::new() };
    let mut lines = vec![String::new(), style.bold(&format!("Last tried {last:.0}, and failed:"))];
    for group in failures::by_answer(recorded.iter().map(|(address, failed, failure)| ((*address, failed.at), failure)))
    {
        let addresses: Vec<&Address> = group.affected.iter().map(|(address, _)| *address).collect();
        let head = format!("  {} ", style.red("✗"));
        lines.push(format!("{head}{}", failures::resources(&addresses, style, columns(&head))));
        // All failures of one run are recorded at its end, one after the other.
        if let Some(earlier) =
            group.affected.iter().map(|(_, at)| *at).max().filter(|at| last.duration_since(*at) > MOMENT)
        {
            lines.extend(hanging("# ", &format!("last tried {earlier:.0}"), style.width, INDENT));
        }
        lines.extend(group.lines(style, INDENT));
    }
    lines
}

/// A recorded failure as one that is shown. What it meant for the run is not recorded, and does not matter any more.
fn as_failure(failed: &Failed) -> Failure {
    let Failed { at: _, message, operation, code, request_id, help } = failed.clone();
    Failure { operation, code, request_id, help, ..Failure::new(Class::Refused, message) }
}

/// What failed when an earlier run last tried, and what to do about it.
fn last_tried(failed: Option<&Failed>, style: &Style) -> Vec<String> {
    let Some(failed) = failed else { return Vec::new() };
    let mut lines = hanging("# ", &clean(&failed.to_string()), style.width, INDENT);
    if let Some(help) = &failed.help {
        lines.extend(hanging("help: ", &clean(help), style.width, INDENT));
    }
    lines.iter().map(|line| style.dim(line)).collect()
}

/// One deviation: the resource, its health, what that means, and the properties that differ.
fn deviation(item: &Item, why: &str, style: &Style) -> Vec<String> {
    let health = health(item);
    let word = health.paint(health.as_str(), style);
    let head = format!("  {} {}  {word}", health.paint(health.symbol(), style), item.address);
    let mut lines = if columns(&head) + 3 + columns(why) <= style.width {
        vec![format!("{head} – {why}")]
    } else {
        let mut lines = vec![head];
        lines.extend(hanging("", why, style.width, INDENT));
        lines
    };
    let forced = item.changes.iter().any(|change| change.forces_replacement.is_some());
    // That it is missing is shown already.
    let reason = item.reason.as_deref().filter(|_| !forced && !matches!(health, Health::Missing | Health::Failed));
    let failed = state(item).map(|state| format!("it is in state {state}"));
    let left = (health == Health::NotMade && item.recorded)
        .then_some("an earlier run was about to create it, and it never appeared in AWS");
    if let Some(why) = failed.as_deref().or(reason).or(left) {
        lines.extend(hanging("# ", &clean(why), style.width, INDENT).iter().map(|line| style.dim(line)));
    }
    if health == Health::Drifted {
        for change in &item.changes {
            lines.extend(difference(change, item.address.role(), style, INDENT));
        }
    }
    lines
}

/// The status as JSON.
#[must_use]
pub fn to_json(plan: &Plan, details: &StatusDetails, context: &PlanContext) -> Value {
    let all: Vec<&Item> = plan.items.iter().collect();
    let summary: serde_json::Map<String, Value> =
        counts(&all).into_iter().map(|(health, count)| (health.key().to_owned(), json!(count))).collect();
    let mut value = context.to_json(&Value::Object(summary));
    let verdict = Verdict::of(plan, !details.failed.is_empty());
    value["verdict"] = json!(verdict.key);
    value["verdict_reason"] = json!(verdict.reason);
    value["running"] = json!(details.running);
    let resources: Vec<Value> = plan
        .items
        .iter()
        .map(|item| {
            let severity = severity(item);
            json!({
                "address": item.address,
                "region": item.region,
                "health": health(item),
                "severity": severity.map(|(severity, _)| severity),
                "meaning": severity.map(|(_, why)| why),
                "recorded": item.recorded,
                "id": item.id,
                "reason": item.reason,
                // A creation sets all properties: that is not drift.
                "drift": if item.action == Action::Create { Vec::new() } else { item.changes.clone() },
                "unsupported": item.unsupported,
                "failure": item.failure,
                "last_failure": details.failed(item),
            })
        })
        .collect();
    value["resources"] = Value::Array(resources);
    value
}

fn counts(items: &[&Item]) -> Vec<(Health, usize)> {
    Health::ALL.into_iter().map(|wanted| (wanted, items.iter().filter(|item| health(item) == wanted).count())).collect()
}

/// `40 present, 1 drifted`, without zeros.
fn counted(items: &[&Item]) -> String {
    let parts: Vec<String> = counts(items)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(health, count)| format!("{count} {}", health.as_str().trim_end_matches('…')))
        .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn row(item: &Item, aligned: usize, style: &Style) -> Vec<String> {
    let health = health(item);
    let word = health.paint(&pad(health.as_str(), WORD), style);
    let address = pad(&item.address.to_string(), aligned);
    let mut line = format!("  {} {address}  {word}", health.paint(health.symbol(), style));
    let room = style.width.saturating_sub(columns(&line) + 2);
    if let Some(id) = item.id.as_deref().map(clean).filter(|_| room >= 12 || !style.cuts) {
        line = format!("{line}  {}", style.dim(&style.fit(&id, room)));
    }
    let mut lines = vec![line];
    // Deviations are shown in full elsewhere.
    if let Some(why) = item.reason.as_deref().filter(|_| health == Health::Present) {
        lines.extend(hanging("# ", &clean(why), style.width, INDENT).iter().map(|line| style.dim(line)));
    }
    for (property, answer) in &item.unsupported {
        let text = format!("{} — {}", clean(property), clean(answer));
        lines.extend(hanging("unsupported here: ", &text, style.width, INDENT).iter().map(|line| style.dim(line)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{assert_fits, change, context, item, live, plan, refused};

    fn example() -> Plan {
        let drifted = Item {
            changes: vec![change("map_public_ip", json!(false), json!(true))],
            ..item("primary/subnet/public-a", Action::Update)
        };
        let missing = Item {
            recorded: true,
            reason: Some("it is recorded, and no longer in AWS".to_owned()),
            ..item("primary/internet_gateway/main", Action::Create)
        };
        let unread = Item { failure: Some(refused()), ..item("secondary/vpc/main", Action::Unknown) };
        plan(vec![
            item("primary/vpc/main", Action::None),
            drifted,
            missing,
            unread,
            item("global/vpc_peering/main", Action::Create),
        ])
    }

    fn all() -> StatusDetails {
        StatusDetails { all: true, ..StatusDetails::default() }
    }

    #[test]
    fn deviations_are_listed_the_worst_first() {
        for width in [80, 140] {
            let text = render(&example(), &StatusDetails::default(), &context(false), &Style::plain(width));
            assert_fits(&text, width);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut at = 0;
            for part in [
                "DR: NOT READY – part of the network is missing (primary/internet_gateway/main); 1 resource in us-east-2 \
                 could not be read",
                "critical ✗ primary/internet_gateway/main missing – part of the network is missing",
                "major ~ primary/subnet/public-a drifted – the subnet is not as configured ~ map_public_ip: false → true",
                "+ global/vpc_peering/main not created",
                "the Regions' networks are not connected",
                "1 resource could not be read ? 1 resource (secondary/vpc/main)",
                "primary · us-east-1: 1 present, 1 drifted, 1 missing",
                "secondary · us-east-2: 1 unknown",
                "global: 1 not created",
                "Resources: 1 present, 1 drifted, 1 missing, 1 not created, 1 unknown",
                "Use --all to list every resource.",
            ] {
                let found = words[at..].find(part).unwrap_or_else(|| panic!("{part:?} at {width} in\n{text}"));
                at += found + part.len();
            }
            assert!(!text.contains("primary/vpc/main "), "what is in order is not listed:\n{text}");
        }
    }

    #[test]
    fn with_all_the_table_lists_every_resource() {
        for width in [80, 140] {
            let text = render(&example(), &all(), &context(false), &Style::plain(width));
            assert_fits(&text, width);
            for line in [
                "primary · us-east-1: 1 present, 1 drifted, 1 missing",
                "  ✓ primary/vpc/main               present      vpc-0abc",
                "  ~ primary/subnet/public-a        drifted      subnet-0abc",
                "      ~ map_public_ip: false → true",
                "  ✗ primary/internet_gateway/main  missing",
                "secondary · us-east-2: 1 unknown",
                "  + global/vpc_peering/main  not created",
                "    ? 1 resource (secondary/vpc/main)",
                "Resources: 1 present, 1 drifted, 1 missing, 1 not created, 1 unknown",
            ] {
                assert!(text.lines().any(|found| found == line), "{line:?} at {width} in\n{text}");
            }
            assert!(text.matches("map_public_ip").count() == 1 && !text.contains("Use --all"), "{text}");
        }
    }

    #[test]
    fn a_stack_in_order_takes_a_few_lines() {
        let good = plan(vec![item("primary/vpc/main", Action::None), item("global/iam_role/processor", Action::None)]);
        let text = render(&good, &StatusDetails::default(), &context(false), &Style::plain(80));
        assert_eq!(
            text,
            "payment-dr-dev · account 123456789012 · primary us-east-1, secondary us-east-2\n\
             \n\
             DR: in order – all 2 resources are there and as configured\n\
             \n\
             primary · us-east-1: 1 present\n\
             global: 1 present\n\
             \n\
             Resources: 2 present\n\
             Use --all to list every resource.\n"
        );
        assert!(!deviates(&good) && deviates(&example()));
    }

    #[test]
    fn a_stack_that_was_never_built_is_not_listed() {
        let unbuilt = plan(vec![item("primary/vpc/main", Action::Create), item("primary/alarm/a", Action::Create)]);
        let text = render(&unbuilt, &StatusDetails::default(), &context(false), &Style::plain(80));
        assert!(text.contains("\nDR: NOT BUILT – nothing has been created yet: 2 resources to create\n"), "{text}");
        assert!(!text.contains("critical") && text.contains("primary · us-east-1: 2 not created\n"), "{text}");
    }

    #[test]
    fn a_stack_that_could_not_be_built_at_all_shows_why() {
        let unbuilt: Vec<Item> = ["primary/vpc/main", "secondary/vpc/main", "primary/kms_key/main", "primary/alarm/a"]
            .map(|at| item(at, Action::Create))
            .into();
        let failed = |operation: &str, code: &str, message: &str, id: &str| Failed {
            at: "2026-11-29T02:10:07.5Z".parse().expect("a time"),
            message: message.to_owned(),
            operation: Some(operation.to_owned()),
            code: Some(code.to_owned()),
            request_id: Some(id.to_owned()),
            help: Some("Renew them.".to_owned()),
        };
        let earlier = Failed {
            at: "2026-11-28T23:00:00Z".parse().expect("a time"),
            ..failed("kms:CreateKey in us-east-1", "LimitExceededException", "too many keys", "id-3")
        };
        let details = StatusDetails {
            failed: BTreeMap::from([
                (unbuilt[0].address.clone(), failed("ec2:CreateVpc in us-east-1", "RequestExpired", "expired", "id-1")),
                (unbuilt[1].address.clone(), failed("ec2:CreateVpc in us-east-2", "RequestExpired", "expired", "id-2")),
                (unbuilt[2].address.clone(), earlier),
            ]),
            ..StatusDetails::default()
        };
        for width in [80, 140] {
            let text = render(&plan(unbuilt.clone()), &details, &context(false), &Style::plain(width));
            assert_fits(&text, width);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut at = 0;
            for part in [
                "DR: NOT BUILT – nothing has been created yet: 4 resources to create; the last attempt failed",
                "Last tried 2026-11-29T02:10:07Z, and failed: ✗ 2 resources (primary/vpc/main, secondary/vpc/main) RequestExpired: \
                 expired",
                "calls: ec2:CreateVpc in us-east-1, ec2:CreateVpc in us-east-2 request ids id-1, id-2 help: Renew them.",
                "✗ 1 resource (primary/kms_key/main) # last tried 2026-11-28T23:00:00Z kms:CreateKey in us-east-1: \
                 LimitExceededException: too many keys request id id-3",
                "Resources: 4 not created",
            ] {
                let found = words[at..].find(part).unwrap_or_else(|| panic!("{part:?} at {width} in\n{text}"));
                at += found + part.len();
            }
            assert!(!text.contains("critical"), "what does not exist is not listed one by one:\n{text}");
        }
        let json = to_json(&plan(unbuilt), &details, &context(false));
        assert_eq!(json["resources"][0]["last_failure"]["code"], json!("RequestExpired"));
        assert!(json["verdict_reason"].as_str().is_some_and(|reason| reason.ends_with("the last attempt failed")));
    }

    #[test]
    fn a_run_in_progress_is_named() {
        let holder = Holder { pid: 7, host: "vm".to_owned(), command: "up".to_owned(), since: None };
        let details = StatusDetails { running: Some(holder), ..StatusDetails::default() };
        let text = render(&example(), &details, &context(false), &Style::plain(80));
        assert!(
            text.contains("\n`drctl up` (process 7 on vm) is running now: the following may be outdated.\n"),
            "{text}"
        );
        let json = to_json(&example(), &details, &context(false));
        assert_eq!(json["running"]["command"], json!("up"));
    }

    #[test]
    fn many_resources_that_do_not_exist_share_a_line_and_an_attempt_to_create_one_leaves_a_trace() {
        let mut items: Vec<Item> =
            (0..9).map(|number| item(&format!("primary/alarm/a{number}"), Action::Create)).collect();
        items.push(Item { recorded: true, ..item("secondary/db_instance/main", Action::Create) });
        items.push(item("primary/vpc/main", Action::None));
        for width in [80, 140] {
            let text = render(&plan(items.clone()), &StatusDetails::default(), &context(false), &Style::plain(width));
            assert_fits(&text, width);
            assert!(text.contains("\n  + not created, 9 resources (primary/alarm/a0, "), "{text}");
            assert!(text.contains("\n      no one is alerted when this fails\n"), "{text}");
            let trace = "      # an earlier run was about to create it, and it never appeared in AWS";
            assert!(text.lines().any(|line| line == trace), "{text}");
        }
    }

    #[test]
    fn a_refused_call_is_shown_with_its_time_and_reason() {
        let failed = Failed {
            at: "2026-11-29T02:10:07.5Z".parse().expect("a time"),
            message: "you have no more of these".to_owned(),
            operation: Some("rds:CreateDBInstance in us-east-2".to_owned()),
            code: Some("InstanceQuotaExceeded".to_owned()),
            request_id: Some("4f2a".to_owned()),
            help: Some("ask for a higher quota".to_owned()),
        };
        let mut items =
            vec![item("secondary/db_instance/main", Action::Create), item("primary/vpc/main", Action::None)];
        items.extend((0..9).map(|number| item(&format!("primary/alarm/a{number}"), Action::Create)));
        let alarm = Failed { operation: Some("monitoring:PutMetricAlarm in us-east-1".to_owned()), ..failed.clone() };
        let mut details = StatusDetails::default();
        for item in &items {
            let what = if item.address.kind() == "alarm" { &alarm } else { &failed };
            details.failed.insert(item.address.clone(), what.clone());
        }
        for width in [80, 140] {
            let text = render(&plan(items.clone()), &details, &context(false), &Style::plain(width));
            assert_fits(&text, width);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                words.contains(
                    "last tried 2026-11-29T02:10:07Z: rds:CreateDBInstance in us-east-2: InstanceQuotaExceeded: "
                ),
                "{text}"
            );
            assert!(words.contains(" you have no more of these (request 4f2a) help: ask for a higher quota"), "{text}");
            assert_eq!(words.matches("PutMetricAlarm").count(), 1, "the same refusal is shown once:\n{text}");
            assert_eq!(words.matches("CreateDBInstance").count(), 1, "{text}");
        }
        let json = to_json(&plan(items), &details, &context(false));
        assert_eq!(json["resources"][0]["last_failure"]["code"], json!("InstanceQuotaExceeded"));
        assert_eq!(json["resources"][1]["last_failure"], Value::Null, "what is in order has nothing to explain");
    }

    #[test]
    fn health_is_derived_from_what_would_be_done() {
        let with =
            |action: Action, phase: Phase| Item { live: Some(live(phase)), ..item("primary/nat_gateway/a", action) };
        let cases = [
            (item("primary/vpc/main", Action::Record), Health::Present),
            (with(Action::Record, Phase::Pending("pending".to_owned())), Health::Pending),
            (with(Action::Replace, Phase::Deleting("deleting".to_owned())), Health::Deleting),
            (with(Action::Replace, Phase::Failed("failed".to_owned())), Health::Failed),
            (with(Action::Update, Phase::Stalled("without its key".to_owned())), Health::Failed),
            (
                Item { failure: Some(refused()), ..with(Action::Unknown, Phase::Failed("failed".to_owned())) },
                Health::Failed,
            ),
            (with(Action::Replace, Phase::Ready), Health::Drifted),
            (with(Action::Delete, Phase::Ready), Health::Leftover),
            (item("primary/vpc/main", Action::Delete), Health::Missing),
            (Item { recorded: true, ..item("primary/vpc/main", Action::Create) }, Health::NotMade),
            (Item { failure: Some(refused()), ..item("primary/vpc/main", Action::Unknown) }, Health::Unknown),
        ];
        for (item, expected) in cases {
            assert_eq!(health(&item), expected, "{item:?}");
        }
    }

    #[test]
    fn json_has_every_resource_and_all_counts() {
        let value = to_json(&example(), &StatusDetails::default(), &context(false));
        assert_eq!((&value["verdict"], &value["running"]), (&json!("not_ready"), &Value::Null));
        assert_eq!(
            (&value["resources"][0]["severity"], &value["resources"][2]["severity"]),
            (&Value::Null, &json!("critical"))
        );
        assert_eq!((&value["summary"]["drifted"], &value["summary"]["deleting"]), (&json!(1), &json!(0)));
        assert_eq!(value["resources"].as_array().map(Vec::len), Some(5));
        assert_eq!(value["resources"][1]["drift"][0]["property"], json!("map_public_ip"));
        assert_eq!(
            (&value["resources"][4]["health"], &value["resources"][4]["drift"]),
            (&json!("not_made"), &json!([]))
        );
    }
}
