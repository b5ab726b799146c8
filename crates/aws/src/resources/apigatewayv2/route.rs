//! `api_route`: which requests an API sends to which integration.

use aws_sdk_apigatewayv2::types::{AuthorizationType, Route as Described};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::authorizer::AUTHORIZER_ID;
use super::{Api, Authorizer, InApi, Integration, id_of, in_apis, in_its_api, or_none, pages, parts};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Handle, Id, Live, Phase, Readable, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};

/// The output with AWS's own id of a route.
const ROUTE_ID: &str = "route_id";

/// The text before an integration's id in a route's target.
const TARGET: &str = "integrations/";

/// Which requests an API sends to which integration. In an API, the key of a route is unique, so its id is `API/KEY`. AWS's own id
/// is the output `route_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The API. Immutable: forces replacement.
    pub api: Ref<Id<Api>>,
    /// Method and path, e.g. `GET /health`. Immutable: forces replacement.
    #[serde(rename = "route_key")]
    pub key: String,
    /// The integration. In-place.
    pub integration: Ref<Id<Integration>>,
    /// `NONE`, `AWS_IAM` or `JWT`. In-place.
    pub authorization_type: String,
    /// AWS's own id of the authorizer that checks tokens; empty for none. In-place.
    pub authorizer: Ref<str>,
}

/// Who may call a route.
#[derive(Debug)]
pub enum Access {
    /// Everyone.
    Open,
    /// Callers with a valid signature who are allowed `execute-api:Invoke`.
    Iam,
    /// Callers with a token that this authorizer accepts.
    Jwt(Handle<Authorizer>),
}

impl Resource for Route {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("api", "a route cannot be moved to another API"),
            ("route_key", "a route is identified by its key"),
        ],
        // A second route of the same key is refused.
        idempotent_create: true,
        ..TypeInfo::usual("api_route")
    };
    const SERVICE: &'static str = "apigateway";
    const LATENCIES: &'static [Latencies] = &[
        // "APIGWv2 api+integ+routes+stage": a quarter each.
        Latencies::of(
            1,
            Latency::of_call("CreateRoute", [0.5, 1.0, 5.0]),
            Latency::of_call("DeleteRoute", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:apigateway:{region}::/apis/{api}/routes"], "apigateway", "GET POST"),
        later(&["arn:aws:apigateway:{region}::/apis/{api}/routes/{own}"], "apigateway", "DELETE GET PATCH"),
    ];
    const SAMPLE_ID: &'static str = "a1b2c3d";
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(id_of(self.api.value(), &self.key))
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        in_apis::<Self>(cx).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        in_its_api::<Self>(cx, id).await
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let api = self.api.value();
        let authorizer = Some(self.authorizer.value()).filter(|id| !id.is_empty()).map(str::to_owned);
        let call = cx
            .clients()
            .apigateway
            .create_route()
            .api_id(api)
            .route_key(&self.key)
            .target(self.target())
            .authorization_type(self.authorization_type.as_str().into())
            .set_authorizer_id(authorizer)
            .send();
        cx.mutate("apigateway", "CreateRoute", call).await?;
        Ok(id_of(api, &self.key))
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let (api, _) = parts(&live.id);
        let call = cx
            .clients()
            .apigateway
            .update_route()
            .api_id(api)
            .route_id(live.output(ROUTE_ID).unwrap_or_default())
            .target(self.target())
            // Both: without the type, an authorizer that is no longer desired stays. An empty id removes it.
            // See docs/aws-behaviour.md#route-keeps-its-authorizer.
            .authorization_type(self.authorization_type.as_str().into())
            .authorizer_id(self.authorizer.value())
            .send();
        cx.mutate("apigateway", "UpdateRoute", call).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let (api, _) = parts(&live.id);
        let id = live.output(ROUTE_ID).unwrap_or_default();
        let call = cx.clients().apigateway.delete_route().api_id(api).route_id(id).send();
        cx.mutate("apigateway", "DeleteRoute", call).await.map(|_| Deletion::Requested)
    }
}

impl Route {
    /// A route for requests of this method and path.
    #[must_use]
    pub fn new(api: &Handle<Api>, key: &str, integration: &Handle<Integration>, access: &Access) -> Self {
        let (authorization_type, authorizer) = match access {
            Access::Open => (AuthorizationType::None, Ref::known("")),
            Access::Iam => (AuthorizationType::AwsIam, Ref::known("")),
            Access::Jwt(authorizer) => (AuthorizationType::Jwt, authorizer.output(AUTHORIZER_ID)),
        };
        Self {
            api: api.id(),
            key: key.to_owned(),
            integration: integration.id(),
            authorization_type: authorization_type.as_str().to_owned(),
            authorizer,
        }
    }

    fn target(&self) -> String {
        let (_, integration) = parts(self.integration.value());
        format!("{TARGET}{integration}")
    }
}

impl InApi for Route {
    async fn of_api(cx: &Context, api: &str) -> Result<Vec<Live>, Failure> {
        let gateway = &cx.clients().apigateway;
        let routes = pages(|token| async move {
            let call = || gateway.get_routes().api_id(api).set_next_token(token.clone()).send();
            let answer = cx.read("apigateway", "GetRoutes", call).await?;
            Ok((answer.items, answer.next_token))
        })
        .await;
        Ok(or_none(routes)?.iter().map(|route| from_described(cx, api, route)).collect())
    }
}

/// The keys of the routes that lead to an integration.
pub(super) async fn leading_to(cx: &Context, integration: &str) -> Result<Vec<String>, Failure> {
    let (api, _) = parts(integration);
    let leads = |live: &Live| live.properties.get("integration").and_then(Value::as_str) == Some(integration);
    let routes = Route::of_api(cx, api).await?;
    Ok(routes.iter().filter(|live| leads(live)).map(|live| parts(&live.id).1.to_owned()).collect())
}

fn from_described(cx: &Context, api: &str, route: &Described) -> Live {
    let key = route.route_key().unwrap_or_default();
    let integration = route.target().and_then(|target| target.strip_prefix(TARGET));
    let properties = Route {
        api: Ref::known(api),
        key: key.to_owned(),
        // Left out if the route does not lead anywhere.
        integration: Ref::known(integration.map(|id| id_of(api, id)).unwrap_or_default()),
        // A route without a type is open, and one without an authorizer does not have one.
        authorization_type: route.authorization_type().unwrap_or(&AuthorizationType::None).as_str().to_owned(),
        authorizer: Ref::known(route.authorizer_id().unwrap_or_default()),
    };
    live(&cx.scope, &id_of(api, key), Phase::Ready, &Readable::complete(properties), None)
        .with_output(ROUTE_ID, route.route_id().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_the_integration_within_its_api() {
        let route = Route {
            api: Ref::known("a1b2"),
            key: "GET /payments/{id}".to_owned(),
            integration: Ref::known("a1b2/c3d4"),
            authorization_type: "NONE".to_owned(),
            authorizer: Ref::known(""),
        };
        assert_eq!(route.target(), "integrations/c3d4");
        assert_eq!(route.natural_id().as_deref(), Some("a1b2/GET /payments/{id}"));
    }
}
