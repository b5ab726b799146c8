//! A call to AWS, read from the signed request.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::form::Form;
use super::rest;
use crate::world::route53;

/// The account of a call whose access key is not an account id: MiniStack's default.
const DEFAULT_ACCOUNT: &str = "000000000000";

/// The service and Region of a call that is not signed, such as a request to a deployed API.
const UNSIGNED: &str = "unsigned";

/// How requests, answers, and errors of a service are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form in, XML out; errors in EC2's own format.
    Ec2Query,
    /// Form in, XML out.
    Query,
    /// JSON in and out, the operation in `X-Amz-Target`.
    Json,
    /// CBOR in and out, the operation in the path.
    Cbor,
    /// The operation in method and path, XML in and out.
    RestXml,
    /// The operation in method and path, JSON in and out.
    RestJson,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) account: String,
    pub(crate) region: String,
    /// The signing name: `ec2`, `kms`, `logs`, `monitoring`, …
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) protocol: Protocol,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    form: Form,
    body: Bytes,
}

/// Who has signed a request, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// The access key.
    pub(crate) key: String,
    pub(crate) region: String,
    /// The signing name.
    pub(crate) service: String,
}

impl Call {
    /// Reads a request. This never fails: what cannot be recognised is passed on under a name that says so.
    pub(crate) fn parse(parts: Parts, body: Bytes) -> Self {
        let Parts { method, uri, headers, .. } = parts;
        let signature = signature(&headers, &uri);
        let form = match content_type(&headers) {
            "application/x-www-form-urlencoded" => Form::parse(&body),
            // The query protocol can also be in the URL, as in a presigned GetCallerIdentity.
            _ if method == Method::GET => Form::parse(uri.query().unwrap_or_default().as_bytes()),
            _ => Form::default(),
        };
        let (account, region, service) = match signature {
            Some(Signature { key, region, service }) => (account(&key), region, service),
            None => (DEFAULT_ACCOUNT.to_owned(), UNSIGNED.to_owned(), UNSIGNED.to_owned()),
        };
        let (protocol, operation) = operation(&service, &method, &uri, &headers, &form);
        Self { account, region, service, operation, protocol, method, uri, headers, form, body }
    }

    /// Whether this is the given operation of the given service.
    pub(crate) fn is(&self, service: &str, operation: &str) -> bool {
        self.service == service && self.operation == operation
    }

    /// Whether it is known what it calls: one of AWS's services, or an API that is deployed here.
    pub(crate) fn is_known(&self) -> bool {
        self.service != UNSIGNED
    }

    /// Its signature, if it has one. What it calls may be something else: an API accepts any `Authorization`.
    pub(crate) fn signature(&self) -> Option<Signature> {
        signature(&self.headers, &self.uri)
    }

    /// The ARN of the function that makes the call; `None` for any other caller, and in front of an emulator that is not
    /// the sandbox's own, whose functions have no session token that says so.
    ///
    /// A presigned request is made by whoever sends it, and so its token is not looked at.
    pub(crate) fn function(&self) -> Option<&str> {
        let token = self.headers.get(SESSION_TOKEN)?.to_str().ok()?;
        (token.starts_with("arn:") && token.contains(":function:")).then_some(token)
    }

    /// Whether it is the look of one of Route 53's health checkers at an API.
    pub(crate) fn is_health_check(&self) -> bool {
        let agent = self.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        agent == Some(route53::USER_AGENT)
    }

    /// Whether the operation only reads.
    pub(crate) fn reads(&self) -> bool {
        ["Describe", "List", "Get", "Head", "GET ", "HEAD ", "TestDNSAnswer"]
            .iter()
            .any(|start| self.operation.starts_with(start))
    }

    /// The parameters as the client sent them, even if others are forwarded in their place.
    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// The body that is forwarded.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Forwards these parameters instead of those that were sent.
    ///
    /// The signature does not match them, but no emulator checks it.
    pub(crate) fn forward_form(&mut self, form: &Form) {
        self.body = Bytes::from(form.encode());
        self.headers.remove(http::header::CONTENT_LENGTH);
    }

    /// The parameters that will be forwarded.
    pub(crate) fn forwarded_form(&self) -> Form {
        match content_type(&self.headers) {
            "application/x-www-form-urlencoded" => Form::parse(&self.body),
            _ => self.form.clone(),
        }
    }

    /// Another call in the query protocol, made as this one's caller: with it, a rule asks the emulator something.
    pub(crate) fn ask_query(&self, operation: &str, parameters: &[(&str, &str)]) -> Self {
        let mut form: Form = [("Action", operation)].into_iter().collect();
        form.set("Version", self.form.get("Version").unwrap_or_default());
        for (name, value) in parameters {
            form.set(name, value);
        }
        let mut asked = self.clone();
        operation.clone_into(&mut asked.operation);
        asked.forward_form(&form);
        asked.form = form;
        asked
    }

