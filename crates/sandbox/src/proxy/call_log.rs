//! The calls that the proxy has received, for `GET /_drctl/calls`, by which tests read them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::sync::lock;
use crate::wire::recorded::RecordedRequest;

/// How many calls are kept: enough for the largest test run, and some 30 MB at most.
const CALLS_KEPT: usize = 200_000;

/// For how many calls the request is kept: some 30 MB, too.
const REQUESTS_KEPT: usize = 20_000;

/// One call to "AWS". Each of the SDK's retries counts: an operation that was tried three times is three calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Its position in the order in which calls arrived.
    pub seq: u64,
    /// The account in which it was made.
    pub account: String,
    /// The Region for which it was signed.
    pub region: String,
    /// The service's signing name.
    pub service: String,
    /// The operation; method and path if the operation of a REST service is not known.
    pub operation: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// How long the answer took.
    pub millis: u64,
    /// The ARN of the function that made it; none for any other caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The request, if it was asked for and is still kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RecordedRequest>,
}

/// The calls received so far.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    next: AtomicU64,
    calls: Mutex<VecDeque<CallRecord>>,
}

impl CallLog {
    /// The number for a call that arrives now.
    pub(crate) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add(&self, record: CallRecord) {
        let mut calls = lock(&self.calls);
        if calls.len() == CALLS_KEPT {
            calls.pop_front();
        }
        calls.push_back(record);
        if let Some(old) = calls.len().checked_sub(REQUESTS_KEPT + 1) {
            calls[old].request = None;
        }
    }

    /// The calls of one account or of all accounts, in the order in which they arrived, with or without the requests.
    pub(crate) fn list(&self, account: Option<&str>, requests: bool) -> Vec<CallRecord> {
        let calls = lock(&self.calls);
        let selected = calls.iter().filter(|call| account.is_none_or(|account| call.account == account));
        let mut list: Vec<_> = selected
            .map(|call| CallRecord { request: call.request.clone().filter(|_| requests), ..call.clone() })
            .collect();
        drop(calls);
        list.sort_by_key(|call| call.seq);
        list
    }

    /// Forgets the calls of one account or of all accounts, and returns how many there were.
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
            seq: log.next_number(),
            account: account.to_owned(),
            region: "us-east-1".to_owned(),
            service: "ec2".to_owned(),
            operation: "DescribeVpcs".to_owned(),
            status: 200,
            millis: 1,
            function: None,
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
    fn the_calls_of_one_account_are_forgotten() {
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
