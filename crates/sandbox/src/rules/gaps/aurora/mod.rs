//! The rules of Aurora: what AWS refuses, keeps, and shows of global databases where MiniStack accepts everything. Each
//! rule is an entry of the same name in docs/aws-behaviour.md.
//!
//! | rule | what AWS does | MiniStack's `services/rds.py` | file |
//! |---|---|---|---|
//! | `force-ssl-default` | a parameter with its default value is not the user's, and `rds.force_ssl` is on by default from 17 | `_parameter_group_parameters_xml`: a parameter that was set is the user's; few are known | `parameters` |
//! | `static-parameters` | a parameter that is read only at start cannot be changed immediately | `_modify_db_cluster_param_group` accepts any method | `parameters` |
//! | `writer-leaves-last` | the last instance of the writer, and the writer itself, are removed after the other members | `_delete_db_instance_impl` does not look at the global cluster; `_delete_db_cluster` refuses in other words | `members` |
//! | `secondary-create-parameters` | a secondary cluster has its login and its database from the writer, and a key of its own | `_create_db_cluster_impl` accepts what equals the writer's, and asks for no key | `members` |
//! | `secondary-password` | its password is not changed apart from the writer's | `_modify_db_cluster_impl` refuses that for `aurora-mysql` only | `members` |
//! | `first-member-login` | the first member needs the name and the password of the owner | `_create_db_cluster_impl` has defaults for them | `members` |
//! | `global-cluster-from-a-cluster` | a global cluster has what the cluster has that it is made from | `_create_global_cluster` takes over only its engine | `origins` |
//! | `versions-only-rise` | no downgrade, and no other major version unless it is announced | `_unsupported_aurora_engine_version_error` only checks that the version exists | `versions` |
//! | `replicas-first` | the writer is not upgraded before the other members | `_modify_db_cluster_impl` does not look at them | `versions` |
//! | `group-in-use` | a parameter group or subnet group cannot be deleted while a cluster uses it | `_delete_db_cluster_param_group` and `_delete_subnet_group` do not check | `groups` |
//! | `final-snapshot` | a deletion says whether it leaves a snapshot, and creates it | `_delete_db_cluster` ignores it | `snapshots` |
//!
//! MiniStack itself has the rule that a database exists only if the first member named it
//! (`first-member-names-its-database`): `DescribeDBClusters` shows it.
//! See docs/aws-behaviour.md#first-member-names-its-database.

mod groups;
mod members;
mod origins;
mod parameters;
mod snapshots;
#[cfg(test)]
mod tests;
mod versions;

use crate::rules::ask;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// All of them. They come before the pace, so that a cluster that is still being deleted exists for them.
pub(super) fn rules() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(parameters::Parameters),
        Box::new(members::Members),
        Box::new(origins::Origins),
        Box::new(versions::VERSIONS),
        Box::new(groups::GROUPS),
        Box::new(snapshots::Snapshots),
    ]
}

/// The clusters of the caller's Region.
pub(super) async fn clusters(call: &Call, next: Next<'_>) -> Result<Vec<Element>, Answer> {
    let root = ask(call, next, "DescribeDBClusters", &[]).await?;
    Ok(root.at(&["DescribeDBClustersResult", "DBClusters", "DBCluster"]).into_iter().cloned().collect())
}

/// The account's global clusters, which every Region knows.
async fn globals(call: &Call, next: Next<'_>) -> Result<Vec<Element>, Answer> {
    let root = ask(call, next, "DescribeGlobalClusters", &[]).await?;
    let path = ["DescribeGlobalClustersResult", "GlobalClusters", "GlobalClusterMember"];
    Ok(root.at(&path).into_iter().cloned().collect())
}

/// The global cluster of this name, if there is one.
async fn global(call: &Call, next: Next<'_>, name: &str) -> Result<Option<Element>, Answer> {
    let found = globals(call, next).await?;
    Ok(found.into_iter().find(|global| global.text_of("GlobalClusterIdentifier") == Some(name)))
}

/// The version of a cluster that may be in another Region, if there is one.
async fn version_of(call: &Call, next: Next<'_>, arn: &str) -> Result<Option<String>, Answer> {
    let there = call.in_region(arn.split(':').nth(3).unwrap_or_default());
    let found = cluster(&there, next, arn).await?;
    Ok(found.and_then(|cluster| cluster.text_of("EngineVersion").map(str::to_owned)))
}

/// A cluster of the caller's Region, by its name or ARN, if there is one.
async fn cluster(call: &Call, next: Next<'_>, name: &str) -> Result<Option<Element>, Answer> {
    let is_it = |cluster: &Element| {
        cluster.text_of("DBClusterIdentifier") == Some(name) || cluster.text_of("DBClusterArn") == Some(name)
    };
    Ok(clusters(call, next).await?.into_iter().find(is_it))
}

/// The names of a cluster's instances.
fn instances(cluster: &Element) -> Vec<&str> {
    cluster
        .at(&["DBClusterMembers", "DBClusterMember"])
        .into_iter()
        .filter_map(|member| member.text_of("DBInstanceIdentifier"))
        .collect()
}

/// The members of a global cluster: ARN, and whether it is the writer.
fn members(global: &Element) -> Vec<(&str, bool)> {
    let members = global.at(&["GlobalClusterMembers", "GlobalClusterMember"]).into_iter();
    members
        .map(|member| (member.text_of("DBClusterArn").unwrap_or_default(), member.text_of("IsWriter") == Some("true")))
        .collect()
}

/// The value of a call's parameter; empty if there is none.
fn parameter<'a>(call: &'a Call, name: &str) -> &'a str {
    call.form().get(name).unwrap_or_default()
}

/// The code of a refusal in the query protocol.
fn code(answer: &Answer) -> String {
    let root = Element::parse(answer.body()).ok();
    let code = root.as_ref().and_then(|root| root.at(&["Error", "Code"]).first().map(|code| code.text().to_owned()));
    code.unwrap_or_default()
}
