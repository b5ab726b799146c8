//! `lambda_function`: a function in a VPC.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_lambda::config;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{
    Concurrency, Environment, EnvironmentError, EnvironmentResponse, FunctionCode, FunctionConfiguration,
    LastUpdateStatus, LogFormat, LoggingConfig, Runtime, TracingConfig, TracingConfigResponse, TracingMode, VpcConfig,
};
use aws_smithy_types::timeout::TimeoutConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{last_update, package, phase};
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::ec2::{SecurityGroup, Subnet};
use crate::resources::iam::Role;
use crate::resources::kms::Key;
use crate::resources::permissions::{ANY, FUNCTION, Grant, key, later, on, pass};
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, changed, live, read_named, unidentified,
};

/// The time limit of a call that carries code: enough for the largest package over a line of 2 Mbit/s.
const UPLOAD: Duration = Duration::from_mins(5);

/// The properties that are set with one call, after which the function updates for a while.
const CONFIGURATION: [&str; 13] = [
    "last_update",
    "description",
    "role",
    "runtime",
    "handler",
    "memory_mb",
    "timeout_seconds",
    "environment",
    "kms_key",
    "subnets",
    "security_groups",
    "tracing",
    "log_group",
];

/// A function in a VPC, whose code is a zip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name. Immutable: forces replacement.
    pub name: String,
    /// What it is for. In-place.
    pub description: String,
    /// Its execution role. It has to outlive the function's network interfaces, or these stay
    /// (docs/aws-behaviour.md#execution-role-outlives-interfaces). In-place.
    pub role: Ref<Arn<Role>>,
    /// The identifier of a runtime, e.g. `python3.13`. In-place.
    pub runtime: String,
    /// The code that the runtime calls, e.g. `file.function`. In-place.
    pub handler: String,
    /// Memory in MB. In-place.
    pub memory_mb: i32,
    /// Seconds after which a call is stopped. In-place.
    pub timeout_seconds: i32,
    /// Where the code comes from: see [`package::zip`]. It cannot be read back; its hash is compared. In-place.
    pub package: String,
    /// The SHA-256 hash of the code's zip, in base64. In-place.
    pub code_sha256: String,
    /// Environment variables: texts, or references to them. They hold no secrets. In-place.
    pub environment: BTreeMap<String, Value>,
    /// The key that the environment is encrypted with. In-place.
    pub kms_key: Ref<Arn<Key>>,
    /// The subnets of its network interfaces. In-place.
    pub subnets: Vec<Ref<Id<Subnet>>>,
    /// The security groups of its network interfaces. In-place.
    pub security_groups: Vec<Ref<Id<SecurityGroup>>>,
    /// Whether X-Ray traces every call that asks for it, and some of the others. In-place.
    pub tracing: bool,
    /// Concurrent executions that are reserved for it; with `None` it shares the account's. In-place.
    pub reserved_concurrency: Option<i32>,
    /// The log group that it writes to. In-place.
    pub log_group: String,
    /// The result of its last update, in Lambda's words: `Successful`, or why it failed. An update that failed leaves the
    /// previous version serving, and is sent again. In-place.
    pub last_update: String,
    /// Resources that have to exist first: its log group, which Lambda would otherwise create without a key and a retention
    /// (docs/aws-behaviour.md#log-groups-come-back).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for Function {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a function cannot be renamed")],
        // Its network interfaces keep AWS from deleting them.
        holds: &["subnets", "security_groups"],
        // AWS refuses a second function with the same name.
        idempotent_create: true,
        // A role, a key's grant or an interface may not be visible yet. See docs/aws-behaviour.md#role-not-assumable-yet.
        patience: Duration::from_mins(5),
        ..TypeInfo::usual("lambda_function")
    };
    const SERVICE: &'static str = "lambda";
    const LATENCIES: &'static [Latencies] = &[
        // "Lambda fn (VPC, new SG+subnet combo)"; "Lambda config update (SG swap)", then "API".
        Latencies::of(
            1,
            Latency::of_steps([10.0, 45.0, 180.0], &[step("CreateFunction", 1, 2.0, 43.0)]),
            Latency::of_steps(
                [6.0, 32.0, 130.0],
                &[step("UpdateFunctionConfiguration", 1, 1.0, 29.0), step("DeleteFunction", 1, 2.0, 0.0)],
            ),
        ),
    ];
    const UPDATE_SECONDS: f64 = 30.0;
    // Lambda uses the network and the key as the caller: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html,
    // https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
    const PERMISSIONS: &'static [Grant] = &[
        on(FUNCTION, "lambda", "CreateFunction GetFunction ListTags PutFunctionConcurrency TagResource"),
        later(
            FUNCTION,
            "lambda",
            "DeleteFunction DeleteFunctionConcurrency UpdateFunctionCode UpdateFunctionConfiguration",
        ),
        on(ANY, "ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
        pass(&[("iam:PassedToService", "lambda.amazonaws.com")]),
        key(
            &[("kms:ViaService", "lambda.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
            "CreateGrant Decrypt Encrypt",
        ),
    ];
    const TAGGING: Tagging = Tagging::Lambda;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Empty: `ListFunctions` returns the functions of the whole account, without tags. Each function is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let lambda = &cx.clients().lambda;
        let functions =
            cx.pages("lambda", "ListFunctions", || lambda.list_functions().into_paginator().items().send()).await?;
        read_named::<Self>(cx, functions.into_iter().filter_map(|function| function.function_name).collect()).await
    }

    /// One call for configuration, tags and concurrency.
    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let lambda = &cx.clients().lambda;
        let answer = cx.read("lambda", "GetFunction", || lambda.get_function().function_name(id).send()).await?;
        let found = answer.configuration.as_ref().ok_or_else(|| unidentified(Self::INFO.kind))?;
        let tags = if answer.tags_error().is_none() {
            answer.tags.clone()
        } else {
            // Their own call shows whether reading them is refused, or they were only missing from this answer.
            // See docs/aws-behaviour.md#function-tags-may-be-missing.
            let arn = found.function_arn().unwrap_or(id);
            cx.read("lambda", "ListTags", || lambda.list_tags().resource(arn).send()).await?.tags
        };
        let tags = tags.unwrap_or_default();
        Ok(Some(from_described(cx, id, found, answer.concurrency(), tags.into_iter().collect())))
    }

    /// Everything except the reserved concurrency, which has a call of its own.
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let code = FunctionCode::builder().zip_file(self.code().await?).build();
        let call = cx
            .clients()
            .lambda
            .create_function()
            .function_name(&self.name)
            .description(&self.description)
            .role(self.role.value())
            .runtime(Runtime::from(self.runtime.as_str()))
            .handler(&self.handler)
            .memory_size(self.memory_mb)
            .timeout(self.timeout_seconds)
            .code(code)
            .publish(false)
            .environment(self.variables())
            .kms_key_arn(self.kms_key.value())
            .vpc_config(self.network())
            .tracing_config(self.tracing_config())
            .logging_config(self.logging_config())
            .set_tags(Some(creation.tags.into_iter().collect()))
            .customize()
            .config_override(unhurried())
            .send();
        cx.mutate("lambda", "CreateFunction", call).await?;
        Ok(self.name.clone())
    }

    /// Lambda refuses a second update at the same time (docs/aws-behaviour.md#function-update-in-progress). The configuration
    /// comes first: new code may need new variables.
    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if let Phase::Pending(state) = &live.phase {
            return Ok(Synced::in_progress(state.clone()));
        }
        let lambda = &cx.clients().lambda;
        let id = &live.id;
        if changed(changes, "reserved_concurrency") {
            if let Some(count) = self.reserved_concurrency {
                let call =
                    lambda.put_function_concurrency().function_name(id).reserved_concurrent_executions(count).send();
                cx.mutate("lambda", "PutFunctionConcurrency", call).await?;
            } else {
                let call = lambda.delete_function_concurrency().function_name(id).send();
                cx.mutate("lambda", "DeleteFunctionConcurrency", call).await?;
            }
        }
        if CONFIGURATION.iter().any(|property| changed(changes, property)) {
            self.configure(cx, id, changes).await?;
            return Ok(Synced::visible_after("its configuration to be updated"));
        }
        if changed(changes, "code_sha256") {
            let call = lambda
                .update_function_code()
                .function_name(id)
                .zip_file(self.code().await?)
                .publish(false)
                .customize()
                .config_override(unhurried())
                .send();
            cx.mutate("lambda", "UpdateFunctionCode", call).await?;
            return Ok(Synced::visible_after("its code to be updated"));
        }
        Ok(Synced::default())
    }

    /// It is taken out of its VPC first, so that Lambda releases its network interfaces while the function still exists
    /// (docs/aws-behaviour.md#lambda-interfaces-linger).
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        if let Phase::Pending(state) = &live.phase {
            return Ok(Deletion::NotYet(format!("it to leave state {state}")));
        }
        if live.phase == Phase::Ready && is_in_vpc(live) && leaves_vpc(cx, &live.id).await? {
            return Ok(Deletion::NotYet("its network interfaces to be released".to_owned()));
        }
        let call = cx.clients().lambda.delete_function().function_name(&live.id).send();
        cx.mutate("lambda", "DeleteFunction", call).await?;
        Ok(Deletion::Requested)
    }
}

