//! Turns a type of resource into the engine's driver, and builds the stack from resources.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::durations::Latencies;
use super::permissions::Grant;
use super::registry::Registered;
use super::{Context, Readable, Tagging};
use crate::clients::home;
use crate::{ATTEMPT, Scope, TagMap};
use drctl_engine::state::{Address, Role};
use drctl_engine::{
    AlsoDeleted, Attempt, Change, Class, Deletion, Driver, Failure, Graph, GraphError, Live, Node, Owner, Phase,
    Properties, Ref, Region, Synced, TAGS, TypeInfo, TypicalDurations, Weight, resolve,
};

/// Marks a reference to the id of an `R`.
pub struct Id<R>(PhantomData<R>);

/// Marks a reference to the ARN of an `R`.
pub struct Arn<R>(PhantomData<R>);

/// What a create call sends in addition to the properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation<'a> {
    /// The attempt's token, which is used as the API's client token.
    pub token: &'a str,
    /// All tags, including the attempt's: to be set by the create call, never after it.
    pub tags: TagMap,
}

/// A type of resource.
///
/// Implementations are idempotent, swallow no error, and never wait: the engine waits by reading.
pub trait Resource: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// The constants of the type.
    const INFO: TypeInfo;

    /// Its service, by the name that AWS's limits of calls use.
    const SERVICE: &'static str;

    /// How long AWS takes for it; entries for a role or a name come before the one for all others.
    const LATENCIES: &'static [Latencies];

    /// Seconds that a change in place typically takes if AWS continues with it after the call is answered; by default about one
    /// call. Estimated from the steps that the change shares with the creation.
    const UPDATE_SECONDS: f64 = 1.0;

    /// The permissions that it needs, with the resources on which AWS checks them.
    const PERMISSIONS: &'static [Grant];

    /// An id of the form that AWS assigns, for a resource that does not exist yet: patterns in policies match it as they match
    /// real ids. Empty if the id is the name.
    const SAMPLE_ID: &'static str = "";

    /// Whether other resources still need it although AWS would delete it without a refusal: the key of encrypted data, the role
    /// of a running function, the log group of something that still writes. It is deleted after everything else.
    /// See docs/aws-behaviour.md#log-groups-come-back.
    const GOES_LAST: bool = false;

    /// How it is tagged, if at all.
    const TAGGING: Tagging;

    /// The id that follows from the properties alone, i.e. a unique name.
    fn natural_id(&self) -> Option<String> {
        None
    }

    /// All of this stack's resources of this type in the context's Region, with as few calls as possible. Resources of others may
    /// be among them: they are filtered out afterwards.
    ///
    /// # Errors
    /// What the call's answer means.
    fn list(cx: &Context) -> impl Future<Output = Result<Vec<Live>, Failure>> + Send;

    /// All resources of this type with this stack's tags in the context's Region, however many calls it takes: to find what the
    /// state has lost. Resources of others, or without tags, are filtered out afterwards. Replicas of resources in another Region
    /// and resources that are scheduled for deletion are not included. A type implements it only if [`Resource::list`] leaves
    /// something out.
    ///
    /// # Errors
    /// What the call's answer means.
    #[must_use]
    fn sweep(cx: &Context) -> impl Future<Output = Result<Vec<Live>, Failure>> + Send {
        Self::list(cx)
    }

    /// Reads a resource by its id; `None` if it does not exist, or if AWS only remembers it.
    ///
    /// # Errors
    /// What the call's answer means.
    fn read(cx: &Context, id: &str) -> impl Future<Output = Result<Option<Live>, Failure>> + Send;

    /// Looks for the resource that an attempt may have created. Never answered from a shared listing.
    ///
    /// # Errors
    /// What the call's answer means.
    #[must_use]
    fn search(cx: &Context, attempt: &Attempt) -> impl Future<Output = Result<Option<Live>, Failure>> + Send {
        async {
            let all = Self::list(cx).await?;
            Ok(all.into_iter().find(|live| live.owner.attempt() == Some(&*attempt.token)))
        }
    }

    /// Creates it with one mutating call and returns its id.
    ///
    /// # Errors
    /// What the call's answer means.
    fn create(&self, cx: &Context, creation: Creation<'_>) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Changes the properties that differ to the desired ones, except for tags.
    ///
    /// # Errors
    /// What a call's answer means.
    fn sync(
        &self,
        cx: &Context,
        live: &Live,
        changes: &[Change],
    ) -> impl Future<Output = Result<Synced, Failure>> + Send;

    /// How the operator can keep it although its changes force a replacement, if AWS offers a way that drctl does not take
    /// automatically. In full sentences.
    #[must_use]
    fn spare(_: &Context, _: &Live, _: &[Change]) -> Option<String> {
        None
    }

    /// What its deletion means, given everything that is deleted with it: what would be lost, what would block the deletion, and
    /// whether it would be kept.
    ///
    /// # Errors
    /// What a call's answer means.
    #[must_use]
    fn weigh(_: &Context, _: &Live, _: &AlsoDeleted) -> impl Future<Output = Result<Weight, Failure>> + Send {
        std::future::ready(Ok(Weight::default()))
    }

    /// Deletes it, or performs the next step of its deletion. If it does not exist, the result is a success or
    /// [`Class::NotFound`], which the engine treats as one.
    ///
    /// # Errors
    /// What a call's answer means.
    fn delete(cx: &Context, live: &Live) -> impl Future<Output = Result<Deletion, Failure>> + Send;
}

