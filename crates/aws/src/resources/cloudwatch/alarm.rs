//! `alarm`: notifies people when a metric crosses its threshold, and when it is back.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder;
use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Dimension, Metric, MetricAlarm as Described, MetricDataQuery, MetricStat, Statistic,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{marked, tags};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{ALARM, Grant, later, on};
use crate::resources::sns::Topic;
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};

/// The most alarms that a page of `DescribeAlarms` can have. The default is 50.
const PAGE: i32 = 100;

/// The statistics that have a parameter of their own; percentiles and the like have another.
const PLAIN: [&str; 5] = ["Average", "Maximum", "Minimum", "SampleCount", "Sum"];

/// A metric alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name, which begins with the stack's, so that one search finds all of the stack's alarms. Immutable: forces replacement.
    pub name: String,
    /// What it means, for its mails. Ends with the [`mark`](super::mark). In-place.
    pub description: String,
    /// What it watches: one metric, or several metrics and an expression over them. Exactly one of them returns data. In-place.
    pub queries: Vec<Query>,
    /// The threshold, in the unit of the metric. In-place.
    pub threshold: f64,
    /// How a breaching value compares to the threshold, e.g. `GreaterThanOrEqualToThreshold`. In-place.
    pub comparison: String,
    /// How many of the latest periods are evaluated. In-place.
    pub evaluation_periods: i32,
    /// How many of them have to breach the threshold. In-place.
    pub datapoints: i32,
    /// How a period without data is treated: `breaching`, `notBreaching`, `ignore`, `missing`. In-place.
    pub missing_data: String,
    /// The topics that are notified both of the alarm and of its end. They have to be in the alarm's Region
    /// (docs/aws-behaviour.md#alarms-reach-their-own-region). If a topic is notified of only one of the two, or actions are
    /// disabled, the live value has a note that says so. In-place.
    pub actions: Vec<Ref<Arn<Topic>>>,
}

/// A metric or an expression over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Its id in expressions: a lower-case letter, then letters, digits and underscores. In-place.
    pub id: String,
    /// The expression, e.g. `SUM(METRICS())`; empty for a metric. In-place.
    pub expression: String,
    /// The metric's namespace, e.g. `AWS/Lambda`; empty for an expression. In-place.
    pub namespace: String,
    /// The metric's name; empty for an expression. In-place.
    pub metric: String,
    /// All dimensions of the metric, each a text or a reference. In-place.
    pub dimensions: BTreeMap<String, Value>,
    /// The statistic over a period: `Sum`, `Maximum`, `p99` and the like; empty for an expression. In-place.
    pub statistic: String,
    /// The length of a period, in seconds; 0 for an expression. In-place.
    pub period: i32,
    /// Its label in graphs; empty for its own name. In-place.
    pub label: String,
    /// Whether it returns the data that is compared to the threshold. In-place.
    pub returns: bool,
}

