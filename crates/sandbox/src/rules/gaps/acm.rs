//! Certificates: MiniStack gives all of them RSA keys, whatever was requested, and creates a second one for the same
//! token. See docs/aws-behaviour.md#certificate-keys-read-differently.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::rules::rule::{Next, Rule};
use crate::rules::{Scope, text_of};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// The requests for certificates, by ARN.
#[derive(Default)]
pub(super) struct Acm {
    requests: Mutex<HashMap<Scope, HashMap<String, Request>>>,
}

struct Request {
    token: Option<String>,
    key_algorithm: String,
}

impl Rule for Acm {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "acm" {
                return next.run(call).await;
            }
            match call.operation.as_str() {
                "RequestCertificate" => self.request(call, next).await,
                "DescribeCertificate" => {
                    let mut answer = next.run(call).await;
                    self.described(call, &mut answer);
                    answer
                }
                "ListCertificates" => {
                    let mut answer = next.run(call).await;
                    self.listed(call, &mut answer);
                    answer
                }
                "DeleteCertificate" => {
                    let answer = next.run(call).await;
                    if let (true, Some(arn)) = (answer.is_success(), text_of(&call.json(), "CertificateArn")) {
                        lock(&self.requests).entry(Scope::of(call)).or_default().remove(&arn);
                    }
                    answer
                }
                _ => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.requests).clear();
    }
}

impl Acm {
    async fn request(&self, call: &mut Call, next: Next<'_>) -> Answer {
        let body = call.json();
        let token = text_of(&body, "IdempotencyToken");
        if let Some(arn) = self.created_with(call, token.as_ref()) {
            return Answer::aws_json(&json!({"CertificateArn": arn}));
        }
        let mut answer = next.run(call).await;
        let mut created = None;
        answer.edit_json(|value| {
            created = text_of(value, "CertificateArn");
            false
        });
        let Some(arn) = created else { return answer };
        let key_algorithm = text_of(&body, "KeyAlgorithm").unwrap_or_else(|| "RSA_2048".to_owned());
        let request = Request { token, key_algorithm };
        lock(&self.requests).entry(Scope::of(call)).or_default().insert(arn.clone(), request);
        answer
    }

    fn created_with(&self, call: &Call, token: Option<&String>) -> Option<String> {
        let requests = lock(&self.requests);
        let mut created = requests.get(&Scope::of(call))?.iter();
        created.find(|(_, request)| token.is_some() && request.token.as_ref() == token).map(|(arn, _)| arn.clone())
    }

    /// Shows the key algorithm, which AWS spells differently only in this answer: `EC-prime256v1`.
    fn described(&self, call: &Call, answer: &mut Answer) {
        let requests = lock(&self.requests);
        let Some(requests) = requests.get(&Scope::of(call)) else { return };
        answer.edit_json(|value| {
            let Some(certificate) = value.get_mut("Certificate") else { return false };
            let Some(request) = text_of(certificate, "CertificateArn").and_then(|arn| requests.get(&arn)) else {
                return false;
            };
            certificate["KeyAlgorithm"] = json!(request.key_algorithm.replace('_', "-"));
            true
        });
    }

    /// Certificates with other keys than RSA are listed only on request.
    fn listed(&self, call: &Call, answer: &mut Answer) {
        let requests = lock(&self.requests);
        let Some(requests) = requests.get(&Scope::of(call)) else { return };
        let body = call.json();
        let requested = body.pointer("/Includes/keyTypes").and_then(Value::as_array);
        answer.edit_json(|value| {
            let Some(list) = value.get_mut("CertificateSummaryList").and_then(Value::as_array_mut) else {
                return false;
            };
            list.retain_mut(|certificate| {
                let Some(request) = text_of(certificate, "CertificateArn").and_then(|arn| requests.get(&arn)) else {
                    return true;
                };
                certificate["KeyAlgorithm"] = json!(request.key_algorithm);
                match requested {
                    Some(key_types) => key_types.contains(&certificate["KeyAlgorithm"]),
                    None => request.key_algorithm == "RSA_2048",
                }
            });
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json as call;

    const REQUEST: &str = r#"{"DomainName":"a","IdempotencyToken":"t","KeyAlgorithm":"EC_prime256v1"}"#;

    fn emulator() -> Scripted {
        let created = AtomicU32::new(0);
        Scripted::new(move |call| {
            ok(&match call.operation.as_str() {
                "RequestCertificate" => {
                    format!(r#"{{"CertificateArn":"arn-{}"}}"#, created.fetch_add(1, Ordering::Relaxed))
                }
                "DescribeCertificate" => {
                    r#"{"Certificate":{"CertificateArn":"arn-0","KeyAlgorithm":"RSA_2048"}}"#.to_owned()
                }
                "ListCertificates" => r#"{"CertificateSummaryList":[{"CertificateArn":"arn-0"}]}"#.to_owned(),
                _ => "{}".to_owned(),
            })
        })
    }

    async fn ask(rule: &Acm, origin: &Scripted, operation: &str, request: &str) -> String {
        let mut call = call("acm", &format!("CertificateManager.{operation}"), request);
        text(&rule.apply(&mut call, Next::new(&[], origin)).await)
    }

    #[tokio::test]
    async fn a_certificate_has_the_requested_key() {
        let (rule, origin) = (Acm::default(), emulator());
        ask(&rule, &origin, "RequestCertificate", REQUEST).await;
        assert!(ask(&rule, &origin, "DescribeCertificate", "{}").await.contains("EC-prime256v1"));
        assert!(!ask(&rule, &origin, "ListCertificates", "{}").await.contains("arn-0"));
        let including = r#"{"Includes":{"keyTypes":["EC_prime256v1"]}}"#;
        assert!(ask(&rule, &origin, "ListCertificates", including).await.contains("arn-0"));
    }

    #[tokio::test]
    async fn the_same_token_does_not_create_a_second_certificate() {
        let (rule, origin) = (Acm::default(), emulator());
        for _ in 0..2 {
            assert!(ask(&rule, &origin, "RequestCertificate", REQUEST).await.contains("arn-0"));
        }
        ask(&rule, &origin, "DeleteCertificate", r#"{"CertificateArn":"arn-0"}"#).await;
        assert!(ask(&rule, &origin, "RequestCertificate", REQUEST).await.contains("arn-1"));
    }
}
