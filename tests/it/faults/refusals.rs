//! The refusal matrix: the real binary, with every call that changes something refused once, in the three ways in which a
//! service refuses: the caller lacks the permission, the request is invalid, or it comes at the wrong moment. The second
//! call of a pair is refused as well, after the first one has created something. In between, `recover` and `orphans` report
//! everything that exists and nothing else. Then the same command runs again, and what exists is what an undisturbed run
//! leaves.
//!
//! `cargo test` tries points that are spread over the whole range, and all of the calls that restore keys and secrets. To try all
//! points, best with a release build in `DRCTL_BINARY`:
//!
//!     DRCTL_MATRIX=full DRCTL_WORKERS=4 cargo test -p drctl --test it whatever_is_refused -- --nocapture

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::matrix::{DOWN, Matrix, Point, REGIONS, UP, faults, is_mutation, seeds};
use crate::life::aws_rules::run_within;
use drctl_testkit::harness::{Ran, Stack};
use drctl_testkit::life::assert_complete;
use drctl_testkit::survey::{Survey, survey};

const STATE: &str = "state/payment-dr-dev.json";

/// What AWS says, which drctl reports. It is not one of the texts that `crates/aws/src/refusals` knows.
const MESSAGE: &str = "not on this day";

/// Longer than any run takes, unless it waits for something that never comes.
const ENOUGH: Duration = Duration::from_mins(4);

/// The three ways in which a service refuses: the caller lacks the permission, the request is invalid, or it comes at the wrong
/// moment. Each has the status and the code of the service. None of them passes by itself: `crates/aws/src/refusal_cases.rs` tests
/// those that do.
type Kinds = [(u16, &'static str); 3];

/// The refusals of each service, by the name that it signs with.
static KINDS: [(&str, Kinds); 14] = [
    ("acm", [(400, "AccessDeniedException"), (400, "ValidationException"), (400, "InvalidStateException")]),
    ("apigateway", [(403, "AccessDeniedException"), (400, "BadRequestException"), (409, "ConflictException")]),
    ("dynamodb", [(400, "AccessDeniedException"), (400, "ValidationException"), (400, "LimitExceededException")]),
    ("ec2", [(403, "UnauthorizedOperation"), (400, "ValidationError"), (400, "InvalidState")]),
    ("iam", [(403, "AccessDenied"), (400, "InvalidInput"), (409, "EntityTemporarilyUnmodifiable")]),
    ("kms", [(400, "AccessDeniedException"), (400, "ValidationException"), (400, "ConflictException")]),
    (
        "lambda",
        [(403, "AccessDeniedException"), (400, "InvalidParameterValueException"), (400, "ResourceInUseException")],
    ),
    ("logs", [(400, "AccessDeniedException"), (400, "InvalidParameterException"), (400, "ConflictException")]),
    ("monitoring", [(403, "AccessDenied"), (400, "InvalidParameterValue"), (400, "LimitExceeded")]),
    ("rds", [(403, "AccessDenied"), (400, "InvalidParameterValue"), (400, "InvalidParameterCombination")]),
    ("route53", [(403, "AccessDenied"), (400, "InvalidInput"), (400, "ConflictingTypes")]),
    ("s3", [(403, "AccessDenied"), (400, "InvalidArgument"), (409, "InvalidBucketState")]),
    (
        "secretsmanager",
        [(400, "AccessDeniedException"), (400, "InvalidParameterException"), (400, "InvalidRequestException")],
    ),
    ("sns", [(403, "AuthorizationError"), (400, "InvalidParameter"), (400, "InvalidState")]),
];

fn kinds_of(service: &str) -> &'static Kinds {
    let kinds = KINDS.iter().find(|(name, _)| *name == service);
    &kinds.unwrap_or_else(|| panic!("add the refusals of {service} to KINDS")).1
}

/// A call that is refused once: the `at`-th of its operation in its Region, so that the same call is hit in whatever order
/// calls arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    service: String,
    operation: String,
    region: String,
    at: usize,
    status: u16,
    code: &'static str,
}

