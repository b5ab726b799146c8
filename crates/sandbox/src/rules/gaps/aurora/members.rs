//! Which clusters can join and leave a global database, and in which order.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{cluster, clusters, code, global, globals, instances, members, parameter};
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// `writer-leaves-last`, of instances. See docs/aws-behaviour.md#writer-leaves-last.
/// <https://github.com/hashicorp/terraform-provider-aws/issues/26234>
const LAST_INSTANCE: &str = "Cannot delete the last instance of the master cluster. Delete the replica cluster before deleting the \
                             last master cluster instance.";
/// `writer-leaves-last`, of clusters.
/// <https://github.com/hashicorp/terraform-provider-aws/issues/26236>
const PRIMARY_MEMBER: &str =
    "Unable to delete cluster that is a primary member of global cluster while there are other global cluster members";
/// <https://github.com/hashicorp/terraform-provider-aws/pull/40333>.
/// See docs/aws-behaviour.md#member-leaves-before-deletion.
const MEMBER: &str = "This cluster is a part of a global cluster, please remove it from globalcluster first";

/// `secondary-create-parameters`: what the writer decides. AWS refuses all three in the same words, the user name
/// first. <https://github.com/hashicorp/terraform-provider-aws/issues/10188>,
/// <https://github.com/pulumi/pulumi/issues/15818>. See docs/aws-behaviour.md#secondary-create-parameters.
const INHERITED: [(&str, &str); 3] =
    [("MasterUsername", "user name"), ("MasterUserPassword", "password"), ("DatabaseName", "database name")];

/// Refuses what AWS refuses to the members of a global database.
pub(super) struct Members;

impl Rule for Members {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "rds" {
                return next.run(call).await;
            }
            if let Err(refusal) = check(call, next).await {
                return refusal;
            }
            let answer = next.run(call).await;
            reworded(call, answer)
        }
        .boxed()
    }

    fn reset(&self) {}
}

/// `Err` is AWS's refusal.
async fn check(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    match call.operation.as_str() {
        "DeleteDBInstance" => last_instance(call, next, parameter(call, "DBInstanceIdentifier")).await,
        "DeleteDBCluster" => member(call, next, parameter(call, "DBClusterIdentifier")).await,
        "ModifyDBCluster" if call.form().get("MasterUserPassword").is_some() => {
            password(call, next, parameter(call, "DBClusterIdentifier")).await
        }
        "CreateDBCluster" => joining(call, next, parameter(call, "GlobalClusterIdentifier")).await,
        _ => Ok(()),
    }
}

/// `writer-leaves-last`, after a switchover, too: the global cluster says which cluster is the writer now.
async fn last_instance(call: &Call, next: Next<'_>, name: &str) -> Result<(), Answer> {
    let clusters = clusters(call, next).await?;
    let Some(cluster) = clusters.iter().find(|cluster| instances(cluster) == [name]) else { return Ok(()) };
    let arn = cluster.text_of("DBClusterArn").unwrap_or_default();
    let globals = globals(call, next).await?;
    let leads = globals.iter().map(members).any(|members| members.len() > 1 && members.contains(&(arn, true)));
    if leads { Err(Answer::client_error(call, "InvalidDBClusterStateFault", LAST_INSTANCE)) } else { Ok(()) }
}

/// `writer-leaves-last`: a member has to be removed from the global cluster before it is deleted, and the writer last.
async fn member(call: &Call, next: Next<'_>, name: &str) -> Result<(), Answer> {
    let Some(cluster) = cluster(call, next, name).await? else { return Ok(()) };
    let arn = cluster.text_of("DBClusterArn").unwrap_or_default();
    for global in globals(call, next).await? {
        let members = members(&global);
        if members.len() > 1 && members.contains(&(arn, true)) {
            return Err(Answer::client_error(call, "InvalidGlobalClusterStateFault", PRIMARY_MEMBER));
        }
        if members.iter().any(|(member, _)| *member == arn) {
            return Err(Answer::client_error(call, "InvalidDBClusterStateFault", MEMBER));
        }
    }
    Ok(())
}

/// `secondary-password`: a secondary member has the writer's password and no other. The message is AWS's for replicas.
/// <https://github.com/terraform-aws-modules/terraform-aws-rds/issues/526>.
/// See docs/aws-behaviour.md#secondary-password.
async fn password(call: &Call, next: Next<'_>, name: &str) -> Result<(), Answer> {
    let Some(cluster) = cluster(call, next, name).await? else { return Ok(()) };
    let arn = cluster.text_of("DBClusterArn").unwrap_or_default();
    let globals = globals(call, next).await?;
    if globals.iter().map(members).any(|members| members.contains(&(arn, false))) {
        let message = "Cannot change master user password on a cross region replication cluster because it uses physical \
                       replication and therefore cannot differ from its parent.";
        return Err(Answer::client_error(call, "InvalidParameterCombination", message));
    }
    Ok(())
}

/// `secondary-create-parameters` and `first-member-login`. See docs/aws-behaviour.md#first-member-login.
async fn joining(call: &Call, next: Next<'_>, name: &str) -> Result<(), Answer> {
    if name.is_empty() {
        return Ok(());
    }
    // The emulator refuses a global cluster that does not exist.
    let Some(global) = global(call, next, name).await? else { return Ok(()) };
    let refuse = |code: &str, message: &str| Err(Answer::client_error(call, code, message));
    if members(&global).is_empty() {
        // terraform-provider-aws, internal/service/rds/cluster_test.go: without user name and password.
        for required in ["MasterUsername", "MasterUserPassword"] {
            if parameter(call, required).is_empty() {
                let message = format!("The parameter {required} must be provided and must not be blank.");
                return refuse("InvalidParameterValue", &message);
            }
        }
        return Ok(());
    }
    for (inherited, words) in INHERITED {
        if call.form().get(inherited).is_some() {
            let message = format!("Cannot specify {words} for cross region replication cluster");
            return refuse("InvalidParameterCombination", &message);
        }
    }
    // "An encrypted cross-Region replica": its storage is encrypted with a key of its own Region.
    // <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html>, KmsKeyId
    if global.text_of("StorageEncrypted") == Some("true") && parameter(call, "KmsKeyId").is_empty() {
        let message = "For encrypted cross-region replica, kmsKeyId should be explicitly specified";
        return refuse("InvalidParameterCombination", message);
    }
    Ok(())
}

/// Replaces a refusal of MiniStack by one in AWS's words.
fn reworded(call: &Call, answer: Answer) -> Answer {
    // terraform-provider-aws, internal/service/rds/global_cluster.go. See docs/aws-behaviour.md#member-gone-already.
    if call.operation == "RemoveFromGlobalCluster" && code(&answer) == "DBClusterNotFoundFault" {
        let (member, global) = (parameter(call, "DbClusterIdentifier"), parameter(call, "GlobalClusterIdentifier"));
        let message = format!("Cluster {member} is not found in global cluster {global}");
        return Answer::client_error(call, "InvalidParameterValue", &message);
    }
    answer
}
