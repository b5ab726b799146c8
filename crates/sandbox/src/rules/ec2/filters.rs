//! EC2's filters: `Filter.1.Name=state&Filter.1.Value.1=available`.

use crate::wire::call::Call;
use crate::wire::form::Form;
use crate::wire::xml::Element;

/// One filter. It is enough if one of its values matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) struct Filter {
    pub(in crate::rules) name: String,
    values: Vec<String>,
}

/// Filters whose name is not the path of the element that they test.
const PATHS: [(&str, &str); 9] = [
    ("vpc-endpoint-state", "state"),
    ("status-code", "status.code"),
    ("attachment.vpc-id", "attachmentSet.item.vpcId"),
    ("attachment.state", "attachmentSet.item.state"),
    ("association.main", "associationSet.item.main"),
    ("association.subnet-id", "associationSet.item.subnetId"),
    ("association.route-table-association-id", "associationSet.item.routeTableAssociationId"),
    ("cidr", "cidrBlock"),
    ("is-default", "isDefault"),
];

/// The filters of a call.
pub(in crate::rules) fn of(form: &Form) -> Vec<Filter> {
    (1..)
        .map_while(|index| {
            let name = form.get(&format!("Filter.{index}.Name"))?.to_owned();
            let values = form.list(&format!("Filter.{index}.Value")).into_iter().map(str::to_owned).collect();
            Some(Filter { name, values })
        })
        .collect()
}

/// Keeps filters of these names from the emulator, which does not know the states that the rules add.
pub(in crate::rules) fn hold_back(call: &mut Call, names: &[&str]) {
    let mut form = call.forwarded_form();
    let (held, kept): (Vec<_>, Vec<_>) =
        of(&form).into_iter().partition(|filter| names.contains(&filter.name.as_str()));
    if held.is_empty() {
        return;
    }
    form.retain(|key| !key.starts_with("Filter."));
    for (index, filter) in (1..).zip(kept) {
        form.set(&format!("Filter.{index}.Name"), &filter.name);
        for (number, value) in (1..).zip(&filter.values) {
            form.set(&format!("Filter.{index}.Value.{number}"), value);
        }
    }
    call.forward_form(&form);
}

/// Whether an item passes all filters. A filter that cannot be evaluated on the item counts as passed.
pub(in crate::rules) fn pass(filters: &[Filter], item: &Element) -> bool {
    filters.iter().all(|filter| filter.matches(item) != Some(false))
}

impl Filter {
    /// Whether an item passes; `None` if the item does not hold what the filter tests, so that only the emulator can
    /// know.
    fn matches(&self, item: &Element) -> Option<bool> {
        if let Some(key) = self.name.strip_prefix("tag:") {
            let matches = |tag: &Element| {
                tag.text_of("key") == Some(key) && self.accepts(tag.text_of("value").unwrap_or_default())
            };
            return Some(item.at(&["tagSet", "item"]).into_iter().any(matches));
        }
        if self.name == "tag-key" {
            return Some(item.at(&["tagSet", "item", "key"]).iter().any(|key| self.accepts(key.text())));
        }
        let path = path(&self.name);
        let path: Vec<&str> = path.split('.').collect();
        let found = item.at(&path);
        // A set that is present and empty is known to hold nothing; any other element may just have been left out.
        let known =
            !found.is_empty() || path.first().is_some_and(|set| set.ends_with("Set") && item.child(set).is_some());
        known.then(|| found.iter().any(|element| self.accepts(element.text())))
    }

    fn accepts(&self, value: &str) -> bool {
        self.values.iter().any(|pattern| wildcard(pattern.as_bytes(), value.as_bytes()))
    }
}

/// `requester-vpc-info.vpc-id` as `requesterVpcInfo.vpcId`.
fn path(name: &str) -> String {
    if let Some((_, path)) = PATHS.iter().find(|(filter, _)| *filter == name) {
        return (*path).to_owned();
    }
    let mut path = String::new();
    let mut upper = false;
    for character in name.chars() {
        if character == '-' {
            upper = true;
        } else if upper {
            path.push(character.to_ascii_uppercase());
            upper = false;
        } else {
            path.push(character);
        }
    }
    path
}

/// EC2's patterns: `*` for any text, `?` for one character.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| wildcard(rest, &text[skip..])),
        Some((b'?', rest)) => text.split_first().is_some_and(|(_, left)| wildcard(rest, left)),
        Some((byte, rest)) => text.split_first().is_some_and(|(first, left)| first == byte && wildcard(rest, left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::call::tests::ec2;
    use crate::wire::xml::XmlError;

    fn item() -> Result<Element, XmlError> {
        Element::parse(
            b"<item><vpcId>vpc-1</vpcId><status><code>active</code></status><associationSet/>
              <requesterVpcInfo><vpcId>vpc-2</vpcId></requesterVpcInfo>
              <tagSet><item><key>drctl:stack</key><value>pay-dr</value></item></tagSet></item>",
        )
    }

    fn filter(name: &str, values: &[&str]) -> Filter {
        Filter { name: name.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    #[test]
    fn filters_are_evaluated_on_what_an_item_holds() -> Result<(), XmlError> {
        let item = item()?;
        let matches = |name: &str, value: &str| filter(name, &[value]).matches(&item);
        assert_eq!(matches("vpc-id", "vpc-1"), Some(true));
        assert_eq!(matches("vpc-id", "vpc-2"), Some(false));
        assert_eq!(matches("requester-vpc-info.vpc-id", "vpc-2"), Some(true));
        assert_eq!(matches("status-code", "active"), Some(true));
        assert_eq!(matches("association.subnet-id", "subnet-1"), Some(false));
        assert_eq!(matches("tag:drctl:stack", "pay-*"), Some(true));
        assert_eq!(matches("tag:drctl:stack", "pay-?r"), Some(true));
        assert_eq!(matches("tag:drctl:stack", "pay"), Some(false));
        assert_eq!(matches("tag:other", "pay-dr"), Some(false));
        assert_eq!(matches("tag-key", "drctl:stack"), Some(true));
        assert_eq!(matches("tag-key", "other"), Some(false));
        assert_eq!(matches("subnet-id", "subnet-1"), None);
        assert_eq!(matches("requester-vpc-info.cidr-block", "10.0.0.0/16"), None);
        assert!(pass(&[filter("vpc-id", &["vpc-9", "vpc-1"]), filter("subnet-id", &["x"])], &item));
        assert!(!pass(&[filter("vpc-id", &["vpc-1"]), filter("status-code", &["deleted"])], &item));
        Ok(())
    }

    #[test]
    fn the_filters_that_are_left_are_renumbered() {
        let body = "Action=DescribeNatGateways&Filter.1.Name=state&Filter.1.Value.1=pending\
                    &Filter.2.Name=vpc-id&Filter.2.Value.1=vpc-1&Filter.2.Value.2=vpc-2";
        let mut call = ec2("111122223333", "us-east-1", body);
        hold_back(&mut call, &["state"]);
        let kept = of(&call.forwarded_form());
        assert_eq!(kept, [filter("vpc-id", &["vpc-1", "vpc-2"])]);
        assert_eq!(of(call.form()).len(), 2, "the call still has what the client sent");
    }

    #[test]
    fn calls_without_such_filters_are_not_changed() {
        let body = "Action=DescribeNatGateways&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1";
        let mut call = ec2("111122223333", "us-east-1", body);
        hold_back(&mut call, &["state"]);
        assert_eq!(call.body().as_ref(), body.as_bytes());
    }
}
