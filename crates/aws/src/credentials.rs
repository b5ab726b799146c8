//! The credentials: from the selected profile, or from the SDK's chain; with retries of their own, held until they are about to
//! expire, and requested again after the operator has renewed them.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::Region as SdkRegion;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::classify::{chain, class_of, sources};
use super::http::NoCertificates;
use super::origin::Origin;
use drctl_engine::{Class, Failure};

/// How often a provider calls STS, SSO, and the like before it gives up: throttling does not mean that there are no credentials.
/// See docs/aws-behaviour.md#credential-provider-fails-briefly.
const ATTEMPTS: u32 = 5;

/// How long one such answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// The time without an answer after which STS is called in the next Region as well.
const NEXT: Duration = Duration::from_secs(2);

/// How long before their expiry new credentials are requested. The old ones are used until then.
const LEAD: Duration = Duration::from_mins(2);

/// How long credentials without an expiry are held. Below, the shortest time for any credentials, because this machine's clock
/// may be wrong.
const LONGEST: Duration = Duration::from_mins(15);
const SHORTEST: Duration = Duration::from_secs(30);

/// Where credentials come from.
#[derive(Debug)]
pub(super) enum Source {
    /// These.
    Given(Credentials),
    /// The profile that is selected; without one, the SDK's chain: environment, profile, web identity, container, instance.
    Chain {
        /// The profile, if one is named.
        profile: Option<String>,
        /// Where the settings say that they come from.
        origin: Origin,
        /// Where STS is asked: in the first Region, and in the next one when that takes long.
        regions: Vec<SdkRegion>,
        /// By which client.
        http: SharedHttpClient,
        /// Whether nothing renews them while this process runs.
        fixed: bool,
    },
}

impl Source {
    fn given(&self) -> provider::Result {
        match self {
            Self::Given(credentials) => Ok(credentials.clone()),
            Self::Chain { .. } => Err(CredentialsError::not_loaded_no_source()),
        }
    }
}

#[derive(Debug, Default)]
struct Held {
    /// Recreated when credentials are renewed, because it caches profiles and SSO tokens.
    provider: Option<SharedCredentialsProvider>,
    credentials: Option<(Credentials, Instant)>,
}

/// Credentials for which it is not known yet whether AWS accepts them, and whose they are.
#[derive(Debug)]
pub(super) struct Candidate {
    provider: Option<SharedCredentialsProvider>,
    pub(super) credentials: Credentials,
}

/// The credentials of a process. All calls that need them wait for the same answer.
#[derive(Debug)]
pub(super) struct Wallet {
    source: Source,
    held: Mutex<Held>,
}

impl Wallet {
    pub(super) fn new(source: Source) -> Self {
        Self { source, held: Mutex::default() }
    }

    /// Whether credentials can be renewed while this process runs.
    pub(super) fn is_renewable(&self) -> bool {
        !matches!(self.source, Source::Chain { fixed: true, .. })
    }

    /// Where the credentials come from.
    pub(super) fn origin(&self) -> &Origin {
        match &self.source {
            Source::Given(_) => &Origin::Machine,
            Source::Chain { origin, .. } => origin,
        }
    }

    /// The credentials that are available now; profile files may have changed. Nothing is signed with them before [`Self::take`].
    ///
    /// # Errors
    /// Why there is nothing.
    pub(super) async fn candidate(&self) -> Result<Candidate, Failure> {
        let candidate = match &self.source {
            Source::Given(credentials) => Ok(Candidate { provider: None, credentials: credentials.clone() }),
            Source::Chain { profile, origin, regions, http, .. } => {
                Box::pin(first_of(profile.as_deref(), origin, regions, http)).await
            }
        };
        candidate.map_err(|error| self.failure(&error))
    }

    /// The failure of a call that still waits for credentials, and not for its service.
    pub(super) fn silence(&self, limit: Duration) -> Option<Failure> {
        // It is locked while credentials are requested.
        let is_asking = self.held.try_lock().is_err();
        is_asking.then(|| self.late(limit))
    }

    /// The failure of a call for which the credentials did not come in time.
    pub(super) fn late(&self, limit: Duration) -> Failure {
        unanswered(Class::TimedOut, self.origin(), &format!("there are none after {} s", limit.as_secs()))
    }

    /// From now on, calls are signed with these.
    pub(super) async fn take(&self, Candidate { provider, credentials }: Candidate) {
        let until = Instant::now() + lasting(&credentials);
        *self.held.lock().await = Held { provider, credentials: Some((credentials, until)) };
    }

