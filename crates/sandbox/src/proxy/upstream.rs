//! The emulator behind the proxy.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONNECTION, EXPECT, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::{SandboxError, with_causes};
use crate::rules::rule::Origin;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// How long idle connections are kept: shorter than any server keeps them, so that no call is sent on a connection that
/// is just being closed. Such a call would fail, and it would be unknown whether it was carried out.
const IDLE: Duration = Duration::from_secs(2);

/// Headers that concern the connection and not the message (RFC 9110, 7.6.1), and those that hyper writes itself.
const HOP_BY_HOP: [HeaderName; 6] = [CONNECTION, TRANSFER_ENCODING, TE, TRAILER, UPGRADE, EXPECT];

/// A pooled connection to the emulator.
pub(crate) struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    authority: Authority,
    url: String,
    log: Option<PathBuf>,
}

impl Upstream {
    pub(crate) fn new(url: &str, log: Option<PathBuf>) -> Result<Self, SandboxError> {
        let refuse = |reason: &str| SandboxError::BadOption {
            option: "--upstream",
            value: url.to_owned(),
            reason: reason.to_owned(),
            help: "Write where the emulator listens, as in --upstream http://127.0.0.1:4566.",
        };
        let uri: Uri = url.parse().map_err(|_| refuse("it is not a URL"))?;
        let authority = uri.authority().cloned().ok_or_else(|| refuse("it names no host"))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { client, authority, url: url.to_owned(), log })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request of the proxy's own.
    pub(crate) async fn post(&self, path: &'static str) -> Result<StatusCode, String> {
        let uri = self.uri(PathAndQuery::from_static(path)).map_err(|error| error.to_string())?;
        let request = Request::post(uri).body(Full::default()).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| with_causes(&error))?;
        let status = response.status();
        response.into_body().collect().await.map_err(|error| with_causes(&error))?;
        Ok(status)
    }

    fn uri(&self, path: PathAndQuery) -> Result<Uri, http::Error> {
        Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(path).build()
    }

    /// A failure is reported with its causes, since hyper's own message is only "client error (Connect)".
    async fn forward(&self, call: &Call) -> Result<Answer, String> {
        let path = call.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let uri = self.uri(path).map_err(|error| error.to_string())?;
        let mut request = Request::new(Full::new(call.body().clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = end_to_end(call.headers.clone());
        let response = self.client.request(request).await.map_err(|error| with_causes(&error))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| with_causes(&error))?.to_bytes();
        Ok(Answer::new(parts.status, end_to_end(parts.headers), body))
    }

    fn unreachable(&self, call: &Call, why: &str) -> Answer {
        tracing::warn!(
            service = call.service,
            operation = call.operation,
            region = call.region,
            why,
            "the emulator did not answer"
        );
        let see = match &self.log {
            Some(log) => format!("MiniStack's log is {}; start it again with `drctl sandbox start`", log.display()),
            None => format!("it should listen at {}", self.url),
        };
        let message = format!("the sandbox's emulator is not running, or its connection broke ({why}): {see}");
        Answer::refusal(call, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", &message)
    }
}

impl Origin for Upstream {
    fn answer<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Answer> {
        async move {
            match self.forward(call).await {
                Ok(answer) => answer,
                Err(why) => self.unreachable(call, &why),
            }
        }
        .boxed()
    }
}

fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::text;
    use crate::wire::call::tests::ec2;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[tokio::test]
    async fn an_unreachable_emulator_is_reported_in_the_protocol_of_the_call() -> TestResult {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = PathBuf::from("somewhere/ministack.log");
        let upstream = Upstream::new(&format!("http://127.0.0.1:{port}"), Some(log))?;
        let answer = upstream.answer(&ec2("111122223333", "us-east-1", "Action=DescribeVpcs")).await;
        assert_eq!(answer.status, 503);
        let body = text(&answer);
        assert!(body.contains("<Code>ServiceUnavailable</Code>"), "{body}");
        assert!(body.contains("emulator is not running") && body.contains("somewhere/ministack.log"), "{body}");
        Ok(())
    }

    #[test]
    fn headers_of_the_connection_are_not_forwarded() {
        let mut headers = HeaderMap::new();
        for name in ["connection", "transfer-encoding", "keep-alive", "host", "x-amz-target"] {
            headers.insert(HeaderName::from_static(name), http::HeaderValue::from_static("x"));
        }
        let mut left: Vec<String> = end_to_end(headers).keys().map(ToString::to_string).collect();
        left.sort();
        assert_eq!(left, ["host", "x-amz-target"]);
    }
}
