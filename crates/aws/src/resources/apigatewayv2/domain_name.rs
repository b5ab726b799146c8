//! `api_domain`: a domain name of the stack, under which an API is reached.

use std::time::Duration;

use aws_sdk_apigatewayv2::types::{
    DomainNameConfiguration as Configuration, DomainNameStatus, EndpointType, SecurityPolicy,
};
use serde::{Deserialize, Serialize};

use super::api_mapping::{in_words, is_of_root, mappings_of};
use super::{arn, domains, tag_map};
use crate::resources::acm::Certificate;
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{API_TAGS, API_TAGS_OFF, Grant, later, on};
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, live, read_each,
};

/// A domain name under which an API of the Region is reached. Outputs: `target_domain` and `target_zone`, the target for an alias
/// record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainName {
    /// The name. Immutable: forces replacement.
    pub name: String,
    /// Its certificate, which has to be in the same Region, and issued. In-place.
    pub certificate: Ref<Arn<Certificate>>,
    /// The oldest version of TLS that clients may use: `TLS_1_2`. In-place.
    pub security_policy: String,
}

impl Resource for DomainName {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a domain name cannot be renamed")],
        // A certificate in use cannot be deleted.
        holds: &["certificate"],
        // A second domain of the same name is refused.
        idempotent_create: true,
        // An account may make one call in 30 s. See docs/aws-behaviour.md#api-gateway-slow-operations.
        patience: Duration::from_mins(10),
        ..TypeInfo::usual("api_domain")
    };
    const SERVICE: &'static str = "apigateway";
    const LATENCIES: &'static [Latencies] = &[
        // "APIGWv2 domain (Regional)".
        Latencies::of(
            1,
            Latency::of_call("CreateDomainName", [2.0, 10.0, 90.0]),
            Latency::of_call("DeleteDomainName", [1.0, 3.0, 60.0]),
        ),
    ];
    const UPDATE_SECONDS: f64 = 10.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:apigateway:{region}::/domainnames"], "apigateway", "POST"),
        on(&["arn:aws:apigateway:{region}::/domainnames/{own}"], "apigateway", "GET"),
        API_TAGS,
        later(&["arn:aws:apigateway:{region}::/domainnames/{own}"], "apigateway", "DELETE PATCH"),
        API_TAGS_OFF,
    ];
    const TAGGING: Tagging = Tagging::ApiGateway;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Lists nothing: a Region has one domain name, which is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ours = domains(cx).await?.into_iter().filter(|domain| cx.scope.is_ours(&tag_map(domain.tags())));
        read_each::<Self>(cx, ours.filter_map(|domain| domain.domain_name).collect()).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let gateway = &cx.clients().apigateway;
        let domain =
            cx.read("apigateway", "GetDomainName", || gateway.get_domain_name().domain_name(id).send()).await?;
        let configuration = domain.domain_name_configurations().first();
        let policy = configuration.and_then(Configuration::security_policy).map(SecurityPolicy::as_str);
        let mut reading = Reading::default();
        let properties = DomainName {
            name: id.to_owned(),
            certificate: Ref::known(
                reading.text("certificate", configuration.and_then(Configuration::certificate_arn)),
            ),
            security_policy: reading.text("security_policy", policy),
        };
        let mut found =
            live(&cx.scope, id, phase(configuration), &reading.of(properties), Some(tag_map(domain.tags())))
                .with_arn(arn(cx, &format!("domainnames/{id}")));
        if let Some(target) = configuration.and_then(Configuration::api_gateway_domain_name) {
            found = found.with_output("target_domain", target);
        }
        if let Some(zone) = configuration.and_then(Configuration::hosted_zone_id) {
            found = found.with_output("target_zone", zone);
        }
        Ok(Some(found))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .apigateway
            .create_domain_name()
            .domain_name(&self.name)
            .domain_name_configurations(self.configuration())
            .set_tags(Some(creation.tags.into_iter().collect()))
            .send();
        cx.mutate("apigateway", "CreateDomainName", call).await?;
        Ok(self.name.clone())
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let call = cx
            .clients()
            .apigateway
            .update_domain_name()
            .domain_name(&live.id)
            .domain_name_configurations(self.configuration())
            .send();
        cx.mutate("apigateway", "UpdateDomainName", call).await?;
        Ok(Synced::default())
    }

    /// AWS deletes its mappings with it, so it is kept while it has mappings of someone else.
    /// See docs/aws-behaviour.md#mapping-holds-domain-and-api.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let others = mappings_of(cx, &live.id).await?;
        let others: Vec<String> = others.iter().filter(|mapping| !is_of_root(mapping)).map(in_words).collect();
        if !others.is_empty() {
            let message = format!("{} has mappings that this stack has not created: {}", live.id, others.join(", "));
            return Err(Failure::new(Class::Refused, message)
                .help("Delete these mappings or move them to another domain name, then run the same command again."));
        }
        let call = cx.clients().apigateway.delete_domain_name().domain_name(&live.id).send();
        cx.mutate("apigateway", "DeleteDomainName", call).await.map(|_| Deletion::Requested)
    }
}

impl DomainName {
    /// The whole configuration, which also an update has to name.
    fn configuration(&self) -> Configuration {
        Configuration::builder()
            .certificate_arn(self.certificate.value())
            .endpoint_type(EndpointType::Regional)
            .security_policy(SecurityPolicy::from(self.security_policy.as_str()))
            .build()
    }
}

fn phase(configuration: Option<&Configuration>) -> Phase {
    let status = configuration.and_then(Configuration::domain_name_status);
    match status {
        Some(
            status @ (DomainNameStatus::Updating
            | DomainNameStatus::PendingCertificateReimport
            | DomainNameStatus::PendingOwnershipVerification),
        ) => {
            let message = configuration.and_then(Configuration::domain_name_status_message);
            let words = [Some(status.as_str()), message.filter(|message| !message.is_empty())];
            Phase::Pending(words.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        // A state that AWS has added since is not waited for, either.
        _ => Phase::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_waited_for_in_the_words_of_aws() {
        let of = |status| Configuration::builder().domain_name_status(status);
        assert_eq!(phase(Some(&of(DomainNameStatus::Available).build())), Phase::Ready);
        let updating = of(DomainNameStatus::Updating).domain_name_status_message("new certificate").build();
        assert_eq!(phase(Some(&updating)), Phase::Pending("UPDATING: new certificate".to_owned()));
        assert_eq!(phase(None), Phase::Ready);
        assert_eq!(phase(Some(&of(DomainNameStatus::from("ADDED_BY_AWS_LATER")).build())), Phase::Ready);
    }
}
