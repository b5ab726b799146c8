//! The world in which the emulated AWS stands: what happens to whole Regions, and whatever takes place between them.
//!
//! | part | what it holds |
//! |---|---|
//! | [`postgres`] | real PostgreSQL servers, which replicate through a pipe that can be late, slow, or cut |
//! | [`regions`] | the condition of each Region: up, out, isolated, or slow |
//! | [`route53`] | health checkers that look at endpoints, and name servers that answer by their verdicts |
//!
//! A part knows nothing of calls and answers: the rules ask it, and `/_drctl/…` changes it.

pub mod postgres;
pub(super) mod regions;
pub(crate) mod route53;

use regions::Regions;

/// The world of one sandbox. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) regions: Regions,
}
