//! `api_stage`: a deployment of an API under a name.

use aws_sdk_apigatewayv2::types::{AccessLogSettings, RouteSettings};
use serde::{Deserialize, Serialize};

use super::api_mapping::still_mapped;
use super::{Api, arn, id_of, of_stack, or_none, pages, parts, tag_map};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::logs::LogGroup;
use crate::resources::permissions::{API_TAGS, API_TAGS_OFF, Grant, LOG_GROUPS, later, on};
use crate::resources::{
    Arn, Change, Context, Creation, Deletion, Failure, Id, Live, Phase, Readable, Ref, Resource, Synced, Tagging,
    TypeInfo, live, read_each,
};

/// A deployment of an API under a name. Its id is `API/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The API. Immutable: forces replacement.
    pub api: Ref<Id<Api>>,
    /// Its name; `$default` is the root of the API's endpoint. Immutable: forces replacement.
    pub name: String,
    /// Whether every change of the API is deployed at once. In-place.
    pub auto_deploy: bool,
    /// How many requests it accepts per second. In-place.
    pub throttle_rate: i32,
    /// How many requests it accepts at once. In-place.
    pub throttle_burst: i32,
    /// The log group of its access log, by its ARN without `:*`. In-place.
    pub access_log_group: Ref<Arn<LogGroup>>,
    /// The format of the access log. It is refused unless it has `$context.requestId` or `$context.extendedRequestId`. In-place.
    pub access_log_format: String,
    /// Whether each route has metrics. In-place.
    pub detailed_metrics: bool,
}

impl Resource for Stage {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("api", "a stage cannot be moved to another API"), ("name", "a stage cannot be renamed")],
        // A second stage of the same name is refused.
        idempotent_create: true,
        ..TypeInfo::usual("api_stage")
    };
    const SERVICE: &'static str = "apigateway";
    const LATENCIES: &'static [Latencies] = &[
        // "APIGWv2 api+integ+routes+stage": a quarter each.
        Latencies::of(
            1,
            Latency::of_call("CreateStage", [0.5, 1.0, 5.0]),
            Latency::of_call("DeleteStage", [1.0, 1.0, 3.0]),
        ),
    ];
    // Access logs: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html. What their permissions can
    // be restricted to: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:apigateway:{region}::/apis/{api}/stages"], "apigateway", "POST"),
        on(&["arn:aws:apigateway:{region}::/apis/{api}/stages/{own}"], "apigateway", "GET"),
        API_TAGS,
        later(&["arn:aws:apigateway:{region}::/apis/{api}/stages/{own}"], "apigateway", "DELETE PATCH"),
        API_TAGS_OFF,
        on(
            LOG_GROUPS,
            "logs",
            "CreateLogDelivery DescribeLogGroups DescribeResourcePolicies GetLogDelivery ListLogDeliveries \
                 PutResourcePolicy",
        ),
        later(LOG_GROUPS, "logs", "DeleteLogDelivery UpdateLogDelivery"),
    ];
    const TAGGING: Tagging = Tagging::ApiGateway;

    fn natural_id(&self) -> Option<String> {
        Some(id_of(self.api.value(), &self.name))
    }

    /// Lists nothing: an API has one stage, which is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let mut ids = Vec::new();
        for api in of_stack(cx).await? {
            ids.extend(of_api(cx, &api).await?);
        }
        read_each::<Self>(cx, ids).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let gateway = &cx.clients().apigateway;
        let (api, name) = parts(id);
        let stage =
            cx.read("apigateway", "GetStage", || gateway.get_stage().api_id(api).stage_name(name).send()).await?;
        let settings = stage.default_route_settings();
        let log = stage.access_log_settings();
        let group = log.and_then(AccessLogSettings::destination_arn).unwrap_or_default();
        // API Gateway leaves out what was never set: then nothing is deployed automatically, limited, logged, or measured.
        let properties = Stage {
            api: Ref::known(api),
            name: name.to_owned(),
            auto_deploy: stage.auto_deploy().unwrap_or(false),
            throttle_rate: settings.and_then(RouteSettings::throttling_rate_limit).map(whole).unwrap_or_default(),
            throttle_burst: settings.and_then(RouteSettings::throttling_burst_limit).unwrap_or_default(),
            access_log_group: Ref::known(group.strip_suffix(":*").unwrap_or(group)),
            access_log_format: log.and_then(AccessLogSettings::format).unwrap_or_default().to_owned(),
            detailed_metrics: settings.and_then(RouteSettings::detailed_metrics_enabled).unwrap_or(false),
        };
        let found = live(&cx.scope, id, Phase::Ready, &Readable::complete(properties), Some(tag_map(stage.tags())));
        Ok(Some(found.with_arn(arn(cx, &format!("apis/{api}/stages/{name}")))))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .apigateway
            .create_stage()
            .api_id(self.api.value())
            .stage_name(&self.name)
            .auto_deploy(self.auto_deploy)
            .default_route_settings(self.route_settings())
            .access_log_settings(self.access_log())
            .set_tags(Some(creation.tags.into_iter().collect()))
            .send();
        cx.mutate("apigateway", "CreateStage", call).await.map_err(about_logging)?;
        Ok(id_of(self.api.value(), &self.name))
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let (api, name) = parts(&live.id);
        let call = cx
            .clients()
            .apigateway
            .update_stage()
            .api_id(api)
            .stage_name(name)
            .auto_deploy(self.auto_deploy)
            .default_route_settings(self.route_settings())
            .access_log_settings(self.access_log())
            .send();
        cx.mutate("apigateway", "UpdateStage", call).await.map_err(about_logging)?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let (api, name) = parts(&live.id);
        let call = cx.clients().apigateway.delete_stage().api_id(api).stage_name(name).send();
        match cx.mutate("apigateway", "DeleteStage", call).await {
            Ok(_) => Ok(Deletion::Requested),
            Err(failure) => Err(still_mapped(cx, api, Some(name), failure).await?),
        }
    }
}

