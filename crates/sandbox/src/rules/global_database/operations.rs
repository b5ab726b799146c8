//! `SwitchoverGlobalCluster` and `FailoverGlobalCluster`, and what others see of them. See
//! docs/aws-behaviour.md#global-database-in-operation.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::parameter;
use super::refusals::{self, Accepted};
use crate::rules::ask;
use crate::rules::faults::Faults;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;
use crate::world::aurora::databases::GlobalDatabases;
use crate::world::aurora::operation::{Order, Phase, Progress};

/// Carries them out, shows them, and keeps other changes away meanwhile.
pub(super) struct Operations {
    databases: GlobalDatabases,
    faults: Arc<Faults>,
    /// Held while the emulator is told of a new writer, so that it is told once.
    telling: tokio::sync::Mutex<()>,
}

impl Operations {
    pub(super) fn new(databases: &GlobalDatabases, faults: &Arc<Faults>) -> Self {
        Self { databases: databases.clone(), faults: Arc::clone(faults), telling: tokio::sync::Mutex::default() }
    }

    /// Tells the emulator who has become the writer since the last call.
    async fn settle(&self, call: &Call, next: Next<'_>) {
        if self.databases.moved(&call.account).is_empty() {
            return;
        }
        let _telling = self.telling.lock().await;
        for (global, writer) in self.databases.moved(&call.account) {
            let parameters = [
                ("GlobalClusterIdentifier", global.as_str()),
                ("TargetDbClusterIdentifier", writer.as_str()),
                ("AllowDataLoss", "true"),
            ];
            // A global cluster that has been deleted in the meantime is nobody's concern.
            if let Err(refusal) = ask(call, next, "FailoverGlobalCluster", &parameters).await {
                let why = String::from_utf8_lossy(refusal.body()).into_owned();
                tracing::warn!(global, writer, why, "the emulator does not accept the new writer");
            }
            self.databases.told(&call.account, &global);
        }
    }

    /// Starts a switchover or failover. In the instant pace, it is over when it is answered.
    async fn operate(&self, call: &Call, next: Next<'_>) -> Result<Answer, Answer> {
        let Accepted { mut global, id, from, to, others, loses_data, retention } =
            refusals::check(&self.databases, call, next).await?;
        let accepted = Progress { phase: Phase::Pending, from: from.arn.clone(), to: to.arn.clone(), loses_data };
        show_operation(&mut global, &accepted);
        let (course, unstuck) = self.faults.of_aurora(&call.account);
        let order = Order {
            account: call.account.clone(),
            global: id.clone(),
            from,
            to,
            others,
            loses_data,
            retention: Duration::from_secs(retention),
            course,
        };
        if !self.databases.start(order, unstuck) {
            let message = format!("Global cluster {id} is already being switched or failed over.");
            return Err(Answer::client_error(call, "InvalidGlobalClusterStateFault", &message));
        }
        if !self.databases.takes_time() {
            self.databases.at_rest(&call.account).await;
        }
        Ok(Answer::rds(&call.operation, vec![global.renamed("GlobalCluster")]))
    }

    /// Shows what is in progress in an answer.
    fn show(&self, call: &Call, answer: &mut Answer) {
        let (result, set, item) = match call.operation.as_str() {
            "DescribeGlobalClusters" => ("DescribeGlobalClustersResult", "GlobalClusters", "GlobalClusterMember"),
            "DescribeDBClusters" => ("DescribeDBClustersResult", "DBClusters", "DBCluster"),
            "DescribeDBInstances" => ("DescribeDBInstancesResult", "DBInstances", "DBInstance"),
            _ => return,
        };
        answer.edit_xml(|root| {
            let items = root.child_mut(result).and_then(|result| result.child_mut(set)).map(Element::children_mut);
            let mut changed = false;
            for one in items.into_iter().flatten().filter(|one| one.is_named(item)) {
                changed |= self.show_in(call, one);
            }
            changed
        });
    }

    /// Shows what is in progress in a global cluster, a cluster, or an instance. Returns whether that changed anything.
    fn show_in(&self, call: &Call, one: &mut Element) -> bool {
        let text = |name: &str| one.text_of(name).unwrap_or_default().to_owned();
        match one.name() {
            "DBCluster" => {
                let status = self.databases.cluster_status(&call.account, &call.region, &text("DBClusterIdentifier"));
                status.is_some_and(|status| one.set_text_of("Status", status))
            }
            "DBInstance" => {
                let status = self.databases.instance_status(&call.account, &call.region, &text("DBInstanceIdentifier"));
                status.is_some_and(|status| one.set_text_of("DBInstanceStatus", status))
            }
            _ => {
                let progress = self.databases.progress(&call.account, &text("GlobalClusterIdentifier"));
                if let Some(progress) = &progress {
                    show_operation(one, progress);
                }
                let members = one.child_mut("GlobalClusterMembers").map(Element::children_mut);
                let mut changed = progress.is_some();
                for member in members.into_iter().flatten() {
                    let arn = member.text_of("DBClusterArn").unwrap_or_default();
                    if self.databases.is_behind(&call.account, arn) {
                        changed |= member.set_text_of("SynchronizationStatus", "pending-resync");
                    }
                }
                changed
            }
        }
    }

    /// Notes which clusters are no members any more.
    async fn learn(&self, call: &Call, answer: &Answer) {
        if !answer.is_success() {
            return;
        }
        match call.operation.as_str() {
            "RemoveFromGlobalCluster" => self.databases.left(&call.account, parameter(call, "DbClusterIdentifier")),
            "DeleteDBCluster" => {
                let name = parameter(call, "DBClusterIdentifier");
                let arn = format!("arn:aws:rds:{}:{}:cluster:{name}", call.region, call.account);
                self.databases.left(&call.account, &arn);
                // "DeleteAutomatedBackups … The default is to remove automated backups immediately after the DB cluster is
                // deleted."
                if parameter(call, "DeleteAutomatedBackups") != "false" {
                    self.databases.delete_lost(&call.account, &call.region, name).await;
                }
            }
            _ => {}
        }
    }
}

/// Shows an operation in a global cluster.
fn show_operation(global: &mut Element, progress: &Progress) {
    global.set_text_of("Status", progress.global_status());
    let texts = [
        ("Status", progress.phase.name()),
        ("FromDbClusterArn", progress.from.as_str()),
        ("ToDbClusterArn", progress.to.as_str()),
        ("IsDataLossAllowed", if progress.loses_data { "true" } else { "false" }),
    ];
    let texts = texts.into_iter().map(|(name, text)| Element::with_text(name, text)).collect();
    global.replace(Element::with_children("FailoverState", texts));
}

impl Rule for Operations {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "rds" {
                return next.run(call).await;
            }
            self.settle(call, next).await;
            if matches!(call.operation.as_str(), "SwitchoverGlobalCluster" | "FailoverGlobalCluster") {
                return self.operate(call, next).await.unwrap_or_else(|refusal| refusal);
            }
            if let Err(refusal) = refusals::while_in_progress(&self.databases, call) {
                return refusal;
            }
            let mut answer = next.run(call).await;
            self.show(call, &mut answer);
            self.learn(call, &answer).await;
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        self.databases.reset();
    }
}
