//! Amazon DynamoDB's.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // "Table already exists". https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
    ("dynamodb", "CreateTable", "ResourceInUseException", "", Class::Exists),
    // A table takes one change at a time. See docs/aws-behaviour.md#one-table-change-at-a-time.
    ("dynamodb", "", "ResourceInUseException", "", Class::Transient),
    // Too many tables of the account change at once; any other limit is a quota.
    // See docs/aws-behaviour.md#tables-changing-at-once and docs/aws-behaviour.md#limit-exceeded-is-two-things.
    ("dynamodb", "", "LimitExceededException", "simultaneously", Class::Transient),
    // The replica's Region is not rid of it yet, though the table does not list it any more.
    // See docs/aws-behaviour.md#table-was-a-source.
    ("dynamodb", "DeleteTable", "ValidationException", "has acted as a source region", Class::NotYet),
    ("dynamodb", "UpdateTable", "ValidationException", "has acted as a source region", Class::Transient),
    // Taken off, and not seen everywhere yet: drctl deletes no table whose protection it has not taken off.
    // See docs/aws-behaviour.md#table-protection-seen-late.
    ("dynamodb", "DeleteTable", "ValidationException", "protected against deletion", Class::Transient),
    // Added or deleted since it was looked at: to be looked at again. See docs/aws-behaviour.md#replica-name-taken.
    ("dynamodb", "UpdateTable", "ValidationException", "already existed as tables", Class::Transient),
    ("dynamodb", "UpdateTable", "ValidationException", "Replica specified in the Replica Update", Class::Transient),
    // The key of a replica is being set. See docs/aws-behaviour.md#replica-key-updating.
    ("dynamodb", "UpdateTable", "ValidationException", "in UPDATING state", Class::Transient),
    // "Backups are being enabled for the table: … Please retry later." See docs/aws-behaviour.md#backups-being-enabled.
    ("dynamodb", "", "ContinuousBackupsUnavailableException", "", Class::Transient),
    // Of the backups' operations; the others say ResourceNotFoundException.
    ("dynamodb", "DescribeContinuousBackups", "TableNotFoundException", "", Class::NotFound),
    // Seen a moment ago: a new table or replica is not there for every operation at once.
    // See docs/aws-behaviour.md#new-replica-answers-describe-only.
    ("dynamodb", "UpdateContinuousBackups", "TableNotFoundException", "", Class::Transient),
    ("dynamodb", "UpdateContinuousBackups", "ResourceNotFoundException", "", Class::Transient),
    ("dynamodb", "UpdateTimeToLive", "ResourceNotFoundException", "", Class::Transient),
    ("dynamodb", "UpdateTable", "ResourceNotFoundException", "", Class::Transient),
    ("dynamodb", "TagResource", "ResourceNotFoundException", "", Class::Transient),
    // Not idempotent: what is so already is refused, and so is a second change within an hour.
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html,
    // https://github.com/aws/aws-cdk/pull/13720. See docs/aws-behaviour.md#ttl-takes-one-change-an-hour.
    ("dynamodb", "UpdateTimeToLive", "ValidationException", "already enabled", Class::Exists),
    ("dynamodb", "UpdateTimeToLive", "ValidationException", "already disabled", Class::NotFound),
    ("dynamodb", "UpdateTimeToLive", "ValidationException", "within a fixed interval", Class::NotYet),
];
