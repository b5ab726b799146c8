//! The proxy: every call to "AWS" passes through it.

mod admin;
pub(super) mod call_log;
mod upstream;
#[cfg(test)]
mod wiring;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::error::SandboxError;
use super::options::Pace;
use super::rules::faults::{FaultFile, Faults};
use super::rules::rule::{Next, Origin, Rule};
use super::rules::{self, Rules};
use super::wire::answer::{Answer, Delivery};
use super::wire::call::Call;
use super::wire::recorded::RecordedRequest;
use super::world::World;
use super::world::aurora::Place;
use super::world::route53::{HANGS, Route53};
use call_log::{CallLog, CallRecord};
use upstream::Upstream;

/// Bodies are held in memory as a whole, since rules may have to read them. drctl makes no call with a larger body.
const BODY_LIMIT: usize = 512 * 1024 * 1024;

/// How long to wait when no connection can be accepted: the machine is out of file descriptors, and trying again at
/// once would only make that worse.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The options of the proxy.
#[derive(Debug, Clone)]
pub(super) struct ProxyOptions {
    /// The port on which it will serve: Route 53's health checkers reach the APIs there.
    pub(super) port: u16,
    /// The port of the name server; 0 takes a free one.
    pub(super) dns_port: u16,
    /// The emulator's URL.
    pub(super) upstream: String,
    /// Whether the emulator is the sandbox's own MiniStack.
    pub(super) own_ministack: bool,
    pub(super) pace: Pace,
    pub(super) time_scale: f64,
    pub(super) emulator_log: Option<PathBuf>,
    /// The faults that are in force from the start, for every account.
    pub(super) faults: Option<FaultFile>,
    /// Where the servers of Aurora's clusters are; `None` if there can be none.
    pub(super) aurora: Option<Place>,
}

#[cfg(test)]
impl ProxyOptions {
    /// The instant pace before another emulator.
    fn instant(port: u16, upstream: String) -> Self {
        Self {
            port,
            dns_port: 0,
            upstream,
            own_ministack: false,
            pace: Pace::Instant,
            time_scale: 60.0,
            emulator_log: None,
            faults: None,
            aurora: None,
        }
    }
}

/// The proxy.
pub(super) struct Proxy {
    options: ProxyOptions,
    /// What happens to a call on its way to AWS.
    way: Vec<Box<dyn Rule>>,
    aws: Arc<Aws>,
    faults: Arc<Faults>,
    world: World,
    route53: Arc<Route53>,
    calls: CallLog,
}

/// AWS for whoever gets there: the emulator, and the rules that make it behave as AWS does.
struct Aws {
    rules: Vec<Box<dyn Rule>>,
    upstream: Arc<Upstream>,
}

impl Origin for Aws {
    fn answer<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Answer> {
        async move { Next::new(&self.rules, &*self.upstream).run(&mut call.clone()).await }.boxed()
    }
}

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
struct Cut;

impl Proxy {
    /// Starts what does not wait for calls: Route 53's checkers and name servers.
    pub(super) async fn start(options: ProxyOptions) -> Result<Self, SandboxError> {
        let upstream = Arc::new(Upstream::new(&options.upstream, options.emulator_log.clone())?);
        let faults = Arc::new(Faults::default());
        if let Some(file) = &options.faults {
            faults.put(None, file);
        }
        let scale = (options.pace == Pace::Aws).then_some(options.time_scale);
        let world = World::new(options.aurora.clone(), scale);
        let emulator: Arc<dyn Origin> = Arc::clone(&upstream) as _;
        let Rules { way, aws } = rules::all(&world, &faults, options.own_ministack.then_some(&emulator), scale);
        let aws = Arc::new(Aws { rules: aws, upstream });
        let origin: Arc<dyn Origin> = Arc::clone(&aws) as _;
        let route53 = Route53::of_sandbox(origin, &world.regions, options.port, scale, options.dns_port).await?;
        let route53 = Arc::new(route53);
        world.attach(&route53);
        Ok(Self { options, way, aws, faults, world, route53, calls: CallLog::default() })
    }

    /// The port of the name server for the zones of all accounts.
    pub(super) fn dns_port(&self) -> u16 {
        self.route53.address().port()
    }

