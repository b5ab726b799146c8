//! Probing an endpoint as a health checker does.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::Request;
use http::header::{HOST, USER_AGENT};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// "Route 53 must be able to establish a TCP connection with the endpoint within four seconds."
const CONNECT: Duration = Duration::from_secs(4);

/// "In addition, the endpoint must respond … within two seconds after connecting."
const ANSWER: Duration = Duration::from_secs(2);

/// A way to reach the endpoints of health checks. Its timeouts are its own, within the six seconds that an observation may
/// take.
pub trait Endpoint: Sync {
    /// Requests a path from a host. Returns the HTTP status.
    ///
    /// # Errors
    /// If there was no answer in time.
    fn get(&self, host: &str, path: &str) -> impl Future<Output = Result<u16, ProbeError>> + Send;
}

/// Why an endpoint gave no status.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It cannot be reached.
    #[error("no connection: {0}")]
    Unreachable(#[from] io::Error),
    /// It did not accept the connection in time.
    #[error("no connection within {} s", CONNECT.as_secs())]
    NoConnection,
    /// It accepted the connection, and did not answer in time.
    #[error("no answer within {} s after connecting", ANSWER.as_secs())]
    NoAnswer,
    /// Its answer is not HTTP, or incomplete.
    #[error("no HTTP answer: {0}")]
    NotHttp(#[from] hyper::Error),
    /// Host and path do not make a valid request.
    #[error("not a valid request: {0}")]
    NotARequest(#[from] http::Error),
}

/// All hosts at one address, over plain HTTP: an emulator, which distinguishes its APIs by the name in the request.
#[derive(Debug, Clone, Copy)]
pub struct PlainHttp {
    address: SocketAddr,
}

impl PlainHttp {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Endpoint for PlainHttp {
    async fn get(&self, host: &str, path: &str) -> Result<u16, ProbeError> {
        let host = format!("{}:{}", local_name(host), self.address.port());
        let stream =
            timeout(CONNECT, TcpStream::connect(self.address)).await.map_err(|_| ProbeError::NoConnection)??;
        timeout(ANSWER, exchange(stream, &host, path)).await.map_err(|_| ProbeError::NoAnswer)?
    }
}

/// API Gateway's `ID.execute-api.REGION.amazonaws.com` is `ID.execute-api.localhost` with an emulator, which also reports
/// it with its port.
fn local_name(host: &str) -> String {
    match host.split_once(".execute-api.") {
        Some((id, rest)) if rest.ends_with("amazonaws.com") || rest.starts_with("localhost:") => {
            format!("{id}.execute-api.localhost")
        }
        _ => host.to_owned(),
    }
}

async fn exchange(stream: TcpStream, host: &str, path: &str) -> Result<u16, ProbeError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("drctl/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())?;
    // The connection makes progress only while it is polled.
    let answer = match select(pin!(sender.send_request(request)), pin!(connection)).await {
        Either::Left((answer, _)) => answer?,
        Either::Right((ended, answer)) => {
            ended?;
            answer.await?
        }
    };
    Ok(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Accepts one connection, sends the answer, and returns the request.
    async fn serve(listener: TcpListener, answer: &'static str) -> io::Result<String> {
        let (mut stream, _) = listener.accept().await?;
        let mut asked = vec![0; 4096];
        let read = stream.read(&mut asked).await?;
        stream.write_all(answer.as_bytes()).await?;
        asked.truncate(read);
        Ok(String::from_utf8_lossy(&asked).into_owned())
    }

    async fn listen() -> io::Result<(TcpListener, PlainHttp)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = PlainHttp::new(listener.local_addr()?);
        Ok((listener, endpoint))
    }

    #[tokio::test]
    async fn an_api_is_requested_under_its_local_name() -> Result<(), ProbeError> {
        let (listener, endpoint) = listen().await?;
        let port = listener.local_addr()?.port();
        let server = tokio::spawn(serve(listener, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"));
        let status = endpoint.get("0a1b2c3d.execute-api.us-east-1.amazonaws.com", "/dr/failover").await?;
        assert_eq!(status, 404);
        let asked = server.await.expect("no panic")?.to_lowercase();
        assert!(asked.starts_with("get /dr/failover http/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: 0a1b2c3d.execute-api.localhost:{port}\r\n")), "{asked}");
        Ok(())
    }

    #[tokio::test]
    async fn an_endpoint_that_refuses_or_does_not_speak_http_gives_no_status() -> Result<(), ProbeError> {
        let (listener, endpoint) = listen().await?;
        let server = tokio::spawn(serve(listener, "who is there?\r\n\r\n"));
        assert!(matches!(endpoint.get("host", "/").await, Err(ProbeError::NotHttp(_))));
        server.await.expect("no panic")?;
        assert!(matches!(endpoint.get("host", "/").await, Err(ProbeError::Unreachable(_))));
        let (_listener, endpoint) = listen().await?;
        assert!(matches!(endpoint.get("ho\nst", "/").await, Err(ProbeError::NotARequest(_))));
        Ok(())
    }

    /// "The endpoint must respond … within two seconds after connecting."
    #[tokio::test]
    async fn an_endpoint_that_accepts_and_says_nothing_fails_after_two_seconds() -> Result<(), ProbeError> {
        let (_listener, endpoint) = listen().await?;
        let began = std::time::Instant::now();
        let answer = endpoint.get("host", "/").await;
        assert!(matches!(answer, Err(ProbeError::NoAnswer)), "{answer:?}");
        assert!(began.elapsed() >= ANSWER);
        Ok(())
    }

    #[test]
    fn only_names_of_apis_are_changed() {
        assert_eq!(local_name("abc.execute-api.eu-west-1.amazonaws.com"), "abc.execute-api.localhost");
        assert_eq!(local_name("api.example.com"), "api.example.com");
        assert_eq!(local_name("abc.execute-api.example.com"), "abc.execute-api.example.com");
    }
}
