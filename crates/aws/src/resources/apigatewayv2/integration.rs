//! `api_integration`: the function that an API sends its requests to.

use aws_sdk_apigatewayv2::types::{Integration as Described, IntegrationType};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Api, InApi, arn, id_of, in_apis, in_its_api, or_none, pages, parts, route};
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency};
use crate::resources::lambda::Function;
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};
use drctl_engine::TAGS;

/// The function that an API sends its requests to, each as a whole. Its id is `API/INTEGRATION`.
///
/// An integration cannot be tagged, and AWS chooses its id. So its description contains what would be its tags. They find it when
/// its record or the answer to its creation is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// The API. Immutable: forces replacement.
    pub api: Ref<Id<Api>>,
    /// The function. In-place.
    pub function: Ref<Arn<Function>>,
    /// The version of the format of events: `2.0`. In-place.
    pub payload_format: String,
    /// How long the function may take, in milliseconds; at most 30000. In-place.
    pub timeout_ms: i32,
}

impl Resource for Integration {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("api", "an integration cannot be moved to another API")],
        ..TypeInfo::usual("api_integration")
    };
    const SERVICE: &'static str = "apigateway";
    const LATENCIES: &'static [Latencies] = &[
        // "APIGWv2 api+integ+routes+stage": a quarter each.
        Latencies::of(
            1,
            Latency::of_call("CreateIntegration", [0.5, 1.0, 5.0]),
            Latency::of_call("DeleteIntegration", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:apigateway:{region}::/apis/{api}/integrations"], "apigateway", "GET POST"),
        later(&["arn:aws:apigateway:{region}::/apis/{api}/integrations/{own}"], "apigateway", "DELETE GET PATCH"),
    ];
    const SAMPLE_ID: &'static str = "a1b2c3d";
    const TAGGING: Tagging = Tagging::Description;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        in_apis::<Self>(cx).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        in_its_api::<Self>(cx, id).await
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let api = self.api.value();
        let call = cx
            .clients()
            .apigateway
            .create_integration()
            .api_id(api)
            .integration_type(IntegrationType::AwsProxy)
            .integration_uri(self.function.value())
            .payload_format_version(&self.payload_format)
            .timeout_in_millis(self.timeout_ms)
            .description(to_description(&creation.tags))
            .send();
        let answer = cx.mutate("apigateway", "CreateIntegration", call).await?;
        Ok(answer.integration_id.map(|id| id_of(api, &id)).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let (api, id) = parts(&live.id);
        let call = cx
            .clients()
            .apigateway
            .update_integration()
            .api_id(api)
            .integration_id(id)
            .integration_type(IntegrationType::AwsProxy)
            .integration_uri(self.function.value())
            .payload_format_version(&self.payload_format)
            .timeout_in_millis(self.timeout_ms)
            .send();
        cx.mutate("apigateway", "UpdateIntegration", call).await?;
        Ok(Synced::default())
    }

    /// Refused while a route leads to it. The stack's own routes refer to it, and so are deleted before it. A route of someone else
    /// stays. See docs/aws-behaviour.md#integration-held-by-route.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let (api, id) = parts(&live.id);
        let call = cx.clients().apigateway.delete_integration().api_id(api).integration_id(id).send();
        match cx.mutate("apigateway", "DeleteIntegration", call).await {
            Err(failure) if failure.class == Class::Transient => {
                let routes = route::leading_to(cx, &live.id).await?;
                Err(if routes.is_empty() { failure } else { held_by(&live.id, &routes, failure) })
            }
            answer => answer.map(|_| Deletion::Requested),
        }
    }
}

fn held_by(id: &str, routes: &[String], refusal: Failure) -> Failure {
    let message = format!("{id} is used by routes that this stack has not created: {}", routes.join(", "));
    Failure { class: Class::Refused, message, ..refusal }
        .help("Delete these routes or give them another integration, then run the same command again.")
}

/// Adds tags to those in an integration's description.
pub(in crate::resources) async fn describe(cx: &Context, live: &Live, desired: &TagMap) -> Result<(), Failure> {
    let present = live.properties.get(TAGS).and_then(|tags| TagMap::deserialize(tags).ok());
    let mut tags = present.unwrap_or_default();
    tags.extend(desired.clone());
    let (api, id) = parts(&live.id);
    let call = cx
        .clients()
        .apigateway
        .update_integration()
        .api_id(api)
        .integration_id(id)
        .integration_type(IntegrationType::AwsProxy)
        .description(to_description(&tags))
        .send();
    cx.mutate("apigateway", "UpdateIntegration", call).await.map(drop)
}

impl InApi for Integration {
    async fn of_api(cx: &Context, api: &str) -> Result<Vec<Live>, Failure> {
        let gateway = &cx.clients().apigateway;
        let integrations = pages(|token| async move {
            let call = || gateway.get_integrations().api_id(api).set_next_token(token.clone()).send();
            let answer = cx.read("apigateway", "GetIntegrations", call).await?;
            Ok((answer.items, answer.next_token))
        })
        .await;
        Ok(or_none(integrations)?.iter().map(|integration| from_described(cx, api, integration)).collect())
    }
}

fn from_described(cx: &Context, api: &str, integration: &Described) -> Live {
    let id = integration.integration_id().unwrap_or_default();
    let mut reading = Reading::default();
    let properties = Integration {
        api: Ref::known(api),
        function: Ref::known(reading.text("function", integration.integration_uri())),
        // The defaults of an HTTP API, for what was never set.
        // https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-integrations-integrationid.html
        payload_format: integration.payload_format_version().unwrap_or("1.0").to_owned(),
        timeout_ms: integration.timeout_in_millis().unwrap_or(30_000),
    };
    let tags = Some(from_description(integration.description().unwrap_or_default()));
    live(&cx.scope, &id_of(api, id), Phase::Ready, &reading.of(properties), tags)
        .with_arn(arn(cx, &format!("apis/{api}/integrations/{id}")))
}

/// Tags as a description, which may have at most 1024 characters:
/// <https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-integrations.html>
fn to_description(tags: &TagMap) -> String {
    json!(tags).to_string()
}

/// The tags in a description; none if someone else has written it.
fn from_description(description: &str) -> TagMap {
    serde_json::from_str(description).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ATTEMPT, Scope};
    use drctl_engine::state::{Address, Role};

    #[test]
    fn a_description_contains_the_tags() {
        let scope = Scope { stack: "s".repeat(32), environment: "e".repeat(32), account: "111122223333".to_owned() };
        let mut tags = scope.tags(&Address::new(Role::Secondary, "api_integration", "processor"));
        tags.insert(ATTEMPT.to_owned(), "0".repeat(32));
        let description = to_description(&tags);
        assert!(description.len() <= 1024, "{description}");
        assert_eq!(from_description(&description), tags);
    }

    #[test]
    fn a_route_of_others_is_named() {
        let refusal = Failure::new(Class::Transient, "it is referenced by a route");
        let failure = held_by("a1b2/c3d4", &["POST /refunds".to_owned()], refusal);
        assert_eq!(failure.class, Class::Refused);
        assert!(failure.message.ends_with("POST /refunds") && failure.help.is_some(), "{failure}");
    }

    #[test]
    fn other_descriptions_contain_no_tags() {
        for description in ["", "to the payment service", "[1]", r#"{"a":1}"#] {
            assert_eq!(from_description(description), TagMap::new());
        }
    }
}
