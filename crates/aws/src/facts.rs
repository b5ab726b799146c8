//! What a blueprint has to know about AWS before it can name anything: the account, and the zones of both Regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ec2::types::{AvailabilityZoneOptInStatus, AvailabilityZoneState, Filter};

use crate::Aws;
use drctl_engine::state::{Address, Entry, Role};
use drctl_engine::{Class, Failure, Region};

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The AWS account, 12 digits.
    pub account: String,
    /// The zones used in the primary Region.
    pub primary_zones: [String; 3],
    /// The zones used in the secondary Region.
    pub secondary_zones: [String; 3],
    /// Whether drctl has switched AWS's deletion protection on, which only then is its own to switch off again.
    pub protected: bool,
    /// The hosted zone that drctl has made for this stack.
    pub own_zone: Option<OwnZone>,
}

/// A hosted zone on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnZone {
    /// Its id.
    pub id: String,
    /// Its domain; `None` if it was recorded before drctl noted that.
    pub name: Option<String>,
}

/// The names of the three subnets of a kind, in the order of their zones.
pub const LETTERS: [&str; 3] = ["a", "b", "c"];

/// Zones that are `available` and still lack something that this architecture needs: NAT gateways in apne1-az3
/// (<https://github.com/aws/aws-cdk/issues/5847>), current instance classes and more in the others, which EKS excludes, too
/// (<https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html>). Used only if a Region does not have three others.
/// See docs/aws-behaviour.md#zones-that-lack-something.
const LAST: [&str; 4] = ["apne1-az3", "cac1-az3", "use1-az3", "usw1-az2"];

/// The first three of some zones (id and name), sorted by id, with the [`LAST`] ones last.
fn first_three(mut zones: Vec<(&str, &str)>) -> Option<[String; 3]> {
    zones.sort_unstable_by_key(|(id, name)| (LAST.contains(id), *id, *name));
    match zones.as_slice() {
        [(_, a), (_, b), (_, c), ..] => Some([*a, *b, *c].map(str::to_owned)),
        _ => None,
    }
}

impl Facts {
    /// The zones of a stack's existing subnets. They are kept: a zone that AWS takes out of service, or a new zone, must not move
    /// subnets.
    #[must_use]
    pub fn recorded_zones(entries: &BTreeMap<Address, Entry>, role: Role) -> Option<[String; 3]> {
        let zone = |letter: &str| {
            ["private", "public"].iter().find_map(|kind| {
                entries.get(&Address::new(role, "subnet", &format!("{kind}-{letter}")))?.outputs.get("zone").cloned()
            })
        };
        let [a, b, c] = LETTERS.map(zone);
        Some([a?, b?, c?])
    }

    /// The hosted zone of a stack, if it was made by drctl.
    #[must_use]
    pub fn recorded_hosted_zone(entries: &BTreeMap<Address, Entry>) -> Option<OwnZone> {
        let entry = entries.get(&Address::new(Role::Global, "hosted_zone", "main"))?;
        Some(OwnZone { id: entry.id.clone()?, name: entry.output("name") })
    }

    /// Finds the first three zones of a Region, sorted by zone id, among those that are available without opting in; those known
    /// to lack something come last.
    ///
    /// # Errors
    /// What the call's answer means, or that the Region has fewer than three.
    pub async fn discover_zones(aws: &Arc<Aws>, region: &Region) -> Result<[String; 3], Failure> {
        let clients = aws.at(region);
        let answer = aws
            .read(region, "ec2", "DescribeAvailabilityZones", || {
                // Local Zones and Wavelength Zones do not support NAT gateways and Aurora.
                let filter = Filter::builder().name("zone-type").values("availability-zone").build();
                clients.ec2.describe_availability_zones().filters(filter).send()
            })
            .await?;
        let zones: Vec<(&str, &str)> = answer
            .availability_zones()
            .iter()
            .filter(|zone| zone.state() == Some(&AvailabilityZoneState::Available))
            .filter(|zone| {
                zone.opt_in_status().is_none_or(|status| *status == AvailabilityZoneOptInStatus::OptInNotRequired)
            })
            .filter_map(|zone| Some((zone.zone_id()?, zone.zone_name()?)))
            .collect();
        let count = zones.len();
        first_three(zones).ok_or_else(|| {
            let message = format!("{region} offers {count} available zones to this account, and three are needed");
            Failure::new(Class::Refused, message).help("Choose another Region in [regions] of drctl.toml.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_by_id_are_taken_and_those_that_lack_something_last() {
        let zones = |ids: &[&'static str]| first_three(ids.iter().map(|id| (*id, *id)).collect());
        let taken = |ids: [&str; 3]| Some(ids.map(str::to_owned));
        assert_eq!(zones(&["use2-az3", "use2-az1", "use2-az2"]), taken(["use2-az1", "use2-az2", "use2-az3"]));
        assert_eq!(
            zones(&["use1-az3", "use1-az4", "use1-az1", "use1-az2"]),
            taken(["use1-az1", "use1-az2", "use1-az4"])
        );
        assert_eq!(zones(&["use1-az3", "use1-az1", "use1-az2"]), taken(["use1-az1", "use1-az2", "use1-az3"]));
        assert_eq!(zones(&["usw1-az1", "usw1-az3"]), None);
    }
}