/// A resource as it was read, in the shape that the engine compares: without the properties that could not be read. `tags` are
/// `None` for a type without tags.
pub fn live<R: Resource>(scope: &Scope, id: &str, phase: Phase, read: &Readable<R>, tags: Option<TagMap>) -> Live {
    let mut map = to_map(&read.properties);
    for property in &read.unreadable {
        let was_there = map.remove(*property).is_some();
        debug_assert!(was_there, "{} has no property {property}", R::INFO.kind);
    }
    let owner = match tags {
        Some(tags) => {
            let owner = scope.owner(&tags);
            map.insert(TAGS.to_owned(), tags.into_iter().map(|(key, value)| (key, Value::String(value))).collect());
            owner
        }
        None => Owner::Implied,
    };
    Live {
        id: id.to_owned(),
        arn: None,
        phase,
        owner,
        properties: map,
        outputs: BTreeMap::new(),
        goes_after: Vec::new(),
    }
}

/// A resource that AWS described together with its id. Without the id, it would look like another resource, or like one that does
/// not exist and has to be created.
fn identified<R: Resource>(live: Live) -> Result<Live, Failure> {
    // The id of a route begins with that of its table.
    if live.id.is_empty() || live.id.starts_with('_') {
        return Err(unidentified(R::INFO.kind));
    }
    Ok(live)
}

/// The failure to read a resource that AWS described without its id.
pub(super) fn unidentified(kind: &str) -> Failure {
    Failure::new(Class::Ambiguous, format!("AWS described a {kind} without its id"))
}

/// Whether a name may be this stack's: it is the stack's name, or begins with it and a hyphen. The name of another stack's
/// resource may begin like that, too (`pay-dev` and `pay-dev-2`): the tags decide who owns it.
pub(super) fn bears_name(stack: &str, name: &str) -> bool {
    name.strip_prefix(stack).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Reads the resources with those of the listed `names` that may be this stack's, one by one. All names that drctl gives are.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn read_named<R: Resource>(cx: &Context, names: Vec<String>) -> Result<Vec<Live>, Failure> {
    let stack = cx.scope.name();
    let mut answers = Vec::new();
    for name in names.iter().filter(|name| bears_name(&stack, name)) {
        answers.push(R::read(cx, name).await);
        if !goes_on(answers.last()) {
            break;
        }
    }
    readable(answers)
}

