//! `db_instance`: an instance that serves a cluster's storage.

use std::time::Duration;

use aws_sdk_rds::types::{DbInstance as Described, Endpoint, GlobalCluster as Global};
use serde::{Deserialize, Serialize};

use super::member::Membership;
use super::{DbCluster, ENGINE, global_cluster, named, phase, step, tag_map, tags};
use crate::resources::durations::{self, Latencies, Latency, Which};
use crate::resources::kms::Key;
use crate::resources::permissions::{Grant, INSTANCES, key, later, on};
use crate::resources::{
    Arn, Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, changed, live,
};
use drctl_engine::state::Role;

/// An Aurora PostgreSQL instance. Output: `endpoint`, its host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbInstance {
    /// Its name, in lower case. Immutable: forces replacement.
    pub name: String,
    /// The cluster whose storage it serves. Immutable: forces replacement.
    pub cluster: Ref<Id<DbCluster>>,
    /// Its class, e.g. `db.r6g.large` or `db.serverless`. In-place: it restarts.
    pub class: String,
    /// Whether it has a public address. In-place.
    pub publicly_accessible: bool,
    /// Whether Performance Insights records its load. In-place.
    pub performance_insights: bool,
    /// The key that encrypts those records. Immutable: forces replacement.
    pub performance_insights_kms_key: Ref<Arn<Key>>,
    /// Whether AWS may upgrade its minor version automatically; without effect in a global database:
    /// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html>,
    /// docs/aws-behaviour.md#aurora-global-database-limits. In-place.
    pub auto_minor_version_upgrade: bool,
    /// When AWS may maintain it, in UTC, e.g. `sun:05:00-sun:06:00`. In-place.
    pub maintenance_window: String,
    /// Its place in the order in which instances take over from a writer that failed: 0 is first, 15 is last. In-place.
    pub promotion_tier: i32,
    /// Other resources that have to be ready first. Only an order; never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for DbInstance {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("name", "an instance is known to its cluster by its name"),
            ("cluster", "an instance serves one cluster's storage"),
            ("performance_insights_kms_key", "the key of Performance Insights cannot be changed once it is on"),
        ],
        idempotent_create: true,
        patience: Duration::from_mins(30),
        holds_data: true,
        ..TypeInfo::usual("db_instance")
    };
    const SERVICE: &'static str = "rds";
    const LATENCIES: &'static [Latencies] = &[
        // "Aurora secondary instance".
        Latencies::of(
            1,
            Latency::of_steps([350.0, 600.0, 1200.0], &[durations::step("CreateDBInstance", 1, 2.0, 598.0)]),
            Latency::of_steps([180.0, 400.0, 750.0], &[durations::step("DeleteDBInstance", 1, 2.0, 398.0)]),
        )
        .only(Which::In(Role::Secondary)),
        // "Aurora writer instance r6g.large".
        Latencies::of(
            1,
            Latency::of_steps([300.0, 400.0, 900.0], &[durations::step("CreateDBInstance", 1, 2.0, 398.0)]),
            Latency::of_steps([180.0, 420.0, 750.0], &[durations::step("DeleteDBInstance", 1, 2.0, 418.0)]),
        ),
    ];
    const UPDATE_SECONDS: f64 = 400.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:rds:{region}:{account}:db:{own}"],
            "rds",
            "AddTagsToResource CreateDBInstance ListTagsForResource",
        ),
        later(&["arn:aws:rds:{region}:{account}:db:{own}"], "rds", "DeleteDBInstance ModifyDBInstance"),
        on(INSTANCES, "rds", "DescribeDBInstances"),
        key(
            &[("kms:ViaService", "rds.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
            "CreateGrant DescribeKey",
        ),
    ];
    const TAGGING: Tagging = Tagging::Rds;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let rds = &cx.clients().rds;
        let instances = cx
            .pages("rds", "DescribeDBInstances", || rds.describe_db_instances().into_paginator().items().send())
            .await?;
        let globals = global_cluster::listed(cx).await?;
        Ok(instances.iter().map(|instance| from_described(cx, instance, &globals)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let rds = &cx.clients().rds;
        let answer = cx
            .read("rds", "DescribeDBInstances", || rds.describe_db_instances().db_instance_identifier(id).send())
            .await?;
        let Some(instance) = answer.db_instances().first() else { return Ok(None) };
        Ok(Some(from_described(cx, instance, &[])))
    }

    /// Version, owner, network and encryption are those of its cluster.
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .rds
            .create_db_instance()
            .db_instance_identifier(&self.name)
            .db_cluster_identifier(self.cluster.value())
            .engine(ENGINE)
            .db_instance_class(&self.class)
            .publicly_accessible(self.publicly_accessible)
            .enable_performance_insights(self.performance_insights)
            .set_performance_insights_kms_key_id(self.performance_insights_key())
            .auto_minor_version_upgrade(self.auto_minor_version_upgrade)
            .preferred_maintenance_window(&self.maintenance_window)
            .promotion_tier(self.promotion_tier)
            .set_tags(Some(tags(&creation.tags)))
            .send();
        named::<Self, _>(cx, &self.name, cx.mutate("rds", "CreateDBInstance", call).await).await
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        // In any other state, AWS refuses with InvalidDBInstanceState.
        if live.phase != Phase::Ready {
            return Ok(Synced::in_progress("it to be available, as changes require"));
        }
        let is = |property: &str| changed(changes, property);
        let insights = is("performance_insights");
        let call = cx
            .clients()
            .rds
            .modify_db_instance()
            .db_instance_identifier(&live.id)
            .apply_immediately(true)
            .set_db_instance_class(is("class").then(|| self.class.clone()))
            .set_publicly_accessible(is("publicly_accessible").then_some(self.publicly_accessible))
            .set_enable_performance_insights(insights.then_some(self.performance_insights))
            .set_performance_insights_kms_key_id(if insights { self.performance_insights_key() } else { None })
            .set_auto_minor_version_upgrade(is("auto_minor_version_upgrade").then_some(self.auto_minor_version_upgrade))
            .set_preferred_maintenance_window(is("maintenance_window").then(|| self.maintenance_window.clone()))
            .set_promotion_tier(is("promotion_tier").then_some(self.promotion_tier))
            .send();
        cx.mutate("rds", "ModifyDBInstance", call).await?;
        Ok(Synced::visible_after("its modification"))
    }

    /// AWS does not delete the last instance of the writing cluster while there are other clusters
    /// (docs/aws-behaviour.md#writer-leaves-last). There is no final snapshot to skip: the data belongs to the cluster.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().rds.delete_db_instance().db_instance_identifier(&live.id).send();
        step(cx.mutate("rds", "DeleteDBInstance", call).await, Deletion::Requested)
    }
}

