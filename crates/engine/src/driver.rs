//! What the engine asks of a type of resource: observe, create, sync, delete. Everything else is the engine's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Class, Failure};
use crate::reference::Properties;
use crate::state::Address;

/// A place with a life of its own: work in one never waits for another except along an edge. An AWS Region's name.
pub type Region = Arc<str>;

/// What is fixed for a type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// The type's name in addresses, e.g. `nat_gateway`.
    pub kind: &'static str,
    /// Properties that cannot be changed in place, with the reason shown in plans.
    pub immutable: &'static [(&'static str, &'static str)],
    /// Properties whose target cannot be deleted while this one refers to it: when the target is made anew, so is this.
    pub holds: &'static [&'static str],
    /// How long it typically takes to be created and available: orders the walk and is shown beside slow ones.
    pub create: Duration,
    /// How long it typically takes to be gone.
    pub delete: Duration,
    /// Whether the create call honours the attempt's token: the same token makes no second one.
    pub idempotent_create: bool,
    /// How long a dependency, a role or a name may keep refusing before it is taken as final.
    pub patience: Duration,
    /// Whether it can be deleted on its own. If not, only its record goes, and it goes with what it belongs to.
    pub removable: bool,
    /// Whether data is lost for good when it is deleted: then it is deleted or replaced only by its name, typed
    /// ([`Consent`](crate::Consent)).
    pub holds_data: bool,
    /// Properties that are versions, e.g. `17.7`: AWS and operators raise them, and nobody can lower them. A live one above the
    /// desired one, of the same major version, is no difference.
    pub versions: &'static [&'static str],
    /// How many times as long as usual what a lost call has made may stay out of sight.
    pub grace: u32,
}

/// How long one resource typically takes, from the first call to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// To be created and available.
    pub create: Duration,
    /// To be changed in place.
    pub update: Duration,
    /// To be deleted.
    pub delete: Duration,
}

impl Expected {
    /// As the type says, for a resource of which nothing more is known.
    #[must_use]
    pub fn of_type(traits: &Traits) -> Self {
        Self { create: traits.create, update: traits.create, delete: traits.delete }
    }
}

/// How a live resource stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "state", rename_all = "snake_case")]
pub enum Phase {
    /// Available.
    Ready,
    /// On its way there; AWS's word for it.
    Pending(String),
    /// It will never become available; AWS's word and reason.
    Failed(String),
    /// On its way out; AWS's word for it.
    Deleting(String),
}

/// Whose a live resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Tagged with this stack: as which node, by which attempt.
    Ours {
        /// The address in its tags.
        node: Option<Address>,
        /// The attempt in its tags.
        attempt: Option<String>,
    },
    /// Carries no tags and lies within something that is ours.
    Implied,
    /// Tagged with no stack: ours only if the state has recorded its id.
    Untagged,
    /// Tagged with another stack, which is named.
    Foreign(String),
}

/// A resource as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The id by which AWS knows it.
    pub id: String,
    /// Its ARN, where it has one.
    pub arn: Option<String>,
    /// How it stands.
    pub phase: Phase,
    /// Whose it is.
    pub owner: Owner,
    /// Its properties under the same names as the desired ones; what cannot be read is left out.
    pub properties: Properties,
    /// What others may refer to, besides `id` and `arn`.
    pub outputs: BTreeMap<String, String>,
    /// ARNs of what has to be gone before this can be deleted, as its role is at the moment: the other members of a global
    /// database, for the one that writes.
    pub goes_after: Vec<String>,
}

impl Live {
    /// One output by name; `id` and `arn` are outputs, too.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<String> {
        match name {
            "id" => Some(self.id.clone()),
            "arn" => self.arn.clone(),
            _ => self.outputs.get(name).cloned(),
        }
    }

    /// With its ARN.
    #[must_use]
    pub fn with_arn(mut self, arn: impl Into<String>) -> Self {
        self.arn = Some(arn.into());
        self
    }

    /// Without the properties that AWS did not tell: what cannot be read is not compared.
    #[must_use]
    pub fn without(mut self, properties: impl IntoIterator<Item = (&'static str, bool)>) -> Self {
        for (name, _) in properties.into_iter().filter(|(_, absent)| *absent) {
            self.properties.remove(name);
        }
        self
    }

    /// With an output that others may refer to.
    #[must_use]
    pub fn with_output(mut self, name: &str, value: impl Into<String>) -> Self {
        self.outputs.insert(name.to_owned(), value.into());
        self
    }
}