/// Whether to continue after this answer: a resource that no longer exists, or whose reading is refused, says nothing about the
/// others.
pub(super) fn goes_on<T>(last: Option<&Result<T, Failure>>) -> bool {
    match last {
        Some(Err(failure)) => failure.class == Class::NotFound || is_about_permission(failure),
        _ => true,
    }
}

/// The resources that exist, of those that were read one by one and that may belong to others.
///
/// If reading one is refused and reading others is not, it is not this stack's: permissions that distinguish them cover the
/// stack's own. If reading all of them is refused, nothing is known.
///
/// # Errors
/// The first failure that is about more than one of them; the refusal, if all were refused.
pub(super) fn readable<T>(answers: Vec<Result<Option<T>, Failure>>) -> Result<Vec<T>, Failure> {
    let (mut found, mut answered, mut refusal) = (Vec::new(), false, None);
    for answer in answers {
        match answer {
            Ok(one) => {
                answered = true;
                found.extend(one);
            }
            // Deleted since it was listed.
            Err(failure) if failure.class == Class::NotFound => {}
            Err(failure) if is_about_permission(&failure) => refusal = refusal.or(Some(failure)),
            Err(failure) => return Err(failure),
        }
    }
    match refusal {
        Some(failure) if !answered => Err(failure),
        _ => Ok(found),
    }
}

/// Whether the credentials are valid but not allowed to do this, as opposed to invalid credentials.
pub(super) fn is_about_permission(failure: &Failure) -> bool {
    let code = failure.code.as_deref().unwrap_or_default();
    let codes = ["AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"];
    failure.class == Class::Denied && codes.contains(&code)
}

