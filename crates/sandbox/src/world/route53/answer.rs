//! What a name server of Route 53 answers to one question, given a zone and the statuses of the checks.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::str::FromStr;

use drctl_failover_dns::check::Checks;
use drctl_failover_dns::record::{Record as Set, Target, bare};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde::Serialize;

use super::probe::api_of;
use super::zones::Zone;

/// The TTL of an alias of an API's custom domain, in seconds. See docs/aws-behaviour.md#alias-ttl.
const ALIAS_TTL: u32 = 60;

/// How many aliases and CNAMEs are followed before a name is taken to lead to itself.
const LONGEST_CHAIN: usize = 16;

/// The SOA record of AWS's own zones, which the sandbox makes up.
const SOA_OF_AWS: &str = "ns-1.awsdns-1.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
const SOA_TTL: u32 = 900;

/// An answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) code: ResponseCode,
    /// Whether it is of a zone of this server's, and not about where to ask.
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Record>,
    /// The name servers of the zone to ask instead.
    pub(super) referral: Vec<Record>,
    /// The record by which resolvers know how long a name does not exist.
    pub(super) soa: Vec<Record>,
}

impl Reply {
    /// A code and nothing else.
    pub(super) fn code(code: ResponseCode) -> Self {
        Self { code, authoritative: false, answers: Vec::new(), referral: Vec::new(), soa: Vec::new() }
    }

    fn of(code: ResponseCode, answers: Vec<Record>) -> Self {
        Self { authoritative: true, answers, ..Self::code(code) }
    }
}

/// The name of a zone; `None` if it is not a valid name.
pub(super) fn apex(zone: &Zone) -> Option<Name> {
    name(&zone.name)
}

/// A name as Route 53 writes it: with codes for characters, as in `\052.example.com.`.
fn name(text: &str) -> Option<Name> {
    // With an emulator, the host name of an API has a port.
    let without_port = text.trim_end_matches('.').split(':').next()?;
    let parsed = Name::from_ascii(format!("{without_port}."));
    if let Err(error) = &parsed {
        tracing::warn!(%error, name = text, "a name in Route 53 is not a valid name in DNS");
    }
    parsed.ok()
}

/// The answer about AWS's own names, to which the records of a zone lead: an API is at the sandbox's port.
pub(super) fn of_aws(asked: &Name, kind: RecordType) -> Option<Reply> {
    let text = bare(&asked.to_ascii());
    api_of(&text)?;
    if matches!(kind, RecordType::A | RecordType::ANY) {
        return Some(Reply::of(ResponseCode::NoError, vec![loopback(asked)]));
    }
    let soa = RData::try_from_str(RecordType::SOA, SOA_OF_AWS).ok()?;
    let soa = vec![Record::from_rdata(asked.base_name(), SOA_TTL, soa)];
    Some(Reply { soa, ..Reply::of(ResponseCode::NoError, Vec::new()) })
}

fn loopback(owner: &Name) -> Record {
    Record::from_rdata(owner.clone(), ALIAS_TTL, RData::A(A(Ipv4Addr::LOCALHOST)))
}

/// The answer of a zone about a name in it.
pub(super) fn of_zone(zone: &Zone, checks: &Checks, asked: &Name, kind: RecordType) -> Reply {
    let Some(apex) = apex(zone) else { return Reply::code(ResponseCode::ServFail) };
    let names = zone.records.all().filter_map(|set| Some((name(&set.name)?, set))).collect();
    Lookup { zone, checks, apex, names }.reply(asked, kind)
}

/// Where a name is found in a zone.
enum Found<'a> {
    /// It has records, by this name: its own, or that of a wildcard.
    At(&'a str),
    /// It has none, but names below it have some.
    Empty,
    Nowhere,
}

struct Lookup<'a> {
    zone: &'a Zone,
    checks: &'a Checks,
    apex: Name,
    names: Vec<(Name, &'a Set)>,
}

