//! The servers are asked over the network, by the resolver that other programs use.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use drctl_failover_dns::check::{Check, Kind};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{DNSClass, RData, Record};
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::super::answer::tests::{alias, pair, set, zone};
use super::super::checkers::Rhythm;
use super::super::probe::{Network, in_sandbox};
use super::super::zones::tests::{Written, http};
use super::super::zones::{Configuration, HealthCheck, Source, Zones};
use super::*;

type TestResult = Result<(), Box<dyn std::error::Error>>;

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";
const NAME: &str = "api.payment-dr-dev.example.com.";

/// Checkers in the pace `aws` at sixty times its speed.
fn checkers(zones: &Arc<Written>) -> Result<Checkers, Box<dyn std::error::Error>> {
    let prober = Network::new(in_sandbox(1, |_, _| false))?;
    let source: Arc<dyn Zones> = zones.clone();
    Ok(Checkers::new(source, Arc::new(prober), Arc::new(|_, _| true), Rhythm::Scaled(60.0)))
}

fn resolver(at: SocketAddr, mut connection: ConnectionConfig) -> TestResultOf<Resolver<TokioRuntimeProvider>> {
    connection.port = at.port();
    let server = NameServerConfig::new(at.ip(), true, vec![connection]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    // Every question is to reach the server, and only once.
    let options = builder.options_mut();
    (options.cache_size, options.attempts) = (0, 0);
    Ok(builder.build()?)
}

type TestResultOf<T> = Result<T, Box<dyn std::error::Error>>;

async fn texts(resolver: &Resolver<TokioRuntimeProvider>, name: &str) -> TestResultOf<Vec<String>> {
    let found = resolver.txt_lookup(name).await?;
    Ok(found.answers().iter().map(|record| record.data.to_string().trim_matches('"').to_owned()).collect())
}

/// A message of our own, and the answer to it over UDP, for what a resolver hides.
async fn exchange(at: SocketAddr, message: &Message) -> TestResultOf<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.send_to(&message.to_vec()?, at).await?;
    let mut answer = vec![0; 65_535];
    let length = timeout(Duration::from_secs(5), socket.recv(&mut answer)).await??;
    Ok(Message::from_vec(&answer[..length])?)
}

fn question(name: &str, kind: RecordType) -> TestResultOf<Message> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name)?, kind));
    Ok(message)
}

async fn asked(at: SocketAddr, name: &str, kind: RecordType) -> TestResultOf<Message> {
    exchange(at, &question(name, kind)?).await
}

