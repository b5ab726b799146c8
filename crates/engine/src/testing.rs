//! What this layer's unit tests look at: a type of resource that is there, and no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::state::{Address, Entry, Status};
use crate::{
    Attempt, Change, Class, Driver, Drivers, Failure, Graph, Live, Node, Owner, Phase, Properties, Region, Removal,
    Synced, Traits,
};

/// What is there of one type, by Region; or that it does not answer.
#[derive(Clone)]
pub(super) struct Cloud {
    kind: &'static str,
    there: Result<BTreeMap<String, Vec<Live>>, Failure>,
}

impl Cloud {
    pub(super) fn with(kind: &'static str, region: &str, all: Vec<Live>) -> Self {
        Self { kind, there: Ok(BTreeMap::from([(region.to_owned(), all)])) }
    }

    pub(super) fn also(mut self, region: &str, all: Vec<Live>) -> Self {
        if let Ok(there) = &mut self.there {
            there.insert(region.to_owned(), all);
        }
        self
    }

    pub(super) fn failing(kind: &'static str) -> Self {
        Self { kind, there: Err(Failure::new(Class::Unreachable, "nothing answers")) }
    }
}

impl Drivers for Cloud {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        (kind == self.kind)
            .then(|| Arc::new(Stub { traits: traits(self.kind), cloud: self.clone() }) as Arc<dyn Driver>)
    }
}

struct Stub {
    traits: Traits,
    cloud: Cloud,
}

impl Stub {
    fn all(&self, region: &Region) -> Result<Vec<Live>, Failure> {
        self.cloud.there.clone().map(|there| there.get(&**region).cloned().unwrap_or_default())
    }
}

fn unused<T>() -> Result<T, Failure> {
    Err(Failure::new(Class::Internal, "it is only looked at"))
}

impl Driver for Stub {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    fn natural_id(&self, desired: &Properties) -> Option<String> {
        desired.get("name")?.as_str().map(str::to_owned)
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        async move { self.all(region) }.boxed()
    }

    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        let is_of =
            move |live: &Live| matches!(&live.owner, Owner::Ours { attempt: Some(by), .. } if *by == attempt.token);
        async move { Ok(self.all(region)?.into_iter().find(is_of)) }.boxed()
    }

    fn read<'a>(&'a self, region: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        async move { Ok(self.all(region)?.into_iter().find(|live| live.id == id)) }.boxed()
    }

    fn create<'a>(
        &'a self,
        _: &'a Region,
        _: &'a Properties,
        _: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        async { unused() }.boxed()
    }

    fn sync<'a>(
        &'a self,
        _: &'a Region,
        _: &'a Live,
        _: &'a Properties,
        _: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>> {
        async { unused() }.boxed()
    }

    fn delete<'a>(&'a self, _: &'a Region, _: &'a Live) -> BoxFuture<'a, Result<Removal, Failure>> {
        async { unused() }.boxed()
    }
}

fn traits(kind: &'static str) -> Traits {
    Traits {
        kind,
        immutable: &[],
        holds: &[],
        create: Duration::from_secs(1),
        delete: Duration::from_secs(1),
        idempotent_create: false,
        patience: Duration::ZERO,
        removable: true,
        holds_data: false,
        versions: &[],
        grace: 1,
    }
}

/// Something of ours, made as a node by an attempt.
pub(super) fn live(id: &str, node: &str, attempt: Option<&str>, phase: Phase) -> Live {
    let owner = Owner::Ours { node: node.parse().ok(), attempt: attempt.map(str::to_owned) };
    Live {
        id: id.to_owned(),
        arn: None,
        phase,
        owner,
        properties: Properties::new(),
        outputs: BTreeMap::new(),
        goes_after: Vec::new(),
    }
}

/// What the state holds.
pub(super) fn entry(region: &str, id: &str, status: Status) -> Entry {
    Entry {
        status,
        region: region.to_owned(),
        natural_id: None,
        id: Some(id.to_owned()),
        arn: None,
        outputs: BTreeMap::new(),
        attempt: None,
        digest: String::new(),
        depends_on: Vec::new(),
        unsupported: BTreeMap::new(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

/// A node that nothing is asked of.
pub(super) fn node(address: &str, region: &str, desired: Properties) -> Node {
    let address: Address = address.parse().expect("an address");
    let kind = KINDS.into_iter().find(|kind| *kind == address.kind()).expect("a known type");
    let driver = Cloud::with(kind, region, Vec::new()).driver(kind).expect("its own type");
    Node { address, region: region.into(), driver, desired }
}

const KINDS: [&str; 4] = ["vpc", "subnet", "route", "kms_key"];

/// A graph of these.
pub(super) fn graph(nodes: Vec<Node>) -> Graph {
    let mut graph = Graph::new();
    for node in nodes {
        graph.add(node).expect("sound");
    }
    graph
}
