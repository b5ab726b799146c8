//! The event that a function gets for a request, and the answer for the function's result: the payload format 2.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::route::Match;
use crate::rules::Scope;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::form::Form;

/// The event for a request that was let through.
pub(super) fn of(call: &Call, api: &str, owner: &Scope, found: &Match<'_>, authorizer: &Value) -> Value {
    let header = |name: HeaderName| text_of(&call.headers, &name);
    let host = header(HOST);
    let now = Timestamp::now();
    let path = call.uri.path();
    let query = call.uri.query().unwrap_or_default();
    let (body, is_base64) = body_of(call);
    let mut event = json!({
        "version": "2.0",
        "routeKey": found.route["routeKey"],
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers_of(call),
        "requestContext": {
            "accountId": owner.account,
            "apiId": api,
            "authorizer": authorizer,
            "domainName": host.split(':').next(),
            "domainPrefix": api,
            "http": {
                "method": call.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": header(USER_AGENT),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": found.route["routeKey"],
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": is_base64,
    });
    // Left out instead of null if there are none.
    if !query.is_empty() {
        event["queryStringParameters"] = json!(joined(Form::parse(query.as_bytes()).pairs()));
    }
    if !found.parameters.is_empty() {
        event["pathParameters"] = Value::Object(found.parameters.clone());
    }
    if let Some(body) = body {
        event["body"] = Value::String(body);
    }
    event
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

fn headers_of(call: &Call) -> BTreeMap<String, String> {
    let pairs = call
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    joined(&pairs.collect::<Vec<_>>())
}

/// Joins repeated names with commas.
fn joined(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in pairs {
        joined
            .entry(name.clone())
            .and_modify(|values| {
                values.push(',');
                values.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    joined
}

/// A body of a text type is passed on as it is, any other in base64.
fn body_of(call: &Call) -> (Option<String>, bool) {
    if call.body().is_empty() {
        return (None, false);
    }
    let kind = text_of(&call.headers, &CONTENT_TYPE).to_lowercase();
    let is_text = ["text/", "application/json", "application/javascript", "application/xml"]
        .iter()
        .any(|start| kind.starts_with(start));
    match std::str::from_utf8(call.body()) {
        Ok(text) if is_text => (Some(text.to_owned()), false),
        _ => (Some(BASE64_STANDARD.encode(call.body())), true),
    }
}

/// The answer to the client for the result of the invocation.
pub(super) fn to_client(invocation: &Answer) -> Answer {
    let failed = || {
        let message = json!({"message": "Internal Server Error"});
        Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &message)
    };
    if !invocation.is_success() || invocation.headers.contains_key("x-amz-function-error") {
        return failed();
    }
    let Ok(result) = serde_json::from_slice::<Value>(invocation.body()) else { return failed() };
    let Some(status) = result.get("statusCode") else { return Answer::json(StatusCode::OK, &result) };
    let status = status.as_u64().and_then(|status| u16::try_from(status).ok());
    let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) else { return failed() };
    let text = result.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match result.get("isBase64Encoded").and_then(Value::as_bool) {
        Some(true) => match BASE64_STANDARD.decode(text) {
            Ok(bytes) => Bytes::from(bytes),
            Err(_) => return failed(),
        },
        _ => Bytes::from(text.to_owned()),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in result.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    headers.remove(CONTENT_LENGTH);
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain;charset=UTF-8"));
    Answer::new(status, headers, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{ok, text};

    fn event_for(headers: &[(&str, &str)], uri: &str, body: &'static str) -> Value {
        let mut request = http::Request::post(uri).header("host", "a1b2c3d4.execute-api.localhost:4000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let call = Call::parse(parts, Bytes::from_static(body.as_bytes()));
        let owner = Scope { account: "111122223333".to_owned(), region: "us-east-1".to_owned() };
        let route = json!({"routeKey": "POST /payments/{id}"});
        let parameters = [("id".to_owned(), json!("pay_1"))].into_iter().collect();
        of(&call, "a1b2c3d4", &owner, &Match { route: &route, parameters }, &json!({"iam": {"userArn": "arn"}}))
    }

    #[test]
    fn a_function_gets_the_event_of_api_gateway() {
        let headers = [("Content-Type", "application/json"), ("X-Two", "a"), ("X-Two", "b")];
        let event = event_for(&headers, "/payments/pay_1?a=1&a=2&b=%20", r#"{"amount":1}"#);
        assert_eq!((&event["version"], &event["rawPath"]), (&json!("2.0"), &json!("/payments/pay_1")));
        assert_eq!(event["queryStringParameters"], json!({"a": "1,2", "b": " "}));
        assert_eq!(event["pathParameters"], json!({"id": "pay_1"}));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(r#"{"amount":1}"#), &json!(false)));
        assert_eq!(event["headers"]["x-two"], "a,b");
        let context = &event["requestContext"];
        assert_eq!(context["authorizer"], json!({"iam": {"userArn": "arn"}}));
        assert_eq!(context["http"]["method"], "POST");
        assert_eq!(context["domainName"], "a1b2c3d4.execute-api.localhost");
        assert_eq!((&context["accountId"], &context["stage"]), (&json!("111122223333"), &json!("$default")));
    }

    #[test]
    fn missing_members_are_left_out_and_a_body_that_is_not_text_is_encoded() {
        let event = event_for(&[], "/payments/pay_1", "");
        assert_eq!((event.get("body"), event.get("queryStringParameters")), (None, None));
        let event = event_for(&[("content-type", "application/x-www-form-urlencoded")], "/payments/pay_1", "{}");
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("e30="), &json!(true)));
    }

    #[test]
    fn the_answer_is_the_functions_or_an_error() {
        let given = r#"{"statusCode": 201, "headers": {"Location": "/x", "retry-after": 5}, "body": "{}"}"#;
        let answer = to_client(&ok(given));
        assert_eq!((answer.status.as_u16(), text(&answer).as_str()), (201, "{}"));
        assert_eq!(answer.headers["location"], "/x");
        assert_eq!(answer.headers["retry-after"], "5");
        let answer = to_client(&ok(r#"{"statusCode": 200, "body": "e30=", "isBase64Encoded": true}"#));
        assert_eq!(text(&answer), "{}");
        assert_eq!(text(&to_client(&ok(r#"{"any": 1}"#))), r#"{"any":1}"#);
        let mut crashed = ok(given);
        crashed.headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
        for failed in [crashed, ok("no JSON"), ok(r#"{"statusCode": 99}"#)] {
            assert_eq!(to_client(&failed).status, 500);
        }
    }
}
