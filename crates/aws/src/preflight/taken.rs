//! Names that are taken where the plan does not look: in the second Region, by another type that shares the names, or by
//! something deleted that keeps its name. Everything else that has a name, the plan looks up by that name.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::types::AlarmType;
use aws_sdk_route53::types::{HostedZone, HostedZoneConfig};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;

use super::planned::{Planned, is_changed, is_made, wanted};
use super::{About, Findings, Preflight, Problem, listed};
use crate::resources::route53::plain_name;
use crate::{NODE, Scope, TagMap};
use drctl_engine::{Action, Class, Failure, Item, Region};

/// Checks everything, each for itself.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let (secrets, tables, globals, alarms, zones) = futures::future::join5(
        secrets(preflight, planned),
        tables(preflight, planned),
        global_clusters(preflight, planned),
        alarms(preflight, planned),
        zones(preflight, planned),
    )
    .await;
    Findings::settled(vec![secrets, tables, globals, alarms, zones])
}

/// A resource that does not exist is not a failure.
fn unless_absent<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

/// A problem with a name, at an address.
fn problem(region: &str, item: &Item, message: String, help: String) -> Problem {
    Problem::new(About::Name, Some(region), item.address.to_string(), message, help)
}

/// The Region that an item is to have a copy in, if a copy is going to be made.
fn copy_region<'a>(preflight: &Preflight<'a>, item: &Item, properties: &[&str]) -> Option<&'a str> {
    let is_copied = is_made(item) || properties.iter().any(|property| is_changed(item, property));
    let other = preflight.regions.into_iter().find(|region| *region != item.region);
    other.filter(|_| is_copied)
}

/// A secret keeps its name while it can be restored, and a replica cannot use a name that is in use.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/create-manage-multi-region-secrets.html>. See
/// docs/aws-behaviour.md#secret-scheduled-for-deletion and docs/aws-behaviour.md#secret-replica-name-taken.
async fn secrets(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    let config = preflight.config;
    let scope = Scope {
        stack: config.stack.name.clone(),
        environment: config.stack.environment.clone(),
        account: preflight.account.to_owned(),
    };
    for item in planned.staying("secret") {
        let Some(name) = wanted(item, "name") else { continue };
        let there = copy_region(preflight, item, &["replica_region"]);
        let here = is_made(item).then_some(item.region.as_str());
        for region in here.into_iter().chain(there) {
            match described(preflight, region, name).await {
                Ok(None) => {}
                Ok(Some(secret)) if region == item.region => {
                    findings.problems.extend(foreign_and_deleted(&scope, item, name, &secret));
                }
                Ok(Some(secret)) => findings.problems.extend(in_place_of_the_replica(item, name, region, &secret)),
                Err(failure) => findings.unanswered(About::Name, region, &format!("secret {name}"), &failure),
            }
        }
    }
    findings
}

async fn described(
    preflight: &Preflight<'_>,
    region: &str,
    name: &str,
) -> Result<Option<DescribeSecretOutput>, Failure> {
    let at = Region::from(region);
    let secrets = &preflight.aws.at(&at).secrets;
    let question = preflight
        .aws
        .read(&at, "secretsmanager", "DescribeSecret", || secrets.describe_secret().secret_id(name).send());
    unless_absent(question.await)
}

/// A secret of this stack is restored when it is created again.
fn foreign_and_deleted(scope: &Scope, item: &Item, name: &str, secret: &DescribeSecretOutput) -> Option<Problem> {
    secret.deleted_date()?;
    let tags: TagMap = secret
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect();
    if scope.is_ours(&tags) && tags.get(NODE).is_some_and(|node| *node == item.address.to_string()) {
        return None;
    }
    let region = &item.region;
    let message = format!(
        "{name} is scheduled for deletion, keeps its name until then, and its tags do not say that it is drctl's"
    );
    let help = format!(
        "Wait until AWS has deleted it, choose another stack name or environment, or delete it for good if its value is not \
         needed: `aws secretsmanager delete-secret --region {region} --secret-id {name} --force-delete-without-recovery`."
    );
    Some(problem(region, item, message, help))
}

fn in_place_of_the_replica(item: &Item, name: &str, region: &str, secret: &DescribeSecretOutput) -> Option<Problem> {
    // The secret's own replica exists already, or is deleted before the secret is recreated.
    if item.action != Action::Create && secret.primary_region() == Some(item.region.as_str()) {
        return None;
    }
    let deleted = if secret.deleted_date().is_some() { ", scheduled for deletion" } else { "" };
    let message = format!(
        "{region} has a secret {name} of its own{deleted}: the one in {} is not replicated over it",
        item.region
    );
    let help = format!(
        "Delete it there if its value is not needed (`aws secretsmanager delete-secret --region {region} --secret-id {name} \
         --force-delete-without-recovery`), or choose another stack name or environment."
    );
    Some(problem(region, item, message, help))
}

