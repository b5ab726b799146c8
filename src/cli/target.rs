//! One stack at one endpoint: what a command reads, plans, and changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::error::CliError;
use super::ui::PlanContext;
use drctl_aws::resources::{Disposal, Registry};
use drctl_aws::{Aws, Scope};
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::{Address, Entry, Identity, Location};
use drctl_engine::{Consent, Decision, Graph, Observer, Plan, Region};

/// A stack and where it is.
pub struct Target {
    /// Where AWS answers.
    pub endpoint: Endpoint,
    /// The resource types, on behalf of this stack.
    pub registry: Registry,
    /// Which stack, in which account and Regions.
    pub identity: Identity,
    /// Where the files of its state are.
    pub location: Location,
    /// The desired resources: none for `down`.
    pub graph: Graph,
}

/// What a plan is made from, besides the target.
#[derive(Clone, Copy)]
pub struct PlanInputs<'a> {
    /// The resources in the state.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Whether resources without this stack's tags may be taken over.
    pub adopt: bool,
    /// How long one Region may take to answer.
    pub timeout: Duration,
    /// Which data may be lost.
    pub consent: &'a Consent,
}

impl Target {
    /// Says what is kept of what is deleted, instead of what is kept by default.
    pub fn dispose(&mut self, disposal: Disposal) {
        self.registry = registry(&self.endpoint.aws, &self.identity, disposal);
    }

    /// The full name of the stack, e.g. `payment-dr-dev`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.identity.stack, self.identity.environment)
    }

    /// In which account the stack is, and whether that is real AWS.
    pub fn place(&self) -> String {
        let endpoint = self.endpoint.aws.endpoint();
        let at = endpoint.map_or_else(|| "real AWS".to_owned(), |endpoint| format!("endpoint {endpoint}"));
        format!("account {}, {at}", self.identity.account)
    }

    /// What every view shows about the stack.
    pub fn context(&self, full: bool) -> PlanContext {
        PlanContext {
            title: self.name(),
            account: self.identity.account.clone(),
            primary_region: self.identity.regions.primary.clone(),
            secondary_region: self.identity.regions.secondary.clone(),
            endpoint: self.endpoint.aws.endpoint().map(str::to_owned),
            verbose: full,
        }
    }

    /// Reads what exists in AWS, and decides what has to be done.
    pub async fn plan(&self, inputs: &PlanInputs<'_>, shutdown: &Shutdown) -> Result<Plan, CliError> {
        // Nothing that was listed for an earlier plan may be used for this one.
        self.registry.forget();
        let PlanInputs { entries, adopt, timeout, consent } = *inputs;
        let (graph, drivers) = (&self.graph, &self.registry);
        let observer = Observer { graph, entries, drivers, timeout, adopt };
        let observed = self.endpoint.ask(timeout, observer.observe(), shutdown).await?;
        let respect_unsupported = self.endpoint.aws.is_custom_endpoint();
        let mut plan = Decision { graph, entries, drivers, observed: &observed, respect_unsupported, consent }.plan();
        self.weigh(&mut plan, timeout, shutdown).await?;
        Ok(plan)
    }

    /// Finds out what the deletions of a plan mean. Who was silent before is not asked again.
    pub async fn weigh(&self, plan: &mut Plan, timeout: Duration, shutdown: &Shutdown) -> Result<(), CliError> {
        self.endpoint.ask(timeout, plan.weigh(&self.registry, timeout), shutdown).await
    }
}

/// The resource types on behalf of a stack.
pub fn registry(aws: &Arc<Aws>, identity: &Identity, disposal: Disposal) -> Registry {
    let scope = Scope {
        stack: identity.stack.clone(),
        environment: identity.environment.clone(),
        account: identity.account.clone(),
    };
    Registry::disposing(aws, scope, &Region::from(identity.regions.primary.as_str()), disposal)
}
