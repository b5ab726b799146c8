//! What is checked before the first call: all problems are reported at once, and nothing is created.

use std::collections::BTreeSet;
use std::path::Path;

use aws_credential_types::Credentials;
use drctl_aws::preflight::{ALWAYS, BOUNDING, LOOKING, Needs, SWEEPING, needs, permission};
use serde_json::Value;

use drctl_testkit::harness::{Ran, Stack};
use drctl_testkit::sources::files;

/// Calls that only the checks make.
const ASKED: [&str; 6] = [
    "DescribeRegions",
    "DescribeDBEngineVersions",
    "DescribeOrderableDBInstanceOptions",
    "DescribeAccountAttributes",
    "GetServiceQuota",
    "GetAccountSummary",
];

fn operation(call: &Value) -> &str {
    call["operation"].as_str().unwrap_or_default()
}

#[track_caller]
fn assert_nothing_was_made(stack: &Stack) {
    let looks = ["Describe", "List", "Get", "Head", "Simulate", "GET ", "HEAD "];
    let calls = stack.calls();
    let made: Vec<&str> =
        calls.iter().map(operation).filter(|name| !looks.iter().any(|look| name.starts_with(look))).collect();
    assert!(made.is_empty(), "{made:?}");
}

fn findings(checked: &Ran, list: &str, about: &str) -> Vec<Value> {
    let json = checked.json();
    let found = json[list].as_array().unwrap_or_else(|| panic!("{list}: {json:#}"));
    found.iter().filter(|finding| finding["about"] == about).cloned().collect()
}

/// The name that a bucket has in the plan.
fn bucket_name(stack: &Stack, address: &str) -> String {
    let plan = stack.run(&["plan", "--json"]).json();
    let items = plan["changes"].as_array().expect("changes");
    let item = items.iter().find(|item| item["address"] == address).unwrap_or_else(|| panic!("{address}: {plan:#}"));
    let changes = item["changes"].as_array().expect("properties");
    let name = changes.iter().find(|change| change["property"] == "name").expect("a name");
    name["new"].as_str().expect("text").to_owned()
}

#[test]
fn a_version_that_no_region_offers_stops_up_before_it_asks_for_confirmation() {
    let stack = Stack::new();
    stack.configure("[database]\nengine_version = \"16.4\"\n");
    for args in [&["plan"][..], &["up"], &["up", "--yes"], &["check", "--preflight"]] {
        stack
            .run(args)
            .exits(1)
            .says("Aurora PostgreSQL 16.4: us-east-1 does not offer it; the nearest are 16.8")
            .says("Aurora PostgreSQL 16.4: us-east-2 does not offer it")
            .says("Write `engine_version = \"16.8\"` in [database]")
            .says("`drctl up` would fail: 2 problems");
    }
    assert_nothing_was_made(&stack);
}

