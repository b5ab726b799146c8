//! Amazon Route 53: the name that clients use, and the health checks that decide which Region answers.
//!
//! It is one service for the whole account, without Regions: its resources are assigned to the Region of its control plane.

mod health_check;
mod hosted_zone;
mod record;
mod record_set;
mod reference;

pub use health_check::HealthCheck;
pub use hosted_zone::HostedZone;
pub use record::{Alias, Record};
pub use record_set::{excludes, record_id};

use std::collections::BTreeMap;

use aws_sdk_route53::types::{Tag, TagResourceType};

use super::{Attempt, Class, Context, Failure, Live, Owner, goes_on, is_about_permission, readable};
use crate::TagMap;

/// Marks a reference to the name of a host, or to the id of the hosted zone in which AWS keeps that name.
pub enum HostName {}

/// A name in the form in which names are compared: in lower case, without the dot at the end, and without Route 53's codes for
/// characters. For `*.example.com`, Route 53 answers `\052.example.com.`.
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html>.
/// See docs/aws-behaviour.md#names-come-back-escaped.
#[must_use]
pub fn plain_name(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4);
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()).filter(u8::is_ascii_graphic) {
            // A dot within a label does not separate labels.
            Some(byte) if byte != b'.' && byte != b'\\' => {
                plain.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            _ => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    plain.make_ascii_lowercase();
    plain
}

/// The id without a prefix: answers prefix the id of a zone with `/hostedzone/`.
fn bare(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(_, id)| id)
}

/// A resource that an attempt is known to have created, by its token: it is the stack's even if it was never tagged.
fn found_by(mut live: Live, attempt: &Attempt) -> Live {
    if live.owner == Owner::Untagged {
        live.owner = Owner::Ours { node: None, attempt: Some(attempt.token.clone()) };
    }
    live
}

/// Sets tags on a hosted zone or a health check, and leaves its other tags alone.
pub(super) async fn tag(cx: &Context, live: &Live, desired: &TagMap) -> Result<(), Failure> {
    let is_zone = live.arn.as_deref().is_some_and(|arn| arn.contains(":hostedzone/"));
    let kind = if is_zone { TagResourceType::Hostedzone } else { TagResourceType::Healthcheck };
    let tags: Vec<Tag> = desired.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let route53 = &cx.clients().route53;
    // Ten at most: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeTagsForResource.html
    for some in tags.chunks(10) {
        let call = route53.change_tags_for_resource().resource_type(kind.clone()).resource_id(&live.id);
        cx.mutate("route53", "ChangeTagsForResource", call.set_add_tags(Some(some.to_vec())).send()).await?;
    }
    Ok(())
}

/// The tags of several resources, by id. Resources that no longer exist are left out.
async fn tags_of(cx: &Context, kind: &TagResourceType, ids: &[String]) -> Result<BTreeMap<String, TagMap>, Failure> {
    let mut tags = BTreeMap::new();
    let mut one_by_one = Vec::new();
    // Ten at most: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListTagsForResources.html
    'all: for ids in ids.chunks(10) {
        let together = match ids {
            [_] => None,
            _ => tags_together(cx, kind, ids).await?,
        };
        if let Some(together) = together {
            tags.extend(together);
            continue;
        }
        for id in ids {
            let found = tags_of_one(cx, kind, id).await;
            one_by_one.push(found.map(|found| found.map(|found| (id.clone(), found))));
            if !goes_on(one_by_one.last()) {
                break 'all;
            }
        }
    }
    tags.extend(readable(one_by_one)?);
    Ok(tags)
}

/// `None` if they have to be read one by one: one of the resources no longer exists or may not be read, or the endpoint does not
/// know the operation.
async fn tags_together(
    cx: &Context,
    kind: &TagResourceType,
    ids: &[String],
) -> Result<Option<BTreeMap<String, TagMap>>, Failure> {
    let route53 = &cx.clients().route53;
    let call =
        || route53.list_tags_for_resources().resource_type(kind.clone()).set_resource_ids(Some(ids.to_vec())).send();
    match cx.read("route53", "ListTagsForResources", call).await {
        Ok(answer) => {
            let sets = answer.resource_tag_sets().iter();
            Ok(Some(sets.filter_map(|set| Some((set.resource_id()?.to_owned(), tag_map(set.tags())))).collect()))
        }
        Err(failure) if matches!(failure.class, Class::NotFound | Class::Unsupported) => Ok(None),
        Err(failure) if is_about_permission(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `None` if the resource does not exist.
async fn tags_of_one(cx: &Context, kind: &TagResourceType, id: &str) -> Result<Option<TagMap>, Failure> {
    let route53 = &cx.clients().route53;
    let call = || route53.list_tags_for_resource().resource_type(kind.clone()).resource_id(id).send();
    match cx.read("route53", "ListTagsForResource", call).await {
        Ok(answer) => Ok(answer.resource_tag_set().map(|set| tag_map(set.tags()))),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Tags as Route 53 returns them. It leaves out a value that is empty.
fn tag_map(tags: &[Tag]) -> TagMap {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_one_form() {
        for (written, plain) in [
            ("API.Example.COM.", "api.example.com"),
            ("\\052.example.com.", "*.example.com"),
            ("a\\100b.example.com", "a@b.example.com"),
            // A dot within a label, a space, and backslashes that do not begin a code.
            ("a\\056b.example.com.", "a\\056b.example.com"),
            ("a\\040b.example.com", "a\\040b.example.com"),
            ("a\\0.example.com", "a\\0.example.com"),
            ("a\\", "a\\"),
            ("a\\9é", "a\\9é"),
            ("", ""),
        ] {
            assert_eq!(plain_name(written), plain, "{written}");
            assert_eq!(plain_name(plain), plain, "{written} twice");
        }
    }

    #[test]
    fn ids_come_with_and_without_a_prefix() {
        assert_eq!(bare("/hostedzone/Z1"), "Z1");
        assert_eq!(bare("Z1"), "Z1");
    }
}
