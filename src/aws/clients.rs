//! Clients, one set per Region, all from one configuration.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::Region as SdkRegion;

use super::limits::Limits;
use crate::engine::{Class, Failure, Region};

/// Where calls go and who makes them, where that differs from the SDK's own chain of environment and profiles.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// The Region of calls that name no other; given, so that the SDK does not go looking for one.
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

/// AWS, or what stands in for it.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    custom_endpoint: bool,
    clients: Mutex<HashMap<Region, Arc<Clients>>>,
    pub(super) limits: Limits,
}

impl Aws {
    /// Reads the SDK's configuration: environment, profiles, instance roles. Makes no call to a service yet.
    pub async fn connect(connection: &Connection) -> Self {
        // Retries are the caller's (`call.rs`): after a lost answer only the caller knows whether to repeat or to look first.
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled()).timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_millis(3100))
                    .operation_attempt_timeout(Duration::from_secs(20))
                    .build(),
            );
        if let Some(endpoint) = &connection.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(account) = &connection.account {
            loader = loader.credentials_provider(Credentials::new(account, "sandbox", None, None, "drctl sandbox"));
        }
        let config = loader.load().await;
        // The SDK reads AWS_ENDPOINT_URL_<SERVICE> when a client is made; any of them makes this something else than AWS.
        let by_environment =
            std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("AWS_ENDPOINT_URL"));
        let custom_endpoint = config.endpoint_url().is_some() || by_environment;
        let limits = if custom_endpoint { Limits::none() } else { Limits::aws() };
        Self { config, custom_endpoint, clients: Mutex::default(), limits }
    }

    /// Whether calls go to something else than AWS.
    #[must_use]
    pub fn is_custom_endpoint(&self) -> bool {
        self.custom_endpoint
    }

    /// The endpoint that stands in for every service, if one does.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.config.endpoint_url()
    }

    /// The clients of a Region.
    #[must_use]
    pub fn at(&self, region: &Region) -> Arc<Clients> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(region.clone())
            .or_insert_with(|| {
                let config = self.config.to_builder().region(SdkRegion::new(region.to_string())).build();
                Arc::new(Clients {
                    acm: aws_sdk_acm::Client::new(&config),
                    apigateway: aws_sdk_apigatewayv2::Client::new(&config),
                    cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
                    dynamodb: aws_sdk_dynamodb::Client::new(&config),
                    ec2: aws_sdk_ec2::Client::new(&config),
                    iam: aws_sdk_iam::Client::new(&config),
                    kms: aws_sdk_kms::Client::new(&config),
                    lambda: aws_sdk_lambda::Client::new(&config),
                    logs: aws_sdk_cloudwatchlogs::Client::new(&config),
                    quotas: aws_sdk_servicequotas::Client::new(&config),
                    rds: aws_sdk_rds::Client::new(&config),
                    route53: aws_sdk_route53::Client::new(&config),
                    s3: aws_sdk_s3::Client::from_conf(self.s3(&config)),
                    secrets: aws_sdk_secretsmanager::Client::new(&config),
                    sns: aws_sdk_sns::Client::new(&config),
                    sts: aws_sdk_sts::Client::new(&config),
                })
            })
            .clone()
    }

    /// An emulator has one host name for all buckets: they are addressed by path. AWS has one for each.
    fn s3(&self, config: &SdkConfig) -> aws_sdk_s3::Config {
        aws_sdk_s3::config::Builder::from(config).force_path_style(self.custom_endpoint).build()
    }

    /// The credentials that calls are signed with: for a request that is signed beforehand.
    ///
    /// # Errors
    /// [`Class::Denied`] without usable ones.
    pub async fn credentials(&self) -> Result<Credentials, Failure> {
        let none = || Failure::new(Class::Denied, "no usable credentials");
        let provider = self.config.credentials_provider().ok_or_else(none)?;
        provider.provide_credentials().await.map_err(|_| none())
    }

    /// The account that the credentials belong to, asked in the first Region that answers.
    ///
    /// # Errors
    /// [`Class::Denied`] without valid credentials; else what the last Region answered.
    pub async fn account(&self, regions: &[Region]) -> Result<String, Failure> {
        let mut last = Failure::new(Class::Internal, "no Region to ask for the account");
        for region in regions {
            let clients = self.at(region);
            match self.read(region, "sts", "GetCallerIdentity", || clients.sts.get_caller_identity().send()).await {
                Ok(identity) => {
                    return identity
                        .account
                        .ok_or_else(|| Failure::new(Class::Internal, "sts:GetCallerIdentity named no account"));
                }
                Err(failure) if failure.class == Class::Denied => return Err(failure),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}
