//! What is recorded against what is there: a table by role and Region, and the same as JSON.

use serde::Serialize;
use serde_json::{Value, json};

use super::failures::hanging;
use super::plan::{PlanContext, unknown};
use super::text::{clean, columns, fit, pad};
use super::values::difference;
use super::{Style, by_role, heading, joined};
use crate::engine::{Action, Item, Phase, Plan};

/// Addresses are aligned up to this many columns.
const ALIGNED: usize = 48;
/// Where what belongs to a row begins.
const INDENT: usize = 6;

/// How a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// There and as configured.
    Present,
    /// There, and on its way to being available.
    Pending,
    /// There, and not as configured.
    Drifted,
    /// There, and it will never become available.
    Failed,
    /// On its way out.
    Deleting,
    /// Recorded, and no longer there.
    Missing,
    /// Configured, and not made yet.
    NotMade,
    /// There and recorded, and no longer configured.
    Leftover,
    /// It could not be looked at.
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

    /// The word shown to people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Pending => "pending…",
            Self::Drifted => "drifted",
            Self::Failed => "failed",
            Self::Deleting => "deleting…",
            Self::Missing => "missing",
            Self::NotMade => "not made",
            Self::Leftover => "left over",
            Self::Unknown => "unknown",
        }
    }

    /// The key under which machines find their number.
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

/// How a resource stands, from what would be done about it.
#[must_use]
pub fn health(item: &Item) -> Health {
    if item.failure.is_some() {
        return Health::Unknown;
    }
    match (item.action, item.live.as_ref().map(|live| &live.phase)) {
        (Action::Unknown, _) => Health::Unknown,
        // A record without an id is an intent that came to nothing: there is no reason then, and nothing is missing.
        (Action::Create, _) if item.recorded && item.reason.is_some() => Health::Missing,
        (Action::Create, _) => Health::NotMade,
        (Action::Delete, None) => Health::Missing,
        (_, Some(Phase::Failed(_))) => Health::Failed,
        (_, Some(Phase::Deleting(_))) => Health::Deleting,
        (Action::Delete, _) => Health::Leftover,
        (Action::Update | Action::Replace, _) => Health::Drifted,
        (Action::None | Action::Record, Some(Phase::Pending(_))) => Health::Pending,
        (Action::None | Action::Record, _) => Health::Present,
    }
}

/// The table for people. `plan` is the plan that would be carried out now.
#[must_use]
pub fn render(plan: &Plan, context: &PlanContext, style: &Style) -> String {
    let mut lines = context.header(style);
    for ((role, region), members) in by_role(&plan.items, |item| (item.address.role(), item.region.clone())) {
        lines.push(String::new());
        let title = heading(role, &region);
        let label = format!("{title}: ");
        let counted = hanging(&label, &told(&members), style.width, 0);
        lines.extend(counted.into_iter().map(|line| match line.strip_prefix(title.as_str()) {
            Some(counts) => format!("{}{counts}", style.bold(&title)),
            None => line,
        }));
        let aligned =
            members.iter().map(|item| columns(&item.address.to_string())).max().unwrap_or_default().min(ALIGNED);
        for item in members {
            lines.extend(row(item, aligned, style));
        }
    }
    if plan.items.is_empty() {
        lines.push(String::new());
        lines.push("Nothing is configured, and nothing is recorded.".to_owned());
    }
    lines.extend(unknown(plan, style));
    lines.push(String::new());
    let all: Vec<&Item> = plan.items.iter().collect();
    lines.extend(hanging("Resources: ", &told(&all), style.width, 0).iter().map(|line| style.bold(line)));
    joined(&lines)
}

/// The table for machines.
#[must_use]
pub fn to_json(plan: &Plan, context: &PlanContext) -> Value {
    let all: Vec<&Item> = plan.items.iter().collect();
    let summary: serde_json::Map<String, Value> =
        counts(&all).into_iter().map(|(health, count)| (health.key().to_owned(), json!(count))).collect();
    let mut value = context.to_json(&Value::Object(summary));
    let resources: Vec<Value> = plan
        .items
        .iter()
        .map(|item| {
            json!({
                "address": item.address,
                "region": item.region,
                "health": health(item),
                "recorded": item.recorded,
                "id": item.id,
                "reason": item.reason,
                // All of its properties would be set: that is no drift.
                "drift": if item.action == Action::Create { Vec::new() } else { item.changes.clone() },
                "unsupported": item.unsupported,
                "failure": item.failure,
            })
        })
        .collect();
    value["resources"] = Value::Array(resources);
    value
}

