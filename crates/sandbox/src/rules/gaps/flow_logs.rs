//! Flow logs: MiniStack reads the tags of a `flow-log` where AWS calls it `vpc-flow-log`, and keeps half of the rest.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::Scope;
use crate::rules::ec2::listing;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// AWS's format and interval for a flow log that is created without them.
const DEFAULT_FORMAT: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} \
                              ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}";
const DEFAULT_INTERVAL: &str = "600";

/// The parameters of the creation, as elements of the description.
type Details = Vec<(&'static str, String)>;

/// The details of each flow log.
#[derive(Default)]
pub(super) struct FlowLogs {
    details: Mutex<HashMap<Scope, HashMap<String, Details>>>,
}

impl Rule for FlowLogs {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.is("ec2", "CreateFlowLogs") {
                name_tags_for_ministack(call);
            }
            let mut answer = next.run(call).await;
            if call.is("ec2", "CreateFlowLogs") {
                self.created(call, &mut answer);
            } else if call.is("ec2", "DescribeFlowLogs") {
                self.described(call, &mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.details).clear();
    }
}

impl FlowLogs {
    fn created(&self, call: &Call, answer: &mut Answer) {
        let details = details(call);
        let mut known = lock(&self.details);
        let known = known.entry(Scope::of(call)).or_default();
        answer.edit_xml(|root| {
            for id in root.at(&["flowLogIdSet", "item"]) {
                known.insert(id.text().to_owned(), details.clone());
            }
            false
        });
    }

    fn described(&self, call: &Call, answer: &mut Answer) {
        let known = lock(&self.details);
        let Some((known, listing)) = known.get(&Scope::of(call)).zip(listing("DescribeFlowLogs")) else { return };
        answer.edit_xml(|root| {
            for item in listing.items_mut(root) {
                if let Some(details) = known.get(listing.id_of(item)) {
                    fill_in(item, details);
                }
            }
            true
        });
    }
}

fn name_tags_for_ministack(call: &mut Call) {
    let mut form = call.forwarded_form();
    let names: Vec<String> = form
        .pairs()
        .iter()
        .filter(|(key, value)| key.ends_with(".ResourceType") && value == "vpc-flow-log")
        .map(|(key, _)| key.clone())
        .collect();
    for name in &names {
        form.set(name, "flow-log");
    }
    if !names.is_empty() {
        call.forward_form(&form);
    }
}

fn details(call: &Call) -> Details {
    let form = call.form();
    let given = |name: &str| form.get(name).filter(|value| !value.is_empty());
    let mut details = vec![
        ("deliverLogsStatus", "SUCCESS".to_owned()),
        ("maxAggregationInterval", given("MaxAggregationInterval").unwrap_or(DEFAULT_INTERVAL).to_owned()),
        ("logFormat", given("LogFormat").unwrap_or(DEFAULT_FORMAT).to_owned()),
    ];
    details.extend(given("DeliverLogsPermissionArn").map(|arn| ("deliverLogsPermissionArn", arn.to_owned())));
    let of_arn = || given("LogDestination")?.split_once(":log-group:").map(|(_, group)| group.trim_end_matches(":*"));
    details.extend(given("LogGroupName").or_else(of_arn).map(|group| ("logGroupName", group.to_owned())));
    details
}

fn fill_in(item: &mut Element, details: &[(&'static str, String)]) {
    for (name, value) in details {
        item.set_text_of(name, value);
    }
    // MiniStack shows the group's name where AWS shows an ARN or nothing.
    if item.text_of("logDestination").is_some_and(|destination| !destination.starts_with("arn:")) {
        item.children_mut().retain(|child| !child.is_named("logDestination"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::ec2;

    #[tokio::test]
    async fn a_flow_log_is_described_as_it_was_created() {
        let rule = FlowLogs::default();
        let origin = Scripted::new(|call| {
            ok(if call.reads() {
                "<r><flowLogSet><item><flowLogId>fl-1</flowLogId><logDestination>group</logDestination></item></flowLogSet></r>"
            } else {
                "<r><flowLogIdSet><item>fl-1</item></flowLogIdSet><unsuccessful/></r>"
            })
        });
        let create = "Action=CreateFlowLogs&LogGroupName=group&DeliverLogsPermissionArn=arn:aws:iam::1:role/r\
                      &TagSpecification.1.ResourceType=vpc-flow-log&TagSpecification.1.Tag.1.Key=a";
        rule.apply(&mut ec2("111122223333", "us-east-1", create), Next::new(&[], &origin)).await;
        let describe = "Action=DescribeFlowLogs";
        let described = rule.apply(&mut ec2("111122223333", "us-east-1", describe), Next::new(&[], &origin)).await;
        let described = text(&described);
        for part in [
            "<logGroupName>group</logGroupName>",
            "<maxAggregationInterval>600</maxAggregationInterval>",
            "<deliverLogsPermissionArn>arn:aws:iam::1:role/r</deliverLogsPermissionArn>",
        ] {
            assert!(described.contains(part), "{described}");
        }
        assert!(!described.contains("logDestination"), "{described}");
        let asked = origin.asked();
        assert!(asked[0].contains("TagSpecification.1.ResourceType=flow-log"), "{asked:?}");
        let elsewhere = rule.apply(&mut ec2("111122223333", "us-east-2", describe), Next::new(&[], &origin)).await;
        assert!(!text(&elsewhere).contains("logGroupName"));
    }
}
