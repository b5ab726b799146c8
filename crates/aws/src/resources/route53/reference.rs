//! Caller references. Route 53 does not accept tags with a creation, and keeps the reference while the resource exists. So the
//! reference itself tells the owner of a zone or a health check: a resource that was created, was not tagged yet, and is not in
//! any state is found by its reference.
//!
//! The form is `TOKEN.SCOPE.r/name`: the attempt's token, which makes it unique (a reference can be used only once, and stays used
//! for days after the resource is deleted), a digest of stack and environment, and the node's role and name. It has at most 64
//! characters, the limit of a health check (`HealthCheckNonce`; a zone's `Nonce` may have 128).
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHealthCheck.html>,
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html>. See
//! docs/aws-behaviour.md#caller-reference-instead-of-tags.

use sha2::{Digest as _, Sha256};

use crate::resources::{Creation, Live, Owner};
use crate::{NODE, Scope, TagMap};
use drctl_engine::state::{Address, Role};

/// The length of an attempt's token.
const TOKEN: usize = 32;

/// The number of digits of the digest.
const DIGEST: usize = 10;

/// The most characters that the reference of a health check can have.
const LONGEST: usize = 64;

/// The reference for a creation. A node whose name does not fit is left out: the resource is then known as the stack's, but not as
/// a particular node.
pub(super) fn compose(scope: &Scope, creation: &Creation<'_>) -> String {
    let node = creation.tags.get(NODE).and_then(|node| node.parse::<Address>().ok());
    let stem = format!("{}.{}.", creation.token, digest(scope));
    let full = node.map(|node| format!("{stem}{}/{}", letter(node.role()), node.name()));
    full.filter(|full| full.len() <= LONGEST).unwrap_or(stem)
}

/// The token of the attempt in a reference. In the first versions of drctl, the reference was the token alone.
pub(super) fn token(reference: &str) -> &str {
    match reference.split_once('.') {
        Some((token, _)) if is_token(token) => token,
        _ => reference,
    }
}

/// Whether a resource with this reference may be tagged as the stack's, so that its tags have to be read. The references of
/// consoles, other tools, and other stacks have other forms.
pub(super) fn may_be_ours(scope: &Scope, reference: &str) -> bool {
    is_token(reference) || named(scope, reference).is_some()
}

/// Whether a resource is the stack's: by its tags, or by its reference if it was never tagged.
pub(super) fn is_ours(scope: &Scope, reference: &str, tags: &TagMap) -> bool {
    match scope.owner(tags) {
        Owner::Ours { .. } => true,
        Owner::Untagged => named(scope, reference).is_some(),
        Owner::Implied | Owner::Foreign(_) => false,
    }
}

/// Completes the owner from the reference: with the attempt that created the resource, and with the stack if the resource has no
/// tags of drctl's. Tags take precedence: a resource that another stack has taken over is tagged as that stack's, and belongs to
/// it.
pub(super) fn with_owner(scope: &Scope, kind: &str, reference: &str, mut live: Live) -> Live {
    match &mut live.owner {
        Owner::Ours { attempt: attempt @ None, .. } => *attempt = Some(token(reference).to_owned()),
        Owner::Untagged => {
            if let Some(node) = named(scope, reference) {
                let node = node_of(kind, node);
                live.owner = Owner::Ours { node, attempt: Some(token(reference).to_owned()) };
            }
        }
        _ => {}
    }
    live
}

/// The role and name in a reference of this stack.
fn named<'a>(scope: &Scope, reference: &'a str) -> Option<&'a str> {
    let mut parts = reference.splitn(3, '.');
    let (token, scope_digest, node) = (parts.next()?, parts.next()?, parts.next()?);
    (is_token(token) && scope_digest == digest(scope)).then_some(node)
}

fn node_of(kind: &str, node: &str) -> Option<Address> {
    let (first, name) = node.split_once('/')?;
    let role = [Role::Primary, Role::Secondary, Role::Global].into_iter().find(|role| letter(*role) == first)?;
    format!("{role}/{kind}/{name}").parse().ok()
}

fn letter(role: Role) -> &'static str {
    match role {
        Role::Primary => "p",
        Role::Secondary => "s",
        Role::Global => "g",
    }
}