#[test]
fn a_class_that_no_region_offers_is_reported_with_alternatives() {
    let stack = Stack::new();
    stack.configure("[database]\ninstance_class = \"db.r6g.3xlarge\"\n");
    let checked = stack.run(&["check", "--preflight", "--json"]).exits(1);
    let problems = findings(&checked, "problems", "instance_class");
    assert_eq!(problems.len(), 2, "{}", checked.stdout);
    assert_eq!(problems[0]["message"], "db.r6g.3xlarge is not offered with this version");
    assert!(problems[0]["help"].as_str().is_some_and(|help| help.contains("offers db.r6g.")), "{}", problems[0]);
    assert_nothing_was_made(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_problems_are_reported_at_once_and_nothing_is_created() {
    let (stack, other) = (Stack::new(), Stack::new());
    let bucket = bucket_name(&stack, "primary/s3_bucket/data");
    let s3 = other.s3("us-east-1").await;
    s3.create_bucket().bucket(&bucket).send().await.expect("another account's bucket");
    stack.configure("[database]\nengine_version = \"16.4\"\n[lambda]\nreserved_concurrency = 100000\n");

    let checked = stack.run(&["check", "--preflight", "--json"]).exits(1);
    let problems = |about: &str| findings(&checked, "problems", about);
    assert_eq!((problems("engine_version").len(), problems("quota").len()), (2, 2), "{}", checked.stdout);
    let [name]: [Value; 1] = problems("name").try_into().expect("one name");
    assert_eq!(name["subject"], "primary/s3_bucket/data");
    assert!(name["message"].as_str().is_some_and(|said| said.contains(&bucket)), "{name:#}");
    let [quota, _]: [Value; 2] = problems("quota").try_into().expect("one per Region");
    assert_eq!(quota["figures"]["planned"], 100_000, "{quota:#}");

    stack
        .run(&["up", "--yes"])
        .exits(1)
        .says("`drctl up` would fail: 5 problems")
        .says(&format!("the bucket {bucket} belongs to another account"))
        .says("already in use by a resource that is not drctl's (see above): primary/s3_bucket/data")
        .says("Aurora PostgreSQL 16.4")
        .says("100000 are to be reserved for the function")
        .says("Nothing was changed.");
    assert_nothing_was_made(&stack);
    s3.delete_bucket().bucket(&bucket).send().await.expect("deleted");
}

#[test]
fn what_cannot_be_checked_is_reported_and_does_not_stop_up() {
    let stack = Stack::new();
    stack
        .run(&["check", "--preflight"])
        .exits(0)
        .says("Not checked")
        .says("this endpoint returns no quotas")
        .says("root user")
        .says("No problems found in what was checked");
    let checked = stack.run(&["check", "--preflight", "--json"]).exits(0);
    assert_eq!(checked.json()["problems"], serde_json::json!([]));
    assert_eq!(findings(&checked, "unchecked", "permission").len(), 1, "{}", checked.stdout);
    let quotas = findings(&checked, "unchecked", "quota");
    assert!(quotas.iter().any(|note| note["subject"] == "Elastic IP addresses"), "{quotas:#?}");
    stack.run(&["plan"]).exits(0).says("Not checked here: Elastic IP addresses");
    let alone = stack.run(&["check"]).exits(0);
    assert_eq!(alone.stdout, stack.run(&["check", "--preflight"]).stdout, "the preflight is the only check");
    assert_nothing_was_made(&stack);
}

#[test]
fn a_run_without_changes_needs_no_checks_and_a_zone_that_is_gone_is_reported() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let before = stack.calls().len();
    stack.run(&["up", "--yes"]).exits(0).says("No changes.");
    stack
        .run(&["check", "--preflight"])
        .exits(0)
        .says("Nothing would be created or changed, so there is nothing to check.");
    let calls = stack.calls().split_off(before);
    assert!(!calls.iter().any(|call| ASKED.contains(&operation(call))), "{calls:#?}");

    // AWS assigns zones to each account, and this one no longer exists.
    let path = stack.path("state/payment-dr-dev.json");
    let whole = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, whole.replace("us-east-1c", "us-east-1z")).expect("written");
    let checked = stack.run(&["check", "--preflight", "--json"]).exits(1);
    let zones = findings(&checked, "problems", "zone");
    assert_eq!(zones.len(), 1, "{}", checked.stdout);
    assert_eq!((&zones[0]["subject"], &zones[0]["region"]), (&"us-east-1z".into(), &"us-east-1".into()));
    let before = stack.calls().len();
    // The cluster would have to move, too, which is refused as well.
    stack.run(&["up", "--yes"]).exits(3).says("us-east-1z").says("Usable now: us-east-1a, us-east-1b and us-east-1c.");
    let calls = stack.calls().split_off(before);
    assert!(!calls.iter().any(|call| ["Create", "Delete"].iter().any(|verb| operation(call).starts_with(verb))));
    std::fs::write(&path, whole).expect("written");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

/// A role of the account, and its credentials.
async fn role(stack: &Stack) -> (aws_sdk_iam::Client, Credentials) {
    let config = stack.sdk("us-east-1").await;
    let iam = aws_sdk_iam::Client::new(&config);
    let anyone = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
    let made = iam.create_role().role_name("deployer").assume_role_policy_document(anyone).send().await;
    let made = made.expect("a role");
    let arn = made.role().expect("described").arn();
    let session = aws_sdk_sts::Client::new(&config).assume_role().role_arn(arn).role_session_name("kim").send().await;
    let session = session.expect("assumed");
    let keys = session.credentials().expect("credentials");
    let token = Some(keys.session_token().to_owned());
    (iam, Credentials::new(keys.access_key_id(), keys.secret_access_key(), token, None, "test"))
}

fn check_as(stack: &Stack, keys: &Credentials) -> std::process::Output {
    let mut command = stack.command(&["check", "--preflight"]);
    command.env("AWS_ACCESS_KEY_ID", keys.access_key_id()).env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key());
    command.env("AWS_SESSION_TOKEN", keys.session_token().unwrap_or_default());
    command.output().expect("drctl runs")
}

