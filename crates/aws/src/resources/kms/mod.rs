//! AWS Key Management Service: keys and their aliases.

mod alias;
mod key;
mod users;

pub use alias::Alias;
pub use key::Key;

use std::sync::Arc;

use aws_sdk_kms::types::{KeyMetadata, KeyState, Tag};

use super::{Class, Context, Failure};
use crate::TagMap;

/// A key in any state, with its tags.
struct Tagged {
    key: KeyMetadata,
    tags: TagMap,
}

/// Tags in the form that KMS takes.
pub(super) fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that KMS does not accept: {e}")))
}

/// The key of the stack's own alias: the only one that can be found without its id, or without reading every key.
async fn named(cx: &Context) -> Result<Arc<Option<Tagged>>, Failure> {
    cx.shared("kms_named", move || async move { find(cx, &stack_alias(cx)).await }).await
}

fn stack_alias(cx: &Context) -> String {
    format!("alias/{}", cx.scope.name())
}

/// Finds a key by its id or by the name of an alias. No call describes a single alias, and `ListAliases` returns those of the
/// whole account.
async fn find(cx: &Context, id_or_alias: &str) -> Result<Option<Tagged>, Failure> {
    let Some(key) = describe(cx, id_or_alias).await? else { return Ok(None) };
    let tags = tags_of(cx, key.key_id()).await?;
    Ok(Some(Tagged { key, tags }))
}

/// Why the key with this ARN cannot be used, and what to do about it: it is disabled, or scheduled for deletion. `None` if it
/// can.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn unusable(cx: &Context, arn: &str) -> Result<Option<(&'static str, String)>, Failure> {
    let state = match describe(cx, arn).await? {
        Some(key) if !arn.is_empty() => key.key_state,
        _ => return Ok(None),
    };
    let command = |operation: &str| format!("`aws kms {operation} --key-id {arn} --region {}`", cx.region);
    Ok(match state {
        Some(KeyState::Disabled) => Some(("disabled", command("enable-key"))),
        Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => Some((
            "scheduled for deletion",
            format!("{} and {}", command("cancel-key-deletion"), command("enable-key")),
        )),
        _ => None,
    })
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
