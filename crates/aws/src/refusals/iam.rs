//! Refusals of AWS Identity and Access Management.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // A role that was created a moment ago. See docs/aws-behaviour.md#new-role-not-visible-yet.
    ("iam", "PutRolePolicy", "NoSuchEntity", "", Class::Transient),
    ("iam", "UpdateAssumeRolePolicy", "NoSuchEntity", "", Class::Transient),
    ("iam", "UpdateRoleDescription", "NoSuchEntity", "", Class::Transient),
    ("iam", "TagRole", "NoSuchEntity", "", Class::Transient),
];
