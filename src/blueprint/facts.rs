//! What a blueprint needs to know of AWS before it can name anything: the account, and the zones of both Regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ec2::types::{AvailabilityZoneOptInStatus, AvailabilityZoneState, Filter};

use crate::aws::Aws;
use crate::engine::{Class, Failure, Region};
use crate::state::{Address, Entry, Role};

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The AWS account, 12 digits.
    pub account: String,
    /// The zones used in the primary Region.
    pub primary_zones: [String; 3],
    /// The zones used in the secondary Region.
    pub secondary_zones: [String; 3],
}

/// The names of the three subnets of a kind, in the order of their zones.
pub(crate) const LETTERS: [&str; 3] = ["a", "b", "c"];

impl Facts {
    /// The zones that a stack's subnets are in already. They stay: a zone that AWS takes out of service, or a new one, must
    /// not move subnets.
    #[must_use]
    pub fn recorded_zones(entries: &BTreeMap<Address, Entry>, role: Role) -> Option<[String; 3]> {
        let zone = |letter: &str| {
            let by_kind = |kind: &str| entries.get(&Address::new(role, "subnet", &format!("{kind}-{letter}")));
            by_kind("private").or_else(|| by_kind("public"))?.outputs.get("zone").cloned()
        };
        let [a, b, c] = LETTERS.map(zone);
        Some([a?, b?, c?])
    }

    /// Finds the first three zones of a Region, sorted by zone id, among those that are available without opting in.
    ///
    /// # Errors
    /// What the call's answer means, or that the Region has fewer than three.
    pub async fn discover_zones(aws: &Arc<Aws>, region: &Region) -> Result<[String; 3], Failure> {
        let clients = aws.at(region);
        let answer = aws
            .read(region, "ec2", "DescribeAvailabilityZones", || {
                // Local Zones and Wavelength Zones are no place for NAT gateways and Aurora.
                let filter = Filter::builder().name("zone-type").values("availability-zone").build();
                clients.ec2.describe_availability_zones().filters(filter).send()
            })
            .await?;
        let mut zones: Vec<(&str, &str)> = answer
            .availability_zones()
            .iter()
            .filter(|zone| zone.state() == Some(&AvailabilityZoneState::Available))
            .filter(|zone| {
                zone.opt_in_status().is_none_or(|status| *status == AvailabilityZoneOptInStatus::OptInNotRequired)
            })
            .filter_map(|zone| Some((zone.zone_id()?, zone.zone_name()?)))
            .collect();
        zones.sort_unstable();
        match zones.as_slice() {
            [(_, a), (_, b), (_, c), ..] => Ok([*a, *b, *c].map(str::to_owned)),
            fewer => Err(Failure::new(
                Class::Refused,
                format!("{region} offers {} available zones to this account, and three are needed", fewer.len()),
            )
            .help("Choose another Region in [regions] of drctl.toml.")),
        }
    }
}
