//! Amazon API Gateway, version 2 of its API: HTTP APIs, and the domain names under which they are reached.
//!
//! For AWS, the ids of integrations, routes, stages, and mappings are unique only within their API or domain. Here they begin with
//! its id.

mod api;
mod api_mapping;
mod authorizer;
mod domain_name;
mod integration;
mod route;
mod stage;

pub use api::Api;
pub use api_mapping::ApiMapping;
pub use authorizer::Authorizer;
pub use domain_name::DomainName;
pub use integration::Integration;
pub(super) use integration::describe;
pub use route::{Access, Route};
pub use stage::Stage;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_apigatewayv2::types::{Api as Described, DomainName as DescribedDomain};
use futures::future::try_join_all;

use super::{Class, Context, Failure, Live, Resource as _, unidentified};
use crate::TagMap;

/// Sets tags, and leaves others alone.
pub(super) async fn tag(cx: &Context, live: &Live, desired: &TagMap) -> Result<(), Failure> {
    let arn = live.arn.as_deref().unwrap_or_default();
    let tags = desired.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let call = cx.clients().apigateway.tag_resource().resource_arn(arn).set_tags(Some(tags)).send();
    cx.mutate("apigateway", "TagResource", call).await.map(drop)
}

/// Every API of the Region, with its tags.
async fn apis(cx: &Context) -> Result<Arc<Vec<Described>>, Failure> {
    cx.shared("apigateway_apis", move || async move {
        let gateway = &cx.clients().apigateway;
        pages(|token| async move {
            let call = || gateway.get_apis().set_next_token(token.clone()).send();
            let answer = cx.read("apigateway", "GetApis", call).await?;
            Ok((answer.items, answer.next_token))
        })
        .await
    })
    .await
}

/// Every domain name of the Region, with its tags.
async fn domains(cx: &Context) -> Result<Vec<DescribedDomain>, Failure> {
    let gateway = &cx.clients().apigateway;
    pages(|token| async move {
        let call = || gateway.get_domain_names().set_next_token(token.clone()).send();
        let answer = cx.read("apigateway", "GetDomainNames", call).await?;
        Ok((answer.items, answer.next_token))
    })
    .await
}

/// The ids of the stack's APIs.
async fn of_stack(cx: &Context) -> Result<Vec<String>, Failure> {
    let apis = apis(cx).await?;
    let ours = apis.iter().filter(|api| cx.scope.is_ours(&tag_map(api.tags())));
    ours.map(|api| api.api_id().map(str::to_owned).ok_or_else(|| unidentified(Api::INFO.kind))).collect()
}

/// A type whose resources belong to an API, and are read by listing them all: none is read by a call of its own.
trait InApi {
    /// The resources of one API; none if the API does not exist.
    fn of_api(cx: &Context, api: &str) -> impl Future<Output = Result<Vec<Live>, Failure>> + Send;
}

/// The resources of all of the stack's APIs.
async fn in_apis<R: InApi>(cx: &Context) -> Result<Vec<Live>, Failure> {
    let apis = of_stack(cx).await?;
    let found = try_join_all(apis.iter().map(|api| R::of_api(cx, api))).await?;
    Ok(found.into_iter().flatten().collect())
}

/// A resource by its id, among those of its API.
async fn in_its_api<R: InApi>(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
    let (api, _) = parts(id);
    Ok(R::of_api(cx, api).await?.into_iter().find(|live| live.id == id))
}

/// All pages of a listing. The SDK has no paginators for this service.
async fn pages<T, F>(page: impl Fn(Option<String>) -> F) -> Result<Vec<T>, Failure>
where
    F: Future<Output = Result<(Option<Vec<T>>, Option<String>), Failure>>,
{
    let mut all = Vec::new();
    let mut token = None;
    loop {
        let (items, next) = page(token).await?;
        all.extend(items.unwrap_or_default());
        token = next.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(all);
        }
    }
}

/// An API or a domain that does not exist has no resources.
fn or_none<T>(answer: Result<Vec<T>, Failure>) -> Result<Vec<T>, Failure> {
    match answer {
        Err(failure) if failure.class == Class::NotFound => Ok(Vec::new()),
        answer => answer,
    }
}

fn tag_map(tags: Option<&HashMap<String, String>>) -> TagMap {
    tags.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The id of a resource of an API or a domain.
fn id_of(parent: &str, child: &str) -> String {
    format!("{parent}/{child}")
}

/// The two parts of an id that [`id_of`] has built. The parent's id has no slash; a route's key has one.
fn parts(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or_default()
}

/// The ARN of a resource. ARNs of this service do not contain the account.
fn arn(cx: &Context, path: &str) -> String {
    format!("arn:aws:apigateway:{}::/{path}", cx.region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_split_as_they_were_built() {
        for (parent, child) in
            [("a1b2", "GET /payments/{id}"), ("a1b2", "$default"), ("a1b2", "c3d4"), ("api.example.com", "")]
        {
            assert_eq!(parts(&id_of(parent, child)), (parent, child));
        }
    }

    #[tokio::test]
    async fn all_pages_are_read() {
        let all = pages(|token| async move {
            Ok(match token.as_deref() {
                None => (Some(vec![1, 2]), Some("b".to_owned())),
                Some("b") => (None, Some("c".to_owned())),
                _ => (Some(vec![3]), Some(String::new())),
            })
        })
        .await;
        assert_eq!(all, Ok(vec![1, 2, 3]));
    }
}
