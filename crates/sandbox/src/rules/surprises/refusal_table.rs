//! AWS's refusals, by their entries in docs/aws-behaviour.md. A surprise with several refusals names one of the
//! entries, and cites the others next to it.

use super::Surprise;
use super::failed_nat::FailedNat;
use super::refusal::Refusal;
use super::vanishing_replica::VanishingReplica;

const fn of(
    service: &'static str,
    operation: &'static str,
    status: u16,
    code: &'static str,
    message: &'static str,
) -> Refusal {
    Refusal::of(service, operation, status, code, message)
}

/// Only the text tells "throttled by EC2" and similar refusals from a wrong parameter: the code is the same.
const PARAMETER: &str = "InvalidParameterValueException";

const VPC: &str = "The vpc ID 'vpc-1' does not exist";
const SUBNET: &str = "The subnet ID 'subnet-1' does not exist";
const TABLE: &str = "The routeTable ID 'rtb-1' does not exist";
const GROUP: &str = "The security group 'sg-1' does not exist";

pub(super) static SURPRISES: &[Surprise] = &[
    Surprise::refused(
        "aws-behaviour.md#lambda-interfaces-linger",
        "interfaces-of-a-function-that-is-gone",
        &[
            of("ec2", "DeleteSecurityGroup", 400, "DependencyViolation", "resource sg-1 has a dependent object").times(3),
            of(
                "ec2",
                "DeleteSubnet",
                400,
                "DependencyViolation",
                "The subnet 'subnet-1' has dependencies and cannot be deleted.",
            )
            .times(3),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#security-group-referenced",
        "security-group-still-referenced",
        &[of(
            "ec2",
            "DeleteSecurityGroup",
            400,
            "DependencyViolation",
            "resource sg-1 has a dependent object",
        )
        .times(2)],
    ),
    Surprise::refused(
        "aws-behaviour.md#role-not-assumable-yet",
        "role-not-assumable-yet",
        &[
            of(
                "lambda",
                "CreateFunction",
                400,
                PARAMETER,
                "The role defined for the function cannot be assumed by Lambda.",
            )
            .times(2),
            of(
                "lambda",
                "CreateFunction",
                400,
                PARAMETER,
                "The provided execution role does not have permissions to call CreateNetworkInterface on EC2",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#key-not-usable-by-lambda-yet",
        "key-not-usable-by-lambda-yet",
        &[
            of(
                "lambda",
                "CreateFunction",
                400,
                PARAMETER,
                "Lambda was unable to configure access to your environment variables because the KMS key is invalid for \
                 CreateGrant. Please check your KMS key settings.",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#lambda-throttled-by-ec2",
        "lambda-throttled-by-ec2",
        &[of(
            "lambda",
            "CreateFunction",
            400,
            PARAMETER,
            "Your request has been throttled by EC2, please make sure you have enough API rate limit.",
        )],
    ),
    Surprise::refused(
        "aws-behaviour.md#function-update-in-progress",
        "function-update-in-progress",
        &[
            of(
                "lambda",
                "UpdateFunctionConfiguration",
                409,
                "ResourceConflictException",
                "The operation cannot be performed at this time. An update is in progress for resource",
            ),
            of(
                "lambda",
                "UpdateFunctionCode",
                409,
                "ResourceConflictException",
                "The operation cannot be performed at this time. An update is in progress for resource",
            ),
            // aws-behaviour.md#new-function-not-visible-yet
            of("lambda", "AddPermission", 404, "ResourceNotFoundException", "Function not found: arn"),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#principal-not-visible-yet",
        "principal-not-known-yet",
        &[
            of(
                "kms",
                "CreateKey",
                400,
                "MalformedPolicyDocumentException",
                "Policy contains a statement with one or more invalid principals.",
            ),
            // aws-behaviour.md#kms-is-eventually-consistent
            of("kms", "EnableKeyRotation", 400, "NotFoundException", "Key 'arn' does not exist"),
            of("kms", "CreateAlias", 400, "NotFoundException", "Key 'arn' does not exist"),
            of("s3", "PutBucketPolicy", 400, "MalformedPolicy", "Invalid principal in policy"),
            // aws-behaviour.md#new-role-not-visible-yet
            of("iam", "PutRolePolicy", 404, "NoSuchEntity", "The role with name r cannot be found."),
            // aws-behaviour.md#flow-log-role-not-assumable-yet
            of("ec2", "CreateFlowLogs", 400, "InvalidParameter", "Access Denied for LogDestination"),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#role-must-be-emptied",
        "iam-busy",
        &[
            of("iam", "DeleteRole", 409, "DeleteConflict", "Cannot delete entity, must delete policies first."),
            // aws-behaviour.md#iam-concurrent-modification
            of(
                "iam",
                "PutRolePolicy",
                409,
                "ConcurrentModification",
                "The request was rejected because multiple requests to change this object were submitted simultaneously.",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#peering-seen-late",
        "peering-unknown-to-the-accepter",
        &[
            of(
                "ec2",
                "AcceptVpcPeeringConnection",
                400,
                "InvalidVpcPeeringConnectionID.NotFound",
                "The vpcPeeringConnection ID 'pcx-1' does not exist",
            )
            .times(2),
            // aws-behaviour.md#peering-options-need-active
            of(
                "ec2",
                "ModifyVpcPeeringConnectionOptions",
                400,
                "OperationNotPermitted",
                "Peering pcx-1 is not active. Peering options can be added only to active peering connections.",
            )
            .times(2),
        ],
    ),
    // EC2 documents most ids' errors in two spellings, and security groups' under two names.
    // <https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html>
    Surprise::refused(
        "aws-behaviour.md#two-spellings-of-not-found",
        "new-ids-unknown-in-either-spelling",
        &[
            of("ec2", "CreateSubnet", 400, "InvalidVpcId.NotFound", VPC),
            of("ec2", "CreateSubnet", 400, "InvalidVpcID.NotFound", VPC),
            of("ec2", "CreateRouteTable", 400, "InvalidVpcId.NotFound", VPC),
            of("ec2", "CreateSecurityGroup", 400, "InvalidVpcId.NotFound", VPC),
            of("ec2", "AttachInternetGateway", 400, "InvalidInternetGatewayId.NotFound", "The gateway ID 'igw-1' does not exist"),
            of("ec2", "ModifyVpcAttribute", 400, "InvalidVpcId.NotFound", VPC),
            of("ec2", "ModifySubnetAttribute", 400, "InvalidSubnetId.NotFound", SUBNET),
            of("ec2", "ModifySubnetAttribute", 400, "InvalidSubnetID.NotFound", SUBNET),
            of("ec2", "CreateNatGateway", 400, "InvalidSubnetId.NotFound", SUBNET),
            of("ec2", "CreateNatGateway", 400, "InvalidAllocationId.NotFound", "The allocation ID 'eipalloc-1' does not exist"),
            of("ec2", "AssociateRouteTable", 400, "InvalidSubnetId.NotFound", SUBNET),
            of("ec2", "AssociateRouteTable", 400, "InvalidRouteTableId.NotFound", TABLE),
            of("ec2", "CreateRoute", 400, "InvalidRouteTableId.NotFound", TABLE),
            of("ec2", "CreateVpcEndpoint", 400, "InvalidVpcID.NotFound", VPC),
            of("ec2", "CreateVpcEndpoint", 400, "InvalidRouteTableID.NotFound", TABLE),
            of("ec2", "AuthorizeSecurityGroupIngress", 400, "InvalidSecurityGroupID.NotFound", GROUP),
            of("ec2", "AuthorizeSecurityGroupEgress", 400, "InvalidSecurityGroupId.NotFound", GROUP),
            of("ec2", "CreateFlowLogs", 400, "InvalidVpcID.NotFound", VPC),
        ],
    ),
    Surprise::made("aws-behaviour.md#nat-gateway-fails-late", "nat-failed", || Box::new(FailedNat::default())),
    Surprise::refused(
        "aws-behaviour.md#address-held-by-nat-gateway",
        "address-held-by-a-nat-that-is-going",
        &[
            of(
                "ec2",
                "ReleaseAddress",
                400,
                "AuthFailure",
                "You do not have permission to access the specified resource.",
            ),
            of("ec2", "ReleaseAddress", 400, "InvalidIPAddress.InUse", "The address is in use."),
            // aws-behaviour.md#internet-gateway-held-by-addresses
            of(
                "ec2",
                "DetachInternetGateway",
                400,
                "DependencyViolation",
                "Network vpc-1 has some mapped public address(es). Please unmap those public address(es) before detaching the \
                 gateway.",
            )
            .times(2),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#ec2-request-limit",
        "ec2-throttled",
        &[of("ec2", "*", 503, "RequestLimitExceeded", "Request limit exceeded.")],
    ),
    Surprise::refused(
        "aws-behaviour.md#table-was-a-source",
        "table-was-a-source",
        &[of(
            "dynamodb",
            "DeleteTable",
            400,
            "ValidationException",
            "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the table in \
             the last 24 hours.",
        )
        .times(2)],
    ),
    Surprise::refused(
        "aws-behaviour.md#one-table-change-at-a-time",
        "table-busy",
        &[
            of(
                "dynamodb",
                "UpdateTable",
                400,
                "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table is being updated",
            ),
            // aws-behaviour.md#tables-changing-at-once
            of(
                "dynamodb",
                "CreateTable",
                400,
                "LimitExceededException",
                "Subscriber limit exceeded: Only 50 tables can be created, updated, or deleted simultaneously",
            ),
            // aws-behaviour.md#backups-being-enabled
            of(
                "dynamodb",
                "UpdateContinuousBackups",
                400,
                "ContinuousBackupsUnavailableException",
                "Backups are being enabled for the table. Please retry later",
            ),
        ],
    ),
    Surprise::made("aws-behaviour.md#replica-may-vanish", "replica-vanishes", || Box::new(VanishingReplica::default())),
    Surprise::refused(
        "aws-behaviour.md#replica-name-taken",
        "replica-existed-as-table",
        &[of(
            "dynamodb",
            "UpdateTable",
            400,
            "ValidationException",
            "Failed to create a the new replica of table with name: 't' because one or more replicas already existed as tables.",
        )
        .having("\"Create\"")],
    ),
    Surprise::refused(
        "aws-behaviour.md#replica-key-updating",
        "replica-key-updating",
        &[of(
            "dynamodb",
            "UpdateTable",
            400,
            "ValidationException",
            "The operation cannot be performed because one or more replicas replica server-side encryption status is in \
             UPDATING state.",
        )
        .having("\"Create\"")],
    ),
    Surprise::refused(
        "aws-behaviour.md#new-replica-answers-describe-only",
        "replica-not-there-for-every-operation",
        &[
            of("dynamodb", "UpdateContinuousBackups", 400, "TableNotFoundException", "Table not found: t"),
            of(
                "dynamodb",
                "UpdateTimeToLive",
                400,
                "ResourceNotFoundException",
                "Requested resource not found: Table: t not found",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#table-protection-seen-late",
        "table-protected-a-moment-ago",
        &[of(
            "dynamodb",
            "DeleteTable",
            400,
            "ValidationException",
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        )],
    ),
    Surprise::refused(
        "aws-behaviour.md#writer-instance-before-secondary",
        "source-cluster-not-valid",
        &[of(
            "rds",
            "CreateDBCluster",
            400,
            "InvalidDBClusterStateFault",
            "Source cluster is in a state which is not valid for physical replication",
        )
        .lacking("MasterUsername")
        .times(2)],
    ),
    Surprise::refused(
        "aws-behaviour.md#member-leaves-before-deletion",
        "members-of-a-global-cluster",
        &[
            of(
                "rds",
                "DeleteDBCluster",
                400,
                "InvalidDBClusterStateFault",
                "This cluster is a part of a global cluster, please remove it from globalcluster first",
            ),
            of(
                "rds",
                "DeleteDBCluster",
                400,
                "InvalidDBClusterStateFault",
                "Can't create a snapshot because the database cluster c isn't currently in the available state.",
            ),
            // aws-behaviour.md#writer-leaves-last
            of(
                "rds",
                "DeleteDBInstance",
                400,
                "InvalidDBClusterStateFault",
                "Cannot delete the last instance of the master cluster. Delete the replica cluster before deleting the last \
                 master cluster instance.",
            ),
            // aws-behaviour.md#global-cluster-not-empty-yet
            of(
                "rds",
                "DeleteGlobalCluster",
                400,
                "InvalidGlobalClusterStateFault",
                "Global Cluster arn:aws:rds::1:global-cluster:g is not empty",
            )
            .times(2),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#cluster-name-lingers",
        "cluster-name-lingers",
        &[
            of(
                "rds",
                "CreateGlobalCluster",
                400,
                "GlobalClusterAlreadyExistsFault",
                "Global cluster 'g' already exists",
            )
            .times(2),
            of("rds", "CreateDBCluster", 400, "DBClusterAlreadyExistsFault", "DB Cluster already exists"),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#bucket-operation-aborted",
        "bucket-operation-aborted",
        &[
            of(
                "s3",
                "CreateBucket",
                409,
                "OperationAborted",
                "A conflicting conditional operation is currently in progress against this resource. Please try again.",
            )
            .times(2),
            of(
                "s3",
                "PutBucketVersioning",
                409,
                "OperationAborted",
                "A conflicting conditional operation is currently in progress against this resource. Please try again.",
            ),
            of(
                "s3",
                "PutBucketPolicy",
                409,
                "OperationAborted",
                "A conflicting conditional operation is currently in progress against this resource. Please try again.",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#versioning-seen-late",
        "versioning-not-settled",
        &[
            of(
                "s3",
                "PutBucketReplication",
                400,
                "InvalidRequest",
                "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
            ),
            // aws-behaviour.md#new-bucket-not-visible-yet
            of("s3", "PutBucketReplication", 404, "NoSuchBucket", "The specified bucket does not exist"),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#bucket-must-be-empty",
        "bucket-filled-again",
        &[of(
            "s3",
            "DeleteBucket",
            409,
            "BucketNotEmpty",
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
        )
        .times(2)],
    ),
    Surprise::refused(
        "aws-behaviour.md#secret-scheduled-for-deletion",
        "secret-scheduled-for-deletion",
        &[of(
            "secretsmanager",
            "CreateSecret",
            400,
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        )
        .times(2)],
    ),
    Surprise::refused(
        "aws-behaviour.md#secret-has-replicas",
        "secret-has-replicas",
        &[of(
            "secretsmanager",
            "DeleteSecret",
            400,
            "InvalidParameterException",
            "You can't delete secret s that still has replica regions [us-east-2]",
        )
        .times(2)],
    ),
    Surprise::refused(
        "aws-behaviour.md#kms-pending-deletion",
        "key-pending-deletion",
        &[
            of("kms", "CreateAlias", 400, "KMSInvalidStateException", "arn is pending deletion."),
            of("kms", "EnableKeyRotation", 400, "KMSInvalidStateException", "arn is pending deletion."),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#key-not-visible-to-logs",
        "key-unknown-to-logs",
        &[
            of(
                "logs",
                "CreateLogGroup",
                400,
                "AccessDeniedException",
                "The specified KMS key does not exist or is not allowed to be used with Arn \
                 'arn:aws:logs:us-east-1:1:log-group:x'",
            ),
            // aws-behaviour.md#log-group-operation-aborted
            of(
                "logs",
                "CreateLogGroup",
                400,
                "OperationAbortedException",
                "A conflicting operation is currently in progress against this resource. Please try again.",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#key-not-visible-to-topics",
        "key-unknown-to-topics",
        &[of("sns", "CreateTopic", 400, "KMSAccessDenied", "The ciphertext references a key that doesn't exist")],
    ),
    Surprise::refused(
        "aws-behaviour.md#api-gateway-rate-limit",
        "api-gateway-throttled",
        &[
            of("apigateway", "*", 429, "TooManyRequestsException", "Too Many Requests"),
            // aws-behaviour.md#api-gateway-concurrent-modification
            of(
                "apigateway",
                "CreateRoute",
                409,
                "ConflictException",
                "Unable to complete operation due to concurrent modification. Please try again later.",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#certificate-not-issued-yet",
        "certificate-not-issued",
        &[
            of(
                "apigateway",
                "CreateDomainName",
                400,
                "BadRequestException",
                "Certificate arn:aws:acm:us-east-1:1:certificate/c is not in ISSUED state",
            )
            .times(2),
            // aws-behaviour.md#certificate-in-use
            of("acm", "DeleteCertificate", 400, "ResourceInUseException", "Certificate arn in use.").times(2),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#route53-rate-limit",
        "route53-busy",
        &[
            of("route53", "*", 400, "Throttling", "Rate exceeded"),
            of(
                "route53",
                "ChangeResourceRecordSets",
                400,
                "PriorRequestNotComplete",
                "The request was rejected because Route 53 was still processing a prior request.",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#record-deleted-by-value",
        "records-do-not-match",
        &[
            of(
                "route53",
                "ChangeResourceRecordSets",
                400,
                "InvalidChangeBatch",
                "[Tried to delete resource record set [name='a.', type='A'] but the values provided do not match the current \
                 values]",
            )
            .having("DELETE"),
            // aws-behaviour.md#zone-and-checks-in-use
            of(
                "route53",
                "DeleteHostedZone",
                400,
                "HostedZoneNotEmpty",
                "The specified hosted zone contains non-required resource record sets and so cannot be deleted.",
            ),
            of(
                "route53",
                "DeleteHealthCheck",
                400,
                "HealthCheckInUse",
                "The health check h is in use by other health checks.",
            ),
        ],
    ),
    Surprise::refused(
        "aws-behaviour.md#cloudwatch-rate-limits",
        "alarms-throttled",
        &[of("monitoring", "*", 400, "Throttling", "Rate exceeded")],
    ),
    Surprise::refused(
        "aws-behaviour.md#group-in-use",
        "subnet-group-in-use",
        &[
            of(
                "rds",
                "DeleteDBSubnetGroup",
                400,
                "InvalidDBSubnetGroupStateFault",
                "Cannot delete the subnet group 'g' because at least one database instance is still using it.",
            )
            .times(2),
            // aws-behaviour.md#key-not-accessible
            of("rds", "CreateDBCluster", 400, "KMSKeyNotAccessibleFault", "The specified KMS key is not accessible"),
        ],
    ),
];
