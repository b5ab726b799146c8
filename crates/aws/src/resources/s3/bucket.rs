//! `s3_bucket`: a bucket in one Region.

use std::time::Duration;

use aws_sdk_s3::types::{
    BlockedEncryptionTypes, BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    EncryptionType, ObjectOwnership, OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    VersioningConfiguration,
};
use aws_smithy_types::error::operation::BuildError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lifecycle::Days;
use super::stake::stake;
use super::{contents, explained, incomplete, tags, taken, unless_unset};
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::kms::Key;
use crate::resources::permissions::{ANY, BUCKET, Grant, later, on};
use crate::resources::{
    AlsoDeleted, Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Readable, Ref, Resource,
    Synced, Tagging, TypeInfo, Weight, changed, live, policy, read_named,
};

/// A bucket in one Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name, unique among the buckets of all accounts. Immutable: forces replacement.
    pub name: String,
    /// Whether an object that is overwritten or deleted is kept as a noncurrent version. In-place.
    pub versioned: bool,
    /// The key that encrypts new objects. In-place.
    pub kms_key: Ref<Arn<Key>>,
    /// Whether the bucket has a key of its own, derived from that one, which saves most calls to KMS. In-place.
    pub bucket_key: bool,
    /// Whether all four settings that block public access are on; if one is off, it is `false`. In-place.
    pub public_access_blocked: bool,
    /// Who owns the objects that others upload, in S3's words: with `BucketOwnerEnforced` it is the bucket's owner, and ACLs are
    /// off. In-place.
    pub ownership: String,
    /// Its policy, in addition to those of the account's identities; in canonical form (see [`policy`]). `null` for none.
    /// In-place.
    pub policy: Value,
    /// After how many days noncurrent versions, and delete markers without any version, are deleted; 0 for never. In-place.
    pub noncurrent_days: i32,
    /// After how many days a multipart upload that was not completed is aborted; 0 for never. In-place.
    pub incomplete_upload_days: i32,
}