async fn allow(iam: &aws_sdk_iam::Client, statements: &[Value]) {
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    iam.put_role_policy().role_name("deployer").policy_name("p").policy_document(policy).send().await.expect("allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_permissions_are_reported_by_service() {
    let stack = Stack::new();
    let (iam, keys) = role(&stack).await;
    let output = check_as(&stack, &keys);
    let said = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(5), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("role/deployer may not"), "{said}");
    for action in ["ec2:CreateVpc", "iam:PassRole", "rds:CreateGlobalCluster", "kms:CreateKey"] {
        assert!(said.contains(action), "{action}: {said}");
    }

    // Everything is allowed in all services except one, and in that one only what the stack needs.
    let services: BTreeSet<String> = needs()
        .flat_map(|needs| Needs::actions(&needs))
        .filter_map(|action| Some(action.split_once(':')?.0.to_owned()))
        .collect();
    let wide: Vec<String> = services.iter().filter(|name| *name != "iam").map(|name| format!("{name}:*")).collect();
    let narrow = serde_json::json!(
        {"Effect": "Allow", "Action": "iam:*", "Resource": format!("arn:aws:iam::{}:role/payment-dr-dev-*", stack.account)}
    );
    let statement = |actions: &[String]| serde_json::json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    allow(&iam, &[statement(&wide), narrow.clone()]).await;
    let output = check_as(&stack, &keys);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));

    let without: Vec<String> = wide.into_iter().filter(|action| action != "sns:*").collect();
    allow(&iam, &[statement(&without), narrow]).await;
    let output = check_as(&stack, &keys);
    let said = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("sns:CreateTopic") && !said.contains("ec2:CreateVpc"), "{said}");
}

/// Allows a role everything in all services except the given ones, in addition to the given statements.
async fn allow_all_but(iam: &aws_sdk_iam::Client, narrow: &[&str], statements: Vec<Value>) {
    let services: BTreeSet<String> = needs()
        .flat_map(|needs| Needs::actions(&needs))
        .filter_map(|action| Some(action.split_once(':')?.0.to_owned()))
        .collect();
    let wide = services.iter().filter(|name| !narrow.contains(&name.as_str())).map(|name| format!("{name}:*"));
    let wide: Vec<String> = wide.collect();
    let mut all = vec![serde_json::json!({"Effect": "Allow", "Action": wide, "Resource": "*"})];
    all.extend(statements);
    allow(iam, &all).await;
}

fn words(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_as_narrow_as_the_stack_are_enough() {
    let stack = Stack::new();
    let (iam, keys) = role(&stack).await;
    let account = &stack.account;
    let on = |action: &str, resources: Value| serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resources});
    allow_all_but(
        &iam,
        &["secretsmanager", "logs", "rds", "s3"],
        vec![
            on("secretsmanager:*", format!("arn:aws:secretsmanager:*:{account}:secret:payment-dr-dev-*").into()),
            on("logs:*", format!("arn:aws:logs:*:{account}:log-group:*").into()),
            on(
                "rds:*",
                serde_json::json!([
                    format!("arn:aws:rds:us-east-1:{account}:cluster:*"),
                    format!("arn:aws:rds:us-east-2:{account}:cluster:*"),
                    format!("arn:aws:rds:us-east-1:{account}:db:*"),
                    format!("arn:aws:rds:us-east-2:{account}:db:*"),
                    format!("arn:aws:rds:*:{account}:subgrp:payment-dr-dev"),
                    format!("arn:aws:rds:*:{account}:cluster-pg:payment-dr-dev-postgresql17"),
                    format!("arn:aws:rds::{account}:global-cluster:*"),
                ]),
            ),
            on("s3:*", serde_json::json!(["arn:aws:s3:::payment-dr-dev-us-east-?-*"])),
            on("s3:ListAllMyBuckets", "*".into()),
        ],
    )
    .await;
    let output = check_as(&stack, &keys);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", words(&output), String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_to_pass_each_role_is_required() {
    let stack = Stack::new();
    let (iam, keys) = role(&stack).await;
    let role = |name: &str| format!("arn:aws:iam::{}:role/payment-dr-dev-{name}", stack.account);
    let on = |action: &str, effect: &str, resource: String| serde_json::json!({"Effect": effect, "Action": action, "Resource": resource});
    let mut all: Vec<Value> = needs()
        .flat_map(|needs| Needs::actions(&needs))
        .filter(|action| action.starts_with("iam:") && action != "iam:PassRole")
        .map(|action| on(&action, "Allow", "*".to_owned()))
        .collect();
    all.push(on("iam:PassRole", "Allow", role("processor")));
    allow_all_but(&iam, &["iam"], all).await;
    let output = check_as(&stack, &keys);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for name in ["flow-logs", "replication"] {
        assert!(said.contains(&role(name)), "{name}: {said}");
    }
    assert!(!said.contains(&format!("iam:PassRole on {}", role("processor"))), "{said}");

    // Allowed on every role, and denied on one.
    allow_all_but(&iam, &[], vec![on("iam:PassRole", "Deny", role("flow-logs"))]).await;
    let output = check_as(&stack, &keys);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("flow-logs") && !said.contains(&role("replication")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_permission_to_delete_does_not_stop_up() {
    let stack = Stack::new();
    let (iam, keys) = role(&stack).await;
    let deny = serde_json::json!({"Effect": "Deny", "Action": "rds:Delete*", "Resource": "*"});
    allow_all_but(&iam, &[], vec![deny]).await;
    let output = check_as(&stack, &keys);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains("rds:DeleteDBCluster") && said.contains("`drctl up` can create everything without it"),
        "{said}"
    );
}

