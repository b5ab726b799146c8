//! Names that are taken where the plan does not look are found before the first call.

use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover as Failover, RrType,
};
use serde_json::Value;

use drctl_testkit::harness::{Ran, Stack};

const DOMAIN: &str = "pay.acme-bank.net";

fn problems(checked: &Ran, about: &str) -> Vec<Value> {
    let json = checked.json();
    json["problems"].as_array().expect("problems").iter().filter(|problem| problem["about"] == about).cloned().collect()
}

async fn zone(stack: &Stack) -> (aws_sdk_route53::Client, String) {
    let route53 = aws_sdk_route53::Client::new(&stack.sdk("us-east-1").await);
    let zone = route53.create_hosted_zone().name(DOMAIN).caller_reference("x").send().await.expect("a zone");
    let id = zone.hosted_zone().expect("described").id().rsplit('/').next().expect("an id").to_owned();
    stack.configure(&format!("[dns]\ndomain = \"{DOMAIN}\"\nzone_id = \"{id}\"\n"));
    (route53, id)
}

async fn put(route53: &aws_sdk_route53::Client, zone: &str, action: ChangeAction, record: ResourceRecordSet) {
    let change = Change::builder().action(action).resource_record_set(record).build().expect("a change");
    let batch = ChangeBatch::builder().changes(change).build().expect("a batch");
    route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send().await.expect("changed");
}

fn value(text: &str) -> ResourceRecord {
    ResourceRecord::builder().value(text).build().expect("a value")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_name_that_already_has_a_record_is_one_problem() {
    let stack = Stack::new();
    let (route53, zone) = zone(&stack).await;
    stack.run(&["check", "--preflight"]).exits(0);
    let record = ResourceRecordSet::builder().name(format!("api.{DOMAIN}")).r#type(RrType::A).ttl(60);
    let record = record.resource_records(value("192.0.2.7")).build().expect("a record");
    put(&route53, &zone, ChangeAction::Create, record).await;

    let checked = stack.run(&["check", "--preflight", "--json"]).exits(1);
    let [problem]: [Value; 1] = problems(&checked, "name").try_into().expect("one problem");
    assert_eq!(
        problem["message"],
        "api.pay.acme-bank.net has a record of type A that is not drctl's, and a name can have only one"
    );
    stack
        .run(&["up", "--yes"])
        .exits(1)
        .says("api.pay.acme-bank.net has a record of type A")
        .says("Nothing was changed.");
    let made = stack.calls().iter().filter(|call| call["operation"] == "CreateVpc").count();
    assert_eq!(made, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failover_pair_of_another_environment_is_found() {
    let stack = Stack::new();
    let (route53, zone) = zone(&stack).await;
    for (role, failover) in [("primary", Failover::Primary), ("secondary", Failover::Secondary)] {
        let record = ResourceRecordSet::builder()
            .name(format!("api.{DOMAIN}"))
            .r#type(RrType::Cname)
            .ttl(60)
            .set_identifier(format!("payment-dr-dev-eu-{role}"))
            .failover(failover)
            .resource_records(value("a.execute-api.us-east-1.amazonaws.com"));
        put(&route53, &zone, ChangeAction::Create, record.build().expect("a record")).await;
    }
    let checked = stack.run(&["check", "--preflight", "--json"]).exits(1);
    let [problem]: [Value; 1] = problems(&checked, "name").try_into().expect("one problem");
    let said = problem["message"].as_str().expect("text");
    assert!(said.contains("(set identifier payment-dr-dev-eu-primary) that is not drctl's"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_taken_in_the_second_region_or_by_deleted_resources_are_found() {
    let stack = Stack::new();
    let secret = "payment-dr-dev-database";
    let here = aws_sdk_secretsmanager::Client::new(&stack.sdk("us-east-1").await);
    here.create_secret().name(secret).secret_string("theirs").send().await.expect("a secret");
    here.delete_secret().secret_id(secret).recovery_window_in_days(7).send().await.expect("scheduled");
    let there = aws_sdk_secretsmanager::Client::new(&stack.sdk("us-east-2").await);
    there.create_secret().name(secret).secret_string("theirs").send().await.expect("a secret");
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk("us-east-2").await);
    let attribute = aws_sdk_dynamodb::types::AttributeDefinition::builder()
        .attribute_name("pk")
        .attribute_type(aws_sdk_dynamodb::types::ScalarAttributeType::S);
    let key = aws_sdk_dynamodb::types::KeySchemaElement::builder()
        .attribute_name("pk")
        .key_type(aws_sdk_dynamodb::types::KeyType::Hash);
    dynamodb
        .create_table()
        .table_name("payment-dr-dev-sessions")
        .attribute_definitions(attribute.build().expect("complete"))
        .key_schema(key.build().expect("complete"))
        .billing_mode(aws_sdk_dynamodb::types::BillingMode::PayPerRequest)
        .send()
        .await
        .expect("a table");

    let checked = stack.run(&["check", "--preflight", "--json"]).exits(1);
    let said: Vec<String> = problems(&checked, "name")
        .iter()
        .map(|problem| problem["message"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    for part in [
        "payment-dr-dev-database is scheduled for deletion, keeps its name until then",
        "us-east-2 has a secret payment-dr-dev-database of its own",
        "us-east-2 has a table payment-dr-dev-sessions already",
    ] {
        assert!(said.iter().any(|message| message.contains(part)), "{part}: {said:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_the_stack_itself_are_not_a_problem() {
    let stack = Stack::new();
    let (_, _) = zone(&stack).await;
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["check", "--preflight"]).exits(0).says("Nothing would be created or changed");
    // Its secret is only scheduled for deletion, and taken back.
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    stack.run(&["check", "--preflight"]).exits(0);
    let again = stack.run(&["up", "--yes"]).exits(0);
    let shown = format!("{}{}", again.stdout, again.stderr);
    let are = |what: &str| {
        let of = |line: &&str| line.contains("/kms_key/main ");
        shown.lines().filter(of).filter(|line| line.contains(what)).count()
    };
    assert_eq!((are(" restored in "), are(" created in ")), (2, 0), "both keys existed before:\n{shown}");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
