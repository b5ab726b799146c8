//! The beginning of every command about the configured stack: configuration, endpoint, account, state, graph.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use tokio::time::Instant;

use super::args::Global;
use super::endpoint::Endpoint;
use super::error::CliError;
use super::interrupt::unless_interrupted;
use super::local::state_folder;
use super::output::Output;
use super::target::{PlanInputs, Target, registry};
use super::ui::PlanContext;
use crate::blueprint;
use drctl_aws::Aws;
use drctl_aws::facts::Facts;
use drctl_aws::preflight::{Findings, Preflight, UnknownRegions, unknown_regions};
use drctl_aws::resources::Disposal;
use drctl_config::Config;
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::{Address, Entry, Identity, Location, Regions, Role, Snapshot, StateError, check_identity};
use drctl_engine::{Class, Consent, Failure, Plan, Region};

/// A difference in time that does not matter.
const MOMENT: Duration = Duration::from_millis(500);

/// Everything that a command about the configured stack needs.
pub struct Session {
    /// The configuration.
    pub config: Config,
    /// The stack and where it is.
    pub target: Target,
    facts: Facts,
    timeout: Duration,
    /// When the Regions have used up their time for the first plan.
    deadline: Instant,
}

/// How much of AWS has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Both Regions: for commands that create something.
    Required,
    /// Whichever answers, and the account itself: for commands that plan, or change no more than what they have seen.
    Either,
    /// Whichever answers: for commands that only report.
    BestEffort,
}

impl Availability {
    /// Whether the command goes on although the zones of a Region are not known for this reason.
    fn goes_on_without(self, failure: &Failure) -> bool {
        let is_silent = matches!(failure.class, Class::TimedOut | Class::Unreachable);
        self == Self::BestEffort || (self == Self::Either && is_silent)
    }
}

impl Session {
    /// Reads the configuration, connects to AWS, and builds the graph. A Region has `timeout` to answer, for this and for the
    /// plan that follows together.
    pub async fn open(
        global: &Global,
        output: &Output,
        availability: Availability,
        timeout: Duration,
        shutdown: &Shutdown,
    ) -> Result<Self, CliError> {
        unless_interrupted(shutdown, Self::prepare(global, output, availability, timeout)).await
    }

    async fn prepare(
        global: &Global,
        output: &Output,
        availability: Availability,
        timeout: Duration,
    ) -> Result<Self, CliError> {
        let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
        let regions = [config.regions.primary.as_str(), config.regions.secondary.as_str()];
        let endpoint = Endpoint::connect(global, regions, output).await?;
        let location = Location::new(&state_folder(global), &config.name());
        let recorded = location.read()?;
        let regions = Regions {
            primary: config.regions.primary.as_str().to_owned(),
            secondary: config.regions.secondary.as_str().to_owned(),
        };
        let deadline = Instant::now() + timeout;
        let aws = endpoint.aws.clone();
        let _looking = aws.looking(timeout, timeout);
        let account = account(&endpoint, &regions, recorded.as_ref(), availability, timeout);
        // Regions never change once something is recorded in them.
        let is_first = recorded.as_ref().is_none_or(|snapshot| snapshot.resources.is_empty());
        let account = if availability != Availability::BestEffort && is_first {
            in_known_regions(&aws, &regions, account).await?
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
            check_identity(&location.snapshot(), &snapshot.identity, &identity)
                .map_err(|error| remnants(error, snapshot))?;
        }
        let protected = recorded.as_ref().is_some_and(|snapshot| snapshot.protected);
        let entries = recorded.map(|snapshot| snapshot.resources).unwrap_or_default();
        let zones = endpoint.waiting(zones(&aws, &identity, &entries, availability)).await?;
        let [primary_zones, secondary_zones] = zones;
        let own_zone = Facts::recorded_hosted_zone(&entries);
        let facts = Facts { account, primary_zones, secondary_zones, protected, own_zone };
        // A bucket is replaced only if it was named, and with it what is in it.
        let disposal = Disposal { empty_buckets: true, ..Disposal::default() };
        let registry = registry(&aws, &identity, disposal);
        let graph = blueprint::graph(&config, &facts, &registry)
            .map_err(|error| CliError::unbuilt(error, global.config.as_deref()))?;
        let target = Target { endpoint, registry, identity, location, graph };
        Ok(Self { config, target, facts, timeout, deadline })
    }

    /// The resources in the state.
    pub fn recorded(&self) -> Result<BTreeMap<Address, Entry>, CliError> {
        Ok(self.target.location.read()?.map(|snapshot| snapshot.resources).unwrap_or_default())
    }

