//! `[protection]`: what stands in the way of deleting the stack.

use serde::Serialize;

use super::section::Section;

/// Guards against losing what cannot be built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// Whether the database and the sessions table carry AWS's own deletion protection and `drctl down` refuses to run.
    /// Default `false`, so that what a first `up` built can be taken away again; a stack that holds payments sets it.
    pub deletion: bool,
}

impl Protection {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self { deletion: section.flag("deletion", false).value }
    }
}
