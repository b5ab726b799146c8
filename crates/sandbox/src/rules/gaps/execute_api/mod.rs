//! The data plane of HTTP APIs: a request to `http://<api>.execute-api.localhost:<port>/…` reaches the API, if its
//! route lets the request through.
//!
//! MiniStack answers under that host as well, but it takes every unsigned request for one in its default account, and
//! `/health` for its own. It also reports its own port, behind the proxy: calls would not be counted, and a Region that
//! is made unreachable would still be reachable by them. On a route with authorization, it takes any `Authorization`
//! header for a signature, and every signature for one of the API's owner; and it needs the internet to check a token.

mod caller;
mod event;
mod owners;
mod route;

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Method, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

pub(in crate::rules) use owners::Owners;

/// The data plane of HTTP APIs.
pub(super) struct ExecuteApi {
    owners: Arc<Owners>,
}

impl Rule for ExecuteApi {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if let Some((api, owner)) = self.owners.of(call) {
                return serve(call, &api, &owner, next).await;
            }
            let shows_apis =
                call.service == "apigateway" && call.operation.ends_with(['i', 's']) && call.operation.contains("Api");
            let mut answer = next.run(call).await;
            if shows_apis && answer.is_success() {
                let port = port_of(call);
                answer.edit_json(|value| self.learn(call, value, port.as_deref()));
            }
            answer
        }
        .boxed()
    }

    /// The owners are a rule of their own.
    fn reset(&self) {}
}

impl ExecuteApi {
    pub(super) fn new(owners: Arc<Owners>) -> Self {
        Self { owners }
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
            self.owners.learn(&id, call);
            if let (Some(port), Some(endpoint)) = (port, api.get_mut("apiEndpoint")) {
                *endpoint = Value::String(format!("http://{id}.execute-api.localhost:{port}"));
                edited = true;
            }
        }
        edited
    }
}

/// Answers a request after checking the authorization of its route. MiniStack answers on open routes.
async fn serve(call: &mut Call, api: &str, owner: &Scope, next: Next<'_>) -> Answer {
    let request = call.clone();
    address_to_ministack(call, api, owner);
    let routes = items_of(api, "routes", owner, next).await;
    let Some(found) = route::select(&routes, request.method.as_str(), request.uri.path()) else {
        return next.run(call).await;
    };
    let authorizer = match found.route["authorizationType"].as_str() {
        Some("AWS_IAM") => caller::signer(&request, owner, next).await.map(|iam| json!({"iam": iam})),
        Some("JWT") => {
            let authorizers = items_of(api, "authorizers", owner, next).await;
            let authorizer = authorizers.iter().find(|known| known["authorizerId"] == found.route["authorizerId"]);
            caller::bearer(&request, authorizer.unwrap_or(&Value::Null), Timestamp::now())
                .map(|jwt| json!({"jwt": jwt}))
        }
        _ => return next.run(call).await,
    };
    match authorizer {
        Ok(authorizer) => invoke(&request, api, owner, &found, &authorizer, next).await,
        Err(refusal) => refusal,
    }
}

/// Changes the request's path and signature to what MiniStack understands, as the API's owner.
fn address_to_ministack(call: &mut Call, api: &str, owner: &Scope) {
    let query = call.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("/_aws/execute-api/{api}/$default{}{query}", call.uri.path());
    let Ok(uri) = path.parse::<Uri>() else { return };
    let credential = format!("{}/20260101/{}/execute-api/aws4_request", owner.account, owner.region);
    let signed = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00");
    call.uri = uri;
    call.account.clone_from(&owner.account);
    call.region.clone_from(&owner.region);
    "execute-api".clone_into(&mut call.service);
    if let Ok(signed) = HeaderValue::from_str(&signed) {
        call.headers.insert(AUTHORIZATION, signed);
    }
    call.headers.insert(HOST, HeaderValue::from_static("localhost"));
}

/// The routes, integrations, or authorizers of an API.
async fn items_of(api: &str, collection: &str, owner: &Scope, next: Next<'_>) -> Vec<Value> {
    let path = format!("/v2/apis/{api}/{collection}");
    let json = "application/json";
    let question =
        Call::signed_by(&owner.account, &owner.region, "apigateway", (Method::GET, &path), json, Bytes::new());
    let Some(mut question) = question else { return Vec::new() };
    let mut items = Vec::new();
    next.run(&mut question).await.edit_json(|value| {
        if let Some(found) = value["items"].as_array_mut() {
            items = std::mem::take(found);
        }
        false
    });
    items
}

