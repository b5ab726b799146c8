//! `[regions]`: where the stack runs.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

use super::error::Problem;
use super::section::Section;
use super::suggest::nearest;

/// The two Regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Regions {
    /// The Region that serves in normal operation. Default `us-east-1`.
    pub primary: RegionName,
    /// The warm standby. Default `us-east-2`.
    pub secondary: RegionName,
}

/// The code of a Region in the partition `aws`, such as `eu-central-1`. Only its form is checked here; whether the account
/// may use the Region is checked before the first change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionName(String);

impl RegionName {
    /// The code as AWS writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RegionName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Display for RegionName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for RegionName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Regions {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let written = |key, default: &'static str| section.written(key).unwrap_or(default).to_owned();
        let (first, second) = (written("primary", PRIMARY), written("secondary", SECONDARY));
        let primary =
            section.text("primary", RegionName(PRIMARY.to_owned()), PRIMARY, |text| region("primary", text, &second));
        let secondary = section
            .text("secondary", RegionName(SECONDARY.to_owned()), SECONDARY, |text| region("secondary", text, &first));
        if primary.is_sound() && secondary.is_sound() && primary.value == secondary.value {
            let default = if secondary.is_default() {
                " (the default of `secondary`)"
            } else if primary.is_default() {
                " (the default of `primary`)"
            } else {
                ""
            };
            let other = example("secondary", primary.value.as_str());
            let problem = Problem::new(
                format!(
                    "primary and secondary are the same Region, {}{default}: a standby there would fail together with \
                     the primary",
                    primary.value
                ),
                format!("Write two different Regions in [regions], for example `secondary = \"{other}\"`."),
            );
            section.refuse(secondary.blame(problem, &primary, "primary is the same Region"));
        }
        Self { primary: primary.value, secondary: secondary.value }
    }
}

/// The first parts of Region codes in the partition `aws`; source: `regionRegex` in the partitions file of the SDKs.
const AREAS: [&str; 9] = ["af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us"];

/// The middle parts that AWS uses. Otherwise a misspelt one would show only as a host name that does not resolve.
const DIRECTIONS: [&str; 9] =
    ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];

/// Prefixes of Region codes outside the partition `aws`, and the partition that each one belongs to.
const FOREIGN: [(&str, &str); 5] =
    [("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-iso", "aws-iso"), ("eu-iso", "aws-iso"), ("eusc-", "aws-eusc")];

/// The default Regions.
const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// The Region to suggest for a key: its default, unless the stack's other Region is the same.
fn example(key: &str, other: &str) -> &'static str {
    let in_order = if key == "primary" { [PRIMARY, SECONDARY] } else { [SECONDARY, "us-west-2"] };
    if in_order[0] == other { in_order[1] } else { in_order[0] }
}

/// Reads the code of a Region. What is suggested instead of a wrong one is never `other`, the stack's other Region.
fn region(key: &str, text: &str, other: &str) -> Result<RegionName, Problem> {
    if let Some((_, partition)) = FOREIGN.iter().find(|(beginning, _)| text.starts_with(beginning)) {
        return Err(Problem::new(
            format!(
                "{text} is in the partition {partition}, and drctl supports only the partition aws: names, endpoints \
                 and available services differ elsewhere"
            ),
            format!("Write a Region in the partition aws, for example `{key} = \"{}\"`.", example(key, other)),
        ));
    }
    if is_region(text) {
        return Ok(RegionName(text.to_owned()));
    }
    let better = corrected(text).filter(|better| better != other);
    let better = better.as_deref().unwrap_or_else(|| example(key, other));
    Err(Problem::new(
        format!("`{text}` is not the code of a Region"),
        format!("Write `{key} = \"{better}\"`, or another code of this form (area, direction, number)."),
    ))
}

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [area, direction, number] = parts.as_slice() else { return false };
    AREAS.contains(area)
        && DIRECTIONS.contains(direction)
        && matches!(number.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'])
}

/// Corrects common mistakes: capitals, underscores, a zone (`us-east-1a`) instead of its Region, a misspelt direction.
fn corrected(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_lowercase().replace('_', "-");
    let code = code.trim_end_matches(|last: char| last.is_ascii_lowercase());
    let parts: Vec<&str> = code.split('-').collect();
    let [area, direction, number] = parts.as_slice() else { return None };
    let code = format!("{area}-{}-{number}", nearest(direction, DIRECTIONS)?);
    is_region(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::{corrected, is_region};

    #[test]
    fn regions_are_recognised_by_their_form() {
        for code in ["us-east-1", "ap-southeast-5", "il-central-1", "mx-central-1", "af-south-1", "eu-west-12"] {
            assert!(is_region(code), "{code}");
        }
        for code in ["", "us-east", "us-east-", "us-east-0", "us-east-1a", "US-EAST-1", "us-esat-1", "us-east-1-1"] {
            assert!(!is_region(code), "{code}");
        }
    }

    #[test]
    fn common_mistakes_are_corrected() {
        for (mistake, code) in [
            ("us-east-1a", Some("us-east-1")),
            ("US_EAST_2", Some("us-east-2")),
            ("us-esat-1", Some("us-east-1")),
            (" eu-central-1 ", Some("eu-central-1")),
            ("frankfurt", None),
            ("eu-moon-1", None),
        ] {
            assert_eq!(corrected(mistake).as_deref(), code, "{mistake}");
        }
    }
}
