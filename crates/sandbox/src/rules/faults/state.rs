//! The fault `state`: states that no call leads to in an emulator, such as `inaccessible-encryption-credentials`,
//! `incompatible-network`, `failed`, `insufficient-capacity`, `storage-full`, `INACCESSIBLE_ENCRYPTION_CREDENTIALS`.
//!
//! ```toml
//! [[fault]]
//! does = "state"
//! resource = "payment-dr-dev-secondary"          # a name or an id, in every Region unless `region` is given
//! state = "inaccessible-encryption-credentials"
//! lasts = 60.0                                   # seconds, as for every fault; `after` as well
//! ```
//!
//! Every answer that shows the resource shows it in that state, and RDS refuses to change it. It can be deleted, but
//! without a final snapshot: "The DB cluster or instance can only be deleted or restored",
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html>.
//! See docs/aws-behaviour.md#lost-key-stops-the-database.

use serde_json::Value;

use super::file::Fault;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// A type of resource: how its service shows it and its state.
struct ResourceType {
    service: &'static str,
    /// The XML elements that show it. Empty for JSON, where every object with both members shows one.
    elements: &'static [&'static str],
    id: &'static str,
    state: &'static str,
    /// The code with which a change is refused; empty if it is not.
    busy: &'static str,
}

static RESOURCE_TYPES: [ResourceType; 10] = [
    ResourceType::xml("rds", &["DBCluster"], "DBClusterIdentifier", "Status", "InvalidDBClusterStateFault"),
    ResourceType::xml("rds", &["DBInstance"], "DBInstanceIdentifier", "DBInstanceStatus", "InvalidDBInstanceState"),
    ResourceType::xml(
        "rds",
        &["GlobalCluster", "GlobalClusterMember"],
        "GlobalClusterIdentifier",
        "Status",
        "InvalidGlobalClusterStateFault",
    ),
    ResourceType::xml(
        "rds",
        &["DBClusterSnapshot"],
        "DBClusterSnapshotIdentifier",
        "Status",
        "InvalidDBClusterSnapshotStateFault",
    ),
    ResourceType::xml("ec2", &["item", "natGateway"], "natGatewayId", "state", ""),
    ResourceType::xml("ec2", &["item", "vpcEndpoint"], "vpcEndpointId", "state", ""),
    ResourceType::json("dynamodb", "TableName", "TableStatus"),
    // The replica of a table is identified by its Region.
    ResourceType::json("dynamodb", "RegionName", "ReplicaStatus"),
    ResourceType::json("lambda", "FunctionName", "State"),
    ResourceType::json("kms", "KeyId", "KeyState"),
];

impl ResourceType {
    const fn xml(
        service: &'static str,
        elements: &'static [&'static str],
        id: &'static str,
        state: &'static str,
        busy: &'static str,
    ) -> Self {
        Self { service, elements, id, state, busy }
    }

    const fn json(service: &'static str, id: &'static str, state: &'static str) -> Self {
        Self { service, elements: &[], id, state, busy: "" }
    }
}

fn resource_types(call: &Call) -> impl Iterator<Item = &'static ResourceType> {
    RESOURCE_TYPES.iter().filter(|shown| shown.service == call.service)
}

/// The refusal of a call that AWS does not allow in such a state: a change, a final snapshot, or building on the
/// resource.
pub(super) fn refuse(fault: &Fault, call: &Call) -> Option<Answer> {
    let (name, state) = (fault.resource.as_deref()?, fault.state.as_deref()?);
    if call.reads() {
        return None;
    }
    if call.service == "rds" && call.operation.ends_with("HttpEndpoint") {
        let is_about_it = call.form().get("ResourceArn").is_some_and(|arn| arn.ends_with(&format!(":cluster:{name}")));
        let message = format!("The cluster {name} is in the state {state}, which does not allow this.");
        return is_about_it.then(|| Answer::client_error(call, "InvalidResourceStateFault", &message));
    }
    let resource_type =
        resource_types(call).find(|shown| !shown.busy.is_empty() && call.form().get(shown.id) == Some(name))?;
    if call.operation.starts_with("Delete") {
        call.form().get("FinalDBSnapshotIdentifier")?;
        // https://github.com/hashicorp/terraform-provider-aws/pull/40333
        // See docs/aws-behaviour.md#member-leaves-before-deletion.
        let what = format!("Can't create a snapshot because the database cluster {name}");
        return Some(Answer::client_error(
            call,
            resource_type.busy,
            &format!("{what} isn't currently in the available state."),
        ));
    }
    if state == "creating" && call.operation.starts_with("Create") {
        // Aurora accepts an instance for a cluster that is still being created.
        return None;
    }
    let message = format!("{name} is in {state} state but expected it to be one of available.");
    Some(Answer::client_error(call, resource_type.busy, &message))
}

