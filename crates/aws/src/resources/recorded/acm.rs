//! AWS Certificate Manager.

use super::{Answers, NOTHING, compared, found};
use crate::resources::acm::Certificate;
use crate::resources::{Live, Owner, Phase};

const ARN: &str = "arn:aws:acm:us-east-1:123456789012:certificate/291f52cc-1817-469f-918a-cccbb4f9a5fb";

/// From cloud-custodian's recording of acm.DescribeCertificate (`test_acm_certificate_augment`): the algorithm with a hyphen,
/// while the request has an underscore; names with a trailing dot.
const CERTIFICATE: &str = r#""DomainName": "api.example.com", "SubjectAlternativeNames": ["api.example.com"],
"DomainValidationOptions": [{"DomainName": "api.example.com", "ValidationStatus": "SUCCESS", "ResourceRecord":
{"Name": "_ec80.api.example.com.", "Type": "CNAME", "Value": "_1abb.tljzshvwok.acm-validations.aws."}, "ValidationMethod": "DNS"}],
"Serial": "03:a4", "Subject": "CN=api.example.com", "Issuer": "Amazon", "CreatedAt": 1544180198.0, "IssuedAt": 1544180454.0,
"Status": "ISSUED", "NotBefore": 1544124000.0, "NotAfter": 1578380400.0, "KeyAlgorithm": "RSA-2048",
"SignatureAlgorithm": "SHA256WITHRSA", "InUseBy": [], "Type": "AMAZON_ISSUED", "KeyUsages": [{"Name": "OF_TOMORROW"}],
"RenewalEligibility": "OF_TOMORROW", "OfTomorrow": {"a": [1]}"#;

fn certificate() -> Certificate {
    Certificate { domain: "api.example.com".to_owned(), key_algorithm: "RSA_2048".to_owned() }
}

async fn read(inner: &str) -> Option<Live> {
    let tags = r#"{"Tags": [{"Key": "drctl:environment", "Value": "prod"}, {"Key": "drctl:stack", "Value": "pay"}, {"Key": "empty"}]}"#;
    let answers = Answers::default()
        .to("DescribeCertificate", format!(r#"{{"Certificate": {{"CertificateArn": "{ARN}", {inner}}}}}"#))
        .to("ListTagsForCertificate", tags);
    found::<Certificate>(answers, ARN).await
}

#[tokio::test]
async fn a_certificate_as_recorded_reads_as_it_was_requested() {
    let live = read(CERTIFICATE).await.expect("there");
    assert_eq!((compared(&certificate(), &live), &live.phase), (vec![], &Phase::Ready));
    assert_eq!(live.outputs["validation_name"], "_ec80.api.example.com");
    assert_eq!(live.outputs["validation_value"], "_1abb.tljzshvwok.acm-validations.aws");
    assert!(matches!(live.owner, Owner::Ours { .. }));
}

#[tokio::test]
async fn what_an_answer_about_a_certificate_lacks_does_not_replace_it() {
    let live = read(r#""Status": "OF_TOMORROW""#).await.expect("there");
    assert_eq!((compared(&certificate(), &live), live.phase), (vec![], Phase::Ready));
}

/// AWS's reference of `DescribeCertificate`: the record is returned some seconds after the request.
#[tokio::test]
async fn a_certificate_without_its_record_does_not_exist_yet() {
    assert!(read(r#""DomainName": "api.example.com", "Status": "PENDING_VALIDATION""#).await.is_none());
    let pending = CERTIFICATE.replace("ISSUED\", \"NotBefore", "PENDING_VALIDATION\", \"NotBefore");
    let live = read(&pending).await.expect("there");
    assert_eq!(compared(&certificate(), &live), NOTHING);
    assert!(matches!(live.phase, Phase::Pending(_)));
}
