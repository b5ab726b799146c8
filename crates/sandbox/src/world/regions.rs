//! The condition of each Region: up, out, isolated, or slow; for all of its services or for some, from now on or later.
//!
//! Orders are given for one account, so that tests do not disturb each other, or for all accounts. An account with
//! orders of its own for a Region does not follow those for all accounts there.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::sync::lock;

/// The Region of the global control planes. See docs/aws-behaviour.md#global-control-planes.
pub(crate) const GLOBAL: &str = "us-east-1";

/// How much later the answers of a slow Region arrive, if the order does not say.
const SLOW_BY: f64 = 2.0;

/// The services that an order can be for, by their signing names: those that the architecture and its functions call.
const SERVICES: [&str; 18] = [
    "acm",
    "apigateway",
    "dynamodb",
    "ec2",
    "execute-api",
    "iam",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "rds",
    "rds-data",
    "route53",
    "s3",
    "secretsmanager",
    "servicequotas",
    "sns",
    "sts",
];

/// What can be ordered of a Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegionState {
    /// It works.
    Up,
    /// Nothing in it answers.
    Out,
    /// It answers its clients, and nothing crosses its border to or from another Region.
    Isolated,
    /// It answers later.
    Slow,
}

impl RegionState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Out, Self::Isolated, Self::Slow, Self::Up];

    /// Its name on the command line and in an order.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Out => "out",
            Self::Isolated => "isolated",
            Self::Slow => "slow",
        }
    }
}

/// What becomes of a call that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manner {
    /// It is never answered, as in most real outages. Its connection is reset when the Region comes back.
    #[default]
    Hang,
    /// Its connection is reset.
    Reset,
}

/// An order: what a Region, or some of its services, shall be from some moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionOrder {
    /// The state.
    pub is: RegionState,
    /// The signing names of the services to which it applies; all of them if there are none.
    #[serde(rename = "for", default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// The seconds until it takes effect; at once if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// For `slow`: how many seconds later answers arrive, by default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<f64>,
    /// For `out`: what becomes of calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manner: Option<Manner>,
}

impl RegionOrder {
    /// The order that all services of a Region shall be in this state from now on.
    #[must_use]
    pub fn new(is: RegionState) -> Self {
        Self { is, services: Vec::new(), after: None, by: None, manner: None }
    }

    fn condition(&self) -> Result<Condition, String> {
        if self.by.is_some() && self.is != RegionState::Slow {
            return Err("only `slow` has `by`".to_owned());
        }
        if self.manner.is_some() && self.is != RegionState::Out {
            return Err("only `out` has `manner`: hang or reset".to_owned());
        }
        if let Some(unknown) = self.services.iter().find(|name| !SERVICES.contains(&name.as_str())) {
            let known = SERVICES.join(", ");
            return Err(format!("there is no service `{unknown}`; services have their signing names: {known}"));
        }
        Ok(match self.is {
            RegionState::Up => Condition::Up,
            RegionState::Out => Condition::Out(self.manner.unwrap_or_default()),
            RegionState::Isolated => Condition::Isolated,
            RegionState::Slow => Condition::Slow(seconds("by", self.by.unwrap_or(SLOW_BY))?),
        })
    }

    fn delay(&self) -> Result<Duration, String> {
        seconds("after", self.after.unwrap_or_default())
    }
}

fn seconds(name: &str, value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value).map_err(|_| format!("`{name}` must be a number of seconds"))
}

/// The first words of the names of AWS's Regions, in all partitions, and the last ones before the number: `regionRegex` in the
/// partitions file of the SDKs.
const AREAS: [&str; 12] = ["af", "ap", "ca", "cn", "eu", "eusc", "il", "me", "mx", "sa", "us", "us-gov"];
const DIRECTIONS: [&str; 9] =
    ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];

/// Refuses what is not the name of a Region of AWS, such as `us-east1` or `us-esat-1`: nothing would happen to any Region.
fn check_name(region: &str) -> Result<(), String> {
    let wrong = |like: &str| Err(format!("`{region}` is not the name of a Region; write it as in {like}"));
    let Some((words, number)) = region.rsplit_once('-').filter(|(_, number)| number.parse::<u8>().is_ok()) else {
        return wrong("us-east-1");
    };
    let Some((area, direction)) = words.rsplit_once('-') else { return wrong("us-east-1") };
    // The isolated partitions and the European Sovereign Cloud have more words: us-iso-east-1, eusc-de-east-1.
    let is_area =
        AREAS.contains(&area) || area.split_once('-').is_some_and(|(first, rest)| is_longer_area(first, rest));
    if is_area && DIRECTIONS.contains(&direction) {
        return Ok(());
    }
    let nearest = |written: &str, words: &[&'static str]| {
        let nearest = words.iter().map(|word| (letters_apart(written, word), *word)).min();
        nearest.filter(|(apart, _)| *apart <= 2).map(|(_, word)| word)
    };
    let area = if is_area { Some(area) } else { nearest(area, &AREAS) };
    match (area, nearest(direction, &DIRECTIONS)) {
        (Some(area), Some(direction)) => wrong(&format!("{area}-{direction}-{number}")),
        _ => wrong("us-east-1"),
    }
}

