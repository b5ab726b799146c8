//! `lambda_permission`: lets an HTTP API call a function, by a statement in the function's resource policy.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Function;
use crate::resources::apigatewayv2::Api;
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Readable, Ref, Resource, Synced, Tagging,
    TypeInfo, live, policy,
};

/// Lets an HTTP API call a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The function in whose policy the statement is. Immutable: forces replacement.
    pub function: Ref<Id<Function>>,
    /// The statement's id, unique in the policy. Immutable: forces replacement.
    pub statement_id: String,
    /// What is allowed: `lambda:InvokeFunction`. In-place.
    pub action: String,
    /// The service that is allowed to: `apigateway.amazonaws.com`. In-place.
    pub principal: String,
    /// The API on whose behalf it may, in any stage and by any route. In-place.
    pub api: Ref<Id<Api>>,
}

impl Resource for Permission {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("function", "a statement cannot be moved to another function"),
            ("statement_id", "the id of a statement cannot be changed"),
        ],
        // AWS refuses a second statement with the same id.
        idempotent_create: true,
        ..TypeInfo::usual("lambda_permission")
    };
    const SERVICE: &'static str = "lambda";
    const LATENCIES: &'static [Latencies] = &[
        // Estimated, as its type expects.
        Latencies::of(
            1,
            Latency::of_call("AddPermission", [1.0, 1.0, 3.0]),
            Latency::of_call("RemovePermission", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:lambda:{region}:{account}:function:{lambda_function}"], "lambda", "AddPermission GetPolicy"),
        later(&["arn:aws:lambda:{region}:{account}:function:{lambda_function}"], "lambda", "RemovePermission"),
    ];
    const TAGGING: Tagging = Tagging::None;

    /// `function/statement`, with which it can be read.
    fn natural_id(&self) -> Option<String> {
        Some(self.id())
    }

    /// Empty: a function's policy is read by the function's name, with which the permission's id begins.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let Some((function, statement_id)) = id.split_once('/') else { return Ok(None) };
        let lambda = &cx.clients().lambda;
        let answer = cx.read("lambda", "GetPolicy", || lambda.get_policy().function_name(function).send()).await?;
        let document = answer.policy().map_or(Ok(Value::Null), policy::parse)?;
        let Some(statement) = statement_of(&document, statement_id) else { return Ok(None) };
        // What a policy does not hold is not in force: a statement without a condition lets every API call the function.
        let properties = Permission {
            function: Ref::known(function),
            statement_id: statement_id.to_owned(),
            action: text(&statement["Action"]),
            principal: text(statement["Principal"].get("Service").unwrap_or(&statement["Principal"])),
            api: Ref::known(api_of(&statement["Condition"], &api_prefix(cx))),
        };
        Ok(Some(live::<Self>(&cx.scope, id, Phase::Ready, &Readable::complete(properties), None)))
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        self.allow(cx).await?;
        Ok(self.id())
    }

    /// A statement cannot be changed, so it is removed and added again.
    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        match revoke(cx, &live.id).await {
            Err(failure) if failure.class == Class::NotFound => {}
            answer => answer?,
        }
        self.allow(cx).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        revoke(cx, &live.id).await?;
        Ok(Deletion::Requested)
    }
}

impl Permission {
    fn id(&self) -> String {
        format!("{}/{}", self.function.value(), self.statement_id)
    }

    async fn allow(&self, cx: &Context) -> Result<(), Failure> {
        let call = cx
            .clients()
            .lambda
            .add_permission()
            .function_name(self.function.value())
            .statement_id(&self.statement_id)
            .action(&self.action)
            .principal(&self.principal)
            .source_arn(format!("{}{}{ANY_ROUTE}", api_prefix(cx), self.api.value()))
            .send();
        cx.mutate("lambda", "AddPermission", call).await.map(drop)
    }
}

async fn revoke(cx: &Context, id: &str) -> Result<(), Failure> {
    let (function, statement_id) = id.split_once('/').unwrap_or((id, ""));
    let call = cx.clients().lambda.remove_permission().function_name(function).statement_id(statement_id).send();
    cx.mutate("lambda", "RemovePermission", call).await.map(drop)
}

/// Any stage and any route.
const ANY_ROUTE: &str = "/*/*";

/// The beginning of the ARNs of the account's APIs in the Region.
fn api_prefix(cx: &Context) -> String {
    format!("arn:aws:execute-api:{}:{}:", cx.region, cx.scope.account)
}

fn statement_of<'a>(document: &'a Value, id: &str) -> Option<&'a Value> {
    document["Statement"].as_array()?.iter().find(|statement| statement["Sid"] == id)
}

/// The API in a condition of the form that [`Permission`] writes; any other condition is returned as it is, so that it differs.
fn api_of(condition: &Value, prefix: &str) -> String {
    let source = only_of(condition)
        .filter(|(operator, _)| *operator == "ArnLike")
        .and_then(|(_, keys)| only_of(keys))
        .filter(|(key, _)| key.eq_ignore_ascii_case("aws:SourceArn"))
        .and_then(|(_, arn)| arn.as_str()?.strip_prefix(prefix)?.strip_suffix(ANY_ROUTE));
    source.map_or_else(|| text(condition), str::to_owned)
}

/// The entry of a map that has only one.
fn only_of(map: &Value) -> Option<(&String, &Value)> {
    map.as_object().filter(|map| map.len() == 1)?.iter().next()
}

/// A text as it is, null as an empty text, and anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PREFIX: &str = "arn:aws:execute-api:us-east-1:111122223333:";

    #[test]
    fn the_api_is_read_from_the_condition() {
        let document = r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"api","Effect":"Allow",
            "Principal":{"Service":"apigateway.amazonaws.com"},"Action":"lambda:InvokeFunction",
            "Resource":"arn:aws:lambda:us-east-1:111122223333:function:f",
            "Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:execute-api:us-east-1:111122223333:abc/*/*"}}}]}"#;
        let document = policy::parse(document).expect("a policy");
        let statement = statement_of(&document, "api").expect("it is there");
        assert_eq!(api_of(&statement["Condition"], PREFIX), "abc");
        assert_eq!(text(&statement["Principal"]["Service"]), "apigateway.amazonaws.com");
        assert!(statement_of(&document, "other").is_none());
        assert!(statement_of(&Value::Null, "api").is_none());
    }

    #[test]
    fn any_other_condition_reads_as_it_is() {
        assert_eq!(api_of(&Value::Null, PREFIX), "");
        let narrower = json!({"ArnLike": {"AWS:SourceArn": format!("{PREFIX}abc/*/GET/health")}});
        assert_eq!(api_of(&narrower, PREFIX), narrower.to_string());
        let elsewhere = json!({"ArnLike": {"AWS:SourceArn": "arn:aws:execute-api:us-east-2:111122223333:abc/*/*"}});
        assert_eq!(api_of(&elsewhere, PREFIX), elsewhere.to_string());
        let more = json!({"ArnLike": {"AWS:SourceArn": format!("{PREFIX}abc/*/*")}, "StringEquals": {"a": "b"}});
        assert_eq!(api_of(&more, PREFIX), more.to_string());
    }
}
