//! Refusals whose code alone does not say what they mean, one file per service, each row with its source.

mod acm;
mod apigateway;
mod cloudwatch;
mod dynamodb;
mod ec2;
mod emulators;
mod iam;
mod kms;
mod lambda;
mod logs;
mod rds;
mod route53;
mod s3;
mod secretsmanager;
mod sns;

use crate::engine::Class;

/// (service as in [`Context::mutate`](crate::resources::Context::mutate), operation or "", code, part of the message or
/// "", meaning).
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str, Class);

/// All rows.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        acm::ROWS,
        apigateway::ROWS,
        cloudwatch::ROWS,
        dynamodb::ROWS,
        ec2::ROWS,
        emulators::ROWS,
        iam::ROWS,
        kms::ROWS,
        lambda::ROWS,
        logs::ROWS,
        rds::ROWS,
        route53::ROWS,
        s3::ROWS,
        secretsmanager::ROWS,
        sns::ROWS,
    ]
    .into_iter()
    .flatten()
}
