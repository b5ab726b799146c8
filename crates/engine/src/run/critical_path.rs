//! The critical path: the chain of resources that determined how long a run took. Each one waited for the one before it, and the
//! last one ended the run.

use std::time::Duration;

use tokio::time::Instant;

use super::schedule::{Schedule, StepId};
use crate::reference::Need;
use crate::seconds;
use crate::state::Address;

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PathSegment {
    /// The resource.
    pub address: Address,
    /// The time from when nothing blocked this resource until the next resource could continue.
    #[serde(serialize_with = "seconds::exact")]
    pub took: Duration,
}

/// The chain, in the order of time.
pub(super) fn critical_path(schedule: &Schedule, began: Instant) -> Vec<PathSegment> {
    let ends = schedule.ids().filter_map(|step| Some((schedule.step(step).milestone(Need::Ready)?, step)));
    let Some((mut until, mut step)) = ends.max() else { return Vec::new() };
    let mut path = Vec::new();
    loop {
        let before = schedule
            .dependencies(step)
            .filter_map(|(dependency, need)| Some((released(schedule, dependency, need, until)?, dependency)))
            .max();
        let from = before.map_or(began, |(at, _)| at);
        path.push(PathSegment {
            address: schedule.step(step).address.clone(),
            took: until.saturating_duration_since(from),
        });
        let Some((at, dependency)) = before else { break };
        (step, until) = (dependency, at);
    }
    path.reverse();
    path
}

/// When a dependency stopped holding up a step that was there by `until`. A step that only needed it to exist may still have waited
/// for more inside AWS, as an Aurora instance does for its cluster: if the dependency was ready by then, that moment counts.
fn released(schedule: &Schedule, dependency: StepId, need: Need, until: Instant) -> Option<Instant> {
    let dependency = schedule.step(dependency);
    let ready = dependency.milestone(Need::Ready).filter(|at| *at <= until);
    ready.or_else(|| dependency.milestone(need))
}

#[cfg(test)]
mod tests {
    use super::super::schedule::StepKind;
    use super::*;
    use crate::driver::Region;
    use crate::state::Role;

    #[tokio::test(start_paused = true)]
    async fn the_chain_is_what_held_up_the_end() {
        let mut schedule = Schedule::new(9);
        let mut add = |name: &str| {
            schedule.add(Address::new(Role::Primary, "t", name), StepKind::Apply, &Region::from("r"), Duration::ZERO)
        };
        let [cluster, quick, writer, second] = ["cluster", "quick", "writer", "second"].map(&mut add);
        schedule.add_dependency(writer, cluster, Need::Exists);
        schedule.add_dependency(second, quick, Need::Ready);
        schedule.add_dependency(second, writer, Need::Ready);
        let began = Instant::now();
        assert!(critical_path(&schedule, began).is_empty());
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        pass(1).await;
        schedule.mark_reached(cluster, Need::Exists);
        schedule.mark_reached(quick, Need::Ready);
        pass(44).await;
        schedule.mark_reached(cluster, Need::Ready);
        pass(300).await;
        schedule.mark_reached(writer, Need::Ready);
        pass(5).await;
        schedule.mark_reached(second, Need::Ready);
        let path = critical_path(&schedule, began);
        let path: Vec<_> = path.iter().map(|link| (link.address.name(), link.took.as_secs())).collect();
        assert_eq!(path, [("cluster", 45), ("writer", 300), ("second", 5)]);
    }
}
