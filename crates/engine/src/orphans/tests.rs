use super::*;
use crate::observe::{Observations, Observed};
use crate::testing::{Cloud, entry, graph, live, node};
use crate::{AFTER, Class, Properties, Ref};

const HERE: &str = "us-east-1";
const THERE: &str = "us-east-2";

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn held(address_of: &str, region: &str, id: &str) -> (Address, Entry) {
    (address(address_of), entry(region, id, Status::Ready))
}

fn look(cloud: &Cloud, kind: &'static str, graph: &Graph, entries: &BTreeMap<Address, Entry>) -> Found {
    let regions = [Region::from(HERE), Region::from(THERE)];
    let sweep =
        Sweep { kinds: &[kind], regions: &regions, drivers: cloud, graph, entries, timeout: Duration::from_secs(1) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(sweep.look())
}

/// Properties that refer to another node.
fn after(on: &str) -> Properties {
    let on: Ref<()> = Ref::output(address(on), "id");
    [(AFTER.to_owned(), serde_json::json!([on]))].into_iter().collect()
}

fn orphan(id: &str, of: &str, kind: &'static str, standing: Standing, configured: bool) -> Orphan {
    let live = live(id, of, None, Phase::Ready);
    Orphan { address: of.parse().ok(), kind, region: HERE.to_owned(), standing, configured, live }
}

#[test]
fn what_the_state_holds_and_what_is_on_its_way_out_is_no_orphan() {
    let cloud = Cloud::with(
        "vpc",
        HERE,
        vec![
            live("vpc-1", "primary/vpc/main", None, Phase::Ready),
            live("vpc-2", "primary/vpc/main", None, Phase::Ready),
            live("vpc-3", "primary/vpc/old", None, Phase::Deleting("deleting".to_owned())),
            live("vpc-4", "primary/vpc/coming", Some("a4"), Phase::Ready),
            live("vpc-5", "primary/vpc/lost", None, Phase::Ready),
            live("vpc-6", "primary/subnet/odd", None, Phase::Ready),
        ],
    );
    let creating = Status::Creating { attempt: "a4".to_owned(), since: Timestamp::UNIX_EPOCH };
    let coming = Entry { id: None, ..entry(HERE, "", creating) };
    let entries = BTreeMap::from([held("primary/vpc/main", HERE, "vpc-1"), (address("primary/vpc/coming"), coming)]);
    let found = look(&cloud, "vpc", &Graph::new(), &entries);
    let told: Vec<(&str, &Standing)> =
        found.orphans.iter().map(|orphan| (orphan.live.id.as_str(), &orphan.standing)).collect();
    let copy = Standing::Copy { of: Some("vpc-1".to_owned()) };
    assert_eq!(told, [("vpc-6", &Standing::Nameless), ("vpc-5", &Standing::Lost), ("vpc-2", &copy)]);
    assert!(found.unreached.is_empty(), "{:?}", found.unreached);
}

#[test]
fn what_spans_regions_is_seen_in_both_and_is_one() {
    let table = || live("sessions", "global/vpc/main", None, Phase::Ready);
    let cloud = Cloud::with("vpc", HERE, vec![table()]).also(THERE, vec![table()]);
    let configured = graph(vec![node("global/vpc/main", THERE, Properties::new())]);
    let found = look(&cloud, "vpc", &configured, &BTreeMap::new());
    assert_eq!(found.orphans.iter().map(|orphan| orphan.region.as_str()).collect::<Vec<_>>(), [THERE]);
    let entries = BTreeMap::from([held("global/vpc/main", HERE, "sessions")]);
    assert!(look(&cloud, "vpc", &configured, &entries).orphans.is_empty());

    // Two of one name in two Regions are two when they are two nodes.
    let here = live("processor", "primary/vpc/main", None, Phase::Ready);
    let there = live("processor", "secondary/vpc/main", None, Phase::Ready);
    let cloud = Cloud::with("vpc", HERE, vec![here]).also(THERE, vec![there]);
    let entries = BTreeMap::from([held("primary/vpc/main", HERE, "processor")]);
    let found = look(&cloud, "vpc", &Graph::new(), &entries);
    assert_eq!(found.orphans.iter().map(|orphan| orphan.region.as_str()).collect::<Vec<_>>(), [THERE]);
}

#[test]
fn a_region_that_does_not_answer_is_never_one_without_orphans() {
    let found = look(&Cloud::failing("vpc"), "vpc", &Graph::new(), &BTreeMap::new());
    assert!(found.orphans.is_empty());
    assert_eq!(found.unreached.len(), 2);
    assert!(found.unreached.iter().all(|unreached| unreached.failure.class == Class::Unreachable));
}

#[test]
fn only_what_has_a_configured_address_to_itself_is_adopted() {
    let configured = graph(vec![
        node("primary/vpc/main", HERE, Properties::new()),
        node("primary/subnet/a", HERE, after("primary/vpc/main")),
    ]);
    let lost = orphan("subnet-1", "primary/subnet/a", "subnet", Standing::Lost, true);
    let (at, entry) = adoption(&lost, &configured).expect("it is adopted");
    assert_eq!((at, entry.id.as_deref()), (address("primary/subnet/a"), Some("subnet-1")));
    assert_eq!((entry.status, entry.depends_on), (Status::Created, vec![address("primary/vpc/main")]));

    let twin = Standing::Twin { others: vec!["vpc-2".to_owned()] };
    for (standing, at, says) in [
        (Standing::Copy { of: Some("vpc-9".to_owned()) }, "primary/vpc/main", "the state holds vpc-9"),
        (twin, "primary/vpc/main", "vpc-2 carries the same address"),
        (Standing::Lost, "primary/vpc/other", "nothing is configured"),
        (Standing::Nameless, "-", "do not say"),
    ] {
        let refusal = adoption(&orphan("vpc-1", at, "vpc", standing, true), &configured).expect_err(at);
        assert!(refusal.contains(says), "{refusal}");
    }
}

/// Addresses in the plan, with what each waits for.
fn planned(cleared: &Cleared) -> Vec<(String, Vec<String>)> {
    let text = |all: &[Address]| all.iter().map(ToString::to_string).collect();
    cleared.plan.items.iter().map(|item| (item.address.to_string(), text(&item.depends_on))).collect()
}

#[test]
fn what_is_configured_goes_in_the_graphs_order_and_takes_what_lies_in_it_along() {
    let configured = graph(vec![
        node("primary/vpc/main", HERE, Properties::new()),
        node("primary/subnet/a", HERE, after("primary/vpc/main")),
        node("primary/route/a", HERE, after("primary/subnet/a")),
    ]);
    let orphans = [
        orphan("vpc-1", "primary/vpc/main", "vpc", Standing::Lost, true),
        orphan("subnet-1", "primary/subnet/a", "subnet", Standing::Lost, true),
        orphan("vpc-2", "primary/vpc/main", "vpc", Standing::Twin { others: vec!["vpc-1".to_owned()] }, true),
    ];
    let route = Live { owner: Owner::Implied, ..live("r", "primary/route/a", None, Phase::Ready) };
    let observed = Observations::from([(address("primary/route/a"), Observed::Live(Box::new(route)))]);
    let cloud = Cloud::with("vpc", HERE, Vec::new());
    let entries = BTreeMap::new();
    let clearing = Clearing {
        orphans: &orphans,
        graph: &configured,
        entries: &entries,
        observed: &observed,
        drivers: &cloud,
        last: &[],
    };
    let cleared = clearing.plan();
    assert!(cleared.refused.is_empty(), "{:?}", cleared.refused);
    let expected = [
        ("primary/vpc/main-orphan-1", vec![]),
        ("primary/route/a", vec!["primary/subnet/a".to_owned()]),
        ("primary/subnet/a", vec!["primary/vpc/main".to_owned()]),
        ("primary/vpc/main", vec![]),
    ];
    assert_eq!(planned(&cleared), expected.map(|(at, after)| (at.to_owned(), after)));
}

#[test]
fn a_copy_is_deleted_under_an_address_of_its_own_and_what_is_in_use_stays() {
    let entries = BTreeMap::from([
        held("primary/vpc/main", HERE, "vpc-1"),
        held("primary/vpc/main-orphan-1", HERE, "vpc-0"),
        (
            address("primary/subnet/a"),
            Entry { depends_on: vec![address("primary/kms_key/lost")], ..entry(HERE, "subnet-1", Status::Ready) },
        ),
    ]);
    let orphans = [
        orphan("key-1", "primary/kms_key/old", "kms_key", Standing::Lost, false),
        orphan("key-2", "primary/kms_key/lost", "kms_key", Standing::Lost, false),
        orphan("vpc-2", "primary/vpc/main", "vpc", Standing::Copy { of: Some("vpc-1".to_owned()) }, true),
    ];
    let cloud = Cloud::with("vpc", HERE, Vec::new());
    let (graph, observed) = (Graph::new(), Observations::new());
    let clearing = Clearing {
        orphans: &orphans,
        graph: &graph,
        entries: &entries,
        observed: &observed,
        drivers: &cloud,
        last: &["kms_key"],
    };
    let cleared = clearing.plan();
    let expected = [
        ("primary/vpc/main-orphan-2".to_owned(), vec!["primary/kms_key/old".to_owned()]),
        ("primary/kms_key/old".to_owned(), vec![]),
    ];
    assert_eq!(planned(&cleared), expected);
    let [(stays, why)] = &cleared.refused[..] else { panic!("{:?}", cleared.refused) };
    assert_eq!(stays.live.id, "key-2");
    assert!(why.contains("primary/subnet/a") && why.contains("adopt it"), "{why}");
}

#[test]
fn what_stands_under_something_that_stays_stays() {
    let configured = graph(vec![
        node("primary/kms_key/main", HERE, Properties::new()),
        node("primary/vpc/main", HERE, after("primary/kms_key/main")),
        node("primary/subnet/a", HERE, after("primary/vpc/main")),
    ]);
    let orphans = [
        orphan("key-1", "primary/kms_key/main", "kms_key", Standing::Lost, true),
        orphan("vpc-1", "primary/vpc/main", "vpc", Standing::Lost, true),
    ];
    let held = Entry { depends_on: vec![address("primary/vpc/main")], ..entry(HERE, "subnet-1", Status::Ready) };
    let entries = BTreeMap::from([(address("primary/subnet/a"), held)]);
    let (cloud, observed) = (Cloud::with("vpc", HERE, Vec::new()), Observations::new());
    let cleared = Clearing {
        orphans: &orphans,
        graph: &configured,
        entries: &entries,
        observed: &observed,
        drivers: &cloud,
        last: &[],
    }
    .plan();
    assert!(cleared.plan.items.is_empty(), "{:?}", planned(&cleared));
    let reasons: Vec<&str> = cleared.refused.iter().map(|(_, why)| why.as_str()).collect();
    let [key, vpc] = reasons[..] else { panic!("{reasons:?}") };
    assert!(key.contains("primary/vpc/main, which stays"), "{key}");
    assert!(vpc.contains("primary/subnet/a, which the state holds"), "{vpc}");
}
