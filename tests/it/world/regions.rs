//! Regions as switches: out, isolated, slow, and up again, and the functions that live in them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use aws_sdk_sts::error::SdkError;
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use serde_json::{Value, json};

use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// How long a test waits for an answer that must not come, and for one that must.
const SILENCE: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(30);

/// The function of a stack.
const FUNCTION: &str = "payment-dr-dev-processor";

/// A built stack whose payments need neither a signature nor an SQL engine.
struct Running {
    stack: Stack,
    outputs: Value,
}

/// An operation, and whether it was answered at all: a refusal is an answer, too.
type Asked = (&'static str, bool);

impl Running {
    fn new() -> Self {
        let stack = Stack::new();
        stack.configure("[lambda]\nledger = \"dynamodb\"\n[api]\nauth = \"none\"\n");
        stack.run(&["up", "--yes"]).exits(0);
        let outputs = stack.run(&["outputs"]).exits(0).json();
        Self { stack, outputs }
    }

    fn output(&self, name: &str) -> String {
        self.outputs[name].as_str().unwrap_or_else(|| panic!("no output {name}: {:#}", self.outputs)).to_owned()
    }

    fn role(region: &str) -> &'static str {
        if region == PRIMARY { "primary" } else { "secondary" }
    }

    /// A request to the API of a Region.
    fn request(&self, region: &str, method: &str, path: &str) -> Request {
        let endpoint = self.output(&format!("{}_api_main_endpoint", Self::role(region)));
        let body = if method == "POST" { r#"{"amount":1250,"currency":"EUR","reference":"Invoice 4711"}"# } else { "" };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Idempotency-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
            endpoint.trim_start_matches("http://"),
            SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos(),
            body.len()
        );
        Request { address: self.stack.address(), text }
    }

    /// What belongs to a Region: its services, its API, and its function.
    async fn everything_in(&self, region: &str, within: Duration) -> Vec<Asked> {
        let config = self.stack.sdk(region).await;
        let s3 = self.stack.s3(region).await;
        let bucket = self.output(&format!("{}_s3_bucket_data_id", Self::role(region)));
        let table = self.output("global_dynamodb_table_sessions_id");
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let health = self.request(region, "GET", "/health");
        let key = AttributeValue::S("drctl#none".to_owned());
        let calls: Vec<(&str, BoxFuture<'_, bool>)> = vec![
            ("STS", answers(within, aws_sdk_sts::Client::new(&config).get_caller_identity().send())),
            ("EC2", answers(within, aws_sdk_ec2::Client::new(&config).describe_vpcs().send())),
            ("RDS", answers(within, aws_sdk_rds::Client::new(&config).describe_db_clusters().send())),
            ("KMS", answers(within, aws_sdk_kms::Client::new(&config).list_keys().send())),
            ("CloudWatch", answers(within, aws_sdk_cloudwatch::Client::new(&config).describe_alarms().send())),
            ("API Gateway", answers(within, aws_sdk_apigatewayv2::Client::new(&config).get_apis().send())),
            ("DynamoDB", answers(within, dynamodb.get_item().table_name(table).key("pk", key).send())),
            ("S3", answers(within, s3.put_object().bucket(bucket).key("k").body(b"0".to_vec().into()).send())),
            ("Lambda", answers(within, invoke(&config, FUNCTION, Blob::new("{}")))),
            ("the API", async move { health.status(within).await.is_some() }.boxed()),
        ];
        all(calls).await
    }

    /// The control planes that are in us-east-1, called from elsewhere.
    async fn control_planes(&self, within: Duration) -> Vec<Asked> {
        let config = self.stack.sdk(SECONDARY).await;
        let s3 = self.stack.s3(SECONDARY).await;
        let route53 = aws_sdk_route53::Client::new(&config);
        let iam = aws_sdk_iam::Client::new(&config);
        let bucket = self.output("secondary_s3_bucket_data_id");
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let versioning = s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(enabled);
        // The global endpoint of STS is in us-east-1.
        let global = aws_sdk_sts::Client::new(&self.stack.sdk(PRIMARY).await);
        all(vec![
            ("Route 53: zones", answers(within, route53.list_hosted_zones().send())),
            ("Route 53: checks", answers(within, route53.list_health_checks().send())),
            ("IAM: roles", answers(within, iam.list_roles().send())),
            ("IAM: tags", answers(within, iam.list_role_tags().role_name("none").send())),
            ("STS: global", answers(within, global.get_caller_identity().send())),
            ("S3: creation", answers(within, s3.create_bucket().bucket(format!("{bucket}-2")).send())),
            ("S3: versioning", answers(within, versioning.send())),
            ("S3: policy", answers(within, s3.delete_bucket_policy().bucket(format!("{bucket}-3")).send())),
        ])
        .await
    }
}

async fn all(calls: Vec<(&'static str, BoxFuture<'_, bool>)>) -> Vec<Asked> {
    join_all(calls.into_iter().map(|(name, call)| call.map(move |answered| (name, answered)))).await
}

