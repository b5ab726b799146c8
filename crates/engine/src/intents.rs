//! Open intents: what an interrupted run was about to do, and what became of it. Nothing is changed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::driver::{Attempt, Driver, DriverRegistry, Live, Phase, Region};
use crate::failure::{Class, Failure};
use crate::graph::Graph;
use crate::observe::limited;
use crate::ownership::ownership;
use crate::plan::diff;
use crate::reference::{Properties, is_unresolved, resolve};
use crate::state::{Address, Entry, Status};

/// The result of an intent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum IntentOutcome {
    /// The resource was created, and its creation was not recorded.
    #[serde(rename = "made")]
    Created {
        /// Its id.
        id: String,
        /// The condition that it is in.
        phase: Phase,
    },
    /// The resource is not visible, but was requested recently and may still appear.
    NotVisible {
        /// The time after which "not visible" means "does not exist".
        until: Timestamp,
    },
    /// Nothing was created.
    #[serde(rename = "not_made")]
    NotCreated,
    /// The name is used by a resource that is not this stack's.
    #[serde(rename = "held")]
    NameTaken {
        /// The owner, and how it was determined.
        by: Failure,
    },
    /// The resource exists.
    #[serde(rename = "there")]
    Exists {
        /// Its id.
        id: String,
        /// The condition that it is in.
        phase: Phase,
        /// The properties that are not as configured. `None` when nothing is configured under its address.
        differs: Option<Vec<String>>,
    },
    /// The resource does not exist.
    Gone,
    /// The resource could not be read.
    Unknown {
        /// Why it could not.
        failure: Failure,
    },
}

/// An open intent in the state.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// The resource.
    pub address: Address,
    /// The entry of the resource in the state.
    pub entry: Entry,
    /// Its result.
    pub became: IntentOutcome,
}

impl Intent {
    /// Since when it has been open.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        match self.entry.status {
            Status::Creating { since, .. } | Status::Updating { since } | Status::Deleting { since } => since,
            Status::Created | Status::Ready => self.entry.updated_at,
        }
    }
}

/// Determines the results of the intents.
pub struct Inspection<'a> {
    /// The configured resources.
    pub graph: &'a Graph,
    /// The entries of the state.
    pub entries: &'a BTreeMap<Address, Entry>,
    /// Finds the types of resources.
    pub drivers: &'a dyn DriverRegistry,
    /// How long looking at one resource may take.
    pub timeout: Duration,
    /// For how long after its intent an attempt may have created something that is not visible yet.
    pub grace: Duration,
}

