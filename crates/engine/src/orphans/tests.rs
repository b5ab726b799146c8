use super::*;
use crate::driver::Owner;
use crate::failure::Class;
use crate::observe::{Observations, Observed};
use crate::reference::{AFTER, Properties, Ref};
use crate::testing::{ATTEMPT, Cloud, EAST, NODE, OURS, Outage, STACK, WEST, entry, graph, live, node};

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn held(at: &str, region: &str, id: &str) -> (Address, Entry) {
    (address(at), entry(region, id, Status::Ready))
}

/// Creates a resource of this stack that is tagged with an address, and returns its id.
fn plant(cloud: &Cloud, kind: &str, region: &str, tagged: &str) -> String {
    cloud.plant(kind, region, "main", &[(STACK, OURS), (NODE, tagged)])
}

async fn scan(cloud: &Cloud, kind: &'static str, graph: &Graph, entries: &BTreeMap<Address, Entry>) -> Found {
    let regions = [Region::from(EAST), Region::from(WEST)];
    let timeout = Duration::from_secs(1);
    OrphanScan { kinds: &[kind], regions: &regions, drivers: cloud, graph, entries, timeout }.look().await
}

fn regions(found: &Found) -> Vec<&str> {
    found.orphans.iter().map(|orphan| orphan.region.as_str()).collect()
}

/// Properties that refer to another node.
fn after(on: &str) -> Properties {
    let on: Ref<()> = Ref::output(address(on), "id");
    [(AFTER.to_owned(), serde_json::json!([on]))].into_iter().collect()
}

