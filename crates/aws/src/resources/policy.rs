//! Policy documents: written in a readable form, and compared by their meaning.
//!
//! AWS returns a document in another form than it was written: a list of one as a string, an account's id as the ARN of its root
//! user. So the desired and the live document are both kept in one canonical form.
//! See docs/aws-behaviour.md#policies-come-back-rewritten.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{Class, Failure, Ref};

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement(Map<String, Value>);

impl Statement {
    /// Allows actions.
    #[must_use]
    pub fn allow<A: Into<String>>(actions: impl IntoIterator<Item = A>) -> Self {
        Self(Map::new()).with("Effect", "Allow".into()).with("Action", strings(actions))
    }

    /// Denies actions.
    #[must_use]
    pub fn deny<A: Into<String>>(actions: impl IntoIterator<Item = A>) -> Self {
        Self(Map::new()).with("Effect", "Deny".into()).with("Action", strings(actions))
    }

    /// With an id, which says what the statement is for.
    #[must_use]
    pub fn sid(self, sid: &str) -> Self {
        self.with("Sid", sid.into())
    }

    /// On resources whose ARNs are known in advance.
    #[must_use]
    pub fn on<R: Into<String>>(self, resources: impl IntoIterator<Item = R>) -> Self {
        self.with("Resource", strings(resources))
    }

    /// On another resource of the graph. Only one: lists are compared in sorted order, and the place of a reference in it is not
    /// known until it is resolved.
    #[must_use]
    pub fn on_output<T: ?Sized>(self, resource: &Ref<T>) -> Self {
        self.with("Resource", json!(resource))
    }

    /// By principals of a kind: `Service`, `AWS`, `Federated`.
    #[must_use]
    pub fn by<P: Into<String>>(self, kind: &str, principals: impl IntoIterator<Item = P>) -> Self {
        self.with("Principal", json!({ kind: strings(principals) }))
    }

    /// Under one more condition, e.g. `StringEquals`, `aws:SourceAccount`, the account.
    #[must_use]
    pub fn when<V: Into<String>>(mut self, operator: &str, key: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.0.entry("Condition").or_insert_with(|| json!({}))[operator][key] = strings(values);
        self
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

/// A policy of statements, in its canonical form.
#[must_use]
pub fn document(statements: impl IntoIterator<Item = Statement>) -> Value {
    let statements: Vec<Value> = statements.into_iter().map(|statement| Value::Object(statement.0)).collect();
    canonical(json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// A policy as AWS returns it, in its canonical form.
///
/// IAM percent-encodes it as in a URL (RFC 3986), no other service does; see
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html>.
///
/// # Errors
/// [`Class::Internal`] if it is not JSON.
pub fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&percent_decode_str(text).decode_utf8_lossy()))
        .map(canonical)
        .map_err(|e| Failure::new(Class::Internal, format!("AWS returned a policy that is not JSON: {e}")))
}

/// The common form of all policies with the same meaning. The order of statements, the case of actions, and wildcards that cover
/// each other are left as they are: AWS does not change them.
#[must_use]
pub fn canonical(policy: Value) -> Value {
    let mut policy = each(policy, |name, value| match name {
        "Statement" => list(value).into_iter().map(statement).collect(),
        _ => value,
    });
    policy.sort_all_objects();
    policy
}

fn statement(value: Value) -> Value {
    each(value, |name, value| match name {
        "Action" | "NotAction" | "Resource" | "NotResource" => set(list(value)),
        "Principal" | "NotPrincipal" => principal(value),
        // operator → key → values
        "Condition" => each(value, |_, keys| each(keys, |_, values| set(list(values).into_iter().map(text).collect()))),
        _ => value,
    })
}

fn principal(value: Value) -> Value {
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html: both mean everyone,
    // and an account's id means the ARN of its root user.
    let value = if value == "*" { json!({ "AWS": "*" }) } else { value };
    each(value, |kind, who| match kind {
        "AWS" => set(list(who).into_iter().map(account_as_root).collect()),
        _ => set(list(who)),
    })
}

fn account_as_root(value: Value) -> Value {
    match value.as_str() {
        Some(id) if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) => {
            format!("arn:aws:iam::{id}:root").into()
        }
        _ => value,
    }
}

