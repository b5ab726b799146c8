//! `alarm`: tells people when a figure is out of bounds, and when it is back.

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
    Arn, Change, Class, Context, Creation, Failure, Live, Phase, Readable, Ref, Removal, Resource, Synced, Tagging,
    Traits, live,
};

/// How many alarms one page of `DescribeAlarms` holds at most; 50 if nothing is said.
const PAGE: i32 = 100;

/// The statistics that are written apart from percentiles and their kin.
const PLAIN: [&str; 5] = ["Average", "Maximum", "Minimum", "SampleCount", "Sum"];

/// A metric alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name; with the stack's in front, one search finds them all. Immutable: forces replacement.
    pub name: String,
    /// What it means, as its mails say; ends in the [`mark`](super::mark). In-place.
    pub description: String,
    /// What it watches: one metric, or several and an expression over them. Exactly one returns. In-place.
    pub queries: Vec<Query>,
    /// The bound, in the metric's own unit. In-place.
    pub threshold: f64,
    /// How a figure stands to the bound when it is bad, e.g. `GreaterThanOrEqualToThreshold`. In-place.
    pub comparison: String,
    /// How many of the last periods are looked at. In-place.
    pub evaluation_periods: i32,
    /// How many of them have to be bad. In-place.
    pub datapoints: i32,
    /// What a period without data is taken for: `breaching`, `notBreaching`, `ignore`, `missing`. In-place.
    pub missing_data: String,
    /// What is notified, both that it went off and that it is over; topics of its own Region only
    /// (docs/aws-behaviour.md#alarms-reach-their-own-region). One that is notified of one of the two only, or is switched off,
    /// reads with a word that says so. In-place.
    pub actions: Vec<Ref<Arn<Topic>>>,
}

/// A figure over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// What expressions call it: a lower-case letter, then letters, digits and underscores. In-place.
    pub id: String,
    /// What it is calculated by, e.g. `SUM(METRICS())`; empty for a metric. In-place.
    pub expression: String,
    /// The metric's namespace, e.g. `AWS/Lambda`; empty for an expression. In-place.
    pub namespace: String,
    /// The metric's name; empty for an expression. In-place.
    pub metric: String,
    /// Which of the metrics of this name: all of their dimensions, each a text or a reference. In-place.
    pub dimensions: BTreeMap<String, Value>,
    /// What is made of a period's samples: `Sum`, `Maximum`, `p99` and the like; empty for an expression. In-place.
    pub statistic: String,
    /// The length of a period, in seconds; 0 for an expression. In-place.
    pub period: i32,
    /// What graphs call it; empty for its own name. In-place.
    pub label: String,
    /// Whether this is the figure that is held against the bound. In-place.
    pub returns: bool,
}

impl Resource for Alarm {
    const TRAITS: Traits = Traits {
        immutable: &[("name", "an alarm cannot be renamed")],
        // The same name a second time is the same alarm.
        idempotent_create: true,
        ..Traits::usual("alarm")
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
        // The call would take an alarm of somebody else's over without a word.
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        // See docs/aws-behaviour.md#alarms-tell-no-tags.
        if Self::read(cx, &self.name).await?.is_some() {
            return Err(Failure::new(Class::Exists, format!("an alarm called {} is there already", self.name)));
        }
        let call = self.put(cx).set_tags(Some(tags(&creation.tags))).send();
        cx.mutate("cloudwatch", "PutMetricAlarm", call).await?;
        Ok(self.name.clone())
    }