/// Reads the resources with these ids, all of which are this stack's, one by one.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn read_each<R: Resource>(cx: &Context, ids: Vec<String>) -> Result<Vec<Live>, Failure> {
    let mut found = Vec::new();
    for id in ids {
        match R::read(cx, &id).await {
            Ok(live) => found.extend(live),
            // Deleted since it was listed.
            Err(failure) if failure.class == Class::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}

/// Whether one of the changes is of this property.
#[must_use]
pub fn changed(changes: &[Change], property: &str) -> bool {
    changes.iter().any(|change| change.property == property)
}

/// A placeholder for a value that is not known yet. It occurs in no name in AWS.
const UNKNOWN: &str = "\0";

fn to_map<R: Resource>(resource: &R) -> Properties {
    match serde_json::to_value(resource) {
        Ok(Value::Object(map)) => map,
        // Resources are structs of strings, numbers, lists and maps of them.
        other => unreachable!("{} does not serialise to an object: {other:?}", R::INFO.kind),
    }
}

/// The engine's view of a type.
pub(super) struct Typed<R> {
    context: Context,
    kind: PhantomData<fn() -> R>,
}

impl<R: Resource> Typed<R> {
    pub(super) fn new(context: Context) -> Self {
        Self { context, kind: PhantomData }
    }

    fn parse(desired: &Properties) -> Result<R, Failure> {
        serde_json::from_value(Value::Object(desired.clone())).map_err(|e| {
            Failure::new(Class::Internal, format!("a {} cannot be read from its properties: {e}", R::INFO.kind))
        })
    }

    fn tags(desired: &Properties) -> TagMap {
        let tags = desired.get(TAGS).and_then(Value::as_object);
        tags.into_iter()
            .flatten()
            .filter_map(|(key, value)| value.as_str().map(|value| (key.clone(), value.to_owned())))
            .collect()
    }
}

impl<R: Resource> Driver for Typed<R> {
    fn traits(&self) -> &TypeInfo {
        &R::INFO
    }

    fn expected(&self, address: &Address) -> TypicalDurations {
        super::durations::expected(address).unwrap_or_default()
    }

    fn natural_id(&self, desired: &Properties) -> Option<String> {
        // Most names follow from the configuration alone, even if other properties are not known yet.
        let filled = resolve(desired, &|_, _| Some(UNKNOWN.to_owned()));
        Self::parse(&filled).ok()?.natural_id().filter(|id| !id.contains(UNKNOWN))
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        async move {
            let mut all = R::list(&self.context.at(region)).await?;
            // Some endpoints ignore a call's tag filters.
            all.retain(|live| matches!(live.owner, Owner::Ours { .. } | Owner::Implied));
            all.into_iter().map(identified::<R>).collect()
        }
        .boxed()
    }

    fn sweep<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        async move {
            // What is one for all Regions is seen where it is called.
            if R::TAGGING == Tagging::None || home(R::SERVICE, region) != *region {
                return Ok(Vec::new());
            }
            let mut all = R::sweep(&self.context.at(region)).await?;
            all.retain(|live| matches!(live.owner, Owner::Ours { .. }));
            all.into_iter().map(identified::<R>).collect()
        }
        .boxed()
    }

    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        async move { R::search(&self.context.at(region).fresh(), attempt).await }.boxed()
    }

    fn read<'a>(&'a self, region: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        async move {
            match R::read(&self.context.at(region), id).await {
                Err(failure) if failure.class == Class::NotFound => Ok(None),
                answer => answer?.map(identified::<R>).transpose(),
            }
        }
        .boxed()
    }

    fn create<'a>(
        &'a self,
        region: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        async move {
            let mut tags = Self::tags(desired);
            if R::TAGGING != Tagging::None {
                tags.insert(ATTEMPT.to_owned(), attempt.token.clone());
            }
            let creation = Creation { token: &attempt.token, tags };
            let id = Self::parse(desired)?.create(&self.context.at(region), creation).await?;
            if id.is_empty() {
                // It was created, and has no id here: the engine looks for it as after a lost answer.
                return Err(Failure::new(
                    Class::Ambiguous,
                    format!("a {} was created, and the answer does not name it", R::INFO.kind),
                ));
            }
            Ok(id)
        }
        .boxed()
    }

    fn sync<'a>(
        &'a self,
        region: &'a Region,
        live: &'a Live,
        desired: &'a Properties,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>> {
        async move {
            let cx = self.context.at(region);
            let (tags, others): (Vec<Change>, Vec<Change>) =
                changes.iter().cloned().partition(|change| change.property.starts_with("tags."));
            let mut synced = Synced::default();
            if !tags.is_empty() || R::TAGGING.follow(&others) {
                match R::TAGGING.apply(&cx, live, &Self::tags(desired)).await {
                    Err(failure) if failure.class == Class::Unsupported => {
                        // Tags that are never read are not among the changes.
                        let unread = tags.is_empty().then(|| TAGS.to_owned());
                        let properties = tags.into_iter().map(|change| change.property).chain(unread);
                        synced.unsupported.extend(properties.map(|property| (property, failure.to_string())));
                    }
                    answer => answer?,
                }
            }
            if !others.is_empty() {
                let rest = Self::parse(desired)?.sync(&cx, live, &others).await?;
                synced.in_progress = rest.in_progress;
                synced.awaits = rest.awaits;
                synced.visible_after = rest.visible_after;
                synced.unsupported.extend(rest.unsupported);
            }
            Ok(synced)
        }
        .boxed()
    }

    fn spare(&self, region: &Region, live: &Live, changes: &[Change]) -> Option<String> {
        R::spare(&self.context.at(region), live, changes)
    }

    fn weigh<'a>(
        &'a self,
        region: &'a Region,
        live: &'a Live,
        also: &'a AlsoDeleted,
    ) -> BoxFuture<'a, Result<Weight, Failure>> {
        async move { R::weigh(&self.context.at(region), live, also).await }.boxed()
    }

    fn delete<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Deletion, Failure>> {
        async move { R::delete(&self.context.at(region), live).await }.boxed()
    }
}

/// A resource in a graph, with which others refer to it.
#[derive(Debug)]
pub struct Handle<R> {
    address: Address,
    kind: PhantomData<fn() -> R>,
}

impl<R> Clone for Handle<R> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), kind: PhantomData }
    }
}

