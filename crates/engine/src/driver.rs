//! The interface between the engine and a type of resource: observe, create, sync, weigh, delete. The engine does everything
//! else.

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
    /// How long AWS may refuse a call because of a dependency, a role, or a name before the refusal is final.
    pub patience: Duration,
    /// Whether a resource can be deleted on its own. If not, only its record is deleted, and AWS deletes it with the resource
    /// that contains it.
    pub removable: bool,
    /// Whether data is lost for good when a resource is deleted. It is then deleted or replaced only if the user has named it
    /// ([`Consent`](crate::Consent)).
    pub holds_data: bool,
    /// Outputs that another resource must use before this one becomes available. For example, a certificate is issued only once
    /// the DNS record that uses one of its outputs exists. A use of the same outputs of a resource with the same desired
    /// properties counts, too. If the other resource fails, the engine stops waiting for this one.
    pub completed_by: &'static [&'static str],
    /// Properties that are versions, e.g. `17.7`. A version can be raised but not lowered. A live version that is later than the
    /// desired one, with the same major version, is not a difference.
    pub versions: &'static [&'static str],
    /// By how much to multiply the usual grace period, in which a resource created by a lost call may be invisible.
    pub grace: u32,
}

/// How long the work on one resource typically takes, from the first call to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TypicalDurations {
    /// Time until the resource is created and available.
    pub create: Duration,
    /// Time until the change in place is complete.
    pub update: Duration,
    /// Time until the resource is deleted.
    pub delete: Duration,
}

impl TypeInfo {
    /// The defaults of a type. Override the fields that differ: `TypeInfo { holds_data: true, ..TypeInfo::usual("thing") }`.
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
    /// It is not available yet. The text is AWS's name for its state.
    Pending(String),
    /// It does not work, and will work again once the cause (e.g. a disabled key) is fixed. The text is AWS's name for the state,
    /// and the reason. The engine waits for it as for a pending resource, because the current run may fix the cause.
    Stalled(String),
    /// It will never become available. The text is AWS's name for the state, and the reason.
    Failed(String),
    /// It is being deleted. The text is AWS's name for its state.
    Deleting(String),
}

impl Phase {
    /// AWS's name for the state of a resource that is not available but may become so. The engine waits for such a resource.
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
    /// This stack, although the resource has no tags: it is part of a resource that belongs to this stack.
    Implied,
    /// Unknown, because its tags name no stack. It is this stack's only if the state has recorded its id.
    Untagged,
    /// The stack of this name, according to its tags.
    Foreign(String),
}

impl Owner {
    /// The attempt in the tags of a resource of this stack.
    #[must_use]
    pub fn attempt(&self) -> Option<&str> {
        match self {
            Self::Ours { attempt, .. } => attempt.as_deref(),
            Self::Implied | Self::Untagged | Self::Foreign(_) => None,
        }
    }
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
    /// The outputs that other resources may refer to, besides `id` and `arn`.
    pub outputs: BTreeMap<String, String>,
    /// The ARNs of resources that must be deleted before this one, given its current role. For example, the writing member of a
    /// global database is deleted after the other members.
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

    /// Adds an ARN.
    #[must_use]
    pub fn with_arn(mut self, arn: impl Into<String>) -> Self {
        self.arn = Some(arn.into());
        self
    }

    /// Adds an output that other resources may refer to.
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

/// The result of a call of [`Driver::sync`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// A change that was started and is still in progress, if any. The remaining changes follow when it is complete.
    pub in_progress: Option<String>,
    /// The ARN of the resource whose change must complete first, if that is another resource. If that resource fails in this run,
    /// the step stops waiting.
    pub awaits: Option<String>,
    /// A change that was requested in full but is not visible yet, if any. The resource is read again before the change is
    /// requested again.
    pub visible_after: Option<String>,
    /// Properties that a custom endpoint does not know, with its answers.
    pub unsupported: BTreeMap<String, String>,
}

/// The result of a request to delete a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// AWS is deleting it. The engine waits until it no longer exists.
    Requested,
    /// A step that has to come first was started. The engine waits for it, and requests the deletion again. The text says what it
    /// waits for.
    NotYet(String),
    /// drctl cannot delete it; AWS removes it later. The text says how.
    LeftBehind(String),
    /// It will be deleted in some days, and can be restored until then.
    Scheduled,
    /// It is not deleted, because a remaining resource needs it. The text says which. It stays in the state.
    Kept(String),
}

