//! Refusals of Amazon API Gateway. `TooManyRequestsException` is among the codes of throttling.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // "Unable to complete operation due to concurrent modification. Please try again later."
    // See docs/aws-behaviour.md#api-gateway-concurrent-modification.
    ("apigateway", "", "ConflictException", "try again later", Class::Transient),
    ("apigateway", "", "ConflictException", "concurrent modification", Class::Transient),
    // A route's key, a stage's or a domain's name, a mapping's path: each is unique.
    ("apigateway", "", "ConflictException", "already exists", Class::Exists),
    ("apigateway", "CreateDomainName", "BadRequestException", "already exists", Class::Exists),
    // Its routes are being deleted. See docs/aws-behaviour.md#integration-held-by-route.
    ("apigateway", "DeleteIntegration", "ConflictException", "referenced by", Class::Transient),
    // So are the routes that use it. See docs/aws-behaviour.md#authorizer-held-by-route.
    ("apigateway", "DeleteAuthorizer", "ConflictException", "referenced in route", Class::Transient),
    // So is the mapping to it. See docs/aws-behaviour.md#mapping-holds-domain-and-api.
    ("apigateway", "DeleteApi", "BadRequestException", "mapping", Class::Transient),
    ("apigateway", "DeleteApi", "ConflictException", "mapping", Class::Transient),
    ("apigateway", "DeleteStage", "BadRequestException", "mapping", Class::Transient),
    ("apigateway", "DeleteStage", "ConflictException", "mapping", Class::Transient),
    // A certificate that is not issued, or not visible to API Gateway yet.
    // See docs/aws-behaviour.md#certificate-not-issued-yet.
    ("apigateway", "CreateDomainName", "BadRequestException", "ertificate", Class::NotYet),
    ("apigateway", "UpdateDomainName", "BadRequestException", "ertificate", Class::NotYet),
    // What it refers to was created a moment ago, and is not visible everywhere yet: an API, an integration, a stage, a log
    // group. The references are AWS's own ids, so they cannot be wrong.
    // See docs/aws-behaviour.md#new-api-parts-not-visible-yet.
    ("apigateway", "CreateIntegration", "NotFoundException", "", Class::NotYet),
    ("apigateway", "CreateRoute", "NotFoundException", "", Class::NotYet),
    ("apigateway", "CreateAuthorizer", "NotFoundException", "", Class::NotYet),
    // "Invalid authorizer ID specified. Setting the authorization type to JWT requires a valid JWT authorizer."
    // https://github.com/anomalyco/sst/issues/4097
    ("apigateway", "CreateRoute", "BadRequestException", "Invalid authorizer ID", Class::NotYet),
    ("apigateway", "UpdateRoute", "BadRequestException", "Invalid authorizer ID", Class::NotYet),
    ("apigateway", "CreateStage", "NotFoundException", "", Class::NotYet),
    ("apigateway", "UpdateStage", "NotFoundException", "LogDestination", Class::NotYet),
    // "Cannot find log delivery named: <api>_<stage>". https://github.com/hashicorp/terraform-provider-aws/issues/46610
    ("apigateway", "UpdateStage", "NotFoundException", "log delivery", Class::NotYet),
    ("apigateway", "CreateApiMapping", "NotFoundException", "", Class::NotYet),
    ("apigateway", "CreateApiMapping", "BadRequestException", "stage", Class::NotYet),
];
