//! One change after the other, so that the rules behind can look before they let a call pass, and make several of one.
//!
//! MiniStack carries out one call at a time as well, so nothing becomes slower.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Whose turn it is in each account and region.
#[derive(Default)]
pub(super) struct Turns {
    turns: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    fn of(&self, call: &Call) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.turns).entry(Scope::of(call)).or_default())
    }
}

impl Rule for Turns {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            // Of what only looks, route tables alone would show a change half made: a route between its two targets.
            let waits = call.service == "ec2" && (!call.reads() || call.operation == "DescribeRouteTables");
            if !waits {
                return next.run(call).await;
            }
            let turn = self.of(call);
            let _held = turn.lock().await;
            next.run(call).await
        }
        .boxed()
    }

    /// Nothing is remembered but who is at it, and that goes on until it is done.
    fn reset(&self) {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::rules::rule::tests::Scripted;
    use crate::wire::call::tests::ec2;

    /// Notes how many calls were behind it at once.
    struct Crowd {
        now: AtomicUsize,
        most: Arc<AtomicUsize>,
    }

    impl Rule for Crowd {
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
        let crowd = Crowd { now: AtomicUsize::new(0), most: Arc::clone(&most) };
        let rules: Vec<Box<dyn Rule>> = vec![Box::new(Turns::default()), Box::new(crowd)];
        let origin = Scripted::xml("<r/>");
        let mut calls: Vec<Call> = calls.iter().map(|(region, body)| ec2("111122223333", region, body)).collect();
        futures::future::join_all(calls.iter_mut().map(|call| Next::new(&rules, &origin).run(call))).await;
        assert_eq!(origin.asked().len(), calls.len());
        most.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn changes_and_looks_at_route_tables_wait_for_each_other() {
        let (replace, look) = ("Action=ReplaceRoute", "Action=DescribeRouteTables");
        assert_eq!(most_at_once(&[("us-east-1", replace), ("us-east-1", look), ("us-east-1", replace)]).await, 1);
    }

    #[tokio::test]
    async fn regions_and_other_looks_do_not_wait() {
        let replace = "Action=ReplaceRoute";
        assert_eq!(most_at_once(&[("us-east-1", replace), ("us-east-2", replace)]).await, 2);
        assert_eq!(most_at_once(&[("us-east-1", replace), ("us-east-1", "Action=DescribeVpcs")]).await, 2);
    }
}