/// The consequences of deleting a live resource, determined before anything is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weight {
    /// What would be lost, as far as AWS says: "1,204 items, 3.1 MB". `None` if nothing would be lost.
    pub stake: Option<String>,
    /// Reasons why AWS would refuse the deletion, e.g. a resource that does not belong to this stack. One sentence each, with
    /// what to do if deleting that resource is not the answer.
    pub hindrances: Vec<String>,
    /// If the resource would be kept rather than deleted: why, e.g. because a remaining resource needs it.
    pub kept: Option<String>,
}

/// The ids and ARNs of everything that a plan deletes or replaces, and what its changes in place let go of. These do not block other
/// deletions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlsoDeleted {
    deleted: BTreeSet<String>,
    /// Pairs: the id or ARN of a resource that is changed in place, and a value that it has until then.
    left: BTreeSet<(String, String)>,
}

impl AlsoDeleted {
    /// The same with changes in place: each with the id or ARN of what is changed, and the value that it has until then, e.g. the name
    /// of the group that a cluster leaves.
    #[must_use]
    pub fn leaving(mut self, left: impl IntoIterator<Item = (String, String)>) -> Self {
        self.left.extend(left);
        self
    }

    /// Whether the resource with this id or ARN is deleted as well.
    #[must_use]
    pub fn contains(&self, id_or_arn: &str) -> bool {
        self.deleted.contains(id_or_arn)
    }

    /// Whether the resource with this id or ARN is changed so that it no longer uses the one of this name.
    #[must_use]
    pub fn is_left(&self, by: &str, name: &str) -> bool {
        self.left.contains(&(by.to_owned(), name.to_owned()))
    }
}

impl<S: Into<String>> FromIterator<S> for AlsoDeleted {
    fn from_iter<I: IntoIterator<Item = S>>(ids: I) -> Self {
        Self { deleted: ids.into_iter().map(Into::into).collect(), left: BTreeSet::new() }
    }
}

impl Synced {
    /// A change was started, and the next one can be requested only once it is complete.
    #[must_use]
    pub fn in_progress(what: impl Into<String>) -> Self {
        Self { in_progress: Some(what.into()), ..Self::default() }
    }

    /// The change of another resource has to complete before anything more can be requested.
    #[must_use]
    pub fn after(arn: impl Into<String>, what: impl Into<String>) -> Self {
        Self { awaits: Some(arn.into()), ..Self::in_progress(what) }
    }

    /// All changes were requested; they become visible after the given event.
    #[must_use]
    pub fn visible_after(what: impl Into<String>) -> Self {
        Self { visible_after: Some(what.into()), ..Self::default() }
    }

    /// Notes a property that a custom endpoint does not know, and continues without it.
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

    /// Like `list`, with as many calls as needed: finds resources that the state has lost. Untagged resources are not included,
    /// because they belong to the resource that contains them.
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

    /// Sets the properties that differ to their desired values, with as few calls as possible.
    fn sync<'a>(
        &'a self,
        region: &'a Region,
        live: &'a Live,
        desired: &'a Properties,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>>;

    /// How the operator can keep a resource although its changes force a replacement, if AWS offers a way that drctl does not
    /// take automatically. In full sentences. Makes no call.
    fn spare(&self, _region: &Region, _live: &Live, _changes: &[Change]) -> Option<String> {
        None
    }

    /// Determines what deleting the resource would mean, given what else is deleted: what would be lost, what would block the
    /// deletion, and whether the resource would be kept. Changes nothing.
    fn weigh<'a>(
        &'a self,
        _region: &'a Region,
        _live: &'a Live,
        _also: &'a AlsoDeleted,
    ) -> BoxFuture<'a, Result<Weight, Failure>> {
        Box::pin(std::future::ready(Ok(Weight::default())))
    }

    /// Deletes a resource, or performs the next step of its deletion. A resource that does not exist counts as deleted. The
    /// engine waits for the end of the deletion with [`Driver::read`].
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
