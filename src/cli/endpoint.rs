//! Where AWS answers: AWS itself, the sandbox, or another emulator.

use std::sync::Arc;
use std::time::Duration;

use super::args::Global;
use super::error::CliError;
use super::interrupt::unless_interrupted;
use super::local::{LocalAws, local_aws};
use super::output::Output;
use super::waiting;
use drctl_aws::{Aws, Connection, Settings, Unusable};
use drctl_engine::cancel::Shutdown;
use drctl_engine::state::Regions;
use drctl_engine::{Failure, Region, RunOptions, Timing};

/// How many steps may run in one Region at the same time: below the burst of every rate limit.
pub const CAP: usize = 16;

/// AWS, or an endpoint in its place.
pub struct Endpoint {
    /// The clients.
    pub aws: Arc<Aws>,
    local: Option<LocalAws>,
    output: Output,
}

impl Endpoint {
    /// Connects to AWS, or with `--sandbox` to the sandbox, which is started if it is not running.
    pub async fn connect(global: &Global, [primary, secondary]: [&str; 2], output: &Output) -> Result<Self, CliError> {
        let mut connection = Connection { region: primary.to_owned(), ..Connection::default() };
        let local = local_aws(global, output).await?;
        // The sandbox needs nothing from the environment or from a profile.
        let aws = if let Some(local) = &local {
            connection.endpoint = Some(local.endpoint.clone());
            connection.account = Some(local.account.clone());
            Aws::connect(&connection).await
        } else {
            let settings = Settings::read().await?.besides(secondary);
            if let Some(notice) = settings.notice() {
                output.progress(&notice);
            }
            Aws::with_settings(&connection, settings).await
        };
        Ok(Self { aws: Arc::new(aws), local, output: output.clone() })
    }

    /// Awaits calls to AWS. If they take a while, the Regions that have not answered are named on stderr.
    pub async fn waiting<T>(&self, work: impl Future<Output = T>) -> T {
        waiting::watch(&self.output, &self.aws, work).await
    }

    /// As [`Self::waiting`], for work that changes nothing: it is abandoned at the first signal, and a Region or service that
    /// does not answer within `limit` is not waited for.
    pub async fn ask<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
        shutdown: &Shutdown,
    ) -> Result<T, CliError> {
        self.ask_for(limit, limit, work, shutdown).await
    }

    /// The same, where all answers together may take longer than each of them.
    pub async fn ask_for<T>(
        &self,
        answer: Duration,
        whole: Duration,
        work: impl Future<Output = T>,
        shutdown: &Shutdown,
    ) -> Result<T, CliError> {
        let _looking = self.aws.looking(answer, whole);
        unless_interrupted(shutdown, async { Ok(self.waiting(work).await) }).await
    }

    /// The account. Both Regions are asked at the same time.
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

    /// How a run is carried out at this endpoint.
    pub fn options(&self, adopt: bool) -> RunOptions {
        let timing = if self.aws.is_custom_endpoint() {
            // Emulators are consistent at once. Only a call that was in flight when drctl was killed may still come through.
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
        RunOptions { cap: CAP, timing, adopt }
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
