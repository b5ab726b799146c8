//! The list: what each type of resource takes. Where a service needs more than the calls that drctl makes itself, because it
//! looks or encrypts on the caller's behalf, the row says so.

use super::actions::Needs;

pub(super) const KEY: &str = "arn:aws:kms:{region}:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const TABLE: &str = "arn:aws:ec2:{region}:{account}:route-table/rtb-0a1b2c3d4e5f60718";
const GROUP: &str = "arn:aws:ec2:{region}:{account}:security-group/sg-0a1b2c3d4e5f60718";
const API: &[&str] = &[
    "arn:aws:apigateway:{region}::/apis",
    "arn:aws:apigateway:{region}::/apis/a1b2c3d4e5",
    "arn:aws:apigateway:{region}::/apis/a1b2c3d4e5/routes",
    "arn:aws:apigateway:{region}::/tags/arn",
];
const DOMAIN: &[&str] = &[
    "arn:aws:apigateway:{region}::/domainnames",
    "arn:aws:apigateway:{region}::/domainnames/{name}",
    "arn:aws:apigateway:{region}::/domainnames/{name}/apimappings",
    "arn:aws:apigateway:{region}::/tags/arn",
];
const ZONE: &str = "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ";

/// API Gateway's permissions are methods of HTTP.
const VERBS: &[(&str, &str)] = &[("apigateway", "DELETE GET PATCH POST PUT")];

