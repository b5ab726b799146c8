//! `api`: an HTTP API.

use std::time::Duration;

use aws_sdk_apigatewayv2::operation::get_api::GetApiOutput;
use aws_sdk_apigatewayv2::types::{Api as Described, ProtocolType};
use serde::{Deserialize, Serialize};

use super::api_mapping::still_mapped;
use super::{apis, arn, tag_map};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{API_TAGS, API_TAGS_OFF, Grant, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced, Tagging, TypeInfo, live,
};

/// An HTTP API. Outputs: `endpoint`, its URL; `host`, the URL without the scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// Its name, which need not be unique. In-place.
    pub name: String,
    /// What it is for. In-place.
    pub description: String,
    /// Whether it answers only under its domain name. In-place.
    pub disable_execute_api_endpoint: bool,
}

impl Resource for Api {
    const INFO: TypeInfo = TypeInfo {
        // An account may delete one API in 30 s.
        // See docs/aws-behaviour.md#api-gateway-slow-operations.
        patience: Duration::from_mins(10),
        ..TypeInfo::usual("api")
    };
    const SERVICE: &'static str = "apigateway";
    const LATENCIES: &'static [Latencies] = &[
        // "APIGWv2 api+integ+routes+stage": a quarter each.
        Latencies::of(
            1,
            Latency::of_call("CreateApi", [0.5, 1.0, 5.0]),
            Latency::of_call("DeleteApi", [1.0, 2.0, 30.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:apigateway:{region}::/apis"], "apigateway", "GET POST"),
        on(&["arn:aws:apigateway:{region}::/apis/{own}"], "apigateway", "GET"),
        API_TAGS,
        later(&["arn:aws:apigateway:{region}::/apis/{own}"], "apigateway", "DELETE PATCH"),
        API_TAGS_OFF,
    ];
    const SAMPLE_ID: &'static str = "a1b2c3d4e5";
    const TAGGING: Tagging = Tagging::ApiGateway;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        Ok(apis(cx).await?.iter().map(|api| from_described(cx, api)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let gateway = &cx.clients().apigateway;
        let answer = cx.read("apigateway", "GetApi", || gateway.get_api().api_id(id).send()).await?;
        Ok(Some(from_described(cx, &described(answer))))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .apigateway
            .create_api()
            .name(&self.name)
            .protocol_type(ProtocolType::Http)
            .description(&self.description)
            .disable_execute_api_endpoint(self.disable_execute_api_endpoint)
            .set_tags(Some(creation.tags.into_iter().collect()))
            .send();
        Ok(cx.mutate("apigateway", "CreateApi", call).await?.api_id.unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let call = cx
            .clients()
            .apigateway
            .update_api()
            .api_id(&live.id)
            .name(&self.name)
            .description(&self.description)
            .disable_execute_api_endpoint(self.disable_execute_api_endpoint)
            .send();
        cx.mutate("apigateway", "UpdateApi", call).await?;
        Ok(Synced::default())
    }

    /// AWS deletes everything in it with it.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().apigateway.delete_api().api_id(&live.id).send();
        match cx.mutate("apigateway", "DeleteApi", call).await {
            Ok(_) => Ok(Deletion::Requested),
            Err(failure) => Err(still_mapped(cx, &live.id, None, failure).await?),
        }
    }
}

/// The answer in the form of an item of a listing.
fn described(answer: GetApiOutput) -> Described {
    Described::builder()
        .set_api_id(answer.api_id)
        .set_name(answer.name)
        .set_description(answer.description)
        .set_disable_execute_api_endpoint(answer.disable_execute_api_endpoint)
        .set_api_endpoint(answer.api_endpoint)
        .set_tags(answer.tags)
        .build()
}

fn from_described(cx: &Context, api: &Described) -> Live {
    let id = api.api_id().unwrap_or_default();
    let mut reading = Reading::default();
    let properties = Api {
        // The SDK fills in an empty text for a required one that is missing.
        name: reading.text("name", api.name().filter(|name| !name.is_empty())),
        // Left out if it is empty, as is the flag if it is not set.
        description: api.description().unwrap_or_default().to_owned(),
        disable_execute_api_endpoint: api.disable_execute_api_endpoint().unwrap_or(false),
    };
    let tags = Some(tag_map(api.tags()));
    let found =
        live(&cx.scope, id, Phase::Ready, &reading.of(properties), tags).with_arn(arn(cx, &format!("apis/{id}")));
    match api.api_endpoint() {
        Some(endpoint) => found.with_output("endpoint", endpoint).with_output("host", host(endpoint)),
        None => found,
    }
}

/// The part of a URL after the scheme.
fn host(endpoint: &str) -> &str {
    endpoint.split_once("://").map_or(endpoint, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_scheme() {
        assert_eq!(
            host("https://a1b2.execute-api.us-east-1.amazonaws.com"),
            "a1b2.execute-api.us-east-1.amazonaws.com"
        );
        // MiniStack's endpoint has a port.
        assert_eq!(host("http://a1b2.execute-api.localhost:4566"), "a1b2.execute-api.localhost:4566");
    }
}
