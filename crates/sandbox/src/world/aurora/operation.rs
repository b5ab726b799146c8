//! A switchover or a failover of a global database: what is ordered, how it ends, and how long its stages take.

use std::time::Duration;

use serde::Deserialize;

/// The seconds in which the primary and the chosen secondary cluster are verified. Their status is `pending`.
pub(super) const PENDING: f64 = 5.0;
/// The seconds after which a switchover is given up whose clusters cannot be verified; the longest that one takes in
/// docs/aws-behaviour.md#duration-table.
pub(super) const GIVING_UP: f64 = 600.0;
/// The seconds for which an operation that was given up is `cancelling`.
pub(super) const CANCELLING: f64 = 5.0;
/// The seconds between two looks at members that are behind.
pub(super) const LOOKING: f64 = 5.0;
/// The seconds until a failover knows that the old primary's storage takes no more writes, or gives up on that.
pub(super) const FENCED: f64 = 10.0;
pub(super) const NOT_FENCED: f64 = 30.0;

/// A member of a global database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The cluster's ARN.
    pub(crate) arn: String,
    pub(crate) region: String,
    /// The cluster's identifier.
    pub(crate) name: String,
    /// The identifiers of its instances, the writer first.
    pub(crate) instances: Vec<String>,
}

impl Member {
    /// A member by its ARN, `arn:aws:rds:REGION:ACCOUNT:cluster:NAME`; `None` if that is no ARN of a cluster.
    pub(crate) fn of(arn: &str, instances: Vec<String>) -> Option<Self> {
        let [_, _, "rds", region, _, "cluster", name] = arn.split(':').collect::<Vec<_>>()[..] else { return None };
        Some(Self { arn: arn.to_owned(), region: region.to_owned(), name: name.to_owned(), instances })
    }
}

/// What is ordered.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) account: String,
    /// The global cluster's identifier.
    pub(crate) global: String,
    /// The primary cluster.
    pub(crate) from: Member,
    /// The secondary cluster that becomes the primary.
    pub(crate) to: Member,
    /// The other secondary clusters.
    pub(crate) others: Vec<Member>,
    /// Whether it is a failover, which waits for nothing; otherwise it is a switchover.
    pub(crate) loses_data: bool,
    /// How long the primary cluster keeps its automated snapshots.
    pub(crate) retention: Duration,
    pub(crate) course: Course,
}

/// What is chosen of an operation's course, for tests; otherwise it takes the typical time and succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Course {
    pub(crate) durations: Lasting,
    pub(crate) switchover: Ending,
    pub(crate) failover: Ending,
    pub(crate) fence: Fence,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Lasting {
    #[default]
    Typical,
    Worst,
}

/// How an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    #[default]
    Succeeds,
    /// It stays pending until the faults that say so are lifted, and succeeds then.
    Stuck,
    /// It is given up before anything has changed. Only a switchover can be.
    Cancelled,
    /// Everything stays as it was.
    Fails,
}

/// Whether a failover can block the writes at the old primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fence {
    /// It can, if the old primary is reached.
    #[default]
    Holds,
    /// It cannot, whether or not the old primary is reached.
    TimesOut,
}

/// How long the stages take, in AWS's seconds. See docs/aws-behaviour.md#duration-table: a switchover of "the operation
/// 60 / 150" with "no writes for 20 / 30", a failover of "90 / 300", and "the old primary's rebuild 1800 / 14400".
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stages {
    /// A switchover, after it was pending: until the primary is read-only, while nobody can write, and then to the end.
    pub(super) switchover: [f64; 3],
    /// A failover, after the attempt to block writes began: until the new primary is promoted, and then to the end.
    pub(super) failover: [f64; 2],
    /// Rebuilding a cluster that a failover left behind.
    pub(super) rebuild: f64,
}

impl Lasting {
    pub(super) fn stages(self) -> Stages {
        match self {
            Self::Typical => Stages { switchover: [25.0, 20.0, 15.0], failover: [70.0, 15.0], rebuild: 1800.0 },
            Self::Worst => Stages { switchover: [80.0, 30.0, 40.0], failover: [250.0, 45.0], rebuild: 14_400.0 },
        }
    }
}

/// The stage of an operation, in AWS's words for the status of `FailoverState`.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_FailoverState.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    SwitchingOver,
    FailingOver,
    Cancelling,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::SwitchingOver => "switching-over",
            Self::FailingOver => "failing-over",
            Self::Cancelling => "cancelling",
        }
    }
}

/// An operation in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    /// The ARNs of the cluster that is demoted, and of the one that is promoted.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) loses_data: bool,
}

impl Progress {
    /// The status of the global cluster meanwhile.
    pub(crate) fn global_status(&self) -> &'static str {
        if self.loses_data { Phase::FailingOver.name() } else { Phase::SwitchingOver.name() }
    }
}
