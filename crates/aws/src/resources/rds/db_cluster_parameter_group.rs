//! `db_cluster_parameter_group`: the parameters of a Region's cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_rds::types::{ApplyMethod, DbCluster, Filter, Parameter};
use serde::{Deserialize, Serialize};

use super::{databases, named, step, tags, tags_of};
use crate::resources::durations::{self, Latencies, Latency};
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    AlsoDeleted, Change, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced, Tagging,
    TypeInfo, Weight, live, read_named,
};

/// How many parameters one call may change.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBClusterParameterGroup.html>
const AT_ONCE: usize = 20;

/// The source of a value that was set and not left to the engine. AWS never reports this source for a value that equals the
/// engine's default, even if it was set: <https://github.com/hashicorp/terraform-provider-aws/issues/23335>.
/// See docs/aws-behaviour.md#force-ssl-default.
const USER_SOURCE: &str = "user";

/// The parameters that are set in every group, and compared whatever their source: from Aurora PostgreSQL 17 on, the value is the
/// default.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.Security.html>
const ALWAYS_COMPARED: [&str; 1] = [FORCE_SSL];

/// Whether connections without TLS are refused.
pub const FORCE_SSL: &str = "rds.force_ssl";

/// The parameters of a Region's cluster that are not left to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbClusterParameterGroup {
    /// Its name, in lower case. Immutable: forces replacement.
    pub name: String,
    /// The engine and major version it is for, e.g. `aurora-postgresql17`. Immutable: forces replacement.
    pub family: String,
    /// What it is for. Immutable: forces replacement.
    pub description: String,
    /// The values that are not left to the engine, by parameter. Any other that was set is reset to the engine's default. A
    /// parameter that is read only at start takes effect with the next restart. In-place.
    pub parameters: BTreeMap<String, String>,
}

impl Resource for DbClusterParameterGroup {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("name", "a parameter group cannot be renamed"),
            ("family", "the family of a parameter group cannot be changed"),
            ("description", "the description of a parameter group cannot be changed"),
        ],
        idempotent_create: true,
        patience: Duration::from_mins(15),
        ..TypeInfo::usual("db_cluster_parameter_group")
    };
    const SERVICE: &'static str = "rds";
    const LATENCIES: &'static [Latencies] = &[Latencies::of(
        3,
        Latency::of_steps(
            [1.0, 2.0, 5.0],
            &[
                durations::step("CreateDBClusterParameterGroup", 1, 1.0, 0.0),
                durations::step("ModifyDBClusterParameterGroup", 1, 1.0, 0.0),
            ],
        ),
        Latency::of_steps([1.0, 2.0, 5.0], &[durations::step("DeleteDBClusterParameterGroup", 1, 2.0, 0.0)]),
    )];
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:rds:{region}:{account}:cluster-pg:{own}"],
            "rds",
            "AddTagsToResource CreateDBClusterParameterGroup DescribeDBClusterParameterGroups \
                 DescribeDBClusterParameters ListTagsForResource ModifyDBClusterParameterGroup",
        ),
        later(
            &["arn:aws:rds:{region}:{account}:cluster-pg:{own}"],
            "rds",
            "DeleteDBClusterParameterGroup ResetDBClusterParameterGroup",
        ),
    ];
    const TAGGING: Tagging = Tagging::Rds;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Empty: a listing covers the whole account, and has no tags. Each group is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let rds = &cx.clients().rds;
        let groups = cx
            .pages("rds", "DescribeDBClusterParameterGroups", || {
                rds.describe_db_cluster_parameter_groups().into_paginator().items().send()
            })
            .await?;
        let names = groups.into_iter().filter_map(|group| group.db_cluster_parameter_group_name);
        read_named::<Self>(cx, names.collect()).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let rds = &cx.clients().rds;
        let answer = cx
            .read("rds", "DescribeDBClusterParameterGroups", || {
                rds.describe_db_cluster_parameter_groups().db_cluster_parameter_group_name(id).send()
            })
            .await?;
        let Some(group) = answer.db_cluster_parameter_groups().first() else { return Ok(None) };
        let arn = group.db_cluster_parameter_group_arn().unwrap_or_default();
        let (set, compared, tags) = futures::try_join!(
            parameters(cx, id, Which::Set),
            parameters(cx, id, Which::Named(&ALWAYS_COMPARED)),
            tags_of(cx, arn)
        )?;
        let compared = compared.iter().filter_map(value).filter(|(name, _)| ALWAYS_COMPARED.contains(&name.as_str()));
        let mut reading = Reading::default();
        let properties = DbClusterParameterGroup {
            name: id.to_owned(),
            family: reading.text("family", group.db_parameter_group_family()),
            description: reading.text("description", group.description()),
            parameters: compared.chain(set_values(&set)).collect(),
        };
        Ok(Some(live(&cx.scope, id, Phase::Ready, &reading.of(properties), Some(tags)).with_arn(arn)))
    }

    /// Without its parameters, which `CreateDBClusterParameterGroup` does not take.
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .rds
            .create_db_cluster_parameter_group()
            .db_cluster_parameter_group_name(&self.name)
            .db_parameter_group_family(&self.family)
            .description(&self.description)
            .set_tags(Some(tags(&creation.tags)))
            .send();
        named::<Self, _>(cx, &self.name, cx.mutate("rds", "CreateDBClusterParameterGroup", call).await).await
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let rds = &cx.clients().rds;
        let difference = Difference::between(&parameters(cx, &live.id, Which::All).await?, &self.parameters);
        for some in difference.set.chunks(AT_ONCE) {
            let call = rds.modify_db_cluster_parameter_group().db_cluster_parameter_group_name(&live.id);
            let call = call.set_parameters(Some(some.to_vec())).send();
            cx.mutate("rds", "ModifyDBClusterParameterGroup", call).await?;
        }
        for some in difference.reset.chunks(AT_ONCE) {
            let call = rds.reset_db_cluster_parameter_group().db_cluster_parameter_group_name(&live.id);
            let call = call.set_parameters(Some(some.to_vec())).send();
            cx.mutate("rds", "ResetDBClusterParameterGroup", call).await?;
        }
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        let uses = |cluster: &DbCluster| cluster.db_cluster_parameter_group() == Some(&live.id);
        let what = ("the parameter group", live.id.as_str());
        let hindrances = databases::hindrances(cx, what, also, uses, |_| false).await?;
        Ok(Weight { hindrances, ..Weight::default() })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call =
            cx.clients().rds.delete_db_cluster_parameter_group().db_cluster_parameter_group_name(&live.id).send();
        step(cx.mutate("rds", "DeleteDBClusterParameterGroup", call).await, Deletion::Requested)
    }
}

