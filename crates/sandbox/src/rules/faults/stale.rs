//! Stale reads: what was created a moment ago is neither found nor listed.
//!
//! Most of AWS's control planes are eventually consistent, as AWS says of EC2 and IAM:
//! <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>.
//! See docs/aws-behaviour.md#new-id-not-visible-yet and docs/aws-behaviour.md#new-role-not-visible-yet.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use super::codes::refusal;
use super::file::Fault;
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::form;
use crate::wire::xml::Element;

/// Where a creating call or its answer has the name of the new resource.
#[derive(Debug, Clone, Copy)]
enum NameSource {
    /// In the answer, under this name.
    AnswerMember(&'static str),
    /// In the request, under this name.
    RequestMember(&'static str),
    /// In the path, as the part with this index.
    PathPart(usize),
}

/// A creating operation: its service and name, where the resource's name is, and the status and code with which the
/// service says that there is no such resource.
type Creation = (&'static str, &'static str, NameSource, u16, &'static str);

use NameSource::{AnswerMember, PathPart, RequestMember};

const CREATIONS: &[Creation] = &[
    ("ec2", "CreateVpc", AnswerMember("vpcId"), 400, "InvalidVpcID.NotFound"),
    ("ec2", "CreateSubnet", AnswerMember("subnetId"), 400, "InvalidSubnetID.NotFound"),
    ("ec2", "CreateInternetGateway", AnswerMember("internetGatewayId"), 400, "InvalidInternetGatewayID.NotFound"),
    ("ec2", "AllocateAddress", AnswerMember("allocationId"), 400, "InvalidAllocationID.NotFound"),
    ("ec2", "CreateNatGateway", AnswerMember("natGatewayId"), 400, "NatGatewayNotFound"),
    ("ec2", "CreateRouteTable", AnswerMember("routeTableId"), 400, "InvalidRouteTableID.NotFound"),
    ("ec2", "CreateSecurityGroup", AnswerMember("groupId"), 400, "InvalidGroup.NotFound"),
    ("ec2", "CreateVpcEndpoint", AnswerMember("vpcEndpointId"), 400, "InvalidVpcEndpointId.NotFound"),
    (
        "ec2",
        "CreateVpcPeeringConnection",
        AnswerMember("vpcPeeringConnectionId"),
        400,
        "InvalidVpcPeeringConnectionID.NotFound",
    ),
    ("iam", "CreateRole", RequestMember("RoleName"), 404, "NoSuchEntity"),
    ("kms", "CreateKey", AnswerMember("KeyId"), 400, "NotFoundException"),
    ("kms", "CreateAlias", RequestMember("AliasName"), 400, "NotFoundException"),
    ("logs", "CreateLogGroup", RequestMember("logGroupName"), 400, "ResourceNotFoundException"),
    ("sns", "CreateTopic", AnswerMember("TopicArn"), 404, "NotFound"),
    ("secretsmanager", "CreateSecret", RequestMember("Name"), 400, "ResourceNotFoundException"),
    ("rds", "CreateDBSubnetGroup", RequestMember("DBSubnetGroupName"), 404, "DBSubnetGroupNotFoundFault"),
    (
        "rds",
        "CreateDBClusterParameterGroup",
        RequestMember("DBClusterParameterGroupName"),
        404,
        "DBParameterGroupNotFound",
    ),
    ("rds", "CreateGlobalCluster", RequestMember("GlobalClusterIdentifier"), 404, "GlobalClusterNotFoundFault"),
    ("rds", "CreateDBCluster", RequestMember("DBClusterIdentifier"), 404, "DBClusterNotFoundFault"),
    ("rds", "CreateDBInstance", RequestMember("DBInstanceIdentifier"), 404, "DBInstanceNotFound"),
    ("dynamodb", "CreateTable", RequestMember("TableName"), 400, "ResourceNotFoundException"),
    ("s3", "CreateBucket", PathPart(0), 404, "NoSuchBucket"),
    ("lambda", "CreateFunction", RequestMember("FunctionName"), 404, "ResourceNotFoundException"),
    ("apigateway", "CreateApi", AnswerMember("apiId"), 404, "NotFoundException"),
    ("apigateway", "CreateIntegration", AnswerMember("integrationId"), 404, "NotFoundException"),
    ("apigateway", "CreateRoute", AnswerMember("routeId"), 404, "NotFoundException"),
    ("acm", "RequestCertificate", AnswerMember("CertificateArn"), 400, "ResourceNotFoundException"),
    ("route53", "CreateHealthCheck", AnswerMember("Id"), 404, "NoSuchHealthCheck"),
    ("route53", "CreateHostedZone", AnswerMember("Id"), 404, "NoSuchHostedZone"),
];

/// A resource that was created.
#[derive(Debug, Clone)]
struct Created {
    service: String,
    region: String,
    at: Instant,
    status: u16,
    not_found: &'static str,
}

/// The resources that were created since the faults were put in force, by name.
#[derive(Debug, Default)]
pub(super) struct Stale {
    created: Mutex<HashMap<String, Created>>,
}

impl Stale {
    /// Notes the resource that a call has created.
    pub(super) fn learn(&self, call: &Call, answer: &Answer) {
        let creation = CREATIONS.iter().find(|(service, operation, ..)| call.is(service, operation));
        let Some((_, _, name, status, not_found)) = creation.filter(|_| answer.is_success()) else { return };
        let Some(name) = name_in(*name, call, answer) else { return };
        let created = Created {
            service: call.service.clone(),
            region: call.region.clone(),
            at: Instant::now(),
            status: *status,
            not_found,
        };
        lock(&self.created).entry(name).or_insert(created);
    }

    pub(super) fn reset(&self) {
        lock(&self.created).clear();
    }

    /// The resources that a call cannot see yet.
    fn hidden(&self, call: &Call, fault: &Fault) -> Vec<(String, Created)> {
        let created = lock(&self.created);
        let is_hidden = |created: &Created| {
            let lasting = if created.region == call.region { fault.lasting() } else { fault.lasting_elsewhere() };
            created.service == call.service && created.at.elapsed() < lasting
        };
        created
            .iter()
            .filter(|(_, created)| is_hidden(created))
            .map(|(name, created)| (name.clone(), created.clone()))
            .collect()
    }

    /// The refusal of a call that names a resource which it cannot see yet.
    pub(super) fn refuse(&self, call: &Call, fault: &Fault) -> Option<Answer> {
        if CREATIONS.iter().any(|(service, operation, ..)| call.is(service, operation)) {
            // Whether a name is free is decided by the part of the service that keeps the names, which is consistent.
            return None;
        }
        let text = text_of(call);
        let (name, created) = self.hidden(call, fault).into_iter().find(|(name, _)| text.contains(name.as_str()))?;
        // A listing with a filter finds nothing, but one that selects an id is refused.
        let lists = call.operation.starts_with("List") || (call.service == "logs" && call.reads());
        (!lists).then(|| refusal(call, created.status, created.not_found, &format!("{name} does not exist")))
    }

    /// Removes from a listing what the call cannot see yet.
    pub(super) fn hide(&self, call: &Call, fault: &Fault, answer: &mut Answer) {
        let hidden = self.hidden(call, fault);
        if hidden.is_empty() || !call.reads() {
            return;
        }
        let is_hidden = |text: &str| hidden.iter().any(|(name, _)| text == name);
        if answer.body().starts_with(b"{") {
            answer.edit_json(|value| {
                prune_json(value, &is_hidden);
                true
            });
        } else if answer.body().starts_with(b"<") {
            answer.edit_xml(|root| {
                prune_xml(root, &is_hidden);
                true
            });
        }
    }
}

/// The whole call as one text.
fn text_of(call: &Call) -> String {
    let mut text = form::decode(call.uri.to_string().as_bytes());
    for (_, value) in call.form().pairs() {
        text.push(' ');
        text.push_str(value);
    }
    text.push(' ');
    text.push_str(&String::from_utf8_lossy(call.body()));
    text
}

fn name_in(source: NameSource, call: &Call, answer: &Answer) -> Option<String> {
    match source {
        RequestMember(parameter) => call
            .form()
            .get(parameter)
            .map(str::to_owned)
            .or_else(|| call.json().get(parameter).and_then(Value::as_str).map(str::to_owned)),
        PathPart(number) => call.uri.path().split('/').filter(|part| !part.is_empty()).nth(number).map(str::to_owned),
        AnswerMember(member) => {
            let answered = if answer.body().starts_with(b"<") {
                find_xml(&Element::parse(answer.body()).ok()?, member)
            } else {
                find_json(&serde_json::from_slice(answer.body()).ok()?, member)
            };
            // Route 53 answers "/hostedzone/Z1", and is asked for "Z1".
            answered.map(|name| name.rsplit_once("hostedzone/").map_or(name.clone(), |(_, id)| id.to_owned()))
        }
    }
}

fn find_xml(element: &Element, name: &str) -> Option<String> {
    if let Some(text) = element.text_of(name) {
        return Some(text.to_owned());
    }
    element.children().iter().find_map(|child| find_xml(child, name))
}

fn find_json(value: &Value, name: &str) -> Option<String> {
    match value {
        Value::Object(map) => {
            let own = map.get(name).and_then(Value::as_str).map(str::to_owned);
            own.or_else(|| map.values().find_map(|value| find_json(value, name)))
        }
        _ => None,
    }
}

/// Removes the members of lists whose own fields hold a hidden name.
fn prune_xml(element: &mut Element, is_hidden: &impl Fn(&str) -> bool) {
    // Only in lists: a call about a single hidden resource has been refused already.
    let is_list = |child: &Element| ["item", "member"].iter().any(|name| child.is_named(name)) || !child.is_leaf();
    element.children_mut().retain(|child| {
        !(is_list(child) && child.children().iter().any(|field| field.is_leaf() && is_hidden(field.text())))
    });
    for child in element.children_mut() {
        prune_xml(child, is_hidden);
    }
}

fn prune_json(value: &mut Value, is_hidden: &impl Fn(&str) -> bool) {
    match value {
        Value::Array(items) => {
            items.retain(|item| match item {
                Value::String(text) => !is_hidden(text),
                Value::Object(map) => !map.values().any(|value| value.as_str().is_some_and(is_hidden)),
                _ => true,
            });
            for item in items {
                prune_json(item, is_hidden);
            }
        }
        Value::Object(map) => {
            for value in map.values_mut() {
                prune_json(value, is_hidden);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::FaultFile;
    use super::*;
    use crate::rules::rule::tests::{ok, text};
    use crate::wire::call::tests::{ec2, json};

    fn fault(text: &str) -> Fault {
        let file = FaultFile::parse(&format!("[[fault]]\ndoes = \"stale\"\n{text}")).expect("a file");
        file.faults.into_iter().next().expect("a fault")
    }

    const CREATED: &str = "<CreateVpcResponse><vpc><vpcId>vpc-1</vpcId></vpc></CreateVpcResponse>";
    const LISTED: &str = "<r><vpcSet><item><vpcId>vpc-1</vpcId></item><item><vpcId>vpc-2</vpcId></item></vpcSet></r>";

    #[test]
    fn a_new_resource_is_neither_found_nor_listed_and_for_longer_from_another_region() {
        let stale = Stale::default();
        stale.learn(&ec2("1", "us-east-1", "Action=CreateVpc"), &ok(CREATED));
        let long = fault("seconds = 0.0\nelsewhere = 60.0");
        let here = ec2("1", "us-east-1", "Action=DescribeVpcs&VpcId.1=vpc-1");
        let there = ec2("1", "us-east-2", "Action=DescribeVpcs&VpcId.1=vpc-1");
        assert!(stale.refuse(&here, &long).is_none(), "its own Region sees it");
        let refused = stale.refuse(&there, &long).map(|answer| text(&answer)).unwrap_or_default();
        assert!(refused.contains("InvalidVpcID.NotFound"), "{refused}");
        let all = ec2("1", "us-east-2", "Action=DescribeVpcs");
        assert!(stale.refuse(&all, &long).is_none());
        let mut listed = ok(LISTED);
        stale.hide(&all, &long, &mut listed);
        assert!(!text(&listed).contains("vpc-1") && text(&listed).contains("vpc-2"), "{}", text(&listed));
    }

    #[test]
    fn names_are_read_and_hidden_in_json_too() {
        let stale = Stale::default();
        let create = json("dynamodb", "DynamoDB_20120810.CreateTable", r#"{"TableName":"t"}"#);
        stale.learn(&create, &ok(r#"{"TableDescription":{}}"#));
        let fault = fault("seconds = 60.0");
        let describe = json("dynamodb", "DynamoDB_20120810.DescribeTable", r#"{"TableName":"t"}"#);
        assert!(stale.refuse(&describe, &fault).is_some());
        assert!(stale.refuse(&create, &fault).is_none(), "the creating call itself is not refused");
        let list = json("dynamodb", "DynamoDB_20120810.ListTables", "{}");
        let mut listed = ok(r#"{"TableNames":["t","u"]}"#);
        stale.hide(&list, &fault, &mut listed);
        assert_eq!(text(&listed), r#"{"TableNames":["u"]}"#);
        stale.reset();
        assert!(stale.refuse(&describe, &fault).is_none());
    }
}
