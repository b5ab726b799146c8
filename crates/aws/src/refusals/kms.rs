//! Refusals of AWS Key Management Service.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // A principal in a key policy that was created a moment ago. See docs/aws-behaviour.md#principal-not-visible-yet.
    ("kms", "", "MalformedPolicyDocumentException", "invalid principals", Class::Transient),
    // A key or role that was created or restored a moment ago.
    // See docs/aws-behaviour.md#kms-is-eventually-consistent and docs/aws-behaviour.md#kms-pending-deletion.
    ("kms", "", "KMSInvalidStateException", "", Class::Transient),
    ("kms", "", "DisabledException", "", Class::Transient),
    ("kms", "CreateAlias", "NotFoundException", "", Class::Transient),
    ("kms", "UpdateAlias", "NotFoundException", "", Class::Transient),
    ("kms", "TagResource", "NotFoundException", "", Class::Transient),
    ("kms", "EnableKey", "NotFoundException", "", Class::Transient),
    ("kms", "EnableKeyRotation", "NotFoundException", "", Class::Transient),
    ("kms", "UpdateKeyDescription", "NotFoundException", "", Class::Transient),
    ("kms", "PutKeyPolicy", "NotFoundException", "", Class::Transient),
];
