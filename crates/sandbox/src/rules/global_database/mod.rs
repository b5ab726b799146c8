//! Aurora global databases as they are operated: switchovers, failovers, their events, and the snapshots of lost writes.
//!
//! In MiniStack 1.5.33 (`services/rds.py`), `SwitchoverGlobalCluster` and `FailoverGlobalCluster` change the writer in
//! the same instant, in any Region, whatever the state of the clusters; there are no events of it, no snapshot of what
//! was lost, and neither `CopyDBClusterSnapshot` nor `RestoreDBClusterFromSnapshot`. Here the operations take AWS's
//! course, which [`world::aurora`](crate::world::aurora) has; these rules refuse what AWS refuses, show what is in
//! progress on top of MiniStack's answers, and tell MiniStack who has become the writer.
//!
//! | rule | calls |
//! |---|---|
//! | [`operations`] | the two operations, and all calls that see them or that they keep from being carried out |
//! | [`events`] | `DescribeEvents` |
//! | [`snapshots`] | snapshots of clusters: listing, copying, restoring, deleting |

mod events;
mod operations;
mod refusals;
mod snapshots;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::ask;
use super::faults::Faults;
use super::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;
use crate::world::aurora::databases::GlobalDatabases;

/// All of them.
pub(super) fn rules(databases: &GlobalDatabases, faults: &Arc<Faults>) -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(events::Events::new(databases)),
        Box::new(snapshots::Snapshots::new(databases)),
        Box::new(operations::Operations::new(databases, faults)),
    ]
}

/// The account's global clusters, which every Region knows.
async fn globals(call: &Call, next: Next<'_>) -> Result<Vec<Element>, Answer> {
    let root = ask(call, next, "DescribeGlobalClusters", &[]).await?;
    let path = ["DescribeGlobalClustersResult", "GlobalClusters", "GlobalClusterMember"];
    Ok(root.at(&path).into_iter().cloned().collect())
}

/// The clusters of a Region.
async fn clusters(call: &Call, next: Next<'_>, region: &str) -> Result<Vec<Element>, Answer> {
    let root = ask(&call.in_region(region), next, "DescribeDBClusters", &[]).await?;
    Ok(root.at(&["DescribeDBClustersResult", "DBClusters", "DBCluster"]).into_iter().cloned().collect())
}

/// The instances of a Region.
async fn instances(call: &Call, next: Next<'_>, region: &str) -> Result<Vec<Element>, Answer> {
    let root = ask(&call.in_region(region), next, "DescribeDBInstances", &[]).await?;
    Ok(root.at(&["DescribeDBInstancesResult", "DBInstances", "DBInstance"]).into_iter().cloned().collect())
}

/// The value of a call's parameter; empty if there is none.
fn parameter<'a>(call: &'a Call, name: &str) -> &'a str {
    call.form().get(name).unwrap_or_default()
}

/// The Region in an ARN.
fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}
