//! `subnet`: a range of a VPC in one Availability Zone.

use std::time::Duration;

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, Subnet as Described, SubnetState};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::foreign::Held;
use super::{Vpc, arn, network_interface, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency, Which, step};
use crate::resources::permissions::{ANY, Grant, INTERFACE, VPC, later, on};
use crate::resources::{
    AlsoDeleted, Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced,
    Tagging, TypeInfo, Weight, changed, live,
};

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The VPC that it belongs to. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
    /// Its IPv4 range, within the range of the VPC. Immutable: forces replacement.
    pub cidr: Ipv4Net,
    /// The name of its Availability Zone, e.g. `us-east-1a`. Immutable: forces replacement.
    pub zone: String,
    /// Whether network interfaces that are created in it get a public address. In-place.
    pub map_public_ip: bool,
}

impl Resource for Subnet {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("vpc", "a subnet cannot be moved to another VPC"),
            ("cidr", "the CIDR block of a subnet cannot be changed"),
            ("zone", "a subnet cannot be moved to another Availability Zone"),
        ],
        // The network interfaces of a deleted Lambda function stay for 45 minutes, some for an hour.
        // See docs/aws-behaviour.md#lambda-interfaces-linger.
        patience: Duration::from_mins(75),
        ..TypeInfo::usual("subnet")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "subnet (11 s with MapPublicIp)"; 5 and 8 s were measured. The wait for network interfaces is not part of it.
        Latencies::of(
            1,
            Latency::of_steps(
                [5.0, 8.0, 11.0],
                &[step("CreateSubnet", 1, 1.0, 1.0), step("ModifySubnetAttribute", 1, 6.0, 0.0)],
            ),
            Latency::of_steps([1.0, 1.0, 5.0], &[step("DeleteSubnet", 1, 1.0, 0.0)]),
        )
        .only(Which::Named("public-")),
        // "subnet".
        Latencies::of(
            1,
            Latency::of_steps([1.0, 2.0, 11.0], &[step("CreateSubnet", 1, 1.0, 1.0)]),
            Latency::of_steps([1.0, 1.0, 5.0], &[step("DeleteSubnet", 1, 1.0, 0.0)]),
        ),
    ];
    const UPDATE_SECONDS: f64 = 6.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:ec2:{region}:{account}:subnet/{own}"], "ec2", "CreateSubnet CreateTags ModifySubnetAttribute"),
        on(&[VPC], "ec2", "CreateSubnet"),
        later(&["arn:aws:ec2:{region}:{account}:subnet/{own}"], "ec2", "DeleteSubnet"),
        later(INTERFACE, "ec2", "DeleteNetworkInterface"),
        later(ANY, "ec2", "DescribeNetworkInterfaces"),
        on(ANY, "ec2", "DescribeSubnets"),
    ];
    const SAMPLE_ID: &'static str = "subnet-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let subnets = cx
            .pages("ec2", "DescribeSubnets", || {
                ec2.describe_subnets().set_filters(Some(ours(cx))).into_paginator().items().send()
            })
            .await?;
        Ok(subnets.iter().map(|subnet| from_described(cx, subnet)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx.read("ec2", "DescribeSubnets", || ec2.describe_subnets().subnet_ids(id).send()).await?;
        Ok(answer.subnets().first().map(|subnet| from_described(cx, subnet)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_subnet()
            .vpc_id(self.vpc.value())
            .cidr_block(self.cidr.to_string())
            .availability_zone(&self.zone)
            .tag_specifications(specification(ResourceType::Subnet, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateSubnet", call).await?;
        Ok(answer.subnet.and_then(|subnet| subnet.subnet_id).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "map_public_ip") {
            let on = AttributeBooleanValue::builder().value(self.map_public_ip).build();
            let call =
                cx.clients().ec2.modify_subnet_attribute().subnet_id(&live.id).map_public_ip_on_launch(on).send();
            cx.mutate("ec2", "ModifySubnetAttribute", call).await?;
        }
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        Ok(Weight {
            hindrances: super::foreign::in_the_way_of(cx, live, Held::Subnet(&live.id), also).await?,
            ..Weight::default()
        })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.delete_subnet().subnet_id(&live.id).send();
        let answer = cx.mutate("ec2", "DeleteSubnet", call).await;
        network_interface::unless_held(cx, answer, live, Held::Subnet(&live.id)).await
    }
}

fn from_described(cx: &Context, subnet: &Described) -> Live {
    let id = subnet.subnet_id().unwrap_or_default();
    let zone = subnet.availability_zone();
    let mut reading = Reading::default();
    let properties = Subnet {
        vpc: Ref::known(reading.text("vpc", subnet.vpc_id())),
        cidr: reading.value("cidr", subnet.cidr_block().and_then(|cidr| cidr.parse().ok())),
        zone: reading.text("zone", zone),
        map_public_ip: reading.value("map_public_ip", subnet.map_public_ip_on_launch()),
    };
    let phase = match subnet.state() {
        None | Some(SubnetState::Available) => Phase::Ready,
        Some(state @ (SubnetState::Failed | SubnetState::FailedInsufficientCapacity)) => {
            Phase::Failed(state.as_str().to_owned())
        }
        Some(state) => Phase::Pending(state.as_str().to_owned()),
    };
    let found = live(&cx.scope, id, phase, &reading.of(properties), Some(tag_map(subnet.tags.as_deref())))
        .with_arn(arn(cx, "subnet", id));
    match zone {
        Some(zone) => found.with_output("zone", zone),
        None => found,
    }
}
