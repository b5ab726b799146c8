//! What drctl's integration tests share, against the sandbox and against LocalStack: a stack for each test, the survey of what
//! exists in AWS, drifts of every kind, and a whole life.

#![expect(missing_docs, reason = "only drctl's own tests use these items, and each name says what it is")]
#![expect(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "a test fails by panicking")]
#![expect(clippy::new_without_default, reason = "a test creates its stack explicitly, because it needs an account")]
#![expect(clippy::return_self_not_must_use, reason = "an assertion returns its subject for the next assertion")]

pub mod dr;
pub mod drift;
pub mod harness;
pub mod life;
pub mod sources;
pub mod survey;