/// Every type's.
pub const NEEDS: &[Needs] = &[
    Needs {
        kind: "vpc",
        on: &["arn:aws:ec2:{region}:{account}:vpc/vpc-0a1b2c3d4e5f60718"],
        actions: &[("ec2", "CreateTags CreateVpc DeleteVpc DescribeVpcAttribute DescribeVpcs ModifyVpcAttribute")],
    },
    Needs {
        kind: "internet_gateway",
        on: &["arn:aws:ec2:{region}:{account}:internet-gateway/igw-0a1b2c3d4e5f60718"],
        actions: &[(
            "ec2",
            "AttachInternetGateway CreateInternetGateway CreateTags DeleteInternetGateway DescribeInternetGateways \
             DetachInternetGateway",
        )],
    },
    Needs {
        kind: "subnet",
        on: &["arn:aws:ec2:{region}:{account}:subnet/subnet-0a1b2c3d4e5f60718"],
        actions: &[(
            "ec2",
            "CreateSubnet CreateTags DeleteNetworkInterface DeleteSubnet DescribeNetworkInterfaces DescribeSubnets \
             ModifySubnetAttribute",
        )],
    },
    Needs {
        kind: "eip",
        on: &["arn:aws:ec2:{region}:{account}:elastic-ip/eipalloc-0a1b2c3d4e5f60718"],
        actions: &[("ec2", "AllocateAddress CreateTags DescribeAddresses ReleaseAddress")],
    },
    Needs {
        kind: "nat_gateway",
        on: &["arn:aws:ec2:{region}:{account}:natgateway/nat-0a1b2c3d4e5f60718"],
        actions: &[("ec2", "CreateNatGateway CreateTags DeleteNatGateway DescribeNatGateways")],
    },
    Needs {
        kind: "route_table",
        on: &[TABLE],
        actions: &[("ec2", "CreateRouteTable CreateTags DeleteRouteTable DescribeRouteTables")],
    },
    Needs {
        kind: "route",
        on: &[TABLE],
        actions: &[("ec2", "CreateRoute DeleteRoute DescribeRouteTables ReplaceRoute")],
    },
    Needs {
        kind: "route_table_association",
        on: &[TABLE],
        actions: &[(
            "ec2",
            "AssociateRouteTable DescribeRouteTables DisassociateRouteTable ReplaceRouteTableAssociation",
        )],
    },
    Needs {
        kind: "security_group",
        on: &[GROUP],
        actions: &[(
            "ec2",
            "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateSecurityGroup CreateTags \
             DeleteNetworkInterface DeleteSecurityGroup DescribeNetworkInterfaces DescribeSecurityGroupRules \
             DescribeSecurityGroups RevokeSecurityGroupEgress RevokeSecurityGroupIngress \
             UpdateSecurityGroupRuleDescriptionsEgress UpdateSecurityGroupRuleDescriptionsIngress",
        )],
    },
    Needs {
        kind: "default_security_group",
        on: &[GROUP],
        actions: &[(
            "ec2",
            "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateTags DescribeSecurityGroupRules \
             DescribeSecurityGroups RevokeSecurityGroupEgress RevokeSecurityGroupIngress \
             UpdateSecurityGroupRuleDescriptionsEgress UpdateSecurityGroupRuleDescriptionsIngress",
        )],
    },
    Needs {
        kind: "vpc_endpoint",
        on: &["arn:aws:ec2:{region}:{account}:vpc-endpoint/vpce-0a1b2c3d4e5f60718"],
        actions: &[("ec2", "CreateTags CreateVpcEndpoint DeleteVpcEndpoints DescribeVpcEndpoints ModifyVpcEndpoint")],
    },
    Needs {
        kind: "flow_log",
        on: &["arn:aws:ec2:{region}:{account}:vpc-flow-log/fl-0a1b2c3d4e5f60718"],
        actions: &[("ec2", "CreateFlowLogs CreateTags DeleteFlowLogs DescribeFlowLogs"), ("iam", "PassRole")],
    },
    Needs {
        kind: "vpc_peering",
        on: &["arn:aws:ec2:{region}:{account}:vpc-peering-connection/pcx-0a1b2c3d4e5f60718"],
        actions: &[(
            "ec2",
            "AcceptVpcPeeringConnection CreateTags CreateVpcPeeringConnection DeleteVpcPeeringConnection \
             DescribeVpcPeeringConnections ModifyVpcPeeringConnectionOptions",
        )],
    },
    Needs {
        kind: "iam_role",
        on: &["arn:aws:iam::{account}:role/{name}-processor"],
        actions: &[(
            "iam",
            "CreateRole DeleteRole DeleteRolePolicy DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies \
             ListRolePolicies PutRolePolicy TagRole UpdateAssumeRolePolicy UpdateRoleDescription",
        )],
    },
    Needs {
        kind: "kms_key",
        on: &[KEY],
        actions: &[(
            "kms",
            "CancelKeyDeletion CreateKey DescribeKey DisableKey DisableKeyRotation EnableKey EnableKeyRotation \
             GetKeyPolicy GetKeyRotationStatus ListKeys ListResourceTags PutKeyPolicy ScheduleKeyDeletion TagResource \
             UpdateKeyDescription",
        )],
    },
    Needs {
        kind: "kms_alias",
        on: &["arn:aws:kms:{region}:{account}:alias/{name}", KEY],
        actions: &[("kms", "CreateAlias DeleteAlias DescribeKey ListResourceTags UpdateAlias")],
    },
    Needs {
        kind: "log_group",
        on: &[
            "arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{name}-processor",
            "arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{name}-processor:*",
        ],
        actions: &[(
            "logs",
            "AssociateKmsKey CreateLogGroup DeleteLogGroup DeleteRetentionPolicy DescribeLogGroups ListTagsForResource \
             PutRetentionPolicy TagResource",
        )],
    },
    Needs {
        kind: "sns_topic",
        on: &["arn:aws:sns:{region}:{account}:{name}-alerts"],
        actions: &[(
            "sns",
            "CreateTopic DeleteTopic GetTopicAttributes ListTagsForResource SetTopicAttributes TagResource",
        )],
    },
    Needs {
        kind: "sns_subscription",
        on: &["arn:aws:sns:{region}:{account}:{name}-alerts"],
        actions: &[("sns", "ListSubscriptionsByTopic Subscribe Unsubscribe")],
    },
    Needs {
        // The key, on the caller's behalf: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
        kind: "secret",
        on: &["arn:aws:secretsmanager:{region}:{account}:secret:{name}-database-a1b2c3"],
        actions: &[
            (
                "secretsmanager",
                "CreateSecret DeleteSecret DescribeSecret RemoveRegionsFromReplication ReplicateSecretToRegions \
                 RestoreSecret TagResource UpdateSecret",
            ),
            ("kms", "Decrypt GenerateDataKey"),
        ],
    },
    Needs {
        // RDS looks at the network as the caller: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSubnetGroup.html
        kind: "db_subnet_group",
        on: &["arn:aws:rds:{region}:{account}:subgrp:{name}"],
        actions: &[
            (
                "rds",
                "AddTagsToResource CreateDBSubnetGroup DeleteDBSubnetGroup DescribeDBSubnetGroups ListTagsForResource \
                 ModifyDBSubnetGroup",
            ),
            ("ec2", "DescribeAvailabilityZones DescribeSubnets DescribeVpcs"),
        ],
    },
    Needs {
        kind: "db_cluster_parameter_group",
        on: &["arn:aws:rds:{region}:{account}:cluster-pg:{name}-postgresql17"],
        actions: &[(
            "rds",
            "AddTagsToResource CreateDBClusterParameterGroup DeleteDBClusterParameterGroup \
             DescribeDBClusterParameterGroups DescribeDBClusterParameters ListTagsForResource \
             ModifyDBClusterParameterGroup ResetDBClusterParameterGroup",
        )],
    },
    Needs {
        kind: "global_cluster",
        on: &["arn:aws:rds::{account}:global-cluster:{name}"],
        actions: &[(
            "rds",
            "AddTagsToResource CreateGlobalCluster DeleteGlobalCluster DescribeDBClusters DescribeGlobalClusters \
             ListTagsForResource ModifyDBCluster ModifyGlobalCluster RemoveFromGlobalCluster",
        )],
    },
    Needs {
        // The key: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Overview.Encryption.Keys.html. The password is
        // read from the secret.
        kind: "db_cluster",
        on: &["arn:aws:rds:{region}:{account}:cluster:{name}-primary", "arn:aws:rds::{account}:global-cluster:{name}"],
        actions: &[
            (
                "rds",
                "AddTagsToResource CreateDBCluster DeleteDBCluster DescribeDBClusters DisableHttpEndpoint \
                 EnableHttpEndpoint ListTagsForResource ModifyDBCluster RemoveFromGlobalCluster",
            ),
            ("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
            ("kms", "CreateGrant Decrypt DescribeKey"),
            ("secretsmanager", "GetSecretValue"),
        ],
    },
    Needs {
        kind: "db_instance",
        on: &["arn:aws:rds:{region}:{account}:db:{name}-primary-1"],
        actions: &[
            (
                "rds",
                "AddTagsToResource CreateDBInstance DeleteDBInstance DescribeDBInstances ListTagsForResource \
                 ModifyDBInstance",
            ),
            ("kms", "CreateGrant DescribeKey"),
        ],
    },
    Needs {
        // Replication copies items as the caller of the first call:
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_reqs_bestpractices.html
        kind: "dynamodb_table",
        on: &["arn:aws:dynamodb:{region}:{account}:table/{name}-sessions"],
        actions: &[
            (
                "dynamodb",
                "BatchWriteItem CreateTable CreateTableReplica DeleteItem DeleteTable DeleteTableReplica \
                 DescribeContinuousBackups DescribeTable DescribeTimeToLive GetItem ListTagsOfResource PutItem Query \
                 Scan TagResource UpdateContinuousBackups UpdateItem UpdateTable UpdateTimeToLive",
            ),
            ("kms", "CreateGrant Decrypt DescribeKey"),
        ],
    },
    Needs {
        kind: "s3_bucket",
        on: &["arn:aws:s3:::{name}-{region}-01234567", "arn:aws:s3:::{name}-{region}-01234567/*"],
        actions: &[(
            "s3",
            "AbortMultipartUpload CreateBucket DeleteBucket DeleteBucketPolicy DeleteObject DeleteObjectVersion \
             GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPublicAccessBlock \
             GetBucketTagging GetBucketVersioning GetEncryptionConfiguration GetLifecycleConfiguration ListAllMyBuckets \
             ListBucketMultipartUploads ListBucketVersions PutBucketOwnershipControls PutBucketPolicy \
             PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning PutEncryptionConfiguration \
             PutLifecycleConfiguration TagResource",
        )],
    },
    Needs {
        kind: "s3_replication",
        on: &["arn:aws:s3:::{name}-{region}-01234567"],
        actions: &[("s3", "GetReplicationConfiguration PutReplicationConfiguration"), ("iam", "PassRole")],
    },
    Needs {
        // The network and the key, as the caller: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html,
        // https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
        kind: "lambda_function",
        on: &["arn:aws:lambda:{region}:{account}:function:{name}-processor"],
        actions: &[
            (
                "lambda",
                "CreateFunction DeleteFunction DeleteFunctionConcurrency GetFunction ListTags PutFunctionConcurrency \
                 TagResource UpdateFunctionCode UpdateFunctionConfiguration",
            ),
            ("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
            ("iam", "PassRole"),
            ("kms", "CreateGrant Decrypt Encrypt"),
        ],
    },
    Needs {
        kind: "lambda_permission",
        on: &["arn:aws:lambda:{region}:{account}:function:{name}-processor"],
        actions: &[("lambda", "AddPermission GetPolicy RemovePermission")],
    },
    Needs { kind: "api", on: API, actions: VERBS },
    Needs { kind: "api_integration", on: API, actions: VERBS },
    Needs { kind: "api_route", on: API, actions: VERBS },
    Needs {
        // Access logs: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
        kind: "api_stage",
        on: API,
        actions: &[
            VERBS[0],
            (
                "logs",
                "CreateLogDelivery DeleteLogDelivery DescribeLogGroups DescribeResourcePolicies GetLogDelivery \
                 ListLogDeliveries PutResourcePolicy UpdateLogDelivery",
            ),
        ],
    },
    Needs { kind: "api_domain", on: DOMAIN, actions: VERBS },
    Needs { kind: "api_mapping", on: DOMAIN, actions: VERBS },
    Needs {
        kind: "certificate",
        on: &["arn:aws:acm:{region}:{account}:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"],
        actions: &[(
            "acm",
            "AddTagsToCertificate DeleteCertificate DescribeCertificate ListCertificates ListTagsForCertificate \
             RequestCertificate UpdateCertificateOptions",
        )],
    },
    Needs {
        kind: "alarm",
        on: &["arn:aws:cloudwatch:{region}:{account}:alarm:{name}-lambda-errors"],
        actions: &[("cloudwatch", "DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource")],
    },
    Needs {
        kind: "dashboard",
        on: &["arn:aws:cloudwatch::{account}:dashboard/{name}"],
        actions: &[("cloudwatch", "DeleteDashboards GetDashboard PutDashboard")],
    },
    Needs {
        kind: "hosted_zone",
        on: &[ZONE],
        actions: &[(
            "route53",
            "ChangeTagsForResource CreateHostedZone DeleteHostedZone GetHostedZone ListHostedZones \
             ListResourceRecordSets ListTagsForResource ListTagsForResources UpdateHostedZoneComment \
             UpdateHostedZoneFeatures",
        )],
    },
    Needs {
        kind: "health_check",
        on: &["arn:aws:route53:::healthcheck/1234abcd-12ab-34cd-56ef-1234567890ab"],
        actions: &[(
            "route53",
            "ChangeTagsForResource CreateHealthCheck DeleteHealthCheck GetHealthCheck ListHealthChecks \
             ListTagsForResource ListTagsForResources UpdateHealthCheck",
        )],
    },
    Needs {
        kind: "record",
        on: &[ZONE],
        actions: &[("route53", "ChangeResourceRecordSets GetHostedZone ListHostedZones ListResourceRecordSets")],
    },
];
