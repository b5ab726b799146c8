//! The final snapshots of clusters, and what they need to be of use.

use sha2::{Digest as _, Sha256};

use crate::resources::{Class, Context, Failure, Live};

/// The name of a cluster's final snapshot: the same however often it is asked for, and another one for the next cluster of the
/// same name.
pub(super) fn name(live: &Live) -> String {
    let made = live.outputs.get("resource_id").map_or("", String::as_str);
    format!("{}-final-{}", live.id, &hex::encode(Sha256::digest(made.as_bytes()))[..8])
}

/// The snapshots in the Region that can be read only with the key of this ARN: manual ones, which outlive their cluster.
/// See docs/aws-behaviour.md#snapshot-needs-its-key.
///
/// # Errors
/// What the call's answer means.
pub(crate) async fn encrypted_with(cx: &Context, key: &str) -> Result<Vec<String>, Failure> {
    let rds = &cx.clients().rds;
    let answer = cx
        .pages("rds", "DescribeDBClusterSnapshots", || {
            rds.describe_db_cluster_snapshots().snapshot_type("manual").into_paginator().items().send()
        })
        .await;
    let snapshots = match answer {
        // An emulator without RDS has no snapshots either.
        Err(failure) if failure.class == Class::Unsupported => return Ok(Vec::new()),
        answer => answer?,
    };
    let ours = snapshots.into_iter().filter(|snapshot| snapshot.kms_key_id() == Some(key));
    Ok(ours.filter_map(|snapshot| snapshot.db_cluster_snapshot_identifier).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::resources::{Owner, Phase};

    #[test]
    fn a_final_snapshot_is_named_after_the_very_cluster() {
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
