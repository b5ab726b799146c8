//! Whether an endpoint is healthy, given what each of its checkers observed.
//!
//! The rules are from
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html>.
//! See docs/aws-behaviour.md#health-check-quorum.

use std::collections::{BTreeMap, VecDeque};

/// "If more than 18% of health checkers report that an endpoint is healthy, Route 53 considers it healthy."
const PERCENT: usize = 18;

/// The last observations of one checker, and the resulting status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    threshold: usize,
    recent: VecDeque<bool>,
    status: Option<bool>,
}

impl History {
    /// The history of a checker that has not observed anything.
    #[must_use]
    pub fn new(failure_threshold: usize) -> Self {
        let threshold = failure_threshold.max(1);
        Self { threshold, recent: VecDeque::with_capacity(threshold), status: None }
    }

    /// Adds an observation. Only as many equal ones in a row as the threshold change the status, in either direction.
    pub fn observe(&mut self, success: bool) {
        if self.recent.len() == self.threshold {
            self.recent.pop_front();
        }
        self.recent.push_back(success);
        if self.recent.len() == self.threshold && self.recent.iter().all(|seen| *seen == success) {
            self.status = Some(success);
        }
    }

    /// What the checker reports: whether the endpoint is healthy; `None` as long as it has not observed enough.
    #[must_use]
    pub fn status(&self) -> Option<bool> {
        self.status
    }
}

/// The checkers of one endpoint, known by numbers, and what they say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    threshold: usize,
    checkers: BTreeMap<usize, History>,
    healthy: bool,
}

impl Quorum {
    /// The quorum of a new check. The endpoint counts as healthy until enough has been observed.
    #[must_use]
    pub fn new(failure_threshold: usize) -> Self {
        Self { threshold: failure_threshold, checkers: BTreeMap::new(), healthy: true }
    }

    /// The same status, with the observations forgotten: the checkers start counting again.
    #[must_use]
    pub fn restarted(&self, failure_threshold: usize) -> Self {
        Self { healthy: self.healthy, ..Self::new(failure_threshold) }
    }

    /// Adds what a checker observed.
    pub fn observe(&mut self, checker: usize, success: bool) {
        let threshold = self.threshold;
        self.checkers.entry(checker).or_insert_with(|| History::new(threshold)).observe(success);
        self.decide();
    }

    /// A checker does not report any more. What it observed no longer counts.
    pub fn silence(&mut self, checker: usize) {
        if self.checkers.remove(&checker).is_some() {
            self.decide();
        }
    }

    /// Whether the endpoint is healthy.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.healthy
    }

    /// How many checkers take the endpoint as healthy, and how many report at all.
    ///
    /// A checker that has not observed enough agrees with the status so far: it must not revive a dead endpoint just because
    /// it has only begun to look.
    #[must_use]
    pub fn share(&self) -> (usize, usize) {
        let healthy = self.checkers.values().filter(|history| history.status().unwrap_or(self.healthy)).count();
        (healthy, self.checkers.len())
    }

    fn decide(&mut self) {
        let (healthy, all) = self.share();
        // If no checker reports, the status stays as it was.
        if all > 0 {
            self.healthy = healthy * 100 > all * PERCENT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quorum of sixteen with a threshold of one, of which the first `failing` see the endpoint fail.
    fn sixteen(failing: usize) -> Quorum {
        let mut quorum = Quorum::new(1);
        for checker in 0..16 {
            quorum.observe(checker, checker >= failing);
        }
        quorum
    }

    /// "If 18% of health checkers or fewer report that an endpoint is healthy, Route 53 considers it unhealthy." Three of
    /// sixteen are 18.75 %, two are 12.5 %.
    #[test]
    fn more_than_18_percent_have_to_be_healthy() {
        for (failing, healthy) in [(0, true), (8, true), (13, true), (14, false), (16, false)] {
            assert_eq!(sixteen(failing).healthy(), healthy, "{failing} of 16 fail");
        }
        let mut hundred = Quorum::new(1);
        for checker in 0..100 {
            hundred.observe(checker, checker < 18);
        }
        assert!(!hundred.healthy() && hundred.share() == (18, 100));
        hundred.observe(18, true);
        assert!(hundred.healthy());
    }

    #[test]
    fn each_checker_counts_for_itself() {
        let mut quorum = Quorum::new(3);
        // Sixteen failures, but none of the checkers has seen three in a row.
        for _ in 0..2 {
            (0..8).for_each(|checker| quorum.observe(checker, false));
        }
        assert!(quorum.healthy());
        (0..6).for_each(|checker| quorum.observe(checker, false));
        assert!(quorum.healthy(), "two of eight are 25 %");
        quorum.observe(6, false);
        assert!(!quorum.healthy(), "one of eight is 12.5 %");
    }

    #[test]
    fn a_checker_that_begins_to_look_does_not_change_the_status() {
        let mut quorum = Quorum::new(2);
        for _ in 0..2 {
            quorum.observe(0, false);
        }
        assert!(!quorum.healthy());
        (1..16).for_each(|checker| quorum.observe(checker, true));
        assert!(!quorum.healthy() && quorum.share() == (0, 16));
        (1..4).for_each(|checker| quorum.observe(checker, true));
        assert!(quorum.healthy(), "three of sixteen have seen two successes");
    }

    #[test]
    fn a_checker_that_is_silent_does_not_count() {
        let mut quorum = sixteen(13);
        (13..16).for_each(|checker| quorum.silence(checker));
        assert!(!quorum.healthy() && quorum.share() == (0, 13));
        (0..13).for_each(|checker| quorum.silence(checker));
        assert!(!quorum.healthy() && quorum.share() == (0, 0), "with no reports, the status stays");
    }

    #[test]
    fn restarting_keeps_the_status_and_forgets_the_observations() {
        let mut restarted = sixteen(16).restarted(2);
        assert!(!restarted.healthy() && restarted.share() == (0, 0));
        restarted.observe(0, true);
        assert!(!restarted.healthy());
        restarted.observe(0, true);
        assert!(restarted.healthy());
    }
}
