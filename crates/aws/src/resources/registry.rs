//! Which types there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::typed::driver;
use super::{
    Context, Disposal, Failure, Resource, acm, apigatewayv2, cloudwatch, dynamodb, ec2, iam, kms, lambda, logs, rds,
    route53, s3, secretsmanager, sns,
};
use crate::{Aws, Scope};
use drctl_engine::{Driver, Drivers, Region};

/// The drivers of all types, for one run.
pub struct Registry {
    pub(super) context: Context,
    drivers: HashMap<&'static str, Arc<dyn Driver>>,
}

macro_rules! types {
    ($($resource:ty),+ $(,)?) => {
        /// The names of all types, as in addresses.
        #[must_use]
        pub fn kinds() -> Vec<&'static str> {
            vec![$(<$resource as Resource>::TRAITS.kind),+]
        }

        /// Whether data is lost for good when a resource of this type is deleted: it holds them, or they cannot be read without it.
        #[must_use]
        pub fn holds_data(kind: &str) -> bool {
            [$(<$resource as Resource>::TRAITS),+].iter().any(|traits| traits.kind == kind && traits.holds_data)
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

/// The types that others go on using after AWS has deleted them without a word: the key of what is encrypted, the role of what
/// runs, the log group of what still writes. They go after everything else that goes.
pub const GO_LAST: [&str; 3] = ["iam_role", "kms_key", "log_group"];

impl Registry {
    /// The drivers of all types, on behalf of one stack.
    #[must_use]
    pub fn new(aws: &Arc<Aws>, scope: Scope, region: &Region) -> Self {
        Self::disposing(aws, scope, region, Disposal::default())
    }

    /// The same, where something was agreed about what is deleted.
    #[must_use]
    pub fn disposing(aws: &Arc<Aws>, scope: Scope, region: &Region, disposal: Disposal) -> Self {
        let context = Context::new(aws.clone(), region.clone(), Arc::new(scope), disposal);
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

    /// What lies in a VPC of the stack's and is not drctl's, in a sentence each: as long as it is there, the VPC cannot be
    /// deleted. What has one of the `recorded` ids is drctl's, whatever its tags.
    ///
    /// # Errors
    /// What a call's answer means.
    pub async fn foreign_in_vpc(
        &self,
        region: &Region,
        vpc: &str,
        recorded: &BTreeSet<&str>,
    ) -> Result<Vec<String>, Failure> {
        ec2::foreign_in_vpc(&self.context.at(region), vpc, recorded).await
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
