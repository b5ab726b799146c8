//! The refusals that any call can meet, with each service's own codes.

use http::StatusCode;

use crate::wire::answer::Answer;
use crate::wire::call::{Call, Protocol};

/// Refuses a call because there were too many. See docs/aws-behaviour.md#ec2-request-limit and
/// docs/aws-behaviour.md#api-gateway-rate-limit.
///
/// EC2: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>; S3: "Please reduce your request
/// rate", <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>; the others as in the common errors of
/// their API references, and as in `aws-runtime` (retries/classifiers.rs).
pub(super) fn throttled(call: &Call) -> Answer {
    let (status, code, message) = match call.service.as_str() {
        "ec2" => (503, "RequestLimitExceeded", "Request limit exceeded."),
        "s3" => (503, "SlowDown", "Please reduce your request rate."),
        "lambda" | "apigateway" | "servicequotas" => (429, "TooManyRequestsException", "Rate Exceeded."),
        _ => match call.protocol {
            Protocol::Json | Protocol::RestJson => (400, "ThrottlingException", "Rate exceeded"),
            _ => (400, "Throttling", "Rate exceeded"),
        },
    };
    refusal(call, status, code, message)
}

/// Refuses credentials that were valid a moment ago.
pub(super) fn expired(call: &Call) -> Answer {
    let message = "The security token included in the request is expired";
    let (status, code) = match call.service.as_str() {
        "ec2" => (400, "RequestExpired"),
        "s3" => (400, "ExpiredToken"),
        _ => match call.protocol {
            Protocol::Json => (400, "ExpiredTokenException"),
            Protocol::RestJson | Protocol::Cbor => (403, "ExpiredTokenException"),
            _ => (403, "ExpiredToken"),
        },
    };
    refusal(call, status, code, message)
}

/// Answers that the service has failed.
pub(super) fn failed(call: &Call) -> Answer {
    let code = match call.service.as_str() {
        "ec2" | "s3" | "sns" => "InternalError",
        "dynamodb" => "InternalServerError",
        "iam" => "ServiceFailure",
        "kms" => "KMSInternalException",
        "lambda" => "ServiceException",
        "secretsmanager" => "InternalServiceError",
        "monitoring" => "InternalServiceFault",
        _ => "InternalFailure",
    };
    refusal(call, 500, code, "An internal error has occurred")
}

/// Answers that the service is not available at the moment.
pub(super) fn unavailable(call: &Call) -> Answer {
    let code = match call.service.as_str() {
        "ec2" => "Unavailable",
        "logs" => "ServiceUnavailableException",
        "kms" => "DependencyTimeoutException",
        _ => "ServiceUnavailable",
    };
    refusal(call, 503, code, "The service is unavailable. Please try again shortly.")
}

pub(super) fn refusal(call: &Call, status: u16, code: &str, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Answer::refusal(call, status, code, message)
}
