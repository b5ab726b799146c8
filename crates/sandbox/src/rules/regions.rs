//! The Regions' conditions, applied to calls: what is lost, and what is answered later.
//!
//! | call | what it needs |
//! |---|---|
//! | one that is signed for a Region | the service there |
//! | a request to an API | API Gateway and Lambda in the API's Region |
//! | IAM and Route 53, from anywhere | us-east-1 |
//! | a change of a bucket's configuration, from anywhere | S3 in the bucket's Region, and in us-east-1 |
//! | any of these, made by a function | Lambda in the function's Region, and the way from there |
//!
//! The rows on us-east-1 follow docs/aws-behaviour.md#global-control-planes. STS has a global endpoint, too: calls to it are
//! signed for us-east-1.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::{Answer, Delivery};
use crate::wire::call::Call;
use crate::world::World;
use crate::world::regions::{Condition, GLOBAL, Manner, Place, Regions};

/// The services whose only control plane is in us-east-1. See docs/aws-behaviour.md#global-control-planes.
const GLOBAL_SERVICES: [&str; 2] = ["iam", "route53"];

/// Loses and delays calls as the conditions of the Regions have it.
pub(super) struct Conditions {
    regions: Regions,
}

/// What a call needs, from its caller on.
#[derive(Debug, Clone)]
struct Way {
    account: String,
    /// The Region of the function that makes the call; `None` for a client, which is not in AWS.
    function: Option<String>,
    /// A service and its Region, in the order in which the call reaches them.
    stops: Vec<(String, String)>,
}

impl Way {
    fn of(call: &Call) -> Self {
        // `aws-global` is how some SDKs sign for a global endpoint.
        let signed = if call.region == "aws-global" { GLOBAL } else { &call.region };
        let service = call.service.as_str();
        let stops: &[(&str, &str)] = match service {
            _ if !call.is_known() => &[],
            "execute-api" => &[(service, signed), ("lambda", signed)],
            "s3" if configures_bucket(call) => &[(service, signed), (service, GLOBAL)],
            _ if GLOBAL_SERVICES.contains(&service) => &[(service, GLOBAL)],
            _ => &[(service, signed)],
        };
        let owned = |(service, region): &(&str, &str)| ((*service).to_owned(), (*region).to_owned());
        Self {
            account: call.account.clone(),
            function: call.function().and_then(|arn| arn.split(':').nth(3)).map(str::to_owned),
            stops: stops.iter().map(owned).collect(),
        }
    }

