//! AWS Certificate Manager's.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // Until API Gateway has let go of it, after its domain name is gone. See docs/aws-behaviour.md#certificate-in-use.
    ("acm", "DeleteCertificate", "ResourceInUseException", "", Class::Transient),
    ("acm", "DeleteCertificate", "ConflictException", "", Class::Transient),
];
