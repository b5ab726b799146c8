//! Refusals of Amazon Route 53.

use super::Row;
use drctl_engine::Class;

/// The refusal of every change of a zone while its accelerated recovery is being switched. It was reported with its text only
/// (<https://github.com/go-to-k/cdkd/issues/1467>), so it is listed for each code that the operations have for it.
/// See docs/aws-behaviour.md#zone-locked-during-accelerated-recovery.
const LOCKED: &str = "marked disabled for mutation";

pub(super) const ROWS: &[Row] = &[
    ("route53", "", "InvalidChangeBatch", LOCKED, Class::Transient),
    ("route53", "", "InvalidInput", LOCKED, Class::Transient),
    ("route53", "", "InvalidArgument", LOCKED, Class::Transient),
    // "Accelerated recovery can only be updated for 1 hosted zone at a time".
    // https://github.com/hashicorp/terraform-provider-aws/issues/45613
    (
        "route53",
        "UpdateHostedZoneFeatures",
        "LimitsExceeded",
        "can only be updated for 1 hosted zone",
        Class::Transient,
    ),
    // Created a moment ago, and not visible everywhere yet: the references are Route 53's own ids.
    ("route53", "ChangeTagsForResource", "NoSuchHealthCheck", "", Class::Transient),
    ("route53", "ChangeTagsForResource", "NoSuchHostedZone", "", Class::Transient),
    ("route53", "UpdateHealthCheck", "NoSuchHealthCheck", "", Class::Transient),
    ("route53", "UpdateHostedZoneComment", "NoSuchHostedZone", "", Class::Transient),
    ("route53", "UpdateHostedZoneFeatures", "NoSuchHostedZone", "", Class::Transient),
    ("route53", "ChangeResourceRecordSets", "NoSuchHealthCheck", "", Class::Transient),
    ("route53", "ChangeResourceRecordSets", "NoSuchHostedZone", "", Class::Transient),
    ("route53", "", "NoSuchHostedZone", "", Class::NotFound),
    ("route53", "", "NoSuchHealthCheck", "", Class::NotFound),
    // The caller reference was used before. See docs/aws-behaviour.md#caller-reference-instead-of-tags.
    ("route53", "CreateHostedZone", "HostedZoneAlreadyExists", "", Class::Exists),
    ("route53", "CreateHealthCheck", "HealthCheckAlreadyExists", "", Class::Exists),
    // One code for everything that a change of records may be refused for.
    // https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
    // See docs/aws-behaviour.md#record-deleted-by-value.
    ("route53", "ChangeResourceRecordSets", "InvalidChangeBatch", "but it already exists", Class::Exists),
    ("route53", "ChangeResourceRecordSets", "InvalidChangeBatch", "but it was not found", Class::NotFound),
    ("route53", "ChangeResourceRecordSets", "InvalidChangeBatch", "do not match the current values", Class::Transient),
    // The zone's own deletion reports what is in it. See docs/aws-behaviour.md#zone-and-checks-in-use.
    ("route53", "DeleteHostedZone", "HostedZoneNotEmpty", "", Class::Transient),
    ("route53", "DeleteHealthCheck", "HealthCheckInUse", "", Class::Transient),
    // Changed by another caller in the meantime: drctl names no version, so the same call is right the next time.
    // https://docs.aws.amazon.com/Route53/latest/APIReference/API_UpdateHealthCheck.html
    ("route53", "UpdateHealthCheck", "HealthCheckVersionMismatch", "", Class::Transient),
    // MiniStack's answer to an operation that it does not support.
    ("route53", "", "InvalidInput", "Unknown Route53 endpoint", Class::Unsupported),
];
