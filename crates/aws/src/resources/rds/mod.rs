//! Amazon RDS: an Aurora PostgreSQL global database, and the groups that its clusters need.

mod databases;
mod db_cluster;
mod db_cluster_parameter_group;
mod db_instance;
mod db_subnet_group;
mod described;
mod global_cluster;
mod login;
mod member;
mod presign;
mod snapshot;

pub(crate) use databases::{Databases, databases, listed as listed_databases, unless_unsupported};
pub use db_cluster::DbCluster;
pub use db_cluster_parameter_group::DbClusterParameterGroup;
pub use db_instance::DbInstance;
pub use db_subnet_group::DbSubnetGroup;
pub use global_cluster::GlobalCluster;

use aws_sdk_rds::types::Tag;

use super::{Class, Context, Deletion, Failure, Live, Phase, Resource};
use crate::TagMap;

/// Marks a reference to the version of a secret's value.
pub enum SecretVersion {}

/// The engine of all clusters.
const ENGINE: &str = "aurora-postgresql";

/// Without this, AWS continues past the end of the engine version's support and bills that per vCPU hour.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/extended-support.html>. See
/// docs/aws-behaviour.md#aurora-version-calendar.
const LIFECYCLE: &str = "open-source-rds-extended-support-disabled";

/// Tags in the form that RDS takes.
fn tags(tags: &TagMap) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn tag_map(tags: &[Tag]) -> TagMap {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// The tags of a resource whose description does not hold them.
async fn tags_of(cx: &Context, arn: &str) -> Result<TagMap, Failure> {
    let rds = &cx.clients().rds;
    let answer =
        cx.read("rds", "ListTagsForResource", || rds.list_tags_for_resource().resource_name(arn).send()).await?;
    Ok(tag_map(answer.tag_list()))
}

/// Sets tags, and leaves all others alone.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let arn = live.arn.as_deref().unwrap_or_default();
    let call = cx.clients().rds.add_tags_to_resource().resource_name(arn).set_tags(Some(tags(wanted))).send();
    cx.mutate("rds", "AddTagsToResource", call).await.map(drop)
}

/// What a status means, of clusters, instances and global clusters alike.
///
/// While it backs up, optimises its storage or changes how it reports, it serves, and AWS accepts changes. While its settings
/// change (`modifying`, `resetting-master-credentials`, …) it may serve, but they do not have their desired values yet. A state
/// that does not end without the operator counts as failed: a wait would be in vain.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html>. See
/// docs/aws-behaviour.md#rds-statuses and docs/aws-behaviour.md#lost-key-stops-the-database.
fn phase(status: Option<&str>) -> Phase {
    match status.unwrap_or("available") {
        "available" | "backing-up" | "storage-optimization" | "storage-config-upgrade" | "storage-initialization" => {
            Phase::Ready
        }
        state if state.starts_with("configuring-") => Phase::Ready,
        state @ ("deleting" | "delete-precheck") => Phase::Deleting(state.to_owned()),
        state => match lacks(state) {
            Some(what) => Phase::Failed(format!("{state}: {what}")),
            // Also one that AWS has added since.
            None => Phase::Pending(state.to_owned()),
        },
    }
}

/// What is wrong in a state that does not end without help.
fn lacks(state: &str) -> Option<&'static str> {
    Some(match state {
        "failed" => "AWS cannot recover it, and its data have to be restored to a point in time",
        "inaccessible-encryption-credentials" => "its KMS key cannot be used",
        "inaccessible-encryption-credentials-recoverable" => {
            "its KMS key cannot be used; once it can, the cluster has to be started (`aws rds start-db-cluster`)"
        }
        "stopped" => "it was stopped, and has to be started (`aws rds start-db-cluster`)",
        "storage-full" => "its storage is full",
        "insufficient-capacity" => "AWS has no capacity for its class in its zone at the moment",
        "incompatible-network" => "its network does not let AWS recover it, e.g. because a subnet has no free address",
        "incompatible-parameters" => "it cannot start with the parameters of its group",
        "restore-error" | "cloning-failed" | "migration-failed" => "its source could not be read completely",
        "upgrade_failed" | "upgrade-failed" => "its engine could not be upgraded",
        state if state.starts_with("incompatible-") => "AWS cannot create or restore it as it is configured",
        _ => return None,
    })
}

