//! Refusals of AWS Certificate Manager.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // API Gateway still uses it for a while after its domain name has been deleted. See docs/aws-behaviour.md#certificate-in-use.
    ("acm", "DeleteCertificate", "ResourceInUseException", "", Class::Transient),
    ("acm", "DeleteCertificate", "ConflictException", "", Class::Transient),
];
