//! `api_mapping`: which API a domain name leads to.

use std::time::Duration;

use aws_sdk_apigatewayv2::types::ApiMapping as Described;
use serde::{Deserialize, Serialize};

use super::{Api, DomainName, id_of, or_none, pages, parts};
use crate::resources::{
    Change, Context, Creation, Failure, Id, Live, Phase, Ref, Removal, Resource, Synced, Tagging, Traits, live,
};

/// Where AWS's own id of a mapping is found.
const MAPPING_ID: &str = "mapping_id";

/// Which API the root of a domain name leads to. It has one, so the id is `DOMAIN/`; AWS's own is the output `mapping_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiMapping {
    /// The domain name. Immutable: forces replacement.
    pub domain: Ref<Id<DomainName>>,
    /// The API. In-place.
    pub api: Ref<Id<Api>>,
    /// The stage of it. In-place.
    pub stage: String,
    /// What has to be ready besides: the stage. Orders only, and is never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for ApiMapping {
    const TRAITS: Traits = Traits {
        kind: "api_mapping",
        immutable: &[("domain", "a mapping cannot be moved to another domain name")],
        holds: &[],
        create: Duration::from_secs(1),
        delete: Duration::from_secs(1),
        // A second one of the same path is refused.
        idempotent_create: true,
        patience: Duration::from_mins(5),
        removable: true,
    };
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(id_of(self.domain.value(), ""))
    }

    /// None: a Region has one, which is read by its domain name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let gateway = &cx.clients().apigateway;
        let (domain, _) = parts(id);
        let mappings = pages(|token| async move {
            let call = || gateway.get_api_mappings().domain_name(domain).set_next_token(token.clone()).send();
            let answer = cx.read("apigateway", "GetApiMappings", call).await?;
            Ok((answer.items, answer.next_token))
        })
        .await;
        let mappings = or_none(mappings)?;
        Ok(mappings.iter().find(|mapping| is_of_root(mapping)).map(|mapping| from_described(cx, domain, mapping)))
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let domain = self.domain.value();
        let call = cx
            .clients()
            .apigateway
            .create_api_mapping()
            .domain_name(domain)
            .api_id(self.api.value())
            .stage(&self.stage)
            .send();
        cx.mutate("apigateway", "CreateApiMapping", call).await?;
        Ok(id_of(domain, ""))
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let (domain, _) = parts(&live.id);
        let call = cx
            .clients()
            .apigateway
            .update_api_mapping()
            .domain_name(domain)
            .api_mapping_id(live.output(MAPPING_ID).unwrap_or_default())
            .api_id(self.api.value())
            .stage(&self.stage)
            .send();
        cx.mutate("apigateway", "UpdateApiMapping", call).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Removal, Failure> {
        let (domain, _) = parts(&live.id);
        let id = live.output(MAPPING_ID).unwrap_or_default();
        let call = cx.clients().apigateway.delete_api_mapping().domain_name(domain).api_mapping_id(id).send();
        cx.mutate("apigateway", "DeleteApiMapping", call).await.map(|_| Removal::Ordered)
    }
}

/// `(none)` is what the first version of the API calls the root.
fn is_of_root(mapping: &Described) -> bool {
    matches!(mapping.api_mapping_key(), None | Some("" | "(none)"))
}

fn from_described(cx: &Context, domain: &str, mapping: &Described) -> Live {
    let properties = ApiMapping {
        domain: Ref::known(domain),
        api: Ref::known(mapping.api_id().unwrap_or_default()),
        stage: mapping.stage().unwrap_or_default().to_owned(),
        after: Vec::new(),
    };
    live(&cx.scope, &id_of(domain, ""), Phase::Ready, &properties, None)
        .with_output(MAPPING_ID, mapping.api_mapping_id().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_is_ours() {
        assert!(is_of_root(&Described::builder().build()));
        assert!(is_of_root(&Described::builder().api_mapping_key("").build()));
        assert!(is_of_root(&Described::builder().api_mapping_key("(none)").build()));
        assert!(!is_of_root(&Described::builder().api_mapping_key("v1").build()));
    }
}
