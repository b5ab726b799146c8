//! AWS Certificate Manager.

mod certificate;

pub use certificate::Certificate;

use aws_sdk_acm::types::Tag;

use super::{Class, Context, Failure, Live};
use crate::TagMap;

/// Tags in the form of the SDK.
fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that ACM does not accept: {e}")))
}

/// Sets tags on a certificate, and leaves its other tags alone.
pub(super) async fn tag(cx: &Context, live: &Live, desired: &TagMap) -> Result<(), Failure> {
    let call =
        cx.clients().acm.add_tags_to_certificate().certificate_arn(&live.id).set_tags(Some(tags(desired)?)).send();
    cx.mutate("acm", "AddTagsToCertificate", call).await.map(drop)
}
