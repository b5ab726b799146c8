//! The running stack, used as its clients use it: requests reach the function in both Regions, payments and objects the other
//! Region, the writer moves, and the switch moves DNS and fences the old Region off.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use drctl::dr::dns::probe::PlainHttp;
use drctl::dr::dns::{self, Evaluator};
use serde_json::{Value, json};

use crate::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// How long replication may take in an emulator that replicates at once.
const PATIENCE: Duration = Duration::from_secs(20);

struct Answer {
    status: u16,
    headers: String,
    body: Value,
}

/// A built stack, and what its clients need of it.
struct Running {
    stack: Stack,
    outputs: Value,
}

impl Running {
    fn new() -> Self {
        let stack = Stack::new();
        // MiniStack has no SQL engine: the ledger is in the sessions table.
        stack.configure("[lambda]\nledger = \"dynamodb\"\n");
        stack.run(&["up", "--yes"]).exits(0);
        let outputs = stack.run(&["outputs"]).exits(0).json();
        Self { stack, outputs }
    }

    fn output(&self, name: &str) -> &str {
        self.outputs[name].as_str().unwrap_or_else(|| panic!("no output {name}: {:#}", self.outputs))
    }

    /// A request to the API of a Region, as a client makes it: by the name in the outputs, unsigned.
    fn ask(&self, role: &str, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
        let endpoint = self.output(&format!("{role}_api_main_endpoint"));
        let host = endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(self.stack.address()).expect("connected");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("set");
        let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n{key}\
             Content-Length: {}\r\n\r\n{body}",
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
        let payment = json!({"amount": 1250, "currency": "EUR", "reference": "Invoice 4711"});
        self.ask(role, "POST", "/payments", Some(key), &payment.to_string())
    }

    async fn evaluator(&self) -> Evaluator {
        let route53 = aws_sdk_route53::Client::new(&self.stack.sdk(PRIMARY).await);
        let zone = self.output("global_hosted_zone_main_id");
        dns::load(&route53, zone, self.output("public_name"))
            .await
            .expect("the records and checks that stand in Route 53")
    }
}

/// Asks again until the answer is as expected: replication takes its time.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < until, "{what} has not come to pass within {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// As often as the checks' threshold asks for: what three looks in a row say is what counts.
async fn look_three_times(evaluator: &mut Evaluator, endpoint: PlainHttp) {
    for _ in 0..3 {
        evaluator.observe(&endpoint).await;
    }
}

fn leads_to(evaluator: &Evaluator) -> String {
    evaluator.answer().expect("a record").set_identifier.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_serves_replicates_and_fails_over() {
    let running = Running::new();
    apis_reach_the_function_in_both_regions(&running);
    payments_are_read_in_the_other_region(&running).await;
    objects_appear_in_the_other_bucket(&running).await;
    the_writer_moves_with_a_switchover(&running).await;
    dns_follows_the_switch_and_the_old_region_is_fenced(&running).await;
    running.stack.run(&["down", "--yes"]).exits(0);
}

/// API endpoints, and invocation in both Regions.
fn apis_reach_the_function_in_both_regions(running: &Running) {
    for role in ["primary", "secondary"] {
        let health = running.ask(role, "GET", "/health", None, "");
        assert_eq!(health.status, 200, "{role}: {}", health.body);
        let deep = running.ask(role, "GET", "/health?deep=1", None, "");
        assert_eq!(deep.status, 200, "{role}: {}", deep.body);
        let nowhere = running.ask(role, "GET", "/nowhere", None, "");
        assert_eq!(nowhere.status, 404, "only what has a route reaches the function");
        let ordered = running.ask(role, "GET", "/dr/failover", None, "");
        assert_eq!((ordered.status, ordered.body["error"]["code"].as_str()), (404, Some("failover_not_ordered")));
    }
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
    assert_eq!(again.body["id"], json!(id), "the same key is the same payment");
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
        // Ordered in the Region of the present writer.
        let rds = aws_sdk_rds::Client::new(&running.stack.sdk(region).await);
        assert_eq!(writer(&rds).await, from);
        let call = rds.switchover_global_cluster().global_cluster_identifier("payment-dr-dev");
        call.target_db_cluster_identifier(to).send().await.expect("switched over");
        eventually("the switchover", async || (writer(&rds).await == to).then_some(())).await;
        // Who is the writer is no drift: it is an operator's to decide.
        running.stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    }
}

/// DNS failover and health checks, by drctl's own evaluator of what stands in Route 53.
async fn dns_follows_the_switch_and_the_old_region_is_fenced(running: &Running) {
    let endpoint = PlainHttp::new(running.stack.address());
    let mut evaluator = running.evaluator().await;
    look_three_times(&mut evaluator, endpoint).await;
    assert_eq!(leads_to(&evaluator), "payment-dr-dev-primary", "{:?}", evaluator.checks());

    // What `drctl failover` will do: one item in the standby's own replica, and nothing else.
    let dynamodb = aws_sdk_dynamodb::Client::new(&running.stack.sdk(SECONDARY).await);
    let table = running.output("global_dynamodb_table_sessions_id");
    let call = dynamodb.put_item().table_name(table).item("pk", AttributeValue::S("drctl#failover".to_owned()));
    call.item("active_region", AttributeValue::S(SECONDARY.to_owned())).send().await.expect("ordered");

    assert_eq!(running.ask("secondary", "GET", "/dr/failover", None, "").status, 200);
    look_three_times(&mut evaluator, endpoint).await;
    assert_eq!(leads_to(&evaluator), "payment-dr-dev-secondary", "{:?}", evaluator.checks());

    let refused = eventually("the fence", async || {
        let answer = running.pay("primary", "order-2");
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.body["error"]["code"], "failed_over", "{}", refused.body);
    assert!(refused.headers.contains("retry-after: "), "{}", refused.headers);
    assert_eq!(running.pay("secondary", "order-2").status, 201);
    let old = running.ask("primary", "GET", "/health", None, "");
    assert_eq!(old.status, 200, "it is fenced, and not broken: {}", old.body);

    // Back again.
    let call = dynamodb.put_item().table_name(table).item("pk", AttributeValue::S("drctl#failover".to_owned()));
    call.item("active_region", AttributeValue::S(PRIMARY.to_owned())).send().await.expect("ordered");
    eventually("the end of the fence", async || (running.pay("primary", "order-3").status == 201).then_some(())).await;
    look_three_times(&mut evaluator, endpoint).await;
    assert_eq!(leads_to(&evaluator), "payment-dr-dev-primary", "{:?}", evaluator.checks());
}
