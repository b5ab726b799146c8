//! Whether the public name is free in an existing zone. Route 53 refuses a record beside one that excludes it, and the plan looks
//! only for its own records, by name, type and set identifier. This check reads all records of the name.
//! See docs/aws-behaviour.md#records-exclude-each-other.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_route53::types::ResourceRecordSet;

use super::planned::{Planned, wanted};
use super::{About, Findings, Preflight, Problem};
use crate::resources::route53::{excludes, plain_name, record_id};
use drctl_engine::{Action, Class, Failure, Item, Region};

/// Checks every record that is to be created in an existing zone.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    // By zone and name.
    let mut names: BTreeMap<(&str, String), Vec<&Item>> = BTreeMap::new();
    for item in planned.made("record") {
        // A zone that is yet to be created has no records.
        let zone = wanted(item, "zone").filter(|zone| !zone.is_empty());
        if let (Some(zone), Some(name)) = (zone, wanted(item, "name")) {
            names.entry((zone, plain_name(name))).or_default().push(item);
        }
    }
    // The stack's own records, which the plan deletes or leaves as they are.
    let own: BTreeSet<&str> = planned
        .all("record")
        .filter(|item| item.action != Action::Create)
        .filter_map(|item| item.id.as_deref())
        .collect();
    for ((zone, name), items) in names {
        let at = Region::from(items[0].region.as_str());
        let there = match sets(preflight, &at, zone, &name).await {
            Ok(there) => there,
            // Another check reports a zone that does not exist.
            Err(failure) if failure.class == Class::NotFound => continue,
            Err(failure) => {
                findings.unanswered(About::Name, &at, &format!("records of {name}"), &failure);
                continue;
            }
        };
        findings.problems.extend(taken(&preflight.config.name(), zone, &name, &items, &there, &own));
    }
    findings
}

/// All records of one name. They are few, and come first on the page.
async fn sets(
    preflight: &Preflight<'_>,
    at: &Region,
    zone: &str,
    name: &str,
) -> Result<Vec<ResourceRecordSet>, Failure> {
    let route53 = &preflight.aws.at(at).route53;
    let question = preflight.aws.read(at, "route53", "ListResourceRecordSets", || {
        route53.list_resource_record_sets().hosted_zone_id(zone).start_record_name(name).max_items(300).send()
    });
    let mut there = question.await?.resource_record_sets;
    there.retain(|record| plain_name(record.name()) == name);
    Ok(there)
}

/// One problem per name, however many records conflict.
fn taken(
    stack: &str,
    zone: &str,
    name: &str,
    items: &[&Item],
    there: &[ResourceRecordSet],
    own: &BTreeSet<&str>,
) -> Option<Problem> {
    let text = |item: &Item, property: &str| wanted(item, property).unwrap_or_default().to_owned();
    let in_the_way = |other: &&ResourceRecordSet| {
        let id = record_id(zone, other);
        // The plan has read the one with the same id.
        let is_planned = items.iter().any(|item| record_id_of(zone, name, item) == id);
        !is_planned
            && !own.contains(id.as_str())
            && items.iter().any(|item| {
                excludes(&text(item, "record_type"), &text(item, "set_identifier"), &text(item, "failover"), other)
            })
    };
    let other = there.iter().find(in_the_way)?;
    let identifier = other.set_identifier().unwrap_or_default();
    let called = if identifier.is_empty() { String::new() } else { format!(" (set identifier {identifier})") };
    let kind = other.r#type().as_str();
    let is_of_stack = [format!("{stack}-primary"), format!("{stack}-secondary")].iter().any(|own| own == identifier);
    let whose = if is_of_stack { "that is not in the state" } else { "that is not drctl's" };
    let message = format!("{name} has a record of type {kind}{called} {whose}, and a name can have only one");
    let help = format!(
        "Delete that record in the hosted zone {zone} if it is not needed; or choose another `domain` in [dns], then run the same \
         command again."
    );
    Some(Problem::new(About::Name, None, name, message, help))
}

fn record_id_of(zone: &str, name: &str, item: &Item) -> String {
    let text = |property: &str| wanted(item, property).unwrap_or_default();
    format!("{zone}/{name}/{}/{}", text("record_type"), text("set_identifier"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::{ResourceRecordSetFailover, RrType};
    use serde_json::json;

    use super::*;
    use crate::preflight::planned::tests::item;

    const NAME: &str = "api.pay.acme.com";

    fn pair(stack: &str, record_type: &str) -> Vec<Item> {
        let one = |role: &str| {
            let properties = json!({
                "zone": "Z1", "name": NAME, "record_type": record_type,
                "set_identifier": format!("{stack}-{role}"), "failover": role.to_uppercase(),
            });
            item(&format!("global/record/api-{role}"), "us-east-1", Action::Create, &properties)
        };
        vec![one("primary"), one("secondary")]
    }

    fn record(
        kind: RrType,
        identifier: Option<&str>,
        failover: Option<ResourceRecordSetFailover>,
    ) -> ResourceRecordSet {
        ResourceRecordSet::builder()
            .name("API.pay.acme.com.")
            .r#type(kind)
            .set_set_identifier(identifier.map(str::to_owned))
            .set_failover(failover)
            .build()
            .expect("complete")
    }

    fn message(items: &[Item], there: &[ResourceRecordSet], own: &[&str]) -> Option<String> {
        let items: Vec<&Item> = items.iter().collect();
        let own = own.iter().copied().collect();
        taken("pay-dev", "Z1", NAME, &items, there, &own).map(|problem| problem.message)
    }

    #[test]
    fn a_simple_record_of_the_name_is_one_problem() {
        let there = [record(RrType::A, None, None)];
        assert_eq!(
            message(&pair("pay-dev", "CNAME"), &there, &[]).as_deref(),
            Some("api.pay.acme.com has a record of type A that is not drctl's, and a name can have only one")
        );
        assert!(message(&pair("pay-dev", "A"), &there, &[]).is_some());
        assert_eq!(message(&pair("pay-dev", "A"), &[record(RrType::Txt, None, None)], &[]), None);
        assert!(message(&pair("pay-dev", "CNAME"), &[record(RrType::Txt, None, None)], &[]).is_some());
    }

    #[test]
    fn the_records_of_another_environment_conflict_and_are_named() {
        use ResourceRecordSetFailover::{Primary, Secondary};
        let there = [
            record(RrType::Cname, Some("pay-dev-eu-primary"), Some(Primary)),
            record(RrType::Cname, Some("pay-dev-eu-secondary"), Some(Secondary)),
        ];
        let said = message(&pair("pay-dev", "CNAME"), &there, &[]).expect("a problem");
        assert!(said.contains("(set identifier pay-dev-eu-primary) that is not drctl's"), "{said}");
        // Another routing policy cannot be mixed with failover.
        assert!(message(&pair("pay-dev", "CNAME"), &[record(RrType::Cname, Some("weighted"), None)], &[]).is_some());
    }

    #[test]
    fn the_stacks_own_records_do_not_conflict() {
        use ResourceRecordSetFailover::Primary;
        let there = [record(RrType::Cname, Some("pay-dev-primary"), Some(Primary))];
        // As planned; recorded with another type, which is deleted first; and one that the state has lost.
        assert_eq!(message(&pair("pay-dev", "CNAME"), &there, &[]), None);
        assert_eq!(message(&pair("pay-dev", "A"), &there, &["Z1/api.pay.acme.com/CNAME/pay-dev-primary"]), None);
        let said = message(&pair("pay-dev", "A"), &there, &[]).expect("a problem");
        assert!(said.contains("that is not in the state"), "{said}");
    }
}
