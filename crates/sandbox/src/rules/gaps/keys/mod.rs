//! What follows from a key that is disabled or pending deletion. MiniStack's KMS accepts every change of such a key,
//! and its other services do not check keys at all. Each rule is an entry of the same name in docs/aws-behaviour.md.
//!
//! | rule | what AWS does | MiniStack | file |
//! |---|---|---|---|
//! | `kms-pending-deletion` | a key that is pending deletion takes no change except the cancellation, after which it is disabled | `services/kms.py`: `_enable_key`, `_create_alias`, and others do not check the state | here |
//! | `key-not-accessible` | nothing is created in RDS under a key that cannot be used, and what is under it stops after a while | `services/rds.py` does not read keys | `databases` |
//! | `environment-with-its-key` | a function's environment stays encrypted with the key with which it was set | `services/lambda_svc.py` does not read keys | `environments` |

mod databases;
mod environments;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// All of them. `scale`: how many times faster than AWS time passes; `None` if nothing takes time.
pub(super) fn rules(scale: Option<f64>) -> Vec<Box<dyn Rule>> {
    let keys = Arc::new(Keys::default());
    vec![
        Box::new(Arc::clone(&keys)),
        Box::new(databases::Databases::new(Arc::clone(&keys), scale)),
        Box::new(environments::Environments::new(keys)),
    ]
}

/// The operations that a key refuses while it is pending deletion. MiniStack itself refuses to use such a key.
/// See docs/aws-behaviour.md#kms-pending-deletion.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>
const NOT_WHILE_PENDING: [&str; 11] = [
    "CreateAlias",
    "CreateGrant",
    "DisableKey",
    "DisableKeyRotation",
    "EnableKey",
    "EnableKeyRotation",
    "ScheduleKeyDeletion",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateKeyDescription",
];

/// The operations that a disabled key refuses, by the same page.
const NOT_WHILE_DISABLED: [&str; 2] = ["DisableKeyRotation", "EnableKeyRotation"];

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unusable {
    Disabled,
    PendingDeletion,
}

/// A key by its account, its Region, and its id.
type Name = (String, String, String);

/// The keys that cannot be used, each with the moment from which on; also the rule `kms-pending-deletion`.
#[derive(Default)]
struct Keys {
    unusable: Mutex<HashMap<Name, (Unusable, Instant)>>,
}

impl Keys {
    /// Why a key, given by its ARN or by its id in the caller's Region, cannot be used; `None` if it can.
    fn why_unusable(&self, call: &Call, key: &str) -> Option<Unusable> {
        lock(&self.unusable).get(&name(call, key)).map(|(why, _)| *why)
    }

    /// Whether a key has been unusable for at least this time.
    fn is_unusable_for(&self, call: &Call, key: &str, lasting: Duration) -> bool {
        lock(&self.unusable).get(&name(call, key)).is_some_and(|(_, since)| since.elapsed() >= lasting)
    }

    fn is_empty(&self) -> bool {
        lock(&self.unusable).is_empty()
    }

    fn check(&self, call: &Call, key: &str) -> Result<(), Answer> {
        let operation = call.operation.as_str();
        let (_, region, id) = name(call, key);
        let arn = format!("arn:aws:kms:{region}:{}:key/{id}", call.account);
        let refuse = |code: &str, why: &str| Err(Answer::client_error(call, code, &format!("{arn} is {why}.")));
        match self.why_unusable(call, key) {
            Some(Unusable::PendingDeletion) if NOT_WHILE_PENDING.contains(&operation) => {
                refuse("KMSInvalidStateException", "pending deletion")
            }
            Some(Unusable::Disabled) if NOT_WHILE_DISABLED.contains(&operation) => {
                refuse("DisabledException", "disabled")
            }
            Some(Unusable::PendingDeletion) => Ok(()),
            _ if operation == "CancelKeyDeletion" => refuse("KMSInvalidStateException", "not pending deletion"),
            _ => Ok(()),
        }
    }

