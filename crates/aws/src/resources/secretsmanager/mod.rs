//! AWS Secrets Manager: secrets, and their replicas in the other Region.

mod password;
mod secret;

pub use secret::Secret;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::Tag;

use super::{Class, Context, Failure, Live};
use crate::TagMap;

/// Tags in the form that Secrets Manager takes.
fn tags(tags: &TagMap) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags from the form in which Secrets Manager returns them.
fn tag_map(tags: &[Tag]) -> TagMap {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// Sets tags on a secret, and leaves all others alone. Secrets Manager copies them to its replicas.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let call = cx.clients().secrets.tag_resource().secret_id(&live.id).set_tags(Some(tags(wanted))).send();
    cx.mutate("secretsmanager", "TagResource", call).await.map(drop)
}

/// The ARN of the same secret in another Region, where it is, or its replica: the two differ only in the Region. `None` if `arn`
/// is not an ARN. <https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html>
pub(super) fn arn_in(arn: &str, region: &str) -> Option<String> {
    let mut parts: Vec<&str> = arn.splitn(5, ':').collect();
    *parts.get_mut(3)? = region;
    Some(parts.join(":"))
}

/// Describes a secret, even one that is scheduled for deletion.
async fn describe(cx: &Context, name: &str) -> Result<Option<DescribeSecretOutput>, Failure> {
    let secrets = &cx.clients().secrets;
    match cx.read("secretsmanager", "DescribeSecret", || secrets.describe_secret().secret_id(name).send()).await {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}
