//! The list: what each type of resource takes, and what AWS checks each action on. Where a service needs more than the calls
//! that drctl makes itself, because it looks or encrypts on the caller's behalf, the row says so.
//!
//! What an action is checked on follows the service authorization reference; where a call of AWS's own documentation says
//! more, it is cited at the row.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
//!
//! Resources are templates. `{region}` and `{account}` are filled in; `{own}` is the name or id of the resource itself;
//! `{vpc}` and other types stand for what it refers to of that type, in that resource's Region: with none,
//! nothing is asked; with several, each of them is. `*` is for actions without resource-level permissions. A `?` before a
//! template means that AWS does not document what it checks, so that a refusal proves nothing.

use super::actions::Needs;

/// Actions of one service that AWS checks on the same resources.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    pub resources: &'static [&'static str],
    pub service: &'static str,
    /// Names, separated by blanks.
    pub names: &'static str,
    /// What policies may ask of the call besides: key and value, the latter a template.
    pub context: &'static [(&'static str, &'static str)],
    /// Whether it is taken only by what is changed later, or deleted: nothing that is made needs it.
    pub later: bool,
}

const fn on(resources: &'static [&'static str], service: &'static str, names: &'static str) -> Grant {
    Grant { resources, service, names, context: &[], later: false }
}

/// For later updates and for deletion.
const fn later(resources: &'static [&'static str], service: &'static str, names: &'static str) -> Grant {
    Grant { later: true, ..on(resources, service, names) }
}

/// The stack's keys, used by a service on behalf of the caller: <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>
const fn key(context: &'static [(&'static str, &'static str)], names: &'static str) -> Grant {
    Grant { context, ..on(&[KEY], "kms", names) }
}

/// Passing the role that a resource refers to, to a service.
const fn pass(context: &'static [(&'static str, &'static str)]) -> Grant {
    Grant { context, ..on(&["arn:aws:iam::{account}:role{iam_role}"], "iam", "PassRole") }
}

/// For actions without resource-level permissions.
const ANY: &[&str] = &["*"];

const KEY: &str = "arn:aws:kms:{region}:{account}:key/{kms_key}";
const OWN_KEY: &[&str] = &["arn:aws:kms:{region}:{account}:key/{own}"];
const VPC: &str = "arn:aws:ec2:{region}:{account}:vpc/{vpc}";
const TABLE: &[&str] = &["arn:aws:ec2:{region}:{account}:route-table/{route_table}"];
const GROUP: &[&str] = &["arn:aws:ec2:{region}:{account}:security-group/{own}"];
const INTERFACE: &[&str] = &["arn:aws:ec2:{region}:{account}:network-interface/eni-0a1b2c3d4e5f60718"];
const TOPIC: &[&str] = &["arn:aws:sns:{region}:{account}:{sns_topic}"];
const FUNCTION: &[&str] = &["arn:aws:lambda:{region}:{account}:function:{own}"];
const GLOBAL_CLUSTER: &str = "arn:aws:rds::{account}:global-cluster:{global_cluster}";
const CLUSTER: &[&str] = &["arn:aws:rds:{region}:{account}:cluster:{own}"];
const BUCKET: &[&str] = &["arn:aws:s3:::{own}"];
const ZONE: &[&str] = &["arn:aws:route53:::hostedzone/{hosted_zone}"];
const OWN_ZONE: &[&str] = &["arn:aws:route53:::hostedzone/{own}"];
const CHECK: &[&str] = &["arn:aws:route53:::healthcheck/{own}"];
const ALARM: &[&str] = &["arn:aws:cloudwatch:{region}:{account}:alarm:{own}"];
const DASHBOARD: &[&str] = &["arn:aws:cloudwatch::{account}:dashboard/{own}"];

/// What a listing of the whole Region is checked on.
const CLUSTERS: &[&str] = &["arn:aws:rds:{region}:{account}:cluster:*"];
const GLOBAL_CLUSTERS: &[&str] = &["arn:aws:rds::{account}:global-cluster:*"];
const INSTANCES: &[&str] = &["arn:aws:rds:{region}:{account}:db:*"];
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html>
const LOG_GROUPS: &[&str] = &["arn:aws:logs:{region}:{account}:log-group:*"];

