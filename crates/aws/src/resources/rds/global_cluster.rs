//! `global_cluster`: joins the clusters of the Regions into one database.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rds::types::{GlobalCluster as Described, GlobalClusterMember};
use serde::{Deserialize, Serialize};

use super::member::place;
use super::{ENGINE, LIFECYCLE, named, phase, step, tag_map, tags};
use crate::resources::durations::{self, Latencies, Latency};
use crate::resources::permissions::{CLUSTERS, GLOBAL_CLUSTERS, Grant, later, on};
use crate::resources::{
    AlsoDeleted, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced, Tagging,
    TypeInfo, Weight, changed, live, protection,
};

/// An Aurora PostgreSQL global database. Output: `endpoint`, the host name that follows the writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalCluster {
    /// Its name, in lower case. Immutable: forces replacement.
    pub name: String,
    /// The version of the engine, e.g. `17.7`, for all members. Another minor version reaches the secondary members first;
    /// another major version is refused. In-place.
    pub engine_version: String,
    /// The database that is created with it. Immutable: forces replacement.
    pub database_name: String,
    /// Whether AWS refuses to delete it; `None` leaves that as it is. In-place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// Whether its members are encrypted, each with its Region's key. Immutable: forces replacement.
    pub encrypted: bool,
}

impl Resource for GlobalCluster {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("name", "its members refer to a global cluster by its name"),
            ("database_name", "the first database of a global cluster cannot be renamed"),
            ("encrypted", "a global cluster cannot be encrypted, or decrypted, afterwards"),
        ],
        idempotent_create: true,
        patience: Duration::from_mins(20),
        holds_data: true,
        // See docs/aws-behaviour.md#versions-only-rise.
        versions: &["engine_version"],
        ..TypeInfo::usual("global_cluster")
    };
    const SERVICE: &'static str = "rds";
    const LATENCIES: &'static [Latencies] = &[
        // "Aurora global cluster (empty)".
        Latencies::of(
            1,
            Latency::of_steps([3.0, 8.0, 30.0], &[durations::step("CreateGlobalCluster", 1, 2.0, 6.0)]),
            Latency::of_steps([5.0, 10.0, 300.0], &[durations::step("DeleteGlobalCluster", 1, 2.0, 8.0)]),
        ),
    ];
    const UPDATE_SECONDS: f64 = 60.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:rds::{account}:global-cluster:{own}"],
            "rds",
            "AddTagsToResource CreateGlobalCluster ListTagsForResource",
        ),
        later(
            &["arn:aws:rds::{account}:global-cluster:{own}"],
            "rds",
            "DeleteGlobalCluster ModifyGlobalCluster RemoveFromGlobalCluster",
        ),
        on(GLOBAL_CLUSTERS, "rds", "DescribeGlobalClusters"),
        later(CLUSTERS, "rds", "DescribeDBClusters ModifyDBCluster"),
    ];
    const TAGGING: Tagging = Tagging::Rds;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let all = listed(cx).await?;
        Ok(all.iter().map(|global| from_described(cx, global)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let found = described(cx, Some(id)).await?;
        Ok(found.first().map(|global| from_described(cx, global)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .rds
            .create_global_cluster()
            .global_cluster_identifier(&self.name)
            .engine(ENGINE)
            .engine_version(&self.engine_version)
            .engine_lifecycle_support(LIFECYCLE)
            .database_name(&self.database_name)
            .set_deletion_protection(self.deletion_protection)
            .storage_encrypted(self.encrypted)
            .set_tags(Some(tags(&creation.tags)))
            .send();
        named::<Self, _>(cx, &self.name, cx.mutate("rds", "CreateGlobalCluster", call).await).await
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if live.phase != Phase::Ready {
            return Ok(Synced::in_progress("it to be available, as changes require"));
        }
        if changed(changes, "deletion_protection")
            && let Some(on) = self.deletion_protection
        {
            protect(cx, &live.id, on).await?;
        }
        if changed(changes, "engine_version") { self.upgrade(cx, &live.id).await } else { Ok(Synced::default()) }
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        let found = described(cx, Some(&live.id)).await?;
        let members = found.first().map(Described::global_cluster_members).unwrap_or_default();
        let foreign = members.iter().filter_map(GlobalClusterMember::db_cluster_arn).filter(|arn| !also.contains(arn));
        let of = |arn: &str| format!("{} has a member that is not deleted with it: {arn}", live.id);
        let switch =
            format!("rds modify-global-cluster --global-cluster-identifier {} --no-deletion-protection", live.id);
        let hindrances = foreign.map(of).chain(protection::hindrance(cx, live, &switch)).collect();
        Ok(Weight { hindrances, ..Weight::default() })
    }

    /// AWS refuses while it has members, and for a while after the last one has left. See
    /// docs/aws-behaviour.md#global-cluster-not-empty-yet.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        protection::refuse(live)?;
        let call = cx.clients().rds.delete_global_cluster().global_cluster_identifier(&live.id).send();
        step(cx.mutate("rds", "DeleteGlobalCluster", call).await, Deletion::Requested)
    }
}

impl GlobalCluster {
    /// Takes the next step towards another minor version, and says what to wait for then.
    ///
    /// AWS may refuse to upgrade a global cluster itself except to another major version: terraform-provider-aws,
    /// `internal/service/rds/global_cluster.go`. Then its members are upgraded one by one.
    /// See docs/aws-behaviour.md#replicas-first.
    async fn upgrade(&self, cx: &Context, id: &str) -> Result<Synced, Failure> {
        let call = cx
            .clients()
            .rds
            .modify_global_cluster()
            .global_cluster_identifier(id)
            .engine_version(&self.engine_version)
            .send();
        match cx.mutate("rds", "ModifyGlobalCluster", call).await {
            Err(failure) if failure.message.contains("only supports Major Version Upgrades") => {}
            answer => return answer.map(|_| Synced::in_progress("its members to be upgraded")),
        }
        let found = described(cx, Some(id)).await?;
        let members = found.first().map(Described::global_cluster_members).unwrap_or_default();
        // The other order is refused: "upgrade global replicas first".
        // https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-upgrade.html
        let (writers, readers): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.is_writer() == Some(true));
        for (some, awaited) in
            [(readers, "its secondary clusters to be upgraded"), (writers, "its writer to be upgraded")]
        {
            let mut waits = false;
            for member in some {
                waits |= self.upgrade_member(cx, member).await?;
            }
            if waits {
                return Ok(Synced::in_progress(awaited));
            }
        }
        Ok(Synced::in_progress("it to take the version of its members"))
    }

    /// Upgrades a member if needed. Returns whether it has to be waited for.
    async fn upgrade_member(&self, cx: &Context, member: &GlobalClusterMember) -> Result<bool, Failure> {
        let Some((region, name)) = member.db_cluster_arn().and_then(place) else { return Ok(false) };
        let there = cx.at(region);
        let rds = &there.clients().rds;
        let answer = there
            .read("rds", "DescribeDBClusters", || rds.describe_db_clusters().db_cluster_identifier(name).send())
            .await?;
        let Some(cluster) = answer.db_clusters().first() else { return Ok(false) };
        if cluster.engine_version() == Some(self.engine_version.as_str()) {
            return Ok(cluster.status() == Some("upgrading"));
        }
        if cluster.status() == Some("available") {
            let call = rds.modify_db_cluster().db_cluster_identifier(name).engine_version(&self.engine_version);
            match there.mutate("rds", "ModifyDBCluster", call.apply_immediately(true).send()).await {
                Err(failure) if failure.class == Class::NotYet => {}
                answer => drop(answer?),
            }
        }
        Ok(true)
    }
}

