//! What the environment and the profiles say about how AWS is reached. Invalid settings are found here, before the first call. An
//! empty variable counts as one that is not set.

use std::collections::BTreeMap;

use aws_runtime::env_config::property::PropertiesKey;
use aws_types::os_shim_internal::{Env, Fs};
use http::Uri;

use super::certificates::Bundle;
use super::origin::{Origin, has_keys};
use super::profiles::{Profiles, at_home};
use drctl_engine::{Class, Failure};

/// The services that are called: as calls name them, and as the SDK does (`service_config_key` in each crate's `config.rs`).
pub(super) const SERVICES: [(&str, &str); 16] = [
    ("acm", "ACM"),
    ("apigateway", "ApiGatewayV2"),
    ("cloudwatch", "CloudWatch"),
    ("dynamodb", "DynamoDB"),
    ("ec2", "EC2"),
    ("iam", "IAM"),
    ("kms", "KMS"),
    ("lambda", "Lambda"),
    ("logs", "CloudWatch Logs"),
    ("rds", "RDS"),
    ("route53", "Route 53"),
    ("s3", "S3"),
    ("secretsmanager", "Secrets Manager"),
    ("servicequotas", "Service Quotas"),
    ("sns", "SNS"),
    ("sts", "STS"),
];

/// Called by the SDK itself to get credentials; drctl calls nothing else of theirs.
const FOR_CREDENTIALS: [&str; 2] = ["SSO", "SSO OIDC"];

/// The domains under which AWS answers, FIPS, dual-stack and interface endpoints (`*.vpce.amazonaws.com`) among them: botocore's
/// `data/partitions.json`, `dnsSuffix` and `dualStackDnsSuffix` of every partition.
const DOMAINS: [&str; 14] = [
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
];

/// Why AWS cannot be reached with these settings.
#[derive(Debug)]
pub enum Unusable {
    /// An invalid setting.
    Setting {
        /// Which one, and what is wrong with it.
        message: String,
        /// What to write instead.
        help: String,
    },
    /// There are no usable credentials.
    Denied(Failure),
}

/// How AWS is reached, as far as the operator decides it.
#[derive(Debug, Default)]
pub struct Settings {
    /// The profile that is named, by a variable.
    pub(super) profile: Option<String>,
    /// Where credentials come from.
    pub(super) origin: Origin,
    /// The Region in which credentials are asked for, if one is named.
    pub(super) region: Option<String>,
    /// Where else they may be asked for.
    besides: Option<String>,
    /// By the name of the service as calls have it.
    endpoints: BTreeMap<&'static str, String>,
    /// The certificates to trust instead of the machine's own.
    pub(super) bundle: Option<Bundle>,
    /// Whether the credentials are in this process's environment and end with their session: nothing renews them while it runs.
    pub(super) fixed: bool,
}

impl Settings {
    /// Reads the environment of this process and the profiles of its user.
    ///
    /// # Errors
    /// An invalid setting, or a profile that does not exist or provides no credentials.
    pub async fn read() -> Result<Self, Unusable> {
        Self::read_from(&Env::real(), &Fs::real()).await
    }

    async fn read_from(env: &Env, fs: &Fs) -> Result<Self, Unusable> {
        let sources = Sources::load(env, fs).await?;
        let origin =
            Origin::find(&sources.profiles, sources.named.as_ref(), env, fs).await.map_err(Unusable::Denied)?;
        let mut endpoints = BTreeMap::new();
        for (name, id) in SERVICES {
            if let Some(url) = sources.endpoint(id)? {
                endpoints.insert(name, url);
            }
        }
        for id in FOR_CREDENTIALS {
            sources.endpoint(id)?;
        }
        // A certificate is asked for only where TLS is spoken.
        let is_plain = |url: &String| url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let needs_certificates = endpoints.len() < SERVICES.len() || !endpoints.values().all(is_plain);
        let bundle = if needs_certificates { sources.bundle(fs).await? } else { None };
        let set = |name: &str| sources.variable(name).is_some();
        Ok(Self {
            profile: sources.named.as_ref().map(|(_, profile)| profile.clone()),
            origin,
            region: sources.region(),
            besides: None,
            endpoints,
            bundle,
            fixed: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].into_iter().all(set),
        })
    }

    /// What an operator should know before the credentials are used: that they are not those of the profile that is named.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        self.origin.notice()
    }

    /// Adds another Region, in which credentials are requested if the first one does not answer.
    #[must_use]
    pub fn besides(self, region: &str) -> Self {
        Self { besides: Some(region.to_owned()), ..self }
    }

    /// Where credentials are asked for, in this order: in the Region that is named, in `region`, and in the one besides.
    pub(super) fn regions(&self, region: &str) -> Vec<String> {
        let mut regions: Vec<String> = Vec::new();
        for region in [self.region.as_deref(), Some(region), self.besides.as_deref()].into_iter().flatten() {
            if !regions.iter().any(|other| other == region) {
                regions.push(region.to_owned());
            }
        }
        regions
    }

    /// The same with one endpoint for every service.
    pub(super) fn at(mut self, endpoint: &str) -> Self {
        self.endpoints = SERVICES.iter().map(|(name, _)| (*name, endpoint.to_owned())).collect();
        self
    }

    /// Where a service is called, if not at its own place in AWS.
    pub(super) fn endpoint(&self, service: &str) -> Option<&str> {
        self.endpoints.get(service).map(String::as_str)
    }

    /// Whether a service is AWS's own.
    pub(super) fn is_aws(&self, service: &str) -> bool {
        self.endpoint(service).is_none_or(is_aws)
    }
}

