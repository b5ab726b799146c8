//! What a change of the engine version means for an existing database: nothing, a minor upgrade, or a change that `up` refuses.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-upgrade.html>.
//! See docs/aws-behaviour.md#versions-only-rise.

use super::planned::Planned;
use super::{About, Problem, listed};
use drctl_config::EngineVersion;
use drctl_engine::Item;

/// The step from the running version to the desired one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing to do.
    None,
    /// AWS runs a later minor version, which is kept.
    Ahead,
    /// To a later minor version.
    Minor,
    /// To a later major version.
    Major,
    /// To an earlier major version.
    Back,
}

impl Step {
    pub(super) fn of(live: EngineVersion, wanted: EngineVersion) -> Self {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (live.major.cmp(&wanted.major), live.minor.cmp(&wanted.minor)) {
            (Less, _) => Self::Major,
            (Greater, _) => Self::Back,
            (Equal, Less) => Self::Minor,
            (Equal, Equal) => Self::None,
            (Equal, Greater) => Self::Ahead,
        }
    }
}

/// Parses `major.minor`. Anything else is not a normal version.
pub(super) fn parse(text: &str) -> Option<EngineVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(EngineVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// The version that an existing resource runs, unless it is going to be replaced.
pub(super) fn live(item: &Item) -> Option<EngineVersion> {
    let live = item.live.as_ref().filter(|_| !super::planned::is_made(item))?;
    parse(live.properties.get("engine_version")?.as_str()?)
}

/// The existing clusters with their running versions, the global cluster first.
fn running<'a>(planned: &Planned<'a>) -> Vec<(&'a Item, EngineVersion)> {
    let all = ["global_cluster", "db_cluster"].into_iter().flat_map(|kind| planned.staying(kind));
    all.filter_map(|item| Some((item, live(item)?))).collect()
}

/// The latest running version.
pub(super) fn latest(planned: &Planned<'_>) -> Option<EngineVersion> {
    running(planned).into_iter().map(|(_, version)| version).max()
}

/// Version changes that `up` refuses, whichever versions are offered. A major upgrade is reported only to an offered version.
pub(super) fn problems(planned: &Planned<'_>, name: &str, wanted: EngineVersion, is_offered: bool) -> Vec<Problem> {
    let of = |step: Step| {
        let all = running(planned).into_iter().map(|(_, version)| version);
        all.filter(|version| Step::of(*version, wanted) == step).max()
    };
    let mut problems = Vec::new();
    if let Some(live) = of(Step::Back) {
        let message = format!("the database runs Aurora PostgreSQL {live}, and Aurora cannot downgrade it to {wanted}");
        let help = format!(
            "Write `engine_version = \"{live}\"` in [database]. For an older version, build another environment and copy the data."
        );
        problems.push(problem(live, wanted, message, help));
    }
    if let Some(live) = of(Step::Major).filter(|_| is_offered) {
        problems.push(major(live, wanted, name));
    }
    problems.extend(newcomers(planned, wanted));
    problems
}

fn problem(live: EngineVersion, wanted: EngineVersion, message: String, help: String) -> Problem {
    Problem::new(About::EngineVersion, None, format!("aurora-postgresql {live} → {wanted}"), message, help)
}

/// A major upgrade takes place on all members at once, and they are offline meanwhile, so an operator has to start it. AWS
/// puts both clusters on default parameter groups: <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyGlobalCluster.html>.
/// See docs/aws-behaviour.md#major-upgrade-is-an-outage.
fn major(live: EngineVersion, wanted: EngineVersion, name: &str) -> Problem {
    let message = format!(
        "the database runs Aurora PostgreSQL {live}, and {wanted} is a major upgrade: it needs new parameter groups and takes the \
         database in both Regions offline, so `drctl up` does not start it"
    );
    let help = format!(
        "Keep `engine_version = \"{live}\"` in [database] until it is done by hand, in this order. 1. A snapshot: `aws rds \
         create-db-cluster-snapshot`. 2. The upgrade, which reboots all instances, and the database is offline until it is finished: `aws rds modify-global-cluster --global-cluster-identifier {name} --engine-version {wanted} \
         --allow-major-version-upgrade` (AllowMajorVersionUpgrade); AWS puts both clusters on the default parameter groups of \
         {wanted}. 3. `engine_version = \"{wanted}\"` here, and `drctl up`: it replaces the two parameter groups, which nothing uses \
         by then, and sets the new ones. 4. A reboot of each instance, for the new groups to apply."
    );
    problem(live, wanted, message, help)
}

