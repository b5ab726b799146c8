//! The contract of a type, for every type that is registered, against the sandbox: what was created reads back equal; every
//! property that is changed in place is changed, read back, and changed back, alone; what is deleted is gone; and a deletion of
//! what is gone succeeds. Nothing here names a type except where one cannot do what the others do, with the reason: a new type is
//! covered as soon as a configuration makes one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drctl::blueprint;
use drctl_aws::facts::Facts;
use drctl_aws::resources::{Registry, TYPES};
use drctl_aws::{Aws, Connection, Scope};
use drctl_config::Config;
use drctl_engine::state::{Address, Entry, Location, Role};
use drctl_engine::{AFTER, Class, Graph, Live, Node, Properties, Region, changes, references, resolve};
use drctl_testkit::harness::Stack;
use drctl_testkit::survey::survey;
use serde_json::{Value, json};

/// Makes one of every type.
const EVERYTHING: &str = "[dns]\ndomain = \"pay.example-bank.com\"\ncertificate = true\n[alerts]\nemails = \
                          [\"on.call@example-bank.com\"]\n[api]\nauth = \"jwt\"\njwt_issuer = \"https://id.example-bank.com\"\n\
                          jwt_audience = [\"payments\"]\n";

/// Properties that are set in place and cannot be varied here, with the reason: of a type, or of one of its resources.
const CANNOT_BE_VARIED: &[(&str, &str, &str)] = &[
    ("vpc_peering", "accepted", "an accepted peering cannot be unaccepted"),
    ("kms_key", "pending_deletion", "only `down` sets it, and `up` takes it back"),
    ("secret", "pending_deletion", "only `down` sets it, and `up` takes it back"),
    ("global_cluster", "engine_version", "it cannot be lowered again"),
    ("db_cluster", "engine_version", "it cannot be lowered again"),
    ("dynamodb_table", "billing_mode", "the other one needs capacities"),
    ("s3_replication", "time_control_minutes", "S3 takes no other value"),
    ("lambda_function", "code_sha256", "it follows from the package"),
    ("lambda_function", "last_update", "a word of Lambda's own"),
    ("api_mapping", "stage", "the API has one stage"),
    ("global/record/certificate", "alias", "a record that has values has none"),
    ("global/record/certificate", "health_check", "a record without failover has none"),
    ("global/record/api-primary", "failover", "the other record of the pair has the other role"),
    ("global/record/api-primary", "ttl", "an alias uses the time of its target"),
    ("global/record/api-primary", "values", "an alias has none"),
    ("global/record/api-secondary", "failover", "the other record of the pair has the other role"),
    ("global/record/api-secondary", "ttl", "an alias uses the time of its target"),
    ("global/record/api-secondary", "values", "an alias has none"),
    ("global/record/api-secondary", "health_check", "the secondary of a pair has none"),
];

