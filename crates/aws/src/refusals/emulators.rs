//! Those of emulators, for what they do not know.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // MiniStack's answer to an operation that it does not know.
    ("", "", "InvalidOperationException", "Unknown action", Class::Unsupported),
    // Moto (and so LocalStack) answers unknown operations of known services with this.
    ("", "", "InternalFailure", "not yet implemented", Class::Unsupported),
    ("", "", "InternalFailure", "not been implemented", Class::Unsupported),
];