/// Whether a call is answered within this time.
fn answers<'a, T, E, R>(
    within: Duration,
    call: impl Future<Output = Result<T, SdkError<E, R>>> + Send + 'a,
) -> BoxFuture<'a, bool>
where
    T: Send + 'a,
    E: Send + 'a,
    R: Send + 'a,
{
    async move {
        match tokio::time::timeout(within, call).await {
            Ok(Ok(_) | Err(SdkError::ServiceError(_))) => true,
            Ok(Err(_)) | Err(_) => false,
        }
    }
    .boxed()
}

#[track_caller]
fn assert_none_of(asked: &[Asked]) {
    let answered: Vec<_> = asked.iter().filter(|(_, answered)| *answered).collect();
    assert!(answered.is_empty(), "answered: {answered:?}");
}

#[track_caller]
fn assert_all_of(asked: &[Asked]) {
    let silent: Vec<_> = asked.iter().filter(|(_, answered)| !*answered).collect();
    assert!(silent.is_empty(), "not answered: {silent:?}");
}

/// Invokes a function.
async fn invoke(
    config: &aws_config::SdkConfig,
    name: &str,
    event: Blob,
) -> Result<Value, SdkError<aws_sdk_lambda::operation::invoke::InvokeError>> {
    let lambda = aws_sdk_lambda::Client::new(config);
    let answer = lambda.invoke().function_name(name).payload(event).send().await?;
    Ok(serde_json::from_slice(answer.payload().expect("a payload").as_ref()).expect("JSON"))
}

/// An HTTP request to an API, as its clients send it.
#[derive(Clone)]
struct Request {
    address: std::net::SocketAddr,
    text: String,
}

impl Request {
    /// The status of the answer; `None` if there is none within this time.
    async fn status(self, within: Duration) -> Option<u16> {
        tokio::task::spawn_blocking(move || self.ask(within).ok().flatten()).await.expect("asked")
    }

    fn ask(&self, within: Duration) -> std::io::Result<Option<u16>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(within))?;
        stream.write_all(self.text.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_us_east_1_the_other_region_works_and_no_control_plane_does() {
    let running = Running::new();
    let stack = &running.stack;
    assert_all_of(&running.everything_in(PRIMARY, PATIENCE).await);
    assert_all_of(&running.control_planes(PATIENCE).await);

    stack.regions(&json!({PRIMARY: {"is": "out"}}));
    assert_none_of(&running.everything_in(PRIMARY, SILENCE).await);
    assert_none_of(&running.control_planes(SILENCE).await);
    assert_all_of(&running.everything_in(SECONDARY, PATIENCE).await);
    let paid = running.request(SECONDARY, "POST", "/payments").status(PATIENCE).await;
    assert_eq!(paid, Some(201), "the standby serves without us-east-1");
    let silent = stack.calls().into_iter().rfind(|call| call["operation"] == "ListHostedZones");
    assert_eq!(silent.expect("recorded")["status"], 503, "a call that hangs is recorded at once");

    // A call that hangs is lost, and its client learns so when the Region is back.
    let hanging = running.request(PRIMARY, "GET", "/health");
    let hanging = tokio::task::spawn_blocking(move || hanging.ask(PATIENCE));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stack.regions(&json!({PRIMARY: {"is": "up"}})), json!({}));
    let lost = hanging.await.expect("asked").expect_err("lost");
    assert_eq!(lost.kind(), ErrorKind::ConnectionReset);
    assert_all_of(&running.everything_in(PRIMARY, PATIENCE).await);
    assert_all_of(&running.control_planes(PATIENCE).await);

    functions_calls_are_like_any_others(&running).await;
    an_order_for_later_waits(&running).await;
    stack.run(&["down", "--yes", "--no-final-snapshot", "--empty-buckets"]).exits(0);
}

/// They are recorded under the function's name, and struck by faults.
async fn functions_calls_are_like_any_others(running: &Running) {
    let stack = &running.stack;
    let before = stack.calls_of_functions().len();
    let pay = async || running.request(PRIMARY, "POST", "/payments").status(PATIENCE).await;
    assert_eq!(pay().await, Some(201));
    let calls = stack.calls_of_functions().split_off(before);
    let arn = format!("arn:aws:lambda:{PRIMARY}:{}:function:{FUNCTION}", stack.account);
    let is_of = |service: &str| calls.iter().any(|call| call["service"] == service);
    assert!(is_of("dynamodb") && is_of("s3"), "{calls:?}");
    for call in &calls {
        assert_eq!((&call["region"], &call["account"]), (&json!(PRIMARY), &json!(stack.account)), "{call}");
        assert!(call["function"].as_str().is_some_and(|by| by.starts_with(&arn)), "{call}");
    }
    stack.faults("[[fault]]\nservice = \"dynamodb\"\noperation = \"PutItem\"\ndoes = \"unavailable\"");
    assert_eq!(pay().await, Some(503), "the function's own call was not answered");
    // A fault in a Region strikes its API, whose requests name no Region.
    stack.faults(&format!("[[fault]]\nregion = \"{PRIMARY}\"\ndoes = \"reset\""));
    assert_eq!(running.request(PRIMARY, "GET", "/health").status(PATIENCE).await, None);
    assert_eq!(running.request(SECONDARY, "GET", "/health").status(PATIENCE).await, Some(200));
    stack.no_faults();
    assert_eq!(pay().await, Some(201));
}