impl DbInstance {
    /// AWS refuses a key without Performance Insights.
    fn performance_insights_key(&self) -> Option<String> {
        self.performance_insights.then(|| self.performance_insights_kms_key.value().to_owned())
    }
}

fn from_described(cx: &Context, instance: &Described, globals: &[Global]) -> Live {
    let id = instance.db_instance_identifier().unwrap_or_default();
    let cluster = instance.db_cluster_identifier();
    // There is none while Performance Insights is off, and an emulator may not return it.
    let key = instance.performance_insights_kms_key_id().filter(|key| !key.is_empty());
    let mut reading = Reading::default();
    let properties = DbInstance {
        name: id.to_owned(),
        cluster: Ref::known(reading.text("cluster", cluster)),
        class: reading.text("class", instance.db_instance_class()),
        publicly_accessible: reading.value("publicly_accessible", instance.publicly_accessible()),
        // Returned only once the instance is available, or nearly.
        performance_insights: reading.value("performance_insights", instance.performance_insights_enabled()),
        performance_insights_kms_key: Ref::known(reading.text("performance_insights_kms_key", key)),
        auto_minor_version_upgrade: reading.value("auto_minor_version_upgrade", instance.auto_minor_version_upgrade()),
        maintenance_window: reading.text("maintenance_window", instance.preferred_maintenance_window()),
        promotion_tier: reading.value("promotion_tier", instance.promotion_tier()),
        after: Vec::new(),
    };
    let tags = Some(tag_map(instance.tag_list()));
    let mut found = live(&cx.scope, id, phase(instance.db_instance_status()), &reading.of(properties), tags)
        .with_arn(instance.db_instance_arn().unwrap_or_default());
    // AWS refuses to delete the last instance of the cluster that writes while others copy it: "Cannot delete the last instance
    // of the master cluster". https://github.com/hashicorp/terraform-provider-aws/issues/26234
    found.goes_after = Membership::of_cluster(cluster.unwrap_or_default(), &cx.region, globals).leave_before();
    match instance.endpoint().and_then(Endpoint::address) {
        Some(address) => found.with_output("endpoint", address),
        None => found,
    }
}
