//! Faults: what can go wrong with any call, as described in a fault file.
//!
//! They come before all other rules, on the HTTP level, so that the real SDK, its connections, and its parsing are
//! exposed to them. Which calls are struck follows from the file and from the order in which calls arrive, never from a
//! clock or an unseeded draw. Faults are in force for every account, from the start of the sandbox, or for one account
//! (`PUT /_drctl/faults`).

mod codes;
mod file;
mod omit;
mod stale;
mod state;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::sync::watch;

pub(crate) use file::FaultFile;
use file::{Effect, Fault};
use omit::Fields;
use stale::Stale;

use super::surprises::{self, Surprise};
use crate::rules::rule::{Next, Origin, Rule};
use crate::sync::lock;
use crate::wire::answer::{Answer, Delivery};
use crate::wire::call::Call;
use crate::world::aurora::operation::Course;

/// The faults in force.
#[derive(Default)]
pub(crate) struct Faults {
    /// For every account that has none of its own.
    for_all: Mutex<Option<Arc<InForce>>>,
    by_account: Mutex<HashMap<String, Arc<InForce>>>,
}

/// The faults of a file, from the moment at which they were put in force.
struct InForce {
    seed: u64,
    since: Instant,
    aurora: Course,
    faults: Vec<ArmedFault>,
    surprises: Vec<(&'static Surprise, Box<dyn Rule>)>,
    stale: Stale,
    fields: Fields,
    /// How many calls are held.
    held: watch::Sender<u64>,
    /// Whether held calls are released.
    lifted: watch::Sender<bool>,
}

/// A fault with its counters.
struct ArmedFault {
    fault: Fault,
    /// How many calls have matched it.
    matched: AtomicU64,
    /// How many calls it has struck.
    struck: AtomicU64,
}

/// How often the faults in force have matched and struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// For each fault of the file: how many calls have matched it, and how many it has struck.
    faults: Vec<(u64, u64)>,
    /// For each surprise: its entry in docs/aws-behaviour.md, its name, and how often it has occurred.
    surprises: Vec<(&'static str, &'static str, u64)>,
    /// How many calls are held.
    held: u64,
    /// The fields that answers had to which an `omit` applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
}

impl Faults {
    /// Puts the faults of a file in force, for one account or for all of them, in place of the previous ones.
    pub(crate) fn put(&self, account: Option<&str>, file: &FaultFile) {
        let in_force = Arc::new(InForce::new(file));
        let previous = match account {
            Some(account) => lock(&self.by_account).insert(account.to_owned(), in_force),
            None => lock(&self.for_all).replace(in_force),
        };
        release(previous);
    }

    /// Lifts the faults of one account, or those for all accounts. Calls that are held come to their end.
    pub(crate) fn lift(&self, account: Option<&str>) {
        release(match account {
            Some(account) => lock(&self.by_account).remove(account),
            None => lock(&self.for_all).take(),
        });
    }

    pub(crate) fn tally(&self, account: Option<&str>) -> Option<Tally> {
        self.of(account.unwrap_or_default()).map(|in_force| in_force.tally())
    }

    /// Waits until a call of the account is held, or until its faults are lifted.
    pub(crate) async fn wait_for_held(&self, account: &str) {
        if let Some(in_force) = self.of(account) {
            let (mut held, mut lifted) = (in_force.held.subscribe(), in_force.lifted.subscribe());
            // Both senders live as long as `in_force`.
            tokio::select! {
                _ = held.wait_for(|held| *held > 0) => {}
                _ = lifted.wait_for(|lifted| *lifted) => {}
            }
        }
    }

    /// The course that is chosen for an account's switchovers and failovers, and what is done when the faults that choose it
    /// are lifted.
    pub(crate) fn of_aurora(&self, account: &str) -> (Course, BoxFuture<'static, ()>) {
        let Some(in_force) = self.of(account) else { return (Course::default(), std::future::ready(()).boxed()) };
        let mut lifted = in_force.lifted.subscribe();
        let until = async move {
            // An error means that the faults have been dropped, and so are not in force, either.
            let _lifted_or_dropped = lifted.wait_for(|lifted| *lifted).await;
        };
        (in_force.aurora, until.boxed())
    }

