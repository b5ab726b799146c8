//! The tags by which drctl recognises its resources.

use std::collections::BTreeMap;

use drctl_engine::Owner;
use drctl_engine::state::Address;

/// Which stack a resource belongs to.
pub const STACK: &str = "drctl:stack";
/// Which environment of the stack a resource belongs to.
pub const ENVIRONMENT: &str = "drctl:environment";
/// The address of a resource.
pub const NODE: &str = "drctl:node";
/// The attempt that created a resource.
pub const ATTEMPT: &str = "drctl:attempt";

/// Tags by key.
pub type TagMap = BTreeMap<String, String>;

/// The stack whose resources a run manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The stack's name.
    pub stack: String,
    /// The environment's name.
    pub environment: String,
    /// The AWS account, 12 digits.
    pub account: String,
}

impl Scope {
    /// `{stack}-{environment}`, the beginning of names.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.stack, self.environment)
    }

    /// The tags of a resource, without the attempt's.
    #[must_use]
    pub fn tags(&self, address: &Address) -> TagMap {
        let role = match address.role() {
            drctl_engine::state::Role::Global => String::new(),
            role => format!("-{role}"),
        };
        TagMap::from([
            (
                "Name".to_owned(),
                format!("{}{role}-{}-{}", self.name(), address.kind().replace('_', "-"), address.name()),
            ),
            (STACK.to_owned(), self.stack.clone()),
            (ENVIRONMENT.to_owned(), self.environment.clone()),
            (NODE.to_owned(), address.to_string()),
        ])
    }

    /// Whether a resource with these tags is this stack's.
    #[must_use]
    pub fn is_ours(&self, tags: &TagMap) -> bool {
        matches!(self.owner(tags), Owner::Ours { .. })
    }

    /// The owner of a resource with these tags.
    #[must_use]
    pub fn owner(&self, tags: &TagMap) -> Owner {
        match (tags.get(STACK), tags.get(ENVIRONMENT)) {
            (None, None) => Owner::Untagged,
            (Some(stack), Some(environment)) if *stack == self.stack && *environment == self.environment => {
                Owner::Ours {
                    node: tags.get(NODE).and_then(|node| node.parse().ok()),
                    attempt: tags.get(ATTEMPT).cloned(),
                }
            }
            (stack, environment) => {
                let word = |value: Option<&String>| value.map_or("?", String::as_str).to_owned();
                Owner::Foreign(format!("stack {}, environment {}", word(stack), word(environment)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drctl_engine::state::Role;

    #[test]
    fn resources_with_our_tags_are_ours_and_others_are_not() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "123456789012".into() };
        let address = Address::new(Role::Primary, "vpc", "main");
        let mut tags = scope.tags(&address);
        assert_eq!(tags["Name"], "pay-prod-primary-vpc-main");
        assert_eq!(scope.owner(&tags), Owner::Ours { node: Some(address), attempt: None });
        tags.insert(ENVIRONMENT.into(), "test".into());
        assert_eq!(scope.owner(&tags), Owner::Foreign("stack pay, environment test".into()));
        assert_eq!(scope.owner(&TagMap::new()), Owner::Untagged);
    }
}
