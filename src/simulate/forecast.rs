//! When each step of a plan will typically be over, before and while it is carried out.
//!
//! The steps are those of the engine: what is replaced is deleted first and created then. A step begins when everything it
//! waits for is over, and lasts as long as the table of durations says. Caps, rate limits and the time between two looks are
//! left out, which the simulation shows to be less than one part in a hundred.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use drctl_aws::resources::durations::{self, Draw};
use drctl_engine::state::{Address, Role};
use drctl_engine::{Action, Item, Plan};

/// One step: a resource is deleted, or it is brought to what is desired.
#[derive(Debug, Clone)]
struct Step {
    address: Address,
    deletes: bool,
    takes: Duration,
    /// What it waits for, and how long after that it can only be over.
    after: Vec<(usize, Duration)>,
    began: Option<Duration>,
    ended: Option<Duration>,
}

/// One link of the chain that makes the whole last so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which resource.
    pub address: Address,
    /// Whether it is deleted; else it is created or changed.
    pub deletes: bool,
    /// From when the link before it is over until it is over itself.
    pub takes: Duration,
}

/// When the steps of a plan will be over. Times are counted from the beginning of the run.
#[derive(Debug, Clone)]
pub struct Forecast {
    steps: Vec<Step>,
    index: HashMap<(Address, bool), usize>,
}

impl Forecast {
    /// Of a plan that has not begun. Durations are divided by `scale`; at a scale without a pace nothing takes any time.
    #[must_use]
    pub fn new(plan: &Plan, scale: f64) -> Self {
        let mut forecast = Self { steps: Vec::new(), index: HashMap::new() };
        for item in &plan.items {
            let (removes, ensures) = halves(item.action);
            let delete = durations::expected(&item.address).map_or(Duration::ZERO, |takes| takes.delete);
            let (delete, ensure) = match item.action {
                Action::Replace => (delete, item.expected.saturating_sub(delete)),
                _ => (item.expected, item.expected),
            };
            for (is_done, deletes, takes) in [(removes, true, delete), (ensures, false, ensure)] {
                if is_done {
                    forecast.add(&item.address, deletes, scaled(takes, scale));
                }
            }
        }
        let arns: BTreeMap<&str, &Address> =
            plan.items.iter().filter_map(|item| Some((item.live.as_ref()?.arn.as_deref()?, &item.address))).collect();
        for item in &plan.items {
            forecast.connect(item, scale);
            // Which of two goes first follows from their roles at the moment.
            for arn in item.live.iter().flat_map(|live| &live.goes_after) {
                let other = arns.get(arn.as_str()).and_then(|other| forecast.step(other, true));
                if let (Some(remove), Some(other)) = (forecast.step(&item.address, true), other) {
                    forecast.wait(remove, other, Duration::ZERO);
                }
            }
        }
        forecast
    }

    fn add(&mut self, address: &Address, deletes: bool, takes: Duration) {
        self.index.insert((address.clone(), deletes), self.steps.len());
        let address = address.clone();
        self.steps.push(Step { address, deletes, takes, after: Vec::new(), began: None, ended: None });
    }

    fn step(&self, address: &Address, deletes: bool) -> Option<usize> {
        self.index.get(&(address.clone(), deletes)).copied()
    }

    /// The order that the engine keeps: dependents are deleted before what they depend on, and created after it.
    fn connect(&mut self, item: &Item, scale: f64) {
        let (remove, ensure) = (self.step(&item.address, true), self.step(&item.address, false));
        if let (Some(remove), Some(ensure)) = (remove, ensure) {
            self.wait(ensure, remove, Duration::ZERO);
        }
        for on in &item.waits_for {
            if let (Some(ensure), Some(comes)) = (ensure, self.step(on, false)) {
                self.wait(ensure, comes, Duration::ZERO);
            }
        }
        for on in &item.depends_on {
            let (goes, comes) = (self.step(on, true), self.step(on, false));
            match (goes, remove, ensure) {
                (Some(goes), Some(remove), _) => self.wait(goes, remove, scaled(lingers(item, on), scale)),
                (Some(goes), None, Some(ensure)) if comes.is_none() => self.wait(goes, ensure, Duration::ZERO),
                _ => {}
            }
        }
    }

