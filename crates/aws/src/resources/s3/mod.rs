//! Amazon S3: buckets, and what is copied between them.

mod bucket;
mod contents;
mod lifecycle;
mod replication;
mod stake;

pub use bucket::Bucket;
pub use replication::{RULE_ID, Replication};

use aws_sdk_s3::types::{Tag, Tagging};
use aws_smithy_types::error::operation::BuildError;
use serde_json::Value;

use super::{Class, Context, Failure, Live};
use crate::TagMap;
use drctl_engine::TAGS;

/// Tags as S3 takes them.
fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| incomplete(&e))
}

/// Sets tags on a bucket. S3 takes all of them at once and forgets those that are not among them, so the others, which were
/// just read, are sent along. See docs/aws-behaviour.md#bucket-tags-are-replaced.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let all = Tagging::builder().set_tag_set(Some(tags(&merged(live, wanted))?)).build().map_err(|e| incomplete(&e))?;
    let call = cx
        .clients()
        .s3
        .put_bucket_tagging()
        .bucket(&live.id)
        .expected_bucket_owner(&cx.scope.account)
        .tagging(all)
        .send();
    cx.mutate("s3", "PutBucketTagging", call).await.map(drop)
}

fn merged(live: &Live, wanted: &TagMap) -> TagMap {
    let held = live.properties.get(TAGS).and_then(Value::as_object).into_iter().flatten();
    let mut all: TagMap = held.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    all.extend(wanted.clone());
    all
}

/// Rules by their names, as a plan shows them where they are not what drctl writes.
fn listed<'a>(names: impl Iterator<Item = Option<&'a str>>) -> String {
    let names: Vec<&str> = names.map(|name| name.unwrap_or("without a name")).collect();
    format!("the rule{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

fn incomplete(error: &BuildError) -> Failure {
    Failure::new(Class::Internal, format!("a request that S3 does not take: {error}"))
}

/// What was never set is answered with an error of its own, which says nothing about the bucket.
async fn unless_unset<T>(code: &str, call: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Failure> {
    match call.await {
        Err(failure) if failure.code.as_deref() == Some(code) => Ok(None),
        answer => answer.map(Some),
    }
}

/// What a refusal to look at a bucket means. Names are the whole world's: one that may not be looked at, and that is not
/// among the account's own, is somebody else's. Every call names the account that it expects to own the bucket, so that a
/// name that changed hands is refused as well.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>.
/// See docs/aws-behaviour.md#bucket-names-are-global.
async fn explained(cx: &Context, name: &str, failure: Failure) -> Failure {
    if !matches!(failure.code.as_deref(), Some("AccessDenied" | "PermanentRedirect")) {
        return failure;
    }
    let s3 = &cx.clients().s3;
    match cx.read("s3", "ListBuckets", || s3.list_buckets().prefix(name).send()).await {
        Ok(answer) if !answer.buckets().iter().any(|bucket| bucket.name() == Some(name)) => taken(name, failure),
        // It is the account's own, or that is not known: then the first refusal says what is missing.
        _ => failure,
    }
}

fn taken(name: &str, failure: Failure) -> Failure {
    Failure {
        class: Class::Foreign,
        message: format!("the bucket {name} belongs to another account"),
        help: Some(
            "The names of buckets are shared by all accounts. Choose another stack name or environment: the bucket is named \
             after them."
                .to_owned(),
        ),
        ..failure
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::{Owner, Phase};

    #[test]
    fn tags_of_others_are_sent_along() {
        let mut live = Live {
            id: "b".to_owned(),
            arn: None,
            phase: Phase::Ready,
            owner: Owner::Implied,
            properties: serde_json::Map::new(),
            outputs: std::collections::BTreeMap::new(),
            goes_after: Vec::new(),
        };
        let wanted = TagMap::from([("ours".to_owned(), "new".to_owned())]);
        assert_eq!(merged(&live, &wanted), wanted);
        live.properties.insert(TAGS.to_owned(), json!({ "ours": "old", "theirs": "t" }));
        let both = TagMap::from([("ours".to_owned(), "new".to_owned()), ("theirs".to_owned(), "t".to_owned())]);
        assert_eq!(merged(&live, &wanted), both);
    }
}