impl Refusal {
    fn toml(&self) -> String {
        let Self { service, operation, region, at, status, code } = self;
        format!(
            "[[fault]]\nservice = \"{service}\"\noperation = \"{operation}\"\nregion = \"{region}\"\nat = {at}\n\
             does = \"refuse\"\nstatus = {status}\ncode = \"{code}\"\nmessage = \"{MESSAGE}\"\n"
        )
    }
}

/// Checks that a run ended by itself, with whatever result.
#[track_caller]
fn ends_well(ran: &Ran, args: &[&str]) {
    let said = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(matches!(ran.code, Some(0 | 1 | 5)), "{args:?} exited with {:?}\n{said}", ran.code);
    assert!(!said.contains("a defect of drctl") && !said.contains("panicked"), "{args:?}\n{said}");
}

/// Runs the command with the refusal in force. Returns whether the call came.
pub fn refuse(stack: &Stack, args: &[&str], refusal: &Refusal, seed: u64) -> bool {
    stack.faults(&faults(seed, &refusal.toml()));
    let ran = run_within(stack, args, ENOUGH);
    let came = stack.no_faults()["faults"][0][1].as_u64() > Some(0);
    ends_well(&ran, args);
    let recorded = failed(stack);
    if ran.code == Some(0) {
        assert_eq!(recorded, Vec::<String>::new(), "{args:?} succeeded");
    } else {
        let is_recorded = recorded.iter().any(|message| message.contains(MESSAGE));
        assert!(is_recorded, "the reason is not on record for the next morning: {recorded:?}");
        ran.says(MESSAGE);
    }
    came
}

/// The failures of the last runs, as recorded in the state.
fn failed(stack: &Stack) -> Vec<String> {
    let state = snapshot(stack);
    state["failed"].as_object().into_iter().flatten().map(|(_, failed)| text(failed, "message").to_owned()).collect()
}

/// The types in the survey, and whether the survey counts one per Region where the state has one in total.
static SURVEYED: [(&str, bool); 29] = [
    ("vpc", false),
    ("subnet", false),
    ("internet_gateway", false),
    ("eip", false),
    ("nat_gateway", false),
    ("route_table", false),
    ("security_group", false),
    ("vpc_endpoint", false),
    ("flow_log", false),
    ("vpc_peering", true),
    ("kms_key", false),
    ("kms_alias", false),
    ("log_group", false),
    ("iam_role", false),
    ("sns_topic", false),
    ("secret", true),
    ("dynamodb_table", true),
    ("s3_bucket", false),
    ("db_subnet_group", false),
    ("db_cluster_parameter_group", false),
    ("global_cluster", false),
    ("db_cluster", false),
    ("db_instance", false),
    ("lambda_function", false),
    ("api", false),
    ("alarm", false),
    ("dashboard", false),
    ("hosted_zone", false),
    ("health_check", false),
];

