//! Refusals of AWS Secrets Manager.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // Also the answer to the same token with another value.
    // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    ("secretsmanager", "CreateSecret", "ResourceExistsException", "", Class::Exists),
    // Another secret of this name, or this secret until a moment ago. See docs/aws-behaviour.md#secret-scheduled-for-deletion.
    ("secretsmanager", "CreateSecret", "InvalidRequestException", "scheduled for deletion", Class::Transient),
    ("secretsmanager", "", "InvalidRequestException", "because it was", Class::Transient),
    // "You can't delete secret … that still has replica regions […]": they are being deleted.
    // See docs/aws-behaviour.md#secret-has-replicas.
    ("secretsmanager", "DeleteSecret", "InvalidParameterException", "still has replica regions", Class::Transient),
    // A key that was created or restored a moment ago.
    // See docs/aws-behaviour.md#kms-is-eventually-consistent and docs/aws-behaviour.md#kms-pending-deletion.
    ("secretsmanager", "", "EncryptionFailure", "", Class::Transient),
    ("secretsmanager", "", "DecryptionFailure", "", Class::Transient),
    ("secretsmanager", "", "AccessDeniedException", "Access to KMS is not allowed", Class::Transient),
    // It was visible a moment ago: Secrets Manager is eventually consistent.
    // https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html.
    // See docs/aws-behaviour.md#secret-not-visible-yet.
    ("secretsmanager", "TagResource", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "UpdateSecret", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "RestoreSecret", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "ReplicateSecretToRegions", "ResourceNotFoundException", "", Class::Transient),
    ("secretsmanager", "RemoveRegionsFromReplication", "ResourceNotFoundException", "", Class::Transient),
    // The answer of Moto (and so of LocalStack), which does not support setting a replica's key. On AWS, a replica has its own.
    (
        "secretsmanager",
        "UpdateSecret",
        "InvalidRequestException",
        "Operation not permitted on a replica",
        Class::Unsupported,
    ),
    // MiniStack's answer to an operation that it does not support.
    ("secretsmanager", "", "InvalidRequestException", "Unknown action", Class::Unsupported),
];
