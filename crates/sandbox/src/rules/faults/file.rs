//! The format of fault files.

use std::time::Duration;

use serde::Deserialize;

use crate::rules::surprises;
use crate::wire::call::Call;
use crate::world::aurora::operation::{Course, Ending};

/// The contents of a fault file.
///
/// ```toml
/// seed = 7                     # what `chance` draws from; the same seed gives the same draws
/// surprises = ["nat-failed"]   # AWS's surprises, by name; "all" for all of them
///
/// [aurora]                     # of switchovers and failovers that begin while this is in force
/// durations = "worst"          # or "typical"
/// switchover = "fails"         # or "cancelled"; or "stuck", which stays pending until the faults are lifted; or "succeeds"
/// failover = "stuck"           # or "fails", or "succeeds"
/// fence = "times-out"          # or "holds"
///
/// [[fault]]
/// service = "ec2"              # the signing name, `execute-api` for requests to APIs; all services if left out
/// operation = "Create*"
/// region = "us-east-1"
/// kind = "mutation"            # or "read"
/// chance = 0.1                 # or at = 3, first = 2, every = 5: of the calls that match; all of them if left out
/// after = 10.0                 # seconds since the faults were put in force; `lasts` is for how long
/// does = "lose-answer"
///
/// [[fault]]
/// does = "state"               # `resource` is shown in `state`, whatever AWS would do with it: see `state.rs`
/// resource = "payment-dr-dev-secondary"
/// state = "inaccessible-encryption-credentials"
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultFile {
    #[serde(default)]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) surprises: Vec<String>,
    #[serde(default)]
    pub(super) aurora: Course,
    #[serde(default, rename = "fault")]
    pub(super) faults: Vec<Fault>,
}

/// One fault: which calls match it, which of those it strikes, and what it does to them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    service: Option<String>,
    operation: Option<String>,
    region: Option<String>,
    kind: Option<CallKind>,
    at: Option<u64>,
    first: Option<u64>,
    every: Option<u64>,
    chance: Option<f64>,
    after: Option<f64>,
    lasts: Option<f64>,
    pub(super) does: Effect,
    /// For `slow` and `stale`.
    pub(super) seconds: Option<f64>,
    /// For `stale`: the seconds as seen from another Region.
    pub(super) elsewhere: Option<f64>,
    /// For `refuse`, and for `lose-answer` if there is an answer.
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// For `state`: the resource's name or id, and the service's word for the state.
    pub(super) resource: Option<String>,
    /// For `omit`: the field's name.
    pub(super) field: Option<String>,
    pub(super) state: Option<String>,
}

/// Whether a call changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CallKind {
    Read,
    Mutation,
}

/// What a fault does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Effect {
    /// Not carried out; answers the service's own 500.
    Fail,
    /// Not carried out; answers 503.
    Unavailable,
    /// Not carried out; the connection is reset.
    Reset,
    /// Not carried out, and never answered.
    Hang,
    /// Carried out; the connection is reset, or `status` and `code` are answered.
    LoseAnswer,
    /// Not carried out; answers the service's own code for too many calls.
    Throttle,
    /// Not carried out; answers the service's own code for expired credentials.
    ExpireCredentials,
    /// Not carried out; answers `status`, `code`, and `message`.
    Refuse,
    /// Carried out `seconds` later.
    Slow,
    /// Anything created less than `seconds` ago (`elsewhere` as seen from another Region) is neither found nor listed.
    Stale,
    /// Carried out; `field` is left out of the answer, wherever it occurs.
    Omit,
    /// Held until the faults are lifted, and then not carried out. With this, a test can kill the caller in the
    /// meantime.
    HoldBefore,
    /// Carried out; the answer is held until the faults are lifted, and then lost.
    HoldAfter,
    /// Carried out; `resource` is shown in `state`, and refuses the changes that AWS refuses in it. Combines with any
    /// other fault.
    State,
}

