//! Tags of APIs and of stages: MiniStack keeps later changes apart, and goes on showing the tags of the creation.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Uri};
use serde_json::Value;

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Puts the answer of `GetTags` into what the other reads show. Remembers nothing.
pub(super) struct ApiGatewayTags;

impl Rule for ApiGatewayTags {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            let Some(tagged) = tagged(call) else { return answer };
            let mut arns = Vec::new();
            answer.edit_json(|value| {
                arns = items(value).iter().map(|item| tagged.arn(&call.region, item)).collect();
                false
            });
            let mut tags = Vec::new();
            for arn in arns {
                tags.push(tags_of(call, &arn, next).await);
            }
            answer.edit_json(|value| {
                for (item, tags) in items(value).iter_mut().zip(tags) {
                    if let (Some(fields), Some(tags)) = (item.as_object_mut(), tags) {
                        fields.insert("tags".to_owned(), tags);
                    }
                }
                true
            });
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

/// What a read shows: APIs, or the stages of one API.
enum Tagged {
    Apis,
    /// The stages of this API.
    Stages(String),
}

impl Tagged {
    fn arn(&self, region: &str, item: &Value) -> String {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let path = match self {
            Self::Apis => text("apiId").to_owned(),
            Self::Stages(api) => format!("{api}/stages/{}", text("stageName")),
        };
        format!("arn:aws:apigateway:{region}::/apis/{path}")
    }
}

/// `GetApis`, `GetApi`, `GetStages` and `GetStage`.
fn tagged(call: &Call) -> Option<Tagged> {
    if call.service != "apigateway" || call.method != Method::GET {
        return None;
    }
    let path: Vec<&str> = call.uri.path().trim_matches('/').split('/').collect();
    match path.as_slice() {
        ["v2", "apis"] | ["v2", "apis", _] => Some(Tagged::Apis),
        ["v2", "apis", api, "stages"] | ["v2", "apis", api, "stages", _] => Some(Tagged::Stages((*api).to_owned())),
        _ => None,
    }
}

/// The items of a listing, or the one resource in the answer.
fn items(value: &mut Value) -> &mut [Value] {
    if value.get("items").is_none() {
        return std::slice::from_mut(value);
    }
    value.get_mut("items").and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

async fn tags_of(call: &Call, arn: &str, next: Next<'_>) -> Option<Value> {
    let uri: Uri = format!("/v2/tags/{arn}").parse().ok()?;
    let mut question = call.clone();
    "GetTags".clone_into(&mut question.operation);
    question.uri = uri;
    let mut tags = None;
    next.run(&mut question).await.edit_json(|value| {
        tags = value.get("tags").cloned();
        false
    });
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json;

    const STAGE: &str = "/v2/tags/arn:aws:apigateway:us-east-1::/apis/a1/stages/$default";

    async fn get(path: &str) -> String {
        let origin = Scripted::new(|call| {
            ok(match call.uri.path() {
                "/v2/apis" => r#"{"items":[{"apiId":"a1","tags":{"a":"old"}},{"apiId":"b2","tags":{}}]}"#,
                "/v2/apis/a1" => r#"{"apiId":"a1","tags":{"a":"old"}}"#,
                "/v2/apis/a1/stages/%24default" => r#"{"stageName":"$default","tags":{"a":"old"}}"#,
                "/v2/tags/arn:aws:apigateway:us-east-1::/apis/a1" => r#"{"tags":{"a":"new"}}"#,
                "/v2/tags/arn:aws:apigateway:us-east-1::/apis/b2" => r#"{"tags":{"b":"2"}}"#,
                STAGE => r#"{"tags":{"s":"1"}}"#,
                _ => r#"{"items":[{"routeKey":"GET /"}]}"#,
            })
        });
        let mut call = json("apigateway", "", "");
        call.method = Method::GET;
        call.uri = path.parse().unwrap_or_default();
        text(&ApiGatewayTags.apply(&mut call, Next::new(&[], &origin)).await)
    }

    #[tokio::test]
    async fn changed_tags_are_shown() {
        let listed = r#"{"items":[{"apiId":"a1","tags":{"a":"new"}},{"apiId":"b2","tags":{"b":"2"}}]}"#;
        assert_eq!(get("/v2/apis").await, listed);
        assert_eq!(get("/v2/apis/a1").await, r#"{"apiId":"a1","tags":{"a":"new"}}"#);
        assert_eq!(get("/v2/apis/a1/stages/%24default").await, r#"{"stageName":"$default","tags":{"s":"1"}}"#);
    }

    #[tokio::test]
    async fn other_reads_are_not_changed() {
        assert_eq!(get("/v2/apis/a1/routes").await, r#"{"items":[{"routeKey":"GET /"}]}"#);
    }
}
