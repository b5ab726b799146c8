//! `final-snapshot`: the deletion of a cluster says whether a snapshot is kept, and creates it. MiniStack has
//! snapshots, but does not create one when a cluster is deleted.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBCluster.html>.
//! See docs/aws-behaviour.md#final-snapshot.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::parameter;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

const FINAL: &str = "FinalDBSnapshotIdentifier";

/// Creates the final snapshot of a cluster that is deleted.
pub(super) struct Snapshots;

impl Rule for Snapshots {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if !call.is("rds", "DeleteDBCluster") {
                return next.run(call).await;
            }
            let snapshot = parameter(call, FINAL).to_owned();
            if let Err(refusal) = check(call, &snapshot) {
                return refusal;
            }
            if snapshot.is_empty() {
                return next.run(call).await;
            }
            let cluster = parameter(call, "DBClusterIdentifier");
            let parameters = [("DBClusterSnapshotIdentifier", snapshot.as_str()), ("DBClusterIdentifier", cluster)];
            let mut create = call.ask_query("CreateDBClusterSnapshot", &parameters);
            let created = next.run(&mut create).await;
            if !created.is_success() {
                return created;
            }
            let answer = next.run(call).await;
            if !answer.is_success() {
                // A cluster that is not deleted has no final snapshot.
                let mut undo =
                    call.ask_query("DeleteDBClusterSnapshot", &[("DBClusterSnapshotIdentifier", snapshot.as_str())]);
                let undone = next.run(&mut undo).await;
                if !undone.is_success() {
                    tracing::warn!(snapshot, "cannot delete the final snapshot of a cluster that was not deleted");
                }
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn check(call: &Call, snapshot: &str) -> Result<(), Answer> {
    let skips = parameter(call, "SkipFinalSnapshot") == "true";
    let refuse = |code: &str, message: &str| Err(Answer::client_error(call, code, message));
    match (skips, snapshot.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => refuse(
            "InvalidParameterCombination",
            &format!("{FINAL} cannot be specified when SkipFinalSnapshot is enabled."),
        ),
        (false, true) => refuse(
            "InvalidParameterCombination",
            &format!("{FINAL} is required unless SkipFinalSnapshot is specified."),
        ),
        (false, false) if is_identifier(snapshot) => Ok(()),
        (false, false) => {
            let must = "Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must \
                        not end with a hyphen or contain two consecutive hyphens.";
            refuse("InvalidParameterValue", &format!("The parameter {FINAL} is not a valid identifier. {must}"))
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let of_letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    of_letters && begins && name.len() <= 255 && !name.ends_with('-') && !name.contains("--")
}
