//! Refusals whose code alone does not say what they mean, one file per service, each row with its source.

mod ec2;
mod emulators;
mod iam;
mod kms;
mod logs;

use crate::engine::Class;

/// (service as in [`Context::mutate`](crate::resources::Context::mutate), operation or "", code, part of the message or
/// "", meaning).
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str, Class);

/// All rows.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [ec2::ROWS, emulators::ROWS, iam::ROWS, kms::ROWS, logs::ROWS].into_iter().flatten()
}
