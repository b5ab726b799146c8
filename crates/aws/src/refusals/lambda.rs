//! Refusals of AWS Lambda.

use super::Row;
use drctl_engine::Class;

/// Lambda has one code for all parameters that are correct but not visible to it yet, and distinguishes them by text.
const PARAMETER: &str = "InvalidParameterValueException";
const CONFLICT: &str = "ResourceConflictException";

pub(super) const ROWS: &[Row] = &[
    // The texts are those of terraform-provider-aws, internal/service/lambda/function.go, retryFunctionOp, which
    // repeats for 5 minutes, and for 9 more when EC2 throttles. See docs/aws-behaviour.md#role-not-assumable-yet.
    ("lambda", "", PARAMETER, "cannot be assumed by Lambda", Class::Transient),
    ("lambda", "", PARAMETER, "The provided execution role does not have permissions", Class::Transient),
    // See docs/aws-behaviour.md#key-not-usable-by-lambda-yet.
    ("lambda", "", PARAMETER, "KMS key is invalid for CreateGrant", Class::Transient),
    // See docs/aws-behaviour.md#lambda-throttled-by-ec2.
    ("lambda", "", PARAMETER, "throttled by EC2", Class::Throttled),
    // Created a moment ago, and not visible to Lambda yet: the references are AWS's own ids, so they cannot be wrong.
    // "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound."
    // See docs/aws-behaviour.md#network-not-visible-to-lambda-yet.
    ("lambda", "", PARAMETER, "InvalidSubnetID.NotFound", Class::Transient),
    ("lambda", "", PARAMETER, "InvalidGroup.NotFound", Class::Transient),
    // "Function already exist: name", and "The statement id (api) provided already exists": the name is taken.
    ("lambda", "CreateFunction", CONFLICT, "already exist", Class::Exists),
    ("lambda", "AddPermission", CONFLICT, "already exists", Class::Exists),
    // An update is in progress, or the function is still being created. See docs/aws-behaviour.md#function-update-in-progress.
    ("lambda", "", CONFLICT, "", Class::Transient),
    // A function that was created a moment ago. See docs/aws-behaviour.md#new-function-not-visible-yet.
    ("lambda", "AddPermission", "ResourceNotFoundException", "", Class::Transient),
    // Changed by another caller in the meantime: drctl names no revision, so the same call is right the next time.
    // https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
    ("lambda", "", "PreconditionFailedException", "", Class::Transient),
];
