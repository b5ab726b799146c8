//! The signed request that asks the Region of an encrypted primary cluster to let another Region copy it.
//!
//! Other SDKs sign it when they are given a `SourceRegion`, which the Rust SDK does not know. Without it, AWS refuses an
//! encrypted member in a second Region: "`PreSignedUrl` should be specified". The request is the same creation as a GET to the
//! primary's Region, with `DestinationRegion` added, as in botocore: handlers.py, `inject_presigned_url_rds`.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html>.
//! See docs/aws-behaviour.md#cross-region-presigned-url.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{DbCluster, ENGINE};
use crate::resources::{Class, Failure};

/// How long the signature is valid: the same as botocore's.
const LIFETIME: Duration = Duration::from_hours(1);

/// All characters except the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URL for the creation of `cluster` in `region`, as a copy of the one in `source`. It carries a signature: it belongs in the
/// call and nowhere else.
pub(super) fn url(
    cluster: &DbCluster,
    source: &str,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<String, Failure> {
    let query = [
        ("Action", "CreateDBCluster"),
        ("Version", "2014-10-31"),
        ("DBClusterIdentifier", cluster.name.as_str()),
        ("DestinationRegion", region),
        ("Engine", ENGINE),
        ("EngineVersion", cluster.engine_version.as_str()),
        ("GlobalClusterIdentifier", cluster.global_cluster.value()),
        ("KmsKeyId", cluster.kms_key.value()),
        ("StorageEncrypted", "true"),
    ]
    .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED)))
    .join("&");
    let unsigned = format!("https://rds.{source}.amazonaws.com/?{query}");

    let identity: Identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(source)
        .name("rds")
        .time(now)
        .settings(settings)
        .build()
        .map_err(unsignable)?
        .into();
    let request = SignableRequest::new("GET", &unsigned, std::iter::empty(), SignableBody::empty());
    let (instructions, _) = sign(request.map_err(unsignable)?, &parameters).map_err(unsignable)?.into_parts();
    let mut request = http::Request::get(&unsigned).body(()).map_err(unsignable)?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

fn unsignable(error: impl std::error::Error) -> Failure {
    Failure::new(Class::Internal, format!("the request to the primary's Region cannot be signed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::rds::db_cluster::tests::secondary;

    #[test]
    fn the_url_is_signed_as_botocore_signs_it() {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(498_750);
        let url = url(&secondary(), "us-east-1", "us-east-2", credentials, now).expect("signed");
        assert!(url.starts_with("https://rds.us-east-1.amazonaws.com/?Action=CreateDBCluster&"), "{url}");
        assert!(url.contains("&KmsKeyId=arn%3Aaws%3Akms%3Aus-east-2%3A111122223333%3Akey%2F0f&"), "{url}");
        assert!(url.contains("&DestinationRegion=us-east-2&"), "{url}");
        // botocore 1.43, SigV4QueryAuth over the same parameters at the same time.
        assert!(
            url.ends_with("&X-Amz-Signature=9f1116b52835b1b02bf1955d12209910c300aa47c890cc0483bba4b1e66ef36a"),
            "{url}"
        );
    }
}
