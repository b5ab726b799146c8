//! The Regions that have not answered yet, for a message to a user whose terminal shows nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use drctl_engine::Region;

/// How many answers are awaited from each Region.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<BTreeMap<Region, usize>>);

impl Waiting {
    /// Counts an answer from `region` as awaited until the result is dropped.
    pub(super) fn begin(&self, region: &Region) -> Awaited<'_> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(region.clone()).or_default() += 1;
        Awaited { waiting: self, region: region.clone() }
    }

    pub(super) fn regions(&self) -> Vec<Region> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().filter(|(_, count)| **count > 0).map(|(region, _)| region.clone()).collect()
    }
}

/// An answer that has not arrived.
#[derive(Debug)]
pub(super) struct Awaited<'a> {
    waiting: &'a Waiting,
    region: Region,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&self.region) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_awaited_until_its_last_answer_has_come() {
        let waiting = Waiting::default();
        let (east, west) = (Region::from("us-east-1"), Region::from("us-west-2"));
        let (first, second) = (waiting.begin(&east), waiting.begin(&east));
        let other = waiting.begin(&west);
        drop((first, other));
        assert_eq!(waiting.regions(), [east]);
        drop(second);
        assert_eq!(waiting.regions(), []);
    }
}