impl<'a> Lookup<'a> {
    fn reply(&self, asked: &Name, kind: RecordType) -> Reply {
        let (mut owner, mut answers) = (asked.clone(), Vec::new());
        for _ in 0..LONGEST_CHAIN {
            if answers.is_empty()
                && let Some(referral) = self.referral(&owner)
            {
                return Reply { referral, ..Reply::code(ResponseCode::NoError) };
            }
            let at = match self.find(&owner) {
                Found::At(at) => at,
                Found::Empty => return self.negative(ResponseCode::NoError, answers),
                Found::Nowhere => return self.negative(ResponseCode::NXDomain, answers),
            };
            let own = self.records(&owner, at, kind);
            if !own.is_empty() {
                answers.extend(own);
                return Reply::of(ResponseCode::NoError, answers);
            }
            let alias = self.records(&owner, at, RecordType::CNAME);
            let Some(RData::CNAME(target)) = alias.first().map(|record| &record.data) else {
                return self.negative(ResponseCode::NoError, answers);
            };
            let target = target.0.clone();
            answers.extend(alias);
            if !self.apex.zone_of(&target) {
                return Reply::of(ResponseCode::NoError, answers);
            }
            owner = target;
        }
        tracing::warn!(name = %asked, zone = self.zone.name, "a name in Route 53 leads to itself");
        Reply::code(ResponseCode::ServFail)
    }

    fn negative(&self, code: ResponseCode, answers: Vec<Record>) -> Reply {
        let mut soa = self.records(&self.apex, &self.zone.name, RecordType::SOA);
        for record in &mut soa {
            // RFC 2308, 5: for as long as the smaller of the two says.
            if let RData::SOA(data) = &record.data {
                record.ttl = record.ttl.min(data.minimum);
            }
        }
        Reply { soa, ..Reply::of(code, answers) }
    }

    /// The name servers of the zone to which the name was delegated.
    fn referral(&self, asked: &Name) -> Option<Vec<Record>> {
        let cut = self.names.iter().find(|(name, set)| {
            set.record_type == "NS" && *name != self.apex && name.zone_of(asked) && self.apex.zone_of(name)
        });
        cut.map(|(name, set)| self.records(name, &set.name, RecordType::NS))
    }

    /// RFC 4592: the wildcard right below the closest name that exists.
    fn find(&self, asked: &Name) -> Found<'a> {
        if let Some(found) = self.at(asked) {
            return found;
        }
        let mut below = asked.clone();
        while self.apex.zone_of(&below) && below != self.apex {
            let parent = below.base_name();
            if parent == self.apex || self.at(&parent).is_some() {
                return self.at(&below.into_wildcard()).unwrap_or(Found::Nowhere);
            }
            below = parent;
        }
        Found::Nowhere
    }

    /// Whether a name exists, and where its records are.
    fn at(&self, asked: &Name) -> Option<Found<'a>> {
        if let Some((_, set)) = self.names.iter().find(|(name, _)| name == asked) {
            return Some(Found::At(&set.name));
        }
        self.names.iter().any(|(name, _)| asked.zone_of(name)).then_some(Found::Empty)
    }

    /// The records of a type that are found at a name, as records of the name that was asked for.
    fn records(&self, owner: &Name, at: &str, kind: RecordType) -> Vec<Record> {
        if kind != RecordType::ANY {
            return self.of_type(owner, at, kind, LONGEST_CHAIN);
        }
        let kinds: BTreeSet<&str> = self.names.iter().map(|(_, set)| set.record_type.as_str()).collect();
        let kinds = kinds.into_iter().filter_map(|kind| RecordType::from_str(kind).ok());
        kinds.flat_map(|kind| self.of_type(owner, at, kind, LONGEST_CHAIN)).collect()
    }

    fn of_type(&self, owner: &Name, at: &str, kind: RecordType, chain: usize) -> Vec<Record> {
        let Some(set) = self.zone.records.answer_of(at, &kind.to_string(), self.checks) else { return Vec::new() };
        match &set.target {
            Target::Values(values) => values.iter().filter_map(|value| record(owner, set, kind, value)).collect(),
            Target::Alias { name: target, in_zone: true, .. } => {
                // A chain that leads back to its beginning has no answer, as on AWS.
                let Some((target, rest)) = name(target).zip(chain.checked_sub(1)) else { return Vec::new() };
                match self.find(&target) {
                    Found::At(at) => self.of_type(owner, at, kind, rest),
                    Found::Empty | Found::Nowhere => Vec::new(),
                }
            }
            // What AWS has at the name is in the sandbox, which listens on IPv4 only.
            Target::Alias { .. } if kind == RecordType::A => vec![loopback(owner)],
            Target::Alias { .. } => Vec::new(),
        }
    }
}