    fn of(&self, account: &str) -> Option<Arc<InForce>> {
        lock(&self.by_account).get(account).cloned().or_else(|| lock(&self.for_all).clone())
    }
}

fn release(in_force: Option<Arc<InForce>>) {
    if let Some(in_force) = in_force {
        in_force.lifted.send_replace(true);
    }
}

impl InForce {
    fn new(file: &FaultFile) -> Self {
        let armed =
            |fault: &Fault| ArmedFault { fault: fault.clone(), matched: AtomicU64::new(0), struck: AtomicU64::new(0) };
        let all = file.surprises.iter().any(|name| name == surprises::ALL);
        let chosen =
            surprises::SURPRISES.iter().filter(|surprise| all || file.surprises.iter().any(|n| n == surprise.name));
        Self {
            seed: file.seed,
            since: Instant::now(),
            aurora: file.aurora,
            faults: file.faults.iter().map(armed).collect(),
            surprises: chosen.map(|surprise| (surprise, surprise.rule())).collect(),
            stale: Stale::default(),
            fields: Fields::default(),
            held: watch::Sender::new(0),
            lifted: watch::Sender::new(false),
        }
    }

    fn tally(&self) -> Tally {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally {
            faults: self.faults.iter().map(|armed| (count(&armed.matched), count(&armed.struck))).collect(),
            surprises: self
                .surprises
                .iter()
                .map(|(surprise, rule)| (surprise.behaviour, surprise.name, rule.count()))
                .collect(),
            held: *self.held.borrow(),
            fields: self.fields.names(),
        }
    }

    /// The first fault that strikes a call.
    fn strike(&self, call: &Call) -> Option<&Fault> {
        let age = self.since.elapsed();
        let mut struck = None;
        for (index, armed) in (0_u64..).zip(&self.faults) {
            // States combine with other faults: `carry_out` applies them.
            if armed.fault.does == Effect::State || !armed.fault.matches(call) || !armed.fault.is_in_force(age) {
                continue;
            }
            let number = armed.matched.fetch_add(1, Ordering::Relaxed) + 1;
            if struck.is_none() && armed.fault.strikes(number, draw(self.seed, index, number)) {
                armed.struck.fetch_add(1, Ordering::Relaxed);
                struck = Some(&armed.fault);
            }
        }
        struck
    }

