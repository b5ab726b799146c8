//! The instance classes of Aurora: MiniStack offers the same ten for every engine, in two of three zones, and does not
//! say which are for global databases. See docs/aws-behaviour.md#database-capacity-differs-by-region and
//! docs/aws-behaviour.md#burstable-class-refused.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// The families for global databases, with their sizes.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.DBInstanceClass.SupportAurora.html>
const GLOBAL: [(&str, &[&str]); 6] = [
    ("db.r5", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"]),
    ("db.r6g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"]),
    ("db.r6i", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "32xlarge"]),
    ("db.r7g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"]),
    ("db.r8g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"]),
    ("db.x2g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"]),
];

/// Classes of Aurora that are not for global databases.
const OTHERS: [&str; 4] = ["db.t3.medium", "db.t3.large", "db.t4g.medium", "db.t4g.large"];

/// Answers with Aurora's classes instead of MiniStack's.
pub(super) struct PreflightClasses;

impl Rule for PreflightClasses {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            // MiniStack is still asked, since it refuses unknown versions.
            let mut answer = next.run(call).await;
            let engine = call.form().get("Engine").unwrap_or_default();
            if call.is("rds", "DescribeOrderableDBInstanceOptions") && engine == "aurora-postgresql" {
                let options = options(call);
                answer.edit_xml(|root| {
                    let result = root.child_or_new("DescribeOrderableDBInstanceOptionsResult");
                    result.replace(Element::with_children("OrderableDBInstanceOptions", options));
                    true
                });
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn options(call: &Call) -> Vec<Element> {
    let mut classes: BTreeMap<String, bool> = OTHERS.iter().map(|class| ((*class).to_owned(), false)).collect();
    classes.insert("db.serverless".to_owned(), true);
    classes.extend(
        GLOBAL.iter().flat_map(|(family, sizes)| sizes.iter().map(move |size| (format!("{family}.{size}"), true))),
    );
    let requested = call.form().get("DBInstanceClass").filter(|class| !class.is_empty());
    classes.retain(|class, _| requested.is_none_or(|requested| requested == class));
    let version = call.form().get("EngineVersion").unwrap_or_default();
    classes.into_iter().map(|(class, global)| option(&call.region, version, &class, global)).collect()
}

fn option(region: &str, version: &str, class: &str, global: bool) -> Element {
    let zone = |letter: char| {
        Element::with_children("AvailabilityZone", vec![Element::with_text("Name", &format!("{region}{letter}"))])
    };
    Element::with_children(
        "OrderableDBInstanceOption",
        vec![
            Element::with_text("Engine", "aurora-postgresql"),
            Element::with_text("EngineVersion", version),
            Element::with_text("DBInstanceClass", class),
            Element::with_children("AvailabilityZones", ['a', 'b', 'c'].map(zone).into()),
            Element::with_text("Vpc", "true"),
            Element::with_text("StorageType", "aurora"),
            Element::with_text("SupportsClusters", "true"),
            Element::with_text("SupportsGlobalDatabases", if global { "true" } else { "false" }),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::ec2;

    async fn ask(body: &str) -> String {
        let origin = Scripted::xml(
            "<r><DescribeOrderableDBInstanceOptionsResult><OrderableDBInstanceOptions><OrderableDBInstanceOption>\
             <DBInstanceClass>db.m5.large</DBInstanceClass></OrderableDBInstanceOption></OrderableDBInstanceOptions>\
             </DescribeOrderableDBInstanceOptionsResult></r>",
        );
        let mut call = ec2("111122223333", "us-east-2", body);
        "rds".clone_into(&mut call.service);
        text(&PreflightClasses.apply(&mut call, Next::new(&[], &origin)).await)
    }

    #[tokio::test]
    async fn aurora_has_its_own_classes() {
        let action = "Action=DescribeOrderableDBInstanceOptions&EngineVersion=17.7";
        let all = ask(&format!("{action}&Engine=aurora-postgresql")).await;
        assert!(all.contains("db.serverless") && all.contains("db.t4g.medium") && !all.contains("db.m5"), "{all}");
        let one = ask(&format!("{action}&Engine=aurora-postgresql&DBInstanceClass=db.r6g.large")).await;
        assert_eq!(one.matches("<OrderableDBInstanceOption>").count(), 1, "{one}");
        assert!(one.contains("<SupportsGlobalDatabases>true<") && one.contains("<Name>us-east-2c<"), "{one}");
        let none = ask(&format!("{action}&Engine=aurora-postgresql&DBInstanceClass=db.m5.large")).await;
        assert!(!none.contains("DBInstanceClass"), "{none}");
        assert!(ask(&format!("{action}&Engine=postgres")).await.contains("db.m5.large"));
    }
}
