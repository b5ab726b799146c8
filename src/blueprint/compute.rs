//! The payment function in both Regions, its permissions, and the HTTP APIs through which clients reach it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::base::{RegionBase, key_for_logs, lambda_log_group};
use super::data::{self, Data};
use super::network::RegionNetwork;
use super::{BlueprintError, GLOBAL, RegionSite, named, whole};
use drctl_aws::facts::Facts;
use drctl_aws::resources::apigatewayv2::{Access, Api, Authorizer, Integration, Route, Stage};
use drctl_aws::resources::iam::Role as IamRole;
use drctl_aws::resources::lambda::{self, Function, Permission};
use drctl_aws::resources::policy::{self, Statement};
use drctl_aws::resources::{Handle, Stack};
use drctl_config::{Auth, Config, Ledger};
use drctl_engine::GraphError;
use drctl_engine::state::Role;

/// The routes of the API: the name in the address, the route, and who may call it.
const ROUTES: [(&str, &str, Audience); 5] = [
    ("health", "GET /health", Audience::Everybody),
    ("health-deep", "GET /health/deep", Audience::Operators),
    ("failover", "GET /dr/failover", Audience::Everybody),
    ("pay", "POST /payments", Audience::Clients),
    ("payment", "GET /payments/{id}", Audience::Clients),
];

/// Who may call a route.
#[derive(Clone, Copy)]
enum Audience {
    /// Anybody, because Route 53's health checkers cannot sign requests.
    /// See docs/aws-behaviour.md#http-api-is-public.
    Everybody,
    /// Callers that make payments, as `[api] auth` says.
    Clients,
    /// Operators of the stack, who have AWS credentials even if clients do not.
    Operators,
}

/// The longest time that an HTTP API waits for an answer, which is also its default.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const LONGEST: i32 = 30_000;

/// One line of JSON per request: who asked for what, what the answer was, and what failed. No field can contain a quotation
/// mark, because API Gateway does not escape any. Error messages are in the function's own log.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html>
/// See docs/aws-behaviour.md#access-log-escapes-nothing.
const ACCESS_LOG: &str = concat!(
    r#"{"requestId":"$context.requestId","time":"$context.requestTime","ip":"$context.identity.sourceIp","#,
    r#""caller":"$context.identity.userArn","route":"$context.routeKey","status":"$context.status","#,
    r#""latency":"$context.responseLatency","integrationLatency":"$context.integrationLatency","#,
    r#""integrationStatus":"$context.integrationStatus","errorType":"$context.error.responseType"}"#,
);

/// What the functions of both Regions need.
pub(super) struct ComputeInputs<'a> {
    pub sites: &'a [RegionSite<'a>; 2],
    pub bases: &'a [RegionBase; 2],
    pub networks: &'a [RegionNetwork; 2],
}

/// The API of one Region, and the stage that serves it.
pub(super) struct HttpFront {
    pub api: Handle<Api>,
    pub stage: Handle<Stage>,
}

/// Adds the functions of both Regions and the APIs in front of them.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    inputs: &ComputeInputs<'_>,
    data: &Data,
    role: &Handle<IamRole>,
) -> Result<[HttpFront; 2], BlueprintError> {
    let package = config.lambda.package.as_text();
    let code = lambda::package::zip(&package)?;
    let mut of = |site: &RegionSite<'_>, base: &RegionBase, network: &RegionNetwork| {
        let function = Function {
            name: function_name(&config.name()),
            description: format!("{}: payments", config.name()),
            role: role.arn(),
            runtime: config.lambda.runtime.clone(),
            handler: config.lambda.handler.clone(),
            memory_mb: whole(config.lambda.memory_mb),
            timeout_seconds: whole(config.lambda.timeout_seconds),
            package: package.clone(),
            code_sha256: code.sha256.clone(),
            environment: environment(config, facts, site, data),
            kms_key: base.key.arn(),
            subnets: network.private.iter().map(Handle::id).collect(),
            security_groups: vec![network.lambda.id()],
            tracing: true,
            reserved_concurrency: config.lambda.reserved_concurrency.map(|count| whole(count.get())),
            log_group: lambda_log_group(&config.name()),
            last_update: "Successful".to_owned(),
            after: vec![base.lambda_log.id().any()],
        };
        let function = stack.add(site.role, "processor", site.region, &function)?;
        api(stack, config, site, base, &function)
    };
    let ComputeInputs { sites, bases, networks } = inputs;
    Ok([of(&sites[0], &bases[0], &networks[0])?, of(&sites[1], &bases[1], &networks[1])?])
}

