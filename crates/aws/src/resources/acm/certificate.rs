//! `certificate`: a TLS certificate that ACM issues and renews.

use std::time::Duration;

use aws_sdk_acm::types::{
    CertificateDetail as Described, CertificateStatus, CertificateSummary, DomainValidation, FailureReason, Filters,
    KeyAlgorithm, ValidationMethod,
};
use serde::{Deserialize, Serialize};

use super::tags;
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, later, on};
use crate::resources::{
    AlsoDeleted, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced, Tagging,
    TypeInfo, Weight, goes_on, live, readable, unidentified,
};

/// A public TLS certificate for one name. ACM issues it once it sees a CNAME record that it asks for, and renews it for as long as
/// the record exists. In all Regions of an account, the record for a name is the same. See
/// docs/aws-behaviour.md#validation-record-is-shared.
///
/// Its id is its ARN. Outputs: `validation_name` and `validation_value`, the CNAME record, both without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The name that it is for. Immutable: forces replacement.
    pub domain: String,
    /// The algorithm of its key: `RSA_2048` or `EC_prime256v1`. Immutable: forces replacement.
    pub key_algorithm: String,
}

impl Resource for Certificate {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("domain", "the name of a certificate cannot be changed"),
            ("key_algorithm", "the key algorithm of a certificate cannot be changed"),
        ],
        // A token is honoured within an hour of the first request; older certificates show in listings.
        idempotent_create: true,
        // Its validation takes up to half an hour, which is within the engine's limit with this patience.
        // See docs/aws-behaviour.md#certificate-validation-takes-time.
        // API Gateway may keep it in use after its domain name is deleted: "can take >15 minutes".
        // terraform-provider-aws, internal/service/acm/certificate.go. See docs/aws-behaviour.md#certificate-in-use.
        patience: Duration::from_mins(20),
        // See docs/aws-behaviour.md#validation-record-is-shared.
        completed_by: &["validation_name", "validation_value"],
        ..TypeInfo::usual("certificate")
    };
    const SERVICE: &'static str = "acm";
    const LATENCIES: &'static [Latencies] = &[
        // "ACM cert DNS-validated": counted from when the validation record exists.
        Latencies::of(
            2,
            Latency::of_steps([30.0, 120.0, 1800.0], &[step("RequestCertificate", 1, 1.0, 119.0)]),
            Latency::of_steps([1.0, 2.0, 60.0], &[step("DeleteCertificate", 1, 2.0, 0.0)]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(ANY, "acm", "ListCertificates RequestCertificate"),
        on(
            &["arn:aws:acm:{region}:{account}:certificate/{own}"],
            "acm",
            "AddTagsToCertificate DescribeCertificate ListTagsForCertificate",
        ),
        later(
            &["arn:aws:acm:{region}:{account}:certificate/{own}"],
            "acm",
            "DeleteCertificate UpdateCertificateOptions",
        ),
    ];
    const SAMPLE_ID: &'static str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const TAGGING: Tagging = Tagging::Acm;

    /// The name. [`Resource::read`] finds the stack's own certificate by it, whatever its ARN.
    fn natural_id(&self) -> Option<String> {
        Some(self.domain.clone())
    }

    /// Lists nothing: `ListCertificates` returns the certificates of the whole account, without tags. A certificate is read by its
    /// ARN or its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let certificates = all(cx).await?;
        let arns: Vec<String> =
            certificates.into_iter().filter_map(|certificate| certificate.certificate_arn).collect();
        let mut found = Vec::new();
        for (arn, tags) in ours(cx, arns).await? {
            found.extend(describe(cx, &arn, Some(tags)).await?);
        }
        Ok(found)
    }

    /// Reads a certificate by its ARN, or the one for a name that is tagged as this stack's.
    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        if id.starts_with("arn:") {
            return describe(cx, id, None).await;
        }
        for (arn, tags) in ours(cx, named(cx, id).await?).await? {
            if let Some(live) = describe(cx, &arn, Some(tags)).await? {
                return Ok(Some(live));
            }
        }
        Ok(None)
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .acm
            .request_certificate()
            .domain_name(&self.domain)
            .validation_method(ValidationMethod::Dns)
            .key_algorithm(KeyAlgorithm::from(self.key_algorithm.as_str()))
            // ACM accepts 1 to 32 letters and digits, which the token is.
            .idempotency_token(creation.token)
            .set_tags(Some(tags(&creation.tags)?))
            .send();
        Ok(cx.mutate("acm", "RequestCertificate", call).await?.certificate_arn.unwrap_or_default())
    }

    async fn sync(&self, _: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        Ok(Synced::default())
    }

    /// The stack's own domain name also uses it, and is deleted before it.
    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        let users = users(cx, &live.id).await?;
        let others = users.iter().filter(|user| !also.contains(user));
        let hindrances = others.map(|user| format!("{user}, which is not drctl's, uses the certificate {}", live.id));
        Ok(Weight { hindrances: hindrances.collect(), ..Weight::default() })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().acm.delete_certificate().certificate_arn(&live.id).send();
        match cx.mutate("acm", "DeleteCertificate", call).await {
            Err(failure) if failure.class == Class::Transient => Err(in_use(cx, &live.id, failure).await?),
            answer => answer.map(|_| Deletion::Requested),
        }
    }
}