    /// The credentials to sign with now.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn get(&self) -> Result<Credentials, Failure> {
        self.credentials().await.map_err(|error| self.failure(&error))
    }

    async fn credentials(&self) -> provider::Result {
        let Source::Chain { profile, origin, regions, http, .. } = &self.source else {
            return self.source.given();
        };
        let mut held = self.held.lock().await;
        if let Some((credentials, until)) = &held.credentials
            && Instant::now() < *until
        {
            return Ok(credentials.clone());
        }
        let asked = match held.provider.clone() {
            Some(provider) => provider.provide_credentials().await,
            None => Box::pin(first_of(profile.as_deref(), origin, regions, http)).await.map(|candidate| {
                held.provider = candidate.provider;
                candidate.credentials
            }),
        };
        match asked {
            Ok(credentials) => {
                held.credentials = Some((credentials.clone(), Instant::now() + lasting(&credentials)));
                Ok(credentials)
            }
            Err(error) => {
                // The next one asks in every Region again.
                held.provider = None;
                let old = held.credentials.take();
                match old.filter(|(old, _)| old.expiry().is_some_and(|expiry| expiry > SystemTime::now())) {
                    Some((old, _)) => {
                        tracing::debug!(error = %chain(&error), "no new credentials yet; the old ones still serve");
                        held.credentials = Some((old.clone(), Instant::now() + SHORTEST));
                        Ok(old)
                    }
                    None => Err(error),
                }
            }
        }
    }

    fn failure(&self, error: &CredentialsError) -> Failure {
        let Source::Chain { origin, .. } = &self.source else {
            return Failure::new(Class::Internal, chain(error));
        };
        failure(error, origin)
    }
}

