//! Rate limits per Region, service and class of call, below AWS's own: a caller that stays below them is not throttled.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use drctl_engine::Region;

/// What a call does, as far as its rate is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It looks.
    Read,
    /// It changes something.
    Mutate,
}

type Key = (Region, Bucket);

/// Whose calls share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bucket {
    /// All calls of a kind to a service.
    Service(&'static str, Kind),
    /// API Gateway's domain names.
    ApiDomains,
    /// The deletion of APIs.
    ApiDeletion,
    /// Everything else of API Gateway's.
    ApiGateway,
    /// `CloudWatch`'s alarms.
    Alarms,
    /// Everything of Route 53's.
    Route53,
}

/// The runtime's clock: where that is paused, so are the limits.
#[derive(Debug, Clone, Copy)]
struct RuntimeClock;

/// A reading of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Reading(Instant);

impl Clock for RuntimeClock {
    type Instant = Reading;

    fn now(&self) -> Reading {
        Reading(Instant::now())
    }
}

impl Reference for Reading {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

impl Add<Nanos> for Reading {
    type Output = Self;

    fn add(self, duration: Nanos) -> Self {
        Self(self.0 + Duration::from(duration))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Reading>>;

/// One limiter and the queue before it: calls are served in their order, and only one at a time waits for the clock.
type Gate = Arc<tokio::sync::Mutex<Limiter>>;

/// The limits in force.
#[derive(Debug)]
pub struct Limits {
    enforced: bool,
    gates: Mutex<HashMap<Key, Gate>>,
}

/// Which limit a call counts against.
fn bucket(service: &'static str, operation: &str, kind: Kind) -> Bucket {
    match (service, operation) {
        ("apigateway", "CreateDomainName" | "UpdateDomainName" | "DeleteDomainName") => Bucket::ApiDomains,
        ("apigateway", "DeleteApi") => Bucket::ApiDeletion,
        ("cloudwatch", "PutMetricAlarm" | "DeleteAlarms") => Bucket::Alarms,
        // One figure for everything.
        ("apigateway", _) => Bucket::ApiGateway,
        ("route53", _) => Bucket::Route53,
        _ => Bucket::Service(service, kind),
    }
}

/// Calls per second and burst.
fn quota(bucket: Bucket) -> Quota {
    let per_second = |rate: u32, burst: u32| Quota::per_second(at_least_one(rate)).allow_burst(at_least_one(burst));
    match bucket {
        // One in 30 s and account, which cannot be raised. See docs/aws-behaviour.md#api-gateway-slow-operations.
        // https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
        Bucket::ApiDomains | Bucket::ApiDeletion => {
            Quota::with_period(Duration::from_secs(30)).unwrap_or_else(|| per_second(1, 1))
        }
        // 10/s and account for all calls, with a burst of 40, not adjustable: the same page. Others may be making some, too.
        // See docs/aws-behaviour.md#api-gateway-rate-limit.
        Bucket::ApiGateway => per_second(8, 20),
        // 3/s each, not adjustable. See docs/aws-behaviour.md#cloudwatch-rate-limits.
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
        Bucket::Alarms => per_second(3, 3),
        // 5/s and account for all calls, which others may be making, too. See docs/aws-behaviour.md#route53-rate-limit.
        // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
        Bucket::Route53 => per_second(4, 1),
        Bucket::Service("cloudwatch", Kind::Read) => per_second(9, 9),
        // https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: mutating actions refill at 5/s.
        // See docs/aws-behaviour.md#ec2-request-limit.
        Bucket::Service("ec2", Kind::Mutate) => per_second(5, 25),
        Bucket::Service("ec2", Kind::Read) => per_second(10, 50),
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html: CreateLogGroup 10/s,
        // PutRetentionPolicy and AssociateKmsKey 5/s.
        Bucket::Service("logs" | "kms", Kind::Mutate) => per_second(5, 5),
        // IAM publishes no figure; Terraform's users are throttled from about 15/s on.
        Bucket::Service("iam", Kind::Mutate) => per_second(5, 10),
        // https://docs.aws.amazon.com/kms/latest/developerguide/throttling.html: CreateKey and most of its kin 5/s or more,
        // reads of keys share quotas in the hundreds or more.
        Bucket::Service("kms", Kind::Read) => per_second(50, 100),
        Bucket::Service(..) => per_second(10, 20),
    }
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

impl Limits {
    /// For AWS itself.
    #[must_use]
    pub fn aws() -> Self {
        Self { enforced: true, gates: Mutex::default() }
    }

    /// For a custom endpoint, which sets its own.
    #[must_use]
    pub fn none() -> Self {
        Self { enforced: false, gates: Mutex::default() }
    }

    /// Whether calls wait.
    pub(super) fn are_enforced(&self) -> bool {
        self.enforced
    }

    /// Waits until a call may leave.
    pub async fn permit(&self, region: &Region, service: &'static str, operation: &str, kind: Kind) {
        if !self.enforced {
            return;
        }
        let bucket = bucket(service, operation, kind);
        let gate = self
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((region.clone(), bucket))
            .or_insert_with(|| {
                Arc::new(tokio::sync::Mutex::new(RateLimiter::direct_with_clock(quota(bucket), RuntimeClock)))
            })
            .clone();
        let limiter = gate.lock().await;
        while let Err(refusal) = limiter.check() {
            tokio::time::sleep(refusal.wait_time_from(RuntimeClock.now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(service: &'static str, operation: &str, kind: Kind) -> (Duration, u32) {
        let quota = quota(bucket(service, operation, kind));
        (quota.replenish_interval(), quota.burst_size().get())
    }

    #[tokio::test(start_paused = true)]
    async fn permits_go_by_the_runtimes_clock_and_in_the_order_of_asking() {
        let limits = Limits::aws();
        let region = Region::from("us-east-1");
        let began = Instant::now();
        let order = Mutex::new(Vec::new());
        let asked = (0..3).map(|number| {
            let (limits, region, order) = (&limits, &region, &order);
            async move {
                limits.permit(region, "apigateway", "DeleteApi", Kind::Mutate).await;
                order.lock().expect("no panic").push((number, began.elapsed().as_secs()));
            }
        });
        futures::future::join_all(asked).await;
        assert_eq!(*order.lock().expect("no panic"), [(0, 0), (1, 30), (2, 60)], "one in half a minute");
        Limits::none().permit(&region, "apigateway", "DeleteApi", Kind::Mutate).await;
        assert_eq!(began.elapsed().as_secs(), 60, "an emulator sets its own");
    }

    #[test]
    fn what_aws_counts_apart_is_paced_apart() {
        // See docs/aws-behaviour.md#ec2-request-limit.
        assert_eq!(allowed("ec2", "CreateSubnet", Kind::Mutate), (Duration::from_millis(200), 25));
        // One in half a minute. See docs/aws-behaviour.md#api-gateway-slow-operations.
        for operation in ["CreateDomainName", "DeleteDomainName", "DeleteApi"] {
            assert_eq!(allowed("apigateway", operation, Kind::Mutate), (Duration::from_secs(30), 1), "{operation}");
        }
        // Reads and changes of API Gateway's stay under ten a second together.
        // See docs/aws-behaviour.md#api-gateway-rate-limit.
        assert_eq!(bucket("apigateway", "CreateRoute", Kind::Mutate), bucket("apigateway", "GetRoutes", Kind::Read));
        assert_eq!(allowed("apigateway", "CreateRoute", Kind::Mutate), (Duration::from_millis(125), 20));
        // Everything together stays under five a second. See docs/aws-behaviour.md#route53-rate-limit.
        assert_eq!(
            bucket("route53", "ListHealthChecks", Kind::Read),
            bucket("route53", "CreateHealthCheck", Kind::Mutate)
        );
        assert_eq!(allowed("route53", "GetHostedZone", Kind::Read), (Duration::from_millis(250), 1));
        // Three a second, for alarms of either kind. See docs/aws-behaviour.md#cloudwatch-rate-limits.
        assert_eq!(
            bucket("cloudwatch", "PutMetricAlarm", Kind::Mutate),
            bucket("cloudwatch", "DeleteAlarms", Kind::Mutate)
        );
        assert_eq!(allowed("cloudwatch", "PutMetricAlarm", Kind::Mutate).1, 3);
    }
}
