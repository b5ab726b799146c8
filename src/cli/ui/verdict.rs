//! The verdict: whether the stack, as it is now, would survive the loss of a Region.

use std::collections::BTreeSet;

use serde_json::Value;

use super::severity::{Severity, severity};
use super::status::{Health, health, state};
use super::text::{clean, plural};
use drctl_engine::{Item, Plan};

/// How many reasons are named. The rest are counted.
const NAMED: usize = 3;

/// The answer to the first question: is the standby ready?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The answer in JSON: `in_order`, `at_risk`, `not_ready`, `not_built`, `gone`, `unknown` or `not_configured`.
    pub key: &'static str,
    /// The answer in one or two words.
    word: &'static str,
    /// The reason for it.
    pub reason: String,
}

impl Verdict {
    /// The verdict on the resources of a plan. `has_failed` says whether earlier runs have failed to create or change some.
    #[must_use]
    pub fn of(plan: &Plan, has_failed: bool) -> Self {
        let all = plan.items.len();
        let count = |wanted: Health| plan.items.iter().filter(|item| health(item) == wanted).count();
        let verdict = |key, word, reason: String| Self { key, word, reason };
        if all == 0 {
            return verdict(
                "not_configured",
                "NOTHING TO PROTECT",
                "nothing is configured, and nothing is recorded".to_owned(),
            );
        }
        if count(Health::NotMade) == all && plan.items.iter().all(|item| !item.recorded) {
            let tried = if has_failed { "; the last attempt failed" } else { "" };
            let reason = format!("nothing has been created yet: {} to create{tried}", plural(all, "resource"));
            return verdict("not_built", "NOT BUILT", reason);
        }
        if let Some(reason) = deleted(plan).filter(|_| !has_failed) {
            return verdict("not_built", "NOT BUILT", reason);
        }
        if count(Health::Missing) > 0 && count(Health::Missing) + count(Health::NotMade) == all {
            let reason = format!(
                "none of the {} exists any more: the stack was deleted by other means, or its sandbox was stopped or reset",
                plural(count(Health::Missing), "recorded resource")
            );
            return verdict("gone", "NOT READY", reason);
        }
        let unread = unread(plan);
        let found: Vec<(Severity, &Item, &'static str)> =
            plan.items.iter().filter_map(|item| severity(item).map(|(severity, why)| (severity, item, why))).collect();
        let also = |reason: String| match &unread {
            Some(unread) => format!("{reason}; {unread}"),
            None => reason,
        };
        let worst = found.iter().map(|(severity, ..)| *severity).min();
        match (worst, &unread) {
            (Some(Severity::Critical), _) => verdict("not_ready", "NOT READY", also(named(&found, Severity::Critical))),
            (_, Some(unread)) => verdict("unknown", "UNKNOWN", unread.clone()),
            (Some(Severity::Major), None) => verdict("at_risk", "AT RISK", named(&found, Severity::Major)),
            (Some(Severity::Minor), None) => {
                let deviations = plural(found.len(), "minor deviation");
                verdict("in_order", "in order", format!("with {deviations}"))
            }
            (None, None) => verdict("in_order", "in order", format!("{} there and as configured", exist(all))),
        }
    }

    /// The verdict in one line: `DR: NOT READY – …`.
    #[must_use]
    pub fn line(&self) -> String {
        format!("DR: {} – {}", self.word, self.reason)
    }
}

/// What `down` does not delete, or not at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remnant {
    /// A key, which final snapshots need.
    Key,
    /// A resource that is scheduled for deletion.
    Scheduled,
}

impl Remnant {
    fn of(item: &Item) -> Option<Self> {
        let live = item.live.as_ref()?;
        if live.properties.get("pending_deletion") == Some(&Value::Bool(true)) {
            return Some(Self::Scheduled);
        }
        (item.recorded && item.address.kind() == "kms_key").then_some(Self::Key)
    }
}

/// What is left of a stack that `down` has deleted; `None` if anything else of it exists or is recorded.
fn deleted(plan: &Plan) -> Option<String> {
    let remnants: Vec<Remnant> = plan.items.iter().filter_map(Remnant::of).collect();
    let absent = plan.items.iter().filter(|item| health(item) == Health::NotMade && !item.recorded).count();
    if absent == 0 || absent + remnants.len() < plan.items.len() {
        return None;
    }
    let count = |wanted: Remnant| remnants.iter().filter(|remnant| **remnant == wanted).count();
    let mut parts = vec![format!("nothing is built: {} to create", plural(absent, "resource"))];
    let (keys, scheduled) = (count(Remnant::Key), count(Remnant::Scheduled));
    if keys > 0 {
        parts.push(format!("{} kept for final snapshots", plural(keys, "key")));
    }
    if scheduled > 0 {
        parts.push(format!("{} scheduled for deletion", plural(scheduled, "resource")));
    }
    Some(parts.join(", "))
}

