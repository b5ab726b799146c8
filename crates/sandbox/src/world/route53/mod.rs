//! Route 53's data plane: health checkers that look at endpoints, and name servers that answer by what they find.
//!
//! The rules are those of [`drctl_failover_dns`]. Around them, [`Checkers`] takes the looks of sixteen checkers in eight
//! Regions at every health check of an account, and [`DnsServer`] answers the names of the hosted zones over UDP and TCP.
//! What Route 53 has is read from the emulator ([`Emulator`]), and only the addresses of the sandbox itself are looked at
//! ([`in_sandbox`]). [`Route53`] puts them together.

mod account;
mod answer;
mod checkers;
mod dns;
mod emulator;
mod probe;
mod tls;
mod verdict;
mod watch;
mod zones;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};

use super::regions::{Place, Regions};
use crate::rules::rule::Origin;
pub(crate) use answer::Tested;
use checkers::{Checkers, Picture, Reporting, Rhythm};
use dns::{DnsServer, NameServers, Whose};
use emulator::Emulator;
pub(crate) use probe::{HANGS, USER_AGENT};
use probe::{Network, Places, in_sandbox};
pub(crate) use verdict::{Report, Verdict};
pub(crate) use zones::ReadError;
use zones::Zones;

/// Why Route 53's data plane cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// There is no port for the name server.
    #[error("cannot listen for DNS on 127.0.0.1, port {port}, over UDP and TCP")]
    Listen {
        port: u16,
        #[source]
        source: io::Error,
    },
    /// The checkers cannot speak TLS.
    #[error("cannot set up TLS for the health checkers")]
    Tls(#[from] rustls::Error),
}

/// Route 53's data plane for all accounts of a sandbox.
pub(crate) struct Route53 {
    checkers: Checkers,
    everyone: DnsServer,
    of_accounts: NameServers,
}

impl Route53 {
    /// Starts it for a sandbox that listens at `port`. `aws` is what answers there, without what happens to calls on their way.
    /// `scale`: how many times faster than AWS time passes; `None` if nothing takes time. The name server for the zones of all
    /// accounts listens at `dns_port`, or at a free port if it is 0.
    ///
    /// # Errors
    /// If that port is taken.
    pub(crate) async fn of_sandbox(
        aws: Arc<dyn Origin>,
        regions: &Regions,
        port: u16,
        scale: Option<f64>,
        dns_port: u16,
    ) -> Result<Self, StartError> {
        let zones = Arc::new(Emulator::new(aws, regions.clone()));
        let regions = regions.clone();
        let reporting: Reporting =
            Arc::new(move |account, region| regions.is_heard(account, Place { region, service: "route53" }));
        // The sandbox serves no custom domains of APIs yet, so their names lead nowhere.
        let places = in_sandbox(port, |_, _| false);
        Self::start(zones, places, reporting, scale.map_or(Rhythm::WhenAsked, Rhythm::Scaled), dns_port).await
    }

    /// Starts a name server for the zones of all accounts on this port of loopback, or on a free one if it is 0. The checkers
    /// have nothing to look at until [`changed`](Self::changed) is called.
    ///
    /// # Errors
    /// If the port is taken.
    async fn start(
        zones: Arc<dyn Zones>,
        places: Places,
        reporting: Reporting,
        rhythm: Rhythm,
        port: u16,
    ) -> Result<Self, StartError> {
        let checkers = Checkers::new(zones, Arc::new(Network::new(places)?), reporting, rhythm);
        let everyone = DnsServer::bind(checkers.clone(), Whose::Everyone, port).await;
        let everyone = everyone.map_err(|source| StartError::Listen { port, source })?;
        Ok(Self { of_accounts: NameServers::new(checkers.clone()), checkers, everyone })
    }

    /// The accounts that have changed something in Route 53, in the order in which they did so first.
    pub(crate) fn accounts(&self) -> Vec<String> {
        self.checkers.accounts()
    }

    /// Where the names of an account lead now, and the status of each of its checks.
    ///
    /// # Errors
    /// If what the account has cannot be read.
    pub(crate) async fn picture(&self, account: &str) -> Result<Picture, ReadError> {
        self.checkers.picture(account).await
    }

    /// The status of one health check; `None` if there is no such check.
    ///
    /// # Errors
    /// If what the account has cannot be read.
    pub(crate) async fn verdict(&self, account: &str, check: &str) -> Result<Option<Verdict>, ReadError> {
        self.checkers.verdict(account, check).await
    }

