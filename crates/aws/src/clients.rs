//! Clients, one set per Region, all from one configuration.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::origin::Origin;
use aws_types::region::Region as SdkRegion;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::credentials::{Source, Wallet};
use super::http;
use super::limits::Limits;
use super::looking::Unheard;
use super::renewal::Renewal;
use super::settings::{SERVICES, Settings};
use super::silence::Silence;
use super::waiting::Waiting;
use drctl_engine::{Class, Failure, Region};

/// How long to wait for the other Region's answer after one has answered that it does not know the caller.
const SECOND_OPINION: Duration = Duration::from_secs(2);

/// The Region of the control planes of global services. See docs/aws-behaviour.md#global-control-planes.
pub(super) const GLOBAL_HOME: &str = "us-east-1";

/// The display name of a global service.
pub(super) fn global_name(service: &str) -> Option<&'static str> {
    match service {
        "iam" => Some("IAM"),
        "route53" => Some("Route 53"),
        _ => None,
    }
}

/// The Region that a call to a service goes to, for a caller in any Region.
pub(super) fn home(service: &str, region: &Region) -> Region {
    if global_name(service).is_some() { GLOBAL_HOME.into() } else { region.clone() }
}

/// Where calls go and who makes them, if the environment and the profiles are not to decide it.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// The Region of calls that do not name another, unless the environment or the profile names one.
    pub region: String,
    /// An endpoint for every service, e.g. the sandbox's.
    pub endpoint: Option<String>,
    /// The access key id to use with it: a 12-digit one is an account of its own in MiniStack and LocalStack.
    pub account: Option<String>,
}

/// The services' clients for one Region.
#[derive(Debug)]
pub struct Clients {
    /// AWS Certificate Manager.
    pub acm: aws_sdk_acm::Client,
    /// Amazon API Gateway, version 2: HTTP APIs.
    pub apigateway: aws_sdk_apigatewayv2::Client,
    /// Amazon `CloudWatch`.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// Amazon `DynamoDB`.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Amazon EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// AWS Identity and Access Management; global, with its control plane in us-east-1.
    pub iam: aws_sdk_iam::Client,
    /// AWS Key Management Service.
    pub kms: aws_sdk_kms::Client,
    /// AWS Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// Amazon CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// Service Quotas.
    pub quotas: aws_sdk_servicequotas::Client,
    /// Amazon RDS.
    pub rds: aws_sdk_rds::Client,
    /// Amazon Route 53; global, with its control plane in us-east-1.
    pub route53: aws_sdk_route53::Client,
    /// Amazon S3.
    pub s3: aws_sdk_s3::Client,
    /// AWS Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Amazon SNS.
    pub sns: aws_sdk_sns::Client,
    /// AWS Security Token Service.
    pub sts: aws_sdk_sts::Client,
}

/// AWS, or an endpoint in its place.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    settings: Settings,
    clients: Mutex<HashMap<Region, Arc<Clients>>>,
    pub(super) limits: Limits,
    pub(super) wallet: Arc<Wallet>,
    pub(super) renewal: Renewal,
    pub(super) waiting: Waiting,
    pub(super) unheard: Unheard,
    pub(super) silence: Silence,
    /// The account, once it is known.
    pub(super) account: OnceLock<String>,
    /// The Regions that have answered a call by this caller.
    pub(super) accepting: Mutex<BTreeSet<Region>>,
    /// The services and Regions that refused requests because of the clock, and whether one has been accepted since then.
    pub(super) clocks: Mutex<HashMap<(Region, &'static str), bool>>,
}

impl Aws {
    /// Connects without the settings of the environment and the profiles, for an endpoint and credentials that are given. Makes
    /// no call.
    pub async fn connect(connection: &Connection) -> Self {
        Self::with_settings(connection, Settings::default()).await
    }