    fn stops(&self) -> impl Iterator<Item = Place<'_>> {
        self.stops.iter().map(|(service, region)| Place { region, service })
    }

    /// What becomes of a call that takes this way; `None` if it arrives.
    fn loss(&self, regions: &Regions) -> Option<Manner> {
        let mut from = self.function.as_deref().map(|region| Place { region, service: "lambda" });
        for place in from.into_iter().chain(self.stops()) {
            if let Condition::Out(manner) = regions.condition(&self.account, place) {
                return Some(manner);
            }
            if from.is_some_and(|from| !regions.connects(&self.account, from, place)) {
                return Some(Manner::Hang);
            }
            from = Some(place);
        }
        None
    }

    /// How much later its answer arrives: as the slowest of its stops has it.
    fn delay(&self, regions: &Regions) -> Duration {
        let delays = self.stops().map(|place| match regions.condition(&self.account, place) {
            Condition::Slow(by) => by,
            Condition::Up | Condition::Out(_) | Condition::Isolated => Duration::ZERO,
        });
        delays.max().unwrap_or_default()
    }

    /// Waits until a call that hangs on this way would not hang any more.
    async fn clear(self, regions: Regions) {
        let mut changed = regions.changed();
        while self.loss(&regions) == Some(Manner::Hang) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether a call changes a bucket, or creates or deletes one; its objects are another matter.
fn configures_bucket(call: &Call) -> bool {
    let operation = call.operation.as_str();
    let is_of_objects = ["Object", "MultipartUpload"].iter().any(|what| operation.contains(what));
    !call.reads() && (!is_of_objects || operation == "PutObjectLockConfiguration")
}

impl Conditions {
    pub(super) fn new(world: &World) -> Self {
        Self { regions: world.regions.clone() }
    }

    fn lost(&self, way: &Way) -> Option<Answer> {
        way.loss(&self.regions).map(|manner| match manner {
            Manner::Hang => Answer::hanging(way.clone().clear(self.regions.clone())),
            Manner::Reset => Answer::undelivered(Delivery::Reset),
        })
    }
}

impl Rule for Conditions {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let way = Way::of(call);
            if let Some(lost) = self.lost(&way) {
                return lost;
            }
            let answer = next.run(call).await;
            let delay = way.delay(&self.regions);
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            // What was on its way when a Region failed does not arrive, either.
            self.lost(&way).unwrap_or(answer)
        }
        .boxed()
    }

    /// The Regions of a new world work.
    fn reset(&self) {
        self.regions.reset();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};

    const ACCOUNT: &str = "111122223333";

    fn world(orders: &serde_json::Value) -> World {
        let world = World::new(None, None);
        put(&world, orders);
        world
    }

    fn put(world: &World, orders: &serde_json::Value) {
        let orders = serde_json::from_value(orders.clone()).expect("orders");
        world.regions.order(None, &orders).expect("orders that make sense");
    }

    /// A signed call: `service region METHOD path`.
    fn call(what: &str) -> Call {
        let words: Vec<&str> = what.split(' ').collect();
        let [service, region, method, path] = words[..] else { panic!("{what}") };
        let method = method.parse().expect("a method");
        Call::signed_by(ACCOUNT, region, service, (method, path), "text/xml", "".into()).expect("a call")
    }

    /// The same call, made by a function in a Region.
    fn by_function(region: &str, what: &str) -> Call {
        let mut call = call(what);
        let arn = format!("arn:aws:lambda:{region}:{ACCOUNT}:function:pay");
        call.headers.insert("x-amz-security-token", arn.parse().expect("a header"));
        call
    }

    async fn ask(world: &World, mut call: Call) -> Answer {
        Conditions::new(world).apply(&mut call, Next::new(&[], &Scripted::xml("<r/>"))).await
    }

    async fn arrives(world: &World, call: Call) -> bool {
        ask(world, call).await.delivery == Delivery::Sent
    }

    #[tokio::test]
    async fn nothing_answers_in_a_region_that_is_out() {
        let world = world(&json!({"us-east-2": {"is": "out"}}));
        for lost in
            ["ec2 us-east-2 POST /", "s3 us-east-2 GET /b/k", "lambda us-east-2 GET /", "execute-api us-east-2 GET /"]
        {
            let origin = Scripted::xml("<r/>");
            let answer = Conditions::new(&world).apply(&mut call(lost), Next::new(&[], &origin)).await;
            assert_eq!(answer.delivery, Delivery::Never, "{lost}");
            assert!(origin.asked().is_empty(), "{lost} must not be carried out");
        }
        for fine in ["ec2 us-east-1 POST /", "iam us-east-1 POST /", "s3 us-east-1 PUT /b?versioning"] {
            assert!(arrives(&world, call(fine)).await, "{fine}");
        }
        put(&world, &json!({"us-east-2": {"is": "out", "manner": "reset"}}));
        assert_eq!(ask(&world, call("ec2 us-east-2 POST /")).await.delivery, Delivery::Reset);
    }

    #[tokio::test]
    async fn without_us_east_1_the_global_control_planes_are_gone_and_other_data_planes_work() {
        for state in ["out", "isolated"] {
            let world = world(&json!({"us-east-1": {"is": state}}));
            let is_out = state == "out";
            for lost_if_out in
                ["iam us-east-2 POST /", "route53 us-east-2 GET /2013-04-01/hostedzone", "sts aws-global POST /"]
            {
                assert_eq!(arrives(&world, call(lost_if_out)).await, !is_out, "{state}: {lost_if_out}");
            }
            for lost in ["PUT /b", "DELETE /b", "PUT /b?policy", "PUT /b?object-lock", "DELETE /b?lifecycle"] {
                assert!(!arrives(&world, call(&format!("s3 us-east-2 {lost}"))).await, "{state}: {lost}");
            }
            for fine in [
                "s3 us-east-2 GET /b?versioning",
                "s3 us-east-2 PUT /b/k",
                "s3 us-east-2 POST /b?delete",
                "s3 us-east-2 DELETE /b/k?uploadId=1",
                "sts us-east-2 POST /",
                "dynamodb us-east-2 POST /",
                "execute-api us-east-2 GET /health",
            ] {
                assert!(arrives(&world, call(fine)).await, "{state}: {fine}");
            }
        }
    }

    #[tokio::test]
    async fn a_function_fails_with_its_region_and_does_not_get_out_of_an_isolated_one() {
        let (here, there) = ("dynamodb us-east-1 POST /", "dynamodb us-east-2 POST /");
        let world = world(&json!({"us-east-1": {"is": "out"}}));
        assert!(!arrives(&world, by_function("us-east-1", there)).await);
        assert!(arrives(&world, by_function("us-east-2", there)).await);
        put(&world, &json!({"us-east-1": {"is": "isolated"}}));
        assert!(arrives(&world, by_function("us-east-1", here)).await);
        assert!(!arrives(&world, by_function("us-east-1", there)).await);
        assert!(!arrives(&world, by_function("us-east-2", here)).await);
        assert!(!arrives(&world, by_function("us-east-2", "execute-api us-east-1 GET /health")).await);
        assert!(!arrives(&world, by_function("us-east-2", "iam us-east-2 POST /")).await);
        assert!(arrives(&world, call(here)).await && arrives(&world, call(there)).await, "clients get in");
    }

    #[tokio::test]
    async fn an_order_for_some_services_leaves_the_others() {
        let world = world(&json!({"us-east-1": {"is": "out", "for": ["lambda"]}}));
        for lost in ["lambda us-east-1 GET /", "execute-api us-east-1 GET /health"] {
            assert!(!arrives(&world, call(lost)).await, "{lost}");
        }
        assert!(!arrives(&world, by_function("us-east-1", "dynamodb us-east-2 POST /")).await);
        for fine in ["apigateway us-east-1 GET /", "dynamodb us-east-1 POST /", "iam us-east-1 POST /"] {
            assert!(arrives(&world, call(fine)).await, "{fine}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_region_answers_later() {
        let world = world(&json!({"us-east-1": {"is": "slow", "by": 3}}));
        let started = tokio::time::Instant::now();
        assert!(arrives(&world, call("iam us-east-2 POST /")).await);
        assert_eq!(started.elapsed().as_secs(), 3);
        assert!(arrives(&world, call("ec2 us-east-2 POST /")).await);
        assert_eq!(started.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_over_when_its_region_comes_back() {
        let world = world(&json!({"us-east-1": {"is": "out"}}));
        let mut over = Box::pin(ask(&world, call("ec2 us-east-1 POST /")).await.over());
        put(&world, &json!({"us-east-1": {"is": "out", "for": ["rds"]}, "us-east-2": {"is": "out"}}));
        let waited = tokio::time::timeout(Duration::from_mins(10), &mut over).await;
        assert!(waited.is_err(), "nothing has changed for this call");
        put(&world, &json!({"us-east-1": {"is": "isolated"}}));
        over.await;
    }

    #[tokio::test]
    async fn an_answer_is_lost_if_its_region_fails_before_it_arrives() {
        let world = world(&json!({}));
        let failing = world.clone();
        let origin = Scripted::new(move |_| {
            put(&failing, &json!({"us-east-1": {"is": "out", "manner": "reset"}}));
            ok("<r/>")
        });
        let mut call = call("ec2 us-east-1 POST /");
        let answer = Conditions::new(&world).apply(&mut call, Next::new(&[], &origin)).await;
        assert_eq!((answer.delivery, text(&answer).as_str()), (Delivery::Reset, ""));
        assert_eq!(origin.asked().len(), 1);
    }

    #[tokio::test]
    async fn every_region_is_up_in_an_emptied_world() {
        let world = world(&json!({"us-east-1": {"is": "out"}}));
        Conditions::new(&world).reset();
        assert!(arrives(&world, call("ec2 us-east-1 POST /")).await);
    }
}
