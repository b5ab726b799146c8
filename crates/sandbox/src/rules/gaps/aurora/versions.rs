//! `versions-only-rise` and `replicas-first`: the versions that a cluster or a global cluster can be given.
//!
//! The messages are from
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_UpgradeDBInstance.PostgreSQL.html>.
//! See docs/aws-behaviour.md#versions-only-rise and docs/aws-behaviour.md#replicas-first.

use futures::FutureExt;

use super::{cluster, global, globals, members, parameter, version_of};
use crate::rules::rule::{Check, Next};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Refuses downgrades, unannounced major versions, and a writer that overtakes its readers. MiniStack itself refuses
/// versions that do not exist, and another major version in a single member.
pub(super) const VERSIONS: Check = Check(|call, next| check(call, next).boxed());

async fn check(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    let requested = parameter(call, "EngineVersion");
    if call.service != "rds" || requested.is_empty() {
        return Ok(());
    }
    let found = match call.operation.as_str() {
        "ModifyDBCluster" => cluster(call, next, parameter(call, "DBClusterIdentifier")).await?,
        "ModifyGlobalCluster" => global(call, next, parameter(call, "GlobalClusterIdentifier")).await?,
        _ => return Ok(()),
    };
    let Some(current) = found.as_ref().and_then(|found| found.text_of("EngineVersion")) else { return Ok(()) };
    let refuse = |message: &str| Err(Answer::client_error(call, "InvalidParameterCombination", message));
    if numbers(requested) < numbers(current) {
        return refuse(&format!("Cannot find upgrade target from {current} with requested version {requested}."));
    }
    let is_another_major = numbers(requested).first() != numbers(current).first();
    if is_another_major && parameter(call, "AllowMajorVersionUpgrade") != "true" {
        return refuse("The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.");
    }
    if call.operation == "ModifyDBCluster" && numbers(requested) > numbers(current) {
        let arn = found.as_ref().and_then(|found| found.text_of("DBClusterArn")).unwrap_or_default();
        return replicas_first(call, next, arn, requested).await;
    }
    Ok(())
}

/// The writer's version must not be above that of another member. AWS's message as far as terraform-provider-aws knows
/// it: `internal/service/rds/global_cluster.go`, `globalClusterUpgradeMinorEngineVersion`.
async fn replicas_first(call: &Call, next: Next<'_>, arn: &str, requested: &str) -> Result<(), Answer> {
    for global in globals(call, next).await? {
        let members = members(&global);
        if !members.contains(&(arn, true)) {
            continue;
        }
        for (other, _) in members.iter().filter(|(other, _)| *other != arn) {
            let version = version_of(call, next, other).await?;
            if version.is_some_and(|version| numbers(&version) < numbers(requested)) {
                let message = format!("{other} runs an older version than {requested}: upgrade global replicas first");
                return Err(Answer::client_error(call, "InvalidParameterValue", &message));
            }
        }
    }
    Ok(())
}

/// A version as numbers, which compare correctly: `16.10` is above `16.9`.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}