impl Resource for Alarm {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "an alarm cannot be renamed")],
        // A second creation with the same name overwrites the alarm.
        idempotent_create: true,
        ..TypeInfo::usual("alarm")
    };
    const SERVICE: &'static str = "cloudwatch";
    const LATENCIES: &'static [Latencies] = &[
        // "SNS topic/sub; log group; alarm; dashboard".
        Latencies::of(
            1,
            Latency::of_call("PutMetricAlarm", [1.0, 1.0, 3.0]),
            Latency::of_call("DeleteAlarms", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(ALARM, "cloudwatch", "ListTagsForResource PutMetricAlarm TagResource"),
        on(&["arn:aws:cloudwatch:{region}:{account}:alarm:*"], "cloudwatch", "DescribeAlarms"),
        later(ALARM, "cloudwatch", "DeleteAlarms"),
    ];
    const TAGGING: Tagging = Tagging::CloudWatch;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let cloudwatch = &cx.clients().cloudwatch;
        let prefix = format!("{}-", cx.scope.name());
        let pages = cx
            .pages("cloudwatch", "DescribeAlarms", || {
                let call = cloudwatch.describe_alarms().alarm_name_prefix(&prefix);
                call.into_paginator().page_size(PAGE).send()
            })
            .await?;
        Ok(pages.iter().flat_map(DescribeAlarmsOutput::metric_alarms).map(|alarm| from_described(cx, alarm)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let cloudwatch = &cx.clients().cloudwatch;
        let answer =
            cx.read("cloudwatch", "DescribeAlarms", || cloudwatch.describe_alarms().alarm_names(id).send()).await?;
        let found = answer.metric_alarms().iter().find(|alarm| alarm.alarm_name() == Some(id));
        Ok(found.map(|alarm| from_described(cx, alarm)))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        // The call would silently overwrite an alarm of someone else.
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        // See docs/aws-behaviour.md#alarms-tell-no-tags.
        if Self::read(cx, &self.name).await?.is_some() {
            return Err(Failure::new(Class::Exists, format!("an alarm called {} already exists", self.name)));
        }
        let call = self.put(cx).set_tags(Some(tags(&creation.tags))).send();
        cx.mutate("cloudwatch", "PutMetricAlarm", call).await?;
        Ok(self.name.clone())
    }

    /// Sets everything with one call, which resets what it does not name.
    async fn sync(&self, cx: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        cx.mutate("cloudwatch", "PutMetricAlarm", self.put(cx).send()).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().cloudwatch.delete_alarms().alarm_names(&live.id).send();
        cx.mutate("cloudwatch", "DeleteAlarms", call).await.map(|_| Deletion::Requested)
    }
}

impl Alarm {
    /// The call that sets the whole alarm, without tags. A single metric is written in the form for one: `CloudWatch` returns the
    /// form that was written, and some emulators do not know the other.
    fn put(&self, cx: &Context) -> PutMetricAlarmFluentBuilder {
        let actions: Vec<String> = self.actions.iter().map(|topic| topic.value().to_owned()).collect();
        let call = cx
            .clients()
            .cloudwatch
            .put_metric_alarm()
            .alarm_name(&self.name)
            .alarm_description(&self.description)
            .threshold(self.threshold)
            .comparison_operator(ComparisonOperator::from(self.comparison.as_str()))
            .evaluation_periods(self.evaluation_periods)
            .datapoints_to_alarm(self.datapoints)
            .treat_missing_data(&self.missing_data)
            .actions_enabled(true)
            .set_alarm_actions(Some(actions.clone()))
            .set_ok_actions(Some(actions));
        match self.queries.as_slice() {
            [one] if one.expression.is_empty() => {
                let call = call
                    .namespace(&one.namespace)
                    .metric_name(&one.metric)
                    .set_dimensions(Some(one.dimensions()))
                    .period(one.period);
                if PLAIN.contains(&one.statistic.as_str()) {
                    call.statistic(Statistic::from(one.statistic.as_str()))
                } else {
                    call.extended_statistic(&one.statistic)
                }
            }
            several => call.set_metrics(Some(several.iter().map(Query::to_data_query).collect())),
        }
    }
}

impl Query {
    fn dimensions(&self) -> Vec<Dimension> {
        self.dimensions
            .iter()
            // References are texts here, because the engine resolves all of them before a call.
            .map(|(name, value)| Dimension::builder().name(name).value(value.as_str().unwrap_or_default()).build())
            .collect()
    }

    fn to_data_query(&self) -> MetricDataQuery {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let query = MetricDataQuery::builder().id(&self.id).set_label(given(&self.label)).return_data(self.returns);
        if !self.expression.is_empty() {
            return query.expression(&self.expression).build();
        }
        let metric = Metric::builder()
            .namespace(&self.namespace)
            .metric_name(&self.metric)
            .set_dimensions(Some(self.dimensions()))
            .build();
        query
            .metric_stat(MetricStat::builder().metric(metric).period(self.period).stat(&self.statistic).build())
            .build()
    }

    /// `CloudWatch` leaves out what an expression or a metric does not have.
    fn from_data_query(query: &MetricDataQuery) -> Self {
        let stat = query.metric_stat();
        let metric = stat.and_then(MetricStat::metric);
        Self {
            id: text(query.id()),
            expression: text(query.expression()),
            namespace: text(metric.and_then(Metric::namespace)),
            metric: text(metric.and_then(Metric::metric_name)),
            dimensions: metric.map(|metric| read_dimensions(metric.dimensions())).unwrap_or_default(),
            statistic: text(stat.and_then(MetricStat::stat)),
            // An expression uses the periods of its metrics, even if it has one itself.
            period: stat.and_then(MetricStat::period).unwrap_or_default(),
            label: text(query.label()),
            returns: query.return_data().unwrap_or(true),
        }
    }

    /// The metric of an alarm that was written in the form for one. `None` if `CloudWatch` left out a part that every such alarm
    /// has.
    fn from_alarm(alarm: &Described) -> Option<Self> {
        // Some emulators add a plain statistic to a percentile.
        let extended = alarm.extended_statistic().filter(|statistic| !statistic.is_empty());
        Some(Self {
            id: "m1".to_owned(),
            expression: String::new(),
            namespace: alarm.namespace()?.to_owned(),
            metric: alarm.metric_name()?.to_owned(),
            dimensions: read_dimensions(alarm.dimensions()),
            statistic: extended.or(alarm.statistic().map(Statistic::as_str))?.to_owned(),
            period: alarm.period()?,
            label: String::new(),
            returns: true,
        })
    }
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn read_dimensions(dimensions: &[Dimension]) -> BTreeMap<String, Value> {
    dimensions.iter().map(|dimension| (text(dimension.name()), text(dimension.value()).into())).collect()
}

fn from_described(cx: &Context, alarm: &Described) -> Live {
    let queries = match alarm.metrics() {
        [] => Query::from_alarm(alarm).map(|query| vec![query]),
        several => Some(several.iter().map(Query::from_data_query).collect()),
    };
    let mut reading = Reading::default();
    let properties = Alarm {
        name: reading.text("name", alarm.alarm_name()),
        // Left out if it is empty.
        description: text(alarm.alarm_description()),
        queries: reading.value("queries", queries),
        threshold: reading.value("threshold", alarm.threshold()),
        comparison: reading.text("comparison", alarm.comparison_operator().map(ComparisonOperator::as_str)),
        evaluation_periods: reading.value("evaluation_periods", alarm.evaluation_periods()),
        // Left out if it was never set: all periods have to breach the threshold then.
        datapoints: reading.value("datapoints", alarm.datapoints_to_alarm().or(alarm.evaluation_periods())),
        // Left out if it was never set: this is the default.
        missing_data: alarm.treat_missing_data().unwrap_or("missing").to_owned(),
        actions: read_actions(alarm),
    };
    let owner = cx.scope.owner(&marked(&properties.description));
    let live = live(&cx.scope, alarm.alarm_name().unwrap_or_default(), Phase::Ready, &reading.of(properties), None);
    Live { owner, ..live }.with_arn(alarm.alarm_arn().unwrap_or_default())
}

/// The topics that are notified, each as its ARN if it is notified of both the alarm and its end. Otherwise a note is added, so
/// that the topic differs, and the plan shows why. `CloudWatch` leaves out empty lists.
fn read_actions(alarm: &Described) -> Vec<Ref<Arn<Topic>>> {
    let (on_alarm, on_ok) = (alarm.alarm_actions(), alarm.ok_actions());
    let off = if alarm.actions_enabled().unwrap_or(true) { "" } else { " (switched off)" };
    let noted = |topic: &String, others: &[String], note: &str| {
        let note = if others.contains(topic) { "" } else { note };
        Ref::known(format!("{topic}{note}{off}"))
    };
    let alarmed = on_alarm.iter().map(|topic| noted(topic, on_ok, " (alarm only)"));
    let ok_only =
        on_ok.iter().filter(|topic| !on_alarm.contains(topic)).map(|topic| noted(topic, on_alarm, " (OK only)"));
    alarmed.chain(ok_only).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::recorded;

    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:pay-prod-alerts";

    fn metric(id: &str, returns: bool) -> Query {
        Query {
            id: id.to_owned(),
            expression: String::new(),
            namespace: "AWS/NATGateway".to_owned(),
            metric: "ErrorPortAllocation".to_owned(),
            dimensions: BTreeMap::from([("NatGatewayId".to_owned(), "nat-1".into())]),
            statistic: "Sum".to_owned(),
            period: 60,
            label: String::new(),
            returns,
        }
    }

    #[test]
    fn metrics_and_expressions_read_back_as_they_were_written() {
        let total = Query {
            id: "total".to_owned(),
            expression: "SUM(METRICS())".to_owned(),
            namespace: String::new(),
            metric: String::new(),
            dimensions: BTreeMap::new(),
            statistic: String::new(),
            period: 0,
            label: "All".to_owned(),
            returns: true,
        };
        for query in [metric("m1", false), metric("m2", true), total] {
            assert_eq!(Query::from_data_query(&query.to_data_query()), query);
        }
    }

    /// From cloud-custodian's recordings of cloudwatch.DescribeAlarms (`test_is_composite_child_filter`), which have neither the
    /// treatment of missing data nor the number of data points, and the metric in the form for one.
    #[tokio::test]
    async fn an_alarm_as_recorded_reads_as_it_was_created_and_what_is_left_out_is_not_compared() {
        let cx = recorded::context(recorded::Answers::default()).await;
        let described = || {
            Described::builder()
                .alarm_name("pay-prod-nat")
                .alarm_arn("arn:aws:cloudwatch:us-east-1:123456789012:alarm:pay-prod-nat")
                .actions_enabled(true)
                .set_ok_actions(Some(vec![TOPIC.to_owned()]))
                .set_alarm_actions(Some(vec![TOPIC.to_owned()]))
                .set_insufficient_data_actions(Some(Vec::new()))
                .metric_name("ErrorPortAllocation")
                .namespace("AWS/NATGateway")
                .statistic(Statistic::Sum)
                .dimensions(Dimension::builder().name("NatGatewayId").value("nat-1").build())
                .period(60)
                .evaluation_periods(5)
                .threshold(10.0)
                .comparison_operator(ComparisonOperator::GreaterThanThreshold)
        };
        let own = Query::from_alarm(&described().build()).expect("complete");
        assert_eq!(own, metric("m1", true));
        let desired = Alarm {
            name: "pay-prod-nat".to_owned(),
            description: String::new(),
            queries: vec![own],
            threshold: 10.0,
            comparison: "GreaterThanThreshold".to_owned(),
            evaluation_periods: 5,
            datapoints: 5,
            missing_data: "missing".to_owned(),
            actions: vec![Ref::known(TOPIC)],
        };
        assert_eq!(recorded::compared(&desired, &from_described(&cx, &described().build())), recorded::NOTHING);
        let explicit = described().datapoints_to_alarm(5).treat_missing_data("missing").set_metrics(Some(Vec::new()));
        assert_eq!(recorded::compared(&desired, &from_described(&cx, &explicit.build())), recorded::NOTHING);
        let least = Described::builder().alarm_name("pay-prod-nat").alarm_actions(TOPIC).ok_actions(TOPIC).build();
        assert_eq!(recorded::compared(&desired, &from_described(&cx, &least)), recorded::NOTHING);
    }

    #[test]
    fn a_percentile_takes_precedence_over_the_statistic_that_emulators_add() {
        let read = |statistic: Statistic, extended: &str| {
            let alarm = Described::builder().namespace("AWS/Lambda").metric_name("Duration").period(60);
            Query::from_alarm(&alarm.statistic(statistic).extended_statistic(extended).build())
        };
        assert_eq!(read(Statistic::Average, "p99").expect("complete").statistic, "p99");
        assert_eq!(read(Statistic::Sum, "").expect("complete").statistic, "Sum");
    }

    #[test]
    fn a_topic_that_is_notified_of_only_one_of_the_two_has_a_note() {
        let read =
            |alarm: Described| read_actions(&alarm).iter().map(|action| action.value().to_owned()).collect::<Vec<_>>();
        let both = || Described::builder().alarm_actions(TOPIC).ok_actions(TOPIC);
        assert_eq!(read(both().build()), [TOPIC]);
        assert_eq!(read(both().actions_enabled(false).build()), [format!("{TOPIC} (switched off)")]);
        assert_eq!(read(both().ok_actions("other").build()), [TOPIC.to_owned(), "other (OK only)".to_owned()]);
        assert_eq!(read(Described::builder().alarm_actions(TOPIC).build()), [format!("{TOPIC} (alarm only)")]);
        assert!(read(Described::builder().build()).is_empty());
    }
}
