//! Plays a script on the cloud in memory, and checks after every run what has to hold however it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drctl_engine::state::{Address, Entry, Status};
use drctl_engine::testing::{Contents, Fault, OURS, Op, Resource, STACK, Want, World, is_tagged, undisturbed};
use drctl_engine::{Class, Failure};
use serde_json::json;
use tokio::time::sleep;

use super::script::{Behind, Change, Harm, Step, Way};
use crate::crash::brisk;
use crate::graphs::{Shape, Tie};

/// After so many steps everything is put right, and has to be as configured.
const HEALED_AFTER: usize = 6;

/// By then everything is available or has failed, is shown, and is gone if it was deleted.
const SETTLED: Duration = Duration::from_mins(5);

/// A node of the configuration.
struct Node {
    shape: Shape,
    is_there: bool,
    size: u64,
    is_square: bool,
}

impl Node {
    fn new(shape: &Shape) -> Self {
        Self { shape: shape.clone(), is_there: true, size: 1, is_square: false }
    }
}

/// Which of the changes that make something anew, or take something away, has not been followed by a run that succeeded.
///
/// There is never more than one: when a node leaves, what lies in the same place is made anew, and a third one refers to both,
/// then it would have to be updated before the one is deleted and after the other is made. No order of steps does that, here as
/// in Terraform; two runs do.
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
    /// Whether the configuration or a thing was changed since everything was as configured. What an interrupted run made
    /// before that, and listings do not show yet, is found too late for the plan: that run says so, and the next one does it.
    is_changed: bool,
    has_faults: bool,
    /// What was made behind drctl's back.
    doubles: BTreeSet<String>,
    /// What was deleted behind its back.
    vanished: BTreeSet<String>,
    /// What was tagged as another stack's, as it was then.
    given: BTreeMap<String, Resource>,
    context: String,
}

