//! Open intents: what an interrupted run was about to do, and what became of it. Only looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::driver::{Attempt, Driver, Drivers, Live, Phase, Region};
use crate::failure::{Class, Failure};
use crate::graph::Graph;
use crate::observe::limited;
use crate::ownership::ownership;
use crate::plan::diff;
use crate::reference::{Properties, is_unresolved, resolve};
use crate::state::{Address, Entry, Status};

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Became {
    /// It was made: the answer did not come to be recorded.
    Made {
        /// Its id.
        id: String,
        /// How it stands.
        phase: Phase,
    },
    /// It is not to be seen, and what was asked for so short a time ago may still show itself.
    NotVisible {
        /// From when on not to be seen means not to be there.
        until: Timestamp,
    },
    /// Nothing was made.
    NotMade,
    /// Its name is somebody else's.
    Held {
        /// Whose, and how that is known.
        by: Failure,
    },
    /// It is there.
    There {
        /// Its id.
        id: String,
        /// How it stands.
        phase: Phase,
        /// The properties that are not as configured; `None` when nothing is configured under its address.
        differs: Option<Vec<String>>,
    },
    /// It is not there.
    Gone,
    /// It could not be looked at.
    Unknown {
        /// Why not.
        failure: Failure,
    },
}

/// An open intent of the state.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Which resource.
    pub address: Address,
    /// What the state holds of it.
    pub entry: Entry,
    /// What became of it.
    pub became: Became,
}

impl Intent {
    /// Since when it is open.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        match self.entry.status {
            Status::Creating { since, .. } | Status::Updating { since } | Status::Deleting { since } => since,
            Status::Created | Status::Ready => self.entry.updated_at,
        }
    }
}

/// Finds out what became of the intents.
pub struct Inspection<'a> {
    /// What is configured.
    pub graph: &'a Graph,
    /// What the state holds.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Finds the types.
    pub drivers: &'a dyn Drivers,
    /// How long one look may take.
    pub timeout: Duration,
    /// How long after its intent an attempt may have made something that is not to be seen yet.
    pub grace: Duration,
}