/// DynamoDB makes no replica over a table.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_reqs_bestpractices.html>.
/// See docs/aws-behaviour.md#replica-name-taken.
async fn tables(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    for item in planned.staying("dynamodb_table") {
        let Some(name) = wanted(item, "name") else { continue };
        let Some(region) = copy_region(preflight, item, &["replica"]) else { continue };
        // The table's own replica exists already, or is deleted before the table is recreated.
        let replica = item
            .live
            .as_ref()
            .filter(|_| item.action != Action::Create)
            .and_then(|live| live.properties.get("replica"));
        if replica.and_then(|replica| replica.get("region")?.as_str()) == Some(region) {
            continue;
        }
        let at = Region::from(region);
        let dynamodb = &preflight.aws.at(&at).dynamodb;
        let question =
            preflight.aws.read(&at, "dynamodb", "DescribeTable", || dynamodb.describe_table().table_name(name).send());
        match unless_absent(question.await) {
            Ok(None) => {}
            Ok(Some(_)) => {
                let message = format!(
                    "{region} has a table {name} already: DynamoDB cannot create a replica with \
                                       that name"
                );
                let help = format!(
                    "Choose another stack name or environment; or, if the table in {region} is no longer needed, \
                     back it up and delete it there."
                );
                findings.problems.push(problem(region, item, message, help));
            }
            Err(failure) => findings.unanswered(About::Name, region, &format!("table {name}"), &failure),
        }
    }
    findings
}

/// A global cluster's name is the account's, and a Region tells of those that it has to do with.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateGlobalCluster.html>
async fn global_clusters(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    for item in planned.made("global_cluster") {
        let (Some(name), Some(region)) = (wanted(item, "name"), copy_region(preflight, item, &[])) else { continue };
        // A resource that is recreated releases its name first.
        if item.id.is_some() {
            continue;
        }
        let at = Region::from(region);
        let rds = &preflight.aws.at(&at).rds;
        let question = preflight.aws.read(&at, "rds", "DescribeGlobalClusters", || {
            rds.describe_global_clusters().global_cluster_identifier(name).send()
        });
        match unless_absent(question.await) {
            Ok(Some(answer)) if !answer.global_clusters().is_empty() => {
                let message = format!("the account has a global cluster {name} already, according to {region}");
                let help = "Choose another stack name or environment; or restore the previous Regions in [regions] \
                            if it is this stack's."
                    .to_owned();
                findings.problems.push(problem(region, item, message, help));
            }
            Ok(_) => {}
            Err(failure) => findings.unanswered(About::Name, region, &format!("global cluster {name}"), &failure),
        }
    }
    findings
}

/// Alarms on metrics and alarms on other alarms share their names, and a listing is of the former.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
async fn alarms(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    let mut wanted_in: BTreeMap<&str, BTreeMap<&str, &Item>> = BTreeMap::new();
    for item in planned.made("alarm") {
        if let Some(name) = wanted(item, "name") {
            wanted_in.entry(item.region.as_str()).or_default().insert(name, item);
        }
    }
    let prefix = format!("{}-", preflight.config.name());
    for (region, names) in wanted_in {
        let at = Region::from(region);
        let cloudwatch = &preflight.aws.at(&at).cloudwatch;
        let question = preflight.aws.pages(&at, "cloudwatch", "DescribeAlarms", || {
            let call = cloudwatch.describe_alarms().alarm_types(AlarmType::CompositeAlarm).alarm_name_prefix(&prefix);
            call.into_paginator().send()
        });
        let pages = match question.await {
            Ok(pages) => pages,
            Err(failure) => {
                findings.unanswered(About::Name, region, "composite alarms", &failure);
                continue;
            }
        };
        let there =
            pages.iter().flat_map(DescribeAlarmsOutput::composite_alarms).filter_map(|alarm| alarm.alarm_name());
        findings.problems.extend(there.filter_map(|name| {
            let item = names.get(name)?;
            let message = format!("{region} has a composite alarm {name} that is not drctl's");
            Some(problem(region, item, message, "Delete it, or choose another stack name or environment.".to_owned()))
        }));
    }
    findings
}

