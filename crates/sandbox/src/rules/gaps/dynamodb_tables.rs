//! Global tables: MiniStack gives a replica the source's key, does not keep the recovery period, and deletes the source
//! before its replicas. See docs/aws-behaviour.md#replica-key-is-fixed and docs/aws-behaviour.md#table-was-a-source.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::rules::dynamodb::{SOURCE_OF_REPLICAS, table_of};
use crate::rules::rule::{Next, Rule};
use crate::rules::text_of;
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// The recovery period of a table for which none is given.
const DEFAULT_DAYS: i64 = 35;

/// What MiniStack does not keep about one table in all its Regions.
#[derive(Debug, Default)]
struct Kept {
    /// The key of the replica in a Region.
    keys: HashMap<String, String>,
    /// The recovery period in a Region, in days.
    days: HashMap<String, i64>,
    /// The Regions in which replicas were added.
    sources: HashSet<String>,
}

/// What MiniStack does not keep, by account and table.
#[derive(Default)]
pub(super) struct DynamoDbTables {
    tables: Mutex<HashMap<(String, String), Kept>>,
}

impl Rule for DynamoDbTables {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let is_about_tables = ["Table", "ContinuousBackups"].iter().any(|what| call.operation.ends_with(what));
            if call.service != "dynamodb" || !is_about_tables {
                return next.run(call).await;
            }
            if call.operation == "DeleteTable"
                && let Some(refusal) = self.refuse(call, next).await
            {
                return refusal;
            }
            let mut answer = next.run(call).await;
            if answer.is_success() {
                self.answered(call, &mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.tables).clear();
    }
}

impl DynamoDbTables {
    async fn refuse(&self, call: &Call, next: Next<'_>) -> Option<Answer> {
        let table = table_of(&call.json())?;
        let key = (call.account.clone(), table.clone());
        if !lock(&self.tables).get(&key).is_some_and(|kept| kept.sources.contains(&call.region)) {
            return None;
        }
        let mut question = call.ask_json("DescribeTable", &json!({"TableName": table}));
        let mut described = next.run(&mut question).await;
        let mut has_replicas = false;
        described.edit_json(|answer| {
            has_replicas = answer["Table"]["Replicas"].as_array().is_some_and(|replicas| !replicas.is_empty());
            false
        });
        has_replicas.then(|| Answer::client_error(call, "ValidationException", SOURCE_OF_REPLICAS))
    }

    fn answered(&self, call: &Call, answer: &mut Answer) {
        let Some(table) = table_of(&call.json()) else { return };
        let (body, region) = (call.json(), &call.region);
        let mut tables = lock(&self.tables);
        let kept = tables.entry((call.account.clone(), table)).or_default();
        match call.operation.as_str() {
            "UpdateTable" => kept.updated(&body, region),
            "CreateTable" | "DeleteTable" => kept.forget(region),
            "UpdateContinuousBackups" => {
                let days = body["PointInTimeRecoverySpecification"]["RecoveryPeriodInDays"].as_i64();
                kept.days.insert(region.clone(), days.unwrap_or(DEFAULT_DAYS));
            }
            _ => {}
        }
        if call.operation.ends_with("ContinuousBackups") {
            answer.edit_json(|answer| {
                let recovery = &mut answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
                let is_on = recovery["PointInTimeRecoveryStatus"] == "ENABLED";
                if is_on {
                    let days = kept.days.get(region).copied().unwrap_or(DEFAULT_DAYS);
                    recovery["RecoveryPeriodInDays"] = json!(days);
                }
                is_on
            });
        } else if call.operation.ends_with("Table") && !kept.keys.is_empty() {
            answer.edit_json(|answer| kept.show(answer, region));
        }
    }
}

impl Kept {
    fn forget(&mut self, region: &str) {
        self.keys.remove(region);
        self.days.remove(region);
        self.sources.remove(region);
    }

    fn updated(&mut self, body: &Value, region: &str) {
        for update in body["ReplicaUpdates"].as_array().into_iter().flatten() {
            if let Some(created) = text_of(&update["Create"], "RegionName") {
                self.forget(&created);
                self.sources.insert(region.to_owned());
                if let Some(key) = text_of(&update["Create"], "KMSMasterKeyId") {
                    self.keys.insert(created, key);
                }
            }
            if let Some(deleted) = text_of(&update["Delete"], "RegionName") {
                self.forget(&deleted);
            }
        }
    }

