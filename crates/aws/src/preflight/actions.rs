//! The permissions that each type of resource needs to be read, created, changed and deleted. Each type declares them
//! ([`Resource::PERMISSIONS`](crate::resources::Resource::PERMISSIONS)): for the check before the first call, for the documentation,
//! and for a policy.
//!
//! Names follow the service authorization reference:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::collections::BTreeSet;

use crate::resources::permissions::Grant;
use crate::resources::{TYPES, TypeEntry, entry};

/// The permissions that a type of resource needs.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// The type's name in addresses.
    pub kind: &'static str,
    /// Its actions, with the resources on which AWS checks them.
    pub(super) grants: &'static [Grant],
}

impl Needs {
    fn of(entry: &TypeEntry) -> Self {
        Self { kind: entry.traits.kind, grants: entry.permissions }
    }

    /// The actions as they are written in policies, each once.
    pub fn actions(&self) -> impl Iterator<Item = String> + use<> {
        let all: BTreeSet<String> = self.grants.iter().flat_map(Grant::actions).collect();
        all.into_iter()
    }
}

/// The permissions that every type needs.
pub fn needs() -> impl Iterator<Item = Needs> {
    TYPES.iter().map(Needs::of)
}

/// Needed by every command, to find out the caller and the zones.
pub const ALWAYS: &[&str] = &["sts:GetCallerIdentity", "ec2:DescribeAvailabilityZones"];

/// Needed by the checks before the first call, in addition to [`needs`]. Without one of them, its check is left out and reported
/// as unchecked.
pub const LOOKING: &[&str] = &[
    "ec2:DescribeRegions",
    "iam:GetAccountSummary",
    "iam:GetRole",
    "iam:SimulatePrincipalPolicy",
    "lambda:GetAccountSettings",
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBEngineVersions",
    "rds:DescribeOrderableDBInstanceOptions",
    "route53:GetHostedZone",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
];

/// Needed by `drctl orphans`, in addition to [`needs`]: `up` and `down` know the names that they look for.
pub const SWEEPING: &[&str] = &[
    "cloudwatch:ListDashboards",
    "dynamodb:ListTables",
    "iam:ListRoles",
    "lambda:ListFunctions",
    "secretsmanager:ListSecrets",
    "sns:ListTopics",
];

/// Needed once per account, for its first Aurora cluster, table replica and API domain. Not checked: it is not needed if the
/// service-linked roles exist.
pub const ONCE: &[&str] = &["iam:CreateServiceLinkedRole"];

/// Needed only to change the permissions boundary of an existing role. Not checked: if a company requires a boundary, users who
/// may create roles within it are usually not allowed to remove it, and do not have to.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-delegate>
pub const BOUNDING: &[&str] = &["iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"];

/// The permissions that a type needs; `None` for an unknown type.
#[must_use]
pub fn needs_of(kind: &str) -> Option<Needs> {
    entry(kind).map(Needs::of)
}

/// Operations whose permission has another name.
const RENAMED: &[(&str, &str, &str)] = &[
    ("s3", "DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("s3", "DeleteBucketReplication", "PutReplicationConfiguration"),
    ("s3", "DeleteObjects", "DeleteObjectVersion"),
    ("s3", "GetBucketEncryption", "GetEncryptionConfiguration"),
    ("s3", "GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
    ("s3", "GetBucketReplication", "GetReplicationConfiguration"),
    ("s3", "GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"),
    ("s3", "GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("s3", "HeadBucket", "ListBucket"),
    ("s3", "ListBuckets", "ListAllMyBuckets"),
    ("s3", "ListMultipartUploads", "ListBucketMultipartUploads"),
    ("s3", "ListObjectVersions", "ListBucketVersions"),
    ("s3", "PutBucketEncryption", "PutEncryptionConfiguration"),
    ("s3", "PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"),
    ("s3", "PutBucketReplication", "PutReplicationConfiguration"),
    ("s3", "PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("lambda", "Invoke", "InvokeFunction"),
];

/// The permission that a call needs, by the names of drctl's calls.
#[must_use]
pub fn permission(service: &str, operation: &str) -> String {
    if service == "apigateway" {
        let verb = match operation {
            _ if operation.starts_with("Get") => "GET",
            _ if operation.starts_with("Update") => "PATCH",
            _ if operation.starts_with("Delete") || operation == "UntagResource" => "DELETE",
            _ => "POST",
        };
        return format!("apigateway:{verb}");
    }
    let renamed = RENAMED.iter().find(|(of, old, _)| (*of, *old) == (service, operation));
    format!("{service}:{}", renamed.map_or(operation, |(_, _, new)| new))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::resources::kinds;

    #[test]
    fn every_type_has_its_row_and_no_other_has() {
        let types: BTreeSet<&str> = kinds().into_iter().collect();
        let rows: BTreeSet<&str> = needs().map(|needs| needs.kind).collect();
        assert_eq!(rows, types);
        assert_eq!(needs().count(), rows.len(), "a type has one row");
    }

    #[test]
    fn actions_are_written_as_iam_writes_them() {
        for action in needs().flat_map(|needs| Needs::actions(&needs)) {
            let (service, name) = action.split_once(':').expect("a service");
            assert!(service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{action}");
            assert!(name.starts_with(|first: char| first.is_ascii_uppercase()), "{action}");
            assert!(!name.contains('*') && (3..=128).contains(&action.len()), "{action}");
        }
    }

    #[test]
    fn permissions_do_not_always_have_the_names_of_operations() {
        assert_eq!(permission("ec2", "CreateVpc"), "ec2:CreateVpc");
        assert_eq!(permission("s3", "PutBucketEncryption"), "s3:PutEncryptionConfiguration");
        assert_eq!(permission("apigateway", "UpdateStage"), "apigateway:PATCH");
        assert_eq!(permission("apigateway", "TagResource"), "apigateway:POST");
    }
}