    /// Makes sure that the metrics of an account's checks have a value for this moment, if nothing takes time.
    ///
    /// # Errors
    /// If what the account has cannot be read.
    pub(crate) async fn measure(&self, account: &str) -> Result<(), ReadError> {
        self.checkers.verdicts(account).await.map(|_| ())
    }

    /// The answer of the name servers to a question about a zone of an account; `None` if it has no such public zone.
    ///
    /// # Errors
    /// If what the account has cannot be read.
    pub(crate) async fn tested(
        &self,
        account: &str,
        zone: &str,
        name: &Name,
        kind: RecordType,
    ) -> Result<Option<Tested>, ReadError> {
        let zones = self.checkers.zones(account).await?;
        let Some(zone) = zones.iter().find(|one| one.id == zone) else { return Ok(None) };
        let checks = self.checkers.checks(account).await?;
        Ok(Some(answer::tested(zone, &checks, name, kind)))
    }

    /// To be called after each successful call that changes an account's Route 53.
    pub(crate) fn changed(&self, account: &str) {
        self.checkers.changed(account);
    }

    /// Where the name server for the zones of all accounts listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.everyone.address()
    }

    /// Where the name server for the zones of one account listens, which is started if nobody has asked for it before.
    ///
    /// # Errors
    /// If there is no port for it.
    pub(crate) async fn address_of(&self, account: &str) -> io::Result<SocketAddr> {
        self.of_accounts.address_of(account).await
    }

    /// Forgets all accounts and ends their servers, because "AWS" has been emptied. The server for everyone stays.
    pub(crate) async fn reset(&self) {
        self.checkers.reset();
        self.of_accounts.reset().await;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::zones::tests::{Written, http};
    use super::zones::{Configuration, Source};
    use super::*;
    use crate::world::World;

    /// A world with Route 53's data plane, and what there is.
    pub(crate) struct Attached {
        pub(crate) world: World,
        pub(crate) route53: Arc<Route53>,
        pub(crate) zones: Arc<Written>,
    }

    /// A world in which a health check of an account looks, when asked, at this port of loopback, and in which another check
    /// counts that one. The account has the public zone `Z1`, `example.com.`, with a failover pair `api.example.com.`, the primary
    /// of which depends on the check.
    pub(crate) async fn world_with_check(account: &str, id: &str, port: u16) -> Attached {
        use super::answer::tests::{pair, set, zone};
        let zones = Arc::new(Written::default());
        let primary = http(id, "localhost", port);
        let mut all = http("all", "localhost", port);
        all.check.kind = drctl_failover_dns::check::Kind::Calculated { children: vec![id.to_owned()], threshold: 1 };
        all.source = Source::Nothing;
        let host = |host: &str| set("api.example.com.", "CNAME", &[host]);
        let mut records = pair(host("p.example.org."), host("s.example.org."));
        records[0].health_check = Some(id.to_owned());
        let configuration =
            Configuration { checks: vec![primary, all], zones: vec![zone("example.com.", records.to_vec())] };
        zones.put(account, configuration);
        let places = in_sandbox(port, |_, _| false);
        let started = Route53::start(zones.clone(), places, Arc::new(|_, _| true), Rhythm::WhenAsked, 0).await;
        let (world, route53) = (World::default(), Arc::new(started.expect("a free port")));
        world.attach(&route53);
        Attached { world, route53, zones }
    }

    #[tokio::test]
    async fn the_data_plane_starts_serves_and_is_reset() -> Result<(), Box<dyn std::error::Error>> {
        let start = async |port| {
            let (zones, places) = (Arc::new(Written::default()), in_sandbox(1, |_, _| false));
            Route53::start(zones, places, Arc::new(|_, _| true), Rhythm::WhenAsked, port).await
        };
        let route53 = start(0).await?;
        route53.changed("111122223333");
        assert_eq!(route53.accounts(), ["111122223333"]);
        assert_ne!(route53.address_of("111122223333").await?, route53.address());
        route53.reset().await;
        assert!(route53.accounts().is_empty());
        let port = route53.address().port();
        let error = start(port).await.err().map(|error| error.to_string());
        assert_eq!(error, Some(format!("cannot listen for DNS on 127.0.0.1, port {port}, over UDP and TCP")));
        drop(route53);
        Ok(())
    }
}
