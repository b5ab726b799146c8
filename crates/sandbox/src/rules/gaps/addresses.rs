//! Elastic IP addresses and the NAT gateways that use them: MiniStack does not connect the two.
//! See docs/aws-behaviour.md#address-held-by-nat-gateway and docs/aws-behaviour.md#internet-gateway-held-by-addresses.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::rules::Scope;
use crate::rules::ec2::{listing, refusals};
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// The use of an address by a NAT gateway.
#[derive(Debug, Clone)]
struct Association {
    id: String,
    interface: String,
    allocation: String,
    gateway: String,
    vpc: String,
    /// Whether the gateway was deleted: the association is still shown, but does not hold the address any more.
    ended: bool,
}

/// The addresses of an account in a Region.
#[derive(Debug, Default)]
struct Region {
    /// The public address of each allocation.
    addresses: HashMap<String, String>,
    associations: Vec<Association>,
}

/// Which gateway uses which address.
#[derive(Default)]
pub(super) struct Addresses {
    regions: Mutex<HashMap<Scope, Region>>,
    /// Shared by creations, exclusive for a listing: no gateway is listed before its address is noted, since AWS does
    /// not show a gateway as available without one.
    creations: tokio::sync::RwLock<()>,
}

impl Rule for Addresses {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "ec2" {
                return next.run(call).await;
            }
            if let Some(refusal) = self.refuse(call) {
                return refusal;
            }
            let (_shared, _exclusive);
            match call.operation.as_str() {
                "CreateNatGateway" => _shared = self.creations.read().await,
                "DescribeNatGateways" => _exclusive = self.creations.write().await,
                _ => {}
            }
            let mut answer = next.run(call).await;
            if answer.is_success() {
                lock(&self.regions).entry(Scope::of(call)).or_default().after(call, &mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.regions).clear();
    }
}

impl Addresses {
    fn refuse(&self, call: &Call) -> Option<Answer> {
        let regions = lock(&self.regions);
        let region = regions.get(&Scope::of(call))?;
        let mut used = region.associations.iter().filter(|association| !association.ended);
        match call.operation.as_str() {
            "ReleaseAddress" => {
                let allocation = call.form().get("AllocationId")?;
                used.find(|association| association.allocation == allocation)?;
                Some(refusals::address_in_use(call, allocation))
            }
            "DetachInternetGateway" => {
                let vpc = call.form().get("VpcId")?;
                used.find(|association| association.vpc == vpc)?;
                Some(refusals::mapped_addresses(call, vpc))
            }
            _ => None,
        }
    }
}

impl Region {
    fn after(&mut self, call: &Call, answer: &mut Answer) {
        match call.operation.as_str() {
            "AllocateAddress" => answer.edit_xml(|root| {
                if let (Some(allocation), Some(address)) = (root.text_of("allocationId"), root.text_of("publicIp")) {
                    self.addresses.insert(allocation.to_owned(), address.to_owned());
                }
                false
            }),
            "ReleaseAddress" => {
                if let Some(allocation) = call.form().get("AllocationId") {
                    self.addresses.remove(allocation);
                }
            }
            "CreateNatGateway" => self.created(call, answer),
            "DeleteNatGateway" => {
                let gateway = call.form().get("NatGatewayId").unwrap_or_default();
                for association in self.associations.iter_mut().filter(|association| association.gateway == gateway) {
                    association.ended = true;
                }
            }
            "DescribeNatGateways" => self.describe_gateways(answer),
            "DescribeAddresses" => self.describe_addresses(call, answer),
            _ => {}
        }
    }

    fn created(&mut self, call: &Call, answer: &mut Answer) {
        let Some(allocation) = call.form().get("AllocationId").map(str::to_owned) else { return };
        answer.edit_xml(|root| {
            let Some(created) = root.child_mut("natGateway") else { return false };
            let association = Association {
                id: random_id("eipassoc"),
                interface: random_id("eni"),
                allocation,
                gateway: created.text_of("natGatewayId").unwrap_or_default().to_owned(),
                vpc: created.text_of("vpcId").unwrap_or_default().to_owned(),
                ended: false,
            };
            // AWS shows the address at once, and the details of its association later.
            let item =
                Element::with_children("item", vec![Element::with_text("allocationId", &association.allocation)]);
            created.replace(Element::with_children("natGatewayAddressSet", vec![item]));
            self.associations.push(association);
            true
        });
    }

    fn describe_gateways(&self, answer: &mut Answer) {
        let Some(listing) = listing("DescribeNatGateways") else { return };
        if self.associations.is_empty() {
            return;
        }
        answer.edit_xml(|root| {
            for item in listing.items_mut(root) {
                let id = listing.id_of(item).to_owned();
                let of_gateway = |association: &&Association| association.gateway == id;
                let addresses: Vec<Element> = self
                    .associations
                    .iter()
                    .filter(of_gateway)
                    .map(|association| self.address_of(association))
                    .collect();
                if !addresses.is_empty() {
                    item.replace(Element::with_children("natGatewayAddressSet", addresses));
                }
            }
            true
        });
    }

