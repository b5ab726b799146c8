//! AWS Key Management Service's.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // A principal in a key policy that was made a moment ago. See docs/aws-behaviour.md#principal-not-visible-yet.
    ("kms", "", "MalformedPolicyDocumentException", "invalid principals", Class::Transient),
    // A key or role that was made, or taken back, a moment ago.
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