/// A member joins with the version that the global cluster runs, or is refused: "Value for engineVersion should match setting
/// for global cluster". <https://github.com/aws/aws-cli/issues/8139>.
/// See docs/aws-behaviour.md#member-joins-with-the-running-version.
fn newcomers(planned: &Planned<'_>, wanted: EngineVersion) -> Option<Problem> {
    let global = planned.staying("global_cluster").find_map(live)?;
    let joining: Vec<String> = planned.made("db_cluster").map(|item| item.address.to_string()).collect();
    if joining.is_empty() || Step::of(global, wanted) != Step::Ahead {
        return None;
    }
    let message = format!(
        "{} would be created with Aurora PostgreSQL {wanted}, and the global cluster that it joins runs {global}",
        listed(&joining)
    );
    let help = format!("Write `engine_version = \"{global}\"` in [database].");
    Some(problem(global, wanted, message, help))
}

/// Not a problem: AWS runs a later minor version than the file says.
pub(super) fn note(planned: &Planned<'_>, wanted: EngineVersion) -> Option<Problem> {
    let live = latest(planned).filter(|live| Step::of(*live, wanted) == Step::Ahead)?;
    let message = format!(
        "AWS runs {live}, and drctl.toml says {wanted}: nothing is changed, because Aurora cannot be downgraded"
    );
    let help = format!("AWS runs {live}; write `engine_version = \"{live}\"` in [database].");
    Some(problem(live, wanted, message, help))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::preflight::planned::tests::item;
    use drctl_engine::{Action, Live, Owner, Phase, Plan};

    /// An existing resource with these properties.
    pub(in crate::preflight) fn there(at: &str, region: &str, action: Action, properties: &Value) -> Item {
        let live = Live {
            id: "i".to_owned(),
            arn: None,
            phase: Phase::Ready,
            owner: Owner::Implied,
            properties: properties.as_object().cloned().unwrap_or_default(),
            outputs: std::collections::BTreeMap::new(),
            goes_after: Vec::new(),
        };
        Item { live: Some(Box::new(live)), ..item(at, region, action, &json!({})) }
    }

    fn version(text: &str) -> EngineVersion {
        parse(text).expect("a version")
    }

    fn global(runs: &str) -> Item {
        there("global/global_cluster/main", "us-east-1", Action::Update, &json!({"engine_version": runs}))
    }

    fn reported(items: Vec<Item>, wanted: &str) -> (Vec<Problem>, Option<Problem>) {
        let plan = Plan { items };
        let planned = Planned::of(&plan);
        (problems(&planned, "pay-dev", version(wanted), true), note(&planned, version(wanted)))
    }

    #[test]
    fn a_step_is_within_a_major_version_or_not() {
        let of = |live, wanted| Step::of(version(live), version(wanted));
        assert_eq!(of("17.7", "17.7"), Step::None);
        assert_eq!(of("17.7", "17.9"), Step::Minor);
        assert_eq!(of("17.9", "17.7"), Step::Ahead);
        assert_eq!((of("16.8", "17.4"), of("17.4", "16.8")), (Step::Major, Step::Back));
    }

    #[test]
    fn a_major_upgrade_is_refused_with_its_instructions() {
        let (problems, note) = reported(vec![global("16.8")], "17.7");
        let [problem] = problems.as_slice() else { panic!("one: {problems:?}") };
        assert!(problem.message.contains("17.7 is a major upgrade"), "{}", problem.message);
        assert!(problem.message.contains("new parameter groups"), "{}", problem.message);
        for word in ["snapshot", "--allow-major-version-upgrade", "replaces the two parameter groups", "reboot"] {
            assert!(problem.help.contains(word), "{word}: {}", problem.help);
        }
        assert_eq!(note, None);
    }

    #[test]
    fn nothing_goes_back_to_an_earlier_major_version() {
        let (problems, _) = reported(vec![global("17.7")], "16.4");
        let [problem] = problems.as_slice() else { panic!("one: {problems:?}") };
        assert!(problem.help.contains("engine_version = \"17.7\""), "{}", problem.help);
    }

    #[test]
    fn a_later_minor_version_is_noted_and_does_not_stop_up() {
        let (problems, note) = reported(vec![global("17.9")], "17.7");
        assert!(problems.is_empty(), "{problems:?}");
        let note = note.expect("a note");
        assert_eq!(note.help, "AWS runs 17.9; write `engine_version = \"17.9\"` in [database].");
    }

    #[test]
    fn a_member_joins_with_the_running_version() {
        let member = || item("secondary/db_cluster/main", "us-east-2", Action::Create, &json!({}));
        let (problems, _) = reported(vec![global("17.9"), member()], "17.7");
        let [problem] = problems.as_slice() else { panic!("one: {problems:?}") };
        assert!(problem.message.contains("secondary/db_cluster/main would be created with"), "{}", problem.message);
        assert!(reported(vec![global("17.7"), member()], "17.7").0.is_empty());
        // The global cluster is upgraded first.
        assert!(reported(vec![global("17.4"), member()], "17.7").0.is_empty());
    }
}
