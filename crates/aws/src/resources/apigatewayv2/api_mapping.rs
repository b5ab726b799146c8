//! `api_mapping`: which API a domain name leads to.

use aws_sdk_apigatewayv2::types::ApiMapping as Described;
use serde::{Deserialize, Serialize};

use super::{Api, DomainName, domains, id_of, or_none, pages, parts, tag_map};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};

/// The output with AWS's own id of a mapping.
const MAPPING_ID: &str = "mapping_id";

/// Which API the root of a domain name leads to. A domain name has one root, so the id is `DOMAIN/`. AWS's own id is the output
/// `mapping_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiMapping {
    /// The domain name. Immutable: forces replacement.
    pub domain: Ref<Id<DomainName>>,
    /// The API. In-place.
    pub api: Ref<Id<Api>>,
    /// The stage of the API. In-place.
    pub stage: String,
    /// Other resources that have to be ready first: the stage. They only define an order, and are never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for ApiMapping {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("domain", "a mapping cannot be moved to another domain name")],
        // A second mapping of the same path is refused.
        idempotent_create: true,
        ..TypeInfo::usual("api_mapping")
    };
    const SERVICE: &'static str = "apigateway";
    const LATENCIES: &'static [Latencies] = &[
        // Estimated from a stage.
        Latencies::of(
            1,
            Latency::of_call("CreateApiMapping", [0.5, 1.0, 5.0]),
            Latency::of_call("DeleteApiMapping", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:apigateway:{region}::/domainnames/{api_domain}/apimappings"], "apigateway", "GET POST"),
        later(
            &["arn:aws:apigateway:{region}::/domainnames/{api_domain}/apimappings/{own}"],
            "apigateway",
            "DELETE GET PATCH",
        ),
    ];
    const SAMPLE_ID: &'static str = "a1b2c3";
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(id_of(self.domain.value(), ""))
    }

    /// Lists nothing: a Region has one mapping, which is read by its domain name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let (domain, _) = parts(id);
        let mappings = mappings_of(cx, domain).await?;
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

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let (domain, _) = parts(&live.id);
        let id = live.output(MAPPING_ID).unwrap_or_default();
        let call = cx.clients().apigateway.delete_api_mapping().domain_name(domain).api_mapping_id(id).send();
        cx.mutate("apigateway", "DeleteApiMapping", call).await.map(|_| Deletion::Requested)
    }
}

/// The mappings of a domain name; none if the domain name does not exist.
pub(super) async fn mappings_of(cx: &Context, domain: &str) -> Result<Vec<Described>, Failure> {
    let gateway = &cx.clients().apigateway;
    let mappings = pages(|token| async move {
        let call = || gateway.get_api_mappings().domain_name(domain).set_next_token(token.clone()).send();
        let answer = cx.read("apigateway", "GetApiMappings", call).await?;
        Ok((answer.items, answer.next_token))
    })
    .await;
    or_none(mappings)
}

/// What the refusal to delete an API or one of its stages because of a mapping means. The stack's own mapping is deleted before it,
/// so the refusal passes. The mapping of someone else stays: then the refusal is final, and names it. See
/// docs/aws-behaviour.md#mapping-holds-domain-and-api.
pub(super) async fn still_mapped(
    cx: &Context,
    api: &str,
    stage: Option<&str>,
    refusal: Failure,
) -> Result<Failure, Failure> {
    if refusal.class != Class::Transient || !refusal.message.contains("mapping") {
        return Ok(refusal);
    }
    let mut others = Vec::new();
    for domain in domains(cx).await? {
        let name = domain.domain_name().unwrap_or_default();
        let is_ours = cx.scope.is_ours(&tag_map(domain.tags()));
        let mappings = mappings_of(cx, name).await?;
        let leading = mappings.iter().filter(|mapping| leads_to(mapping, api, stage));
        let theirs = leading.filter(|mapping| !(is_ours && is_of_root(mapping)));
        others.extend(theirs.map(|mapping| id_of(name, mapping.api_mapping_key().unwrap_or_default())));
    }
    if others.is_empty() {
        return Ok(refusal);
    }
    let message = format!("{api} has mappings that this stack has not created: {}", others.join(", "));
    Ok(Failure { class: Class::Refused, message, ..refusal }
        .help("Delete these mappings, then run the same command again."))
}

fn leads_to(mapping: &Described, api: &str, stage: Option<&str>) -> bool {
    mapping.api_id() == Some(api) && stage.is_none_or(|stage| mapping.stage() == Some(stage))
}

/// A mapping in words: its path, and the API that it leads to.
pub(super) fn in_words(mapping: &Described) -> String {
    let (path, api) = (mapping.api_mapping_key().unwrap_or_default(), mapping.api_id().unwrap_or_default());
    format!("{path} to {api}")
}

/// Whether a mapping is that of the root, which the first version of the API calls `(none)`.
pub(super) fn is_of_root(mapping: &Described) -> bool {
    matches!(mapping.api_mapping_key(), None | Some("" | "(none)"))
}

fn from_described(cx: &Context, domain: &str, mapping: &Described) -> Live {
    let mut reading = Reading::default();
    let properties = ApiMapping {
        domain: Ref::known(domain),
        // The SDK fills in an empty text for a required one that is missing.
        api: Ref::known(reading.text("api", mapping.api_id().filter(|id| !id.is_empty()))),
        stage: reading.text("stage", mapping.stage().filter(|stage| !stage.is_empty())),
        after: Vec::new(),
    };
    live(&cx.scope, &id_of(domain, ""), Phase::Ready, &reading.of(properties), None)
        .with_output(MAPPING_ID, mapping.api_mapping_id().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_leads_to_a_stage_of_an_api() {
        let mapping = Described::builder().api_mapping_key("v1").api_id("a1b2").stage("$default").build();
        assert!(leads_to(&mapping, "a1b2", None) && leads_to(&mapping, "a1b2", Some("$default")));
        assert!(!leads_to(&mapping, "a1b2", Some("test")) && !leads_to(&mapping, "c3d4", None));
        assert_eq!(in_words(&mapping), "v1 to a1b2");
    }

    #[test]
    fn only_the_root_is_ours() {
        assert!(is_of_root(&Described::builder().build()));
        assert!(is_of_root(&Described::builder().api_mapping_key("").build()));
        assert!(is_of_root(&Described::builder().api_mapping_key("(none)").build()));
        assert!(!is_of_root(&Described::builder().api_mapping_key("v1").build()));
    }
}
