//! Rate limits per Region, service and class of call, below AWS's own: who stays under them is not throttled.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::engine::Region;

/// What a call does, as far as its rate is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It looks.
    Read,
    /// It changes something.
    Mutate,
}

type Key = (Region, &'static str, Kind);

/// The limits in force.
#[derive(Debug)]
pub struct Limits {
    enforced: bool,
    limiters: Mutex<HashMap<Key, Arc<DefaultDirectRateLimiter>>>,
}

/// Calls per second and burst.
fn quota(service: &str, kind: Kind) -> (u32, u32) {
    match (service, kind) {
        // https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: mutating actions refill at 5/s.
        ("ec2", Kind::Mutate) => (5, 25),
        ("ec2", Kind::Read) => (10, 50),
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html: CreateLogGroup 10/s,
        // PutRetentionPolicy and AssociateKmsKey 5/s.
        ("logs" | "kms", Kind::Mutate) => (5, 5),
        // IAM publishes no figure; Terraform's users are throttled from about 15/s on.
        ("iam", Kind::Mutate) => (5, 10),
        // https://docs.aws.amazon.com/kms/latest/developerguide/throttling.html: CreateKey and most of its kin 5/s or more,
        // reads of keys share quotas in the hundreds or more.
        ("kms", Kind::Read) => (50, 100),
        _ => (10, 20),
    }
}

impl Limits {
    /// For AWS itself.
    #[must_use]
    pub fn aws() -> Self {
        Self { enforced: true, limiters: Mutex::default() }
    }

    /// For a custom endpoint, which sets its own.
    #[must_use]
    pub fn none() -> Self {
        Self { enforced: false, limiters: Mutex::default() }
    }

    /// Waits until a call may leave.
    pub async fn permit(&self, region: &Region, service: &'static str, kind: Kind) {
        if !self.enforced {
            return;
        }
        let limiter = self
            .limiters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((region.clone(), service, kind))
            .or_insert_with(|| {
                let (rate, burst) = quota(service, kind);
                let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
                Arc::new(RateLimiter::direct(Quota::per_second(at_least_one(rate)).allow_burst(at_least_one(burst))))
            })
            .clone();
        limiter.until_ready().await;
    }
}
