//! The key of a log group: MiniStack accepts one on creation, and cannot change it.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::rules::rule::{Next, Rule};
use crate::rules::{Scope, text_of};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// The log groups whose key was changed after their creation, with the new key, or none.
#[derive(Default)]
pub(super) struct LogKeys {
    keys: Mutex<HashMap<Scope, HashMap<String, Option<String>>>>,
}

impl Rule for LogKeys {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "logs" {
                return next.run(call).await;
            }
            match call.operation.as_str() {
                "AssociateKmsKey" | "DisassociateKmsKey" => self.change(call, next).await,
                "CreateLogGroup" | "DeleteLogGroup" => {
                    let answer = next.run(call).await;
                    if answer.is_success() {
                        self.forget(call);
                    }
                    answer
                }
                "DescribeLogGroups" => {
                    let mut answer = next.run(call).await;
                    self.described(call, &mut answer);
                    answer
                }
                _ => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.keys).clear();
    }
}

impl LogKeys {
    async fn change(&self, call: &Call, next: Next<'_>) -> Answer {
        let body = call.json();
        let Some(group) = group_of(&body) else {
            return Answer::client_error(
                call,
                "InvalidParameterException",
                "logGroupName or resourceIdentifier is required",
            );
        };
        let mut question = call.ask_json("DescribeLogGroups", &json!({"logGroupNamePrefix": group}));
        let mut answer = next.run(&mut question).await;
        if !answer.is_success() {
            return answer;
        }
        let mut exists = false;
        answer.edit_json(|value| {
            exists = groups_mut(value).iter().any(|found| found["logGroupName"] == group);
            false
        });
        if !exists {
            return Answer::client_error(call, "ResourceNotFoundException", "The specified log group does not exist.");
        }
        let key = (call.operation == "AssociateKmsKey").then(|| text_of(&body, "kmsKeyId")).flatten();
        lock(&self.keys).entry(Scope::of(call)).or_default().insert(group, key);
        Answer::aws_json(&json!({}))
    }

    fn forget(&self, call: &Call) {
        if let (Some(group), Some(keys)) = (group_of(&call.json()), lock(&self.keys).get_mut(&Scope::of(call))) {
            keys.remove(&group);
        }
    }

    fn described(&self, call: &Call, answer: &mut Answer) {
        let keys = lock(&self.keys);
        let Some(keys) = keys.get(&Scope::of(call)).filter(|keys| !keys.is_empty()) else { return };
        answer.edit_json(|value| {
            for found in groups_mut(value) {
                let changed = text_of(found, "logGroupName").and_then(|name| keys.get(&name));
                match (changed, found.as_object_mut()) {
                    (Some(Some(key)), Some(fields)) => {
                        fields.insert("kmsKeyId".to_owned(), json!(key));
                    }
                    (Some(None), Some(fields)) => {
                        fields.remove("kmsKeyId");
                    }
                    _ => {}
                }
            }
            true
        });
    }
}

fn groups_mut(value: &mut Value) -> &mut [Value] {
    value.get_mut("logGroups").and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// The log group of a call, by its name or its ARN.
fn group_of(body: &Value) -> Option<String> {
    text_of(body, "logGroupName").or_else(|| {
        let arn = text_of(body, "resourceIdentifier")?;
        let (_, group) = arn.split_once(":log-group:")?;
        Some(group.trim_end_matches(":*").to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json as call;

    #[tokio::test]
    async fn keys_are_changed_and_removed() {
        let rule = LogKeys::default();
        let origin = Scripted::new(|call| {
            ok(if call.operation == "DescribeLogGroups" {
                r#"{"logGroups":[{"logGroupName":"/a","kmsKeyId":"old"},{"logGroupName":"/b"}]}"#
            } else {
                "{}"
            })
        });
        let ask = async |operation: &str, request: &str| {
            let mut call = call("logs", &format!("Logs_20140328.{operation}"), request);
            text(&rule.apply(&mut call, Next::new(&[], &origin)).await)
        };
        assert!(ask("DescribeLogGroups", "{}").await.contains("old"));
        assert_eq!(ask("AssociateKmsKey", r#"{"logGroupName":"/a","kmsKeyId":"new"}"#).await, "{}");
        assert!(ask("DescribeLogGroups", "{}").await.contains(r#""kmsKeyId":"new""#));
        let arn = r#"{"resourceIdentifier":"arn:aws:logs:us-east-1:111122223333:log-group:/a:*"}"#;
        assert_eq!(ask("DisassociateKmsKey", arn).await, "{}");
        assert!(!ask("DescribeLogGroups", "{}").await.contains("kmsKeyId"));
        ask("DeleteLogGroup", r#"{"logGroupName":"/a"}"#).await;
        assert!(ask("DescribeLogGroups", "{}").await.contains("old"));
        let missing = ask("AssociateKmsKey", r#"{"logGroupName":"/c","kmsKeyId":"new"}"#).await;
        assert!(missing.contains("ResourceNotFoundException"), "{missing}");
    }
}