/// The environment variables that `lambda/README.md` lists.
fn environment(config: &Config, facts: &Facts, site: &RegionSite<'_>, data: &Data) -> BTreeMap<String, Value> {
    let mut environment = named([
        ("SESSIONS_TABLE", json!(data::table_name(&config.name()))),
        ("SESSIONS_TTL_ATTRIBUTE", json!(config.sessions.ttl_attribute)),
        ("SESSIONS_TTL_HOURS", json!(config.sessions.ttl_hours.to_string())),
        ("RECEIPTS_BUCKET", json!(data::bucket_name(config, facts, site.region))),
        ("LEDGER", json!(config.lambda.ledger)),
        ("API_AUTH", json!(config.api.auth.as_text())),
    ]);
    if config.lambda.ledger == Ledger::Aurora {
        // The cluster is named, not referred to: the function does not need to wait for it, which would take most of an hour.
        let secret = match site.role {
            Role::Secondary => data.secret.output::<str>("replica_arn"),
            _ => data.secret.output("arn"),
        };
        environment.extend(named([
            ("DATABASE_CLUSTER_ARN", json!(data::cluster_arn(config, site))),
            ("DATABASE_SECRET_ARN", json!(secret.exists())),
            ("DATABASE_NAME", json!(config.database.database_name)),
        ]));
    }
    environment
}

fn api(
    stack: &mut Stack<'_>,
    config: &Config,
    site: &RegionSite<'_>,
    base: &RegionBase,
    function: &Handle<Function>,
) -> Result<HttpFront, BlueprintError> {
    let name = config.name();
    let api = Api {
        name: name.clone(),
        description: format!("{name}: payments"),
        // Health checks probe the API's own name, which works before the public one does.
        disable_execute_api_endpoint: false,
    };
    let api = stack.add(site.role, "main", site.region, &api)?;
    let integration =
        Integration { api: api.id(), function: function.arn(), payload_format: "2.0".to_owned(), timeout_ms: LONGEST };
    let integration = stack.add(site.role, "main", site.region, &integration)?;
    let clients = match &config.api.auth {
        Auth::Iam => Access::Iam,
        Auth::Jwt { issuer, audience } => {
            let authorizer = Authorizer::bearer(api.id(), "tokens", issuer, audience);
            Access::Jwt(stack.add(site.role, "tokens", site.region, &authorizer)?)
        }
        Auth::None => Access::Open,
    };
    for (short, key, users) in ROUTES {
        let access = match users {
            Audience::Everybody => &Access::Open,
            Audience::Operators => &Access::Iam,
            Audience::Clients => &clients,
        };
        stack.add(site.role, short, site.region, &Route::new(&api, key, &integration, access))?;
    }
    let stage = Stage {
        api: api.id(),
        name: "$default".to_owned(),
        auto_deploy: true,
        throttle_rate: whole(config.api.throttle_rate),
        throttle_burst: whole(config.api.throttle_burst),
        access_log_group: base.api_log.arn(),
        access_log_format: ACCESS_LOG.to_owned(),
        detailed_metrics: true,
    };
    let stage = stack.add(site.role, "default", site.region, &stage)?;
    let permission = Permission {
        function: function.id(),
        statement_id: "api".to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "apigateway.amazonaws.com".to_owned(),
        api: api.id(),
    };
    stack.add(site.role, "api", site.region, &permission)?;
    Ok(HttpFront { api, stage })
}

