//! Authorizers of APIs: MiniStack deletes one that a route uses, and accepts routes to one that does not exist.

use futures::FutureExt;
use http::{Method, StatusCode, Uri};
use serde_json::Value;

use crate::rules::rule::{Check, Next};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Refuses what would leave a route without its authorizer, in AWS's words.
/// See docs/aws-behaviour.md#authorizer-held-by-route and docs/aws-behaviour.md#new-api-parts-not-visible-yet;
/// <https://github.com/anomalyco/sst/issues/5586>, <https://github.com/anomalyco/sst/issues/4097>.
pub(super) const AUTHORIZERS: Check =
    Check(|call, next| async move { refusal(call, next).await.map_or(Ok(()), Err) }.boxed());

async fn refusal(call: &Call, next: Next<'_>) -> Option<Answer> {
    if call.service != "apigateway" {
        return None;
    }
    let path: Vec<&str> = call.uri.path().trim_matches('/').split('/').collect();
    let (["v2", "apis", api, rest @ ..], operation) = (path.as_slice(), call.operation.as_str()) else { return None };
    match (operation, rest) {
        ("DeleteAuthorizer", [_, id]) => {
            let routes = items_of(call, api, "routes", next).await;
            let route = routes.iter().find(|route| route["authorizerId"].as_str() == Some(id))?;
            let authorizers = items_of(call, api, "authorizers", next).await;
            let name = authorizers.iter().find(|authorizer| authorizer["authorizerId"].as_str() == Some(id))?["name"]
                .as_str()?;
            let key = route["routeKey"].as_str().unwrap_or_default();
            let message = format!("Cannot delete authorizer '{name}', is referenced in route: {key}");
            Some(Answer::refusal(call, StatusCode::CONFLICT, "ConflictException", &message))
        }
        ("CreateRoute" | "UpdateRoute", _) if call.json()["authorizationType"] == "JWT" => {
            let wanted = call.json()["authorizerId"].clone();
            let authorizers = items_of(call, api, "authorizers", next).await;
            if authorizers.iter().any(|authorizer| authorizer["authorizerId"] == wanted) {
                return None;
            }
            let message = "Invalid authorizer ID specified. Setting the authorization type to JWT requires a valid JWT \
                           authorizer.";
            Some(Answer::client_error(call, "BadRequestException", message))
        }
        _ => None,
    }
}

async fn items_of(call: &Call, api: &str, collection: &str, next: Next<'_>) -> Vec<Value> {
    let Ok(uri) = format!("/v2/apis/{api}/{collection}").parse::<Uri>() else { return Vec::new() };
    let mut question = call.clone();
    if collection == "routes" { "GetRoutes" } else { "GetAuthorizers" }.clone_into(&mut question.operation);
    question.method = Method::GET;
    question.uri = uri;
    let mut items = Vec::new();
    next.run(&mut question).await.edit_json(|value| {
        if let Some(found) = value["items"].as_array_mut() {
            items = std::mem::take(found);
        }
        false
    });
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::Rule as _;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json;

    async fn answer(operation: &str, path: &str, body: &str) -> (u16, String) {
        let origin = Scripted::new(|call| {
            ok(match (call.method.as_str(), call.uri.path()) {
                ("GET", "/v2/apis/a1/routes") => {
                    r#"{"items":[{"routeKey":"GET /health"},{"routeKey":"POST /payments","authorizerId":"x1"}]}"#
                }
                ("GET", "/v2/apis/a1/authorizers") => {
                    r#"{"items":[{"authorizerId":"x1","name":"tokens"},{"authorizerId":"x2","name":"old"}]}"#
                }
                _ => "done",
            })
        });
        let mut call = json("apigateway", "", body);
        operation.clone_into(&mut call.operation);
        call.uri = path.parse().expect("a path");
        let answer = AUTHORIZERS.apply(&mut call, Next::new(&[], &origin)).await;
        (answer.status.as_u16(), text(&answer))
    }

    #[tokio::test]
    async fn an_authorizer_that_a_route_uses_is_not_deleted() {
        let (status, message) = answer("DeleteAuthorizer", "/v2/apis/a1/authorizers/x1", "").await;
        assert_eq!(status, 409);
        assert!(
            message.contains("Cannot delete authorizer 'tokens', is referenced in route: POST /payments"),
            "{message}"
        );
        assert_eq!(answer("DeleteAuthorizer", "/v2/apis/a1/authorizers/x2", "").await, (200, "done".to_owned()));
        assert_eq!(answer("DeleteAuthorizer", "/v2/apis/a1/authorizers/x9", "").await, (200, "done".to_owned()));
    }

    #[tokio::test]
    async fn a_jwt_route_needs_an_existing_authorizer() {
        for (operation, path) in [("CreateRoute", "/v2/apis/a1/routes"), ("UpdateRoute", "/v2/apis/a1/routes/r1")] {
            let with = |body: &'static str| answer(operation, path, body);
            assert_eq!(with(r#"{"authorizationType":"JWT","authorizerId":"x2"}"#).await.0, 200);
            for wrong in [r#"{"authorizationType":"JWT"}"#, r#"{"authorizationType":"JWT","authorizerId":"x9"}"#] {
                let (status, message) = with(wrong).await;
                assert_eq!(status, 400, "{wrong}");
                assert!(message.contains("Invalid authorizer ID specified."), "{message}");
            }
            for other in ["{}", r#"{"authorizationType":"AWS_IAM","authorizerId":""}"#] {
                assert_eq!(with(other).await.0, 200, "{other}");
            }
        }
    }
}
