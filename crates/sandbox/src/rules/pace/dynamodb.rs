//! The pace of DynamoDB: tables take seconds, replicas take half a minute to be created and minutes to be deleted.
//!
//! A table takes one change at a time, and a replica's Region knows nothing of the replica until it is ready. This
//! determines the order of steps for a global table. See docs/aws-behaviour.md#one-table-change-at-a-time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use super::latencies::seconds_of;
use super::{Moment, ServicePace};
use crate::rules::Scope;
use crate::rules::dynamodb::{SOURCE_OF_REPLICAS, table_of};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// "DDB table (on-demand)": 10 typical to create, 15 to delete.
const CREATING: f64 = 10.0;
const DELETING: f64 = 15.0;
/// "DDB replica, empty table": 28 typical to create; not listed for the first 6.
/// See docs/aws-behaviour.md#replica-may-vanish and docs/aws-behaviour.md#replica-before-first-item.
const REPLICA_UNLISTED: f64 = 6.0;
const REPLICA_CREATING: f64 = 28.0;
/// "DDB replica": 210 typical to delete; its Region knows the table for 10 to 35 more.
const REPLICA_DELETING: f64 = 210.0;
const REPLICA_LINGERING: f64 = 20.0;
/// "DP toggle w/ replica": 34 to 39.
const TOGGLE: f64 = 36.0;
/// Any update of a table without replicas.
const UPDATING: f64 = 1.0;
/// A call about items, which counts as a mutation only in this proxy.
const ITEMS: f64 = 0.01;

/// Seconds until the answer.
const SECONDS: [(&str, f64); 7] = [
    ("CreateTable", 0.5),
    ("DeleteTable", 0.5),
    ("UpdateTable", 0.5),
    ("UpdateContinuousBackups", 3.0),
    ("UpdateTimeToLive", 1.0),
    ("TagResource", 1.0),
    ("UntagResource", 1.0),
];

/// What AWS says to a replica whose predecessor is still being deleted. See docs/aws-behaviour.md#replica-name-taken.
const EXISTED: &str = "Failed to create a the new replica of table with name: '{}' because one or more replicas \
                       already existed as tables.";

/// A table of an account in a Region.
type Key = (Scope, String);

/// The pace of DynamoDB.
#[derive(Default)]
pub(super) struct DynamoDb {
    tables: Mutex<HashMap<Key, Table>>,
}

/// What is in progress on a table.
#[derive(Debug, Default)]
struct Table {
    is_replica: bool,
    /// Until when it is being created.
    created: Option<Instant>,
    /// Until when another change is refused.
    updated: Option<Instant>,
    /// Until when it is shown as being deleted, and its last description.
    deleted: Option<(Instant, Value)>,
    replicas: HashMap<String, Replica>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Creating,
    Updating,
    Deleting,
    Settled,
}

/// A replica as the Region of its source sees it.
#[derive(Debug, Clone, Copy)]
enum Replica {
    Creating { listed: Instant, active: Instant },
    Deleting { deleted: Instant, forgotten: Instant },
}

impl Table {
    fn state(&self, now: Instant) -> State {
        let before = |until: &Instant| now < *until;
        if self.deleted.as_ref().is_some_and(|(until, _)| before(until)) {
            State::Deleting
        } else if self.created.as_ref().is_some_and(before) {
            State::Creating
        } else if self.updated.as_ref().is_some_and(before) {
            State::Updating
        } else {
            State::Settled
        }
    }

    fn show(&self, table: &mut Value, now: Instant) {
        match self.state(now) {
            State::Creating => table["TableStatus"] = json!("CREATING"),
            State::Updating => table["TableStatus"] = json!("UPDATING"),
            State::Deleting | State::Settled => {}
        }
        let mut listed = table["Replicas"].as_array().cloned().unwrap_or_default();
        for (region, replica) in &self.replicas {
            match *replica {
                Replica::Creating { listed: from, .. } if now < from => listed.retain(|it| it["RegionName"] != *region),
                Replica::Creating { active, .. } if now < active => {
                    for it in listed.iter_mut().filter(|it| it["RegionName"] == *region) {
                        it["ReplicaStatus"] = json!("CREATING");
                    }
                }
                Replica::Deleting { deleted, .. } if now < deleted => {
                    listed.push(json!({"RegionName": region, "ReplicaStatus": "DELETING"}));
                }
                _ => {}
            }
        }
        if !listed.is_empty() || table.get("Replicas").is_some_and(Value::is_array) {
            table["Replicas"] = Value::Array(listed);
        }
    }

