//! AWS Secrets Manager's.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // Also what the same token with another value is answered with.
    // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    ("secretsmanager", "CreateSecret", "ResourceExistsException", "", Class::Exists),
    // Of that name, or of this secret until a moment ago. See docs/aws-behaviour.md#secret-scheduled-for-deletion.
    ("secretsmanager", "CreateSecret", "InvalidRequestException", "scheduled for deletion", Class::Transient),
    ("secretsmanager", "", "InvalidRequestException", "because it was", Class::Transient),
    // "You can't delete secret … that still has replica regions […]": they are on their way out.
    // See docs/aws-behaviour.md#secret-has-replicas.
    ("secretsmanager", "DeleteSecret", "InvalidParameterException", "still has replica regions", Class::Transient),
    // A key that was made, or taken back, a moment ago.
    // See docs/aws-behaviour.md#kms-is-eventually-consistent and docs/aws-behaviour.md#kms-pending-deletion.
    ("secretsmanager", "", "EncryptionFailure", "", Class::Transient),
    ("secretsmanager", "", "DecryptionFailure", "", Class::Transient),
    ("secretsmanager", "", "AccessDeniedException", "Access to KMS is not allowed", Class::Transient),
    // Seen a moment ago: Secrets Manager is eventually consistent.
    // https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html.
    // See docs/aws-behaviour.md#secret-not-visible-yet.
    ("secretsmanager", "TagResource", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "UpdateSecret", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "RestoreSecret", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "ReplicateSecretToRegions", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "RemoveRegionsFromReplication", "ResourceNotFoundException", "", Class::Transient),
    // Moto's (and so LocalStack's), which lets nobody set a replica's key. On AWS it is the replica's own.
    (
        "secretsmanager",
        "UpdateSecret",
        "InvalidRequestException",
        "Operation not permitted on a replica",
        Class::Unsupported,
    ),
    // MiniStack's answer to an operation that it does not know.
    ("secretsmanager", "", "InvalidRequestException", "Unknown action", Class::Unsupported),
];
