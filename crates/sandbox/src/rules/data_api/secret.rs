//! The secret with which a caller logs in.

use serde_json::{Value as Json, json};

use crate::rules::rule::Next;
use crate::rules::text_of;
use crate::wire::call::Call;
use crate::world::regions::{Condition, Place, Regions};

use super::refusal::Refusal;

/// A user and its password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// Reads a secret as `call`'s caller, in the Region of the call.
pub(super) async fn read(call: &Call, next: Next<'_>, regions: &Regions, secret: &str) -> Result<Credentials, Refusal> {
    let place = Place { region: &call.region, service: "secretsmanager" };
    if matches!(regions.condition(&call.account, place), Condition::Out(_)) {
        return Err(Refusal::secrets_error("RDS Data API timed out retrieving the secret"));
    }
    let mut question =
        call.ask_json_of("secretsmanager", "secretsmanager.GetSecretValue", &json!({"SecretId": secret}));
    let answer = next.run(&mut question).await;
    let body: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
    if answer.is_success() {
        return credentials(&body)
            .ok_or_else(|| Refusal::invalid_secret("The Secrets Manager secret used with the request isn't valid."));
    }
    let message = text_of(&body, "message").or_else(|| text_of(&body, "Message")).unwrap_or_default();
    let code = answer.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let code = code.or_else(|| text_of(&body, "__type")).unwrap_or_default();
    Err(if code.contains("AccessDenied") { Refusal::access_denied(message) } else { Refusal::secrets_error(message) })
}

/// What a secret's value says, if it says it as the secrets of databases do.
fn credentials(value: &Json) -> Option<Credentials> {
    let secret: Json = serde_json::from_str(value["SecretString"].as_str()?).ok()?;
    Some(Credentials { user: text_of(&secret, "username")?, password: text_of(&secret, "password")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok};
    use crate::wire::answer::Answer;
    use crate::wire::call::tests::rest;

    async fn ask(origin: Scripted, regions: &Regions) -> (String, Vec<String>) {
        let call = rest("rds-data", "POST", "/Execute", "{}");
        let read = read(&call, Next::new(&[], &origin), regions, "arn:secret").await;
        let text = match read {
            Ok(Credentials { user, password }) => format!("{user} {password}"),
            Err(refusal) => format!("{refusal:?}"),
        };
        (text, origin.asked())
    }

    #[tokio::test]
    async fn it_is_asked_for_as_the_caller_asks() {
        let origin = Scripted::new(|call| {
            assert!(call.is("secretsmanager", "GetSecretValue"), "{}", call.operation);
            assert_eq!(
                (call.account.as_str(), call.region.as_str(), call.uri.path()),
                ("111122223333", "us-east-1", "/")
            );
            ok(&json!({"SecretString": r#"{"username":"u","password":"p","dbname":"d"}"#}).to_string())
        });
        let (read, asked) = ask(origin, &Regions::default()).await;
        assert_eq!(read, "u p");
        assert_eq!(asked, [r#"{"SecretId":"arn:secret"}"#]);
    }

    #[tokio::test]
    async fn what_is_wrong_with_it_is_said() {
        for (value, expected) in [
            (json!({"SecretString": r#"{"password":"p"}"#}), "InvalidSecretException"),
            (json!({"SecretString": "p"}), "InvalidSecretException"),
            (json!({"SecretBinary": "cA=="}), "InvalidSecretException"),
        ] {
            let (read, _) = ask(Scripted::xml(&value.to_string()), &Regions::default()).await;
            assert!(read.contains(expected), "{read}");
        }
        for (code, expected) in [
            ("ResourceNotFoundException", "SecretsErrorException"),
            ("DecryptionFailure", "SecretsErrorException"),
            ("AccessDeniedException", "AccessDeniedException"),
        ] {
            let origin = Scripted::new(move |call| Answer::client_error(call, code, "why"));
            let (read, _) = ask(origin, &Regions::default()).await;
            assert!(read.contains(expected) && read.contains("\"why\""), "{read}");
        }
    }

    #[tokio::test]
    async fn it_cannot_be_read_while_its_service_is_out() {
        let regions = Regions::default();
        let orders = serde_json::from_value(json!({"us-east-1": {"is": "out", "for": ["secretsmanager"]}}));
        regions.order(None, &orders.expect("orders")).expect("orders that make sense");
        let (read, asked) = ask(Scripted::xml(""), &regions).await;
        assert!(read.contains("SecretsErrorException") && asked.is_empty(), "{read}");
    }
}
