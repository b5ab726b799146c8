//! Whether the zones of planned subnets can be used. A stack keeps the zones with which it began, and AWS may have closed one of
//! them to the account since then.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{AvailabilityZone, AvailabilityZoneOptInStatus, AvailabilityZoneState, Filter};

use super::planned::{Planned, wanted};
use super::{About, Findings, Preflight, Problem, listed};
use drctl_engine::Region;

/// What is wrong with one zone.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Missing,
    OptIn,
    State(String),
}

/// Checks one Region.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>, region: &str) -> Findings {
    let mut findings = Findings::default();
    // The subnets to be created, by zone.
    let mut subnets: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for item in planned.made("subnet").filter(|item| item.region == region) {
        if let Some(zone) = wanted(item, "zone") {
            subnets.entry(zone).or_default().push(item.address.to_string());
        }
    }
    if subnets.is_empty() {
        return findings;
    }
    let at = Region::from(region);
    let clients = preflight.aws.at(&at);
    let answer = preflight
        .aws
        .read(&at, "ec2", "DescribeAvailabilityZones", || {
            let filter = Filter::builder().name("zone-type").values("availability-zone").build();
            clients.ec2.describe_availability_zones().filters(filter).send()
        })
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            findings.unanswered(About::Zone, region, "zones", &failure);
            return findings;
        }
    };
    let offered = answer.availability_zones();
    let usable: Vec<&str> =
        offered.iter().filter_map(AvailabilityZone::zone_name).filter(|name| fault(offered, name).is_none()).collect();
    for (zone, subnets) in subnets {
        if let Some(fault) = fault(offered, zone) {
            findings.problems.push(problem(region, zone, &fault, &subnets, &usable));
        }
    }
    findings
}

fn fault(offered: &[AvailabilityZone], zone: &str) -> Option<Fault> {
    let Some(found) = offered.iter().find(|offered| offered.zone_name() == Some(zone)) else {
        return Some(Fault::Missing);
    };
    if found.opt_in_status().is_some_and(|status| *status != AvailabilityZoneOptInStatus::OptInNotRequired) {
        return Some(Fault::OptIn);
    }
    // `information` is a zone that works, with a message about it.
    match found.state() {
        None | Some(AvailabilityZoneState::Available | AvailabilityZoneState::Information) => None,
        Some(state) => Some(Fault::State(state.as_str().to_owned())),
    }
}

fn problem(region: &str, zone: &str, fault: &Fault, subnets: &[String], usable: &[&str]) -> Problem {
    let message = match fault {
        Fault::Missing => {
            format!(
                "{region} does not offer the zone {zone} to this account, where {} would be created",
                listed(subnets)
            )
        }
        Fault::OptIn => format!("{zone} has to be opted into before {} can be created there", listed(subnets)),
        Fault::State(state) => format!("{zone} is {state}, and {} would be created there", listed(subnets)),
    };
    let help = format!(
        "A stack stays in the zones that its state records. Wait for the zone or ask AWS about it; or forget the subnets of all \
         three zones (`drctl state rm ADDRESS ADDRESS …`) once they are deleted, and drctl chooses again. Usable now: {}.",
        if usable.is_empty() { "none".to_owned() } else { listed(usable) }
    );
    Problem::new(About::Zone, Some(region), zone, message, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_to_exist_and_be_opted_into_and_available() {
        let zone = |name: &str| AvailabilityZone::builder().zone_name(name);
        let offered = [
            zone("us-east-1a").state(AvailabilityZoneState::Available).build(),
            zone("us-east-1b").state(AvailabilityZoneState::Impaired).build(),
            zone("us-east-1c").opt_in_status(AvailabilityZoneOptInStatus::NotOptedIn).build(),
            zone("us-east-1d").state(AvailabilityZoneState::Information).build(),
        ];
        assert_eq!(fault(&offered, "us-east-1a"), None);
        assert_eq!(fault(&offered, "us-east-1b"), Some(Fault::State("impaired".to_owned())));
        assert_eq!(fault(&offered, "us-east-1c"), Some(Fault::OptIn));
        assert_eq!(fault(&offered, "us-east-1d"), None);
        assert_eq!(fault(&offered, "us-east-1e"), Some(Fault::Missing));
    }
}
