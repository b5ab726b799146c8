//! Law 6: Regions are independent. What is slow, silent, or broken in one neither delays nor harms the other.

use std::collections::BTreeMap;
use std::time::Duration;

use drctl_engine::state::Address;
use drctl_engine::testing::{
    Cloud, EAST, Fault, NODE, OURS, Op, Outage, STACK, WEST, Want, World, graph, node, undisturbed,
};
use drctl_engine::{Action, Class, Failure, Observed, Observer, Outcome, Properties, Ref, Silent};

const SECOND: Duration = Duration::from_secs(1);

fn pair() -> (Vec<Want>, Vec<Want>) {
    let net = Want::new("net", "net-e");
    let part = Want::new("part", "part-e").inside(&net);
    let east = vec![net, part];
    let net = Want::new("net", "net-w").west();
    let part = Want::new("part", "part-w").west().inside(&net);
    (east, vec![net, part])
}

#[tokio::test(start_paused = true)]
async fn a_slow_region_does_not_delay_the_other() {
    let (east, west) = pair();
    let wants: Vec<_> = east.iter().chain(&west).cloned().collect();
    let calm = World::new().up(&wants).await;
    let world = World::new();
    world.cloud.slow_mutations(WEST, 1000 * SECOND);
    let ran = world.up(&wants).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert!(ran.took > 2000 * SECOND);
    for want in &east {
        let late = ran.done_after(want).saturating_sub(calm.done_after(want));
        assert!(late < SECOND, "{} is {late:?} later than it would be if the other Region were not slow", want.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_region_leaves_the_slots_of_the_other_free() {
    let mut wants: Vec<_> = (0..40).map(|n| Want::new("net", &format!("w{n}")).west()).collect();
    let east = Want::new("net", "east");
    wants.push(east.clone());
    let mut world = World::new();
    world.options.cap = 2;
    world.cloud.slow_mutations(WEST, 100 * SECOND);
    let ran = world.up(&wants).await;
    assert!(ran.done_after(&east) < 5 * SECOND, "{:?}", ran.done_after(&east));
}

#[tokio::test(start_paused = true)]
async fn work_in_one_region_waits_for_the_other_along_an_edge_and_only_there() {
    let west = Want::new("net", "west").west();
    let bound = Want::new("part", "bound").uses(&west);
    let free = Want::new("part", "free");
    let world = World::new();
    world.cloud.slow_mutations(WEST, 100 * SECOND);
    let ran = world.up(&[west.clone(), bound.clone(), free.clone()]).await;
    assert!(ran.report.is_success(), "{:#?}", ran.report);
    assert!(ran.done_after(&bound) > ran.done_after(&west));
    assert!(ran.done_after(&free) < 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_does_not_answer_is_given_up_after_its_time_and_the_other_is_served() {
    for (outage, class) in [(Outage::Silent, Class::TimedOut), (Outage::Refused, Class::Unreachable)] {
        let (east, west) = pair();
        let wants: Vec<_> = east.iter().chain(&west).cloned().collect();
        let world = World::new();
        world.cloud.outage(WEST, outage);
        let ran = world.up(&wants).await;
        assert!(ran.took < 15 * SECOND, "{outage:?}: {:?}", ran.took);
        for want in &east {
            assert_eq!(ran.outcome(want), Outcome::Done, "{outage:?}");
        }
        let Outcome::Failed(failure) = ran.outcome(&west[0]) else { panic!("{outage:?}: {:#?}", ran.report) };
        assert_eq!(failure.class, class);
        assert!(world.cloud.resources().iter().all(|resource| resource.region != WEST));
        world.cloud.heal();
        let expected = undisturbed(&wants, |_| {}).await;
        world.assert_converges(&wants, &expected, "when the Region is back").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_fails_in_the_middle_of_a_run_stops_only_its_own_resources() {
    let (east, west) = pair();
    let gate = Want::new("gate", "gate-e").inside(&east[1]);
    let wants: Vec<_> = east.iter().chain(&west).chain([&gate]).cloned().collect();
    let expected = undisturbed(&wants, |_| {}).await;
    let world = World::new();
    let cloud = world.cloud.clone();
    world.cloud.on_call(move |call| {
        if call.op == Op::Create && call.name == "part-w" {
            cloud.outage(WEST, Outage::Refused);
        }
    });
    let ran = world.up(&wants).await;
    assert_eq!(ran.failed(), ["part-w"]);
    assert_eq!(ran.outcome(&gate), Outcome::Done);
    world.cloud.heal();
    world.assert_converges(&wants, &expected, "when the Region is back").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_looked_at_is_not_a_reason_to_replace_its_dependents() {
    let west = Want::new("net", "west").west();
    let link = Want::new("link", "link").inside(&west);
    let part = Want::new("part", "part").west().inside(&west);
    let rule = Want::new("rule", "rule").uses(&link).uses(&west);
    let wants = [west.clone(), link.clone(), part.clone(), rule.clone()];
    let world = World::new();
    assert!(world.up(&wants).await.report.is_success());
    let before = world.cloud.contents();
    world.cloud.forget_calls();

    // One listing is refused, and everything else answers.
    world.cloud.inject("net", Op::List, Fault::Refuse(Failure::new(Class::Denied, "not allowed")), 1);
    let ran = world.up(&wants).await;
    assert_eq!(ran.failed(), ["west"]);
    assert_eq!(world.cloud.contents(), before, "nothing that lies in it or refers to it was touched");

    // The whole Region is out. This is when drctl must not make things worse in the other one.
    world.cloud.outage(WEST, Outage::Silent);
    let ran = world.up(&wants).await;
    assert!(ran.failed().contains(&"west".to_owned()), "{:#?}", ran.report);
    assert_eq!(world.cloud.contents(), before, "nothing that lies in it or refers to it was touched");
    assert!(world.cloud.calls().iter().all(|call| !call.op.mutates()), "not even tried: {:#?}", world.cloud.calls());
    assert!(ran.plan.items.iter().all(|item| item.action != Action::Replace), "{:#?}", ran.plan);

    world.cloud.heal();
    world.assert_converges(&wants, &before, "when the Region is back").await;
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_hangs_keeps_nothing_else_of_its_region_from_being_looked_at() {
    // The roles are in no listing: each is read by its name.
    let wants = [Want::new("net", "net"), Want::new("role", "one"), Want::new("role", "two").west()];
    let world = World::new();
    world.cloud.inject("net", Op::List, Fault::Hang, 1);
    let (graph, store) = (world.graph(&wants), world.store());
    let (entries, timeout) = (store.resources(), 10 * SECOND);
    let began = tokio::time::Instant::now();
    let seen = Observer { graph: &graph, entries, drivers: &world.cloud, timeout, adopt: false }.observe().await;
    assert_eq!(began.elapsed().as_secs(), 10, "only the listing is waited for");
    for role in &wants[1..] {
        assert_eq!(seen[&role.address()], Observed::Absent);
    }
    let Observed::Unknown(failure) = &seen[&wants[0].address()] else { panic!("{seen:#?}") };
    assert_eq!(failure.silent, Some(Silent::Region(EAST.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_name_waits_for_what_it_follows_from_and_not_for_a_region_that_is_silent() {
    let cloud = Cloud::new();
    let tags = |at: &'static str| [(STACK, OURS), (NODE, at)];
    let net = cloud.plant("net", EAST, "main", &tags("primary/net/main"));
    // In no listing: it is read by its name, which is the id of the net.
    cloud.set_pace("role", |pace| pace.shown_after = Duration::from_hours(1));
    cloud.plant("role", EAST, &net, &tags("primary/role/main"));
    cloud.outage(WEST, Outage::Silent);
    let properties = |all: &[(&str, &str)]| -> Properties {
        let reference = |of: &str| -> Ref<()> { Ref::output(of.parse().expect("an address"), "id") };
        all.iter().map(|(name, of)| ((*name).to_owned(), serde_json::json!(reference(of)))).collect()
    };
    let graph = graph([
        node(&cloud, "primary/net/main", EAST, Properties::new()),
        node(&cloud, "secondary/net/main", WEST, Properties::new()),
        node(
            &cloud,
            "primary/role/main",
            EAST,
            properties(&[("name", "primary/net/main"), ("peer", "secondary/net/main")]),
        ),
    ]);
    let (entries, timeout) = (BTreeMap::new(), 10 * SECOND);
    let seen = Observer { graph: &graph, entries: &entries, drivers: &cloud, timeout, adopt: false }.observe().await;
    let seen = |at: &str| &seen[&at.parse::<Address>().expect("an address")];
    assert!(matches!(seen("primary/role/main"), Observed::Live(_)), "{:?}", seen("primary/role/main"));
    let Observed::Unknown(failure) = seen("secondary/net/main") else { panic!("it is silent") };
    assert_eq!(failure.silent, Some(Silent::Region(WEST.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn reads_of_one_region_use_up_its_own_time_and_none_of_the_others() {
    // Nothing of the stack is in a listing yet, so everything with a unique name is read one by one.
    let wants: Vec<_> = (0..20)
        .map(|n| Want::new("role", &format!("r{n}")))
        .map(|want| if want.name().ends_with(['1', '3', '5', '7', '9']) { want.west() } else { want })
        .collect();
    let world = World::new();
    world.cloud.slow_reads(WEST, 4 * SECOND);
    let (graph, store) = (world.graph(&wants), world.store());
    let (entries, timeout) = (store.resources(), 10 * SECOND);
    let began = tokio::time::Instant::now();
    let seen = Observer { graph: &graph, entries, drivers: &world.cloud, timeout, adopt: false }.observe().await;
    assert!(began.elapsed() <= timeout + SECOND, "{:?}", began.elapsed());
    for (address, observed) in seen.iter().filter(|(address, _)| address.role() == drctl_engine::state::Role::Primary) {
        assert_eq!(*observed, Observed::Absent, "{address}");
    }
}
