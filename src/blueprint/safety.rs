//! The data matrix: whatever is edited, drifts, is absent, or cannot be read, and whatever the roles of the two Regions, no plan
//! deletes or replaces what holds data unless it was named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use drctl_aws::resources::holds_data;
use drctl_aws::{Aws, Connection, Scope};
use drctl_engine::state::{Address, Entry, Status};
use drctl_engine::{
    AFTER, Action, Class, Consent, Decision, Failure, Item, Live, Node, Observations, Observed, Owner, Phase, Plan,
    Region, references, resolve,
};

const ACCOUNT: &str = "111122223333";
const PRIMARY: &str = "primary/db_cluster/main";
const SECONDARY: &str = "secondary/db_cluster/main";

/// A stack that was built, and what was observed of it.
struct Built {
    registry: Registry,
    graph: Graph,
    entries: BTreeMap<Address, Entry>,
    observed: Observations,
}

fn at(text: &str) -> Address {
    text.parse().expect("an address")
}

async fn draw(toml: &str) -> (Registry, Graph) {
    let config = Config::parse("drctl.toml", toml, None).expect("a sound configuration");
    let zones = |region: &str| ["a", "b", "c"].map(|letter| format!("{region}{letter}"));
    let facts = Facts {
        account: ACCOUNT.to_owned(),
        primary_zones: zones(config.regions.primary.as_str()),
        secondary_zones: zones(config.regions.secondary.as_str()),
        protected: false,
        own_zone: None,
    };
    // Nothing is called.
    let nowhere = Connection {
        region: "us-east-1".into(),
        endpoint: Some("http://127.0.0.1:9".into()),
        account: Some(ACCOUNT.to_owned()),
    };
    let aws = Arc::new(Aws::connect(&nowhere).await);
    let scope = Scope {
        stack: config.stack.name.clone(),
        environment: config.stack.environment.clone(),
        account: ACCOUNT.to_owned(),
    };
    let registry = Registry::new(&aws, scope, &Region::from("us-east-1"));
    let graph = graph(&config, &facts, &registry).expect("a sound blueprint");
    (registry, graph)
}

impl Built {
    /// A stack as `up` leaves it: everything exists, is ours, and is as desired.
    async fn new(toml: &str) -> Self {
        let (registry, graph) = draw(toml).await;
        let mut outputs: BTreeMap<Address, BTreeSet<String>> = BTreeMap::new();
        for found in graph.nodes().flat_map(|node| references(&node.desired)) {
            outputs.entry(found.of).or_default().insert(found.output);
        }
        let (mut entries, mut observed) = (BTreeMap::new(), Observations::new());
        for node in graph.nodes() {
            let lookup = |of: &Address, output: &str| Some(value(of, output));
            let mut properties = resolve(&node.desired, &lookup);
            properties.remove(AFTER);
            let names = outputs.get(&node.address).into_iter().flatten();
            let names = names.filter(|name| !matches!(name.as_str(), "id" | "arn"));
            let live = Live {
                id: value(&node.address, "id"),
                arn: Some(value(&node.address, "arn")),
                phase: Phase::Ready,
                owner: Owner::Ours { node: Some(node.address.clone()), attempt: None },
                properties,
                outputs: names.map(|name| (name.clone(), value(&node.address, name))).collect(),
                goes_after: Vec::new(),
            };
            entries.insert(node.address.clone(), entry(&graph, node, &live));
            observed.insert(node.address.clone(), Observed::Live(Box::new(live)));
        }
        let mut built = Self { registry, graph, entries, observed };
        built.writes(PRIMARY, SECONDARY);
        built
    }

    fn live(&mut self, address: &str) -> Option<&mut Live> {
        match self.observed.get_mut(&at(address)) {
            Some(Observed::Live(live)) => Some(live),
            _ => None,
        }
    }

    fn writes(&mut self, writer: &str, reader: &str) {
        for (cluster, after) in [(writer, vec![value(&at(reader), "arn")]), (reader, Vec::new())] {
            for address in [cluster.to_owned(), cluster.replace("db_cluster", "db_instance")] {
                if let Some(live) = self.live(&address) {
                    live.goes_after.clone_from(&after);
                }
            }
        }
    }

