//! Plays a script on the cloud in memory, and checks after every run what has to hold, however the run ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drctl_engine::state::{Address, Entry, Status};
use drctl_engine::testing::{Contents, Fault, OURS, Op, Resource, STACK, Want, World, is_tagged, undisturbed};
use drctl_engine::{Class, Failure};
use serde_json::json;
use tokio::time::sleep;

use super::script::{ByHand, Change, Ending, Harm, Step};
use crate::crash::brisk;
use crate::graphs::{NodeSpec, RefKind};

/// After this many steps, everything is put right and has to be as configured.
const HEALED_AFTER: usize = 6;

/// By then, everything is available or has failed, is visible, and is gone if it was deleted.
const SETTLED: Duration = Duration::from_mins(5);

/// A node of the configuration.
struct Node {
    spec: NodeSpec,
    is_configured: bool,
    size: u64,
    is_square: bool,
}

impl Node {
    fn new(spec: &NodeSpec) -> Self {
        Self { spec: spec.clone(), is_configured: true, size: 1, is_square: false }
    }
}

/// The change that recreates or removes something, and that has not been followed by a successful run yet.
///
/// There is never more than one. If a node leaves, another one is recreated, and a third one refers to both, then the third would
/// have to be updated before the first is deleted and after the second is created. No order of steps achieves that, here or in
/// Terraform. Two runs do.
#[derive(PartialEq)]
enum Upheaval {
    None,
    Toggled(usize),
    Other,
}

struct Player {
    world: World,
    nodes: Vec<Node>,
    upheaval: Upheaval,
    /// Whether the configuration or a resource was changed since everything was as configured. If an interrupted run created a resource
    /// before that, and listings do not show it yet, it is found too late for the plan: that run says so, and the next one handles it.
    is_changed: bool,
    has_faults: bool,
    /// The ids of what was created by hand.
    duplicates: BTreeSet<String>,
    /// The ids of what was deleted by hand.
    vanished: BTreeSet<String>,
    /// What was tagged as another stack's, as it was at that moment.
    given_away: BTreeMap<String, Resource>,
    context: String,
}

/// Plays a script. At the end, everything is put right, and deleted.
pub async fn play(specs: &[NodeSpec], steps: &[Step]) {
    let world = World::new();
    brisk(&world);
    let mut player = Player {
        world,
        nodes: specs.iter().map(Node::new).collect(),
        upheaval: Upheaval::None,
        is_changed: false,
        has_faults: false,
        duplicates: BTreeSet::new(),
        vanished: BTreeSet::new(),
        given_away: BTreeMap::new(),
        context: String::new(),
    };
    for (number, step) in steps.iter().enumerate() {
        player.context = format!("step {} of {}, {step:?}", number + 1, steps.len());
        player.step(step).await;
        if (number + 1).is_multiple_of(HEALED_AFTER) {
            player.context = format!("put right after step {}", number + 1);
            player.heal().await;
        }
    }
    "put right at the end".clone_into(&mut player.context);
    player.heal().await;
    "deleted at the end".clone_into(&mut player.context);
    player.goes_down().await;
}

