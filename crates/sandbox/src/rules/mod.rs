//! What the proxy adds to an emulator, one file or folder per difference from AWS.

mod ec2;
pub(super) mod faults;
mod gaps;
mod pace;
pub(super) mod rule;
mod surprises;
mod tokens;

use std::sync::Arc;

use http::StatusCode;

use super::options::Pace;
use super::proxy::ProxyOptions;
use super::wire::answer::Answer;
use super::wire::call::Call;
use super::wire::xml::Element;
use rule::{Next, Rule};

/// The rules of a sandbox, from the client's side to the emulator's.
///
/// *Faults* are what the way to AWS does, and AWS's surprises with them: they stand before everything. *Tokens* come next,
/// so that a replay costs no second call behind them. *Gaps* of answers stand before *pace*: they
/// select among the states that the pace has put into them. Those of resources stand behind it: the calls that they add
/// take no time of AWS's.
pub(super) fn for_options(options: &ProxyOptions, faults: &Arc<faults::Faults>) -> Vec<Box<dyn Rule>> {
    let mut rules: Vec<Box<dyn Rule>> = vec![Box::new(Arc::clone(faults)), Box::new(tokens::Tokens::default())];
    if options.own_ministack {
        rules.extend(gaps::of_answers((options.pace == Pace::Aws).then_some(options.time_scale)));
    }
    if options.pace == Pace::Aws {
        rules.push(Box::new(pace::PaceRule::new(options.time_scale)));
    }
    if options.own_ministack {
        rules.extend(gaps::of_resources());
    }
    rules
}

/// Whose resources a rule remembers: ids are unique, but what may be seen of them is decided here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    account: String,
    region: String,
}

impl Scope {
    fn of(call: &Call) -> Self {
        Self { account: call.account.clone(), region: call.region.clone() }
    }
}

/// What stands behind a rule answers to a question of the rule's own, in the query protocol and the name of `call`'s caller.
///
/// `Err` is the answer for the caller when that cannot be known.
async fn asked(call: &Call, next: Next<'_>, operation: &str, parameters: &[(&str, &str)]) -> Result<Element, Answer> {
    let mut question = call.ask_query(operation, parameters);
    let answer = next.run(&mut question).await;
    if !answer.is_success() {
        return Err(answer);
    }
    Element::parse(answer.body()).map_err(|error| {
        let message = format!("the emulator's answer to {operation} cannot be read: {error}");
        Answer::refusal(call, StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &message)
    })
}
