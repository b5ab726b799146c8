//! The refusals of docs/aws-behaviour.md in AWS's words, and what each has to mean.
//!
//! Behaviours about an order, a wait or a rate are tested with the blueprint, the limits and the sandbox.

use super::classify::class_of;
use drctl_engine::Class::{self, Denied, Exists, Foreign, NotFound, NotYet, Refused, Throttled, Transient};

/// Service, operation, HTTP status, code, text, meaning.
type Case = (&'static str, &'static str, u16, &'static str, &'static str, Class);

/// The cases of each entry.
const CASES: &[(&str, &[Case])] = &[
    (
        "aws-behaviour.md#deletion-needs-an-order",
        &[(
            "ec2",
            "DeleteVpc",
            400,
            "DependencyViolation",
            "The vpc 'vpc-1' has dependencies and cannot be deleted.",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#lambda-interfaces-linger",
        &[
            (
                "ec2",
                "DeleteSecurityGroup",
                400,
                "DependencyViolation",
                "resource sg-1 has a dependent object",
                Transient,
            ),
            ("ec2", "DeleteSubnet", 400, "DependencyViolation", "The subnet 'subnet-1' has dependencies", Transient),
        ],
    ),
    (
        "aws-behaviour.md#service-interface-cannot-be-detached",
        &[
            // drctl never does it, and would not repeat it.
            (
                "ec2",
                "DetachNetworkInterface",
                400,
                "OperationNotPermitted",
                "You are not allowed to manage 'ela-attach' attachments.",
                Refused,
            ),
        ],
    ),
    (
        "aws-behaviour.md#security-group-referenced",
        &[("ec2", "DeleteSecurityGroup", 400, "DependencyViolation", "sg-1 is referenced", Transient)],
    ),
    (
        "aws-behaviour.md#peering-seen-late",
        &[(
            "ec2",
            "AcceptVpcPeeringConnection",
            400,
            "InvalidVpcPeeringConnectionID.NotFound",
            "The vpcPeeringConnection ID 'pcx-1' does not exist",
            NotYet,
        )],
    ),
    (
        "aws-behaviour.md#peering-options-need-active",
        &[("ec2", "ModifyVpcPeeringConnectionOptions", 400, "OperationNotPermitted", "is not active", NotYet)],
    ),
    (
        "aws-behaviour.md#address-held-by-nat-gateway",
        &[
            ("ec2", "ReleaseAddress", 400, "InvalidIPAddress.InUse", "", Transient),
            (
                "ec2",
                "ReleaseAddress",
                400,
                "AuthFailure",
                "You do not have permission to access the resource.",
                Transient,
            ),
        ],
    ),
    (
        "aws-behaviour.md#internet-gateway-held-by-addresses",
        &[(
            "ec2",
            "DetachInternetGateway",
            400,
            "DependencyViolation",
            "Network vpc-1 has some mapped public address(es)",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#network-quotas-are-low",
        &[("ec2", "AllocateAddress", 400, "AddressLimitExceeded", "The maximum number of addresses", Refused)],
    ),
    (
        "aws-behaviour.md#ec2-request-limit",
        &[("ec2", "CreateSubnet", 503, "RequestLimitExceeded", "Request limit exceeded.", Throttled)],
    ),
    (
        "aws-behaviour.md#route-to-what-is-not-ready",
        &[
            ("ec2", "CreateRoute", 400, "InvalidParameterValue", "", NotYet),
            ("ec2", "CreateRoute", 400, "InvalidParameterException", "", Transient),
        ],
    ),
    (
        "aws-behaviour.md#flow-log-role-not-assumable-yet",
        &[
            ("ec2", "CreateFlowLogs", 400, "InvalidParameter", "Unable to assume given IAM role", Transient),
            ("ec2", "CreateFlowLogs", 400, "InvalidParameter", "Access Denied for LogDestination", Transient),
        ],
    ),
    (
        "aws-behaviour.md#region-not-enabled",
        &[
            // An opt-in Region that is not enabled.
            ("ec2", "DescribeVpcs", 401, "OptInRequired", "You are not subscribed to this service.", Denied),
        ],
    ),
    (
        "aws-behaviour.md#principal-not-visible-yet",
        &[
            (
                "kms",
                "PutKeyPolicy",
                400,
                "MalformedPolicyDocumentException",
                "contains one or more invalid principals",
                Transient,
            ),
            ("s3", "PutBucketPolicy", 400, "MalformedPolicy", "Invalid principal in policy", Transient),
        ],
    ),
    (
        "aws-behaviour.md#new-role-not-visible-yet",
        &[("iam", "PutRolePolicy", 404, "NoSuchEntity", "The role with name r cannot be found.", Transient)],
    ),
    (
        "aws-behaviour.md#role-must-be-emptied",
        &[("iam", "DeleteRole", 409, "DeleteConflict", "Cannot delete entity, must delete policies first.", Transient)],
    ),
    (
        "aws-behaviour.md#iam-concurrent-modification",
        &[("iam", "PutRolePolicy", 409, "ConcurrentModification", "", Transient)],
    ),
    (
        "aws-behaviour.md#kms-is-eventually-consistent",
        &[("kms", "EnableKeyRotation", 400, "NotFoundException", "Key does not exist", Transient)],
    ),
    (
        "aws-behaviour.md#kms-pending-deletion",
        &[
            ("kms", "EnableKey", 400, "KMSInvalidStateException", "arn is pending deletion.", Transient),
            ("kms", "CreateAlias", 400, "AlreadyExistsException", "An alias with the name exists", Exists),
        ],
    ),
    (
        "aws-behaviour.md#role-not-assumable-yet",
        &[
            (
                "lambda",
                "CreateFunction",
                400,
                "InvalidParameterValueException",
                "The role defined for the function cannot be assumed by Lambda.",
                Transient,
            ),
            (
                "lambda",
                "CreateFunction",
                400,
                "InvalidParameterValueException",
                "The provided execution role does not have permissions to call CreateNetworkInterface on EC2",
                Transient,
            ),
            ("lambda", "CreateFunction", 400, "InvalidParameterValueException", "MemorySize is too small", Refused),
        ],
    ),
    (
        "aws-behaviour.md#key-not-usable-by-lambda-yet",
        &[(
            "lambda",
            "CreateFunction",
            400,
            "InvalidParameterValueException",
            "Lambda was unable to configure access to your environment variables because the KMS key is \
             invalid for CreateGrant.",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#lambda-throttled-by-ec2",
        &[(
            "lambda",
            "CreateFunction",
            400,
            "InvalidParameterValueException",
            "Your request has been throttled by EC2, please make sure you have enough API rate limit.",
            Throttled,
        )],
    ),
    (
        "aws-behaviour.md#network-not-visible-to-lambda-yet",
        &[(
            "lambda",
            "CreateFunction",
            400,
            "InvalidParameterValueException",
            "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound.",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#function-update-in-progress",
        &[("lambda", "UpdateFunctionCode", 409, "ResourceConflictException", "An update is in progress", Transient)],
    ),
    (
        "aws-behaviour.md#new-function-not-visible-yet",
        &[("lambda", "AddPermission", 404, "ResourceNotFoundException", "Function not found: arn", Transient)],
    ),
    (
        "aws-behaviour.md#api-gateway-rate-limit",
        &[("apigateway", "CreateDomainName", 429, "TooManyRequestsException", "Too Many Requests", Throttled)],
    ),
    (
        "aws-behaviour.md#api-gateway-concurrent-modification",
        &[(
            "apigateway",
            "CreateRoute",
            409,
            "ConflictException",
            "Unable to complete operation due to concurrent modification. Please try again later.",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#integration-held-by-route",
        &[("apigateway", "DeleteIntegration", 409, "ConflictException", "it is referenced by a route", Transient)],
    ),
    (
        "aws-behaviour.md#authorizer-held-by-route",
        &[(
            "apigateway",
            "DeleteAuthorizer",
            409,
            "ConflictException",
            "Cannot delete authorizer 'tokens', is referenced in route: POST /payments",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#new-api-parts-not-visible-yet",
        &[(
            "apigateway",
            "CreateRoute",
            400,
            "BadRequestException",
            "Invalid authorizer ID specified. Setting the authorization type to JWT requires a valid JWT \
             authorizer.",
            NotYet,
        )],
    ),
    (
        "aws-behaviour.md#certificate-not-issued-yet",
        &[("apigateway", "CreateDomainName", 400, "BadRequestException", "Certificate arn is not issued", NotYet)],
    ),
    (
        "aws-behaviour.md#certificate-in-use",
        &[("acm", "DeleteCertificate", 400, "ResourceInUseException", "Certificate is in use", Transient)],
    ),
    (
        "aws-behaviour.md#table-was-a-source",
        &[(
            "dynamodb",
            "DeleteTable",
            400,
            "ValidationException",
            "Replica cannot be deleted because it has acted as a source region for new replica(s) being added \
             to the table in the last 24 hours.",
            NotYet,
        )],
    ),
    (
        "aws-behaviour.md#one-table-change-at-a-time",
        &[("dynamodb", "UpdateTable", 400, "ResourceInUseException", "Table is being updated", Transient)],
    ),
    (
        "aws-behaviour.md#tables-changing-at-once",
        &[
            (
                "dynamodb",
                "UpdateTable",
                400,
                "LimitExceededException",
                "Subscriber limit exceeded: Only 50 tables can be created, updated, or deleted simultaneously",
                Transient,
            ),
            ("dynamodb", "UpdateTable", 400, "ThrottlingException", "", Throttled),
        ],
    ),
    (
        "aws-behaviour.md#limit-exceeded-is-two-things",
        &[("dynamodb", "CreateTable", 400, "LimitExceededException", "Too many tables for the account", Refused)],
    ),
    (
        "aws-behaviour.md#backups-being-enabled",
        &[(
            "dynamodb",
            "UpdateContinuousBackups",
            400,
            "ContinuousBackupsUnavailableException",
            "Backups are being enabled for the table. Please retry later",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#replica-name-taken",
        &[
            (
                "dynamodb",
                "UpdateTable",
                400,
                "ValidationException",
                "Failed to create a the new replica of table with name: 't' because one or more replicas already \
                 existed as tables.",
                Transient,
            ),
            (
                "dynamodb",
                "UpdateTable",
                400,
                "ValidationException",
                "Replica specified in the Replica Update or Delete action of the request was not found",
                Transient,
            ),
        ],
    ),
    (
        "aws-behaviour.md#replica-key-updating",
        &[(
            "dynamodb",
            "UpdateTable",
            400,
            "ValidationException",
            "replica server-side encryption status is in UPDATING state.",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#new-replica-answers-describe-only",
        &[
            ("dynamodb", "UpdateTimeToLive", 400, "ResourceNotFoundException", "Table not found", Transient),
            ("dynamodb", "UpdateContinuousBackups", 400, "TableNotFoundException", "Table not found", Transient),
        ],
    ),
    (
        "aws-behaviour.md#table-protection-seen-late",
        &[("dynamodb", "DeleteTable", 400, "ValidationException", "is protected against deletion", Transient)],
    ),
    (
        "aws-behaviour.md#ttl-takes-one-change-an-hour",
        &[
            ("dynamodb", "UpdateTimeToLive", 400, "ValidationException", "it is already enabled", Exists),
            (
                "dynamodb",
                "UpdateTimeToLive",
                400,
                "ValidationException",
                "it was changed within a fixed interval",
                NotYet,
            ),
        ],
    ),
    (
        "aws-behaviour.md#writer-instance-before-secondary",
        &[(
            "rds",
            "CreateDBCluster",
            400,
            "InvalidDBClusterStateFault",
            "Source cluster is in a state which is not valid for physical replication",
            NotYet,
        )],
    ),
    (
        "aws-behaviour.md#member-leaves-before-deletion",
        &[
            (
                "rds",
                "DeleteDBCluster",
                400,
                "InvalidDBClusterStateFault",
                "This cluster is a part of a global cluster, please remove it from globalcluster first",
                NotYet,
            ),
            (
                "rds",
                "DeleteDBCluster",
                400,
                "InvalidDBClusterStateFault",
                "Can't create a snapshot because the database cluster c isn't currently in the available state.",
                NotYet,
            ),
            (
                "rds",
                "DeleteDBCluster",
                400,
                "InvalidParameterCombination",
                "please disable deletion protection and try again",
                NotYet,
            ),
        ],
    ),
    (
        "aws-behaviour.md#global-cluster-not-empty-yet",
        &[(
            "rds",
            "DeleteGlobalCluster",
            400,
            "InvalidGlobalClusterStateFault",
            "Global Cluster g is not empty",
            NotYet,
        )],
    ),
    (
        "aws-behaviour.md#member-gone-already",
        &[
            (
                "rds",
                "RemoveFromGlobalCluster",
                400,
                "InvalidParameterValue",
                "arn is not found in global cluster",
                NotFound,
            ),
            ("rds", "RemoveFromGlobalCluster", 404, "GlobalClusterNotFoundFault", "", NotFound),
        ],
    ),
    (
        "aws-behaviour.md#deletion-ordered-already",
        &[
            ("rds", "DeleteDBCluster", 400, "InvalidDBClusterStateFault", "c is already being deleted", NotFound),
            ("rds", "DeleteDBInstance", 400, "InvalidDBInstanceState", "i is already being deleted", NotFound),
        ],
    ),
    (
        "aws-behaviour.md#membership-seen-late",
        &[("rds", "CreateDBCluster", 404, "GlobalClusterNotFoundFault", "", Transient)],
    ),
    (
        "aws-behaviour.md#cluster-name-lingers",
        &[
            ("rds", "CreateGlobalCluster", 400, "GlobalClusterAlreadyExistsFault", "", Exists),
            ("rds", "CreateDBCluster", 400, "DBClusterAlreadyExistsFault", "", Exists),
        ],
    ),
    (
        "aws-behaviour.md#key-not-accessible",
        &[(
            "rds",
            "CreateDBCluster",
            400,
            "KMSKeyNotAccessibleFault",
            "The specified KMS key is not accessible",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#database-capacity-differs-by-region",
        &[
            // These do not pass: an operator has to choose other zones or another class.
            ("rds", "CreateDBSubnetGroup", 400, "DBSubnetGroupDoesNotCoverEnoughAZs", "", Refused),
            ("rds", "CreateDBInstance", 400, "InsufficientDBInstanceCapacity", "", Refused),
        ],
    ),
    (
        "aws-behaviour.md#group-in-use",
        &[("rds", "DeleteDBSubnetGroup", 400, "InvalidDBSubnetGroupStateFault", "", NotYet)],
    ),
    (
        "aws-behaviour.md#bucket-operation-aborted",
        &[(
            "s3",
            "CreateBucket",
            409,
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. Please try \
             again.",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#bucket-names-are-global",
        &[
            ("s3", "CreateBucket", 409, "BucketAlreadyExists", "The requested bucket name is not available.", Foreign),
            ("s3", "CreateBucket", 409, "BucketAlreadyOwnedByYou", "", Exists),
        ],
    ),
    (
        "aws-behaviour.md#versioning-seen-late",
        &[
            (
                "s3",
                "PutBucketReplication",
                400,
                "InvalidRequest",
                "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
                Transient,
            ),
            (
                "s3",
                "PutBucketReplication",
                400,
                "InvalidRequest",
                "Destination bucket must have versioning enabled.",
                Transient,
            ),
        ],
    ),
    (
        "aws-behaviour.md#new-bucket-not-visible-yet",
        &[("s3", "PutBucketReplication", 404, "NoSuchBucket", "The specified bucket does not exist", Transient)],
    ),
    (
        "aws-behaviour.md#bucket-must-be-empty",
        &[("s3", "DeleteBucket", 409, "BucketNotEmpty", "The bucket you tried to delete is not empty", Transient)],
    ),
    ("aws-behaviour.md#request-timeout-is-a-400", &[("s3", "PutBucketPolicy", 400, "RequestTimeout", "", Transient)]),
    (
        "aws-behaviour.md#secret-scheduled-for-deletion",
        &[
            (
                "secretsmanager",
                "CreateSecret",
                400,
                "InvalidRequestException",
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
                Transient,
            ),
            (
                "secretsmanager",
                "TagResource",
                400,
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was deleted.",
                Transient,
            ),
        ],
    ),
    (
        "aws-behaviour.md#secret-has-replicas",
        &[(
            "secretsmanager",
            "DeleteSecret",
            400,
            "InvalidParameterException",
            "You can't delete secret s that still has replica regions [us-east-2]",
            Transient,
        )],
    ),
    (
        "aws-behaviour.md#secret-not-visible-yet",
        &[("secretsmanager", "TagResource", 400, "ResourceNotFoundException", "", Transient)],
    ),
    (
        "aws-behaviour.md#route53-rate-limit",
        &[
            ("route53", "ChangeResourceRecordSets", 400, "PriorRequestNotComplete", "", Throttled),
            ("route53", "CreateHealthCheck", 400, "Throttling", "Rate exceeded", Throttled),
        ],
    ),
    (
        "aws-behaviour.md#record-deleted-by-value",
        &[
            (
                "route53",
                "ChangeResourceRecordSets",
                400,
                "InvalidChangeBatch",
                "[Tried to delete resource record set [name='a.', type='A'] but the values provided do not match \
                 the current values]",
                Transient,
            ),
            (
                "route53",
                "ChangeResourceRecordSets",
                400,
                "InvalidChangeBatch",
                "[Tried to delete resource record set [name='a.', type='A'] but it was not found]",
                NotFound,
            ),
            (
                "route53",
                "ChangeResourceRecordSets",
                400,
                "InvalidChangeBatch",
                "[Tried to create resource record set [name='a.', type='A'] but it already exists]",
                Exists,
            ),
        ],
    ),
    (
        "aws-behaviour.md#zone-and-checks-in-use",
        &[
            ("route53", "DeleteHostedZone", 400, "HostedZoneNotEmpty", "", Transient),
            ("route53", "DeleteHealthCheck", 400, "HealthCheckInUse", "", Transient),
        ],
    ),
    (
        "aws-behaviour.md#caller-reference-instead-of-tags",
        &[("route53", "CreateHealthCheck", 409, "HealthCheckAlreadyExists", "", Exists)],
    ),
    (
        "aws-behaviour.md#zone-locked-during-accelerated-recovery",
        &[
            (
                "route53",
                "ChangeResourceRecordSets",
                400,
                "InvalidChangeBatch",
                "it is marked disabled for mutation",
                Transient,
            ),
            (
                "route53",
                "UpdateHostedZoneFeatures",
                400,
                "LimitsExceeded",
                "Accelerated recovery can only be updated for 1 hosted zone at a time",
                Transient,
            ),
        ],
    ),
    (
        "aws-behaviour.md#key-not-visible-to-logs",
        &[
            (
                "logs",
                "CreateLogGroup",
                400,
                "AccessDeniedException",
                "The specified KMS key does not exist or is not allowed to be used with Arn \
                 'arn:aws:logs:us-east-1:1:log-group:x'",
                Transient,
            ),
            (
                "logs",
                "CreateLogGroup",
                400,
                "InvalidParameterException",
                "The specified KMS Key Id could not be found.",
                Transient,
            ),
        ],
    ),
    (
        "aws-behaviour.md#log-group-operation-aborted",
        &[("logs", "CreateLogGroup", 400, "OperationAbortedException", "A conflicting operation", Transient)],
    ),
    (
        "aws-behaviour.md#cloudwatch-rate-limits",
        &[("cloudwatch", "PutMetricAlarm", 400, "Throttling", "Rate exceeded", Throttled)],
    ),
    ("aws-behaviour.md#key-not-visible-to-topics", &[("sns", "CreateTopic", 400, "KMSAccessDenied", "", Transient)]),
    (
        "aws-behaviour.md#topic-exists-with-other-settings",
        &[("sns", "CreateTopic", 400, "InvalidParameter", "Topic already exists with different tags", Exists)],
    ),
];

#[test]
fn what_aws_says_means_what_its_handling_needs() {
    for (behaviour, cases) in CASES {
        for (service, operation, status, code, text, expected) in *cases {
            let class = class_of(service, operation, code, text, *status);
            assert_eq!(class, *expected, "{behaviour}: {service}:{operation}: {code}: {text}");
        }
    }
}
