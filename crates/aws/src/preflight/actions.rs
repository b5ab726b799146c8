//! Which permissions each type of resource takes: to look at it, make it, change it and delete it. Each type says it of itself
//! ([`Resource::PERMISSIONS`](crate::resources::Resource::PERMISSIONS)): for the check before the first call, for the documentation,
//! and for a policy.
//!
//! Names follow the service authorization reference:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::collections::BTreeSet;

use crate::resources::permissions::Grant;
use crate::resources::{TYPES, TypeEntry, entry};

/// What a type of resource takes.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// The type's name in addresses.
    pub kind: &'static str,
    /// Its actions, with what AWS checks them on.
    pub(super) grants: &'static [Grant],
}

impl Needs {
    fn of(entry: &TypeEntry) -> Self {
        Self { kind: entry.traits.kind, grants: entry.permissions }
    }

    /// The actions, as policies write them, each once.
    pub fn actions(&self) -> impl Iterator<Item = String> + use<> {
        let all: BTreeSet<String> = self.grants.iter().flat_map(Grant::actions).collect();
        all.into_iter()
    }
}

/// What every type takes.
pub fn needs() -> impl Iterator<Item = Needs> {
    TYPES.iter().map(Needs::of)
}

/// Taken by every command: who calls, and where.
pub const ALWAYS: &[&str] = &["sts:GetCallerIdentity", "ec2:DescribeAvailabilityZones"];

/// Taken by the checks before the first call, besides what is in [`needs`]. Without one of them the check is left out, and
/// told so.
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

/// Taken by `drctl orphans`, besides what is in [`needs`]: `up` and `down` know the names of what they look for.
pub const SWEEPING: &[&str] = &[
    "cloudwatch:ListDashboards",
    "dynamodb:ListTables",
    "iam:ListRoles",
    "lambda:ListFunctions",
    "secretsmanager:ListSecrets",
    "sns:ListTopics",
];

/// Taken once per account, by the first Aurora cluster, table replica and API domain in it. Not checked: where the
/// service-linked roles are there, nobody needs it.
pub const ONCE: &[&str] = &["iam:CreateServiceLinkedRole"];

/// Taken only to change the permissions boundary of a role that is there. Not checked: where a company asks for a boundary, who may
/// make roles within it may as a rule not take it off, and need not.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-delegate>
pub const BOUNDING: &[&str] = &["iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"];

/// A type's; `None` for a type that is not known.
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

/// The permission that a call takes, by the names that drctl's calls have.
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
    fn permissions_are_not_always_called_as_operations_are() {
        assert_eq!(permission("ec2", "CreateVpc"), "ec2:CreateVpc");
        assert_eq!(permission("s3", "PutBucketEncryption"), "s3:PutEncryptionConfiguration");
        assert_eq!(permission("apigateway", "UpdateStage"), "apigateway:PATCH");
        assert_eq!(permission("apigateway", "TagResource"), "apigateway:POST");
    }
}