impl<R: Resource> Handle<R> {
    /// Its id, once it is ready. Append `.exists()` if AWS accepts the id while the resource is still being created.
    #[must_use]
    pub fn id(&self) -> Ref<Id<R>> {
        Ref::output(self.address.clone(), "id")
    }

    /// Its ARN, once it is ready.
    #[must_use]
    pub fn arn(&self) -> Ref<Arn<R>> {
        Ref::output(self.address.clone(), "arn")
    }

    /// Another of its outputs, once it is ready.
    #[must_use]
    pub fn output<T: ?Sized>(&self, name: &str) -> Ref<T> {
        Ref::output(self.address.clone(), name)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// A graph under construction for one stack.
pub struct Stack<'a> {
    graph: Graph,
    registry: &'a super::Registry,
    tags: TagMap,
}

impl<'a> Stack<'a> {
    /// An empty stack.
    #[must_use]
    pub fn new(registry: &'a super::Registry) -> Self {
        Self { graph: Graph::new(), registry, tags: TagMap::new() }
    }

    /// Adds tags to every resource that takes them, in addition to drctl's own.
    #[must_use]
    pub fn tagged(self, tags: TagMap) -> Self {
        Self { tags, ..self }
    }

    /// Adds a resource and returns a handle to it.
    ///
    /// # Errors
    /// If its address is taken, or one of its references leads to another graph.
    pub fn add<R: Registered>(
        &mut self,
        role: Role,
        name: &str,
        region: &str,
        resource: &R,
    ) -> Result<Handle<R>, GraphError> {
        let address = Address::new(role, R::INFO.kind, name);
        let mut desired = to_map(resource);
        if R::TAGGING != Tagging::None {
            let mut tags = if R::TAGGING.is_real() { self.tags.clone() } else { TagMap::new() };
            tags.extend(self.registry.scope().tags(&address));
            desired.insert(TAGS.to_owned(), tags.into_iter().map(|(key, value)| (key, Value::String(value))).collect());
        }
        self.graph.add(Node {
            address: address.clone(),
            region: region.into(),
            driver: self.registry.typed::<R>(),
            desired,
        })?;
        Ok(Handle { address, kind: PhantomData })
    }

    /// The finished graph.
    #[must_use]
    pub fn finish(self) -> Graph {
        self.graph
    }
}

/// The driver that all resources of a type share.
pub(super) fn driver<R: Resource>(context: &Context) -> Arc<dyn Driver> {
    Arc::new(Typed::<R>::new(context.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(class: Class, code: &str) -> Result<Option<u8>, Failure> {
        Err(Failure { code: Some(code.to_owned()), ..Failure::new(class, "refused") })
    }

    #[test]
    fn a_name_may_be_the_stacks_up_to_its_hyphen() {
        for (name, is) in [
            ("pay-dev", true),
            ("pay-dev-alerts", true),
            ("pay-dev-2-alerts", true),
            ("pay-dev2-alerts", false),
            ("pay-development", false),
            ("my-pay-dev-alerts", false),
        ] {
            assert_eq!(bears_name("pay-dev", name), is, "{name}");
        }
    }

    #[test]
    fn one_that_cannot_be_read_hides_no_other() {
        let denied = || refused(Class::Denied, "AccessDeniedException");
        assert_eq!(readable(vec![denied(), Ok(Some(1)), refused(Class::NotFound, "NotFound"), Ok(None)]), Ok(vec![1]));
        // If every read is refused, nothing is known.
        assert_eq!(readable(vec![denied(), denied()]), denied().map(|_| Vec::new()));
        assert_eq!(readable::<u8>(Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn expired_credentials_concern_all_of_them() {
        let expired = || refused(Class::Denied, "ExpiredTokenException");
        assert_eq!(readable(vec![Ok(Some(1)), expired()]), expired().map(|_| Vec::new()));
        assert!(!goes_on(Some(&expired())));
        assert!(goes_on(Some(&refused(Class::Denied, "AuthorizationError"))));
        assert!(!goes_on(Some(&refused(Class::Throttled, "Throttling"))));
    }
}