    /// The same call, made by the same caller in another Region. The signature is not valid, but no emulator checks it.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        let mut there = self.clone();
        region.clone_into(&mut there.region);
        let signed = self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed =
            signed.replacen(&format!("/{}/{}/", self.region, self.service), &format!("/{region}/{}/", self.service), 1);
        if let Ok(signed) = HeaderValue::from_str(&signed) {
            there.headers.insert(AUTHORIZATION, signed);
        }
        there
    }

    /// Another call in the JSON protocol, made as this one's caller.
    pub(crate) fn ask_json(&self, operation: &str, body: &serde_json::Value) -> Self {
        let mut asked = self.clone();
        operation.clone_into(&mut asked.operation);
        let target = self.headers.get(TARGET).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let prefix = target.rsplit_once('.').map_or("", |(prefix, _)| prefix);
        if let Ok(target) = HeaderValue::from_str(&format!("{prefix}.{operation}")) {
            asked.headers.insert(TARGET, target);
        }
        asked.headers.remove(http::header::CONTENT_LENGTH);
        asked.body = Bytes::from(body.to_string());
        asked
    }

    /// A call to another service in the JSON protocol, made as this one's caller in the same Region.
    pub(crate) fn ask_json_of(&self, service: &str, target: &str, body: &serde_json::Value) -> Self {
        let mut asked = self.clone();
        let signed = self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scope = |service: &str| format!("/{}/{service}/", self.region);
        let signed = signed.replacen(&scope(&self.service), &scope(service), 1);
        for (name, value) in [
            (AUTHORIZATION.as_str(), signed.as_str()),
            (TARGET, target),
            (CONTENT_TYPE.as_str(), "application/x-amz-json-1.1"),
            (HOST.as_str(), "localhost"),
        ] {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                asked.headers.insert(name, value);
            }
        }
        asked.headers.remove(http::header::CONTENT_LENGTH);
        service.clone_into(&mut asked.service);
        target.rsplit_once('.').map_or(target, |(_, name)| name).clone_into(&mut asked.operation);
        asked.protocol = Protocol::Json;
        asked.method = Method::POST;
        asked.uri = Uri::from_static("/");
        asked.body = Bytes::from(body.to_string());
        asked
    }

    /// A call made as another caller, by the access key: with it, a rule asks the emulator about something that is not
    /// the caller's. The signature is made up, but no emulator checks it. `None` if the parts do not form a request.
    pub(crate) fn signed_by(
        key: &str,
        region: &str,
        service: &str,
        (method, path): (Method, &str),
        content_type: &str,
        body: Bytes,
    ) -> Option<Self> {
        let credential = format!("{key}/20260101/{region}/{service}/aws4_request");
        let signed = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00");
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, signed)
            .header(CONTENT_TYPE, content_type);
        let (parts, ()) = request.body(()).ok()?.into_parts();
        Some(Self::parse(parts, body))
    }

    /// The body as JSON; `Null` if it is not JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

const TARGET: &str = "x-amz-target";

/// Of a function, this is its ARN: `ministack.rs` sees to it.
const SESSION_TOKEN: &str = "x-amz-security-token";

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn signature(headers: &HeaderMap, uri: &Uri) -> Option<Signature> {
    let signed = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = signed.and_then(credential_of_header).or_else(|| {
        let query = Form::parse(uri.query()?.as_bytes());
        query.get("X-Amz-Credential").map(str::to_owned)
    })?;
    let mut parts = credential.rsplit('/');
    let ("aws4_request", service, before) = (parts.next()?, parts.next()?, parts.next()?) else { return None };
    // SigV4a leaves the Region out of the scope and lists the Regions in a header: in that case the date comes here.
    let is_date = before.len() == 8 && before.bytes().all(|byte| byte.is_ascii_digit());
    let (region, key) = if is_date {
        let regions = headers.get("x-amz-region-set").and_then(|value| value.to_str().ok()).unwrap_or_default();
        (regions.split(',').next().unwrap_or_default(), parts.next()?)
    } else {
        parts.next()?;
        (before, parts.next()?)
    };
    Some(Signature { key: key.to_owned(), region: region.to_owned(), service: service.to_owned() })
}

fn credential_of_header(authorization: &str) -> Option<String> {
    let (_, rest) = authorization.split_once("Credential=")?;
    Some(rest.split([',', ' ']).next().unwrap_or_default().to_owned())
}

