//! `security_group`: which traffic is allowed. The rules of a group are its properties, and exclusive: rules that were added by
//! hand are revoked.

use std::time::Duration;

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, ReferencedSecurityGroup, ResourceType, SecurityGroup as Described,
    SecurityGroupRule as DescribedRule, UserIdGroupPair,
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::foreign::Held;
use super::{Vpc, arn, filter, network_interface, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{ANY, Grant, INTERFACE, SECURITY_GROUP, later, on};
use crate::resources::{
    AlsoDeleted, Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced,
    Tagging, TypeInfo, Weight, live,
};

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// The VPC it belongs to. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
    /// Its name, unique in the VPC. Immutable: forces replacement.
    pub name: String,
    /// What it is for, in the characters that a rule's description may have. Immutable: forces replacement.
    pub description: String,
    /// The inbound traffic that is allowed, and nothing else. In-place.
    pub ingress: Vec<Rule>,
    /// The outbound traffic that is allowed, and nothing else: the rule with which AWS allows everything is revoked. In-place.
    pub egress: Vec<Rule>,
    /// Other resources that have to exist first, or have to outlive it. They only define an order, and are never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

/// Traffic that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// `tcp`, `udp`, `icmp`, the number of another protocol, or `-1` for all. In-place.
    pub protocol: String,
    /// The first port; absent for all. In-place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_port: Option<u16>,
    /// The last port; absent for all. In-place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<u16>,
    /// The other end. In-place.
    #[serde(flatten)]
    pub peer: Peer,
    /// What it is for: ASCII letters, digits, spaces and `._-:/()#,@[]+=;{}!$*`, so no apostrophe. In-place.
    pub description: String,
}

/// The other end of a rule's traffic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A range of IPv4 addresses.
    Cidr(String),
    /// A range of IPv6 addresses.
    Ipv6(String),
    /// A prefix list, by its id.
    PrefixList(String),
    /// The members of a security group.
    Group(Ref<Id<SecurityGroup>>),
}

impl From<Ipv4Net> for Peer {
    fn from(cidr: Ipv4Net) -> Self {
        Self::Cidr(cidr.to_string())
    }
}

impl From<Ref<Id<SecurityGroup>>> for Peer {
    fn from(group: Ref<Id<SecurityGroup>>) -> Self {
        Self::Group(group)
    }
}

impl Rule {
    /// TCP on one port.
    #[must_use]
    pub fn tcp(port: u16, peer: impl Into<Peer>, description: &str) -> Self {
        Self {
            protocol: "tcp".to_owned(),
            from_port: Some(port),
            to_port: Some(port),
            peer: peer.into(),
            description: description.to_owned(),
        }
    }

    /// Everything by which AWS tells rules apart, which is all but the description.
    fn traffic(&self) -> (&str, Option<u16>, Option<u16>, &Peer) {
        (&self.protocol, self.from_port, self.to_port, &self.peer)
    }

    fn is_among(&self, rules: &[Self]) -> bool {
        rules.iter().any(|rule| rule.traffic() == self.traffic())
    }

    fn permission(&self) -> IpPermission {
        let description = (!self.description.is_empty()).then(|| self.description.clone());
        let permission = IpPermission::builder()
            .ip_protocol(&self.protocol)
            .set_from_port(self.from_port.map(i32::from))
            .set_to_port(self.to_port.map(i32::from));
        match &self.peer {
            Peer::Cidr(cidr) => {
                permission.ip_ranges(IpRange::builder().cidr_ip(cidr).set_description(description).build())
            }
            Peer::Ipv6(cidr) => {
                permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).set_description(description).build())
            }
            Peer::PrefixList(id) => permission
                .prefix_list_ids(PrefixListId::builder().prefix_list_id(id).set_description(description).build()),
            Peer::Group(id) => permission.user_id_group_pairs(
                UserIdGroupPair::builder().group_id(id.value()).set_description(description).build(),
            ),
        }
        .build()
    }

    fn from_described(rule: &DescribedRule) -> Self {
        let peer = match (rule.cidr_ipv4(), rule.cidr_ipv6(), rule.prefix_list_id()) {
            (Some(cidr), ..) => Peer::Cidr(cidr.to_owned()),
            (_, Some(cidr), _) => Peer::Ipv6(cidr.to_owned()),
            (.., Some(id)) => Peer::PrefixList(id.to_owned()),
            _ => Peer::Group(Ref::known(referred_group(rule).unwrap_or_default())),
        };
        Self {
            protocol: rule.ip_protocol().unwrap_or_default().to_owned(),
            from_port: port(rule.from_port()),
            to_port: port(rule.to_port()),
            peer,
            description: rule.description().unwrap_or_default().to_owned(),
        }
    }
}

