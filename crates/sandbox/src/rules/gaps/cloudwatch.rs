//! `CloudWatch`'s protocol: the SDK speaks CBOR, which MiniStack reads only with a Python package beside it that its own does
//! not ask for. It always reads JSON, so that is what it gets.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Uri};
use serde_json::Value;

use super::cloudwatch_cbor as cbor;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::{Call, Protocol};

/// Turns calls from CBOR to JSON and answers back. Rules behind it see JSON.
pub(super) struct InJson;

impl Rule for InJson {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let is_ours = call.service == "monitoring" && call.protocol == Protocol::Cbor;
            // What cannot be read is the emulator's to refuse.
            let Some(body) = is_ours.then(|| cbor::decode(call.body())).flatten() else { return next.run(call).await };
            let mut answer = next.run(&mut in_json(call, &body)).await;
            in_cbor(&mut answer);
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn in_json(call: &Call, body: &Value) -> Call {
    let mut asked = call.ask_json(&call.operation, body);
    asked.protocol = Protocol::Json;
    asked.uri = Uri::from_static("/");
    asked.headers.remove("smithy-protocol");
    asked.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    if let Ok(target) = HeaderValue::from_str(&format!("GraniteServiceVersion20100801.{}", call.operation)) {
        asked.headers.insert("x-amz-target", target);
    }
    asked
}

fn in_cbor(answer: &mut Answer) {
    match serde_json::from_slice(answer.body()) {
        Ok(value) => {
            answer.set_body(cbor::encode(&value));
            answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cbor"));
            answer.headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        Err(error) => tracing::warn!(%error, "the emulator's JSON cannot be read and is passed on as it is"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::header::AUTHORIZATION;
    use serde_json::json;

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::json as call_in_json;

    fn call_in_cbor(body: &[u8]) -> Call {
        let credential = "111122223333/20261123/us-east-1/monitoring/aws4_request";
        let request = http::Request::post("/service/GraniteServiceVersion20100801/operation/DescribeAlarms")
            .header(
                AUTHORIZATION,
                format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00"),
            )
            .header(CONTENT_TYPE, "application/cbor")
            .header("smithy-protocol", "rpc-v2-cbor")
            .body(());
        let (parts, ()) = request.unwrap_or_default().into_parts();
        Call::parse(parts, Bytes::copy_from_slice(body))
    }

    #[tokio::test]
    async fn the_emulator_is_asked_in_json_and_the_client_answered_in_cbor() {
        let origin = Scripted::new(|call| {
            assert_eq!((call.protocol, call.uri.path()), (Protocol::Json, "/"));
            assert_eq!(call.headers["x-amz-target"], "GraniteServiceVersion20100801.DescribeAlarms");
            assert!(!call.headers.contains_key("smithy-protocol"));
            ok(r#"{"MetricAlarms":[{"Threshold":5.0,"Unit":null}]}"#)
        });
        let mut call = call_in_cbor(&cbor::encode(&json!({"AlarmNamePrefix": "pay-"})));
        let answer = InJson.apply(&mut call, Next::new(&[], &origin)).await;
        assert_eq!(origin.asked(), [r#"{"AlarmNamePrefix":"pay-"}"#]);
        assert_eq!(cbor::decode(answer.body()), Some(json!({"MetricAlarms": [{"Threshold": 5.0}]})));
        assert_eq!(answer.headers[CONTENT_TYPE], "application/cbor");
    }

    #[tokio::test]
    async fn what_is_no_cbor_is_passed_on() {
        let origin = Scripted::xml("<a/>");
        let answer = InJson.apply(&mut call_in_cbor(b"\xFF"), Next::new(&[], &origin)).await;
        assert_eq!(text(&answer), "<a/>");
        let mut other = call_in_json("logs", "Logs_20140328.DescribeLogGroups", "{}");
        assert_eq!(text(&InJson.apply(&mut other, Next::new(&[], &origin)).await), "<a/>");
    }
}
