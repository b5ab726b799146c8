//! Resources that the state has lost, and no others, are found by their tags: they are listed, adopted, deleted.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use serde_json::Value;

use drctl_testkit::harness::Stack;
use drctl_testkit::survey::survey;

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];
pub const STATE: &str = "state/payment-dr-dev.json";

/// Types without tags: such a resource is deleted with the one that it is part of, and is not listed.
const IMPLIED: [&str; 11] = [
    "route",
    "route_table_association",
    "default_security_group",
    "kms_alias",
    "sns_subscription",
    "s3_replication",
    "lambda_permission",
    "api_authorizer",
    "api_route",
    "api_mapping",
    "record",
];

fn kind(address: &str) -> &str {
    address.split('/').nth(1).expect("an address has three parts")
}

/// The address of every resource in the state that has tags.
fn recorded(stack: &Stack) -> BTreeSet<String> {
    let text = std::fs::read_to_string(stack.path(STATE)).expect("the state");
    let state: Value = serde_json::from_str(&text).expect("JSON");
    let resources = state["resources"].as_object().expect("resources");
    resources.keys().filter(|address| !IMPLIED.contains(&kind(address))).cloned().collect()
}

fn listed(stack: &Stack) -> Vec<Value> {
    let found = stack.run(&["orphans", "--json"]).exits(0).json();
    assert_eq!(found["unreached"], serde_json::json!([]), "{found:#}");
    found["orphans"].as_array().expect("orphans").clone()
}

fn addresses(orphans: &[Value]) -> BTreeSet<String> {
    orphans.iter().map(|orphan| orphan["address"].as_str().expect("an address").to_owned()).collect()
}

/// The last resource of every type, which is often in the second Region.
fn one_of_each(all: &BTreeSet<String>) -> BTreeSet<String> {
    let kinds: BTreeSet<&str> = all.iter().map(|address| kind(address)).collect();
    let last = |of: &str| all.iter().rfind(|address| kind(address) == of).expect("one of it").clone();
    kinds.into_iter().map(last).collect()
}

#[test]
fn what_the_state_has_lost_is_listed_and_adopted() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["orphans", "--detailed-exitcode"]).exits(0).says("No orphans.");
    let all = recorded(&stack);
    let forgotten = one_of_each(&all);
    assert!(forgotten.len() > 25, "there must be one of every type: {forgotten:?}");
    let mut args = vec!["state", "rm", "--yes"];
    args.extend(forgotten.iter().map(String::as_str));
    stack.run(&args).exits(0);

    let found = listed(&stack);
    assert_eq!(found.len(), forgotten.len(), "each orphan must be listed once: {found:#?}");
    assert_eq!(addresses(&found), forgotten);
    assert!(
        found.iter().all(|orphan| orphan["standing"]["is"] == "lost" && orphan["configured"] == true),
        "{found:#?}"
    );
    stack.run(&["orphans", "--detailed-exitcode"]).exits(2).says(forgotten.first().expect("one")).says("--adopt");
    // The forgotten VPC is one that the rest of the stack depends on.
    let vpc = forgotten.iter().find(|address| kind(address) == "vpc").expect("a VPC");
    assert!(vpc.starts_with("secondary/"), "{vpc}");

    let before = stack.calls().len();
    stack.run(&["orphans", "--adopt"]).exits(0).says(&format!("Adopted: {}.", forgotten.len()));
    let changing = changes(&stack, before);
    assert!(changing.is_empty(), "adoption must not change anything in AWS: {changing:?}");
    assert_eq!(recorded(&stack), all);
    stack.run(&["orphans", "--detailed-exitcode"]).exits(0).says("No orphans.");
    stack.run(&["up", "--yes"]).exits(0).says("0 added").says("0 destroyed");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

