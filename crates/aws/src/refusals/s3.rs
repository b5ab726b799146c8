//! Refusals of Amazon S3.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // The name is taken by this account, and reading the bucket shows its owner; or by another account.
    // See docs/aws-behaviour.md#bucket-names-are-global.
    ("s3", "CreateBucket", "BucketAlreadyOwnedByYou", "", Class::Exists),
    ("s3", "CreateBucket", "BucketAlreadyExists", "", Class::Foreign),
    // Versioning that was switched on a moment ago, on either bucket. S3 also has the second text for a destination that is not
    // visible yet. See docs/aws-behaviour.md#versioning-seen-late.
    ("s3", "PutBucketReplication", "InvalidRequest", "Versioning must be 'Enabled' on the bucket", Class::Transient),
    (
        "s3",
        "PutBucketReplication",
        "InvalidRequest",
        "Destination bucket must have versioning enabled",
        Class::Transient,
    ),
    // Something was written after the bucket was emptied; it is emptied again.
    // See docs/aws-behaviour.md#bucket-must-be-empty.
    ("s3", "DeleteBucket", "BucketNotEmpty", "", Class::Transient),
    // A role in a policy that was created a moment ago. See docs/aws-behaviour.md#principal-not-visible-yet.
    ("s3", "PutBucketPolicy", "MalformedPolicy", "Invalid principal in policy", Class::Transient),
    // A bucket that was created a moment ago. See docs/aws-behaviour.md#new-bucket-not-visible-yet.
    ("s3", "PutBucketVersioning", "NoSuchBucket", "", Class::Transient),
    ("s3", "PutBucketEncryption", "NoSuchBucket", "", Class::Transient),
    ("s3", "PutPublicAccessBlock", "NoSuchBucket", "", Class::Transient),
    ("s3", "PutBucketOwnershipControls", "NoSuchBucket", "", Class::Transient),
    ("s3", "PutBucketPolicy", "NoSuchBucket", "", Class::Transient),
    ("s3", "PutBucketLifecycleConfiguration", "NoSuchBucket", "", Class::Transient),
    ("s3", "PutBucketTagging", "NoSuchBucket", "", Class::Transient),
    ("s3", "PutBucketReplication", "NoSuchBucket", "", Class::Transient),
    ("s3", "", "NoSuchBucket", "", Class::NotFound),
    ("s3", "", "NoSuchUpload", "", Class::NotFound),
    // The request did not arrive completely, and was not carried out: 400, not 5xx.
    // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
    // See docs/aws-behaviour.md#request-timeout-is-a-400.
    ("s3", "", "RequestTimeout", "", Class::Transient),
];
