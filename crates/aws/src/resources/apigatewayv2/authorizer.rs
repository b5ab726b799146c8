//! `api_authorizer`: which tokens an API accepts.

use aws_sdk_apigatewayv2::types::{Authorizer as Described, AuthorizerType, JwtConfiguration};
use serde::{Deserialize, Serialize};

use super::{Api, InApi, id_of, in_apis, in_its_api, or_none, pages, parts};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging, TypeInfo,
    live,
};

/// The output with AWS's own id of an authorizer.
pub(super) const AUTHORIZER_ID: &str = "authorizer_id";

/// The header with the token, with or without `Bearer` before it.
const IDENTITY_SOURCE: &str = "$request.header.Authorization";

/// Which JSON Web Tokens an API accepts. An authorizer cannot be tagged. drctl chooses its name, which is unique in its API, so its
/// id is `API/NAME`. AWS's own id is the output `authorizer_id`.
///
/// API Gateway reads the issuer's discovery document when an authorizer is created, and the issuer's keys when it receives a
/// request: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorizer {
    /// The API. Immutable: forces replacement.
    pub api: Ref<Id<Api>>,
    /// Its name. Immutable: forces replacement.
    pub name: String,
    /// The identity provider's URL, exactly as in the `iss` of its tokens. In-place.
    pub issuer: String,
    /// The values that a token's `aud` may have, or its `client_id` if it has no `aud`. In-place.
    pub audience: Vec<String>,
    /// Where a request contains its token. In-place.
    pub identity_source: Vec<String>,
}

impl Authorizer {
    /// For tokens in the `Authorization` header.
    #[must_use]
    pub fn bearer(api: Ref<Id<Api>>, name: &str, issuer: &str, audience: &[String]) -> Self {
        Self {
            api,
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            audience: sorted(audience.to_vec()),
            identity_source: vec![IDENTITY_SOURCE.to_owned()],
        }
    }

    fn jwt(&self) -> JwtConfiguration {
        JwtConfiguration::builder().issuer(&self.issuer).set_audience(Some(self.audience.clone())).build()
    }
}

impl Resource for Authorizer {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("api", "an authorizer cannot be moved to another API"),
            ("name", "an authorizer is identified by its name"),
        ],
        ..TypeInfo::usual("api_authorizer")
    };
    const SERVICE: &'static str = "apigateway";
    const LATENCIES: &'static [Latencies] = &[
        // "APIGWv2 api+integ+routes+stage": a quarter each.
        Latencies::of(
            1,
            Latency::of_call("CreateAuthorizer", [0.5, 1.0, 5.0]),
            Latency::of_call("DeleteAuthorizer", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:apigateway:{region}::/apis/{api}/authorizers"], "apigateway", "GET POST"),
        later(&["arn:aws:apigateway:{region}::/apis/{api}/authorizers/{own}"], "apigateway", "DELETE GET PATCH"),
    ];
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(id_of(self.api.value(), &self.name))
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        in_apis::<Self>(cx).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        in_its_api::<Self>(cx, id).await
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let api = self.api.value();
        let call = cx
            .clients()
            .apigateway
            .create_authorizer()
            .api_id(api)
            .name(&self.name)
            .authorizer_type(AuthorizerType::Jwt)
            .set_identity_source(Some(self.identity_source.clone()))
            .jwt_configuration(self.jwt())
            .send();
        cx.mutate("apigateway", "CreateAuthorizer", call).await.map_err(about_issuer)?;
        Ok(id_of(api, &self.name))
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let (api, _) = parts(&live.id);
        let call = cx
            .clients()
            .apigateway
            .update_authorizer()
            .api_id(api)
            .authorizer_id(live.output(AUTHORIZER_ID).unwrap_or_default())
            .authorizer_type(AuthorizerType::Jwt)
            .set_identity_source(Some(self.identity_source.clone()))
            .jwt_configuration(self.jwt())
            .send();
        cx.mutate("apigateway", "UpdateAuthorizer", call).await.map_err(about_issuer)?;
        Ok(Synced::default())
    }

    /// Refused while a route refers to it: routes are changed or deleted first.
    /// See docs/aws-behaviour.md#authorizer-held-by-route.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let (api, _) = parts(&live.id);
        let id = live.output(AUTHORIZER_ID).unwrap_or_default();
        let call = cx.clients().apigateway.delete_authorizer().api_id(api).authorizer_id(id).send();
        cx.mutate("apigateway", "DeleteAuthorizer", call).await.map(|_| Deletion::Requested)
    }
}

