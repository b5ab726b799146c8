//! `db_cluster`: a Region's member of the global database. Its storage, without the instances that serve it.

use std::time::{Duration, SystemTime};

use aws_sdk_rds::types::{
    CloudwatchLogsExportConfiguration, DbInstance, GlobalCluster as Global, ServerlessV2ScalingConfiguration,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::described::from_described;
use super::login::Login;
use super::member::{place, writer};
use super::{
    DbClusterParameterGroup, DbSubnetGroup, ENGINE, GlobalCluster, LIFECYCLE, SecretVersion, databases, global_cluster,
    named, presign, snapshot, step, tag, tag_map, tags,
};
use crate::TagMap;
use crate::resources::durations::{self, Latencies, Latency, Which};
use crate::resources::ec2::SecurityGroup;
use crate::resources::kms::Key;
use crate::resources::permissions::{ANY, CLUSTER, CLUSTERS, GLOBAL_CLUSTER, Grant, key, later, on};
use crate::resources::secretsmanager::Secret;
use crate::resources::{
    AlsoDeleted, Arn, Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Ref, Resource, Synced,
    Tagging, TypeInfo, Weight, changed, protection,
};
use drctl_engine::state::{Address, Role};

/// The tag that says which version of the secret the password was last taken from.
pub(super) const SECRET_VERSION: &str = "drctl:secret-version";

/// Set on a live cluster while the stack's global cluster exists and has no members. Never compared.
pub(super) const VACANT: &str = "global_cluster_is_vacant";

/// An Aurora PostgreSQL cluster in a global database. Outputs: `endpoint` (the writer's) and `reader_endpoint`.
///
/// All members are described in the same way. Which of them is created first, and which one writes, is read from the global
/// cluster whenever it matters, because a switchover or a failover changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbCluster {
    /// Its name, in lower case, unique in the account across Regions. Immutable: forces replacement.
    pub name: String,
    /// The version of the engine, e.g. `17.7`, the same as the global cluster's. In-place.
    pub engine_version: String,
    /// The global cluster that it is a member of. Immutable: forces replacement.
    pub global_cluster: Ref<Id<GlobalCluster>>,
    /// The database that is created with the first member. Sent on creation and never compared; the global cluster's name of it
    /// is. See docs/aws-behaviour.md#first-member-names-its-database. Immutable: forces replacement.
    pub database_name: String,
    /// The owner of the database. Sent on the creation of the first member, and compared on the member that writes. Immutable:
    /// forces replacement.
    pub master_username: String,
    /// The secret from which the owner's password is read into memory. Never compared. In-place.
    pub master_secret: Ref<Arn<Secret>>,
    /// The version of that secret, which shows that there is a new password without revealing it. The member that writes takes
    /// the password; the others note its version. In-place.
    pub secret_version: Ref<SecretVersion>,
    /// The subnets of its instances. Immutable: forces replacement.
    pub subnet_group: Ref<Id<DbSubnetGroup>>,
    /// Its parameters. In-place.
    pub parameter_group: Ref<Id<DbClusterParameterGroup>>,
    /// The security groups that say who may reach it. In-place.
    pub security_groups: Vec<Ref<Id<SecurityGroup>>>,
    /// The key of its Region that encrypts its storage. Immutable: forces replacement.
    pub kms_key: Ref<Arn<Key>>,
    /// The TCP port. In-place.
    pub port: i32,
    /// Whether AWS refuses to delete it; `None` leaves that as it is. In-place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// Days for which backups are kept. In-place.
    pub backup_retention_days: i32,
    /// When it is backed up, in UTC, e.g. `03:00-04:00`. In-place.
    pub backup_window: String,
    /// When AWS may maintain it, in UTC, e.g. `sun:05:00-sun:06:00`. In-place.
    pub maintenance_window: String,
    /// Whether IAM identities can log in. In-place.
    pub iam_authentication: bool,
    /// The logs that are exported to `CloudWatch` Logs: `postgresql`, `iam-db-auth-error`. In-place.
    pub log_exports: Vec<String>,
    /// Whether it answers SQL over HTTPS (the Data API). A member that is not the writer refuses it nevertheless
    /// (docs/aws-behaviour.md#data-api-on-the-writer-only). In-place.
    pub http_endpoint: bool,
    /// Whether its tags are copied to its snapshots. In-place.
    pub copy_tags_to_snapshots: bool,
    /// The minimum capacity of its serverless instances, in ACU; 0 where there are none. In-place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_acu: i32,
    /// The maximum capacity of its serverless instances, in ACU; 0 where there are none. In-place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_acu: i32,
    /// Other resources that have to be ready first: for a secondary member, the writer's instance
    /// (docs/aws-behaviour.md#writer-instance-before-secondary). Only an order; never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for DbCluster {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("name", "a member of a global cluster cannot be renamed"),
            // See docs/aws-behaviour.md#detached-cluster-is-live.
            (
                "global_cluster",
                "an existing cluster cannot join a global cluster: it would have to be replaced, and its data would be lost. A \
                 cluster that has left its global cluster accepts writes, and may hold the newest data: if there is another \
                 one, decide first which of the two is to be the primary",
            ),
            ("master_username", "the owner of the database cannot be changed"),
            ("subnet_group", "a cluster cannot be moved to other subnets"),
            ("kms_key", "the key of a cluster's storage cannot be changed"),
        ],
        idempotent_create: true,
        patience: Duration::from_mins(30),
        holds_data: true,
        versions: &["engine_version"],
        ..TypeInfo::usual("db_cluster")
    };
    const SERVICE: &'static str = "rds";
    const LATENCIES: &'static [Latencies] = &[
        // "Aurora secondary cluster"; "RemoveFromGlobal `promoting`, then 60", which at worst is as slow as for any cluster.
        Latencies::of(
            2,
            Latency::of_steps([120.0, 400.0, 1800.0], &[durations::step("CreateDBCluster", 1, 3.0, 397.0)]),
            Latency::of_steps(
                [70.0, 180.0, 900.0],
                &[
                    durations::step("RemoveFromGlobalCluster", 1, 3.0, 117.0),
                    durations::step("DeleteDBCluster", 1, 2.0, 58.0),
                ],
            ),
        )
        .only(Which::In(Role::Secondary)),
        // "Aurora cluster". The one that writes leaves its global cluster without being promoted.
        Latencies::of(
            2,
            Latency::of_steps([30.0, 45.0, 120.0], &[durations::step("CreateDBCluster", 1, 3.0, 42.0)]),
            Latency::of_steps(
                [40.0, 63.0, 300.0],
                &[
                    durations::step("RemoveFromGlobalCluster", 1, 3.0, 2.0),
                    durations::step("DeleteDBCluster", 1, 2.0, 56.0),
                ],
            ),
        ),
    ];
    const UPDATE_SECONDS: f64 = 60.0;
    // The key: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Overview.Encryption.Keys.html. The password is
    // read from the secret.
    const PERMISSIONS: &'static [Grant] = &[
        on(CLUSTER, "rds", "AddTagsToResource CreateDBCluster EnableHttpEndpoint ListTagsForResource ModifyDBCluster"),
        on(
            &[
                GLOBAL_CLUSTER,
                "arn:aws:rds:{region}:{account}:cluster-pg:{db_cluster_parameter_group}",
                "arn:aws:rds:{region}:{account}:subgrp:{db_subnet_group}",
            ],
            "rds",
            "CreateDBCluster",
        ),
        later(CLUSTER, "rds", "DeleteDBCluster DisableHttpEndpoint RemoveFromGlobalCluster"),
        later(&[GLOBAL_CLUSTER], "rds", "RemoveFromGlobalCluster"),
        on(CLUSTERS, "rds", "DescribeDBClusters"),
        on(ANY, "ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
        key(
            &[("kms:ViaService", "rds.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
            "CreateGrant Decrypt DescribeKey",
        ),
        on(&["arn:aws:secretsmanager:{region}:{account}:secret:{secret}-a1b2c3"], "secretsmanager", "GetSecretValue"),
    ];
    const TAGGING: Tagging = Tagging::Rds;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let rds = &cx.clients().rds;
        let clusters = cx
            .pages("rds", "DescribeDBClusters", || rds.describe_db_clusters().into_paginator().items().send())
            .await?;
        let globals = global_cluster::listed(cx).await?;
        Ok(clusters.iter().map(|cluster| from_described(cx, cluster, &globals)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let rds = &cx.clients().rds;
        let answer = cx
            .read("rds", "DescribeDBClusters", || rds.describe_db_clusters().db_cluster_identifier(id).send())
            .await?;
        let Some(cluster) = answer.db_clusters().first() else { return Ok(None) };
        let globals = global_cluster::described(cx, cluster.global_cluster_identifier()).await?;
        Ok(Some(from_described(cx, cluster, &globals)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let globals = global_cluster::described(cx, Some(self.global_cluster.value())).await?;
        let global = globals.first();
        // A secondary has its writer's owner, password and database, and a call with any of them is refused: "Cannot specify user
        // name for cross region replication cluster". https://github.com/hashicorp/terraform-provider-aws/issues/10188 See
        // docs/aws-behaviour.md#secondary-create-parameters.
        let source = global.and_then(writer).and_then(place).map(|(region, _)| region);
        let mut all_tags = creation.tags;
        all_tags.insert(SECRET_VERSION.to_owned(), self.secret_version.value().to_owned());
        let mut call = cx
            .clients()
            .rds
            .create_db_cluster()
            .db_cluster_identifier(&self.name)
            .engine(ENGINE)
            .engine_version(self.version_in(global))
            .engine_lifecycle_support(LIFECYCLE)
            .global_cluster_identifier(self.global_cluster.value())
            .db_subnet_group_name(self.subnet_group.value())
            .db_cluster_parameter_group_name(self.parameter_group.value())
            .set_vpc_security_group_ids(Some(self.security_group_ids()))
            .storage_encrypted(true)
            .kms_key_id(self.kms_key.value())
            .port(self.port)
            .set_deletion_protection(self.deletion_protection)
            .backup_retention_period(self.backup_retention_days)
            .preferred_backup_window(&self.backup_window)
            .preferred_maintenance_window(&self.maintenance_window)
            .enable_iam_database_authentication(self.iam_authentication)
            .set_enable_cloudwatch_logs_exports(some(self.log_exports.clone()))
            .copy_tags_to_snapshot(self.copy_tags_to_snapshots)
            .enable_http_endpoint(self.http_endpoint)
            .set_serverless_v2_scaling_configuration(self.scaling());
        if let Some(source) = source {
            if !cx.is_custom_endpoint() {
                let credentials = cx.credentials().await?;
                call = call.pre_signed_url(presign::url(self, source, &cx.region, credentials, SystemTime::now())?);
            }
        } else {
            // See docs/aws-behaviour.md#first-member-login.
            let login = Login::of(self, cx).await?;
            call = call
                .master_username(&self.master_username)
                .master_user_password(&login.password)
                .database_name(&self.database_name);
        }
        let answer = cx.mutate("rds", "CreateDBCluster", call.set_tags(Some(tags(&all_tags))).send()).await;
        named::<Self, _>(cx, &self.name, answer).await
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        // In any other state, AWS refuses with InvalidDBClusterStateFault.
        if live.phase != Phase::Ready {
            return Ok(Synced::in_progress("it to be available, as changes require"));
        }
        let mut synced = Synced::default();
        if changed(changes, "http_endpoint") {
            let answer = self.switch_http_endpoint(cx, live.arn.as_deref().unwrap_or_default()).await;
            synced.unless_unsupported("http_endpoint", answer)?;
        }
        let (secret, others): (Vec<&Change>, Vec<&Change>) = changes
            .iter()
            .filter(|change| change.property != "http_endpoint")
            .partition(|change| change.property == "secret_version");
        if !secret.is_empty()
            && let Some(writer) = self.take_over_password(cx, live).await?
        {
            synced = Synced { unsupported: synced.unsupported, ..writer };
        }
        if !others.is_empty() {
            self.modify(cx, live, changes).await?;
        }
        if synced.in_progress.is_none() && !(others.is_empty() && secret.is_empty()) {
            synced.visible_after = Some("its modification".to_owned());
        }
        Ok(synced)
    }

    /// A standalone cluster can become the writer of a new global cluster while the stack has none with members. See
    /// docs/aws-behaviour.md#global-cluster-from-a-cluster.
    fn spare(cx: &Context, live: &Live, changes: &[Change]) -> Option<String> {
        let is_alone = live.properties.get("global_cluster").and_then(Value::as_str) == Some("");
        let forced: Vec<&Change> = changes.iter().filter(|change| change.forces_replacement.is_some()).collect();
        let [Change { property, new, .. }] = forced[..] else { return None };
        // While its name is unknown, the global cluster does not exist.
        let exists = new.is_string();
        let is_vacant = live.properties.get(VACANT) == Some(&Value::Bool(true));
        if !is_alone || property != "global_cluster" || (exists && !is_vacant) {
            return None;
        }
        let (region, name) = (&cx.region, cx.scope.name());
        let first = if exists {
            format!(
                "first delete the old one, which has no members any more: `aws rds delete-global-cluster --region {region} \
                 --global-cluster-identifier {name}` (if AWS says that it is protected: `aws rds modify-global-cluster --region \
                 {region} --global-cluster-identifier {name} --no-deletion-protection` before that); then "
            )
        } else {
            String::new()
        };
        let address = Address::new(Role::Global, GlobalCluster::INFO.kind, "main");
        let tags = cx.scope.tags(&address);
        let tags: Vec<String> = tags.iter().map(|(key, value)| format!("Key={key},Value={value}")).collect();
        Some(format!(
            "To keep it, with its data, as the writer of a new global cluster: {first}`aws rds create-global-cluster --region {region} \
             --global-cluster-identifier {name} --source-db-cluster-identifier {} --tags {}`; then run the same command again, \
             which adds the other Region's cluster as a copy of it",
            live.arn.as_deref()?,
            tags.join(" ")
        ))
    }

    /// AWS does not delete a cluster that has instances, and drctl does not touch those of others, e.g. of Application Auto
    /// Scaling.
    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        let what = ("the storage of", live.id.as_str());
        let is_member = |instance: &DbInstance| instance.db_cluster_identifier() == Some(&live.id);
        let mut hindrances = databases::hindrances(cx, what, also, |_| false, is_member).await?;
        let switch = format!("rds modify-db-cluster --db-cluster-identifier {} --no-deletion-protection", live.id);
        hindrances.extend(protection::hindrance(cx, live, &switch));
        if cx.disposal.final_snapshots {
            hindrances.extend(snapshot::obstacles(cx, live).await?);
        }
        let left = if cx.disposal.final_snapshots { ", except for its final snapshot" } else { "" };
        Ok(Weight { stake: Some(format!("the database in {}{left}", live.id)), hindrances, kept: None })
    }

    /// In the order that AWS requires: it leaves its global cluster, is available again, and is deleted. It leaves a final
    /// snapshot unless the user agreed to do without. Deletion protection is not lifted: the person who enabled it has to disable
    /// it. <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-deleting.html>. See
    /// docs/aws-behaviour.md#member-leaves-before-deletion and docs/aws-behaviour.md#final-snapshot.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let rds = &cx.clients().rds;
        if let Phase::Pending(state) = &live.phase {
            return Ok(Deletion::NotYet(format!("it to be available instead of {state}, as its deletion requires")));
        }
        // Before it leaves its global cluster: otherwise the deletion would stop halfway.
        protection::refuse(live)?;
        let global = live.properties.get("global_cluster").and_then(Value::as_str).unwrap_or_default();
        if !global.is_empty() {
            let arn = live.arn.as_deref().unwrap_or_default();
            let call = rds.remove_from_global_cluster().global_cluster_identifier(global).db_cluster_identifier(arn);
            let leaving = Deletion::NotYet("it to leave its global cluster".to_owned());
            return match cx.mutate("rds", "RemoveFromGlobalCluster", call.send()).await {
                // It has already left, which does not show yet. See docs/aws-behaviour.md#membership-seen-late.
                Err(failure) if failure.class == Class::NotFound => Ok(leaving),
                answer => step(answer, leaving),
            };
        }
        let call = rds.delete_db_cluster().db_cluster_identifier(&live.id).delete_automated_backups(true);
        if !cx.disposal.final_snapshots {
            let answer = cx.mutate("rds", "DeleteDBCluster", call.skip_final_snapshot(true).send()).await;
            return step(answer, Deletion::Requested);
        }
        let snapshot = snapshot::name(live);
        let call = call.skip_final_snapshot(false).final_db_snapshot_identifier(&snapshot);
        match cx.mutate("rds", "DeleteDBCluster", call.send()).await {
            // A call whose answer was lost has requested it: no other cluster's snapshot has this name.
            Err(failure) if failure.class == Class::Exists => {
                Ok(Deletion::NotYet(format!("its final snapshot {snapshot} to be taken")))
            }
            answer => step(answer, Deletion::Requested),
        }
    }
}

impl DbCluster {
    fn security_group_ids(&self) -> Vec<String> {
        self.security_groups.iter().map(|group| group.value().to_owned()).collect()
    }

    fn scaling(&self) -> Option<ServerlessV2ScalingConfiguration> {
        let builder = ServerlessV2ScalingConfiguration::builder();
        let (min, max) = (f64::from(self.min_acu), f64::from(self.max_acu));
        (self.max_acu > 0).then(|| builder.min_capacity(min).max_capacity(max).build())
    }

    /// The version to create it with: the global database's, if that is of the same major version.
    /// See docs/aws-behaviour.md#member-joins-with-the-running-version.
    fn version_in<'a>(&'a self, global: Option<&'a Global>) -> &'a str {
        let live = global.and_then(Global::engine_version).unwrap_or_default();
        let major = |version: &'a str| version.split('.').next().unwrap_or_default();
        if major(live) == major(&self.engine_version) { live } else { &self.engine_version }
    }

    /// Sets the password on the member that writes, and notes the change on every member: any of them may be the next to write,
    /// and has it, too. The others' notes wait until the writer's is there. See docs/aws-behaviour.md#secondary-password.
    async fn take_over_password(&self, cx: &Context, live: &Live) -> Result<Option<Synced>, Failure> {
        let globals = global_cluster::described(cx, Some(self.global_cluster.value())).await?;
        let arn = live.arn.as_deref().unwrap_or_default();
        let writer = globals.first().and_then(writer).filter(|writer| *writer != arn);
        if let Some(writer) = writer
            && let Some((region, name)) = place(writer)
        {
            let there = cx.at(region);
            let rds = &there.clients().rds;
            let answer = there
                .read("rds", "DescribeDBClusters", || rds.describe_db_clusters().db_cluster_identifier(name).send())
                .await?;
            let tags = answer.db_clusters().first().map(|cluster| tag_map(cluster.tag_list())).unwrap_or_default();
            if tags.get(SECRET_VERSION).map(String::as_str) != Some(self.secret_version.value()) {
                let what = format!("{name} in {region}, which writes, to take the new password");
                return Ok(Some(Synced::after(writer, what)));
            }
        } else {
            let password = Login::of(self, cx).await?;
            let rds = &cx.clients().rds;
            let call = rds.modify_db_cluster().db_cluster_identifier(&live.id).apply_immediately(true);
            let call = call.master_user_password(&password.password).send();
            cx.mutate("rds", "ModifyDBCluster", call).await?;
        }
        // Afterwards: a run that ends in between sets the password once more.
        let version = self.secret_version.value().to_owned();
        tag(cx, live, &TagMap::from([(SECRET_VERSION.to_owned(), version)])).await?;
        Ok(None)
    }

    /// All changes in one call, except for the Data API and the password, which have calls of their own.
    async fn modify(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<(), Failure> {
        let is = |property: &str| changed(changes, property);
        let exports = changes.iter().find(|change| change.property == "log_exports");
        let scales = is("min_acu") || is("max_acu");
        let call = cx
            .clients()
            .rds
            .modify_db_cluster()
            .db_cluster_identifier(&live.id)
            .apply_immediately(true)
            .set_engine_version(is("engine_version").then(|| self.engine_version.clone()))
            .set_db_cluster_parameter_group_name(is("parameter_group").then(|| self.parameter_group.value().to_owned()))
            .set_vpc_security_group_ids(is("security_groups").then(|| self.security_group_ids()))
            .set_port(is("port").then_some(self.port))
            .set_deletion_protection(self.deletion_protection.filter(|_| is("deletion_protection")))
            .set_backup_retention_period(is("backup_retention_days").then_some(self.backup_retention_days))
            .set_preferred_backup_window(is("backup_window").then(|| self.backup_window.clone()))
            .set_preferred_maintenance_window(is("maintenance_window").then(|| self.maintenance_window.clone()))
            .set_enable_iam_database_authentication(is("iam_authentication").then_some(self.iam_authentication))
            .set_copy_tags_to_snapshot(is("copy_tags_to_snapshots").then_some(self.copy_tags_to_snapshots))
            .set_cloudwatch_logs_export_configuration(exports.map(|change| switch_logs(&change.old, &self.log_exports)))
            .set_serverless_v2_scaling_configuration(if scales { self.scaling() } else { None });
        cx.mutate("rds", "ModifyDBCluster", call.send()).await?;
        Ok(())
    }

    async fn switch_http_endpoint(&self, cx: &Context, arn: &str) -> Result<(), Failure> {
        let rds = &cx.clients().rds;
        if self.http_endpoint {
            let call = rds.enable_http_endpoint().resource_arn(arn).send();
            cx.mutate("rds", "EnableHttpEndpoint", call).await.map(drop)
        } else {
            let call = rds.disable_http_endpoint().resource_arn(arn).send();
            cx.mutate("rds", "DisableHttpEndpoint", call).await.map(drop)
        }
    }
}

/// The logs to switch on and off to get from the live exports to the desired ones.
fn switch_logs(old: &Value, desired: &[String]) -> CloudwatchLogsExportConfiguration {
    let old: Vec<&str> = old.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let on = desired.iter().filter(|name| !old.contains(&name.as_str())).cloned().collect();
    let off =
        old.iter().filter(|name| !desired.iter().any(|kept| kept == *name)).map(|name| (*name).to_owned()).collect();
    CloudwatchLogsExportConfiguration::builder().set_enable_log_types(some(on)).set_disable_log_types(some(off)).build()
}

/// An empty list is not sent.
fn some(names: Vec<String>) -> Option<Vec<String>> {
    (!names.is_empty()).then_some(names)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::resources::rds) fn secondary() -> DbCluster {
        DbCluster {
            name: "pay-prod-use2".to_owned(),
            engine_version: "17.7".to_owned(),
            global_cluster: Ref::known("pay-prod"),
            database_name: "payments".to_owned(),
            master_username: "payments_admin".to_owned(),
            master_secret: Ref::known("arn:aws:secretsmanager:us-east-1:111122223333:secret:pay-prod-database-AbCdEf"),
            secret_version: Ref::known("v1"),
            subnet_group: Ref::known("pay-prod"),
            parameter_group: Ref::known("pay-prod-postgresql17"),
            security_groups: vec![Ref::known("sg-1")],
            kms_key: Ref::known("arn:aws:kms:us-east-2:111122223333:key/0f"),
            port: 5432,
            deletion_protection: Some(true),
            backup_retention_days: 7,
            backup_window: "03:00-04:00".to_owned(),
            maintenance_window: "sun:05:00-sun:06:00".to_owned(),
            iam_authentication: true,
            log_exports: vec!["postgresql".to_owned()],
            http_endpoint: true,
            copy_tags_to_snapshots: true,
            min_acu: 0,
            max_acu: 0,
            after: Vec::new(),
        }
    }

    #[test]
    fn a_member_is_created_with_the_version_that_the_others_run() {
        let global = |version: &str| Global::builder().engine_version(version).build();
        let cluster = secondary();
        assert_eq!(cluster.version_in(Some(&global("17.9"))), "17.9");
        assert_eq!(cluster.version_in(Some(&global("16.8"))), "17.7", "another major version is refused beforehand");
        assert_eq!(cluster.version_in(None), "17.7");
    }

    #[test]
    fn logs_are_switched_on_and_off() {
        let switch = switch_logs(&json!(["postgresql", "upgrade"]), &["postgresql".into(), "iam-db-auth-error".into()]);
        assert_eq!(switch.enable_log_types(), ["iam-db-auth-error"]);
        assert_eq!(switch.disable_log_types(), ["upgrade"]);
    }
}