    /// Whether a replica is still known in its Region.
    fn has_lingering_replica(&self, now: Instant) -> bool {
        self.replicas.values().any(|it| matches!(it, Replica::Deleting { forgotten, .. } if now < *forgotten))
    }
}

impl ServicePace for DynamoDb {
    fn service(&self) -> &'static str {
        "dynamodb"
    }

    fn seconds(&self, operation: &str) -> Option<f64> {
        let items = ["Item", "Items", "Query", "Scan", "Statement", "Transaction"];
        seconds_of(&SECONDS, operation).or_else(|| items.iter().any(|end| operation.ends_with(end)).then_some(ITEMS))
    }

    fn before(&self, call: &mut Call, at: Moment) -> Option<Answer> {
        let body = call.json();
        let name = table_of(&body)?;
        let tables = lock(&self.tables);
        let table = tables.get(&(Scope::of(call), name.clone()))?;
        let lingers = |region: String| {
            tables.get(&key_in(&region, call, &name)).is_some_and(|it| it.state(at.now) == State::Deleting)
        };
        let (operation, state) = (call.operation.as_str(), table.state(at.now));
        // Of a new table, everything but its items is known; of a new replica, nothing is.
        // See docs/aws-behaviour.md#new-replica-answers-describe-only.
        let answers_early = !table.is_replica && matches!(operation, "ListTagsOfResource" | "DescribeTimeToLive");
        if operation == "DescribeTable" || (answers_early && state == State::Creating) {
            return None;
        }
        let (code, message) = match (operation, state) {
            (_, State::Creating) if table.is_replica || !operation.ends_with("Table") => {
                ("ResourceNotFoundException", format!("Requested resource not found: Table: {name} not found"))
            }
            // See docs/aws-behaviour.md#table-was-a-source.
            ("DeleteTable", State::Settled) if table.has_lingering_replica(at.now) => {
                ("ValidationException", SOURCE_OF_REPLICAS.to_owned())
            }
            ("UpdateTable", State::Settled) if replica_changes(&body, "Create").any(lingers) => {
                ("ValidationException", EXISTED.replace("{}", &name))
            }
            (_, State::Creating | State::Updating | State::Deleting) if operation.ends_with("Table") => (
                "ResourceInUseException",
                format!("Attempt to change a resource which is still in use: {name}: {state:?}"),
            ),
            _ => return None,
        };
        Some(Answer::client_error(call, code, &message))
    }

    fn after(&self, call: &Call, answer: &mut Answer, at: Moment) {
        let body = call.json();
        let Some(name) = table_of(&body) else { return };
        let mut tables = lock(&self.tables);
        let key = (Scope::of(call), name.clone());
        if !answer.is_success() {
            if call.operation == "DescribeTable"
                && let Some((_, shown)) =
                    tables.get(&key).and_then(|table| table.deleted.as_ref()).filter(|it| at.now < it.0)
            {
                *answer = Answer::aws_json(&json!({"Table": shown}));
            }
            return;
        }
        match call.operation.as_str() {
            "CreateTable" => {
                let table = Table { created: Some(at.later(CREATING)), ..Table::default() };
                tables.insert(key.clone(), table);
            }
            "UpdateTable" => begin_update(&mut tables, call, &name, &body, answer, at),
            "DeleteTable" => {
                let shown = shown(answer);
                tables.insert(key, Table { deleted: Some((at.later(DELETING), shown)), ..Table::default() });
                return;
            }
            "DescribeTable" => {}
            _ => return,
        }
        let Some(table) = tables.get(&key) else { return };
        answer.edit_json(|answer| {
            let member = if answer.get("Table").is_some() { "Table" } else { "TableDescription" };
            answer.get_mut(member).map(|described| table.show(described, at.now)).is_some()
        });
    }

    fn reset(&self) {
        lock(&self.tables).clear();
    }
}

