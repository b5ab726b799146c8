//! What AWS's errors mean, by their codes. If AWS itself distinguishes errors only by their text, [`refusals`] has the text with
//! its source.

use std::error::Error as StdError;
use std::time::SystemTime;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::clients::Aws;
use super::http::NoCertificates;
use super::{advice, refusals};
use drctl_engine::{Class, Failure, Region};

/// An error of any of the SDK's operations: it has a code, a message, and the id of the request.
pub trait SdkRefusal: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static {}

impl<E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static> SdkRefusal for E {}

/// `aws-runtime`'s own list (retries/classifiers.rs) without `LimitExceededException`, which is also a hard quota.
/// See docs/aws-behaviour.md#limit-exceeded-is-two-things.
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
    // See docs/aws-behaviour.md#route53-rate-limit.
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
    "IncompleteSignature",
    "OptInRequired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
    "InvalidSecurity.RequestHasExpired",
    "TokenRefreshRequired",
    "InvalidToken",
    "AuthorizationError",
    "AuthorizationErrorException",
    "InvalidSecurity",
    "NotSignedUp",
];

/// Codes that only mean a wrong date of the request: botocore and the SDKs for JavaScript and Java repeat these
/// (aws-sdk-js-v3, `service-error-classification/src/constants.ts`, `CLOCK_SKEW_ERROR_CODES`).
/// See docs/aws-behaviour.md#clock-skew.
const CLOCK: &[&str] = &["RequestTimeTooSkewed", "RequestInTheFuture", "InvalidSecurity.RequestHasExpired"];

/// Codes that also have other reasons: the clock is wrong if the answer's date or text says so
/// (aws-runtime, `service_clock_skew.rs`).
const PERHAPS_CLOCK: &[&str] = &[
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "AccessDeniedException",
    "RequestExpired",
    "IncompleteSignature",
];

/// The texts of Signature Version 4 about a wrong date.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const CLOCK_TEXTS: &[&str] =
    &["Signature expired", "Signature not yet current", "is now earlier than", "is now later than"];

/// The difference between the clocks from which it is taken for the reason of a refusal: aws-runtime's threshold. AWS allows 5
/// minutes, EC2 and S3 15.
const SKEW: u64 = 4 * 60;

const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];

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

/// Refusals that pass by themselves: a dependent resource that is being deleted, a role or key that is not visible everywhere
/// yet, a concurrent change.
const TRANSIENT: &[&str] = &[
    // See docs/aws-behaviour.md#deletion-needs-an-order.
    "DependencyViolation",
    // See docs/aws-behaviour.md#address-held-by-nat-gateway.
    "InvalidIPAddress.InUse",
    // See docs/aws-behaviour.md#bucket-operation-aborted.
    "OperationAborted",
    // See docs/aws-behaviour.md#log-group-operation-aborted.
    "OperationAbortedException",
    // See docs/aws-behaviour.md#iam-concurrent-modification.
    "ConcurrentModification",
    "ConcurrentModificationException",
    // See docs/aws-behaviour.md#role-must-be-emptied.
    "DeleteConflict",
    "ResourceInUse",
    "IncorrectState",
];

/// Codes for an operation that a custom endpoint does not know.
const UNSUPPORTED: &[&str] =
    &["UnknownOperation", "UnknownOperationException", "InvalidAction", "NotImplemented", "501"];

/// Why a call failed, as far as drctl can correct it without the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// An established connection was cut, or nothing arrived over it in time.
    Unanswered,
    /// The credentials have expired. The call was not carried out.
    Expired,
    /// The request had a wrong date: by how many seconds this machine's clock is ahead, if known. The call was not carried out.
    Clock(Option<i64>),
    /// Anything else.
    Other,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    pub(super) cause: Cause,
}

/// Turns an SDK error into what it means.
pub(super) fn refusal<E>(
    aws: &Aws,
    region: &Region,
    service: &str,
    operation: &str,
    error: &SdkError<E, HttpResponse>,
) -> Refusal
where
    E: SdkRefusal,
{
    let mut failure = failure(aws, region, service, operation, error);
    let unanswered = broke_off(error) || matches!(error, SdkError::TimeoutError(_));
    let cause = if unanswered { Cause::Unanswered } else { cause(&failure, ahead(error)) };
    failure.help = advice::help(aws, region, service, &failure, cause);
    Refusal { failure, cause }
}

/// By how many seconds this machine's clock was ahead of the service's when an answer came.
fn ahead<E>(error: &SdkError<E, HttpResponse>) -> Option<i64> {
    let date = error.raw_response()?.headers().get("date")?;
    let theirs = DateTime::from_str(date, Format::HttpDate).ok()?.secs();
    Some(DateTime::from(SystemTime::now()).secs() - theirs)
}

fn cause(failure: &Failure, ahead: Option<i64>) -> Cause {
    let code = failure.code.as_deref().unwrap_or_default();
    let off = ahead.filter(|ahead| ahead.unsigned_abs() > SKEW);
    let says = |text: &&str| failure.message.contains(text);
    if failure.class != Class::Denied {
        Cause::Other
    } else if EXPIRED.contains(&code) || failure.message.contains("token included in the request is expired") {
        Cause::Expired
    } else if CLOCK.contains(&code) || CLOCK_TEXTS.iter().any(says) || off.is_some() && PERHAPS_CLOCK.contains(&code) {
        Cause::Clock(off)
    } else if code == "RequestExpired" {
        Cause::Expired
    } else {
        Cause::Other
    }
}

