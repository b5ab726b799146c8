//! What the proxy adds to an emulator: one file or folder per difference from AWS.

mod aurora;
mod changes;
mod data_api;
mod dynamodb;
mod ec2;
pub(super) mod faults;
mod gaps;
mod global_database;
pub(super) mod metrics;
mod pace;
mod regions;
mod replication;
pub(super) mod rule;
pub(super) mod surprises;
mod tokens;

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::wire::answer::Answer;
use super::wire::call::Call;
use super::wire::xml::Element;
use super::world::World;
use rule::{Next, Origin, Rule};

/// The rules of a sandbox, from the client's side to the emulator's.
pub(super) struct Rules {
    /// What happens to a call on its way to AWS.
    pub(super) way: Vec<Box<dyn Rule>>,
    /// What AWS does with the calls that arrive there.
    pub(super) aws: Vec<Box<dyn Rule>>,
}

/// All rules.
///
/// The owner of an API is determined first, because later rules need the request's Region. The conditions of the *Regions*,
/// and then the *faults* with AWS's surprises, are what happens on the way to AWS. *Tokens* come next, so that a replay
/// makes no second call to the rules after them. The *Data API* answers its calls by itself, and asks the rules after it
/// for secrets. The *gaps* of answers come before the *pace*: they select among the
/// states that the pace has put into an answer. The gaps of resources come after it: the calls that they add take none
/// of AWS's time. *Aurora* follows what the emulator has carried out. *Replication* comes last, next to the emulator: it
/// reads what the emulator owes in every answer.
///
/// `ministack`: the emulator, if it is the sandbox's own MiniStack, whose gaps are known. `scale`: how many times
/// faster than AWS time passes; `None` in the instant pace, in which nothing takes time.
pub(super) fn all(
    world: &World,
    faults: &Arc<faults::Faults>,
    ministack: Option<&Arc<dyn Origin>>,
    scale: Option<f64>,
) -> Rules {
    let owners = Arc::new(gaps::Owners::default());
    let way: Vec<Box<dyn Rule>> =
        vec![Box::new(Arc::clone(&owners)), Box::new(regions::Conditions::new(world)), Box::new(Arc::clone(faults))];
    let mut aws: Vec<Box<dyn Rule>> = vec![Box::new(tokens::Tokens::default()), Box::new(changes::Changes::new(world))];
    if ministack.is_some() {
        aws.push(Box::new(data_api::DataApi::new(Arc::new(world.aurora.clone()), &world.regions)));
        aws.extend(gaps::of_answers(world, &owners, scale));
        // After the gaps, so that they see what is in progress; and before the pace, so that it says what exists already.
        aws.extend(global_database::rules(&world.databases, faults));
    }
    if let Some(scale) = scale {
        aws.push(Box::new(pace::PaceRule::new(scale)));
    }
    if let Some(ministack) = ministack {
        aws.extend(gaps::of_resources());
        aws.push(Box::new(aurora::Clusters::new(world)));
        aws.push(Box::new(replication::Replicated::new(world, ministack)));
    }
    Rules { way, aws }
}

/// The account and Region of the resources that a rule remembers. Ids are unique, but a caller sees only its own.
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

/// Sends a rule's own question to the rules and the emulator after it, in the query protocol and as `call`'s caller.
///
/// `Err` is the answer to give the caller if the question cannot be answered.
async fn ask(call: &Call, next: Next<'_>, operation: &str, parameters: &[(&str, &str)]) -> Result<Element, Answer> {
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

/// The text of a member of a JSON object.
fn text_of(value: &Value, member: &str) -> Option<String> {
    value.get(member).and_then(Value::as_str).map(str::to_owned)
}
