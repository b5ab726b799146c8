//! The world in which the emulated AWS stands: what happens to whole Regions, and whatever takes place between them.
//!
//! | part | what it holds |
//! |---|---|
//! | [`aurora`] | Aurora's clusters, each a PostgreSQL server |
//! | [`metrics`] | what AWS's services measure, on its way to CloudWatch |
//! | [`postgres`] | real PostgreSQL servers, which replicate through a pipe that can be late, slow, or cut |
//! | [`regions`] | the condition of each Region: up, out, isolated, or slow |
//! | [`replication`] | what one Region owes another, and how long it takes to arrive |
//! | [`route53`] | health checkers that look at endpoints, and name servers that answer by their verdicts |
//!
//! A part knows nothing of calls and answers: the rules ask it, and `/_drctl/…` changes it.

pub(crate) mod aurora;
pub(crate) mod metrics;
pub mod postgres;
pub(super) mod regions;
pub(super) mod replication;
pub(crate) mod route53;

use std::sync::{Arc, OnceLock, Weak};

use aurora::Aurora;
use aurora::databases::GlobalDatabases;
use metrics::Metrics;
use regions::Regions;
use replication::Replication;
use route53::Route53;

/// The world of one sandbox. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) regions: Regions,
    pub(super) aurora: Aurora,
    pub(super) databases: GlobalDatabases,
    pub(super) replication: Replication,
    pub(super) metrics: Metrics,
    /// Weak, because it asks the rules about what Route 53 has, and the rules ask it about what follows.
    route53: Arc<OnceLock<Weak<Route53>>>,
}

impl World {
    /// `place`: where Aurora's servers are; `None` if there can be none. `scale`: how many times faster than AWS time
    /// passes; `None` if nothing takes AWS's time.
    pub(super) fn new(place: Option<aurora::Place>, scale: Option<f64>) -> Self {
        let regions = Regions::default();
        let has_servers = place.is_some();
        let aurora = Aurora::new(place, &regions, scale);
        let databases = if has_servers {
            let servers = Arc::new(aurora.clone());
            GlobalDatabases::new(regions.clone(), Arc::clone(&servers) as _, servers, scale)
        } else {
            GlobalDatabases::without_servers(regions.clone(), scale)
        };
        let replication = Replication::new(regions.clone(), scale);
        Self { regions, aurora, databases, replication, metrics: Metrics::default(), route53: Arc::default() }
    }

    /// Makes Route 53's data plane known to the rules. There is only one: a second call changes nothing.
    pub(super) fn attach(&self, route53: &Arc<Route53>) {
        self.route53.get_or_init(|| Arc::downgrade(route53));
    }

    /// Route 53's data plane; `None` before it has started, and after it has ended.
    pub(super) fn route53(&self) -> Option<Arc<Route53>> {
        self.route53.get()?.upgrade()
    }
}

/// The world of the instant pace.
impl Default for World {
    fn default() -> Self {
        Self::new(None, None)
    }
}