/// Plays it; at the end everything is put right, and deleted.
pub async fn play(shapes: &[Shape], steps: &[Step]) {
    let world = World::new();
    brisk(&world);
    let mut player = Player {
        world,
        nodes: shapes.iter().map(Node::new).collect(),
        upheaval: Upheaval::None,
        is_changed: false,
        has_faults: false,
        doubles: BTreeSet::new(),
        vanished: BTreeSet::new(),
        given: BTreeMap::new(),
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
            Step::Up(way) => self.run(&self.wants(), way).await,
            Step::Down(Way::Undisturbed) if self.is_alone() => self.goes_down().await,
            Step::Down(way) => self.run(&[], way).await,
            Step::Change(change) => self.change(change).await,
            Step::Behind(behind) => {
                // People are slow: everything shows by the time they come, and what they did by the time they have gone.
                sleep(SETTLED).await;
                self.behind(behind).await;
                self.is_changed = true;
                sleep(SETTLED).await;
            }
            Step::Fault { node, op, harm, times } => self.fault(*node, *op, harm, *times).await,
            Step::Lag { listings, reads } => {
                // What was shown stays shown.
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
            let want = node.shape.want(&wants).whole().size(node.size);
            let want = if node.is_square { want.shape("square") } else { want };
            wants.push(node.is_there.then_some(want));
        }
        wants.into_iter().flatten().collect()
    }

    fn entries(&self) -> BTreeMap<Address, Entry> {
        self.world.state().map(|state| state.resources).unwrap_or_default()
    }

    async fn run(&self, wants: &[Want], way: &Way) {
        match way {
            // They may fail or not: what counts is what is there then.
            Way::Undisturbed => drop(self.world.up(wants).await),
            Way::Killed(stop) => {
                self.world.crash(wants, stop.clone()).await;
            }
            Way::Signalled { mutation, signals } => {
                drop(self.world.up_interrupted_at(wants, *mutation, *signals).await);
            }
        }
        self.check();
    }

    async fn change(&mut self, change: &Change) {
        let count = self.nodes.len();
        match change {
            Change::Resize(node) => self.nodes[node % count].size += 1,
            Change::Add(shape) => self.nodes.push(Node::new(shape)),
            Change::Reshape(node) => {
                self.begin(Upheaval::Other).await;
                let node = &mut self.nodes[node % count];
                node.is_square = !node.is_square;
            }
            Change::Toggle(node) => {
                self.begin(Upheaval::Toggled(node % count)).await;
                let node = &mut self.nodes[node % count];
                node.is_there = !node.is_there;
            }
            Change::Retie { node, slot, tie } => {
                self.begin(Upheaval::Other).await;
                let ties: &mut [Option<(usize, Tie)>] = &mut self.nodes[node % count].shape.ties;
                ties[slot % ties.len()] = *tie;
            }
        }
        self.is_changed = true;
    }

    /// Puts everything right first, unless nothing of the kind is under way, or it is only being taken back.
    async fn begin(&mut self, upheaval: Upheaval) {
        let taken_back = matches!(upheaval, Upheaval::Toggled(_)) && upheaval == self.upheaval;
        if self.upheaval != Upheaval::None && !taken_back {
            self.heal().await;
        }
        self.upheaval = upheaval;
    }

    async fn behind(&mut self, behind: &Behind) {
        if matches!(behind, Behind::Vanish(_)) {
            self.begin(Upheaval::Other).await;
        }
        let entries = self.entries();
        let is_recorded = |thing: &Resource| entries.values().any(|entry| entry.id.as_ref() == Some(&thing.id));
        let things: Vec<Resource> =
            self.world.cloud.resources().into_iter().filter(|thing| !thing.is_leaving()).collect();
        // What nobody has on record yet is found by its tags alone: without them it is nobody's.
        let ours: Vec<&Resource> =
            things.iter().filter(|thing| is_recorded(thing) && !self.given.contains_key(&thing.id)).collect();
        let one = |pick: usize| ours.get(pick % ours.len().max(1)).copied();
        let cloud = &self.world.cloud;
        match behind {
            Behind::Vanish(pick) => {
                if let Some(thing) = things.get(pick % things.len().max(1)) {
                    cloud.remove_id(&thing.id);
                    self.given.remove(&thing.id);
                    self.vanished.insert(thing.id.clone());
                }
            }
            Behind::Alter(pick) => {
                if let Some(thing) = one(*pick) {
                    cloud.edit_id(&thing.id, |thing| drop(thing.properties.insert("size".to_owned(), json!(99))));
                }
            }
            Behind::Detach(pick) => {
                if let Some(thing) = one(*pick) {
                    cloud.edit_id(&thing.id, |thing| {
                        for property in ["uses", "holds"] {
                            thing.properties.insert(property.to_owned(), json!([]));
                        }
                    });
                }
            }
            Behind::Untag(pick, tag) => {
                if let Some(thing) = one(*pick) {
                    cloud.edit_id(&thing.id, |thing| thing.tags.retain(|key, _| tag.is_some_and(|tag| key != tag)));
                }
            }
            Behind::GiveAway(pick) => {
                if let Some(thing) = one(*pick).filter(|thing| is_tagged(thing.kind)) {
                    cloud.edit_id(&thing.id, |thing| drop(thing.tags.insert(STACK.to_owned(), "theirs".to_owned())));
                    let given = cloud.resources().into_iter().find(|given| given.id == thing.id).expect("it is there");
                    self.given.insert(given.id.clone(), given);
                }
            }
            Behind::Double(pick) => {
                // Between two doubles of what is gone drctl does not choose: it says so, and leaves both alone.
                let is_single = |of: &&Resource| things.iter().filter(|thing| thing.name == of.name).count() == 1;
                if let Some(thing) = one(*pick).filter(is_single) {
                    self.doubles.extend(cloud.duplicate(&thing.id));
                }
            }
        }
    }

    async fn fault(&mut self, node: usize, op: Op, harm: &Harm, times: usize) {
        let fault = match harm {
            // AWS says so of what is not there; said of what is, together with reads that lag, it would mean that it is gone.
            Harm::Refuse(Class::NotFound) if op == Op::Delete => return,
            Harm::Refuse(class) => Fault::Refuse(Failure::new(*class, "injected")),
            Harm::LoseAnswer => Fault::LoseAnswer,
            Harm::LoseCall => Fault::LoseCall,
            Harm::Spoil => {
                self.begin(Upheaval::Other).await;
                // What comes to nothing in a run that is killed has to have done so when the next one plans.
                self.is_changed = true;
                Fault::Spoil
            }
        };
        let node = node % self.nodes.len();
        let name = format!("n{node}");
        // Listings go by the type's name.
        let name = if matches!(op, Op::List | Op::Search) { self.nodes[node].shape.kind } else { name.as_str() };
        self.world.cloud.inject(name, op, fault, times);
        self.has_faults = true;
    }

    /// What was made behind drctl's back, and was not taken for its own since.
    fn strangers(&self) -> BTreeSet<String> {
        let entries = self.entries();
        let is_recorded = |id: &&String| entries.values().any(|entry| entry.id.as_ref() == Some(*id));
        let there: BTreeSet<String> = self.world.cloud.resources().into_iter().map(|thing| thing.id).collect();
        self.doubles.iter().filter(|id| !is_recorded(id) && there.contains(*id)).cloned().collect()
    }

    /// Whether nothing stands in drctl's way.
    fn is_alone(&self) -> bool {
        !self.has_faults && self.given.is_empty() && self.strangers().is_empty()
    }

    /// Checks what holds after any run, also one that failed or was killed.
    fn check(&self) {
        let context = &self.context;
        let entries = self.entries();
        let things = self.world.cloud.resources();
        let strangers = self.strangers();
        let mut names: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
        for thing in things.iter().filter(|thing| !thing.is_leaving() && !strangers.contains(&thing.id)) {
            let is_recorded = |entry: &Entry| entry.id.as_ref() == Some(&thing.id) && entry.region == thing.region;
            let is_intended =
                |entry: &Entry| matches!(&entry.status, Status::Creating { attempt, .. } if *attempt == thing.token);
            let is_known = entries.values().any(|entry| is_recorded(entry) || is_intended(entry));
            assert!(is_known, "{context}: {} ({}) is an orphan: {entries:#?}", thing.id, thing.name);
            let twin = names.insert((thing.region.as_str(), thing.kind, thing.name.as_str()), thing.id.as_str());
            assert!(twin.is_none(), "{context}: {} is there twice: {} and {twin:?}", thing.name, thing.id);
        }
        for (address, entry) in &entries {
            let Some(id) = &entry.id else { continue };
            let is_there = things.iter().any(|thing| thing.id == *id && thing.region == entry.region);
            let may_be_gone = matches!(entry.status, Status::Deleting { .. }) || self.vanished.contains(id);
            assert!(is_there || may_be_gone, "{context}: {address} is a phantom: {entry:#?}");
        }
        for (id, given) in &self.given {
            let now = things.iter().find(|thing| thing.id == *id);
            let now = now.map(|thing| (&thing.properties, &thing.tags));
            assert_eq!(now, Some((&given.properties, &given.tags)), "{context}: {id} is not drctl's to touch");
        }
    }

    /// Puts right what people and faults did and drctl must not or cannot; then one `up` has to put right everything else.
    async fn heal(&mut self) {
        self.world.cloud.heal();
        for id in self.given.keys() {
            self.world.cloud.edit_id(id, |thing| drop(thing.tags.insert(STACK.to_owned(), OURS.to_owned())));
        }
        for id in self.strangers() {
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
        self.given.clear();
        self.doubles.clear();
        self.vanished.clear();
    }

    /// `down`, with nothing in its way: nothing is left.
    async fn goes_down(&self) {
        let ran = self.world.down().await;
        let context = &self.context;
        assert!(ran.report.is_success(), "{context}: {:#?}", ran.report);
        self.check();
        // What reads do not show yet is not seen on its way out, either.
        sleep(SETTLED).await;
        assert_eq!(self.world.cloud.contents(), Contents::new(), "{context}: nothing is left in the cloud");
        let left = self.entries();
        assert!(left.is_empty(), "{context}: nothing is left in the state: {left:#?}");
    }
}
