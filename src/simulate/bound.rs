//! The lower bound of a run: the longest chain of durations, in which each link begins as soon as the one before it allows.
//!
//! It follows from the graph and the durations alone, without caps, rate limits, and polls. No engine can be faster, and the
//! time that a run takes beyond it is what the engine adds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{Model, Models};
use drctl_aws::resources::durations::Part;
use drctl_engine::state::Address;
use drctl_engine::{Graph, Need, PathSegment};

/// The longest chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    /// How long it takes.
    pub(super) whole: Duration,
    /// Its links, each of which waited for the one before it.
    pub(super) path: Vec<PathSegment>,
}

/// A milestone of a resource: [`Need::Exists`] or [`Need::Ready`].
type Point = (Address, Need);

/// When each point is reached, and which other point it waited for.
type Reached = BTreeMap<Point, (Duration, Option<Point>)>;

/// The lower bound of creating everything in a graph.
pub(super) fn up(graph: &Graph, models: &Models) -> Bound {
    let mut up = Up { graph, models, reached: Reached::new() };
    for address in models.keys() {
        up.when(&(address.clone(), Need::Ready));
    }
    longest(&up.reached)
}

struct Up<'a> {
    graph: &'a Graph,
    models: &'a Models,
    reached: Reached,
}

impl Up<'_> {
    fn when(&mut self, point: &Point) -> Duration {
        if let Some((at, _)) = self.reached.get(point) {
            return *at;
        }
        let Some(model) = self.models.get(&point.0) else { return Duration::ZERO };
        let reached = match point.1 {
            Need::Outlives | Need::Exists => self.exists(&point.0, model),
            Need::First | Need::Ready => self.ready(&point.0, model),
        };
        self.reached.insert(point.clone(), reached.clone());
        reached.0
    }

    fn exists(&mut self, address: &Address, model: &Model) -> (Duration, Option<Point>) {
        let needs = self.graph.needs(address).into_iter().filter(|(_, need)| *need != Need::Outlives);
        let last = needs.map(|point| (self.when(&point), point)).max();
        let (from, after) = last.map_or((Duration::ZERO, None), |(from, point)| (from, Some(point)));
        (from + model.create.first().map_or(Duration::ZERO, Part::calling), after)
    }

    fn ready(&mut self, address: &Address, model: &Model) -> (Duration, Option<Point>) {
        let exists = (address.clone(), Need::Exists);
        let mut from = self.when(&exists);
        // The way from what it waited for to being ready is one link, not two.
        let mut after = self.reached.get(&exists).and_then(|(_, after)| after.clone());
        if let Some(other) = &model.follows {
            let other = (other.clone(), Need::Ready);
            let at = self.when(&other);
            if at > from {
                (from, after) = (at, Some(other));
            }
        }
        let whole: Duration = model.create.iter().map(Part::whole).sum();
        let first = model.create.first().map_or(Duration::ZERO, Part::calling);
        (from + (whole.saturating_sub(first)), after)
    }
}

/// The lower bound of deleting everything in a graph, dependents first.
pub(super) fn down(graph: &Graph, models: &Models) -> Bound {
    let mut reached = Reached::new();
    // When the last dependent of each resource is deleted, and which one that is.
    let mut free: BTreeMap<Address, (Duration, Option<Point>)> = BTreeMap::new();
    // When each function leaves its VPC.
    let mut left: BTreeMap<&Address, Duration> = BTreeMap::new();
    // In the graph, every node comes after the nodes that it refers to.
    let nodes: Vec<_> = graph.nodes().collect();
    for node in nodes.into_iter().rev() {
        let Some(model) = models.get(&node.address) else { continue };
        let (start, mut after) = free.remove(&node.address).unwrap_or_default();
        left.insert(&node.address, start + model.delete.first().map_or(Duration::ZERO, Part::calling));
        let mut from = start;
        for (function, held) in &model.held_by {
            let let_go = left.get(function).map_or(Duration::ZERO, |at| *at + *held);
            if let_go > from {
                (from, after) = (let_go, Some((function.clone(), Need::Ready)));
            }
        }
        let gone = from + model.delete.iter().map(Part::whole).sum::<Duration>();
        let point = (node.address.clone(), Need::Ready);
        for (on, _) in graph.needs(&node.address) {
            let last = free.entry(on).or_default();
            if gone > last.0 {
                *last = (gone, Some(point.clone()));
            }
        }
        reached.insert(point, (gone, after));
    }
    longest(&reached)
}

