//! From a typed resource to the engine's driver, and the stack into which resources are put.

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
use super::{Context, Tagging};
use crate::{ATTEMPT, Scope, TagMap};
use drctl_engine::state::{Address, Role};
use drctl_engine::{
    Attempt, Change, Class, Driver, Expected, Failure, Graph, GraphError, Live, Node, Owner, Phase, Properties, Ref,
    Region, Removal, Synced, TAGS, Traits, Weight, resolve,
};

/// Marks a reference to the id of an `R`.
pub struct Id<R>(PhantomData<R>);

/// Marks a reference to the ARN of an `R`.
pub struct Arn<R>(PhantomData<R>);

/// What a create call carries besides the properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation<'a> {
    /// The attempt's token: for the API's client token.
    pub token: &'a str,
    /// All tags, the attempt's among them: to be set with the creation, never after it.
    pub tags: TagMap,
}

/// A type of resource.
///
/// Implementations are idempotent, swallow no error, and never wait: the engine waits by reading.
pub trait Resource: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// What is fixed for the type.
    const TRAITS: Traits;

    /// Its service, as AWS's limits of calls know it.
    const SERVICE: &'static str;

    /// How long AWS takes with it, those of a role or a name before those of all others.
    const LATENCIES: &'static [Latencies];

    /// Seconds that a change in place typically takes, where AWS goes on with it after the call is answered: about one call, if
    /// not said otherwise. Estimated from the steps that the change shares with the creation.
    const UPDATE_SECONDS: f64 = 1.0;

    /// The permissions that it takes, with what AWS checks them on.
    const PERMISSIONS: &'static [Grant];

    /// An id as AWS assigns them, for one that does not exist yet: patterns in policies match it as they match real ones. Empty
    /// where the id is the name.
    const SAMPLE_ID: &'static str = "";

    /// Whether others go on using it after AWS has deleted it without a word: the key of what is encrypted, the role of what
    /// runs, the log group of what still writes. It goes after everything else that goes.
    /// See docs/aws-behaviour.md#log-groups-come-back.
    const GOES_LAST: bool = false;

    /// How it is tagged, if it is.
    const TAGGING: Tagging;

    /// The id that follows from the properties alone: a unique name.
    fn natural_id(&self) -> Option<String> {
        None
    }

    /// Everything of this type that is this stack's in the context's Region, with as few calls as possible. What is
    /// somebody else's may be among it: it is left out afterwards.
    ///
    /// # Errors
    /// What the call's answer means.
    fn list(cx: &Context) -> impl Future<Output = Result<Vec<Live>, Failure>> + Send;

    /// Everything of this type that bears this stack's tags in the context's Region, however many calls it takes: for looking
    /// for what the state has lost. What is somebody else's, or carries no tags, is left out afterwards; what is only a
    /// replica of another Region's, or is waiting for its end, is not among it. Needs to be written only where
    /// [`Resource::list`] leaves something out.
    ///
    /// # Errors
    /// What the call's answer means.
    #[must_use]
    fn sweep(cx: &Context) -> impl Future<Output = Result<Vec<Live>, Failure>> + Send {
        Self::list(cx)
    }

    /// One by its id; `None` when it is not there, or when only the memory of it is.
    ///
    /// # Errors
    /// What the call's answer means.
    fn read(cx: &Context, id: &str) -> impl Future<Output = Result<Option<Live>, Failure>> + Send;

    /// Looks for what an attempt may have made. Never answered from a shared listing.
    ///
    /// # Errors
    /// What the call's answer means.
    #[must_use]
    fn search(cx: &Context, attempt: &Attempt) -> impl Future<Output = Result<Option<Live>, Failure>> + Send {
        async {
            let all = Self::list(cx).await?;
            Ok(all
                .into_iter()
                .find(|live| matches!(&live.owner, Owner::Ours { attempt: Some(by), .. } if *by == attempt.token)))
        }
    }

    /// Makes it with one mutating call and returns its id.
    ///
    /// # Errors
    /// What the call's answer means.
    fn create(&self, cx: &Context, creation: Creation<'_>) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Brings the changed properties (tags aside) to what is desired.
    ///
    /// # Errors
    /// What a call's answer means.
    fn sync(
        &self,
        cx: &Context,
        live: &Live,
        changes: &[Change],
    ) -> impl Future<Output = Result<Synced, Failure>> + Send;

    /// How it can be kept although changes force its replacement, if AWS has a way that drctl does not take by itself: for an operator,
    /// in full sentences.
    fn spare(_: &Context, _: &Live, _: &[Change]) -> Option<String> {
        None
    }

    /// What its deletion means: what is lost with it, and what of others keeps AWS from deleting it.
    ///
    /// # Errors
    /// What a call's answer means.
    #[must_use]
    fn weigh(_: &Context, _: &Live) -> impl Future<Output = Result<Weight, Failure>> + Send {
        std::future::ready(Ok(Weight::default()))
    }

    /// Deletes it, or takes the next step towards that. Absent is success, or [`Class::NotFound`], which the engine takes as
    /// such.
    ///
    /// # Errors
    /// What a call's answer means.
    fn delete(cx: &Context, live: &Live) -> impl Future<Output = Result<Removal, Failure>> + Send;
}

