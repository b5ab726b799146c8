//! Calls, as the emulator carries them out, and what becomes of the servers.

use super::*;
use crate::rules::rule::tests::{Scripted, ok, text};
use crate::wire::call::Protocol;
use crate::wire::call::tests::ec2;
use crate::world::aurora::Unavailable;
use crate::world::aurora::tests::Sandbox;
use crate::world::postgres::{Client, Login};

type TestResult = Result<(), Box<dyn std::error::Error>>;

const ACCOUNT: &str = "111122223333";

/// MiniStack's answers: every call is carried out. The cluster `managed` has a password of RDS's own.
fn emulator() -> Scripted {
    Scripted::new(|call| {
        let of = |name: &str| call.form().get(name).unwrap_or_default();
        let (cluster, instance) = (of("DBClusterIdentifier"), of("DBInstanceIdentifier"));
        let content = match call.operation.as_str() {
            "GetSecretValue" => {
                return ok(r#"{"SecretString": "{\"username\": \"owner\", \"password\": \"of RDS\"}"}"#);
            }
            "CreateDBCluster" | "ModifyDBCluster" => {
                let secret = if cluster == "managed" {
                    "<MasterUserSecret><SecretArn>arn:secret</SecretArn></MasterUserSecret>"
                } else {
                    ""
                };
                let database = of("DatabaseName");
                let database = if database.is_empty() {
                    String::new()
                } else {
                    format!("<DatabaseName>{database}</DatabaseName>")
                };
                format!(
                    "<DBCluster><DBClusterIdentifier>{cluster}</DBClusterIdentifier>\
                     <DBClusterArn>arn:aws:rds:{}:{ACCOUNT}:cluster:{cluster}</DBClusterArn><Engine>aurora-postgresql</Engine>\
                     <MasterUsername>owner</MasterUsername>{database}<HttpEndpointEnabled>true</HttpEndpointEnabled>{secret}\
                     <GlobalClusterIdentifier>{}</GlobalClusterIdentifier></DBCluster>",
                    call.region,
                    of("GlobalClusterIdentifier")
                )
            }
            "CreateDBInstance" | "DeleteDBInstance" => format!(
                "<DBInstance><DBInstanceIdentifier>{instance}</DBInstanceIdentifier>\
                 <DBClusterIdentifier>{cluster}</DBClusterIdentifier></DBInstance>"
            ),
            "DescribeDBInstances" => "<DBInstances><DBInstance><DBInstanceIdentifier>one</DBInstanceIdentifier>\
                 <DBClusterIdentifier>ledger</DBClusterIdentifier><DBInstanceStatus>available</DBInstanceStatus>\
                 </DBInstance></DBInstances>"
                .to_owned(),
            _ => String::new(),
        };
        ok(&format!("<{0}Response><{0}Result>{content}</{0}Result></{0}Response>", call.operation))
    })
}

async fn ask(sandbox: &Sandbox, region: &str, body: &str) -> Answer {
    let mut call = ec2(ACCOUNT, region, body);
    "rds".clone_into(&mut call.service);
    call.protocol = Protocol::Query;
    let rule = Clusters { aurora: sandbox.aurora.clone() };
    let origin = emulator();
    rule.apply(&mut call, Next::new(&[], &origin)).await
}

async fn login(sandbox: &Sandbox, region: &str, cluster: &str, password: &str) -> Result<Client, String> {
    let arn = format!("arn:aws:rds:{region}:{ACCOUNT}:cluster:{cluster}");
    let reach = sandbox.aurora.reach(ACCOUNT, &arn).await.map_err(|why| why.to_string())?;
    let database = reach.database.unwrap_or_else(|| "postgres".to_owned());
    let login = Login { user: reach.owner, password: password.to_owned(), database };
    Client::connect(reach.port, &login).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_servers_follow_the_calls() -> TestResult {
    let sandbox = Sandbox::new().await?;
    let ask = async |region: &str, body: &str| assert!(ask(&sandbox, region, body).await.is_success(), "{body}");
    let cluster = "DBClusterIdentifier=ledger";
    ask(
        "us-east-1",
        &format!("Action=CreateDBCluster&{cluster}&MasterUserPassword=p&DatabaseName=d&GlobalClusterIdentifier=g"),
    )
    .await;
    ask("us-east-1", &format!("Action=CreateDBInstance&{cluster}&DBInstanceIdentifier=one")).await;
    ask("us-east-1", "Action=DescribeDBInstances").await;
    let client = login(&sandbox, "us-east-1", "ledger", "p").await?;
    client.batch("create table trial (id int)").await?;
    ask("us-east-2", &format!("Action=CreateDBCluster&{cluster}&GlobalClusterIdentifier=g")).await;
    ask("us-east-2", &format!("Action=CreateDBInstance&{cluster}&DBInstanceIdentifier=two")).await;

    let to = "arn:aws:rds:us-east-2:111122223333:cluster:ledger";
    ask(
        "us-east-1",
        &format!("Action=SwitchoverGlobalCluster&GlobalClusterIdentifier=g&TargetDbClusterIdentifier={to}"),
    )
    .await;
    login(&sandbox, "us-east-2", "ledger", "p").await?.batch("insert into trial values (1)").await?;
    assert!(login(&sandbox, "us-east-1", "ledger", "p").await.is_err_and(|why| why.contains("secondary")));
    ask("us-east-2", &format!("Action=ModifyDBCluster&{cluster}&MasterUserPassword=q")).await;
    ask("us-east-2", "Action=DisableHttpEndpoint&ResourceArn=arn:aws:rds:us-east-2:111122223333:cluster:ledger").await;
    assert_eq!(sandbox.aurora.reach(ACCOUNT, to).await, Err(Unavailable::HttpEndpointDisabled));
    ask("us-east-2", &format!("Action=ModifyDBCluster&{cluster}&EnableHttpEndpoint=true")).await;

    // A forced failover, with everybody's Region up, is over with the call.
    let home = "arn:aws:rds:us-east-1:111122223333:cluster:ledger";
    ask(
        "us-east-1",
        &format!(
            "Action=FailoverGlobalCluster&GlobalClusterIdentifier=g&TargetDbClusterIdentifier={home}&AllowDataLoss=true"
        ),
    )
    .await;
    login(&sandbox, "us-east-1", "ledger", "q").await?.batch("insert into trial values (2)").await?;

    ask("us-east-2", "Action=DeleteDBInstance&DBInstanceIdentifier=two").await;
    ask("us-east-2", "Action=RemoveFromGlobalCluster&GlobalClusterIdentifier=g&DbClusterIdentifier=ledger").await;
    ask("us-east-2", &format!("Action=CreateDBClusterSnapshot&{cluster}&DBClusterSnapshotIdentifier=s")).await;
    ask("us-east-2", "Action=DeleteDBClusterSnapshot&DBClusterSnapshotIdentifier=s").await;
    ask("us-east-2", &format!("Action=DeleteDBCluster&{cluster}")).await;
    assert_eq!(sandbox.aurora.reach(ACCOUNT, to).await, Err(Unavailable::NoSuchCluster));
    ask("us-east-1", "Action=DeleteDBInstance&DBInstanceIdentifier=one").await;
    assert_eq!(sandbox.aurora.reach(ACCOUNT, home).await, Err(Unavailable::NoInstance));
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_password_that_rds_manages_is_the_logins() -> TestResult {
    let sandbox = Sandbox::new().await?;
    let cluster = "DBClusterIdentifier=managed";
    ask(&sandbox, "us-east-1", &format!("Action=CreateDBCluster&{cluster}&ManageMasterUserPassword=true")).await;
    ask(&sandbox, "us-east-1", &format!("Action=CreateDBInstance&{cluster}&DBInstanceIdentifier=one")).await;
    login(&sandbox, "us-east-1", "managed", "of RDS").await?;
    assert!(login(&sandbox, "us-east-1", "managed", "").await.is_err());
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn an_instance_whose_server_does_not_run_has_failed() -> TestResult {
    let dir = tempfile::tempdir()?;
    let sandbox = Sandbox::with(Some(dir.path().to_owned()))?;
    let before = text(&ask(&sandbox, "us-east-1", "Action=DescribeDBInstances").await);
    assert!(before.contains("<DBInstanceStatus>available</DBInstanceStatus>"), "not one of these: {before}");
    ask(&sandbox, "us-east-1", "Action=CreateDBCluster&DBClusterIdentifier=ledger&MasterUserPassword=p").await;
    ask(&sandbox, "us-east-1", "Action=CreateDBInstance&DBClusterIdentifier=ledger&DBInstanceIdentifier=one").await;
    let after = text(&ask(&sandbox, "us-east-1", "Action=DescribeDBInstances").await);
    assert!(after.contains("<DBInstanceStatus>failed</DBInstanceStatus>"), "{after}");
    Ok(())
}

#[tokio::test]
async fn what_the_emulator_refuses_and_other_engines_have_no_servers() -> TestResult {
    let sandbox = Sandbox::with(None)?;
    let rule = Clusters { aurora: sandbox.aurora.clone() };
    let refusing = Scripted::new(|call| Answer::client_error(call, "DBClusterAlreadyExistsFault", "taken"));
    let mysql = Scripted::xml(
        "<CreateDBClusterResponse><CreateDBClusterResult><DBCluster><DBClusterArn>arn:aws:rds:us-east-1:111122223333:cluster:c\
         </DBClusterArn><Engine>aurora-mysql</Engine></DBCluster></CreateDBClusterResult></CreateDBClusterResponse>",
    );
    for origin in [refusing, mysql] {
        let mut call = ec2(ACCOUNT, "us-east-1", "Action=CreateDBCluster&DBClusterIdentifier=c");
        "rds".clone_into(&mut call.service);
        call.protocol = Protocol::Query;
        rule.apply(&mut call, Next::new(&[], &origin)).await;
        assert_eq!(sandbox.aurora.status(None).await.clusters, []);
    }
    Ok(())
}