/// Adds the function's role, one for both Regions.
pub(super) fn role(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    sites: &[RegionSite<'_>; 2],
    bases: &[RegionBase; 2],
) -> Result<Handle<IamRole>, GraphError> {
    let name = config.name();
    let role = IamRole {
        name: role_name(&name),
        path: config.iam.path.clone(),
        permissions_boundary: config.iam.permissions_boundary.clone(),
        description: format!("{name}: the payment function"),
        assume_role_policy: policy::document([
            Statement::allow(["sts:AssumeRole"]).by("Service", ["lambda.amazonaws.com"])
        ]),
        policies: named([
            ("data", policy::document(data_statements(config, facts, sites, bases))),
            ("run", policy::document(run_statements(config, sites, bases))),
        ]),
    };
    stack.add(Role::Global, "processor", GLOBAL, &role)
}

/// The permissions that `lambda/README.md` lists, on the resources of this stack only.
fn data_statements(
    config: &Config,
    facts: &Facts,
    sites: &[RegionSite<'_>; 2],
    bases: &[RegionBase; 2],
) -> Vec<Statement> {
    let name = config.name();
    let account = &facts.account;
    let each = |arn: &dyn Fn(&RegionSite<'_>) -> String| sites.iter().map(arn).collect::<Vec<String>>();
    let mut statements = vec![
        Statement::allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"])
            .sid("Sessions")
            .on(each(&|site| data::table_arn(config, site))),
        Statement::allow(["s3:GetObject", "s3:PutObject"])
            .sid("Receipts")
            .on(each(&|site| format!("{}/receipts/*", data::bucket_arn(config, facts, site.region)))),
        Statement::allow(["s3:ListBucket"])
            .sid("MissingReceipts")
            .on(each(&|site| data::bucket_arn(config, facts, site.region))),
    ];
    // One statement for each key: in a list, the position of a reference among its neighbours would be known too late. The
    // function never calls KMS itself: the services that store its data and its environment do so on its behalf. The Data API
    // reads the secret as the caller, so that it is Secrets Manager that uses the key.
    // https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service,
    // https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.access.html
    // See docs/aws-behaviour.md#services-use-keys-as-the-caller.
    statements.extend(sites.iter().zip(bases).map(|(site, base)| {
        let via = ["dynamodb", "lambda", "s3", "secretsmanager"];
        let via = via.map(|service| format!("{service}.{}.amazonaws.com", site.region));
        Statement::allow(["kms:Decrypt", "kms:GenerateDataKey"]).on_output(&base.key.arn()).when(
            "StringEquals",
            "kms:ViaService",
            via,
        )
    }));
    if config.lambda.ledger == Ledger::Aurora {
        statements.extend([
            Statement::allow(["rds-data:ExecuteStatement"])
                .sid("Ledger")
                .on(each(&|site| data::cluster_arn(config, site))),
            Statement::allow(["secretsmanager:GetSecretValue"])
                .sid("LedgerOwner")
                // AWS adds six random characters to the ARN of a secret.
                // https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
                // See docs/aws-behaviour.md#secret-arn-has-a-suffix.
                .on(each(&|site| {
                    let secret = data::secret_name(&name);
                    format!("arn:aws:secretsmanager:{}:{account}:secret:{secret}-??????", site.region)
                })),
        ]);
    }
    statements
}

/// What every function in a VPC needs, as in the managed policies `AWSLambdaVPCAccessExecutionRole` and
/// `AWSXRayDaemonWriteAccess`. Permissions for network interfaces and traces cannot be restricted to resources:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions>
///
/// Only Lambda may create the interfaces, not the function: the condition key is present only in calls that the function's code
/// makes. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-best-practice>,
/// <https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html>
/// See docs/aws-behaviour.md#function-code-can-use-vpc-permissions.
fn run_statements(config: &Config, sites: &[RegionSite<'_>; 2], bases: &[RegionBase; 2]) -> Vec<Statement> {
    let group = lambda_log_group(&config.name());
    let function = function_name(&config.name());
    let each = |arn: &dyn Fn(&str, &str) -> String| {
        sites.iter().map(|site| arn(site.region, site.placement.account)).collect::<Vec<String>>()
    };
    let groups = each(&|region, account| format!("arn:aws:logs:{region}:{account}:log-group:{group}:*"));
    let functions = each(&|region, account| format!("arn:aws:lambda:{region}:{account}:function:{function}"));
    let mut statements = vec![
        Statement::allow(["logs:CreateLogStream", "logs:PutLogEvents"]).sid("Log").on(groups),
        Statement::allow([
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ])
        .sid("Vpc")
        .on(["*"]),
        Statement::deny([
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:DetachNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ])
        .sid("VpcFromCode")
        .on(["*"])
        .when("ArnEquals", "lambda:SourceFunctionArn", functions),
        Statement::allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"]).sid("Traces").on(["*"]),
    ];
    statements.extend(sites.iter().zip(bases).map(|(site, base)| key_for_logs(&base.key, site.region)));
    statements
}

/// The name of the function, in both Regions.
pub(super) fn function_name(name: &str) -> String {
    format!("{name}-processor")
}

fn role_name(name: &str) -> String {
    format!("{name}-processor")
}
