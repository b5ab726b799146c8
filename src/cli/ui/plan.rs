//! The plan as text, with Terraform's symbols, and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

pub use super::context::PlanContext;

use super::failures::{self, hanging};
use super::loss::stakes;
use super::text::{about, clean, columns, duration, list, pad, plural, worth_naming};
use super::values::{brief, difference, full};
use super::{Style, by_role, heading, joined, symbol};
use crate::cli::hint;
use crate::simulate::{Forecast, Link};
use drctl_aws::resources::holds_data;
use drctl_engine::state::{Address, Role};
use drctl_engine::{Action, Item, Phase, Plan, TAGS};

/// Properties that say most about a resource at a glance, the most important first.
const KEY_PROPERTIES: &[&str] = &[
    "cidr",
    "route_key",
    "threshold",
    "name",
    "service",
    "destination",
    "zone",
    "retention_days",
    "peer_region",
    "traffic",
    "engine",
    "class",
    "runtime",
];
/// A shorter duration on AWS is not worth a line.
const WORTH_SHOWING: Duration = Duration::from_mins(1);
/// Addresses are aligned up to this many columns. The properties of the few longer ones begin further to the right.
const ALIGNED: usize = 44;
/// The symbol of what is not deleted although that is wanted, because something needs it.
const KEPT: &str = "·";
/// The indentation of an item's properties.
const INDENT: usize = 8;

/// The plan as text.
#[must_use]
pub fn render(plan: &Plan, context: &PlanContext, style: &Style) -> String {
    // With `--full`, nothing is cut.
    let style = &if context.verbose { style.uncut() } else { *style };
    let mut lines = context.header(style);
    let changing = |item: &&Item| !matches!(item.action, Action::None | Action::Unknown);
    let items: Vec<&Item> = plan.items.iter().filter(changing).collect();
    if !items.is_empty() {
        lines.push(String::new());
        lines.push(legend(&items, style));
    }
    for ((role, region), members) in by_role(items, |item| (item.address.role(), item.region.clone())) {
        lines.push(String::new());
        lines.push(style.bold(&heading(role, &region)));
        let aligned =
            members.iter().map(|item| columns(&item.address.to_string())).max().unwrap_or_default().min(ALIGNED);
        for item in members {
            lines.extend(resource(item, role, aligned, context.verbose, style));
        }
    }
    lines.extend(left_alone(plan, style));
    lines.extend(unknown(plan, style));
    lines.extend(expectation(plan, style));
    lines.extend(data_loss(plan, style));
    lines.push(String::new());
    lines.push(style.bold(&summary(plan)));
    joined(&lines)
}

/// The plan as JSON.
#[must_use]
pub fn to_json(plan: &Plan, context: &PlanContext) -> Value {
    let mut value = context.to_json(&json!(plan.counts()));
    let changes: Vec<Value> =
        plan.items.iter().filter(|item| item.action != Action::None).map(|item| json!(item)).collect();
    value["changes"] = Value::Array(changes);
    value["longest_chain"] = Forecast::new(plan, 1.0)
        .chain()
        .into_iter()
        .map(|Link { address, deletes, takes }| {
            json!({ "address": address, "deletes": deletes, "expected_seconds": takes.as_secs_f64() })
        })
        .collect();
    value["data_loss"] = json!(loses_data(plan).collect::<Vec<_>>());
    value
}

/// Terraform's summary line, or "No changes".
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let counts = plan.counts();
    let unknown = if counts.unknown > 0 { format!(" {} unknown.", counts.unknown) } else { String::new() };
    let refused = if counts.refused > 0 { format!(" {} refused.", counts.refused) } else { String::new() };
    if plan.is_empty() && counts.refused == 0 {
        let scope = if counts.unknown > 0 {
            "No changes in what could be read."
        } else {
            "No changes. AWS matches the configuration."
        };
        return format!("{scope}{unknown}");
    }
    let record = if counts.record > 0 { format!(" {} to record.", counts.record) } else { String::new() };
    let keep = if counts.keep > 0 { format!(" {} to keep.", counts.keep) } else { String::new() };
    format!(
        "Plan: {} to add, {} to change, {} to destroy.{keep}{record}{refused}{unknown}",
        counts.add, counts.change, counts.destroy
    )
}

/// What holds data and would be deleted or replaced.
pub fn loses_data(plan: &Plan) -> impl Iterator<Item = &Address> {
    let is_lost = |item: &&Item| match item.action {
        Action::Replace => true,
        // What no longer exists has nothing left to lose.
        Action::Delete => !item.is_kept() && (item.live.is_some() || item.id.is_some() && item.reason.is_none()),
        _ => false,
    };
    plan.items.iter().filter(is_lost).map(|item| &item.address).filter(|address| holds_data(address.kind()))
}

