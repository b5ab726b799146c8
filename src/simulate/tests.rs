//! Simulations of the whole stack.

use std::time::Duration;

use super::*;
use drctl_aws::resources::durations;
use drctl_engine::{Action, Item, Plan, Timing};

/// The options that the command line uses.
fn options() -> RunOptions {
    RunOptions { cap: 16, timing: Timing::default(), adopt: false }
}

fn simulation(toml: &str, draw: Draw) -> Simulation {
    let config = Config::parse("drctl.toml", toml, None).expect("a sound configuration");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(Simulation::new(&config, draw, options())).expect("a graph")
}

fn simulated(draw: Draw) -> Simulated {
    simulation("", draw).run().expect("both runs finish")
}

const EVERYTHING: &str =
    "[dns]\ndomain = \"pay.example-bank.com\"\ncertificate = true\n[alerts]\nemails = [\"on.call@example-bank.com\"]\n";

fn path(run: &SimulatedRun) -> String {
    let legs = run.critical_path.iter().map(|leg| format!("{} {:?}", leg.address, leg.took));
    legs.collect::<Vec<_>>().join(" -> ")
}

#[test]
fn up_and_down_are_close_to_their_lower_bounds_and_take_no_time() {
    let began = std::time::Instant::now();
    let found = simulated(Draw::Typical);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!((1.0..=1.03).contains(&found.up.ratio), "{}: {}", found.up.ratio, path(&found.up));
    assert!((1.0..=1.05).contains(&found.down.ratio), "{}: {}", found.down.ratio, path(&found.down));
    // The model's own estimates.
    assert!((24..=28).contains(&(found.up.took.as_secs() / 60)), "{:?}", found.up.took);
    assert!((18..=45).contains(&(found.down.took.as_secs() / 60)), "{:?}", found.down.took);
}

#[test]
fn the_primary_serves_long_before_the_standby_exists() {
    let found = simulated(Draw::Typical);
    assert!(!found.serving.is_zero() && found.serving * 3 < found.up.took, "{:?}", found.serving);
    assert!(found.writer > found.serving && found.writer * 2 < found.up.took, "{:?}", found.writer);
}

#[test]
fn aurora_determines_the_critical_path_of_up() {
    let up = simulated(Draw::Typical).up;
    let ends = ["primary/db_instance/main", "secondary/db_instance/main"];
    for legs in [&up.critical_path, &up.bound_path] {
        assert_eq!(legs.last().map(|leg| leg.address.to_string()).as_deref(), Some(ends[1]));
        assert!(legs.iter().any(|leg| leg.address.to_string() == ends[0]), "{legs:?}");
        let whole: Duration = legs.iter().map(|leg| leg.took).sum();
        assert!(whole <= up.took, "{whole:?}");
    }
    assert_eq!(up.bound_path.iter().map(|leg| leg.took).sum::<Duration>(), up.bound);
}

#[test]
fn the_seed_determines_the_run() {
    let json = |seed| serde_json::to_string(&simulated(Draw::Seed(seed))).expect("JSON");
    assert_eq!(json(7), json(7));
    assert_ne!(json(7), json(8));
}

#[test]
fn the_worst_case_finishes_too() {
    let worst = simulated(Draw::Worst);
    let typical = simulated(Draw::Typical);
    assert!(worst.up.took > typical.up.took * 2 && worst.down.took > typical.down.took * 2);
    for run in [&worst.up, &worst.down] {
        assert!((1.0..=1.03).contains(&run.ratio), "{}: {}", run.ratio, path(run));
    }
}

#[test]
fn with_certificates_and_mails_everything_is_created_and_deleted() {
    let simulation = simulation(EVERYTHING, Draw::Typical);
    let found = simulation.run().expect("both runs finish");
    assert_eq!(found.up.bars.len(), simulation.graph.len());
    assert_eq!(found.down.bars.len(), simulation.graph.len());
    // Issued after its validation is there, which waits for the zone.
    // See docs/aws-behaviour.md#certificate-validation-takes-time.
    let bar = |at: &str| found.up.bars.iter().find(|bar| bar.address.to_string() == at).expect("there");
    let validated = bar("global/record/certificate").ended;
    assert!(bar("primary/certificate/api").ended >= validated + Duration::from_secs(118));
    assert!(bar("global/hosted_zone/main").ended <= bar("global/record/certificate").began);
}

#[test]
fn subnets_with_interfaces_of_a_function_are_deleted_after_them() {
    let down = simulated(Draw::Typical).down;
    let bar = |at: &str| down.bars.iter().find(|bar| bar.address.to_string() == at).expect("there");
    let function = bar("primary/lambda_function/processor");
    for held in ["primary/subnet/private-a", "primary/security_group/lambda"] {
        // See docs/aws-behaviour.md#lambda-interfaces-linger.
        assert!(bar(held).ended >= function.began + Duration::from_secs(1100), "{held}");
    }
    assert!(bar("primary/subnet/public-a").ended < function.began + Duration::from_mins(10));
}

fn close(forecast: Duration, simulated: Duration) -> bool {
    simulated.checked_sub(forecast).is_some_and(|more| more <= simulated / 100)
}

#[test]
fn the_forecast_for_a_new_stack_agrees_with_its_simulation() {
    for toml in ["", EVERYTHING, "[network]\nnat = \"single\"\n"] {
        let simulation = simulation(toml, Draw::Typical);
        let found = simulation.run().expect("both runs finish");
        let creations = simulation.fresh_plan();
        let up = Forecast::new(&creations, 1.0).end(Duration::ZERO);
        assert!(close(up, found.up.took), "up of {toml:?}: {up:?}, and {:?}", found.up.took);
        let deletion = |item: &Item| Item {
            action: Action::Delete,
            expected: durations::expected(&item.address).expect("a row").delete,
            ..item.clone()
        };
        let deletions = Plan { items: creations.items.iter().rev().map(deletion).collect() };
        let down = Forecast::new(&deletions, 1.0).end(Duration::ZERO);
        assert!(close(down, found.down.took), "down of {toml:?}: {down:?}, and {:?}", found.down.took);
    }
}

#[test]
fn a_plan_expects_the_same_duration_of_each_resource_as_its_simulation() {
    let simulation = simulation(EVERYTHING, Draw::Typical);
    let models = model::of(&simulation.graph, Draw::Typical).expect("models");
    for item in simulation.fresh_plan().items {
        let whole: Duration = models[&item.address].create.iter().map(durations::Part::whole).sum();
        assert!(item.expected.abs_diff(whole) < Duration::from_millis(1), "{}: {:?}", item.address, item.expected);
    }
}
