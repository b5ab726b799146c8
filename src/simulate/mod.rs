//! Time without waiting: the real graph through the real engine, with caps and limits in force, on a clock that nobody waits
//! for. What AWS would do in minutes takes the durations of docs/aws-behaviour.md#duration-table instead
//! of AWS.
//!
//! The runtime's clock is paused: whenever nothing is left to do, it jumps to the next moment at which something is. So half an
//! hour takes as long as its events do, and the same durations make the same run, to the millisecond.
//!
//! Left out is what AWS refuses and what gets lost: a simulation says how long things take when they go well.

mod bound;
mod driver;
mod forecast;
mod model;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::bound::Bound;
use self::driver::{Types, Work, World};
use crate::blueprint::{self, BlueprintError};
use drctl_aws::facts::Facts;
use drctl_aws::resources::Registry;
use drctl_aws::{Aws, Connection, Scope};
use drctl_config::Config;
use drctl_engine::cancel::shutdown;
use drctl_engine::state::{Address, Identity, Regions, Role, Store};
use drctl_engine::{Class, Consent, Decision, Event, Failure, Graph, Observer, Options, Outcome, Region, Run};
#[cfg(test)]
use drctl_engine::{Observations, Plan};

pub use drctl_aws::resources::durations::Draw;
pub use forecast::{Forecast, Link, scaled};
pub use report::{Bar, Simulated, Walk};

/// An account that nobody has: a graph needs one to name things.
const ACCOUNT: &str = "000000000000";

/// Between the two runs: every limit's burst is full again.
const BETWEEN: Duration = Duration::from_hours(1);

/// What makes the primary's API serve.
const SERVE: [&str; 7] =
    ["api", "api_authorizer", "api_integration", "api_route", "api_stage", "lambda_function", "lambda_permission"];

/// A simulation of building a stack and deleting it.
#[derive(Debug)]
pub struct Simulation {
    graph: Graph,
    identity: Identity,
    draw: Draw,
    options: Options,
}

impl Simulation {
    /// Of the stack that is configured. Reaches nothing: account and zones stand for any.
    ///
    /// # Errors
    /// When there is no graph for the configuration.
    pub async fn new(config: &Config, draw: Draw, options: Options) -> Result<Self, BlueprintError> {
        let regions = Regions {
            primary: config.regions.primary.as_str().to_owned(),
            secondary: config.regions.secondary.as_str().to_owned(),
        };
        let identity = Identity {
            stack: config.stack.name.clone(),
            environment: config.stack.environment.clone(),
            account: ACCOUNT.to_owned(),
            regions,
        };
        let zones = |region: &str| ["a", "b", "c"].map(|letter| format!("{region}{letter}"));
        let facts = Facts {
            account: ACCOUNT.to_owned(),
            primary_zones: zones(&identity.regions.primary),
            secondary_zones: zones(&identity.regions.secondary),
        };
        // With an endpoint and credentials given, the SDK has nothing to look for; and no call is made.
        let nowhere = Connection {
            region: identity.regions.primary.clone(),
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            account: Some(ACCOUNT.to_owned()),
        };
        let scope = Scope {
            stack: identity.stack.clone(),
            environment: identity.environment.clone(),
            account: ACCOUNT.to_owned(),
        };
        let aws = Arc::new(Aws::connect(&nowhere).await);
        let registry = Registry::new(&aws, scope, &Region::from(identity.regions.primary.as_str()));
        Ok(Self { graph: blueprint::graph(config, &facts, &registry)?, identity, draw, options })
    }