/// Whether AWS is what answers at an endpoint: its host says so. See docs/aws-behaviour.md#endpoint-setting-may-mean-aws.
fn is_aws(url: &str) -> bool {
    let Some(host) = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase)) else {
        return false;
    };
    let host = host.trim_end_matches('.');
    DOMAINS.iter().any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

/// The environment and the profiles.
struct Sources<'a> {
    env: &'a Env,
    profiles: Profiles,
    /// The profile that a variable names, and the variable.
    named: Option<(&'static str, String)>,
}

impl<'a> Sources<'a> {
    async fn load(env: &'a Env, fs: &Fs) -> Result<Self, Unusable> {
        // The CLI knows both (botocore, `configprovider.py`); the SDKs look at the first one first.
        let named = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
            .into_iter()
            .find_map(|variable| Some((variable, variable_of(env, variable)?)));
        let unreadable = |why: String| Unusable::Setting {
            message: format!("the AWS profiles cannot be read: {why}"),
            help: "Correct the file, or name other ones in AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE.".to_owned(),
        };
        let selected = named.as_ref().map_or("default", |(_, profile)| profile);
        let profiles = Profiles::load(env, fs, selected).await.map_err(unreadable)?;
        let missing = named.as_ref().filter(|(_, profile)| !profiles.contains(profile));
        // The SDK treats such a file as empty, and continues with other credentials than those that are in it.
        if let Some(why) = profiles.unreadable().filter(|_| missing.is_some() || !has_keys(env)) {
            return Err(unreadable(why));
        }
        // As with the AWS CLI, a profile that is named has to exist, even if there are other credentials.
        if let Some((variable, profile)) = missing {
            let instead = profiles.instead_of(profile);
            return Err(Unusable::Denied(
                Failure::new(Class::Denied, format!("there is no profile `{profile}`"))
                    .help(format!("{variable} names it. {instead} Nothing was called.")),
            ));
        }
        Ok(Self { env, profiles, named })
    }

    fn variable(&self, name: &str) -> Option<String> {
        variable_of(self.env, name)
    }

    /// A property of the profile.
    fn property(&self, name: &str) -> Option<String> {
        self.profiles.sections.get(name).filter(|value| !value.trim().is_empty()).map(str::to_owned)
    }

