//! The forecast: when each step of a plan will typically be over, before and while it is carried out.
//!
//! The steps are those of the engine: a replacement is a deletion and then a creation. A step begins when everything that it
//! waits for is over, and takes as long as the table of durations says. Caps, rate limits, and the time between two polls are
//! left out; the simulation shows that they make a difference of less than one percent.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use drctl_aws::resources::durations::{self, Draw};
use drctl_engine::state::{Address, Role};
use drctl_engine::{Action, Item, Plan};

/// One step: a resource is deleted, or it is created or changed.
#[derive(Debug, Clone)]
struct Step {
    address: Address,
    deletes: bool,
    takes: Duration,
    /// The steps that it waits for, and the least time between the end of each and its own beginning.
    after: Vec<(usize, Duration)>,
    began: Option<Duration>,
    ended: Option<Duration>,
}

/// One link of the chain that determines how long a plan takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The resource.
    pub address: Address,
    /// Whether it is deleted; otherwise it is created or changed.
    pub deletes: bool,
    /// The time from the end of the link before it to its own end.
    pub takes: Duration,
}

/// When the steps of a plan will be over. Times are counted from the beginning of the run.
#[derive(Debug, Clone)]
pub struct Forecast {
    steps: Vec<Step>,
    index: HashMap<(Address, bool), usize>,
}

impl Forecast {
    /// The forecast for a plan that has not begun. Durations are divided by `scale`. If `scale` is not a positive number, nothing
    /// takes any time.
    #[must_use]
    pub fn new(plan: &Plan, scale: f64) -> Self {
        let mut forecast = Self { steps: Vec::new(), index: HashMap::new() };
        for item in &plan.items {
            let (removes, ensures) = steps_of(item.action);
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
            // Which of two members is deleted first depends on which one writes at the moment.
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
            if let (Some(ensure), Some(target)) = (ensure, self.step(on, false)) {
                self.wait(ensure, target, Duration::ZERO);
            }
        }
        for on in &item.depends_on {
            let (deletion, creation) = (self.step(on, true), self.step(on, false));
            match (deletion, remove, ensure) {
                (Some(deletion), Some(remove), _) => {
                    self.wait(deletion, remove, scaled(held_by_interfaces(item, on), scale));
                }
                (Some(deletion), None, Some(ensure)) if creation.is_none() => {
                    self.wait(deletion, ensure, Duration::ZERO);
                }
                _ => {}
            }
        }
    }

    fn wait(&mut self, step: usize, on: usize, lag: Duration) {
        self.steps[step].after.push((on, lag));
    }

    /// A step has been started.
    pub fn began(&mut self, address: &Address, action: Action, now: Duration) {
        if let Some(step) = self.step(address, action == Action::Delete) {
            self.steps[step].began.get_or_insert(now);
        }
    }

    /// A step is over, whatever its outcome.
    pub fn ended(&mut self, address: &Address, action: Action, now: Duration) {
        if let Some(step) = self.step(address, action == Action::Delete) {
            self.steps[step].ended.get_or_insert(now);
        }
    }

    /// A resource is skipped: none of its steps will be started.
    pub fn skipped(&mut self, address: &Address, now: Duration) {
        for deletes in [true, false] {
            if let Some(step) = self.step(address, deletes) {
                self.steps[step].ended.get_or_insert(now);
            }
        }
    }

    /// Whether any step takes time.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.steps.iter().any(|step| !step.takes.is_zero())
    }

    /// When everything will be over, as far as is known at `now`; never before `now` while anything is left.
    #[must_use]
    pub fn end(&self, now: Duration) -> Duration {
        self.ends(now).into_iter().max().unwrap_or_default()
    }

    /// When everything of one role will be over.
    #[must_use]
    pub fn end_of(&self, role: Role, now: Duration) -> Duration {
        let ends = self.ends(now);
        let own = self.steps.iter().zip(ends).filter(|(step, _)| step.address.role() == role);
        own.map(|(_, end)| end).max().unwrap_or_default()
    }

    /// What a role without a step in progress waits for: the step that delays its next one most, and when it will be over.
    #[must_use]
    pub fn holds_up(&self, role: Role, now: Duration) -> Option<(&Address, Duration)> {
        let ends = self.ends(now);
        let is_open = |step: &Step| step.began.is_none() && step.ended.is_none();
        let own = self.steps.iter().enumerate().filter(|(_, step)| step.address.role() == role && is_open(step));
        let (mut at, _) = own.min_by_key(|(at, step)| ends[*at].saturating_sub(step.takes))?;
        // Goes back along the steps that it waits for, to one in progress. Each step is visited at most once.
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

    /// The chain that ends last, in which each link waited for the one before it; empty if there is nothing to do.
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

    /// When each step will be over.
    fn ends(&self, now: Duration) -> Vec<Duration> {
        let mut ends = Ends { steps: &self.steps, now, computed: vec![None; self.steps.len()] };
        (0..self.steps.len()).map(|at| ends.end(at)).collect()
    }
}

