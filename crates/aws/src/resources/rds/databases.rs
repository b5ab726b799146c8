//! All databases of a Region, including those of others: AWS does not delete a group or a key that they use.

use std::sync::Arc;

use aws_sdk_rds::types::{DbCluster, DbInstance};
use futures::try_join;

use crate::TagMap;
use crate::resources::{AlsoDeleted, Class, Context, Failure};

use super::tag_map;

/// The clusters and instances of a Region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Databases {
    pub(crate) clusters: Vec<DbCluster>,
    pub(crate) instances: Vec<DbInstance>,
}

/// Lists them.
///
/// # Errors
/// What a call's answer means.
pub(crate) async fn databases(cx: &Context) -> Result<Databases, Failure> {
    let rds = &cx.clients().rds;
    let clusters = cx.pages("rds", "DescribeDBClusters", || rds.describe_db_clusters().into_paginator().items().send());
    let instances =
        cx.pages("rds", "DescribeDBInstances", || rds.describe_db_instances().into_paginator().items().send());
    let (clusters, instances) =
        try_join!(async { unless_unsupported(clusters.await) }, async { unless_unsupported(instances.await) })?;
    Ok(Databases { clusters, instances })
}

/// The same, listed once for a whole plan.
///
/// # Errors
/// What a call's answer means.
pub(crate) async fn listed(cx: &Context) -> Result<Arc<Databases>, Failure> {
    cx.shared("rds_databases", || databases(cx)).await
}

/// An emulator without RDS has no databases either.
///
/// # Errors
/// Any other failure.
pub(crate) fn unless_unsupported<T: Default>(answer: Result<T, Failure>) -> Result<T, Failure> {
    match answer {
        Err(failure) if failure.class == Class::Unsupported => Ok(T::default()),
        answer => answer,
    }
}

/// What would keep AWS from deleting something that databases use, e.g. `the subnet group` of this name: a sentence for each cluster and
/// instance that uses it, is not deleted with it, and does not leave it in the same plan.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn hindrances(
    cx: &Context,
    (what, id): (&str, &str),
    also: &AlsoDeleted,
    cluster_uses: impl Fn(&DbCluster) -> bool,
    instance_uses: impl Fn(&DbInstance) -> bool,
) -> Result<Vec<String>, Failure> {
    let databases = listed(cx).await?;
    let clusters = databases.clusters.iter().filter(|it| cluster_uses(it));
    let clusters = clusters.map(|it| ("cluster", it.db_cluster_identifier(), it.db_cluster_arn(), it.tag_list()));
    let instances = databases.instances.iter().filter(|it| instance_uses(it));
    let instances = instances.map(|it| ("instance", it.db_instance_identifier(), it.db_instance_arn(), it.tag_list()));
    let users = clusters.chain(instances).filter_map(|(kind, name, arn, tags)| {
        let name = name.filter(|_| arn.is_none_or(|arn| !also.contains(arn) && !also.is_left(arn, id)))?;
        Some(format!("the {kind} {name} in {} uses {what} {id}{}", cx.region, whose(cx, &tag_map(tags))))
    });
    Ok(users.collect())
}

/// The owner of a resource that blocks the deletion, as the end of a sentence.
pub(super) fn whose(cx: &Context, tags: &TagMap) -> &'static str {
    if cx.scope.is_ours(tags) {
        ", and has this stack's tags: unless it is in the state, `drctl orphans` lists it"
    } else {
        ", and is not drctl's"
    }
}
