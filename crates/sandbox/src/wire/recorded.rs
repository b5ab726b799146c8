//! A request as it was sent, for the tests that judge calls: without secrets, and without parts that no test reads.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::Call;

/// Parameters that hold a secret, in any service, and one that holds a whole package.
const HIDDEN: [&str; 5] = ["MasterUserPassword", "SecretString", "SecretBinary", "Password", "ZipFile"];

/// Replaces values that are not kept.
const MASK: &str = "***";

/// Longer bodies are not kept: they do not belong to a call of the control plane.
const BODY_LIMIT: usize = 256 * 1024;

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The headers that describe the request; names in lower case. Never the signature.
    pub headers: BTreeMap<String, String>,
    /// The body, with secrets masked.
    pub body: String,
    /// `text`, or `base64` for a body that is not text.
    pub encoding: String,
}

impl RecordedRequest {
    /// The parts of a call that are kept, before any rule has changed it.
    pub(crate) fn of(call: &Call) -> Self {
        let is_kept = |name: &str| {
            (name.starts_with("x-amz-") && name != "x-amz-security-token")
                || matches!(name, "content-type" | "smithy-protocol" | "content-md5")
        };
        let headers = call
            .headers
            .iter()
            .filter(|(name, _)| is_kept(name.as_str()))
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let (body, encoding) = body(call);
        Self {
            method: call.method.to_string(),
            uri: call.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers,
            body,
            encoding: encoding.to_owned(),
        }
    }
}

fn body(call: &Call) -> (String, &'static str) {
    let is_object = call.service == "s3" && call.operation == "PutObject";
    if is_object || call.body().len() > BODY_LIMIT && !call.body().starts_with(b"{") {
        return (MASK.to_owned(), "text");
    }
    if let Ok(mut value @ Value::Object(_)) = serde_json::from_slice(call.body()) {
        mask(&mut value);
        return (value.to_string(), "text");
    }
    match std::str::from_utf8(call.body()) {
        Ok(text) if !call.form().pairs().is_empty() => (mask_form(text), "text"),
        Ok(text) => (text.to_owned(), "text"),
        Err(_) => (BASE64_STANDARD.encode(call.body()), "base64"),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if HIDDEN.contains(&name.as_str()) {
                    *value = MASK.into();
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

fn mask_form(text: &str) -> String {
    let pairs: Vec<String> = text
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if HIDDEN.contains(&percent_decode_str(name).decode_utf8_lossy().as_ref()) => {
                format!("{name}={MASK}")
            }
            _ => pair.to_owned(),
        })
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::{ec2, json};
    use super::*;

    #[test]
    fn a_request_is_kept_without_its_secrets() {
        let sent = "Action=CreateDBCluster&MasterUserPassword=hunter2&DBClusterIdentifier=c";
        let kept = RecordedRequest::of(&ec2("1", "r", sent));
        assert_eq!(kept.body, "Action=CreateDBCluster&MasterUserPassword=***&DBClusterIdentifier=c");
        assert!(!kept.headers.contains_key("authorization"));
        let call = json("secretsmanager", "secretsmanager.CreateSecret", r#"{"Name":"n","SecretString":"hunter2"}"#);
        let kept = RecordedRequest::of(&call);
        assert_eq!(kept.body, r#"{"Name":"n","SecretString":"***"}"#);
        assert_eq!(kept.headers["x-amz-target"], "secretsmanager.CreateSecret");
    }
}