impl FaultFile {
    /// Parses the text of a file. The error says where it is wrong, and why.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        for (number, fault) in (1..).zip(&file.faults) {
            fault.check().map_err(|why| format!("fault {number}: {why}"))?;
        }
        if file.aurora.failover == Ending::Cancelled {
            return Err("aurora: a failover cannot be cancelled".to_owned());
        }
        for name in &file.surprises {
            if name != surprises::ALL && surprises::named(name).is_none() {
                let known: Vec<&str> = surprises::SURPRISES.iter().map(|surprise| surprise.name).collect();
                return Err(format!("there is no surprise `{name}`; there are {}, and `all`", known.join(", ")));
            }
        }
        Ok(file)
    }
}

impl Fault {
    fn check(&self) -> Result<(), String> {
        let whens = [self.at.is_some(), self.first.is_some(), self.every.is_some(), self.chance.is_some()];
        if whens.iter().filter(|given| **given).count() > 1 {
            return Err("`at`, `first`, `every`, and `chance` cannot be combined".to_owned());
        }
        if self.at == Some(0) || self.every == Some(0) {
            return Err("`at` and `every` count calls from 1".to_owned());
        }
        if self.chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err("`chance` must be from 0 to 1".to_owned());
        }
        for (name, value) in
            [("seconds", self.seconds), ("elsewhere", self.elsewhere), ("after", self.after), ("lasts", self.lasts)]
        {
            if value.is_some_and(|seconds| Duration::try_from_secs_f64(seconds).is_err()) {
                return Err(format!("`{name}` must be a number of seconds"));
            }
        }
        if self.does == Effect::Refuse && self.code.is_none() {
            return Err("`refuse` needs a `code`".to_owned());
        }
        if matches!(self.does, Effect::Slow | Effect::Stale) && self.seconds.is_none() {
            return Err("`slow` and `stale` need `seconds`".to_owned());
        }
        if (self.does == Effect::Omit) != self.field.is_some() {
            return Err("`omit`, and only `omit`, needs a `field`".to_owned());
        }
        if self.does == Effect::State && (self.resource.is_none() || self.state.is_none()) {
            return Err("`state` needs a `resource` and a `state`".to_owned());
        }
        if self.does != Effect::State && (self.resource.is_some() || self.state.is_some()) {
            return Err("only the fault `state` has `resource` and `state`".to_owned());
        }
        if self.status.is_some_and(|status| !(400..600).contains(&status)) {
            return Err("`status` must be from 400 to 599".to_owned());
        }
        Ok(())
    }

    /// Whether the call matches the fault.
    pub(super) fn matches(&self, call: &Call) -> bool {
        // A request of which nothing is known is not AWS's, and the looks of health checkers would be counted among the calls of
        // the caller who is tested: for both, a fault has to name the service.
        let service = match &self.service {
            Some(pattern) => is_like(pattern, &call.service),
            None => call.is_known() && !call.is_health_check(),
        };
        service
            && self.operation.as_deref().is_none_or(|pattern| is_like(pattern, &call.operation))
            && self.region.as_deref().is_none_or(|pattern| is_like(pattern, &call.region))
            && self.kind.is_none_or(|kind| (kind == CallKind::Read) == call.reads())
    }

    /// Whether it is in force at this time after the faults were put in force.
    pub(super) fn is_in_force(&self, age: Duration) -> bool {
        let after = self.after.unwrap_or_default();
        let age = age.as_secs_f64();
        age >= after && self.lasts.is_none_or(|lasts| age < after + lasts)
    }

    /// Whether it strikes the `number`-th of the calls that match it, counted from 1. `draw` is from 0 to 1.
    pub(super) fn strikes(&self, number: u64, draw: f64) -> bool {
        match (self.at, self.first, self.every, self.chance) {
            (Some(at), ..) => number == at,
            (_, Some(first), ..) => number <= first,
            (_, _, Some(every), _) => number.is_multiple_of(every),
            (.., Some(chance)) => draw < chance,
            _ => true,
        }
    }

    pub(super) fn lasting(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds.unwrap_or_default()).unwrap_or_default()
    }

    pub(super) fn lasting_elsewhere(&self) -> Duration {
        let seconds = self.elsewhere.or(self.seconds).unwrap_or_default();
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| text.char_indices().any(|(at, _)| is_like(rest, &text[at..])) || is_like(rest, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::call::tests::ec2;

    fn error(text: &str) -> String {
        FaultFile::parse(text).err().unwrap_or_default()
    }

    fn only(text: &str) -> Fault {
        let mut file = FaultFile::parse(text).expect("a fault file");
        file.faults.remove(0)
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_with_the_place() {
        assert!(error("[[fault]]\ndoes = \"explode\"").contains("explode"));
        assert!(error("[[fault]]\ndose = \"fail\"").contains("dose"));
        assert!(error("[[fault]]\ndoes = \"fail\"\nat = 1\nchance = 0.5").starts_with("fault 1: `at`"));
        assert!(error("[[fault]]\ndoes = \"fail\"\nat = 0").contains("from 1"));
        assert!(error("[[fault]]\ndoes = \"fail\"\nchance = 2.0").contains("from 0 to 1"));
        assert!(error("[[fault]]\ndoes = \"refuse\"").contains("`code`"));
        assert!(error("[[fault]]\ndoes = \"slow\"").contains("`seconds`"));
        assert!(error("[[fault]]\ndoes = \"omit\"").contains("`field`"));
        assert!(error("[[fault]]\ndoes = \"state\"\nresource = \"a\"").contains("and a `state`"));
        assert!(error("[[fault]]\ndoes = \"fail\"\nstate = \"a\"").contains("only the fault `state`"));
        assert!(error("[[fault]]\ndoes = \"fail\"\nstatus = 200").contains("400"));
        assert!(error("surprises = [\"none-such\"]").contains("nat-failed"));
        assert!(error("[aurora]\nfence = \"breaks\"").contains("times-out"));
        assert!(error("[aurora]\nfailover = \"cancelled\"").contains("cannot be cancelled"));
        assert_eq!(error("surprises = [\"all\"]\n[[fault]]\ndoes = \"lose-answer\""), "");
    }

    #[test]
    fn a_fault_matches_the_calls_that_it_describes() {
        let call = ec2("111122223333", "us-east-1", "Action=CreateVpc");
        for (text, expected) in [
            ("does = \"fail\"", true),
            ("does = \"fail\"\nservice = \"ec2\"\noperation = \"Create*\"", true),
            ("does = \"fail\"\noperation = \"*Vpc\"", true),
            ("does = \"fail\"\noperation = \"CreateVpcs\"", false),
            ("does = \"fail\"\nregion = \"us-east-2\"", false),
            ("does = \"fail\"\nkind = \"read\"", false),
            ("does = \"fail\"\nkind = \"mutation\"", true),
            ("does = \"fail\"\nservice = \"rds\"", false),
        ] {
            assert_eq!(only(&format!("[[fault]]\n{text}")).matches(&call), expected, "{text}");
        }
    }

    #[test]
    fn a_fault_strikes_the_calls_that_it_counts_or_draws() {
        let struck = |text: &str| -> Vec<u64> {
            let fault = only(&format!("[[fault]]\ndoes = \"fail\"\n{text}"));
            (1..=6).filter(|number| fault.strikes(*number, 0.5)).collect()
        };
        assert_eq!(struck("at = 3"), [3]);
        assert_eq!(struck("first = 2"), [1, 2]);
        assert_eq!(struck("every = 3"), [3, 6]);
        assert!(struck("chance = 0.4").is_empty());
        assert_eq!(struck("chance = 0.6").len(), 6);
        assert_eq!(struck("").len(), 6);
        let window = only("[[fault]]\ndoes = \"fail\"\nafter = 2.0\nlasts = 1.0");
        let in_force: Vec<u64> = (0..5).filter(|second| window.is_in_force(Duration::from_secs(*second))).collect();
        assert_eq!(in_force, [2]);
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(
            is_like("*", "")
                && is_like("*", "x")
                && is_like("a*c", "abc")
                && is_like("a*c", "ac")
                && is_like("*b*", "abc")
        );
        assert!(!is_like("a*c", "ab") && !is_like("", "x") && !is_like("a*", "ba"));
    }
}
