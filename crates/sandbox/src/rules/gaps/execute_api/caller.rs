//! Authorization of requests, as API Gateway checks it before it lets a request through.
//!
//! What cannot be checked without AWS is accepted: any secret for an access key, and any signature under a token.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::rules::Scope;
use crate::rules::rule::Next;
use crate::wire::answer::Answer;
use crate::wire::call::{Call, Signature};
use crate::wire::xml::Element;

/// `requestContext.authorizer.iam` of a request that is signed by a caller in the API's account; otherwise the refusal.
///
/// HTTP APIs have no resource policies, so no caller of another account can be allowed.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-access-control-iam.html>.
/// See docs/aws-behaviour.md#http-api-is-public.
pub(super) async fn signer(call: &Call, owner: &Scope, next: Next<'_>) -> Result<Value, Answer> {
    let forbidden = || Answer::json(StatusCode::FORBIDDEN, &json!({"message": "Forbidden"}));
    let is_for_it = |signed: &Signature| signed.service == "execute-api" && signed.region == owner.region;
    let Signature { key, .. } = call.signature().filter(is_for_it).ok_or_else(forbidden)?;
    let question = "Action=GetCallerIdentity&Version=2011-06-15";
    let form = "application/x-www-form-urlencoded";
    let mut question = Call::signed_by(&key, &owner.region, "sts", (Method::POST, "/"), form, question.into())
        .ok_or_else(forbidden)?;
    let answer = next.run(&mut question).await;
    let root = Element::parse(answer.body()).ok().filter(|_| answer.is_success()).ok_or_else(forbidden)?;
    let identity = |name: &str| {
        root.at(&["GetCallerIdentityResult", name]).first().map(|found| found.text().to_owned()).unwrap_or_default()
    };
    let account = identity("Account");
    if account != owner.account {
        return Err(forbidden());
    }
    let user = identity("UserId");
    Ok(json!({
        "accessKey": key,
        "accountId": account,
        "callerId": user,
        "cognitoIdentity": null,
        "principalOrgId": null,
        "userArn": identity("Arn"),
        "userId": user,
    }))
}

