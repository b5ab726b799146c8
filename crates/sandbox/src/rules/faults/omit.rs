//! `omit`: a field is left out of the answers that have it. AWS's models promise few fields, and its Regions differ in what they
//! return: what is missing must never look like a difference.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::Value;

use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::xml::Element;

/// The fields that answers had while the fault was in force.
#[derive(Default)]
pub(super) struct Fields(Mutex<BTreeSet<String>>);

impl Fields {
    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.0).iter().cloned().collect()
    }

    /// Leaves the field out of an answer, wherever it occurs in it. Bodies that are neither XML nor JSON stay as they are.
    pub(super) fn omit(&self, field: &str, answer: &mut Answer) {
        let mut seen = lock(&self.0);
        match answer.body().first() {
            Some(b'<') => answer.edit_xml(|root| without(root, field, &mut seen)),
            Some(b'{' | b'[') => answer.edit_json(|root| without_key(root, field, &mut seen)),
            _ => {}
        }
    }
}

/// Whether anything was left out.
fn without(element: &mut Element, field: &str, seen: &mut BTreeSet<String>) -> bool {
    let before = element.children().len();
    seen.extend(element.children().iter().map(|child| child.name().to_owned()));
    element.children_mut().retain(|child| !child.is_named(field));
    let mut changed = element.children().len() < before;
    for child in element.children_mut() {
        changed |= without(child, field, seen);
    }
    changed
}

/// Whether anything was left out.
fn without_key(value: &mut Value, field: &str, seen: &mut BTreeSet<String>) -> bool {
    match value {
        Value::Object(map) => {
            seen.extend(map.keys().cloned());
            let mut changed = map.remove(field).is_some();
            for value in map.values_mut() {
                changed |= without_key(value, field, seen);
            }
            changed
        }
        Value::Array(values) => {
            let mut changed = false;
            for value in values {
                changed |= without_key(value, field, seen);
            }
            changed
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{ok, text};

    #[tokio::test]
    async fn a_field_is_left_out_at_every_depth_and_the_others_are_named() {
        let fields = Fields::default();
        let mut xml = ok("<r><vpc><id>1</id><cidr>a</cidr></vpc><cidr>b</cidr></r>");
        fields.omit("cidr", &mut xml);
        let left = text(&xml);
        assert!(left.contains("<id>1</id>") && !left.contains("cidr"), "{left}");
        let mut json = ok(r#"{"items":[{"name":"a","size":1}],"size":2}"#);
        fields.omit("size", &mut json);
        assert_eq!(text(&json), r#"{"items":[{"name":"a"}]}"#);
        assert_eq!(fields.names(), ["cidr", "id", "items", "name", "size", "vpc"]);
    }
}
