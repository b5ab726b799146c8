//! Tests of a served proxy with everything behind it, but with a few fixed answers instead of the emulator.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Proxy, ProxyOptions};
use crate::loopback::exchange_async;

type TestResult = Result<(), Box<dyn std::error::Error>>;

const LIMIT: Duration = Duration::from_secs(10);

/// A call of account 111122223333, signed in its URL.
macro_rules! signed {
    ($path:literal, $region:literal, $service:literal) => {
        concat!($path, "?X-Amz-Credential=111122223333%2F20261123%2F", $region, "%2F", $service, "%2Faws4_request")
    };
}

const CHECKS: &str = "<r><HealthChecks><HealthCheck><Id>c1</Id><HealthCheckConfig><Type>HTTPS</Type>\
    <FullyQualifiedDomainName>a1.execute-api.us-east-1.amazonaws.com</FullyQualifiedDomainName>\
    <ResourcePath>/health</ResourcePath></HealthCheckConfig></HealthCheck></HealthChecks></r>";

const ZONES: &str =
    "<r><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name></HostedZone></HostedZones></r>";

fn records() -> String {
    let record = |role: &str, check: &str| {
        format!(
            "<ResourceRecordSet><Name>api.example.com.</Name><Type>CNAME</Type><SetIdentifier>{role}</SetIdentifier>\
             <Failover>{role}</Failover><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>{role}.example.org</Value>\
             </ResourceRecord></ResourceRecords>{check}</ResourceRecordSet>"
        )
    };
    let (primary, secondary) = (record("PRIMARY", "<HealthCheckId>c1</HealthCheckId>"), record("SECONDARY", ""));
    format!("<r><ResourceRecordSets>{primary}{secondary}</ResourceRecordSets></r>")
}

/// A proxy in front of an emulator that has the API `a1` in us-east-1, a health check of it, and a failover pair. Returns its
/// port, and that of its name server.
async fn proxy() -> Result<(u16, u16), Box<dyn std::error::Error>> {
    let emulator = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = format!("http://{}", emulator.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = emulator.accept().await {
            let service = service_fn(|request: Request<Incoming>| async move {
                let path = request.uri().path().to_owned();
                request.into_body().collect().await?;
                let answer = match path.as_str() {
                    "/v2/apis" => r#"{"items":[{"apiId":"a1"}]}"#.to_owned(),
                    "/v2/apis/a1/routes" => r#"{"items":[]}"#.to_owned(),
                    "/2013-04-01/healthcheck" => CHECKS.to_owned(),
                    "/2013-04-01/hostedzone" => ZONES.to_owned(),
                    "/2013-04-01/hostedzone/Z1/rrset" => records(),
                    _ => "<r/>".to_owned(),
                };
                Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(answer))))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let options = ProxyOptions { own_ministack: true, ..ProxyOptions::instant(port, upstream) };
    let proxy = Arc::new(Proxy::start(options).await?);
    let dns_port = proxy.dns_port();
    tokio::spawn(proxy.serve(listener));
    Ok((port, dns_port))
}

async fn ask(port: u16, method: &'static str, path: &'static str, body: &str) -> std::io::Result<Value> {
    let answer = exchange_async(port, method, path, body.to_owned(), LIMIT).await?;
    Ok(serde_json::from_slice(&answer.body).unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into()))
}

