//! How long AWS takes, and with which calls. Each type says it of itself ([`Resource::LATENCIES`](super::Resource::LATENCIES)),
//! where it matters by role or by name: whole durations, shortest, typical, and longest, and the steps that make them up: calls
//! that are answered, and what AWS does after the last answer until the next step may come. A step's seconds are typical ones; they
//! stretch with the whole.
//!
//! Nothing else says how long anything takes: plans, the progress of a run, its schedule, and simulations all read it here. The
//! comment at a type names the row of docs/aws-behaviour.md#duration-table that its figures are from; what has none there is an
//! estimate.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::registry::{TypeEntry, entry};
use drctl_engine::Expected;
use drctl_engine::state::{Address, Role};

/// Which of the durations on record are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// The typical one of each.
    Typical,
    /// The longest of each.
    Worst,
    /// Each drawn between its shortest and its longest, the typical one being the likeliest, as this seed decides.
    Seed(u64),
}

/// One step of creating or deleting something.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The operation that is called.
    operation: &'static str,
    /// How often, one after the other.
    calls: u32,
    /// Seconds until each is answered.
    answer: f64,
    /// Seconds that AWS takes after that.
    rest: f64,
}

/// How long creating or deleting something takes: seconds in all, and the steps to it.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    shortest: f64,
    typical: f64,
    longest: f64,
    steps: Steps,
}

#[derive(Debug, Clone, Copy)]
enum Steps {
    /// One call, which takes all of the time.
    Call(&'static str),
    Several(&'static [Step]),
}

/// Which resources of its type some latencies are about.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// Those of one role.
    In(Role),
    /// Those whose names begin so.
    Named(&'static str),
    /// All that none before these are about.
    Any,
}

/// How long AWS takes with a resource of a type: [`Resource::LATENCIES`](super::Resource::LATENCIES).
#[derive(Debug, Clone, Copy)]
pub struct Latencies {
    which: Which,
    /// How many calls one look at it takes.
    pub looks: u32,
    create: Latency,
    delete: Latency,
}

/// A step as it lasts in one simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The operation that is called.
    pub operation: &'static str,
    /// How often, one after the other.
    pub calls: u32,
    /// How long each takes to be answered.
    pub answer: Duration,
    /// What AWS takes after that.
    pub rest: Duration,
}

impl Part {
    /// All calls together.
    #[must_use]
    pub fn calling(&self) -> Duration {
        self.answer * self.calls
    }

    /// From the first call to the end.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.calling() + self.rest
    }
}

/// Calls that are answered after so many seconds each, one after the other, and what AWS takes after that.
pub(super) const fn step(operation: &'static str, calls: u32, answer: f64, rest: f64) -> Step {
    Step { operation, calls, answer, rest }
}

impl Latency {
    /// One call, and nothing to wait for after it: the shortest, typical, and longest seconds until it is answered.
    pub(super) const fn of_call(operation: &'static str, seconds: [f64; 3]) -> Self {
        Self::new(seconds, Steps::Call(operation))
    }

    /// Steps, of which the typical seconds are the sum.
    pub(super) const fn of_steps(seconds: [f64; 3], steps: &'static [Step]) -> Self {
        Self::new(seconds, Steps::Several(steps))
    }

    const fn new([shortest, typical, longest]: [f64; 3], steps: Steps) -> Self {
        Self { shortest, typical, longest, steps }
    }
}

impl Latencies {
    /// Of all resources of a type, each of which takes so many calls to look at.
    pub(super) const fn of(looks: u32, create: Latency, delete: Latency) -> Self {
        Self { which: Which::Any, looks, create, delete }
    }

    /// Of some of them only: to stand before those of all others.
    pub(super) const fn only(self, which: Which) -> Self {
        Self { which, ..self }
    }
}

/// "ENI reclaim": how long a function's interfaces hold what they are in, from when it has left its VPC.
const INTERFACES: Latency = Latency::of_steps([300.0, 1100.0, 2700.0], &[]);

/// What is known of a resource's type; `None` for a type that there is none of.
#[must_use]
pub fn of(address: &Address) -> Option<(&'static TypeEntry, &'static Latencies)> {
    let entry = entry(address.kind())?;
    let latencies = entry.latencies.iter().find(|latencies| match latencies.which {
        Which::In(role) => role == address.role(),
        Which::Named(beginning) => address.name().starts_with(beginning),
        Which::Any => true,
    })?;
    Some((entry, latencies))
}

/// How long a resource typically takes; `None` for a type that there is none of.
#[must_use]
pub fn expected(address: &Address) -> Option<Expected> {
    let (entry, latencies) = of(address)?;
    Some(Expected {
        create: seconds(latencies.create.typical),
        update: seconds(entry.update_seconds),
        delete: seconds(latencies.delete.typical),
    })
}

impl Latencies {
    /// The steps of its creation, as they last.
    #[must_use]
    pub fn create(&self, address: &Address, draw: Draw) -> Vec<Part> {
        self.create.parts(draw, address, "create")
    }

    /// The steps of its deletion, as they last; none for what nobody deletes.
    #[must_use]
    pub fn delete(&self, address: &Address, draw: Draw) -> Vec<Part> {
        self.delete.parts(draw, address, "delete")
    }
}

