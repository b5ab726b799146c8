//! `default_security_group`: the group of everything in a VPC that is given no other. AWS creates and deletes it with the VPC;
//! drctl only removes its rules.

use aws_sdk_ec2::types::SecurityGroup as Described;
use serde::{Deserialize, Serialize};

use super::security_group::{rules_in, sync_rules};
use super::{Rule, Vpc, filter};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, SECURITY_GROUP, later, on};
use crate::resources::{
    Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};

/// The output with the group's own id.
const GROUP: &str = "group";

/// A VPC's default security group. Its id is the VPC's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultSecurityGroup {
    /// The VPC. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
    /// The inbound traffic that is allowed; empty for none. In-place.
    pub ingress: Vec<Rule>,
    /// The outbound traffic that is allowed; empty for none. In-place.
    pub egress: Vec<Rule>,
}

impl Resource for DefaultSecurityGroup {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("vpc", "each VPC has its own default security group")],
        idempotent_create: true,
        // AWS refuses to delete it (`CannotDelete`) without its VPC. See docs/aws-behaviour.md#default-security-group-stays.
        removable: false,
        ..TypeInfo::usual("default_security_group")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "security group": only its rules are removed, because it is created and deleted with its VPC.
        Latencies::of(
            2,
            Latency::of_steps(
                [2.0, 3.0, 6.0],
                &[step("RevokeSecurityGroupIngress", 1, 1.0, 0.0), step("RevokeSecurityGroupEgress", 2, 1.0, 0.0)],
            ),
            Latency::of_steps([0.0, 0.0, 0.0], &[]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(SECURITY_GROUP, "ec2", "CreateTags RevokeSecurityGroupEgress RevokeSecurityGroupIngress"),
        later(
            SECURITY_GROUP,
            "ec2",
            "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress \
                 UpdateSecurityGroupRuleDescriptionsIngress",
        ),
        on(ANY, "ec2", "DescribeSecurityGroupRules DescribeSecurityGroups"),
    ];
    const SAMPLE_ID: &'static str = "sg-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(self.vpc.value().to_owned())
    }

    /// Includes the groups of other VPCs: the answer does not show which VPCs are the stack's. The engine looks
    /// up only the ids that it knows.
    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let groups = cx
            .pages("ec2", "DescribeSecurityGroups", || {
                let call = ec2.describe_security_groups().filters(filter("group-name", "default"));
                call.into_paginator().items().send()
            })
            .await?;
        Ok(groups.iter().map(|group| from_described(cx, group)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx
            .read("ec2", "DescribeSecurityGroups", || {
                ec2.describe_security_groups()
                    .filters(filter("vpc-id", id))
                    .filters(filter("group-name", "default"))
                    .send()
            })
            .await?;
        Ok(answer.security_groups().first().map(|group| from_described(cx, group)))
    }

    /// Creates nothing: AWS has created the group with the VPC.
    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let vpc = self.vpc.value();
        match Self::read(cx, vpc).await? {
            Some(live) => Ok(live.id),
            None => {
                Err(Failure::new(Class::Transient, format!("the default security group of {vpc} is not visible yet")))
            }
        }
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        sync_rules(cx, &live.output(GROUP).unwrap_or_default(), changes, &self.ingress, &self.egress).await
    }

    async fn delete(_: &Context, _: &Live) -> Result<Deletion, Failure> {
        Ok(Deletion::Requested)
    }
}

fn from_described(cx: &Context, group: &Described) -> Live {
    let vpc = group.vpc_id().unwrap_or_default();
    let mut reading = Reading::default();
    let properties = DefaultSecurityGroup {
        vpc: Ref::known(reading.text("vpc", group.vpc_id())),
        ingress: reading.value("ingress", rules_in(group.ip_permissions())),
        egress: reading.value("egress", rules_in(group.ip_permissions_egress())),
    };
    live(&cx.scope, vpc, Phase::Ready, &reading.of(properties), None)
        .with_output(GROUP, group.group_id().unwrap_or_default())
}
