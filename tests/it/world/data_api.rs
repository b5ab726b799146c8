//! The Data API: SQL over HTTPS on the cluster that is the writer, and the payments that are rows there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::config::timeout::TimeoutConfig;
use aws_sdk_rdsdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use aws_sdk_rdsdata::types::{Field, SqlParameter};
use serde_json::Value;

use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A statement for the cluster and the secret of a Region.
pub(super) async fn statement(
    stack: &Stack,
    outputs: &Value,
    region: &str,
    sql: &str,
) -> ExecuteStatementFluentBuilder {
    let (cluster, secret) = if region == PRIMARY {
        ("primary_db_cluster_main_arn", "global_secret_database_arn")
    } else {
        ("secondary_db_cluster_main_arn", "global_secret_database_replica_arn")
    };
    let output = |name: &str| outputs[name].as_str().unwrap_or_else(|| panic!("no {name}: {outputs:#}")).to_owned();
    let config = aws_sdk_rdsdata::config::Builder::from(&stack.sdk(region).await)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(PATIENCE).build())
        .build();
    let client = aws_sdk_rdsdata::Client::from_conf(config);
    client.execute_statement().resource_arn(output(cluster)).secret_arn(output(secret)).database("payments").sql(sql)
}

/// Makes a payment over HTTP at home, and returns its id.
pub(super) async fn pay(stack: &Stack, outputs: &Value) -> String {
    let endpoint = outputs["primary_api_main_endpoint"].as_str().expect("an endpoint");
    let key = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let body = r#"{"amount":1250,"currency":"EUR","reference":"Invoice 4711"}"#;
    let request = format!(
        "POST /payments HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        endpoint.trim_start_matches("http://"),
        body.len()
    );
    let address = stack.address();
    let exchange = move || -> std::io::Result<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = tokio::task::spawn_blocking(exchange).await.expect("asked").expect("answered");
    assert!(answer.contains(" 201 "), "{answer}");
    let lower = answer.to_lowercase();
    let (_, location) = lower.split_once("location: /payments/").expect("a location");
    location.lines().next().expect("an id").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_is_answered_by_the_writer_and_a_payment_is_a_row() {
    let stack = Stack::new();
    stack.configure("[api]\nauth = \"none\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    let outputs = stack.run(&["outputs"]).exits(0).json();

    let id = pay(&stack, &outputs).await;
    let select = "select amount, currency, reference, region from payments where id = :id";
    let parameter = SqlParameter::builder().name("id").value(Field::StringValue(id)).build();
    let found = statement(&stack, &outputs, PRIMARY, select).await.parameters(parameter).send().await.expect("found");
    let text = |text: &str| Field::StringValue(text.to_owned());
    let row = vec![Field::LongValue(1250), text("EUR"), text("Invoice 4711"), text(PRIMARY)];
    assert_eq!(found.records(), [row]);

    let refused = statement(&stack, &outputs, SECONDARY, "select 1").await.send().await.expect_err("a secondary");
    let refused = refused.into_service_error();
    assert!(refused.is_database_unavailable_exception(), "{:?}", refused.meta());
}