async fn protect(cx: &Context, id: &str, on: bool) -> Result<(), Failure> {
    let call = cx.clients().rds.modify_global_cluster().global_cluster_identifier(id).deletion_protection(on).send();
    cx.mutate("rds", "ModifyGlobalCluster", call).await.map(drop)
}

/// All global clusters of the account that the Region knows, listed once per run.
pub(super) async fn listed(cx: &Context) -> Result<Arc<Vec<Described>>, Failure> {
    cx.shared("rds_global_clusters", move || async move { described(cx, None).await }).await
}

/// The global cluster of a name, if it exists; without a name, all of them.
pub(super) async fn described(cx: &Context, id: Option<&str>) -> Result<Vec<Described>, Failure> {
    let rds = &cx.clients().rds;
    let answer = cx
        .pages("rds", "DescribeGlobalClusters", || {
            rds.describe_global_clusters()
                .set_global_cluster_identifier(id.map(str::to_owned))
                .into_paginator()
                .items()
                .send()
        })
        .await;
    match answer {
        Err(failure) if failure.class == Class::NotFound => Ok(Vec::new()),
        answer => answer,
    }
}

fn from_described(cx: &Context, global: &Described) -> Live {
    let id = global.global_cluster_identifier().unwrap_or_default();
    let mut reading = Reading::default();
    let properties = GlobalCluster {
        name: id.to_owned(),
        engine_version: reading.text("engine_version", global.engine_version()),
        database_name: reading.text("database_name", global.database_name().filter(|name| !name.is_empty())),
        deletion_protection: global.deletion_protection(),
        encrypted: reading.value("encrypted", global.storage_encrypted()),
    };
    let tags = Some(tag_map(global.tag_list()));
    let found = live(&cx.scope, id, phase(global.status()), &reading.of(properties), tags)
        .with_arn(global.global_cluster_arn().unwrap_or_default());
    // It has none until it has a writer.
    match global.endpoint().filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) => found.with_output("endpoint", endpoint),
        None => found,
    }
}
