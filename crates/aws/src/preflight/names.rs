//! Names: those that are taken, the public domain, and the hosted zone that is configured for it.
//!
//! The plan has already found out whether a name is taken: it looks for every desired resource by its name, and a bucket of
//! another account, a role without this stack's tags, or a table of another stack is not this stack's. No call is repeated here.

use aws_sdk_route53::types::{HostedZone, HostedZoneConfig};

use super::planned::{Planned, wanted};
use super::{About, Findings, Preflight, Problem};
use drctl_engine::{Class, Region};

const OWN_DOMAIN: &str = "Write a domain that you own as `domain` in [dns], such as `domain = \
                          \"pay.your-company.com\"`; any subdomain of a domain that you own works.";

/// Checks both Regions and global names.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings { problems: taken(planned), ..Findings::default() };
    if let Some(zone) = planned.made("hosted_zone").next() {
        let domain = wanted(zone, "name").unwrap_or(&preflight.config.dns.domain);
        let is_refused = preflight.config.dns.is_placeholder() && !preflight.aws.is_custom_endpoint();
        findings.problems.extend(is_refused.then(|| placeholder(&zone.address.to_string(), domain)));
    }
    let zone = given_zone(preflight, planned).await;
    Findings::settled(vec![findings, zone])
}

fn taken(planned: &Planned<'_>) -> Vec<Problem> {
    let problems = planned.taken().map(|(item, failure)| {
        let help = failure.help.clone().unwrap_or_else(|| "Choose another stack name or environment.".to_owned());
        let (region, address) = (Some(item.region.as_str()), item.address.to_string());
        Problem { in_plan: true, ..Problem::new(About::Name, region, address, failure.message.clone(), help) }
    });
    problems.collect()
}

/// Emulators create a zone for any domain; Route 53 does not for reserved ones.
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html>
fn placeholder(address: &str, domain: &str) -> Problem {
    let message = format!("Route 53 creates no zone for {domain}: the domain is reserved for examples and tests");
    Problem::new(About::Domain, None, address, message, OWN_DOMAIN.to_owned())
}

/// A configured zone has to exist, be public, and be of the domain or one above it.
async fn given_zone(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    let dns = &preflight.config.dns;
    let (Some(id), Some(record)) = (&dns.zone_id, planned.made("record").next()) else { return findings };
    let at = Region::from(record.region.as_str());
    let route53 = &preflight.aws.at(&at).route53;
    let question = preflight.aws.read(&at, "route53", "GetHostedZone", || route53.get_hosted_zone().id(id).send());
    let wrong = match question.await {
        Ok(answer) => answer.hosted_zone().map_or_else(Vec::new, |zone| faults(zone, &dns.domain)),
        Err(failure) if failure.class == Class::NotFound => vec!["this account has no such zone".to_owned()],
        Err(failure) => {
            findings.unanswered(About::Domain, &at, "hosted zone", &failure);
            return findings;
        }
    };
    let help = "Write the id of a public zone of `domain`, or of a domain above it, as `zone_id` in [dns]; or leave \
                both empty to have a zone created.";
    findings.problems.extend(wrong.into_iter().map(|fault| {
        Problem::new(About::Domain, None, format!("hosted zone {id}"), format!("{id}: {fault}"), help.to_owned())
    }));
    findings
}

fn faults(zone: &HostedZone, domain: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let name = zone.name().trim_end_matches('.');
    if zone.config().is_some_and(HostedZoneConfig::private_zone) {
        faults.push(format!("the zone {name} is private, and cannot be queried from outside its VPCs"));
    }
    let is_within = domain == name || domain.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    if !is_within {
        faults.push(format!("it is the zone of {name}, which cannot hold records of {domain}"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preflight::planned::tests::item;
    use drctl_engine::{Action, Failure, Plan};

    #[test]
    fn a_name_that_belongs_to_somebody_else_is_a_problem() {
        let mut bucket = item("primary/s3_bucket/data", "us-east-1", Action::Unknown, &json!({}));
        bucket.failure = Some(Failure::new(Class::Foreign, "the bucket b belongs to another account").help("Rename."));
        let mut silent = item("secondary/s3_bucket/data", "us-east-2", Action::Unknown, &json!({}));
        silent.failure = Some(Failure::new(Class::Unreachable, "no answer"));
        let plan = Plan { items: vec![bucket, silent] };
        let problems = taken(&Planned::of(&plan));
        let [problem] = problems.as_slice() else { panic!("one: {problems:?}") };
        assert_eq!((problem.subject.as_str(), problem.in_plan), ("primary/s3_bucket/data", true));
        assert_eq!(
            (problem.message.as_str(), problem.help.as_str()),
            ("the bucket b belongs to another account", "Rename.")
        );
    }

    fn zone(name: &str, private: bool) -> HostedZone {
        HostedZone::builder()
            .id("Z1")
            .name(name)
            .caller_reference("r")
            .config(HostedZoneConfig::builder().private_zone(private).build())
            .build()
            .expect("a zone")
    }

    #[test]
    fn a_configured_zone_is_public_and_of_the_domain_or_above_it() {
        assert!(faults(&zone("pay.acme.com.", false), "pay.acme.com").is_empty());
        assert!(faults(&zone("acme.com.", false), "pay.acme.com").is_empty());
        assert_eq!(faults(&zone("me.com.", false), "pay.acme.com").len(), 1);
        let both = faults(&zone("acme.org.", true), "pay.acme.com");
        assert!(both[0].contains("private") && both[1].contains("cannot hold records of pay.acme.com"), "{both:?}");
    }
}