impl Function {
    /// The code, which is zipped again because the plan keeps only its hash.
    async fn code(&self) -> Result<Blob, Failure> {
        let source = self.package.clone();
        let zipped = tokio::task::spawn_blocking(move || package::zip(&source))
            .await
            .map_err(|e| Failure::new(Class::Internal, format!("the code could not be zipped: {e}")))?
            .map_err(|e| {
                Failure::new(Class::Refused, e.to_string()).help("See `package` in [lambda] of drctl.toml.")
            })?;
        if zipped.sha256 == self.code_sha256 {
            return Ok(Blob::new(zipped.bytes));
        }
        Err(Failure::new(Class::Refused, format!("the code in {} has changed since the plan was made", self.package))
            .help("Run the same command again: it plans with the code as it is now."))
    }

    async fn configure(&self, cx: &Context, id: &str, changes: &[Change]) -> Result<(), Failure> {
        // Lambda does not say what an update that failed would have changed, so everything is sent again.
        let all = changed(changes, "last_update");
        let is = |property: &str| all || changed(changes, property);
        let call = cx
            .clients()
            .lambda
            .update_function_configuration()
            .function_name(id)
            .set_description(is("description").then(|| self.description.clone()))
            .set_role(is("role").then(|| self.role.value().to_owned()))
            .set_runtime(is("runtime").then(|| Runtime::from(self.runtime.as_str())))
            .set_handler(is("handler").then(|| self.handler.clone()))
            .set_memory_size(is("memory_mb").then_some(self.memory_mb))
            .set_timeout(is("timeout_seconds").then_some(self.timeout_seconds))
            .set_environment(resends_environment(changes).then(|| self.variables()))
            .set_kms_key_arn(is("kms_key").then(|| self.kms_key.value().to_owned()))
            .set_vpc_config((is("subnets") || is("security_groups")).then(|| self.network()))
            .set_tracing_config(is("tracing").then(|| self.tracing_config()))
            .set_logging_config(is("log_group").then(|| self.logging_config()))
            .send();
        cx.mutate("lambda", "UpdateFunctionConfiguration", call).await.map(drop)
    }