/// An HTTP server that answers until it is switched off, and from when it is switched on again.
async fn endpoint() -> io::Result<(u16, Arc<AtomicBool>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let alive = Arc::new(AtomicBool::new(true));
    let is_alive = Arc::clone(&alive);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            if is_alive.load(Ordering::Relaxed) && stream.read(&mut request).await.is_ok() {
                // A checker that has gone away does not read the answer.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    });
    Ok((port, alive))
}

/// The zone as drctl builds it: a pair that leads to the two APIs, and a marker beside it that names the Region.
fn failover_zone() -> Zone {
    let cname = |host: &str| set(NAME, "CNAME", &[host]);
    let marker = |region: &str| set("_region.api.payment-dr-dev.example.com.", "TXT", &[region]);
    let first = cname("p.execute-api.us-east-1.amazonaws.com");
    let second = cname("s.execute-api.us-east-2.amazonaws.com");
    let pairs = [pair(first, second), pair(marker("\"us-east-1\""), marker("\"us-east-2\""))];
    zone("payment-dr-dev.example.com.", pairs.concat())
}

/// The check of the primary: an endpoint on this port, every 10 s, with a threshold of 3.
fn primary(port: u16) -> HealthCheck {
    http("p", "localhost", port)
}

/// Asks until the answer is this. Returns how long it took.
async fn until(resolver: &Resolver<TokioRuntimeProvider>, region: &str) -> TestResultOf<Duration> {
    let start = Instant::now();
    while texts(resolver, "_region.api.payment-dr-dev.example.com.").await? != [region] {
        assert!(start.elapsed() < Duration::from_secs(20), "DNS does not lead to {region}");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(start.elapsed())
}

/// At sixty times the speed, an interval is 167 ms. Between the first and the third look of a checker lie two of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_moves_to_the_secondary_when_the_endpoint_dies_and_back() -> TestResult {
    let (port, alive) = endpoint().await?;
    let zones = Arc::new(Written::default());
    zones.put(ACCOUNT, Configuration { checks: vec![primary(port)], zones: vec![failover_zone()] });
    let checkers = checkers(&zones)?;
    checkers.changed(ACCOUNT);
    let server = DnsServer::bind(checkers.clone(), Whose::Everyone, 0).await?;
    let udp = resolver(server.address(), ConnectionConfig::udp())?;
    let tcp = resolver(server.address(), ConnectionConfig::tcp())?;
    // All checkers have looked.
    sleep(Duration::from_millis(700)).await;
    assert_eq!(texts(&udp, "_region.api.payment-dr-dev.example.com.").await?, ["us-east-1"]);
    alive.store(false, Ordering::Relaxed);
    let moved = until(&udp, "us-east-2").await?;
    // Less than that, since a machine under load delays the first look.
    let shortest = Duration::from_millis(200);
    assert!(moved >= shortest, "it moved after {moved:?}, before any checker had seen three failures");
    for resolver in [&udp, &tcp] {
        let found = resolver.ipv4_lookup(NAME).await?;
        let answers = found.answers();
        let leads_to = "s.execute-api.us-east-2.amazonaws.com.";
        assert!(answers.iter().any(|record| record.data.to_string() == leads_to), "{answers:?}");
        assert!(answers.iter().any(|record| record.data == RData::A(Ipv4Addr::LOCALHOST.into())), "{answers:?}");
    }
    alive.store(true, Ordering::Relaxed);
    let back = until(&tcp, "us-east-1").await?;
    assert!(back >= shortest, "it moved back after {back:?}");
    assert_eq!(texts(&udp, "_region.api.payment-dr-dev.example.com.").await?, ["us-east-1"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_has_a_server_for_its_own_zones() -> TestResult {
    let zones = Arc::new(Written::default());
    let of = |value: &str| Configuration {
        zones: vec![zone("example.com", vec![set("www.example.com", "TXT", &[value])])],
        ..Configuration::default()
    };
    zones.put(ACCOUNT, of("first"));
    zones.put(OTHER, of("second"));
    let checkers = checkers(&zones)?;
    checkers.changed(ACCOUNT);
    checkers.changed(OTHER);
    let servers = NameServers::new(checkers.clone());
    let (first, second) = (servers.address_of(ACCOUNT).await?, servers.address_of(OTHER).await?);
    assert_eq!(servers.address_of(ACCOUNT).await?, first);
    let everyone = DnsServer::bind(checkers, Whose::Everyone, 0).await?;
    for (at, value) in [(first, "first"), (second, "second"), (everyone.address(), "first")] {
        let found = texts(&resolver(at, ConnectionConfig::udp())?, "www.example.com.").await?;
        assert_eq!(found, [value]);
    }
    let nobody = servers.address_of("777788889999").await?;
    assert_eq!(asked(nobody, "www.example.com.", RecordType::TXT).await?.response_code, ResponseCode::Refused);
    servers.reset().await;
    drop(everyone);
    let refused = timeout(Duration::from_millis(200), asked(first, "www.example.com.", RecordType::TXT)).await;
    assert!(!matches!(refused, Ok(Ok(_))), "the server has ended");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_zone_answers_and_nobody_else() -> TestResult {
    let zones = Arc::new(Written::default());
    let txt = |value: &str| set("www.sub.example.com", "TXT", &[value]);
    let zones_of = vec![zone("example.com", vec![txt("large")]), zone("sub.example.com.", vec![txt("small")])];
    zones.put(ACCOUNT, Configuration { zones: zones_of, ..Configuration::default() });
    let checkers = checkers(&zones)?;
    let server = DnsServer::bind(checkers, Whose::Account(ACCOUNT.to_owned()), 0).await?;
    let at = server.address();
    let answer = asked(at, "WWW.sub.Example.com.", RecordType::TXT).await?;
    assert_eq!((answer.response_code, answer.authoritative), (ResponseCode::NoError, true));
    assert!(answer.answers[0].data.to_string().contains("small"), "{answer:?}");
    assert!(answer.queries[0].name().eq_case(&Name::from_ascii("WWW.sub.Example.com.")?), "{answer:?}");
    let answer = asked(at, "gone.example.com.", RecordType::A).await?;
    assert_eq!((answer.response_code, answer.authorities.len()), (ResponseCode::NXDomain, 1));
    assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
    for (name, kind) in [("example.org.", RecordType::A), ("com.", RecordType::NS), ("example.com.", RecordType::AXFR)]
    {
        let answer = asked(at, name, kind).await?;
        assert_eq!((answer.response_code, answer.authoritative), (ResponseCode::Refused, false), "{name}");
    }
    let mut chaos = Query::query(Name::from_ascii("example.com.")?, RecordType::TXT);
    chaos.set_query_class(DNSClass::CH);
    let mut message = Message::query();
    message.add_query(chaos);
    assert_eq!(exchange(at, &message).await?.response_code, ResponseCode::Refused);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_needs_edns_or_tcp() -> TestResult {
    let zones = Arc::new(Written::default());
    let lines: Vec<String> = (0..40).map(|line| format!("\"{line} {}\"", "x".repeat(200))).collect();
    let large: Vec<&str> = lines.iter().map(String::as_str).collect();
    let sets = vec![set("large.example.com", "TXT", &large), set("some.example.com", "TXT", &large[..8])];
    zones.put(ACCOUNT, Configuration { zones: vec![zone("example.com", sets)], ..Configuration::default() });
    let server = DnsServer::bind(checkers(&zones)?, Whose::Account(ACCOUNT.to_owned()), 0).await?;
    let at = server.address();
    let answer = asked(at, "some.example.com.", RecordType::TXT).await?;
    assert!(answer.truncation && answer.edns.is_none() && answer.to_vec()?.len() <= 512, "{answer:?}");
    let with_edns = |name: &str, version| {
        question(name, RecordType::TXT).map(|mut message| {
            let mut edns = Edns::new();
            edns.set_max_payload(4096).set_version(version);
            message.set_edns(edns);
            message
        })
    };
    let answer = exchange(at, &with_edns("some.example.com.", 0)?).await?;
    assert_eq!((answer.truncation, answer.answers.len(), answer.edns.is_some()), (false, 8, true));
    assert!(exchange(at, &with_edns("large.example.com.", 0)?).await?.truncation);
    // BADVERS, which has the same number as BADSIG.
    assert_eq!(u16::from(exchange(at, &with_edns("some.example.com.", 1)?).await?.response_code), 16);
    let found = texts(&resolver(at, ConnectionConfig::tcp())?, "large.example.com.").await?;
    assert_eq!(found.len(), 40);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_finds_everything_that_a_zone_has() -> TestResult {
    let zones = Arc::new(Written::default());
    let sets = vec![
        alias(set("api.example.com.", "A", &[]), "d-1.execute-api.us-east-1.amazonaws.com.", false),
        set("six.example.com.", "AAAA", &["2001:db8::1"]),
        set("www.example.com.", "CNAME", &["api.example.com."]),
    ];
    zones.put(ACCOUNT, Configuration { zones: vec![zone("example.com.", sets)], ..Configuration::default() });
    let server = DnsServer::bind(checkers(&zones)?, Whose::Account(ACCOUNT.to_owned()), 0).await?;
    let udp = resolver(server.address(), ConnectionConfig::udp())?;
    let addresses = |records: &[Record]| records.iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>();
    let found = udp.ipv4_lookup("www.example.com.").await?;
    assert_eq!(addresses(found.answers()), [IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(found.answers().last().map(|record| record.ttl), Some(60));
    let found = udp.ipv6_lookup("six.example.com.").await?;
    assert_eq!(addresses(found.answers()), ["2001:db8::1".parse::<IpAddr>()?]);
    assert_eq!(udp.ns_lookup("example.com.").await?.answers().len(), 2);
    assert_eq!(udp.soa_lookup("example.com.").await?.answers().len(), 1);
    let error = udp.ipv4_lookup("gone.example.com.").await.expect_err("it does not exist");
    assert!(error.is_nx_domain(), "{error}");
    let error = udp.ipv4_lookup("six.example.com.").await.expect_err("it has no address of that kind");
    assert!(error.is_no_records_found() && !error.is_nx_domain(), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_failure_of_the_server() -> TestResult {
    let zones = Arc::new(Written::default());
    zones.break_down(true);
    let checkers = checkers(&zones)?;
    let server = DnsServer::bind(checkers.clone(), Whose::Account(ACCOUNT.to_owned()), 0).await?;
    let answer = asked(server.address(), "example.com.", RecordType::A).await?;
    assert_eq!(answer.response_code, ResponseCode::ServFail);
    zones.break_down(false);
    assert_eq!(asked(server.address(), "example.com.", RecordType::A).await?.response_code, ResponseCode::Refused);
    let mut update = Message::query();
    update.metadata.op_code = OpCode::Notify;
    assert_eq!(exchange(server.address(), &update).await?.response_code, ResponseCode::NotImp);
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() -> TestResult {
    let checkers = checkers(&Arc::new(Written::default()))?;
    let server = DnsServer::bind(checkers.clone(), Whose::Everyone, 0).await?;
    let taken = DnsServer::bind(checkers, Whose::Everyone, server.address().port()).await;
    assert!(taken.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
    Ok(())
}

/// A check that counts another, in front of a pair: what `dig` shows follows the chain.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_instant_pace_the_answer_follows_at_once() -> TestResult {
    let (port, alive) = endpoint().await?;
    let zones = Arc::new(Written::default());
    let counted = HealthCheck {
        check: Check {
            id: "p".to_owned(),
            kind: Kind::Calculated { children: vec!["child".to_owned()], threshold: 1 },
            inverted: false,
            disabled: false,
        },
        source: Source::Nothing,
    };
    let checks = vec![counted, http("child", "localhost", port)];
    zones.put(ACCOUNT, Configuration { checks, zones: vec![failover_zone()] });
    let prober = Network::new(in_sandbox(1, |_, _| false))?;
    let source: Arc<dyn Zones> = zones.clone();
    let checkers = Checkers::new(source, Arc::new(prober), Arc::new(|_, _| true), Rhythm::WhenAsked);
    let server = DnsServer::bind(checkers, Whose::Account(ACCOUNT.to_owned()), 0).await?;
    let udp = resolver(server.address(), ConnectionConfig::udp())?;
    for (is_alive, region) in [(true, "us-east-1"), (false, "us-east-2"), (true, "us-east-1")] {
        alive.store(is_alive, Ordering::Relaxed);
        assert_eq!(texts(&udp, "_region.api.payment-dr-dev.example.com.").await?, [region]);
    }
    Ok(())
}
