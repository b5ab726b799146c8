//! `dashboard`: graphs of the stack, for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{marked, tags};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{DASHBOARD, Grant, later, on};
use crate::resources::{
    Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced, Tagging, TypeInfo,
    live, read_named,
};

/// A dashboard. Dashboards belong to the account, not to a Region: a name stands for the same dashboard in every Region.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    /// Its name, unique in the account. Immutable: forces replacement.
    pub name: String,
    /// Its content. A text widget contains the [`mark`](super::mark). In-place.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html>
    pub body: Value,
}

impl Resource for Dashboard {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a dashboard cannot be renamed")],
        // A second creation with the same name overwrites the dashboard.
        idempotent_create: true,
        ..TypeInfo::usual("dashboard")
    };
    const SERVICE: &'static str = "cloudwatch";
    const LATENCIES: &'static [Latencies] = &[
        // "SNS topic/sub; log group; alarm; dashboard".
        Latencies::of(
            1,
            Latency::of_call("PutDashboard", [1.0, 1.0, 3.0]),
            Latency::of_call("DeleteDashboards", [1.0, 1.0, 3.0]),
        ),
    ];
    // It is created with tags. AWS does not say whether that permission is checked on the dashboard, or at all:
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
    const PERMISSIONS: &'static [Grant] = &[
        on(DASHBOARD, "cloudwatch", "GetDashboard PutDashboard"),
        on(&["?arn:aws:cloudwatch::{account}:dashboard/{own}"], "cloudwatch", "TagResource"),
        later(DASHBOARD, "cloudwatch", "DeleteDashboards"),
    ];
    const TAGGING: Tagging = Tagging::CloudWatch;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Lists nothing: `ListDashboards` returns names without content. Each dashboard is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let cloudwatch = &cx.clients().cloudwatch;
        let dashboards = cx
            .pages("cloudwatch", "ListDashboards", || cloudwatch.list_dashboards().into_paginator().items().send())
            .await?;
        read_named::<Self>(cx, dashboards.into_iter().filter_map(|dashboard| dashboard.dashboard_name).collect()).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let cloudwatch = &cx.clients().cloudwatch;
        let answer =
            cx.read("cloudwatch", "GetDashboard", || cloudwatch.get_dashboard().dashboard_name(id).send()).await;
        let answer = match answer {
            Err(failure) if failure.class == Class::NotFound => return Ok(None),
            answer => answer?,
        };
        let found = from_described(cx, id, answer.dashboard_body());
        Ok(Some(found.with_arn(answer.dashboard_arn().unwrap_or_default())))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        // The call would silently overwrite a dashboard of someone else.
        if Self::read(cx, &self.name).await?.is_some() {
            return Err(Failure::new(Class::Exists, format!("a dashboard called {} already exists", self.name)));
        }
        let call = cx
            .clients()
            .cloudwatch
            .put_dashboard()
            .dashboard_name(&self.name)
            .dashboard_body(self.body.to_string())
            .set_tags(Some(tags(&creation.tags)))
            .send();
        cx.mutate("cloudwatch", "PutDashboard", call).await?;
        Ok(self.name.clone())
    }

    async fn sync(&self, cx: &Context, live: &Live, _: &[Change]) -> Result<Synced, Failure> {
        let call = cx
            .clients()
            .cloudwatch
            .put_dashboard()
            .dashboard_name(&live.id)
            .dashboard_body(self.body.to_string())
            .send();
        cx.mutate("cloudwatch", "PutDashboard", call).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().cloudwatch.delete_dashboards().dashboard_names(&live.id).send();
        cx.mutate("cloudwatch", "DeleteDashboards", call).await.map(|_| Deletion::Requested)
    }
}

fn from_described(cx: &Context, id: &str, body: Option<&str>) -> Live {
    let mut reading = Reading::default();
    let properties = Dashboard { name: id.to_owned(), body: reading.value("body", body.map(parse)) };
    let owner = cx.scope.owner(&marked(&texts(&properties.body)));
    let found = live(&cx.scope, id, Phase::Ready, &reading.of(properties), None);
    Live { owner, ..found }
}

/// The body that `GetDashboard` returns, which is the text that was put. A body that is not JSON is kept as text, and so differs.
fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| body.into())
}

/// The texts of a dashboard's text widgets.
pub(super) fn texts(body: &Value) -> String {
    let widgets = body.get("widgets").and_then(Value::as_array);
    let texts: Vec<&str> = widgets
        .into_iter()
        .flatten()
        .filter_map(|widget| widget.pointer("/properties/markdown").and_then(Value::as_str))
        .collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::recorded;
    use crate::{NODE, STACK};

    #[test]
    fn the_mark_is_found_in_any_text_widget_and_nowhere_else() {
        let body = json!({"widgets": [
            {"type": "metric", "properties": {"title": "drctl:stack=other", "metrics": [["AWS/Lambda", "Errors"]]}},
            {"type": "text", "properties": {"markdown": "# pay-prod"}},
            {"type": "text", "properties": {"markdown": "Do not edit.\n\ndrctl:stack=pay drctl:node=primary/dashboard/main"}},
        ]});
        let tags = marked(&texts(&parse(&body.to_string())));
        assert_eq!((tags[STACK].as_str(), tags[NODE].as_str()), ("pay", "primary/dashboard/main"));
        assert!(marked(&texts(&json!({"widgets": {}}))).is_empty());
    }

    #[tokio::test]
    async fn a_body_that_is_left_out_is_not_compared() {
        let cx = recorded::context(recorded::Answers::default()).await;
        let desired = Dashboard { name: "pay-prod".to_owned(), body: json!({"widgets": []}) };
        assert_eq!(recorded::compared(&desired, &from_described(&cx, "pay-prod", None)), recorded::NOTHING);
        let emptied = from_described(&cx, "pay-prod", Some("{}"));
        assert_eq!(recorded::compared(&desired, &emptied), [("body".to_owned(), false)]);
    }

    #[test]
    fn a_body_that_is_not_json_is_not_an_empty_dashboard() {
        assert_eq!(parse("{"), json!("{"));
        assert_eq!(texts(&parse("{")), "");
    }
}
