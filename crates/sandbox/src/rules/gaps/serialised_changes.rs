//! Lets one change through at a time, so that the rules after it can look before they let a call pass, and can make
//! several calls of one.
//!
//! MiniStack, too, carries out one call at a time, so nothing becomes slower.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// A lock for the changes in each account and Region.
#[derive(Default)]
pub(super) struct SerialisedChanges {
    locks: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<()>>>>,
}

impl SerialisedChanges {
    fn lock_for(&self, call: &Call) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.locks).entry(Scope::of(call)).or_default())
    }
}

impl Rule for SerialisedChanges {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            // Of the reading calls, only one that lists route tables could see a change half done: a route between its
            // two targets.
            let waits = call.service == "ec2" && (!call.reads() || call.operation == "DescribeRouteTables");
            if !waits {
                return next.run(call).await;
            }
            let changes = self.lock_for(call);
            let _held = changes.lock().await;
            next.run(call).await
        }
        .boxed()
    }

    /// Nothing is remembered but the changes in progress, and those go on until they are finished.
    fn reset(&self) {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::rules::rule::tests::Scripted;
    use crate::wire::call::tests::ec2;

    /// Counts how many calls are in progress at the same time.
    struct Concurrency {
        now: AtomicUsize,
        most: Arc<AtomicUsize>,
    }

    impl Rule for Concurrency {
        fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
            async move {
                self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                self.now.fetch_sub(1, Ordering::SeqCst);
                next.run(call).await
            }
            .boxed()
        }

        fn reset(&self) {}
    }

    async fn most_at_once(calls: &[(&str, &str)]) -> usize {
        let most = Arc::new(AtomicUsize::new(0));
        let concurrency = Concurrency { now: AtomicUsize::new(0), most: Arc::clone(&most) };
        let rules: Vec<Box<dyn Rule>> = vec![Box::new(SerialisedChanges::default()), Box::new(concurrency)];
        let origin = Scripted::xml("<r/>");
        let mut calls: Vec<Call> = calls.iter().map(|(region, body)| ec2("111122223333", region, body)).collect();
        futures::future::join_all(calls.iter_mut().map(|call| Next::new(&rules, &origin).run(call))).await;
        assert_eq!(origin.asked().len(), calls.len());
        most.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn changes_and_reads_of_route_tables_wait_for_each_other() {
        let (replace, read) = ("Action=ReplaceRoute", "Action=DescribeRouteTables");
        assert_eq!(most_at_once(&[("us-east-1", replace), ("us-east-1", read), ("us-east-1", replace)]).await, 1);
    }

    #[tokio::test]
    async fn other_regions_and_other_reads_do_not_wait() {
        let replace = "Action=ReplaceRoute";
        assert_eq!(most_at_once(&[("us-east-1", replace), ("us-east-2", replace)]).await, 2);
        assert_eq!(most_at_once(&[("us-east-1", replace), ("us-east-1", "Action=DescribeVpcs")]).await, 2);
    }
}