impl Inspection<'_> {
    /// Looks after all open intents at once, and after what was made and has not been seen ready.
    pub async fn look(&self) -> Vec<Intent> {
        let open = self.entries.iter().filter(|(_, entry)| entry.status != Status::Ready);
        let looks = open.map(|(address, entry)| async move {
            let became = self.became(address, entry).await.unwrap_or_else(|failure| Became::Unknown { failure });
            Intent { address: address.clone(), entry: entry.clone(), became }
        });
        futures::future::join_all(looks).await
    }

    async fn became(&self, address: &Address, entry: &Entry) -> Result<Became, Failure> {
        let driver = self.drivers.driver(address.kind()).ok_or_else(|| {
            Failure::new(Class::Internal, format!("this drctl does not know the type `{}`", address.kind()))
        })?;
        let region = Region::from(entry.region.as_str());
        if let Status::Creating { attempt, since } = &entry.status {
            let attempt = Attempt { token: attempt.clone() };
            let made = limited(self.timeout, self.timeout, &region, self.made(address, entry, &*driver, &attempt));
            return Ok(match made.await? {
                Some(live) => match ownership(address, &live, None) {
                    Ok(()) => Became::Made { id: live.id, phase: live.phase },
                    Err(by) => Became::Held { by },
                },
                None => self.not_seen(*since),
            });
        }
        let Some(id) = &entry.id else { return Ok(Became::Gone) };
        let live = limited(self.timeout, self.timeout, &region, driver.read(&region, id)).await?;
        Ok(match live {
            None => Became::Gone,
            Some(live) => {
                let differs = self.differs(address, entry, &live);
                Became::There { id: live.id, phase: live.phase, differs }
            }
        })
    }

    /// By its name, else by the attempt: as the next run looks for it.
    async fn made(
        &self,
        address: &Address,
        entry: &Entry,
        driver: &dyn Driver,
        attempt: &Attempt,
    ) -> Result<Option<Live>, Failure> {
        let region = Region::from(entry.region.as_str());
        let configured = self.graph.get(address).and_then(|node| driver.natural_id(&self.resolved(&node.desired)));
        if let Some(name) = configured.as_ref().or(entry.natural_id.as_ref())
            && let Some(live) = driver.read(&region, name).await?
        {
            return Ok(Some(live));
        }
        driver.search(&region, attempt).await
    }

    fn not_seen(&self, since: Timestamp) -> Became {
        match since.checked_add(self.grace) {
            Ok(until) if Timestamp::now() < until => Became::NotVisible { until },
            _ => Became::NotMade,
        }
    }

    fn resolved(&self, desired: &Properties) -> Properties {
        resolve(desired, &|of: &Address, output: &str| self.entries.get(of).and_then(|entry| entry.output(output)))
    }

    /// Of what is known: a value that is still to come is no difference.
    fn differs(&self, address: &Address, entry: &Entry, live: &Live) -> Option<Vec<String>> {
        let node = self.graph.get(address)?;
        let mut changes = diff::changes(node.driver.traits(), &self.resolved(&node.desired), &live.properties);
        changes.retain(|change| !is_unresolved(&change.new) && !entry.unsupported.contains_key(&change.property));
        Some(changes.into_iter().map(|change| change.property).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::Owner;
    use crate::testing::{Cloud, entry, graph, live, node};

    fn inspect(cloud: &Cloud, entries: &BTreeMap<Address, Entry>, graph: &Graph, grace: Duration) -> Vec<Became> {
        let inspection = Inspection { graph, entries, drivers: cloud, timeout: Duration::from_secs(1), grace };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(inspection.look()).into_iter().map(|intent| intent.became).collect()
    }

    fn creating(attempt: &str, since: Timestamp) -> Entry {
        Entry { id: None, ..entry("us-east-1", "", Status::Creating { attempt: attempt.to_owned(), since }) }
    }

    const MAIN: &str = "primary/vpc/main";
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn what_an_attempt_made_is_found_and_what_is_not_seen_may_still_come() {
        let at: Address = MAIN.parse().expect("an address");
        let made = live("vpc-1", MAIN, Some("a1"), Phase::Ready);
        let old = BTreeMap::from([(at.clone(), creating("a1", Timestamp::UNIX_EPOCH))]);
        let cloud = Cloud::with("vpc", "us-east-1", vec![made]);
        let became = inspect(&cloud, &old, &Graph::new(), MINUTE);
        assert_eq!(became, [Became::Made { id: "vpc-1".to_owned(), phase: Phase::Ready }]);

        let empty = Cloud::with("vpc", "us-east-1", Vec::new());
        assert_eq!(inspect(&empty, &old, &Graph::new(), MINUTE), [Became::NotMade]);
        let young = BTreeMap::from([(at, creating("a1", Timestamp::now()))]);
        assert!(matches!(inspect(&empty, &young, &Graph::new(), MINUTE)[..], [Became::NotVisible { .. }]));
        assert_eq!(inspect(&empty, &young, &Graph::new(), Duration::ZERO), [Became::NotMade]);
    }

    #[test]
    fn a_name_that_somebody_else_holds_is_no_success() {
        let named = Entry { natural_id: Some("n".to_owned()), ..creating("a1", Timestamp::UNIX_EPOCH) };
        let entries = BTreeMap::from([(MAIN.parse().expect("an address"), named)]);
        let theirs = Live { owner: Owner::Untagged, ..live("n", MAIN, None, Phase::Ready) };
        let cloud = Cloud::with("vpc", "us-east-1", vec![theirs]);
        let became = inspect(&cloud, &entries, &Graph::new(), MINUTE);
        assert!(matches!(&became[..], [Became::Held { by }] if by.class == Class::Foreign), "{became:?}");
    }

    #[test]
    fn an_update_tells_what_still_differs_and_a_deletion_what_is_left() {
        let since = Timestamp::UNIX_EPOCH;
        let at: Address = MAIN.parse().expect("an address");
        let mut seen = live("vpc-1", MAIN, None, Phase::Ready);
        seen.properties.insert("size".to_owned(), json!(1));
        seen.properties.insert("zone".to_owned(), json!("a"));
        let cloud = Cloud::with("vpc", "us-east-1", vec![seen]);
        let desired: Properties =
            [("size".to_owned(), json!(2)), ("zone".to_owned(), json!("a"))].into_iter().collect();
        let configured = graph(vec![node(MAIN, "us-east-1", desired)]);
        let updating = BTreeMap::from([(at.clone(), entry("us-east-1", "vpc-1", Status::Updating { since }))]);
        let there = |differs| Became::There { id: "vpc-1".to_owned(), phase: Phase::Ready, differs };
        let became = inspect(&cloud, &updating, &configured, MINUTE);
        assert_eq!(became, [there(Some(vec!["size".to_owned()]))]);
        assert_eq!(inspect(&cloud, &updating, &Graph::new(), MINUTE), [there(None)]);

        let deleting = BTreeMap::from([(at, entry("us-east-1", "vpc-2", Status::Deleting { since }))]);
        assert_eq!(inspect(&cloud, &deleting, &configured, MINUTE), [Became::Gone]);
        let silent = Cloud::failing("vpc");
        assert!(matches!(inspect(&silent, &deleting, &configured, MINUTE)[..], [Became::Unknown { .. }]));
    }
}
