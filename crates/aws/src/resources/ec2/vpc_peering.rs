//! `vpc_peering`: connects two VPCs. It is requested in the context's Region, and accepted in the Region of the other VPC.

use aws_sdk_ec2::types::{
    PeeringConnectionOptionsRequest, ResourceType, VpcPeeringConnection as Described,
    VpcPeeringConnectionStateReason as Status, VpcPeeringConnectionStateReasonCode as Code,
    VpcPeeringConnectionVpcInfo as Side,
};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{Vpc, arn, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, VPC, later, on};
use crate::resources::{
    Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, changed, live,
};

/// A VPC peering connection between two Regions of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcPeering {
    /// The VPC that requests it. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
    /// The VPC that accepts it. Immutable: forces replacement.
    pub peer_vpc: Ref<Id<Vpc>>,
    /// The Region of the VPC that accepts it. Immutable: forces replacement.
    pub peer_region: String,
    /// Whether it is accepted, which cannot be undone. In-place.
    pub accepted: bool,
    /// Whether the requester's public DNS names resolve to private addresses in the accepter's VPC. In-place.
    pub requester_dns_resolution: bool,
    /// Whether the accepter's public DNS names resolve to private addresses in the requester's VPC. In-place.
    pub accepter_dns_resolution: bool,
}

