//! How long AWS takes, and with which calls. Each type declares it ([`Resource::LATENCIES`](super::Resource::LATENCIES)), by role
//! or by name if these matter: the shortest, typical, and longest duration, and the steps that make it up, i.e. the calls until
//! they are answered, and the time that AWS takes after the last answer until the next step can begin. The seconds of a step are
//! typical ones; they are scaled with the duration.
//!
//! This is the only place that says how long anything takes: plans, the progress of a run, its schedule, and simulations all read
//! it here. The comment at a type names the row of docs/aws-behaviour.md#duration-table that its figures come from. Without a
//! row, they are estimates.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::registry::{TypeEntry, entry};
use drctl_engine::TypicalDurations;
use drctl_engine::state::{Address, Role};

/// Which of the known durations to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// The typical duration of each.
    Typical,
    /// The longest duration of each.
    Worst,
    /// A duration between the shortest and the longest of each, drawn with this seed. The typical one is the likeliest.
    Seed(u64),
}

/// One step of creating or deleting a resource.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The operation to call.
    operation: &'static str,
    /// How many calls, one after the other.
    calls: u32,
    /// Seconds until each is answered.
    answer: f64,
    /// Seconds that AWS takes after the last answer.
    rest: f64,
}

/// How long creating or deleting a resource takes: seconds in total, and the steps.
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

/// Which resources of a type some latencies apply to.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// The resources of one role.
    In(Role),
    /// The resources whose names begin like this.
    Named(&'static str),
    /// All resources to which no earlier latencies apply.
    Any,
}

/// How long AWS takes for a resource of a type: [`Resource::LATENCIES`](super::Resource::LATENCIES).
#[derive(Debug, Clone, Copy)]
pub struct Latencies {
    which: Which,
    /// How many calls it takes to read it.
    pub looks: u32,
    create: Latency,
    delete: Latency,
}

/// A step with its durations in one simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The operation to call.
    pub operation: &'static str,
    /// How many calls, one after the other.
    pub calls: u32,
    /// How long each call takes to be answered.
    pub answer: Duration,
    /// How long AWS takes after the last answer.
    pub rest: Duration,
}

impl Part {
    /// The duration of all calls together.
    #[must_use]
    pub fn calling(&self) -> Duration {
        self.answer * self.calls
    }

    /// The duration from the first call to the end.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.calling() + self.rest
    }
}

/// A step of `calls` calls, one after the other, each of which is answered after `answer` seconds; AWS takes `rest` seconds after
/// that.
pub(super) const fn step(operation: &'static str, calls: u32, answer: f64, rest: f64) -> Step {
    Step { operation, calls, answer, rest }
}

impl Latency {
    /// One call with nothing to wait for after it: the shortest, typical, and longest seconds until it is answered.
    pub(super) const fn of_call(operation: &'static str, seconds: [f64; 3]) -> Self {
        Self::new(seconds, Steps::Call(operation))
    }

    /// Several steps, whose sum is the typical duration.
    pub(super) const fn of_steps(seconds: [f64; 3], steps: &'static [Step]) -> Self {
        Self::new(seconds, Steps::Several(steps))
    }

    const fn new([shortest, typical, longest]: [f64; 3], steps: Steps) -> Self {
        Self { shortest, typical, longest, steps }
    }
}

impl Latencies {
    /// The latencies of all resources of a type, each of which takes `looks` calls to read.
    pub(super) const fn of(looks: u32, create: Latency, delete: Latency) -> Self {
        Self { which: Which::Any, looks, create, delete }
    }

    /// Limits the latencies to some resources. They have to come before those of all others.
    pub(super) const fn only(self, which: Which) -> Self {
        Self { which, ..self }
    }
}

/// "ENI reclaim": how long a function's interfaces keep their subnets and security groups in use after it has left its VPC.
const INTERFACES: Latency = Latency::of_steps([300.0, 1100.0, 2700.0], &[]);

/// The type of a resource and its latencies; `None` for a type that does not exist.
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

/// How long a resource typically takes; `None` for a type that does not exist.
#[must_use]
pub fn expected(address: &Address) -> Option<TypicalDurations> {
    let (entry, latencies) = of(address)?;
    Some(TypicalDurations {
        create: seconds(latencies.create.typical),
        update: seconds(entry.update_seconds),
        delete: seconds(latencies.delete.typical),
    })
}

impl Latencies {
    /// The steps of its creation, with their durations.
    #[must_use]
    pub fn create(&self, address: &Address, draw: Draw) -> Vec<Part> {
        self.create.parts(draw, address, "create")
    }

    /// The steps of its deletion, with their durations; empty if it is never deleted.
    #[must_use]
    pub fn delete(&self, address: &Address, draw: Draw) -> Vec<Part> {
        self.delete.parts(draw, address, "delete")
    }
}

/// How long a function's interfaces keep their subnets and security groups in use after it has left its VPC.
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

/// A number from 0 up to but not including 1: always the same for the same resource and seed.
fn chance(seed: u64, address: &Address, what: &str) -> f64 {
    let digest = Sha256::digest(format!("{seed} {address} {what}").as_bytes());
    let drawn = digest.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    f64::from(drawn) / (f64::from(u32::MAX) + 1.0)
}

/// The quantile of a triangular distribution.
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
    fn the_roles_that_aurora_distinguishes_are_distinguished() {
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
    fn a_drawn_duration_lies_between_the_bounds_and_depends_only_on_the_seed() {
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