#[test]
fn a_throttle_above_the_concurrency_quota_is_noted() {
    let stack = Stack::new();
    stack.run(&["check", "--preflight", "--json"]).exits(0);
    stack.configure("[api]\nthrottle_rate = 10000\nthrottle_burst = 10000\n");
    let checked = stack.run(&["check", "--preflight", "--json"]).exits(0);
    let notes = findings(&checked, "notes", "quota");
    assert_eq!(notes.len(), 2, "{}", checked.stdout);
    assert_eq!(notes[0]["figures"]["planned"], 2000, "{}", notes[0]);
    stack.run(&["plan"]).exits(0).says("ConcurrentExecutions in us-east-2: the account may run");
}

#[test]
fn a_region_that_does_not_exist_is_reported_first() {
    for at in ["primary", "secondary"] {
        let stack = Stack::new();
        stack.configure(&format!("[regions]\n{at} = \"us-west-9\"\n"));
        for args in [&["plan"][..], &["up", "--yes"], &["check", "--preflight"]] {
            stack
                .run(args)
                .exits(3)
                .says("us-west-9 is not an AWS Region (or not enabled for this account)")
                .says("us-west-1 and us-west-2");
        }
        let asked: Vec<Value> = stack.calls().into_iter().filter(|call| operation(call) == "DescribeVpcs").collect();
        assert!(asked.is_empty(), "{asked:#?}");
    }
}

/// Every call in the sources of a folder, by service and operation.
fn calls_in(folder: &Path) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in files(folder, "rs") {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        for start in ["read(", "pages(", "mutate("] {
            found.extend(code.split(start).skip(1).filter_map(call));
        }
    }
    found
}

/// The service and the operation at the beginning of a call's arguments, after the Region if one is given.
fn call(rest: &str) -> Option<(String, String)> {
    let (before, rest) = rest.split_once('"')?;
    let (service, rest) = rest.split_once("\",\"")?;
    let (operation, _) = rest.split_once('"')?;
    let is_region = before.chars().all(|c| c.is_alphanumeric() || "&_.,*".contains(c));
    let is_service = service.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_operation = operation.starts_with(|c: char| c.is_ascii_uppercase());
    (is_region && is_service && is_operation).then(|| (service.to_owned(), operation.to_owned()))
}

#[test]
fn every_call_in_the_code_has_its_permission_in_the_list() {
    let calls = calls_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/aws/src"));
    assert!(calls.len() > 150, "only {} calls were found", calls.len());
    let listed: BTreeSet<String> = needs()
        .flat_map(|needs| Needs::actions(&needs))
        .chain(ALWAYS.iter().chain(BOUNDING).chain(LOOKING).chain(SWEEPING).map(|action| (*action).to_owned()))
        .collect();
    let missing: Vec<String> = calls
        .iter()
        .map(|(service, operation)| permission(service, operation))
        .filter(|permission| !listed.contains(permission))
        .collect();
    assert!(missing.is_empty(), "add them to the PERMISSIONS of their type: {missing:?}");
}