fn exist(count: usize) -> String {
    if count == 1 { "1 resource is".to_owned() } else { format!("all {count} resources are") }
}

/// What the worst deviations mean. The same meaning is named once.
fn named(found: &[(Severity, &Item, &'static str)], worst: Severity) -> String {
    let mut reasons: Vec<(&'static str, Vec<&Item>)> = Vec::new();
    for (_, item, why) in found.iter().filter(|(severity, ..)| *severity == worst) {
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, items)) => items.push(item),
            None => reasons.push((why, vec![item])),
        }
    }
    let mut parts: Vec<String> = reasons
        .iter()
        .take(NAMED)
        .map(|(why, items)| match items.as_slice() {
            [one] => format!("{why} ({})", example(one)),
            [one, rest @ ..] => format!("{why} ({} and {} more)", example(one), rest.len()),
            [] => (*why).to_owned(),
        })
        .collect();
    if reasons.len() > NAMED {
        parts.push(plural(reasons.len() - NAMED, "more reason"));
    }
    parts.join("; ")
}

/// A resource, with the state in which it does not work.
fn example(item: &Item) -> String {
    match state(item) {
        Some(state) => format!("{}: {}", item.address, clean(state)),
        None => item.address.to_string(),
    }
}

/// What could not be read, and where.
fn unread(plan: &Plan) -> Option<String> {
    let unknown = plan.items.iter().filter(|item| health(item) == Health::Unknown);
    let silent = |item: &Item| item.failure.as_ref().and_then(|failure| failure.silent.clone());
    let (unanswered, others): (Vec<&Item>, Vec<&Item>) = unknown.partition(|item| silent(item).is_some());
    let joined = |names: BTreeSet<String>, with: &str| names.into_iter().collect::<Vec<_>>().join(with);
    let mut parts = Vec::new();
    if !unanswered.is_empty() {
        // Not always the Region that they are in: a table is read in that of its replica, too.
        let names = unanswered.iter().filter_map(|item| silent(item)).map(|who| clean(&who.to_string()));
        let who = joined(names.collect(), ", ");
        parts.push(format!("{} could not be read: {who} did not answer", plural(unanswered.len(), "resource")));
    }
    if !others.is_empty() {
        let regions = joined(others.iter().map(|item| clean(&item.region)).collect(), " and ");
        parts.push(format!("{} in {regions} could not be read", plural(others.len(), "resource")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::cli::ui::testing::{change, item, live, plan, refused};
    use drctl_engine::{Action, Failure, Phase};

    #[test]
    fn only_whoever_did_not_answer_is_blamed() {
        let silent = |at: &str| {
            let failure = Failure::silence(&"us-east-2".into(), Duration::from_secs(4));
            Item { failure: Some(failure), ..item(at, Action::Unknown) }
        };
        // A table of the primary Region, with a replica in the other one.
        let plan = plan(vec![silent("global/dynamodb_table/sessions"), silent("secondary/vpc/main")]);
        let line = Verdict::of(&plan, false).line();
        assert_eq!(line, "DR: UNKNOWN – 2 resources could not be read: us-east-2 did not answer");
    }

    fn missing(at: &str) -> Item {
        Item {
            recorded: true,
            reason: Some("it is recorded, and no longer in AWS".to_owned()),
            ..item(at, Action::Create)
        }
    }

    fn drifted(at: &str, property: &str) -> Item {
        let changes = vec![change(property, json!(1), json!(2))];
        Item { changes, live: Some(live(Phase::Ready)), ..item(at, Action::Update) }
    }

    fn unread(at: &str) -> Item {
        Item { failure: Some(refused()), ..item(at, Action::Unknown) }
    }

    #[test]
    fn the_verdict_is_as_bad_as_the_worst_deviation() {
        let good = || item("primary/vpc/main", Action::None);
        let cases = [
            (vec![], "not_configured", "DR: NOTHING TO PROTECT – nothing is configured, and nothing is recorded"),
            (vec![good()], "in_order", "DR: in order – 1 resource is there and as configured"),
            (vec![good(), good()], "in_order", "DR: in order – all 2 resources are there and as configured"),
            (
                vec![good(), drifted("primary/dashboard/main", "body")],
                "in_order",
                "DR: in order – with 1 minor deviation",
            ),
            (
                vec![good(), missing("primary/nat_gateway/a"), missing("primary/nat_gateway/b")],
                "at_risk",
                "DR: AT RISK – one zone has no route to the internet (primary/nat_gateway/a and 1 more)",
            ),
            (
                vec![good(), drifted("global/dynamodb_table/sessions", "replica"), missing("primary/nat_gateway/a")],
                "not_ready",
                "DR: NOT READY – the sessions table's replica in the other Region is missing or differs (global/dynamodb_table/sessions)",
            ),
            (
                vec![item("primary/vpc/main", Action::Create), item("primary/alarm/a", Action::Create)],
                "not_built",
                "DR: NOT BUILT – nothing has been created yet: 2 resources to create",
            ),
            (
                vec![missing("primary/vpc/main"), missing("primary/alarm/a"), item("primary/alarm/b", Action::Create)],
                "gone",
                "DR: NOT READY – none of the 2 recorded resources exists any more: the stack was deleted by other means, \
                 or its sandbox was stopped or reset",
            ),
            (
                vec![good(), unread("secondary/vpc/main"), missing("primary/nat_gateway/a")],
                "unknown",
                "DR: UNKNOWN – 1 resource in us-east-2 could not be read",
            ),
            (
                vec![unread("secondary/vpc/main"), missing("primary/db_instance/main")],
                "not_ready",
                "DR: NOT READY – the database of this Region does not answer (primary/db_instance/main); 1 resource in \
                 us-east-2 could not be read",
            ),
        ];
        for (items, key, line) in cases {
            let verdict = Verdict::of(&plan(items), false);
            assert_eq!((verdict.key, verdict.line().as_str()), (key, line));
        }
    }

    #[test]
    fn data_that_cannot_be_used_makes_a_stack_not_ready_whatever_else_is_the_matter() {
        let failed = |at: &str, phase: Phase| {
            let failure = matches!(phase, Phase::Failed(_) | Phase::Deleting(_)).then(refused);
            let action = if failure.is_some() { Action::Unknown } else { Action::Record };
            Item { live: Some(live(phase)), failure, ..item(at, action) }
        };
        let text = str::to_owned;
        let cases = [
            (
                failed("secondary/db_cluster/main", Phase::Failed(text("failed: AWS cannot recover it"))),
                "this Region has no working database (secondary/db_cluster/main: failed: AWS cannot recover it)",
            ),
            (
                failed("primary/db_instance/main", Phase::Failed(text("storage-full"))),
                "the database of this Region does not answer (primary/db_instance/main: storage-full)",
            ),
            (
                failed("global/dynamodb_table/sessions", Phase::Stalled(text("cut off from its key"))),
                "the sessions table is missing, or does not work in both Regions (global/dynamodb_table/sessions: cut off from \
                 its key)",
            ),
            (
                failed("primary/db_cluster/main", Phase::Deleting(text("deleting"))),
                "this Region has no working database (primary/db_cluster/main)",
            ),
        ];
        for (broken, reason) in cases {
            let (what, items) = (broken.address.to_string(), vec![item("primary/vpc/main", Action::None), broken]);
            let verdict = Verdict::of(&plan(items), false);
            assert_eq!((verdict.key, verdict.reason.as_str()), ("not_ready", reason), "{what}");
        }
        // One that comes or goes is another matter.
        let coming = failed("primary/db_cluster/main", Phase::Pending(text("modifying")));
        assert_eq!(Verdict::of(&plan(vec![item("primary/vpc/main", Action::None), coming]), false).key, "at_risk");
    }

    #[test]
    fn what_down_leaves_does_not_make_a_stack_built() {
        let key = |at: &str| Item { live: Some(live(Phase::Ready)), ..item(at, Action::None) };
        let mut scheduled = live(Phase::Ready);
        scheduled.properties.insert("pending_deletion".to_owned(), json!(true));
        let secret = Item { recorded: false, live: Some(scheduled), ..drifted("global/secret/database", "replica") };
        let left = || {
            let keys = [key("primary/kms_key/main"), key("secondary/kms_key/main")];
            keys.into_iter().chain([secret.clone(), item("primary/vpc/main", Action::Create)]).collect::<Vec<Item>>()
        };
        let verdict = Verdict::of(&plan(left()), false);
        assert_eq!(verdict.key, "not_built");
        assert_eq!(
            verdict.line(),
            "DR: NOT BUILT – nothing is built: 1 resource to create, 2 keys kept for final snapshots, 1 resource scheduled \
             for deletion"
        );
        // A run that failed, or one that was stopped, has left a stack that is half built.
        assert_eq!(Verdict::of(&plan(left()), true).key, "not_ready");
        let open = Item { recorded: true, ..item("primary/eip/a", Action::Create) };
        let unfinished = left().into_iter().chain([open]).collect();
        assert_eq!(Verdict::of(&plan(unfinished), false).key, "not_ready");
    }

    #[test]
    fn only_the_first_reasons_are_named() {
        let lost = ["db_instance", "dynamodb_table", "secret", "s3_bucket", "health_check"];
        let mut items: Vec<Item> = lost.iter().map(|kind| missing(&format!("primary/{kind}/x"))).collect();
        items.push(item("primary/vpc/main", Action::None));
        let verdict = Verdict::of(&plan(items), false);
        assert_eq!(verdict.reason.matches(';').count(), 3);
        assert!(verdict.reason.ends_with("; 2 more reasons"), "{}", verdict.reason);
    }
}
