//! The data plane of HTTP APIs: who calls `http://<api>.execute-api.localhost:<port>/…` reaches the API.
//!
//! MiniStack answers under that host, too, but takes every unsigned request for one of its default account's, and `/health`
//! for its own. And it tells its own port, behind the proxy: calls would not be counted, nor would a Region that is out be
//! out for them.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Uri};
use serde_json::Value;

use crate::sandbox::proxy::answer::Answer;
use crate::sandbox::proxy::call::Call;
use crate::sandbox::proxy::rule::{Next, Rule};
use crate::sandbox::rules::Scope;
use crate::sandbox::sync::lock;

/// Whose the APIs are, by their ids.
#[derive(Default)]
pub(super) struct ExecuteApi {
    owners: Mutex<HashMap<String, Scope>>,
}

impl Rule for ExecuteApi {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if let Some(api) = api_of(call) {
                self.lead(call, &api);
                return next.run(call).await;
            }
            let tells =
                call.service == "apigateway" && call.operation.ends_with(['i', 's']) && call.operation.contains("Api");
            let mut answer = next.run(call).await;
            if tells && answer.is_success() {
                let port = port_of(call);
                answer.edit_json(|value| self.learn(call, value, port.as_deref()));
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.owners).clear();
    }
}

impl ExecuteApi {
    /// Puts the request the way that MiniStack understands, in the name of the API's owner.
    fn lead(&self, call: &mut Call, api: &str) {
        let query = call.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("/_aws/execute-api/{api}/$default{}{query}", call.uri.path());
        let owner = lock(&self.owners).get(api).cloned();
        let (Some(owner), Ok(uri)) = (owner, path.parse::<Uri>()) else { return };
        let credential = format!("{}/20260101/{}/execute-api/aws4_request", owner.account, owner.region);
        let signed = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00");
        call.uri = uri;
        call.account = owner.account;
        call.region = owner.region;
        "execute-api".clone_into(&mut call.service);
        if let Ok(signed) = HeaderValue::from_str(&signed) {
            call.headers.insert(AUTHORIZATION, signed);
        }
        call.headers.insert(HOST, HeaderValue::from_static("localhost"));
    }

    fn learn(&self, call: &Call, value: &mut Value, port: Option<&str>) -> bool {
        let apis: Vec<&mut Value> = if value.get("items").is_some() {
            value["items"].as_array_mut().map(|items| items.iter_mut().collect()).unwrap_or_default()
        } else {
            vec![value]
        };
        let mut edited = false;
        for api in apis {
            let Some(id) = api.get("apiId").and_then(Value::as_str).map(str::to_owned) else { continue };
            lock(&self.owners).insert(id.clone(), Scope::of(call));
            if let (Some(port), Some(endpoint)) = (port, api.get_mut("apiEndpoint")) {
                *endpoint = Value::String(format!("http://{id}.execute-api.localhost:{port}"));
                edited = true;
            }
        }
        edited
    }
}

/// The API that a request is for, by its host name.
fn api_of(call: &Call) -> Option<String> {
    let host = call.headers.get(HOST)?.to_str().ok()?;
    let (api, _) = host.split_once(".execute-api.")?;
    Some(api.to_owned())
}

/// The port that the caller reached the proxy at.
fn port_of(call: &Call) -> Option<String> {
    let host = call.headers.get(HOST)?.to_str().ok()?;
    host.rsplit_once(':').map(|(_, port)| port.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::sandbox::proxy::rule::tests::{Scripted, ok, text};

    fn call(method: &str, uri: &str, headers: &[(&str, &str)]) -> Call {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        Call::parse(parts, Bytes::new())
    }

    #[tokio::test]
    async fn an_api_is_reached_by_its_name_in_its_owners_account() {
        let rule = ExecuteApi::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let origin = Scripted::new(move |call| {
            lock(&log).push((call.uri.to_string(), call.account.clone(), call.region.clone()));
            ok(r#"{"items":[{"apiId":"a1b2c3d4","apiEndpoint":"http://a1b2c3d4.execute-api.localhost:9"}]}"#)
        });
        let next = Next::new(&[], &origin);
        let signed =
            "AWS4-HMAC-SHA256 Credential=111122223333/20261123/us-east-2/apigateway/aws4_request, SignedHeaders=h";
        let headers = [("host", "127.0.0.1:4000"), ("authorization", signed)];
        let answer = rule.apply(&mut call("GET", "/v2/apis", &headers), next).await;
        assert!(text(&answer).contains("http://a1b2c3d4.execute-api.localhost:4000"), "{}", text(&answer));
        let headers = [("host", "a1b2c3d4.execute-api.localhost:4000")];
        rule.apply(&mut call("GET", "/health?deep=1", &headers), next).await;
        let (uri, account, region) = lock(&seen)[1].clone();
        assert_eq!(uri, "/_aws/execute-api/a1b2c3d4/$default/health?deep=1");
        assert_eq!((account.as_str(), region.as_str()), ("111122223333", "us-east-2"));
    }

    #[tokio::test]
    async fn what_is_nobodys_api_is_passed_on_as_it_is() {
        let rule = ExecuteApi::default();
        let origin = Scripted::xml("{}");
        let mut unknown = call("GET", "/health", &[("host", "ffffffff.execute-api.localhost:4000")]);
        rule.apply(&mut unknown, Next::new(&[], &origin)).await;
        assert_eq!(unknown.uri.path(), "/health");
    }
}