    fn wait(&mut self, step: usize, on: usize, lag: Duration) {
        self.steps[step].after.push((on, lag));
    }

    /// A step's turn has come.
    pub fn began(&mut self, address: &Address, action: Action, now: Duration) {
        if let Some(step) = self.step(address, action == Action::Delete) {
            self.steps[step].began.get_or_insert(now);
        }
    }

    /// A step is over, however it came out.
    pub fn ended(&mut self, address: &Address, action: Action, now: Duration) {
        if let Some(step) = self.step(address, action == Action::Delete) {
            self.steps[step].ended.get_or_insert(now);
        }
    }

    /// A resource is not tried: none of its steps will come.
    pub fn skipped(&mut self, address: &Address, now: Duration) {
        for deletes in [true, false] {
            if let Some(step) = self.step(address, deletes) {
                self.steps[step].ended.get_or_insert(now);
            }
        }
    }

    /// Whether anything takes any time.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.steps.iter().any(|step| !step.takes.is_zero())
    }

    /// When everything is over, as it looks now: never before `now` while anything is left.
    #[must_use]
    pub fn end(&self, now: Duration) -> Duration {
        self.ends(now).into_iter().max().unwrap_or_default()
    }

    /// When everything of one role is over.
    #[must_use]
    pub fn end_of(&self, role: Role, now: Duration) -> Duration {
        let ends = self.ends(now);
        let own = self.steps.iter().zip(ends).filter(|(step, _)| step.address.role() == role);
        own.map(|(_, end)| end).max().unwrap_or_default()
    }

    /// What a role that has nothing under way waits for: the step that will let its next one begin last, and when that is.
    #[must_use]
    pub fn holds_up(&self, role: Role, now: Duration) -> Option<(&Address, Duration)> {
        let ends = self.ends(now);
        let is_open = |step: &Step| step.began.is_none() && step.ended.is_none();
        let own = self.steps.iter().enumerate().filter(|(_, step)| step.address.role() == role && is_open(step));
        let (mut at, _) = own.min_by_key(|(at, step)| ends[*at].saturating_sub(step.takes))?;
        // Back along what holds it up, to what is under way. Each step is passed once.
        for _ in 0..self.steps.len() {
            let open = self.steps[at].after.iter().filter(|(on, _)| self.steps[*on].ended.is_none());
            let (on, _) = *open.max_by_key(|(on, lag)| ends[*on] + *lag)?;
            at = on;
            if self.steps[at].began.is_some() {
                return Some((&self.steps[at].address, ends[at]));
            }
        }
        None
    }

    /// The chain that ends last, each link having waited for the one before it; empty when there is nothing to do.
    #[must_use]
    pub fn chain(&self) -> Vec<Link> {
        let ends = self.ends(Duration::ZERO);
        let mut next = (0..self.steps.len()).max_by_key(|at| ends[*at]);
        let mut links = Vec::new();
        while let Some(at) = next.filter(|_| links.len() < self.steps.len()) {
            let step = &self.steps[at];
            let before = step.after.iter().max_by_key(|(on, lag)| ends[*on] + *lag).map(|(on, _)| *on);
            let from = before.map_or(Duration::ZERO, |on| ends[on]);
            let takes = ends[at].saturating_sub(from);
            links.push(Link { address: step.address.clone(), deletes: step.deletes, takes });
            next = before;
        }
        links.reverse();
        links
    }

    /// When each step is over.
    fn ends(&self, now: Duration) -> Vec<Duration> {
        let mut found = Search { steps: &self.steps, now, ends: vec![None; self.steps.len()] };
        (0..self.steps.len()).map(|at| found.end(at)).collect()
    }
}

