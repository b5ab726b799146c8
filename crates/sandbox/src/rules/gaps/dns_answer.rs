//! `TestDNSAnswer`: what the name servers of a zone answer to a question. MiniStack has no name servers.
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_TestDNSAnswer.html>
//!
//! The address of the resolver, and the part of the client's address that it passes on, make no difference here: they select
//! among records by where the client is, which drctl does not create.

use std::str::FromStr;

use futures::FutureExt;
use futures::future::BoxFuture;
use hickory_proto::rr::{Name, RecordType};
use http::StatusCode;

use super::health_check_status::unavailable;
use super::route53::answer_with;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;
use crate::world::World;
use crate::world::route53::Tested;

/// The types that can be asked for.
const TYPES: [&str; 13] = ["SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS"];

/// Asks the name servers.
pub(super) struct DnsAnswer {
    world: World,
}

impl DnsAnswer {
    pub(super) fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    async fn answer(&self, call: &Call) -> Answer {
        let of = |parameter: &str| call.form().get(parameter).unwrap_or_default();
        let (zone, name, kind) = (of("hostedzoneid"), of("recordname"), of("recordtype"));
        let parsed = Name::from_ascii(format!("{}.", name.trim_end_matches('.')));
        let known = TYPES.contains(&kind).then(|| RecordType::from_str(kind));
        let (Ok(asked), Some(Ok(record_type)), false) = (parsed, known, name.is_empty()) else {
            return Answer::client_error(call, "InvalidInput", "The record name or the record type is not valid.");
        };
        let Some(route53) = self.world.route53() else { return unavailable(call, "the name servers have not started") };
        match route53.tested(&call.account, zone, &asked, record_type).await {
            Ok(Some(tested)) => document(&tested, name, kind),
            Ok(None) => {
                let why = format!("No hosted zone found with ID: {zone}");
                Answer::refusal(call, StatusCode::NOT_FOUND, "NoSuchHostedZone", &why)
            }
            Err(error) => unavailable(call, &error.to_string()),
        }
    }
}

fn document(tested: &Tested, name: &str, kind: &str) -> Answer {
    let entries = tested.data.iter().map(|value| Element::with_text("RecordDataEntry", value)).collect();
    let members = vec![
        Element::with_text("Nameserver", &tested.server),
        Element::with_text("RecordName", name),
        Element::with_text("RecordType", kind),
        Element::with_children("RecordData", entries),
        Element::with_text("ResponseCode", tested.code),
        Element::with_text("Protocol", "UDP"),
    ];
    answer_with("TestDNSAnswerResponse", members)
}

impl Rule for DnsAnswer {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move { if call.is("route53", "TestDNSAnswer") { self.answer(call).await } else { next.run(call).await } }
            .boxed()
    }

    fn reset(&self) {}
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::rest;
    use crate::world::route53::tests::world_with_check;

    #[tokio::test]
    async fn the_answer_is_that_of_the_name_servers() -> Result<(), Box<dyn std::error::Error>> {
        let nowhere = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let attached = world_with_check("111122223333", "c1", nowhere).await;
        let rule = DnsAnswer::new(&attached.world);
        let ask = async |query: &str| {
            let mut call = rest("route53", "GET", &format!("/2013-04-01/testdnsanswer?{query}"), "");
            text(&rule.apply(&mut call, Next::new(&[], &Scripted::xml("<r/>"))).await)
        };
        let api = ask("hostedzoneid=Z1&recordname=api.example.com&recordtype=CNAME").await;
        for part in [
            "<Nameserver>ns-1.awsdns-1.com</Nameserver>",
            "<RecordName>api.example.com</RecordName>",
            "<RecordData><RecordDataEntry>s.example.org.</RecordDataEntry></RecordData>",
            "<ResponseCode>NOERROR</ResponseCode>",
        ] {
            assert!(api.contains(part), "the primary is dead: {api}");
        }
        let none = ask("hostedzoneid=Z1&recordname=x.example.com&recordtype=A").await;
        assert!(none.contains("<ResponseCode>NXDOMAIN</ResponseCode>"), "{none}");
        for (query, code) in [
            ("hostedzoneid=Z2&recordname=api.example.com&recordtype=A", "NoSuchHostedZone"),
            ("hostedzoneid=Z1&recordname=api.example.com&recordtype=AXFR", "InvalidInput"),
            ("hostedzoneid=Z1&recordtype=A", "InvalidInput"),
        ] {
            let refused = ask(query).await;
            assert!(refused.contains(code), "{query}: {refused}");
        }
        Ok(())
    }
}