/// Where the name leads, and the one check.
async fn picture(port: u16) -> std::io::Result<(String, Value)> {
    let all = ask(port, "GET", "/_drctl/dns?account=111122223333", "").await?;
    let account = &all["accounts"]["111122223333"];
    let leads_to = account["names"][0]["leads_to"][0].as_str().unwrap_or_default().to_owned();
    Ok((leads_to, account["checks"][0].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn checkers_look_through_the_proxy_and_see_when_a_region_is_out() -> TestResult {
    let (port, dns_port) = proxy().await?;
    // Somebody has been shown the API, so it is known whose it is.
    ask(port, "GET", signed!("/v2/apis", "us-east-1", "apigateway"), "").await?;
    ask(port, "POST", signed!("/2013-04-01/healthcheck", "us-east-1", "route53"), "<r/>").await?;
    ask(port, "DELETE", "/_drctl/calls", "").await?;

    let (leads_to, check) = picture(port).await?;
    assert_eq!((leads_to.as_str(), &check["healthy"]), ("PRIMARY.example.org", &Value::Bool(true)), "{check:#}");
    assert_eq!(check["reports"].as_array().map(Vec::len), Some(16));
    let status = check["reports"][0]["status"].as_str().unwrap_or_default();
    assert!(status.starts_with("Success: HTTP Status Code 200, OK"), "{check:#}");
    let calls = ask(port, "GET", "/_drctl/calls", "").await?;
    assert_eq!(calls, serde_json::json!([]), "neither a look nor a question of the data plane is anybody's call");

    let out = r#"{"us-east-1":{"is":"out","manner":"reset"}}"#;
    ask(port, "PUT", "/_drctl/regions", out).await?;
    let zones = exchange_async(
        port,
        "GET",
        signed!("/2013-04-01/hostedzone", "us-east-1", "route53"),
        String::new(),
        Duration::from_secs(2),
    );
    assert!(zones.await.is_err(), "the control plane is out");
    let (leads_to, check) = picture(port).await?;
    assert_eq!((leads_to.as_str(), &check["healthy"]), ("SECONDARY.example.org", &Value::Bool(false)), "{check:#}");
    assert_eq!(check["reports"].as_array().map(Vec::len), Some(14), "two of the checkers are in us-east-1");

    ask(port, "PUT", "/_drctl/regions", r#"{"us-east-1":{"is":"up"}}"#).await?;
    assert_eq!(picture(port).await?.0, "PRIMARY.example.org");
    ask(port, "PUT", "/_drctl/regions", r#"{"us-east-1":{"is":"out"}}"#).await?;
    let (leads_to, check) = picture(port).await?;
    let status = check["reports"][0]["status"].as_str().unwrap_or_default();
    assert!(leads_to == "SECONDARY.example.org" && status.contains("did not respond within"), "{check:#}");
    let health = ask(port, "GET", "/_drctl/health", "").await?;
    assert_eq!(health["dns"], format!("127.0.0.1:{dns_port}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_has_its_own_name_server_until_the_reset() -> TestResult {
    let (port, dns_port) = proxy().await?;
    ask(port, "POST", signed!("/2013-04-01/healthcheck", "us-east-1", "route53"), "<r/>").await?;
    let all = ask(port, "GET", "/_drctl/dns", "").await?;
    assert_eq!(all["address"], format!("127.0.0.1:{dns_port}"));
    let accounts: Vec<_> = all["accounts"].as_object().into_iter().flatten().map(|(account, _)| account).collect();
    assert_eq!(accounts, ["111122223333"]);
    let of = async |path| ask(port, "GET", path, "").await;
    let (one, other) = (of("/_drctl/dns?account=111122223333").await?, of("/_drctl/dns?account=444455556666").await?);
    assert!(one["address"] != other["address"] && one["address"] != all["address"], "{one:#} {other:#}");
    ask(port, "POST", "/_drctl/reset", "").await?;
    assert_eq!(of("/_drctl/dns").await?["accounts"], serde_json::json!({}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_for_all_services_leave_the_checkers_alone() -> TestResult {
    let (port, _) = proxy().await?;
    ask(port, "GET", signed!("/v2/apis", "us-east-1", "apigateway"), "").await?;
    for (fault, expected) in [
        ("[[fault]]\ndoes = \"fail\"\n", "PRIMARY.example.org"),
        ("[[fault]]\nservice = \"execute-api\"\ndoes = \"fail\"\n", "SECONDARY.example.org"),
    ] {
        ask(port, "PUT", "/_drctl/faults", fault).await?;
        let (leads_to, check) = picture(port).await?;
        assert_eq!(leads_to, expected, "{fault}: {check:#}");
    }
    Ok(())
}
