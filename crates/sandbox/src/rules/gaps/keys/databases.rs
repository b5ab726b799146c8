//! `key-not-accessible`: what Aurora does if a key cannot be used. See docs/aws-behaviour.md#key-not-accessible and
//! docs/aws-behaviour.md#lost-key-stops-the-database.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::Keys;
use crate::rules::gaps::aurora::clusters;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Seconds until a cluster notices that its key cannot be used. AWS gives no figure for Aurora: half an hour is an
/// estimate.
const NOTICED: f64 = 1800.0;

/// The state of a cluster that has noticed. Members of a global database enter it at once, without a week in which they
/// can be recovered. <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html>
const INACCESSIBLE: &str = "inaccessible-encryption-credentials";

/// Refuses creations under an unusable key, and shows what has lost its key as inaccessible.
pub(super) struct Databases {
    keys: Arc<Keys>,
    /// How long until a lost key is noticed; `None` if it never is.
    noticed: Option<Duration>,
}

impl Databases {
    pub(super) fn new(keys: Arc<Keys>, scale: Option<f64>) -> Self {
        Self { keys, noticed: scale.and_then(|scale| Duration::try_from_secs_f64(NOTICED / scale).ok()) }
    }

    /// `Err` is the refusal of a creation under a key that cannot be used.
    async fn check(&self, call: &Call, next: Next<'_>) -> Result<(), Answer> {
        let form = call.form();
        let mut keys: Vec<String> = ["KmsKeyId", "PerformanceInsightsKMSKeyId"]
            .into_iter()
            .filter_map(|name| form.get(name).map(str::to_owned))
            .collect();
        match call.operation.as_str() {
            "CreateDBCluster" => {}
            "CreateDBInstance" | "CreateDBClusterSnapshot" => {
                let name = form.get("DBClusterIdentifier");
                let clusters = clusters(call, next).await?;
                let cluster = clusters.iter().find(|cluster| cluster.text_of("DBClusterIdentifier") == name);
                keys.extend(cluster.and_then(|cluster| cluster.text_of("KmsKeyId")).map(str::to_owned));
            }
            _ => return Ok(()),
        }
        match keys.iter().find(|key| self.keys.why_unusable(call, key).is_some()) {
            Some(key) => {
                let why = "does not exist, is not enabled or you do not have permissions to access it.";
                Err(Answer::client_error(
                    call,
                    "KMSKeyNotAccessibleFault",
                    &format!("The specified KMS key [{key}] {why}"),
                ))
            }
            None => Ok(()),
        }
    }

    async fn show(&self, call: &Call, next: Next<'_>, answer: &mut Answer, noticed: Duration) {
        let (item, status) = match call.operation.as_str() {
            "DescribeDBClusters" => ("DBCluster", "Status"),
            "DescribeDBInstances" => ("DBInstance", "DBInstanceStatus"),
            _ => return,
        };
        let clusters = match clusters(call, next).await {
            Ok(clusters) => clusters,
            // The clusters' keys are not known, so the right answer is not known either.
            Err(failure) => {
                *answer = failure;
                return;
            }
        };
        let is_lost = |cluster: &&Element| {
            cluster.text_of("KmsKeyId").is_some_and(|key| self.keys.is_unusable_for(call, key, noticed))
        };
        let lost: Vec<&str> =
            clusters.iter().filter(is_lost).filter_map(|cluster| cluster.text_of("DBClusterIdentifier")).collect();
        if lost.is_empty() {
            return;
        }
        answer.edit_xml(|root| {
            let set = root
                .child_mut(&format!("{}Result", call.operation))
                .and_then(|result| result.child_mut(&format!("{item}s")));
            let Some(set) = set else { return false };
            for shown in set.children_mut() {
                let is_lost = shown.text_of("DBClusterIdentifier").is_some_and(|name| lost.contains(&name));
                if shown.is_named(item) && is_lost && shown.text_of(status) == Some("available") {
                    shown.set_text_of(status, INACCESSIBLE);
                }
            }
            true
        });
    }
}