impl InApi for Authorizer {
    async fn of_api(cx: &Context, api: &str) -> Result<Vec<Live>, Failure> {
        let gateway = &cx.clients().apigateway;
        let authorizers = pages(|token| async move {
            let call = || gateway.get_authorizers().api_id(api).set_next_token(token.clone()).send();
            let answer = cx.read("apigateway", "GetAuthorizers", call).await?;
            Ok((answer.items, answer.next_token))
        })
        .await;
        Ok(or_none(authorizers)?.iter().map(|authorizer| from_described(cx, api, authorizer)).collect())
    }
}

fn from_described(cx: &Context, api: &str, authorizer: &Described) -> Live {
    let name = authorizer.name().unwrap_or_default();
    let jwt = authorizer.jwt_configuration();
    // An authorizer of another type does not have these, which is a difference.
    let is_jwt = authorizer.authorizer_type().is_none_or(|kind| *kind == AuthorizerType::Jwt);
    let issuer = jwt.and_then(JwtConfiguration::issuer).or((!is_jwt).then_some(""));
    let audience = jwt.and_then(|jwt| jwt.audience.clone()).or((!is_jwt).then(Vec::new));
    let mut reading = Reading::default();
    let properties = Authorizer {
        api: Ref::known(api),
        name: name.to_owned(),
        issuer: reading.text("issuer", issuer),
        audience: reading.value("audience", audience.map(sorted)),
        identity_source: reading.value("identity_source", authorizer.identity_source.clone()),
    };
    live(&cx.scope, &id_of(api, name), Phase::Ready, &reading.of(properties), None)
        .with_output(AUTHORIZER_ID, authorizer.authorizer_id().unwrap_or_default())
}

/// Audiences in a fixed order: their order has no meaning, and AWS does not promise one.
fn sorted(mut audience: Vec<String>) -> Vec<String> {
    audience.sort();
    audience
}

/// Adds what to check if API Gateway refuses the issuer, which it contacts before it accepts it.
fn about_issuer(failure: Failure) -> Failure {
    if !failure.message.to_lowercase().contains("issuer") {
        return failure;
    }
    failure.help(
        "Open `<jwt_issuer>/.well-known/openid-configuration` from outside your network: it has to answer within 1.5 s, with \
         a public certificate, and its `issuer` has to be exactly `jwt_issuer` in [api], including a slash at the end.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Class;

    #[test]
    fn audiences_have_no_order() {
        let of = |audience: &[&str]| {
            let audience: Vec<String> = audience.iter().map(ToString::to_string).collect();
            Authorizer::bearer(Ref::known("a1b2"), "tokens", "https://id.example.com", &audience)
        };
        assert_eq!(of(&["shop", "pay"]), of(&["pay", "shop"]));
        assert_ne!(of(&["shop"]), of(&["pay"]));
        assert_eq!(of(&["pay"]).natural_id().as_deref(), Some("a1b2/tokens"));
    }

    #[test]
    fn a_refused_issuer_is_explained_and_nothing_else_is() {
        let refused = |message: &str| about_issuer(Failure::new(Class::Refused, message)).help;
        let invalid =
            "Caught exception when connecting to https://id.example.com/.well-known/openid-configuration for issuer";
        assert!(refused(invalid).is_some_and(|help| help.contains("has to be exactly")));
        assert_eq!(refused("Invalid API identifier specified"), None);
    }
}
