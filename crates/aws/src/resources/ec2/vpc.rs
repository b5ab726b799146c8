//! `vpc`: a virtual private cloud.

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, Vpc as Described, VpcAttributeName, VpcState};
use futures::future::join_all;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::foreign::{self, Held};
use super::{arn, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, later, on};
use crate::resources::{
    AlsoDeleted, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced, Tagging,
    TypeInfo, Weight, changed, live, unidentified,
};

/// A virtual private cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Its IPv4 range. Immutable: forces replacement.
    pub cidr: Ipv4Net,
    /// Whether Amazon's DNS server answers queries from the VPC. In-place.
    pub dns_support: bool,
    /// Whether instances get DNS names, which the DNS resolution of a peering connection needs. In-place.
    pub dns_hostnames: bool,
}

impl Resource for Vpc {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("cidr", "the primary CIDR block of a VPC cannot be changed")],
        ..TypeInfo::usual("vpc")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "VPC (+DNS attrs)".
        Latencies::of(
            3,
            Latency::of_steps(
                [3.0, 12.0, 40.0],
                &[step("CreateVpc", 1, 2.0, 4.0), step("ModifyVpcAttribute", 2, 3.0, 0.0)],
            ),
            Latency::of_steps([1.0, 1.0, 10.0], &[step("DeleteVpc", 1, 1.0, 0.0)]),
        ),
    ];
    const UPDATE_SECONDS: f64 = 6.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:ec2:{region}:{account}:vpc/{own}"],
            "ec2",
            "CreateTags CreateVpc DescribeVpcAttribute ModifyVpcAttribute",
        ),
        later(&["arn:aws:ec2:{region}:{account}:vpc/{own}"], "ec2", "DeleteVpc"),
        on(ANY, "ec2", "DescribeVpcs"),
        // Before a VPC is deleted, drctl looks for what belongs to others and would stop that.
        later(ANY, "ec2", "DescribeEgressOnlyInternetGateways DescribeNetworkAcls DescribeVpnGateways"),
    ];
    const SAMPLE_ID: &'static str = "vpc-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let vpcs = cx
            .pages("ec2", "DescribeVpcs", || {
                ec2.describe_vpcs().set_filters(Some(ours(cx))).into_paginator().items().send()
            })
            .await?;
        let seen = join_all(vpcs.iter().map(|vpc| from_described(cx, vpc))).await;
        // A VPC that was deleted after it was listed, or that is not visible everywhere yet, must not hide the others.
        // https://github.com/hashicorp/terraform-provider-aws/issues/31877
        // See docs/aws-behaviour.md#new-id-not-visible-yet.
        seen.into_iter().filter(|live| !matches!(live, Err(failure) if failure.class == Class::NotFound)).collect()
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx.read("ec2", "DescribeVpcs", || ec2.describe_vpcs().vpc_ids(id).send()).await?;
        match answer.vpcs().first() {
            Some(vpc) => from_described(cx, vpc).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_vpc()
            .cidr_block(self.cidr.to_string())
            .tag_specifications(specification(ResourceType::Vpc, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateVpc", call).await?;
        Ok(answer.vpc.and_then(|vpc| vpc.vpc_id).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let ec2 = &cx.clients().ec2;
        let on = |value| AttributeBooleanValue::builder().value(value).build();
        // A call changes one attribute. DNS hostnames need DNS support.
        if changed(changes, "dns_support") {
            let call = ec2.modify_vpc_attribute().vpc_id(&live.id).enable_dns_support(on(self.dns_support)).send();
            cx.mutate("ec2", "ModifyVpcAttribute", call).await?;
        }
        if changed(changes, "dns_hostnames") {
            let call = ec2.modify_vpc_attribute().vpc_id(&live.id).enable_dns_hostnames(on(self.dns_hostnames)).send();
            cx.mutate("ec2", "ModifyVpcAttribute", call).await?;
        }
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        Ok(Weight { hindrances: foreign::in_the_way_of(cx, live, Held::Vpc, also).await?, ..Weight::default() })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.delete_vpc().vpc_id(&live.id).send();
        match cx.mutate("ec2", "DeleteVpc", call).await {
            Ok(_) => Ok(Deletion::Requested),
            Err(refusal) => Err(foreign::named(cx, refusal, live, Held::Vpc).await?),
        }
    }
}

/// Each of the two DNS attributes takes a call of its own.
async fn from_described(cx: &Context, vpc: &Described) -> Result<Live, Failure> {
    let id = vpc.vpc_id().ok_or_else(|| unidentified(Vpc::INFO.kind))?;
    let ec2 = &cx.clients().ec2;
    let attribute = |name: VpcAttributeName| {
        cx.read("ec2", "DescribeVpcAttribute", move || {
            ec2.describe_vpc_attribute().vpc_id(id).attribute(name.clone()).send()
        })
    };
    let (support, hostnames) = futures::future::try_join(
        attribute(VpcAttributeName::EnableDnsSupport),
        attribute(VpcAttributeName::EnableDnsHostnames),
    )
    .await?;
    let mut reading = Reading::default();
    let properties = Vpc {
        cidr: reading.value("cidr", vpc.cidr_block().and_then(|cidr| cidr.parse().ok())),
        dns_support: reading.value("dns_support", support.enable_dns_support().and_then(AttributeBooleanValue::value)),
        dns_hostnames: reading
            .value("dns_hostnames", hostnames.enable_dns_hostnames().and_then(AttributeBooleanValue::value)),
    };
    let phase = match vpc.state() {
        None | Some(VpcState::Available) => Phase::Ready,
        Some(state) => Phase::Pending(state.as_str().to_owned()),
    };
    let tags = Some(tag_map(vpc.tags.as_deref()));
    Ok(live(&cx.scope, id, phase, &reading.of(properties), tags).with_arn(arn(cx, "vpc", id)))
}
