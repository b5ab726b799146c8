//! How long replication takes: what each service usually needs, and what was ordered.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The services whose replication takes time here, by their signing names, with the seconds that it usually takes.
///
/// DynamoDB speaks of "typically within a second"
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html>), S3 of most
/// objects within 15 minutes, and of seconds for small ones
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-time-control.html>). Aurora replicates "with latency typically under a second"
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html>); its servers do so by
/// themselves. Nothing is said of secrets.
const USUAL: [(&str, f64, f64); 4] =
    [("aurora", 0.1, 0.8), ("dynamodb", 0.5, 1.5), ("s3", 1.0, 15.0), ("secretsmanager", 0.5, 1.5)];

/// How long it takes for the usual lag to go up and down once. It is the same for everybody at the same time, so that
/// what was written first also arrives first.
const TIDE: f64 = 60.0;

/// An order: how long the replication of a service shall take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LagOrder {
    /// In seconds; as long as usual if there are none.
    pub lag: Option<f64>,
}

/// Orders for services, by their signing names.
pub type LagOrders = BTreeMap<String, LagOrder>;

/// How long the replication of a service takes, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    /// At least.
    pub lag: f64,
    /// At most; none if that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<f64>,
    /// Whether it was ordered.
    pub ordered: bool,
}

/// The account that an order is for, or all of them; and the service.
type Key = (Option<String>, &'static str);

/// The lags of all services and accounts.
#[derive(Debug, Default)]
pub(super) struct Lags {
    /// How many times faster than AWS time passes; `None` if nothing takes time.
    scale: Option<f64>,
    ordered: BTreeMap<Key, Duration>,
}

/// The service with this signing name, if it replicates.
pub(super) fn service(name: &str) -> Option<&'static str> {
    USUAL.iter().map(|(service, ..)| *service).find(|service| *service == name)
}

impl Lags {
    pub(super) fn new(scale: Option<f64>) -> Self {
        Self { scale, ordered: BTreeMap::new() }
    }

    /// Carries out orders for one account, or for all of them.
    ///
    /// # Errors
    ///
    /// When an order makes no sense: then none is carried out.
    pub(super) fn order(&mut self, account: Option<&str>, orders: &LagOrders) -> Result<(), String> {
        let mut checked = Vec::new();
        for (name, order) in orders {
            let known = || USUAL.map(|(service, ..)| service).join(", ");
            let service =
                service(name).ok_or_else(|| format!("`{name}` does not replicate here; what does are {}", known()))?;
            let lag = order.lag.map(Duration::try_from_secs_f64).transpose();
            let lag = lag.map_err(|_| format!("{name}: `lag` must be a number of seconds, or null"))?;
            checked.push(((account.map(str::to_owned), service), lag));
        }
        for (key, lag) in checked {
            match lag {
                Some(lag) => self.ordered.insert(key, lag),
                None => self.ordered.remove(&key),
            };
        }
        Ok(())
    }

    /// The lag that was ordered for an account, or for all of them.
    pub(super) fn ordered(&self, account: &str, service: &'static str) -> Option<Duration> {
        let of = |account: Option<&str>| self.ordered.get(&(account.map(str::to_owned), service));
        of(Some(account)).or_else(|| of(None)).copied()
    }

    /// The usual lag at a moment, this long after the sandbox was started.
    pub(super) fn usual(&self, service: &'static str, after: Duration) -> Duration {
        let usual = USUAL.iter().find(|(name, ..)| *name == service);
        let (Some((_, least, most)), Some(scale)) = (usual, self.scale) else { return Duration::ZERO };
        let tide = (after.as_secs_f64() * scale / TIDE * TAU).cos();
        let seconds = f64::midpoint(*least, *most) - (most - least) / 2.0 * tide;
        Duration::try_from_secs_f64(seconds / scale).unwrap_or_default()
    }

    /// The lags of an account, or those for all accounts.
    pub(super) fn shown(&self, account: Option<&str>) -> BTreeMap<String, Lag> {
        let shown = |(service, least, most): (&'static str, f64, f64)| {
            let ordered = [account, None]
                .into_iter()
                .find_map(|account| self.ordered.get(&(account.map(str::to_owned), service)));
            let lag = match (ordered, self.scale) {
                (Some(lag), _) => Lag { lag: lag.as_secs_f64(), up_to: None, ordered: true },
                (None, Some(scale)) => Lag { lag: least / scale, up_to: Some(most / scale), ordered: false },
                (None, None) => Lag { lag: 0.0, up_to: None, ordered: false },
            };
            (service.to_owned(), lag)
        };
        USUAL.map(shown).into_iter().collect()
    }

    /// Forgets what was ordered for one account, or everything.
    pub(super) fn reset(&mut self, account: Option<&str>) {
        self.ordered.retain(|(of, _), _| account.is_some() && of.as_deref() != account);
    }
}
