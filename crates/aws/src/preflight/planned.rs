//! What a plan is going to create.

use std::collections::BTreeMap;

use serde_json::Value;

use drctl_engine::state::Address;
use drctl_engine::{Action, Class, Failure, Item, Plan};

/// What a plan is going to create.
pub(super) struct Planned<'a> {
    items: BTreeMap<&'a Address, &'a Item>,
}

impl<'a> Planned<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        Self { items: plan.items.iter().map(|item| (&item.address, item)).collect() }
    }

    /// All resources of a type that are created or replaced, by address.
    pub(super) fn made(&self, kind: &str) -> impl Iterator<Item = &'a Item> {
        self.all(kind).filter(|item| is_made(item))
    }

    /// All resources that are created or replaced, by address.
    pub(super) fn all_made(&self) -> impl Iterator<Item = &'a Item> {
        self.items.values().copied().filter(|item| is_made(item))
    }

    /// How many more resources of a type a Region will have. A resource that is replaced is deleted first.
    pub(super) fn added(&self, kind: &str, region: &str) -> u64 {
        self.made(kind).filter(|item| item.action == Action::Create && item.region == region).map(|_| 1).sum()
    }

    /// The same over all Regions.
    pub(super) fn added_anywhere(&self, kind: &str) -> u64 {
        self.made(kind).filter(|item| item.action == Action::Create).map(|_| 1).sum()
    }

    /// The items whose names are in use by resources that are not this stack's, according to the plan.
    pub(super) fn taken(&self) -> impl Iterator<Item = (&'a Item, &'a Failure)> {
        let failures = self.items.values().copied().filter_map(|item| Some((item, item.failure.as_ref()?)));
        failures.filter(|(_, failure)| failure.class == Class::Foreign)
    }

    /// All resources of a type, by address.
    pub(super) fn all(&self, kind: &str) -> impl Iterator<Item = &'a Item> {
        self.items.values().copied().filter(move |item| item.address.kind() == kind)
    }

    /// All resources of a type that will exist after the plan, by address: created, changed, or unchanged.
    pub(super) fn staying(&self, kind: &str) -> impl Iterator<Item = &'a Item> {
        self.all(kind).filter(|item| item.action != Action::Delete)
    }

    /// The resources of a type to which an item refers.
    pub(super) fn referred(&self, item: &Item, kind: &str) -> impl Iterator<Item = &'a Item> {
        let of_kind = item.depends_on.iter().filter(move |address| address.kind() == kind);
        of_kind.filter_map(|address| self.items.get(address).copied())
    }

    /// The zone of a resource, which is that of its subnet.
    pub(super) fn zone_of(&self, item: &Item) -> Option<&'a str> {
        wanted(self.referred(item, "subnet").next()?, "zone")
    }
}

/// Whether it is created or replaced.
pub(super) fn is_made(item: &Item) -> bool {
    matches!(item.action, Action::Create | Action::Replace)
}

/// Whether a property is among the changes.
pub(super) fn is_changed(item: &Item, property: &str) -> bool {
    item.changes.iter().any(|change| change.property == property)
}

/// The desired value of a property, if it is a known text. A property without a change keeps its live value.
pub(super) fn wanted<'a>(item: &'a Item, property: &str) -> Option<&'a str> {
    match item.changes.iter().find(|change| change.property == property) {
        Some(change) => change.new.as_str(),
        None => item.live.as_ref()?.properties.get(property).and_then(Value::as_str),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use drctl_engine::Change;

    /// An item as bare as it can be, with these properties to be set.
    pub(in crate::preflight) fn item(at: &str, region: &str, action: Action, properties: &Value) -> Item {
        let changes = properties.as_object().into_iter().flatten().map(|(property, new)| Change {
            property: property.clone(),
            old: Value::Null,
            new: new.clone(),
            forces_replacement: None,
        });
        Item {
            address: at.parse().expect("an address"),
            region: region.to_owned(),
            action,
            reason: None,
            recorded: false,
            id: None,
            changes: changes.collect(),
            unsupported: BTreeMap::new(),
            failure: None,
            refusal: None,
            expected: Duration::ZERO,
            live: None,
            weight: None,
            depends_on: Vec::new(),
            waits_for: Vec::new(),
        }
    }

    #[test]
    fn a_replaced_resource_does_not_count_twice() {
        let plan = Plan {
            items: vec![
                item("primary/eip/nat-a", "us-east-1", Action::Create, &json!({})),
                item("primary/eip/nat-b", "us-east-1", Action::Replace, &json!({})),
                item("primary/eip/nat-c", "us-east-1", Action::None, &json!({})),
                item("secondary/eip/nat-a", "us-east-2", Action::Create, &json!({})),
            ],
        };
        let planned = Planned::of(&plan);
        assert_eq!((planned.added("eip", "us-east-1"), planned.added_anywhere("eip")), (1, 2));
        assert_eq!((planned.made("eip").count(), planned.all_made().count()), (3, 3));
    }

    #[test]
    fn a_gateways_zone_is_its_subnets() {
        let mut gateway = item("primary/nat_gateway/a", "us-east-1", Action::Create, &json!({}));
        let subnet = item("primary/subnet/public-a", "us-east-1", Action::Create, &json!({"zone": "us-east-1b"}));
        gateway.depends_on = vec!["primary/eip/nat-a".parse().expect("an address"), subnet.address.clone()];
        let plan = Plan { items: vec![subnet, gateway] };
        let planned = Planned::of(&plan);
        assert_eq!(planned.made("nat_gateway").next().and_then(|item| planned.zone_of(item)), Some("us-east-1b"));
    }
}
