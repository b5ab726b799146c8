//! How a cluster is read: what it says of itself, and what its global cluster says of it.

use aws_sdk_rds::types::{
    DbCluster as Described, GlobalCluster as Global, ServerlessV2ScalingConfigurationInfo as Scaling,
    VpcSecurityGroupMembership,
};
use serde_json::{Value, json};

use super::db_cluster::{DbCluster, SECRET_VERSION, unset};
use super::{phase, tag_map};
use crate::resources::{Context, Live, Phase, Ref, live};

pub(super) fn from_described(cx: &Context, cluster: &Described, globals: &[Global]) -> Live {
    let id = cluster.db_cluster_identifier().unwrap_or_default();
    let arn = cluster.db_cluster_arn().unwrap_or_default();
    let (global_cluster, is_secondary) = membership(cluster, arn, globals);
    let security_groups = cluster.vpc_security_groups().iter().filter(|group| group.status() != Some("removing"));
    let properties = DbCluster {
        name: id.to_owned(),
        engine_version: cluster.engine_version().unwrap_or_default().to_owned(),
        global_cluster: Ref::known(global_cluster),
        source_region: String::new(),
        master_username: cluster.master_username().unwrap_or_default().to_owned(),
        master_secret: unset(),
        secret_version: unset(),
        subnet_group: Ref::known(cluster.db_subnet_group().unwrap_or_default()),
        parameter_group: Ref::known(cluster.db_cluster_parameter_group().unwrap_or_default()),
        security_groups: security_groups
            .filter_map(VpcSecurityGroupMembership::vpc_security_group_id)
            .map(Ref::known)
            .collect(),
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
    let tags = tag_map(cluster.tag_list());
    let version = tags.get(SECRET_VERSION).cloned().unwrap_or_default();
    let phase = match phase(cluster.status()) {
        // What has failed is made anew, and this is where the data are: whether they can go, a person decides.
        Phase::Failed(state) => Phase::Pending(state),
        phase => phase,
    };
    let mut found = live(&cx.scope, id, phase, &properties, Some(tags)).with_arn(arn);
    if !is_secondary {
        found.properties.insert("secret_version".to_owned(), json!(version));
    }
    let scaling = cluster.serverless_v2_scaling_configuration();
    found.properties.insert("min_acu".to_owned(), acu(scaling.and_then(Scaling::min_capacity)));
    found.properties.insert("max_acu".to_owned(), acu(scaling.and_then(Scaling::max_capacity)));
    // AWS leaves the list out when it is empty, MiniStack always.
    if cluster.enabled_cloudwatch_logs_exports.is_none() && cx.is_custom_endpoint() {
        found.properties.remove("log_exports");
    }
    for (name, host) in [("endpoint", cluster.endpoint()), ("reader_endpoint", cluster.reader_endpoint())] {
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

/// Of which global cluster it is a member, if of any, and whether as a secondary one. A cluster and its global cluster do not
/// always tell the same at the same time (aws-behaviour row 20): it has left when both say so.
fn membership<'a>(cluster: &'a Described, arn: &str, globals: &'a [Global]) -> (&'a str, bool) {
    let listed = globals.iter().find_map(|global| {
        let members = global.global_cluster_members();
        Some((global, members.iter().find(|member| member.db_cluster_arn() == Some(arn))?))
    });
    let told = cluster.global_cluster_identifier().filter(|name| !name.is_empty());
    let name = told.or_else(|| listed.and_then(|(global, _)| global.global_cluster_identifier()));
    let is_secondary = match listed {
        Some((_, member)) => member.is_writer() == Some(false),
        // terraform-provider-aws, website/docs/r/rds_cluster.html.markdown: AWS sets it for secondary members.
        None => cluster.replication_source_identifier().is_some_and(|source| !source.is_empty()),
    };
    (name.unwrap_or_default(), is_secondary)
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::GlobalClusterMember;

    use super::*;

    #[test]
    fn whole_capacities_compare_with_whole_numbers() {
        assert_eq!((acu(Some(8.0)), acu(Some(0.5)), acu(None)), (json!(8), json!(0.5), json!(0)));
    }

    #[test]
    fn a_member_is_one_until_both_sides_have_forgotten_it() {
        let member = |arn: &str, writes| GlobalClusterMember::builder().db_cluster_arn(arn).is_writer(writes).build();
        let global = Global::builder()
            .global_cluster_identifier("g")
            .global_cluster_members(member("arn:a", true))
            .global_cluster_members(member("arn:b", false))
            .build();
        let silent = Described::builder().build();
        let telling =
            Described::builder().global_cluster_identifier("g").replication_source_identifier("arn:a").build();
        let globals = [global];
        assert_eq!(membership(&silent, "arn:a", &globals), ("g", false));
        assert_eq!(membership(&silent, "arn:b", &globals), ("g", true));
        assert_eq!(membership(&telling, "arn:b", &[]), ("g", true));
        assert_eq!(membership(&silent, "arn:b", &[]), ("", false));
    }
}