/// How many resources of a type there are in each Region. A type that the state has once for all Regions is in the first one.
type Count = BTreeMap<(&'static str, String), usize>;

fn count(counted: &mut Count, kind: &str, region: &str, number: usize) {
    let Some((kind, is_shared)) = SURVEYED.iter().find(|(name, _)| *name == kind) else { return };
    let region = if *is_shared || region == "global" { REGIONS[0] } else { region };
    let sum = counted.entry((*kind, region.to_owned())).or_default();
    *sum = if *is_shared { number.max(*sum) } else { *sum + number };
}

fn existing(found: &Survey) -> Count {
    let mut counted = Count::new();
    for (key, copies) in found {
        let mut words = key.splitn(3, ' ');
        let (region, kind) = (words.next().expect("a Region"), words.next().expect("a type"));
        count(&mut counted, kind, region, copies.len());
    }
    counted
}

/// The state; null if there is none yet.
fn snapshot(stack: &Stack) -> Value {
    let Ok(text) = std::fs::read_to_string(stack.path(STATE)) else { return Value::Null };
    serde_json::from_str(&text).expect("JSON")
}

/// The resources in the state; none if there is no state yet.
fn recorded(stack: &Stack) -> BTreeMap<String, Value> {
    snapshot(stack)["resources"].as_object().cloned().unwrap_or_default().into_iter().collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value:#}"))
}

fn kind(address: &str) -> &str {
    address.split('/').nth(1).expect("an address has three parts")
}

fn orphans(stack: &Stack) -> Vec<Value> {
    let found = stack.run(&["orphans", "--json"]).exits(0).json();
    assert_eq!(found["unreached"], serde_json::json!([]), "{found:#}");
    found["orphans"].as_array().expect("orphans").clone()
}

/// Checks that what drctl reports is true. Every resource of the stack that exists is in the state, as ready or as an open
/// intent of which `recover` says that the resource exists, or is listed by `orphans`; no resource is in both; and nothing
/// is reported that does not exist.
pub async fn assert_reports_are_true(stack: &Stack) {
    let (orphans, state) = (orphans(stack), recorded(stack));
    let recovery = stack.run(&["recover", "--json"]).exits(0).json();
    assert_eq!((&recovery["journal"], &recovery["running"]), (&Value::Null, &Value::Null), "{recovery:#}");
    let intents = recovery["intents"].as_array().expect("intents");
    let is_ready = |entry: &Value| entry["status"]["is"] == "ready";

    let open: BTreeSet<&str> = intents.iter().map(|intent| text(intent, "address")).collect();
    let expected: BTreeSet<&str> =
        state.iter().filter(|(_, entry)| !is_ready(entry)).map(|(address, _)| address.as_str()).collect();
    assert_eq!(open, expected, "the open intents must be the entries that are not ready: {recovery:#}");

    let entries: BTreeSet<(&str, &str, &str)> = state
        .iter()
        .filter_map(|(address, entry)| Some((kind(address), text(entry, "region"), entry["id"].as_str()?)))
        .collect();
    for orphan in &orphans {
        let identity = (text(orphan, "type"), text(orphan, "region"), text(orphan, "id"));
        assert!(!entries.contains(&identity), "in the state, and an orphan: {orphan:#}");
    }

    let mut reported = Count::new();
    for (address, entry) in state.iter().filter(|(_, entry)| is_ready(entry)) {
        count(&mut reported, kind(address), text(entry, "region"), 1);
    }
    // A resource that is scheduled for deletion still exists, but the survey leaves it out.
    let is_scheduled_for_deletion = |intent: &Value| {
        let differs = intent["became"]["differs"].as_array();
        differs.is_some_and(|names| names.iter().any(|name| name == "pending_deletion"))
    };
    for intent in intents.iter().filter(|intent| !is_scheduled_for_deletion(intent)) {
        match text(&intent["became"], "is") {
            "made" | "there" => count(&mut reported, kind(text(intent, "address")), text(intent, "region"), 1),
            "not_made" | "gone" => {}
            other => panic!("it is `{other}`, although no other run is at work: {intent:#}"),
        }
    }
    for orphan in &orphans {
        count(&mut reported, text(orphan, "type"), text(orphan, "region"), 1);
    }
    let found = survey(stack, REGIONS).await;
    assert_eq!(
        reported,
        existing(&found),
        "left: what is reported; right: what exists; orphans {orphans:#?}, {recovery:#}"
    );
}

/// Runs the command to its successful end. Returns the calls that changed something: service, operation and Region, and a
/// number from 1 among the calls that have these in common.
fn calls_of(stack: &Stack, args: &[&str]) -> Vec<(String, String, String, usize)> {
    let before = stack.calls().len();
    stack.run(args).exits(0);
    let mut numbers = BTreeMap::new();
    let calls = stack.calls();
    let changing = calls[before..].iter().filter(|call| is_mutation(call));
    changing
        .map(|call| {
            let name = ["service", "operation", "region"].map(|part| text(call, part).to_owned());
            let number: &mut usize = numbers.entry(name.clone()).or_default();
            *number += 1;
            let [service, operation, region] = name;
            (service, operation, region, *number)
        })
        .collect()
}

/// Each call, refused in each way. The points live as long as the test run.
fn points(calls: &[(String, String, String, usize)]) -> Vec<Point> {
    let of = |(service, operation, region, at): &(String, String, String, usize)| {
        kinds_of(service).map(|(status, code)| Refusal {
            service: service.clone(),
            operation: operation.clone(),
            region: region.clone(),
            at: *at,
            status,
            code,
        })
    };
    calls.iter().flat_map(of).map(|refusal| Point::Refused(Box::leak(Box::new(refusal)))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_refused_once_is_done_by_the_next_run_and_reported_in_between() {
    let stack = Stack::new();
    let up = calls_of(&stack, &UP);
    let expected = survey(&stack, REGIONS).await;
    assert_complete(&expected, REGIONS);
    assert_reports_are_true(&stack).await;
    let down = calls_of(&stack, &DOWN);
    assert_reports_are_true(&stack).await;
    println!("up: {} calls that change something; down: {}", up.len(), down.len());
    let (ups, downs) = (points(&up), points(&down));
    for seed in seeds() {
        let matrix = Matrix::new(seed);
        let (ups, downs) = (matrix.choose(ups.clone(), 3), matrix.choose(downs.clone(), 3));
        tokio::task::block_in_place(|| matrix.play("refused", &ups, &downs, &expected));
    }
}

/// The calls that restore what is scheduled for deletion, and those that could follow them: for each life, the calls that are
/// refused in it.
const RESTORING: [&[(&str, &str)]; 4] = [
    &[("secretsmanager", "RestoreSecret")],
    &[("kms", "CancelKeyDeletion")],
    &[("kms", "EnableKey")],
    // These once came second. When they were refused, what had been restored stayed behind without a record.
    &[("secretsmanager", "TagResource"), ("kms", "TagResource")],
];

/// The secrets, and the keys that are neither deleted nor scheduled for deletion: each costs money.
async fn alive(stack: &Stack) -> Vec<String> {
    let found = survey(stack, REGIONS).await;
    found.into_keys().filter(|key| key.contains(" kms_key ") || key.contains(" secret ")).collect()
}

/// Runs `up` a second time, with these calls refused; then `down`, as somebody would who gives up.
async fn restored_and_given_up(stack: &Stack, refused: &[(&str, &str)]) {
    stack.run(&UP).exits(0);
    stack.run(&DOWN).exits(0);
    let fault = |(service, operation): &(&str, &str)| {
        let (status, code) = kinds_of(service)[0];
        format!(
            "[[fault]]\nservice = \"{service}\"\noperation = \"{operation}\"\nfirst = 1\ndoes = \"refuse\"\n\
             status = {status}\ncode = \"{code}\"\nmessage = \"{MESSAGE}\"\n"
        )
    };
    stack.faults(&refused.iter().map(fault).collect::<Vec<_>>().concat());
    let ran = run_within(stack, &UP, ENOUGH);
    let tally = stack.no_faults();
    let came = tally["faults"].as_array().expect("faults").iter().any(|fault| fault[1].as_u64() > Some(0));
    ends_well(&ran, &UP);
    let may_be_left_out = refused.iter().all(|(_, operation)| *operation == "TagResource");
    assert!(came || may_be_left_out, "{refused:?} never came");
    assert_eq!(ran.code == Some(0), !came, "{refused:?}\n{}\n{}", ran.stdout, ran.stderr);
    assert_reports_are_true(stack).await;
    run_within(stack, &DOWN, ENOUGH).exits(0);
    let left = alive(stack).await;
    assert!(left.is_empty(), "{refused:?} leaves {left:?}");
    assert_eq!(orphans(stack), Vec::<Value>::new(), "{refused:?}");
    assert_reports_are_true(stack).await;
}

#[test]
fn the_reason_for_a_failed_creation_is_still_shown_the_next_morning() {
    let stack = Stack::new();
    stack.faults(
        "[[fault]]\nservice = \"rds\"\noperation = \"CreateDBInstance\"\nregion = \"us-east-2\"\ndoes = \"refuse\"\n\
         status = 400\ncode = \"InstanceQuotaExceeded\"\nmessage = \"not on this day\"\n",
    );
    run_within(&stack, &UP, ENOUGH).exits(1).says(MESSAGE);
    stack.no_faults();
    let of = |status: &Value| {
        let resources = status["resources"].as_array().expect("resources").clone();
        resources
            .into_iter()
            .find(|resource| resource["address"] == "secondary/db_instance/main")
            .expect("the instance")
    };
    let instance = of(&stack.run(&["status", "--json"]).exits(0).json());
    assert_eq!((&instance["health"], &instance["failure"]), (&"not_made".into(), &Value::Null), "{instance:#}");
    let why = &instance["last_failure"];
    assert_eq!(
        (text(why, "operation"), text(why, "code"), text(why, "message")),
        ("rds:CreateDBInstance in us-east-2", "InstanceQuotaExceeded", MESSAGE),
        "{why:#}"
    );
    let shown = stack.run(&["status"]).exits(0).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(": rds:CreateDBInstance in us-east-2: InstanceQuotaExceeded: not on this day"), "{shown}");
    stack.run(&UP).exits(0);
    assert_eq!(of(&stack.run(&["status", "--json"]).exits(0).json())["last_failure"], Value::Null);
    assert_eq!(failed(&stack), Vec::<String>::new());
    stack.run(&DOWN).exits(0);
}

#[test]
fn a_stack_of_which_everything_was_refused_says_why_the_next_morning() {
    let stack = Stack::new();
    stack.faults(&format!(
        "[[fault]]\nkind = \"mutation\"\ndoes = \"refuse\"\nstatus = 403\ncode = \"OrganisationSuspended\"\nmessage = \"{MESSAGE}\"\n"
    ));
    run_within(&stack, &UP, ENOUGH).exits(1).says(MESSAGE);
    stack.no_faults();
    assert!(recorded(&stack).is_empty(), "nothing was built: {:?}", recorded(&stack));
    let shown = stack.run(&["status"]).exits(0);
    let shown = shown.says("DR: NOT BUILT").says("the last attempt failed").says("Last tried 20");
    assert_eq!(shown.stdout.matches(MESSAGE).count(), 1, "the same answer is shown once:\n{}", shown.stdout);
    let shown = shown.says("resources (primary/kms_key/main, ").says("OrganisationSuspended").says("calls: ");
    assert!(shown.stdout.lines().count() < 30, "{}", shown.stdout);
    let status = stack.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["verdict"], "not_built");
    let resources = status["resources"].as_array().expect("resources");
    let vpc = resources.iter().find(|resource| resource["address"] == "primary/vpc/main").expect("the VPC");
    let why = &vpc["last_failure"];
    assert_eq!((text(why, "operation"), text(why, "message")), ("ec2:CreateVpc in us-east-1", MESSAGE), "{why:#}");
}

#[test]
fn what_is_restored_is_on_record_whatever_is_refused_afterwards() {
    std::thread::scope(|scope| {
        for refused in RESTORING {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(restored_and_given_up(&Stack::new(), refused));
            });
        }
    });
}