    fn set(&mut self, address: &str, property: &str, value: Value) {
        if let Some(live) = self.live(address) {
            live.properties.insert(property.to_owned(), value);
        }
    }

    fn lose(&mut self, cluster: &str) {
        for address in [cluster.to_owned(), cluster.replace("db_cluster", "db_instance")] {
            self.observed.insert(at(&address), Observed::Absent);
        }
    }

    fn plan(&self, graph: &Graph, consent: &Consent) -> Plan {
        let (entries, drivers, observed) = (&self.entries, &self.registry, &self.observed);
        Decision { graph, entries, drivers, observed, respect_unsupported: false, consent }.plan()
    }
}

fn value(of: &Address, output: &str) -> String {
    format!("{output}-of-{of}")
}

fn entry(graph: &Graph, node: &Node, live: &Live) -> Entry {
    let needs = graph.needs(&node.address).into_iter();
    Entry {
        status: Status::Ready,
        region: node.region.to_string(),
        natural_id: None,
        id: Some(live.id.clone()),
        arn: live.arn.clone(),
        outputs: live.outputs.clone(),
        attempt: None,
        digest: String::new(),
        depends_on: needs.filter(|(_, need)| *need != drctl_engine::Need::First).map(|(on, _)| on).collect(),
        unsupported: BTreeMap::new(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

/// Another value of the same kind.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!(!flag),
        Value::Number(number) => json!(number.as_i64().unwrap_or_default() + 1),
        Value::String(text) => json!(format!("{text}x")),
        Value::Array(items) => items.iter().skip(1).cloned().chain([json!("other")]).collect(),
        Value::Object(_) | Value::Null => json!({ "other": "x" }),
    }
}

type Situation = (&'static str, fn(&mut Built));

const SITUATIONS: [Situation; 6] = [
    ("standing", |_| {}),
    ("the writer elsewhere", |built| built.writes(SECONDARY, PRIMARY)),
    ("the standby detached", |built| {
        built.set(SECONDARY, "global_cluster", json!(""));
        for cluster in [PRIMARY, SECONDARY] {
            built.writes(cluster, cluster);
        }
        for cluster in [PRIMARY, SECONDARY] {
            for address in [cluster.to_owned(), cluster.replace("db_cluster", "db_instance")] {
                if let Some(live) = built.live(&address) {
                    live.goes_after.clear();
                }
            }
        }
    }),
    ("the primary's member lost", |built| {
        built.writes(SECONDARY, PRIMARY);
        built.lose(PRIMARY);
    }),
    ("the secondary's member lost", |built| built.lose(SECONDARY)),
    ("the keys pending deletion", |built| {
        for role in ["primary", "secondary"] {
            built.set(&format!("{role}/kms_key/main"), "pending_deletion", json!(true));
        }
    }),
];

fn lost(plan: &Plan) -> Vec<&Item> {
    // If a resource no longer exists, only its record is removed.
    let is_lost = |item: &&Item| matches!(item.action, Action::Delete | Action::Replace) && item.live.is_some();
    plan.items.iter().filter(is_lost).filter(|item| holds_data(item.address.kind())).collect()
}

/// No plan loses data by itself. With consent, it loses only what was named.
fn check(built: &Built, graph: &Graph, what: &str) {
    let plan = built.plan(graph, &Consent::Nothing);
    assert!(lost(&plan).is_empty(), "{what}: {:?}", lost(&plan));
    for (item, failure) in plan.unknown() {
        check_replacement(built, graph, item, failure, what);
    }
    let refused: Vec<_> = plan.refused().collect();
    let Some((_, first)) = refused.first() else { return };
    assert!(first.impossible.is_some() || !first.names.is_empty(), "{what}: {refused:?}");
    if first.impossible.is_none() {
        let named: BTreeSet<Address> = first.names.iter().cloned().collect();
        let agreed = built.plan(graph, &Consent::Named(named.clone()));
        assert_eq!(agreed.refused().count(), 0, "{what}: what was asked for is enough: {:?}", agreed.refused().next());
        let gone: BTreeSet<Address> = lost(&agreed).into_iter().map(|item| item.address.clone()).collect();
        assert!(gone.is_subset(&named), "{what}: {gone:?} of {named:?}");
    }
}

/// What the help for a resource that has failed names is enough to replace it.
fn check_replacement(built: &Built, graph: &Graph, item: &Item, failure: &Failure, what: &str) {
    let help = failure.help.as_deref().unwrap_or_default();
    let Some((_, command)) = help.split_once("`drctl up ") else { return };
    let command = command.split('`').next().unwrap_or_default();
    let named: BTreeSet<Address> = command.split("--replace ").skip(1).map(|address| at(address.trim())).collect();
    let agreed = built.plan(graph, &Consent::Named(named.clone()));
    assert_eq!(agreed.refused().count(), 0, "{what}: {help}: {:?}", agreed.refused().next());
    let replaced = agreed.items.iter().find(|other| other.address == item.address).expect("planned");
    assert_eq!(replaced.action, Action::Replace, "{what}: {help}");
    let gone: BTreeSet<Address> = lost(&agreed).into_iter().map(|item| item.address.clone()).collect();
    assert!(gone.is_subset(&named), "{what}: {gone:?} of {named:?}");
}

/// Checks every situation of everything that holds data, with one property or the whole resource changed in every way.
async fn matrix(protection: bool) -> usize {
    let toml = format!("[protection]\ndeletion = {protection}\n");
    let mut cases = 0;
    for (situation, arrange) in SITUATIONS {
        let mut built = Built::new(&toml).await;
        arrange(&mut built);
        check(&built, &built.graph, situation);
        let data: Vec<Arc<Node>> =
            built.graph.nodes().filter(|node| node.driver.traits().holds_data).cloned().collect();
        for node in data {
            let address = node.address.to_string();
            let seen = built.observed.get(&node.address).cloned().unwrap_or(Observed::Absent);
            let unknown = Failure::new(Class::TimedOut, "it did not answer");
            let states = [
                ("absent", Observed::Absent),
                ("unreadable", Observed::Unknown(unknown)),
                ("failed", phased(&seen, Phase::Failed("failed".to_owned()))),
                ("being deleted", phased(&seen, Phase::Deleting("deleting".to_owned()))),
                ("changing", phased(&seen, Phase::Pending("modifying".to_owned()))),
            ];
            for (state, becomes) in states {
                built.observed.insert(node.address.clone(), becomes);
                check(&built, &built.graph, &format!("{situation}: {address} {state}"));
                cases += 1;
            }
            for (property, desired) in &node.desired {
                let what = format!("{situation}: {property} of {address}");
                if let Observed::Live(live) = &seen
                    && let Some(old) = live.properties.get(property)
                {
                    for (how, new) in [("drifted", Some(other(old))), ("empty", Some(json!(""))), ("unread", None)] {
                        let mut live = live.clone();
                        match new {
                            Some(new) => live.properties.insert(property.clone(), new),
                            None => live.properties.remove(property),
                        };
                        built.observed.insert(node.address.clone(), Observed::Live(live));
                        check(&built, &built.graph, &format!("{what} {how}"));
                        cases += 1;
                    }
                }
                built.observed.insert(node.address.clone(), seen.clone());
                if property != AFTER && property != "tags" {
                    check(&built, &edited(&built.graph, &node.address, property, desired), &format!("{what} edited"));
                    cases += 1;
                }
            }
            built.observed.insert(node.address.clone(), seen);
        }
        check(&built, &Graph::new(), &format!("{situation}: everything left the configuration"));
    }
    cases
}

fn phased(seen: &Observed, phase: Phase) -> Observed {
    match seen {
        Observed::Live(live) => Observed::Live(Box::new(Live { phase, ..(**live).clone() })),
        seen => seen.clone(),
    }
}

/// The graph with one property of one resource edited.
fn edited(graph: &Graph, address: &Address, property: &str, desired: &Value) -> Graph {
    let mut edited = Graph::new();
    for node in graph.nodes() {
        let mut node = Node {
            address: node.address.clone(),
            region: node.region.clone(),
            driver: node.driver.clone(),
            desired: node.desired.clone(),
        };
        if node.address == *address {
            let is_reference = desired.get("$ref").is_some();
            let new = if is_reference { json!("somebody-elses") } else { other(desired) };
            node.desired.insert(property.to_owned(), new);
        }
        edited.add(node).expect("the same shape");
    }
    edited
}

#[tokio::test]
async fn no_plan_loses_data_by_itself_without_protection() {
    let cases = matrix(false).await;
    assert!(cases > 2000, "{cases} cases");
}

#[tokio::test]
async fn no_plan_loses_data_by_itself_with_protection() {
    let cases = matrix(true).await;
    assert!(cases > 2000, "{cases} cases");
}

#[tokio::test]
async fn no_edit_of_the_configuration_loses_data_by_itself() {
    let edits = [
        "[database]\nmaster_username = \"pay_owner\"",
        "[database]\ndatabase_name = \"pay2\"",
        "[database]\nengine_version = \"16.8\"",
        "[database]\nengine_version = \"17.9\"",
        "[database]\ninstance_class = \"db.r6g.xlarge\"",
        "[database]\ninstance_class = \"db.serverless\"",
        "[network]\nprimary_cidr = \"10.8.0.0/16\"",
        "[network]\nsecondary_cidr = \"10.9.0.0/16\"",
        "[network]\nnat = \"single\"",
        "[sessions]\nttl_attribute = \"until\"",
        "[protection]\ndeletion = true",
        "[dns]\ncertificate = true\ndomain = \"pay.acme-bank.net\"",
    ];
    for (situation, arrange) in SITUATIONS {
        let mut built = Built::new("").await;
        arrange(&mut built);
        for edit in edits {
            let (_, graph) = draw(edit).await;
            check(&built, &graph, &format!("{situation}: {edit}"));
        }
    }
}

#[tokio::test]
async fn an_unchanged_stack_is_left_alone_whichever_region_writes() {
    for (situation, arrange) in &SITUATIONS[..2] {
        let mut built = Built::new("").await;
        arrange(&mut built);
        let plan = built.plan(&built.graph, &Consent::Nothing);
        let busy: Vec<_> = plan.items.iter().filter(|item| item.action != Action::None).collect();
        assert!(busy.is_empty(), "{situation}: {busy:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_pending_deletion_is_restored_and_nothing_else_is_done() {
    let mut built = Built::new("").await;
    built.set("primary/kms_key/main", "pending_deletion", json!(true));
    let plan = built.plan(&built.graph, &Consent::Nothing);
    let busy: Vec<_> = plan.items.iter().filter(|item| item.action != Action::None).collect();
    assert!(matches!(busy[..], [Item { action: Action::Update, .. }]), "{busy:?}");
    assert_eq!(busy[0].address, at("primary/kms_key/main"));
}

#[tokio::test]
async fn what_is_named_is_replaced_only_if_something_requires_it() {
    let mut built = Built::new("").await;
    let all: BTreeSet<Address> =
        built.graph.nodes().map(|node| node.address.clone()).filter(|address| holds_data(address.kind())).collect();
    let consent = Consent::Named(all);
    assert!(built.plan(&built.graph, &consent).is_empty(), "everything is as configured");
    // The owner of a global database differs: its members are replaced, the one that writes last.
    built.set(PRIMARY, "master_username", json!("somebody"));
    let plan = built.plan(&built.graph, &consent);
    let gone: BTreeSet<&str> = lost(&plan).into_iter().map(|item| item.address.kind()).collect();
    assert_eq!((lost(&plan).len(), gone), (4, BTreeSet::from(["db_cluster", "db_instance"])));
    // A run that is interrupted when only the last instance is missing has nothing else to do when it is repeated.
    let mut built = Built::new("").await;
    built.observed.insert(at("secondary/db_instance/main"), Observed::Absent);
    let plan = built.plan(&built.graph, &consent);
    let busy: Vec<_> = plan.items.iter().filter(|item| item.action != Action::None).collect();
    assert!(matches!(busy[..], [Item { action: Action::Create, .. }]), "{busy:?}");
}

#[tokio::test]
async fn the_member_that_writes_is_deleted_only_with_all_others() {
    let mut built = Built::new("").await;
    built.writes(SECONDARY, PRIMARY);
    // It cannot be deleted alone: AWS would refuse after its instance has been deleted.
    built.set(SECONDARY, "subnet_group", json!("other"));
    let alone = built.plan(&built.graph, &Consent::Named(BTreeSet::from([at(SECONDARY)])));
    let refused: Vec<_> = alone.refused().map(|(item, refusal)| (item.address.to_string(), refusal.clone())).collect();
    let [(cluster, refusal), (instance, _)] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!((cluster.as_str(), instance.as_str()), (SECONDARY, "secondary/db_instance/main"));
    let named: BTreeSet<Address> = refusal.names.iter().cloned().collect();
    assert!(named.contains(&at(PRIMARY)), "{named:?}");
    assert_eq!(built.plan(&built.graph, &Consent::Named(named)).refused().count(), 0);
    // With a member that is not drctl's, it cannot be deleted at all.
    let third = "arn:aws:rds:eu-west-1:111122223333:cluster:third".to_owned();
    if let Some(live) = built.live(SECONDARY) {
        live.goes_after.push(third.clone());
    }
    let plan = built.plan(&Graph::new(), &Consent::Everything);
    let impossible: Vec<_> = plan.refused().filter_map(|(_, refusal)| refusal.impossible.clone()).collect();
    assert!(impossible.iter().any(|why| why.contains(&third)), "{impossible:?}");
}

#[tokio::test]
async fn a_failed_writer_is_replaced_only_with_everything_that_goes_with_it() {
    let mut built = Built::new("").await;
    let failed = phased(&built.observed[&at(PRIMARY)], Phase::Failed("failed: beyond recovery".to_owned()));
    built.observed.insert(at(PRIMARY), failed);
    let plan = built.plan(&built.graph, &Consent::Nothing);
    let unknown: Vec<_> = plan.unknown().collect();
    let [(item, failure)] = unknown[..] else { panic!("{unknown:?}") };
    assert_eq!((item.address.to_string(), plan.refused().count()), (PRIMARY.to_owned(), 0));
    let help = failure.help.as_deref().unwrap_or_default();
    let instances = [PRIMARY, SECONDARY].map(|cluster| cluster.replace("db_cluster", "db_instance"));
    for address in [PRIMARY, SECONDARY].into_iter().chain(instances.iter().map(String::as_str)) {
        assert!(help.contains(&format!("--replace {address}")), "{help}");
    }
    check(&built, &built.graph, "the writer has failed");
}

#[tokio::test]
async fn the_survivor_of_a_lost_global_database_can_be_kept() {
    let mut built = Built::new("").await;
    built.set(SECONDARY, "global_cluster", json!(""));
    built.writes(SECONDARY, SECONDARY);
    for lost in [PRIMARY, "primary/db_instance/main", "global/global_cluster/main"] {
        built.lose(lost);
    }
    let refusal = |built: &Built| {
        let plan = built.plan(&built.graph, &Consent::Nothing);
        let refused = plan.refused().find(|(item, _)| item.address == at(SECONDARY));
        refused.expect("refused").1.why.clone()
    };
    let why = refusal(&built);
    for part in [
        "create-global-cluster",
        "--source-db-cluster-identifier arn-of-secondary/db_cluster/main",
        "Key=drctl:node,Value=global/global_cluster/main",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    // As long as there is a global cluster, a second one of its name cannot be created.
    let mut built = Built::new("").await;
    built.set(SECONDARY, "global_cluster", json!(""));
    assert!(!refusal(&built).contains("create-global-cluster"), "{}", refusal(&built));
    // AWS keeps it when the last member has left. Then it can be deleted.
    built.set(SECONDARY, "global_cluster_is_vacant", json!(true));
    let why = refusal(&built);
    let step = |word: &str| why.find(word).unwrap_or_else(|| panic!("{word}: {why}"));
    assert!(step("aws rds delete-global-cluster --region") < step("aws rds create-global-cluster --region"), "{why}");
}

#[tokio::test]
async fn the_writer_stays_while_the_other_region_cannot_be_read_and_the_rest_is_deleted() {
    let mut built = Built::new("").await;
    let silent = Failure::new(Class::Unreachable, "nothing answers");
    for address in [SECONDARY, "secondary/db_instance/main"] {
        built.observed.insert(at(address), Observed::Unknown(silent.clone()));
    }
    let plan = built.plan(&Graph::new(), &Consent::Everything);
    let action = |address: &str| plan.items.iter().find(|item| item.address == at(address)).expect("planned").action;
    assert_eq!((action(PRIMARY), action("primary/db_instance/main")), (Action::Unknown, Action::Unknown));
    assert_eq!(action("global/dynamodb_table/sessions"), Action::Delete);
    assert_eq!(plan.refused().count(), 0, "a Region that is gone refuses nothing");
}
