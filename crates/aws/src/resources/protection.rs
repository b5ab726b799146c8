//! AWS's own deletion protection. `[protection] deletion = true` has `up` set it. With `false`, `up` lifts it if the state says that drctl
//! has set it, and leaves it as it is otherwise. A deletion does not lift it: a resource that is still protected was protected outside
//! drctl, or under a state that was lost.

use serde_json::Value;

use super::{Class, Context, Failure, Live};

fn is_protected(live: &Live) -> bool {
    live.properties.get("deletion_protection") == Some(&Value::Bool(true))
}

/// A sentence if something is protected. `switch` is the AWS CLI's operation that lifts the protection, with its options but
/// without the Region.
pub(super) fn hindrance(cx: &Context, live: &Live, switch: &str) -> Option<String> {
    is_protected(live).then(|| sentence(&live.id, &cx.region, switch))
}

/// The sentence about a resource that is protected in a Region.
pub(super) fn sentence(id: &str, region: &str, switch: &str) -> String {
    format!("{id} in {region} is protected against deletion; to allow its deletion: `aws {switch} --region {region}`")
}

/// Refuses to delete a resource that is protected.
///
/// # Errors
/// [`Class::Refused`] if it is.
pub(super) fn refuse(live: &Live) -> Result<(), Failure> {
    if is_protected(live) { Err(refusal(&live.id)) } else { Ok(()) }
}

/// The refusal to delete something that is protected.
pub(super) fn refusal(what: &str) -> Failure {
    Failure::new(Class::Refused, format!("{what} is protected against deletion in AWS")).help(
        "drctl did not enable that. If the resource may be deleted, disable the protection, and run the same \
               command again.",
    )
}
