//! Amazon SNS: where alarms go.

mod subscription;
mod topic;

pub use subscription::Subscription;
pub use topic::Topic;

use aws_sdk_sns::types::Tag;

use super::{Class, Context, Failure, Live};
use crate::TagMap;

/// Tags as SNS takes them.
fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that SNS does not take: {e}")))
}

/// Sets tags on a topic; others are left alone.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let arn = live.arn.as_deref().unwrap_or_default();
    let call = cx.clients().sns.tag_resource().resource_arn(arn).set_tags(Some(tags(wanted)?)).send();
    cx.mutate("sns", "TagResource", call).await.map(drop)
}
