//! How patiently a run waits.

use std::time::Duration;

/// How patiently a run waits. All of it is about AWS; a custom endpoint may be told to be quicker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The first delay between two looks at a resource that is on its way; grows up to `poll_max`.
    pub poll_first: Duration,
    /// The longest such delay.
    pub poll_max: Duration,
    /// The first delay before a refused call is repeated; doubles up to 20 s.
    pub retry_first: Duration,
    /// How long after its intent an attempt may have made something that listings do not show yet.
    pub grace: Duration,
    /// How long something made may stay invisible to reads by id.
    pub visible: Duration,
}

impl Default for Timing {
    /// For AWS itself.
    fn default() -> Self {
        Self {
            poll_first: Duration::from_millis(500),
            poll_max: Duration::from_secs(5),
            retry_first: Duration::from_millis(500),
            // EC2's eventual consistency is documented without a bound; "a few minutes" is the worst on record, seconds the rule.
            // https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
            grace: Duration::from_secs(30),
            visible: Duration::from_mins(2),
        }
    }
}

impl Timing {
    /// The delays between looks.
    pub(crate) fn polls(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let max = self.poll_max;
        std::iter::successors(Some(self.poll_first.min(max)), move |delay| Some(delay.mul_f64(1.5).min(max)))
    }

    /// The delay after the `attempt`-th refusal, from 1.
    pub(crate) fn retry(&self, attempt: usize) -> Duration {
        backoff(self.retry_first, Duration::from_secs(20), attempt)
    }
}

/// The delay after the `attempt`-th refusal, from 1: `first`, doubled each time up to `longest`, and between half and all of
/// that by chance, since what was refused together must not come back together.
#[must_use]
pub fn backoff(first: Duration, longest: Duration, attempt: usize) -> Duration {
    let doubled = first * 2_u32.saturating_pow(u32::try_from(attempt.saturating_sub(1).min(10)).unwrap_or(10));
    let [chance, ..] = *uuid::Uuid::new_v4().as_bytes();
    doubled.min(longest).mul_f64(0.5 + f64::from(chance) / 512.0)
}
