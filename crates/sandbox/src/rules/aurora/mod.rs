//! Aurora's clusters get servers: follows what the emulator has carried out, and has the world do the same.
//!
//! The emulator keeps what clusters, instances, and snapshots there are. What is in them is in PostgreSQL servers, which
//! `world::aurora` makes, starts, stops, copies, and removes. This rule translates between the two:
//!
//! | call | what becomes of the servers |
//! |---|---|
//! | `CreateDBCluster` | none yet; the master user and the database are noted |
//! | the first `CreateDBInstance` | made, or started with the data of before; of a secondary cluster, a standby |
//! | `DescribeDBInstances` | an instance whose server does not run is `failed` |
//! | the last `DeleteDBInstance` | stopped; not that of a member of a global database with other members |
//! | `DeleteDBCluster` | removed |
//! | `ModifyDBCluster` | the master user has the new password |
//! | `EnableHttpEndpoint`, `DisableHttpEndpoint` | the Data API answers, or does not |
//! | `StopDBCluster`, `StartDBCluster` | stopped, started |
//! | `CreateDBClusterSnapshot`, `DeleteDBClusterSnapshot` | the data are copied; the copy is removed |
//! | `RemoveFromGlobalCluster` | a standby becomes a server of its own |
//! | `SwitchoverGlobalCluster`, `FailoverGlobalCluster` | the target is promoted, unless that was done before the call was forwarded |

mod managed;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;
use crate::world::World;
use crate::world::aurora::servers::Servers as _;
use crate::world::aurora::{Aurora, NewCluster};

const ENGINE: &str = "aurora-postgresql";

/// How long the description of an instance waits for a server that is starting, to see whether it fails. One that takes
/// longer is shown as the emulator shows it: whoever sends it SQL waits for it.
const FAILS_WITHIN: Duration = Duration::from_millis(300);

/// Has the world follow the emulator. It comes last of all rules: what it sees, the emulator answers.
pub(super) struct Clusters {
    aurora: Aurora,
}

impl Clusters {
    pub(super) fn new(world: &World) -> Self {
        Self { aurora: world.aurora.clone() }
    }
}

impl Rule for Clusters {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "rds" {
                return next.run(call).await;
            }
            // Whoever asks about databases is likely to create one.
            self.aurora.prepare();
            let mut answer = next.run(call).await;
            if !answer.is_success() {
                return answer;
            }
            if call.operation == "DescribeDBInstances" {
                self.show(call, &mut answer).await;
            } else if !call.reads()
                && let Err(failure) = self.follow(call, next, &answer).await
            {
                return failure;
            }
            answer
        }
        .boxed()
    }

    /// The servers end with the emulator's reset, which waits for them.
    fn reset(&self) {}
}

/// The resource of a kind in an answer.
fn item(call: &Call, answer: &Answer, kind: &str) -> Option<Element> {
    let root = Element::parse(answer.body()).ok()?;
    root.child(&format!("{}Result", call.operation))?.child(kind).cloned()
}

impl Clusters {
    /// Does what follows from a call that the emulator has carried out. `Err` is the answer if that cannot be done.
    async fn follow(&self, call: &Call, next: Next<'_>, answer: &Answer) -> Result<(), Answer> {
        let (account, region) = (call.account.as_str(), call.region.as_str());
        let of = |name: &str| call.form().get(name).unwrap_or_default();
        let cluster = of("DBClusterIdentifier");
        match call.operation.as_str() {
            "CreateDBCluster" => {
                if let Some(item) = item(call, answer, "DBCluster") {
                    self.created(call, next, &item).await;
                }
            }
            "CreateDBInstance" => {
                if let Some(item) = item(call, answer, "DBInstance")
                    && let Some(cluster) = item.text_of("DBClusterIdentifier").filter(|name| !name.is_empty())
                {
                    let instance = item.text_of("DBInstanceIdentifier").unwrap_or_default();
                    self.aurora.instance_created(account, region, cluster, instance);
                }
            }
            "DeleteDBInstance" => {
                if let Some(item) = item(call, answer, "DBInstance") {
                    let instance = item.text_of("DBInstanceIdentifier").unwrap_or_default();
                    self.aurora.instance_deleted(account, region, instance);
                }
            }
            "DeleteDBCluster" => self.aurora.cluster_deleted(account, region, cluster),
            "ModifyDBCluster" => self.modified(call, next, answer).await,
            "EnableHttpEndpoint" => self.aurora.http_endpoint_set(account, region, of("ResourceArn"), true),
            "DisableHttpEndpoint" => self.aurora.http_endpoint_set(account, region, of("ResourceArn"), false),
            "StopDBCluster" => self.aurora.power(account, region, cluster, false),
            "StartDBCluster" => self.aurora.power(account, region, cluster, true),
            "CreateDBClusterSnapshot" => {
                self.aurora.snapshot_created(account, region, cluster, of("DBClusterSnapshotIdentifier"));
            }
            "DeleteDBClusterSnapshot" => {
                self.aurora.snapshot_deleted(account, region, of("DBClusterSnapshotIdentifier"));
            }
            "CreateGlobalCluster" => {
                let source = of("SourceDBClusterIdentifier");
                if !source.is_empty() {
                    self.aurora.joined(account, region, source, of("GlobalClusterIdentifier"));
                }
            }
            "RemoveFromGlobalCluster" => self.aurora.left(account, region, of("DbClusterIdentifier")),
            "SwitchoverGlobalCluster" | "FailoverGlobalCluster" => return self.switched(call).await,
            _ => {}
        }
        Ok(())
    }

