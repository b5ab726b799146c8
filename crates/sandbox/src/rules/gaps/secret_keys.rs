//! The key of a secret in a listing, which `DescribeSecret` shows in MiniStack, and `ListSecrets` does not.
//! See docs/aws-behaviour.md#secret-keys-are-listed.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::rules::rule::{Next, Rule};
use crate::rules::text_of;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Adds the keys to listings of secrets.
pub(super) struct SecretKeys;

impl Rule for SecretKeys {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            if !call.is("secretsmanager", "ListSecrets") || !answer.is_success() {
                return answer;
            }
            let listed = document(&mut answer)["SecretList"].as_array().cloned().unwrap_or_default();
            let mut secrets = Vec::new();
            for mut secret in listed {
                let mut question = call.ask_json("DescribeSecret", &json!({"SecretId": secret["ARN"]}));
                let mut described = next.run(&mut question).await;
                // A replica that another rule has removed is still listed.
                if !described.is_success() {
                    continue;
                }
                if let Some(key) = text_of(&document(&mut described), "KmsKeyId") {
                    secret["KmsKeyId"] = json!(key);
                }
                secrets.push(secret);
            }
            answer.edit_json(|value| {
                value["SecretList"] = Value::Array(secrets.clone());
                true
            });
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn document(answer: &mut Answer) -> Value {
    let mut found = Value::Null;
    answer.edit_json(|value| {
        found = value.clone();
        false
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json as call;

    #[tokio::test]
    async fn a_listing_shows_keys_and_no_secret_that_is_gone() {
        let origin = Scripted::new(|call| match call.operation.as_str() {
            "ListSecrets" => {
                ok(r#"{"SecretList":[{"ARN":"a","Name":"a"},{"ARN":"b","Name":"b"},{"ARN":"c","Name":"c"}]}"#)
            }
            _ => match call.json()["SecretId"].as_str() {
                Some("a") => ok(r#"{"Name":"a","KmsKeyId":"alias/pay-prod"}"#),
                Some("b") => ok(r#"{"Name":"b"}"#),
                _ => Answer::client_error(call, "ResourceNotFoundException", "it is gone"),
            },
        });
        let mut call = call("secretsmanager", "secretsmanager.ListSecrets", "{}");
        let listed = text(&SecretKeys.apply(&mut call, Next::new(&[], &origin)).await);
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        assert_eq!(
            listed["SecretList"],
            json!([{"ARN":"a","Name":"a","KmsKeyId":"alias/pay-prod"},{"ARN":"b","Name":"b"}])
        );
    }
}
