//! Simulation: the real graph and the real engine, with its caps and AWS's rate limits, on a clock that does not wait. In place
//! of AWS, the types' latencies say how long everything takes. See docs/aws-behaviour.md#duration-table.
//!
//! The runtime's clock is paused: whenever there is nothing to do, it jumps to the next moment at which there is. So half an hour
//! takes only as long as its events, and the same durations lead to the same run, to the millisecond.
//!
//! Refusals and lost answers are not simulated: a simulation says how long things take when they go well.

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
use self::driver::{SimulatedAws, SimulatedDrivers, Work};
use crate::blueprint::{self, BlueprintError};
use drctl_aws::facts::Facts;
use drctl_aws::resources::Registry;
use drctl_aws::{Aws, Connection, Scope};
use drctl_config::Config;
use drctl_engine::cancel::shutdown;
use drctl_engine::state::{Address, Identity, Regions, Role, Store};
use drctl_engine::{Class, Consent, Decision, Event, Failure, Graph, Observer, Outcome, Region, Run, RunOptions};
#[cfg(test)]
use drctl_engine::{Observations, Plan};

pub use drctl_aws::resources::durations::Draw;
pub use forecast::{Forecast, Link, scaled};
pub use report::{Bar, Simulated, SimulatedRun};

/// An account that does not exist: a graph needs an account for names.
const ACCOUNT: &str = "000000000000";

/// The time between the two runs, after which the bursts of all rate limits are available again.
const BETWEEN: Duration = Duration::from_hours(1);

/// The types that the primary's API needs in order to serve.
const SERVE: [&str; 7] =
    ["api", "api_authorizer", "api_integration", "api_route", "api_stage", "lambda_function", "lambda_permission"];

/// A simulation of building a stack and deleting it.
#[derive(Debug)]
pub struct Simulation {
    graph: Graph,
    identity: Identity,
    draw: Draw,
    options: RunOptions,
}

impl Simulation {
    /// A simulation of the configured stack. Makes no calls: account and zones are made up.
    ///
    /// # Errors
    /// When there is no graph for the configuration.
    pub async fn new(config: &Config, draw: Draw, options: RunOptions) -> Result<Self, BlueprintError> {
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
            protected: false,
            own_zone: None,
        };
        // With an endpoint and an account, the SDK looks for nothing. No call is made.
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

    /// Runs the simulation in a runtime of its own. It must be called where it may block.
    ///
    /// # Errors
    /// When a run does not finish.
    pub fn run(&self) -> Result<Simulated, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|e| Failure::new(Class::Internal, format!("no runtime to simulate in: {e}")))?;
        runtime.block_on(self.simulate())
    }

    /// The plan of `up` if nothing exists yet.
    #[cfg(test)]
    pub(crate) fn fresh_plan(&self) -> Plan {
        let no_drivers = SimulatedDrivers::default();
        let (entries, observed) = (BTreeMap::new(), Observations::new());
        let (graph, drivers) = (&self.graph, &no_drivers);
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

    async fn simulate(&self) -> Result<Simulated, Failure> {
        let aws = Arc::new(SimulatedAws::new(model::of(&self.graph, self.draw)?));
        let mut drivers = SimulatedDrivers::default();
        let graph = drivers
            .replace_drivers(&self.graph, &aws)
            .map_err(|e| Failure::new(Class::Internal, format!("the graph cannot be simulated: {e}")))?;
        let mut store = Store::in_memory(self.identity.clone());
        let runner = Runner { aws: &aws, drivers: &drivers, options: self.options };
        let up = runner.run(&graph, &mut store, bound::up(&graph, aws.models())).await?;
        tokio::time::sleep(BETWEEN).await;
        let down = runner.run(&Graph::new(), &mut store, bound::down(&graph, aws.models())).await?;
        if let Some(left) = aws.remaining().first().or(store.resources().keys().next()) {
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

/// What both runs share.
struct Runner<'a> {
    aws: &'a SimulatedAws,
    drivers: &'a SimulatedDrivers,
    options: RunOptions,
}

/// When each resource was started, and when it was done.
type Timeline = BTreeMap<Address, (Instant, Option<Instant>)>;

impl Runner<'_> {
    async fn run(&self, graph: &Graph, store: &mut Store, bound: Bound) -> Result<SimulatedRun, Failure> {
        let entries = store.resources();
        let timeout = Duration::from_mins(1);
        let observed =
            Observer { graph, entries, drivers: self.drivers, timeout, adopt: self.options.adopt }.observe().await;
        let decision = Decision {
            graph,
            entries,
            drivers: self.drivers,
            observed: &observed,
            respect_unsupported: false,
            consent: &Consent::Everything,
        };
        let plan = decision.plan();
        let timeline = Mutex::new(Timeline::new());
        let events = |event: Event| {
            let mut timeline = timeline.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Started { address, .. } => {
                    timeline.entry(address).or_insert((Instant::now(), None));
                }
                Event::Done { address, .. } => {
                    let now = Instant::now();
                    timeline.entry(address).or_insert((now, None)).1 = Some(now);
                }
                _ => {}
            }
        };
        // The trigger is kept until the end: a simulation is never interrupted.
        let (_trigger, shutdown) = shutdown();
        let began = Instant::now();
        let run = Run { plan: &plan, graph, drivers: self.drivers, options: self.options, events: &events };
        let report = run.apply(store, shutdown).await;
        if let Some((address, action, failure)) = report.failures().next() {
            let message = format!("simulated, {address} failed ({action:?}): {}", failure.message);
            return Err(Failure { message, ..failure.clone() });
        }
        if let Some((address, ..)) = report.outcomes.iter().find(|(_, _, outcome)| *outcome != Outcome::Done) {
            return Err(Failure::new(Class::Internal, format!("simulated, {address} was not done")));
        }
        let timeline = timeline.into_inner().unwrap_or_else(PoisonError::into_inner);
        let critical = |address: &Address| report.critical_path.iter().any(|leg| leg.address == *address);
        let mut work = self.aws.take_work();
        let mut bars: Vec<Bar> = timeline
            .into_iter()
            .map(|(address, (from, until))| Bar {
                region: self.aws.models().get(&address).map(|model| model.region.to_string()).unwrap_or_default(),
                began: from.saturating_duration_since(began),
                ended: until.unwrap_or(from).saturating_duration_since(began),
                critical: critical(&address),
                work: since(began, work.remove(&address).unwrap_or_default()),
                address,
            })
            .collect();
        // The sort is stable: resources with the same times stay in the order of their addresses.
        bars.sort_by_key(|bar| (bar.began, bar.ended));
        let ratio = report.took.as_secs_f64() / bound.whole.as_secs_f64().max(f64::MIN_POSITIVE);
        Ok(SimulatedRun {
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
    let offset = |at: Instant| at.saturating_duration_since(began);
    report::merged(work.into_iter().map(|(from, until)| (offset(from), offset(until))).collect())
}