/// The certificates that are tagged as the stack's, with their tags.
async fn ours(cx: &Context, arns: Vec<String>) -> Result<Vec<(String, TagMap)>, Failure> {
    let mut answers = Vec::new();
    for arn in arns {
        let tags = tags_of(cx, &arn).await;
        answers.push(tags.map(|tags| tags.map(|tags| (arn, tags))));
        if !goes_on(answers.last()) {
            break;
        }
    }
    let tagged = readable(answers)?;
    Ok(tagged.into_iter().filter(|(_, tags)| cx.scope.is_ours(tags)).collect())
}

/// The refusal to delete a certificate, with the resources of others that use it. The stack's own domain name is deleted before it,
/// and API Gateway releases it by itself.
async fn in_use(cx: &Context, arn: &str, refusal: Failure) -> Result<Failure, Failure> {
    let others = users(cx, arn).await?;
    if others.is_empty() {
        return Ok(refusal);
    }
    let message = format!("{arn} is used by resources that this stack has not created: {}", others.join(", "));
    Ok(Failure { class: Class::Refused, message, ..refusal }
        .help("Give them another certificate, then run the same command again."))
}

/// The ARNs of the resources in the account that use a certificate.
async fn users(cx: &Context, arn: &str) -> Result<Vec<String>, Failure> {
    let acm = &cx.clients().acm;
    let call = || acm.describe_certificate().certificate_arn(arn).send();
    let answer = cx.read("acm", "DescribeCertificate", call).await?;
    let users = answer.certificate().map(Described::in_use_by).unwrap_or_default();
    Ok(of_account(users, &cx.scope.account).into_iter().map(str::to_owned).collect())
}

/// The users of a certificate that are the account's own. API Gateway uses it with load balancers in accounts of AWS.
fn of_account<'a>(users: &'a [String], account: &str) -> Vec<&'a str> {
    let is_own = |user: &&str| user.split(':').nth(4) == Some(account);
    users.iter().map(String::as_str).filter(is_own).collect()
}

/// The ARNs of all certificates for a name.
async fn named(cx: &Context, name: &str) -> Result<Vec<String>, Failure> {
    let certificates = all(cx).await?;
    let named = certificates.iter().filter(|certificate| certificate.domain_name() == Some(name));
    Ok(named.filter_map(CertificateSummary::certificate_arn).map(str::to_owned).collect())
}

/// Every certificate of the Region. Without a filter, ACM leaves out those with keys on elliptic curves.
/// <https://docs.aws.amazon.com/acm/latest/APIReference/API_ListCertificates.html>.
/// See docs/aws-behaviour.md#certificate-keys-read-differently.
async fn all(cx: &Context) -> Result<Vec<CertificateSummary>, Failure> {
    let acm = &cx.clients().acm;
    let kinds = vec![KeyAlgorithm::Rsa2048, KeyAlgorithm::EcPrime256v1, KeyAlgorithm::EcSecp384r1];
    let filters = Filters::builder().set_key_types(Some(kinds)).build();
    cx.pages("acm", "ListCertificates", || {
        acm.list_certificates().includes(filters.clone()).into_paginator().items().send()
    })
    .await
}