impl Resource for SecurityGroup {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("vpc", "a security group cannot be moved to another VPC"),
            ("name", "the name of a security group cannot be changed"),
            ("description", "the description of a security group cannot be changed"),
        ],
        // A second group of the same name is refused.
        idempotent_create: true,
        // The network interfaces of a deleted Lambda function stay for 45 minutes, some for an hour.
        // See docs/aws-behaviour.md#lambda-interfaces-linger.
        patience: Duration::from_mins(75),
        ..TypeInfo::usual("security_group")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // "security group". The wait for network interfaces is not part of it.
        Latencies::of(
            2,
            Latency::of_steps(
                [2.0, 3.0, 6.0],
                &[step("CreateSecurityGroup", 1, 1.0, 0.0), step("AuthorizeSecurityGroupIngress", 2, 1.0, 0.0)],
            ),
            Latency::of_steps([1.0, 1.0, 5.0], &[step("DeleteSecurityGroup", 1, 1.0, 0.0)]),
        ),
    ];
    // A new group has a rule that allows all outbound traffic, which is revoked.
    const PERMISSIONS: &'static [Grant] = &[
        on(
            SECURITY_GROUP,
            "ec2",
            "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateSecurityGroup CreateTags \
                 RevokeSecurityGroupEgress",
        ),
        later(
            SECURITY_GROUP,
            "ec2",
            "DeleteSecurityGroup RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress \
                 UpdateSecurityGroupRuleDescriptionsIngress",
        ),
        later(INTERFACE, "ec2", "DeleteNetworkInterface"),
        later(ANY, "ec2", "DescribeNetworkInterfaces"),
        on(ANY, "ec2", "DescribeSecurityGroupRules DescribeSecurityGroups"),
    ];
    const SAMPLE_ID: &'static str = "sg-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    /// `vpc-…/name`. [`Resource::read`] takes it as well as the id.
    fn natural_id(&self) -> Option<String> {
        Some(format!("{}/{}", self.vpc.value(), self.name))
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        Ok(of_stack(cx).await?.iter().map(|group| from_described(cx, group)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx
            .read("ec2", "DescribeSecurityGroups", || match id.split_once('/') {
                Some((vpc, name)) => ec2
                    .describe_security_groups()
                    .filters(filter("vpc-id", vpc))
                    .filters(filter("group-name", name))
                    .send(),
                None => ec2.describe_security_groups().group_ids(id).send(),
            })
            .await?;
        Ok(answer.security_groups().first().map(|group| from_described(cx, group)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_security_group()
            .vpc_id(self.vpc.value())
            .group_name(&self.name)
            .description(&self.description)
            .tag_specifications(specification(ResourceType::SecurityGroup, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateSecurityGroup", call).await?;
        Ok(answer.group_id.unwrap_or_default())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        sync_rules(cx, &live.id, changes, &self.ingress, &self.egress).await
    }

    async fn weigh(cx: &Context, live: &Live, also: &AlsoDeleted) -> Result<Weight, Failure> {
        Ok(Weight {
            hindrances: super::foreign::in_the_way_of(cx, live, Held::Group(&live.id), also).await?,
            ..Weight::default()
        })
    }

    /// A rule of another group that refers to this one keeps it from being deleted
    /// (docs/aws-behaviour.md#security-group-referenced). In this stack's groups, such rules are revoked. In other groups they are
    /// left alone, and the group is named.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let groups = of_stack(cx).await?;
        let referring = groups.iter().filter(|group| refers_to(group, &live.id));
        let others: Vec<&str> = referring.filter_map(Described::group_id).filter(|other| *other != live.id).collect();
        for other in others {
            let rules = rules_of(cx, other).await?;
            let referring: Vec<_> =
                rules.iter().filter(|rule| referred_group(rule) == Some(live.id.as_str())).collect();
            revoke(cx, other, &referring).await?;
        }
        let call = cx.clients().ec2.delete_security_group().group_id(&live.id).send();
        let answer = cx.mutate("ec2", "DeleteSecurityGroup", call).await;
        network_interface::unless_held(cx, answer, live, Held::Group(&live.id)).await
    }
}

/// The stack's groups in the Region.
async fn of_stack(cx: &Context) -> Result<Vec<Described>, Failure> {
    let ec2 = &cx.clients().ec2;
    let mut groups = cx
        .pages("ec2", "DescribeSecurityGroups", || {
            ec2.describe_security_groups().set_filters(Some(ours(cx))).into_paginator().items().send()
        })
        .await?;
    groups.retain(|group| cx.scope.is_ours(&tag_map(group.tags.as_deref())));
    Ok(groups)
}

fn from_described(cx: &Context, group: &Described) -> Live {
    let id = group.group_id().unwrap_or_default();
    let mut reading = Reading::default();
    let properties = SecurityGroup {
        vpc: Ref::known(reading.text("vpc", group.vpc_id())),
        name: reading.text("name", group.group_name()),
        description: reading.text("description", group.description()),
        ingress: reading.value("ingress", rules_in(group.ip_permissions())),
        egress: reading.value("egress", rules_in(group.ip_permissions_egress())),
        after: Vec::new(),
    };
    live(&cx.scope, id, Phase::Ready, &reading.of(properties), Some(tag_map(group.tags.as_deref()))).with_arn(arn(
        cx,
        "security-group",
        id,
    ))
}

/// For all ports, `DescribeSecurityGroupRules` returns -1, and `DescribeSecurityGroups` leaves the field out.
fn port(port: Option<i32>) -> Option<u16> {
    port.and_then(|port| u16::try_from(port).ok())
}

/// The rules in permissions, sorted; `None` if EC2 left out the protocol or the other end of one of them. It also leaves out lists and
/// descriptions that are empty.
pub(super) fn rules_in(permissions: &[IpPermission]) -> Option<Vec<Rule>> {
    let mut rules = Vec::new();
    for permission in permissions {
        let ranges = permission
            .ip_ranges()
            .iter()
            .map(|range| (range.cidr_ip().map(|cidr| Peer::Cidr(cidr.to_owned())), range.description()));
        let ranges6 = permission
            .ipv6_ranges()
            .iter()
            .map(|range| (range.cidr_ipv6().map(|cidr| Peer::Ipv6(cidr.to_owned())), range.description()));
        let lists = permission
            .prefix_list_ids()
            .iter()
            .map(|list| (list.prefix_list_id().map(|id| Peer::PrefixList(id.to_owned())), list.description()));
        let groups = permission
            .user_id_group_pairs()
            .iter()
            .map(|pair| (pair.group_id().map(|id| Peer::Group(Ref::known(id))), pair.description()));
        for (peer, description) in ranges.chain(ranges6).chain(lists).chain(groups) {
            rules.push(Rule {
                protocol: permission.ip_protocol()?.to_owned(),
                from_port: port(permission.from_port()),
                to_port: port(permission.to_port()),
                peer: peer?,
                description: description.unwrap_or_default().to_owned(),
            });
        }
    }
    rules.sort();
    Some(rules)
}

/// Makes a group's rules exactly the desired ones. Missing rules are added before surplus ones are revoked, and descriptions are
/// changed in place: traffic that stays allowed is never cut.
pub(super) async fn sync_rules(
    cx: &Context,
    group: &str,
    changes: &[Change],
    ingress: &[Rule],
    egress: &[Rule],
) -> Result<Synced, Failure> {
    for (property, outward, desired) in [("ingress", false, ingress), ("egress", true, egress)] {
        let Some(change) = changes.iter().find(|change| change.property == property) else { continue };
        let present: Vec<Rule> = serde_json::from_value(change.old.clone()).map_err(|e| {
            Failure::new(Class::Internal, format!("the {property} rules of {group} cannot be read back: {e}"))
        })?;
        let missing: Vec<_> = desired.iter().filter(|rule| !rule.is_among(&present)).map(Rule::permission).collect();
        if !missing.is_empty() {
            authorize(cx, group, outward, missing).await?;
        }
        let reworded: Vec<_> = desired
            .iter()
            .filter(|rule| rule.is_among(&present) && !present.contains(rule))
            .map(Rule::permission)
            .collect();
        if !reworded.is_empty() {
            reword(cx, group, outward, reworded).await?;
        }
        if present.iter().any(|rule| !rule.is_among(desired)) {
            let rules = rules_of(cx, group).await?;
            let is_surplus = |rule: &DescribedRule| {
                rule.is_egress() == Some(outward) && !Rule::from_described(rule).is_among(desired)
            };
            let surplus: Vec<_> = rules.iter().filter(|rule| is_surplus(rule)).collect();
            revoke(cx, group, &surplus).await?;
        }
    }
    Ok(Synced::default())
}

/// One call for all rules is refused if one of them already exists, because the answer to an earlier call was lost, or because
/// someone else added it. The engine then reads again and adds the rest.
async fn authorize(cx: &Context, group: &str, outward: bool, permissions: Vec<IpPermission>) -> Result<(), Failure> {
    let ec2 = &cx.clients().ec2;
    let answer = if outward {
        let call = ec2.authorize_security_group_egress().group_id(group).set_ip_permissions(Some(permissions)).send();
        cx.mutate("ec2", "AuthorizeSecurityGroupEgress", call).await.map(drop)
    } else {
        let call = ec2.authorize_security_group_ingress().group_id(group).set_ip_permissions(Some(permissions)).send();
        cx.mutate("ec2", "AuthorizeSecurityGroupIngress", call).await.map(drop)
    };
    match answer {
        Err(failure) if failure.code.as_deref() == Some("InvalidPermission.Duplicate") => Ok(()),
        answer => answer,
    }
}

async fn reword(cx: &Context, group: &str, outward: bool, permissions: Vec<IpPermission>) -> Result<(), Failure> {
    let ec2 = &cx.clients().ec2;
    if outward {
        let call = ec2
            .update_security_group_rule_descriptions_egress()
            .group_id(group)
            .set_ip_permissions(Some(permissions))
            .send();
        cx.mutate("ec2", "UpdateSecurityGroupRuleDescriptionsEgress", call).await.map(drop)
    } else {
        let call = ec2
            .update_security_group_rule_descriptions_ingress()
            .group_id(group)
            .set_ip_permissions(Some(permissions))
            .send();
        cx.mutate("ec2", "UpdateSecurityGroupRuleDescriptionsIngress", call).await.map(drop)
    }
}

/// Revokes by id: by its properties, `LocalStack` finds a rule only with its description. A rule that was deleted in the meantime
/// makes the whole call fail; the next read shows the rules that are left.
async fn revoke(cx: &Context, group: &str, rules: &[&DescribedRule]) -> Result<(), Failure> {
    let ec2 = &cx.clients().ec2;
    for outward in [false, true] {
        let of_direction = rules.iter().filter(|rule| rule.is_egress() == Some(outward));
        let ids: Vec<String> =
            of_direction.filter_map(|rule| rule.security_group_rule_id().map(str::to_owned)).collect();
        let answer = if ids.is_empty() {
            Ok(())
        } else if outward {
            let call = ec2.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(Some(ids)).send();
            cx.mutate("ec2", "RevokeSecurityGroupEgress", call).await.map(drop)
        } else {
            let call =
                ec2.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(Some(ids)).send();
            cx.mutate("ec2", "RevokeSecurityGroupIngress", call).await.map(drop)
        };
        match answer {
            Err(failure) if failure.class == Class::NotFound => {}
            answer => answer?,
        }
    }
    Ok(())
}

/// A group's rules with their ids.
async fn rules_of(cx: &Context, group: &str) -> Result<Vec<DescribedRule>, Failure> {
    let ec2 = &cx.clients().ec2;
    cx.pages("ec2", "DescribeSecurityGroupRules", || {
        let call = ec2.describe_security_group_rules().filters(filter("group-id", group));
        call.into_paginator().items().send()
    })
    .await
}

fn refers_to(group: &Described, id: &str) -> bool {
    let permissions = group.ip_permissions().iter().chain(group.ip_permissions_egress());
    permissions.flat_map(IpPermission::user_id_group_pairs).any(|pair| pair.group_id() == Some(id))
}

fn referred_group(rule: &DescribedRule) -> Option<&str> {
    rule.referenced_group_info().and_then(ReferencedSecurityGroup::group_id)
}
