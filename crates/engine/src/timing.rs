//! How patiently a run waits.

use std::time::Duration;

/// How patiently a run waits. The defaults are for AWS; for a custom endpoint they may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The first delay between two reads of a resource that is not available yet. It grows up to `poll_max`.
    pub poll_first: Duration,
    /// The longest such delay.
    pub poll_max: Duration,
    /// The first delay before a refused call is repeated. It doubles up to 20 s.
    pub retry_first: Duration,
    /// For how long after its intent an attempt may have created something that listings do not show yet.
    pub grace: Duration,
    /// For how long a new resource may stay invisible to reads by its id.
    pub visible: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll_first: Duration::from_millis(500),
            poll_max: Duration::from_secs(5),
            retry_first: Duration::from_millis(500),
            // EC2's eventual consistency is documented without a bound. "A few minutes" is the worst on record, and seconds are usual.
            // https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
            // See docs/aws-behaviour.md#new-id-not-visible-yet.
            grace: Duration::from_secs(30),
            visible: Duration::from_mins(2),
        }
    }
}

impl Timing {
    /// The delays between reads.
    pub(crate) fn polls(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let max = self.poll_max;
        std::iter::successors(Some(self.poll_first.min(max)), move |delay| Some(delay.mul_f64(1.5).min(max)))
    }

    /// The delay after the `attempt`-th refusal, from 1.
    pub(crate) fn retry(&self, attempt: usize) -> Duration {
        backoff(self.retry_first, Duration::from_secs(20), attempt)
    }
}

/// The delay after the `attempt`-th refusal (starting at 1): `first`, doubled each time up to `longest`, then reduced to a random
/// 50 to 100 percent, so that calls refused together are not repeated together.
#[must_use]
pub fn backoff(first: Duration, longest: Duration, attempt: usize) -> Duration {
    let doubled = first * 2_u32.saturating_pow(u32::try_from(attempt.saturating_sub(1).min(10)).unwrap_or(10));
    let [chance, ..] = *uuid::Uuid::new_v4().as_bytes();
    doubled.min(longest).mul_f64(0.5 + f64::from(chance) / 512.0)
}
