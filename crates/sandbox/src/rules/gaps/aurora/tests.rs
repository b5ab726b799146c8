//! Each rule with a global database whose writer is `a` in us-east-1, and of which `b` in us-east-2 is a secondary
//! member.

use super::*;
use crate::rules::rule::tests::{Scripted, ok, text};
use crate::wire::call::Protocol;
use crate::wire::call::tests::ec2;

const A: &str = "arn:aws:rds:us-east-1:111122223333:cluster:a";
const B: &str = "arn:aws:rds:us-east-2:111122223333:cluster:b";

/// MiniStack's answers. `writer` is the ARN of the cluster that writes; the global cluster `empty` has no members.
fn emulator(writer: &'static str) -> Scripted {
    Scripted::new(move |call| {
        let member = |arn: &str| {
            format!(
                "<GlobalClusterMember><DBClusterArn>{arn}</DBClusterArn><IsWriter>{}</IsWriter></GlobalClusterMember>",
                arn == writer
            )
        };
        let (id, arn) = if call.region == "us-east-1" { ("a", A) } else { ("b", B) };
        let content = match call.operation.as_str() {
            "DescribeGlobalClusters" => format!(
                "<GlobalClusters><GlobalClusterMember><GlobalClusterIdentifier>g</GlobalClusterIdentifier>\
                 <EngineVersion>17.9</EngineVersion><StorageEncrypted>true</StorageEncrypted><GlobalClusterMembers>{}{}\
                 </GlobalClusterMembers></GlobalClusterMember><GlobalClusterMember><GlobalClusterIdentifier>empty\
                 </GlobalClusterIdentifier></GlobalClusterMember></GlobalClusters>",
                member(A),
                member(B)
            ),
            "DescribeDBClusters" => format!(
                "<DBClusters><DBCluster><DBClusterIdentifier>{id}</DBClusterIdentifier><DBClusterArn>{arn}</DBClusterArn>\
                 <EngineVersion>17.9</EngineVersion><StorageEncrypted>true</StorageEncrypted><DatabaseName>payments</DatabaseName>\
                 <DBClusterMembers><DBClusterMember><DBInstanceIdentifier>{id}1\
                 </DBInstanceIdentifier></DBClusterMember></DBClusterMembers><DBSubnetGroup>nets</DBSubnetGroup>\
                 <DBClusterParameterGroup>set</DBClusterParameterGroup></DBCluster></DBClusters>"
            ),
            "DescribeDBClusterParameterGroups" => {
                let family = call.form().get("DBClusterParameterGroupName").unwrap_or_default();
                format!(
                    "<DBClusterParameterGroups><DBClusterParameterGroup><DBParameterGroupFamily>{family}\
                     </DBParameterGroupFamily></DBClusterParameterGroup></DBClusterParameterGroups>"
                )
            }
            "DescribeDBClusterParameters" => "<Parameters><Parameter><ParameterName>rds.force_ssl</ParameterName>\
                 <ParameterValue>1</ParameterValue><Source>user</Source></Parameter><Parameter>\
                 <ParameterName>max_connections</ParameterName><ParameterValue>100</ParameterValue>\
                 <Source>engine-default</Source></Parameter></Parameters>"
                .to_owned(),
            "RemoveFromGlobalCluster" => {
                return Answer::refusal(call, http::StatusCode::NOT_FOUND, "DBClusterNotFoundFault", "not a member");
            }
            "CreateDBClusterSnapshot" if call.form().get("DBClusterSnapshotIdentifier") == Some("taken") => {
                return Answer::client_error(call, "DBClusterSnapshotAlreadyExistsFault", "taken already exists");
            }
            "DeleteDBCluster" if call.form().get("DBClusterIdentifier") == Some("kept") => {
                return Answer::client_error(call, "InvalidParameterCombination", "DeletionProtection is enabled.");
            }
            _ => "<Carried>out</Carried>".to_owned(),
        };
        ok(&format!("<r><{0}Result>{content}</{0}Result></r>", call.operation))
    })
}

async fn ask(origin: &Scripted, region: &str, body: &str) -> String {
    let mut call = ec2("111122223333", region, body);
    "rds".clone_into(&mut call.service);
    call.protocol = Protocol::Query;
    text(&Next::new(&rules(), origin).run(&mut call).await)
}

