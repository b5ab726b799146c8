//! States that no call leads to in an emulator: `inaccessible-encryption-credentials`, `incompatible-network`, `failed`,
//! `insufficient-capacity`, `storage-full`, `INACCESSIBLE_ENCRYPTION_CREDENTIALS`, …
//!
//! ```toml
//! [[fault]]
//! does = "state"
//! resource = "payment-dr-dev-secondary"          # a name or an id, in every Region unless `region` names one
//! state = "inaccessible-encryption-credentials"
//! lasts = 60.0                                   # seconds, as with every fault; `after` as well
//! ```
//!
//! Everything that shows the resource shows it in that state; RDS refuses changes of it. It can be deleted, without a final
//! snapshot: "The DB cluster or instance can only be deleted or restored",
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html>.

use serde_json::Value;

use super::file::Fault;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// How a service shows a resource of some type, and the state that it is in.
struct Kind {
    service: &'static str,
    /// The XML elements that it is shown in; none in JSON, where whatever has both members is one.
    elements: &'static [&'static str],
    id: &'static str,
    state: &'static str,
    /// How a change is refused, where it is.
    busy: &'static str,
}

static KINDS: [Kind; 10] = [
    Kind::xml("rds", &["DBCluster"], "DBClusterIdentifier", "Status", "InvalidDBClusterStateFault"),
    Kind::xml("rds", &["DBInstance"], "DBInstanceIdentifier", "DBInstanceStatus", "InvalidDBInstanceState"),
    Kind::xml(
        "rds",
        &["GlobalCluster", "GlobalClusterMember"],
        "GlobalClusterIdentifier",
        "Status",
        "InvalidGlobalClusterStateFault",
    ),
    Kind::xml(
        "rds",
        &["DBClusterSnapshot"],
        "DBClusterSnapshotIdentifier",
        "Status",
        "InvalidDBClusterSnapshotStateFault",
    ),
    Kind::xml("ec2", &["item", "natGateway"], "natGatewayId", "state", ""),
    Kind::xml("ec2", &["item", "vpcEndpoint"], "vpcEndpointId", "state", ""),
    Kind::json("dynamodb", "TableName", "TableStatus"),
    // A table's replica is named by its Region.
    Kind::json("dynamodb", "RegionName", "ReplicaStatus"),
    Kind::json("lambda", "FunctionName", "State"),
    Kind::json("kms", "KeyId", "KeyState"),
];

impl Kind {
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

fn kinds(call: &Call) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| kind.service == call.service)
}

/// What AWS refuses of a resource in such a state: every change, a final snapshot, and what would be built on it.
pub(super) fn refuse(fault: &Fault, call: &Call) -> Option<Answer> {
    let (name, state) = (fault.resource.as_deref()?, fault.state.as_deref()?);
    if call.reads() {
        return None;
    }
    if call.service == "rds" && call.operation.ends_with("HttpEndpoint") {
        let is_it = call.form().get("ResourceArn").is_some_and(|arn| arn.ends_with(&format!(":cluster:{name}")));
        let message = format!("The cluster {name} is in the state {state}, which does not allow this.");
        return is_it.then(|| Answer::client_error(call, "InvalidResourceStateFault", &message));
    }
    let kind = kinds(call).find(|kind| !kind.busy.is_empty() && call.form().get(kind.id) == Some(name))?;
    if call.operation.starts_with("Delete") {
        call.form().get("FinalDBSnapshotIdentifier")?;
        // https://github.com/hashicorp/terraform-provider-aws/pull/40333
        let what = format!("Can't create a snapshot because the database cluster {name}");
        return Some(Answer::client_error(call, kind.busy, &format!("{what} isn't currently in the available state.")));
    }
    if state == "creating" && call.operation.starts_with("Create") {
        // Aurora takes an instance for a cluster that is still being made.
        return None;
    }
    let message = format!("{name} is in {state} state but expected it to be one of available.");
    Some(Answer::client_error(call, kind.busy, &message))
}

/// Shows the state wherever the answer shows the resource; says whether it does.
pub(super) fn show(fault: &Fault, call: &Call, answer: &mut Answer) -> bool {
    let (Some(name), Some(state)) = (fault.resource.as_deref(), fault.state.as_deref()) else { return false };
    let mut shown = false;
    for kind in kinds(call) {
        if kind.elements.is_empty() {
            answer.edit_json(|value| {
                let here = show_json(value, kind, name, state);
                shown |= here;
                here
            });
        } else {
            answer.edit_xml(|root| {
                let here = show_xml(root, kind, name, state);
                shown |= here;
                here
            });
        }
    }
    shown
}

fn show_xml(element: &mut Element, kind: &Kind, name: &str, state: &str) -> bool {
    let is_it = kind.elements.iter().any(|known| element.is_named(known))
        && element.text_of(kind.id) == Some(name)
        && element.child(kind.state).is_some_and(Element::is_leaf);
    if is_it {
        element.set_text_of(kind.state, state);
    }
    element.children_mut().iter_mut().fold(is_it, |shown, child| show_xml(child, kind, name, state) || shown)
}

fn show_json(value: &mut Value, kind: &Kind, name: &str, state: &str) -> bool {
    match value {
        Value::Object(members) => {
            let is_it = members.get(kind.id).and_then(Value::as_str) == Some(name) && members.contains_key(kind.state);
            if is_it {
                members.insert(kind.state.to_owned(), state.into());
            }
            members.values_mut().fold(is_it, |shown, member| show_json(member, kind, name, state) || shown)
        }
        Value::Array(items) => {
            let mut shown = false;
            for item in items {
                shown |= show_json(item, kind, name, state);
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
        InForce::new(&FaultFile::parse(&text).expect("a file of faults"))
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
    async fn a_resource_is_shown_in_its_state_and_no_other_is() {
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
    async fn other_services_words_and_shapes() {
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
    async fn it_takes_no_change_but_its_end() {
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
    async fn what_is_being_made_takes_what_is_built_on_it() {
        let faults = in_force("a", "creating");
        let instance = rds("Action=CreateDBInstance&DBInstanceIdentifier=c&DBClusterIdentifier=a");
        assert!(ask(&faults, instance, "<r/>").await.contains("<r/>"));
        let change = rds("Action=ModifyDBCluster&DBClusterIdentifier=a&Port=1");
        assert!(ask(&faults, change, "<r/>").await.contains("InvalidDBClusterStateFault"));
    }

    #[tokio::test]
    async fn states_stand_beside_each_other_and_other_faults_and_are_counted() {
        let both = "[[fault]]\ndoes = \"state\"\nresource = \"a\"\nstate = \"failed\"\n\
                    [[fault]]\ndoes = \"state\"\nresource = \"b\"\nstate = \"creating\"\n\
                    [[fault]]\ndoes = \"slow\"\nseconds = 0.01";
        let faults = Faults::default();
        faults.put(None, &FaultFile::parse(both).expect("a file of faults"));
        let in_force = faults.of("").expect("in force");
        let shown = ask(&in_force, rds("Action=DescribeDBClusters"), CLUSTER).await;
        assert!(shown.contains(">failed<") && shown.contains(">creating<"), "{shown}");
        let tally = faults.tally(None).expect("in force");
        assert_eq!(serde_json::to_value(&tally).expect("JSON")["faults"], serde_json::json!([[1, 1], [1, 1], [1, 1]]));
    }
}