fn failure<E>(aws: &Aws, region: &Region, service: &str, operation: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: SdkRefusal,
{
    let mut failure = match error {
        SdkError::ServiceError(context) => {
            let meta = context.err().meta();
            let status = context.raw().status().as_u16();
            let code = meta.code().unwrap_or_default();
            let message = meta.message().unwrap_or_default();
            let mut class = class_of(service, operation, code, message, status);
            if class == Class::Unsupported && aws.is_aws(service) {
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
            if sources(error).any(<dyn StdError + 'static>::is::<NoCertificates>) {
                Failure::new(Class::Unreachable, NoCertificates.to_string())
            } else if is_about_credentials(error) {
                Failure::new(Class::Denied, format!("no usable credentials: {}", chain(error)))
            } else if broke_off(error) {
                Failure::new(
                    Class::Ambiguous,
                    format!("the connection to {} broke off: {}", place(aws, service, region), chain(error)),
                )
            } else if dispatch.is_io() || dispatch.is_timeout() || is_about_certificates(error) {
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
    // A failure of this machine, and not of a call.
    let is_own = sources(error).any(<dyn StdError + 'static>::is::<NoCertificates>);
    failure.operation = (!is_own).then(|| name(service, operation, region));
    failure.request_id = error.request_id().map(str::to_owned);
    failure
}

pub(super) fn name(service: &str, operation: &str, region: &Region) -> String {
    format!("{service}:{operation} in {region}")
}

/// Whether an established connection was cut: the call may have been carried out. It says little about the next connection,
/// because anything on the way may cut one that was idle for long.
fn broke_off<E: StdError + Send + Sync + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
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
    let by_form = || refusals::by_form(service, operation, code);
    if let Some(class) = by_text.map(|(.., class)| *class).or_else(by_form) {
        return class;
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

fn place(aws: &Aws, service: &str, region: &Region) -> String {
    aws.endpoint_of(service).map_or_else(|| format!("{service} in {region}"), str::to_owned)
}

pub(super) fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| -> Option<&'a (dyn StdError + 'static)> { StdError::source(*error) })
}

fn is_about_credentials<E: StdError + Send + Sync + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    sources(error).any(<dyn std::error::Error + 'static>::is::<aws_credential_types::provider::error::CredentialsError>)
        || chain(error).contains("no providers in chain provided credentials")
}

fn is_about_certificates(error: &(dyn StdError + 'static)) -> bool {
    chain(error).contains("invalid peer certificate")
}

/// The innermost causes, which say more than "dispatch failure".
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
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
        // See docs/aws-behaviour.md#address-held-by-nat-gateway.
        assert_eq!(
            class_of("ec2", "ReleaseAddress", "AuthFailure", "You do not have permission", 400),
            Class::Transient
        );
        assert_eq!(class_of("ec2", "CreateVpc", "AuthFailure", "", 401), Class::Denied);
        // See docs/aws-behaviour.md#key-not-visible-to-logs.
        let said = "The specified KMS key does not exist or is not allowed to be used with Arn 'arn:aws:logs:…'";
        assert_eq!(class_of("logs", "CreateLogGroup", "AccessDeniedException", said, 400), Class::Transient);
        assert_eq!(class_of("logs", "CreateLogGroup", "AccessDeniedException", "not authorized", 400), Class::Denied);
        let said = "The specified KMS Key Id could not be found. '/aws/vpc/x'";
        assert_eq!(class_of("logs", "CreateLogGroup", "InvalidParameterException", said, 400), Class::Transient);
    }

    fn caused(code: &str, message: &str, ahead: Option<i64>) -> Cause {
        let class = class_of("ec2", "DescribeVpcs", code, message, 400);
        cause(&Failure { code: Some(code.to_owned()), ..Failure::new(class, message) }, ahead)
    }

    #[test]
    fn a_wrong_clock_is_distinguished_from_expired_credentials_and_wrong_keys() {
        let expired =
            "Signature expired: 20261129T100000Z is now earlier than 20261129T103000Z (20261129T103500Z - 5 min.)";
        assert_eq!(caused("SignatureDoesNotMatch", expired, None), Cause::Clock(None));
        assert_eq!(caused("SignatureDoesNotMatch", "The request signature we calculated", Some(3)), Cause::Other);
        assert_eq!(caused("AuthFailure", "AWS was not able to validate", Some(-1800)), Cause::Clock(Some(-1800)));
        assert_eq!(caused("AuthFailure", "AWS was not able to validate", Some(-30)), Cause::Other);
        assert_eq!(caused("RequestTimeTooSkewed", "", None), Cause::Clock(None));
        assert_eq!(caused("InvalidSecurity.RequestHasExpired", "", None), Cause::Clock(None));
        assert_eq!(caused("RequestInTheFuture", "", Some(7200)), Cause::Clock(Some(7200)));
        // EC2 has the same code for both; the answer's date distinguishes them.
        assert_eq!(caused("RequestExpired", "Request has expired.", Some(-1200)), Cause::Clock(Some(-1200)));
        assert_eq!(caused("RequestExpired", "Request has expired.", Some(1)), Cause::Expired);
        assert_eq!(caused("ExpiredToken", "", Some(-1200)), Cause::Expired);
        assert_eq!(caused("AccessDeniedException", "not authorized", Some(2)), Cause::Other);
        assert_eq!(caused("VpcLimitExceeded", "", Some(-1200)), Cause::Other);
    }

    #[test]
    fn every_code_that_rejects_the_caller_is_about_credentials() {
        for code in [
            "RequestTimeTooSkewed",
            "RequestInTheFuture",
            "InvalidSecurity.RequestHasExpired",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "InvalidToken",
            "TokenRefreshRequired",
            "AuthorizationError",
            "IncompleteSignature",
        ] {
            assert_eq!(class_of("s3", "ListBuckets", code, "", 403), Class::Denied, "{code}");
        }
    }
}
