//! TLS as Route 53's checkers speak it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// A client that accepts every certificate: "HTTPS health checks don't validate SSL/TLS certificates, so checks don't fail if
/// a certificate is invalid or expired."
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html>
pub(super) fn unverified() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Unverified(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Accepts every certificate, but only from a server that has its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::version::{TLS12, TLS13};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;
    use tokio_rustls::TlsAcceptor;

    use crate::world::route53::probe::{Network, Prober, in_sandbox};
    use crate::world::route53::zones::tests::http;
    use crate::world::route53::zones::{Endpoint, Protocol, Source};

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    /// A server with a certificate that nobody has signed, for a name that nobody asks for. Returns its port, and the name
    /// that the handshake of its first client has.
    async fn serve(
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Result<(u16, oneshot::Receiver<Option<String>>), Box<dyn std::error::Error>> {
        let made = rcgen::generate_simple_self_signed(vec!["elsewhere.example.org".to_owned()])?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (tell, named) = oneshot::channel();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await?;
            let mut stream = acceptor.accept(stream).await?;
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            let mut read = vec![0; 4096];
            let _ = stream.read(&mut read).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
            stream.flush().await?;
            Ok::<_, std::io::Error>(tell.send(name).is_ok())
        });
        Ok((port, named))
    }

    fn endpoint(port: u16, sni: bool) -> Endpoint {
        match http("c", "localhost", port).source {
            Source::Endpoint(endpoint) => Endpoint { protocol: Protocol::Https, sni, ..endpoint },
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_certificate_is_accepted_and_the_host_is_named_if_the_check_says_so() -> TestResult {
        let network = Network::new(in_sandbox(1, |_, _| false))?;
        for (version, sni, expected) in
            [(&TLS12, true, Some("localhost")), (&TLS13, true, Some("localhost")), (&TLS13, false, None)]
        {
            let (port, named) = serve(version).await?;
            let outcome = network.look("111122223333", &endpoint(port, sni)).await;
            assert!(outcome.success, "{outcome:?}");
            assert_eq!(named.await?.as_deref(), expected);
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_endpoint_without_tls_fails() -> TestResult {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await
        });
        let outcome = Network::new(in_sandbox(1, |_, _| false))?.look("111122223333", &endpoint(port, true)).await;
        assert!(!outcome.success && outcome.status.contains("TLS handshake"), "{outcome:?}");
        Ok(())
    }
}
