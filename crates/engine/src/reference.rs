//! References: how a resource names an output of another one, and where the edges of the graph come from.
//!
//! A resource is plain data. Where it needs an output of another resource it holds a [`Ref`], which serialises to a marker until the
//! run has reached its target. The graph reads its edges from those markers: a resource waits for what it refers to, and for
//! nothing else.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::state::Address;

/// The properties of a resource, by name.
pub type Properties = Map<String, Value>;

/// The property that holds references which exist only for their order.
pub const AFTER: &str = "after";

const MARKER: &str = "$ref";

/// The state that a reference needs its target to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The target must outlive the resource that refers to it: creation does not wait for it, and it is deleted after that
    /// resource.
    Outlives,
    /// That it is available first, on the way up only. Which of the two is deleted first on the way down follows from their live roles
    /// ([`Live::goes_after`](crate::Live::goes_after)).
    First,
    /// That its id is known and durably recorded.
    Exists,
    /// That it is available, with all its properties set.
    Ready,
}

/// A value of kind `T`, or where it will come from. `T` only keeps the ids and ARNs of different types apart.
pub struct Ref<T: ?Sized> {
    inner: Inner,
    kind: PhantomData<fn() -> Box<T>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Inner {
    Known(Arc<str>),
    Output { of: Address, output: Arc<str>, need: Need },
}

impl<T: ?Sized> Ref<T> {
    /// A value that is known beforehand. It makes no edge.
    #[must_use]
    pub fn known(value: impl Into<Arc<str>>) -> Self {
        Self { inner: Inner::Known(value.into()), kind: PhantomData }
    }

    /// An output of another resource, which has to be ready.
    #[must_use]
    pub fn output(of: Address, output: &str) -> Self {
        Self { inner: Inner::Output { of, output: output.into(), need: Need::Ready }, kind: PhantomData }
    }

    /// Requires only that the target exists, for calls that AWS accepts while the target is being created. A working resource is
    /// still pointed at a new target only once that target is ready.
    #[must_use]
    pub fn exists(mut self) -> Self {
        if let Inner::Output { need, .. } = &mut self.inner {
            *need = Need::Exists;
        }
        self
    }

    /// The same, but the target only has to outlive the resource that refers to it.
    #[must_use]
    pub fn outlives(mut self) -> Self {
        if let Inner::Output { need, .. } = &mut self.inner {
            *need = Need::Outlives;
        }
        self
    }

    /// The same, but the target only has to be ready first on the way up.
    #[must_use]
    pub fn first(mut self) -> Self {
        if let Inner::Output { need, .. } = &mut self.inner {
            *need = Need::First;
        }
        self
    }

    /// The value. It is empty while the reference is unresolved, which a resource never sees.
    #[must_use]
    pub fn value(&self) -> &str {
        match &self.inner {
            Inner::Known(value) => value,
            Inner::Output { .. } => "",
        }
    }

    /// The reference without its type, for lists that only determine order.
    #[must_use]
    pub fn any(&self) -> Ref<()> {
        Ref { inner: self.inner.clone(), kind: PhantomData }
    }
}

impl<T: ?Sized> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), kind: PhantomData }
    }
}

impl<T: ?Sized> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl<T: ?Sized> Eq for Ref<T> {}

impl<T: ?Sized> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: ?Sized> Ord for Ref<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value().cmp(other.value())
    }
}

impl<T: ?Sized> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[derive(Serialize, Deserialize)]
struct Marker {
    #[serde(rename = "$ref")]
    of: Address,
    output: String,
    need: Need,
}

impl<T: ?Sized> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.inner {
            Inner::Known(value) => serializer.serialize_str(value),
            Inner::Output { of, output, need } => {
                Marker { of: of.clone(), output: output.to_string(), need: *need }.serialize(serializer)
            }
        }
    }
}

impl<'de, T: ?Sized> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Only resolved properties are deserialised.
        String::deserialize(deserializer).map(Self::known)
    }
}