/// Which parameters to ask for.
#[derive(Debug, Clone, Copy)]
enum Which<'a> {
    All,
    Set,
    Named(&'a [&'a str]),
}

async fn parameters(cx: &Context, group: &str, which: Which<'_>) -> Result<Vec<Parameter>, Failure> {
    let rds = &cx.clients().rds;
    let (source, names) = match which {
        Which::All => (None, None),
        Which::Set => (Some(USER_SOURCE), None),
        Which::Named(names) => {
            let filter = Filter::builder().name("parameter-name");
            (None, Some(filter.set_values(Some(names.iter().map(|&name| name.to_owned()).collect())).build()))
        }
    };
    cx.pages("rds", "DescribeDBClusterParameters", || {
        rds.describe_db_cluster_parameters()
            .db_cluster_parameter_group_name(group)
            .set_source(source.map(str::to_owned))
            .set_filters(names.clone().map(|names| vec![names]))
            .into_paginator()
            .items()
            .send()
    })
    .await
}

fn set_values(parameters: &[Parameter]) -> BTreeMap<String, String> {
    parameters.iter().filter(|parameter| parameter.source() == Some(USER_SOURCE)).filter_map(value).collect()
}

fn value(parameter: &Parameter) -> Option<(String, String)> {
    Some((parameter.parameter_name()?.to_owned(), parameter.parameter_value()?.to_owned()))
}

/// The parameters to set, and those to reset to the engine's defaults.
#[derive(Debug)]
struct Difference {
    set: Vec<Parameter>,
    reset: Vec<Parameter>,
}

impl Difference {
    fn between(all: &[Parameter], desired: &BTreeMap<String, String>) -> Self {
        let set_already = set_values(all);
        let effective: BTreeMap<String, String> = all.iter().filter_map(value).collect();
        let set = desired.iter().filter(|(name, value)| effective.get(*name) != Some(*value));
        let reset = set_already.keys().filter(|name| !desired.contains_key(*name));
        Self {
            set: set.map(|(name, value)| parameter(all, name).parameter_value(value).build()).collect(),
            reset: reset.map(|name| parameter(all, name).build()).collect(),
        }
    }
}

/// AWS refuses `immediate` for a parameter that is read only at start. See docs/aws-behaviour.md#static-parameters.
fn parameter(all: &[Parameter], name: &str) -> aws_sdk_rds::types::builders::ParameterBuilder {
    let known = all.iter().find(|parameter| parameter.parameter_name() == Some(name));
    let method = match known.and_then(Parameter::apply_type) {
        Some("static") => ApplyMethod::PendingReboot,
        _ => ApplyMethod::Immediate,
    };
    Parameter::builder().parameter_name(name).apply_method(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, value: &str, source: &str, kind: &str) -> Parameter {
        Parameter::builder().parameter_name(name).parameter_value(value).source(source).apply_type(kind).build()
    }

    #[test]
    fn what_differs_is_set_and_what_is_not_desired_is_reset() {
        let all = [
            known("rds.force_ssl", "0", "user", "dynamic"),
            known("kept", "1", "user", "dynamic"),
            known("extra", "9", "user", "static"),
            known("shared_preload_libraries", "", "engine-default", "static"),
            known("left", "7", "engine-default", "dynamic"),
            known("at.default", "1", "system", "dynamic"),
        ];
        let desired =
            [("rds.force_ssl", "1"), ("kept", "1"), ("shared_preload_libraries", "pg_cron"), ("at.default", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let difference = Difference::between(&all, &BTreeMap::from(desired));
        let shown = |parameters: &[Parameter]| -> Vec<(String, Option<String>, Option<ApplyMethod>)> {
            let shown = parameters.iter().map(|one| {
                let name = one.parameter_name().unwrap_or_default().to_owned();
                (name, one.parameter_value().map(str::to_owned), one.apply_method().cloned())
            });
            shown.collect()
        };
        let set = [
            ("rds.force_ssl".to_owned(), Some("1".to_owned()), Some(ApplyMethod::Immediate)),
            ("shared_preload_libraries".to_owned(), Some("pg_cron".to_owned()), Some(ApplyMethod::PendingReboot)),
        ];
        assert_eq!(shown(&difference.set), set);
        assert_eq!(shown(&difference.reset), [("extra".to_owned(), None, Some(ApplyMethod::PendingReboot))]);
    }
}
