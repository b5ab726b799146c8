//! `[network]`: the two VPCs.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::error::Problem;
use super::section::{Section, as_text};

/// The addresses of the two VPCs, and their NAT gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Address range of the primary VPC: private, /16 to /20, no overlap with the other one. Default `10.0.0.0/16`.
    #[serde(serialize_with = "as_text")]
    pub primary_cidr: Ipv4Net,
    /// Address range of the secondary VPC, as above. Default `10.1.0.0/16`.
    #[serde(serialize_with = "as_text")]
    pub secondary_cidr: Ipv4Net,
    /// How many NAT gateways each Region has. Default: one per zone.
    pub nat: Nat,
}

/// The NAT gateways of a Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// One in each zone: if a zone fails, the other zones keep their way out.
    PerAz,
    /// One for all zones: a third of the price, and a single point of failure.
    Single,
}

impl Network {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let primary = section.text("primary_cidr", PRIMARY, "10.0.0.0/16", |text| cidr("primary_cidr", text, PRIMARY));
        let secondary =
            section.text("secondary_cidr", SECONDARY, "10.1.0.0/16", |text| cidr("secondary_cidr", text, SECONDARY));
        let overlap = primary.value.contains(&secondary.value) || secondary.value.contains(&primary.value);
        if primary.is_sound() && secondary.is_sound() && overlap {
            let default = if secondary.is_default() {
                " (its default)"
            } else if primary.is_default() {
                " (primary_cidr is at its default)"
            } else {
                ""
            };
            let free = if primary.value.contains(&SECONDARY) || SECONDARY.contains(&primary.value) {
                PRIMARY
            } else {
                SECONDARY
            };
            let problem = Problem::new(
                format!(
                    "the VPCs overlap: primary_cidr is {}, secondary_cidr {}{default}. They are peered, and an address in \
                     both could not be routed",
                    primary.value, secondary.value
                ),
                format!("Write ranges that have no address in common, for example `secondary_cidr = \"{free}\"`."),
            );
            section.refuse(secondary.blame(problem, &primary, "primary_cidr is here"));
        }
        let nat = section.choice("nat", Nat::PerAz, &[("per-az", Nat::PerAz), ("single", Nat::Single)]).value;
        Self { primary_cidr: primary.value, secondary_cidr: secondary.value, nat }
    }
}

const PRIMARY: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 16);
const SECONDARY: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 1, 0, 0), 16);

/// The largest VPC, as a prefix length; source: Amazon VPC user guide, "VPC CIDR blocks".
const LARGEST: u8 = 16;

/// The smallest VPC that the layout fits into, as a prefix length: it uses the third octets 0 to 2 and 10 to 12, and /20
/// is the smallest block with thirteen /24s.
const SMALLEST: u8 = 20;

/// The ranges that are never routed on the internet: RFC 1918 and RFC 6598.
const PRIVATE: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
];

fn cidr(key: &str, text: &str, default: Ipv4Net) -> Result<Ipv4Net, Problem> {
    let write = |better: Ipv4Net| format!("Write `{key} = \"{better}\"`.");
    let Ok(net) = text.parse::<Ipv4Net>() else {
        return Err(match text.parse::<Ipv4Addr>() {
            Ok(address) => Problem::new(
                format!("`{text}` is an address without a prefix length, and a VPC needs a range"),
                write(fitting(Ipv4Net::from(address), LARGEST)),
            ),
            Err(_) if text.contains(':') => {
                Problem::new(format!("`{text}` is IPv6, and a VPC needs an IPv4 range"), write(default))
            }
            Err(_) => {
                Problem::new(format!("`{text}` is not an IPv4 range (address, slash, prefix length)"), write(default))
            }
        });
    };
    let better = fitting(net, net.prefix_len().clamp(LARGEST, SMALLEST));
    if net.prefix_len() < LARGEST {
        return Err(Problem::new(format!("{net} is too large: a VPC has a /{LARGEST} at most"), write(better)));
    }
    if net.prefix_len() > SMALLEST {
        return Err(Problem::new(
            format!(
                "{net} is too small: the subnets are /24s at x.0 to x.2 and x.10 to x.12, so a VPC needs room for \
                 thirteen of them, a /{SMALLEST} at least"
            ),
            write(better),
        ));
    }
    if net.addr() != net.network() {
        return Err(Problem::new(
            format!("{net} is an address inside the range {}, not the range itself", net.trunc()),
            write(better),
        ));
    }
    if !PRIVATE.iter().any(|private| private.contains(&net)) {
        return Err(Problem::new(
            format!(
                "{net} is not private: the VPC could not reach the hosts on the internet that have these addresses, \
                 because traffic to them would stay inside it"
            ),
            format!(
                "Write a range within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10, for example \
                 `{key} = \"{default}\"`."
            ),
        ));
    }
    Ok(net)
}

/// The range of this size that contains `net`.
fn fitting(net: Ipv4Net, prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new(net.addr(), prefix_len).unwrap_or(net).trunc()
}
