//! `global-cluster-from-a-cluster`: a global cluster that is made from an existing cluster has what that one has, and is not told it.
//! MiniStack accepts everything, and takes over neither the encryption nor the name of the database.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateGlobalCluster.html>.
//! See docs/aws-behaviour.md#global-cluster-from-a-cluster.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{cluster, parameter};
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// What the cluster decides: the parameter, and AWS's word for it in its refusal.
/// <https://github.com/getmoto/moto/blob/master/tests/test_rds/test_global_clusters.py>
const INHERITED: [(&str, &str); 4] = [
    ("Engine", "engineName"),
    ("EngineVersion", "engineVersion"),
    ("DatabaseName", "databaseName"),
    ("StorageEncrypted", "storageEncrypted"),
];

/// Gives a new global cluster what its first member has.
pub(super) struct Origins;

impl Rule for Origins {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let source = parameter(call, "SourceDBClusterIdentifier").to_owned();
            if !call.is("rds", "CreateGlobalCluster") || source.is_empty() {
                return next.run(call).await;
            }
            if let Some((_, word)) = INHERITED.iter().find(|(name, _)| call.form().get(name).is_some()) {
                let message = format!(
                    "When creating global cluster from existing db cluster, value for {word} should not be specified since it will be \
                     inherited from source cluster"
                );
                return Answer::client_error(call, "InvalidParameterCombination", &message);
            }
            match cluster(call, next, &source).await {
                // The emulator refuses a cluster that does not exist.
                Ok(None) => {}
                Ok(Some(found)) => {
                    let mut form = call.forwarded_form();
                    for name in ["StorageEncrypted", "DatabaseName"] {
                        if let Some(value) = found.text_of(name) {
                            form.set(name, value);
                        }
                    }
                    call.forward_form(&form);
                }
                Err(failure) => return failure,
            }
            next.run(call).await
        }
        .boxed()
    }

    fn reset(&self) {}
}