impl Inspection<'_> {
    /// Reads, concurrently, the resources of all open intents, and those that were created but not seen ready yet.
    pub async fn look(&self) -> Vec<Intent> {
        let open = self.entries.iter().filter(|(_, entry)| entry.status != Status::Ready);
        let looks = open.map(|(address, entry)| async move {
            let became = self.became(address, entry).await.unwrap_or_else(|failure| IntentOutcome::Unknown { failure });
            Intent { address: address.clone(), entry: entry.clone(), became }
        });
        futures::future::join_all(looks).await
    }

    async fn became(&self, address: &Address, entry: &Entry) -> Result<IntentOutcome, Failure> {
        let driver = self.drivers.driver(address.kind()).ok_or_else(|| {
            Failure::new(Class::Internal, format!("this drctl does not know the type `{}`", address.kind()))
        })?;
        let region = Region::from(entry.region.as_str());
        if let Status::Creating { attempt, since } = &entry.status {
            let attempt = Attempt { token: attempt.clone() };
            let created =
                limited(self.timeout, self.timeout, &region, self.created(address, entry, &*driver, &attempt));
            return Ok(match created.await? {
                Some(live) => match ownership(address, &live, None) {
                    Ok(()) => IntentOutcome::Created { id: live.id, phase: live.phase },
                    Err(by) => IntentOutcome::NameTaken { by },
                },
                None => self.not_visible(*since),
            });
        }
        let Some(id) = &entry.id else { return Ok(IntentOutcome::Gone) };
        let live = limited(self.timeout, self.timeout, &region, driver.read(&region, id)).await?;
        Ok(match live {
            None => IntentOutcome::Gone,
            Some(live) => {
                let differs = self.differs(address, entry, &live);
                IntentOutcome::Exists { id: live.id, phase: live.phase, differs }
            }
        })
    }

    /// Finds the resource that an attempt has created, by its name or else by the attempt, as the next run will.
    async fn created(
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

    fn not_visible(&self, since: Timestamp) -> IntentOutcome {
        match since.checked_add(self.grace) {
            Ok(until) if Timestamp::now() < until => IntentOutcome::NotVisible { until },
            _ => IntentOutcome::NotCreated,
        }
    }

    fn resolved(&self, desired: &Properties) -> Properties {
        resolve(desired, &|of: &Address, output: &str| self.entries.get(of).and_then(|entry| entry.output(output)))
    }

    /// The properties that differ, as far as their values are known: an unknown value is not a difference.
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
    use crate::testing::{ATTEMPT, Cloud, EAST, NODE, OURS, Outage, STACK, entry, graph, node};

    async fn inspect(
        cloud: &Cloud,
        entries: &BTreeMap<Address, Entry>,
        graph: &Graph,
        grace: Duration,
    ) -> Vec<IntentOutcome> {
        let inspection = Inspection { graph, entries, drivers: cloud, timeout: Duration::from_secs(1), grace };
        inspection.look().await.into_iter().map(|intent| intent.became).collect()
    }

    fn creating(attempt: &str, since: Timestamp) -> Entry {
        Entry { id: None, ..entry(EAST, "", Status::Creating { attempt: attempt.to_owned(), since }) }
    }

    const MAIN: &str = "primary/net/main";
    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn what_an_attempt_created_is_found_and_what_is_not_visible_may_still_appear() {
        let at: Address = MAIN.parse().expect("an address");
        let old = BTreeMap::from([(at.clone(), creating("a1", Timestamp::UNIX_EPOCH))]);
        let cloud = Cloud::new();
        let id = cloud.plant("net", EAST, "main", &[(STACK, OURS), (NODE, MAIN), (ATTEMPT, "a1")]);
        let became = inspect(&cloud, &old, &Graph::new(), MINUTE).await;
        assert_eq!(became, [IntentOutcome::Created { id, phase: Phase::Ready }]);

        let empty = Cloud::new();
        assert_eq!(inspect(&empty, &old, &Graph::new(), MINUTE).await, [IntentOutcome::NotCreated]);
        let young = BTreeMap::from([(at, creating("a1", Timestamp::now()))]);
        assert!(matches!(inspect(&empty, &young, &Graph::new(), MINUTE).await[..], [IntentOutcome::NotVisible { .. }]));
        assert_eq!(inspect(&empty, &young, &Graph::new(), Duration::ZERO).await, [IntentOutcome::NotCreated]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_somebody_else_holds_is_not_a_success() {
        let cloud = Cloud::new();
        let id = cloud.plant("role", EAST, "main", &[]);
        let named = Entry { natural_id: Some(id), ..creating("a1", Timestamp::UNIX_EPOCH) };
        let entries = BTreeMap::from([("primary/role/main".parse().expect("an address"), named)]);
        let became = inspect(&cloud, &entries, &Graph::new(), MINUTE).await;
        assert!(matches!(&became[..], [IntentOutcome::NameTaken { by }] if by.class == Class::Foreign), "{became:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_update_says_what_still_differs_and_a_deletion_what_is_left() {
        let since = Timestamp::UNIX_EPOCH;
        let at: Address = MAIN.parse().expect("an address");
        let cloud = Cloud::new();
        let id = cloud.plant("net", EAST, "main", &[(STACK, OURS), (NODE, MAIN)]);
        cloud.edit_id(&id, |resource| drop(resource.properties.insert("size".to_owned(), json!(1))));
        let desired: Properties =
            [("size".to_owned(), json!(2)), ("shape".to_owned(), json!("round"))].into_iter().collect();
        let configured = graph([node(&cloud, MAIN, EAST, desired)]);
        let updating = BTreeMap::from([(at.clone(), entry(EAST, &id, Status::Updating { since }))]);
        let there = |differs| IntentOutcome::Exists { id: id.clone(), phase: Phase::Ready, differs };
        let became = inspect(&cloud, &updating, &configured, MINUTE).await;
        assert_eq!(became, [there(Some(vec!["size".to_owned()]))]);
        assert_eq!(inspect(&cloud, &updating, &Graph::new(), MINUTE).await, [there(None)]);

        let deleting = BTreeMap::from([(at, entry(EAST, "net-0", Status::Deleting { since }))]);
        assert_eq!(inspect(&cloud, &deleting, &configured, MINUTE).await, [IntentOutcome::Gone]);
        cloud.outage(EAST, Outage::Refused);
        assert!(matches!(inspect(&cloud, &deleting, &configured, MINUTE).await[..], [IntentOutcome::Unknown { .. }]));
    }
}
