//! Amazon `CloudWatch`: alarms and dashboards.
//!
//! `DescribeAlarms` and `GetDashboard` tell no tags, and to ask for them would cost a call for each of some forty alarms in
//! every run. So whose they are also stands in a text that comes with them anyway: the description of an alarm, a text
//! widget of a dashboard. That mark is what ownership is judged by; the tags are set on creation, for the account's own
//! books, and not compared. Those that the configuration adds leave their sum in the mark, so that it shows when they change.
//! See docs/aws-behaviour.md#alarms-tell-no-tags.

mod alarm;
mod dashboard;

pub use alarm::{Alarm, Query};
pub use dashboard::Dashboard;

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::types::Tag;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Change, Context, Failure, Live};
use crate::{ENVIRONMENT, NODE, STACK, TagMap};
use drctl_engine::state::Address;

/// What an alarm's description or a dashboard's text has to hold, so that drctl knows it again, and sees when the tags that the
/// configuration adds have changed.
#[must_use]
pub fn mark(stack: &str, environment: &str, node: &Address, added: &TagMap) -> String {
    let mark = format!("{STACK}={stack} {ENVIRONMENT}={environment} {NODE}={node}");
    if added.is_empty() {
        return mark;
    }
    let sum = hex::encode(Sha256::digest(json!(added).to_string()));
    format!("{mark} drctl:tags={}", &sum[..8])
}

/// The tags that a mark somewhere in a text stands for; none without one.
fn marked(text: &str) -> TagMap {
    text.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter(|(key, _)| [STACK, ENVIRONMENT, NODE].contains(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Tags as `CloudWatch` takes them.
fn tags(tags: &TagMap) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Sets tags; others are left alone.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let arn = live.arn.as_deref().unwrap_or_default();
    let call = cx.clients().cloudwatch.tag_resource().resource_arn(arn).set_tags(Some(tags(wanted))).send();
    cx.mutate("cloudwatch", "TagResource", call).await.map(drop)
}

/// Whether a change is about the mark: what is adopted has none, and other added tags leave another sum in it.
pub(super) fn is_marked_anew(changes: &[Change]) -> bool {
    let words = |value: &Value| {
        let text = value.as_str().map_or_else(|| dashboard::texts(value), str::to_owned);
        let words = text.split_whitespace().filter(|word| word.starts_with("drctl:"));
        words.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    changes.iter().any(|change| words(&change.old) != words(&change.new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;
    use crate::resources::Owner;
    use drctl_engine::state::Role;

    #[test]
    fn tags_are_set_when_the_mark_says_so_and_only_then() {
        let node = Address::new(Role::Primary, "alarm", "lambda-errors");
        let added = |value: &str| TagMap::from([("CostCenter".to_owned(), value.to_owned())]);
        let described = |says: &str, tags: &TagMap| json!(format!("{says}\n{}", mark("pay", "prod", &node, tags)));
        let drawn = |text: &Value| json!({"widgets": [{"properties": {"markdown": text}}]});
        let change = |old: Value, new: Value| {
            let property = "description".to_owned();
            [Change { property, old, new, forces_replacement: None }]
        };
        let (none, one, other) = (TagMap::new(), added("1"), added("2"));
        for (old, new, anew) in [
            (json!("made by hand"), described("a", &none), true),
            (described("a", &none), described("a", &one), true),
            (described("a", &one), described("a", &other), true),
            (described("a", &one), described("b", &one), false),
            (json!(3), json!(5), false),
        ] {
            assert_eq!(is_marked_anew(&change(old.clone(), new.clone())), anew, "{old} {new}");
            if old.is_string() {
                assert_eq!(is_marked_anew(&change(drawn(&old), drawn(&new))), anew, "{old} {new}");
            }
        }
    }

    #[test]
    fn what_bears_the_mark_is_ours_and_what_lost_it_is_nobodys() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "123456789012".into() };
        let node = Address::new(Role::Primary, "alarm", "lambda-errors");
        let text = format!("Executions fail: a=b, drctl:other=x.\n\n{}", mark("pay", "prod", &node, &TagMap::new()));
        assert_eq!(scope.owner(&marked(&text)), Owner::Ours { node: Some(node.clone()), attempt: None });
        assert_eq!(scope.owner(&marked("Executions fail.")), Owner::Untagged);
        let theirs = mark("pay", "test", &node, &TagMap::new());
        assert_eq!(scope.owner(&marked(&theirs)), Owner::Foreign("stack pay, environment test".into()));
    }
}
