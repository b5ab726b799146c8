//! The HTTP client of all clients. It is the SDK's own, except for two things: a host on this machine or its link is never
//! reached through a proxy, and certificates are needed only for TLS.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http::Uri;

use super::certificates::{Bundle, trusted};

/// The variables that name a proxy. hyper's matcher reads them, as curl does.
pub(super) const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// There is no CA certificate to trust.
#[derive(Debug)]
pub(super) struct NoCertificates;

impl fmt::Display for NoCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no CA certificates on this machine: install ca-certificates, or set SSL_CERT_FILE")
    }
}

impl std::error::Error for NoCertificates {}

/// The client, which trusts the certificates in `bundle`, or else those of the machine.
pub(super) fn client(bundle: Option<Bundle>) -> SharedHttpClient {
    SharedHttpClient::new(Client { bundle, connectors: Mutex::default() })
}

/// Connectors by their timeouts to connect and to read, because the SDK asks for one with every call.
type Connectors = HashMap<(Option<Duration>, Option<Duration>), SharedHttpConnector>;

#[derive(Debug)]
struct Client {
    bundle: Option<Bundle>,
    connectors: Mutex<Connectors>,
}

impl HttpClient for Client {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (settings.connect_timeout(), settings.read_timeout());
        let make = || {
            let mut builder = Connector::builder().connector_settings(settings.clone());
            builder.set_sleep_impl(components.sleep_impl());
            SharedHttpConnector::new(Routes { builder, bundle: self.bundle.clone(), ..Routes::default() })
        };
        connectors.entry(key).or_insert_with(make).clone()
    }
}

/// The connectors for the different routes of a request, each created on first use.
#[derive(Debug, Default)]
struct Routes {
    builder: ConnectorBuilder,
    bundle: Option<Bundle>,
    trust: OnceLock<Option<TrustStore>>,
    plain: [OnceLock<Connector>; 2],
    secure: [OnceLock<Connector>; 2],
}

impl Routes {
    fn trust(&self) -> Option<&TrustStore> {
        self.trust.get_or_init(|| trusted(self.bundle.as_ref())).as_ref()
    }

    fn proxies(&self, direct: bool) -> ConnectorBuilder {
        let proxies = if direct { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        self.builder.clone().proxy_config(proxies)
    }

    fn plain(&self, direct: bool) -> &Connector {
        self.plain[usize::from(direct)].get_or_init(|| self.proxies(direct).build_http())
    }

    /// `None` without certificates.
    fn secure(&self, direct: bool) -> Option<&Connector> {
        let trust = self.trust()?;
        // A builder cannot fail: it only holds what it is given.
        let context = TlsContext::builder().with_trust_store(trust.clone()).build().ok()?;
        let make = || {
            let provider = Provider::Rustls(CryptoMode::AwsLc);
            self.proxies(direct).tls_provider(provider).tls_context(context).build()
        };
        Some(self.secure[usize::from(direct)].get_or_init(make))
    }
}

impl HttpConnector for Routes {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: Option<Uri> = request.uri().parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let direct = is_near(host);
        let is_secure = uri.as_ref().and_then(Uri::scheme_str) != Some("http");
        // A connection to a proxy may use TLS even if the one behind it does not.
        let secure = if is_secure || !direct { self.secure(direct) } else { None };
        match secure {
            Some(connector) => connector.call(request),
            None if is_secure => HttpConnectorFuture::ready(Err(ConnectorError::user(NoCertificates.into()))),
            None => self.plain(direct).call(request),
        }
    }
}

/// Whether a host is this machine or on its link, so that no proxy is nearer to it. `*.localhost` is this machine by RFC 6761;
/// the metadata services of EC2 and ECS have link-local addresses, and a proxy would answer with its own machine's credentials.
pub(super) fn is_near(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html: fd00:ec2::254.
        Ok(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unicast_link_local()
                || address.segments()[..2] == [0xfd00, 0x0ec2]
                || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// The variable that names the proxy on the way to `url`, if there is one.
pub(super) fn proxy_before(url: Option<&str>) -> Option<&'static str> {
    let uri: Option<Uri> = url.and_then(|url| url.parse().ok());
    if uri.as_ref().and_then(Uri::host).is_some_and(is_near) {
        return None;
    }
    let is_plain = uri.as_ref().and_then(Uri::scheme_str) == Some("http");
    let names = PROXIES.into_iter().filter(|name| {
        let name = name.to_ascii_uppercase();
        name == "ALL_PROXY" || (name == "HTTP_PROXY") == is_plain
    });
    names.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_on_this_machine_are_reached_directly() {
        for host in [
            "localhost",
            "LOCALHOST",
            "s3.localhost",
            "bucket.s3.localhost",
            "127.0.0.1",
            "127.8.9.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "169.254.169.254",
            "169.254.170.2",
            "[fd00:ec2::254]",
        ] {
            assert!(is_near(host), "{host}");
        }
        for host in ["sts.amazonaws.com", "localhost.example.com", "notlocalhost", "10.0.0.1", "[2001:db8::1]", ""] {
            assert!(!is_near(host), "{host}");
        }
    }

    #[test]
    fn a_client_without_certificates_does_not_panic_and_refuses_tls() {
        let routes = Routes::default();
        assert!(routes.trust.set(None).is_ok());
        assert!(routes.secure(true).is_none() && routes.secure(false).is_none());
        let refused = |uri: &str| {
            let mut request = HttpRequest::empty();
            request.set_uri(uri.to_owned()).expect("a URI");
            let answer = futures::FutureExt::now_or_never(routes.call(request));
            answer.and_then(Result::err).map(|error| format!("{:?}", std::error::Error::source(&error)))
        };
        assert_eq!(refused("https://sts.us-east-1.amazonaws.com/").as_deref(), Some("Some(NoCertificates)"));
        assert_eq!(refused("https://localhost:1/").as_deref(), Some("Some(NoCertificates)"));
    }
}