/// The calls since then that were not reads.
pub fn changes(stack: &Stack, since: usize) -> Vec<String> {
    let operation = |call: &Value| call["operation"].as_str().unwrap_or_default().to_owned();
    let is_read = |name: &str| ["Describe", "Get", "List", "Head"].iter().any(|verb| name.starts_with(verb));
    stack.calls().iter().skip(since).map(operation).filter(|name| !is_read(name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_is_listed_as_such_and_nothing_else_is_deleted() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let built = survey(&stack, REGIONS).await;
    let ec2 = aws_sdk_ec2::Client::new(&stack.sdk("us-east-2").await);
    let tagged = |of: ResourceType, node: &str| {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        TagSpecification::builder()
            .resource_type(of)
            .tags(tag("drctl:stack", "payment-dr"))
            .tags(tag("drctl:environment", "dev"))
            .tags(tag("drctl:node", node))
            .build()
    };
    let call = ec2.create_vpc().cidr_block("10.9.0.0/16");
    let made = call.tag_specifications(tagged(ResourceType::Vpc, "secondary/vpc/main")).send().await.expect("a VPC");
    let vpc = made.vpc().and_then(|vpc| vpc.vpc_id()).expect("an id").to_owned();
    let call = ec2.create_security_group().vpc_id(&vpc).group_name("copy").description("a copy");
    let call = call.tag_specifications(tagged(ResourceType::SecurityGroup, "secondary/security_group/database"));
    let group = call.send().await.expect("a group").group_id().expect("an id").to_owned();
    // A VPC of another environment, which must be ignored.
    let other = Tag::builder().key("drctl:environment").value("prod").build();
    let theirs = Tag::builder().key("drctl:stack").value("payment-dr").build();
    let tags = TagSpecification::builder().resource_type(ResourceType::Vpc).tags(other).tags(theirs).build();
    ec2.create_vpc()
        .cidr_block("10.8.0.0/16")
        .tag_specifications(tags)
        .send()
        .await
        .expect("the VPC of another environment");

    let found = listed(&stack);
    let ids: BTreeSet<&str> = found.iter().map(|orphan| orphan["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, BTreeSet::from([vpc.as_str(), group.as_str()]), "{found:#?}");
    assert!(found.iter().all(|orphan| orphan["standing"]["is"] == "copy"), "{found:#?}");
    stack.run(&["orphans"]).exits(0).says("second copy of vpc-");
    stack.run(&["orphans", "--adopt"]).exits(1).says("Adopted: 0.").says("it is a second copy");
    stack.run(&["orphans", "--delete"]).exits(3).says("stdin is not a terminal").says("secondary/vpc/main-orphan-1");
    assert_eq!(listed(&stack).len(), 2, "nothing may be changed");

    stack.run(&["orphans", "--delete", "--yes"]).exits(0).says("2 destroyed");
    stack.run(&["orphans", "--detailed-exitcode"]).exits(0).says("No orphans.");
    let mut left = survey(&stack, REGIONS).await;
    left.retain(|name, _| name != "us-east-2 vpc a node that is not named");
    assert_eq!(left, built, "nothing else may be deleted");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_not_a_lost_stack() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let all = recorded(&stack);
    std::fs::remove_file(stack.path(STATE)).expect("the state is lost");
    let found = listed(&stack);
    assert_eq!((addresses(&found), found.len()), (all.clone(), all.len()), "{found:#?}");

    stack.configure("[protection]\ndeletion = true\n");
    stack.run(&["orphans", "--delete", "--yes"]).exits(3).says("hold data").says("Nothing was changed");
    stack.configure("");
    stack.run(&["orphans", "--delete", "--yes", "--no-final-snapshot"]).exits(0);
    let left = survey(&stack, REGIONS).await;
    assert!(left.is_empty(), "left behind: {left:#?}");
    stack.run(&["orphans", "--detailed-exitcode"]).exits(0).says("No orphans.");
}

#[test]
fn what_other_resources_depend_on_is_adopted_and_not_deleted() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["state", "rm", "--yes", "primary/vpc/main", "primary/dashboard/main"]).exits(0);
    let address = "primary/vpc/main";
    stack.run(&["orphans", "--delete", "--yes"]).exits(1).says(address).says("adopt it").says("1 destroyed");
    assert_eq!(addresses(&listed(&stack)), BTreeSet::from([address.to_owned()]));
    stack.run(&["orphans", "--adopt"]).exits(0);
    stack.run(&["up", "--yes"]).exits(0).says("1 added").says("0 destroyed");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
