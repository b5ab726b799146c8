//! What Route 53 has in an account: health checks, and hosted zones with their records.

use std::net::IpAddr;
use std::time::Duration;

use drctl_failover_dns::check::{AlarmState, Check};
use drctl_failover_dns::record::Records;
use futures::future::BoxFuture;

/// Why Route 53's configuration, or an alarm, cannot be read, or a metric not be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service}:{operation} of account {account} failed in the emulator: {reason}")]
pub(crate) struct ReadError {
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) account: String,
    pub(crate) reason: String,
}

/// Where the checkers and the DNS server learn what they have to check and to answer.
pub(crate) trait Zones: Send + Sync {
    /// Everything that Route 53 has in an account.
    ///
    /// # Errors
    /// If it cannot be read. An account that has nothing is not an error.
    fn read<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<Configuration, ReadError>>;

    /// The state of a CloudWatch alarm. An alarm that does not exist has no data.
    ///
    /// # Errors
    /// If it cannot be read.
    fn alarm<'a>(&'a self, account: &'a str, alarm: &'a Alarm) -> BoxFuture<'a, Result<AlarmState, ReadError>>;

    /// Adds values to the metrics of health checks.
    ///
    /// # Errors
    /// If they are not accepted.
    fn publish<'a>(&'a self, account: &'a str, values: Vec<Measured>) -> BoxFuture<'a, Result<(), ReadError>>;
}

/// A value of a metric of a health check.
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-health-checks.html>
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    /// The check's id.
    pub(crate) check: String,
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

/// What Route 53 has in one account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    pub(crate) checks: Vec<HealthCheck>,
    /// The public zones. Private zones answer inside a VPC only, and nothing in the sandbox is inside one.
    pub(crate) zones: Vec<Zone>,
}

/// A public hosted zone.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) id: String,
    /// Its name, with or without the dot at the end.
    pub(crate) name: String,
    pub(crate) records: Records,
}

/// A health check, and what it looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthCheck {
    pub(crate) check: Check,
    pub(crate) source: Source,
}

/// What a health check looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An endpoint, over the network.
    Endpoint(Endpoint),
    /// A CloudWatch alarm.
    Alarm(Alarm),
    /// Other checks, or something that does not exist in the sandbox.
    Nothing,
}

/// A CloudWatch alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) region: String,
    pub(crate) name: String,
}

/// The protocol in which an endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A connection is enough.
    Tcp,
    Http,
    Https,
}

/// What the checkers of a health check look at, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) protocol: Protocol,
    /// `FullyQualifiedDomainName`; empty if the check has only an address.
    pub(crate) host: String,
    /// `IPAddress`: if there is one, it is asked, and `host` is only the name in the request.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) path: String,
    /// `SearchString`: what the answer's body has to contain.
    pub(crate) search: Option<String>,
    /// `EnableSNI`: whether the TLS handshake names the host.
    pub(crate) sni: bool,
    /// `RequestInterval`: the time between two looks of one checker.
    pub(crate) interval: Duration,
    /// `Regions`: those whose checkers look; empty for all of them.
    pub(crate) regions: Vec<String>,
}

impl Endpoint {
    /// The `Host` header: "If you specify a value of 80 for Port and HTTP …, or 443 … and HTTPS …, Route 53 passes the
    /// value of `FullyQualifiedDomainName` to the endpoint in the Host header"; another port is passed with it.
    /// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html>
    pub(crate) fn host_header(&self) -> String {
        let host = match self.address {
            Some(address) if self.host.is_empty() => address.to_string(),
            _ => self.host.clone(),
        };
        match (self.protocol, self.port) {
            (Protocol::Http, 80) | (Protocol::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use drctl_failover_dns::check::Kind;
    use futures::FutureExt;

    use super::*;
    use crate::sync::lock;

    /// What a test says that Route 53 and CloudWatch have.
    #[derive(Default)]
    pub(crate) struct Written {
        accounts: Mutex<BTreeMap<String, Configuration>>,
        alarms: Mutex<BTreeMap<String, AlarmState>>,
        broken: Mutex<bool>,
        reads: AtomicUsize,
        published: Mutex<Vec<Measured>>,
    }

    impl Written {
        pub(crate) fn put(&self, account: &str, configuration: Configuration) {
            lock(&self.accounts).insert(account.to_owned(), configuration);
        }

        pub(crate) fn set_alarm(&self, name: &str, state: AlarmState) {
            lock(&self.alarms).insert(name.to_owned(), state);
        }

        pub(crate) fn break_down(&self, broken: bool) {
            *lock(&self.broken) = broken;
        }

        /// The values that were published since this was asked last.
        pub(crate) fn published(&self) -> Vec<Measured> {
            std::mem::take(&mut *lock(&self.published))
        }

        /// How often an account was read.
        pub(crate) fn reads(&self) -> usize {
            self.reads.load(Ordering::Relaxed)
        }
    }

    impl Zones for Written {
        fn read<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<Configuration, ReadError>> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            let result = if *lock(&self.broken) {
                Err(ReadError {
                    service: "route53",
                    operation: "ListHealthChecks",
                    account: account.to_owned(),
                    reason: "it is broken".to_owned(),
                })
            } else {
                Ok(lock(&self.accounts).get(account).cloned().unwrap_or_default())
            };
            async move { result }.boxed()
        }

        fn alarm<'a>(&'a self, _: &'a str, alarm: &'a Alarm) -> BoxFuture<'a, Result<AlarmState, ReadError>> {
            let state = lock(&self.alarms).get(&alarm.name).copied().unwrap_or(AlarmState::InsufficientData);
            async move { Ok(state) }.boxed()
        }

        fn publish<'a>(&'a self, _: &'a str, values: Vec<Measured>) -> BoxFuture<'a, Result<(), ReadError>> {
            lock(&self.published).extend(values);
            async { Ok(()) }.boxed()
        }
    }

    /// A check of `http://host:port/health`, every 10 seconds, with a threshold of 3.
    pub(crate) fn http(id: &str, host: &str, port: u16) -> HealthCheck {
        let (host, path) = (host.to_owned(), "/health".to_owned());
        let kind = Kind::Endpoint { host: host.clone(), path: path.clone(), failure_threshold: 3 };
        let endpoint = Endpoint {
            protocol: Protocol::Http,
            host,
            address: None,
            port,
            path,
            search: None,
            sni: false,
            interval: Duration::from_secs(10),
            regions: Vec::new(),
        };
        HealthCheck {
            check: Check { id: id.to_owned(), kind, inverted: false, disabled: false },
            source: Source::Endpoint(endpoint),
        }
    }

    #[test]
    fn the_host_header_names_the_port_unless_it_is_the_protocols_own() {
        let Source::Endpoint(endpoint) = http("c", "api.example.com", 80).source else { panic!("an endpoint") };
        let header = |protocol, port| Endpoint { protocol, port, ..endpoint.clone() }.host_header();
        assert_eq!(header(Protocol::Http, 80), "api.example.com");
        assert_eq!(header(Protocol::Https, 443), "api.example.com");
        assert_eq!(header(Protocol::Http, 443), "api.example.com:443");
        assert_eq!(header(Protocol::Https, 8443), "api.example.com:8443");
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(Endpoint { address, host: String::new(), ..endpoint }.host_header(), "192.0.2.1");
    }
}
