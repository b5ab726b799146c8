//! Temporary refusals: a call is refused a few times, and then carried out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::Value;

use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::recorded::RecordedRequest;

/// A refusal in AWS's words: which calls are refused, how often, and with what.
#[derive(Debug)]
pub struct Refusal {
    /// The service's signing name.
    pub service: &'static str,
    /// The operation; `*` for every operation of the service that changes something.
    pub operation: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// AWS's error code.
    pub code: &'static str,
    /// AWS's message.
    pub message: &'static str,
    /// Only calls whose body contains this text.
    having: &'static str,
    /// Only calls whose body does not contain this text.
    lacking: &'static str,
    /// How often each call is refused.
    times: u32,
}

impl Refusal {
    /// Each call of the operation is refused once.
    pub(super) const fn of(
        service: &'static str,
        operation: &'static str,
        status: u16,
        code: &'static str,
        message: &'static str,
    ) -> Self {
        Self { service, operation, status, code, message, having: "", lacking: "\0", times: 1 }
    }

    /// Only a call whose body contains this text is refused.
    pub(super) const fn having(self, having: &'static str) -> Self {
        Self { having, ..self }
    }

    /// A call whose body contains this text is not refused.
    pub(super) const fn lacking(self, lacking: &'static str) -> Self {
        Self { lacking, ..self }
    }

    /// Each call is refused this many times.
    pub(super) const fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn is_about(&self, call: &Call) -> bool {
        let matches = call.service == self.service
            && (self.operation == call.operation || (self.operation == "*" && !call.reads()));
        if !matches || (self.having.is_empty() && self.lacking == "\0") {
            return matches;
        }
        let body = String::from_utf8_lossy(call.body());
        body.contains(self.having) && !body.contains(self.lacking)
    }
}

/// The rule: it applies these refusals in their order, one to a call.
pub(super) struct TemporaryRefusals {
    refusals: &'static [Refusal],
    /// How often each call was refused with each refusal, by the call's fingerprint and the refusal's index.
    times: Mutex<HashMap<(u64, usize), u32>>,
    count: AtomicU64,
}

impl TemporaryRefusals {
    pub(super) fn new(refusals: &'static [Refusal]) -> Self {
        Self { refusals, times: Mutex::default(), count: AtomicU64::new(0) }
    }

    fn refuse(&self, call: &Call) -> Option<Answer> {
        let mut times = lock(&self.times);
        for (index, refusal) in self.refusals.iter().enumerate().filter(|(_, refusal)| refusal.is_about(call)) {
            let so_far = times.entry((fingerprint(call), index)).or_default();
            if *so_far < refusal.times {
                *so_far += 1;
                self.count.fetch_add(1, Ordering::Relaxed);
                let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
                return Some(Answer::refusal(call, status, refusal.code, refusal.message));
            }
        }
        None
    }
}

/// Equal for a call and for its repetitions. A presigned URL is left out, since it differs each time.
fn fingerprint(call: &Call) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&call.account, &call.region, &call.operation, call.uri.path_and_query().map(ToString::to_string))
        .hash(&mut hasher);
    // Without its secrets: a new password is generated each time.
    let kept = RecordedRequest::of(call);
    match serde_json::from_str(&kept.body) {
        // The SDK writes the members of its maps in an arbitrary order.
        Ok(body @ Value::Object(_)) => hash_unordered(&body).hash(&mut hasher),
        _ => kept
            .body
            .split('&')
            .filter(|pair| !pair.starts_with("PreSignedUrl="))
            .for_each(|pair| pair.hash(&mut hasher)),
    }
    hasher.finish()
}

/// Equal for two documents that differ only in the order of their members.
fn hash_unordered(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Object(map) => {
            let mut members: Vec<(&String, u64)> =
                map.iter().map(|(name, value)| (name, hash_unordered(value))).collect();
            members.sort_unstable();
            members.hash(&mut hasher);
        }
        Value::Array(items) => items.iter().map(hash_unordered).collect::<Vec<_>>().hash(&mut hasher),
        leaf => leaf.to_string().hash(&mut hasher),
    }
    hasher.finish()
}

impl Rule for TemporaryRefusals {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            match self.refuse(call) {
                Some(refusal) => refusal,
                None => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.times).clear();
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::{ec2, json};

    static REFUSALS: &[Refusal] = &[
        Refusal::of("ec2", "CreateSubnet", 400, "InvalidVpcID.NotFound", "not yet").times(2),
        Refusal::of("ec2", "CreateSubnet", 503, "RequestLimitExceeded", "too many").having("Zone=a").lacking("dry"),
    ];

    #[tokio::test]
    async fn each_call_is_refused_as_often_as_the_table_says_and_then_passes() {
        let rule = TemporaryRefusals::new(REFUSALS);
        let origin = Scripted::xml("<made/>");
        let mut codes = Vec::new();
        for body in ["Action=CreateSubnet&Zone=a"; 4].into_iter().chain(["Action=CreateSubnet&Zone=b"; 3]) {
            let answer = rule.apply(&mut ec2("1", "r", body), Next::new(&[], &origin)).await;
            codes.push(text(&answer).split("Code>").nth(1).map_or("made".to_owned(), |code| code[..9].to_owned()));
        }
        assert_eq!(codes, ["InvalidVp", "InvalidVp", "RequestLi", "made", "InvalidVp", "InvalidVp", "made"]);
        assert_eq!(rule.count(), 5);
        let other = rule.apply(&mut ec2("1", "r", "Action=CreateVpc"), Next::new(&[], &origin)).await;
        assert!(other.is_success());
    }

    #[test]
    fn the_order_of_members_does_not_make_another_call() {
        let create = |body: &str| fingerprint(&json("logs", "Logs_20140328.CreateLogGroup", body));
        assert_eq!(create(r#"{"a":{"x":1,"y":[2]},"b":"c"}"#), create(r#"{"b":"c","a":{"y":[2],"x":1}}"#));
        assert_ne!(create(r#"{"a":[1,2]}"#), create(r#"{"a":[2,1]}"#));
    }

    #[test]
    fn a_new_presigned_url_does_not_make_another_call() {
        let first = ec2("1", "r", "Action=CreateDBCluster&PreSignedUrl=a");
        assert_eq!(fingerprint(&first), fingerprint(&ec2("1", "r", "Action=CreateDBCluster&PreSignedUrl=b")));
        assert_ne!(fingerprint(&first), fingerprint(&ec2("1", "r", "Action=CreateDBCluster&Name=b")));
    }
}
