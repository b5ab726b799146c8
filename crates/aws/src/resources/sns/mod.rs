//! Amazon SNS: the topics that alarms are published to.

mod subscription;
mod topic;

pub use subscription::Subscription;
pub use topic::Topic;

use aws_sdk_sns::types::Tag;

use super::{Class, Context, Failure, Live};
use crate::TagMap;

/// Tags in the form of the SDK.
fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that SNS does not accept: {e}")))
}

/// Sets tags on a topic, and leaves its other tags alone.
pub(super) async fn tag(cx: &Context, live: &Live, desired: &TagMap) -> Result<(), Failure> {
    let arn = live.arn.as_deref().unwrap_or_default();
    let call = cx.clients().sns.tag_resource().resource_arn(arn).set_tags(Some(tags(desired)?)).send();
    cx.mutate("sns", "TagResource", call).await.map(drop)
}
