//! What the engine asks of a type of resource: observe, create, sync, weigh, delete. The engine does everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Class, Failure};
use crate::reference::Properties;
use crate::state::Address;

/// The name of an AWS Region. Regions are independent: work in one never waits for another, except along an edge of the graph.
pub type Region = Arc<str>;

/// The constants of a type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeInfo {
    /// The type's name in addresses, e.g. `nat_gateway`.
    pub kind: &'static str,
    /// Properties that cannot be changed in place, with the reason shown in plans.
    pub immutable: &'static [(&'static str, &'static str)],
    /// Properties whose target cannot be deleted while the resource refers to it: when the target is recreated, the resource is
    /// recreated, too.
    pub holds: &'static [&'static str],
    /// Whether the create call honours the attempt's token: the same token does not create a second resource.
    pub idempotent_create: bool,
    /// How long a dependency, a role, or a name may go on refusing before the refusal is final.
    pub patience: Duration,
    /// Whether a resource can be deleted on its own. If not, only its record is deleted, and AWS deletes it with what it belongs to.
    pub removable: bool,
    /// Whether data is lost for good when a resource is deleted. It is then deleted or replaced only if the user has named it
    /// ([`Consent`](crate::Consent)).
    pub holds_data: bool,
    /// Outputs whose users complete a resource, and others that are desired alike: it becomes available only once what refers to one of
    /// them is there, as certificates for a name are issued once the DNS record of one of them exists. If such a user fails, the
    /// resource is not waited for any longer.
    pub completed_by: &'static [&'static str],
    /// Properties that are versions, e.g. `17.7`: AWS and operators raise them, and nobody can lower them. A live version that is
    /// later than the desired one, with the same major version, is not a difference.
    pub versions: &'static [&'static str],
    /// How many times as long as usual a resource that a lost call has created may stay invisible.
    pub grace: u32,
}

/// How long the work on one resource typically takes, from the first call to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TypicalDurations {
    /// Until it is created and available.
    pub create: Duration,
    /// Until it is changed in place.
    pub update: Duration,
    /// Until it is deleted.
    pub delete: Duration,
}

impl TypeInfo {
    /// A type with nothing unusual, to be completed with what is: `TypeInfo { holds_data: true, ..TypeInfo::usual("thing") }`.
    #[must_use]
    pub const fn usual(kind: &'static str) -> Self {
        Self {
            kind,
            immutable: &[],
            holds: &[],
            idempotent_create: false,
            patience: Duration::from_mins(5),
            removable: true,
            holds_data: false,
            completed_by: &[],
            versions: &[],
            grace: 1,
        }
    }
}

/// The condition that a live resource is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "state", rename_all = "snake_case")]
pub enum Phase {
    /// It is available.
    Ready,
    /// It is on its way to that, in the state that AWS calls this.
    Pending(String),
    /// It does not work, and works again once somebody has put right what it lacks, e.g. its key: AWS's name for the state, and the
    /// reason. It is waited for like one that is on its way, because the run that waits may be what puts that right.
    Stalled(String),
    /// It will never become available: AWS's name for the state, and the reason.
    Failed(String),
    /// It is being deleted, in the state that AWS calls this.
    Deleting(String),
}

impl Phase {
    /// The state of a resource that is not available and may become so: it is waited for.
    #[must_use]
    pub fn awaited(&self) -> Option<&str> {
        match self {
            Self::Pending(state) | Self::Stalled(state) => Some(state),
            Self::Ready | Self::Failed(_) | Self::Deleting(_) => None,
        }
    }
}

/// Who owns a live resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This stack, according to its tags.
    Ours {
        /// The address in its tags.
        node: Option<Address>,
        /// The attempt in its tags.
        attempt: Option<String>,
    },
    /// This stack: it carries no tags, and lies within something that is this stack's.
    Implied,
    /// Unknown, because its tags name no stack. It is this stack's only if the state has recorded its id.
    Untagged,
    /// The stack of this name, according to its tags.
    Foreign(String),
}

/// A resource as it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The id by which AWS knows it.
    pub id: String,
    /// Its ARN, where it has one.
    pub arn: Option<String>,
    /// The condition that it is in.
    pub phase: Phase,
    /// Who owns it.
    pub owner: Owner,
    /// Its properties, with the same names as the desired ones. Those that cannot be read are left out.
    pub properties: Properties,
    /// What other resources may refer to, besides `id` and `arn`.
    pub outputs: BTreeMap<String, String>,
    /// The ARNs of what has to be gone before this resource can be deleted, given its role at the moment: for the member of a global
    /// database that writes, the other members.
    pub goes_after: Vec<String>,
}

impl Live {
    /// An output by its name. `id` and `arn` are outputs, too.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<String> {
        match name {
            "id" => Some(self.id.clone()),
            "arn" => self.arn.clone(),
            _ => self.outputs.get(name).cloned(),
        }
    }

    /// The same with an ARN.
    #[must_use]
    pub fn with_arn(mut self, arn: impl Into<String>) -> Self {
        self.arn = Some(arn.into());
        self
    }

    /// The same with an output that other resources may refer to.
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
    /// The live value; null when it is not set.
    pub old: Value,
    /// The desired value; a reference when that is known only after another resource has been created.
    pub new: Value,
    /// Why it cannot be changed in place, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forces_replacement: Option<&'static str>,
}

/// One attempt to create a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its token: unique, durable before the call, and the same whenever the call is repeated.
    pub token: String,
}

