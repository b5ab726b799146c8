//! The only lifecycle that drctl writes to a bucket: it removes what is no longer needed, and does nothing else.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration,
};
use aws_smithy_types::error::operation::BuildError;

use super::listed;

/// After how many days noncurrent versions and incomplete uploads are removed; 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Days {
    pub(super) noncurrent: i32,
    pub(super) incomplete_upload: i32,
}

impl Days {
    /// The one rule that does it; `None` if there is nothing to do. It also deletes the delete markers that remain without any
    /// noncurrent version, which would slow down every listing for good.
    pub(super) fn configuration(self) -> Result<Option<BucketLifecycleConfiguration>, BuildError> {
        if self == Self::default() {
            return Ok(None);
        }
        let mut rule = LifecycleRule::builder()
            .id("clear-away")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("").build());
        if self.noncurrent > 0 {
            rule = rule
                .noncurrent_version_expiration(
                    NoncurrentVersionExpiration::builder().noncurrent_days(self.noncurrent).build(),
                )
                .expiration(LifecycleExpiration::builder().expired_object_delete_marker(true).build());
        }
        if self.incomplete_upload > 0 {
            rule = rule.abort_incomplete_multipart_upload(
                AbortIncompleteMultipartUpload::builder().days_after_initiation(self.incomplete_upload).build(),
            );
        }
        BucketLifecycleConfiguration::builder().rules(rule.build()?).build().map(Some)
    }

    /// The days after which some rules remove things.
    ///
    /// # Errors
    /// The names of the rules if they do anything else, to be shown in place of both numbers: a plan that overwrites a
    /// rule that was added by hand names it.
    pub(super) fn of(rules: &[LifecycleRule]) -> Result<Self, String> {
        let in_force: Vec<&LifecycleRule> =
            rules.iter().filter(|rule| *rule.status() == ExpirationStatus::Enabled).collect();
        let known = match in_force.as_slice() {
            [] => Some(Self::default()),
            [rule] => Self::of_rule(rule),
            _ => None,
        };
        known.ok_or_else(|| listed(in_force.iter().map(|rule| rule.id())))
    }

    fn of_rule(rule: &LifecycleRule) -> Option<Self> {
        let noncurrent = rule.noncurrent_version_expiration();
        let expiration = rule.expiration();
        let does_more = !rule.transitions().is_empty()
            || !rule.noncurrent_version_transitions().is_empty()
            || noncurrent.is_some_and(|expiration| expiration.newer_noncurrent_versions().is_some())
            || expiration.is_some_and(|expiration| expiration.days().is_some() || expiration.date().is_some());
        let clears_markers = expiration.and_then(LifecycleExpiration::expired_object_delete_marker) == Some(true);
        let is_for_all = rule.filter().is_some_and(is_everything);
        if does_more || !is_for_all || clears_markers != noncurrent.is_some() {
            return None;
        }
        let incomplete = rule.abort_incomplete_multipart_upload();
        // What a rule leaves out, it does not do.
        Some(Self {
            noncurrent: noncurrent.and_then(NoncurrentVersionExpiration::noncurrent_days).unwrap_or_default(),
            incomplete_upload: incomplete
                .and_then(AbortIncompleteMultipartUpload::days_after_initiation)
                .unwrap_or_default(),
        })
    }
}

/// Whether a filter is the one that drctl writes, an empty prefix. A filter that the SDK does not know reads as one without any
/// prefix.
fn is_everything(filter: &LifecycleRuleFilter) -> bool {
    filter.prefix() == Some("")
        && filter.tag().is_none()
        && filter.and().is_none()
        && filter.object_size_greater_than().is_none()
        && filter.object_size_less_than().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(noncurrent: i32, incomplete_upload: i32) -> Vec<LifecycleRule> {
        let days = Days { noncurrent, incomplete_upload };
        let configuration = days.configuration().expect("a complete rule");
        configuration.map(|configuration| configuration.rules).unwrap_or_default()
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for (noncurrent, incomplete_upload) in [(30, 7), (30, 0), (0, 7), (0, 0)] {
            let days = Days { noncurrent, incomplete_upload };
            assert_eq!(Days::of(&rules(noncurrent, incomplete_upload)), Ok(days));
        }
        assert!(rules(0, 0).is_empty());
    }

    #[test]
    fn a_rule_that_does_anything_else_is_named() {
        let ours = rules(30, 7).remove(0);
        let mut expires = ours.clone();
        expires.expiration = Some(LifecycleExpiration::builder().days(1).build());
        let mut narrow = ours.clone();
        narrow.filter = Some(LifecycleRuleFilter::builder().prefix("logs/").build());
        let mut keeps_some = ours.clone();
        keeps_some.noncurrent_version_expiration =
            Some(NoncurrentVersionExpiration::builder().noncurrent_days(30).newer_noncurrent_versions(5).build());
        let mut unknown = ours.clone();
        unknown.filter = Some(LifecycleRuleFilter::builder().build());
        for other in [&expires, &narrow, &keeps_some, &unknown] {
            let mut other = other.clone();
            other.id = Some("theirs".to_owned());
            assert_eq!(Days::of(std::slice::from_ref(&other)), Err("the rule theirs".to_owned()));
            assert_eq!(Days::of(&[ours.clone(), other]), Err("the rules clear-away, theirs".to_owned()));
        }
    }

    #[test]
    fn a_rule_that_is_switched_off_does_not_count() {
        let ours = rules(30, 7).remove(0);
        let mut off = ours.clone();
        off.status = ExpirationStatus::Disabled;
        assert_eq!(Days::of(std::slice::from_ref(&off)), Ok(Days::default()));
        assert_eq!(Days::of(&[off, ours]), Ok(Days { noncurrent: 30, incomplete_upload: 7 }));
    }
}
