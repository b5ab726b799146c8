//! Answers, and refusals in the format of each protocol.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use uuid::Uuid;

use super::call::{Call, Protocol};
use super::xml::Element;

/// How the answer reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is sent.
    Sent,
    /// The connection is reset instead.
    Reset,
    /// It is never sent: the client waits until it gives up, or until [`Answer::over`].
    Never,
}

/// An answer to a client.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) delivery: Delivery,
    body: Bytes,
    /// If it is never sent: until when its client is left to wait.
    over: Option<Shared<BoxFuture<'static, ()>>>,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, delivery: Delivery::Sent, body, over: None }
    }

    /// No answer at all.
    pub(crate) fn undelivered(delivery: Delivery) -> Self {
        Self { delivery, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), Bytes::new()) }
    }

    /// No answer, and a connection that is reset when `over` is done.
    pub(crate) fn hanging(over: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { over: Some(over.boxed().shared()), ..Self::undelivered(Delivery::Never) }
    }

    /// Waits until the client of an answer that is never sent has waited long enough.
    pub(crate) async fn over(self) {
        match self.over {
            Some(over) => over.await,
            None => std::future::pending().await,
        }
    }

    /// A JSON document.
    pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self::new(status, headers, Bytes::from(value.to_string()))
    }

    /// A successful answer in the JSON protocol.
    pub(crate) fn aws_json(value: &serde_json::Value) -> Self {
        let mut answer = Self::json(StatusCode::OK, value);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        answer.identify(&request_id());
        answer
    }

    /// A successful answer of a REST service in JSON.
    pub(crate) fn rest_json(value: &serde_json::Value) -> Self {
        let mut answer = Self::json(StatusCode::OK, value);
        answer.identify(&request_id());
        answer
    }

    /// A successful answer of EC2.
    pub(crate) fn ec2(operation: &str, content: Vec<Element>) -> Self {
        let id = request_id();
        let mut root = Element::new(&format!("{operation}Response"));
        root.set_attributes(r#" xmlns="http://ec2.amazonaws.com/doc/2016-11-15/""#);
        root.push(Element::with_text("requestId", &id));
        for element in content {
            root.push(element);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=UTF-8"));
        let mut answer = Self::new(StatusCode::OK, headers, Bytes::from(root.to_document()));
        answer.identify(&id);
        answer
    }

    /// A successful answer of RDS, with this result.
    pub(crate) fn rds(operation: &str, result: Vec<Element>) -> Self {
        let id = request_id();
        let metadata = Element::with_children("ResponseMetadata", vec![Element::with_text("RequestId", &id)]);
        let result = Element::with_children(&format!("{operation}Result"), result);
        let mut root = Element::with_children(&format!("{operation}Response"), vec![result, metadata]);
        root.set_attributes(r#" xmlns="http://rds.amazonaws.com/doc/2014-10-31/""#);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        let mut answer = Self::new(StatusCode::OK, headers, Bytes::from(root.to_document()));
        answer.identify(&id);
        answer
    }

    /// A refusal in the protocol of `call`.
    pub(crate) fn refusal(call: &Call, status: StatusCode, code: &str, message: &str) -> Self {
        let id = request_id();
        let (content_type, body) = match call.protocol {
            Protocol::Ec2Query => {
                let error = coded("Error", code, message);
                let errors = Element::with_children("Errors", vec![error]);
                let root = Element::with_children("Response", vec![errors, Element::with_text("RequestID", &id)]);
                ("text/xml;charset=UTF-8", Bytes::from(root.to_document()))
            }
            Protocol::RestXml if call.service == "s3" => {
                let mut root = coded("Error", code, message);
                root.push(Element::with_text("RequestId", &id));
                ("application/xml", Bytes::from(root.to_document()))
            }
            Protocol::Query | Protocol::RestXml => {
                let mut error = coded("Error", code, message);
                let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
                error.push(Element::with_text("Type", fault));
                let root = Element::with_children("ErrorResponse", vec![error, Element::with_text("RequestId", &id)]);
                ("text/xml", Bytes::from(root.to_document()))
            }
            Protocol::Json => {
                let body = serde_json::json!({"__type": code, "message": message});
                ("application/x-amz-json-1.1", Bytes::from(body.to_string()))
            }
            Protocol::RestJson => {
                let body = serde_json::json!({"message": message});
                ("application/json", Bytes::from(body.to_string()))
            }
            Protocol::Cbor => ("application/cbor", cbor_map(&[("__type", code), ("message", message)])),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if call.protocol == Protocol::Cbor {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        if matches!(call.protocol, Protocol::Json | Protocol::RestJson | Protocol::Cbor)
            && let Ok(code) = HeaderValue::from_str(code)
        {
            headers.insert("x-amzn-errortype", code);
        }
        let mut answer = Self::new(status, headers, body);
        answer.identify(&id);
        answer
    }

    /// A refusal with status 400, with which AWS answers a caller's mistake.
    pub(crate) fn client_error(call: &Call, code: &str, message: &str) -> Self {
        Self::refusal(call, StatusCode::BAD_REQUEST, code, message)
    }

    fn identify(&mut self, id: &str) {
        if let Ok(id) = HeaderValue::from_str(id) {
            self.headers.insert("x-amzn-requestid", id.clone());
            self.headers.insert("x-amz-request-id", id);
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Replaces the body, and removes the headers that describe the old one.
    pub(crate) fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
        self.headers.remove(CONTENT_LENGTH);
        self.headers.remove("content-md5");
        self.headers.remove("x-amz-crc32");
    }

    /// Rewrites the XML document of a successful answer; `edit` returns whether it changed anything.
    ///
    /// A document that cannot be read is passed on as it is: the emulator's text is better than nothing.
    pub(crate) fn edit_xml(&mut self, edit: impl FnOnce(&mut Element) -> bool) {
        if !self.is_success() {
            return;
        }
        match Element::parse(&self.body) {
            Ok(mut root) => {
                if edit(&mut root) {
                    self.set_body(root.to_document());
                }
            }
            Err(error) => tracing::warn!(%error, "the emulator's XML cannot be read and is passed on as it is"),
        }
    }

    /// Rewrites the JSON document of a successful answer; `edit` returns whether it changed anything.
    pub(crate) fn edit_json(&mut self, edit: impl FnOnce(&mut serde_json::Value) -> bool) {
        if !self.is_success() {
            return;
        }
        match serde_json::from_slice(&self.body) {
            Ok(mut value) => {
                if edit(&mut value) {
                    self.set_body(value.to_string());
                }
            }
            Err(error) => tracing::warn!(%error, "the emulator's JSON cannot be read and is passed on as it is"),
        }
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

fn request_id() -> String {
    Uuid::new_v4().to_string()
}

fn coded(name: &str, code: &str, message: &str) -> Element {
    Element::with_children(name, vec![Element::with_text("Code", code), Element::with_text("Message", message)])
}

/// A CBOR map of texts to texts, which is all that a refusal needs of that format.
fn cbor_map(pairs: &[(&str, &str)]) -> Bytes {
    const TEXT: u8 = 0x60;
    const MAP: u8 = 0xA0;
    let mut bytes = Vec::new();
    cbor_head(MAP, pairs.len(), &mut bytes);
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        cbor_head(TEXT, text.len(), &mut bytes);
        bytes.extend_from_slice(text.as_bytes());
    }
    Bytes::from(bytes)
}

fn cbor_head(kind: u8, length: usize, into: &mut Vec<u8>) {
    match (u8::try_from(length), u32::try_from(length)) {
        (Ok(short), _) if short < 24 => into.push(kind | short),
        (Ok(byte), _) => into.extend_from_slice(&[kind | 0x18, byte]),
        (_, Ok(word)) => {
            into.push(kind | 0x1a);
            into.extend_from_slice(&word.to_be_bytes());
        }
        _ => {
            into.push(kind | 0x1b);
            into.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::{ec2, json};
    use super::*;

    fn text(answer: &Answer) -> String {
        String::from_utf8_lossy(answer.body()).into_owned()
    }

    #[test]
    fn a_refusal_of_ec2_has_its_format() {
        let call = ec2("111122223333", "us-east-1", "Action=DeleteVpc");
        let answer = Answer::client_error(&call, "DependencyViolation", "a < b");
        let body = text(&answer);
        assert_eq!(answer.status, 400);
        assert!(body.contains("<Response><Errors><Error><Code>DependencyViolation</Code><Message>a &lt; b</Message>"));
        assert!(body.contains("<RequestID>"), "{body}");
    }

    #[test]
    fn a_refusal_in_json_names_its_type() {
        let call = json("kms", "TrentService.DescribeKey", "{}");
        let answer = Answer::refusal(&call, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "gone");
        assert_eq!(answer.headers.get("x-amzn-errortype").and_then(|v| v.to_str().ok()), Some("ServiceUnavailable"));
        assert_eq!(text(&answer), r#"{"__type":"ServiceUnavailable","message":"gone"}"#);
    }

    #[test]
    fn cbor_texts_of_every_length_are_written() {
        assert_eq!(cbor_map(&[("a", "b")]).as_ref(), b"\xA1\x61a\x61b");
        let long = "x".repeat(300);
        let bytes = cbor_map(&[("m", &long)]);
        assert_eq!(&bytes[..8], b"\xA1\x61m\x7A\x00\x00\x01\x2C");
        let middle = "x".repeat(24);
        assert_eq!(&cbor_map(&[("m", &middle)])[..5], b"\xA1\x61m\x78\x18");
    }

    #[test]
    fn a_new_body_drops_the_headers_of_the_old_one() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        headers.insert("x-amz-crc32", HeaderValue::from_static("5"));
        let mut answer = Answer::new(StatusCode::OK, headers, Bytes::from_static(b"<a/>\n"));
        answer.edit_xml(|_| false);
        assert_eq!(answer.headers.len(), 2);
        answer.edit_xml(|root| {
            root.push(Element::with_text("b", "1"));
            true
        });
        assert!(answer.headers.is_empty());
        assert!(text(&answer).ends_with("<a><b>1</b></a>"));
    }

    #[test]
    fn unreadable_documents_are_passed_on() {
        let mut answer = Answer::new(StatusCode::OK, HeaderMap::new(), Bytes::from_static(b"not XML <"));
        answer.edit_xml(|_| true);
        answer.edit_json(|_| true);
        assert_eq!(text(&answer), "not XML <");
    }
}
