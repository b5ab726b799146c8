//! `[protection]`: whether the stack may be deleted.

use serde::Serialize;

use super::section::Section;

/// Protection of what cannot be built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// Whether the database and the sessions table have AWS's own deletion protection, and `drctl down` refuses to run.
    /// Default `false`, so that the result of a first `up` can be deleted again; set it for a stack that holds payments.
    pub deletion: bool,
}

impl Protection {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self { deletion: section.flag("deletion", false).value }
    }
}