/// The ids of an API's stages.
async fn of_api(cx: &Context, api: &str) -> Result<Vec<String>, Failure> {
    let gateway = &cx.clients().apigateway;
    let stages = pages(|token| async move {
        let call = || gateway.get_stages().api_id(api).set_next_token(token.clone()).send();
        let answer = cx.read("apigateway", "GetStages", call).await?;
        Ok((answer.items, answer.next_token))
    })
    .await;
    Ok(or_none(stages)?.iter().filter_map(|stage| Some(id_of(api, stage.stage_name()?))).collect())
}

impl Stage {
    /// All settings of routes, because an update with some of them removes the others. Those for logging are left out: only
    /// `WebSocket` APIs accept them.
    fn route_settings(&self) -> RouteSettings {
        RouteSettings::builder()
            .throttling_rate_limit(f64::from(self.throttle_rate))
            .throttling_burst_limit(self.throttle_burst)
            .detailed_metrics_enabled(self.detailed_metrics)
            .build()
    }

    fn access_log(&self) -> AccessLogSettings {
        AccessLogSettings::builder()
            .destination_arn(self.access_log_group.value())
            .format(&self.access_log_format)
            .build()
    }
}

/// A rate as a whole number, which is what drctl sets. A fraction, which someone else has set, is rounded up.
fn whole(rate: f64) -> i32 {
    format!("{:.0}", rate.ceil()).parse().unwrap_or(i32::MAX)
}

/// Adds what to do about the refusal of logging, which does not pass by itself. With the caller's permissions, API Gateway allows
/// the delivery to write to the log group in a resource policy of `CloudWatch` Logs: that of the group, which may have at most
/// 51,200 bytes, or, if there is none yet, that of the account, which may have at most 5120 characters.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html>. See
/// docs/aws-behaviour.md#log-delivery-policy-is-limited.
fn about_logging(failure: Failure) -> Failure {
    if !failure.message.contains("Insufficient permissions to enable logging") {
        return failure;
    }
    failure.help(
        "Either the credentials lack logs:CreateLogDelivery, logs:GetLogDelivery, logs:UpdateLogDelivery, \
         logs:DeleteLogDelivery, logs:ListLogDeliveries, logs:PutResourcePolicy, logs:DescribeResourcePolicies or \
         logs:DescribeLogGroups, or the resource policy that allows the delivery is full: check it with `aws logs \
         describe-resource-policies --policy-scope RESOURCE --resource-arn LOG-GROUP-ARN`, and the account's \
         AWSLogDeliveryWrite20150319 with the same command without the two options.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Class;

    #[test]
    fn rates_read_as_whole_numbers() {
        assert_eq!(whole(100.0), 100);
        assert_eq!(whole(100.2), 101);
        assert_eq!(whole(0.0), 0);
        assert_eq!(whole(1e12), i32::MAX);
    }

    #[test]
    fn only_the_refusal_of_logging_is_explained() {
        let refused = |message: &str| about_logging(Failure::new(Class::Refused, message));
        assert!(refused("Insufficient permissions to enable logging").help.is_some_and(|help| help.contains("full")));
        assert_eq!(refused("Invalid stage").help, None);
    }
}