/// Other values that a property may have, where one that is made up would not be valid. An object is laid over the one that is
/// there, or over the first of a list.
const OTHERS: &[(&str, &str, &str)] = &[
    ("log_group", "retention_days", "60"),
    ("security_group", "ingress", RULE),
    ("default_security_group", "ingress", RULE),
    ("default_security_group", "egress", RULE),
    ("dynamodb_table", "replica", r#"{"recovery_days": 34}"#),
    ("lambda_function", "reserved_concurrency", "5"),
    ("alarm", "queries", r#"{"period": 300}"#),
    ("record", "alias", r#"{"evaluate_target_health": true}"#),
];

const RULE: &str =
    r#"[{"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr": "10.9.0.0/16", "description": "one more"}]"#;

/// How long a change may take to show: the sandbox is consistent at once, and some changes have several steps.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// What the survey does not list by itself: it goes with what it lies in.
const WITHIN: &[(&str, &str)] = &[
    ("route", "route_table"),
    ("route_table_association", "route_table"),
    ("default_security_group", "vpc"),
    ("sns_subscription", "sns_topic"),
    ("s3_replication", "s3_bucket"),
    ("lambda_permission", "lambda_function"),
    ("api_integration", "api"),
    ("api_authorizer", "api"),
    ("api_route", "api"),
    ("api_stage", "api"),
    ("api_mapping", "api"),
];

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];

struct World {
    graph: Graph,
    recorded: BTreeMap<Address, Entry>,
}

impl World {
    /// What was made of the configuration, as drctl sees it.
    async fn of(stack: &Stack) -> Self {
        let config = Config::parse("drctl.toml", EVERYTHING, None).expect("a sound configuration");
        let connection = Connection {
            region: config.regions.primary.to_string(),
            endpoint: Some(stack.endpoint().to_owned()),
            account: Some(stack.account.clone()),
        };
        let aws = Arc::new(Aws::connect(&connection).await);
        let snapshot = Location::new(&stack.path("state"), &config.name()).read().expect("a state").expect("a state");
        let recorded = snapshot.resources;
        let zones = |role| Facts::recorded_zones(&recorded, role).expect("zones on record");
        let facts = Facts {
            account: stack.account.clone(),
            primary_zones: zones(Role::Primary),
            secondary_zones: zones(Role::Secondary),
            protected: snapshot.protected,
            own_zone: Facts::recorded_hosted_zone(&recorded),
        };
        let scope = Scope {
            stack: config.stack.name.clone(),
            environment: config.stack.environment.clone(),
            account: stack.account.clone(),
        };
        let registry = Registry::new(&aws, scope, &Region::from(connection.region.as_str()));
        let graph = blueprint::graph(&config, &facts, &registry).expect("a sound blueprint");
        Self { graph, recorded }
    }

    /// The first resource of each role and shape. The shape is the set of properties that have a value: a type may have resources
    /// that refer to another one and resources that do not.
    fn nodes(&self, kind: &str) -> Vec<&Node> {
        let mut nodes: BTreeMap<(Role, Vec<&str>), &Node> = BTreeMap::new();
        for node in self.graph.nodes().filter(|node| node.address.kind() == kind) {
            let with_a_value = node.desired.iter().filter(|(name, value)| *name != AFTER && !value.is_null());
            let shape = with_a_value.map(|(name, _)| name.as_str()).collect();
            nodes.entry((node.address.role(), shape)).or_insert(node);
        }
        nodes.into_values().collect()
    }

    fn id(&self, address: &Address) -> &str {
        let entry = self.recorded.get(address).unwrap_or_else(|| panic!("{address} is not on record"));
        entry.id.as_deref().unwrap_or_else(|| panic!("{address} has no id"))
    }

    fn output(&self, of: &Address, name: &str) -> Option<String> {
        self.recorded.get(of)?.output(name)
    }

    /// What the emulator does not know.
    fn unsupported(&self, node: &Node) -> BTreeSet<String> {
        self.recorded[&node.address].unsupported.keys().cloned().collect()
    }

    /// As the configuration wants it.
    fn desired(&self, node: &Node) -> Properties {
        resolve(&node.desired, &|of, output| self.output(of, output))
    }

    /// Another target of a reference, of the same type in the same Region.
    fn another(&self, of: &Address, output: &str) -> Option<String> {
        let region = &self.graph.get(of)?.region;
        let others = self
            .graph
            .nodes()
            .filter(|node| node.address.kind() == of.kind() && node.address != *of && node.region == *region);
        let current = self.output(of, output);
        others
            .map(|node| &node.address)
            .filter_map(|of| self.output(of, output))
            .find(|value| Some(value) != current.as_ref())
    }
}

async fn read(node: &Node, id: &str) -> Live {
    let live =
        node.driver.read(&node.region, id).await.unwrap_or_else(|e| panic!("{} cannot be read: {e}", node.address));
    live.unwrap_or_else(|| panic!("{} is not there", node.address))
}

/// The properties that differ, as far as the emulator knows them.
fn differing(node: &Node, desired: &Properties, live: &Live, unsupported: &BTreeSet<String>) -> Vec<String> {
    let differing = changes(node.driver.traits(), desired, &live.properties).into_iter().map(|change| change.property);
    differing.filter(|property| !unsupported.contains(property)).collect()
}

/// Brings it to what is desired as the engine does, in as many steps as it takes.
async fn sync(node: &Node, id: &str, desired: &Properties, mut unsupported: BTreeSet<String>) -> Result<(), String> {
    let until = Instant::now() + SHOWN_WITHIN;
    loop {
        let live = read(node, id).await;
        let mut left = changes(node.driver.traits(), desired, &live.properties);
        left.retain(|change| !unsupported.contains(&change.property));
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("{left:?} does not show"));
        }
        match node.driver.sync(&node.region, &live, desired, &left).await {
            Ok(synced) if synced.in_progress.is_none() => unsupported.extend(synced.unsupported.into_keys()),
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(failure) if matches!(failure.class, Class::Transient | Class::NotYet | Class::Throttled) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(failure) => return Err(failure.to_string()),
        }
    }
}

/// Another value of the same kind.
fn varied(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Bool(flag) => json!(!flag),
        Value::Number(number) if number.is_i64() => json!(number.as_i64()? + 1),
        Value::Number(number) => json!(number.as_f64()? + 1.0),
        Value::String(text) => json!(format!("{text} too")),
        Value::Array(items) if items.len() > 1 => json!(items[1..]),
        Value::Array(items) => json!([varied(items.first()?)?]),
        Value::Object(map) if map.len() > 1 => map.iter().skip(1).map(|(k, v)| (k.clone(), v.clone())).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| Some((k.clone(), varied(v)?))).collect::<Option<_>>()?,
        Value::Null => return None,
    })
}

fn laid_over(there: &Value, value: Value) -> Value {
    match (there, value) {
        (Value::Object(there), Value::Object(value)) => Value::Object(there.clone().into_iter().chain(value).collect()),
        (Value::Array(there), value @ Value::Object(_)) => {
            let first = laid_over(there.first().expect("one"), value);
            Value::Array(std::iter::once(first).chain(there[1..].iter().cloned()).collect())
        }
        (_, value) => value,
    }
}

