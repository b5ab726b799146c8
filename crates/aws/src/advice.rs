//! Advice on a failure: what the operator can do about it.

use super::classify::Cause;
use super::clients::Aws;
use super::http::proxy_before;
use drctl_engine::{Class, Failure, Region};

/// Codes of calls whose caller is not known. AWS returns the same codes in a Region that is not enabled for the account as for
/// wrong keys: <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>. See
/// docs/aws-behaviour.md#region-not-enabled.
const UNKNOWN_CALLER: [&str; 7] = [
    "AuthFailure",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
];

/// Codes of calls that the caller may not make.
const NOT_ALLOWED: [&str; 5] = [
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
];

/// What AWS says in its refusal of the policy that it comes from, and what helps.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const POLICIES: [(&str, &str); 9] = [
    (
        "service control policy",
        "A service control policy of the organisation forbids it, and a grant in the account cannot override that. \
         Ask the administrator of the organisation.",
    ),
    (
        "resource control policy",
        "A resource control policy of the organisation forbids it, and a grant in the account cannot override that. \
         Ask the administrator of the organisation.",
    ),
    (
        "permissions boundary",
        "The permissions boundary of the caller does not allow it, and no other grant can override that. Have the \
         action added to the boundary, or use a role without it.",
    ),
    (
        "session policy",
        "The session policy, with which the role was assumed, does not allow it, and no grant to the role can \
         override that. Assume the role without that policy, or with a wider one.",
    ),
    (
        "vpc endpoint policy",
        "The policy of the VPC endpoint on the way to the service does not allow it, and no grant to the caller can \
         override that. Change that policy, or call from elsewhere.",
    ),
    (
        "explicit deny in a resource-based policy",
        "The resource's own policy (of a key, bucket, secret or topic) denies it, and no grant to the caller can \
         override that. Change that policy.",
    ),
    (
        "no resource-based policy allows",
        "The resource's own policy (of a key, bucket, secret or topic) does not allow it. Have the caller added to that policy.",
    ),
    (
        "explicit deny in an identity-based policy",
        "A Deny among the caller's own policies forbids it: another grant does not help. Remove that statement, or meet its \
         condition (e.g. a login with MFA).",
    ),
    (
        "explicit deny",
        "A policy denies it explicitly: another grant does not help. Look for the Deny in the caller's, the resource's and the \
         organisation's policies.",
    ),
];

const CLOCK: &str = "Set it (e.g. `sudo timedatectl set-ntp true`) and run the same command again.";

/// What to do about a failure of a call.
pub(super) fn help(aws: &Aws, region: &Region, service: &str, failure: &Failure, cause: Cause) -> Option<String> {
    let code = failure.code.as_deref().unwrap_or_default();
    match failure.class {
        Class::Denied => Some(match cause {
            Cause::Clock(Some(ahead)) => format!("This machine's clock is wrong: it is {}. {CLOCK}", amount(ahead)),
            Cause::Clock(None) => format!("This machine's clock is wrong. {CLOCK}"),
            Cause::Expired if code == "RequestExpired" && !failure.message.contains("token") => format!(
                "This machine's clock is wrong, or the credentials have expired: EC2 returns the same error for both. Compare `date -u` with \
                 another clock. {CLOCK} If it is right, renew the credentials ({}).",
                aws.wallet.origin().renewal()
            ),
            Cause::Expired => format!(
                "The credentials have expired. Renew them ({}) and run the same command again.",
                aws.wallet.origin().renewal()
            ),
            _ => denied(aws, region, code, &failure.message),
        }),
        Class::Unreachable => Some(unreachable(aws, service, &failure.message)),
        Class::Unsupported => {
            Some("This endpoint is used in place of AWS and does not support the operation.".to_owned())
        }
        // A refusal that is not in the form of any service: what is between may have written it.
        Class::Refused | Class::Ambiguous if code.is_empty() && failure.message.starts_with("HTTP status") => {
            let proxy = proxy_before(aws.endpoint_of(service))?;
            Some(format!(
                "The answer is not in AWS's form: it may come from the proxy that {proxy} names. Hosts in NO_PROXY are called \
                 without a proxy."
            ))
        }
        // RequestLimitExceeded is about the rate of calls.
        _ if failure.class != Class::Throttled
            && (code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException")) =>
        {
            Some(
                "A quota of the account is used up. Request an increase in Service Quotas, or delete what is no \
                  longer needed."
                    .to_owned(),
            )
        }
        _ => None,
    }
}

fn denied(aws: &Aws, region: &Region, code: &str, message: &str) -> String {
    let said = message.to_ascii_lowercase();
    if UNKNOWN_CALLER.contains(&code) && aws.is_accepted_elsewhere(region) {
        return format!(
            "Is {region} enabled for the account (opt-in)? The other Region accepts the same credentials. `aws \
             account enable-region --region-name {region}` enables it, which takes minutes to hours; or choose \
             another one in [regions] of drctl.toml."
        );
    }
    let from_policy = POLICIES.iter().find(|(words, _)| said.contains(words)).map(|(_, help)| *help);
    if let Some(help) = from_policy {
        return help.to_owned();
    }
    if NOT_ALLOWED.contains(&code) || said.contains("not authorized to perform") {
        return "The credentials are valid but may not do this. Grant the action named above; docs/real-aws.md says what drctl needs."
            .to_owned();
    }
    aws.wallet.origin().advice()
}

fn unreachable(aws: &Aws, service: &str, message: &str) -> String {
    let endpoint = aws.endpoint_of(service);
    if message.contains("no CA certificates") {
        return "AWS accepts only TLS connections. On Debian and Ubuntu: `apt-get install ca-certificates`; in a \
                container: copy /etc/ssl/certs from another one."
            .to_owned();
    }
    // rustls, `error.rs`: "invalid peer certificate: UnknownIssuer", and others of its kind.
    if message.contains("invalid peer certificate") {
        let what = if message.contains("UnknownIssuer") {
            "This machine does not trust the issuer of the server's certificate: a company's CA, or a proxy that decrypts TLS. Name a \
             file with the CA's certificate in AWS_CA_BUNDLE, in `ca_bundle` of the profile, or in SSL_CERT_FILE."
        } else {
            "The server's certificate is not valid for this name or at this time. Check the endpoint's host name, this machine's \
             clock, and proxies between it and AWS."
        };
        return what.to_owned();
    }
    if let Some(proxy) = proxy_before(endpoint) {
        return format!(
            "It is called through the proxy that {proxy} names. Is that the right one? Hosts in NO_PROXY are called without a proxy."
        );
    }
    match endpoint {
        Some(endpoint) => {
            format!(
                "Is something listening at {endpoint}? It comes from --sandbox, AWS_ENDPOINT_URL or the AWS profile."
            )
        }
        None => "Check the network, proxies and AWS's health dashboard for that Region.".to_owned(),
    }
}

/// How far a clock is off, from the seconds that it is ahead.
pub(super) fn amount(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs();
    let long = if seconds >= 2 * 3600 { format!("{} h", seconds / 3600) } else { format!("{} min", seconds / 60) };
    format!("{long} {} AWS's", if ahead > 0 { "ahead of" } else { "behind" })
}