/// Invokes the function of a route with a request that was let through, and answers with the function's result.
async fn invoke(
    request: &Call,
    api: &str,
    owner: &Scope,
    found: &route::Match<'_>,
    authorizer: &Value,
    next: Next<'_>,
) -> Answer {
    let target = found.route["target"].as_str().and_then(|target| target.strip_prefix("integrations/"));
    let integrations = items_of(api, "integrations", owner, next).await;
    let integration = integrations.iter().find(|one| one["integrationId"].as_str() == target);
    let function = integration.and_then(|one| function_of(one["integrationUri"].as_str()?));
    let invocation = function.and_then(|function| {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let event = event::of(request, api, owner, found, authorizer).to_string();
        let (account, region) = (&owner.account, &owner.region);
        Call::signed_by(account, region, "lambda", (Method::POST, &path), "application/json", event.into())
    });
    match invocation {
        Some(mut invocation) => event::to_client(&next.run(&mut invocation).await),
        None => Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"message": "Internal Server Error"})),
    }
}

/// The name of the function in a function's ARN, or in such an ARN wrapped in that of an integration.
fn function_of(uri: &str) -> Option<&str> {
    let (_, arn) = uri.split_once(":function:")?;
    arn.split([':', '/']).next().filter(|name| !name.is_empty())
}

