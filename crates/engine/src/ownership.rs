//! Ownership: whether a live resource is this stack's, so that drctl may touch it.

use crate::driver::{Live, Owner};
use crate::failure::{Class, Failure};
use crate::state::Address;

/// Separates the name of a node from a number in the address under which a copy of the node is deleted.
const COPY: &str = "-orphan-";

/// Checks that a live resource is this node's: by its tags, or by its recorded id when the tags were removed.
///
/// # Errors
/// [`Class::Foreign`], naming the owner.
pub fn ownership(address: &Address, live: &Live, recorded: Option<&str>) -> Result<(), Failure> {
    let foreign = |owner: String| {
        Failure::new(Class::Foreign, format!("drctl must not change {}: {owner}", live.id)).help(
            "Choose another stack name or environment, or take it over with `drctl up --adopt` if it is meant to become part of \
             this stack.",
        )
    };
    match &live.owner {
        Owner::Ours { node: Some(node), .. } if node != address && !is_copy_of(address, node) => {
            Err(foreign(format!("its tag drctl:node says {node}")))
        }
        Owner::Ours { .. } | Owner::Implied => Ok(()),
        Owner::Untagged if recorded == Some(live.id.as_str()) => Ok(()),
        Owner::Untagged => Err(foreign("it has none of drctl's tags".to_owned())),
        Owner::Foreign(stack) => Err(foreign(format!("its tags say it belongs to {stack}"))),
    }
}

/// The address under which a copy of a node is deleted. Copies are numbered.
pub(crate) fn copy_address(node: &Address, number: usize) -> Address {
    Address::new(node.role(), node.kind(), &format!("{}{COPY}{number}", node.name()))
}

/// Whether a copy of a node may be deleted under an address. The tags of the copy name the node.
fn is_copy_of(address: &Address, node: &Address) -> bool {
    let number = address.name().strip_prefix(node.name()).and_then(|rest| rest.strip_prefix(COPY));
    (address.role(), address.kind()) == (node.role(), node.kind())
        && number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_a_copy_may_differ_from_its_tags() {
        let address = |text: &str| -> Address { text.parse().expect("an address") };
        let main = address("primary/vpc/main");
        for (at, is_copy) in [
            ("primary/vpc/main-orphan-1", true),
            ("primary/vpc/main-orphan-27", true),
            ("primary/vpc/main-orphan-", false),
            ("primary/vpc/main-orphan-x", false),
            ("primary/vpc/main", false),
            ("secondary/vpc/main-orphan-1", false),
            ("primary/subnet/main-orphan-1", false),
            ("primary/vpc/other-orphan-1", false),
        ] {
            assert_eq!(is_copy_of(&address(at), &main), is_copy, "{at}");
        }
    }
}