fn begin_update(
    tables: &mut HashMap<Key, Table>,
    call: &Call,
    name: &str,
    body: &Value,
    answer: &mut Answer,
    at: Moment,
) {
    let shown = shown(answer);
    let has_replicas = shown["Replicas"].as_array().is_some_and(|replicas| !replicas.is_empty());
    let mut busy = if has_replicas { TOGGLE } else { UPDATING };
    for region in replica_changes(body, "Create") {
        busy = REPLICA_CREATING;
        let creating = Replica::Creating { listed: at.later(REPLICA_UNLISTED), active: at.later(REPLICA_CREATING) };
        entry(tables, (Scope::of(call), name.to_owned())).replicas.insert(region.clone(), creating);
        let replica = Table { is_replica: true, created: Some(at.later(REPLICA_CREATING)), ..Table::default() };
        tables.insert(key_in(&region, call, name), replica);
    }
    for region in replica_changes(body, "Delete") {
        busy = REPLICA_DELETING;
        let forgotten = at.later(REPLICA_DELETING + REPLICA_LINGERING);
        let deleting = Replica::Deleting { deleted: at.later(REPLICA_DELETING), forgotten };
        entry(tables, (Scope::of(call), name.to_owned())).replicas.insert(region.clone(), deleting);
        let mut shown = shown.clone();
        shown["TableStatus"] = json!("DELETING");
        shown["Replicas"] = json!([{"RegionName": call.region, "ReplicaStatus": "ACTIVE"}]);
        let arn = shown["TableArn"].as_str().unwrap_or_default().replace(&call.region, &region);
        shown["TableArn"] = json!(arn);
        tables.insert(key_in(&region, call, name), Table { deleted: Some((forgotten, shown)), ..Table::default() });
    }
    entry(tables, (Scope::of(call), name.to_owned())).updated = Some(at.later(busy));
}

fn entry(tables: &mut HashMap<Key, Table>, key: Key) -> &mut Table {
    tables.entry(key).or_default()
}

/// The key of the same table in another Region.
fn key_in(region: &str, call: &Call, name: &str) -> Key {
    (Scope { account: call.account.clone(), region: region.to_owned() }, name.to_owned())
}

/// The Regions of the replicas that a change creates or deletes.
fn replica_changes(body: &Value, action: &str) -> impl Iterator<Item = String> {
    let changes = body["ReplicaUpdates"].as_array().into_iter().flatten();
    changes.filter_map(move |change| change[action]["RegionName"].as_str().map(str::to_owned))
}