/// The warning about data loss, with what is known of how much it is. It must not be overlooked, so it is the last thing before the
/// counts.
fn data_loss(plan: &Plan, style: &Style) -> Vec<String> {
    let lost: Vec<&Address> = loses_data(plan).collect();
    if lost.is_empty() {
        return Vec::new();
    }
    let names = lost.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let text = match lost.len() {
        1 => format!("1 resource that holds data will be deleted: {names}."),
        count => format!("{count} resources that hold data will be deleted: {names}."),
    };
    let mut lines = vec![String::new()];
    lines.extend(hanging("DATA LOSS: ", &text, style.width, 0).iter().map(|line| style.bold(&style.red(line))));
    for stake in stakes(plan) {
        lines.extend(hanging("", &stake, style.width, 2));
    }
    lines
}

/// How long the plan takes on AWS, and the chain that determines it.
fn expectation(plan: &Plan, style: &Style) -> Vec<String> {
    let links = Forecast::new(plan, 1.0).chain();
    let whole: Duration = links.iter().map(|link| link.takes).sum();
    if whole < WORTH_SHOWING {
        return Vec::new();
    }
    let only_deletes = links.iter().all(|link| link.deletes);
    let named = links.iter().filter(|link| link.takes >= worth_naming(whole)).map(|link| {
        let deletes = if link.deletes && !only_deletes { "deleting " } else { "" };
        format!("{deletes}{} {}", link.address, duration(link.takes))
    });
    let text = format!("On AWS typically {}: {}.", about(whole), named.collect::<Vec<_>>().join(" → "));
    let mut lines = vec![String::new()];
    lines.extend(hanging("", &text, style.width, 0).iter().map(|line| style.dim(line)));
    lines
}

fn legend(items: &[&Item], style: &Style) -> String {
    let meanings = [
        (Action::Create, "create"),
        (Action::Update, "update in place"),
        (Action::Replace, "replace"),
        (Action::Delete, "delete"),
        (Action::Record, "record in state only"),
        (Action::Refused, "refused: data would be lost"),
    ];
    let used = meanings.iter().filter(|(action, _)| items.iter().any(|item| item.action == *action && !item.is_kept()));
    let mut parts: Vec<String> =
        used.map(|(action, meaning)| format!("{} {meaning}", style.action(*action, symbol(*action)))).collect();
    if items.iter().any(|item| item.is_kept()) {
        parts.push(format!("{KEPT} keep"));
    }
    parts.join("   ")
}

fn resource(item: &Item, role: Role, aligned: usize, verbose: bool, style: &Style) -> Vec<String> {
    let address = item.address.to_string();
    let head = if item.is_kept() {
        format!("{KEPT:>5} {address}")
    } else {
        format!("{} {address}", style.action(item.action, &format!("{:>5}", symbol(item.action))))
    };
    let mut lines = match item.action {
        Action::Create if !verbose => {
            let room = style.width.saturating_sub(8 + aligned.max(columns(&address)));
            let text = properties(item, role, room, style);
            let mut lines = vec![format!("{}  {}", pad(&head, 6 + aligned), style.dim(&text))];
            lines.extend(reason(item, style));
            lines
        }
        _ => headed(&head, item, style),
    };
    match item.action {
        Action::Create if verbose => {
            for change in &item.changes {
                lines.extend(full(&change.property, &change.new, role, style, INDENT));
            }
        }
        Action::Update | Action::Replace | Action::Refused => {
            for change in &item.changes {
                lines.extend(difference(change, role, style, INDENT));
            }
        }
        _ => {}
    }
    for (property, answer) in &item.unsupported {
        let text = format!("{} — {}", clean(property), clean(answer));
        lines.extend(hanging("unsupported here: ", &text, style.width, INDENT).iter().map(|line| style.yellow(line)));
    }
    lines
}

/// Symbol, address, and id, followed by the reason on the same line or, if it is long, below.
fn headed(head: &str, item: &Item, style: &Style) -> Vec<String> {
    let id = item.id.as_deref().map(clean).filter(|id| !style.cuts || columns(head) + 2 + columns(id) <= style.width);
    let head = id.map_or_else(|| head.to_owned(), |id| format!("{head}  {}", style.dim(&id)));
    // A property that forces the replacement shows the reason itself.
    let is_shown = item.changes.iter().any(|change| change.forces_replacement.is_some());
    let Some(why) = why(item).filter(|_| !is_shown) else { return vec![head] };
    let note = format!("# {why}");
    if columns(&head) + 2 + columns(&note) <= style.width {
        return vec![format!("{head}  {}", style.dim(&note))];
    }
    let mut lines = vec![head];
    lines.extend(reason(item, style));
    lines
}

