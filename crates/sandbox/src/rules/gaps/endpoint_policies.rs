//! The policies of VPC endpoints: MiniStack accepts them and never shows them.
//! See docs/aws-behaviour.md#gateway-endpoint-default-policy.

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

/// AWS's policy for an endpoint that is created without one.
const FULL_ACCESS: &str =
    r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

/// The policies that are not the default one, by endpoint.
#[derive(Default)]
pub(super) struct EndpointPolicies {
    policies: Mutex<HashMap<Scope, HashMap<String, String>>>,
}

impl Rule for EndpointPolicies {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            if call.service == "ec2" && answer.is_success() {
                self.after(call, &mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.policies).clear();
    }
}

impl EndpointPolicies {
    fn after(&self, call: &Call, answer: &mut Answer) {
        let Some(listing) = listing("DescribeVpcEndpoints") else { return };
        let mut policies = lock(&self.policies);
        let policies = policies.entry(Scope::of(call)).or_default();
        let given = call.form().get("PolicyDocument").filter(|policy| !policy.is_empty()).map(str::to_owned);
        match call.operation.as_str() {
            "CreateVpcEndpoint" => answer.edit_xml(|root| {
                let Some(endpoint) = root.child_mut("vpcEndpoint") else { return false };
                if let Some(policy) = given {
                    policies.insert(listing.id_of(endpoint).to_owned(), policy);
                }
                let policy = policies.get(listing.id_of(endpoint));
                show(endpoint, policy);
                true
            }),
            "ModifyVpcEndpoint" => {
                let id = call.form().get("VpcEndpointId").unwrap_or_default();
                if let Some(policy) = given {
                    policies.insert(id.to_owned(), policy);
                } else if call.form().get("ResetPolicy") == Some("true") {
                    policies.remove(id);
                }
            }
            "DescribeVpcEndpoints" => answer.edit_xml(|root| {
                for item in listing.items_mut(root) {
                    let policy = policies.get(listing.id_of(item));
                    show(item, policy);
                }
                true
            }),
            _ => {}
        }
    }
}

fn show(endpoint: &mut Element, policy: Option<&String>) {
    endpoint.set_text_of("policyDocument", policy.map_or(FULL_ACCESS, String::as_str));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::ec2;

    #[tokio::test]
    async fn policies_are_shown_changed_and_reset() {
        let rule = EndpointPolicies::default();
        let origin = Scripted::xml(
            "<r><vpcEndpointSet><item><vpcEndpointId>vpce-1</vpcEndpointId></item></vpcEndpointSet>\
             <vpcEndpoint><vpcEndpointId>vpce-1</vpcEndpointId></vpcEndpoint></r>",
        );
        let ask = async |body: &str| {
            text(&rule.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], &origin)).await)
        };
        assert!(ask("Action=CreateVpcEndpoint").await.contains("2008-10-17"));
        assert!(ask("Action=DescribeVpcEndpoints").await.contains("2008-10-17"));
        ask("Action=ModifyVpcEndpoint&VpcEndpointId=vpce-1&PolicyDocument=mine").await;
        assert!(ask("Action=DescribeVpcEndpoints").await.contains("<policyDocument>mine<"));
        ask("Action=ModifyVpcEndpoint&VpcEndpointId=vpce-1&ResetPolicy=true").await;
        assert!(ask("Action=DescribeVpcEndpoints").await.contains("2008-10-17"));
    }
}
