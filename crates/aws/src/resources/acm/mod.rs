//! AWS Certificate Manager.

mod certificate;

pub use certificate::Certificate;

use aws_sdk_acm::types::Tag;

use super::{Class, Context, Failure, Live};
use crate::TagMap;

/// Tags as ACM takes them.
fn tags(tags: &TagMap) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::new(Class::Internal, format!("tags that ACM does not take: {e}")))
}

/// Sets tags on a certificate; others are left alone.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let call =
        cx.clients().acm.add_tags_to_certificate().certificate_arn(&live.id).set_tags(Some(tags(wanted)?)).send();
    cx.mutate("acm", "AddTagsToCertificate", call).await.map(drop)
}