impl Resource for VpcPeering {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("vpc", "the VPCs of a peering cannot be changed"),
            ("peer_vpc", "the VPCs of a peering cannot be changed"),
            ("peer_region", "the VPCs of a peering cannot be changed"),
        ],
        ..TypeInfo::usual("vpc_peering")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "VPC peering request; accept (x-Region)", together.
        Latencies::of(
            2,
            Latency::of_steps(
                [5.0, 7.0, 40.0],
                &[
                    step("CreateVpcPeeringConnection", 1, 2.0, 0.0),
                    step("AcceptVpcPeeringConnection", 1, 1.0, 3.0),
                    step("ModifyVpcPeeringConnectionOptions", 2, 0.5, 0.0),
                ],
            ),
            Latency::of_steps([1.0, 3.0, 30.0], &[step("DeleteVpcPeeringConnection", 1, 1.0, 2.0)]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:ec2:{region}:{account}:vpc-peering-connection/{own}"],
            "ec2",
            "AcceptVpcPeeringConnection CreateTags CreateVpcPeeringConnection ModifyVpcPeeringConnectionOptions",
        ),
        on(&[VPC], "ec2", "AcceptVpcPeeringConnection CreateVpcPeeringConnection"),
        later(&["arn:aws:ec2:{region}:{account}:vpc-peering-connection/{own}"], "ec2", "DeleteVpcPeeringConnection"),
        on(ANY, "ec2", "DescribeVpcPeeringConnections"),
    ];
    const SAMPLE_ID: &'static str = "pcx-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    /// Leaves out failed connections: AWS lists one for two hours, with its tags, beside the connection that took its place. One
    /// that the state has recorded is still found by its id.
    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let mut peerings = cx
            .pages("ec2", "DescribeVpcPeeringConnections", || {
                let call = ec2.describe_vpc_peering_connections().set_filters(Some(ours(cx)));
                call.into_paginator().items().send()
            })
            .await?;
        peerings.retain(|peering| {
            cx.scope.is_ours(&tag_map(peering.tags.as_deref())) && code_of(peering) != Some(&Code::Failed)
        });
        Ok(try_join_all(peerings.iter().map(|peering| from_described(cx, peering)))
            .await?
            .into_iter()
            .flatten()
            .collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        match describe(cx, id).await? {
            Some(peering) => from_described(cx, &peering).await,
            None => Ok(None),
        }
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_vpc_peering_connection()
            .vpc_id(self.vpc.value())
            .peer_vpc_id(self.peer_vpc.value())
            .peer_region(&self.peer_region)
            .tag_specifications(specification(ResourceType::VpcPeeringConnection, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateVpcPeeringConnection", call).await?;
        Ok(answer.vpc_peering_connection.and_then(|peering| peering.vpc_peering_connection_id).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let there = cx.at(&self.peer_region);
        if changed(changes, "accepted") {
            return self.accept(&there, &live.id).await.map(Synced::in_progress);
        }
        // Until it is active, both Regions refuse the options (OperationNotPermitted). See
        // docs/aws-behaviour.md#peering-options-need-active.
        if live.phase != Phase::Ready {
            return Ok(Synced::in_progress("it to be active, as DNS resolution requires"));
        }
        let mut synced = Synced::default();
        if changed(changes, "requester_dns_resolution") {
            let call = cx.clients().ec2.modify_vpc_peering_connection_options().vpc_peering_connection_id(&live.id);
            let call = call.requester_peering_connection_options(dns_resolution(self.requester_dns_resolution));
            let answer = cx.mutate("ec2", "ModifyVpcPeeringConnectionOptions", call.send()).await;
            synced.unless_unsupported("requester_dns_resolution", answer)?;
        }
        if changed(changes, "accepter_dns_resolution") {
            let call = there.clients().ec2.modify_vpc_peering_connection_options().vpc_peering_connection_id(&live.id);
            let call = call.accepter_peering_connection_options(dns_resolution(self.accepter_dns_resolution));
            let answer = there.mutate("ec2", "ModifyVpcPeeringConnectionOptions", call.send()).await;
            synced.unless_unsupported("accepter_dns_resolution", answer)?;
        }
        Ok(synced)
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.delete_vpc_peering_connection().vpc_peering_connection_id(&live.id).send();
        match cx.mutate("ec2", "DeleteVpcPeeringConnection", call).await {
            // A connection that failed or is being deleted cannot be deleted: AWS removes it by itself. Any other can be deleted
            // later.
            Err(failure) if failure.code.as_deref() == Some("InvalidStateTransition") => {
                match Self::read(cx, &live.id).await? {
                    Some(Live { phase: Phase::Pending(_) | Phase::Ready, .. }) => {
                        Err(Failure { class: Class::Transient, ..failure })
                    }
                    _ => Ok(Deletion::Requested),
                }
            }
            answer => answer.map(|_| Deletion::Requested),
        }
    }
}

impl VpcPeering {
    /// Takes the next step towards acceptance, and returns what to wait for next. The accepter's Region sees a request late, and
    /// the requester's Region sees an acceptance late. See docs/aws-behaviour.md#peering-seen-late and
    /// docs/aws-behaviour.md#peering-accepted-in-its-region.
    async fn accept(&self, there: &Context, id: &str) -> Result<&'static str, Failure> {
        if !self.accepted {
            return Err(Failure::new(Class::Refused, format!("{id} is accepted, which cannot be undone"))
                .help("Delete it by hand instead."));
        }
        match describe(there, id).await?.as_ref().and_then(code_of) {
            Some(Code::PendingAcceptance) => {
                let call = there.clients().ec2.accept_vpc_peering_connection().vpc_peering_connection_id(id).send();
                there.mutate("ec2", "AcceptVpcPeeringConnection", call).await?;
                Ok("it to become active")
            }
            Some(Code::Provisioning | Code::Active) => Ok("the requester's Region to see that it is accepted"),
            _ => Ok("the accepter's Region to see the request"),
        }
    }
}

/// Only this option: between Regions, a request that also names the options for `ClassicLink` is refused.
/// <https://github.com/hashicorp/terraform-provider-aws/issues/6730>.
/// See docs/aws-behaviour.md#peering-between-regions-is-limited.
fn dns_resolution(on: bool) -> PeeringConnectionOptionsRequest {
    PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(on).build()
}

async fn describe(cx: &Context, id: &str) -> Result<Option<Described>, Failure> {
    let ec2 = &cx.clients().ec2;
    let answer = cx
        .read("ec2", "DescribeVpcPeeringConnections", || {
            ec2.describe_vpc_peering_connections().vpc_peering_connection_ids(id).send()
        })
        .await;
    match answer {
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        answer => {
            let mut peerings = answer?.vpc_peering_connections.unwrap_or_default().into_iter();
            Ok(peerings.find(|peering| peering.vpc_peering_connection_id() == Some(id)))
        }
    }
}

fn code_of(peering: &Described) -> Option<&Code> {
    peering.status().and_then(Status::code)
}

/// `None` for a connection that is deleted, rejected or expired: AWS lists those for hours or days, and a new one may take their
/// place.
/// <https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html#vpc-peering-lifecycle>.
/// See docs/aws-behaviour.md#deleted-things-stay-listed.
async fn from_described(cx: &Context, peering: &Described) -> Result<Option<Live>, Failure> {
    let mut reading = Reading::default();
    let (accepted, phase) = match code_of(peering) {
        Some(Code::Deleted | Code::Rejected | Code::Expired) => return Ok(None),
        Some(Code::Active) => (true, Phase::Ready),
        Some(Code::Provisioning) => (true, Phase::Pending("provisioning".to_owned())),
        Some(Code::Deleting) => (true, Phase::Deleting("deleting".to_owned())),
        // The call succeeded: AWS finds out only afterwards that the ranges of the two VPCs overlap.
        // See docs/aws-behaviour.md#peering-of-overlapping-ranges-fails.
        Some(Code::Failed) => {
            let why = [Some("failed"), peering.status().and_then(Status::message)];
            (false, Phase::Failed(why.into_iter().flatten().collect::<Vec<_>>().join(": ")))
        }
        Some(code) => (false, Phase::Pending(code.as_str().to_owned())),
        None => (reading.value("accepted", None), Phase::Pending("requested".to_owned())),
    };
    let id = peering.vpc_peering_connection_id().unwrap_or_default();
    let (requester, accepter) = (peering.requester_vpc_info(), peering.accepter_vpc_info());
    let mut accepter_dns_resolution = resolves_dns(accepter);
    // Between Regions, each side returns only its own options.
    if accepter_dns_resolution.is_none() && phase == Phase::Ready {
        let there = describe(&cx.at(accepter.and_then(Side::region).unwrap_or(&cx.region)), id).await?;
        accepter_dns_resolution = resolves_dns(there.as_ref().and_then(Described::accepter_vpc_info));
    }
    let properties = VpcPeering {
        vpc: Ref::known(reading.text("vpc", requester.and_then(Side::vpc_id))),
        peer_vpc: Ref::known(reading.text("peer_vpc", accepter.and_then(Side::vpc_id))),
        peer_region: reading.text("peer_region", accepter.and_then(Side::region)),
        accepted,
        // Options that were never set are left out, and are off.
        requester_dns_resolution: resolves_dns(requester).unwrap_or(false),
        accepter_dns_resolution: accepter_dns_resolution.unwrap_or(false),
    };
    let tags = Some(tag_map(peering.tags.as_deref()));
    let found = live(&cx.scope, id, phase, &reading.of(properties), tags);
    Ok(Some(found.with_arn(arn(cx, "vpc-peering-connection", id))))
}

fn resolves_dns(side: Option<&Side>) -> Option<bool> {
    side?.peering_options()?.allow_dns_resolution_from_remote_vpc()
}
