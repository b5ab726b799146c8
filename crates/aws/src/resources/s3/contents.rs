//! The contents of a bucket, which have to be deleted before the bucket. See docs/aws-behaviour.md#bucket-must-be-empty.

use aws_sdk_s3::types::{Delete, Error as Kept, ObjectIdentifier, ObjectLockRetentionMode};

use super::{incomplete, unless_unset};
use crate::resources::{Class, Context, Failure};

/// Versions and delete markers that one call deletes: the most that S3 accepts, and the most that it lists.
const BATCH: i32 = 1000;

/// Batches per round, each of which takes about a second: a signal does not have to wait for long.
const BATCHES: usize = 10;

/// Uploads aborted per round, each with a call of its own.
const UPLOADS: i32 = 100;

/// Refuses a bucket whose objects S3 does not let anyone delete, before the first of them is deleted. See
/// docs/aws-behaviour.md#object-lock-keeps-objects.
pub(super) async fn refuse_if_locked(cx: &Context, bucket: &str) -> Result<(), Failure> {
    let s3 = &cx.clients().s3;
    let account = &cx.scope.account;
    let call = cx.read("s3", "GetObjectLockConfiguration", || {
        s3.get_object_lock_configuration().bucket(bucket).expected_bucket_owner(account).send()
    });
    let mode = unless_unset("ObjectLockConfigurationNotFoundError", call)
        .await?
        .and_then(|answer| answer.object_lock_configuration)
        .and_then(|configuration| configuration.rule)
        .and_then(|rule| rule.default_retention)
        .and_then(|retention| retention.mode);
    mode.map_or(Ok(()), |mode| Err(locked(bucket, &mode)))
}

fn locked(bucket: &str, mode: &ObjectLockRetentionMode) -> Failure {
    let failure = Failure::new(
        Class::Refused,
        format!("{bucket} holds its objects under Object Lock in {mode} mode, and nothing was deleted"),
    );
    match mode {
        ObjectLockRetentionMode::Governance => failure.help(
            "Delete its objects by hand with s3:BypassGovernanceRetention and remove its default retention, then run \
             the same command again.",
        ),
        _ => failure.help(
            "They cannot be deleted before their retention period ends, not even by AWS Support. To keep the bucket, \
             remove it from the state with `drctl state rm ADDRESS`, with its address.",
        ),
    }
}

/// Deletes the objects of one round. Returns whether the bucket is empty.
pub(super) async fn emptied(cx: &Context, bucket: &str) -> Result<bool, Failure> {
    for _ in 0..BATCHES {
        let objects = listed(cx, bucket).await?;
        if objects.is_empty() {
            return abort_uploads(cx, bucket).await;
        }
        delete(cx, bucket, objects).await?;
    }
    Ok(false)
}

/// The first versions and delete markers: those that were listed before have been deleted.
async fn listed(cx: &Context, bucket: &str) -> Result<Vec<ObjectIdentifier>, Failure> {
    let s3 = &cx.clients().s3;
    let account = &cx.scope.account;
    let answer = cx
        .read("s3", "ListObjectVersions", || {
            s3.list_object_versions().bucket(bucket).expected_bucket_owner(account).max_keys(BATCH).send()
        })
        .await?;
    let versions = answer.versions.unwrap_or_default().into_iter().map(|version| (version.key, version.version_id));
    let markers = answer.delete_markers.unwrap_or_default().into_iter().map(|marker| (marker.key, marker.version_id));
    versions
        .chain(markers)
        .map(|(key, version)| ObjectIdentifier::builder().set_key(key).set_version_id(version).build())
        .collect::<Result<_, _>>()
        .map_err(|e| incomplete(&e))
}

