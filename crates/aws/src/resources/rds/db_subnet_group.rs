//! `db_subnet_group`: the subnets of a Region's instances.

use std::time::Duration;

use aws_sdk_rds::types::{DbCluster, DbInstance, DbSubnetGroup as Described, Subnet as Member};
use serde::{Deserialize, Serialize};

use super::{databases, named, step, tags, tags_of};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::ec2::Subnet;
use crate::resources::permissions::{ANY, Grant, later, on};
use crate::resources::{
    AlsoDeleted, Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced,
    Tagging, TypeInfo, Weight, live, read_named,
};

/// The subnets of a Region's instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbSubnetGroup {
    /// Its name, in lower case. Immutable: forces replacement.
    pub name: String,
    /// What it is for. In-place.
    pub description: String,
    /// Its subnets, in at least two zones. In-place.
    pub subnets: Vec<Ref<Id<Subnet>>>,
}

impl Resource for DbSubnetGroup {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a subnet group cannot be renamed")],
        // All its clusters would have to move to the other subnets, which they cannot.
        holds: &["subnets"],
        idempotent_create: true,
        // It is in use until the last instance has been deleted. See docs/aws-behaviour.md#group-in-use.
        patience: Duration::from_mins(15),
        ..TypeInfo::usual("db_subnet_group")
    };
    const SERVICE: &'static str = "rds";
    const LATENCIES: &'static [Latencies] = &[
        // "DB subnet / param group".
        Latencies::of(
            2,
            Latency::of_call("CreateDBSubnetGroup", [1.0, 2.0, 5.0]),
            Latency::of_call("DeleteDBSubnetGroup", [1.0, 2.0, 5.0]),
        ),
    ];
    // RDS describes the network as the caller:
    // https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSubnetGroup.html
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:rds:{region}:{account}:subgrp:{own}"],
            "rds",
            "AddTagsToResource CreateDBSubnetGroup DescribeDBSubnetGroups ListTagsForResource",
        ),
        later(&["arn:aws:rds:{region}:{account}:subgrp:{own}"], "rds", "DeleteDBSubnetGroup ModifyDBSubnetGroup"),
        on(ANY, "ec2", "DescribeAvailabilityZones DescribeSubnets DescribeVpcs"),
    ];
    const TAGGING: Tagging = Tagging::Rds;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Empty: a listing covers the whole account, and has no tags. Each group is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let rds = &cx.clients().rds;
        let groups = cx
            .pages("rds", "DescribeDBSubnetGroups", || rds.describe_db_subnet_groups().into_paginator().items().send())
            .await?;
        read_named::<Self>(cx, groups.into_iter().filter_map(|group| group.db_subnet_group_name).collect()).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let rds = &cx.clients().rds;
        let answer = cx
            .read("rds", "DescribeDBSubnetGroups", || rds.describe_db_subnet_groups().db_subnet_group_name(id).send())
            .await?;
        let Some(group) = answer.db_subnet_groups().first() else { return Ok(None) };
        let arn = group.db_subnet_group_arn().unwrap_or_default();
        let tags = tags_of(cx, arn).await?;
        let mut reading = Reading::default();
        // A group without subnets has an empty list.
        let subnets = group.subnets.as_ref();
        let subnets = subnets.map(|all| all.iter().filter_map(Member::subnet_identifier).map(Ref::known).collect());
        let properties = DbSubnetGroup {
            name: id.to_owned(),
            description: reading.text("description", group.db_subnet_group_description()),
            subnets: reading.value("subnets", subnets),
        };
        Ok(Some(live(&cx.scope, id, Phase::Ready, &reading.of(properties), Some(tags)).with_arn(arn)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .rds
            .create_db_subnet_group()
            .db_subnet_group_name(&self.name)
            .db_subnet_group_description(&self.description)
            .set_subnet_ids(Some(self.subnet_ids()))
            .set_tags(Some(tags(&creation.tags)))
            .send();
        named::<Self, _>(cx, &self.name, cx.mutate("rds", "CreateDBSubnetGroup", call).await).await
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let call = cx
            .clients()
            .rds
            .modify_db_subnet_group()
            .db_subnet_group_name(&live.id)
            .db_subnet_group_description(&self.description)
            .set_subnet_ids(Some(self.subnet_ids()))
            .send();
        cx.mutate("rds", "ModifyDBSubnetGroup", call).await?;
        Ok(Synced::default())
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        let by_cluster = |cluster: &DbCluster| cluster.db_subnet_group() == Some(&live.id);
        let by_instance = |instance: &DbInstance| {
            let group = instance.db_subnet_group().and_then(Described::db_subnet_group_name);
            instance.db_cluster_identifier().is_none_or(str::is_empty) && group == Some(&live.id)
        };
        let what = ("the subnet group", live.id.as_str());
        let hindrances = databases::hindrances(cx, what, also, by_cluster, by_instance).await?;
        Ok(Weight { hindrances, ..Weight::default() })
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().rds.delete_db_subnet_group().db_subnet_group_name(&live.id).send();
        step(cx.mutate("rds", "DeleteDBSubnetGroup", call).await, Deletion::Requested)
    }
}

impl DbSubnetGroup {
    fn subnet_ids(&self) -> Vec<String> {
        self.subnets.iter().map(|subnet| subnet.value().to_owned()).collect()
    }
}
