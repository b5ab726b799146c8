//! Alarms on more than one metric: MiniStack keeps the alarm but not its metrics.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::{Call, Protocol};

/// The members that an alarm on a single metric has, and an alarm on several metrics does not have.
const SINGLE: [&str; 7] = ["MetricName", "Namespace", "Dimensions", "Statistic", "ExtendedStatistic", "Period", "Unit"];

/// The `Metrics` of each alarm that has them, by name.
#[derive(Default)]
pub(super) struct AlarmMetrics {
    metrics: Mutex<HashMap<Scope, HashMap<String, Value>>>,
}

impl Rule for AlarmMetrics {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            if call.service == "monitoring" && call.protocol == Protocol::Json && answer.is_success() {
                match call.operation.as_str() {
                    "PutMetricAlarm" => self.put(call),
                    "DeleteAlarms" => self.forget(call),
                    "DescribeAlarms" => self.described(call, &mut answer),
                    _ => {}
                }
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.metrics).clear();
    }
}

impl AlarmMetrics {
    fn put(&self, call: &Call) {
        let mut body = call.json();
        let Some(name) = body["AlarmName"].as_str().map(str::to_owned) else { return };
        let mut all = lock(&self.metrics);
        let alarms = all.entry(Scope::of(call)).or_default();
        match body["Metrics"].take() {
            Value::Array(metrics) if !metrics.is_empty() => alarms.insert(name, Value::Array(metrics)),
            _ => alarms.remove(&name),
        };
    }

    fn forget(&self, call: &Call) {
        let body = call.json();
        if let (Some(names), Some(alarms)) =
            (body["AlarmNames"].as_array(), lock(&self.metrics).get_mut(&Scope::of(call)))
        {
            for name in names.iter().filter_map(Value::as_str) {
                alarms.remove(name);
            }
        }
    }

    fn described(&self, call: &Call, answer: &mut Answer) {
        let all = lock(&self.metrics);
        let Some(alarms) = all.get(&Scope::of(call)).filter(|alarms| !alarms.is_empty()) else { return };
        answer.edit_json(|value| {
            let found = value.get_mut("MetricAlarms").and_then(Value::as_array_mut);
            for fields in found.into_iter().flatten().filter_map(Value::as_object_mut) {
                let name = fields.get("AlarmName").and_then(Value::as_str).unwrap_or_default();
                if let Some(metrics) = alarms.get(name) {
                    fields.retain(|field, _| !SINGLE.contains(&field.as_str()));
                    fields.insert("Metrics".to_owned(), metrics.clone());
                }
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json as call;

    #[tokio::test]
    async fn metrics_are_kept_until_the_alarm_is_replaced_or_deleted() {
        let rule = AlarmMetrics::default();
        let origin = Scripted::new(|call| {
            ok(if call.operation == "DescribeAlarms" {
                r#"{"MetricAlarms":[{"AlarmName":"a","MetricName":null,"Statistic":"Average","Threshold":1.0},{"AlarmName":"b"}]}"#
            } else {
                "{}"
            })
        });
        let ask = async |operation: &str, request: &str| {
            let mut call = call("monitoring", &format!("GraniteServiceVersion20100801.{operation}"), request);
            text(&rule.apply(&mut call, Next::new(&[], &origin)).await)
        };
        let several = r#"{"AlarmName":"a","Metrics":[{"Id":"m1"},{"Id":"e","Expression":"SUM(METRICS())"}]}"#;
        ask("PutMetricAlarm", several).await;
        let shown = ask("DescribeAlarms", "{}").await;
        assert!(shown.contains("SUM(METRICS())") && shown.contains(r#""Threshold":1.0"#), "{shown}");
        assert!(!shown.contains("Average") && !shown.contains("MetricName"), "{shown}");
        ask("PutMetricAlarm", r#"{"AlarmName":"a","MetricName":"Errors"}"#).await;
        assert!(ask("DescribeAlarms", "{}").await.contains("Average"));
        ask("PutMetricAlarm", several).await;
        ask("DeleteAlarms", r#"{"AlarmNames":["a"]}"#).await;
        assert!(!ask("DescribeAlarms", "{}").await.contains("Metrics\""));
        ask("PutMetricAlarm", several).await;
        rule.reset();
        assert!(!ask("DescribeAlarms", "{}").await.contains("Metrics\""));
    }
}
