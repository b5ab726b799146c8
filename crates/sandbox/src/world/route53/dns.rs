//! The name servers of the hosted zones, on loopback.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use super::answer::{self, Reply};
use super::checkers::Checkers;
use super::zones::{ReadError, Zone};

/// How long a TCP connection may be idle.
const IDLE: Duration = Duration::from_secs(30);

/// How many answers may wait to be sent on a TCP connection.
const QUEUED: usize = 32;

/// The largest answer over UDP for which nobody needs IP fragments that get lost; on loopback, anything would do. It is what
/// Route 53's own servers announce.
const LARGEST_UDP: u16 = 4096;

/// A TCP port that is free need not be free for UDP, but so many in a row are not taken.
const PORT_ATTEMPTS: usize = 8;

/// Whose zones a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The zones of one account.
    Account(String),
    /// The zones of all accounts. If several have a zone of the same name, the account that was heard of first answers, as on
    /// AWS only one of such zones is delegated to. See docs/aws-behaviour.md#second-zone-of-a-domain.
    Everyone,
}

/// A name server on a port of loopback, over UDP and TCP. It ends when this is dropped.
pub(crate) struct DnsServer {
    address: SocketAddr,
    _server: Server<Handler>,
}

impl DnsServer {
    /// Starts a server on this port, or on a free one if it is 0.
    ///
    /// # Errors
    /// If the port is taken.
    pub(crate) async fn bind(checkers: Checkers, whose: Whose, port: u16) -> io::Result<Self> {
        let (udp, tcp) = sockets(port).await?;
        let address = udp.local_addr()?;
        let mut server = Server::new(Handler { checkers, whose });
        server.register_socket(udp);
        server.register_listener(tcp, IDLE, QUEUED);
        Ok(Self { address, _server: server })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The same port for UDP and TCP. TCP chooses it: its ports are the scarce ones, since connections that have ended keep theirs
/// for a minute.
async fn sockets(port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let mut attempt = 1;
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if port != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(error) => tracing::debug!(%error, "the port of the name server is taken for UDP"),
        }
        attempt += 1;
    }
}

/// A server for each account, started when its address is asked for: accounts that have zones of the same name each ask their
/// own.
pub(crate) struct NameServers {
    checkers: Checkers,
    servers: tokio::sync::Mutex<BTreeMap<String, DnsServer>>,
}

impl NameServers {
    pub(crate) fn new(checkers: Checkers) -> Self {
        Self { checkers, servers: tokio::sync::Mutex::default() }
    }

    /// Where the server of an account listens.
    ///
    /// # Errors
    /// If there is no port for it.
    pub(crate) async fn address_of(&self, account: &str) -> io::Result<SocketAddr> {
        let mut servers = self.servers.lock().await;
        if let Some(server) = servers.get(account) {
            return Ok(server.address());
        }
        let server = DnsServer::bind(self.checkers.clone(), Whose::Account(account.to_owned()), 0).await?;
        let address = server.address();
        servers.insert(account.to_owned(), server);
        Ok(address)
    }

    /// Ends all of them, because "AWS" has been emptied.
    pub(crate) async fn reset(&self) {
        self.servers.lock().await.clear();
    }
}

struct Handler {
    checkers: Checkers,
    whose: Whose,
}

impl Handler {
    async fn judge(&self, request: &Request) -> Reply {
        if request.version() > 0 {
            return Reply::code(ResponseCode::BADVERS);
        }
        if request.metadata.message_type != MessageType::Query {
            return Reply::code(ResponseCode::FormErr);
        }
        if request.metadata.op_code != OpCode::Query {
            return Reply::code(ResponseCode::NotImp);
        }
        let Ok(info) = request.request_info() else { return Reply::code(ResponseCode::FormErr) };
        let query = info.query.original();
        if query.query_class() != DNSClass::IN {
            return Reply::code(ResponseCode::Refused);
        }
        self.reply(query.name(), query.query_type()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, name = %query.name(), "the name server cannot answer");
            Reply::code(ResponseCode::ServFail)
        })
    }

    async fn reply(&self, asked: &Name, kind: RecordType) -> Result<Reply, ReadError> {
        if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
            return Ok(Reply::code(ResponseCode::Refused));
        }
        if let Some(reply) = answer::of_aws(asked, kind) {
            return Ok(reply);
        }
        let accounts = match &self.whose {
            Whose::Account(account) => vec![account.clone()],
            Whose::Everyone => self.checkers.accounts(),
        };
        let mut closest: Option<(u8, String, Arc<Vec<Zone>>, usize)> = None;
        let mut unread = None;
        for account in accounts {
            let zones = match self.checkers.zones(&account).await {
                Ok(zones) => zones,
                // Of other accounts, the answer may be known.
                Err(error) => {
                    unread = Some(error);
                    continue;
                }
            };
            if let Some((labels, at)) = closest_zone(&zones, asked)
                && closest.as_ref().is_none_or(|(most, ..)| labels > *most)
            {
                closest = Some((labels, account, zones, at));
            }
        }
        match (closest, unread) {
            (Some((_, account, zones, at)), _) => {
                let checks = self.checkers.checks(&account).await?;
                Ok(answer::of_zone(&zones[at], &checks, asked, kind))
            }
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Reply::code(ResponseCode::Refused)),
        }
    }
}

/// The zone that a name is in, by its number, and how many labels its name has; the smallest if there are several.
fn closest_zone(zones: &[Zone], asked: &Name) -> Option<(u8, usize)> {
    let mut closest: Option<(u8, usize)> = None;
    for (at, zone) in zones.iter().enumerate() {
        if let Some(apex) = answer::apex(zone)
            && apex.zone_of(asked)
            && closest.is_none_or(|(most, _)| apex.num_labels() > most)
        {
            closest = Some((apex.num_labels(), at));
        }
    }
    closest
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_version(0).set_max_payload(asked.max_payload().clamp(512, LARGEST_UDP));
            edns
        });
        let reply = self.judge(request).await;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = reply.code;
        metadata.authoritative = reply.authoritative;
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
            metadata,
            &reply.answers,
            &reply.referral,
            &reply.soa,
            &[],
        );
        handle.send_response(response).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "an answer of the name server was not sent");
            ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
        })
    }
}

#[cfg(test)]
mod tests;
