//! Amazon S3: buckets, and the replication between them.

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

/// Tags in the form that S3 takes.
fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| incomplete(&e))
}

/// Sets tags on a bucket. The call replaces all tags of the bucket, so the others, which were just read, are sent with them.
/// See docs/aws-behaviour.md#bucket-tags-are-replaced.
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

/// Rules by their names, as a plan shows them if they are not drctl's.
fn listed<'a>(names: impl Iterator<Item = Option<&'a str>>) -> String {
    let names: Vec<&str> = names.map(|name| name.unwrap_or("without a name")).collect();
    format!("the rule{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

fn incomplete(error: &BuildError) -> Failure {
    Failure::new(Class::Internal, format!("a request that S3 does not accept: {error}"))
}

/// `None` if a setting was never set: S3 answers with an error of its own then.
async fn unless_unset<T>(code: &str, call: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Failure> {
    match call.await {
        Err(failure) if failure.code.as_deref() == Some(code) => Ok(None),
        answer => answer.map(Some),
    }
}

/// What a refusal to describe a bucket means. Bucket names are global: a bucket that cannot be described, and is not among the
/// account's own, belongs to another account. Every call names the account that it expects to own the bucket, so that S3 also
/// refuses a name that has passed to another account.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>.
/// See docs/aws-behaviour.md#bucket-names-are-global.
async fn explained(cx: &Context, name: &str, failure: Failure) -> Failure {
    if !matches!(failure.code.as_deref(), Some("AccessDenied" | "PermanentRedirect")) {
        return failure;
    }
    let s3 = &cx.clients().s3;
    match cx.read("s3", "ListBuckets", || s3.list_buckets().prefix(name).send()).await {
        Ok(answer) if !answer.buckets().iter().any(|bucket| bucket.name() == Some(name)) => taken(name, failure),
        // It is the account's own, or its owner is unknown: then the first refusal says what is missing.
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
    fn the_tags_of_others_are_sent_as_well() {
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
