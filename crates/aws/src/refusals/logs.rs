//! Refusals of Amazon `CloudWatch` Logs.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // The key policy is not visible to CloudWatch Logs yet. See docs/aws-behaviour.md#key-not-visible-to-logs.
    (
        "logs",
        "",
        "AccessDeniedException",
        "The specified KMS key does not exist or is not allowed to be used",
        Class::Transient,
    ),
    // "The specified KMS Key Id could not be found": a key that was created or restored a moment ago.
    // https://github.com/hashicorp/terraform/issues/24194. See docs/aws-behaviour.md#kms-is-eventually-consistent.
    ("logs", "", "InvalidParameterException", "KMS", Class::Transient),
];
