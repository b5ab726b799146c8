//! Which types there are.

use std::collections::HashMap;
use std::sync::Arc;

use super::typed::driver;
use super::{
    Context, Resource, acm, apigatewayv2, cloudwatch, dynamodb, ec2, iam, kms, lambda, logs, rds, route53, s3,
    secretsmanager, sns,
};
use crate::aws::{Aws, Scope};
use crate::engine::{Driver, Drivers, Region};

/// The drivers of all types, for one run.
pub struct Registry {
    context: Context,
    drivers: HashMap<&'static str, Arc<dyn Driver>>,
}

macro_rules! types {
    ($($resource:ty),+ $(,)?) => {
        /// The names of all types, as in addresses.
        #[must_use]
        pub fn kinds() -> Vec<&'static str> {
            vec![$(<$resource as Resource>::TRAITS.kind),+]
        }

        fn drivers(context: &Context) -> HashMap<&'static str, Arc<dyn Driver>> {
            HashMap::from([$((<$resource as Resource>::TRAITS.kind, driver::<$resource>(context))),+])
        }
    };
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

/// The types that hold data, or without which data cannot be read: what is lost with one of these is lost for good.
pub const HOLD_DATA: [&str; 6] = ["global_cluster", "db_cluster", "dynamodb_table", "s3_bucket", "kms_key", "secret"];

/// The types that others go on using after AWS has deleted them without a word: the key of what is encrypted, the role of what
/// runs, the log group of what still writes. They go after everything else that goes.
pub const GO_LAST: [&str; 3] = ["iam_role", "kms_key", "log_group"];

impl Registry {
    /// The drivers of all types, on behalf of one stack.
    #[must_use]
    pub fn new(aws: &Arc<Aws>, scope: Scope, region: &Region) -> Self {
        let context = Context::new(aws.clone(), region.clone(), Arc::new(scope));
        Self { drivers: drivers(&context), context }
    }

    /// Forgets what was listed: before AWS is looked at again.
    pub fn forget(&self) {
        self.context.forget();
    }

    /// On whose behalf.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.context.scope
    }

    pub(super) fn typed<R: Resource>(&self) -> Arc<dyn Driver> {
        self.drivers.get(R::TRAITS.kind).cloned().unwrap_or_else(|| driver::<R>(&self.context))
    }
}

impl Drivers for Registry {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        self.drivers.get(kind).cloned()
    }
}
