//! Whether both Regions offer the configured database, i.e. its version and its class, for global databases. It is checked for
//! what is created, and for an existing database whose version or class is to be changed.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.limitations.html>.
//! See docs/aws-behaviour.md#database-capacity-differs-by-region and docs/aws-behaviour.md#burstable-class-refused.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_rds::types::{DbEngineVersion, OrderableDbInstanceOption};
use futures::future::join;

use super::planned::{Planned, is_changed, is_made};
use super::versions::{Step, live, parse};
use super::{About, Findings, Preflight, Problem, listed, versions};
use drctl_config::EngineVersion;
use drctl_engine::{Failure, Region};

/// The engine, by AWS's name.
const ENGINE: &str = "aurora-postgresql";

/// In how many zones of the subnet group a class should be offered: if it is only one, losing that zone loses the class.
const ZONES: usize = 2;

/// How many alternatives a message names.
const NAMED: usize = 4;

/// How one version or class is offered.
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

/// The versions of one Region. Those that are not `major.minor` are of another kind (`16.9-limitless`).
type Versions = BTreeMap<EngineVersion, Offered>;

/// A version that is offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Offered {
    /// Whether for global databases.
    global: bool,
    /// The versions to which a cluster in a global database can be upgraded from it.
    targets: BTreeSet<EngineVersion>,
}

/// What has to be found out about one Region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Asked {
    /// Whether a cluster is created, with the desired version.
    joins: bool,
    /// The version of a cluster that is upgraded within its major version.
    upgrade: Option<EngineVersion>,
    /// Whether a cluster is of an earlier major version.
    major: bool,
    /// The version for which a class has to be offered: that of an instance that is created, or gets another class or version.
    class: Option<EngineVersion>,
}

impl Asked {
    fn of(planned: &Planned<'_>, region: &str, wanted: EngineVersion) -> Self {
        let here = |kind: &str| planned.staying(kind).find(|item| item.region == region);
        let cluster = here("db_cluster");
        let runs = cluster.and_then(live);
        let step = runs.map(|runs| Step::of(runs, wanted));
        let version = if step == Some(Step::Ahead) { runs.unwrap_or(wanted) } else { wanted };
        let differs = here("db_instance").is_some_and(|item| is_made(item) || is_changed(item, "class"));
        let upgrade = runs.filter(|_| step == Some(Step::Minor));
        Self {
            joins: cluster.is_some_and(is_made),
            upgrade,
            major: step == Some(Step::Major),
            // `up` does nothing between major versions, so nothing has to be offered.
            class: (differs || upgrade.is_some())
                .then_some(version)
                .filter(|_| !matches!(step, Some(Step::Major | Step::Back))),
        }
    }

    fn is_anything(self) -> bool {
        self.joins || self.upgrade.is_some() || self.major || self.class.is_some()
    }
}

/// Checks both Regions. They have to offer the same, so the advice for one depends on what the other offers.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let wanted = preflight.config.database.engine_version;
    let mut findings = Findings::default();
    findings.notes.extend(versions::note(planned, wanted));
    let asked = preflight.regions.map(|region| Asked::of(planned, region, wanted));
    let [here, there] = [0, 1].map(|at| offered(preflight, preflight.regions[at], asked[at]));
    let (here, there) = join(here, there).await;
    // If a database already runs, the nearest versions are those near to it: another major version does not help against a
    // mistyped minor version.
    let near = versions::latest(planned).unwrap_or(wanted);
    let advice = advice(near, [&here, &there].map(|answer| answer.as_ref().ok()?.as_ref()));
    let mut versions = [None, None];
    let mut is_offered = true;
    for (at, answer) in [here, there].into_iter().enumerate() {
        let region = preflight.regions[at];
        match answer {
            Ok(None) => {}
            Ok(Some(offered)) => {
                let is_reported = version(preflight, &mut findings, region, asked[at], &offered, near, &advice);
                versions[at] = asked[at].class.filter(|_| !is_reported);
                is_offered &= !is_reported;
            }
            Err(failure) => {
                findings.unanswered(About::EngineVersion, region, "database engine versions", &failure);
            }
        }
    }
    findings.problems.extend(versions::problems(planned, &preflight.config.name(), wanted, is_offered));
    // Nothing can be asked about a version that is not offered.
    let classes = async |at: usize| match versions[at] {
        Some(version) => class(preflight, preflight.regions[at], preflight.zones[at], version, asked[at]).await,
        None => Findings::default(),
    };
    let (here, there) = join(classes(0), classes(1)).await;
    Findings::settled(vec![findings, here, there])
}

