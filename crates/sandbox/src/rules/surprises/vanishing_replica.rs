//! A replica of a table that is never created, although the change was answered with 200.
//! See docs/aws-behaviour.md#replica-may-vanish.

use std::collections::HashSet;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Drops the first replica of each table: the call is answered, but the replica is neither listed nor created.
#[derive(Default)]
pub(super) struct VanishingReplica {
    tables: Mutex<HashSet<(Scope, String)>>,
}

/// The table to which a call adds a replica.
fn adds_replica(call: &Call) -> Option<String> {
    if !call.is("dynamodb", "UpdateTable") {
        return None;
    }
    let body = call.json();
    let updates = body.get("ReplicaUpdates")?.as_array()?;
    updates.iter().find(|update| update.get("Create").is_some())?;
    body.get("TableName")?.as_str().map(str::to_owned)
}

impl Rule for VanishingReplica {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let Some(table) = adds_replica(call) else { return next.run(call).await };
            if !lock(&self.tables).insert((Scope::of(call), table.clone())) {
                return next.run(call).await;
            }
            // The answer to such a change is the table as it is.
            let mut question = call.ask_json("DescribeTable", &serde_json::json!({"TableName": table}));
            let mut answer = next.run(&mut question).await;
            answer.edit_json(|value| {
                let Some(described) = value.as_object_mut().and_then(|map| map.remove("Table")) else { return false };
                *value = serde_json::json!({"TableDescription": described});
                true
            });
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.tables).clear();
    }

    fn count(&self) -> u64 {
        lock(&self.tables).len().try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json;

    #[tokio::test]
    async fn the_first_replica_of_a_table_is_answered_and_not_carried_out() {
        let rule = VanishingReplica::default();
        let origin = Scripted::new(|call| {
            assert!(call.is("dynamodb", "DescribeTable") || call.is("dynamodb", "UpdateTable"));
            ok(r#"{"Table":{"TableName":"t","TableStatus":"ACTIVE"}}"#)
        });
        let body = r#"{"TableName":"t","ReplicaUpdates":[{"Create":{"RegionName":"us-east-2"}}]}"#;
        let mut call = json("dynamodb", "DynamoDB_20120810.UpdateTable", body);
        let answer = rule.apply(&mut call.clone(), Next::new(&[], &origin)).await;
        assert!(text(&answer).starts_with(r#"{"TableDescription":"#), "{}", text(&answer));
        assert_eq!(origin.asked(), [r#"{"TableName":"t"}"#]);
        rule.apply(&mut call, Next::new(&[], &origin)).await;
        assert_eq!(origin.asked()[1], body);
    }
}
