//! `group-in-use`: a parameter group or a subnet group that a cluster uses cannot be deleted.
//!
//! A cluster that is still being deleted uses it, too. See docs/aws-behaviour.md#group-in-use.

use futures::FutureExt;

use super::{clusters, parameter};
use crate::rules::rule::{Check, Next};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Refuses to delete a group that a cluster uses.
pub(super) const GROUPS: Check = Check(|call, next| check(call, next).boxed());

async fn check(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    let (named, used_as) = match (call.service.as_str(), call.operation.as_str()) {
        ("rds", "DeleteDBClusterParameterGroup") => ("DBClusterParameterGroupName", "DBClusterParameterGroup"),
        ("rds", "DeleteDBSubnetGroup") => ("DBSubnetGroupName", "DBSubnetGroup"),
        _ => return Ok(()),
    };
    let group = parameter(call, named);
    let clusters = clusters(call, next).await?;
    let Some(user) = clusters.iter().find(|cluster| cluster.text_of(used_as) == Some(group)) else { return Ok(()) };
    let user = user.text_of("DBClusterIdentifier").unwrap_or_default();
    let (code, message) = if used_as == "DBSubnetGroup" {
        let why = format!("at least one database cluster: {user} is still using it");
        ("InvalidDBSubnetGroupStateFault", format!("Cannot delete the subnet group '{group}' because {why}."))
    } else {
        let what = format!("One or more database clusters are still members of this parameter group {group}");
        ("InvalidDBParameterGroupState", format!("{what}, so the group cannot be deleted"))
    };
    Err(Answer::client_error(call, code, &message))
}