/// Checks the version in one Region, and returns whether a problem was reported.
fn version(
    preflight: &Preflight<'_>,
    findings: &mut Findings,
    region: &str,
    asked: Asked,
    offered: &Versions,
    near: EngineVersion,
    advice: &str,
) -> bool {
    let wanted = preflight.config.database.engine_version;
    if !asked.joins && asked.upgrade.is_none() && !asked.major {
        // A running cluster keeps its version even if it is no longer offered.
        return false;
    }
    let offer = offer(offered.get(&wanted).map(|version| version.global));
    if offer != Offer::Global {
        let nearest = nearest(near, offered);
        findings.problems.push(no_version(region, wanted, &offer, &nearest, advice));
        return true;
    }
    let Some(runs) = asked.upgrade else { return false };
    if preflight.aws.is_custom_endpoint() && offered.values().all(|version| version.targets.is_empty()) {
        let why = "this endpoint does not say which versions can be upgraded to which".to_owned();
        findings.unchecked(About::EngineVersion, Some(region), format!("upgrade from {runs} to {wanted}"), why);
        return false;
    }
    let targets = offered.get(&runs).map(|version| &version.targets);
    let Some(problem) = targets.and_then(|targets| no_target(region, runs, wanted, targets)) else {
        if targets.is_none() {
            let why = format!("RDS does not say what {runs} can be upgraded to");
            findings.unchecked(About::EngineVersion, Some(region), format!("upgrade from {runs} to {wanted}"), why);
        }
        return false;
    };
    findings.problems.push(problem);
    true
}

/// The problem if a cluster cannot be upgraded from one version to the other.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_UpgradeTarget.html>
fn no_target(
    region: &str,
    runs: EngineVersion,
    wanted: EngineVersion,
    targets: &BTreeSet<EngineVersion>,
) -> Option<Problem> {
    if targets.contains(&wanted) {
        return None;
    }
    let minor: Vec<String> =
        targets.iter().filter(|target| target.major == runs.major).map(ToString::to_string).collect();
    let to = if minor.is_empty() { "none within its major version".to_owned() } else { listed(&minor) };
    let message = format!("Aurora PostgreSQL {runs} in {region} cannot be upgraded to {wanted}; possible: {to}");
    let help = match minor.last() {
        Some(last) => {
            format!("Write `engine_version = \"{last}\"` in [database]; further versions may follow from there.")
        }
        None => format!("Keep `engine_version = \"{runs}\"` in [database]."),
    };
    Some(Problem::new(About::EngineVersion, Some(region), format!("{ENGINE} {wanted}"), message, help))
}

/// The versions of a Region; `None` if nothing has to be known about them.
async fn offered(preflight: &Preflight<'_>, region: &str, asked: Asked) -> Result<Option<Versions>, Failure> {
    if !asked.is_anything() {
        return Ok(None);
    }
    let at = Region::from(region);
    let rds = &preflight.aws.at(&at).rds;
    let question = preflight.aws.pages(&at, "rds", "DescribeDBEngineVersions", || {
        rds.describe_db_engine_versions().engine(ENGINE).into_paginator().items().send()
    });
    let answer = question.await?;
    let usable = answer.iter().filter(|version| version.status().is_none_or(|status| status == "available"));
    let mut versions: Versions = usable.filter_map(of_described).collect();
    if let Some(runs) = asked.upgrade.filter(|runs| !versions.contains_key(runs)) {
        // The description of a version that is no longer offered still has its upgrade targets.
        let runs = runs.to_string();
        let question = preflight.aws.read(&at, "rds", "DescribeDBEngineVersions", || {
            rds.describe_db_engine_versions().engine(ENGINE).engine_version(&runs).include_all(true).send()
        });
        let old = question.await?;
        versions.extend(
            old.db_engine_versions()
                .iter()
                .filter_map(of_described)
                .map(|(version, offered)| (version, Offered { global: false, ..offered })),
        );
    }
    Ok(Some(versions))
}

fn of_described(version: &DbEngineVersion) -> Option<(EngineVersion, Offered)> {
    let targets = version.valid_upgrade_target().iter();
    let targets = targets.filter(|target| target.supports_global_databases().unwrap_or(true));
    let offered = Offered {
        global: version.supports_global_databases().unwrap_or(false),
        targets: targets.filter_map(|target| parse(target.engine_version()?)).collect(),
    };
    Some((parse(version.engine_version()?)?, offered))
}

