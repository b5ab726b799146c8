//! The contents of a bucket, as a user is asked about them.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;

use crate::resources::stake::{count, size};
use crate::resources::{Class, Context, Failure, Live};

/// How many versions are counted: one page, which takes one call, regardless of the size of the bucket.
const PAGE: i32 = 1000;

/// What was counted in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    /// Versions of objects, including noncurrent ones.
    pub(super) versions: u64,
    /// Delete markers.
    pub(super) markers: u64,
    /// The size of the versions.
    pub(super) bytes: u64,
    /// Whether there is more.
    pub(super) capped: bool,
}

/// The contents of a bucket: every version of every object is deleted with it. `None` if it is empty.
///
/// # Errors
/// What the call's answer means.
pub(super) async fn stake(cx: &Context, live: &Live) -> Result<Option<String>, Failure> {
    let s3 = &cx.clients().s3;
    let account = &cx.scope.account;
    let call = cx.read("s3", "ListObjectVersions", || {
        s3.list_object_versions().bucket(&live.id).expected_bucket_owner(account).max_keys(PAGE).send()
    });
    match call.await {
        Ok(answer) => Ok(Counted::of(&answer).in_words()),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

impl Counted {
    fn of(answer: &ListObjectVersionsOutput) -> Self {
        let sizes = answer.versions().iter().map(|version| version.size().unwrap_or_default());
        Self {
            versions: answer.versions().len() as u64,
            markers: answer.delete_markers().len() as u64,
            bytes: sizes.map(|size| u64::try_from(size).unwrap_or_default()).sum(),
            capped: answer.is_truncated() == Some(true),
        }
    }

    fn in_words(self) -> Option<String> {
        let Self { versions, markers, bytes, capped } = self;
        let more = if capped { "more than " } else { "" };
        Some(match (versions, markers) {
            (0, 0) => return None,
            (0, _) => format!("{more}{}, and no object", count(markers, "delete marker")),
            (_, 0) => format!("{more}{}, {more}{}", count(versions, "object version"), size(bytes)),
            _ => format!(
                "{more}{}, {more}{}, and {more}{}",
                count(versions, "object version"),
                size(bytes),
                count(markers, "delete marker")
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

    use super::*;

    fn listing(sizes: &[i64], markers: usize, truncated: bool) -> ListObjectVersionsOutput {
        let versions = sizes.iter().map(|size| ObjectVersion::builder().size(*size).build()).collect();
        ListObjectVersionsOutput::builder()
            .set_versions(Some(versions))
            .set_delete_markers(Some(vec![DeleteMarkerEntry::builder().build(); markers]))
            .is_truncated(truncated)
            .build()
    }

    #[test]
    fn a_bucket_is_described_by_everything_that_is_deleted_with_it() {
        let said = |sizes: &[i64], markers, truncated| Counted::of(&listing(sizes, markers, truncated)).in_words();
        assert_eq!(said(&[], 0, false), None);
        assert_eq!(said(&[500, 700], 0, false).as_deref(), Some("2 object versions, 1.2 kB"));
        assert_eq!(said(&[500], 1, false).as_deref(), Some("1 object version, 500 bytes, and 1 delete marker"));
        assert_eq!(said(&[], 2, false).as_deref(), Some("2 delete markers, and no object"));
        let capped = "more than 1,000 object versions, more than 1.0 kB";
        assert_eq!(said(&[1; 1000], 0, true).as_deref(), Some(capped));
    }
}