impl ProvideCredentials for Wallet {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// The credentials of the Region that answers first. Each Region has an STS of its own, which may have failed: without the other
/// one, credentials from a role would be missing even for the other Region.
async fn first_of(
    profile: Option<&str>,
    origin: &Origin,
    regions: &[SdkRegion],
    http: &SharedHttpClient,
) -> Result<Candidate, CredentialsError> {
    let mut asked: FuturesUnordered<_> = (0_u32..)
        .zip(regions)
        .map(|(number, region)| async move {
            tokio::time::sleep(NEXT * number).await;
            let provider = provider(profile, origin, region, http).await?;
            let credentials = provider.provide_credentials().await?;
            Ok::<_, CredentialsError>(Candidate { provider: Some(provider), credentials })
        })
        .collect();
    let mut first = None;
    while let Some(answer) = asked.next().await {
        match answer {
            // Another Region would refuse them, too.
            Err(error) if failure(&error, origin).class == Class::Denied => return Err(error),
            Err(error) => first = first.or(Some(error)),
            found => return found,
        }
    }
    Err(first.unwrap_or_else(CredentialsError::not_loaded_no_source))
}

/// The profile alone, or the SDK's chain. Apart from the clients' configuration, whose retries are off: a create call that is
/// repeated blindly may create two resources, but assuming a role twice does no harm.
async fn provider(
    profile: Option<&str>,
    origin: &Origin,
    region: &SdkRegion,
    http: &SharedHttpClient,
) -> Result<SharedCredentialsProvider, CredentialsError> {
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    let timeouts =
        TimeoutConfig::builder().connect_timeout(Duration::from_millis(3100)).operation_attempt_timeout(ANSWER).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .region(region.clone())
        .retry_config(retries.clone())
        .timeout_config(timeouts.clone());
    // Without one the SDK would read AWS_PROFILE, which may be empty.
    loader = loader.profile_name(profile.unwrap_or("default"));
    let config = loader.load().await;
    if let Origin::Profile(profile) = origin {
        // Not the chain, which continues with other credentials if the profile has changed and can no longer be used. See
        // docs/aws-behaviour.md#unusable-profile-is-passed-over.
        let alike = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_http_client(http.clone())
            .with_region(Some(region.clone()))
            .with_retry_config(retries)
            .with_timeout_config(config.timeout_config().cloned().unwrap_or(timeouts))
            .with_use_fips(config.use_fips())
            .with_use_dual_stack(config.use_dual_stack());
        let provider = ProfileFileCredentialsProvider::builder().configure(&alike).profile_name(&profile.name).build();
        return Ok(SharedCredentialsProvider::new(provider));
    }
    config.credentials_provider().ok_or_else(CredentialsError::not_loaded_no_source)
}

fn lasting(credentials: &Credentials) -> Duration {
    let Some(expiry) = credentials.expiry() else { return LONGEST };
    let left = expiry.duration_since(SystemTime::now()).unwrap_or_default();
    left.saturating_sub(LEAD).max(SHORTEST)
}

/// The failure to get credentials.
fn failure(error: &CredentialsError, origin: &Origin) -> Failure {
    let why = chain(error);
    if sources(error).any(<dyn StdError + 'static>::is::<NoCertificates>) {
        return Failure::new(Class::Unreachable, NoCertificates.to_string());
    }
    let unanswered = |class| unanswered(class, origin, &why);
    let none = || match (origin, error) {
        (Origin::Profile(profile), _) => {
            let said = refusal(error);
            let why = said.and_then(ErrorMetadata::message).map_or_else(|| reason(error), str::to_owned);
            let is_role = sources(error).any(<dyn StdError + 'static>::is::<AssumeRoleError>);
            profile.failure(&why, said.and_then(ErrorMetadata::code), is_role)
        }
        (_, CredentialsError::CredentialsNotLoaded(_)) => Failure::new(
            Class::Denied,
            "no usable credentials: none in the environment, the profile, a container or an instance",
        ),
        _ => Failure::new(Class::Denied, format!("no usable credentials: {why}")),
    };
    match error {
        CredentialsError::ProviderTimedOut(_) => unanswered(Class::Unreachable),
        CredentialsError::ProviderError(_) | CredentialsError::Unhandled(_) => {
            cause(error).map_or_else(none, unanswered)
        }
        _ => none(),
    }
}

/// Why there are none, without the SDK's "an error occurred while loading credentials" of every provider on the way.
fn reason(error: &CredentialsError) -> String {
    let mut texts: Vec<String> =
        sources(error).filter(|source| !source.is::<CredentialsError>()).map(ToString::to_string).collect();
    texts.dedup();
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

/// What the service said that was asked for credentials and refused.
fn refusal(error: &CredentialsError) -> Option<&ErrorMetadata> {
    sources(error).find_map(|source| {
        let assumed = source.downcast_ref::<AssumeRoleError>().map(AssumeRoleError::meta);
        let by_token =
            || source.downcast_ref::<AssumeRoleWithWebIdentityError>().map(AssumeRoleWithWebIdentityError::meta);
        assumed.or_else(by_token).or_else(|| source.downcast_ref::<ErrorMetadata>())
    })
}

fn unanswered(class: Class, origin: &Origin, why: &str) -> Failure {
    let place = origin.place().map(|place| format!(" ({place})")).unwrap_or_default();
    Failure::new(class, format!("the source of the credentials{place} did not answer: {why}")).help(origin.silence())
}

/// Whether the service did not answer in time, rather than having no credentials: nothing was sent that needed them, so the same
/// call may pass later.
fn cause(error: &CredentialsError) -> Option<Class> {
    let code = sources(error).find_map(|source| source.downcast_ref::<ErrorMetadata>()).and_then(ErrorMetadata::code);
    if let Some(code) = code
        && class_of("sts", "", code, "", 400) == Class::Throttled
    {
        return Some(Class::Throttled);
    }
    let connector = sources(error).find_map(|source| source.downcast_ref::<ConnectorError>());
    let texts: Vec<String> = sources(error).map(|source| source.to_string().to_ascii_lowercase()).collect();
    let says = |words: &[&str]| texts.iter().any(|text| words.iter().any(|word| text.contains(word)));
    if connector.is_some_and(|error| error.is_io() || error.is_timeout()) || says(&["timed out", "timeout"]) {
        Some(Class::Unreachable)
    } else if code.is_some_and(|code| ["InternalFailure", "InternalError", "ServiceUnavailable"].contains(&code))
        || says(&["throttl", "too many requests", "service unavailable", "internal server error"])
    {
        Some(Class::Throttled)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(error: &CredentialsError) -> (Class, String) {
        let failure = failure(error, &Origin::Machine);
        (failure.class, format!("{} {}", failure.message, failure.help.unwrap_or_default()))
    }

    async fn of_profile(config: &str, error: &CredentialsError) -> String {
        let origin = Origin::of("ops", config).await.expect("usable");
        let failure = failure(error, &origin);
        format!("{:?}: {failure}. {}", failure.class, failure.help.as_deref().unwrap_or_default())
    }

    const ROLE: &str = "[profile ops]\nrole_arn = arn:aws:iam::111122223333:role/ops\nsource_profile = base\nmfa_serial = m\n\
                        [profile base]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n\
                        [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example\n";

    #[test]
    fn who_has_no_time_is_told_from_who_has_no_credentials() {
        let of = |code: &str| ErrorMetadata::builder().code(code).message("x").build();
        assert_eq!(meant(&CredentialsError::provider_error(of("Throttling"))).0, Class::Throttled);
        assert_eq!(meant(&CredentialsError::provider_error(of("ThrottlingException"))).0, Class::Throttled);
        assert_eq!(meant(&CredentialsError::provider_error(of("InternalFailure"))).0, Class::Throttled);
        assert_eq!(meant(&CredentialsError::provider_error(of("AccessDenied"))).0, Class::Denied);
        let io = ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
        assert_eq!(meant(&CredentialsError::provider_error(io)).0, Class::Unreachable);
        assert_eq!(meant(&CredentialsError::provider_timed_out(ANSWER)).0, Class::Unreachable);
        let (class, said) = meant(&CredentialsError::not_loaded("dispatch failure: 169.254.169.254"));
        assert!(
            class == Class::Denied && said.contains("no usable credentials") && !said.contains("169.254"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn an_ended_login_names_the_command_that_renews_it() {
        let ended = CredentialsError::provider_error("the SSO token has expired and cannot be refreshed");
        let said = of_profile(ROLE, &ended).await;
        assert!(
            said.starts_with("Denied: the profile `ops` gives no credentials: the SSO token has expired"),
            "{said}"
        );
        // The login is that of the profile with the single sign-on.
        assert!(said.contains("`aws sso login --profile base`"), "{said}");
        let forbidden = ErrorMetadata::builder().code("ForbiddenException").message("No access").build();
        let said = of_profile(ROLE, &CredentialsError::provider_error(forbidden)).await;
        assert!(said.contains("ForbiddenException: ") && said.contains("Check `sso_account_id`"), "{said}");
        let missing = CredentialsError::provider_error(ConnectorError::user(NoCertificates.into()));
        let (_, said) = meant(&missing);
        assert!(said.starts_with("no CA certificates on this machine"), "{said}");
    }

    #[tokio::test]
    async fn a_role_that_is_refused_is_named_with_what_it_needs() {
        let refused =
            ErrorMetadata::builder().code("AccessDenied").message("not authorized to perform: sts:AssumeRole");
        let error = CredentialsError::provider_error(AssumeRoleError::generic(refused.build()));
        let said = of_profile(ROLE, &error).await;
        assert!(
            said.starts_with("Denied: AccessDenied: the profile `ops` gives no credentials: not authorized to perform"),
            "{said}"
        );
        assert!(said.contains("The role is `role_arn` under [profile ops] in config. Check its ARN"), "{said}");
        assert!(said.contains("`sso_session` under [profile base] in config"), "{said}");
        assert!(said.contains("does not ask for the MFA code of `mfa_serial` under [profile ops]"), "{said}");
        assert!(said.contains("aws configure export-credentials --profile ops"), "{said}");
        let busy = CredentialsError::provider_error(AssumeRoleError::generic(
            ErrorMetadata::builder().code("Throttling").message("Rate exceeded").build(),
        ));
        let said = of_profile(ROLE, &busy).await;
        assert!(
            said.starts_with("Throttled: the source of the credentials (`sso_session` under [profile base]"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_profile_that_changes_during_a_run_is_not_replaced_by_other_credentials() {
        // It was usable when the run began. Now no file has it.
        let name = "drctl-test-gone";
        let origin = Origin::of(name, &ROLE.replace("ops]", &format!("{name}]"))).await.expect("usable");
        let provider = provider(Some(name), &origin, &SdkRegion::new("us-east-1"), &crate::http::client(None)).await;
        let error = provider.expect("built").provide_credentials().await.expect_err("no such profile");
        let failure = failure(&error, &origin);
        assert!(failure.message.starts_with("the profile `drctl-test-gone` gives no"), "{failure}");
        assert!(!failure.message.contains("in chain"), "nothing else was asked: {failure}");
    }

    #[test]
    fn credentials_are_asked_for_before_they_expire() {
        let until = |left: Duration| Credentials::new("x", "y", None, Some(SystemTime::now() + left), "test");
        assert_eq!(lasting(&Credentials::new("x", "y", None, None, "test")), LONGEST);
        let held = lasting(&until(Duration::from_hours(1)));
        assert!(held > Duration::from_mins(57) && held <= Duration::from_mins(58), "{held:?}");
        assert_eq!(lasting(&until(Duration::from_secs(90))), SHORTEST);
        // As a clock that is an hour ahead sees them: they are good all the same.
        let past = Credentials::new("x", "y", None, Some(SystemTime::now() - Duration::from_hours(1)), "test");
        assert_eq!(lasting(&past), SHORTEST);
    }
}
