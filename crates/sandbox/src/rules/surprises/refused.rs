//! A refusal that passes: the same call is refused a few times, and then carried out.

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

/// Which call is refused, how often, and in which words.
pub(super) struct Refusal {
    service: &'static str,
    operation: &'static str,
    /// Found in what the call says.
    having: &'static str,
    /// Not found in it.
    lacking: &'static str,
    times: u32,
    status: u16,
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    /// Each such call, once.
    pub(super) const fn of(
        service: &'static str,
        operation: &'static str,
        status: u16,
        code: &'static str,
        message: &'static str,
    ) -> Self {
        Self { service, operation, having: "", lacking: "\0", times: 1, status, code, message }
    }

    /// Only when the call says this.
    pub(super) const fn having(self, having: &'static str) -> Self {
        Self { having, ..self }
    }

    /// Only when the call does not say this.
    pub(super) const fn lacking(self, lacking: &'static str) -> Self {
        Self { lacking, ..self }
    }

    /// Each such call, so often.
    pub(super) const fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn is_about(&self, call: &Call) -> bool {
        let is_it = call.service == self.service
            && (self.operation == call.operation || (self.operation == "*" && !call.reads()));
        if !is_it || (self.having.is_empty() && self.lacking == "\0") {
            return is_it;
        }
        let said = String::from_utf8_lossy(call.body());
        said.contains(self.having) && !said.contains(self.lacking)
    }
}

/// The rule.
pub(super) struct Refused {
    refusals: &'static [Refusal],
    /// How often each call was refused by each refusal.
    times: Mutex<HashMap<(u64, usize), u32>>,
    count: AtomicU64,
}

impl Refused {
    pub(super) fn new(refusals: &'static [Refusal]) -> Self {
        Self { refusals, times: Mutex::default(), count: AtomicU64::new(0) }
    }

    fn refuse(&self, call: &Call) -> Option<Answer> {
        let mut times = lock(&self.times);
        for (index, refusal) in self.refusals.iter().enumerate().filter(|(_, refusal)| refusal.is_about(call)) {
            let so_far = times.entry((same(call), index)).or_default();
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

/// What two calls have in common that are the same call, made again. A URL that is signed beforehand differs each time.
fn same(call: &Call) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&call.account, &call.region, &call.operation, call.uri.path_and_query().map(ToString::to_string))
        .hash(&mut hasher);
    // Without its secrets: a password is drawn anew each time.
    let kept = RecordedRequest::of(call);
    match serde_json::from_str(&kept.body) {
        // The SDK keeps its maps in no order.
        Ok(body @ Value::Object(_)) => hash_unordered(&body).hash(&mut hasher),
        _ => kept
            .body
            .split('&')
            .filter(|pair| !pair.starts_with("PreSignedUrl="))
            .for_each(|pair| pair.hash(&mut hasher)),
    }
    hasher.finish()
}

/// The same for two documents that differ in the order of their members alone.
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

impl Rule for Refused {
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

    static WORDS: &[Refusal] = &[
        Refusal::of("ec2", "CreateSubnet", 400, "InvalidVpcID.NotFound", "not yet").times(2),
        Refusal::of("ec2", "CreateSubnet", 503, "RequestLimitExceeded", "too many").having("Zone=a").lacking("dry"),
    ];

    #[tokio::test]
    async fn each_call_is_refused_so_often_and_then_passes() {
        let rule = Refused::new(WORDS);
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
    fn members_in_another_order_make_no_other_call() {
        let create = |body: &str| same(&json("logs", "Logs_20140328.CreateLogGroup", body));
        assert_eq!(create(r#"{"a":{"x":1,"y":[2]},"b":"c"}"#), create(r#"{"b":"c","a":{"y":[2],"x":1}}"#));
        assert_ne!(create(r#"{"a":[1,2]}"#), create(r#"{"a":[2,1]}"#));
    }

    #[test]
    fn a_url_that_is_signed_anew_is_the_same_call() {
        let first = ec2("1", "r", "Action=CreateDBCluster&PreSignedUrl=a");
        assert_eq!(same(&first), same(&ec2("1", "r", "Action=CreateDBCluster&PreSignedUrl=b")));
        assert_ne!(same(&first), same(&ec2("1", "r", "Action=CreateDBCluster&Name=b")));
    }
}
