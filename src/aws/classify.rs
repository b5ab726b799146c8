//! What AWS's errors mean, by their codes. Where AWS itself distinguishes only by text, the text stands in [`refusals`] with
//! its source.

use std::error::Error as StdError;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::clients::Aws;
use super::refusals;
use crate::engine::{Class, Failure, Region};

/// `aws-runtime`'s own list (retries/classifiers.rs), less `LimitExceededException`, which is also a hard quota.
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
];

const DENIED: &[&str] = &[
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "OptInRequired",
];

const EXISTS: &[&str] = &[
    "EntityAlreadyExists",
    "ResourceAlreadyExistsException",
    "AlreadyExistsException",
    "InvalidGroup.Duplicate",
    "RouteAlreadyExists",
    "FlowLogAlreadyExists",
    "Resource.AlreadyAssociated",
    "VpcPeeringConnectionAlreadyExists",
];

const NOT_FOUND: &[&str] =
    &["NoSuchEntity", "ResourceNotFoundException", "NotFoundException", "NotFound", "NatGatewayNotFound"];

/// Refusals that pass by themselves: a dependent that is on its way out, a role or key not visible everywhere yet, a
/// concurrent change.
const TRANSIENT: &[&str] = &[
    "DependencyViolation",
    "InvalidIPAddress.InUse",
    "OperationAborted",
    "OperationAbortedException",
    "ConcurrentModification",
    "ConcurrentModificationException",
    "DeleteConflict",
    "ResourceInUse",
    "IncorrectState",
];

/// An operation that a custom endpoint does not know.
const UNSUPPORTED: &[&str] =
    &["UnknownOperation", "UnknownOperationException", "InvalidAction", "NotImplemented", "501"];

/// Turns an SDK error into what it means.
pub(super) fn failure<E>(
    aws: &Aws,
    region: &Region,
    service: &str,
    operation: &str,
    error: &SdkError<E, HttpResponse>,
) -> Failure
where
    E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
{
    let mut failure = match error {
        SdkError::ServiceError(context) => {
            let meta = context.err().meta();
            let status = context.raw().status().as_u16();
            let code = meta.code().unwrap_or_default();
            let message = meta.message().unwrap_or_default();
            let mut class = class_of(service, operation, code, message, status);
            if class == Class::Unsupported && !aws.is_custom_endpoint() {
                class = Class::Refused;
            }
            let said = if message.is_empty() {
                format!("HTTP status {status} without a message")
            } else {
                message.trim_end_matches('.').to_owned()
            };
            Failure { code: (!code.is_empty()).then(|| code.to_owned()), ..Failure::new(class, said) }
        }
        SdkError::TimeoutError(_) => Failure::new(Class::Ambiguous, "no answer within 20 s"),
        SdkError::ResponseError(_) => {
            Failure::new(Class::Ambiguous, format!("an answer that cannot be read: {}", chain(error)))
        }
        SdkError::DispatchFailure(dispatch) => {
            if is_about_credentials(error) {
                Failure::new(Class::Denied, format!("no usable credentials: {}", chain(error)))
            } else if broke_off(error) {
                Failure::new(
                    Class::Ambiguous,
                    format!("the connection to {} broke off: {}", place(aws, service, region), chain(error)),
                )
            } else if dispatch.is_io() || dispatch.is_timeout() {
                Failure::new(
                    Class::Unreachable,
                    format!("no answer from {}: {}", place(aws, service, region), chain(error)),
                )
            } else {
                Failure::new(Class::Ambiguous, chain(error))
            }
        }
        _ if is_about_credentials(error) => {
            Failure::new(Class::Denied, format!("no usable credentials: {}", chain(error)))
        }
        _ => Failure::new(Class::Internal, chain(error)),
    };
    failure.operation = Some(name(service, operation, region));
    failure.request_id = error.request_id().map(str::to_owned);
    failure.help = help(aws, &failure);
    failure
}

/// Nothing came within `limit`.
pub(super) fn silence(limit: Duration, region: &Region, service: &str, operation: &str) -> Failure {
    let said = format!("no answer in {} s", limit.as_secs());
    Failure { operation: Some(name(service, operation, region)), ..Failure::new(Class::TimedOut, said) }
}

fn name(service: &str, operation: &str, region: &Region) -> String {
    format!("{service}:{operation} in {region}")
}

/// Whether a connection that stood was cut: what was sent may have been carried out. It says little about whether the next one
/// stands; one that was idle for long is cut by whatever is on the way.
pub(super) fn broke_off<E: StdError + Send + Sync + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    use std::io::ErrorKind as Kind;
    let SdkError::DispatchFailure(_) = error else { return false };
    sources(error).any(|source| {
        let kind = source.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let cut = [Kind::ConnectionReset, Kind::ConnectionAborted, Kind::BrokenPipe, Kind::UnexpectedEof];
        kind.is_some_and(|kind| cut.contains(&kind)) || source.to_string().contains("closed before message completed")
    })
}

