//! What every command that looks at AWS begins with: configuration, sandbox, credentials, state, graph.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::args::Global;
use super::error::CliError;
use super::output::Output;
use super::ui::plan::PlanContext;
use crate::aws::{Aws, Connection, Scope};
use crate::blueprint::{self, Facts};
use crate::config::Config;
use crate::engine::cancel::Shutdown;
use crate::engine::{Class, Decision, Failure, Graph, Observer, Options, Plan, Region, Timing};
use crate::preflight::{Findings, Preflight};
use crate::resources::Registry;
use crate::sandbox::{Control, Pace, Record, StartOptions};
use crate::state::{Address, Entry, Identity, Location, Regions, Role, Snapshot, check_identity};

/// How many steps may be at work in one Region at the same time: below every rate limit's burst.
pub const CAP: usize = 16;

/// How long one Region may take to answer before its resources count as unknown.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// The account that the sandbox is used with, unless the environment names another.
const SANDBOX_ACCOUNT: &str = "000000000000";

/// AWS, reached.
pub struct Connected {
    /// AWS, or what stands in for it.
    pub aws: Arc<Aws>,
    /// Which sandbox stands in for it, if one does.
    pub sandbox: Option<Record>,
}

impl Connected {
    /// Reaches AWS; starts the sandbox when it is asked for.
    pub async fn new(global: &Global, region: &str, output: &Output) -> Result<Self, CliError> {
        let mut connection = Connection { region: region.to_owned(), ..Connection::default() };
        let mut sandbox = None;
        if global.sandbox {
            let options = StartOptions { pace: Pace::Instant, ..StartOptions::default() };
            let record = Control::new(sandbox_folder(global)).ensure(options, &|line| output.progress(line)).await?;
            connection.endpoint = Some(record.endpoint());
            let account = std::env::var("DRCTL_SANDBOX_ACCOUNT").unwrap_or_else(|_| SANDBOX_ACCOUNT.to_owned());
            connection.account = Some(account);
            sandbox = Some(record);
        }
        Ok(Self { aws: Arc::new(Aws::connect(&connection).await), sandbox })
    }

    /// How many times faster than AWS this endpoint is.
    pub fn time_scale(&self) -> f64 {
        match &self.sandbox {
            Some(record) if record.pace == Pace::Aws => record.time_scale,
            // An emulator has no durations of its own: nothing is expected to take long.
            _ if self.aws.is_custom_endpoint() => f64::INFINITY,
            _ => 1.0,
        }
    }

    /// How a run is carried out against it.
    pub fn options(&self, adopt: bool) -> Options {
        let timing = if self.aws.is_custom_endpoint() {
            // Emulators are consistent at once; only a call that was in flight when drctl was killed may still come through.
            Timing {
                poll_first: Duration::from_millis(50),
                poll_max: Duration::from_millis(500),
                retry_first: Duration::from_millis(100),
                grace: Duration::from_secs(2),
                visible: Duration::from_secs(30),
            }
        } else {
            Timing::default()
        };
        Options { cap: CAP, timing, adopt }
    }
}

/// Where the sandbox keeps its files; and the states of stacks built in it, which are no stacks of AWS's.
pub fn sandbox_folder(global: &Global) -> PathBuf {
    global.state_dir.join("sandbox")
}

/// Where the states of this run lie.
pub fn state_folder(global: &Global) -> PathBuf {
    if global.sandbox { sandbox_folder(global) } else { global.state_dir.clone() }
}

/// Everything that a command about the configured stack needs.
pub struct Session {
    /// What is configured.
    pub config: Config,
    /// AWS, reached.
    pub connected: Connected,
    /// The types of resources.
    pub registry: Registry,
    /// Whose state it is.
    pub identity: Identity,
    /// Where its files lie.
    pub location: Location,
    /// What was found out beforehand.
    pub facts: Facts,
    /// What shall be.
    pub graph: Graph,
}

/// How much of AWS must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Both Regions: for what changes something.
    All,
    /// As much as answers: for `status`.
    Some,
}

impl Session {
    /// Reads the configuration, reaches AWS, and draws the graph.
    pub async fn open(global: &Global, output: &Output, demand: Demand) -> Result<Self, CliError> {
        let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
        let connected = Connected::new(global, config.regions.primary.as_str(), output).await?;
        let location = Location::new(&state_folder(global), &config.name());
        let recorded = location.read()?;
        let regions = Regions {
            primary: config.regions.primary.as_str().to_owned(),
            secondary: config.regions.secondary.as_str().to_owned(),
        };
        let account = account(&connected.aws, &regions, recorded.as_ref(), demand).await?;
        let identity = Identity {
            stack: config.stack.name.clone(),
            environment: config.stack.environment.clone(),
            account: account.clone(),
            regions,
        };
        if let Some(snapshot) = recorded.as_ref().filter(|snapshot| !snapshot.resources.is_empty()) {
            check_identity(&location.snapshot(), &snapshot.identity, &identity)?;
        }
        let entries = recorded.map(|snapshot| snapshot.resources).unwrap_or_default();
        let facts = facts(&connected.aws, &identity, &entries, demand).await?;
        let registry = registry(&connected.aws, &identity);
        let graph = blueprint::graph(&config, &facts, &registry)?;
        Ok(Self { config, connected, registry, identity, location, facts, graph })
    }