    /// Connects as the environment and the profiles say. Makes no call to a service yet.
    pub async fn with_settings(connection: &Connection, settings: Settings) -> Self {
        let settings = match &connection.endpoint {
            Some(endpoint) => settings.at(endpoint),
            None => settings,
        };
        let http = http::client(settings.bundle.clone());
        let region = SdkRegion::new(settings.region.clone().unwrap_or_else(|| connection.region.clone()));
        let wallet = Arc::new(Wallet::new(match &connection.account {
            Some(account) => Source::Given(Credentials::new(account, "sandbox", None, None, "drctl sandbox")),
            None => Source::Chain {
                profile: settings.profile.clone(),
                origin: settings.origin.clone(),
                regions: settings.regions(&connection.region).into_iter().map(SdkRegion::new).collect(),
                http: http.clone(),
                fixed: settings.fixed,
            },
        }));
        let provider: Arc<dyn ProvideCredentials> = Arc::clone(&wallet) as _;
        // Retries are the caller's (`call.rs`): after a lost answer only the caller knows whether to repeat or to look first.
        // See docs/aws-behaviour.md#lost-answer.
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(region)
            .profile_name(settings.profile.as_deref().unwrap_or("default"))
            .credentials_provider(SharedCredentialsProvider::from(provider))
            // The wallet holds them, and gives them up when they are renewed.
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_millis(3100))
                    .operation_attempt_timeout(Duration::from_secs(20))
                    .build(),
            );
        if connection.endpoint.is_some() {
            // What the environment says about AWS's endpoints does not apply to another one.
            loader = loader.use_fips(false).use_dual_stack(false);
        }
        let config = loader.load().await;
        // An endpoint in place of AWS has limits of its own. If at least one service is AWS's, AWS's limits apply to all.
        let has_aws = SERVICES.iter().any(|(service, _)| settings.is_aws(service));
        let limits = if has_aws { Limits::aws() } else { Limits::none() };
        Self {
            config,
            settings,
            clients: Mutex::default(),
            limits,
            wallet,
            renewal: Renewal::default(),
            waiting: Waiting::default(),
            unheard: Unheard::default(),
            silence: Silence::default(),
            account: OnceLock::new(),
            accepting: Mutex::default(),
            clocks: Mutex::default(),
        }
    }

    /// Whether calls go to an endpoint that is not AWS.
    #[must_use]
    pub fn is_custom_endpoint(&self) -> bool {
        !self.limits.are_enforced()
    }

    /// Whether a service is AWS's own.
    pub(super) fn is_aws(&self, service: &str) -> bool {
        self.settings.is_aws(service)
    }

    /// The endpoint in place of AWS, if there is one.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint_of("sts").filter(|_| self.is_custom_endpoint())
    }

    /// The endpoint of a service, if it is not AWS's own.
    pub(super) fn endpoint_of(&self, service: &str) -> Option<&str> {
        self.settings.endpoint(service)
    }

    /// The Regions from which an answer is awaited.
    #[must_use]
    pub fn awaited(&self) -> Vec<Region> {
        self.waiting.regions()
    }

    /// Whether another Region has accepted this caller's credentials.
    pub(super) fn is_accepted_elsewhere(&self, region: &Region) -> bool {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|other| other != region)
    }

    /// The clients of a Region.
    #[must_use]
    pub fn at(&self, region: &Region) -> Arc<Clients> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(region.clone())
            .or_insert_with(|| {
                let at = |service| self.config_of(service, region);
                Arc::new(Clients {
                    acm: aws_sdk_acm::Client::new(&at("acm")),
                    apigateway: aws_sdk_apigatewayv2::Client::new(&at("apigateway")),
                    cloudwatch: aws_sdk_cloudwatch::Client::new(&at("cloudwatch")),
                    dynamodb: aws_sdk_dynamodb::Client::new(&at("dynamodb")),
                    ec2: aws_sdk_ec2::Client::new(&at("ec2")),
                    iam: aws_sdk_iam::Client::new(&at("iam")),
                    kms: aws_sdk_kms::Client::new(&at("kms")),
                    lambda: aws_sdk_lambda::Client::new(&at("lambda")),
                    logs: aws_sdk_cloudwatchlogs::Client::new(&at("logs")),
                    quotas: aws_sdk_servicequotas::Client::new(&at("servicequotas")),
                    rds: aws_sdk_rds::Client::new(&at("rds")),
                    route53: aws_sdk_route53::Client::new(&at("route53")),
                    s3: aws_sdk_s3::Client::from_conf(self.s3(&at("s3"))),
                    secrets: aws_sdk_secretsmanager::Client::new(&at("secretsmanager")),
                    sns: aws_sdk_sns::Client::new(&at("sns")),
                    sts: aws_sdk_sts::Client::new(&at("sts")),
                })
            })
            .clone()
    }

    /// The endpoint is set explicitly, so that the SDK does not read the environment, where it takes an empty variable for an
    /// endpoint.
    pub(super) fn config_of(&self, service: &str, region: &Region) -> SdkConfig {
        let region = home(service, region);
        let mut builder = self.config.to_builder().region(SdkRegion::new(region.to_string()));
        builder.set_endpoint_url(self.endpoint_of(service).map(str::to_owned));
        builder.insert_origin("endpoint_url", Origin::shared_config());
        builder.build()
    }

    /// An emulator has one host name for all buckets: they are addressed by path. AWS has one for each.
    fn s3(&self, config: &SdkConfig) -> aws_sdk_s3::Config {
        aws_sdk_s3::config::Builder::from(config).force_path_style(!self.is_aws("s3")).build()
    }

    /// The credentials that sign calls, for a request that is signed in advance.
    ///
    /// # Errors
    /// [`Class::Denied`] without usable ones.
    pub async fn credentials(&self) -> Result<Credentials, Failure> {
        self.wallet.get().await
    }

    /// The account of the credentials. All Regions are asked at the same time, and the first that knows it decides.
    ///
    /// # Errors
    /// [`Class::Denied`] without valid credentials; [`Class::TimedOut`] if no Region answers within `limit`.
    pub async fn account(&self, regions: &[Region], limit: Duration) -> Result<String, Failure> {
        let ask = |region: &Region| {
            let region = region.clone();
            async move {
                let clients = self.at(&region);
                self.read(&region, "sts", "GetCallerIdentity", || clients.sts.get_caller_identity().send()).await
            }
        };
        let mut asked: FuturesUnordered<_> = regions.iter().map(ask).collect();
        let mut until = Instant::now() + limit;
        let mut worst: Option<Failure> = None;
        loop {
            match timeout_at(until, asked.next()).await {
                Ok(Some(Ok(identity))) => {
                    let account = identity
                        .account
                        .ok_or_else(|| Failure::new(Class::Internal, "sts:GetCallerIdentity named no account"))?;
                    return Ok(self.account.get_or_init(|| account).clone());
                }
                // Nothing else has been asked yet, so it is not known whether it is STS or the Region that does not answer.
                Ok(Some(Err(failure))) if failure.silent.is_some() && failure.class == Class::TimedOut => {}
                Ok(Some(Err(failure))) => {
                    // The Region may not be enabled for the account, and the other one may be down.
                    if failure.class == Class::Denied {
                        until = until.min(Instant::now() + SECOND_OPINION);
                    }
                    if failure.class == Class::Denied || worst.as_ref().is_none_or(|worst| worst.class != Class::Denied)
                    {
                        worst = Some(failure);
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        Err(worst.or_else(|| self.wallet.silence(limit)).unwrap_or_else(|| {
            let named: Vec<String> = regions.iter().map(ToString::to_string).collect();
            let message = format!("STS did not answer within {} s in {}", limit.as_secs(), named.join(" and "));
            Failure::new(Class::TimedOut, message)
                .help("Check the network and AWS's health dashboard for these Regions.")
        }))
    }
}
#[cfg(test)]
impl Aws {
    /// AWS where no call is answered, unless a test answers it.
    pub(crate) async fn unreached() -> Self {
        let connection = Connection {
            region: "us-east-1".to_owned(),
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            account: Some("1".repeat(12)),
        };
        Self::connect(&connection).await
    }
}