impl Rule for Databases {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "rds" || self.keys.is_empty() {
                return next.run(call).await;
            }
            if let Err(refusal) = self.check(call, next).await {
                return refusal;
            }
            let mut answer = next.run(call).await;
            if let Some(noticed) = self.noticed {
                self.show(call, next, &mut answer, noticed).await;
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

#[cfg(test)]
mod tests {
    use super::super::rules;
    use super::super::tests::kms;
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::Protocol;
    use crate::wire::call::tests::ec2;

    async fn ask(rules: &[Box<dyn Rule>], body: &str) -> String {
        let origin = Scripted::new(|call| {
            let content = match call.operation.as_str() {
                "DescribeDBClusters" => {
                    "<DBClusters><DBCluster><DBClusterIdentifier>a</DBClusterIdentifier><Status>available</Status>\
                     <KmsKeyId>arn:aws:kms:us-east-1:111122223333:key/k</KmsKeyId></DBCluster><DBCluster>\
                     <DBClusterIdentifier>b</DBClusterIdentifier><Status>available</Status><KmsKeyId/></DBCluster>\
                     </DBClusters>"
                }
                "DescribeDBInstances" => {
                    "<DBInstances><DBInstance><DBInstanceIdentifier>a1</DBInstanceIdentifier><DBClusterIdentifier>a\
                     </DBClusterIdentifier><DBInstanceStatus>available</DBInstanceStatus></DBInstance></DBInstances>"
                }
                _ => "<Carried>out</Carried>",
            };
            ok(&format!("<r><{0}Result>{content}</{0}Result></r>", call.operation))
        });
        let mut call = ec2("111122223333", "us-east-1", body);
        "rds".clone_into(&mut call.service);
        call.protocol = Protocol::Query;
        text(&Next::new(rules, &origin).run(&mut call).await)
    }

    const CREATIONS: [&str; 4] = [
        "Action=CreateDBCluster&DBClusterIdentifier=c&KmsKeyId=arn:aws:kms:us-east-1:111122223333:key/k",
        "Action=CreateDBInstance&DBInstanceIdentifier=a2&DBClusterIdentifier=a",
        "Action=CreateDBInstance&DBInstanceIdentifier=b2&DBClusterIdentifier=b&PerformanceInsightsKMSKeyId=k",
        "Action=CreateDBClusterSnapshot&DBClusterSnapshotIdentifier=s&DBClusterIdentifier=a",
    ];

    #[tokio::test]
    async fn nothing_is_created_under_an_unusable_key() {
        for end in ["DisableKey", "ScheduleKeyDeletion"] {
            let rules = rules(None);
            for body in CREATIONS {
                assert!(ask(&rules, body).await.contains("<Carried>out"), "{body}");
            }
            kms(&rules, end, "k").await;
            for body in CREATIONS {
                let refused = ask(&rules, body).await;
                assert!(refused.contains("<Code>KMSKeyNotAccessibleFault</Code>"), "{body}: {refused}");
            }
            let other = "Action=CreateDBInstance&DBInstanceIdentifier=b2&DBClusterIdentifier=b";
            assert!(ask(&rules, other).await.contains("<Carried>out"));
        }
    }

    #[tokio::test]
    async fn a_cluster_becomes_inaccessible_after_its_key_and_recovers_with_it() {
        let at_once = rules(Some(1e9));
        kms(&at_once, "ScheduleKeyDeletion", "k").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let clusters = ask(&at_once, "Action=DescribeDBClusters").await;
        assert_eq!(clusters.matches(INACCESSIBLE).count(), 1, "{clusters}");
        assert!(ask(&at_once, "Action=DescribeDBInstances").await.contains(INACCESSIBLE));
        kms(&at_once, "CancelKeyDeletion", "k").await;
        kms(&at_once, "EnableKey", "k").await;
        assert!(!ask(&at_once, "Action=DescribeDBClusters").await.contains(INACCESSIBLE));
        for slow in [None, Some(1.0)] {
            let slow = rules(slow);
            kms(&slow, "ScheduleKeyDeletion", "k").await;
            assert!(!ask(&slow, "Action=DescribeDBClusters").await.contains(INACCESSIBLE));
        }
    }
}