fn reason(item: &Item, style: &Style) -> Vec<String> {
    hanging("# ", &why(item).unwrap_or_default(), style.width, INDENT).iter().map(|line| style.dim(line)).collect()
}

/// Why that is done, with the options of this command in the commands that it names.
fn why(item: &Item) -> Option<String> {
    item.reason.as_deref().map(|why| clean(&hint::complete(why)))
}

/// The one to three most important properties: key properties first, then references, then other plain values.
fn properties(item: &Item, role: Role, room: usize, style: &Style) -> String {
    let rank = |name: &str, value: &str| {
        let known = KEY_PROPERTIES.iter().position(|key| *key == name);
        known.unwrap_or(if value.starts_with('→') { KEY_PROPERTIES.len() } else { KEY_PROPERTIES.len() + 1 })
    };
    let mut candidates: Vec<(usize, &str, String)> = item
        .changes
        .iter()
        .filter(|change| change.property != TAGS)
        .filter_map(|change| {
            brief(&change.new, role).map(|value| (rank(&change.property, &value), change.property.as_str(), value))
        })
        .collect();
    candidates.sort_by_key(|(rank, _, _)| *rank);
    let mut text = String::new();
    for (_, name, value) in candidates.into_iter().take(3) {
        // A reference needs no name.
        let part = if value.starts_with('→') { value } else { format!("{} {value}", clean(name)) };
        if text.is_empty() {
            text = style.fit(&part, room);
        } else if columns(&text) + 3 + columns(&part) <= room {
            text.push_str(" · ");
            text.push_str(&part);
        }
    }
    text
}

/// Properties that are neither set nor compared, on resources that do not change. They are listed so that they are not forgotten.
fn left_alone(plan: &Plan, style: &Style) -> Vec<String> {
    let unchanged = plan.items.iter().filter(|item| item.action == Action::None);
    let names: Vec<String> = unchanged
        .flat_map(|item| item.unsupported.keys().map(|property| format!("{}.{}", item.address, clean(property))))
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let count = match names.len() {
        1 => "1 property is not supported by this endpoint; it is neither set nor compared:".to_owned(),
        count => format!("{count} properties are not supported by this endpoint; they are neither set nor compared:"),
    };
    let mut lines = vec![String::new(), style.yellow(&count)];
    if style.cuts {
        lines.push(style.dim(&format!("  {}", list(&names, style.width.saturating_sub(2)))));
    } else {
        lines.extend(hanging("", &names.join(", "), style.width, 2));
    }
    lines
}