struct Search<'a> {
    steps: &'a [Step],
    now: Duration,
    /// `now` while a step is looked at: two that wait for each other do not hold each other up for ever.
    ends: Vec<Option<Duration>>,
}

impl Search<'_> {
    fn end(&mut self, at: usize) -> Duration {
        if let Some(end) = self.ends[at] {
            return end;
        }
        let step = &self.steps[at];
        let end = if let Some(ended) = step.ended {
            ended
        } else {
            self.ends[at] = Some(self.now);
            let free = step.after.iter().map(|(on, lag)| self.end(*on) + *lag).max().unwrap_or_default();
            // What was begun before everything it waits for was over goes on only then: AWS makes it wait.
            let from = step.began.unwrap_or(self.now).max(free);
            (from + step.takes).max(self.now)
        };
        self.ends[at] = Some(end);
        end
    }
}

/// Whether a resource is deleted, and whether it is brought to what is desired.
fn halves(action: Action) -> (bool, bool) {
    match action {
        Action::None | Action::Refused => (false, false),
        Action::Delete => (true, false),
        Action::Replace => (true, true),
        Action::Create | Action::Update | Action::Record | Action::Unknown => (false, true),
    }
}

/// How long after the deletion of a function its network interfaces keep a subnet or a security group from being deleted:
/// counted from when the function has left its VPC, which is the first step of its deletion.
fn lingers(item: &Item, on: &Address) -> Duration {
    if item.address.kind() != "lambda_function" || !matches!(on.kind(), "subnet" | "security_group") {
        return Duration::ZERO;
    }
    let held = durations::interfaces(&item.address, Draw::Typical);
    let known = durations::of(&item.address);
    let steps = known.map(|(_, latencies)| latencies.delete(&item.address, Draw::Typical)).unwrap_or_default();
    let first = steps.first().map_or(Duration::ZERO, durations::Part::calling);
    let whole: Duration = steps.iter().map(durations::Part::whole).sum();
    held.saturating_sub(whole.saturating_sub(first))
}

