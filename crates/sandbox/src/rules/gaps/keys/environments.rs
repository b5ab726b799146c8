//! `environment-with-its-key`: a new key for a function does not encrypt its environment again.
//! <https://github.com/hashicorp/terraform-provider-aws/issues/26692>.
//! See docs/aws-behaviour.md#environment-with-its-key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Keys, Unusable};
use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Shows an environment as unreadable if the key with which it was set cannot be used.
pub(super) struct Environments {
    keys: Arc<Keys>,
    /// The key with which the environment of each function was last set.
    keys_by_function: Mutex<HashMap<(Scope, String), String>>,
}

impl Environments {
    pub(super) fn new(keys: Arc<Keys>) -> Self {
        Self { keys, keys_by_function: Mutex::default() }
    }

    fn learn(&self, call: &Call, configuration: &Value) {
        let sets_environment = call.operation == "CreateFunction" || call.json().get("Environment").is_some();
        let (Some(name), true) = (configuration["FunctionName"].as_str(), sets_environment) else { return };
        let key = configuration["KMSKeyArn"].as_str().unwrap_or_default().to_owned();
        lock(&self.keys_by_function).insert((Scope::of(call), name.to_owned()), key);
    }

    fn show(&self, call: &Call, configuration: &mut Value) -> bool {
        let Some(name) = configuration["FunctionName"].as_str() else { return false };
        let key = lock(&self.keys_by_function).get(&(Scope::of(call), name.to_owned())).cloned().unwrap_or_default();
        // As the exceptions of the same names in Lambda's model say.
        let (code, why) = match self.keys.why_unusable(call, &key) {
            None => return false,
            Some(Unusable::Disabled) => ("KMSDisabledException", "the KMS key used is disabled"),
            Some(Unusable::PendingDeletion) => {
                ("KMSInvalidStateException", "the KMS key used is in an invalid state for Decrypt")
            }
        };
        let message = format!(
            "Lambda was unable to decrypt the environment variables because {why}. Check the function's KMS key settings."
        );
        configuration["Environment"] = json!({"Error": {"ErrorCode": code, "Message": message}});
        true
    }
}

impl Rule for Environments {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "lambda" {
                return next.run(call).await;
            }
            let mut answer = next.run(call).await;
            edit_answer(self, call, &mut answer);
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.keys_by_function).clear();
    }
}

fn edit_answer(rule: &Environments, call: &Call, answer: &mut Answer) {
    match call.operation.as_str() {
        "CreateFunction" | "UpdateFunctionConfiguration" => answer.edit_json(|configuration| {
            rule.learn(call, configuration);
            rule.show(call, configuration)
        }),
        "GetFunctionConfiguration" | "UpdateFunctionCode" => {
            answer.edit_json(|configuration| rule.show(call, configuration));
        }
        "GetFunction" => answer.edit_json(|found| rule.show(call, &mut found["Configuration"])),
        "ListFunctions" => answer.edit_json(|found| {
            let mut shown = false;
            for configuration in found["Functions"].as_array_mut().into_iter().flatten() {
                shown |= rule.show(call, configuration);
            }
            shown
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules;
    use super::super::tests::kms;
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::rest;

    const OLD: &str = "arn:aws:kms:us-east-1:111122223333:key/old";
    const NEW: &str = "arn:aws:kms:us-east-1:111122223333:key/new";

    /// A function with the key in the call, otherwise with the new key.
    async fn ask(rules: &[Box<dyn Rule>], method: &str, path: &str, body: &Value) -> String {
        let key = body["KMSKeyArn"].as_str().unwrap_or(NEW).to_owned();
        let origin = Scripted::new(move |call| {
            let configuration =
                json!({"FunctionName": "f", "KMSKeyArn": key, "Environment": {"Variables": {"A": "b"}}});
            ok(&match call.operation.as_str() {
                "GetFunction" => json!({"Configuration": configuration}),
                "ListFunctions" => json!({"Functions": [configuration]}),
                _ => configuration,
            }
            .to_string())
        });
        let mut call = rest("lambda", method, path, &body.to_string());
        text(&Next::new(rules, &origin).run(&mut call).await)
    }

    #[tokio::test]
    async fn an_environment_is_unreadable_without_the_key_with_which_it_was_set() {
        let rules = rules(None);
        let (functions, configuration) = ("/2015-03-31/functions", "/2015-03-31/functions/f/configuration");
        let variables = json!({"Variables": {"A": "b"}});
        ask(&rules, "POST", functions, &json!({"KMSKeyArn": OLD, "Environment": variables})).await;
        kms(&rules, "DisableKey", "old").await;
        // The new key alone does not help.
        let updated = ask(&rules, "PUT", configuration, &json!({"KMSKeyArn": NEW})).await;
        assert!(updated.contains("KMSDisabledException"), "{updated}");
        for path in [configuration, "/2015-03-31/functions/f", functions] {
            let shown = ask(&rules, "GET", path, &Value::Null).await;
            assert!(shown.contains("KMSDisabledException") && !shown.contains("Variables"), "{path}: {shown}");
        }
        kms(&rules, "ScheduleKeyDeletion", "old").await;
        let shown = ask(&rules, "GET", configuration, &Value::Null).await;
        assert!(shown.contains("KMSInvalidStateException"), "{shown}");
        ask(&rules, "PUT", configuration, &json!({"KMSKeyArn": NEW, "Environment": variables})).await;
        let shown = ask(&rules, "GET", configuration, &Value::Null).await;
        assert!(shown.contains("Variables"), "{shown}");
    }

    #[tokio::test]
    async fn an_environment_under_a_usable_key_is_not_changed() {
        let rules = rules(None);
        kms(&rules, "DisableKey", "another").await;
        let shown = ask(&rules, "GET", "/2015-03-31/functions/f/configuration", &Value::Null).await;
        assert!(shown.contains("Variables"), "{shown}");
    }
}
