//! Refusals of Amazon DynamoDB.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // "Table already exists". https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
    ("dynamodb", "CreateTable", "ResourceInUseException", "", Class::Exists),
    // A table takes one change at a time. See docs/aws-behaviour.md#one-table-change-at-a-time.
    ("dynamodb", "", "ResourceInUseException", "", Class::Transient),
    // Too many tables of the account change at the same time. Any other limit is a quota.
    // See docs/aws-behaviour.md#tables-changing-at-once and docs/aws-behaviour.md#limit-exceeded-is-two-things.
    ("dynamodb", "", "LimitExceededException", "simultaneously", Class::Transient),
    // The replica's Region has not forgotten it yet, although the table no longer lists it.
    // See docs/aws-behaviour.md#table-was-a-source.
    ("dynamodb", "DeleteTable", "ValidationException", "has acted as a source region", Class::NotYet),
    ("dynamodb", "UpdateTable", "ValidationException", "has acted as a source region", Class::Transient),
    // The protection was lifted, which is not visible everywhere yet: drctl does not delete a protected table.
    // See docs/aws-behaviour.md#table-protection-seen-late.
    ("dynamodb", "DeleteTable", "ValidationException", "protected against deletion", Class::Transient),
    // Added or deleted since it was read: it has to be read again. See docs/aws-behaviour.md#replica-name-taken.
    ("dynamodb", "UpdateTable", "ValidationException", "already existed as tables", Class::Transient),
    ("dynamodb", "UpdateTable", "ValidationException", "Replica specified in the Replica Update", Class::Transient),
    // The key of a replica is being set. See docs/aws-behaviour.md#replica-key-updating.
    ("dynamodb", "UpdateTable", "ValidationException", "in UPDATING state", Class::Transient),
    // "Backups are being enabled for the table: … Please retry later." See docs/aws-behaviour.md#backups-being-enabled.
    ("dynamodb", "", "ContinuousBackupsUnavailableException", "", Class::Transient),
    // Of the operations about backups; the others have ResourceNotFoundException.
    ("dynamodb", "DescribeContinuousBackups", "TableNotFoundException", "", Class::NotFound),
    ("dynamodb", "DescribeBackup", "BackupNotFoundException", "", Class::NotFound),
    // It was visible a moment ago: a new table or replica is not visible to every operation at once.
    // See docs/aws-behaviour.md#new-replica-answers-describe-only.
    ("dynamodb", "UpdateContinuousBackups", "TableNotFoundException", "", Class::Transient),
    ("dynamodb", "UpdateContinuousBackups", "ResourceNotFoundException", "", Class::Transient),
    ("dynamodb", "UpdateTimeToLive", "ResourceNotFoundException", "", Class::Transient),
    ("dynamodb", "UpdateTable", "ResourceNotFoundException", "", Class::Transient),
    ("dynamodb", "TagResource", "ResourceNotFoundException", "", Class::Transient),
    // Not idempotent: setting the current value is refused, and so is a second change within an hour.
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html,
    // https://github.com/aws/aws-cdk/pull/13720. See docs/aws-behaviour.md#ttl-takes-one-change-an-hour.
    ("dynamodb", "UpdateTimeToLive", "ValidationException", "already enabled", Class::Exists),
    ("dynamodb", "UpdateTimeToLive", "ValidationException", "already disabled", Class::NotFound),
    ("dynamodb", "UpdateTimeToLive", "ValidationException", "within a fixed interval", Class::NotYet),
];