impl Resource for Bucket {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a bucket cannot be renamed")],
        idempotent_create: true,
        // A name can stay taken for a while after its bucket's deletion. See docs/aws-behaviour.md#bucket-name-stays-taken.
        patience: Duration::from_mins(10),
        holds_data: true,
        ..TypeInfo::usual("s3_bucket")
    };
    const SERVICE: &'static str = "s3";
    const LATENCIES: &'static [Latencies] = &[
        // "S3 bucket + config calls"; "empty".
        Latencies::of(
            8,
            Latency::of_steps(
                [2.0, 5.0, 60.0],
                &[step("CreateBucket", 1, 1.5, 0.0), step("PutBucketVersioning", 7, 0.5, 0.0)],
            ),
            Latency::of_steps([1.0, 2.0, 10.0], &[step("DeleteBucket", 1, 2.0, 0.0)]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(
            BUCKET,
            "s3",
            "CreateBucket GetBucketOwnershipControls GetBucketPolicy GetBucketPublicAccessBlock GetBucketTagging \
                 GetBucketVersioning GetEncryptionConfiguration GetLifecycleConfiguration PutBucketOwnershipControls \
                 PutBucketPolicy PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning \
                 PutEncryptionConfiguration PutLifecycleConfiguration TagResource",
        ),
        on(ANY, "s3", "ListAllMyBuckets"),
        later(
            BUCKET,
            "s3",
            "DeleteBucket DeleteBucketPolicy GetBucketObjectLockConfiguration ListBucketMultipartUploads \
                 ListBucketVersions",
        ),
        later(&["arn:aws:s3:::{own}/*"], "s3", "AbortMultipartUpload DeleteObject DeleteObjectVersion"),
    ];
    const TAGGING: Tagging = Tagging::S3;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Empty: `ListBuckets` returns only names, and the name is known.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    /// Finds them by name, which contains the Region: every Region lists the buckets of all Regions.
    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let s3 = &cx.clients().s3;
        let prefix = format!("{}-{}-", cx.scope.name(), cx.region);
        let buckets =
            cx.pages("s3", "ListBuckets", || s3.list_buckets().prefix(&prefix).into_paginator().items().send()).await?;
        let names = buckets.into_iter().filter_map(|bucket| bucket.name).filter(|name| name.starts_with(&prefix));
        read_named::<Self>(cx, names.collect()).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        match observed(cx, id).await {
            Ok(live) => Ok(Some(live)),
            Err(failure) => Err(explained(cx, id, failure).await),
        }
    }

    /// With its tags, which needs the permission `s3:TagResource`. S3 answers a repeated call with `BucketAlreadyOwnedByYou`; in
    /// us-east-1, where there are no tags, with success.
    /// See docs/aws-behaviour.md#bucket-names-are-global.
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let mut configuration = CreateBucketConfiguration::builder().set_tags(Some(tags(&creation.tags)?));
        // Every Region has to be named except us-east-1, which refuses its own name.
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketConfiguration.html
        // See docs/aws-behaviour.md#location-constraint.
        if &*cx.region != "us-east-1" {
            configuration = configuration.location_constraint(BucketLocationConstraint::from(&*cx.region));
        }
        let call = cx
            .clients()
            .s3
            .create_bucket()
            .bucket(&self.name)
            .create_bucket_configuration(configuration.build())
            .object_ownership(ObjectOwnership::from(self.ownership.as_str()))
            .send();
        match cx.mutate("s3", "CreateBucket", call).await {
            Err(failure) if failure.code.as_deref() == Some("BucketAlreadyExists") => Err(taken(&self.name, failure)),
            answer => answer.map(|_| self.name.clone()),
        }
    }

    /// The calls are made one after the other: S3 refuses two at once. See docs/aws-behaviour.md#bucket-operation-aborted.
    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let s3 = &cx.clients().s3;
        let (id, account) = (&live.id, &cx.scope.account);
        if changed(changes, "versioned") {
            let call = s3.put_bucket_versioning().bucket(id).expected_bucket_owner(account);
            let call = call.versioning_configuration(self.versioning()).send();
            cx.mutate("s3", "PutBucketVersioning", call).await?;
        }
        if changed(changes, "kms_key") || changed(changes, "bucket_key") {
            let encryption = self.encryption().map_err(|e| incomplete(&e))?;
            let call = s3.put_bucket_encryption().bucket(id).expected_bucket_owner(account);
            let call = call.server_side_encryption_configuration(encryption).send();
            cx.mutate("s3", "PutBucketEncryption", call).await?;
        }
        if changed(changes, "public_access_blocked") {
            let call = s3.put_public_access_block().bucket(id).expected_bucket_owner(account);
            let call = call.public_access_block_configuration(block(self.public_access_blocked)).send();
            cx.mutate("s3", "PutPublicAccessBlock", call).await?;
        }
        if changed(changes, "ownership") {
            let controls = self.ownership_controls().map_err(|e| incomplete(&e))?;
            let call = s3.put_bucket_ownership_controls().bucket(id).expected_bucket_owner(account);
            let call = call.ownership_controls(controls).send();
            cx.mutate("s3", "PutBucketOwnershipControls", call).await?;
        }
        if changed(changes, "policy") {
            if self.policy.is_null() {
                let call = s3.delete_bucket_policy().bucket(id).expected_bucket_owner(account).send();
                cx.mutate("s3", "DeleteBucketPolicy", call).await?;
            } else {
                let call = s3.put_bucket_policy().bucket(id).expected_bucket_owner(account);
                let call = call.policy(self.policy.to_string()).send();
                cx.mutate("s3", "PutBucketPolicy", call).await?;
            }
        }
        if changed(changes, "noncurrent_days") || changed(changes, "incomplete_upload_days") {
            let days = Days { noncurrent: self.noncurrent_days, incomplete_upload: self.incomplete_upload_days };
            if let Some(configuration) = days.configuration().map_err(|e| incomplete(&e))? {
                let call = s3.put_bucket_lifecycle_configuration().bucket(id).expected_bucket_owner(account);
                let call = call.lifecycle_configuration(configuration).send();
                cx.mutate("s3", "PutBucketLifecycleConfiguration", call).await?;
            } else {
                let call = s3.delete_bucket_lifecycle().bucket(id).expected_bucket_owner(account).send();
                cx.mutate("s3", "DeleteBucketLifecycle", call).await?;
            }
        }
        Ok(Synced::default())
    }

    /// S3 deletes only an empty bucket, so everything in it is lost. See docs/aws-behaviour.md#bucket-must-be-empty.
    async fn weigh(cx: &Context, live: &Live, _: &AlsoDeleted) -> Result<Weight, Failure> {
        Ok(Weight { stake: stake(cx, live).await?, ..Weight::default() })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        if !cx.disposal.empty_buckets
            && let Some(stake) = stake(cx, live).await?
        {
            return Err(Failure::new(Class::Refused, format!("{} is not empty: {stake}", live.id))
                .help("To delete its contents as well, run the same command with `--empty-buckets`."));
        }
        contents::refuse_if_locked(cx, &live.id).await?;
        if !contents::emptied(cx, &live.id).await? {
            return Ok(Deletion::NotYet("the rest of its objects to be deleted".to_owned()));
        }
        let call = cx.clients().s3.delete_bucket().bucket(&live.id).expected_bucket_owner(&cx.scope.account).send();
        match cx.mutate("s3", "DeleteBucket", call).await {
            Err(failure) if failure.code.as_deref() == Some("BucketNotEmpty") => Err(failure.help(
                "Something still writes to it: an application, or replication from another bucket. Stop that, then run the same \
                 command again.",
            )),
            answer => answer.map(|_| Deletion::Requested),
        }
    }
}