    async fn created(&self, call: &Call, next: Next<'_>, item: &Element) {
        if item.text_of("Engine") != Some(ENGINE) {
            return;
        }
        let text = |name: &str| item.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let password = match managed::secret_of(item) {
            Some(secret) => managed::password(call, next, &secret).await,
            None => call.form().get("MasterUserPassword").map(str::to_owned),
        };
        let new = NewCluster {
            arn: text("DBClusterArn").unwrap_or_default(),
            owner: text("MasterUsername").unwrap_or_default(),
            password,
            database: text("DatabaseName"),
            http_endpoint: item.text_of("HttpEndpointEnabled") == Some("true"),
            global: text("GlobalClusterIdentifier"),
        };
        self.aurora.cluster_created(&call.account, new);
    }

    async fn modified(&self, call: &Call, next: Next<'_>, answer: &Answer) {
        let Some(item) = item(call, answer, "DBCluster") else { return };
        let (account, region) = (call.account.as_str(), call.region.as_str());
        let cluster = item.text_of("DBClusterArn").unwrap_or_default();
        let password = match managed::secret_of(&item) {
            Some(secret) if call.form().get("RotateMasterUserPassword") == Some("true") => {
                managed::password(call, next, &secret).await
            }
            _ => call.form().get("MasterUserPassword").map(str::to_owned),
        };
        if let Some(password) = password {
            self.aurora.password_changed(account, region, cluster, &password);
        }
        if let Some(on) = call.form().get("EnableHttpEndpoint") {
            self.aurora.http_endpoint_set(account, region, cluster, on == "true");
        }
    }

    /// Follows a switchover or failover that nobody else has carried out.
    async fn switched(&self, call: &Call) -> Result<(), Answer> {
        let of = |name: &str| call.form().get(name).unwrap_or_default();
        let (account, global, to) =
            (call.account.as_str(), of("GlobalClusterIdentifier"), of("TargetDbClusterIdentifier"));
        let Some(from) = self.aurora.writer_of(account, global).filter(|from| from != to) else { return Ok(()) };
        let done = if call.operation == "FailoverGlobalCluster" && of("AllowDataLoss") == "true" {
            let lost = self.aurora.fail_over(account, global, &from, to, None).await;
            let rejoined = match lost {
                Ok(_) => self.aurora.rejoin(account, global, &from).await.map(|_| ()),
                Err(why) => Err(why),
            };
            if let Err(why) = &rejoined {
                // It rejoins when it is asked to again; the failover has happened, unless the first call failed.
                tracing::warn!(why, from, "the cluster that was the writer does not follow the new one");
            }
            Ok(())
        } else {
            self.aurora.switch_over(account, global, &from, to).await
        };
        done.map_err(|why| Answer::refusal(call, StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &why))
    }

    /// Shows which instances have failed.
    async fn show(&self, call: &Call, answer: &mut Answer) {
        let Ok(root) = Element::parse(answer.body()) else { return };
        let mut failed = Vec::new();
        for instance in root.at(&["DescribeDBInstancesResult", "DBInstances", "DBInstance"]) {
            let cluster = instance.text_of("DBClusterIdentifier").unwrap_or_default();
            if self.aurora.has_failed(&call.account, &call.region, cluster, FAILS_WITHIN).await {
                failed.extend(instance.text_of("DBInstanceIdentifier").map(str::to_owned));
            }
        }
        if failed.is_empty() {
            return;
        }
        answer.edit_xml(|root| {
            let instances = root.child_or_new("DescribeDBInstancesResult").child_or_new("DBInstances");
            for instance in instances.children_mut() {
                if instance.text_of("DBInstanceIdentifier").is_some_and(|name| failed.iter().any(|one| one == name)) {
                    instance.set_text_of("DBInstanceStatus", "failed");
                }
            }
            true
        });
    }
}
