//! Settings that apply to many resources: tags on everything, and a permissions boundary and a path for the roles.

use drctl_testkit::harness::Stack;

const NAME: &str = "payment-dr-dev";

/// The value of the tag `CostCenter` on examples: where drctl reads tags, where it does not, and on a replica.
async fn cost_centers(stack: &Stack) -> Vec<(&'static str, Option<String>)> {
    let east = stack.sdk("us-east-1").await;
    let vpcs = aws_sdk_ec2::Client::new(&east).describe_vpcs().send().await.expect("VPCs");
    let vpc = vpcs.vpcs().iter().flat_map(aws_sdk_ec2::types::Vpc::tags).find(|tag| tag.key() == Some("CostCenter"));
    let iam = aws_sdk_iam::Client::new(&east);
    let role = iam.get_role().role_name(format!("{NAME}-processor")).send().await.expect("a role").role.expect("one");
    let role = role.tags().iter().find(|tag| tag.key() == "CostCenter");
    let west = stack.sdk_of("dynamodb", "us-east-2").await;
    let arn = format!("arn:aws:dynamodb:us-east-2:{}:table/{NAME}-sessions", stack.account);
    let replica = aws_sdk_dynamodb::Client::new(&west).list_tags_of_resource().resource_arn(arn).send().await;
    let replica = replica.expect("tags");
    let replica = replica.tags().iter().find(|tag| tag.key() == "CostCenter");
    let arn = format!("arn:aws:cloudwatch:us-east-1:{}:alarm:{NAME}-primary-lambda-errors", stack.account);
    let alarms = aws_sdk_cloudwatch::Client::new(&east);
    let known = alarms.describe_alarms().send().await.expect("alarms");
    let known = known
        .metric_alarms()
        .iter()
        .find(|alarm| alarm.alarm_name().is_some_and(|name| name.contains("lambda-errors")));
    let arn = known.and_then(|alarm| alarm.alarm_arn()).unwrap_or(&arn);
    let alarm = alarms.list_tags_for_resource().resource_arn(arn).send().await.expect("tags");
    let alarm = alarm.tags().iter().find(|tag| tag.key() == Some("CostCenter"));
    let text = |value: Option<&str>| value.map(str::to_owned);
    vec![
        ("VPC", text(vpc.and_then(|tag| tag.value()))),
        ("role", text(role.map(aws_sdk_iam::types::Tag::value))),
        ("replica", text(replica.map(aws_sdk_dynamodb::types::Tag::value))),
        ("alarm", text(alarm.and_then(|tag| tag.value()))),
    ]
}

fn all(value: Option<&str>) -> Vec<(&'static str, Option<String>)> {
    ["VPC", "role", "replica", "alarm"].map(|kind| (kind, value.map(str::to_owned))).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_a_boundary_are_added_to_existing_resources_and_change_in_place() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    assert_eq!(cost_centers(&stack).await, all(None));

    let boundary = format!("arn:aws:iam::{}:policy/boundary", stack.account);
    let iam = aws_sdk_iam::Client::new(&stack.sdk("us-east-1").await);
    for (value, boundary) in [("1", boundary.as_str()), ("2", "")] {
        let tags = (0..12).map(|n| format!("Note{n:02} = \"{n}\"")).collect::<Vec<_>>().join("\n");
        stack.configure(&format!(
            "[iam]\npermissions_boundary = \"{boundary}\"\n[tags]\nCostCenter = \"{value}\"\n{tags}"
        ));
        let plan = stack.run(&["plan", "--detailed-exitcode", "--json"]).exits(2).json();
        for item in plan["changes"].as_array().expect("changes") {
            assert!(matches!(item["action"].as_str(), Some("update" | "none")), "{item:#}");
        }
        stack.run(&["up", "--yes"]).exits(0);
        stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
        assert_eq!(cost_centers(&stack).await, all(Some(value)));
        for role in ["processor", "replication", "flow-logs"] {
            let answer = iam.get_role().role_name(format!("{NAME}-{role}")).send().await.expect("a role");
            let role = answer.role.expect("one");
            let found = role.permissions_boundary().and_then(|found| found.permissions_boundary_arn());
            assert_eq!(found.unwrap_or_default(), boundary);
        }
    }

    // Another path recreates the roles, and what refers to them follows.
    stack.configure("[iam]\npath = \"/payments/\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(
        cost_centers(&stack).await[0],
        ("VPC", Some("2".to_owned())),
        "a tag that is removed from the configuration must stay"
    );
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
