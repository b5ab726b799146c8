//! AWS Identity and Access Management: global, with its control plane in us-east-1.

mod role;

pub use role::Role;

use aws_sdk_iam::types::Tag;

use super::{Class, Failure};
use crate::TagMap;

/// Tags in the form of the SDK.
pub(super) fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that IAM does not accept: {e}")))
}