impl Bucket {
    fn versioning(&self) -> VersioningConfiguration {
        // Once it has been enabled, versioning can only be suspended.
        // See docs/aws-behaviour.md#versioning-cannot-be-switched-off.
        let status = if self.versioned { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
        VersioningConfiguration::builder().status(status).build()
    }

    /// The call replaces all encryption settings, so it sends what has been AWS's default since April 2026, too: no uploads with
    /// a key that the caller provides, to which neither the key's policy nor replication applies.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html>.
    /// See docs/aws-behaviour.md#encryption-call-sets-blocked-types.
    fn encryption(&self) -> Result<ServerSideEncryptionConfiguration, BuildError> {
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::AwsKms)
            .kms_master_key_id(self.kms_key.value())
            .build()?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .bucket_key_enabled(self.bucket_key)
            .blocked_encryption_types(BlockedEncryptionTypes::builder().encryption_type(EncryptionType::SseC).build())
            .build();
        ServerSideEncryptionConfiguration::builder().rules(rule).build()
    }

    fn ownership_controls(&self) -> Result<OwnershipControls, BuildError> {
        let ownership = ObjectOwnership::from(self.ownership.as_str());
        let rule = OwnershipControlsRule::builder().object_ownership(ownership).build()?;
        OwnershipControls::builder().rules(rule).build()
    }
}

fn block(on: bool) -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(on)
        .ignore_public_acls(on)
        .block_public_policy(on)
        .restrict_public_buckets(on)
        .build()
}