    fn learn(&self, call: &Call, key: &str) {
        let mut unusable = lock(&self.unusable);
        let name = name(call, key);
        let since = unusable.get(&name).map_or_else(Instant::now, |(_, since)| *since);
        match call.operation.as_str() {
            "ScheduleKeyDeletion" => drop(unusable.insert(name, (Unusable::PendingDeletion, since))),
            // A key whose deletion was cancelled has to be enabled.
            "DisableKey" | "CancelKeyDeletion" => drop(unusable.insert(name, (Unusable::Disabled, since))),
            "EnableKey" => drop(unusable.remove(&name)),
            _ => {}
        }
    }
}

fn name(call: &Call, key: &str) -> Name {
    let (region, id) = match key.split_once(":key/") {
        Some((arn, id)) => (arn.split(':').nth(3).unwrap_or_default(), id),
        None => (call.region.as_str(), key),
    };
    (call.account.clone(), region.to_owned(), id.to_owned())
}

impl Rule for Arc<Keys> {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "kms" || call.reads() {
                return next.run(call).await;
            }
            let body = call.json();
            let key = ["KeyId", "TargetKeyId"].into_iter().find_map(|member| body.get(member).and_then(Value::as_str));
            let Some(key) = key else { return next.run(call).await };
            if let Err(refusal) = self.check(call, key) {
                return refusal;
            }
            let answer = next.run(call).await;
            if answer.is_success() {
                self.learn(call, key);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.unusable).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::json;

    const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/k";

    /// The answer to a KMS call: `{}` if it is carried out.
    pub(super) async fn kms(rules: &[Box<dyn Rule>], operation: &str, key: &str) -> String {
        let mut call = json("kms", &format!("TrentService.{operation}"), &format!(r#"{{"KeyId":"{key}"}}"#));
        text(&Next::new(rules, &Scripted::xml("{}")).run(&mut call).await)
    }

    #[tokio::test]
    async fn a_key_pending_deletion_takes_no_change() {
        let rules = rules(None);
        assert_eq!(kms(&rules, "ScheduleKeyDeletion", "k").await, "{}");
        for operation in NOT_WHILE_PENDING {
            let refused = kms(&rules, operation, ARN).await;
            assert!(
                refused.contains("KMSInvalidStateException") && refused.contains("key/k is pending deletion."),
                "{refused}"
            );
        }
        for operation in ["DescribeKey", "PutKeyPolicy", "DeleteAlias"] {
            assert_eq!(kms(&rules, operation, "k").await, "{}", "{operation}");
        }
        assert_eq!(kms(&rules, "EnableKey", "another").await, "{}");
        let target = r#"{"AliasName":"alias/a","TargetKeyId":"k"}"#;
        let mut call = json("kms", "TrentService.CreateAlias", target);
        let refused = text(&Next::new(&rules, &Scripted::xml("{}")).run(&mut call).await);
        assert!(refused.contains("KMSInvalidStateException"), "{refused}");
    }

    #[tokio::test]
    async fn a_key_whose_deletion_is_cancelled_is_disabled_until_it_is_enabled() {
        let rules = rules(None);
        let refused = kms(&rules, "CancelKeyDeletion", "k").await;
        assert!(refused.contains("is not pending deletion."), "{refused}");
        kms(&rules, "ScheduleKeyDeletion", "k").await;
        assert_eq!(kms(&rules, "CancelKeyDeletion", ARN).await, "{}");
        for operation in NOT_WHILE_DISABLED {
            let refused = kms(&rules, operation, "k").await;
            assert!(refused.contains("DisabledException") && refused.contains("key/k is disabled."), "{refused}");
        }
        assert_eq!(kms(&rules, "EnableKey", "k").await, "{}");
        assert_eq!(kms(&rules, "EnableKeyRotation", "k").await, "{}");
    }

    #[tokio::test]
    async fn a_reset_forgets_unusable_keys() {
        let rules = rules(None);
        kms(&rules, "ScheduleKeyDeletion", "k").await;
        for rule in &rules {
            rule.reset();
        }
        assert_eq!(kms(&rules, "EnableKey", "k").await, "{}");
    }
}
