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

pub(crate) use answer::Leading;
pub(crate) use checkers::{Checkers, Picture, Reporting, Rhythm};
pub(crate) use dns::{DnsServer, NameServers, Whose};
pub(crate) use emulator::Emulator;
pub(crate) use probe::{Network, Place, Places, in_sandbox};
pub(crate) use verdict::{Report, Verdict};
pub(crate) use zones::{ReadError, Zones};

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
    /// Starts a name server for the zones of all accounts on this port of loopback, or on a free one if it is 0. The checkers
    /// have nothing to look at until [`changed`](Self::changed) is called.
    ///
    /// # Errors
    /// If the port is taken.
    pub(crate) async fn start(
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

    /// The checkers, for their verdicts.
    pub(crate) fn checkers(&self) -> &Checkers {
        &self.checkers
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
mod tests {
    use super::zones::tests::Written;
    use super::*;

    #[tokio::test]
    async fn the_data_plane_starts_serves_and_is_reset() -> Result<(), Box<dyn std::error::Error>> {
        let start = async |port| {
            let (zones, places) = (Arc::new(Written::default()), in_sandbox(1, |_, _| false));
            Route53::start(zones, places, Arc::new(|_, _| true), Rhythm::WhenAsked, port).await
        };
        let route53 = start(0).await?;
        route53.changed("111122223333");
        assert_eq!(route53.checkers().accounts(), ["111122223333"]);
        assert_ne!(route53.address_of("111122223333").await?, route53.address());
        route53.reset().await;
        assert!(route53.checkers().accounts().is_empty());
        let port = route53.address().port();
        let error = start(port).await.err().map(|error| error.to_string());
        assert_eq!(error, Some(format!("cannot listen for DNS on 127.0.0.1, port {port}, over UDP and TCP")));
        drop(route53);
        Ok(())
    }
}
