//! `ModifyVpcPeeringConnectionOptions`, which MiniStack does not know.
//! See docs/aws-behaviour.md#peering-options-need-active.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::ec2::{listing, refusals};
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

const DNS: &str = "allowDnsResolutionFromRemoteVpc";

/// Whether the names of each side resolve to private addresses for the other.
#[derive(Debug, Clone, Copy, Default)]
struct Options {
    requester: bool,
    accepter: bool,
}

/// The options of each peering connection, by account and id: both Regions see both.
#[derive(Default)]
pub(super) struct PeeringOptions {
    options: Mutex<HashMap<(String, String), Options>>,
}

impl Rule for PeeringOptions {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.is("ec2", "ModifyVpcPeeringConnectionOptions") {
                return self.modify(call, next).await;
            }
            let mut answer = next.run(call).await;
            if call.is("ec2", "DescribeVpcPeeringConnections") {
                self.described(call, &mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.options).clear();
    }
}

impl PeeringOptions {
    async fn modify(&self, call: &Call, next: Next<'_>) -> Answer {
        let id = call.form().get("VpcPeeringConnectionId").unwrap_or_default().to_owned();
        let mut question = call.ask_query("DescribeVpcPeeringConnections", &[("VpcPeeringConnectionId.1", &id)]);
        let mut answer = next.run(&mut question).await;
        if !answer.is_success() {
            return answer;
        }
        let mut found = None;
        answer.edit_xml(|root| {
            let item = listing("DescribeVpcPeeringConnections")
                .and_then(|listing| listing.items_mut(root).iter().find(|item| listing.id_of(item) == id).cloned());
            found = item.map(|item| {
                let text =
                    |path: &[&str]| item.at(path).first().map(|found| found.text().to_owned()).unwrap_or_default();
                (text(&["status", "code"]), text(&["requesterVpcInfo", "region"]), text(&["accepterVpcInfo", "region"]))
            });
            false
        });
        let Some((status, requester, accepter)) = found else {
            return refusals::peering_not_found(call, &id);
        };
        if status != "active" {
            return refusals::peering_not_active(call, &id);
        }
        let wanted = |side: &str| {
            let value = call.form().get(&format!("{side}PeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc"))?;
            Some(value == "true")
        };
        for (side, region) in [("Requester", &requester), ("Accepter", &accepter)] {
            // The options of each side are set in its own Region.
            if wanted(side).is_some() && *region != call.region {
                let message = format!(
                    "User {} cannot modify {} peering options of {id} in region {}",
                    call.account,
                    side.to_ascii_lowercase(),
                    call.region
                );
                return Answer::client_error(call, "OperationNotPermitted", &message);
            }
        }
        let mut all = lock(&self.options);
        let options = all.entry((call.account.clone(), id)).or_default();
        options.requester = wanted("Requester").unwrap_or(options.requester);
        options.accepter = wanted("Accepter").unwrap_or(options.accepter);
        let mut content = Vec::new();
        if wanted("Accepter").is_some() {
            content.push(element("accepterPeeringConnectionOptions", options.accepter));
        }
        if wanted("Requester").is_some() {
            content.push(element("requesterPeeringConnectionOptions", options.requester));
        }
        Answer::ec2(&call.operation, content)
    }

    fn described(&self, call: &Call, answer: &mut Answer) {
        let Some(listing) = listing("DescribeVpcPeeringConnections") else { return };
        let all = lock(&self.options);
        answer.edit_xml(|root| {
            for item in listing.items_mut(root) {
                // AWS shows options only of active connections.
                if item.at(&["status", "code"]).first().is_none_or(|code| code.text() != "active") {
                    continue;
                }
                let key = (call.account.clone(), listing.id_of(item).to_owned());
                let options = all.get(&key).copied().unwrap_or_default();
                item.child_or_new("requesterVpcInfo").replace(element("peeringOptions", options.requester));
                item.child_or_new("accepterVpcInfo").replace(element("peeringOptions", options.accepter));
            }
            true
        });
    }
}

fn element(name: &str, dns: bool) -> Element {
    Element::with_children(name, vec![Element::with_text(DNS, if dns { "true" } else { "false" })])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::ec2;

    const MODIFY: &str = "Action=ModifyVpcPeeringConnectionOptions&VpcPeeringConnectionId=pcx-1&";
    const ON: &str = "PeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc=true";

    fn emulator(status: &str) -> Scripted {
        Scripted::xml(&format!(
            "<r><vpcPeeringConnectionSet><item><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId>\
             <requesterVpcInfo><region>us-east-1</region></requesterVpcInfo>\
             <accepterVpcInfo><region>us-east-2</region></accepterVpcInfo>\
             <status><code>{status}</code></status></item></vpcPeeringConnectionSet></r>"
        ))
    }

    async fn ask(rule: &PeeringOptions, origin: &Scripted, region: &str, body: &str) -> String {
        text(&rule.apply(&mut ec2("111122223333", region, body), Next::new(&[], origin)).await)
    }

    #[tokio::test]
    async fn each_side_sets_its_own_options_and_sees_both() {
        let (rule, origin) = (PeeringOptions::default(), emulator("active"));
        let set = ask(&rule, &origin, "us-east-1", &format!("{MODIFY}Requester{ON}")).await;
        assert!(set.contains("<requesterPeeringConnectionOptions><allowDnsResolutionFromRemoteVpc>true"), "{set}");
        let refused = ask(&rule, &origin, "us-east-1", &format!("{MODIFY}Accepter{ON}")).await;
        assert!(refused.contains("OperationNotPermitted"), "{refused}");
        let seen = ask(&rule, &origin, "us-east-2", "Action=DescribeVpcPeeringConnections").await;
        assert!(seen.contains("us-east-1</region><peeringOptions><allowDnsResolutionFromRemoteVpc>true"), "{seen}");
        assert!(seen.contains("us-east-2</region><peeringOptions><allowDnsResolutionFromRemoteVpc>false"), "{seen}");
    }

    #[tokio::test]
    async fn only_an_active_connection_has_options() {
        let (rule, origin) = (PeeringOptions::default(), emulator("pending-acceptance"));
        let refused = ask(&rule, &origin, "us-east-1", &format!("{MODIFY}Requester{ON}")).await;
        assert!(refused.contains("is not active"), "{refused}");
        let other = format!("{MODIFY}Requester{ON}").replace("pcx-1", "pcx-2");
        assert!(ask(&rule, &origin, "us-east-1", &other).await.contains("NotFound"));
        let seen = ask(&rule, &origin, "us-east-1", "Action=DescribeVpcPeeringConnections").await;
        assert!(!seen.contains("peeringOptions"), "{seen}");
    }
}
