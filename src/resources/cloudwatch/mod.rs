//! Amazon `CloudWatch`: alarms and dashboards.
//!
//! `DescribeAlarms` and `GetDashboard` tell no tags, and to ask for them would cost a call for each of some forty alarms in
//! every run. So whose they are also stands in a text that comes with them anyway: the description of an alarm, a text
//! widget of a dashboard. That mark is what ownership is judged by; the tags are set on creation, for the account's own
//! books, and not compared.

mod alarm;
mod dashboard;

pub use alarm::{Alarm, Query};
pub use dashboard::Dashboard;

use aws_sdk_cloudwatch::types::Tag;

use super::{Context, Failure, Live, Owner, Synced};
use crate::aws::{ENVIRONMENT, NODE, STACK, TagMap};
use crate::state::Address;

/// What an alarm's description or a dashboard's text has to hold, so that drctl knows it again.
#[must_use]
pub fn mark(stack: &str, environment: &str, node: &Address) -> String {
    format!("{STACK}={stack} {ENVIRONMENT}={environment} {NODE}={node}")
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

/// Tags what does not bear the stack's mark yet, as what was adopted: tags in a `Put` count on creation only.
async fn tag_adopted(cx: &Context, live: &Live, text: &str) -> Result<Synced, Failure> {
    let mut synced = Synced::default();
    if !matches!(live.owner, Owner::Ours { .. }) {
        synced.unless_unsupported("tags", tag(cx, live, &marked(text)).await)?;
    }
    Ok(synced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Scope;
    use crate::state::Role;

    #[test]
    fn what_bears_the_mark_is_ours_and_what_lost_it_is_nobodys() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "123456789012".into() };
        let node = Address::new(Role::Primary, "alarm", "lambda-errors");
        let text = format!("Executions fail: a=b, drctl:other=x.\n\n{}", mark("pay", "prod", &node));
        assert_eq!(scope.owner(&marked(&text)), Owner::Ours { node: Some(node.clone()), attempt: None });
        assert_eq!(scope.owner(&marked("Executions fail.")), Owner::Untagged);
        let theirs = mark("pay", "test", &node);
        assert_eq!(scope.owner(&marked(&theirs)), Owner::Foreign("stack pay, environment test".into()));
    }
}