fn record(owner: &Name, set: &Set, kind: RecordType, value: &str) -> Option<Record> {
    let data = if kind == RecordType::CNAME {
        name(value).map(|target| RData::CNAME(hickory_proto::rr::rdata::CNAME(target)))?
    } else {
        match RData::try_from_str(kind, value) {
            Ok(data) => data,
            Err(error) => {
                tracing::warn!(%error, name = set.name, %kind, value, "a record in Route 53 cannot be answered");
                return None;
            }
        }
    };
    Some(Record::from_rdata(owner.clone(), set.ttl.unwrap_or(ALIAS_TTL), data))
}

/// What `TestDNSAnswer` reports: the answer of the name servers to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tested {
    /// The name of the response code: `NOERROR`, `NXDOMAIN`, and so on.
    pub(crate) code: &'static str,
    /// The name server.
    pub(crate) server: String,
    /// The values of the answer.
    pub(crate) data: Vec<String>,
}

/// Asks a zone as a resolver would.
pub(super) fn tested(zone: &Zone, checks: &Checks, asked: &Name, kind: RecordType) -> Tested {
    let is_in_zone = apex(zone).is_some_and(|apex| apex.zone_of(asked));
    let reply = if is_in_zone { of_zone(zone, checks, asked, kind) } else { Reply::code(ResponseCode::Refused) };
    let servers = zone.records.answer_of(&zone.name, "NS", checks);
    let server = servers.and_then(|servers| servers.leads_to().first().map(|server| bare(server)));
    Tested {
        code: match reply.code {
            ResponseCode::NoError => "NOERROR",
            ResponseCode::NXDomain => "NXDOMAIN",
            ResponseCode::Refused => "REFUSED",
            _ => "SERVFAIL",
        },
        server: server.unwrap_or_default(),
        data: reply.answers.iter().map(|record| record.data.to_string()).collect(),
    }
}

/// Where a name with a failover pair leads now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Leading {
    /// The name, without the dot at its end.
    pub(crate) name: String,
    /// `A`, `CNAME`, `TXT`, and so on.
    pub(crate) record_type: String,
    /// Which record of the pair answers.
    pub(crate) set_identifier: String,
    /// Its values, or the name that an alias stands for.
    pub(crate) leads_to: Vec<String>,
}

