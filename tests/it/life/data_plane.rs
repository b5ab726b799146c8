//! The running stack, used as its clients use it: requests reach the function in both Regions, payments and objects reach the
//! other Region, the writer moves, and the switch moves DNS and fences the old Region.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use drctl_testkit::dr::dns::probe::{Endpoint, PlainHttp, ProbeError};
use drctl_testkit::dr::dns::{self, Evaluator};
use serde_json::{Value, json};

use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// How long replication may take in an emulator, which replicates at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who sends a request.
#[derive(Clone, Copy)]
enum By<'a> {
    /// A caller without any identity.
    Nobody,
    /// The owner of this access key; the sandbox accepts any secret.
    Key(&'a str),
    /// The bearer of this token.
    Token(&'a str),
}

struct Answer {
    status: u16,
    headers: String,
    body: Value,
}

/// A built stack, and what its clients need to know.
struct Running {
    stack: Stack,
    outputs: Value,
}

impl Running {
    fn new(api: &str) -> Self {
        let stack = Stack::new();
        Self::configure(&stack, api);
        stack.run(&["up", "--yes"]).exits(0);
        let outputs = stack.run(&["outputs"]).exits(0).json();
        Self { stack, outputs }
    }

    /// MiniStack has no SQL engine, so the ledger is in the sessions table.
    fn configure(stack: &Stack, api: &str) {
        stack.configure(&format!("[lambda]\nledger = \"dynamodb\"\n[api]\n{api}"));
    }

    fn output(&self, name: &str) -> &str {
        self.outputs[name].as_str().unwrap_or_else(|| panic!("no output {name}: {:#}", self.outputs))
    }

    /// A request to the API of a Region, signed by the stack's own account.
    fn ask(&self, role: &str, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
        self.ask_by(By::Key(&self.stack.account), role, method, path, key, body)
    }

    /// A request to the API of a Region, sent to the name in the outputs, as a client does. If the gateway itself answers
    /// because the function did not start in time, the request is repeated, as clients do; every answer of the function
    /// counts.
    fn ask_by(&self, by: By<'_>, role: &str, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
        for _ in 0..5 {
            let answer = self.ask_once(by, role, method, path, key, body);
            let is_gateways = matches!(answer.status, 500 | 502 | 504) && answer.body.get("error").is_none();
            if !is_gateways {
                return answer;
            }
            println!("{role} {method} {path}: {} {}: repeated", answer.status, answer.body);
            std::thread::sleep(Duration::from_secs(1));
        }
        self.ask_once(by, role, method, path, key, body)
    }

    fn ask_once(&self, by: By<'_>, role: &str, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
        let endpoint = self.output(&format!("{role}_api_main_endpoint"));
        let host = endpoint.trim_start_matches("http://");
        let region = if role == "primary" { PRIMARY } else { SECONDARY };
        let authorization = match by {
            By::Nobody => String::new(),
            By::Key(access) => signature(access, region, method, &format!("{endpoint}{path}"), body),
            By::Token(token) => format!("Authorization: Bearer {token}\r\n"),
        };
        let mut stream = TcpStream::connect(self.stack.address()).expect("connected");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("set");
        let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n{key}\
             {authorization}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("asked");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let (headers, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, headers: headers.to_lowercase(), body: serde_json::from_str(body).unwrap_or_default() }
    }

    fn pay(&self, role: &str, key: &str) -> Answer {
        self.pay_by(By::Key(&self.stack.account), role, key)
    }

    fn pay_by(&self, by: By<'_>, role: &str, key: &str) -> Answer {
        let payment = json!({"amount": 1250, "currency": "EUR", "reference": "Invoice 4711"});
        self.ask_by(by, role, "POST", "/payments", Some(key), &payment.to_string())
    }

    fn read_by(&self, by: By<'_>, role: &str, id: &str) -> Answer {
        self.ask_by(by, role, "GET", &format!("/payments/{id}"), None, "")
    }

    async fn evaluator(&self) -> Evaluator {
        let route53 = aws_sdk_route53::Client::new(&self.stack.sdk(PRIMARY).await);
        let zone = self.output("global_hosted_zone_main_id");
        dns::load(&route53, zone, self.output("public_name")).await.expect("the records and checks in Route 53")
    }
}

/// The headers of a signed request, as any AWS SDK makes them.
fn signature(access: &str, region: &str, method: &str, url: &str, body: &str) -> String {
    let identity = Credentials::new(access, "any", None, None, "test").into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("execute-api")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .expect("parameters")
        .into();
    let request = SignableRequest::new(method, url, std::iter::empty(), SignableBody::Bytes(body.as_bytes()));
    let (instructions, _) = sign(request.expect("a request"), &parameters).expect("signed").into_parts();
    let lines: Vec<String> = instructions.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    lines.concat()
}

/// A token without a valid signature, which the sandbox cannot check.
fn token(issuer: &str, audience: &str, subject: &str) -> String {
    let part = |value: Value| {
        let text = aws_smithy_types::base64::encode(value.to_string());
        text.trim_end_matches('=').replace('+', "-").replace('/', "_")
    };
    let claims = json!({"iss": issuer, "aud": audience, "sub": subject, "exp": 4_102_444_800_u64});
    format!("{}.{}.bm9uZQ", part(json!({"alg": "RS256", "kid": "1"})), part(claims))
}

/// Repeats a question until it is answered, because replication takes time.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen within {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Observes as often as the threshold of the checks requires: three equal observations in a row change the status.
async fn observe_three_times(evaluator: &mut Evaluator, endpoint: impl Endpoint) {
    for _ in 0..3 {
        evaluator.observe(&endpoint).await;
    }
}

/// Endpoints that answer, except for the standby's switch: for example, its function is throttled or its table is slow.
struct SwitchIsSilent(PlainHttp);

impl Endpoint for SwitchIsSilent {
    async fn get(&self, host: &str, path: &str) -> Result<u16, ProbeError> {
        if path == "/dr/failover" { Err(ProbeError::NoAnswer) } else { self.0.get(host, path).await }
    }
}

fn leads_to(evaluator: &Evaluator) -> String {
    evaluator.answer().expect("a record").set_identifier.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_serves_replicates_and_fails_over() {
    let running = Running::new("");
    apis_reach_the_function_in_both_regions(&running);
    nobody_pays_without_a_signature(&running);
    payments_are_read_in_the_other_region(&running).await;
    objects_appear_in_the_other_bucket(&running).await;
    the_writer_moves_with_a_switchover(&running).await;
    dns_follows_the_switch_and_the_old_region_is_fenced(&running).await;
    running.stack.run(&["down", "--yes", "--no-final-snapshot", "--empty-buckets"]).exits(0);
}

/// API endpoints, and invocation in both Regions.
fn apis_reach_the_function_in_both_regions(running: &Running) {
    for role in ["primary", "secondary"] {
        // As Route 53 does.
        let health = running.ask_by(By::Nobody, role, "GET", "/health", None, "");
        assert_eq!(health.status, 200, "{role}: {}", health.body);
        let shallow = running.ask_by(By::Nobody, role, "GET", "/health?deep=1", None, "");
        assert_eq!((shallow.status, shallow.body.get("dependencies")), (200, None), "{role}: {}", shallow.body);
        let deep = running.ask(role, "GET", "/health/deep", None, "");
        assert_eq!((deep.status, &deep.body["status"]), (200, &json!("ok")), "{role}: {}", deep.body);
        assert_eq!(deep.body["dependencies"].as_object().map(serde_json::Map::len), Some(3));
        let nowhere = running.ask(role, "GET", "/nowhere", None, "");
        assert_eq!(nowhere.status, 404, "only requests with a route reach the function");
        let ordered = running.ask_by(By::Nobody, role, "GET", "/dr/failover", None, "");
        assert_eq!((ordered.status, ordered.body["error"]["code"].as_str()), (404, Some("failover_not_ordered")));
    }
}

/// Authorization, and the ownership of payments.
fn nobody_pays_without_a_signature(running: &Running) {
    let stranger = "999999999999";
    let id = running.pay("primary", "own").body["id"].as_str().expect("an id").to_owned();
    for by in [By::Nobody, By::Key(stranger), By::Token("a.b.c")] {
        for (method, path) in [("POST", "/payments"), ("GET", &*format!("/payments/{id}")), ("GET", "/health/deep")] {
            let refused = running.ask_by(by, "primary", method, path, Some("own"), "");
            assert_eq!((refused.status, &refused.body), (403, &json!({"message": "Forbidden"})), "{method} {path}");
        }
    }
    assert_eq!(running.read_by(By::Key(&running.stack.account), "primary", &id).status, 200);
}

/// Table sync.
async fn payments_are_read_in_the_other_region(running: &Running) {
    let made = running.pay("primary", "order-1");
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let read = eventually("the payment", async || {
        let read = running.ask("secondary", "GET", &format!("/payments/{id}"), None, "");
        (read.status == 200).then_some(read)
    })
    .await;
    assert_eq!((read.body["amount"].as_u64(), read.body["currency"].as_str()), (Some(1250), Some("EUR")));
    let again = running.pay("primary", "order-1");
    assert!(again.headers.contains("idempotency-replayed: true"), "{}", again.headers);
    assert_eq!(again.body["id"], json!(id), "the same key must be the same payment");
}

/// Bucket replication, in both directions.
async fn objects_appear_in_the_other_bucket(running: &Running) {
    for (from, from_region, to, to_region) in
        [("primary", PRIMARY, "secondary", SECONDARY), ("secondary", SECONDARY, "primary", PRIMARY)]
    {
        let (source, target) = (running.stack.s3(from_region).await, running.stack.s3(to_region).await);
        let (here, there) =
            (running.output(&format!("{from}_s3_bucket_data_id")), running.output(&format!("{to}_s3_bucket_data_id")));
        let key = format!("statements/from-{from}");
        source.put_object().bucket(here).key(&key).body(b"0 EUR".to_vec().into()).send().await.expect("put");
        eventually("the object", async || target.head_object().bucket(there).key(&key).send().await.ok()).await;
    }
}

/// Aurora replication.
async fn the_writer_moves_with_a_switchover(running: &Running) {
    let writer = async |rds: &aws_sdk_rds::Client| {
        let answer = rds.describe_global_clusters().send().await.expect("global clusters");
        let members = answer.global_clusters()[0].global_cluster_members();
        let writer = members.iter().find(|member| member.is_writer() == Some(true)).expect("a writer");
        writer.db_cluster_arn().expect("an ARN").to_owned()
    };
    let (primary, secondary) =
        (running.output("primary_db_cluster_main_arn"), running.output("secondary_db_cluster_main_arn"));
    for (region, from, to) in [(PRIMARY, primary, secondary), (SECONDARY, secondary, primary)] {
        // The switchover is ordered in the Region of the current writer.
        let rds = aws_sdk_rds::Client::new(&running.stack.sdk(region).await);
        assert_eq!(writer(&rds).await, from);
        let call = rds.switchover_global_cluster().global_cluster_identifier("payment-dr-dev");
        call.target_db_cluster_identifier(to).send().await.expect("switched over");
        eventually("the switchover", async || (writer(&rds).await == to).then_some(())).await;
        // The choice of the writer is not drift: it is up to the operator.
        running.stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    }
}

/// DNS failover and health checks, evaluated by the testkit from what is in Route 53.
async fn dns_follows_the_switch_and_the_old_region_is_fenced(running: &Running) {
    let endpoint = PlainHttp::new(running.stack.address());
    let mut evaluator = running.evaluator().await;
    observe_three_times(&mut evaluator, endpoint).await;
    assert_eq!(leads_to(&evaluator), "payment-dr-dev-primary", "{:?}", evaluator.checks());

    // What `drctl failover` will do: write one item to the standby's own replica, and nothing else.
    let dynamodb = aws_sdk_dynamodb::Client::new(&running.stack.sdk(SECONDARY).await);
    let table = running.output("global_dynamodb_table_sessions_id");
    let call = dynamodb.put_item().table_name(table).item("pk", AttributeValue::S("drctl#failover".to_owned()));
    call.item("active_region", AttributeValue::S(SECONDARY.to_owned())).send().await.expect("ordered");

    assert_eq!(running.ask_by(By::Nobody, "secondary", "GET", "/dr/failover", None, "").status, 200);
    observe_three_times(&mut evaluator, endpoint).await;
    assert_eq!(leads_to(&evaluator), "payment-dr-dev-secondary", "{:?}", evaluator.checks());

    let refused = eventually("the fence", async || {
        let answer = running.pay("primary", "order-2");
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.body["error"]["code"], "failed_over", "{}", refused.body);
    assert!(refused.headers.contains("retry-after: "), "{}", refused.headers);
    assert_eq!(running.pay("secondary", "order-2").status, 201);
    let old = running.ask_by(By::Nobody, "primary", "GET", "/health", None, "");
    assert_eq!((old.status, &old.body["active_region"]), (503, &json!(SECONDARY)), "{}", old.body);
    observe_three_times(&mut evaluator, SwitchIsSilent(endpoint)).await;
    assert_eq!(leads_to(&evaluator), "payment-dr-dev-secondary", "DNS must not move: {:?}", evaluator.checks());

    // Back again.
    let call = dynamodb.put_item().table_name(table).item("pk", AttributeValue::S("drctl#failover".to_owned()));
    call.item("active_region", AttributeValue::S(PRIMARY.to_owned())).send().await.expect("ordered");
    eventually("the end of the fence", async || (running.pay("primary", "order-3").status == 201).then_some(())).await;
    observe_three_times(&mut evaluator, endpoint).await;
    assert_eq!(leads_to(&evaluator), "payment-dr-dev-primary", "{:?}", evaluator.checks());
}

/// Every kind of authorization, and the changes between them, in place.
#[test]
fn each_kind_of_authorization_can_be_configured() {
    let issuer = "https://id.example.com/";
    let jwt = format!("auth = \"jwt\"\njwt_issuer = \"{issuer}\"\njwt_audience = [\"shop\", \"pay\"]\n");
    let running = Running::new(&jwt);
    let stack = &running.stack;
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);

    let (jane, joe) = (token(issuer, "pay", "jane"), token(issuer, "shop", "joe"));
    let made = running.pay_by(By::Token(&jane), "primary", "order-1");
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().expect("an id");
    assert_eq!(running.read_by(By::Token(&jane), "secondary", id).status, 200);
    assert_eq!(
        running.read_by(By::Token(&joe), "primary", id).status,
        404,
        "payments of others must look as if they did not exist"
    );
    let own = running.pay_by(By::Token(&joe), "primary", "order-1");
    assert_eq!(own.status, 201, "{}", own.body);
    assert_ne!(own.body["id"], made.body["id"], "the same key from another caller must be another payment");
    for (wrong, reason) in [
        (token("https://id.example.com", "pay", "jane"), "issuer"),
        (token(issuer, "other", "jane"), "audience"),
        (String::from("none"), "json web token"),
    ] {
        let refused = running.pay_by(By::Token(&wrong), "primary", "order-2");
        assert_eq!((refused.status, &refused.body), (401, &json!({"message": "Unauthorized"})));
        assert!(refused.headers.contains("www-authenticate: bearer") && refused.headers.contains(reason));
    }
    assert_eq!(running.pay_by(By::Nobody, "primary", "order-2").status, 401);
    assert_eq!(running.pay("primary", "order-2").status, 401, "a signature is not a token");
    // The operator of the stack has AWS credentials, whatever its clients use.
    assert_eq!(running.ask("primary", "GET", "/health/deep", None, "").status, 200);
    assert_eq!(running.ask_by(By::Token(&jane), "primary", "GET", "/health/deep", None, "").status, 403);

    Running::configure(stack, &jwt.replace("\"shop\", ", ""));
    stack.run(&["plan", "--detailed-exitcode"]).exits(2).says("Plan: 0 to add, 2 to change, 0 to destroy.");
    stack.run(&["up", "--yes"]).exits(0);
    assert_eq!(running.pay_by(By::Token(&joe), "primary", "order-3").status, 401);

    Running::configure(stack, "auth = \"iam\"\n");
    // Routes and functions change, and the authorizers are deleted after the routes no longer refer to them.
    stack.run(&["plan", "--detailed-exitcode"]).exits(2).says("Plan: 0 to add, 6 to change, 2 to destroy.");
    stack.run(&["up", "--yes"]).exits(0);
    assert_eq!(running.pay_by(By::Token(&jane), "primary", "order-1").status, 403);
    let signed = running.pay("primary", "order-1");
    assert_eq!(signed.status, 201, "{}", signed.body);
    assert_eq!(running.read_by(By::Key(&stack.account), "primary", id).status, 404, "another caller made the payment");

    Running::configure(stack, "auth = \"none\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    let open = running.pay_by(By::Nobody, "secondary", "order-1");
    assert_eq!(open.status, 201, "{}", open.body);
    assert_ne!(open.body["id"], signed.body["id"]);
    assert_eq!(running.ask_by(By::Nobody, "primary", "GET", "/health/deep", None, "").status, 403);

    Running::configure(stack, &jwt);
    stack.run(&["plan", "--detailed-exitcode"]).exits(2).says("Plan: 2 to add, 6 to change, 0 to destroy.");
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(running.read_by(By::Token(&jane), "primary", id).status, 200);
    stack.run(&["down", "--yes", "--no-final-snapshot", "--empty-buckets"]).exits(0);
}