async fn refused(region: &str, body: &str, code: &str, message: &str) {
    let answer = ask(&emulator(A), region, body).await;
    assert!(answer.contains(&format!("<Code>{code}</Code>")) && answer.contains(message), "{body}: {answer}");
}

async fn passes(region: &str, body: &str) {
    let answer = ask(&emulator(A), region, body).await;
    assert!(answer.contains("<Carried>out"), "{body}: {answer}");
}

#[tokio::test]
async fn the_last_instance_of_the_writer_is_deleted_after_the_other_members() {
    let (of_a, of_b) =
        ("Action=DeleteDBInstance&DBInstanceIdentifier=a1", "Action=DeleteDBInstance&DBInstanceIdentifier=b1");
    refused("us-east-1", of_a, "InvalidDBClusterStateFault", "Delete the replica cluster before").await;
    passes("us-east-2", of_b).await;
    passes("us-east-1", "Action=DeleteDBInstance&DBInstanceIdentifier=another").await;
    // After a switchover, the roles are reversed.
    let switched = emulator(B);
    assert!(ask(&switched, "us-east-2", of_b).await.contains("last instance of the master cluster"));
    assert!(ask(&switched, "us-east-1", of_a).await.contains("<Carried>out"));
}

#[tokio::test]
async fn a_member_is_removed_before_it_is_deleted() {
    let delete = |name: &str| format!("Action=DeleteDBCluster&DBClusterIdentifier={name}&SkipFinalSnapshot=true");
    refused("us-east-1", &delete("a"), "InvalidGlobalClusterStateFault", "Unable to delete cluster that is a primary")
        .await;
    refused("us-east-2", &delete("b"), "InvalidDBClusterStateFault", "please remove it from globalcluster first").await;
    passes("us-east-2", &delete("alone")).await;
    let gone = "Action=RemoveFromGlobalCluster&GlobalClusterIdentifier=g&DbClusterIdentifier=arn";
    refused("us-east-1", gone, "InvalidParameterValue", "is not found in global cluster").await;
}

#[tokio::test]
async fn a_secondary_member_does_not_name_what_the_writer_decides() {
    let join = "Action=CreateDBCluster&DBClusterIdentifier=c&GlobalClusterIdentifier=g&KmsKeyId=arn%3Ak";
    for (parameter, message) in [
        (
            "MasterUsername=owner&MasterUserPassword=secret&DatabaseName=payments",
            "Cannot specify user name for cross region",
        ),
        ("MasterUserPassword=secret", "Cannot specify password for cross region replication cluster"),
        ("DatabaseName=payments", "Cannot specify database name for cross region replication cluster"),
    ] {
        refused("eu-west-1", &format!("{join}&{parameter}"), "InvalidParameterCombination", message).await;
    }
    passes("eu-west-1", join).await;
    let without_key = "Action=CreateDBCluster&DBClusterIdentifier=c&GlobalClusterIdentifier=g";
    refused("eu-west-1", without_key, "InvalidParameterCombination", "kmsKeyId should be explicitly specified").await;
}

#[tokio::test]
async fn the_password_is_changed_on_the_writer() {
    let change = |name: &str| format!("Action=ModifyDBCluster&DBClusterIdentifier={name}&MasterUserPassword=secret");
    refused("us-east-2", &change("b"), "InvalidParameterCombination", "Cannot change master user password").await;
    passes("us-east-1", &change("a")).await;
    passes("us-east-1", &change("alone")).await;
}

#[tokio::test]
async fn the_first_member_names_its_owner() {
    let first = "Action=CreateDBCluster&DBClusterIdentifier=c&GlobalClusterIdentifier=empty";
    refused("us-east-1", first, "InvalidParameterValue", "The parameter MasterUsername must be provided").await;
    refused("us-east-1", &format!("{first}&MasterUsername=o"), "InvalidParameterValue", "MasterUserPassword must")
        .await;
    passes("us-east-1", &format!("{first}&MasterUsername=o&MasterUserPassword=p&DatabaseName=d")).await;
    passes("us-east-1", "Action=CreateDBCluster&DBClusterIdentifier=c").await;
}