/// Names have neither dots nor slashes, so that no two scopes are written alike.
fn digest(scope: &Scope) -> String {
    let mut digest = hex::encode(Sha256::digest(format!("{}/{}", scope.stack, scope.environment)));
    digest.truncate(DIGEST);
    digest
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::resources::Phase;

    const ATTEMPT: &str = "0123456789abcdef0123456789abcdef";

    fn scope(environment: &str) -> Scope {
        Scope { stack: "pay".into(), environment: environment.into(), account: "123456789012".into() }
    }

    fn reference_of(node: &str) -> String {
        let scope = scope("prod");
        let tags = scope.tags(&node.parse().expect("an address"));
        compose(&scope, &Creation { token: ATTEMPT, tags })
    }

    fn seen(owner: Owner) -> Live {
        Live {
            id: "Z1".to_owned(),
            arn: None,
            phase: Phase::Ready,
            owner,
            properties: serde_json::Map::new(),
            outputs: BTreeMap::new(),
            goes_after: Vec::new(),
        }
    }

    #[test]
    fn a_resource_that_was_never_tagged_is_known_by_its_reference() {
        let untagged = TagMap::new();
        for (kind, node) in [
            ("health_check", "global/health_check/secondary-endpoint"),
            ("hosted_zone", "global/hosted_zone/main"),
            ("health_check", "primary/health_check/a"),
        ] {
            let reference = reference_of(node);
            assert!(reference.len() <= LONGEST, "{reference}");
            assert!(may_be_ours(&scope("prod"), &reference) && is_ours(&scope("prod"), &reference, &untagged));
            let owned = with_owner(&scope("prod"), kind, &reference, seen(Owner::Untagged));
            let node = node.parse().expect("an address");
            assert_eq!(owned.owner, Owner::Ours { node: Some(node), attempt: Some(ATTEMPT.to_owned()) });
        }
    }

    #[test]
    fn a_resource_of_another_environment_is_not_ours() {
        let reference = reference_of("global/hosted_zone/main");
        assert!(!may_be_ours(&scope("test"), &reference));
        assert!(!is_ours(&scope("test"), &reference, &TagMap::new()));
        let owned = with_owner(&scope("test"), "hosted_zone", &reference, seen(Owner::Untagged));
        assert_eq!(owned.owner, Owner::Untagged);
    }

    #[test]
    fn tags_take_precedence_over_the_reference() {
        let reference = reference_of("global/hosted_zone/main");
        let theirs = scope("test").tags(&"global/hosted_zone/main".parse().expect("an address"));
        assert!(!is_ours(&scope("prod"), &reference, &theirs));
        assert!(is_ours(&scope("test"), &reference, &theirs));
        let theirs = Owner::Foreign("stack pay, environment test".to_owned());
        assert_eq!(with_owner(&scope("prod"), "hosted_zone", &reference, seen(theirs.clone())).owner, theirs);
    }

    #[test]
    fn a_name_that_does_not_fit_leaves_the_stack_known() {
        let reference = reference_of("global/health_check/a-name-that-is-longer-than-all-of-the-others");
        assert!(reference.len() <= LONGEST, "{reference}");
        assert!(is_ours(&scope("prod"), &reference, &TagMap::new()));
        let owned = with_owner(&scope("prod"), "health_check", &reference, seen(Owner::Untagged));
        assert_eq!(owned.owner, Owner::Ours { node: None, attempt: Some(ATTEMPT.to_owned()) });
    }

    #[test]
    fn references_of_the_first_versions_are_the_token_alone() {
        assert_eq!((token(ATTEMPT), token(&reference_of("global/hosted_zone/main"))), (ATTEMPT, ATTEMPT));
        assert!(may_be_ours(&scope("prod"), ATTEMPT));
        // It does not name an owner: only tags do.
        assert!(!is_ours(&scope("prod"), ATTEMPT, &TagMap::new()));
        let owned = with_owner(&scope("prod"), "hosted_zone", ATTEMPT, seen(Owner::Ours { node: None, attempt: None }));
        assert_eq!(owned.owner, Owner::Ours { node: None, attempt: Some(ATTEMPT.to_owned()) });
    }

    #[test]
    fn references_of_others_have_other_forms() {
        for other in
            ["", "RISWorkflow-RD:0123", "terraform-20261125043058", "0123456789ABCDEF0123456789ABCDEF", "a.b.g/c"]
        {
            assert!(!may_be_ours(&scope("prod"), other), "{other}");
            assert_eq!(token(other), other);
        }
    }
}
