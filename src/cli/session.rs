//! What every command that looks at AWS begins with: configuration, sandbox, credentials, state, graph.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::args::Global;
use super::error::CliError;
use super::local::{LocalAws, local_aws, sandbox_folder};
use super::output::Output;
use super::ui::plan::PlanContext;
use super::waiting;
use crate::blueprint;
use drctl_aws::facts::Facts;
use drctl_aws::preflight::{About, Findings, Preflight, Problem, UnknownRegions, unknown_regions};
use drctl_aws::resources::{Disposal, Registry};
use drctl_aws::{Aws, Connection, Scope, Settings, Unusable};
use drctl_config::Config;
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::{Address, Entry, Identity, Location, Regions, Role, Snapshot, check_identity};
use drctl_engine::{Class, Consent, Decision, Failure, Graph, Observer, Options, Plan, Region, Timing};

/// How many steps may be at work in one Region at the same time: below every rate limit's burst.
pub const CAP: usize = 16;

/// How long one Region may take to answer before its resources count as unknown.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// What is not counted when time is.
const MOMENT: Duration = Duration::from_millis(500);

/// AWS, reached.
pub struct Connected {
    /// AWS, or what stands in for it.
    pub aws: Arc<Aws>,
    local: Option<LocalAws>,
    output: Output,
}

impl Connected {
    /// Reaches AWS; starts the sandbox when it is asked for.
    pub async fn new(global: &Global, [primary, secondary]: [&str; 2], output: &Output) -> Result<Self, CliError> {
        let mut connection = Connection { region: primary.to_owned(), ..Connection::default() };
        let local = local_aws(global, output).await?;
        // The sandbox asks for nothing that the environment or a profile has.
        let aws = if let Some(local) = &local {
            connection.endpoint = Some(local.endpoint.clone());
            connection.account = Some(local.account.clone());
            Aws::connect(&connection).await
        } else {
            Aws::with_settings(&connection, Settings::read().await?.besides(secondary)).await
        };
        Ok(Self { aws: Arc::new(aws), local, output: output.clone() })
    }

    /// Does something that asks AWS, and says on stderr who has not answered when it takes a while.
    pub async fn waiting<T>(&self, work: impl Future<Output = T>) -> T {
        waiting::watch(&self.output, &self.aws, work).await
    }

    /// The account, of which all Regions are asked at once.
    pub async fn account(&self, regions: &Regions, limit: Duration) -> Result<String, Failure> {
        let regions = [Region::from(regions.primary.as_str()), Region::from(regions.secondary.as_str())];
        self.waiting(self.aws.account(&regions, limit)).await
    }

    /// How many times faster than AWS this endpoint is.
    pub fn time_scale(&self) -> f64 {
        match &self.local {
            Some(local) => local.time_scale,
            // An emulator has no durations of its own: nothing is expected to take long.
            None if self.aws.is_custom_endpoint() => f64::INFINITY,
            None => 1.0,
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
    timeout: Duration,
    /// When the Regions have had their time for the look that is under way.
    deadline: Cell<Instant>,
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
    /// Reads the configuration, reaches AWS, and draws the graph. A Region has `timeout` to answer, for this and for the look that
    /// follows together.
    pub async fn open(global: &Global, output: &Output, demand: Demand, timeout: Duration) -> Result<Self, CliError> {
        let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
        let regions = [config.regions.primary.as_str(), config.regions.secondary.as_str()];
        let connected = Connected::new(global, regions, output).await?;
        let location = Location::new(&state_folder(global), &config.name());
        let recorded = location.read()?;
        let regions = Regions {
            primary: config.regions.primary.as_str().to_owned(),
            secondary: config.regions.secondary.as_str().to_owned(),
        };
        let deadline = Instant::now() + timeout;
        let account = account(&connected, &regions, recorded.as_ref(), demand, timeout);
        // Regions never change once something is recorded in them.
        let is_first = recorded.as_ref().is_none_or(|snapshot| snapshot.resources.is_empty());
        let account = if demand == Demand::All && is_first {
            in_known_regions(&connected.aws, &regions, account).await?
        } else {
            account.await?
        };
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
        let facts = connected.waiting(facts(&connected.aws, &identity, &entries, demand, deadline)).await?;
        // What a bucket's replacement deletes was named.
        let disposal = Disposal { empty_buckets: true, ..Disposal::default() };
        let registry = registry(&connected.aws, &identity, disposal);
        let graph = blueprint::graph(&config, &facts, &registry)?;
        let deadline = Cell::new(deadline);
        Ok(Self { config, connected, registry, identity, location, facts, graph, timeout, deadline })
    }

    /// How long a Region may take for the first look: what is left of its time. A [`MOMENT`] more or less is not counted.
    pub fn left(&self) -> Duration {
        let left = self.deadline.get().saturating_duration_since(Instant::now());
        if left + MOMENT > self.timeout { self.timeout } else { left.max(MOMENT) }
    }

    /// Looks at AWS and decides what is to be done.
    pub async fn plan(
        &self,
        entries: &BTreeMap<Address, Entry>,
        adopt: bool,
        timeout: Duration,
        shutdown: &Shutdown,
    ) -> Result<Plan, CliError> {
        self.plan_with(&Look { entries, adopt, timeout, consent: &Consent::Nothing }, shutdown).await
    }

    /// The same, where some of what holds data may be lost.
    pub async fn plan_with(&self, look: &Look<'_>, shutdown: &Shutdown) -> Result<Plan, CliError> {
        self.deadline.set(Instant::now() + look.timeout);
        plan(&self.connected, &self.registry, &self.graph, look, shutdown).await
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
        let checked = async { Ok(self.connected.waiting(preflight.run()).await) };
        let mut checked = std::pin::pin!(super::interrupt::unless_interrupted(shutdown, checked));
        // A Region's time is for the look and for the checks together. Who did not answer the look is not waited for again: what
        // the other one says is soon there.
        tokio::select! {
            biased;
            findings = &mut checked => findings,
            () = sleep_until(self.deadline.get().max(Instant::now() + MOMENT)) => Ok(self.unanswered(plan)),
        }
    }

    /// The checks did not come to an end in time.
    fn unanswered(&self, plan: &Plan) -> Findings {
        let is_silent = |failure: &Failure| matches!(failure.class, Class::TimedOut | Class::Unreachable);
        let told: BTreeSet<&str> =
            plan.unknown().filter(|(_, failure)| is_silent(failure)).map(|(item, _)| item.region.as_str()).collect();
        let mut silent: BTreeSet<String> = self.connected.aws.awaited().iter().map(ToString::to_string).collect();
        silent.extend(told.iter().map(|region| (*region).to_owned()));
        if silent.is_empty() {
            let regions = &self.identity.regions;
            silent.extend([regions.primary.clone(), regions.secondary.clone()]);
        }
        let problem = |region: String| Problem {
            about: About::Region,
            in_plan: told.contains(region.as_str()),
            message: "the Region does not answer the checks in time".to_owned(),
            help: "Check the network and AWS's health dashboard for that Region, or give it longer with --timeout."
                .to_owned(),
            figures: None,
            subject: region.clone(),
            region: Some(region),
        };
        Findings { problems: silent.into_iter().map(problem).collect(), ..Findings::default() }
    }

    /// What a plan's reader needs to know besides it.
    pub fn plan_context(&self, full: bool) -> PlanContext {
        plan_context(&self.identity, &self.connected, full)
    }
}

/// The account, unless one of the Regions turns out to be none: its host name answers nobody, and asking it again takes long.
async fn in_known_regions(
    aws: &Arc<Aws>,
    regions: &Regions,
    account: impl Future<Output = Result<String, Failure>>,
) -> Result<String, CliError> {
    let unknown = pin!(unknown_regions(aws, [&regions.primary, &regions.secondary]));
    let account = pin!(account);
    let (unknown, account) = match futures::future::select(unknown, account).await {
        Either::Left((None, account)) => (None, account.await?),
        Either::Left((unknown, _)) => (unknown, String::new()),
        Either::Right((account, unknown)) => {
            let account = account?;
            (unknown.await, account)
        }
    };
    match unknown {
        Some(UnknownRegions { message, help }) => Err(CliError::Usage { message, help }),
        None => Ok(account),
    }
}

impl From<Unusable> for CliError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Setting { message, help } => Self::Usage { message, help },
            Unusable::Denied(failure) => Self::Aws(failure),
        }
    }
}