    fn region(&self) -> Option<String> {
        let variable = self.variable("AWS_REGION").or_else(|| self.variable("AWS_DEFAULT_REGION"));
        variable.or_else(|| self.property("region"))
    }

    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
    fn endpoint(&self, id: &str) -> Result<Option<String>, Unusable> {
        let ignored = self
            .variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .or_else(|| self.property("ignore_configured_endpoint_urls"));
        if ignored.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let of_service = format!("AWS_ENDPOINT_URL_{}", id.to_uppercase().replace(' ', "_"));
        let found = [of_service.as_str(), "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|name| Some((name.to_owned(), self.variable(name)?)))
            .or_else(|| self.endpoint_of_profile(id));
        let Some((place, url)) = found else { return Ok(None) };
        match flaw(&url) {
            None => Ok(Some(url)),
            Some((wrong, help)) => {
                Err(Unusable::Setting { message: format!("{place} {wrong}"), help: help.unwrap_or_default() })
            }
        }
    }

    fn endpoint_of_profile(&self, id: &str) -> Option<(String, String)> {
        let profile = self.profiles.sections.selected_profile();
        let of_service = || {
            let services = self.property("services")?;
            let key = PropertiesKey::builder()
                .section_key("services")
                .section_name(&services)
                .property_name(id.to_lowercase().replace(' ', "-"))
                .sub_property_name("endpoint_url")
                .build()
                .ok()?;
            let url = self.profiles.sections.other_sections().get(&key).filter(|url| !url.trim().is_empty())?;
            Some((format!("`endpoint_url` in [services {services}]"), url.clone()))
        };
        let of_all = || Some((format!("`endpoint_url` of the profile `{profile}`"), self.property("endpoint_url")?));
        of_service().or_else(of_all)
    }

    async fn bundle(&self, fs: &Fs) -> Result<Option<Bundle>, Unusable> {
        let variable = self.variable("AWS_CA_BUNDLE").map(|path| ("AWS_CA_BUNDLE".to_owned(), path));
        let found = variable.or_else(|| {
            let profile = self.profiles.sections.selected_profile();
            Some((format!("`ca_bundle` of the profile `{profile}`"), self.property("ca_bundle")?))
        });
        let Some((place, path)) = found else { return Ok(None) };
        let path = at_home(self.env, &path);
        let unusable = |why: String| Unusable::Setting {
            message: format!("{place} names {path}, {why}"),
            help: "Name a file of certificates in PEM format, or none to use this machine's certificates.".to_owned(),
        };
        let pem = fs.read_to_end(&path).await.map_err(|e| unusable(format!("which cannot be read: {e}")))?;
        Bundle::parse(&pem).map(Some).ok_or_else(|| unusable("in which there is no certificate".to_owned()))
    }
}

/// A variable that is not empty.
pub(super) fn variable_of(env: &Env, name: &str) -> Option<String> {
    env.get(name).ok().filter(|value| !value.trim().is_empty())
}

/// What is wrong with an endpoint, and what to write instead.
fn flaw(url: &str) -> Option<(String, Option<String>)> {
    const FORM: &str = "Write scheme, host and port, e.g. http://localhost:4566.";
    let form = || Some(FORM.to_owned());
    // The text before an `@` may be a password: it is not repeated.
    if url.contains('@') {
        return Some(("contains a user name, which endpoints do not accept".to_owned(), form()));
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        let host = url.split([':', '/']).next().unwrap_or_default();
        let scheme = if is_aws(&format!("https://{host}")) { "https" } else { "http" };
        return Some((format!("has no scheme: write {scheme}://{}", url.trim_start_matches('/')), None));
    };
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Some((format!("begins with `{scheme}://`, and AWS is reached by http:// or https://"), form()));
    }
    let parsed = url.parse::<Uri>();
    let Ok(uri) = parsed else {
        return Some((format!("is not a URL: `{url}`"), form()));
    };
    if rest.is_empty() || uri.host().is_none_or(str::is_empty) {
        return Some((format!("names no host: `{url}`"), form()));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    // A port that is none is read as none.
    let after_host = &authority[authority.rfind(']').map_or(0, |at| at + 1)..];
    if after_host.contains(':') && uri.port_u16().is_none_or(|port| port == 0) {
        return Some((format!("has an invalid port: `{url}`"), form()));
    }
    if uri.query().is_some() || url.contains('#') {
        return Some((format!("has a query or a fragment, which endpoints do not accept: `{url}`"), form()));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    async fn read(vars: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Settings, Unusable> {
        let at = [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("HOME", "/home/me")];
        let vars: Vec<(&str, &str)> = at.iter().chain(vars).copied().collect();
        Settings::read_from(&Env::from_slice(&vars), &Fs::from_slice(files)).await
    }

    async fn refused(vars: &[(&str, &str)], files: &[(&str, &str)]) -> String {
        match read(vars, files).await.expect_err("refused") {
            Unusable::Setting { message, .. } => message,
            Unusable::Denied(failure) => format!("denied: {failure}; {}", failure.help.as_deref().unwrap_or_default()),
        }
    }

    #[test]
    fn aws_is_known_by_its_host() {
        for url in [
            "https://ec2.us-east-1.amazonaws.com",
            "https://EC2.us-east-1.AmazonAWS.com:443/",
            "https://ec2.cn-north-1.amazonaws.com.cn",
            "https://vpce-0a1b-2c3d.ec2.us-east-1.vpce.amazonaws.com",
            "https://bucket.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com",
            "https://kms-fips.us-east-1.amazonaws.com",
            "https://ec2.us-east-1.api.aws",
            "https://s3.dualstack.us-east-1.amazonaws.com.",
            "https://ec2.eusc-de-east-1.amazonaws.eu",
        ] {
            assert!(is_aws(url), "{url}");
        }
        for url in [
            "http://localhost:4566",
            "http://127.0.0.1:4566",
            "https://localhost.localstack.cloud:4566",
            "https://amazonaws.com.evil.example",
            "https://notamazonaws.com",
            "https://amazonaws.com",
            "nothing",
        ] {
            assert!(!is_aws(url), "{url}");
        }
    }

    #[tokio::test]
    async fn an_empty_variable_is_as_one_that_is_not_set() {
        let empty = [
            ("AWS_ENDPOINT_URL", ""),
            ("AWS_ENDPOINT_URL_STS", " "),
            ("AWS_PROFILE", ""),
            ("AWS_DEFAULT_PROFILE", ""),
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_CA_BUNDLE", ""),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", ""),
        ];
        let settings = read(&empty, &[]).await.expect("nothing is wrong");
        assert_eq!((settings.profile.as_deref(), settings.region.as_deref()), (None, Some("eu-west-1")));
        assert!(settings.endpoints.is_empty() && settings.bundle.is_none() && settings.is_aws("sts"));
        // What is empty gives way to what comes after it.
        let both = [("AWS_ENDPOINT_URL_STS", ""), ("AWS_ENDPOINT_URL", "http://localhost:4566")];
        assert_eq!(read(&both, &[]).await.expect("fine").endpoint("sts"), Some("http://localhost:4566"));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_none_is_named_with_its_place() {
        for (url, expected) in [
            ("localhost:4566", "AWS_ENDPOINT_URL has no scheme: write http://localhost:4566"),
            ("foo", "AWS_ENDPOINT_URL has no scheme: write http://foo"),
            ("//foo", "AWS_ENDPOINT_URL has no scheme: write http://foo"),
            (
                "vpce-1.ec2.us-east-1.vpce.amazonaws.com",
                "AWS_ENDPOINT_URL has no scheme: write https://vpce-1.ec2.us-east-1.vpce.amazonaws.com",
            ),
            ("ftp://localhost", "AWS_ENDPOINT_URL begins with `ftp://`"),
            ("http://", "AWS_ENDPOINT_URL is not a URL"),
            ("http://local host:4566", "AWS_ENDPOINT_URL is not a URL"),
            ("http://localhost:99999", "AWS_ENDPOINT_URL has an invalid port"),
            ("http://localhost:", "AWS_ENDPOINT_URL has an invalid port"),
            ("http://localhost:4566?x=1", "AWS_ENDPOINT_URL has a query or a fragment, which endpoints do not accept"),
            ("http://user:secret@localhost:4566", "AWS_ENDPOINT_URL contains a user name"),
        ] {
            let said = refused(&[("AWS_ENDPOINT_URL", url)], &[]).await;
            assert!(said.starts_with(expected) && !said.contains("secret"), "{url}: {said}");
        }
        let said = refused(&[("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "logs:1")], &[]).await;
        assert!(said.starts_with("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS has no scheme"), "{said}");
        let said = refused(&[("AWS_ENDPOINT_URL_SSO", "sso:1")], &[]).await;
        assert!(said.starts_with("AWS_ENDPOINT_URL_SSO has no scheme"), "{said}");
        let config = [("config", "[default]\nservices = dev\n[services dev]\nroute-53 =\n  endpoint_url = r53:1\n")];
        let said = refused(&[], &config).await;
        assert!(said.starts_with("`endpoint_url` in [services dev] has no scheme"), "{said}");
        for url in ["http://localhost:4566", "http://127.0.0.1:4566/", "http://[::1]:4566", "https://x.example/path"] {
            assert_eq!(flaw(url), None, "{url}");
        }
    }

    #[tokio::test]
    async fn endpoints_of_a_profile_are_seen_and_can_be_ignored() {
        let config = "[profile lab]\nregion = eu-central-1\nendpoint_url = http://all:1\nservices = lab\n\
                      [services lab]\nsecrets-manager =\n  endpoint_url = https://vpce-1.secretsmanager.us-east-1.vpce.amazonaws.com\n";
        let (files, profile) = ([("config", config)], ("AWS_PROFILE", "lab"));
        let keys = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")];
        let settings = read(&[profile, keys[0], keys[1]], &files).await.expect("fine");
        assert_eq!(settings.endpoint("ec2"), Some("http://all:1"));
        assert_eq!((settings.is_aws("ec2"), settings.is_aws("secretsmanager")), (false, true));
        assert_eq!(settings.region.as_deref(), Some("eu-central-1"));
        let settings = settings.besides("us-east-2");
        assert_eq!(settings.regions("us-east-1"), ["eu-central-1", "us-east-1", "us-east-2"]);
        assert_eq!(settings.regions("eu-central-1"), ["eu-central-1", "us-east-2"]);
        // The environment comes first.
        let vars = [profile, keys[0], keys[1], ("AWS_ENDPOINT_URL", "http://env:2")];
        let settings = read(&vars, &files).await.expect("fine");
        assert_eq!(settings.endpoint("secretsmanager"), Some("http://env:2"));
        for ignored in ["true", "TRUE"] {
            let ignored = [vars.as_slice(), &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", ignored)]].concat();
            assert!(read(&ignored, &files).await.expect("fine").endpoints.is_empty());
        }
        let ignoring = config.replace("region = ", "ignore_configured_endpoint_urls = true\nregion = ");
        assert!(read(&vars[..3], &[("config", &ignoring)]).await.expect("fine").endpoints.is_empty());
    }

    #[tokio::test]
    async fn a_profile_that_does_not_exist_is_said_to_be_so() {
        let keys = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")];
        for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            let vars = [keys[0], keys[1], (variable, "payments-prd-typo")];
            let said = refused(&vars, &[("config", "[profile payments-prd]\nregion = eu-west-1\n")]).await;
            assert!(said.starts_with("denied: there is no profile `payments-prd-typo`"), "{said}");
            assert!(said.contains(variable) && said.contains("payments-prd."), "{said}");
        }
        // It may stand in either file.
        for (file, text) in [
            ("config", "[profile lab]\ncredential_process = x\n"),
            ("credentials", "[lab]\naws_access_key_id = x\naws_secret_access_key = y\n"),
        ] {
            let settings = read(&[("AWS_DEFAULT_PROFILE", "lab")], &[(file, text)]).await.expect("it exists");
            assert_eq!(settings.profile.as_deref(), Some("lab"));
        }
        let said = refused(&[], &[("config", "[default\nregion = eu-west-1\n")]).await;
        assert!(said.starts_with("the AWS profiles cannot be read"), "{said}");
    }

    #[tokio::test]
    async fn a_bundle_of_certificates_is_read_where_tls_is_spoken() {
        let said = refused(&[("AWS_CA_BUNDLE", "ca.pem")], &[]).await;
        assert!(said.starts_with("AWS_CA_BUNDLE names ca.pem, which cannot be read"), "{said}");
        let said = refused(&[("AWS_CA_BUNDLE", "ca.pem")], &[("ca.pem", "nothing")]).await;
        assert!(said.starts_with("AWS_CA_BUNDLE names ca.pem, in which there is no certificate"), "{said}");
        let config = [("config", "[default]\nca_bundle = ~/ca.pem\n")];
        let said = refused(&[], &config).await;
        assert!(said.starts_with("`ca_bundle` of the profile `default` names /home/me/ca.pem"), "{said}");
        let plain = [("AWS_CA_BUNDLE", "ca.pem"), ("AWS_ENDPOINT_URL", "http://localhost:4566")];
        assert!(read(&plain, &[]).await.is_ok(), "no certificate is asked for");
    }

    #[tokio::test]
    async fn what_a_session_in_the_environment_gives_is_not_renewed() {
        let keys = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_SESSION_TOKEN", "z")];
        assert!(read(&keys, &[]).await.expect("fine").fixed);
        assert!(!read(&keys[..2], &[]).await.expect("fine").fixed);
    }

    /// The sandbox takes the place of AWS for the services in [`SERVICES`]. Calls of any other client would go to AWS.
    #[test]
    fn every_client_has_its_row_in_services() {
        let source = include_str!("clients.rs");
        let names: BTreeSet<&str> =
            source.split("at(\"").skip(1).filter_map(|rest| rest.split_once("\")")).map(|(name, _)| name).collect();
        let listed: BTreeSet<&str> = SERVICES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, listed, "left: the clients in clients.rs; right: SERVICES");
    }
}
