//! `route_table`: where the traffic of subnets goes. Its routes and associations are resources of their own.

use std::sync::Arc;

use aws_sdk_ec2::types::{ResourceType, RouteTable as Described};
use serde::{Deserialize, Serialize};

use super::foreign::{self, Held};
use super::{Vpc, arn, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, Grant, VPC, later, on};
use crate::resources::{
    AlsoDeleted, Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced,
    Tagging, TypeInfo, Weight, live,
};

/// A route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// The VPC it belongs to. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
}

impl Resource for RouteTable {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("vpc", "a route table cannot be moved to another VPC")],
        idempotent_create: true,
        ..TypeInfo::usual("route_table")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "route table / route / assoc".
        Latencies::of(
            1,
            Latency::of_call("CreateRouteTable", [1.0, 1.0, 5.0]),
            Latency::of_call("DeleteRouteTable", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:ec2:{region}:{account}:route-table/{own}"], "ec2", "CreateRouteTable CreateTags"),
        on(&[VPC], "ec2", "CreateRouteTable"),
        later(&["arn:aws:ec2:{region}:{account}:route-table/{own}"], "ec2", "DeleteRouteTable"),
        on(ANY, "ec2", "DescribeRouteTables"),
    ];
    const SAMPLE_ID: &'static str = "rtb-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        Ok(of_stack(cx).await?.iter().map(|table| from_described(cx, table)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer =
            cx.read("ec2", "DescribeRouteTables", || ec2.describe_route_tables().route_table_ids(id).send()).await?;
        Ok(answer.route_tables().first().map(|table| from_described(cx, table)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_route_table()
            .vpc_id(self.vpc.value())
            .client_token(creation.token)
            .tag_specifications(specification(ResourceType::RouteTable, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateRouteTable", call).await?;
        Ok(answer.route_table.and_then(|table| table.route_table_id).unwrap_or_default())
    }

    async fn sync(&self, _: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        Ok(Weight {
            hindrances: foreign::in_the_way_of(cx, live, Held::Table(&live.id), also).await?,
            ..Weight::default()
        })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.delete_route_table().route_table_id(&live.id).send();
        match cx.mutate("ec2", "DeleteRouteTable", call).await {
            Ok(_) => Ok(Deletion::Requested),
            Err(refusal) => Err(foreign::named(cx, refusal, live, Held::Table(&live.id)).await?),
        }
    }
}

/// The stack's route tables in the Region, with their routes and associations: one call serves all three types.
pub(super) async fn of_stack(cx: &Context) -> Result<Arc<Vec<Described>>, Failure> {
    cx.shared("route_tables", || async {
        let ec2 = &cx.clients().ec2;
        let mut tables = cx
            .pages("ec2", "DescribeRouteTables", || {
                ec2.describe_route_tables().set_filters(Some(ours(cx))).into_paginator().items().send()
            })
            .await?;
        tables.retain(|table| cx.scope.is_ours(&tag_map(table.tags.as_deref())));
        Ok(tables)
    })
    .await
}

fn from_described(cx: &Context, table: &Described) -> Live {
    let id = table.route_table_id().unwrap_or_default();
    let mut reading = Reading::default();
    let properties = RouteTable { vpc: Ref::known(reading.text("vpc", table.vpc_id())) };
    live(&cx.scope, id, Phase::Ready, &reading.of(properties), Some(tag_map(table.tags.as_deref()))).with_arn(arn(
        cx,
        "route-table",
        id,
    ))
}
