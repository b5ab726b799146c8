//! Client tokens: a request that is repeated with the same token is carried out once.
//!
//! MiniStack ignores EC2's `ClientToken` and creates a second resource. drctl's recovery after a crash relies on AWS's
//! behaviour. See docs/aws-behaviour.md#client-token-repeats-the-answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::{Call, Protocol};

const TOKEN: &str = "ClientToken";

/// A token of an operation, in an account and a Region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    account: String,
    region: String,
    service: String,
    operation: String,
    token: String,
}

/// The first successful request with a token.
struct Replay {
    parameters: Vec<(String, String)>,
    answer: Answer,
}

/// Locked while a call with the token is carried out: a second call waits for the result of the first, as on AWS.
type Slot = Arc<tokio::sync::Mutex<Option<Replay>>>;

/// The tokens seen so far.
#[derive(Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Tokens {
    fn slot(&self, key: Key) -> Slot {
        Arc::clone(lock(&self.slots).entry(key).or_default())
    }
}

/// The token of a call, if its service accepts one.
fn key(call: &Call) -> Option<Key> {
    if call.protocol != Protocol::Ec2Query {
        return None;
    }
    let token = call.form().get(TOKEN).filter(|token| !token.is_empty())?;
    Some(Key {
        account: call.account.clone(),
        region: call.region.clone(),
        service: call.service.clone(),
        operation: call.operation.clone(),
        token: token.to_owned(),
    })
}

/// The parameters by which two requests are the same. Their order does not matter.
fn parameters(call: &Call) -> Vec<(String, String)> {
    let mut pairs = call.form().pairs().to_vec();
    pairs.sort();
    pairs
}

impl Rule for Tokens {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let Some(key) = key(call) else { return next.run(call).await };
            let slot = self.slot(key);
            let mut replay = slot.lock().await;
            let parameters = parameters(call);
            if let Some(replay) = replay.as_ref() {
                if replay.parameters == parameters {
                    tracing::debug!(operation = call.operation, "the same client token again: the same answer");
                    return replay.answer.clone();
                }
                return Answer::client_error(
                    call,
                    "IdempotentParameterMismatch",
                    "The client token you have provided was used for an earlier request with different parameters. \
                     Please use a different client token.",
                );
            }
            let answer = next.run(call).await;
            if answer.is_success() {
                *replay = Some(Replay { parameters, answer: answer.clone() });
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.slots).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::{ec2, json};

    const CREATE: &str = "Action=CreateNatGateway&Version=2016-11-15&SubnetId=subnet-1&ClientToken=t1";

    /// An emulator that creates a new resource each time.
    fn emulator() -> Scripted {
        let created = AtomicU32::new(0);
        Scripted::new(move |_| ok(&format!("nat-{}", created.fetch_add(1, Ordering::Relaxed))))
    }

    async fn ask(tokens: &Tokens, origin: &Scripted, mut call: Call) -> Answer {
        tokens.apply(&mut call, Next::new(&[], origin)).await
    }

    #[tokio::test]
    async fn the_same_token_gets_the_same_answer() {
        let (tokens, origin) = (Tokens::default(), emulator());
        let reordered = "Action=CreateNatGateway&ClientToken=t1&SubnetId=subnet-1&Version=2016-11-15";
        for body in [CREATE, CREATE, reordered] {
            let answer = ask(&tokens, &origin, ec2("111122223333", "us-east-1", body)).await;
            assert_eq!(text(&answer), "nat-0");
        }
        assert_eq!(origin.asked().len(), 1);
    }

    #[tokio::test]
    async fn a_token_belongs_to_an_account_a_region_and_an_operation() {
        let (tokens, origin) = (Tokens::default(), emulator());
        let other = "Action=CreateVpcEndpoint&Version=2016-11-15&SubnetId=subnet-1&ClientToken=t1";
        ask(&tokens, &origin, ec2("111122223333", "us-east-1", CREATE)).await;
        ask(&tokens, &origin, ec2("111122223333", "us-east-2", CREATE)).await;
        ask(&tokens, &origin, ec2("444455556666", "us-east-1", CREATE)).await;
        ask(&tokens, &origin, ec2("111122223333", "us-east-1", other)).await;
        assert_eq!(origin.asked().len(), 4);
    }

    #[tokio::test]
    async fn the_same_token_with_other_parameters_is_refused() {
        let (tokens, origin) = (Tokens::default(), emulator());
        ask(&tokens, &origin, ec2("111122223333", "us-east-1", CREATE)).await;
        let changed = CREATE.replace("subnet-1", "subnet-2");
        let answer = ask(&tokens, &origin, ec2("111122223333", "us-east-1", &changed)).await;
        assert_eq!(answer.status, 400);
        assert!(text(&answer).contains("<Code>IdempotentParameterMismatch</Code>"));
        assert_eq!(origin.asked().len(), 1);
    }

    #[tokio::test]
    async fn only_a_successful_answer_is_repeated() {
        let tokens = Tokens::default();
        let tries = AtomicU32::new(0);
        let origin = Scripted::new(move |call| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::client_error(call, "NatGatewayLimitExceeded", "too many"),
            _ => ok("nat-1"),
        });
        assert_eq!(ask(&tokens, &origin, ec2("111122223333", "us-east-1", CREATE)).await.status, 400);
        assert_eq!(text(&ask(&tokens, &origin, ec2("111122223333", "us-east-1", CREATE)).await), "nat-1");
        assert_eq!(origin.asked().len(), 2);
    }

    #[tokio::test]
    async fn concurrent_calls_create_one_resource() {
        let (tokens, origin) = (Tokens::default(), emulator());
        let calls = (0..10).map(|_| ask(&tokens, &origin, ec2("111122223333", "us-east-1", CREATE)));
        let answers = futures::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| text(answer) == "nat-0"));
    }

    #[tokio::test]
    async fn other_protocols_and_calls_without_a_token_pass() {
        let (tokens, origin) = (Tokens::default(), emulator());
        let plain = "Action=CreateVpc&CidrBlock=10.0.0.0%2F16";
        for _ in 0..2 {
            ask(&tokens, &origin, ec2("111122223333", "us-east-1", plain)).await;
            ask(&tokens, &origin, json("kms", "TrentService.CreateKey", "{\"ClientToken\":\"t\"}")).await;
        }
        assert_eq!(origin.asked().len(), 4);
    }

    #[tokio::test]
    async fn a_reset_forgets_the_tokens() {
        let (tokens, origin) = (Tokens::default(), emulator());
        ask(&tokens, &origin, ec2("111122223333", "us-east-1", CREATE)).await;
        tokens.reset();
        let answer = ask(&tokens, &origin, ec2("111122223333", "us-east-1", CREATE)).await;
        assert_eq!(text(&answer), "nat-1");
    }
}