/// Shows the state wherever the answer shows the resource. Returns whether it does.
pub(super) fn show(fault: &Fault, call: &Call, answer: &mut Answer) -> bool {
    let (Some(name), Some(state)) = (fault.resource.as_deref(), fault.state.as_deref()) else { return false };
    let mut shown = false;
    for resource_type in resource_types(call) {
        if resource_type.elements.is_empty() {
            answer.edit_json(|value| {
                let here = show_json(value, resource_type, name, state);
                shown |= here;
                here
            });
        } else {
            answer.edit_xml(|root| {
                let here = show_xml(root, resource_type, name, state);
                shown |= here;
                here
            });
        }
    }
    shown
}

fn show_xml(element: &mut Element, resource_type: &ResourceType, name: &str, state: &str) -> bool {
    let is_it = resource_type.elements.iter().any(|name| element.is_named(name))
        && element.text_of(resource_type.id) == Some(name)
        && element.child(resource_type.state).is_some_and(Element::is_leaf);
    if is_it {
        element.set_text_of(resource_type.state, state);
    }
    element.children_mut().iter_mut().fold(is_it, |shown, child| show_xml(child, resource_type, name, state) || shown)
}

fn show_json(value: &mut Value, resource_type: &ResourceType, name: &str, state: &str) -> bool {
    match value {
        Value::Object(members) => {
            let is_it = members.get(resource_type.id).and_then(Value::as_str) == Some(name)
                && members.contains_key(resource_type.state);
            if is_it {
                members.insert(resource_type.state.to_owned(), state.into());
            }
            members.values_mut().fold(is_it, |shown, member| show_json(member, resource_type, name, state) || shown)
        }
        Value::Array(items) => {
            let mut shown = false;
            for item in items {
                shown |= show_json(item, resource_type, name, state);
            }
            shown
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::FaultFile;
    use super::super::{Faults, InForce};
    use super::*;
    use crate::rules::rule::Next;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::Protocol;
    use crate::wire::call::tests::{ec2, json};

    const CLUSTER: &str = "<r><DBClusters><DBCluster><DBClusterIdentifier>a</DBClusterIdentifier><Status>available</Status>\
        <GlobalClusterIdentifier>g</GlobalClusterIdentifier></DBCluster><DBCluster><DBClusterIdentifier>b\
        </DBClusterIdentifier><Status>available</Status></DBCluster></DBClusters></r>";
    const INSTANCE: &str = "<r><DBInstances><DBInstance><DBInstanceIdentifier>a</DBInstanceIdentifier><DBInstanceStatus>\
        available</DBInstanceStatus><DBClusterIdentifier>a</DBClusterIdentifier></DBInstance></DBInstances></r>";

    fn in_force(resource: &str, state: &str) -> InForce {
        let text = format!("[[fault]]\ndoes = \"state\"\nresource = \"{resource}\"\nstate = \"{state}\"");
        InForce::new(&FaultFile::parse(&text).expect("a fault file"))
    }

    fn rds(body: &str) -> Call {
        let mut call = ec2("111122223333", "us-east-1", body);
        "rds".clone_into(&mut call.service);
        call.protocol = Protocol::Query;
        call
    }

    async fn ask(faults: &InForce, mut call: Call, answered: &'static str) -> String {
        let origin = Scripted::new(move |_| ok(answered));
        text(&faults.apply(&mut call, Next::new(&[], &origin)).await)
    }

    #[tokio::test]
    async fn only_the_named_resource_is_shown_in_the_state() {
        let faults = in_force("a", "inaccessible-encryption-credentials");
        let shown = ask(&faults, rds("Action=DescribeDBClusters"), CLUSTER).await;
        assert_eq!(shown.matches("<Status>inaccessible-encryption-credentials<").count(), 1, "{shown}");
        assert!(shown.contains("<Status>available<"), "{shown}");
        let shown = ask(&faults, rds("Action=DescribeDBInstances"), INSTANCE).await;
        assert!(shown.contains("<DBInstanceStatus>inaccessible-encryption-credentials<"), "{shown}");
        let global = in_force("g", "upgrading");
        let shown = ask(&global, rds("Action=DescribeDBClusters"), CLUSTER).await;
        assert!(!shown.contains("upgrading"), "a cluster is not its global cluster: {shown}");
    }

    #[tokio::test]
    async fn states_are_shown_in_the_formats_of_other_services() {
        let faults = in_force("t", "INACCESSIBLE_ENCRYPTION_CREDENTIALS");
        let described = r#"{"Table":{"TableName":"t","TableStatus":"ACTIVE"}}"#;
        let call = json("dynamodb", "DynamoDB_20120810.DescribeTable", "{}");
        assert!(ask(&faults, call, described).await.contains("INACCESSIBLE_ENCRYPTION_CREDENTIALS"));
        let faults = in_force("us-east-2", "CREATING");
        let described = r#"{"Table":{"Replicas":[{"RegionName":"us-east-2","ReplicaStatus":"ACTIVE"}]}}"#;
        let call = json("dynamodb", "DynamoDB_20120810.DescribeTable", "{}");
        assert!(ask(&faults, call, described).await.contains("CREATING"));
        let faults = in_force("nat-1", "failed");
        let call = ec2("111122223333", "us-east-1", "Action=DescribeNatGateways");
        let gateways = "<r><natGatewaySet><item><natGatewayId>nat-1</natGatewayId><state>available</state></item>\
                        </natGatewaySet></r>";
        assert!(ask(&faults, call, gateways).await.contains("<state>failed<"));
    }

    #[tokio::test]
    async fn a_resource_in_a_state_can_only_be_deleted() {
        let faults = in_force("a", "incompatible-network");
        for (body, code) in [
            ("Action=ModifyDBCluster&DBClusterIdentifier=a&Port=1", "InvalidDBClusterStateFault"),
            ("Action=CreateDBInstance&DBInstanceIdentifier=c&DBClusterIdentifier=a", "InvalidDBClusterStateFault"),
            ("Action=ModifyDBInstance&DBInstanceIdentifier=a", "InvalidDBInstanceState"),
            ("Action=DeleteDBCluster&DBClusterIdentifier=a&FinalDBSnapshotIdentifier=f", "InvalidDBClusterStateFault"),
            ("Action=EnableHttpEndpoint&ResourceArn=arn:aws:rds:us-east-1:1:cluster:a", "InvalidResourceStateFault"),
        ] {
            let refused = ask(&faults, rds(body), "<r/>").await;
            assert!(refused.contains(&format!("<Code>{code}</Code>")), "{body}: {refused}");
        }
        for body in [
            "Action=DeleteDBCluster&DBClusterIdentifier=a&SkipFinalSnapshot=true",
            "Action=DeleteDBInstance&DBInstanceIdentifier=a",
            "Action=ModifyDBCluster&DBClusterIdentifier=b&Port=1",
            "Action=EnableHttpEndpoint&ResourceArn=arn:aws:rds:us-east-1:1:cluster:b",
        ] {
            assert!(ask(&faults, rds(body), "<r/>").await.contains("<r/>"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_resource_that_is_being_created_can_be_built_on() {
        let faults = in_force("a", "creating");
        let instance = rds("Action=CreateDBInstance&DBInstanceIdentifier=c&DBClusterIdentifier=a");
        assert!(ask(&faults, instance, "<r/>").await.contains("<r/>"));
        let change = rds("Action=ModifyDBCluster&DBClusterIdentifier=a&Port=1");
        assert!(ask(&faults, change, "<r/>").await.contains("InvalidDBClusterStateFault"));
    }

    #[tokio::test]
    async fn states_combine_with_each_other_and_with_other_faults_and_are_counted() {
        let both = "[[fault]]\ndoes = \"state\"\nresource = \"a\"\nstate = \"failed\"\n\
                    [[fault]]\ndoes = \"state\"\nresource = \"b\"\nstate = \"creating\"\n\
                    [[fault]]\ndoes = \"slow\"\nseconds = 0.01";
        let faults = Faults::default();
        faults.put(None, &FaultFile::parse(both).expect("a fault file"));
        let in_force = faults.of("").expect("in force");
        let shown = ask(&in_force, rds("Action=DescribeDBClusters"), CLUSTER).await;
        assert!(shown.contains(">failed<") && shown.contains(">creating<"), "{shown}");
        let tally = faults.tally(None).expect("in force");
        assert_eq!(serde_json::to_value(&tally).expect("JSON")["faults"], serde_json::json!([[1, 1], [1, 1], [1, 1]]));
    }
}