fn is_longer_area(first: &str, rest: &str) -> bool {
    AREAS.contains(&first) && (rest.starts_with("iso") || first == "eusc")
}

/// How many letters one word has that the other one has not. Swapped letters do not count: they are the most frequent mistake.
fn letters_apart(one: &str, other: &str) -> usize {
    let count = |word: &str, letter: char| word.chars().filter(|found| *found == letter).count();
    ('a'..='z').map(|letter| count(one, letter).abs_diff(count(other, letter))).sum()
}

/// What a service in a Region is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Condition {
    #[default]
    Up,
    /// Nothing is answered.
    Out(Manner),
    /// Nothing crosses the Region's border to or from another Region.
    Isolated,
    /// Answers arrive this much later.
    Slow(Duration),
}

impl Condition {
    /// The order that would bring it about at once.
    fn order(self, services: Vec<String>) -> RegionOrder {
        let (is, by, manner) = match self {
            Self::Up => (RegionState::Up, None, None),
            Self::Out(manner) => (RegionState::Out, None, Some(manner)),
            Self::Isolated => (RegionState::Isolated, None, None),
            Self::Slow(by) => (RegionState::Slow, Some(by.as_secs_f64()), None),
        };
        RegionOrder { is, services, after: None, by, manner }
    }
}

/// A service in a Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) region: &'a str,
    /// The signing name.
    pub(crate) service: &'a str,
}

/// The Regions that are not up, or shall not be, each with its orders: first those in force, then those to come.
pub type RegionOrders = BTreeMap<String, Vec<RegionOrder>>;

/// The account that an order is for, or all of them; and the Region.
type Key = (Option<String>, String);

/// The conditions of all Regions. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Regions {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    regions: Mutex<HashMap<Key, Region>>,
    /// The number of changes so far.
    changes: watch::Sender<u64>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Region {
    /// Of the services that have no condition of their own.
    all: Condition,
    services: BTreeMap<String, Condition>,
    scheduled: Vec<Scheduled>,
}

#[derive(Debug)]
struct Scheduled {
    number: u64,
    at: Instant,
    services: Vec<String>,
    condition: Condition,
}

impl Region {
    fn condition(&self, service: &str) -> Condition {
        self.services.get(service).copied().unwrap_or(self.all)
    }

    fn set(&mut self, services: &[String], condition: Condition) {
        if services.is_empty() {
            self.all = condition;
            self.services.clear();
        }
        self.services.extend(services.iter().map(|service| (service.clone(), condition)));
    }

    fn orders(&self) -> Vec<RegionOrder> {
        let all = (self.all != Condition::Up).then(|| self.all.order(Vec::new()));
        let some = self.services.iter().filter(|(_, condition)| **condition != self.all);
        let some = some.map(|(service, condition)| condition.order(vec![service.clone()]));
        let now = Instant::now();
        let to_come = self.scheduled.iter().map(|scheduled| RegionOrder {
            after: Some(scheduled.at.saturating_duration_since(now).as_secs_f64()),
            ..scheduled.condition.order(scheduled.services.clone())
        });
        all.into_iter().chain(some).chain(to_come).collect()
    }
}

impl Regions {
    /// Carries out orders, each for one Region, for one account or for all of them.
    ///
    /// An order for a whole Region that takes effect at once also cancels what was to come there.
    ///
    /// # Errors
    ///
    /// When an order makes no sense: then none is carried out.
    pub(crate) fn order(&self, account: Option<&str>, orders: &BTreeMap<String, RegionOrder>) -> Result<(), String> {
        let mut checked = Vec::new();
        for (region, order) in orders {
            let why = |why| format!("{region}: {why}");
            check_name(region)?;
            checked.push((region, order, order.condition().map_err(why)?, order.delay().map_err(why)?));
        }
        for (region, order, condition, delay) in checked {
            let key = (account.map(str::to_owned), region.clone());
            if delay.is_zero() {
                self.change(&key, |region| {
                    region.set(&order.services, condition);
                    if order.services.is_empty() {
                        region.scheduled.clear();
                    }
                });
            } else {
                self.schedule(key, order.services.clone(), condition, Instant::now() + delay);
            }
        }
        Ok(())
    }

