//! `flow_log`: records the traffic of a VPC in a log group.

use std::time::Duration;

use aws_sdk_ec2::operation::RequestId as _;
use aws_sdk_ec2::types::{
    FlowLog as Described, FlowLogsResourceType, LogDestinationType, ResourceType, TrafficType, UnsuccessfulItem,
    UnsuccessfulItemError,
};
use serde::{Deserialize, Serialize};

use super::{Vpc, arn, ours, specification, tag_map};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ANY, Grant, later, on, pass};
use crate::resources::{
    Change, Class, Context, Creation, Deletion, Failure, Id, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};

/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html>
const FIXED: &str = "a flow log cannot be changed after its creation";

/// A VPC's flow log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLog {
    /// The VPC whose traffic is recorded. Immutable: forces replacement.
    pub vpc: Ref<Id<Vpc>>,
    /// Which traffic: `ACCEPT`, `REJECT` or `ALL`. Immutable: forces replacement.
    pub traffic: String,
    /// The name of the log group that it writes to. Immutable: forces replacement.
    pub log_group: String,
    /// The ARN of the role with which it writes there. Immutable: forces replacement.
    pub role_arn: String,
    /// For how many seconds packets are counted into one record: 60 or 600. Immutable: forces replacement.
    pub aggregation_seconds: i32,
    /// Other resources that have to be ready first: the log group and the role. They only define an order, and are never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Ref<()>>,
}

impl Resource for FlowLog {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("vpc", FIXED),
            ("traffic", FIXED),
            ("log_group", FIXED),
            ("role_arn", FIXED),
            ("aggregation_seconds", FIXED),
        ],
        idempotent_create: true,
        // Other services may see a role 2 min late. See docs/aws-behaviour.md#flow-log-role-not-assumable-yet.
        patience: Duration::from_mins(5),
        ..TypeInfo::usual("flow_log")
    };
    const SERVICE: &'static str = "ec2";
    const LATENCIES: &'static [Latencies] = &[
        // Estimated.
        Latencies::of(
            1,
            Latency::of_call("CreateFlowLogs", [1.0, 2.0, 5.0]),
            Latency::of_call("DeleteFlowLogs", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:ec2:{region}:{account}:vpc-flow-log/{own}"], "ec2", "CreateFlowLogs CreateTags"),
        later(&["arn:aws:ec2:{region}:{account}:vpc-flow-log/{own}"], "ec2", "DeleteFlowLogs"),
        on(ANY, "ec2", "DescribeFlowLogs"),
        pass(&[("iam:PassedToService", "vpc-flow-logs.amazonaws.com")]),
    ];
    const SAMPLE_ID: &'static str = "fl-0a1b2c3d4e5f60718";
    const TAGGING: Tagging = Tagging::Ec2;

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let logs = cx
            .pages("ec2", "DescribeFlowLogs", || {
                ec2.describe_flow_logs().set_filter(Some(ours(cx))).into_paginator().items().send()
            })
            .await?;
        Ok(logs.iter().map(|log| from_described(cx, log)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let ec2 = &cx.clients().ec2;
        let answer = cx.read("ec2", "DescribeFlowLogs", || ec2.describe_flow_logs().flow_log_ids(id).send()).await?;
        Ok(answer.flow_logs().first().map(|log| from_described(cx, log)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .ec2
            .create_flow_logs()
            .resource_type(FlowLogsResourceType::Vpc)
            .resource_ids(self.vpc.value())
            .traffic_type(TrafficType::from(self.traffic.as_str()))
            .log_destination_type(LogDestinationType::CloudWatchLogs)
            .log_group_name(&self.log_group)
            .deliver_logs_permission_arn(&self.role_arn)
            .max_aggregation_interval(self.aggregation_seconds)
            .client_token(creation.token)
            .tag_specifications(specification(ResourceType::VpcFlowLog, &creation.tags))
            .send();
        let answer = cx.mutate("ec2", "CreateFlowLogs", call).await?;
        unsuccessful(cx, "CreateFlowLogs", answer.unsuccessful(), answer.request_id())?;
        Ok(answer.flow_log_ids().first().cloned().unwrap_or_default())
    }

    async fn sync(&self, _: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().ec2.delete_flow_logs().flow_log_ids(&live.id).send();
        let answer = cx.mutate("ec2", "DeleteFlowLogs", call).await?;
        unsuccessful(cx, "DeleteFlowLogs", answer.unsuccessful(), answer.request_id()).map(|()| Deletion::Requested)
    }
}

/// The refusal within an answer of status 200: EC2's calls on lists answer item by item, and the calls here have one item.
pub(super) fn unsuccessful(
    cx: &Context,
    operation: &str,
    items: &[UnsuccessfulItem],
    request: Option<&str>,
) -> Result<(), Failure> {
    let Some(item) = items.first() else { return Ok(()) };
    let code = item.error().and_then(UnsuccessfulItemError::code);
    let message = item.error().and_then(UnsuccessfulItemError::message).unwrap_or("refused without a message");
    // A role or a policy that was created a moment ago. The codes of items say little (`400`), so the text decides:
    // "Unable to assume given IAM role" (terraform-provider-aws, internal/service/ec2/vpc_flow_log.go, which retries it) and
    // "Access Denied for LogDestination" (awsdocs/amazon-vpc-user-guide#28).
    let is_unseen = ["IAM role", "Access Denied for LogDestination"].iter().any(|text| message.contains(text));
    let class = match code {
        Some("FlowLogAlreadyExists") => Class::Exists,
        // In answer to a creation, the VPC is not visible everywhere yet.
        Some(code) if code.ends_with(".NotFound") && operation == "CreateFlowLogs" => Class::Transient,
        Some(code) if code.ends_with(".NotFound") => Class::NotFound,
        _ if is_unseen => Class::Transient,
        _ => Class::Refused,
    };
    Err(Failure {
        code: code.map(str::to_owned),
        operation: Some(format!("ec2:{operation} in {}", cx.region)),
        request_id: request.map(str::to_owned),
        ..Failure::new(class, message.trim_end_matches('.'))
    })
}

fn from_described(cx: &Context, log: &Described) -> Live {
    let id = log.flow_log_id().unwrap_or_default();
    let mut reading = Reading::default();
    let properties = FlowLog {
        vpc: Ref::known(reading.text("vpc", log.resource_id())),
        traffic: reading.text("traffic", log.traffic_type().map(TrafficType::as_str)),
        log_group: reading.text("log_group", group(log)),
        // MiniStack keeps neither role nor interval.
        role_arn: reading.text("role_arn", log.deliver_logs_permission_arn()),
        aggregation_seconds: reading.value("aggregation_seconds", log.max_aggregation_interval()),
        after: Vec::new(),
    };
    // Its only status is ACTIVE. Whether records arrive is reported minutes later, and does not concern its creation.
    let tags = Some(tag_map(log.tags.as_deref()));
    live(&cx.scope, id, Phase::Ready, &reading.of(properties), tags).with_arn(arn(cx, "vpc-flow-log", id))
}

/// The name of its log group, which AWS returns as a name or within an ARN.
fn group(log: &Described) -> Option<&str> {
    let destination = log.log_destination().filter(|destination| !destination.is_empty());
    log.log_group_name().filter(|name| !name.is_empty()).or_else(|| {
        let (_, name) = destination?.split_once(":log-group:").unwrap_or(("", destination?));
        Some(name.trim_end_matches(":*"))
    })
}
