//! The list of all types.

use std::collections::HashMap;
use std::sync::Arc;

use super::durations::Latencies;
use super::permissions::Grant;
use super::typed::driver;
use super::{
    Context, Disposal, Resource, acm, apigatewayv2, cloudwatch, dynamodb, ec2, iam, kms, lambda, logs, rds, route53,
    s3, secretsmanager, sns,
};
use crate::{Aws, Scope};
use drctl_engine::{Driver, DriverRegistry, Region, TypeInfo};

/// The drivers of all types, for one run.
pub struct Registry {
    pub(super) context: Context,
    drivers: HashMap<&'static str, Arc<dyn Driver>>,
}

/// What is known about a type without any resource of it.
#[derive(Debug, Clone, Copy)]
pub struct TypeEntry {
    /// Its constants.
    pub traits: TypeInfo,
    /// Its service, by the name that AWS's limits of calls use.
    pub service: &'static str,
    /// How long AWS takes for it.
    pub latencies: &'static [Latencies],
    /// Seconds that a change in place typically takes.
    pub update_seconds: f64,
    /// The permissions that it needs.
    pub permissions: &'static [Grant],
    /// An id of the form that AWS assigns, for a resource that does not exist yet; empty for a type whose id is its name.
    pub sample_id: &'static str,
    /// Whether it is deleted after everything else.
    pub goes_last: bool,
}

impl TypeEntry {
    const fn of<R: Resource>() -> Self {
        Self {
            traits: R::INFO,
            service: R::SERVICE,
            latencies: R::LATENCIES,
            update_seconds: R::UPDATE_SECONDS,
            permissions: R::PERMISSIONS,
            sample_id: R::SAMPLE_ID,
            goes_last: R::GOES_LAST,
        }
    }
}

/// A type in the list below. No other can be added to a stack, so that nothing is created that `down` does not know.
pub trait Registered: Resource {}

macro_rules! types {
    ($($resource:ty),+ $(,)?) => {
        /// All types.
        pub static TYPES: &[TypeEntry] = &[$(TypeEntry::of::<$resource>()),+];

        $(impl Registered for $resource {})+

        fn drivers(context: &Context) -> HashMap<&'static str, Arc<dyn Driver>> {
            HashMap::from([$((<$resource as Resource>::INFO.kind, driver::<$resource>(context))),+])
        }
    };
}

/// The names of all types, as in addresses.
#[must_use]
pub fn kinds() -> Vec<&'static str> {
    TYPES.iter().map(|entry| entry.traits.kind).collect()
}

/// The entry of the type of this name.
#[must_use]
pub fn entry(kind: &str) -> Option<&'static TypeEntry> {
    TYPES.iter().find(|entry| entry.traits.kind == kind)
}

/// Whether data is lost for good when a resource of this type is deleted: it holds the data, or the data cannot be read without
/// it.
#[must_use]
pub fn holds_data(kind: &str) -> bool {
    entry(kind).is_some_and(|entry| entry.traits.holds_data)
}

/// The types that are deleted after everything else.
#[must_use]
pub fn go_last() -> Vec<&'static str> {
    TYPES.iter().filter(|entry| entry.goes_last).map(|entry| entry.traits.kind).collect()
}

types![
    ec2::Vpc,
    ec2::InternetGateway,
    ec2::Subnet,
    ec2::Eip,
    ec2::NatGateway,
    ec2::RouteTable,
    ec2::Route,
    ec2::RouteTableAssociation,
    ec2::SecurityGroup,
    ec2::DefaultSecurityGroup,
    ec2::VpcEndpoint,
    ec2::FlowLog,
    ec2::VpcPeering,
    iam::Role,
    kms::Key,
    kms::Alias,
    logs::LogGroup,
    sns::Topic,
    sns::Subscription,
    secretsmanager::Secret,
    rds::DbSubnetGroup,
    rds::DbClusterParameterGroup,
    rds::GlobalCluster,
    rds::DbCluster,
    rds::DbInstance,
    dynamodb::Table,
    s3::Bucket,
    s3::Replication,
    lambda::Function,
    lambda::Permission,
    apigatewayv2::Api,
    apigatewayv2::Integration,
    apigatewayv2::Authorizer,
    apigatewayv2::Route,
    apigatewayv2::Stage,
    apigatewayv2::DomainName,
    apigatewayv2::ApiMapping,
    acm::Certificate,
    cloudwatch::Alarm,
    cloudwatch::Dashboard,
    route53::HostedZone,
    route53::HealthCheck,
    route53::Record,
];

impl Registry {
    /// The drivers of all types, on behalf of one stack.
    #[must_use]
    pub fn new(aws: &Arc<Aws>, scope: Scope, region: &Region) -> Self {
        Self::disposing(aws, scope, region, Disposal::default())
    }

    /// The same, with the user's decisions about what a deletion keeps.
    #[must_use]
    pub fn disposing(aws: &Arc<Aws>, scope: Scope, region: &Region, disposal: Disposal) -> Self {
        let context = Context::new(aws.clone(), region.clone(), Arc::new(scope), disposal);
        Self { drivers: drivers(&context), context }
    }

    /// Forgets the listings, before AWS is read again.
    pub fn forget(&self) {
        self.context.forget();
    }

    /// The stack on whose behalf calls are made.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.context.scope
    }

    pub(super) fn typed<R: Registered>(&self) -> Arc<dyn Driver> {
        self.drivers[R::INFO.kind].clone()
    }
}

impl DriverRegistry for Registry {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        self.drivers.get(kind).cloned()
    }
}
