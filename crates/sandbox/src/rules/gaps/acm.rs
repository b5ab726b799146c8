//! Certificates: MiniStack gives all of them RSA keys, forgets the options they are requested with, and makes another
//! one for the same token.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// What certificates were requested with, by ARN.
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
                    if let (true, Some(arn)) = (answer.is_success(), text(&call.json(), "CertificateArn")) {
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
        let token = text(&body, "IdempotencyToken");
        if let Some(arn) = self.made_by(call, token.as_ref()) {
            return Answer::aws_json(&json!({"CertificateArn": arn}));
        }
        let mut answer = next.run(call).await;
        let mut made = None;
        answer.edit_json(|value| {
            made = text(value, "CertificateArn");
            false
        });
        let Some(arn) = made else { return answer };
        let key_algorithm = text(&body, "KeyAlgorithm").unwrap_or_else(|| "RSA_2048".to_owned());
        let request = Request { token, key_algorithm };
        lock(&self.requests).entry(Scope::of(call)).or_default().insert(arn.clone(), request);
        answer
    }

    fn made_by(&self, call: &Call, token: Option<&String>) -> Option<String> {
        let requests = lock(&self.requests);
        let mut made = requests.get(&Scope::of(call))?.iter();
        made.find(|(_, request)| token.is_some() && request.token.as_ref() == token).map(|(arn, _)| arn.clone())
    }

    /// Spelled as AWS does here, and nowhere else: `EC-prime256v1`.
    fn described(&self, call: &Call, answer: &mut Answer) {
        let requests = lock(&self.requests);
        let Some(requests) = requests.get(&Scope::of(call)) else { return };
        answer.edit_json(|value| {
            let Some(certificate) = value.get_mut("Certificate") else { return false };
            let Some(request) = text(certificate, "CertificateArn").and_then(|arn| requests.get(&arn)) else {
                return false;
            };
            certificate["KeyAlgorithm"] = json!(request.key_algorithm.replace('_', "-"));
            true
        });
    }

    /// Those with other keys than RSA are listed when they are asked for.
    fn listed(&self, call: &Call, answer: &mut Answer) {
        let requests = lock(&self.requests);
        let Some(requests) = requests.get(&Scope::of(call)) else { return };
        let asked = call.json();
        let asked = asked.pointer("/Includes/keyTypes").and_then(Value::as_array);
        answer.edit_json(|value| {
            let Some(list) = value.get_mut("CertificateSummaryList").and_then(Value::as_array_mut) else {
                return false;
            };
            list.retain_mut(|certificate| {
                let Some(request) = text(certificate, "CertificateArn").and_then(|arn| requests.get(&arn)) else {
                    return true;
                };
                certificate["KeyAlgorithm"] = json!(request.key_algorithm);
                match asked {
                    Some(asked) => asked.contains(&certificate["KeyAlgorithm"]),
                    None => request.key_algorithm == "RSA_2048",
                }
            });
            true
        });
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text as body};
    use crate::wire::call::tests::json as call;

    const REQUEST: &str = r#"{"DomainName":"a","IdempotencyToken":"t","KeyAlgorithm":"EC_prime256v1"}"#;

    fn emulator() -> Scripted {
        let made = AtomicU32::new(0);
        Scripted::new(move |call| {
            ok(&match call.operation.as_str() {
                "RequestCertificate" => {
                    format!(r#"{{"CertificateArn":"arn-{}"}}"#, made.fetch_add(1, Ordering::Relaxed))
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
        body(&rule.apply(&mut call, Next::new(&[], origin)).await)
    }

    #[tokio::test]
    async fn keys_are_as_requested() {
        let (rule, origin) = (Acm::default(), emulator());
        ask(&rule, &origin, "RequestCertificate", REQUEST).await;
        assert!(ask(&rule, &origin, "DescribeCertificate", "{}").await.contains("EC-prime256v1"));
        assert!(!ask(&rule, &origin, "ListCertificates", "{}").await.contains("arn-0"));
        let including = r#"{"Includes":{"keyTypes":["EC_prime256v1"]}}"#;
        assert!(ask(&rule, &origin, "ListCertificates", including).await.contains("arn-0"));
    }

    #[tokio::test]
    async fn the_same_token_makes_no_second_one() {
        let (rule, origin) = (Acm::default(), emulator());
        for _ in 0..2 {
            assert!(ask(&rule, &origin, "RequestCertificate", REQUEST).await.contains("arn-0"));
        }
        ask(&rule, &origin, "DeleteCertificate", r#"{"CertificateArn":"arn-0"}"#).await;
        assert!(ask(&rule, &origin, "RequestCertificate", REQUEST).await.contains("arn-1"));
    }
}
