//! The resources that a test wants.

use serde_json::{Value, json};

use super::cloud::{Cloud, NODE, OURS, STACK, is_tagged};
use crate::driver::DriverRegistry as _;
use crate::graph::Node;
use crate::plan::TAGS;
use crate::reference::{Properties, Ref};
use crate::state::{Address, Role};

/// The Region of [`Role::Primary`].
pub const EAST: &str = "east";
/// The Region of [`Role::Secondary`].
pub const WEST: &str = "west";

/// A resource that a test wants.
#[derive(Debug, Clone)]
pub struct Want {
    role: Role,
    kind: &'static str,
    name: String,
    properties: Properties,
}

/// What it is.
impl Want {
    /// A resource in the east, of size 1, round, and without references.
    pub fn new(kind: &'static str, name: &str) -> Self {
        let mut properties = Properties::new();
        properties.insert("name".to_owned(), json!(name));
        properties.insert("size".to_owned(), json!(1));
        properties.insert("shape".to_owned(), json!("round"));
        Self { role: Role::Primary, kind, name: name.to_owned(), properties }
    }

    /// Its node in a graph whose types are the cloud's.
    pub(super) fn node(&self, cloud: &Cloud) -> Node {
        let address = self.address();
        let mut desired = self.properties.clone();
        if is_tagged(self.kind) {
            desired.insert(TAGS.to_owned(), json!({STACK: OURS, NODE: address.to_string()}));
        }
        let region = if self.role == Role::Secondary { WEST } else { EAST };
        let driver = cloud.driver(self.kind).expect("a type of this cloud");
        Node { address, region: region.into(), driver, desired }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        Address::new(self.role, self.kind, &self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// In the west.
    pub fn west(mut self) -> Self {
        self.role = Role::Secondary;
        self
    }

    /// Of another size, which is changed in place.
    pub fn size(self, size: u64) -> Self {
        self.with("size", json!(size))
    }

    /// Of another shape, which forces a replacement.
    pub fn shape(self, shape: &str) -> Self {
        self.with("shape", json!(shape))
    }

    /// It has to be opened before it can be deleted, as a member leaves its group and a bucket is emptied first.
    pub fn sealed(self) -> Self {
        self.with("sealed", json!(true))
    }

    /// It takes another size only after another one has it, as the members of a database do, and does not refer to it.
    pub fn follows(self, other: &Self) -> Self {
        self.with("follows", json!(other.name))
    }

    /// It disappears by itself one day, and nobody can delete it.
    pub fn fleeting(self) -> Self {
        self.with("fleeting", json!(true))
    }

    /// Something that stays needs it: asked to delete it, the cloud keeps it.
    pub fn kept(self) -> Self {
        self.with("kept", json!(true))
    }

    /// It is deleted only days after the request.
    pub fn scheduled(self) -> Self {
        self.with("scheduled", json!(true))
    }

    /// With every property that can hold a reference, empty where there is none. What is not desired is not compared, so without this
    /// a reference could not be dropped.
    pub fn whole(mut self) -> Self {
        for property in ["inside", "holds", "uses"] {
            self.properties.entry(property).or_insert_with(|| json!([]));
        }
        self.properties.entry("endpoint").or_insert_with(|| json!(""));
        self
    }

    fn with(mut self, property: &str, value: Value) -> Self {
        self.properties.insert(property.to_owned(), value);
        self
    }
}

/// What it refers to.
impl Want {
    /// It lies in another one for life, once that is ready.
    pub fn inside(self, other: &Self) -> Self {
        self.refer("inside", &other.output("id"))
    }

    /// It refers to another one, which cannot be deleted as long as it does. Changed in place.
    pub fn holds(self, other: &Self) -> Self {
        self.refer("holds", &other.output("id"))
    }

    /// It refers to another one, once that is ready. Changed in place.
    pub fn uses(self, other: &Self) -> Self {
        self.refer("uses", &other.output("id"))
    }

    /// It refers to another one as soon as that exists. Changed in place.
    pub fn uses_early(self, other: &Self) -> Self {
        self.refer("uses", &other.output("id").exists())
    }

    /// It is created after another one, without referring to it.
    pub fn after(self, other: &Self) -> Self {
        self.refer("after", &other.output("id"))
    }

    /// It is deleted before another one, and does not wait for it.
    pub fn outlived_by(self, other: &Self) -> Self {
        self.refer("after", &other.output("id").outlives())
    }

    /// It holds an output that another one shows while it is still being created.
    pub fn proof(self, of: &Self) -> Self {
        self.with("endpoint", marker(&of.output("proof").exists()))
    }

    /// It holds an output of another one that only has to exist, although the output comes only when that is ready.
    pub fn endpoint(self, of: &Self) -> Self {
        self.with("endpoint", marker(&of.output("endpoint").exists()))
    }

    fn output(&self, output: &str) -> Ref<()> {
        Ref::output(self.address(), output)
    }

    fn refer(mut self, property: &str, to: &Ref<()>) -> Self {
        match self.properties.get_mut(property) {
            Some(Value::Array(list)) => list.push(marker(to)),
            _ => drop(self.properties.insert(property.to_owned(), json!([marker(to)]))),
        }
        self
    }
}

fn marker(reference: &Ref<()>) -> Value {
    serde_json::to_value(reference).expect("a marker")
}
