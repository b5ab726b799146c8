//! `eip`: an Elastic IP address.

use std::time::Duration;

use aws_sdk_ec2::types::{Address as Described, DomainType, ResourceType};
use serde::{Deserialize, Serialize};

use super::{arn, foreign, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, Grant, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Live, Phase, Readable, Resource, Synced, Tagging, TypeInfo, live,
};

/// An Elastic IP address from Amazon's pool. It has no properties that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eip {}

impl Resource for Eip {
    const INFO: TypeInfo = TypeInfo {
        // AllocateAddress has no client token.
        idempotent_create: false,
        // It cannot be released while its NAT gateway is still being deleted.
        // See docs/aws-behaviour.md#address-held-by-nat-gateway.
        patience: Duration::from_mins(5),
        ..TypeInfo::usual("eip")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "EIP".
        Latencies::of(
            1,
            Latency::of_call("AllocateAddress", [1.0, 1.0, 3.0]),
            Latency::of_call("ReleaseAddress", [1.0, 1.0, 5.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:ec2:{region}:{account}:elastic-ip/{own}"], "ec2", "AllocateAddress CreateTags"),
        later(&["arn:aws:ec2:{region}:{account}:elastic-ip/{own}"], "ec2", "ReleaseAddress"),
        on(ANY, "ec2", "DescribeAddresses"),
        later(ANY, "ec2", "DescribeNetworkInterfaces"),
    ];
    const SAMPLE_ID: &'static str = "eipalloc-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer =
            cx.read("ec2", "DescribeAddresses", || ec2.describe_addresses().set_filters(Some(ours(cx))).send()).await?;
        Ok(answer.addresses().iter().map(|address| from_described(cx, address)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx.read("ec2", "DescribeAddresses", || ec2.describe_addresses().allocation_ids(id).send()).await?;
        Ok(answer.addresses().first().map(|address| from_described(cx, address)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .allocate_address()
            .domain(DomainType::Vpc)
            .tag_specifications(specification(ResourceType::ElasticIp, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "AllocateAddress", call).await?;
        Ok(answer.allocation_id.unwrap_or_default())
    }

    async fn sync(&self, _: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.release_address().allocation_id(&live.id).send();
        match cx.mutate("ec2", "ReleaseAddress", call).await {
            Ok(_) => Ok(Deletion::Requested),
            Err(refusal) => Err(foreign::user_of_address(cx, refusal, &live.id).await?),
        }
    }
}

fn from_described(cx: &Context, address: &Described) -> Live {
    let id = address.allocation_id().unwrap_or_default();
    let found = live(&cx.scope, id, Phase::Ready, &Readable::complete(Eip {}), Some(tag_map(address.tags.as_deref())))
        .with_arn(arn(cx, "elastic-ip", id));
    match address.public_ip() {
        Some(public_ip) => found.with_output("public_ip", public_ip),
        None => found,
    }
}
