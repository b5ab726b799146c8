//! One look at an endpoint, as a checker of Route 53 takes it. See docs/aws-behaviour.md#health-checker-limits.
//!
//! The limits are from
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html>. They are
//! not divided by the time scale: what answers is a process on this machine, which does not become faster.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls;
use super::zones::{Endpoint, Protocol};

/// "The string must appear entirely in the first 5,120 bytes of the response body."
const SEARCHED: usize = 5_120;

/// How the checkers name themselves. AWS's have the id of the check in the parentheses; here it stands for all of them.
pub(crate) const USER_AGENT: &str =
    concat!("Amazon-Route53-Health-Check-Service (drctl ", env!("CARGO_PKG_VERSION"), ")");

/// The header by which the sandbox tells a checker that there is no answer and none will come, so that nobody has to wait for
/// the end of the time limit.
pub(crate) const HANGS: &str = "x-drctl-hangs";

/// What a look showed: whether it is a success, and the text that `GetHealthCheckStatus` reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) success: bool,
    /// Begins with `Success: ` or `Failure: `.
    pub(crate) status: String,
}

impl Outcome {
    fn failure(reason: &str) -> Self {
        Self { success: false, status: format!("Failure: {reason}") }
    }
}

/// A way to look at endpoints.
pub(crate) trait Prober: Send + Sync {
    /// Looks once. Ends within the limits of Route 53's checkers.
    fn look(&self, account: &str, endpoint: &Endpoint) -> BoxFuture<'static, Outcome>;
}

/// Where a name leads in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    /// The `Host` header with which the request is recognised there; `None` for the one that the check itself sends.
    pub(crate) host: Option<String>,
    /// Whether a check of HTTPS finds TLS there. The sandbox's own port speaks HTTP in the clear.
    pub(crate) tls: bool,
}

/// Says where an endpoint is, given the account and the endpoint; `None` if nothing has that name.
pub(crate) type Places = Arc<dyn Fn(&str, &Endpoint) -> Option<Place> + Send + Sync>;

/// Leads to the sandbox: APIs, and the names for which `serves` is true given the account and the name (the custom domains of
/// APIs), are at its `port`. Addresses on loopback are where they are. Nothing else exists: a sandbox makes no connection to
/// other machines.
pub(crate) fn in_sandbox(port: u16, serves: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Places {
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Arc::new(move |account, endpoint| {
        let tls = endpoint.protocol == Protocol::Https;
        if let Some(address) = endpoint.address.or_else(|| literal(&endpoint.host)) {
            return address.is_loopback().then(|| Place { address: (address, endpoint.port).into(), host: None, tls });
        }
        if let Some(api) = api_of(&endpoint.host) {
            let host = Some(format!("{api}.execute-api.localhost:{port}"));
            return Some(Place { address: own, host, tls: false });
        }
        serves(account, &endpoint.host).then(|| Place { address: own, host: Some(endpoint.host.clone()), tls: false })
    })
}

/// The address that a host stands for by itself.
fn literal(host: &str) -> Option<IpAddr> {
    match host {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        host => host.parse().ok(),
    }
}

/// The id of the API to which a host name belongs: on AWS, and as the sandbox itself writes it.
pub(super) fn api_of(host: &str) -> Option<&str> {
    let (api, rest) = host.split_once(".execute-api.")?;
    let name = rest.split(':').next().unwrap_or_default();
    (name == "localhost" || name.ends_with(".amazonaws.com")).then_some(api)
}

/// How long a checker waits.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// "Route 53 must be able to establish a TCP connection with the endpoint within four seconds."
    connect: Duration,
    /// For a check of TCP, "within ten seconds".
    connect_tcp: Duration,
    /// "The endpoint must respond with an HTTP status code of 2xx or 3xx within two seconds after connecting", and the body
    /// "within the next two seconds".
    answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(4), connect_tcp: Duration::from_secs(10), answer: Duration::from_secs(2) }
    }
}

/// Looks over the network.
pub(crate) struct Network {
    places: Places,
    limits: Limits,
    with_sni: Arc<ClientConfig>,
    without_sni: Arc<ClientConfig>,
}

impl Network {
    /// # Errors
    /// If TLS cannot be set up.
    pub(crate) fn new(places: Places) -> Result<Self, rustls::Error> {
        let with_sni = tls::unverified()?;
        let mut without_sni = with_sni.clone();
        without_sni.enable_sni = false;
        let limits = Limits::default();
        Ok(Self { places, limits, with_sni: Arc::new(with_sni), without_sni: Arc::new(without_sni) })
    }
}