    /// Carries it out, in a runtime of its own: to be called where a runtime may be blocked on.
    ///
    /// # Errors
    /// When a run does not come to its end: even then within milliseconds.
    pub fn run(&self) -> Result<Simulated, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|e| Failure::new(Class::Internal, format!("no runtime to simulate in: {e}")))?;
        runtime.block_on(self.walk())
    }

    /// What `up` would do where nothing is there yet.
    #[cfg(test)]
    pub(crate) fn fresh_plan(&self) -> Plan {
        let nobody = Types::default();
        let (entries, observed) = (BTreeMap::new(), Observations::new());
        let (graph, drivers) = (&self.graph, &nobody);
        Decision {
            graph,
            entries: &entries,
            drivers,
            observed: &observed,
            respect_unsupported: false,
            consent: &Consent::Nothing,
        }
        .plan()
    }

    async fn walk(&self) -> Result<Simulated, Failure> {
        let world = Arc::new(World::new(model::of(&self.graph, self.draw)?));
        let mut types = Types::default();
        let graph = types
            .put_into(&self.graph, &world)
            .map_err(|e| Failure::new(Class::Internal, format!("the graph cannot be simulated: {e}")))?;
        let mut store = Store::in_memory(self.identity.clone());
        let stage = Stage { world: &world, types: &types, options: self.options };
        let up = stage.walk(&graph, &mut store, bound::up(&graph, world.models())).await?;
        tokio::time::sleep(BETWEEN).await;
        let down = stage.walk(&Graph::new(), &mut store, bound::down(&graph, world.models())).await?;
        if let Some(left) = world.left().first().or(store.resources().keys().next()) {
            return Err(Failure::new(
                Class::Internal,
                format!("simulated, {left} is left after everything was deleted"),
            ));
        }
        let ready = |kinds: &[&str]| {
            let parts =
                up.bars.iter().filter(|bar| bar.address.role() == Role::Primary && kinds.contains(&bar.address.kind()));
            parts.map(|bar| bar.ended).max().unwrap_or_default()
        };
        Ok(Simulated {
            durations: self.draw,
            regions: [self.identity.regions.primary.clone(), self.identity.regions.secondary.clone()],
            serving: ready(&SERVE),
            writer: ready(&["db_instance"]),
            up,
            down,
        })
    }
}

/// What both runs are carried out with.
struct Stage<'a> {
    world: &'a World,
    types: &'a Types,
    options: Options,
}

/// When a resource's turn came, and when it was done.
type Turns = BTreeMap<Address, (Instant, Option<Instant>)>;

impl Stage<'_> {
    async fn walk(&self, graph: &Graph, store: &mut Store, bound: Bound) -> Result<Walk, Failure> {
        let entries = store.resources();
        let timeout = Duration::from_mins(1);
        let observed =
            Observer { graph, entries, drivers: self.types, timeout, adopt: self.options.adopt }.observe().await;
        let decision = Decision {
            graph,
            entries,
            drivers: self.types,
            observed: &observed,
            respect_unsupported: false,
            consent: &Consent::Everything,
        };
        let plan = decision.plan();
        let turns = Mutex::new(Turns::new());
        let events = |event: Event| {
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Started { address, .. } => {
                    turns.entry(address).or_insert((Instant::now(), None));
                }
                Event::Done { address, .. } => {
                    let now = Instant::now();
                    turns.entry(address).or_insert((now, None)).1 = Some(now);
                }
                _ => {}
            }
        };
        // Held until the end: nobody interrupts a simulation.
        let (_trigger, shutdown) = shutdown();
        let began = Instant::now();
        let run = Run { plan: &plan, graph, drivers: self.types, options: self.options, events: &events };
        let report = run.apply(store, shutdown).await;
        if let Some((address, action, failure)) = report.failures().next() {
            let message = format!("simulated, {address} failed ({action:?}): {}", failure.message);
            return Err(Failure { message, ..failure.clone() });
        }
        if let Some((address, ..)) = report.outcomes.iter().find(|(_, _, outcome)| *outcome != Outcome::Done) {
            return Err(Failure::new(Class::Internal, format!("simulated, {address} was not done")));
        }
        let turns = turns.into_inner().unwrap_or_else(PoisonError::into_inner);
        let critical = |address: &Address| report.critical_path.iter().any(|leg| leg.address == *address);
        let mut work = self.world.take_work();
        let mut bars: Vec<Bar> = turns
            .into_iter()
            .map(|(address, (from, until))| Bar {
                region: self.world.models().get(&address).map(|model| model.region.to_string()).unwrap_or_default(),
                began: from.saturating_duration_since(began),
                ended: until.unwrap_or(from).saturating_duration_since(began),
                critical: critical(&address),
                work: since(began, work.remove(&address).unwrap_or_default()),
                address,
            })
            .collect();
        // Those that are alike stay in the order of their addresses.
        bars.sort_by_key(|bar| (bar.began, bar.ended));
        let ratio = report.took.as_secs_f64() / bound.whole.as_secs_f64().max(f64::MIN_POSITIVE);
        Ok(Walk {
            took: report.took,
            bound: bound.whole,
            ratio: (ratio * 10_000.0).round() / 10_000.0,
            critical_path: report.critical_path,
            bound_path: bound.path,
            bars,
        })
    }
}

fn since(began: Instant, work: Work) -> Vec<(Duration, Duration)> {
    let from_the_beginning = |at: Instant| at.saturating_duration_since(began);
    report::merged(
        work.into_iter().map(|(from, until)| (from_the_beginning(from), from_the_beginning(until))).collect(),
    )
}