#[tokio::test]
async fn a_global_cluster_has_what_the_cluster_has_that_it_is_made_from() {
    let create = format!("Action=CreateGlobalCluster&GlobalClusterIdentifier=new&SourceDBClusterIdentifier={A}");
    let word = "engineName should not be specified since it will be inherited from source cluster";
    refused("us-east-1", &format!("{create}&Engine=aurora-postgresql"), "InvalidParameterCombination", word).await;
    refused("us-east-1", &format!("{create}&StorageEncrypted=true"), "InvalidParameterCombination", "storageEncrypted")
        .await;
    let origin = emulator(A);
    assert!(ask(&origin, "us-east-1", &create).await.contains("<Carried>out"));
    let last = origin.asked().pop().expect("asked");
    assert!(last.contains("StorageEncrypted=true") && last.contains("DatabaseName=payments"), "{last}");
    passes("us-east-1", "Action=CreateGlobalCluster&GlobalClusterIdentifier=new&Engine=aurora-postgresql").await;
}

#[tokio::test]
async fn versions_only_rise_and_a_new_major_version_is_announced() {
    for what in ["ModifyDBCluster&DBClusterIdentifier=a", "ModifyGlobalCluster&GlobalClusterIdentifier=g"] {
        let to = |version: &str| format!("Action={what}&EngineVersion={version}");
        let downgrade = "Cannot find upgrade target from 17.9 with requested version 17.7.";
        refused("us-east-1", &to("17.7"), "InvalidParameterCombination", downgrade).await;
        refused(
            "us-east-1",
            &to("16.13&AllowMajorVersionUpgrade=true"),
            "InvalidParameterCombination",
            "upgrade target",
        )
        .await;
        refused("us-east-1", &to("18.1"), "InvalidParameterCombination", "AllowMajorVersionUpgrade flag must be").await;
        passes("us-east-1", &to("17.9")).await;
    }
    // Compared as numbers and not as text: 17.10 is above 17.9.
    passes("us-east-1", "Action=ModifyGlobalCluster&GlobalClusterIdentifier=g&EngineVersion=17.10").await;
    passes("us-east-1", "Action=ModifyDBCluster&DBClusterIdentifier=a&Port=5433").await;
}

#[tokio::test]
async fn the_writer_is_upgraded_last() {
    let to = |name: &str| format!("Action=ModifyDBCluster&DBClusterIdentifier={name}&EngineVersion=17.10");
    refused("us-east-1", &to("a"), "InvalidParameterValue", "upgrade global replicas first").await;
    passes("us-east-2", &to("b")).await;
    let switched = emulator(B);
    assert!(ask(&switched, "us-east-1", &to("a")).await.contains("<Carried>out"));
}

#[tokio::test]
async fn a_group_in_use_is_not_deleted() {
    let delete = |group: &str| format!("Action=DeleteDBClusterParameterGroup&DBClusterParameterGroupName={group}");
    let message = "One or more database clusters are still members of this parameter group set";
    refused("us-east-1", &delete("set"), "InvalidDBParameterGroupState", message).await;
    passes("us-east-1", &delete("other")).await;
    let delete = |group: &str| format!("Action=DeleteDBSubnetGroup&DBSubnetGroupName={group}");
    refused("us-east-1", &delete("nets"), "InvalidDBSubnetGroupStateFault", "a is still using it").await;
    passes("us-east-1", &delete("other")).await;
}

#[tokio::test]
async fn a_deletion_says_whether_it_leaves_a_snapshot() {
    let delete = |more: &str| format!("Action=DeleteDBCluster&DBClusterIdentifier=c{more}");
    for (more, code, message) in [
        ("", "InvalidParameterCombination", "is required unless SkipFinalSnapshot is specified."),
        (
            "&SkipFinalSnapshot=false",
            "InvalidParameterCombination",
            "is required unless SkipFinalSnapshot is specified.",
        ),
        (
            "&SkipFinalSnapshot=true&FinalDBSnapshotIdentifier=f",
            "InvalidParameterCombination",
            "cannot be specified when",
        ),
        ("&FinalDBSnapshotIdentifier=2f", "InvalidParameterValue", "is not a valid identifier"),
        ("&FinalDBSnapshotIdentifier=f-", "InvalidParameterValue", "is not a valid identifier"),
        ("&FinalDBSnapshotIdentifier=f--g", "InvalidParameterValue", "is not a valid identifier"),
        ("&FinalDBSnapshotIdentifier=taken", "DBClusterSnapshotAlreadyExistsFault", "taken already exists"),
    ] {
        refused("us-east-1", &delete(more), code, message).await;
    }
    passes("us-east-1", &delete("&SkipFinalSnapshot=true")).await;
}

