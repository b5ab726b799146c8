//! `db_cluster`: a Region's member of the global database. Its storage, without the instances that serve it.

use std::time::{Duration, SystemTime};

use aws_sdk_rds::types::{CloudwatchLogsExportConfiguration, ServerlessV2ScalingConfiguration};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::login::Login;
use super::member::from_described;
use super::{
    DbClusterParameterGroup, DbSubnetGroup, ENGINE, GlobalCluster, LIFECYCLE, SecretVersion, global_cluster, named,
    presign, step, tag, tags,
};
use crate::aws::TagMap;
use crate::resources::ec2::SecurityGroup;
use crate::resources::kms::Key;
use crate::resources::secretsmanager::Secret;
use crate::resources::{
    Arn, Change, Class, Context, Creation, Failure, Id, Live, Phase, Ref, Removal, Resource, Synced, Tagging, Traits,
    changed,
};

/// The tag that says which version of the secret the password was last taken from.
pub(super) const SECRET_VERSION: &str = "drctl:secret-version";

/// An Aurora PostgreSQL cluster in a global database. Outputs: `endpoint` (the writer's) and `reader_endpoint`.
///
/// After a switchover its role is the other one. So nothing that follows from the role is compared: what was told when the
/// first member was made stays unset, and with that unread, for the others.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Aurora's")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbCluster {
    /// Its name, in lower case, unique in the account across Regions. Immutable: forces replacement.
    pub name: String,
    /// The version of the engine, e.g. `17.7`: the global cluster's. In-place.
    pub engine_version: String,
    /// What it is a member of. Immutable: forces replacement.
    pub global_cluster: Ref<Id<GlobalCluster>>,
    /// The Region of the member that it is copied from; empty for the first member. Told on creation, never compared.
    /// Immutable: forces replacement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_region: String,
    /// The database's owner; empty for all but the first member, which have the first one's. Immutable: forces replacement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub master_username: String,
    /// Where the owner's password is read from, in memory; unset for all but the first member. Never compared. In-place.
    #[serde(default = "unset", skip_serializing_if = "is_unset")]
    pub master_secret: Ref<Arn<Secret>>,
    /// The version of that secret, by which a new password is noticed without knowing it; unset for all but the first member,
    /// and not compared while another one is the writer. In-place.
    #[serde(default = "unset", skip_serializing_if = "is_unset")]
    pub secret_version: Ref<SecretVersion>,
    /// Where its instances stand. Immutable: forces replacement.
    pub subnet_group: Ref<Id<DbSubnetGroup>>,
    /// How it is set up. In-place.
    pub parameter_group: Ref<Id<DbClusterParameterGroup>>,
    /// Who may reach it. In-place.
    pub security_groups: Vec<Ref<Id<SecurityGroup>>>,
    /// Its Region's key, which its storage is encrypted with. Immutable: forces replacement.
    pub kms_key: Ref<Arn<Key>>,
    /// The TCP port. In-place.
    pub port: i32,
    /// Whether AWS refuses to delete it. In-place.
    pub deletion_protection: bool,
    /// Days for which backups are kept. In-place.
    pub backup_retention_days: i32,
    /// When it is backed up, in UTC, e.g. `03:00-04:00`. In-place.
    pub backup_window: String,
    /// When AWS may maintain it, in UTC, e.g. `sun:05:00-sun:06:00`. In-place.
    pub maintenance_window: String,
    /// Whether IAM identities may log in. In-place.
    pub iam_authentication: bool,
    /// Which logs go to `CloudWatch` Logs: `postgresql`, `iam-db-auth-error`. In-place.
    pub log_exports: Vec<String>,
    /// Whether it answers SQL over HTTPS (the Data API); a member that is not the writer refuses even so. In-place.
    pub http_endpoint: bool,
    /// Whether its snapshots carry its tags. In-place.
    pub copy_tags_to_snapshots: bool,
    /// The least capacity of its serverless instances, in ACU; 0 where there are none. In-place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_acu: i32,
    /// The most capacity of its serverless instances, in ACU; 0 where there are none. In-place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_acu: i32,
    /// What has to be ready besides: for a secondary member, the writer's instance (aws-behaviour row 18). Orders only, and is
    /// never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for DbCluster {
    const TRAITS: Traits = Traits {
        kind: "db_cluster",
        immutable: &[
            ("name", "a member of a global cluster cannot be renamed"),
            (
                "global_cluster",
                "a cluster cannot join a global cluster afterwards: its data is copied by making it anew",
            ),
            ("master_username", "the owner of the database cannot be changed"),
            ("subnet_group", "a cluster cannot be moved to other subnets"),
            ("kms_key", "the key of a cluster's storage cannot be changed"),
        ],
        holds: &[],
        // A secondary member's, which is what a run waits for; the first one takes 45.
        create: Duration::from_secs(400),
        // It is promoted (120) before it is deleted (63).
        delete: Duration::from_mins(3),
        idempotent_create: true,
        patience: Duration::from_mins(30),
        removable: true,
    };
    const TAGGING: Tagging = Tagging::Rds;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let rds = &cx.clients().rds;
        let clusters = cx
            .read("rds", "DescribeDBClusters", || {
                rds.describe_db_clusters().into_paginator().items().send().collect::<Result<Vec<_>, _>>()
            })
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
        let mut all_tags = creation.tags;
        let mut call = cx
            .clients()
            .rds
            .create_db_cluster()
            .db_cluster_identifier(&self.name)
            .engine(ENGINE)
            .engine_version(&self.engine_version)
            .engine_lifecycle_support(LIFECYCLE)
            .global_cluster_identifier(self.global_cluster.value())
            .db_subnet_group_name(self.subnet_group.value())
            .db_cluster_parameter_group_name(self.parameter_group.value())
            .set_vpc_security_group_ids(Some(self.security_group_ids()))
            .storage_encrypted(true)
            .kms_key_id(self.kms_key.value())
            .port(self.port)
            .deletion_protection(self.deletion_protection)
            .backup_retention_period(self.backup_retention_days)
            .preferred_backup_window(&self.backup_window)
            .preferred_maintenance_window(&self.maintenance_window)
            .enable_iam_database_authentication(self.iam_authentication)
            .set_enable_cloudwatch_logs_exports(some(self.log_exports.clone()))
            .copy_tags_to_snapshot(self.copy_tags_to_snapshots)
            .set_serverless_v2_scaling_configuration(self.scaling());
        if self.source_region.is_empty() {
            let login = Login::of(self, cx).await?;
            all_tags.insert(SECRET_VERSION.to_owned(), self.secret_version.value().to_owned());
            call = call
                .master_username(&self.master_username)
                .master_user_password(&login.password)
                .enable_http_endpoint(self.http_endpoint);
        } else if !cx.is_custom_endpoint() {
            let credentials = cx.credentials().await?;
            call = call.pre_signed_url(presign::url(self, &cx.region, credentials, SystemTime::now())?);
        }
        let answer = cx.mutate("rds", "CreateDBCluster", call.set_tags(Some(tags(&all_tags))).send()).await;
        named::<Self, _>(cx, &self.name, answer).await
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        // Anything else refuses: InvalidDBClusterStateFault.
        if live.phase != Phase::Ready {
            return Ok(Synced::later("it to be available, as changes need"));
        }
        let mut synced = Synced::default();
        if changed(changes, "http_endpoint") {
            let answer = self.switch_http_endpoint(cx, live.arn.as_deref().unwrap_or_default()).await;
            synced.unless_unsupported("http_endpoint", answer)?;
        }
        if changes.iter().any(|change| change.property != "http_endpoint") {
            self.modify(cx, live, changes).await?;
            synced.later = Some("its modification".to_owned());
        }
        Ok(synced)
    }

    /// In the order that AWS insists on (aws-behaviour row 19): no protection, no membership, available, gone.
    ///
    /// Nothing is left of it, neither a final snapshot nor the automated backups, which would outlive it and its key: `drctl
    /// down` is asked twice, is refused while the stack is protected, and means what it says.
    async fn delete(cx: &Context, live: &Live) -> Result<Removal, Failure> {
        let rds = &cx.clients().rds;
        if let Phase::Pending(state) = &live.phase {
            return Ok(Removal::Later(format!("it to be available instead of {state}, as its deletion needs")));
        }
        if live.properties.get("deletion_protection") == Some(&Value::Bool(true)) {
            let call = rds.modify_db_cluster().db_cluster_identifier(&live.id).deletion_protection(false);
            let answer = cx.mutate("rds", "ModifyDBCluster", call.apply_immediately(true).send()).await;
            return step(answer, Removal::Later("its deletion protection to be off".to_owned()));
        }
        let global = live.properties.get("global_cluster").and_then(Value::as_str).unwrap_or_default();
        if !global.is_empty() {
            let arn = live.arn.as_deref().unwrap_or_default();
            let call = rds.remove_from_global_cluster().global_cluster_identifier(global).db_cluster_identifier(arn);
            let leaving = Removal::Later("it to leave its global cluster".to_owned());
            return match cx.mutate("rds", "RemoveFromGlobalCluster", call.send()).await {
                // It is out already, and does not show it yet: aws-behaviour row 20.
                Err(failure) if failure.class == Class::NotFound => Ok(leaving),
                answer => step(answer, leaving),
            };
        }
        let call = rds.delete_db_cluster().db_cluster_identifier(&live.id);
        let call = call.skip_final_snapshot(true).delete_automated_backups(true).send();
        step(cx.mutate("rds", "DeleteDBCluster", call).await, Removal::Ordered)
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

    /// All changes in one call, except for the Data API's, which has its own.
    async fn modify(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<(), Failure> {
        let is = |property: &str| changed(changes, property);
        let exports = changes.iter().find(|change| change.property == "log_exports");
        let scales = is("min_acu") || is("max_acu");
        let mut call = cx
            .clients()
            .rds
            .modify_db_cluster()
            .db_cluster_identifier(&live.id)
            .apply_immediately(true)
            .set_engine_version(is("engine_version").then(|| self.engine_version.clone()))
            .set_db_cluster_parameter_group_name(is("parameter_group").then(|| self.parameter_group.value().to_owned()))
            .set_vpc_security_group_ids(is("security_groups").then(|| self.security_group_ids()))
            .set_port(is("port").then_some(self.port))
            .set_deletion_protection(is("deletion_protection").then_some(self.deletion_protection))
            .set_backup_retention_period(is("backup_retention_days").then_some(self.backup_retention_days))
            .set_preferred_backup_window(is("backup_window").then(|| self.backup_window.clone()))
            .set_preferred_maintenance_window(is("maintenance_window").then(|| self.maintenance_window.clone()))
            .set_enable_iam_database_authentication(is("iam_authentication").then_some(self.iam_authentication))
            .set_copy_tags_to_snapshot(is("copy_tags_to_snapshots").then_some(self.copy_tags_to_snapshots))
            .set_cloudwatch_logs_export_configuration(exports.map(|change| switch_logs(&change.old, &self.log_exports)))
            .set_serverless_v2_scaling_configuration(if scales { self.scaling() } else { None });
        if is("secret_version") {
            call = call.master_user_password(&Login::of(self, cx).await?.password);
        }
        cx.mutate("rds", "ModifyDBCluster", call.send()).await?;
        if is("secret_version") {
            // Afterwards: a run that ends in between sets the password once more.
            let version = self.secret_version.value().to_owned();
            tag(cx, live, &TagMap::from([(SECRET_VERSION.to_owned(), version)])).await?;
        }
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

/// What leads from the live exports to the desired ones.
fn switch_logs(old: &Value, desired: &[String]) -> CloudwatchLogsExportConfiguration {
    let old: Vec<&str> = old.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let on = desired.iter().filter(|name| !old.contains(&name.as_str())).cloned().collect();
    let off =
        old.iter().filter(|name| !desired.iter().any(|kept| kept == *name)).map(|name| (*name).to_owned()).collect();
    CloudwatchLogsExportConfiguration::builder().set_enable_log_types(some(on)).set_disable_log_types(some(off)).build()
}

/// An empty list is one that is not sent.
fn some(names: Vec<String>) -> Option<Vec<String>> {
    (!names.is_empty()).then_some(names)
}

pub(super) fn unset<T: ?Sized>() -> Ref<T> {
    Ref::known("")
}

fn is_unset<T: ?Sized>(reference: &Ref<T>) -> bool {
    *reference == Ref::known("")
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
            source_region: "us-east-1".to_owned(),
            master_username: String::new(),
            master_secret: unset(),
            secret_version: unset(),
            subnet_group: Ref::known("pay-prod"),
            parameter_group: Ref::known("pay-prod-postgresql17"),
            security_groups: vec![Ref::known("sg-1")],
            kms_key: Ref::known("arn:aws:kms:us-east-2:111122223333:key/0f"),
            port: 5432,
            deletion_protection: true,
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
    fn what_only_the_first_member_has_is_not_compared_for_the_others() {
        let properties = json!(secondary());
        for name in ["master_username", "master_secret", "secret_version", "min_acu", "max_acu"] {
            assert!(properties.get(name).is_none(), "{name}");
        }
        let address = crate::state::Address::new(crate::state::Role::Global, "secret", "database");
        let first = DbCluster { secret_version: Ref::output(address, "version"), min_acu: 8, ..secondary() };
        let properties = json!(first);
        assert!(properties["secret_version"].is_object() && properties["min_acu"] == 8);
        assert_eq!(serde_json::from_value::<DbCluster>(json!(secondary())).expect("reads back"), secondary());
    }

    #[test]
    fn logs_are_switched_on_and_off() {
        let switch = switch_logs(&json!(["postgresql", "upgrade"]), &["postgresql".into(), "iam-db-auth-error".into()]);
        assert_eq!(switch.enable_log_types(), ["iam-db-auth-error"]);
        assert_eq!(switch.disable_log_types(), ["upgrade"]);
    }
}
