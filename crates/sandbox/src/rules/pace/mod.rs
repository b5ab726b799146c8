//! AWS's pace: what takes time on AWS takes that time here, divided by the time scale, and shows AWS's intermediate
//! states.
//!
//! The emulator carries out a call at once. This rule then delays the answer for as long as AWS takes to answer, and
//! shows a new resource in its intermediate state until it would be ready. The durations are in one file per service,
//! each a [`ServicePace`]; their source is docs/aws-behaviour.md#duration-table (typical values).
//!
//! A service without such a file is as fast as the emulator.

mod dynamodb;
mod ec2;
mod lambda;
mod latencies;
mod nat;
mod peering;
mod rds;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// How long a call takes that only reads or that is refused, whatever the scale: it is the network's time.
const READ_LATENCY: Duration = Duration::from_millis(30);

/// The seconds for a call that changes something and has no row of its own.
const MUTATION_SECONDS: f64 = 0.5;

/// The pace of one service.
trait ServicePace: Send + Sync {
    /// The service's signing name.
    fn service(&self) -> &'static str;

    /// How many seconds AWS takes to answer an operation that changes something.
    fn seconds(&self, operation: &str) -> Option<f64>;

    /// Called before the emulator: refuses what AWS would refuse at this moment, or changes what is forwarded.
    fn before(&self, _call: &mut Call, _at: Moment) -> Option<Answer> {
        None
    }

    /// Called with the emulator's answer: notes what has begun, and shows intermediate states.
    fn after(&self, _call: &Call, _answer: &mut Answer, _at: Moment) {}

    /// Forgets everything.
    fn reset(&self) {}
}

/// A point in time, and how fast time passes.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: Instant,
    scale: f64,
}

impl Moment {
    /// The moment that on AWS would be `seconds` later.
    fn later(self, seconds: f64) -> Instant {
        self.now + self.scaled(seconds)
    }

    /// How long `seconds` on AWS take here.
    fn scaled(self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds / self.scale).unwrap_or_default()
    }
}

/// Applies the pace of each service.
pub(super) struct PaceRule {
    scale: f64,
    services: Vec<Box<dyn ServicePace>>,
}

impl PaceRule {
    pub(super) fn new(scale: f64) -> Self {
        let interfaces = Arc::new(lambda::Interfaces::default());
        let mut services: Vec<Box<dyn ServicePace>> = vec![
            Box::new(ec2::Ec2::new(Arc::clone(&interfaces))),
            Box::new(lambda::Lambda::new(interfaces)),
            Box::new(rds::Rds::default()),
            Box::new(dynamodb::DynamoDb::default()),
        ];
        for table in latencies::TABLES {
            services.push(Box::new(table));
        }
        Self { scale, services }
    }

    fn moment(&self) -> Moment {
        Moment { now: Instant::now(), scale: self.scale }
    }
}

impl Rule for PaceRule {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let Some(service) = self.services.iter().find(|service| service.service() == call.service) else {
                return next.run(call).await;
            };
            if let Some(refusal) = service.before(call, self.moment()) {
                tokio::time::sleep(READ_LATENCY).await;
                return refusal;
            }
            let mut answer = next.run(call).await;
            // Before the wait: what has begun on AWS is visible to others while its caller still waits for the answer.
            service.after(call, &mut answer, self.moment());
            let wait = if call.reads() || !answer.is_success() {
                READ_LATENCY
            } else {
                self.moment().scaled(service.seconds(&call.operation).unwrap_or(MUTATION_SECONDS))
            };
            tokio::time::sleep(wait).await;
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        for service in &self.services {
            service.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::Scripted;
    use crate::wire::call::tests::{ec2, json};

    async fn took(body: &str, scale: f64) -> Duration {
        let rule = PaceRule::new(scale);
        let origin = Scripted::xml("<r/>");
        let started = Instant::now();
        rule.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], &origin)).await;
        started.elapsed()
    }

    #[tokio::test]
    async fn mutations_take_their_scaled_time_and_reads_a_constant_one() {
        let change = took("Action=AllocateAddress", 10.0).await;
        assert!(change >= Duration::from_millis(100), "{change:?}");
        let read = took("Action=DescribeAddresses", 10_000.0).await;
        assert!(read >= READ_LATENCY, "{read:?}");
    }

    #[tokio::test]
    async fn services_without_a_pace_are_not_slowed() {
        let rule = PaceRule::new(0.01);
        let origin = Scripted::xml("{}");
        let started = Instant::now();
        let mut call = json("athena", "AmazonAthena.CreateWorkGroup", "{}");
        rule.apply(&mut call, Next::new(&[], &origin)).await;
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn durations_are_divided_by_the_scale() {
        let moment = Moment { now: Instant::now(), scale: 60.0 };
        assert_eq!(moment.scaled(105.0), Duration::from_millis(1750));
        assert_eq!(moment.scaled(-1.0), Duration::ZERO);
    }
}
