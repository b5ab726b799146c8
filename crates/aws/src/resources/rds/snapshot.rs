//! The final snapshots of clusters, and what AWS needs to take them.

use aws_sdk_rds::types::AccountQuota;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::resources::kms;
use crate::resources::{Class, Context, Failure, Live, Phase};

/// The name of a cluster's final snapshot: always the same for this cluster, and another one for the next cluster of the same
/// name.
pub(super) fn name(live: &Live) -> String {
    let resource = live.outputs.get("resource_id").map_or("", String::as_str);
    format!("{}-final-{}", live.id, &hex::encode(Sha256::digest(resource.as_bytes()))[..8])
}

/// What would keep AWS from taking a cluster's final snapshot, and what to do about it. See docs/aws-behaviour.md#final-snapshot.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn obstacles(cx: &Context, live: &Live) -> Result<Vec<String>, Failure> {
    const WITHOUT: &str = "or delete it without a snapshot: `--no-final-snapshot`";
    let mut obstacles = Vec::new();
    if let Phase::Failed(state) = &live.phase {
        obstacles
            .push(format!("{} is {state}, so AWS cannot take a final snapshot of it: repair it, {WITHOUT}", live.id));
    }
    let key = live.properties.get("kms_key").and_then(Value::as_str).unwrap_or_default();
    if let Some((state, way)) = kms::unusable(cx, key).await? {
        obstacles
            .push(format!("the final snapshot of {} needs the key {key}, which is {state}: {way}, {WITHOUT}", live.id));
    }
    if let Some((used, quota)) = quota(cx).await?.filter(|(used, quota)| used >= quota) {
        obstacles.push(format!(
            "the final snapshot of {} would exceed a quota: {used} of {quota} manual cluster snapshots are in use in {}. Delete \
             some, ask for more in Service Quotas, {WITHOUT}",
            live.id, cx.region
        ));
    }
    Ok(obstacles)
}

/// How many manual cluster snapshots the Region has, and how many it may have; `None` if RDS does not say.
async fn quota(cx: &Context) -> Result<Option<(i64, i64)>, Failure> {
    let rds = &cx.clients().rds;
    let answer = cx.read("rds", "DescribeAccountAttributes", || rds.describe_account_attributes().send()).await;
    let answer = match answer {
        Err(failure) if failure.class == Class::Unsupported => return Ok(None),
        answer => answer?,
    };
    let named = |quota: &&AccountQuota| quota.account_quota_name() == Some("ManualClusterSnapshots");
    Ok(answer.account_quotas().iter().find(named).and_then(|quota| Some((quota.used()?, quota.max()?))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::resources::Owner;

    #[test]
    fn the_final_snapshot_of_each_cluster_has_its_own_name() {
        let cluster = |resource: &str| Live {
            id: "pay-prod-primary".to_owned(),
            arn: None,
            phase: Phase::Ready,
            owner: Owner::Implied,
            properties: serde_json::Map::new(),
            outputs: BTreeMap::from([("resource_id".to_owned(), resource.to_owned())]),
            goes_after: Vec::new(),
        };
        assert_eq!(name(&cluster("cluster-A")), name(&cluster("cluster-A")));
        assert_ne!(name(&cluster("cluster-A")), name(&cluster("cluster-B")));
        assert!(name(&cluster("cluster-A")).starts_with("pay-prod-primary-final-"));
    }
}
