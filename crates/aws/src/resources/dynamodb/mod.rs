//! Amazon DynamoDB: a global table (version 2019.11.21, eventually consistent) in one Region, with a replica in another.

mod observe;
mod replica;
mod settings;
mod stake;
mod table;

pub use replica::Replica;
pub use table::Table;

use aws_sdk_dynamodb::types::{TableDescription, Tag};
use aws_smithy_types::error::operation::BuildError;

use super::{Class, Context, Failure, Live};
use crate::TagMap;

/// Tags in the form that DynamoDB takes.
fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that DynamoDB does not accept: {e}")))
}

/// Sets tags on a table and on its replica, to which DynamoDB does not copy them. All others are left alone.
/// See docs/aws-behaviour.md#replica-settings-are-regional.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let replica = replica::region_of(live);
    let places: Vec<Context> = std::iter::once(cx.clone()).chain(replica.map(|region| cx.at(region))).collect();
    for cx in &places {
        let call = cx.clients().dynamodb.tag_resource().resource_arn(arn(cx, &live.id));
        cx.mutate("dynamodb", "TagResource", call.set_tags(Some(tags(wanted)?)).send()).await?;
    }
    Ok(())
}

/// The ARN of a table, which differs between Regions only in the Region.
fn arn(cx: &Context, table: &str) -> String {
    format!("arn:aws:dynamodb:{}:{}:table/{table}", cx.region, cx.scope.account)
}

async fn describe(cx: &Context, table: &str) -> Result<Option<TableDescription>, Failure> {
    let dynamodb = &cx.clients().dynamodb;
    match cx.read("dynamodb", "DescribeTable", || dynamodb.describe_table().table_name(table).send()).await {
        Ok(answer) => Ok(answer.table),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The tags of a table that exists: for any other, DynamoDB reports that access is denied.
/// See docs/aws-behaviour.md#missing-table-tags-are-denied.
async fn tags_of(cx: &Context, table: &str) -> Result<TagMap, Failure> {
    let dynamodb = &cx.clients().dynamodb;
    let arn = arn(cx, table);
    let mut tags = TagMap::new();
    let mut page: Option<String> = None;
    loop {
        let call = || dynamodb.list_tags_of_resource().resource_arn(&arn).set_next_token(page.clone()).send();
        let answer = cx.read("dynamodb", "ListTagsOfResource", call).await?;
        tags.extend(answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())));
        page = answer.next_token;
        if page.is_none() {
            return Ok(tags);
        }
    }
}

/// A request that the SDK refuses because a field is missing, which is a defect of drctl.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn malformed(error: BuildError) -> Failure {
    Failure::new(Class::Internal, format!("a request that DynamoDB does not accept: {error}"))
}
