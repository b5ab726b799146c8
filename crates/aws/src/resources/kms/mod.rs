//! AWS Key Management Service: keys, and the names they go by.

mod alias;
mod key;

pub use alias::Alias;
pub use key::Key;

use std::sync::Arc;

use aws_sdk_kms::types::{KeyMetadata, Tag};

use super::{Class, Context, Failure};
use crate::TagMap;

/// A key with its tags, whatever its state.
struct Tagged {
    key: KeyMetadata,
    tags: TagMap,
}

/// Tags as KMS takes them.
pub(super) fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that KMS does not take: {e}")))
}

/// The key that the stack's own alias leads to: the only one found without knowing its id or asking every key.
async fn named(cx: &Context) -> Result<Arc<Option<Tagged>>, Failure> {
    cx.shared("kms_named", move || async move { find(cx, &stack_alias(cx)).await }).await
}

fn stack_alias(cx: &Context) -> String {
    format!("alias/{}", cx.scope.name())
}

/// By a key's id or an alias's name. An alias is described by no call of its own, and `ListAliases` returns those of the
/// whole account.
async fn find(cx: &Context, id_or_alias: &str) -> Result<Option<Tagged>, Failure> {
    let Some(key) = describe(cx, id_or_alias).await? else { return Ok(None) };
    let tags = tags_of(cx, key.key_id()).await?;
    Ok(Some(Tagged { key, tags }))
}

async fn describe(cx: &Context, id_or_alias: &str) -> Result<Option<KeyMetadata>, Failure> {
    let kms = &cx.clients().kms;
    match cx.read("kms", "DescribeKey", || kms.describe_key().key_id(id_or_alias).send()).await {
        Ok(answer) => Ok(answer.key_metadata),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn tags_of(cx: &Context, id: &str) -> Result<TagMap, Failure> {
    let kms = &cx.clients().kms;
    let tags = cx
        .pages("kms", "ListResourceTags", || kms.list_resource_tags().key_id(id).into_paginator().items().send())
        .await?;
    Ok(tags.iter().map(|tag| (tag.tag_key().to_owned(), tag.tag_value().to_owned())).collect())
}
