//! What was called, for tests and `drctl policy`.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::sync::lock;
use crate::wire::recorded::RecordedRequest;

/// Enough for the largest test run, and some 30 MB at most.
const REMEMBERED: usize = 200_000;

/// Of how many calls the requests are known: some 30 MB, too.
const REQUESTS: usize = 20_000;

/// One call to "AWS", as the SDK's retries make it: an operation that was tried three times is three calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Its place in the order in which calls arrived.
    pub seq: u64,
    /// The account it was made in.
    pub account: String,
    /// The region it was signed for.
    pub region: String,
    /// The service's signing name.
    pub service: String,
    /// The operation; method and path where a REST service's operations are not read.
    pub operation: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// How long the answer took.
    pub millis: u64,
    /// What was sent, where that is asked for and still known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RecordedRequest>,
}

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    next: AtomicU64,
    calls: Mutex<VecDeque<CallRecord>>,
}

impl CallLog {
    /// The number of a call that arrives now.
    pub(crate) fn arrive(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add(&self, record: CallRecord) {
        let mut calls = lock(&self.calls);
        if calls.len() == REMEMBERED {
            calls.pop_front();
        }
        calls.push_back(record);
        if let Some(old) = calls.len().checked_sub(REQUESTS + 1) {
            calls[old].request = None;
        }
    }

    /// The calls of an account, or all, in the order in which they arrived; with what was sent, or without.
    pub(crate) fn list(&self, account: Option<&str>, requests: bool) -> Vec<CallRecord> {
        let calls = lock(&self.calls);
        let its = calls.iter().filter(|call| account.is_none_or(|account| call.account == account));
        let mut list: Vec<_> =
            its.map(|call| CallRecord { request: call.request.clone().filter(|_| requests), ..call.clone() }).collect();
        drop(calls);
        list.sort_by_key(|call| call.seq);
        list
    }

    /// Forgets the calls of an account, or all; returns how many.
    pub(crate) fn forget(&self, account: Option<&str>) -> usize {
        let mut calls = lock(&self.calls);
        let before = calls.len();
        calls.retain(|call| account.is_some_and(|account| call.account != account));
        before - calls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(log: &CallLog, account: &str) -> CallRecord {
        CallRecord {
            seq: log.arrive(),
            account: account.to_owned(),
            region: "us-east-1".to_owned(),
            service: "ec2".to_owned(),
            operation: "DescribeVpcs".to_owned(),
            status: 200,
            millis: 1,
            request: None,
        }
    }

    #[test]
    fn calls_are_listed_in_the_order_of_their_arrival() {
        let log = CallLog::default();
        let (first, second) = (call(&log, "a"), call(&log, "b"));
        log.add(second);
        log.add(first);
        let order: Vec<u64> = log.list(None, false).iter().map(|call| call.seq).collect();
        assert_eq!(order, [1, 2]);
        assert_eq!(log.list(Some("b"), false).len(), 1);
    }

    #[test]
    fn one_accounts_calls_are_forgotten() {
        let log = CallLog::default();
        for account in ["a", "b", "a"] {
            log.add(call(&log, account));
        }
        assert_eq!(log.forget(Some("a")), 2);
        assert_eq!(log.list(None, false).len(), 1);
        assert_eq!(log.forget(None), 1);
        assert!(log.list(None, false).is_empty());
    }
}
