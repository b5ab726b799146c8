//! Whether both Regions offer the database that is configured: its version and its class, for global databases.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.limitations.html>

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_rds::types::OrderableDbInstanceOption;
use futures::future::join;

use super::planned::Planned;
use super::{About, Findings, Preflight, Problem, answered, listed};
use crate::config::EngineVersion;
use crate::engine::{Failure, Region};

/// Aurora's name for the engine.
const ENGINE: &str = "aurora-postgresql";

/// In how many zones of its subnet group a class has to be offered: one that is lost must not be the only one.
const ZONES: usize = 2;

/// How many alternatives are named.
const NAMED: usize = 4;

/// Of one version or class: what is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Offer {
    /// Not at all.
    None,
    /// Not for global databases.
    NotGlobal,
    /// For global databases.
    Global,
}

/// Classes offered for one version in one Region, with their zones; and whether for global databases.
type Classes = BTreeMap<String, (bool, BTreeSet<String>)>;

/// The versions of one Region: whether each is for global databases. What is not `major.minor` is of another kind
/// (`16.9-limitless`).
type Versions = BTreeMap<EngineVersion, bool>;

/// Checks both Regions. They have to offer the same, so what each offers counts for what the other is advised.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    let [here, there] = preflight.regions;
    let (here_versions, there_versions) =
        join(versions(preflight, planned, here), versions(preflight, planned, there)).await;
    let wanted = preflight.config.database.engine_version;
    let advice = advice(wanted, [&here_versions, &there_versions].map(|answer| answer.as_ref().ok()?.as_ref()));
    let mut offering = [false; 2];
    for (at, answer) in [here_versions, there_versions].into_iter().enumerate() {
        let region = preflight.regions[at];
        match answer {
            Ok(None) => {}
            Ok(Some(versions)) => match offer(versions.get(&wanted).copied()) {
                Offer::Global => offering[at] = true,
                offer => {
                    let nearest = nearest(wanted, &versions);
                    findings.problems.push(no_version(region, wanted, &offer, &nearest, &advice));
                }
            },
            Err(failure) => {
                findings.unanswered(About::EngineVersion, region, "database engine versions", &failure);
            }
        }
    }
    // Of a version that is not offered, nothing can be asked.
    let classes = |at: usize| async move {
        if offering[at] {
            class(preflight, preflight.regions[at], preflight.zones[at]).await
        } else {
            Findings::default()
        }
    };
    let (here, there) = join(classes(0), classes(1)).await;
    Findings::settled(vec![findings, here, there])
}

/// The versions of a Region; `None` where no database is to be made.
async fn versions(preflight: &Preflight<'_>, planned: &Planned<'_>, region: &str) -> Result<Option<Versions>, Failure> {
    let kinds = ["db_cluster", "db_instance"];
    if !kinds.iter().any(|kind| planned.made(kind).any(|item| item.region == region)) {
        return Ok(None);
    }
    let at = Region::from(region);
    let rds = &preflight.aws.at(&at).rds;
    let question = preflight.aws.read(&at, "rds", "DescribeDBEngineVersions", || {
        rds.describe_db_engine_versions().engine(ENGINE).into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    });
    let answer = answered(&at, question).await?;
    let usable = answer.iter().filter(|version| version.status().is_none_or(|status| status == "available"));
    let versions = usable.filter_map(|version| {
        Some((parse(version.engine_version()?)?, version.supports_global_databases().unwrap_or(false)))
    });
    Ok(Some(versions.collect()))
}

/// Checks the class in one Region.
async fn class(preflight: &Preflight<'_>, region: &str, zones: &[String; 3]) -> Findings {
    let mut findings = Findings::default();
    let wanted = preflight.config.database.instance_class.as_str();
    let version = preflight.config.database.engine_version.to_string();
    let at = Region::from(region);
    let offered = match classes(preflight, &at, &version, Some(wanted)).await {
        Ok(offered) => offered,
        Err(failure) => {
            findings.unanswered(About::InstanceClass, region, "database instance classes", &failure);
            return findings;
        }
    };
    let Some(why) = unfit(wanted, &offered, zones) else { return findings };
    // Only now, for what to write instead: all classes are some hundred answers. Without one the advice is the shorter.
    let all = classes(preflight, &at, &version, None).await.unwrap_or_default();
    if preflight.aws.is_custom_endpoint() && all.values().all(|(global, _)| !global) {
        // The version is for global databases, so some class has to be.
        let why = format!("this endpoint offers {version} for global databases, and no class for it");
        findings.unchecked(About::InstanceClass, Some(region), "database instance classes", why);
        return findings;
    }
    let alternatives = alternatives(wanted, &all, zones);
    let help = if alternatives.is_empty() {
        "Choose another Region or `engine_version` in drctl.toml.".to_owned()
    } else {
        format!(
            "Write another `instance_class` in [database], the same for both Regions: {region} offers {}.",
            listed(&alternatives)
        )
    };
    findings.problems.push(Problem::new(About::InstanceClass, Some(region), wanted, why, help));
    findings
}

