//! Differences between desired and live properties.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::driver::{Change, TypeInfo};
use crate::reference::{AFTER, Properties, is_unresolved};

/// The property that holds tags. Others may add tags of their own.
pub const TAGS: &str = "tags";

/// The differences that `desired` asks for, in the order of its properties.
///
/// A property that is not in `live` cannot be read, and is not compared. Tags are compared key by key, for the desired keys: the tags
/// that others have added are left alone.
#[must_use]
pub fn changes(traits: &TypeInfo, desired: &Properties, live: &Properties) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, new) in desired {
        if name == AFTER {
            continue;
        }
        let Some(old) = live.get(name) else { continue };
        // If the target is recreated, it cannot be released before it is deleted.
        let holds_nothing = old.as_str() == Some("") || old.as_array().is_some_and(Vec::is_empty);
        let held = traits.holds.contains(&name.as_str()) && is_unresolved(new) && !holds_nothing;
        let held = held.then_some("the resource that it is attached to is recreated");
        let forces_replacement =
            traits.immutable.iter().find(|(property, _)| property == name).map(|(_, why)| *why).or(held);
        match (old, new) {
            (Value::Object(old), Value::Object(new)) if name == TAGS => {
                for (key, new) in new {
                    let old = old.get(key).unwrap_or(&Value::Null);
                    if old != new {
                        changes.push(Change {
                            property: format!("{name}.{key}"),
                            old: old.clone(),
                            new: new.clone(),
                            forces_replacement,
                        });
                    }
                }
            }
            _ if same(old, new) => {}
            _ if traits.versions.contains(&name.as_str()) && covers(old, new) => {}
            _ => {
                changes.push(Change { property: name.clone(), old: old.clone(), new: new.clone(), forces_replacement });
            }
        }
    }
    changes
}

/// Lists are sets: the order in which AWS returns them means nothing.
fn same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            let mut left: Vec<&Value> = new.iter().collect();
            let matched = old.iter().all(|item| {
                let found = left.iter().position(|other| same(item, other));
                found.map(|at| left.swap_remove(at)).is_some()
            });
            matched && left.is_empty()
        }
        _ => old == new,
    }
}

/// Whether a live version is the desired one, or a later one with the same major version. Versions are dotted numbers, and are compared
/// as numbers.
fn covers(live: &Value, desired: &Value) -> bool {
    let parts =
        |value: &Value| -> Option<Vec<u32>> { value.as_str()?.split('.').map(|part| part.parse().ok()).collect() };
    match (parts(live), parts(desired)) {
        (Some(live), Some(desired)) => live.first() == desired.first() && live >= desired,
        _ => false,
    }
}

/// SHA-256 over desired properties, in hexadecimal.
#[must_use]
pub fn digest(desired: &Properties) -> String {
    // Serialising a JSON value cannot fail.
    let bytes = serde_json::to_vec(desired).unwrap_or_default();
    hex::encode(Sha256::digest(&bytes))
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;

    const INFO: TypeInfo =
        TypeInfo { immutable: &[("cidr", "it cannot be changed")], holds: &["gateway"], ..TypeInfo::usual("t") };

    fn properties(value: Value) -> Properties {
        match value {
            Value::Object(map) => map,
            other => panic!("an object, not {other}"),
        }
    }

    #[test]
    fn only_what_is_desired_and_readable_is_compared() {
        let desired =
            properties(json!({"a": 1, "unreadable": 2, "list": ["x", "y"], "cidr": "10.0.0.0/16", "after": ["z"],
            "tags": {"Name": "n", "ours": "o"}}));
        let live = properties(json!({"a": 1, "list": ["y", "x"], "cidr": "10.9.0.0/16", "extra": true,
            "tags": {"Name": "n", "theirs": "t"}}));
        let changes = changes(&INFO, &desired, &live);
        let seen: Vec<_> = changes.iter().map(|change| (change.property.as_str(), change.forces_replacement)).collect();
        assert_eq!(seen, [("cidr", Some("it cannot be changed")), ("tags.ours", None)]);
        assert_eq!((&changes[1].old, &changes[1].new), (&Value::Null, &json!("o")));
    }

    #[test]
    fn a_version_that_others_have_raised_is_not_a_difference() {
        let traits = TypeInfo { versions: &["engine_version"], ..INFO };
        let differs = |live: &str, desired: &str| {
            let [live, desired] = [live, desired].map(|version| properties(json!({ "engine_version": version })));
            !changes(&traits, &desired, &live).is_empty()
        };
        for (live, desired) in [("17.7", "17.7"), ("17.10", "17.9"), ("17.7.1", "17.7")] {
            assert!(!differs(live, desired), "{live} covers {desired}");
        }
        for (live, desired) in [("17.7", "17.9"), ("16.8", "17.7"), ("18.1", "17.7"), ("", "17.7"), ("17.x", "17.7")] {
            assert!(differs(live, desired), "{live} does not cover {desired}");
        }
    }

    #[test]
    fn a_holder_is_recreated_with_its_target_unless_it_holds_nothing_any_more() {
        let reference = json!({"$ref": "primary/vpc/main", "output": "id", "need": "ready"});
        let desired = properties(json!({"gateway": reference}));
        let forced = |old: &str| changes(&INFO, &desired, &properties(json!({"gateway": old})))[0].forces_replacement;
        assert!(forced("igw-1").is_some());
        assert!(forced("").is_none(), "it can be attached in place");
    }

    #[test]
    fn the_digest_follows_the_properties() {
        let one = digest(&properties(json!({"a": 1})));
        assert_eq!(one.len(), 64);
        assert_ne!(one, digest(&properties(json!({"a": 2}))));
    }
}
