//! Health checks that run, and DNS that answers: asked as a client's resolver asks, over UDP.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckType};
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use serde_json::{Value, json};

use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// How long an answer may take to change: a function that starts slowly has failed a look.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a test waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(1500);

/// A resolver that asks the name server of the stack's account, and caches nothing.
fn resolver(stack: &Stack) -> Resolver<TokioRuntimeProvider> {
    let at: SocketAddr = stack.dns()["address"].as_str().expect("an address").parse().expect("an address");
    let mut connection = ConnectionConfig::udp();
    connection.port = at.port();
    let server = NameServerConfig::new(at.ip(), true, vec![connection]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    builder.build().expect("a resolver")
}

/// The name to which a name leads, without the dot at its end.
async fn leads_to(resolver: &Resolver<TokioRuntimeProvider>, name: &str) -> Option<String> {
    let found = resolver.lookup(format!("{name}."), RecordType::CNAME).await.ok()?;
    found.answers().first().map(|record| record.data.to_string().trim_end_matches('.').to_owned())
}

async fn until_it_leads_to(resolver: &Resolver<TokioRuntimeProvider>, name: &str, host: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = leads_to(resolver, name).await;
        if found.as_deref() == Some(host) {
            return;
        }
        assert!(Instant::now() < until, "{name} leads to {found:?}, and not to {host}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_moves_to_the_standby_when_home_is_out_and_back() {
    let stack = Stack::new();
    stack.configure("[lambda]\nledger = \"dynamodb\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    let outputs = stack.run(&["outputs"]).exits(0).json();
    let output = |name: &str| outputs[name].as_str().unwrap_or_else(|| panic!("no {name}: {outputs:#}")).to_owned();
    let host = |role: &str| {
        let endpoint = output(&format!("{role}_api_main_endpoint"));
        endpoint.trim_start_matches("http://").split(':').next().unwrap_or_default().to_owned()
    };
    let (name, home, away) = (output("public_name"), host("primary"), host("secondary"));
    let resolver = resolver(&stack);
    until_it_leads_to(&resolver, &name, &home).await;
    let recorded = stack.calls().len();

    stack.regions(&json!({PRIMARY: {"is": "out"}}));
    until_it_leads_to(&resolver, &name, &away).await;
    // The control plane is in us-east-1, and the data plane is not.
    let route53 = aws_sdk_route53::Client::new(&stack.sdk(SECONDARY).await);
    assert!(tokio::time::timeout(SILENCE, route53.list_hosted_zones().send()).await.is_err());
    assert_eq!(leads_to(&resolver, &name).await, Some(away));
    let picture = stack.dns();
    let checks = picture["accounts"][&stack.account]["checks"].as_array().expect("checks");
    let looks = |of: &'static str| {
        checks.iter().filter(move |check| check["of"].as_str().is_some_and(|about| about.ends_with(of)))
    };
    for check in looks("/health") {
        assert_eq!(
            check["reports"].as_array().map(Vec::len),
            Some(14),
            "two of the checkers are in us-east-1: {check}"
        );
    }
    assert_eq!(looks("/health").filter(|check| check["healthy"] == true).count(), 1, "{picture:#}");
    assert_eq!(looks("/dr/failover").filter(|check| check["healthy"] == true).count(), 1, "nobody has ordered it");

    stack.regions(&json!({PRIMARY: {"is": "up"}}));
    until_it_leads_to(&resolver, &name, &home).await;
    let made: Vec<Value> = stack.calls().split_off(recorded);
    let not_listed = made.iter().filter(|call| call["operation"] != "ListHostedZones").collect::<Vec<_>>();
    assert!(not_listed.is_empty(), "the checkers' looks are nobody's calls: {not_listed:#?}");
    stack.run(&["down", "--yes", "--no-final-snapshot", "--empty-buckets"]).exits(0);
}

/// An HTTP server that answers with a status, which the test can change.
fn serve(status: u16) -> (u16, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let status = Arc::new(AtomicU16::new(status));
    let answered = Arc::clone(&status);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let asked = stream.read(&mut [0; 1024]);
            if !matches!(asked, Ok(1..)) {
                continue;
            }
            let status = answered.load(Ordering::Relaxed);
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // A checker that has gone is not this server's trouble.
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (port, status)
}

/// `HealthThreshold`, `Inverted`, and `Disabled`, as
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html> has them.
#[tokio::test(flavor = "multi_thread")]
async fn calculated_and_inverted_checks_follow_the_documented_tables() {
    let stack = Stack::new();
    let route53 = aws_sdk_route53::Client::new(&stack.sdk(PRIMARY).await);
    let create = async |name: &str, config: HealthCheckConfig| {
        let call = route53.create_health_check().caller_reference(name).health_check_config(config);
        call.send().await.expect("created").health_check().expect("a check").id().to_owned()
    };
    let (port, status) = serve(200);
    let endpoint = || {
        let config = HealthCheckConfig::builder().r#type(HealthCheckType::Http).ip_address("127.0.0.1");
        config.port(i32::from(port)).resource_path("/health").request_interval(10).failure_threshold(3)
    };
    let complete = "a complete configuration";
    let mut ids = BTreeMap::new();
    ids.insert("plain", create("plain", endpoint().build().expect(complete)).await);
    ids.insert("inverted", create("inverted", endpoint().inverted(true).build().expect(complete)).await);
    ids.insert("disabled", create("disabled", endpoint().disabled(true).build().expect(complete)).await);
    for (name, threshold) in [("all of two", 2), ("one of two", 1), ("three of two", 3), ("none of two", 0)] {
        let config = HealthCheckConfig::builder().r#type(HealthCheckType::Calculated).health_threshold(threshold);
        let children = vec![ids["plain"].clone(), ids["inverted"].clone()];
        let config = config.set_child_health_checks(Some(children)).build().expect(complete);
        ids.insert(name, create(name, config).await);
    }
    for (answered, healthy) in [
        (200, ["disabled", "none of two", "one of two", "plain"]),
        (503, ["disabled", "inverted", "none of two", "one of two"]),
    ] {
        status.store(answered, Ordering::Relaxed);
        let picture = stack.dns();
        let checks = picture["accounts"][&stack.account]["checks"].as_array().expect("checks");
        let is_healthy = |id: &str| checks.iter().any(|check| check["id"] == id && check["healthy"] == true);
        let found: Vec<&str> = ids.iter().filter(|(_, id)| is_healthy(id)).map(|(name, _)| *name).collect();
        assert_eq!(found, healthy, "while the endpoint answers {answered}: {picture:#}");
    }
    let seen = route53.get_health_check_status().health_check_id(&ids["plain"]).send().await.expect("answered");
    let seen = seen.health_check_observations();
    assert_eq!(seen.len(), 16);
    let report = seen[0].status_report().and_then(|report| report.status()).unwrap_or_default();
    assert!(report.starts_with("Failure: HTTP Status Code 503"), "{report}");
    let refused = route53.get_health_check_status().health_check_id(&ids["all of two"]).send().await;
    assert!(refused.expect_err("it has no checkers").into_service_error().is_invalid_input());

    // The metric is in us-east-1, wherever the endpoint is.
    let now = aws_smithy_types::DateTime::from(std::time::SystemTime::now());
    let metric = async |region: &str| {
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&stack.sdk(region).await);
        let dimension = aws_sdk_cloudwatch::types::Dimension::builder().name("HealthCheckId").value(&ids["plain"]);
        let answer = cloudwatch
            .get_metric_statistics()
            .namespace("AWS/Route53")
            .metric_name("HealthCheckStatus")
            .dimensions(dimension.build())
            .start_time(aws_smithy_types::DateTime::from_secs(now.secs() - 3600))
            .end_time(aws_smithy_types::DateTime::from_secs(now.secs() + 3600))
            .period(7200)
            .statistics(aws_sdk_cloudwatch::types::Statistic::Minimum)
            .send()
            .await;
        let points = answer.expect("answered").datapoints.unwrap_or_default();
        points.iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::minimum).reduce(f64::min)
    };
    assert_eq!((metric(PRIMARY).await, metric(SECONDARY).await), (Some(0.0), None));
}