/// `false` and `"false"` mean the same in a condition.
fn text(value: Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => value.to_string().into(),
        other => other,
    }
}

fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Value {
    items.into_iter().map(|item| Value::String(item.into())).collect()
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        one => vec![one],
    }
}

/// One item stands for itself, several are sorted.
fn set(mut items: Vec<Value>) -> Value {
    items.sort_by_cached_key(Value::to_string);
    items.dedup();
    if items.len() == 1 { items.swap_remove(0) } else { Value::Array(items) }
}

fn each(value: Value, change: impl Fn(&str, Value) -> Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| {
                let value = change(&name, value);
                (name, value)
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drctl_engine::state::{Address, Role};

    #[test]
    fn what_aws_rewrites_means_the_same() {
        let given = json!({
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": { "AWS": ["123456789012"], "Service": ["b.amazonaws.com", "a.amazonaws.com"] },
                "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObject"],
                "Resource": ["*"],
                "Condition": { "Bool": { "aws:SecureTransport": false } },
            },
        });
        let returned = json!({
            "Statement": [{
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Condition": { "Bool": { "aws:SecureTransport": ["false"] } },
                "Effect": "Allow",
                "Principal": {
                    "Service": ["a.amazonaws.com", "b.amazonaws.com"],
                    "AWS": "arn:aws:iam::123456789012:root",
                },
                "Resource": "*",
            }],
            "Version": "2012-10-17",
        });
        assert_eq!(canonical(given.clone()).to_string(), canonical(returned).to_string());
        assert_eq!(canonical(canonical(given.clone())), canonical(given));
    }

    #[test]
    fn policies_with_another_meaning_stay_different() {
        let of = |effect: &str, action: &str| {
            canonical(json!({ "Statement": [{ "Effect": effect, "Action": action, "Principal": "*" }] }))
        };
        assert_ne!(of("Allow", "s3:GetObject"), of("Deny", "s3:GetObject"));
        assert_ne!(of("Allow", "s3:GetObject"), of("Allow", "s3:*"));
    }

    #[test]
    fn documents_can_be_encoded_or_plain() {
        let plain = r#"{"Statement":[{"Resource":"arn:aws:s3:::b%2Bc/*+x y"}]}"#;
        let encoded =
            "%7B%22Statement%22%3A%5B%7B%22Resource%22%3A%22arn%3Aaws%3As3%3A%3A%3Ab%252Bc%2F%2A%2Bx%20y%22%7D%5D%7D";
        assert_eq!(parse(plain), parse(encoded));
        assert_eq!(parse(plain).expect("JSON")["Statement"][0]["Resource"], "arn:aws:s3:::b%2Bc/*+x y");
        assert_eq!(parse("").expect_err("nothing").class, Class::Internal);
    }

    #[test]
    fn references_are_left_as_they_are() {
        let key: Ref<()> = Ref::output(Address::new(Role::Primary, "kms_key", "main"), "arn");
        let policy = document([Statement::allow(["kms:Decrypt"])
            .on_output(&key)
            .by("AWS", ["123456789012"])
            .when("StringEquals", "aws:SourceAccount", ["123456789012"])
            .when("StringEquals", "aws:SourceArn", ["b", "a"])]);
        let statement = &policy["Statement"][0];
        assert_eq!(statement["Resource"], json!(key));
        assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::123456789012:root");
        let expected = json!({ "aws:SourceAccount": "123456789012", "aws:SourceArn": ["a", "b"] });
        assert_eq!(statement["Condition"]["StringEquals"], expected);
    }
}