/// The port at which the caller reached the proxy.
fn port_of(call: &Call) -> Option<String> {
    let host = call.headers.get(HOST)?.to_str().ok()?;
    host.rsplit_once(':').map(|(_, port)| port.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use base64::prelude::{BASE64_STANDARD, Engine as _};

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::sync::lock;

    fn call(method: &str, uri: &str, headers: &[(&str, &str)]) -> Call {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        Call::parse(parts, Bytes::new())
    }

    #[tokio::test]
    async fn an_api_is_reached_by_its_host_name_in_its_owners_account() {
        let rule = ExecuteApi::new(Arc::default());
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
        let (uri, account, region) = lock(&seen)[2].clone();
        assert_eq!(uri, "/_aws/execute-api/a1b2c3d4/$default/health?deep=1");
        assert_eq!((account.as_str(), region.as_str()), ("111122223333", "us-east-2"));
    }

    /// Sends a request to an API that has one route for each type of authorization, through a rule that knows its
    /// owner.
    async fn ask(path: &str, authorization: &str) -> (Answer, Vec<String>) {
        const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=111122223333/20261123/us-east-2/apigateway/aws4_request, S=h";
        let rule = ExecuteApi::new(Arc::default());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let origin = Scripted::new(move |call| {
            lock(&log).push(format!("{} {}", call.service, call.uri.path()));
            ok(&match call.uri.path() {
                "/v2/apis" => json!({"items": [{"apiId": "a1"}]}).to_string(),
                "/v2/apis/a1/routes" => json!({"items": [
                    {"routeKey": "GET /health", "authorizationType": "NONE", "target": "integrations/i1"},
                    {"routeKey": "GET /iam", "authorizationType": "AWS_IAM", "target": "integrations/i1"},
                    {"routeKey": "GET /jwt", "authorizationType": "JWT", "authorizerId": "x1", "target": "integrations/i1"},
                ]})
                .to_string(),
                "/v2/apis/a1/authorizers" => json!({"items": [
                    {"authorizerId": "x0", "jwtConfiguration": {"issuer": "https://other", "audience": ["pay"]}},
                    {"authorizerId": "x1", "jwtConfiguration": {"issuer": "https://id", "audience": ["pay"]}},
                ]})
                .to_string(),
                "/v2/apis/a1/integrations" => json!({"items": [
                    {"integrationId": "i1", "integrationUri": "arn:aws:lambda:us-east-2:111122223333:function:pay"},
                ]})
                .to_string(),
                "/2015-03-31/functions/pay/invocations" => {
                    json!({"statusCode": 200, "body": call.json()["requestContext"]["authorizer"].to_string()}).to_string()
                }
                "/" => "<R><GetCallerIdentityResult><Arn>a</Arn><UserId>u</UserId><Account>111122223333</Account>\
                        </GetCallerIdentityResult></R>"
                    .to_owned(),
                _ => "open".to_owned(),
            })
        });
        let next = Next::new(&[], &origin);
        rule.apply(&mut call("GET", "/v2/apis", &[("host", "127.0.0.1:4000"), ("authorization", SIGNED)]), next).await;
        lock(&seen).clear();
        let host = ("host", "a1.execute-api.localhost:4000");
        let headers = [host, ("authorization", authorization)];
        let headers = if authorization.is_empty() { &headers[..1] } else { &headers[..] };
        let answer = rule.apply(&mut call("GET", path, headers), next).await;
        let seen = lock(&seen).clone();
        (answer, seen)
    }

    const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=111122223333/20261123/us-east-2/execute-api/aws4_request, S=h";

    #[tokio::test]
    async fn a_route_lets_authorized_requests_through() {
        let (answer, _) = ask("/health", "").await;
        assert_eq!(text(&answer), "open", "an open route needs no signature");
        for unsigned in ["", "Bearer a.b.c"] {
            let (answer, seen) = ask("/iam", unsigned).await;
            assert_eq!((answer.status.as_u16(), text(&answer).as_str()), (403, r#"{"message":"Forbidden"}"#));
            assert!(seen.iter().all(|call| !call.contains("functions")), "{seen:?}");
        }
        let (answer, _) = ask("/iam", SIGNATURE).await;
        let iam: Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!((&iam["iam"]["userArn"], &iam["iam"]["accountId"]), (&json!("a"), &json!("111122223333")));
        for no_token in ["", SIGNATURE, "Bearer a.b.c"] {
            let (answer, seen) = ask("/jwt", no_token).await;
            assert_eq!((answer.status.as_u16(), text(&answer).as_str()), (401, r#"{"message":"Unauthorized"}"#));
            assert!(seen.iter().all(|call| !call.contains("functions")), "{seen:?}");
        }
        let part = |value: Value| BASE64_STANDARD.encode(value.to_string()).replace('=', "");
        let claims = json!({"iss": "https://id", "aud": "pay", "sub": "s", "exp": 9_999_999_999_u64});
        let token = format!("{}.{}.c2ln", part(json!({"alg": "RS256", "kid": "1"})), part(claims));
        let (answer, _) = ask("/jwt", &format!("Bearer {token}")).await;
        let jwt: Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(jwt["jwt"]["claims"]["sub"], "s");
    }

    #[tokio::test]
    async fn a_request_is_of_its_apis_region_for_the_rules_that_come_first() {
        let owners = Arc::new(Owners::default());
        let signed = "AWS4-HMAC-SHA256 Credential=111122223333/20261123/us-east-2/apigateway/aws4_request, S=h";
        owners.learn("a1", &call("GET", "/v2/apis/a1", &[("authorization", signed)]));
        let origin = Scripted::xml("{}");
        let host = ("host", "a1.execute-api.localhost:4000");
        for authorization in ["", "Bearer a.b.c", "AWS4-HMAC-SHA256 Credential=1/20261123/eu-west-1/ec2/aws4_request"] {
            let mut request = call("GET", "/health", &[host, ("authorization", authorization)]);
            owners.apply(&mut request, Next::new(&[], &origin)).await;
            let found = (request.account.as_str(), request.region.as_str(), request.service.as_str());
            assert_eq!(found, ("111122223333", "us-east-2", "execute-api"), "{authorization}");
        }
        let mut unknown = call("GET", "/health", &[("host", "a2.execute-api.localhost:4000")]);
        owners.apply(&mut unknown, Next::new(&[], &origin)).await;
        assert!(!unknown.is_known());
    }

    #[test]
    fn functions_are_found_in_both_types_of_uri() {
        let arn = "arn:aws:lambda:us-east-1:111122223333:function:pay";
        let wrapped = format!("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations");
        assert_eq!((function_of(arn), function_of(&wrapped)), (Some("pay"), Some("pay")));
        assert_eq!(function_of("https://example.com"), None);
    }

    #[tokio::test]
    async fn a_request_to_an_unknown_api_is_passed_on_unchanged() {
        let rule = ExecuteApi::new(Arc::default());
        let origin = Scripted::xml("{}");
        let mut unknown = call("GET", "/health", &[("host", "ffffffff.execute-api.localhost:4000")]);
        rule.apply(&mut unknown, Next::new(&[], &origin)).await;
        assert_eq!(unknown.uri.path(), "/health");
    }
}