    /// Carries out a call that no fault has stopped, with the states and the surprises in force.
    async fn carry_out(&self, call: &mut Call, next: Next<'_>) -> Answer {
        let age = self.since.elapsed();
        let is_state = |armed: &&ArmedFault| armed.fault.does == Effect::State && armed.fault.is_in_force(age);
        let states: Vec<&ArmedFault> =
            self.faults.iter().filter(is_state).filter(|armed| armed.fault.matches(call)).collect();
        for armed in &states {
            armed.matched.fetch_add(1, Ordering::Relaxed);
            if let Some(refusal) = state::refuse(&armed.fault, call) {
                armed.struck.fetch_add(1, Ordering::Relaxed);
                return refusal;
            }
        }
        let mut answer = run_surprises(&self.surprises, call, next).await;
        for armed in states {
            if state::show(&armed.fault, call, &mut answer) {
                armed.struck.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.stale.learn(call, &answer);
        answer
    }

    async fn hold(&self) -> Answer {
        let mut lifted = self.lifted.subscribe();
        self.held.send_modify(|held| *held += 1);
        // The sender lives as long as `self`.
        let _lifted = lifted.wait_for(|lifted| *lifted).await;
        Answer::undelivered(Delivery::Reset)
    }

    async fn apply(&self, call: &mut Call, next: Next<'_>) -> Answer {
        let Some(fault) = self.strike(call) else { return self.carry_out(call, next).await };
        match fault.does {
            Effect::Fail => codes::failed(call),
            Effect::Unavailable => codes::unavailable(call),
            Effect::Reset => Answer::undelivered(Delivery::Reset),
            Effect::Hang => Answer::undelivered(Delivery::Never),
            Effect::Throttle => codes::throttled(call),
            Effect::ExpireCredentials => codes::expired(call),
            Effect::Refuse => configured_refusal(fault, call),
            Effect::LoseAnswer => {
                self.carry_out(call, next).await;
                if fault.status.is_some() {
                    configured_refusal(fault, call)
                } else {
                    Answer::undelivered(Delivery::Reset)
                }
            }
            Effect::Slow => {
                tokio::time::sleep(fault.lasting()).await;
                self.carry_out(call, next).await
            }
            Effect::Stale => {
                if let Some(refusal) = self.stale.refuse(call, fault) {
                    return refusal;
                }
                let mut answer = self.carry_out(call, next).await;
                self.stale.hide(call, fault, &mut answer);
                answer
            }
            Effect::Omit => {
                let mut answer = self.carry_out(call, next).await;
                self.fields.omit(fault.field.as_deref().unwrap_or_default(), &mut answer);
                answer
            }
            // `strike` never returns it: a state holds for every call.
            Effect::State => self.carry_out(call, next).await,
            Effect::HoldBefore => self.hold().await,
            Effect::HoldAfter => {
                self.carry_out(call, next).await;
                self.hold().await
            }
        }
    }
}

/// The refusal that the fault file describes.
fn configured_refusal(fault: &Fault, call: &Call) -> Answer {
    let code = fault.code.as_deref().unwrap_or("InternalFailure");
    codes::refusal(call, fault.status.unwrap_or(400), code, fault.message.as_deref().unwrap_or_default())
}

/// A number from 0 to 1 that follows from the seed, the fault, and the call's number, mixed as in `SplitMix64`.
fn draw(seed: u64, fault: u64, number: u64) -> f64 {
    let mut mixed = seed.wrapping_add(fault.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(number << 20);
    for factor in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    let [.., high, middle, low] = (mixed ^ (mixed >> 31)).to_be_bytes();
    f64::from(u32::from_be_bytes([0, high, middle, low])) / f64::from(1_u32 << 24)
}

/// Sends a call through the rules of the surprises to the other rules.
async fn run_surprises(rules: &[(&'static Surprise, Box<dyn Rule>)], call: &mut Call, next: Next<'_>) -> Answer {
    match rules.split_first() {
        Some(((_, rule), rest)) => {
            let remaining = Remaining { rest, next };
            rule.apply(call, Next::new(&[], &remaining)).await
        }
        None => next.run(call).await,
    }
}

/// Everything after a surprise: the other surprises, then the other rules.
struct Remaining<'a> {
    rest: &'a [(&'static Surprise, Box<dyn Rule>)],
    next: Next<'a>,
}

impl Origin for Remaining<'_> {
    fn answer<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Answer> {
        async move { run_surprises(self.rest, &mut call.clone(), self.next).await }.boxed()
    }
}

impl Rule for Arc<Faults> {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            match self.of(&call.account) {
                Some(in_force) => in_force.apply(call, next).await,
                None => next.run(call).await,
            }
        }
        .boxed()
    }

    /// Forgets what was created, but leaves the faults in force.
    fn reset(&self) {
        for in_force in lock(&self.by_account).values().chain(lock(&self.for_all).iter()) {
            in_force.stale.reset();
            for (_, surprise) in &in_force.surprises {
                surprise.reset();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::{ec2, json};

    const ACCOUNT: &str = "111122223333";

    fn faults(text: &str) -> Arc<Faults> {
        let faults = Arc::new(Faults::default());
        faults.put(Some(ACCOUNT), &FaultFile::parse(text).expect("a fault file"));
        faults
    }

    async fn ask(faults: &Arc<Faults>, origin: &Scripted, call: &mut Call) -> Answer {
        faults.apply(call, Next::new(&[], origin)).await
    }

    #[tokio::test]
    async fn a_failed_call_is_not_carried_out_and_one_whose_answer_is_lost_is() {
        for (does, carried_out, delivery) in [
            ("fail", false, Delivery::Sent),
            ("unavailable", false, Delivery::Sent),
            ("throttle", false, Delivery::Sent),
            ("expire-credentials", false, Delivery::Sent),
            ("reset", false, Delivery::Reset),
            ("hang", false, Delivery::Never),
            ("lose-answer", true, Delivery::Reset),
        ] {
            let faults = faults(&format!("[[fault]]\nfirst = 1\ndoes = \"{does}\""));
            let origin = Scripted::xml("<r/>");
            let answer = ask(&faults, &origin, &mut ec2(ACCOUNT, "us-east-1", "Action=CreateVpc")).await;
            assert_eq!(origin.asked().len(), usize::from(carried_out), "{does}");
            assert_eq!(answer.delivery, delivery, "{does}");
            assert!(delivery != Delivery::Sent || !answer.is_success(), "{does}");
            let after = ask(&faults, &origin, &mut ec2(ACCOUNT, "us-east-1", "Action=CreateVpc")).await;
            assert!(after.is_success(), "{does} strikes once");
        }
    }

    #[tokio::test]
    async fn each_service_throttles_with_its_own_code() {
        let faults = faults("[[fault]]\ndoes = \"throttle\"");
        let origin = Scripted::xml("<r/>");
        let refusal = text(&ask(&faults, &origin, &mut ec2(ACCOUNT, "us-east-1", "Action=CreateVpc")).await);
        assert!(refusal.contains("RequestLimitExceeded"), "{refusal}");
        let refusal = text(&ask(&faults, &origin, &mut json("kms", "TrentService.CreateKey", "{}")).await);
        assert!(refusal.contains("ThrottlingException"), "{refusal}");
    }

    #[tokio::test]
    async fn faults_are_in_force_for_one_account_or_for_all() {
        let faults = faults("[[fault]]\ndoes = \"fail\"");
        let origin = Scripted::xml("<r/>");
        let mut other = ec2("444455556666", "us-east-1", "Action=CreateVpc");
        assert!(ask(&faults, &origin, &mut other.clone()).await.is_success());
        faults.put(None, &FaultFile::parse("[[fault]]\ndoes = \"unavailable\"").expect("a file"));
        assert_eq!(ask(&faults, &origin, &mut other).await.status, 503);
        let mut own = ec2(ACCOUNT, "us-east-1", "Action=CreateVpc");
        assert_eq!(ask(&faults, &origin, &mut own.clone()).await.status, 500, "an account's own faults come first");
        faults.lift(Some(ACCOUNT));
        faults.lift(None);
        assert!(ask(&faults, &origin, &mut own).await.is_success());
    }

    #[tokio::test]
    async fn a_held_call_can_be_waited_for_and_ends_when_the_faults_are_lifted() {
        for (does, carried_out) in [("hold-before", 0), ("hold-after", 1)] {
            let faults = faults(&format!("[[fault]]\nat = 2\ndoes = \"{does}\""));
            let origin = Scripted::xml("<r/>");
            let mut call = ec2(ACCOUNT, "us-east-1", "Action=CreateVpc");
            ask(&faults, &origin, &mut call).await;
            let lifting = async {
                faults.wait_for_held(ACCOUNT).await;
                assert_eq!(faults.tally(Some(ACCOUNT)).expect("in force").held, 1);
                faults.lift(Some(ACCOUNT));
            };
            let mut again = ec2(ACCOUNT, "us-east-1", "Action=CreateVpc");
            let (answer, ()) = futures::join!(ask(&faults, &origin, &mut again), lifting);
            assert_eq!((answer.delivery, origin.asked().len()), (Delivery::Reset, 1 + carried_out), "{does}");
        }
    }

    #[test]
    fn draws_follow_from_the_seed_and_are_evenly_spread() {
        let draws = |seed| -> Vec<f64> { (1..=1000).map(|number| draw(seed, 0, number)).collect() };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        let mean = draws(7).iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
