//! Replication that takes time: global tables, the replication of buckets, and replicas of secrets.
//!
//! MiniStack has a table, a bucket, and a secret of its own in each Region, and would carry out a write in all of them
//! within the same instant. `ministack/replication.py`, which runs in its process, keeps the writes for other Regions
//! instead, and each answer lists what its call owes. This rule hands the list to the world, which has everything
//! delivered when it is due. Calls about the configuration (replicas, rules, tags, protection) are not touched.
//!
//! It is done there and not here, by calls that repeat a write in the other Region, for three reasons. What a write
//! changes is known there, for all of them alike: an expression, a transaction, a statement of `PartiQL`, the deletion of
//! an expired item. Which of two writes came later can be decided only where nothing happens between the look and the
//! change. And a write that arrives must neither be judged by conditions nor be replicated again, which no call of
//! DynamoDB's or S3's can say.

mod carrier;
mod measure;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::HeaderValue;

use crate::rules::rule::{Next, Origin, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::world::World;
use crate::world::replication::{Carrier, Owed, Replication, Subject};
use carrier::Emulator;

/// The header in which the emulator lists what a call owes.
const OWED: &str = "x-drctl-owed";

/// Hands what the emulator owes to the world.
pub(super) struct Replicated {
    world: World,
    carrier: Arc<dyn Carrier>,
}

/// One line of the list: number, service, account, from, to, subject, and bytes.
type Line = (u64, String, String, String, String, Subject, u64);

impl Replicated {
    pub(super) fn new(world: &World, emulator: &Arc<dyn Origin>) -> Self {
        let carrier = Arc::new(Emulator::new(world, Arc::clone(emulator)));
        Self { world: world.clone(), carrier }
    }

    fn replication(&self) -> &Replication {
        &self.world.replication
    }
}

/// Reads the list of what is owed.
fn read(list: &HeaderValue) -> Result<Vec<Owed>, String> {
    let lines: Vec<Line> = serde_json::from_slice(list.as_bytes()).map_err(|error| error.to_string())?;
    let owed = lines.into_iter().map(|(number, service, account, from, to, subject, bytes)| {
        Owed::new(number, (account, &service, from, to), subject, bytes)
            .ok_or_else(|| format!("`{service}` does not replicate"))
    });
    owed.collect()
}

impl Rule for Replicated {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            if let Some(list) = answer.headers.remove(OWED) {
                match read(&list) {
                    Ok(owed) => self.replication().owe(owed, &self.carrier).await,
                    Err(why) => tracing::error!(why, ?list, "what the emulator owes cannot be read: it is lost"),
                }
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        self.replication().reset(None);
        self.world.metrics.reset();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::rules::rule::tests::{Scripted, ok};
    use crate::sync::lock;
    use crate::wire::call::tests::json as call;

    const ACCOUNT: &str = "111122223333";

    /// An emulator in which every call owes a write to us-east-2, and which remembers what it was told to deliver.
    fn emulator() -> (Arc<dyn Origin>, Arc<Mutex<Vec<String>>>) {
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let (told, number) = (Arc::clone(&delivered), Mutex::new(0));
        let origin = Scripted::new(move |call| {
            if call.uri.path() == "/_drctl/deliver" {
                lock(&told).push(String::from_utf8_lossy(call.body()).into_owned());
                return ok(r#"["delivered"]"#);
            }
            let mut number = lock(&number);
            *number += 1;
            let owed = json!([[*number, "dynamodb", ACCOUNT, "us-east-1", "us-east-2", {"TableName": "t"}, 10]]);
            let mut answer = ok("{}");
            answer.headers.insert(OWED, owed.to_string().parse().expect("a header"));
            answer
        });
        (Arc::new(origin), delivered)
    }

    async fn write(rule: &Replicated, origin: &Arc<dyn Origin>) -> Answer {
        let mut call = call("dynamodb", "DynamoDB_20120810.PutItem", r#"{"TableName":"t"}"#);
        rule.apply(&mut call, Next::new(&[], origin.as_ref())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_arrives_before_its_answer_if_nothing_takes_time_and_later_otherwise() {
        let (world, (origin, delivered)) = (World::default(), emulator());
        let rule = Replicated::new(&world, &origin);
        let answer = write(&rule, &origin).await;
        assert!(!answer.headers.contains_key(OWED), "the list is none of the client's business");
        assert_eq!(*lock(&delivered), ["[1]"]);
        let order = serde_json::from_value(json!({"dynamodb": {"lag": 5}})).expect("an order");
        world.replication.order(None, &order).expect("taken");
        write(&rule, &origin).await;
        tokio::time::sleep(Duration::from_millis(4900)).await;
        assert_eq!(lock(&delivered).len(), 1);
        assert_eq!(world.replication.shown(Some(ACCOUNT)).pending[0].bytes, 10);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(*lock(&delivered), ["[1]", "[2]"]);
        let latency: Vec<f64> = world.metrics.collect().iter().map(|sample| sample.value).collect();
        assert!(latency[0] < 100.0 && (5000.0..5100.0).contains(&latency[1]), "{latency:?}");
        assert!(world.replication.shown(None).pending.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_owed_any_more_in_an_emptied_world() {
        let (world, (origin, delivered)) = (World::default(), emulator());
        let rule = Replicated::new(&world, &origin);
        let order = serde_json::from_value(json!({"dynamodb": {"lag": 5}})).expect("an order");
        world.replication.order(None, &order).expect("taken");
        write(&rule, &origin).await;
        rule.reset();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(lock(&delivered).is_empty());
        write(&rule, &origin).await;
        assert_eq!(*lock(&delivered), ["[2]"], "the lag is gone, too");
    }

    #[test]
    fn a_list_that_cannot_be_read_is_refused() {
        for wrong in ["", "[[1]]", r#"[[1,"sqs","a","b","c",{},1]]"#] {
            assert!(read(&HeaderValue::from_static(wrong)).is_err(), "{wrong}");
        }
    }
}