/// API Gateway's permissions are methods of HTTP. Which of them a call that sets tags takes, and on what, AWS does not say in
/// one way: <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-iam-policy.html>
const API_TAGS: Grant = on(&["?arn:aws:apigateway:{region}::/tags/*"], "apigateway", "POST PUT");
const API_TAGS_OFF: Grant = later(&["?arn:aws:apigateway:{region}::/tags/*"], "apigateway", "DELETE");

/// Sample ids, by type, for resources that AWS has not created yet: patterns in policies match them as they match real ones.
pub(super) const SAMPLES: &[(&str, &str)] = &[
    ("api", "a1b2c3d4e5"),
    ("api_integration", "a1b2c3d"),
    ("api_route", "a1b2c3d"),
    ("api_mapping", "a1b2c3"),
    ("certificate", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    ("default_security_group", "sg-0a1b2c3d4e5f60718"),
    ("eip", "eipalloc-0a1b2c3d4e5f60718"),
    ("flow_log", "fl-0a1b2c3d4e5f60718"),
    ("health_check", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    ("hosted_zone", "Z0123456789ABCDEFGHIJ"),
    ("internet_gateway", "igw-0a1b2c3d4e5f60718"),
    ("kms_key", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    ("nat_gateway", "nat-0a1b2c3d4e5f60718"),
    ("route_table", "rtb-0a1b2c3d4e5f60718"),
    ("security_group", "sg-0a1b2c3d4e5f60718"),
    ("subnet", "subnet-0a1b2c3d4e5f60718"),
    ("vpc", "vpc-0a1b2c3d4e5f60718"),
    ("vpc_endpoint", "vpce-0a1b2c3d4e5f60718"),
    ("vpc_peering", "pcx-0a1b2c3d4e5f60718"),
];

/// The permissions of every resource type.
pub const NEEDS: &[Needs] = &[
    Needs {
        kind: "vpc",
        grants: &[
            on(
                &["arn:aws:ec2:{region}:{account}:vpc/{own}"],
                "ec2",
                "CreateTags CreateVpc DescribeVpcAttribute ModifyVpcAttribute",
            ),
            later(&["arn:aws:ec2:{region}:{account}:vpc/{own}"], "ec2", "DeleteVpc"),
            on(ANY, "ec2", "DescribeVpcs"),
        ],
    },
    Needs {
        kind: "internet_gateway",
        grants: &[
            on(
                &["arn:aws:ec2:{region}:{account}:internet-gateway/{own}"],
                "ec2",
                "AttachInternetGateway CreateInternetGateway CreateTags",
            ),
            on(&[VPC], "ec2", "AttachInternetGateway"),
            later(
                &["arn:aws:ec2:{region}:{account}:internet-gateway/{own}"],
                "ec2",
                "DeleteInternetGateway DetachInternetGateway",
            ),
            on(ANY, "ec2", "DescribeInternetGateways"),
        ],
    },
    Needs {
        kind: "subnet",
        grants: &[
            on(
                &["arn:aws:ec2:{region}:{account}:subnet/{own}"],
                "ec2",
                "CreateSubnet CreateTags ModifySubnetAttribute",
            ),
            on(&[VPC], "ec2", "CreateSubnet"),
            later(&["arn:aws:ec2:{region}:{account}:subnet/{own}"], "ec2", "DeleteSubnet"),
            later(INTERFACE, "ec2", "DeleteNetworkInterface"),
            later(ANY, "ec2", "DescribeNetworkInterfaces"),
            on(ANY, "ec2", "DescribeSubnets"),
        ],
    },
    Needs {
        kind: "eip",
        grants: &[
            on(&["arn:aws:ec2:{region}:{account}:elastic-ip/{own}"], "ec2", "AllocateAddress CreateTags"),
            later(&["arn:aws:ec2:{region}:{account}:elastic-ip/{own}"], "ec2", "ReleaseAddress"),
            on(ANY, "ec2", "DescribeAddresses"),
            later(ANY, "ec2", "DescribeNetworkInterfaces"),
        ],
    },
    Needs {
        kind: "nat_gateway",
        grants: &[
            on(&["arn:aws:ec2:{region}:{account}:natgateway/{own}"], "ec2", "CreateNatGateway CreateTags"),
            later(&["arn:aws:ec2:{region}:{account}:natgateway/{own}"], "ec2", "DeleteNatGateway"),
            on(ANY, "ec2", "DescribeNatGateways"),
        ],
    },
    Needs {
        kind: "route_table",
        grants: &[
            on(&["arn:aws:ec2:{region}:{account}:route-table/{own}"], "ec2", "CreateRouteTable CreateTags"),
            on(&[VPC], "ec2", "CreateRouteTable"),
            later(&["arn:aws:ec2:{region}:{account}:route-table/{own}"], "ec2", "DeleteRouteTable"),
            on(ANY, "ec2", "DescribeRouteTables"),
        ],
    },
    Needs {
        kind: "route",
        grants: &[
            on(TABLE, "ec2", "CreateRoute"),
            later(TABLE, "ec2", "DeleteRoute ReplaceRoute"),
            on(ANY, "ec2", "DescribeRouteTables"),
        ],
    },
    Needs {
        kind: "route_table_association",
        grants: &[
            on(TABLE, "ec2", "AssociateRouteTable"),
            later(TABLE, "ec2", "DisassociateRouteTable ReplaceRouteTableAssociation"),
            on(ANY, "ec2", "DescribeRouteTables"),
        ],
    },
    Needs {
        // A new group has a rule for everything out, which is taken away.
        kind: "security_group",
        grants: &[
            on(
                GROUP,
                "ec2",
                "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateSecurityGroup CreateTags \
                 RevokeSecurityGroupEgress",
            ),
            later(
                GROUP,
                "ec2",
                "DeleteSecurityGroup RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress \
                 UpdateSecurityGroupRuleDescriptionsIngress",
            ),
            later(INTERFACE, "ec2", "DeleteNetworkInterface"),
            later(ANY, "ec2", "DescribeNetworkInterfaces"),
            on(ANY, "ec2", "DescribeSecurityGroupRules DescribeSecurityGroups"),
        ],
    },
    Needs {
        kind: "default_security_group",
        grants: &[
            on(GROUP, "ec2", "CreateTags RevokeSecurityGroupEgress RevokeSecurityGroupIngress"),
            later(
                GROUP,
                "ec2",
                "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress \
                 UpdateSecurityGroupRuleDescriptionsIngress",
            ),
            on(ANY, "ec2", "DescribeSecurityGroupRules DescribeSecurityGroups"),
        ],
    },
    Needs {
        kind: "vpc_endpoint",
        grants: &[
            on(&["arn:aws:ec2:{region}:{account}:vpc-endpoint/{own}"], "ec2", "CreateTags CreateVpcEndpoint"),
            on(&[VPC], "ec2", "CreateVpcEndpoint"),
            later(
                &["arn:aws:ec2:{region}:{account}:vpc-endpoint/{own}"],
                "ec2",
                "DeleteVpcEndpoints ModifyVpcEndpoint",
            ),
            on(ANY, "ec2", "DescribeVpcEndpoints"),
        ],
    },
    Needs {
        kind: "flow_log",
        grants: &[
            on(&["arn:aws:ec2:{region}:{account}:vpc-flow-log/{own}"], "ec2", "CreateFlowLogs CreateTags"),
            later(&["arn:aws:ec2:{region}:{account}:vpc-flow-log/{own}"], "ec2", "DeleteFlowLogs"),
            on(ANY, "ec2", "DescribeFlowLogs"),
            pass(&[("iam:PassedToService", "vpc-flow-logs.amazonaws.com")]),
        ],
    },
    Needs {
        kind: "vpc_peering",
        grants: &[
            on(
                &["arn:aws:ec2:{region}:{account}:vpc-peering-connection/{own}"],
                "ec2",
                "AcceptVpcPeeringConnection CreateTags CreateVpcPeeringConnection ModifyVpcPeeringConnectionOptions",
            ),
            on(&[VPC], "ec2", "AcceptVpcPeeringConnection CreateVpcPeeringConnection"),
            later(
                &["arn:aws:ec2:{region}:{account}:vpc-peering-connection/{own}"],
                "ec2",
                "DeleteVpcPeeringConnection",
            ),
            on(ANY, "ec2", "DescribeVpcPeeringConnections"),
        ],
    },
    Needs {
        kind: "iam_role",
        grants: &[
            on(
                &["arn:aws:iam::{account}:role{own}"],
                "iam",
                "CreateRole GetRole GetRolePolicy ListRolePolicies PutRolePolicy TagRole",
            ),
            later(
                &["arn:aws:iam::{account}:role{own}"],
                "iam",
                "DeleteRole DeleteRolePolicy DetachRolePolicy ListAttachedRolePolicies UpdateAssumeRolePolicy \
                 UpdateRoleDescription",
            ),
        ],
    },
    Needs {
        kind: "kms_key",
        grants: &[
            on(ANY, "kms", "CreateKey ListKeys"),
            on(
                OWN_KEY,
                "kms",
                "DescribeKey EnableKeyRotation GetKeyPolicy GetKeyRotationStatus ListResourceTags PutKeyPolicy \
                 TagResource",
            ),
            later(
                OWN_KEY,
                "kms",
                "CancelKeyDeletion DisableKey DisableKeyRotation EnableKey ScheduleKeyDeletion UpdateKeyDescription",
            ),
            // Before a key goes, it is looked for snapshots that can be read only with it.
            later(ANY, "rds", "DescribeDBClusterSnapshots"),
        ],
    },
    Needs {
        kind: "kms_alias",
        grants: &[
            on(&["arn:aws:kms:{region}:{account}:{own}"], "kms", "CreateAlias"),
            on(&[KEY], "kms", "CreateAlias DescribeKey ListResourceTags"),
            later(&["arn:aws:kms:{region}:{account}:{own}"], "kms", "DeleteAlias UpdateAlias"),
        ],
    },
    Needs {
        // The key, on the caller's behalf: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        // An ARN without the `:*` stands for tags, one with it for all else:
        // https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
        kind: "log_group",
        grants: &[
            on(
                &["arn:aws:logs:{region}:{account}:log-group:{own}:*"],
                "logs",
                "AssociateKmsKey CreateLogGroup PutRetentionPolicy",
            ),
            on(&["arn:aws:logs:{region}:{account}:log-group:{own}"], "logs", "ListTagsForResource TagResource"),
            later(
                &["arn:aws:logs:{region}:{account}:log-group:{own}:*"],
                "logs",
                "DeleteLogGroup DeleteRetentionPolicy",
            ),
            on(LOG_GROUPS, "logs", "DescribeLogGroups"),
            key(
                &[("kms:ViaService", "logs.{region}.amazonaws.com")],
                "Decrypt DescribeKey Encrypt GenerateDataKey ReEncryptFrom ReEncryptTo",
            ),
        ],
    },
    Needs {
        kind: "sns_topic",
        grants: &[
            on(
                &["arn:aws:sns:{region}:{account}:{own}"],
                "sns",
                "CreateTopic GetTopicAttributes ListTagsForResource SetTopicAttributes TagResource",
            ),
            later(&["arn:aws:sns:{region}:{account}:{own}"], "sns", "DeleteTopic"),
        ],
    },
    Needs {
        kind: "sns_subscription",
        grants: &[on(TOPIC, "sns", "ListSubscriptionsByTopic Subscribe"), later(&["?*"], "sns", "Unsubscribe")],
    },
    Needs {
        // The key, on the caller's behalf: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
        // AWS ends a secret's ARN in six characters of its own.
        kind: "secret",
        grants: &[
            on(
                &["arn:aws:secretsmanager:{region}:{account}:secret:{own}-a1b2c3"],
                "secretsmanager",
                "CreateSecret DescribeSecret ReplicateSecretToRegions TagResource",
            ),
            later(
                &["arn:aws:secretsmanager:{region}:{account}:secret:{own}-a1b2c3"],
                "secretsmanager",
                "DeleteSecret RemoveRegionsFromReplication RestoreSecret UpdateSecret",
            ),
            key(&[("kms:ViaService", "secretsmanager.{region}.amazonaws.com")], "Decrypt GenerateDataKey"),
        ],
    },
    Needs {
        // RDS looks at the network as the caller: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSubnetGroup.html
        kind: "db_subnet_group",
        grants: &[
            on(
                &["arn:aws:rds:{region}:{account}:subgrp:{own}"],
                "rds",
                "AddTagsToResource CreateDBSubnetGroup DescribeDBSubnetGroups ListTagsForResource",
            ),
            later(&["arn:aws:rds:{region}:{account}:subgrp:{own}"], "rds", "DeleteDBSubnetGroup ModifyDBSubnetGroup"),
            on(ANY, "ec2", "DescribeAvailabilityZones DescribeSubnets DescribeVpcs"),
        ],
    },
    Needs {
        kind: "db_cluster_parameter_group",
        grants: &[
            on(
                &["arn:aws:rds:{region}:{account}:cluster-pg:{own}"],
                "rds",
                "AddTagsToResource CreateDBClusterParameterGroup DescribeDBClusterParameterGroups \
                 DescribeDBClusterParameters ListTagsForResource ModifyDBClusterParameterGroup",
            ),
            later(
                &["arn:aws:rds:{region}:{account}:cluster-pg:{own}"],
                "rds",
                "DeleteDBClusterParameterGroup ResetDBClusterParameterGroup",
            ),
        ],
    },
    Needs {
        kind: "global_cluster",
        grants: &[
            on(
                &["arn:aws:rds::{account}:global-cluster:{own}"],
                "rds",
                "AddTagsToResource CreateGlobalCluster ListTagsForResource",
            ),
            later(
                &["arn:aws:rds::{account}:global-cluster:{own}"],
                "rds",
                "DeleteGlobalCluster ModifyGlobalCluster RemoveFromGlobalCluster",
            ),
            on(GLOBAL_CLUSTERS, "rds", "DescribeGlobalClusters"),
            later(CLUSTERS, "rds", "DescribeDBClusters ModifyDBCluster"),
        ],
    },
    Needs {
        // The key: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Overview.Encryption.Keys.html. The password is
        // read from the secret.
        kind: "db_cluster",
        grants: &[
            on(
                CLUSTER,
                "rds",
                "AddTagsToResource CreateDBCluster EnableHttpEndpoint ListTagsForResource ModifyDBCluster",
            ),
            on(
                &[
                    GLOBAL_CLUSTER,
                    "arn:aws:rds:{region}:{account}:cluster-pg:{db_cluster_parameter_group}",
                    "arn:aws:rds:{region}:{account}:subgrp:{db_subnet_group}",
                ],
                "rds",
                "CreateDBCluster",
            ),
            later(CLUSTER, "rds", "DeleteDBCluster DisableHttpEndpoint RemoveFromGlobalCluster"),
            later(&[GLOBAL_CLUSTER], "rds", "RemoveFromGlobalCluster"),
            on(CLUSTERS, "rds", "DescribeDBClusters"),
            on(ANY, "ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
            key(
                &[("kms:ViaService", "rds.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
                "CreateGrant Decrypt DescribeKey",
            ),
            on(
                &["arn:aws:secretsmanager:{region}:{account}:secret:{secret}-a1b2c3"],
                "secretsmanager",
                "GetSecretValue",
            ),
        ],
    },
    Needs {
        kind: "db_instance",
        grants: &[
            on(
                &["arn:aws:rds:{region}:{account}:db:{own}"],
                "rds",
                "AddTagsToResource CreateDBInstance ListTagsForResource",
            ),
            later(&["arn:aws:rds:{region}:{account}:db:{own}"], "rds", "DeleteDBInstance ModifyDBInstance"),
            on(INSTANCES, "rds", "DescribeDBInstances"),
            key(
                &[("kms:ViaService", "rds.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
                "CreateGrant DescribeKey",
            ),
        ],
    },
    Needs {
        // Replication copies items as the caller of the first call:
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-security.html. The keys, on the
        // caller's behalf: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
        kind: "dynamodb_table",
        grants: &[
            on(
                &["arn:aws:dynamodb:{region}:{account}:table/{own}"],
                "dynamodb",
                "BatchWriteItem CreateTable CreateTableReplica DeleteItem DescribeContinuousBackups DescribeTable \
                 DescribeTimeToLive GetItem ListTagsOfResource PutItem Query Scan TagResource UpdateContinuousBackups \
                 UpdateItem UpdateTable UpdateTimeToLive",
            ),
            later(&["arn:aws:dynamodb:{region}:{account}:table/{own}"], "dynamodb", "DeleteTable DeleteTableReplica"),
            key(
                &[("kms:ViaService", "dynamodb.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
                "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey ReEncryptFrom ReEncryptTo",
            ),
        ],
    },
    Needs {
        kind: "s3_bucket",
        grants: &[
            on(
                BUCKET,
                "s3",
                "CreateBucket GetBucketOwnershipControls GetBucketPolicy GetBucketPublicAccessBlock GetBucketTagging \
                 GetBucketVersioning GetEncryptionConfiguration GetLifecycleConfiguration PutBucketOwnershipControls \
                 PutBucketPolicy PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning \
                 PutEncryptionConfiguration PutLifecycleConfiguration TagResource",
            ),
            on(ANY, "s3", "ListAllMyBuckets"),
            later(
                BUCKET,
                "s3",
                "DeleteBucket DeleteBucketPolicy GetBucketObjectLockConfiguration ListBucketMultipartUploads \
                 ListBucketVersions",
            ),
            later(&["arn:aws:s3:::{own}/*"], "s3", "AbortMultipartUpload DeleteObject DeleteObjectVersion"),
        ],
    },
    Needs {
        kind: "s3_replication",
        grants: &[
            on(&["arn:aws:s3:::{s3_bucket}"], "s3", "GetReplicationConfiguration PutReplicationConfiguration"),
            pass(&[("iam:PassedToService", "s3.amazonaws.com")]),
        ],
    },
    Needs {
        // The network and the key, as the caller: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html,
        // https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
        kind: "lambda_function",
        grants: &[
            on(FUNCTION, "lambda", "CreateFunction GetFunction ListTags PutFunctionConcurrency TagResource"),
            later(
                FUNCTION,
                "lambda",
                "DeleteFunction DeleteFunctionConcurrency UpdateFunctionCode UpdateFunctionConfiguration",
            ),
            on(ANY, "ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
            pass(&[("iam:PassedToService", "lambda.amazonaws.com")]),
            key(
                &[("kms:ViaService", "lambda.{region}.amazonaws.com"), ("kms:GrantIsForAWSResource", "true")],
                "CreateGrant Decrypt Encrypt",
            ),
        ],
    },
    Needs {
        kind: "lambda_permission",
        grants: &[
            on(&["arn:aws:lambda:{region}:{account}:function:{lambda_function}"], "lambda", "AddPermission GetPolicy"),
            later(&["arn:aws:lambda:{region}:{account}:function:{lambda_function}"], "lambda", "RemovePermission"),
        ],
    },
    Needs {
        kind: "api_authorizer",
        grants: &[
            on(&["arn:aws:apigateway:{region}::/apis/{api}/authorizers"], "apigateway", "GET POST"),
            later(&["arn:aws:apigateway:{region}::/apis/{api}/authorizers/{own}"], "apigateway", "DELETE GET PATCH"),
        ],
    },
    Needs {
        kind: "api",
        grants: &[
            on(&["arn:aws:apigateway:{region}::/apis"], "apigateway", "GET POST"),
            on(&["arn:aws:apigateway:{region}::/apis/{own}"], "apigateway", "GET"),
            API_TAGS,
            later(&["arn:aws:apigateway:{region}::/apis/{own}"], "apigateway", "DELETE PATCH"),
            API_TAGS_OFF,
        ],
    },
    Needs {
        kind: "api_integration",
        grants: &[
            on(&["arn:aws:apigateway:{region}::/apis/{api}/integrations"], "apigateway", "GET POST"),
            later(&["arn:aws:apigateway:{region}::/apis/{api}/integrations/{own}"], "apigateway", "DELETE GET PATCH"),
        ],
    },
    Needs {
        kind: "api_route",
        grants: &[
            on(&["arn:aws:apigateway:{region}::/apis/{api}/routes"], "apigateway", "GET POST"),
            later(&["arn:aws:apigateway:{region}::/apis/{api}/routes/{own}"], "apigateway", "DELETE GET PATCH"),
        ],
    },
    Needs {
        // Access logs: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html, and what their
        // permissions may be restricted to:
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html
        kind: "api_stage",
        grants: &[
            on(&["arn:aws:apigateway:{region}::/apis/{api}/stages"], "apigateway", "POST"),
            on(&["arn:aws:apigateway:{region}::/apis/{api}/stages/{own}"], "apigateway", "GET"),
            API_TAGS,
            later(&["arn:aws:apigateway:{region}::/apis/{api}/stages/{own}"], "apigateway", "DELETE PATCH"),
            API_TAGS_OFF,
            on(
                LOG_GROUPS,
                "logs",
                "CreateLogDelivery DescribeLogGroups DescribeResourcePolicies GetLogDelivery ListLogDeliveries \
                 PutResourcePolicy",
            ),
            later(LOG_GROUPS, "logs", "DeleteLogDelivery UpdateLogDelivery"),
        ],
    },
    Needs {
        kind: "api_domain",
        grants: &[
            on(&["arn:aws:apigateway:{region}::/domainnames"], "apigateway", "POST"),
            on(&["arn:aws:apigateway:{region}::/domainnames/{own}"], "apigateway", "GET"),
            API_TAGS,
            later(&["arn:aws:apigateway:{region}::/domainnames/{own}"], "apigateway", "DELETE PATCH"),
            API_TAGS_OFF,
        ],
    },
    Needs {
        kind: "api_mapping",
        grants: &[
            on(&["arn:aws:apigateway:{region}::/domainnames/{api_domain}/apimappings"], "apigateway", "GET POST"),
            later(
                &["arn:aws:apigateway:{region}::/domainnames/{api_domain}/apimappings/{own}"],
                "apigateway",
                "DELETE GET PATCH",
            ),
        ],
    },
    Needs {
        kind: "certificate",
        grants: &[
            on(ANY, "acm", "ListCertificates RequestCertificate"),
            on(
                &["arn:aws:acm:{region}:{account}:certificate/{own}"],
                "acm",
                "AddTagsToCertificate DescribeCertificate ListTagsForCertificate",
            ),
            later(
                &["arn:aws:acm:{region}:{account}:certificate/{own}"],
                "acm",
                "DeleteCertificate UpdateCertificateOptions",
            ),
        ],
    },
    Needs {
        kind: "alarm",
        grants: &[
            on(ALARM, "cloudwatch", "ListTagsForResource PutMetricAlarm TagResource"),
            on(&["arn:aws:cloudwatch:{region}:{account}:alarm:*"], "cloudwatch", "DescribeAlarms"),
            later(ALARM, "cloudwatch", "DeleteAlarms"),
        ],
    },
    Needs {
        // Made with tags. Whether that is checked on the dashboard, or at all, AWS does not say:
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
        kind: "dashboard",
        grants: &[
            on(DASHBOARD, "cloudwatch", "GetDashboard PutDashboard"),
            on(&["?arn:aws:cloudwatch::{account}:dashboard/{own}"], "cloudwatch", "TagResource"),
            later(DASHBOARD, "cloudwatch", "DeleteDashboards"),
        ],
    },
    Needs {
        kind: "hosted_zone",
        grants: &[
            on(ANY, "route53", "CreateHostedZone ListHostedZones"),
            on(
                OWN_ZONE,
                "route53",
                "ChangeTagsForResource GetHostedZone ListResourceRecordSets ListTagsForResource ListTagsForResources \
                 UpdateHostedZoneFeatures",
            ),
            later(OWN_ZONE, "route53", "DeleteHostedZone UpdateHostedZoneComment"),
        ],
    },
    Needs {
        kind: "health_check",
        grants: &[
            on(ANY, "route53", "CreateHealthCheck ListHealthChecks"),
            on(CHECK, "route53", "ChangeTagsForResource GetHealthCheck ListTagsForResource ListTagsForResources"),
            later(CHECK, "route53", "DeleteHealthCheck GetHealthCheckStatus UpdateHealthCheck"),
        ],
    },
    Needs {
        kind: "record",
        grants: &[
            on(ZONE, "route53", "ChangeResourceRecordSets GetHostedZone ListResourceRecordSets"),
            on(ANY, "route53", "ListHostedZones"),
        ],
    },
];