/// A duration at another pace. A scale that is no pace at all leaves nothing to expect.
#[must_use]
pub fn scaled(expected: Duration, scale: f64) -> Duration {
    if scale.is_finite() && scale > 0.0 {
        Duration::try_from_secs_f64(expected.as_secs_f64() / scale).unwrap_or_default()
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    fn item(name: &str, action: Action, seconds: u64, on: &[&str]) -> Item {
        Item {
            address: address(name),
            region: "us-east-1".to_owned(),
            action,
            reason: None,
            recorded: false,
            id: None,
            changes: Vec::new(),
            unsupported: BTreeMap::new(),
            failure: None,
            refusal: None,
            expected: at(seconds),
            live: None,
            depends_on: on.iter().map(|on| address(on)).collect(),
            waits_for: on.iter().map(|on| address(on)).collect(),
        }
    }

    fn told(forecast: &Forecast) -> Vec<(String, bool, u64)> {
        forecast.chain().iter().map(|link| (link.address.to_string(), link.deletes, link.takes.as_secs())).collect()
    }

    #[test]
    fn the_chain_is_what_waits_for_each_other_longest() {
        let plan = Plan {
            items: vec![
                item("primary/vpc/main", Action::Create, 12, &[]),
                item("primary/db_cluster/main", Action::Create, 45, &["primary/vpc/main"]),
                item("primary/nat_gateway/a", Action::Create, 105, &["primary/vpc/main"]),
                item("primary/db_instance/main", Action::Create, 400, &["primary/db_cluster/main"]),
                item("primary/eip/a", Action::None, 0, &[]),
            ],
        };
        let forecast = Forecast::new(&plan, 1.0);
        let chain = [("primary/vpc/main", 12), ("primary/db_cluster/main", 45), ("primary/db_instance/main", 400)];
        assert_eq!(told(&forecast), chain.map(|(name, takes)| (name.to_owned(), false, takes)));
        assert_eq!(forecast.end(Duration::ZERO), at(457));
        let quick = Forecast::new(&plan, 60.0).end(Duration::ZERO);
        assert!(quick.abs_diff(at(457) / 60) < Duration::from_millis(1), "{quick:?}");
        assert!(!Forecast::new(&plan, f64::INFINITY).is_timed());
        assert!(Forecast::new(&Plan::default(), 1.0).chain().is_empty());
    }

    #[test]
    fn a_replacement_takes_as_long_as_its_deletion_and_its_creation() {
        let plan = Plan {
            items: vec![
                item("primary/db_cluster/main", Action::Replace, 63 + 45, &[]),
                item("primary/db_instance/main", Action::Replace, 420 + 400, &["primary/db_cluster/main"]),
            ],
        };
        let expected = [
            ("primary/db_instance/main", true, 420),
            ("primary/db_cluster/main", true, 63),
            ("primary/db_cluster/main", false, 45),
            ("primary/db_instance/main", false, 400),
        ];
        let forecast = Forecast::new(&plan, 1.0);
        assert_eq!(told(&forecast), expected.map(|(name, deletes, takes)| (name.to_owned(), deletes, takes)));
    }

    #[test]
    fn a_function_holds_its_subnets_for_a_while_after_its_deletion() {
        let plan = Plan {
            items: vec![
                item("primary/lambda_function/processor", Action::Delete, 32, &["primary/subnet/private-a"]),
                item("primary/subnet/private-a", Action::Delete, 1, &[]),
            ],
        };
        // One second until it has left its VPC, and 1100 from then on.
        assert_eq!(Forecast::new(&plan, 1.0).end(Duration::ZERO), at(1 + 1100 + 1));
    }

    #[test]
    fn what_has_happened_takes_the_place_of_what_was_expected() {
        let [slow, next] = ["primary/db_instance/main", "secondary/db_cluster/main"];
        let plan = Plan { items: vec![item(slow, Action::Create, 400, &[]), item(next, Action::Create, 400, &[slow])] };
        let mut forecast = Forecast::new(&plan, 1.0);
        forecast.began(&address(slow), Action::Create, at(10));
        assert_eq!((forecast.end(at(20)), forecast.end_of(Role::Primary, at(20))), (at(810), at(410)));
        assert_eq!(forecast.holds_up(Role::Secondary, at(20)), Some((&address(slow), at(410))));
        assert_eq!(forecast.holds_up(Role::Primary, at(20)), None, "its only step is under way");
        // Overdue: it may end at any moment, and what waits for it has all of its time before it.
        assert_eq!(forecast.end(at(500)), at(900));
        forecast.ended(&address(slow), Action::Create, at(600));
        assert_eq!(forecast.end(at(610)), at(1010), "its turn has not come yet");
        forecast.skipped(&address(next), at(620));
        assert_eq!(forecast.end(at(700)), at(620));
    }

    #[test]
    fn a_scale_that_is_none_expects_nothing() {
        assert_eq!(scaled(at(105), 60.0), Duration::from_millis(1750));
        for scale in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert_eq!(scaled(at(105), scale), Duration::ZERO);
        }
    }

    #[test]
    fn what_waits_for_each_other_comes_to_an_end_all_the_same() {
        let plan = Plan {
            items: vec![
                item("primary/vpc/a", Action::Create, 5, &["primary/vpc/b"]),
                item("primary/vpc/b", Action::Create, 5, &["primary/vpc/a"]),
            ],
        };
        let forecast = Forecast::new(&plan, 1.0);
        assert_eq!(forecast.end(Duration::ZERO), at(10));
        assert!(forecast.chain().len() <= 2);
        assert_eq!(forecast.holds_up(Role::Primary, Duration::ZERO), None);
    }
}