    /// Shows each replica's own key, in the table of its Region and in the list of replicas.
    fn show(&self, answer: &mut Value, region: &str) -> bool {
        let member = if answer.get("Table").is_some() { "Table" } else { "TableDescription" };
        let Some(table) = answer.get_mut(member) else { return false };
        if let (Some(key), Some(encryption)) = (self.keys.get(region), table.get_mut("SSEDescription")) {
            encryption["KMSMasterKeyArn"] = json!(key);
        }
        for replica in table.get_mut("Replicas").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(key) = text_of(replica, "RegionName").and_then(|region| self.keys.get(&region)) {
                replica["KMSMasterKeyId"] = json!(key);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json as call;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
    const CREATE: &str =
        r#"{"TableName":"t","ReplicaUpdates":[{"Create":{"RegionName":"us-east-2","KMSMasterKeyId":"k2"}}]}"#;
    const DELETE: &str = r#"{"TableName":"t","ReplicaUpdates":[{"Delete":{"RegionName":"us-east-2"}}]}"#;
    const TABLE: &str = r#"{"TableName":"t"}"#;

    /// A table with a replica, until a call deletes the replica.
    fn emulator() -> Scripted {
        let replicas = Mutex::new(json!([{"RegionName": "us-east-2"}]));
        Scripted::new(move |call| {
            if call.json()["ReplicaUpdates"][0].get("Delete").is_some() {
                *lock(&replicas) = json!([]);
            }
            let table = json!({"SSEDescription": {"KMSMasterKeyArn": KEY}, "Replicas": *lock(&replicas)});
            let recovery = json!({"PointInTimeRecoveryStatus": "ENABLED"});
            ok(&match call.operation.as_str() {
                "DescribeTable" => json!({"Table": table}),
                "DescribeContinuousBackups" | "UpdateContinuousBackups" => {
                    json!({"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}})
                }
                _ => json!({"TableDescription": table}),
            }
            .to_string())
        })
    }

    async fn ask(rule: &DynamoDbTables, origin: &Scripted, region: &str, operation: &str, request: &str) -> String {
        let mut call = call("dynamodb", &format!("DynamoDB_20120810.{operation}"), request);
        region.clone_into(&mut call.region);
        text(&rule.apply(&mut call, Next::new(&[], origin)).await)
    }

    #[tokio::test]
    async fn a_replica_has_the_key_it_was_given() {
        let (rule, origin) = (DynamoDbTables::default(), emulator());
        let updated = ask(&rule, &origin, "us-east-1", "UpdateTable", CREATE).await;
        assert!(updated.contains(r#""KMSMasterKeyId":"k2""#) && updated.contains(KEY), "{updated}");
        let there = ask(&rule, &origin, "us-east-2", "DescribeTable", TABLE).await;
        assert!(there.contains(r#""KMSMasterKeyArn":"k2""#) && !there.contains(KEY), "{there}");
        assert!(ask(&rule, &origin, "us-east-1", "DescribeTable", TABLE).await.contains(KEY));
        rule.reset();
        assert!(ask(&rule, &origin, "us-east-2", "DescribeTable", TABLE).await.contains(KEY));
    }

    #[tokio::test]
    async fn the_recovery_period_is_kept() {
        let (rule, origin) = (DynamoDbTables::default(), emulator());
        let days = async |region: &str| ask(&rule, &origin, region, "DescribeContinuousBackups", TABLE).await;
        assert!(days("us-east-1").await.contains(r#""RecoveryPeriodInDays":35"#));
        let week = r#"{"TableName":"t","PointInTimeRecoverySpecification":{"RecoveryPeriodInDays":7}}"#;
        assert!(ask(&rule, &origin, "us-east-1", "UpdateContinuousBackups", week).await.contains(":7}"));
        assert!(days("us-east-1").await.contains(r#""RecoveryPeriodInDays":7"#));
        assert!(days("us-east-2").await.contains(r#""RecoveryPeriodInDays":35"#));
    }

    #[tokio::test]
    async fn the_source_is_deleted_after_its_replicas() {
        let (rule, origin) = (DynamoDbTables::default(), emulator());
        ask(&rule, &origin, "us-east-1", "UpdateTable", CREATE).await;
        let refused = ask(&rule, &origin, "us-east-1", "DeleteTable", TABLE).await;
        assert!(refused.contains("has acted as a source region"), "{refused}");
        ask(&rule, &origin, "us-east-1", "UpdateTable", DELETE).await;
        let deleted = ask(&rule, &origin, "us-east-1", "DeleteTable", TABLE).await;
        assert!(deleted.contains("TableDescription"), "{deleted}");
    }
}