/// One property that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its name; within a map, `map.key`.
    pub property: String,
    /// What it is, absent when it is not set.
    pub old: Value,
    /// What it shall be; a reference when that is known only after another resource was made.
    pub new: Value,
    /// Why it cannot be changed in place, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forces_replacement: Option<&'static str>,
}

/// One attempt to create a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its token: unique, durable before the call, the same for every repetition of it.
    pub token: String,
}

/// What a round of [`Driver::sync`] came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// What was set going and takes its time, if anything: the rest is done afterwards.
    pub later: Option<String>,
    /// What was asked for as a whole and shows in a moment, if anything: it is looked at again before it is asked for once more.
    pub shows: Option<String>,
    /// Properties that a custom endpoint does not know, with what it answered.
    pub unsupported: BTreeMap<String, String>,
}

/// What came of asking for a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is ordered: what is left is to wait until it is gone.
    Ordered,
    /// Something has to happen first, which was set going: it is waited for, and the deletion asked for again.
    Later(String),
    /// Nobody can delete it, and it goes by itself; the text says how.
    Left(String),
    /// It is deleted in some days, and can be taken back until then.
    Scheduled,
    /// It is not deleted, since something that stays needs it; the text says what. It stays on record.
    Kept(String),
}

/// What the deletion of a live resource means, found out before anything is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weight {
    /// What is lost with it, as far as AWS tells: "1,204 items, 3.1 MB". `None` when nothing is.
    pub stake: Option<String>,
    /// What is somebody else's and keeps AWS from deleting it: a sentence for each.
    pub hindrances: Vec<String>,
}

impl Synced {
    /// Nothing more can be done before this has happened.
    #[must_use]
    pub fn later(what: impl Into<String>) -> Self {
        Self { later: Some(what.into()), ..Self::default() }
    }

    /// All of it was asked for, and shows when this is over.
    #[must_use]
    pub fn shows_after(what: impl Into<String>) -> Self {
        Self { shows: Some(what.into()), ..Self::default() }
    }

    /// Goes on without a property that a custom endpoint does not know, and notes it.
    ///
    /// # Errors
    /// Every other failure of `answer`.
    pub fn unless_unsupported<T>(&mut self, property: &str, answer: Result<T, Failure>) -> Result<(), Failure> {
        match answer {
            Err(failure) if failure.class == Class::Unsupported => {
                self.unsupported.insert(property.to_owned(), failure.to_string());
                Ok(())
            }
            answer => answer.map(drop),
        }
    }
}

/// A type of resource. One value serves every resource of the type.
///
/// Every method may be called again after a crash at any point, and every future may be dropped while it only reads.
pub trait Driver: Send + Sync {
    /// What is fixed for the type.
    fn traits(&self) -> &Traits;

    /// How long one resource of the type typically takes: some differ by role.
    fn expected(&self, _address: &Address) -> Expected {
        Expected::of_type(self.traits())
    }

    /// The id that follows from the desired properties alone: a unique name. `None` when AWS assigns it, or when the
    /// properties are not resolved far enough.
    fn natural_id(&self, desired: &Properties) -> Option<String>;

    /// Everything of this type that bears this stack's tags in one Region, with as few calls as possible.
    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>>;

    /// Everything of this type that bears this stack's tags in one Region, however many calls it takes: for looking for what
    /// the state has lost. What carries no tags is not among it: it belongs to what it lies in.
    fn sweep<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        self.list(region)
    }

    /// Looks for what an attempt may have made, as thoroughly as it takes. Called only for open intents.
    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>>;

    /// One resource by its id; `None` when it is not there.
    fn read<'a>(&'a self, region: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>>;

    /// Makes it, with one mutating call, and returns its id.
    fn create<'a>(
        &'a self,
        region: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>>;

    /// Brings the changed properties to what is desired, in as few calls as possible.
    fn sync<'a>(
        &'a self,
        region: &'a Region,
        live: &'a Live,
        desired: &'a Properties,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>>;

    /// What its deletion means: what is lost, and what stands in the way. Changes nothing.
    fn weigh<'a>(&'a self, _region: &'a Region, _live: &'a Live) -> BoxFuture<'a, Result<Weight, Failure>> {
        Box::pin(std::future::ready(Ok(Weight::default())))
    }

    /// Deletes it, or takes the next step towards that. Absent is success; its end may be awaited with [`Driver::read`].
    fn delete<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Removal, Failure>>;
}

impl fmt::Debug for dyn Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({})", self.traits().kind)
    }
}

/// Finds the driver of a type: for what is only in the state.
pub trait Drivers: Send + Sync {
    /// The driver of a type of resource; `None` for a type this drctl does not know.
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>>;
}
