//! The metrics that AWS's services publish: the world's values, put into the emulator's CloudWatch, which then answers
//! every question about them and watches its alarms.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use crate::rules::rule::Origin;
use crate::wire::call::Call;
use crate::world::metrics::{Metrics, Sample};

/// How often values are put into CloudWatch. AWS's services do it every minute; here, nobody wants to wait that long.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many metrics fit into one call.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>
const AT_ONCE: usize = 1000;

/// What a call puts: into whose CloudWatch, in which Region, under which namespace.
type Place = (String, String, &'static str);

/// Puts the world's values into CloudWatch for as long as the sandbox serves.
pub(crate) async fn publish(metrics: &Metrics, emulator: &dyn Origin) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        for ((account, region, namespace), data) in by_place(metrics.collect()) {
            for data in data.chunks(AT_ONCE) {
                put(emulator, &account, &region, &json!({"Namespace": namespace, "MetricData": data})).await;
            }
        }
    }
}

/// A metric's name, dimensions, and unit.
type Metric = (&'static str, Vec<(&'static str, String)>, &'static str);

/// The data of each place: the values of the same metric in one.
fn by_place(samples: Vec<Sample>) -> BTreeMap<Place, Vec<Value>> {
    let mut places: BTreeMap<Place, BTreeMap<Metric, Vec<f64>>> = BTreeMap::new();
    for Sample { account, region, namespace, name, dimensions, unit, value } in samples {
        let metrics = places.entry((account, region, namespace)).or_default();
        metrics.entry((name, dimensions, unit)).or_default().push(value);
    }
    let data = |metrics: BTreeMap<Metric, Vec<f64>>| metrics.into_iter().map(datum).collect();
    places.into_iter().map(|(place, metrics)| (place, data(metrics))).collect()
}

fn datum(((name, dimensions, unit), values): (Metric, Vec<f64>)) -> Value {
    let dimensions: Vec<Value> = dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
    json!({"MetricName": name, "Dimensions": dimensions, "Unit": unit, "Values": values})
}

async fn put(emulator: &dyn Origin, account: &str, region: &str, body: &Value) {
    let body = Bytes::from(body.to_string());
    let call = Call::signed_by(account, region, "monitoring", (Method::POST, "/"), "application/x-amz-json-1.0", body);
    let Some(mut call) = call else {
        tracing::warn!(account, region, "a metric's Region makes no request: it is dropped");
        return;
    };
    "PutMetricData".clone_into(&mut call.operation);
    call.headers.insert("x-amz-target", HeaderValue::from_static("GraniteServiceVersion20100801.PutMetricData"));
    let answer = emulator.answer(&call).await;
    if !answer.is_success() {
        let why = String::from_utf8_lossy(answer.body()).into_owned();
        tracing::warn!(account, region, why, "the emulator does not take a metric: it is dropped");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok};

    fn sample(region: &str, table: &str, value: f64) -> Sample {
        Sample {
            account: "111122223333".to_owned(),
            region: region.to_owned(),
            namespace: "AWS/DynamoDB",
            name: "ReplicationLatency",
            dimensions: vec![("TableName", table.to_owned())],
            unit: "Milliseconds",
            value,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn values_are_put_into_the_cloudwatch_of_their_account_and_region() {
        let metrics = Metrics::default();
        for sample in [sample("us-east-1", "t", 800.0), sample("us-east-1", "t", 900.0), sample("us-east-2", "t", 1.0)]
        {
            metrics.note(sample);
        }
        let emulator = Arc::new(Scripted::new(|call| {
            assert_eq!((call.service.as_str(), call.account.as_str()), ("monitoring", "111122223333"));
            assert_eq!(call.headers["x-amz-target"], "GraniteServiceVersion20100801.PutMetricData");
            ok("{}")
        }));
        let publishing = publish(&metrics, emulator.as_ref());
        assert!(tokio::time::timeout(Duration::from_secs(5), publishing).await.is_err(), "it goes on");
        let asked = emulator.asked();
        assert_eq!(asked.len(), 2, "nothing is put where nothing is measured: {asked:?}");
        let first: Value = serde_json::from_str(&asked[0]).expect("JSON");
        assert_eq!(first["Namespace"], "AWS/DynamoDB");
        assert_eq!(first["MetricData"][0]["Values"], json!([800.0, 900.0]));
        assert_eq!(first["MetricData"][0]["Dimensions"], json!([{"Name": "TableName", "Value": "t"}]));
    }
}