    fn variables(&self) -> Environment {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let variables: HashMap<_, _> =
            self.environment.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Environment::builder().set_variables(Some(variables)).build()
    }

    fn network(&self) -> VpcConfig {
        vpc_config(
            self.subnets.iter().map(|subnet| subnet.value().to_owned()).collect(),
            self.security_groups.iter().map(|group| group.value().to_owned()).collect(),
        )
    }

    fn tracing_config(&self) -> TracingConfig {
        let mode = if self.tracing { TracingMode::Active } else { TracingMode::PassThrough };
        TracingConfig::builder().mode(mode).build()
    }

    fn logging_config(&self) -> LoggingConfig {
        LoggingConfig::builder().log_format(LogFormat::Text).log_group(&self.log_group).build()
    }
}

/// Whether an update sends the environment. It does with a new key, too: otherwise the environment stays encrypted with the old
/// one. <https://github.com/hashicorp/terraform-provider-aws/issues/26692>. See docs/aws-behaviour.md#environment-with-its-key.
fn resends_environment(changes: &[Change]) -> bool {
    ["environment", "kms_key", "last_update"].iter().any(|property| changed(changes, property))
}

fn unhurried() -> config::Builder {
    config::Builder::new().timeout_config(TimeoutConfig::builder().operation_attempt_timeout(UPLOAD).build())
}

/// Empty lists take a function out of its VPC. Without lists, it would stay there.
fn vpc_config(subnets: Vec<String>, groups: Vec<String>) -> VpcConfig {
    VpcConfig::builder().set_subnet_ids(Some(subnets)).set_security_group_ids(Some(groups)).build()
}

fn is_in_vpc(live: &Live) -> bool {
    live.properties.get("subnets").and_then(Value::as_array).is_some_and(|subnets| !subnets.is_empty())
}