async fn delete(cx: &Context, bucket: &str, objects: Vec<ObjectIdentifier>) -> Result<(), Failure> {
    let objects = Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(|e| incomplete(&e))?;
    let call =
        cx.clients().s3.delete_objects().bucket(bucket).expected_bucket_owner(&cx.scope.account).delete(objects).send();
    let answer = cx.mutate("s3", "DeleteObjects", call).await?;
    kept(answer.errors()).map_or(Ok(()), Err)
}

/// The failure if some objects were not deleted, which S3 reports within a successful answer.
fn kept(errors: &[Kept]) -> Option<Failure> {
    let is_gone = |error: &Kept| matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion"));
    let passes = |error: &Kept| matches!(error.code(), Some("InternalError" | "SlowDown" | "ServiceUnavailable"));
    let kept: Vec<&Kept> = errors.iter().filter(|error| !is_gone(error)).collect();
    // One object that will be refused again matters more than any number of others.
    let error = *kept.iter().find(|error| !passes(error)).or(kept.first())?;
    let class = if passes(error) { Class::Transient } else { Class::Refused };
    let said = error.message().unwrap_or("no reason given").trim_end_matches('.');
    let message = format!("{} of its objects stay, among them {}: {said}", kept.len(), error.key().unwrap_or_default());
    let failure = Failure { code: error.code().map(str::to_owned), ..Failure::new(class, message) };
    Some(match error.code() {
        Some("AccessDenied") => failure.help(
            "Either the credentials lack s3:DeleteObjectVersion, or the objects are under Object Lock: those can be deleted once \
             their retention is over and their legal hold is lifted.",
        ),
        _ => failure,
    })
}

/// Aborts the multipart uploads of one round. Returns whether none is left. An upload that was never completed is billed, and no
/// listing of objects shows it.
async fn abort_uploads(cx: &Context, bucket: &str) -> Result<bool, Failure> {
    let s3 = &cx.clients().s3;
    let account = &cx.scope.account;
    let answer = cx
        .read("s3", "ListMultipartUploads", || {
            s3.list_multipart_uploads().bucket(bucket).expected_bucket_owner(account).max_uploads(UPLOADS).send()
        })
        .await?;
    for upload in answer.uploads() {
        let call = s3
            .abort_multipart_upload()
            .bucket(bucket)
            .expected_bucket_owner(account)
            .set_key(upload.key.clone())
            .set_upload_id(upload.upload_id.clone())
            .send();
        match cx.mutate("s3", "AbortMultipartUpload", call).await {
            // Completed or aborted since.
            Err(failure) if failure.class == Class::NotFound => {}
            aborted => aborted.map(drop)?,
        }
    }
    Ok(answer.is_truncated() != Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Kept {
        Kept::builder().key("receipts/1").code(code).message("Said so.").build()
    }

    #[test]
    fn an_object_that_is_already_deleted_is_not_a_failure() {
        assert_eq!(kept(&[]), None);
        assert_eq!(kept(&[error("NoSuchVersion"), error("NoSuchKey")]), None);
    }

    #[test]
    fn one_refusal_that_stays_outweighs_all_that_may_pass() {
        let passing = kept(&[error("SlowDown"), error("NoSuchKey")]).expect("one stays");
        assert_eq!((passing.class, passing.code.as_deref()), (Class::Transient, Some("SlowDown")));
        let refused = kept(&[error("SlowDown"), error("AccessDenied")]).expect("two stay");
        assert_eq!((refused.class, refused.code.as_deref()), (Class::Refused, Some("AccessDenied")));
        assert_eq!(refused.message, "2 of its objects stay, among them receipts/1: Said so");
        assert!(refused.help.is_some());
    }

    #[test]
    fn a_locked_bucket_is_named_with_its_mode() {
        for mode in [ObjectLockRetentionMode::Compliance, ObjectLockRetentionMode::Governance] {
            let failure = locked("b", &mode);
            assert_eq!(failure.class, Class::Refused);
            assert!(failure.message.contains(mode.as_str()), "{failure}");
            assert!(failure.help.is_some());
        }
    }
}
