//! The password of a master user that RDS itself keeps in Secrets Manager (`ManageMasterUserPassword`).

use http::{HeaderValue, Method};
use serde_json::{Value, json};

use crate::rules::rule::Next;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// The ARN of the secret in which RDS keeps the password of a cluster's master user, if it does.
pub(super) fn secret_of(cluster: &Element) -> Option<String> {
    let secret = cluster.child("MasterUserSecret")?.text_of("SecretArn")?;
    (!secret.is_empty()).then(|| secret.to_owned())
}

/// The password in that secret, which the emulator has just written.
pub(super) async fn password(call: &Call, next: Next<'_>, secret: &str) -> Option<String> {
    let body = json!({"SecretId": secret}).to_string();
    let mut question = Call::signed_by(
        &call.account,
        &call.region,
        "secretsmanager",
        (Method::POST, "/"),
        "application/x-amz-json-1.1",
        body.into(),
    )?;
    question.headers.insert("x-amz-target", HeaderValue::from_static("secretsmanager.GetSecretValue"));
    "GetSecretValue".clone_into(&mut question.operation);
    let answer = next.run(&mut question).await;
    let read = |bytes: &[u8]| {
        let answer: Value = serde_json::from_slice(bytes).ok()?;
        let secret: Value = serde_json::from_str(answer.get("SecretString")?.as_str()?).ok()?;
        secret.get("password")?.as_str().map(str::to_owned)
    };
    let password = read(answer.body());
    if password.is_none() {
        tracing::warn!(secret, "the secret of a cluster's master user has no password");
    }
    password
}