/// `None` if the certificate does not exist.
async fn tags_of(cx: &Context, arn: &str) -> Result<Option<TagMap>, Failure> {
    let acm = &cx.clients().acm;
    let call = || acm.list_tags_for_certificate().certificate_arn(arn).send();
    match cx.read("acm", "ListTagsForCertificate", call).await {
        Ok(answer) => {
            let tags = answer.tags().iter();
            Ok(Some(tags.map(|tag| (tag.key().to_owned(), tag.value().unwrap_or_default().to_owned())).collect()))
        }
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn describe(cx: &Context, arn: &str, tags: Option<TagMap>) -> Result<Option<Live>, Failure> {
    let acm = &cx.clients().acm;
    let call = || acm.describe_certificate().certificate_arn(arn).send();
    let answer = match cx.read("acm", "DescribeCertificate", call).await {
        Err(failure) if failure.class == Class::NotFound => return Ok(None),
        answer => answer?,
    };
    let tags = match tags {
        Some(tags) => Some(tags),
        None => tags_of(cx, arn).await?,
    };
    match (answer.certificate(), tags) {
        (Some(certificate), Some(tags)) => Ok(from_described(cx, arn, certificate, tags)),
        (None, Some(_)) => Err(unidentified(Certificate::INFO.kind)),
        (_, None) => Ok(None),
    }
}

/// `None` for a certificate without a validation record, which ACM returns some seconds after the request: the resources that refer
/// to the record have to wait.
fn from_described(cx: &Context, arn: &str, certificate: &Described, tags: TagMap) -> Option<Live> {
    let record = certificate.domain_validation_options().iter().find_map(DomainValidation::resource_record);
    let phase = phase(certificate);
    if record.is_none() && matches!(phase, Phase::Pending(_)) {
        return None;
    }
    let mut reading = Reading::default();
    let properties = Certificate {
        domain: reading.text("domain", certificate.domain_name().filter(|name| !name.is_empty())),
        key_algorithm: reading.value("key_algorithm", certificate.key_algorithm().map(as_requested)),
    };
    let found = live(&cx.scope, arn, phase, &reading.of(properties), Some(tags)).with_arn(arn);
    Some(match record {
        Some(record) => found
            .with_output("validation_name", record.name().trim_end_matches('.'))
            .with_output("validation_value", record.value().trim_end_matches('.')),
        None => found,
    })
}

fn phase(certificate: &Described) -> Phase {
    match certificate.status() {
        None | Some(CertificateStatus::PendingValidation) => {
            Phase::Pending("pending validation by its DNS record".to_owned())
        }
        Some(
            status @ (CertificateStatus::Failed
            | CertificateStatus::ValidationTimedOut
            | CertificateStatus::Expired
            | CertificateStatus::Revoked
            | CertificateStatus::Inactive),
        ) => {
            let words = [Some(status.as_str()), certificate.failure_reason().map(FailureReason::as_str)];
            Phase::Failed(words.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        // Issued, or in a state that AWS has added since, which is not a reason to replace it.
        Some(_) => Phase::Ready,
    }
}

/// An algorithm in the spelling of requests: descriptions say `RSA-2048` and `EC-prime256v1`.
/// terraform-provider-aws, internal/service/acm/certificate.go
fn as_requested(algorithm: &KeyAlgorithm) -> String {
    algorithm.as_str().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_as_they_are_requested() {
        for (described, requested) in
            [("RSA-2048", "RSA_2048"), ("EC-prime256v1", "EC_prime256v1"), ("EC_prime256v1", "EC_prime256v1")]
        {
            assert_eq!(as_requested(&KeyAlgorithm::from(described)), requested);
        }
    }

    #[test]
    fn other_users_of_a_certificate_are_those_of_the_account() {
        let own = "arn:aws:cloudfront::111122223333:distribution/E1".to_owned();
        let of_aws = "arn:aws:elasticloadbalancing:us-east-1:392220576650:loadbalancer/app/prod-iad-1".to_owned();
        assert_eq!(of_account(&[of_aws.clone(), own.clone()], "111122223333"), [own.as_str()]);
        assert!(of_account(&[of_aws], "111122223333").is_empty());
    }

    #[test]
    fn a_certificate_that_will_never_be_issued_has_failed() {
        let of = |status| Described::builder().status(status);
        assert_eq!(phase(&of(CertificateStatus::Issued).build()), Phase::Ready);
        assert!(matches!(phase(&of(CertificateStatus::PendingValidation).build()), Phase::Pending(_)));
        let refused = of(CertificateStatus::Failed).failure_reason(FailureReason::CaaError).build();
        assert_eq!(phase(&refused), Phase::Failed("FAILED: CAA_ERROR".to_owned()));
        assert_eq!(phase(&of(CertificateStatus::from("ADDED_BY_AWS_LATER")).build()), Phase::Ready);
        let late = of(CertificateStatus::ValidationTimedOut).build();
        assert_eq!(phase(&late), Phase::Failed("VALIDATION_TIMED_OUT".to_owned()));
    }
}
