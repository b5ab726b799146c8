//! `internet_gateway`: connects a VPC to the internet, and its attachment.

use std::time::Duration;

use aws_sdk_ec2::types::{AttachmentStatus, InternetGateway as Described, InternetGatewayAttachment, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::foreign::{self, Held};
use super::{Vpc, arn, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, VPC, later, on};
use crate::resources::{
    AlsoDeleted, Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced,
    Tagging, TypeInfo, Weight, changed, live,
};

/// An internet gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetGateway {
    /// The VPC it is attached to. In-place.
    pub vpc: Ref<Id<Vpc>>,
}

impl Resource for InternetGateway {
    const INFO: TypeInfo = TypeInfo {
        holds: &["vpc"],
        // Detaching is refused while a public address is mapped in the VPC.
        // See docs/aws-behaviour.md#internet-gateway-held-by-addresses.
        patience: Duration::from_mins(5),
        ..TypeInfo::usual("internet_gateway")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "IGW create+attach".
        Latencies::of(
            1,
            Latency::of_steps(
                [1.0, 1.0, 5.0],
                &[step("CreateInternetGateway", 1, 0.5, 0.0), step("AttachInternetGateway", 1, 0.5, 0.0)],
            ),
            Latency::of_steps([1.0, 1.0, 18.0], &[step("DetachInternetGateway", 2, 0.5, 0.0)]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:ec2:{region}:{account}:internet-gateway/{own}"],
            "ec2",
            "AttachInternetGateway CreateInternetGateway CreateTags",
        ),
        on(&[VPC], "ec2", "AttachInternetGateway"),
        later(
            &["arn:aws:ec2:{region}:{account}:internet-gateway/{own}"],
            "ec2",
            "DeleteInternetGateway DetachInternetGateway",
        ),
        on(ANY, "ec2", "DescribeInternetGateways"),
    ];
    const SAMPLE_ID: &'static str = "igw-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let gateways = cx
            .pages("ec2", "DescribeInternetGateways", || {
                ec2.describe_internet_gateways().set_filters(Some(ours(cx))).into_paginator().items().send()
            })
            .await?;
        Ok(gateways.iter().map(|gateway| from_described(cx, gateway)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx
            .read("ec2", "DescribeInternetGateways", || {
                ec2.describe_internet_gateways().internet_gateway_ids(id).send()
            })
            .await?;
        Ok(answer.internet_gateways().first().map(|gateway| from_described(cx, gateway)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_internet_gateway()
            .tag_specifications(specification(ResourceType::InternetGateway, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateInternetGateway", call).await?;
        Ok(answer.internet_gateway.and_then(|gateway| gateway.internet_gateway_id).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "vpc") {
            detach(cx, live).await?;
            let call = cx
                .clients()
                .ec2
                .attach_internet_gateway()
                .internet_gateway_id(&live.id)
                .vpc_id(self.vpc.value())
                .send();
            match cx.mutate("ec2", "AttachInternetGateway", call).await {
                // Resource.AlreadyAssociated: an earlier answer was lost, or `live` is out of date. The engine reads again.
                Err(failure) if failure.class == Class::Exists => {}
                answer => {
                    answer?;
                }
            }
        }
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        Ok(Weight { hindrances: foreign::in_the_way_of(cx, live, Held::Gateway, also).await?, ..Weight::default() })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        detach(cx, live).await?;
        let call = cx.clients().ec2.delete_internet_gateway().internet_gateway_id(&live.id).send();
        cx.mutate("ec2", "DeleteInternetGateway", call).await.map(|_| Deletion::Requested)
    }
}

/// Detaches it from the VPC that it was last seen attached to, if any.
async fn detach(cx: &Context, live: &Live) -> Result<(), Failure> {
    let vpc = live.properties.get("vpc").and_then(Value::as_str).unwrap_or_default();
    if vpc.is_empty() {
        return Ok(());
    }
    let call = cx.clients().ec2.detach_internet_gateway().internet_gateway_id(&live.id).vpc_id(vpc).send();
    match cx.mutate("ec2", "DetachInternetGateway", call).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code.as_deref() == Some("Gateway.NotAttached") => Ok(()),
        // "Network vpc-… has some mapped public address(es)"
        Err(refusal) => Err(foreign::named(cx, refusal, live, Held::Gateway).await?),
    }
}

fn from_described(cx: &Context, gateway: &Described) -> Live {
    let id = gateway.internet_gateway_id().unwrap_or_default();
    let attachment = gateway.attachments().first();
    // The state of an attached gateway is `available`, which the SDK's enum does not list.
    // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InternetGatewayAttachment.html
    // See docs/aws-behaviour.md#ec2-states-in-lower-case.
    let phase = match attachment.and_then(InternetGatewayAttachment::state) {
        Some(state @ (AttachmentStatus::Attaching | AttachmentStatus::Detaching)) => {
            Phase::Pending(state.as_str().to_owned())
        }
        _ => Phase::Ready,
    };
    let mut reading = Reading::default();
    let vpc = match attachment {
        Some(attachment) => reading.text("vpc", attachment.vpc_id()),
        // An empty list says that the gateway is detached.
        None => String::new(),
    };
    let properties = InternetGateway { vpc: Ref::known(vpc) };
    let tags = Some(tag_map(gateway.tags.as_deref()));
    live(&cx.scope, id, phase, &reading.of(properties), tags).with_arn(arn(cx, "internet-gateway", id))
}
