//! Whether the account's quotas leave room for what is going to be created.
//!
//! Service Quotas returns a quota, or AWS's default if the account has no other. If it is unknown or asking for it is refused,
//! nothing is judged: a quota that drctl only guesses must not stop a run. See docs/aws-behaviour.md#network-quotas-are-low.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, NatGatewayState, Subnet};

use super::planned::Planned;
use super::{About, Figures, Findings, Preflight, Problem, reason};
use drctl_config::Nat;
use drctl_engine::{Action, Class, Failure, Region};

/// A quota of Service Quotas.
#[derive(Debug, Clone, Copy)]
struct Quota {
    /// The type of what it counts, as in addresses.
    kind: &'static str,
    /// The display name of what it counts.
    name: &'static str,
    /// The service's code.
    service: &'static str,
    /// The quota's code.
    code: &'static str,
    /// AWS's default, in all Regions. <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>
    default: u64,
}

/// The quotas of the network that a stack may exceed.
const NETWORK: [Quota; 4] = [
    Quota { kind: "eip", name: "Elastic IP addresses", service: "ec2", code: "L-0263D0A3", default: 5 },
    Quota { kind: "vpc", name: "VPCs", service: "vpc", code: "L-F678F1CE", default: 5 },
    Quota { kind: "internet_gateway", name: "internet gateways", service: "vpc", code: "L-A4707A72", default: 5 },
    Quota { kind: "nat_gateway", name: "NAT gateways per zone", service: "vpc", code: "L-FE5A380F", default: 5 },
];

/// How much of one quota is used and planned, by zone if it counts per zone (else under "").
type Usage = BTreeMap<String, (u64, u64)>;

/// Checks the network of one Region.
pub(super) async fn network(
    preflight: &Preflight<'_>,
    planned: &Planned<'_>,
    region: &str,
    zones: &[String; 3],
) -> Findings {
    let wanted = NETWORK.into_iter().filter(|quota| planned.added(quota.kind, region) > 0);
    let checks = wanted.map(|quota| one(preflight, planned, region, zones, quota));
    Findings::settled(futures::future::join_all(checks).await)
}

async fn one(
    preflight: &Preflight<'_>,
    planned: &Planned<'_>,
    region: &str,
    zones: &[String; 3],
    quota: Quota,
) -> Findings {
    let mut findings = Findings::default();
    let at = Region::from(region);
    let known = limit(preflight, &at, quota).await;
    if let Err(failure) = &known
        && failure.silent.is_some()
    {
        findings.unanswered(About::Quota, region, quota.name, failure);
        return findings;
    }
    if let Err(failure) = &known
        && preflight.aws.is_custom_endpoint()
    {
        // An emulator has no quotas, so counting would be pointless.
        let why = format!("this endpoint returns no quotas ({})", reason(failure));
        findings.unchecked(About::Quota, Some(region), quota.name, why);
        return findings;
    }
    let usage = match usage(preflight, planned, &at, zones, quota).await {
        Ok(usage) => usage,
        Err(failure) => {
            findings.unanswered(About::Quota, region, quota.name, &failure);
            return findings;
        }
    };
    match known {
        Ok(limit) => {
            for (zone, (used, planned)) in usage {
                let figures = Figures { quota: limit, used, planned };
                if !figures.suffice() {
                    findings.problems.push(exceeded(preflight, region, &zone, quota, figures));
                }
            }
        }
        Err(failure) => findings.unchecked(About::Quota, Some(region), quota.name, guessed(quota, &usage, &failure)),
    }
    findings
}

/// The limit of the account. A quota that was never changed has no value for the account, but AWS's default.
/// <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html>
async fn limit(preflight: &Preflight<'_>, region: &Region, quota: Quota) -> Result<u64, Failure> {
    let quotas = &preflight.aws.at(region).quotas;
    let answer = preflight
        .aws
        .read(region, "servicequotas", "GetServiceQuota", || {
            quotas.get_service_quota().service_code(quota.service).quota_code(quota.code).send()
        })
        .await;
    let applied = match answer {
        Err(failure) if failure.code.as_deref() == Some("NoSuchResourceException") => None,
        answer => answer?.quota.and_then(|quota| quota.value),
    };
    let value = if applied.is_some() {
        applied
    } else {
        let answer = preflight
            .aws
            .read(region, "servicequotas", "GetAWSDefaultServiceQuota", || {
                quotas.get_aws_default_service_quota().service_code(quota.service).quota_code(quota.code).send()
            })
            .await?;
        answer.quota.and_then(|quota| quota.value)
    };
    value.and_then(whole).ok_or_else(|| {
        let message = format!("Service Quotas returns no value for {}", quota.code);
        Failure::new(Class::Refused, message)
    })
}

/// Quotas are whole numbers in a floating-point field.
fn whole(value: f64) -> Option<u64> {
    format!("{value:.0}").parse().ok()
}

