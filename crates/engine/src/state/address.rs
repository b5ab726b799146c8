//! Addresses: `<role>/<type>/<name>`, the name of a resource within a stack.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The part a resource plays in the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It is in the primary Region.
    Primary,
    /// It is in the secondary Region.
    Secondary,
    /// It is global, or spans both Regions.
    Global,
}

impl Role {
    /// The word used in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Global => "global",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The address of a resource within its stack, e.g. `primary/subnet/private-a`.
///
/// Cheap to clone. Ordered by role, then type, then name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct Address {
    role: Role,
    kind: std::sync::Arc<str>,
    name: std::sync::Arc<str>,
}

impl Address {
    /// Makes an address from its three parts.
    #[must_use]
    pub fn new(role: Role, kind: &str, name: &str) -> Self {
        Self { role, kind: kind.into(), name: name.into() }
    }

    /// The first part.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The second part: the type of the resource, e.g. `subnet`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The third part, unique among the resources of one type and role.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_some() {
            return f.pad(&format!("{}/{}/{}", self.role, self.kind, self.name));
        }
        write!(f, "{}/{}/{}", self.role, self.kind, self.name)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address: write <role>/<type>/<name>, e.g. primary/subnet/private-a (roles: primary, secondary, global)"
)]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAddress(text.chars().take(120).collect());
        let mut parts = text.split('/');
        let (Some(role), Some(kind), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        let role = match role {
            "primary" => Role::Primary,
            "secondary" => Role::Secondary,
            "global" => Role::Global,
            _ => return Err(invalid()),
        };
        let plain =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if plain(kind) && plain(name) { Ok(Self::new(role, kind, name)) } else { Err(invalid()) }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_as_it_was_written() {
        let address = Address::new(Role::Secondary, "subnet", "private-a");
        assert_eq!(address.to_string(), "secondary/subnet/private-a");
        assert_eq!(address.to_string().parse::<Address>(), Ok(address));
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused() {
        for text in
            ["", "primary", "primary/subnet", "tertiary/subnet/a", "primary//a", "primary/a/b/c", "primary/a b/c"]
        {
            let refusal = text.parse::<Address>().expect_err(text);
            assert!(refusal.to_string().contains("<role>/<type>/<name>"));
        }
    }
}