/// The classes that a Region offers for a version: all, or one.
async fn classes(
    preflight: &Preflight<'_>,
    region: &Region,
    version: &str,
    class: Option<&str>,
) -> Result<Classes, Failure> {
    let rds = &preflight.aws.at(region).rds;
    let question = preflight.aws.read(region, "rds", "DescribeOrderableDBInstanceOptions", || {
        rds.describe_orderable_db_instance_options()
            .engine(ENGINE)
            .engine_version(version)
            .set_db_instance_class(class.map(str::to_owned))
            .vpc(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(grouped(&answered(region, question).await?))
}

/// Each class is listed once for every kind of storage. What is not for global databases counts only where nothing else is.
fn grouped(options: &[OrderableDbInstanceOption]) -> Classes {
    let mut classes = Classes::new();
    for option in options {
        let Some(class) = option.db_instance_class() else { continue };
        let global = option.supports_global_databases().unwrap_or(false);
        let zones = option.availability_zones().iter().filter_map(|zone| zone.name().map(str::to_owned));
        let known = classes.entry(class.to_owned()).or_insert((global, BTreeSet::new()));
        if global && !known.0 {
            *known = (true, BTreeSet::new());
        }
        if global == known.0 {
            known.1.extend(zones);
        }
    }
    classes
}

fn parse(text: &str) -> Option<EngineVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(EngineVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

fn offer(global: Option<bool>) -> Offer {
    match global {
        None => Offer::None,
        Some(false) => Offer::NotGlobal,
        Some(true) => Offer::Global,
    }
}

/// What is offered for global databases, the nearest first: the same major version, and of two as near the newer.
fn nearest(wanted: EngineVersion, offered: &Versions) -> Vec<EngineVersion> {
    let mut versions: Vec<EngineVersion> =
        offered.iter().filter(|(_, global)| **global).map(|(version, _)| *version).collect();
    versions.sort_by_key(|version| {
        let major = version.major.abs_diff(wanted.major);
        // Minor versions are near or far only within their major one.
        let minor = if major == 0 { version.minor.abs_diff(wanted.minor) } else { 0 };
        (major, minor, Reverse(*version))
    });
    versions.truncate(NAMED);
    versions
}

/// What to write instead: what every Region that answered offers.
fn advice(wanted: EngineVersion, offered: [Option<&Versions>; 2]) -> String {
    let mut common: Option<Versions> = None;
    for versions in offered.into_iter().flatten() {
        common = Some(match common {
            None => versions.clone(),
            Some(mut common) => {
                common.retain(|version, global| *global && versions.get(version) == Some(&true));
                common
            }
        });
    }
    let common = nearest(wanted, &common.unwrap_or_default());
    match common.first() {
        Some(version) => {
            format!("Write `engine_version = \"{version}\"` in [database]: both Regions have to offer the same.")
        }
        None => "Choose another pair of Regions in [regions]: these offer no version in common.".to_owned(),
    }
}

fn no_version(region: &str, wanted: EngineVersion, offer: &Offer, nearest: &[EngineVersion], advice: &str) -> Problem {
    let wrong = match offer {
        Offer::NotGlobal => "offers it, but not for global databases",
        Offer::None | Offer::Global => "does not offer it",
    };
    let nearest: Vec<String> = nearest.iter().map(ToString::to_string).collect();
    let instead =
        if nearest.is_empty() { "nor any other".to_owned() } else { format!("the nearest are {}", listed(&nearest)) };
    let message = format!("Aurora PostgreSQL {wanted}: {region} {wrong}; {instead}");
    Problem::new(About::EngineVersion, Some(region), format!("{ENGINE} {wanted}"), message, advice.to_owned())
}

/// Why a class does not do, if so.
fn unfit(wanted: &str, offered: &Classes, zones: &[String; 3]) -> Option<String> {
    let Some((global, everywhere)) = offered.get(wanted) else {
        return Some(format!("{wanted} is not offered with this version"));
    };
    if !global {
        return Some(format!("{wanted} is offered, but not for global databases"));
    }
    let here: Vec<&String> = zones.iter().filter(|zone| everywhere.contains(*zone)).collect();
    if here.len() >= ZONES {
        return None;
    }
    let only = if here.is_empty() { "none".to_owned() } else { format!("only {}", listed(&here)) };
    Some(format!("of the stack's zones, {only} offers {wanted}, and {ZONES} have to"))
}

/// Classes that do, the most alike first: the same size, then the same family.
fn alternatives(wanted: &str, offered: &Classes, zones: &[String; 3]) -> Vec<String> {
    let parts = |class: &str| {
        let (family, size) = class.rsplit_once('.').unwrap_or((class, ""));
        (family.to_owned(), size.to_owned())
    };
    let (family, size) = parts(wanted);
    let letter = family.chars().nth("db.".len());
    let mut fit: Vec<&String> = offered.keys().filter(|class| unfit(class, offered, zones).is_none()).collect();
    fit.sort_by_cached_key(|class| {
        let (other, other_size) = parts(class);
        let same = if other == family { 0 } else { 1 + usize::from(other.chars().nth("db.".len()) != letter) };
        (other_size != size, same, class.len(), (*class).clone())
    });
    fit.into_iter().take(NAMED).cloned().collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::AvailabilityZone;

    use super::*;

    fn version(text: &str) -> EngineVersion {
        parse(text).expect("a version")
    }

    fn versions(global: &[&str]) -> Versions {
        global.iter().map(|text| (version(text), true)).collect()
    }

    fn zones() -> [String; 3] {
        ["a", "b", "c"].map(str::to_owned)
    }

    fn option(class: &str, global: bool, zones: &[&str]) -> OrderableDbInstanceOption {
        let zones = zones.iter().map(|zone| AvailabilityZone::builder().name(*zone).build()).collect();
        OrderableDbInstanceOption::builder()
            .db_instance_class(class)
            .supports_global_databases(global)
            .set_availability_zones(Some(zones))
            .build()
    }

    #[test]
    fn versions_of_another_kind_are_none() {
        assert_eq!(parse("17.7"), Some(EngineVersion { major: 17, minor: 7 }));
        assert_eq!((parse("16.9-limitless"), parse("17")), (None, None));
    }

    #[test]
    fn the_nearest_versions_are_of_the_same_major_and_new() {
        let offered = versions(&["15.10", "16.8", "16.9", "16.13", "17.4", "17.7"]);
        let nearest: Vec<String> = nearest(version("16.10"), &offered).iter().map(ToString::to_string).collect();
        assert_eq!(nearest, ["16.9", "16.8", "16.13", "17.7"]);
        assert!(super::nearest(version("16.10"), &BTreeMap::from([(version("16.10"), false)])).is_empty());
    }

    #[test]
    fn the_advice_is_what_both_regions_offer() {
        let (here, there) = (versions(&["16.8", "17.7"]), versions(&["16.8", "16.9"]));
        let said = advice(version("16.9"), [Some(&here), Some(&there)]);
        assert!(said.contains("engine_version = \"16.8\""), "{said}");
        assert!(advice(version("16.9"), [None, Some(&there)]).contains("\"16.9\""));
        let said = advice(version("16.9"), [Some(&here), Some(&versions(&["15.10"]))]);
        assert!(said.contains("another pair of Regions"), "{said}");
    }

    #[test]
    fn a_version_that_is_not_offered_is_told_with_the_nearest() {
        let problem =
            no_version("us-east-2", version("16.4"), &Offer::None, &[version("16.8"), version("16.9")], "Do.");
        assert_eq!(
            problem.message,
            "Aurora PostgreSQL 16.4: us-east-2 does not offer it; the nearest are 16.8 and 16.9"
        );
        let problem = no_version("us-east-2", version("16.4"), &offer(Some(false)), &[], "Do.");
        assert!(problem.message.contains("not for global databases; nor any other"), "{}", problem.message);
    }

    #[test]
    fn a_class_has_to_be_global_and_in_two_zones() {
        let offered = grouped(&[
            option("db.r6g.large", false, &["a", "b", "c"]),
            option("db.r6g.large", true, &["a"]),
            option("db.r6g.large", true, &["c", "d"]),
            option("db.r5.large", true, &["b", "d"]),
            option("db.m5.large", false, &["a", "b", "c"]),
        ]);
        assert_eq!(unfit("db.r6g.large", &offered, &zones()), None);
        let said = unfit("db.r5.large", &offered, &zones());
        assert_eq!(said.as_deref(), Some("of the stack's zones, only b offers db.r5.large, and 2 have to"));
        assert!(unfit("db.m5.large", &offered, &zones()).is_some_and(|why| why.contains("global databases")));
        assert!(unfit("db.x2g.large", &offered, &zones()).is_some_and(|why| why.contains("is not offered")));
    }

    #[test]
    fn alternatives_are_alike() {
        let everywhere = &["a", "b", "c"];
        let offered = grouped(&[
            option("db.r6g.xlarge", true, everywhere),
            option("db.x2g.large", true, everywhere),
            option("db.r7g.large", true, everywhere),
            option("db.r8g.large", true, &["a"]),
            option("db.serverless", true, everywhere),
        ]);
        let said = alternatives("db.r6g.large", &offered, &zones());
        assert_eq!(said, ["db.r7g.large", "db.x2g.large", "db.r6g.xlarge", "db.serverless"]);
    }
}
