//! The protocol of `CloudWatch`: the SDK sends CBOR, which MiniStack reads only if the Python package cbor2 is
//! installed, and MiniStack does not require it. MiniStack always reads JSON, so it is sent JSON.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Uri};
use serde_json::Value;

use super::cloudwatch_cbor as cbor;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::{Call, Protocol};

/// Converts calls from CBOR to JSON, and answers from JSON to CBOR. The rules after it see JSON.
pub(super) struct CborToJson;

impl Rule for CborToJson {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let is_cbor = call.service == "monitoring" && call.protocol == Protocol::Cbor;
            // The emulator refuses what cannot be read.
            let Some(body) = is_cbor.then(|| cbor::decode(call.body())).flatten() else { return next.run(call).await };
            let mut answer = next.run(&mut json_call(call, &body)).await;
            convert_to_cbor(&mut answer);
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn json_call(call: &Call, body: &Value) -> Call {
    let mut json = call.ask_json(&call.operation, body);
    json.protocol = Protocol::Json;
    json.uri = Uri::from_static("/");
    json.headers.remove("smithy-protocol");
    json.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    if let Ok(target) = HeaderValue::from_str(&format!("GraniteServiceVersion20100801.{}", call.operation)) {
        json.headers.insert("x-amz-target", target);
    }
    json
}

fn convert_to_cbor(answer: &mut Answer) {
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
    use crate::wire::call::tests::json as json_call;

    fn cbor_call(body: &[u8]) -> Call {
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
    async fn the_emulator_gets_json_and_the_client_gets_cbor() {
        let origin = Scripted::new(|call| {
            assert_eq!((call.protocol, call.uri.path()), (Protocol::Json, "/"));
            assert_eq!(call.headers["x-amz-target"], "GraniteServiceVersion20100801.DescribeAlarms");
            assert!(!call.headers.contains_key("smithy-protocol"));
            ok(r#"{"MetricAlarms":[{"Threshold":5.0,"Unit":null}]}"#)
        });
        let mut call = cbor_call(&cbor::encode(&json!({"AlarmNamePrefix": "pay-"})));
        let answer = CborToJson.apply(&mut call, Next::new(&[], &origin)).await;
        assert_eq!(origin.asked(), [r#"{"AlarmNamePrefix":"pay-"}"#]);
        assert_eq!(cbor::decode(answer.body()), Some(json!({"MetricAlarms": [{"Threshold": 5.0}]})));
        assert_eq!(answer.headers[CONTENT_TYPE], "application/cbor");
    }

    #[tokio::test]
    async fn anything_but_cbor_is_passed_on() {
        let origin = Scripted::xml("<a/>");
        let answer = CborToJson.apply(&mut cbor_call(b"\xFF"), Next::new(&[], &origin)).await;
        assert_eq!(text(&answer), "<a/>");
        let mut other = json_call("logs", "Logs_20140328.DescribeLogGroups", "{}");
        assert_eq!(text(&CborToJson.apply(&mut other, Next::new(&[], &origin)).await), "<a/>");
    }
}