    /// Serves until the task is dropped.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        tokio::join!(self.accept(listener), rules::metrics::publish(&self.world.metrics, self.aws.upstream.as_ref()));
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(Arc::clone(self).serve_connection(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Ends what the world runs, with its data: the emulator forgets them, too.
    pub(super) async fn end(&self) {
        if let Err(why) = self.world.aurora.reset(None).await {
            tracing::error!(why, "cannot remove the PostgreSQL servers");
        }
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY: answers may be slower than necessary");
        }
        let service = service_fn(move |request| {
            let proxy = Arc::clone(&self);
            proxy.handle(request).boxed()
        });
        let mut connection = http1::Builder::new()
            // Clients keep idle connections for a long time, and closing one at the wrong moment loses a call.
            .header_read_timeout(None::<Duration>)
            .serve_connection(TokioIo::new(stream), service);
        let served = std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection ended early");
            // Ended with a reset, as when a machine on the way fails, and not in an orderly way.
            if let Err(error) = connection.into_parts().io.into_inner().set_zero_linger() {
                tracing::debug!(%error, "cannot reset the connection: it ends in an orderly way");
            }
        }
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                let message = format!("the request's body cannot be read: {error}");
                let answer = Answer::json(StatusCode::BAD_REQUEST, &serde_json::json!({"message": message}));
                return Ok(answer.into_response());
            }
        };
        if parts.uri.path().starts_with(admin::PREFIX) {
            return Ok(admin::answer(&self, &parts.method, &parts.uri, &body).await.into_response());
        }
        let call = Call::parse(parts, body);
        let by_checker = call.is_health_check();
        // In a task of its own: what AWS is doing goes on if the client is killed while it waits.
        let answer = tokio::spawn(self.carry_out(call)).await;
        let answer = answer.unwrap_or_else(|error| {
            tracing::error!(%error, "a rule of the sandbox failed");
            let message = "a rule of the sandbox failed: this is a bug in drctl, see the sandbox's log";
            Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({"message": message}))
        });
        match answer.delivery {
            Delivery::Sent => Ok(answer.into_response()),
            Delivery::Reset => Err(Cut),
            Delivery::Never if by_checker => {
                let mut told = answer.into_response();
                told.headers_mut().insert(HANGS, HeaderValue::from_static("1"));
                Ok(told)
            }
            Delivery::Never => {
                // Dropped when the client closes the connection.
                answer.over().await;
                Err(Cut)
            }
        }
    }

    async fn carry_out(self: Arc<Self>, mut call: Call) -> Answer {
        if call.is_health_check() {
            return Next::new(&self.way, &*self.aws).run(&mut call).await;
        }
        let started = Instant::now();
        let seq = self.calls.next_number();
        let request = Some(RecordedRequest::of(&call));
        let function = call.function().map(str::to_owned);
        let answer = Next::new(&self.way, &*self.aws).run(&mut call).await;
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = answer.status.as_u16();
        let Call { account, region, service, operation, .. } = call;
        tracing::debug!(seq, account, region, service, operation, status, millis, "call");
        self.calls.add(CallRecord { seq, account, region, service, operation, status, millis, function, request });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as StdStream;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn exchange(port: u16, request: &str) -> std::io::Result<String> {
        let mut stream = StdStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A proxy in front of an emulator that answers with what it was sent.
    async fn proxy_with_echo() -> Result<u16, Box<dyn std::error::Error>> {
        let echo = TcpListener::bind("127.0.0.1:0").await?;
        let upstream = format!("http://{}", echo.local_addr()?);
        tokio::spawn(async move {
            while let Ok((stream, _)) = echo.accept().await {
                let service = service_fn(|request: Request<Incoming>| async move {
                    let host = format!("{:?}", request.headers().get("host"));
                    let body = request.into_body().collect().await?.to_bytes();
                    let text = format!("host {host} body {} bytes", body.len());
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(text))))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let options = ProxyOptions::instant(port, upstream);
        tokio::spawn(Arc::new(Proxy::start(options).await?).serve(listener));
        Ok(port)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn calls_are_forwarded_unchanged_and_recorded() -> TestResult {
        let port = proxy_with_echo().await?;
        let body = "x".repeat(3_000_000);
        let put = format!(
            "PUT /bucket/key HTTP/1.1\r\nHost: bucket.example:99\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=111122223333/20261123/us-east-2/s3/aws4_request, Signature=0\r\n\r\n{body}",
            body.len()
        );
        let answer = tokio::task::spawn_blocking(move || exchange(port, &put)).await??;
        assert!(answer.contains("bucket.example:99") && answer.contains("body 3000000 bytes"), "{answer}");
        let list = "GET /_drctl/calls?account=111122223333 HTTP/1.0\r\n\r\n";
        let answer = tokio::task::spawn_blocking(move || exchange(port, list)).await??;
        assert!(answer.contains("\"operation\":\"PutObject\""), "{answer}");
        assert!(answer.contains("\"region\":\"us-east-2\"") && answer.contains("\"seq\":1"), "{answer}");
        let other = "GET /_drctl/calls?account=444455556666 HTTP/1.0\r\n\r\n";
        let answer = tokio::task::spawn_blocking(move || exchange(port, other)).await??;
        assert!(answer.ends_with("[]"), "{answer}");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn health_names_this_process() -> TestResult {
        let port = proxy_with_echo().await?;
        let answer =
            tokio::task::spawn_blocking(move || exchange(port, "GET /_drctl/health HTTP/1.0\r\n\r\n")).await??;
        assert!(answer.contains(&format!("\"pid\":{}", std::process::id())), "{answer}");
        let answer =
            tokio::task::spawn_blocking(move || exchange(port, "POST /_drctl/reset HTTP/1.0\r\n\r\n")).await??;
        assert!(answer.contains(" 502 ") && answer.contains("only the proxy's memory is empty"), "{answer}");
        let answer =
            tokio::task::spawn_blocking(move || exchange(port, "GET /_drctl/other HTTP/1.0\r\n\r\n")).await??;
        assert!(answer.contains(" 404 "), "{answer}");
        Ok(())
    }
}