    fn address_of(&self, association: &Association) -> Element {
        let mut item = Element::new("item");
        item.set_text_of("allocationId", &association.allocation);
        item.set_text_of("networkInterfaceId", &association.interface);
        if let Some(address) = self.addresses.get(&association.allocation) {
            item.set_text_of("publicIp", address);
        }
        if !association.ended {
            item.set_text_of("associationId", &association.id);
        }
        item.set_text_of("isPrimary", "true");
        item.set_text_of("status", "succeeded");
        item
    }

    fn describe_addresses(&self, call: &Call, answer: &mut Answer) {
        let Some(listing) = listing("DescribeAddresses") else { return };
        answer.edit_xml(|root| {
            let mut changed = false;
            for item in listing.items_mut(root) {
                let id = listing.id_of(item).to_owned();
                let used =
                    self.associations.iter().find(|association| !association.ended && association.allocation == id);
                if let Some(association) = used {
                    item.set_text_of("associationId", &association.id);
                    item.set_text_of("networkInterfaceId", &association.interface);
                    item.set_text_of("networkInterfaceOwnerId", &call.account);
                    changed = true;
                }
            }
            changed
        });
    }
}

/// An id in EC2's format: 17 hexadecimal digits.
fn random_id(kind: &str) -> String {
    let digits = Uuid::new_v4().simple().to_string();
    format!("{kind}-{}", &digits[..17])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::ec2;

    const GATEWAY: &str = "<natGatewayId>nat-1</natGatewayId><vpcId>vpc-1</vpcId><natGatewayAddressSet/>";

    fn emulator() -> Scripted {
        Scripted::new(|call| {
            ok(&match call.operation.as_str() {
                "AllocateAddress" => {
                    "<r><allocationId>eipalloc-1</allocationId><publicIp>52.0.0.1</publicIp></r>".to_owned()
                }
                "CreateNatGateway" => format!("<r><natGateway>{GATEWAY}</natGateway></r>"),
                "DescribeNatGateways" => format!("<r><natGatewaySet><item>{GATEWAY}</item></natGatewaySet></r>"),
                "DescribeAddresses" => {
                    "<r><addressesSet><item><allocationId>eipalloc-1</allocationId></item></addressesSet></r>"
                        .to_owned()
                }
                _ => "<r><return>true</return></r>".to_owned(),
            })
        })
    }

    /// An emulator that has created a gateway and waits before it answers.
    struct Slow {
        created: tokio::sync::Notify,
        answer: tokio::sync::Notify,
    }

    impl crate::rules::rule::Origin for Slow {
        fn answer<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Answer> {
            async move {
                if call.operation == "CreateNatGateway" {
                    self.created.notify_one();
                    self.answer.notified().await;
                }
                crate::rules::rule::Origin::answer(&emulator(), call).await
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn a_gateway_is_not_listed_before_its_address_is_noted() {
        let slow = Slow { created: tokio::sync::Notify::new(), answer: tokio::sync::Notify::new() };
        let rule = Addresses::default();
        let ask = async |body: &str| {
            text(&rule.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], &slow)).await)
        };
        ask("Action=AllocateAddress").await;
        let listing = async {
            slow.created.notified().await;
            let (listed, ()) = futures::join!(ask("Action=DescribeNatGateways"), async { slow.answer.notify_one() });
            listed
        };
        let (_, listed) = futures::join!(ask("Action=CreateNatGateway&AllocationId=eipalloc-1"), listing);
        assert!(listed.contains("52.0.0.1"), "{listed}");
    }

    #[tokio::test]
    async fn gateways_and_addresses_show_each_other() {
        let (rule, origin) = (Addresses::default(), emulator());
        let ask = async |body: &str| {
            text(&rule.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], &origin)).await)
        };
        ask("Action=AllocateAddress").await;
        let created = ask("Action=CreateNatGateway&AllocationId=eipalloc-1").await;
        assert!(created.contains("<allocationId>eipalloc-1</allocationId>"), "{created}");
        let gateways = ask("Action=DescribeNatGateways").await;
        assert!(gateways.contains("<publicIp>52.0.0.1</publicIp>"), "{gateways}");
        let addresses = ask("Action=DescribeAddresses").await;
        assert!(addresses.contains("<associationId>eipassoc-"), "{addresses}");
        assert!(ask("Action=ReleaseAddress&AllocationId=eipalloc-1").await.contains("InvalidIPAddress.InUse"));
        assert!(ask("Action=DetachInternetGateway&VpcId=vpc-1").await.contains("DependencyViolation"));
        ask("Action=DeleteNatGateway&NatGatewayId=nat-1").await;
        assert!(!ask("Action=DescribeAddresses").await.contains("associationId"));
        assert!(ask("Action=DetachInternetGateway&VpcId=vpc-1").await.contains("<return>true"));
        assert!(ask("Action=ReleaseAddress&AllocationId=eipalloc-1").await.contains("<return>true"));
    }
}