/// Checks the class in one Region.
async fn class(
    preflight: &Preflight<'_>,
    region: &str,
    zones: &[String; 3],
    version: EngineVersion,
    asked: Asked,
) -> Findings {
    let mut findings = Findings::default();
    let wanted = preflight.config.database.instance_class.as_str();
    let version = version.to_string();
    let at = Region::from(region);
    let offered = match classes(preflight, &at, &version, Some(wanted)).await {
        Ok(offered) => offered,
        Err(failure) => {
            findings.unanswered(About::InstanceClass, region, "database instance classes", &failure);
            return findings;
        }
    };
    let why = match fitness(wanted, &offered, zones) {
        Fitness::Fit => return findings,
        Fitness::Scarce(why) => {
            let help = "If that zone fails, no instance of this class can be created in another one. Set \
                        `instance_class` in [database] to a class that more zones offer.";
            let note = Problem::new(About::InstanceClass, Some(region), wanted, why, help.to_owned());
            findings.notes.push(note);
            return findings;
        }
        Fitness::Unfit(why) => why,
    };
    // All classes are several hundred entries, so they are read only now, for the advice. Without an answer, the advice is
    // shorter.
    let all = classes(preflight, &at, &version, None).await.unwrap_or_default();
    if preflight.aws.is_custom_endpoint() && all.values().all(|(global, _)| !global) {
        // The version is for global databases, so there must be a class for it.
        let why = format!("this endpoint offers {version} for global databases, and no class for it");
        findings.unchecked(About::InstanceClass, Some(region), "database instance classes", why);
        return findings;
    }
    if all.is_empty() && !asked.joins {
        let why = format!("{region} no longer offers {version}, and does not say which classes its clusters can use");
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
    let question = preflight.aws.pages(region, "rds", "DescribeOrderableDBInstanceOptions", || {
        rds.describe_orderable_db_instance_options()
            .engine(ENGINE)
            .engine_version(version)
            .set_db_instance_class(class.map(str::to_owned))
            .vpc(true)
            .into_paginator()
            .items()
            .send()
    });
    Ok(grouped(&question.await?))
}

/// Groups the options by class, because each class is listed once for every kind of storage. An option that is not for global
/// databases counts only if there is no other.
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

fn offer(global: Option<bool>) -> Offer {
    match global {
        None => Offer::None,
        Some(false) => Offer::NotGlobal,
        Some(true) => Offer::Global,
    }
}

/// The versions that are offered for global databases, the nearest first: those of the same major version, and the newer of two
/// that are equally near.
fn nearest(wanted: EngineVersion, offered: &Versions) -> Vec<EngineVersion> {
    let mut versions: Vec<EngineVersion> =
        offered.iter().filter(|(_, offered)| offered.global).map(|(version, _)| *version).collect();
    versions.sort_by_key(|version| {
        let major = version.major.abs_diff(wanted.major);
        // The distance between minor versions matters only within the same major version.
        let minor = if major == 0 { version.minor.abs_diff(wanted.minor) } else { 0 };
        (major, minor, Reverse(*version))
    });
    versions.truncate(NAMED);
    versions
}

/// What to write instead: a version that every Region that answered offers.
fn advice(wanted: EngineVersion, offered: [Option<&Versions>; 2]) -> String {
    let mut common: Option<Versions> = None;
    for versions in offered.into_iter().flatten() {
        common = Some(match common {
            None => versions.clone(),
            Some(mut common) => {
                let is_offered = |version: &EngineVersion| versions.get(version).is_some_and(|there| there.global);
                common.retain(|version, here| here.global && is_offered(version));
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

/// Whether a class can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fitness {
    /// It can.
    Fit,
    /// AWS accepts it, but only one zone offers it.
    Scarce(String),
    /// AWS refuses it.
    Unfit(String),
}

fn fitness(wanted: &str, offered: &Classes, zones: &[String; 3]) -> Fitness {
    let Some((global, everywhere)) = offered.get(wanted) else {
        return Fitness::Unfit(format!("{wanted} is not offered with this version"));
    };
    if !global {
        return Fitness::Unfit(format!("{wanted} is offered, but not for global databases"));
    }
    let here: Vec<&String> = zones.iter().filter(|zone| everywhere.contains(*zone)).collect();
    match here.as_slice() {
        [] => Fitness::Unfit(format!("none of the stack's zones offers {wanted}")),
        few if few.len() < ZONES => {
            Fitness::Scarce(format!("of the stack's zones, only {} offers {wanted}", listed(few)))
        }
        _ => Fitness::Fit,
    }
}

/// Classes that can be used, the most similar first: the same size, then the same family.
fn alternatives(wanted: &str, offered: &Classes, zones: &[String; 3]) -> Vec<String> {
    let parts = |class: &str| {
        let (family, size) = class.rsplit_once('.').unwrap_or((class, ""));
        (family.to_owned(), size.to_owned())
    };
    let (family, size) = parts(wanted);
    let letter = family.chars().nth("db.".len());
    let mut fit: Vec<&String> = offered.keys().filter(|class| fitness(class, offered, zones) == Fitness::Fit).collect();
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
    use serde_json::{Value, json};

    use super::*;
    use drctl_engine::{Action, Item, Plan};

    fn version(text: &str) -> EngineVersion {
        parse(text).expect("a version")
    }

    fn versions(global: &[&str]) -> Versions {
        global.iter().map(|text| (version(text), Offered { global: true, ..Offered::default() })).collect()
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
    fn versions_of_another_kind_are_ignored() {
        assert_eq!(parse("17.7"), Some(EngineVersion { major: 17, minor: 7 }));
        assert_eq!((parse("16.9-limitless"), parse("17")), (None, None));
    }

    #[test]
    fn the_nearest_versions_are_of_the_same_major_and_new() {
        let offered = versions(&["15.10", "16.8", "16.9", "16.13", "17.4", "17.7"]);
        let nearest: Vec<String> = nearest(version("16.10"), &offered).iter().map(ToString::to_string).collect();
        assert_eq!(nearest, ["16.9", "16.8", "16.13", "17.7"]);
        assert!(super::nearest(version("16.10"), &BTreeMap::from([(version("16.10"), Offered::default())])).is_empty());
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
    fn a_version_that_is_not_offered_is_reported_with_the_nearest() {
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
            option("db.r4.large", true, &["d"]),
        ]);
        assert_eq!(fitness("db.r6g.large", &offered, &zones()), Fitness::Fit);
        // AWS accepts a class that only one zone offers.
        let scarce = Fitness::Scarce("of the stack's zones, only b offers db.r5.large".to_owned());
        assert_eq!(fitness("db.r5.large", &offered, &zones()), scarce);
        let unfit = |class: &str, word: &str| match fitness(class, &offered, &zones()) {
            Fitness::Unfit(why) => assert!(why.contains(word), "{why}"),
            other => panic!("{class}: {other:?}"),
        };
        unfit("db.m5.large", "global databases");
        unfit("db.x2g.large", "is not offered");
        unfit("db.r4.large", "none of the stack's zones");
    }

    #[test]
    fn a_cluster_is_upgraded_only_to_a_target_of_its_version() {
        let targets: BTreeSet<EngineVersion> = ["16.9", "16.10", "17.7"].iter().map(|text| version(text)).collect();
        assert_eq!(no_target("us-east-1", version("16.8"), version("16.10"), &targets), None);
        let problem = no_target("us-east-1", version("16.8"), version("16.11"), &targets).expect("a problem");
        assert_eq!(
            problem.message,
            "Aurora PostgreSQL 16.8 in us-east-1 cannot be upgraded to 16.11; possible: 16.9 and 16.10"
        );
        assert!(problem.help.contains("engine_version = \"16.10\""), "{}", problem.help);
        let none = no_target("us-east-1", version("16.8"), version("16.9"), &BTreeSet::new()).expect("a problem");
        assert!(none.help.contains("Keep `engine_version = \"16.8\"`"), "{}", none.help);
    }

    #[test]
    fn only_what_changes_is_checked() {
        use crate::preflight::planned::tests::item;
        use crate::preflight::versions::tests::there;
        let cluster =
            |runs: &str| there("primary/db_cluster/main", "us-east-1", Action::None, &json!({"engine_version": runs}));
        let instance = |action, changed: &Value| Item {
            changes: item("primary/db_instance/main", "us-east-1", action, changed).changes,
            ..there("primary/db_instance/main", "us-east-1", action, &json!({}))
        };
        let asked = |items: Vec<Item>| {
            let plan = Plan { items };
            Asked::of(&Planned::of(&plan), "us-east-1", version("17.7"))
        };
        let same = || instance(Action::None, &json!({}));
        assert!(!asked(vec![cluster("17.7"), same()]).is_anything());
        assert!(!asked(vec![cluster("17.9"), same()]).is_anything());
        let (up, at) = (Some(version("17.4")), Some(version("17.7")));
        assert_eq!(asked(vec![cluster("17.4"), same()]), Asked { upgrade: up, class: at, ..Asked::default() });
        // Another class, for the running version, which may be later than the configured one.
        let other = || instance(Action::Update, &json!({"class": "db.r7g.large"}));
        assert_eq!(asked(vec![cluster("17.7"), other()]).class, at);
        assert_eq!(asked(vec![cluster("17.9"), other()]).class, Some(version("17.9")));
        assert_eq!(asked(vec![cluster("16.8"), other()]), Asked { major: true, ..Asked::default() });
        let made = item("primary/db_cluster/main", "us-east-1", Action::Create, &json!({}));
        assert!(asked(vec![made]).joins);
    }

    #[test]
    fn alternatives_are_similar() {
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