fn account(access_key: &str) -> String {
    if access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit()) {
        access_key.to_owned()
    } else {
        DEFAULT_ACCOUNT.to_owned()
    }
}

fn operation(service: &str, method: &Method, uri: &Uri, headers: &HeaderMap, form: &Form) -> (Protocol, String) {
    if let Some(target) = headers.get(TARGET).and_then(|value| value.to_str().ok()) {
        let name = target.rsplit_once('.').map_or(target, |(_, name)| name);
        return (Protocol::Json, name.to_owned());
    }
    if headers.get("smithy-protocol").is_some_and(|value| value == "rpc-v2-cbor") {
        let name = uri.path().rsplit_once("/operation/").map_or(uri.path(), |(_, name)| name);
        return (Protocol::Cbor, name.to_owned());
    }
    if let Some(action) = form.get("Action") {
        let protocol = if service == "ec2" { Protocol::Ec2Query } else { Protocol::Query };
        return (protocol, action.to_owned());
    }
    let protocol = match service {
        "s3" | "route53" | "cloudfront" => Protocol::RestXml,
        _ => Protocol::RestJson,
    };
    (protocol, rest::operation(service, method, uri))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A signed EC2 call, for the tests of the rules.
    pub(crate) fn ec2(account: &str, region: &str, body: &str) -> Call {
        let credential = format!("{account}/20261123/{region}/ec2/aws4_request");
        parse("POST", "/", &[(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")], &credential, body)
    }

    /// A signed JSON-protocol call, for the tests of the rules.
    pub(crate) fn json(service: &str, target: &str, body: &str) -> Call {
        let credential = format!("111122223333/20261123/us-east-1/{service}/aws4_request");
        parse("POST", "/", &[(TARGET, target), ("content-type", "application/x-amz-json-1.1")], &credential, body)
    }

    /// A signed call of a REST service, for the tests of the rules.
    pub(crate) fn rest(service: &str, method: &str, path: &str, body: &str) -> Call {
        let credential = format!("111122223333/20261123/us-east-1/{service}/aws4_request");
        parse(method, path, &[("content-type", "application/json")], &credential, body)
    }

    fn parse(method: &str, path: &str, headers: &[(&str, &str)], credential: &str, body: &str) -> Call {
        let mut request = http::Request::builder().method(method).uri(path);
        if !credential.is_empty() {
            let authorization = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00");
            request = request.header(AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
        Call::parse(parts, Bytes::from(body.to_owned()))
    }

    #[test]
    fn a_query_call_is_parsed() {
        let call = ec2("111122223333", "us-east-2", "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16");
        assert_eq!((call.account.as_str(), call.region.as_str()), ("111122223333", "us-east-2"));
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("ec2", "CreateVpc"));
        assert_eq!(call.protocol, Protocol::Ec2Query);
        assert_eq!(call.form().get("CidrBlock"), Some("10.0.0.0/16"));
        assert!(call.is("ec2", "CreateVpc") && !call.reads());
    }

    #[test]
    fn other_query_services_have_the_other_error_format() {
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let credential = "AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/iam/aws4_request";
        let call = parse("POST", "/", &headers, credential, "Action=ListRoles&Version=2010-05-08");
        assert_eq!(call.protocol, Protocol::Query);
        assert_eq!(call.account, DEFAULT_ACCOUNT);
        assert!(call.reads());
    }

    #[test]
    fn a_json_call_is_parsed() {
        let call = json("kms", "TrentService.ScheduleKeyDeletion", "{\"KeyId\":\"k\"}");
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("kms", "ScheduleKeyDeletion"));
        assert_eq!(call.protocol, Protocol::Json);
        assert_eq!(call.json()["KeyId"], "k");
    }

    #[test]
    fn a_cbor_call_is_parsed() {
        let credential = "111122223333/20261123/us-east-1/monitoring/aws4_request";
        let path = "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm";
        let call = parse("POST", path, &[("smithy-protocol", "rpc-v2-cbor")], credential, "\u{1}");
        assert_eq!((call.operation.as_str(), call.protocol), ("PutMetricAlarm", Protocol::Cbor));
        assert_eq!(call.body().as_ref(), b"\x01");
    }

    #[test]
    fn rest_calls_are_parsed() {
        let credential = "111122223333/20261123/eu-west-1/s3/aws4_request";
        let call = parse("PUT", "/bucket/key?partNumber=1", &[], credential, "body");
        assert_eq!((call.operation.as_str(), call.protocol), ("PutObject", Protocol::RestXml));
        let credential = "111122223333/20261123/eu-west-1/lambda/aws4_request";
        let call = parse("GET", "/2015-03-31/functions", &[], credential, "");
        assert_eq!((call.operation.as_str(), call.protocol), ("ListFunctions", Protocol::RestJson));
        assert!(call.reads());
        let call = parse("GET", "/2015-03-31/layers", &[], credential, "");
        assert!(call.reads());
    }

    #[test]
    fn presigned_and_unsigned_calls_are_parsed() {
        let path = "/b/k?X-Amz-Credential=111122223333%2F20261123%2Fus-west-2%2Fs3%2Faws4_request&X-Amz-Signature=0";
        let call = parse("GET", path, &[], "", "");
        assert_eq!((call.account.as_str(), call.region.as_str()), ("111122223333", "us-west-2"));
        let call = parse("GET", "/health", &[], "", "");
        assert_eq!((call.service.as_str(), call.account.as_str()), (UNSIGNED, DEFAULT_ACCOUNT));
        let call = parse("GET", "/health", &[], "nonsense", "");
        assert_eq!(call.service, UNSIGNED);
    }

    #[test]
    fn a_function_is_known_by_its_session_token() {
        let credential = "111122223333/20261123/us-east-1/dynamodb/aws4_request";
        let arn = "arn:aws:lambda:us-east-2:111122223333:function:pay";
        let by = |token| parse("POST", "/", &[(SESSION_TOKEN, token)], credential, "").function().map(str::to_owned);
        assert_eq!(by(arn).as_deref(), Some(arn));
        assert_eq!(by("IQoJb3JpZ2luX2VjEGMaCXVzLWVhc3QtMSJH"), None);
        let url = format!("/b/k?X-Amz-Credential={credential}&X-Amz-Security-Token={arn}");
        assert_eq!(parse("GET", &url, &[], "", "").function(), None, "whoever was given the URL is no function");
    }

    #[test]
    fn the_region_of_sigv4a_is_read_from_its_header() {
        let credential = "111122223333/20261123/s3/aws4_request";
        let call = parse("GET", "/b", &[("x-amz-region-set", "us-east-1,us-east-2")], credential, "");
        assert_eq!((call.region.as_str(), call.service.as_str()), ("us-east-1", "s3"));
        assert_eq!(call.account, "111122223333");
    }

    #[test]
    fn a_forwarded_form_does_not_change_the_sent_one() {
        let mut call = ec2("111122223333", "us-east-1", "Action=DescribeVpcs&VpcId.1=vpc-1");
        call.forward_form(&[("Action", "DescribeVpcs")].into_iter().collect());
        assert_eq!(call.form().get("VpcId.1"), Some("vpc-1"));
        assert_eq!(call.body().as_ref(), b"Action=DescribeVpcs");
        assert_eq!(call.forwarded_form().get("VpcId.1"), None);
    }

    #[test]
    fn a_rule_asks_as_the_caller() {
        let call = ec2("111122223333", "us-east-1", "Action=DeleteVpc&Version=2016-11-15&VpcId=vpc-1");
        let asked = call.ask_query("DescribeVpcs", &[("VpcId.1", "vpc-1")]);
        assert_eq!(asked.body().as_ref(), b"Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1");
        assert_eq!((asked.operation.as_str(), asked.account.as_str()), ("DescribeVpcs", "111122223333"));
        let there = call.in_region("us-west-2");
        let signed = there.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(there.region == "us-west-2" && signed.contains("/20261123/us-west-2/ec2/aws4_request"), "{signed}");
        let call = json("logs", "Logs_20140328.AssociateKmsKey", "{}");
        let asked = call.ask_json("DescribeLogGroups", &serde_json::json!({"limit": 1}));
        assert_eq!(
            asked.headers.get(TARGET).and_then(|value| value.to_str().ok()),
            Some("Logs_20140328.DescribeLogGroups")
        );
        assert_eq!(asked.json()["limit"], 1);
        let call = rest("rds-data", "POST", "/Execute", "{}");
        let asked =
            call.ask_json_of("secretsmanager", "secretsmanager.GetSecretValue", &serde_json::json!({"SecretId": "s"}));
        let request = http::Request::from_parts(asked.request_parts(), ());
        let sent = Call::parse(request.into_parts().0, asked.body().clone());
        assert!(
            sent.is("secretsmanager", "GetSecretValue") && sent.account == call.account && sent.region == call.region
        );
        assert_eq!(
            (sent.protocol, sent.uri.path(), sent.json()["SecretId"].as_str()),
            (Protocol::Json, "/", Some("s"))
        );
    }

    impl Call {
        /// The request as which it is sent on.
        fn request_parts(&self) -> Parts {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            (parts.method, parts.uri, parts.headers) = (self.method.clone(), self.uri.clone(), self.headers.clone());
            parts
        }
    }
}
