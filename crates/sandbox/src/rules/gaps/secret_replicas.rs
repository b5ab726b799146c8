//! Replicas of secrets: MiniStack does not create them with the secret, cannot remove one, and deletes a secret that
//! has some. Of a name that is scheduled for deletion, it only says that it exists.
//! See docs/aws-behaviour.md#secret-has-replicas and docs/aws-behaviour.md#secret-scheduled-for-deletion.

use std::collections::HashSet;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::rules::rule::{Next, Rule};
use crate::rules::text_of;
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// A replica: account and name of the secret, and the Region of the replica.
type Replica = (String, String, String);

/// The removed replicas. MiniStack still has them, so they are hidden. For the same reason, no other secret can have
/// their name in their Region.
#[derive(Default)]
pub(super) struct SecretReplicas {
    removed: Mutex<HashSet<Replica>>,
}

impl Rule for SecretReplicas {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "secretsmanager" {
                return next.run(call).await;
            }
            if self.names_removed_replica(call) {
                return Answer::client_error(
                    call,
                    "ResourceNotFoundException",
                    "Secrets Manager can't find the specified secret.",
                );
            }
            match call.operation.as_str() {
                "CreateSecret" => self.create(call, next).await,
                "RemoveRegionsFromReplication" => self.remove(call, next).await,
                "DeleteSecret" => match self.described(call, next).await {
                    Some(secret) if !regions(&secret).is_empty() => still_replicated(call, &secret),
                    _ => next.run(call).await,
                },
                _ => {
                    let mut answer = next.run(call).await;
                    self.edit_answer(call, &mut answer);
                    answer
                }
            }
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.removed).clear();
    }
}

impl SecretReplicas {
    /// Whether a call names a replica that was removed.
    fn names_removed_replica(&self, call: &Call) -> bool {
        let Some(id) = text_of(&call.json(), "SecretId") else { return false };
        lock(&self.removed)
            .iter()
            .any(|(account, name, region)| *account == call.account && *region == call.region && identifies(&id, name))
    }

    async fn create(&self, call: &mut Call, next: Next<'_>) -> Answer {
        let body = call.json();
        let mut answer = next.run(call).await;
        let name = &body["Name"];
        if !answer.is_success() {
            let mut question = call.ask_json("DescribeSecret", &json!({"SecretId": name}));
            let held = read(&mut next.run(&mut question).await);
            if held.is_some_and(|held| !held["DeletedDate"].is_null()) {
                return Answer::client_error(
                    call,
                    "InvalidRequestException",
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                );
            }
            return answer;
        }
        if body["AddReplicaRegions"].as_array().is_some_and(|regions| !regions.is_empty()) {
            let request = json!({
                "SecretId": name,
                "AddReplicaRegions": body["AddReplicaRegions"],
                "ForceOverwriteReplicaSecret": body["ForceOverwriteReplicaSecret"] == true,
            });
            let mut question = call.ask_json("ReplicateSecretToRegions", &request);
            let mut replicated = next.run(&mut question).await;
            self.edit_answer(&question, &mut replicated);
            // If a replica cannot be created, the secret is created all the same.
            if let Some(replicated) = read(&mut replicated) {
                answer.edit_json(|answer| {
                    answer["ReplicationStatus"] = replicated["ReplicationStatus"].clone();
                    true
                });
            }
        }
        answer
    }

    async fn remove(&self, call: &Call, next: Next<'_>) -> Answer {
        let id = call.json()["SecretId"].clone();
        let mut question = call.ask_json("DescribeSecret", &json!({"SecretId": id}));
        let mut answer = next.run(&mut question).await;
        let Some(secret) = read(&mut answer) else { return answer };
        if let Some(name) = text_of(&secret, "Name") {
            for region in call.json()["RemoveReplicaRegions"].as_array().into_iter().flatten().filter_map(Value::as_str)
            {
                lock(&self.removed).insert((call.account.clone(), name.clone(), region.to_owned()));
            }
        }
        self.edit_answer(&question, &mut answer);
        let left = read(&mut answer).map(|secret| secret["ReplicationStatus"].clone());
        let left = left.filter(|left| !left.is_null()).unwrap_or_else(|| json!([]));
        Answer::aws_json(&json!({"ARN": secret["ARN"], "ReplicationStatus": left}))
    }

    async fn described(&self, call: &Call, next: Next<'_>) -> Option<Value> {
        let id = call.json()["SecretId"].clone();
        let mut question = call.ask_json("DescribeSecret", &json!({"SecretId": id}));
        let mut answer = next.run(&mut question).await;
        self.edit_answer(&question, &mut answer);
        read(&mut answer)
    }

    /// Shows replicas again when they are created again, and hides those that were removed.
    fn edit_answer(&self, call: &Call, answer: &mut Answer) {
        if !answer.is_success() {
            return;
        }
        let mut removed = lock(&self.removed);
        if call.operation == "ReplicateSecretToRegions" {
            let body = call.json();
            let id = text_of(&body, "SecretId").unwrap_or_default();
            let created: Vec<_> =
                body["AddReplicaRegions"].as_array().into_iter().flatten().map(|replica| &replica["Region"]).collect();
            removed.retain(|(account, name, region)| {
                *account != call.account || !identifies(&id, name) || !created.iter().any(|created| *created == region)
            });
        }
        if matches!(call.operation.as_str(), "DescribeSecret" | "ReplicateSecretToRegions") && !removed.is_empty() {
            answer.edit_json(|secret| {
                let arn = text_of(secret, "ARN").unwrap_or_default();
                let Some(listed) = secret.get_mut("ReplicationStatus").and_then(Value::as_array_mut) else {
                    return false;
                };
                listed.retain(|status| {
                    !removed.iter().any(|(account, name, region)| {
                        *account == call.account && identifies(&arn, name) && status["Region"] == *region
                    })
                });
                true
            });
        }
    }
}

