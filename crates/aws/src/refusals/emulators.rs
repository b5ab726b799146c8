//! Refusals of emulators, for operations that they do not support.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // MiniStack's answer to an operation that it does not support.
    ("", "", "InvalidOperationException", "Unknown action", Class::Unsupported),
    // Moto (and so LocalStack) answers unknown operations of known services with this.
    ("", "", "InternalFailure", "not yet implemented", Class::Unsupported),
    ("", "", "InternalFailure", "not been implemented", Class::Unsupported),
];