/// A step of a removal. What AWS refuses at this moment is asked for again, after another look.
fn step<T>(answer: Result<T, Failure>, done: Deletion) -> Result<Deletion, Failure> {
    match answer {
        Err(failure) if failure.class == Class::NotYet => Ok(Deletion::NotYet(failure.message)),
        answer => answer.map(|_| done),
    }
}

/// The name of the resource that a create call has created. If AWS refuses a name as taken and nothing has that name, it has not
/// released it yet (docs/aws-behaviour.md#cluster-name-lingers), which is a refusal that passes.
async fn named<R: Resource, T>(cx: &Context, name: &str, answer: Result<T, Failure>) -> Result<String, Failure> {
    let failure = match answer {
        Ok(_) => return Ok(name.to_owned()),
        Err(failure) if failure.class == Class::Exists => failure,
        Err(failure) => return Err(failure),
    };
    match R::read(cx, name).await {
        Ok(None) => Err(Failure { class: Class::Transient, ..failure }),
        Err(unseen) if unseen.class == Class::NotFound => Err(Failure { class: Class::Transient, ..failure }),
        Ok(Some(_)) => Err(failure),
        Err(unseen) => Err(unseen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_ready_passes_by_itself_or_has_failed() {
        for status in [
            "available",
            "backing-up",
            "configuring-enhanced-monitoring",
            "configuring-iam-database-auth",
            "configuring-log-exports",
            "storage-config-upgrade",
            "storage-initialization",
            "storage-optimization",
        ] {
            assert_eq!(phase(Some(status)), Phase::Ready, "{status}");
        }
        assert_eq!(phase(None), Phase::Ready);
        // What passes by itself.
        for status in [
            "backtracking",
            "converting-to-vpc",
            "creating",
            "failing-over",
            "maintenance",
            "migrating",
            "modifying",
            "moving-to-vpc",
            "preparing-data-migration",
            "promoting",
            "rebooting",
            "renaming",
            "resetting-master-credentials",
            "starting",
            "stopping",
            "update-iam-db-auth",
            "upgrading",
            "of-tomorrow",
        ] {
            assert_eq!(phase(Some(status)), Phase::Pending(status.to_owned()));
        }
        // What does not.
        for status in [
            "cloning-failed",
            "failed",
            "inaccessible-encryption-credentials",
            "inaccessible-encryption-credentials-recoverable",
            "incompatible-create",
            "incompatible-network",
            "incompatible-option-group",
            "incompatible-parameters",
            "incompatible-restore",
            "insufficient-capacity",
            "migration-failed",
            "restore-error",
            "stopped",
            "storage-full",
            "upgrade_failed",
        ] {
            let Phase::Failed(why) = phase(Some(status)) else { panic!("{status}") };
            assert!(why.starts_with(&format!("{status}: ")), "{why}");
        }
        assert_eq!(phase(Some("deleting")), Phase::Deleting("deleting".to_owned()));
    }

    #[test]
    fn a_removal_refused_for_now_is_asked_for_again() {
        let refused = |class| step::<()>(Err(Failure::new(class, "it is promoting")), Deletion::Requested);
        assert_eq!(refused(Class::NotYet), Ok(Deletion::NotYet("it is promoting".to_owned())));
        assert_eq!(refused(Class::Denied).expect_err("denied").class, Class::Denied);
        assert_eq!(step(Ok(()), Deletion::Requested), Ok(Deletion::Requested));
    }
}
