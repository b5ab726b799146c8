//! `force-ssl-default` and `static-parameters`: the source of a cluster parameter's value, and when the value can
//! change.
//!
//! On AWS, the source of a value is `user` only as long as the value differs from the default: a parameter that is set
//! to its default is listed under `system`. For MiniStack, the source of whatever was set is `user`, and it knows few
//! parameters. <https://github.com/hashicorp/terraform-provider-aws/issues/23335>.
//! See docs/aws-behaviour.md#force-ssl-default and docs/aws-behaviour.md#static-parameters.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::parameter;
use crate::rules::ask;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::form::Form;
use crate::wire::xml::Element;

/// A cluster parameter with its default value.
struct DefaultParameter {
    name: &'static str,
    default: &'static str,
    /// `static` parameters are read only at start.
    apply_type: &'static str,
    data_type: &'static str,
}

/// The parameters of Aurora PostgreSQL that are commonly set. All of them are shown with the source `system`.
static DEFAULTS: [DefaultParameter; 5] = [
    DefaultParameter { name: "rds.force_ssl", default: "0", apply_type: "dynamic", data_type: "boolean" },
    DefaultParameter { name: "rds.logical_replication", default: "0", apply_type: "static", data_type: "boolean" },
    DefaultParameter { name: "rds.global_db_rpo", default: "-1", apply_type: "dynamic", data_type: "integer" },
    DefaultParameter {
        name: "shared_preload_libraries",
        default: "pg_stat_statements",
        apply_type: "static",
        data_type: "list",
    },
    DefaultParameter { name: "timezone", default: "UTC", apply_type: "dynamic", data_type: "string" },
];

const FAMILY: &str = "aurora-postgresql";

/// From this major version, TLS is required by default.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.Security.html>
const TLS_SINCE: u32 = 17;

impl DefaultParameter {
    fn default_in(&self, family: &str) -> &'static str {
        let major = family.strip_prefix(FAMILY).and_then(|major| major.parse::<u32>().ok());
        match self.name {
            "rds.force_ssl" if major.is_some_and(|major| major >= TLS_SINCE) => "1",
            _ => self.default,
        }
    }

    fn element(&self, family: &str) -> Element {
        let texts = [
            ("ParameterName", self.name),
            ("ParameterValue", self.default_in(family)),
            ("Source", "system"),
            ("ApplyType", self.apply_type),
            ("DataType", self.data_type),
            ("IsModifiable", "true"),
            ("ApplyMethod", "pending-reboot"),
        ];
        let children = texts.into_iter().map(|(name, text)| Element::with_text(name, text)).collect();
        Element::with_children("Parameter", children)
    }
}

/// Shows the right sources of parameters, and refuses immediate changes of static ones.
pub(super) struct Parameters;

impl Rule for Parameters {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            match (call.service.as_str(), call.operation.as_str()) {
                ("rds", "DescribeDBClusterParameters") => described(call, next).await,
                ("rds", "ModifyDBClusterParameterGroup" | "ResetDBClusterParameterGroup")
                    if changes_static_at_once(call.form()) =>
                {
                    let message = "cannot use immediate apply method for static parameter";
                    Answer::client_error(call, "InvalidParameterCombination", message)
                }
                _ => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn changes_static_at_once(form: &Form) -> bool {
    form.pairs().iter().any(|(key, name)| {
        let Some(item) = key.strip_suffix(".ParameterName") else { return false };
        let is_static = DEFAULTS.iter().any(|known| known.name == name && known.apply_type == "static");
        is_static && form.get(&format!("{item}.ApplyMethod")) == Some("immediate")
    })
}

async fn described(call: &mut Call, next: Next<'_>) -> Answer {
    let group = parameter(call, "DBClusterParameterGroupName");
    let groups =
        match ask(call, next, "DescribeDBClusterParameterGroups", &[("DBClusterParameterGroupName", group)]).await {
            Ok(groups) => groups,
            Err(refusal) => return refusal,
        };
    let path = ["DescribeDBClusterParameterGroupsResult", "DBClusterParameterGroups", "DBClusterParameterGroup"];
    let family = groups.at(&path).first().and_then(|group| group.text_of("DBParameterGroupFamily")).map(str::to_owned);
    let Some(family) = family.filter(|family| family.starts_with(FAMILY)) else { return next.run(call).await };
    // The source is decided here, so the emulator is asked for all sources.
    let source = call.form().get("Source").map(str::to_owned);
    let mut all = call.form().clone();
    all.retain(|name| name != "Source");
    call.forward_form(&all);
    let mut answer = next.run(call).await;
    answer.edit_xml(|root| {
        let Some(result) = root.child_mut("DescribeDBClusterParametersResult") else { return false };
        let items = result.child_or_new("Parameters").children_mut();
        for known in &DEFAULTS {
            match items.iter_mut().find(|item| item.text_of("ParameterName") == Some(known.name)) {
                Some(item) => set_source(item, known, &family),
                None => items.push(known.element(&family)),
            }
        }
        if let Some(source) = &source {
            items.retain(|item| item.text_of("Source") == Some(source));
        }
        true
    });
    answer
}

fn set_source(item: &mut Element, known: &DefaultParameter, family: &str) {
    let is_default = item.text_of("ParameterValue") == Some(known.default_in(family));
    item.set_text_of("Source", if is_default { "system" } else { "user" });
    item.set_text_of("ApplyType", known.apply_type);
    item.set_text_of("DataType", known.data_type);
}
