//! `kms_alias`: a name for a key.

use serde::{Deserialize, Serialize};

use super::{Key, Tagged, find, named, stack_alias};
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{Grant, KEY, later, on};
use crate::resources::{
    Change, Context, Creation, Deletion, Failure, Id, Live, Owner, Phase, Readable, Ref, Resource, Synced, Tagging,
    TypeInfo, changed, live,
};

/// A name for a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The name, including its prefix `alias/`. Immutable: forces replacement.
    pub name: String,
    /// The key that it points to. In-place.
    pub key: Ref<Id<Key>>,
}

impl Resource for Alias {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "an alias cannot be renamed")],
        idempotent_create: true,
        ..TypeInfo::usual("kms_alias")
    };
    const SERVICE: &'static str = "kms";
    const LATENCIES: &'static [Latencies] = &[
        // "KMS alias".
        Latencies::of(
            1,
            Latency::of_call("CreateAlias", [1.0, 1.0, 5.0]),
            Latency::of_call("DeleteAlias", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(&["arn:aws:kms:{region}:{account}:{own}"], "kms", "CreateAlias"),
        on(&[KEY], "kms", "CreateAlias DescribeKey ListResourceTags"),
        later(&["arn:aws:kms:{region}:{account}:{own}"], "kms", "DeleteAlias UpdateAlias"),
    ];
    const TAGGING: Tagging = Tagging::None;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Only the stack's own. Any other is read by its name, which also finds it for an open intent.
    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let target = named(cx).await?;
        let Some(target) = &*target else { return Ok(Vec::new()) };
        let alias = from_target(cx, &stack_alias(cx), target);
        Ok(if alias.owner == Owner::Implied { vec![alias] } else { Vec::new() })
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        Ok(find(cx, id).await?.map(|target| from_target(cx, id, &target)))
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let call = cx.clients().kms.create_alias().alias_name(&self.name).target_key_id(self.key.value()).send();
        cx.mutate("kms", "CreateAlias", call).await?;
        Ok(self.name.clone())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "key") {
            let call = cx.clients().kms.update_alias().alias_name(&live.id).target_key_id(self.key.value()).send();
            cx.mutate("kms", "UpdateAlias", call).await?;
        }
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().kms.delete_alias().alias_name(&live.id).send();
        cx.mutate("kms", "DeleteAlias", call).await.map(|_| Deletion::Requested)
    }
}

/// An alias has no tags, so it has the owner of its key. Every alias has a key, and is deleted with it.
fn from_target(cx: &Context, name: &str, target: &Tagged) -> Live {
    let properties = Alias { name: name.to_owned(), key: Ref::known(target.key.key_id()) };
    let owner = match cx.scope.owner(&target.tags) {
        Owner::Ours { .. } => Owner::Implied,
        other => other,
    };
    let live = live(&cx.scope, name, Phase::Ready, &Readable::complete(properties), None);
    Live { owner, ..live }.with_arn(format!("arn:aws:kms:{}:{}:{name}", cx.region, cx.scope.account))
}