    /// All at once: what the call does not name is forgotten.
    async fn sync(&self, cx: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        cx.mutate("cloudwatch", "PutMetricAlarm", self.put(cx).send()).await?;
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Removal, Failure> {
        let call = cx.clients().cloudwatch.delete_alarms().alarm_names(&live.id).send();
        cx.mutate("cloudwatch", "DeleteAlarms", call).await.map(|_| Removal::Ordered)
    }
}

impl Alarm {
    /// The whole alarm, without tags. A single metric is written as such: `CloudWatch` reads it back as it was written, and
    /// some emulators know no other form.
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
            // References are texts by now: the engine hands over nothing unresolved.
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
            // An expression goes by the periods of its metrics, whatever it says itself.
            period: stat.and_then(MetricStat::period).unwrap_or_default(),
            label: text(query.label()),
            returns: query.return_data().unwrap_or(true),
        }
    }

    /// The metric of an alarm that was written with a single one.
    fn from_alarm(alarm: &Described) -> Self {
        // Some emulators add a plain statistic to a percentile.
        let extended = alarm.extended_statistic().filter(|statistic| !statistic.is_empty());
        Self {
            id: "m1".to_owned(),
            expression: String::new(),
            namespace: text(alarm.namespace()),
            metric: text(alarm.metric_name()),
            dimensions: read_dimensions(alarm.dimensions()),
            statistic: text(extended.or(alarm.statistic().map(Statistic::as_str))),
            period: alarm.period().unwrap_or_default(),
            label: String::new(),
            returns: true,
        }
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
        [] => vec![Query::from_alarm(alarm)],
        several => several.iter().map(Query::from_data_query).collect(),
    };
    let evaluation_periods = alarm.evaluation_periods().unwrap_or_default();
    let properties = Alarm {
        name: text(alarm.alarm_name()),
        description: text(alarm.alarm_description()),
        queries,
        threshold: alarm.threshold().unwrap_or_default(),
        comparison: text(alarm.comparison_operator().map(ComparisonOperator::as_str)),
        evaluation_periods,
        // Where it was never said, all of them have to be bad.
        datapoints: alarm.datapoints_to_alarm().unwrap_or(evaluation_periods),
        missing_data: alarm.treat_missing_data().unwrap_or("missing").to_owned(),
        actions: read_actions(alarm),
    };
    let owner = cx.scope.owner(&marked(&properties.description));
    let live = live(&cx.scope, &properties.name, Phase::Ready, &Readable::complete(properties.clone()), None);
    Live { owner, ..live }.with_arn(alarm.alarm_arn().unwrap_or_default())
}

/// Whoever is told of both, plainly; anything else so that it differs, and the difference can be read.
fn read_actions(alarm: &Described) -> Vec<Ref<Arn<Topic>>> {
    let (on_alarm, on_ok) = (alarm.alarm_actions(), alarm.ok_actions());
    let off = if alarm.actions_enabled().unwrap_or(true) { "" } else { " (switched off)" };
    let told = |who: &String, also: &[String], else_only: &str| {
        let only = if also.contains(who) { "" } else { else_only };
        Ref::known(format!("{who}{only}{off}"))
    };
    let alarmed = on_alarm.iter().map(|who| told(who, on_ok, " (alarm only)"));
    let relieved = on_ok.iter().filter(|who| !on_alarm.contains(who)).map(|who| told(who, on_alarm, " (OK only)"));
    alarmed.chain(relieved).collect()
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

    /// From cloud-custodian's recordings of cloudwatch.DescribeAlarms (`test_is_composite_child_filter`): neither how missing
    /// data counts nor how many data points have to be bad, and one metric beside the alarm's own fields.
    #[tokio::test]
    async fn an_alarm_as_recorded_reads_as_it_was_made() {
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
        let own = Query { id: Query::from_alarm(&described().build()).id, ..metric("m", true) };
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
        let told = described().datapoints_to_alarm(5).treat_missing_data("missing").set_metrics(Some(Vec::new()));
        assert_eq!(recorded::compared(&desired, &from_described(&cx, &told.build())), recorded::NOTHING);
        let least = from_described(&cx, &Described::builder().alarm_name("pay-prod-nat").build());
        let differs = recorded::compared(&desired, &least);
        assert!(differs.iter().all(|(_, anew)| !anew), "{differs:?}");
    }

    #[test]
    fn a_percentile_goes_before_the_statistic_that_emulators_add() {
        let alarm = Described::builder().statistic(Statistic::Average).extended_statistic("p99").build();
        assert_eq!(Query::from_alarm(&alarm).statistic, "p99");
        let alarm = Described::builder().statistic(Statistic::Sum).extended_statistic("").build();
        assert_eq!(Query::from_alarm(&alarm).statistic, "Sum");
    }

    #[test]
    fn only_who_is_told_of_both_reads_plainly() {
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