/// Route 53 makes a second zone of a domain without a warning, and no resolver asks it.
/// See docs/aws-behaviour.md#second-zone-of-a-domain.
async fn zones(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    let Some(item) = planned.made("hosted_zone").next().filter(|item| item.id.is_none()) else { return findings };
    let domain = wanted(item, "name").unwrap_or(&preflight.config.dns.domain);
    let at = Region::from(item.region.as_str());
    let route53 = &preflight.aws.at(&at).route53;
    let question = preflight
        .aws
        .pages(&at, "route53", "ListHostedZones", || route53.list_hosted_zones().into_paginator().items().send());
    match question.await {
        Ok(all) => findings.notes.extend(second_zone(item, domain, &all)),
        Err(failure) => findings.unanswered(About::Domain, &at, "hosted zones", &failure),
    }
    findings
}

fn second_zone(item: &Item, domain: &str, all: &[HostedZone]) -> Option<Problem> {
    let is_public = |zone: &&HostedZone| !zone.config().is_some_and(HostedZoneConfig::private_zone);
    let same = all.iter().filter(is_public).filter(|zone| plain_name(zone.name()) == domain);
    let ids: Vec<&str> = same.map(|zone| zone.id().rsplit('/').next().unwrap_or_default()).collect();
    let first = ids.first()?;
    let message = format!(
        "the account has a public zone of {domain} already, {}, and a second one will be created",
        listed(&ids)
    );
    let help = format!(
        "Resolvers query only the zone that the domain is delegated to. Write `zone_id = \"{first}\"` in [dns] to \
         put the records there; or delegate the domain to the new zone afterwards."
    );
    Some(Problem::new(About::Domain, None, item.address.to_string(), message, help))
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::operation::describe_secret::builders::DescribeSecretOutputBuilder;
    use aws_sdk_secretsmanager::types::Tag;
    use aws_smithy_types::DateTime;
    use serde_json::json;

    use super::*;
    use crate::preflight::planned::tests::item;

    fn scope() -> Scope {
        Scope { stack: "pay".to_owned(), environment: "dev".to_owned(), account: "111122223333".to_owned() }
    }

    fn secret_item(action: Action) -> Item {
        item("global/secret/database", "us-east-1", action, &json!({"name": "pay-dev-database"}))
    }

    fn deleted() -> DescribeSecretOutputBuilder {
        DescribeSecretOutput::builder().deleted_date(DateTime::from_secs(1))
    }

    #[test]
    fn a_deleted_secret_keeps_its_name_unless_it_is_this_nodes() {
        let item = secret_item(Action::Create);
        let told = |secret: DescribeSecretOutputBuilder| {
            foreign_and_deleted(&scope(), &item, "pay-dev-database", &secret.build()).map(|problem| problem.message)
        };
        assert!(told(deleted()).is_some_and(|said| said.contains("scheduled for deletion")));
        let tagged = scope().tags(&item.address).into_iter();
        let tags: Vec<Tag> = tagged.map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        assert_eq!(told(deleted().set_tags(Some(tags))), None);
        // The plan has already read those that exist.
        assert_eq!(told(DescribeSecretOutput::builder()), None);
    }

    #[test]
    fn nothing_is_replicated_over_a_secret() {
        let told = |action, secret: DescribeSecretOutputBuilder| {
            in_place_of_the_replica(&secret_item(action), "pay-dev-database", "us-east-2", &secret.build())
        };
        assert!(told(Action::Create, DescribeSecretOutput::builder()).is_some());
        let own = || DescribeSecretOutput::builder().primary_region("us-east-1");
        assert_eq!(told(Action::Update, own()), None);
        assert!(told(Action::Update, DescribeSecretOutput::builder().primary_region("us-east-2")).is_some());
        let gone = told(Action::Create, deleted()).expect("a problem");
        assert!(gone.message.contains("of its own, scheduled for deletion"), "{}", gone.message);
    }

    #[test]
    fn a_second_zone_of_the_domain_is_noted() {
        let zone = |id: &str, name: &str, private: bool| {
            let config = HostedZoneConfig::builder().private_zone(private).build();
            HostedZone::builder().id(id).name(name).caller_reference("r").config(config).build().expect("a zone")
        };
        let item = item("global/hosted_zone/main", "us-east-1", Action::Create, &json!({"name": "pay.acme.com"}));
        let all = [zone("/hostedzone/Z1", "acme.com.", false), zone("/hostedzone/Z2", "pay.acme.com.", true)];
        assert_eq!(second_zone(&item, "pay.acme.com", &all), None);
        let note =
            second_zone(&item, "pay.acme.com", &[zone("/hostedzone/Z3", "Pay.acme.com.", false)]).expect("a note");
        assert!(note.help.contains("zone_id = \"Z3\""), "{}", note.help);
    }
}
