//! What the caller has to be allowed, action by action and resource by resource: the permissions of its types with the
//! names of the plan filled in.

use std::collections::BTreeMap;

use super::actions::needs_of;
use super::planned::{Planned, wanted};
use crate::resources::entry;
use crate::resources::permissions::Grant;
use drctl_engine::{Action, Item};

/// One action, on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask {
    /// Where the call goes, which policies may ask for.
    pub region: String,
    /// Key and value of what else the call says of itself.
    pub context: Vec<(&'static str, String)>,
    /// As policies write it.
    pub action: String,
    /// An ARN, or `*`.
    pub resource: String,
}

/// What a refusal would mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Nothing certain: which resource AWS checks the action on is not known.
    Doubtful,
    /// What is created now cannot be changed or deleted later.
    Later,
    /// It cannot be created.
    Now,
}

/// Everything to ask, each with the most serious consequence of a refusal.
pub(super) fn asks(planned: &Planned<'_>, account: &str) -> BTreeMap<Ask, Weight> {
    let mut asks = BTreeMap::new();
    for item in planned.all_made() {
        for grant in needs_of(item.address.kind()).into_iter().flat_map(|needs| needs.grants) {
            let weight = if grant.later && item.action == Action::Create { Weight::Later } else { Weight::Now };
            for template in grant.resources {
                for target in targets(planned, item, template, account) {
                    let weight = if target.is_doubtful { Weight::Doubtful } else { weight };
                    for action in grant.actions() {
                        let ask = ask(grant, &target, action);
                        let known = asks.entry(ask).or_insert(weight);
                        *known = weight.max(*known);
                    }
                }
            }
        }
    }
    asks
}

fn ask(grant: &Grant, target: &Target, action: String) -> Ask {
    let fill = |(key, value): &(&'static str, &str)| (*key, value.replace("{region}", &target.region));
    Ask {
        region: target.region.clone(),
        context: grant.context.iter().map(fill).collect(),
        action,
        resource: target.resource.clone(),
    }
}

/// A template with its placeholders filled in.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    resource: String,
    region: String,
    is_doubtful: bool,
}

/// The resources that a template stands for: one, or one for each that the item refers to. Where a name is not known yet, `*`
/// is asked instead, and a refusal of that proves nothing.
fn targets(planned: &Planned<'_>, item: &Item, template: &str, account: &str) -> Vec<Target> {
    let (template, is_doubtful) = template.strip_prefix('?').map_or((template, false), |rest| (rest, true));
    let target = |region: &str, name: Option<(&str, &str)>| {
        let filled = template.replace("{region}", region).replace("{account}", account);
        let resource = name.map_or(filled.clone(), |(hole, name)| filled.replace(hole, name));
        Target { resource, region: region.to_owned(), is_doubtful }
    };
    let unknown = || Target { resource: "*".to_owned(), region: item.region.clone(), is_doubtful: true };
    let mut all = vec![item];
    let mut found = Vec::new();
    // A template refers to at most one other type.
    let other = holes(template).find(|hole| !matches!(*hole, "{region}" | "{account}" | "{own}"));
    if let Some(hole) = other {
        let kind = hole.trim_matches(['{', '}']);
        all = planned.referred(item, kind).collect();
        // A zone that is given is referred to by its id.
        if let Some(zone) = wanted(item, "zone").filter(|_| kind == "hosted_zone" && all.is_empty()) {
            found.push(target(&item.region, Some((hole, zone))));
        }
    }
    for of in all {
        let filled = match other {
            None => Some(target(&of.region, None)),
            Some(hole) => name(of).map(|name| target(&of.region, Some((hole, &name)))),
        };
        found.push(filled.unwrap_or_else(unknown));
    }
    if template.contains("{own}") {
        let Some(own) = name(item) else { return vec![unknown()] };
        for target in &mut found {
            target.resource = target.resource.replace("{own}", &own);
        }
    }
    found
}

/// The placeholders of a template, with their braces.
fn holes(template: &str) -> impl Iterator<Item = &str> {
    template.split_inclusive('}').filter_map(|part| part.find('{').map(|start| &part[start..]))
}

