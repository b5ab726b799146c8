//! Delivering what is owed: the emulator is told which writes arrive now.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::measure::Measure;
use crate::rules::rule::Origin;
use crate::wire::call::Call;
use crate::world::World;
use crate::world::replication::{Carried, Carrier};

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It has arrived.
    Delivered,
    /// A later write to the same item is there already.
    Superseded,
    /// There is nothing any more to which, or from which, it could be delivered.
    Gone,
    /// AWS would report a failure, and try no more.
    Failed,
}

/// The emulator as the one that delivers.
///
/// It is asked directly, past the rules: what a service does between its Regions is nobody's call.
pub(super) struct Emulator {
    origin: Arc<dyn Origin>,
    measure: Arc<Measure>,
}

impl Emulator {
    pub(super) fn new(world: &World, origin: Arc<dyn Origin>) -> Self {
        Self { origin, measure: Measure::new(world) }
    }

    async fn tell(&self, carried: &[Carried]) -> Result<Vec<Outcome>, String> {
        let numbers: Vec<u64> = carried.iter().map(|carried| carried.owed.number).collect();
        let direction = carried.first().map(|carried| &carried.owed.direction).ok_or("there is nothing to deliver")?;
        let body = Bytes::from(json!(numbers).to_string());
        let target = (Method::POST, "/_drctl/deliver");
        let (account, region, service) = (&direction.account, &direction.to, direction.service);
        let call = Call::signed_by(account, region, service, target, "application/json", body);
        let answer = self.origin.answer(&call.ok_or("the call cannot be written")?).await;
        let text = || String::from_utf8_lossy(answer.body()).into_owned();
        if !answer.is_success() {
            return Err(format!("{}: {}", answer.status, text()));
        }
        let outcomes: Vec<Outcome> = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        if outcomes.len() == numbers.len() { Ok(outcomes) } else { Err(format!("it does not say of each: {}", text())) }
    }
}

impl Carrier for Emulator {
    fn deliver<'a>(&'a self, carried: &'a [Carried]) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let outcomes = self.tell(carried).await?;
            for (carried, outcome) in carried.iter().zip(outcomes) {
                self.measure.arrived(carried, outcome);
            }
            Ok(())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok};
    use crate::wire::answer::Answer;
    use crate::world::replication::Owed;

    fn carried(number: u64) -> Carried {
        let ends = ("111122223333".to_owned(), "s3", "us-east-1".to_owned(), "us-east-2".to_owned());
        let owed = Owed::new(number, ends, [].into(), 1).expect("S3 replicates");
        Carried { owed, age: Duration::from_secs(1) }
    }

    async fn deliver(origin: Scripted) -> Result<(), String> {
        Emulator::new(&World::default(), Arc::new(origin)).deliver(&[carried(7), carried(8)]).await
    }

    #[tokio::test]
    async fn the_emulator_is_told_the_numbers_in_their_order() {
        let origin = Scripted::new(|call| {
            assert_eq!((call.account.as_str(), call.region.as_str()), ("111122223333", "us-east-2"));
            assert_eq!(call.body().as_ref(), b"[7,8]");
            ok(r#"["delivered","gone"]"#)
        });
        assert_eq!(deliver(origin).await, Ok(()));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_say_of_each_is_a_failure() {
        for wrong in [r#"["delivered"]"#, r#"["delivered","lost"]"#, "<html/>"] {
            assert!(deliver(Scripted::new(move |_| ok(wrong))).await.is_err(), "{wrong}");
        }
        let down = Scripted::new(|call| Answer::client_error(call, "InternalError", "down"));
        assert!(deliver(down).await.is_err());
    }
}