/// How long a function's interfaces hold what they are in, from when it has left its VPC.
#[must_use]
pub fn interfaces(function: &Address, draw: Draw) -> Duration {
    seconds(INTERFACES.drawn(draw, function, "interfaces"))
}

impl Latency {
    fn drawn(&self, draw: Draw, address: &Address, what: &str) -> f64 {
        match draw {
            Draw::Typical => self.typical,
            Draw::Worst => self.longest,
            Draw::Seed(seed) => triangular([self.shortest, self.typical, self.longest], chance(seed, address, what)),
        }
    }

    fn parts(&self, draw: Draw, address: &Address, what: &str) -> Vec<Part> {
        let stretch = if self.typical > 0.0 { self.drawn(draw, address, what) / self.typical } else { 0.0 };
        let part = |step: &Step| Part {
            operation: step.operation,
            calls: step.calls,
            answer: seconds(step.answer * stretch),
            rest: seconds(step.rest * stretch),
        };
        match self.steps {
            Steps::Call(operation) => vec![part(&step(operation, 1, self.typical, 0.0))],
            Steps::Several(steps) => steps.iter().map(part).collect(),
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// From 0 to 1, below 1: the same for the same resource and seed, whatever else there is.
fn chance(seed: u64, address: &Address, what: &str) -> f64 {
    let digest = Sha256::digest(format!("{seed} {address} {what}").as_bytes());
    let drawn = digest.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    f64::from(drawn) / (f64::from(u32::MAX) + 1.0)
}

/// The value below which a triangular distribution has this share.
fn triangular([least, typical, most]: [f64; 3], share: f64) -> f64 {
    let range = most - least;
    if range <= 0.0 {
        return typical;
    }
    let below = typical - least;
    if share * range < below {
        least + (share * range * below).sqrt()
    } else {
        most - ((1.0 - share) * range * (most - typical)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::TYPES;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn every_type_has_latencies_in_every_role() {
        for entry in TYPES {
            for role in [Role::Primary, Role::Secondary, Role::Global] {
                assert!(of(&Address::new(role, entry.traits.kind, "main")).is_some(), "{role}/{}", entry.traits.kind);
            }
        }
    }

    #[test]
    fn steps_add_up_to_the_whole_and_the_typical_lies_between() {
        for entry in TYPES {
            for Latency { shortest, typical, longest, steps } in
                entry.latencies.iter().flat_map(|latencies| [latencies.create, latencies.delete])
            {
                if let Steps::Several(steps) = steps {
                    let sum: f64 = steps.iter().map(|step| f64::from(step.calls) * step.answer + step.rest).sum();
                    assert!(close(sum, typical), "{}: {sum} of {typical}", entry.traits.kind);
                }
                assert!(shortest <= typical && typical <= longest, "{}", entry.traits.kind);
            }
        }
    }

    #[test]
    fn the_roles_that_aurora_tells_apart_are_told_apart() {
        let whole = |at: &str, made: bool| {
            let address: Address = at.parse().expect("an address");
            let (_, row) = of(&address).expect("latencies");
            let parts = if made { row.create(&address, Draw::Typical) } else { row.delete(&address, Draw::Typical) };
            parts.iter().map(Part::whole).sum::<Duration>().as_secs()
        };
        assert_eq!((whole("primary/db_cluster/main", true), whole("secondary/db_cluster/main", true)), (45, 400));
        assert_eq!((whole("primary/db_instance/main", true), whole("secondary/db_instance/main", true)), (400, 600));
        // Promoting, then deleted. See docs/aws-behaviour.md#member-leaves-before-deletion.
        assert_eq!((whole("primary/db_cluster/main", false), whole("secondary/db_cluster/main", false)), (63, 180));
        let expected = |at: &str| expected(&at.parse().expect("an address")).expect("a row");
        assert_eq!(expected("secondary/db_cluster/main").create.as_secs(), 400);
        assert_eq!(expected("primary/db_instance/main").delete.as_secs(), 420);
        assert_eq!(expected("primary/alarm/api-errors").update.as_secs(), 1);
        assert_eq!((whole("primary/subnet/public-a", true), whole("primary/subnet/private-a", true)), (8, 2));
    }

    #[test]
    fn what_is_drawn_lies_between_the_bounds_and_only_the_seed_decides() {
        let address = Address::new(Role::Primary, "nat_gateway", "a");
        let draw = |seed| INTERFACES.drawn(Draw::Seed(seed), &address, "x");
        let drawn: Vec<f64> = (0..200).map(draw).collect();
        assert!(drawn.iter().all(|seconds| (300.0..=2700.0).contains(seconds)), "{drawn:?}");
        assert!(drawn.iter().any(|seconds| *seconds < 1100.0) && drawn.iter().any(|seconds| *seconds > 1100.0));
        assert!(close(draw(7), draw(7)) && !close(draw(7), draw(8)));
    }

    #[test]
    fn the_triangle_has_its_corners_and_its_top() {
        let bounds = [10.0, 20.0, 50.0];
        assert!(close(triangular(bounds, 0.0), 10.0) && close(triangular(bounds, 1.0), 50.0));
        assert!(close(triangular(bounds, 0.25), 20.0), "a quarter of the width lies below the top");
        assert!(close(triangular([3.0, 3.0, 3.0], 0.5), 3.0));
    }
}
