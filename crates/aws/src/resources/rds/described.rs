//! How a cluster is read: what it says of itself, and what its global cluster says of it.

use aws_sdk_rds::types::{
    DbCluster as Described, GlobalCluster as Global, ServerlessV2ScalingConfigurationInfo as Scaling,
    VpcSecurityGroupMembership,
};
use serde_json::{Value, json};

use super::db_cluster::{DbCluster, SECRET_VERSION};
use super::member::Membership;
use super::{phase, tag_map};
use crate::resources::{Context, Live, Readable, Ref, live};

/// What AWS does not tell is not compared: an answer that lacks something says nothing about it.
pub(super) fn from_described(cx: &Context, cluster: &Described, globals: &[Global]) -> Live {
    let id = cluster.db_cluster_identifier().unwrap_or_default();
    let membership = Membership::of(cluster, globals);
    let groups = cluster.vpc_security_groups().iter().filter(|group| group.status() != Some("removing"));
    let tags = tag_map(cluster.tag_list());
    let properties = DbCluster {
        name: id.to_owned(),
        engine_version: cluster.engine_version().unwrap_or_default().to_owned(),
        global_cluster: Ref::known(membership.global.as_str()),
        database_name: String::new(),
        master_username: cluster.master_username().unwrap_or_default().to_owned(),
        master_secret: Ref::known(""),
        secret_version: Ref::known(tags.get(SECRET_VERSION).cloned().unwrap_or_default()),
        subnet_group: Ref::known(cluster.db_subnet_group().unwrap_or_default()),
        parameter_group: Ref::known(cluster.db_cluster_parameter_group().unwrap_or_default()),
        security_groups: groups.filter_map(VpcSecurityGroupMembership::vpc_security_group_id).map(Ref::known).collect(),
        kms_key: Ref::known(cluster.kms_key_id().unwrap_or_default()),
        port: cluster.port().unwrap_or_default(),
        deletion_protection: cluster.deletion_protection().unwrap_or_default(),
        backup_retention_days: cluster.backup_retention_period().unwrap_or_default(),
        backup_window: cluster.preferred_backup_window().unwrap_or_default().to_owned(),
        maintenance_window: cluster.preferred_maintenance_window().unwrap_or_default().to_owned(),
        iam_authentication: cluster.iam_database_authentication_enabled().unwrap_or_default(),
        log_exports: cluster.enabled_cloudwatch_logs_exports().to_vec(),
        http_endpoint: cluster.http_endpoint_enabled().unwrap_or_default(),
        copy_tags_to_snapshots: cluster.copy_tags_to_snapshot().unwrap_or_default(),
        min_acu: 0,
        max_acu: 0,
        after: Vec::new(),
    };
    let scaling = cluster.serverless_v2_scaling_configuration();
    let mut found = live(&cx.scope, id, phase(cluster.status()), &Readable::complete(properties), Some(tags))
        .with_arn(cluster.db_cluster_arn().unwrap_or_default())
        .without([
            ("engine_version", cluster.engine_version.is_none()),
            // Told once, on creation; of a secondary member AWS tells what its writer has, or nothing.
            ("database_name", true),
            ("master_username", membership.is_secondary || cluster.master_username.is_none()),
            ("master_secret", true),
            ("subnet_group", cluster.db_subnet_group.is_none()),
            ("parameter_group", cluster.db_cluster_parameter_group.is_none()),
            ("security_groups", cluster.vpc_security_groups.is_none()),
            ("kms_key", cluster.kms_key_id.is_none()),
            ("port", cluster.port.is_none()),
            ("deletion_protection", cluster.deletion_protection.is_none()),
            ("backup_retention_days", cluster.backup_retention_period.is_none()),
            ("backup_window", cluster.preferred_backup_window.is_none()),
            ("maintenance_window", cluster.preferred_maintenance_window.is_none()),
            ("iam_authentication", cluster.iam_database_authentication_enabled.is_none()),
            ("http_endpoint", cluster.http_endpoint_enabled.is_none()),
            ("copy_tags_to_snapshots", cluster.copy_tags_to_snapshot.is_none()),
            // AWS leaves the list out when it is empty, MiniStack always.
            ("log_exports", cluster.enabled_cloudwatch_logs_exports.is_none() && cx.is_custom_endpoint()),
        ]);
    found.properties.insert("min_acu".to_owned(), acu(scaling.and_then(Scaling::min_capacity)));
    found.properties.insert("max_acu".to_owned(), acu(scaling.and_then(Scaling::max_capacity)));
    found.goes_after = membership.leave_before();
    for (name, host) in [
        ("endpoint", cluster.endpoint()),
        ("reader_endpoint", cluster.reader_endpoint()),
        ("resource_id", cluster.db_cluster_resource_id()),
    ] {
        if let Some(host) = host.filter(|host| !host.is_empty()) {
            found = found.with_output(name, host);
        }
    }
    found
}

/// A capacity as it compares with a desired one. Someone else may have set half a unit.
fn acu(capacity: Option<f64>) -> Value {
    let capacity = capacity.unwrap_or_default();
    capacity.to_string().parse::<i32>().map_or_else(|_| json!(capacity), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_capacities_compare_with_whole_numbers() {
        assert_eq!((acu(Some(8.0)), acu(Some(0.5)), acu(None)), (json!(8), json!(0.5), json!(0)));
    }
}