/// The types of resources on behalf of a stack.
pub fn registry(aws: &Arc<Aws>, identity: &Identity, disposal: Disposal) -> Registry {
    let scope = Scope {
        stack: identity.stack.clone(),
        environment: identity.environment.clone(),
        account: identity.account.clone(),
    };
    Registry::disposing(aws, scope, &Region::from(identity.regions.primary.as_str()), disposal)
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

/// From what a plan is made, besides the graph.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// What the state holds.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Whether resources of others may be taken over.
    pub adopt: bool,
    /// How long one Region may take to answer.
    pub timeout: Duration,
    /// What may be lost.
    pub consent: &'a Consent,
}

/// Looks at AWS and decides what is to be done.
pub async fn plan(
    connected: &Connected,
    registry: &Registry,
    graph: &Graph,
    look: &Look<'_>,
    shutdown: &Shutdown,
) -> Result<Plan, CliError> {
    // A look is a look: nothing that was listed for an earlier one counts.
    registry.forget();
    let Look { entries, adopt, timeout, consent } = *look;
    let observer = Observer { graph, entries, drivers: registry, timeout, adopt };
    let looking = async { Ok(connected.waiting(observer.observe()).await) };
    let observed = super::interrupt::unless_interrupted(shutdown, looking).await?;
    let respect_unsupported = connected.aws.is_custom_endpoint();
    Ok(Decision { graph, entries, drivers: registry, observed: &observed, respect_unsupported, consent }.plan())
}

async fn account(
    connected: &Connected,
    regions: &Regions,
    recorded: Option<&Snapshot>,
    demand: Demand,
    timeout: Duration,
) -> Result<String, Failure> {
    let recorded = recorded.filter(|_| demand == Demand::Some);
    // There is a look to come, which needs time as well.
    let limit = if recorded.is_some() { timeout / 3 } else { timeout };
    match (connected.account(regions, limit).await, recorded) {
        // Nothing is changed on behalf of a remembered account; it is only looked at.
        (Err(failure), Some(snapshot)) if failure.class != Class::Denied => Ok(snapshot.identity.account.clone()),
        (account, _) => account,
    }
}

async fn facts(
    aws: &Arc<Aws>,
    identity: &Identity,
    entries: &BTreeMap<Address, Entry>,
    demand: Demand,
    deadline: Instant,
) -> Result<Facts, Failure> {
    let zones = |role: Role, region: &str| {
        let region = Region::from(region);
        async move {
            if let Some(zones) = Facts::recorded_zones(entries, role) {
                return Ok(zones);
            }
            let found = timeout_at(deadline, Facts::discover_zones(aws, &region)).await.unwrap_or_else(|_| {
                Err(Failure::new(Class::TimedOut, format!("{region} did not answer in time"))
                    .help("Check the network and AWS's health dashboard for that Region."))
            });
            match found {
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
