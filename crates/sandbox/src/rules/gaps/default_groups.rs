//! A major upgrade of a global database puts its clusters on the default parameter groups of the new version. MiniStack leaves them in
//! the groups of the old one. See docs/aws-behaviour.md#major-upgrade-is-an-outage.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::ask;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Moves the clusters of an upgraded global database to the default parameter groups.
pub(super) struct DefaultGroups;

impl Rule for DefaultGroups {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let of = |name: &str| call.form().get(name).unwrap_or_default().to_owned();
            let (id, version) = (of("GlobalClusterIdentifier"), of("EngineVersion"));
            if !call.is("rds", "ModifyGlobalCluster") || of("AllowMajorVersionUpgrade") != "true" {
                return next.run(call).await;
            }
            let upgraded = match upgraded(call, next, &id, &version).await {
                Ok(upgraded) => upgraded,
                Err(failure) => return failure,
            };
            let answer = next.run(call).await;
            if answer.is_success() {
                for (arn, group) in &upgraded {
                    let there = call.in_region(arn.split(':').nth(3).unwrap_or_default());
                    let name = arn.rsplit(':').next().unwrap_or_default();
                    let change = [
                        ("DBClusterIdentifier", name),
                        ("DBClusterParameterGroupName", group),
                        ("ApplyImmediately", "true"),
                    ];
                    if let Err(failure) = ask(&there, next, "ModifyDBCluster", &change).await {
                        return failure;
                    }
                }
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

/// The ARNs of the clusters for which this is another major version, each with its default parameter group.
async fn upgraded(call: &Call, next: Next<'_>, id: &str, version: &str) -> Result<Vec<(String, String)>, Answer> {
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    let root = ask(call, next, "DescribeGlobalClusters", &[("GlobalClusterIdentifier", id)]).await?;
    let path = ["DescribeGlobalClustersResult", "GlobalClusters", "GlobalClusterMember"];
    let globals = root.at(&path).into_iter();
    let upgraded = globals.filter(|global| {
        let before = global.text_of("EngineVersion").map(major);
        global.text_of("GlobalClusterIdentifier") == Some(id) && before.is_some_and(|before| before != major(version))
    });
    let members = upgraded.flat_map(|global| {
        let group = format!("default.{}{}", global.text_of("Engine").unwrap_or_default(), major(version));
        let members = global.at(&["GlobalClusterMembers", "GlobalClusterMember"]).into_iter();
        members.filter_map(move |member| Some((member.text_of("DBClusterArn")?.to_owned(), group.clone())))
    });
    Ok(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok};
    use crate::wire::call::Protocol;
    use crate::wire::call::tests::ec2;

    async fn asked(version: &str) -> Vec<String> {
        let origin = Scripted::new(|call| {
            let member = "<GlobalClusterMember><DBClusterArn>arn:aws:rds:us-east-2:111122223333:cluster:b</DBClusterArn>\
                 </GlobalClusterMember>";
            ok(&format!(
                "<r><{0}Result><GlobalClusters><GlobalClusterMember><GlobalClusterIdentifier>g</GlobalClusterIdentifier>\
                 <Engine>aurora-postgresql</Engine><EngineVersion>16.8</EngineVersion><GlobalClusterMembers>{member}\
                 </GlobalClusterMembers></GlobalClusterMember></GlobalClusters></{0}Result></r>",
                call.operation
            ))
        });
        let body = format!(
            "Action=ModifyGlobalCluster&GlobalClusterIdentifier=g&AllowMajorVersionUpgrade=true&EngineVersion={version}"
        );
        let mut call = ec2("111122223333", "us-east-1", &body);
        "rds".clone_into(&mut call.service);
        call.protocol = Protocol::Query;
        assert!(DefaultGroups.apply(&mut call, Next::new(&[], &origin)).await.is_success());
        origin.asked()
    }

    #[tokio::test]
    async fn a_major_upgrade_moves_every_member_to_its_default_group() {
        let last = asked("17.7").await.pop().expect("asked");
        assert!(last.contains("ModifyDBCluster&") || last.contains("Action=ModifyDBCluster"), "{last}");
        assert!(last.contains("DBClusterParameterGroupName=default.aurora-postgresql17"), "{last}");
        let last = asked("16.9").await.pop().expect("asked");
        assert!(last.contains("ModifyGlobalCluster"), "a minor version: {last}");
    }
}
