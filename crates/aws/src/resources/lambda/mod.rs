//! AWS Lambda: the payment function, the permission to call it, and the code that is deployed.

mod function;
pub mod package;
mod permission;

pub use function::Function;
pub use package::PackageError;
pub use permission::Permission;

use aws_sdk_lambda::types::{
    FunctionConfiguration, LastUpdateStatus, LastUpdateStatusReasonCode, State, StateReasonCode,
};

use super::{Context, Failure, Live, Phase};
use crate::TagMap;

/// Sets tags on a function, and leaves all others alone.
pub(super) async fn tag(cx: &Context, live: &Live, wanted: &TagMap) -> Result<(), Failure> {
    let arn = live.arn.as_deref().unwrap_or_default();
    let tags = wanted.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let call = cx.clients().lambda.tag_resource().resource(arn).set_tags(Some(tags)).send();
    cx.mutate("lambda", "TagResource", call).await.map(drop)
}

/// The phase of a function.
///
/// An update that failed leaves the previous version running, and is a failure nevertheless: repeated, it fails again
/// while its cause lasts (docs/aws-behaviour.md#function-fails-after-creation). An inactive function wakes up when it is called.
/// <https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html>
fn phase(found: &FunctionConfiguration) -> Phase {
    match found.state() {
        Some(State::Failed) => {
            let code = found.state_reason_code().map(StateReasonCode::as_str);
            return Phase::Failed(why("Failed", code, found.state_reason()));
        }
        Some(State::Deleting) => return Phase::Deleting("Deleting".to_owned()),
        Some(state @ (State::Pending | State::Deactivating)) => return Phase::Pending(state.as_str().to_owned()),
        _ => {}
    }
    match found.last_update_status() {
        Some(LastUpdateStatus::InProgress) => Phase::Pending("InProgress".to_owned()),
        _ => Phase::Ready,
    }
}

/// The result of the last update. If it failed, the function did not: its previous version still serves.
fn last_update(found: &FunctionConfiguration) -> String {
    let code = found.last_update_status_reason_code().map(LastUpdateStatusReasonCode::as_str);
    match found.last_update_status() {
        Some(LastUpdateStatus::Failed) => why("Failed", code, found.last_update_status_reason()),
        // The result of an update in progress is waited for.
        _ => LastUpdateStatus::Successful.as_str().to_owned(),
    }
}

fn why(state: &str, code: Option<&str>, reason: Option<&str>) -> String {
    let parts = [Some(state), code, reason].into_iter().flatten();
    parts.map(|part| part.trim_end_matches('.')).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function() -> aws_sdk_lambda::types::builders::FunctionConfigurationBuilder {
        FunctionConfiguration::builder().state(State::Active).last_update_status(LastUpdateStatus::Successful)
    }

    #[test]
    fn a_function_is_ready_only_between_updates() {
        assert_eq!(phase(&function().build()), Phase::Ready);
        assert_eq!(phase(&function().state(State::Inactive).build()), Phase::Ready);
        let updating = function().last_update_status(LastUpdateStatus::InProgress).build();
        assert_eq!(phase(&updating), Phase::Pending("InProgress".into()));
        let new = function().state(State::Pending).last_update_status(LastUpdateStatus::InProgress).build();
        assert_eq!(phase(&new), Phase::Pending("Pending".into()));
        assert_eq!(phase(&FunctionConfiguration::builder().build()), Phase::Ready, "an endpoint without states");
    }

    #[test]
    fn a_failure_says_why() {
        let failed = function()
            .state(State::Failed)
            .state_reason_code(StateReasonCode::EniLimitExceeded)
            .state_reason("No more interfaces.")
            .build();
        assert_eq!(phase(&failed), Phase::Failed("Failed: EniLimitExceeded: No more interfaces".into()));
        let update = function()
            .last_update_status(LastUpdateStatus::Failed)
            .last_update_status_reason_code(LastUpdateStatusReasonCode::DisabledKmsKey)
            .last_update_status_reason("")
            .build();
        assert_eq!((phase(&update), last_update(&update)), (Phase::Ready, "Failed: DisabledKMSKey".to_owned()));
    }
}