/// The chain that ends last.
fn longest(reached: &Reached) -> Bound {
    let last = reached.iter().max_by_key(|(_, (at, _))| *at).map(|(point, _)| point);
    let mut path = Vec::new();
    let mut next = last;
    while let Some((point, (at, after))) = next.and_then(|point| reached.get_key_value(point)) {
        let from = after.as_ref().and_then(|after| reached.get(after)).map_or(Duration::ZERO, |(from, _)| *from);
        path.push(PathSegment { address: point.0.clone(), took: at.saturating_sub(from) });
        next = after.as_ref();
    }
    path.reverse();
    Bound { whole: last.and_then(|point| reached.get(point)).map_or(Duration::ZERO, |(at, _)| *at), path }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use serde_json::Value;

    use super::super::driver::{SimulatedAws, SimulatedDriver};
    use super::*;
    use drctl_engine::state::Role;
    use drctl_engine::{Node, Properties, Ref, Region, TypeInfo};

    const INFO: TypeInfo = TypeInfo::usual("thing");

    /// A graph under construction, with the models of its resources.
    #[derive(Default)]
    struct Sketch {
        graph: Graph,
        models: Models,
    }

    fn at(name: &str) -> Address {
        Address::new(Role::Primary, "thing", name)
    }

    fn part(answer: u64, rest: u64) -> Part {
        let (answer, rest) = (Duration::from_secs(answer), Duration::from_secs(rest));
        Part { operation: "Call", calls: 1, answer, rest }
    }

    impl Sketch {
        fn add(&mut self, name: &str, on: &[(&str, Need)], create: Vec<Part>, delete: Vec<Part>) -> &mut Model {
            let reference = |(on, need): &(&str, Need)| {
                let whole: Ref<()> = Ref::output(at(on), "id");
                let reference = match need {
                    Need::Outlives => whole.outlives(),
                    Need::Exists => whole.exists(),
                    Need::First => whole.first(),
                    Need::Ready => whole,
                };
                serde_json::to_value(reference).expect("a marker")
            };
            let mut desired = Properties::new();
            desired.insert("on".to_owned(), Value::Array(on.iter().map(reference).collect()));
            let driver = Arc::new(SimulatedDriver::new(INFO, Arc::new(SimulatedAws::new(Models::new()))));
            self.graph.add(Node { address: at(name), region: "r".into(), driver, desired }).expect("sound");
            let model = Model {
                region: Region::from("r"),
                service: "ec2",
                looks: 1,
                create,
                delete,
                outputs: BTreeSet::new(),
                follows: None,
                held_by: Vec::new(),
            };
            self.models.entry(at(name)).or_insert(model)
        }
    }

    fn path(bound: &Bound) -> Vec<(&str, u64)> {
        bound.path.iter().map(|leg| (leg.address.name(), leg.took.as_secs())).collect()
    }

    #[test]
    fn a_need_for_existence_waits_only_for_the_call_unless_aws_waits_longer() {
        let mut sketch = Sketch::default();
        sketch.add("cluster", &[], vec![part(3, 42)], vec![part(1, 62)]);
        sketch.add("early", &[("cluster", Need::Exists)], vec![part(2, 50)], vec![part(1, 0)]);
        sketch.add("late", &[("cluster", Need::Ready)], vec![part(2, 0), part(1, 1)], vec![part(1, 0)]);
        sketch.add("apart", &[("late", Need::Outlives)], vec![part(1, 0)], vec![part(9, 0)]);
        let bound = up(&sketch.graph, &sketch.models);
        assert_eq!((bound.whole.as_secs(), path(&bound)), (55, vec![("cluster", 3), ("early", 52)]));
        sketch.models.get_mut(&at("early")).expect("there").follows = Some(at("cluster"));
        let bound = up(&sketch.graph, &sketch.models);
        assert_eq!((bound.whole.as_secs(), path(&bound)), (95, vec![("cluster", 45), ("early", 50)]));
        let bound = down(&sketch.graph, &sketch.models);
        let expected = vec![("apart", 9), ("late", 1), ("cluster", 63)];
        assert_eq!((bound.whole.as_secs(), path(&bound)), (73, expected), "what outlives is deleted later, too");
    }

    #[test]
    fn a_resource_with_interfaces_is_deleted_after_them() {
        let mut sketch = Sketch::default();
        sketch.add("vpc", &[], vec![part(1, 0)], vec![part(1, 0)]);
        let held = sketch.add("subnet", &[("vpc", Need::Ready)], vec![part(1, 0)], vec![part(1, 0)]);
        held.held_by.push((at("function"), Duration::from_secs(1100)));
        sketch.add("function", &[("subnet", Need::Ready)], vec![part(1, 0)], vec![part(1, 29), part(2, 0)]);
        // From when it has left its VPC, one second in. See docs/aws-behaviour.md#lambda-interfaces-linger.
        let bound = down(&sketch.graph, &sketch.models);
        let expected = vec![("function", 32), ("subnet", 1070), ("vpc", 1)];
        assert_eq!((bound.whole.as_secs(), path(&bound)), (1103, expected));
        sketch.models.get_mut(&at("subnet")).expect("there").held_by.clear();
        assert_eq!(down(&sketch.graph, &sketch.models).whole.as_secs(), 34);
    }
}