/// S3 has a call for each property of a bucket, and none for several. All of them show whether the bucket exists.
async fn observed(cx: &Context, name: &str) -> Result<Live, Failure> {
    let s3 = &cx.clients().s3;
    let account = &cx.scope.account;
    let (versioning, encryption, access, ownership, document, lifecycle, tagging) = tokio::try_join!(
        cx.read("s3", "GetBucketVersioning", || {
            s3.get_bucket_versioning().bucket(name).expected_bucket_owner(account).send()
        }),
        unless_unset(
            "ServerSideEncryptionConfigurationNotFoundError",
            cx.read("s3", "GetBucketEncryption", || {
                s3.get_bucket_encryption().bucket(name).expected_bucket_owner(account).send()
            })
        ),
        unless_unset(
            "NoSuchPublicAccessBlockConfiguration",
            cx.read("s3", "GetPublicAccessBlock", || {
                s3.get_public_access_block().bucket(name).expected_bucket_owner(account).send()
            })
        ),
        unless_unset(
            "OwnershipControlsNotFoundError",
            cx.read("s3", "GetBucketOwnershipControls", || {
                s3.get_bucket_ownership_controls().bucket(name).expected_bucket_owner(account).send()
            })
        ),
        unless_unset(
            "NoSuchBucketPolicy",
            cx.read("s3", "GetBucketPolicy", || {
                s3.get_bucket_policy().bucket(name).expected_bucket_owner(account).send()
            })
        ),
        unless_unset(
            "NoSuchLifecycleConfiguration",
            cx.read("s3", "GetBucketLifecycleConfiguration", || {
                s3.get_bucket_lifecycle_configuration().bucket(name).expected_bucket_owner(account).send()
            })
        ),
        unless_unset(
            "NoSuchTagSet",
            cx.read("s3", "GetBucketTagging", || {
                s3.get_bucket_tagging().bucket(name).expected_bucket_owner(account).send()
            })
        ),
    )?;
    let rule = encryption
        .and_then(|answer| answer.server_side_encryption_configuration)
        .and_then(|configuration| configuration.rules.into_iter().next());
    let ownership =
        ownership.and_then(|answer| answer.ownership_controls).and_then(|controls| controls.rules.into_iter().next());
    let (days, foreign_rules) = match lifecycle.map_or(Ok(Days::default()), |answer| Days::of(answer.rules())) {
        Ok(days) => (days, None),
        Err(rules) => (Days::default(), Some(rules)),
    };
    // S3 refuses to describe what was never set, and leaves out what is off: nothing that is missing here is unknown.
    let properties = Bucket {
        name: name.to_owned(),
        versioned: versioning.status == Some(BucketVersioningStatus::Enabled),
        kms_key: Ref::known(rule.as_ref().and_then(key_of).unwrap_or_default()),
        bucket_key: rule.as_ref().and_then(ServerSideEncryptionRule::bucket_key_enabled).unwrap_or_default(),
        public_access_blocked: access
            .and_then(|answer| answer.public_access_block_configuration)
            .is_some_and(|configuration| configuration == block(true)),
        ownership: ownership.map(|rule| rule.object_ownership.as_str().to_owned()).unwrap_or_default(),
        policy: document
            .and_then(|answer| answer.policy)
            .map_or(Ok(Value::Null), |document| policy::parse(&document))?,
        noncurrent_days: days.noncurrent,
        incomplete_upload_days: days.incomplete_upload,
    };
    let tags = tagging.map(|answer| answer.tag_set).unwrap_or_default();
    let tags: TagMap = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let mut found = live(&cx.scope, name, Phase::Ready, &Readable::complete(properties), Some(tags));
    if let Some(rules) = foreign_rules {
        for property in ["noncurrent_days", "incomplete_upload_days"] {
            found.properties.insert(property.to_owned(), rules.as_str().into());
        }
    }
    Ok(found.with_arn(format!("arn:aws:s3:::{name}")))
}

/// The customer's key with which a rule encrypts; `None` for any other encryption.
fn key_of(rule: &ServerSideEncryptionRule) -> Option<&str> {
    let default = rule.apply_server_side_encryption_by_default()?;
    if *default.sse_algorithm() == ServerSideEncryption::AwsKms { default.kms_master_key_id() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/k";

    fn bucket() -> Bucket {
        Bucket {
            name: "b".to_owned(),
            versioned: true,
            kms_key: Ref::known(KEY),
            bucket_key: true,
            public_access_blocked: true,
            ownership: "BucketOwnerEnforced".to_owned(),
            policy: Value::Null,
            noncurrent_days: 30,
            incomplete_upload_days: 7,
        }
    }

    #[test]
    fn the_key_that_is_written_is_read_and_other_encryptions_have_none() {
        let mut rule = bucket().encryption().expect("complete").rules.remove(0);
        assert_eq!((key_of(&rule), rule.bucket_key_enabled()), (Some(KEY), Some(true)));
        let amazons = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256).build();
        rule.apply_server_side_encryption_by_default = Some(amazons.expect("complete"));
        assert_eq!(key_of(&rule), None);
    }

    #[test]
    fn the_encryption_that_is_written_blocks_keys_that_callers_provide() {
        let rule = bucket().encryption().expect("complete").rules.remove(0);
        let blocked = rule.blocked_encryption_types().map(BlockedEncryptionTypes::encryption_type);
        assert_eq!(blocked, Some(&[EncryptionType::SseC][..]));
    }

    #[test]
    fn public_access_is_blocked_only_by_all_four_settings() {
        let mut three = block(true);
        three.restrict_public_buckets = Some(false);
        assert_ne!(three, block(true));
        three.restrict_public_buckets = None;
        assert_ne!(three, block(true));
    }

    #[test]
    fn versioning_is_suspended_and_never_switched_off() {
        assert_eq!(bucket().versioning().status(), Some(&BucketVersioningStatus::Enabled));
        let unversioned = Bucket { versioned: false, ..bucket() };
        assert_eq!(unversioned.versioning().status(), Some(&BucketVersioningStatus::Suspended));
    }
}
