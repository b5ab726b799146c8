//! Aurora's rules: what AWS refuses, keeps and says of global databases, where MiniStack lets everything pass.
//!
//! | rule | what AWS does | file |
//! |---|---|---|
//! | `force-ssl-default` | a parameter that has its default value is not the user's, and `rds.force_ssl` is on by default from 17 | `parameters` |
//! | `static-parameters` | what is read only at start cannot be changed immediately | `parameters` |
//! | `writer-leaves-last` | the writer's last instance, and the writer itself, go after the other members | `members` |
//! | `secondary-create-parameters` | a secondary cluster has its login and its database from the writer, and a key of its own | `members` |
//! | `secondary-password` | its password is not changed apart from the writer's | `members` |
//! | `first-member-login` | the first member has to name the owner | `members` |
//! | `switch-by-arn` | the target of a switchover or failover is named by its ARN | `members` |
//! | `versions-only-rise` | no downgrade, and no other major version unless that is asked for | `versions` |
//! | `replicas-first` | the writer is not upgraded before the other members | `versions` |
//! | `group-in-use` | a parameter group or subnet group cannot be deleted while a cluster uses it | `groups` |
//! | `final-snapshot` | a deletion says whether it leaves a snapshot, and makes it | `snapshots` |
//!
//! That a database exists only where the first member named it (`first-member-names-its-database`) is what MiniStack
//! does, too: `DescribeDBClusters` shows it.

mod groups;
mod members;
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

/// All of them. They stand before the pace: what is still being deleted is there for them, too.
pub(super) fn rules() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(parameters::Parameters),
        Box::new(members::Members),
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
        .filter_map(|one| one.text_of("DBInstanceIdentifier"))
        .collect()
}

/// The members of a global cluster: ARN, and whether it is the writer.
fn members(global: &Element) -> Vec<(&str, bool)> {
    let members = global.at(&["GlobalClusterMembers", "GlobalClusterMember"]).into_iter();
    members
        .map(|one| (one.text_of("DBClusterArn").unwrap_or_default(), one.text_of("IsWriter") == Some("true")))
        .collect()
}

/// What a call says of this name; empty when it says nothing.
fn parameter<'a>(call: &'a Call, name: &str) -> &'a str {
    call.form().get(name).unwrap_or_default()
}

/// The code of a refusal in the query protocol.
fn code(answer: &Answer) -> String {
    let root = Element::parse(answer.body()).ok();
    let code = root.as_ref().and_then(|root| root.at(&["Error", "Code"]).first().map(|code| code.text().to_owned()));
    code.unwrap_or_default()
}