/// The ends of steps, computed recursively.
struct Ends<'a> {
    steps: &'a [Step],
    now: Duration,
    /// `now` while the end of a step is being computed, so that two steps that wait for each other do not recurse for ever.
    computed: Vec<Option<Duration>>,
}

impl Ends<'_> {
    fn end(&mut self, at: usize) -> Duration {
        if let Some(end) = self.computed[at] {
            return end;
        }
        let step = &self.steps[at];
        let end = if let Some(ended) = step.ended {
            ended
        } else {
            self.computed[at] = Some(self.now);
            let free = step.after.iter().map(|(on, lag)| self.end(*on) + *lag).max().unwrap_or_default();
            // If it was started before everything that it waits for was over, AWS makes it wait.
            let from = step.began.unwrap_or(self.now).max(free);
            (from + step.takes).max(self.now)
        };
        self.computed[at] = Some(end);
        end
    }
}

/// Whether an action has a step that deletes, and whether it has one that creates or changes.
fn steps_of(action: Action) -> (bool, bool) {
    match action {
        Action::None | Action::Refused => (false, false),
        Action::Delete => (true, false),
        Action::Replace => (true, true),
        Action::Create | Action::Update | Action::Record | Action::Unknown => (false, true),
    }
}

/// How long after the deletion of a function its network interfaces keep a subnet or a security group from being deleted. They
/// remain for some time after the function has left its VPC, which is the first step of its deletion.
fn held_by_interfaces(item: &Item, on: &Address) -> Duration {
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

/// A duration divided by a scale; zero if the scale is not a positive number.
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
            weight: None,
            depends_on: on.iter().map(|on| address(on)).collect(),
            waits_for: on.iter().map(|on| address(on)).collect(),
        }
    }

    fn chain(forecast: &Forecast) -> Vec<(String, bool, u64)> {
        forecast.chain().iter().map(|link| (link.address.to_string(), link.deletes, link.takes.as_secs())).collect()
    }

    #[test]
    fn the_chain_is_the_longest_one() {
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
        let expected = [("primary/vpc/main", 12), ("primary/db_cluster/main", 45), ("primary/db_instance/main", 400)];
        assert_eq!(chain(&forecast), expected.map(|(name, takes)| (name.to_owned(), false, takes)));
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
        assert_eq!(chain(&forecast), expected.map(|(name, deletes, takes)| (name.to_owned(), deletes, takes)));
    }

    #[test]
    fn a_function_holds_its_subnets_for_a_while_after_its_deletion() {
        let plan = Plan {
            items: vec![
                item("primary/lambda_function/processor", Action::Delete, 32, &["primary/subnet/private-a"]),
                item("primary/subnet/private-a", Action::Delete, 1, &[]),
            ],
        };
        // One second until it has left its VPC, and 1100 after that.
        assert_eq!(Forecast::new(&plan, 1.0).end(Duration::ZERO), at(1 + 1100 + 1));
    }

    #[test]
    fn real_times_replace_expected_ones() {
        let [slow, next] = ["primary/db_instance/main", "secondary/db_cluster/main"];
        let plan = Plan { items: vec![item(slow, Action::Create, 400, &[]), item(next, Action::Create, 400, &[slow])] };
        let mut forecast = Forecast::new(&plan, 1.0);
        forecast.began(&address(slow), Action::Create, at(10));
        assert_eq!((forecast.end(at(20)), forecast.end_of(Role::Primary, at(20))), (at(810), at(410)));
        assert_eq!(forecast.holds_up(Role::Secondary, at(20)), Some((&address(slow), at(410))));
        assert_eq!(forecast.holds_up(Role::Primary, at(20)), None, "its only step is in progress");
        // It is overdue and may end at any moment. The next step has not started yet.
        assert_eq!(forecast.end(at(500)), at(900));
        forecast.ended(&address(slow), Action::Create, at(600));
        assert_eq!(forecast.end(at(610)), at(1010), "it has not been started yet");
        forecast.skipped(&address(next), at(620));
        assert_eq!(forecast.end(at(700)), at(620));
    }

    #[test]
    fn without_a_valid_scale_nothing_takes_time() {
        assert_eq!(scaled(at(105), 60.0), Duration::from_millis(1750));
        for scale in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert_eq!(scaled(at(105), scale), Duration::ZERO);
        }
    }

    #[test]
    fn steps_that_wait_for_each_other_have_an_end() {
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
