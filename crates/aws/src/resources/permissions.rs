//! How a type declares the permissions that it needs, and the resources on which AWS checks each action. If a service needs more
//! than the calls that drctl makes, because it reads or encrypts on the caller's behalf, the type declares that as well.
//!
//! The resources follow the service authorization reference. If the documentation of a call says more, the type cites it.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
//!
//! Resources are templates. `{region}` and `{account}` are filled in; `{own}` is the name or id of the resource itself; `{vpc}`
//! and other types stand for the resources of that type to which it refers, in that resource's Region: without any, nothing is
//! checked; of several, each is. `*` is for actions without resource-level permissions. A `?` before a template means that AWS
//! does not document what it checks, so that a refusal proves nothing.

/// Actions of one service that AWS checks on the same resources.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    /// Templates of the resources on which AWS checks them.
    pub resources: &'static [&'static str],
    /// The service that the actions belong to, as policies name it.
    pub service: &'static str,
    /// The names of the actions, separated by blanks.
    pub names: &'static str,
    /// Further conditions that policies may set for the call: keys and values, the latter being templates.
    pub context: &'static [(&'static str, &'static str)],
    /// Whether only later changes and deletions need it: no creation does.
    pub later: bool,
}

/// For creating and reading.
pub(super) const fn on(resources: &'static [&'static str], service: &'static str, names: &'static str) -> Grant {
    Grant { resources, service, names, context: &[], later: false }
}

/// For later updates and for deletion.
pub(super) const fn later(resources: &'static [&'static str], service: &'static str, names: &'static str) -> Grant {
    Grant { later: true, ..on(resources, service, names) }
}

/// For a service that uses the stack's keys on behalf of the caller:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>.
/// See docs/aws-behaviour.md#services-use-keys-as-the-caller.
pub(super) const fn key(context: &'static [(&'static str, &'static str)], names: &'static str) -> Grant {
    Grant { context, ..on(&[KEY], "kms", names) }
}

/// For passing the role to which a resource refers to a service.
pub(super) const fn pass(context: &'static [(&'static str, &'static str)]) -> Grant {
    Grant { context, ..on(&["arn:aws:iam::{account}:role{iam_role}"], "iam", "PassRole") }
}

/// For actions without resource-level permissions.
pub(super) const ANY: &[&str] = &["*"];

pub(super) const KEY: &str = "arn:aws:kms:{region}:{account}:key/{kms_key}";
pub(super) const OWN_KEY: &[&str] = &["arn:aws:kms:{region}:{account}:key/{own}"];
pub(super) const VPC: &str = "arn:aws:ec2:{region}:{account}:vpc/{vpc}";
pub(super) const TABLE: &[&str] = &["arn:aws:ec2:{region}:{account}:route-table/{route_table}"];
pub(super) const SECURITY_GROUP: &[&str] = &["arn:aws:ec2:{region}:{account}:security-group/{own}"];
pub(super) const INTERFACE: &[&str] = &["arn:aws:ec2:{region}:{account}:network-interface/eni-0a1b2c3d4e5f60718"];
pub(super) const TOPIC: &[&str] = &["arn:aws:sns:{region}:{account}:{sns_topic}"];
pub(super) const FUNCTION: &[&str] = &["arn:aws:lambda:{region}:{account}:function:{own}"];
pub(super) const GLOBAL_CLUSTER: &str = "arn:aws:rds::{account}:global-cluster:{global_cluster}";
pub(super) const CLUSTER: &[&str] = &["arn:aws:rds:{region}:{account}:cluster:{own}"];
pub(super) const BUCKET: &[&str] = &["arn:aws:s3:::{own}"];
pub(super) const ZONE: &[&str] = &["arn:aws:route53:::hostedzone/{hosted_zone}"];
pub(super) const OWN_ZONE: &[&str] = &["arn:aws:route53:::hostedzone/{own}"];
pub(super) const CHECK: &[&str] = &["arn:aws:route53:::healthcheck/{own}"];
pub(super) const ALARM: &[&str] = &["arn:aws:cloudwatch:{region}:{account}:alarm:{own}"];
pub(super) const DASHBOARD: &[&str] = &["arn:aws:cloudwatch::{account}:dashboard/{own}"];

/// The resources on which AWS checks a listing of the whole Region.
pub(super) const CLUSTERS: &[&str] = &["arn:aws:rds:{region}:{account}:cluster:*"];
pub(super) const GLOBAL_CLUSTERS: &[&str] = &["arn:aws:rds::{account}:global-cluster:*"];
pub(super) const INSTANCES: &[&str] = &["arn:aws:rds:{region}:{account}:db:*"];
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html>
pub(super) const LOG_GROUPS: &[&str] = &["arn:aws:logs:{region}:{account}:log-group:*"];

/// API Gateway's permissions are HTTP methods. AWS's documentation contradicts itself about which of them a call that sets tags
/// needs, and on which resource:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-iam-policy.html>
pub(super) const API_TAGS: Grant = on(&["?arn:aws:apigateway:{region}::/tags/*"], "apigateway", "POST PUT");
pub(super) const API_TAGS_OFF: Grant = later(&["?arn:aws:apigateway:{region}::/tags/*"], "apigateway", "DELETE");

impl Grant {
    /// The actions as they are written in policies.
    pub fn actions(&self) -> impl Iterator<Item = String> + use<> {
        let service = self.service;
        self.names.split_whitespace().map(move |name| format!("{service}:{name}"))
    }
}