/// The resources that could not be read, and those that the operator has to repair, each with the reason.
pub(super) fn unknown(plan: &Plan, style: &Style) -> Vec<String> {
    let is_broken = |item: &Item| {
        item.live.as_ref().is_some_and(|live| matches!(live.phase, Phase::Failed(_) | Phase::Deleting(_)))
    };
    let mut lines = Vec::new();
    for (broken, what) in [(false, "could not be read"), (true, "that drctl cannot repair automatically")] {
        let found = plan.unknown().filter(|(item, _)| is_broken(item) == broken);
        let groups = failures::by_cause(found.map(|(item, failure)| (&item.address, failure)));
        let count: usize = groups.iter().map(|group| group.affected.len()).sum();
        if count > 0 {
            lines.extend([String::new(), style.bold(&format!("{} {what}", plural(count, "resource")))]);
        }
        for group in groups {
            lines.push(format!("{} {}", style.yellow("    ?"), failures::resources(&group.affected, style, 6)));
            lines.extend(group.lines(style, INDENT));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{assert_fits, change, context, creation, item, live, plan, refused};
    use drctl_engine::{Change, Failure, Weight};

    fn example() -> Plan {
        let vpc = json!({"$ref": "primary/vpc/main", "output": "id", "need": "exists"});
        let tags =
            json!({"drctl:stack": "payment-dr", "drctl:environment": "dev", "drctl:node": "primary/subnet/public-a"});
        let cidr = Change {
            forces_replacement: Some("a subnet keeps its range"),
            ..change("cidr", json!("10.0.9.0/24"), json!("10.0.1.0/24"))
        };
        let drifted = Item {
            changes: vec![change("dns_support", json!(false), json!(true))],
            ..item("primary/vpc/main", Action::Update)
        };
        let replaced = Item {
            changes: vec![cidr],
            reason: Some("cidr: a subnet keeps its range".to_owned()),
            ..item("primary/subnet/private-b", Action::Replace)
        };
        let mut unread = item("secondary/vpc/main", Action::Unknown);
        unread.failure = Some(refused());
        let mut flow = creation("primary/flow_log/vpc", json!({"traffic": "ALL"}));
        flow.unsupported.insert("aggregation".to_owned(), "InvalidParameter".to_owned());
        let recorded = Item {
            reason: Some("it is in AWS but not in the state".to_owned()),
            ..item("global/vpc_peering/main", Action::Record)
        };
        plan(vec![
            drifted,
            creation(
                "primary/subnet/public-a",
                json!({"vpc": vpc, "cidr": "10.0.0.0/24", "zone": "use1-az1", "tags": tags}),
            ),
            replaced,
            flow,
            recorded,
            unread,
            item("primary/eip/nat-a", Action::None),
            item("primary/eip/nat-old", Action::Delete),
        ])
    }

    #[test]
    fn a_plan_looks_like_terraforms_and_fits() {
        for width in [80, 140] {
            let text = render(&example(), &context(false), &Style::plain(width));
            assert_fits(&text, width);
            for line in [
                "primary · us-east-1",
                "global",
                "    + primary/subnet/public-a   cidr 10.0.0.0/24 · zone use1-az1 · → vpc/main",
                "    ~ primary/vpc/main  vpc-0abc",
                "        ~ dns_support: false → true",
                "  -/+ primary/subnet/private-b  subnet-0abc",
                "    - primary/eip/nat-old  eip-0abc",
                "        unsupported here: aggregation — InvalidParameter",
                "1 resource could not be read",
                "    ? 1 resource (secondary/vpc/main)",
                "        request id 4f6e-11",
                "Plan: 3 to add, 1 to change, 2 to destroy. 1 to record. 1 unknown.",
            ] {
                assert!(text.lines().any(|found| found == line), "{line:?} at {width} in\n{text}");
            }
            assert!(text.contains("# forces replacement: a subnet keeps its range"), "{text}");
            assert!(text.contains("= global/vpc_peering/main"), "{text}");
            assert!(!text.contains("drctl:stack") && !text.contains("nat-a\n"), "{text}");
        }
    }

    #[test]
    fn with_full_everything_is_shown() {
        let text = render(&example(), &context(true), &Style::plain(80));
        assert_fits(&text, 80);
        for line in [
            "        vpc = → vpc/main",
            "        cidr = \"10.0.0.0/24\"",
            "        tags = {",
            "          \"drctl:stack\": \"payment-dr\",",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} in\n{text}");
        }
    }

    #[test]
    fn the_summary_claims_only_what_could_be_read() {
        let context = context(false);
        let same = plan(vec![item("primary/vpc/main", Action::None)]);
        assert!(render(&same, &context, &Style::plain(80)).ends_with("\nNo changes. AWS matches the configuration.\n"));
        let unread = Item { failure: Some(refused()), ..item("primary/vpc/main", Action::Unknown) };
        assert_eq!(summary(&plan(vec![unread])), "No changes in what could be read. 1 unknown.");
    }

    #[test]
    fn json_has_the_counts_and_what_is_not_as_desired() {
        let value = to_json(&example(), &context(false));
        assert_eq!((&value["version"], &value["summary"]["add"]), (&json!(1), &json!(3)));
        assert_eq!(value["changes"].as_array().map(Vec::len), Some(7));
        assert_eq!(value["changes"][0]["address"], json!("primary/vpc/main"));
        assert_eq!(value["changes"][0]["changes"][0]["new"], json!(true));
    }

    #[test]
    fn data_loss_is_the_last_thing_before_the_counts() {
        let lost = |at: &str, action: Action| Item { live: Some(live(Phase::Ready)), ..item(at, action) };
        let planned = plan(vec![
            lost("global/global_cluster/main", Action::Replace),
            item("global/dynamodb_table/sessions", Action::Update),
            lost("primary/subnet/a", Action::Delete),
            Item {
                weight: Some(Ok(Weight { stake: Some("3 object versions in pay".to_owned()), ..Weight::default() })),
                ..lost("primary/s3_bucket/data", Action::Delete)
            },
            Item {
                reason: Some("it is no longer in AWS: only its record goes".to_owned()),
                ..item("secondary/s3_bucket/data", Action::Delete)
            },
        ]);
        for width in [80, 140] {
            let text = render(&planned, &context(false), &Style::plain(width));
            assert_fits(&text, width);
            let expected = "DATA LOSS: 2 resources that hold data will be deleted: \
                        global/global_cluster/main, primary/s3_bucket/data. 3 object versions in pay \
                        (primary/s3_bucket/data)";
            let parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
            let parts: Vec<String> = parts.collect();
            assert_eq!(parts[parts.len() - 2], expected, "{text}");
            assert!(parts[parts.len() - 1].starts_with("Plan: "), "{text}");
        }
        let json = to_json(&planned, &context(false));
        assert_eq!(json["data_loss"], json!(["global/global_cluster/main", "primary/s3_bucket/data"]));
        let one = plan(vec![lost("primary/kms_key/main", Action::Replace)]);
        let text = render(&one, &context(false), &Style::plain(140));
        let expected = "DATA LOSS: 1 resource that holds data will be deleted: primary/kms_key/main.";
        assert!(text.lines().any(|line| line == expected), "{text}");
        assert!(!render(&example(), &context(false), &Style::plain(80)).contains("DATA LOSS"));
    }

    #[test]
    fn the_expected_duration_of_a_replacement_includes_the_deletion() {
        let takes = |at: &str, seconds: u64, on: &[&str]| Item {
            expected: Duration::from_secs(seconds),
            depends_on: on.iter().map(|on| on.parse().expect("an address")).collect(),
            waits_for: on.iter().map(|on| on.parse().expect("an address")).collect(),
            ..item(at, Action::Replace)
        };
        let planned = plan(vec![
            takes("primary/db_cluster/main", 63 + 45, &[]),
            takes("primary/db_instance/main", 420 + 400, &["primary/db_cluster/main"]),
        ]);
        let text = render(&planned, &context(false), &Style::plain(240));
        let expected = "On AWS typically about 15 min: deleting primary/db_instance/main 7m 00s → deleting \
                    primary/db_cluster/main 1m 03s → primary/db_cluster/main 45s → primary/db_instance/main 6m 40s.";
        assert!(text.lines().any(|line| line == expected), "{text}");
        assert_eq!(to_json(&planned, &context(false))["longest_chain"][0]["deletes"], json!(true));
    }

    #[test]
    fn text_is_cut_only_on_a_terminal_and_without_full() {
        let long = "a description that is much longer than any terminal is wide ".repeat(5);
        let planned = plan(vec![creation("primary/kms_key/main", json!({"description": long.trim_end()}))]);
        assert!(render(&planned, &context(false), &Style::plain(80)).contains('…'));
        let text = render(&planned, &context(false), &Style::plain(80).uncut());
        assert!(text.contains(long.trim_end()), "{text}");
        let text = render(&planned, &context(true), &Style::plain(80));
        assert!(text.contains(long.trim_end()), "with --full: {text}");
    }

    #[test]
    fn a_plan_of_a_new_stack_agrees_with_its_simulation() {
        use crate::simulate::{Draw, Simulation};
        use drctl_config::Config;
        use drctl_engine::{RunOptions, Timing};

        let config = Config::parse("drctl.toml", "", None).expect("a sound configuration");
        let options = RunOptions { cap: 16, timing: Timing::default(), adopt: false };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let simulation = runtime.block_on(Simulation::new(&config, Draw::Typical, options)).expect("a graph");
        let took = simulation.run().expect("both runs finish").up.took;
        let text = render(&simulation.fresh_plan(), &context(false), &Style::plain(140));
        assert!(text.contains(&format!("On AWS typically {}: ", about(took))), "{took:?} and {text}");
        for link in
            ["primary/db_cluster/main 45s", "primary/db_instance/main 6m 40s", "secondary/db_instance/main 10m 00s"]
        {
            assert!(text.contains(link), "{link} in {text}");
        }
    }

    #[test]
    fn what_was_read_and_has_failed_is_told_from_what_could_not_be_read() {
        let of = |at: &str, code: &str| Item {
            failure: Some(Failure { code: Some(code.to_owned()), ..refused() }),
            ..item(at, Action::Unknown)
        };
        let failed =
            Item { live: Some(live(Phase::Failed("failed".to_owned()))), ..of("primary/db_cluster/main", "Failed") };
        let text = render(&plan(vec![of("primary/vpc/main", "Denied"), failed]), &context(false), &Style::plain(100));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("1 resource could not be read ? 1 resource (primary/vpc/main)"), "{text}");
        let broken = "1 resource that drctl cannot repair automatically ? 1 resource (primary/db_cluster/main)";
        assert!(words.contains(broken), "{text}");
    }
}
