//! Filters, which MiniStack does not all apply, and ids that do not exist, for which it does not refuse a listing.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::ec2::{filters, listing};
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;

/// Applies every filter that can be evaluated on the items, whether MiniStack has applied it or not.
pub(super) struct Selection;

impl Rule for Selection {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            if call.service == "ec2" && answer.is_success() {
                select(call, &mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

fn select(call: &Call, answer: &mut Answer) {
    let Some(listing) = listing(&call.operation) else { return };
    listing.refuse_missing(call, answer);
    let filters = filters::of(call.form());
    if filters.is_empty() {
        return;
    }
    answer.edit_xml(|root| {
        let items = listing.items_mut(root);
        let before = items.len();
        items.retain(|item| filters::pass(&filters, item));
        items.len() != before
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::ec2;

    const ADDRESSES: &str = "<DescribeAddressesResponse><addressesSet>\
        <item><allocationId>eipalloc-1</allocationId><tagSet><item><key>drctl:stack</key><value>a</value></item></tagSet></item>\
        <item><allocationId>eipalloc-2</allocationId><tagSet/></item></addressesSet></DescribeAddressesResponse>";

    async fn ask(body: &str) -> String {
        let origin = Scripted::xml(ADDRESSES);
        text(&Selection.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], &origin)).await)
    }

    #[tokio::test]
    async fn filters_that_the_emulator_ignores_are_applied() {
        let found = ask("Action=DescribeAddresses&Filter.1.Name=tag:drctl:stack&Filter.1.Value.1=a").await;
        assert!(found.contains("eipalloc-1") && !found.contains("eipalloc-2"), "{found}");
        let none = ask("Action=DescribeAddresses&Filter.1.Name=tag:drctl:stack&Filter.1.Value.1=b").await;
        assert!(!none.contains("eipalloc"), "{none}");
        assert_eq!(ask("Action=DescribeAddresses").await, ADDRESSES);
    }

    #[tokio::test]
    async fn missing_ids_are_refused() {
        let refused = ask("Action=DescribeAddresses&AllocationId.1=eipalloc-3").await;
        assert!(refused.contains("InvalidAllocationID.NotFound"), "{refused}");
    }
}
