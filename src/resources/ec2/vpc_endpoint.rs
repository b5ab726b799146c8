//! `vpc_endpoint`: a gateway endpoint, which keeps the traffic to S3 or `DynamoDB` within AWS.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::operation::RequestId as _;
use aws_sdk_ec2::types::{LastError, ResourceType, State, VpcEndpoint as Described, VpcEndpointType};
use serde::{Deserialize, Serialize};

use super::flow_log::unsuccessful;
use super::{RouteTable, Vpc, arn, ours, specification, tag_map};
use crate::resources::{
    Change, Context, Creation, Failure, Id, Live, Phase, Ref, Removal, Resource, Synced, Tagging, Traits, changed, live,
};

/// A gateway endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcEndpoint {
    /// The VPC whose traffic it takes. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
    /// The service it leads to, e.g. `com.amazonaws.us-east-1.s3`. Immutable: forces replacement.
    pub service: String,
    /// The route tables that lead to it. In-place.
    pub route_tables: Vec<Ref<Id<RouteTable>>>,
}

impl Resource for VpcEndpoint {
    const TRAITS: Traits = Traits {
        kind: "vpc_endpoint",
        immutable: &[
            ("vpc", "an endpoint cannot be moved to another VPC"),
            ("service", "the service of an endpoint cannot be changed"),
        ],
        holds: &[],
        create: Duration::from_secs(5),
        delete: Duration::from_secs(10),
        idempotent_create: true,
        patience: Duration::from_mins(5),
        removable: true,
    };
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let endpoints = cx
            .read("ec2", "DescribeVpcEndpoints", || {
                ec2.describe_vpc_endpoints()
                    .set_filters(Some(ours(cx)))
                    .into_paginator()
                    .items()
                    .send()
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        Ok(endpoints.iter().filter_map(|endpoint| from_described(cx, endpoint)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        Ok(describe(cx, id).await?.and_then(|endpoint| from_described(cx, &endpoint)))
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
            .client_token(creation.token)
            .tag_specifications(specification(ResourceType::VpcEndpoint, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateVpcEndpoint", call).await?;
        Ok(answer.vpc_endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id).unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "route_tables") {
            // Read anew: a lost answer leaves `live` behind, and a table takes only one route to a service.
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
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Removal, Failure> {
        let call = cx.clients().ec2.delete_vpc_endpoints().vpc_endpoint_ids(&live.id).send();
        let answer = cx.mutate("ec2", "DeleteVpcEndpoints", call).await?;
        unsuccessful(cx, "DeleteVpcEndpoints", answer.unsuccessful(), answer.request_id()).map(|()| Removal::Ordered)
    }
}

async fn describe(cx: &Context, id: &str) -> Result<Option<Described>, Failure> {
    let ec2 = &cx.clients().ec2;
    let answer =
        cx.read("ec2", "DescribeVpcEndpoints", || ec2.describe_vpc_endpoints().vpc_endpoint_ids(id).send()).await?;
    Ok(answer.vpc_endpoints.unwrap_or_default().into_iter().next())
}

/// `None` for a deleted one, which stays listed for a while.
fn from_described(cx: &Context, endpoint: &Described) -> Option<Live> {
    let id = endpoint.vpc_endpoint_id().unwrap_or_default();
    // AWS answers in lower case (`available`), the SDK's enum has capitals (`Available`), and so have some endpoints.
    // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcEndpoints.html
    let state = endpoint.state().map(|state| State::as_str(state).to_ascii_lowercase());
    let phase = match state.as_deref() {
        Some("deleted") => return None,
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
    let mut route_tables: Vec<Ref<Id<RouteTable>>> =
        endpoint.route_table_ids().iter().map(|id| Ref::known(id.as_str())).collect();
    route_tables.sort();
    let properties = VpcEndpoint {
        vpc: Ref::known(endpoint.vpc_id().unwrap_or_default()),
        service: endpoint.service_name().unwrap_or_default().to_owned(),
        route_tables,
    };
    Some(live(&cx.scope, id, phase, &properties, Some(tag_map(endpoint.tags.as_deref()))).with_arn(arn(
        cx,
        "vpc-endpoint",
        id,
    )))
}