/// Where all names with failover pairs lead.
pub(super) fn leading(zones: &[Zone], checks: &Checks) -> Vec<Leading> {
    let mut found = Vec::new();
    for zone in zones {
        let pairs = zone.records.all().filter(|set| set.failover.is_some());
        let pairs: BTreeSet<_> = pairs.map(|set| (bare(&set.name), set.record_type.clone())).collect();
        for (name, record_type) in pairs {
            if let Some(set) = zone.records.answer_of(&name, &record_type, checks) {
                let leads_to = set.leads_to().into_iter().map(str::to_owned).collect();
                found.push(Leading { name, record_type, set_identifier: set.set_identifier.clone(), leads_to });
            }
        }
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use drctl_failover_dns::check::{Check, Kind, Observation};
    use drctl_failover_dns::record::{Failover, Records};

    use super::*;

    pub(crate) fn set(name: &str, kind: &str, values: &[&str]) -> Set {
        Set {
            name: name.to_owned(),
            record_type: kind.to_owned(),
            set_identifier: String::new(),
            failover: None,
            health_check: None,
            ttl: Some(300),
            target: Target::Values(values.iter().map(|value| (*value).to_owned()).collect()),
        }
    }

    pub(crate) fn alias(of: Set, name: &str, in_zone: bool) -> Set {
        let target = Target::Alias { name: name.to_owned(), in_zone, evaluate_target_health: false };
        Set { target, ttl: None, ..of }
    }

    /// The two records of a failover pair: the primary with the check `p`, the secondary without one.
    pub(crate) fn pair(primary: Set, secondary: Set) -> [Set; 2] {
        let primary = Set {
            failover: Some(Failover::Primary),
            health_check: Some("p".to_owned()),
            set_identifier: "primary".to_owned(),
            ..primary
        };
        let secondary =
            Set { failover: Some(Failover::Secondary), set_identifier: "secondary".to_owned(), ..secondary };
        [primary, secondary]
    }

    /// A zone with the records that Route 53 itself makes.
    pub(crate) fn zone(name: &str, sets: Vec<Set>) -> Zone {
        let soa = set(name, "SOA", &["ns-1.awsdns-1.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 60"]);
        let ns = set(name, "NS", &["ns-1.awsdns-1.com.", "ns-2.awsdns-2.net."]);
        let records = Records::new([vec![soa, ns], sets].concat());
        Zone { id: "Z1".to_owned(), name: name.to_owned(), records }
    }

    /// The check `p`, healthy or not.
    fn checks(healthy: bool) -> Checks {
        let kind = Kind::Endpoint { host: "h".to_owned(), path: "/".to_owned(), failure_threshold: 1 };
        let mut checks = Checks::new([Check { id: "p".to_owned(), kind, inverted: false, disabled: false }]);
        checks.observe("p", &Observation::Answered(if healthy { 200 } else { 500 }));
        checks
    }

    fn ask(sets: Vec<Set>, healthy: bool, asked: &str, kind: RecordType) -> Reply {
        let asked = Name::from_ascii(asked).expect("a name");
        of_zone(&zone("Example.com.", sets), &checks(healthy), &asked, kind)
    }

    /// The answers, as `dig +short` shows them, with their TTLs.
    fn short(reply: &Reply) -> Vec<String> {
        reply.answers.iter().map(|record| format!("{} {} {}", record.name, record.ttl, record.data)).collect()
    }

    fn answers(sets: Vec<Set>, asked: &str, kind: RecordType) -> Vec<String> {
        let reply = ask(sets, true, asked, kind);
        assert_eq!((reply.code, reply.authoritative), (ResponseCode::NoError, true));
        short(&reply)
    }

    #[test]
    fn each_type_is_answered() {
        let sets = || {
            vec![
                set("www.example.com.", "A", &["192.0.2.1", "192.0.2.2"]),
                set("www.example.com.", "AAAA", &["2001:db8::1"]),
                set("www.example.com", "TXT", &["\"us-east-1\" \"two words\""]),
                set("example.com", "MX", &["10 mail.example.com."]),
            ]
        };
        let of = |asked: &str, kind| answers(sets(), asked, kind);
        assert_eq!(
            of("WWW.example.COM.", RecordType::A),
            ["WWW.example.COM. 300 192.0.2.1", "WWW.example.COM. 300 192.0.2.2"]
        );
        assert_eq!(of("www.example.com.", RecordType::AAAA), ["www.example.com. 300 2001:db8::1"]);
        assert_eq!(of("example.com.", RecordType::MX), ["example.com. 300 10 mail.example.com."]);
        assert_eq!(of("example.com.", RecordType::NS).len(), 2);
        assert_eq!(of("example.com.", RecordType::SOA).len(), 1);
        assert_eq!(of("www.example.com.", RecordType::ANY).len(), 4);
        let text = ask(sets(), true, "www.example.com.", RecordType::TXT);
        let RData::TXT(text) = &text.answers[0].data else { panic!("{text:?}") };
        assert_eq!(text.txt_data.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(), [&b"us-east-1"[..], b"two words"]);
    }

    #[test]
    fn a_pair_is_answered_by_the_check_of_its_primary() {
        let sets = || {
            let cname = |host: &str| set("api.example.com.", "CNAME", &[host]);
            let marker = |region: &str| set("_region.api.example.com.", "TXT", &[region]);
            let first = cname("p.execute-api.us-east-1.amazonaws.com");
            let second = cname("s.execute-api.localhost:4566");
            [pair(first, second), pair(marker("\"us-east-1\""), marker("\"us-east-2\""))].concat()
        };
        for (healthy, host, region) in [
            (true, "p.execute-api.us-east-1.amazonaws.com.", "us-east-1"),
            (false, "s.execute-api.localhost.", "us-east-2"),
        ] {
            for kind in [RecordType::CNAME, RecordType::A] {
                let reply = ask(sets(), healthy, "api.example.com.", kind);
                assert_eq!(short(&reply), [format!("api.example.com. 300 {host}")], "{kind}");
            }
            let reply = ask(sets(), healthy, "_region.api.example.com.", RecordType::TXT);
            assert!(reply.answers[0].data.to_string().contains(region), "{reply:?}");
        }
    }

    #[test]
    fn an_alias_of_an_api_leads_to_the_sandbox() {
        let of = |host: &str| alias(set("api.example.com.", "A", &[]), host, false);
        let sets = pair(of("d-1.execute-api.us-east-1.amazonaws.com."), of("d-2.execute-api.us-east-2.amazonaws.com."));
        assert_eq!(answers(sets.to_vec(), "api.example.com.", RecordType::A), ["api.example.com. 60 127.0.0.1"]);
        let reply = ask(sets.to_vec(), true, "api.example.com.", RecordType::AAAA);
        assert_eq!((reply.code, reply.answers.len(), reply.soa.len()), (ResponseCode::NoError, 0, 1));
        let leading = |healthy| leading(&[zone("example.com", sets.to_vec())], &checks(healthy));
        assert_eq!(leading(true)[0].leads_to, ["d-1.execute-api.us-east-1.amazonaws.com."]);
        assert_eq!((leading(false).len(), leading(false)[0].set_identifier.as_str()), (1, "secondary"));
    }

    #[test]
    fn an_alias_in_the_zone_has_the_answer_and_the_ttl_of_its_target() {
        let sets = vec![
            alias(set("example.com.", "A", &[]), "a.example.com.", true),
            alias(set("a.example.com.", "A", &[]), "B.example.com", true),
            set("b.example.com.", "A", &["192.0.2.1"]),
            alias(set("loop.example.com.", "A", &[]), "loop.example.com.", true),
        ];
        assert_eq!(answers(sets.clone(), "example.com.", RecordType::A), ["example.com. 300 192.0.2.1"]);
        assert_eq!(answers(sets, "loop.example.com.", RecordType::A), Vec::<String>::new());
    }

    #[test]
    fn a_cname_is_followed_within_the_zone() {
        let sets = vec![
            set("a.example.com.", "CNAME", &["b.example.com"]),
            set("b.example.com.", "A", &["192.0.2.1"]),
            set("gone.example.com.", "CNAME", &["nothing.example.com"]),
            set("x.example.com.", "CNAME", &["y.example.com"]),
            set("y.example.com.", "CNAME", &["x.example.com"]),
        ];
        let expected = ["a.example.com. 300 b.example.com.", "b.example.com. 300 192.0.2.1"];
        assert_eq!(answers(sets.clone(), "a.example.com.", RecordType::A), expected);
        let reply = ask(sets.clone(), true, "gone.example.com.", RecordType::A);
        assert_eq!((reply.code, reply.answers.len(), reply.soa.len()), (ResponseCode::NXDomain, 1, 1));
        assert_eq!(ask(sets, true, "x.example.com.", RecordType::A).code, ResponseCode::ServFail);
    }

    #[test]
    fn what_does_not_exist_comes_with_the_soa() {
        let sets = || vec![set("deep.below.example.com.", "A", &["192.0.2.1"])];
        for (asked, kind, code) in [
            ("nothing.example.com.", RecordType::A, ResponseCode::NXDomain),
            ("deep.below.example.com.", RecordType::AAAA, ResponseCode::NoError),
            ("below.example.com.", RecordType::A, ResponseCode::NoError),
            ("x.below.example.com.", RecordType::A, ResponseCode::NXDomain),
        ] {
            let reply = ask(sets(), true, asked, kind);
            assert_eq!((reply.code, reply.answers.len(), reply.authoritative), (code, 0, true), "{asked}");
            let soa = reply.soa.first().map(|soa| (soa.name.to_ascii().to_lowercase(), soa.ttl));
            assert_eq!(soa, Some(("example.com.".to_owned(), 60)), "the smaller of TTL and minimum");
        }
    }

    /// `*` comes back from Route 53 as `\052`. See docs/aws-behaviour.md#names-come-back-escaped.
    #[test]
    fn a_wildcard_answers_what_has_no_records() {
        for wildcard in ["*.example.com.", "\\052.example.com."] {
            let sets = || vec![set(wildcard, "A", &["192.0.2.1"]), set("own.example.com.", "TXT", &["x"])];
            for asked in ["any.example.com.", "a.b.example.com."] {
                assert_eq!(answers(sets(), asked, RecordType::A), [format!("{asked} 300 192.0.2.1")]);
            }
            assert_eq!(answers(sets(), "own.example.com.", RecordType::A), Vec::<String>::new());
            assert_eq!(ask(sets(), true, "x.own.example.com.", RecordType::A).code, ResponseCode::NXDomain);
        }
    }

    #[test]
    fn a_delegated_name_is_referred() {
        let sets = || vec![set("sub.example.com.", "NS", &["ns.example.net."])];
        for (asked, kind) in [("sub.example.com.", RecordType::NS), ("a.sub.example.com.", RecordType::A)] {
            let reply = ask(sets(), true, asked, kind);
            assert_eq!((reply.code, reply.authoritative, reply.answers.len()), (ResponseCode::NoError, false, 0));
            assert_eq!(reply.referral[0].name.to_ascii(), "sub.example.com.");
        }
    }

    #[test]
    fn a_test_reports_the_answer_of_the_moment() {
        let host = |host: &str| set("api.example.com.", "CNAME", &[host]);
        let zone = zone("example.com.", pair(host("p.example.org."), host("s.example.org.")).to_vec());
        let test = |name: &str, healthy| {
            let name = Name::from_ascii(name).expect("a name");
            let Tested { code, server, data } = tested(&zone, &checks(healthy), &name, RecordType::CNAME);
            assert_eq!(server, "ns-1.awsdns-1.com");
            (code, data)
        };
        assert_eq!(test("api.example.com.", true), ("NOERROR", vec!["p.example.org.".to_owned()]));
        assert_eq!(test("api.example.com.", false), ("NOERROR", vec!["s.example.org.".to_owned()]));
        assert_eq!(test("other.example.com.", true), ("NXDOMAIN", Vec::new()));
        assert_eq!(test("api.example.org.", true), ("REFUSED", Vec::new()));
    }

    #[test]
    fn a_value_that_is_not_valid_is_left_out() {
        let sets = vec![set("www.example.com.", "A", &["not an address", "192.0.2.1"])];
        assert_eq!(answers(sets, "www.example.com.", RecordType::A), ["www.example.com. 300 192.0.2.1"]);
    }

    #[test]
    fn the_host_names_of_apis_lead_to_the_sandbox() {
        let ask = |text: &str, kind| of_aws(&Name::from_ascii(text).expect("a name"), kind);
        for host in ["a1.execute-api.us-east-1.amazonaws.com.", "A1.Execute-API.localhost."] {
            let reply = ask(host, RecordType::A).expect("an answer");
            assert_eq!(short(&reply), [format!("{host} 60 127.0.0.1")]);
            let reply = ask(host, RecordType::AAAA).expect("an answer");
            assert_eq!((reply.code, reply.answers.len(), reply.soa.len()), (ResponseCode::NoError, 0, 1));
        }
        assert_eq!(ask("www.amazonaws.com.", RecordType::A), None);
        assert_eq!(ask("a1.execute-api.example.com.", RecordType::A), None);
    }
}
