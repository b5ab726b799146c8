//! AWS's surprises: what a call is answered, or becomes, in situations that every user of AWS meets sooner or later.
//!
//! Each says which entry of docs/aws-behaviour.md it is, and has a name by which a fault file puts it in force.
//! Most are a refusal that passes, in AWS's own words: [`said`]. The others make something of their own.

mod nat;
mod refused;
mod replica;
mod said;

use super::super::proxy::rule::Rule;
use refused::{Refusal, Refused};

/// The name that stands for all of them.
pub(super) const ALL: &str = "all";

/// One of AWS's surprises.
pub(super) struct Surprise {
    /// What it is, as code cites it: `aws-behaviour.md#` and the entry's name.
    pub(super) behaviour: &'static str,
    pub(super) name: &'static str,
    kind: Kind,
}

enum Kind {
    /// Calls are refused in these words, each a few times, and then pass.
    Refused(&'static [Refusal]),
    /// A rule of its own.
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
            Kind::Refused(refusals) => Box::new(Refused::new(refusals)),
            Kind::Made(rule) => rule(),
        }
    }
}

/// All of them.
pub(super) static SURPRISES: &[Surprise] = said::SURPRISES;

/// The one of this name.
pub(super) fn named(name: &str) -> Option<&'static Surprise> {
    SURPRISES.iter().find(|surprise| surprise.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_cites_what_it_is() {
        let names: BTreeSet<&str> = SURPRISES.iter().map(|surprise| surprise.name).collect();
        assert_eq!(names.len(), SURPRISES.len());
        assert!(!names.contains(ALL));
        let behaviours: BTreeSet<&str> = SURPRISES.iter().map(|surprise| surprise.behaviour).collect();
        assert!(behaviours.len() >= 30, "{behaviours:?}");
        assert!(behaviours.iter().all(|cited| cited.starts_with("aws-behaviour.md#")), "{behaviours:?}");
    }
}