/// The name of an item in ARNs: its own name, else the id that AWS has given it, else a sample id.
fn name(item: &Item) -> Option<String> {
    let kind = item.address.kind();
    if let Some(sample) = entry(kind).map(|entry| entry.sample_id).filter(|sample| !sample.is_empty()) {
        let id = item.id.as_deref().unwrap_or(sample);
        // Of an ARN, and of `api/route`, the last part is the id.
        return id.rsplit(['/', ':']).next().map(str::to_owned);
    }
    let name = wanted(item, "name")?;
    Some(if kind == "iam_role" { format!("{}{name}", wanted(item, "path").unwrap_or("/")) } else { name.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preflight::planned::tests::item;
    use crate::preflight::{Needs, needs};
    use drctl_engine::Plan;

    const ACCOUNT: &str = "111122223333";

    fn referring(mut item: Item, to: &[&Item]) -> Item {
        item.depends_on = to.iter().map(|of| of.address.clone()).collect();
        item
    }

    fn of(items: Vec<Item>) -> BTreeMap<Ask, Weight> {
        let plan = Plan { items };
        asks(&Planned::of(&plan), ACCOUNT)
    }

    /// Where an action is asked, with its Region and what hangs on it.
    fn on(asks: &BTreeMap<Ask, Weight>, action: &str) -> Vec<(String, String, Weight)> {
        let of_action = asks.iter().filter(|(ask, _)| ask.action == action);
        of_action.map(|(ask, weight)| (ask.resource.clone(), ask.region.clone(), *weight)).collect()
    }

    fn arns(asks: &BTreeMap<Ask, Weight>, action: &str) -> Vec<String> {
        on(asks, action).into_iter().map(|(arn, ..)| arn).collect()
    }

    fn made(at: &str, region: &str, properties: &serde_json::Value) -> Item {
        item(at, region, Action::Create, properties)
    }

    #[test]
    fn every_role_that_is_passed_is_asked_for_and_to_whom() {
        let role = |name: &str, long: &str| {
            made(&format!("global/iam_role/{name}"), "us-east-1", &json!({"name": format!("pay-dev-{long}")}))
        };
        let (processor, flow) = (role("processor", "processor"), role("flow-logs", "flow-logs"));
        let copy = made("global/iam_role/replication", "us-east-1", &json!({"name": "r", "path": "/pay/"}));
        let function = referring(
            made("primary/lambda_function/processor", "us-east-1", &json!({"name": "pay-dev-processor"})),
            &[&processor],
        );
        let log = referring(made("primary/flow_log/vpc", "us-east-1", &json!({})), &[&flow]);
        let replication = referring(made("primary/s3_replication/data", "us-east-1", &json!({})), &[&copy]);
        let asks = of(vec![processor, flow, copy, function, log, replication]);
        let passed: Vec<(&str, &str)> = asks
            .keys()
            .filter(|ask| ask.action == "iam:PassRole")
            .map(|ask| (ask.resource.as_str(), ask.context[0].1.as_str()))
            .collect();
        assert_eq!(passed.len(), 3, "{passed:?}");
        for pair in [
            ("arn:aws:iam::111122223333:role/pay-dev-processor", "lambda.amazonaws.com"),
            ("arn:aws:iam::111122223333:role/pay-dev-flow-logs", "vpc-flow-logs.amazonaws.com"),
            ("arn:aws:iam::111122223333:role/pay/r", "s3.amazonaws.com"),
        ] {
            assert!(passed.contains(&pair), "{pair:?}: {passed:?}");
        }
        assert!(arns(&asks, "iam:CreateRole").contains(&"arn:aws:iam::111122223333:role/pay/r".to_owned()));
    }

    #[test]
    fn names_are_the_plans_in_each_region() {
        let secret = made("global/secret/database", "us-east-1", &json!({"name": "pay-dev-database"}));
        let cluster = |at: &str, region: &str, name: &str| made(at, region, &json!({"name": name}));
        let writer = referring(cluster("primary/db_cluster/main", "us-east-1", "pay-dev-primary"), &[&secret]);
        let reader = cluster("secondary/db_cluster/main", "us-east-2", "pay-dev-secondary");
        let bucket = made("secondary/s3_bucket/data", "us-east-2", &json!({"name": "pay-dev-us-east-2-0f3a"}));
        let asks = of(vec![secret, writer, reader, bucket]);
        assert_eq!(
            arns(&asks, "rds:DeleteDBCluster"),
            [
                "arn:aws:rds:us-east-1:111122223333:cluster:pay-dev-primary",
                "arn:aws:rds:us-east-2:111122223333:cluster:pay-dev-secondary"
            ]
        );
        assert_eq!(arns(&asks, "s3:CreateBucket"), ["arn:aws:s3:::pay-dev-us-east-2-0f3a"]);
        // Only who reads the secret has to be allowed to.
        assert_eq!(
            on(&asks, "secretsmanager:GetSecretValue"),
            [(
                "arn:aws:secretsmanager:us-east-1:111122223333:secret:pay-dev-database-a1b2c3".to_owned(),
                "us-east-1".to_owned(),
                Weight::Now
            )]
        );
    }

    #[test]
    fn keys_are_used_by_way_of_the_service_that_encrypts() {
        let mut key = item("primary/kms_key/main", "us-east-1", Action::None, &json!({}));
        key.id = Some("0000aaaa-12ab-34cd-56ef-1234567890ab".to_owned());
        let there = made("secondary/kms_key/main", "us-east-2", &json!({}));
        let log = referring(made("primary/log_group/lambda", "us-east-1", &json!({"name": "/aws/lambda/f"})), &[&key]);
        let table = referring(made("global/dynamodb_table/s", "us-east-1", &json!({"name": "s"})), &[&key, &there]);
        let asks = of(vec![key, there, log, table]);
        let ways: Vec<(&str, &str)> = asks
            .keys()
            .filter(|ask| ask.action == "kms:Encrypt")
            .map(|ask| (ask.resource.as_str(), ask.context[0].1.as_str()))
            .collect();
        let here = "arn:aws:kms:us-east-1:111122223333:key/0000aaaa-12ab-34cd-56ef-1234567890ab";
        let sample = "arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(
            ways,
            [
                (here, "dynamodb.us-east-1.amazonaws.com"),
                (here, "logs.us-east-1.amazonaws.com"),
                (sample, "dynamodb.us-east-2.amazonaws.com")
            ]
        );
        for action in ["kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"] {
            assert_eq!(arns(&asks, action).len(), 3, "{action}");
        }
    }

    #[test]
    fn log_delivery_is_asked_on_all_log_groups_and_a_log_group_on_itself() {
        let asks = of(vec![
            made("primary/api_stage/default", "us-east-1", &json!({"name": "$default"})),
            made("primary/log_group/lambda", "us-east-1", &json!({"name": "/aws/lambda/f"})),
        ]);
        let all = "arn:aws:logs:us-east-1:111122223333:log-group:*";
        for action in ["logs:CreateLogDelivery", "logs:PutResourcePolicy", "logs:DescribeLogGroups"] {
            assert_eq!(arns(&asks, action), [all], "{action}");
        }
        assert_eq!(
            arns(&asks, "logs:CreateLogGroup"),
            ["arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/f:*"]
        );
    }

    #[test]
    fn what_is_only_deleted_later_does_not_hinder_a_creation() {
        let weight = |action| {
            let asks = of(vec![item("primary/vpc/main", "us-east-1", action, &json!({}))]);
            on(&asks, "ec2:DeleteVpc")[0].2
        };
        assert_eq!(weight(Action::Create), Weight::Later);
        assert_eq!(weight(Action::Replace), Weight::Now);
    }

    #[test]
    fn what_has_no_name_yet_proves_nothing() {
        let asks = of(vec![made("primary/sns_topic/alerts", "us-east-1", &json!({}))]);
        assert_eq!(on(&asks, "sns:CreateTopic"), [("*".to_owned(), "us-east-1".to_owned(), Weight::Doubtful)]);
    }

    #[test]
    fn a_record_is_in_the_zone_that_is_given_or_made() {
        let given = made("global/record/api", "us-east-1", &json!({"zone": "Z9", "name": "api.x.com"}));
        assert_eq!(arns(&of(vec![given]), "route53:ChangeResourceRecordSets"), ["arn:aws:route53:::hostedzone/Z9"]);
        let zone = made("global/hosted_zone/main", "us-east-1", &json!({"name": "x.com"}));
        let record = referring(made("global/record/api", "us-east-1", &json!({"name": "api.x.com"})), &[&zone]);
        let made = arns(&of(vec![zone, record]), "route53:ChangeResourceRecordSets");
        assert_eq!(made, ["arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ"]);
    }

    #[test]
    fn every_template_is_about_a_type_that_there_is() {
        let kinds = crate::resources::kinds();
        for Needs { kind, grants } in needs() {
            for template in grants.iter().flat_map(|grant| grant.resources) {
                for hole in holes(template).map(|hole| hole.trim_matches(['{', '}'])) {
                    let known = ["region", "account", "own"].contains(&hole) || kinds.contains(&hole);
                    assert!(known, "{kind}: {template}");
                }
            }
        }
    }
}
