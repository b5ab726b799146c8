//! How a cluster is read: from its own description, and from that of its global cluster.

use aws_sdk_rds::types::{DbCluster as Described, GlobalCluster as Global, VpcSecurityGroupMembership};
use serde_json::{Value, json};

use super::db_cluster::{DbCluster, SECRET_VERSION, VACANT};
use super::member::Membership;
use super::{phase, tag_map};
use crate::resources::{Context, Live, Reading, Ref, live};

/// A cluster in the shape that is compared.
pub(super) fn from_described(cx: &Context, cluster: &Described, globals: &[Global]) -> Live {
    let id = cluster.db_cluster_identifier().unwrap_or_default();
    let membership = Membership::of(cluster, globals);
    let groups = cluster.vpc_security_groups.as_ref().map(|groups| {
        let staying = groups.iter().filter(|group| group.status() != Some("removing"));
        staying.filter_map(VpcSecurityGroupMembership::vpc_security_group_id).map(Ref::known).collect()
    });
    let tags = tag_map(cluster.tag_list());
    let mut reading = Reading::default();
    // AWS leaves the list out when it is empty. MiniStack always does.
    if cluster.enabled_cloudwatch_logs_exports.is_none() && cx.is_custom_endpoint() {
        reading.is_unreadable("log_exports");
    }
    let properties = DbCluster {
        name: id.to_owned(),
        engine_version: reading.text("engine_version", cluster.engine_version()),
        // AWS leaves it out when the cluster is in no global cluster.
        global_cluster: Ref::known(membership.global.as_str()),
        // Set on creation only. For a secondary member, AWS returns its writer's, or nothing.
        database_name: reading.text("database_name", None),
        master_username: reading
            .text("master_username", cluster.master_username().filter(|_| !membership.is_secondary)),
        master_secret: Ref::known(reading.text("master_secret", None)),
        // Without the tag, no version of the password was ever noted.
        secret_version: Ref::known(tags.get(SECRET_VERSION).cloned().unwrap_or_default()),
        subnet_group: Ref::known(reading.text("subnet_group", cluster.db_subnet_group())),
        parameter_group: Ref::known(reading.text("parameter_group", cluster.db_cluster_parameter_group())),
        security_groups: reading.value("security_groups", groups),
        kms_key: Ref::known(reading.text("kms_key", cluster.kms_key_id())),
        port: reading.value("port", cluster.port()),
        deletion_protection: cluster.deletion_protection(),
        backup_retention_days: reading.value("backup_retention_days", cluster.backup_retention_period()),
        backup_window: reading.text("backup_window", cluster.preferred_backup_window()),
        maintenance_window: reading.text("maintenance_window", cluster.preferred_maintenance_window()),
        iam_authentication: reading.value("iam_authentication", cluster.iam_database_authentication_enabled()),
        log_exports: cluster.enabled_cloudwatch_logs_exports().to_vec(),
        http_endpoint: reading.value("http_endpoint", cluster.http_endpoint_enabled()),
        copy_tags_to_snapshots: reading.value("copy_tags_to_snapshots", cluster.copy_tags_to_snapshot()),
        min_acu: 0,
        max_acu: 0,
        after: Vec::new(),
    };
    let mut found = live(&cx.scope, id, phase(cluster.status()), &reading.of(properties), Some(tags))
        .with_arn(cluster.db_cluster_arn().unwrap_or_default());
    // AWS leaves the configuration out when the cluster has no serverless capacity.
    let (min, max) = match cluster.serverless_v2_scaling_configuration() {
        Some(scaling) => (scaling.min_capacity(), scaling.max_capacity()),
        None => (Some(0.0), Some(0.0)),
    };
    for (property, capacity) in [("min_acu", min), ("max_acu", max)] {
        if let Some(capacity) = capacity {
            found.properties.insert(property.to_owned(), acu(capacity));
        }
    }
    // See docs/aws-behaviour.md#detached-cluster-is-live.
    let is_vacant = |global: &&Global| global.global_cluster_members().is_empty();
    let own = globals.iter().find(|global| global.global_cluster_identifier() == Some(&*cx.scope.name()));
    if own.as_ref().is_some_and(is_vacant) {
        found.properties.insert(VACANT.to_owned(), json!(true));
    }
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

/// A capacity in the form in which it is compared with a desired one. It may have been set to half a unit by hand.
fn acu(capacity: f64) -> Value {
    capacity.to_string().parse::<i32>().map_or_else(|_| json!(capacity), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_capacities_compare_with_whole_numbers() {
        assert_eq!((acu(8.0), acu(0.5), acu(0.0)), (json!(8), json!(0.5), json!(0)));
    }
}
