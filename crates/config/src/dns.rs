//! `[dns]`: the public name, which a failover points to the other Region.

use serde::Serialize;

use super::error::Problem;
use super::section::{Given, Section};

/// The hosted zone and the name in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// The domain of the hosted zone. Default `NAME.example.com`, which cannot be delegated: see [`Dns::is_placeholder`].
    pub domain: String,
    /// The existing hosted zone for the records; with `None` (written `""`), drctl creates one. Default `None`.
    pub zone_id: Option<String>,
    /// Whether both Regions get a certificate and an API domain for the public name, so that clients can use the name.
    /// Requires a domain that is delegated to the zone. Default `false`.
    pub certificate: bool,
}

impl Dns {
    /// The name that clients use: `api.<domain>`.
    #[must_use]
    pub fn public_name(&self) -> String {
        public_name(&self.domain)
    }

    /// Whether the domain is one that RFC 2606 and RFC 6761 reserve for examples and tests. An emulator serves it; Route 53
    /// refuses to create a zone for `example.com` or a name below it (`InvalidDomainName`).
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        is_reserved(&self.domain)
    }

    /// `name` is the stack's name, which is part of the default domain.
    pub(super) fn read(section: &mut Section<'_, '_>, name: &str) -> Self {
        let domain = section.text("domain", None, OWN, |text| optional(text, domain));
        let zone_id = section.text("zone_id", None, "", |text| optional(text, zone_id));
        let certificate = section.flag("certificate", false);

        if domain.is_sound() && domain.value.is_none() && zone_id.value.is_some() {
            let problem = Problem::new(
                "a hosted zone is given without its domain, and a zone accepts only records of its own domain",
                format!("Also write the domain of that zone: `domain = \"{OWN}\"`."),
            );
            section.refuse(zone_id.blame(problem, &domain, "the domain is empty"));
        }
        if certificate.value && domain.is_sound() {
            check_certificate(section, &certificate, &domain);
        }
        Self {
            domain: domain.value.unwrap_or_else(|| format!("{name}.example.com")),
            zone_id: zone_id.value,
            certificate: certificate.value,
        }
    }
}

/// An example domain for messages.
const OWN: &str = "pay.your-company.com";

/// How many characters the first name of a certificate may have; source: `DomainName` of `RequestCertificate` in the ACM API.
const LONGEST_CERTIFIED: usize = 64;

fn check_certificate(section: &mut Section<'_, '_>, certificate: &Given<bool>, domain: &Given<Option<String>>) {
    let advice = format!("Write a domain that you own: `domain = \"{OWN}\"`; or `certificate = false`.");
    let problem = match &domain.value {
        None => Problem::new(
            "a certificate needs a domain of your own: AWS issues it once it finds a record there, and no one can \
             add one to example.com",
            advice,
        ),
        Some(name) if is_reserved(name) => Problem::new(
            format!(
                "a certificate for {name} is impossible: the name is reserved for examples and tests, and is never \
                 delegated"
            ),
            advice,
        ),
        Some(name) if public_name(name).len() > LONGEST_CERTIFIED => Problem::new(
            format!(
                "a certificate for {} is impossible: the name has {} characters, and at most {LONGEST_CERTIFIED} are \
                 allowed",
                public_name(name),
                public_name(name).len()
            ),
            format!("Write a shorter domain, such as `domain = \"{OWN}\"`; or `certificate = false`."),
        ),
        Some(_) => return,
    };
    section.refuse(certificate.blame(problem, domain, "the domain is here"));
}

fn public_name(domain: &str) -> String {
    format!("api.{domain}")
}

fn is_reserved(domain: &str) -> bool {
    const RESERVED: [&str; 8] =
        ["example.com", "example.net", "example.org", "example", "test", "invalid", "localhost", "local"];
    RESERVED
        .iter()
        .any(|reserved| domain.strip_suffix(reserved).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

/// Empty text means that no value is given, so that the template can show every key with its default.
fn optional(text: &str, parse: impl FnOnce(&str) -> Result<String, Problem>) -> Result<Option<String>, Problem> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

fn domain(text: &str) -> Result<String, Problem> {
    let Some(fault) = domain_fault(text) else { return Ok(text.to_owned()) };
    let bare = text.rsplit("://").next().unwrap_or(text);
    let bare = bare.split(['/', ':']).next().unwrap_or(bare).trim().trim_end_matches('.').to_ascii_lowercase();
    let better = if domain_fault(&bare).is_none() { bare.as_str() } else { OWN };
    Err(Problem::new(format!("`{text}` is not a valid domain: {fault}"), format!("Write `domain = \"{better}\"`.")))
}

/// Why `text` is not a domain that clients, certificates and Route 53 all accept; `None` if it is one.
pub(super) fn domain_fault(text: &str) -> Option<&'static str> {
    let labels: Vec<&str> = text.split('.').collect();
    let is_label = |label: &&str| {
        !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if text.contains('/') || text.contains(':') {
        Some("it is a web address, and only the host name is needed")
    } else if text.ends_with('.') {
        Some("it must not end with a dot")
    } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some("it must be in lower case")
    } else if public_name(text).len() > 253 {
        Some("with `api.` in front, it is longer than the 253 characters that DNS allows")
    } else if labels.len() < 2 {
        Some("it has no dot, so it is a top-level domain or the name of a single host")
    } else if labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        Some("each part between its dots must have 1 to 63 characters")
    } else if !labels.iter().all(is_label) {
        Some("each part between its dots must consist of letters, digits and hyphens, with no hyphen at either end")
    } else if labels.last().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        Some("it ends in a number, as an IP address does")
    } else {
        None
    }
}

/// Source: `ResourceId` of the Route 53 API: at most 32 characters; zones begin with Z.
fn zone_id(text: &str) -> Result<String, Problem> {
    let is_id = |id: &str| {
        id.starts_with('Z')
            && id.len() <= 32
            && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if is_id(text) {
        return Ok(text.to_owned());
    }
    let bare = text.rsplit('/').next().unwrap_or(text);
    let better = if is_id(bare) { bare } else { "Z0123456789ABCDEFGHIJ" };
    Err(Problem::new(
        format!("`{text}` is not the id of a hosted zone, which is a Z and at most 31 capital letters and digits"),
        format!(
            "Write `zone_id = \"{better}\"`, as `aws route53 list-hosted-zones` shows it after `/hostedzone/`; or \
             `\"\"` to have a zone created."
        ),
    ))
}
