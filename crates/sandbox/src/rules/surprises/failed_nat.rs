//! A NAT gateway that is accepted and then fails: `CreateNatGateway` answers 200, and the state becomes `failed`.

use std::collections::{HashMap, HashSet};
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

/// Makes the first gateway in each Region fail.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html>.
/// See docs/aws-behaviour.md#nat-gateway-fails-late.
#[derive(Default)]
pub(super) struct FailedNat {
    failed: Mutex<HashMap<Scope, String>>,
}

impl FailedNat {
    fn created(&self, call: &Call, answer: &Answer) {
        let Ok(root) = Element::parse(answer.body()) else { return };
        let id = root.child("natGateway").and_then(|gateway| gateway.text_of("natGatewayId"));
        if let Some(id) = id {
            lock(&self.failed).entry(Scope::of(call)).or_insert_with(|| id.to_owned());
        }
    }

    fn show(&self, answer: &mut Answer) {
        let Some(listing) = listing("DescribeNatGateways") else { return };
        let failed: HashSet<String> = lock(&self.failed).values().cloned().collect();
        answer.edit_xml(|root| {
            for item in listing.items_mut(root) {
                // A failed gateway is deleted like any other: only these states are replaced.
                let exists = item.text_of("state").is_some_and(|state| state == "available" || state == "pending");
                if exists && failed.contains(listing.id_of(item)) {
                    item.set_text_of("state", "failed");
                    item.push(Element::with_text("failureCode", "Resource.AlreadyAssociated"));
                    let message = "Elastic IP address is already associated";
                    item.push(Element::with_text("failureMessage", message));
                }
            }
            true
        });
    }
}

impl Rule for FailedNat {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            if call.is("ec2", "CreateNatGateway") && answer.is_success() {
                self.created(call, &answer);
            } else if call.is("ec2", "DescribeNatGateways") {
                self.show(&mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.failed).clear();
    }

    fn count(&self) -> u64 {
        lock(&self.failed).len().try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::ec2;

    #[tokio::test]
    async fn only_the_first_gateway_in_a_region_fails() {
        let rule = FailedNat::default();
        let gateway = |id| format!("<natGatewayId>{id}</natGatewayId><state>available</state>");
        for id in ["nat-1", "nat-2"] {
            let created = format!(
                "<CreateNatGatewayResponse><natGateway>{}</natGateway></CreateNatGatewayResponse>",
                gateway(id)
            );
            let mut call = ec2("1", "r", "Action=CreateNatGateway");
            assert!(rule.apply(&mut call, Next::new(&[], &Scripted::xml(&created))).await.is_success());
        }
        let list = format!(
            "<r><natGatewaySet><item>{}</item><item>{}</item></natGatewaySet></r>",
            gateway("nat-1"),
            gateway("nat-2")
        );
        let mut call = ec2("1", "r", "Action=DescribeNatGateways");
        let shown = text(&rule.apply(&mut call, Next::new(&[], &Scripted::xml(&list))).await);
        assert_eq!(shown.matches("<state>failed</state>").count(), 1, "{shown}");
        assert!(shown.contains("Resource.AlreadyAssociated") && shown.contains("<state>available</state>"));
        assert_eq!(rule.count(), 1);
    }
}
