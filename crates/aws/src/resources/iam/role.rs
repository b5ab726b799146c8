//! `iam_role`: what a service may do on the stack's behalf.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{AttachedPermissionsBoundary, AttachedPolicy, InstanceProfile};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tags;
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    AlsoDeleted, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Resource, Synced, Tagging,
    TypeInfo, Weight, changed, live, policy, read_named,
};

/// What a service may do on the stack's behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name. Immutable: forces replacement.
    pub name: String,
    /// The path before its name in its ARN; `/` for none. Immutable: forces replacement.
    pub path: String,
    /// The ARN of the policy that limits what it can be allowed; empty for none. In-place.
    pub permissions_boundary: String,
    /// What it is for. In-place.
    pub description: String,
    /// Who may assume it, in canonical form (see [`policy`]). In-place.
    pub assume_role_policy: Value,
    /// Its inline policies by name, in canonical form; others are deleted. In-place.
    pub policies: BTreeMap<String, Value>,
}

impl Resource for Role {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a role cannot be renamed"), ("path", "a role cannot be moved to another path")],
        idempotent_create: true,
        ..TypeInfo::usual("iam_role")
    };
    const GOES_LAST: bool = true;
    const SERVICE: &'static str = "iam";
    const LATENCIES: &'static [Latencies] = &[
        // "IAM role+policy". The time until it is known everywhere is left out.
        Latencies::of(
            4,
            Latency::of_steps([1.0, 2.0, 5.0], &[step("CreateRole", 1, 1.0, 0.0), step("PutRolePolicy", 1, 1.0, 0.0)]),
            Latency::of_steps([1.0, 2.0, 10.0], &[step("DeleteRole", 2, 1.0, 0.0)]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:iam::{account}:role{own}"],
            "iam",
            "CreateRole GetRole GetRolePolicy ListRolePolicies PutRolePolicy TagRole",
        ),
        later(
            &["arn:aws:iam::{account}:role{own}"],
            "iam",
            "DeleteRole DeleteRolePolicy DetachRolePolicy ListAttachedRolePolicies ListInstanceProfilesForRole \
                 UpdateAssumeRolePolicy \
                 UpdateRoleDescription",
        ),
    ];
    const TAGGING: Tagging = Tagging::IamRole;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Lists nothing: `ListRoles` returns the roles of the whole account, without tags. Each role is read by its name, which the
    /// blueprint or the state knows, and which also resolves an open intent.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let iam = &cx.clients().iam;
        let roles = cx.pages("iam", "ListRoles", || iam.list_roles().into_paginator().items().send()).await?;
        read_named::<Self>(cx, roles.into_iter().map(|role| role.role_name).collect()).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let iam = &cx.clients().iam;
        let answer = cx.read("iam", "GetRole", || iam.get_role().role_name(id).send()).await?;
        let Some(role) = answer.role() else { return Ok(None) };
        let names = policy_names(cx, id).await?;
        let policies = try_join_all(names.iter().map(|name| inline_policy(cx, id, name))).await?;
        let trust = role.assume_role_policy_document().map(policy::parse);
        let mut reading = Reading::default();
        let properties = Role {
            name: id.to_owned(),
            // The SDK fills in an empty text for a required one that is missing, and a path has a slash at least.
            path: reading.text("path", Some(role.path()).filter(|path| !path.is_empty())),
            // IAM leaves out the boundary and the description where there is none.
            permissions_boundary: role
                .permissions_boundary()
                .and_then(AttachedPermissionsBoundary::permissions_boundary_arn)
                .unwrap_or_default()
                .to_owned(),
            description: role.description().unwrap_or_default().to_owned(),
            assume_role_policy: reading.value("assume_role_policy", trust.transpose()?),
            policies: policies.into_iter().flatten().collect(),
        };
        let tags = role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
        Ok(Some(live(&cx.scope, id, Phase::Ready, &reading.of(properties), Some(tags)).with_arn(role.arn())))
    }

    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .iam
            .create_role()
            .role_name(&self.name)
            .path(&self.path)
            // Set by the creation, because an organisation may forbid roles without a boundary.
            .set_permissions_boundary(self.boundary())
            .description(&self.description)
            .assume_role_policy_document(self.assume_role_policy.to_string())
            .set_tags(Some(tags(&creation.tags)?))
            .send();
        cx.mutate("iam", "CreateRole", call).await?;
        Ok(self.name.clone())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let iam = &cx.clients().iam;
        let id = &live.id;
        // First, because the other changes may be allowed only within it.
        if changed(changes, "permissions_boundary") {
            if let Some(boundary) = self.boundary() {
                let call = iam.put_role_permissions_boundary().role_name(id).permissions_boundary(boundary).send();
                cx.mutate("iam", "PutRolePermissionsBoundary", call).await?;
            } else {
                let call = iam.delete_role_permissions_boundary().role_name(id).send();
                or_absent(cx.mutate("iam", "DeleteRolePermissionsBoundary", call).await)?;
            }
        }
        if changed(changes, "description") {
            // Not UpdateRole, which resets the duration of sessions to an hour if the call does not name one.
            let call = iam.update_role_description().role_name(id).description(&self.description).send();
            cx.mutate("iam", "UpdateRoleDescription", call).await?;
        }
        if changed(changes, "assume_role_policy") {
            let document = self.assume_role_policy.to_string();
            let call = iam.update_assume_role_policy().role_name(id).policy_document(document).send();
            cx.mutate("iam", "UpdateAssumeRolePolicy", call).await?;
        }
        if changed(changes, "policies") {
            let nothing = Map::new();
            let held = live.properties.get("policies").and_then(Value::as_object).unwrap_or(&nothing);
            for (name, document) in self.policies.iter().filter(|(name, document)| held.get(*name) != Some(*document)) {
                let document = document.to_string();
                let call = iam.put_role_policy().role_name(id).policy_name(name).policy_document(document).send();
                cx.mutate("iam", "PutRolePolicy", call).await?;
            }
            for name in held.keys().filter(|name| !self.policies.contains_key(*name)) {
                let call = iam.delete_role_policy().role_name(id).policy_name(name).send();
                or_absent(cx.mutate("iam", "DeleteRolePolicy", call).await)?;
            }
        }
        Ok(Synced::default())
    }

    /// An instance profile keeps its role from being deleted, and is not drctl's. See docs/aws-behaviour.md#role-must-be-emptied.
    async fn weigh(cx: &Context, live: &Live, _: &AlsoDeleted) -> Result<Weight, Failure> {
        let iam = &cx.clients().iam;
        let profiles = cx
            .pages("iam", "ListInstanceProfilesForRole", || {
                iam.list_instance_profiles_for_role().role_name(&live.id).into_paginator().items().send()
            })
            .await;
        let profiles = match profiles {
            // An emulator that does not know instance profiles has none.
            Err(failure) if matches!(failure.class, Class::Unsupported | Class::NotFound) => Vec::new(),
            profiles => profiles?,
        };
        let names = profiles.iter().map(InstanceProfile::instance_profile_name);
        let hindrances =
            names.map(|name| format!("{} is in the instance profile {name}, which is not drctl's", live.id));
        Ok(Weight { hindrances: hindrances.collect(), ..Weight::default() })
    }

    /// A role can be deleted only when it has no policies: otherwise AWS answers `DeleteConflict`.
    /// See docs/aws-behaviour.md#role-must-be-emptied.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let iam = &cx.clients().iam;
        let id = &live.id;
        for name in policy_names(cx, id).await? {
            let call = iam.delete_role_policy().role_name(id).policy_name(name).send();
            or_absent(cx.mutate("iam", "DeleteRolePolicy", call).await)?;
        }
        let attached = cx
            .pages("iam", "ListAttachedRolePolicies", || {
                iam.list_attached_role_policies().role_name(id).into_paginator().items().send()
            })
            .await?;
        for arn in attached.iter().filter_map(AttachedPolicy::policy_arn) {
            let call = iam.detach_role_policy().role_name(id).policy_arn(arn).send();
            or_absent(cx.mutate("iam", "DetachRolePolicy", call).await)?;
        }
        cx.mutate("iam", "DeleteRole", iam.delete_role().role_name(id).send()).await.map(|_| Deletion::Requested)
    }
}

impl Role {
    fn boundary(&self) -> Option<String> {
        Some(&self.permissions_boundary).filter(|arn| !arn.is_empty()).cloned()
    }
}

async fn policy_names(cx: &Context, role: &str) -> Result<Vec<String>, Failure> {
    let iam = &cx.clients().iam;
    cx.pages("iam", "ListRolePolicies", || iam.list_role_policies().role_name(role).into_paginator().items().send())
        .await
}

async fn inline_policy(cx: &Context, role: &str, name: &str) -> Result<Option<(String, Value)>, Failure> {
    let iam = &cx.clients().iam;
    let call = || iam.get_role_policy().role_name(role).policy_name(name).send();
    match or_absent(cx.read("iam", "GetRolePolicy", call).await)? {
        Some(answer) => Ok(Some((name.to_owned(), policy::parse(answer.policy_document())?))),
        None => Ok(None),
    }
}

/// `None` if the policy does not exist. The engine would take [`Class::NotFound`] to mean that the role does not exist.
fn or_absent<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}
