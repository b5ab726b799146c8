//! `GetHealthCheckStatus`, which MiniStack does not know. Route 53's checkers have no observation of a new check at
//! first, and then report that its endpoint answers. A calculated check has no checkers, and Route 53 refuses the call.
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheckStatus.html>.
//! See docs/aws-behaviour.md#new-health-check-has-no-data.

use std::collections::HashSet;
use std::sync::Mutex;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::route53::call_as;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Answers with what the checkers observe.
#[derive(Default)]
pub(super) struct HealthCheckStatus {
    /// Account and id of the checks whose status has not been read since they were created.
    new: Mutex<HashSet<(String, String)>>,
}

impl Rule for HealthCheckStatus {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            match (call.service.as_str(), call.operation.as_str()) {
                ("route53", "CreateHealthCheck") => {
                    let mut answer = next.run(call).await;
                    if answer.is_success() {
                        answer.edit_xml(|root| {
                            let id = root.child("HealthCheck").and_then(|check| check.text_of("Id"));
                            lock(&self.new).extend(id.map(|id| (call.account.clone(), id.to_owned())));
                            false
                        });
                    }
                    answer
                }
                ("route53", "GetHealthCheckStatus") => self.status(call, next).await,
                _ => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.new).clear();
    }
}

impl HealthCheckStatus {
    async fn status(&self, call: &Call, next: Next<'_>) -> Answer {
        let path = call.uri.path().trim_end_matches("/status").to_owned();
        let Ok(uri) = path.parse() else {
            return Answer::client_error(call, "InvalidInput", "the id is not valid");
        };
        let mut answer = next.run(&mut call_as(call, Method::GET, uri, Bytes::new())).await;
        if !answer.is_success() {
            return answer;
        }
        let mut calculated = false;
        answer.edit_xml(|root| {
            let config = root.child("HealthCheck").and_then(|check| check.child("HealthCheckConfig"));
            calculated = config.and_then(|config| config.text_of("Type")) == Some("CALCULATED");
            false
        });
        if calculated {
            return Answer::client_error(call, "InvalidInput", "a calculated health check has no status");
        }
        let id = path.rsplit('/').next().unwrap_or_default();
        let is_new = lock(&self.new).remove(&(call.account.clone(), id.to_owned()));
        status_answer(if is_new { Vec::new() } else { vec![observation()] })
    }
}

fn observation() -> Element {
    let mut report = Element::new("StatusReport");
    report.set_text_of("Status", "Success: HTTP Status Code 200, OK");
    let mut observation = Element::with_children("HealthCheckObservation", vec![report]);
    observation.set_text_of("Region", "us-east-1");
    observation
}

fn status_answer(observations: Vec<Element>) -> Answer {
    let mut root = Element::new("GetHealthCheckStatusResponse");
    root.set_attributes(r#" xmlns="https://route53.amazonaws.com/doc/2013-04-01/""#);
    root.push(Element::with_children("HealthCheckObservations", observations));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Answer::new(StatusCode::OK, headers, Bytes::from(root.to_document()))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::rules::rule::tests::{Scripted, text};

    fn call(method: &str, path: &str) -> Call {
        let credential = "111122223333/20261123/us-east-1/route53/aws4_request";
        let request = Request::builder().method(method).uri(format!("/2013-04-01{path}")).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
        );
        let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
        Call::parse(parts, Bytes::new())
    }

    fn check(kind: &str) -> Scripted {
        Scripted::xml(&format!(
            "<r><HealthCheck><Id>c1</Id><HealthCheckConfig><Type>{kind}</Type></HealthCheckConfig></HealthCheck></r>"
        ))
    }

    #[tokio::test]
    async fn a_new_check_has_no_observations_yet() {
        let (rule, origin) = (HealthCheckStatus::default(), check("HTTPS"));
        rule.apply(&mut call("POST", "/healthcheck"), Next::new(&[], &origin)).await;
        let status = async || {
            let answer = rule.apply(&mut call("GET", "/healthcheck/c1/status"), Next::new(&[], &origin)).await;
            text(&answer)
        };
        let first = status().await;
        assert!(first.contains("HealthCheckObservations") && !first.contains("Success"), "{first}");
        assert!(status().await.contains("<Status>Success"));
    }

    #[tokio::test]
    async fn a_calculated_check_has_no_checkers() {
        let (rule, origin) = (HealthCheckStatus::default(), check("CALCULATED"));
        let answer = rule.apply(&mut call("GET", "/healthcheck/c1/status"), Next::new(&[], &origin)).await;
        assert!(!answer.is_success() && text(&answer).contains("InvalidInput"));
    }
}