/// A reference as found in the properties of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRef {
    /// The target.
    pub of: Address,
    /// The output that is referred to.
    pub output: String,
    /// How far the target must have come.
    pub need: Need,
}

fn as_marker(value: &Value) -> Option<FoundRef> {
    let object = value.as_object()?;
    if object.len() != 3 || !object.contains_key(MARKER) {
        return None;
    }
    let marker = Marker::deserialize(value).ok()?;
    Some(FoundRef { of: marker.of, output: marker.output, need: marker.need })
}

/// Whether a value still contains a reference.
#[must_use]
pub fn is_unresolved(value: &Value) -> bool {
    as_marker(value).is_some()
        || match value {
            Value::Array(items) => items.iter().any(is_unresolved),
            Value::Object(map) => map.values().any(is_unresolved),
            _ => false,
        }
}

/// All references in some properties.
#[must_use]
pub fn references(properties: &Properties) -> Vec<FoundRef> {
    properties.values().flat_map(references_in).collect()
}

/// All references in a value.
#[must_use]
pub fn references_in(value: &Value) -> Vec<FoundRef> {
    fn walk(value: &Value, found: &mut Vec<FoundRef>) {
        if let Some(reference) = as_marker(value) {
            found.push(reference);
            return;
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(map) => map.values().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, &mut found);
    found
}

/// The properties, with every reference that `lookup` knows replaced by its value. [`AFTER`] is left out.
#[must_use]
pub fn resolve(properties: &Properties, lookup: &dyn Fn(&Address, &str) -> Option<String>) -> Properties {
    fn walk(value: &Value, lookup: &dyn Fn(&Address, &str) -> Option<String>) -> Value {
        if let Some(reference) = as_marker(value) {
            return lookup(&reference.of, &reference.output).map_or_else(|| value.clone(), Value::String);
        }
        match value {
            Value::Array(items) => Value::Array(items.iter().map(|item| walk(item, lookup)).collect()),
            Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), walk(v, lookup))).collect()),
            other => other.clone(),
        }
    }
    properties
        .iter()
        .filter(|(name, _)| *name != AFTER)
        .map(|(name, value)| (name.clone(), walk(value, lookup)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Role;

    enum VpcId {}

    #[derive(Serialize, Deserialize)]
    struct Subnet {
        vpc: Ref<VpcId>,
        cidr: String,
        lists: Vec<Ref<VpcId>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        after: Vec<Ref<()>>,
    }

    fn properties() -> Properties {
        let vpc = Address::new(Role::Primary, "vpc", "main");
        let subnet = Subnet {
            vpc: Ref::output(vpc.clone(), "id"),
            cidr: "10.0.0.0/24".into(),
            lists: vec![Ref::output(vpc.clone(), "other").exists(), Ref::known("vpc-0")],
            after: vec![Ref::output(vpc, "id")],
        };
        match serde_json::to_value(subnet) {
            Ok(Value::Object(map)) => map,
            other => panic!("an object, not {other:?}"),
        }
    }

    #[test]
    fn references_are_found_wherever_they_are() {
        let found = references(&properties());
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].need, Need::Ready);
        assert_eq!((found[1].output.as_str(), found[1].need), ("other", Need::Exists));
    }

    #[test]
    fn resolved_properties_are_read_back_and_unresolved_ones_are_recognised() {
        let properties = properties();
        let all = resolve(&properties, &|_, output| Some(format!("vpc-{output}")));
        assert!(!is_unresolved(&Value::Object(all.clone())));
        let subnet: Subnet = serde_json::from_value(Value::Object(all)).expect("resolved");
        assert_eq!(subnet.vpc.value(), "vpc-id");
        assert_eq!(subnet.lists[1].value(), "vpc-0");
        let some = resolve(&properties, &|_, output| (output == "id").then(|| "vpc-1".to_owned()));
        assert!(is_unresolved(&some["lists"]));
        assert!(!is_unresolved(&some["vpc"]));
    }
}
