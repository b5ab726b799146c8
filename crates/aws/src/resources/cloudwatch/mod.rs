//! Amazon `CloudWatch`: alarms and dashboards.
//!
//! `DescribeAlarms` and `GetDashboard` do not return tags, and reading them would cost a call for each of some forty alarms in
//! every run. So a text that is returned anyway also says who owns the resource: the description of an alarm, or a text widget of a
//! dashboard. Ownership is decided by that mark. The tags are set on creation, for the account's own accounting, and are not
//! compared. The mark contains a checksum of the tags that the configuration adds, so that a change of them shows. See
//! docs/aws-behaviour.md#alarms-tell-no-tags.

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

/// The mark in an alarm's description or a dashboard's text by which drctl recognises the resource, and sees that the tags that the
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

/// The tags that the mark in a text stands for; none if the text has no mark.
fn marked(text: &str) -> TagMap {
    text.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter(|(key, _)| [STACK, ENVIRONMENT, NODE].contains(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Tags in the form of the SDK.
fn tags(tags: &TagMap) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Sets tags, and leaves others alone.
pub(super) async fn tag(cx: &Context, live: &Live, desired: &TagMap) -> Result<(), Failure> {
    let arn = live.arn.as_deref().unwrap_or_default();
    let call = cx.clients().cloudwatch.tag_resource().resource_arn(arn).set_tags(Some(tags(desired))).send();
    cx.mutate("cloudwatch", "TagResource", call).await.map(drop)
}

/// Whether one of the changes is about the mark: an adopted resource has none, and other added tags change the checksum in it.
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
    fn tags_are_set_if_and_only_if_the_mark_changes() {
        let node = Address::new(Role::Primary, "alarm", "lambda-errors");
        let added = |value: &str| TagMap::from([("CostCenter".to_owned(), value.to_owned())]);
        let described = |text: &str, tags: &TagMap| json!(format!("{text}\n{}", mark("pay", "prod", &node, tags)));
        let drawn = |text: &Value| json!({"widgets": [{"properties": {"markdown": text}}]});
        let change = |old: Value, new: Value| {
            let property = "description".to_owned();
            [Change { property, old, new, forces_replacement: None }]
        };
        let (none, one, other) = (TagMap::new(), added("1"), added("2"));
        for (old, new, differs) in [
            (json!("created by hand"), described("a", &none), true),
            (described("a", &none), described("a", &one), true),
            (described("a", &one), described("a", &other), true),
            (described("a", &one), described("b", &one), false),
            (json!(3), json!(5), false),
        ] {
            assert_eq!(is_marked_anew(&change(old.clone(), new.clone())), differs, "{old} {new}");
            if old.is_string() {
                assert_eq!(is_marked_anew(&change(drawn(&old), drawn(&new))), differs, "{old} {new}");
            }
        }
    }

    #[test]
    fn a_text_with_the_mark_is_ours_and_one_without_it_is_untagged() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "123456789012".into() };
        let node = Address::new(Role::Primary, "alarm", "lambda-errors");
        let text = format!("Executions fail: a=b, drctl:other=x.\n\n{}", mark("pay", "prod", &node, &TagMap::new()));
        assert_eq!(scope.owner(&marked(&text)), Owner::Ours { node: Some(node.clone()), attempt: None });
        assert_eq!(scope.owner(&marked("Executions fail.")), Owner::Untagged);
        let theirs = mark("pay", "test", &node, &TagMap::new());
        assert_eq!(scope.owner(&marked(&theirs)), Owner::Foreign("stack pay, environment test".into()));
    }
}
