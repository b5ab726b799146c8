//! What drctl's integration tests share, against the sandbox and against LocalStack: a stack of its own for each test, the survey
//! of what stands in AWS, drifts of every kind, and a whole life.

#![expect(missing_docs, reason = "read by the tests beside it, each name says what it is")]
#![expect(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "a test fails by panicking")]
#![expect(clippy::new_without_default, reason = "a stack of its own is nothing that a test has by default")]
#![expect(clippy::return_self_not_must_use, reason = "an assertion hands on what it was about")]

pub mod dr;
pub mod drift;
pub mod harness;
pub mod life;
pub mod survey;