fn counts(items: &[&Item]) -> Vec<(Health, usize)> {
    Health::ALL.into_iter().map(|wanted| (wanted, items.iter().filter(|item| health(item) == wanted).count())).collect()
}

/// `40 present, 1 drifted`: only what there is.
fn told(items: &[&Item]) -> String {
    let there: Vec<String> = counts(items)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(health, count)| format!("{count} {}", health.as_str().trim_end_matches('…')))
        .collect();
    if there.is_empty() { "none".to_owned() } else { there.join(", ") }
}

fn row(item: &Item, aligned: usize, style: &Style) -> Vec<String> {
    let health = health(item);
    let word = health.paint(&pad(health.as_str(), 9), style);
    let address = pad(&item.address.to_string(), aligned);
    let mut line = format!("  {} {address}  {word}", health.paint(health.symbol(), style));
    let room = style.width.saturating_sub(columns(&line) + 2);
    if let Some(id) = item.id.as_deref().map(clean).filter(|_| room >= 12) {
        line = format!("{line}  {}", style.dim(&fit(&id, room)));
    }
    let mut lines = vec![line];
    let forced = item.changes.iter().any(|change| change.forces_replacement.is_some());
    if let Some(why) = item.reason.as_deref().filter(|_| !forced) {
        lines.extend(hanging("# ", &clean(why), style.width, INDENT).iter().map(|line| style.dim(line)));
    }
    if health == Health::Drifted {
        for change in &item.changes {
            lines.extend(difference(change, item.address.role(), style, INDENT));
        }
    }
    for (property, answer) in &item.unsupported {
        let told = format!("{} — {}", clean(property), clean(answer));
        lines.extend(hanging("unsupported here: ", &told, style.width, INDENT).iter().map(|line| style.dim(line)));
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
        let unlooked = Item { failure: Some(refused()), ..item("secondary/vpc/main", Action::Unknown) };
        plan(vec![
            item("primary/vpc/main", Action::None),
            drifted,
            missing,
            unlooked,
            item("global/vpc_peering/main", Action::Create),
        ])
    }

    #[test]
    fn the_table_says_how_everything_stands() {
        for width in [80, 140] {
            let text = render(&example(), &context(false), &Style::plain(width));
            assert_fits(&text, width);
            for line in [
                "primary · us-east-1: 1 present, 1 drifted, 1 missing",
                "  ✓ primary/vpc/main               present    vpc-0abc",
                "  ~ primary/subnet/public-a        drifted    subnet-0abc",
                "      ~ map_public_ip: false → true",
                "  ✗ primary/internet_gateway/main  missing",
                "      # it is recorded, and no longer in AWS",
                "secondary · us-east-2: 1 unknown",
                "  + global/vpc_peering/main  not made",
                "    ? 1 resource (secondary/vpc/main)",
                "Resources: 1 present, 1 drifted, 1 missing, 1 not made, 1 unknown",
            ] {
                assert!(text.lines().any(|found| found == line), "{line:?} at {width} in\n{text}");
            }
        }
    }

    #[test]
    fn health_follows_from_what_would_be_done() {
        let with =
            |action: Action, phase: Phase| Item { live: Some(live(phase)), ..item("primary/nat_gateway/a", action) };
        let cases = [
            (item("primary/vpc/main", Action::Record), Health::Present),
            (with(Action::Record, Phase::Pending("pending".to_owned())), Health::Pending),
            (with(Action::Replace, Phase::Deleting("deleting".to_owned())), Health::Deleting),
            (with(Action::Replace, Phase::Failed("failed".to_owned())), Health::Failed),
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
    fn machines_get_every_resource_and_all_counts() {
        let value = to_json(&example(), &context(false));
        assert_eq!((&value["summary"]["drifted"], &value["summary"]["deleting"]), (&json!(1), &json!(0)));
        assert_eq!(value["resources"].as_array().map(Vec::len), Some(5));
        assert_eq!(value["resources"][1]["drift"][0]["property"], json!("map_public_ip"));
        assert_eq!(
            (&value["resources"][4]["health"], &value["resources"][4]["drift"]),
            (&json!("not_made"), &json!([]))
        );
    }
}
