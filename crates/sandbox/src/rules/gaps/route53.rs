//! Route 53: MiniStack writes the booleans of health checks as Python does, which no SDK reads as true, loses the
//! children of calculated checks, and does not know `ListTagsForResources`.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// The booleans of a health check.
const BOOLEANS: [&str; 4] = ["MeasureLatency", "EnableSNI", "Inverted", "Disabled"];

const CHILDREN: &str = "ChildHealthChecks";

/// Writes health checks and their tags as AWS does.
pub(super) struct Route53;

impl Rule for Route53 {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "route53" {
                return next.run(call).await;
            }
            match call.operation.as_str() {
                "CreateHealthCheck" | "UpdateHealthCheck" => {
                    let mut nested = with_nested_children(call);
                    let mut answer = next.run(nested.as_mut().unwrap_or(call)).await;
                    answer.edit_xml(lowercase_booleans);
                    answer
                }
                operation if operation.contains("HealthCheck") => {
                    let mut answer = next.run(call).await;
                    answer.edit_xml(lowercase_booleans);
                    answer
                }
                "ListTagsForResources" => tags_of_several(call, next).await,
                _ => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {}
}

/// Writes `True` and `False` in lower case, at any depth.
fn lowercase_booleans(element: &mut Element) -> bool {
    let mut changed = false;
    for name in BOOLEANS {
        if let Some(word @ ("True" | "False")) = element.text_of(name) {
            let word = word.to_ascii_lowercase();
            changed |= element.set_text_of(name, &word);
        }
    }
    for child in element.children_mut() {
        changed |= lowercase_booleans(child);
    }
    changed
}

/// The same call for MiniStack, which looks for the id of a child one element too deep; `None` if there are no
/// children.
fn with_nested_children(call: &Call) -> Option<Call> {
    let mut root = Element::parse(call.body()).ok()?;
    let config = if root.child(CHILDREN).is_some() { &mut root } else { root.child_mut("HealthCheckConfig")? };
    for child in config.child_mut(CHILDREN)?.children_mut() {
        let inner = child.clone();
        child.push(inner);
    }
    Some(call_as(call, call.method.clone(), call.uri.clone(), Bytes::from(root.to_document())))
}

/// Reads the tags of each resource, and answers them together.
async fn tags_of_several(call: &Call, next: Next<'_>) -> Answer {
    let kind = call.uri.path().rsplit('/').next().unwrap_or_default();
    let Ok(root) = Element::parse(call.body()) else {
        return Answer::client_error(call, "InvalidInput", "the body is not a ListTagsForResourcesRequest");
    };
    let mut sets = Vec::new();
    for id in root.at(&["ResourceIds", "ResourceId"]) {
        let Ok(uri) = format!("/2013-04-01/tags/{kind}/{}", id.text()).parse() else {
            return Answer::client_error(call, "InvalidInput", "the id is not valid");
        };
        let mut answer = next.run(&mut call_as(call, Method::GET, uri, Bytes::new())).await;
        if !answer.is_success() {
            return answer;
        }
        answer.edit_xml(|root| {
            sets.extend(root.child("ResourceTagSet").cloned());
            false
        });
    }
    answer_with("ListTagsForResourcesResponse", vec![Element::with_children("ResourceTagSets", sets)])
}

/// A successful answer of Route 53.
pub(super) fn answer_with(name: &str, members: Vec<Element>) -> Answer {
    let mut root = Element::with_children(name, members);
    root.set_attributes(r#" xmlns="https://route53.amazonaws.com/doc/2013-04-01/""#);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Answer::new(StatusCode::OK, headers, Bytes::from(root.to_document()))
}

/// Another call, made as this one's caller. The signature does not match it, but MiniStack does not check it.
pub(super) fn call_as(call: &Call, method: Method, uri: Uri, body: Bytes) -> Call {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri;
    parts.headers = call.headers.clone();
    parts.headers.remove(CONTENT_LENGTH);
    Call::parse(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};

    fn call(method: &str, path: &str, body: &str) -> Call {
        let credential = "111122223333/20261123/us-east-1/route53/aws4_request";
        let request = Request::builder().method(method).uri(format!("/2013-04-01{path}")).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
        );
        let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
        Call::parse(parts, Bytes::from(body.to_owned()))
    }

    #[tokio::test]
    async fn booleans_are_answered_in_lower_case() {
        let origin =
            Scripted::xml("<r><a><Inverted>True</Inverted><Disabled>False</Disabled><Other>True</Other></a></r>");
        for (method, path) in [("GET", "/healthcheck"), ("GET", "/healthcheck/1"), ("POST", "/healthcheck/1")] {
            let answer = Route53.apply(&mut call(method, path, "<r/>"), Next::new(&[], &origin)).await;
            let answer = text(&answer);
            assert!(
                answer.contains("<Inverted>true</Inverted><Disabled>false</Disabled><Other>True</Other>"),
                "{answer}"
            );
        }
        let answer = Route53.apply(&mut call("GET", "/hostedzone", ""), Next::new(&[], &origin)).await;
        assert!(text(&answer).contains("True"));
    }

    #[tokio::test]
    async fn children_are_sent_where_the_emulator_looks_for_them() {
        let list = "<ChildHealthChecks><ChildHealthCheck>a</ChildHealthCheck></ChildHealthChecks>";
        let deeper = "<ChildHealthCheck><ChildHealthCheck>a</ChildHealthCheck></ChildHealthCheck>";
        let origin = Scripted::xml("<r/>");
        let created = format!("<r><HealthCheckConfig>{list}</HealthCheckConfig></r>");
        Route53.apply(&mut call("POST", "/healthcheck", &created), Next::new(&[], &origin)).await;
        Route53.apply(&mut call("POST", "/healthcheck/1", &format!("<r>{list}</r>")), Next::new(&[], &origin)).await;
        Route53.apply(&mut call("POST", "/healthcheck/1", "<r><Port>443</Port></r>"), Next::new(&[], &origin)).await;
        let asked = origin.asked();
        assert!(asked[0].contains(deeper) && asked[1].contains(deeper), "{asked:?}");
        assert_eq!(asked[2], "<r><Port>443</Port></r>");
    }

    #[tokio::test]
    async fn tags_of_several_are_answered_together() {
        let origin = Scripted::new(|call| {
            assert_eq!(call.method, Method::GET);
            match call.uri.path() {
                "/2013-04-01/tags/healthcheck/gone" => {
                    Answer::refusal(call, StatusCode::NOT_FOUND, "NoSuchHealthCheck", "gone")
                }
                path => ok(&format!("<r><ResourceTagSet><ResourceId>{path}</ResourceId></ResourceTagSet></r>")),
            }
        });
        let ask = async |ids: &str| {
            let body = format!("<r><ResourceIds>{ids}</ResourceIds></r>");
            let answer = Route53.apply(&mut call("POST", "/tags/healthcheck", &body), Next::new(&[], &origin)).await;
            (answer.status, text(&answer))
        };
        let (status, together) = ask("<ResourceId>a</ResourceId><ResourceId>b</ResourceId>").await;
        assert_eq!(status, StatusCode::OK);
        for id in ["a", "b"] {
            assert!(
                together.contains(&format!("<ResourceId>/2013-04-01/tags/healthcheck/{id}</ResourceId>")),
                "{together}"
            );
        }
        let (status, refused) = ask("<ResourceId>a</ResourceId><ResourceId>gone</ResourceId>").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(refused.contains("NoSuchHealthCheck"), "{refused}");
    }
}
