//! AWS's surprises: answers and events that every user of AWS meets sooner or later.
//!
//! Each surprise cites its entry in docs/aws-behaviour.md, and has a name by which a fault file puts it in force.
//! force. Most are temporary refusals in AWS's own words: [`refusal_table`]. The others have a rule of their own.

mod failed_nat;
mod refusal;
mod refusal_table;
mod vanishing_replica;

use super::rule::Rule;
pub use refusal::Refusal;
use refusal::TemporaryRefusals;

/// The name for all of them in a fault file.
pub(super) const ALL: &str = "all";

/// One of AWS's surprises.
pub(super) struct Surprise {
    /// Its entry, as code cites it: `aws-behaviour.md#` and the entry's name.
    pub(super) behaviour: &'static str,
    pub(super) name: &'static str,
    kind: Kind,
}

enum Kind {
    /// Calls are refused with these, each a few times, and are then carried out.
    Refused(&'static [Refusal]),
    /// It has a rule of its own.
    Made(fn() -> Box<dyn Rule>),
}

impl Surprise {
    const fn refused(behaviour: &'static str, name: &'static str, refusals: &'static [Refusal]) -> Self {
        Self { behaviour, name, kind: Kind::Refused(refusals) }
    }

    const fn made(behaviour: &'static str, name: &'static str, rule: fn() -> Box<dyn Rule>) -> Self {
        Self { behaviour, name, kind: Kind::Made(rule) }
    }

    /// The rule that makes it happen.
    pub(super) fn rule(&self) -> Box<dyn Rule> {
        match self.kind {
            Kind::Refused(refusals) => Box::new(TemporaryRefusals::new(refusals)),
            Kind::Made(rule) => rule(),
        }
    }
}

/// All surprises.
pub(super) static SURPRISES: &[Surprise] = refusal_table::SURPRISES;

/// Each refusal that a surprise answers with, and the name of that surprise.
pub fn surprise_refusals() -> impl Iterator<Item = (&'static str, &'static Refusal)> {
    SURPRISES.iter().flat_map(|surprise| {
        let refusals = match surprise.kind {
            Kind::Refused(refusals) => refusals,
            Kind::Made(_) => &[],
        };
        refusals.iter().map(|refusal| (surprise.name, refusal))
    })
}

/// The surprise of this name.
pub(super) fn named(name: &str) -> Option<&'static Surprise> {
    SURPRISES.iter().find(|surprise| surprise.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_surprise_has_its_own_name_and_cites_its_entry() {
        let names: BTreeSet<&str> = SURPRISES.iter().map(|surprise| surprise.name).collect();
        assert_eq!(names.len(), SURPRISES.len());
        assert!(!names.contains(ALL));
        let behaviours: BTreeSet<&str> = SURPRISES.iter().map(|surprise| surprise.behaviour).collect();
        assert!(behaviours.len() >= 30, "{behaviours:?}");
        assert!(behaviours.iter().all(|cited| cited.starts_with("aws-behaviour.md#")), "{behaviours:?}");
    }
}
