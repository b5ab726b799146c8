//! The CA certificates that are trusted.

use aws_smithy_http_client::tls::TrustStore;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// An operator's own certificates, which are trusted in place of the machine's, as the AWS CLI does with `AWS_CA_BUNDLE`.
#[derive(Debug, Clone)]
pub(super) struct Bundle(Vec<String>);

impl Bundle {
    /// The certificates in a text in PEM form; `None` without any. Anything that is not a certificate is ignored, as OpenSSL
    /// does: the SDK would panic.
    pub(super) fn parse(pem: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(pem);
        let blocks = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
        let certificates: Vec<String> =
            blocks.map(|(inner, _)| format!("{BEGIN}{inner}{END}\n")).filter(|block| is_certificate(block)).collect();
        (!certificates.is_empty()).then_some(Self(certificates))
    }
}

fn is_certificate(block: &str) -> bool {
    CertificateDer::from_pem_slice(block.as_bytes()).is_ok_and(|der| RootCertStore::empty().add(der).is_ok())
}

/// The trusted certificates; `None` if there are none.
pub(super) fn trusted(bundle: Option<&Bundle>) -> Option<TrustStore> {
    if let Some(Bundle(certificates)) = bundle {
        let add = |store: TrustStore, pem: &String| store.with_pem_certificate(pem.as_bytes());
        return Some(certificates.iter().fold(TrustStore::empty(), add));
    }
    // Without any, the SDK panics if it is built for tests. Otherwise it reports an unknown issuer for every server.
    let native = rustls_native_certs::load_native_certs();
    let (valid, _) = RootCertStore::empty().add_parsable_certificates(native.certs);
    (valid > 0).then(TrustStore::default)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The certificate of "drctl test CA", valid from 2026 to 2126. Its key was deleted.
    const CERTIFICATE: &str = include_str!("testdata/ca.pem");

    #[test]
    fn what_is_not_a_certificate_is_ignored() {
        let junk = format!("{BEGIN}\nbm90aGluZw==\n{END}\n");
        let bundle = Bundle::parse(format!("# ours\n{junk}{CERTIFICATE}# again\n{CERTIFICATE}").as_bytes());
        assert_eq!(bundle.expect("two").0.len(), 2);
        for none in ["", "nothing", &junk, BEGIN] {
            assert!(Bundle::parse(none.as_bytes()).is_none(), "{none}");
        }
        assert!(trusted(Bundle::parse(CERTIFICATE.as_bytes()).as_ref()).is_some());
    }
}