pub(super) fn class_of(service: &str, operation: &str, code: &str, message: &str, status: u16) -> Class {
    let by_text = refusals::rows().find(|(s, o, c, text, _)| {
        (s.is_empty() || *s == service) && (o.is_empty() || *o == operation) && *c == code && message.contains(text)
    });
    if let Some((.., class)) = by_text {
        return *class;
    }
    let is = |codes: &[&str]| codes.contains(&code);
    if is(THROTTLED) {
        Class::Throttled
    } else if is(UNSUPPORTED) || status == 501 {
        Class::Unsupported
    } else if is(EXISTS) {
        Class::Exists
    } else if is(NOT_FOUND) || code.ends_with(".NotFound") || code.ends_with("NotFoundFault") {
        Class::NotFound
    } else if is(TRANSIENT) {
        Class::Transient
    } else if is(DENIED) {
        Class::Denied
    } else if status >= 500 {
        Class::Ambiguous
    } else {
        Class::Refused
    }
}

fn help(aws: &Aws, failure: &Failure) -> Option<String> {
    let code = failure.code.as_deref().unwrap_or_default();
    match failure.class {
        Class::Denied if code.starts_with("Expired") || code == "RequestExpired" => {
            Some("The credentials have expired. Renew them (e.g. `aws sso login`) and run the same command again.".to_owned())
        }
        Class::Denied if matches!(code, "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException") => {
            Some("The credentials are valid but may not do this. Grant the action named above; the README lists what drctl needs.".to_owned())
        }
        Class::Denied => Some(
            "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`; or try without an account: \
             `--sandbox`."
                .to_owned(),
        ),
        Class::Unreachable => Some(match aws.endpoint() {
            Some(endpoint) => format!("Is something listening at {endpoint}? It comes from --sandbox, AWS_ENDPOINT_URL or the AWS profile."),
            None => "Check the network, proxies and AWS's health dashboard for that Region.".to_owned(),
        }),
        Class::Unsupported => Some("This endpoint stands in for AWS and does not know the operation.".to_owned()),
        // RequestLimitExceeded is about the rate of calls.
        _ if failure.class != Class::Throttled
            && (code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException")) =>
        {
            Some("A quota of the account is used up. Ask for more in Service Quotas, or free some.".to_owned())
        }
        _ => None,
    }
}

fn place(aws: &Aws, service: &str, region: &Region) -> String {
    aws.endpoint().map_or_else(|| format!("{service} in {region}"), str::to_owned)
}

fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| -> Option<&'a (dyn StdError + 'static)> { StdError::source(*error) })
}

fn is_about_credentials<E: StdError + Send + Sync + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    sources(error).any(<dyn std::error::Error + 'static>::is::<aws_credential_types::provider::error::CredentialsError>)
        || chain(error).contains("no providers in chain provided credentials")
}

/// The innermost causes, which say more than "dispatch failure".
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = sources(error).skip(1).map(ToString::to_string).collect();
    texts.dedup();
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_before_the_status() {
        // EC2 throttles with 503.
        assert_eq!(class_of("ec2", "CreateVpc", "RequestLimitExceeded", "", 503), Class::Throttled);
        assert_eq!(class_of("ec2", "CreateVpc", "InternalError", "", 500), Class::Ambiguous);
        assert_eq!(class_of("ec2", "CreateVpc", "VpcLimitExceeded", "", 400), Class::Refused);
        assert_eq!(class_of("ec2", "DescribeVpcs", "InvalidVpcID.NotFound", "", 400), Class::NotFound);
    }

    #[test]
    fn text_decides_only_where_its_table_says_so() {
        // Row 9: an address cannot be released while its NAT gateway is deleting.
        assert_eq!(
            class_of("ec2", "ReleaseAddress", "AuthFailure", "You do not have permission", 400),
            Class::Transient
        );
        assert_eq!(class_of("ec2", "CreateVpc", "AuthFailure", "", 401), Class::Denied);
        // Row 27: the key policy is not visible to CloudWatch Logs yet.
        let said = "The specified KMS key does not exist or is not allowed to be used with Arn 'arn:aws:logs:…'";
        assert_eq!(class_of("logs", "CreateLogGroup", "AccessDeniedException", said, 400), Class::Transient);
        assert_eq!(class_of("logs", "CreateLogGroup", "AccessDeniedException", "not authorized", 400), Class::Denied);
        let said = "The specified KMS Key Id could not be found. '/aws/vpc/x'";
        assert_eq!(class_of("logs", "CreateLogGroup", "InvalidParameterException", said, 400), Class::Transient);
    }
}