#[tokio::test]
async fn a_final_snapshot_is_created_before_the_cluster_is_deleted() {
    let actions = |origin: &Scripted| -> Vec<String> {
        let asked = origin.asked();
        let action = |body: &String| body.split('&').next().unwrap_or_default().replace("Action=", "");
        asked.iter().map(action).filter(|action| !action.starts_with("Describe")).collect()
    };
    let origin = emulator(A);
    ask(&origin, "us-east-1", "Action=DeleteDBCluster&DBClusterIdentifier=c&FinalDBSnapshotIdentifier=last").await;
    assert_eq!(actions(&origin), ["CreateDBClusterSnapshot", "DeleteDBCluster"]);
    assert!(origin.asked().iter().any(|body| body.contains("DBClusterSnapshotIdentifier=last&DBClusterIdentifier=c")));
    // A cluster that is not deleted has none.
    let origin = emulator(A);
    let kept = "Action=DeleteDBCluster&DBClusterIdentifier=kept&FinalDBSnapshotIdentifier=last";
    assert!(ask(&origin, "us-east-1", kept).await.contains("DeletionProtection"));
    assert_eq!(actions(&origin), ["CreateDBClusterSnapshot", "DeleteDBCluster", "DeleteDBClusterSnapshot"]);
}

#[tokio::test]
async fn a_parameter_with_its_default_is_not_the_users() {
    let describe = |family: &str, more: &str| {
        format!("Action=DescribeDBClusterParameters&DBClusterParameterGroupName={family}{more}")
    };
    let origin = emulator(A);
    let users = ask(&origin, "us-east-1", &describe("aurora-postgresql17", "&Source=user")).await;
    assert!(!users.contains("rds.force_ssl"), "it is on by default, so the user has not set it: {users}");
    let asked = origin.asked();
    assert!(asked.iter().all(|body| !body.contains("Source=")), "{asked:?}");
    let system = ask(&emulator(A), "us-east-1", &describe("aurora-postgresql17", "&Source=system")).await;
    assert!(
        system.contains("<ParameterName>rds.force_ssl</ParameterName><ParameterValue>1</ParameterValue>"),
        "{system}"
    );
    let users = ask(&emulator(A), "us-east-1", &describe("aurora-postgresql16", "&Source=user")).await;
    assert!(users.contains("rds.force_ssl") && !users.contains("timezone"), "{users}");
    let all = ask(&emulator(A), "us-east-1", &describe("aurora-postgresql17", "")).await;
    for name in ["rds.force_ssl", "max_connections", "shared_preload_libraries"] {
        assert!(all.contains(name), "{name}: {all}");
    }
    let others = ask(&emulator(A), "us-east-1", &describe("aurora-mysql8.0", "&Source=user")).await;
    assert!(others.contains("rds.force_ssl") && others.contains("<Source>user</Source>"), "not changed: {others}");
}

#[tokio::test]
async fn a_static_parameter_does_not_change_immediately() {
    let change = |operation: &str, name: &str, method: &str| {
        format!(
            "Action={operation}&DBClusterParameterGroupName=set&Parameters.Parameter.1.ParameterName={name}\
             &Parameters.Parameter.1.ParameterValue=1&Parameters.Parameter.1.ApplyMethod={method}"
        )
    };
    for operation in ["ModifyDBClusterParameterGroup", "ResetDBClusterParameterGroup"] {
        let body = change(operation, "rds.logical_replication", "immediate");
        refused("us-east-1", &body, "InvalidParameterCombination", "cannot use immediate apply method").await;
        passes("us-east-1", &change(operation, "rds.logical_replication", "pending-reboot")).await;
        passes("us-east-1", &change(operation, "rds.force_ssl", "immediate")).await;
    }
}
