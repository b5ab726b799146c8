//! Network interfaces: MiniStack does not show those of instances, and deletes subnets and security groups that have
//! interfaces in them. See docs/aws-behaviour.md#deletion-needs-an-order.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::ec2::{filters, list, refusals};
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Shows the interfaces of instances, and refuses to delete what an interface is in.
pub(super) struct Interfaces;

impl Rule for Interfaces {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "ec2" {
                return next.run(call).await;
            }
            match call.operation.as_str() {
                "DescribeNetworkInterfaces" => show(call, next).await,
                "DeleteSubnet" | "DeleteSecurityGroup" => match check(call, next).await {
                    Ok(()) => next.run(call).await,
                    Err(refusal) => refusal,
                },
                _ => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {}
}

async fn show(call: &mut Call, next: Next<'_>) -> Answer {
    let of_instances = match of_instances(call, next).await {
        Ok(interfaces) => interfaces,
        Err(failure) => return failure,
    };
    let mut answer = next.run(call).await;
    let filters = filters::of(call.form());
    let requested: Vec<String> = call.form().list("NetworkInterfaceId").into_iter().map(str::to_owned).collect();
    let is_requested = |item: &Element| {
        requested.is_empty() || requested.iter().any(|id| item.text_of("networkInterfaceId") == Some(id.as_str()))
    };
    answer.edit_xml(|root| {
        let items = root.child_or_new("networkInterfaceSet").children_mut();
        items.extend(of_instances.into_iter().filter(is_requested));
        items.retain(|item| passes(&filters, item));
        true
    });
    answer
}

/// The filter `group-id` does not name an element: it is tried with each of the interface's groups in such an element.
fn passes(filters: &[filters::Filter], item: &Element) -> bool {
    let groups = item.at(&["groupSet", "item", "groupId"]);
    if groups.is_empty() {
        return filters::pass(filters, item);
    }
    groups.into_iter().any(|group| {
        let mut item = item.clone();
        item.push(Element::with_text("groupId", group.text()));
        filters::pass(filters, &item)
    })
}

/// `Err` is the refusal, if an interface is in the subnet or group.
async fn check(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    let mut interfaces = list(call, next, "DescribeNetworkInterfaces", "networkInterfaceSet").await?;
    interfaces.extend(of_instances(call, next).await?);
    let of = |name: &str| call.form().get(name).unwrap_or_default();
    let (is_in, refusal) = if call.operation == "DeleteSubnet" {
        let subnet = of("SubnetId");
        let is_in = interfaces.iter().any(|interface| interface.text_of("subnetId") == Some(subnet));
        (is_in, refusals::has_dependencies(call, "subnet", subnet))
    } else {
        let group = of("GroupId");
        let mut groups = interfaces.iter().flat_map(|interface| interface.at(&["groupSet", "item", "groupId"]));
        (groups.any(|id| id.text() == group), refusals::has_dependent_object(call, group))
    };
    if is_in { Err(refusal) } else { Ok(()) }
}

/// The interface of each instance that exists.
async fn of_instances(call: &Call, next: Next<'_>) -> Result<Vec<Element>, Answer> {
    let reservations = list(call, next, "DescribeInstances", "reservationSet").await?;
    let instances = reservations.iter().flat_map(|reservation| reservation.at(&["instancesSet", "item"]));
    let exists = |instance: &&Element| {
        let states = instance.at(&["instanceState", "name"]);
        !states.iter().any(|state| matches!(state.text(), "terminated" | "shutting-down"))
    };
    Ok(instances.filter(exists).map(interface_of).collect())
}

fn interface_of(instance: &Element) -> Element {
    let text = |name: &str| instance.text_of(name).unwrap_or_default();
    let id = text("instanceId");
    let groups = instance.at(&["groupSet", "item", "groupId"]).into_iter();
    let groups = groups.map(|group| Element::with_children("item", vec![Element::with_text("groupId", group.text())]));
    let attachment = vec![Element::with_text("instanceId", id), Element::with_text("status", "attached")];
    Element::with_children(
        "item",
        vec![
            Element::with_text("networkInterfaceId", &format!("eni-{}", id.trim_start_matches("i-"))),
            Element::with_text("subnetId", text("subnetId")),
            Element::with_text("vpcId", text("vpcId")),
            Element::with_text("status", "in-use"),
            Element::with_text("interfaceType", "interface"),
            Element::with_children("groupSet", groups.collect()),
            Element::with_children("attachment", attachment),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::ec2;

    fn emulator() -> Scripted {
        Scripted::new(|call| {
            ok(match call.operation.as_str() {
                "DescribeNetworkInterfaces" => {
                    "<r><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId>\
                     <subnetId>subnet-1</subnetId><groupSet><item><groupId>sg-1</groupId></item></groupSet></item>\
                     </networkInterfaceSet></r>"
                }
                "DescribeInstances" => {
                    "<r><reservationSet><item><instancesSet>\
                     <item><instanceId>i-2</instanceId><subnetId>subnet-2</subnetId><instanceState><name>running</name>\
                     </instanceState><groupSet><item><groupId>sg-2</groupId></item></groupSet></item>\
                     <item><instanceId>i-3</instanceId><subnetId>subnet-3</subnetId><instanceState><name>terminated</name>\
                     </instanceState><groupSet><item><groupId>sg-3</groupId></item></groupSet></item>\
                     </instancesSet></item></reservationSet></r>"
                }
                _ => "<r><return>true</return></r>",
            })
        })
    }

    async fn ask(body: &str) -> String {
        let origin = emulator();
        text(&Interfaces.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], &origin)).await)
    }

    #[tokio::test]
    async fn only_what_has_no_interface_is_deleted() {
        for (body, stays) in [
            ("Action=DeleteSubnet&SubnetId=subnet-1", true),
            ("Action=DeleteSubnet&SubnetId=subnet-2", true),
            ("Action=DeleteSubnet&SubnetId=subnet-3", false),
            ("Action=DeleteSecurityGroup&GroupId=sg-1", true),
            ("Action=DeleteSecurityGroup&GroupId=sg-2", true),
            ("Action=DeleteSecurityGroup&GroupId=sg-3", false),
            ("Action=DeleteVpc&VpcId=vpc-1", false),
        ] {
            assert_eq!(ask(body).await.contains("<Code>DependencyViolation</Code>"), stays, "{body}");
        }
    }

    #[tokio::test]
    async fn the_interface_of_an_instance_is_listed_and_filtered() {
        let all = ask("Action=DescribeNetworkInterfaces").await;
        assert!(all.contains("eni-1<") && all.contains("<instanceId>i-2<") && !all.contains("i-3"), "{all}");
        for (filter, first, second) in [
            ("Name=subnet-id&Filter.1.Value.1=subnet-2", false, true),
            ("Name=group-id&Filter.1.Value.1=sg-1", true, false),
            ("Name=network-interface-id&Filter.1.Value.1=eni-2", false, true),
        ] {
            let found = ask(&format!("Action=DescribeNetworkInterfaces&Filter.1.{filter}")).await;
            assert_eq!((found.contains(">eni-1<"), found.contains(">eni-2<")), (first, second), "{filter}: {found}");
        }
    }
}