/// `requestContext.authorizer.jwt` of a request with a token that an authorizer accepts; otherwise the refusal.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>
pub(super) fn bearer(call: &Call, authorizer: &Value, now: Timestamp) -> Result<Value, Answer> {
    let header = call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => header,
    };
    if token.is_empty() {
        return Err(unauthorized("Bearer"));
    }
    let claims = claims(token, authorizer, now).map_err(|fault| {
        unauthorized(&format!(r#"Bearer scope="" error="invalid_token" error_description="{fault}""#))
    })?;
    let claims: Map<String, Value> =
        claims.into_iter().map(|(name, value)| (name, Value::String(as_text(&value)))).collect();
    Ok(json!({"claims": claims, "scopes": null}))
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html>
fn unauthorized(challenge: &str) -> Answer {
    let mut answer = Answer::json(StatusCode::UNAUTHORIZED, &json!({"message": "Unauthorized"}));
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        answer.headers.insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

fn claims(token: &str, authorizer: &Value, now: Timestamp) -> Result<Map<String, Value>, &'static str> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("the token is not a JSON web token");
    };
    let header = decoded(header).ok_or("the token's header cannot be decoded")?;
    let claims = decoded(claims).ok_or("the token's claims cannot be decoded")?;
    if !header.get("alg").and_then(Value::as_str).is_some_and(|algorithm| algorithm.starts_with("RS")) {
        return Err("the token is not signed with an RSA algorithm");
    }
    if !header.get("kid").is_some_and(Value::is_string) {
        return Err("the token does not name its key");
    }
    let configuration = &authorizer["jwtConfiguration"];
    if !configuration["issuer"].is_string() || claims.get("iss") != Some(&configuration["issuer"]) {
        return Err("the token does not have a valid issuer");
    }
    let wanted = configuration["audience"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has_audience = match claims.get("aud").or_else(|| claims.get("client_id")) {
        Some(Value::Array(audience)) => audience.iter().any(|one| wanted.contains(one)),
        Some(one) => wanted.contains(one),
        None => false,
    };
    if !has_audience {
        return Err("the token does not have a valid audience");
    }
    let at = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[allow(clippy::cast_precision_loss, reason = "seconds of this century are exact")]
    let now = now.as_second() as f64;
    if at("exp").is_none_or(|expiry| expiry <= now) {
        return Err("the token has expired");
    }
    if ["nbf", "iat"].into_iter().any(|name| at(name).is_some_and(|start| start > now)) {
        return Err("the token is not valid yet");
    }
    Ok(claims)
}

/// A part of a token: a JSON object in base64 for URLs, without padding (RFC 7515).
fn decoded(part: &str) -> Option<Map<String, Value>> {
    let standard = part.replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - standard.len() % 4) % 4);
    let bytes = BASE64_STANDARD.decode(format!("{standard}{padding}")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Claims are passed to an integration as text, and lists as `[a b]`.
fn as_text(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(as_text).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};

    fn request(headers: &[(&str, &str)]) -> Call {
        let mut request = http::Request::post("/payments");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        Call::parse(parts, bytes::Bytes::new())
    }

    fn owner() -> Scope {
        Scope { account: "111122223333".to_owned(), region: "us-east-1".to_owned() }
    }

    async fn signed_with(credential: &str) -> Result<Value, Answer> {
        let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:assumed-role/shop/\
                        web</Arn><UserId>AROA1:web</UserId><Account>111122223333</Account></GetCallerIdentityResult>\
                        </GetCallerIdentityResponse>";
        let origin = Scripted::new(move |call| {
            assert_eq!((call.service.as_str(), call.operation.as_str()), ("sts", "GetCallerIdentity"));
            let signature = call.headers[AUTHORIZATION].to_str().expect("a signature");
            let is_of = |key: &str| signature.contains(&format!("Credential={key}/"));
            ok(&if is_of("444455556666") {
                identity.replace("111122223333<", "444455556666<")
            } else {
                identity.to_owned()
            })
        });
        let header = format!("AWS4-HMAC-SHA256 Credential={credential}/aws4_request, SignedHeaders=host, Signature=00");
        signer(&request(&[("authorization", &header)]), &owner(), Next::new(&[], &origin)).await
    }

    #[tokio::test]
    async fn a_signature_identifies_the_caller() {
        let iam = signed_with("ASIA1/20261123/us-east-1/execute-api").await.expect("allowed");
        assert_eq!(iam["userArn"], "arn:aws:sts::111122223333:assumed-role/shop/web");
        assert_eq!((&iam["accessKey"], &iam["accountId"]), (&json!("ASIA1"), &json!("111122223333")));
        assert_eq!((&iam["callerId"], &iam["userId"]), (&json!("AROA1:web"), &json!("AROA1:web")));
    }

    #[tokio::test]
    async fn a_request_without_a_signature_for_this_api_is_refused() {
        let nowhere = Scripted::new(|_| panic!("the emulator must not be asked"));
        for headers in [&[][..], &[("authorization", "Bearer a.b.c")], &[("authorization", "AWS4-HMAC-SHA256 x")]] {
            let refusal = signer(&request(headers), &owner(), Next::new(&[], &nowhere)).await.expect_err("refused");
            assert_eq!((refusal.status.as_u16(), text(&refusal).as_str()), (403, r#"{"message":"Forbidden"}"#));
        }
        for other in [
            "111122223333/20261123/us-east-1/lambda",
            "111122223333/20261123/us-east-2/execute-api",
            "444455556666/20261123/us-east-1/execute-api",
        ] {
            assert_eq!(signed_with(other).await.expect_err("refused").status, 403, "{other}");
        }
    }

    fn encoded(value: &Value) -> String {
        let text = BASE64_STANDARD.encode(value.to_string());
        text.trim_end_matches('=').replace('+', "-").replace('/', "_")
    }

    fn token(header: &Value, claims: &Value) -> String {
        format!("{}.{}.c2ln", encoded(header), encoded(claims))
    }

    fn ask(authorization: &str) -> Result<Value, Answer> {
        let authorizer = json!({"jwtConfiguration": {"issuer": "https://id.example", "audience": ["pay", "shop"]}});
        let now = Timestamp::from_second(1_000).expect("a time");
        bearer(&request(&[("authorization", authorization)]), &authorizer, now)
    }

    #[test]
    fn a_token_of_the_issuer_for_the_audience_is_accepted() {
        let header = json!({"alg": "RS256", "kid": "1"});
        for (name, audience) in [("aud", json!("pay")), ("aud", json!(["other", "shop"])), ("client_id", json!("pay"))]
        {
            let claims =
                json!({"iss": "https://id.example", "sub": "jane?~", name: audience, "exp": 1_001, "nbf": 1_000});
            for scheme in ["Bearer ", "bearer ", ""] {
                let jwt = ask(&format!("{scheme}{}", token(&header, &claims))).expect("allowed");
                assert_eq!((&jwt["claims"]["sub"], &jwt["claims"]["exp"]), (&json!("jane?~"), &json!("1001")));
                assert_eq!(jwt["claims"][name], audience.as_str().unwrap_or("[other shop]"));
            }
        }
    }

    #[test]
    fn any_other_token_is_refused_with_the_reason() {
        let header = json!({"alg": "RS256", "kid": "1"});
        let claims = json!({"iss": "https://id.example", "sub": "s", "aud": "pay", "exp": 2_000});
        let with = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            token(&header, &claims)
        };
        for (given, reason) in [
            (String::new(), "Bearer"),
            ("a.b".to_owned(), "not a JSON web token"),
            ("!.!.!".to_owned(), "cannot be decoded"),
            (token(&json!({"alg": "HS256", "kid": "1"}), &claims), "RSA"),
            (token(&json!({"alg": "none", "kid": "1"}), &claims), "RSA"),
            (token(&json!({"alg": "RS256"}), &claims), "does not name its key"),
            (with("iss", json!("https://id.example/")), "issuer"),
            (with("iss", Value::Null), "issuer"),
            (with("aud", json!("other")), "audience"),
            (with("aud", json!(["other"])), "audience"),
            (with("exp", json!(1_000)), "expired"),
            (with("exp", Value::Null), "expired"),
            (with("nbf", json!(1_001)), "not valid yet"),
            (with("iat", json!(1_001)), "not valid yet"),
        ] {
            let refusal = ask(&format!("Bearer {given}")).expect_err("refused");
            assert_eq!((refusal.status.as_u16(), text(&refusal).as_str()), (401, r#"{"message":"Unauthorized"}"#));
            let challenge = refusal.headers[WWW_AUTHENTICATE].to_str().expect("text");
            assert!(challenge.starts_with("Bearer") && challenge.contains(reason), "{given}: {challenge}");
        }
    }
}
