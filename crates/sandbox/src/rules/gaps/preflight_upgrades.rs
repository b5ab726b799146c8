//! The versions to which Aurora PostgreSQL can be upgraded: MiniStack answers that there are none.
//!
//! On AWS, a version can be upgraded to the later minor versions of its major version, and to later major versions.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_UpgradeDBInstance.PostgreSQL.UpgradeVersion.html>.
//! See docs/aws-behaviour.md#versions-only-rise.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Fills in, for each listed version, the listed versions to which it can be upgraded.
pub(super) struct PreflightUpgrades;

impl Rule for PreflightUpgrades {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            let engine = call.form().get("Engine").unwrap_or_default();
            if call.is("rds", "DescribeDBEngineVersions") && engine == "aurora-postgresql" {
                answer.edit_xml(fill);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn fill(root: &mut Element) -> bool {
    let Some(versions) = root
        .child_mut("DescribeDBEngineVersionsResult")
        .and_then(|result| result.child_mut("DBEngineVersions"))
        .map(Element::children_mut)
    else {
        return false;
    };
    let all: Vec<(u32, u32)> = versions.iter().filter_map(version).collect();
    for described in versions.iter_mut() {
        let Some(from) = version(described) else { continue };
        let mut later: Vec<(u32, u32)> = all.iter().copied().filter(|to| *to > from).collect();
        later.sort_unstable();
        let targets = later.into_iter().map(|(major, minor)| {
            Element::with_children(
                "UpgradeTarget",
                vec![
                    Element::with_text("Engine", "aurora-postgresql"),
                    Element::with_text("EngineVersion", &format!("{major}.{minor}")),
                    Element::with_text("IsMajorVersionUpgrade", if major == from.0 { "false" } else { "true" }),
                    Element::with_text("SupportsGlobalDatabases", "true"),
                ],
            )
        });
        described.replace(Element::with_children("ValidUpgradeTarget", targets.collect()));
    }
    true
}

/// Major and minor version. `16.9-limitless` is a different product, and has no upgrades here.
fn version(described: &Element) -> Option<(u32, u32)> {
    let (major, minor) = described.text_of("EngineVersion")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_upgraded_to_later_ones_only() {
        let described = |version: &str| {
            format!("<DBEngineVersion><EngineVersion>{version}</EngineVersion><ValidUpgradeTarget/></DBEngineVersion>")
        };
        let all = ["16.8", "16.10", "16.9-limitless", "17.4"].map(described).concat();
        let document = format!(
            "<r><DescribeDBEngineVersionsResult><DBEngineVersions>{all}</DBEngineVersions></DescribeDBEngineVersionsResult></r>"
        );
        let mut root = Element::parse(document.as_bytes()).expect("a document");
        assert!(fill(&mut root));
        let path = ["DescribeDBEngineVersionsResult", "DBEngineVersions", "DBEngineVersion"];
        let targets: Vec<Vec<&str>> = root
            .at(&path)
            .into_iter()
            .map(|one| {
                one.at(&["ValidUpgradeTarget", "UpgradeTarget", "EngineVersion"]).iter().map(|to| to.text()).collect()
            })
            .collect();
        assert_eq!(targets, [vec!["16.10", "17.4"], vec!["17.4"], vec![], vec![]]);
    }
}