/// Takes a function out of its VPC. Returns `false` if that has no effect: on an endpoint that does not support it or ignores it,
/// and if Lambda refuses the rest of the configuration, e.g. because its role no longer exists, which must not keep the function
/// from being deleted.
async fn leaves_vpc(cx: &Context, id: &str) -> Result<bool, Failure> {
    let call = cx
        .clients()
        .lambda
        .update_function_configuration()
        .function_name(id)
        .vpc_config(vpc_config(Vec::new(), Vec::new()))
        .send();
    match cx.mutate("lambda", "UpdateFunctionConfiguration", call).await {
        Ok(answer) => {
            let stays = answer.vpc_config().is_some_and(|vpc| !vpc.subnet_ids().is_empty());
            Ok(!stays || answer.last_update_status() == Some(&LastUpdateStatus::InProgress))
        }
        Err(failure) if failure.class == Class::Unsupported || is_about_the_rest(&failure) => Ok(false),
        Err(failure) => Err(failure),
    }
}

fn is_about_the_rest(failure: &Failure) -> bool {
    failure.class != Class::Throttled && failure.code.as_deref() == Some("InvalidParameterValueException")
}

fn from_described(
    cx: &Context,
    id: &str,
    found: &FunctionConfiguration,
    concurrency: Option<&Concurrency>,
    tags: TagMap,
) -> Live {
    let network = found.vpc_config();
    let environment = found.environment();
    let variables = environment.and_then(EnvironmentResponse::variables).into_iter().flatten();
    // A logging configuration without a group stands for Lambda's default group.
    let log_group = found
        .logging_config()
        .map(|logging| logging.log_group().map_or_else(|| format!("/aws/lambda/{id}"), str::to_owned));
    let tracing = found.tracing_config().and_then(TracingConfigResponse::mode);
    let mut reading = Reading::default();
    let properties = Function {
        name: id.to_owned(),
        // AWS leaves out a description, variables, a key, and a VPC that a function does not have.
        description: found.description().unwrap_or_default().to_owned(),
        role: Ref::known(reading.text("role", found.role())),
        runtime: reading.text("runtime", found.runtime().map(Runtime::as_str)),
        handler: reading.text("handler", found.handler()),
        memory_mb: reading.value("memory_mb", found.memory_size()),
        timeout_seconds: reading.value("timeout_seconds", found.timeout()),
        package: reading.text("package", None),
        code_sha256: reading.text("code_sha256", found.code_sha256()),
        environment: variables.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect(),
        kms_key: Ref::known(found.kms_key_arn().unwrap_or_default()),
        subnets: network
            .map(|vpc| vpc.subnet_ids().iter().map(|id| Ref::known(id.as_str())).collect())
            .unwrap_or_default(),
        security_groups: network
            .map(|vpc| vpc.security_group_ids().iter().map(|id| Ref::known(id.as_str())).collect())
            .unwrap_or_default(),
        tracing: reading.value("tracing", tracing.map(|mode| *mode == TracingMode::Active)),
        reserved_concurrency: concurrency.and_then(Concurrency::reserved_concurrent_executions),
        log_group: reading.value("log_group", log_group),
        last_update: last_update(found),
        after: Vec::new(),
    };
    let mut live = live(&cx.scope, id, phase(found), &reading.of(properties), Some(tags));
    // Variables that are encrypted with an unusable key do not reach the function either. They differ until they are sent again,
    // which encrypts them with the current key.
    if let Some(error) = environment.and_then(EnvironmentResponse::error) {
        live.properties.insert("environment".to_owned(), unusable(error).into());
    }
    live.with_arn(found.function_arn().unwrap_or_default())
}

/// Why Lambda does not return the environment, in place of its variables. Only the code: Lambda's model marks the text as
/// sensitive.
fn unusable(error: &EnvironmentError) -> String {
    format!("cannot be decrypted ({})", error.error_code().unwrap_or("no reason given"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_sent_with_the_environment_that_it_encrypts() {
        let change = |property: &str| Change {
            property: property.to_owned(),
            old: Value::Null,
            new: Value::Null,
            forces_replacement: None,
        };
        for (changes, sent) in [
            (vec![change("kms_key")], true),
            (vec![change("environment")], true),
            (vec![change("last_update")], true),
            (vec![change("timeout_seconds"), change("log_group")], false),
        ] {
            assert_eq!(resends_environment(&changes), sent, "{changes:?}");
        }
    }

    #[test]
    fn an_environment_that_cannot_be_decrypted_differs_from_every_other() {
        let error = EnvironmentError::builder()
            .error_code("KMSAccessDeniedException")
            .message("Lambda was unable to decrypt your environment variables.")
            .build();
        let read = unusable(&error);
        assert_eq!(read, "cannot be decrypted (KMSAccessDeniedException)");
        assert_ne!(Value::from(read), Value::Object(serde_json::Map::new()));
    }
}