impl Prober for Network {
    fn look(&self, account: &str, endpoint: &Endpoint) -> BoxFuture<'static, Outcome> {
        let Some(place) = (self.places)(account, endpoint) else {
            let why = format!("DNS resolution failed: nothing in the sandbox has the name {}", endpoint.host_header());
            return async move { Outcome::failure(&why) }.boxed();
        };
        let tls = if endpoint.sni { &self.with_sni } else { &self.without_sni };
        let look = Look { endpoint: endpoint.clone(), place, limits: self.limits, tls: Arc::clone(tls) };
        look.take().boxed()
    }
}

/// One look on its way.
struct Look {
    endpoint: Endpoint,
    place: Place,
    limits: Limits,
    tls: Arc<ClientConfig>,
}

/// Why a look found nothing that could be judged.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// As AWS words it: <https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheckLastFailureReason.html>.
    #[error("The health checker could not establish a connection within the timeout limit.")]
    NoConnection,
    #[error("The health checker could not establish a connection: {0}")]
    Refused(#[source] io::Error),
    #[error("The TLS handshake with the endpoint failed: {0}")]
    NoTls(#[source] io::Error),
    #[error("The endpoint did not respond within the timeout limit.")]
    NoAnswer,
    #[error("The body of the response did not arrive within the timeout limit.")]
    NoBody,
    #[error("The endpoint's response is not valid HTTP: {0}")]
    NotHttp(#[from] hyper::Error),
    #[error("The check's host and path do not make a valid request: {0}")]
    NotARequest(#[from] http::Error),
}

impl Look {
    async fn take(self) -> Outcome {
        match self.connect().await {
            Ok(outcome) => self.resolved(outcome),
            Err(trouble) => self.resolved(Outcome::failure(&trouble.to_string())),
        }
    }

    /// For a check of a name, AWS reports to which address it led.
    fn resolved(&self, outcome: Outcome) -> Outcome {
        if self.endpoint.address.is_some() {
            return outcome;
        }
        let status = outcome.status.trim_end_matches('.');
        Outcome { status: format!("{status}. Resolved IP: {}", self.place.address.ip()), ..outcome }
    }

    async fn connect(&self) -> Result<Outcome, Trouble> {
        let is_tcp = self.endpoint.protocol == Protocol::Tcp;
        let limit = if is_tcp { self.limits.connect_tcp } else { self.limits.connect };
        let connected = timeout(limit, TcpStream::connect(self.place.address)).await;
        let stream = connected.map_err(|_| Trouble::NoConnection)?.map_err(Trouble::Refused)?;
        if is_tcp {
            let status = "Success: The health checker established a TCP connection".to_owned();
            return Ok(Outcome { success: true, status });
        }
        let answered = timeout(self.limits.answer, async {
            if !self.place.tls || self.endpoint.protocol != Protocol::Https {
                return self.ask(stream).await;
            }
            let name = self.server_name();
            let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(Trouble::NoTls)?;
            self.ask(tls).await
        });
        let (status, body) = answered.await.map_err(|_| Trouble::NoAnswer)??;
        if !(200..=399).contains(&status.as_u16()) {
            return Ok(Outcome::failure(&code(status)));
        }
        let Some(search) = &self.endpoint.search else {
            return Ok(Outcome { success: true, status: format!("Success: {}", code(status)) });
        };
        let body = timeout(self.limits.answer, beginning(body)).await.map_err(|_| Trouble::NoBody)??;
        if contains(&body, search.as_bytes()) {
            return Ok(Outcome { success: true, status: format!("Success: {}", code(status)) });
        }
        let why =
            format!("{}, but the first {SEARCHED} bytes of the body do not contain the search string", code(status));
        Ok(Outcome::failure(&why))
    }

    /// Without a name that TLS can have, the address stands in.
    fn server_name(&self) -> ServerName<'static> {
        let name = ServerName::try_from(self.endpoint.host.clone());
        name.unwrap_or_else(|_| ServerName::IpAddress(self.place.address.ip().into()))
    }

    async fn ask<S>(&self, stream: S) -> Result<(StatusCode, Incoming), Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let host = self.place.host.clone().unwrap_or_else(|| self.endpoint.host_header());
        let request = Request::get(&self.endpoint.path)
            .header(HOST, host)
            .header(http::header::USER_AGENT, USER_AGENT)
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        // Ends with the body, which is dropped with the look at the latest.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "the connection of a health checker ended early");
            }
        });
        let answer = sender.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        if parts.headers.contains_key(HANGS) { Err(Trouble::NoAnswer) } else { Ok((parts.status, body)) }
    }
}

