//! The types of resources in the cloud, each of which stands for a family of AWS's, and how fast they are.

use std::time::Duration;

use crate::driver::{TypeInfo, TypicalDurations};

const IMMUTABLE: &[(&str, &str)] = &[("shape", "a shape is for life"), ("inside", "it cannot move")];

/// The cloud's side of a resource type.
#[derive(Debug)]
pub(super) struct ResourceType {
    pub traits: TypeInfo,
    /// How long its resources typically take.
    pub expected: TypicalDurations,
    /// Whether its resources have a unique name, which is their id.
    pub is_named: bool,
    /// Whether its resources carry tags. Those without belong to whatever they lie in.
    pub is_tagged: bool,
    /// Whether everything that a resource refers to must be available before it can be created.
    pub is_strict: bool,
}

const fn traits(kind: &'static str, idempotent_create: bool) -> TypeInfo {
    TypeInfo {
        immutable: IMMUTABLE,
        holds: &["holds"],
        idempotent_create,
        patience: Duration::from_mins(1),
        ..TypeInfo::usual(kind)
    }
}

/// A type whose resources take so many seconds to be created.
const fn of(traits: TypeInfo, create: u64) -> ResourceType {
    let create = Duration::from_secs(create);
    let expected = TypicalDurations { create, update: create, delete: Duration::from_secs(1) };
    ResourceType { traits, expected, is_named: false, is_tagged: true, is_strict: false }
}

pub(super) static TYPES: &[ResourceType] = &[
    // A VPC: without a token or a name.
    of(traits("net", false), 1),
    // A subnet: the same, and it lies in something.
    of(traits("part", false), 1),
    // A NAT gateway: it takes a client token, and it takes its time.
    of(traits("gate", true), 105),
    // A role: it has a unique name, and tags.
    ResourceType { is_named: true, ..of(traits("role", false), 1) },
    // A route: known by what it is, without tags, and refused while its target is being created.
    ResourceType { is_named: true, is_tagged: false, is_strict: true, ..of(traits("rule", false), 1) },
    // A peering connection: without a token, and on its way for a while.
    of(traits("link", false), 10),
    // A database cluster: it takes ten minutes, and accepts dependents from the start.
    of(traits("base", false), 600),
    // A bucket: it holds data, and has no token.
    of(TypeInfo { holds_data: true, ..traits("store", false) }, 1),
    // A certificate: it becomes available once something uses its proof, and shares that with others of its name.
    of(TypeInfo { completed_by: &["proof"], ..traits("deed", false) }, 120),
    // A setting of something else: it is deleted with what it lies in.
    ResourceType { is_named: true, is_tagged: false, ..of(TypeInfo { removable: false, ..traits("note", false) }, 1) },
];

pub(super) fn type_of(kind: &str) -> &'static ResourceType {
    TYPES.iter().find(|known| known.traits.kind == kind).expect("a type of this cloud")
}

/// Whether resources of a type carry tags.
pub fn is_tagged(kind: &str) -> bool {
    type_of(kind).is_tagged
}

/// How fast a type is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From the creation of a resource until it is available.
    pub ready_after: Duration,
    /// From its deletion until it is gone.
    pub gone_after: Duration,
    /// From its creation until listings and searches show it.
    pub shown_after: Duration,
    /// From its creation until a read by its id shows it.
    pub readable_after: Duration,
    /// How long the answer to a mutation takes. The mutation is carried out when it arrives.
    pub latency: Duration,
}

impl Pace {
    pub(super) fn of(known: &ResourceType) -> Self {
        let takes = known.expected.create;
        Self {
            ready_after: if takes > Duration::from_secs(1) { takes } else { Duration::ZERO },
            gone_after: if known.traits.kind == "gate" { Duration::from_mins(1) } else { Duration::ZERO },
            shown_after: Duration::ZERO,
            readable_after: Duration::ZERO,
            latency: Duration::from_millis(200),
        }
    }
}

/// From the creation of a `base` until it shows its output `proof`.
pub const PROOF_AFTER: Duration = Duration::from_mins(1);
