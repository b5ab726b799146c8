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

use drctl_engine::Class;

/// (service as in [`Context::mutate`](crate::resources::Context::mutate), operation or "", code, part of the message or
/// "", meaning).
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str, Class);

/// All rows. The first row that matches decides: put specific rows above general ones.
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

/// What a code means by its form alone, if a service has more codes for one thing than a table can list.
pub(super) fn by_form(service: &str, operation: &str, code: &str) -> Option<Class> {
    (service == "ec2").then(|| ec2::by_form(operation, code)).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::classify::class_of;
    use drctl_engine::Class;

    /// The codes in the services' models for the calls that drctl makes.
    #[test]
    fn codes_that_only_one_service_has_mean_what_others_call_otherwise() {
        for (service, operation, code, status, said, class) in [
            ("sns", "CreateTopic", "AuthorizationError", 403, "is not authorized to perform", Class::Denied),
            ("sns", "GetTopicAttributes", "InvalidSecurity", 403, "", Class::Denied),
            ("sns", "Subscribe", "Throttled", 429, "", Class::Throttled),
            ("cloudwatch", "DeleteAlarms", "ResourceConflict", 409, "", Class::Transient),
            ("cloudwatch", "PutDashboard", "ConflictException", 409, "", Class::Transient),
            ("lambda", "AddPermission", "PreconditionFailedException", 412, "", Class::Transient),
            ("route53", "UpdateHealthCheck", "HealthCheckVersionMismatch", 409, "", Class::Transient),
            (
                "apigateway",
                "UpdateStage",
                "NotFoundException",
                404,
                "Cannot find log delivery named: a1b2c3_$default",
                Class::NotYet,
            ),
            ("apigateway", "UpdateStage", "NotFoundException", 404, "Invalid stage identifier", Class::NotFound),
        ] {
            assert_eq!(class_of(service, operation, code, said, status), class, "{service}:{operation}: {code}");
        }
    }
}