/// Whether a row of a table is about this resource: it names its type or its address.
fn is_about(row: &str, address: &Address) -> bool {
    row == address.kind() || row == address.to_string()
}

/// What a property is changed to.
enum Other {
    Value(Value),
    /// It refers to what the stack has one of.
    OnlyOne,
    Unknown,
}

/// What the table says, another target of its reference, or a value that is made up.
fn other(world: &World, node: &Node, desired: &Properties, property: &str) -> Other {
    if let Some((.., value)) = OTHERS.iter().find(|(of, name, _)| is_about(of, &node.address) && *name == property) {
        let value: Value = serde_json::from_str(value).unwrap_or_else(|e| panic!("{} {property}: {e}", node.address));
        return Other::Value(laid_over(&desired[property], value));
    }
    let alone = Properties::from_iter([(property.to_owned(), node.desired[property].clone())]);
    for found in references(&alone) {
        let old = world.output(&found.of, &found.output).expect("an output");
        if let Some(new) = world.another(&found.of, &found.output) {
            let text = desired[property].to_string().replace(&old, &new);
            return Other::Value(serde_json::from_str(&text).expect("JSON"));
        }
        if desired[property] == json!(old) {
            return Other::OnlyOne;
        }
    }
    varied(&desired[property]).map_or(Other::Unknown, Other::Value)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_registered_type_keeps_the_contract() {
    let stack = Stack::new();
    stack.configure(EVERYTHING);
    stack.run(&["up", "--yes"]).exits(0);
    let world = World::of(&stack).await;
    let mut wrong = Vec::new();
    let found = survey(&stack, REGIONS).await;
    for kind in TYPES.iter().map(|entry| entry.traits.kind) {
        let is_surveyed = found.keys().any(|key| key.split(' ').nth(1) == Some(kind));
        let is_within = WITHIN.iter().any(|(of, _)| *of == kind);
        if is_surveyed == is_within {
            wrong.push(format!("{kind}: the survey lists it, or WITHIN says in what it lies, and not both"));
        }
    }
    let (mut checked, mut without) = (0, Vec::new());

    for entry in TYPES {
        let kind = entry.traits.kind;
        let nodes = world.nodes(kind);
        assert!(!nodes.is_empty(), "no {kind} is made of EVERYTHING: add to it what makes one");
        for node in nodes {
            let (id, desired) = (world.id(&node.address), world.desired(node));
            let live = read(node, id).await;
            // What the emulator does not know.
            let unsupported = world.unsupported(node);
            let unequal = differing(node, &desired, &live, &unsupported);
            if !unequal.is_empty() {
                wrong.push(format!("{} does not read back equal: {unequal:?}", node.address));
            }
            let in_place = desired.keys().filter(|property| {
                let is_fixed = entry.traits.immutable.iter().any(|(name, _)| name == property);
                let is_apart = ["tags", AFTER].contains(&property.as_str());
                !is_fixed && !is_apart && !unsupported.contains(*property) && live.properties.contains_key(*property)
            });
            for property in in_place {
                if CANNOT_BE_VARIED.iter().any(|(of, name, _)| is_about(of, &node.address) && name == property) {
                    continue;
                }
                let other = match other(&world, node, &desired, property) {
                    Other::Value(value) => value,
                    Other::OnlyOne => continue,
                    Other::Unknown => {
                        without.push(format!("{} {property}: {:.80}", node.address, desired[property].to_string()));
                        continue;
                    }
                };
                let mut changed = desired.clone();
                changed.insert(property.clone(), other.clone());
                let differ = differing(node, &changed, &read(node, id).await, &unsupported);
                if differ != [property.clone()] {
                    wrong.push(format!("{} {property} = {other}: {differ:?} differ", node.address));
                    continue;
                }
                checked += 1;
                for (what, wanted) in [("changed", &changed), ("changed back", &desired)] {
                    if let Err(why) = sync(node, id, wanted, unsupported.clone()).await {
                        wrong.push(format!("{} {property} = {other} is not {what}: {why}", node.address));
                    }
                }
            }
        }
    }
    println!("{checked} properties changed and changed back");
    let told = wrong.join("\n");
    assert!(
        without.is_empty(),
        "{told}\nsay in OTHERS what else they may be, or in CANNOT_BE_VARIED why nothing:\n{}",
        without.join("\n")
    );
    assert!(wrong.is_empty(), "{told}");
    // A table whose stream was changed has another one, and an association that led elsewhere another id: recorded.
    stack.run(&["up", "--yes"]).exits(0).says("0 added, 0 changed, 0 destroyed");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");

    let mut last = Vec::new();
    for entry in TYPES {
        for node in world.nodes(entry.traits.kind) {
            last.push((node, read(node, world.id(&node.address)).await));
        }
    }
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    for (node, live) in &last {
        match node.driver.delete(&node.region, live).await {
            Ok(_) => {}
            Err(failure) if failure.class == Class::NotFound => {}
            Err(failure) => wrong.push(format!("{} is gone, and deleting it again: {failure}", node.address)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let left = survey(&stack, REGIONS).await;
    assert!(left.is_empty(), "{left:#?}");
}