/// What a call of [`Driver::sync`] has achieved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// Something that was started and takes its time, if anything. The rest is done afterwards.
    pub in_progress: Option<String>,
    /// The ARN of another resource, if it is that one's change that the rest waits for. If that one fails in this run, the step does
    /// not wait for it any longer.
    pub awaits: Option<String>,
    /// Something that was requested completely and becomes visible in a moment, if anything. The resource is read again before it is
    /// requested once more.
    pub visible_after: Option<String>,
    /// Properties that a custom endpoint does not know, with its answers.
    pub unsupported: BTreeMap<String, String>,
}

/// What a request to delete a resource has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// AWS is deleting it. What remains is to wait until it is gone.
    Requested,
    /// Something has to happen first, and was started. The engine waits for it, and requests the deletion again.
    NotYet(String),
    /// Nobody can delete it, and it disappears by itself. The text says how.
    LeftBehind(String),
    /// It will be deleted in some days, and can be restored until then.
    Scheduled,
    /// It is not deleted, because something that stays needs it. The text says what. It stays on record.
    Kept(String),
}

/// What the deletion of a live resource would mean, found out before anything is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weight {
    /// What would be lost, as far as AWS says: "1,204 items, 3.1 MB". `None` when nothing would.
    pub stake: Option<String>,
    /// What would keep AWS from deleting it, e.g. something that belongs to somebody else: a sentence for each, with what to do
    /// unless that is to delete it.
    pub hindrances: Vec<String>,
    /// Why it would not be deleted but kept, if so: something that stays needs it.
    pub kept: Option<String>,
}

/// The ids and ARNs of everything that a plan deletes or replaces. What is among them stands in nobody's way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlsoDeleted(BTreeSet<String>);

impl AlsoDeleted {
    /// Whether the resource with this id or ARN is deleted as well.
    #[must_use]
    pub fn contains(&self, id_or_arn: &str) -> bool {
        self.0.contains(id_or_arn)
    }
}

impl<S: Into<String>> FromIterator<S> for AlsoDeleted {
    fn from_iter<I: IntoIterator<Item = S>>(ids: I) -> Self {
        Self(ids.into_iter().map(Into::into).collect())
    }
}

impl Synced {
    /// Something was started, and nothing more can be done before it has happened.
    #[must_use]
    pub fn in_progress(what: impl Into<String>) -> Self {
        Self { in_progress: Some(what.into()), ..Self::default() }
    }

    /// The change of another resource has to come first, and nothing more can be done before it has happened.
    #[must_use]
    pub fn after(arn: impl Into<String>, what: impl Into<String>) -> Self {
        Self { awaits: Some(arn.into()), ..Self::in_progress(what) }
    }

    /// Everything was requested, and becomes visible when this is over.
    #[must_use]
    pub fn visible_after(what: impl Into<String>) -> Self {
        Self { visible_after: Some(what.into()), ..Self::default() }
    }

    /// Takes note of a property that a custom endpoint does not know, and goes on without it.
    ///
    /// # Errors
    /// Any other failure of `answer`.
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

/// A type of resource. One value serves all resources of the type.
///
/// Every method may be called again after a crash at any point. The future of a method that only reads may be dropped.
pub trait Driver: Send + Sync {
    /// The constants of the type.
    fn traits(&self) -> &TypeInfo;

    /// How long the work on one resource of the type typically takes. Some types differ by role.
    fn expected(&self, address: &Address) -> TypicalDurations;

    /// The id, if it follows from the desired properties because it is a unique name. `None` when AWS assigns the id, or when the
    /// properties are not resolved far enough.
    fn natural_id(&self, desired: &Properties) -> Option<String>;

    /// All resources of this type in one Region that are tagged as this stack's, with as few calls as possible.
    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>>;

    /// The same, with as many calls as it takes: for finding what the state has lost. Resources without tags are not among them: they
    /// belong to what they lie in.
    fn sweep<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        self.list(region)
    }

    /// Searches thoroughly for the resource that an attempt may have created. Called only for open intents.
    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>>;

    /// Reads one resource by its id. `None` when it does not exist.
    fn read<'a>(&'a self, region: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>>;

    /// Creates a resource, with one mutating call, and returns its id.
    fn create<'a>(
        &'a self,
        region: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>>;

    /// Sets the properties that differ to what is desired, with as few calls as possible.
    fn sync<'a>(
        &'a self,
        region: &'a Region,
        live: &'a Live,
        desired: &'a Properties,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>>;

    /// How the resource can be kept although changes force its replacement, if AWS has a way that drctl does not take by itself: for
    /// an operator, in full sentences. Makes no call.
    fn spare(&self, _region: &Region, _live: &Live, _changes: &[Change]) -> Option<String> {
        None
    }

    /// Finds out what its deletion would mean, given what is deleted with it: what is lost, what stands in the way, and whether it
    /// would be kept. Changes nothing.
    fn weigh<'a>(
        &'a self,
        _region: &'a Region,
        _live: &'a Live,
        _also: &'a AlsoDeleted,
    ) -> BoxFuture<'a, Result<Weight, Failure>> {
        Box::pin(std::future::ready(Ok(Weight::default())))
    }

    /// Deletes a resource, or takes the next step towards that. That it does not exist is success. The engine waits for its end with
    /// [`Driver::read`].
    fn delete<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Deletion, Failure>>;
}

impl fmt::Debug for dyn Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({})", self.traits().kind)
    }
}

/// Finds the driver of a type, for resources that are only in the state.
pub trait DriverRegistry: Send + Sync {
    /// The driver of a type of resource. `None` for a type that this drctl does not know.
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>>;
}
