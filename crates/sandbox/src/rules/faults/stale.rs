//! Stale reads: what was made a moment ago is neither found nor listed.
//!
//! Most of AWS's control planes are eventually consistent, EC2 and IAM by their own word:
//! <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>.

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

/// Where a creation says what the new thing is called.
#[derive(Debug, Clone, Copy)]
enum Name {
    /// In the answer, under this name.
    Answered(&'static str),
    /// In the request, under this name.
    Asked(&'static str),
    /// In the path, as its part of this number.
    Path(usize),
}

/// A creation: its service and operation, where the name stands, and how the service says that there is no such thing.
type Creation = (&'static str, &'static str, Name, u16, &'static str);

use Name::{Answered, Asked, Path};

const CREATIONS: &[Creation] = &[
    ("ec2", "CreateVpc", Answered("vpcId"), 400, "InvalidVpcID.NotFound"),
    ("ec2", "CreateSubnet", Answered("subnetId"), 400, "InvalidSubnetID.NotFound"),
    ("ec2", "CreateInternetGateway", Answered("internetGatewayId"), 400, "InvalidInternetGatewayID.NotFound"),
    ("ec2", "AllocateAddress", Answered("allocationId"), 400, "InvalidAllocationID.NotFound"),
    ("ec2", "CreateNatGateway", Answered("natGatewayId"), 400, "NatGatewayNotFound"),
    ("ec2", "CreateRouteTable", Answered("routeTableId"), 400, "InvalidRouteTableID.NotFound"),
    ("ec2", "CreateSecurityGroup", Answered("groupId"), 400, "InvalidGroup.NotFound"),
    ("ec2", "CreateVpcEndpoint", Answered("vpcEndpointId"), 400, "InvalidVpcEndpointId.NotFound"),
    (
        "ec2",
        "CreateVpcPeeringConnection",
        Answered("vpcPeeringConnectionId"),
        400,
        "InvalidVpcPeeringConnectionID.NotFound",
    ),
    ("iam", "CreateRole", Asked("RoleName"), 404, "NoSuchEntity"),
    ("kms", "CreateKey", Answered("KeyId"), 400, "NotFoundException"),
    ("kms", "CreateAlias", Asked("AliasName"), 400, "NotFoundException"),
    ("logs", "CreateLogGroup", Asked("logGroupName"), 400, "ResourceNotFoundException"),
    ("sns", "CreateTopic", Answered("TopicArn"), 404, "NotFound"),
    ("secretsmanager", "CreateSecret", Asked("Name"), 400, "ResourceNotFoundException"),
    ("rds", "CreateDBSubnetGroup", Asked("DBSubnetGroupName"), 404, "DBSubnetGroupNotFoundFault"),
    ("rds", "CreateDBClusterParameterGroup", Asked("DBClusterParameterGroupName"), 404, "DBParameterGroupNotFound"),
    ("rds", "CreateGlobalCluster", Asked("GlobalClusterIdentifier"), 404, "GlobalClusterNotFoundFault"),
    ("rds", "CreateDBCluster", Asked("DBClusterIdentifier"), 404, "DBClusterNotFoundFault"),
    ("rds", "CreateDBInstance", Asked("DBInstanceIdentifier"), 404, "DBInstanceNotFound"),
    ("dynamodb", "CreateTable", Asked("TableName"), 400, "ResourceNotFoundException"),
    ("s3", "CreateBucket", Path(0), 404, "NoSuchBucket"),
    ("lambda", "CreateFunction", Asked("FunctionName"), 404, "ResourceNotFoundException"),
    ("apigateway", "CreateApi", Answered("apiId"), 404, "NotFoundException"),
    ("apigateway", "CreateIntegration", Answered("integrationId"), 404, "NotFoundException"),
    ("apigateway", "CreateRoute", Answered("routeId"), 404, "NotFoundException"),
    ("acm", "RequestCertificate", Answered("CertificateArn"), 400, "ResourceNotFoundException"),
    ("route53", "CreateHealthCheck", Answered("Id"), 404, "NoSuchHealthCheck"),
    ("route53", "CreateHostedZone", Answered("Id"), 404, "NoSuchHostedZone"),
];

/// Something that was made.
#[derive(Debug, Clone)]
struct Made {
    service: String,
    region: String,
    at: Instant,
    status: u16,
    not_found: &'static str,
}

/// What was made since the faults were put in force, by its name.
#[derive(Debug, Default)]
pub(super) struct Stale {
    made: Mutex<HashMap<String, Made>>,
}

impl Stale {
    /// Notes what a call has made.
    pub(super) fn learn(&self, call: &Call, answer: &Answer) {
        let creation = CREATIONS.iter().find(|(service, operation, ..)| call.is(service, operation));
        let Some((_, _, name, status, not_found)) = creation.filter(|_| answer.is_success()) else { return };
        let Some(name) = name_in(*name, call, answer) else { return };
        let made = Made {
            service: call.service.clone(),
            region: call.region.clone(),
            at: Instant::now(),
            status: *status,
            not_found,
        };
        lock(&self.made).entry(name).or_insert(made);
    }

    pub(super) fn reset(&self) {
        lock(&self.made).clear();
    }

    /// What a call cannot see yet.
    fn hidden(&self, call: &Call, fault: &Fault) -> Vec<(String, Made)> {
        let made = lock(&self.made);
        let is_hidden = |made: &Made| {
            let lasting = if made.region == call.region { fault.lasting() } else { fault.lasting_elsewhere() };
            made.service == call.service && made.at.elapsed() < lasting
        };
        made.iter().filter(|(_, made)| is_hidden(made)).map(|(name, made)| (name.clone(), made.clone())).collect()
    }

    /// The refusal of a call that names what it cannot see.
    pub(super) fn refuse(&self, call: &Call, fault: &Fault) -> Option<Answer> {
        if CREATIONS.iter().any(|(service, operation, ..)| call.is(service, operation)) {
            // What is being made under a name is judged by whoever keeps the names.
            return None;
        }
        let said = words(call);
        let (name, made) = self.hidden(call, fault).into_iter().find(|(name, _)| said.contains(name.as_str()))?;
        // A listing with a filter finds nothing; one that asks for an id is refused.
        let lists = call.operation.starts_with("List") || (call.service == "logs" && call.reads());
        (!lists).then(|| refusal(call, made.status, made.not_found, &format!("{name} does not exist")))
    }

    /// Takes out of a listing what the call cannot see.
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

/// Everything that a call says, as one text.
fn words(call: &Call) -> String {
    let mut words = form::decode(call.uri.to_string().as_bytes());
    for (_, value) in call.form().pairs() {
        words.push(' ');
        words.push_str(value);
    }
    words.push(' ');
    words.push_str(&String::from_utf8_lossy(call.body()));
    words
}

fn name_in(name: Name, call: &Call, answer: &Answer) -> Option<String> {
    match name {
        Asked(parameter) => call
            .form()
            .get(parameter)
            .map(str::to_owned)
            .or_else(|| call.json().get(parameter).and_then(Value::as_str).map(str::to_owned)),
        Path(number) => call.uri.path().split('/').filter(|part| !part.is_empty()).nth(number).map(str::to_owned),
        Answered(member) => {
            let answered = if answer.body().starts_with(b"<") {
                find_xml(&Element::parse(answer.body()).ok()?, member)
            } else {
                find_json(&serde_json::from_slice(answer.body()).ok()?, member)
            };
            // Route 53 writes "/hostedzone/Z1", and is asked for "Z1".
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

/// Takes away the members of lists that bear a hidden name themselves.
fn prune_xml(element: &mut Element, is_hidden: &impl Fn(&str) -> bool) {
    // Only in lists: an answer about one thing is refused, or is about something else.
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
    fn what_was_just_made_is_neither_found_nor_listed_and_longer_from_elsewhere() {
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
    fn json_is_read_and_pruned_as_well() {
        let stale = Stale::default();
        let create = json("dynamodb", "DynamoDB_20120810.CreateTable", r#"{"TableName":"t"}"#);
        stale.learn(&create, &ok(r#"{"TableDescription":{}}"#));
        let fault = fault("seconds = 60.0");
        let describe = json("dynamodb", "DynamoDB_20120810.DescribeTable", r#"{"TableName":"t"}"#);
        assert!(stale.refuse(&describe, &fault).is_some());
        assert!(stale.refuse(&create, &fault).is_none(), "who makes it is not told that it is not there");
        let list = json("dynamodb", "DynamoDB_20120810.ListTables", "{}");
        let mut listed = ok(r#"{"TableNames":["t","u"]}"#);
        stale.hide(&list, &fault, &mut listed);
        assert_eq!(text(&listed), r#"{"TableNames":["u"]}"#);
        stale.reset();
        assert!(stale.refuse(&describe, &fault).is_none());
    }
}