    fn schedule(&self, key: Key, services: Vec<String>, condition: Condition, at: Instant) {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        self.change(&key, |region| {
            region.scheduled.push(Scheduled { number, at, services, condition });
            region.scheduled.sort_by_key(|scheduled| (scheduled.at, scheduled.number));
        });
        let regions = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            regions.change(&key, |region| {
                // It may have been cancelled.
                if let Some(due) = region.scheduled.iter().position(|scheduled| scheduled.number == number) {
                    let due = region.scheduled.remove(due);
                    region.set(&due.services, due.condition);
                }
            });
        });
    }

    fn change(&self, key: &Key, change: impl FnOnce(&mut Region)) {
        change(lock(&self.shared.regions).entry(key.clone()).or_default());
        self.shared.changes.send_modify(|changes| *changes += 1);
    }

    /// Brings every Region up, for every account, and cancels what was to come.
    pub(crate) fn reset(&self) {
        lock(&self.shared.regions).clear();
        self.shared.changes.send_modify(|changes| *changes += 1);
    }

    /// The orders in force and to come for an account, or those for all accounts.
    pub(crate) fn orders(&self, account: Option<&str>) -> RegionOrders {
        let regions = lock(&self.shared.regions);
        let mut found = RegionOrders::new();
        // The account's own come last, and replace those for all accounts.
        for of in [None].into_iter().chain(account.map(Some)) {
            for ((_, name), region) in regions.iter().filter(|((account, _), _)| account.as_deref() == of) {
                found.insert(name.clone(), region.orders());
            }
        }
        found.retain(|_, orders| !orders.is_empty());
        found
    }

    /// Whether anything of a service in a Region is heard elsewhere: it is neither out nor isolated.
    pub(crate) fn is_heard(&self, account: &str, place: Place<'_>) -> bool {
        !matches!(self.condition(account, place), Condition::Out(_) | Condition::Isolated)
    }

    /// The condition of a service in a Region, as an account sees it.
    pub(crate) fn condition(&self, account: &str, place: Place<'_>) -> Condition {
        let regions = lock(&self.shared.regions);
        let of = |account: Option<&str>| regions.get(&(account.map(str::to_owned), place.region.to_owned()));
        of(Some(account)).or_else(|| of(None)).map(|region| region.condition(place.service)).unwrap_or_default()
    }

    /// Whether anything gets from one place to another: never if either is out, and not from Region to Region if either
    /// is isolated.
    pub(crate) fn connects(&self, account: &str, from: Place<'_>, to: Place<'_>) -> bool {
        let ends = [from, to].map(|place| self.condition(account, place));
        let crosses = from.region != to.region;
        ends.iter().all(|end| match end {
            Condition::Out(_) => false,
            Condition::Isolated => !crosses,
            Condition::Up | Condition::Slow(_) => true,
        })
    }

    /// Tells when a condition has changed, of any Region and for any account, or when a change was scheduled.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn order(regions: &Regions, account: Option<&str>, orders: &serde_json::Value) -> Result<(), String> {
        let orders = serde_json::from_value(orders.clone()).map_err(|error| error.to_string())?;
        regions.order(account, &orders)
    }

    fn at<'a>(region: &'a str, service: &'a str) -> Place<'a> {
        Place { region, service }
    }

    #[test]
    fn an_order_is_for_a_whole_region_or_for_some_of_its_services() {
        let regions = Regions::default();
        let is = |region, service| regions.condition(ACCOUNT, at(region, service));
        order(&regions, None, &json!({"us-east-1": {"is": "out", "for": ["s3"], "manner": "reset"}})).expect("taken");
        assert_eq!((is("us-east-1", "s3"), is("us-east-1", "rds")), (Condition::Out(Manner::Reset), Condition::Up));
        order(&regions, None, &json!({"us-east-1": {"is": "slow", "by": 0.5}})).expect("taken");
        let slow = Condition::Slow(Duration::from_millis(500));
        assert_eq!((is("us-east-1", "s3"), is("us-east-1", "rds")), (slow, slow), "it is for all services");
        order(&regions, None, &json!({"us-east-1": {"is": "up", "for": ["rds"]}})).expect("taken");
        assert_eq!((is("us-east-1", "s3"), is("us-east-1", "rds")), (slow, Condition::Up));
        assert_eq!(is("us-east-2", "s3"), Condition::Up);
        regions.reset();
        assert_eq!(is("us-east-1", "s3"), Condition::Up);
    }

    #[test]
    fn an_account_with_orders_of_its_own_does_not_follow_those_for_all() {
        let regions = Regions::default();
        let is = |account| regions.condition(account, at("us-east-1", "ec2"));
        order(&regions, None, &json!({"us-east-1": {"is": "isolated"}, "eu-west-1": {"is": "out"}})).expect("taken");
        order(&regions, Some(ACCOUNT), &json!({"us-east-1": {"is": "up"}})).expect("taken");
        assert_eq!((is(ACCOUNT), is("444455556666")), (Condition::Up, Condition::Isolated));
        let shown = |account| regions.orders(account).into_keys().collect::<Vec<_>>();
        assert_eq!(shown(None), ["eu-west-1", "us-east-1"]);
        assert_eq!(shown(Some(ACCOUNT)), ["eu-west-1"]);
    }

    #[test]
    fn nothing_gets_into_or_out_of_a_region_that_is_isolated_and_within_it_all_is_well() {
        let regions = Regions::default();
        let connects = |from, to| regions.connects(ACCOUNT, at(from, "dynamodb"), at(to, "dynamodb"));
        assert!(connects("us-east-1", "us-east-2"));
        order(&regions, None, &json!({"us-east-1": {"is": "isolated"}, "eu-west-1": {"is": "out"}})).expect("taken");
        assert!(!connects("us-east-1", "us-east-2") && !connects("us-east-2", "us-east-1"));
        assert!(connects("us-east-1", "us-east-1"));
        assert!(!connects("eu-west-1", "eu-west-1") && !connects("eu-west-1", "us-east-2"));
        let other = |service| regions.connects(ACCOUNT, at("us-west-1", service), at("us-west-2", service));
        order(&regions, None, &json!({"us-west-1": {"is": "isolated", "for": ["s3"]}})).expect("taken");
        assert!(!other("s3") && other("dynamodb"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_takes_effect_when_it_is_due_and_is_shown_before() {
        let regions = Regions::default();
        let is = || regions.condition(ACCOUNT, at("us-east-1", "ec2"));
        let mut changed = regions.changed();
        order(&regions, Some(ACCOUNT), &json!({"us-east-1": {"is": "up", "after": 90}})).expect("taken");
        order(&regions, Some(ACCOUNT), &json!({"us-east-1": {"is": "out", "after": 30}})).expect("taken");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(is(), Condition::Up);
        assert_eq!(
            json!(regions.orders(Some(ACCOUNT))),
            json!({"us-east-1": [{"is": "out", "after": 20.0, "manner": "hang"}, {"is": "up", "after": 80.0}]})
        );
        changed.mark_unchanged();
        changed.changed().await.expect("a change");
        assert_eq!(is(), Condition::Out(Manner::Hang));
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(is(), Condition::Up);
        assert!(regions.orders(Some(ACCOUNT)).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_for_now_cancels_what_was_to_come() {
        let regions = Regions::default();
        let is = || regions.condition(ACCOUNT, at("us-east-1", "ec2"));
        order(&regions, None, &json!({"us-east-1": {"is": "out", "after": 30}})).expect("taken");
        order(&regions, None, &json!({"us-east-1": {"is": "slow", "for": ["rds"]}})).expect("taken");
        assert_eq!(regions.orders(None)["us-east-1"].len(), 2, "an order for one service cancels nothing");
        order(&regions, None, &json!({"us-east-1": {"is": "up"}})).expect("taken");
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(is(), Condition::Up);
    }

    #[test]
    fn an_order_that_makes_no_sense_is_refused_and_none_is_carried_out() {
        let regions = Regions::default();
        for (wrong, why) in [
            (json!({"us-east1": {"is": "out"}}), "not the name of a Region"),
            (json!({"us-east-1": {"is": "gone"}}), "unknown variant `gone`"),
            (json!({"us-east-1": {"is": "out", "fro": []}}), "unknown field `fro`"),
            (json!({"us-east-1": {"is": "out", "for": ["dynamo"]}}), "no service `dynamo`"),
            (json!({"us-east-1": {"is": "out", "after": -1}}), "`after` must be"),
            (json!({"us-east-1": {"is": "slow", "by": -1}}), "`by` must be"),
            (json!({"us-east-1": {"is": "out", "by": 1}}), "only `slow`"),
            (json!({"us-east-1": {"is": "up", "manner": "hang"}}), "only `out`"),
            (json!({"eu-west-1": {"is": "out"}, "us-east-1": {"is": "up", "by": 1}}), "us-east-1: only `slow`"),
        ] {
            let error = order(&regions, None, &wrong).expect_err("refused");
            assert!(error.contains(why), "{wrong}: {error}");
        }
        assert!(regions.orders(None).is_empty());
        for region in
            ["us-gov-west-1", "ap-southeast-2", "mx-central-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"]
        {
            assert_eq!(check_name(region), Ok(()));
        }
        for (mistake, meant) in [
            ("us-esat-1", "us-east-1"),
            ("eu-cental-1", "eu-central-1"),
            ("su-west-2", "us-west-2"),
            ("us-east-1a", "us-east-1"),
            ("us-moon-1", "us-east-1"),
            ("us-x-east-1", "us-east-1"),
        ] {
            let refused = format!("`{mistake}` is not the name of a Region; write it as in {meant}");
            assert_eq!(check_name(mistake), Err(refused));
        }
    }
}