fn orphan(id: &str, of: &str, kind: &'static str, standing: OrphanKind, configured: bool) -> Orphan {
    let live = live(id, of, None, Phase::Ready);
    Orphan { address: of.parse().ok(), kind, region: EAST.to_owned(), standing, configured, live }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_resource_and_one_that_is_being_deleted_or_created_are_not_orphans() {
    let cloud = Cloud::new();
    let recorded = plant(&cloud, "net", EAST, "primary/net/main");
    let copy = plant(&cloud, "net", EAST, "primary/net/main");
    let leaving = plant(&cloud, "net", EAST, "primary/net/old");
    cloud.edit_id(&leaving, |resource| resource.leave(Duration::from_hours(1)));
    let coming = plant(&cloud, "net", EAST, "primary/net/coming");
    cloud.edit_id(&coming, |resource| drop(resource.tags.insert(ATTEMPT.to_owned(), "a4".to_owned())));
    let lost = plant(&cloud, "net", EAST, "primary/net/lost");
    let odd = plant(&cloud, "net", EAST, "primary/part/odd");

    let creating = Status::Creating { attempt: "a4".to_owned(), since: Timestamp::UNIX_EPOCH };
    let creating = Entry { id: None, ..entry(EAST, "", creating) };
    let entries =
        BTreeMap::from([held("primary/net/main", EAST, &recorded), (address("primary/net/coming"), creating)]);
    let found = scan(&cloud, "net", &Graph::new(), &entries).await;
    let orphans: Vec<(&str, &OrphanKind)> =
        found.orphans.iter().map(|orphan| (orphan.live.id.as_str(), &orphan.standing)).collect();
    let copy_of = OrphanKind::Copy { of: Some(recorded) };
    let expected = [(&*odd, &OrphanKind::Nameless), (&*lost, &OrphanKind::Lost), (&*copy, &copy_of)];
    assert_eq!(orphans, expected);
    assert!(found.unreached.is_empty(), "{:?}", found.unreached);
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_a_copy_only_while_the_recorded_one_exists() {
    // As after restoring a state from before the resource was replaced.
    let cloud = Cloud::new();
    let live = plant(&cloud, "net", EAST, "primary/net/main");
    let configured = graph([node(&cloud, "primary/net/main", EAST, Properties::new())]);
    let entries = BTreeMap::from([held("primary/net/main", EAST, "net-before")]);
    let found = scan(&cloud, "net", &configured, &entries).await;
    let [orphan] = &found.orphans[..] else { panic!("{found:?}") };
    assert_eq!((&*orphan.live.id, &orphan.standing), (&*live, &OrphanKind::Successor { of: "net-before".to_owned() }));
    assert!(adoption(orphan, &configured).expect_err("in use").contains("`drctl up` records this one"));
    let cleanup = Cleanup {
        orphans: &found.orphans,
        graph: &configured,
        entries: &entries,
        observed: &Observations::new(),
        drivers: &cloud,
        is_partial: false,
        last: &[],
    };
    let cleared = cleanup.plan();
    assert!(cleared.plan.items.is_empty(), "what is in use is not deleted: {:?}", cleared.plan.items);
    assert!(cleared.refused[0].1.contains("net-before"), "{:?}", cleared.refused);

    // If the recorded one cannot be read, nothing is known.
    cloud.outage(EAST, Outage::Refused);
    let scan = OrphanScan {
        kinds: &[],
        regions: &[],
        drivers: &cloud,
        graph: &configured,
        entries: &entries,
        timeout: Duration::from_mins(1),
    };
    let orphan =
        self::orphan(&live, "primary/net/main", "net", OrphanKind::Copy { of: Some("net-before".to_owned()) }, true);
    assert_eq!(scan.verified(&orphan).await.expect_err("unread").class, Class::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_spans_regions_is_seen_in_both_and_is_one() {
    // The name of a role is its id.
    let cloud = Cloud::new();
    let id = plant(&cloud, "role", EAST, "global/role/main");
    assert_eq!(plant(&cloud, "role", WEST, "global/role/main"), id);
    let configured = graph([node(&cloud, "global/role/main", WEST, Properties::new())]);
    let found = scan(&cloud, "role", &configured, &BTreeMap::new()).await;
    assert_eq!(regions(&found), [WEST]);
    let entries = BTreeMap::from([held("global/role/main", EAST, &id)]);
    assert!(scan(&cloud, "role", &configured, &entries).await.orphans.is_empty());

    // Two with one name in two Regions are two resources if they are two nodes.
    let cloud = Cloud::new();
    let id = plant(&cloud, "role", EAST, "primary/role/main");
    assert_eq!(plant(&cloud, "role", WEST, "secondary/role/main"), id);
    let entries = BTreeMap::from([held("primary/role/main", EAST, &id)]);
    let found = scan(&cloud, "role", &Graph::new(), &entries).await;
    assert_eq!(regions(&found), [WEST]);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_does_not_answer_is_not_one_without_orphans() {
    let cloud = Cloud::new();
    cloud.outage(EAST, Outage::Refused);
    cloud.outage(WEST, Outage::Refused);
    let found = scan(&cloud, "net", &Graph::new(), &BTreeMap::new()).await;
    assert!(found.orphans.is_empty());
    assert_eq!(found.unreached.len(), 2);
    assert!(found.unreached.iter().all(|unreached| unreached.failure.class == Class::Unreachable));
}

#[test]
fn an_orphan_is_adopted_only_if_it_is_alone_at_a_configured_address() {
    let cloud = Cloud::new();
    let configured = graph([
        node(&cloud, "primary/net/main", EAST, Properties::new()),
        node(&cloud, "primary/part/a", EAST, after("primary/net/main")),
    ]);
    let lost = orphan("part-1", "primary/part/a", "part", OrphanKind::Lost, true);
    let (at, entry) = adoption(&lost, &configured).expect("it is adopted");
    assert_eq!((at, entry.id.as_deref()), (address("primary/part/a"), Some("part-1")));
    assert_eq!((entry.status, entry.depends_on), (Status::Created, vec![address("primary/net/main")]));

    let twin = OrphanKind::Twin { others: vec!["net-2".to_owned()] };
    for (standing, at, says) in [
        (OrphanKind::Copy { of: Some("net-9".to_owned()) }, "primary/net/main", "the state holds net-9"),
        (twin, "primary/net/main", "net-2 carries the same address"),
        (OrphanKind::Lost, "primary/net/other", "nothing is configured"),
        (OrphanKind::Nameless, "-", "do not say"),
    ] {
        let refusal = adoption(&orphan("net-1", at, "net", standing, true), &configured).expect_err(at);
        assert!(refusal.contains(says), "{refusal}");
    }
}

/// The addresses in the plan, with what each depends on.
fn planned(cleared: &CleanupPlan) -> Vec<(String, Vec<String>)> {
    let text = |all: &[Address]| all.iter().map(ToString::to_string).collect();
    cleared.plan.items.iter().map(|item| (item.address.to_string(), text(&item.depends_on))).collect()
}

#[test]
fn configured_orphans_are_deleted_in_the_graphs_order_with_what_lies_in_them() {
    let cloud = Cloud::new();
    let configured = graph([
        node(&cloud, "primary/net/main", EAST, Properties::new()),
        node(&cloud, "primary/part/a", EAST, after("primary/net/main")),
        node(&cloud, "primary/rule/a", EAST, after("primary/part/a")),
    ]);
    let orphans = [
        orphan("net-1", "primary/net/main", "net", OrphanKind::Lost, true),
        orphan("part-1", "primary/part/a", "part", OrphanKind::Lost, true),
        orphan("net-2", "primary/net/main", "net", OrphanKind::Twin { others: vec!["net-1".to_owned()] }, true),
    ];
    let rule = Live { owner: Owner::Implied, ..live("r", "primary/rule/a", None, Phase::Ready) };
    let observed = Observations::from([(address("primary/rule/a"), Observed::Live(Box::new(rule)))]);
    let entries = BTreeMap::new();
    let clearing = Cleanup {
        orphans: &orphans,
        graph: &configured,
        entries: &entries,
        observed: &observed,
        drivers: &cloud,
        is_partial: false,
        last: &[],
    };
    let cleared = clearing.plan();
    assert!(cleared.refused.is_empty(), "{:?}", cleared.refused);
    let expected = [
        ("primary/net/main-orphan-1", vec![]),
        ("primary/rule/a", vec!["primary/part/a".to_owned()]),
        ("primary/part/a", vec!["primary/net/main".to_owned()]),
        ("primary/net/main", vec![]),
    ];
    assert_eq!(planned(&cleared), expected.map(|(at, after)| (at.to_owned(), after)));
}

#[test]
fn a_copy_is_deleted_under_an_address_of_its_own_and_an_orphan_in_use_stays() {
    let entries = BTreeMap::from([
        held("primary/net/main", EAST, "net-1"),
        held("primary/net/main-orphan-1", EAST, "net-0"),
        (
            address("primary/part/a"),
            Entry { depends_on: vec![address("primary/base/lost")], ..entry(EAST, "part-1", Status::Ready) },
        ),
    ]);
    let orphans = [
        orphan("base-1", "primary/base/old", "base", OrphanKind::Lost, false),
        orphan("base-2", "primary/base/lost", "base", OrphanKind::Lost, false),
        orphan("net-2", "primary/net/main", "net", OrphanKind::Copy { of: Some("net-1".to_owned()) }, true),
    ];
    let cloud = Cloud::new();
    let (graph, observed) = (Graph::new(), Observations::new());
    let clearing = Cleanup {
        orphans: &orphans,
        graph: &graph,
        entries: &entries,
        observed: &observed,
        drivers: &cloud,
        is_partial: false,
        last: &["base"],
    };
    let cleared = clearing.plan();
    let expected = [
        ("primary/net/main-orphan-2".to_owned(), vec!["primary/base/old".to_owned()]),
        ("primary/base/old".to_owned(), vec![]),
    ];
    assert_eq!(planned(&cleared), expected);
    let [(stays, why)] = &cleared.refused[..] else { panic!("{:?}", cleared.refused) };
    assert_eq!(stays.live.id, "base-2");
    assert!(why.contains("primary/part/a") && why.contains("adopt it"), "{why}");
}

#[test]
fn what_an_orphan_that_stays_refers_to_stays_too() {
    let cloud = Cloud::new();
    let configured = graph([
        node(&cloud, "primary/base/main", EAST, Properties::new()),
        node(&cloud, "primary/net/main", EAST, after("primary/base/main")),
        node(&cloud, "primary/part/a", EAST, after("primary/net/main")),
    ]);
    let orphans = [
        orphan("base-1", "primary/base/main", "base", OrphanKind::Lost, true),
        orphan("net-1", "primary/net/main", "net", OrphanKind::Lost, true),
    ];
    let held = Entry { depends_on: vec![address("primary/net/main")], ..entry(EAST, "part-1", Status::Ready) };
    let entries = BTreeMap::from([(address("primary/part/a"), held)]);
    let observed = Observations::new();
    let cleared = Cleanup {
        orphans: &orphans,
        graph: &configured,
        entries: &entries,
        observed: &observed,
        drivers: &cloud,
        is_partial: false,
        last: &[],
    }
    .plan();
    assert!(cleared.plan.items.is_empty(), "{:?}", planned(&cleared));
    let reasons: Vec<&str> = cleared.refused.iter().map(|(_, why)| why.as_str()).collect();
    let [base, net] = reasons[..] else { panic!("{reasons:?}") };
    assert!(base.contains("primary/net/main, which stays"), "{base}");
    assert!(net.contains("primary/part/a, which the state holds"), "{net}");
}

#[test]
fn what_holds_data_stays_while_something_could_not_be_read() {
    let cloud = Cloud::new();
    let configured = graph([
        node(&cloud, "primary/net/main", EAST, Properties::new()),
        node(&cloud, "primary/store/main", EAST, after("primary/net/main")),
        node(&cloud, "primary/part/a", EAST, Properties::new()),
    ]);
    let orphans = [
        ("net-1", "primary/net/main", "net"),
        ("store-1", "primary/store/main", "store"),
        ("part-1", "primary/part/a", "part"),
    ];
    let orphans = orphans.map(|(id, of, kind)| orphan(id, of, kind, OrphanKind::Lost, true));
    let (entries, observed) = (BTreeMap::new(), Observations::new());
    let cleanup = |is_partial| Cleanup {
        orphans: &orphans,
        graph: &configured,
        entries: &entries,
        observed: &observed,
        drivers: &cloud,
        is_partial,
        last: &[],
    };
    assert_eq!(cleanup(false).plan().plan.items.len(), 3);
    let partial = cleanup(true).plan();
    assert_eq!(planned(&partial).into_iter().map(|(at, _)| at).collect::<Vec<_>>(), ["primary/part/a"]);
    let reasons: Vec<&str> = partial.refused.iter().map(|(_, why)| why.as_str()).collect();
    let [net, store] = reasons[..] else { panic!("{reasons:?}") };
    assert!(net.contains("primary/store/main, which stays, refers to it"), "{net}");
    assert!(store.starts_with("it holds data, and not everything could be read"), "{store}");
}