fn code(status: StatusCode) -> String {
    format!("HTTP Status Code {}, {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
}

/// The part of a body that is searched.
async fn beginning(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut read = Vec::new();
    while read.len() < SEARCHED
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
    }
    read.truncate(SEARCHED);
    Ok(read)
}

fn contains(text: &[u8], searched: &[u8]) -> bool {
    searched.is_empty() || text.windows(searched.len()).any(|window| window == searched)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::sync::lock;
    use crate::world::route53::zones::Source;
    use crate::world::route53::zones::tests::http;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    const ACCOUNT: &str = "111122223333";

    /// A network whose checkers wait for half a second only.
    fn impatient(places: Places) -> Result<Network, rustls::Error> {
        let short = Duration::from_millis(500);
        let limits = Limits { connect: short, connect_tcp: short, answer: short };
        Ok(Network { limits, ..Network::new(places)? })
    }

    fn endpoint(port: u16) -> Endpoint {
        match http("c", "localhost", port).source {
            Source::Endpoint(endpoint) => endpoint,
            other => panic!("{other:?}"),
        }
    }

    async fn look(endpoint: &Endpoint) -> Result<Outcome, rustls::Error> {
        Ok(impatient(in_sandbox(1, |_, _| false))?.look(ACCOUNT, endpoint).await)
    }

    /// Answers every request with these parts, which are sent with a pause before each. Returns its port and what it was
    /// asked.
    async fn serve(parts: &'static [(u64, &'static str)]) -> io::Result<(u16, Arc<Mutex<String>>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let asked = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut read = vec![0; 4096];
                let Ok(length) = stream.read(&mut read).await else { continue };
                lock(&log).push_str(&String::from_utf8_lossy(&read[..length]));
                for (pause, part) in parts {
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                    if stream.write_all(part.as_bytes()).await.is_err() {
                        break;
                    }
                }
            }
        });
        Ok((port, asked))
    }

    #[tokio::test]
    async fn an_answer_is_judged_by_its_status() -> TestResult {
        let (port, asked) = serve(&[(0, "HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n\r\n")]).await?;
        let outcome = look(&endpoint(port)).await?;
        let expected = "Success: HTTP Status Code 301, Moved Permanently. Resolved IP: 127.0.0.1";
        assert_eq!((outcome.success, outcome.status.as_str()), (true, expected));
        let asked = lock(&asked).to_lowercase();
        assert!(asked.starts_with("get /health http/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: localhost:{port}\r\n")), "{asked}");
        assert!(asked.contains("user-agent: amazon-route53-health-check-service"), "{asked}");
        let (port, _) = serve(&[(0, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")]).await?;
        let address = Some(Ipv4Addr::LOCALHOST.into());
        let outcome = look(&Endpoint { address, ..endpoint(port) }).await?;
        let expected = "Failure: HTTP Status Code 503, Service Unavailable";
        assert_eq!((outcome.success, outcome.status.as_str()), (false, expected));
        Ok(())
    }

    #[tokio::test]
    async fn an_endpoint_that_died_refuses_the_connection() -> TestResult {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        for protocol in [Protocol::Http, Protocol::Tcp] {
            let outcome = look(&Endpoint { protocol, ..endpoint(port) }).await?;
            assert!(!outcome.success && outcome.status.contains("could not establish a connection: "), "{outcome:?}");
        }
        Ok(())
    }

    /// A listener that accepts nothing, and whose queue is full, lets the kernel drop further connections.
    #[tokio::test]
    async fn an_endpoint_that_connects_slowly_fails() -> TestResult {
        let socket = TcpSocket::new_v4()?;
        socket.bind("127.0.0.1:0".parse()?)?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while let Ok(connected) = timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
            queue.push(connected?);
        }
        for protocol in [Protocol::Http, Protocol::Tcp] {
            let outcome = look(&Endpoint { protocol, ..endpoint(address.port()) }).await?;
            assert!(!outcome.success && outcome.status.contains("within the timeout limit"), "{outcome:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_endpoint_that_accepts_and_is_silent_fails_unless_only_tcp_is_checked() -> TestResult {
        let (port, _) = serve(&[(5_000, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]).await?;
        let outcome = look(&endpoint(port)).await?;
        assert!(!outcome.success && outcome.status.contains("did not respond within the timeout limit"), "{outcome:?}");
        let outcome = look(&Endpoint { protocol: Protocol::Tcp, ..endpoint(port) }).await?;
        assert!(outcome.success, "{outcome:?}");
        let (port, _) = serve(&[(0, "who is there?\r\n\r\n")]).await?;
        let outcome = look(&endpoint(port)).await?;
        assert!(!outcome.success && outcome.status.contains("not valid HTTP"), "{outcome:?}");
        Ok(())
    }

    #[tokio::test]
    async fn an_answer_that_says_that_there_is_none_is_none() -> TestResult {
        let (port, _) = serve(&[(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Drctl-Hangs: 1\r\n\r\n")]).await?;
        let began = std::time::Instant::now();
        let outcome = look(&endpoint(port)).await?;
        assert!(!outcome.success && outcome.status.contains("did not respond within the timeout limit"), "{outcome:?}");
        assert!(began.elapsed() < Duration::from_millis(400), "without the wait");
        Ok(())
    }

    #[tokio::test]
    async fn a_body_counts_only_if_it_is_searched() -> TestResult {
        let slow: &[(u64, &str)] = &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nall"), (5_000, " OK")];
        for (parts, search, success) in [
            (slow, None, true),
            (slow, Some("OK"), false),
            (&[(0, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nall"), (20, " OK")][..], Some("all OK"), true),
            (&[(0, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")][..], Some("OK"), false),
            (&[(0, "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nOK")][..], Some("OK"), false),
        ] {
            let (port, _) = serve(parts).await?;
            let search = search.map(str::to_owned);
            let outcome = look(&Endpoint { search: search.clone(), ..endpoint(port) }).await?;
            assert_eq!(outcome.success, success, "{parts:?} {search:?}: {outcome:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_string_behind_the_limit_is_not_found() -> TestResult {
        let text = |padding: usize| {
            let body = format!("{}OK", "x".repeat(padding));
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        let (inside, behind) = (text(SEARCHED - 2), text(SEARCHED - 1));
        for (answer, success) in [(inside, true), (behind, false)] {
            let parts: &'static [(u64, &'static str)] = vec![(0, &*answer.leak())].leak();
            let (port, _) = serve(parts).await?;
            let outcome = look(&Endpoint { search: Some("OK".to_owned()), ..endpoint(port) }).await?;
            assert_eq!(outcome.success, success, "{outcome:?}");
        }
        Ok(())
    }

    #[test]
    fn names_lead_to_the_sandbox_or_nowhere() {
        let places = in_sandbox(4000, |account, host| account == ACCOUNT && host == "api.example.com");
        let of = |host: &str, protocol| {
            let endpoint = Endpoint { host: host.to_owned(), protocol, port: 443, ..endpoint(443) };
            places(ACCOUNT, &endpoint)
        };
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000));
        for name in
            ["a1.execute-api.us-east-1.amazonaws.com", "a1.execute-api.localhost:4000", "a1.execute-api.localhost"]
        {
            let host = Some("a1.execute-api.localhost:4000".to_owned());
            assert_eq!(of(name, Protocol::Https), Some(Place { address: own, host, tls: false }), "{name}");
        }
        let host = Some("api.example.com".to_owned());
        assert_eq!(of("api.example.com", Protocol::Https), Some(Place { address: own, host, tls: false }));
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 443));
        assert_eq!(of("localhost", Protocol::Http), Some(Place { address: local, host: None, tls: false }));
        assert_eq!(of("127.0.0.1", Protocol::Https), Some(Place { address: local, host: None, tls: true }));
        for name in ["www.example.com", "192.0.2.1", "a1.execute-api.example.com"] {
            assert_eq!(of(name, Protocol::Http), None, "{name}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_fails() -> TestResult {
        let outcome = look(&Endpoint { host: "www.example.com".to_owned(), ..endpoint(80) }).await?;
        let expected = "Failure: DNS resolution failed: nothing in the sandbox has the name www.example.com";
        assert_eq!((outcome.success, outcome.status.as_str()), (false, expected));
        Ok(())
    }
}
