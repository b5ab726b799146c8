//! Tells Route 53's data plane what has changed in its control plane.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::world::World;

/// Lets the checkers and the name servers know of each successful change of an account's Route 53, also of one whose answer is
/// lost on its way back.
pub(super) struct Changes {
    world: World,
}

impl Changes {
    pub(super) fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }
}

impl Rule for Changes {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let answer = next.run(call).await;
            if call.service == "route53"
                && !call.reads()
                && answer.is_success()
                && let Some(route53) = self.world.route53()
            {
                route53.changed(&call.account);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {}
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::rules::rule::tests::Scripted;
    use crate::wire::call::tests::rest;
    use crate::world::route53::tests::world_with_check;

    #[tokio::test]
    async fn each_successful_change_is_told_and_nothing_else() {
        let attached = world_with_check("444455556666", "c1", 1).await;
        let (rule, route53) = (Changes::new(&attached.world), &attached.route53);
        let (fine, refusing) = (
            Scripted::xml("<r/>"),
            Scripted::new(|call| Answer::refusal(call, StatusCode::BAD_REQUEST, "InvalidChangeBatch", "no")),
        );
        let zone = "/2013-04-01/hostedzone/Z1/rrset";
        for (origin, service, method, path) in [
            (&refusing, "route53", "POST", zone),
            (&fine, "route53", "GET", zone),
            (&fine, "route53", "GET", "/2013-04-01/testdnsanswer?hostedzoneid=Z1"),
            (&fine, "lambda", "POST", "/2015-03-31/functions"),
        ] {
            rule.apply(&mut rest(service, method, path, ""), Next::new(&[], origin)).await;
            assert!(route53.accounts().is_empty(), "{method} {path}");
        }
        rule.apply(&mut rest("route53", "POST", zone, ""), Next::new(&[], &fine)).await;
        assert_eq!(route53.accounts(), ["111122223333"]);
    }
}