impl Player {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Up(ending) => self.run(&self.wants(), ending).await,
            Step::Down(Ending::Undisturbed) if self.is_undisturbed() => self.goes_down().await,
            Step::Down(ending) => self.run(&[], ending).await,
            Step::Change(change) => self.change(change).await,
            Step::ByHand(what) => {
                // People are slow: everything is visible by the time they come, and what they did by the time they have gone.
                sleep(SETTLED).await;
                self.by_hand(what).await;
                self.is_changed = true;
                sleep(SETTLED).await;
            }
            Step::Fault { node, op, harm, times } => self.fault(*node, *op, harm, *times).await,
            Step::Lag { listings, reads } => {
                // What is visible stays visible.
                sleep(SETTLED).await;
                self.world.cloud.set_paces(|pace| {
                    pace.shown_after = Duration::from_secs(*listings);
                    pace.readable_after = Duration::from_secs(*reads);
                });
            }
        }
    }

    /// What is configured.
    fn wants(&self) -> Vec<Want> {
        let mut wants: Vec<Option<Want>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let want = node.spec.want(&wants).whole().size(node.size);
            let want = if node.is_square { want.shape("square") } else { want };
            wants.push(node.is_configured.then_some(want));
        }
        wants.into_iter().flatten().collect()
    }

    fn entries(&self) -> BTreeMap<Address, Entry> {
        self.world.state().map(|state| state.resources).unwrap_or_default()
    }

    async fn run(&self, wants: &[Want], ending: &Ending) {
        match ending {
            // It may fail or not: what counts is what exists afterwards.
            Ending::Undisturbed => drop(self.world.up(wants).await),
            Ending::Killed(stop) => {
                self.world.crash(wants, stop.clone()).await;
            }
            Ending::Signalled { mutation, signals } => {
                drop(self.world.up_interrupted_at(wants, *mutation, *signals).await);
            }
        }
        self.check();
    }

    async fn change(&mut self, change: &Change) {
        let count = self.nodes.len();
        match change {
            Change::Resize(node) => self.nodes[node % count].size += 1,
            Change::Add(spec) => self.nodes.push(Node::new(spec)),
            Change::Reshape(node) => {
                self.begin(Upheaval::Other).await;
                let node = &mut self.nodes[node % count];
                node.is_square = !node.is_square;
            }
            Change::Toggle(node) => {
                self.begin(Upheaval::Toggled(node % count)).await;
                let node = &mut self.nodes[node % count];
                node.is_configured = !node.is_configured;
            }
            Change::Relink { node, slot, reference } => {
                self.begin(Upheaval::Other).await;
                let refs: &mut [Option<(usize, RefKind)>] = &mut self.nodes[node % count].spec.refs;
                refs[slot % refs.len()] = *reference;
            }
        }
        self.is_changed = true;
    }

    /// Puts everything right first, unless there is no other upheaval, or this one takes it back.
    async fn begin(&mut self, upheaval: Upheaval) {
        let takes_back = matches!(upheaval, Upheaval::Toggled(_)) && upheaval == self.upheaval;
        if self.upheaval != Upheaval::None && !takes_back {
            self.heal().await;
        }
        self.upheaval = upheaval;
    }

    async fn by_hand(&mut self, what: &ByHand) {
        if matches!(what, ByHand::Vanish(_)) {
            self.begin(Upheaval::Other).await;
        }
        let entries = self.entries();
        let is_recorded = |resource: &Resource| entries.values().any(|entry| entry.id.as_ref() == Some(&resource.id));
        let resources: Vec<Resource> =
            self.world.cloud.resources().into_iter().filter(|resource| !resource.is_leaving()).collect();
        // A resource that is not on record yet is found by its tags alone: without them it belongs to nobody.
        let ours: Vec<&Resource> = resources
            .iter()
            .filter(|resource| is_recorded(resource) && !self.given_away.contains_key(&resource.id))
            .collect();
        let one = |pick: usize| ours.get(pick % ours.len().max(1)).copied();
        let cloud = &self.world.cloud;
        match what {
            ByHand::Vanish(pick) => {
                if let Some(resource) = resources.get(pick % resources.len().max(1)) {
                    cloud.remove_id(&resource.id);
                    self.given_away.remove(&resource.id);
                    self.vanished.insert(resource.id.clone());
                }
            }
            ByHand::Alter(pick) => {
                if let Some(resource) = one(*pick) {
                    cloud.edit_id(&resource.id, |resource| {
                        drop(resource.properties.insert("size".to_owned(), json!(99)));
                    });
                }
            }
            ByHand::Detach(pick) => {
                if let Some(resource) = one(*pick) {
                    cloud.edit_id(&resource.id, |resource| {
                        for property in ["uses", "holds"] {
                            resource.properties.insert(property.to_owned(), json!([]));
                        }
                    });
                }
            }
            ByHand::Untag(pick, tag) => {
                if let Some(resource) = one(*pick) {
                    cloud.edit_id(&resource.id, |resource| {
                        resource.tags.retain(|key, _| tag.is_some_and(|tag| key != tag));
                    });
                }
            }
            ByHand::GiveAway(pick) => {
                if let Some(resource) = one(*pick).filter(|resource| is_tagged(resource.kind)) {
                    cloud.edit_id(&resource.id, |resource| {
                        drop(resource.tags.insert(STACK.to_owned(), "theirs".to_owned()));
                    });
                    let now = cloud.resources().into_iter().find(|now| now.id == resource.id).expect("it exists");
                    self.given_away.insert(now.id.clone(), now);
                }
            }
            ByHand::Duplicate(pick) => {
                // If the original is gone, drctl does not choose between two duplicates: it says so, and leaves both alone.
                let is_single =
                    |of: &&Resource| resources.iter().filter(|resource| resource.name == of.name).count() == 1;
                if let Some(resource) = one(*pick).filter(is_single) {
                    self.duplicates.extend(cloud.duplicate(&resource.id));
                }
            }
        }
    }

    async fn fault(&mut self, node: usize, op: Op, harm: &Harm, times: usize) {
        let fault = match harm {
            // AWS says this only of a resource that does not exist. Of one that does, together with reads that lag, it would mean that
            // the resource is gone.
            Harm::Refuse(Class::NotFound) if op == Op::Delete => return,
            Harm::Refuse(class) => Fault::Refuse(Failure::new(*class, "injected")),
            Harm::LoseAnswer => Fault::LoseAnswer,
            Harm::LoseCall => Fault::LoseCall,
            Harm::Spoil => {
                self.begin(Upheaval::Other).await;
                // A creation that fails in a run that is killed has to have failed when the next run plans.
                self.is_changed = true;
                Fault::Spoil
            }
        };
        let node = node % self.nodes.len();
        let name = format!("n{node}");
        // Listings and searches go by the name of the type.
        let name = if matches!(op, Op::List | Op::Search) { self.nodes[node].spec.kind } else { name.as_str() };
        self.world.cloud.inject(name, op, fault, times);
        self.has_faults = true;
    }

    /// What was created by hand and exists, and has not been recorded since.
    fn foreign_duplicates(&self) -> BTreeSet<String> {
        let entries = self.entries();
        let is_recorded = |id: &&String| entries.values().any(|entry| entry.id.as_ref() == Some(*id));
        let existing: BTreeSet<String> = self.world.cloud.resources().into_iter().map(|resource| resource.id).collect();
        self.duplicates.iter().filter(|id| !is_recorded(id) && existing.contains(*id)).cloned().collect()
    }

    /// Whether nothing keeps a run from succeeding.
    fn is_undisturbed(&self) -> bool {
        !self.has_faults && self.given_away.is_empty() && self.foreign_duplicates().is_empty()
    }

    /// Checks what has to hold after any run, even one that failed or was killed.
    fn check(&self) {
        let context = &self.context;
        let entries = self.entries();
        let resources = self.world.cloud.resources();
        let foreign_duplicates = self.foreign_duplicates();
        let mut names: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
        for resource in
            resources.iter().filter(|resource| !resource.is_leaving() && !foreign_duplicates.contains(&resource.id))
        {
            let is_recorded =
                |entry: &Entry| entry.id.as_ref() == Some(&resource.id) && entry.region == resource.region;
            let is_intended =
                |entry: &Entry| matches!(&entry.status, Status::Creating { attempt, .. } if *attempt == resource.token);
            let is_known = entries.values().any(|entry| is_recorded(entry) || is_intended(entry));
            assert!(is_known, "{context}: {} ({}) is an orphan: {entries:#?}", resource.id, resource.name);
            let twin =
                names.insert((resource.region.as_str(), resource.kind, resource.name.as_str()), resource.id.as_str());
            assert!(twin.is_none(), "{context}: {} exists twice: {} and {twin:?}", resource.name, resource.id);
        }
        for (address, entry) in &entries {
            let Some(id) = &entry.id else { continue };
            let is_there = resources.iter().any(|resource| resource.id == *id && resource.region == entry.region);
            let may_be_gone = matches!(entry.status, Status::Deleting { .. }) || self.vanished.contains(id);
            assert!(is_there || may_be_gone, "{context}: {address} is a phantom: {entry:#?}");
        }
        for (id, given_away) in &self.given_away {
            let now = resources.iter().find(|resource| resource.id == *id);
            let now = now.map(|resource| (&resource.properties, &resource.tags));
            assert_eq!(
                now,
                Some((&given_away.properties, &given_away.tags)),
                "{context}: {id} is not drctl's to touch"
            );
        }
    }

    /// Puts right what drctl must not or cannot put right after people and faults. Then one `up` has to put right everything else.
    async fn heal(&mut self) {
        self.world.cloud.heal();
        for id in self.given_away.keys() {
            self.world.cloud.edit_id(id, |resource| drop(resource.tags.insert(STACK.to_owned(), OURS.to_owned())));
        }
        for id in self.foreign_duplicates() {
            self.world.cloud.remove_id(&id);
        }
        if self.is_changed {
            sleep(SETTLED).await;
        }
        let wants = self.wants();
        let expected = undisturbed(&wants, brisk).await;
        self.world.assert_converges(&wants, &expected, &self.context).await;
        self.upheaval = Upheaval::None;
        self.is_changed = false;
        self.has_faults = false;
        self.given_away.clear();
        self.duplicates.clear();
        self.vanished.clear();
    }

    /// `down`, when nothing keeps it from succeeding: nothing is left.
    async fn goes_down(&self) {
        let ran = self.world.down().await;
        let context = &self.context;
        assert!(ran.report.is_success(), "{context}: {:#?}", ran.report);
        self.check();
        // A resource that reads do not show yet is not visible while it is being deleted, either.
        sleep(SETTLED).await;
        assert_eq!(self.world.cloud.contents(), Contents::new(), "{context}: nothing is left in the cloud");
        let left = self.entries();
        assert!(left.is_empty(), "{context}: nothing is left in the state: {left:#?}");
    }
}
