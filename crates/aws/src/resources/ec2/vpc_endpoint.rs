//! `vpc_endpoint`: a gateway endpoint, which keeps the traffic to S3 or `DynamoDB` within AWS.

use std::collections::BTreeSet;

use aws_sdk_ec2::operation::RequestId as _;
use aws_sdk_ec2::types::{LastError, ResourceType, State, VpcEndpoint as Described, VpcEndpointType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::flow_log::unsuccessful;
use super::{RouteTable, Vpc, arn, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, VPC, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging, TypeInfo,
    changed, live, policy,
};

/// A gateway endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcEndpoint {
    /// The VPC that it belongs to. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
    /// The service it leads to, e.g. `com.amazonaws.us-east-1.s3`. Immutable: forces replacement.
    pub service: String,
    /// The route tables that lead to it. In-place.
    pub route_tables: Vec<Ref<Id<RouteTable>>>,
    /// The policy that says what may be reached through it, in canonical form (see [`policy`]). Without a policy, AWS allows
    /// everything in every account (docs/aws-behaviour.md#gateway-endpoint-default-policy). In-place.
    pub policy: Value,
}

impl Resource for VpcEndpoint {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("vpc", "an endpoint cannot be moved to another VPC"),
            ("service", "the service of an endpoint cannot be changed"),
        ],
        idempotent_create: true,
        ..TypeInfo::usual("vpc_endpoint")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // Estimated.
        Latencies::of(
            1,
            Latency::of_steps([2.0, 5.0, 20.0], &[step("CreateVpcEndpoint", 1, 1.0, 4.0)]),
            Latency::of_steps([2.0, 10.0, 30.0], &[step("DeleteVpcEndpoints", 1, 1.0, 9.0)]),
        ),
    ];
    const UPDATE_SECONDS: f64 = 5.0;
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:ec2:{region}:{account}:vpc-endpoint/{own}"], "ec2", "CreateTags CreateVpcEndpoint"),
        on(&[VPC], "ec2", "CreateVpcEndpoint"),
        later(&["arn:aws:ec2:{region}:{account}:vpc-endpoint/{own}"], "ec2", "DeleteVpcEndpoints ModifyVpcEndpoint"),
        on(ANY, "ec2", "DescribeVpcEndpoints"),
    ];
    const SAMPLE_ID: &'static str = "vpce-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let endpoints = cx
            .pages("ec2", "DescribeVpcEndpoints", || {
                ec2.describe_vpc_endpoints().set_filters(Some(ours(cx))).into_paginator().items().send()
            })
            .await?;
        endpoints.iter().filter_map(|endpoint| from_described(cx, endpoint).transpose()).collect()
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        match describe(cx, id).await? {
            Some(endpoint) => from_described(cx, &endpoint),
            None => Ok(None),
        }
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let route_tables = self.route_tables.iter().map(|table| table.value().to_owned()).collect();
        let call = cx
            .clients()
            .ec2
            .create_vpc_endpoint()
            .vpc_endpoint_type(VpcEndpointType::Gateway)
            .vpc_id(self.vpc.value())
            .service_name(&self.service)
            .set_route_table_ids(Some(route_tables))
            .policy_document(self.policy.to_string())
            .client_token(creation.token)
            .tag_specifications(specification(ResourceType::VpcEndpoint, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateVpcEndpoint", call).await?;
        Ok(answer.vpc_endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "route_tables") {
            // Read again: after a lost answer `live` is out of date, and a table takes only one route to a service.
            let now = describe(cx, &live.id).await?;
            let present: BTreeSet<&str> = now.iter().flat_map(Described::route_table_ids).map(String::as_str).collect();
            let desired: BTreeSet<&str> = self.route_tables.iter().map(Ref::value).collect();
            let only = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| {
                let ids: Vec<String> = these.difference(those).map(|id| (*id).to_owned()).collect();
                (!ids.is_empty()).then_some(ids)
            };
            let (add, remove) = (only(&desired, &present), only(&present, &desired));
            if add.is_some() || remove.is_some() {
                let change = cx.clients().ec2.modify_vpc_endpoint().vpc_endpoint_id(&live.id);
                let call = change.set_add_route_table_ids(add).set_remove_route_table_ids(remove).send();
                cx.mutate("ec2", "ModifyVpcEndpoint", call).await?;
            }
        }
        if changed(changes, "policy") {
            let change = cx.clients().ec2.modify_vpc_endpoint().vpc_endpoint_id(&live.id);
            let call = change.policy_document(self.policy.to_string()).send();
            cx.mutate("ec2", "ModifyVpcEndpoint", call).await?;
        }
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.delete_vpc_endpoints().vpc_endpoint_ids(&live.id).send();
        let answer = cx.mutate("ec2", "DeleteVpcEndpoints", call).await?;
        unsuccessful(cx, "DeleteVpcEndpoints", answer.unsuccessful(), answer.request_id()).map(|()| Deletion::Requested)
    }
}

async fn describe(cx: &Context, id: &str) -> Result<Option<Described>, Failure> {
    let ec2 = &cx.clients().ec2;
    let answer =
        cx.read("ec2", "DescribeVpcEndpoints", || ec2.describe_vpc_endpoints().vpc_endpoint_ids(id).send()).await?;
    Ok(answer.vpc_endpoints.unwrap_or_default().into_iter().next())
}

/// `None` for a deleted endpoint, which stays listed for a while. See docs/aws-behaviour.md#deleted-things-stay-listed.
fn from_described(cx: &Context, endpoint: &Described) -> Result<Option<Live>, Failure> {
    let id = endpoint.vpc_endpoint_id().unwrap_or_default();
    // AWS answers in lower case (`available`); the SDK's enum and some emulators have capitals (`Available`).
    // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcEndpoints.html
    // See docs/aws-behaviour.md#ec2-states-in-lower-case.
    let state = endpoint.state().map(|state| State::as_str(state).to_ascii_lowercase());
    let phase = match state.as_deref() {
        Some("deleted") => return Ok(None),
        None | Some("available") => Phase::Ready,
        Some("deleting") => Phase::Deleting("deleting".to_owned()),
        Some(state @ ("failed" | "rejected" | "expired")) => {
            let error = endpoint.last_error();
            let why = [
                Some(state),
                error.and_then(LastError::code),
                error.and_then(LastError::message),
                endpoint.failure_reason(),
            ];
            Phase::Failed(why.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        Some(state) => Phase::Pending(state.to_owned()),
    };
    let route_tables = endpoint.route_table_ids.as_ref().map(|ids| {
        let mut tables: Vec<Ref<Id<RouteTable>>> = ids.iter().map(|id| Ref::known(id.as_str())).collect();
        tables.sort();
        tables
    });
    // Some emulators keep no policy.
    let document = endpoint.policy_document().filter(|document| !document.is_empty()).map(policy::parse);
    let mut reading = Reading::default();
    let properties = VpcEndpoint {
        vpc: Ref::known(reading.text("vpc", endpoint.vpc_id())),
        service: reading.text("service", endpoint.service_name()),
        route_tables: reading.value("route_tables", route_tables),
        policy: reading.value("policy", document.transpose()?),
    };
    let tags = Some(tag_map(endpoint.tags.as_deref()));
    Ok(Some(live(&cx.scope, id, phase, &reading.of(properties), tags).with_arn(arn(cx, "vpc-endpoint", id))))
}