/// The table as it is described in an answer.
fn shown(answer: &mut Answer) -> Value {
    let mut shown = Value::Null;
    answer.edit_json(|answer| {
        shown = answer["TableDescription"].clone();
        false
    });
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::rule::tests::{ok, text};
    use crate::wire::call::tests::json as call;

    const HERE: &str = "us-east-1";
    const THERE: &str = "us-east-2";
    const TABLE: &str = r#"{"TableName":"t"}"#;
    const CREATE: &str = r#"{"TableName":"t","ReplicaUpdates":[{"Create":{"RegionName":"us-east-2"}}]}"#;
    const DELETE: &str = r#"{"TableName":"t","ReplicaUpdates":[{"Delete":{"RegionName":"us-east-2"}}]}"#;

    struct Bench {
        pace: DynamoDb,
        start: Instant,
        /// Whether the emulator has the replica.
        replica: bool,
    }

    impl Bench {
        /// One table, created at second 0, on a scale of 1.
        fn new() -> Self {
            let mut bench = Self { pace: DynamoDb::default(), start: Instant::now(), replica: false };
            assert!(bench.ask(0.0, HERE, "CreateTable", TABLE).contains("CREATING"));
            bench
        }

        fn ask(&mut self, seconds: f64, region: &str, operation: &str, body: &str) -> String {
            let at = Moment { now: self.start + Duration::from_secs_f64(seconds), scale: 1.0 };
            let mut call = call("dynamodb", &format!("DynamoDB_20120810.{operation}"), body);
            region.clone_into(&mut call.region);
            if let Some(refusal) = self.pace.before(&mut call, at) {
                return text(&refusal);
            }
            if operation == "UpdateTable" && body.contains("RegionName") {
                self.replica = body == CREATE;
            }
            let mut answer = if region == THERE && !self.replica {
                Answer::client_error(&call, "ResourceNotFoundException", "not found")
            } else {
                let other = if region == HERE { THERE } else { HERE };
                let mut table =
                    json!({"TableArn": format!("arn:aws:dynamodb:{region}:1:table/t"), "TableStatus": "ACTIVE"});
                if self.replica {
                    table["Replicas"] = json!([{"RegionName": other, "ReplicaStatus": "ACTIVE"}]);
                }
                let member = if operation == "DescribeTable" { "Table" } else { "TableDescription" };
                ok(&json!({member: table}).to_string())
            };
            self.pace.after(&call, &mut answer, at);
            text(&answer)
        }

        fn described(&mut self, seconds: f64, region: &str) -> String {
            self.ask(seconds, region, "DescribeTable", TABLE)
        }
    }

    #[test]
    fn a_table_is_created_and_deleted_over_time() {
        let mut bench = Bench::new();
        assert!(bench.described(9.0, HERE).contains("CREATING"));
        assert!(bench.ask(9.0, HERE, "UpdateTable", CREATE).contains("ResourceInUseException"));
        assert!(bench.ask(9.0, HERE, "PutItem", TABLE).contains("ResourceNotFoundException"));
        assert!(bench.described(11.0, HERE).contains("ACTIVE"));
        bench.ask(20.0, HERE, "DeleteTable", TABLE);
        // The emulator has forgotten the table.
        let at = Moment { now: bench.start + Duration::from_secs(30), scale: 1.0 };
        let call = call("dynamodb", "DynamoDB_20120810.DescribeTable", TABLE);
        let mut answer = Answer::client_error(&call, "ResourceNotFoundException", "not found");
        bench.pace.after(&call, &mut answer, at);
        assert!(answer.is_success());
        assert!(bench.ask(30.0, HERE, "CreateTable", TABLE).contains("ResourceInUseException"));
        assert!(bench.ask(36.0, HERE, "CreateTable", TABLE).contains("CREATING"));
    }

    #[test]
    fn a_replica_is_listed_late_and_answers_later() {
        let mut bench = Bench::new();
        assert!(!bench.ask(20.0, HERE, "UpdateTable", CREATE).contains(THERE));
        let early = bench.described(25.0, HERE);
        assert!(early.contains("UPDATING") && early.contains(r#""Replicas":[]"#), "{early}");
        assert!(bench.described(27.0, HERE).contains(r#""ReplicaStatus":"CREATING""#));
        assert!(bench.described(27.0, THERE).contains(r#""TableStatus":"CREATING""#));
        let arn = r#"{"ResourceArn":"arn:aws:dynamodb:us-east-2:1:table/t"}"#;
        assert!(bench.ask(27.0, THERE, "ListTagsOfResource", arn).contains("ResourceNotFoundException"));
        assert!(bench.ask(27.0, HERE, "UpdateTable", TABLE).contains("ResourceInUseException"));
        assert!(!bench.ask(49.0, THERE, "ListTagsOfResource", arn).contains("ResourceNotFoundException"));
        assert!(!bench.described(49.0, HERE).contains("ING\""));
    }

    #[test]
    fn a_deleted_replica_is_still_known_in_its_region() {
        let mut bench = Bench::new();
        bench.ask(20.0, HERE, "UpdateTable", CREATE);
        bench.ask(100.0, HERE, "UpdateTable", DELETE);
        assert!(bench.described(300.0, HERE).contains(r#""ReplicaStatus":"DELETING""#));
        assert!(bench.ask(300.0, HERE, "DeleteTable", TABLE).contains("ResourceInUseException"));
        assert!(!bench.described(311.0, HERE).contains(THERE));
        let there = bench.described(311.0, THERE);
        assert!(there.contains("DELETING") && there.contains("dynamodb:us-east-2"), "{there}");
        assert!(bench.ask(311.0, HERE, "DeleteTable", TABLE).contains("has acted as a source region"));
        assert!(bench.ask(311.0, HERE, "UpdateTable", CREATE).contains("already existed as tables"));
        assert!(bench.described(331.0, THERE).contains("ResourceNotFoundException"));
        assert!(!bench.ask(331.0, HERE, "DeleteTable", TABLE).contains("Exception"));
    }

    #[test]
    fn calls_about_items_are_not_slowed() {
        let pace = DynamoDb::default();
        assert_eq!(pace.seconds("PutItem"), Some(ITEMS));
        assert_eq!(pace.seconds("TransactWriteItems"), Some(ITEMS));
        assert_eq!(pace.seconds("UpdateTable"), Some(0.5));
        assert_eq!(pace.seconds("PutResourcePolicy"), None);
    }
}