async fn an_order_for_later_waits(running: &Running) {
    let health = || running.request(SECONDARY, "GET", "/health");
    let out = json!({"is": "out", "after": 1.5, "for": ["execute-api"], "manner": "reset"});
    let shown = running.stack.regions(&json!({SECONDARY: out}));
    assert_eq!(shown[SECONDARY][0]["is"], "out", "{shown}");
    running.stack.regions(&json!({SECONDARY: {"is": "up", "after": 3.0}}));
    assert_eq!(health().status(PATIENCE).await, Some(200), "not yet");
    tokio::time::sleep(Duration::from_millis(1700)).await;
    assert_eq!(health().status(PATIENCE).await, None, "now");
    let table = aws_sdk_dynamodb::Client::new(&running.stack.sdk(SECONDARY).await).list_tables().send().await;
    assert!(table.is_ok(), "the order is not for this service");
    tokio::time::sleep(Duration::from_millis(1700)).await;
    assert_eq!(health().status(PATIENCE).await, Some(200), "and up again");
}

/// A function that lists the tables of the Region in its event, and says what came of it.
const CROSSING: &str = r#"
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

def handler(event, context):
    patience = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
    try:
        boto3.client("dynamodb", region_name=event["region"], config=patience).list_tables()
        return "answered"
    except BotoCoreError as error:
        return type(error).__name__
"#;

async fn create_crossing(stack: &Stack, region: &str) {
    let mut package = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    package.start_file("crossing.py", zip::write::SimpleFileOptions::default()).expect("a file");
    package.write_all(CROSSING.as_bytes()).expect("written");
    let package = package.finish().expect("a package").into_inner();
    let create = aws_sdk_lambda::Client::new(&stack.sdk(region).await).create_function().function_name("crossing");
    create
        .runtime(Runtime::from("python3.13"))
        .handler("crossing.handler")
        .role(format!("arn:aws:iam::{}:role/any", stack.account))
        .timeout(30)
        .code(FunctionCode::builder().zip_file(Blob::new(package)).build())
        .send()
        .await
        .expect("created");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_crosses_the_border_of_an_isolated_region() {
    let stack = Stack::new();
    create_crossing(&stack, PRIMARY).await;
    create_crossing(&stack, SECONDARY).await;
    let cross = async |from: &str, to: &str| {
        invoke(&stack.sdk(from).await, "crossing", Blob::new(json!({ "region": to }).to_string()))
            .await
            .expect("clients get in")
    };
    for (from, to) in [(PRIMARY, SECONDARY), (SECONDARY, PRIMARY)] {
        assert_eq!(cross(from, to).await, "answered");
    }
    stack.regions(&json!({PRIMARY: {"is": "isolated"}}));
    for (from, to) in [(PRIMARY, SECONDARY), (SECONDARY, PRIMARY)] {
        assert_eq!(cross(from, from).await, "answered");
        assert_eq!(cross(from, to).await, "ReadTimeoutError", "{from} to {to}");
    }
    stack.regions(&json!({PRIMARY: {"is": "slow", "by": 1.0}}));
    let began = Instant::now();
    assert_eq!(cross(SECONDARY, PRIMARY).await, "answered");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_region_is_switched_on_the_command_line() {
    let stack = Stack::new();
    stack.run(&["sandbox", "region"]).exits(1).says("the sandbox is not running");
    stack.run(&["sandbox", "start"]).exits(0);
    stack.run(&["sandbox", "region"]).exits(0).says("All Regions are up.");
    let out = ["sandbox", "region", SECONDARY, "out", "--for", "ec2", "rds", "--after", "1m", "--reset"];
    stack.run(&out).exits(0).says("us-east-2 (ec2, rds) will be out: connections are reset, in 60.0 s");
    stack.run(&["sandbox", "region", SECONDARY, "slow", "--by", "20s"]).exits(0).says("answers arrive 20 s later");
    stack.run(&["sandbox", "status"]).exits(0).says("us-east-2 is slow").says("`drctl sandbox region us-east-2 up`");
    let shown = stack.run(&["sandbox", "region", "--json"]).exits(0).json();
    assert_eq!(
        shown["regions"],
        json!({SECONDARY: [{"is": "slow", "by": 20.0}]}),
        "an order for now cancels the other"
    );
    stack.run(&["sandbox", "region", SECONDARY, "out", "--by", "1s"]).exits(1).says("only `slow` has `by`");
    stack.run(&["sandbox", "region", "us-east2", "out"]).exits(1).says("is not the name of a Region");
    stack.run(&["sandbox", "region", SECONDARY, "out", "--for", "aurora"]).exits(1).says("monitoring, rds, rds-data");
    stack.run(&["sandbox", "region", SECONDARY, "up"]).exits(0).says("All Regions are up.");
    stack.run(&["sandbox", "stop"]).exits(0);
}