async fn usage(
    preflight: &Preflight<'_>,
    planned: &Planned<'_>,
    region: &Region,
    zones: &[String; 3],
    quota: Quota,
) -> Result<Usage, Failure> {
    let aws = preflight.aws;
    let ec2 = &aws.at(region).ec2;
    let used = match quota.kind {
        "nat_gateway" => return gateways(preflight, planned, region, zones).await,
        "eip" => {
            let answer = aws.read(region, "ec2", "DescribeAddresses", || ec2.describe_addresses().send()).await?;
            // Addresses from an account's own ranges have no such quota.
            let amazons = |pool: Option<&str>| pool.is_none_or(|pool| pool == "amazon");
            count(answer.addresses().iter().filter(|address| amazons(address.public_ipv4_pool())))
        }
        "vpc" => {
            let vpcs = aws
                .pages(region, "ec2", "DescribeVpcs", || ec2.describe_vpcs().into_paginator().items().send())
                .await?;
            count(vpcs.iter().filter(|vpc| is_own(preflight, vpc.owner_id())))
        }
        _ => {
            let gateways = aws
                .pages(region, "ec2", "DescribeInternetGateways", || {
                    ec2.describe_internet_gateways().into_paginator().items().send()
                })
                .await?;
            count(gateways.iter().filter(|gateway| is_own(preflight, gateway.owner_id())))
        }
    };
    Ok(Usage::from([(String::new(), (used, planned.added(quota.kind, region)))]))
}

/// Whether a resource counts for this account: what other accounts share with it counts for them.
fn is_own(preflight: &Preflight<'_>, owner: Option<&str>) -> bool {
    owner.is_none_or(|owner| owner == preflight.account)
}

fn count(items: impl Iterator) -> u64 {
    items.map(|_| 1_u64).sum()
}

/// NAT gateways by zone. Those that are being created count as well.
async fn gateways(
    preflight: &Preflight<'_>,
    planned: &Planned<'_>,
    region: &Region,
    zones: &[String; 3],
) -> Result<Usage, Failure> {
    let mut usage = Usage::new();
    for item in planned.made("nat_gateway") {
        let added = item.action == Action::Create && item.region == **region;
        if let Some(zone) = planned.zone_of(item).filter(|_| added) {
            usage.entry(zone.to_owned()).or_default().1 += 1;
        }
    }
    let aws = preflight.aws;
    let ec2 = &aws.at(region).ec2;
    let states = [NatGatewayState::Pending, NatGatewayState::Available, NatGatewayState::Deleting];
    let there = aws
        .pages(region, "ec2", "DescribeNatGateways", || {
            let values = states.iter().map(|state| state.as_str().to_owned()).collect();
            let counted = Filter::builder().name("state").set_values(Some(values)).build();
            ec2.describe_nat_gateways().filter(counted).into_paginator().items().send()
        })
        .await?;
    // Some endpoints ignore the filter. A gateway of the whole VPC has no subnet, and does not count in any zone.
    let is_counted = |state: Option<&NatGatewayState>| state.is_none_or(|state| states.contains(state));
    let there: Vec<&str> =
        there.iter().filter(|gateway| is_counted(gateway.state())).filter_map(|gateway| gateway.subnet_id()).collect();
    if there.is_empty() {
        return Ok(usage);
    }
    // The description of a gateway has its subnet, and only that of the subnet has the zone.
    let subnets = aws
        .pages(region, "ec2", "DescribeSubnets", || {
            let filter = Filter::builder().name("availability-zone").set_values(Some(zones.to_vec())).build();
            ec2.describe_subnets().filters(filter).into_paginator().items().send()
        })
        .await?;
    for id in there {
        let subnet = subnets.iter().find(|subnet| subnet.subnet_id() == Some(id));
        let zone = subnet.and_then(Subnet::availability_zone);
        if let Some(counts) = zone.and_then(|zone| usage.get_mut(zone)) {
            counts.0 += 1;
        }
    }
    Ok(usage)
}

fn exceeded(preflight: &Preflight<'_>, region: &str, zone: &str, quota: Quota, figures: Figures) -> Problem {
    let place = if zone.is_empty() { region } else { zone };
    let Figures { quota: limit, used, planned } = figures;
    let message = format!("{} in {place}: {planned} more are planned, and {used} of {limit} are in use", quota.name);
    let mut help = format!(
        "Ask for {} or more in Service Quotas (service {}, quota {}), or delete some.",
        figures.needed(),
        quota.service,
        quota.code
    );
    if quota.kind == "eip" && preflight.config.network.nat == Nat::PerAz {
        help.push_str(
            " Or write `nat = \"single\"` in [network], which takes one address per Region instead of three.",
        );
    }
    let subject = if zone.is_empty() { quota.name.to_owned() } else { format!("{} ({zone})", quota.name) };
    Problem { figures: Some(figures), ..Problem::new(About::Quota, Some(region), subject, message, help) }
}

/// Why a quota is unknown, and whether AWS's default would be enough.
fn guessed(quota: Quota, usage: &Usage, failure: &Failure) -> String {
    let limit = quota.default;
    let why = reason(failure);
    let mut figures = usage.values().map(|(used, planned)| Figures { quota: limit, used: *used, planned: *planned });
    match figures.find(|figures| !figures.suffice()) {
        Some(Figures { used, planned, .. }) => {
            format!("{why}. AWS's default is {limit}: {used} are in use, and {planned} more are planned")
        }
        None => format!("{why}. AWS's default, {limit}, is enough"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: Quota = NETWORK[0];

    #[test]
    fn quotas_are_whole_numbers() {
        assert_eq!(whole(5.0), Some(5));
        assert_eq!((whole(-1.0), whole(f64::NAN)), (None, None));
    }

    #[test]
    fn a_guessed_quota_only_says_what_the_default_would_mean() {
        let denied = Failure::new(Class::Denied, "not authorized");
        let usage = |used| Usage::from([(String::new(), (used, 3))]);
        let said = guessed(ADDRESSES, &usage(2), &denied);
        assert_eq!(said, "not authorized. AWS's default, 5, is enough");
        let said = guessed(ADDRESSES, &usage(3), &denied);
        assert_eq!(said, "not authorized. AWS's default is 5: 3 are in use, and 3 more are planned");
    }
}