/// What was read of a resource, in the shape the engine compares.
///
/// `properties` are the resource's own struct filled with live values; `tags` are `None` for types without.
pub fn live<R: Resource>(scope: &Scope, id: &str, phase: Phase, properties: &R, tags: Option<TagMap>) -> Live {
    let mut map = to_map(properties);
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

/// Whether a name is the stack's: with the stack's name it ends, or a hyphen follows. Another stack's may begin with it, too
/// (`pay-dev` and `pay-dev-2`): whose it is, its tags decide.
pub(super) fn bears_name(stack: &str, name: &str) -> bool {
    name.strip_prefix(stack).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Of the names that a listing tells, those that are the stack's, as all that drctl gives are: each read by itself.
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

/// Whether after this answer it is asked on: one that is gone, or that may not be looked at, says nothing of the others.
pub(super) fn goes_on<T>(last: Option<&Result<T, Failure>>) -> bool {
    match last {
        Some(Err(failure)) => failure.class == Class::NotFound || is_about_permission(failure),
        _ => true,
    }
}

/// What is there of what was asked for one by one, among names or ids that others may have, too.
///
/// One that may not be looked at while others may is somebody else's: permissions that tell them apart are given for the
/// stack's own. Where nothing may be looked at, nothing is known.
///
/// # Errors
/// The first failure that is about more than one of them; the refusal, when all were refused.
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

/// Whether the credentials are good and may not do this, as opposed to credentials that are not good.
pub(super) fn is_about_permission(failure: &Failure) -> bool {
    let code = failure.code.as_deref().unwrap_or_default();
    let codes = ["AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"];
    failure.class == Class::Denied && codes.contains(&code)
}

/// What has these ids, all of them the stack's own, each read by itself.
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

/// Whether one of the changes is about a property.
#[must_use]
pub fn changed(changes: &[Change], property: &str) -> bool {
    changes.iter().any(|change| change.property == property)
}

/// Stands for what is not known yet: in no name of AWS's.
const UNKNOWN: &str = "\0";

fn to_map<R: Resource>(resource: &R) -> Properties {
    match serde_json::to_value(resource) {
        Ok(Value::Object(map)) => map,
        // Resources are structs of strings, numbers, lists and maps of them.
        other => unreachable!("{} does not serialise to an object: {other:?}", R::TRAITS.kind),
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
            Failure::new(Class::Internal, format!("a {} cannot be read from its properties: {e}", R::TRAITS.kind))
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
    fn traits(&self) -> &Traits {
        &R::TRAITS
    }

    fn expected(&self, address: &Address) -> Expected {
        super::durations::expected(address).unwrap_or_default()
    }

    fn natural_id(&self, desired: &Properties) -> Option<String> {
        // Most names follow from the configuration alone, whatever else is still to come.
        let filled = resolve(desired, &|_, _| Some(UNKNOWN.to_owned()));
        Self::parse(&filled).ok()?.natural_id().filter(|id| !id.contains(UNKNOWN))
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        async move {
            let mut all = R::list(&self.context.at(region)).await?;
            // Some endpoints ignore a call's tag filters.
            all.retain(|live| matches!(live.owner, Owner::Ours { .. } | Owner::Implied));
            Ok(all)
        }
        .boxed()
    }

    fn sweep<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        async move {
            if R::TAGGING == Tagging::None {
                return Ok(Vec::new());
            }
            let mut all = R::sweep(&self.context.at(region)).await?;
            all.retain(|live| matches!(live.owner, Owner::Ours { .. }));
            Ok(all)
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
                answer => answer,
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
                // Made, and not named: it is looked for as after a lost answer.
                return Err(Failure::new(
                    Class::Ambiguous,
                    format!("a {} was made, and the answer does not name it", R::TRAITS.kind),
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
                        // Those that are not read are none of the changes.
                        let unread = tags.is_empty().then(|| TAGS.to_owned());
                        let properties = tags.into_iter().map(|change| change.property).chain(unread);
                        synced.unsupported.extend(properties.map(|property| (property, failure.to_string())));
                    }
                    answer => answer?,
                }
            }
            if !others.is_empty() {
                let rest = Self::parse(desired)?.sync(&cx, live, &others).await?;
                synced.later = rest.later;
                synced.awaits = rest.awaits;
                synced.shows = rest.shows;
                synced.unsupported.extend(rest.unsupported);
            }
            Ok(synced)
        }
        .boxed()
    }

    fn spare(&self, region: &Region, live: &Live, changes: &[Change]) -> Option<String> {
        R::spare(&self.context.at(region), live, changes)
    }

    fn weigh<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Weight, Failure>> {
        async move { R::weigh(&self.context.at(region), live).await }.boxed()
    }

    fn delete<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Removal, Failure>> {
        async move { R::delete(&self.context.at(region), live).await }.boxed()
    }
}

/// A resource in a graph, to refer to.
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
    /// Its id, once it is ready. Append `.exists()` where AWS accepts it while it is still being made.
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
    /// An empty one.
    #[must_use]
    pub fn new(registry: &'a super::Registry) -> Self {
        Self { graph: Graph::new(), registry, tags: TagMap::new() }
    }

    /// With tags for everything that takes them, besides drctl's own.
    #[must_use]
    pub fn tagged(self, tags: TagMap) -> Self {
        Self { tags, ..self }
    }

    /// Adds a resource and returns what refers to it.
    ///
    /// # Errors
    /// When its address is taken, or one of its references leads to another graph.
    pub fn add<R: Registered>(
        &mut self,
        role: Role,
        name: &str,
        region: &str,
        resource: &R,
    ) -> Result<Handle<R>, GraphError> {
        let address = Address::new(role, R::TRAITS.kind, name);
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

/// Shares one driver among all resources of a type.
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
    fn a_name_is_the_stacks_up_to_its_hyphen() {
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
    fn one_that_may_not_be_looked_at_hides_no_other() {
        let denied = || refused(Class::Denied, "AccessDeniedException");
        assert_eq!(readable(vec![denied(), Ok(Some(1)), refused(Class::NotFound, "NotFound"), Ok(None)]), Ok(vec![1]));
        // Where nobody answers, nothing is known.
        assert_eq!(readable(vec![denied(), denied()]), denied().map(|_| Vec::new()));
        assert_eq!(readable::<u8>(Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn credentials_that_ran_out_are_about_all_of_them() {
        let expired = || refused(Class::Denied, "ExpiredTokenException");
        assert_eq!(readable(vec![Ok(Some(1)), expired()]), expired().map(|_| Vec::new()));
        assert!(!goes_on(Some(&expired())));
        assert!(goes_on(Some(&refused(Class::Denied, "AuthorizationError"))));
        assert!(!goes_on(Some(&refused(Class::Throttled, "Throttling"))));
    }
}
