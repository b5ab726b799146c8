//! `nat_gateway`: a private subnet's way out.

use aws_sdk_ec2::types::{NatGateway as Described, NatGatewayAddress, NatGatewayState, ResourceType};
use serde::{Deserialize, Serialize};

use super::{Eip, Subnet, arn, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging, TypeInfo,
    live,
};

/// A public NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGateway {
    /// The public subnet that it is in. Immutable: forces replacement.
    pub subnet: Ref<Id<Subnet>>,
    /// The address that it translates to. Immutable: forces replacement.
    pub allocation: Ref<Id<Eip>>,
    /// Other resources that have to be ready first: the internet gateway, without which it fails after its creation
    /// (docs/aws-behaviour.md#nat-gateway-fails-late). They only define an order, and are never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for NatGateway {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("subnet", "a NAT gateway cannot be moved to another subnet"),
            ("allocation", "the primary address of a NAT gateway cannot be changed"),
        ],
        idempotent_create: true,
        ..TypeInfo::usual("nat_gateway")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "NAT gateway".
        Latencies::of(
            1,
            Latency::of_steps([90.0, 105.0, 180.0], &[step("CreateNatGateway", 1, 1.0, 104.0)]),
            Latency::of_steps([40.0, 65.0, 100.0], &[step("DeleteNatGateway", 1, 1.0, 64.0)]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:ec2:{region}:{account}:natgateway/{own}"], "ec2", "CreateNatGateway CreateTags"),
        later(&["arn:aws:ec2:{region}:{account}:natgateway/{own}"], "ec2", "DeleteNatGateway"),
        on(ANY, "ec2", "DescribeNatGateways"),
    ];
    const SAMPLE_ID: &'static str = "nat-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let gateways = cx
            .pages("ec2", "DescribeNatGateways", || {
                ec2.describe_nat_gateways().set_filter(Some(ours(cx))).into_paginator().items().send()
            })
            .await?;
        Ok(gateways.iter().filter_map(|gateway| from_described(cx, gateway)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer =
            cx.read("ec2", "DescribeNatGateways", || ec2.describe_nat_gateways().nat_gateway_ids(id).send()).await?;
        Ok(answer.nat_gateways().first().and_then(|gateway| from_described(cx, gateway)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_nat_gateway()
            .subnet_id(self.subnet.value())
            .allocation_id(self.allocation.value())
            // See docs/aws-behaviour.md#client-token-repeats-the-answer.
            .client_token(creation.token)
            .tag_specifications(specification(ResourceType::Natgateway, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateNatGateway", call).await?;
        Ok(answer.nat_gateway.and_then(|gateway| gateway.nat_gateway_id).unwrap_or_default())
    }

    async fn sync(&self, _: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.delete_nat_gateway().nat_gateway_id(&live.id).send();
        cx.mutate("ec2", "DeleteNatGateway", call).await.map(|_| Deletion::Requested)
    }
}

/// `None` for a deleted gateway, which stays listed for about an hour.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-working-with.html>.
/// See docs/aws-behaviour.md#deleted-things-stay-listed.
fn from_described(cx: &Context, gateway: &Described) -> Option<Live> {
    let id = gateway.nat_gateway_id().unwrap_or_default();
    let phase = match gateway.state() {
        Some(NatGatewayState::Deleted) => return None,
        None | Some(NatGatewayState::Available) => Phase::Ready,
        Some(NatGatewayState::Deleting) => Phase::Deleting("deleting".to_owned()),
        Some(NatGatewayState::Failed) => {
            let why = [Some("failed"), gateway.failure_code(), gateway.failure_message()];
            Phase::Failed(why.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        Some(state) => Phase::Pending(state.as_str().to_owned()),
    };
    let primary = gateway.nat_gateway_addresses().iter().find(|address| address.is_primary() != Some(false));
    let allocation = primary.and_then(NatGatewayAddress::allocation_id);
    let mut reading = Reading::default();
    let properties = NatGateway {
        subnet: Ref::known(reading.text("subnet", gateway.subnet_id())),
        // A gateway that is being created or has failed may have no address; MiniStack never returns one.
        allocation: Ref::known(reading.text("allocation", allocation)),
        after: Vec::new(),
    };
    let found = live(&cx.scope, id, phase, &reading.of(properties), Some(tag_map(gateway.tags.as_deref())))
        .with_arn(arn(cx, "natgateway", id));
    Some(match primary.and_then(NatGatewayAddress::public_ip) {
        Some(address) => found.with_output("public_ip", address),
        None => found,
    })
}
