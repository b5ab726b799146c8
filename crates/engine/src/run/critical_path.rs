//! Which resources made a run's duration: the chain in which each waited for the one before, and the last ended the run.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::schedule::{Schedule, StepId};
use crate::reference::Need;
use crate::seconds;
use crate::state::Address;

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Leg {
    /// The resource.
    pub address: Address,
    /// From when nothing else held it up until the next one could go on.
    #[serde(serialize_with = "seconds::exact")]
    pub took: Duration,
}

/// When which step had come how far.
#[derive(Debug, Default)]
pub(super) struct Clock {
    reached: HashMap<(StepId, Need), Instant>,
}

impl Clock {
    /// The step has come to `level` now, if it had not before. Who is ready exists.
    pub(super) fn note(&mut self, step: StepId, level: Need) {
        let now = Instant::now();
        for below in [Need::Exists, Need::Ready].into_iter().filter(|below| *below <= level) {
            self.reached.entry((step, below)).or_insert(now);
        }
    }

    /// The chain, in the order of time.
    pub(super) fn critical_path(&self, schedule: &Schedule, began: Instant) -> Vec<Leg> {
        let ends = self.reached.iter().filter(|((_, level), _)| *level == Need::Ready);
        let Some(((mut step, _), mut until)) =
            ends.max_by_key(|((step, _), at)| (**at, *step)).map(|(k, at)| (*k, *at))
        else {
            return Vec::new();
        };
        let mut legs = Vec::new();
        loop {
            let before = schedule
                .sources(step)
                .filter_map(|(source, need)| Some((self.let_go(source, need, until)?, source)))
                .max();
            let from = before.map_or(began, |(at, _)| at);
            legs.push(Leg { address: schedule.step(step).0.clone(), took: until.saturating_duration_since(from) });
            let Some((at, source)) = before else { break };
            (step, until) = (source, at);
        }
        legs.reverse();
        legs
    }

    /// When a step let one go on that was there by `until`. Who was content with its existence may have waited for more at
    /// the service, as an Aurora instance does for its cluster: if it was ready by then, that counts.
    fn let_go(&self, source: StepId, need: Need, until: Instant) -> Option<Instant> {
        let ready = self.reached.get(&(source, Need::Ready)).filter(|at| **at <= until);
        ready.or_else(|| self.reached.get(&(source, need))).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Half;
    use super::*;
    use crate::driver::Region;
    use crate::state::Role;

    #[tokio::test(start_paused = true)]
    async fn the_chain_is_what_held_the_end_up() {
        let mut schedule = Schedule::new(9);
        let mut add = |name: &str| {
            schedule.add(Address::new(Role::Primary, "t", name), Half::Ensure, &Region::from("r"), Duration::ZERO)
        };
        let [cluster, quick, writer, second] = ["cluster", "quick", "writer", "second"].map(&mut add);
        schedule.wait_for(writer, cluster, Need::Exists);
        schedule.wait_for(second, quick, Need::Ready);
        schedule.wait_for(second, writer, Need::Ready);
        let began = Instant::now();
        let mut clock = Clock::default();
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        pass(1).await;
        clock.note(cluster, Need::Exists);
        clock.note(quick, Need::Ready);
        pass(44).await;
        clock.note(cluster, Need::Ready);
        pass(300).await;
        clock.note(writer, Need::Ready);
        pass(5).await;
        clock.note(second, Need::Ready);
        let path = clock.critical_path(&schedule, began);
        let told: Vec<_> = path.iter().map(|leg| (leg.address.name(), leg.took.as_secs())).collect();
        assert_eq!(told, [("cluster", 45), ("writer", 300), ("second", 5)]);
        assert!(Clock::default().critical_path(&schedule, began).is_empty());
    }
}