/// The same calls in the other case: a key that is on record is scheduled for deletion, because somebody has deleted it.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_key_that_is_scheduled_for_deletion_is_restored_by_the_next_run() {
    let stack = Stack::new();
    stack.run(&UP).exits(0);
    let expected = survey(&stack, REGIONS).await;
    let kms = aws_sdk_kms::Client::new(&stack.sdk(REGIONS[0]).await);
    for operation in ["CancelKeyDeletion", "EnableKey"] {
        let found = kms.describe_key().key_id("alias/payment-dr-dev").send().await.expect("the key");
        let id = found.key_metadata.expect("its metadata").key_id;
        kms.schedule_key_deletion().key_id(&id).pending_window_in_days(7).send().await.expect("scheduled");
        let refusal = Refusal {
            service: "kms".to_owned(),
            operation: operation.to_owned(),
            region: REGIONS[0].to_owned(),
            at: 1,
            status: 400,
            code: "AccessDeniedException",
        };
        assert!(refuse(&stack, &UP, &refusal, 1), "{operation} never came");
        assert_reports_are_true(&stack).await;
        run_within(&stack, &UP, ENOUGH).exits(0);
        assert_eq!(survey(&stack, REGIONS).await, expected, "{operation}");
        stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
        assert_reports_are_true(&stack).await;
    }
    stack.run(&DOWN).exits(0);
}