    /// How long a Region may take for the first plan: what is left of its time, give or take a [`MOMENT`]. If that has been spent on
    /// waiting for one that is silent, which is not asked again, the other one has all of it.
    pub fn time_left(&self) -> Duration {
        if self.target.endpoint.aws.has_silence() {
            return self.timeout;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left + MOMENT > self.timeout { self.timeout } else { left.max(MOMENT) }
    }

    /// What a first plan is made from, if no data may be lost and nothing is taken over.
    pub fn plan_inputs<'a>(&self, entries: &'a BTreeMap<Address, Entry>) -> PlanInputs<'a> {
        PlanInputs { entries, adopt: false, timeout: self.time_left(), consent: &Consent::Nothing }
    }

    /// Reads what exists in AWS, and decides what has to be done.
    pub async fn plan(&self, inputs: &PlanInputs<'_>, shutdown: &Shutdown) -> Result<Plan, CliError> {
        self.target.plan(inputs, shutdown).await
    }

    /// Checks what a plan is going to create or change.
    pub async fn preflight(&self, plan: &Plan, shutdown: &Shutdown) -> Result<Findings, CliError> {
        let regions = &self.target.identity.regions;
        let preflight = Preflight {
            aws: &self.target.endpoint.aws,
            config: &self.config,
            account: &self.target.identity.account,
            regions: [&regions.primary, &regions.secondary],
            zones: [&self.facts.primary_zones, &self.facts.secondary_zones],
            plan,
        };
        // What was silent while the plan was made is not asked again, so that this takes no longer than the other Region needs. A
        // question that follows from the answer to another one has its time, too.
        self.target.endpoint.ask_for(self.timeout, self.timeout * 2, preflight.run(), shutdown).await
    }

    /// What every view shows about the stack.
    pub fn context(&self, full: bool) -> PlanContext {
        self.target.context(full)
    }
}

/// A state that belongs to other Regions, and holds nothing but the keys that `down` has kept for final snapshots: what was said about
/// moving a stack has been done already.
fn remnants(mut error: StateError, snapshot: &Snapshot) -> StateError {
    let keys = &snapshot.resources;
    let StateError::Foreign { what, expected, help, .. } = &mut error else { return error };
    if !what.ends_with("Region") || keys.keys().any(|address| address.kind() != "kms_key") {
        return error;
    }
    let named: Vec<String> = keys.iter().map(|(address, entry)| format!("{address} in {}", entry.region)).collect();
    let list = |entry: &Entry| {
        format!(
            "`aws rds describe-db-cluster-snapshots --region {} --query \"DBClusterSnapshots[?KmsKeyId=='{}'].DBClusterSnapshotIdentifier\"`",
            entry.region,
            entry.arn.as_deref().unwrap_or_default()
        )
    };
    let lists: Vec<String> = keys.values().map(list).collect();
    *help = format!(
        "Nothing was changed. `drctl down` deleted the previous stack except for {}, which its final snapshots need.\nTo keep them, use a \
         separate state for the stack in the new Regions: run `drctl up --state-dir state-{expected}`, and pass the same option to every \
         later command.\nTo remove them, delete the snapshots (`aws rds delete-db-cluster-snapshot`), which are listed by\n{}\nand run \
         `drctl down` again. It uses the recorded Regions, whatever drctl.toml says.",
        named.join(" and "),
        lists.join("\n")
    );
    error
}

/// The account, unless one of the Regions turns out not to exist: nothing answers at its host name, and asking it again takes
/// long.
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

async fn account(
    endpoint: &Endpoint,
    regions: &Regions,
    recorded: Option<&Snapshot>,
    availability: Availability,
    timeout: Duration,
) -> Result<String, Failure> {
    let recorded = recorded.filter(|_| availability == Availability::BestEffort);
    // The plan that follows needs time as well.
    let limit = if recorded.is_some() { timeout / 3 } else { timeout };
    match (endpoint.account(regions, limit).await, recorded) {
        // Nothing is changed on behalf of a remembered account; it is only read.
        (Err(failure), Some(snapshot)) if failure.class != Class::Denied => Ok(snapshot.identity.account.clone()),
        (account, _) => account,
    }
}

/// The zones that are used in the primary and in the secondary Region.
async fn zones(
    aws: &Arc<Aws>,
    identity: &Identity,
    entries: &BTreeMap<Address, Entry>,
    availability: Availability,
) -> Result<[[String; 3]; 2], Failure> {
    let zones = |role: Role, region: &str| {
        let region = Region::from(region);
        async move {
            if let Some(zones) = Facts::recorded_zones(entries, role) {
                return Ok(zones);
            }
            match Facts::discover_zones(aws, &region).await {
                // With nothing recorded and no answer, no resource of the Region can be read either: the names are never used.
                Err(failure) if availability.goes_on_without(&failure) => {
                    Ok(["a", "b", "c"].map(|letter| format!("{region}{letter}")))
                }
                zones => zones,
            }
        }
    };
    let (primary, secondary) = futures::future::try_join(
        zones(Role::Primary, &identity.regions.primary),
        zones(Role::Secondary, &identity.regions.secondary),
    )
    .await?;
    Ok([primary, secondary])
}