    /// Looks at AWS and decides what is to be done.
    pub async fn plan(
        &self,
        entries: &BTreeMap<Address, Entry>,
        adopt: bool,
        timeout: Duration,
        shutdown: &Shutdown,
    ) -> Result<Plan, CliError> {
        plan(&self.connected, &self.registry, &self.graph, entries, adopt, timeout, shutdown).await
    }

    /// Checks what a plan is going to make.
    pub async fn preflight(&self, plan: &Plan, shutdown: &Shutdown) -> Result<Findings, CliError> {
        let regions = &self.identity.regions;
        let preflight = Preflight {
            aws: &self.connected.aws,
            config: &self.config,
            account: &self.identity.account,
            regions: [&regions.primary, &regions.secondary],
            zones: [&self.facts.primary_zones, &self.facts.secondary_zones],
            plan,
        };
        super::run::unless_interrupted(shutdown, async { Ok(preflight.run().await) }).await
    }

    /// What a plan's reader needs to know besides it.
    pub fn plan_context(&self, full: bool) -> PlanContext {
        plan_context(&self.identity, &self.connected, full)
    }
}

/// The types of resources on behalf of a stack.
pub fn registry(aws: &Arc<Aws>, identity: &Identity) -> Registry {
    let scope = Scope {
        stack: identity.stack.clone(),
        environment: identity.environment.clone(),
        account: identity.account.clone(),
    };
    Registry::new(aws, scope, &Region::from(identity.regions.primary.as_str()))
}

/// What a plan's reader needs to know besides it.
pub fn plan_context(identity: &Identity, connected: &Connected, full: bool) -> PlanContext {
    PlanContext {
        title: format!("{}-{}", identity.stack, identity.environment),
        account: identity.account.clone(),
        primary_region: identity.regions.primary.clone(),
        secondary_region: identity.regions.secondary.clone(),
        endpoint: connected.aws.endpoint().map(str::to_owned),
        verbose: full,
    }
}

/// Looks at AWS and decides what is to be done.
pub async fn plan(
    connected: &Connected,
    registry: &Registry,
    graph: &Graph,
    entries: &BTreeMap<Address, Entry>,
    adopt: bool,
    timeout: Duration,
    shutdown: &Shutdown,
) -> Result<Plan, CliError> {
    // A look is a look: nothing that was listed for an earlier one counts.
    registry.forget();
    let observer = Observer { graph, entries, drivers: registry, timeout, adopt };
    let observed = super::run::unless_interrupted(shutdown, async { Ok(observer.observe().await) }).await?;
    let respect_unsupported = connected.aws.is_custom_endpoint();
    Ok(Decision { graph, entries, drivers: registry, observed: &observed, respect_unsupported }.plan())
}

async fn account(
    aws: &Arc<Aws>,
    regions: &Regions,
    recorded: Option<&Snapshot>,
    demand: Demand,
) -> Result<String, Failure> {
    let regions = [Region::from(regions.primary.as_str()), Region::from(regions.secondary.as_str())];
    match (aws.account(&regions).await, recorded) {
        // Nothing is changed on behalf of a remembered account; it is only looked at.
        (Err(failure), Some(snapshot)) if demand == Demand::Some && failure.class != Class::Denied => {
            Ok(snapshot.identity.account.clone())
        }
        (account, _) => account,
    }
}

async fn facts(
    aws: &Arc<Aws>,
    identity: &Identity,
    entries: &BTreeMap<Address, Entry>,
    demand: Demand,
) -> Result<Facts, Failure> {
    let zones = |role: Role, region: &str| {
        let region = Region::from(region);
        async move {
            if let Some(zones) = Facts::recorded_zones(entries, role) {
                return Ok(zones);
            }
            match Facts::discover_zones(aws, &region).await {
                // With nothing recorded and nothing answering, no resource of the Region can be looked at either: the
                // names are never used.
                Err(_) if demand == Demand::Some => Ok(["a", "b", "c"].map(|letter| format!("{region}{letter}"))),
                zones => zones,
            }
        }
    };
    let (primary_zones, secondary_zones) = futures::future::try_join(
        zones(Role::Primary, &identity.regions.primary),
        zones(Role::Secondary, &identity.regions.secondary),
    )
    .await?;
    Ok(Facts { account: identity.account.clone(), primary_zones, secondary_zones })
}