fn still_replicated(call: &Call, secret: &Value) -> Answer {
    let (arn, regions) = (text_of(secret, "ARN").unwrap_or_default(), regions(secret).join(", "));
    let message = format!("You can't delete secret {arn} that still has replica regions [{regions}].");
    Answer::client_error(call, "InvalidParameterException", &message)
}

fn regions(secret: &Value) -> Vec<String> {
    secret["ReplicationStatus"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|status| text_of(status, "Region"))
        .collect()
}

/// Whether an id identifies the secret of this name. An id is a name, or an ARN with six random characters after the
/// name.
fn identifies(id: &str, name: &str) -> bool {
    match id.split_once(":secret:") {
        Some((_, of)) => of == name || of.rsplit_once('-').is_some_and(|(of, _)| of == name),
        None => id == name,
    }
}

/// The document of a successful answer.
fn read(answer: &mut Answer) -> Option<Value> {
    let mut found = None;
    answer.edit_json(|value| {
        found = Some(value.clone());
        false
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json as call;

    const NAMED: &str = r#"{"SecretId":"pay/db"}"#;
    const CREATE: &str = r#"{"Name":"pay/db","AddReplicaRegions":[{"Region":"us-east-2","KmsKeyId":"k2"}]}"#;
    const REPLICATE: &str = r#"{"SecretId":"pay/db","AddReplicaRegions":[{"Region":"us-east-2"}]}"#;
    const REMOVE: &str = r#"{"SecretId":"pay/db","RemoveReplicaRegions":["us-east-2"]}"#;
    const SECRET: &str = r#"{"ARN":"arn:aws:secretsmanager:us-east-1:111122223333:secret:pay/db-a1b2c3","Name":"pay/db",
                             "ReplicationStatus":[{"Region":"us-east-2","Status":"InSync"}]}"#;

    async fn ask(rule: &SecretReplicas, origin: &Scripted, region: &str, operation: &str, request: &str) -> String {
        let mut call = call("secretsmanager", &format!("secretsmanager.{operation}"), request);
        region.clone_into(&mut call.region);
        text(&rule.apply(&mut call, Next::new(&[], origin)).await)
    }

    #[tokio::test]
    async fn a_secret_is_created_with_its_replicas() {
        let (rule, origin) = (SecretReplicas::default(), Scripted::new(|_| ok(SECRET)));
        let made = ask(&rule, &origin, "us-east-1", "CreateSecret", CREATE).await;
        assert!(made.contains("InSync"), "{made}");
        let asked = origin.asked();
        assert_eq!(asked.len(), 2);
        assert!(asked[1].contains(r#""SecretId":"pay/db""#) && asked[1].contains(r#""KmsKeyId":"k2""#), "{asked:?}");
    }

    #[tokio::test]
    async fn a_replica_is_removed_and_created_again() {
        let (rule, origin) = (SecretReplicas::default(), Scripted::new(|_| ok(SECRET)));
        let refused = ask(&rule, &origin, "us-east-1", "DeleteSecret", NAMED).await;
        assert!(refused.contains("still has replica regions [us-east-2]"), "{refused}");
        let removed = ask(&rule, &origin, "us-east-1", "RemoveRegionsFromReplication", REMOVE).await;
        assert!(removed.contains(r#""ReplicationStatus":[]"#), "{removed}");
        assert!(!ask(&rule, &origin, "us-east-1", "DescribeSecret", NAMED).await.contains("InSync"));
        let there = r#"{"SecretId":"arn:aws:secretsmanager:us-east-2:111122223333:secret:pay/db-a1b2c3"}"#;
        for id in [NAMED, there] {
            let gone = ask(&rule, &origin, "us-east-2", "GetSecretValue", id).await;
            assert!(gone.contains("ResourceNotFoundException"), "{gone}");
        }
        assert!(ask(&rule, &origin, "us-east-1", "DeleteSecret", NAMED).await.contains("ARN"));
        assert!(ask(&rule, &origin, "us-east-1", "ReplicateSecretToRegions", REPLICATE).await.contains("InSync"));
        assert!(ask(&rule, &origin, "us-east-2", "DescribeSecret", there).await.contains("ARN"));
    }

    #[tokio::test]
    async fn a_name_that_is_scheduled_for_deletion_is_refused_with_the_reason() {
        let origin = Scripted::new(|call| match call.operation.as_str() {
            "CreateSecret" => Answer::client_error(call, "ResourceExistsException", "it exists"),
            _ => ok(r#"{"DeletedDate":1}"#),
        });
        let refused = ask(&SecretReplicas::default(), &origin, "us-east-1", "CreateSecret", CREATE).await;
        assert!(refused.contains("InvalidRequestException") && refused.contains("scheduled for deletion"), "{refused}");
    }

    #[test]
    fn ids_are_names_or_arns() {
        let arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:pay/db";
        assert!(
            identifies("pay/db", "pay/db")
                && identifies(arn, "pay/db")
                && identifies(&format!("{arn}-a1b2c3"), "pay/db")
        );
        assert!(!identifies(&format!("{arn}-two-a1b2c3"), "pay/db") && !identifies("pay/db2", "pay/db"));
    }
}
